"""Sessions: the checks that the tests of one pytest session made, as rows; what is said of them, and how they differ from an earlier session's.

A *row* is one place of one test that makes a check, with the worst verdict found there and the ``counts`` of all. It has the fields of the records
of ``fpk run`` (:class:`fpk.records.Record`): ``id`` is the test, ``variant`` the assertion, ``case`` the parameters of the test. A row *holds* if its
verdict is CONFIRMED, or if its test passed all the same: then the test asked for that verdict.

Two sessions differ badly if a verdict flipped (unless one that did not hold does now), if a check vanished from a test that still passes or whose
file was looked through, or if a check was sure to see an effect of its tolerance and is not any more. Tests that were not selected tell nothing.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from fpk.changes import Change, blinder, changes, grouped_inputs, holds, read_records
from fpk.check_context import GRAVEST
from fpk.errors import StoreError
from fpk.wording import number_text, one_line

Row = dict[str, Any]
#: Characters of a sentence in the terminal.
SENTENCE = 300
#: Inputs that are named.
FEW = 8
PASSED, RAN = ("passed", "xfailed"), ("passed", "xfailed", "skipped", "undecided")


class Ended(Protocol):
    """How a test ended, and the rows it sent, as JSON."""

    outcome: str
    rows: list[str]


@dataclass(frozen=True)
class Comparison:
    """How a session differs from an earlier one.

    Parameters
    ----------
    flipped, vanished, blunted : list of Change
        What must not be: other verdicts, checks that are no longer made, checks that see less than their tolerance now.
    mended, new : list of Change
        What held not and holds now; what was not checked before.
    inputs : list of Change
        What was computed otherwise: tolerances, seeds, versions.
    unseen : int
        Earlier checks whose tests did not run in this session.
    """

    flipped: list[Change]
    vanished: list[Change]
    blunted: list[Change]
    mended: list[Change]
    new: list[Change]
    inputs: list[Change]
    unseen: int

    @property
    def bad(self) -> list[Change]:
        """All that makes a session fail, flips first."""
        return [*self.flipped, *self.vanished, *self.blunted]

    def lines(self) -> Iterator[str]:
        """What else is different: inputs, and how many checks are new or were not run."""
        if self.inputs:
            told = ", ".join(f"{name} ({many(number, 'check')})" for name, number in grouped_inputs(self.inputs)[:FEW])
            yield f"computed otherwise: {told}"
        if self.new:
            yield f"{many(len(self.new), 'new check')}"
        if self.unseen:
            yield f"{self.unseen} of the earlier checks were not run"


@dataclass(frozen=True)
class Session:
    """The checks of a session.

    Parameters
    ----------
    rows : list of dict
    tests : int
        How many tests made a check.
    budget : float or None
        What the session was allowed to spend on false alarms.
    comparison : Comparison or None
    trouble : tuple of str
        What could not be written, and why.
    unwritten : bool
        Whether the report is among that; a summary is not worth failing for.
    """

    rows: list[Row]
    tests: int
    budget: float | None = None
    comparison: Comparison | None = None
    trouble: tuple[str, ...] = ()
    unwritten: bool = False

    @property
    def holds(self) -> bool:
        """Whether nothing differs badly from the earlier session, and its report could be written; failed tests are told by pytest."""
        return not self.unwritten and not (self.comparison and self.comparison.bad)

    @cached_property
    def failing(self) -> list[Row]:
        """Rows that do not hold, refuted ones first."""
        return sorted((row for row in self.rows if not row["holds"]), key=lambda row: -GRAVEST.index(row["verdict"]))

    @property
    def counted(self) -> str:
        """How many checks, and how they ended, in one line."""
        found = Counter(row["verdict"] for row in self.rows)
        parts = [f"{found[name]} {name}" for name in GRAVEST if found[name]]
        wanted = sum(row["holds"] and row["verdict"] != GRAVEST[0] for row in self.rows)
        told = ", ".join(parts) + (f" ({wanted} of them wanted so by tests that pass)" if wanted else "")
        return f"{many(len(self.rows), 'check')} in {many(self.tests, 'test')}: {told or 'none made'}"

    @property
    def spent(self) -> str:
        """What a false alarm had as its chance, and how much of that was not in the budget."""
        total, beyond = (sum(row[name] or 0.0 for row in self.rows) for name in ("spent", "beyond"))
        if not total:
            return "nothing was sampled: no false alarms"
        over = f", {number_text(beyond)} of it by checks with a level of their own" if beyond and self.budget else ""
        allowed = f" (budget {number_text(self.budget)}{over})" if self.budget else ""
        return f"chance of a false alarm at most {number_text(min(total, 1.0))}{allowed}"

    def lines(self) -> Iterator[tuple[str, str]]:
        """(style, line) for the terminal: every check that does not hold, what changed, and a count; nothing where there was no check."""
        compared = self.comparison
        quiet = not self.failing and self.holds and not self.trouble
        if not quiet:
            yield "title", "fpk"
        for row in self.failing:
            yield "red" if row["verdict"] == "REFUTED" else "yellow", f"{row['verdict']:<9} {told_row(row)}"
        for name in ("flipped", "vanished", "blunted", "mended") if compared else ():
            for change in getattr(compared, name):
                yield ("green" if name == "mended" else "red"), f"{name:<9} {told_change(change)}"
        yield from (("", line) for line in (compared.lines() if compared else ()))
        yield from (("red", text) for text in self.trouble)
        if self.rows or not quiet:
            yield ("green" if quiet else "red"), f"fpk: {self.counted}; {self.spent}"
        if compared and compared.bad:
            yield "red", f"fpk: the session fails: {worse(compared)} than in the earlier report"


def worse(comparison: Comparison) -> str:
    """How many checks are worse than before, as the beginning of a sentence."""
    return f"{many(len(comparison.bad), 'check')} {'is' if len(comparison.bad) == 1 else 'are'} worse"


def many(number: int, noun: str) -> str:
    """A number of things: ``1 check``, ``2 checks``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def told_row(row: Row) -> str:
    """A row in one line: which check, where, the numbers that decide, and the most likely mistake."""
    times = sum(row["counts"].values())
    often = f", {row['counts'][row['verdict']]} of {times} times" if times > 1 else ""
    numbers = f"difference {number_text(row['difference'])} ({', '.join(_numbers(row))})"
    suspects = f"; suspect: {row['suspects'][0]}" if row.get("suspects") else ""
    return one_line(f"{row['test']} {row['variant']}{at(row)}{often}: {numbers}{suspects}", SENTENCE)


