r"""Drifts and diffusions that are smooth, with a Lipschitz constant that is known.

    f_i(x, t) = −rate x_i + shift + height sin(wave x_{i+1} + phase + speed t),      ‖f(x) − f(y)‖ ≤ (|rate| + |height wave|) ‖x − y‖
    g_i(x, t) = level (1 + ripple sin(wave x_i + speed t)),                          |ripple| < 1

with x_{d+1} = x_1. In one dimension and without a speed, f = −U' of a potential with wells; in more dimensions f does not derive from any.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fpk.coefficients import Linear
from fpk.laws import Array
from fpk.strategies.ranges import checked_at_least_one, checked_dimensions, checked_kinds, checked_positive, numbers
from fpk.strategies.tensors import spd_tensors
from fpk.tracing import reading

#: Kinds of drifts and diffusions, the simplest first.
DRIFTS = ("linear", "wavy")
DIFFUSIONS = ("constant", "matrix", "time", "space")
#: Largest share of its level that a diffusion swings by.
RIPPLE = 0.5


class _Told:
    """Shown by what differs from the defaults."""

    def __repr__(self) -> str:
        given = [(f, getattr(self, f.name)) for f in fields(self)]  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{f.name}={value!r}' for f, value in given if value != f.default)})"


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
    traceable: ClassVar[bool] = True

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
    traceable: ClassVar[bool] = True

    def __call__(self, x: Array, t: Any) -> Array:
        """The diffusion at x of shape (n, d)."""
        return self.level * (1 + self.ripple * np.sin(self.wave * x + self.speed * reading(t)))


def drifts(
    *,
    min_dimension: int = 1,
    max_dimension: int = 1,
    lipschitz: float = 3.0,
    kinds: Collection[str] = DRIFTS,
    stable: bool = False,
) -> SearchStrategy[Any]:
    """Smooth drifts with a bounded Lipschitz constant in x: for ``Problem(drift, ...)``, or to be called as ``f(x, t)``.

    Parameters
    ----------
    min_dimension, max_dimension : int, default 1 and 1
        The dimensions the drift has to serve. Linear ones in the plane or space may turn, and then serve theirs alone: draw those with equal bounds.
    lipschitz : float, default 3
        ‖f(x, t) − f(y, t)‖ ≤ lipschitz ‖x − y‖.
    kinds : collection of str, default all of "linear", "wavy"
    stable : bool, default False
        Only drifts that pull back from afar.

    Returns
    -------
    SearchStrategy of Linear or WavyDrift
        Shrinks to ``Linear(-1.0)``, dX = −X dt + ..., or to ``Linear(-lipschitz)`` below 1.

    Raises
    ------
    ProblemError
        For unknown kinds, and bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(drifts(), lambda f: True)(np.array([[2.0]]), 0.0)
    array([[-2.]])
    """
    checked_dimensions(min_dimension, max_dimension)
    checked_positive(lipschitz=lipschitz)
    chosen = checked_kinds("kinds", kinds, DRIFTS)
    turning = [st.integers(min_dimension, max_dimension).flatmap(lambda d: _turning(d, lipschitz))]
    made = {
        "linear": [_straight(lipschitz, stable), *(turning if max_dimension > 1 else [])],
        "wavy": [_wavy(lipschitz, stable)],
    }
    return st.one_of([strategy for kind in chosen for strategy in made[kind]])


def _rates(most: float, stable: bool) -> SearchStrategy[float]:
    """Pulling back first, then none, then driving away."""
    signs = [1.0] if stable else [1.0, 0.0, -0.25]
    return st.tuples(numbers(most / 10, most), st.sampled_from(signs)).map(lambda drawn: drawn[0] * drawn[1])


@st.composite
def _straight(draw: DrawFn, lipschitz: float, stable: bool) -> Linear:
    rate, shift = draw(_rates(lipschitz, stable)), draw(numbers(-1.0, 1.0))
    return draw(st.builds(Linear, *(st.just(value) for value in ((0.0 - rate, shift) if shift else (0.0 - rate,)))))


@st.composite
def _turning(draw: DrawFn, d: int, lipschitz: float) -> Linear:
    """−(S + A) x with S positive definite and A antisymmetric, which share the Lipschitz constant."""
    pull = draw(spd_tensors(min_dimension=d, max_dimension=d, condition=4.0, scale=1.0))
    turn = np.zeros((d, d))
    for i in range(d - 1):
        turn[i, i + 1] = draw(numbers(-1.0, 1.0))
    turn -= turn.T
    size = draw(numbers(lipschitz / 3, lipschitz))
    return draw(st.builds(Linear, st.just(rounded_below(-(pull + turn) / (1 + np.linalg.norm(turn, 2)), size))))


def rounded_below(matrix: Array, size: float) -> Array:
    """The matrix times the size with few digits, and no larger a norm than the size."""
    digits = 4 - math.floor(math.log10(size))
    shares = (np.round(share * size * matrix, digits) + 0.0 for share in (1.0, 0.999, 0.99))
    return next(rounded for rounded in shares if np.linalg.norm(rounded, 2) <= size)


@st.composite
def _wavy(draw: DrawFn, lipschitz: float, stable: bool) -> WavyDrift:
    rate = draw(_rates(lipschitz / 2, stable))
    wave = draw(numbers(0.3, 3.0))
    given = {
        "shift": draw(numbers(-1.0, 1.0)),
        "height": draw(numbers(0.0, min(1.0, lipschitz / 2 / wave))),
        "wave": wave,
        "phase": draw(numbers(0.0, 6.28)),
        "speed": draw(numbers(0.0, 6.0)),
    }
    return draw(st.builds(WavyDrift, st.just(rate), **told_wave(given)))


def told_wave(given: dict[str, float]) -> dict[str, SearchStrategy[float]]:
    """What has to be said of a wave: nothing that is 0, nor how a wave without height runs."""
    idle = () if given["height"] else ("wave", "phase", "speed")
    return {name: st.just(value) for name, value in given.items() if value and name not in idle}


def diffusions(
    *,
    min_dimension: int = 1,
    max_dimension: int = 1,
    low: float = 0.5,
    high: float = 1.5,
    condition: float = 4.0,
    kinds: Collection[str] = DIFFUSIONS,
) -> SearchStrategy[Any]:
    """Diffusions g that never vanish: numbers, matrices G, functions of time, functions of position and time.

    Parameters
    ----------
    min_dimension, max_dimension : int, default 1 and 1
        The dimensions the diffusion has to serve; matrices serve their own alone: draw those with equal bounds.
    low, high : float, default 0.5 and 1.5
        The range of constants and of levels, around which the others swing by at most half; of matrices the singular values are at most ``high``.
    condition : float, default 4
        Largest condition number of D = ½ G Gᵀ.
    kinds : collection of str, default all of "constant", "matrix", "time", "space"
        In one dimension there are no matrices.

    Returns
    -------
    SearchStrategy
        Shrinks to ``1.0``, or to ``high`` below 1.

    Raises
    ------
    ProblemError
        For unknown kinds, and bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(diffusions(), lambda g: True)
    1.0
    """
    checked_dimensions(min_dimension, max_dimension)
    checked_positive(low=low, high=high)
    checked_at_least_one(condition=condition)
    levels, ripples, speeds = numbers(low, high), numbers(0.0, RIPPLE), numbers(0.0, 6.0)
    made = {
        "constant": [levels],
        "matrix": [
            st.integers(max(2, min_dimension), max_dimension).flatmap(lambda d: _matrices(d, (low, high), condition))
        ]
        * (max_dimension > 1),
        "time": [st.builds(Swing, levels, ripples, speeds)],
        "space": [st.builds(WavyNoise, levels, ripples, numbers(0.3, 3.0), speeds)],
    }
    chosen = [made[kind] for kind in checked_kinds("kinds", kinds, DIFFUSIONS)]
    return st.one_of([strategy for strategies in chosen for strategy in strategies])


@st.composite
def _matrices(draw: DrawFn, d: int, levels: tuple[float, float], condition: float) -> Array:
    """Lower triangular factors G with G Gᵀ of the condition number."""
    within = max(1.0, condition / 1.001)
    tensor = draw(spd_tensors(min_dimension=d, max_dimension=d, condition=within, scale=1.0))
    return np.round(draw(numbers(*levels)) * np.linalg.cholesky(tensor), 6) + 0.0
