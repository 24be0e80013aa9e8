r"""How long solutions of ẋ = u(x, t) last, and whether two leave one point.

A solution is followed in a time s of its own, ds = (1 + |u|/(1 + |x|)) dt, in which 1 + |x| grows by eˢ at most: where |u| ≤ L(1 + |x|), t passes 1
before s = 1 + L; where the solution runs away, t tends to the end of its life, up to e⁻ˢ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import fpk
from fpk.fokker_planck.characteristics import pushed
from fpk.laws import Array
from fpk.study import Evidence, Size

from ._rates import two_levels

#: Velocities of (x, t) on the line.
Velocity = Callable[[Array, Array], Array]
#: Own time that solutions are followed for: |x| grows by eˢ at most.
OWN = 24.0


def _life(field: Velocity, start: float, steps: int) -> float:
    """Until when a solution lasts, at most 1: it is followed in a time of its own, in which it cannot run away."""

    def drift(y: Array, s: float) -> Array:
        u = field(y[:, 0], y[:, 1])
        pace = 1 / (1 + np.abs(u) / (1 + np.abs(y[:, 0])))
        return np.stack([pace * u, pace], axis=1)

    problem = fpk.Problem(drift, 0.0, initial=fpk.Gaussian([0.0, 0.0], 1.0), horizon=OWN)
    end = pushed(problem, np.array([[start, 0.0]]), (OWN,), steps)[0, 0]
    return min(float(end[1]), 1.0)


def _parted(field: Velocity, steps: int) -> float:
    """How much further apart solutions that leave 10⁻¹² and 0 are at t = 1, as a logarithm, less 1.5."""
    problem = fpk.Problem(lambda x, t: field(x, np.full_like(x, t)), 0.0, initial=fpk.Gaussian(0.0, 1.0))
    ends = pushed(problem, np.array([[0.0], [1e-12]]), (1.0,), steps)[0]
    return float(np.log(ends[1, 0] - ends[0, 0]) - np.log(1e-12) - 1.5)


class Posed(NamedTuple):
    """A field, where lives begin, and the field near 0 whose solutions must part like e^{1.5 t} only."""

    field: Velocity
    starts: tuple[float, ...]
    near: Velocity


def tame(x: Array, t: Array) -> Array:
    return np.sin(2 * x) - 0.5 * x + np.cos(3 * t)


def linear(x: Array, t: Array) -> Array:
    return 1.5 * x


def square(x: Array, t: Array) -> Array:
    return x**2


def lives(posed: Posed, size: Size) -> Evidence:
    """Lives less 1, and distances of solutions from one start."""

    def gap(level: int) -> Array:
        steps = size.cells(52) * level
        return np.array([*(_life(posed.field, x, steps) - 1 for x in posed.starts), _parted(posed.near, steps)])

    names = (*(f"life from {x:.4g}, less 1" for x in posed.starts), "log distance of solutions from 0, less 1.5")
    return two_levels(gap, names=names, source="lives of solutions")
