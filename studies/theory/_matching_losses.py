"""Losses of fields against the score and against conditional scores, and the least they can be."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array
from fpk.models.points import Points

from ._matching import Cloud, Noised, squares

VectorField = Callable[[Array], Array]
#: The target at x given y, of any shapes that broadcast.
Pull = Callable[[Array, Array], Array]


@lru_cache(maxsize=64)
def explicit_losses(noised: Noised, fields: tuple[VectorField, ...], level: int, power: float = 1.0) -> Array:
    """E |s − ∇log p|^{2·power} of every field."""
    cloud = noised.lattice(level)
    score = noised.law.score(cloud.x)
    return np.array([cloud.mean(squares(s(cloud.x) - score) ** power) for s in fields])


def redrawn_losses(
    noised: Noised, fields: tuple[VectorField, ...], level: int, second: Callable[[Array, Array], Array]
) -> Array:
    """E |s − ∇log p_{t|0}(x|y)|² of every field; y is drawn given x, with probabilities from the likelihood and the prior."""
    cloud, data = noised.lattice(level), noised.data(level)
    weights = cloud.weights[:, None] * second(noised.likelihood(cloud.x, data.x) + 1e-290, data.weights)
    pulls = noised.pull(cloud.x[:, None], data.x)
    return np.array([(weights * squares(s(cloud.x)[:, None] - pulls)).sum() for s in fields])


@lru_cache(maxsize=64)
def denoising_losses(
    noised: Noised, fields: tuple[VectorField, ...], level: int, pull: Pull | None = None, power: float = 1.0
) -> Array:
    """E |s(X_t) − target(X_t, X_0)|^{2·power} of every field over all pairs."""
    pairs = noised.pairs(level)
    target = (pull or noised.pull)(pairs.x, pairs.x0)
    return np.array([pairs.mean(squares(s(pairs.x) - target) ** power) for s in fields])


def least_loss(noised: Noised, level: int) -> float:
    """What the score itself leaves of the loss against conditional scores, α²σ⁻⁴ E Var(X_0|X_t); d = 1.

    By the components of the data: variances within, and of their means around the mean of all.
    """
    cloud, v = noised.lattice(level), noised.spreads[:, None] ** 2
    spread = noised.alpha**2 * v + noised.sigma**2
    shares = noised.law.responsibilities(cloud.x)
    means = noised.centres + noised.alpha * v / spread * (cloud.x[:, 0] - noised.alpha * noised.centres)
    apart = (shares * (means - (shares * means).sum(0)) ** 2).sum(0)
    within = (shares * v * noised.sigma**2 / spread).sum(0)
    return float(cloud.mean(apart + within)) * noised.alpha**2 / noised.sigma**4


def half_line(power: int, level: int) -> tuple[Points, Array]:
    """Positions x > 0 with the masses of the law ∝ x^power e^{−x}, and its score there."""
    u, w = np.polynomial.legendre.leggauss(4 * level)
    edges = np.linspace(0.0, 48.0, 97)
    x = (edges[:-1, None] + 0.25 * (1 + u)).ravel()
    masses = np.tile(0.25 * w, 96) * x**power * np.exp(-x)
    return Points(x[:, None], masses / masses.sum()), (power / x - 1)[:, None]


def as_points(cloud: Cloud) -> Points:
    """For the objectives of :mod:`fpk.models`."""
    return Points(cloud.x, cloud.weights)


def at_most_zero(gaps: Callable[[int], Array], levels: tuple[int, int], source: str) -> fpk.Estimate:
    """A one-sided statement: quantities that should be negative, with the change between two levels as their bound."""
    coarse, fine = (np.ravel(gaps(level)) for level in levels)
    return fpk.Estimate(fine, np.abs(fine - coarse) + 1e-9, source=source)
