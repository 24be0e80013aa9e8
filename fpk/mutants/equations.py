"""Wrong variants of equations: coefficients, schedules, transformations, fields and laws."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.mutants.changes import Change, Function, instead, late, parts, power, then, times
from fpk.mutants.planting import Mutant

DIFFUSIVITY = "problem:Problem.diffusivity"
SAMPLED = "fokker_planck.fluxes:Sampled.__call__"
NOISE_DRIFT = "transformations:_noise_drift"


def _stirred(share: float) -> Change:
    """The grid's drift f with ``share`` · g g′ added: 1 leaves the flux f p − D p′, ½ is the Stratonovich reading."""

    def change(original: Function) -> Function:
        def sampled(self: Any, t: float) -> tuple[Any, Any, Any]:
            f, D, climb = original(self, t)
            g, n, x = self.problem.diffusion, self.grid.cells, self.points
            if not g.state_dependent:
                return f, D, climb
            extra = share * (g(x, t) * g.gradient(x, t))[:, 0]
            rise = (extra / self.problem.diffusivity(x, t)[:, 0])[n:].reshape(2 * n, -1) * self.grid.half_cell_weights
            return f + extra[:n] / self.grid.center_stretch, D, climb + rise.sum(1)

        return sampled

    return change


PROBLEM = (
    Mutant("½ missing on g²", DIFFUSIVITY, times(2.0), "problem"),
    Mutant("½ extra on g²", DIFFUSIVITY, times(0.5), "problem"),
    Mutant("g² for g", DIFFUSIVITY, then(lambda D: 2 * D**2), "problem"),
    Mutant("g for g²", DIFFUSIVITY, then(lambda D: (D / 2) ** 0.5), "problem"),
    Mutant("D for g", DIFFUSIVITY, then(lambda D: D**2 / 2), "problem"),
    Mutant("diffusivity + 1 %", DIFFUSIVITY, times(1.01), "problem", near=True),
    Mutant("diffusivity − 2 %", DIFFUSIVITY, times(0.98), "problem", near=True),
    Mutant("drift sign", SAMPLED, parts(-1.0, 1.0, -1.0), "problem"),
    Mutant("½ missing in the drift", SAMPLED, parts(2.0, 1.0, 2.0), "problem"),
    Mutant("½ extra in the drift", SAMPLED, parts(0.5, 1.0, 0.5), "problem"),
    Mutant("drift + 1 %", SAMPLED, parts(1.01, 1.0, 1.01), "problem", near=True),
    Mutant("Itô term dropped", SAMPLED, _stirred(1.0), "problem"),
    Mutant("read as Stratonovich", SAMPLED, _stirred(0.5), "problem"),
    Mutant("x-derivative sign", "coefficients:Coefficient.gradient", times(-1.0), "problem"),
    Mutant("x-derivative + 3 %", "coefficients:Coefficient.gradient", times(1.03), "problem", near=True),
    Mutant("linear drift + 1 %", "coefficients:Linear.__call__", times(1.01), "problem", near=True),
    Mutant(
        "potential differences + 1 %",
        "coefficients:GradientDrift.level",
        then(lambda level: lambda x: 1.01 * level(x)),
        "problem",
        near=True,
    ),
)


def _sub_vp_without_two(self: Any, t: float) -> float:
    """√(β(1 − e^{−B}))."""
    return float(np.sqrt(-self.beta(t) * np.expm1(-self.integrated_beta(t))))


