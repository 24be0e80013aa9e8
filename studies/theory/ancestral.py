r"""The variance-preserving chain, the scores of its positions, and its posteriors given the start: ancestral sampling (DDPM).

    x_{t+1} = √α x_t + √(1 − α) ε,   α = ᾱ_{t+1}/ᾱ_t,     ∇log p(x_t|x₀) = −ε/√(1 − ᾱ_t),
    x_t | x_{t+1}, x₀ ~ N((√ᾱ_t (1 − α) x₀ + √α (1 − ᾱ_t) x_{t+1})/(1 − ᾱ_{t+1}), (1 − α)(1 − ᾱ_t)/(1 − ᾱ_{t+1})).

Transitions are integrated from the SDE, posteriors are Bayes' rule by quadrature, chains are propagated.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.chains import propagate
from fpk.chains.line import smeared
from fpk.chains.pieces import PiecewiseLaw
from fpk.fields import Field, exact_field
from fpk.laws import Array, GaussianMixture, central_derivative
from fpk.marginals import Estimate, zero_estimate
from fpk.samplers import DDPM, EulerMaruyama
from fpk.schedules import rates
from fpk.study import Evidence, Size, study

from .._limits import limit, limit_evidence
from .._systems import DATA
from ._chain_claims import CHAINS
from ._chain_errata import ERRATA
from ._chain_errata import REMARKS as REMARKS
from ._chain_laws import (
    AHEAD,
    LATER,
    NOW,
    PAIRS,
    PATH,
    ROUNDING,
    SCHEDULE,
    SDE,
    STARTS,
    Forward,
    after,
    before,
    bridge,
    kept,
    mean_noise,
    moments,
    moved,
    named,
    normal_moments,
    share,
    shares_of,
)
from ._posteriors import normal_log

CLAIMS = (*CHAINS, *ERRATA)


def _vanishing(values: Array, bound: Any, names: tuple[str, ...], source: str) -> Evidence:
    return Evidence(fpk.residual(values, bound, source=source), zero_estimate(len(values)), names)


# -- steps -------------------------------------------------------------------------------------------------------------------

STEPS = ((0.0, 0.3), (0.3, 0.55), (0.55, 1.0))
#: Slope and variance of a step from s to t, as claimed.
CLAIMED: dict[str, Callable[[float, float], tuple[float, float]]] = {
    "stated": lambda s, t: (share(s, t) ** 0.5, 1 - share(s, t)),
    "ᾱ for α": lambda s, t: (kept(t) ** 0.5, 1 - kept(t)),
    "√ missing on α": lambda s, t: (share(s, t), 1 - share(s, t)),
    "√ missing on 1 − α": lambda s, t: (share(s, t) ** 0.5, (1 - share(s, t)) ** 2),
    "ratio inverted": lambda s, t: (share(t, s) ** 0.5, 1 - share(t, s)),
    "∫β + 0.1 %": lambda s, t: (share(s, t) ** 0.5005, 1 - share(s, t) ** 1.001),
}


@study("S1.E33", variants=CLAIMED)
def steps_of_the_sde(
    variant: Callable[[float, float], tuple[float, float]], case: str, size: Size, seed: int
) -> Evidence:
    gaps = np.ravel([np.subtract(moved(s, t), variant(s, t)) for s, t in STEPS])
    names = tuple(f"{what} from {s:g} to {t:g}" for s, t in STEPS for what in ("slope", "variance"))
    return _vanishing(gaps, ROUNDING, names, "moments of the SDE")


#: Mean (a factor on where it starts) and variance from the share.
NORMALS: dict[str, Callable[[float], tuple[float, float]]] = {
    "stated": lambda a: (a**0.5, 1 - a),
    "√ missing": lambda a: (a, 1 - a),
    "deviation for variance": lambda a: (a**0.5, (1 - a) ** 0.5),
    "noises not damped": lambda a: (a**0.5, sum(1 - share(s, t) for s, t in _FOUR)),
    "α + 0.2 %": lambda a: ((1.002 * a) ** 0.5, 1 - 1.002 * a),
}
_FOUR = ((0.0, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, NOW))
PLACES = np.array([-0.6, 0.2, 0.9])


@lru_cache(maxsize=1)
def _many_steps() -> Array:
    """Densities at PLACES of the chain after four steps from each start, by sums over the density before each step."""
    return np.concatenate([_composed(float(start)) for start in STARTS])


def _composed(start: float) -> Array:
    first = share(*_FOUR[0])
    law, error = PiecewiseLaw.of(fpk.Gaussian(first**0.5 * start, (1 - first) ** 0.5)), 0.0
    for step in _FOUR[1:]:
        a = share(*step)
        law, more = smeared(law, lambda x, a=a: a**0.5 * x, (1 - a) ** 0.5)
        error += more
    assert error < ROUNDING
    return np.exp(law.log_density(PLACES[:, None]))


@lru_cache(maxsize=1)
def _one_step() -> Array:
    """Densities at PLACES of X_t given X_s, from the joint law of the SDE."""
    joint: Any = fpk.exact(SDE, times=[LATER]).joint
    pair, marginal = joint(NOW, LATER), fpk.exact(SDE, times=[NOW]).law(NOW)
    x, y = np.repeat(STARTS, len(PLACES)), np.tile(PLACES, len(STARTS))
    return np.exp(pair.log_density(np.stack([x, y], axis=1)) - marginal.log_density(x[:, None]))


@study(
    "S1.E41",
    variants=NORMALS,
    cases=("given x_t", "given x₀"),
    applies=lambda variant, case: variant != "noises not damped" or case == "given x₀",
)
def normal_steps(variant: Callable[[float], tuple[float, float]], case: str, size: Size, seed: int) -> Evidence:
    found = _one_step() if case == "given x_t" else _many_steps()
    slope, variance = variant(share(NOW, LATER) if case == "given x_t" else kept(NOW))
    x, y = np.repeat(STARTS, len(PLACES)), np.tile(PLACES, len(STARTS))
    claimed = np.exp(normal_log(y, slope * x, variance))
    names = tuple(f"p({b:g} | {a:g})" for a, b in zip(x, y, strict=True))
    return _vanishing(found - claimed, 10 * ROUNDING, names, f"densities {case}")


BETAS = (0.05, 0.3, 0.12, 0.4, 0.2)
#: α and σ at the step t from the list of β.
PRODUCTS: dict[str, Callable[[int], tuple[float, float]]] = {
    "stated": lambda t: _pythagoras(np.prod(1 - np.array(BETAS[:t]))),
    "s = 1 ... t": lambda t: _pythagoras(np.prod(1 - np.array(BETAS[1 : t + 1]))),
    "one factor fewer": lambda t: _pythagoras(np.prod(1 - np.array(BETAS[: t - 1]))),
    "√ missing": lambda t: _pythagoras(np.prod(1 - np.array(BETAS[:t])) ** 2),
    "σ = 1 − α": lambda t: (np.prod(1 - np.array(BETAS[:t])) ** 0.5, 1 - np.prod(1 - np.array(BETAS[:t])) ** 0.5),
    "β + 1 %": lambda t: _pythagoras(np.prod(1 - 1.01 * np.array(BETAS[:t]))),
}


def _pythagoras(squared: float) -> tuple[float, float]:
    return squared**0.5, (1 - squared) ** 0.5


@study("S2.E8", variants=PRODUCTS)
def product_of_shares(variant: Callable[[int], tuple[float, float]], case: str, size: Size, seed: int) -> Evidence:
    """The chain's propagated laws after 2 and 4 steps against the path's."""
    chain = propagate(Forward(BETAS), initial=DATA)
    left = {float(len(BETAS) - t): t for t in (2, 4)}
    laws = {time: _noised(*variant(t)) for time, t in left.items()}
    panel = fpk.law_panel({time: chain.law(time) for time in left})
    other = fpk.LawMarginals(laws, tuple(left), source="α X₀ + σ Z")
    return Evidence(chain.expect(panel), other.expect(panel), panel.names, panel=panel.digest)


def _noised(alpha: float, sigma: float) -> GaussianMixture:
    return DATA.pushed(np.array([[alpha]]), np.zeros(1), np.array([[sigma**2]]))


STAYS, ENDLESS, FINITE = "N(0, 1) stays", "Σβ = ∞", "Σβ < ∞"
#: α, σ of the law that is claimed in each case; None where the form says the same as the stated one there.
LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "stated": {STAYS: (0.0, 1.0), ENDLESS: (0.0, 1.0), FINITE: (0.5**0.5, 0.5**0.5)},
    "√ missing": {STAYS: (0.0, 1.0)},
    "Euler step": {STAYS: (0.0, 1.0)},
    "start not forgotten": {ENDLESS: (0.5**0.5, 0.5**0.5)},
    "start forgotten": {FINITE: (0.0, 1.0)},
    "variance + 1 %": {STAYS: (0.0, 1.01**0.5), ENDLESS: (0.0, 1.01**0.5)},
    "α + 1 %": {FINITE: (1.01 * 0.5**0.5, (1 - 0.5 * 1.01**2) ** 0.5)},
}
_WRONG: dict[str, dict[str, Any]] = {"√ missing": {"draw": lambda b: b}, "Euler step": {"keep": lambda b: 1 - b / 2}}


def _late_law(betas: Array) -> GaussianMixture:
    """The law of the chain from the data, by the recursion of its factor and its variance."""
    factor, spread = 1.0, 0.0
    for beta in betas.tolist():
        factor, spread = (1 - beta) ** 0.5 * factor, (1 - beta) * spread + beta
    return _noised(factor, spread**0.5)


@lru_cache(maxsize=2)
def _in_the_end(case: str) -> tuple[Estimate, fpk.Panel]:
    """Limits of the chain's expectations; they expand in α_t ~ 1/√t where the sum diverges, in 1/t where it does not."""
    ratio, power, reference = (4, 1, _noised(0.0, 1.0)) if case == ENDLESS else (2, 2, _noised(0.5**0.5, 0.5**0.5))
    panel = fpk.law_panel({0.0: reference})
    counts = [256 * ratio**k for k in range(4)] if case == ENDLESS else [64 * ratio**k for k in range(4)]
    laws = [_late_law(1 / (np.arange(n) + 2.0) ** power) for n in counts]
    values = [fpk.LawMarginals({0.0: law}, (0.0,)).expect(panel).value for law in laws]
    value, bound, coarser = limit(values)
    return Estimate(value, bound, coarser=coarser, source="the chain as t → ∞"), panel


