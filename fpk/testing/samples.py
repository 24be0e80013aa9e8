"""Samples that somebody else drew: independent positions at one time, as marginals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fpk.difference import LARGE
from fpk.errors import ComparisonError
from fpk.laws import Array, Gaussian, Law, TabulatedLaw
from fpk.marginals import ROUND_OFF, Estimate
from fpk.panels import Panel
from fpk.shown import Summarised

#: Fewer samples than this are refused: the statistics at α = 10⁻⁶ lean on the central limit theorem.
FEWEST = 1000


@dataclass(frozen=True, eq=False, repr=False)
class SampleMarginals(Summarised):
    """Independent samples of the law at one time.

    Parameters
    ----------
    positions : array, shape (n, d)
    time : float
    source : str

    Raises
    ------
    ComparisonError
        If the shape is not (n, d), n is below 1,000 or a position is not finite.
    """

    positions: Array
    time: float = 0.0
    source: str = "samples"
    exactness: ClassVar[int] = 0

    def __post_init__(self) -> None:
        x = np.asarray(self.positions, float)
        if x.ndim != 2 or len(x) < FEWEST:
            hint = " For d = 1 use samples.reshape(-1, 1)." if x.ndim == 1 else ""
            raise ComparisonError(
                f"{self.source}: positions of shape (n, d) with n ≥ {FEWEST} are needed, got {x.shape}.{hint}"
            )
        bad = np.flatnonzero(~np.isfinite(x).all(1))
        if len(bad):
            raise ComparisonError(
                f"{self.source}: {len(bad)} of {len(x)} positions are not finite, the first is row {bad[0]}: {x[bad[0]].tolist()}."
            )
        object.__setattr__(self, "positions", x)

    @property
    def times(self) -> tuple[float, ...]:
        """The one time."""
        return (self.time,)

    def law(self, t: float) -> Law:
        """A smooth pilot law: a reference for panels, not an estimate. d = 1: a kernel density; else the normal law with the same moments."""
        return self._pilot

    @cached_property
    def _pilot(self) -> Law:
        x = self.positions
        spread = np.atleast_2d(np.cov(x, rowvar=False))
        if not np.all(np.diag(spread) > 0):
            raise ComparisonError(
                f"{self.source}: coordinate {int(np.argmin(np.diag(spread)))} does not vary: drop it, or compare with a law."
            )
        if x.shape[1] > 1:
            return Gaussian(x.mean(0), covariance=spread + 1e-12 * np.diag(np.diag(spread)))
        return _smoothed(x[:: max(1, len(x) // 5000), 0], 4 * float(np.sqrt(spread[0, 0])))

    def expect(self, panel: Panel) -> Estimate:
        """Sample means with their covariance; no systematic error but round-off."""
        x, n = self.positions, len(self.positions)
        values: Any = np.concatenate([block.values(x) for block in panel.smooth])
        joint = len(values) <= LARGE  # larger panels are tested functional by functional
        below = [self._distribution(x @ block.direction, block.points) for block in panel.thresholds]
        thresholds = np.concatenate(below) if below else np.zeros(0)
        return Estimate(
            values.mean(1),
            np.full(len(values), ROUND_OFF),
            covariance=np.atleast_2d(np.cov(values)) / n if joint else values.var(1, ddof=1) / n,
            samples=n,
            thresholds=thresholds,
            threshold_bound=np.zeros_like(thresholds),
            source=f"{self.source}, n = {n:,}",
        )

    @staticmethod
    def _distribution(y: Array, points: Array) -> Array:
        return np.searchsorted(np.sort(y), points, side="right") / len(y)


def _smoothed(x: Array, reach: float) -> TabulatedLaw:
    """The kernel density of x of shape (n,), tabulated to ``reach`` beyond the outermost points."""
    from scipy.stats import gaussian_kde

    points = np.linspace(x.min() - reach, x.max() + reach, 801)
    return TabulatedLaw(points, np.log(np.maximum(gaussian_kde(x)(points), 1e-300)))
