r"""The continuity equation ∂_t p + ∂_x(v p) = 0 by the masses of cells: conserved and non-negative to the last bit, for zero noise.

In one dimension the flow is an increasing map, so the mass of the cell [a, b] at time t is what the initial law holds between the points
its faces come from,

    m = F_0(y_b) − F_0(y_a),      ẏ = v(y, s),  y(t) = face,  traced back to s = 0.

Masses telescope, are differences of an increasing function, and take all of the initial law's shape from its distribution function: nothing is
reconstructed between cells, so nothing is limited, and no mass is spread over more cells than the faces' own errors (fourth-order
Runge–Kutta). Densities are means over cells, and with their centres expectations are of second order in the cells;
:func:`fpk.solve` along characteristics is sharper, but conserves mass only as far as it is accurate and refuses points that have no origin.

At no-flux walls faces stop: what a velocity presses against a wall stays in the outermost cell; absorbing walls remove it. Beyond the reach of
the initial law its mass is 0 or 1, so characteristics that come from infinity in a finite time (ẋ = −x³) are stopped there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fpk.counts import counting
from fpk.errors import MassAtEdges, SchemeError
from fpk.fokker_planck.characteristics import moved
from fpk.fokker_planck.discretisation import check_fit
from fpk.fokker_planck.solutions import GridMarginals
from fpk.grids import Grid
from fpk.laws import Array
from fpk.marginals import ROUND_OFF
from fpk.problem import Problem, checked_steps

#: Mass outside a box that truncates the line: more is an error, less goes into the budget.
OUTSIDE = 1e-3
#: Widths of box and initial law, together, beyond which a characteristic is stopped.
REACH = 10.0


@dataclass(frozen=True, eq=False, repr=False)
class CellMarginals(GridMarginals):
    """Masses of cells over their widths; ``order`` 2 is that of expectations, for which masses stand at the centres.

    Parameters
    ----------
    levels : array, shape (len(times), cells + 1)
        P(X_t ≤ face).
    """

    levels: Array = field(kw_only=True)

    @property
    def masses(self) -> Array:
        """P(X_t in cell), shape (len(times), cells)."""
        return np.diff(self.levels, axis=1)

    def cdf(self, x: Array, t: float) -> Array:
        """P(X_t ≤ x) at x of shape (n,): exact at faces, an increasing cubic between them."""
        from scipy.interpolate import PchipInterpolator

        between = PchipInterpolator(self.grid.faces, self.levels[self._index(t)])
        return between(np.clip(x, self.grid.lower, self.grid.upper))


def conservative_flow(
    problem: Problem, grid: Grid, *, times: Sequence[float], steps: int | None = None
) -> CellMarginals:
    """Masses of the cells of a grid under a flow without noise.

    Parameters
    ----------
    problem : Problem
        d = 1, with the number 0 as its diffusion.
    grid : Grid
        For walls and periodic domains it must span exactly the domain.
    times : sequence of float
        In [0, horizon].
    steps : int, optional
        Runge–Kutta steps from 0 to the last time; default a quarter of the cells, at least 20.

    Returns
    -------
    CellMarginals

    Raises
    ------
    SchemeError
        If the problem has noise, or d > 1.
    GridError
        If the grid does not fit the domain.
    MassAtEdges
        If more than 1e-3 of the mass lies outside a box on the line.
    NonFinite
        If the velocity is not finite.

    Accuracy
    --------
    Masses: fourth order in the steps, no error from the cells. Mass drift: round-off.

    Examples
    --------
    >>> import fpk
    >>> flow = fpk.Problem("-x**3", 0, initial=fpk.Gaussian(0.0, 1.0))
    >>> run = conservative_flow(flow, fpk.Grid(-6, 6, cells=48), times=[1.0])
    >>> bool(abs(run.mass[0] - 1) < 1e-12), bool(run.minimum >= 0)
    (True, True)
    """
    times = problem.checked_times(times)
    if not problem.noiseless:
        raise SchemeError(
            f"a conservative flow needs the number 0 as the diffusion, {problem.name or 'this problem'} has noise: use fpk.solve."
        )
    steps = checked_steps(max(20, grid.cells // 4) if steps is None else steps, what="a flow")
    check_fit(problem, grid)
    levels = np.stack([_levels(problem, grid, t, max(1, round(steps * t / (times[-1] or 1.0)))) for t in times])
    kept = levels[:, -1] - levels[:, 0]
    outside = np.zeros_like(kept) if problem.boundary.kind == "absorbing" else np.abs(1 - kept)
    if outside.max() > OUTSIDE:
        raise MassAtEdges(
            f"{outside.max():.2g} of the mass lies outside [{grid.lower:g}, {grid.upper:g}] at t={times[int(np.argmax(outside))]:g} "
            f"(allowed {OUTSIDE:g}). Widen the grid."
        )
    densities = np.diff(levels, axis=1) / grid.widths
    floor = float(outside.max()) + ROUND_OFF * steps
    source = f"flow, masses of {grid.cells} cells, {counting(steps, 'step')}"
    return CellMarginals(grid, times, densities, 2, floor, source, levels=levels)


def _levels(problem: Problem, grid: Grid, t: float, steps: int) -> Array:
    """P(X_t ≤ face), shape (cells + 1,)."""
    lower, upper = _reach(problem, grid)
    y = grid.faces[:, None]
    h = t / steps
    for i in range(steps if t > 0 else 0):
        y = moved(problem, y, t - i * h, -h)
        if problem.boundary.kind != "periodic":
            y = np.clip(y, lower, upper)
    origins = np.maximum.accumulate(y[:, 0])
    if problem.boundary.kind == "periodic":
        return _around(problem, grid, origins)
    if problem.boundary.kind == "no_flux":
        origins[0], origins[-1] = lower, upper
    return np.maximum.accumulate(problem.initial.cdf(origins))


def _reach(problem: Problem, grid: Grid) -> tuple[float, float]:
    """Where characteristics stop: the walls, or far beyond the box and the initial law."""
    if problem.boundary.kind != "open":
        return grid.lower, grid.upper
    points = np.concatenate([problem.initial.breakpoints(), grid.faces])
    lower, upper = float(points.min()), float(points.max())
    return lower - REACH * (upper - lower), upper + REACH * (upper - lower)


def _around(problem: Problem, grid: Grid, origins: Array) -> Array:
    """F_0 continued around the ring: one more mass for each turn; the last face is the first, a turn later."""
    length = grid.upper - grid.lower
    origins[-1] = origins[0] + length
    turns = np.floor((origins - grid.lower) / length)
    turns[-1] = turns[0] + 1
    ends = problem.initial.cdf(np.array([grid.lower, grid.upper]))
    inside = problem.initial.cdf(np.clip(origins - turns * length, grid.lower, grid.upper))
    levels = inside - ends[0] + turns * (ends[1] - ends[0])
    return np.maximum.accumulate(levels - levels[0])
