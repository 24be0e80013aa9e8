"""How the loss against the score and the loss against conditional scores differ, and how fields meet either of them in the mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from fpk.laws import Array

from ._loss_data import information
from ._matching import FIELDS, SETTINGS, Noised, divergence, gradient
from ._matching_implicit import THETAS, objectives_at
from ._matching_losses import denoising_losses, explicit_losses

#: The difference of the losses from Fisher's information, σ and d.
Constant = Callable[[float, float, int], float]
CONSTANTS: dict[str, Constant] = {
    "stated": lambda info, sigma, d: info - d / sigma**2,
    "no constant": lambda info, sigma, d: 0.0,
    "sign of the constant": lambda info, sigma, d: d / sigma**2 - info,
    "information dropped": lambda info, sigma, d: -d / sigma**2,
    "d/σ² dropped": lambda info, sigma, d: info,
    "σ for σ²": lambda info, sigma, d: info - d / sigma,
    "1 for d": lambda info, sigma, d: info - 1 / sigma**2,
    "½ extra": lambda info, sigma, d: 0.5 * (info - d / sigma**2),
    "d/σ² + 0.2 %": lambda info, sigma, d: info - 1.002 * d / sigma**2,
}


@lru_cache(maxsize=16)
def _information(noised: Noised, level: int) -> float:
    return information(lambda s: replace(noised, sigma=s).law, noised.sigma, level)


def difference(noised: Noised, constant: Constant, level: int) -> Array:
    """Explicit less denoising loss of every field, less what is claimed of it."""
    apart = explicit_losses(noised, FIELDS, level) - denoising_losses(noised, FIELDS, level)
    return apart - constant(_information(noised, level), noised.sigma, noised.dimension)


@lru_cache(maxsize=8)
def met_by_the_score(noised: Noised, level: int) -> Array:
    """∫ s·∇p dx and −E ∇·s of every field, shape (2, fields)."""
    cloud = noised.lattice(level)
    volume = cloud.weights / noised.law.density(cloud.x)
    slope = gradient(noised.law.density, cloud.x, 0.03 / level)
    met = [float(volume @ (s(cloud.x) * slope).sum(1)) for s in FIELDS]
    return np.array([met, [-float(cloud.mean(divergence(s, cloud.x, 0.03 / level).sum(1))) for s in FIELDS]])


def difference_of_objectives(constant: Constant, level: int) -> Array:
    """The same of the objectives that are fitted, for three choices of the parameters; they are half of the losses."""
    noised, found = SETTINGS["three points in the plane"], objectives_at(level)
    apart = [2 * (found.explicit(theta) - found.denoising(theta)) for theta in THETAS]
    return np.array(apart) - constant(_information(noised, level), noised.sigma, noised.dimension)


def met_by_objectives(factor: float, level: int) -> Array:
    """The linear parts of the explicit and the implicit objective less that of the denoising one, its target times a factor."""
    found = objectives_at(level, factor)
    return np.array(
        [[np.sum(theta * (j.b - found.denoising.b)) for theta in THETAS] for j in (found.explicit, found.implicit)]
    )
