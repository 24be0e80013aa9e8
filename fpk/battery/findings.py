"""Findings of an examination: a check's name, its verdict and one line for people; and suspects, the mistakes that would explain them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fpk.comparison import below_zero, settle, vanishes
from fpk.laws import Array
from fpk.marginals import CAUTION, Estimate, residual
from fpk.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    check : str
        Its name.
    verdict : Verdict
    line : str
        One sentence for people.
    hints : dict
        Numbers for the diagnosis.
    """

    check: str
    verdict: Verdict
    line: str
    hints: dict[str, Any] = field(default_factory=dict)

    @property
    def refuted(self) -> bool:
        """Whether the sampler was found wrong."""
        return self.verdict.outcome is Outcome.REFUTED

    def __str__(self) -> str:
        return f"{self.verdict.outcome:<9}  {self.check:<18}  {self.line}"


@dataclass(frozen=True)
class Suspect:
    """A mistake that would explain the findings.

    Parameters
    ----------
    mistake : str
    distance : float
        How far its consequences are from what was seen; 0 is a perfect explanation.
    because : str
        What points to it.
    """

    mistake: str
    distance: float
    because: str = ""

    def __str__(self) -> str:
        return f"{self.mistake} (distance {self.distance:.2g}{': ' + self.because if self.because else ''})"


def stated(check: str, holds: bool, line: str, **hints: Any) -> Finding:
    """A finding about something that is so or not: as many violations as there should be, none."""
    found = residual(np.array([0.0 if holds else 1.0]), np.zeros(1), proven=True, source=check)
    return Finding(check, vanishes(found, tolerance=1e-6), line, hints)


def small(
    check: str,
    values: Array | float,
    *,
    tolerance: float,
    line: str,
    doubt: float = 0.0,
    names: Sequence[str] = (),
    **hints: Any,
) -> Finding:
    """A finding about numbers, certain but for a doubt, all of which should be below the tolerance in size."""
    sizes = np.atleast_1d(np.abs(np.asarray(values, float)))
    sizes = np.where(np.isfinite(sizes), sizes, 1e300)
    verdict = below_zero(Estimate(sizes - tolerance, np.full(len(sizes), doubt + 1e-15), source=check), names=names)
    return Finding(check, verdict, line, hints)


def at_least(check: str, interval: tuple[float, float], wanted: float, line: str, **hints: Any) -> Finding:
    """A finding about an enclosed number that should exceed what is wanted."""
    low, high = interval
    middle, half = ((low + high) / 2, (high - low) / 2) if np.isfinite(low) and np.isfinite(high) else (wanted, np.inf)
    found = Estimate(np.array([wanted - middle]), np.array([half]), source=check)
    return Finding(check, below_zero(found, names=(check,)), line, hints)


def sampled(
    check: str, found: Estimate, *, tolerance: float, line: str, alpha: float, names: Sequence[str] = (), **hints: Any
) -> Finding:
    """A finding about sample means that should vanish within a tolerance."""
    zero = Estimate(np.zeros(len(found.value)), np.zeros(len(found.value)), proven=True, source="the exact law")
    return Finding(check, settle(found, zero, names=names, tolerance=tolerance, alpha=alpha), line, hints)


def unexplained(values: Sequence[float] | Array, counts: Sequence[int], *, order: float = 1.0) -> float:
    """What is left of the last of several sizes, once what shorter steps would take off it, and half of that more, is.

    Sizes that fall like steps^−order fall by the last change divided by (n/n')^order − 1 from the last number of steps n on, n' the one before.
    """
    if len(values) < 2:
        return float(values[-1])
    fall = abs(values[-1] - values[-2]) / ((counts[-1] / counts[-2]) ** order - 1)
    return float(max(0.0, values[-1] - CAUTION * fall))
