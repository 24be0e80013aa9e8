r"""A box and a resolution for a problem: chosen by cheap solves, and reported with what they leave out.

1. The first box holds the initial law up to quantiles of 1e-12, with room on both sides, or is the domain between walls.
2. Cheap solves by the second-order scheme between reflecting walls, where no mass is lost, widen the box on the side where more than ``outside``
   of the mass sits in its outermost fiftieth, and cut it to what holds mass from time 0 on, with room to spare.
3. With the box, cells (and steps) are doubled until the densities change by less than ``accuracy`` in L1. This change is the estimate of the
   error, an upper one for any order from 1: orders seen on the way may be those of another term.
4. Mass that the box leaves out is measured again at the end, by the chosen grid against the same resolution on a box a quarter wider.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fpk.counts import counting
from fpk.errors import GridError, SchemeError
from fpk.fokker_planck.discretisation import SECOND_ORDER
from fpk.fokker_planck.solutions import GridMarginals
from fpk.fokker_planck.solver import EDGE_CELLS, solve
from fpk.grids import Grid
from fpk.laws import Array
from fpk.problem import Boundary, Problem

#: Quantile of the initial law up to which the first box reaches; room beside it, in widths of the law.
TAIL, ROOM = 1e-12, 0.25
#: Most times a box grows, and by which share of its width on a side.
GROWTHS, GROWTH = 40, 0.25
#: Cells of the first cheap solve and steps of each, cells of the first real one, and the most of either.
CHEAP, CHEAP_STEPS, FIRST, MOST = 240, 160, 64, 16384


@dataclass(frozen=True)
class FittedGrid:
    """A grid for a problem, and what is known about it.

    Parameters
    ----------
    grid : Grid
    steps : int
        Time steps to the last time that go with it.
    outside : float
        Estimated mass that the box leaves out, at the worst of the times.
    error : float
        Estimated L1 error of the densities, at the worst of the times.
    text : str
        How they came about.
    """

    grid: Grid
    steps: int
    outside: float
    error: float
    text: str

    def __str__(self) -> str:
        """The text."""
        return self.text


def fitted_grid(
    problem: Problem,
    *,
    times: Sequence[float],
    outside: float = 1e-10,
    accuracy: float = 1e-6,
) -> FittedGrid:
    """Choose the box and the cells of a grid for a one-dimensional problem with noise.

    Parameters
    ----------
    problem : Problem
    times : sequence of float
        Times at which the densities are wanted; the box also has to hold the law on the way there.
    outside : float, default 1e-10
        Largest mass in the outermost fiftieth of the box.
    accuracy : float, default 1e-6
        L1 error of the densities.

    Returns
    -------
    FittedGrid

    Raises
    ------
    GridError
        If the box keeps growing, or the cells reach 16384, with what to do.
    SchemeError
        For d > 1, and for problems without noise: points of a flow need no box.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(2.0, 0.3))
    >>> fitted = fitted_grid(ou, times=[1.0], accuracy=1e-5)
    >>> fitted.error < 1e-5, fitted.grid.lower < -2 < 4 < fitted.grid.upper
    (True, True)
    """
    times = problem.checked_times(times)
    _check(problem, outside, accuracy)
    lower, upper, growths = _box(problem, times, outside)
    fine, error = _resolved(problem, (lower, upper), times, accuracy)
    grid, steps = fine.grid, fine.plan.steps
    left_out = 0.0 if problem.boundary.kind != "open" else _left_out(problem, fine, times)
    walls = "between its walls" if problem.boundary.kind != "open" else f"after {growths} cheap solves"
    text = (
        f"[{lower:.6g}, {upper:.6g}] {walls}, {grid.cells} cells, {counting(steps, 'step')}: "
        f"L1 error about {error:.1e} (asked {accuracy:.1e}), mass outside about {left_out:.1e} (asked {outside:.1e})"
    )
    return FittedGrid(grid, steps, left_out, error, text)


def _check(problem: Problem, outside: float, accuracy: float) -> None:
    for name, value in (("outside", outside), ("accuracy", accuracy)):
        if not isinstance(value, (int, float, np.number)) or not 1e-14 < value < 1e-2:
            raise GridError(f"{name} must lie between 1e-14 and 1e-2, got {value!r}. Leave it out for the default.")
    if problem.dimension != 1:
        raise SchemeError(f"a grid is one-dimensional, this problem has d = {problem.dimension}. Use fpk.simulate.")
    if problem.noiseless:
        raise SchemeError(
            "a problem without noise needs no fitted grid: its points are followed wherever they go. "
            "Pass fpk.solve a grid that holds the initial law."
        )


# -- the box -----------------------------------------------------------------------------------------------------------


def _box(problem: Problem, times: tuple[float, ...], outside: float) -> tuple[float, float, int]:
    """Ends, and how many cheap solves it took."""
    walls = problem.boundary
    if walls.kind != "open":
        return walls.lower, walls.upper, 0
    lower, upper = _first_box(problem)
    width = (upper - lower) / CHEAP
    watched = tuple(np.linspace(0.0, times[-1] or problem.horizon, 9)) + times
    for tried in range(1, GROWTHS + 1):
        masses = _cheap_masses(problem, (lower, upper), width, tuple(sorted(set(watched))))
        rim = max(2, int(EDGE_CELLS * masses.shape[1]))
        left, right = masses[:, :rim].sum(1).max(), masses[:, -rim:].sum(1).max()
        if max(left, right) < outside:
            return *_cut(masses, lower, upper, outside), tried
        grown = GROWTH * (upper - lower)
        lower, upper = lower - grown * (left >= outside), upper + grown * (right >= outside)
    raise GridError(
        f"after {GROWTHS} boxes {max(left, right):.2g} of the mass still sits at the edges of [{lower:.4g}, {upper:.4g}] (allowed {outside:.2g}): "
        "the law spreads too far. Ask for a larger outside=, an earlier last time, or state a boundary=."
    )


def _first_box(problem: Problem) -> tuple[float, float]:
    """Where the initial law has its quantiles of 1e-12, and room."""
    points = problem.initial.breakpoints()
    levels = problem.initial.cdf(points)
    held = points[(levels > TAIL) & (levels < 1 - TAIL)]
    room = ROOM * (held[-1] - held[0])
    return float(held[0] - room), float(held[-1] + room)


def _cheap_masses(problem: Problem, box: tuple[float, float], width: float, times: tuple[float, ...]) -> Array:
    """Masses of cells of about one width (undershoots too) between reflecting walls: none is lost, so that it shows at the edges."""
    grid = Grid(*box, cells=_enough_cells(problem, box, width))
    walled = replace(problem, boundary=Boundary("no_flux", *box))
    run = solve(walled, grid, times=times, steps=CHEAP_STEPS, scheme=SECOND_ORDER)
    return np.abs(run.densities) * grid.widths


def _enough_cells(problem: Problem, box: tuple[float, float], width: float) -> int:
    """Cells of the width, or less, that hold the initial mass."""
    cells = min(MOST, round((box[1] - box[0]) / width))
    while cells <= MOST:
        grid = Grid(*box, cells=cells)
        p = np.exp(problem.initial.log_density(grid.centers[:, None]))
        if abs(float(p @ grid.widths) - 1) < 1e-4:
            return cells
        cells *= 2
    raise GridError(
        f"{MOST} cells on [{box[0]:.4g}, {box[1]:.4g}] do not hold the initial mass: "
        "the initial law is too narrow for cells of one width in a box that wide, or jumps. "
        "Use Grid(..., focus=, breadth=), or a smoother initial law."
    )


def _cut(masses: Array, lower: float, upper: float, outside: float) -> tuple[float, float]:
    """The box cut to what holds all but a tenth of ``outside`` at every time, with a twentieth to spare on both sides."""
    edges = np.linspace(lower, upper, masses.shape[1] + 1)
    full = (np.cumsum(masses, 1).max(0) >= outside / 10) & (np.cumsum(masses[:, ::-1], 1).max(0)[::-1] >= outside / 10)
    held = np.flatnonzero(full)
    first, last = edges[held[0]], edges[held[-1] + 1]
    spare = 0.05 * (last - first)
    return float(max(lower, first - spare)), float(min(upper, last + spare))


# -- the cells ---------------------------------------------------------------------------------------------------------


def _resolved(
    problem: Problem, box: tuple[float, float], times: tuple[float, ...], accuracy: float
) -> tuple[GridMarginals, float]:
    """The first of the doubled solutions that changes by less than the accuracy, and by less than the one before; and that change."""
    coarse, change = None, np.inf
    for fine in _doubled(problem, box, times):
        if coarse is not None:
            before, change = change, _apart(coarse, fine)
            if change < min(accuracy, before):
                return fine, change
        coarse = fine
    raise GridError(
        f"{MOST} cells on [{box[0]:.4g}, {box[1]:.4g}] still change by {change:.2g} (asked {accuracy:.2g}). Ask for a larger accuracy=, "
        "or use a stretched grid, Grid(..., focus=, breadth=)."
    )


def _doubled(problem: Problem, box: tuple[float, float], times: tuple[float, ...]) -> Iterator[GridMarginals]:
    """Solutions with cells and steps doubled; grids too coarse for the initial law are passed over."""
    cells = FIRST
    while cells <= MOST:
        with contextlib.suppress(GridError):
            yield solve(problem, Grid(*box, cells=cells), times=times, steps=max(16, cells // 4))
        cells *= 2


def _apart(coarse: GridMarginals, fine: GridMarginals) -> float:
    """The largest L1 distance over the times, at the centres of the finer grid."""
    x, w = fine.grid.centers, fine.grid.widths
    return max(float(np.abs(coarse.density_on(x, t) - fine.density(t)) @ w) for t in fine.times)


def _left_out(problem: Problem, fine: GridMarginals, times: tuple[float, ...]) -> float:
    """Mass that a box a quarter wider, with cells of the same width, holds beyond this one."""
    grid = fine.grid
    more = grid.cells // 8
    wide = Grid(grid.lower - more * grid.spacing, grid.upper + more * grid.spacing, cells=grid.cells + 2 * more)
    run = solve(problem, wide, times=times, steps=fine.plan.steps)
    beyond = np.concatenate([run.densities[:, :more], run.densities[:, -more:]], axis=1)
    return float((np.abs(beyond).sum(1) * grid.spacing).max())
