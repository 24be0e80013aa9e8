r"""One law, many processes: free noise, and the probability flow that has none.

    dX = (f − ½(g² − σ²) s) dt + σ dW has the marginals p_t of dX = f dt + g dW for every σ ≥ 0, s = ∇ log p_t.

At σ = 0 this is the probability flow. In one dimension its velocity is −∂_t F/p, with F the distribution function, and its flow is the monotone map
F_t^{-1} ∘ F_s: neither needs a score, and both are what the formulas are held against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import quad, solve_ivp

import fpk
from fpk.fokker_planck.solutions import GridMarginals
from fpk.laws import Array, central_derivative
from fpk.marginals import zero_estimate
from fpk.samplers.coupling import quantiles
from fpk.study import Claim, Evidence, Size, evidence, study
from fpk.verdict import Outcome

from .._limits import limit
from .._systems import BOX, DATA, boxed, forward_score, scaled

C, R = Outcome.CONFIRMED, Outcome.REFUTED
SCHEDULE = fpk.VPSchedule(0.6, 3.4)
FORWARD = fpk.noising(SCHEDULE, DATA)
EXACT = fpk.exact(FORWARD, times=[1.0])
SCORE_NOTES = {
    "score sign": "−∇log p in place of ∇log p",
    "½ missing": "the score with twice its weight",
    "½ extra": "the score with half its weight",
    "score + 1 %": "the score is 1 % too large",
    "score + 2 %": "the score is 2 % too large",
}
FACTORS = {"stated": 1.0, "score sign": -1.0, "½ missing": 2.0, "½ extra": 0.5}

CLAIMS = (
    Claim(
        "S1.E25",
        "identity",
        "Noise can be traded for score in the Fokker–Planck equation: its right-hand side is the same for every noise λ.",
        r"-\partial_x(fp)+\tfrac12g^2\partial_x^2p=-\partial_x\bigl((f-\tfrac12(g^2-\lambda^2)\,\partial_x\log p)\,p\bigr)+\tfrac12\lambda^2\,\partial_x^2p",
        "Wei (2024), equation 25",
        {"stated": C, "score sign": R, "½ missing": R, "½ extra": R, "λ² + 1 %": R},
        SCORE_NOTES | {"λ² + 1 %": "the second derivative with 1 % more noise than the drift accounts for"},
    ),
    Claim(
        "S1.E29",
        "identity",
        "With the noise of the SDE itself the score cancels and its own drift is left.",
        r"\sigma=g:\qquad f-\tfrac12(g^2-\sigma^2)\,\nabla\log p_t=f",
        "Wei (2024), equations 29 and 51",
        {"stated": C, "twice the noise": R, "no noise": R, "noise + 1 %": R},
        {"twice the noise": "σ = 2g", "no noise": "σ = 0", "noise + 1 %": "σ = 1.01 g"},
    ),
    Claim(
        "S1.E56",
        "identity",
        "Without noise the family is the probability flow: X/λ moves at the rate of μ/λ times the noise the score predicts.",
        r"\sigma=0:\quad \dot X=f-\tfrac12g^2\,\nabla\log p_t,\qquad d\bigl(X/\lambda\bigr)=\epsilon\,d\bigl(\mu/\lambda\bigr),\ \epsilon=-\mu\,\nabla\log p_t",
        "Wei (2024), equation 56; LeTolguenec and Biquard, equations 8 and 9",
        {"stated": C, "score sign": R, "½ missing": R, "½ extra": R, "score + 1 %": R},
        SCORE_NOTES,
    ),
    Claim(
        "S1.T55b",
        "identity",
        "Processes with one law at each time are not one process: the covariance of X at two times depends on the free noise.",
        r"\mathrm{Cov}(X_0,X_t)=V_0\exp\int_0^t\Bigl(a-\frac{\sigma^2-g^2}{2V}\Bigr)ds\quad\text{for Gaussian data}",
        "Wei (2024), text after equation 55",
        {"stated": C, "that of the SDE": R, "score sign": R, "σ² + 1 %": R},
        {
            "that of the SDE": "σ = g whatever σ is",
            "score sign": SCORE_NOTES["score sign"],
            "σ² + 1 %": "the free noise is 1 % stronger in variance",
        },
        assumptions="data N(.5, .5²); a the drift rate of the SDE and V its variance.",
    ),
    Claim(
        "S1.T28s",
        "order",
        "Much free noise keeps the marginals but makes the process stiff: the error of Euler steps grows like σ².",
        r"\lim_{h\to0}\frac{|\mathrm{Var}\,X^h_1-\mathrm{Var}\,X_1|}{h}\sim C\sigma^2,\qquad \sigma\to\infty",
        "Wei (2024), text after equation 28",
        {"stated": C, "like σ": R, "like σ³": R, "not at all": R},
        {"like σ": "linear growth", "like σ³": "cubic growth", "not at all": "the error does not depend on σ"},
        assumptions="Gaussian data.",
    ),
    Claim(
        "S2.P-PFrev",
        "identity",
        "The probability flow run backwards carries p_T to the data law, point by point along the monotone map of the two.",
        r"\dot Y=-v(Y,T-\tau),\ Y_0\sim p_T \;\Rightarrow\; Y_T=F_0^{-1}(F_T(Y_0))\sim p_0",
        "Rakitin, reverse probability flow",
        {"stated": C, "score sign": R, "½ missing": R, "½ extra": R, "not reversed": R, "score + 1 %": R},
        SCORE_NOTES | {"not reversed": "the velocity with its forward sign"},
        assumptions="d = 1 for the map.",
    ),
    Claim(
        "S1.T57",
        "identity",
        "The probability flow is invertible: forwards it is the monotone map from p₀ to p_t, backwards the inverse of that.",
        r"\varphi_{t}=F_t^{-1}\circ F_0,\qquad \varphi_t^{-1}=F_0^{-1}\circ F_t",
        "Wei (2024), text after equation 57",
        {"stated": C, "score sign": R, "½ missing": R, "½ extra": R, "score + 1 %": R},
        SCORE_NOTES,
        assumptions="d = 1 for the map.",
    ),
    Claim(
        "S0.E39x",
        "equality",
        "For noise g(x) the velocity of the probability flow contains the derivative of g² besides the score.",
        r"v=f-\frac{1}{2p}\,\partial_x(g^2p)=f-\tfrac12\partial_x(g^2)-\tfrac12g^2\,\partial_x\log p",
        "Chen (2024), equations 39 and 40",
        {"stated": C, "∂(g²) dropped": R, "½ on ∂(g²)": R, "score sign": R, "score + 2 %": R},
        SCORE_NOTES | {"∂(g²) dropped": "f − ½g²∇log p", "½ on ∂(g²)": "half of the derivative"},
    ),
    Claim(
        "S3.T-same",
        "equality",
        "The SDE and the flow solve one equation: both solved from the same start they have the same law, for a drift that is not linear.",
        r"\partial_tp=-\nabla\cdot(fp)+\tfrac12g^2\Delta p=-\nabla\cdot\bigl((f-\tfrac12g^2\,\nabla\log p)\,p\bigr)",
        "LeTolguenec and Biquard, equations 7 to 9",
        {"stated": C, "score sign": R, "½ extra": R, "score + 2 %": R},
        SCORE_NOTES,
    ),
)

# -- identities of the equation ----------------------------------------------------------------------------------------------

X, T = sp.symbols("x t", real=True)


@lru_cache(maxsize=1)
def _symbolic() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """p_t of the data law, f and g² of the variance-preserving SDE."""
    beta = sp.Rational(6, 10) + T * sp.Rational(28, 10)
    kept = sp.exp(-sp.integrate(beta, (T, 0, T)))
    parts = zip(DATA.weights, DATA.means[:, 0], DATA.covariances[:, 0, 0], strict=True)
    p: Any = 0
    for w, m, v in parts:
        spread = kept * sp.Float(v) + 1 - kept
        p += (
            sp.Float(w) * sp.exp(-((X - sp.sqrt(kept) * sp.Float(m)) ** 2) / (2 * spread)) / sp.sqrt(2 * sp.pi * spread)
        )
    return p, -beta * X / 2, beta


#: λ² as a function of t.
TRADED = {
    "λ = 0": sp.Integer(0),
    "λ = 1 + t": (1 + T) ** 2,
    "λ² = 4g²": 4 * (sp.Rational(6, 10) + T * sp.Rational(28, 10)),
}


@study(
    "S1.E25",
    variants={name: (factor, 1.0) for name, factor in FACTORS.items()} | {"λ² + 1 %": (1.0, 1.01)},
    cases=tuple(TRADED),
    applies=lambda variant, case: case != "λ = 0" or variant != "λ² + 1 %",
)
def traded_noise(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """∂_t p of the exact law less the right-hand side with λ, by symbolic derivatives at nine points."""
    factor, more = variant
    p, f, g2 = _symbolic()
    noise = TRADED[case]
    drift = f * p - sp.Rational(1, 2) * (g2 - noise) * sp.Float(factor) * sp.diff(p, X)
    right = -sp.diff(drift, X) + sp.Float(more) / 2 * noise * sp.diff(p, X, 2)
    gap = sp.lambdify((X, T), sp.diff(p, T) - right, "numpy")
    x, t = np.meshgrid([-1.2, 0.3, 1.6], [0.2, 0.5, 0.9])
    first = fpk.residual(gap(x, t).ravel(), 1e-12, proven=True, source="symbolic derivatives of the exact density")
    return Evidence(
        first, zero_estimate(9), tuple(f"x = {a:g}, t = {b:g}" for a, b in zip(x.ravel(), t.ravel(), strict=True))
    )


PROBES = np.array([[-1.3], [0.2], [0.9], [1.8]])


@study("S1.E29", variants={"stated": 1.0, "twice the noise": 2.0, "no noise": 0.0, "noise + 1 %": 1.01})
def own_noise(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """The drift that keeps p_t, from the equation itself: (½σ²∂p − ∫∂_t p)/p with the exact law, at σ = variant · g, against f."""
    gaps = []
    for t in (0.2, 0.7):
        law, g = EXACT.law(t), SCHEDULE.diffusion(t)
        p = np.exp(law.log_density(PROBES))
        slope = central_derivative(lambda h, t=t: np.exp(EXACT.law(t).log_density(PROBES + h)), np.zeros(1), 1e-3)
        rising = central_derivative(lambda h, t=t: _cdf(t + float(h[0])), np.zeros(1), 1e-3)
        gaps.append(0.5 * (variant * g) ** 2 * slope / p - rising / p - SCHEDULE.drift_rate(t) * PROBES[:, 0])
    first = fpk.residual(np.concatenate(gaps), 1e-9, source="drift by differences of the exact law")
    return Evidence(first, zero_estimate(8), tuple(f"x = {x:g}, t = {t:g}" for t in (0.2, 0.7) for x in PROBES[:, 0]))


def _cdf(t: float) -> Array:
    return EXACT.law(t).cdf(PROBES[:, 0])


@study("S1.E56", variants=FACTORS | {"score + 1 %": 1.01}, cases=("f − ½g²s", "in X/λ"))
def flow_velocity(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Both forms of the velocity against −∂_t F/p by differences in time."""
    gaps = []
    for t in (0.2, 0.7):
        law = EXACT.law(t)
        rising = central_derivative(lambda h, t=t: _cdf(t + float(h[0])), np.zeros(1), 1e-3)
        s = variant * law.score(PROBES)[:, 0]
        gaps.append(_velocity(case, t, s) + rising / np.exp(law.log_density(PROBES)))
    first = fpk.residual(np.concatenate(gaps), 1e-9, source="velocity less −∂F/p")
    return Evidence(first, zero_estimate(8), tuple(f"x = {x:g}, t = {t:g}" for t in (0.2, 0.7) for x in PROBES[:, 0]))


