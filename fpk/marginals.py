r"""Marginals: the curve t ↦ p_t, whatever it was computed with, and the Estimate it answers with.

The contract is one method, ``expect(panel) -> Estimate``: expectations of the panel's functionals with everything that is known about
their uncertainty. Exact laws, grids, particles and objects of other people meet only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from fpk.errors import ComparisonError
from fpk.laws import Array, Law
from fpk.panels import Panel, law_panel
from fpk.scalars import reals

#: Round-off allowed for one operation, as a multiple of machine epsilon.
ROUND_OFF = 30 * float(np.finfo(float).eps)

#: Smallest budget of a functional, as a fraction of the largest one on its panel: a change that vanishes in one of them is luck.
LUCK = 0.1
#: The same for time steps, of which there are two levels where grids have three.
STEP_LUCK = 0.3

#: Budget of a time step over the change from twice that step; it covers weak order 1 while the longer step is at least 5/3 times as wrong.
CAUTION = 1.5


def without_luck(budget: Array, share: float = LUCK) -> Array:
    """The budgets of a panel, shape (K,), none below a share of the largest."""
    return np.maximum(budget, share * budget.max(initial=0.0))


def step_budget(change: Array, error: Array) -> Array:
    """Budget of a time step, from the mean change from twice the step and its standard error: CAUTION |change| + 3 errors."""
    return CAUTION * np.abs(change) + 3 * error


def panel_step_budget(change: Array, error: Array) -> Array:
    """:func:`step_budget` for the K functionals of a panel: errors of first and second order may cancel in one change, hardly in all."""
    return without_luck(step_budget(change, error), STEP_LUCK)


@dataclass(frozen=True)
class Estimate:
    """Expectations of a panel's functionals with their uncertainty.

    Parameters
    ----------
    value : array, shape (K,)
        E φ_k for the smooth functionals.
    bias_bound : array, shape (K,)
        Budget: a bound for the systematic error, round-off included; infinite when nothing is known (a grid half of whose cells cannot hold the law).
    covariance : array, shape (K, K) or (K,), optional
        Covariance of ``value`` for sampled sources (its diagonal, where the values are uncorrelated); None for deterministic ones.
    samples : int, optional
        Independent samples behind ``value``.
    averaged : bool
        Whether each of them is itself a mean of several values (pairs, replicates), so that their own skewness does not count.
    coarser : array, shape (K,), optional
        The same expectations one level coarser (deterministic, refined sources): tells whether a difference shrinks.
    thresholds, threshold_bound : array, shape (J,)
        Distribution function at the panel's thresholds with its budget; empty when not asked for.
    block_means : array, shape (B, K), optional
        Means over B equal blocks of samples, in an order fixed by the noise.
    noise_key : str, optional
        Equal keys: the two sources used the same noise, block by block.
    coarse_block_means : array, shape (B, K), optional
        The same block means at the coarser time step.
    step_bias : array, shape (K,), optional
        The part of ``bias_bound`` that comes from the time step.
    scheme : str, optional
        The discretisation whose law this is; between two sources of one scheme there is no time-step bias.
    proven : bool
        Whether ``bias_bound`` is a theorem rather than an estimate.
    source : str
        What the numbers came from, for people.
    """

    value: Array
    bias_bound: Array
    covariance: Array | None = None
    samples: int | None = None
    averaged: bool = False
    coarser: Array | None = None
    thresholds: Array = field(default_factory=lambda: np.zeros(0))
    threshold_bound: Array = field(default_factory=lambda: np.zeros(0))
    block_means: Array | None = None
    noise_key: str | None = None
    coarse_block_means: Array | None = None
    step_bias: Array | None = None
    scheme: str | None = None
    proven: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        if np.shape(self.value) != np.shape(self.bias_bound) or np.ndim(self.value) != 1:
            raise ComparisonError(
                f"an Estimate needs value and bias_bound of one shape (K,), got {np.shape(self.value)} and {np.shape(self.bias_bound)}."
            )
        if not (np.all(np.isfinite(self.value)) and np.all(np.asarray(self.bias_bound) >= 0)):
            raise ComparisonError(
                f"an Estimate needs finite values and bounds ≥ 0, got {self.value} and {self.bias_bound}"
                f"{' from ' + self.source if self.source else ''}."
            )
        if self.covariance is not None and not np.all(np.isfinite(self.covariance)):
            raise ComparisonError(f"the covariance of an Estimate must be finite, got {self.covariance}.")
        shape = np.shape(self.value)
        if self.covariance is not None and np.shape(self.covariance) not in (shape, 2 * shape):
            raise ComparisonError(
                f"the covariance of {len(self.value)} values has shape (K, K) or (K,), got {np.shape(self.covariance)}."
            )
        if self.covariance is not None and np.any(self._variances < 0):
            raise ComparisonError(f"variances must be ≥ 0, got {self._variances}.")
        if self.covariance is not None and not (self.samples and self.samples > 0):
            raise ComparisonError("an Estimate with a covariance must say how many samples= stand behind it.")

    @property
    def deterministic(self) -> bool:
        """Whether no sampling noise is involved."""
        return self.covariance is None

    @property
    def standard_error(self) -> Array:
        """Standard errors, shape (K,); zero for deterministic sources."""
        if self.covariance is None:
            return np.zeros_like(self.value)
        return np.sqrt(self._variances)

    @property
    def _variances(self) -> Array:
        C = np.zeros_like(self.value) if self.covariance is None else np.asarray(self.covariance)
        return C if C.ndim == 1 else np.diag(C)

    @property
    def bias_without_step(self) -> Array:
        """The budget left when the other side is the law of the same discretisation."""
        if self.step_bias is None:
            return self.bias_bound
        known = np.where(np.isinf(self.step_bias), 0.0, self.step_bias)
        return np.maximum(np.where(np.isinf(self.step_bias), 0.0, self.bias_bound) - known, ROUND_OFF)


@runtime_checkable
class Marginals(Protocol):
    """Anything that can answer a panel."""

    def expect(self, panel: Panel) -> Estimate:
        """Expectations of the panel's functionals, with their uncertainty."""
        ...


