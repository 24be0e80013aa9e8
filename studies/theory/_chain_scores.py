"""Scores of positions on the chain, given the start and without it, claimed and found."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array, central_derivative

from ._chain_laws import NOW, ROUNDING, SCHEDULE, STARTS, moved
from ._posteriors import normal_log

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


def density_slope(x: Array) -> Array:
    """∂ log p(x_t|x₀) by differences of the density that follows from the SDE."""
    slope, variance = moved(0.0, NOW)
    return central_derivative(lambda y: normal_log(y, slope * STARTS, variance), x, 0.02)


#: −σ times the score, from E[ε|x], ε for the mean of all data, and ε for the likeliest x₀.
NOISES: dict[str, Callable[..., Array]] = {
    "stated": lambda given, plain, likely, sigma: given,
    "sign": lambda given, plain, likely, sigma: -given,
    "√ missing": lambda given, plain, likely, sigma: given / sigma,
    "mean of all data": lambda given, plain, likely, sigma: plain,
    "most likely x₀": lambda given, plain, likely, sigma: likely,
    "ε + 0.2 %": lambda given, plain, likely, sigma: 1.002 * given,
}


@lru_cache(maxsize=4)
def mean_noise(data: fpk.GaussianMixture, points: tuple[float, ...]) -> tuple[Array, Array, Array]:
    """E[ε | x_t] at the time NOW by sums over x₀, a bound, and ε for the x₀ of the largest density."""
    x, alpha, sigma = np.array(points), SCHEDULE.alpha(NOW), SCHEDULE.sigma(NOW)

    def summed(count: int) -> tuple[Array, Array]:
        start = np.linspace(-3.0, 4.0, count)
        logs = data.log_density(start[:, None])[:, None] + normal_log(x, alpha * start[:, None], sigma**2)
        mass = np.exp(logs - logs.max(0))
        noise = (x - alpha * start[:, None]) / sigma
        return (mass * noise).sum(0) / mass.sum(0), noise[logs.argmax(0), np.arange(len(x))]

    fine, coarse = summed(600), summed(400)
    return fine[0], np.abs(fine[0] - coarse[0]) + ROUNDING, fine[1]
