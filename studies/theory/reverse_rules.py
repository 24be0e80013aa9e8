r"""The reverse process by its rule: drift −f + (1/p) ∇·(GGᵀ p) and the noise of the forward process, in any dimension.

The truth knows no score: one short step back by Bayes' rule (:mod:`_steps_back`), the data law itself, or the exact covariance of both ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

import fpk
from fpk.laws import Array, GaussianMixture, central_derivative
from fpk.study import Claim, Evidence, Remark, Size, evidence, order_evidence, study
from fpk.verdict import Outcome

from .._limits import limit_evidence
from .._systems import DATA, constant_law, on_grid, scaled, walled
from ._chains_back import PLANE_DATA, Coefficients, line_errors, plane_chain
from ._reversing import EXACT, NOISED, PEAKS, SCHEDULE
from ._steps_back import by_quadrature, conditional, flat, names

C, R = Outcome.CONFIRMED, Outcome.REFUTED
RULE_NOTES = {
    "score sign": "−∇log p in place of ∇log p",
    "∇·(GGᵀ) dropped": "−f + GGᵀ∇log p, right only where G does not depend on x",
    "½ on ∇·(GGᵀ)": "half of that term",
    "component by component": "the rule for one dimension in each component: without the entries of GGᵀ off the diagonal",
    "GᵀG": "the transposed matrix in the drift",
    "score + 1 %": "the score is 1 % too large",
    "noise² + 1 %": "the noise of the reverse process is 1 % too strong in variance",
}

CLAIMS = (
    Claim(
        "S4.E68d",
        "identity",
        "In d dimensions the reverse drift is −f plus the divergence of GGᵀp over p, row by row: GGᵀ times the score and ∇·(GGᵀ).",
        r"b_i=-f_i+\frac1p\sum_j\partial_j\bigl[(GG^{\mathsf T})_{ij}\,p\bigr],\qquad "
        r"\lim_{h\to0}\frac{\mathbb E[X_{t-h}-x\,|\,X_t=x]}{h}=b(x)",
        "GM (2023), equation 68, for d > 1; Anderson (1982)",
        {
            "stated": C,
            "score sign": R,
            "∇·(GGᵀ) dropped": R,
            "½ on ∇·(GGᵀ)": R,
            "component by component": R,
            "GᵀG": R,
            "score + 1 %": R,
            "noise² + 1 %": R,
        },
        RULE_NOTES,
        assumptions="p > 0, GGᵀ invertible and smooth; d = 2, G a full matrix that depends on x.",
    ),
    Claim(
        "err:S4.E68",
        "identity",
        "Right as printed in one dimension, for any g(x); read component by component in d dimensions it holds for diagonal GGᵀ only.",
        r"b=-f+\frac1p\,\partial_x(g^2p);\qquad b_i=-f_i+\frac1p\,\partial_i\bigl[(GG^{\mathsf T})_{ii}\,p\bigr]\text{ for diagonal }GG^{\mathsf T}",
        "GM (2023), equation 68",
        {"printed": C, "inside": C, "outside": R, "∂(g²) dropped": R, "score + 1 %": R},
        {
            "printed": "d = 1, noise g(x)",
            "inside": "d = 2, diagonal noise that depends on both coordinates, component by component",
            "outside": "d = 2, a full matrix, component by component",
            "∂(g²) dropped": "d = 1, −f + g²∇log p",
            "score + 1 %": RULE_NOTES["score + 1 %"],
        },
    ),
    Claim(
        "S4.E69-72",
        "identity",
        "For noise g(t) the reverse drift is −f + g²∇log p in any dimension; the variance-preserving SDE is reversed by ½βx + β∇log p with the noise √β.",
        r"dY=\bigl(\tfrac12\beta\,Y+\beta\,\nabla\log p_{T-\tau}(Y)\bigr)d\tau+\sqrt{\beta}\,d\bar W,\qquad \beta=\beta(T-\tau)",
        "GM (2023), equations 69 to 72; LeTolguenec and Biquard, reverse diffusion; Anderson (1982)",
        {
            "stated": C,
            "½ extra": R,
            "½ missing": R,
            "drift sign": R,
            "score sign": R,
            "β for √β": R,
            "score + 1 %": R,
            "noise² + 1 %": R,
        },
        RULE_NOTES
        | {
            "½ extra": "½β∇log p",
            "½ missing": "βx for ½βx",
            "drift sign": "−½βx",
            "β for √β": "noise of variance β² per unit of time",
        },
    ),
    Claim(
        "S4.E90",
        "order",
        "The sampling rule (1 + ½βh)x + βh s(x) + √(βh) ε, from the law at T down, returns the data law with an error of first order in h.",
        r"x_{t-h}=\bigl(1+\tfrac12\beta_th\bigr)x_t+\beta_th\,s_\theta(x_t,t)+\sqrt{\beta_th}\,\varepsilon:\qquad |\mathbb E\varphi(x_0)-\mathbb E\varphi(X_0)|=O(h)",
        "GM (2023), equation 90 and the exercise after it; Rakitin, sampling by the reverse SDE",
        {
            "stated": C,
            "order 2": R,
            "order ½": R,
            "½ missing": R,
            "½ extra": R,
            "βh for √(βh)": R,
            "score + 2 %": R,
        },
        {
            "order 2": "second order",
            "order ½": "order one half",
            "½ missing": "(1 + βh)x",
            "½ extra": "½βh s",
            "βh for √(βh)": "noise βh ε",
            "score + 2 %": "the score is 2 % too large",
        },
        assumptions="s_θ is the score; data N(1.5, .5²), β = .1 + 19.9 t.",
    ),
    Claim(
        "S4.T68",
        "equality",
        "The reversal depends on the law: only with the score of the very p_t that noising makes of its data does the reverse SDE return these data.",
        r"dY=\bigl(-f+g^2\,\nabla\log p_{T-\tau}\bigr)d\tau+g\,d\bar W,\;Y_0\sim p_T:\qquad Y_T\sim p_0\text{ only for } p_t=\mathrm{law}(X_t)",
        "GM (2023), text after equation 68",
        {
            "stated": C,
            "−f alone": R,
            "score of N(0, 1)": R,
            "score of other data": R,
            "score of p_T": R,
            "width of the data + 2 %": R,
        },
        {
            "−f alone": "no score",
            "score of N(0, 1)": "that of the stationary law",
            "score of other data": "that of one normal law with the mean and variance of the data, noised in the same way",
            "score of p_T": "that of the last law at all times",
            "width of the data + 2 %": "that of data stretched by 2 %",
        },
    ),
)

REMARKS = (
    Remark(
        "err:S2.E26-text",
        "The text names the diffusion coefficient of the reverse SDE g²(1 − t).",
        "The coefficient of dW is g(1 − t), as in the equation itself; g²(1 − t) is the squared one, which multiplies the score.",
        "Rakitin, text after equation 26",
    ),
    Remark(
        "err:S3.P-sde",
        "The reverse SDE is written with dW; two equations carry the number 7, and one heading says x₀ for x₁.",
        "A reverse SDE is driven by a Brownian motion of reversed time, dW̄. In law this is a Brownian motion too, so the reverse process run by itself "
        "is the same; only as a statement about one path are the two different. The other slips concern labels.",
        "LeTolguenec and Biquard, SDEs and equation 13",
    ),
    Remark(
        "err:S4.E70",
        "The drift of the reverse SDE is printed without dt, in two places.",
        "dt was lost in typesetting: the noise beside it has its dw, and the equation before it is complete.",
        "GM (2023), equation 70",
    ),
)


# -- one step back -----------------------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """What is changed in the rule: the matrix in the drift, factors on the score and the noise, and how much of ∇·(GGᵀ) is kept."""

    matrix: Callable[[Array], Array] | None = None
    score: float = 1.0
    noise: float = 1.0
    share: float = 1.0


def _diagonal(G: Array) -> Array:
    """The diagonal matrix of the same noise variances."""
    return np.sqrt((G**2).sum(2))[:, :, None] * np.eye(G.shape[1])


def _transposed(G: Array) -> Array:
    return np.swapaxes(G, 1, 2)


RULES = {
    "stated": Rule(),
    "score sign": Rule(score=-1.0),
    "∇·(GGᵀ) dropped": Rule(share=0.0),
    "½ on ∇·(GGᵀ)": Rule(share=0.5),
    "component by component": Rule(_diagonal),
    "GᵀG": Rule(_transposed),
    "score + 1 %": Rule(score=1.01),
    "noise² + 1 %": Rule(noise=1.01),
}
PLANE_LAW = GaussianMixture(
    [0.4, 0.6], [[-0.7, 0.3], [0.8, -0.2]], covariances=[[[0.3, 0.1], [0.1, 0.4]], [[0.5, -0.2], [-0.2, 0.3]]]
)
DRIFT = ["-x0 + x1/2", "sin(x0) - x1"]
FULL = fpk.Problem(DRIFT, [["0.6 + 0.25*cos(x1)", "0.2"], ["0.3*sin(x0)", "0.7"]], initial=PLANE_LAW)
DIAGONAL = fpk.Problem(DRIFT, [["0.6 + 0.25*cos(x0 + x1)", "0"], ["0", "0.7 + 0.2*sin(x1 - x0)"]], initial=PLANE_LAW)
ON_THE_LINE = fpk.Problem("sin(2*x) - x", "0.8 + 0.3*sin(1.5*x)", initial=DATA)
PLACES = np.array([[0.3, -0.4], [-0.8, 0.5], [1.1, 0.2]])
POINTS = np.array([[-0.9], [0.3], [1.4]])


def _divergence(problem: fpk.Problem, x: Array) -> Array:
    """∇·(GGᵀ), by differences."""
    rows = [
        central_derivative(lambda u, e=e: 2 * problem.diffusivity_matrix(x + u * e, 0.0) @ e, np.zeros(1), 2e-3)
        for e in np.eye(problem.dimension)
    ]
    return np.sum(rows, axis=0)


def _claimed(problem: fpk.Problem, rule: Rule, x: Array) -> Array:
    """Drift and noise of the reverse process by the rule, at the time where p is the initial law of the problem."""
    given, matrix = problem.diffusion, rule.matrix
    used = problem if matrix is None else replace(problem, diffusion=lambda x, t: matrix(given(x, t)))
    law = problem.initial
    back = fpk.reverse_time(used, lambda x, t: rule.score * law.score(x), initial=law)
    drift = back.drift(x, 0.0) - (1 - rule.share) * _divergence(problem, x)
    return flat(drift, rule.noise * 2 * problem.diffusivity_matrix(x, 0.0))


def _one_step(problem: fpk.Problem, rule: Rule, x: Array, size: Size) -> Evidence:
    """The rule against Bayes' rule over a short step."""
    moments: Callable[[float], Array] = lambda h: flat(*by_quadrature(problem, problem.initial, x, h))  # noqa: E731
    return limit_evidence(
        moments,
        _claimed(problem, rule, x),
        step=0.01 if size.quick else 0.005,
        names=names(*x.shape),
        source="Bayes' rule over one step, h → 0, less the rule",
    )


