r"""Traces by random directions (Hutchinson): E εᵀAε = Tr A wherever E εεᵀ = 1, and what that is worth in a likelihood.

Expectations over directions are exact: all 2^d sign vectors, or a product of Gauss–Hermite rules, exact for the fourth powers that variances need.
Derivatives along a direction are differences of a field; what they are held against, its Jacobian and its density, is known in closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

import fpk
from fpk.fields import exact_field
from fpk.laws import Array, GaussianMixture, central_derivative
from fpk.marginals import zero_estimate
from fpk.models.features import RadialBasis
from fpk.models.fits import LinearField
from fpk.samplers.flows import METHODS
from fpk.schedules import OTSchedule
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._posteriors import hermite

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S2.H",
        "identity",
        "The quadratic form of random directions with identity covariance has the trace as its mean; its variance is twice the squared norm of the symmetric part for normal directions, and less by twice the squared diagonal for signs.",
        r"\mathbb E\,\varepsilon^{\mathsf T}A\varepsilon=\mathrm{Tr}\,A,\qquad\mathrm{Var}=2\|A_s\|_F^2\text{ (normal)},\quad 2\|A_s\|_F^2-2\textstyle\sum_iA_{ii}^2\text{ (signs)},\quad A_s=\tfrac12(A+A^{\mathsf T})",
        "Rakitin, trace estimator; Hutchinson (1990); Avron and Toledo (2011)",
        {
            "stated": C,
            "½ of the trace": R,
            "A for its symmetric part": R,
            "2 missing": R,
            "one variance for both": R,
            "Jacobian + 1 %": R,
        },
        {
            "½ of the trace": "½Tr A",
            "A for its symmetric part": "2‖A‖² in both variances",
            "2 missing": "‖A_s‖² − Σ A_ii² and ‖A_s‖²",
            "one variance for both": "signs with the variance of normal directions",
            "Jacobian + 1 %": "A is 1 % too large",
        },
        assumptions="A: the Jacobian of a fitted field in three dimensions, not symmetric.",
    ),
    Claim(
        "S2.H2",
        "identity",
        "Along a flow, the integral of εᵀ(∂v)ε with one direction for the whole path has the change of log-density as its mean: the log-likelihood is estimated without bias, the likelihood is not.",
        r"\log p_1(x_1)=\log p_0(x_0)-\mathbb E\int_0^1\varepsilon^{\mathsf T}\partial v(x_t,t)\,\varepsilon\,dt,\qquad\mathbb E\,\varepsilon\varepsilon^{\mathsf T}=1",
        "Rakitin, likelihood of a flow; Grathwohl et al. (2019), equation 8",
        {
            "stated": C,
            "unit directions": R,
            "ones for signs": R,
            "sign of the divergence": R,
            "likelihoods averaged": R,
            "velocity + 1 %": R,
        },
        {
            "unit directions": "ε/√d: covariance 1/d",
            "ones for signs": "ε = (1, 1) always: the entries off the diagonal come along",
            "sign of the divergence": "+∫εᵀ∂v ε dt",
            "likelihoods averaged": "log E exp(−∫εᵀ∂v ε dt), by Jensen's inequality too large",
            "velocity + 1 %": "derivatives of a velocity that is 1 % too large",
        },
        assumptions="the flow of a straight path between a mixture in the plane and N(0, 1), whose density is known.",
    ),
)


def signs(d: int) -> tuple[Array, Array]:
    """All sign vectors (2^d, d), and their probabilities."""
    table = np.array(list(product((-1.0, 1.0), repeat=d)))
    return table, np.full(len(table), 1 / len(table))


def normals(d: int, nodes: int = 5) -> tuple[Array, Array]:
    """A product rule for N(0, 1) in d dimensions, exact up to the ninth power in each."""
    z, w = hermite(nodes)
    return np.array(list(product(z, repeat=d))), np.prod(list(product(w, repeat=d)), axis=1)


def along(function: Callable[[Array], Array], x: Array, directions: Array, step: float) -> Array:
    """εᵀ ∂f(x) ε at places x (n, d) for directions (m, d), by sixth-order differences along each; shape (n, m)."""
    places, ways = np.repeat(x, len(directions), axis=0), np.tile(directions, (len(x), 1))
    slopes = central_derivative(lambda u: function(places + u[0] * ways), np.zeros(1), step)
    return (ways * slopes).sum(1).reshape(len(x), -1)


# -- mean and variance -------------------------------------------------------------------------------------------------------

#: A field in three dimensions that is no gradient.
MODEL = LinearField(
    RadialBasis(np.array([[-0.8, 0.3, 0.1], [0.5, -0.6, 0.9], [0.9, 0.7, -0.4], [-0.2, -0.9, -0.7]]), width=1.1),
    np.array([[1.1, -0.4, 0.6], [-0.7, 0.9, 0.3], [0.5, 0.2, -1.3], [-0.3, 1.2, 0.8]]),
)
PLACES = np.array([[0.2, 0.1, -0.3], [-0.6, 0.8, 0.4]])


class Form(NamedTuple):
    """Factors on the trace, on A, on the variances and on the diagonal for signs; whether A is made symmetric."""

    trace: float = 1.0
    scale: float = 1.0
    spread: float = 2.0
    diagonal: float = 1.0
    symmetric: bool = True


FORMS = {
    "stated": Form(),
    "½ of the trace": Form(trace=0.5),
    "A for its symmetric part": Form(symmetric=False),
    "2 missing": Form(spread=1.0),
    "one variance for both": Form(diagonal=0.0),
    "Jacobian + 1 %": Form(scale=1.01),
}


@lru_cache(maxsize=4)
def _moments(step: float) -> Array:
    """Mean and variance of εᵀ∂f ε over signs, then over normal directions, (4, places)."""
    found = []
    for directions, mass in (signs(3), normals(3)):
        values = along(lambda y: MODEL(y, 0.0), PLACES, directions, step)
        mean = values @ mass
        found += [mean, (values - mean[:, None]) ** 2 @ mass]
    return np.array(found)


def _claimed(form: Form) -> Array:
    """The same by the formulas."""
    A = form.scale * MODEL.jacobian(PLACES, 0.0)
    half = 0.5 * (A + np.swapaxes(A, 1, 2)) if form.symmetric else A
    trace, spread = form.trace * form.scale * MODEL.divergence(PLACES, 0.0), form.spread * (half**2).sum((1, 2))
    diagonal = (np.diagonal(A, axis1=1, axis2=2) ** 2).sum(1)
    return np.array([trace, spread - form.spread * form.diagonal * diagonal, trace, spread])


@study("S2.H", variants=FORMS)
def trace_of_directions(variant: Form, case: str, size: Size, seed: int) -> Evidence:
    fine, coarse = ((_moments(h) - _claimed(variant)).ravel() for h in (0.02, 0.04))
    names = tuple(
        f"{what}, {law}, place {k}" for law in ("signs", "normal") for what in ("mean", "variance") for k in (1, 2)
    )
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-11, coarser=coarse, source="differences along all directions")
    return Evidence(first, zero_estimate(len(fine)), names)


# -- likelihood --------------------------------------------------------------------------------------------------------------

PLANE = GaussianMixture(
    [0.4, 0.6], [[-1.0, 0.4], [0.9, -0.3]], covariances=[[[0.4, 0.15], [0.15, 0.3]], [[0.3, -0.1], [-0.1, 0.5]]]
)
FIELD = exact_field(PLANE, OTSchedule(), kind="velocity")
STARTS = np.array([[-0.5, 0.6], [1.4, -0.9], [0.1, 0.2]])


@lru_cache(maxsize=4)
def _quadratic_forms(steps: int) -> tuple[Array, Array, Array]:
    """−∫εᵀ∂v ε dt from three starts for all signs (3, 4), the same for ε = (1, 1), and the ends, by Runge–Kutta and Simpson's rule."""
    directions, _ = signs(2)
    x, t = STARTS, np.linspace(0.0, 1.0, steps + 1)
    rates, weights = [], np.ones(steps + 1)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    for k, s in enumerate(t):
        rates.append(along(lambda y, s=s: FIELD(y, float(s)), x, directions, 0.02))
        if k < steps:
            x = METHODS["rk4"].advanced(FIELD, x, (float(s), float(t[k + 1])))
    total = -np.tensordot(weights / weights.sum(), np.array(rates), axes=1)
    return total, total[:, -1:], x


