r"""Reversed processes of Gaussian data, whose laws stay Gaussian, their Euler chains, and how far these are from the data.

With a linear score the reverse SDE is linear, dY = (a Y + c) dτ + g dW̄: its law, and that of its Euler chain, follow from the equations of
mean and variance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import ndtr

import fpk
from fpk.laws import Array
from fpk.schedules import Schedule

from .._systems import scaled


@dataclass(frozen=True)
class Noising:
    """A schedule, Gaussian data N(mean, variance) and a horizon."""

    schedule: Schedule
    mean: float
    variance: float
    horizon: float

    @cached_property
    def data(self) -> fpk.Gaussian:
        """The law of X_0."""
        return fpk.Gaussian(self.mean, self.variance**0.5)

    @cached_property
    def problem(self) -> fpk.Problem:
        """The forward SDE."""
        return fpk.noising(self.schedule, self.data, horizon=self.horizon)

    @cached_property
    def exact(self) -> fpk.LawMarginals:
        """Its laws."""
        return fpk.exact(self.problem, times=[self.horizon])

    @property
    def total(self) -> float:
        """B = −log of the share of the data's variance that is left at T."""
        return -2 * float(np.log(self.schedule.alpha(self.horizon)))

    @property
    def end(self) -> fpk.Gaussian:
        """The law of X_T."""
        (mean,), (variance,) = self.at(np.array([self.horizon]))
        return fpk.Gaussian(mean, variance**0.5)

    def at(self, t: Array) -> tuple[Array, Array]:
        """Mean and variance of X_t."""
        alpha = np.array([self.schedule.alpha(s) for s in t])
        sigma = np.array([self.schedule.sigma(s) for s in t])
        return alpha * self.mean, alpha**2 * self.variance + sigma**2

    def reversed_from(self, start: fpk.Gaussian, *, factor: float = 1.0, noise: float = 1.0) -> fpk.Problem:
        """The reverse SDE from ``start`` with ``factor`` times the score and ``noise`` times g, stated as a linear problem."""
        forward: Callable[[float], float] = lambda t: noise * self.schedule.diffusion(t)  # noqa: E731
        back = fpk.reverse_time(self.problem, scaled(self.exact.score, factor), initial=start, noise=forward)
        g: Callable[[float], float] = lambda tau: forward(self.horizon - tau)  # noqa: E731
        return fpk.Problem(fpk.Linear(*coefficients(back)), g, initial=start, horizon=self.horizon)


def coefficients(problem: fpk.Problem) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Slope and value at 0 of a drift that is linear in x."""
    ends = np.array([[0.0], [1.0]])

    @lru_cache(maxsize=4096)
    def line(t: float) -> tuple[float, float]:
        at_zero, at_one = problem.drift(ends, t).ravel()
        return float(at_one - at_zero), float(at_zero)

    return (lambda t: line(t)[0]), (lambda t: line(t)[1])


def euler_moments(problem: fpk.Problem, steps: int, start: tuple[float, float]) -> tuple[float, float]:
    """Mean and variance at the horizon of the Euler chain of a linear problem, from those of its start."""
    slope, shift = coefficients(problem)
    (mean, variance), h, origin = start, problem.horizon / steps, np.zeros((1, 1))
    for k in range(steps):
        a, g = slope(k * h), float(problem.diffusion(origin, k * h).ravel()[0])
        mean, variance = mean + h * (a * mean + shift(k * h)), (1 + h * a) ** 2 * variance + h * g**2
    return mean, variance


def euler_second_moment(problem: fpk.Problem, steps: int, noise: float) -> float:
    """E X² at the horizon of the Euler chain with ``noise`` times g, by transition matrices on equally spaced points of the line."""
    x = np.linspace(-6.0, 6.5, 180)
    mass, h = np.exp(problem.initial.log_density(x[:, None])) * (x[1] - x[0]), problem.horizon / steps
    for k in range(steps):
        g = noise * float(problem.diffusion(x[:1, None], k * h).ravel()[0])
        moved = x + h * problem.drift(x[:, None], k * h)[:, 0]
        mass = (
            np.exp(-0.5 * ((x[:, None] - moved) / g) ** 2 / h) @ mass * ((x[1] - x[0]) / (g * (2 * np.pi * h) ** 0.5))
        )
    return float(mass @ x**2)


def total_variation(first: tuple[float, float], second: tuple[float, float]) -> float:
    """The total variation distance of two Gaussians given by mean and variance: distribution functions where the densities cross."""
    (m, v), (n, w) = first, second
    squares = [1 / w - 1 / v, 2 * (m / v - n / w), n**2 / w - m**2 / v + np.log(w / v)]
    cuts = np.sort(np.roots(np.trim_zeros(squares, "f")).real)
    gaps = ndtr((cuts - m) / v**0.5) - ndtr((cuts - n) / w**0.5)
    return float(0.5 * np.abs(np.diff(gaps, prepend=0.0, append=0.0)).sum())


def path_entropy(noising: Noising, steps: int, factor: float) -> float:
    """KL = ½∫E|b − b̂|²/g² dt of VP at a constant rate: b = β(½x + ∇log p_t), b̂ with ``factor`` times the score, held at X_r over each step.

    X is the forward process, r the later end of the step: X_r = αX_t + N(0, 1 − α²).
    """
    u, w = np.polynomial.legendre.leggauss(3)
    h, beta = noising.horizon / steps, noising.total / noising.horizon
    r = np.repeat(h * np.arange(1, steps + 1), len(u))
    t, alpha = r - np.tile(0.5 * h * (1 + u), steps), np.exp(-0.25 * h * beta * np.tile(1 + u, steps))
    (m, v), (held_m, held_v) = noising.at(t), noising.at(r)
    slope, held = 0.5 - 1 / v, 0.5 - factor / held_v
    off = (slope - held * alpha) * m + m / v - factor * held_m / held_v
    squares = off**2 + (slope - held * alpha) ** 2 * v + held**2 * (1 - alpha**2)
    return float(0.5 * beta * (0.5 * h) * (squares @ np.tile(w, steps)))


def wasserstein(first: tuple[float, float], second: tuple[float, float]) -> float:
    """The Wasserstein distance W₂ of two Gaussians given by mean and variance."""
    return float(np.hypot(first[0] - second[0], first[1] ** 0.5 - second[1] ** 0.5))
