r"""Zero noise on product grids by masses of cells: conserved and non-negative to the last bit, whatever the flow does.

A step is a symmetric composition of steps along single axes (Strang). Along axis i the masses of a line of cells move with f_i alone: the faces are
traced back by the Runge–Kutta method, and a cell receives what lies between the points its faces come from,

    m_new = M(y_b) − M(y_a),      M(y) the mass of the line up to y,

with M the integral of a parabola in each cell, limited so that it never leaves the range of its neighbours. Masses telescope and M increases: no
step is too long, and no shock or filament makes mass or signs go wrong. Nothing flows through the edges of the box.

Second order in the steps, third in the cells where the density is smooth, first at its extrema:
:func:`fpk.fokker_planck.product.flow.flowed` is a thousand times sharper, where points have an origin and a density is wanted.

References
----------
Colella and Woodward (1984), for the parabolas; Strang (1968).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numba import njit, types  # type: ignore[import-untyped]

from fpk.counts import counting
from fpk.errors import GridError, MassAtEdges, NonFinite, SchemeError
from fpk.fokker_planck.characteristics import moved
from fpk.fokker_planck.product.discretisation import named_box
from fpk.fokker_planck.product.fields import check_problem
from fpk.fokker_planck.product.solutions import ProductMarginals
from fpk.grids import ProductGrid
from fpk.laws import Array
from fpk.marginals import ROUND_OFF
from fpk.problem import Problem, checked_steps, step_plan

#: Mass that may miss the grid at the start, or sit in its outermost cells.
EDGE_LIMIT = 1e-3

_F8 = types.float64


def conservative_product_flow(
    problem: Problem, grid: ProductGrid, *, times: Sequence[float], steps: int | None = None
) -> ProductMarginals:
    """Densities of a flow without noise on a product grid, by masses of cells.

    Parameters
    ----------
    problem : Problem
        With the number 0 as its diffusion, on the whole space.
    grid : ProductGrid
    times : sequence of float
        In [0, horizon].
    steps : int, optional
        Steps from 0 to the last time; default half of the cells of the longest axis, at least 20.

    Raises
    ------
    SchemeError
        For noise, walls, or another dimension.
    GridError, MassAtEdges
        If the cells miss more than 1e-3 of the initial mass, or more than that arrives at the edges.
    NonFinite
        If a velocity is not finite.

    Accuracy
    --------
    Mass: round-off. Densities, L1, after a full turn of a Gaussian: 3e-2 with three cells to its standard deviation, 4e-3 with six.

    Examples
    --------
    >>> import fpk
    >>> turning = fpk.Problem(fpk.Linear([[0.0, -1.0], [1.0, 0.0]]), 0.0, initial=fpk.Gaussian([1.0, 0.0], 0.3))
    >>> run = conservative_product_flow(turning, fpk.Grid(-3, 3, cells=48) ** 2, times=[0.5])
    >>> bool(abs(run.mass[0] - 1) < 1e-10), run.minimum >= 0
    (True, True)
    """
    check_problem(problem, grid)
    if not problem.noiseless:
        raise SchemeError(
            f"masses along a flow need the number 0 as the diffusion, {problem.name or 'this problem'} has noise: use fpk.solve."
        )
    times = problem.checked_times(times)
    count = checked_steps(max(20, max(grid.shape) // 2) if steps is None else steps, what="a flow")
    p = np.exp(problem.initial.log_density(grid.points)).reshape(grid.shape)
    missed = abs(float(p.sum()) * grid.volume - 1)
    if missed > EDGE_LIMIT:
        raise GridError(
            f"{grid} cells on {named_box(grid)} hold {1 - missed:.6g} of the initial mass: the initial law is narrower than a cell, or lies "
            "outside. Use more cells or a wider box."
        )
    kept, start = [], 0.0
    for target, (n, length) in zip(times, step_plan(times, count), strict=True):
        for k in range(n):
            p = advanced(problem, grid, p, start + k * length, length)
        kept.append(p)
        start = target
    densities = np.stack(kept)
    floor = missed + _edges(grid, times, densities) + ROUND_OFF * count
    source = f"flow, masses of {grid} cells, {counting(count, 'step')}"

    def halved() -> ProductMarginals:
        return conservative_product_flow(problem, grid.halved(), times=times, steps=max(1, count // 2))

    return ProductMarginals(grid, times, densities, 2, floor, source, halved)


def advanced(problem: Problem, grid: ProductGrid, p: Array, t: float, step: float) -> Array:
    """The density at t + step: half a step along each axis but the last, a whole one there, and the other halves in reverse."""
    last, half = grid.dimension - 1, step / 2
    for axis in range(last):
        p = swept(problem, grid, p, axis, t, half)
    p = swept(problem, grid, p, last, t, step)
    for axis in reversed(range(last)):
        p = swept(problem, grid, p, axis, t + half, half)
    return p


def swept(problem: Problem, grid: ProductGrid, p: Array, axis: int, t: float, step: float) -> Array:
    """The density after moving along one axis from t to t + step."""
    lines = np.ascontiguousarray(np.moveaxis(p, axis, -1))
    origins = np.moveaxis(face_origins(problem, grid, axis, t, step), axis, -1)
    n, out = lines.shape[-1], np.empty_like(lines)
    remap(lines.reshape(-1, n), np.ascontiguousarray(origins).reshape(-1, n + 1), out.reshape(-1, n))
    return np.moveaxis(out, -1, axis)


def face_origins(problem: Problem, grid: ProductGrid, axis: int, t: float, step: float) -> Array:
    """Where the faces of one axis come from, in cells from its lower end: the grid's shape with one more along the axis."""
    lines = [a.faces if i == axis else a.centers for i, a in enumerate(grid.axes)]
    x = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
    only = np.eye(grid.dimension)[axis]
    alone = replace(problem, drift=lambda x, t: problem.drift(x, t) * only)
    y = moved(alone, x.reshape(-1, grid.dimension), t + step, -step)[:, axis]
    if not np.all(np.isfinite(y)):
        raise NonFinite(
            f"faces of {problem.name or 'the flow'} leave every bound within a step at t={t:g}: use more steps."
        )
    line = grid.axes[axis]
    cells = np.clip((y.reshape(x.shape[:-1]) - line.lower) / line.spacing, 0.0, float(line.cells))
    ends = np.moveaxis(cells, axis, 0)
    ends[0], ends[-1] = 0.0, line.cells
    return np.maximum.accumulate(cells, axis=axis)


