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

from fpk.difference import ALPHA, BETA, EXCESS, Difference, box_constrained, normal_quantile
from fpk.errors import ComparisonError
from fpk.laws import Array
from fpk.marginals import Estimate, Marginals, panel_between, zero_estimate
from fpk.panels import Panel
from fpk.remedies import remedy
from fpk.scalars import scalar
from fpk.verdict import Outcome, Verdict


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

    Examples
    --------
    >>> import fpk
    >>> spring = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.0, initial=fpk.Gaussian(2.0, 0.3))
    >>> grid = fpk.solve(spring, fpk.Grid(-5, 7, cells=96), times=[0.7])
    >>> print(fpk.compare(grid, fpk.exact(spring, times=[0.7]), tolerance=0.01).outcome)
    CONFIRMED
    """
    for side in (first, second):
        if isinstance(side, type) or not callable(getattr(side, "expect", None)):
            raise ComparisonError(
                f"a {type(side).__name__} cannot be compared: a side has expect(panel). Of a problem: fpk.exact, solve or simulate; of a law: "
                "fpk.LawMarginals({t: law}, (t,)); samples and laws in any mixture: fpk.testing.assert_same_law."
            )
    if panel is not None and not isinstance(panel, Panel):
        raise ComparisonError(f"panel= must be a Panel, for example fpk.panels.law_panel({{t: law}}), got {panel!r}.")
    panel = panel_between(first, second) if panel is None else panel
    return settle(
        _answer(first, panel),
        _answer(second, panel),
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
    _check_levels(alpha, beta)
    evidence = Difference(first, second, _named(first, names))
    delta = _tolerance(tolerance, effect)
    slack = delta if (tolerance is not None and delta is not None) else 0.0
    test = _deterministic_test if evidence.deterministic else _sampled_test
    refutation, statistic, threshold = test(evidence, slack, alpha, by_shape=tolerance is None)
    outcome, reason, advice = _conclude(evidence, refutation, delta, agreement, beta)
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
        remedy=advice,
        method=evidence.method,
    )


def vanishes(
    residual: Estimate, *, effect: float | None = None, tolerance: float | None = None, agreement: float = np.inf
) -> Verdict:
    """The verdict on an identity: does a residual vanish within its bound?

    Parameters
    ----------
    residual : Estimate
        What should vanish, as :func:`fpk.residual` makes it.
    effect : float, optional
        Theory mode: the smallest effect that must not be overlooked; the tolerance is a third of it.
    tolerance : float, optional
        Residuals up to this count as none.
    agreement : float, default infinity
        A confirmed residual must also be explained by its error (bound and five standard errors), or by this many times it and fall under
        refinement.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> import fpk
    >>> x = np.linspace(0.1, 1, 10)
    >>> found = fpk.residual(np.sin(x) ** 2 + np.cos(x) ** 2 - 1, 1e-15, proven=True)
    >>> print(fpk.vanishes(found, tolerance=1e-12).outcome)
    CONFIRMED
    """
    zero = zero_estimate(len(residual.value))
    return settle(residual, zero, effect=effect, tolerance=tolerance, kind="identity", agreement=agreement)


def below_zero(quantity: Estimate, *, names: Sequence[str] = (), alpha: float = ALPHA, beta: float = BETA) -> Verdict:
    """The verdict on a one-sided bound: is every component of ``quantity`` strictly negative?

    CONFIRMED if value + z_β se + bound < 0 everywhere, REFUTED if value − z_α se − bound > 0 somewhere.
    """
    _check_levels(alpha, beta)
    evidence = Difference(quantity, zero_estimate(len(quantity.value)), _named(quantity, names))
    upper = evidence.d + normal_quantile(beta) * evidence.se + evidence.b
    lower = evidence.d - normal_quantile(alpha / len(evidence.d)) * evidence.se - evidence.b
    worst, nearest = evidence.names[int(lower.argmax())], evidence.names[int(upper.argmax())]
    advice = ""
    if np.any(lower > 0):
        outcome, reason = Outcome.REFUTED, f"the bound is exceeded by at least {lower.max():.3g} ({worst})."
    elif np.all(upper < 0):
        spare = f"the bound holds everywhere with at least {-upper.max():.3g} to spare ({nearest})."
        outcome, reason = Outcome.CONFIRMED, spare
    else:
        outcome, reason = Outcome.UNDECIDED, f"the enclosure contains the bound ({nearest})."
        noisy = evidence.se[upper.argmax()] > evidence.b[upper.argmax()]
        advice = f"{'more samples' if noisy else 'refine'}, or move away from equality."
    return Verdict(
        outcome=outcome, kind="bound", reason=reason, names=evidence.names, difference=evidence.d, budget=evidence.b,
        standard_error=evidence.se, tolerance=0.0, mde=evidence.mde(alpha), statistic=float(upper.max()), threshold=0.0, alpha=alpha,
        pair=(quantity.source, "zero"), remedy=advice,
    )  # fmt: skip


def monotone(quantity: Estimate, *, increasing: bool = True, alpha: float = ALPHA, beta: float = BETA) -> Verdict:
    """The verdict on monotonicity: do the components of ``quantity`` strictly increase (or decrease) from each to the next?

    The K − 1 neighbouring differences are held against zero with their own covariance D C Dᵀ (values from the same samples are
    correlated) and the sum of both bounds.

    Raises
    ------
    ComparisonError
        With fewer than two components.
    """
    count = len(quantity.value)
    if count < 2:
        raise ComparisonError(
            f"monotonicity needs two values or more, got {count}: give the quantity at several times."
        )
    D = np.diff(np.eye(count), axis=0) * (-1 if increasing else 1)
    C = None if quantity.covariance is None else D @ quantity.covariance @ D.T
    drops = Estimate(
        D @ quantity.value, np.abs(D) @ quantity.bias_bound, covariance=C, samples=quantity.samples, proven=quantity.proven,
        source=f"{'decrease' if increasing else 'increase'} of {quantity.source or 'the values'}",
    )  # fmt: skip
    return below_zero(drops, names=[f"value {k} to {k + 1}" for k in range(count - 1)], alpha=alpha, beta=beta)


def _answer(side: Marginals, panel: Panel) -> Estimate:
    found = side.expect(panel)
    if not isinstance(found, Estimate):
        raise ComparisonError(f"expect(panel) of a {type(side).__name__} must return an fpk.Estimate, got {found!r}.")
    return found


def _check_levels(alpha: float, beta: float) -> None:
    for name, level in (("alpha", alpha), ("beta", beta)):
        if not 0 < scalar(level) < 1:
            raise ComparisonError(f"{name} is a probability: it must be between 0 and 1, got {level!r}.")


def _named(quantity: Estimate, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names) or tuple(f"value {k}" for k in range(len(quantity.value)))


def _tolerance(tolerance: float | None, effect: float | None) -> float | None:
    if tolerance is not None and effect is not None:
        raise ComparisonError(
            "give tolerance= (how far apart counts as equal) or effect= (what must not be overlooked), not both."
        )
    if tolerance is None and effect is None:
        return None
    given = scalar(tolerance) if effect is None else scalar(effect) / 3
    if not 0 <= given < np.inf:
        name, value = ("tolerance", tolerance) if effect is None else ("effect", effect)
        raise ComparisonError(f"the {name} must be a finite number ≥ 0, got {value!r}.")
    return given


def _deterministic_test(
    evidence: Difference, slack: float, alpha: float, *, by_shape: bool
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


def _sampled_test(evidence: Difference, slack: float, alpha: float, *, by_shape: bool) -> tuple[str, float, float]:
    box = evidence.b + slack
    statistic, threshold = _statistic(evidence, box), evidence.critical(alpha / 2)
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


def _statistic(evidence: Difference, box: Array) -> float:
    """S of the whole panel; for large panels the largest of the single ones."""
    if not evidence.large:
        return box_constrained(evidence.d, evidence.C, box)
    return float(np.max(np.maximum(np.abs(evidence.d) - box, 0) / np.maximum(evidence.se, np.finfo(float).tiny)) ** 2)


def _shape_test(evidence: Difference, level: float) -> tuple[float, float]:
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
    evidence: Difference, refutation: str, delta: float | None, agreement: float, beta: float
) -> tuple[Outcome, str, str]:
    reach = np.abs(evidence.d) + evidence.quantile(beta) * evidence.se + evidence.b
    if refutation:
        within = delta is not None and np.all(reach <= delta)
        return Outcome.REFUTED, refutation + (" Detected, within tolerance." if within else ""), ""
    if delta is None:
        reason = "no difference found, but nothing was asked to be excluded."
        return Outcome.UNDECIDED, reason, "give tolerance= or effect=."
    if np.any(evidence.b > delta / 2):
        k = int(np.argmax(evidence.b))
        reason = f"the budget {evidence.b[k]:.3g} of {evidence.names[k]} is more than half the tolerance {delta:.3g}."
        return Outcome.UNDECIDED, reason, remedy(evidence, delta, beta)
    if np.any(reach > delta):
        k = int(np.argmax(reach))
        reason = f"{evidence.names[k]} may differ by {reach[k]:.3g}, the tolerance is {delta:.3g}."
        return Outcome.UNDECIDED, reason, remedy(evidence, delta, beta)
    unexplained = np.flatnonzero(~evidence.explained(agreement))
    if len(unexplained):
        reason = f"{evidence.names[unexplained[0]]} is equal within tolerance, but not explained by its budget."
        return Outcome.UNDECIDED, reason, "refine further."
    return Outcome.CONFIRMED, f"every functional agrees within {delta:.3g}: at most {reach.max():.3g} apart.", ""
