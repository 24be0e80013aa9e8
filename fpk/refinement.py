r"""Refinement: one route at three resolutions, and the error budget that follows.

With e₂₁, e₃₂ the changes of a functional over the two finer and the two coarser levels (ratio 2), the observed order is
q = log₂|e₃₂/e₂₁| and the budget of the finest level is

    3 |e₂₁| / (2^q − 1)          q clipped to [½, min(p, 4)], p the formal order; but for p ≤ 2
    1.25 |e₂₁| / (2^p − 1)       if the changes are monotone and q is within 10 % of p,
    3 max(|e₂₁|, |e₃₂|)          if the changes alternate in sign,

plus the round-off the route reports, and never less than 10 % of the panel's largest budget: all functionals see one error field, so a change
that is small in one of them is luck, not accuracy. Errors of high order are sums of terms that take turns, and the next one may fall
slower than the last: for p > 2 a budget is at least 2 % of the panel's largest |e₃₂|. (Grid convergence index, Roache 1998, with
wider safety factors.)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fpk.errors import ComparisonError
from fpk.laws import Array, Law
from fpk.marginals import Estimate, Marginals, without_luck
from fpk.panels import Panel
from fpk.shown import Shown, Summarised

#: Largest order a budget relies on, and up to which it relies on it alone.
TRUSTED, PLAIN = 4, 2
#: Smallest budget beyond that, as a fraction of the panel's largest change between the two coarser levels.
DOUBT = 0.02


@dataclass(frozen=True, repr=False)
class RefinedMarginals(Summarised, Shown):
    """A route solved at several resolutions, coarse to fine, with a budget for each functional.

    Parameters
    ----------
    levels : sequence of Marginals
        At least three, each with twice the resolution of the one before.
    order : float
        Formal order p of the route.
    """

    levels: tuple[Any, ...]
    order: float

    @cached_property
    def finest(self) -> Any:
        """The finest level."""
        return self.levels[-1]

    @property
    def times(self) -> tuple[float, ...]:
        """Times of the finest level."""
        return self.finest.times

    @property
    def source(self) -> str:
        """What computed the finest level, and of how many it is one."""
        return f"{self.finest.source}, the finest of {len(self.levels)} levels"

    @property
    def exactness(self) -> int:
        """How well the law is known: that of the finest level."""
        return getattr(self.finest, "exactness", 0)

    def law(self, t: float) -> Law:
        """The law at t, from the finest level."""
        return self.finest.law(t)

    def density_on(self, x: Array, t: float) -> Array:
        """p_t at points x of shape (n,), from the finest level."""
        return self.finest.density_on(x, t)

    def expect(self, panel: Panel) -> Estimate:
        """Expectations of the finest level with their budget."""
        answers = [getattr(level, "unbudgeted", level.expect)(panel) for level in self.levels]
        budget = refinement_budget([a.value for a in answers], self.order)
        threshold_budget = refinement_budget([a.thresholds for a in answers], self.order)
        finest = answers[-1]
        return replace(
            finest,
            bias_bound=budget + self.finest.floor,
            coarser=answers[-2].value,
            threshold_bound=threshold_budget + self.finest.floor,
        )


def refinement_budget(values: Sequence[Array], order: float) -> Array:
    """Error budget of the last of three or more values on levels of ratio 2.

    Parameters
    ----------
    values : sequence of arrays of shape (K,), coarse to fine
    order : float
        Formal order p.

    Returns
    -------
    array, shape (K,)

    Examples
    --------
    >>> round(float(refinement_budget([np.array([1.16]), np.array([1.04]), np.array([1.01])], 2.0)[0]), 9)
    0.0125
    """
    coarse, middle, fine = (np.asarray(v, float) for v in values[-3:])
    e32, e21 = middle - coarse, fine - middle
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.log2(np.abs(e32 / e21))
    observed = np.where(np.isnan(observed), order, observed)
    budget = 3 * np.abs(e21) / (2 ** np.clip(observed, 0.5, min(order, TRUSTED)) - 1)
    if order > PLAIN:
        budget = np.maximum(budget, DOUBT * np.abs(e32).max(initial=0.0))
    else:
        asymptotic = np.abs(observed - order) <= 0.1 * order
        budget = np.where(asymptotic, 1.25 * np.abs(e21) / (2**order - 1), budget)
        budget = np.where(e21 * e32 >= 0, budget, 3 * np.maximum(np.abs(e21), np.abs(e32)))
    return without_luck(budget)


def refine(route: Callable[[int], Marginals], *, levels: Sequence[int] = (1, 2, 4)) -> RefinedMarginals:
    """Solve at several resolutions, so that the finest comes with an error budget.

    Parameters
    ----------
    route : callable
        k ↦ marginals at k times the base resolution (cells and steps), for example ``lambda k: fpk.solve(..., Grid(..., cells=96 * k))``.
    levels : sequence of int, default (1, 2, 4)
        Each twice the one before; at least three.

    Returns
    -------
    RefinedMarginals

    Raises
    ------
    ComparisonError
        If the levels are not three or more of ratio 2.

    Examples
    --------
    >>> import fpk
    >>> spring = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.0, initial=fpk.Gaussian(2.0, 0.3))
    >>> refined = fpk.refine(lambda k: fpk.solve(spring, fpk.Grid(-5, 7, cells=64 * k), times=[0.7]))
    >>> refined.finest.grid.cells
    256
    """
    if len(levels) < 3 or any(b != 2 * a for a, b in itertools.pairwise(levels)):
        raise ComparisonError(
            f"refinement needs three or more levels of ratio 2, for example (1, 2, 4); got {tuple(levels)}."
        )
    solved: tuple[Any, ...] = tuple(route(k) for k in levels)
    if not (hasattr(solved[-1], "order") and hasattr(solved[-1], "floor")):
        raise ComparisonError(
            f"refinement needs a deterministic route that states its order and floor (fpk.solve does), got {type(solved[-1]).__name__}. "
            "Sampled routes carry a budget of their own: compare them as they are."
        )
    return RefinedMarginals(solved, float(solved[-1].order))
