"""Compiled loops of alternating directions: the operator on flattened grids, and tridiagonal eliminations along their axes.

Arrays in, arrays out. An elimination of (1 + leaving) x − (what arrives from both neighbours) = r is x = (1 − up)⁻¹ · inverse · (1 − low)⁻¹ r with
bidiagonal factors: ``low`` and ``up`` are stored at the lower cell of each pair. They change places in the transposed elimination. Lines along the
last axis are taken :data:`LANES` at a time, in a buffer where they lie side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit  # type: ignore[import-untyped]
from numba.core import types  # type: ignore[import-untyped]
from numba.extending import intrinsic  # type: ignore[import-untyped]

compiled = njit(cache=True, error_model="numpy", fastmath={"contract"}, nogil=True)
#: Numbers that are turned from rows into columns together along each side: one register of doubles.
TILE = 8
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
    for a in range(span[0], span[1], BLOCK):
        b = min(a + BLOCK, span[1])
        weigh(weights[0], p[a:b], out[a:b])
        for k in range(len(strides)):
            s, up, down = strides[k], rates[2 * k], rates[2 * k + 1]
            exchange(
                weights[1], up[a - s : b - s], p[a - s : b - s], down[a + s : b + s], p[a + s : b + s],
                up[a:b], down[a:b], p[a:b], out[a:b],
            )  # fmt: skip
        for k in range(len(pairs)):
            s, t, to = strides[pairs[k, 0]], strides[pairs[k, 1]], rates[2 * len(strides) + k]
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
    """Solve along the middle axis of arrays (outer, n, inner), in place, for the columns of the span."""
    a, b = span
    outer, n, _ = x.shape
    for o in range(outer):
        for i in range(1, n):
            forward(x[o, i - 1, a:b], low[o, i - 1, a:b], x[o, i, a:b])
        scale(inverse[o, n - 1, a:b], x[o, n - 1, a:b])
        for i in range(n - 2, -1, -1):
            backward(x[o, i + 1, a:b], inverse[o, i, a:b], up[o, i, a:b], x[o, i, a:b])


@intrinsic
def turn_tile(typing: Any, source: Any, at: Any, stride: Any, target: Any, to: Any, step: Any) -> Any:
    """target[to + j · step + k] = source[at + k · stride + j] for j, k < TILE, of flat arrays: a tile turned in registers.

    Written as vector instructions, because loops that change rows into columns are compiled number by number.
    """

    def generated(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        one, vector = ir.IntType(32), ir.VectorType(ir.DoubleType(), TILE)

        def places(array: int, start: int, stride: int) -> list[Any]:
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            found = [args[start]]
            for _ in range(TILE - 1):
                found.append(builder.add(found[-1], args[stride]))
            return [builder.bitcast(builder.gep(data, [place]), vector.as_pointer()) for place in found]

        rows = [builder.load(place, align=8) for place in places(0, 1, 2)]
        for width in (1, 2, 4):  # swaps blocks of this width across the diagonal
            low = [k + TILE * (k // width % 2) - width * (k // width % 2) for k in range(TILE)]
            masks = [ir.Constant(ir.VectorType(one, TILE), [k + shift for k in low]) for shift in (0, width)]
            turned = list(rows)
            for k in range(TILE):
                if k // width % 2 == 0:
                    pair = rows[k], rows[k + width]
                    turned[k], turned[k + width] = (builder.shuffle_vector(*pair, mask) for mask in masks)
            rows = turned
        for row, place in zip(rows, places(3, 4, 5), strict=True):
            builder.store(row, place, align=8)
        return context.get_dummy_value()

    return types.void(source, at, stride, target, to, step), generated


@compiled
def eliminate_lanes(x: Any, low: Any, inverse: Any, up: Any, span: tuple[int, int]) -> None:
    """Solve along lines of the last axis of x, flat, in place, for the groups of the span; factors (groups, n · LANES)."""
    n = low.shape[1] // LANES
    lines, tiled = len(x) // n, n - n % TILE
    line = np.zeros(n * LANES)
    for g in range(*span):
        first, count = g * LANES * n, min(LANES, lines - g * LANES)
        whole = tiled if count == LANES else 0
        for j in range(0, whole, TILE):
            for k in range(0, LANES, TILE):
                turn_tile(x, first + k * n + j, n, line, j * LANES + k, LANES)  # type: ignore[call-arg]
        for j in range(whole, n):
            for k in range(count):
                line[j * LANES + k] = x[first + k * n + j]
        recur(line, low[g], inverse[g], up[g])
        for j in range(0, whole, TILE):
            for k in range(0, LANES, TILE):
                turn_tile(line, j * LANES + k, LANES, x, first + k * n + j, n)  # type: ignore[call-arg]
        for j in range(whole, n):
            for k in range(count):
                x[first + k * n + j] = line[j * LANES + k]


@compiled
def stage(
    p: Any,
    weights: tuple[float, float],
    operator: tuple[Any, Any, Any],
    middle: Any,
    last: tuple[Any, Any, Any],
    out: Any,
) -> None:
    """Fill ``out`` with P⁻¹ (weights[0] · p + weights[1] · A p): eliminations along the last axis, then along the ``middle`` ones in order."""
    rates, strides, pairs = operator
    margin = strides[0] + strides[1]
    apply(p, weights, rates, strides, pairs, (margin, len(p) - margin), out)
    x = out[margin : len(p) - margin]
    eliminate_lanes(x, last[0], last[1], last[2], (0, len(last[0])))
    for low, inverse, up in middle:
        eliminate(x.reshape(low.shape), low, inverse, up, (0, low.shape[2]))


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
