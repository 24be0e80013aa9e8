r"""Linear SDEs dX = (a(t) X + b) dt + G dW: mean e, covariance V, and the propagator Φ̇ = a Φ they are made of.

    ė = a e + b,   V̇ = a V + V aᵀ + G Gᵀ;      e = Φ(t, 0) e_0 + ∫ Φ(t, s) b ds,   V = ∫ Φ(t, s) G Gᵀ Φ(t, s)ᵀ ds + Φ V_0 Φᵀ.

The truth is a grid solution of the Fokker–Planck equation, in the plane with matrices that do not commute.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Size, evidence, study
from fpk.verdict import Outcome

from .._systems import boxed, constant_law, on_grid
from ._moments import (
    SYSTEMS,
    Linear,
    Propagator,
    exponential_of_integral,
    integrated,
    moments_evidence,
    ordered,
    propagated_mean,
    propagated_noise,
)

C, R = Outcome.CONFIRMED, Outcome.REFUTED
SLOPE_NOTES = {"a transposed": "aᵀ in the place of a", "a + 0.5 %": "a is 0.5 % too large"}

CLAIMS = (
    Claim(
        "S0.E6-9",
        "identity",
        "The mean of a linear SDE solves the equation without the noise.",
        r"\dot e = a\,e + b,\qquad e=\mathbb E X_t",
        "Chen (2024), equations 6 to 9",
        {"stated": C, "a transposed": R, "b dropped": R, "drift sign": R, "a + 0.5 %": R},
        SLOPE_NOTES | {"b dropped": "ė = a e", "drift sign": "ė = −a e + b"},
    ),
    Claim(
        "S0.E10-11",
        "identity",
        "The mean is the propagated start plus the propagated shifts; the propagator is an exponential of ∫a where a(t) and a(s) commute.",
        r"e(t)=\Phi(t,0)\,e_0+\int_0^t\Phi(t,s)\,b\,ds,\qquad \partial_t\Phi(t,s)=a(t)\,\Phi(t,s)",
        "Chen (2024), equations 10 and 11",
        {"stated": C, "shift not propagated": R, "propagated backwards": R, "exp ∫a": R, "a + 0.5 %": R},
        {
            "shift not propagated": "∫ b ds",
            "propagated backwards": "Φ(s, t) in the place of Φ(t, s)",
            "exp ∫a": "without the order of times",
            "a + 0.5 %": SLOPE_NOTES["a + 0.5 %"],
        },
    ),
    Claim(
        "S0.E12",
        "identity",
        "The covariance of a linear SDE grows at the rate aV + Vaᵀ + GQGᵀ.",
        r"\dot V = aV+Va^{\mathsf T}+GQG^{\mathsf T}",
        "Chen (2024), equation 12",
        {"stated": C, "2aV": R, "a transposed": R, "Q dropped": R, "noise² + 1 %": R},
        {
            "2aV": "2aV in the place of aV + Vaᵀ",
            "a transposed": "aᵀV + Va",
            "Q dropped": "independent noises of the same strengths",
            "noise² + 1 %": "the noise covariance is 1 % too large",
        },
    ),
    Claim(
        "S0.E13",
        "identity",
        "The noise adds ∫Φ(t, s) GQGᵀ Φ(t, s)ᵀ ds to the covariance.",
        r"V(t)=\int_0^t\Phi(t,s)\,GQG^{\mathsf T}\,\Phi(t,s)^{\mathsf T}ds",
        "Chen (2024), equation 13",
        {"stated": C, "Φ² for ΦᵀΦ": R, "transposed": R, "exp ∫a": R, "noise² + 1 %": R},
        {
            "Φ² for ΦᵀΦ": "Φ Φ GQGᵀ, right for numbers",
            "transposed": "Φᵀ GQGᵀ Φ",
            "exp ∫a": "without the order of times",
            "noise² + 1 %": "the noise covariance is 1 % too large",
        },
    ),
    Claim(
        "S0.E14",
        "identity",
        "The covariance is the mean of the conditional covariance plus the covariance of the conditional mean.",
        r"\mathrm{Var}X=\mathbb E\,\mathrm{Var}(X|Y)+\mathrm{Var}\,\mathbb E(X|Y)",
        "Chen (2024), equation 14",
        {"stated": C, "without the means": R, "without the spreads": R, "spreads + 0.1 %": R},
        {
            "without the means": "E Var(X|Y) alone",
            "without the spreads": "Var E(X|Y) alone",
            "spreads + 0.1 %": "E Var(X|Y) is 0.1 % too large",
        },
    ),
    Claim(
        "S0.E15",
        "identity",
        "The covariance of X_t is that of the noise plus the propagated covariance of the start.",
        r"\mathrm{Var}X_t=V(t)+\Phi(t,0)\,\mathrm{Var}(X_0)\,\Phi(t,0)^{\mathsf T}",
        "Chen (2024), equation 15",
        {"stated": C, "start not propagated": R, "transposed": R, "start dropped": R, "start + 5 %": R},
        {
            "start not propagated": "V + Var X₀",
            "transposed": "Φᵀ Var(X₀) Φ",
            "start dropped": "V alone",
            "start + 5 %": "Var X₀ is 5 % too large",
        },
    ),
    Claim(
        "S0.T2",
        "equality",
        "Given its start, a linear SDE with noise independent of the state is Gaussian, with a mean affine in the start and a covariance free of it.",
        r"dX=(aX+b)\,dt+g(t)\,dW:\quad X_t\,|\,X_0=x\sim\mathcal N\bigl(\Phi x+c(t),\,V(t)\bigr)",
        "Chen (2024), theorem 2",
        {"stated": C, "drift sin x": R, "noise of the state": R, "drift of the other start": R, "g² + 1 %": R},
        {
            "drift sin x": "a drift that is not linear",
            "noise of the state": "noise with g² = .4 + .1x²",
            "drift of the other start": "the mean of a start .1 further on",
            "g² + 1 %": "the noise variance is 1 % too large",
        },
        assumptions="the starts are Gaussians of standard deviation .12, added in covariance.",
    ),
)

#: a, b and the way a enters, for the equation of the mean.
MEANS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "stated": lambda a, e, b: a @ e + b,
    "a transposed": lambda a, e, b: a.T @ e + b,
    "b dropped": lambda a, e, b: a @ e,
    "drift sign": lambda a, e, b: -a @ e + b,
    "a + 0.5 %": lambda a, e, b: 1.005 * a @ e + b,
}


@study(
    "S0.E6-9",
    variants=MEANS,
    cases=tuple(SYSTEMS),
    applies=lambda variant, case: case == "matrix" or variant != "a transposed",
)
def mean_equation(variant: Callable[[Array, Array, Array], Array], case: str, size: Size, seed: int) -> Evidence:
    system = SYSTEMS[case]
    mean = integrated(lambda t, e: variant(system.matrix(t), e, system.shift), system.mean, system.end)
    return moments_evidence(case, size, mean=mean)


def _faster(matrix: Callable[[float], Array], late: float, early: float) -> Array:
    return ordered(lambda t: 1.005 * matrix(t), late, early)


def _backwards(matrix: Callable[[float], Array], late: float, early: float) -> Array:
    return np.linalg.inv(ordered(matrix, late, early))


@study(
    "S0.E10-11",
    variants={
        "stated": (ordered, True),
        "shift not propagated": (ordered, False),
        "propagated backwards": (_backwards, True),
        "exp ∫a": (exponential_of_integral, True),
        "a + 0.5 %": (_faster, True),
    },
    cases=tuple(SYSTEMS),
    applies=lambda variant, case: case == "matrix" or variant != "exp ∫a",
)
def mean_solution(variant: tuple[Propagator, bool], case: str, size: Size, seed: int) -> Evidence:
    propagator, forced = variant
    return moments_evidence(case, size, mean=propagated_mean(SYSTEMS[case], propagator, forced=forced))


#: Rate of the covariance from a, V and GQGᵀ.
VARIANCES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "stated": lambda a, V, S: a @ V + V @ a.T + S,
    "2aV": lambda a, V, S: 2 * a @ V + S,
    "a transposed": lambda a, V, S: a.T @ V + V @ a + S,
    "Q dropped": lambda a, V, S: a @ V + V @ a.T + np.diag(np.diag(S)),
    "noise² + 1 %": lambda a, V, S: a @ V + V @ a.T + 1.01 * S,
}


def _in_the_plane(variant: str, case: str) -> bool:
    """Numbers commute and are their own transposes: the scalar case sees the near misses only."""
    return case == "matrix" or variant in (
        "stated",
        "noise² + 1 %",
        "start not propagated",
        "start dropped",
        "start + 5 %",
    )


@study("S0.E12", variants=VARIANCES, cases=tuple(SYSTEMS), applies=_in_the_plane)
def variance_equation(variant: Callable[[Array, Array, Array], Array], case: str, size: Size, seed: int) -> Evidence:
    system = SYSTEMS[case]
    found = integrated(lambda t, V: variant(system.matrix(t), V, system.spread), system.covariance, system.end)
    return moments_evidence(case, size, covariance=found)


def _from_the_start(system: Linear) -> Array:
    """Φ V₀ Φᵀ by the equation of Φ."""
    Phi = integrated(lambda t, M: system.matrix(t) @ M, np.eye(len(system.mean)), system.end)
    return Phi @ system.covariance @ Phi.T


#: Propagator, and what is made of Φ and GQGᵀ.
NOISES: dict[str, tuple[Propagator, Callable[[Array, Array], Array]]] = {
    "stated": (ordered, lambda M, S: M @ S @ M.T),
    "Φ² for ΦᵀΦ": (ordered, lambda M, S: M @ M @ S),
    "transposed": (ordered, lambda M, S: M.T @ S @ M),
    "exp ∫a": (exponential_of_integral, lambda M, S: M @ S @ M.T),
    "noise² + 1 %": (ordered, lambda M, S: 1.01 * M @ S @ M.T),
}


@study("S0.E13", variants=NOISES, cases=tuple(SYSTEMS), applies=_in_the_plane)
def variance_solution(
    variant: tuple[Propagator, Callable[[Array, Array], Array]], case: str, size: Size, seed: int
) -> Evidence:
    system = SYSTEMS[case]
    return moments_evidence(case, size, covariance=propagated_noise(system, *variant) + _from_the_start(system))


#: What becomes of Var X₀, from Φ.
STARTS: dict[str, Callable[[Array, Array], Array]] = {
    "stated": lambda M, V: M @ V @ M.T,
    "start not propagated": lambda M, V: V,
    "transposed": lambda M, V: M.T @ V @ M,
    "start dropped": lambda M, V: 0 * V,
    "start + 5 %": lambda M, V: 1.05 * M @ V @ M.T,
}


@study("S0.E15", variants=STARTS, cases=tuple(SYSTEMS), applies=_in_the_plane)
def variance_of_the_start(variant: Callable[[Array, Array], Array], case: str, size: Size, seed: int) -> Evidence:
    system = SYSTEMS[case]
    noise = integrated(
        lambda t, V: system.matrix(t) @ V + V @ system.matrix(t).T + system.spread, 0 * system.covariance, system.end
    )
    claimed = noise + variant(ordered(system.matrix, system.end, 0.0), system.covariance)
    return moments_evidence(case, size, covariance=claimed)


@study(
    "S0.E14",
    variants={
        "stated": (1.0, 1.0),
        "without the means": (1.0, 0.0),
        "without the spreads": (0.0, 1.0),
        "spreads + 0.1 %": (1.001, 1.0),
    },
)
def total_variance(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """A joint law on 5 × 40 points of the plane, all sums exact; the left side never looks at Y."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(5, 40, 2)) + rng.normal(size=(5, 1, 2)), rng.dirichlet(np.ones(200)).reshape(5, 40)

    def spread(x: Array, w: Array) -> Array:
        mean = np.einsum("...k,...ki->...i", w, x) / w.sum(-1)[..., None]
        off = x - mean[..., None, :]
        return np.einsum("...k,...ki,...kj->...ij", w, off, off) / w.sum(-1)[..., None, None]

    y = w.sum(1)
    means = np.einsum("yk,yki->yi", w, x) / y[:, None]
    inner, outer = np.einsum("y,yij->ij", y, spread(x, w)), spread(means, y)
    gap = spread(x.reshape(-1, 2), w.ravel()) - variant[0] * inner - variant[1] * outer
    first = fpk.residual(gap.ravel(), 1e-13, proven=True, source="enumeration of 200 points")
    return Evidence(first, zero_estimate(4), ("Var 00", "Var 01", "Var 10", "Var 11"))


