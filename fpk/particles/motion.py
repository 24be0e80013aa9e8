"""A motion: a problem, the scheme that moves its particles, and its walls, as one step of arithmetic on states."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.errors import SchemeError
from fpk.laws import Array
from fpk.particles.schemes import Scheme, noises
from fpk.particles.steps import Step
from fpk.particles.walls import CROSSING, Absorbed, inside
from fpk.problem import Problem


class Motion:
    """States of particles (positions; between absorbing walls also the time of absorption) and their step.

    Attributes
    ----------
    rows : int
        Numbers in a state.
    increments, extras : int
        Normal numbers of a step: for the Brownian increments, and beside them.

    Raises
    ------
    SchemeError
        If the scheme cannot move this problem's particles.
    """

    def __init__(self, problem: Problem, scheme: Scheme) -> None:
        scheme.check(problem)
        self.problem, self.scheme = problem, scheme
        self.absorbing = problem.boundary.kind == "absorbing"
        self.body: Any = Absorbed(scheme, problem) if self.absorbing else scheme
        self.rows = problem.dimension + self.absorbing
        self.increments = noises(problem)
        self.extras = scheme.extras(problem) + CROSSING * self.absorbing
        if self.absorbing and self.increments > 1:
            raise SchemeError(f"absorbing walls need one noise, this problem has {self.increments}.")

    def started(self, positions: Array) -> Array:
        """States at t = 0, shape (n, rows)."""
        if not self.absorbing:
            return positions
        walls = self.problem.boundary
        out = ~((positions > walls.lower) & (positions < walls.upper))
        return np.concatenate([positions, np.where(out, 0.0, np.inf)], axis=1)

    def advanced(self, step: Step, state: Array, dW: Array, extra: Array) -> Array:
        """States after a step; arrays or traced."""
        return inside(self.problem.boundary, self.body.advanced(step, state, dW, extra))
