"""What the studies of grids in two and three dimensions share: problems with known laws and places where they go wrong, boxes, slices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.fokker_planck.product.alternating import ALTERNATING
from fpk.fokker_planck.product.discretisation import ACCURATE, SEPARABLE
from fpk.fokker_planck.product.positive import POSITIVE
from fpk.fokker_planck.product.spectral import SPECTRAL
from fpk.grids import ProductGrid
from fpk.laws import Array
from fpk.marginals import Estimate, zero_estimate
from fpk.panels import Panel
from fpk.study import Evidence

TURNING = np.array([[-1.0, -2.0], [2.0, -1.0]])
TENSOR = np.array([[0.6, 0.3], [0.3, 0.4]])
#: The axes and a diagonal, which sees correlations.
SLICES = np.array([[1.0, 0.0], [0.0, 1.0], [0.5**0.5, 0.5**0.5]])
SCHEMES: dict[str, Any] = {
    "central": ACCURATE, "Fourier": SPECTRAL, "alternating": ALTERNATING, "positive": POSITIVE, "separable": SEPARABLE
}  # fmt: skip
#: The schemes that take any problem.
GENERAL = ("central", "Fourier", "alternating", "positive")


def rotating(*, turn: float = 1.0, cross: float = 1.0, noise: float = 1.0, std: float = 0.3) -> fpk.Problem:
    """dX = A X dt + G dW with a full tensor; wrong with factors other than 1 on the rotation, on D_12 and on GGᵀ."""
    A = TURNING * np.array([[1.0, turn], [turn, 1.0]])
    D = noise * TENSOR * np.array([[1.0, cross], [cross, 1.0]])
    return fpk.Problem(fpk.Linear(A), np.linalg.cholesky(2 * D), initial=fpk.Gaussian([1.5, 0.0], std), name="rotation")


def four_peaks() -> fpk.GaussianMixture:
    """Standard deviations .3 on a circle of radius 2."""
    angles = np.pi / 2 * np.arange(4)
    return fpk.GaussianMixture([0.25] * 4, 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1), stds=[0.3] * 4)


@lru_cache(maxsize=32)
def square(half: float, cells: int, dimension: int = 2) -> ProductGrid:
    """[−half, half]^dimension."""
    return fpk.Grid(-half, half, cells=cells) ** dimension


def slices_of(laws: Mapping[float, Any], degree: int = 4) -> Panel:
    """Functionals of :data:`SLICES` of plane laws."""
    return fpk.law_panel(laws, degree=degree, directions=SLICES)  # type: ignore[arg-type]


def density_of(law: Any, grid: ProductGrid) -> Array:
    """p at the cell centres, of the grid's shape."""
    return np.exp(law.log_density(grid.points)).reshape(grid.shape)


def l1(p: Array, q: Array, grid: ProductGrid) -> float:
    """The L¹ distance of two densities at the cell centres."""
    return float(np.abs(p - q).sum()) * grid.volume


def below(found: Mapping[str, float], bar: float, source: str) -> Evidence:
    """Numbers that must stay below a bar, with the rounding of their own sums."""
    values = np.array(list(found.values()))
    first = Estimate(values - bar, np.full(len(values), 0.01 * bar), source=source)
    return Evidence(first, zero_estimate(len(values)), tuple(found))