def _numbers(row: Row) -> Iterator[str]:
    names = {"budget": "budget", "standard_error": "standard error", "tolerance": "tolerance"}
    yield from (f"{label} {number_text(row[name])}" for name, label in names.items() if row.get(name) is not None)


def at(row: Row) -> str:
    """Where a row's check is made, as the end of a phrase."""
    return f" at {row['place']}" if row.get("place") else ""


def told_change(change: Change) -> str:
    """A change in one line."""
    row = change.after or change.before or {}
    text = change.text.removeprefix(f"{change.kind}; ")
    return one_line(f"{row.get('test', change.id)} {change.variant}: {text}", SENTENCE)


# -- rows ------------------------------------------------------------------------------------------------------------------


def rows_of(tests: Mapping[str, Ended], seed: int) -> list[Row]:
    """The rows of all tests, by id, so that no order of tests or workers changes them.

    Parameters
    ----------
    tests : mapping from id to Ended
    seed : int
        The root seed of the session.
    """
    versions = _versions()
    out: list[Row] = []
    for _, ended in sorted(tests.items()):
        sent = [json.loads(row) for row in ended.rows]
        for variant, row in _named(sent):
            out.append(_row(variant, row, ended.outcome, seed) | {"versions": versions})
    return out


def _named(sent: Sequence[Row]) -> list[tuple[str, Row]]:
    """A name for each row of a test: its assertion, numbered where several places make the same."""
    seen: Counter[str] = Counter()
    out = []
    for row in sorted(sent, key=lambda row: _line(row["place"])):
        seen[row["assertion"]] += 1
        number = seen[row["assertion"]]
        out.append((f"{row['assertion']} ({number})" if number > 1 else row["assertion"], row))
    return out


def _line(place: str) -> tuple[str, int]:
    file, _, line = place.rpartition(":")
    return file, int(line or 0)


def _row(variant: str, row: Row, outcome: str, seed: int) -> Row:
    holds = row["verdict"] == "CONFIRMED" or outcome in PASSED
    case, test = row["case"], row["test"]
    head = {
        "id": test.removesuffix(f"[{case}]") if case else test,
        "variant": variant,
        "case": case,
        "expected": row["verdict"] if holds else "CONFIRMED",
        "holds": holds,
        "outcome": outcome,
        "study": test.partition("::")[0],
        "statement": row["check"],
        "seed": seed,
        "inputs": {"tolerance": number_text(row.get("tolerance"))},
    }
    return head | {name: value for name, value in row.items() if name not in ("check", "assertion", *head)}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("fpk", "numpy", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a folder without installation
            continue
    return found


# -- comparing -------------------------------------------------------------------------------------------------------------


def earlier(folder: str) -> list[Row]:
    """The rows of an earlier session.

    Raises
    ------
    StoreError
        If there are none, or they are of something else.
    """
    rows = read_records(Path(folder))
    if not all("test" in row for row in rows):
        raise StoreError(f"{folder} is no report of a test session: name a folder that --fpk-report wrote.")
    return rows


def compared(
    before: Iterable[Row], after: Iterable[Row], ran: Mapping[str, str], is_gone: Callable[[str], bool]
) -> Comparison:
    """How a session differs from an earlier one.

    Parameters
    ----------
    before, after : iterable of dict
        Rows.
    ran : mapping from test to outcome
        Tests of this session, with and without checks.
    is_gone : callable
        Whether a test that did not run exists no more.
    """
    found: dict[str, list[Change]] = {}
    for change in changes(before, after):
        found.setdefault(change.kind, []).append(change)
    flips, lost = found.get("flipped", []), found.get("vanished", [])
    mended = [c for c in flips if c.before and c.after and not holds(c.before) and holds(c.after)]
    vanished = [c for c in lost if c.before and _vanished(c.before["test"], ran, is_gone)]
    return Comparison(
        flipped=[c for c in flips if c not in mended],
        vanished=vanished,
        blunted=[c for c in found.get("numbers", []) if c.before and c.after and blinder(c.before, c.after)],
        mended=mended,
        new=found.get("new", []),
        inputs=found.get("inputs", []),
        unseen=len(lost) - len(vanished),
    )


def _vanished(test: str, ran: Mapping[str, str], is_gone: Callable[[str], bool]) -> bool:
    return ran[test] in RAN if test in ran else is_gone(test)
