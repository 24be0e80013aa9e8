"""Paths of the libraries as schedules: discrete ones between their levels, and noise levels with and without a scale of the data."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from fpk.schedules import AffineSchedule

#: What stands for ᾱ = 0, so that σ/α is a number.
NOTHING = 1e-30


class Levels:
    """α² + σ² = 1 with log(σ/α) piecewise linear between the levels t = 1/T, 2/T, ..., 1, and σ/α linear below the first.

    Parameters
    ----------
    products : array, shape (T,)
        ᾱ = α² at the levels, least noise first.
    """

    def __init__(self, products: Any) -> None:
        self.products = np.maximum(np.asarray(products, float), NOTHING)

    @cached_property
    def _logs(self) -> np.ndarray:
        return 0.5 * np.log((1 - self.products) / self.products)

    def ratio(self, t: float) -> float:
        """σ/α at t."""
        place = t * len(self.products) - 1
        if place < 0:
            return float(np.exp(self._logs[0]) * (1 + place))
        return float(np.exp(np.interp(place, np.arange(len(self.products)), self._logs)))

    def alpha(self, t: float) -> float:
        """α."""
        return float((1 + self.ratio(t) ** 2) ** -0.5)

    def sigma(self, t: float) -> float:
        """σ."""
        return self.ratio(t) * self.alpha(t)

    def schedule(self) -> AffineSchedule:
        """The path."""
        return AffineSchedule(self.alpha, self.sigma)


def exploding(highest: float, lowest: float = 0.0, power: float = 7.0) -> AffineSchedule:
    """α = 1 and a noise level that grows from ``lowest`` to ``highest`` like a power of t."""
    return AffineSchedule(lambda t: 1.0, lambda t: lowest + (highest - lowest) * t**power)