@study(
    "S2.T8",
    variants={name: name for name in LIMITS},
    cases=(STAYS, ENDLESS, FINITE),
    applies=lambda variant, case: case in LIMITS[variant],
)
def forgotten_or_not(variant: str, case: str, size: Size, seed: int) -> Evidence:
    if case == STAYS:
        panel = fpk.law_panel({0.0: fpk.Gaussian(0.0, 1.0)})
        first = propagate(Forward(BETAS, **_WRONG.get(variant, {})), initial=fpk.Gaussian(0.0, 1.0)).expect(panel)
    else:
        first, panel = _in_the_end(case)
    other = fpk.LawMarginals({0.0: _noised(*LIMITS[variant][case])}, (0.0,), source="claimed limit")
    return Evidence(first, other.expect(panel), panel.names, panel=panel.digest)


@study("err:S2.E8-formula", variants={"printed": (1, BETAS), "corrected": (0, BETAS), "degenerate": (1, (0.2,) * 5)})
def range_of_the_product(variant: tuple[int, tuple[float, ...]], case: str, size: Size, seed: int) -> Evidence:
    first, betas = variant
    found = np.array(shares_of(betas))[:, 1:4]
    squares = np.array([np.prod(1 - np.array(betas[first : first + t])) for t in (1, 2, 3)])
    names = tuple(f"{what} at {t}" for what in "ασ" for t in (1, 2, 3))
    claimed = np.array([squares**0.5, (1 - squares) ** 0.5])
    return _vanishing((found - claimed).ravel(), 1e-12, names, "propagated chain")


