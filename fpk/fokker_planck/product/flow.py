r"""Zero noise on product grids: densities traced back along characteristics, expectations over points that are carried forward.

    log p_t(x) = log p_0(x_0) + log |∂x_0/∂x|,      E φ(X_t) = Σ_i p_0(x_i) φ(X_t(x_i)) h_1 ⋯ h_d.

No density is spread from cell to cell, so there is no error from the cells; that of the Runge–Kutta steps is of fourth order. As nothing makes
the mass of the traced densities 1, its defect tells of errors at no cost (of those that do not cancel in the sum: it has been seen a hundredth of
the L1 error).

Where the velocity is plain arithmetic (formulas, linear drifts, probability flows with exact scores of mixtures) its divergence is exact and
the steps are compiled; other velocities are called, and their divergence is taken by differences of sixth order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fpk.errors import MassAtEdges, NonFinite, SchemeError
from fpk.fokker_planck.characteristics import followed
from fpk.fokker_planck.product.fields import check_problem
from fpk.fokker_planck.product.tracks import Tracks
from fpk.grids import ProductGrid, stored_index
from fpk.laws import Array
from fpk.problem import Problem, checked_steps
from fpk.tracing import NotTraceable

#: Mass that may leave the box.
EDGE_LIMIT = 1e-3
#: Relative change of densities from twice the steps that is aimed at where no steps are stated.
AIM = 1e-7
#: Points that choose the instants of steps, and about how many choose their number.
PILOTS, PROBES = 32, 400
#: Accuracy of the steps that are then refined.
ROUGH = 1e-4


@dataclass(frozen=True, eq=False)
class Flowed:
    """Densities of a flow on a product grid.

    Parameters
    ----------
    problem : Problem
    grid : ProductGrid
    times : tuple of float
    densities : array, shape (len(times), *shape)
    mesh : array
        Instants of the steps, 0 and the times among them.
    """

    problem: Problem
    grid: ProductGrid
    times: tuple[float, ...]
    densities: Array = field(repr=False)
    mesh: Array = field(repr=False)

    @property
    def steps(self) -> int:
        """Runge–Kutta steps from 0 to the last time."""
        return len(self.mesh) - 1

    @property
    def mass(self) -> Array:
        """∫ p_t, shape (len(times),)."""
        return self.densities.reshape(len(self.times), -1).sum(1) * self.grid.volume

    @property
    def defect(self) -> Array:
        """How far masses are from that of the initial law on the grid, shape (len(times),): a lower bound of the L1 error, up to quadrature."""
        return np.abs(self.mass - self.weights.sum())

    @property
    def minimum(self) -> float:
        """The smallest density: never below 0."""
        return float(self.densities.min())

    def density(self, t: float) -> Array:
        """p_t at the cell centres."""
        return self.densities[stored_index(self.times, t, name="p_t")]

    @cached_property
    def weights(self) -> Array:
        """Mass carried by the points that start at the cell centres, shape (cells,)."""
        return np.exp(self.problem.initial.log_density(self.grid.points)) * self.grid.volume

    @cached_property
    def positions(self) -> Array:
        """Where they are at the times, shape (len(times), cells, d)."""
        at, reached, kept = self.grid.points, 0.0, []
        for t in self.times:
            leg = self.mesh[(self.mesh >= reached) & (self.mesh <= t)]
            at, reached = carried(self.problem, at, leg)[0], t
            kept.append(at)
        return np.stack(kept)

    def expected(self, function: Callable[[Array], Array], t: float) -> Array:
        """E φ(X_t) for φ of positions (cells, d) with values (cells, ...): over the points carried forward."""
        return self.weights @ function(self.positions[stored_index(self.times, t, name="p_t")])


def flowed(problem: Problem, grid: ProductGrid, *, times: Any, steps: int | None = None) -> Flowed:
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
    MassAtEdges
        If more than 1e-3 of the mass is not on the grid.
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
    mesh = _mesh(problem, times, grid, None if steps is None else checked_steps(steps, what="a flow"))
    densities = [np.exp(traced_back(problem, grid.points, t, mesh)).reshape(grid.shape) for t in times]
    run = Flowed(problem, grid, times, np.stack(densities), mesh)
    worst = int(np.argmax(run.defect))
    if run.defect[worst] > EDGE_LIMIT:
        raise MassAtEdges(
            f"the box {grid} misses {run.defect[worst]:.2g} of the mass at t={times[worst]:g} (allowed {EDGE_LIMIT:g}): it is too small, or "
            f"its cells or the {run.steps} steps too coarse. Widen the grid, or refine it."
        )
    return run


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
