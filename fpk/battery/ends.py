r"""Where the sampler arrives: the law at the end with many steps, its limit, and the order in the number of steps.

On the line characteristics never cross: a deterministic sampler with the exact model must take the quantile u of the law it starts from to the
quantile u of the law it ends at, and its errors, position by position, fall like steps^−p. The law of a stochastic one is held against the exact
one on a panel of expectations E_N; their limit is that of 2 E_N − E_{N/2}.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fpk.battery.findings import Finding, at_least, sampled, small, unexplained
from fpk.battery.subjects import Run, Subject, between_counts, quantiles_of
from fpk.counts import counting
from fpk.laws import Array
from fpk.marginals import ROUND_OFF, Estimate, panel_step_budget
from fpk.panels import law_panel
from fpk.rates import between_levels, extrapolated, local_orders, order_likelihood
from fpk.verdict import Outcome

#: Orders this far below the declared one count as lost.
LOST = 0.35
#: Errors below this are round-off.
FLOOR = {"float64": 1e-10, "float32": 1e-5}
#: Errors with a number of steps between two of the sweep may exceed what both would suggest by this factor.
UNEVEN = 2.5


# -- on the line, quantile by quantile ---------------------------------------------------------------------------------


def distances(subject: Subject, counts: Sequence[int], *, what: str = "law") -> Array:
    """Root-mean-square distance of the quantiles that arrive from those that should, over the law's spread; NaN where the run broke down."""
    target = subject.on_path(subject.data(what), subject.end)
    wanted, spread = quantiles_of(target, 256), float(np.sqrt(target.covariance[0, 0]))
    runs = (subject.ran(what, n) for n in counts)
    return np.array(
        [np.sqrt(np.mean((run.end[:, 0] - wanted) ** 2)) / spread if run.finite else np.nan for run in runs]
    )


def law_at_the_end(subject: Subject) -> list[Finding]:
    """Does the sampler reach the data law?"""
    if subject.stochastic:
        names = ("cloud", "narrow cloud", "plane")
        return [finding for name in names for finding in _cloud(subject, name)]
    return [_quantiles(subject, "law"), _quantiles(subject, "narrow"), *_cloud(subject, "plane")[:1]]


def _quantiles(subject: Subject, what: str) -> Finding:
    check = {"law": "law", "narrow": "narrow law"}[what]
    counts = [n for n in subject.counts if what == "law" or n >= max(subject.counts) / 4]
    found = distances(subject, counts, what=what)
    if not np.isfinite(found[-1]):
        return small(
            check,
            np.inf,
            tolerance=1.0,
            line=f"breaks down with {counting(counts[-1], 'step')}: {subject.ran(what, counts[-1]).error}",
        )
    rest = found[-1] - unexplained(found, counts) if len(found) > 1 and np.isfinite(found[-2]) else 0.0
    line = f"{found[-1]:.3g} spreads from the exact quantiles with {counting(counts[-1], 'step')}"
    doubt = 0.0 if found[-1] <= subject.tolerance else rest
    return small(check, found[-1], tolerance=subject.tolerance, doubt=doubt, line=line, errors=found, counts=counts)


def order(subject: Subject) -> list[Finding]:
    """Do errors fall as fast as declared, and to nothing?"""
    if len(subject.counts) < 3:
        return []
    if subject.stochastic:
        return _weak_order(subject)
    found = distances(subject, subject.counts)
    kept = np.isfinite(found) & (found > FLOOR[subject.dtype])
    h, e = 1 / np.array(subject.counts, float)[kept], found[kept]
    if len(h) < 3:
        return []
    return [_strong_order(subject, h, e) if subject.order else _limit(h, e), *_even(subject, h, e)]


def _strong_order(subject: Subject, h: Array, e: Array) -> Finding:
    local = local_orders(h, e)
    found = extrapolated(between_levels(h), local, noise=np.zeros(len(local)), margin=0.005)
    line = f"order in [{found.lower:.2f}, {found.upper:.2f}], declared {subject.order:g} ({_listed(local)} from level to level)"
    assert subject.order is not None
    return at_least("order", (found.lower, found.upper), subject.order - LOST, line, local=local, errors=e)


def _limit(h: Array, e: Array) -> Finding:
    rest = unexplained(e, np.round(1 / h).astype(int).tolist())
    line = f"errors {_listed(e)} with more and more steps"
    return small("limit", rest, tolerance=0.05, line=line, errors=e)


def _even(subject: Subject, h: Array, e: Array) -> list[Finding]:
    """Numbers of steps between those of the sweep, which divide nothing: are errors between theirs?"""
    counts = [n for n in between_counts(subject.counts, subject.declaration) if h[-1] < 1 / n < h[0]]
    if not counts:
        return []
    found = distances(subject, counts)
    expected = np.exp(np.interp(np.log(counts), -np.log(h), np.log(e)))
    excess = np.log(np.where(np.isfinite(found), found, 1e300) / expected)
    worst = int(np.argmax(excess))
    line = f"with {counting(counts[worst], 'step')} the error is {np.exp(min(excess[worst], 99)):.2g} times what its neighbours suggest"
    return [
        small(
            "any number of steps",
            np.maximum(excess, 0.0),
            tolerance=np.log(UNEVEN),
            line=line,
            names=[counting(n, "step") for n in counts],
        )
    ]


def _listed(values: Array) -> str:
    return ", ".join(f"{value:.2g}" for value in values)


# -- particles ---------------------------------------------------------------------------------------------------------


