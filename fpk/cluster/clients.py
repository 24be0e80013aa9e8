r"""Clients: how a run gets its workers, and how it leaves them.

Processes of one's own are like a serial run: one thread each, all the memory, all the time, and a task whose worker dies is not tried on the
next one but reported, so that it can be computed alone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import threading
from collections.abc import Coroutine, Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from fpk.errors import ClusterError, ProblemError

#: Seconds a scheduler is given to answer.
ANSWER = 10.0
#: Where Dask looks for the certificates of a client.
CERTIFICATES = tuple(f"DASK_DISTRIBUTED__COMM__TLS__{name}" for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY"))
#: What Dask says when a worker has died or is being closed.
DEATHS = (
    "marked as failed because",
    "caused the cluster to lose already computed",
    "Couldn't gather",
    "Restarting worker",
    "was killed by",
    "still alive after",
    "closed without starting",
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
    except Exception as error:  # it reads its settings while it is imported
        raise ProblemError(
            f"Dask cannot be used ({_said(error)}): mend its settings, or run without workers."
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
        begun = stack.enter_context(contextlib.ExitStack())
        try:
            with _uninterrupted():
                cluster = begun.enter_context(LocalCluster(**here, scheduler_kwargs=free))
                client = begun.enter_context(Client(cluster))
        except (
            Exception
        ) as error:  # killed while they begin, no memory, no ports, settings of Dask that cannot be meant
            raise ClusterError(
                f"{jobs} worker processes could not be started ({_said(_first_cause(error))}). "
                "Try again, with a smaller -j, or without; or mend what it says."
            ) from error
        try:
            yield client
        finally:
            with _uninterrupted():
                with contextlib.suppress(
                    Exception
                ):  # workers that are being closed complain that their scheduler is gone
                    client.run(_silent, on_error="ignore", callback_timeout=3)
                begun.close()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off: a cluster that is half begun or half closed leaves processes behind.

    Threads and processes that begin meanwhile never hear of it, which is what workers need: their run closes them. Another thread may hear
    of it, such as one that draws a progress bar, and Python then interrupts the main thread: there it is remembered until the end.
    """
    with _remembering(), _masked():
        yield


@contextlib.contextmanager
def _remembering() -> Iterator[None]:
    """In the main thread, have Ctrl-C at the end; what ignores it still does."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before in (None, signal.SIG_IGN):
        yield
        return
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if heard:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def _masked() -> Iterator[None]:
    """Keep Ctrl-C from this thread, and from all that it begins."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it begins with the first process, and then lets its thread hear of Ctrl-C again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _silent() -> None:
    logging.disable(logging.CRITICAL)


@contextlib.contextmanager
def _told_once() -> Iterator[None]:
    """Deaths of workers are told by who hands out the tasks; what Dask says of them is left out, and nothing else."""

    def other(record: logging.LogRecord) -> bool:
        return not any(part in str(record.msg) for part in DEATHS)

    loggers = [logging.getLogger(f"distributed.{name}") for name in ("scheduler", "nanny", "client", "deploy.spec")]
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
    from distributed.comm.core import connect
    from distributed.utils import LoopRunner

    if scheduler is not None and scheduler_file is not None:
        raise ProblemError("--scheduler and --scheduler-file name one scheduler each: give one of them.")
    address = (scheduler or "").strip() if scheduler_file is None else _address_in(scheduler_file)
    asked = address if scheduler_file is None else f"{address} (in {scheduler_file})"
    options = _how_to_call(address, asked)
    try:
        if options is not None:
            call = connect(address, timeout=ANSWER, **options)
            LoopRunner().run_sync(_greeted, call, callback_timeout=1.5 * ANSWER)
        client = Client(address, timeout=ANSWER)
    except Exception as error:
        raise ClusterError(
            f"no scheduler answers at {asked} ({_said(error)}). Start one with dask scheduler, and give the address it prints."
        ) from error
    with client:
        yield client


async def _greeted(call: Coroutine[Any, Any, Any]) -> None:
    """Exchange a greeting and hang up: the client would wait for ever for somebody who takes a call and says nothing."""
    (await call).abort()


def _how_to_call(address: str, asked: str) -> dict[str, Any] | None:
    """Certificates and the like for an address; None where a loader of the user's brings them, later.

    Raises
    ------
    ClusterError
        Before anybody is called: for what is no address, for protocols that Dask has not, and where certificates are missing.
    """
    import dask
    from distributed.comm.registry import get_backend
    from distributed.security import Security

    scheme, separator, place = address.rpartition("://")
    host, _, port = place.rpartition(":")
    is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 2**16
    if not (is_port and host and address.isprintable() and " " not in address):
        raise ClusterError(
            f"{asked!r} is no address of a scheduler: give protocol, host and port, such as tcp://10.0.0.5:8786."
        )
    try:
        encrypted = getattr(get_backend(scheme if separator else "tcp").get_connector(), "encrypted", False)
        found = Security().get_connection_args("client")
    except Exception as error:
        raise ClusterError(
            f"Dask cannot call {asked} ({_said(error)}). Give an address such as tcp://10.0.0.5:8786; tls:// needs certificates that can be read."
        ) from error
    loaded = dask.config.get("distributed.client.security-loader", None)  # type: ignore[attr-defined]
    if encrypted and not (found["ssl_context"] or loaded):
        raise ClusterError(
            f"the scheduler at {asked} asks for certificates, and none are set here: name those of the cluster in {', '.join(CERTIFICATES)}, "
            "or in the settings of Dask (distributed.comm.tls)."
        )
    if found["require_encryption"] and not encrypted:
        raise ClusterError(
            f"the settings of Dask require encryption (distributed.comm.require-encryption), and {asked} has none: give a tls:// address."
        )
    return None if loaded else found


def _first_cause(error: BaseException) -> BaseException:
    """What everything else came from."""
    return error if error.__cause__ is None else _first_cause(error.__cause__)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _address_in(scheduler_file: Path) -> str:
    start = f"start a scheduler with dask scheduler --scheduler-file {scheduler_file}, where it can be seen from here."
    try:
        return str(json.loads(scheduler_file.read_text())["address"])
    except FileNotFoundError as error:
        raise ClusterError(f"{scheduler_file} does not exist: {start}") from error
    except (OSError, LookupError, ValueError, TypeError, RecursionError) as error:
        raise ClusterError(f"{scheduler_file} names no scheduler ({_said(error)}): {start}") from error
