r"""Alternating directions: second-order differences with Hundsdorfer–Verwer steps, implicit along one axis at a time.

The operator is A = Σ_i A_i + A_×: along each axis −δ_i(f_i p) + δ_i²(D_ii p) with central differences, and cross terms with four points,

    2 ∂_i ∂_j (D_ij p) ≈ [q(+,+) − q(+,−) − q(−,+) + q(−,−)] / (4 h_i h_j),   q = 2 D_ij p,

both without flux through the edges of the box. A step τ solves with P = (1 − θτA_d) ⋯ (1 − θτA_1) only, tridiagonal systems along lines:

    P k₁ = τA p,   P k₂ = (½ τA − 1) k₁,   p(t + τ) = p + 2 k₁ + k₂,

which are Hundsdorfer's and Verwer's two stages for a steady A, written without the A_i. It is of second order for any θ, cross terms included.
Without drift every step is stable for θ ≥ 1 − 1/√2 in the plane and θ ≥ 3 (1 − √3/2) in space. With drift the Courant number
c = max |f_i| τ/h_i counts (seen in runs with cell Péclet numbers up to 10³, not proven): :data:`LIMITS`. Up to c = 10 in the plane a larger θ helps;
what goes beyond is done in several steps, and counted. Coefficients that depend on t are those of mid-step, which leaves second order. Density may
fall below zero where it is not resolved; mass is conserved.

References
----------
Hundsdorfer (2002), Accuracy and stability of splitting with stabilizing corrections; in 't Hout and Welfert (2007, 2009),
for θ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fpk.fokker_planck.product import _lines as kernels
from fpk.fokker_planck.product._team import Team
from fpk.fokker_planck.product.fields import Fields, fields_at, pairs
from fpk.fokker_planck.stepping import Steps
from fpk.grids import ProductGrid, once
from fpk.laws import Array
from fpk.problem import Problem

#: Courant numbers up to which steps are stable, and θ, for two and three dimensions: the most accurate first.
LIMITS = {2: ((3.0, 1 - 0.5**0.5), (10.0, (1 + 3**-0.5) / 2)), 3: ((2.0, 3 * (1 - 0.75**0.5)),)}

#: Times at which the drift is looked at to choose a number of steps, and between two target times to divide steps.
LOOKS = 5


@dataclass(frozen=True, eq=False)
class Operator:
    """A as rates from each cell to others.

    Arrays over the cells are flat here, and begin and end with :attr:`margin` zeros that stand for the cells beyond the box.

    Parameters
    ----------
    shape : tuple of int
    rates : array, shape (2 d + d (d − 1)/2, cells + 2 margins)
        Along each axis to the next and to the previous cell, 0 where that is outside; then for each pair of axes D_ij/(2 h_i h_j), 0 at the edges.
    speed : float
        max |f_i|/h_i.
    """

    shape: tuple[int, ...]
    rates: Array
    speed: float

    @once
    def strides(self) -> NDArray[np.int64]:
        """Distance of neighbours along each axis."""
        return np.array([math.prod(self.shape[a + 1 :]) for a in range(len(self.shape))])

    @once
    def pairs(self) -> NDArray[np.int64]:
        """Pairs of axes i < j."""
        return np.array(list(combinations(range(len(self.shape)), 2)))

    @property
    def terms(self) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
        """What loops take: rates, strides and pairs."""
        return self.rates, self.strides, self.pairs

    @property
    def margin(self) -> int:
        """Zeros at each end."""
        return margin_of(self.shape)

    def along(self, axis: int) -> tuple[Array, Array]:
        """Rates to the next and to the previous cell along an axis, each of the grid's shape."""
        up, down = self.rates[2 * axis : 2 * axis + 2, self.margin : -self.margin]
        return up.reshape(self.shape), down.reshape(self.shape)


def margin_of(shape: tuple[int, ...]) -> int:
    """The largest distance of a cell from one that it exchanges mass with."""
    return math.prod(shape[1:]) + math.prod(shape[2:])


