"""``fpk rerun``: stored records computed again, and compared bit for bit."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.command_line.group import known_names, main, study_options
from fpk.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fpk.catalogue import Catalogue
    from fpk.command_line.kept import Kept
    from fpk.store import Store
    from fpk.study import Evidence
    from fpk.tasks import Task

size_choice = click.option(
    "--quick/--full", default=None, help="Size of the record.  [default: full if stored, else quick]"
)


@main.command(
    epilog="""\b
Examples:
  fpk rerun --quick S0.E12                    all records of a claim
  fpk rerun S0.E19 --variant stated --case grid
  fpk rerun 0cdb8dd668e8                      one record by its key (fpk store ls S0.E12 lists them)"""
)
@click.argument("names", nargs=-1, required=True, shell_complete=known_names)
@click.option("--variant", help="Only this variant of the claim.")
@click.option("--case", help="Only this case of the claim.")
@study_options
@size_choice
def rerun(
    names: tuple[str, ...],
    variant: str | None,
    case: str | None,
    studies: Path,
    store: Path,
    as_json: bool,
    quick: bool | None,
) -> None:
    """Compute stored records again and compare them bit for bit.

    NAMES are ids of claims (or dotted beginnings), or keys or their first six or more characters. Claim, variant, case, size and seed are taken
    from the stored record, everything else from the code as it is now. The store is only read.

    Exit codes: 0 all numbers are the same bits, 1 some are not, 4 a case crashed or its record is damaged.
    """
    from fpk.catalogue import load_catalogue
    from fpk.store import Store

    catalogue = load_catalogue(studies)
    chosen = {"variant": variant, "case": case, "quick": quick}
    records = [record for name in names for record in _stored(Store(store), catalogue, name, **chosen)]
    rows = []
    for record in {record.key: record for record in records}.values():
        row = _repeated(catalogue, record, store)
        rows.append(row)
        if not as_json:
            click.echo("\n".join(_told(row)))
    if as_json:
        click.echo(json.dumps({"schema": "fpk/1", "records": rows}, ensure_ascii=False))
    elif len(rows) > 1:
        click.echo(f"{sum(row['equal'] for row in rows)} of {len(rows)} records are bitwise equal")
    sys.exit(4 if any(row["error"] for row in rows) else 0 if all(row["equal"] for row in rows) else 1)


def _stored(
    store: Store, catalogue: Catalogue, name: str, *, variant: str | None, case: str | None, quick: bool | None
) -> list[Kept]:
    """The records that are meant: those a run of today would use, else the newest of each check."""
    from fpk.command_line.kept import at_address, by_key, chosen_checks, current, key_like, newest, older, sizes_of

    if key_like(name, catalogue):
        record = by_key(store, name)
        if record.evidence is None:
            raise StoreError(f"{record.path} is damaged: fpk run computes it again, fpk store verify lists all such.")
        for what, wanted, own in (("variant", variant, record.check[1]), ("case", case, record.check[2])):
            if wanted is not None and wanted != own:
                raise StoreError(f"the record {name} is of the {what} {own!r}, not {wanted[:60]!r}.")
        return [record]
    checks = chosen_checks(catalogue, name, variant, case)
    for size in sizes_of(quick):
        known = [at_address(store, task) for task in current(catalogue, checks, size)]
        if found := [record for record in known if record.evidence is not None or record.damaged]:
            return _with_count(found, len(checks), name)
    former = older(store, current(catalogue, checks, "full"), sizes_of(quick))
    if not former:
        raise StoreError(f"nothing is stored of {name} in {store.root}: fpk run {name} computes it.")
    first = {size: k for k, size in enumerate(reversed(sizes_of(quick)))}
    order = [(study.claim, variant, case) for study, variant, case in checks]
    best = [newest(former[check], lambda record: first[record.task["size"]]) for check in order if check in former]
    return _with_count([record for record in best if record is not None], len(checks), name)


def _with_count(found: list[Kept], asked: int, name: str) -> list[Kept]:
    """Say how many are not there."""
    if len(found) < asked:
        click.echo(f"fpk: {asked - len(found)} of {asked} records of {name} are not stored, so left out", err=True)
    return found


def _repeated(catalogue: Catalogue, record: Kept, root: Path) -> dict[str, Any]:
    """A record computed again in a store of its own, and what came out differently."""
    from fpk.command_line.kept import again, changes_since
    from fpk.store import Store

    task = again(catalogue, record)
    claim, variant, case = record.check
    row = {
        "id": claim,
        "variant": variant,
        "case": case,
        "size": record.task["size"],
        "seed": record.task["seed"],
        "key": record.key,
        "damaged": record.damaged,
    }
    if record.damaged:
        error = f"its file is damaged: fpk run computes it anew ({record.path})"
        return row | {"equal": False, "numbers": 0, "differences": [], "changed": [], "error": error}
    changed = changes_since(record, task, root)
    with tempfile.TemporaryDirectory(prefix="fpk-rerun-") as folder:
        found = _computed(task, record, Path(folder))
        error = found if isinstance(found, str) else ""
        evidence = None if error else Store(Path(folder)).load(found.key)  # type: ignore[union-attr]
    if evidence is None or record.evidence is None:
        return row | {
            "equal": False,
            "numbers": 0,
            "differences": [],
            "changed": changed,
            "error": error or "nothing was stored",
        }
    numbers, differences = differing(record.evidence, evidence[0])
    return row | {
        "equal": not differences,
        "numbers": numbers,
        "differences": differences,
        "changed": changed,
        "error": "",
    }


def _computed(task: Task, record: Kept, folder: Path) -> Task | str:
    """The task that was computed into a folder, with its mutant if it has one; an error text if it was not."""
    from dataclasses import asdict

    from fpk.kill_matrix import MutatedTask, mutated
    from fpk.mutants import MUTANTS
    from fpk.runner import computed

    if mutant := record.task.get("mutant"):
        if mutant not in MUTANTS and not mutant.startswith("("):
            return f"the mutant {mutant!r} is no longer there"
        task = MutatedTask(**asdict(task), mutant=mutant)
        return mutated(task, str(folder), True) or task
    return computed(task, str(folder), True) or task


def differing(before: Evidence, after: Evidence) -> tuple[int, list[dict[str, Any]]]:
    """How many numbers are compared, and the arrays that are not the same bits: how many of their numbers, and by how much."""
    import numpy as np

    from fpk.store import arrays_of

    (one, words), (other, other_words) = arrays_of(before), arrays_of(after)
    out: list[dict[str, Any]] = []
    for name in dict.fromkeys((*one, *other)):
        a, b = one.get(name), other.get(name)
        if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
            shapes = [None if x is None else [str(x.dtype), *x.shape] for x in (a, b)]
            out.append({"array": name, "shapes": shapes})
        elif a.tobytes() != b.tobytes():
            apart = np.abs(a.astype(float) - b.astype(float))
            units = _in_units(apart, before, name)
            count = int(np.count_nonzero(~((a == b) | ((a != a) & (b != b)))))  # a != a: not a number
            out.append(
                {"array": name, "count": count, "of": a.size, "largest": _finite(np.nanmax(apart, initial=0.0))} | units
            )
    if words != other_words:
        out.append({"array": "names and words", "shapes": [None, None]})
    return sum(array.size for array in one.values()), out


def _in_units(apart: Any, before: Evidence, name: str) -> dict[str, float | None]:
    """Largest difference of a side's values in units of its budget and of its standard error."""
    import numpy as np

    side, _, what = name.partition(".")
    if what != "value":
        return {}
    estimate = getattr(before, side)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [
            np.nanmax(np.where(apart > 0, apart / unit, 0.0)) for unit in (estimate.bias_bound, estimate.standard_error)
        ]
    return {"budgets": _finite(ratios[0]), "standard_errors": _finite(ratios[1])}


