r"""Score matching: the loss against the score, against the scores given the data, and against nothing but the field itself.

    E|s − ∇log p_t|² = E|s − ∇log p_{t|0}(X_t|X_0)|² − const = E[|s|² + 2∇·s] + const.

The first is a mean over the law of X_t, the second one over pairs; fields are learned by least squares over features that can say the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.models import objectives
from fpk.models.features import Hermite
from fpk.models.fits import fit
from fpk.models.points import time_nodes
from fpk.study import Evidence, Size, study

from . import _matching_energies as energies
from ._matching import (
    FIELD_NAMES,
    FIELDS,
    LEVELS,
    PEAKS,
    POINTS,
    SCHEDULE,
    SETTINGS,
    Noised,
    named,
    probes,
    refined,
    squares,
)
from ._matching_claims import CLAIMS as CLAIMS
from ._matching_draws import bayes, draws, unconditional
from ._matching_implicit import THETAS, objectives_at, parts
from ._matching_learned import learned_score, predicted
from ._matching_losses import (
    VectorField,
    at_most_zero,
    denoising_losses,
    edged,
    explicit_losses,
    least_loss,
    redrawn_losses,
)

# -- Jensen's inequality -----------------------------------------------------------------------------------------------------

FAR: tuple[VectorField, ...] = (lambda x: -12.0 * x, *FIELDS[1:])
FAR_NAMES = ("−12x", *FIELD_NAMES[1:])
Second = Callable[[Array, Array], Array]


@lru_cache(maxsize=4)
def _weighted(case: str) -> list[tuple[Noised, float]]:
    """Noised data and their weights λ dt, λ = σ²."""
    noised = SETTINGS[case.partition(",")[0]]
    if "over time" not in case:
        return [(noised, 1.0)]
    nodes = time_nodes(0.2, 1.0, nodes=4)
    return [
        (replace(noised, alpha=SCHEDULE.alpha(t), sigma=SCHEDULE.sigma(t)), w * SCHEDULE.sigma(t) ** 2)
        for t, w in nodes
    ]


@study(
    "S0.E29",
    variants={
        "stated": (bayes, 1.0, 1.0),
        "y from the data": (unconditional, 1.0, 1.0),
        "reversed": (bayes, -1.0, 1.0),
        "half of it": (bayes, 1.0, 0.5),
        "bound − 5 %": (bayes, 1.0, 0.95),
    },
    cases=("two peaks", "two peaks, over time", "three points in the plane"),
)
def explicit_below_denoising(variant: tuple[Second, float, float], case: str, size: Size, seed: int) -> Evidence:
    second, sign, factor = variant

    def gaps(level: int) -> Array:
        total = np.zeros((2, len(FAR)))
        for noised, weight in _weighted(case):
            redrawn = redrawn_losses(noised, FAR, level, second)
            pairs = denoising_losses(noised, FAR, level)
            total += weight * (explicit_losses(noised, FAR, level) - factor * np.stack([redrawn, pairs]))
        return sign * total

    names = tuple(f"{line}, s = {name}" for line in ("y drawn anew", "pairs") for name in FAR_NAMES)
    first = at_most_zero(gaps, LEVELS[size.name], "loss against the score less that against conditional scores")
    return Evidence(first, zero_estimate(len(names)), names)


ONE_POINT = replace(POINTS, weights=np.ones(1), centres=np.array([[0.8]]), spreads=np.zeros(1))


@study(
    "err:S0.E32-line-2",
    variants={"printed": (unconditional, PEAKS), "corrected": (bayes, PEAKS), "degenerate": (unconditional, ONE_POINT)},
)
def second_line(variant: tuple[Second, Noised], case: str, size: Size, seed: int) -> Evidence:
    second, noised = variant
    return refined(
        lambda level: redrawn_losses(noised, FIELDS, level, second) - denoising_losses(noised, FIELDS, level),
        size,
        names=tuple(f"s = {name}" for name in FIELD_NAMES),
        source="second line less the third",
    )


# -- the weight --------------------------------------------------------------------------------------------------------------

SLOW = fpk.VPSchedule(1.0)
#: Weight, data and the first ε.
WEIGHTS: dict[str, tuple[Callable[[float], float], Noised, float]] = {
    "inside": (lambda t: t**0.5, PEAKS, 2.0**-9),
    "outside": (lambda t: 1.0, PEAKS, 2.0**-9),
    "degenerate": (lambda t: 1.0, POINTS, 0.5),
}


@study("err:S0.E32-34-weight", variants=WEIGHTS)
def growing_loss(variant: tuple[Callable[[float], float], Noised, float], case: str, size: Size, seed: int) -> Evidence:
    """What [ε/4, ε/2] adds to the integrated loss over what [ε/2, ε] adds, less .75; and either over what ∫λ/V adds, less 1."""
    weight, noised, first = variant

    def added(end: float, level: int) -> tuple[float, float]:
        loss, room = 0.0, 0.0
        for t, w in time_nodes(end / 2, end, nodes=2 * level):
            at = replace(noised, alpha=SLOW.alpha(t), sigma=SLOW.sigma(t))
            loss, room = loss + w * weight(t) * least_loss(at, level), room - w * weight(t) / np.expm1(-t)
        return loss, room

    def ratios(level: int) -> Array:
        parts, rooms = np.array([added(first / 2**k, level) for k in range(4)]).T
        return np.concatenate([parts[1:] / parts[:-1] - 0.75, parts / rooms - 1])

    names = tuple(
        f"{what}, ε = {first / 2**k:.4g}" for what, count in (("ratio", 3), ("of ∫λ/V", 4)) for k in range(count)
    )
    found = at_most_zero(ratios, LEVELS[size.name], "ratio of what is added, less .75, and over ∫λ/V, less 1")
    return Evidence(found, zero_estimate(7), names)


# -- the minimiser -----------------------------------------------------------------------------------------------------------

#: What is claimed in place of the score, from log p (n,) and its gradient (n, d).
SCORES: dict[str, Callable[[Array, Array], Array]] = {
    "stated": lambda log, score: score,
    "score sign": lambda log, score: -score,
    "½ extra": lambda log, score: 0.5 * score,
    "∇p": lambda log, score: np.exp(log)[:, None] * score,
    "log p": lambda log, score: log[:, None] + 0 * score,
    "score + 0.5 %": lambda log, score: 1.005 * score,
}


@study("S2.E2", variants=SCORES, cases=("two points", "three points in the plane", "changed on a set"))
def least_explicit_loss(variant: Callable[[Array, Array], Array], case: str, size: Size, seed: int) -> Evidence:
    if case == "changed on a set":
        return _changed_on_a_set(variant, size)
    noised = SETTINGS[case]
    x, law = probes(noised), noised.law

    def gaps(level: int) -> Array:
        learned = learned_score(case, level)
        y = learned.points.x
        loss = learned.points.mean(squares(variant(law.log_density(y), law.score(y)) - learned.slope))
        return np.append((learned.field - variant(law.log_density(x), law.score(x))).ravel(), loss)

    names = (*named("field", x), "loss")
    return refined(gaps, size, names=names, source="what is learned less the score, and the loss of the score")


#: p ∝ (1 + x)²(2 − x)² on (−1, 2), and the sets on which h is added to the score; the last has probability 0.
BUMP = np.polynomial.Polynomial([2.0, 1.0, -1.0]) ** 2 / 8.1
SETS, ADDED = ((-0.4, 0.1), (0.7, 2.0), (2.0, 3.0)), 0.6


def _changed_on_a_set(variant: Callable[[Array, Array], Array], size: Size) -> Evidence:
    total, slope = BUMP.integ(), BUMP.deriv()

    def gap(a: float, b: float, level: int) -> float:
        """E |s + h1_A − ∇log p|² less h² P(A)."""
        edges = np.unique([-1.0, *np.clip([a, b], -1.0, 2.0), 2.0])
        nodes = [node for c, d in pairwise(edges) for node in time_nodes(c, d, nodes=8 * level)]
        x, w = np.array(nodes).T
        claimed = variant(np.log(BUMP(x)), (2 / (1 + x) - 2 / (2 - x))[:, None])[:, 0]
        apart = claimed + ADDED * ((x > a) & (x < b)) - slope(x) / BUMP(x)
        return float((w * BUMP(x)) @ apart**2) - ADDED**2 * float(np.diff(total(np.clip([a, b], -1.0, 2.0)))[0])

    names = tuple(f"on ({a:g}, {b:g})" for a, b in SETS)
    return refined(
        lambda level: np.array([gap(a, b, level) for a, b in SETS]), size, names=names, source="loss less h²P(A)"
    )


# -- conditional means -------------------------------------------------------------------------------------------------------

#: Weights of the values of Y given X from the likelihood and the prior, and a factor on the mean.
MEANS: dict[str, tuple[Second, float]] = {
    "stated": (bayes, 1.0),
    "mean": (unconditional, 1.0),
    "without the prior": (lambda likelihood, prior: bayes(likelihood, np.ones_like(prior)), 1.0),
    "most likely": (lambda likelihood, prior: np.eye(len(prior))[np.argmax(likelihood * prior, axis=1)], 1.0),
    "E[Y|X] + 0.5 %": (bayes, 1.005),
}


@study("S2.P-BP", variants=MEANS, cases=("three states", "two points", "three points in the plane"))
def best_prediction(variant: tuple[Second, float], case: str, size: Size, seed: int) -> Evidence:
    """Y is the start of a path or a point of the data, X the end or the noised point."""
    weighting, factor = variant

    def gaps(level: int) -> Array:
        first, second, likelihood = predicted(case, level)
        data = draws(case, level).data
        claimed = factor * weighting(likelihood, data.weights) @ data.x
        return np.concatenate([first - claimed, second - claimed])

    x = np.arange(3.0)[:, None] if case == "three states" else probes(SETTINGS[case])
    names = named("closest to Y", x) + named("closest to E[Y|X]", x)
    return refined(gaps, size, names=names, source="least squares less the conditional mean")


# -- explicit and denoising --------------------------------------------------------------------------------------------------


class Target(NamedTuple):
    """A factor on the conditional score, powers of σ and α lost, and the power of |·|² in both losses."""

    factor: float = 1.0
    sigma: float = 0.0
    without_scale: bool = False
    power: float = 1.0


@study(
    "S2.E5-6",
    variants={
        "stated": Target(),
        "score sign": Target(-1.0),
        "½ extra": Target(0.5),
        "σ for σ²": Target(sigma=1.0),
        "α dropped": Target(without_scale=True),
        "unsquared": Target(power=0.5),
        "score + 0.2 %": Target(1.002),
    },
    cases=("two peaks", "two points", "three points in the plane", "features in the plane"),
    applies=lambda variant, case: (
        case != "features in the plane" or variant not in ("σ for σ²", "α dropped", "unsquared")
    ),
)
def explicit_and_denoising(variant: Target, case: str, size: Size, seed: int) -> Evidence:
    """How much larger the loss against conditional scores is: for each field, less the same for the first."""
    if case.startswith("features"):
        return _of_objectives(variant.factor, size)
    noised = SETTINGS[case]
    scale = 1.0 if variant.without_scale else noised.alpha

    def pull(x: Array, y: Array) -> Array:
        return variant.factor * (scale * y - x) / noised.sigma ** (2 - variant.sigma)

    def gaps(level: int) -> Array:
        denoising = denoising_losses(noised, FIELDS, level, pull, variant.power)
        more = denoising - explicit_losses(noised, FIELDS, level, variant.power)
        return more[1:] - more[0]

    names = tuple(f"{name} and {FIELD_NAMES[0]}" for name in FIELD_NAMES[1:])
    return refined(gaps, size, names=names, source="difference of the losses less that of another field")


def _of_objectives(factor: float, size: Size) -> Evidence:
    """The same of the objectives that are fitted, for three choices of the parameters."""

    def gaps(level: int) -> Array:
        found = objectives_at(level, factor)
        more = np.array([found.denoising(theta) - found.explicit(theta) for theta in THETAS])
        return more[1:] - more[0]

    names = ("parameters 1 and 0", "parameters 2 and 0")
    return refined(gaps, size, names=names, source="difference of the objectives less that of other parameters")


# -- energies ----------------------------------------------------------------------------------------------------------------

#: What is claimed to be the score, from ∇f (n, d), f (n,) and Z.
CLAIMED: dict[str, energies.Score] = {
    "stated": lambda slope, f, Z: -slope,
    "score sign": lambda slope, f, Z: slope,
    "½ extra": lambda slope, f, Z: -0.5 * slope,
    "divided by Z": lambda slope, f, Z: -slope / Z,
    "log Z kept": lambda slope, f, Z: -slope - np.log(Z),
    "gradient of p": lambda slope, f, Z: -slope * np.exp(-f)[:, None] / Z,
    "f + 0.5 %": lambda slope, f, Z: -1.005 * slope,
}


@study("S3.P-EBM", variants=CLAIMED, cases=("line", "plane"))
def energy_score(variant: energies.Score, case: str, size: Size, seed: int) -> Evidence:
    if case == "line":
        names = tuple(f"score at {x:g}" for x in energies.LINE)
        return refined(
            partial(energies.on_the_line, variant), size, names=names, source="slope of log p less the claim"
        )
    names = tuple(f"{g}, along {v}" for g in energies.TRIALS for v in "xy")
    return refined(partial(energies.in_the_plane, variant), size, names=names, source="the claim by parts")


# -- implicit score matching -------------------------------------------------------------------------------------------------


class Implicit(NamedTuple):
    """Factors of the divergence, of ½|s|² and of the score's mean square, and whether the law has an edge."""

    divergence: float = 1.0
    square: float = 1.0
    constant: float = 1.0
    edge: bool = False


