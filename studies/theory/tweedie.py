r"""Tweedie's formula, predicting the noise, and what implicit and denoising score matching cost.

    E[X|Y = y] = y + σ²∇log p_Y(y),        E[ε|x_t] = −σ_t∇log p_t(x_t).

Conditional means are sums and integrals by Bayes' rule, or learned; scores are slopes of log-densities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

import fpk
from fpk.fields import Field
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Evidence, Size, study

from .._limits import limit
from .._systems import DATA
from . import _loss_charts as charts
from ._loss_fits import LEVEL_SCORES, TIMES, apart, implicitly, over_levels, regressed, together
from ._loss_observed import (
    LINE,
    NOISINGS,
    SCALES,
    Scaled,
    bayes_mean,
    hessian,
    mean_density,
    noise_mean,
    observed,
    on_a_grid,
    pulled,
    wells,
)
from ._loss_passes import costs
from ._loss_tweedie_claims import CLAIMS as CLAIMS
from ._loss_variances import minimisers_apart, of_the_data, variances
from ._matching import (
    FIELD_NAMES,
    FIELDS,
    LEVELS,
    PEAKS,
    POINTS,
    SETTINGS,
    TIME,
    Noised,
    gradient,
    named,
    probes,
    refined,
)
from ._matching_implicit import pairs_of

VP, UNIT = NOISINGS
LEARNED = ("two points", "three points in the plane")

# -- Tweedie's formula -------------------------------------------------------------------------------------------------------

NOISE = 0.6
#: The path Y = X + σε, whose time is σ.
ADDED = fpk.AffineSchedule("1", "t")


class Pull(NamedTuple):
    """A factor and a power of σ on the score, and whether that is the score of the data."""

    factor: float = 1.0
    power: float = 2.0
    of_data: bool = False


@study(
    "S3.TW",
    variants={
        "stated": Pull(),
        "score sign": Pull(-1.0),
        "½ extra": Pull(0.5),
        "σ for σ²": Pull(power=1.0),
        "σ⁴ for σ²": Pull(power=4.0),
        "score of the data": Pull(of_data=True),
        "σ² + 0.5 %": Pull(1.005),
    },
    cases=(*SETTINGS, "double well"),
    applies=lambda variant, case: variant != "score of the data" or case == "double well",
)
def tweedie(variant: Pull, case: str, size: Size, seed: int) -> Evidence:
    def gaps(level: int) -> Array:
        seen = observed(case, NOISE, level)
        score = wells().score(seen.x) if variant.of_data else seen.score
        claimed = Field(lambda x, t: variant.factor * NOISE ** (variant.power - 2) * score, "score", ADDED)
        return seen.mean - claimed.denoised(seen.x, NOISE)

    x = LINE if case == "double well" else probes(SETTINGS[case])
    found = refined(gaps, size, names=named("mean", x), source="posterior mean less Tweedie's formula")
    return replace(found, charts=(charts.shrinkage(NOISE),) if (case, variant) == ("double well", Pull()) else ())


@study("err:S3.TW", variants={"printed": (2.0, NOISE), "corrected": (1.0, NOISE), "degenerate": (2.0, 1.0)})
def squared_noise(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """Noise σ^power ε and the factor σ²."""
    power, sigma = variant

    def gaps(level: int) -> Array:
        seen = observed("double well", sigma**power, level)
        return seen.mean - seen.x - sigma**2 * seen.score

    return refined(gaps, size, names=named("mean", LINE), source="posterior mean less Tweedie's formula")


# -- the score as a mean pull ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _means(case: str, level: int) -> tuple[Array, Array, Array]:
    """E[X_0|x], E[ε|x] and the score at the probes."""
    if case == "on a grid":
        means = bayes_mean(PEAKS, PEAKS.data(level), LINE)
        noise = noise_mean(mean_density(VP), PEAKS.sigma, LINE, level)
        return means, noise, on_a_grid(VP, level).score(LINE)
    noised = SETTINGS[case]
    x = probes(noised)
    data, noise = (regressed(case, kind, level).model(x, TIME) for kind in ("denoised", "noise"))
    return data, noise, gradient(noised.law.log_density, x, 0.02 / level)


@study(
    "S3.TW2",
    variants={
        "stated": Scaled(),
        "score sign": Scaled(-1.0),
        "x₀ for μ": Scaled(scale=False),
        "one power of σ more": Scaled(power=1.0),
        "one power of σ less": Scaled(power=-1.0),
        "½ extra": Scaled(0.5),
        "σ + 0.2 %": Scaled(sigma=1.002),
    },
    cases=("on a grid", *LEARNED),
)
def mean_pull(variant: Scaled, case: str, size: Size, seed: int) -> Evidence:
    noised = PEAKS if case == "on a grid" else SETTINGS[case]
    x = LINE if case == "on a grid" else probes(noised)

    def gaps(level: int) -> Array:
        data, noise, score = _means(case, level)
        return np.concatenate([score - claimed for claimed in pulled(variant, noised, x, data, noise)])

    names = named("by the mean of μ", x) + named("by the mean of ε", x)
    return refined(gaps, size, names=names, source="score less the mean pull")


#: What the score is said to be: a power of σ under −E[ε|x], and the noising.
PULLS = {"printed": (0.0, VP), "corrected": (1.0, VP), "degenerate": (0.0, UNIT)}


@study("err:S3.TW2", variants=PULLS)
def pull_without_scale(variant: tuple[float, str], case: str, size: Size, seed: int) -> Evidence:
    power, noising = variant
    sigma = SCALES[noising][1]

    def gaps(level: int) -> Array:
        noise = noise_mean(mean_density(noising), sigma, LINE, level)
        return on_a_grid(noising, level).score(LINE) + noise / sigma**power

    return refined(gaps, size, names=named("score", LINE), source="score on a grid less the mean noise")


#: The power of σ in front of the noise, and the noising.
POWERS = {"printed": (2.0, VP), "corrected": (1.0, VP), "degenerate": (2.0, UNIT)}


@study("err:S3.L1", variants=POWERS)
def noised_data(variant: tuple[float, str], case: str, size: Size, seed: int) -> Evidence:
    """Distribution functions of the SDE's law on a grid, and of μ + σ^power ε."""
    (power, noising), x = variant, LINE[:, 0]
    alpha, sigma = SCALES[noising]
    claimed = DATA.pushed(alpha * np.eye(1), np.zeros(1), sigma ** (2 * power) * np.eye(1)).cdf(x)
    names = tuple(f"P(x_t ≤ {at:g})" for at in x)
    return refined(
        lambda level: on_a_grid(noising, level).cdf(x) - claimed,  # type: ignore[attr-defined]
        size,
        names=names,
        source="law on a grid less the formula",
    )


