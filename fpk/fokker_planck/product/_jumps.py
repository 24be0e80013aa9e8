"""Compiled loops of the positive scheme: shares of the drift, exponentially fitted rates, one step of the walk. Arrays in, arrays out.

A grid is one line of cells here, and an offset a stride of it; edges that would leave the box have rate 0, so that what they reach does not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit  # type: ignore[import-untyped]

compiled = njit(cache=True, error_model="numpy", fastmath={"contract"}, nogil=True)
#: Cells handled together: the state and the result stay in the first-level cache.
BLOCK = 1024


@compiled
def solve(M: Any, f: Any, out: Any) -> None:
    """Fill ``out`` (d, n) with M⁻¹ f by Cholesky elimination; M (n, d, d) and f (d, n)."""
    d, n = f.shape
    low, y = np.zeros((d, d)), np.zeros(d)
    for i in range(n):
        for a in range(d):
            for b in range(a + 1):
                rest = M[i, a, b]
                for m in range(b):
                    rest -= low[a, m] * low[b, m]
                low[a, b] = np.sqrt(rest) if a == b else rest / low[b, b]
        for a in range(d):
            y[a] = f[a, i]
            for m in range(a):
                y[a] -= low[a, m] * y[m]
            y[a] /= low[a, a]
        for a in range(d - 1, -1, -1):
            for m in range(a + 1, d):
                y[a] -= low[m, a] * y[m]
            y[a] /= low[a, a]
            out[a, i] = y[a]


@compiled
def fit(climb: Any, up: Any, down: Any) -> None:
    """Multiply the rates over edges, all of shape (n,), by B(−climb) and B(climb), B(z) = z/(eᶻ − 1): in place."""
    for i in range(len(climb)):
        size = abs(climb[i])
        small = size / np.expm1(size) if size > 1e-300 else 1.0
        up[i] *= small + max(climb[i], 0.0)
        down[i] *= small + max(-climb[i], 0.0)


@compiled
def walk(y: Any, p: Any, weight: float, scale: float, rates: tuple[Any, Any, Any, Any], out: Any) -> None:
    """Fill ``out`` with y + scale · A y + weight · p, all of shape (n,); ``rates`` are strides (k,), up and down (k, n), leaving (n,).

    Up and down the other way round give the transpose.
    """
    strides, up, down, leaving = rates
    n = len(y)
    for a in range(0, n, BLOCK):
        b = min(a + BLOCK, n)
        stay(y[a:b], p[a:b], weight, scale, leaving[a:b], out[a:b])
        for k in range(len(strides)):
            s = strides[k]
            first, last = max(a, s), min(b, n - s)
            if first < b:
                arrive(up[k, first - s : b - s], scale, y[first - s : b - s], out[first:b])
            if a < last:
                arrive(down[k, a:last], scale, y[a + s : last + s], out[a:last])


@compiled
def stay(y: Any, p: Any, weight: float, scale: float, leaving: Any, out: Any) -> None:
    """Fill ``out`` with what does not leave, and the weighted start."""
    for i in range(len(out)):
        out[i] = weight * p[i] + (1.0 - scale * leaving[i]) * y[i]


@compiled
def arrive(rate: Any, scale: float, y: Any, out: Any) -> None:
    """Add what comes over one kind of edge; a loop of its own, because only short ones become vectors."""
    for i in range(len(out)):
        out[i] += scale * rate[i] * y[i]
