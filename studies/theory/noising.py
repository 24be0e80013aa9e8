r"""Noising: chains and SDEs that blur the data, dX = f(t) X dt + g(t) dW, and what is left of the data.

With B = ∫β: variance preserving X_t = e^{−B/2} X_0 + N(0, 1 − e^{−B}); variance exploding X_t = X_0 + N(0, ∫g²); in general X_t = λ_t X_0 + μ_t ε
with f = λ̇/λ and g² = λ² d(μ²/λ²)/dt.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import sympy as sp

import fpk
from fpk.laws import Array, GaussianMixture
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Size, evidence, study
from fpk.verdict import Outcome

from .._limits import limit_evidence
from .._systems import DATA, boxed, constant_law, on_grid

C, R = Outcome.CONFIRMED, Outcome.REFUTED
WIDE = fpk.Boundary("no_flux", -14.0, 14.0)

CLAIMS = (
    Claim(
        "S0.E16-17",
        "identity",
        "The variance-preserving chain with increments ΔB of the integrated rate has the kernel N(√(1 − ΔB) x, ΔB) and leaves N(0, 1) as it is.",
        r"X_{k+1}=\sqrt{1-\Delta B}\,X_k+\sqrt{\Delta B}\,\xi \;\Rightarrow\; X_{k+1}|x\sim\mathcal N(\sqrt{1-\Delta B}\,x,\,\Delta B)",
        "Chen (2024), equations 16 and 17",
        {"stated": C, "ΔB for its root": R, "1 − ΔB for its root": R, "ΔB + 1 %": R},
        {
            "ΔB for its root": "noise ΔB ξ",
            "1 − ΔB for its root": "the mean is (1 − ΔB) x",
            "ΔB + 1 %": "the noise variance is 1 % too large",
        },
        assumptions="0 ≤ ΔB ≤ 1.",
    ),
    Claim(
        "S0.E18",
        "identity",
        "Mean and variance of the chain's increment per unit of time tend to drift and squared diffusion of the variance-preserving SDE.",
        r"\lim_{h\to0}\frac{\mathbb E[\Delta X|x]}{h}=-\tfrac12\beta x,\qquad \lim_{h\to0}\frac{\mathrm{Var}[\Delta X|x]}{h}=\beta",
        "Chen (2024), equation 18",
        {"stated": C, "½ missing in the drift": R, "drift sign": R, "β² for β": R, "β + 0.1 %": R},
        {
            "½ missing in the drift": "−βx",
            "drift sign": "+½βx",
            "β² for β": "the variance grows at β²",
            "β + 0.1 %": "β is 0.1 % too large in both",
        },
    ),
    Claim(
        "S3.P-VPVE",
        "equality",
        "The variance-exploding SDE with noise √(dσ²/dt) adds σ²(t) − σ²(0) to the variance.",
        r"dX=\sqrt{\tfrac{d\sigma^2}{dt}}\,dW \;\Rightarrow\; X_t\sim X_0+\mathcal N(0,\,\sigma^2(t)-\sigma^2(0))",
        "LeTolguenec and Biquard, VP and VE",
        {"stated": C, "σ²(0) kept": R, "√ missing": R, "g² + 1 %": R},
        {
            "σ²(0) kept": "the law X₀ + N(0, σ²(t))",
            "√ missing": "the noise dσ²/dt",
            "g² + 1 %": "the noise variance is 1 % too large",
        },
    ),
    Claim(
        "err:S3.VE",
        "equality",
        "Right as printed: the variance-exploding SDE; the variance it adds, which is not printed, is σ²(t) − σ²(0).",
        r"dX=\sqrt{\tfrac{d\sigma^2}{dt}}\,dW",
        "LeTolguenec and Biquard, VP and VE",
        {"printed": C, "σ²(0) kept": R, "g² + 1 %": R},
        {
            "printed": "noise √(dσ²/dt)",
            "σ²(0) kept": "the law X₀ + N(0, σ²(t))",
            "g² + 1 %": "the noise variance is 1 % too large",
        },
    ),
    Claim(
        "S4.E71",
        "identity",
        "The steps (1 − ½βΔ) x and √(1 − βΔ) x differ by second order; the latter keeps N(0, 1), the other settles at the variance 1/(1 − βΔ/4).",
        r"1-\tfrac12\beta\Delta-\sqrt{1-\beta\Delta}=\tfrac18\beta^2\Delta^2+O(\Delta^3),\qquad v_\infty=1,\ \frac{1}{1-\beta\Delta/4}",
        "GM (2023), equations 71 and 73 to 75",
        {"stated": C, "βΔ/2 for βΔ/4": R, "1 + βΔ/4": R, "¼ for ⅛": R, "β + 1 %": R},
        {
            "βΔ/2 for βΔ/4": "the variance 1/(1 − βΔ/2)",
            "1 + βΔ/4": "the first term of the series only",
            "¼ for ⅛": "the steps differ by ¼β²Δ²",
            "β + 1 %": "β is 1 % too large in the variance and in the difference",
        },
    ),
    Claim(
        "S1.E1-2",
        "equality",
        "The pair (λ, μ) of scale and noise is realised by f = λ̇/λ and g² = λ² d(μ²/λ²)/dt.",
        r"f=\frac{\dot\lambda}{\lambda}x,\quad g^2=\lambda^2\frac{d}{dt}\frac{\mu^2}{\lambda^2} \;\Rightarrow\; X_t\sim\lambda_tX_0+\mu_t\varepsilon",
        "Wei (2024), equations 1 and 2",
        {"stated": C, "½ extra on g²": R, "λ dropped": R, "drift sign": R, "g² + 1 %": R},
        {
            "½ extra on g²": "half the noise variance",
            "λ dropped": "g² = d(μ²)/dt",
            "drift sign": "f = −λ̇/λ x",
            "g² + 1 %": "the noise variance is 1 % too large",
        },
        assumptions="λ₀ = 1, μ₀ = 0, λ > 0, μ/λ not decreasing.",
    ),
    Claim(
        "S1.E34-37",
        "equality",
        "X/λ is Brownian motion in the time (μ/λ)²: also over a finite step the noise added to X/λ has the variance by which (μ/λ)² grows.",
        r"\frac{X_t}{\lambda_t}-\frac{X_s}{\lambda_s}\sim\mathcal N\Bigl(0,\,\frac{\mu_t^2}{\lambda_t^2}-\frac{\mu_s^2}{\lambda_s^2}\Bigr)",
        "Wei (2024), equations 34 to 37",
        {"stated": C, "difference squared": R, "λ_s for λ_t": R, "noise² + 1 %": R},
        {
            "difference squared": "the variance (μ_t/λ_t − μ_s/λ_s)²",
            "λ_s for λ_t": "multiplied back with λ at the start of the step",
            "noise² + 1 %": "the noise variance is 1 % too large",
        },
    ),
)


# -- chains ------------------------------------------------------------------------------------------------------------------

#: Powers of ΔB in the noise and of 1 − ΔB in the mean, and a factor on the noise variance.
CHAIN_STEPS = {
    "stated": (0.5, 0.5, 1.0),
    "ΔB for its root": (1.0, 0.5, 1.0),
    "1 − ΔB for its root": (0.5, 1.0, 1.0),
    "ΔB + 1 %": (0.5, 0.5, 1.01),
}


@study("S0.E16-17", variants=CHAIN_STEPS)
def chain_kernel(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """Four steps from N(0, 1) by quadrature: the characteristic function stays that of N(0, 1); one from x: mean and variance."""
    noise, scale, factor = variant
    z, w = np.polynomial.hermite_e.hermegauss(24 if size.quick else 48)
    w = w / w.sum()
    increments = np.array([0.1, 0.35, 0.7, 0.95])
    roots, blurs = (1 - increments) ** scale, factor**0.5 * increments**noise
    k = np.array([0.5, 1.0, 2.0])
    through = np.prod([np.cos(np.outer(k * np.prod(roots[i + 1 :]), b * z)) @ w for i, b in enumerate(blurs)], axis=0)
    kept = through * (np.cos(np.outer(k * np.prod(roots), z)) @ w) - np.exp(-0.5 * k**2)
    moved = roots[:, None] * 1.7 + blurs[:, None] * z
    mean, spread = moved @ w, (moved**2) @ w
    values = np.concatenate([kept, mean - np.sqrt(1 - increments) * 1.7, spread - mean**2 - increments])
    names = tuple(f"E cos {c:g}X" for c in k) + tuple(
        f"{m}, ΔB = {b:g}" for m in ("mean", "variance") for b in increments
    )
    return Evidence(fpk.residual(values, 1e-12, source="quadrature"), zero_estimate(len(values)), names)


@study(
    "S0.E18",
    variants={
        "stated": (-0.5, 1.0, 1.0),
        "½ missing in the drift": (-1.0, 1.0, 1.0),
        "drift sign": (0.5, 1.0, 1.0),
        "β² for β": (-0.5, 2.0, 1.0),
        "β + 0.1 %": (-0.5, 1.0, 1.001),
    },
)
def infinitesimal_moments(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    drift, power, factor = variant
    x, t = np.array([-1.5, 0.4, 2.0]), 0.3
    beta: Callable[[float], float] = lambda t: 0.5 + 3 * t**2  # noqa: E731

    def moments(h: float) -> Array:
        blur = 0.5 * h + (t + h) ** 3 - t**3  # B(t + h) − B(t)
        return np.append((np.sqrt(1 - blur) - 1) * x / h, blur / h)

    claimed = np.append(drift * factor * beta(t) * x, (factor * beta(t)) ** power)
    names = (*(f"mean at {a:g}" for a in x), "variance")
    return limit_evidence(moments, claimed, step=0.05, names=names, source="increments of the chain over h → 0")


#: Stationary variance of the Euler step as a function of βΔ, the second-order coefficient of the difference, and a factor on β.
EULER_STEPS: dict[str, tuple[Callable[[float], float], float, float]] = {
    "stated": (lambda b: 1 / (1 - b / 4), 0.125, 1.0),
    "βΔ/2 for βΔ/4": (lambda b: 1 / (1 - b / 2), 0.125, 1.0),
    "1 + βΔ/4": (lambda b: 1 + b / 4, 0.125, 1.0),
    "¼ for ⅛": (lambda b: 1 / (1 - b / 4), 0.25, 1.0),
    "β + 1 %": (lambda b: 1 / (1 - b / 4), 0.125, 1.01),
}


@study("S4.E71", variants=EULER_STEPS)
def two_steps(variant: tuple[Callable[[float], float], float, float], case: str, size: Size, seed: int) -> Evidence:
    """Stationary variances by running the recursions, the difference of the steps by its limit."""
    stationary, coefficient, factor = variant
    beta, step = 1.6, 0.25
    blur = beta * step
    settled = np.full(2, 3.0)
    for _ in range(400):
        settled = np.array([(1 - blur / 2) ** 2, 1 - blur]) * settled + blur
    apart = limit_evidence(
        lambda h: np.array([(1 - beta * h / 2 - np.sqrt(1 - beta * h)) / h**2]),
        np.array([coefficient * (factor * beta) ** 2]),
        step=0.05,
        names=("difference / Δ²",),
        source="",
    ).first
    values = np.append(apart.value, settled - [stationary(factor * blur), 1.0])
    bounds = np.append(apart.bias_bound, [1e-12, 1e-12])
    names = ("difference / Δ²", "variance of the Euler step", "variance of the other")
    return Evidence(fpk.residual(values, bounds, source="recursions and a limit"), zero_estimate(3), names)


# -- SDEs --------------------------------------------------------------------------------------------------------------------


def _exploding(power: float, factor: float, kept: bool, size: Size) -> Evidence:
    """σ² = .25 + 2t: noise (dσ²/dt)^power, and σ²(0) added to the law or not."""
    problem = boxed(0.0, (factor * 2.0 ** (2 * power)) ** 0.5, initial=DATA, walls=WIDE)
    claimed = constant_law(_blurred(DATA, 1.0, 2.0 + 0.25 * kept), time=1.0, source="X₀ + noise")
    panel = fpk.law_panel({1.0: _blurred(DATA, 1.0, 2.0)})
    return evidence(on_grid(problem, size, times=[1.0], cells=96), claimed, panel=panel)


@study(
    "S3.P-VPVE",
    variants={
        "stated": (0.5, 1.0, False),
        "σ²(0) kept": (0.5, 1.0, True),
        "√ missing": (1.0, 1.0, False),
        "g² + 1 %": (0.5, 1.01, False),
    },
)
def exploding_variance(variant: tuple[float, float, bool], case: str, size: Size, seed: int) -> Evidence:
    return _exploding(*variant, size)


@study(
    "err:S3.VE", variants={"printed": (0.5, 1.0, False), "σ²(0) kept": (0.5, 1.0, True), "g² + 1 %": (0.5, 1.01, False)}
)
def exploding_as_printed(variant: tuple[float, float, bool], case: str, size: Size, seed: int) -> Evidence:
    return _exploding(*variant, size)


class Pair(NamedTuple):
    """λ and μ² as expressions of t, and how long they run."""

    scale: sp.Expr
    variance: sp.Expr
    horizon: float


T = sp.Symbol("t", nonnegative=True)
DECAY = sp.exp(-(T + T**2))
PAIRS = {
    "variance preserving": Pair(DECAY, 1 - DECAY**2, 1.0),
    "variance exploding": Pair(sp.Integer(1), T + T**2, 1.0),
    "straight": Pair(1 - T, T**2, 0.8),
}


def _numeric(expression: sp.Expr) -> Callable[[float], float]:
    function = sp.lambdify(T, expression, "math")
    return lambda t: float(function(t))


@lru_cache(maxsize=32)
def _coefficients(case: str, dropped: bool) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """f and g² of a pair by symbolic differentiation; without λ if ``dropped``."""
    pair = PAIRS[case]
    scale = sp.Integer(1) if dropped else pair.scale
    squared = sp.simplify(scale**2 * sp.diff(pair.variance / scale**2, T))
    return _numeric(sp.simplify(sp.diff(pair.scale, T) / pair.scale)), _numeric(squared)


def _at(case: str, t: float) -> tuple[float, float]:
    """λ and μ² at t."""
    pair = PAIRS[case]
    return float(pair.scale.subs(T, t)), float(pair.variance.subs(T, t))


def _blurred(law: GaussianMixture, scale: float, variance: float) -> GaussianMixture:
    """The law of scale X + N(0, variance)."""
    return law.pushed(scale * np.eye(1), np.zeros(1), np.full((1, 1), variance))


@study(
    "S1.E1-2",
    variants={
        "stated": (1.0, False, 1.0),
        "½ extra on g²": (1.0, False, 0.5),
        "λ dropped": (1.0, True, 1.0),
        "drift sign": (-1.0, False, 1.0),
        "g² + 1 %": (1.0, False, 1.01),
    },
    cases=tuple(PAIRS),
    applies=lambda variant, case: case != "variance exploding" or variant not in ("λ dropped", "drift sign"),
)
def scale_and_noise(variant: tuple[float, bool, float], case: str, size: Size, seed: int) -> Evidence:
    sign, dropped, factor = variant
    (f, squared), horizon = _coefficients(case, dropped), PAIRS[case].horizon
    drift, noise = fpk.Linear(lambda t: sign * f(t)), lambda t: max(factor * squared(t), 0.0) ** 0.5
    problem = boxed(drift, noise, initial=DATA, horizon=horizon, walls=WIDE)
    claimed = constant_law(_blurred(DATA, *_at(case, horizon)), time=horizon, source="λX₀ + με")
    return evidence(on_grid(problem, size, times=[horizon], cells=80, steps=12), claimed)


#: Variance added to X/λ from (λ, μ²) at both ends; whether the scale at the start is taken; a factor.
FINITE_STEPS: dict[str, tuple[Callable[[float, float], float], bool, float]] = {
    "stated": (lambda late, early: late - early, False, 1.0),
    "difference squared": (lambda late, early: (late**0.5 - early**0.5) ** 2, False, 1.0),
    "λ_s for λ_t": (lambda late, early: late - early, True, 1.0),
    "noise² + 1 %": (lambda late, early: late - early, False, 1.01),
}


@study(
    "S1.E34-37",
    variants=FINITE_STEPS,
    cases=tuple(PAIRS),
    applies=lambda variant, case: case != "variance exploding" or variant != "λ_s for λ_t",
)
def finite_step(
    variant: tuple[Callable[[float, float], float], bool, float], case: str, size: Size, seed: int
) -> Evidence:
    """From t = .3 on: the SDE on the grid against one step of the claimed kernel."""
    added, early_scale, factor = variant
    (f, squared), end = _coefficients(case, False), PAIRS[case].horizon
    problem = boxed(
        fpk.Linear(lambda t: f(t + 0.3)), lambda t: squared(t + 0.3) ** 0.5, initial=DATA, horizon=end - 0.3, walls=WIDE
    )
    (early, start), (late, stop) = _at(case, 0.3), _at(case, end)
    back = early if early_scale else late
    noise = factor * back**2 * added(stop / late**2, start / early**2)
    claimed = constant_law(_blurred(DATA, back / early, noise), time=end - 0.3, source="one step of the kernel")
    stated = _blurred(DATA, late / early, late**2 * (stop / late**2 - start / early**2))
    solved = on_grid(problem, size, times=[end - 0.3], cells=80, steps=12)
    return evidence(solved, claimed, panel=fpk.law_panel({end - 0.3: stated}))
