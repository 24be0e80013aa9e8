r"""What else a user could run: Euler–Maruyama loops over blocks of particles, written out by hand for four problems.

Each numpy loop is the strongest short form of its problem: blocks that stay in cache, everything in place, normal numbers of SFC64, parameters
worked out before the first step, and positions in units of the noise, Y = (G √h)⁻¹ X, so that the noise is added as it is drawn. Threads share
the blocks, for numpy lets go of the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit  # type: ignore[import-untyped]

import fpk
from fpk.laws import Array

#: Normals(z): fill an array with standard normal numbers.
Normals = Callable[[Array], object]
#: Loop(x, z, steps, normals): positions x (d, B) through all steps of [0, 1] in place; z (d, B) is room for normal numbers.
Loop = Callable[[Array, Array, int, Normals], None]


@dataclass(frozen=True)
class System:
    """A problem on [0, 1] with its loop.

    Parameters
    ----------
    name : str
    problem : callable
        A factor on g² ↦ the problem; 1 is what the loop solves.
    start : callable
        Standard normal numbers (d, B) ↦ initial positions, in place.
    loop : callable
        See :data:`Loop`.
    dimension : int
    """

    name: str
    problem: Callable[[float], fpk.Problem]
    start: Callable[[Array], None]
    loop: Loop
    dimension: int


def ensemble(
    system: System, *, particles: int, steps: int, block: int = 8192, precision: Any = np.float64, threads: int = 2
) -> Array:
    """Positions at t = 1 by the numpy loop, shape (d, particles); the noise is drawn in a precision, positions are float64."""
    out = np.empty((system.dimension, particles))
    begins = range(0, particles, block)
    seeds = np.random.SeedSequence(1).spawn(len(begins))

    def moved(begin: int, seed: np.random.SeedSequence) -> None:
        rng = np.random.Generator(np.random.SFC64(seed))
        x = rng.standard_normal((system.dimension, min(block, particles - begin)))
        system.start(x)
        system.loop(x, np.empty(x.shape, precision), steps, lambda z: rng.standard_normal(dtype=precision, out=z))
        out[:, begin : begin + x.shape[1]] = x

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(moved, begins, seeds))
    return out


# -- dX = −X dt + √2 dW ---------------------------------------------------------------------------------------------------------


def spring(factor: float = 1.0) -> fpk.Problem:
    """An Ornstein–Uhlenbeck process from N(1, .2²)."""
    return fpk.Problem("-x", (2 * factor) ** 0.5, initial=fpk.Gaussian(1.0, 0.2), name="Ornstein–Uhlenbeck")


def start_spring(x: Array) -> None:
    """N(1, .2²)."""
    x *= 0.2
    x += 1.0


def loop_spring(x: Array, z: Array, steps: int, normals: Normals) -> None:
    """Two operations and a draw."""
    unit, shrink = (2 / steps) ** 0.5, 1 - 1 / steps
    x /= unit
    for _ in range(steps):
        normals(z)
        x *= shrink
        x += z
    x *= unit


# -- dX_i = (X_i − X_i³) dt + .7 dW_i -----------------------------------------------------------------------------------------


def wells(factor: float = 1.0) -> fpk.Problem:
    """A double well in each of two coordinates."""
    start = fpk.Gaussian([0.0, 0.0], 0.5)
    return fpk.Problem(["x0 - x0**3", "x1 - x1**3"], 0.7 * factor**0.5, initial=start, name="double well")


def start_wells(x: Array) -> None:
    """N(0, .5² I)."""
    x *= 0.5


def loop_wells(x: Array, z: Array, steps: int, normals: Normals) -> None:
    """Y ← Y (1 + h − h c² Y²) + Z with X = c Y."""
    unit = 0.7 / steps**0.5
    square, growth, bend = np.empty_like(x), 1 + 1 / steps, -(unit**2) / steps
    x /= unit
    for _ in range(steps):
        normals(z)
        np.multiply(x, x, out=square)
        square *= bend
        square += growth
        x *= square
        x += z
    x *= unit


# -- dX = (M X + b) dt + G dW -------------------------------------------------------------------------------------------------

MATRIX = np.array([[-1.0, 0.5, 0.0], [0.2, -1.5, 0.3], [0.0, -0.4, -0.8]])
SHIFT = np.array([0.1, 0.0, -0.2])
NOISE = np.array([[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [0.2, -0.3, 0.6]])


def triple(factor: float = 1.0) -> fpk.Problem:
    """Three linear equations with correlated noise."""
    start = fpk.Gaussian([0.0, 0.0, 0.0], 1.0)
    return fpk.Problem(fpk.Linear(MATRIX, SHIFT), NOISE * factor**0.5, initial=start, name="correlated linear")


def start_triple(x: Array) -> None:
    """N(0, I): as drawn."""


def loop_triple(x: Array, z: Array, steps: int, normals: Normals) -> None:
    """One product with a matrix of three rows and four columns, the last for the shift; two states take turns."""
    unit = NOISE / steps**0.5
    whole = np.column_stack(
        [np.eye(3) + np.linalg.solve(unit, MATRIX @ unit) / steps, np.linalg.solve(unit, SHIFT) / steps]
    )
    now, then = (np.ones((4, x.shape[1])) for _ in range(2))
    now[:3] = np.linalg.solve(unit, x)
    for _ in range(steps):
        normals(z)
        moved = then[:3]
        np.matmul(whole, now, out=moved)
        moved += z
        now, then = then, now
    x[:] = unit @ now[:3]


# -- the reverse of a VP process from a ring of eight peaks -------------------------------------------------------------------

ANGLES = np.pi / 4 * np.arange(8)
PEAKS, WIDTH = 2.0 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1), 0.3
BETA = (0.1, 20.0)


def ring(factor: float = 1.0) -> fpk.Problem:
    """The reverse-time SDE of a VP process with its exact score; ``factor`` is on the g² of the noise alone."""
    law = fpk.GaussianMixture(np.full(8, 1 / 8), PEAKS, stds=np.full(8, WIDTH))
    forward = fpk.noising(fpk.VPSchedule(*BETA), law)
    reverse = fpk.reverse_time(forward, fpk.exact(forward, times=[1.0]).score, initial=fpk.Gaussian([0.0, 0.0], 1.0))
    if factor == 1.0:
        return reverse
    return fpk.Problem(
        reverse.drift,
        lambda t: (factor * rate(1 - t)) ** 0.5,
        initial=reverse.initial,
        name="VP reverse, too much noise",
    )


def rate(t: Any) -> Any:
    """β(t)."""
    return BETA[0] + (BETA[1] - BETA[0]) * t


def start_ring(x: Array) -> None:
    """N(0, I): as drawn."""


def loop_ring(x: Array, z: Array, steps: int, normals: Normals) -> None:
    """Eight exponentials between two products with matrices.

    All peaks are as wide, and as far from 0: their weights are exp(α ⟨μ, x⟩ / v), whose size needs no care for |x| < 35.
    """
    h = 1 / steps
    t = 1 - h * np.arange(steps)
    beta, integral = rate(t), BETA[0] * t + 0.5 * (BETA[1] - BETA[0]) * t**2
    alpha = np.exp(-0.5 * integral)
    v = 1 - (1 - WIDTH**2) * alpha**2
    unit = (h * beta) ** 0.5
    before = np.append(1.0, unit[:-1])  # the unit in which the last step has left the position
    shrink = (1 + h * beta * (0.5 - 1 / v)) * before / unit
    inward = (alpha / v * before)[:, None, None] * PEAKS
    outward = np.repeat(np.vstack([PEAKS.T, np.ones(8)])[None], steps, axis=0)
    outward[:, :2] *= (h * beta * alpha / v / unit)[:, None, None]
    weights, pulls = np.empty((8, x.shape[1])), np.empty((3, x.shape[1]))
    pull, total = pulls[:2], pulls[2]
    for a, inner, outer in zip(shrink, inward, outward, strict=True):
        np.matmul(inner, x, out=weights)
        np.exp(weights, out=weights)
        np.matmul(outer, weights, out=pulls)
        pull /= total
        x *= a
        x += pull
        normals(z)
        x += z
    x *= unit[-1]


SPRING = System("Ornstein–Uhlenbeck", spring, start_spring, loop_spring, 1)
WELLS = System("2-D double well", wells, start_wells, loop_wells, 2)
TRIPLE = System("3-D correlated linear", triple, start_triple, loop_triple, 3)
RING = System("2-D VP reverse, 8 components", ring, start_ring, loop_ring, 2)
SYSTEMS = (SPRING, WELLS, TRIPLE, RING)


# -- numba's own normal numbers -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def numba_spring() -> Callable[[Array, int, int], None]:
    """The loop a numba user writes for the Ornstein–Uhlenbeck process, compiled: (x (n,), steps, seed), in place."""

    @njit(nogil=True, fastmath=True)
    def moved(x: Array, steps: int, seed: int) -> None:
        np.random.seed(seed)  # noqa: NPY002
        unit, shrink = np.sqrt(2 / steps), 1 - 1 / steps
        for i in range(len(x)):
            y = x[i]
            for _ in range(steps):
                y = shrink * y + unit * np.random.normal()  # noqa: NPY002
            x[i] = y

    return moved


def by_numba(*, particles: int, steps: int, threads: int = 2) -> Array:
    """Positions of the Ornstein–Uhlenbeck process at t = 1 by numba's generator, one for each thread; shape (1, particles)."""
    x = np.random.Generator(np.random.SFC64(1)).standard_normal(particles)
    start_spring(x)
    loop = numba_spring()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part, seed: loop(part, steps, seed), np.array_split(x, threads), range(threads)))
    return x[None]
