r"""Stochastic equations with solutions: in X_0 and W_1, path by path, or by their moments.

dX = (μ √(1 + X²) + ½s² X) dt + s √(1 + X²) dW     X_1 = sinh(arsinh X_0 + μ + s W_1)
dZ = α Z dt + Σ_k β_k Z dW_k   (complex numbers)   Z_1 = Z_0 exp(α − ½ Σ β_k² + Σ β_k W_k)
dX = −(X + c) dt + e^{−t} dW                       X_1 = (X_0 + W_1)/e − c (1 − 1/e)
dX = A X dt + Σ_k B_k X dW_k                       ∂_t P = A P + P Aᵀ + Σ_k B_k P B_kᵀ,   P = E X Xᵀ
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from scipy.linalg import expm

import fpk
from fpk.laws import Array

#: Mean and standard deviation of arsinh X_0.
START, SPREAD = 1.0, 0.1
#: The law of X_0 in the plane.
PLANE_START = fpk.Gaussian([1.0, 0.5], 0.1)
#: E X_0 X_0ᵀ of it.
PLANE_MOMENTS = np.array([[1.01, 0.5], [0.5, 0.26]])


class Solved(NamedTuple):
    """A problem with m noises, and X_1 as a function of X_0, shape (n, d), and W_1, shape (n, m)."""

    problem: fpk.Problem
    solution: Callable[[Array, Array], Array]
    noises: int = 1


def normal_sinh(mean: float, std: float) -> Any:
    """The law of sinh Y for Y ~ N(mean, std²)."""
    return stats.johnsonsu(-mean / std, 1 / std)


def hyperbolic(speed: float, noise: float, *, correction: float = 1.0, variance: float = 1.0) -> fpk.Problem:
    """The first equation; wrong with a factor other than 1 on the Itô correction ½s² X or on the noise variance."""
    drift = f"{speed}*sqrt(1 + x**2) + {correction * noise**2 / 2}*x"
    return fpk.Problem(drift, f"{noise * variance**0.5}*sqrt(1 + x**2)", initial=normal_sinh(START, SPREAD))


def hyperbolics(speed: float, noise: float, **slips: float) -> Solved:
    """The first equation with its solution; ``slips`` are those of :func:`hyperbolic`."""
    return Solved(hyperbolic(speed, noise, **slips), lambda x, w: np.sinh(np.arcsinh(x) + speed + noise * w))


def spirals(rate: complex, noise: tuple[complex, ...], *, correction: float = 1.0, variance: float = 1.0) -> Solved:
    """The second equation as one of the plane, with matrices that commute; slips as for :func:`hyperbolic`."""
    ito = 0.5 * sum(b * b for b in noise)
    a, used = rate + (correction - 1) * ito, [b * variance**0.5 for b in noise]
    drift = fpk.Linear(np.array([[a.real, -a.imag], [a.imag, a.real]]))
    diffusion = [[f"({b.real})*x0 - ({b.imag})*x1" for b in used], [f"({b.imag})*x0 + ({b.real})*x1" for b in used]]

    def solution(x: Array, w: Array) -> Array:
        z = (x @ [1, 1j]) * np.exp(rate - ito + w @ np.array(noise))
        return np.stack([z.real, z.imag], axis=1)

    return Solved(fpk.Problem(drift, diffusion, initial=PLANE_START), solution, len(noise))


def fading(*, variance: float = 1.0) -> Solved:
    """The third equation with c = ½; wrong with another noise variance than 1."""
    problem = fpk.Problem("-x - 0.5", f"{variance**0.5!r}*exp(-t)", initial=fpk.Gaussian(1.0, 0.3))
    return Solved(problem, lambda x, w: np.exp(-1) * (x + w) + 0.5 * np.expm1(-1))


def cubic() -> Solved:
    """The flow of dX = −X³ dt: no noise."""
    return Solved(fpk.Problem("-x**3", 0, initial=fpk.Gaussian(0.8, 0.1)), lambda x, w: x / np.sqrt(1 + 2 * x**2))


@dataclass(frozen=True, eq=False)
class Crossed:
    """The last equation with two matrices that do not commute, B_1 = b diag(1, −1) and B_2 = b times the exchange of coordinates.

    Parameters
    ----------
    turning : array, shape (2, 2)
        A.
    strength : float
        b.
    """

    turning: Array
    strength: float

    @property
    def problem(self) -> fpk.Problem:
        """The equation."""
        A, b = fpk.Linear(self.turning), self.strength
        return fpk.Problem(A, [[f"{b}*x0", f"{b}*x1"], [f"-{b}*x1", f"{b}*x0"]], initial=PLANE_START)

    def moments(self, P: Array, time: float) -> Array:
        """E X_t X_tᵀ from P = E X_0 X_0ᵀ, shape (2, 2)."""
        A, one = self.turning, np.eye(2)
        return _applied(expm(time * (np.kron(A, one) + np.kron(one, A) + self._spreading)), P)

    def euler_moments(self, P: Array, steps: int) -> Array:
        """The same of the Euler chain at time 1."""
        A = np.eye(2) + self.turning / steps
        return _applied(np.linalg.matrix_power(np.kron(A, A) + self._spreading / steps, steps), P)

    @property
    def _spreading(self) -> Array:
        """P ↦ Σ B_k P B_kᵀ."""
        kept, exchanged = np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
        return self.strength**2 * (np.kron(kept, kept) + np.kron(exchanged, exchanged))


def _applied(transition: Array, P: Array) -> Array:
    return (transition @ P.ravel()).reshape(2, 2)
