r"""Handing out: tasks to workers, a bounded number ahead, and back as they finish.

A task that was on a worker when it died is computed once more, alone, so that the one that kills workers is named and no bystander is.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from fpk.cluster.places import Place, check_scheduler, check_workers, differing, differing_code, placed, sent_code
from fpk.cluster.processes import Unfinished
from fpk.cluster.sharing import shared
from fpk.cluster.watch import PATIENCE, Say, Watch
from fpk.errors import ClusterError, StoreError
from fpk.tasks import Task

Compute = Callable[[Task, str, bool], str]

#: Tasks that are with the scheduler at a time: enough for all workers, and little to carry for many tasks.
AHEAD = 1000


def worked(task: Task, compute: Compute, root: str, fresh: bool, place: Place | None, sharing: bool = False) -> None:
    """Compute a task on a worker, which may have come later than the check of all workers.

    Raises
    ------
    Unfinished
        With the error text; without it the evidence is stored.
    """
    if place is not None:
        from distributed import get_worker

        worker = get_worker()
        found = differing(place, worker.state.nthreads)
        if found := found or differing_code(task.studies, task.claim, sent_code(task)):
            where = f"{worker.address} on {socket.gethostname()}"
            raise Unfinished(f"ClusterError: the worker {where} would not compute the same: {'; '.join(found)}.", False)
    try:
        with shared() if sharing else contextlib.nullcontext():
            text = compute(task, root, fresh)
    except StoreError as error:
        raise Unfinished(str(error), True) from None
    if text:
        raise Unfinished(text, False)


def clustered(
    client: Any, tasks: Sequence[Task], root: Path, compute: Compute, *, fresh: bool, own: bool, sharing: bool, say: Say
) -> Iterator[tuple[Task, str]]:
    """Hand out the tasks and yield them as they finish, each with its error text (empty when all is well).

    Parameters
    ----------
    client : distributed.Client
    tasks : sequence of Task
    root : Path
        The store.
    compute : callable
    fresh : bool
    own : bool
        Whether the workers are of this process, so that they cannot differ.
    sharing : bool
        Whether the blocks of an ensemble may be computed by other workers than its task: not where that has changed its own process.
    say : callable
        Told when nothing moves.

    Raises
    ------
    ClusterError
        For workers that would not compute the same, and when the scheduler is gone.
    StoreError
        When a worker cannot write the store.
    """
    watch = Watch(client, say)
    with contextlib.nullcontext() if own else placed(root.resolve()) as place:
        if place is not None:
            tasks = [replace(task, studies=str(Path(task.studies).resolve())) for task in tasks]
            check_scheduler(client, tasks[0], say)
            if not check_workers(client, place, tasks, say):
                watch.look([task.key for task in tasks])
        work = partial(worked, compute=compute, root=str(root.resolve()), fresh=fresh, place=place, sharing=sharing)
        suspects = []
        for task, future in _as_finished(client, tasks, work, watch):
            if _killed(future):
                suspects.append(task)
            else:
                yield task, _error_of(future)
        if suspects:
            say(
                f"a worker process died; {_counted(len(suspects))} computed again, one at a time, to see which of them does it"
            )
        for suspect in suspects:
            for task, future in _as_finished(client, [suspect], work, watch):
                died = f"its worker process died, twice, the second time alone: {task.check}"
                yield task, died if _killed(future) else _error_of(future)


def _counted(tasks: int) -> str:
    return "the task that was on it is" if tasks == 1 else f"the {tasks} tasks that were on it are"


def _as_finished(
    client: Any, tasks: Sequence[Task], work: Callable[[Task], None], watch: Watch
) -> Iterator[tuple[Task, Any]]:
    """Submit the tasks, a thousand ahead at most, and yield them with their futures as they finish."""
    group, rest = f"fpk-{secrets.token_hex(4)}", iter(tasks)  # two runs on one scheduler must not share their tasks
    finished: SimpleQueue = SimpleQueue()
    waiting: dict[Any, tuple[Task, Any]] = {}

    def submit() -> None:
        if more := list(islice(rest, AHEAD - len(waiting))):
            # Tasks of one group are kept in a queue by the scheduler, in place of being piled up on workers that may die.
            keys = [(group, task.check, task.key[:12]) for task in more]
            for task, future in zip(more, client.map(work, more, key=keys, pure=False), strict=True):
                waiting[future.key] = task, future
                future.add_done_callback(finished.put)

    submit()
    while waiting:
        try:
            future = finished.get(timeout=PATIENCE)
        except Empty:
            watch.look(waiting)
            continue
        task, _ = waiting.pop(future.key)
        if len(waiting) <= AHEAD // 2:
            submit()
        yield task, future


def _killed(future: Any) -> bool:
    """Whether a task was on its worker when that died.

    Raises
    ------
    ClusterError
        If there is no telling any more, because the scheduler is gone.
    """
    if future.status == "cancelled":
        raise ClusterError(
            "the scheduler is gone, or somebody cancelled the tasks of this run. What is finished is kept; the same command goes on."
        )
    return future.status == "error" and type(future.exception()).__name__ == "KilledWorker"


def _error_of(future: Any) -> str:
    """The error text of a finished task, empty when all is well (also when its worker died later: the evidence is stored)."""
    if future.status != "error":
        return ""
    error = future.exception()
    if not isinstance(error, Unfinished):
        return f"{type(error).__name__}: {error}"
    if error.hopeless:
        raise StoreError(error.text)
    return error.text
