r"""The variance-preserving chain, the scores of its positions, and its posteriors given the start: ancestral sampling (DDPM).

    x_{t+1} = √α x_t + √(1 − α) ε,   α = ᾱ_{t+1}/ᾱ_t,     ∇log p(x_t|x₀) = −ε/√(1 − ᾱ_t),
    x_t | x_{t+1}, x₀ ~ N((√ᾱ_t (1 − α) x₀ + √α (1 − ᾱ_t) x_{t+1})/(1 − ᾱ_{t+1}), (1 − α)(1 − ᾱ_t)/(1 − ᾱ_{t+1})).

Transitions are integrated from the SDE, posteriors are Bayes' rule by quadrature, chains are propagated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fpk
from fpk.chains import propagate
from fpk.fields import Field, exact_field
from fpk.laws import Array, GaussianMixture
from fpk.marginals import zero_estimate
from fpk.samplers import DDPM, EulerMaruyama
from fpk.study import Evidence, Size, order_evidence, study

from .._limits import limit_evidence
from .._systems import DATA
from ._chain_claims import CHAINS
from ._chain_errata import ERRATA
from ._chain_errata import REMARKS as REMARKS
from ._chain_forward import (
    BETAS,
    CLAIMED,
    ENDLESS,
    FINITE,
    FROM_TO,
    LIMITS,
    NORMALS,
    PRODUCTS,
    ROUTES,
    STAYS,
    STEPS,
    WRONG,
    Forward,
    along_the_sde,
    in_the_end,
    many_steps,
    noised,
    one_step,
    shares_of,
)
from ._chain_given import (
    FAMILY,
    MULTIPLES,
    POSTERIORS,
    STEP,
    after_euler,
    between,
    family,
    first_step,
    lack,
    step_of_ddpm,
)
from ._chain_laws import (
    AHEAD,
    INSTANTS,
    LATER,
    NOW,
    PAIRS,
    PATH,
    ROUNDING,
    SCHEDULE,
    STARTS,
    after,
    before,
    bridge,
    kept,
    moments,
    moved,
    named,
    noise_rate,
    normal_moments,
    share,
    short_step,
)
from ._chain_scores import NOISES, SCORES, density_slope, mean_noise
from ._posteriors import normal_log

CLAIMS = (*CHAINS, *ERRATA)
MOMENTS = named("mean", "variance", "fourth moment")


def _vanishing(values: Array, bound: Any, names: tuple[str, ...], source: str) -> Evidence:
    return Evidence(fpk.residual(values, bound, source=source), zero_estimate(len(values)), names)


# -- steps -------------------------------------------------------------------------------------------------------------------
@study("S1.E33", variants=CLAIMED, cases=tuple(ROUTES))
def steps_of_the_sde(
    variant: Callable[[float, float], tuple[float, float]], case: str, size: Size, seed: int
) -> Evidence:
    found, scale = ROUTES[case]
    gaps = np.ravel([np.subtract(found(s, t), variant(scale(s) ** 2, scale(t) ** 2)) for s, t in STEPS])
    names = tuple(f"{what} from {s:g} to {t:g}" for s, t in STEPS for what in ("slope", "variance"))
    return _vanishing(gaps, ROUNDING, names, "moments of the SDE" if "fpk" not in case else "forward kernels")


@study(
    "S1.E41",
    variants=NORMALS,
    cases=("given x_t", "given x₀"),
    applies=lambda variant, case: variant != "noises not damped" or case == "given x₀",
)
def normal_steps(variant: Callable[[float], tuple[float, float]], case: str, size: Size, seed: int) -> Evidence:
    given_start = case == "given x₀"
    slope, variance = variant(kept(NOW) if given_start else share(NOW, LATER))
    found = many_steps() if given_start else one_step()
    claimed = np.exp(normal_log(FROM_TO[1], slope * FROM_TO[0], variance))
    names = tuple(f"p({b:g} | {a:g})" for a, b in FROM_TO.T)
    return _vanishing(found - claimed, 10 * ROUNDING, names, f"densities {case}")


@study("S2.E8", variants=PRODUCTS, cases=("step by step", "as a schedule"))
def product_of_shares(variant: Callable[[int], tuple[float, float]], case: str, size: Size, seed: int) -> Evidence:
    """The chain's laws after 2 and 4 steps, propagated or those of the SDE that is the chain at whole times, against the path's."""
    counts = (2, 4)
    chain: Any = propagate(Forward(BETAS), initial=DATA)
    propagated = {float(t): chain.law(float(len(BETAS) - t)) for t in counts}
    laws = {float(t): noised(*along_the_sde()[t]) for t in counts} if case == "as a schedule" else propagated
    found = fpk.LawMarginals(laws, counts, source=f"chain, {case}")
    claimed = fpk.LawMarginals({float(t): noised(*variant(t)) for t in counts}, counts, source="α X₀ + σ Z")
    panel = fpk.law_panel(propagated)
    return Evidence(found.expect(panel), claimed.expect(panel), panel.names, panel=panel.digest)


@study(
    "S2.T8",
    variants={name: name for name in LIMITS},
    cases=(STAYS, ENDLESS, FINITE),
    applies=lambda variant, case: case in LIMITS[variant],
)
def forgotten_or_not(variant: str, case: str, size: Size, seed: int) -> Evidence:
    if case == STAYS:
        panel = fpk.law_panel({0.0: fpk.Gaussian(0.0, 1.0)})
        first = propagate(Forward(BETAS, **WRONG.get(variant, {})), initial=fpk.Gaussian(0.0, 1.0)).expect(panel)
    else:
        first, panel = in_the_end(case)
    other = fpk.LawMarginals({0.0: noised(*LIMITS[variant][case])}, (0.0,), source="claimed limit")
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
    return _vanishing(density_slope(x) - claimed, 1e-9, PAIRS, "differences of log p(x_t|x₀)")


@study("err:S1.E43", variants={"printed": (2.0, False), "corrected": (1.0, False), "degenerate": (2.0, True)})
def denominator_of_the_score(variant: tuple[float, bool], case: str, size: Size, seed: int) -> Evidence:
    factor, flat = variant
    x = SCHEDULE.alpha(NOW) * STARTS if flat else AHEAD
    claimed = -(x - SCHEDULE.alpha(NOW) * STARTS) / (factor * (1 - kept(NOW)))
    return _vanishing(density_slope(x) - claimed, 1e-9, PAIRS, "differences of log p(x_t|x₀)")


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


@study(
    "S1.E44-46",
    variants={v: v for v in ("stated", "√ missing on the share", "1 − √α", "ᾱ for √ᾱ", "½ missing", "g² + 0.2 %")},
)
def short_steps(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """The rates of the chain less those of the SDE, and their second form less that too."""
    drift = np.array([SCHEDULE.drift_rate(t) for t in INSTANTS]) * (2.0 if variant == "½ missing" else 1.0)
    noise = np.array([SCHEDULE.diffusion(t) ** 2 for t in INSTANTS]) * (1.002 if variant == "g² + 0.2 %" else 1.0)
    second = np.array([noise_rate(t, 1.0 if variant == "ᾱ for √ᾱ" else 0.5) for t in INSTANTS])

    def gaps(h: float) -> Array:
        found = short_step(variant, h)
        return np.concatenate([found - np.concatenate([drift, noise]), found[2:] - second])

    names = tuple(f"{what}, t = {t:g}" for what in ("drift", "noise", "second form") for t in INSTANTS)
    return limit_evidence(gaps, np.zeros(6), step=0.02, names=names, source="rates of the chain as its step tends to 0")


@study("err:S1.E46-col-2", variants={"printed": (1.0, 0.7), "corrected": (0.5, 0.7), "degenerate": (1.0, 0.0)})
def second_form(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """(1 − α)/h as h → 0, less the second form at t, or at h where t = 0."""
    power, t = variant

    def gap(h: float) -> Array:
        return np.array([(1 - share(t, t + h)) / h - noise_rate(t or h, power)])

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

    errors = [apart(h) for h in steps]
    return order_evidence(errors, steps, order, floor=1e-14, source=f"Euler less DDPM, {case}")


# -- posteriors --------------------------------------------------------------------------------------------------------------


@study("S1.E54-55", variants=POSTERIORS, cases=("Bayes' rule", "a step of DDPM"))
def given_both_ends(variant: Callable[[float], tuple[Array, float]], case: str, size: Size, seed: int) -> Evidence:
    found, bound = bridge() if case == "Bayes' rule" else (step_of_ddpm(), np.full(9, ROUNDING))
    claimed = normal_moments(*variant(share(NOW, LATER)))
    return _vanishing(found - claimed, bound, MOMENTS, case)


@study("err:S1.E55", variants={"printed": (True, NOW), "corrected": (False, NOW), "degenerate": (True, 0.0)})
def denominator_of_the_mean(variant: tuple[bool, float], case: str, size: Size, seed: int) -> Evidence:
    printed, t = variant
    a = share(t, LATER)
    claimed = between(a, (t, LATER), below=1 - a if printed else None)[0]
    if t == 0:
        return limit_evidence(first_step, claimed, step=0.02, names=named("mean"), source="Bayes' rule, t → 0")
    found, bound = bridge()
    return _vanishing(found[:3] - claimed, bound[:3], named("mean"), "Bayes' rule")


@study("err:S1.E55-line-2", variants={"printed": (0.5, 1.0), "corrected": (-0.5, 1.0), "degenerate": (0.5, 0.0)})
def sign_of_the_exponent(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """The logarithm of Bayes' density some of DDPM's deviations from DDPM's mean, less that at the mean."""
    sign, distance = variant
    mean, spread = step_of_ddpm()[:3], step_of_ddpm()[3:6] ** 0.5
    log = lambda x: before(x) + after(x)  # noqa: E731
    gaps = log(mean + distance * spread) - log(mean) - sign * distance**2
    return _vanishing(gaps, 1e-8, named("log density"), "Bayes' rule")


