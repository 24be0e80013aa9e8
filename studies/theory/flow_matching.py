r"""Flow matching: flow maps and their densities, mixtures of conditional paths, the velocity that carries them, and how it is learned.

    p_t(x) = ∫ p_t(x|x₁) q(x₁) dx₁,      u_t(x) = E[u_t(x|X₁) | X_t = x],      ∂_t p + ∇·(p u) = 0.

The clock runs from noise to data. Maps are followed by fpk and held against the continuity equation on a lattice, where nothing moves
(:mod:`_flow_transport`); velocities are means of conditional ones (:mod:`_flow_mixed`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

import fpk
from fpk.fokker_planck.characteristics import pushed
from fpk.laws import Array, central_derivative
from fpk.models import objectives
from fpk.models.bounds import total_variation
from fpk.models.features import Hermite
from fpk.models.fits import fit
from fpk.models.points import Pairs, Points
from fpk.samplers.coupling import monotone_map
from fpk.schedules import Schedule
from fpk.study import Evidence, Size, study

from .._systems import DATA
from ._flow_curves import STRAIGHT, VE, VP, WAVES, nodes_of, on_two_meshes, wave_names
from ._flow_laws import against, flowed
from ._flow_learning import GRADIENTS, Drawn, conditional, gradient_of, marginal, mass_at_two, one_point
from ._flow_matching_claims import CLAIMS, REMARKS
from ._flow_mixed import Mixed, Weighting
from ._flow_transport import END, TRANSPORTS, mean_names, transported
from ._matching import LATTICE, PEAKS, PLANE, POINTS, SETTINGS, Noised, Shares, named, normal_nodes, probes, refined
from ._matching_draws import bayes, unconditional
from ._rates import waves

__all__ = ["CLAIMS", "REMARKS"]

# -- the flow map and its density --------------------------------------------------------------------------------------------

#: What points follow instead of v(x, t); where they start; the weights of v·∇p and p ∇·v in the equation.
Moving = tuple[Callable[[fpk.Problem], Callable[[Array, float], Array]], float, tuple[float, float]]
MOVING: dict[str, Moving] = {
    "stated": (lambda p: p.drift, 1.0, (1.0, 1.0)),
    "sign": (lambda p: lambda x, t: -p.drift(x, t), 1.0, (1.0, 1.0)),
    "v(x, 0)": (lambda p: lambda x, t: p.drift(x, 0.0), 1.0, (1.0, 1.0)),
    "φ₀ = 0.9 id": (lambda p: p.drift, 0.9, (1.0, 1.0)),
    "v outside": (lambda p: p.drift, 1.0, (1.0, 0.0)),
    "∇·v alone": (lambda p: p.drift, 1.0, (0.0, 1.0)),
    "v + 0.5 %": (lambda p: lambda x, t: 1.005 * p.drift(x, t), 1.0, (1.0, 1.0)),
}


@study(
    "S0.E42-44",
    variants=MOVING,
    cases=tuple(TRANSPORTS),
    applies=lambda variant, case: case == "line" or variant not in ("v outside", "∇·v alone"),
)
def flow_map(variant: Moving, case: str, size: Size, seed: int) -> Evidence:
    """Means over nodes that the map has moved, less those under the solution of the continuity equation."""
    slip, stretch, weights = variant
    law, tests = TRANSPORTS[case].problem.initial, waves(TRANSPORTS[case].waves)
    flow = fpk.Problem(slip(TRANSPORTS[case].problem), 0.0, initial=law)

    def gaps(level: int) -> Array:
        nodes, masses = nodes_of(law, level)
        moved = pushed(flow, stretch * nodes, (END,), 12 * level)[0]
        return tests(moved) @ masses - transported(case, *weights, level)

    names = mean_names(case)
    return refined(gaps, size, names=names, source="nodes that follow v less the continuity equation on a lattice")


# -- mixtures ----------------------------------------------------------------------------------------------------------------

#: Density of the mixture at y, from the data (points, weights), the factor of x₁ and σ.
Mixture = Callable[[Array, Array, Array, float, float], Array]


def _kernels(y: Array, x1: Array, alpha: float, sigma: float) -> Array:
    """N(y; αx₁, σ² I), shape (n, m)."""
    law = fpk.Gaussian(np.zeros(y.shape[1]), sigma)
    return np.stack([law.density(y - alpha * centre) for centre in x1], axis=1)


MIXTURES: dict[str, Mixture] = {
    "stated": lambda y, x1, q, a, s: _kernels(y, x1, a, s) @ q,
    "q dropped": lambda y, x1, q, a, s: _kernels(y, x1, a, s).mean(1),
    "μ = x₁": lambda y, x1, q, a, s: _kernels(y, x1, 1.0, s) @ q,
    "σ² for σ": lambda y, x1, q, a, s: _kernels(y, x1, a, s**2) @ q,
    "kernel of the mean x₁": lambda y, x1, q, a, s: _kernels(y, (q @ x1)[None], a, s)[:, 0],
    "σ + 0.5 %": lambda y, x1, q, a, s: _kernels(y, x1, a, 1.005 * s) @ q,
}
MIXED: dict[str, tuple[Noised, Schedule]] = {
    "two points, straight": (POINTS, STRAIGHT),
    "two points, VP": (POINTS, VP),
    "three points in the plane": (PLANE, STRAIGHT),
}
MIDDLE = 0.55


@study("S3.E6", variants=MIXTURES, cases=tuple(MIXED))
def mixture_of_paths(variant: Mixture, case: str, size: Size, seed: int) -> Evidence:
    """Means over data and noise, less those under the density on a lattice."""
    base, schedule = MIXED[case]
    tests = waves(WAVES[base.dimension])

    def gaps(level: int) -> Array:
        mixed = Mixed(base, schedule, level)
        pairs, noised = mixed.pairs(MIDDLE), mixed.at(MIDDLE)
        y, volume = noised.lattice(level).x, (LATTICE[base.dimension][1] / level) ** base.dimension
        density = variant(y, base.centres, base.weights, noised.alpha, noised.sigma)
        return tests(pairs.x) @ pairs.weights - tests(y) @ density * volume

    names = wave_names(base.dimension)
    return refined(gaps, size, names=names, source=f"means over data and noise less the mixture, {case}")


# -- the velocity of the mixture ---------------------------------------------------------------------------------------------

#: How conditional velocities are averaged, a factor, and the clock.
AVERAGED: dict[str, tuple[Weighting, float, bool]] = {
    "stated": (bayes, 1.0, False),
    "prior for posterior": (unconditional, 1.0, False),
    "likelihood alone": (lambda p, q: bayes(p, np.ones_like(q)), 1.0, False),
    "root of the likelihood": (lambda p, q: bayes(p**0.5, q), 1.0, False),
    "½ extra": (bayes, 0.5, False),
    "clock reversed": (bayes, 1.0, True),
    "velocity + 0.5 %": (bayes, 1.005, False),
}
#: Data, schedule, half the box, and when the law is looked at.
CARRIED: dict[str, tuple[Noised, Schedule, float, float]] = {
    "two peaks, straight": (PEAKS, STRAIGHT, 6.0, 0.7),
    "two peaks, VP": (PEAKS, VP, 6.0, 0.7),
    "two peaks, VE": (PEAKS, VE, 15.0, 0.7),
    "two points, straight": (POINTS, STRAIGHT, 6.0, 0.8),
}


#: Three points in the plane, and when the law is looked at: by points that are moved.
SPREAD, STOPPED = Mixed(PLANE, STRAIGHT), 0.5


@study(
    "S0.T5",
    variants=AVERAGED,
    cases=(*CARRIED, "three points in the plane"),
    applies=lambda variant, case: variant != "likelihood alone" or "points" in case,
)
def velocity_of_the_mixture(variant: tuple[Weighting, float, bool], case: str, size: Size, seed: int) -> Evidence:
    weighting, factor, reversed_ = variant
    base, schedule, half, end = CARRIED.get(case, (PLANE, STRAIGHT, 0.0, STOPPED))
    mixed = Mixed(base, schedule)

    def drift(x: Array, t: float) -> Array:
        return factor * mixed.velocity(x, end - t if reversed_ else t, weighting)

    flow = fpk.Problem(drift, 0.0, initial=mixed.law(0.0))
    if case in CARRIED:
        return against(flowed(flow, half, end, size), mixed.law(end), end, source="the mixture of conditional paths")
    return _moved_in_the_plane(flow, size)


def _moved_in_the_plane(flow: fpk.Problem, size: Size) -> Evidence:
    """Means over nodes of N(0, I) that follow the flow less those of the mixture, from its characteristic function."""
    tests, noised, k = waves(WAVES[2]), SPREAD.at(STOPPED), np.array(WAVES[2])
    faded = np.exp(-0.5 * noised.sigma**2 * (k**2).sum(1))
    exact = np.tile(faded, 2) * (tests(noised.alpha * noised.centres) @ noised.weights)

    def gaps(level: int) -> Array:
        z, w = normal_nodes(level, 2, 1.4)
        return tests(pushed(flow, z, (STOPPED,), 6 * level)[0]) @ w - exact

    return refined(gaps, size, names=wave_names(2), source="nodes that follow the velocity less the mixture")


# -- gradients ---------------------------------------------------------------------------------------------------------------

GRADIENT_NAMES = tuple(f"∂θ{k}, {which} parameters" for which in ("first", "second") for k in range(5))


@lru_cache(maxsize=8)
def _marginal_gradient(base: Noised, level: int) -> Array:
    return gradient_of(marginal, Mixed(base, VP, level))


def _gradients(draw: Callable[[Mixed, float], Drawn], base: Noised, size: Size) -> Evidence:
    """∇ of the loss on conditional velocities less ∇ of that on the velocity of the mixture."""

    def gaps(level: int) -> Array:
        return gradient_of(draw, Mixed(base, VP, level)) - _marginal_gradient(base, level)

    return refined(gaps, size, names=GRADIENT_NAMES, source="gradients of two losses")


@study("S1.E76-78", variants=GRADIENTS, cases=("two points", "three points in the plane"))
def equal_gradients(variant: Callable[[Mixed, float], Drawn], case: str, size: Size, seed: int) -> Evidence:
    return _gradients(variant, SETTINGS[case], size)


ONE = replace(POINTS, weights=np.ones(1), centres=np.array([[2.0]]), spreads=np.zeros(1))


@study(
    "err:S1.E77",
    variants={"printed": (POINTS, one_point), "corrected": (POINTS, conditional), "degenerate": (ONE, one_point)},
)
def mean_over_the_data(
    variant: tuple[Noised, Callable[[Mixed, float], Drawn]], case: str, size: Size, seed: int
) -> Evidence:
    base, draw = variant
    return _gradients(draw, base, size)


# -- regression --------------------------------------------------------------------------------------------------------------

NOW = 0.45
#: Where the field is read, and its target.
Learner = tuple[Callable[[Pairs], Array], Callable[[Pairs], Array]]


def _between(pairs: Pairs) -> Array:
    """t x₁ + (1 − t) x₀."""
    return pairs.x


def _chord(pairs: Pairs) -> Array:
    """x₁ − x₀, as fpk's target with its clock turned round."""
    return -pairs.target("velocity")