@study("S4.E68d", variants=RULES)
def reverse_drift_of_matrix_noise(variant: Rule, case: str, size: Size, seed: int) -> Evidence:
    return _one_step(FULL, variant, PLACES, size)


@study(
    "err:S4.E68",
    variants={
        "printed": (ON_THE_LINE, Rule(), POINTS),
        "inside": (DIAGONAL, Rule(_diagonal), PLACES),
        "outside": (FULL, Rule(_diagonal), PLACES),
        "∂(g²) dropped": (ON_THE_LINE, Rule(share=0.0), POINTS),
        "score + 1 %": (ON_THE_LINE, Rule(score=1.01), POINTS),
    },
)
def reverse_drift_by_components(variant: tuple[fpk.Problem, Rule, Array], case: str, size: Size, seed: int) -> Evidence:
    problem, rule, x = variant
    return _one_step(problem, rule, x, size)


# -- the variance-preserving SDE ---------------------------------------------------------------------------------------------

SPACE_DATA = GaussianMixture(
    [0.4, 0.6], [[-1.0, 0.5, 0.2], [0.9, -0.3, 0.4]], covariances=[np.diag([0.3, 0.2, 0.4]), np.diag([0.2, 0.5, 0.3])]
)
IN_SPACE = fpk.exact(fpk.noising(SCHEDULE, SPACE_DATA), times=[1.0])
AROUND = np.array([[0.4, -0.2, 0.5], [-0.7, 0.6, -0.3]])
#: Factors on ½βx and βs, the noise variance from β, and a factor on it.
VP_RULES: dict[str, Coefficients] = {
    "stated": (1.0, 1.0, lambda b: b),
    "½ extra": (1.0, 0.5, lambda b: b),
    "½ missing": (2.0, 1.0, lambda b: b),
    "drift sign": (-1.0, 1.0, lambda b: b),
    "score sign": (1.0, -1.0, lambda b: b),
    "β for √β": (1.0, 1.0, lambda b: b**2),
    "score + 1 %": (1.0, 1.01, lambda b: b),
    "noise² + 1 %": (1.0, 1.0, lambda b: 1.01 * b),
}


