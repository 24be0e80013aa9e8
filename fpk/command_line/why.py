"""``fpk why``: whether a stored record is used or computed anew, and which of its inputs changed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.command_line.again import size_choice
from fpk.command_line.group import known_names, main, stored_seed_option, study_options
from fpk.command_line.telling import stored_seed
from fpk.errors import FpkError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fpk.catalogue import Catalogue
    from fpk.command_line.kept import Kept
    from fpk.store import Store
    from fpk.tasks import Task

#: Checks named in a line before the rest is only counted.
NAMED = 4
#: What becomes of a record, in words.
STATES = {
    "stored": "stored, nothing changed: fpk run uses it",
    "stale": "computed anew: since the stored record these changed",
    "never": "computed anew: no record of it is stored",
    "damaged": "computed anew: the stored file is damaged",
    "mutant": "not used by fpk run",
    "gone": "not computed any more",
}


@main.command(
    epilog="""\b
Examples:
  fpk why --quick S0.E19        what an edit of today makes stale, and which edit it was
  fpk why 0cdb8dd668e8          the same for one stored record"""
)
@click.argument("names", nargs=-1, required=True, shell_complete=known_names)
@study_options
@size_choice
@stored_seed_option
def why(names: tuple[str, ...], studies: Path, store: Path, as_json: bool, quick: bool | None, seed: str) -> None:
    """Say whether fpk run would use a stored record or compute it anew, and which of its inputs changed.

    NAMES are ids of claims (or dotted beginnings), or keys or their first six or more characters.
    """
    from fpk.catalogue import load_catalogue
    from fpk.command_line.kept import by_key, key_like
    from fpk.store import Store

    root, catalogue, place = stored_seed(seed), load_catalogue(studies), Store(store)
    rows: list[dict[str, Any]] = []
    for name in names:
        if key_like(name, catalogue):
            rows.append(_reason(catalogue, by_key(place, name), place, root))
        else:
            rows += _reasons(catalogue, place, name, quick, root)
    if as_json:
        click.echo(json.dumps({"schema": "fpk/1", "checks": rows}, ensure_ascii=False))
    else:
        click.echo("\n".join(_grouped(rows)))


def _row(
    task: Mapping[str, Any], key: str, state: str, reasons: Sequence[str] = (), compared: Kept | None = None
) -> dict[str, Any]:
    named = {"id": task.get("claim", "")} | {n: task.get(n) for n in ("variant", "case", "size", "seed")}
    more = {"state": state, "reasons": list(reasons), "compared_with": compared.key if compared else None}
    return named | {"key": key} | more


def _reason(catalogue: Catalogue, record: Kept, store: Store, root_seed: int) -> dict[str, Any]:
    """Why a run of today would not use a given record."""
    from fpk.command_line.kept import again, changes_since, current

    if record.evidence is None:
        return _row({}, record.key, "damaged")
    if mutant := record.task.get("mutant"):
        return _row(record.task, record.key, "mutant", [f"computed with the mutant {mutant!r}, for fpk mutants"])
    try:
        again(catalogue, record)
    except FpkError as error:
        return _row(record.task, record.key, "gone", [str(error)])
    claim, variant, case = record.check
    (task,) = current(catalogue, [(catalogue.study_of(claim), variant, case)], record.task["size"], root_seed)
    if task.key == record.key:
        return _row(record.task, record.key, "stored")
    return _row(record.task, record.key, "stale", changes_since(record, task, store.root), record)


def _reasons(catalogue: Catalogue, store: Store, name: str, quick: bool | None, root_seed: int) -> list[dict[str, Any]]:
    """For every check of a claim whether it is stored, and if not, what is different from the record that is most like it."""
    from fpk.command_line.kept import chosen_checks, current, older, sizes_of

    checks = chosen_checks(catalogue, name)
    tasks, former = [], {}
    for size in sizes_of(quick):
        tasks = current(catalogue, checks, size, root_seed)
        there = [task for task in tasks if store.load(task.key) is not None]
        former = {} if len(there) == len(tasks) else older(store, tasks, ("full", "quick"))
        if there or any(record.task["size"] == size for records in former.values() for record in records):
            break
    return [_state(task, former.get((task.claim, task.variant, task.case), []), store) for task in tasks]


def _state(task: Task, former: Sequence[Kept], store: Store) -> dict[str, Any]:
    """Whether the evidence of a task is stored; if not, what changed since the record that is most like it."""
    from fpk.command_line.kept import changes_since, newest

    plain = asdict(task)
    if store.load(task.key) is not None:
        return _row(plain, task.key, "stored")
    if store.damaged(task.key):
        return _row(plain, task.key, "damaged")
    most = newest(former, lambda record: (record.task["size"] == task.size, record.task["seed"] == task.seed))
    if most is None:
        return _row(plain, task.key, "never")
    return _row(plain, task.key, "stale", changes_since(most, task, store.root), most)


def _grouped(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Checks with the same reasons together."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["state"], *row["reasons"]), []).append(row)
    lines = []
    for (state, *reasons), own in groups.items():
        names = [" · ".join(part for part in (r["id"], r["variant"], r["case"]) if part) or r["key"][:12] for r in own]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        size = f" ({own[0]['size']})" if own[0]["size"] else ""
        lines += [f"{', '.join(names[:NAMED])}{more}{size}", f"  {STATES[state]}", *(f"    {r}" for r in reasons)]
    return lines
