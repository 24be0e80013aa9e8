"""The table of what was found, from the records of runs: ``python -m studies.clients._found REPORT [REPORT ...] > found.md``.

A row for each configuration, a column for each group of checks. What is not held against anybody is a remark.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ._configurations import GROUPS
from ._libraries import MODULES
from ._remarks import ACCUSED, remarks
from ._table import LISTS, configurations

COLUMNS = ("order", "law", "prior", "identities", "finiteness")
SYMBOLS = {"CONFIRMED": "✓", "REFUTED": "✗", "UNDECIDED": "?"}


def table(records: Iterable[Mapping[str, Any]], versions: Mapping[str, str]) -> str:
    """Markdown: a table for each library, then the accusations."""
    held = list(records)
    lines = ["# Released libraries under examination", "", _legend()]
    for library in LISTS:
        lines += ["", f"## {library} {versions.get(library) or '(not installed: skipped)'}", ""]
        lines += _rows(library, held) if versions.get(library) else []
    return "\n".join([*lines, "", "## Accusations", "", *_accusations(held), ""])


def _legend() -> str:
    return (
        "✓ holds; ✗ refuted; a number is a remark under the table (an option, a default, the length of a schedule, or too few steps to tell); a link "
        "in words is an accusation. Orders are enclosures from five numbers of steps."
    )


def _rows(library: str, records: list[Mapping[str, Any]]) -> Iterator[str]:
    found = {(r["id"], r["case"]): r for r in records if r["variant"] == "stated"}
    said: dict[str, int] = {}
    yield "| configuration | " + " | ".join(COLUMNS) + " |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    for configuration in configurations(library):
        cells = [_cell(library, configuration.name, group, found, said) for group in COLUMNS]
        if configuration.stochastic:
            cells[0] = "–"
        yield f"| {configuration.name} | " + " | ".join(cells) + " |"
    yield ""
    yield from (f"{number}. {words}" for words, number in said.items())


def _cell(library: str, name: str, group: str, found: Mapping[Any, Any], said: dict[str, int]) -> str:
    own, about = found.get((f"clients.{library}.{group}", name)), list(remarks(library, name, group))
    words = [] if own is None or about else [SYMBOLS.get(own["verdict"], "failed")]
    if group == "order":
        words.insert(0, interval(library, name, found))
    for remark in about:
        words.append(f"✗ {remark}" if remark.startswith(ACCUSED) else str(said.setdefault(remark, len(said) + 1)))
    return " ".join(filter(None, words))


def interval(library: str, name: str, found: Mapping[Any, Any]) -> str:
    """The enclosed order, which every record of a configuration tells."""
    for group in GROUPS:
        record = found.get((f"clients.{library}.{group}", name))
        if record is not None and "order in [" in record["resolution"]:
            return "[" + record["resolution"].split("order in [")[1].split("]")[0] + "]"
    return ""


def _accusations(records: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "| accusation | case | as released | repaired | what is wrong |"
    yield "|---|---|---|---|---|"
    pairs: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for record in records:
        if record["variant"] in ("printed", "corrected"):
            pairs.setdefault((record["id"], record["case"]), {})[record["variant"]] = record
    for (id, case), both in pairs.items():
        outcomes = [str(both[v]["verdict"]) if v in both else "" for v in ("printed", "corrected")]
        yield f"| {id} | {case} | {outcomes[0]} | {outcomes[1]} | {both['printed']['note']} |"


def main(reports: list[str]) -> None:
    """Print the table of some reports' records."""
    from ._libraries import found

    records = [
        json.loads(line) for report in reports for line in (Path(report) / "records.jsonl").read_text().splitlines()
    ]
    print(table(records, {library: found(library) for library in MODULES}))


if __name__ == "__main__":
    main(sys.argv[1:])
