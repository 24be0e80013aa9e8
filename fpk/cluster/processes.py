"""Processes: what a worker of one's own does before its first task; Dask imports this module in each of them.

Ctrl-C is for the process that sent the tasks, which closes its workers. A task that could not be finished is told to that process too, with
its own error: no need to print it here, with the path through Dask that it took.
"""

from __future__ import annotations

import logging
import signal
from typing import Any


class Unfinished(Exception):
    """A task that came to no evidence: the text of its error, and whether all others must come to the same."""

    @property
    def text(self) -> str:
        """The task's own error."""
        return str(self.args[0])

    @property
    def hopeless(self) -> bool:
        """Whether no other task can do better, as on a full disk."""
        return bool(self.args[1])


def dask_setup(worker: Any) -> None:
    """Called by Dask in the main thread of a new worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("distributed.worker").addFilter(told_elsewhere)


def told_elsewhere(record: logging.LogRecord) -> bool:
    """Keep every record but that of an :class:`Unfinished` task."""
    ours = f"{Unfinished.__name__}("
    return not (
        str(record.msg).startswith("Compute Failed")
        and isinstance(record.args, tuple)
        and any(str(part).startswith(ours) for part in record.args)
    )
