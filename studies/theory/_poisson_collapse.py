"""The field that is not augmented, on the line and of clusters in the plane: where its backward flow takes particles from all sides."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import exp1

import fpk
from fpk.laws import Array
from fpk.samplers.coupling import quantiles
from fpk.samplers.poisson import coulomb

from ._poisson import LINE, sphere, walked

#: Clusters of one width in the plane.
WIDTH = 0.5
CLUSTERS = {
    "one cluster": np.array([[0.4, -0.3]]),
    "two clusters": np.array([[-3.0, 0.0], [3.0, 0.0]]),
    "merged": np.array([[-0.5, 0.0], [0.5, 0.0]]),
    "close by": np.array([[-1.0, 0.0], [1.0, 0.0]]),
    "three clusters": np.array([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]]),
}


def clusters(case: str) -> fpk.GaussianMixture:
    """The charges of a case; round clusters have equal weights."""
    if case == "N = 1":
        return LINE
    centres = CLUSTERS[case]
    return fpk.GaussianMixture(np.full(len(centres), 1 / len(centres)), centres, stds=np.full(len(centres), WIDTH))


def median(share: float = 0.5) -> float:
    return float(quantiles(LINE, np.array([share]))[0])


def _potential(x: float) -> float:
    """φ of two clusters on the axis through them."""
    squares = (x - CLUSTERS["two clusters"][:, 0]) ** 2 + 1e-14
    return float(-np.mean(np.log(squares) + exp1(0.5 * squares / WIDTH**2)) / (4 * np.pi))


def _slope(x: float) -> float:
    """∂φ by differences, up to a factor."""
    h = 2e-3
    near, far = _potential(x + h) - _potential(x - h), _potential(x + 2 * h) - _potential(x - 2 * h)
    return 8 * near - far


def _summit(low: float, high: float) -> float:
    """Where φ is largest."""
    return float(brentq(_slope, low, high, xtol=1e-13))  # type: ignore[arg-type]


#: Far along the way: exp(−p t) of the distances are left, p the density where all goes.
LONG = {"N = 1": (60.0, 128), "one cluster": (240.0, 128), "two clusters": (340.0, 160)}
STARTS = {"N = 1": np.linspace(-3.0, 4.0, 7)[:, None]} | {name: 6.0 * sphere(2, 4)[0] + 0.1 for name in CLUSTERS}


@lru_cache(maxsize=32)
def collapsed(case: str, sign: float, fineness: int) -> Array:
    """Where the flow takes particles from all sides."""
    charges, (duration, steps) = clusters(case), LONG.get(case, LONG["two clusters"])
    return walked(lambda x: sign * coulomb(charges, x), STARTS[case], duration, fineness * steps)


def goals(case: str, variant: str) -> Array:
    """The median, the centre, or the maximum on the particle's side."""
    x = STARTS[case]
    further = 1.01 if variant == "median + 1 %" else 1.0
    if case == "N = 1":
        goal = float(LINE.mean[0]) if variant == "mean" else median(0.505 if further > 1 else 0.5)
        return np.full_like(x, goal)
    if case == "one cluster":
        return np.broadcast_to(further * CLUSTERS[case], x.shape)
    place = 0.0 if variant == "mean" else further * _summit(2.5, 4.0)
    return np.stack([np.sign(x[:, 0]) * place, np.zeros(len(x))], axis=1)
