"""Losses of fields against the score and against conditional scores, and the least they can be."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import factorial
from typing import NamedTuple

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


class Edged(NamedTuple):
    """Positions with their masses, the score there, and positions on the edge with their masses and outward normals."""

    points: Points
    score: Array
    edge: Points
    normals: Array


def edged(case: str, power: int, level: int) -> Edged:
    """The law ∝ x^power e^{−x} on x > 0, or ∝ (xy)^power e^{−x−2y} (2 + sin x cos y) on the quarter of the plane."""
    if case == "half-line":
        points, score = half_line(power, level)
        return Edged(points, score, Points(np.zeros((1, 1)), np.full(1, float(power == 0))), -np.ones((1, 1)))
    u, w = _pieces(36.0, 18, 2 + 2 * level)
    v, mass = _pieces(20.0, 18, 2 + 2 * level)
    x = np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1).reshape(-1, 2)
    volume, total = np.kron(w, mass) * _quarter(x, power), _quarter_mass(power)
    wave = np.stack([np.cos(x[:, 0]) * np.cos(x[:, 1]), -np.sin(x[:, 0]) * np.sin(x[:, 1])], axis=1)
    score = power / x - [1.0, 2.0] + wave / (2 + np.sin(x[:, :1]) * np.cos(x[:, 1:]))
    walls = np.concatenate([np.stack([0 * v, v], axis=1), np.stack([u, 0 * u], axis=1)])
    normals = np.repeat([[-1.0, 0.0], [0.0, -1.0]], len(u), axis=0)
    on_edge = np.concatenate([mass, w]) * _quarter(walls, power) / total
    return Edged(Points(x, volume / total), score, Points(walls, on_edge), normals)


def _quarter(x: Array, power: int) -> Array:
    """(xy)^power e^{−x−2y} (2 + sin x cos y)."""
    return np.prod(x, axis=1) ** power * np.exp(-x @ [1.0, 2.0]) * (2 + np.sin(x[:, 0]) * np.cos(x[:, 1]))


def _quarter_mass(power: int) -> float:
    """Its integral, by Laplace transforms of x^power."""
    transform: Callable[[complex], complex] = lambda s: factorial(power) / s ** (power + 1)  # noqa: E731
    return 2 * transform(1).real * transform(2).real + transform(1 - 1j).imag * transform(2 - 1j).real


def _pieces(end: float, count: int, nodes: int) -> tuple[Array, Array]:
    """Gauss–Legendre nodes of equal pieces of [0, end], and their weights."""
    z, w = np.polynomial.legendre.leggauss(nodes)
    half = 0.5 * end / count
    return (half * (1 + z) + np.arange(count)[:, None] * 2 * half).ravel(), np.tile(half * w, count)


def as_points(cloud: Cloud) -> Points:
    """For the objectives of :mod:`fpk.models`."""
    return Points(cloud.x, cloud.weights)


def at_most_zero(gaps: Callable[[int], Array], levels: tuple[int, int], source: str) -> fpk.Estimate:
    """A one-sided statement: quantities that should be negative, with the change between two levels as their bound."""
    coarse, fine = (np.ravel(gaps(level)) for level in levels)
    return fpk.Estimate(fine, np.abs(fine - coarse) + 1e-9, source=source)
