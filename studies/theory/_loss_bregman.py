r"""Losses made of Bregman divergences D(y, s) = Φ(y) − Φ(s) − ⟨∇Φ(s), y − s⟩, of the noise itself and of its mean given x_t, and their gradients.

Gradients in the parameters are imaginary parts: L(θ + ih) = L(θ) + ih∂L + O(h²), to round-off for h = 10⁻²⁰.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from fpk.laws import Array
from fpk.models.bregman import EXPONENTIAL, QUARTIC, BregmanLoss, Potential
from fpk.models.features import RadialBasis

from ._matching import PLANE, TIME, Noised
from ._matching_implicit import pairs_of

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
    target = logical_target(noised, cloud.x, posterior)
    return cloud.mean(loss(target, np.tensordot(theta, _features(noised, level, False), axes=1)))


def logical_target(noised: Noised, x: Array, posterior: bool) -> Array:
    """E[ε|x_t], or the mean of the noise over the data."""
    mean = noised.alpha * (noised.weights @ noised.centres)
    return -noised.sigma * noised.law.score(x) if posterior else (x - mean) / noised.sigma


def gradient_in(loss: Callable[[Any], Any], theta: Array) -> Array:
    """∂L/∂θ, shape (parameters,)."""
    return np.array([loss(theta + 1e-20j * e).imag / 1e-20 for e in np.eye(len(theta))])


# -- the losses that are fitted ----------------------------------------------------------------------------------------------

#: fpk's potentials beside their values and slopes as written here, and bumps in the plane with parameters of their own for each component.
FITTED: dict[str, tuple[Potential, tuple[Function, Function]]] = {
    "exponential": (EXPONENTIAL, POTENTIALS["exponential"]),
    "square + fourth power": (
        QUARTIC,
        (lambda v: (v**2).sum(-1) + (v**2).sum(-1) ** 2, lambda v: 2 * v + 4 * (v**2).sum(-1, keepdims=True) * v),
    ),
}
BUMPS = RadialBasis(np.array([[-0.8, 0.2], [0.6, 0.7], [0.3, -0.9]]), width=1.1)
PARAMETERS = np.array([[0.3, -0.5], [0.6, 0.2], [-0.4, 0.7]])


def of_a_fit(potential: str, factor: float, posterior: bool, level: int) -> Array:
    """The gradient of the logical loss as above, less that of fpk's loss of pairs, its target times a factor; three points in the plane."""
    noised, (fitted, (value, slope)) = PLANE, FITTED[potential]
    pairs = pairs_of("three points in the plane", TIME, level)
    found = BregmanLoss(BUMPS, pairs.points, factor * pairs.target("noise"), fitted).gradient(PARAMETERS)
    cloud = noised.lattice(level)
    phi, target = BUMPS(cloud.x), logical_target(noised, cloud.x, posterior)

    def loss(theta: Any) -> Any:
        s = phi @ theta.reshape(PARAMETERS.shape)
        return cloud.mean(value(target) - value(s) - (slope(s) * (target - s)).sum(-1))

    return gradient_in(loss, PARAMETERS.ravel()) - found.ravel()
