r"""A diffusion with noise that depends on the state and a known transition density: X = sinh U, U an Ornstein–Uhlenbeck process with a moving clock.

    dU = −r U dt + σ√r dW,   r = 1 + t,        U_t | U_s = u ~ N(ρu, v(1 − ρ²)),   ρ = exp(−∫_s^t r),   v = σ²/2.

By Itô's formula dX = f dt + g dW with f = r (½σ² x − √(1 + x²) asinh x) and g² = r σ² (1 + x²); by the change of variables

    P(x; t | y; s) = N(asinh x; ρ asinh y, v(1 − ρ²)) / √(1 + x²).

So the density is known without any of the equations that it satisfies. With ρ = exp(−(∫r)^p), p ≠ 1, U is still a stationary Gaussian
process, but no Markov process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import sympy as sp

import fpk
from fpk.laws import Array, GaussianMixture, TabulatedLaw

from .._systems import boxed

NOISE = 0.6
VARIANCE = NOISE**2 / 2
WALLS = fpk.Boundary("no_flux", -14.0, 14.0)


def clock(s: float, t: float) -> float:
    """∫_s^t r."""
    return t - s + 0.5 * (t**2 - s**2)


def density(x: Array, t: float, y: Array, s: float, *, power: float = 1.0) -> Array:
    """P(x; t | y; s); for ``power`` p ≠ 1 the conditional density of the process with a memory."""
    kept = np.exp(-(clock(s, t) ** power))
    variance = VARIANCE * (1 - kept**2)
    gap = np.arcsinh(x) - kept * np.arcsinh(y)
    return np.exp(-0.5 * gap**2 / variance) / np.sqrt(2 * np.pi * variance * (1 + x**2))


def resting(x: Array) -> Array:
    """The density of sinh U at rest, U ~ N(0, v)."""
    return np.exp(-0.5 * np.arcsinh(x) ** 2 / VARIANCE) / np.sqrt(2 * np.pi * VARIANCE * (1 + x**2))


def nodes(count: int) -> tuple[Array, Array]:
    """Points and weights of the trapezoidal rule in asinh x, over eight standard deviations of U at rest and a start."""
    u = np.linspace(-5.0, 5.0, count)
    return np.sinh(u), np.cosh(u) * (u[1] - u[0])


def moved(y: Array, s: float, t: float) -> tuple[Array, Array]:
    """Positions at t from y at s, shape (n, 40), and their weights: Gauss–Hermite in U."""
    z, w = np.polynomial.hermite_e.hermegauss(40)
    kept = np.exp(-clock(s, t))
    return np.sinh(kept * np.arcsinh(y)[:, None] + np.sqrt(VARIANCE * (1 - kept**2)) * z), w / w.sum()


def drift(x: Array, t: float) -> Array:
    """The f of the equation."""
    return (1 + t) * (0.5 * NOISE**2 * x - np.sqrt(1 + x**2) * np.arcsinh(x))


def squared_noise(x: Array, t: float) -> Array:
    """The g² of the equation."""
    return (1 + t) * NOISE**2 * (1 + x**2)


def problem(*, flow: float = 1.0, spread: float = 1.0, shift: float = 0.0, initial: GaussianMixture) -> fpk.Problem:
    """The SDE between walls that it does not reach, with factors on f and g² and a multiple of ½gg′ = ½rσ²x added to the drift."""
    return boxed(
        lambda x, t: flow * drift(x, t) + shift * 0.5 * NOISE**2 * (1 + t) * x,
        lambda x, t: np.sqrt(spread * squared_noise(x, t)),
        initial=initial,
        walls=WALLS,
    )


def grid(cells: int) -> fpk.Grid:
    """Cells that are nearly equal in asinh x."""
    return fpk.Grid(WALLS.lower, WALLS.upper, cells=cells, focus=0.0, breadth=1.0)


def tabulated(values: Callable[[Array], Array]) -> TabulatedLaw:
    """The law with the density x ↦ values(x) of points (n, 1)."""
    x = np.linspace(WALLS.lower, WALLS.upper, 1401)
    return TabulatedLaw(x, np.log(np.maximum(values(x[:, None]), 1e-300)))


@lru_cache(maxsize=2)
def _logarithm(backwards: bool) -> Callable[..., list[Array]]:
    """(x, t, y, s) ↦ ∂_t l, l′, l″ of l = log P and f, f′, M, M′, M″ with M = g²: in (x, t), or with ∂_s for ∂_t in (y, s). By symbols."""
    x, t, y, s = sp.symbols("x t y s", real=True)
    kept = sp.exp(-(t - s + (t**2 - s**2) / 2))
    variance = VARIANCE * (1 - kept**2)
    log = -((sp.asinh(x) - kept * sp.asinh(y)) ** 2) / (2 * variance) - sp.log(variance * (1 + x**2)) / 2
    at, time = (y, s) if backwards else (x, t)
    f = (1 + time) * (NOISE**2 / 2 * at - sp.sqrt(1 + at**2) * sp.asinh(at))
    M = (1 + time) * NOISE**2 * (1 + at**2)
    wanted = [sp.diff(log, time), sp.diff(log, at), sp.diff(log, at, 2), f, sp.diff(f, at)]
    return sp.lambdify((x, t, y, s), [*wanted, M, sp.diff(M, at), sp.diff(M, at, 2)], "numpy", cse=True)


def forward_terms(x: Array, t: float, y: Array, s: float) -> Array:
    """∂_t P, −(fP)′, ½(MP)″, −¼(M′P)′ and ½MP″ in x, M = g², in this order."""
    rate, l1, l2, f, f1, M, M1, M2 = _logarithm(False)(x, t, y, s)
    curved = l2 + l1**2
    terms = [rate, -(f1 + f * l1), 0.5 * (M2 + 2 * M1 * l1 + M * curved), -0.25 * (M2 + M1 * l1), 0.5 * M * curved]
    return density(x, t, y, s) * np.array(terms)


def backward_terms(x: Array, t: float, y: Array, s: float) -> Array:
    """−∂_s P, fP′, ½MP″, −(fP)′ and ½(MP)″ in y, M = g², in this order."""
    rate, l1, l2, f, f1, M, M1, M2 = _logarithm(True)(x, t, y, s)
    curved = l2 + l1**2
    terms = [-rate, f * l1, 0.5 * M * curved, -(f1 + f * l1), 0.5 * (M2 + 2 * M1 * l1 + M * curved)]
    return density(x, t, y, s) * np.array(terms)
