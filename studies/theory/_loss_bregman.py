r"""Losses made of Bregman divergences D(y, s) = Φ(y) − Φ(s) − ⟨∇Φ(s), y − s⟩, of the noise itself and of its mean given x_t, and their gradients.

Gradients in the parameters are imaginary parts: L(θ + ih) = L(θ) + ih∂L + O(h²), to round-off for h = 10⁻²⁰.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from fpk.laws import Array

from ._matching import Noised

#: Of arrays (..., d) that may be complex; values of shape (...) and (..., d).
Function = Callable[[Any], Any]
#: D(y, s).
Divergence = Callable[[Any, Any], Any]

POTENTIALS: dict[str, tuple[Function, Function]] = {
    "square": (lambda v: (v**2).sum(-1), lambda v: 2 * v),
    "exponential": (lambda v: np.exp(v).sum(-1), np.exp),
    "fourth power": (lambda v: (v**2).sum(-1) ** 2, lambda v: 4 * (v**2).sum(-1, keepdims=True) * v),
}


def bregman(name: str) -> Divergence:
    """D of a potential."""
    value, slope = POTENTIALS[name]
    return lambda y, s: value(y) - value(s) - (slope(s) * (y - s)).sum(-1)


def distance(power: float) -> Divergence:
    """|y − s|^power."""
    return lambda y, s: ((y - s) ** 2).sum(-1) ** (power / 2)


@lru_cache(maxsize=16)
def _features(noised: Noised, level: int, paired: bool) -> Array:
    """Three vector fields, linear, curved and constant, at the nodes: (3, n, d)."""
    x = noised.pairs(level).x if paired else noised.lattice(level).x
    return np.stack([x, np.sin(2 * x[:, ::-1]), 0 * x + 1])


def practical(noised: Noised, level: int, loss: Divergence, theta: Any, factor: float = 1.0) -> Any:
    """E D(factor·ε, s_θ(x_t)) over pairs."""
    pairs = noised.pairs(level)
    noise = (pairs.x - noised.alpha * pairs.x0) / noised.sigma
    return pairs.mean(loss(factor * noise, np.tensordot(theta, _features(noised, level, True), axes=1)))


def logical(noised: Noised, level: int, loss: Divergence, theta: Any, posterior: bool = True) -> Any:
    """E D(E[ε|x_t], s_θ(x_t)) over x_t; or with the mean of the noise over the data, whatever x_t is."""
    cloud = noised.lattice(level)
    mean = noised.alpha * (noised.weights @ noised.centres)
    target = -noised.sigma * noised.law.score(cloud.x) if posterior else (cloud.x - mean) / noised.sigma
    return cloud.mean(loss(target, np.tensordot(theta, _features(noised, level, False), axes=1)))


def gradient_in(loss: Callable[[Any], Any], theta: Array) -> Array:
    """∂L/∂θ, shape (parameters,)."""
    return np.array([loss(theta + 1e-20j * e).imag / 1e-20 for e in np.eye(len(theta))])
