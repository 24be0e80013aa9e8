"""The assertion about samplers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fpk.battery import Examination, examine_sampler
from fpk.errors import Refuted, Undecided
from fpk.verdict import Outcome


def assert_sampler(sampler: Callable[..., Any], **declared: Any) -> Examination:
    """A sampler with an exact model reaches the law it should, in the order it claims, by the steps it says.

    Parameters
    ----------
    sampler : callable
        (model, start, steps, rng) ↦ positions; see :mod:`fpk.battery`.
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
    """
    __tracebackhide__ = True
    found = examine_sampler(sampler, **declared)
    if found.outcome is Outcome.CONFIRMED:
        return found
    refuted = found.outcome is Outcome.REFUTED
    failure = (Refuted if refuted else Undecided)(str(found))
    failure.verdict = (found.refuted if refuted else found.undecided)[0].verdict
    raise failure
