r"""Scores of noised data and scores given the data: where the target of denoising comes from.

p_t(x) = ∫ p_{t|0}(x|x₀) dP(x₀),    ∇log p_t(x) = E[∇log p_{t|0}(x|X₀) | X_t = x],    ∇log p_{t|0}(x|x₀) = −(x − e)/V.

Densities and scores on the left are known without the right sides: from characteristic functions, from closed forms of mixtures, from densities
that solve the Fokker–Planck equation on a grid.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

import fpk
from fpk.fields import Field
from fpk.laws import Array
from fpk.moments import transition
from fpk.study import Evidence, Size, study

from .._systems import DATA
from ._matching import (
    FIELD_NAMES,
    FIELDS,
    POINTS,
    SCHEDULE,
    SETTINGS,
    Cloud,
    gradient,
    named,
    normal_nodes,
    probes,
    refined,
)
from ._matching_conditional_claims import CLAIMS, REMARKS
from ._matching_draws import bayes, drawn_again, draws, unconditional
from ._matching_grids import FORCED, INSTANTS, LATER, LINE, START, Seen, denoising_losses, from_start, seen_bent
from ._matching_learned import learned_target
from ._matching_velocities import Carried
from ._posteriors import normal_log

__all__ = ["CLAIMS", "REMARKS"]

# -- the density -------------------------------------------------------------------------------------------------------------

SCALE, NOISE = 0.8, 0.5
#: Frequencies of the inversion: beyond 14/σ nothing is left, and the period 2π/Δ is wider than the law.
FREQUENCIES = np.linspace(-28.0, 28.0, 561)


def _cantor(level: int) -> Cloud:
    """The middles of the 2ᵏ intervals of Cantor's set on [−1, 2], k = 5 + level."""
    x = np.array([0.5])
    for _ in range(5 + level):
        x = np.concatenate([x / 3, x / 3 + 2 / 3])
    return Cloud(3 * x[:, None] - 1, np.full(len(x), 1 / len(x)))


def _cantor_transform(u: Array) -> Array:
    return np.exp(0.5j * u) * np.prod(np.cos(u / 3.0 ** np.arange(40)[:, None]), axis=0)


def _mixture_transform(u: Array) -> Array:
    parts = np.exp(1j * np.outer(DATA.means, u) - 0.5 * np.outer(DATA.covariances[:, 0, 0], u**2))
    return DATA.weights @ parts


#: Points of the data at a level, and E exp(iuX).
LAWS: dict[str, tuple[Callable[[int], Cloud], Callable[[Array], Array]]] = {
    "two peaks": (SETTINGS["two peaks"].data, _mixture_transform),
    "two points": (POINTS.data, lambda u: POINTS.weights @ np.exp(1j * np.outer(POINTS.centres, u))),
    "Cantor's law": (_cantor, _cantor_transform),
}
#: What is claimed to be the density at y (n, 1), from the points x (m, 1) of the data and their masses.
Mixed = Callable[[Array, Array, Array], Array]


def _kernels(log: Callable[[Array, Array], Array]) -> Mixed:
    """The mean of a kernel over the data."""
    return lambda y, x, masses: np.exp(log(y, x[:, 0])) @ masses


KERNELS: dict[str, Mixed] = {
    "stated": lambda y, x, masses: fpk.GaussianMixture(masses, SCALE * x, stds=NOISE).density(y),
    "without p(x)": lambda y, x, masses: np.exp(normal_log(y, SCALE * x[:, 0], NOISE**2)).mean(1),
    "α dropped": _kernels(lambda y, x: normal_log(y, x, NOISE**2)),
    "arguments exchanged": _kernels(lambda y, x: normal_log(x, SCALE * y, NOISE**2)),
    "σ for σ²": _kernels(lambda y, x: normal_log(y, SCALE * x, NOISE)),
    "σ² + 1 %": _kernels(lambda y, x: normal_log(y, SCALE * x, 1.01 * NOISE**2)),
}


@lru_cache(maxsize=4)
def _inverted(case: str) -> Array:
    """The density of αX + σZ at LINE from the product of the characteristic functions."""
    u = FREQUENCIES
    wave = LAWS[case][1](SCALE * u) * np.exp(-0.5 * NOISE**2 * u**2)
    return (np.exp(-1j * np.outer(LINE, u)) @ wave).real * (u[1] - u[0]) / (2 * np.pi)


