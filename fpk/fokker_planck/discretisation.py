r"""A problem on a grid with a scheme: the linear maps that take cell masses forward and expectations back.

The unknown is q = p dx/dξ, so that q Δξ are the cell masses m. Forward maps take m_s to m_t; their transposes take u_t to u_s, the discrete
E[φ(X_t) | X_s = x], and Σ m_t u_t does not depend on t.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.counts import counting
from fpk.errors import GridError, SchemeError
from fpk.fokker_planck.exponentials import EXPONENTIAL, MAGNUS4, Clock, Exponential, time_change
from fpk.fokker_planck.fluxes import Rates, ScharfetterGummel, WellBalanced6, check_noise
from fpk.fokker_planck.stepping import BACKWARD_EULER, ESDIRK4, TR_BDF2, Stepper
from fpk.grids import Grid, once
from fpk.laws import Array
from fpk.problem import Problem, checked_steps

#: Initial mass a grid may miss.
INITIAL_LIMIT = 1e-3


@dataclass(frozen=True)
class Scheme:
    """A flux with a step. The order of the pair is the smaller one, as grids are refined in space and time together."""

    flux: Any
    method: Any

    @property
    def order(self) -> float:
        """Order under joint refinement."""
        return min(self.flux.order, self.method.order)

    @property
    def positive(self) -> bool:
        """Whether densities stay non-negative for every grid and step."""
        return self.flux.positive and self.method.positive

    def __str__(self) -> str:
        """Flux and step."""
        return f"{type(self.flux).__name__} + {self.method.name}"


ACCURATE = Scheme(WellBalanced6(), ESDIRK4)
EXACT_IN_TIME = Scheme(WellBalanced6(), EXPONENTIAL)
MAGNUS = Scheme(WellBalanced6(), MAGNUS4)
SECOND_ORDER = Scheme(ScharfetterGummel(), TR_BDF2)
POSITIVE = Scheme(ScharfetterGummel(), BACKWARD_EULER)


@dataclass(frozen=True, eq=False)
class Discretisation:
    """The maps of one problem, grid, scheme and number of steps; made by :func:`discretised`."""

    problem: Problem
    grid: Grid
    scheme: Scheme
    steps: int
    clock: Clock | None

    @once
    def rates_at(self) -> Callable[[float], Rates]:
        """The rate matrix as a function of t."""
        return self.scheme.flux.rates(self.problem, self.grid)

    @once
    def stepper(self) -> Stepper:
        """Steps of the scheme."""
        return self.scheme.method.stepper(self.rates_at, self.clock)

    def forward(self, q: Array, times: tuple[float, ...]) -> Iterator[tuple[float, Array]]:
        """(t, q_t) at each of the increasing times, from q at 0."""
        return self.stepper.run(q, times, self.steps)

    def back(self, u: Array, times: tuple[float, ...]) -> Iterator[tuple[float, Array]]:
        """(t, u_t) at each of the times, last first, from u at the last, and at 0."""
        return self.stepper.run_back(u, times, self.steps)

    @once
    def _initial(self) -> tuple[Array, float]:
        return _held(self.problem, self.grid)

    @once
    def start(self) -> Array:
        """q at time 0, shape (cells,)."""
        p, _ = self._initial
        return p if self.grid.uniform else p * self.grid.center_stretch

    @property
    def missed(self) -> float:
        """Initial mass the grid does not hold."""
        return abs(self._initial[1] - 1)

    def __str__(self) -> str:
        """What estimates call it."""
        return f"grid, {self.scheme}, {self.grid.cells} cells, {counting(self.stepper.counted(self.steps), 'step')}"


def discretised(
    problem: Problem, grid: Grid, *, steps: int | None = None, scheme: Scheme | None = None, positive: bool = False
) -> Discretisation:
    """Check the combination and choose what was left open.

    Raises
    ------
    SchemeError
        For d > 1, vanishing noise, or a scheme that cannot keep a promise asked for.
    GridError
        If the grid does not fit the domain.
    """
    steps = checked_steps(max(20, grid.cells // 4) if steps is None else steps, what="a solution")
    if scheme is not None and not isinstance(scheme, Scheme):
        raise SchemeError(
            f"scheme must be a Scheme, got {scheme!r}: ACCURATE, EXACT_IN_TIME, MAGNUS, SECOND_ORDER or POSITIVE of "
            "fpk.fokker_planck.discretisation, or leave it out."
        )
    check_fit(problem, grid)
    check_noise(problem, grid)
    wanted = POSITIVE if positive else scheme
    wants_clock = wanted is None or isinstance(wanted.method, Exponential)
    clock = time_change(problem, grid) if wants_clock else None
    chosen = wanted or (EXACT_IN_TIME if clock else ACCURATE)
    if positive and scheme is not None and not scheme.positive:
        raise SchemeError(
            f"positive=True needs an M-matrix flux with backward Euler; {scheme} can undershoot. "
            "Leave scheme= out, or drop positive=True and look at .minimum."
        )
    if isinstance(chosen.method, Exponential) and clock is None:
        raise SchemeError(
            f"{chosen} needs drift and diffusivity that change in time by one common factor, A(t) = c(t) A; those of "
            f"{problem.name or 'this problem'} do not. Use Magnus steps (MAGNUS) or leave scheme= out."
        )
    return Discretisation(problem, grid, chosen, steps, clock)


def initial_density(problem: Problem, grid: Grid) -> Array:
    """p_0 at the cell centres; refuses a grid that does not hold its mass."""
    return _held(problem, grid)[0]


def _held(problem: Problem, grid: Grid) -> tuple[Array, float]:
    """p_0 at the cell centres, and its mass."""
    p = np.exp(problem.initial.log_density(grid.centers[:, None]))
    total = float(p @ grid.widths)
    if abs(total - 1) > INITIAL_LIMIT:
        raise GridError(
            f"{grid.cells} cells of width {grid.widths.min():.3g} on [{grid.lower:g}, {grid.upper:g}] hold {total:.6g} of the initial mass: "
            "the initial law is narrower than a cell, or lies outside. Use more cells or a wider box."
        )
    return p, total


def check_fit(problem: Problem, grid: Grid) -> None:
    """Refuse dimensions, walls and stretchings the grid cannot serve."""
    if problem.dimension != 1:
        raise SchemeError(
            f"the grid solver is one-dimensional, this problem has d = {problem.dimension}. Use fpk.exact or fpk.simulate."
        )
    walls = problem.boundary
    if walls.kind == "open":
        return
    size = 1e-12 * max(1.0, abs(grid.lower), abs(grid.upper))
    if max(abs(grid.lower - walls.lower), abs(grid.upper - walls.upper)) > size:
        raise GridError(
            f"the problem lives on [{walls.lower:g}, {walls.upper:g}] ({walls.kind}) but the grid spans [{grid.lower:g}, {grid.upper:g}]; "
            f"use Grid({walls.lower:g}, {walls.upper:g}, cells={grid.cells})."
        )
    if walls.kind == "periodic" and not grid.uniform:
        raise GridError(
            "a periodic domain needs a uniform grid: the widths of a stretched one do not wrap around. Leave focus= out."
        )
