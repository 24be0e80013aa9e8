r"""Separable problems: densities move by one small full matrix along each axis, without any error from steps.

    p(t) = (E_1 ⊗ ... ⊗ E_d) p(s),      in the plane  p ↦ E_1 p E_2ᵀ,

with the propagators E_i of :mod:`fpk.fokker_planck.product.axes`. The initial law need not factorise. Applying them costs Σ n_i operations a
cell; making one, some twenty products of n_i × n_i matrices.

Accuracy: spectral in the cell width where p_t is resolved (L1 error 1e-14 with three cells to the smallest standard deviation), plus the mass that
the box cuts off; sixth order where axes fall back to well-balanced fluxes; round-off in time. Drift and diffusivity of an axis must change in
time by one common factor: for others, full matrices would have to be stepped, which takes longer than stepping the density.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from fpk.errors import SchemeError
from fpk.fokker_planck.product.axes import Axis, separated
from fpk.fokker_planck.product.matrices import product
from fpk.fokker_planck.stepping import Steps
from fpk.grids import ProductGrid
from fpk.laws import Array
from fpk.problem import Problem

#: Cells along an axis beyond which full matrices cost more than they save.
MOST_CELLS = 1024


@dataclass(frozen=True)
class Separable:
    """Exponential propagators along the axes, for problems whose coordinates move independently of each other."""

    order: ClassVar[float] = 6
    positive: ClassVar[bool] = False

    def __str__(self) -> str:
        return "separable exponential"

    def suits(self, problem: Problem, grid: ProductGrid) -> bool:
        """Whether f_i and D_ii depend on x_i and t only and D is diagonal, looked for at 17 times, and each axis has a clock."""
        return not problem.noiseless and max(grid.shape) <= MOST_CELLS and _axes(problem, grid) is not None

    def steps_for(self, problem: Problem, grid: ProductGrid, *, until: float) -> int:
        """One: the propagators have no steps."""
        return 1

    def stepper(self, problem: Problem, grid: ProductGrid) -> SeparableSteps:
        """The propagators.

        Raises
        ------
        SchemeError
            If the problem is not separable.
        """
        axes = _axes(problem, grid)
        if axes is None:
            raise SchemeError(
                f"{self} needs a drift f_i and a diffusivity D_ii that depend on x_i only, up to one factor of t for each axis, without cross "
                f"terms; those of {problem.name or 'this problem'} do not. Leave scheme= out."
            )
        return SeparableSteps(axes)


@lru_cache(maxsize=4)
def _axes(problem: Problem, grid: ProductGrid) -> tuple[Axis, ...] | None:
    """The axes, for the question and the stepper that follows it."""
    return separated(problem, grid)


class SeparableSteps(Steps):
    """One step from each stored time to the next."""

    def __init__(self, axes: tuple[Axis, ...]) -> None:
        self.axes = axes

    def counted(self, steps: int) -> int:
        """One for each interval."""
        return 1

    def advanced(self, p: Array, t: float, step: float) -> Array:
        """(E_1 ⊗ ... ⊗ E_d) p."""
        for i, axis in enumerate(self.axes):
            p = along(axis.propagator(t, t + step), p, i)
        return p

    def returned(self, u: Array, t: float, step: float) -> Array:
        """(E_1ᵀ ⊗ ... ⊗ E_dᵀ) u."""
        for i, axis in enumerate(self.axes):
            u = along(axis.propagator(t, t + step).T, u, i)
        return u


def along(E: Array, p: Array, axis: int) -> Array:
    """The matrix E applied to p of shape (n_1, ..., n_d) along one axis."""
    if p.ndim == 2:
        return product(E, p) if axis == 0 else product(p, E.T)
    if axis == p.ndim - 1:
        return p @ E.T
    before = int(np.prod(p.shape[:axis]))
    return np.matmul(E, p.reshape(before, p.shape[axis], -1)).reshape(p.shape)