@study("S4.E69-72", variants=VP_RULES, cases=("one step", "the whole way"))
def reverse_vp(variant: Coefficients, case: str, size: Size, seed: int) -> Evidence:
    return _vp_step(variant) if case == "one step" else _vp_journey(variant, size)


def _vp_step(variant: Coefficients) -> Evidence:
    """d = 3, two peaks, t = .5: exact conditional moments of X_{t−h} from the joint law."""
    pull, push, variance = variant
    t, beta = 0.5, SCHEDULE.beta(0.5)
    joint: Any = IN_SPACE.joint

    def moments(h: float) -> Array:
        parts = [conditional(joint(t - h, t), x) for x in AROUND]
        return flat(np.array([m for m, _ in parts]), np.array([M for _, M in parts])) / h

    drift = pull * 0.5 * beta * AROUND + push * beta * IN_SPACE.score(AROUND, t)
    claimed = flat(drift, np.stack([variance(beta) * np.eye(3)] * 2))
    return limit_evidence(
        moments, claimed, step=0.01, names=names(2, 3), source="exact joint law, h → 0, less the rule"
    )


def _vp_journey(variant: Coefficients, size: Size) -> Evidence:
    """d = 2, normal data: the chain of the rule as its step tends to 0, against the data and Cov(X_0, X_1) = α V_0."""
    claimed = np.concatenate(
        [PLANE_DATA.mean, PLANE_DATA.covariance.ravel(), SCHEDULE.alpha(1.0) * PLANE_DATA.covariance.ravel()]
    )
    entries = [f"{i}{j}" for i in range(2) for j in range(2)]
    return limit_evidence(
        lambda h: plane_chain(variant, round(1 / h)),
        claimed,
        step=1 / 24 if size.quick else 1 / 48,
        names=["E Y0", "E Y1", *(f"Cov Y {e}" for e in entries), *(f"Cov of end and start {e}" for e in entries)],
        source="chain of the rule, h → 0, less the data",
    )


