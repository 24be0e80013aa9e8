"""Tubes of field lines: what goes through their top, in the half plane (N = 1) and for small cells of the plane (N = 2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from fpk.laws import Array
from fpk.samplers import PoissonField
from fpk.samplers.poisson import followed

from ._poisson import LINE, PLANE

#: E and normals, shape (n, N + 1), to what is taken for the flux per area, shape (n,).
Through = Callable[[Array, Array], Array]
#: Intervals and places of the plane of the charges, where lines begin, and how high the ends of a top are.
INTERVALS = np.array([[-1.3, -0.8], [-0.9, 1.0], [0.8, 1.9]])
CELLS = np.array([[0.8, -0.2], [-0.9, 0.7]])
LOW, TOPS, HIGH = 1e-4, (1.5, 2.5), 2.0


@lru_cache(maxsize=8)
def _ends(straight: bool, steps: int) -> Array:
    """Where the lines through the ends of the intervals are, at the two heights of a top, shape (intervals, 2)."""
    x = INTERVALS.reshape(-1, 1)
    if straight:
        return INTERVALS
    field, tops = PoissonField(LINE), np.tile(TOPS, len(INTERVALS))[:, None]
    return followed(field, x + LOW * field.velocity(x, LOW), LOW, tops, steps=steps).reshape(-1, 2)


def through_arcs(through: Through, straight: bool, steps: int) -> Array:
    """What goes through the straight tops over the intervals."""
    u, w = np.polynomial.legendre.leggauss(16)
    share = (1 + u) / 2
    x, rise = _ends(straight, steps), TOPS[1] - TOPS[0]
    found = []
    for left, right in x:
        length = np.hypot(right - left, rise)
        normal = np.array([-rise, right - left]) / length
        at = (left + share * (right - left))[:, None]
        E = PoissonField(LINE).vector(at, TOPS[0] + share[:, None] * rise)
        found.append(through(E, np.broadcast_to(normal, E.shape)) @ w * length / 2)
    return np.array(found)


@lru_cache(maxsize=8)
def _cells(straight: bool, steps: int) -> tuple[Array, Array]:
    """Where the lines through the cells are at the top, and how much larger their areas are there."""
    if straight:
        return CELLS, np.ones(len(CELLS))
    field, low, step = PoissonField(PLANE), 0.016 / steps, 1.28 / steps
    shifts = step * np.array([-2, -1, 1, 2])
    starts = CELLS + shifts[:, None, None] * np.eye(2)[:, None, None, :]  # (2, 4, cells, 2)
    x = np.concatenate([CELLS, starts.reshape(-1, 2)])
    x = followed(field, x + low * field.velocity(x, low), low, HIGH, steps=steps)
    moved = x[len(CELLS) :].reshape(starts.shape)
    slopes = np.einsum("s,isnj->nij", np.array([1, -8, 8, -1]) / (12 * step), moved)
    return x[: len(CELLS)], np.linalg.det(slopes)


def through_cells(through: Through, straight: bool, steps: int) -> Array:
    """What goes through the tops over the cells, per area at the bottom."""
    x, growth = _cells(straight, steps)
    up = np.broadcast_to([0.0, 0.0, 1.0], (len(x), 3))
    return through(PoissonField(PLANE).vector(x, HIGH), up) * growth
