r"""Alternating directions: second-order differences with Hundsdorfer–Verwer steps, implicit along one axis at a time.

The operator is A = Σ_i A_i + A_×: along each axis −δ_i(f_i p) + δ_i²(D_ii p) with central differences, and cross terms with four points,

    2 ∂_i ∂_j (D_ij p) ≈ [q(+,+) − q(+,−) − q(−,+) + q(−,−)] / (4 h_i h_j),   q = 2 D_ij p,

both without flux through the edges of the box. A step τ solves with P = (1 − θτA_1) ⋯ (1 − θτA_d) only, tridiagonal systems along lines:

    P k₁ = τA p,   P k₂ = (½ τA − 1) k₁,   p(t + τ) = p + 2 k₁ + k₂,

which are Hundsdorfer's and Verwer's two stages for a steady A, written without the A_i. It is of second order for any θ, cross terms included, and
stable for every step without drift for θ ≥ 1 − 1/√2 in the plane and θ ≥ 3 (1 − √3/2) in space. Coefficients that depend on t are those of mid-step,
which leaves second order. Density may fall below zero where it is not resolved; mass is conserved.

References
----------
Hundsdorfer (2002), Accuracy and stability of splitting with stabilizing corrections; in 't Hout and Welfert (2009), for θ.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np

from fpk.fokker_planck.product import _lines as kernels
from fpk.fokker_planck.product.fields import Fields, fields_at, pairs
from fpk.fokker_planck.stepping import Steps
from fpk.grids import ProductGrid, once
from fpk.laws import Array
from fpk.problem import Problem

#: θ for two and three dimensions.
IMPLICITNESS = {2: 1 - 0.5**0.5, 3: 3 * (1 - 0.75**0.5)}
#: Cells from which work is shared among threads: below, handing it over takes longer.
SHARED_CELLS = 2**17
THREADS = 2


@dataclass(frozen=True, eq=False)
class Operator:
    """A on a flattened grid: rates from each cell to others, by shifts.

    Parameters
    ----------
    shape : tuple of int
    rates : array, shape (2 d + d (d − 1)/2, cells)
        Along each axis to the next and to the previous cell, 0 where that is outside; then for each pair of axes D_ij/(2 h_i h_j).
    """

    shape: tuple[int, ...]
    rates: Array

    @once
    def terms(self) -> tuple[Array, Any, Array, Any, Array]:
        """Rates; row, factor and shift of each term; and leaving: what :func:`kernels.apply` takes."""
        d = len(self.shape)
        strides = [int(np.prod(self.shape[a + 1 :])) for a in range(d)]
        terms = [(2 * a + k, 1.0, sign * strides[a]) for a in range(d) for k, sign in enumerate((1, -1))]
        for k, (i, j) in enumerate(combinations(range(d), 2)):
            terms += [(2 * d + k, a * b * 1.0, a * strides[i] + b * strides[j]) for a, b in product((1, -1), repeat=2)]
        rows, factors, shifts = (np.array(column) for column in zip(*terms, strict=True))
        return self.rates, rows, factors, shifts, self.rates[: 2 * d].sum(axis=0)

    def along(self, axis: int) -> tuple[Array, Array]:
        """Rates to the next and to the previous cell along an axis, each of the grid's shape."""
        up, down = self.rates[2 * axis : 2 * axis + 2]
        return up.reshape(self.shape), down.reshape(self.shape)


