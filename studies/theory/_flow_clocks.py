"""Noising equations dX = f(r)X dr + g(r) dW that are read with a clock r = k(t), from noise to data: by fpk, and as formulas are written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import fpk
from fpk.laws import Array, GaussianMixture
from fpk.schedules import Schedule
from fpk.transformations import retimed

from .._systems import DATA, scaled

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


#: An equation with a clock ↦ what is followed with that clock.
Told = Callable[[Clocked], fpk.Problem]


def told(factor: float, noise: float | None) -> Told:
    """As fpk reads a problem with a clock, with a factor on the score; with the noise of the equation (None) or without (0)."""

    def problem(clocked: Clocked) -> fpk.Problem:
        score = scaled(_exact(clocked).score, factor)
        return retimed(
            clocked.problem, score, clock=clocked.clock, pace=clocked.pace, initial=clocked.law(0.0), noise=noise
        )  # fmt: skip

    return problem


class Reading(NamedTuple):
    """How a drift k̇ (f x − c gᵖ s) and a noise are written down.

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
    noise : callable, optional
        The noise from k̇ and g; default none.
    """

    share: float
    inside: bool = True
    pace: Function = lambda pace: pace
    power: float = 2.0
    noise: Callable[[float, float], float] | None = None

    def __call__(self, clocked: Clocked) -> fpk.Problem:
        """What is followed, with the score of the law at k(t)."""

        def at(t: float) -> float:
            return clocked.clock(t) if self.inside else t

        def drift(x: Array, t: float) -> Array:
            pull = self.share * clocked.schedule.diffusion(at(t)) ** self.power * clocked.law(t).score(x)
            return self.pace(clocked.pace(t)) * (clocked.schedule.drift_rate(at(t)) * x - pull)

        def diffusion(t: float) -> float:
            return self.noise(clocked.pace(t), clocked.schedule.diffusion(at(t))) if self.noise else 0.0

        return fpk.Problem(drift, diffusion if self.noise else 0.0, initial=clocked.law(0.0))


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
