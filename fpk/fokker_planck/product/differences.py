r"""First and second differences of eighth order along rows and across them: the pieces of the stages in :mod:`central`.

All arrays are *framed*: :data:`REACH` zeros (or, in what was computed, untouched zeros) at both ends of every axis. Arrays in, arrays out.
"""

from __future__ import annotations

from numba import njit  # type: ignore[import-untyped]

from fpk.instructions import prefer_wide_vectors
from fpk.laws import Array

ASSUMED = {"contract", "reassoc", "nsz", "arcp"}  # NaN and infinities keep their meaning
compiled = njit(cache=True, error_model="numpy", fastmath=ASSUMED, nogil=True)
inlined = njit(cache=True, error_model="numpy", fastmath=ASSUMED, nogil=True, inline="always")

ORDER = 8
#: Cells on each side that a difference reads, and rows a ring holds: those that two neighbouring rows read.
REACH = ORDER // 2
ROUND = 2 * REACH + 2
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
def read_along(u: Array, f: Array, D: Array, w: Array, q: Array, r: Array) -> None:
    """q ← S u and r ← w₁ f S u + w₀ D δ u."""
    for j in range(len(f)):
        second, first = CENTRE * u[j + REACH], 0.0
        for k in range(REACH):
            left, right = u[j + REACH - 1 - k], u[j + REACH + 1 + k]
            second += SECOND[k] * (right + left)
            first += FIRST[k] * (right - left)
        q[j + REACH] = first
        r[j + REACH] = w[1] * f[j] * first + w[0] * D[j] * second


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
def reached(at: int, count: int) -> tuple[int, ...]:
    """The ring's indices of the ten rows that the row ``at`` and the next one read."""
    first = wrapped(at + count - REACH, count)
    return (
        first,
        wrapped(first + 1, count),
        wrapped(first + 2, count),
        wrapped(first + 3, count),
        wrapped(first + 4, count),
        wrapped(first + 5, count),
        wrapped(first + 6, count),
        wrapped(first + 7, count),
        wrapped(first + 8, count),
        wrapped(first + 9, count),
    )


@compiled
def completed(
    q: Array,
    r: Array,
    at: int,
    curved: Array,
    row: int,
    weight: float,
    mix: Array,
    p: Array,
    v: Array,
    y: Array,
    i: int,
) -> None:
    """The stage y ← a v + s (r + S q + weight δ(curved)) + m p + b y of row i of p, v and y, with rings q and r; row is that of ``curved``."""
    prefer_wide_vectors()  # type: ignore[call-arg]
    a, b = reached(at, len(q)), reached(row, len(curved))
    for j in range(r.shape[1] - 2 * REACH):
        c = j + REACH
        second, first = CENTRE * curved[row, c], r[at, c]
        for k in range(REACH):
            first += FIRST[k] * (q[a[REACH + 1 + k], c] - q[a[REACH - 1 - k], c])
            second += SECOND[k] * (curved[b[REACH + 1 + k], c] + curved[b[REACH - 1 - k], c])
        y[i, c] = mix[0] * v[i, c] + mix[1] * (first + weight * second) + mix[2] * p[i, c] + mix[3] * y[i, c]


@compiled
def completed_pair(
    q: Array,
    r: Array,
    at: int,
    curved: Array,
    row: int,
    weight: float,
    mix: Array,
    p: Array,
    v: Array,
    y: Array,
    i: int,
) -> None:
    """:func:`completed` for the rows i and i + 1 of p, v and y at once, which read ten rows and not eighteen; at and row are of the first."""
    prefer_wide_vectors()  # type: ignore[call-arg]
    a, b = reached(at, len(q)), reached(row, len(curved))
    for j in range(r.shape[1] - 2 * REACH):
        c = j + REACH
        second, first = CENTRE * curved[b[REACH], c], r[a[REACH], c]
        other, slope = CENTRE * curved[b[REACH + 1], c], r[a[REACH + 1], c]
        for k in range(REACH):
            first += FIRST[k] * (q[a[REACH + 1 + k], c] - q[a[REACH - 1 - k], c])
            slope += FIRST[k] * (q[a[REACH + 2 + k], c] - q[a[REACH - k], c])
            second += SECOND[k] * (curved[b[REACH + 1 + k], c] + curved[b[REACH - 1 - k], c])
            other += SECOND[k] * (curved[b[REACH + 2 + k], c] + curved[b[REACH - k], c])
        one = mix[0] * v[i, c] + mix[1] * (first + weight * second) + mix[2] * p[i, c] + mix[3] * y[i, c]
        two = mix[0] * v[i + 1, c] + mix[1] * (slope + weight * other) + mix[2] * p[i + 1, c] + mix[3] * y[i + 1, c]
        y[i, c], y[i + 1, c] = one, two


@inlined
def complete(
    q: Array,
    r: Array,
    at: int,
    curved: Array,
    row: int,
    weight: float,
    mix: Array,
    p: Array,
    v: Array,
    y: Array,
    i: int,
    span: tuple[int, int],
) -> None:
    """Complete what row i, entering, lets complete: rows m = i − REACH of the span, odd ones with the one before, that of ``at`` and ``row``."""
    m = i - REACH
    if m > span[0] and m % 2 == 1:
        completed_pair(q, r, at, curved, row, weight, mix, p, v, y, i - 1)
    elif m == span[1] - 1 and m % 2 == 0:
        completed(q, r, wrapped(at + 1, ROUND), curved, wrapped(row + 1, len(curved)), weight, mix, p, v, y, i)