# -- predicting the noise ----------------------------------------------------------------------------------------------------

#: E[ε|x] from the score, σ, x and α times the first data point.
PREDICTED: dict[str, Callable[[Array, float, Array, Array], Array]] = {
    "stated": lambda s, sigma, x, y: -sigma * s,
    "score sign": lambda s, sigma, x, y: sigma * s,
    "score itself": lambda s, sigma, x, y: s,
    "σ² for σ": lambda s, sigma, x, y: -(sigma**2) * s,
    "½ extra": lambda s, sigma, x, y: -0.5 * sigma * s,
    "noise itself": lambda s, sigma, x, y: (x - y) / sigma,
    "σ + 0.5 %": lambda s, sigma, x, y: -1.005 * sigma * s,
}
Predicted = Callable[[Array, float, Array, Array], Array]


@study("S3.L", variants=PREDICTED, cases=(*LEARNED, "normal equations"))
def predicting_noise(variant: Predicted, case: str, size: Size, seed: int) -> Evidence:
    noised = SETTINGS["two peaks" if case == "normal equations" else case]
    mean = noised.alpha * noised.centres[0]

    def claimed(x: Array, level: int) -> Array:
        return variant(gradient(noised.law.log_density, x, 0.02 / level), noised.sigma, x, mean)

    def learned(level: int) -> Array:
        return regressed(case, "noise", level).model(x, TIME) - claimed(x, level)

    def normal_equations(level: int) -> Array:
        pairs = pairs_of("two peaks", TIME, level)
        left = pairs.z - claimed(pairs.x, level)
        return np.array([pairs.points.mean((left * h(pairs.x)).sum(1)) for h in FIELDS])

    if case == "normal equations":
        return refined(normal_equations, size, names=FIELD_NAMES, source="mean of what is left times a function")
    x = probes(noised)
    return refined(learned, size, names=named("noise", x), source="what is learned less the claim")


