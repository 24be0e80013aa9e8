"""Compiled loops of alternating directions: the operator on flattened grids, and tridiagonal eliminations along their axes.

Arrays in, arrays out. An elimination of (1 + leaving) x − (what arrives from both neighbours) = r is x = (1 − up)⁻¹ · inverse · (1 − low)⁻¹ r with
bidiagonal factors: ``low`` and ``up`` are stored at the lower cell of each pair. They change places in the transposed elimination. Lines along the
last axis are taken :data:`LANES` at a time, in a buffer where they lie side by side, right after the operator has been applied to them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit  # type: ignore[import-untyped]

from fpk.fokker_planck.product._registers import TILE, add_tile, scale_tile, turn_tile
from fpk.instructions import prefer_wide_vectors

compiled = njit(cache=True, error_model="numpy", fastmath={"contract"}, nogil=True)
#: Lines along the last axis that are eliminated together: two registers, so that one works while the other waits.
LANES = 16
#: Cells handled together by the operator: the result stays in the first-level cache.
BLOCK = 1024


@compiled
def apply(
    p: Any, weights: tuple[float, float], rates: Any, strides: Any, pairs: Any, span: tuple[int, int], out: Any
) -> None:
    """Fill ``out`` with weights[0] · p + weights[1] · A p in the span.

    Arrays over the cells, of shape (n,), begin and end with cells that are none: rates and p are 0 there, and the span leaves them out. ``rates`` are
    rows to the next and to the previous cell along each axis, then one row to the corners of each of the ``pairs`` of axes.
    """
    d = len(strides)
    for a in range(span[0], span[1], BLOCK):
        b = min(a + BLOCK, span[1])
        apply_plane(p, weights, rates[2 * d - 4 :], strides[d - 2], a, b, out[a:b])
        for k in range(d - 2):
            s, up, down = strides[k], rates[2 * k], rates[2 * k + 1]
            exchange(
                weights[1], up[a - s : b - s], p[a - s : b - s], down[a + s : b + s], p[a + s : b + s],
                up[a:b], down[a:b], p[a:b], out[a:b],
            )  # fmt: skip
        for k in range(len(pairs) - 1):
            s, t, to = strides[pairs[k, 0]], strides[pairs[k, 1]], rates[2 * d + k]
            cross(
                weights[1], to[a - s - t : b - s - t], p[a - s - t : b - s - t], to[a + s + t : b + s + t], p[a + s + t : b + s + t],
                to[a - s + t : b - s + t], p[a - s + t : b - s + t], to[a + s - t : b + s - t], p[a + s - t : b + s - t], out[a:b],
            )  # fmt: skip


@compiled
def apply_transposed(
    p: Any, weights: tuple[float, float], rates: Any, strides: Any, pairs: Any, span: tuple[int, int], out: Any
) -> None:
    """As :func:`apply` with the transpose of A."""
    for a in range(span[0], span[1], BLOCK):
        b = min(a + BLOCK, span[1])
        weigh(weights[0], p[a:b], out[a:b])
        for k in range(len(strides)):
            s = strides[k]
            climb(
                weights[1],
                rates[2 * k, a:b],
                p[a + s : b + s],
                rates[2 * k + 1, a:b],
                p[a - s : b - s],
                p[a:b],
                out[a:b],
            )
        for k in range(len(pairs)):
            s, t = strides[pairs[k, 0]], strides[pairs[k, 1]]
            twist(
                weights[1], rates[2 * len(strides) + k, a:b], p[a + s + t : b + s + t], p[a - s - t : b - s - t],
                p[a + s - t : b + s - t], p[a - s + t : b - s + t], out[a:b],
            )  # fmt: skip


# Loops over arrays that begin where their numbers are needed, and no more of them than compilers tell apart, become vectors.


@compiled
def weigh(weight: float, p: Any, out: Any) -> None:
    """Fill ``out`` with weight · p."""
    for i in range(len(out)):
        out[i] = weight * p[i]


@compiled
def apply_plane(p: Any, weights: tuple[float, float], rates: Any, s: int, a: int, b: int, out: Any) -> None:
    """Fill ``out``, cells a to b, with the terms of the last two axes, of strides s and 1: ``rates`` begin with theirs and end with the corners."""
    prefer_wide_vectors()  # type: ignore[call-arg]
    here, below, above = p[a - 1 : b + 1], p[a - s - 1 : b - s + 1], p[a + s - 1 : b + s + 1]
    up, from_below, down, from_above = rates[0, a:b], rates[0, a - s : b - s], rates[1, a:b], rates[1, a + s : b + s]
    right, left = rates[2, a - 1 : b], rates[3, a : b + 1]
    under, over = rates[-1, a - s - 1 : b - s + 1], rates[-1, a + s - 1 : b + s + 1]
    for i in range(len(out)):
        leaving = (up[i] + down[i]) + (right[i + 1] + left[i])
        arriving = from_below[i] * below[i + 1] + from_above[i] * above[i + 1]
        arriving += right[i] * here[i] + left[i + 1] * here[i + 2]
        corners = under[i] * below[i] + over[i + 2] * above[i + 2] - (under[i + 2] * below[i + 2] + over[i] * above[i])
        out[i] = weights[0] * here[i + 1] + weights[1] * (arriving + corners - leaving * here[i + 1])


@compiled
def exchange(
    c: float, from_below: Any, below: Any, from_above: Any, above: Any, up: Any, down: Any, p: Any, out: Any
) -> None:
    """Add what arrives from both neighbours along an axis and take off what leaves, c times."""
    for i in range(len(out)):
        out[i] += c * (from_below[i] * below[i] + from_above[i] * above[i] - (up[i] + down[i]) * p[i])


@compiled
def cross(c: float, r1: Any, p1: Any, r2: Any, p2: Any, r3: Any, p3: Any, r4: Any, p4: Any, out: Any) -> None:
    """Add the four corners of a cross difference, c times."""
    for i in range(len(out)):
        out[i] += c * ((r1[i] * p1[i] + r2[i] * p2[i]) - (r3[i] * p3[i] + r4[i] * p4[i]))


@compiled
def climb(c: float, up: Any, above: Any, down: Any, below: Any, p: Any, out: Any) -> None:
    """Add the mean change of p by steps to both neighbours, c times."""
    for i in range(len(out)):
        out[i] += c * (up[i] * (above[i] - p[i]) + down[i] * (below[i] - p[i]))


@compiled
def twist(c: float, rate: Any, p1: Any, p2: Any, p3: Any, p4: Any, out: Any) -> None:
    """Add rate times the cross difference of p, c times."""
    for i in range(len(out)):
        out[i] += c * rate[i] * ((p1[i] + p2[i]) - (p3[i] + p4[i]))


@compiled
def advance(p: Any, first: Any, second: Any) -> None:
    """Add 2 · first + second to p, in place."""
    for i in range(len(p)):
        p[i] += 2.0 * first[i] + second[i]


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
    """Solve along the middle axis of x, flat, in place, for the columns of the span; factors (outer, n, inner)."""
    outer, n, inner = low.shape
    factors = low.ravel(), inverse.ravel(), up.ravel()
    for o in range(outer):
        at = o * n * inner + span[0]
        recur(x, at, factors[0], factors[1], factors[2], at, n, inner, span[1] - span[0])


@compiled
def eliminate_group(x: Any, g: int, line: Any, low: Any, inverse: Any, up: Any) -> None:
    """Solve along the lines of group g of the last axis of x, flat, in place; factors (groups, n · LANES), and room for the lines in ``line``."""
    n = low.shape[1] // LANES
    first, count = g * LANES * n, min(LANES, len(x) // n - g * LANES)
    whole = n - n % TILE if count == LANES else 0
    for j in range(0, whole, TILE):
        for k in range(0, LANES, TILE):
            turn_tile(x, first + k * n + j, n, line, j * LANES + k, LANES)  # type: ignore[call-arg]
    for j in range(whole, n):
        for k in range(count):
            line[j * LANES + k] = x[first + k * n + j]
    recur(line, 0, low.ravel(), inverse.ravel(), up.ravel(), g * n * LANES, n, LANES, LANES)
    for j in range(0, whole, TILE):
        for k in range(0, LANES, TILE):
            turn_tile(line, j * LANES + k, LANES, x, first + k * n + j, n)  # type: ignore[call-arg]
    for j in range(whole, n):
        for k in range(count):
            x[first + k * n + j] = line[j * LANES + k]


@compiled
def eliminate_lanes(x: Any, low: Any, inverse: Any, up: Any, span: tuple[int, int]) -> None:
    """Solve along the last axis, for the groups of lines in the span."""
    line = np.zeros(low.shape[1])
    for g in range(*span):
        eliminate_group(x, g, line, low, inverse, up)


@compiled
def along_last(
    p: Any,
    weights: tuple[float, float],
    operator: tuple[Any, Any, Any],
    last: tuple[Any, Any, Any],
    span: tuple[int, int],
    out: Any,
) -> None:
    """Fill ``out`` with weights[0] · p + weights[1] · A p, and solve along the last axis, for the groups of lines in the span."""
    rates, strides, pairs = operator
    low, inverse, up = last
    margin, line = strides[0] + strides[1], np.empty(low.shape[1])
    x = out[margin : len(out) - margin]
    for g in range(*span):
        a, b = g * len(line), min((g + 1) * len(line), len(x))
        apply(p, weights, rates, strides, pairs, (a + margin, b + margin), out)
        eliminate_group(x, g, line, low, inverse, up)


@compiled
def recur(x: Any, at: int, low: Any, inverse: Any, up: Any, of: int, n: int, stride: int, width: int) -> None:
    """Solve along n rows of so many numbers, in place, that lie ``stride`` apart from x[at] and low[of] on."""
    whole = width - width % TILE
    for i in range(1, n):
        a, b = at + i * stride, of + (i - 1) * stride
        for j in range(0, whole, TILE):
            add_tile(x, a + j, a - stride + j, low, b + j)  # type: ignore[call-arg]
        for j in range(whole, width):
            x[a + j] += low[b + j] * x[a - stride + j]
    for j in range(width):
        x[at + (n - 1) * stride + j] *= inverse[of + (n - 1) * stride + j]
    for i in range(n - 2, -1, -1):
        a, b = at + i * stride, of + i * stride
        for j in range(0, whole, TILE):
            scale_tile(x, a + j, inverse, b + j)  # type: ignore[call-arg]
            add_tile(x, a + j, a + stride + j, up, b + j)  # type: ignore[call-arg]
        for j in range(whole, width):
            x[a + j] = inverse[b + j] * x[a + j] + up[b + j] * x[a + stride + j]


@compiled
def march(rooms: Any, count: int, step: float, operator: tuple[Any, Any, Any], middle: Any, last: Any) -> None:
    """Take ``count`` steps of one length in place: ``rooms`` holds the state, between zeros, and two of its size to work in."""
    state, first, second = rooms[0], rooms[1], rooms[2]
    for _ in range(count):
        stage(state, (0.0, step), operator, middle, last, first)
        stage(first, (-1.0, step / 2), operator, middle, last, second)
        advance(state, first, second)


@compiled
def stage(
    p: Any, weights: tuple[float, float], operator: tuple[Any, Any, Any], middle: Any, last: Any, out: Any
) -> None:
    """Fill ``out`` with P⁻¹ (weights[0] · p + weights[1] · A p): eliminations along the last axis, then along the ``middle`` ones in order."""
    along_last(p, weights, operator, last, (0, len(last[0])), out)
    margin = operator[1][0] + operator[1][1]
    for low, inverse, up in middle:
        eliminate(out[margin : len(out) - margin], low, inverse, up, (0, low.shape[2]))
