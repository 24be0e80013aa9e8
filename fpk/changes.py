r"""Changes: what is different between two sets of records of the same checks, most urgent first.

A record is a *row*, a plain dictionary as ``records.jsonl`` holds it; rows are matched by claim, variant and case. A change is of one kind:

flipped
    The verdict is another one (that a record crashed, or is missing from its store, counts as a verdict).
vanished, new
    The check has a row on one side only.
inputs
    What was computed is not the same: code, version, size, seed, libraries.
numbers
    The difference moved by more than the budgets and 4.9 standard errors of both sides allow, or effects as small as the
    tolerance are no longer seen.

A flip is listed with its inputs, once; otherwise a check may be listed with its inputs and with its numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fpk.errors import StoreError

#: Kinds of change, in the order they are told.
KINDS = ("flipped", "vanished", "new", "inputs", "numbers")
#: Files of a report that hold rows; the second has verdicts only.
ROWS = ("records.jsonl", "verdicts.json")
#: Standard errors that sampling noise exceeds with probability 10⁻⁶.
SIGMAS = 4.9
#: Moves below this share of the tolerance are no news, whatever the budgets.
NO_NEWS = 1e-9

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One difference between two sets of rows.

    Parameters
    ----------
    id, variant, case : str
        The check.
    kind : str
        One of :data:`KINDS`.
    before, after : mapping or None
        The rows; None where the check has none.
    inputs : tuple of (name, before, after)
        Inputs that differ, as text.
    """

    id: str
    variant: str
    case: str
    kind: str
    before: Row | None
    after: Row | None
    inputs: tuple[tuple[str, str, str], ...] = ()

    @property
    def check(self) -> str:
        """Claim, variant and case, for people."""
        return " · ".join(part for part in (self.id, self.variant, self.case) if part)

    @property
    def bad(self) -> bool:
        """Whether a verdict flipped to what is not expected."""
        return self.kind == "flipped" and self.after is not None and not holds(self.after)

    @property
    def text(self) -> str:
        """What changed, without the name of the check."""
        if self.before is None or self.after is None:
            row = self.after or self.before or {}
            return f"{self.kind}; {'is' if self.kind == 'new' else 'was'} {found(row)}"
        if self.kind == "flipped":
            told = f"{found(self.before)} → {found(self.after)}{'' if holds(self.after) else ', not as expected'}"
            return told + (f" (differs: {told_inputs(self.inputs)})" if self.inputs else "")
        return told_inputs(self.inputs) if self.kind == "inputs" else _told_numbers(self.before, self.after)


