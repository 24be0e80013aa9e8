r"""What a grid solution knows: densities, laws, scores, and expectations with their budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fpk.errors import GridError
from fpk.fokker_planck.backward import joint_expectations
from fpk.fokker_planck.residuals import Residuals
from fpk.fokker_planck.splines import splined
from fpk.fokker_planck.stored import SAFETY, StoredDensities
from fpk.grids import Grid, stored_index
from fpk.laws import Array, Law, TabulatedLaw
from fpk.marginals import Estimate, without_luck
from fpk.panels import Block, Panel, ThresholdBlock, one_time
from fpk.paths import TwoTimeBlock

#: Share of the mass a spline may miss; where it misses more, expectations are sums over the cells' masses.
UNRESOLVED = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class GridMarginals(StoredDensities):
    """Densities p_t at the cell centres of a grid.

    Parameters
    ----------
    grid : Grid
    times : tuple of float
    densities : array, shape (len(times), cells)
    order : float
        Formal order of the scheme.
    floor : float
        Round-off and mass near the edges: what no refinement removes.
    plan : Discretisation or str
        What computed it; its text is the ``source`` of estimates.
    halved : callable, optional
        Solves the same problem on half the cells with half the steps, for a budget.
    """

    grid: Grid
    times: tuple[float, ...]
    densities: Array
    order: float
    floor: float
    plan: Any = "grid"
    halved: Callable[[], GridMarginals] | None = None
    exactness: ClassVar[int] = 1
    _laws: dict[float, Law] = field(default_factory=dict)

    @property
    def mass(self) -> Array:
        """∫ p_t, shape (len(times),)."""
        return self.densities @ self.grid.widths

    def density(self, t: float) -> Array:
        """p_t at the cell centres, shape (cells,)."""
        return self.densities[self._index(t)]

    def _index(self, t: float) -> int:
        return stored_index(self.times, t, name="p_t")

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
        periodic = not isinstance(self.plan, str) and self.plan.problem.boundary.kind == "periodic"
        return splined(self.grid, self.density(t), periodic=periodic)

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
        return in_space.t, make_interp_spline(np.asarray(self.times), in_space.c.T, k=self._degree_in_time)

    def score(self, x: Array, t: float) -> Array:
        """∂ log p_t(x), shape (n, 1): quintic in space and (with six or more stored times) in time.

        Raises
        ------
        GridError
            If fewer than two times were stored.
        """
        from scipy.interpolate import BSpline

        self._require_score_at(t)
        knots, in_time = self._log_coefficients
        inside = np.clip(x, self.grid.centers[0], self.grid.centers[-1])
        return BSpline(knots, in_time(t), 5)(inside, 1)

    def expect(self, panel: Panel) -> Estimate:
        """Expectations, corrected by their dual-weighted residual, with a budget.

        The budget of a smooth one-time functional is 1.5 times what the correction leaves between this grid and one with half its cells and
        steps, plus round-off and the mass outside; of other functionals 1.5 times their change. It is infinite where
        half the cells cannot hold the law.
        """
        plain = self.unbudgeted(panel)
        if self.halved is None:
            return plain
        try:
            half = self.halved()
            fine = plain.value + self.corrections(panel)
            coarse = half.unbudgeted(panel)
            coarser = coarse.value + half.corrections(panel)
        except GridError:
            return plain
        budget = SAFETY * np.abs(fine - coarser)
        change = SAFETY * np.abs(plain.thresholds - coarse.thresholds)
        return replace(
            plain,
            value=fine,
            bias_bound=without_luck(budget) + self.floor,
            coarser=coarser,
            threshold_bound=change + self.floor,
        )

    def corrections(self, panel: Panel, problem: Any = None) -> Array:
        """Dual-weighted residuals of the smooth functionals in the equation of ``problem`` (default the one that was solved), shape (K,).

        0 for functionals of the start and of several times.
        """
        residuals = Residuals(self.plan, problem or self.plan.problem, self.times)
        centers = self.grid.centers[:, None]
        return np.concatenate([
            residuals.correction(block.time, block.values(centers))
            if getattr(block, "time", 0.0) > 0
            else np.zeros(len(block.names))
            for block in panel.smooth
        ])  # fmt: skip

    def _expected(self, given: Block) -> Array:
        """Gauss sums over the cells of the splined density: sixth order, where it is resolved."""
        if isinstance(given, TwoTimeBlock) and not isinstance(self.plan, str):
            q = self.density(given.times[0]) * self.grid.center_stretch
            return joint_expectations(self.plan, given, q, times=self.times)
        block = one_time(given, self.source)
        if isinstance(block, ThresholdBlock):
            return self.cdf(block.points, block.time)
        x, weights = self.grid.cell_nodes
        masses, smooth = self.density(block.time) * self.grid.widths, weights * self._splined(block.time)(x)
        if abs(smooth.sum() - masses.sum()) > UNRESOLVED * masses.sum():  # a peak of one cell, at a wall for example
            return block.values(self.grid.centers[:, None]) @ masses
        return block.values(x[:, None]) @ smooth


@dataclass(frozen=True, eq=False, repr=False)
class FlowMarginals(GridMarginals):
    """Marginals of a flow without noise: points of the initial law with their weights, and densities traced back to the grid.

    Expectations need the points alone, so densities are traced when they are first asked for.

    Parameters
    ----------
    traced : callable
        (x, times) ↦ the densities at points x of shape (n,), one array for each time.
    weights : array, shape (cells,)
        Mass carried by the points that start at the cell centres.
    positions : array, shape (len(times), cells)
        Where they are.
    initial : Law
    """

    densities: Any = field(
        init=False,
        default=cached_property(lambda flow: np.stack(flow.traced(flow.grid.centers, flow.times))),
    )
    traced: Callable[[Array, tuple[float, ...]], Sequence[Array]] = field(kw_only=True)
    weights: Array = field(kw_only=True)
    positions: Array = field(kw_only=True)
    initial: Law = field(kw_only=True)

    def density_on(self, x: Array, t: float) -> Array:
        """p_t at points x of shape (n,), each traced back to where it comes from; 0 outside the grid."""
        inside = (x >= self.grid.lower) & (x <= self.grid.upper)
        out = np.zeros(len(x))
        out[inside] = self.traced(x[inside], (self.times[self._index(t)],))[0]
        return out

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