@study("err:S3.L2", variants={"printed": "noise", "corrected": "score"}, cases=LEARNED)
def target_of_the_score(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """Regression on the target of a kind, taken for the score."""
    noised = SETTINGS[case]
    x = probes(noised)

    def gaps(level: int) -> Array:
        slope = gradient(noised.law.log_density, x, 0.02 / level)
        return regressed(case, variant, level).model(x, TIME) - slope

    return refined(gaps, size, names=named("field", x), source="what is learned less the score")


@study("err:S3.P-log", variants={"printed": True, "corrected": False}, cases=LEARNED)
def logical_target(variant: bool, case: str, size: Size, seed: int) -> Evidence:
    """What the regression on the noise learns, less the target of the logical loss."""
    noised = SETTINGS[case]
    x, data = probes(noised), noised.data(1)
    shares = noised.posterior(x, data)
    means = np.einsum("nm,nmd->nd", shares, (x[:, None] - noised.alpha * data.x) / noised.sigma)
    target = (shares @ data.weights)[:, None] + 0 * x if variant else means
    return refined(
        lambda level: regressed(case, "noise", level).model(x, TIME) - target,
        size,
        names=named("noise", x),
        source="what is learned less the logical target",
    )


ONE_POINT = replace(POINTS, weights=np.ones(1), centres=np.array([[0.8]]), spreads=np.zeros(1))


@study(
    "err:S3.PL",
    variants={"printed": (apart, POINTS), "corrected": (together, POINTS), "degenerate": (apart, ONE_POINT)},
)
def joint_draws(variant: tuple[Callable[..., Array], Noised], case: str, size: Size, seed: int) -> Evidence:
    learned, noised = variant
    x = probes(noised)

    def gaps(level: int) -> Array:
        return learned(noised, level) - gradient(noised.law.log_density, x, 0.02 / level)

    return refined(gaps, size, names=named("field", x), source="what is learned less the score")


# -- several levels ----------------------------------------------------------------------------------------------------------


@study("S3.N-noise", variants=LEVEL_SCORES, cases=LEARNED)
def several_levels(variant: Callable[[str, int], Array], case: str, size: Size, seed: int) -> Evidence:
    x = probes(SETTINGS[case])

    def gaps(level: int) -> Array:
        learned = over_levels(case, level).model
        return np.array([learned(x, t) for t in TIMES]) - variant(case, level)

    names = tuple(name for t in TIMES for name in named(f"t = {t:g}", x))
    return refined(gaps, size, names=names, source="what is learned less the score of each level")


# -- implicit score matching -------------------------------------------------------------------------------------------------

#: The diagonal from the Hessian of log p, shape (n, d, d), and the score.
DIAGONALS: dict[str, Callable[[Array, Array], Array]] = {
    "stated": lambda H, s: np.diagonal(H, axis1=1, axis2=2),
    "sign": lambda H, s: -np.diagonal(H, axis1=1, axis2=2),
    "½ extra": lambda H, s: 0.5 * np.diagonal(H, axis1=1, axis2=2),
    "Laplacian": lambda H, s: np.trace(H, axis1=1, axis2=2)[:, None] + 0 * s,
    "Hessian of p": lambda H, s: np.diagonal(H, axis1=1, axis2=2) + s**2,
    "off the diagonal": lambda H, s: H[:, [1, 0], [0, 1]],
    "Hessian + 0.5 %": lambda H, s: 1.005 * np.diagonal(H, axis1=1, axis2=2),
}


@study(
    "S3.P-lap",
    variants=DIAGONALS,
    cases=LEARNED,
    applies=lambda variant, case: variant not in ("Laplacian", "off the diagonal") or "plane" in case,
)
def slopes_at_the_minimum(variant: Callable[[Array, Array], Array], case: str, size: Size, seed: int) -> Evidence:
    x = probes(SETTINGS[case])

    def gaps(level: int) -> Array:
        jacobian = implicitly(case, level).model.jacobian(x, TIME)
        return np.diagonal(jacobian, axis1=1, axis2=2) - variant(*hessian(case, level))

    return refined(gaps, size, names=named("slope", x), source="slopes of what is learned less the claim")


DIMENSIONS = (2, 5, 9)
#: Passes from the dimension.
PASSES: dict[str, Callable[[int], float]] = {
    "stated": lambda d: d,
    "one": lambda d: 1,
    "one less": lambda d: d - 1,
    "half of them": lambda d: d / 2,
    "squared": lambda d: d**2,
    "d + 5 %": lambda d: 1.05 * d,
}


@study("S3.T-cost", variants=PASSES)
def backward_passes(variant: Callable[[int], float], case: str, size: Size, seed: int) -> Evidence:
    def gaps(level: int) -> Array:
        counted = np.array([costs(d, level) for d in DIMENSIONS])
        return counted - np.array([[variant(d), variant(d), 0.0] for d in DIMENSIONS])

    names = tuple(f"{what}, d = {d}" for d in DIMENSIONS for what in ("passes", "multiplications", "divergence"))
    return refined(gaps, size, names=names, source="counted less claimed")


# -- implicit or denoising ---------------------------------------------------------------------------------------------------


class Growth(NamedTuple):
    """Factor and power of σ of the variance of denoising; the same for both, slopes in the implicit one, and the sign of the target."""

    factor: float = 1.0
    power: float = 2.0
    both: bool = False
    slope: bool = True
    sign: float = 1.0


#: The first σ² of a limit, and where minimisers are compared.
FIRST, NOISES = 0.008, (0.1, 0.5)


@study(
    "S3.T-HvT",
    variants={
        "stated": Growth(),
        "bounded variance": Growth(power=0.0),
        "1/σ for 1/σ²": Growth(power=1.0),
        "½ extra": Growth(0.5),
        "the same for both": Growth(both=True),
        "slope dropped": Growth(slope=False),
        "target sign": Growth(sign=-1.0),
        "E φ² + 0.5 %": Growth(1.005),
    },
)
def implicit_or_denoising(variant: Growth, case: str, size: Size, seed: int) -> Evidence:
    """Limits of 1/(σ² Var) for denoising and of Var for the implicit gradient, and how far apart the minimisers are."""
    level = LEVELS[size.name][1]
    squares, implicit = of_the_data(float(variant.slope), level)

    def scaled(h: float) -> Array:
        denoising, other = variances(h, level)
        return np.concatenate([1 / (h ** (variant.power / 2) * denoising), (h if variant.both else 1.0) * other])

    found, bound, coarser = limit([scaled(FIRST / 2**k) for k in range(4)])
    claimed = np.concatenate([1 / (variant.factor * squares), squares if variant.both else implicit])
    between = np.concatenate([minimisers_apart(noise, variant.sign, level) for noise in NOISES])
    first = fpk.residual(
        np.concatenate([found - claimed, between]),
        np.concatenate([bound, np.full(len(between), 1e-9)]),
        coarser=np.concatenate([coarser - claimed, between]),
        source="limits of variances, and differences of minimisers",
    )
    variance = tuple(f"variance, {what}, φ{k}" for what in ("denoising", "implicit") for k in range(3))
    names = variance + tuple(f"minimiser, σ = {noise}, φ{k}" for noise in NOISES for k in range(3))
    return Evidence(
        first, zero_estimate(len(names)), names, charts=(charts.spread(level),) if variant == Growth() else ()
    )
