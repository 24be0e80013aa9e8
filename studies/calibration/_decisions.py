r"""The three-valued rule on many repetitions at once, and ideal samples that cost the same for any number n of them.

**Samples.** On the 16 nodes x_i of Gauss–Legendre's rule, the law with the rule's weights w_i has the moments of the uniform law up to
degree 31. The functionals φ_k = √(2k + 1) P_k are orthonormal under it too, and w_i (1 + δ φ_k(x_i)) are probabilities under which E φ_k = δ
exactly, the others 0. Means and covariances of n independent samples need only how many fell on each node: one multinomial draw.

**Rare verdicts.** Of the repetitions a fifth come from the law p itself, the others from a law q under which the verdict is common. A
repetition counts p/(p/5 + 4q/5) ≤ 5, from the counts, whatever it came from (balance heuristic, Veach and Guibas 1995): rates are unbiased.

**The rule.** S = min of f(e) = (d − e)ᵀ C⁻¹ (d − e) over the box |e_k| ≤ b_k is enclosed without solving for it: coordinate descent gives an
e in the box, and f(e) − g ≤ S ≤ f(e) with the gap g = Σ_k (e_k ∂_k f + b_k |∂_k f|), as f is convex. Repetitions whose enclosure holds the
critical value, or whose C may be nearly singular, are left to :func:`fpk.difference.box_constrained`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fpk.calibration import Tally
from fpk.difference import ALPHA, BETA, COLLINEAR, Difference, box_constrained
from fpk.errors import ComparisonError
from fpk.laws import Array
from fpk.marginals import Estimate, zero_estimate
from fpk.panels import DEGREE
from fpk.verdict import Outcome

#: What the codes of :func:`outcomes` mean.
CODES = (Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNDECIDED)
#: Repetitions to draw at a time, sweeps of coordinate descent, and how near to the critical value is left to the real function.
BATCH, SWEEPS, ROUND_OFF = 2**16, 8, 1e-9
UNWEIGHTED = np.zeros(0)
#: Part of the repetitions that come from the law itself.
PLAIN = 0.2

_NODES, _PAIRS = np.polynomial.legendre.leggauss(16)
WEIGHTS = _PAIRS / 2
#: φ_k at the nodes, (16, K), and their products, (16, K²).
PHI = np.polynomial.legendre.legvander(_NODES, DEGREE)[:, 1:] * np.sqrt(2 * np.arange(1, DEGREE + 1) + 1)
PRODUCTS = (PHI[:, :, None] * PHI[:, None, :]).reshape(len(PHI), -1)


@dataclass(frozen=True, eq=False)
class Repetitions:
    """Means and their covariances, as a panel would give them.

    Parameters
    ----------
    n : int
        Samples of each repetition.
    mean : array, shape (R, K)
    covariance : array, shape (R, K, K)
        Of the means: that of the samples (n − 1 degrees of freedom) over n.
    weight : array, shape (R,)
        What each repetition counts; empty where all count 1.
    """

    n: int
    mean: Array
    covariance: Array
    weight: Array = field(default_factory=lambda: UNWEIGHTED)

    def first(self, count: int) -> Repetitions:
        """The first functionals alone."""
        return Repetitions(self.n, self.mean[:, :count], self.covariance[:, :count, :count], self.weight)

    def estimate(self, r: int, budget: Array) -> Estimate:
        """Repetition r, with a budget of shape (K,)."""
        return Estimate(self.mean[r], budget, covariance=self.covariance[r], samples=self.n, source="ideal samples")


def law(k: int, delta: float) -> Array:
    """Probabilities of the nodes, shape (16,), under which E φ_k = δ; |δ| ≤ 1/√(2k + 1)."""
    return WEIGHTS * (1 + delta * PHI[:, k - 1])


def repetitions(repeats: int, n: int, rng: np.random.Generator, *, probabilities: Array = WEIGHTS) -> Repetitions:
    """Independent repetitions of n samples from a law on the nodes."""
    return _summed(rng.multinomial(n, probabilities, size=repeats), n)


def weighted_repetitions(
    repeats: int, n: int, rng: np.random.Generator, *, probabilities: Array, drawn: Array
) -> Repetitions:
    """Repetitions of n samples from a law, four fifths of which are drawn from another one and weighted."""
    plain = round(PLAIN * repeats)
    counts = np.concatenate(
        [rng.multinomial(n, probabilities, size=plain), rng.multinomial(n, drawn, size=repeats - plain)]
    )
    ratio = np.exp(np.minimum(counts @ np.log(drawn / probabilities), 700.0))
    return _summed(counts, n, 1 / (PLAIN + (1 - PLAIN) * ratio))


def pieces(repeats: int) -> list[int]:
    """How many to draw at a time, in memory that does not grow with their number."""
    return [min(BATCH, repeats - first) for first in range(0, repeats, BATCH)]


def _summed(counts: np.ndarray, n: int, weight: Array = UNWEIGHTED) -> Repetitions:
    mean = counts @ PHI / n
    second = (counts @ PRODUCTS / n).reshape(-1, DEGREE, DEGREE)
    return Repetitions(n, mean, (second - mean[:, :, None] * mean[:, None, :]) / (n - 1), weight)


# -- the rule ------------------------------------------------------------------------------------------------------------


def outcomes(
    found: Repetitions,
    *,
    budget: Array,
    tolerance: float,
    bias: Array | float = 0.0,
    alpha: float = ALPHA,
    beta: float = BETA,
    tolerance_mode: bool = False,
) -> np.ndarray:
    """What :func:`fpk.comparison.settle` says of each repetition against zero, on a panel without thresholds.

    Parameters
    ----------
    found : Repetitions
    budget : array, shape (K,)
        Finite.
    tolerance : float
        δ.
    bias : array, shape (K,), or float
        Added to the means.
    alpha, beta : float
    tolerance_mode : bool, default False
        Whether differences up to δ are never refuted.

    Returns
    -------
    int array, shape (R,)
        Places in :data:`CODES`.

    Raises
    ------
    ComparisonError
        For fewer samples than the joint statistic needs.
    """
    shifted = Repetitions(found.n, found.mean + bias, found.covariance)
    evidence = Difference(shifted.estimate(0, budget), zero_estimate(len(budget)), ())
    if evidence.large:
        raise ComparisonError(
            f"{found.n} samples are too few for a joint statistic of {len(budget)} functionals: use more."
        )
    error = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    reach = np.abs(shifted.mean) + evidence.quantile(beta) * error + budget
    confirmed = np.all((reach <= tolerance) & (budget <= tolerance / 2), axis=1)
    refuted = _refuted(shifted, budget + tolerance * tolerance_mode, evidence.critical(alpha / 2))
    return np.where(refuted, 1, np.where(confirmed, 0, 2))


def _refuted(found: Repetitions, box: Array, critical: float) -> np.ndarray:
    """Whether S > critical, shape (R,)."""
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # a functional without variance: nan, left to the real function
        scale = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
        y, edge = found.mean / scale, box / scale
        correlation = found.covariance / (scale[:, :, None] * scale[:, None, :])
        least = 2 - np.abs(correlation).sum(2).max(1)  # at most the least eigenvalue (Gershgorin)
        e = np.clip(y, -edge, edge)
        clear = least > 2 * COLLINEAR
        near = clear & ~(np.sum((y - e) ** 2, axis=1) < least * critical * (1 - ROUND_OFF))
    lower, upper = _enclosed(np.linalg.inv(correlation[near]), y[near], e[near], edge[near])
    refuted = np.zeros(len(y), bool)
    refuted[near] = lower > critical * (1 + ROUND_OFF)
    doubtful = ~clear
    doubtful[near] = (lower <= critical * (1 + ROUND_OFF)) & (upper >= critical * (1 - ROUND_OFF))
    for r in np.flatnonzero(doubtful):
        refuted[r] = box_constrained(found.mean[r], found.covariance[r], box) > critical
    return refuted


def _enclosed(P: Array, y: Array, e: Array, edge: Array) -> tuple[Array, Array]:
    """Bounds from below and above, each (R,), for min (y − e)ᵀ P (y − e) over |e_k| ≤ edge_k, beginning at e."""
    for _ in range(SWEEPS if edge.any() else 0):
        for k in range(y.shape[1]):
            step = np.einsum("rj,rj->r", P[:, k], y - e) / P[:, k, k]
            e[:, k] = np.clip(e[:, k] + step, -edge[:, k], edge[:, k])
    half = np.einsum("rij,rj->ri", P, y - e)  # minus half the gradient in e
    value = np.sum((y - e) * half, axis=1)
    return value - 2 * np.sum(edge * np.abs(half) - e * half, axis=1), value


# -- counts and rates ----------------------------------------------------------------------------------------------------


def counted(codes: np.ndarray) -> Tally:
    """How often each outcome was found."""
    confirmed, refuted, undecided = np.bincount(codes, minlength=3)
    return Tally(int(confirmed), int(refuted), int(undecided))
