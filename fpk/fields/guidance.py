r"""Guidance: fields pushed towards a condition, and the laws that a tilted data law has in closed form.

Classifier-free guidance extrapolates from an unconditional to a conditional score, classifier guidance adds the gradient of a classifier:

    s_u + w (s_c − s_u),        s + S ∇ log p_t(y | x).

Two conventions of the first are in use. Ours, that of "guidance scales" in code, has w = 1 for the conditional field and w = 0 for the
unconditional one; that of Ho and Salimans (2022), equation 6, is (1 + w') s_c − w' s_u, so that w = 1 + w'. Weights that sum to 1 commute
with all conversions between kinds: the fields may be of any.

At t = 0 the guided fields are the scores of p_c^w p_u^{1−w} and of p(x) p(y | x)^S, up to constants. At t > 0 they are in general not the
scores of those laws noised: which law a sampler guided by a classifier ends in is told by :mod:`fpk.models.classifiers`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fpk.errors import ProblemError
from fpk.fields.field import Field
from fpk.fields.kinds import conversion
from fpk.laws import Array, Gaussian, GaussianMixture
from fpk.tracing import known, required_traceable, traceable


def classifier_free(conditional: Field, unconditional: Field, *, weight: float) -> Field:
    """The field s_u + weight (s_c − s_u), of the conditional one's kind.

    Parameters
    ----------
    conditional, unconditional : Field
        On the same schedule, of any kinds.
    weight : float
        1 is the conditional field, 0 the unconditional one; beyond 1 guides.

    Raises
    ------
    ProblemError
        If the schedules differ.
    """
    if conditional.schedule != unconditional.schedule:
        raise ProblemError(
            f"fields on different paths cannot be combined: {conditional.schedule!r} and {unconditional.schedule!r}."
        )
    other = unconditional.converted(conditional.kind)

    @traceable
    def function(x: Array, t: Any) -> Array:
        base = other(x, t)
        return base + weight * (conditional(x, t) - base)

    return Field(function, conditional.kind, conditional.schedule)


def classifier_guided(field: Field, gradient: Any, *, strength: float) -> Field:
    """The field whose score is s + strength · gradient, of the field's kind.

    Parameters
    ----------
    field : Field
    gradient : callable
        (x, t) ↦ ∇_x log p_t(y | x) on the noised path, shape (n, d).
    strength : float
        S; 1 is Bayes' rule.
    """

    @traceable
    def function(x: Array, t: Any) -> Array:
        required_traceable(gradient, t, "gradient of the classifier")
        gain = known(lambda u: conversion("score", field.kind, schedule=field.schedule, t=u)[0], t)[()]
        return field(x, t) + gain * strength * gradient(x, t)

    return Field(function, field.kind, field.schedule)


def observed(
    law: GaussianMixture, value: ArrayLike, *, matrix: ArrayLike, covariance: ArrayLike, power: float = 1.0
) -> GaussianMixture:
    """The law ∝ p(x) N(value; H x, R)^power: data known through a Gaussian observation, again a mixture.

    Parameters
    ----------
    law : GaussianMixture
        p, on R^d.
    value : array_like, shape (k,)
        What was observed.
    matrix, covariance : array_like, shapes (k, d) and (k, k)
        H and R of the observation H X + N(0, R).
    power : float, default 1
        S > 0: the likelihood's power, the same as R divided by it.

    Raises
    ------
    ProblemError
        If the power is not positive, or the shapes do not fit.

    Notes
    -----
    Component m gets the precision Σ_m⁻¹ + S Hᵀ R⁻¹ H, the mean of Kalman's formula, and the weight w_m N(value; H μ_m, H Σ_m Hᵀ + R/S).
    """
    y, h, r = np.atleast_1d(np.asarray(value, float)), np.atleast_2d(matrix), np.atleast_2d(covariance)
    if not power > 0:
        raise ProblemError(f"the power of a likelihood must be positive, got {power}.")
    if h.shape != (len(y), law.dimension) or r.shape != (len(y), len(y)):
        raise ProblemError(
            f"an observation of {len(y)} numbers in dimension {law.dimension} needs matrix ({len(y)}, {law.dimension}) and covariance "
            f"({len(y)}, {len(y)}), got {h.shape} and {r.shape}."
        )
    logs, means, covariances = [], [], []
    for weight, mean, spread in zip(law.weights, law.means, law.covariances, strict=True):
        seen = h @ spread @ h.T + r / power
        gain = np.linalg.solve(seen, h @ spread).T
        logs.append(np.log(weight) + Gaussian(h @ mean, covariance=seen).log_density(y[None])[0])
        means.append(mean + gain @ (y - h @ mean))
        kept = np.eye(law.dimension) - gain @ h
        covariances.append(kept @ spread @ kept.T + gain @ (r / power) @ gain.T)  # Joseph's form: symmetric, positive
    return _mixture(np.array(logs), np.array(means), np.array(covariances))


def tilted(law: GaussianMixture, direction: ArrayLike) -> GaussianMixture:
    """The law ∝ p(x) e^⟨θ, x⟩: means μ_m + Σ_m θ, weights w_m e^{⟨θ, μ_m⟩ + ½ ⟨θ, Σ_m θ⟩}, the same covariances.

    Parameters
    ----------
    law : GaussianMixture
        p, on R^d.
    direction : array_like, shape (d,)
        θ.
    """
    theta = np.atleast_1d(np.asarray(direction, float))
    if theta.shape != (law.dimension,):
        raise ProblemError(f"a tilt in dimension {law.dimension} needs a vector of that length, got {theta.shape}.")
    shifts = law.covariances @ theta
    return _mixture(np.log(law.weights) + law.means @ theta + 0.5 * shifts @ theta, law.means + shifts, law.covariances)


def _mixture(logs: Array, means: Array, covariances: Array) -> GaussianMixture:
    """The mixture with weights ∝ exp(logs); components whose weight underflows are left out."""
    weights = np.exp(logs - logs.max())
    kept = weights > 1e-300
    return GaussianMixture(weights[kept] / weights[kept].sum(), means[kept], covariances=covariances[kept])
