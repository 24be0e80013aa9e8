"""How an assertion about a black box ends: one verdict for its examination, with all findings in the reason and the suspects named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from fpk.testing.failure_text import held, sampled
from fpk.verdict import Outcome, Verdict

#: Suspects named at most.
NAMED = 3


class Examined(Protocol):
    """What examinations have in common."""

    @property
    def findings(self) -> Sequence[Any]:
        """All of them, each with a verdict."""
        ...

    @property
    def suspects(self) -> Sequence[Any]:
        """Mistakes that would explain them, the likeliest first."""
        ...

    @property
    def outcome(self) -> Outcome:
        """REFUTED if any finding is, else UNDECIDED if any is, else CONFIRMED."""
        ...


def examined(found: Examined, check: str, *, alpha: float) -> Verdict:
    """The verdict of the first finding of the worst outcome, if that is CONFIRMED.

    Parameters
    ----------
    found : Examined
    check : str
        The assertion as it was called.
    alpha : float
        What all findings together may have spent.

    Raises
    ------
    Refuted, Undecided
        With all findings.
    """
    __tracebackhide__ = True
    verdict = next(f.verdict for f in found.findings if f.verdict.outcome is found.outcome)
    if found.outcome is not Outcome.CONFIRMED:
        verdict = replace(verdict, reason="\n".join([verdict.reason, *map(str, found.findings)]))
    return concluded(verdict, found.suspects, check, alpha=shared(found, alpha))


def shared(found: Examined, alpha: float) -> float:
    """What the findings spent of the level they share: nothing if none of them is about samples."""
    return alpha if any(sampled(finding.verdict) for finding in found.findings) else 0.0


def concluded(verdict: Verdict, suspects: Sequence[Any], check: str, *, alpha: float | None = None) -> Verdict:
    """The verdict on what should vanish, if it is CONFIRMED; else raised with the suspects."""
    __tracebackhide__ = True
    ranked = [f"{k}. {suspect}" for k, suspect in enumerate(suspects[:NAMED], 1)]
    zero = np.zeros_like(verdict.difference)
    return held(verdict, verdict.difference, zero, check, suspects=lambda: ranked, alpha=alpha)