def _bracket_moved(pairs: Pairs) -> Array:
    """(t x₁ + (1 − t)) x₀."""
    return (NOW * pairs.x0 + 1 - NOW) * pairs.z


LEARNERS: dict[str, Learner] = {
    "stated": (_between, _chord),
    "target x₀ − x₁": (_between, lambda pairs: pairs.target("velocity")),
    "target x₁": (_between, lambda pairs: pairs.x0),
    "target −x₀": (_between, lambda pairs: -pairs.z),
    "ends exchanged": (lambda pairs: (1 - NOW) * pairs.x0 + NOW * pairs.z, _chord),
    "target + 0.5 %": (_between, lambda pairs: 1.005 * _chord(pairs)),
}


def _learned(learner: Learner, case: str, size: Size) -> Evidence:
    """Least squares over x and the probabilities of the data points, less the velocity of the mixture."""
    inputs, target = learner
    x = probes(SETTINGS[case])

    def gaps(level: int) -> Array:
        mixed = Mixed(SETTINGS[case], STRAIGHT, level)
        pairs, features = mixed.pairs(NOW), Hermite(1, mean=np.zeros(x.shape[1])) + Shares(mixed.at(NOW))
        objective = objectives.regression(features, Points(inputs(pairs), pairs.weights), target(pairs))
        found = fit(features, objective, kind="velocity", schedule=STRAIGHT)
        return found.model(x, 0.0) - mixed.true_velocity(x, NOW)

    return refined(gaps, size, names=named("velocity", x), source="regression less the velocity of the mixture")