@study(
    "S2.E3",
    variants=KERNELS,
    cases=tuple(LAWS),
    applies=lambda variant, case: variant != "without p(x)" or case == "two points",
)
def noised_density(variant: Mixed, case: str, size: Size, seed: int) -> Evidence:
    def gaps(level: int) -> Array:
        data = LAWS[case][0](level)
        return variant(LINE[:, None], data.x, data.weights / data.weights.sum()) - _inverted(case)

    names = tuple(f"density at {x:g}" for x in LINE)
    return refined(gaps, size, names=names, source="mixed kernels less the inverted characteristic function")


# -- the score as a posterior mean -------------------------------------------------------------------------------------------


#: Weights of the conditional scores from the likelihood (n, m) and the prior (m,), and a factor.
AVERAGES: dict[str, tuple[Callable[[Array, Array], Array], float]] = {
    "stated": (bayes, 1.0),
    "prior for posterior": (unconditional, 1.0),
    "not divided by p": (lambda likelihood, prior: prior * likelihood, 1.0),
    "score sign": (bayes, -1.0),
    "½ extra": (bayes, 0.5),
    "score + 0.5 %": (bayes, 1.005),
}


@lru_cache(maxsize=16)
def _seen(case: str, level: int) -> Seen:
    if case == "noise of the state":
        return seen_bent(level)
    noised = SETTINGS[case]
    x, data = probes(noised), noised.data(level)
    pulls = noised.pull(x[:, None], data.x)
    return Seen(pulls, noised.likelihood(x, data.x), data.weights, noised.law.score(x))


@study("S0.E30", variants=AVERAGES, cases=(*SETTINGS, "noise of the state"))
def score_as_a_mean(
    variant: tuple[Callable[[Array, Array], Array], float], case: str, size: Size, seed: int
) -> Evidence:
    weighting, factor = variant

    def gaps(level: int) -> Array:
        seen = _seen(case, level)
        mean = np.einsum("nm,nmd->nd", weighting(seen.likelihood, seen.prior), seen.pulls)
        return seen.score - factor * mean

    x = LINE[:, None] if case == "noise of the state" else probes(SETTINGS[case])
    return refined(gaps, size, names=named("score", x), source="score less the mean of conditional scores")


# -- drawing the data anew ---------------------------------------------------------------------------------------------------


#: Probabilities of the second draw y, shape (n, m), from the likelihood and the prior.
SECOND: dict[str, Callable[[Array, Array], Array]] = {
    "stated": bayes,
    "y from the data": unconditional,
    "y without the prior": lambda likelihood, prior: bayes(likelihood, np.ones_like(prior)),
    "root of the likelihood": lambda likelihood, prior: bayes(likelihood**0.5, prior),
    "the data's share + 2 %": lambda likelihood, prior: 0.98 * bayes(likelihood, prior) + 0.02 * prior,
}
#: Functions of (y, x_t), shapes (m, d) and (n, d) or both (n, d), with values (n, m) or (n,).
TESTS: dict[str, Callable[[Array, Array], Array]] = {
    "y·x": lambda y, x: (y * x).sum(-1),
    "sin(y − x)": lambda y, x: np.sin(y - x)[..., 0],
    "y² cos x": lambda y, x: (y**2).sum(-1) * np.cos(x[..., -1]),
}
WITHOUT_PRIOR = ("three states", "two points", "three points in the plane")
#: The law of the data given a noised one, by fpk: the power of the likelihood, and the data's share.
OBSERVED, AGAIN = (
    "two peaks, observed",
    {
        "stated": (1.0, 0.0),
        "y from the data": (1.0, 1.0),
        "root of the likelihood": (0.5, 0.0),
        "the data's share + 2 %": (1.0, 0.02),
    },
)


def _drawn_applies(variant: str, case: str) -> bool:
    if case == OBSERVED:
        return variant in AGAIN
    return variant != "y without the prior" or case in WITHOUT_PRIOR


