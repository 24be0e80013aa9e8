r"""Densities and scores from particles: the mean of their last transition kernel (Rao–Blackwell).

Where the law of X_t given X_s = x is Gaussian with mean M(x) and covariance C, particles X_i at time s give

    p_t(y) ≈ (1/n) Σ_i N(y; M(X_i), C_i),        ∇p_t(y) ≈ (1/n) Σ_i ∇_y N(y; M(X_i), C_i),        ∇log p_t ≈ ∇p_t / p_t.

These are means over particles, unbiased for the density and its gradient, so the error falls as n^{−1/2} (a histogram reaches n^{−1/3}) and
each point has a standard error. The kernel of a linear SDE is exact over any lead τ = t − s (:mod:`fpk.moments`). Otherwise one step of
Euler–Maruyama is taken,

    M(x) = x + f(x, s) τ,    C = g gᵀ τ.

What time steps add is seen from a companion ensemble with twice the step h on the same noise, and twice the lead where the kernel is a step:
both errors are of first order, so p_2h − p_h is about p_h − p, and 2 p_h − p_2h (Richardson's extrapolation) is of second order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fpk.counts import counting
from fpk.errors import ProblemError
from fpk.laws import Array
from fpk.marginals import step_budget
from fpk.moments import transition
from fpk.particles.ensemble import ParticleMarginals
from fpk.particles.kernel_sums import KernelSums, kernel_sums
from fpk.problem import Problem


@dataclass(frozen=True, eq=False)
class DensityEstimate:
    """A density and its score at some points, with standard errors.

    The errors of neighbouring points are correlated. Deviations in standard errors follow Student's t with ``units − 1`` degrees of
    freedom where the density is :attr:`resolved`; in tails that few particles reach, neither value nor error is to be trusted.

    Parameters
    ----------
    points : array, shape (k, d)
    value, standard_error : array, shape (k,)
        The density p and its standard error, in units of 1 / length^d. The error includes round-off, 1e-14 of the kernel's peak.
    score, score_error : array, shape (k, d)
        ∇ log p, in units of 1 / length; not a number, with an infinite error, where the density is not positive.
    units : int
        Independent batches behind the standard errors.
    step_bias : array, shape (k,)
        Budget for what time steps add to the density: 0 where the kernels were given, infinite where nothing is known.
    score_step_bias : array, shape (k, d)
        The same for the score.
    """

    points: Array
    value: Array
    standard_error: Array
    score: Array
    score_error: Array
    units: int
    step_bias: Array
    score_step_bias: Array

    @property
    def resolved(self) -> NDArray[np.bool_]:
        """Where the density is at least four standard errors, shape (k,): where error bars of the score mean anything."""
        return self.value >= 4 * self.standard_error

    def __getitem__(self, points: slice) -> DensityEstimate:
        """The same at some of the points."""
        parts = {name: own[points] for name, own in vars(self).items() if name != "units"}
        return replace(self, **parts)

    def __str__(self) -> str:
        budget = f"time steps add up to {self.step_bias.max():.2g}, " if self.step_bias.any() else ""
        return (
            f"density at {counting(len(self.points), 'point')} from {counting(self.units, 'independent unit')}: at most {self.value.max():.4g}, "
            f"standard errors up to {self.standard_error.max():.2g}, {budget}{counting(int(self.resolved.sum()), 'point')} resolved"
        )


def smoothed_density(
    points: Array, centres: Array, covariance: Array, *, units: int | None = None, threads: int = 2
) -> DensityEstimate:
    """The mean of Gaussian transition kernels over particles, and its score, at points.

    Parameters
    ----------
    points : array, shape (k, d)
        Where the density is wanted.
    centres : array, shape (n, d)
        M(X_i), the mean of the kernel of each particle.
    covariance : array, shape (d, d), (n, d, d), or (n, 1) where d = 1
        Of the kernel: one for all particles, or each its own.
    units : int, optional
        Number of independent units, consecutive and of equal size: n/2 for antithetic pairs that follow each other, the number of
        replicates of a scrambled sequence. Default: every particle is one.
    threads : int, default 2
        Does not change the numbers.

    Returns
    -------
    DensityEstimate

    Raises
    ------
    ProblemError
        For shapes that do not fit, fewer than 8 units, units of unequal size, or a covariance that is not positive definite.
    NonFinite
        If a point, a centre or a covariance is not finite.

    Notes
    -----
    Accurate to 1e-14 of the kernel's peak besides sampling. n k kernels are evaluated; for one covariance in one dimension, and more
    particles in a batch than nodes, only 24 k for each standard deviation of the kernel that the centres span.

    Examples
    --------
    The law at t of an Ornstein–Uhlenbeck process that was N(0, 1) a lead of ½ before, e^−½ x being the mean of the kernel from x:

    >>> x = np.random.default_rng(0).normal(size=(20_000, 1))
    >>> estimate = smoothed_density(np.array([[0.0], [1.0]]), np.exp(-0.5) * x, np.array([[1 - np.exp(-1.0)]]))
    >>> bool(np.all(np.abs(estimate.value - [0.3989, 0.2420]) < 5 * estimate.standard_error))
    True
    """
    sums = kernel_sums(points, centres, covariance, units=units, threads=threads)
    return _estimate(sums, np.zeros_like(sums.mean))


def marginal_density(
    run: ParticleMarginals,
    problem: Problem,
    *,
    points: Array,
    since: float,
    until: float,
    extrapolated: bool = False,
    threads: int = 2,
) -> DensityEstimate:
    """The density and the score of a problem at time ``until`` from particles at the earlier time ``since``.

    Parameters
    ----------
    run : ParticleMarginals
        An ensemble of the problem with positions kept at ``since``. Its levels give the budget of the time step; its units the standard errors.
    problem : Problem
        Without walls. Where its drift is linear and its noise independent of the position, the kernel from ``since`` to ``until`` is exact, and a
        lead of several steps smooths more; otherwise it is one step of Euler–Maruyama, and short leads are accurate.
    points : array, shape (k, d)
    since, until : float
        Times in [0, horizon].
    extrapolated : bool, default False
        Give 2 p_h − p_2h with its own standard errors, for ensembles of weak order 1 with at least two levels.
    threads : int, default 2
        Does not change the numbers.

    Returns
    -------
    DensityEstimate
        ``step_bias`` is 1.5 times the change from the next coarser level, and 3 standard errors of this change; 0 where both steps and kernel are
        exact, infinite where there is no further level (an extrapolated estimate needs three).

    Raises
    ------
    ProblemError
        For walls, times that are not in order, positions that were not kept (a kernel of one step needs those at until − 2 (until − since) of
        the companion as well), and all that :func:`smoothed_density` refuses.
    ComparisonError
        If there is nothing to extrapolate from.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(2.0, 0.5))
    >>> run = fpk.simulate(ou, particles=20_000, steps=12, times=[0.6], seed=1)
    >>> found = marginal_density(run, ou, points=np.array([[0.0], [1.0]]), since=0.6, until=1.0)
    >>> exact = fpk.exact(ou, times=[1.0]).law(1.0).density(found.points)
    >>> bool(np.all(np.abs(found.value - exact) < found.step_bias + 5 * found.standard_error))
    True
    """
    _check(problem, since, until)
    linear = problem.drift.linear is not None and not problem.diffusion.state_dependent

    def sums(level: int) -> KernelSums:
        start = since if linear else until - 2**level * (until - since)
        x = run.level(level).samples(start)
        kernel = _exact_kernel if linear else _one_step
        return kernel_sums(points, *kernel(problem, x, start, until), units=run.units, threads=threads)

    steps_are_exact = run.exact and linear
    wanted = 1 + extrapolated + (not steps_are_exact)
    levels = [sums(level) for level in range(min(wanted, max(len(run.positions), 1 + extrapolated)))]
    found = [2.0 * fine - coarse for fine, coarse in pairwise(levels)] if extrapolated else levels
    return _estimate(found[0], np.zeros_like(found[0].mean) if steps_are_exact else _step_bias(found))


def _check(problem: Problem, since: float, until: float) -> None:
    problem.checked_times([since, until])
    if not since < until:
        raise ProblemError(f"a kernel leads from an earlier to a later time, got since={since:g} and until={until:g}.")
    if problem.boundary.kind != "open":
        raise ProblemError(
            f"transition kernels are Gaussian without walls, but the boundary is {problem.boundary.kind}: use fpk.solve for densities between walls."
        )


def _exact_kernel(problem: Problem, x: Array, s: float, t: float) -> tuple[Array, Array]:
    """Means (n, d) and covariance (d, d) of X_t given X_s = x, of a linear SDE."""
    slope, shift, covariance, _ = transition(problem, s, t)
    return x @ slope.T + shift, covariance


def _one_step(problem: Problem, x: Array, s: float, t: float) -> tuple[Array, Array]:
    """Means (n, d) and covariances (1 or n, d, d) after one step of Euler–Maruyama."""
    h = t - s
    at = x if problem.diffusion.state_dependent else x[:1]
    g = problem.diffusion(at, s)
    if g.ndim < 3:
        g = np.broadcast_to(g, at.shape)[:, :, None] * np.eye(x.shape[1])
    covariance = h * g @ g.swapaxes(1, 2)
    return x + h * problem.drift(x, s), covariance if len(covariance) == len(x) else covariance[0]


def _step_bias(found: Sequence[KernelSums]) -> Array:
    """Budgets (1 + d, k) of the first of the estimates, from its change from the second: of the density, and of the score."""
    if len(found) == 1:
        return np.full_like(found[0].mean, np.inf)
    fine, coarse = found[:2]
    change = fine - coarse
    density = step_budget(change.mean[0], change.density_error)
    spread = fine.error(fine.score_deviations - coarse.score_deviations)
    score = step_budget(fine.score - coarse.score, spread)
    return np.vstack([density, np.where(np.isnan(score), np.inf, score)])


def _estimate(sums: KernelSums, step_bias: Array) -> DensityEstimate:
    """The density and its score, with budgets (1 + d, k)."""
    return DensityEstimate(
        sums.points,
        sums.mean[0],
        sums.density_error,
        sums.score.T,
        sums.score_error.T,
        len(sums.totals),
        step_bias[0],
        step_bias[1:].T,
    )
