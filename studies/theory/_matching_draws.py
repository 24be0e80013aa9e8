"""Outcomes of drawing data and noising them, and what Bayes' rule says of the data from the noised ones."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fpk.laws import Array

from . import _states
from ._matching import SETTINGS, Cloud


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
