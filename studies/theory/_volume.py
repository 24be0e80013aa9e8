r"""Motions whose maps x_0 ↦ x_t are known in closed form both ways, and the densities they carry: p_t = p_0(x_0) |det ∂x_0/∂x_t|.

================ ======================================================================================================
line             sinh x solves ẏ = −y + cos 3t
ẋ = sin x        tan(x/2) grows as eᵗ
vortex           ẋ = (1 − r²) x + r² J x, J a quarter turn: a limit cycle at r = 1
turning          (x₀, x₁ − κ sin x₀) solves ẏ = R(t)(M + J)R(t)ᵀ y, whose matrices at two times do not commute
swirl            ẋ = e^{−r²} J x, which keeps areas
decay            ẋ = −x
================ ======================================================================================================

Determinants are those of differences of the inverse map; nothing here knows of divergences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import fpk
from fpk.laws import Array, central_derivative

from .._systems import DATA
from ._motions import PLANE_DATA, PLANE_PLACES

#: Positions at a time.
Moving = Callable[[Array, float], Array]
#: A map of positions (n, d).
Map = Callable[[Array], Array]


def jacobian(function: Map, x: Array, step: float = 4e-3) -> Array:
    """∂f_i/∂x_j at x of shape (n, d) by differences, shape (n, d, d)."""
    return np.stack(
        [central_derivative(lambda h, e=e: function(x + h * e), np.zeros(1), step) for e in np.eye(x.shape[1])], axis=2
    )


@dataclass(frozen=True, eq=False)
class Motion:
    """A motion without noise.

    Parameters
    ----------
    velocity : callable
        v(x, t).
    image, origin : callable
        Where points from x at time 0 are at t, and where points that are at x at time t were at 0.
    initial : Law
    places : array, shape (n, d)
        Starts of points that are looked at.
    """

    velocity: Moving
    image: Moving
    origin: Moving
    initial: Any
    places: Array

    @cached_property
    def problem(self) -> fpk.Problem:
        """The same for the library."""
        return self.changed(1.0)

    def changed(self, factor: float) -> fpk.Problem:
        """With a factor on the velocity."""
        return fpk.Problem(lambda x, t: factor * self.velocity(x, t), 0.0, initial=self.initial)

    def log_density(self, x: Array, t: float) -> Array:
        """Log p_t at x, shape (n,)."""
        volume = np.linalg.det(jacobian(lambda y: self.origin(y, t), x, 2.5e-3))
        return self.initial.log_density(self.origin(x, t)) + np.log(np.abs(volume))

    def density(self, x: Array, t: float) -> Array:
        """P_t at x, shape (n,)."""
        return np.exp(self.log_density(x, t))


def turned(x: Array, angle: Array | float) -> Array:
    """Each position turned by its angle."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * x[:, 0] - s * x[:, 1], s * x[:, 0] + c * x[:, 1]], axis=1)


def squared(x: Array) -> Array:
    """r², shape (n, 1)."""
    return (x**2).sum(1, keepdims=True)


def quarter(x: Array) -> Array:
    """J x."""
    return np.stack([-x[:, 1], x[:, 0]], axis=1)


# -- on the line -------------------------------------------------------------------------------------------------------


def _driven(t: float) -> float:
    """The solution of ẏ = −y + cos 3t from 0."""
    return (np.cos(3 * t) + 3 * np.sin(3 * t) - np.exp(-t)) / 10


def _around(x: Array, t: float) -> Array:
    """The flow of ẋ = sin x, on its own branch."""
    turns = 2 * np.pi * np.round(x / (2 * np.pi))
    half = (x - turns) / 2
    return turns + 2 * np.arctan2(np.exp(t) * np.sin(half), np.cos(half))


ON_THE_LINE = np.array([[-1.3], [-0.4], [0.3], [0.9], [1.7]])
LINE = Motion(
    lambda x, t: (np.cos(3 * t) - np.sinh(x)) / np.cosh(x),
    lambda x, t: np.arcsinh(np.exp(-t) * np.sinh(x) + _driven(t)),
    lambda x, t: np.arcsinh(np.exp(t) * (np.sinh(x) - _driven(t))),
    DATA,
    ON_THE_LINE,
)
SINE = Motion(lambda x, t: np.sin(x), _around, lambda x, t: _around(x, -t), fpk.Gaussian(0.3, 0.7), ON_THE_LINE)
DECAY = Motion(
    lambda x, t: -x, lambda x, t: np.exp(-t) * x, lambda x, t: np.exp(t) * x, fpk.Gaussian(0.0, 1.0), ON_THE_LINE
)

# -- in the plane ------------------------------------------------------------------------------------------------------


def _cycled(x: Array, t: float) -> Array:
    """The flow of the vortex."""
    grown = 1 + squared(x) * (np.exp(2 * t) - 1)
    return np.exp(t) / np.sqrt(grown) * turned(x, 0.5 * np.log(grown[:, 0]))


def _uncycled(x: Array, t: float) -> Array:
    """Its inverse: the flow of the same field backwards."""
    return _cycled(x, -t)


M, KAPPA = np.array([[-0.5, 0.8], [0.1, 0.3]]), 0.6
J = np.array([[0.0, -1.0], [1.0, 0.0]])


def _rotation(t: float) -> Array:
    return np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])


def _sheared(y: Array, sign: float = 1.0) -> Array:
    return np.stack([y[:, 0], y[:, 1] + sign * KAPPA * np.sin(y[:, 0])], axis=1)


def _turning(x: Array, t: float) -> Array:
    y = _sheared(x, -1.0)
    rate = y @ (_rotation(t) @ (M + J) @ _rotation(t).T).T
    rate[:, 1] += KAPPA * np.cos(y[:, 0]) * rate[:, 0]
    return rate


RATES, AXES = np.linalg.eig(M)


def _linear(t: float) -> Array:
    """R(t) e^{Mt}: where ẏ takes y_0."""
    return _rotation(t) @ (AXES * np.exp(RATES * t)) @ np.linalg.inv(AXES)


VORTEX = Motion(
    lambda x, t: (1 - squared(x)) * x + squared(x) * quarter(x), _cycled, _uncycled, PLANE_DATA, 0.7 * PLANE_PLACES
)
TURNING = Motion(
    _turning,
    lambda x, t: _sheared(_sheared(x, -1.0) @ _linear(t).T),
    lambda x, t: _sheared(_sheared(x, -1.0) @ np.linalg.inv(_linear(t)).T),
    PLANE_DATA,
    PLANE_PLACES,
)
SWIRL = Motion(
    lambda x, t: np.exp(-squared(x)) * quarter(x),
    lambda x, t: turned(x, t * np.exp(-squared(x)[:, 0])),
    lambda x, t: turned(x, -t * np.exp(-squared(x)[:, 0])),
    PLANE_DATA,
    PLANE_PLACES,
)
