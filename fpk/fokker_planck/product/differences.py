r"""First and second differences of eighth order along rows and across them: the pieces of the stages in :mod:`central`.

All arrays are *framed*: :data:`REACH` zeros (or, in what was computed, untouched zeros) at both ends of every axis. Arrays in, arrays out.
"""

from __future__ import annotations

from numba import njit  # type: ignore[import-untyped]

from fpk.laws import Array

ASSUMED = {"contract", "reassoc", "nsz", "arcp"}  # NaN and infinities keep their meaning
compiled = njit(cache=True, error_model="numpy", fastmath=ASSUMED, nogil=True)
inlined = njit(cache=True, error_model="numpy", fastmath=ASSUMED, nogil=True, inline="always")

ORDER = 8
#: Cells on each side that a difference reads, and rows a ring holds.
REACH = ORDER // 2
ROUND = 2 * REACH + 1
#: S u = Σ FIRST_k (u_{+k} − u_{−k}) and δ u = Σ SECOND_k (u_{+k} + u_{−k}) + CENTRE u (Fornberg 1988).
FIRST = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
SECOND = (8 / 5, -1 / 5, 8 / 315, -1 / 560)
CENTRE = -205 / 72


@inlined
def wrapped(i: int, count: int) -> int:
    """The index i of a ring, for i below twice its size."""
    return i - count if i >= count else i


@inlined
def multiplied(a: Array, row: Array, out: Array) -> None:
    """out ← a row, a without a frame."""
    for j in range(len(a)):
        out[j + REACH] = a[j] * row[j + REACH]


@inlined
def along(row: Array, curved: Array, crossed: Array, carried: Array, f: Array, w: Array, q: Array, r: Array) -> None:
    """r ← w₀ δ(curved) − w₁ S(carried), and for the rows across q ← w₂ S(crossed) − w₃ f row."""
    for j in range(len(f)):
        second = CENTRE * curved[j + REACH]
        first, cross = 0.0, 0.0
        for k in range(REACH):
            left, right = j + REACH - 1 - k, j + REACH + 1 + k
            second += SECOND[k] * (curved[right] + curved[left])
            first += FIRST[k] * (carried[right] - carried[left])
            cross += FIRST[k] * (crossed[right] - crossed[left])
        r[j + REACH] = w[0] * second - w[1] * first
        q[j + REACH] = w[2] * cross - w[3] * f[j] * row[j + REACH]


@inlined
def along_once(row: Array, crossed: Array, f: Array, weight: float, inverse: float, q: Array) -> None:
    """q ← weight S(crossed) − inverse f row."""
    for j in range(len(f)):
        cross = 0.0
        for k in range(REACH):
            cross += FIRST[k] * (crossed[j + REACH + 1 + k] - crossed[j + REACH - 1 - k])
        q[j + REACH] = weight * cross - inverse * f[j] * row[j + REACH]


@inlined
def across(q: Array, r: Array, at: int, curved: Array, row: int, weight: float, out: Array) -> None:
    """out ← r + S q + weight δ(curved), with rings q and r."""
    count, around = len(q), len(curved)
    for j in range(r.shape[1] - 2 * REACH):
        c = j + REACH
        second, first = CENTRE * curved[row, c], r[at, c]
        for k in range(REACH):
            below, above = wrapped(at + count - 1 - k, count), wrapped(at + 1 + k, count)
            lower, upper = wrapped(row + around - 1 - k, around), wrapped(row + 1 + k, around)
            first += FIRST[k] * (q[above, c] - q[below, c])
            second += SECOND[k] * (curved[upper, c] + curved[lower, c])
        out[c] = first + weight * second


@inlined
def completed(
    q: Array, r: Array, at: int, curved: Array, row: int, weight: float, mix: Array, p: Array, v: Array, y: Array
) -> None:
    """The stage y ← a v + s (r + S q + weight δ(curved)) + m p + b y, with rings q and r and the row of ``curved`` that is completed."""
    count, around = len(q), len(curved)
    for j in range(r.shape[1] - 2 * REACH):
        c = j + REACH
        second, first = CENTRE * curved[row, c], r[at, c]
        for k in range(REACH):
            below, above = wrapped(at + count - 1 - k, count), wrapped(at + 1 + k, count)
            lower, upper = wrapped(row + around - 1 - k, around), wrapped(row + 1 + k, around)
            first += FIRST[k] * (q[above, c] - q[below, c])
            second += SECOND[k] * (curved[upper, c] + curved[lower, c])
        y[c] = mix[0] * v[c] + mix[1] * (first + weight * second) + mix[2] * p[c] + mix[3] * y[c]
