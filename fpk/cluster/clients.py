r"""Clients: how a run gets its workers, and how it leaves them.

Processes of one's own are like a serial run: one thread each, all the memory, all the time, and a task whose worker dies is not tried on the
next one but reported, so that it can be computed alone.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fpk.errors import ClusterError, ProblemError

#: Seconds a scheduler is given to answer.
ANSWER = 10.0
#: What Dask says when a worker has died or is being closed.
DEATHS = (
    "marked as failed because",
    "caused the cluster to lose already computed",
    "Couldn't gather",
    "Restarting worker",
    "was killed by",
    "still alive after",
)


@contextlib.contextmanager
def connected(jobs: int, scheduler: str | None = None, scheduler_file: Path | None = None) -> Iterator[Any]:
    """A client of a cluster of ``jobs`` processes on this machine, or of the one whose scheduler is named.

    Raises
    ------
    ProblemError
        If Dask is not installed.
    ClusterError
        If no scheduler answers.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise ProblemError(
            '-j and --scheduler need Dask: python -m pip install "fpk[dask]", or run without them.'
        ) from error
    with _local(jobs) if scheduler is None and scheduler_file is None else _joined(scheduler, scheduler_file) as client:
        yield client


@contextlib.contextmanager
def _local(jobs: int) -> Iterator[Any]:
    """Processes on the loopback interface. Like a serial run they have all the memory, and all the time."""
    import dask
    from distributed import Client, LocalCluster

    scheduler = "distributed.scheduler"
    settings: Any = {
        f"{scheduler}.worker-saturation": 1.0,
        f"{scheduler}.allowed-failures": 0,
        f"{scheduler}.worker-ttl": None,
        "distributed.worker.profile.enabled": False,
    }
    here: Any = {
        "n_workers": jobs,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": None,
        "memory_limit": 0,
        "preload": ["fpk.cluster.processes"],
    }
    free = {"dashboard_address": "127.0.0.1:0"}  # any free port: two runs at a time are no warning
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))  # type: ignore[attr-defined]
        stack.enter_context(_told_once())
        try:
            cluster = stack.enter_context(LocalCluster(**here, scheduler_kwargs=free))
        except (OSError, RuntimeError) as error:  # killed while they begin, no memory, no ports
            raise ClusterError(
                f"{jobs} worker processes could not be started ({error.__cause__ or error}). Try again, with a smaller -j, or without."
            ) from error
        client = stack.enter_context(Client(cluster))
        try:
            yield client
        finally:  # workers that are being closed complain that their scheduler is gone
            with contextlib.suppress(Exception):
                client.run(_silent, on_error="ignore", callback_timeout=3)


def _silent() -> None:
    logging.disable(logging.CRITICAL)


@contextlib.contextmanager
def _told_once() -> Iterator[None]:
    """Deaths of workers are told by who hands out the tasks; what Dask says of them is left out, and nothing else."""

    def other(record: logging.LogRecord) -> bool:
        return not any(part in str(record.msg) for part in DEATHS)

    loggers = [logging.getLogger(f"distributed.{name}") for name in ("scheduler", "nanny", "client")]
    for logger in loggers:
        logger.addFilter(other)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(other)


@contextlib.contextmanager
def _joined(scheduler: str | None, scheduler_file: Path | None) -> Iterator[Any]:
    from distributed import Client

    if scheduler is not None and scheduler_file is not None:
        raise ProblemError("--scheduler and --scheduler-file name one scheduler each: give one of them.")
    address = scheduler if scheduler_file is None else _address_in(scheduler_file)
    try:
        client = Client(address, timeout=ANSWER)
    except (OSError, ValueError) as error:
        asked = address if scheduler_file is None else f"{address}, which {scheduler_file} names"
        raise ClusterError(
            f"no scheduler answers at {asked} ({type(error).__name__}: {error}). Start one with dask scheduler, and give the address it prints."
        ) from error
    with client:
        yield client


def _address_in(scheduler_file: Path) -> str:
    start = f"start a scheduler with dask scheduler --scheduler-file {scheduler_file}, where it can be seen from here."
    try:
        return str(json.loads(scheduler_file.read_text())["address"])
    except FileNotFoundError as error:
        raise ClusterError(f"{scheduler_file} does not exist: {start}") from error
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise ClusterError(f"{scheduler_file} names no scheduler ({type(error).__name__}: {error}): {start}") from error
