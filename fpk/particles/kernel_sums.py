r"""Sums of Gaussian kernels N(y; M_i, C_i) over many particles, and of their gradients, in batches.

Batches are what standard errors come from: up to 64 of them, of whole independent *units* of particles (single ones, antithetic pairs, replicates
of a scrambled sequence). The error of the score ∇p / p is that of a ratio of means, (∇p_b − score p_b) / p over the batches b.

One covariance in one dimension is summed fast. Each box of half a standard deviation keeps Chebyshev moments Σ_i T_m(s_i), m < 12, of the
particles in it; twelve weighted nodes with the same moments take their place. What that changes is below 1e-14 of the kernel's peak.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit  # type: ignore[import-untyped]
from numpy.typing import NDArray

from fpk.errors import NonFinite, ProblemError
from fpk.instructions import prefer_wide_vectors
from fpk.laws import Array
from fpk.particles.elementary import exp
from fpk.particles.histograms import BATCHES, FEWEST

compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "arcp", "nnan", "ninf"})

#: Chebyshev moments of a box, and its width in standard deviations: interpolation errs by 2 (w/4)^m / √m! = 1.5e-15 of the peak.
MOMENTS, WIDTH = 12, 0.5
#: Distance in standard deviations beyond which the kernel is below 2e-16 of its peak, and particles are left out.
REACH = 8.5
#: Rounding and interpolation, relative to the peak of the kernel and the steepest slope it could have there.
FLOOR = 1e-14
#: Exponents are kept above this: e^−700 is still a normal number, and sums of smaller ones are slow.
LOWEST = -700.0
#: Points worked on at once: their kernels stay in the cache. Particles too.
POINTS, PARTICLES = 64, 256

ANGLES = np.pi * (np.arange(MOMENTS) + 0.5) / MOMENTS
#: Moments ↦ weights at the Chebyshev nodes cos ANGLES that have these moments, (moment, node).
QUADRATURE = np.cos(np.outer(np.arange(MOMENTS), ANGLES)) * np.where(np.arange(MOMENTS), 2.0, 1.0)[:, None] / MOMENTS


@dataclass(frozen=True, eq=False)
class KernelSums:
    """Sums of kernels over batches of particles: where means, errors, and differences of ensembles on one noise come from.

    Parameters
    ----------
    points : array, shape (k, d)
    totals : array, shape (batches, 1 + d, k)
        Kernels and their gradients, summed.
    sizes : array, shape (batches,)
        Particles of each batch.
    peak, steepness : float
        Of the kernels, and 1 / their least standard deviation: the scale of round-off.
    """

    points: Array
    totals: Array
    sizes: NDArray[np.intp]
    peak: float
    steepness: float

    def __sub__(self, other: KernelSums) -> KernelSums:
        """Sums of the differences, particle by particle."""
        steepness = max(self.steepness, other.steepness)
        return KernelSums(self.points, self.totals - other.totals, self.sizes, self.peak + other.peak, steepness)

    def __rmul__(self, factor: float) -> KernelSums:
        return KernelSums(self.points, factor * self.totals, self.sizes, abs(factor) * self.peak, self.steepness)

    @cached_property
    def mean(self) -> Array:
        """Density and gradient, shape (1 + d, k)."""
        return self.totals.sum(0) / self.sizes.sum()

    @cached_property
    def score(self) -> Array:
        """∇p / p, shape (d, k); not a number where the density is not positive."""
        p, slope = self.mean[0], self.mean[1:]
        return np.divide(slope, p, out=np.full_like(slope, np.nan), where=p > 0)

    @cached_property
    def score_deviations(self) -> Array:
        """What each batch adds to the error of the score, times its particles, to first order: shape (batches, d, k)."""
        p = np.where(self.mean[0] > 0, self.mean[0], np.nan)
        return (self.totals[:, 1:] - self.score * self.totals[:, :1]) / p

    def error(self, deviations: Array) -> Array:
        """Standard error of a mean over the particles, from what its batches deviate, summed."""
        batches = len(deviations)
        return np.sqrt(batches / (batches - 1) * (deviations**2).sum(0)) / self.sizes.sum()

    @cached_property
    def density_error(self) -> Array:
        """Standard error of the density, round-off included, shape (k,)."""
        away = self.totals[:, 0] - self.sizes[:, None] * self.mean[0]
        return np.hypot(self.error(away), FLOOR * self.peak)

    @cached_property
    def score_error(self) -> Array:
        """Standard error of the score, round-off included, shape (d, k): infinite where there is no score."""
        with np.errstate(divide="ignore"):
            rounding = FLOOR * self.peak * (self.steepness + np.abs(self.score)) / np.abs(self.mean[0])
        found = np.hypot(self.error(self.score_deviations), rounding)
        return np.where(np.isnan(found), np.inf, found)


def kernel_sums(
    points: Array, centres: Array, covariance: Array, *, units: int | None = None, threads: int = 2
) -> KernelSums:
    """Kernels around centres and their gradients, summed at points: parameters and errors as for :func:`fpk.particles.densities.smoothed_density`."""
    points, centres = _positions(points, "points"), _positions(centres, "centres")
    if points.shape[1] != centres.shape[1]:
        raise ProblemError(
            f"points and centres must have one dimension, got shapes {points.shape} and {centres.shape}: give both as (·, d)."
        )
    factors = _whitening(np.asarray(covariance, float), *centres.shape)
    edges = _batches(len(centres), len(centres) if units is None else units)
    sums = np.zeros((len(edges) - 1, 1 + centres.shape[1], len(points)))
    boxes = _boxes(points, centres, factors)
    if boxes is not None and boxes.count * MOMENTS <= np.diff(edges).min():
        _sum_by_boxes(points.ravel(), centres.ravel(), boxes, edges, sums, threads)
    else:
        columns = np.ascontiguousarray(points.T)
        _shared(lambda a, b: sum_directly(columns, centres, factors, edges[a : b + 1], sums[a:b]), len(sums), threads)
    return KernelSums(points, sums / (2 * np.pi) ** (points.shape[1] / 2), np.diff(edges), *_steepest(factors))


def _positions(x: Array, name: str) -> Array:
    x = np.ascontiguousarray(x, float)
    if x.ndim != 2 or not x.size:
        raise ProblemError(f"{name} must have shape ({'k' if name == 'points' else 'n'}, d), got {x.shape}.")
    return _finite(x, name)


def _finite(x: Array, name: str) -> Array:
    if not np.isfinite(x.sum()):  # one pass; the search only where there is something to find
        rows = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(1))
        if len(rows):
            raise NonFinite(f"{name} must be finite, got {x[rows[0]].tolist()} in row {rows[0]} of {len(x)}.")
    return x


def _whitening(covariance: Array, n: int, d: int) -> Array:
    """L⁻¹ of the Cholesky factors L, shape (1 or n, d, d)."""
    allowed = {(d, d), (n, d, d)} | ({(n, 1)} if d == 1 else set())
    if covariance.shape not in allowed:
        raise ProblemError(
            f"the covariance of kernels around {n} centres in {d} dimensions must have one of the shapes "
            f"{', '.join(map(str, sorted(allowed, key=len)))}, got {covariance.shape}."
        )
    C = _finite(covariance, "the covariance").reshape(-1, d, d)
    if not np.allclose(C, C.swapaxes(1, 2), rtol=1e-10, atol=0):
        raise ProblemError("a covariance must be symmetric; give g gᵀ h, not its factor.")
    try:
        L = np.sqrt(C) if d == 1 and np.all(C > 0) else np.linalg.cholesky(C)
    except np.linalg.LinAlgError:
        raise _degenerate() from None
    pivots, variances = np.einsum("nii->ni", L) ** 2, np.einsum("nii->ni", C)
    if np.any(pivots <= 1e-12 * variances):
        raise _degenerate()
    return np.ascontiguousarray(1 / L if d == 1 else np.linalg.inv(L))


def _degenerate() -> ProblemError:
    return ProblemError(
        "a density from last transition kernels needs noise in every direction, but a covariance is not positive definite. "
        "Take a longer lead t − s, over which noise reaches every coordinate; a noise-free last step has no density of its own."
    )


def _batches(n: int, units: int) -> NDArray[np.intp]:
    """First particle of each batch of whole units, and n, shape (batches + 1,)."""
    if units < FEWEST:
        raise ProblemError(
            f"standard errors need at least {FEWEST} independent units, got {units}: take more particles or replicates."
        )
    if n % units:
        raise ProblemError(
            f"{n} particles do not make {units} units of equal size; let the number of units divide that of particles."
        )
    batches = min(units, BATCHES)
    return np.arange(batches + 1) * units // batches * (n // units)


def _shared(work: Callable[[int, int], None], count: int, threads: int) -> None:
    """Do ``work(first, stop)`` for all of ``range(count)``, a span for each thread: what is done never depends on the spans."""
    if threads == 1:
        return work(0, count)
    cuts = np.arange(threads + 1) * count // threads
    with ThreadPoolExecutor(max_workers=threads) as pool:
        list(pool.map(work, cuts[:-1], cuts[1:]))


def _steepest(factors: Array) -> tuple[float, float]:
    """Peak of the kernels, their mean, and the largest 1 / standard deviation."""
    d = factors.shape[1]
    determinants = np.einsum("nii->ni", factors).prod(1)
    return float(determinants.mean()) / (2 * np.pi) ** (d / 2), float(np.abs(factors).max())


@compiled
def sum_directly(points: Array, centres: Array, factors: Array, edges: NDArray[np.intp], sums: Array) -> None:
    """Add the kernels and their gradients at points (d, k) to the sums (batch, 1 + d, k); without the factor (2π)^−d/2."""
    z, weight = np.empty_like(points), np.empty(points.shape[1])
    for batch in range(len(sums)):
        for i in range(edges[batch], edges[batch + 1]):
            whiten = factors[i if len(factors) > 1 else 0]
            height = whitened(points, centres[i], whiten, z, weight)
            add_kernel(whiten, height, z, weight, sums[batch])


@compiled
def whitened(points: Array, centre: Array, whiten: Array, z: Array, exponent: Array) -> float:
    """Fill z = L⁻¹ (y − centre) and −z²/2 at points y (d, k); 1 / det L."""
    d, k = points.shape
    height = 1.0
    exponent[:] = 0.0
    for a in range(d):
        height *= whiten[a, a]
        for j in range(k):
            z[a, j] = whiten[a, a] * (points[a, j] - centre[a])
        for b in range(a):
            for j in range(k):
                z[a, j] += whiten[a, b] * (points[b, j] - centre[b])
        for j in range(k):
            exponent[j] -= 0.5 * z[a, j] * z[a, j]
    return height


@compiled
def add_kernel(whiten: Array, height: float, z: Array, exponent: Array, total: Array) -> None:
    """Add a kernel and its gradient to the total (1 + d, k); the exponents become weights."""
    prefer_wide_vectors()
    d, k = z.shape
    for j in range(k):
        exponent[j] = height * exp(max(exponent[j], LOWEST))
        total[0, j] += exponent[j]
    for b in range(d):
        for a in range(b, d):
            for j in range(k):
                total[1 + b, j] -= whiten[a, b] * z[a, j] * exponent[j]


@dataclass(frozen=True)
class _Boxes:
    """``count`` boxes from ``low`` on, that hold every centre near enough to a point; ``std`` of the kernel."""

    low: float
    count: int
    std: float

    @property
    def nodes(self) -> Array:
        """The Chebyshev nodes of all boxes, shape (count · moments,)."""
        inside = 0.5 + 0.5 * np.cos(ANGLES)
        return (self.low + self.std * WIDTH * (np.arange(self.count)[:, None] + inside)).ravel()


def _boxes(points: Array, centres: Array, factors: Array) -> _Boxes | None:
    """Boxes for one covariance in one dimension, if there is one."""
    if factors.shape != (1, 1, 1):
        return None
    std = 1 / float(factors[0, 0, 0])
    low = max(centres.min(), points.min() - REACH * std)
    high = min(centres.max(), points.max() + REACH * std)
    return _Boxes(low, max(int((high - low) / (WIDTH * std)) + 1, 1), std)


def _sum_by_boxes(
    points: Array, centres: Array, boxes: _Boxes, edges: NDArray[np.intp], sums: Array, threads: int
) -> None:
    moments = np.zeros((len(sums), boxes.count + 2, MOMENTS))
    per = 1 / (WIDTH * boxes.std)
    _shared(lambda a, b: gather_moments(centres, boxes.low, per, edges[a : b + 1], moments[a:b]), len(sums), threads)
    weights = np.einsum("bim,mj->bij", moments[:, 1:-1], QUADRATURE).reshape(len(sums), -1)
    nodes = boxes.nodes
    _shared(lambda a, b: sum_nodes(points, nodes, boxes.std, weights, sums, a, b), len(points), threads)


@compiled
def gather_moments(x: Array, low: float, per: float, edges: NDArray[np.intp], moments: Array) -> None:
    """Add Σ T_m(s) of the particles in each box to the moments (batch, box, m); s runs from −1 to 1 over a box.

    The first and the last box take what lies below and above the others.
    """
    last = moments.shape[1] - 1
    inside, box = np.empty(PARTICLES), np.empty(PARTICLES, np.int64)
    for batch in range(len(moments)):
        table = moments[batch]
        for start in range(edges[batch], edges[batch + 1], PARTICLES):
            count = min(PARTICLES, edges[batch + 1] - start)
            for i in range(count):
                u = min(max((x[start + i] - low) * per + 1.0, 0.0), float(last))
                below = np.floor(u)
                box[i], inside[i] = int(below), 2.0 * (u - below) - 1.0
            for i in range(count):
                row, before, value = table[box[i]], 1.0, inside[i]
                row[0] += before
                for m in range(1, MOMENTS):
                    row[m] += value
                    before, value = value, 2.0 * inside[i] * value - before


@compiled
def sum_nodes(points: Array, nodes: Array, std: float, weights: Array, sums: Array, first: int, stop: int) -> None:
    """Add the kernels around weighted nodes and their slopes at points first ... stop to the sums (batch, 2, k)."""
    kernel, slope = np.empty((len(nodes), POINTS)), np.empty((len(nodes), POINTS))
    for start in range(first, stop, POINTS):
        y = points[start : min(start + POINTS, stop)]
        for i in range(len(nodes)):
            for j in range(len(y)):
                z = (y[j] - nodes[i]) / std
                kernel[i, j] = exp(max(-0.5 * z * z, LOWEST)) / std
                slope[i, j] = -z * kernel[i, j] / std
        for batch in range(len(sums)):
            density, gradient = sums[batch, 0, start : start + len(y)], sums[batch, 1, start : start + len(y)]
            for i in range(len(nodes)):
                weight = weights[batch, i]
                for j in range(len(y)):
                    density[j] += weight * kernel[i, j]
                    gradient[j] += weight * slope[i, j]
