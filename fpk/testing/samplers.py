"""The assertion about samplers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fpk.battery import Examination, examine_sampler
from fpk.check_context import SURROUNDINGS
from fpk.errors import Refuted, Undecided
from fpk.testing.failure_text import _plain, call_text
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
    _collected(found)
    if found.outcome is Outcome.CONFIRMED:
        return found
    refuted = found.outcome is Outcome.REFUTED
    failure = (Refuted if refuted else Undecided)(f"{found}\nrerun  {_rerun()}")
    failure.verdict = (found.refuted if refuted else found.undecided)[0].verdict
    raise failure


def _collected(found: Examination) -> None:
    """Every verdict is told to the test that asked, as those of other assertions are."""
    surroundings = SURROUNDINGS.get()
    for finding in found.findings if surroundings else ():
        told = {key: _plain(value) for key, value in finding.verdict.as_dict().items()}
        surroundings.collect({"check": f"assert_sampler: {finding.check}"} | told)  # type: ignore[union-attr]


def _rerun() -> str:
    surroundings = SURROUNDINGS.get()
    return surroundings.rerun if surroundings else call_text("assert_sampler", "sampler")
