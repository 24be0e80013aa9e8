"""Sharing: the parts of one task over all workers of a run, while the task itself waits."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fpk.particles.mapping import OVER


def over_workers(function: Callable[..., Any], items: Iterable[Any]) -> list[Any]:
    """Like :func:`map`, called by a task on a worker: the parts go before other tasks, and the task's own worker takes part."""
    from distributed import worker_client

    items = list(items)
    keys = [(f"fpk-part-{secrets.token_hex(4)}", str(number)) for number in range(len(items))]
    with worker_client() as client:
        found: Any = client.gather(client.map(function, items, key=keys, pure=False, priority=10))
    return found


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Let the ensembles in blocks of this task be computed by all workers."""
    before = OVER.set(over_workers)
    try:
        yield
    finally:
        OVER.reset(before)