#: What is made of the quadratic forms of all signs and of (1, 1).
ESTIMATES: dict[str, Callable[[Array, Array], Array]] = {
    "stated": lambda forms, ones: forms.mean(1),
    "unit directions": lambda forms, ones: 0.5 * forms.mean(1),
    "ones for signs": lambda forms, ones: ones.mean(1),
    "sign of the divergence": lambda forms, ones: -forms.mean(1),
    "likelihoods averaged": lambda forms, ones: np.log(np.exp(forms).mean(1)),
    "velocity + 1 %": lambda forms, ones: 1.01 * forms.mean(1),
}


@study("S2.H2", variants=ESTIMATES)
def likelihood_of_a_flow(variant: Callable[[Array, Array], Array], case: str, size: Size, seed: int) -> Evidence:
    """Densities at both ends of the paths are those of the mixture and of N(0, 1)."""

    def off(steps: int) -> Array:
        forms, ones, ends = _quadratic_forms(steps)
        change = fpk.Gaussian(np.zeros(2), 1.0).log_density(ends) - PLANE.log_density(STARTS)
        return variant(forms, ones) - change

    fine, coarse = off(size.cells(24)), off(size.cells(12))
    first = fpk.residual(
        fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source="estimate less the change of log-density"
    )
    return Evidence(first, zero_estimate(3), tuple(f"log-density from {x.tolist()}" for x in STARTS))
