"""Compiled loops of alternating directions: the operator on flattened grids, and tridiagonal eliminations along their axes.

Arrays in, arrays out. An elimination of (1 + leaving) x − (what arrives from both neighbours) = r is x = (1 − up)⁻¹ · inverse · (1 − low)⁻¹ r with
bidiagonal factors: ``low`` and ``up`` are stored at the lower cell of each pair. They change places in the transposed elimination. Lines along the
last axis are taken :data:`LANES` at a time, in a buffer where they lie side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit  # type: ignore[import-untyped]

compiled = njit(cache=True, error_model="numpy", fastmath={"contract"}, nogil=True)
#: Lines along the last axis that are eliminated together: one register of doubles.
LANES = 8
#: Cells handled together by the operator: the result stays in the first-level cache.
BLOCK = 1024


@compiled
def apply(
    p: Any, weight: float, scale: float, terms: tuple[Any, Any, Any, Any, Any], span: tuple[int, int], out: Any
) -> None:
    """Fill ``out`` with weight · p + scale · A p in the cells of the span, all of shape (n,).

    ``terms`` are rates (m, n), and for each term the row of its rates, a factor, and its shift; and leaving (n,): out[i + shift] takes rate[i] p[i].
    """
    rates, rows, factors, shifts, leaving = terms
    for a in range(span[0], span[1], BLOCK):
        b = min(a + BLOCK, span[1])
        stay(p[a:b], weight, scale, leaving[a:b], out[a:b])
        for t in range(len(rows)):
            s = shifts[t]
            first, last = max(a, s), min(b, len(p) + s)
            if first < last:
                add(rates[rows[t], first - s : last - s], scale * factors[t], p[first - s : last - s], out[first:last])


@compiled
def apply_transposed(
    p: Any, weight: float, scale: float, terms: tuple[Any, Any, Any, Any, Any], span: tuple[int, int], out: Any
) -> None:
    """As :func:`apply` with the transposed operator: out[i] takes rate[i] p[i + shift]."""
    rates, rows, factors, shifts, leaving = terms
    for a in range(span[0], span[1], BLOCK):
        b = min(a + BLOCK, span[1])
        stay(p[a:b], weight, scale, leaving[a:b], out[a:b])
        for t in range(len(rows)):
            s = shifts[t]
            first, last = max(a, -s), min(b, len(p) - s)
            if first < last:
                add(rates[rows[t], first:last], scale * factors[t], p[first + s : last + s], out[first:last])


@compiled
def stay(p: Any, weight: float, scale: float, leaving: Any, out: Any) -> None:
    """Fill ``out`` with (weight − scale · leaving) p."""
    for i in range(len(out)):
        out[i] = (weight - scale * leaving[i]) * p[i]


@compiled
def add(rate: Any, scale: float, p: Any, out: Any) -> None:
    """Add scale · rate · p; a loop of its own, because only short ones become vectors."""
    for i in range(len(out)):
        out[i] += scale * rate[i] * p[i]


@compiled
def combine(p: Any, first: Any, second: Any, out: Any) -> None:
    """Fill ``out`` with p + 2 · first + second."""
    for i in range(len(out)):
        out[i] = p[i] + 2.0 * first[i] + second[i]


@compiled
def factor(up_rate: Any, down_rate: Any, c: float, low: Any, inverse: Any, up: Any) -> None:
    """Fill the factors of 1 − c A along the middle axis of arrays (outer, n, inner) from the rates to the next and to the previous cell."""
    outer, n, _ = up_rate.shape
    for o in range(outer):
        for i in range(n):
            before = max(i - 1, 0)  # the rate from the first cell to the one before is zero
            pivot(up_rate[o, i], down_rate[o, i], c, low[o, before], inverse[o, i])
            multiply(up_rate[o, i], c, inverse[o, i], low[o, i])
            multiply(down_rate[o, i], c, inverse[o, before], up[o, before])


@compiled
def pivot(up_rate: Any, down_rate: Any, c: float, low: Any, inverse: Any) -> None:
    """Fill one over the pivots of one row of lines."""
    for j in range(len(inverse)):
        inverse[j] = 1.0 / (1.0 + c * (up_rate[j] + down_rate[j] * (1.0 - low[j])))


@compiled
def multiply(rate: Any, c: float, inverse: Any, out: Any) -> None:
    """Fill ``out`` with c · rate · inverse."""
    for j in range(len(out)):
        out[j] = c * rate[j] * inverse[j]


@compiled
def eliminate(x: Any, low: Any, inverse: Any, up: Any, span: tuple[int, int]) -> None:
    """Solve along the middle axis of arrays (outer, n, inner), in place, for the columns of the span."""
    a, b = span
    outer, n, _ = x.shape
    for o in range(outer):
        for i in range(1, n):
            forward(x[o, i - 1, a:b], low[o, i - 1, a:b], x[o, i, a:b])
        scale(inverse[o, n - 1, a:b], x[o, n - 1, a:b])
        for i in range(n - 2, -1, -1):
            backward(x[o, i + 1, a:b], inverse[o, i, a:b], up[o, i, a:b], x[o, i, a:b])


@compiled
def eliminate_lanes(x: Any, low: Any, inverse: Any, up: Any, span: tuple[int, int]) -> None:
    """Solve along the last axis of x (lines, n), in place, for the groups of the span; factors (groups, n · LANES)."""
    lines, n = x.shape
    line = np.zeros(n * LANES)
    for g in range(*span):
        count = min(LANES, lines - g * LANES)
        for k in range(count):
            for j in range(n):
                line[j * LANES + k] = x[g * LANES + k, j]
        recur(line, low[g], inverse[g], up[g])
        for k in range(count):
            for j in range(n):
                x[g * LANES + k, j] = line[j * LANES + k]


@compiled
def recur(line: Any, low: Any, inverse: Any, up: Any) -> None:
    """The elimination of lines side by side, in place."""
    size = len(line)
    for q in range(LANES, size):
        line[q] += low[q - LANES] * line[q - LANES]
    for q in range(size - LANES, size):
        line[q] *= inverse[q]
    for q in range(size - LANES - 1, -1, -1):
        line[q] = inverse[q] * line[q] + up[q] * line[q + LANES]


@compiled
def forward(before: Any, low: Any, x: Any) -> None:
    """One row of the forward elimination, in place."""
    for j in range(len(x)):
        x[j] += low[j] * before[j]


@compiled
def scale(inverse: Any, x: Any) -> None:
    """The last row: divide by its pivots, in place."""
    for j in range(len(x)):
        x[j] *= inverse[j]


@compiled
def backward(after: Any, inverse: Any, up: Any, x: Any) -> None:
    """One row of the backward elimination, in place."""
    for j in range(len(x)):
        x[j] = inverse[j] * x[j] + up[j] * after[j]
