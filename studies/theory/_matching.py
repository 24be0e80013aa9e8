r"""Noised data X_t = αX_0 + σZ and the means over them that score matching is made of.

Means over X_t alone are sums over a lattice of its density, which is known in closed form; means over (X_0, Z) are sums over the points of the data
(or lattices around them) and a lattice of Z; means over X_0 given X_t = x are sums over the same points, weighted by Bayes' rule. Sums over a
lattice (the trapezoidal rule) converge faster than any power of its spacing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

import fpk
from fpk.laws import Array, GaussianMixture, central_derivative
from fpk.marginals import zero_estimate
from fpk.models.features import Features
from fpk.study import Evidence, Size

from .._systems import DATA

#: Round-off of means of quantities of order 1 to 100.
ROUNDING = 1e-10
#: Coarse and fine level: a level k lattice has k times the points of level 1.
LEVELS = {"quick": (2, 3), "full": (3, 4)}
#: Half the width of the lattice and its spacing at level 1, by dimension.
LATTICE = {1: (7.0, 0.15), 2: (6.0, 0.36)}
SCHEDULE, TIME = fpk.VPSchedule(0.6, 3.4), 0.4


def normal_nodes(level: int, dimension: int, spacing: float = 0.8) -> tuple[Array, Array]:
    """A lattice with the masses of N(0, I), shapes (n^d, d) and (n^d,); its spacing is that at level 1."""
    line = np.arange(-7.6, 7.7, spacing / level)
    masses = np.exp(-0.5 * line**2) * spacing / level / np.sqrt(2 * np.pi)
    nodes = np.stack(np.meshgrid(*[line] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)
    return nodes, np.prod(np.meshgrid(*[masses] * dimension, indexing="ij"), axis=0).ravel()


class Cloud(NamedTuple):
    """Weighted positions, shapes (n, d) and (n,)."""

    x: Array
    weights: Array

    def mean(self, values: Array) -> Array:
        """Σ w values over the first axis."""
        return np.tensordot(self.weights, values, axes=1)


class Pairs(NamedTuple):
    """Weighted pairs of data and noised data, shapes (n, d), (n, d) and (n,)."""

    x0: Array
    x: Array
    weights: Array

    def mean(self, values: Array) -> Array:
        """Σ w values over the first axis."""
        return np.tensordot(self.weights, values, axes=1)


@dataclass(frozen=True, eq=False)
class Noised:
    """αX_0 + σZ for data at ``centres``, each with a Gaussian of standard deviation ``spreads`` around it, or none.

    Parameters
    ----------
    weights, centres, spreads : array, shapes (k,), (k, d), (k,)
    alpha, sigma : float
    """

    weights: Array
    centres: Array
    spreads: Array
    alpha: float
    sigma: float

    @property
    def dimension(self) -> int:
        """D."""
        return self.centres.shape[1]

    @cached_property
    def law(self) -> GaussianMixture:
        """The law of X_t, in closed form."""
        spreads = np.hypot(self.alpha * self.spreads, self.sigma)
        return GaussianMixture(self.weights, self.alpha * self.centres, stds=spreads)

    def data(self, level: int) -> Cloud:
        """The points of X_0, or nodes."""
        if not self.spreads.any():
            return Cloud(self.centres, self.weights)
        z, w = normal_nodes(level, self.dimension, 1.2)
        nodes = self.centres[:, None] + self.spreads[:, None, None] * z
        return Cloud(nodes.reshape(-1, self.dimension), np.kron(self.weights, w))

    def pairs(self, level: int) -> Pairs:
        """All pairs of points of X_0 and nodes of Z."""
        data, (z, w) = self.data(level), normal_nodes(level, self.dimension)
        x0 = np.repeat(data.x, len(z), axis=0)
        return Pairs(x0, self.alpha * x0 + self.sigma * np.tile(z, (len(data.x), 1)), np.kron(data.weights, w))

    def lattice(self, level: int) -> Cloud:
        """A lattice with the masses of X_t."""
        reach, spacing = LATTICE[self.dimension]
        line = np.arange(-reach, reach, spacing / level)
        x = np.stack(np.meshgrid(*[line] * self.dimension, indexing="ij"), axis=-1).reshape(-1, self.dimension)
        return Cloud(x, self.law.density(x) * (spacing / level) ** self.dimension)

    def likelihood(self, x: Array, y: Array) -> Array:
        """N(x; αy, σ²I) for all x and y, shape (n, m)."""
        gaps = ((x[:, None] - self.alpha * y) ** 2).sum(-1)
        return np.exp(-0.5 * gaps / self.sigma**2) / (2 * np.pi * self.sigma**2) ** (0.5 * self.dimension)

    def posterior(self, x: Array, data: Cloud) -> Array:
        """P(X_0 = y | X_t = x) for the points y of the data, shape (n, m)."""
        joint = self.likelihood(x, data.x) * data.weights
        return joint / joint.sum(1, keepdims=True)

    def pull(self, x: Array, y: Array) -> Array:
        """∇_x log N(x; αy, σ²I), shapes broadcast."""
        return (self.alpha * y - x) / self.sigma**2


PEAKS = Noised(DATA.weights, DATA.means, np.sqrt(DATA.covariances[:, 0, 0]), SCHEDULE.alpha(TIME), SCHEDULE.sigma(TIME))
POINTS = replace(PEAKS, weights=np.array([0.35, 0.65]), centres=np.array([[-1.0], [2.0]]), spreads=np.zeros(2))
PLANE = replace(
    PEAKS, weights=np.array([0.2, 0.5, 0.3]), centres=np.array([[-1.2, 0.4], [0.8, 0.9], [0.5, -1.1]]), spreads=np.zeros(3)
)  # fmt: skip
CLOUDS = replace(
    PEAKS, weights=np.array([0.4, 0.6]), centres=np.array([[-0.9, 0.3], [0.8, -0.6]]), spreads=np.array([0.3, 0.5])
)
SETTINGS = {
    "two peaks": PEAKS,
    "two points": POINTS,
    "three points in the plane": PLANE,
    "two clouds in the plane": CLOUDS,
}
#: Where fields are read, of any dimension.
PROBES = np.array([[-1.3, 0.2], [-0.4, -0.9], [0.1, 0.7], [0.9, -0.2], [1.6, 1.1]])


def probes(noised: Noised) -> Array:
    """Positions (5, d)."""
    return PROBES[:, : noised.dimension]


#: Fields that no parameter is linear in, in any dimension; the first is far from any score here.
FIELDS: tuple[Callable[[Array], Array], ...] = (
    lambda x: -4.0 * x,
    lambda x: np.sin(2 * x[:, ::-1]) - x,
    lambda x: 0.5 + x * np.exp(-0.5 * (x**2).sum(1, keepdims=True)),
)
FIELD_NAMES = ("−4x", "sin 2x − x", "½ + x exp(−½|x|²)")


def squares(values: Array) -> Array:
    """|v|² along the last axis."""
    return (values**2).sum(-1)


def divergence(field: Callable[[Array], Array], x: Array, step: float = 0.01) -> Array:
    """∂_i s_i at x, shape (n, d), by sixth-order differences."""

    def part(i: int) -> Array:
        axis = np.eye(x.shape[1])[i]
        return central_derivative(lambda h: field(x + h * axis)[:, i], np.zeros(1), step)

    return np.stack([part(i) for i in range(x.shape[1])], axis=1)


def gradient(function: Callable[[Array], Array], x: Array, step: float = 0.01) -> Array:
    """∇ of a function (n, d) → (n,), by sixth-order differences."""

    def part(axis: Array) -> Array:
        return central_derivative(lambda h: function(x + h * axis), np.zeros(1), step)

    return np.stack([part(axis) for axis in np.eye(x.shape[1])], axis=1)


@dataclass(frozen=True)
class Shares(Features):
    """The probabilities of the data points given X_t = x, which scores of noised points are linear in next to x itself."""

    noised: Noised

    @property
    def dimension(self) -> int:  # type: ignore[override]
        """D."""
        return self.noised.dimension

    @property
    def count(self) -> int:  # type: ignore[override]
        """One less than there are points: they sum to 1."""
        return len(self.noised.weights) - 1

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """Shape (n, m)."""
        return self.noised.posterior(x, self.noised.data(1))[:, :-1]

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """r_j (c_j − Σ r_k c_k), c_j the conditional scores; shape (n, m, d)."""
        shares = self.noised.posterior(x, self.noised.data(1))
        pulls = self.noised.pull(x[:, None], self.noised.centres)
        mean = np.einsum("nj,njd->nd", shares, pulls)
        return (shares[:, :, None] * (pulls - mean[:, None]))[:, :-1]


def refined(values: Callable[[int], Array], size: Size, *, names: Sequence[str], source: str) -> Evidence:
    """An identity: what should vanish, at two levels whose difference is the bound."""
    coarse, fine = (np.ravel(values(level)) for level in LEVELS[size.name])
    first = fpk.residual(fine, np.abs(fine - coarse) + ROUNDING, coarser=coarse, source=source)
    return Evidence(first, zero_estimate(len(fine)), tuple(names))


def named(what: str, x: Array) -> tuple[str, ...]:
    """One name for each component at each position."""
    return tuple(f"{what} {i} at {np.array2string(at, precision=2)}" for at in x for i in range(x.shape[1]))
