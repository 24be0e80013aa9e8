"""What else a user could run on a box: Fourier pseudo-spectral differences with scipy's DOP853, in two and three dimensions.

Real transforms, all products in one batch, D uniform in x. The user knows by what factor c(t) drift and diffusivity change, so that coefficients are
read once. Tuning means the fewest cells and digits that reach an error: see :data:`CELLS` and :data:`DIGITS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
from scipy.integrate import solve_ivp

import fpk
from fpk.fokker_planck.product.fields import fields_at, pairs
from fpk.grids import ProductGrid
from fpk.laws import Array

from ._baselines import Route
from ._tasks import BoxTask

#: Cells along an axis, and digits asked of DOP853, among which the fastest setting is looked for.
CELLS, DIGITS = (48, 54, 60, 64, 72, 80, 96), (4, 5, 6, 7, 8)


def fourier(
    problem: fpk.Problem,
    grid: ProductGrid,
    start: Array,
    *,
    time: float,
    digits: int,
    factor: Callable[[float], float] | None = None,
) -> Array:
    """The density at ``time``, of the grid's shape; A(t) = factor(t) A(time), or A where none is given."""
    fields = fields_at(problem, grid)(time)
    waves = wave_numbers(grid)
    symbol = -sum(
        (1 if i == j else 2) * D.item() * waves[i] * waves[j]
        for D, (i, j) in zip(fields.diffusivity, pairs(grid.dimension), strict=True)
    )
    axes = tuple(range(1, grid.dimension + 1))

    def slope(t: float, flat: Array) -> Array:
        p = flat.reshape(grid.shape)
        moved: Any = scipy.fft.rfftn(fields.drift * p, axes=axes)
        whole: Any = scipy.fft.rfftn(p)
        total = symbol * whole - 1j * sum(k * f for k, f in zip(waves, moved, strict=True))
        out: Any = scipy.fft.irfftn(total, s=grid.shape)
        out = out.ravel()
        return out if factor is None else factor(t) * out

    accuracy = 10.0**-digits
    run = solve_ivp(slope, (0, time), start.ravel(), "DOP853", rtol=accuracy, atol=accuracy, t_eval=[time])
    return run.y[:, -1].reshape(grid.shape)


def wave_numbers(grid: ProductGrid) -> list[Array]:
    """k_i along each axis, shaped to broadcast against transforms; the last axis is halved."""
    last = grid.dimension - 1
    lines = [
        2 * np.pi * (np.fft.rfftfreq if i == last else np.fft.fftfreq)(axis.cells, axis.spacing)
        for i, axis in enumerate(grid.axes)
    ]
    return list(np.meshgrid(*lines, indexing="ij", sparse=True))


def _on_box(task: BoxTask, cells: int, digits: int) -> Array:
    start = task.start(cells)
    return fourier(task.problem, task.grid(cells), start, time=task.time, digits=digits, factor=task.growth)


FOURIER = Route("Fourier + DOP853", _on_box, CELLS, DIGITS, finer=1.25)
