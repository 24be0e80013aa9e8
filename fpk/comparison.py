r"""Comparison: two Estimates on one frozen panel become a Verdict.

With d the difference of the two sides, C its covariance, b the sum of their budgets and δ the tolerance:

REFUTED (sampled sides), at level α/2 each
    * S = min_{|e_k| ≤ b_k} (d − e)ᵀ C⁻¹ (d − e) > χ²_K(α/2): no admissible bias explains the difference;
    * sup_x |F_a − F_b| beyond its budget exceeds the Dvoretzky–Kiefer–Wolfowitz–Massart bound.
REFUTED (two deterministic sides)
    |d_k| > 10 b_k and d_k does not halve under refinement, or |d_k| > b_k with a proven b.
CONFIRMED
    |d_k| + z_β se_k + b_k ≤ δ for every k.
UNDECIDED
    everything else, with what would settle it.

In *theory mode* δ is a third of the smallest ``effect`` that must not be overlooked (the claim's own controls). In *tolerance mode* δ is the
user's, and differences up to δ are never refuted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fpk.errors import ComparisonError
from fpk.laws import Array
from fpk.marginals import Estimate, Marginals, panel_between, zero_estimate
from fpk.panels import Panel
from fpk.verdict import Outcome, Verdict

#: Probability of refuting a true equality, and of confirming a difference δ.
ALPHA, BETA = 1e-6, 1e-3
#: Power at the minimum detectable effect.
POWER = 0.99
#: Two deterministic sides disagree beyond an estimated budget times this.
EXCESS = 10.0


def compare(
    first: Marginals,
    second: Marginals,
    *,
    tolerance: float | None = None,
    effect: float | None = None,
    panel: Panel | None = None,
    alpha: float = ALPHA,
    beta: float = BETA,
) -> Verdict:
    """Hold two routes to the same law against each other.

    Parameters
    ----------
    first, second : Marginals
        Anything with ``expect(panel)``: exact laws, refined grids, particles, your own.
    tolerance : float, optional
        Tolerance mode: differences of expectations up to this count as equal. The functionals have variance 1, so .03 is about a
        30th of the law's spread.
    effect : float, optional
        Theory mode: the smallest effect that must not be overlooked; the tolerance is a third of it.
    panel : Panel, optional
        Frozen functionals; default: Legendre functionals of the law of the side that has the most exact one.
    alpha, beta : float
        Probability of refuting a true equality; of confirming a difference as large as the tolerance.

    Returns
    -------
    Verdict

    Raises
    ------
    ComparisonError
        If the two have no common times, or neither can say what its law looks like and no panel is given.
    """
    panel = panel_between(first, second) if panel is None else panel
    return settle(
        first.expect(panel),
        second.expect(panel),
        names=panel.names,
        tolerance=tolerance,
        effect=effect,
        alpha=alpha,
        beta=beta,
    )


def settle(
    first: Estimate,
    second: Estimate,
    *,
    names: Sequence[str] = (),
    tolerance: float | None = None,
    effect: float | None = None,
    kind: str = "equality",
    agreement: float = np.inf,
    alpha: float = ALPHA,
    beta: float = BETA,
) -> Verdict:
    """The verdict on two Estimates of the same functionals.

    Parameters
    ----------
    first, second : Estimate
        Shapes (K,).
    names : sequence of str, optional
    tolerance, effect, alpha, beta
        As for :func:`compare`.
    kind : str, default "equality"
    agreement : float, default inf
        For errata: CONFIRMED also needs |d_k| ≤ ε_k = b_k + 5 se_k, or |d_k| ≤ agreement · ε_k and falling under refinement.

    Raises
    ------
    ComparisonError
        If shapes differ, or both ``tolerance`` and ``effect`` are given.
    """
    evidence = _Difference(first, second, tuple(names) or tuple(f"value {k}" for k in range(len(first.value))))
    delta = _tolerance(tolerance, effect)
    slack = delta if (tolerance is not None and delta is not None) else 0.0
    test = _deterministic_test if evidence.deterministic else _sampled_test
    refutation, statistic, threshold = test(evidence, slack, alpha, by_shape=tolerance is None)
    outcome, reason, remedy = _conclude(evidence, refutation, delta, agreement, beta)
    return Verdict(
        outcome=outcome,
        kind=kind,
        reason=reason,
        names=evidence.names,
        difference=evidence.d,
        budget=evidence.b,
        standard_error=evidence.se,
        tolerance=delta,
        mde=evidence.mde(alpha),
        statistic=statistic,
        threshold=threshold,
        alpha=alpha,
        pair=(first.source, second.source),
        remedy=remedy,
    )


def vanishes(
    residual: Estimate, *, effect: float | None = None, tolerance: float | None = None, agreement: float = np.inf
) -> Verdict:
    """The verdict on an identity: does a residual vanish within its bound?"""
    zero = zero_estimate(len(residual.value))
    return settle(residual, zero, effect=effect, tolerance=tolerance, kind="identity", agreement=agreement)


def below_zero(quantity: Estimate, *, alpha: float = ALPHA, beta: float = BETA) -> Verdict:
    """The verdict on a one-sided bound: is every component of ``quantity`` strictly negative?

    CONFIRMED if value + z_β se + bound < 0 everywhere, REFUTED if value − z_α se − bound > 0 somewhere.
    """
    evidence = _Difference(
        quantity, zero_estimate(len(quantity.value)), tuple(f"value {k}" for k in range(len(quantity.value)))
    )
    upper = evidence.d + _normal_quantile(beta) * evidence.se + evidence.b
    lower = evidence.d - _normal_quantile(alpha / len(evidence.d)) * evidence.se - evidence.b
    if np.any(lower > 0):
        outcome, reason, remedy = Outcome.REFUTED, f"the bound is exceeded by at least {lower.max():.3g}.", ""
    elif np.all(upper < 0):
        outcome, reason, remedy = (
            Outcome.CONFIRMED,
            f"the bound holds everywhere with at least {-upper.max():.3g} to spare.",
            "",
        )
    else:
        outcome, reason, remedy = (
            Outcome.UNDECIDED,
            "the enclosure contains the bound.",
            "refine, or move away from equality.",
        )
    return Verdict(
        outcome=outcome, kind="bound", reason=reason, names=evidence.names, difference=evidence.d, budget=evidence.b,
        standard_error=evidence.se, tolerance=0.0, mde=evidence.mde(alpha), statistic=float(upper.max()), threshold=0.0, alpha=alpha,
        pair=(quantity.source, "zero"), remedy=remedy,
    )  # fmt: skip


def effect_size(first: Estimate, second: Estimate) -> float:
    """A lower limit for the effect that separates the two: max_k (|d_k| − b_k − 3 se_k), at least 0."""
    evidence = _Difference(first, second, ())
    return float(max(0.0, np.max(np.abs(evidence.d) - evidence.b - 3 * evidence.se)))


class _Difference:
    """The difference of two Estimates: value d, budget b, covariance C, standard error se."""

    def __init__(self, first: Estimate, second: Estimate, names: tuple[str, ...]) -> None:
        if first.value.shape != second.value.shape:
            raise ComparisonError(
                f"the two sides answered different panels: {first.value.shape} values from {first.source!r}, "
                f"{second.value.shape} from {second.source!r}."
            )
        self.first, self.second, self.names = first, second, names
        self.d = first.value - second.value
        self.b = first.bias_bound + second.bias_bound
        self.deterministic = first.deterministic and second.deterministic
        self.proven = first.proven and second.proven
        self.coupled = first.noise_key is not None and first.noise_key == second.noise_key and not self.deterministic
        self.C, self.blocks = self._covariance()
        self.se = np.sqrt(np.diag(self.C))

    def _covariance(self) -> tuple[Array, int | None]:
        if self.coupled and self.first.block_means is not None and self.second.block_means is not None:
            paired = self.first.block_means - self.second.block_means
            if len(paired) <= len(self.d):
                raise ComparisonError(
                    f"coupled sides need more than {len(self.d)} block means for {len(self.d)} functionals, got {len(paired)}: "
                    "use more samples, or fewer times in the panel."
                )
            return np.atleast_2d(np.cov(paired, rowvar=False)) / len(paired), len(paired)
        parts = [side.covariance for side in (self.first, self.second) if side.covariance is not None]
        return sum(parts, np.zeros((len(self.d), len(self.d)))), None

    def shrinks(self) -> NDArray[np.bool_]:
        """Whether each |d_k| at least halves from the coarser level to this one."""
        if self.first.coarser is None and self.second.coarser is None:
            return np.zeros(len(self.d), bool)
        levels = [side.value if side.coarser is None else side.coarser for side in (self.first, self.second)]
        return np.abs(self.d) <= 0.5 * np.abs(levels[0] - levels[1])

    def explained(self, agreement: float) -> NDArray[np.bool_]:
        """Whether what is left of each d_k is the budget's: within ε = b + 5 se, or within agreement · ε and falling."""
        if np.isinf(agreement):
            return np.ones(len(self.d), bool)
        epsilon, left = self.b + 5 * self.se, np.abs(self.d)
        return (left <= epsilon) | ((left <= agreement * epsilon) & self.shrinks())

    def critical(self, level: float) -> float:
        """Quantile of the quadratic statistic: χ²_K, or Hotelling's T² when C was estimated from few blocks."""
        from scipy import stats

        K = len(self.d)
        if self.blocks is None:
            return float(stats.chi2.isf(level, K))
        n = self.blocks
        return float(stats.f.isf(level, K, n - K) * K * (n - 1) / (n - K))

    def mde(self, alpha: float) -> float:
        """Minimum detectable effect of the worst functional."""
        if self.deterministic:
            return float(np.max(self.b if self.proven else (EXCESS + 1) * self.b))
        spread = np.sqrt(self.critical(alpha / 2)) + _normal_quantile(1 - POWER)
        return float(np.max(2 * self.b + spread * self.se))


