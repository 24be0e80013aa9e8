"""Lines of the field of charges between the data and far away, from either end; and starts far away, as weighted points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.laws import Array, Law
from fpk.samplers import PoissonField
from fpk.samplers.coupling import quantiles
from fpk.samplers.poisson import followed

from ._poisson import LINE, below, legendre, places, upper_half

#: The law on the line with its mean at 0.
CENTRED = fpk.GaussianMixture(LINE.weights, LINE.means - LINE.mean, covariances=LINE.covariances)
#: Where lines begin or end next to the charges: on the line the rest of the way is straight; in the plane, and for other kernels, the law there is
#: that of X_0 + z C.
ABOVE = {"N = 1": 0.0, "N = 2": 0.2}
#: The law in the plane has one broad hill: few lines show where the others go.
DATA = {
    "N = 1": LINE,
    "N = 2": fpk.GaussianMixture(
        [0.4, 0.6], [[0.6, -0.3], [-0.6, 0.3]], covariances=[[[0.5, 0.15], [0.15, 0.4]], [[0.6, -0.15], [-0.15, 0.7]]]
    ),
}


@dataclass(frozen=True)
class OtherLines:
    """The lines on the line of the kernel (x − y, z)/r^power, or with other slopes."""

    law: Law
    power: float = 2.0
    factor: float = 1.0

    def velocity(self, x: Array, z: Any) -> Array:
        """dx/dz."""
        if self.power == 2:
            return self.factor * PoissonField(self.law).velocity(x, z)
        y, mass = places(self.law, 0.08)
        weights = mass * ((x - y) ** 2 + np.broadcast_to(z, x.shape) ** 2) ** (-0.5 * self.power)
        return (weights * (x - y)).sum(1, keepdims=True) / (z * weights.sum(1, keepdims=True))


@lru_cache(maxsize=32)
def outward(lines: OtherLines, radii: tuple[float, ...], levels: tuple[float, ...], steps: int) -> Array:
    """Angles at the radii of the lines from the quantiles of the data at the levels, shape (radii, levels)."""
    u = np.array(levels)
    if lines.power == 2:
        low, x = 0.03 / steps, quantiles(lines.law, u)[:, None]
        x = x + low * lines.velocity(x, 0.0)
    else:
        low, table = 0.2, np.linspace(-40.0, 40.0, 4001)
        x = np.interp(u, below(lines.law, table, low), table)[:, None]
    r = np.repeat(radii, len(u))[:, None]
    x, before = np.tile(x, (len(radii), 1)), np.full_like(r, low)
    z = r * np.sin(np.pi * np.tile(u, len(radii)))[:, None]
    for count in (steps, steps // 8, steps // 8, steps // 8):
        x = followed(lines, x, before, z, steps=count)
        before, z = z, z * r / np.hypot(x, z)
    return np.arctan2(before, x).reshape(len(radii), len(u))


def height(case: str, lines: OtherLines | None) -> float:
    """Where lines end; the kernels of other powers have none at 0."""
    return ABOVE[case] if lines is None or lines.power == 2 else 0.2


@lru_cache(maxsize=64)
def landed(case: str, lines: OtherLines | None, start: str, far: tuple[float, ...], nodes: int, steps: int) -> Array:
    """Where lines end that begin at the points of a start at the distances ``far``, shape (far, n, N)."""
    field = lines or PoissonField(DATA[case])
    t, _ = START[start](DATA[case].dimension, nodes)
    begin = np.concatenate([r * t for r in far])
    end = height(case, lines)
    low = end or 0.03 / steps
    x = followed(field, begin[:, :-1], begin[:, -1:], low, steps=steps)
    if end == 0:
        x = x - low * field.velocity(x, 0.0)
    return x.reshape(len(far), len(t), -1)


def _bent(x: Array) -> Array:
    """Monomials of u = x/√(1 + |x|²), smooth out to infinity, for x of shape (..., 2), shape (5, ...)."""
    u = x / np.sqrt(1 + (x**2).sum(-1, keepdims=True))
    a, b = u[..., 0], u[..., 1]
    return np.stack([a, b, a * a, a * b, b * b])


@lru_cache(maxsize=1)
def _expected() -> Array:
    """Their expectations under X_0 + z C in the plane at the height of the ends, by quadrature over X_0 and C."""
    nodes, w = np.polynomial.hermite_e.hermegauss(20)
    normal, mass = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2), np.outer(w, w).ravel() / w.sum() ** 2
    away, shares = _plane(2, 14)
    noise = ABOVE["N = 2"] * away[:, :2]
    law = DATA["N = 2"]
    laws = zip(law.weights, law.means, np.linalg.cholesky(law.covariances), strict=True)
    places = ((weight, mean + normal @ factor.T) for weight, mean, factor in laws)
    return sum((weight * (_bent(x[:, None] + noise) @ shares @ mass) for weight, x in places), np.zeros(5))


def functionals(case: str, x: Array, weights: Array, z: float) -> Array:
    """Means of functionals over weighted ends x of shape (far, n, N) at the height z, less those of the data, shape (far, K)."""
    if case == "N = 1":
        return np.moveaxis(legendre(LINE, x.ravel(), z).reshape(4, *x.shape[:-1]) @ weights, 0, -1)
    return np.moveaxis(_bent(x) @ weights, 0, -1) - _expected()


NAMES = {"N = 1": ("φ1", "φ2", "φ3", "φ4"), "N = 2": ("u₁", "u₂", "u₁²", "u₁u₂", "u₂²")}


# -- starts far away ---------------------------------------------------------------------------------------------------------

Start = Callable[[int, int], tuple[Array, Array]]


def _hemisphere(dimension: int, nodes: int) -> tuple[Array, Array]:
    return upper_half(dimension, nodes)


def _plane(dimension: int, nodes: int) -> tuple[Array, Array]:
    """The hemisphere projected on the plane z = 1."""
    t, w = upper_half(dimension, nodes)
    return t / t[:, -1:], w


def _interval(dimension: int, nodes: int) -> tuple[Array, Array]:
    """Even weights on [−3, 3] in the plane z = 1."""
    u, w = np.polynomial.legendre.leggauss(nodes)
    return np.stack([3 * u, np.ones(nodes)], axis=1), w / 2


START: dict[str, Start] = {"hemisphere": _hemisphere, "plane": _plane, "interval": _interval}
#: Densities with respect to a start's own law, at its points (t, z) of shape (n, N + 1), up to a constant.
Tilt = Callable[[Array], Array]
EVEN: Tilt = lambda t: np.ones(len(t))  # noqa: E731


def tilted(start: str, tilt: Tilt, dimension: int, nodes: int) -> Array:
    """The weights of a start with another density."""
    t, w = START[start](dimension, nodes)
    weights = w * tilt(t)
    return weights / weights.sum()
