"""Journeys of a problem for assertions: from a law to the horizon, and there and back again, each finer on request, and cheap ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from fpk.closed_form import exact
from fpk.errors import ComparisonError, GridError, MassAtEdges, NoClosedForm
from fpk.fokker_planck.solutions import GridMarginals
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid
from fpk.laws import Array, Law
from fpk.particles.simulation import simulate
from fpk.problem import Boundary, Problem
from fpk.refinement import refine

#: A box reaches to where the density is e^{−DEPTH} of its peak, and is widened until less than EDGE of the mass comes near its edges.
DEPTH, EDGE, WIDENINGS = 30.0, 1e-8, 8
#: Cells over the initial law, particles and steps of a cheap journey.
CHEAP_CELLS, CHEAP_PARTICLES, CHEAP_STEPS = 64, 20_000, 32

#: 1, 2, 4, ... ↦ marginals at that multiple of the resolution.
Journey = Callable[[int], Any]


def started_at(problem: Problem, *, cells: int, particles: int | None, steps: int, seed: int) -> Journey:
    """From the initial law to the horizon: on three grids, or (one resolution only) with particles."""
    T = problem.horizon
    if particles is not None:
        run = cache(lambda: simulate(problem, particles=particles, steps=steps, times=[T], seed=seed))
        return lambda resolution: run()
    box = roomy_grid(problem, cells)

    def journey(resolution: int) -> Any:
        return refine(lambda k: solve(_walled(problem, box), _finer(box, k * resolution), times=[T]))

    return journey


def returned(problem: Problem, score: Any, reverse: Callable[..., Problem], *, cells: int) -> Journey:
    """Forward with every step kept, then back by ``reverse``; on three grids."""
    T, box = problem.horizon, roomy_grid(problem, cells)
    forward = _walled(problem, box)

    def there_and_back(k: int) -> GridMarginals:
        grid = _finer(box, k)
        steps = max(24 * k, grid.cells // 4)
        ahead = solve(forward, grid, times=list(np.linspace(0.0, T, steps + 1)), steps=steps)
        back = _same_horizon(reverse(forward, ahead.score if score is None else score, initial=ahead.law(T)), T)
        return solve(_walled(back, box), grid, times=[T], steps=steps)

    return lambda resolution: refine(lambda k: there_and_back(k * resolution))


def _same_horizon(back: Problem, horizon: float) -> Problem:
    if not isinstance(back, Problem):
        raise ComparisonError(
            f"reverse= is called as reverse(problem, score, initial=law) and must return the reversed fpk.Problem, got {back!r}."
        )
    if not np.isclose(back.horizon, horizon, rtol=1e-12):
        raise ComparisonError(
            f"reverse= returned a problem with horizon {back.horizon:g}, the forward one has {horizon:g}: pass horizon= on to it."
        )
    return back


def cheap(problem: Problem, times: Sequence[float]) -> Any:
    """Marginals that cost little: exact where that is known, else on one grid (d = 1), else of few particles, on the same noise for all problems."""
    try:
        return exact(problem, times=times)
    except NoClosedForm:
        pass
    if problem.dimension > 1:
        return simulate(problem, particles=CHEAP_PARTICLES, steps=CHEAP_STEPS, times=times)
    box = roomy_grid(problem, CHEAP_CELLS)
    return solve(_walled(problem, box), box, times=times)


def cheaply_returned(problem: Problem, *, cells: int) -> Callable[[Callable[..., Problem]], Any]:
    """There on one grid; a way back for each ``reverse(problem, score, initial=law)``, with the score of the way there."""
    T, box = problem.horizon, roomy_grid(problem, cells)
    steps = max(24, box.cells // 4)
    ahead = solve(_walled(problem, box), box, times=list(np.linspace(0.0, T, steps + 1)), steps=steps)

    def back(reverse: Callable[..., Problem]) -> Any:
        returning = reverse(problem, ahead.score, initial=ahead.law(T))
        return solve(_walled(returning, box), box, times=[T], steps=steps)

    return back


def _walled(problem: Problem, box: Grid) -> Problem:
    """Reflecting walls that the right law never reaches: mass that a wrong drift drives out piles up, and is seen."""
    if problem.boundary.kind != "open" or problem.noiseless:
        return problem
    return replace(problem, boundary=Boundary("no_flux", box.lower, box.upper))


def _finer(grid: Grid, k: int) -> Grid:
    return Grid(grid.lower, grid.upper, cells=grid.cells * k)


def roomy_grid(problem: Problem, cells: int) -> Grid:
    """A grid wide enough for the law at all times, with ``cells`` cells over the initial law.

    Raises
    ------
    GridError
        If the law spreads beyond every box tried.
    """
    walls = problem.boundary
    if walls.kind != "open":
        return Grid(walls.lower, walls.upper, cells=cells)
    lower, upper = reach(problem.initial)
    spacing = (upper - lower) / cells
    times = list(np.linspace(0.0, problem.horizon, 9))
    for _ in range(WIDENINGS):
        grid = Grid(lower, upper, cells=round((upper - lower) / spacing))
        try:
            if solve(problem, _finer(grid, 2), times=times).floor < EDGE:
                return grid
        except MassAtEdges:
            pass
        margin = 0.25 * (upper - lower)
        lower, upper = lower - margin, upper + margin
    raise GridError(
        f"the law of {problem.name or 'the problem'} spreads beyond [{lower:.4g}, {upper:.4g}] by t={problem.horizon:g}: "
        "use a shorter horizon, or state a boundary=."
    )


def reach(law: Law) -> tuple[float, float]:
    """Where a one-dimensional law has more than e^{−30} of its peak density."""
    points = law.breakpoints()
    x: Array = np.linspace(points[0], points[-1], 4001)
    logs = law.log_density(x[:, None])
    inside = x[logs > logs.max() - DEPTH]
    return float(inside[0]), float(inside[-1])
