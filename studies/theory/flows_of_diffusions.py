r"""Diffusions as paths of flow matching: a linear equation dX = f(r)X dr + g(r) dW, read with a clock r = k(t) that runs from noise to data.

    α_t = f̃(k(t)),  σ_t = g̃(k(t)),      f̃(r) = exp ∫₀ʳ f,   g̃(r)² = f̃(r)² ∫₀ʳ g²/f̃²,
    ẋ = k̇ (f − ½ g² s),                 dX = k̇ (f − g² s) dt + √|k̇| g dW   (k̇ < 0),      s = ∇log p_t,

f and g at k(t). Laws of the linear equation are known by their moments or solved for on grids; velocities are held against −∂_tF/p on the line and against
means over the data in the plane (:mod:`_flow_mixed`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

import fpk
from fpk.fields import conversion
from fpk.fokker_planck.transitions import transition_density
from fpk.laws import Array
from fpk.marginals import Estimate
from fpk.schedules import Schedule, rates
from fpk.study import Evidence, Size, study
from fpk.transformations import velocity

from .._systems import DATA, scaled
from ._flow_clocks import CLOCKED, DRIVEN, STEADY, Clocked, Function, Reading, Told, even, squared, told
from ._flow_curves import STRAIGHT, VP
from ._flow_diffusion_claims import CLAIMS
from ._flow_laws import against, flowed, spread
from ._flow_mixed import Mixed
from ._matching import CLOUDS, PEAKS, Noised, named, probes, refined

__all__ = ["CLAIMS"]

#: Half of the box, and when laws are compared.
HALF, NEAR = 7.0, 0.4

# -- the law of a linear equation --------------------------------------------------------------------------------------------


def _integral(function: Function, r: float) -> float:
    u, w = np.polynomial.legendre.leggauss(24)
    return float(0.5 * r * w @ np.array([function(0.5 * r * (1 + v)) for v in u]))


def _scale(clocked: Clocked, r: float, share: float = 1.0) -> float:
    """f̃(r)."""
    return float(np.exp(share * _integral(clocked.schedule.drift_rate, r)))


def _width(clocked: Clocked, r: float, power: float = 2.0, below: float = 2.0) -> float:
    """√∫₀ʳ g²/f̃²."""
    return _integral(lambda u: clocked.schedule.diffusion(u) ** power / _scale(clocked, u) ** below, r) ** 0.5


#: α_t and σ_t from the equation and t.
PATHS: dict[str, Callable[[Clocked, float], tuple[float, float]]] = {
    "stated": lambda c, t: (_scale(c, c.clock(t)), _scale(c, c.clock(t)) * _width(c, c.clock(t))),
    "t for k(t)": lambda c, t: (_scale(c, t), _scale(c, t) * _width(c, t)),
    "½∫f": lambda c, t: (_scale(c, c.clock(t), 0.5), _scale(c, c.clock(t)) * _width(c, c.clock(t))),
    "f̃ dropped from g̃": lambda c, t: (_scale(c, c.clock(t)), _width(c, c.clock(t))),
    "f̃ for f̃² below": lambda c, t: (_scale(c, c.clock(t)), _scale(c, c.clock(t)) * _width(c, c.clock(t), 2.0, 1.0)),
    "g for g²": lambda c, t: (_scale(c, c.clock(t)), _scale(c, c.clock(t)) * _width(c, c.clock(t), 1.0)),
    "σ + 0.5 %": lambda c, t: (_scale(c, c.clock(t)), 1.005 * _scale(c, c.clock(t)) * _width(c, c.clock(t))),
}
EARLY = 0.3


@lru_cache(maxsize=4)
def _solved(clocked: Clocked, size: Size) -> tuple[fpk.Panel, Estimate]:
    """The equation itself on a grid until k(EARLY), asked on the panel of its law there."""
    end = clocked.clock(EARLY)
    panel = fpk.law_panel({end: clocked.law(EARLY)})
    return panel, spread(clocked.problem, HALF, end, size).expect(panel)


@study("S3.E10-12", variants=PATHS)
def path_of_an_equation(
    variant: Callable[[Clocked, float], tuple[float, float]], case: str, size: Size, seed: int
) -> Evidence:
    clocked = CLOCKED["drift and noise"]
    alpha, sigma = variant(clocked, EARLY)
    law = DATA.pushed(alpha * np.eye(1), np.zeros(1), sigma**2 * np.eye(1))
    panel, found = _solved(clocked, size)
    claimed = fpk.LawMarginals({panel.times[0]: law}, panel.times, source="α_t X₁ + σ_t Z")
    return Evidence(found, claimed.expect(panel), panel.names, panel=panel.digest)


@study(
    "err:S3.E10",
    variants={"inside": "-(0.2 + 0.5*t)*x", "outside": "2*x - 2*x**3", "x³ + 2 %": "-(0.2 + 0.5*t)*x - 0.02*x**3"},
)
def gaussian_only_if_linear(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """Skewness and excess kurtosis of the law from one point, on a grid."""
    problem = fpk.Problem(variant, 0.7, initial=DATA)

    def shape(level: int) -> Array:
        grid = fpk.Grid(-4.5, 4.5, cells=48 * level)
        masses = transition_density(problem, grid, start=0.4, times=[0.8]).density(0.8) * grid.widths
        off = grid.centers - masses @ grid.centers
        std = (masses @ off**2) ** 0.5
        return np.array([masses @ (off / std) ** 3, masses @ (off / std) ** 4 - 3])

    return refined(shape, size, names=("skewness", "excess kurtosis"), source="transition density on a grid")


# -- the velocity from the score ---------------------------------------------------------------------------------------------

NOW = 0.45
#: Factors of x and s in the velocity, from α, α̇, σ and σ̇.
WEIGHTS: dict[str, Callable[[float, float, float, float], tuple[float, float]]] = {
    "stated": lambda a, da, s, ds: (da / a, -(ds * s * a - da * s**2) / a),
    "score sign": lambda a, da, s, ds: (da / a, (ds * s * a - da * s**2) / a),
    "not divided by α": lambda a, da, s, ds: (da, -(ds * s * a - da * s**2)),
    "α̇σ² dropped": lambda a, da, s, ds: (da / a, -ds * s),
    "σ for σ²": lambda a, da, s, ds: (da / a, -(ds * s * a - da * s) / a),
    "½ missing": lambda a, da, s, ds: (da / a, -2 * (ds * s * a - da * s**2) / a),
    "score + 0.5 %": lambda a, da, s, ds: (da / a, -1.005 * (ds * s * a - da * s**2) / a),
}
SETUPS: dict[str, tuple[Noised, Schedule]] = {
    "straight": (PEAKS, STRAIGHT),
    "variance preserving": (PEAKS, VP),
    "clouds in the plane": (CLOUDS, VP),
}


@lru_cache(maxsize=16)
def _true_velocity(case: str, level: int) -> Array:
    return Mixed(*SETUPS[case], level).true_velocity(probes(SETUPS[case][0]), NOW)


@study("S3.E13", variants=WEIGHTS, cases=tuple(SETUPS))
def velocity_from_the_score(
    variant: Callable[[float, float, float, float], tuple[float, float]], case: str, size: Size, seed: int
) -> Evidence:
    base, schedule = SETUPS[case]
    x, (a, s) = probes(base), (schedule.alpha(1 - NOW), schedule.sigma(1 - NOW))
    slopes = rates(schedule, 1 - NOW)
    own, pull = variant(a, -slopes[0], s, -slopes[1])
    claimed = own * x + pull * Mixed(base, schedule).law(NOW).score(x)
    by_fpk = conversion("score", "velocity", schedule=schedule, t=1 - NOW)
    return refined(
        lambda level: np.append(_true_velocity(case, level) - claimed, [own + by_fpk[1], pull + by_fpk[0]]),
        size,
        names=(*named("velocity", x), "factor of x less fpk's", "factor of the score less fpk's"),
        source="velocity of the mixture less the formula",
    )


#: What is done to the score of the noising equation, to the velocity, and whether this is read at 1 − t.
TURNED: dict[str, tuple[float, float, bool]] = {
    "stated": (1.0, -1.0, True),
    "same sign": (1.0, 1.0, True),
    "t for 1 − t": (1.0, -1.0, False),
    "score sign": (-1.0, -1.0, True),
    "½ missing": (2.0, -1.0, True),
    "score dropped": (0.0, -1.0, True),
    "score + 0.5 %": (1.005, -1.0, True),
}
LATE = 0.6


@study("S1.T-70-75", variants=TURNED, cases=("two peaks", "clouds in the plane"))
def turned_probability_flow(variant: tuple[float, float, bool], case: str, size: Size, seed: int) -> Evidence:
    """The mean of conditional velocities on the variance-preserving path, less the probability flow of the noising equation, turned round."""
    factor, sign, late = variant
    base = PEAKS if case == "two peaks" else CLOUDS
    data = fpk.GaussianMixture(base.weights, base.centres, stds=base.spreads)
    x, problem = probes(base), fpk.noising(VP, data)
    score = fpk.exact(problem, times=[1.0]).score
    flow = sign * velocity(problem, scaled(score, factor))(x, 1 - LATE if late else LATE)
    return refined(
        lambda level: _averaged(case, level) - flow,
        size,
        names=named("velocity", x),
        source="mean of conditional velocities less the probability flow",
    )


@lru_cache(maxsize=16)
def _averaged(case: str, level: int) -> Array:
    base = PEAKS if case == "two peaks" else CLOUDS
    return Mixed(base, VP, level).velocity(probes(base), LATE)


# -- flows and equations with a clock ----------------------------------------------------------------------------------------

FLOWS: dict[str, Told] = {
    "stated": told(1.0, 0.0),
    "f and g at t": Reading(0.5, inside=False),
    "k̇ dropped": Reading(0.5, pace=lambda pace: -1.0),
    "|k̇| for k̇": Reading(0.5, pace=abs),
    "½ missing": told(2.0, 0.0),
    "score sign": told(-1.0, 0.0),
    "g for g²": Reading(0.5, power=1.0),
    "score + 1 %": told(1.01, 0.0),
}


@lru_cache(maxsize=64)
def _followed(flow: Told, clocked: Clocked, size: Size) -> Evidence:
    found = flowed(flow(clocked), 2 * HALF, NEAR, size)
    return against(found, clocked.law(NEAR), NEAR, source="law of the equation at k(t)")


#: Without a drift this says what the sign of the score does, and with one the other runs off every box.
ONLY = {"|k̇| for k̇": "drift and noise", "score sign": "noise alone"}


@study(
    "S3.E14-15",
    variants=FLOWS,
    cases=tuple(CLOCKED),
    applies=lambda variant, case: ONLY.get(variant, case) == case,
)
def flow_with_a_clock(variant: Told, case: str, size: Size, seed: int) -> Evidence:
    return _followed(variant, CLOCKED[case], size)


@study(
    "err:S3.E14-E15",
    variants={
        "printed": (Reading(0.5, inside=False), CLOCKED["noise alone"]),
        "corrected": (told(1.0, 0.0), CLOCKED["noise alone"]),
        "degenerate": (Reading(0.5, inside=False), Clocked(STEADY, *squared(1.6))),
    },
)
def coefficients_at_the_clock(variant: tuple[Told, Clocked], case: str, size: Size, seed: int) -> Evidence:
    return _followed(*variant, size)


def _root(pace: float, g: float) -> float:
    return abs(pace) ** 0.5 * g


def _printed(pace: float, g: float) -> float:
    return abs(pace) * g


NOISY: dict[str, Told] = {
    "stated": told(1.0, None),
    "k̇ for √|k̇|": Reading(1.0, noise=_printed),
    "½ extra on g²": Reading(0.5, noise=_root),
    "score sign": told(-1.0, None),
    "f and g at t": Reading(1.0, inside=False, noise=_root),
    "k̇ dropped from the drift": Reading(1.0, pace=lambda pace: -1.0, noise=_root),
    "noise² + 2 %": Reading(1.0, noise=lambda pace, g: 1.02**0.5 * _root(pace, g)),
    "score + 2 %": Reading(1.02, noise=_root),
}


@lru_cache(maxsize=64)
def _driven(noisy: Told, clocked: Clocked, size: Size) -> Evidence:
    found = spread(noisy(clocked), HALF, NEAR, size)
    return against(found, clocked.law(NEAR), NEAR, source="law of the equation at k(t)")


@study("S3.E16", variants=NOISY)
def equation_with_a_clock(variant: Told, case: str, size: Size, seed: int) -> Evidence:
    return _driven(variant, CLOCKED["drift and noise"], size)


@study(
    "err:S3.E16",
    variants={
        "printed": (NOISY["k̇ for √|k̇|"], CLOCKED["drift and noise"]),
        "corrected": (NOISY["stated"], CLOCKED["drift and noise"]),
        "degenerate": (NOISY["k̇ for √|k̇|"], Clocked(DRIVEN, *even(1.0, 0.0))),
    },
)
def root_of_the_pace(variant: tuple[Told, Clocked], case: str, size: Size, seed: int) -> Evidence:
    return _driven(*variant, size)


@study(
    "err:S3.E16d",
    variants={
        "inside": (told(1.0, None), even(0.6, 0.1)),
        "outside": (Reading(1.0, noise=_root), even(0.1, 0.3)),
        "k̇f": (told(1.0, None), even(0.1, 0.3)),
    },
)
def clock_has_to_fall(variant: tuple[Told, tuple[Function, Function]], case: str, size: Size, seed: int) -> Evidence:
    return _driven(variant[0], Clocked(STEADY, *variant[1]), size)


# -- two ways back -----------------------------------------------------------------------------------------------------------

#: Factors on the velocity of flow matching, and on score and noise variance of the reverse equation.
WAYS = {
    "stated": (1.0, 1.0, 1.0),
    "½ of the velocity": (0.5, 1.0, 1.0),
    "score sign": (1.0, -1.0, 1.0),
    "½ extra on the score": (1.0, 0.5, 1.0),
    "no noise": (1.0, 1.0, 0.0),
    "velocity + 1 %": (1.01, 1.0, 1.0),
    "score + 2 %": (1.0, 1.02, 1.0),
    "noise² + 2 %": (1.0, 1.0, 1.02),
}
#: From FAR, where the noising equation has been, back to its time CLOSE; half of the box.
FAR, CLOSE, WALL = 0.7, 0.2, 5.0
MIXED = Mixed(PEAKS, STRAIGHT)
PANEL = fpk.law_panel({FAR - CLOSE: MIXED.law(1 - CLOSE)})


@lru_cache(maxsize=16)
def _flowed_back(factor: float, size: Size) -> Estimate:
    def drift(x: Array, t: float) -> Array:
        return factor * MIXED.velocity(x, 1 - FAR + t)

    flow = fpk.Problem(drift, 0.0, initial=MIXED.law(1 - FAR))
    return flowed(flow, WALL, FAR - CLOSE, size).expect(PANEL)


@lru_cache(maxsize=16)
def _noised_back(factor: float, noise: float, size: Size) -> Estimate:
    forward = fpk.noising(STRAIGHT, DATA, horizon=FAR)
    law = fpk.exact(forward, times=[FAR])
    back = fpk.reverse_time(forward, scaled(law.score, factor), initial=law.law(FAR))
    if noise == 0:
        return flowed(replace(back, diffusion=0.0), WALL, FAR - CLOSE, size).expect(PANEL)
    noisier = replace(back, diffusion=lambda t: noise**0.5 * back.diffusion(np.zeros((1, 1)), t))
    return spread(noisier, WALL, FAR - CLOSE, size).expect(PANEL)


@study("S3.T-sum", variants=WAYS)
def same_path_both_ways(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """The reverse equation on a grid, held against the flow of the mean of conditional velocities."""
    factor, score, noise = variant
    first, second = _noised_back(score, noise, size), _flowed_back(factor, size)
    return Evidence(first, second, PANEL.names, panel=PANEL.digest)
