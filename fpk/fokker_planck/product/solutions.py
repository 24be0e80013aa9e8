r"""What a solution on a product grid knows: densities, laws, scores, and expectations with their budget.

Functionals of one direction are integrated against the Fourier slice of the density (:mod:`slices`): spectrally accurate sums, which resolve what a
functional does inside a cell. Joint expectations E φ_j(X_s) φ_k(X_t) = Σ p_s φ_j u_k take φ_k back from t to s by the transposed steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fpk.errors import GridError, ProblemError
from fpk.fokker_planck.product.residuals import ProductResiduals, unseen
from fpk.fokker_planck.product.slices import Slice, logarithm, sliced, tensor_spline
from fpk.fokker_planck.stored import SAFETY, StoredDensities
from fpk.grids import ProductGrid, stored_index
from fpk.laws import Array, TabulatedLaw
from fpk.marginals import ROUND_OFF, Estimate, without_luck
from fpk.panels import Block, LegendreBlock, Panel, ThresholdBlock, integrals, one_time
from fpk.paths import TwoTimeBlock

#: How much less than declared errors may fall from half of the cells before a correction stops to bound what it leaves.
SLACK = 2.0


@dataclass(frozen=True, eq=False, repr=False)
class ProductMarginals(StoredDensities):
    """Densities p_t at the cell centres of a product grid.

    Parameters
    ----------
    grid : ProductGrid
    times : tuple of float
    densities : array, shape (len(times), *shape)
    order : float
        Formal order of the scheme.
    floor : float
        Round-off and mass near the edges: what no refinement removes.
    plan : ProductDiscretisation or str
        What computed it; its text is the ``source`` of estimates.
    halved : callable, optional
        Solves the same problem on half the cells along each axis with half the steps, for a budget.
    """

    grid: ProductGrid
    times: tuple[float, ...]
    densities: Array
    order: float
    floor: float
    plan: Any = "grid"
    halved: Callable[[], ProductMarginals] | None = None
    exactness: ClassVar[int] = 1
    _kept: dict[Any, Any] = field(default_factory=dict)

    @property
    def mass(self) -> Array:
        """∫ p_t, shape (len(times),)."""
        return self.densities.reshape(len(self.times), -1).sum(axis=1) * self.grid.volume

    def density(self, t: float) -> Array:
        """p_t at the cell centres, of the grid's shape."""
        return self.densities[stored_index(self.times, t, name="p_t")]

    def density_on(self, x: Array, t: float) -> Array:
        """p_t at points x of shape (n, d), by a quintic spline; 0 outside the grid."""
        found = self._remembered(("spline", t), lambda: tensor_spline(self.grid, self.density(t)))(x)
        return np.where(inside(self.grid, x), found, 0.0)

    def sliced(self, direction: Array, t: float) -> Slice:
        """The law of ⟨direction, X_t⟩."""
        key = (t, *np.asarray(direction, float).tolist())
        return self._remembered(key, lambda: sliced(self.grid, self.density(t), direction))

    def law(self, t: float) -> ProductLaw:
        """The law with the density p_t."""
        return self._remembered(("law", t), lambda: ProductLaw(self, t))

    def cdf(self, y: Array, t: float, *, direction: Array) -> Array:
        """P(⟨direction, X_t⟩ ≤ y) at y of shape (n,)."""
        return self.sliced(direction, t).cdf(y)

    def _remembered(self, key: Any, made: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = made()
        return self._kept[key]

    @cached_property
    def _in_time(self) -> Any:
        """Log p at the cell centres as a spline in t."""
        from scipy.interpolate import make_interp_spline

        logs = np.stack([self.law(t).logs for t in self.times])
        return make_interp_spline(np.asarray(self.times), logs, k=self._degree_in_time)

    def score(self, x: Array, t: float) -> Array:
        """∇ log p_t(x), shape (n, d): quintic in space and (with six or more stored times) in time.

        Raises
        ------
        GridError
            If fewer than two times were stored, or t is not between them.
        """
        if t in self.times:
            return self.law(t).score(x)
        self._require_score_at(t)
        spline = self._remembered(("score", t), lambda: tensor_spline(self.grid, self._in_time(t)))
        return gradient(spline, clipped(self.grid, x))

    def expect(self, panel: Panel) -> Estimate:
        """Expectations, corrected by their residual, with a budget.

        The budget is 1.5 times what the correction leaves between this grid and half of its cells and steps, or 1.5 times the largest correction
        where that is less: more, where errors do not fall at half of the declared rate. To it come round-off and the mass outside. Joint expectations
        of two times and solutions by spectral schemes are not corrected: theirs is 1.5 times the change. It is infinite where half of the
        cells cannot hold the law.
        """
        plain = self.unbudgeted(panel)
        if self.halved is None:
            return plain
        try:
            half = self._remembered("halved", self.halved)
            coarse = half.unbudgeted(panel)
            pair = self._residuals(half)
            fine, coarser = (of._corrected(panel, told) for of, told in zip((self, half), pair, strict=True))
        except GridError:
            return plain
        order = self.order if pair[0] and pair[0].complete else np.inf
        levels = plain, fine, coarse, coarser
        return replace(
            fine,
            bias_bound=_budget([level.value for level in levels], order) + self.floor,
            coarser=coarser.value,
            threshold_bound=_budget([level.thresholds for level in levels], order) + self.floor,
        )

    def _residuals(self, half: ProductMarginals) -> tuple[ProductResiduals | None, ProductResiduals | None]:
        """Of this solution and of the one on half of the cells; None where they would not tell the errors of both apart."""
        plans = self.plan, half.plan
        if (
            any(isinstance(plan, str) for plan in plans)
            or unseen(self.plan)
            or half.plan.problem is not self.plan.problem
        ):
            return None, None
        fine, coarse = (ProductResiduals(of.plan, of.plan.problem, of.times) for of in (self, half))
        return (None, None) if fine.steps == coarse.steps > 0 else (fine, coarse)

    def _corrected(self, panel: Panel, residuals: ProductResiduals | None) -> Estimate:
        """Expectations without a budget, those of one time corrected."""
        plain = self.unbudgeted(panel)
        if residuals is None:
            return plain
        better = self._remembered("corrected", lambda: self._moved_by(residuals.corrections()))
        value, thresholds = integrals(
            panel, lambda block: (self if isinstance(block, TwoTimeBlock) else better)._expected(block)
        )
        return replace(plain, value=value, thresholds=thresholds)

    def _moved_by(self, corrections: Array) -> ProductMarginals:
        return replace(self, densities=self.densities + corrections, _kept={})

    def _expected(self, given: Block) -> Array:
        if isinstance(given, TwoTimeBlock) and not isinstance(self.plan, str):
            return self._joint(given)
        block = one_time(given, self.source)
        if isinstance(block, ThresholdBlock):
            return self.cdf(block.points, block.time, direction=block.direction)
        if isinstance(block, LegendreBlock):
            return self.sliced(block.direction, block.time).expected(replace(block, direction=np.ones(1)))
        return block.values(self.grid.points) @ self.density(block.time).ravel() * self.grid.volume

    def _joint(self, block: TwoTimeBlock) -> Array:
        """E φ_j(X_s) φ_k(X_t), shape (products,): the very steps of the solution are taken back from t to s."""
        s, t = block.times
        p, shape = self.density(s).ravel(), self.grid.shape
        earlier = block.first.values(self.grid.points)
        later = self._remembered(
            (block.second, s),
            lambda: [self._taken_back(u.reshape(shape), s, t).ravel() for u in block.second.values(self.grid.points)],
        )
        return np.array([float((phi * p) @ u) for phi in earlier for u in later]) * self.grid.volume

    def _taken_back(self, u: Array, s: float, t: float) -> Array:
        if s == t:
            return u
        path = (*(r for r in self.times if r < t * (1 - 1e-12)), t)
        steps: Any = self.plan.steps * t / self.times[-1] if len(path) > 1 else self.plan.steps
        return next(v for r, v in self.plan.stepper.run_back(u, path, steps) if np.isclose(r, s))


def _budget(levels: Sequence[Array], order: float) -> Array:
    """Budgets, shape (K,), from expectations on a grid and half of it, as they are and corrected, as :meth:`ProductMarginals.expect` says."""
    plain, fine, coarse, coarser = levels
    left, corrections = np.abs(fine - coarser), np.abs(fine - plain)
    largest = corrections.max(initial=0.0)
    if largest > 0:  # of what was not corrected, the change alone
        fallen = largest / max(np.abs(fine - coarse).max(), largest * ROUND_OFF)
        least = np.minimum(left, largest * max(1.0, fallen * 2.0**order / SLACK))
        left = np.where(corrections > 0, least, left)
    return without_luck(SAFETY * left)


def inside(grid: ProductGrid, x: Array) -> Array:
    """Whether positions (n, d) are in the box, shape (n,)."""
    return np.all([(c >= axis.lower) & (c <= axis.upper) for c, axis in zip(x.T, grid.axes, strict=True)], axis=0)


def clipped(grid: ProductGrid, x: Array) -> Array:
    """Positions (n, d) moved to the nearest ones between the outermost cell centres."""
    return np.stack(
        [np.clip(c, axis.centers[0], axis.centers[-1]) for c, axis in zip(x.T, grid.axes, strict=True)], axis=1
    )


def gradient(spline: Any, x: Array) -> Array:
    """The gradient of a tensor spline, shape (n, d)."""
    return np.stack([spline(x, nu=row) for row in np.eye(x.shape[1], dtype=int)], axis=1)


class ProductLaw:
    """The law with the density of a solution at one time.

    log p is splined where p is above the noise, which is 30 undershoots or 1e-11 of the peak, and constant beyond: scores are 0 there.

    Parameters
    ----------
    solution : ProductMarginals
    t : float
    """

    def __init__(self, solution: ProductMarginals, t: float) -> None:
        self.solution, self.grid, self.t = solution, solution.grid, t

    def __repr__(self) -> str:
        return f"ProductLaw(t={self.t:g} of {self.solution.source})"

    @property
    def dimension(self) -> int:
        """Dimension d."""
        return self.grid.dimension

    @cached_property
    def logs(self) -> Array:
        """Log p at the cell centres, cut at the noise."""
        return logarithm(self.solution.density(self.t), f"p_t at t={self.t:g}")[0]

    @cached_property
    def _spline(self) -> Any:
        return tensor_spline(self.grid, self.logs)

    def log_density(self, x: Array) -> Array:
        """Log p at x of shape (n, d), shape (n,); −∞ outside the grid."""
        return np.where(inside(self.grid, x), self._spline(clipped(self.grid, x)), -np.inf)

    def density(self, x: Array) -> Array:
        """p at x of shape (n, d), shape (n,)."""
        return np.exp(self.log_density(x))

    def score(self, x: Array) -> Array:
        """∇ log p at x of shape (n, d), shape (n, d)."""
        return gradient(self._spline, clipped(self.grid, x))

    def cdf(self, x: Array) -> Array:
        """Distribution functions are those of :meth:`projected` laws."""
        raise ProblemError(
            f"cdf needs a one-dimensional law, this one has d = {self.dimension}; use projected(direction)."
        )

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions, evenly within each cell, shape (n, d)."""
        masses = np.maximum(self.solution.density(self.t).ravel(), 0.0)
        cells = np.searchsorted(np.cumsum(masses), rng.random(n) * masses.sum(), side="right")
        within = (rng.random((n, self.dimension)) - 0.5) * np.array(self.grid.spacings)
        return self.grid.points[np.minimum(cells, len(masses) - 1)] + within

    def projected(self, direction: Array) -> TabulatedLaw:
        """The law of ⟨direction, X⟩."""
        return self.solution.sliced(direction, self.t).law()

    def breakpoints(self) -> Array:
        """Quadrature points are those of :meth:`projected` laws."""
        raise ProblemError(
            f"breakpoints need a one-dimensional law, this one has d = {self.dimension}; use projected(direction)."
        )
