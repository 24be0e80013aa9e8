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
def share_out(f: Any, shares: Any, offsets: Any, least: tuple[float, float], out: Any) -> None:
    """Fill ``out`` (d, n) with (Σ_k ω_k e_k e_kᵀ)⁻¹ f: f (d, n), shares ω (k, n), offsets e (k, d).

    The matrix gets least[0] times its trace, and least[1], on its diagonal, so that it has an inverse.
    """
    d, n = f.shape
    M, y = np.zeros((d, d)), np.zeros(d)
    for i in range(n):
        M[:] = 0.0
        for k in range(len(offsets)):
            for a in range(d):
                for b in range(a + 1):
                    M[a, b] += shares[k, i] * offsets[k, a] * offsets[k, b]
        ridge = least[0] * np.trace(M) + least[1]
        for a in range(d):
            M[a, a] += ridge
            y[a] = f[a, i]
        solve(M, y)
        for a in range(d):
            out[a, i] = y[a]


@compiled
def solve(M: Any, y: Any) -> None:
    """Solve M x = y by Cholesky elimination, in place; the lower triangle of M is given."""
    d = len(y)
    for a in range(d):
        for b in range(a):
            for m in range(b):
                M[a, b] -= M[a, m] * M[b, m]
            M[a, b] /= M[b, b]
            M[a, a] -= M[a, b] * M[a, b]
            y[a] -= M[a, b] * y[b]
        M[a, a] = np.sqrt(M[a, a])
        y[a] /= M[a, a]
    for a in range(d - 1, -1, -1):
        for m in range(a + 1, d):
            y[a] -= M[m, a] * y[m]
        y[a] /= M[a, a]


@compiled
def fit(climb: Any, up: Any, down: Any) -> None:
    """Multiply the rates over edges, all of shape (n,), by B(−climb) and B(climb), B(z) = z/(eᶻ − 1): in place."""
    for i in range(len(climb)):
        size = abs(climb[i])
        small = size / np.expm1(size) if size > 1e-300 else 1.0
        up[i] *= small + max(climb[i], 0.0)
        down[i] *= small + max(-climb[i], 0.0)


@compiled
def walk(
    y: Any, p: Any, weight: float, scale: float, rates: tuple[Any, Any, Any, Any], out: Any, span: tuple[int, int]
) -> None:
    """Fill ``out`` with y + scale · A y + weight · p in the span; ``rates`` are strides (k,), up and down (k, n), leaving (n,).

    Up and down the other way round give the transpose.
    """
    strides, up, down, leaving = rates
    for a in range(span[0], span[1], BLOCK):
        b = min(a + BLOCK, span[1])
        stay(y[a:b], p[a:b], weight, scale, leaving[a:b], out[a:b])
        for k in range(len(strides)):
            s = strides[k]
            first, last = max(a, s), min(b, len(y) - s)
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
