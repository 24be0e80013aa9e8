r"""The losses of score matching: gradients, least values, what they grow like over time, and what a score says of its law.

E|s − ∇log p_t|² = E|s − ∇log p_{t|0}|² + I(p_t) − d/σ²,        I(p_t) = E|∇log p_t|².
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.models.points import time_nodes
from fpk.study import Evidence, Size, order_evidence, study

from .._limits import limit_evidence
from . import _loss_charts as charts
from . import _loss_laws as laws
from ._loss_bregman import FITTED, Divergence, bregman, distance, gradient_in, logical, of_a_fit, practical
from ._loss_claims import CLAIMS as CLAIMS
from ._loss_data import SETS, denoising_loss, information_of, score_square, transport
from ._loss_explicit import (
    CONSTANTS,
    Constant,
    difference,
    difference_of_objectives,
    met_by_objectives,
    met_by_the_score,
)
from ._loss_times import BOUNDED, GROWING, LEAST, LOSSES, WEIGHTS, Least, least_applies, loss_at
from ._matching import (
    FIELD_NAMES,
    FIELDS,
    LEVELS,
    PEAKS,
    POINTS,
    SCHEDULE,
    SETTINGS,
    Noised,
    refined,
)
from ._matching_losses import at_most_zero

# -- gradients ---------------------------------------------------------------------------------------------------------------

#: Parameters of the field at which gradients are compared.
THETA = np.array([0.3, 0.5, -0.4])


class Compared(NamedTuple):
    """The divergence made of that of a potential, a factor on the noise, and whether means are over the posterior."""

    loss: Callable[[Divergence], Divergence] = lambda D: D
    factor: float = 1.0
    posterior: bool = True


GRADIENTS = {
    "stated": Compared(),
    "unsquared norm": Compared(lambda D: distance(1.0)),
    "cubed norm": Compared(lambda D: distance(3.0)),
    "arguments exchanged": Compared(lambda D: lambda y, s: D(s, y)),
    "prior for posterior": Compared(posterior=False),
    "target + 0.5 %": Compared(factor=1.005),
}


#: Losses of pairs by :mod:`fpk.models.bregman`.
FIT = "a loss that is fitted"


def _compared(variant: str, case: str) -> bool:
    """The square is symmetric; on the line the norm has a kink, which the plane goes around; fitted losses have the target first."""
    if case.startswith(FIT):
        return variant in ("stated", "prior for posterior", "target + 0.5 %")
    return {"arguments exchanged": not case.endswith("square"), "unsquared norm": "plane" in case}.get(variant, True)


@study(
    "S3.G",
    variants=GRADIENTS,
    cases=(
        "two peaks, square",
        "two peaks, exponential",
        "three points in the plane, exponential",
        "three points in the plane, fourth power",
        *(f"{FIT}, {potential}" for potential in FITTED),
    ),
    applies=_compared,
)
def equal_gradients(variant: Compared, case: str, size: Size, seed: int) -> Evidence:
    setting, potential = case.split(", ")
    if setting == FIT:
        names = tuple(f"∂/∂θ{k}, component {i}" for k in range(3) for i in range(2))
        found = partial(of_a_fit, potential, variant.factor, variant.posterior)
        return refined(
            found, size, names=names, source="gradient of the logical loss less that of the loss that is fitted"
        )
    noised, loss = SETTINGS[setting], variant.loss(bregman(potential))

    def gaps(level: int) -> Array:
        first = gradient_in(lambda th: logical(noised, level, loss, th, variant.posterior), THETA)
        return first - gradient_in(lambda th: practical(noised, level, loss, th, variant.factor), THETA)

    names = tuple(f"∂/∂θ{k}" for k in range(3))
    return refined(gaps, size, names=names, source="gradient of the logical less that of the practical loss")


ONE_POINT = replace(POINTS, weights=np.ones(1), centres=np.array([[0.8]]), spreads=np.zeros(1))
#: Parameters of a field that is nowhere the noise of the single point.
APART = np.array([1 / POINTS.sigma, 0.4, 1.5])


@study("err:S3.L3-G", variants={"printed": (1.0, PEAKS), "corrected": (2.0, PEAKS), "degenerate": (1.0, ONE_POINT)})
def norm_for_its_square(variant: tuple[float, Noised], case: str, size: Size, seed: int) -> Evidence:
    power, noised = variant

    def gaps(level: int) -> Array:
        first, second = (
            gradient_in(partial(loss, noised, level, distance(power)), APART) for loss in (logical, practical)
        )
        return first - second

    names = tuple(f"∂/∂θ{k}" for k in range(3))
    return refined(gaps, size, names=names, source="gradient of the logical less that of the practical loss")


#: The objectives that are fitted, for features in the plane.
FEATURES = "features in the plane"

# -- explicit and denoising --------------------------------------------------------------------------------------------------


@study(
    "S4.E86-88",
    variants=CONSTANTS,
    cases=("two peaks", "two points", "three points in the plane", FEATURES),
    applies=lambda variant, case: variant != "1 for d" or "plane" in case,
)
def explicit_from_denoising(variant: Constant, case: str, size: Size, seed: int) -> Evidence:
    if case == FEATURES:
        names = tuple(f"parameters {k}" for k in range(3))
        return refined(
            partial(difference_of_objectives, variant), size, names=names, source="difference of the objectives"
        )
    return refined(
        partial(difference, SETTINGS[case], variant), size, names=FIELD_NAMES, source="difference of the losses"
    )


@study(
    "err:S4.E88",
    variants={
        "printed": (CONSTANTS["no constant"], PEAKS),
        "corrected": (CONSTANTS["stated"], PEAKS),
        "degenerate": (CONSTANTS["no constant"], ONE_POINT),
    },
)
def one_symbol_for_two(variant: tuple[Constant, Noised], case: str, size: Size, seed: int) -> Evidence:
    constant, noised = variant
    return refined(partial(difference, noised, constant), size, names=FIELD_NAMES, source="difference of the losses")


class Cross(NamedTuple):
    """A factor on the conditional score, and what is changed in it."""

    factor: float = 1.0
    scaled: bool = True
    at_data: bool = False
    independent: bool = False


@study(
    "S4.E87",
    variants={
        "stated": Cross(),
        "score sign": Cross(-1.0),
        "½ extra": Cross(0.5),
        "2 extra": Cross(2.0),
        "field at the data": Cross(at_data=True),
        "α dropped": Cross(scaled=False),
        "independent draws": Cross(independent=True),
        "score + 0.2 %": Cross(1.002),
    },
    cases=("two peaks", "two points", "three points in the plane", FEATURES),
    applies=lambda variant, case: (
        case != FEATURES or variant not in ("field at the data", "α dropped", "independent draws")
    ),
)
def cross_term(variant: Cross, case: str, size: Size, seed: int) -> Evidence:
    if case == FEATURES:
        names = tuple(f"{what}, parameters {k}" for what in ("score", "divergence") for k in range(3))
        return refined(
            partial(met_by_objectives, variant.factor), size, names=names, source="linear parts of the objectives"
        )
    noised = SETTINGS[case]

    def gaps(level: int) -> Array:
        pairs = noised.pairs(level)
        data = noised.weights @ noised.centres if variant.independent else pairs.x0
        pull = ((noised.alpha if variant.scaled else 1.0) * data - pairs.x) / noised.sigma**2
        at = pairs.x0 if variant.at_data else pairs.x
        return met_by_the_score(noised, level) - [variant.factor * pairs.mean((s(at) * pull).sum(1)) for s in FIELDS]

    names = tuple(f"{what}, s = {name}" for what in ("score", "divergence") for name in FIELD_NAMES)
    return refined(gaps, size, names=names, source="mean of s with the score, and by parts, less that over pairs")


# -- over time ---------------------------------------------------------------------------------------------------------------


@study(
    "S4.E89",
    variants=LEAST,
    cases=(*(f"loss: {name}" for name in LOSSES), *(f"growth: {name}" for name in (*GROWING, BOUNDED))),
    applies=least_applies,
)
def loss_over_time(variant: Least, case: str, size: Size, seed: int) -> Evidence:
    what, _, name = case.partition(": ")
    return _losses(variant, name, size) if what == "loss" else _growth(variant, name, LEVELS[size.name][1])


def _losses(variant: Least, name: str, size: Size) -> Evidence:
    """∫λ times the least loss, less the claim, over [.2, 1]."""
    _, d = SETS[name].dimensions

    def gaps(level: int) -> Array:
        total = np.zeros(len(WEIGHTS))
        for t, w in time_nodes(0.2, 1.0, nodes=4):
            alpha, sigma = SCHEDULE.alpha(t), SCHEDULE.sigma(t)
            info = variant.information * information_of(name, alpha, sigma, level)
            claimed = variant.factor * (variant.noise * d / sigma**variant.power - info)
            total += [w * weight(t, sigma) * (loss_at(name, t, level) - claimed) for weight in WEIGHTS.values()]
        return total

    names = tuple(f"λ = {name}" for name in WEIGHTS)
    return refined(gaps, size, names=names, source="integral of the least loss less that of the claim")


def _growth(variant: Least, name: str, level: int) -> Evidence:
    """The limit of ε times the loss at ε, less the claim."""
    found = limit_evidence(
        lambda h: np.array([h * loss_at(name, h, level)]),
        np.array([variant.growth(name)]),
        step=0.004,
        names=("growth with ln 1/ε",),
        source="rate of growth of the loss",
    )
    return replace(found, charts=(charts.growth(level),) if (name, variant) == ("two peaks", Least()) else ())


SLOW = fpk.VPSchedule(1.0)
#: The power of t that is λ, and a bounded field or None, by case.
AVERAGED = {
    "inside": {"normal data": (0.5, None), "two points": (0.0, None)},
    "outside": {"normal data": (0.0, None), "two points": (0.0, FIELDS[1])},
}


@study("err:S2.L", variants=AVERAGED, cases=tuple(AVERAGED["inside"]))
def finite_loss(
    variant: dict[str, tuple[float, Callable[[Array], Array] | None]], case: str, size: Size, seed: int
) -> Evidence:
    """The limit of ε λ(ε) times the loss at ε = h², as h → 0."""
    (power, field), level = variant[case], LEVELS[size.name][1]

    def added(h: float) -> Array:
        loss = denoising_loss(SETS[case], SLOW.alpha(h**2), SLOW.sigma(h**2), level, field)
        return np.array([h ** (2 + 2 * power) * loss])

    names = ("growth with ln 1/ε",)
    return limit_evidence(added, np.zeros(1), step=0.1, names=names, source="rate of growth of the loss")


@study("err:S4.E89", variants={"inside": True, "outside": False})
def without_a_weight(variant: bool, case: str, size: Size, seed: int) -> Evidence:
    """What [ε/2, ε] adds under dX = √2 dW, ε = .02 to .0006."""
    level, ends = LEVELS[size.name][1], 0.02 / 2.0 ** np.arange(6)

    def added(end: float) -> float:
        nodes = [(w, (2 * t) ** 0.5) for t, w in time_nodes(end / 2, end, nodes=4)]
        losses = [denoising_loss(SETS["two peaks"], 1.0, sigma, level) for _, sigma in nodes]
        return sum(w * (s**2 if variant else 1.0) * loss for (w, s), loss in zip(nodes, losses, strict=True))

    errors = [added(float(end)) for end in ends]
    return order_evidence(errors, ends, 1, floor=1e-9, source="what the loss gains towards t = 0")


# -- laws and scores ---------------------------------------------------------------------------------------------------------


class Rebuilt(NamedTuple):
    """A factor on the score, whether the law is normalised, and whether there is an exponential."""

    factor: float = 1.0
    normalised: bool = True
    exponential: bool = True


@study(
    "S4.T86",
    variants={
        "stated": Rebuilt(),
        "score sign": Rebuilt(-1.0),
        "½ extra": Rebuilt(0.5),
        "not normalised": Rebuilt(normalised=False),
        "exponential dropped": Rebuilt(exponential=False),
        "score + 0.5 %": Rebuilt(1.005),
    },
    cases=tuple(laws.REACH),
)
def law_from_score(variant: Rebuilt, case: str, size: Size, seed: int) -> Evidence:
    def rebuilt(total: Array, level: int) -> Array:
        spacing, at = 0.5 / level, laws.places_on(case, level)[0]
        density = np.exp(variant.factor * total) if variant.exponential else 1 + total
        mass = density.sum() * spacing**total.ndim if variant.normalised else 1.0
        return np.take(density if total.ndim == 1 else np.diagonal(density), at) / mass

    def gaps(level: int) -> Array:
        truth = laws.places_on(case, level)[1]
        return np.concatenate([rebuilt(s, level) - truth for s in laws.integrated_scores(case, level)])

    paths = ("",) if case != "three points in the plane" else (", x first", ", y first")
    names = tuple(f"density at {x:g}{path}" for path in paths for x in laws.PLACES)
    return refined(gaps, size, names=names, source="law from the score less the law")


@study("err:S4.T86", variants={"inside": laws.CONNECTED, "outside": laws.ISLANDS})
def nearly_equal_scores(variant: dict[str, laws.Two], case: str, size: Size, seed: int) -> Evidence:
    def excess(level: int) -> Array:
        found = [(laws.distances(two, level), two.curvature) for two in variant.values()]
        return np.array([tv - 0.5 * (fisher / rho) ** 0.5 for (tv, fisher), rho in found])

    first = at_most_zero(excess, LEVELS[size.name], "total variation less its bound")
    drawn = (charts.islands(),) if variant is laws.ISLANDS else ()
    return Evidence(first, zero_estimate(len(variant)), tuple(variant), charts=drawn)


# -- the noise level ---------------------------------------------------------------------------------------------------------


class Traded(NamedTuple):
    """Powers of σ for the score and for the distance, whether the limit is d, and a factor."""

    score: float = 2.0
    distance: float = 2.0
    space_alone: bool = False
    factor: float = 1.0


def _traded_applies(variant: str, case: str) -> bool:
    k, d = SETS[case].dimensions
    return variant == "stated" or (k > 0 if variant == "d for d − k" else k < d)


@study(
    "S2.T-tradeoff",
    variants={
        "stated": Traded(),
        "σ⁴ for σ²": Traded(score=4.0),
        "W₂² ~ σ": Traded(distance=1.0),
        "d for d − k": Traded(space_alone=True),
        "½ extra": Traded(factor=0.5),
        "d − k + 0.5 %": Traded(factor=1.005),
    },
    cases=("two points", "segment in the plane", "cloud in the plane"),
    applies=_traded_applies,
)
def noise_level(variant: Traded, case: str, size: Size, seed: int) -> Evidence:
    """Limits of σ²E|score|² and of W₂²/σ² as h = σ² → 0."""
    data, level = SETS[case], LEVELS[size.name][1]
    k, d = data.dimensions

    def scaled(h: float) -> Array:
        score, moved = score_square(data, h**0.5, level), transport(data, h**0.5, level)
        return np.array([h ** (variant.score / 2) * score, moved / h ** (variant.distance / 2)])

    claimed = np.full(2, variant.factor * (d if variant.space_alone else d - k))
    names = ("σ² E|score|²", "W₂²/σ²")
    found = limit_evidence(scaled, claimed, step=0.01, names=names, source="limit as σ → 0")
    return replace(found, charts=(charts.tradeoff(case, level),) if variant == Traded() else ())
