r"""Traces by random directions (Hutchinson): E εᵀAε = Tr A wherever E εεᵀ = 1, and what that is worth in a likelihood.

Expectations over directions are exact: all 2^d sign vectors, a product of Gauss–Hermite rules, exact for the fourth powers that variances need, or the d
axes at √d. fpk takes derivatives along a direction by differences of the field; what they are held against, its Jacobian and its density, is known in
closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

import fpk
from fpk.battery.divergences import signs
from fpk.battery.flows import flow, quadratic_forms
from fpk.fields import exact_field
from fpk.laws import Array, GaussianMixture
from fpk.marginals import zero_estimate
from fpk.models.features import RadialBasis
from fpk.models.fits import LinearField
from fpk.schedules import OTSchedule
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._posteriors import hermite

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S2.H",
        "identity",
        "The quadratic form of random directions with identity covariance has the trace as its mean; its variance is twice the squared norm of the symmetric part for normal directions, less by twice the squared diagonal for signs; the axes at √d, equally likely, have the same mean and a variance of their own.",
        r"\mathbb E\,\varepsilon^{\mathsf T}A\varepsilon=\mathrm{Tr}\,A,\qquad\mathrm{Var}=2\|A_s\|_F^2\text{ (normal)},\quad 2\|A_s\|_F^2-2\textstyle\sum_iA_{ii}^2\text{ (signs)},\quad d\textstyle\sum_iA_{ii}^2-(\mathrm{Tr}A)^2\text{ (axes)},\quad A_s=\tfrac12(A+A^{\mathsf T})",
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
            "2 missing": "‖A_s‖² − Σ A_ii² and ‖A_s‖², and half of that along axes",
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


def normals(d: int, nodes: int = 5) -> tuple[Array, Array]:
    """A product rule for N(0, 1) in d dimensions, exact up to the ninth power in each, and its masses."""
    z, w = hermite(nodes)
    return np.array(list(product(z, repeat=d))), np.prod(list(product(w, repeat=d)), axis=1)


def equally(directions: Array) -> tuple[Array, Array]:
    """Directions with equal masses."""
    return directions, np.full(len(directions), 1 / len(directions))


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


#: Laws of directions with covariance 1.
DIRECTIONS = {"signs": equally(signs(3)), "normal": normals(3), "axes": equally(3**0.5 * np.eye(3))}


@lru_cache(maxsize=4)
def _moments(step: float) -> Array:
    """Mean and variance of εᵀ∂f ε over directions of each law, (6, places)."""
    found = []
    for directions, mass in DIRECTIONS.values():
        forms = quadratic_forms(MODEL, PLACES, 0.0, directions, step=step)
        mean = mass @ forms
        found += [mean, mass @ (forms - mean) ** 2]
    return np.array(found)


def _claimed(form: Form) -> Array:
    """The same by the formulas."""
    A = form.scale * MODEL.jacobian(PLACES, 0.0)
    half = 0.5 * (A + np.swapaxes(A, 1, 2)) if form.symmetric else A
    trace, spread = form.trace * form.scale * MODEL.divergence(PLACES, 0.0), form.spread * (half**2).sum((1, 2))
    squares = (np.diagonal(A, axis1=1, axis2=2) ** 2).sum(1)
    along_axes = 0.5 * form.spread * (3 * squares - np.trace(A, axis1=1, axis2=2) ** 2)
    return np.array([trace, spread - form.spread * form.diagonal * squares, trace, spread, trace, along_axes])


@study("S2.H", variants=FORMS)
def trace_of_directions(variant: Form, case: str, size: Size, seed: int) -> Evidence:
    fine, coarse = ((_moments(h) - _claimed(variant)).ravel() for h in (0.02, 0.04))
    names = tuple(f"{what}, {law}, place {k}" for law in DIRECTIONS for what in ("mean", "variance") for k in (1, 2))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-11, coarser=coarse, source="differences along all directions")
    return Evidence(first, zero_estimate(len(fine)), names)


# -- likelihood --------------------------------------------------------------------------------------------------------------

PLANE = GaussianMixture(
    [0.4, 0.6], [[-1.0, 0.4], [0.9, -0.3]], covariances=[[[0.4, 0.15], [0.15, 0.3]], [[0.3, -0.1], [-0.1, 0.5]]]
)
FIELD = exact_field(PLANE, OTSchedule(), kind="velocity")
STARTS = np.array([[-0.5, 0.6], [1.4, -0.9], [0.1, 0.2]])


@lru_cache(maxsize=64)
def _estimated(steps: int, probes: tuple[tuple[float, float], ...]) -> Array:
    """log p_0 at the starts: that of N(0, 1) at the end of the way plus ∫εᵀ∂v ε dt, the mean over directions."""
    way = flow(FIELD, STARTS, np.linspace(0.0, 1.0, steps + 1), probes=np.array(probes))
    return way.log_density(fpk.Gaussian(np.zeros(2), 1.0))


def _averaged(scale: float = 1.0, integral: float = 1.0) -> Callable[[int], Array]:
    """The mean over all signs, with factors on the directions and on the integral."""

    def estimate(steps: int) -> Array:
        stated, without = (_estimated(steps, _rows(c * signs(2))) for c in (scale, 0.0))
        return without + integral * (stated - without)

    return estimate


def _rows(directions: Array) -> tuple[tuple[float, float], ...]:
    return tuple((float(a), float(b)) for a, b in directions)


def _likelihoods(steps: int) -> Array:
    """The logarithm of the mean of densities."""
    return np.log(np.mean([np.exp(_estimated(steps, (row,))) for row in _rows(signs(2))], axis=0))


#: Log-densities at the starts, by the number of steps.
ESTIMATES: dict[str, Callable[[int], Array]] = {
    "stated": _averaged(),
    "unit directions": _averaged(scale=0.5**0.5),
    "ones for signs": lambda steps: _estimated(steps, ((1.0, 1.0),)),
    "sign of the divergence": _averaged(integral=-1.0),
    "likelihoods averaged": _likelihoods,
    "velocity + 1 %": _averaged(integral=1.01),
}


@study("S2.H2", variants=ESTIMATES)
def likelihood_of_a_flow(variant: Callable[[int], Array], case: str, size: Size, seed: int) -> Evidence:
    """What fpk gathers along the way from the mixture to N(0, 1) with one direction for the whole of it, against the mixture's density."""

    def off(steps: int) -> Array:
        return variant(steps) - PLANE.log_density(STARTS)

    fine, coarse = off(size.cells(24)), off(size.cells(12))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source="estimate less the log-density")
    return Evidence(first, zero_estimate(3), tuple(f"log-density from {x.tolist()}" for x in STARTS))
