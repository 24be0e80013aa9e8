"""The Fokker–Planck equation by splitting: move along the drift, then blur by the noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import fpk
from fpk.laws import Array, central_derivative
from fpk.marginals import zero_estimate
from fpk.study import Evidence, Size, study

from ._limits import limit
from ._systems import DATA

NOISE = 0.9


def _drift(x: Array) -> Array:
    return np.sin(2 * x) - 0.5 * x


def _right_side(drift: float, spread: float) -> Callable[[Array], Array]:
    """y ↦ −(f p)′·drift + ½g² p″·spread in terms of p, its score and the score's slope."""

    def at(y: Array) -> Array:
        column = y[:, None]
        p, s = DATA.density(column), DATA.score(column)[:, 0]
        curvature = central_derivative(DATA.score, column, 1e-3)[:, 0] + s**2
        slope = 2 * np.cos(2 * y) - 0.5
        return p * (-drift * (slope + _drift(y) * s) + 0.5 * NOISE**2 * spread * curvature)

    return at


def _moved_then_blurred(y: Array, h: float, points: int) -> Array:
    """∫ p(x) N(y; x + h f(x), h g²) dx by the trapezoidal rule over the kernel's width."""
    width = np.sqrt(h) * NOISE
    offsets = np.linspace(-11, 11, points) * width
    x = y[:, None] + offsets
    kernel = np.exp(-0.5 * ((y[:, None] - x - h * _drift(x)) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return (DATA.density(x.reshape(-1, 1)).reshape(x.shape) * kernel).sum(1) * (offsets[1] - offsets[0])


def _blurred_then_moved(y: Array, h: float, points: int) -> Array:
    """Density of Z + h f(Z), Z ~ p * N(0, h g²), by inverting the map with Newton's method."""
    z = y.copy()
    for _ in range(30):
        z = z - (z + h * _drift(z) - y) / (1 + h * (2 * np.cos(2 * z) - 0.5))
    blurred = DATA.pushed(np.eye(1), np.zeros(1), h * NOISE**2 * np.eye(1))
    return blurred.density(z[:, None]) / np.abs(1 + h * (2 * np.cos(2 * z) - 0.5))


ORDERS = {"move, then blur": _moved_then_blurred, "blur, then move": _blurred_then_moved}

SIDES = {
    "stated": _right_side(1.0, 1.0),
    "½ missing on g²": _right_side(1.0, 2.0),
    "drift sign": _right_side(-1.0, 1.0),
    "diffusion dropped": _right_side(1.0, 0.0),
    "g² + 1 %": _right_side(1.0, 1.01),
}


@study("S2.E23", variants=SIDES, cases=tuple(ORDERS))
def splitting(variant: Callable[[Array], Array], case: str, size: Size, seed: int) -> Evidence:
    """(p_h − p)/h − (the right side of the Fokker–Planck equation) as h → 0, at points across the law."""
    y = np.linspace(-1.6, 2.4, 13 if size.quick else 29)
    p = DATA.density(y[:, None])
    found, bound, coarser = limit([(ORDERS[case](y, 2e-3 / 2**k, 401) - p) / (2e-3 / 2**k) for k in range(4)])
    claimed = variant(y)
    first = fpk.residual(found - claimed, bound + 1e-8, coarser=coarser - claimed, source=f"{case}, by quadrature")
    return Evidence(first, zero_estimate(len(y)), tuple(f"x = {v:.3g}" for v in y))