@study("S3.L-CFM", variants=LEARNERS, cases=("two points", "three points in the plane"))
def regression_on_chords(variant: Learner, case: str, size: Size, seed: int) -> Evidence:
    return _learned(variant, case, size)


@study("err:S3.L-CFM-a", variants={"printed": (_bracket_moved, _chord), "corrected": (_between, _chord)})
def misplaced_bracket(variant: Learner, case: str, size: Size, seed: int) -> Evidence:
    return _learned(variant, "two points", size)


@study("err:S3.L-CFM-b", variants={"printed": (False, 0.65), "corrected": (True, 0.65), "degenerate": (False, 0.5)})
def norm_not_squared(variant: tuple[bool, float], case: str, size: Size, seed: int) -> Evidence:
    """The mass that the flow of the least loss brings to the right data point, less the mass of that."""
    squared, weight = variant
    return on_two_meshes(
        lambda steps: np.array([mass_at_two(squared, weight, 2 * steps) - weight]),
        size,
        names=("mass near 2",),
        source="flow of the field with the least loss",
    )


# -- the objective that is hard ----------------------------------------------------------------------------------------------

NORMAL = fpk.Gaussian(0.0, 1.0)
#: Maps ψ = aT + b of the monotone map T from noise to data; T itself is the first.
MAPS = ((1.0, 0.0), (1.0, 0.4), (0.8, 0.1), (1.3, -0.3))


