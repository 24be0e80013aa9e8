"""What is reversed: two peaks noised by a variance-preserving schedule, wide enough for grids of few cells, and a process with noise g(x)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

import fpk
from fpk.fokker_planck.solutions import GridMarginals
from fpk.laws import GaussianMixture

SCHEDULE = fpk.VPSchedule(0.6, 3.4)
PEAKS = GaussianMixture([0.3, 0.7], [-1.2, 1.2], stds=[0.5, 0.7])
NOISED = fpk.noising(SCHEDULE, PEAKS)
EXACT = fpk.exact(NOISED, times=[1.0])

#: Walls that the laws never reach.
FENCE = fpk.Boundary("no_flux", -5.6, 5.9)
WAVY = fpk.Problem(
    "-x", "sqrt(0.7 + 0.4*sin(1.5*x))", initial=PEAKS, horizon=0.5, boundary=FENCE, name="state-dependent noise"
)
#: Cells of the finer of two grids, quick size.
CELLS = 120


def between(cells: int) -> fpk.Grid:
    """The grid between the walls."""
    return fpk.Grid(FENCE.lower, FENCE.upper, cells=cells)


@lru_cache(maxsize=4)
def ahead(cells: int) -> GridMarginals:
    """The forward solution with state-dependent noise, every step kept."""
    count = cells // 6
    return fpk.solve(WAVY, between(cells), times=list(np.linspace(0, WAVY.horizon, count + 1)), steps=count)
