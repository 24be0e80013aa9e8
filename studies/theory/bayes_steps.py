r"""One step backwards by Bayes' rule: the density of X_t given X_{t+h} = y, and the reverse drift that is read off from it.

    p(x; t | y; t+h) = p(y; t+h | x; t) p_t(x) / p_{t+h}(y) ≈ N(x; y − (f − σ²∇log p) h, σ²h).

The left side is computed by quadrature, or from joint laws of Gaussian mixtures; the score enters on the right side only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from scipy.optimize import brentq

import fpk
from fpk.laws import Array, GaussianMixture
from fpk.marginals import zero_estimate
from fpk.moments import transition
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from .._limits import limit_evidence
from .._systems import DATA
from ._posteriors import (
    POINTS,
    Forward,
    Kernel,
    Weight,
    before_all,
    hermite,
    mixture_before,
    normal_log,
    short_kernel,
)

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S0.E27",
        "identity",
        "Seen backwards, a diffusion in the plane has the infinitesimal mean −f + g²∇log p, with the gradient of log p, and the infinitesimal covariance g²I.",
        r"\lim_{h\to0}\frac{\mathbb E[X_{t-h}|X_t=y]-y}{h}=-f+g^2\,\nabla\log p_t(y),\qquad \lim_{h\to0}\frac{\mathrm{Cov}[X_{t-h}|X_t=y]}{h}=g^2I",
        "Chen (2024), equation 27, corrected",
        {"stated": C, "log p": R, "∇p": R, "score sign": R, "½ extra on g²": R, "score + 0.5 %": R},
        {
            "log p": "log p in both components, as printed",
            "∇p": "the gradient of the density",
            "score sign": "−f − g²∇log p",
            "½ extra on g²": "−f + ½g²∇log p",
            "score + 0.5 %": "the score is 0.5 % too large",
        },
        assumptions="g independent of x; the data are a mixture of correlated Gaussians.",
    ),
    Claim(
        "S1.E4-8",
        "identity",
        "Over a step of any length the backward transition density is the forward one times the ratio of the densities at its two ends.",
        r"p(x_t|x_{t+h})=p(x_{t+h}|x_t)\,\frac{p_t(x_t)}{p_{t+h}(x_{t+h})}=p(x_{t+h}|x_t)\,e^{\log p_t(x_t)-\log p_{t+h}(x_{t+h})}",
        "Wei (2024), equations 4 to 8",
        {
            "stated": C,
            "ratio inverted": R,
            "forward kernel": R,
            "p_t for p_{t+h}": R,
            "ends exchanged": R,
            "σ² + 0.5 %": R,
        },
        {
            "ratio inverted": "p_{t+h}(x_{t+h})/p_t(x_t)",
            "forward kernel": "without the ratio",
            "p_t for p_{t+h}": "both densities at the time t",
            "ends exchanged": "p(x_t|x_{t+h}) on the right: the forward kernel read from x_{t+h} to x_t",
            "σ² + 0.5 %": "the variance of the forward transition is 0.5 % too large",
        },
    ),
    Claim(
        "S1.E9-13",
        "identity",
        "Over a short step the backward transition is Gaussian with the mean y − (f − σ²∇log p)h and the variance σ²h.",
        r"p(x_t|x_{t+h})\approx\mathcal N\bigl(x_{t+h}-(f-\sigma^2\nabla\log p)\,h,\;\sigma^2h\bigr),\qquad h\to0",
        "Wei (2024), equations 9 to 13",
        {
            "stated": C,
            "score sign": R,
            "½ extra on the score": R,
            "drift sign": R,
            "σ for σ²": R,
            "score + 0.5 %": R,
            "σ² + 0.5 %": R,
        },
        {
            "score sign": "y − (f + σ²∇log p)h",
            "½ extra on the score": "y − (f − ½σ²∇log p)h",
            "drift sign": "y − (−f − σ²∇log p)h",
            "σ for σ²": "σ in the place of σ², in mean and variance",
            "score + 0.5 %": "the score is 0.5 % too large",
            "σ² + 0.5 %": "σ² is 0.5 % too large, in mean and variance",
        },
        assumptions="looked at through the mean, the variance and the fourth moment, each divided by its power of h.",
    ),
    Claim(
        "err:S1.E9",
        "identity",
        "Printed without the second-order term: along the process log p changes by ½σ²∂²log p dt more than by ∂ₜlog p dt + ∂log p dx.",
        r"\text{printed: }d\log p=\partial_t\log p\,dt+\nabla\log p\cdot dx\qquad\text{corrected: }\dots+\tfrac12\sigma^2\,\Delta\log p\,dt",
        "Wei (2024), equation 9",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "chain rule without Itô's term",
            "corrected": "with ½σ²∂²log p dt",
            "degenerate": "as printed, without noise",
        },
    ),
    Claim(
        "err:S1.E10-line-3",
        "identity",
        "Misprint: in the completed square the score stands with the sign of the drift.",
        r"\text{printed: }(\Delta-f\,dt-\sigma^2\nabla\log p\,dt)^2\qquad\text{corrected: }(\Delta-f\,dt+\sigma^2\nabla\log p\,dt)^2",
        "Wei (2024), equation 10, third line",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "mean y − (f + σ²∇log p)dt",
            "corrected": "mean y − (f − σ²∇log p)dt",
            "degenerate": "as printed, where the score vanishes",
        },
    ),
    Claim(
        "err:S1.E11",
        "identity",
        "Misprint: in what is left after completing the square, ∂ₜlog p stands with a minus sign.",
        r"\text{printed: }C=\dots-2\sigma^2\,\partial_t\log p\,dt^2\qquad\text{corrected: }C=\bigl(f^2-(f-\sigma^2\nabla\log p)^2\bigr)dt^2+2\sigma^2\,\partial_t\log p\,dt^2",
        "Wei (2024), equation 11",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "−2σ²∂ₜlog p",
            "corrected": "+2σ²∂ₜlog p",
            "degenerate": "as printed, in the stationary law, where ∂ₜlog p = 0",
        },
    ),
    Claim(
        "err:S1.E12",
        "identity",
        "Not enough as printed: that a term of the exponent tends to 0 does not allow to drop it, for the term that is kept does so too; C may be dropped because without it the mean moves by less than dt.",
        r"\text{printed: }C\to0\qquad\text{corrected: }\frac{\mathbb E[x_t|x_{t+dt}]-\mathbb E^{C=0}[x_t|x_{t+dt}]}{dt}\to0",
        "Wei (2024), equation 12",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "what tends to 0 is dropped: C and 2σ²∇log p Δ dt",
            "corrected": "C is dropped",
            "degenerate": "both dropped, where the score vanishes",
        },
    ),
)

MODEL = Forward()


# -- Bayes' rule -------------------------------------------------------------------------------------------------------------

#: Length of the step of Bayes' rule, start and ends.
START, AHEAD = 0.4, 0.25
BEFORE = np.array([-1.4, -0.6, 0.1, 0.9, 2.0])


#: Laws and joint laws by the closed form of the schedule; the transition density below is integrated from the SDE.
BLURRED = fpk.noising(fpk.VPSchedule(1.7), DATA)
LAWS = fpk.exact(BLURRED, times=[START])


@lru_cache(maxsize=1)
def _joint_conditionals() -> tuple[Array, Array]:
    """Densities at BEFORE of X_t given X_{t+h} at POINTS: slices of the joint density, normalised by sums over 400 and 200 points."""
    assert LAWS.joint is not None
    joint = LAWS.joint(START, START + AHEAD)

    def conditional(y: float, points: int) -> Array:
        def slice_at(x: Array) -> Array:
            return joint.density(np.stack([x, np.full_like(x, y)], axis=1))

        line = np.linspace(-8.0, 8.0, points)
        return slice_at(BEFORE) / (slice_at(line).sum() * (line[1] - line[0]))

    fine, coarse = (np.concatenate([conditional(float(y), n) for y in POINTS]) for n in (400, 200))
    return fine, np.abs(fine - coarse) + 1e-11


#: Logarithm of the right side from log k(y|x), log p_t(x), log p_{t+h}(y), and a factor on the variance of k.
BAYES: dict[str, tuple[Callable[[Array, Array, Array], Array], float]] = {
    "stated": (lambda k, before, after: k + before - after, 1.0),
    "ratio inverted": (lambda k, before, after: k - before + after, 1.0),
    "forward kernel": (lambda k, before, after: k, 1.0),
    "p_t for p_{t+h}": (lambda k, before, after: k + before - after, 1.0),
    "ends exchanged": (lambda k, before, after: k + before - after, 1.0),
    "σ² + 0.5 %": (lambda k, before, after: k + before - after, 1.005),
}


@study("S1.E4-8", variants={name: (name, *value) for name, value in BAYES.items()})
def bayes_rule(
    variant: tuple[str, Callable[[Array, Array, Array], Array], float], case: str, size: Size, seed: int
) -> Evidence:
    name, combined, factor = variant
    moved = transition(BLURRED, START, START + AHEAD)
    x, y = np.tile(BEFORE, len(POINTS)), np.repeat(POINTS, len(BEFORE))
    start, end = (y, x) if name == "ends exchanged" else (x, y)
    kernel = normal_log(end, moved.slope[0, 0] * start, factor * float(moved.covariance[0, 0]))
    after = LAWS.law(START if name == "p_t for p_{t+h}" else START + AHEAD).log_density(y[:, None])
    claimed = np.exp(combined(kernel, LAWS.law(START).log_density(x[:, None]), after))
    found, bound = _joint_conditionals()
    names = tuple(f"p({a:g} | {b:g})" for a, b in zip(x, y, strict=True))
    return Evidence(
        fpk.residual(found - claimed, bound, source="slices of the joint law"), zero_estimate(len(x)), names
    )


# -- short steps -------------------------------------------------------------------------------------------------------------

NAMES = tuple(f"{what} at {y:g}" for what in ("mean", "variance", "fourth moment") for y in POINTS)
WAVE: Callable[[Array], Array] = lambda x: np.sin(2 * x) - x  # noqa: E731
#: Drift and transition: the exact one of a linear SDE, and the Gaussian one of a short step with a drift that is not linear.
STEPS: dict[str, tuple[Callable[[Array], Array], Kernel]] = {
    "linear drift": (MODEL.drift, MODEL.log_kernel),
    "drift sin 2x − x": (WAVE, short_kernel(WAVE, MODEL.noise)),
}


def _prior(y: float, x: Array, h: float) -> Array:
    return MODEL.log_density(x)


#: Signs of drift and score in the mean, power of σ², factor on σ².
SQUARES = {
    "stated": (1.0, 1.0, 1.0, 1.0),
    "score sign": (1.0, -1.0, 1.0, 1.0),
    "½ extra on the score": (1.0, 0.5, 1.0, 1.0),
    "drift sign": (-1.0, 1.0, 1.0, 1.0),
    "σ for σ²": (1.0, 1.0, 0.5, 1.0),
    "score + 0.5 %": (1.0, 1.005, 1.0, 1.0),
    "σ² + 0.5 %": (1.0, 1.0, 1.0, 1.005),
}


@study("S1.E9-13", variants=SQUARES, cases=tuple(STEPS))
def completed_square(variant: tuple[float, float, float, float], case: str, size: Size, seed: int) -> Evidence:
    forth, pull, power, factor = variant
    drift, kernel = STEPS[case]
    spread = np.full(len(POINTS), factor * MODEL.noise ** (2 * power))
    claimed = np.concatenate([-forth * drift(POINTS) + pull * spread * MODEL.score(POINTS), spread, 3 * spread**2])
    found = partial(before_all, kernel, _prior, MODEL.noise, POINTS)
    return limit_evidence(found, claimed, step=0.01, names=NAMES, source="posterior by quadrature, h → 0")


@lru_cache(maxsize=1)
def _flat_points() -> Array:
    """Where the score vanishes."""
    slope: Callable[[float], float] = lambda x: float(MODEL.score(np.array([x]))[0])  # noqa: E731
    x = np.linspace(-2.0, 2.5, 46)
    signs = np.sign(MODEL.score(x))
    return np.array([brentq(slope, a, b, xtol=1e-14) for a, b, s, t in zip(x, x[1:], signs, signs[1:]) if s != t])  # noqa: B905


def _means_before(points: Array, claimed: Array) -> Evidence:
    """Limits of (E[x_t|y] − y)/h at some points, for the drift that is not linear."""
    kernel = STEPS["drift sin 2x − x"][1]

    def found(h: float) -> Array:
        return before_all(kernel, _prior, MODEL.noise, points, h)[: len(points)]

    names = tuple(f"mean at {y:.3g}" for y in points)
    return limit_evidence(found, claimed, step=0.01, names=names, source="posterior mean by quadrature, h → 0")


@study("err:S1.E10-line-3", variants={"printed": (-1.0, False), "corrected": (1.0, False), "degenerate": (-1.0, True)})
def sign_of_the_score(variant: tuple[float, bool], case: str, size: Size, seed: int) -> Evidence:
    sign, flat = variant
    points = _flat_points() if flat else POINTS
    return _means_before(points, -WAVE(points) + sign * MODEL.noise**2 * MODEL.score(points))


# -- what is printed on the way ----------------------------------------------------------------------------------------------


@study("err:S1.E9", variants={"printed": (0.0, 0.8), "corrected": (1.0, 0.8), "degenerate": (0.0, 0.0)})
def chain_rule_of_log_density(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """E[log p_{t+h}(X_{t+h}) − log p_t(y) | X_t = y]/h by quadrature over the exact transition."""
    ito, noise = variant
    model, (z, w) = Forward(noise=noise), hermite()

    def rate(h: float) -> Array:
        slope, variance = model.step(h)
        after = [w @ model.log_density(slope * y + variance**0.5 * z, h) for y in POINTS]
        return (np.array(after) - model.log_density(POINTS)) / h

    claimed = model.time_slope(POINTS) + model.drift(POINTS) * model.score(POINTS)
    claimed = claimed + ito * 0.5 * noise**2 * model.curvature(POINTS)
    names = tuple(f"d log p/dt from {y:g}" for y in POINTS)
    return limit_evidence(rate, claimed, step=0.01, names=names, source="log p along the process, h → 0")


STATIONARY = Forward(data=fpk.Gaussian(0.0, 0.8 / (2 * 0.85) ** 0.5))


@study("err:S1.E11", variants={"printed": (-1.0, MODEL), "corrected": (1.0, MODEL), "degenerate": (-1.0, STATIONARY)})
def left_of_the_square(variant: tuple[float, Forward], case: str, size: Size, seed: int) -> Evidence:
    """C/dt² at Δ = 0 from the densities themselves; ∂ₜlog p in the formula by the Fokker–Planck equation."""
    sign, model = variant
    x, squared = POINTS, model.noise**2
    f, s = model.drift(x), model.score(x)

    def left(h: float) -> Array:
        square = normal_log(x, x + (f - squared * s) * h, squared * h)
        exponent = normal_log(x, x + f * h, squared * h) + model.log_density(x) - model.log_density(x, h)
        return 2 * squared * (square - exponent) / h

    rate = model.rate - f * s + 0.5 * squared * (model.curvature(x) + s**2)
    claimed = f**2 - (f - squared * s) ** 2 + sign * 2 * squared * rate
    names = tuple(f"C at {y:g}" for y in x)
    return limit_evidence(left, claimed, step=0.01, names=names, source="exponents at Δ = 0, h → 0")


def _square(y: float, x: Array, h: float) -> Array:
    """The exponent of the completed square, without C, less that of the kernel; f and the score at x."""
    f, s, squared = WAVE(x), MODEL.score(x), MODEL.noise**2
    return ((y - x - f * h) ** 2 - (y - x - (f - squared * s) * h) ** 2) / (2 * squared * h)


def _nothing(y: float, x: Array, h: float) -> Array:
    return 0 * x


@study(
    "err:S1.E12",
    variants={"printed": (_nothing, False), "corrected": (_square, False), "degenerate": (_nothing, True)},
)
def what_may_be_dropped(variant: tuple[Weight, bool], case: str, size: Size, seed: int) -> Evidence:
    """The mean of the posterior less the mean without what is dropped, divided by h."""
    weight, flat = variant
    points, kernel = _flat_points() if flat else POINTS, STEPS["drift sin 2x − x"][1]

    def moved(h: float) -> Array:
        full, less = (before_all(kernel, w, MODEL.noise, points, h) for w in (_prior, weight))
        return (full - less)[: len(points)]

    names = tuple(f"mean at {y:.3g}" for y in points)
    return limit_evidence(moved, np.zeros(len(points)), step=0.01, names=names, source="means by quadrature, h → 0")


# -- the plane ---------------------------------------------------------------------------------------------------------------

PLANE = GaussianMixture(
    [0.4, 0.6],
    np.array([[-0.8, 0.5], [0.9, -0.2]]),
    covariances=np.array([[[0.2, 0.1], [0.1, 0.3]], [[0.4, -0.15], [-0.15, 0.15]]]),
)
IN_THE_PLANE = np.array([[0.3, 0.6], [-1.0, -0.2], [1.2, 0.1]])
GROWING = fpk.Problem(
    fpk.Linear(np.array([[-0.5, -1.0], [1.0, -0.3]])), lambda t: 0.7 + 0.5 * t, initial=PLANE, horizon=1.0
)
NOW = 0.6

#: What takes the place of ∇log p, from log p (n,) and its gradient (n, 2).
PULLS: dict[str, Callable[[Array, Array], Array]] = {
    "stated": lambda log, score: score,
    "log p": lambda log, score: np.stack([log, log], axis=1),
    "∇p": lambda log, score: np.exp(log)[:, None] * score,
    "score sign": lambda log, score: -score,
    "½ extra on g²": lambda log, score: 0.5 * score,
    "score + 0.5 %": lambda log, score: 1.005 * score,
}


@lru_cache(maxsize=8)
def _seen_backwards(h: float) -> Array:
    """Means and covariances of X_{t−h} given X_t at three points, less the points, divided by h."""
    prior = fpk.exact(GROWING, times=[NOW]).law(NOW - h)
    assert isinstance(prior, GaussianMixture)
    moved = transition(GROWING, NOW - h, NOW)
    found = [mixture_before(prior, moved.slope, moved.covariance, y) for y in IN_THE_PLANE]
    means = np.concatenate([mean - y for (mean, _), y in zip(found, IN_THE_PLANE, strict=True)])
    return np.concatenate([means, found[0][1].ravel()]) / h


@study("S0.E27", variants=PULLS)
def backward_in_the_plane(variant: Callable[[Array, Array], Array], case: str, size: Size, seed: int) -> Evidence:
    law = fpk.exact(GROWING, times=[NOW]).law(NOW)
    squared = (0.7 + 0.5 * NOW) ** 2
    pull = variant(law.log_density(IN_THE_PLANE), law.score(IN_THE_PLANE))
    drift = -GROWING.drift(IN_THE_PLANE, NOW) + squared * pull
    claimed = np.concatenate([drift.ravel(), squared * np.eye(2).ravel()])
    names = tuple(f"mean {i} at {k}" for k in (1, 2, 3) for i in (0, 1)) + tuple(
        f"Cov {i}{j}" for i in (0, 1) for j in (0, 1)
    )
    return limit_evidence(
        _seen_backwards, claimed, step=0.04, names=names, source="conditional laws of mixtures, h → 0"
    )