def _cloud(subject: Subject, what: str) -> list[Finding]:
    """Particles against the exact law: with the largest number of steps, and in the limit."""
    check = {"cloud": "law", "narrow cloud": "narrow law", "plane": "law in the plane"}[what]
    counts = ladder(subject.counts)
    runs = [subject.ran(what, n) for n in counts]
    if not all(run.finite for run in runs):
        return [small(check, np.inf, tolerance=1.0, line=f"the run broke down: {runs[-1].error or 'not finite'}")]
    values = [expectations(subject, what, run) for run in runs]
    arrived = _arrived(subject, check, values, counts)
    if len(values) < 3:
        return [arrived]
    limit = _in_the_limit(subject, check, values, counts)
    told = limit.verdict.outcome is not Outcome.UNDECIDED or arrived.verdict.outcome is not Outcome.CONFIRMED
    return [arrived, limit] if told else [arrived]


def ladder(counts: Sequence[int]) -> list[int]:
    """The largest number of steps and those nearest to a half and a quarter of it, of the sweep; increasing."""
    top = max(counts)
    near = {min(counts, key=lambda n, f=f: abs(np.log(n * f / top))) for f in (1, 2, 4)}
    return sorted(near)


def expectations(subject: Subject, what: str, run: Run) -> Array:
    """φ at the run's end, shape (K, n), exact expectations being 0."""
    panel = law_panel({subject.end: subject.on_path(subject.data(what), subject.end)})
    return np.concatenate([block.values(run.end) for block in panel.smooth])


def _arrived(subject: Subject, check: str, values: list[Array], counts: list[int]) -> Finding:
    mean, n = values[-1].mean(1), values[-1].shape[1]
    found = Estimate(
        mean,
        np.full(len(mean), ROUND_OFF),
        covariance=np.atleast_2d(np.cov(values[-1])) / n,
        samples=n,
        source=f"{counting(n, 'particle')}",
    )
    line = f"expectations are {np.max(np.abs(mean)):.2g} from the exact law with {counting(counts[-1], 'step')}"
    settled = sampled(check, found, tolerance=subject.tolerance, line=line, alpha=subject.alpha, value=mean)
    if settled.verdict.outcome is Outcome.CONFIRMED or len(values) < 2:
        return settled
    change = mean - values[-2].mean(1)
    apart = values[-1].var(1) + values[-2].var(1) if subject.stochastic else (values[-1] - values[-2]).var(1)
    share = 1 / (counts[-1] / counts[-2] - 1)  # of first order: what is left over the last change
    budget = panel_step_budget(share * change, share * np.sqrt(apart / n))
    doubted = Estimate(mean, budget, covariance=found.covariance, samples=n, source=found.source)
    return sampled(check, doubted, tolerance=subject.tolerance, line=line, alpha=subject.alpha, value=mean)


def _in_the_limit(subject: Subject, check: str, values: list[Array], counts: list[int]) -> Finding:
    """Expectations extrapolated in the steps' length, with their change from half as many steps for the budget."""
    coarse, middle, fine = (v.mean(1) for v in values[-3:])
    n = values[-1].shape[1]
    (a, b), (c, d) = _weights(counts[-2], counts[-1]), _weights(counts[-3], counts[-2])
    pairs = zip((a, b), (values[-2], values[-1]), strict=True)
    covariance = sum((w**2 * np.atleast_2d(np.cov(v)) / n for w, v in pairs), np.zeros(1))
    limit = a * middle + b * fine
    error = np.sqrt(np.diag(covariance))
    budget = np.abs(limit - (c * coarse + d * middle)) + 3 * error
    found = Estimate(
        limit, np.maximum(budget, 0.3 * budget.max()), covariance=covariance, samples=n, source="extrapolated particles"
    )
    line = f"expectations tend to {np.max(np.abs(limit)):.2g} from the exact law, ± {budget.max():.2g}"
    name = check.replace("law", "limit")
    return sampled(name, found, tolerance=subject.tolerance / 2, line=line, alpha=subject.alpha, value=limit)


def _weights(coarse: int, fine: int) -> tuple[float, float]:
    """Of values with two numbers of steps, whose combination has no error of first order."""
    return -coarse / (fine - coarse), fine / (fine - coarse)


def _weak_order(subject: Subject) -> list[Finding]:
    """From the functional that stands out most with the most steps; nothing is reported that particles cannot tell."""
    if not subject.order:
        return []
    counts = [n for n in subject.counts if n <= 64] if max(subject.counts) > 64 else list(subject.counts)
    runs = [subject.ran("cloud", n) for n in counts]
    if len(counts) < 3 or not all(run.finite for run in runs):
        return []
    values = [expectations(subject, "cloud", run) for run in runs]
    table = np.stack([v.mean(1) for v in values])
    error = np.stack([v.std(1) / np.sqrt(v.shape[1]) for v in values])
    k = int(np.argmax(np.abs(table[-1]) / error[-1]))
    clear = np.abs(table[:, k]) > 4 * error[:, k]
    if clear.sum() < 3:
        return []  # nothing left to see an order of
    h = 1 / np.array(counts, float)[clear]
    lower, upper = (
        order_likelihood(h, table[clear, k], np.diag(error[clear, k] ** 2), alpha=a) for a in (1e-3, subject.alpha)
    )
    line = f"weak order in [{lower.lower:.2f}, {upper.upper:.2f}], declared {subject.order:g}"
    told = at_least("order", (lower.lower, upper.upper), subject.order - 2 * LOST, line)
    return [] if told.verdict.outcome is Outcome.UNDECIDED else [told]
