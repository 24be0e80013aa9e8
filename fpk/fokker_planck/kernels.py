"""Compiled loops of the fluxes: weights at faces, their divergence, mirrors; and looks at states. Arrays in, arrays out, nothing decided here."""

from __future__ import annotations

import numpy as np
from numba import njit  # type: ignore[import-untyped]

from fpk.laws import Array

compiled = njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nnan", "ninf"})

#: Sixth-order staggered first derivative and interpolation at a face, from the three cells on each side.
SLOPE = np.array([-9.0, 125.0, -2250.0, 2250.0, -125.0, 9.0]) / 1920.0
MEAN = np.array([3.0, -25.0, 150.0, 150.0, -25.0, 3.0]) / 256.0
#: Fourth and fifth differences over the same cells, of unit length: what no cubic sees.
FOURTH = np.array([1.0, -3.0, 2.0, 2.0, -3.0, 1.0]) / 28.0**0.5
FIFTH = np.array([-1.0, 5.0, -10.0, 10.0, -5.0, 1.0]) / 252.0**0.5
GHOSTS = 5
#: Rise of the potential over half a stencil (cell Péclet number 1) up to which, at every face, the spectrum is real.
DIFFUSIVE = 2.5
#: Rise around which the flux passes from differences of Dp e^{−Φ} to central ones.
STEEP = 0.7
#: Weight of the fourth difference against the fifth where Gibbs weights are freed of flux: the fifth damps, the fourth does not.
BEND = 0.02
#: Keeps 0/0 from arising where both differences of the Gibbs weights are round-off, and their flux too.
TINY = 1e-16


@compiled
def well_balanced(f: Array, D: Array, climb: Array, stretch: Array, spacing: float, mirror: int, rows: Array) -> bool:
    """Fill the rows (11, n) of the rate matrix; tells whether its spectrum is real (not proven: seen)."""
    n = len(f)
    weights = np.empty((n + 5, 6))  # at the faces −2 ... n + 2
    odd = 1.0 if mirror == 0 else -1.0
    real = face_weights(
        extended(f, GHOSTS, mirror, odd),
        extended(D, GHOSTS, mirror, 1.0),
        extended(climb, 2 * GHOSTS, mirror, odd),
        stretch,
        spacing,
        weights,
    )
    divergence(weights, spacing, rows)
    if mirror != 0:
        fold(rows, float(mirror))
    return real and mirror != 0


@compiled
def banded_product(rows: Array, p: Array, wraps: bool, out: Array) -> None:
    """Out ← A p for the rows (2w + 1, n) of a banded matrix, rows[w + k, i] = A[i, i + k]; around the ends if it wraps."""
    w, n = len(rows) // 2, len(p)
    for i in range(n):
        out[i] = 0.0
    for k in range(-w, w + 1):
        for i in range(max(-k, 0), n - max(k, 0)):
            out[i] += rows[w + k, i] * p[i + k]
        if wraps:
            for i in range(-k):
                out[i] += rows[w + k, i] * p[i + k + n]
            for i in range(n - max(k, 0), n):
                out[i] += rows[w + k, i] * p[i + k - n]


@compiled
def weighted_norm(climb: Array, D: Array, q: Array) -> float:
    """√(Σ q²/π) / max|q| with the Gibbs weights π = e^Φ/D, largest 1: what an error in that norm may become in one cell."""
    n, level, top, size = len(D), 0.0, -np.inf, 0.0
    for i in range(n):
        level += climb[2 * i]
        top = max(top, level - np.log(D[i]))
        level += climb[2 * i + 1]
        size = max(size, abs(q[i]))
    level, total = 0.0, 0.0
    for i in range(n):
        level += climb[2 * i]
        if q[i] != 0.0:
            total += (q[i] / size) ** 2 * np.exp(min(top - level + np.log(D[i]), 700.0))
        level += climb[2 * i + 1]
    return np.sqrt(total)


@njit(cache=True)  # without fastmath, which takes every number for finite
def rims(densities: Array, widths: Array, rim: int) -> tuple[int, float, float]:
    """The time at which most mass is in the ``rim`` outermost cells at each end, that mass, and the sum of all densities: finite if they are."""
    total, worst, most = 0.0, 0, -1.0
    count, n = densities.shape
    for t in range(count):
        left, right = 0.0, 0.0
        for i in range(rim):
            left += densities[t, i] * widths[i]
            right += densities[t, n - 1 - i] * widths[n - 1 - i]
        if abs(left) + abs(right) > most:
            worst, most = t, abs(left) + abs(right)
        for i in range(n):
            total += densities[t, i]
    return worst, most, total


