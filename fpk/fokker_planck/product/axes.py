r"""The axes of a separable problem, as one-dimensional problems with propagators of their own.

Where f_i depends on x_i and t only, and D is diagonal with D_ii of x_i and t only, each coordinate is a diffusion by itself:

    A(t) = Σ_i A_i(t),   A_i p = −∂_i (f_i p) + ∂_i² (D_ii p),

the A_i commute. Where moreover A_i(t) = c_i(t) A_i, the propagator of axis i from s to t is one full matrix, E_i = exp(∫c_i · A_i).

A_i is a Fourier collocation, −F diag(f) + F² diag(D) with F the derivative of the trigonometric interpolant: conservative (its columns sum to
zero), and as accurate as p is smooth. Off its resolution (|f| h/D of some tens where drift pushes inwards) it may grow; so its propagator
over the horizon must not enlarge any density more than tenfold, and must keep the Gibbs law. Where it does not, the
well-balanced flux of sixth order takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fpk.coefficients import Linear
from fpk.fokker_planck.exponentials import LOOKS, STEADY, Clock, round_clock, time_change
from fpk.fokker_planck.fluxes import Rates, Sampled, WellBalanced6
from fpk.fokker_planck.product.fields import Fields, fields_at, pairs
from fpk.fokker_planck.product.matrices import exponential
from fpk.grids import Grid, ProductGrid, once
from fpk.laws import Array, Gaussian
from fpk.moments import linear_terms
from fpk.problem import Problem

#: Largest departure from a separable form, relative to the largest value.
SAME = 1e-12
#: Largest norm Σ|Ep| / Σ|p| of a propagator that is trusted, and largest relative change of a Gibbs law.
GROWTH, CHANGE = 10.0, 1e-6
#: Bytes of propagators that are kept; the oldest make room.
ROOM = 2**25
#: Mass of a Gibbs law in the outermost cells, relative to the fullest cell, below which the box holds it.
HELD = 1e-12


@dataclass(frozen=True, eq=False)
class Axis:
    """One coordinate of a separable problem.

    Parameters
    ----------
    problem : Problem
        In one dimension; its initial law means nothing.
    grid : Grid
    clock : Clock
        Of A(t) = c(t) A.
    """

    problem: Problem
    grid: Grid
    clock: Clock
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    def propagator(self, s: float, t: float) -> Array:
        """E from s to t, shape (cells, cells): densities at t from those at s. Computed once."""
        generator, length = self.generator, self._length(s, t)
        return self._once(length, lambda: exponential(length * generator))

    @once
    def generator(self) -> Array:
        """A at the reference time of the clock, shape (cells, cells)."""
        if self.resolved:
            return self._fourier
        return full(WellBalanced6().rates(self.problem, self.grid)(self.clock.reference))

    @once
    def resolved(self) -> bool:
        """Whether the Fourier collocation can be trusted: see the head of this module."""
        length = self._length(0.0, self.problem.horizon)
        with np.errstate(all="ignore"):  # what is not resolved may overflow
            E = exponential(length * self._fourier)
            good = bool(np.abs(E).sum(0).max() <= GROWTH) and self._keeps_gibbs(E)
        if good:
            self._kept[length] = E
        return good

    @once
    def _fourier(self) -> Array:
        slope, bend = fourier_derivatives(self.grid)
        f, D, _ = self._sampled
        return bend * D - slope * f

    @once
    def _sampled(self) -> tuple[Array, Array, Array]:
        return Sampled(self.problem, self.grid)(self.clock.reference)

    def _keeps_gibbs(self, E: Array) -> bool:
        """Whether E leaves the Gibbs law e^Φ/D, Φ = ∫ f/D; true where the box does not hold it."""
        _, D, climb = self._sampled
        level = np.cumsum(climb)[::2] - np.log(D)
        gibbs = np.exp(level - level.max())
        if max(gibbs[0], gibbs[-1]) > HELD:
            return True
        return bool(np.abs(E @ gibbs - gibbs).sum() <= CHANGE * gibbs.sum())

    def _length(self, s: float, t: float) -> float:
        """∫c from s to t."""
        return self._once((s, t), lambda: round_clock(self.clock.elapsed(s, t)))

    def _once(self, key: Any, made: Callable[[], Any]) -> Any:
        if key not in self._kept:
            if len(self._kept) >= max(4, ROOM // (8 * self.grid.cells**2)):
                del self._kept[next(iter(self._kept))]
            self._kept[key] = made()
        return self._kept[key]


def fourier_derivatives(grid: Grid) -> tuple[Array, Array]:
    """First and second derivative at the cell centres of the trigonometric interpolant, each of shape (cells, cells)."""
    from scipy.linalg import circulant

    k = 2 * np.pi * np.fft.fftfreq(grid.cells, grid.spacing)
    return circulant(np.fft.ifft(1j * k).real), circulant(np.fft.ifft(-(k**2)).real)


def full(rates: Rates) -> Array:
    """A banded rate matrix, full: shape (cells, cells)."""
    n = rates.rows.shape[1]
    A, i = np.zeros((n, n)), np.arange(n)
    for k in range(-rates.width, rates.width + 1):
        inside = i[max(-k, 0) : n - max(k, 0)]
        A[inside, inside + k] = rates.rows[rates.width + k, inside]
    return A


def separated(problem: Problem, grid: ProductGrid) -> tuple[Axis, ...] | None:
    """The axes of a problem that is separable at 17 times on the grid, each with a clock of its own; None for others.

    Axes that are alike are the same object.

    Parameters
    ----------
    problem : Problem
        In the dimension of the grid, on the whole space.
    grid : ProductGrid
    """
    seen = []
    for own in _looks(problem, grid):
        if own is None:
            return None
        seen.append(own)
    made: dict[Any, Axis | None] = {}
    axes = []
    for i, line in enumerate(grid.axes):
        alike = (line, *(own[i] for own in seen))
        if alike not in made:
            made[alike] = _timed(_coordinate(problem, grid, i), line, steady=problem.steady)
        axes.append(made[alike])
    return None if None in axes else tuple(axes)


def _timed(problem: Problem, grid: Grid, *, steady: bool) -> Axis | None:
    """The axis with its clock, where it has one; that of a linear form shows on few cells."""
    plain = problem.drift.linear is not None and not problem.diffusion.state_dependent
    looked = Grid(grid.lower, grid.upper, cells=8) if plain else grid
    clock = STEADY if steady else time_change(problem, looked)
    return None if clock is None else Axis(problem, grid, clock)


def _looks(problem: Problem, grid: ProductGrid) -> Iterator[list[bytes] | None]:
    """For each look what f_i and D_ii are along every axis, None where they are not functions of x_i alone or D has cross terms.

    Matrices are looked at where a linear form is known; else the fields at 17 times on a coarse grid, and at the first and the last of them on all
    cells.
    """
    times = (0.0,) if problem.steady else tuple(t * problem.horizon for t in LOOKS)
    if problem.drift.linear is not None and not problem.diffusion.state_dependent:
        yield from (_of_matrices(problem, t) for t in times)
        return
    coarse = ProductGrid(tuple(Grid(axis.lower, axis.upper, cells=8) for axis in grid.axes))
    yield from (_of_fields(fields) for fields in map(fields_at(problem, coarse), times))
    yield from (_of_fields(fields) for fields in map(fields_at(problem, grid), sorted({times[0], times[-1]})))


def _of_matrices(problem: Problem, t: float) -> list[bytes] | None:
    a, b, g = linear_terms(problem, t)
    D = 0.5 * g @ g.T
    own = np.stack([np.diag(a), b, np.diag(D)], axis=1)
    for matrix in (a, D):
        crossed = np.abs(matrix - np.diag(np.diag(matrix))).max()
        if crossed > SAME * np.abs(matrix).max():
            return None
    return [row.tobytes() for row in own] if np.all(own[:, 2] > 0) else None


def _of_fields(fields: Fields) -> list[bytes] | None:
    d = fields.dimension
    largest = [np.abs(D).max() for D in fields.diffusivity]
    own, crossed = (
        [size for size, (i, j) in zip(largest, pairs(d), strict=True) if (i == j) is kind] for kind in (True, False)
    )
    values = [(fields.drift[i], fields.diffusivity[pairs(d).index((i, i))]) for i in range(d)]
    apart = all(_along(v, i) for i in range(d) for v in values[i])
    if min(own) == 0 or max(crossed) > SAME * max(own) or not apart:
        return None
    return [b"".join(_line(v, i).tobytes() for v in values[i]) for i in range(d)]


def _along(values: Array, axis: int) -> bool:
    """Whether values vary along one axis only."""
    others = tuple(k for k in range(values.ndim) if k != axis)
    return bool((values.max(others) - values.min(others)).max() <= SAME * np.abs(values).max())


def _line(values: Array, axis: int) -> Array:
    """Values along one axis, through the middle of the others."""
    return values[tuple(slice(None) if k == axis else n // 2 for k, n in enumerate(values.shape))]


def _coordinate(problem: Problem, grid: ProductGrid, i: int) -> Problem:
    """X_i as a diffusion by itself, the other coordinates held at the middle of the box."""
    middle = np.array([0.5 * (axis.lower + axis.upper) for axis in grid.axes])

    def placed(x: Array) -> Array:
        points = np.tile(middle, (len(x), 1))
        points[:, i] = x[:, 0]
        return points

    def drift(x: Array, t: float) -> Array:
        return np.broadcast_to(problem.drift(placed(x), t), (len(x), len(middle)))[:, i : i + 1]

    def diffusion(x: Array, t: float) -> Array:
        return np.sqrt(2 * problem.diffusivity_matrix(placed(x), t)[:, i, i])[:, None]

    def still(t: float) -> float:
        g = problem.diffusion(middle[None], t)
        return float(np.linalg.norm(g[0, i]) if g.ndim == 3 else g.ravel()[i if g.size > 1 else 0])

    linear = problem.drift.linear
    pull = drift if linear is None else Linear(_entry(linear.slope, i), _entry(linear.shift, i))
    noise = diffusion if problem.diffusion.state_dependent else still
    start = Gaussian(middle[i], (grid.axes[i].upper - grid.axes[i].lower) / 16)
    name = f"coordinate {i} of {problem.name or 'a problem'}"
    return Problem(pull, noise, initial=start, horizon=problem.horizon, name=name)


def _entry(values: Callable[[float], Any], i: int) -> Callable[[float], float]:
    """Entry i of a vector, or entry i, i of a matrix, that depends on t; numbers are the same for all i."""

    def at(t: float) -> float:
        value = np.asarray(values(t), float)
        return float(value[(i,) * value.ndim])

    return at
