"""Verdicts: confirmed, refuted or undecided, with the numbers behind them. Constructed only by :mod:`fpk.comparison`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from fpk.laws import Array
from fpk.shown import Shown


class Outcome(StrEnum):
    """The three values of a verdict."""

    CONFIRMED = "CONFIRMED"
    REFUTED = "REFUTED"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True)
class Verdict(Shown):
    """What a comparison found.

    Parameters
    ----------
    outcome : Outcome
    kind : str
        equality, identity or bound.
    reason : str
        One sentence: why this outcome.
    names : tuple of str
        The K functionals.
    difference, budget, standard_error : array, shape (K,)
        First side minus second; bound for the systematic error of the difference; its standard error.
    tolerance : float or None
        δ: differences up to it count as equal. None: nothing was asked to be excluded, so nothing can be confirmed.
    mde : float
        Minimum detectable effect, in units of the functionals: differences this large are refuted with probability .99.
    statistic, threshold : float
        The deciding statistic and what it was held against.
    alpha : float
        Probability of refuting a true equality.
    pair : (str, str)
        The two sources.
    remedy : str
        What would settle an undecided comparison; empty otherwise.
    method : str
        The sharpest reading the two sides allowed: deterministic, coupled, discrete law or independent.
    """

    outcome: Outcome
    kind: str
    reason: str
    names: tuple[str, ...]
    difference: Array
    budget: Array
    standard_error: Array
    tolerance: float | None
    mde: float
    statistic: float
    threshold: float
    alpha: float
    pair: tuple[str, str]
    remedy: str = ""
    method: str = ""

    @property
    def worst(self) -> int:
        """Index of the functional that decides: the largest |difference| + budget; for a bound, the largest difference."""
        size = self.difference if self.kind == "bound" else np.abs(self.difference)
        return int(np.argmax(size + np.where(np.isfinite(self.budget), self.budget, 0)))

    def __str__(self) -> str:
        k = self.worst
        shown = "none" if self.tolerance is None else f"{self.tolerance:.3g}"
        lines = [
            f"{self.outcome}: {self.pair[0]} | {self.pair[1]}" + (f" ({self.method})" if self.method else ""),
            f"  {self.reason}",
            f"  largest difference {self.difference[k]:+.3g} ({self.names[k]}), budget {self.budget[k]:.2g}, "
            f"standard error {self.standard_error[k]:.2g}, tolerance {shown}",
            f"  smallest effect this comparison is sure to see: {self.mde:.3g}",
        ]
        return "\n".join([*lines, f"  to settle it: {self.remedy}"] if self.remedy else lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, for JSON."""
        k = self.worst
        return {
            "verdict": str(self.outcome),
            "kind": self.kind,
            "reason": self.reason,
            "functional": self.names[k],
            "difference": float(self.difference[k]),
            "budget": float(self.budget[k]),
            "standard_error": float(self.standard_error[k]),
            "tolerance": self.tolerance,
            "mde": float(self.mde),
            "statistic": float(self.statistic),
            "threshold": float(self.threshold),
            "alpha": self.alpha,
            "pair": list(self.pair),
            "remedy": self.remedy,
            "method": self.method,
        }
