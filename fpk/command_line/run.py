"""``fpk run``: compute, judge, report."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.command_line.group import (
    INTERRUPTED,
    alpha_option,
    known_names,
    main,
    placed,
    report_option,
    seed_option,
    since_option,
    size_option,
    study_options,
    where_options,
    where_to_compute,
)
from fpk.command_line.telling import earlier, remarks_of, repeating, reported, told, whole_seed, writable
from fpk.counts import counting
from fpk.errors import ProblemError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fpk.catalogue import Catalogue
    from fpk.records import Judged
    from fpk.runner import Done
    from fpk.store import Store
    from fpk.study import Study
    from fpk.tasks import Task

#: How a claim's assumptions tell that what it is about is missing.
MISSING = re.compile(r"(\S+) is not installed: skipped")
#: Tasks from which compiling ahead pays.
MANY = 1000


@main.command(
    epilog="""\b
Examples:
  fpk run --quick -j 2                    everything, three minutes on one core
  fpk run S0.E12 err:S0.E12               two claims at full size
  fpk run calibration                     all claims whose ids begin with calibration.
  fpk run my_study.py                     the studies of a file of yours
  fpk run --seed random --alpha 1e-9      other noise than yesterday, hardly a false alarm
  fpk run --quick --since reports/main    and what changed since that report
  fpk run --scheduler tcp://10.0.0.5:8786 on a Dask cluster that is running

What is stored is not computed again: an interrupted run goes on where it was."""
)
@click.argument("names", nargs=-1, shell_complete=known_names)
@study_options
@size_option
@where_options
@seed_option
@alpha_option
@click.option("--fresh", is_flag=True, help="Compute everything again, stored or not.")
@report_option()
@since_option
def run(
    names: tuple[str, ...],
    studies: Path,
    store: Path,
    as_json: bool,
    folder: Path,
    since: Path | None,
    quick: bool,
    alpha: float,
    **how: Any,
) -> None:
    """Run studies (all, or the NAMES of claims, studies or a path) and write the report."""
    from fpk.catalogue import load_catalogue
    from fpk.records import as_document, exit_code
    from fpk.study import Size

    studies, names = placed(studies, names)
    folder, before, how = writable(folder), earlier(since), how | where_to_compute()
    how["root"] = root_seed(how.pop("seed"))
    options = repeating(studies=studies, quick=quick, seed=str(how["root"]), alpha=alpha)
    catalogue = load_catalogue(studies)
    chosen = computable(catalogue.selected(names), catalogue, names)
    size, begun = Size("quick" if quick else "full"), time.perf_counter()
    judged = computed(catalogue, chosen, size, store, alpha=alpha, **how)
    judged += remarks_of(catalogue, names, size.name)
    records = [j.record for j in judged]
    seconds = time.perf_counter() - begun
    written = reported(judged, folder, catalogue, names, options, size=size.name, seconds=seconds, since=before)
    if as_json:
        click.echo(json.dumps(as_document(records), ensure_ascii=False))
    told(judged, written, time.perf_counter() - begun)
    sys.exit(exit_code(records))


def root_seed(text: str) -> int:
    """The root seed of a word: random draws one and says which.

    Raises
    ------
    ProblemError
        If it is neither a whole number nor the word random.
    """
    if text == "random":
        drawn = secrets.randbits(48)
        click.echo(f"fpk: --seed {drawn}", err=True)
        return drawn
    return whole_seed(text)


def computable(chosen: Sequence[Study], catalogue: Catalogue, names: Sequence[str]) -> Sequence[Study]:
    """Studies with anything to compute; says which are skipped, and for want of what.

    Raises
    ------
    ProblemError
        If there are none, and no remark either.
    """
    skipped = [study for study in chosen if not study.checks]
    if not skipped:
        return chosen
    about = [catalogue.claims[study.claim] for study in skipped]
    missing = sorted({name for claim in about for name in MISSING.findall(claim.assumptions)})
    why = f": {', '.join(missing)} not installed" if missing else ", they have no cases here"
    listed = ", ".join(claim.id for claim in about[:6]) + (f" and {len(about) - 6} more" if len(about) > 6 else "")
    one = len(chosen) == 1
    text = f"{len(about)} of {len(chosen)} {'claim is' if one else 'claims are'} skipped{why} ({listed})."
    if len(skipped) == len(chosen) and not catalogue.remarked(names):
        raise ProblemError(
            f"nothing to compute: {text} Install what is missing (fpk doctor tells how), or name other claims (fpk list)."
        )
    click.echo(f"fpk: {text}", err=True)
    return [study for study in chosen if study.checks]


def computed(
    catalogue: Catalogue,
    chosen: Sequence[Study],
    size: Any,
    store: Path,
    *,
    root: int = 0,
    alpha: float = 1e-6,
    **how: Any,
) -> list[Judged]:
    """Run the tasks with a progress bar on a terminal and judge them; what is done is kept when interrupted.

    ``how``: jobs, fresh, scheduler and scheduler_file, as :func:`fpk.runner.run` takes them.
    """
    from fpk.compile_ahead import compiling_ahead
    from fpk.records import judged
    from fpk.runner import run as run_tasks
    from fpk.store import Store
    from fpk.tasks import tasks_of

    tasks = tasks_of(catalogue, chosen, size=size, root_seed=root)
    asked = {name: value for name, value in how.items() if value is not None}
    results: list[Done] = []
    before = _written(Store(store), tasks)
    alone = asked.get("jobs", 1) == 1 and not {"scheduler", "scheduler_file"} & set(
        asked
    )  # workers compile for each other
    ahead = compiling_ahead() if alone and len(tasks) > MANY else contextlib.nullcontext()
    with ahead, _progress(len(tasks)) as advance:
        try:
            with contextlib.closing(run_tasks(tasks, Store(store), **asked)) as running:
                for done in running:
                    results.append(done)
                    advance(done.task.check)
        except KeyboardInterrupt:
            click.echo(
                f"\nfpk: interrupted after {len(results)} of {len(tasks)}; they are kept, the same command goes on.",
                err=True,
            )
            sys.exit(INTERRUPTED)
    there = [done.task for done in results if done.evidence is not None]
    if kept := len(before.items() & _written(Store(store), there).items()):
        click.echo(f"fpk: {kept} of {counting(len(tasks), 'record')} came from the store", err=True)
    return judged(catalogue, results, alpha=alpha)


def _written(store: Store, tasks: Sequence[Task]) -> dict[str, int]:
    """When the record of each task was written, where there is one: those that stay as they are were not computed."""
    return {task.key: store.path(task.key).stat().st_mtime_ns for task in tasks if store.has(task.key)}


class _progress:
    """A progress bar on stderr when it is a terminal; silent otherwise, and in CI, whose logs keep every stage of it."""

    def __init__(self, total: int) -> None:
        self.total, self.bar = total, None

    def __enter__(self) -> Any:
        if not sys.stderr.isatty() or os.environ.get("CI"):
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
