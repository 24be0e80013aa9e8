"""Laws from their scores, and how far apart laws can be whose scores are nearly the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpk.laws import Array, GaussianMixture, Law

from ._loss_observed import wells
from ._matching import PEAKS, PLANE

#: Nodes of Gauss's rule in each cell, on (0, 1).
_U, _W = np.polynomial.legendre.leggauss(5)
#: Where densities are compared, on lattices that contain them.
PLACES = np.array([-1.5, -0.5, 0.0, 0.5, 1.0, 1.5])
REACH = {"two peaks": 7.0, "double well": 4.0, "three points in the plane": 6.0}


def known_law(case: str) -> Law:
    """The law whose score is given."""
    return {"two peaks": PEAKS.law, "three points in the plane": PLANE.law}.get(case) or wells()


def axis(case: str, level: int) -> Array:
    """Points from −reach to reach, 1/2 divided by the level apart."""
    return np.linspace(-REACH[case], REACH[case], int(4 * REACH[case]) * level + 1)


def _integrated(slope: Callable[[Array], Array], x: Array) -> Array:
    """∫ slope from 0 to x, along the first axis; slope of (n,) has shape (n, ...)."""
    half = 0.5 * (x[1] - x[0])
    nodes = (x[:-1, None] + half * (1 + _U)).ravel()
    values = slope(nodes)
    parts = np.tensordot(half * _W, values.reshape(len(x) - 1, len(_U), *values.shape[1:]), axes=(0, 1))
    total = np.concatenate([0 * parts[:1], np.cumsum(parts, axis=0)])
    return total - total[len(x) // 2]


@lru_cache(maxsize=8)
def integrated_scores(case: str, level: int) -> tuple[Array, ...]:
    """∫ s from 0 to every point of the lattice; in the plane along x first, then along y first."""
    law, x = known_law(case), axis(case, level)
    if law.dimension == 1:
        return (_integrated(lambda u: law.score(u[:, None])[:, 0], x),)

    def along(i: int, u: Array, v: Array) -> Array:
        """The component i of the score where coordinate i is u and the other v, shape (u, v)."""
        places = np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1).reshape(-1, 2)
        return law.score(places[:, :: 1 - 2 * i])[:, i].reshape(len(u), len(v))

    def path(i: int) -> Array:
        """Along coordinate i at 0 of the other, then along the other."""
        first = _integrated(lambda u: along(i, u, np.zeros(1)), x)
        return first + _integrated(lambda v: along(1 - i, v, x), x).T

    return path(0), path(1).T


def places_on(case: str, level: int) -> tuple[NDArray[np.intp], Array]:
    """Indices of PLACES on the axis, and the density there (on the diagonal, in the plane)."""
    law, x = known_law(case), axis(case, level)
    at = np.rint((PLACES + REACH[case]) / (x[1] - x[0])).astype(np.intp)
    return at, np.exp(law.log_density(np.repeat(x[at][:, None], law.dimension, axis=1)))


# -- nearly the same score ---------------------------------------------------------------------------------------------------


class Two(NamedTuple):
    """Intervals; densities of two laws there; the difference of their scores; and the least curvature of −log of the second, or of its parts."""

    pieces: tuple[float, ...]
    first: Callable[[Array], Array]
    second: Callable[[Array], Array]
    apart: Callable[[Array], Array]
    curvature: float


def bumps(x: Array) -> Array:
    """(1 + x)²(2 − x)² on (−1, 2), to mass 1."""
    return np.where((x > -1) & (x < 2), (1 + x) ** 2 * (2 - x) ** 2 / 8.1, 0.0)


def distances(two: Two, level: int) -> tuple[float, float]:
    """Total variation, and E|s_p − s_q|² under the first law."""
    u, v = np.polynomial.legendre.leggauss(10 * level)
    half = 0.5 * np.diff(two.pieces)[:, None]
    x, w = (np.array(two.pieces)[:-1, None] + half * (1 + u)).ravel(), (half * v).ravel()
    p, q = two.first(x), two.second(x)
    return 0.5 * float(w @ np.abs(p - q)), float(w @ (p * two.apart(x) ** 2))


def _mixture(weights: list[float], means: list[float], std: float = 1.0) -> GaussianMixture:
    return GaussianMixture(weights, means, stds=std)


def _against(first: GaussianMixture, second: GaussianMixture) -> Two:
    """Two mixtures on the line; the parts of the second have variance 1."""

    def apart(x: Array) -> Array:
        return (first.score(x[:, None]) - second.score(x[:, None]))[:, 0]

    pieces = tuple(np.linspace(-16.0, 16.0, 33))
    return Two(pieces, lambda x: first.density(x[:, None]), lambda x: second.density(x[:, None]), apart, 1.0)


#: Log-concave second laws, and second laws in two parts.
CONNECTED = {
    "shifted": _against(_mixture([1.0], [0.3]), _mixture([1.0], [0.0])),
    "narrower": _against(_mixture([1.0], [0.0], 0.8), _mixture([1.0], [0.0])),
    "two peaks": _against(_mixture([0.4, 0.6], [-0.9, 0.8], 0.7), _mixture([1.0], [0.2])),
    "tilted bump": Two((-1.0, 0.5, 2.0), lambda x: bumps(x) * (1 + x) / 1.5, bumps, lambda x: 1 / (1 + x), 16 / 9),
}
ISLANDS = {
    "peaks at ±6": _against(_mixture([0.9, 0.1], [-6.0, 6.0]), _mixture([0.5, 0.5], [-6.0, 6.0])),
    "two bumps": Two(
        (-1.0, 2.0, 4.0, 7.0),
        lambda x: 0.3 * bumps(x) + 0.7 * bumps(x - 5),
        lambda x: 0.5 * bumps(x) + 0.5 * bumps(x - 5),
        lambda x: 0 * x,
        16 / 9,
    ),
}