def read_records(folder: Path) -> list[dict[str, Any]]:
    """The rows of a report.

    Parameters
    ----------
    folder : Path
        A report's folder, or its ``records.jsonl`` or ``verdicts.json`` (a baseline; verdicts without numbers).

    Raises
    ------
    StoreError
        If there is no such file, or a line of it is no row.
    """
    places = [folder] if folder.is_file() else [folder / name for name in ROWS]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise StoreError(
            f"{folder} holds no report: a folder with {' or '.join(ROWS)} is needed, as fpk run writes it."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read: {error}.") from error
    return list(_rows_in(path, text))


def _rows_in(path: Path, text: str) -> Iterator[dict[str, Any]]:
    whole = text.lstrip().startswith("[")
    lines = [(1, text)] if whole else [(k, line) for k, line in enumerate(text.split("\n"), 1) if line.strip()]
    for number, line in lines:
        try:
            parsed = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{path}, line {number}, is no JSON ({error}): write the report again.") from error
        for row in parsed if whole else [parsed]:
            if not (isinstance(row, dict) and isinstance(row.get("id"), str) and "verdict" in row):
                raise StoreError(f"{path}, line {number}: a row needs an id and a verdict; write the report again.")
            yield row


def changes(before: Iterable[Row], after: Iterable[Row]) -> list[Change]:
    """Everything that changed from one set of rows to another, by kind, each kind in the order of the rows.

    Examples
    --------
    >>> row = {"id": "one", "variant": "stated", "case": "", "expected": "CONFIRMED", "verdict": "CONFIRMED"}
    >>> changes([row], [row | {"verdict": "REFUTED"}])[0].text
    'CONFIRMED → REFUTED, not as expected'
    """
    old, new = ({_check(row): row for row in rows} for rows in (before, after))
    listed = [change for check in (*new, *(c for c in old if c not in new)) for change in _between(check, old, new)]
    return sorted(listed, key=lambda change: (KINDS.index(change.kind), not change.bad))


def _between(check: tuple[str, str, str], old: Mapping[Any, Row], new: Mapping[Any, Row]) -> Iterator[Change]:
    before, after = old.get(check), new.get(check)
    if before is None or after is None:
        yield Change(*check, "new" if before is None else "vanished", before, after)
        return
    inputs = changed_inputs(before, after)
    if found(before) != found(after):
        yield Change(*check, "flipped", before, after, inputs)
        return
    if inputs:
        yield Change(*check, "inputs", before, after, inputs)
    if moved(before, after) or blinder(before, after):
        yield Change(*check, "numbers", before, after, inputs)


def _check(row: Row) -> tuple[str, str, str]:
    return row["id"], row.get("variant") or "", row.get("case") or ""


def found(row: Row) -> str:
    """The verdict of a row; MISSING or CRASHED where there is none that should be, a dash where none is meant to be."""
    crashed = row.get("error") or row.get("expected")
    return str(row["verdict"] or ("MISSING" if row.get("missing") else "CRASHED" if crashed else "–"))


def holds(row: Row) -> bool:
    """Whether a row's verdict is the expected one: CONFIRMED, where nothing is said."""
    return bool(row["holds"]) if "holds" in row else row["verdict"] == row.get("expected", "CONFIRMED")


# -- inputs -----------------------------------------------------------------------------------------------------------------


def changed_inputs(before: Row, after: Row) -> tuple[tuple[str, str, str], ...]:
    """Names and values of the inputs that differ; what only one side recorded at all is not compared, nor what is missing."""
    if before.get("missing") or after.get("missing"):
        return ()
    pairs = [(row.get("inputs") or {}, row.get("versions") or {}) for row in (before, after)]
    out = [
        (name, str(before[name]), str(after[name]))
        for name in ("expected", "size", "seed")
        if name in before and name in after and before[name] != after[name]
    ]
    for one, other in zip(*pairs, strict=True):
        if one and other:
            names = dict.fromkeys((*one, *other))
            out += [(n, str(one.get(n, "–")), str(other.get(n, "–"))) for n in names if one.get(n) != other.get(n)]
    keys = [row.get("key") or "" for row in (before, after)]
    return tuple(out) if out or not all(keys) or keys[0] == keys[1] else (("key", keys[0][:12], keys[1][:12]),)


def told_inputs(inputs: Sequence[tuple[str, str, str]]) -> str:
    """Inputs that differ in one line, for example ``engine 41c0 → 9ab2, size quick → full``."""
    return ", ".join(f"{name} {before} → {after}" for name, before, after in inputs)


def grouped_inputs(found: Iterable[Change]) -> list[tuple[str, int]]:
    """Which inputs differ, and in how many checks, the most frequent first; values are told where all checks share them.

    Examples
    --------
    >>> one = Change("a", "stated", "", "inputs", {}, {}, (("engine", "41c0", "9ab2"), ("seed", "1", "2")))
    >>> other = Change("b", "stated", "", "inputs", {}, {}, (("engine", "41c0", "9ab2"), ("seed", "3", "4")))
    >>> grouped_inputs([one, other])
    [('engine 41c0 → 9ab2', 2), ('seed', 2)]
    """
    values: dict[str, list[tuple[str, str]]] = {}
    for change in found:
        for name, *pair in change.inputs:
            values.setdefault(name, []).append((pair[0], pair[1]))
    told = {n: f"{n} {p[0][0]} → {p[0][1]}" if len(set(p)) == 1 else n for n, p in values.items()}
    return sorted(((told[name], len(pairs)) for name, pairs in values.items()), key=lambda item: -item[1])


# -- numbers ----------------------------------------------------------------------------------------------------------------


def moved(before: Row, after: Row) -> bool:
    """Whether the difference moved by more than budgets and sampling noise allow.

    Both rows must tell a difference. Where another functional decides than before, sizes are compared instead of signed differences.
    """
    one, other = _number(before, "difference"), _number(after, "difference")
    if one is None or other is None:
        return False
    same = before.get("functional") == after.get("functional")
    return (abs(one - other) if same else abs(abs(one) - abs(other))) > _allowed(before, after)


def _allowed(before: Row, after: Row) -> float:
    budgets = [_number(row, "budget", math.inf) for row in (before, after)]
    noise = [_number(row, "standard_error", 0.0) for row in (before, after)]
    tolerances = [_number(row, "tolerance", 0.0) for row in (before, after)]
    return (
        sum(b or 0.0 for b in budgets)
        + SIGMAS * math.hypot(*(n or 0.0 for n in noise))
        + NO_NEWS * max(t or 0.0 for t in tolerances)
    )


def blinder(before: Row, after: Row) -> bool:
    """Whether an effect of the size of the tolerance was sure to be seen before, and is not any more."""
    return _sees(before) and not _sees(after) and _number(after, "tolerance") is not None


def _sees(row: Row) -> bool:
    mde, tolerance = _number(row, "mde", math.inf), _number(row, "tolerance")
    return mde is not None and tolerance is not None and mde <= tolerance


def _number(row: Row, name: str, otherwise: float | None = None) -> float | None:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def _told_numbers(before: Row, after: Row) -> str:
    told = []
    if moved(before, after):
        pair = [_number(row, "difference") or 0.0 for row in (before, after)]
        at = after.get("functional") or "the functional that decides"
        told.append(f"difference {pair[0]:+.3g} → {pair[1]:+.3g} at {at}; {_allowed(before, after):.2g} is allowed")
    if blinder(before, after):
        pair = [_number(row, "mde", math.inf) or 0.0 for row in (before, after)]
        told.append(
            f"smallest effect seen {pair[0]:.2g} → {pair[1]:.2g}, above the tolerance {_number(after, 'tolerance') or 0.0:.2g}"
        )
    return "; ".join(told)
