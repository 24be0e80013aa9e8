"""What the studies of grids in two and three dimensions share: problems with known laws and places where they go wrong, boxes, slices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.charts import Chart
from fpk.fokker_planck.product.alternating import ALTERNATING
from fpk.fokker_planck.product.carried import CARRIED
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
    "central": ACCURATE, "Fourier": SPECTRAL, "alternating": ALTERNATING, "positive": POSITIVE, "separable": SEPARABLE,
    "carried": CARRIED,
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


TURN = np.pi / 6
AXES = np.array([[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])
#: 25:1, turned by 30°.
STRETCHED = fpk.Problem(
    fpk.Linear(-0.5), AXES @ np.diag([1.0, 0.2]), initial=fpk.Gaussian([1.0, 0.5], 0.3), name="stretched"
)


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


def single(grid: ProductGrid) -> Array:
    """All mass in the cell in the middle."""
    p = np.zeros(grid.shape)
    p[tuple(n // 2 for n in grid.shape)] = 1 / grid.volume
    return p


def l1(p: Array, q: Array, grid: ProductGrid) -> float:
    """The L¹ distance of two densities at the cell centres."""
    return float(np.abs(p - q).sum()) * grid.volume


def below(found: Mapping[str, float], bar: float, source: str, *charts: Chart) -> Evidence:
    """Numbers that must stay below a bar, with the rounding of their own sums."""
    values = np.array(list(found.values()))
    first = Estimate(values - bar, np.full(len(values), 0.01 * bar), source=source)
    return Evidence(first, zero_estimate(len(values)), tuple(found), charts=charts)


RATES, VOLATILITIES, CORRELATION = np.array([0.2, 0.1]), np.array([0.3, 0.2]), 0.6
MEANS, SPREAD, HALF_YEAR = np.array([2.0, 2.5]), 0.3, 0.5
POWERS = np.array([[1, 0], [0, 1], [2, 0], [1, 1], [0, 2]])


class PowerBlock:
    """Functionals x₀ᵃ x₁ᵇ at t = ½, for the rows (a, b) of :data:`POWERS`."""

    time, times = HALF_YEAR, (HALF_YEAR,)
    names = tuple(f"E x₀^{a} x₁^{b}" for a, b in POWERS)
    frozen = (POWERS,)

    def values(self, x: Array) -> Array:
        """The powers at positions x of shape (n, 2); returns (5, n)."""
        return np.prod(x ** POWERS[:, None], axis=2)


def growing(
    *, extra: float = 0.0, cross: float = 0.0, correlation: float = CORRELATION, noise: float = 1.0
) -> fpk.Problem:
    """Two geometric Brownian motions; wrong with ``extra`` σ² and ``cross`` C_01 on the rates, and a factor on GGᵀ."""
    s = VOLATILITIES * noise**0.5
    rates = RATES + extra * s**2 + cross * correlation * s[0] * s[1]
    return fpk.Problem(
        [f"{rates[0]!s}*x0", f"{rates[1]!s}*x1"],
        [f"{s[0]!s}*x0", f"{s[1]!s}*x1"],
        initial=fpk.Gaussian(MEANS, SPREAD),
        horizon=HALF_YEAR,
        noise_covariance=[[1.0, correlation], [correlation, 1.0]],
        name="geometric Brownian motions",
    )


def growing_moments() -> Array:
    """E X^k in closed form, for the rows k of :data:`POWERS`."""
    C = np.outer(VOLATILITIES, VOLATILITIES) * np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])
    growth = POWERS @ RATES + 0.5 * np.einsum("ki,ij,kj->k", POWERS, C, POWERS) - 0.5 * POWERS @ np.diag(C)
    start = np.array([*MEANS, MEANS[0] ** 2 + SPREAD**2, MEANS.prod(), MEANS[1] ** 2 + SPREAD**2])
    return start * np.exp(HALF_YEAR * growth)


def growing_covariance() -> Array:
    """Of X_t."""
    a, b, aa, ab, bb = growing_moments()
    return np.array([[aa - a * a, ab - a * b], [ab - a * b, bb - b * b]])


TEMPERATURE, CIRCULATION = 0.5, 1.5


def gibbs(x: Array, depth: float = 1.0) -> Array:
    """exp(−depth V/T) for two wells, tilted against one another."""
    V = x[:, 0] ** 4 / 4 - x[:, 0] ** 2 / 2 + x[:, 1] ** 2 / 2 + x[:, 0] * x[:, 1] / 4
    return np.exp(-depth * V / TEMPERATURE)


def circulating(symmetric: bool) -> fpk.Problem:
    """f = −∇V + J∇V, with J antisymmetric, or wrongly symmetric."""
    slopes, other = ("(x0**3 - x0 + x1/4)", "(x1 + x0/4)"), CIRCULATION if symmetric else -CIRCULATION
    drift = [f"-{slopes[0]} + {CIRCULATION}*{slopes[1]}", f"-{slopes[1]} + ({other})*{slopes[0]}"]
    return fpk.Problem(drift, (2 * TEMPERATURE) ** 0.5, initial=fpk.Gaussian([0.0, 0.0], 0.5), name="circulation")


def moving(slow: float = 1.0, *, noise: float = 1.0) -> fpk.Problem:
    """A linear problem whose rotation and tensor change in time."""
    G = [[f"{noise**0.5}*(1.1 + 0.3*sin(4*t))", "0.0"], [f"{noise**0.5}*0.5", f"{noise**0.5}*(0.7 + 0.2*cos(3*t))"]]
    drift = fpk.Linear(lambda t: slow * TURNING * (1 + 0.5 * np.sin(4 * t)))
    return fpk.Problem(drift, G, initial=fpk.Gaussian([1.0, 0.0], 0.6), name="moving rotation")


FREE = fpk.Problem(0.0, 0.4**0.5, initial=fpk.Gaussian([0.3, -0.2], 0.5), name="free motion")


def enclosed(noise: float = 1.0) -> fpk.Problem:
    """:data:`FREE` as far as its law reaches, pushed back behind: too steep at the edges of [−8, 8]² for Fourier collocation."""
    drift = [f"-40*{x}/(1 + exp(8*(6.2 - abs({x}))))" for x in ("x0", "x1")]
    return fpk.Problem(drift, (0.4 * noise) ** 0.5, initial=FREE.initial, name="enclosed motion")


def tumbling(slow: float = 1.0, *, turn: float = 1.0, cross: float = 1.0, noise: float = 1.0) -> fpk.Problem:
    """A linear problem in space with a full tensor; wrong with factors on the rotation, on the cross terms and on GGᵀ."""
    A = np.array([[-1.0, -1.5, 0.3], [1.0, -1.2, 0.5], [0.0, -0.7, -0.8]])
    D = np.array([[0.5, 0.2, -0.1], [0.2, 0.4, 0.1], [-0.1, 0.1, 0.3]])
    one = np.eye(3)
    return fpk.Problem(
        fpk.Linear(slow * A * (turn + (1 - turn) * one)),
        np.linalg.cholesky(2 * noise * D * (cross + (1 - cross) * one)),
        initial=fpk.Gaussian([0.6, 0.0, -0.4], 0.8),
        horizon=0.4,
        name="tumbling",
    )


#: Wave numbers of a functional that is resolved by a few cells, so that errors show their order early.
WAVES = np.array([1.4, 0.9, -0.7])


def wave(grid: ProductGrid) -> Array:
    """The functional cos k·x at the cell centres."""
    return np.cos(grid.points @ WAVES[: grid.dimension]).reshape(grid.shape)


def wave_expected(law: Any) -> float:
    """E cos k·X of a Gaussian mixture."""
    k = WAVES[: law.dimension]
    parts = zip(law.weights, law.means, law.covariances, strict=True)
    return float(sum(w * np.exp(-k @ S @ k / 2) * np.cos(k @ m) for w, m, S in parts))


def wave_error(problem: fpk.Problem, grid: ProductGrid, t: float, **given: Any) -> tuple[float, int]:
    """What a solution gets wrong of E cos k·X_t, and its steps; ``problem`` is linear, or a flow with the law ``given["law"]``."""
    law = given.pop("law", None) or fpk.exact(problem, times=[t]).law(t)
    solved = fpk.solve(problem, grid, times=[t], **given)
    found = float((solved.density(t) * wave(grid)).sum()) * grid.volume
    return found - wave_expected(law), getattr(solved, "steps", 0)
