"""Streams of normal numbers: number q = s·m + j of a particle is the j-th of the m it takes in step s.

The increments have one stream; the numbers a scheme needs beside them have one for each level of steps. Numbers come in groups of four, so they
are drawn for as many steps at once as fill whole groups.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types  # type: ignore[import-untyped]
from numpy.typing import NDArray

from fpk.laws import Array
from fpk.particles.normals import fill
from fpk.particles.philox import Word

#: Stream of the increments; level l takes its further numbers from stream 1 + l.
INCREMENTS = 0

#: Every option said, because numba takes over from callers what is not.
PLAIN: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": False, "forceinline": False}

_F4, _I8, _U4 = types.float32[:, ::1], types.int64, types.uint32


def chunk(count: int) -> int:
    """Steps whose numbers, ``count`` each, fill whole groups of four."""
    if count % 4 == 0:
        return 1
    return 2 if count % 2 == 0 else 4


@njit(types.void(_F4, _U4[::1], _I8, _I8, _I8, _U4, _U4), **PLAIN)
def draw(room: Array, ids: NDArray[Word], piece: int, groups: int, stream: int, key0: Word, key1: Word) -> None:
    """Fill the rows of one chunk of steps, ``groups`` times four of them."""
    for r in range(groups):
        fill(room[4 * r : 4 * r + 4], ids, np.uint32(piece * groups + r), np.uint32(stream), key0, key1)
