r"""Ideal samples: a panel's functionals of exact independent samples, repeated millions of times in compiled code.

With an exact continuous reference F, U = F(X) is uniform, so that one repetition is n uniform numbers u and the functionals

    φ_k = √(2k + 1) P_k(x),   x = 2u − 1,   k = 1 ... 4.

φ_k and φ_k φ_l are combinations of the Chebyshev polynomials T_0 ... T_8, whose sums therefore say everything about means and covariances
(to 1e-7 of a functional's spread; the sums are those of float32 terms).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev, Legendre

from fpk.comparison import settle
from fpk.difference import COLLINEAR, Difference, box_constrained
from fpk.laws import Array
from fpk.marginals import Estimate, zero_estimate
from fpk.panels import DEGREE, THRESHOLDS
from fpk.particles.repeated_sums import LANES, SUMS, quadratic_forms, repeat

#: Repetitions of a batch, and threads.
BATCH, THREADS = 2**17, 2
_K = DEGREE
_NO_THRESHOLDS = np.zeros(0)


def _phi(k: int) -> Chebyshev:
    return (np.sqrt(2 * k + 1) * Legendre.basis(k)).convert(kind=Chebyshev)  # type: ignore[return-value]


def _coefficients(series: Any) -> Array:
    """Of T_0 ... T_8."""
    return np.pad(series.coef, (0, SUMS + 1 - len(series.coef)))


#: φ_k and φ_k φ_l as combinations of Chebyshev polynomials, shapes (K, 9) and (K, K, 9).
LINEAR = np.array([_coefficients(_phi(k + 1)) for k in range(_K)])
QUADRATIC = np.array([[_coefficients(_phi(k + 1) * _phi(m + 1)) for m in range(_K)] for k in range(_K)])


@dataclass(frozen=True, eq=False)
class Draws:
    """Repetitions of n samples each.

    Parameters
    ----------
    n : int
    sums : array, shape (8, R)
        Of T_1 ... T_8.
    gap : array, shape (R,)
        max |F_n − F| over the thresholds; empty when not asked for.
    """

    n: int
    sums: Array
    gap: Array = field(default_factory=lambda: np.zeros(0))

    @cached_property
    def _averages(self) -> Array:
        return np.vstack([np.ones(self.sums.shape[1]), self.sums / self.n])

    @cached_property
    def mean(self) -> Array:
        """Means of the functionals, shape (R, K)."""
        return self._averages.T @ LINEAR.T

    @cached_property
    def covariance(self) -> Array:
        """Covariance of the means, shape (R, K, K): that of the samples (n − 1 degrees of freedom) over n."""
        second = np.tensordot(self._averages.T, QUADRATIC, axes=(1, 2))
        return (second - self.mean[:, :, None] * self.mean[:, None, :]) / (self.n - 1)


@lru_cache(maxsize=8)
def _key(seed: int) -> np.uint64:
    return np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]


def in_pieces(work: Callable[[int, int], None], count: int) -> None:
    """Call ``work(begin, end)`` on pieces of range(count) in threads; pieces begin at multiples of :data:`LANES`."""
    size = -(-count // (4 * THREADS * LANES)) * LANES
    starts = range(0, count, size)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda begin: work(begin, min(begin + size, count)), starts))


def batches(
    repeats: int, n: int, *, seed: int, shift: tuple[int, float] | None = None, gap: bool = False
) -> Iterator[Draws]:
    """Repetitions in batches, in memory that does not grow with their number.

    Parameters
    ----------
    repeats, n : int
        Repetitions, and samples in each.
    seed : int
    shift : (k, δ), optional
        Draw from the density 1 + δ φ_k instead, so that E φ_k = δ, 1 ≤ k ≤ K; |δ| ≤ 1/√(2k + 1), so that the density is not negative.
    gap : bool, default False
        Whether the distribution function is compared at the thresholds too (twice the time).

    Yields
    ------
    Draws
        Of at most :data:`BATCH` repetitions.
    """
    chances = np.zeros((0, _K + 1)) if shift is None else _shifted(*shift)
    for first in range(0, repeats, BATCH):
        count = min(BATCH, repeats - first)
        which = np.zeros(count if len(chances) else 0, np.int64)
        yield repetitions(first, count, n, seed=seed, chances=chances, which=which, exponential=False, gap=gap)


def repetitions(
    first: int, count: int, n: int, *, seed: int, chances: Array, which: np.ndarray, exponential: bool, gap: bool
) -> Draws:
    """Repetitions first ... first + count − 1 of n samples.

    Parameters
    ----------
    first, count, n, seed : int
    chances : array, shape (L, K + 1)
        Coefficients of p in T_0 ... T_K, for each of L laws.
    which : int array, shape (count,) or (0,)
        The law of each repetition; empty for uniform samples.
    exponential : bool
        Whether a candidate is kept with probability exp p rather than p.
    gap : bool
    """
    out, gaps = np.empty((SUMS, count)), np.empty(count if gap else 0)
    table = np.ascontiguousarray(chances, np.float32)

    def work(begin: int, end: int) -> None:
        part = np.empty((SUMS, end - begin))
        repeat(_key(seed), first + begin, n, table, which[begin:end], exponential, part, gaps[begin:end])
        out[:, begin:end] = part

    in_pieces(work, count)
    return Draws(n, out, gaps)


def _shifted(k: int, delta: float) -> Array:
    density = _coefficients(1 + delta * _phi(k))[: _K + 1]
    return density[None, :] / (1 + abs(delta) * np.sqrt(2 * k + 1))


def draws(repeats: int, n: int, *, seed: int, shift: tuple[int, float] | None = None, gap: bool = False) -> Draws:
    """All repetitions at once; see :func:`batches`."""
    parts = list(batches(repeats, n, seed=seed, shift=shift, gap=gap))
    return Draws(n, np.concatenate([part.sums for part in parts], axis=1), np.concatenate([part.gap for part in parts]))


# -- the statistic -------------------------------------------------------------------------------------------------------


def statistics(found: Draws) -> Array:
    """fpk's statistic S of the means against zero, with the covariances that were estimated; shape (R,).

    Equal to :func:`fpk.difference.box_constrained` without budgets, which is called itself where a covariance may be nearly singular.
    """
    out = np.empty(found.sums.shape[1])
    in_pieces(
        lambda a, b: quadratic_forms(found.sums[:, a:b], found.n, LINEAR, QUADRATIC, COLLINEAR, out[a:b]), len(out)
    )
    for r in np.flatnonzero(~(out >= 0)):
        out[r] = box_constrained(found.mean[r], found.covariance[r], np.zeros(_K))
    return out


@lru_cache
def critical(n: int, level: float) -> float:
    """fpk's critical value of S for n samples."""
    return Difference(_ideal(n), zero_estimate(_K), ()).critical(level)


@lru_cache
def largest_gap(n: int, level: float) -> float:
    """fpk's limit for the gap at n samples, from a verdict on samples that are all in the wrong place."""
    verdict = settle(_ideal(n, np.ones(THRESHOLDS)), _exact(np.zeros(THRESHOLDS)), alpha=2 * level)
    return verdict.threshold


def _ideal(n: int, thresholds: Array = _NO_THRESHOLDS) -> Estimate:
    return Estimate(
        np.zeros(_K), np.zeros(_K), covariance=np.eye(_K) / n, samples=n, thresholds=thresholds, threshold_bound=0 * thresholds
    )  # fmt: skip


def _exact(thresholds: Array) -> Estimate:
    return Estimate(np.zeros(_K), np.zeros(_K), thresholds=thresholds, threshold_bound=0 * thresholds)
