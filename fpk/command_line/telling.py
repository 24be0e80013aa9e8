"""What a run says when it is over: the report on disk and the summary on standard error."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.configuration import BY_NAME, DEFAULT, configured
from fpk.counts import counting
from fpk.errors import ProblemError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fpk.catalogue import Catalogue
    from fpk.records import Judged


def whole_seed(text: str) -> int:
    """The root seed of a whole number.

    Raises
    ------
    ProblemError
        If it is none.
    """
    seed = BY_NAME["seed"]
    try:
        return int(seed.read(text))
    except ValueError:
        raise ProblemError(f"--seed takes {seed.allowed}, got {text[:60]!r}.") from None


def stored_seed(text: str) -> int:
    """The root seed to look for in a store: where runs draw theirs, it has to be said.

    Raises
    ------
    ProblemError
        If it is no whole number.
    """
    if text == "random":
        raise ProblemError(
            "--seed random draws a new seed, under which nothing is stored: give the one that the run told."
        )
    return whole_seed(text)


def repeating(*, studies: Path, quick: bool, seed: str, alpha: float, store: Path | None = None) -> list[str]:
    """The options of ``fpk run`` that give the same records again, whatever is set where they are given; in the same store, if one is named."""
    values = {"studies": str(studies), "quick": quick, "seed": seed, "alpha": alpha}
    values |= {} if store is None else {"store": str(store)}
    settings = configured()
    told = {n: v for n, v in values.items() if settings[n].value != v or not settings[n].origin.startswith(DEFAULT)}
    return [text for name, value in told.items() for text in _option(name, value)]


def _option(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return ["--quick" if value else "--full"]
    return [BY_NAME[name].flag, str(value)]


def earlier(since: Path | None) -> Path | None:
    """The folder of an earlier report, looked into before anything is computed.

    Raises
    ------
    FpkError
        If it has no report.
    """
    if since is not None:
        from fpk.changes import read_records

        read_records(since)
    return since


def writable(folder: Path) -> Path:
    """The folder of a report, looked at before anything is computed.

    Raises
    ------
    StoreError
        If it cannot be made, not be written to, or holds files of others that a report would replace.
    """
    from fpk.runs import check_own

    above = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    why = "" if above.is_dir() else f"{above} is no folder"
    if why or not os.access(above, os.W_OK | os.X_OK):
        raise StoreError(f"cannot write {folder}: {why or f'{above} may not be written to'}. Choose another: --report.")
    check_own(folder)
    return folder


def reported(
    judged: Sequence[Judged],
    folder: Path,
    catalogue: Catalogue,
    names: Sequence[str],
    options: Sequence[str],
    **how: Any,
) -> Path:
    """Write the report of what was named, computed with some options of ``fpk run``, and return the path of its page."""
    from fpk.records import run_command
    from fpk.reporting import write_report

    command = run_command(names, options)
    return write_report(judged, folder, claims=catalogue.claims, command=command, options=options, **how)


def certified(judged: Sequence[Judged], catalogue: Catalogue, folder: Path, options: Sequence[str]) -> Path:
    """Write the certificates, remove those that lie there from before, and return the path of their checker."""
    from fpk.certificates import forget_others, write_certificates

    written = write_certificates(judged, catalogue.claims, folder, options=options)
    gone = forget_others(folder, written)
    removed = f" ({gone} from before removed)" if gone else ""
    click.echo(f"fpk: {counting(len(written), 'certificate')} in {folder}{removed}", err=True)
    return folder / "certificate_check.py"


def remarks_of(catalogue: Catalogue, names: Sequence[str], size: str) -> list[Judged]:
    """The remarks that were asked for, as records."""
    from fpk.records import Judged, remark_record

    return [Judged(remark_record(remark, size=size), None, None) for remark in catalogue.remarked(names)]


def told(judged: Sequence[Judged], written: Path, seconds: float, *, what: str = "report:") -> None:
    """The summary on stderr: what does not hold first, then one line for each claim."""
    from rich.console import Console

    from fpk.records import counted

    records = [j.record for j in judged]
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    for record in (r for r in records if not r.holds):
        where = " · ".join(part for part in (record.id, record.variant, record.case) if part)
        console.print(f"✗ {where}: {record.found}, expected {record.expected}", style="bold red")
        console.print(
            f"  {record.error or record.reason}" + (f"\n  to settle it: {record.remedy}" if record.remedy else "")
        )
    counts = counted(records)
    verdicts = ", ".join(
        f"{counts[k]} {k}"
        for k in ("CONFIRMED", "REFUTED", "UNDECIDED", "wording", "crashed", "missing")
        if k in counts
    )
    mark, style = ("✓", "bold green") if counts["hold"] == counts["records"] else ("✗", "bold red")
    hold = "record holds" if counts["records"] == 1 else "records hold"
    console.print(f"{mark} {counts['hold']} of {counts['records']} {hold} ({verdicts}) in {seconds:.0f} s", style=style)
    console.print(f"  {what} {written}")
