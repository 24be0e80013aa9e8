r"""Tails of the statistic by importance sampling: ideal samples drawn where the statistic is large, with weights that make up for it.

The samples of a repetition come from an exponential tilt of the uniform law,

    q_θ(u) = exp(θ·φ(u) − ψ(θ)),   ψ(θ) = log ∫ exp(θ·φ(u)) du,

whose mean is about θ. The 120 vertices of the regular 600-cell in four dimensions, scaled to the boundaries |θ|² = c/n of some events S > c,
are the tilts; a repetition takes one of them at random. Under this mixture the likelihood ratio of its n samples is a function of their
mean m alone,

    w = 1 / mean_j exp(n (θ_j·m − ψ(θ_j))),

so that the mean of w 1{S > c} is P(S > c) without bias, whatever tilts were chosen (the balance heuristic of Veach and Guibas 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np

from fpk.calibration import WeightedRate, weighted
from fpk.laws import Array

from ._ideal import LINEAR, repetitions, statistics

#: Nodes of the quadrature for ψ, exact to round-off for the tilts in use, and repetitions of a batch.
_NODES, _BATCH = 64, 2**14


@cache
def vertices() -> Array:
    """The 120 vertices of the 600-cell on the unit sphere, shape (120, 4)."""
    golden = (1 + 5**0.5) / 2
    axes = [s * e for e in np.eye(4) for s in (-1, 1)]
    halves = [np.array(signs) / 2 for signs in product((-1, 1), repeat=4)]
    even = [p for p in permutations(range(4)) if np.linalg.det(np.eye(4)[list(p)]) > 0]
    mixed = [
        np.array([golden * a, b, c / golden, 0.0])[list(p)] / 2 for p in even for a, b, c in product((-1, 1), repeat=3)
    ]
    return np.array([*axes, *halves, *mixed])


def log_partition(tilts: Array) -> Array:
    """ψ of tilts (L, K); shape (L,)."""
    x, weights = np.polynomial.legendre.leggauss(_NODES)
    return np.log(np.exp(tilts @ _functionals(x)) @ weights / 2)


def _functionals(x: Array) -> Array:
    """φ_1 ... φ_K at x in [−1, 1], shape (K, len(x))."""
    return LINEAR @ np.polynomial.chebyshev.chebvander(x, LINEAR.shape[1] - 1).T


def _chances(tilts: Array) -> Array:
    """Coefficients of θ·φ − M in T_0 ... T_K, shape (L, K + 1), with M above θ·φ by a margin for what lies between the points it is sought on."""
    highest = (tilts @ _functionals(np.linspace(-1, 1, 2001))).max(1) + 1e-3 * np.abs(tilts).sum(1)
    coefficients = (tilts @ LINEAR)[:, : tilts.shape[1] + 1]
    coefficients[:, 0] -= highest
    return coefficients


@dataclass(frozen=True, eq=False)
class Tails:
    """Repetitions where the statistic is large.

    Parameters
    ----------
    statistic, weights : arrays, shape (R,)
        S, and likelihood ratios of ideal samples over those drawn.
    """

    statistic: Array
    weights: Array

    def beyond(self, limit: float) -> WeightedRate:
        """P(S > limit) for ideal samples."""
        return weighted(self.weights * (self.statistic > limit))


def tails(repeats: int, n: int, *, limits: Sequence[float], seed: int) -> Tails:
    """Repetitions from the mixture of tilts towards S = c, for each c among ``limits``.

    Parameters
    ----------
    repeats, n : int
        Repetitions, and samples in each.
    limits : sequence of float
        Rates beyond values of S between them are known best.
    seed : int
    """
    tilts = np.concatenate([np.sqrt(c / n) * vertices() for c in limits])
    chosen = np.random.default_rng(seed).integers(len(tilts), size=repeats)
    parts = [_batch(tilts, chosen[k : k + _BATCH], n, first=k, seed=seed) for k in range(0, repeats, _BATCH)]
    return Tails(*np.concatenate(parts, axis=1))


def _batch(tilts: Array, which: np.ndarray, n: int, *, first: int, seed: int) -> Array:
    """Statistics and weights, shape (2, R)."""
    found = repetitions(
        first, len(which), n, seed=seed, chances=_chances(tilts), which=which, exponential=True, gap=False
    )
    exponents = n * (found.mean @ tilts.T - log_partition(tilts))
    return np.stack([statistics(found), 1 / np.exp(exponents).mean(1)])
