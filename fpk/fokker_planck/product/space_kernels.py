r"""Whole stages y ← a v + s A p + m p + b y in space, and with Aᵀ: what :mod:`central` runs.

States are framed and their planes flat: shape (n₁ + 2 REACH, (n₂ + 2 REACH)(n₃ + 2 REACH)). Weights w belong to D₃₃ δ₃, S₃ f₃, 2 D₂₃ S₂ S₃, S₂ f₂,
2 D₁₃ S₁ S₃, S₁ f₁, D₂₂ δ₂, 2 D₁₂ S₁ S₂ and D₁₁ δ₁: products of inverse cell widths, times D where it is uniform. Planes start ... stop are written.
"""

from __future__ import annotations

from fpk.fokker_planck.product.differences import (
    CENTRE,
    FIRST,
    REACH,
    ROUND,
    SECOND,
    across,
    along,
    along_once,
    compiled,
    complete,
    inlined,
    multiplied,
    read_along,
    wrapped,
)
from fpk.instructions import prefer_wide_vectors
from fpk.laws import Array


@inlined
def _added_across(plane: Array, row: int, weight: float, q: Array) -> None:
    """q ← q + weight S(plane), at one row of a framed plane."""
    for j in range(len(q) - 2 * REACH):
        c = j + REACH
        cross = 0.0
        for k in range(REACH):
            cross += FIRST[k] * (plane[row + 1 + k, c] - plane[row - 1 - k, c])
        q[c] += weight * cross


@compiled
def _entered(p: Array, f: Array, m: int, w: Array, q: Array, r: Array, inner: Array, flux: Array) -> None:
    """The framed plane p, number m, with uniform D: r gets all differences within the plane, q what S₁ acts on."""
    prefer_wide_vectors()  # type: ignore[call-arg]
    for i in range(-REACH, f.shape[2] + REACH):
        at = (i + ROUND) % ROUND
        if 0 <= i < f.shape[2]:
            row = p[i + REACH]
            multiplied(f[2, m, i], row, flux)
            along(row, row, row, flux, f[1, m, i], w, inner[0, at], inner[1, at])
            along_once(row, row, f[0, m, i], w[4], w[5], q[i + REACH])
        else:
            inner[0, at] = 0.0
        if i >= REACH:
            across(inner[0], inner[1], wrapped(at + ROUND - REACH, ROUND), p, i, w[6], r[i])
            _added_across(p, i, w[7], q[i])


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
    n2, n3 = f.shape[2] + 2 * REACH, f.shape[3] + 2 * REACH
    q, r, inner = rings[0], rings[1], rows[: 2 * ROUND].reshape(2, ROUND, n3)
    for i in range(start - REACH, stop + REACH):
        at = (i + ROUND) % ROUND
        if 0 <= i < f.shape[1]:
            plane = p[i + REACH].reshape(n2, n3)
            _entered(plane, f, i, w, q[at].reshape(n2, n3), r[at].reshape(n2, n3), inner, rows[2 * ROUND])
        else:
            q[at] = 0.0
        before = wrapped(at + ROUND - REACH - 1, ROUND)
        complete(q, r, before, p, i - 1, w[8], mix, p, v, y, i, (start, stop))


@compiled
def _entered_varying(
    p: Array,
    f: Array,
    D: Array,
    m: int,
    w: Array,
    q: Array,
    r: Array,
    curved: Array,
    planes: Array,
    inner: Array,
    rows: Array,
) -> None:
    """The framed plane p, number m, with varying D: r and q as with uniform D, and curved ← D₁₁ p."""
    prefer_wide_vectors()  # type: ignore[call-arg]
    flux, second, cross, once = rows[0], rows[1], rows[2], rows[3]
    for i in range(f.shape[2]):
        multiplied(D[0, m, i], p[i + REACH], curved[i + REACH])
        multiplied(D[1, m, i], p[i + REACH], planes[0, i + REACH])
        multiplied(D[3, m, i], p[i + REACH], planes[1, i + REACH])
    for i in range(-REACH, f.shape[2] + REACH):
        at = (i + ROUND) % ROUND
        if 0 <= i < f.shape[2]:
            row = p[i + REACH]
            multiplied(f[2, m, i], row, flux)
            multiplied(D[5, m, i], row, second)
            multiplied(D[4, m, i], row, cross)
            multiplied(D[2, m, i], row, once)
            along(row, second, cross, flux, f[1, m, i], w, inner[0, at], inner[1, at])
            along_once(row, once, f[0, m, i], w[4], w[5], q[i + REACH])
        else:
            inner[0, at] = 0.0
        if i >= REACH:
            across(inner[0], inner[1], wrapped(at + ROUND - REACH, ROUND), planes[1], i, w[6], r[i])
            _added_across(planes[0], i, w[7], q[i])


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
    """With D as (6, n₁, n₂, n₃)."""
    prefer_wide_vectors()  # type: ignore[call-arg]
    n2, n3 = f.shape[2] + 2 * REACH, f.shape[3] + 2 * REACH
    q, r, curved, planes = rings[0], rings[1], rings[2], rings[3, :2].reshape(2, n2, n3)
    inner, rest = rows[: 2 * ROUND].reshape(2, ROUND, n3), rows[2 * ROUND :]
    for i in range(start - REACH, stop + REACH):
        at = (i + ROUND) % ROUND
        if 0 <= i < f.shape[1]:
            into = q[at].reshape(n2, n3), r[at].reshape(n2, n3), curved[at].reshape(n2, n3)
            _entered_varying(p[i + REACH].reshape(n2, n3), f, D, i, w, *into, planes, inner, rest)
        else:
            q[at] = 0.0
            curved[at] = 0.0
        before = wrapped(at + ROUND - REACH - 1, ROUND)
        complete(q, r, before, curved, before, w[8], mix, p, v, y, i, (start, stop))


