r"""The coefficients of a problem at the cell centres of a product grid: f as (d, *shape), D = ½ G Gᵀ as its upper triangle.

D is symmetric, so that of its d² entries the pairs i ≤ j are kept, in the order of :func:`pairs`: (0, 0), (0, 1), (1, 1) in the plane. Entries
that do not depend on x stay single numbers: shape (1, ..., 1) instead of the grid's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fpk.errors import SchemeError
from fpk.grids import ProductGrid
from fpk.laws import Array
from fpk.problem import Problem


def pairs(dimension: int) -> tuple[tuple[int, int], ...]:
    """The index pairs i ≤ j of a symmetric matrix, row by row.

    Examples
    --------
    >>> pairs(2)
    ((0, 0), (0, 1), (1, 1))
    """
    return tuple((i, j) for i in range(dimension) for j in range(i, dimension))


@dataclass(frozen=True, eq=False)
class Fields:
    """Drift and diffusivity on a grid at one time.

    Parameters
    ----------
    drift : array, shape (d, *shape)
        f at the cell centres.
    diffusivity : array, shape (d (d + 1)/2, *shape) or (d (d + 1)/2, 1, ..., 1)
        D_ij for the pairs i ≤ j.
    """

    drift: Array
    diffusivity: Array

    @property
    def dimension(self) -> int:
        """Dimension d."""
        return len(self.drift)

    @cached_property
    def uniform_noise(self) -> bool:
        """Whether D is stored as one matrix for all cells."""
        return self.diffusivity[0].size == 1

    @cached_property
    def diagonal(self) -> bool:
        """Whether D has no cross terms anywhere."""
        return not any(np.any(self.diffusivity[k]) for k, (i, j) in enumerate(pairs(self.dimension)) if i != j)


def fields_at(problem: Problem, grid: ProductGrid) -> Callable[[float], Fields]:
    """The fields as a function of t; those of steady problems are evaluated once.

    Parameters
    ----------
    problem : Problem
        In the dimension of the grid, on the whole space.
    grid : ProductGrid

    Raises
    ------
    SchemeError
        For walls, another dimension, or no noise at all.
    NonFinite
        On evaluation, with the first x and t where a coefficient is not finite.
    """
    check_problem(problem, grid)

    def read(t: float) -> Fields:
        x, d = grid.points, grid.dimension
        f = np.broadcast_to(problem.drift(x, t), x.shape).T.reshape(d, *grid.shape)
        D = problem.diffusivity_matrix(x, t)
        upper = np.stack([D[:, i, j] for i, j in pairs(d)])
        return Fields(np.ascontiguousarray(f), upper.reshape(len(upper), *(grid.shape if len(D) > 1 else (1,) * d)))

    if not problem.steady:
        return read
    found = read(0.0)
    return lambda t: found


def check_problem(problem: Problem, grid: ProductGrid) -> None:
    """Refuse what no scheme on a product grid can serve."""
    if problem.dimension != grid.dimension:
        raise SchemeError(
            f"the problem has d = {problem.dimension}, the grid {grid.dimension} axes. Multiply one fpk.Grid for each dimension."
        )
    if problem.boundary.kind != "open":
        raise SchemeError(
            f"walls ({problem.boundary.kind}) exist in one dimension only; in d = {problem.dimension} the box must hold the law."
        )