def _edges(grid: ProductGrid, times: tuple[float, ...], densities: Array) -> float:
    """Mass in the outermost two cells along each axis, the most over all times; refuses too much of it."""
    inner = densities[(slice(None), *(slice(2, -2),) * grid.dimension)]
    outer = (densities.reshape(len(times), -1).sum(1) - inner.reshape(len(times), -1).sum(1)) * grid.volume
    worst = int(np.argmax(outer))
    if outer[worst] > EDGE_LIMIT:
        raise MassAtEdges(
            f"the box {named_box(grid)} is too small: {outer[worst]:.2g} of the mass has come to its edges by t={times[worst]:g} "
            f"(allowed {EDGE_LIMIT:g}). Widen the grid."
        )
    return float(outer[worst])


@njit(_F8[:](_F8[::1], _F8[::1], _F8[::1]), cache=True, nogil=True, error_model="numpy", fastmath=False)
def parabolas(a: Array, left: Array, right: Array) -> Array:
    """Fill the values of limited parabolas with means a at both ends of each cell; the mass of the line up to each face, in cells."""
    n = len(a)
    mass = np.zeros(n + 1)
    for i in range(n):
        mass[i + 1] = mass[i] + a[i]
    for i in range(n + 1):
        b = a[i - 1] if i > 0 else 0.0
        c = a[i] if i < n else 0.0
        before = a[i - 2] if i > 1 else 0.0
        after = a[i + 1] if i < n - 1 else 0.0
        face = min(max((7 * (b + c) - before - after) / 12, min(b, c)), max(b, c))
        if i > 0:
            right[i - 1] = face
        if i < n:
            left[i] = face
    for i in range(n):
        rise, bend = right[i] - left[i], 6 * a[i] - 3 * (left[i] + right[i])
        if (right[i] - a[i]) * (a[i] - left[i]) <= 0:
            left[i] = right[i] = a[i]
        elif rise * bend > rise * rise:
            left[i] = 3 * a[i] - 2 * right[i]
        elif rise * bend < -rise * rise:
            right[i] = 3 * a[i] - 2 * left[i]
    return mass


@njit(types.void(_F8[:, ::1], _F8[:, ::1], _F8[:, ::1]), cache=True, nogil=True, error_model="numpy", fastmath=False)
def remap(lines: Array, origins: Array, out: Array) -> None:
    """Fill out (lines, n) with the means of lines (lines, n) between the places in origins (lines, n + 1), in cells and increasing."""
    count, n = lines.shape
    left, right = np.empty(n), np.empty(n)
    for row in range(count):
        mass = parabolas(lines[row], left, right)
        below = 0.0
        for i in range(n + 1):
            k = min(int(origins[row, i]), n - 1)
            s = origins[row, i] - k
            bend = 6 * lines[row, k] - 3 * (left[k] + right[k])
            part = s * (left[k] + s * (0.5 * (right[k] - left[k] + bend) - s * bend / 3))
            level = max(below, mass[k] + min(max(part, 0.0), lines[row, k]))
            if i > 0:
                out[row, i - 1] = level - below
            below = level