SCHEDULE = (
    Mutant("VP: α = e^{−B}", "schedules:VariancePreserving.alpha", power(2), "schedule"),
    Mutant("VP: σ² for σ", "schedules:VariancePreserving.sigma", power(2), "schedule"),
    Mutant("VP: α² + σ² = 1 with e^{−B/2}", "schedules:VariancePreserving.sigma", instead(
        lambda self, t: float(np.sqrt(-np.expm1(-0.5 * self.integrated_beta(t))))), "schedule"),
    Mutant("VP: ½ missing in the drift", "schedules:VariancePreserving.drift_rate", times(2.0), "schedule"),
    Mutant("VP: drift sign", "schedules:VariancePreserving.drift_rate", times(-1.0), "schedule"),
    Mutant("VP: β for √β", "schedules:VariancePreserving.diffusion", power(2), "schedule"),
    Mutant("VP: √(2β) for √β", "schedules:VariancePreserving.diffusion", times(2**0.5), "schedule"),
    Mutant("VP: α + 1 %", "schedules:VariancePreserving.alpha", times(1.01), "schedule", near=True),
    Mutant("VP: σ + 1 %", "schedules:VariancePreserving.sigma", times(1.01), "schedule", near=True),
    Mutant("VP: g + 1 %", "schedules:VariancePreserving.diffusion", times(1.01), "schedule", near=True),
    Mutant("βt for ∫β", "schedules:_LinearRate.integrated_beta", instead(lambda self, t: self.beta(t) * t), "schedule"),
    Mutant("∫β + 2 %", "schedules:_LinearRate.integrated_beta", times(1.02), "schedule", near=True),
    Mutant("β one step of 50 late", "schedules:_LinearRate.beta", late(0.02), "schedule", near=True),
    Mutant("sub-VP: σ of VP", "schedules:SubVPSchedule.sigma", power(0.5), "schedule"),
    Mutant("sub-VP: σ + 1 %", "schedules:SubVPSchedule.sigma", times(1.01), "schedule", near=True),
    Mutant("sub-VP: g + 2 %", "schedules:SubVPSchedule.diffusion", times(1.02), "schedule", near=True),
    Mutant("sub-VP: e^{−B} for e^{−2B} in g", "schedules:SubVPSchedule.diffusion", instead(_sub_vp_without_two), "schedule"),
    Mutant("sub-VP: drift sign", "schedules:SubVPSchedule.drift_rate", times(-1.0), "schedule"),
    Mutant("VE: s(t) for √(s(t)² − s(0)²)", "schedules:VESchedule.sigma", instead(lambda self, t: self._scale(t)), "schedule"),
    Mutant("VE: 2 missing under the root", "schedules:VESchedule.diffusion", times(0.5**0.5), "schedule"),
    Mutant("VE: σ + 1 %", "schedules:VESchedule.sigma", times(1.01), "schedule", near=True),
    Mutant("any (α, σ): g + 1 %", "schedules:AffineSchedule.diffusion", times(1.01), "schedule", near=True),
)  # fmt: skip


def _score_times(factor: float) -> Change:
    """The score in ½∇·Σ + ½Σ s times a factor."""
    return lambda original: lambda h, s, x, t: original(h, factor * s, x, t)


def _divergence_times(factor: float) -> Change:
    """∇·Σ in ½∇·Σ + ½Σ s times a factor."""
    return lambda original: lambda h, s, x, t: original(h, s, x, t) + (factor - 1) * original(h, 0 * s, x, t)


def _without_square(original: Function) -> Function:
    """∂h + ½h s: one factor h lost."""
    return lambda h, s, x, t: 0.0 if h.constant == 0.0 else original(h, s, x, t) / h(x, t)


def _unreversed(original: Function) -> Function:
    """The noise of the reverse process read at τ, not at T − τ."""
    return lambda h, T: original(h, T) if h.constant is not None else h.given


def _faster(original: Function) -> Function:
    """Another clock with a pace 2 % too high."""
    return lambda problem, score, *, pace, **settings: original(
        problem, score, pace=lambda t: 1.02 * pace(t), **settings
    )


