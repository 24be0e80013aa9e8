r"""Zero noise on product grids: densities traced back along characteristics, and points that are carried forward.

    log p_t(x) = log p_0(x_0) + log |∂x_0/∂x|,      E φ(X_t) = Σ_i p_0(x_i) φ(X_t(x_i)) h_1 ⋯ h_d.

Expectations come from the densities; from the points where the flow has made the law narrower than the cells, and for joint laws of two times.

No density is spread from cell to cell, so there is no error from the cells; that of the Runge–Kutta steps is of fourth order. As nothing makes
the mass of the traced densities 1, its defect tells of errors at no cost (of those that do not cancel in the sum: it has been seen a hundredth of
the L1 error).

Where the velocity is plain arithmetic (formulas, linear drifts, probability flows with exact scores of mixtures) its divergence is exact and
the steps are compiled; other velocities are called, and their divergence is taken by differences of sixth order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fpk.counts import counting
from fpk.errors import GridError, MassAtEdges, NonFinite, SchemeError
from fpk.fokker_planck.characteristics import followed
from fpk.fokker_planck.product.discretisation import named_box
from fpk.fokker_planck.product.fields import check_problem
from fpk.fokker_planck.product.solutions import ProductMarginals
from fpk.fokker_planck.product.tracks import Tracks
from fpk.grids import ProductGrid, stored_index
from fpk.laws import Array
from fpk.marginals import ROUND_OFF
from fpk.panels import Block, ThresholdBlock, one_time
from fpk.paths import TwoTimeBlock
from fpk.problem import Problem, checked_steps
from fpk.tracing import NotTraceable

#: Mass that may leave the box.
EDGE_LIMIT = 1e-3
#: Mass defect above which the cells do not resolve the density, and expectations are sums over points.
RESOLVED = 1e-5
#: Relative change of densities from twice the steps that is aimed at where no steps are stated.
AIM = 1e-7
#: Points that choose the instants of steps, and about how many choose their number.
PILOTS, PROBES = 32, 400
#: Accuracy of the steps that are then refined.
ROUGH = 1e-4


@dataclass(frozen=True, eq=False, repr=False)
class ProductFlow(ProductMarginals):
    """Marginals of a flow without noise: densities traced back to the grid, and points that start at its cell centres.

    Parameters
    ----------
    problem : Problem
    weights : array, shape (cells,)
        Mass carried by the points.
    mesh : array
        Instants of the steps, 0 and the times among them.
    """

    problem: Problem = field(kw_only=True)
    weights: Array = field(kw_only=True)
    mesh: Array = field(kw_only=True)

    @property
    def steps(self) -> int:
        """Runge–Kutta steps from 0 to the last time."""
        return len(self.mesh) - 1

    @property
    def defect(self) -> Array:
        """How far masses are from that of the initial law on the grid, shape (len(times),): a lower bound of the L1 error, up to quadrature."""
        return np.abs(self.mass - self.weights.sum())

    @cached_property
    def positions(self) -> Array:
        """Where they are at the times, shape (len(times), cells, d); found when they are first asked for."""
        at, reached, kept = self.grid.points, 0.0, []
        for t in self.times:
            leg = self.mesh[(self.mesh >= reached) & (self.mesh <= t)]
            at, reached = carried(self.problem, at, leg)[0], t
            kept.append(at)
        return np.stack(kept)

    def points(self, t: float) -> Array:
        """Where the points are at one of the times, shape (cells, d)."""
        return self.positions[stored_index(self.times, t, name="p_t")]

    def _expected(self, given: Block) -> Array:
        if isinstance(given, TwoTimeBlock):
            return given.values(*map(self.points, given.times)) @ self.weights
        block = one_time(given, self.source)
        narrow = self.defect[stored_index(self.times, block.time, name="p_t")] > RESOLVED
        if narrow and not isinstance(block, ThresholdBlock):
            return block.values(self.points(block.time)) @ self.weights
        return super()._expected(given)


def flowed(problem: Problem, grid: ProductGrid, *, times: Any, steps: int | None = None) -> ProductFlow:
    """Solve the continuity equation ∂_t p = −∇·(f p) of a problem without noise on a product grid.

    Parameters
    ----------
    problem : Problem
        With the number 0 as its diffusion, on the whole space.
    grid : ProductGrid
    times : sequence of float
        In [0, horizon].
    steps : int, optional
        At least so many Runge–Kutta steps to the last time, shorter where pilot points need it. Default as many as let densities at some 400
        cells change by less than 1e-7 in L1 when they are doubled.

    Raises
    ------
    SchemeError
        For noise, walls, or another dimension.
    GridError, MassAtEdges
        If the cells miss more than 1e-3 of the initial mass, or more than that leaves the box.
    NonFinite
        If a velocity is not finite, or points leave every bound.

    Accuracy
    --------
    Fourth order in the steps; L1 errors are at least ``defect``.

    Examples
    --------
    >>> import fpk
    >>> turning = fpk.Problem(fpk.Linear([[0.0, -1.0], [1.0, 0.0]]), 0.0, initial=fpk.Gaussian([1.0, 0.0], 0.3))
    >>> run = flowed(turning, fpk.Grid(-3, 3, cells=48) ** 2, times=[0.5])
    >>> bool(run.defect[0] < 1e-6)
    True
    """
    check_problem(problem, grid)
    if not problem.noiseless:
        raise SchemeError(
            f"characteristics need the number 0 as the diffusion, {problem.name or 'this problem'} has noise: use fpk.solve."
        )
    times = problem.checked_times(times)
    weights = _weights(problem, grid)
    mesh = _mesh(problem, times, grid, None if steps is None else checked_steps(steps, what="a flow"))
    densities = np.stack([np.exp(traced_back(problem, grid.points, t, mesh)).reshape(grid.shape) for t in times])
    floor = abs(float(weights.sum()) - 1) + ROUND_OFF * len(mesh)
    source = f"flow, characteristics, {grid} points, {counting(len(mesh) - 1, 'step')}"

    def halved() -> ProductFlow:
        return flowed(problem, grid.halved(), times=times, steps=max(1, len(mesh) // 2))

    run = ProductFlow(grid, times, densities, 4, floor, source, halved, problem=problem, weights=weights, mesh=mesh)
    _check_held(run)
    return run


def _check_held(run: ProductFlow) -> None:
    """Refuse a box that points leave; a defect of densities that are only narrower than the cells is none."""
    if run.defect.max() <= EDGE_LIMIT:
        return
    lower, upper = np.array([(axis.lower, axis.upper) for axis in run.grid.axes]).T
    lost = ((run.positions < lower) | (run.positions > upper)).any(2) @ run.weights
    worst = int(np.argmax(lost))
    if lost[worst] > EDGE_LIMIT:
        raise MassAtEdges(
            f"the box {named_box(run.grid)} is too small: {lost[worst]:.2g} of the mass is outside at t={run.times[worst]:g} "
            f"(allowed {EDGE_LIMIT:g}). Widen the grid."
        )


def _weights(problem: Problem, grid: ProductGrid) -> Array:
    """Mass of the initial law at the cell centres, shape (cells,)."""
    weights = np.exp(problem.initial.log_density(grid.points)) * grid.volume
    if abs(weights.sum() - 1) > EDGE_LIMIT:
        raise GridError(
            f"{grid} cells on {named_box(grid)} hold {weights.sum():.6g} of the initial mass: the initial law is narrower than a cell, or lies "
            "outside. Use more cells or a wider box."
        )
    return weights


def traced_back(problem: Problem, x: Array, t: float, mesh: Array) -> Array:
    """Log p_t at x of shape (n, d), shape (n,)."""
    origin, log_volume = carried(problem, x, mesh[mesh <= t][::-1])
    return problem.initial.log_density(origin) + log_volume


def carried(problem: Problem, x: Array, mesh: Array) -> tuple[Array, Array]:
    """Positions at the end of a mesh of points that are at x of shape (n, d) at its beginning, and log |∂x_end/∂x|.

    Raises
    ------
    NonFinite
        If points leave every bound.
    """
    if len(mesh) < 2:
        return x, np.zeros(len(x))
    try:
        end, log_volume = Tracks(problem, mesh).moved(x)
    except NotTraceable:
        end, log_volume = followed(problem, x, mesh)
    if not (np.isfinite(end).all() and np.isfinite(log_volume).all()):
        bad = int(np.argmin(np.isfinite(end).all(1) & np.isfinite(log_volume)))
        raise NonFinite(
            f"the point at x={x[bad].tolist()}, t={mesh[0]:g} of {problem.name or 'the flow'} leaves every bound on its way to t={mesh[-1]:g}: "
            "a smaller box, a shorter horizon, or more steps."
        )
    return end, log_volume


def _mesh(problem: Problem, times: tuple[float, ...], grid: ProductGrid, steps: int | None) -> Array:
    """Instants of the steps: rough ones that suit pilot points, each divided into as many as are needed."""
    if times[-1] == 0:
        return np.zeros(1)
    rough = _rough_mesh(problem, times)
    if steps is not None:
        return divided(rough, -(-steps // (len(rough) - 1)))
    probes = grid.points[:: max(1, grid.cells // PROBES)]
    parts, p = 1, np.exp(traced_back(problem, probes, times[-1], rough))
    while True:
        parts *= 2
        q = np.exp(traced_back(problem, probes, times[-1], divided(rough, parts)))
        change = np.abs(q - p).sum() / (15 * q.sum() or 1.0)
        if change < 1e4 * AIM or parts >= 256:
            return divided(rough, int(np.ceil(parts * max(1.0, change / AIM) ** 0.25)))
        p = q


def _rough_mesh(problem: Problem, times: tuple[float, ...]) -> Array:
    """The steps of an adaptive method on points drawn from the initial law, and the times."""
    from scipy.integrate import solve_ivp

    start = problem.initial.sample(PILOTS, np.random.default_rng(0))

    def velocity(t: float, state: Array) -> Array:
        x = state.reshape(start.shape)
        return np.broadcast_to(problem.drift(x, t), x.shape).ravel()

    spread = float(start.std(0).min())
    run = solve_ivp(velocity, (0.0, times[-1]), start.ravel(), method="RK45", rtol=ROUGH, atol=ROUGH * spread)
    if not run.success:
        raise NonFinite(
            f"points of {problem.name or 'the flow'} leave every bound by t={run.t[-1]:g}: a shorter horizon is needed."
        )
    return np.unique(np.concatenate([run.t, times]))


def divided(mesh: Array, parts: int) -> Array:
    """Each interval of a mesh in equal parts."""
    places = np.arange(parts * (len(mesh) - 1) + 1) / parts
    return np.interp(places, np.arange(len(mesh)), mesh)