@study(
    "S0.E31",
    variants={name: (name, second) for name, second in SECOND.items()},
    cases=("three states", "two points", "two peaks", "three points in the plane", OBSERVED),
    applies=_drawn_applies,
)
def drawn_anew(variant: tuple[str, Callable[[Array, Array], Array]], case: str, size: Size, seed: int) -> Evidence:
    """E f(y, X_t) over X_0, X_t and a second draw y, less E f(X_0, X_t)."""
    name, second = variant

    def gaps(level: int) -> Array:
        drawn = draws("two peaks" if case == OBSERVED else case, level)
        once = np.array([drawn.weights @ f(drawn.x0, drawn.x) for f in TESTS.values()])
        if case == OBSERVED:
            power, share = AGAIN[name]
            given, prior = (drawn_again(tuple(TESTS.values()), p, level) for p in (power, None))
            return (1 - share) * given + share * prior - once
        shares = second(drawn.likelihood, drawn.data.weights)
        twice = [
            np.einsum("n,nm,nm->", drawn.weights, shares, f(drawn.data.x, drawn.x[:, None])) for f in TESTS.values()
        ]
        return np.array(twice) - once

    return refined(gaps, size, names=tuple(TESTS), source="means with a second draw less those with the first")


# -- Gaussian conditional laws -----------------------------------------------------------------------------------------------


class Conditional(NamedTuple):
    """The claimed score at x and the claimed variance of the score, from mean e and variance V."""

    score: Callable[[Array, float, float], Array]
    variance: Callable[[float], float]


def _stretched(factor: float) -> Conditional:
    return Conditional(lambda x, e, V: -(x - e) / (factor * V), lambda V: 1 / (factor * V))


CONDITIONALS = {
    "stated": _stretched(1.0),
    "score sign": Conditional(lambda x, e, V: (x - e) / V, lambda V: 1 / V),
    "½ extra": _stretched(2.0),
    "√V for V": Conditional(lambda x, e, V: -(x - e) / V**0.5, lambda V: 1.0),
    "e dropped": Conditional(lambda x, e, V: -x / V, lambda V: 1 / V),
    "V for 1/V": Conditional(lambda x, e, V: -(x - e) / V, lambda V: V),
    "V + 0.5 %": _stretched(1.005),
}


@study("S0.E33", variants=CONDITIONALS)
def conditional_score(variant: Conditional, case: str, size: Size, seed: int) -> Evidence:
    moved = transition(FORCED, 0.0, LATER)
    e, V = float(moved.slope[0, 0] * START + moved.shift[0]), float(moved.covariance[0, 0])
    places = e + V**0.5 * np.array([-1.5, -0.5, 0.4, 1.2])
    spread = variant.variance(V)

    def gaps(level: int) -> Array:
        law, masses = from_start(level)
        s = law.score(masses.x)[:, 0]
        moments = masses.mean(np.stack([s, s**2, s**4], axis=1))
        at = law.score(places[:, None])[:, 0] - variant.score(places, e, V)
        return np.concatenate([V**0.5 * at, V ** np.array([0.5, 1, 2]) * (moments - [0.0, spread, 3 * spread**2])])

    names = (*(f"score at {x:.3g}" for x in places), "mean", "second moment", "fourth moment")
    return refined(gaps, size, names=names, source="transition density on a grid less the claim")


#: ξ_θ from the field of the score, and the weight of the loss from V.
Noisy = tuple[Callable[[Field, Array, float], Array], Callable[[float], float]]
NOISES: dict[str, Noisy] = {
    "stated": (lambda s, x, t: s.noise(x, t), lambda V: 1 / V),
    "sign of ξ": (lambda s, x, t: -s.noise(x, t), lambda V: 1 / V),
    "√V dropped": (lambda s, x, t: -s(x, t), lambda V: 1 / V),
    "V for √V": (lambda s, x, t: -(SCHEDULE.sigma(t) ** 2) * s(x, t), lambda V: 1 / V),
    "1/V dropped": (lambda s, x, t: s.noise(x, t), lambda V: 1.0),
    "1/√V for 1/V": (lambda s, x, t: s.noise(x, t), lambda V: V**-0.5),
    "V + 0.5 %": (lambda s, x, t: s.noise(x, t), lambda V: 1 / (1.005 * V)),
}


