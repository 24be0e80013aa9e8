"""How an assertion ends: its verdict is collected and returned, or raised with a table, the reason, what to do, and how to run it again."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fpk.check_context import SURROUNDINGS
from fpk.errors import Refuted, Undecided
from fpk.laws import Array
from fpk.verdict import Outcome, Verdict
from fpk.wording import number_text

ROWS = 8
REMEDIES = {
    "equality": "find which side is wrong, starting at the largest difference; if this much may differ, say so with tolerance=.",
    "identity": "mend what should vanish, starting at the largest difference.",
    "bound": "mend what exceeds the bound, or state a weaker one.",
    "order": "look for a coefficient read at the wrong end of a step, or claim the order that was found.",
}
HEADINGS = ("functional", "obtained", "expected", "difference", "budget", "standard error", "where")


def held(verdict: Verdict, obtained: Array, expected: Array, check: str) -> Verdict:
    """The verdict, if it is CONFIRMED.

    Parameters
    ----------
    verdict : Verdict
    obtained, expected : array, shape (K,)
        The two sides, for the table.
    check : str
        The assertion as it was called, from :func:`call_text`.

    Raises
    ------
    Refuted, Undecided
        With :func:`failure_text`; both carry ``verdict``.
    """
    __tracebackhide__ = True
    surroundings = SURROUNDINGS.get()
    if surroundings:
        surroundings.collect({"check": check} | {key: _plain(value) for key, value in verdict.as_dict().items()})
    if verdict.outcome is Outcome.CONFIRMED:
        return verdict
    failure = (Refuted if verdict.outcome is Outcome.REFUTED else Undecided)(
        failure_text(verdict, obtained, expected, check)
    )
    failure.verdict = verdict
    raise failure


def call_text(name: str, *arguments: str, **options: Any) -> str:
    """The assertion as it was called, without options left at None, and the line it was called from."""
    given = [*arguments, *(f"{key}={_plain(value)!r}" for key, value in options.items() if value is not None)]
    return f"fpk.testing.{name}({', '.join(given)}) at {_caller()}"


def _plain(value: Any) -> Any:
    """Numbers of Python for those of numpy: test runners send verdicts between processes."""
    return value.item() if isinstance(value, np.generic) else value


def _caller() -> str:
    """File and line of the nearest frame outside fpk's own modules."""
    frame: Any = sys._getframe(1)
    package = str(Path(__file__).parent)
    while frame.f_back is not None and os.path.dirname(frame.f_code.co_filename) == package:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def failure_text(verdict: Verdict, obtained: Array, expected: Array, check: str) -> str:
    """Everything that is needed to understand a failed assertion.

    Parameters
    ----------
    verdict : Verdict
    obtained, expected : array, shape (K,)
        The two sides; NaN where there is no such number.
    check : str
        The assertion as it was called, with its level and seed.

    Returns
    -------
    str
        A table of the functionals that are furthest apart, then one line for each: the sides, tolerance, smallest effect seen, reason, remedy, rerun.
    """
    surroundings = SURROUNDINGS.get()
    delta = "none was given" if verdict.tolerance is None else number_text(verdict.tolerance)
    chance = " with probability .99" if np.any(verdict.standard_error > 0) else ""
    facts = {
        "actual": verdict.pair[0],
        "expected": verdict.pair[1],
        "tolerance": delta,
        "smallest effect seen": f"{number_text(verdict.mde)} (differences this large are refuted{chance})",
        "reason": verdict.reason,
        "remedy": verdict.remedy or _remedy(verdict),
        "rerun": surroundings.rerun if surroundings else check,
    }
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {text}" for name, text in facts.items()]
    return "\n".join([f"{verdict.outcome}: {check}", "", *_table(verdict, obtained, expected), "", *lines])


def _remedy(verdict: Verdict) -> str:
    if verdict.outcome is Outcome.UNDECIDED:
        return "more samples, or a finer grid."
    return REMEDIES.get(verdict.kind, REMEDIES["identity"])


def _table(verdict: Verdict, obtained: Array, expected: Array) -> list[str]:
    """The functionals that are furthest apart, as aligned columns."""
    distance = verdict.difference if verdict.kind == "bound" else np.abs(verdict.difference)
    order = np.argsort(-distance, kind="stable")
    rows = [HEADINGS, *(_row(verdict, obtained, expected, int(k)) for k in order[:ROWS])]
    left = len(order) - ROWS
    return [*_aligned(rows), *([f"... and {left} more, closer together"] if left > 0 else [])]


def _row(verdict: Verdict, obtained: Array, expected: Array, k: int) -> tuple[str, ...]:
    name, where = _name_and_place(verdict.names[k])
    numbers = (obtained[k], expected[k], verdict.difference[k], verdict.budget[k], verdict.standard_error[k])
    return (name, *(number_text(float(number)) for number in numbers), where)


def _name_and_place(label: str) -> tuple[str, str]:
    """A label like ``φ2 at t=0.5 along [1. 0.]`` as (φ2 along [1. 0.], t=0.5)."""
    found = re.fullmatch(r"(.+?) at (\S+=\S+)(.*)", label)
    return (found[1] + found[3], found[2]) if found else (label, "")


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(widths) - 1

    def line(row: tuple[str, ...]) -> str:
        cells = [
            f"{text:<{w}}" if i in (0, last) else f"{text:>{w}}"
            for i, (text, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return [line(row) for row in rows]