@lru_cache(maxsize=32)
def _densities(a: float, b: float, level: int) -> tuple[Array, Array]:
    """p of aT(X₀) + b by its inverse map, and p_data, times the spacing, on a lattice."""
    back, spacing = monotone_map(DATA, NORMAL), 0.02 / level
    y = np.arange(-3.5, 5.3, spacing)
    place = (y - b) / a
    inside = (place > -2.4) & (place < 4.2)
    image = np.zeros(len(y))
    z = back(place[inside])
    image[inside] = NORMAL.density(z[:, None]) * central_derivative(back, place[inside], 0.01) / a
    return spacing * image, spacing * DATA.density(y[:, None])


def _image(a: float, b: float) -> fpk.GaussianMixture:
    return DATA.pushed(a * np.eye(1), np.array([b]), np.zeros((1, 1)))


def _twice_kolmogorov(a: float, b: float) -> float:
    x = np.linspace(-4.0, 5.0, 2000)
    return 2 * float(np.abs(_image(a, b).cdf(x) - DATA.cdf(x)).max())


def _factor(factor: float) -> Callable[[float, float], float]:
    return lambda a, b: factor * total_variation(_image(a, b), DATA)


#: What the objective is said to be, and whether the map of the same mean and variance is taken for the right one.
DISTANCES: dict[str, tuple[Callable[[float, float], float], bool]] = {
    "stated": (_factor(2.0), False),
    "TV": (_factor(1.0), False),
    "4 TV": (_factor(4.0), False),
    "twice Kolmogorov's distance": (_twice_kolmogorov, False),
    "mean and variance": (_factor(2.0), True),
    "2 TV + 1 %": (_factor(2.02), False),
}


@study("S3.P-TV", variants=DISTANCES)
def objective_of_a_map(
    variant: tuple[Callable[[float, float], float], bool], case: str, size: Size, seed: int
) -> Evidence:
    distance, matched = variant
    claimed = np.array([distance(*ends) for ends in MAPS])

    def gaps(level: int) -> Array:
        pairs = [_densities(a, b, level) for a, b in MAPS]
        if matched:
            law = fpk.Gaussian(DATA.mean, covariance=DATA.covariance)
            spacing = 0.02 / level
            pairs[0] = (spacing * law.density(np.arange(-3.5, 5.3, spacing)[:, None]), pairs[0][1])
        return np.array([np.abs(p - q).sum() for p, q in pairs]) - claimed

    names = tuple(f"∫|p_ψ − p|, ψ = {a:g} T + {b:g}" for a, b in MAPS)
    return refined(gaps, size, names=names, source="densities of images less total variations")
