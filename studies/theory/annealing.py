r"""Noise levels and Langevin dynamics: noised data, scores for all levels, and chains that walk the levels down.

Chains of fpk's samplers are followed as transition matrices (:mod:`_annealed`), Langevin dynamics in continuous time on the grid: no samples anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

import fpk
from fpk.charts import Chart, Series
from fpk.fields import Field, exact_field
from fpk.fokker_planck.transitions import transition_density
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.models.features import RadialBasis, Timed
from fpk.models.fits import fit
from fpk.models.objectives import conditional, lifted, regression, total
from fpk.models.points import Pairs, law_points
from fpk.samplers import AnnealedLangevin, langevin_hop
from fpk.study import Evidence, Size, evidence, study

from .._limits import limit_evidence
from .._systems import BOX, DATA, boxed, constant_law, l1, on_grid
from ._annealed import ATOMS, PATH, WEIGHTS, Level, Masses, annealed, blurred, levels_of, settled
from ._annealed_claims import CLAIMS as CLAIMS
from ._annealed_levels import entropy, quantile_distance
from ._posteriors import hermite
from ._reversing import PEAKS

# -- noised data -------------------------------------------------------------------------------------------------------------

#: Times at which σ_t is .66, 1.22 and 1, for σ_t² = .8 t + .7 t².
TIMES, UNIT = (0.4, 1.0), float((np.sqrt(0.64 + 2.8) - 0.8) / 1.4)
START = 0.3


def spread(t: float) -> float:
    """σ_t."""
    return float(np.sqrt(0.8 * t + 0.7 * t**2))


HEATED = fpk.Problem(0.0, lambda t: np.sqrt(0.8 + 1.4 * t), initial=PEAKS)
ROOM = (-9.5, 9.5)

#: Factor on the start and standard deviation of the noise, from σ_t.
NOISINGS: dict[str, Callable[[float], tuple[float, float]]] = {
    "stated": lambda s: (1.0, s),
    "σ² for σ": lambda s: (1.0, s**2),
    "√σ for σ": lambda s: (1.0, s**0.5),
    "start shrunk": lambda s: ((1 + s**2) ** -0.5, s),
    "σ + 1 %": lambda s: (1.0, 1.01 * s),
}


def _noised(
    data: fpk.GaussianMixture, noising: Callable[[float], tuple[float, float]], t: float
) -> fpk.GaussianMixture:
    scale, std = noising(spread(t))
    return data.pushed(scale * np.eye(1), np.zeros(1), std**2 * np.eye(1))


@lru_cache(maxsize=8)
def _heat(case: str, times: tuple[float, ...], size: Size) -> fpk.Marginals:
    """The heat equation with ∫g² = σ_t², from the data or from one point."""
    if case == "from one point":
        return transition_density(HEATED, fpk.Grid(*ROOM, cells=size.cells(176)), start=START, times=times)
    return fpk.refine(lambda k: fpk.solve(HEATED, fpk.Grid(*ROOM, cells=size.cells(36) * k), times=times))


def _heated(
    noising: Callable[[float], tuple[float, float]], case: str, times: tuple[float, ...], size: Size
) -> Evidence:
    data = fpk.Gaussian(START, 1e-9) if case == "from one point" else PEAKS
    claimed = fpk.LawMarginals({t: _noised(data, noising, t) for t in times}, times, source="X₀ + σε")
    panel = fpk.law_panel({t: _noised(data, NOISINGS["stated"], t) for t in times})
    return evidence(_heat(case, times, size), claimed, panel=panel)


@study("S2.E7", variants=NOISINGS, cases=("from the data", "from one point"))
def noise_is_added(variant: Callable[[float], tuple[float, float]], case: str, size: Size, seed: int) -> Evidence:
    return _heated(variant, case, TIMES, size)


@study(
    "err:S2.E7",
    variants={"printed": ("σ² for σ", TIMES), "corrected": ("stated", TIMES), "degenerate": ("σ² for σ", (UNIT,))},
)
def noise_by_its_deviation(variant: tuple[str, tuple[float, ...]], case: str, size: Size, seed: int) -> Evidence:
    return _heated(NOISINGS[variant[0]], "from the data", variant[1], size)


# -- levels ------------------------------------------------------------------------------------------------------------------

LEVELS = 0.4 * 50.0 ** (np.arange(8) / 7)
RATIO = float(LEVELS[1] / LEVELS[0])
#: Levels, power of σ_1 and factor on it, what bounds the last entropy from below, factor on the entropy of neighbours.
REQUIREMENTS = {
    "stated": (LEVELS, 1.0, 1.0, 0.5, 1.0),
    "σ₁² for σ₁": (LEVELS, 2.0, 1.0, 0.5, 1.0),
    "mean² for ½ mean²": (LEVELS, 1.0, 1.0, 1.0, 1.0),
    "equal steps of σ": (np.linspace(0.4, 20.0, 8), 1.0, 1.0, 0.5, 1.0),
    "half of the neighbours' entropy": (LEVELS, 1.0, 1.0, 0.5, 0.5),
    "σ₁ − 3 %": (LEVELS, 1.0, 0.97, 0.5, 1.0),
}


@study("S2.T-3req", variants=REQUIREMENTS)
def three_requirements(variant: tuple[Array, float, float, float, float], case: str, size: Size, seed: int) -> Evidence:
    levels, power, factor, share, neighbours = variant
    mean, square = 2 * WEIGHTS[1] - WEIGHTS[0], 4 * WEIGHTS[1] + WEIGHTS[0]
    last, step = float(levels[-1]), neighbours * (np.log(RATIO) + 0.5 / RATIO**2 - 0.5)

    def found(nodes: int) -> Array:
        forgotten = entropy(blurred(last), fpk.Gaussian(0.0, last), nodes)
        pairs = [entropy(blurred(a), blurred(b), nodes) for a, b in pairwise(levels)]
        first = quantile_distance(float(levels[0]), nodes)
        ends = [
            first - factor * levels[0] ** power,
            forgotten - 0.5 * square / last**2,
            share * mean**2 / last**2 - forgotten,
        ]
        return np.array([*ends, *(np.array(pairs) - step)])

    fine, coarse = found(10 if size.quick else 20), found(6 if size.quick else 10)
    names = ("W₂(p₁, p) − σ₁", "KL(p_T | N) − E|X|²/2σ²", "|E X|²/2σ² − KL(p_T | N)")
    first = fpk.residual(fine, np.abs(fine - coarse), source="quadrature over two noised atoms")
    return Evidence(
        first, zero_estimate(len(fine)), names + tuple(f"KL of levels {k} and {k + 1}" for k in range(1, len(levels)))
    )


# -- scores for all levels ---------------------------------------------------------------------------------------------------

VE = fpk.VESchedule(0.3, 2.0)
AT = (0.25, 0.5, 0.75, 1.0)
EXACT = exact_field(DATA, VE)
BUMPS = RadialBasis(np.linspace(-2.5, 3.0, 6), width=1.2)
TIMED = Timed(BUMPS, degree=len(AT) - 1, start=AT[0], end=AT[-1])
PROBES = np.array([-1.5, -0.4, 0.5, 1.6])

#: What the minimiser should be, at x and t.
CANDIDATES: dict[str, Callable[[Array, float], Array]] = {
    "stated": EXACT.score,
    "score sign": lambda x, t: -EXACT.score(x, t),
    "the noise itself": EXACT.noise,
    "score of the data": lambda x, t: DATA.score(x),
    "one level too low": lambda x, t: EXACT.score(x, t - 0.15),
    "score + 1 %": lambda x, t: 1.01 * EXACT.score(x, t),
}
WEIGHTINGS: dict[str, Callable[[float], float]] = {
    "weights σ²": lambda t: VE.sigma(t) ** 2,
    "equal weights": lambda t: 1.0,
}


def _pairs(t: float, nodes: int, normals: int) -> Pairs:
    """Quadrature over data and noise: Gauss–Hermite nodes of every component, and of N(0, 1)."""
    (y, v), (z, w) = hermite(nodes), hermite(normals)
    places, mass = DATA.means + np.sqrt(DATA.covariances[:, 0]) * y, np.kron(DATA.weights, v)
    x, noise = (part.reshape(-1, 1) for part in np.meshgrid(places.ravel(), z, indexing="ij"))
    return Pairs(x, noise, np.kron(mass, w), VE, t)


@lru_cache(maxsize=4)
def _trained(case: str, nodes: int, normals: int) -> Array:
    """Values at the probes, level by level, of one model fitted to the weighted denoising loss of all levels."""
    parts = {t: conditional(BUMPS, _pairs(t, nodes, normals)) for t in AT}
    objective = total(WEIGHTINGS[case](t) * lifted(part, TIMED.clock(t)) for t, part in parts.items())
    model = fit(TIMED, objective, schedule=VE).model
    return np.concatenate([model(PROBES[:, None], t)[:, 0] for t in AT])


def _projected(candidate: Callable[[Array, float], Array], t: float, nodes: int) -> Array:
    """The combination of the bumps that is nearest to a candidate in the mean square over p_t, at the probes."""
    points = law_points(DATA.pushed(np.eye(1), np.zeros(1), VE.sigma(t) ** 2 * np.eye(1)), t=t, nodes=nodes)
    return fit(BUMPS, regression(BUMPS, points, candidate(points.x, t)), schedule=VE).model(PROBES[:, None], t)[:, 0]


@study("S2.E9", variants=CANDIDATES, cases=tuple(WEIGHTINGS))
def every_level_its_score(variant: Callable[[Array, float], Array], case: str, size: Size, seed: int) -> Evidence:
    def gap(nodes: int, normals: int) -> Array:
        return _trained(case, nodes, normals) - np.concatenate([_projected(variant, t, nodes // 3) for t in AT])

    fine, coarse = (gap(15, 72), gap(12, 60)) if size.quick else (gap(24, 96), gap(15, 72))
    names = tuple(f"model at {x:g}, σ = {VE.sigma(t):.2g}" for t in AT for x in PROBES)
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source="fitted model less the nearest one")
    return Evidence(first, zero_estimate(len(fine)), names)


# -- annealed Langevin dynamics ----------------------------------------------------------------------------------------------

#: Noise levels, largest first, steps at each, and γ = .2 σ².
LADDER = 3.0 * 12.0 ** (-np.arange(8) / 7)
INNER, SHARE = 50, 0.2


def ladder(size: Callable[[float], float]) -> tuple[Level, ...]:
    """All levels with steps of size(σ)."""
    return tuple(Level(float(s), size(float(s)), INNER) for s in LADDER)


LOWEST = float(LADDER[-1])
#: γ = .2 σ² at every level.
SAMPLER = AnnealedLangevin(ATOMS, times=[4.0, *LADDER], inner=INNER, epsilon=2 * SHARE * LOWEST**2)
#: Chains by their levels.
CHAINS: dict[str, tuple[Level, ...]] = {
    "stated": levels_of(SAMPLER),
    "γ constant and small": ladder(lambda s: SHARE * LOWEST**2),
    "γ constant and large": ladder(lambda s: 1.0),
    "γ ~ σ": ladder(lambda s: SHARE * LOWEST * s),
    "the lowest level alone": (Level(LOWEST, SHARE * LOWEST**2, INNER * len(LADDER)),),
    "score sign": levels_of(SAMPLER, score=-1.0),
    "√γ for √(2γ)": levels_of(SAMPLER, noise=0.5),
    "score + 1 %": levels_of(SAMPLER, score=1.01),
}
ARRIVED = ("|weight of the right atom − .65| − .02", "|Var/σ² − 1/(1 − γ/2σ²)| − .002", "P(far from both atoms) − .01")


@lru_cache(maxsize=32)
def _arrival(levels: tuple[Level, ...], fineness: float) -> Array:
    """How far from two noised atoms the chain ends: weights, width about the right one, and mass beyond 5σ of both."""
    law = annealed(levels, start=float(LADDER[0]), fineness=fineness)
    right, left = (1.0 * (np.abs(law.points - place) < 5 * LOWEST) for place in (2.0, -1.0))
    mass = max(law.mean_over(right), 1e-3)
    width = law.mean_over(right * (law.points - 2.0) ** 2) / (mass * LOWEST**2)
    off = abs(law.weight(LOWEST) - WEIGHTS[1]), abs(width - 1 / (1 - SHARE / 2)), 1 - law.mean_over(left + right)
    return np.array(off) - (0.02, 0.002, 0.01)


def _judged(levels: tuple[Level, ...], size: Size) -> Evidence:
    fine, coarse = (_arrival(levels, f) for f in ((0.55, 0.7) if size.quick else (0.4, 0.5)))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-6, source=f"law after {sum(v.steps for v in levels)} steps")
    return Evidence(first, zero_estimate(3), ARRIVED)


@study("S2.A2", variants=CHAINS)
def annealed_langevin(variant: tuple[Level, ...], case: str, size: Size, seed: int) -> Evidence:
    return _judged(variant, size)


@study(
    "err:S2.A2",
    variants={
        "inside": CHAINS["stated"],
        "outside": CHAINS["γ constant and large"],
        "too small": CHAINS["γ constant and small"],
    },
)
def step_for_every_level(variant: tuple[Level, ...], case: str, size: Size, seed: int) -> Evidence:
    return _judged(variant, size)


# -- plain Langevin dynamics -------------------------------------------------------------------------------------------------

BLUR = 0.8
#: Noise level, factors on score and noise variance.
PLAIN = {
    "stated": (BLUR, 1.0, 1.0),
    "½ of the score": (BLUR, 0.5, 1.0),
    "√γ for √(2γ)": (BLUR, 1.0, 0.5),
    "little noise": (0.2, 1.0, 1.0),
    "score + 1 %": (BLUR, 1.01, 1.0),
    "noise² + 1 %": (BLUR, 1.0, 1.01),
}


def _asked(law: Masses, sigma: float) -> Array:
    """Weight of the right atom, mean, and second moment over the exact variance."""
    exact = blurred(sigma)
    mean, variance = float(exact.mean[0]), float(exact.covariance[0, 0])
    return np.array([law.weight(sigma), law.mean_over(law.points), law.mean_over((law.points - mean) ** 2) / variance])


@study("S2.A1", variants=PLAIN)
def plain_langevin(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """2¹⁴ steps from N(0, 1): with noise enough weights are forgotten, with little noise they stay those of the start."""
    sigma, score, noise = variant

    def found(gamma: float) -> Array:
        level = Level(sigma, gamma * sigma**2, 1, score, noise)
        return _asked(settled(level, doublings=14, fineness=0.75 if size.quick else 0.65), sigma)

    claimed = np.array([WEIGHTS[1], float(blurred(sigma).mean[0]), 1.0])
    names = ("weight of the right atom", "E X", "E (X − m)²/v")
    return limit_evidence(found, claimed, step=0.2, names=names, source="law after 2¹⁴ Langevin steps, γ → 0")


#: Noise levels from which and to which one hops.
ABOVE, BELOW = 0.9, 0.5
#: Time h of the hop, and factors on score and noise variance.
HOPS = {
    "stated": (60.0, 1.0, 1.0),
    "h = .05": (0.05, 1.0, 1.0),
    "h = 1": (1.0, 1.0, 1.0),
    "½ of the score": (60.0, 0.5, 1.0),
    "√h for √(2h)": (60.0, 1.0, 0.5),
    "score + 1 %": (60.0, 1.01, 1.0),
}


ABOVE_LAW, BELOW_LAW = (DATA.pushed(np.eye(1), np.zeros(1), s**2 * np.eye(1)) for s in (ABOVE, BELOW))
NOISED = exact_field(DATA, PATH)


def _hop(h: float, factor: float, noise: float) -> fpk.Problem:
    """From the noisier level for a time h, run in a unit of time; less noise is more of the score for a shorter time."""
    field = Field(lambda x, t: factor / noise * NOISED(x, t), "score", PATH)
    hop = langevin_hop(field, initial=ABOVE_LAW, time=BELOW, duration=noise * h)
    loud = float(hop.diffusion(np.zeros((1, 1)), 0.0).ravel()[0])
    return boxed(lambda x, t: hop.horizon * hop.drift(x, t), hop.horizon**0.5 * loud, initial=ABOVE_LAW)


def _distances(size: Size) -> Chart:
    """L¹ distance to the next level after hops of several lengths."""
    times = 0.05 * 1200.0 ** (np.arange(12) / 11)
    solved = fpk.solve(_hop(60.0, 1.0, 1.0), fpk.Grid(*BOX, cells=size.cells(80)), times=list(times / 60))
    target = BELOW_LAW.density(solved.grid.centers[:, None])
    off = np.array([l1(solved.density(t), target, solved.grid) for t in solved.times])
    series = Series("on the grid", times, off)
    return Chart("Hops of finite length", "h", "L¹ distance to the next level", (series,), log_x=True, log_y=True)


@study("S3.P-naive", variants=HOPS)
def naive_reverse_hop(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    problem = _hop(*variant)
    claimed = constant_law(BELOW_LAW, time=1.0, source="data with less noise")
    found = evidence(on_grid(problem, size, times=[1.0], cells=20), claimed)
    return replace(found, charts=(_distances(size),)) if variant == HOPS["stated"] else found
