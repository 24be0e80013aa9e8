"""Motions without noise: velocities given by formulas, and flows whose densities are known in closed form or traced back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import fpk
from fpk.fokker_planck.characteristics import log_density
from fpk.laws import Array

from .._systems import DATA
from ._bent import Sheared

PLACES = np.array([-1.4, -0.8, 0.2, 0.9, 1.5, 2.1])
PLANE_DATA = fpk.GaussianMixture([0.4, 0.6], [[-0.8, 0.3], [0.7, -0.2]], stds=[0.5, 0.6])
PLANE_PLACES = np.array([[-1.0, 0.5], [-0.3, -0.4], [0.2, 0.3], [0.9, -0.6], [1.3, 0.2]])
MOTIONS = {
    "d = 1": fpk.Problem("sin(2*x) - 0.5*x", 0.0, initial=DATA),
    "d = 2": fpk.Problem(["sin(x1) + 0.4*x0", "-x0 + cos(x0)*x1"], 0.0, initial=PLANE_DATA),
    "d = 3": fpk.Problem(
        ["sin(x1) + x0*x2", "x1**2/2 - x0", "cos(x0) - x2 + x1*x2"], 0.0, initial=fpk.Gaussian(np.zeros(3), 0.5)
    ),
}
WHERE = {"d = 1": PLACES[:, None], "d = 2": PLANE_PLACES, "d = 3": np.array([[0.3, -0.7, 0.5], [1.1, 0.4, -0.2]])}

LATE = 0.4
ROUND = fpk.Gaussian(0.3, 0.35)
SPIRAL = Sheared(
    lambda t: np.array([[0.4, -1.5], [1.0, -0.9]]),
    np.array([0.3, 0.0]),
    lambda t: np.zeros((2, 2)),
    fpk.Gaussian([0.4, -0.3], covariance=np.array([[0.5, 0.1], [0.1, 0.3]])),
)


def _on_the_circle(x: Array, t: float, level: int) -> Array:
    """The density carried by ẋ = sin x: tan(x/2) grows as eᵗ."""
    half, shrunk = x[:, 0] / 2, np.exp(-t)
    start = 2 * np.arctan2(shrunk * np.sin(half), np.cos(half))
    return ROUND.density(start[:, None]) * shrunk / (np.cos(half) ** 2 + shrunk**2 * np.sin(half) ** 2)


def _traced(x: Array, t: float, level: int) -> Array:
    return np.exp(log_density(MOTIONS["d = 1"], x, t, 20 * level))


#: Half the box, cells, velocity, density (with a level of accuracy) and wave vectors of each flow.
FLOWS: dict[
    str, tuple[float, int, Callable[[Array], Array], Callable[[Array, float, int], Array], list[list[float]]]
] = {
    "ẋ = sin x": (np.pi, 96, np.sin, _on_the_circle, [[1.0], [2.0], [3.0]]),
    "traced back": (6.0, 160, lambda x: np.sin(2 * x) - 0.5 * x, _traced, [[0.7], [1.5], [2.5]]),
    "in the plane": (
        6.5,
        36,
        lambda x: SPIRAL.drift(x, LATE),
        lambda x, t, level: SPIRAL.density(x, t),
        [[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]],
    ),
}
