"""The command line: ``fpk run``, ``list``, ``explain``, ``report``, ``demo``, ``doctor``.

Exit codes: 0 every record holds; 1 a record contradicts its expectation; 2 usage; 3 nothing contradicts but something is undecided; 4 a case
crashed (4 goes before 1, 1 before 3); 130 interrupted, with everything finished kept.
"""

from __future__ import annotations

import json
import secrets
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.errors import FpkError, ProblemError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fpk.records import Judged
    from fpk.runner import Done
    from fpk.study import Catalogue

INTERRUPTED = 130


class Commands(click.Group):
    """A click group that turns fpk's own errors into one readable line and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except FpkError as error:
            click.echo(f"fpk: {error}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("\nfpk: interrupted; what was finished is kept.", err=True)
            sys.exit(INTERRUPTED)


def _common(command: Any) -> Any:
    """Options shared by the commands that read studies."""
    options = (
        click.option(
            "--studies",
            default="studies",
            type=click.Path(path_type=Path),
            show_default=True,
            help="Folder (or file) of studies.",
        ),
        click.option(
            "--store",
            default=".fpk",
            type=click.Path(path_type=Path),
            show_default=True,
            help="Folder of stored evidence.",
        ),
        click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, everything else on stderr."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fpk")
def main() -> None:
    """Verify the mathematics of diffusion, score and flow models."""


@main.command()
@click.argument("names", nargs=-1)
@_common
@click.option("--quick", is_flag=True, help="Same claims and controls, smaller sizes.")
@click.option(
    "-j",
    "--jobs",
    default=1,
    type=click.IntRange(1, 512),
    show_default=True,
    help="Worker processes (needs fpk[dask]).",
)
@click.option("--seed", default="0", show_default=True, help="Root seed, or 'random'.")
@click.option(
    "--alpha",
    default=1e-6,
    type=click.FloatRange(1e-15, 0.5),
    show_default=True,
    help="False-alarm probability of each record.",
)
@click.option("--fresh", is_flag=True, help="Compute everything again, stored or not.")
@click.option(
    "--report",
    "folder",
    default="reports/latest",
    type=click.Path(path_type=Path),
    show_default=True,
    help="Where the report goes.",
)
def run(
    names: tuple[str, ...],
    studies: Path,
    store: Path,
    as_json: bool,
    quick: bool,
    jobs: int,
    seed: str,
    alpha: float,
    fresh: bool,
    folder: Path,
) -> None:
    """Run studies (all, or the NAMES of claims, studies or a path) and write the report."""
    from fpk.records import as_document, exit_code
    from fpk.study import Size, load_catalogue

    if names and Path(names[0]).exists():
        studies, names = Path(names[0]), names[1:]
    catalogue = load_catalogue(studies)
    chosen = catalogue.selected(names)
    size, begun = Size("quick" if quick else "full"), time.perf_counter()
    judged = _computed(catalogue, chosen, size, store, jobs=jobs, root=_root_seed(seed), alpha=alpha, fresh=fresh)
    records = [j.record for j in judged]
    written = _reported(judged, folder, catalogue, size.name, time.perf_counter() - begun)
    if as_json:
        click.echo(json.dumps(as_document(records), ensure_ascii=False))
    _told(judged, written, time.perf_counter() - begun)
    sys.exit(exit_code(records))


def _root_seed(text: str) -> int:
    if text == "random":
        drawn = secrets.randbits(48)
        click.echo(f"seed {drawn}", err=True)
        return drawn
    if not text.isdecimal():
        raise ProblemError(f"--seed takes a whole number ≥ 0 or the word random, got {text!r}.")
    return int(text)


def _computed(
    catalogue: Catalogue,
    chosen: Sequence[Any],
    size: Any,
    store: Path,
    *,
    jobs: int,
    root: int,
    alpha: float,
    fresh: bool,
) -> list[Judged]:
    """Run the tasks with a progress bar on a terminal; keep what is done when interrupted."""
    from fpk.records import judged
    from fpk.runner import run as run_tasks
    from fpk.runner import tasks_of
    from fpk.store import Store

    tasks = tasks_of(catalogue, chosen, size=size, root_seed=root)
    results: list[Done] = []
    with _progress(len(tasks)) as advance:
        try:
            for done in run_tasks(tasks, Store(store), jobs=jobs, fresh=fresh):
                results.append(done)
                advance(done.task.check)
        except KeyboardInterrupt:
            click.echo(
                f"\nfpk: interrupted after {len(results)} of {len(tasks)}; they are kept, the same command goes on.",
                err=True,
            )
            sys.exit(INTERRUPTED)
    return judged(catalogue, results, alpha=alpha)


class _progress:
    """A progress bar on stderr when it is a terminal; silent otherwise."""

    def __init__(self, total: int) -> None:
        self.total, self.bar = total, None

    def __enter__(self) -> Any:
        if not sys.stderr.isatty():
            return lambda text: None
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
        )
        self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self.bar.start()
        task = self.bar.add_task("", total=self.total)
        return lambda text: self.bar.update(task, advance=1, description=text) if self.bar else None

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.stop()


def _reported(judged: Sequence[Judged], folder: Path, catalogue: Catalogue, size: str, seconds: float) -> Path:
    from fpk.reporting import write_report

    command = shlex.join(["fpk", *sys.argv[1:]])
    return write_report(judged, folder, claims=catalogue.claims, command=command, seconds=seconds, size=size)


def _told(judged: Sequence[Judged], written: Path, seconds: float) -> None:
    """The summary on stderr: what does not hold first, then one line for each claim."""
    from rich.console import Console

    from fpk.records import counted

    records = [j.record for j in judged]
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    for record in (r for r in records if not r.holds):
        found = record.verdict or "CRASHED"
        where = " · ".join(part for part in (record.id, record.variant, record.case) if part)
        console.print(f"✗ {where}: {found}, expected {record.expected}", style="bold red")
        console.print(
            f"  {record.error or record.reason}" + (f"\n  to settle it: {record.remedy}" if record.remedy else "")
        )
    counts = counted(records)
    verdicts = ", ".join(f"{counts[k]} {k}" for k in ("CONFIRMED", "REFUTED", "UNDECIDED", "crashed") if k in counts)
    mark, style = ("✓", "bold green") if counts["hold"] == counts["records"] else ("✗", "bold red")
    console.print(
        f"{mark} {counts['hold']} of {counts['records']} records hold ({verdicts}) in {seconds:.0f} s", style=style
    )
    console.print(f"  report: {written}")


@main.command("list")
@_common
def list_claims(studies: Path, store: Path, as_json: bool) -> None:
    """List the claims with their studies."""
    from fpk.study import load_catalogue

    catalogue = load_catalogue(studies)
    rows = [
        {
            "id": c.id,
            "kind": c.kind,
            "study": catalogue.study_of(c.id).name,
            "variants": list(c.expected),
            "statement": c.statement,
        }
        for c in catalogue.claims.values()
    ]
    if as_json:
        click.echo(json.dumps({"schema": "fpk/1", "claims": rows}, ensure_ascii=False))
        return
    for row in rows:
        controls = sum(outcome == "REFUTED" for outcome in catalogue.claims[row["id"]].expected.values())
        click.echo(f"{row['id']:16s}{row['kind']:10s}{controls} wrong variants   {row['study']}")
        click.echo(click.wrap_text(row["statement"], 100, "    ", "    "))


@main.command()
@click.argument("name")
@_common
@click.option("--quick", is_flag=True, help="Look at the results of the quick size.")
def explain(name: str, studies: Path, store: Path, as_json: bool, quick: bool) -> None:
    """Explain a claim: formula, source, routes, controls, and the verdicts stored last."""
    from fpk.records import as_document

    catalogue, judged = _stored(studies, store, [name], quick)
    if as_json:
        click.echo(json.dumps(as_document([j.record for j in judged]), ensure_ascii=False))
        return
    for study in catalogue.selected([name]):
        claim = catalogue.claims[study.claim]
        click.echo(
            f"{claim.id} ({claim.kind}): {claim.statement}\n  formula  {claim.formula}\n  source   {claim.source}"
        )
        if claim.assumptions:
            click.echo(f"  assuming {claim.assumptions}")
        click.echo(f"  study    {study.name}, cases: {', '.join(c or 'one' for c in study.cases)}")
        own = {(j.record.variant, j.record.case): j.record for j in judged if j.record.id == claim.id}
        for variant, case in study.checks:
            click.echo(
                _explained(
                    variant, case, str(claim.expected[variant]), claim.notes.get(variant, ""), own.get((variant, case))
                )
            )
        click.echo(f"  rerun    fpk run {shlex.quote(claim.id)}{' --quick' if quick else ''}")


def _explained(variant: str, case: str, expected: str, note: str, record: Any) -> str:
    head = f"  {variant}{f' [{case}]' if case else ''}{f' — {note}' if note else ''}"
    if record is None or record.verdict is None:
        return f"{head}\n    expected {expected}; not run yet"
    mde = f", sees {record.mde_model}" if record.mde_model and record.stated else ""
    return (
        f"{head}\n    {record.verdict} (expected {expected}): {' | '.join(record.pair)}\n    difference {record.difference:+.2g}, "
        f"budget {record.budget:.2g}, standard error {record.standard_error:.2g}, tolerance {record.tolerance or 0:.2g}{mde}"
    )


def _stored(studies: Path, store: Path, names: Sequence[str], quick: bool) -> tuple[Catalogue, list[Judged]]:
    """Judge what is in the store, computing nothing."""
    from fpk.records import judged
    from fpk.runner import Done, tasks_of
    from fpk.store import Store
    from fpk.study import Size, load_catalogue

    catalogue = load_catalogue(studies)
    tasks = tasks_of(catalogue, catalogue.selected(names), size=Size("quick" if quick else "full"), root_seed=0)
    loaded = [(task, Store(store).load(task.key)) for task in tasks]
    return catalogue, judged(catalogue, [Done(task, *found) for task, found in loaded if found is not None])


@main.command()
@_common
@click.option("--quick", is_flag=True, help="Report the results of the quick size.")
@click.option(
    "--report",
    "folder",
    default="reports/latest",
    type=click.Path(path_type=Path),
    show_default=True,
    help="Where the report goes.",
)
def report(studies: Path, store: Path, as_json: bool, quick: bool, folder: Path) -> None:
    """Write the report again from what is stored, computing nothing."""
    from fpk.records import as_document, exit_code

    catalogue, judged = _stored(studies, store, [], quick)
    if not judged:
        raise ProblemError(
            f"nothing is stored in {store} for this code and size: run fpk run{' --quick' if quick else ''} first."
        )
    written = _reported(judged, folder, catalogue, "quick" if quick else "full", 0.0)
    records = [j.record for j in judged]
    if as_json:
        click.echo(json.dumps(as_document(records), ensure_ascii=False))
    _told(judged, written, 0.0)
    sys.exit(exit_code(records))


@main.command()
def demo() -> None:
    """A tour in a minute: one statement confirmed, one refuted, one undecided."""
    from fpk.tour import steps

    for text in steps():
        click.echo(text)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def doctor(as_json: bool) -> None:
    """Check the installation: versions, optional packages, processors, a first result."""
    from fpk.tour import examined

    findings = examined()
    if as_json:
        click.echo(json.dumps(findings, ensure_ascii=False))
    else:
        for name, value in findings.items():
            click.echo(f"{name:24s} {value}")
    sys.exit(0 if findings["first result"] == "CONFIRMED" else 4)
