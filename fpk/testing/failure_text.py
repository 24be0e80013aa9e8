"""How an assertion ends: its verdict is collected and returned, or raised with a table, the reason, the likely mistake, and how to run it again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fpk.check_context import SURROUNDINGS
from fpk.difference import ALPHA
from fpk.errors import ComparisonError, Refuted, Undecided
from fpk.laws import Array
from fpk.testing.callers import caller, command
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

#: What is looked for only once an assertion is refuted.
Lines = Callable[[], Sequence[str]]


def spent(alpha: float | None) -> float:
    """The probability of refuting something true that a check may spend: as given, else what the running test offers, else 10⁻⁶.

    Raises
    ------
    ComparisonError
        If it is not between 0 and 1.
    """
    surroundings = SURROUNDINGS.get()
    offered = ALPHA if surroundings is None or surroundings.alpha is None else surroundings.alpha
    level = offered if alpha is None else alpha
    if not 0 < level < 1:
        raise ComparisonError(
            f"alpha must be between 0 and 1, got {level!r}: it is the chance of refuting something true."
        )
    return level


def held(
    verdict: Verdict,
    obtained: Array,
    expected: Array,
    check: str,
    *,
    suspects: Lines | None = None,
    place: Lines | None = None,
    alpha: float | None = None,
) -> Verdict:
    """The verdict, if it is CONFIRMED.

    Parameters
    ----------
    verdict : Verdict
    obtained, expected : array, shape (K,)
        The two sides, for the table.
    check : str
        The assertion as it was called, from :func:`call_text`.
    suspects, place : callable, optional
        () ↦ lines about likely mistakes, and about where the sides are furthest apart; asked only if the verdict is REFUTED.
    alpha : float, optional
        What the check spent, where it is more than this verdict's share.

    Raises
    ------
    Refuted, Undecided
        With :func:`failure_text`; both carry ``verdict``.
    """
    __tracebackhide__ = True
    refuted = verdict.outcome is Outcome.REFUTED
    likely, apart = _asked(suspects) if refuted else [], _asked(place) if refuted else []
    collected(verdict, check, suspects=likely, alpha=alpha)
    if verdict.outcome is Outcome.CONFIRMED:
        return verdict
    failure = (Refuted if refuted else Undecided)(
        failure_text(verdict, obtained, expected, check, suspects=likely, place=apart)
    )
    failure.verdict = verdict
    raise failure


def _asked(lines: Lines | None) -> list[str]:
    """The lines; whatever goes wrong in finding them must not hide what was refuted."""
    try:
        return [] if lines is None else list(lines())
    except Exception as error:
        return [f"could not be looked for: {type(error).__name__}: {error}"]


def collected(verdict: Verdict, check: str, *, suspects: Sequence[str] = (), alpha: float | None = None) -> None:
    """Tell the running test the verdict, as one row of plain values; its alpha is what was spent: 0 where nothing was sampled."""
    surroundings = SURROUNDINGS.get()
    if surroundings:
        row = {key: plain(value) for key, value in verdict.as_dict().items()}
        told = {
            "alpha": (float(verdict.alpha) if sampled(verdict) else 0.0) if alpha is None else alpha,
            "suspects": list(suspects),
        }
        surroundings.collect({"check": check} | row | told)


def sampled(verdict: Verdict) -> bool:
    """Whether noise was involved, so that a refutation may be a false alarm. Orders keep theirs in the budget, and have the level 0 without any."""
    return verdict.alpha > 0 and (verdict.kind == "order" or bool(np.any(verdict.standard_error > 0)))


def call_text(name: str, *arguments: str, **options: Any) -> str:
    """The assertion as it was called, without options left at None, and the line it was called from."""
    given = [*arguments, *(f"{key}={_short(value)}" for key, value in options.items() if value is not None)]
    return f"fpk.testing.{name}({', '.join(given)}) at {caller()}"


def plain(value: Any) -> Any:
    """Numbers of Python for those of numpy: test runners send verdicts between processes."""
    return value.item() if isinstance(value, np.generic) else value


def _short(value: Any) -> str:
    """A value as it would be written; what has no short form of its own goes by its type."""
    if isinstance(value, np.ndarray) and value.size > 6:
        return f"array of shape {value.shape}"
    if isinstance(value, (np.ndarray, list, tuple)):
        return repr([plain(v) for v in value])
    text = repr(plain(value))
    return f"<{type(value).__name__}>" if " at 0x" in text else text


def failure_text(
    verdict: Verdict,
    obtained: Array,
    expected: Array,
    check: str,
    *,
    suspects: Sequence[str] = (),
    place: Sequence[str] = (),
) -> str:
    """Everything that is needed to understand a failed assertion.

    Parameters
    ----------
    verdict : Verdict
    obtained, expected : array, shape (K,)
        The two sides; NaN where there is no such number.
    check : str
        The assertion as it was called, with its level and seed.
    suspects, place : sequence of str
        What is known about likely mistakes, and about where the sides are furthest apart.

    Returns
    -------
    str
        A table of the functionals that are furthest apart, then one line for each: the sides, tolerance, smallest effect seen, reason, place,
        suspects, remedy, rerun.
    """
    delta = "none was given" if verdict.tolerance is None else number_text(verdict.tolerance)
    chance = " with probability .99" if np.any(verdict.standard_error > 0) else ""
    facts = [
        ("actual", verdict.pair[0]),
        ("expected", verdict.pair[1]),
        ("tolerance", delta),
        ("smallest effect seen", f"{number_text(verdict.mde)} (differences this large are refuted{chance})"),
        ("reason", verdict.reason),
        *(("furthest apart", line) for line in place),
        *(("suspect", line) for line in suspects),
        ("remedy", verdict.remedy or _remedy(verdict)),
        ("rerun", rerun(check)),
    ]
    return "\n".join([f"{verdict.outcome}: {check}", "", *_table(verdict, obtained, expected), "", *listed(facts)])


def rerun(check: str) -> str:
    """How to run exactly this check again: the command of the running test or script, else the call and its place."""
    surroundings = SURROUNDINGS.get()
    return surroundings.rerun if surroundings else command() or check


def listed(facts: Sequence[tuple[str, str]]) -> list[str]:
    """Facts one below the other, their names in a column."""
    width = max(len(name) for name, _ in facts)
    margin = "\n" + " " * (width + 2)
    return [f"{name:<{width}}  {text}".replace("\n", margin) for name, text in facts]


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
