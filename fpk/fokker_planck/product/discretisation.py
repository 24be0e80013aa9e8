r"""A problem on a product grid with a scheme: the linear maps that take densities forward and expectations back.

A *scheme* turns the equation ∂_t p = −Σ_i ∂_i (f_i p) + Σ_ij ∂_i ∂_j (D_ij p) into steps (:class:`fpk.fokker_planck.stepping.Steps`) on arrays
of the grid's shape. As all cells are equal the maps of densities are those of cell masses, and their transposes take u_t to u_s, the
discrete E[φ(X_t) | X_s = x]: Σ p_t u_t does not depend on t.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from fpk.fokker_planck.stepping import Steps
from fpk.grids import ProductGrid
from fpk.problem import Problem


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