@study("err:S1.E54-text", variants={"printed": (0, BETAS), "corrected": (1, BETAS), "degenerate": (0, (0.2,) * 5)})
def name_of_the_share(variant: tuple[int, tuple[float, ...]], case: str, size: Size, seed: int) -> Evidence:
    """Shares α_s = 1 − β_{s−1}, s = 1 ... N; ᾱ from the propagated chain."""
    shift, betas = variant
    alpha, _ = shares_of(betas)
    gaps = [(alpha[t + 1] / alpha[t]) ** 2 - (1 - betas[t - 1 + shift]) for t in (1, 2, 3)]
    return _vanishing(np.array(gaps), 1e-12, ("t = 1", "t = 2", "t = 3"), "propagated chain")


# -- scores ------------------------------------------------------------------------------------------------------------------

POINTS = (-0.9, 0.4, 1.3)
#: −score from x − √ᾱ x₀ (or the same with ᾱ), and 1 − ᾱ, for positions; from ε for noises.
SCORES: dict[str, dict[str, Callable[..., Array]]] = {
    "stated": {"in x": lambda x, a: -(x - a**0.5 * STARTS) / (1 - a), "in ε": lambda e, a: -e / (1 - a) ** 0.5},
    "half of it": {
        "in x": lambda x, a: -(x - a**0.5 * STARTS) / (2 * (1 - a)),
        "in ε": lambda e, a: -e / (2 * (1 - a) ** 0.5),
    },
    "sign": {"in x": lambda x, a: (x - a**0.5 * STARTS) / (1 - a), "in ε": lambda e, a: e / (1 - a) ** 0.5},
    "√ of the denominator": {
        "in x": lambda x, a: -(x - a**0.5 * STARTS) / (1 - a) ** 0.5,
        "in ε": lambda e, a: -e / (1 - a) ** 0.25,
    },
    "√ missing on ᾱ": {"in x": lambda x, a: -(x - a * STARTS) / (1 - a)},
    "1 − ᾱ + 0.5 %": {
        "in x": lambda x, a: -(x - a**0.5 * STARTS) / (1.005 * (1 - a)),
        "in ε": lambda e, a: -e / (1.005 * (1 - a)) ** 0.5,
    },
}


