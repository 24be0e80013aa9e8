r"""Where a process was a short time before it is at y: posteriors by quadrature, and exactly for Gaussian mixtures.

The density of X_t given X_{t+h} = y is proportional to p_t(x) k_h(y|x), k_h the transition density. Quadratures run over
x = y + σ√h z with the weights of N(0, 1), which the kernel contains as a factor up to smooth ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import fpk
from fpk.laws import Array, GaussianMixture, central_derivative
from fpk.moments import transition

from .._systems import DATA

#: Nodes of the Gauss–Hermite rules.
NODES = 48
#: Positions y that are looked back from.
POINTS = np.array([-0.9, 0.3, 1.6])
#: Step of the numerical derivatives.
SMALL = 0.01


def hermite(nodes: int = NODES) -> tuple[Array, Array]:
    """Nodes and weights of N(0, 1)."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    return z, w / w.sum()


def normal_log(x: Array | float, mean: Array | float, variance: float) -> Array:
    """The logarithm of the density of N(mean, variance) at x."""
    return -0.5 * np.square(np.subtract(x, mean)) / variance - 0.5 * np.log(2 * np.pi * variance)


@dataclass(frozen=True)
class Forward:
    """dX = f dt + σ dW from the data law, and what is known of it at the time t = .4.

    Parameters
    ----------
    rate : float
        f = −rate x.
    noise : float
        σ.
    data : GaussianMixture
    time : float
    """

    rate: float = 0.85
    noise: float = 0.8
    data: GaussianMixture = DATA
    time: float = 0.4

    @cached_property
    def problem(self) -> fpk.Problem:
        """The SDE."""
        return fpk.Problem(fpk.Linear(-self.rate), self.noise, initial=self.data, horizon=2.0)

    @cached_property
    def _exact(self) -> fpk.LawMarginals:
        return fpk.exact(self.problem, times=[self.time])

    def drift(self, x: Array) -> Array:
        """The drift f at x."""
        return -self.rate * x

    def log_density(self, x: Array, later: float = 0.0) -> Array:
        """The logarithm of the density at x, shape (n,), at t + ``later``."""
        return self._exact.law(self.time + later).log_density(np.asarray(x)[:, None])

    def score(self, x: Array) -> Array:
        """∂ log p_t at x, shape (n,)."""
        return self._exact.law(self.time).score(np.asarray(x)[:, None])[:, 0]

    def curvature(self, x: Array) -> Array:
        """∂² log p_t at x."""
        return central_derivative(self.score, np.asarray(x), SMALL)

    def time_slope(self, x: Array) -> Array:
        """∂ log p_t/∂t at x."""
        after: Callable[[Array], Array] = lambda h: self.log_density(x, float(h[0]))  # noqa: E731
        return central_derivative(after, np.zeros(1), SMALL)

    def step(self, h: float) -> tuple[float, float]:
        """Slope and variance of X_{t+h} given X_t."""
        moved = transition(self.problem, self.time, self.time + h)
        return float(moved.slope[0, 0]), float(moved.covariance[0, 0])

    def log_kernel(self, y: float, x: Array, h: float) -> Array:
        """The logarithm of the transition density from x to y."""
        slope, variance = self.step(h)
        return normal_log(y, slope * x, variance)


Kernel = Callable[[float, Array, float], Array]
Weight = Callable[[float, Array, float], Array]


def short_kernel(drift: Callable[[Array], Array], noise: float) -> Kernel:
    """The logarithm of N(y; x + f(x) h, σ²h)."""
    return lambda y, x, h: normal_log(y, x + drift(x) * h, noise**2 * h)


def moments_before(kernel: Kernel, weight: Weight, noise: float, y: float, h: float) -> Array:
    """(E x − y)/h, variance/h and fourth central moment/h² of the density proportional to kernel · exp(weight)."""
    z, w = hermite()
    x = y + noise * h**0.5 * z
    logs = kernel(y, x, h) + weight(y, x, h) + 0.5 * z**2
    mass = w * np.exp(logs - logs.max())
    mass = mass / mass.sum()
    mean = mass @ z
    off = z - mean
    return np.array([noise * mean / h**0.5, noise**2 * (mass @ off**2), noise**4 * (mass @ off**4)])


def before_all(kernel: Kernel, weight: Weight, noise: float, points: Array, h: float) -> Array:
    """:func:`moments_before` at all points: three means, three variances, three fourth moments."""
    return np.stack([moments_before(kernel, weight, noise, float(y), h) for y in points], axis=1).ravel()


def mixture_before(prior: GaussianMixture, slope: Array, covariance: Array, y: Array) -> tuple[Array, Array]:
    """Mean and covariance of X given ΦX + N(0, V) = y, X from a Gaussian mixture: each component by its own regression."""
    weights, means, spreads = [], [], []
    for weight, mean, spread in zip(prior.weights, prior.means, prior.covariances, strict=True):
        total = slope @ spread @ slope.T + covariance
        gain, off = np.linalg.solve(total, slope @ spread).T, y - slope @ mean
        weights.append(np.log(weight) - 0.5 * off @ np.linalg.solve(total, off) - 0.5 * np.linalg.slogdet(total)[1])
        means.append(mean + gain @ off)
        spreads.append(spread - gain @ slope @ spread)
    share = np.exp(np.array(weights) - max(weights))
    share /= share.sum()
    centre = share @ np.array(means)
    apart = np.array(means) - centre
    return centre, np.einsum("m,mij->ij", share, np.array(spreads) + apart[:, :, None] * apart[:, None, :])