def _finite(number: Any) -> float | None:
    """A number for JSON, which has no infinity."""
    import math

    return float(number) if math.isfinite(number) else None


def _told(row: Mapping[str, Any]) -> list[str]:
    name = " · ".join(part for part in (row["id"], row["variant"], row["case"]) if part)
    head = f"{name} ({row['size']}, seed {row['seed']}, key {row['key'][:12]})"
    changed = [f"    changed since it was stored: {text}" for text in row["changed"]]
    if row["error"]:
        return [f"✗ {head}: {'damaged' if row['damaged'] else 'crashed'}", f"    {row['error']}", *changed]
    if row["equal"]:
        return [f"= {head}: bitwise equal, {row['numbers']:,} numbers", *changed]
    return [f"≠ {head}", *(f"    {_told_difference(found)}" for found in row["differences"]), *changed]


def _told_difference(found: Mapping[str, Any]) -> str:
    if "shapes" in found:
        return f"{found['array']}: not of the same kind or shape"
    largest = "infinitely" if found["largest"] is None else f"{found['largest']:.2g}"
    if not found["count"]:
        return f"{found['array']}: equal numbers in other bits (−0 for 0, another NaN)"
    units = ", ".join(f"{found[u]:.2g} {u.replace('_', ' ')}" for u in ("budgets", "standard_errors") if found.get(u))
    return f"{found['array']}: {found['count']} of {found['of']} numbers differ, at most {largest} apart{f' ({units})' if units else ''}"
