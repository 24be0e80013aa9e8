"""The compiled loop over particles and time steps.

Particles are worked on in tiles that stay in the fastest cache. Level l of a ladder takes steps of 2^l fine steps on the same Brownian path: its
increment is the sum of the fine ones, in single precision as the normal numbers are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types  # type: ignore[import-untyped]
from numpy.typing import NDArray

from fpk.laws import Array
from fpk.particles.clock import Integers
from fpk.particles.compilation import ADVANCE
from fpk.particles.philox import Word
from fpk.particles.streams import INCREMENTS, PLAIN, draw

#: Particles in a tile.
TILE = 1024

_ADVANCE = types.FunctionType(ADVANCE)
_I8, _U4, _F8 = types.int64, types.uint32, types.float64
_F4, _STATES = types.float32[:, ::1], _F8[:, ::1]
_SIGNATURE = types.void(
    _ADVANCE, _U4[:, ::1], _F8[:, :, ::1], _F8[:, :, :, :, ::1], _I8, _I8,
    _F8[:, ::1], _I8[::1], _I8[::1], _I8[::1], _I8, _I8, _I8, _I8, _U4, _U4, types.float32,
)  # fmt: skip


@njit(types.void(_F4, _I8, _I8, types.float32, _F4, types.boolean), **PLAIN)
def gather(room: Array, at: int, count: int, factor: np.float32, total: Array, fresh: bool) -> None:
    """Add ``factor`` times the rows at ... at + count − 1 to a sum, begun anew where it is fresh."""
    for r in range(count):
        for j in range(TILE):
            before = np.float32(0.0) if fresh else total[r, j]
            total[r, j] = before + factor * room[at + r, j]


@njit(types.void(_STATES, _STATES), **PLAIN)
def copied(given: Array, to: Array) -> None:
    """Copy the states of a tile."""
    for r in range(given.shape[0]):
        for j in range(TILE):
            to[r, j] = given[r, j]


@njit(_SIGNATURE, **PLAIN)
def drive(
    advance: Any, particles: NDArray[Word], start: Array, out: Array, begin: int, end: int, table: Array,
    first: Integers, order: Integers, kept: Integers, m: int, per: int, e: int, more: int, key0: Word, key1: Word, sign: np.float32,
) -> None:  # fmt: skip
    """Move the tiles begin ... end − 1 through all fine steps, and store their states.

    ``advance`` moves a tile by one step; ``particles`` (tiles, TILE) are the numbers that address the noise; ``start`` is (tiles, rows, TILE),
    ``out`` (levels, slots, tiles, rows, TILE); ``table`` holds the parameters of all steps, those of level l from row ``first[l]`` on;
    ``order[s]`` is the step whose noise the fine step s takes; ``kept[s]`` the slot filled after it, or −1; m and e count increments and further
    numbers, ``per`` and ``more`` the steps of their chunks; ``sign`` multiplies the increments.
    """
    levels, rows = out.shape[0], out.shape[3]
    states = np.empty((levels, rows, TILE))
    room, total = np.empty((per * m + 1, TILE), np.float32), np.zeros((levels, m + 1, TILE), np.float32)
    extra = np.empty((levels, more * e + 1, TILE), np.float32)
    for tile in range(begin, end):
        for level in range(levels):
            copied(start[tile], states[level])
        piece = -1
        for s in range(len(order)):
            if m > 0 and order[s] // per != piece:
                piece = order[s] // per
                draw(room, particles[tile], piece, per * m // 4, INCREMENTS, key0, key1)
            at = (order[s] % per) * m
            for level in range(levels):
                k, last = s >> level, (s + 1) % (1 << level) == 0
                noise = room[at:]
                if level > 0 or sign < 0:
                    gather(room, at, m, sign * np.float32(0.5 ** (0.5 * level)), total[level], s % (1 << level) == 0)
                    noise = total[level]
                if last:
                    if e > 0 and k % more == 0:
                        draw(extra[level], particles[tile], k // more, more * e // 4, 1 + level, key0, key1)
                    advance(states[level], noise, extra[level, (k % more) * e :], table[first[level] + k])
            if kept[s] >= 0:
                for level in range(levels):
                    copied(states[level], out[level, kept[s], tile])
