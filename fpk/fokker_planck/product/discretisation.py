r"""A problem on a product grid with a scheme: the linear maps that take densities forward and expectations back.

A *scheme* turns the equation ∂_t p = −Σ_i ∂_i (f_i p) + Σ_ij ∂_i ∂_j (D_ij p) into steps (:class:`fpk.fokker_planck.stepping.Steps`) on arrays
of the grid's shape. As all cells are equal the maps of densities are those of cell masses, and their transposes take u_t to u_s, the
discrete E[φ(X_t) | X_s = x]: Σ p_t u_t does not depend on t.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from fpk.counts import counting
from fpk.errors import GridError, SchemeError
from fpk.fokker_planck.product.explicit import CentralFaber
from fpk.fokker_planck.product.fields import check_problem
from fpk.fokker_planck.product.positive import POSITIVE
from fpk.fokker_planck.product.separable import Separable
from fpk.fokker_planck.stepping import Steps
from fpk.grids import ProductGrid, once
from fpk.laws import Array
from fpk.problem import Problem, checked_steps

#: Initial mass a grid may miss.
INITIAL_LIMIT = 1e-3


@runtime_checkable
class ProductScheme(Protocol):
    """What a scheme on product grids offers; ``str(scheme)`` is its name in messages and sources."""

    @property
    def order(self) -> float:
        """Order under joint refinement of cells and steps."""
        ...

    @property
    def positive(self) -> bool:
        """Whether densities stay non-negative for every grid and step."""
        ...

    def suits(self, problem: Problem, grid: ProductGrid) -> bool:
        """Whether the scheme can solve the problem on the grid; only then is it chosen without being asked for."""
        ...

    def steps_for(self, problem: Problem, grid: ProductGrid, *, until: float) -> int:
        """Steps from 0 to ``until`` where none are stated."""
        ...

    def stepper(self, problem: Problem, grid: ProductGrid) -> Steps:
        """The steps, over states of the grid's shape."""
        ...


ACCURATE = CentralFaber()
SEPARABLE = Separable()
#: Schemes chosen without being asked for: the first that suits; and the same where densities have to stay non-negative.
CHOICES: tuple[Any, ...] = (SEPARABLE, ACCURATE)
POSITIVE_CHOICES: tuple[Any, ...] = (POSITIVE,)


@dataclass(frozen=True, eq=False)
class ProductDiscretisation:
    """The maps of one problem, grid, scheme and number of steps; made by :func:`discretised`."""

    problem: Problem
    grid: ProductGrid
    scheme: ProductScheme
    steps: int

    @once
    def stepper(self) -> Steps:
        """Steps of the scheme."""
        return self.scheme.stepper(self.problem, self.grid)

    def forward(self, p: Array, times: tuple[float, ...]) -> Iterator[tuple[float, Array]]:
        """(t, p_t) at each of the increasing times, from p at 0."""
        return self.stepper.run(p, times, self.steps)

    def back(self, u: Array, times: tuple[float, ...]) -> Iterator[tuple[float, Array]]:
        """(t, u_t) at each of the times, last first, from u at the last, and at 0."""
        return self.stepper.run_back(u, times, self.steps)

    @once
    def start(self) -> Array:
        """p_0 at the cell centres, of the grid's shape."""
        p = np.exp(self.problem.initial.log_density(self.grid.points)).reshape(self.grid.shape)
        total = float(p.sum()) * self.grid.volume
        if abs(total - 1) > INITIAL_LIMIT:
            widths = " × ".join(f"{h:.3g}" for h in self.grid.spacings)
            raise GridError(
                f"{self.grid} cells of {widths} on {named_box(self.grid)} hold {total:.6g} of the initial mass: "
                "the initial law is narrower than a cell, or lies outside. Use more cells or a wider box."
            )
        return p

    @property
    def missed(self) -> float:
        """Initial mass the grid does not hold."""
        return abs(float(self.start.sum()) * self.grid.volume - 1)

    def __str__(self) -> str:
        steps = self.stepper.counted(self.steps)
        return f"grid, {self.scheme}, {self.grid} cells, {counting(steps, 'step')}"


def named_box(grid: ProductGrid) -> str:
    """The box, for messages."""
    return " × ".join(f"[{axis.lower:g}, {axis.upper:g}]" for axis in grid.axes)


def discretised(
    problem: Problem,
    grid: ProductGrid,
    *,
    until: float,
    steps: int | None = None,
    scheme: Any = None,
    positive: bool = False,
) -> ProductDiscretisation:
    """Check the combination and choose what was left open; ``steps`` lead from 0 to ``until``.

    Raises
    ------
    SchemeError
        For walls, other dimensions, vanishing noise, or a scheme that cannot keep a promise asked for.
    """
    check_problem(problem, grid)
    chosen = _chosen(problem, grid, scheme, positive)
    taken = chosen.steps_for(problem, grid, until=until) if steps is None else checked_steps(steps, what="a solution")
    return ProductDiscretisation(problem, grid, chosen, taken)


def _chosen(problem: Problem, grid: ProductGrid, scheme: Any, positive: bool) -> ProductScheme:
    choices = POSITIVE_CHOICES if positive else CHOICES
    if scheme is None:
        scheme = next((choice for choice in choices if choice.suits(problem, grid)), None)
        if scheme is None:
            raise SchemeError(
                f"no{' positive' * positive} scheme on a product grid suits {problem.name or 'this problem'}. "
                "Give it noise, drop positive=True, or use fpk.simulate."
            )
    if not isinstance(scheme, ProductScheme):
        known = ", ".join(str(choice) for choice in (*CHOICES, *POSITIVE_CHOICES))
        raise SchemeError(
            f"scheme must be one for product grids ({known}), got {scheme!r}. See fpk.fokker_planck.product.discretisation, or leave it out."
        )
    if positive and not scheme.positive:
        raise SchemeError(
            f"positive=True needs a positive scheme; {scheme} can undershoot. Leave scheme= out, or drop positive=True and look at .minimum."
        )
    if not scheme.suits(problem, grid):
        raise SchemeError(f"{scheme} does not suit {problem.name or 'this problem'}. Leave scheme= out.")
    return scheme
