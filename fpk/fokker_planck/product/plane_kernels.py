r"""Whole stages y ← a v + s A p + m p + b y in the plane, and with Aᵀ: what :mod:`central` runs.

Weights w belong to D₂₂ δ₂, S₂ f₂, 2 D₁₂ S₁ S₂, S₁ f₁ and D₁₁ δ₁: products of inverse cell widths, times D where it is uniform. Rows start ... stop
are written, any rows read.
"""

from __future__ import annotations

from fpk.fokker_planck.product.differences import (
    CENTRE,
    FIRST,
    REACH,
    ROUND,
    SECOND,
    along,
    compiled,
    complete,
    inlined,
    multiplied,
    read_along,
    wrapped,
)
from fpk.instructions import prefer_wide_vectors
from fpk.laws import Array


@compiled
def uniform_stage(
    p: Array,
    f: Array,
    D: Array,
    w: Array,
    mix: Array,
    v: Array,
    y: Array,
    rings: Array,
    rows: Array,
    start: int,
    stop: int,
) -> None:
    """With one D for all cells, which is in the weights."""
    prefer_wide_vectors()  # type: ignore[call-arg]
    q, r, flux = rings[0], rings[1], rows[0]
    for i in range(start - REACH, stop + REACH):
        at = (i + ROUND) % ROUND
        if 0 <= i < f.shape[1]:
            row = p[i + REACH]
            multiplied(f[1, i], row, flux)
            along(row, row, row, flux, f[0, i], w, q[at], r[at])
        else:
            q[at] = 0.0
        before = wrapped(at + ROUND - REACH - 1, ROUND)
        complete(q, r, before, p, i - 1, w[4], mix, p, v, y, i, (start, stop))


@compiled
def varying_stage(
    p: Array,
    f: Array,
    D: Array,
    w: Array,
    mix: Array,
    v: Array,
    y: Array,
    rings: Array,
    rows: Array,
    start: int,
    stop: int,
) -> None:
    """With D as (3, n₁, n₂)."""
    prefer_wide_vectors()  # type: ignore[call-arg]
    q, r, curved = rings[0], rings[1], rings[2]
    flux, second, cross = rows[0], rows[1], rows[2]
    for i in range(start - REACH, stop + REACH):
        at = (i + ROUND) % ROUND
        if 0 <= i < f.shape[1]:
            row = p[i + REACH]
            multiplied(f[1, i], row, flux)
            multiplied(D[2, i], row, second)
            multiplied(D[1, i], row, cross)
            multiplied(D[0, i], row, curved[at])
            along(row, second, cross, flux, f[0, i], w, q[at], r[at])
        else:
            q[at] = 0.0
            curved[at] = 0.0
        before = wrapped(at + ROUND - REACH - 1, ROUND)
        complete(q, r, before, curved, before, w[4], mix, p, v, y, i, (start, stop))


@inlined
def _read_across(
    q: Array,
    r: Array,
    at: int,
    u: Array,
    row: int,
    f: Array,
    D: Array,
    crossing: Array,
    w: Array,
    mix: Array,
    v: Array,
    y: Array,
) -> None:
    """The stage of one row: y ← a v + s (r + w₃ f S u + w₄ D δ u + w₂ crossing S q) + m u + b y."""
    for j in range(len(f)):
        c = j + REACH
        second, first, cross = CENTRE * u[row, c], 0.0, 0.0
        for k in range(REACH):
            below, above = wrapped(at + ROUND - 1 - k, ROUND), wrapped(at + 1 + k, ROUND)
            first += FIRST[k] * (u[row + 1 + k, c] - u[row - 1 - k, c])
            second += SECOND[k] * (u[row + 1 + k, c] + u[row - 1 - k, c])
            cross += FIRST[k] * (q[above, c] - q[below, c])
        total = r[at, c] + w[3] * f[j] * first + w[4] * D[j] * second + w[2] * crossing[j] * cross
        y[c] = mix[0] * v[c] + mix[1] * total + mix[2] * u[row, c] + mix[3] * y[c]


@compiled
def transposed_stage(
    u: Array,
    f: Array,
    D: Array,
    w: Array,
    mix: Array,
    v: Array,
    y: Array,
    rings: Array,
    rows: Array,
    start: int,
    stop: int,
) -> None:
    """With Aᵀ; D as (3, n₁, n₂), or (3, 1, n₂) where it is the same in all rows."""
    prefer_wide_vectors()  # type: ignore[call-arg]
    q, r = rings[0], rings[1]
    stride = 1 if D.shape[1] > 1 else 0
    for i in range(start - REACH, stop + REACH):
        at = (i + ROUND) % ROUND
        if 0 <= i < f.shape[1]:
            read_along(u[i + REACH], f[1, i], D[2, i * stride], w, q[at], r[at])
        else:
            q[at] = 0.0
        m = i - REACH
        if m >= start:
            of, leaving = m * stride, wrapped(at + ROUND - REACH, ROUND)
            _read_across(q, r, leaving, u, i, f[0, m], D[0, of], D[1, of], w, mix, v[i], y[i])
