r"""As many time steps as an accuracy needs: steps are doubled until the densities of two solutions agree.

The error of the last solution is put at its change from the one with half the steps (L1, the worst of the times), which bounds it for every
order from 1. The error of the cells is not looked at: budgets of expectations and :func:`fpk.fokker_planck.boxes.fitted_grid` do that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.errors import SchemeError
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid, ProductGrid
from fpk.laws import Array
from fpk.problem import Problem

#: First and largest number of steps; the first in two and three dimensions where coefficients are steady, as exponentials then have no error in time.
FEWEST, MOST, ONE = 8, 2**15, 1


@dataclass(frozen=True, eq=False)
class Reached:
    """A solution whose steps were chosen.

    Parameters
    ----------
    solution : GridMarginals or ProductMarginals
    steps : int
        Steps from 0 to the last time; 1 for each time where the scheme is exact in time.
    error : float
        Last L1 change, at the worst of the times; 0 where the scheme is exact in time.
    tried : tuple of int
        All the numbers of steps that were solved with.
    """

    solution: Any
    steps: int
    error: float
    tried: tuple[int, ...]

    def __str__(self) -> str:
        """What was used."""
        if len(self.tried) == 1:
            return f"{self.solution.source}: exact in time, nothing to choose"
        return f"{self.solution.source}: changed by {self.error:.1e} in L1 from {self.tried[-2]} steps (tried {', '.join(map(str, self.tried))})"


def solve_to(
    problem: Problem, grid: Grid | ProductGrid, *, times: Sequence[float], accuracy: float, scheme: Any = None
) -> Reached:
    """Solve with as many time steps as it takes for the densities to be right to ``accuracy``, as far as steps are concerned.

    Parameters
    ----------
    problem, grid, times, scheme
        As for :func:`fpk.solve`, in one, two or three dimensions.
    accuracy : float
        L1 error of the densities that comes from the steps.

    Returns
    -------
    Reached

    Raises
    ------
    SchemeError
        If the accuracy is not within [1e-12, 1e-1], or not reached with 32768 steps; and as :func:`fpk.solve` does.

    Examples
    --------
    >>> import fpk
    >>> swinging = fpk.Problem("sin(3*t) - x", 1.0, initial=fpk.Gaussian(0.0, 0.5))
    >>> reached = solve_to(swinging, fpk.Grid(-6, 6, cells=96), times=[1.0], accuracy=1e-8)
    >>> reached.error < 1e-8
    True
    """
    if not isinstance(accuracy, (int, float, np.number)) or not 1e-12 <= accuracy <= 0.1:
        raise SchemeError(f"accuracy must lie in [1e-12, 0.1], got {accuracy!r}: round-off is near 1e-13.")

    def solved(steps: int) -> Any:
        return solve(problem, grid, times=times, steps=steps, scheme=scheme)  # type: ignore[call-overload]

    tried, error = [ONE if isinstance(grid, ProductGrid) and problem.steady else FEWEST], np.inf
    coarse = solved(tried[0])
    while tried[-1] < MOST:
        fine = solved(2 * tried[-1])
        same = np.array_equal(fine.densities, coarse.densities)
        if same and _exact(coarse.plan):
            return Reached(coarse, len(coarse.times), 0.0, (tried[0],))
        tried.append(2 * tried[-1])
        error = float(_distances(fine.densities, coarse.densities, grid).max())
        if error < accuracy and not same:
            return Reached(fine, tried[-1], error, tuple(tried))
        coarse = fine
    raise SchemeError(
        f"{MOST} steps still change the densities by {error:.2g} (asked {accuracy:.2g}). Ask for a larger accuracy=, "
        "or take a scheme of higher order than the one in use (ACCURATE has four)."
    )


def _exact(plan: Any) -> bool:
    """Whether steps that changed nothing were none at all, and not both divided into the same ones to be stable."""
    return isinstance(plan, str) or plan.stepper.counted(plan.steps) == 1


def _distances(p: Array, q: Array, grid: Grid | ProductGrid) -> Array:
    """L¹ distances of densities (M, ...) at the M times."""
    apart = np.abs(p - q).reshape(len(p), -1)
    return apart @ grid.widths if isinstance(grid, Grid) else apart.sum(axis=1) * grid.volume