#: Drift, diffusion, how far the start of the claimed mean is off, and a factor on the claimed noise variance.
GAUSSIAN_STEPS = {
    "stated": ("-(1 + t)*x + 0.7", "sqrt(0.4 + 0.1*t)", 0.0, 1.0),
    "drift sin x": ("-(1 + t)*sin(x) + 0.7", "sqrt(0.4 + 0.1*t)", 0.0, 1.0),
    "noise of the state": ("-(1 + t)*x + 0.7", "sqrt(0.4 + 0.1*x**2)", 0.0, 1.0),
    "drift of the other start": ("-(1 + t)*x + 0.7", "sqrt(0.4 + 0.1*t)", 0.1, 1.0),
    "g² + 1 %": ("-(1 + t)*x + 0.7", "sqrt(0.4 + 0.1*t)", 0.0, 1.01),
}


@study("S0.T2", variants=GAUSSIAN_STEPS, cases=("from 1.5", "from −1"))
def conditionally_gaussian(variant: tuple[str, str, float, float], case: str, size: Size, seed: int) -> Evidence:
    drift, noise, off, factor = variant
    start = 1.5 if case == "from 1.5" else -1.0
    solved = on_grid(boxed(drift, noise, initial=fpk.Gaussian(start, 0.12)), size, times=[1.0], cells=72)
    Phi, end = np.exp(-1.5), 1.0
    shift = integrated(lambda t, c: -(1 + t) * c + 0.7, np.zeros(1), end)[0]
    V = integrated(lambda t, V: -2 * (1 + t) * V + 0.4 + 0.1 * t, np.zeros(1), end)[0]

    def claimed(off: float, factor: float) -> fpk.Gaussian:
        return fpk.Gaussian(Phi * (start + off) + shift, float(factor * V + Phi**2 * 0.12**2) ** 0.5)

    law = constant_law(claimed(off, factor), time=1.0, source="N(Φx + c, V)")
    return evidence(solved, law, panel=fpk.law_panel({1.0: claimed(0.0, 1.0)}))
