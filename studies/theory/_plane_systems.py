"""Systems in the plane: images of linear ones, and nonlinear ones whose coefficients are written twice, as formulas and as arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fpk
from fpk.laws import Array

from ._bent import Sheared

TURN = np.array([[-0.5, -1.2], [1.0, -0.8]])
SKEW = np.array([[0.7, 0.1], [0.2, 0.6]])
START = fpk.Gaussian([0.4, -0.3], 0.7)
SHIFT = np.array([0.3, 0.0])
END = 0.25
BENT = Sheared(lambda t: TURN, SHIFT, lambda t: SKEW, START, horizon=END)
STRAIGHT = Sheared(lambda t: TURN, SHIFT, lambda t: SKEW * (1 + t), START, bend=0.0, horizon=1.0)


def diagonal(M: Array) -> Array:
    """The diagonal of matrices (n, 2, 2)."""
    return M * np.eye(2)


class PlaneSystem(NamedTuple):
    """A problem given by formulas, and its f (n, 2) and σ (n, 2, 2) again, at t = ½."""

    problem: fpk.Problem
    drift: Callable[[Array, Array], list[Array]]
    noise: Callable[[Array, Array], list[list[Array]]]


def _system(drift: list[str], noise: list[list[str]], f: Any, sigma: Any) -> PlaneSystem:
    return PlaneSystem(fpk.Problem(drift, noise, initial=START), f, sigma)


SYSTEMS = {
    "σ(x)": _system(
        ["sin(x1)", "-x0"],
        [["1 + x0*x1/4", "x1/3"], ["x0/5", "1 + sin(x0)/3"]],
        lambda x, y: [np.sin(y), -x],
        lambda x, y: [[1 + x * y / 4, y / 3], [x / 5, 1 + np.sin(x) / 3]],
    ),
    "σ(t)": _system(
        ["sin(x1)", "-x0"],
        [["0.6 + t", "0.1"], ["0.5*t", "0.8"]],
        lambda x, y: [np.sin(y), -x],
        lambda x, y: [[1.1 + 0 * x, 0.1 + 0 * x], [0.25 + 0 * x, 0.8 + 0 * x]],
    ),
    "σ = 0": _system(
        ["sin(x1)", "cos(x0) - x1"],
        [["0", "0"], ["0", "0"]],
        lambda x, y: [np.sin(y), np.cos(x) - y],
        lambda x, y: [[0 * x, 0 * x], [0 * x, 0 * x]],
    ),
}
#: What becomes of f and of σσᵀ, from f and σ.
Change = Callable[[Array, Array], tuple[Array, Array]]
TENSORS: dict[str, Change] = {
    "stated": lambda f, s: (f, s @ np.swapaxes(s, 1, 2)),
    "½ missing": lambda f, s: (f, 2 * s @ np.swapaxes(s, 1, 2)),
    "drift sign": lambda f, s: (-f, s @ np.swapaxes(s, 1, 2)),
    "σᵀσ": lambda f, s: (f, np.swapaxes(s, 1, 2) @ s),
    "cross terms dropped": lambda f, s: (f, diagonal(s @ np.swapaxes(s, 1, 2))),
    "σσᵀ + 1 %": lambda f, s: (f, 1.01 * s @ np.swapaxes(s, 1, 2)),
    "drift + 1 %": lambda f, s: (1.01 * f, s @ np.swapaxes(s, 1, 2)),
}