@compiled
def extended(values: Array, ghosts: int, mirror: int, sign: float) -> Array:
    """Continue beyond both ends: mirrored, times ``sign``, or wrapped around where ``mirror`` is 0."""
    n = len(values)
    out = np.empty(n + 2 * ghosts)
    for i in range(n):
        out[ghosts + i] = values[i]
    for i in range(ghosts):
        out[ghosts - 1 - i] = values[n - 1 - i] if mirror == 0 else sign * values[i]
        out[ghosts + n + i] = values[i] if mirror == 0 else sign * values[n - 1 - i]
    return out


@compiled
def face_weights(f: Array, D: Array, climb: Array, stretch: Array, spacing: float, weights: Array) -> bool:
    """Fill ``weights`` (faces, 6) of the flux; tells whether diffusion rules at every face."""
    gibbs, steepest = np.empty(6), 0.0
    for i in range(len(weights)):
        scale = 1.0 / (spacing * stretch[_mirrored(i - 2, len(stretch) - 1)])
        rise = _rises(climb, 2 * i + 1, gibbs)
        steepest = max(steepest, rise)
        share = 1.0 / (1.0 + (rise / STEEP) ** 4)
        top = gibbs[0]
        for j in range(6):
            top = max(top, gibbs[j])
            weights[i, j] = (1.0 - share) * MEAN[j] * f[i + j] - scale * SLOPE[j] * D[i + j] * np.exp(-share * gibbs[j])
        for j in range(6):
            gibbs[j] = np.exp(gibbs[j] - top) / D[i + j] * D[i + 2]
        _free_of_flux(gibbs, weights, i)
    return steepest <= DIFFUSIVE


@compiled
def _free_of_flux(gibbs: Array, weights: Array, i: int) -> None:
    """Subtract the smallest multiples of the fifth and fourth differences that leave Gibbs weights without flux."""
    flux, fourth, fifth, size = 0.0, 0.0, 0.0, 0.0
    for j in range(6):
        flux += weights[i, j] * gibbs[j]
        fourth += FOURTH[j] * gibbs[j]
        fifth += FIFTH[j] * gibbs[j]
        size += gibbs[j] * gibbs[j]
    multiple = flux / (BEND * fourth * fourth + fifth * fifth + TINY * size)
    for j in range(6):
        weights[i, j] -= multiple * (BEND * fourth * FOURTH[j] + fifth * FIFTH[j])


@compiled
def _mirrored(i: int, last: int) -> int:
    """The index among 0 ... last that i is, or is the mirror image of."""
    return -i if i < 0 else (2 * last - i if i > last else i)


@compiled
def _rises(climb: Array, first: int, rises: Array) -> float:
    """Fill Φ at six cells, 0 at the face in their middle, from the climbs over ten half cells; its largest size."""
    left, right = 0.0, 0.0
    for j in range(3):
        left += climb[first + 4 - 2 * j]
        right += climb[first + 5 + 2 * j]
        rises[2 - j], rises[3 + j] = -left, right
        left += climb[first + 3 - 2 * j] if j < 2 else 0.0
        right += climb[first + 6 + 2 * j] if j < 2 else 0.0
    steepest = 0.0
    for j in range(6):
        steepest = max(steepest, abs(rises[j]))
    return steepest


@compiled
def divergence(weights: Array, spacing: float, rows: Array) -> None:
    """Fill the rows (11, n) of −∂ξ J: sixth-order staggered differences, which telescope."""
    for i in range(rows.shape[1]):
        for m in range(6):
            for j in range(6):
                rows[m + j, i] -= SLOPE[m] / spacing * weights[i + m, j]


@compiled
def fold(rows: Array, sign: float) -> None:
    """Move the columns beyond both ends to their mirror images, times ``sign``, in place."""
    w, n = len(rows) // 2, rows.shape[1]
    for i in range(w):
        for k in range(-w, -i):
            rows[w - 1 - k - 2 * i, i] += sign * rows[w + k, i]
            rows[w + 1 + k + 2 * i, n - 1 - i] += sign * rows[w - k, n - 1 - i]
            rows[w + k, i] = rows[w - k, n - 1 - i] = 0.0
