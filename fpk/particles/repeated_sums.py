r"""Compiled repetitions: sums of Chebyshev polynomials over samples of the uniform law, or of laws with a density on it.

Sixty-four repetitions advance side by side, each with a generator of its own (xoshiro128++ of Blackman and Vigna 2021, started by SplitMix64
from a key and the number of the repetition), so that a repetition has the same bits in any batch and on any number of threads. A sample is
x = 2u − 1 with u the middle of one of 2²⁴ cells: none meets a threshold (j + ½)/128. Since T_{j+k} = 2 T_j T_k − T_{|j−k|}, each polynomial
is one fused product and sum. Terms are float32, their sums over 256 samples are collected in float64.

Other laws come by rejection: a candidate x is kept with probability p(x) (or exp p(x)), p a polynomial of degree 4 that is at most 1 (or 0).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit  # type: ignore[import-untyped]

from fpk.instructions import prefer_wide_vectors
from fpk.panels import DEGREE, THRESHOLDS
from fpk.particles.elementary import exp, polynomial
from fpk.particles.philox import compiled

#: Repetitions side by side, and samples summed in float32.
LANES, BLOCK = 64, 256
OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": False}
_K = DEGREE
#: Polynomials T_1 ... T_8.
SUMS = 2 * _K
#: Counts between thresholds, and one more for candidates that are turned down.
_BINS = THRESHOLDS + 2
_ONE, _NONE, _CELL = np.float32(1), np.float32(0), np.float32(2.0**-24)
_GOLDEN, _MIX = np.uint64(0x9E3779B97F4A7C15), (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


# -- one step of the generator, one sample -------------------------------------------------------------------------------


@compiled
def _mixed(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> np.uint64(30))) * _MIX[0]
    z = (z ^ (z >> np.uint64(27))) * _MIX[1]
    return z ^ (z >> np.uint64(31))


@compiled
def _rotated(word: np.uint32, left: int) -> np.uint32:
    return np.uint32((word << np.uint32(left)) | (word >> np.uint32(32 - left)))


@compiled
def _drawn(state: np.ndarray, j: int) -> np.uint32:
    """The next word of lane j."""
    a, b, c, d = state[j], state[LANES + j], state[2 * LANES + j], state[3 * LANES + j]
    word = np.uint32(_rotated(np.uint32(a + d), 7) + a)
    shifted = np.uint32(b << np.uint32(9))
    c, d = c ^ a, d ^ b
    state[j], state[LANES + j] = a ^ d, b ^ c
    state[2 * LANES + j], state[3 * LANES + j] = c ^ shifted, _rotated(d, 11)
    return word


@compiled
def _place(cell: np.uint32) -> np.float32:
    """X = 2u − 1 of one of 2²⁴ cells: its middle."""
    return np.float32(np.int32((cell << np.uint32(1)) | np.uint32(1))) * _CELL - _ONE


@compiled
def _chebyshev(x: np.float32) -> tuple[np.float32, ...]:
    """T_1 ... T_8."""
    first = x + x
    t2 = polynomial(first, (-_ONE, x))
    second = t2 + t2
    t3, t4 = polynomial(first, (-x, t2)), polynomial(second, (-_ONE, t2))
    fourth = t4 + t4
    t6, t7 = polynomial(fourth, (-t2, t2)), polynomial(fourth, (-x, t3))
    return x, t2, t3, t4, polynomial(second, (-x, t3)), t6, t7, polynomial(fourth, (-_ONE, t4))


@compiled
def _add(sums: np.ndarray, j: int, t: tuple[np.float32, ...]) -> None:
    for k in range(SUMS):
        sums[k * LANES + j] += t[k]


@compiled
def _count(counts: np.ndarray, bins: np.ndarray) -> None:
    for j in range(LANES):
        counts[bins[j] * LANES + j] += 1


@compiled
def _bin(cell: np.uint32) -> np.int32:
    """How many of the thresholds (j + ½)/128 lie below u."""
    return np.int32((cell + np.uint32(1 << 16)) >> np.uint32(17))


# -- blocks of samples -----------------------------------------------------------------------------------------------------


@njit(**OPTIONS)
def _uniform_block(
    state: np.ndarray, sums: np.ndarray, bins: np.ndarray, counts: np.ndarray, samples: int, gap: bool
) -> None:
    prefer_wide_vectors()
    for _ in range(samples):
        for j in range(LANES):
            cell = _drawn(state, j) >> np.uint32(8)
            if gap:
                bins[j] = _bin(cell)
            _add(sums, j, _chebyshev(_place(cell)))
        if gap:
            _count(counts, bins)


@njit(**OPTIONS)
def _accepted_block(
    state: np.ndarray, sums: np.ndarray, bins: np.ndarray, counts: np.ndarray, missing: np.ndarray, chances: np.ndarray,
    exponential: bool, gap: bool,
) -> None:  # fmt: skip
    prefer_wide_vectors()
    for _ in range(BLOCK):  # never fewer: where sums are rounded must not depend on the other lanes
        for j in range(LANES):
            cell = _drawn(state, j) >> np.uint32(8)
            coin = (np.float64(_drawn(state, j)) + 0.5) * 2.0**-32
            t = _chebyshev(_place(cell))
            p = np.float64(chances[j])
            for k in range(_K):
                p += np.float64(chances[(k + 1) * LANES + j]) * np.float64(t[k])
            kept = (coin < (exp(p) if exponential else p)) & (missing[j] > 0)
            bins[j] = _bin(cell) if kept else np.int32(_BINS - 1)
            missing[j] -= np.int32(1) if kept else np.int32(0)
            for k in range(SUMS):
                sums[k * LANES + j] += t[k] if kept else _NONE
        if gap:
            _count(counts, bins)


# -- repetitions ---------------------------------------------------------------------------------------------------------


@njit(**OPTIONS)
def _start(state: np.ndarray, key: np.uint64, first: int) -> None:
    for j in range(LANES):
        z = key + np.uint64(2 * (first + j)) * _GOLDEN
        low, high = _mixed(z + _GOLDEN), _mixed(z + _GOLDEN + _GOLDEN)
        state[j], state[LANES + j] = np.uint32(low), np.uint32(low >> np.uint64(32))
        state[2 * LANES + j], state[3 * LANES + j] = np.uint32(high), np.uint32(high >> np.uint64(32))


@njit(**OPTIONS)
def _largest_gap(counts: np.ndarray, j: int, n: int) -> float:
    below, worst = 0, 0.0
    for i in range(THRESHOLDS):
        below += counts[i * LANES + j]
        worst = max(worst, abs(below / n - (i + 0.5) / THRESHOLDS))
    return worst


@njit(**OPTIONS)
def repeat(
    key: np.uint64, first: int, n: int, chances: np.ndarray, which: np.ndarray, exponential: bool, out: np.ndarray, gaps: np.ndarray
) -> None:  # fmt: skip
    """Sums and gaps of R repetitions of n samples.

    Parameters
    ----------
    key : uint64
    first, n : int
        Number of the first repetition, and samples in each.
    chances : float32 array, shape (L, K + 1)
        Coefficients of p in T_0 ... T_K, for each of L laws.
    which : int array, shape (R,) or (0,)
        The law of each repetition; empty for uniform samples.
    exponential : bool
        Whether a candidate is kept with probability exp p rather than p.
    out : array, shape (8, R)
        Sums of T_1 ... T_8, filled.
    gaps : array, shape (R,) or (0,)
        max |F_n − F| over the thresholds (j + ½)/128, filled where there is room.
    """
    state, bins = np.empty(4 * LANES, np.uint32), np.empty(LANES, np.int32)
    sums, counts = np.empty(SUMS * LANES, np.float32), np.empty(_BINS * LANES, np.int32)
    lanes, missing = np.zeros((_K + 1) * LANES, np.float32), np.empty(LANES, np.int32)
    gap, repeats = len(gaps) > 0, out.shape[1]
    for begin in range(0, repeats, LANES):
        here = min(LANES, repeats - begin)
        _start(state, key, first + begin)
        counts[:], missing[:], left = 0, n, n
        missing[here:] = 0
        for j in range(here if len(which) else 0):
            for k in range(_K + 1):
                lanes[k * LANES + j] = chances[which[begin + j], k]
        out[:, begin : begin + here] = 0.0
        while left > 0:
            sums[:] = _NONE
            if len(which):
                _accepted_block(state, sums, bins, counts, missing, lanes, exponential, gap)
                left = missing.max()
            else:
                _uniform_block(state, sums, bins, counts, min(left, BLOCK), gap)
                left -= min(left, BLOCK)
            for k in range(SUMS):
                for j in range(here):
                    out[k, begin + j] += sums[k * LANES + j]
        for j in range(here if gap else 0):
            gaps[begin + j] = _largest_gap(counts, j, n)


@njit(**OPTIONS)
def _solved(A: np.ndarray, y: np.ndarray, least: float) -> float:
    """|L⁻¹y|² with A = L Lᵀ, by Cholesky's method; −1 where an eigenvalue of the standardised A might be below ``least``.

    With unit diagonal the other eigenvalues have a product of at most (K/(K − 1))^(K − 1), so the least one is at least
    det · ((K − 1)/K)^(K − 1).
    """
    total, determinant = 0.0, ((_K - 1) / _K) ** (_K - 1)
    for i in range(_K):
        diagonal = A[i, i]
        for j in range(i):
            for k in range(j):
                A[i, j] -= A[i, k] * A[j, k]
            A[i, j] /= A[j, j]
            A[i, i] -= A[i, j] ** 2
            y[i] -= A[i, j] * y[j]
        determinant *= A[i, i] / diagonal
        A[i, i] = np.sqrt(A[i, i])
        y[i] /= A[i, i]
        total += y[i] ** 2
    return total if determinant > least else -1.0


@njit(**OPTIONS)
def quadratic_forms(
    sums: np.ndarray, n: int, linear: np.ndarray, quadratic: np.ndarray, least: float, out: np.ndarray
) -> None:
    """Means of K functionals in the metric of their covariance, mᵀ C⁻¹ m, for each repetition; −1 where C might be nearly singular.

    Parameters
    ----------
    sums : array, shape (2 K, R)
        Of T_1 ... T_2K over n samples.
    n : int
    linear, quadratic : arrays, shapes (K, 2 K + 1) and (K, K, 2 K + 1)
        The functionals and their products as combinations of T_0 ... T_2K.
    least : float
        Eigenvalue that the standardised covariance must have at least.
    out : array, shape (R,)
    """
    average, mean, A = np.ones(SUMS + 1), np.empty(_K), np.empty((_K, _K))
    for r in range(sums.shape[1]):
        for j in range(SUMS):
            average[j + 1] = sums[j, r] / n
        for k in range(_K):
            mean[k] = 0.0
            for j in range(_K + 1):
                mean[k] += linear[k, j] * average[j]
            for i in range(k + 1):
                second = 0.0
                for j in range(SUMS + 1):
                    second += quadratic[k, i, j] * average[j]
                A[k, i] = (second - mean[k] * mean[i]) / (n - 1)
        out[r] = _solved(A, mean, least)