def _tolerance(tolerance: float | None, effect: float | None) -> float | None:
    if tolerance is not None and effect is not None:
        raise ComparisonError(
            "give tolerance= (how far apart counts as equal) or effect= (what must not be overlooked), not both."
        )
    given = tolerance if effect is None else effect / 3
    if given is not None and not (np.isfinite(given) and given >= 0):
        raise ComparisonError(f"the tolerance must be a finite number ≥ 0, got {given!r}.")
    return given


def _normal_quantile(tail: float) -> float:
    from scipy.special import ndtri

    return float(-ndtri(tail))


def _deterministic_test(
    evidence: _Difference, slack: float, alpha: float, *, by_shape: bool
) -> tuple[str, float, float]:
    """Refutation (or an empty string), the deciding ratio |d|/b and what it was held against."""
    excess = np.maximum(np.abs(evidence.d) - slack, 0)
    scale = np.maximum(np.where(np.isfinite(evidence.b), evidence.b, 1.0), np.finfo(float).tiny)
    with np.errstate(over="ignore"):  # a difference over a budget of exactly 0
        ratio = np.where(np.isfinite(evidence.b), excess / scale, 0.0)
    limit = 1.0 if evidence.proven else EXCESS
    wrong = ratio > limit if evidence.proven else (ratio > limit) & ~evidence.shrinks()
    worst = int(np.argmax(np.where(wrong, ratio, 0))) if wrong.any() else int(np.argmax(ratio))
    if not wrong.any():
        return "", float(ratio[worst]), limit
    held = "" if evidence.proven else " and does not shrink under refinement"
    return f"{evidence.names[worst]} differs by {ratio[worst]:.3g} times its budget{held}.", float(ratio[worst]), limit