# -- sampling ----------------------------------------------------------------------------------------------------------------

#: Claimed order, factors on ½βh and βh s, and the power of βh in the noise.
SAMPLING = {
    "stated": (1.0, 1.0, 1.0, 0.5),
    "order 2": (2.0, 1.0, 1.0, 0.5),
    "order ½": (0.5, 1.0, 1.0, 0.5),
    "½ missing": (1.0, 2.0, 1.0, 0.5),
    "½ extra": (1.0, 1.0, 0.5, 0.5),
    "βh for √(βh)": (1.0, 1.0, 1.0, 1.0),
    "score + 2 %": (1.0, 1.0, 1.02, 0.5),
}


def _seen(variant: str, case: str) -> bool:
    """The mean of normal data follows the points of score 0: it sees neither the noise nor a factor on the score."""
    return case == "variance" or variant not in ("½ extra", "βh for √(βh)", "score + 2 %")


@study("S4.E90", variants=SAMPLING, cases=("mean", "variance"), applies=_seen)
def sampling_rule(variant: tuple[float, float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """From 48 to 768 steps (full size: twice that); chains of normal laws are followed exactly."""
    order, pull, push, power = variant
    steps = (48 if size.quick else 96) * 2 ** np.arange(5)
    errors = [line_errors(pull, push, power, int(n))[case == "variance"] for n in steps]
    return order_evidence(errors, 1 / steps, order, floor=1e-12, source=f"error of the {case}")


# -- the law that must be known ----------------------------------------------------------------------------------------------


def _noised(data: GaussianMixture) -> Callable[[Array, float], Array]:
    """The score of other data under the same noising."""
    return fpk.exact(fpk.noising(SCHEDULE, data), times=[1.0]).score


SCORES: dict[str, Callable[[Array, float], Array]] = {
    "stated": EXACT.score,
    "−f alone": scaled(EXACT.score, 0.0),
    "score of N(0, 1)": lambda x, t: -x,
    "score of other data": _noised(fpk.Gaussian(PEAKS.mean, covariance=PEAKS.covariance)),
    "score of p_T": lambda x, t: EXACT.score(x, 1.0),
    "width of the data + 2 %": _noised(PEAKS.pushed(1.02 * np.eye(1), -0.02 * PEAKS.mean, np.zeros((1, 1)))),
}


@study("S4.T68", variants=SCORES)
def law_in_the_reversal(variant: Callable[[Array, float], Array], case: str, size: Size, seed: int) -> Evidence:
    """From p_1 back to the data on the grid."""
    back = walled(fpk.reverse_time(NOISED, variant, initial=EXACT.law(1.0)))
    solved = on_grid(back, size, times=[1.0], cells=40, steps=8)
    return evidence(solved, constant_law(PEAKS, time=1.0, source="the data law"))
