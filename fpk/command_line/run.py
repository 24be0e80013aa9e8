"""``fpk run``: compute, judge, report."""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.command_line.group import INTERRUPTED, main, study_options
from fpk.command_line.telling import remarks_of, reported, told
from fpk.errors import ProblemError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fpk.catalogue import Catalogue
    from fpk.records import Judged
    from fpk.runner import Done


@main.command()
@click.argument("names", nargs=-1)
@study_options
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
    from fpk.catalogue import load_catalogue
    from fpk.records import as_document, exit_code
    from fpk.study import Size

    if names and Path(names[0]).exists():
        studies, names = Path(names[0]), names[1:]
    catalogue = load_catalogue(studies)
    chosen = catalogue.selected(names)
    size, begun = Size("quick" if quick else "full"), time.perf_counter()
    judged = computed(catalogue, chosen, size, store, jobs=jobs, root=_root_seed(seed), alpha=alpha, fresh=fresh)
    judged += remarks_of(catalogue, names, size.name)
    records = [j.record for j in judged]
    written = reported(judged, folder, catalogue, size.name, time.perf_counter() - begun)
    if as_json:
        click.echo(json.dumps(as_document(records), ensure_ascii=False))
    told(judged, written, time.perf_counter() - begun)
    sys.exit(exit_code(records))


def _root_seed(text: str) -> int:
    if text == "random":
        drawn = secrets.randbits(48)
        click.echo(f"seed {drawn}", err=True)
        return drawn
    if not text.isdecimal():
        raise ProblemError(f"--seed takes a whole number ≥ 0 or the word random, got {text!r}.")
    return int(text)


def computed(
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
    """Run the tasks with a progress bar on a terminal and judge them; what is done is kept when interrupted."""
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
