"""What is stored of claims, judged: nothing is computed, and what a claim lacks is a missing record, so that it does not hold without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click

from fpk.catalogue import Catalogue, load_catalogue
from fpk.command_line.kept import Kept, kept
from fpk.command_line.telling import remarks_of, stored_seed
from fpk.records import Judged, judged
from fpk.runner import Done
from fpk.store import Store
from fpk.study import Size
from fpk.tasks import Task, tasks_of

#: Claims that are named one by one.
FEW = 8
#: Claim, variant and case.
Check = tuple[str, str, str]


def check_of(task: Task) -> Check:
    """Claim, variant and case of a task."""
    return task.claim, task.variant, task.case


def stored(
    studies: Path,
    store: Path,
    names: Sequence[str],
    quick: bool,
    *,
    whole: bool,
    seed: str = "0",
    alpha: float = 1e-6,
) -> tuple[Catalogue, list[Judged], dict[Check, Kept]]:
    """Judge what is in the store of the claims that are named.

    Claims of which nothing is stored are missing where the ``whole`` was asked for; else they are left out, which is said.
    Returns the catalogue, what is judged, and what lies in the store for every check.
    """
    catalogue, size = load_catalogue(studies), Size("quick" if quick else "full")
    tasks = tasks_of(catalogue, catalogue.selected(names), size=size, root_seed=stored_seed(seed))
    found = {check_of(task): kept(Store(store), task.key) for task in tasks}
    results = finished(tasks, found, whole=whole)
    left_out = list(dict.fromkeys(task.claim for task in tasks if task.claim not in {d.task.claim for d in results}))
    if results and left_out:
        more = f" and {len(left_out) - FEW} more" if len(left_out) > FEW else ""
        click.echo(f"fpk: not stored, so left out: {', '.join(left_out[:FEW])}{more} (to have them: fpk run)", err=True)
    return catalogue, judged(catalogue, results, alpha=alpha) + remarks_of(catalogue, names, size.name), found


def finished(tasks: Sequence[Task], found: Mapping[Check, Kept | None], *, whole: bool = False) -> list[Done]:
    """Tasks as finished, with the seed and the address of what is stored, or as missing.

    Claims of which nothing is stored are there only if the ``whole`` is asked for.
    """
    there = {check: record for check, record in found.items() if record is not None and record.path.exists()}
    claims = {claim for claim, *_ in there}
    return [_finished(task, there.get(check_of(task))) for task in tasks if whole or task.claim in claims]


def _finished(task: Task, record: Kept | None) -> Done:
    if record is None:
        return Done(task, None, {}, "the store has no record of it: fpk run computes it", missing=True)
    if record.evidence is None:
        return Done(task, None, {}, f"its record is damaged: fpk run computes it anew ({record.path})", missing=True)
    own = replace(task, key=record.key, seed=record.task.get("seed", task.seed))
    return Done(own, record.evidence, {**record.provenance})
