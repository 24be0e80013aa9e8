"""What else a user could run: a task, a number of cells and an effort (steps, or digits of an adaptive method) give a density.

Each route is written as its strongest short form, knows the exact drift, and assembles its operator anew in every call, as ``solve`` does. Grids are
given, to all alike: they are made once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.fft import irfft, rfft
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.sparse import csc_array, dia_array
from scipy.sparse.linalg import splu

import fpk
from fpk.fokker_planck import discretisation as schemes
from fpk.fokker_planck.fluxes import Rates, ScharfetterGummel, WellBalanced6
from fpk.laws import Array

from ._tasks import AnyTask, BoxTask, Task

Solver = Callable[[Any, int, int], Array]


@dataclass(frozen=True)
class Route:
    """A way to a density, and where to look for its cheapest setting.

    Parameters
    ----------
    name : str
    solve : callable
        (task, cells, effort) → density at the cell centres.
    cells, efforts : sequence of int
        Settings that are tried; efforts in increasing order.
    steps : bool
        Whether the effort is a number of steps.
    finer : float
        A factor on the cells with which an accuracy that was reached is to be kept.
    """

    name: str
    solve: Solver
    cells: Sequence[int]
    efforts: Sequence[int] = (0,)
    steps: bool = False
    finer: float = 2.0


def public_call(scheme: Any = None, *, positive: bool = False) -> Solver:
    """``fpk.solve``, on lines and boxes."""

    def solve(task: AnyTask, cells: int, effort: int) -> Array:
        grid: Any = task.grid(cells)
        steps = effort or None
        return fpk.solve(
            task.problem, grid, times=[task.time], steps=steps, scheme=scheme, positive=positive
        ).densities[0]

    return solve


def from_scratch(scheme: Any = None) -> Solver:
    """``fpk.solve`` of a problem on a box that has just been made, so that nothing is known of it; an effort is a number of steps."""

    def solve(task: BoxTask, cells: int, effort: int) -> Array:
        steps = effort or None
        return fpk.solve(task.make(), task.grid(cells), times=[task.time], steps=steps, scheme=scheme).densities[0]

    return solve


def rates_of(flux: Any, task: Task, cells: int) -> Rates:
    """The rate matrix of one of fpk's fluxes."""
    return flux.rates(task.problem, task.grid(cells))(0.0)


def sparse(rates: Rates) -> csc_array:
    """A rate matrix between walls as a sparse one."""
    w, n = rates.width, rates.rows.shape[1]
    columns = np.stack([np.roll(rates.rows[w + k], k) for k in range(-w, w + 1)])
    return dia_array((columns, np.arange(-w, w + 1)), shape=(n, n)).tocsc()


def crank_nicolson(flux: Any) -> Solver:
    """Sparse LU once, then (2 (1 − ½τA)⁻¹ − 1) for each step: half the work of multiplying and solving."""

    def solve(task: Task, cells: int, effort: int) -> Array:
        rates = rates_of(flux, task, cells)
        rows = (-0.5 * task.time / effort) * rates.rows
        rows[rates.width] += 1.0
        factors = splu(sparse(rates._replace(rows=rows)), permc_spec="NATURAL")
        p = task.start(task.centers(cells))
        for _ in range(effort):
            p = 2 * factors.solve(p) - p
        return p

    return solve


def fourier(task: Task, cells: int, effort: int) -> Array:
    """Pseudo-spectral in space, explicit Runge–Kutta of order 8 in time, with ``effort`` digits asked for."""
    x = task.centers(cells)
    f = task.drift(x)
    k = 2 * np.pi * np.arange(cells // 2 + 1) / (task.box[1] - task.box[0])
    transport, spread = -1j * k, -task.diffusivity * k**2

    def slope(t: float, p: Array) -> Array:
        return irfft(transport * rfft(f * p) + spread * rfft(p), cells)

    digits = 10.0**-effort
    return solve_ivp(slope, (0, task.time), task.start(x), "DOP853", rtol=digits, atol=digits, t_eval=[task.time]).y[
        :, -1
    ]


def backward_differences(task: Task, cells: int, effort: int) -> Array:
    """BDF of variable order on fpk's own sixth-order operator, with its sparse Jacobian."""
    A, digits = sparse(rates_of(WellBalanced6(), task, cells)), 10.0**-effort
    start = task.start(task.centers(cells))
    return solve_ivp(lambda t, p: A @ p, (0, task.time), start, "BDF", jac=A, rtol=digits, atol=digits).y[:, -1]


def banded_lsoda(task: Task, cells: int, effort: int) -> Array:
    """LSODA on fpk's own sixth-order operator, with its bandwidth and Jacobian."""
    rates, digits = rates_of(WellBalanced6(), task, cells), 10.0**-effort
    A, w = sparse(rates), rates.width
    packed = np.zeros((2 * w + 1, cells))
    for k in range(-w, w + 1):
        packed[w - k] = np.roll(rates.rows[w + k], k)
    return solve_ivp(
        lambda t, p: A @ p, (0, task.time), task.start(task.centers(cells)), "LSODA",
        jac=lambda t, p: packed, lband=w, uband=w, rtol=digits, atol=digits,
    ).y[:, -1]  # fmt: skip


def dense_exponential(task: Task, cells: int, effort: int) -> Array:
    """The exponential of fpk's own sixth-order operator as a full matrix."""
    A = sparse(rates_of(WellBalanced6(), task, cells)).toarray()
    return expm(task.time * A) @ task.start(task.centers(cells))


OURS = Route("fpk: exponential", public_call(), (48, 56, 64, 72, 76, 80, 88, 96, 104, 112, 128, 200, 256))
SAME_OPERATOR = Route(
    "Crank–Nicolson, same operator", crank_nicolson(WellBalanced6()), (68, 72, 76, 80, 88, 96),
    (100, 160, 240, 280, 290, 300, 320, 400, 640, 900, 1300), steps=True,
)  # fmt: skip
SECOND_ORDER = Route(
    "Crank–Nicolson, Scharfetter–Gummel", crank_nicolson(ScharfetterGummel()), (2400, 2800, 3000, 3200, 3600),
    (100, 200, 260, 280, 300, 320, 340, 400), steps=True,
)  # fmt: skip
FOURIER = Route("Fourier + DOP853", fourier, (40, 48, 54, 60, 64, 72, 80, 96), (3, 4, 5, 6, 7, 8, 9, 10))
OTHERS = (
    SAME_OPERATOR,
    SECOND_ORDER,
    FOURIER,
    Route("BDF, same operator", backward_differences, (56, 72, 96, 128), (4, 5, 6, 7, 8, 9)),
    Route("LSODA banded, same operator", banded_lsoda, (56, 72, 96, 128), (4, 5, 6, 7, 8, 9)),
    Route("dense matrix exponential, same operator", dense_exponential, (48, 56, 64, 72, 96, 128, 200)),
)
SCHEMES = (
    OURS,
    Route("fpk: Magnus", public_call(schemes.MAGNUS), (56, 72, 96, 128), (4, 8, 16, 32)),
    Route("fpk: ESDIRK4", public_call(schemes.ACCURATE), (56, 72, 96, 128), (8, 16, 32, 64)),
    Route("fpk: second order", public_call(schemes.SECOND_ORDER), (100, 200, 400, 800), (10, 20, 40, 80)),
    Route("fpk: positive", public_call(positive=True), (100, 200, 400), (20, 80, 320)),
)
