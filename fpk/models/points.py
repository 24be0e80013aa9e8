r"""Where objectives are averaged: weighted positions of a law, and weighted pairs (x_0, z) on a noising path.

    E φ(X) ≈ Σ_i w_i φ(x_i),            E φ(X_0, Z) ≈ Σ_i w_i φ(x_{0,i}, z_i),   x_i = α_t x_{0,i} + σ_t z_i.

Samples have equal weights. Quadrature nodes give the population limit: composite Gauss–Legendre over the breakpoints of any law in one
dimension, Gauss–Hermite over each component of a Gaussian mixture in several.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fpk.errors import ProblemError
from fpk.fields.kinds import combination
from fpk.laws import Array, GaussianMixture, Law
from fpk.schedules import Schedule

#: Each interval between breakpoints of a law is split into this many.
SPLIT = 2


@dataclass(frozen=True, eq=False)
class Points:
    """Weighted positions of the law at one time.

    Parameters
    ----------
    x : array, shape (n, d)
    weights : array, shape (n,)
        Summing to 1.
    t : float
    """

    x: Array
    weights: Array
    t: float = 0.0

    def mean(self, values: Array) -> Array:
        """Σ_i w_i values_i over the first axis."""
        return np.tensordot(self.weights, values, axes=1)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Weighted pairs of data and noise, and where the path takes them at one time.

    Parameters
    ----------
    x0, z : array, shape (n, d)
    weights : array, shape (n,)
        Summing to 1.
    schedule : Schedule
    t : float
    """

    x0: Array
    z: Array
    weights: Array
    schedule: Schedule
    t: float

    @cached_property
    def x(self) -> Array:
        """α_t x_0 + σ_t z, shape (n, d)."""
        return self.schedule.alpha(self.t) * self.x0 + self.schedule.sigma(self.t) * self.z

    @property
    def points(self) -> Points:
        """The positions without their past."""
        return Points(self.x, self.weights, self.t)

    def target(self, kind: str) -> Array:
        """What a model of this kind is regressed on: a x_0 + (b/c) z of :mod:`fpk.fields.kinds`, whose conditional mean is the field; (n, d).

        Raises
        ------
        ProblemError
            For the score where σ_t = 0.
        """
        row, sigma = combination(kind, self.schedule, self.t), self.schedule.sigma(self.t)
        if row.over_sigma and sigma == 0:
            raise ProblemError(
                f"the target of a {kind} is infinite at t={self.t:g}, where σ = 0: start later, or use the implicit objective."
            )
        return row.a * self.x0 + (row.b / sigma if row.over_sigma else row.b) * self.z


def drawn(law: Law, schedule: Schedule, *, t: float, count: int, rng: np.random.Generator) -> Pairs:
    """Independent pairs: data from ``law``, noise from N(0, I)."""
    return paired(law.sample(count, rng), schedule, t=t, rng=rng)


def paired(data: Array, schedule: Schedule, *, t: float, rng: np.random.Generator) -> Pairs:
    """Given data x_0 of shape (n, d), each with noise of its own."""
    return Pairs(data, rng.standard_normal(data.shape), np.full(len(data), 1 / len(data)), schedule, t)


def law_points(law: Law, *, t: float = 0.0, nodes: int = 12, edges: Sequence[float] = ()) -> Points:
    """Quadrature nodes of a law.

    Parameters
    ----------
    law : Law
        Any law in one dimension, Gaussian mixtures in several.
    t : float
        The time it is the law of.
    nodes : int
        Gauss–Legendre nodes of each interval (d = 1), Gauss–Hermite nodes of each coordinate and component (d > 1).
    edges : sequence of float
        Where the integrand has kinks, for example knots of splines (d = 1).

    Raises
    ------
    ProblemError
        For other laws in several dimensions.

    Accuracy
    --------
    Of smooth integrands round-off with the default in one dimension; exact for polynomials of degree 2·nodes − 1 times a mixture.
    """
    if law.dimension > 1:
        return _hermite_points(law, t, nodes)
    breakpoints = law.breakpoints()
    inner = [edge for edge in edges if breakpoints[0] < edge < breakpoints[-1]]
    x, weights = _legendre_nodes(np.unique(np.concatenate([_split(breakpoints), inner])), nodes)
    mass = weights * np.exp(law.log_density(x[:, None]))
    return Points(x[:, None], mass / mass.sum(), t)


def quadrature_pairs(law: Law, schedule: Schedule, *, t: float, nodes: int = 6, normals: int = 64) -> Pairs:
    """All pairs of quadrature nodes of the data law and of the normal law: the population limit of :func:`drawn`.

    Parameters
    ----------
    law, schedule, t
        As for :func:`drawn`.
    nodes : int
        As for :func:`law_points`.
    normals : int
        Gauss–Hermite nodes of each coordinate of the noise.
    """
    data = law_points(law, nodes=nodes)
    z, mass = normal_nodes(normals, law.dimension)
    first, second = (grid.ravel() for grid in np.meshgrid(np.arange(len(data.x)), np.arange(len(z)), indexing="ij"))
    return Pairs(data.x[first], z[second], data.weights[first] * mass[second], schedule, t)


def time_nodes(start: float, end: float, *, nodes: int) -> list[tuple[float, float]]:
    """Times and weights of Gauss–Legendre quadrature over [start, end]."""
    x, weights = _legendre_nodes(np.array([start, end]), nodes)
    return list(zip(x.tolist(), weights.tolist(), strict=True))


def time_integral(function: Callable[[float], float], *, start: float, end: float, nodes: int) -> float:
    """∫ function(t) dt over [start, end] by Gauss–Legendre quadrature."""
    return float(sum(w * function(t) for t, w in time_nodes(start, end, nodes=nodes)))


def _split(breakpoints: Array) -> Array:
    pieces = [np.linspace(a, b, SPLIT, endpoint=False) for a, b in itertools.pairwise(breakpoints)]
    return np.concatenate([*pieces, breakpoints[-1:]])


def _legendre_nodes(edges: Array, nodes: int) -> tuple[Array, Array]:
    u, w = np.polynomial.legendre.leggauss(nodes)
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (1 + u)).ravel(), (half * w).ravel()


def normal_nodes(nodes: int, dimension: int) -> tuple[Array, Array]:
    """Nodes (nodes^d, d) and weights of N(0, I)."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    grids = np.meshgrid(*[z] * dimension, indexing="ij")
    masses = np.meshgrid(*[w / w.sum()] * dimension, indexing="ij")
    return np.stack([g.ravel() for g in grids], axis=1), np.prod([m.ravel() for m in masses], axis=0)


def _hermite_points(law: Law, t: float, nodes: int) -> Points:
    if not isinstance(law, GaussianMixture):
        raise ProblemError(
            f"quadrature in d = {law.dimension} needs a Gaussian mixture, got {law!r}: draw samples instead."
        )
    z, mass = normal_nodes(nodes, law.dimension)
    factors = np.linalg.cholesky(law.covariances)
    x = np.concatenate([mean + z @ factor.T for mean, factor in zip(law.means, factors, strict=True)])
    return Points(x, np.kron(law.weights, mass), t)