def _conditional_score(x: Array) -> Array:
    """∂ log p(x_t|x₀) by differences of the density that follows from the SDE."""
    slope, variance = moved(0.0, NOW)
    return central_derivative(lambda y: normal_log(y, slope * STARTS, variance), x, 0.02)


@study(
    "S1.E42-43",
    variants=SCORES,
    cases=("in x", "in ε"),
    applies=lambda variant, case: case in SCORES[variant],
)
def conditional_score(variant: dict[str, Callable[..., Array]], case: str, size: Size, seed: int) -> Evidence:
    noise = np.array([-1.2, 0.5, 1.9])
    slope, variance = moved(0.0, NOW)
    x = AHEAD if case == "in x" else slope * STARTS + variance**0.5 * noise
    claimed = variant[case](x if case == "in x" else noise, kept(NOW))
    return _vanishing(_conditional_score(x) - claimed, 1e-9, PAIRS, "differences of log p(x_t|x₀)")


@study("err:S1.E43", variants={"printed": (2.0, False), "corrected": (1.0, False), "degenerate": (2.0, True)})
def denominator_of_the_score(variant: tuple[float, bool], case: str, size: Size, seed: int) -> Evidence:
    factor, flat = variant
    x = SCHEDULE.alpha(NOW) * STARTS if flat else AHEAD
    claimed = -(x - SCHEDULE.alpha(NOW) * STARTS) / (factor * (1 - kept(NOW)))
    return _vanishing(_conditional_score(x) - claimed, 1e-9, PAIRS, "differences of log p(x_t|x₀)")


#: −σ times the score, from E[ε|x], ε for the mean of all data, and ε for the likeliest x₀.
NOISES: dict[str, Callable[..., Array]] = {
    "stated": lambda given, plain, likely, sigma: given,
    "sign": lambda given, plain, likely, sigma: -given,
    "√ missing": lambda given, plain, likely, sigma: given / sigma,
    "mean of all data": lambda given, plain, likely, sigma: plain,
    "most likely x₀": lambda given, plain, likely, sigma: likely,
    "ε + 0.2 %": lambda given, plain, likely, sigma: 1.002 * given,
}


@study("S1.E43m", variants=NOISES)
def marginal_score(variant: Callable[..., Array], case: str, size: Size, seed: int) -> Evidence:
    given, bound, likely = mean_noise(DATA, POINTS)
    sigma = (1 - kept(NOW)) ** 0.5
    plain = (np.array(POINTS) - SCHEDULE.alpha(NOW) * DATA.mean[0]) / sigma
    score = PATH.score(np.array(POINTS)[:, None], NOW)[:, 0]
    gaps = score + variant(given, plain, likely, sigma) / sigma
    return _vanishing(gaps, bound / sigma, tuple(f"x = {x:g}" for x in POINTS), "score of the mixture")


ATOM = fpk.Gaussian(0.8, 1e-6)


