"""``fpk store``: what lies in a store, and what of it is stale, damaged or wanted elsewhere."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.command_line.group import json_option, main, store_option, study_options
from fpk.counts import counting
from fpk.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fpk.catalogue import Catalogue
    from fpk.command_line.kept import Kept
    from fpk.store import Store

#: Damaged files that are named one by one.
FEW = 3


@main.group("store")
def store_group() -> None:
    """Look at, check, tidy and export stored evidence."""


def _opened(folder: Path) -> Store:
    from fpk.store import Store

    if not (folder / "records").is_dir():
        raise StoreError(f"{folder} is no store (it has no folder records): fpk run makes one, --store names another.")
    return Store(folder)


# -- ls ---------------------------------------------------------------------------------------------------------------------


@store_group.command("ls", short_help="Count the records of every study, or list those of a claim.")
@click.argument("name", required=False)
@store_option
@json_option
def ls(name: str | None, store: Path, as_json: bool) -> None:
    """List what is stored: records, sizes and ages of every study, or every record of the claim NAME (or a dotted beginning of it)."""
    from fpk.command_line.kept import everything, key_like

    records = list(everything(_opened(store)))
    if name is not None:
        key_like(name)
        _tell_damaged(records, name)
        records = _named(records, name)
    rows = _counts(records) if name is None else [_listed(record) for record in records]
    total = sum(record.bytes for record in records)
    if as_json:
        click.echo(
            json.dumps({"schema": "fpk/1", "rows": rows, "records": len(records), "bytes": total}, ensure_ascii=False)
        )
        return
    click.echo("\n".join(_table(rows) if name is None else _lines(rows)))
    damaged = sum(record.evidence is None for record in records)
    click.echo(
        f"{counting(len(records), 'record')}, {_size(total)}{f', {damaged} damaged (fpk store verify)' if damaged else ''} in {store}"
    )


def _tell_damaged(records: Sequence[Kept], name: str) -> None:
    """Say which files may be records of a claim, as damaged ones do not tell what they are of."""
    if damaged := [str(record.path) for record in records if record.damaged]:
        listed = ", ".join(damaged[:FEW]) + (f" and {len(damaged) - FEW} more" if len(damaged) > FEW else "")
        click.echo(
            f"fpk: {counting(len(damaged), 'record')} damaged, perhaps of {name} (fpk run computes what it needs anew): {listed}",
            err=True,
        )


def _named(records: Sequence[Kept], name: str) -> list[Kept]:
    """The records of a claim, or of claims with a dotted beginning."""
    from fpk.errors import UnknownName

    found = [record for record in records if f"{record.check[0]}.".startswith(f"{name}.")]
    if not found:
        raise UnknownName("claim in this store", name, {record.check[0] for record in records} - {""})
    return sorted(found, key=lambda record: (record.check, record.task["size"], record.age))


def _study(record: Kept) -> str:
    """What a record is counted under."""
    if record.evidence is None:
        return "(damaged)"
    if "mutant" in record.task:
        return "(planted mistakes)"
    beginning = record.check[0].partition(".")[0]
    return record.inputs.get("study") or (f"{beginning} (older)" if beginning else "(not of fpk run)")


def _counts(records: Iterable[Kept]) -> list[dict[str, Any]]:
    """One row for each study: how many records of which size, bytes, seconds since the newest and the oldest."""
    groups: dict[str, list[Kept]] = {}
    for record in records:
        groups.setdefault(_study(record), []).append(record)
    return [
        {"study": name, "records": len(own), "quick": sum(r.task.get("size") == "quick" for r in own),
         "full": sum(r.task.get("size") == "full" for r in own), "bytes": sum(r.bytes for r in own),
         "newest": min(r.age for r in own), "oldest": max(r.age for r in own)}
        for name, own in sorted(groups.items())
    ]  # fmt: skip


def _listed(record: Kept) -> dict[str, Any]:
    claim, variant, case = record.check
    named = {"key": record.key, "id": claim, "variant": variant, "case": case, "mutant": record.task.get("mutant", "")}
    return (
        named | {name: record.task.get(name) for name in ("size", "seed")} | {"bytes": record.bytes, "age": record.age}
    )


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    width = max([len(row["study"]) for row in rows] + [5])
    head = f"{'study':{width}s}  records  quick   full       size  newest  oldest"
    return [head] * bool(rows) + [
        f"{r['study']:{width}s}  {r['records']:7d}  {r['quick']:5d}  {r['full']:5d}  {_size(r['bytes']):>9s}  "
        f"{_age(r['newest']):>6s}  {_age(r['oldest']):>6s}"
        for r in rows
    ]


def _lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    names = [" · ".join(part for part in (r["id"], r["variant"], r["case"], r["mutant"]) if part) for r in rows]
    return [
        f"{r['key'][:12]}  {r['size'] or '':5s}  {_size(r['bytes']):>9s}  {_age(r['age']):>6s}  {name}"
        for r, name in zip(rows, names, strict=True)
    ]


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


# -- gc ---------------------------------------------------------------------------------------------------------------------


@store_group.command("gc", short_help="Remove what no study addresses any more.")
@study_options
@click.option("--delete/--dry-run", default=False, help="Remove them, or only say what would go.  [default: dry run]")
def gc(studies: Path, store: Path, as_json: bool, delete: bool) -> None:
    """Find records that no study addresses any more, because code or versions changed since, and remove them with --delete.

    Kept: what fpk run or fpk mutants would use today, of any size and with any seed; records of studies that --studies does not read (elsewhere,
    or in a folder examples) or that lack a library here; damaged records (fpk store verify) and files that are no records.
    What killed runs have left (files half written, marks of runs) goes too, as it does when the next run begins.
    """
    from fpk.catalogue import load_catalogue
    from fpk.command_line.kept import everything
    from fpk.store import Store

    catalogue = load_catalogue(studies)
    records = list(everything(_opened(store)))
    whole = [record for record in records if record.evidence is not None]
    unused = [record for record in whole if not _addressed(record, catalogue)]
    stale = [record for record in unused if _decided_by(record, catalogue)]
    counts = {"used": len(whole) - len(unused), "elsewhere": len(unused) - len(stale)}
    counts["damaged"] = len(records) - len(whole)
    size, told = sum(record.bytes for record in stale), _counts(stale)
    halves = Store(store).left_over(remove=delete)
    if delete:
        _remove(stale)
        _forget_engines(store, [record for record in everything(_opened(store)) if record.evidence])
    if as_json:
        found = {"stale": [record.key for record in stale], "bytes": size, "deleted": delete}
        left = {"left_over": [path.relative_to(store).as_posix() for path in halves]}
        click.echo(json.dumps({"schema": "fpk/1"} | found | left | counts))
        return
    then = "removed" if delete else "would be removed (fpk store gc --delete)"
    lines = [f"{row['records']:6d} of {row['study']}, {_size(row['bytes'])}" for row in told]
    what = f"{counting(len(stale), 'record')} that nothing addresses, {_size(size)}"
    lines += [f"{what}, {then if stale else 'nothing to remove'}"]
    lines += [f"{counting(len(halves), 'file')} that killed runs have left, {then}"] * bool(halves)
    click.echo("\n".join(lines))
    names = {
        "used": "in use",
        "elsewhere": f"of studies that {studies} does not read, or that lack a library here",
        "damaged": "damaged (fpk store verify)",
    }
    click.echo(f"kept: {', '.join(f'{counts[n]:,} {text}' for n, text in names.items() if counts[n] or n == 'used')}")


def _decided_by(record: Kept, catalogue: Catalogue) -> bool:
    """Whether it is for a catalogue to say that nothing addresses a record: it reads the study, and this has cases here, or the study is gone."""
    path, own = record.task.get("studies"), catalogue.path.resolve()
    if not path or not (place := Path(path).resolve()).is_relative_to(own):
        return False
    if (claim := record.check[0]) in catalogue.claims:
        return bool(catalogue.study_of(claim).checks)
    return place == own or not place.exists()


def _addressed(record: Kept, catalogue: Catalogue) -> bool:
    """Whether a task of today, with the record's own size and seed, has the record's address."""
    from fpk.command_line.kept import again
    from fpk.errors import UnknownName
    from fpk.kill_matrix import mutated_tasks

    try:
        task = again(catalogue, record)
    except UnknownName:
        return False
    if mutant := record.task.get("mutant"):
        return record.key in {planted.key for planted in mutated_tasks([task], [mutant])}
    return record.key == task.key


def _remove(records: Iterable[Kept]) -> None:
    """Remove the files of records.

    Raises
    ------
    StoreError
        If one cannot be removed.
    """
    for record in records:
        try:
            record.path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot remove {record.path}: {error}. What was removed before is gone.") from error


def _forget_engines(store: Path, kept: Iterable[Kept]) -> None:
    """Remove the notes about engines that none of the records that are left comes from; those that cannot be removed do no harm."""
    named = {record.inputs.get("engine") for record in kept}
    for note in (store / "engines").glob("*.json"):
        if note.stem not in named:
            with contextlib.suppress(OSError):
                note.unlink()


# -- verify -----------------------------------------------------------------------------------------------------------------


@store_group.command("verify", short_help="Find damaged records.")
@store_option
@json_option
@click.option("--delete", is_flag=True, help="Remove the damaged records, so that they are computed anew.")
def verify(store: Path, as_json: bool, delete: bool) -> None:
    """Read every record, check its digest, and that it stands at the address its inputs have; list those that are damaged.

    Exit codes: 0 all are whole, or the damaged ones were removed; 4 some are damaged.
    """
    from fpk.command_line.kept import everything

    records = list(everything(_opened(store)))
    damaged = [record for record in records if not _whole(record)]
    if delete:
        _remove(damaged)
    if as_json:
        found = {"records": len(records), "damaged": [record.key for record in damaged], "deleted": delete}
        click.echo(json.dumps({"schema": "fpk/1"} | found))
    else:
        for record in damaged:
            click.echo(f"✗ {record.path}{f' ({record.name})' if record.name else ''}")
        told = f", {len(damaged)} of them damaged" if damaged else ", all whole"
        then = ": removed" if delete else ": fpk run computes them anew, --delete removes them"
        click.echo(f"{counting(len(records), 'record')} read{told}{then if damaged else ''}")
    sys.exit(4 if damaged and not delete else 0)


def _whole(record: Kept) -> bool:
    """Whether a record can be read, is what was written, and stands where its inputs say."""
    from fpk.tasks import address_of

    if record.evidence is None:
        return False
    if not record.inputs or "mutant" in record.task:
        return True
    try:
        return address_of(record.inputs) == record.key
    except (KeyError, TypeError, AttributeError):  # inputs that are none
        return False


# -- export -----------------------------------------------------------------------------------------------------------------


@store_group.command("export", short_help="Copy records for numpy or json alone.")
@click.argument("names", nargs=-1)
@store_option
@click.option(
    "--to", "folder", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the copies."
)
@click.option("--format", "form", type=click.Choice(["json", "npz"]), default="json", show_default=True)
@json_option
def export(names: tuple[str, ...], store: Path, folder: Path, form: str, as_json: bool) -> None:
    """Copy records (all, or those of the claims or keys NAMES) to files that open with numpy or json alone, and list them in index.json.

    JSON: arrays as nested lists; infinite numbers as the texts "inf" and "-inf", which numpy.array(..., float) takes.
    npz: one array for each name, and everything else as JSON text in the array "words".
    """
    from fpk.command_line.exporting import exported
    from fpk.command_line.kept import by_key, everything, key_like

    place = _opened(store)
    keys = [name for name in names if key_like(name)]
    whole = [] if keys and len(keys) == len(names) else [r for r in everything(place) if r.evidence is not None]
    records = [] if names else whole
    for name in names:
        records += [by_key(place, name)] if name in keys else _named(whole, name)
    rows = exported(list({record.key: record for record in records}.values()), folder, form)
    if as_json:
        click.echo(json.dumps({"schema": "fpk/1", "files": rows}, ensure_ascii=False))
    else:
        click.echo(f"{counting(len(rows), 'record')} in {folder}, listed in {folder / 'index.json'}")
