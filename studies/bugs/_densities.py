r"""Likelihoods as users write them, each with numbers in the places where mistakes are made.

Along a flow from data x to noise z, d log p(x_t)/dt = −∇·v, so that log p(x) = log p_T(z) + ∫ ∇·v dt; a model whose time runs from noise to data
is followed backwards, and its steps are negative.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

import fpk
from fpk.fields import exact_field
from fpk.laws import Array
from fpk.schedules import OTSchedule

LINE = fpk.GaussianMixture([0.3, 0.7], [2.2, 3.8], stds=[0.3, 0.5])
PLANE = fpk.GaussianMixture([0.4, 0.6], [[2.2, 0.5], [3.8, -1.0]], stds=[0.4, 0.7])
BALL = fpk.Gaussian([3.0, 1.0], 0.6)
OT, VE = OTSchedule(), fpk.VESchedule(0.1, 3.0)
#: Steps of the flows, what they leave, and the step of the users' differences.
STEPS, ERROR, NEAR = 32, 1e-4, 1e-4


# -- likelihoods as they are written -----------------------------------------------------------------------------------


def _standard_normal(z: Array) -> Array:
    return -0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * np.log(2 * np.pi)


def _two_sided(velocity: Callable[..., Array], x: Array, t: float) -> Array:
    """The divergence by two-sided differences, one coordinate at a time."""
    total = np.zeros(len(x))
    for k in range(x.shape[1]):
        e = np.zeros(x.shape[1])
        e[k] = NEAR
        total += (velocity(x + e, t)[:, k] - velocity(x - e, t)[:, k]) / (2 * NEAR)
    return total


def _integrated(
    velocity: Callable[..., Array], x: Array, times: Array, trace: Callable[..., Array] = _two_sided
) -> tuple[Array, Array]:
    """Runge–Kutta for the position and the integral of the divergence."""
    total = np.zeros(len(x))
    for t, after in itertools.pairwise(times):
        h = after - t
        a = velocity(x, t)
        b = velocity(x + 0.5 * h * a, t + 0.5 * h)
        c = velocity(x + 0.5 * h * b, t + 0.5 * h)
        d = velocity(x + h * c, after)
        middle = trace(velocity, x + h / 4 * (a + b), t + 0.5 * h)
        end = x + h / 6 * (a + 2 * b + 2 * c + d)
        total = total + h / 6 * (trace(velocity, x, t) + 4 * middle + trace(velocity, end, after))
        x = end
    return x, total


@dataclass(frozen=True)
class FlowMatching:
    """A likelihood whose model runs from noise at u = 0 to data at u = 1, in nats."""

    sign: float = 1.0
    weight: float = 1.0
    constant: bool = True
    unit: float = 1.0
    law: fpk.GaussianMixture = field(default_factory=lambda: LINE)

    @property
    def model(self) -> Callable[[Array, float], Array]:
        """dx/du."""
        exact = exact_field(self.law, OT, kind="velocity")
        return lambda x, u: -exact(x, 1 - u)

    def __call__(self, x: Array) -> Array:
        """From data back to noise."""
        z, total = _followed(self.law, x.tobytes(), x.shape)
        prior = _standard_normal(z) if self.constant else -0.5 * (z**2).sum(1)
        return (prior + self.sign * self.weight * total) / self.unit


@cache
def _followed(law: fpk.GaussianMixture, positions: bytes, shape: tuple[int, ...]) -> tuple[Array, Array]:
    x = np.frombuffer(positions).reshape(shape)
    return _integrated(FlowMatching(law=law).model, x, 1 - np.linspace(0, 1, STEPS + 1) ** 1.5)


@dataclass(frozen=True)
class Exploding:
    """A likelihood along the flow of growing noise, with the law that it reaches as the prior."""

    prior: Any = None
    weight: float = 1.0

    def __call__(self, x: Array) -> Array:
        """From data to noise."""
        z, total = _exploded(x.tobytes(), x.shape)
        prior = _noised(LINE) if self.prior is None else self.prior
        return prior.log_density(z) + self.weight * total


def _noised(law: fpk.GaussianMixture) -> fpk.GaussianMixture:
    return law.pushed(np.eye(1), np.zeros(1), VE.sigma(1.0) ** 2 * np.eye(1))


@cache
def _exploded(positions: bytes, shape: tuple[int, ...]) -> tuple[Array, Array]:
    exact = exact_field(LINE, VE, kind="velocity")
    return _integrated(exact, np.frombuffer(positions).reshape(shape), np.linspace(0, 1, STEPS + 1))


#: An affine flow of the plane, x = M z + m, and the law it makes of a standard normal one.
M, SHIFT = np.array([[0.6, 0.0], [0.3, 1.4]]), np.array([3.0, -1.0])
SHEARED = fpk.Gaussian(SHIFT, covariance=M @ M.T)


def _inverse(x: Array) -> Array:
    """M⁻¹ (x − m), by substitution."""
    first = (x[:, 0] - SHIFT[0]) / M[0, 0]
    return np.stack([first, (x[:, 1] - SHIFT[1] - M[1, 0] * first) / M[1, 1]], axis=1)


@dataclass(frozen=True)
class Affine:
    """A normalising flow: log N(z) − log |det M|."""

    sign: float = -1.0
    mean: bool = False
    once: bool = False
    weight: float = 1.0

    def __call__(self, x: Array) -> Array:
        """By the inverse."""
        z = _inverse(x)
        determinant = self.sign * self.weight * np.log(np.abs(np.diag(M)))
        if self.mean:
            return (-0.5 * z**2 - 0.5 * np.log(2 * np.pi) + determinant).mean(1)
        constant = 0.5 * np.log(2 * np.pi) * (1 if self.once else 2)
        return -0.5 * (z**2).sum(1) - constant + determinant.sum()


def _to_ball(x: Array, u: float) -> Array:
    """The velocity from noise to BALL, a normal law of one variance."""
    mean, variance = BALL.mean, float(BALL.covariance[0, 0])
    return mean + (u * variance - (1 - u)) / (u**2 * variance + (1 - u) ** 2) * (x - u * mean)


@dataclass(frozen=True)
class Probed:
    """A flow of the plane whose divergence is estimated with probes of signs, from one law whose Jacobian is a multiple of the identity."""

    over: Callable[[int], float] = float
    weight: float = 1.0

    def __call__(self, x: Array, count: int, rng: np.random.Generator) -> Array:
        """The same probes all along the way."""
        z = rng.choice([-1.0, 1.0], size=(count, *x.shape))

        def trace(velocity: Callable[..., Array], y: Array, t: float) -> Array:
            ends = [velocity((y + step * z).reshape(-1, y.shape[1]), t).reshape(z.shape) for step in (NEAR, -NEAR)]
            along = (z * (ends[0] - ends[1])).sum(2) / (2 * NEAR)
            return self.weight * np.sum(along, axis=0) / self.over(count)

        end, total = _integrated(_to_ball, x, 1 - np.linspace(0, 1, 7) ** 1.5, trace)
        return _standard_normal(end) + total


def there(x: Array) -> tuple[Array, Array]:
    z = _inverse(x)
    return z, np.full(len(x), -np.log(np.abs(np.linalg.det(M))))


def back(z: Array, *, sign: float = 1.0, weight: float = 1.0) -> tuple[Array, Array]:
    return z @ M.T + SHIFT, np.full(len(z), sign * weight * np.log(np.abs(np.linalg.det(M))))