def _velocity(case: str, t: float, s: Array) -> Array:
    x = PROBES[:, 0]
    if case == "f − ½g²s":
        return SCHEDULE.drift_rate(t) * x - 0.5 * SCHEDULE.diffusion(t) ** 2 * s
    scale, noise = SCHEDULE.alpha, lambda u: SCHEDULE.sigma(u) / SCHEDULE.alpha(u)
    return _rate(scale, t) / scale(t) * x - scale(t) * SCHEDULE.sigma(t) * s * _rate(noise, t)


def _rate(function: Callable[[float], float], t: float) -> float:
    return float(central_derivative(lambda h: np.array([function(t + float(h[0]))]), np.zeros(1), 1e-3)[0])


# -- what the family does not share ------------------------------------------------------------------------------------------

NORMAL = fpk.Gaussian(0.5, 0.5)


def _variance(t: float) -> float:
    return SCHEDULE.alpha(t) ** 2 * 0.25 + SCHEDULE.sigma(t) ** 2


def _family_rate(t: float, multiple: float, sign: float = 1.0) -> float:
    """The slope in x of the drift with σ = multiple · g, Gaussian data."""
    return SCHEDULE.drift_rate(t) + sign * 0.5 * (1 - multiple**2) * SCHEDULE.diffusion(t) ** 2 / _variance(t)


