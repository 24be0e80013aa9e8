"""Means and covariances of linear SDEs: from grid solutions, which know nothing of moment equations, and by the formulas that are claimed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Evidence, Size

#: Nodes of the quadratures over time.
NODES = 12
#: What the default time steps of a grid leave at most.
STEPS = 1e-8


@dataclass(frozen=True)
class Linear:
    """dX = (a(t) X + b) dt + G dW from N(mean, covariance), until ``end``, on a box."""

    matrix: Callable[[float], Array]
    shift: Array
    noise: Array
    mean: Array
    covariance: Array
    box: tuple[float, float]
    end: float = 1.0

    @property
    def spread(self) -> Array:
        """G Gᵀ (with the noise covariance in G)."""
        return self.noise @ self.noise.T

    @property
    def problem(self) -> fpk.Problem:
        """The SDE."""
        start = fpk.Gaussian(self.mean, covariance=self.covariance)
        drift = fpk.Linear(self.matrix, lambda t: self.shift)
        noise = float(self.noise[0, 0]) if len(self.mean) == 1 else self.noise
        return fpk.Problem(drift, noise, initial=start, horizon=self.end)


#: Matrices that do not commute at different times, and a scalar, where everything commutes.
TURNING = Linear(
    lambda t: np.array([[0.0, 1.0], [-3.0 * t, -0.5]]),
    np.array([1.0, 0.0]),
    np.linalg.cholesky(np.array([[0.2, 0.1], [0.1, 1.0]])),
    np.array([0.6, -0.8]),
    np.array([[0.16, 0.05], [0.05, 0.2]]),
    (-6.5, 6.5),
)
SCALAR = Linear(
    lambda t: np.array([[-1.0 - t]]),
    np.array([0.7]),
    np.array([[0.8]]),
    np.array([1.2]),
    np.array([[0.09]]),
    (-5.0, 6.0),
)
SYSTEMS = {"matrix": TURNING, "scalar": SCALAR}


@lru_cache(maxsize=8)
def grid_moments(case: str, size: Size) -> tuple[Array, Array, Array, Array]:
    """Mean and covariance at the end by sums over a grid, and their budgets: the change from half the cells, and what default steps leave."""
    system = SYSTEMS[case]
    cells = size.cells(72 if case == "matrix" else 120)
    (mean, covariance), (coarse_mean, coarse) = _summed(system, cells), _summed(system, cells // 2)
    return mean, covariance, np.abs(mean - coarse_mean) + STEPS, np.abs(covariance - coarse) + STEPS


def _summed(system: Linear, cells: int) -> tuple[Array, Array]:
    d = len(system.mean)
    axis = fpk.Grid(*system.box, cells=cells)
    grid = axis if d == 1 else axis**d
    p = fpk.solve(system.problem, grid, times=[system.end]).densities[0].ravel()
    x = (
        axis.centers[:, None]
        if d == 1
        else np.stack(np.meshgrid(*[axis.centers] * d, indexing="ij"), -1).reshape(-1, d)
    )
    mass = p / p.sum()
    mean = mass @ x
    return mean, (x - mean).T @ ((x - mean) * mass[:, None])


def moments_evidence(case: str, size: Size, *, mean: Array | None = None, covariance: Array | None = None) -> Evidence:
    """The moments of the grid less those that are claimed; either may be left out."""
    found, spread, mean_bound, spread_bound = grid_moments(case, size)
    values, bounds, names = [], [], []
    if mean is not None:
        values.append(found - mean)
        bounds.append(mean_bound)
        names += [f"E X{i}" for i in range(len(mean))]
    if covariance is not None:
        values.append((spread - covariance).ravel())
        bounds.append(spread_bound.ravel())
        names += [f"Cov {i}{j}" for i in range(len(spread)) for j in range(len(spread))]
    residual = np.concatenate(values)
    first = fpk.residual(residual, np.concatenate(bounds), source=f"moments on the grid less the formula, {case} drift")
    return Evidence(first, zero_estimate(len(residual)), tuple(names))


def integrated(slope: Callable[[float, Array], Array], start: Array, end: float) -> Array:
    """The solution at ``end`` of ẏ = slope(t, y), y of any shape, from ``start``; to ten digits."""
    shape = np.shape(start)
    solved = solve_ivp(
        lambda t, y: slope(t, y.reshape(shape)).ravel(), (0.0, end), np.ravel(start), "DOP853", rtol=1e-10, atol=1e-12
    )
    return solved.y[:, -1].reshape(shape)


def ordered(matrix: Callable[[float], Array], late: float, early: float) -> Array:
    """Φ(late, early), by its equation ∂Φ/∂t = a(t) Φ."""
    one = np.eye(len(matrix(early)))
    return integrated(lambda t, M: matrix(early + t) @ M, one, late - early)


def exponential_of_integral(matrix: Callable[[float], Array], late: float, early: float) -> Array:
    """exp(∫ a) without any order, right only where a(t) and a(s) commute."""
    nodes, weights = _nodes(early, late)
    return expm(sum(w * matrix(float(s)) for s, w in zip(nodes, weights, strict=True)))


Propagator = Callable[[Callable[[float], Array], float, float], Array]


def propagated_mean(system: Linear, propagator: Propagator, *, forced: bool = True) -> Array:
    """Φ(t, 0) m₀ + ∫ Φ(t, s) b ds; without moving b if not ``forced``."""
    nodes, weights = _nodes(0.0, system.end)
    moved = [propagator(system.matrix, system.end, float(s)) if forced else np.eye(len(system.mean)) for s in nodes]
    source = sum(w * M @ system.shift for M, w in zip(moved, weights, strict=True))
    return propagator(system.matrix, system.end, 0.0) @ system.mean + source


def propagated_noise(system: Linear, propagator: Propagator, between: Callable[[Array, Array], Array]) -> Array:
    """∫ between(Φ(t, s), G Gᵀ) ds."""
    nodes, weights = _nodes(0.0, system.end)
    return np.asarray(
        sum(
            w * between(propagator(system.matrix, system.end, float(s)), system.spread)
            for s, w in zip(nodes, weights, strict=True)
        )
    )


def _nodes(a: float, b: float) -> tuple[Array, Sequence[float]]:
    u, w = np.polynomial.legendre.leggauss(NODES)
    return 0.5 * (a + b) + 0.5 * (b - a) * u, list(0.5 * (b - a) * w)