def _sampled_test(evidence: _Difference, slack: float, alpha: float, *, by_shape: bool) -> tuple[str, float, float]:
    box = evidence.b + slack
    statistic, threshold = box_constrained(evidence.d, evidence.C, box), evidence.critical(alpha / 2)
    if statistic > threshold:
        return (
            f"S = {statistic:.4g} exceeds {threshold:.4g}: no admissible bias explains the difference.",
            statistic,
            threshold,
        )
    distance, limit = _shape_test(evidence, alpha / 2)
    if by_shape and distance > limit:
        return (
            f"the distribution functions differ by {distance:.3g} beyond their budget, limit {limit:.3g}.",
            distance,
            limit,
        )
    return "", statistic, threshold


def box_constrained(d: Array, C: Array, b: Array) -> float:
    """S = min over |e_k| ≤ b_k of (d − e)ᵀ C⁻¹ (d − e); 0 when some budget is infinite and explains everything.

    Parameters
    ----------
    d, b : array, shape (K,)
    C : array, shape (K, K), positive semi-definite

    Returns
    -------
    float
        Never larger than the statistic of the true bias, when that is admissible: the false-alarm rate is at most nominal.
    """
    from scipy.optimize import lsq_linear

    variances, axes = np.linalg.eigh(C)
    smallest = max(variances.max() * 1e-14, np.finfo(float).eps ** 2 * max(1.0, float(np.max(d**2))))
    whiten = axes / np.sqrt(np.maximum(variances, smallest))
    free = np.isfinite(b)
    if not free.any():
        return 0.0
    if np.all(b[free] == 0) and free.all():
        return float(np.sum((d @ whiten) ** 2))
    bound = np.where(free, np.maximum(b, 1e-300), 1e300)
    found = lsq_linear(whiten.T, d @ whiten, bounds=(-bound, bound), method="bvls", tol=1e-14)
    return float(2 * found.cost)


