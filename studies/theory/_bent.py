r"""Processes with state-dependent noise whose laws are known from their paths: images X = ψ(Y) of linear ones.

In the plane Y solves dY = (A Y + b) dt + B dW with E dW dWᵀ = Q dt, and ψ(y) = (y₀, y₁ + κ sin y₀) shears it. By Itô's formula X has the noise
G = Dψ B and the drift Dψ (A Y + b) + ½ Σ ∂_i ∂_j ψ (B Q Bᵀ)_ij. Volumes are kept: p_X(x) = p_Y(ψ⁻¹(x)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

import fpk
from fpk.errors import ProblemError
from fpk.laws import Array
from fpk.panels import Panel, integrals

KAPPA = 0.6
CORRELATED = np.array([[1.0, 0.5], [0.5, 1.0]])


@dataclass(frozen=True, eq=False)
class Sheared:
    """X = ψ(Y) in the plane; ``noise`` B and ``matrix`` A may be functions of t."""

    matrix: Callable[[float], Array]
    shift: Array
    noise: Callable[[float], Array]
    start: fpk.Gaussian
    correlation: Array = field(default_factory=lambda: CORRELATED)
    bend: float = KAPPA
    horizon: float = 1.0

    @cached_property
    def below(self) -> fpk.LawMarginals:
        """The laws of Y."""
        factor = np.linalg.cholesky(self.correlation)
        problem = fpk.Problem(
            fpk.Linear(self.matrix, self.shift),
            lambda t: (self.noise(t) @ factor)[None],
            initial=self.start,
            horizon=self.horizon,
        )
        return fpk.exact(problem, times=[self.horizon])

    def image(self, y: Array) -> Array:
        """ψ."""
        return np.stack([y[:, 0], y[:, 1] + self.bend * np.sin(y[:, 0])], axis=1)

    def origin(self, x: Array) -> Array:
        """The inverse of ψ."""
        return np.stack([x[:, 0], x[:, 1] - self.bend * np.sin(x[:, 0])], axis=1)

    def slope(self, x: Array) -> Array:
        """Dψ at ψ⁻¹(x), shape (n, 2, 2)."""
        D = np.broadcast_to(np.eye(2), (len(x), 2, 2)).copy()
        D[:, 1, 0] = self.bend * np.cos(x[:, 0])
        return D

    def diffusion(self, x: Array, t: float) -> Array:
        """G = Dψ B, without Q, shape (n, 2, 2)."""
        return self.slope(x) @ self.noise(t)

    def spread(self, x: Array, t: float) -> Array:
        """M = G Q Gᵀ, shape (n, 2, 2)."""
        G = self.diffusion(x, t)
        return G @ self.correlation @ np.swapaxes(G, 1, 2)

    def drift(self, x: Array, t: float) -> Array:
        """By Itô's formula, shape (n, 2)."""
        y = self.origin(x)
        f = (self.slope(x) @ (y @ self.matrix(t).T + self.shift)[:, :, None])[:, :, 0]
        S = self.noise(t) @ self.correlation @ self.noise(t).T
        f[:, 1] -= 0.5 * self.bend * np.sin(y[:, 0]) * S[0, 0]
        return f

    def density(self, x: Array, t: float) -> Array:
        """p_t at x of shape (n, 2)."""
        return self.below.law(t).density(self.origin(x))

    def score(self, x: Array, t: float) -> Array:
        """∇ log p_t at x, shape (n, 2)."""
        below = self.below.law(t).score(self.origin(x))  # type: ignore[attr-defined]
        return np.linalg.solve(np.swapaxes(self.slope(x), 1, 2), below[:, :, None])[:, :, 0]


@dataclass(frozen=True, eq=False)
class ShearedLaw:
    """The law of X_t; it answers what a grid asks of a start."""

    of: Sheared
    time: float
    dimension: int = 2

    def log_density(self, x: Array) -> Array:
        """Log p at x of shape (n, 2)."""
        return self.of.below.law(self.time).log_density(self.of.origin(x))

    def score(self, x: Array) -> Array:
        """∇ log p at x of shape (n, 2)."""
        return self.of.score(x, self.time)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Images of samples of Y."""
        return self.of.image(self.of.below.law(self.time).sample(n, rng))

    def cdf(self, x: Array) -> Array:
        """Unknown in the plane."""
        raise ProblemError(f"no distribution function in the plane, asked for at {len(x)} points.")

    def projected(self, direction: Array) -> Any:
        """Unknown."""
        raise ProblemError(f"no slices, asked for along {direction.tolist()}.")

    def breakpoints(self) -> Array:
        """Unknown in the plane."""
        raise ProblemError("no breakpoints in the plane.")


@dataclass(frozen=True, eq=False)
class Image:
    """The law at one time of ψ(Y), Y Gaussian: expectations by Gauss–Hermite quadrature over Y, with two thirds of the nodes for the error."""

    law: Any
    image: Callable[[Array], Array]
    time: float
    nodes: int = 48

    @property
    def times(self) -> tuple[float, ...]:
        """(time,)."""
        return (self.time,)

    def expect(self, panel: Panel) -> fpk.Estimate:
        """E φ(ψ(Y))."""
        fine, coarse = (self._expected(panel, n) for n in (self.nodes, 2 * self.nodes // 3))
        return fpk.Estimate(fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source="image of a linear process")

    def _expected(self, panel: Panel, nodes: int) -> Array:
        z, w = np.polynomial.hermite_e.hermegauss(nodes)
        d = self.law.dimension
        draws = np.stack(np.meshgrid(*[z] * d, indexing="ij"), axis=-1).reshape(-1, d)
        weights = np.prod(np.stack(np.meshgrid(*[w / w.sum()] * d, indexing="ij"), axis=-1), axis=-1).ravel()
        x = self.image(self.law.mean + draws @ np.linalg.cholesky(self.law.covariance).T)
        return integrals(Panel(panel.smooth), lambda block: block.values(x) @ weights)[0]
