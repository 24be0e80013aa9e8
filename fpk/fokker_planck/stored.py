"""What grid solutions of every dimension share: stored densities, expectations without a budget, and how scores depend on t."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from fpk.errors import GridError
from fpk.laws import Array
from fpk.marginals import Estimate
from fpk.panels import Block, Panel, integrals
from fpk.shown import Shown, Summarised

#: What differences of two levels are multiplied with to become a budget.
SAFETY = 1.5


class StoredDensities(Summarised, Shown, ABC):
    """Densities at stored times; subclasses say which grid they are on and what a block expects."""

    times: tuple[float, ...]
    densities: Array
    plan: Any

    @property
    def source(self) -> str:
        """What computed it, in words."""
        return str(self.plan)

    @property
    def minimum(self) -> float:
        """The deepest undershoot (≥ 0 for positive schemes)."""
        return float(self.densities.min())

    def unbudgeted(self, panel: Panel) -> Estimate:
        """Expectations of the panel's functionals, with an infinite budget."""
        value, thresholds = integrals(panel, self._expected)
        return Estimate(
            value,
            np.full_like(value, np.inf),
            thresholds=thresholds,
            threshold_bound=np.full_like(thresholds, np.inf),
            source=self.source,
        )

    @abstractmethod
    def _expected(self, given: Block) -> Array:
        """Expectations of one block's functionals."""

    @property
    def _degree_in_time(self) -> int:
        """Of splines through all stored times."""
        return (1, 1, 3, 3, 5)[min(len(self.times) - 2, 4)]

    def _require_score_at(self, t: float) -> None:
        first, last = min(self.times), max(self.times)
        if len(self.times) < 2 or not first <= t <= last * (1 + 1e-12):
            raise GridError(
                f"no score at t={t:g}: {len(self.times)} stored times reach from {first:g} to {last:g}. "
                "Solve with times=numpy.linspace(0, T, steps + 1)."
            )
