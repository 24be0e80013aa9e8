r"""Smooth drifts, potentials and diffusions made of one wave, with Lipschitz constants that are known.

    f_i(x, t) = −rate x_i + shift + height sin(wave x_{i+1} + phase + speed t),      ‖f(x) − f(y)‖ ≤ (|rate| + |height wave|) ‖x − y‖
    g_i(x, t) = level (1 + ripple sin(wave x_i + speed t)),                          |ripple| < 1

with x_{d+1} = x_1. In one dimension and without a speed, f = −U' of a potential with wells; in more dimensions f does not derive from any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.coefficients import Linear
from fpk.laws import Array
from fpk.shown import written
from fpk.tracing import reading


class _Told:
    """Shown by what differs from the defaults."""

    def __repr__(self) -> str:
        return written(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis and IPython print."""
        printer.text(repr(self))


@dataclass(frozen=True, repr=False)
class WavyDrift(_Told):
    """f_i(x, t) = −rate x_i + shift + height sin(wave x_{i+1} + phase + speed t), in any dimension.

    Parameters
    ----------
    rate, shift, height, wave, phase, speed : float
        Beyond the rate they default to 0, the wave to 1.

    Examples
    --------
    >>> f = WavyDrift(1.0, height=0.5, wave=2.0)
    >>> f(np.array([[0.0]]), 0.0), f.lipschitz
    (array([[0.]]), 2.0)
    """

    rate: float
    shift: float = 0.0
    height: float = 0.0
    wave: float = 1.0
    phase: float = 0.0
    speed: float = 0.0
    traceable = True  # no annotation: hypothesis would show it among the fields

    def __call__(self, x: Array, t: Any) -> Array:
        """The drift at x of shape (n, d)."""
        d = x.shape[1]
        turned = x if d == 1 else np.stack([x[:, (i + 1) % d] for i in range(d)], axis=1)
        return (
            self.shift
            - self.rate * x
            + self.height * np.sin(self.wave * turned + (self.phase + self.speed * reading(t)))
        )

    @property
    def lipschitz(self) -> float:
        """A Lipschitz constant in x."""
        return abs(self.rate) + abs(self.height * self.wave)

    @property
    def linear(self) -> Linear:
        """The drift without its wave."""
        return Linear(-self.rate, self.shift)


@dataclass(frozen=True, repr=False)
class Wells(_Told):
    """The potential U(x) = ½ stiffness x² − tilt x + (height/wave) cos(wave x + phase) of a :class:`WavyDrift` in one dimension.

    Parameters
    ----------
    stiffness, tilt, height, wave, phase : float
        Beyond the stiffness they default to 0, the wave to 1. There are several wells where height · wave is larger than the stiffness.

    Examples
    --------
    >>> U = Wells(1.0, height=2.0)
    >>> U(np.array([0.0, np.pi])).round(3)
    array([2.   , 2.935])
    >>> U.drift
    WavyDrift(rate=1.0, height=2.0)
    """

    stiffness: float
    tilt: float = 0.0
    height: float = 0.0
    wave: float = 1.0
    phase: float = 0.0

    def __call__(self, x: Array) -> Array:
        """U at x, entry by entry."""
        return (
            0.5 * self.stiffness * x**2 - self.tilt * x + self.height / self.wave * np.cos(self.wave * x + self.phase)
        )

    @property
    def drift(self) -> WavyDrift:
        """−U'."""
        return WavyDrift(self.stiffness, self.tilt, self.height, self.wave, self.phase)


@dataclass(frozen=True, repr=False)
class Swing(_Told):
    """level (1 + ripple sin(speed t)), a function of time.

    Parameters
    ----------
    level, ripple, speed : float

    Examples
    --------
    >>> Swing(2.0, 0.5, 1.0)(0.0)
    2.0
    """

    level: float
    ripple: float
    speed: float

    def __call__(self, t: float) -> float:
        """The value at t."""
        return self.level * (1 + self.ripple * float(np.sin(self.speed * t)))


@dataclass(frozen=True, repr=False)
class WavyNoise(_Told):
    """g_i(x, t) = level (1 + ripple sin(wave x_i + speed t)), in any dimension.

    Parameters
    ----------
    level, ripple, wave, speed : float
        |ripple| < 1, so that the noise never vanishes.

    Examples
    --------
    >>> WavyNoise(2.0, 0.5, 1.0)(np.array([[0.0]]), 0.0)
    array([[2.]])
    """

    level: float
    ripple: float
    wave: float
    speed: float = 0.0
    traceable = True  # no annotation: hypothesis would show it among the fields

    def __call__(self, x: Array, t: Any) -> Array:
        """The diffusion at x of shape (n, d)."""
        return self.level * (1 + self.ripple * np.sin(self.wave * x + self.speed * reading(t)))