@study(
    "S3.E-ISM",
    variants={
        "stated": Implicit(),
        "divergence sign": Implicit(-1.0),
        "divergence halved": Implicit(0.5),
        "½ on ‖s‖² dropped": Implicit(square=2.0),
        "constant dropped": Implicit(constant=0.0),
        "an edge": Implicit(edge=True),
        "divergence + 0.5 %": Implicit(1.005),
    },
    cases=("two peaks", "two clouds in the plane", "half-line", "features in the plane"),
    applies=lambda variant, case: variant != "an edge" or case == "half-line",
)
def implicit_score_matching(variant: Implicit, case: str, size: Size, seed: int) -> Evidence:
    def gaps(level: int) -> Array:
        found = parts(case, variant.edge, level)
        implicit = variant.divergence * found.divergence + variant.square * found.square
        return found.explicit - implicit - variant.constant * found.constant

    names = tuple(f"field {k}" for k in range(3)) if case.startswith("features") else FIELD_NAMES
    return refined(gaps, size, names=names, source="explicit less implicit loss")


#: Whether the boundary term is there, and the power of x in the density.
EDGES = {"printed": (False, 0), "corrected": (True, 0), "degenerate": (False, 2)}


@study("err:S3.H", variants=EDGES, cases=("half-line", "quarter of the plane"))
def boundary_term(variant: tuple[bool, int], case: str, size: Size, seed: int) -> Evidence:
    """Minimisers among polynomials of second degree, less those of the loss against the score."""
    bounded, power = variant
    d = 1 if case == "half-line" else 2
    features, x = (
        Hermite(2, mean=np.ones(d), std=1.0),
        np.array([[0.2, 0.7], [1.0, 0.1], [2.5, 1.2], [4.0, 2.2]])[:, :d],
    )

    def gaps(level: int) -> Array:
        points, score, edge, normals = edged(case, power, level)
        found = objectives.implicit(features, points)
        if bounded:
            found = found + objectives.boundary(features, edge, normals)
        truth = objectives.explicit(features, points, lambda y, t: score)
        first, second = (fit(features, j, schedule=SCHEDULE).field(x, 0.0) for j in (found, truth))
        return first - second

    return refined(gaps, size, names=named("minimiser", x), source="implicit minimiser less the explicit one")
