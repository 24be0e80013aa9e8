"""What the studies share: the data law, the routes at their sizes, and laws to hold them against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.fokker_planck.solutions import GridMarginals
from fpk.refinement import RefinedMarginals
from fpk.study import Size

#: Walls far outside the law: a wrong drift then piles its mass up at a wall instead of losing it.
BOX = (-6.5, 7.0)
WALLS = fpk.Boundary("no_flux", *BOX)
DATA = fpk.problems.two_peaks()


def on_grid(
    problem: fpk.Problem, size: Size, *, times: list[float], cells: int = 54, steps: int = 11
) -> RefinedMarginals:
    """The problem on three grids between its walls (or over the box); ``cells`` and ``steps`` are the coarsest of the quick size.

    Flows take half of the steps: points are followed with an error that others do not reach.
    """
    walls = BOX if problem.boundary.kind == "open" else (problem.boundary.lower, problem.boundary.upper)

    def level(k: int) -> GridMarginals:
        grid = fpk.Grid(*walls, cells=size.cells(cells) * k)
        return fpk.solve(problem, grid, times=times, steps=size.cells(steps) * k // (2 if problem.noiseless else 1))

    return fpk.refine(level)


def walled(problem: fpk.Problem, walls: fpk.Boundary = WALLS) -> fpk.Problem:
    """The same problem between reflecting walls that its law never reaches; a flow without noise needs none."""
    return problem if problem.noiseless else replace(problem, boundary=walls)


def constant_law(law: Any, *, time: float, source: str) -> fpk.LawMarginals:
    """A law that should be the marginal at one time."""
    return fpk.LawMarginals({time: law}, (time,), source=source)


def boxed(
    drift: Any, diffusion: Any, *, initial: Any, horizon: float = 1.0, walls: fpk.Boundary = WALLS, name: str = ""
) -> fpk.Problem:
    """A problem between reflecting walls that its law never reaches."""
    return fpk.Problem(drift, diffusion, initial=initial, horizon=horizon, boundary=walls, name=name)


@lru_cache(maxsize=16)
def forward_score(problem: fpk.Problem, size: Size, k: int, *, cells: int, steps: int) -> GridMarginals:
    """The forward solution of level k with every step kept, so that it can be asked for its score; shared by all variants."""
    count = size.cells(steps) * k
    times = np.linspace(0.0, problem.horizon, count + 1)
    return fpk.solve(problem, fpk.Grid(*BOX, cells=size.cells(cells) * k), times=list(times), steps=count)


def l1(p: np.ndarray, q: np.ndarray, grid: fpk.Grid) -> float:
    """The L¹ distance of two densities at the cell centres."""
    return float(np.abs(p - q) @ grid.widths)


Score = Callable[[np.ndarray, float], np.ndarray]


def scaled(score: Score, factor: float) -> Score:
    """The score times a factor."""
    return lambda x, t: factor * score(x, t)