@study("err:S1.E42", variants={"printed": (False, DATA), "corrected": (True, DATA), "degenerate": (False, ATOM)})
def which_score(variant: tuple[bool, GaussianMixture], case: str, size: Size, seed: int) -> Evidence:
    averaged, data = variant
    x, sigma = np.array(POINTS), SCHEDULE.sigma(NOW)
    noise = mean_noise(DATA, POINTS)[0] if averaged else (x - SCHEDULE.alpha(NOW) * 0.8) / sigma
    score = fpk.exact(fpk.noising(SCHEDULE, data), times=[NOW]).score(x[:, None], NOW)[:, 0]
    return _vanishing(score + noise / sigma, 1e-9, tuple(f"x = {p:g}" for p in POINTS), "score of the law of x_t")


# -- short steps -------------------------------------------------------------------------------------------------------------

INSTANTS = (0.3, 0.7)


def _noise_rate(t: float, power: float = 0.5) -> float:
    """2 ᾱ^power √(1 − ᾱ) d(√(1 − ᾱ)/√ᾱ)/dt."""
    alpha, sigma = SCHEDULE.alpha(t), SCHEDULE.sigma(t)
    falls, rises = rates(SCHEDULE, t)
    return 2 * alpha ** (2 * power) * sigma * (rises * alpha - sigma * falls) / alpha**2


def _short(variant: str, h: float) -> Array:
    """(√α − 1)/h and (1 − α)/h of a step of length h, at all instants."""
    a = np.array([share(t, t + h) for t in INSTANTS])
    return np.concatenate(
        [
            ((a if variant == "√ missing on the share" else a**0.5) - 1) / h,
            (1 - (a**0.5 if variant == "1 − √α" else a)) / h,
        ]
    )


