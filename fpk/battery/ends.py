r"""Where the sampler arrives: the law at the end, its order in the number of steps, and what is left of a point.

On the line characteristics never cross: a deterministic sampler with the exact model must take the quantile u of the law it starts from to the
quantile u of the law it ends at, and its errors, position by position, fall like steps^−p. The law of a stochastic one is held against the exact
one on a panel, the change from half the steps being the budget.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fpk.battery.findings import Finding, at_least, sampled, small
from fpk.battery.subjects import NARROW, PLANE, POINT, Run, Subject, levels
from fpk.laws import Array, GaussianMixture
from fpk.marginals import ROUND_OFF, Estimate, panel_step_budget
from fpk.panels import law_panel
from fpk.rates import between_levels, extrapolated, local_orders
from fpk.samplers.coupling import quantiles

#: Orders this far below the declared one count as lost.
LOST = 0.35
#: What is left of a point may be this share of the last noise level.
LEFT = 0.02


def distances(subject: Subject, counts: Sequence[int]) -> Array:
    """Root-mean-square distance of the quantiles that arrive from those that should, over the law's spread; NaN where the run broke down."""
    target = subject.on_path(subject.law, subject.end)
    wanted, spread = quantiles(target, levels(256)), float(np.sqrt(target.covariance[0, 0]))
    runs = (subject.ran("law", n) for n in counts)
    return np.array(
        [np.sqrt(np.mean((run.end[:, 0] - wanted) ** 2)) / spread if run.finite else np.nan for run in runs]
    )


def law_at_the_end(subject: Subject) -> list[Finding]:
    """Does the sampler reach the data law?"""
    if subject.stochastic:
        return [_cloud(subject, "law", subject.law), _cloud(subject, "narrow", NARROW), _cloud(subject, "plane", PLANE)]
    return [_quantile_law(subject), _cloud(subject, "plane", PLANE)]


def _quantile_law(subject: Subject) -> Finding:
    counts = list(subject.counts)
    found = distances(subject, counts)
    if len(counts) > 1 and subject.order:
        rest = 2 * abs(found[-1] - found[-2])  # what a convergent sequence may still be away
        limit = max(0.0, found[-1] - rest)
    else:
        limit = found[-1]
    line = f"{found[-1]:.3g} spreads from the exact quantiles with {counts[-1]} steps, {limit:.2g} of it not explained by the steps"
    return small(
        "law", np.array([limit, found[-1] / 3]), tolerance=subject.tolerance / 3, line=line, errors=found, counts=counts
    )


def _cloud(subject: Subject, name: str, law: GaussianMixture) -> Finding:
    """Particles against the exact law, with the change from half the steps as the budget."""
    check = {"law": "law", "narrow": "narrow law", "plane": "law in the plane"}[name]
    fine = max(subject.counts)
    coarse = max([n for n in subject.counts if n <= fine / 1.6], default=fine)
    runs = [subject.ran("cloud" if name == "law" else name, n) for n in (coarse, fine)]
    if not all(run.finite for run in runs):
        return small(
            check, np.inf, tolerance=subject.tolerance, line=f"the run broke down: {runs[-1].error or 'not finite'}"
        )
    estimate = _estimate(subject, law, *runs)
    worst = float(np.max(np.abs(estimate.value)))
    line = f"expectations are {worst:.2g} from the exact law with {fine} steps (budget {estimate.bias_bound.max():.2g})"
    return sampled(check, estimate, tolerance=subject.tolerance, line=line, alpha=subject.alpha, value=estimate.value)


def _estimate(subject: Subject, law: GaussianMixture, coarse: Run, fine: Run) -> Estimate:
    """E φ of the fine run's positions, exact expectations being 0."""
    panel = law_panel({subject.end: subject.on_path(law, subject.end)})
    before, after = (np.concatenate([b.values(run.end) for b in panel.smooth]) for run in (coarse, fine))
    n = after.shape[1]
    error = np.sqrt((before.var(1) + after.var(1)) / n)
    change = after.mean(1) - before.mean(1)
    budget = panel_step_budget(change, error) if coarse.steps != fine.steps else np.full(len(after), ROUND_OFF)
    return Estimate(
        after.mean(1), budget, covariance=np.atleast_2d(np.cov(after)) / n, samples=n, source=f"{n:,} particles"
    )


def order(subject: Subject) -> list[Finding]:
    """Do errors fall as fast as declared?"""
    if subject.order is None or subject.stochastic or len(subject.counts) < 3:
        return []
    counts = np.array(subject.counts, float)
    errors = distances(subject, tuple(subject.counts))
    kept = np.isfinite(errors) & (errors > 1e-11)
    h, e = 1 / counts[kept], errors[kept]
    if len(h) < 3:
        return [
            small(
                "order",
                np.inf if not np.isfinite(errors).all() else 0.0,
                tolerance=1.0,
                line="too few levels above round-off",
            )
        ]
    local = local_orders(h, e)
    found = extrapolated(between_levels(h), local, noise=np.zeros(len(local)), margin=0.005)
    line = f"order in [{found.lower:.2f}, {found.upper:.2f}], declared {subject.order:g} (local orders {', '.join(f'{p:.2f}' for p in local)})"
    return [at_least("order", (found.lower, found.upper), subject.order - LOST, line, local=local, errors=e)]


def leftover(subject: Subject) -> list[Finding]:
    """What is left of a point mass at the end, in units of the last noise level the model was shown."""
    fine = max(subject.counts)
    run = subject.ran("spot", fine)
    if not run.finite or not run.calls:
        return []
    alpha, sigma = subject.declaration.level(subject.end)
    last = min(subject.declaration.level(call.time)[1] for call in run.calls)
    spread = float(np.sqrt(np.mean((run.end[:, 0] - alpha * POINT) ** 2)))
    left = max(0.0, spread - sigma) / last if last > 0 else spread
    line = f"of a point mass {spread:.2g} is left at the end; the last noise level was {last:.2g}"
    return [small("last step", left, tolerance=LEFT, line=line, left=left, last=last)]