TRANSFORMATION = (
    Mutant("score sign", NOISE_DRIFT, _score_times(-1.0), "transformation"),
    Mutant("factor 2 in the score", NOISE_DRIFT, _score_times(2.0), "transformation"),
    Mutant("½ extra on the score", NOISE_DRIFT, _score_times(0.5), "transformation"),
    Mutant("score + 2 %", NOISE_DRIFT, _score_times(1.02), "transformation", near=True),
    Mutant("g for g² beside the score", NOISE_DRIFT, _without_square, "transformation"),
    Mutant("∇·(ggᵀ) dropped", NOISE_DRIFT, _divergence_times(0.0), "transformation"),
    Mutant("∇·(ggᵀ) sign", NOISE_DRIFT, _divergence_times(-1.0), "transformation"),
    Mutant("½ on ∇·(ggᵀ)", NOISE_DRIFT, _divergence_times(0.5), "transformation"),
    Mutant("∇·(ggᵀ) + 3 %", NOISE_DRIFT, _divergence_times(1.03), "transformation", near=True),
    Mutant("velocity sign", "transformations:_velocity", times(-1.0), "transformation"),
    Mutant("velocity + 2 %", "transformations:_velocity", times(1.02), "transformation", near=True),
    Mutant("time direction", "transformations:_forward", instead(lambda T, tau: tau), "transformation"),
    Mutant("reverse clock 2 % slow", "transformations:_forward", instead(lambda T, tau: T - 0.98 * tau),
           "transformation", near=True),
    Mutant("another clock: pace + 2 %", "transformations:retimed", _faster, "transformation", near=True),
    Mutant("reverse noise at τ", "transformations:_reversed_noise", _unreversed, "transformation"),
)  # fmt: skip


def _blurred(noise: float) -> Change:
    """The noise covariance of an affine map times a factor."""
    return lambda original: lambda self, A, b, C: original(self, A, b, noise * C)


def _scaled_potential(factor: float) -> Change:
    return lambda original: lambda cls, U, *args, **kwargs: original(cls, lambda x: factor * U(x), *args, **kwargs)


FIELD = (
    Mutant("score of a mixture: sign", "laws.gaussian:GaussianMixture.score", times(-1.0), "field"),
    Mutant("score of a mixture + 2 %", "laws.gaussian:GaussianMixture.score", times(1.02), "field", near=True),
    Mutant("score of a grid: sign", "fokker_planck.solver:GridMarginals.score", times(-1.0), "field"),
    Mutant("score of a grid + 2 %", "fokker_planck.solver:GridMarginals.score", times(1.02), "field", near=True),
    Mutant("central differences: sign", "laws.base:central_derivative", times(-1.0), "field"),
    Mutant("central differences + 1 %", "laws.base:central_derivative", times(1.01), "field", near=True),
)

MOMENTS = "the one claim on moment equations compares two of them, and its inequality leaves room"

LAW = (
    Mutant("σ for σ² of the added noise", "laws.gaussian:GaussianMixture.pushed", lambda original: (
        lambda self, A, b, C: original(self, A, b, np.sqrt(np.abs(C)))), "law"),
    Mutant("added noise + 2 %", "laws.gaussian:GaussianMixture.pushed", _blurred(1.02), "law", near=True),
    Mutant("density of a mixture + 1 %", "laws.gaussian:GaussianMixture.log_density", then(
        lambda logs: logs + np.log(1.01)), "law", near=True),
    Mutant("Gibbs law: ½ extra", "laws.tabulated:TabulatedLaw.gibbs", _scaled_potential(0.5), "law"),
    Mutant("Gibbs law + 2 %", "laws.tabulated:TabulatedLaw.gibbs", _scaled_potential(1.02), "law", near=True),
    Mutant("moment equation: g for g²", "moments:linear_terms", lambda original: (
        lambda problem, t: (*original(problem, t)[:2], np.sqrt(original(problem, t)[2]))), "law", excuse=MOMENTS),
    Mutant("moment equation: g² + 2 %", "moments:linear_terms", parts(1.0, 1.0, 1.02**0.5), "law", near=True, excuse=MOMENTS),
)  # fmt: skip

EQUATIONS = (*PROBLEM, *SCHEDULE, *TRANSFORMATION, *FIELD, *LAW)