@inlined
def _read_within(
    u: Array, s: Array, row: int, f: Array, D: Array, crossing: Array, w: Array, q: Array, r: Array
) -> None:
    """q ← S₂ u and r ← r + w₃ f S₂ u + w₆ D δ₂ u + w₂ crossing S₂ s at one row of a framed plane, with s = S₃ u."""
    for j in range(len(f)):
        c = j + REACH
        second, first, cross = CENTRE * u[row, c], 0.0, 0.0
        for k in range(REACH):
            below, above = row - 1 - k, row + 1 + k
            first += FIRST[k] * (u[above, c] - u[below, c])
            second += SECOND[k] * (u[above, c] + u[below, c])
            cross += FIRST[k] * (s[above, c] - s[below, c])
        q[c] = first
        r[c] += w[3] * f[j] * first + w[6] * D[j] * second + w[2] * crossing[j] * cross


@compiled
def _read_plane(u: Array, f: Array, D: Array, m: int, w: Array, q: Array, s: Array, r: Array) -> None:
    """The framed plane u, number m: q ← S₂ u, s ← S₃ u, and r gets all terms without S₁ and δ₁."""
    prefer_wide_vectors()  # type: ignore[call-arg]
    stride = 1 if D.shape[1] > 1 else 0
    for i in range(f.shape[2]):
        row = i + REACH
        read_along(u[row], f[2, m, i], D[5, m * stride, i * stride], w, s[row], r[row])
    for i in range(f.shape[2]):
        row, of, at = i + REACH, m * stride, i * stride
        _read_within(u, s, row, f[1, m, i], D[3, of, at], D[4, of, at], w, q[row], r[row])


@inlined
def _read_across(
    rings: Array,
    at: int,
    start: int,
    u: Array,
    plane: int,
    f: Array,
    D: tuple[Array, Array, Array],
    w: Array,
    mix: Array,
    v: Array,
    y: Array,
) -> None:
    """The stage of one row that begins at ``start`` of a plane; D holds the rows of D₁₁, D₁₂ and D₁₃."""
    q, s, r = rings[0], rings[1], rings[2]
    straight, crossing, oblique = D
    for j in range(len(f)):
        c = start + j
        second, first, crossed, once = CENTRE * u[plane, c], 0.0, 0.0, 0.0
        for k in range(REACH):
            below, above = wrapped(at + ROUND - 1 - k, ROUND), wrapped(at + 1 + k, ROUND)
            first += FIRST[k] * (u[plane + 1 + k, c] - u[plane - 1 - k, c])
            second += SECOND[k] * (u[plane + 1 + k, c] + u[plane - 1 - k, c])
            crossed += FIRST[k] * (q[above, c] - q[below, c])
            once += FIRST[k] * (s[above, c] - s[below, c])
        total = r[at, c] + w[5] * f[j] * first + w[8] * straight[j] * second
        total += w[7] * crossing[j] * crossed + w[4] * oblique[j] * once
        y[c] = mix[0] * v[c] + mix[1] * total + mix[2] * u[plane, c] + mix[3] * y[c]


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
    """With Aᵀ; D as (6, n₁, n₂, n₃), or (6, 1, 1, n₃) where it is the same everywhere."""
    prefer_wide_vectors()  # type: ignore[call-arg]
    n2, n3 = f.shape[2] + 2 * REACH, f.shape[3] + 2 * REACH
    stride = 1 if D.shape[1] > 1 else 0
    for i in range(start - REACH, stop + REACH):
        at = (i + ROUND) % ROUND
        if 0 <= i < f.shape[1]:
            q, s, r = rings[0, at], rings[1, at], rings[2, at]
            plane, into = u[i + REACH].reshape(n2, n3), (q.reshape(n2, n3), s.reshape(n2, n3), r.reshape(n2, n3))
            _read_plane(plane, f, D, i, w, *into)
        else:
            rings[0, at] = 0.0
            rings[1, at] = 0.0
        if i - REACH >= start:
            m, leaving = i - REACH, wrapped(at + ROUND - REACH, ROUND)
            for j in range(f.shape[2]):
                begin, of = (j + REACH) * n3 + REACH, j * stride
                tensor = D[0, m * stride, of], D[1, m * stride, of], D[2, m * stride, of]
                _read_across(rings, leaving, begin, u, i, f[0, m, j], tensor, w, mix, v[i], y[i])