@study(
    "S1.T55b",
    variants={
        "stated": (None, 1.0),
        "that of the SDE": (1.0, 1.0),
        "score sign": (None, -1.0),
        "σ² + 1 %": (1.01**0.5, 1.0),
    },
    cases=("σ = 0", "σ = ½g", "σ = 2g"),
    applies=lambda variant, case: case != "σ = 0" or variant != "σ² + 1 %",
)
def covariance_over_time(variant: tuple[float | None, float], case: str, size: Size, seed: int) -> Evidence:
    """Cov(X_0, X_t) of the Euler chain of the family as its step tends to 0, against the exponential."""
    multiple = {"σ = 0": 0.0, "σ = ½g": 0.5, "σ = 2g": 2.0}[case]
    claimed_multiple = multiple if variant[0] is None else 1.0 if variant[0] == 1.0 else multiple * variant[0]

    def chain(steps: int) -> Array:
        rates = np.array([_family_rate(k / steps, multiple) for k in range(steps)])
        return 0.25 * np.array([np.prod(1 + rates[: steps // 2] / steps), np.prod(1 + rates / steps)])

    found, bound, coarser = limit([chain(128 * 2**k) for k in range(4)])
    exponents = [quad(lambda t: _family_rate(t, claimed_multiple, variant[1]), 0, end)[0] for end in (0.5, 1.0)]
    claimed = 0.25 * np.exp(exponents)
    first = fpk.residual(found - claimed, bound, coarser=coarser - claimed, source="Euler chain as its step tends to 0")
    return Evidence(first, zero_estimate(2), ("Cov(X₀, X_½)", "Cov(X₀, X₁)"))


@study("S1.T28s", variants={"stated": -2.0, "like σ": -1.0, "like σ³": -3.0, "not at all": 0.0})
def stiffness(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """The first-order error of the Euler chain's variance, by extrapolation, for σ = 3 ... 48; β = 2 throughout."""
    multiples = 3.0 * 2.0 ** np.arange(5)
    errors = np.array([_first_order_error(float(m)) for m in multiples])
    first = fpk.Estimate(errors, np.full(5, 1e-6 * errors.max()), source="error of the variance / h, h → 0")
    second = fpk.Estimate(1 / multiples, np.zeros(5), source=f"order {variant:g} in 1/σ")
    return Evidence(first, second, (f"{variant:g}",))


@lru_cache(maxsize=8)
def _first_order_error(multiple: float) -> float:
    """lim (Var X^h_t − V_t)/h at t = ½ for σ = multiple · √2 and V = 1 − ¾e^{−2t}, from Richardson's table."""
    errors = [_chain_error(multiple, int(40 * multiple**2) * 2**k) for k in range(4)]
    return float(limit([np.array([e]) for e in errors])[0][0])


def _chain_error(multiple: float, steps: int) -> float:
    h, spread, V = 0.5 / steps, 0.25, 1 - 0.75 * np.exp(-np.arange(steps) / steps)
    factors = (1 + h * (-1 + (1 - multiple**2) / V)) ** 2
    for factor in factors.tolist():
        spread = factor * spread + 2 * multiple**2 * h
    return (spread - (1 - 0.75 * np.exp(-1.0))) / h


# -- flows -------------------------------------------------------------------------------------------------------------------

LEVELS = (np.arange(12) + 0.5) / 12


@lru_cache(maxsize=2)
def _matched() -> tuple[Array, Array]:
    """The same quantiles of p_0 and p_1."""
    return quantiles(DATA, LEVELS), quantiles(EXACT.law(1.0), LEVELS)


def _flowed(start: Array, factor: float, *, backwards: bool, sign: float = 1.0) -> tuple[Array, Array]:
    """The end of the flow at two tolerances' best, and the change from the coarser."""

    def slope(t: float, x: Array) -> Array:
        v = (
            SCHEDULE.drift_rate(t) * x
            - 0.5 * SCHEDULE.diffusion(t) ** 2 * factor * EXACT.law(t).score(x[:, None])[:, 0]
        )
        return sign * v

    span = (1.0, 0.0) if backwards else (0.0, 1.0)
    fine, coarse = (solve_ivp(slope, span, start, "DOP853", rtol=r, atol=r).y[:, -1] for r in (1e-9, 1e-7))
    return fine, np.abs(fine - coarse) + 1e-8


def _mapped(factor: float, *, backwards: bool, sign: float = 1.0) -> Evidence:
    ends = _matched()
    start, target = ends[::-1] if backwards else ends
    fine, bound = _flowed(start, factor, backwards=backwards, sign=sign)
    first = fpk.residual(fine - target, bound, source="DOP853 less the monotone map")
    return Evidence(first, zero_estimate(len(LEVELS)), tuple(f"u = {u:.3g}" for u in LEVELS))


@study(
    "S2.P-PFrev",
    variants={name: (factor, 1.0) for name, factor in (FACTORS | {"score + 1 %": 1.01}).items()}
    | {"not reversed": (1.0, -1.0)},
)
def reversed_flow(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    return _mapped(variant[0], backwards=True, sign=variant[1])


@study("S1.T57", variants=FACTORS | {"score + 1 %": 1.01}, cases=("forwards", "backwards"))
def invertible_flow(variant: float, case: str, size: Size, seed: int) -> Evidence:
    return _mapped(variant, backwards=case == "backwards")


NONLINEAR = boxed("sin(2*x) - x", "1.2 + 0.3*t", initial=DATA, horizon=0.6, name="nonlinear drift")
WAVY = boxed("-x", "sqrt((0.4 + 0.5*sin(1.5*x))**2 + 0.2)", initial=DATA, horizon=0.5, name="state-dependent noise")
CELLS, STEPS = 58, 12


def _both_ways(problem: fpk.Problem, flow: Callable[[GridMarginals], fpk.Problem], size: Size) -> Evidence:
    """The SDE on the grid and its flow by the score of that solution, three levels each."""

    def ahead(k: int) -> GridMarginals:
        return forward_score(problem, size, k, cells=CELLS, steps=STEPS)

    def along(k: int) -> GridMarginals:
        grid = fpk.Grid(*BOX, cells=size.cells(CELLS) * k)
        return fpk.solve(flow(ahead(k)), grid, times=[problem.horizon], steps=size.cells(STEPS) * k)

    def ended(k: int) -> GridMarginals:
        full = ahead(k)
        return replace(full, times=full.times[-1:], densities=full.densities[-1:])

    forward = fpk.refine(ended)
    panel = fpk.law_panel({problem.horizon: forward.law(problem.horizon)})
    return evidence(fpk.refine(along), forward, panel=panel)


def _lacking(share: float, factor: float) -> Callable[[GridMarginals], fpk.Problem]:
    """The flow with ``share`` of ∂(g²) in its velocity and a factor on the score."""

    def flow(ahead: GridMarginals) -> fpk.Problem:
        whole = fpk.probability_flow(WAVY, scaled(ahead.score, factor))

        def drift(x: Array, t: float) -> Array:
            return whole.drift(x, t) + (1 - share) * WAVY.diffusion(x, t) * WAVY.diffusion.gradient(x, t)

        return replace(whole, drift=drift)

    return flow


@study(
    "S0.E39x",
    variants={
        "stated": (1.0, 1.0),
        "∂(g²) dropped": (0.0, 1.0),
        "½ on ∂(g²)": (0.5, 1.0),
        "score sign": (1.0, -1.0),
        "score + 2 %": (1.0, 1.02),
    },
)
def flow_of_state_noise(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    return _both_ways(WAVY, _lacking(*variant), size)


@study("S3.T-same", variants={"stated": 1.0, "score sign": -1.0, "½ extra": 0.5, "score + 2 %": 1.02})
def one_equation(variant: float, case: str, size: Size, seed: int) -> Evidence:
    return _both_ways(NONLINEAR, lambda ahead: fpk.probability_flow(NONLINEAR, scaled(ahead.score, variant)), size)
