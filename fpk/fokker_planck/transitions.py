r"""Transition densities p(x, t | y): the law at t of a process that starts at one point.

A point mass is no grid function. It is spread over the cells around y with the Lagrange weights ℓ_i(y), so that with the backward solution u

    E[φ(X_t) | X_0 = y] = Σ_i ℓ_i(y) u_i(0),

the polynomial interpolant of u at y: as accurate as the interpolation, once u is smooth on the scale of the cells, that is for D t ≫ h². Every
step is damping (L-stable, or an exponential), so that the roughness of the start dies out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from fpk.errors import GridError, ProblemError
from fpk.fokker_planck.discretisation import Discretisation, Scheme, discretised
from fpk.fokker_planck.solutions import GridMarginals
from fpk.fokker_planck.solver import companion_steps, mass_at_edges
from fpk.grids import Grid
from fpk.laws import Array
from fpk.marginals import ROUND_OFF
from fpk.panels import Panel
from fpk.problem import Problem

#: Points of the interpolation: the order of the flux and two more, so that the flux decides.
EXTRA = 2
#: Smallest D t / h² at which a start at one point is smooth on the grid.
SMOOTH = 4.0
#: Steps of one length, and lengths, on the way to the first time, where one exponential is not enough.
STAGE, DOUBLINGS = 12, 8


@dataclass(frozen=True, eq=False, repr=False)
class TransitionDensities(GridMarginals):
    """Densities p(·, t | start).

    Parameters
    ----------
    start : float
        y.
    """

    start: float = field(kw_only=True)

    def corrections(self, panel: Panel, problem: Problem | None = None) -> Array:
        """None: the residual of a point start is not integrable."""
        return np.zeros(len(panel.names))


def transition_density(
    problem: Problem,
    grid: Grid,
    *,
    start: float,
    times: Sequence[float],
    steps: int | None = None,
    scheme: Scheme | None = None,
) -> TransitionDensities:
    """p(x, t | y, 0) on a grid, for one start y.

    Parameters
    ----------
    problem : Problem
        d = 1; its initial law is not used.
    grid : Grid
    start : float
        y, inside the grid.
    times : sequence of float
        In (0, horizon], late enough for the law to be a few cells wide: D t ≥ 4 h².
    steps, scheme : optional
        As for :func:`fpk.solve`; the way to the first time takes 96 steps of its own, of growing length.

    Raises
    ------
    ProblemError
        If the start is outside the grid.
    GridError
        If the first time is too early for the cells, or the grid does not fit.
    MassAtEdges
        If the law reaches the edges of the box.

    Accuracy
    --------
    The order of the flux (sixth, second), and of the steps, once D t ≥ 4 h² at the start.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(0.0, 1.0))
    >>> p = transition_density(ou, fpk.Grid(-6, 6, cells=200), start=1.5, times=[0.5])
    >>> round(float(p.density_on(np.array([1.5 * np.exp(-0.5)]), 0.5)[0] * np.sqrt(2 * np.pi * (1 - np.exp(-1)))), 7)
    1.0
    """
    if not isinstance(start, (int, float, np.number)):
        raise ProblemError(f"the start must be one number, got {start!r}. For several, solve for each.")
    if not grid.lower < start < grid.upper:
        raise ProblemError(
            f"the start {start:g} is outside the grid ({grid.lower:g}, {grid.upper:g}): take one inside, or widen the grid."
        )
    times = problem.checked_times(times)
    plan = discretised(problem, grid, steps=steps, scheme=scheme)
    _check_smooth(problem, grid, start, times[0])
    q = point_start(
        grid, start, points=int(plan.scheme.flux.order) + EXTRA, periodic=problem.boundary.kind == "periodic"
    )
    if plan.scheme.positive:
        q = point_start(grid, start, points=2, periodic=problem.boundary.kind == "periodic")
    densities = np.stack(list(_carried(plan, q, times))) / grid.center_stretch
    floor = mass_at_edges(plan, times, densities) + ROUND_OFF * plan.steps

    def halved() -> TransitionDensities:
        half, taken = replace(grid, cells=grid.cells // 2), companion_steps(plan, times)
        return transition_density(problem, half, start=start, times=times, steps=taken, scheme=plan.scheme)

    return TransitionDensities(grid, times, densities, plan.scheme.order, floor, plan, halved, start=start)


def _carried(plan: Discretisation, q: Array, times: tuple[float, ...]) -> Iterator[Array]:
    """The solution at the times. Up to the first, steps double in length every ``STAGE`` of them, as the law from a point widens."""
    stepper = plan.stepper
    count = stepper.counted(STAGE)
    edges = times[0] * np.array([0.0, *(2.0 ** np.arange(1 - (DOUBLINGS if count > 1 else 1), 1))])
    for a, b in pairwise(edges):
        for i in range(count):
            q = stepper.advanced(q, a + (b - a) * i / count, (b - a) / count)
    yield q
    for _, legs in stepper.scheduled(times, plan.steps)[1:]:
        for t, step in legs:
            q = stepper.advanced(q, t, step)
        yield q


def _check_smooth(problem: Problem, grid: Grid, start: float, first: float) -> None:
    moments = np.linspace(0.0, first, 5)
    D = float(np.mean([problem.diffusivity(np.array([[start]]), t)[0, 0] for t in moments]))
    width = float(np.interp(start, grid.centers, grid.widths))
    if D * first < SMOOTH * width**2:
        raise GridError(
            f"from one point, p at t={first:g} is {np.sqrt(2 * D * first):.2g} wide, the cells at x={start:g} {width:.2g}. "
            f"Ask for times ≥ {SMOOTH * width**2 / max(D, 1e-300):.2g}, use more cells, or a grid focused there (focus=, breadth=)."
        )


def point_start(grid: Grid, start: float, *, points: int, periodic: bool = False) -> Array:
    """The density per unit of ξ of a point mass, shape (cells,): Lagrange weights at the ``points`` cell centres nearest to the start.

    With the weights q Δξ every polynomial (in ξ) of degree ``points`` − 1 has its value at the start as its expectation. Two points give
    weights ≥ 0. Next to a wall the cells of one side are used; around a ring they wrap.
    """
    place = _index_of(grid, start) - 0.5  # in units of cells, centres at whole numbers
    first = int(np.floor(place)) - points // 2 + 1
    if not periodic:
        first = min(max(first, 0), grid.cells - points)
    nodes = first + np.arange(points)
    q = np.zeros(grid.cells)
    for i, node in enumerate(nodes):
        others = np.delete(nodes, i)
        q[node % grid.cells] = np.prod((place - others) / (node - others)) / grid.spacing
    return q


def _index_of(grid: Grid, x: float) -> float:
    """The number of cells from the lower end to x: the inverse of ``grid.position``."""
    if grid.uniform:
        return (x - grid.lower) / grid.spacing
    ends = [float(np.arcsinh((y - grid.focus) / grid.breadth)) for y in (grid.lower, x)]  # type: ignore[operator]
    return (ends[1] - ends[0]) / grid.spacing