@study("err:S1.E47", variants={"printed": (True, DATA), "corrected": (False, DATA), "degenerate": (True, ATOM)})
def what_is_given(variant: tuple[bool, GaussianMixture], case: str, size: Size, seed: int) -> Evidence:
    """x₀ = 0.8 for all positions; x_t given x_{t+1} alone, or with x₀."""
    alone, data = variant
    law: Any = fpk.exact(fpk.noising(SCHEDULE, data), times=[NOW]).law(NOW)
    start = np.full(len(AHEAD), 0.8)
    prior = lambda x: law.log_density(x.reshape(-1, 1)).reshape(x.shape)  # noqa: E731
    found, bound = moments(lambda x: (prior(x) if alone else before(x, start)) + after(x))
    claimed = normal_moments(*between(share(NOW, LATER), start=start))
    names = tuple(f"{what}, x = {x:g}" for what in ("mean", "variance", "fourth moment") for x in AHEAD)
    return _vanishing(found - claimed, bound, names, "Bayes' rule")


# -- the family --------------------------------------------------------------------------------------------------------------


@study(
    "S1.E47-50",
    variants=FAMILY,
    cases=tuple(MULTIPLES),
    applies=lambda variant, case: not variant.startswith("score") or case != "σ = g",
)
def family_given_both_ends(variant: dict[str, Any], case: str, size: Size, seed: int) -> Evidence:
    found, bound = after_euler(MULTIPLES[case], False)
    return _vanishing(found - family(MULTIPLES[case], **variant), bound, MOMENTS, "Bayes' rule")


