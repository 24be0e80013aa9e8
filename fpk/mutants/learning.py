"""Wrong variants of fields, samplers, propagated chains, objectives and bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fpk.laws import Array
from fpk.mutants.changes import Function, instead, parts, power, then, times
from fpk.mutants.planting import Mutant

CONVERSION = "fields.kinds:conversion"
RATES = "schedules:rates"
SCALING = "fields.inputs:scaling"
INDEX = "fields.inputs:Index.__call__"
POSTERIOR = "samplers.forward:posterior_variance"
TRANSITION = "samplers.forward:forward_variance"
REVERSE = "samplers.reverse:EulerMaruyama.drift"
LANGEVIN = "samplers.langevin:langevin_kernel"
STAGES = "samplers.flows:RungeKutta.advanced"
TRANSPORTED = "samplers.rectified:transported"
VECTOR = "samplers.poisson:PoissonField.vector"
TARGET = "models.points:Pairs.target"
IMPLICIT = "models.objectives:implicit"
BOUND = "models.bounds:girsanov"


def _other_score(factor: float) -> Function:
    """The drift of the reverse SDE with ``factor`` times ½h² more of the score."""

    def change(original: Function) -> Function:
        def drift(self: Any, x: Array, t: float) -> Array:
            return original(self, x, t) + factor * 0.5 * self.noise(t) ** 2 * self.field.score(x, t)

        return drift

    return change


def _same_time(original: Function) -> Function:
    """All stages at the start of the step."""
    return lambda self, velocity, x, pair: original(self, lambda y, t: velocity(y, pair[0]), x, pair)


def _too_far(original: Function) -> Function:
    """Every step 1 % too far."""
    return lambda self, velocity, x, pair: x + 1.01 * (original(self, velocity, x, pair) - x)


def _costing(**factors: float) -> Function:
    """What a flow costs, with factors on its parts."""
    return then(lambda found: replace(found, **{name: f * getattr(found, name) for name, f in factors.items()}))


def _steeper(E: Array) -> Array:
    """A field whose last component is 1 % too large."""
    return np.hstack([E[:, :-1], 1.01 * E[:, -1:]])


def _noisier(factor: float) -> Function:
    """Kernels whose standard deviation has a factor."""
    return then(lambda kernel: replace(kernel, std=factor * kernel.std))


def _with_slopes(factor: float) -> Function:
    """An objective with a factor on its linear part: of the implicit one, on the divergence."""
    return then(lambda objective: replace(objective, b=factor * objective.b))


LEARNING = (
    Mutant("conversion: sign", CONVERSION, parts(-1.0, 1.0), "field"),
    Mutant("conversion: x dropped", CONVERSION, parts(1.0, 0.0), "field"),
    Mutant("conversion + 0.01 %", CONVERSION, parts(1.0001, 1.0), "field", near=True),
    Mutant("σ̇: half", RATES, parts(1.0, 0.5), "schedule"),
    Mutant("α̇ + 1 %", RATES, parts(1.01, 1.0), "schedule", near=True),
    Mutant("scale of a model's input ignored", SCALING, instead(lambda scale, schedule, t: 1.0), "field"),
    Mutant("index of a model one too high", INDEX, then(lambda index: index + 1), "field"),
    Mutant("guidance: w + 1 for w", "fields.guidance:classifier_free", lambda original: (
        lambda conditional, unconditional, *, weight: original(conditional, unconditional, weight=weight + 1)
    ), "field", excuse="the claims guide by a classifier; its tests refute it"),
    Mutant("posterior variance: √", POSTERIOR, power(0.5), "scheme"),
    Mutant("posterior variance + 1 %", POSTERIOR, times(1.01), "scheme", near=True),
    Mutant("variance of a transition + 0.1 %", TRANSITION, times(1.001), "scheme", near=True),
    Mutant("reverse SDE: ½ missing on the score", REVERSE, _other_score(1.0), "scheme"),
    Mutant("reverse SDE: score + 1 %", REVERSE, _other_score(0.01), "scheme", near=True),
    Mutant("middle of a step too early", "samplers.exponential:DPMSolver2._middle", lambda original: (
        lambda self, k: 0.8 * self.pair(k)[0] + 0.2 * self.pair(k)[1]
    ), "scheme"),
    Mutant("Runge–Kutta: one time for all stages", STAGES, _same_time, "scheme"),
    Mutant("Runge–Kutta: steps + 1 %", STAGES, _too_far, "scheme", near=True),
    Mutant("straightness of a flow − 3 %", TRANSPORTED, _costing(straightness=0.97), "scheme", near=True),
    Mutant("straightness of a flow + 5 %", TRANSPORTED, _costing(straightness=1.05), "scheme", near=True),
    Mutant("cost of a flow − 2 %", TRANSPORTED, _costing(cost=0.98), "scheme", near=True),
    Mutant("Langevin: √κ for √(2κ)", LANGEVIN, _noisier(0.5**0.5), "scheme"),
    Mutant("Langevin: noise + 1 %", LANGEVIN, _noisier(1.01), "scheme", near=True),
    Mutant("MALA of fields: ratio inverted", "samplers.langevin:MALA.log_acceptance", lambda original: (
        lambda self, x, y: original(self, y, x)
    ), "scheme"),
    Mutant("Poisson field: height + 1 %", "samplers.poisson:PoissonField.velocity", times(1.01), "scheme", near=True),
    Mutant("Poisson field: vector + 1 %", VECTOR, times(1.01), "scheme", near=True),
    Mutant("Poisson field: upward + 1 %", VECTOR, then(_steeper), "scheme", near=True),
    Mutant("Coulomb's law + 1 %", "samplers.poisson:coulomb", times(1.01), "scheme", near=True),
    Mutant("charges of a law: spread + 2 %", "samplers.poisson:_of_component", lambda original: (
        lambda away, covariance: original(away, 1.02 * covariance)
    ), "scheme", near=True),
    Mutant("affine layer: log-determinant + 1 %", "models.layers:Affine.back", parts(1.0, 1.01), "law", near=True),
    Mutant("bijection: log-determinant + 1 %", "models.layers:Bijection.back", parts(1.0, 1.01), "law", near=True),
    Mutant("layer of tails: log-determinant dropped", "models.layers:SinhArcsinh.back", parts(1.0, 0.0), "law"),
    Mutant("continuous layer: divergence + 5 %", "models.layers:Continuous.back", parts(1.0, 1.05), "law", near=True),
    Mutant("chain on the line: noise + 0.1 %", "chains.line:smeared", lambda original: (
        lambda law, mean, std: original(law, mean, 1.001 * std)
    ), "law", near=True),
    Mutant("chain in the plane: noise + 1 %", "chains.plane:smeared", lambda original: (
        lambda law, mean, std: original(law, mean, 1.01 * std)
    ), "law", near=True),
    Mutant("affine chain: matrix + 2 %", "chains.affine:_affine", then(
        lambda step: step if step is None else step._replace(matrix=1.02 * step.matrix)
    ), "law", near=True),
    Mutant("target of a regression: sign", TARGET, times(-1.0), "field"),
    Mutant("target of a regression + 0.1 %", TARGET, times(1.001), "field", near=True),
    Mutant("target of a regression + 5 %", TARGET, times(1.05), "field", near=True),
    Mutant("field of points: weights ignored", "fields.exact:_given_place", lambda original: (
        lambda x, centres, sigma, weights: original(x, centres, sigma, np.ones_like(weights))
    ), "field"),
    Mutant("field of points: noise + 1 %", "fields.exact:_given_place", lambda original: (
        lambda x, centres, sigma, weights: original(x, centres, 1.01 * sigma, weights)
    ), "field", near=True),
    Mutant("probes: quadratic form + 0.5 %", "battery.flows:_along", parts(1.0, 1.005), "scheme", near=True),
    Mutant("implicit objective: divergence halved", IMPLICIT, _with_slopes(0.5), "field"),
    Mutant("implicit objective: divergence + 0.1 %", IMPLICIT, _with_slopes(1.001), "field", near=True),
    Mutant("regression: right side + 0.1 %", "models.objectives:regression", _with_slopes(1.001), "field", near=True),
    Mutant("boundary term + 1 %", "models.objectives:boundary", _with_slopes(1.01), "field", near=True),
    Mutant("observation: variance + 1 %", "fields.guidance:observed", lambda original: (
        lambda law, value, *, matrix, covariance, power=1.0: original(law, value, matrix=matrix, covariance=covariance, power=power / 1.01)
    ), "law", near=True),
    Mutant("noised classifier: gradient + 1 %", "models.classifiers:NoisedClassifier.gradient", times(1.01), "field", near=True),
    Mutant("guided law: exponent + 5 %", "models.classifiers:_rate", times(1.05), "law", near=True),
    Mutant("inverted step of DDIM + 0.1 %", "samplers.ancestral:DDIM.inverted", times(1.001), "scheme", near=True),
    Mutant("Girsanov: ¼ for ½", BOUND, then(lambda bound: replace(bound, path=0.5 * bound.path)), "law"),
    Mutant("relative entropy + 5 %", "models.bounds:kl_divergence", times(1.05), "law", near=True),
    Mutant("total variation: ½ missing", "models.bounds:total_variation", times(2.0), "law"),
)  # fmt: skip
