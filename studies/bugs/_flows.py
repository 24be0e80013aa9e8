r"""Loops of flow matching, for models that return the velocity of the straight path.

Towards the data the path is X_u = (1 − u) Z + u X_0 and the model, told u, returns dX/du; the loops go from u = 0 to 1.

    Euler       x + h v(x, u)
    midpoint    x + h v(x + ½ h v(x, u), u + ½ h)
    Heun        x + ½ h (v(x, u) + v(x + h v(x, u), u + h))

Towards the noise it is X_σ = (1 − σ) X_0 + σ Z, the model, told 1000 σ, returns dX/dσ = Z − X_0, and levels are *shifted*: σ' = s σ/(1 + (s − 1) σ).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from fpk.laws import Array
from fpk.schedules import OTSchedule

from ._examples import Loop, Model

#: What is declared about loops of first order towards the data, and towards the noise.
FLOW = {
    "kind": "velocity",
    "schedule": OTSchedule(),
    "time": "path",
    "direction": "t_data",
    "scale": "path",
    "order": 1,
}
BACKWARDS = FLOW | {"direction": "t_noise"}


@cache
def forwards(steps: int) -> Array:
    """From noise to data."""
    return np.linspace(0.0, 1.0, steps + 1)


def as_it_is(u: float) -> float:
    """The label of a time."""
    return u


def reversed_label(u: float) -> float:
    """The label of the other direction."""
    return 1 - u


@dataclass(frozen=True)
class FlowEuler(Loop):
    """Euler; label and sign of the velocity are exchangeable."""

    label: Callable[[float], float] = as_it_is
    sign: float = 1.0
    started: Callable[[int, np.random.Generator], Array] = lambda n, rng: rng.standard_normal((n, 1))

    def levels(self, steps: int) -> Array:
        """Times, 0 first."""
        return forwards(steps)

    def times(self, steps: int) -> Array:
        """Times of the path, the noise at 1."""
        return 1 - self.levels(steps)

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """One slope."""
        u, after = (float(level) for level in self.levels(steps)[k : k + 2])
        return x + (after - u) * self.sign * model(x, self.label(u))

    def prior(self, n: int, rng: np.random.Generator) -> Array:
        """Normal noise."""
        return self.started(n, rng)


def in_the_middle(u: float, h: float) -> float:
    """Where the second slope of the midpoint rule is taken."""
    return u + h / 2


@dataclass(frozen=True)
class Midpoint(FlowEuler):
    """The midpoint rule; the time of the second slope is exchangeable."""

    second: Callable[[float, float], float] = in_the_middle

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """The slope in the middle."""
        u, after = (float(level) for level in self.levels(steps)[k : k + 2])
        h = after - u
        return x + h * model(x + h / 2 * model(x, u), self.second(u, h))


def moved(x: Array, h: float, slope: Array) -> Array:
    """Where the second slope of Heun's rule is taken."""
    return x + h * slope


@dataclass(frozen=True)
class FlowHeun(FlowEuler):
    """Heun's rule; the position of the second slope is exchangeable."""

    ahead: Callable[[Array, float, Array], Array] = moved

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """The mean of two slopes."""
        u, after = (float(level) for level in self.levels(steps)[k : k + 2])
        first = model(x, u)
        return x + (after - u) / 2 * (first + model(self.ahead(x, after - u, first), after))


def shifted(level: Array, shift: float = 3.0) -> Array:
    """S σ/(1 + (s − 1) σ)."""
    return shift * level / (1 + (shift - 1) * level)


def once(level: Array) -> Array:
    """The levels as they are."""
    return level


@dataclass(frozen=True)
class ShiftedEuler(Loop):
    """Euler over shifted levels, the noise first; what is done to the levels that the step uses is exchangeable."""

    again: Callable[[Array], Array] = once

    def levels(self, steps: int) -> Array:
        """Levels, 1 first."""
        return shifted(1 - forwards(steps))

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """One slope."""
        told = self.levels(steps)[k]
        level, after = self.again(self.levels(steps)[k : k + 2])
        return x + (after - level) * model(x, 1000.0 * float(told))
