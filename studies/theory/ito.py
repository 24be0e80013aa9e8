r"""Itô's calculus: the lemma, Dynkin's formula and the stochastic integral.

For dX = f dt + g dw with dw ~ N(0, σ²dt) and a smooth F(x, t)

    dF = (F_t + f F_x + ½ g²σ² F_xx) dt + g F_x dw,    d/dt E F(X_t) = E[f F_x + ½ g²σ² F_xx]  (F free of t).

Mean squares over all paths are computed, not sampled: what is still to come is taken back step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.schemes import EulerMaruyama
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from .._limits import limit_evidence
from .._systems import BOX, DATA, boxed
from ._steps import Mover, mean_square, normal

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S4.E22-26",
        "identity",
        "Itô's lemma: a smooth function of the path has the drift F_t + fF_x + ½g²σ²F_xx and the noise gF_x, and nothing else of the order of dt.",
        r"dF=\bigl(F_t+fF_x+\tfrac12g^2\sigma^2F_{xx}\bigr)dt+gF_x\,dw",
        "GM (2023), equations 22 to 26",
        {
            "stated": C,
            "½ missing": R,
            "Itô term dropped": R,
            "F_t dropped": R,
            "g for g²": R,
            "σ² dropped": R,
            "g for gF_x": R,
            "½ + 1 %": R,
        },
        {
            "½ missing": "g²σ²F_xx",
            "Itô term dropped": "the chain rule of ordinary calculus",
            "F_t dropped": "as if F did not depend on t",
            "g for g²": "½gσ²F_xx",
            "σ² dropped": "½g²F_xx",
            "g for gF_x": "the noise of X itself",
            "½ + 1 %": "the Itô term is 1 % too large",
        },
        assumptions="F twice differentiable in x and once in t.",
    ),
    Claim(
        "S4.E27-29",
        "identity",
        "Dynkin's formula: the expectation of F(X) grows at the rate of the mean generator, as the noise has mean 0.",
        r"\frac{d}{dt}\mathbb E F(X_t)=\mathbb E\bigl[fF'+\tfrac12g^2F''\bigr](X_t)",
        "GM (2023), equations 27 to 29",
        {"stated": C, "½ missing": R, "Itô term dropped": R, "drift sign": R, "g for g²": R, "½ + 1 %": R},
        {
            "½ missing": "g²F″",
            "Itô term dropped": "fF′ alone",
            "drift sign": "−fF′",
            "g for g²": "½gF″",
            "½ + 1 %": "the Itô term is 1 % too large",
        },
        assumptions="σ is part of g here.",
    ),
    Claim(
        "S2.E14-15",
        "identity",
        "An SDE is an integral equation whose noise integral is a limit of sums that read the integrand at the left end of each step.",
        r"X_t=X_0+\int_0^tf\,ds+\int_0^tg\,dW,\qquad \int_0^tW\,dW=\lim\sum_nW_n(W_{n+1}-W_n)=\tfrac12(W_t^2-t)",
        "Rakitin, equations 14 and 15",
        {"stated": C, "midpoint": R, "right end": R, "correction dropped": R, "½ missing": R, "correction + 5 %": R},
        {
            "midpoint": "the mean of both ends (Stratonovich's integral)",
            "right end": "the integrand at the end of each step",
            "correction dropped": "½W² and e^{μt + σW}, as in ordinary calculus",
            "½ missing": "½W² − t and e^{(μ − σ²)t + σW}",
            "correction + 5 %": "½t and ½σ²t are 5 % too large",
        },
    ),
)

# -- Itô's lemma -------------------------------------------------------------------------------------------------------------

X, T = sp.symbols("x t", real=True)
FUNCTIONS = (sp.sin(X) * sp.exp(-T), X**3 + T * X)
PLACES, INSTANT = np.array([-0.9, 0.4, 1.3]), 0.4


def _numeric(expression: Any) -> Callable[[Array, float], Array]:
    function = sp.lambdify((X, T), expression, "numpy")
    return lambda x, t: np.broadcast_to(np.asarray(function(x, t), float), np.shape(x))


#: Standard deviation σ of dw/√dt.
SIGMA = 1.3
#: f and g by case; dw has the variance σ²dt.
EQUATIONS = {
    "linear, exact steps": (0.5 - 1.2 * X, 0.8 + 0.3 * T),
    "noise of the state, Euler's steps": (sp.sin(2 * X) - T * X, 0.6 + 0.3 * sp.cos(X) * sp.exp(-T)),
}


@lru_cache(maxsize=2)
def _mover(case: str) -> Mover:
    f, g = EQUATIONS[case]
    scheme = ExactTransition() if case.startswith("linear") else EulerMaruyama()
    return Mover(fpk.Problem(f, SIGMA * g, initial=DATA), scheme)


@lru_cache(maxsize=8)
def _changes(case: str, h: float) -> tuple[Array, Array, Array]:
    """dw and ΔF of every function from every place over h, for all nodes of the two normal numbers of a step, with their weights."""
    z, w = normal()
    first, second = (a.ravel() for a in np.meshgrid(z, z))
    ends = _mover(case)(PLACES[:, None], h**0.5 * first, h, time=INSTANT, extra=second)
    changes = [F(ends, INSTANT + h) - F(PLACES[:, None], INSTANT) for F in map(_numeric, FUNCTIONS)]
    return SIGMA * h**0.5 * first, np.stack(changes), np.outer(w, w).ravel()


#: Factors of F_t and ½g²σ²F_xx, the powers of g and of σ in it, and whether F_x stands in the noise.
LEMMAS = {
    "stated": (1.0, 1.0, 2, 2, True),
    "½ missing": (1.0, 2.0, 2, 2, True),
    "Itô term dropped": (1.0, 0.0, 2, 2, True),
    "F_t dropped": (0.0, 1.0, 2, 2, True),
    "g for g²": (1.0, 1.0, 1, 2, True),
    "σ² dropped": (1.0, 1.0, 2, 0, True),
    "g for gF_x": (1.0, 1.0, 2, 2, False),
    "½ + 1 %": (1.0, 1.01, 2, 2, True),
}


@study("S4.E22-26", variants=LEMMAS, cases=tuple(EQUATIONS))
def itos_lemma(variant: tuple[float, float, int, int, bool], case: str, size: Size, seed: int) -> Evidence:
    """Per unit of time: E ΔF, E ΔF dw, and the mean square of what drift and noise leave, as the step tends to 0."""
    in_time, half, power, sigmas, chained = variant
    f, g = EQUATIONS[case]
    drifts = [in_time * sp.diff(F, T) + f * sp.diff(F, X) + half / 2 * g**power * SIGMA**sigmas * sp.diff(F, X, 2) for F in FUNCTIONS]  # fmt: skip
    noises = [g * (sp.diff(F, X) if chained else 1) for F in FUNCTIONS]
    a, b = (np.stack([_numeric(e)(PLACES, INSTANT) for e in terms]) for terms in (drifts, noises))

    def rates(h: float) -> Array:
        dw, change, weights = _changes(case, h)
        left = change - a[..., None] * h - b[..., None] * dw
        return np.stack([change @ weights, (change * dw) @ weights, left**2 @ weights]).ravel() / h

    claimed = np.stack([a, SIGMA**2 * b, 0 * a]).ravel()
    names = tuple(f"{what} of {F} at {x:g}" for what in ("drift", "noise", "rest") for F in FUNCTIONS for x in PLACES)
    return limit_evidence(rates, claimed, step=0.04 if size.quick else 0.02, names=names, source=f"quadrature, {case}")


# -- Dynkin's formula --------------------------------------------------------------------------------------------------------

TESTS = (sp.cos(X), sp.sin(2 * X), X**2)
GENERATORS = {
    "linear": (-X, sp.Float(0.9)),
    "noise of the state": (sp.sin(2 * X) - X, sp.sqrt((0.4 + 0.5 * sp.sin(1.5 * X)) ** 2 + 0.2)),
}
SPAN = 0.6


@lru_cache(maxsize=8)
def _densities(case: str, cells: int) -> tuple[Array, Array, Array]:
    """Cell centres, weights of the quadrature in time, and masses at 0, at its nodes and at the end."""
    f, g = GENERATORS[case]
    u, w = np.polynomial.legendre.leggauss(8)
    times = [0.0, *(SPAN / 2 * (1 + u)), SPAN]
    solved = fpk.solve(boxed(f, g, initial=DATA, horizon=SPAN), fpk.Grid(*BOX, cells=cells), times=times)
    return solved.grid.centers, SPAN / 2 * w, np.array(solved.densities) * solved.grid.widths


@study(
    "S4.E27-29",
    variants={
        "stated": (1.0, 1.0, 2),
        "½ missing": (1.0, 2.0, 2),
        "Itô term dropped": (1.0, 0.0, 2),
        "drift sign": (-1.0, 1.0, 2),
        "g for g²": (1.0, 1.0, 1),
        "½ + 1 %": (1.0, 1.01, 2),
    },
    cases=tuple(GENERATORS),
)
def dynkin(variant: tuple[float, float, int], case: str, size: Size, seed: int) -> Evidence:
    """Expectations at both ends against the integral of the mean generator, all from densities on the grid."""
    drift, half, power = variant
    f, g = GENERATORS[case]
    generated = [drift * f * sp.diff(F, X) + half / 2 * g**power * sp.diff(F, X, 2) for F in TESTS]

    def gaps(cells: int) -> Array:
        x, weights, masses = _densities(case, cells)
        grown = (masses[-1] - masses[0]) @ np.stack([_numeric(F)(x, 0.0) for F in TESTS], axis=1)
        return grown - weights @ (masses[1:-1] @ np.stack([_numeric(L)(x, 0.0) for L in generated], axis=1))

    fine, coarse = gaps(2 * size.cells(80)), gaps(size.cells(80))
    first = fpk.residual(
        fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source="growth less generator, on the grid"
    )
    return Evidence(first, zero_estimate(len(TESTS)), tuple(f"E {F}" for F in TESTS))


# -- the integral ------------------------------------------------------------------------------------------------------------

#: Where in a step the integrand is read, and a factor on the correction.
INTEGRALS = {
    "stated": (0.0, 1.0),
    "midpoint": (0.5, 1.0),
    "right end": (1.0, 1.0),
    "correction dropped": (0.0, 0.0),
    "½ missing": (0.0, 2.0),
    "correction + 5 %": (0.0, 1.05),
}


def _integral_of_itself(place: float, correction: float, h: float) -> float:
    """E (Σ W ΔW − ½(W_1² − W_0² − 1))² from W_0 = .3."""
    mover = Mover(fpk.Problem(0.0, 1.0, initial=DATA))
    return mean_square(
        0.3,
        round(1 / h),
        mover.over(h),
        lambda x, y, z: ((1 - place) * x + place * y) * (y - x),
        lambda x: 0.5 * (x**2 - 0.09 - correction),
    )


def _geometric_integral(place: float, correction: float, h: float) -> float:
    """E (Σ .3X h + Σ .8X ΔW − (X_1 − X_0))² along X = exp((.3 − ½ .8²)t + .8W)."""
    speed = (0.3 - 0.32 * correction) * h
    return mean_square(
        1.0,
        round(1 / h),
        lambda x, z: x * np.exp(speed + 0.8 * h**0.5 * z),
        lambda x, y, z: 0.3 * x * h + 0.8 * ((1 - place) * x + place * y) * h**0.5 * z,
        lambda x: x - 1,
        degree=2,
    )


SUMS = {"∫W dW": _integral_of_itself, "dX = .3X dt + .8X dW": _geometric_integral}


@study("S2.E14-15", variants=INTEGRALS, cases=tuple(SUMS))
def left_ends(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    return limit_evidence(
        lambda h: np.array([SUMS[case](*variant, h)]),
        np.zeros(1),
        step=1 / 16 if size.quick else 1 / 32,
        names=("mean square",),
        source="mean squares over all paths as the steps tend to 0",
    )
