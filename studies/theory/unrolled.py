r"""The variance-preserving SDE solved and its Euler chain unrolled, and what is misprinted about linear SDEs.

    X_t = e^{−B/2} X_0 + ∫ √β(s) e^{−½∫_s^t β} dW_s,     x_n = x_0 ∏(1 − ½β_iΔ) + Σ √(β_iΔ) ε_i ∏_{j>i}(1 − ½β_jΔ).

Both are linear in the noise, so that mean-square distances between them are sums and integrals of squares.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.integrate import quad

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Remark, Size, order_evidence, study
from fpk.verdict import Outcome

from .._limits import limit_evidence
from ._moments import (
    SYSTEMS,
    exponential_of_integral,
    integrated,
    moments_evidence,
    ordered,
    propagated_mean,
    propagated_noise,
)

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S3.E2",
        "order",
        "The variance-preserving SDE is solved by the damped start plus an integral of the damped noise; its Euler chain on the same noise tends to that at strong order 1.",
        r"X_t=X_0e^{-B/2}+\int_0^t\sqrt{\beta(s)}\,e^{-\frac12\int_s^t\beta}\,dW_s",
        "LeTolguenec and Biquard, equation 2",
        {"stated": C, "½ missing": R, "√ missing": R, "not damped": R, "order 2": R, "β + 1 %": R},
        {
            "½ missing": "noise damped by e^{−∫β}",
            "√ missing": "β in the place of √β",
            "not damped": "∫√β dW",
            "order 2": "strong order 2",
            "β + 1 %": "√β is 1 % too large",
        },
    ),
    Claim(
        "S3.E3-5",
        "identity",
        "The conditional variance of the variance-preserving SDE, an integral of damped rates, is 1 − e^{−B}.",
        r"\int_0^t\beta(s)\,e^{-\int_s^t\beta}\,ds=1-e^{-B(t)}",
        "LeTolguenec and Biquard, equations 3 to 5",
        {"stated": C, "½ extra": R, "root of it": R, "damped from 0 to s": R, "β + 0.1 %": R},
        {
            "½ extra": "1 − e^{−B/2}",
            "root of it": "√(1 − e^{−B})",
            "damped from 0 to s": "∫β e^{−∫₀ˢβ·2}",
            "β + 0.1 %": "B is 0.1 % too large",
        },
    ),
    Claim(
        "S4.E76-81",
        "identity",
        "The Euler chain of the variance-preserving SDE is its damped start plus every noise damped by the later steps.",
        r"x_n=x_0\prod_i(1-\tfrac12\beta_i\Delta)+\sum_i\sqrt{\beta_i\Delta}\,\varepsilon_i\prod_{j>i}(1-\tfrac12\beta_j\Delta)",
        "GM (2023), equations 76 to 81",
        {"stated": C, "j ≥ i": R, "one ε for all": R, "½ missing": R, "β + 0.01 %": R},
        {
            "j ≥ i": "each noise is damped by its own step too",
            "one ε for all": "the first noise in the place of all",
            "½ missing": "factors 1 − βΔ",
            "β + 0.01 %": "β is 0.01 % too large in the sum",
        },
    ),
    Claim(
        "S4.E78-79",
        "order",
        "As the step tends to 0 the product of the chain tends to e^{−B/2} and the variance of its noise to 1 − e^{−B}, with errors of first order.",
        r"\prod_i(1-\tfrac12\beta_i\Delta)\to e^{-B/2},\qquad \sum_i\beta_i\Delta\prod_{j>i}(1-\tfrac12\beta_j\Delta)^2\to1-e^{-B}",
        "GM (2023), equations 78, 79 and 82 to 85",
        {"stated": C, "order 2": R, "another limit": R, "limit + 1 %": R},
        {"order 2": "second order", "another limit": "e^{−B} and 1 − e^{−2B}", "limit + 1 %": "limits 1 % too large"},
    ),
    Claim(
        "err:S0.E10-E11",
        "identity",
        "Printed for matrices: the mean by the exponential of ∫a; where a(t) and a(s) do not commute the time-ordered propagator is needed.",
        r"\text{printed: }e^{\int a}\Bigl(X_0+\int e^{-\int a}b\Bigr)\qquad\text{corrected: }\Phi(t,0)X_0+\int\Phi(t,s)\,b\,ds",
        "Chen (2024), equations 10 and 11",
        {"printed": R, "corrected": C, "degenerate": C},
        {"printed": "exp ∫a, matrices", "corrected": "Φ, matrices", "degenerate": "as printed, a number a(t)"},
    ),
    Claim(
        "err:S0.E12",
        "identity",
        "Printed for matrices: the variance equation with 2aV.",
        r"\text{printed: }V'=2aV+GQG^{\mathsf T}\qquad\text{corrected: }V'=aV+Va^{\mathsf T}+GQG^{\mathsf T}",
        "Chen (2024), equation 12",
        {"printed": R, "corrected": C, "degenerate": C},
        {"printed": "2aV, matrices", "corrected": "aV + Vaᵀ", "degenerate": "as printed, a number a(t)"},
    ),
    Claim(
        "err:S0.E13-E15",
        "identity",
        "Printed for matrices: the covariance by exponentials of ∫2a, without transposes.",
        r"\text{printed: }e^{\int2a}\Bigl(\mathrm{Var}X_0+\int e^{-\int2a}GQG^{\mathsf T}\Bigr)\qquad\text{corrected: }\Phi\,\mathrm{Var}(X_0)\Phi^{\mathsf T}+\int\Phi\,GQG^{\mathsf T}\Phi^{\mathsf T}",
        "Chen (2024), equations 13 and 15",
        {"printed": R, "corrected": C, "degenerate": C},
        {"printed": "exp ∫2a, matrices", "corrected": "Φ and Φᵀ", "degenerate": "as printed, a number a(t)"},
    ),
    Claim(
        "err:S0.T2",
        "identity",
        "Only in the limit: the chain of finite steps s has the mean and variance of the SDE as s → 0, not at finite s.",
        r"X_{t+s}=(1+as)X_t+\sqrt{s}\,g\,\xi:\quad \mathcal N(e,V)\text{ only as } s\to0",
        "Chen (2024), theorem 2",
        {"inside": C, "outside": R},
        {"inside": "the limit of the chain's mean and variance, s → 0", "outside": "the chain with s = .1"},
    ),
    Claim(
        "err:S3.P1",
        "identity",
        "Misprint: the integrating factor is lost in the noise integral of the derivation.",
        r"\text{printed: }\int d(IX)=\int\sqrt\beta\,dW\qquad\text{corrected: }\int I\sqrt\beta\,dW,\quad I=e^{B/2}",
        "LeTolguenec and Biquard, derivation of equation 2",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "the variance ∫β, β = 2",
            "corrected": "the variance ∫I²β",
            "degenerate": "as printed, to first order in a short time",
        },
    ),
    Claim(
        "err:S4.E76-77-80",
        "identity",
        "Printed with one symbol for the noise of all steps: the noises are independent, so that their variances add and not their amplitudes.",
        r"\text{printed: }\varepsilon\qquad\text{corrected: }\varepsilon_i",
        "GM (2023), equations 76, 77 and 80",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "the square of the summed amplitudes",
            "corrected": "the sum of the squares",
            "degenerate": "one step only",
        },
    ),
)

REMARKS = (
    Remark(
        "err:S0.E2",
        "The quadratic term of the expansion is printed without brackets and transpose.",
        "½(bτ + √(2τ) ξ)ᵀ ∇²f (bτ + √(2τ) ξ) is meant; the lines after it are right.",
        "Chen (2024), equation 2",
    ),
    Remark(
        "err:S0.E18-text",
        "N[...] stands for a variance, E[X₀|X₀] and Var(X₀|X₀) for conditional moments, a minus for an equals sign, m × m for d × d.",
        "Slips of notation; the equations used afterwards are the right ones.",
        "Chen (2024), equations 12, 18, 20 and text after 40",
    ),
    Remark(
        "err:S4.E78",
        "The product is set equal to an exponential at a finite number of steps.",
        "The limit is meant; the error is of first order in the step (S4.E78-79).",
        "GM (2023), equation 78",
    ),
)


def _rate(t: float) -> float:
    return 0.4 + 2.4 * t


def _integral(t: float) -> float:
    """B(t)."""
    return 0.4 * t + 1.2 * t**2


def _rates(steps: int) -> Array:
    return 0.4 + 2.4 * np.arange(steps) / steps


def _later(factors: Array) -> Array:
    """The products over later steps, ∏_{j>i}."""
    return np.append(np.cumprod(factors[::-1])[::-1][1:], 1.0)


#: The amplitude of dW_s in X_1, and the claimed strong order.
INTEGRANDS: dict[str, tuple[Callable[[Array], Array], float]] = {
    "stated": (lambda s: np.sqrt(0.4 + 2.4 * s) * np.exp(-0.5 * (1.6 - 0.4 * s - 1.2 * s**2)), 1.0),
    "½ missing": (lambda s: np.sqrt(0.4 + 2.4 * s) * np.exp(-(1.6 - 0.4 * s - 1.2 * s**2)), 1.0),
    "√ missing": (lambda s: (0.4 + 2.4 * s) * np.exp(-0.5 * (1.6 - 0.4 * s - 1.2 * s**2)), 1.0),
    "not damped": (lambda s: np.sqrt(0.4 + 2.4 * s), 1.0),
    "order 2": (lambda s: np.sqrt(0.4 + 2.4 * s) * np.exp(-0.5 * (1.6 - 0.4 * s - 1.2 * s**2)), 2.0),
    "β + 1 %": (lambda s: 1.01 * np.sqrt(0.4 + 2.4 * s) * np.exp(-0.5 * (1.6 - 0.4 * s - 1.2 * s**2)), 1.0),
}


@study("S3.E2", variants=INTEGRANDS)
def solved_by_noise(variant: tuple[Callable[[Array], Array], float], case: str, size: Size, seed: int) -> Evidence:
    """(E|X_1^h − X_1|²)^½ from X_0 = 1: chain and integral are linear in the same noise, the Itô isometry does the rest."""
    amplitude, order = variant
    u, w = np.polynomial.legendre.leggauss(8)

    def apart(steps: int) -> float:
        factors, h = 1 - 0.5 * _rates(steps) / steps, 1 / steps
        s = (np.arange(steps)[:, None] + 0.5 * (1 + u)) * h
        chain = np.sqrt(_rates(steps)) * _later(factors)
        noise = ((chain[:, None] - amplitude(s)) ** 2 @ (0.5 * w)).sum() * h
        return float(np.sqrt(noise + (np.prod(factors) - np.exp(-0.8)) ** 2))

    steps = 16 * 2 ** np.arange(6)
    errors, source = [apart(int(n)) for n in steps], "strong error of the Euler chain"
    return order_evidence(errors, 1 / steps, order, floor=1e-13, source=source)


#: 1 − e^{−B} as claimed from B.
VARIANCES: dict[str, Callable[[float], float]] = {
    "stated": lambda B: -np.expm1(-B),
    "½ extra": lambda B: -np.expm1(-B / 2),
    "root of it": lambda B: np.sqrt(-np.expm1(-B)),
    "damped from 0 to s": lambda B: -0.5 * np.expm1(-2 * B),
    "β + 0.1 %": lambda B: -np.expm1(-1.001 * B),
}


@study("S3.E3-5", variants=VARIANCES)
def damped_rates(variant: Callable[[float], float], case: str, size: Size, seed: int) -> Evidence:
    """By adaptive quadrature, β = .4 + 2.4t."""
    times = (0.2, 0.5, 1.0)
    found = [quad(lambda s, t=t: _rate(s) * np.exp(_integral(s) - _integral(t)), 0, t, epsabs=1e-13) for t in times]
    values = np.array([f[0] - variant(_integral(t)) for f, t in zip(found, times, strict=True)])
    first = fpk.residual(values, np.array([f[1] for f in found]) + 1e-12, source="quadrature")
    return Evidence(first, zero_estimate(3), tuple(f"t = {t:g}" for t in times))


#: Factor of ½β, products over j ≥ i, one noise, factor on β.
UNROLLED = {
    "stated": (0.5, False, False, 1.0),
    "j ≥ i": (0.5, True, False, 1.0),
    "one ε for all": (0.5, False, True, 1.0),
    "½ missing": (1.0, False, False, 1.0),
    "β + 0.01 %": (0.5, False, False, 1.0001),
}


@study("S4.E76-81", variants=UNROLLED)
def unrolled_chain(variant: tuple[float, bool, bool, float], case: str, size: Size, seed: int) -> Evidence:
    """Twenty steps of three chains on drawn noise, step by step against the sum."""
    half, own, shared, factor = variant
    noise = np.random.default_rng(seed).normal(size=(3, 20))
    x, blurs = np.full(3, 1.3), _rates(20) / 20
    for blur, z in zip(blurs, noise.T, strict=True):
        x = x - 0.5 * blur * x + np.sqrt(blur) * z
    blurs = factor * blurs
    factors = 1 - half * blurs
    later = np.cumprod(factors[::-1])[::-1] if own else _later(factors)
    drawn = np.repeat(noise[:, :1], 20, axis=1) if shared else noise
    claimed = 1.3 * np.prod(factors) + drawn @ (np.sqrt(blurs) * later)
    return Evidence(
        fpk.residual(x - claimed, 1e-13, proven=True, source="recursion"), zero_estimate(3), ("1", "2", "3")
    )


@study(
    "S4.E78-79",
    variants={
        "stated": (1.0, 1.0, 1.0),
        "order 2": (2.0, 1.0, 1.0),
        "another limit": (1.0, 2.0, 1.0),
        "limit + 1 %": (1.0, 1.0, 1.01),
    },
    cases=("product", "variance"),
)
def chain_limits(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    order, power, factor = variant
    B = power * _integral(1.0)
    claimed = factor * (np.exp(-B / 2) if case == "product" else -np.expm1(-B))

    def error(steps: int) -> float:
        factors = 1 - 0.5 * _rates(steps) / steps
        found = np.prod(factors) if case == "product" else (_rates(steps) / steps) @ _later(factors) ** 2
        return float(found - claimed)

    steps = 50 * 2 ** np.arange(6)
    errors = [error(int(n)) for n in steps]
    return order_evidence(errors, 1 / steps, order, floor=1e-13, source=f"error of the {case}")


# -- misprints ---------------------------------------------------------------------------------------------------------------

#: The case each form is looked at in.
FORMS = {"printed": ("matrix", True), "corrected": ("matrix", False), "degenerate": ("scalar", True)}


@study("err:S0.E10-E11", variants=FORMS)
def mean_as_printed(variant: tuple[str, bool], case: str, size: Size, seed: int) -> Evidence:
    name, printed = variant
    return moments_evidence(
        name, size, mean=propagated_mean(SYSTEMS[name], exponential_of_integral if printed else ordered)
    )


@study("err:S0.E12", variants=FORMS)
def variance_as_printed(variant: tuple[str, bool], case: str, size: Size, seed: int) -> Evidence:
    name, printed = variant
    system = SYSTEMS[name]

    def slope(t: float, V: Array) -> Array:
        a = system.matrix(t)
        return (2 * a @ V if printed else a @ V + V @ a.T) + system.spread

    return moments_evidence(name, size, covariance=integrated(slope, system.covariance, system.end))


@study("err:S0.E13-E15", variants=FORMS)
def covariance_as_printed(variant: tuple[str, bool], case: str, size: Size, seed: int) -> Evidence:
    name, printed = variant
    system = SYSTEMS[name]
    if printed:
        doubled = partial(exponential_of_integral, lambda t: 2 * system.matrix(t))
        noise = propagated_noise(system, lambda a, late, early: doubled(late, early), lambda M, S: M @ S)
        return moments_evidence(name, size, covariance=noise + doubled(system.end, 0.0) @ system.covariance)
    Phi = ordered(system.matrix, system.end, 0.0)
    noise = propagated_noise(system, ordered, lambda M, S: M @ S @ M.T)
    return moments_evidence(name, size, covariance=noise + Phi @ system.covariance @ Phi.T)


@study("err:S0.T2", variants={"inside": True, "outside": False})
def chain_is_not_the_sde(variant: bool, case: str, size: Size, seed: int) -> Evidence:
    """a = −1, g = 1 from x₀ = 1 to t = 1: mean and variance of the chain by recursion."""

    def chain(step: float) -> Array:
        mean, spread = 1.0, 0.0
        for _ in range(round(1 / step)):
            mean, spread = (1 - step) * mean, (1 - step) ** 2 * spread + step
        return np.array([mean, spread])

    claimed = np.array([np.exp(-1), -0.5 * np.expm1(-2)])
    if variant:
        return limit_evidence(chain, claimed, step=1 / 40, names=("mean", "variance"), source="the chain as s → 0")
    first = fpk.residual(chain(0.1) - claimed, 1e-12, source="the chain with s = .1")
    return Evidence(first, zero_estimate(2), ("mean", "variance"))


@study("err:S3.P1", variants={"printed": (False, 1.0), "corrected": (True, 1.0), "degenerate": (False, 0.0)})
def integrating_factor(variant: tuple[bool, float], case: str, size: Size, seed: int) -> Evidence:
    """The variance of I X_t − X_0 per unit of time, β = 2: from the recursion of the chain's variance, as its step tends to 0."""
    damped, t = variant
    if t == 0.0:
        short = lambda h: np.array([_scaled_variance(h, 16) / h])  # noqa: E731
        return limit_evidence(short, np.array([2.0]), step=0.02, names=("variance / t",), source="t → 0")
    claimed = np.expm1(2.0) if damped else 2.0
    return limit_evidence(
        lambda h: np.array([_scaled_variance(1.0, round(1 / h))]), np.array([claimed]), step=1 / 40, names=("variance",),
        source="the chain as its step tends to 0",
    )  # fmt: skip


def _scaled_variance(t: float, steps: int) -> float:
    """e^{βt} times the variance at t of the exact chain of ``steps`` steps, β = 2."""
    spread, blur = 0.0, -np.expm1(-2 * t / steps)
    for _ in range(steps):
        spread = (1 - blur) * spread + blur
    return float(np.exp(2 * t) * spread)


@study("err:S4.E76-77-80", variants={"printed": (True, 40), "corrected": (False, 40), "degenerate": (True, 1)})
def one_noise_for_all(variant: tuple[bool, int], case: str, size: Size, seed: int) -> Evidence:
    """The variance of the chain's noise by its recursion, β = .4 + 2.4t."""
    shared, steps = variant
    blurs, spread = _rates(steps) / steps, 0.0
    for blur in blurs:
        spread = (1 - blur / 2) ** 2 * spread + blur
    amplitudes = np.sqrt(blurs) * _later(1 - blurs / 2)
    claimed = amplitudes.sum() ** 2 if shared else (amplitudes**2).sum()
    first = fpk.residual(np.array([spread - claimed]), 1e-13, proven=True, source="recursion of the variance")
    return Evidence(first, zero_estimate(1), ("variance",))
