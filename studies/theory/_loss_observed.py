r"""What a noised observation x = μ + σε says of μ and of ε, and the score of its law without either.

E[μ|x] is a sum over the data, weighted by Bayes' rule; E[ε|x] = ∫ ε φ(ε) p_μ(x − σε) dε / ∫ φ(ε) p_μ(x − σε) dε an integral over the noise. Scores are slopes
of log-densities: of mixtures, and of solutions of the Fokker–Planck equation on a grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

import fpk
from fpk.fields import Field
from fpk.laws import Array, Law, central_derivative

from .._systems import DATA
from ._matching import PEAKS, SCHEDULE, SETTINGS, TIME, Cloud, Noised, gradient, normal_nodes, probes

#: Where fields on the line are read.
LINE = np.array([[-1.3], [-0.4], [0.1], [0.9], [1.6]])
Density = Callable[[Array], Array]


@lru_cache(maxsize=1)
def wells() -> fpk.TabulatedLaw:
    """The Gibbs law of a double well."""
    return fpk.problems.double_well_law(1.1)


class Observed(NamedTuple):
    """At places x (n, d): the mean of the data given the observation, and the score of the observation's law, (n, d) each."""

    x: Array
    mean: Array
    score: Array


def bayes_mean(noised: Noised, data: Cloud, x: Array) -> Array:
    """E[X_0 | x], shape (n, d)."""
    return noised.posterior(x, data) @ data.x


@lru_cache(maxsize=32)
def observed(case: str, noise: float, level: int) -> Observed:
    """X + noise·ε for the data of a setting, or for the Gibbs law of a double well."""
    if case == "double well":
        return wells_observed(noise, level, LINE)
    noised = replace(SETTINGS[case], alpha=1.0, sigma=noise)
    x = probes(noised)
    score = gradient(noised.law.log_density, x, 0.02 / level)
    return Observed(x, bayes_mean(noised, noised.data(level), x), score)


def wells_observed(noise: float, level: int, x: Array) -> Observed:
    """The same for the double well; the observation's law solves the heat equation, on a grid."""
    heat = fpk.Problem(0.0, noise, initial=wells())
    law = fpk.solve(heat, fpk.Grid(-7.0, 7.0, cells=70 * level), times=[1.0]).law(1.0)
    y = np.arange(-4.0, 4.0, 0.1 / level)[:, None]
    data = Cloud(y, wells().density(y))
    return Observed(x, bayes_mean(replace(PEAKS, alpha=1.0, sigma=noise), data, x), law.score(x))


def noise_mean(density: Density, sigma: float, x: Array, level: int) -> Array:
    """E[ε | x] from the density of μ, shape (n, 1); on the line."""
    z, w = normal_nodes(2 * level, 1)
    seen = w * density((x - sigma * z[:, 0]).reshape(-1, 1)).reshape(len(x), -1)
    return (seen @ z) / seen.sum(1, keepdims=True)


@lru_cache(maxsize=8)
def hessian(case: str, level: int) -> tuple[Array, Array]:
    """Hessian of log p and the score at the probes, by differences."""
    noised, step = SETTINGS[case], 0.06 / level
    x = probes(noised)

    def slope(y: Array) -> Array:
        return gradient(noised.law.log_density, y, step)

    rows = [central_derivative(lambda h, e=e: slope(x + h * e), np.zeros(1), step) for e in np.eye(noised.dimension)]
    return np.stack(rows, axis=1), slope(x)


class Scaled(NamedTuple):
    """A factor on both forms, one more power of σ, whether α is kept, and a factor on σ."""

    factor: float = 1.0
    power: float = 0.0
    scale: bool = True
    sigma: float = 1.0


def pulled(variant: Scaled, noised: Noised, x: Array, data: Array, noise: Array) -> tuple[Array, Array]:
    """The score from E[X_0|x] and from E[ε|x]: as stated, what fpk's fields make of them."""
    if variant == Scaled():
        given = {"denoised": data, "noise": noise}
        first, second = (Field(lambda x, t, v=v: v, kind, SCHEDULE).score(x, TIME) for kind, v in given.items())
        return first, second
    sigma, alpha = variant.sigma * noised.sigma, noised.alpha if variant.scale else 1.0
    first = (alpha * data - x) / sigma ** (2 + variant.power)
    return variant.factor * first, -variant.factor * noise / sigma ** (1 + variant.power)


# -- noised data on a grid ---------------------------------------------------------------------------------------------------

#: The noising SDE and the time it is looked at; at the second one the noise has variance 1.
NOISINGS = {
    "variance preserving": (fpk.noising(SCHEDULE, DATA), TIME),
    "unit noise": (fpk.Problem(0.0, 1.0, initial=DATA), 1.0),
}
SCALES = {"variance preserving": (PEAKS.alpha, PEAKS.sigma), "unit noise": (1.0, 1.0)}


@lru_cache(maxsize=8)
def on_a_grid(noising: str, level: int) -> Law:
    """The law of the SDE, by the Fokker–Planck equation."""
    problem, time = NOISINGS[noising]
    return fpk.solve(problem, fpk.Grid(-7.0, 7.5, cells=70 * level), times=[time]).law(time)


def mean_density(noising: str) -> Density:
    """The density of μ = αX_0."""
    return DATA.pushed(SCALES[noising][0] * np.eye(1), np.zeros(1), np.zeros((1, 1))).density
