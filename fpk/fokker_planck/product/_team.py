"""Threads over spans of cells, for compiled loops that let others run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from fpk.grids import once

#: Cells from which work is shared: below, handing it over takes longer.
SHARED_CELLS = 2**18
THREADS = 2


class Team:
    """Threads that share work on arrays over a grid, where there is enough of it.

    Parameters
    ----------
    cells : int
        Of the grid.
    """

    def __init__(self, cells: int) -> None:
        self.threads = THREADS if cells >= SHARED_CELLS else 1

    @once
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=self.threads)

    def share(self, work: Callable[[tuple[int, int]], None], count: int) -> None:
        """Do the work on range(count) in spans, one for each thread: what is done in one must not depend on the others."""
        if self.threads == 1:
            return work((0, count))
        list(self._pool.map(work, spans(count, self.threads)))


def spans(count: int, pieces: int) -> list[tuple[int, int]]:
    """range(count) in contiguous pieces.

    Examples
    --------
    >>> spans(10, 3)
    [(0, 3), (3, 6), (6, 10)]
    """
    return list(pairwise(count * k // pieces for k in range(pieces + 1)))
