r"""Sums of small increments on a ring: X + f(X) h + ξ with E ξ = 0, E ξ² = g(X)² h and any law of ξ.

With u = Σ_k û_k e^{ikx} one step takes expectations to Σ_k û_k e^{ik(x + f h)} E e^{ikξ}: a matrix on the values at equally spaced points, exact up
to the highest frequency. The diffusion with this f and g comes from a grid.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

import fpk
from fpk.fokker_planck.backward import backward
from fpk.laws import Array

#: (k, g, h) ↦ E e^{ikξ}.
Characteristic = Callable[[Array, Array, float], Any]

LAWS: dict[str, Characteristic] = {
    "two points": lambda k, g, h: np.cos(k * g * h**0.5),
    "uniform": lambda k, g, h: np.sinc(k * g * (3 * h) ** 0.5 / np.pi),
    "exponential": lambda k, g, h: np.exp(-1j * k * g * h**0.5) / (1 - 1j * k * g * h**0.5),
}
POINTS = np.linspace(-np.pi, np.pi, 41, endpoint=False)
STARTS, END = POINTS[::5], 0.5


class Increments(NamedTuple):
    """Factors on f and g², and another law of the noise than that of the case."""

    flow: float = 1.0
    spread: float = 1.0
    law: Characteristic | None = None


def _pull(x: Array) -> Array:
    return np.sin(x) + 0.3


def _strength(x: Array) -> Array:
    return 0.7 + 0.2 * np.cos(x)


def chain(increments: Increments, law: str, root: float) -> Array:
    """E cos X at the end from each of :data:`STARTS`, in steps of h = root²."""
    h, waves, noise = root**2, np.arange(-20.0, 21.0), increments.law or LAWS[law]
    f, g = increments.flow * _pull(POINTS)[:, None], increments.spread**0.5 * _strength(POINTS)[:, None]
    series = np.exp(-1j * np.outer(waves, POINTS)) / len(POINTS)
    step = np.exp(1j * waves * (POINTS[:, None] + f * h)) * noise(waves, g, h) @ series
    return np.real(np.linalg.matrix_power(step, round(END / h)) @ np.cos(POINTS))[::5]


@lru_cache(maxsize=2)
def diffusion(cells: int) -> tuple[Array, Array]:
    """E[cos X_END | X_0 = x] at :data:`STARTS` from twice these cells, and its change from these cells."""
    ring = fpk.Boundary("periodic", -np.pi, np.pi)
    problem = fpk.Problem(
        lambda x, t: _pull(x), lambda x, t: _strength(x), initial=fpk.Gaussian(0.0, 0.5), boundary=ring
    )

    def on(count: int) -> Array:
        grid = fpk.Grid(-np.pi, np.pi, cells=count)
        return backward(problem, grid, payoff=np.cos, times=[0.0], until=END).on(STARTS, 0.0)

    fine = on(2 * cells)
    return fine, np.abs(fine - on(cells)) + 1e-12
