r"""Log-likelihoods of other people: is exp(ℓ) a density, is it that of the law, and if not, which mistake looks like it?

==================== =====================================================================================================
log-density          ℓ = log p at quantiles of the law (or samples, d > 1)
mass                 ∫ exp(ℓ) = 1, by quadrature; weighed from a wider law where d > 2
mean ratio           E_p exp(ℓ − log p) = 1
there and back       a flow returns, and the two logarithms of determinants add up to 0
number of probes     the mean of an estimated ℓ does not depend on how many probes it takes
==================== =====================================================================================================

With a schedule the flow is known, and so is what a mistake adds: with z where the flow takes x and Δ = log p(x) − log p_T(z) the logarithm of its
determinant, −2Δ is the wrong sign of the divergence, −Δ its absence, log N(z; 0, I) − log p_T(z) a prior that the flow does not reach.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.battery.fields import EXPLAINS, OFF_CENTRE, named
from fpk.battery.findings import Finding, Suspect
from fpk.battery.flows import flow, path_times
from fpk.comparison import settle
from fpk.difference import ALPHA
from fpk.errors import ComparisonError
from fpk.fields import exact_field
from fpk.laws import Array, Gaussian, GaussianMixture, Law
from fpk.marginals import Estimate, zero_estimate
from fpk.schedules import Schedule
from fpk.verdict import Outcome

#: Points for the log-density, for the mean ratio, along each axis of a quadrature, and samples.
POINTS, QUANTILES, NODES, SAMPLES = 48, 256, (481, 65), 2048
#: Widening of the law that mass is weighed from, steps along the known flow, repetitions of an estimated likelihood.
WIDER, STEPS, REPEATS = 1.3, 64, 48
#: A density of 0 counts as this far below.
BOTTOMLESS = 1e3

Likelihood = Callable[..., Array]
Flow = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True)
class LikelihoodExamination:
    """What was found about a likelihood: findings, and mistakes that would explain them, best first."""

    findings: tuple[Finding, ...]
    suspects: tuple[Suspect, ...]

    @property
    def outcome(self) -> Outcome:
        """REFUTED if one finding is, CONFIRMED if all are."""
        outcomes = {finding.verdict.outcome for finding in self.findings}
        return next(o for o in (Outcome.REFUTED, Outcome.UNDECIDED, Outcome.CONFIRMED) if o in outcomes)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.findings), *(f"  {k}. {s}" for k, s in enumerate(self.suspects[:3], 1))])


def examine_likelihood(
    log_likelihood: Likelihood,
    law: Law = OFF_CENTRE,
    *,
    schedule: Schedule | None = None,
    end: float = 1.0,
    flows: tuple[Flow, Flow] | None = None,
    probes: Sequence[int] = (),
    tolerance: float = 0.01,
    error: float = 1e-6,
    seed: int = 0,
    alpha: float = ALPHA,
) -> LikelihoodExamination:
    """Examine a log-likelihood (natural logarithm, no mean over coordinates) that an exact model of the law was given to.

    Parameters
    ----------
    log_likelihood : callable
        Positions (n, d) ↦ (n,). With ``probes`` it is an estimator, ``log_likelihood(x, count, rng)``.
    law : Law
        p.
    schedule : Schedule, optional
        Of the path whose flow it follows up to ``end``: then mistakes are looked for (GaussianMixture only).
    end : float
    flows : pair of callables, optional
        x ↦ (z, log |∂z/∂x|) and z ↦ (x, log |∂x/∂z|).
    probes : sequence of int
        Numbers of probes to compare, two or more.
    tolerance : float
        How far log-densities, masses and means may be off.
    error : float
        Of the likelihood's own integration: what finer steps would change.
    seed, alpha
        Of samples and estimators; probability of refuting what is right.

    Examples
    --------
    >>> import fpk
    >>> law = fpk.Gaussian(3.0, 0.7)
    >>> found = examine_likelihood(lambda x: law.log_density(x) + 0.5 * np.log(2 * np.pi), law)
    >>> print(found.outcome, found.suspects[0].mistake)
    REFUTED ½d log 2π left out
    """
    if probes:
        examined = _Estimated(log_likelihood, law, probes, error, seed, alpha)
        findings = examined.findings(tolerance)
        x, gap = examined.x, examined.gap
    else:
        x = points_of(law, POINTS, seed)
        gap = np.maximum(_called(log_likelihood, x) - law.log_density(x), -BOTTOMLESS)
        findings = [
            _log_density(x, gap, tolerance, error),
            _mass(log_likelihood, law, tolerance, error, seed, alpha),
            _mean_ratio(log_likelihood, law, tolerance, error, seed, alpha),
        ]
    if flows is not None:
        findings.append(_there_and_back(flows, x, tolerance, error))
    suspects: list[Suspect] = []
    if any(finding.refuted for finding in findings):
        suspects = _suspects(x, gap, law, schedule, end, probes)
        suspects += [] if flows is None else _turned(flows, x)
    return LikelihoodExamination(tuple(findings), tuple(suspects))


# -- where to look -----------------------------------------------------------------------------------------------------


def points_of(law: Law, count: int, seed: int) -> Array:
    """Quantiles in one dimension, else samples; shape (count, d)."""
    if law.dimension > 1:
        return law.sample(count, np.random.default_rng(seed))
    from fpk.samplers.coupling import quantiles

    return quantiles(law, (np.arange(count) + 0.5) / count)[:, None]


def _called(log_likelihood: Likelihood, x: Array, *arguments: Any) -> Array:
    values = np.asarray(log_likelihood(x, *arguments), float)
    if values.shape != (len(x),):
        raise ComparisonError(
            f"a log-likelihood has one number for each position, shape ({len(x)},); got {values.shape}."
        )
    if np.isnan(values).any() or np.isposinf(values).any():
        raise ComparisonError(f"the log-likelihood is not finite at x={x[~np.isfinite(values)][0].tolist()}.")
    return values


def _box(law: Law) -> list[tuple[float, float]]:
    """Ends of the law along each axis."""
    d = law.dimension
    lines = [law] if d == 1 else [law.projected(e) for e in np.eye(d)]
    return [(float(line.breakpoints()[0]), float(line.breakpoints()[-1])) for line in lines]


# -- findings ----------------------------------------------------------------------------------------------------------


def _finding(
    check: str, found: Estimate, names: Sequence[str], tolerance: float, line: str, alpha: float = ALPHA
) -> Finding:
    zero = zero_estimate(len(found.value))
    return Finding(check, settle(found, zero, names=names, tolerance=tolerance, kind="identity", alpha=alpha), line)


def _log_density(x: Array, gap: Array, tolerance: float, error: float) -> Finding:
    found = Estimate(gap, np.full(len(gap), error), source="the log-likelihood")
    names = [f"log-density at x={','.join(f'{c:.4g}' for c in row)}" for row in x]
    return _finding("log-density", found, names, tolerance, f"off by {np.abs(gap).max():.2g} at most")


def _mass(log_likelihood: Likelihood, law: Law, tolerance: float, error: float, seed: int, alpha: float) -> Finding:
    if law.dimension <= len(NODES):
        found = _integral(log_likelihood, law, error)
    else:
        wide = _wider(law)
        x = wide.sample(SAMPLES, np.random.default_rng([seed, 1]))
        found = _averaged(np.exp(_called(log_likelihood, x) - wide.log_density(x)), error)
    return _finding("mass", found, ("mass",), tolerance, f"∫ exp(ℓ) = {1 + found.value[0]:.6g}", alpha)


def _integral(log_likelihood: Likelihood, law: Law, error: float) -> Estimate:
    """Trapezoid sums on a box, whose every second node tells what is left; less 1."""
    axes = [np.linspace(a, b, NODES[law.dimension - 1]) for a, b in _box(law)]
    x = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    values = np.exp(_called(log_likelihood, x)).reshape([len(axis) for axis in axes])
    cell = float(np.prod([axis[1] - axis[0] for axis in axes]))
    every = tuple(slice(None, None, 2) for _ in axes)
    fine, coarse = values.sum() * cell, values[every].sum() * cell * 2 ** len(axes)
    budget = np.array([abs(fine - coarse) + 2 * error])
    return Estimate(np.array([fine - 1]), budget, coarser=np.array([coarse - 1]), source="the log-likelihood")


def _wider(law: Law) -> Law:
    if not isinstance(law, GaussianMixture):
        raise ComparisonError("in more than two dimensions the law is a GaussianMixture.")
    return GaussianMixture(law.weights, law.means, covariances=WIDER**2 * law.covariances)


def _averaged(ratio: Array, error: float) -> Estimate:
    n = len(ratio)
    return Estimate(
        np.array([ratio.mean() - 1]),
        np.array([2 * error]),
        covariance=np.array([[ratio.var(ddof=1) / n]]),
        samples=n,
        source="the log-likelihood",
    )


def _mean_ratio(
    log_likelihood: Likelihood, law: Law, tolerance: float, error: float, seed: int, alpha: float
) -> Finding:
    x = points_of(law, QUANTILES if law.dimension == 1 else SAMPLES, seed + 1)
    with np.errstate(over="ignore"):
        ratio = np.minimum(np.exp(_called(log_likelihood, x) - law.log_density(x)), 1e300)
    if law.dimension > 1:
        found = _averaged(ratio, error)
    else:
        mean, odd = ratio.mean() - 1, ratio[1::3].mean() - 1  # thirds: their middles are middles of thrice the width
        found = Estimate(
            np.array([mean]),
            np.array([abs(mean - odd) + 2 * error]),
            coarser=np.array([odd]),
            source="the log-likelihood",
        )
    return _finding("mean ratio", found, ("mean ratio",), tolerance, f"E exp(ℓ − log p) = {ratio.mean():.6g}", alpha)


def _there_and_back(flows: tuple[Flow, Flow], x: Array, tolerance: float, error: float) -> Finding:
    z, there = flows[0](x)
    back, again = flows[1](z)
    gaps = np.array([np.abs(back - x).max(), np.abs(np.asarray(there) + np.asarray(again)).max()])
    found = Estimate(gaps, np.full(2, error), source="the flows")
    names = ("distance after the way back", "sum of the logarithms of determinants")
    line = f"returns within {gaps[0]:.2g}, determinants cancel within {gaps[1]:.2g}"
    return _finding("there and back", found, names, tolerance, line)


def _turned(flows: tuple[Flow, Flow], x: Array) -> list[Suspect]:
    """Whether the way back has the logarithm of the wrong determinant."""
    z, there = flows[0](x)
    again = np.asarray(flows[1](z)[1])
    scale = max(float(np.abs(there).max()), 1e-12)
    left = {"sign of the determinant on the way back": float(np.abs(again - there).max()) / scale}
    return named(left, among=EXPLAINS)


class _Estimated:
    """A likelihood with a random divergence: means over repetitions, for each number of probes."""

    def __init__(
        self, log_likelihood: Likelihood, law: Law, probes: Sequence[int], error: float, seed: int, alpha: float
    ) -> None:
        if len(probes) < 2:
            raise ComparisonError(f"two numbers of probes or more are compared, got {tuple(probes)}.")
        self.x, self.probes, self.alpha, self.error = points_of(law, POINTS, seed), tuple(probes), alpha, error
        rng, exact = np.random.default_rng([seed, 2]), law.log_density(self.x)
        gaps = np.array(
            [[_called(log_likelihood, self.x, m, rng) - exact for _ in range(REPEATS)] for m in self.probes]
        )
        self.gap = gaps.mean((0, 1))
        self.means = gaps.mean(2)

    def _mean(self, values: Array) -> Estimate:
        return Estimate(
            values.mean(1),
            np.full(len(values), self.error),
            covariance=np.atleast_2d(np.cov(values)) / REPEATS,
            samples=REPEATS,
            averaged=True,
            source="the log-likelihood",
        )

    def findings(self, tolerance: float) -> list[Finding]:
        """Means against the log-density, and against each other."""
        level, change = self._mean(self.means), self._mean(np.diff(self.means, axis=0))
        names = [f"mean with {m} probes" for m in self.probes]
        steps = [f"{b} probes less {a}" for a, b in zip(self.probes[:-1], self.probes[1:], strict=True)]
        return [
            _finding(
                "log-density",
                level,
                names,
                tolerance,
                f"off by {np.abs(level.value).max():.2g} in the mean",
                self.alpha,
            ),
            _finding(
                "number of probes",
                change,
                steps,
                tolerance,
                f"changes the mean by {np.abs(change.value).max():.2g}",
                self.alpha,
            ),
        ]


# -- which mistake -----------------------------------------------------------------------------------------------------


def _suspects(
    x: Array, gap: Array, law: Law, schedule: Schedule | None, end: float, probes: Sequence[int]
) -> list[Suspect]:
    """Mistakes by what they leave of ℓ − log p."""
    log_p, d = law.log_density(x), x.shape[1]
    known = _of_any_law(log_p, d)
    if schedule is not None and isinstance(law, GaussianMixture):
        known |= _along_the_flow(x, law, schedule, end, float(np.mean(probes)) if probes else 1.0)
    if isinstance(law, GaussianMixture) and len(law.weights) > 1:
        known |= _of_a_mixture(x, law, log_p)
    known["a constant"] = np.full(len(x), gap.mean())
    known["a factor"] = log_p * float(gap @ log_p / (log_p @ log_p))
    advice = {
        "a constant": f"every log-likelihood is off by {gap.mean():.4g}",
        "a factor": f"every log-likelihood is multiplied by {1 + float(gap @ log_p / (log_p @ log_p)):.4g}",
    }
    scale = float(np.sqrt(np.mean(gap**2)))
    if scale < 1e-9:
        return []
    handicap = {"a constant": 0.01, "a factor": 0.02}
    left = {
        name: float(np.sqrt(np.mean((gap - effect) ** 2))) / scale + handicap.get(name, 0.0)
        for name, effect in known.items()
    }
    return named(left, lambda name: advice.get(name, ""), among=EXPLAINS)


def _of_any_law(log_p: Array, d: int) -> dict[str, Array]:
    """What mistakes add to log p, whatever it was computed with."""
    constant, one = 0.5 * d * np.log(2 * np.pi), np.ones_like(log_p)
    known = {
        "½d log 2π left out": constant * one,
        "½d log 2π twice": -constant * one,
        "d log 2π for ½d log 2π": -constant * one,
        "½ log 2π once for d coordinates": (constant - 0.5 * np.log(2 * np.pi)) * one,
        "bits for nats": (1 / np.log(2) - 1) * log_p,
        "negative log-likelihood": -2 * log_p,
        "negative log-likelihood in bits": -(1 + 1 / np.log(2)) * log_p,
    }
    if d > 1:
        known["mean over the coordinates for their sum"] = (1 / d - 1) * log_p
        known["bits per coordinate"] = -(1 + 1 / (d * np.log(2))) * log_p
    return {name: effect for name, effect in known.items() if np.any(effect)}


def _of_a_mixture(x: Array, law: GaussianMixture, log_p: Array) -> dict[str, Array]:
    """What mistakes in the sum over components add."""
    equal = GaussianMixture(np.full(len(law.weights), 1 / len(law.weights)), law.means, covariances=law.covariances)
    parts = np.array([part.log_density(x) for part in _components(law)])
    return {
        "weights of the components left out": equal.log_density(x) + np.log(len(law.weights)) - log_p,
        "equal weights of the components": equal.log_density(x) - log_p,
        "largest component only": np.max(np.log(law.weights)[:, None] + parts, axis=0) - log_p,
        "mean of the components' logarithms": law.weights @ parts - log_p,
    }


def _components(law: GaussianMixture) -> list[Gaussian]:
    return [Gaussian(mean, covariance=C) for mean, C in zip(law.means, law.covariances, strict=True)]


def _along_the_flow(x: Array, law: GaussianMixture, schedule: Schedule, end: float, probes: float) -> dict[str, Array]:
    """What mistakes along the flow add."""
    field = exact_field(law, schedule, kind="velocity")
    eye = np.eye(law.dimension)
    last = law.pushed(schedule.alpha(end) * eye, np.zeros(len(eye)), schedule.sigma(end) ** 2 * eye)
    z = flow(field, x, path_times(end, STEPS)).end
    log_end = last.log_density(z)
    delta = law.log_density(x) - log_end
    prior = Gaussian(np.zeros(len(eye))).log_density(z) - log_end
    scaled = Gaussian(np.zeros(len(eye)), max(schedule.sigma(end), 1e-12)).log_density(z) - log_end
    unlike = {"N(0, I) for the law where the flow ends": prior, "N(0, σ²I) for the law where the flow ends": scaled}
    known = {
        "sign of the divergence": -2 * delta,
        "divergence left out": -delta,
        "half the divergence": -0.5 * delta,
        "twice the divergence": delta,
        "sum over the probes for their mean": (probes - 1) * delta,
        "density at the end left out": -log_end,
        "density at the start of the flow for that at its end": last.log_density(x) - log_end,
        "mean over the coordinates in the divergence": (1 / len(eye) - 1) * delta,
        "½d log 2π left out, sign of the divergence": 0.5 * len(eye) * np.log(2 * np.pi) - 2 * delta,
        **unlike,
        **{f"{name}, sign of the divergence": effect - 2 * delta for name, effect in unlike.items()},
        **{f"{name}, divergence left out": effect - delta for name, effect in unlike.items()},
    }
    return {name: effect for name, effect in known.items() if np.any(effect)}
