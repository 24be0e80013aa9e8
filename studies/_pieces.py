"""One ensemble from pieces of consecutive particles, made here or by Dask workers: the positions are to have the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import fpk
from fpk.laws import Array


def cuts(particles: int, size: int) -> list[tuple[int, int]]:
    """The first particle of each piece and how many it has: ``size`` (2 or more), the last one what is left and never 1 alone."""
    firsts = list(range(0, particles - 1, size))
    return [(a, b - a) for a, b in zip(firsts, [*firsts[1:], particles], strict=True)]


def in_pieces(problem: fpk.Problem, *, particles: int, size: int, **options: Any) -> Array:
    """Positions (levels, times, particles, d) of an ensemble simulated piece by piece; ``options`` go to :func:`fpk.simulate`."""
    return np.concatenate(
        [fpk.simulate(problem, first=a, particles=n, **options).positions for a, n in cuts(particles, size)], axis=2
    )


def on_workers(
    client: Any, make: Callable[[], fpk.Problem], *, particles: int, size: int, workers: int = 1, **options: Any
) -> Array:
    """As :func:`in_pieces` for the problem that ``make`` makes, shared among the first ``workers`` processes of a Dask client.

    ``make`` is called in the workers; it is a function inside another (or a lambda), which travels whole, or one of a module that workers can import.
    """
    chosen = sorted(client.scheduler_info(n_workers=-1)["workers"])[:workers]

    def piece(first: int, count: int) -> Array:
        return fpk.simulate(make(), first=first, particles=count, **options).positions

    futures = [
        client.submit(piece, a, n, workers=chosen[k % workers], pure=False)
        for k, (a, n) in enumerate(cuts(particles, size))
    ]
    return np.concatenate(client.gather(futures), axis=2)


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """A Dask client of so many worker processes with one thread each, on this machine."""
    from distributed import Client, LocalCluster

    here: Any = {"n_workers": workers, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    free = {"dashboard_address": "127.0.0.1:0"}  # any free port
    with LocalCluster(**here, processes=True, scheduler_kwargs=free) as processes, Client(processes) as client:
        yield client


def differing(first: Array, second: Array) -> int:
    """How many float64 of two arrays of one shape have different bits."""
    return int(np.count_nonzero(first.view(np.uint64) != second.view(np.uint64)))
