r"""The continuity equation ∂_t p + v·∇p + p ∇·v = 0 on a lattice: spectral derivatives in space, Runge–Kutta steps in time, no points that move."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

import fpk
from fpk.laws import Array
from fpk.samplers.flows import METHODS

from .._systems import DATA
from ._motions import PLANE_DATA
from ._rates import Lattice, waves


class Transport(NamedTuple):
    """A velocity that changes in time, its divergence, which does not, the law it starts from and the lattice."""

    problem: fpk.Problem
    divergence: Callable[[Array], Array]
    half: float
    cells: int
    waves: tuple[tuple[float, ...], ...]


#: When the laws are compared.
END = 0.5
TRANSPORTS = {
    "line": Transport(
        fpk.Problem(lambda x, t: np.sin(2 * x) + 0.8 * np.cos(4 * t) - 0.8 * np.sin(x), 0.0, initial=DATA),
        lambda x: 2 * np.cos(2 * x[:, 0]) - 0.8 * np.cos(x[:, 0]),
        6.0,
        80,
        ((0.8,), (1.7,), (2.6,)),
    ),
    "plane": Transport(
        fpk.Problem(
            lambda x, t: np.stack([0.3 * np.cos(5 * t) - np.sin(x[:, 1]), np.sin(x[:, 0] + x[:, 1])], axis=1),
            0.0,
            initial=PLANE_DATA,
        ),
        lambda x: np.cos(x.sum(1)),
        4.8,
        18,
        ((1.0, 0.0), (0.3, 1.2), (1.4, -1.0)),
    ),
}


@lru_cache(maxsize=32)
def transported(case: str, along: float, inside: float, level: int) -> Array:
    """Means of waves under the density at the end; weights of v·∇p and of p ∇·v."""
    transport = TRANSPORTS[case]
    lattice = Lattice(transport.half, transport.cells * level, transport.problem.dimension)
    x, d = lattice.points, lattice.dimension

    def rate(p: Array, t: float) -> Array:
        v = np.broadcast_to(transport.problem.drift(x, t), x.shape)
        if along == inside:
            return -along * lattice.divergence(v * p[:, None])
        slope = sum((v[:, i] * lattice.derivative(p, i) for i in range(d)), np.zeros(len(p)))
        return -along * slope - inside * p * transport.divergence(x)

    p, steps = transport.problem.initial.density(x), 14 * level
    for k in range(steps):
        p = METHODS["rk4"].advanced(rate, p, (k * END / steps, (k + 1) * END / steps))
    return lattice.integrals(waves(transport.waves), p)


def mean_names(case: str) -> tuple[str, ...]:
    """One name for each mean."""
    return tuple(f"E {f} k·X, k = {list(k)}" for f in ("cos", "sin") for k in TRANSPORTS[case].waves)
