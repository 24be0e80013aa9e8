r"""Running studies: tasks in, evidence in the store, serial or on a Dask cluster.

A task is plain data; whoever computes it (this process or a worker) writes the store itself, so a killed run keeps everything that was
finished. Results do not depend on the number of workers.
"""

from __future__ import annotations

import contextlib
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fpk.catalogue import Catalogue, load_catalogue
from fpk.errors import FpkError, ProblemError
from fpk.store import Store
from fpk.study import Evidence, Size
from fpk.tasks import Task, keep_engine


@dataclass(frozen=True)
class Done:
    """A finished task: its evidence and provenance, or the error that stopped it."""

    task: Task
    evidence: Evidence | None
    provenance: dict[str, Any]
    error: str = ""


Compute = Callable[[Task, str, bool], str]


def computed(task: Task, store_root: str, fresh: bool = False) -> str:
    """Compute one task (unless stored) and store it; returns an error text, empty when all is well."""
    store = Store(Path(store_root))
    if not fresh and store.load(task.key) is not None:
        return ""
    catalogue = _catalogue(task.studies)
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
        return f"{type(error).__name__}: {error} (while computing {task.check} in {study.name}, {_place(error)})"
    cost = time.perf_counter() - start
    store.save(task.key, found, {"cost_seconds": round(cost, 3), "versions": versions()} | task.provenance())
    keep_engine(store.root)
    return ""


def _place(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name} line {last.lineno}"


@lru_cache(maxsize=8)
def _catalogue(path: str) -> Catalogue:
    return load_catalogue(Path(path))


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of what computed: Python, fpk and the numerical packages."""
    from importlib.metadata import version

    return {"python": platform.python_version()} | {name: version(name) for name in ("fpk", "numpy", "scipy")}


def run(
    tasks: Sequence[Task], store: Store, *, jobs: int = 1, fresh: bool = False, compute: Compute = computed
) -> Iterator[Done]:
    """Compute the tasks and yield them as they finish.

    Parameters
    ----------
    tasks : sequence of Task
    store : Store
    jobs : int, default 1
        Worker processes (a Dask LocalCluster on the loopback interface) when more than 1.
    fresh : bool
        Compute even what is stored.
    compute : callable
        ``compute(task, store_root, fresh)`` computes and stores one task and returns an error text; default :func:`computed`.

    Raises
    ------
    ProblemError
        If ``jobs > 1`` and Dask is not installed.
    """
    finished = _serial if jobs <= 1 else _clustered
    for task, error in finished(tasks, str(store.root), jobs, fresh, compute):
        loaded = None if error else store.load(task.key)
        if loaded is None:
            yield Done(task, None, {}, error or "the stored record vanished or is damaged; run again")
        else:
            yield Done(task, *loaded)


def _serial(tasks: Sequence[Task], root: str, jobs: int, fresh: bool, compute: Compute) -> Iterator[tuple[Task, str]]:
    for task in tasks:
        yield task, compute(task, root, fresh)


def _clustered(
    tasks: Sequence[Task], root: str, jobs: int, fresh: bool, compute: Compute
) -> Iterator[tuple[Task, str]]:
    try:
        import dask
        from distributed import Client, LocalCluster, as_completed
    except ImportError as error:
        raise ProblemError('-j needs Dask: python -m pip install "fpk[dask]", or run without -j.') from error
    settings: Any = {"distributed.scheduler.worker-saturation": 1.0, "distributed.scheduler.allowed-failures": 0}
    here: Any = {"n_workers": jobs, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    free = {"dashboard_address": "127.0.0.1:0"}  # any free port: two runs at a time are no warning
    with (
        dask.config.set(settings),  # type: ignore[attr-defined]
        LocalCluster(**here, scheduler_kwargs=free) as cluster,
        Client(cluster) as client,
    ):
        futures = {
            client.submit(compute, task, root, fresh, key=f"{task.check}-{task.key[:12]}", pure=False): task
            for task in tasks
        }
        suspects = []
        for future in as_completed(futures):
            error = _outcome(future)
            if error is None:
                suspects.append(futures[future])
            else:
                yield futures[future], error
        yield from _alone(suspects, client, root, fresh, compute)


def _outcome(future: Any) -> str | None:
    """The task's own answer; None when its worker died."""
    if future.status == "finished":
        return future.result()
    error = future.exception()
    return None if type(error).__name__ == "KilledWorker" else f"{type(error).__name__}: {error}"


def _alone(
    suspects: Sequence[Task], client: Any, root: str, fresh: bool, compute: Compute
) -> Iterator[tuple[Task, str]]:
    """Rerun, one at a time, the tasks that were on a worker when it died: a bystander succeeds, the culprit is named."""
    for task in suspects:
        future = client.submit(compute, task, root, fresh, key=f"alone-{task.check}-{task.key[:12]}", pure=False)
        error = _wait(future)
        yield task, f"its worker process died, twice, the second time alone: {task.check}" if error is None else error


def _wait(future: Any) -> str | None:
    from distributed import wait

    wait(future)
    return _outcome(future)


Progress = Callable[[int, int, Done], None]
