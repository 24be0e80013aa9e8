r"""Rectified flows of Gaussian couplings and of mixtures: Ż = v(Z, t), v(x, t) = E[X_1 − X_0 | X_t = x], X_t = (1 − t) X_0 + t X_1.

For jointly Gaussian ends the velocity is linear, v = K_t x, and everything is a covariance: with C_t = Cov X_t

    K_t = Cov(X_1 − X_0, X_t) C_t⁻¹,     V = ∫ tr Cov(X_1 − X_0 | X_t) dt.

Flows, what they cost and their straightness are those of :mod:`fpk.samplers.rectified`, from points with the covariance of the ends: second moments, all
that is asked for, are then exact. fpk's clock runs from its noise (t = 1) to its data (t = 0): X_0 stands for its noise here, X_1 for its data. On the line
N(0, 1) goes to a mixture, along the velocity of fpk's exact field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

import fpk
from fpk.fields import Field, exact_field
from fpk.laws import Array
from fpk.models.points import law_points, time_integral
from fpk.samplers import Transported, reflow, transported
from fpk.schedules import OTSchedule

#: What is done to a velocity: the velocity as a function of time, and the time ↦ what the flow follows.
Slip = Callable[[Callable[[float], Array], float], Array]


def kept(velocity: Callable[[float], Array], t: float) -> Array:
    """The velocity itself."""
    return velocity(t)


def turned(angle: float) -> Array:
    """The rotation by an angle in the plane."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


#: A long and thin covariance.
LONG = np.diag([4.0, 0.05])


def rotated(angle: float) -> Array:
    """The same, turned."""
    return turned(angle) @ LONG @ turned(angle).T


def root(A: Array) -> Array:
    """The symmetric root of a covariance."""
    values, axes = np.linalg.eigh(A)
    return (axes * np.sqrt(np.maximum(values, 0.0))) @ axes.T


def optimal_cost(first: Array, second: Array) -> float:
    """W₂² of centred Gaussians: Tr(A + B − 2 (A^½ B A^½)^½)."""
    half = root(first)
    return float(np.trace(first + second - 2 * root(half @ second @ half)))


@dataclass(frozen=True, eq=False)
class Coupling:
    """Jointly Gaussian ends of mean 0.

    Parameters
    ----------
    first, second : array, shape (d, d)
        Covariances of X_0 and X_1.
    together : array, shape (d, d)
        E X_1 X_0ᵀ; 0 for independent ends.
    """

    first: Array
    second: Array
    together: Array

    @staticmethod
    def of(first: Array, second: Array) -> Coupling:
        """That of equally likely pairs of ends, shapes (n, d)."""
        count = len(first)
        return Coupling(first.T @ first / count, second.T @ second / count, second.T @ first / count)

    @property
    def ends(self) -> tuple[Array, Array]:
        """Equally likely pairs (X_0, X_1) with these covariances, each of shape (4d, d)."""
        joint = root(np.block([[self.first, self.together.T], [self.together, self.second]]))
        both = np.sqrt(len(joint)) * np.concatenate([joint, -joint])
        return both[:, : len(self.first)], both[:, len(self.first) :]

    @property
    def cost(self) -> float:
        """E|X_1 − X_0|²."""
        return float(np.trace(self.first + self.second - 2 * self.together))

    def covariance(self, t: float) -> Array:
        """Cov X_t."""
        M = t * (1 - t) * self.together
        return (1 - t) ** 2 * self.first + t**2 * self.second + M + M.T

    def _along(self, t: float) -> Array:
        """Cov(X_1 − X_0, X_t)."""
        return t * self.second - (1 - t) * self.first + (1 - t) * self.together - t * self.together.T

    def velocity(self, t: float) -> Array:
        """K_t."""
        return np.linalg.solve(self.covariance(t), self._along(t).T).T

    @property
    def variance(self) -> float:
        """V = ∫ Tr Cov(X_1 − X_0 | X_t) dt."""
        spread = lambda t: self.cost - float(np.trace(self.velocity(t) @ self._along(t).T))  # noqa: E731
        return time_integral(spread, start=0.0, end=1.0, nodes=64)


@dataclass(frozen=True)
class Linear:
    """The field with the velocity K_t x, or a slip of it, in fpk's clock.

    Parameters
    ----------
    matrix : callable
        t ↦ K_t.
    slip : callable
        What is wrong with the velocity.
    """

    matrix: Callable[[float], Array]
    slip: Slip = kept

    def velocity(self, x: Array, t: float) -> Array:
        """fpk's velocity at x of shape (n, d)."""
        return -x @ self.slip(self.matrix, 1 - t).T


#: Runge–Kutta steps for each step that is asked for.
FINER = 2


def rounds(coupling: Coupling, count: int, steps: int, slip: Slip = kept) -> tuple[Transported, ...]:
    """Flows, each made of the coupling that the one before has left."""
    first, second = coupling.ends
    return reflow(
        lambda data, noise: Linear(Coupling.of(noise, data).velocity, slip), second, first, rounds=count, steps=FINER * steps
    )  # fmt: skip


def apart(angle: float) -> Coupling:
    """The long law and its image turned by an angle, independent."""
    return Coupling(LONG, rotated(angle), np.zeros((2, 2)))


@lru_cache(maxsize=32)
def plane_flow(angle: float, steps: int) -> Transported:
    """The flow of that coupling."""
    return rounds(apart(angle), 1, steps)[0]


# -- on the line -------------------------------------------------------------------------------------------------------------

DATA = fpk.GaussianMixture([0.3, 0.7], [-1.2, 1.2], stds=[0.5, 0.7])
NOISE = fpk.Gaussian(0.0, 1.0)
FIELD = exact_field(DATA, OTSchedule(), kind="velocity")
PLACES = law_points(NOISE, nodes=12)


@dataclass(frozen=True)
class Slipped:
    """A field on the line with a slip of its velocity, in fpk's clock."""

    field: Field
    slip: Slip

    def velocity(self, x: Array, t: float) -> Array:
        """fpk's velocity."""
        return -self.slip(lambda s: -self.field.velocity(x, 1 - s), 1 - t)


@lru_cache(maxsize=8)
def line_flow(steps: int) -> Transported:
    """The flow from quadrature nodes of the noise."""
    return transported(FIELD, PLACES.x, steps=steps, weights=PLACES.weights)