@study(
    "S1.E44-46",
    variants={v: v for v in ("stated", "√ missing on the share", "1 − √α", "ᾱ for √ᾱ", "½ missing", "g² + 0.2 %")},
)
def short_steps(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """The rates of the chain less those of the SDE, and their second form less that too."""
    drift = np.array([SCHEDULE.drift_rate(t) for t in INSTANTS]) * (2.0 if variant == "½ missing" else 1.0)
    noise = np.array([SCHEDULE.diffusion(t) ** 2 for t in INSTANTS]) * (1.002 if variant == "g² + 0.2 %" else 1.0)
    second = np.array([_noise_rate(t, 1.0 if variant == "ᾱ for √ᾱ" else 0.5) for t in INSTANTS])

    def gaps(h: float) -> Array:
        found = _short(variant, h)
        return np.concatenate([found - np.concatenate([drift, noise]), found[2:] - second])

    names = tuple(f"{what}, t = {t:g}" for what in ("drift", "noise", "second form") for t in INSTANTS)
    return limit_evidence(gaps, np.zeros(6), step=0.02, names=names, source="rates of the chain as its step tends to 0")


@study("err:S1.E46-col-2", variants={"printed": (1.0, 0.7), "corrected": (0.5, 0.7), "degenerate": (1.0, 0.0)})
def second_form(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """(1 − α)/h as h → 0, less the second form at t, or at h where t = 0."""
    power, t = variant

    def gap(h: float) -> Array:
        return np.array([(1 - share(t, t + h)) / h - _noise_rate(t or h, power)])

    return limit_evidence(gap, np.zeros(1), step=0.01, names=(f"t = {t:g}",), source="the chain as its step tends to 0")


AT = np.array([-0.9, 0.4, 1.3])
_FIELD = exact_field(DATA, SCHEDULE, kind="denoised")
_BLIND = Field(lambda x, t: np.full_like(x, DATA.mean[0]), "denoised", SCHEDULE)
#: Factors on the drift's score, and the model that stands for E[x₀|x].
OPEN = {
    "stated": (1.0, _FIELD),
    "score sign": (-1.0, _FIELD),
    "½ extra on g²": (0.5, _FIELD),
    "no score": (0.0, _FIELD),
    "mean of all data": (1.0, _BLIND),
    "score + 0.2 %": (1.002, _FIELD),
}


@study("S1.X54", variants=OPEN)
def posterior_becomes_reverse(variant: tuple[float, Field], case: str, size: Size, seed: int) -> Evidence:
    factor, field = variant
    score = PATH.score(AT[:, None], LATER)[:, 0]
    f, squared = SCHEDULE.drift_rate(LATER), SCHEDULE.diffusion(LATER) ** 2

    def moves(h: float) -> Array:
        (step,) = DDPM(field, times=[LATER, LATER - h]).kernels(0)
        return np.append((step.mean(AT[:, None])[:, 0] - AT) / h, step.std**2 / h)

    names = (*(f"mean at {x:g}" for x in AT), "variance")
    claimed = np.append(-f * AT + factor * squared * score, squared)
    return limit_evidence(moves, claimed, step=0.02, names=names, source="steps of DDPM, Δ → 0")


#: The claimed order, factors on the Euler step's score and on its noise.
REVERSED = {
    "stated": (2.0, 1.0, 1.0),
    "third order": (3.0, 1.0, 1.0),
    "first order": (1.0, 1.0, 1.0),
    "½ extra on the score": (2.0, 0.5, 1.0),
    "score + 5 %": (2.0, 1.05, 1.0),
    "g² + 5 %": (2.0, 1.0, 1.05),
}
MEAN, POSTERIOR, FORWARD = "mean", "variance β̃", "variance β"


@study(
    "S2.T-DDPM",
    variants=REVERSED,
    cases=(MEAN, POSTERIOR, FORWARD),
    applies=lambda variant, case: "order" in variant or variant == "stated" or ("score" in variant) == (case == MEAN),
)
def ddpm_and_euler(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """Norm of the difference of the two steps from three places."""
    order, push, louder = variant
    score = Field(lambda x, t: push * PATH.score(x, t), "score", SCHEDULE)
    steps = 0.1 / 2.0 ** np.arange(6)

    def apart(h: float) -> float:
        times = [LATER, LATER - h]
        noise = lambda t: louder**0.5 * SCHEDULE.diffusion(t)  # noqa: E731
        (euler,) = EulerMaruyama(score, times=times, noise=noise if louder != 1 else None).kernels(0)
        (ddpm,) = DDPM(_FIELD, times=times, variance="forward" if case == FORWARD else "posterior").kernels(0)
        if case == MEAN:
            return float(np.linalg.norm(euler.mean(AT[:, None]) - ddpm.mean(AT[:, None])))
        return abs(euler.std**2 - ddpm.std**2)

    first = Estimate(np.array([apart(h) for h in steps]), np.full(6, 1e-14), source=f"Euler less DDPM, {case}")
    return Evidence(first, Estimate(steps, np.zeros(6), source=f"order {order:g}"), (f"{order:g}",))


# -- posteriors --------------------------------------------------------------------------------------------------------------


def _between(a: float, ends: tuple[float, float] = (NOW, LATER), below: float | None = None) -> tuple[Array, float]:
    """Mean and variance given both ends, α = a; ``below``: what stands in the denominator of the mean."""
    before_, after_ = kept(ends[0]), a * kept(ends[0])
    top = before_**0.5 * (1 - a) * STARTS + a**0.5 * (1 - before_) * AHEAD
    return top / (1 - after_ if below is None else below), (1 - a) * (1 - before_) / (1 - after_)


def _exchanged(a: float) -> tuple[Array, float]:
    top = kept(NOW) ** 0.5 * (1 - a) * AHEAD + a**0.5 * (1 - kept(NOW)) * STARTS
    return top / (1 - a * kept(NOW)), _between(a)[1]


def _rootless(a: float) -> tuple[Array, float]:
    top = kept(NOW) * (1 - a) * STARTS + a * (1 - kept(NOW)) * AHEAD
    return top / (1 - a * kept(NOW)), _between(a)[1]


POSTERIORS: dict[str, Callable[[float], tuple[Array, float]]] = {
    "stated": _between,
    "1 − α below": lambda a: _between(a, below=1 - a),
    "ends exchanged": _exchanged,
    "√ missing": _rootless,
    "variance of the step": lambda a: (_between(a)[0], 1 - a),
    "α + 0.2 %": lambda a: _between(1.002 * a),
}


def _step_of_ddpm() -> Array:
    """Moments of DDPM's step where the model answers x₀, from one position after the other."""
    field = Field(lambda x, t: STARTS[:, None], "denoised", SCHEDULE)
    (step,) = DDPM(field, times=[LATER, NOW]).kernels(0)
    return normal_moments(step.mean(AHEAD[:, None])[:, 0], step.std**2)


@study("S1.E54-55", variants=POSTERIORS, cases=("Bayes' rule", "a step of DDPM"))
def given_both_ends(variant: Callable[[float], tuple[Array, float]], case: str, size: Size, seed: int) -> Evidence:
    found, bound = bridge() if case == "Bayes' rule" else (_step_of_ddpm(), np.full(9, ROUNDING))
    claimed = normal_moments(*variant(share(NOW, LATER)))
    return _vanishing(found - claimed, bound, named("mean", "variance", "fourth moment"), case)


@study("err:S1.E55", variants={"printed": (True, False), "corrected": (False, False), "degenerate": (True, True)})
def denominator_of_the_mean(variant: tuple[bool, bool], case: str, size: Size, seed: int) -> Evidence:
    printed, first_step = variant
    if first_step:
        a = kept(LATER)
        means = lambda h: _first_step(h)  # noqa: E731
        claimed = _between(a, (0.0, LATER), below=1 - a)[0]
        return limit_evidence(means, claimed, step=0.02, names=named("mean"), source="Bayes' rule, t → 0")
    found, bound = bridge()
    a = share(NOW, LATER)
    claimed = _between(a, below=1 - a if printed else None)[0]
    return _vanishing(found[:3] - claimed, bound[:3], named("mean"), "Bayes' rule")


def _first_step(t: float) -> Array:
    """Means of x_t given both ends, t small."""
    log = lambda x: before(x, t=t) + after(x, ends=(t, LATER))  # noqa: E731
    return moments(log, centre=SCHEDULE.alpha(t) * STARTS, width=SCHEDULE.sigma(t))[0][:3]


@study("err:S1.E55-line-2", variants={"printed": (0.5, 1.0), "corrected": (-0.5, 1.0), "degenerate": (0.5, 0.0)})
def sign_of_the_exponent(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """The logarithm of the density some deviations from the mean, less that at the mean."""
    sign, distance = variant
    found, _ = bridge()
    mean, variance = found[:3], found[3:6]
    log = lambda x: before(x) + after(x)  # noqa: E731
    gaps = log(mean + distance * variance**0.5) - log(mean) - sign * distance**2
    return _vanishing(gaps, 1e-8, named("log density"), "Bayes' rule")


@study("err:S1.E47", variants={"printed": (True, DATA), "corrected": (False, DATA), "degenerate": (True, ATOM)})
def what_is_given(variant: tuple[bool, GaussianMixture], case: str, size: Size, seed: int) -> Evidence:
    """x₀ = 0.8 for all positions; x_t given x_{t+1} alone, or with x₀."""
    alone, data = variant
    law: Any = fpk.exact(fpk.noising(SCHEDULE, data), times=[NOW]).law(NOW)
    start = np.full(len(AHEAD), 0.8)
    prior = lambda x: law.log_density(x.reshape(-1, 1)).reshape(x.shape)  # noqa: E731
    found, bound = moments(lambda x: (prior(x) if alone else before(x, start)) + after(x))
    a, b = kept(NOW), share(NOW, LATER)
    mean = (a**0.5 * (1 - b) * start + b**0.5 * (1 - a) * AHEAD) / (1 - a * b)
    claimed = normal_moments(mean, (1 - b) * (1 - a) / (1 - a * b))
    names = tuple(f"{what}, x = {x:g}" for what in ("mean", "variance", "fourth moment") for x in AHEAD)
    return _vanishing(found - claimed, bound, names, "Bayes' rule")


# -- the family --------------------------------------------------------------------------------------------------------------

STEP = LATER - NOW
MULTIPLES = {"σ² = 0.4 g²": 0.4, "σ = g": 1.0, "σ² = 2 g²": 2.0}


@lru_cache(maxsize=8)
def _members(multiple: float) -> list[tuple[fpk.Problem, fpk.LawMarginals]]:
    """The family's member with σ² = multiple · g² for data at each start, and the law of x_t."""
    noise = lambda t: multiple**0.5 * SCHEDULE.diffusion(t)  # noqa: E731
    out = []
    for start in STARTS:
        forward = fpk.noising(SCHEDULE, fpk.Gaussian(float(start), 1e-6))
        path = fpk.exact(forward, times=[NOW])
        out.append((fpk.with_noise(forward, path.score, noise=noise), path))
    return out


@lru_cache(maxsize=8)
def _after_euler(multiple: float, frozen: bool) -> tuple[Array, Array]:
    """Moments of x_t given both ends of an Euler step; ``frozen``: its score is read at x_{t+Δ}."""
    members = _members(multiple)

    def log(x: Array) -> Array:
        columns = []
        for (problem, path), ahead, y in zip(members, AHEAD, x.T, strict=True):
            drift = problem.drift(y[:, None], NOW)[:, 0]
            if frozen:
                score = path.score(np.append(y, ahead)[:, None], NOW)[:, 0]
                drift = drift + _lack(multiple) * (score[:-1] - score[-1])
            variance = float(problem.diffusion(np.zeros((1, 1)), NOW).ravel()[0]) ** 2 * STEP
            columns.append(path.law(NOW).log_density(y[:, None]) + normal_log(ahead, y + STEP * drift, variance))
        return np.stack(columns, axis=1)

    return moments(log)


def _lack(multiple: float) -> float:
    """½(g² − σ²)."""
    return 0.5 * (1 - multiple) * SCHEDULE.diffusion(NOW) ** 2


def _family(
    multiple: float,
    *,
    frozen: bool = False,
    sign: float = 1.0,
    known: float = 1.0,
    root: float = 0.5,
    factor: float = 1.0,
) -> Array:
    """The completed square."""
    centre, spread = kept(NOW) ** root * STARTS, 1 - kept(NOW)
    lack, a = sign * _lack(multiple) * STEP, 1 + SCHEDULE.drift_rate(NOW) * STEP
    noise = factor * multiple * SCHEDULE.diffusion(NOW) ** 2 * STEP
    pulled = -(AHEAD - centre) if frozen else centre
    a = a if frozen else a + lack / spread
    precision = a**2 / noise + known / spread
    return normal_moments(
        (a * (AHEAD + lack * pulled / spread) / noise + known * centre / spread) / precision, 1 / precision
    )


FAMILY: dict[str, dict[str, Any]] = {
    "stated": {},
    "score frozen": {"frozen": True},
    "score sign": {"sign": -1.0},
    "x₀ left out": {"known": 0.0},
    "√ missing on ᾱ": {"root": 1.0},
    "σ² + 0.5 %": {"factor": 1.005},
}


@study(
    "S1.E47-50",
    variants=FAMILY,
    cases=tuple(MULTIPLES),
    applies=lambda variant, case: not variant.startswith("score") or case != "σ = g",
)
def family_given_both_ends(variant: dict[str, Any], case: str, size: Size, seed: int) -> Evidence:
    found, bound = _after_euler(MULTIPLES[case], False)
    names = named("mean", "variance", "fourth moment")
    return _vanishing(found - _family(MULTIPLES[case], **variant), bound, names, "Bayes' rule")


@study("err:S1.E48-50", variants={"printed": (True, 0.4), "corrected": (False, 0.4), "degenerate": (True, 1.0)})
def score_taken_for_constant(variant: tuple[bool, float], case: str, size: Size, seed: int) -> Evidence:
    frozen, multiple = variant
    found, bound = _after_euler(multiple, False)
    names = named("mean", "variance", "fourth moment")
    return _vanishing(found - _family(multiple, frozen=frozen), bound, names, "Bayes' rule")


@study("err:S1.E49", variants={"printed": (True, 0.4), "corrected": (False, 0.4), "degenerate": (True, 1.0)})
def linear_coefficient(variant: tuple[bool, float], case: str, size: Size, seed: int) -> Evidence:
    """The mean times the precision less x_{t+Δ}'s and x₀'s parts: what the frozen score adds to the coefficient."""
    printed, multiple = variant
    found, bound = _after_euler(multiple, True)
    f, noise, spread = SCHEDULE.drift_rate(NOW), multiple * SCHEDULE.diffusion(NOW) ** 2, 1 - kept(NOW)
    added = found[:3] / found[3:6] - (1 + f * STEP) * AHEAD / (noise * STEP) - kept(NOW) ** 0.5 * STARTS / spread
    S = -_lack(multiple) * (AHEAD - kept(NOW) ** 0.5 * STARTS) / spread
    claimed = -f * S / noise - S / (noise * STEP) if printed else (1 + f * STEP) * S / noise
    return _vanishing(added - claimed, 30 * bound[:3] / found[3:6], named("coefficient"), "Bayes' rule, score frozen")
