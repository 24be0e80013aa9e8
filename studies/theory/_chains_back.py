r"""Chains of the sampling rule x ↦ x + h (½βx + β s(x)) + √(βh) ε from p_1 down, for normal data: their laws are recursions of mean and covariance."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.laws import Array

from ._reversing import SCHEDULE

#: Factors on ½βx and βs, and the noise variance per unit of time from β.
Coefficients = tuple[float, float, Callable[[float], float]]

PLANE_DATA = fpk.Gaussian([0.8, -0.5], covariance=np.array([[0.5, 0.2], [0.2, 0.3]]))
_IN_THE_PLANE = fpk.exact(fpk.noising(SCHEDULE, PLANE_DATA), times=[1.0])
STEEP, LINE_DATA = fpk.VPSchedule(0.1, 20.0), fpk.Gaussian(1.5, 0.5)
_ON_THE_LINE = fpk.exact(fpk.noising(STEEP, LINE_DATA), times=[1.0])


@lru_cache(maxsize=2048)
def _plane_score(t: float) -> tuple[Array, Array]:
    """Matrix and shift of the score, which is affine in x."""
    values = _IN_THE_PLANE.score(np.vstack([np.zeros(2), np.eye(2)]), t)
    return (values[1:] - values[0]).T, values[0]


def plane_chain(rule: Coefficients, steps: int) -> Array:
    """Mean and covariance at the end, and covariance of the end with the start, of the rule in ``steps`` steps."""
    pull, push, variance = rule
    start: Any = _IN_THE_PLANE.law(1.0)
    mean, V, cross, h = start.mean, start.covariance, start.covariance, 1 / steps
    for k in range(steps, 0, -1):
        beta, (matrix, shift) = SCHEDULE.beta(k * h), _plane_score(k * h)
        A = np.eye(2) * (1 + 0.5 * pull * beta * h) + push * beta * h * matrix
        mean = A @ mean + push * beta * h * shift
        V, cross = A @ V @ A.T + variance(beta) * h * np.eye(2), A @ cross
    return np.concatenate([mean, V.ravel(), cross.ravel()])


@lru_cache(maxsize=4096)
def _line_score(t: float) -> tuple[float, float]:
    """Slope of the score, and its value at 0."""
    values = _ON_THE_LINE.score(np.array([[0.0], [1.0]]), t)[:, 0]
    return float(values[1] - values[0]), float(values[0])


@lru_cache(maxsize=64)
def line_errors(pull: float, push: float, power: float, steps: int) -> tuple[float, float]:
    """Errors of mean and variance at the end of the rule with noise (βh)^power ε, in ``steps`` steps."""
    start: Any = _ON_THE_LINE.law(1.0)
    mean, spread, h = float(start.mean[0]), float(start.covariance[0, 0]), 1 / steps
    for k in range(steps, 0, -1):
        weight, (slope, shift) = STEEP.beta(k * h) * h, _line_score(k * h)
        factor = 1 + 0.5 * pull * weight + push * weight * slope
        mean, spread = factor * mean + push * weight * shift, factor**2 * spread + weight ** (2 * power)
    return mean - float(LINE_DATA.mean[0]), spread - float(LINE_DATA.covariance[0, 0])
