"""What else a user could run in two dimensions: the nine-point scheme with sparse-LU Crank–Nicolson steps or scipy's action of an exponential.

Both are written as tersely and as fast as scipy allows.

Each call assembles its operator anew, as ``solve`` does, and knows drift and diffusivity as arrays over the grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.sparse import csc_array, dia_array, eye_array
from scipy.sparse.linalg import expm_multiply, splu

import fpk
from fpk.fokker_planck.product.fields import Fields, fields_at
from fpk.grids import ProductGrid
from fpk.laws import Array

from ._baselines import Route
from ._tasks import BoxTask

#: For a pattern that is symmetric: a third less fill than the default, and half the time of a solve.
ORDERING = "MMD_AT_PLUS_A"
#: With pivots that stay on the diagonal, which saves a tenth.
SYMMETRIC: Any = {"permc_spec": ORDERING, "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}


def nine_point(fields: Fields, grid: ProductGrid) -> csc_array:
    """Central differences with the four-point cross term, without flux through the edges of the box."""
    (n, m), (h, k) = grid.shape, grid.spacings
    d00, d01, d11 = np.broadcast_to(fields.diffusivity, (3, n, m))
    f0, f1 = fields.drift
    rates = np.zeros((3, 3, n, m))  # from a cell to the one at (a − 1, b − 1) from it
    rates[2, 1, :-1], rates[0, 1, 1:] = (d00 / h**2 + f0 / (2 * h))[:-1], (d00 / h**2 - f0 / (2 * h))[1:]
    rates[1, 2, :, :-1], rates[1, 0, :, 1:] = (d11 / k**2 + f1 / (2 * k))[:, :-1], (d11 / k**2 - f1 / (2 * k))[:, 1:]
    rates[1, 1] = -rates.sum(axis=(0, 1))
    inner = (slice(1, -1), slice(1, -1))
    cross = (d01 / (2 * h * k))[inner]
    for a, b, sign in ((2, 2, 1), (0, 0, 1), (2, 0, -1), (0, 2, -1)):
        rates[a, b][inner] = sign * cross
    shifts = np.add.outer(np.arange(-1, 2) * m, np.arange(-1, 2)).ravel()
    return dia_array((rates.reshape(9, -1), -shifts), shape=(n * m, n * m)).tocsc()


def crank_nicolson(problem: fpk.Problem, grid: ProductGrid, start: Array, *, time: float, steps: int) -> Array:
    """Sparse LU once, or once a step where coefficients depend on t, then p ← 2 (1 − ½τA)⁻¹ p − p: half the work of multiplying and solving."""
    at, tau, one = fields_at(problem, grid), time / steps, eye_array(grid.cells, format="csc")

    def factored(t: float) -> Any:
        return splu((one - tau / 2 * nine_point(at(t), grid)).tocsc(), **SYMMETRIC)

    factors, p = factored(tau / 2), start.ravel()
    for step in range(steps):
        if step and not problem.steady:
            factors = factored((step + 0.5) * tau)
        p = 2 * factors.solve(p) - p
    return p.reshape(grid.shape)


def _stepped(task: BoxTask, cells: int, steps: int) -> Array:
    return crank_nicolson(task.problem, task.grid(cells), task.start(cells), time=task.time, steps=steps)


def _krylov(task: BoxTask, cells: int, effort: int) -> Array:
    """Exp(∫c dt A) of the start, for a user who knows how A(t) = c(t) A changes."""
    grid = task.grid(cells)
    A = nine_point(fields_at(task.problem, grid)(task.time), grid).tocsr()
    duration = task.time if task.growth is None else quad(task.growth, 0, task.time)[0]
    return expm_multiply(duration * A, task.start(cells).ravel()).reshape(grid.shape)


CRANK_NICOLSON = Route(
    "Crank–Nicolson, sparse LU", _stepped, (112, 120, 128, 136), (16, 24, 32, 48, 64), steps=True, finer=1.25
)
EXPONENTIAL = Route("action of the exponential, nine points", _krylov, (48, 96))
