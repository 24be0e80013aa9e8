r"""Quintic splines through cell values: the smooth reconstruction p̃ of everything that is asked between the centres of a grid.

Error O(h⁶) in values and O(h⁶⁻ᵏ) in k-th derivatives; on a ring the values are continued around it, elsewhere the spline ends without knots.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.grids import Grid
from fpk.laws import Array

#: Cells continued around a ring before a spline is laid through them.
WRAP = 8


def splined(grid: Grid, values: Array, *, periodic: bool) -> Any:
    """The spline through values at the centres, shape (cells, ...)."""
    from scipy.interpolate import make_interp_spline

    centers = grid.centers
    if periodic:
        ring = grid.upper - grid.lower
        centers = np.concatenate([centers[-WRAP:] - ring, centers, centers[:WRAP] + ring])
        values = np.concatenate([values[-WRAP:], values, values[:WRAP]])
    return make_interp_spline(centers, values, k=5)
