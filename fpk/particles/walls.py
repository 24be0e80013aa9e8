r"""Walls: what happens to particles that meet the ends of the interval during a step.

* ``no_flux`` reflects: a position beyond a wall is mirrored at it (weak order 1 for Euler–Maruyama; Bossy, Gobet & Talay 2004).
* ``periodic`` wraps around.
* ``absorbing`` stops the particle. Between two positions inside at distances a, b from a wall the Brownian bridge has crossed it with probability
  exp(−2ab/(g²h)): without that correction survival would be of order ½ in h. The time of the crossing inside the step is that of a bridge
  whose ends lie a before and b beyond a level: h Y/(1 + Y), Y inverse Gaussian with mean a/b and shape a²/(g²h).

References
----------
Gobet (2000); Michael, Schucany & Haas (1976) for the inverse Gaussian law.
"""

from __future__ import annotations

import numpy as np

from fpk.errors import SchemeError
from fpk.laws import Array
from fpk.particles.schemes import Scheme
from fpk.particles.steps import Step
from fpk.problem import Boundary, Problem
from fpk.tracing import greater, logical_and, minimum, reading, where

#: Normal numbers an absorbing step uses: two make the exponential variable of the crossing, three the place of the crossing in time.
CROSSING = 5
#: A particle whose time of absorption is larger has not met a wall.
LIVING = 1e300


def inside(boundary: Boundary, x: Array) -> Array:
    """Positions brought back by reflecting or periodic walls."""
    if boundary.kind in ("open", "absorbing"):
        return x
    width = boundary.upper - boundary.lower
    period = width if boundary.kind == "periodic" else 2 * width
    shifted = x - boundary.lower
    wrapped = shifted - period * np.floor(shifted / period)
    return boundary.lower + (wrapped if boundary.kind == "periodic" else minimum(wrapped, period - wrapped))


class Absorbed:
    """A scheme between absorbing walls (d = 1): the state is (position, time of absorption), that time infinite for the living.

    Raises
    ------
    SchemeError
        In more than one dimension, or with matrix noise.
    """

    def __init__(self, scheme: Scheme, problem: Problem) -> None:
        if problem.dimension > 1 or problem.noiseless:
            raise SchemeError(
                f"absorbing walls are for one-dimensional particles with noise, this problem has d = {problem.dimension}"
                f"{' and no noise' if problem.noiseless else ''}."
            )
        self.scheme, self.boundary = scheme, problem.boundary
        self.own = scheme.extras(problem)

    def advanced(self, step: Step, state: Array, dW: Array, extra: Array) -> Array:
        """The state after the step."""
        x, gone = state[:, :1], state[:, 1:]
        y = self.scheme.advanced(step, x, dW, extra[:, : self.own])
        variance = step.diffusion(x) ** 2 * step.h
        crossed, before, beyond, wall = _met(self.boundary, x, y, variance, extra[:, self.own :])
        when = reading(step.at(0.0)) + step.h * _place(before, beyond, variance, extra[:, self.own + 2 :])
        alive = greater(gone, LIVING)
        met = logical_and(alive, crossed)
        return np.concatenate([where(alive, where(crossed, wall, y), x), where(met, when, gone)], axis=1)


def _uniform(extra: Array) -> Array:
    """A number uniform on (0, 1] from two normal ones."""
    first, second = extra[:, :1], extra[:, 1:2]
    return np.exp(-0.5 * first * first - 0.5 * second * second)  # squares of doubles: the numbers come as floats


def _met(walls: Boundary, x: Array, y: Array, variance: Array, extra: Array) -> tuple[Array, Array, Array, Array]:
    """Whether a wall was met, the distance of x to the likelier one, how far y is from it, and where it is."""
    low, high = ((x - walls.lower, y - walls.lower), (walls.upper - x, walls.upper - y))
    chances = [np.exp(-2.0 * before * beyond / variance) for before, beyond in (low, high)]
    crossed = greater(chances[0] + chances[1], _uniform(extra))
    lower = greater(chances[0], chances[1])
    return (
        crossed,
        where(lower, low[0], high[0]),
        abs(where(lower, low[1], high[1])),
        where(lower, walls.lower, walls.upper),
    )


def _place(before: Array, beyond: Array, variance: Array, extra: Array) -> Array:
    """Where in the step a bridge that crosses does so first, as a fraction of the step: from three normal numbers.

    The smaller and the larger root of (b y − a)² = ν y, ν = g²h z², as y/(1 + y): without differences, and for any a, b ≥ 0, g ≥ 0.
    """
    nu, product = variance * extra[:, :1] * extra[:, :1], 4.0 * before * beyond
    q = (np.sqrt(nu) + np.sqrt(nu + product)) ** 2
    early, late = 4.0 * before**2, 4.0 * beyond**2
    return where(greater(q / (q + product), _uniform(extra[:, 1:3])), early / (early + q), q / (q + late))
