r"""Running studies: tasks in, evidence in the store, serial or on a Dask cluster.

A task is plain data; whoever computes it (this process or a worker) writes the store itself, so a killed run keeps everything that was
finished. Results do not depend on the number of workers.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fpk.catalogue import known_catalogue
from fpk.cluster.clients import connected
from fpk.cluster.handing import Compute, clustered
from fpk.cluster.places import versions
from fpk.errors import FpkError
from fpk.store import Store
from fpk.study import Evidence, Size
from fpk.tasks import Task, keep_engine


@dataclass(frozen=True)
class Done:
    """A finished task: its evidence and provenance, or the error that stopped it; or a missing one, and why nothing is there."""

    task: Task
    evidence: Evidence | None
    provenance: dict[str, Any]
    error: str = ""
    missing: bool = False


def computed(task: Task, store_root: str, fresh: bool = False) -> str:
    """Compute one task (unless stored) and store it; returns an error text, empty when all is well."""
    store = Store(Path(store_root))
    if not fresh and store.load(task.key) is not None:
        return ""
    catalogue = known_catalogue(task.studies)
    study = catalogue.study_of(task.claim)
    start = time.perf_counter()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to --json
            found = study.compute(study.variants[task.variant], task.case, Size(task.size), task.seed)
        if not isinstance(found, Evidence):
            raise TypeError(f"the study returned {type(found).__name__}, not Evidence")
    except FpkError as error:
        return f"{type(error).__name__}: {error}"
    except (Exception, SystemExit) as error:
        if type(error).__name__ == "KilledWorker":  # a part of the task died with another worker: as if this one had
            raise
        return f"{type(error).__name__}: {error} (while computing {task.check} in {study.name}, {_place(error)})"
    cost = time.perf_counter() - start
    store.save(task.key, found, {"cost_seconds": round(cost, 3), "versions": versions()} | task.provenance())
    keep_engine(store.root)
    return ""


def _place(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name} line {last.lineno}"


def _said(text: str) -> None:
    print(f"fpk: {text}", file=sys.stderr, flush=True)


def run(
    tasks: Sequence[Task],
    store: Store,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    scheduler_file: Path | None = None,
    fresh: bool = False,
    compute: Compute = computed,
    say: Callable[[str], None] = _said,
) -> Generator[Done, None, None]:
    """Yield what is stored, then compute the other tasks and yield them as they finish.

    Parameters
    ----------
    tasks : sequence of Task
    store : Store
    jobs : int, default 1
        Worker processes on this machine (a Dask LocalCluster on the loopback interface) when more than 1.
    scheduler : str, optional
        Address of the scheduler of a Dask cluster to compute on, in place of ``jobs``. Its workers must see the store.
    scheduler_file : Path, optional
        The same, from the file that ``dask scheduler --scheduler-file`` wrote.
    fresh : bool
        Compute even what is stored.
    compute : callable
        ``compute(task, store_root, fresh)`` computes and stores one task and returns an error text; default :func:`computed`.
    say : callable
        Told of damaged records, and when nothing moves; default a line on standard error.

    Raises
    ------
    ProblemError
        If workers are asked for and Dask is not installed.
    ClusterError
        If no scheduler answers, or its workers would not compute the same.
    StoreError
        If the store cannot be written; what is finished is kept.
    """
    store.left_over(remove=True)
    left = []
    for task in tasks:
        loaded = None if fresh else store.load(task.key)
        if loaded is not None:
            yield Done(task, *loaded)
            continue
        if not fresh and store.damaged(task.key):
            say(f"the stored record of {task.check} is damaged and is computed again ({store.path(task.key)})")
        left.append(task)
    if not left:
        return
    store.check_writable()
    if jobs <= 1 and scheduler is None and scheduler_file is None:
        for task in left:
            yield _done(task, store, compute(task, str(store.root), fresh))
        return
    own, sharing = scheduler is None and scheduler_file is None, compute is computed
    with connected(jobs if sharing else min(jobs, len(left)), scheduler, scheduler_file) as client:
        for task, error in clustered(client, left, store.root, compute, fresh=fresh, own=own, sharing=sharing, say=say):
            yield _done(task, store, error)


def _done(task: Task, store: Store, error: str) -> Done:
    loaded = None if error else store.load(task.key)
    if loaded is None:
        return Done(task, None, {}, error or "the stored record vanished or is damaged; run again")
    return Done(task, *loaded)
