r"""The same place: a worker computes only where it would compute the same, and store it in the same store.

Versions, the digest of fpk's computing modules, the files of the studies and a token in the store are compared with those of whoever sends the
tasks: by all workers before a run begins, and by those that come later before their first task.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from fpk.atomic_files import mark, writing
from fpk.catalogue import known_catalogue
from fpk.cluster.watch import Say, answered, few
from fpk.errors import ClusterError, FpkError
from fpk.store import ELSEWHERE, RUN, engine_digest
from fpk.tasks import Task, code_of


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of what computed: Python, fpk and the numerical packages."""
    from importlib.metadata import version

    return {"python": platform.python_version()} | {name: version(name) for name in ("fpk", "numpy", "scipy")}


@dataclass(frozen=True)
class Place:
    """What every worker must share with whoever sent the tasks: versions, fpk's computing modules and the store.

    Parameters
    ----------
    versions : str
        JSON of :func:`versions`.
    engine : str
        Digest of fpk's computing modules.
    root : str
        Absolute path of the store.
    token : str
        Name of a file in the store that nobody else has.
    """

    versions: str
    engine: str
    root: str
    token: str


@contextlib.contextmanager
def placed(root: Path) -> Iterator[Place]:
    """Here, with a token in the store for as long as the run goes on."""
    with contextlib.ExitStack() as stack:
        with writing(root, ELSEWHERE):
            token = stack.enter_context(mark(root, RUN))
        yield Place(json.dumps(versions()), engine_digest(), str(root), token.name)


@lru_cache(maxsize=64)
def differing(place: Place, threads: int) -> tuple[str, ...]:
    """What a worker has not in common with a place, as parts of a sentence; on the worker."""
    there, own = json.loads(place.versions), versions()
    found = [f"{name} is {own.get(name)}, here {there[name]}" for name in there if own.get(name) != there[name]]
    if place.engine != engine_digest():
        found.append(f"the code of fpk differs (there in {Path(__file__).parents[1]})")
    if not Path(place.root, place.token).exists():
        found.append(f"the store {place.root} is not seen there")
    elif not os.access(place.root, os.W_OK):
        found.append(f"the store {place.root} cannot be written there")
    if threads != 1:
        found.append(f"{threads} threads in one worker, and studies need one each (--nthreads 1)")
    return tuple(found)


@lru_cache(maxsize=4096)
def differing_code(studies: str, claim: str, code: str) -> tuple[str, ...]:
    """Which code of a claim's study differs on this worker; ``code`` is JSON of the inputs that are code."""
    if not Path(studies).exists():
        return (f"the studies {studies} are not there",)
    try:
        own = code_of(known_catalogue(studies).study_of(claim))
    except (FpkError, StopIteration) as error:
        return (f"the study of {claim} cannot be imported there ({error})",)
    sent = json.loads(code)
    files = {name for name, digest in sent["files"].items() if own["files"].get(name) != digest}
    return tuple(f"the study file {name} differs" for name in sorted(files | (set(own["files"]) - set(sent["files"]))))


def sent_code(task: Task) -> str:
    """The digests of a task's study files, as JSON."""
    return json.dumps({"files": task.inputs.get("files", {})}, sort_keys=True)


def introduced(place: Place, studies: Collection[tuple[str, str, str]], dask_worker: Any = None) -> tuple[str, ...]:
    """Everything that differs on a worker, for all studies of a run."""
    found = differing(place, dask_worker.state.nthreads)
    return found or tuple(sorted({text for study in studies for text in differing_code(*study)}))


def check_scheduler(client: Any, task: Task, say: Say) -> None:
    """Refuse a scheduler that cannot read the tasks it hands on; one that does not answer is told, and waited for.

    Raises
    ------
    ClusterError
        Naming what it lacks.
    """
    address = client.scheduler.address
    silent = (
        f"the scheduler {address} does not answer yet: it is busy, stopped, or hangs. The run goes on when it answers."
    )
    try:
        answered(client, say, lambda: silent, partial(client.run_on_scheduler, _received, task))
    except Exception as error:
        raise ClusterError(
            f"the scheduler {address} cannot read the tasks of fpk ({type(error).__name__}: {error}). "
            "Start it in the same environment as its workers."
        ) from error


def _received(task: Task) -> None:
    """Nothing: that a task has come is all there is to know."""


def check_workers(client: Any, place: Place, tasks: Sequence[Task], say: Say) -> int:
    """Refuse workers that would compute something else, or elsewhere; how many workers there are.

    Those that do not answer are told, and waited for until they answer or are gone.

    Raises
    ------
    ClusterError
        Naming what differs, and on which workers.
    """
    studies = sorted({(task.studies, task.claim, sent_code(task)) for task in tasks})
    before = _last_seen(client)
    ask = partial(client.run, introduced, place, studies, on_error="return")
    try:
        answers = answered(client, say, lambda: _unanswered(before, _last_seen(client)), ask)
    except OSError as error:
        raise ClusterError(
            f"the scheduler is gone, or cannot be reached any more ({error}). The same command goes on once it is there."
        ) from error
    there = _last_seen(client)
    answers = {worker: answer for worker, answer in answers.items() if worker in there}
    differences: dict[str, list[str]] = {}
    for worker, answer in answers.items():
        for text in (str(answer) or repr(answer),) if isinstance(answer, BaseException) else answer:
            differences.setdefault(text, []).append(worker)
    if differences:
        bad = {worker for workers in differences.values() for worker in workers}
        listed = "".join(f"\n  {text} ({few(workers)})" for text, workers in differences.items())
        raise ClusterError(
            f"{len(bad)} of {len(answers)} workers would not compute the same:{listed}\n"
            "Start them in this environment, with the studies and the store on a file system that all see."
        )
    return len(answers)


def _last_seen(client: Any) -> dict[str, float]:
    """When the scheduler has had the last sign of life of each worker that is there, by its clock."""
    return {name: worker["last_seen"] for name, worker in client.scheduler_info(n_workers=-1)["workers"].items()}


def _unanswered(before: Mapping[str, float], now: Mapping[str, float]) -> str:
    """Which workers do not answer: those without a sign of life since they were asked, or else nobody knows which."""
    silent = [name for name in now if before.get(name) == now[name]]
    who = f"{len(silent)} of {len(now)} workers ({few(silent)})" if silent else f"some of {len(now)} workers"
    return (
        f"no answer yet from {who}: stopped, hanging, or slow to import the studies. "
        "The run goes on when they answer; stopping them is safe, it then goes on without them."
    )
