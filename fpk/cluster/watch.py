r"""The watch: says what is the matter when nothing can move any more, and what to do.

Nothing is ever killed for taking long. A stall is when no task has finished for a while and no worker that sends signs of life is busy with one.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Say = Callable[[str], None]

#: Seconds without a finished task after which somebody looks whether anything can move.
PATIENCE = 20.0
#: Seconds without a sign of life after which a worker counts as silent; one comes every half second.
SILENCE = 60.0


@dataclass
class Watch:
    """Looks at a cluster where nothing finishes, and says once what is the matter, if anything is.

    A task that takes long is no reason: its worker is busy and sends signs of life.
    """

    client: Any
    say: Say
    _heard: dict[str, tuple[float, float]] = field(default_factory=dict)
    _told: str = ""

    def look(self, waiting: Collection[Any]) -> None:
        """Say what stands in the way of the waiting tasks, unless that has been said."""
        try:
            workers = self.client.scheduler_info(n_workers=-1)["workers"]
            processing = self.client.processing()
        except OSError as error:
            text = f"the scheduler does not answer ({error}); its tasks go on once it does, or stop here and start again: what is finished is kept."
        else:
            text = stall(workers, processing, waiting, self._silent(workers))
        about = re.sub(r"\d+", "", text)  # more seconds, fewer tasks: no news
        if text and about != self._told:
            self.say(text)
        self._told = about

    def _silent(self, workers: Mapping[str, Any]) -> dict[str, float]:
        """Seconds since the last sign of life of the workers that have not given any for long, by our own clock."""
        now, silent = time.monotonic(), {}
        for name, worker in workers.items():
            seen, since = self._heard.get(name, (None, now))
            if worker["last_seen"] != seen:
                since = now
            self._heard[name] = worker["last_seen"], since
            if now - since >= SILENCE:
                silent[name] = now - since
        return silent


def answered(client: Any, say: Say, unanswered: Callable[[], str], ask: Callable[[], Any]) -> Any:
    """What a cluster answers, however long that takes; what stands in its way is said once, when patience is over.

    Parameters
    ----------
    client : distributed.Client
    say : callable
    unanswered : callable
        The text to say.
    ask : callable
        A method of the client, with all it needs. It is called once: those that are stopped would hear of every repetition, later.
    """

    async def begun() -> Any:
        return asyncio.ensure_future(ask())

    asking, told = client.sync(begun), False
    try:
        while not client.sync(asyncio.wait, [asking], timeout=PATIENCE)[0]:
            if not told:
                say(unanswered())
            told = True
        return asking.result()
    finally:
        client.loop.add_callback(asking.cancel)


def stall(
    workers: Mapping[str, Any], processing: Mapping[str, Any], waiting: Collection[Any], silent: Mapping[str, float]
) -> str:
    """What keeps the waiting tasks from going on, and what to do about it; empty while a worker is busy with one.

    Parameters
    ----------
    workers : mapping
        What the scheduler knows of each worker, by address.
    processing : mapping
        Keys of the tasks each worker has.
    waiting : collection
        Keys ``(group, check, address)`` of our tasks that are not finished.
    silent : mapping
        Workers without a sign of life, and for how many seconds.
    """
    left = "1 task waits" if len(waiting) == 1 else f"{len(waiting)} tasks wait"
    if not workers:
        start = "dask worker ADDRESS --nthreads 1 (or --scheduler-file FILE)"
        return f"{left} and no worker is connected. Start one: {start}. The run goes on when it comes."
    busy = {name: [key for key in processing.get(name, ()) if key in waiting] for name in workers}
    busy = {name: keys for name, keys in busy.items() if keys}
    paused = [name for name in workers if workers[name].get("status") == "paused"]
    if busy and not set(busy) <= set(silent) | set(paused):
        return ""
    if gone := [name for name in busy if name in silent]:
        name, host = gone[0], workers[gone[0]].get("host", "its machine")
        check = " ".join(busy[name][0][1:2])
        return (
            f"{left}: no sign of life from {few(gone)} for {silent[name]:.0f} s, busy with {check}. It computes without a pause, or hangs: "
            f"py-spy dump on {host} shows where. Stopping it is safe: its task is computed elsewhere."
        )
    if paused:
        return f"{left} and {few(paused)} is paused for lack of memory. Give the workers more (dask worker --memory-limit 0 takes the limit away)."
    others = sum(len(keys) for keys in processing.values())
    return f"{left}; workers: {len(workers)}, " + (
        f"busy with tasks of others: {others}. The run goes on after them."
        if others
        else "all idle: look at the scheduler."
    )


def few(workers: Sequence[str]) -> str:
    """The first of many names, for a message."""
    return ", ".join(workers[:3]) + (f" and {len(workers) - 3} more" if len(workers) > 3 else "")
