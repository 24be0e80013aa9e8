r"""``solve``: the marginals of a problem on a grid. Here in one dimension; product grids go to :mod:`fpk.fokker_planck.product.solver`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fpk.counts import counting
from fpk.errors import MassAtEdges, NonFinite
from fpk.fokker_planck import kernels
from fpk.fokker_planck.characteristics import log_density, pushed
from fpk.fokker_planck.discretisation import Discretisation, Scheme, check_fit, discretised, initial_density
from fpk.fokker_planck.solutions import FlowMarginals, GridMarginals
from fpk.grids import Grid, ProductGrid
from fpk.laws import Array
from fpk.marginals import ROUND_OFF
from fpk.problem import Problem, checked_steps

if TYPE_CHECKING:
    from fpk.fokker_planck.product.discretisation import ProductScheme
    from fpk.fokker_planck.product.solutions import ProductMarginals

#: Mass near the edges of a box that truncates the line: more is an error, less goes into the budget.
EDGE_LIMIT = 1e-3
EDGE_CELLS = 0.02


@overload
def solve(  # noqa: D418 (every public function has one here)
    problem: Problem,
    grid: Grid,
    *,
    times: Sequence[float],
    steps: int | None = None,
    scheme: Scheme | None = None,
    positive: bool = False,
) -> GridMarginals:
    """In one dimension."""
    ...


@overload
def solve(  # noqa: D418 (every public function has one here)
    problem: Problem,
    grid: ProductGrid,
    *,
    times: Sequence[float],
    steps: int | None = None,
    scheme: ProductScheme | None = None,
    positive: bool = False,
) -> ProductMarginals:
    """In two and three dimensions."""
    ...


def solve(
    problem: Problem,
    grid: Grid | ProductGrid,
    *,
    times: Sequence[float],
    steps: int | None = None,
    scheme: Any = None,
    positive: bool = False,
) -> GridMarginals | ProductMarginals:
    """Solve the Fokker–Planck equation (zero noise: the continuity equation) on a grid, in as many dimensions as it has axes.

    Parameters
    ----------
    problem : Problem
        In one dimension diagonal noise.
    grid : Grid or ProductGrid
        For walls and periodic domains it must span exactly the domain. For products see :func:`fpk.fokker_planck.product.solver.solved`:
        what follows is about one dimension.
    times : sequence of float
        Where p_t is wanted, in [0, horizon].
    steps : int, optional
        Time steps from 0 to the last time; default a quarter of the cells, at least 20. Refine them with the cells. Not used by the
        one exponential that is exact in time: drift and diffusivity change in time by a common factor only, and the spectrum is known to be
        real (no ring, cell Péclet numbers |f| h/D up to about 1).
    scheme : Scheme, optional
        Default :data:`EXACT_IN_TIME` (sixth-order well-balanced flux, rational exponential) where A(t) = c(t) A, else :data:`ACCURATE`
        (fourth-order L-stable steps).
    positive : bool, default False
        Choose :data:`POSITIVE`: densities never below zero, second order in space and first in time.

    Returns
    -------
    GridMarginals
        ``mass``, ``minimum`` and ``density(t)`` besides the contract. Its expectations are corrected by their residual and come with a budget,
        for which the problem is solved again on half the cells; :func:`fpk.refine` reads a budget from three resolutions instead.

    Raises
    ------
    SchemeError
        For other dimensions than the grid's, vanishing noise, or a scheme that cannot keep a promise asked for.
    GridError, MassAtEdges
        If the grid does not fit the domain, or the law reaches the edges of the box.
    NonFinite
        If a coefficient is not finite, with x and t.

    Accuracy
    --------
    Densities at the cell centres: that of the scheme where the law does not reach walls, around rings, and where at walls the drift is odd and the
    diffusivity even about them. Second order in the cell width where the drift does not vanish at a wall that the law reaches.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.3))
    >>> solution = solve(ou, fpk.Grid(-6, 6, cells=128), times=[1.0])
    >>> bool(abs(solution.mass[0] - 1) < 1e-12)
    True
    """
    if isinstance(grid, ProductGrid):
        from fpk.fokker_planck.product import solver as product

        return product.solved(problem, grid, times=times, steps=steps, scheme=scheme, positive=positive)
    times = problem.checked_times(times)
    if problem.noiseless:
        return _flowed(
            problem, grid, times, checked_steps(max(20, grid.cells // 4) if steps is None else steps, what="a flow")
        )
    plan = discretised(problem, grid, steps=steps, scheme=scheme, positive=positive)
    densities = np.array([q for _, q in plan.forward(plan.start, times)])
    if not grid.uniform:
        densities /= grid.center_stretch
    floor = plan.missed + mass_at_edges(plan, times, densities) + ROUND_OFF * plan.steps

    def halved() -> GridMarginals:
        half = replace(grid, cells=grid.cells // 2)
        return solve(problem, half, times=times, steps=companion_steps(plan, times), scheme=plan.scheme)

    return GridMarginals(grid, times, densities, plan.scheme.order, floor, plan, halved)


def companion_steps(plan: Discretisation, times: tuple[float, ...]) -> int:
    """Steps of the solution on half the cells: half as many, or twice as many where an interval has a single step that is not exact.

    Half of one step is one step, with the same error: the two solutions would differ by less than either is wrong.
    """
    alone = any(len(legs) == 1 for _, legs in plan.stepper.scheduled(times, plan.steps))
    inexact = plan.stepper.counted(2) > 1
    return 2 * plan.steps if alone and inexact else max(1, plan.steps // 2)


def _flowed(problem: Problem, grid: Grid, times: tuple[float, ...], steps: int) -> FlowMarginals:
    check_fit(problem, grid)
    start = initial_density(problem, grid)
    weights = start * grid.widths
    positions = pushed(problem, grid.centers, times, steps)
    outside = ((positions < grid.lower) | (positions > grid.upper)) @ weights
    if problem.boundary.kind != "open" and outside.max() > EDGE_LIMIT:
        raise MassAtEdges(
            f"{outside.max():.2g} of the mass leaves [{grid.lower:g}, {grid.upper:g}] by t={times[int(np.argmax(outside))]:g}: without noise, "
            "characteristics cross every wall. Use an open boundary, or a velocity that vanishes at the walls."
        )

    def steps_to(t: float) -> int:
        return max(1, round(steps * t / (times[-1] or 1.0)))

    return FlowMarginals(
        grid,
        times,
        order=4,
        floor=abs(float(weights.sum()) - 1) + ROUND_OFF * steps,
        plan=f"flow, characteristics, {grid.cells} points, {counting(steps, 'step')}",
        traced=lambda x, when: [np.exp(log_density(problem, x, t, steps_to(t))) for t in when],
        weights=weights,
        positions=positions,
        initial=problem.initial,
    )


def mass_at_edges(plan: Discretisation, times: tuple[float, ...], densities: Array) -> float:
    """Mass in the outermost 2 % of the cells, over all times, when the box only truncates the line; refuses densities that are not finite."""
    problem, grid = plan.problem, plan.grid
    worst, outer, total = kernels.rims(densities, grid.widths, max(2, int(EDGE_CELLS * grid.cells) // 2))
    if not math.isfinite(total):
        raise NonFinite(
            f"the density of {problem.name or 'the problem'} is not finite: refine the time steps (steps={plan.steps})."
        )
    if problem.boundary.kind != "open":
        return 0.0
    if outer > EDGE_LIMIT:
        raise MassAtEdges(
            f"the box [{grid.lower:g}, {grid.upper:g}] is too small: {outer:.2g} of the mass sits at its edges at "
            f"t={times[worst]:g} (allowed {EDGE_LIMIT:g}). Widen the grid, or state a boundary= if walls are meant."
        )
    return outer
