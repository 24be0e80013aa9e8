"""The assertion about samplers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fpk.battery import Examination, examine_sampler
from fpk.errors import Refuted, Undecided
from fpk.testing.examined import NAMED, shared
from fpk.testing.failure_text import call_text, collected, listed, rerun, spent
from fpk.verdict import Outcome


def assert_sampler(sampler: Callable[..., Any], *, alpha: float | None = None, **declared: Any) -> Examination:
    """A sampler with an exact model reaches the law it should, in the order it claims, by the steps it says.

    Parameters
    ----------
    sampler : callable
        (model, start, steps, rng) ↦ positions; see :mod:`fpk.battery`.
    alpha : float, optional
        Probability, at most, that findings about samples refute something true; the checks share it. Default 10⁻⁶, or what the test may spend.
    **declared
        As for :func:`fpk.battery.examine_sampler`: at least ``kind`` and ``schedule``.

    Returns
    -------
    Examination

    Raises
    ------
    Refuted
        If a finding is: with the table of all, and the mistakes that would explain them.
    Undecided
        If none is, but one could not tell.

    Examples
    --------
    >>> import fpk
    >>> from fpk.schedules import OTSchedule
    >>> def backwards(model, x, steps, rng):
    ...     for k in range(steps):
    ...         x = x - model(x, 1 - k / steps) / steps
    ...     return x
    >>> print(fpk.testing.assert_sampler(backwards, kind="velocity", schedule=OTSchedule(), order=1).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    alpha = spent(alpha)
    check = call_text("assert_sampler", "sampler", **declared, alpha=alpha)
    found = examine_sampler(sampler, alpha=alpha, **declared)
    told = next(f for f in found.findings if f.verdict.outcome is found.outcome)
    collected(told.verdict, check, suspects=[str(s) for s in found.suspects[:NAMED]], alpha=shared(found, alpha))
    if found.outcome is Outcome.CONFIRMED:
        return found
    text = "\n".join([f"{found.outcome}: {check}", "", str(found), "", *listed([("rerun", rerun(check))])])
    failure = (Refuted if found.outcome is Outcome.REFUTED else Undecided)(text)
    failure.verdict = told.verdict
    raise failure
