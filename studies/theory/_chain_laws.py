r"""Laws of chains, and posteriors between two ends: what the discrete chain's formulas are held against.

Transitions come from the moments of the SDE, posteriors from Bayes' rule by the trapezoidal rule (spectrally accurate on densities that fall
like Gaussians), laws of chains from their own propagation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.chains import propagate
from fpk.fields import exact_field
from fpk.laws import Array
from fpk.moments import transition
from fpk.samplers import Kernel, Sampler

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


# -- chains ------------------------------------------------------------------------------------------------------------------

ROOT: Callable[[float], float] = lambda beta: (1 - beta) ** 0.5  # noqa: E731


class Forward(Sampler):
    """The chain x ↦ keep(β) x + draw(β) ε of given β; its time counts the steps that are left.

    Parameters
    ----------
    betas : sequence of float
    keep, draw : callable
    """

    name, noises = "forward chain", 1

    def __init__(
        self,
        betas: Sequence[float],
        *,
        keep: Callable[[float], float] = ROOT,
        draw: Callable[[float], float] = lambda beta: beta**0.5,
    ) -> None:
        super().__init__(exact_field(DATA, SCHEDULE), times=np.arange(len(betas), -1.0, -1.0))
        self.betas, self.keep, self.draw = betas, keep, draw

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """One kernel."""
        factor, std = self.keep(self.betas[k]), self.draw(self.betas[k])
        return (Kernel(lambda x: factor * x, std),)


def shares_of(betas: Sequence[float]) -> tuple[Array, Array]:
    """α_t and σ_t, t = 0 ... N, of the chain, from its propagated means and variances."""
    chain: Any = propagate(Forward(betas), initial=fpk.Gaussian(1.0, 0.5))
    laws = [chain.law(float(t)) for t in range(len(betas), -1, -1)]
    alpha = np.array([law.mean[0] for law in laws])
    return alpha, np.sqrt(np.maximum([law.covariance[0, 0] for law in laws] - 0.25 * alpha**2, 0))
