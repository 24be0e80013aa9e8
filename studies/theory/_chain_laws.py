r"""Laws of chains, and posteriors between two ends: what the discrete chain's formulas are held against.

Transitions come from the moments of the SDE, posteriors from Bayes' rule by the trapezoidal rule (spectrally accurate on densities that fall
like Gaussians).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.laws import Array
from fpk.moments import transition
from fpk.schedules import rates

from .._systems import DATA
from ._posteriors import normal_log

SCHEDULE = fpk.VPSchedule(0.6, 3.4)
#: The SDE by its coefficients, and the path by α and σ.
SDE = fpk.Problem(fpk.Linear(SCHEDULE.drift_rate), SCHEDULE.diffusion, initial=DATA)
PATH = fpk.exact(fpk.noising(SCHEDULE, DATA), times=[1.0])
#: Ends of a step, starts of the chain, and positions at the later end.
NOW, LATER = 0.4, 0.65
STARTS, AHEAD = np.array([0.8, -1.0, 0.3]), np.array([0.5, 0.9, -0.6])
PAIRS = tuple(f"x₀ = {a:g}, x = {b:g}" for a, b in zip(STARTS, AHEAD, strict=True))
#: Round-off of the quadratures, and of the moments of the SDE.
ROUNDING = 1e-10


@lru_cache(maxsize=64)
def moved(s: float, t: float) -> tuple[float, float]:
    """Slope and variance of X_t given X_s, integrated from the SDE."""
    found = transition(SDE, s, t)
    return float(found.slope[0, 0]), float(found.covariance[0, 0])


def kept(t: float) -> float:
    """ᾱ_t."""
    return SCHEDULE.alpha(t) ** 2


def share(s: float, t: float) -> float:
    """α = ᾱ_t/ᾱ_s."""
    return kept(t) / kept(s)


def noise_rate(t: float, power: float = 0.5) -> float:
    """2 ᾱ^power √(1 − ᾱ) d(√(1 − ᾱ)/√ᾱ)/dt."""
    alpha, sigma = SCHEDULE.alpha(t), SCHEDULE.sigma(t)
    falls, rises = rates(SCHEDULE, t)
    return 2 * alpha ** (2 * power) * sigma * (rises * alpha - sigma * falls) / alpha**2


INSTANTS = (0.3, 0.7)


def short_step(variant: str, h: float) -> Array:
    """(√α − 1)/h and (1 − α)/h of a step of length h, at all instants."""
    a = np.array([share(t, t + h) for t in INSTANTS])
    return np.concatenate(
        [
            ((a if variant == "√ missing on the share" else a**0.5) - 1) / h,
            (1 - (a**0.5 if variant == "1 − √α" else a)) / h,
        ]
    )


# -- posteriors --------------------------------------------------------------------------------------------------------------


def named(*what: str) -> tuple[str, ...]:
    """Names for all pairs of ends."""
    return tuple(f"{w}, {pair}" for w in what for pair in PAIRS)


def moments(log: Callable[[Array], Array], *, centre: Any = 0.0, width: float = 0.5) -> tuple[Array, Array]:
    """Means, variances and fourth central moments of unnormalised densities, one after the other, and a bound.

    Parameters
    ----------
    log : callable
        Places (n, m) ↦ logarithms (n, m), m densities side by side.
    centre : float or array, shape (m,)
    width : float
        The rule reaches 12 widths to both sides.
    """

    def summed(count: int) -> Array:
        x = centre + width * np.linspace(-12, 12, count)[:, None] + np.zeros(len(STARTS))
        logs = log(x)
        mass = np.exp(logs - logs.max(0))
        mass /= mass.sum(0)
        mean = (mass * x).sum(0)
        return np.concatenate([mean, *((mass * (x - mean) ** p).sum(0) for p in (2, 4))])

    fine, coarse = summed(360), summed(240)
    return fine, np.abs(fine - coarse) + ROUNDING


def before(x: Array, start: Array = STARTS, t: float = NOW) -> Array:
    """The logarithm of p(x_t|x₀)."""
    return normal_log(x, SCHEDULE.alpha(t) * start, SCHEDULE.sigma(t) ** 2)


def after(x: Array, ahead: Array = AHEAD, ends: tuple[float, float] = (NOW, LATER)) -> Array:
    """The logarithm of p(x_{t+1}|x_t)."""
    slope, variance = moved(*ends)
    return normal_log(ahead, slope * x, variance)


@lru_cache(maxsize=1)
def bridge() -> tuple[Array, Array]:
    """Moments of x_t given both ends."""
    return moments(lambda x: before(x) + after(x))


def normal_moments(mean: Array, variance: Array | float) -> Array:
    """Means, variances and fourth moments of normal laws."""
    v = np.broadcast_to(variance, mean.shape)
    return np.concatenate([mean, v, 3 * v**2])