class Vanishing:
    """The other side of a check whose functionals have expectation 0: residuals, Dynkin's formula, correlations of independent particles."""

    def expect(self, panel: Panel) -> Estimate:
        """Zeros."""
        return zero_estimate(len(panel.names))


def zero_estimate(count: int) -> Estimate:
    """The exact zero in K functionals: what a residual is held against."""
    return Estimate(np.zeros(count), np.zeros(count), coarser=np.zeros(count), proven=True, source="zero")


def residual(
    values: Array, bound: Array | float, *, coarser: Array | None = None, proven: bool = False, source: str = "residual"
) -> Estimate:
    """An identity's residual as an Estimate.

    Parameters
    ----------
    values : array, shape (K,)
        What should vanish, at K points or functionals.
    bound : array, shape (K,) or scalar
        Rounding and truncation bound of ``values``.
    coarser : array, shape (K,), optional
        The residual at half the resolution.
    proven : bool
        Whether the bound is a theorem (or exact arithmetic).
    source : str
        Where it came from.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> residual(np.array([1e-14, -2e-14]), 1e-13, source="mass").bias_bound.shape
    (2,)
    """
    values, bound = np.atleast_1d(reals(values, "residuals")), reals(bound, "bounds of residuals")
    if values.ndim != 1 or not values.size or bound.shape not in ((), (1,), values.shape):
        raise ComparisonError(
            f"residuals have shape (K,), their bounds the same or (), got {values.shape} and {bound.shape}."
        )
    bound = np.broadcast_to(bound, values.shape) + ROUND_OFF
    return Estimate(values, bound.copy(), coarser=coarser, proven=proven, source=source)


def panel_between(first: Marginals, second: Marginals) -> Panel:
    """The panel of a pair: references from the side that knows its law best (``exactness``: 2 exact, 1 grid, 0 pilot)."""
    sides = sorted(
        (first, second), key=lambda side: (hasattr(side, "law"), getattr(side, "exactness", 0)), reverse=True
    )
    times = _common_times(first, second)
    if not hasattr(sides[0], "law"):
        raise ComparisonError(
            "neither side can tell its law (a method law(t)): give panel=, for example fpk.panels.law_panel({t: law})."
        )
    laws: Mapping[float, Law] = {t: sides[0].law(t) for t in times}  # type: ignore[attr-defined]
    return law_panel(laws)


def _common_times(first: Any, second: Any) -> list[float]:
    stated = [set(np.atleast_1d(side.times).tolist()) for side in (first, second) if hasattr(side, "times")]
    common = sorted(set.intersection(*stated)) if stated else []
    if not common:
        raise ComparisonError(
            f"no common time: the first side knows {getattr(first, 'times', 'none')}, the second {getattr(second, 'times', 'none')}. "
            "Ask both routes for the same times=[...]."
        )
    return common