def operator_of(fields: Fields, grid: ProductGrid) -> Operator:
    """Central differences of drift and diffusivity, without flux through the edges of the box."""
    d, rows = grid.dimension, {pair: row for row, pair in enumerate(pairs(grid.dimension))}
    margin = margin_of(grid.shape)
    table = np.zeros((2 * d + d * (d - 1) // 2, grid.cells + 2 * margin))
    rates = [row[margin:-margin].reshape(grid.shape) for row in table]
    for i, h in enumerate(grid.spacings):
        spread, drift = fields.diffusivity[rows[i, i]] / h**2, fields.drift[i] / (2 * h)
        np.add(spread, drift, out=rates[2 * i])
        np.subtract(spread, drift, out=rates[2 * i + 1])
        rates[2 * i][(slice(None),) * i + (-1,)] = 0.0
        rates[2 * i + 1][(slice(None),) * i + (0,)] = 0.0
    for k, (i, j) in enumerate(combinations(range(d), 2)):
        rates[2 * d + k][...] = fields.diffusivity[rows[i, j]] / (2 * grid.spacings[i] * grid.spacings[j])
        for axis in (i, j):  # four points around a cell at the edge would reach out
            rates[2 * d + k][(slice(None),) * axis + ([0, -1],)] = 0.0
    return Operator(grid.shape, table, speed_of(fields, grid))


def speed_of(fields: Fields, grid: ProductGrid) -> float:
    """max |f_i|/h_i, cells per unit of time."""
    return max(float(np.abs(f).max()) / h for f, h in zip(fields.drift, grid.spacings, strict=True))


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

    def factors(self, *, transposed: bool = False) -> tuple[Array, Array, Array]:
        """Lower factor, inverse pivots and upper factor."""
        return (self.up, self.inverse, self.low) if transposed else (self.low, self.inverse, self.up)


class MiddleLines(Lines):
    """Lines along any axis but the last; rows of the last axis are worked on whole."""

    @property
    def count(self) -> int:
        """Tiles of columns; to share whole ones makes all results the same to the last bit."""
        return -(-self.low.shape[2] // kernels.TILE)

    def solve(self, x: Array, span: tuple[int, int], *, transposed: bool = False) -> None:
        """Eliminate in place in a span of the tiles."""
        first, last = (min(end * kernels.TILE, self.low.shape[2]) for end in span)
        kernels.eliminate(x, *self.factors(transposed=transposed), (first, last))


class LastLines(Lines):
    """Lines along the last axis, :data:`kernels.LANES` side by side; missing ones have no rates."""

    def __init__(self, up: Array, down: Array, c: float) -> None:
        super().__init__(side_by_side(up), side_by_side(down), c)
        self.low, self.inverse, self.up = (a.reshape(len(a), -1) for a in (self.low, self.inverse, self.up))

    @property
    def count(self) -> int:
        """Groups of lines."""
        return len(self.low)

    def solve(self, x: Array, span: tuple[int, int], *, transposed: bool = False) -> None:
        """Eliminate in place in a span of the groups."""
        kernels.eliminate_lanes(x, *self.factors(transposed=transposed), span)


def side_by_side(lines: Array) -> Array:
    """(lines, n, 1) as (groups, n, LANES)."""
    count, n, _ = lines.shape
    groups = np.zeros((-(-count // kernels.LANES), n, kernels.LANES))
    for k in range(kernels.LANES):
        present = lines[k :: kernels.LANES, :, 0]
        groups[: len(present), :, k] = present
    return groups


def lines_of(operator: Operator, c: float) -> tuple[list[MiddleLines], LastLines]:
    """The factors of P along all axes but the last, last axes first, and along that."""
    shape = operator.shape

    def rates(axis: int) -> tuple[Array, Array]:
        up, down = operator.along(axis)
        lines = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
        return up.reshape(lines), down.reshape(lines)

    d = len(shape)
    return [MiddleLines(*rates(axis), c) for axis in reversed(range(d - 1))], LastLines(*rates(d - 1), c)


class AlternatingSteps(Steps):
    """Hundsdorfer–Verwer steps with the coefficients in the middle of each; those that would not be stable are divided when they are scheduled.

    Afterwards :meth:`counted` tells how many there were.

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
        self.limits = LIMITS[grid.dimension]
        self.team = Team(grid.cells)
        self._operator: tuple[float, Operator] | None = None
        self._lines: tuple[float, tuple[list[MiddleLines], LastLines]] | None = None
        self._speeds: dict[float, float] = {}
        self._taken: dict[int, int] = {}

    def _at(self, t: float) -> Operator:
        """A at t; the factors of P go with it."""
        if self._operator is None or (self._operator[0] != t and not self.steady):
            self._operator, self._lines = (t, operator_of(self.fields(t), self.grid)), None
        return self._operator[1]

    def scheduled(self, times: tuple[float, ...], steps: int) -> list[tuple[float, list[tuple[float, float]]]]:
        """As every stepper, with steps that would not be stable divided: equally between two target times."""
        self._taken.pop(steps, None)
        plan = [(t, self._divided(legs)) for t, legs in super().scheduled(times, steps)]
        self._taken[steps] = sum(len(legs) for _, legs in plan)
        return plan

    def counted(self, steps: int) -> int:
        """How many steps were taken when so many were asked for, or may be."""
        return self._taken.get(steps, steps)

    def _divided(self, legs: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """Legs of one length in as many equal parts as stability asks for, at a few times from the first to the end of the last."""
        if not legs:
            return legs
        first, last = legs[0][0], sum(legs[-1])
        looks = [first] if self.steady else np.linspace(first, last, LOOKS).tolist()
        speed = max(map(self._speed, looks))
        return [part for leg in legs for part in self._parts(*leg, speed=speed)]

    def _parts(self, t: float, step: float, *, speed: float) -> list[tuple[float, float]]:
        """(start, length) of as many equal steps as stability asks for."""
        count = max(1, math.ceil(speed * step / self.limits[-1][0] - 1e-9))
        return [(t + step * (k / count), step / count) for k in range(count)]

    def _speed(self, t: float) -> float:
        """max |f_i|/h_i at t."""
        if self.steady:
            return self._at(t).speed
        if t not in self._speeds:
            self._speeds[t] = speed_of(self.fields(t), self.grid)
        return self._speeds[t]

    def _prepared(self, t: float, step: float) -> tuple[Operator, tuple[list[MiddleLines], LastLines]]:
        """A in the middle of the step, and the factors of P."""
        operator = self._at(t + step / 2)
        if self._lines is None or abs(self._lines[0] - step) > 1e-13 * step:
            courant = operator.speed * step
            theta = next((theta for limit, theta in self.limits if courant <= limit), self.limits[-1][1])
            self._lines = step, lines_of(operator, theta * step)
        return operator, self._lines[1]

    def _rooms(self) -> Array:
        """Three arrays over the cells with margins of zeros: the state and two stages."""
        return np.zeros((3, self.grid.cells + 2 * margin_of(self.grid.shape)))

    @once
    def _own(self) -> Array:
        return self._rooms()

    def _inside(self, room: Array) -> Array:
        """A room without its margins."""
        margin = margin_of(self.grid.shape)
        return room[margin:-margin]

    def run(self, p: Array, times: tuple[float, ...], steps: int) -> Iterator[tuple[float, Array]]:
        """As every stepper, with a state that is not copied from step to step."""
        rooms = self._rooms()
        state = self._inside(rooms[0])
        state[:] = p.ravel()
        for target, legs in self.scheduled(times, steps):
            if self.steady and legs:
                self._march(rooms, *legs[0], len(legs))
            for t, step in () if self.steady else legs:
                self._advance(rooms, t, step)
            yield target, state.reshape(p.shape).copy()

    def advanced(self, p: Array, t: float, step: float) -> Array:
        """The density at t + step of one that is p at t; a step that would not be stable is divided."""
        state = self._inside(self._own[0])
        state[:] = p.ravel()
        self._advance(self._own, t, step)
        return state.reshape(p.shape).copy()

    def _advance(self, rooms: Array, t: float, step: float) -> None:
        """One step of the state, in place."""
        for start, length in self._parts(t, step, speed=self._at(t + step / 2).speed):
            self._march(rooms, start, length, 1)

    def _march(self, rooms: Array, t: float, step: float, count: int) -> None:
        """``count`` steps of the state, with the coefficients of the first, in place."""
        operator, (middle, last) = self._prepared(t, step)
        if self.team.threads == 1:
            factors = tuple(along.factors() for along in middle)
            return kernels.march(rooms, count, step, operator.terms, factors, last.factors())
        state, first, second = rooms
        for _ in range(count):
            self._stage(operator, (middle, last), state, (0.0, step), first)
            self._stage(operator, (middle, last), first, (-1.0, step / 2), second)
            kernels.advance(state, first, second)

    def _stage(
        self,
        operator: Operator,
        lines: tuple[list[MiddleLines], LastLines],
        p: Array,
        weights: tuple[float, float],
        out: Array,
    ) -> None:
        """P⁻¹ (weights[0] · p + weights[1] · A p), shared."""
        middle, last = lines
        self.team.share(
            lambda span: kernels.along_last(p, weights, operator.terms, last.factors(), span, out), last.count
        )
        for along in middle:
            self.team.share(lambda span, along=along: along.solve(self._inside(out), span), along.count)

    def returned(self, u: Array, t: float, step: float) -> Array:
        """The transpose of :meth:`advanced`."""
        state, first, second = self._own
        inside = self._inside(state)
        inside[:] = u.ravel()
        for start, length in reversed(self._parts(t, step, speed=self._at(t + step / 2).speed)):
            operator, lines = self._prepared(start, length)
            second[:] = state
            self._stage_back(operator, lines, second, (-1.0, length / 2), first)
            first += 2 * state
            self._stage_back(operator, lines, first, (0.0, length), second)
            state += second
        return inside.reshape(u.shape).copy()

    def _stage_back(
        self,
        operator: Operator,
        lines: tuple[list[MiddleLines], LastLines],
        x: Array,
        weights: tuple[float, float],
        out: Array,
    ) -> None:
        """(weights[0] + weights[1] · Aᵀ) P⁻ᵀ x; P⁻ᵀ x is left in x."""
        middle, last = lines
        for along in (*reversed(middle), last):
            self.team.share(lambda span, along=along: along.solve(self._inside(x), span, transposed=True), along.count)
        margin = operator.margin
        self.team.share(
            lambda span: kernels.apply_transposed(
                x, weights, *operator.terms, (span[0] + margin, span[1] + margin), out
            ),
            self.grid.cells,
        )


@dataclass(frozen=True)
class AlternatingScheme:
    """Second-order central differences with Hundsdorfer–Verwer steps; may undershoot zero where the density is not resolved."""

    order: float = 2
    positive: bool = False

    def suits(self, problem: Problem, grid: ProductGrid) -> bool:
        """Any problem with noise."""
        return not problem.noiseless

    def steps_for(self, problem: Problem, grid: ProductGrid, *, until: float) -> int:
        """As many as keep the Courant number, on average over time, where steps are most accurate; at least 20, and a quarter of the longest axis."""
        at, times = fields_at(problem, grid), [0.0] if problem.steady else np.linspace(0.0, until, LOOKS).tolist()
        travelled = until * sum(speed_of(at(t), grid) for t in times) / len(times)
        return max(20, max(grid.shape) // 4, math.ceil(travelled / LIMITS[grid.dimension][0][0]))

    def stepper(self, problem: Problem, grid: ProductGrid) -> Steps:
        """The steps, over densities of the grid's shape."""
        return AlternatingSteps(fields_at(problem, grid), grid, steady=problem.steady)

    def __str__(self) -> str:
        """Space and time."""
        return "central differences + Hundsdorfer–Verwer"


ALTERNATING = AlternatingScheme()
