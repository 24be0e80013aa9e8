"""Outcomes of drawing data and noising them, and what Bayes' rule says of the data from the noised ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fpk.fields import observed
from fpk.laws import Array

from .._systems import DATA
from . import _states
from ._matching import PEAKS, SETTINGS, Cloud
from ._posteriors import hermite


def bayes(likelihood: Array, prior: Array) -> Array:
    """P(y | x) from the likelihoods of y, shape (n, m), and the prior (m,)."""
    joint = likelihood * prior
    return joint / joint.sum(1, keepdims=True)


def unconditional(likelihood: Array, prior: Array) -> Array:
    """The prior, whatever x is."""
    return prior + 0 * likelihood


class Draws(NamedTuple):
    """All outcomes (X_0, X_t), shapes (n, d), with their masses, and the likelihood (n, m) of all values of X_0 with theirs."""

    x0: Array
    x: Array
    weights: Array
    likelihood: Array
    data: Cloud


@lru_cache(maxsize=8)
def draws(case: str, level: int) -> Draws:
    """Of a setting, or of the start and the end of a path over three states."""
    if case == "three states":
        return _counted()
    noised = SETTINGS[case]
    pairs, data = noised.pairs(level), noised.data(level)
    return Draws(pairs.x0, pairs.x, pairs.weights, noised.likelihood(pairs.x, data.x), data)


def _counted() -> Draws:
    """By counting the outcomes of four throws of a die; the value of state k is k + ½."""
    law = _states.path_law("Markov")
    start, end = np.indices((3, 3)).reshape(2, -1)
    ahead = _states.transition(law, 0, _states.STEPS)
    data = Cloud(np.arange(3.0)[:, None] + 0.5, _states.marginal(law, 0))
    masses = _states.pair(law, 0, _states.STEPS).ravel()
    return Draws(start[:, None] + 0.5, end[:, None] + 0.5, masses, ahead.T[end], data)


@lru_cache(maxsize=8)
def drawn_again(functions: tuple[Callable[[Array, Array], Array], ...], power: float | None, level: int) -> Array:
    """E f(y, X_t) for every f; y from fpk's law of the data ∝ p(y) N(x; αy, σ²)^power given X_t = x, or from that of all data."""
    cloud, (z, w), total = PEAKS.lattice(level), hermite(16), np.zeros(len(functions))
    for x, mass in zip(cloud.x, cloud.weights, strict=True):
        if mass < 1e-15:
            continue
        law = DATA
        if power is not None:
            law = observed(DATA, x, matrix=[[PEAKS.alpha]], covariance=[[PEAKS.sigma**2]], power=power)
        y = (law.means + np.sqrt(law.covariances[:, 0]) * z).reshape(-1, 1)
        total += mass * np.array([np.kron(law.weights, w) @ f(y, np.broadcast_to(x, y.shape)) for f in functions])
    return total
