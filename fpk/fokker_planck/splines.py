r"""Quintic splines through cell values: the smooth reconstruction p̃ of everything that is asked between the centres of a grid.

Error O(h⁶) in values and O(h⁶⁻ᵏ) in k-th derivatives. On a ring the values are continued around it; elsewhere the spline ends without knots, or
in values that are stated at the walls.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.grids import Grid
from fpk.laws import Array

#: Cells continued around a ring before a spline is laid through them.
WRAP = 8


def splined(grid: Grid, values: Array, *, periodic: bool = False, walls: tuple[float, float] | None = None) -> Any:
    """The spline through values at the centres, shape (cells, ...), and through those at the walls, where they are stated."""
    centers = grid.centers
    if periodic:
        ring = grid.upper - grid.lower
        centers = np.concatenate([centers[-WRAP:] - ring, centers, centers[:WRAP] + ring])
        values = np.concatenate([values[-WRAP:], values, values[:WRAP]])
    if walls is not None:
        centers = np.concatenate([[grid.lower], centers, [grid.upper]])
        values = np.concatenate([walls[:1], values, walls[1:]])
    return quintic(centers, values)


def quintic(x: Array, values: Array) -> Any:
    """The spline through values at increasing points x; of lower degree through fewer than six."""
    from scipy.interpolate import make_interp_spline

    return make_interp_spline(x, values, k=min(5, len(x) - 1))