def operator_of(fields: Fields, grid: ProductGrid) -> Operator:
    """Central differences of drift and diffusivity, without flux through the edges of the box."""
    d, rows = grid.dimension, {pair: row for row, pair in enumerate(pairs(grid.dimension))}
    rates = np.empty((2 * d + d * (d - 1) // 2, *grid.shape))
    for i, h in enumerate(grid.spacings):
        spread, drift = fields.diffusivity[rows[i, i]] / h**2, fields.drift[i] / (2 * h)
        np.add(spread, drift, out=rates[2 * i])
        np.subtract(spread, drift, out=rates[2 * i + 1])
        np.moveaxis(rates[2 * i], i, 0)[-1] = 0.0
        np.moveaxis(rates[2 * i + 1], i, 0)[0] = 0.0
    for k, (i, j) in enumerate(combinations(range(d), 2)):
        rates[2 * d + k] = fields.diffusivity[rows[i, j]] / (2 * grid.spacings[i] * grid.spacings[j])
        for axis in (i, j):  # four points around a cell at the edge would reach out
            np.moveaxis(rates[2 * d + k], axis, 0)[[0, -1]] = 0.0
    return Operator(grid.shape, rates.reshape(len(rates), -1))


class Lines:
    """1 − c A_i along one axis, factored.

    Parameters
    ----------
    up, down : array, shape (outer, n, inner)
        Rates to the next and to the previous cell along the middle axis.
    c : float
    """

    def __init__(self, up: Array, down: Array, c: float) -> None:
        self.low: Array = np.zeros(up.shape)
        self.inverse: Array = np.zeros(up.shape)
        self.up: Array = np.zeros(up.shape)
        kernels.factor(up, down, c, self.low, self.inverse, self.up)

    def factors(self, *, transposed: bool) -> tuple[Array, Array, Array]:
        """Lower factor, inverse pivots and upper factor."""
        return (self.up, self.inverse, self.low) if transposed else (self.low, self.inverse, self.up)


class MiddleLines(Lines):
    """Lines along any axis but the last; rows of the last axis are worked on whole."""

    def pieces(self, threads: int) -> list[tuple[int, int]]:
        """Spans of the columns, one for each thread."""
        return spans(self.low.shape[2], threads)

    def solve(self, x: Array, span: tuple[int, int], *, transposed: bool) -> None:
        """Eliminate in place in the span."""
        kernels.eliminate(x.reshape(self.low.shape), *self.factors(transposed=transposed), span)


class LastLines(Lines):
    """Lines along the last axis, :data:`kernels.LANES` side by side; missing ones have no rates."""

    def __init__(self, up: Array, down: Array, c: float) -> None:
        super().__init__(side_by_side(up), side_by_side(down), c)
        self.n = up.shape[1]
        self.low, self.inverse, self.up = (a.reshape(len(a), -1) for a in (self.low, self.inverse, self.up))

    def pieces(self, threads: int) -> list[tuple[int, int]]:
        """Spans of the groups of lines, one for each thread."""
        return spans(len(self.low), threads)

    def solve(self, x: Array, span: tuple[int, int], *, transposed: bool) -> None:
        """Eliminate in place in the span."""
        kernels.eliminate_lanes(x.reshape(-1, self.n), *self.factors(transposed=transposed), span)


def side_by_side(lines: Array) -> Array:
    """(lines, n, 1) as (groups, n, LANES)."""
    missing = -len(lines) % kernels.LANES
    groups = np.pad(lines[..., 0], ((0, missing), (0, 0))).reshape(-1, kernels.LANES, lines.shape[1])
    return np.ascontiguousarray(groups.swapaxes(1, 2))


def spans(count: int, threads: int) -> list[tuple[int, int]]:
    """range(count) in contiguous pieces."""
    cuts = [count * k // threads for k in range(threads + 1)]
    return list(pairwise(cuts))


def lines_of(operator: Operator, c: float) -> list[MiddleLines | LastLines]:
    """The factors of P, one for each axis in order."""
    shape = operator.shape
    found: list[MiddleLines | LastLines] = []
    for axis in range(len(shape)):
        outer, inner = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
        up, down = (rate.reshape(outer, shape[axis], inner) for rate in operator.along(axis))
        found.append((MiddleLines if inner > 1 else LastLines)(up, down, c))
    return found


class AlternatingSteps(Steps):
    """Hundsdorfer–Verwer steps with the coefficients in the middle of each.

    Parameters
    ----------
    fields : callable
        t ↦ coefficients on the grid.
    grid : ProductGrid
    steady : bool
        Whether the coefficients do not depend on t: operator and factors are then kept.
    """

    def __init__(self, fields: Callable[[float], Fields], grid: ProductGrid, *, steady: bool) -> None:
        self.fields, self.grid, self.steady = fields, grid, steady
        self.theta = IMPLICITNESS[grid.dimension]
        self.threads = THREADS if grid.cells >= SHARED_CELLS else 1
        self._operator: tuple[float, Operator] | None = None
        self._lines: tuple[float, list[MiddleLines | LastLines]] | None = None

    @once
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=self.threads)

    def _shared(self, work: Callable[[tuple[int, int]], None], pieces: list[tuple[int, int]]) -> None:
        """Do the work on all pieces: what is done in one does not depend on the others."""
        if len(pieces) == 1:
            return work(pieces[0])
        list(self._pool.map(work, pieces))

    def _prepared(self, t: float, step: float) -> tuple[Operator, list[MiddleLines | LastLines]]:
        """A in the middle of the step, and the factors of P."""
        middle = t + step / 2
        if self._operator is None or (self._operator[0] != middle and not self.steady):
            self._operator, self._lines = (middle, operator_of(self.fields(middle), self.grid)), None
        operator = self._operator[1]
        if self._lines is None or abs(self._lines[0] - step) > 1e-13 * step:
            self._lines = step, lines_of(operator, self.theta * step)
        return operator, self._lines[1]

    @once
    def _rooms(self) -> Array:
        """Two arrays over the cells for the stages."""
        return np.empty((2, self.grid.cells))

    def _apply(
        self, operator: Operator, p: Array, weights: tuple[float, float], out: Array, *, transposed: bool = False
    ) -> None:
        """Fill ``out`` with weights[0] · p + weights[1] · A p; all flat."""
        kernel = kernels.apply_transposed if transposed else kernels.apply
        self._shared(lambda span: kernel(p, *weights, operator.terms, span, out), spans(p.size, self.threads))

    def _solve(self, lines: list[MiddleLines | LastLines], x: Array, *, transposed: bool = False) -> None:
        """P⁻¹ x or P⁻ᵀ x, in place."""
        for line in reversed(lines) if transposed else lines:
            self._shared(lambda span, line=line: line.solve(x, span, transposed=transposed), line.pieces(self.threads))

    def advanced(self, p: Array, t: float, step: float) -> Array:
        """The density at t + step of one that is p at t."""
        operator, lines = self._prepared(t, step)
        (first, second), flat, out = self._rooms, np.ascontiguousarray(p, float).ravel(), np.empty(p.size)
        self._apply(operator, flat, (0.0, step), first)
        self._solve(lines, first)
        self._apply(operator, first, (-1.0, step / 2), second)
        self._solve(lines, second)
        kernels.combine(flat, first, second, out)
        return out.reshape(p.shape)

    def returned(self, u: Array, t: float, step: float) -> Array:
        """The transpose of :meth:`advanced`."""
        operator, lines = self._prepared(t, step)
        (first, second), flat = self._rooms, np.ascontiguousarray(u, float).ravel()
        second[:] = flat
        self._solve(lines, second, transposed=True)
        self._apply(operator, second, (-1.0, step / 2), first, transposed=True)
        first += 2 * flat
        self._solve(lines, first, transposed=True)
        self._apply(operator, first, (0.0, step), second, transposed=True)
        return (flat + second).reshape(u.shape)


@dataclass(frozen=True)
class AlternatingScheme:
    """Second-order central differences with Hundsdorfer–Verwer steps; may undershoot zero where the density is not resolved."""

    order: float = 2
    positive: bool = False

    def suits(self, problem: Problem, grid: ProductGrid) -> bool:
        """Any problem with noise."""
        return not problem.noiseless

    def steps_for(self, problem: Problem, grid: ProductGrid, *, until: float) -> int:
        """A quarter of the cells of the longest axis; at least 20, as in one dimension."""
        return max(20, max(grid.shape) // 4)

    def stepper(self, problem: Problem, grid: ProductGrid) -> Steps:
        """The steps, over densities of the grid's shape."""
        return AlternatingSteps(fields_at(problem, grid), grid, steady=problem.steady)

    def __str__(self) -> str:
        """Space and time."""
        return "central differences + Hundsdorfer–Verwer"


ALTERNATING = AlternatingScheme()
