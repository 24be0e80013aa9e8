"""Noising equations dX = f(r)X dr + g(r) dW that are read with a clock r = k(t), from noise to data, and the drifts made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import fpk
from fpk.laws import Array, GaussianMixture
from fpk.schedules import Schedule

from .._systems import DATA

Function = Callable[[float], float]


@dataclass(frozen=True)
class Clocked:
    """An equation for the data, the clock k and its pace k̇.

    Parameters
    ----------
    schedule : Schedule
        Its f(r) and g(r), and its laws.
    clock, pace : callable
        k(t) and k̇(t) for 0 ≤ t ≤ 1.
    """

    schedule: Schedule
    clock: Function
    pace: Function

    def law(self, t: float) -> GaussianMixture:
        """The law at the time k(t) of the equation."""
        law = _exact(self).law(self.clock(t))
        assert isinstance(law, GaussianMixture)
        return law

    @property
    def problem(self) -> fpk.Problem:
        """The equation, in its own time."""
        return fpk.noising(self.schedule, DATA, horizon=max(self.clock(0.0), self.clock(1.0)))


@lru_cache(maxsize=16)
def _exact(clocked: Clocked) -> fpk.LawMarginals:
    return fpk.exact(clocked.problem, times=[clocked.problem.horizon])


class Reading(NamedTuple):
    """How a drift k̇ (f x − c gᵖ s) is read.

    Parameters
    ----------
    share : float
        c: ½ for the flow, 1 for the equation with noise.
    inside : bool
        Whether f and g are read at k(t), or else at t.
    pace : callable
        What stands for k̇, from k̇.
    power : float
        p.
    """

    share: float
    inside: bool = True
    pace: Function = lambda pace: pace
    power: float = 2.0

    def drift(self, clocked: Clocked) -> Callable[[Array, float], Array]:
        """The drift, with the score of the law at k(t)."""

        def drift(x: Array, t: float) -> Array:
            r = clocked.clock(t) if self.inside else t
            pull = self.share * clocked.schedule.diffusion(r) ** self.power * clocked.law(t).score(x)
            return self.pace(clocked.pace(t)) * (clocked.schedule.drift_rate(r) * x - pull)

        return drift


def squared(R: float) -> tuple[Function, Function]:
    """k = R (1 − t)² and k̇."""
    return lambda t: R * (1 - t) ** 2, lambda t: -2 * R * (1 - t)


def even(begin: float, end: float) -> tuple[Function, Function]:
    """k from ``begin`` to ``end`` at a constant pace, and that."""
    return lambda t: begin + (end - begin) * t, lambda t: end - begin


#: f = 0 and g² = 2r; coefficients that both change in time; some that do not.
EXPLODING = fpk.AffineSchedule(lambda r: 1.0, lambda r: r)
DRIVEN, STEADY = fpk.SubVPSchedule(0.4, 2.4), fpk.VPSchedule(2.0)
CLOCKED = {"drift and noise": Clocked(DRIVEN, *squared(1.2)), "noise alone": Clocked(EXPLODING, *squared(1.6))}