@study("S0.E34", variants=NOISES)
def predicted_noise(variant: Noisy, case: str, size: Size, seed: int) -> Evidence:
    predicted, weight = variant
    z, w = normal_nodes(6, 1)

    def loss(s: Callable[[Array], Array], t: float) -> float:
        field, sigma = Field(lambda x, t: s(x), "score", SCHEDULE), SCHEDULE.sigma(t)
        gaps = [predicted(field, SCHEDULE.alpha(t) * c + sigma * z, t) - z for c in POINTS.centres]
        return weight(sigma**2) * float(POINTS.weights @ [w @ gap[:, 0] ** 2 for gap in gaps])

    claimed = np.array([[loss(s, t) for t in INSTANTS] for s in FIELDS])
    names = tuple(f"s = {name}, t = {t:g}" for name in FIELD_NAMES for t in INSTANTS)
    return refined(
        lambda level: denoising_losses(level) - claimed,
        size,
        names=names,
        source="loss on a grid less that of the noise",
    )


# -- the kernel N(αx, σ²I) ---------------------------------------------------------------------------------------------------

#: The score of the kernel from x̂, x, α and σ.
PULLS: dict[str, Callable[[Array, Array, float, float], Array]] = {
    "stated": lambda y, x, a, s: (a * x - y) / s**2,
    "score sign": lambda y, x, a, s: (y - a * x) / s**2,
    "α dropped": lambda y, x, a, s: (x - y) / s**2,
    "σ for σ²": lambda y, x, a, s: (a * x - y) / s,
    "½ extra": lambda y, x, a, s: (a * x - y) / (2 * s**2),
    "σ² + 0.5 %": lambda y, x, a, s: (a * x - y) / (1.005 * s**2),
}


@study("S2.P-alpha", variants=PULLS, cases=("two points", "three points in the plane"))
def gaussian_kernel(
    variant: Callable[[Array, Array, float, float], Array], case: str, size: Size, seed: int
) -> Evidence:
    noised = SETTINGS[case]
    x, centre, (a, s) = probes(noised), noised.centres[0], (noised.alpha, noised.sigma)
    kernel = fpk.Gaussian(a * centre, s)
    slopes = gradient(kernel.log_density, x) - variant(x, centre, a, s)

    def gaps(level: int) -> Array:
        data = noised.data(level)
        best = learned_target(case, lambda y, x0: variant(y, x0, a, s), level)
        mixed = gradient(lambda y: np.log(noised.likelihood(y, data.x) @ data.weights), x)
        return np.concatenate([slopes, mixed - best])

    names = named("score of the kernel", x) + named("optimum", x)
    return refined(gaps, size, names=names, source="gradients of log densities less the formula and its regression")


# -- mixed velocities --------------------------------------------------------------------------------------------------------


@study(
    "err:S0.E46-line-3", variants={"printed": True, "corrected": False}, cases=("two peaks", "two clouds in the plane")
)
def flux_of_the_mixture(variant: bool, case: str, size: Size, seed: int) -> Evidence:
    """∂_t p_t and the divergence of the mixed flux: as it is, or times p_t."""
    x = probes(SETTINGS[case])

    def left(level: int) -> Array:
        carried = Carried(case, level)

        def flux(y: Array) -> Array:
            return carried.flux(y) * (carried.law.density(y)[:, None] if variant else 1.0)

        return carried.rate(lambda law: law.density(x)) + carried.spread(flux, x)

    names = tuple(f"at {np.array2string(at, precision=2)}" for at in x)
    return refined(left, size, names=names, source="rate of the density and the divergence of the flux")


@study("err:S0.E47", variants={"inside": "two peaks", "outside": "two clouds in the plane"})
def equal_divergences(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """Another velocity that carries p_t: its continuity equation, and how far it is from the mean of conditional velocities."""
    x = probes(SETTINGS[variant])

    def left(level: int) -> Array:
        carried = Carried(variant, level)

        def flux(y: Array) -> Array:
            return carried.other_velocity(y) * carried.law.density(y)[:, None]

        continuity = carried.rate(lambda law: law.density(x)) + carried.spread(flux, x)
        return np.concatenate([continuity, (carried.other_velocity(x) - carried.velocity(x)).ravel()])

    names = tuple(f"continuity at {np.array2string(at, precision=2)}" for at in x) + named("velocity", x)
    return refined(left, size, names=names, source="another velocity with the same divergence")