@study("err:S1.E48-50", variants={"printed": (True, 0.4), "corrected": (False, 0.4), "degenerate": (True, 1.0)})
def score_taken_for_constant(variant: tuple[bool, float], case: str, size: Size, seed: int) -> Evidence:
    frozen, multiple = variant
    found, bound = after_euler(multiple, False)
    return _vanishing(found - family(multiple, frozen=frozen), bound, MOMENTS, "Bayes' rule")


@study("err:S1.E49", variants={"printed": (True, 0.4), "corrected": (False, 0.4), "degenerate": (True, 1.0)})
def linear_coefficient(variant: tuple[bool, float], case: str, size: Size, seed: int) -> Evidence:
    """The mean times the precision less x_{t+Δ}'s and x₀'s parts: what the frozen score adds to the coefficient."""
    printed, multiple = variant
    found, bound = after_euler(multiple, True)
    f, noise, spread = SCHEDULE.drift_rate(NOW), multiple * SCHEDULE.diffusion(NOW) ** 2, 1 - kept(NOW)
    added = found[:3] / found[3:6] - (1 + f * STEP) * AHEAD / (noise * STEP) - kept(NOW) ** 0.5 * STARTS / spread
    S = -lack(multiple) * (AHEAD - kept(NOW) ** 0.5 * STARTS) / spread
    claimed = -f * S / noise - S / (noise * STEP) if printed else (1 + f * STEP) * S / noise
    return _vanishing(added - claimed, 30 * bound[:3] / found[3:6], named("coefficient"), "Bayes' rule, score frozen")
