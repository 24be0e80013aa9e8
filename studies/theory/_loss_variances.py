"""Variances of single samples of the gradients of denoising and implicit score matching, and the minimisers of both."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from fpk.laws import Array
from fpk.models import objectives
from fpk.models.features import Hermite
from fpk.models.fits import fit
from fpk.models.points import Points

from ._matching import PEAKS, SCHEDULE

FEATURES = Hermite(2, mean=0.5, std=1.2)
#: The field at which gradients are sampled, as a combination of the features.
THETA = np.array([[0.4], [-0.9], [0.3]])


def _noisy(noise: float, level: int) -> tuple[Points, Array]:
    """X + noise·ε with its masses, and the target −ε/noise."""
    noised = replace(PEAKS, alpha=1.0, sigma=noise)
    pairs = noised.pairs(level)
    return Points(pairs.x, pairs.weights), noised.pull(pairs.x, pairs.x0)


def _variance(points: Points, samples: Array) -> Array:
    return points.mean(samples**2) - points.mean(samples) ** 2


def _implicit_samples(points: Points, slope: float = 1.0) -> Array:
    """Gradients of ½s² + s′ at single positions, (n, features)."""
    phi = FEATURES(points.x)
    return phi * (phi @ THETA) + slope * FEATURES.gradient(points.x)[:, :, 0]


@lru_cache(maxsize=8)
def variances(h: float, level: int) -> tuple[Array, Array]:
    """Of single gradients at σ² = h: denoising and implicit, (features,) each."""
    points, target = _noisy(h**0.5, level)
    phi = FEATURES(points.x)
    return _variance(points, phi * (phi @ THETA - target)), _variance(points, _implicit_samples(points))


@lru_cache(maxsize=4)
def of_the_data(slope: float, level: int) -> tuple[Array, Array]:
    """E φ² under the data, and the variance of the implicit gradient there, its slopes times a factor."""
    data = PEAKS.data(level)
    points = Points(data.x, data.weights)
    return points.mean(FEATURES(points.x) ** 2), _variance(points, _implicit_samples(points, slope))


@lru_cache(maxsize=8)
def minimisers_apart(noise: float, sign: float, level: int) -> Array:
    """Parameters that minimise the denoising loss, its target times a sign, less those of the implicit one."""
    points, target = _noisy(noise, level)
    both = (objectives.regression(FEATURES, points, sign * target), objectives.implicit(FEATURES, points))
    first, second = (fit(FEATURES, objective, schedule=SCHEDULE).model.theta for objective in both)
    return (first - second).ravel()