def _shape_test(evidence: _Difference, level: float) -> tuple[float, float]:
    """Kolmogorov–Smirnov distance beyond its budget, and its Massart bound; (0, 1) where a side has no thresholds."""
    a, b = evidence.first, evidence.second
    if not len(a.thresholds) or len(a.thresholds) != len(b.thresholds):
        return 0.0, 1.0
    sampled = [side.samples for side in (a, b) if not side.deterministic and side.samples]
    share = level / len(sampled) / max(1, len(a.thresholds) // 128)
    limit = sum(float(np.sqrt(np.log(2 / share) / (2 * n))) for n in sampled)
    gap = np.abs(a.thresholds - b.thresholds) - a.threshold_bound - b.threshold_bound
    return float(gap.max()), limit


def _conclude(
    evidence: _Difference, refutation: str, delta: float | None, agreement: float, beta: float
) -> tuple[Outcome, str, str]:
    reach = np.abs(evidence.d) + _normal_quantile(beta) * evidence.se + evidence.b
    if refutation:
        within = delta is not None and np.all(reach <= delta)
        return Outcome.REFUTED, refutation + (" Detected, within tolerance." if within else ""), ""
    if delta is None:
        reason = "no difference found, but nothing was asked to be excluded."
        return Outcome.UNDECIDED, reason, "give tolerance= or effect=."
    if np.any(evidence.b > delta / 2):
        return Outcome.UNDECIDED, *_too_coarse(evidence, delta)
    if np.any(reach > delta):
        return Outcome.UNDECIDED, *_too_uncertain(evidence, reach, delta, beta)
    unexplained = np.flatnonzero(~evidence.explained(agreement))
    if len(unexplained):
        reason = f"{evidence.names[unexplained[0]]} is equal within tolerance, but not explained by its budget."
        return Outcome.UNDECIDED, reason, "refine further."
    return Outcome.CONFIRMED, f"every functional agrees within {delta:.3g}: at most {reach.max():.3g} apart.", ""


def _too_coarse(evidence: _Difference, delta: float) -> tuple[str, str]:
    k = int(np.argmax(evidence.b))
    reason = f"the budget {evidence.b[k]:.3g} of {evidence.names[k]} is more than half the tolerance {delta:.3g}."
    if delta == 0:
        return reason, "a control without any measurable effect leaves nothing to exclude: mend the control."
    if not np.isfinite(evidence.b[k]):
        return reason, "an unrefined route has no error budget: wrap it in fpk.refine(lambda k: ...)."
    return reason, f"refine first: a budget {2 * evidence.b[k] / delta:.2g} times smaller is needed."


def _too_uncertain(evidence: _Difference, reach: Array, delta: float, beta: float) -> tuple[str, str]:
    k = int(np.argmax(reach))
    reason = f"{evidence.names[k]} may differ by {reach[k]:.3g}, the tolerance is {delta:.3g}."
    if evidence.se[k] == 0:
        return reason, "refine further, or accept a larger tolerance."
    room = max(delta - evidence.b[k], 1e-300)
    factor = ((_normal_quantile(beta) + 3) * evidence.se[k] / room) ** 2
    return reason, f"about {max(factor, 1.5):.2g} times as many particles."
