"""``fpk diff``: what changed between two reports, baselines or stores."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.command_line.group import json_option, main, setting
from fpk.counts import counting
from fpk.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fpk.changes import Change

#: Lines of one kind, other than flips, before the rest is counted.
LISTED = 20
#: What each kind is called where it is counted.
COUNTED = {
    "flipped": "flipped", "vanished": "vanished", "new": "new", "inputs": "with other inputs", "numbers": "moved beyond their budgets",
}  # fmt: skip
place = click.Path(exists=True, path_type=Path)


@main.command(
    epilog="""\b
Examples:
  fpk run --quick --report reports/before     before an edit
  fpk run --quick                             after it
  fpk diff reports/before reports/latest      what it changed"""
)
@click.argument("before", type=place)
@click.argument("after", type=place)
@setting("studies", type=click.Path(path_type=Path), help="Folder (or file) of studies; only stores need it.")
@json_option
@click.option("--quick/--full", default=None, help="Of stores: compare this size only.  [default: full, else quick]")
@click.option("--all", "whole", is_flag=True, help=f"List everything, not only {LISTED} lines of each kind.")
def diff(before: Path, after: Path, studies: Path, as_json: bool, quick: bool | None, whole: bool) -> None:
    """Compare two sets of records, from BEFORE to AFTER: verdicts that flipped, records that vanished or are new, inputs, numbers.

    Each is the folder of a report, a baseline's verdicts.json, or a store (judged with --studies).

    Exit codes: 0 no verdict flipped to what is not expected, 1 some did.
    """
    from fpk.changes import changes

    found = changes(_rows(before, studies, quick), _rows(after, studies, quick))
    bad = sum(change.bad for change in found)
    if as_json:
        click.echo(json.dumps(_document(found, bad), ensure_ascii=False))
    else:
        click.echo("\n".join(_told(found, bad, whole)))
    sys.exit(1 if bad else 0)


def _rows(path: Path, studies: Path, quick: bool | None) -> list[dict[str, Any]]:
    from fpk.changes import ROWS, read_records

    if path.is_dir() and (path / "records").is_dir() and not any((path / name).exists() for name in ROWS):
        return _judged_rows(path, studies, quick)
    return read_records(path)


def _judged_rows(path: Path, studies: Path, quick: bool | None) -> list[dict[str, Any]]:
    """The records of a store as rows: the newest of each check of one size, judged by the catalogue of today.

    What a claim lacks is missing, and so is what is damaged.
    """
    from fpk.catalogue import load_catalogue
    from fpk.command_line.kept import at_address, newest, older, sizes_of
    from fpk.command_line.stored import check_of, finished
    from fpk.records import judged
    from fpk.store import Store
    from fpk.study import Size
    from fpk.tasks import tasks_of

    catalogue, sizes = load_catalogue(studies), sizes_of(quick)
    tasks = {size: tasks_of(catalogue, catalogue.studies, size=Size(size), root_seed=0) for size in sizes}
    known = older(Store(path), tasks[sizes[0]], sizes)
    for size in sizes:
        own = {check: [r for r in records if r.task["size"] == size] for check, records in known.items()}
        undamaged = {record.key for records in own.values() for record in records}
        for task in tasks[size]:  # a damaged record does not tell what it is of: its address does
            if task.key not in undamaged and (record := at_address(Store(path), task)).damaged:
                own.setdefault(check_of(task), []).append(record)
        if any(own.values()):
            found = {check: newest(records) for check, records in own.items()}
            return [j.record.as_json() for j in judged(catalogue, finished(tasks[size], found))]
    raise StoreError(
        f"the store {path} holds nothing of {studies}{'' if quick is None else ' at this size'}: run fpk run first."
    )


def _document(found: Sequence[Change], bad: int) -> dict[str, Any]:
    from fpk.changes import KINDS, grouped_inputs

    rows = [
        {"id": c.id, "variant": c.variant, "case": c.case, "kind": c.kind, "bad": c.bad, "text": c.text,
         "inputs": [dict(zip(("name", "before", "after"), i, strict=True)) for i in c.inputs], "before": c.before, "after": c.after}
        for c in found
    ]  # fmt: skip
    counts = {kind: sum(change.kind == kind for change in found) for kind in KINDS} | {"bad": bad}
    inputs = [{"input": text, "records": count} for text, count in grouped_inputs(found)]
    return {"schema": "fpk/1", "counts": counts, "inputs": inputs, "changes": rows, "exit": 1 if bad else 0}


def _told(found: Sequence[Change], bad: int, whole: bool) -> list[str]:
    from fpk.changes import KINDS, grouped_inputs

    own = {kind: [change for change in found if change.kind == kind] for kind in KINDS}
    if not found:
        return ["nothing changed"]
    lines = [
        "; ".join(
            f"{len(own[kind])} {COUNTED[kind]}{f', {bad} not as expected' if kind == 'flipped' and bad else ''}"
            for kind in KINDS
            if own[kind]
        )
    ]
    for kind in KINDS:
        if kind == "inputs":
            lines += [f"inputs: {text} ({counting(count, 'record')})" for text, count in grouped_inputs(own["inputs"])]
        else:
            many = len(own[kind]) if whole or kind == "flipped" else LISTED
            lines += [line for change in own[kind][:many] for line in _lines(change)]
            lines += [f"  and {len(own[kind]) - many:,} more {COUNTED[kind]} (--all)"] if len(own[kind]) > many else []
    return lines


def _lines(change: Change) -> list[str]:
    """A change, and what stands in the way of a verdict where one went missing."""
    why = (change.after or {}).get("error") if change.bad else ""
    return [f"{'✗' if change.bad else '·'} {change.check}: {change.text}", *([f"  {why}"] if why else [])]
