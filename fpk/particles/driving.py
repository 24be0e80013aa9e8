"""The compiled loop over particles and time steps.

Particles are worked on in tiles that stay in the fastest cache. Level l of a ladder takes steps of 2^l fine steps on the same Brownian path: its
increment is the sum of the fine ones. Normal number q = s·m + j of a particle is the j-th of its fine step s; the numbers a scheme needs beside the
increments have a stream for each level.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types  # type: ignore[import-untyped]
from numpy.typing import NDArray

from fpk.laws import Array
from fpk.particles.clock import Integers
from fpk.particles.compilation import ADVANCE
from fpk.particles.normals import fill
from fpk.particles.philox import Word

#: Particles in a tile.
TILE = 1024
#: Stream of the increments; level l takes its further numbers from stream 1 + l.
INCREMENTS = 0

_ADVANCE = types.FunctionType(ADVANCE)
_I8, _U4, _F8 = types.int64, types.uint32, types.float64
_SIGNATURE = types.void(
    _ADVANCE,
    _U4[::1],
    _F8[:, ::1],
    _F8[:, :, :, ::1],
    _I8,
    _I8,
    _F8[:, ::1],
    _I8[::1],
    _I8[::1],
    _I8[::1],
    _I8,
    _I8,
    _U4,
    _U4,
    types.float32,
)


@njit(nogil=True, cache=True)
def chunk(count: int) -> int:
    """Steps whose numbers, ``count`` each, fill whole groups of four."""
    if count % 4 == 0:
        return 1
    return 2 if count % 2 == 0 else 4


@njit(nogil=True, cache=True)
def draw(room: Array, ids: NDArray[Word], piece: int, count: int, stream: int, key0: Word, key1: Word) -> None:
    """Fill the rows of one chunk of steps."""
    groups = chunk(count) * count // 4
    for r in range(groups):
        fill(room[4 * r : 4 * r + 4], ids, np.uint32(piece * groups + r), np.uint32(stream), key0, key1)


@njit(_SIGNATURE, nogil=True, cache=True, error_model="numpy")
def drive(
    advance: Any, particles: NDArray[Word], start: Array, out: Array, begin: int, end: int, table: Array,
    first: Integers, order: Integers, kept: Integers, m: int, e: int, key0: Word, key1: Word, sign: np.float32,
) -> None:  # fmt: skip
    """Move the particles begin ... end − 1 through all fine steps, and store their states.

    ``advance`` moves a tile by one step; ``particles`` (n,) are the numbers that address the noise; ``start`` is (rows, n), ``out`` is
    (levels, slots, rows, n); ``table`` holds the parameters of all steps, those of level l from row ``first[l]`` on; ``order[s]`` is the
    step whose noise the fine step s takes; ``kept[s]`` the slot filled after it, or −1; m and e count increments and further numbers;
    ``sign`` multiplies the increments.
    """
    levels, rows = out.shape[0], out.shape[2]
    states, ids = np.empty((levels, rows, TILE)), np.empty(TILE, Word)
    room = np.empty((max(chunk(m) * m, 1), TILE), np.float32)
    sums = np.zeros((levels, max(m, 1), TILE), np.float32)
    more = np.empty((levels, max(chunk(e) * e, 1), TILE), np.float32)
    piece, pieces = -1, np.empty(levels, np.int64)
    for a in range(begin, end, TILE):
        size = min(TILE, end - a)
        for j in range(TILE):
            ids[j] = particles[min(a + j, end - 1)]
            for r in range(rows):
                states[:, r, j] = start[r, min(a + j, end - 1)]
        piece = -1
        pieces[:] = -1
        for s in range(len(order)):
            if m > 0 and order[s] // chunk(m) != piece:
                piece = order[s] // chunk(m)
                draw(room, ids, piece, m, INCREMENTS, key0, key1)
                if sign < 0:
                    room *= sign
            at = (order[s] % chunk(m)) * m
            fine = room[at : at + max(m, 1)]
            for level in range(levels):
                stride, k = 1 << level, s >> level
                if level > 0:
                    sums[level] += fine
                if (s + 1) % stride == 0:
                    if level > 0:
                        sums[level] *= np.float32(1.0 / np.sqrt(stride))
                    if e > 0 and k // chunk(e) != pieces[level]:
                        pieces[level] = k // chunk(e)
                        draw(more[level], ids, pieces[level], e, 1 + level, key0, key1)
                    extra = more[level, (k % chunk(e)) * e : (k % chunk(e)) * e + max(e, 1)]
                    advance(states[level], sums[level] if level > 0 else fine, extra, table[first[level] + k])
                    if level > 0:
                        sums[level] = np.float32(0.0)
            if kept[s] >= 0:
                out[:, kept[s], :, a : a + size] = states[:, :, :size]
