r"""``solve``: the marginals of a one-dimensional problem on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fpk.errors import GridError, MassAtEdges, NonFinite, SchemeError
from fpk.fokker_planck.characteristics import log_densities, pushed
from fpk.fokker_planck.fluxes import ScharfetterGummel, WellBalanced6, check_noise
from fpk.fokker_planck.stepping import BACKWARD_EULER, ESDIRK4, TR_BDF2, DiagonallyImplicit, Stepper
from fpk.grids import Grid
from fpk.laws import Array, Law, TabulatedLaw
from fpk.marginals import ROUND_OFF, Estimate
from fpk.panels import Block, Panel, ThresholdBlock, integrals, one_time
from fpk.problem import Problem

#: Mass near the edges of a box that truncates the line: more is an error, less goes into the budget.
EDGE_LIMIT = 1e-3
EDGE_CELLS = 0.02


@dataclass(frozen=True)
class Scheme:
    """A flux with a step. The order of the pair is the smaller one, as grids are refined in space and time together."""

    flux: Any
    method: DiagonallyImplicit

    @property
    def order(self) -> int:
        """Order under joint refinement."""
        return min(self.flux.order, self.method.order)

    @property
    def positive(self) -> bool:
        """Whether densities stay non-negative for every grid and step."""
        return self.flux.positive and self.method.positive


ACCURATE = Scheme(WellBalanced6(), ESDIRK4)
SECOND_ORDER = Scheme(ScharfetterGummel(), TR_BDF2)
POSITIVE = Scheme(ScharfetterGummel(), BACKWARD_EULER)


@dataclass(frozen=True, eq=False)
class GridMarginals:
    """Densities p_t at the cell centres of a grid.

    Parameters
    ----------
    grid : Grid
    times : tuple of float
    densities : array, shape (len(times), cells)
    order : int
        Formal order of the scheme.
    floor : float
        Round-off and mass near the edges: what no refinement removes.
    source : str
    """

    grid: Grid
    times: tuple[float, ...]
    densities: Array
    order: int
    floor: float
    source: str = "grid"
    exactness: ClassVar[int] = 1
    _laws: dict[float, Law] = field(default_factory=dict, repr=False)

    @property
    def mass(self) -> Array:
        """∫ p_t, shape (len(times),)."""
        return self.densities.sum(1) * self.grid.spacing

    @property
    def minimum(self) -> float:
        """The deepest undershoot (≥ 0 for positive schemes)."""
        return float(self.densities.min())

    def density(self, t: float) -> Array:
        """p_t at the cell centres, shape (cells,)."""
        return self.densities[self._index(t)]

    def _index(self, t: float) -> int:
        found = np.flatnonzero(np.isclose(self.times, t, rtol=1e-12, atol=1e-14))
        if not len(found):
            raise GridError(
                f"p_t was not stored at t={t:g}; stored: {[round(s, 6) for s in self.times[:12]]}. Add it to times=."
            )
        return int(found[0])

    def law(self, t: float) -> Law:
        """The law with the (normalised) density p_t, log-splined between the cell centres; values near an undershoot are not trusted."""
        if t not in self._laws:
            p = self.density(t)
            noise = max(30 * float(-p.min()), 1e-11 * float(p.max()))
            if noise > 0.1 * p.max():
                raise GridError(
                    f"p_t at t={t:g} falls to {p.min():.3g} (peak {p.max():.3g}): not resolved. Use more cells, or positive=True."
                )
            logs = np.log(np.maximum(p, np.finfo(float).tiny))
            support = (self.grid.lower, self.grid.upper)
            self._laws[t] = TabulatedLaw(
                self.grid.centers, logs, support=support, reliable=float(np.log(p.max() / noise))
            )
        return self._laws[t]

    def _splined(self, t: float) -> Any:
        from scipy.interpolate import make_interp_spline

        return make_interp_spline(self.grid.centers, self.density(t), k=5)

    def density_on(self, x: Array, t: float) -> Array:
        """p_t at points x of shape (n,), by a quintic spline; 0 outside the grid."""
        inside = (x >= self.grid.lower) & (x <= self.grid.upper)
        return np.where(inside, self._splined(t)(np.clip(x, self.grid.lower, self.grid.upper)), 0.0)

    def cdf(self, x: Array, t: float) -> Array:
        """∫_{−∞}^x p_t at points x of shape (n,), from the integrated spline of the density (sixth order)."""
        integral = self._splined(t).antiderivative()
        return integral(np.clip(x, self.grid.lower, self.grid.upper)) - integral(self.grid.lower)

    @cached_property
    def _log_coefficients(self) -> tuple[Array, Any]:
        """Knots of the quintic splines of log p in x, and their coefficients as a spline in t: a tensor product."""
        from scipy.interpolate import make_interp_spline

        logs = np.stack([self.law(t).log_density(self.grid.centers[:, None]) for t in self.times])
        in_space = make_interp_spline(self.grid.centers, logs.T, k=5)
        degree = (1, 1, 3, 3, 5)[min(len(self.times) - 2, 4)]
        return in_space.t, make_interp_spline(np.asarray(self.times), in_space.c.T, k=degree)

    def score(self, x: Array, t: float) -> Array:
        """∂ log p_t(x), shape (n, 1): quintic in space and (with six or more stored times) in time.

        Raises
        ------
        GridError
            If fewer than two times were stored.
        """
        from scipy.interpolate import BSpline

        first, last = min(self.times), max(self.times)
        if len(self.times) < 2 or not first <= t <= last * (1 + 1e-12):
            raise GridError(
                f"no score at t={t:g}: {len(self.times)} stored times reach from {first:g} to {last:g}. "
                "Solve with times=numpy.linspace(0, T, steps + 1)."
            )
        knots, in_time = self._log_coefficients
        inside = np.clip(x, self.grid.centers[0], self.grid.centers[-1])
        return BSpline(knots, in_time(t), 5)(inside, 1)

    def expect(self, panel: Panel) -> Estimate:
        """Expectations by the midpoint rule (spectrally accurate for densities that vanish at the edges). Budget: infinite until refined."""
        value, thresholds = integrals(panel, self._expected)
        return Estimate(
            value,
            np.full_like(value, np.inf),
            thresholds=thresholds,
            threshold_bound=np.full_like(thresholds, np.inf),
            source=self.source,
        )

    def _expected(self, given: Block) -> Array:
        block = one_time(given, self.source)
        p = self.density(block.time) * self.grid.spacing
        if isinstance(block, ThresholdBlock):
            return self.cdf(block.points, block.time)
        return block.values(self.grid.centers[:, None]) @ p


@dataclass(frozen=True, eq=False)
class FlowMarginals(GridMarginals):
    """Marginals of a flow without noise: points of the initial law with their weights, and densities traced back to the grid.

    Parameters
    ----------
    weights : array, shape (cells,)
        Mass carried by the points that start at the cell centres.
    positions : array, shape (len(times), cells)
        Where they are.
    initial : Law
    """

    weights: Array = field(kw_only=True)
    positions: Array = field(kw_only=True)
    initial: Law = field(kw_only=True)

    def cdf(self, x: Array, t: float) -> Array:
        """F_0 of the points that arrive at x of shape (n,), interpolated along the increasing map."""
        from scipy.interpolate import PchipInterpolator

        arrived = self.positions[self._index(t)]
        apart = np.concatenate([[True], np.diff(np.maximum.accumulate(arrived)) > 0])
        origin = PchipInterpolator(arrived[apart], self.grid.centers[apart])
        return self.initial.cdf(origin(np.clip(x, arrived[apart][0], arrived[apart][-1])))

    def _expected(self, given: Block) -> Array:
        block = one_time(given, self.source)
        if isinstance(block, ThresholdBlock):
            return self.cdf(block.points, block.time)
        return block.values(self.positions[self._index(block.time)][:, None]) @ self.weights


def solve(
    problem: Problem,
    grid: Grid,
    *,
    times: Sequence[float],
    steps: int | None = None,
    scheme: Scheme | None = None,
    positive: bool = False,
) -> GridMarginals:
    """Solve the Fokker–Planck equation of a one-dimensional problem (zero noise: the continuity equation) on a grid.

    Parameters
    ----------
    problem : Problem
        d = 1, diagonal noise.
    grid : Grid
        For walls and periodic domains it must span exactly the domain.
    times : sequence of float
        Where p_t is wanted, in [0, horizon].
    steps : int, optional
        Time steps from 0 to the last time; default a quarter of the cells, at least 20. Refine them with the cells.
    scheme : Scheme, optional
        Default :data:`ACCURATE` (sixth-order well-balanced flux, fourth-order L-stable steps).
    positive : bool, default False
        Choose :data:`POSITIVE`: densities never below zero, second order in space and first in time.

    Returns
    -------
    GridMarginals
        ``mass``, ``minimum`` and ``density(t)`` besides the contract; wrap in :func:`fpk.refine` for an error budget.

    Raises
    ------
    SchemeError
        For d > 1, vanishing noise, or a scheme that cannot keep a promise asked for.
    GridError, MassAtEdges
        If the grid does not fit the domain, or the law reaches the edges of the box.
    NonFinite
        If a coefficient is not finite, with x and t.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.3))
    >>> solution = solve(ou, fpk.Grid(-6, 6, cells=128), times=[1.0])
    >>> bool(abs(solution.mass[0] - 1) < 1e-12)
    True
    """
    times = problem.checked_times(times)
    steps = max(20, grid.cells // 4) if steps is None else steps
    if steps < 1:
        raise SchemeError(f"a solution needs steps ≥ 1, got steps={steps}.")
    scheme = _checked_scheme(problem, scheme, positive)
    grid = _fitted(problem, grid)
    if problem.noiseless:
        return _flowed(problem, grid, times, steps)
    check_noise(problem, grid)
    densities = _marched(problem, grid, times, steps, scheme)
    if not np.all(np.isfinite(densities)):
        raise NonFinite(
            f"the density of {problem.name or 'the problem'} is not finite: refine the time steps (steps={steps})."
        )
    missed = abs(float(_initial_density(problem, grid).sum()) * grid.spacing - 1)
    floor = missed + _mass_at_edges(problem, grid, times, densities) + ROUND_OFF * steps
    source = f"grid, {type(scheme.flux).__name__} + {scheme.method.name}, {grid.cells} cells, {steps} steps"
    return GridMarginals(grid, times, densities, scheme.order, floor, source)


def _flowed(problem: Problem, grid: Grid, times: tuple[float, ...], steps: int) -> FlowMarginals:
    start = _initial_density(problem, grid)
    weights = start * grid.spacing
    positions = pushed(problem, grid.centers, times, steps)
    outside = ((positions < grid.lower) | (positions > grid.upper)) @ weights
    if problem.boundary.kind != "open" and outside.max() > EDGE_LIMIT:
        raise MassAtEdges(
            f"{outside.max():.2g} of the mass leaves [{grid.lower:g}, {grid.upper:g}] by t={times[int(np.argmax(outside))]:g}: without noise, "
            "characteristics cross every wall. Use an open boundary, or a velocity that vanishes at the walls."
        )
    densities = np.exp(log_densities(problem, grid.centers, times, steps))
    floor = abs(float(weights.sum()) - 1) + ROUND_OFF * steps
    source = f"flow, characteristics, {grid.cells} points, {steps} steps"
    return FlowMarginals(
        grid, times, densities, 4, floor, source, weights=weights, positions=positions, initial=problem.initial
    )


def _initial_density(problem: Problem, grid: Grid) -> Array:
    start = np.exp(problem.initial.log_density(grid.centers[:, None]))
    total = start.sum() * grid.spacing
    if abs(total - 1) > EDGE_LIMIT:
        raise GridError(
            f"{grid.cells} cells of width {grid.spacing:.3g} on [{grid.lower:g}, {grid.upper:g}] hold {total:.6g} of the initial mass: "
            "the initial law is narrower than a cell, or lies outside. Use more cells or a wider box."
        )
    return start


def _marched(problem: Problem, grid: Grid, times: tuple[float, ...], steps: int, scheme: Scheme) -> Array:
    start = _initial_density(problem, grid)
    if times[-1] == 0:
        return start[None]
    stepper = Stepper(scheme.flux.rates(problem, grid), scheme.method)
    return np.stack([p for _, p in stepper.run(start, times, steps)])


def _checked_scheme(problem: Problem, scheme: Scheme | None, positive: bool) -> Scheme:
    if problem.dimension != 1:
        raise SchemeError(
            f"the grid solver is one-dimensional, this problem has d = {problem.dimension}. Use fpk.exact or fpk.simulate."
        )
    chosen = scheme or (POSITIVE if positive else ACCURATE)
    if positive and not chosen.positive:
        raise SchemeError(
            f"positive=True needs an M-matrix flux with backward Euler; {type(chosen.flux).__name__} + {chosen.method.name} can undershoot. "
            "Leave scheme= out, or drop positive=True and look at .minimum."
        )
    return chosen


def _fitted(problem: Problem, grid: Grid) -> Grid:
    walls = problem.boundary
    if walls.kind != "open" and not np.allclose(
        [grid.lower, grid.upper], [walls.lower, walls.upper], rtol=1e-12, atol=1e-12
    ):
        raise GridError(
            f"the problem lives on [{walls.lower:g}, {walls.upper:g}] ({walls.kind}) but the grid spans [{grid.lower:g}, {grid.upper:g}]; "
            f"use Grid({walls.lower:g}, {walls.upper:g}, cells={grid.cells})."
        )
    return grid


def _mass_at_edges(problem: Problem, grid: Grid, times: tuple[float, ...], densities: Array) -> float:
    """Mass in the outermost 2 % of the cells, over all times, when the box only truncates the line."""
    if problem.boundary.kind != "open":
        return 0.0
    rim = max(2, int(EDGE_CELLS * grid.cells) // 2)
    outer = (np.abs(densities[:, :rim]).sum(1) + np.abs(densities[:, -rim:]).sum(1)) * grid.spacing
    worst = int(np.argmax(outer))
    if outer[worst] > EDGE_LIMIT:
        raise MassAtEdges(
            f"the box [{grid.lower:g}, {grid.upper:g}] is too small: {outer[worst]:.2g} of the mass sits at its edges at "
            f"t={times[worst]:g} (allowed {EDGE_LIMIT:g}). Widen the grid, or state a boundary= if walls are meant."
        )
    return float(outer.max())
