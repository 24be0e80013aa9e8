r"""Expectations by the backward equation, taken as it stands: sixth-order differences on equally spaced nodes and the exponential of their matrix.

The equation's right side is a combination c of four terms, f u′, ½g²u″, −(fu)′ and ½(g²u)″; c = (1, 1, 0, 0) is the backward equation. What it
is held against are laws that were followed *forwards*, by the solver's own grids: from the start law, and from single points.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.linalg import expm

import fpk
from fpk.fokker_planck.solutions import GridMarginals
from fpk.fokker_planck.transitions import transition_density
from fpk.laws import Array

from .._systems import DATA

#: Sixth-order first and second differences on seven nodes.
FIRST = np.array([-1, 9, -45, 0, 45, -9, 1]) / 60
SECOND = np.array([2, -27, 270, -490, 270, -27, 2]) / 180

EARLIER, END = (0.0, 0.2, 0.4), 0.6
STARTS = (-1.0, 0.5, 1.5)


class Case(NamedTuple):
    """The drift and g² as functions of x, and half the width of a box that holds the law."""

    drift: Callable[[Array], Array]
    squared_noise: Callable[[Array], Array]
    width: float

    @property
    def problem(self) -> fpk.Problem:
        """The SDE from the data law."""
        return fpk.Problem(lambda x, t: self.drift(x), lambda x, t: np.sqrt(self.squared_noise(x)), initial=DATA)


CASES = {
    "Ornstein–Uhlenbeck": Case(lambda x: -x, lambda x: 1.0 + 0 * x, 5.0),
    "double well": Case(lambda x: x - x**3, lambda x: 0.64 + 0 * x, 4.0),
    "noise g(x)": Case(lambda x: -x, lambda x: (0.4 + 0.5 * np.sin(1.5 * x)) ** 2 + 0.2, 5.0),
}


def payoff(x: Array) -> Array:
    """What is expected at the end."""
    return np.cos(x - 0.4)


def _differences(stencil: Array, count: int) -> Array:
    """The matrix of a stencil, with values mirrored at both ends."""
    matrix = np.zeros((count, count))
    for k, c in enumerate(stencil, start=-3):
        at = np.abs(np.arange(count) + k)
        np.add.at(matrix, (np.arange(count), np.minimum(at, 2 * (count - 1) - at)), c)
    return matrix


def taken_back(name: str, combination: tuple[float, ...], spacing: float) -> tuple[Array, Array]:
    """Nodes, and u at :data:`EARLIER` on them, shape (3, nodes)."""
    case = CASES[name]
    x = np.linspace(-case.width, case.width, round(2 * case.width / spacing) + 1)
    f, M = np.diag(case.drift(x)), np.diag(case.squared_noise(x))
    d1, d2 = _differences(FIRST, len(x)) / spacing, _differences(SECOND, len(x)) / spacing**2
    terms = (f @ d1, 0.5 * M @ d2, -d1 @ f, 0.5 * d2 @ M)
    step = expm((END - EARLIER[-1]) * sum(c * A for c, A in zip(combination, terms, strict=True)))
    found = [step @ payoff(x)]
    for _ in EARLIER[1:]:
        found.append(step @ found[-1])
    return x, np.array(found[::-1])


@lru_cache(maxsize=16)
def _followed(name: str, cells: int) -> tuple[GridMarginals, Array]:
    """The forward solution from the data law, and E[payoff] at the end from each start at each earlier time, shape (3, 3)."""
    problem, width = CASES[name].problem, CASES[name].width
    grid = fpk.Grid(-width, width, cells=cells)
    spans = sorted(END - s for s in EARLIER)
    laws = [transition_density(problem, grid, start=y, times=spans) for y in STARTS]
    weights = payoff(grid.centers) * grid.widths
    points = np.array([law.densities[::-1] @ weights for law in laws])
    return fpk.solve(problem, grid, times=[*EARLIER, END]), points


def mismatches(name: str, combination: tuple[float, ...], cells: int, spacing: float) -> Array:
    """∫ u(y, s) p_s(y) dy less E[payoff(X_T)] for each s, then u(y, s) less E[payoff(X_T) | X_s = y] for each start y and s.

    ``cells`` are those of the forward solutions; the starts must be nodes, ½ a multiple of ``spacing``.
    """
    solved, points = _followed(name, cells)
    x, u = taken_back(name, combination, spacing)
    weights = payoff(solved.grid.centers) * solved.grid.widths
    paired = [
        spacing * solved.density_on(x, s) @ v - solved.density(END) @ weights for s, v in zip(EARLIER, u, strict=True)
    ]
    at = [round((y + CASES[name].width) / spacing) for y in STARTS]
    return np.concatenate([paired, (u[:, at].T - points).ravel()])


NAMES = (
    *(f"paired with the law at s = {s:g}" for s in EARLIER),
    *(f"from y = {y:g} at s = {s:g}" for y in STARTS for s in EARLIER),
)
