r"""Rectified flows of Gaussian couplings and of mixtures: Ż = v(Z, t), v(x, t) = E[X_1 − X_0 | X_t = x], X_t = (1 − t) X_0 + t X_1.

For jointly Gaussian ends the velocity is linear, v = K_t x, and everything is a covariance: with C_t = Cov X_t

    K_t = Cov(X_1 − X_0, X_t) C_t⁻¹,   Φ̇ = K Φ,   S = ∫ tr[(Φ_1 − 1 − K_t Φ_t) A (·)ᵀ] dt,   V = ∫ tr Cov(X_1 − X_0 | X_t) dt.

On the line a mixture goes to N(0, 1), along the velocity of fpk's exact field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.polynomial.legendre import leggauss

import fpk
from fpk.fields import exact_field
from fpk.laws import Array
from fpk.models.points import law_points
from fpk.samplers.flows import METHODS
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
    return (axes * np.sqrt(values)) @ axes.T


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

    def spread(self, t: float) -> float:
        """Tr Cov(X_1 − X_0 | X_t)."""
        return self.cost - float(np.trace(self.velocity(t) @ self._along(t).T))


#: Gauss nodes of a step on [0, 1], and weights.
_U, _W = (0.5 * a for a in (1 + leggauss(3)[0], leggauss(3)[1]))


@dataclass(frozen=True, eq=False)
class Flow:
    """The rectified flow of a coupling; each step goes through three Gauss nodes, for the integrals over t.

    Parameters
    ----------
    coupling : Coupling
    steps : int
    slip : callable
        What is wrong with the velocity.
    """

    coupling: Coupling
    steps: int
    slip: Slip = kept

    def velocity(self, t: float) -> Array:
        """What is followed at t."""
        return self.slip(self.coupling.velocity, t)

    @cached_property
    def _walk(self) -> tuple[Array, Array, Array]:
        """Gauss nodes (n,), weights (n,) and Φ there (n, d, d), with Φ_1 at the end of the last."""
        starts = np.arange(self.steps) / self.steps
        t = (starts[:, None] + _U / self.steps).ravel()
        state, table = np.eye(len(self.coupling.first)), []
        for a, b in zip(np.append(0.0, t), np.append(t, 1.0), strict=True):
            state = METHODS["rk4"].advanced(lambda m, s: self.velocity(s) @ m, state, (float(a), float(b)))
            table.append(state)
        return t, np.tile(_W / self.steps, self.steps), np.array(table)

    @property
    def map(self) -> Array:
        """Φ_1."""
        return self._walk[2][-1]

    def at(self, t: float) -> Array:
        """Φ at a time that is a whole number of steps."""
        if t == 1:
            return self.map
        count = round(t * self.steps)
        before = self._walk[2][3 * count - 1]
        a = float(self._walk[0][3 * count - 1])
        return METHODS["rk4"].advanced(lambda m, s: self.velocity(s) @ m, before, (a, t))

    def mean_square(self, maps: Array) -> float:
        """∫ E|M_t X_0|² dt for maps at the nodes, shape (n, d, d)."""
        return float(self._walk[1] @ np.einsum("nij,jk,nik->n", maps, self.coupling.first, maps))

    @cached_property
    def _velocities(self) -> Array:
        """Ż = K Φ at the nodes."""
        t, _, states = self._walk
        return np.array([self.velocity(float(s)) @ m for s, m in zip(t, states, strict=False)])

    @property
    def displacement(self) -> Array:
        """Φ_1 − 1."""
        return self.map - np.eye(len(self.map))

    @property
    def cost(self) -> float:
        """E|Z_1 − Z_0|²."""
        return float(np.trace(self.displacement @ self.coupling.first @ self.displacement.T))

    def straightness(self, share: float = 1.0) -> float:
        """S = ∫ E|Z_1 − Z_0 − Ż|² dt; ``share`` of the displacement."""
        return self.mean_square(share * self.displacement - self._velocities)

    @property
    def departure(self) -> float:
        """∫ E|Z_t − (1 − t) Z_0 − t Z_1|² dt."""
        t, _, states = self._walk
        return self.mean_square(states[:-1] - np.eye(len(self.map)) - t[:, None, None] * self.displacement)

    @cached_property
    def variance(self) -> float:
        """V = ∫ E Tr Cov(X_1 − X_0 | X_t) dt."""
        t, w, _ = self._walk
        return float(w @ np.array([self.coupling.spread(float(s)) for s in t]))

    @property
    def again(self) -> Coupling:
        """The coupling (Z_0, Z_1), which is deterministic."""
        A = self.coupling.first
        return Coupling(A, self.map @ A @ self.map.T, self.map @ A)


def apart(angle: float) -> Coupling:
    """The long law and its image turned by an angle, independent."""
    return Coupling(LONG, rotated(angle), np.zeros((2, 2)))


@lru_cache(maxsize=32)
def plane_flow(angle: float, steps: int, slip: Slip = kept) -> Flow:
    """The flow of that coupling."""
    return Flow(apart(angle), steps, slip)


@lru_cache(maxsize=8)
def reflowed(angle: float, times: int, steps: int) -> tuple[Flow, ...]:
    """The flow and its repetitions: each starts from the coupling of the one before."""
    flows = [plane_flow(angle, steps)]
    for _ in range(times - 1):
        flows.append(Flow(flows[-1].again, steps))
    return tuple(flows)


# -- on the line -------------------------------------------------------------------------------------------------------------

DATA = fpk.GaussianMixture([0.3, 0.7], [-1.2, 1.2], stds=[0.5, 0.7])
NOISE = fpk.Gaussian(0.0, 1.0)
FIELD = exact_field(DATA, OTSchedule(), kind="velocity")


def followed(field: Callable[[Array, float], Array], slip: Slip, x: Array, times: Array) -> Array:
    """Paths from places (n,) along a field, at the times: shape (len(times), n)."""
    table, place = [x], x[:, None]
    for a, b in pairwise(times):
        place = METHODS["rk4"].advanced(lambda y, s: slip(lambda u: field(y, u), s), place, (float(a), float(b)))
        table.append(place[:, 0])
    return np.array(table)


@lru_cache(maxsize=8)
def line_paths(steps: int) -> Array:
    """Paths of the flow from quadrature nodes of the data, shape (steps + 1, n)."""
    return followed(FIELD, kept, law_points(DATA, nodes=6).x[:, 0], np.linspace(0.0, 1.0, steps + 1))


def simpson(values: Array) -> float:
    """∫ over [0, 1] of values at equally spaced times, an odd number of them."""
    weights = np.ones(len(values))
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return float(weights @ values / weights.sum())
