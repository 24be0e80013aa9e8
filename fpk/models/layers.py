r"""Layers of normalizing flows: invertible maps with parameters, the volumes they change, and the slopes of both.

============================ =========================================================================================
:class:`Affine`              y = A x + b
:class:`SinhArcsinh`         y = sinh(δ (arsinh x + ε)) in every coordinate: skewed for ε ≠ 0; light tails for δ < 1, heavy ones for δ > 1
:class:`Bijection`           y = ψ(x), given with its inverse, whose volumes are taken by differences
:class:`Continuous`          dx/dt = θᵀ φ(x, t) from the data at t = 0 to the base at t = 1, with log |det| = ∫_0^1 ∇·v dt
============================ =========================================================================================

Slopes of discrete layers follow from their inverse; those of a continuous one from the sensitivities ∂x/∂θ, which are followed along with the
points and suit fields with few parameters (:mod:`fpk.models.neural` has networks).

References
----------
Jones and Pewsey (2009) for the sinh–arsinh transformation; Chen et al. (2018), theorem 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fpk.coefficients import DERIVATIVE_STEP
from fpk.errors import ProblemError
from fpk.laws import Array, central_derivative
from fpk.models.features import Features

#: A function of positions (n, d).
Map = Callable[[Array], Array]
#: Of the six values around a place in its derivative, sixth order.
WEIGHTS = np.array([-1, 9, -45, 45, -9, 1]) / 60


class Layer(ABC):
    """An invertible map x ↦ y of R^d with parameters; y is on the side of the data. Positions have shape (n, d)."""

    dimension: int

    @property
    @abstractmethod
    def parameters(self) -> Array:
        """All parameters in one vector, any number in which the map is a bijection."""

    @abstractmethod
    def moved(self, parameters: Array) -> Self:
        """The same layer with other parameters."""

    @abstractmethod
    def forward(self, x: Array) -> Array:
        """Towards the data."""

    @abstractmethod
    def back(self, y: Array) -> tuple[Array, Array]:
        """x, and log |det ∂x/∂y| of shape (n,)."""

    @abstractmethod
    def slopes(self, y: Array, along: Array, weights: Array) -> tuple[Array, Array]:
        """Gradients of Σ_n (along_n · x_n + weights_n log |det ∂x/∂y|_n): in y, shape (n, d), and in the parameters."""


class Affine(Layer):
    """y = A x + b.

    Parameters
    ----------
    matrix : array_like, shape (d, d)
        A; a number means d = 1.
    shift : array_like, shape (d,), default 0
        b.

    Raises
    ------
    ProblemError
        If A is not a square matrix that can be inverted.
    """

    def __init__(self, matrix: ArrayLike, shift: ArrayLike = 0.0) -> None:
        self.matrix = np.atleast_2d(np.asarray(matrix, float))
        self.dimension = len(self.matrix)
        square = self.matrix.shape == (self.dimension, self.dimension) and np.all(np.isfinite(self.matrix))
        if not square or np.linalg.matrix_rank(self.matrix) < self.dimension:
            raise ProblemError(f"an affine layer needs a square invertible matrix, got {self.matrix.tolist()}.")
        self.shift = np.broadcast_to(np.asarray(shift, float), (self.dimension,))

    @property
    def parameters(self) -> Array:
        """The entries of A, then b."""
        return np.concatenate([self.matrix.ravel(), self.shift])

    def moved(self, parameters: Array) -> Affine:
        """The layer with other A and b."""
        d = self.dimension
        return Affine(parameters[: d * d].reshape(d, d), parameters[d * d :])

    @cached_property
    def _inverse(self) -> Array:
        return np.linalg.inv(self.matrix)

    def forward(self, x: Array) -> Array:
        """A x + b."""
        return x @ self.matrix.T + self.shift

    def back(self, y: Array) -> tuple[Array, Array]:
        """A⁻¹ (y − b), and −log |det A|."""
        log_det = np.linalg.slogdet(self.matrix)[1]
        return (y - self.shift) @ self._inverse.T, np.full(len(y), -log_det)

    def slopes(self, y: Array, along: Array, weights: Array) -> tuple[Array, Array]:
        """∂x/∂y = A⁻¹, ∂x/∂b = −A⁻¹, ∂x/∂A = −A⁻¹ ∂A x, ∂ log |det A| = Tr A⁻¹ ∂A."""
        x, _ = self.back(y)
        lifted = along @ self._inverse
        matrix = -lifted.T @ x - weights.sum() * self._inverse.T
        return lifted, np.concatenate([matrix.ravel(), -lifted.sum(0)])


class SinhArcsinh(Layer):
    """y = sinh(δ (arsinh x + ε)) in every coordinate.

    Parameters
    ----------
    skew : array_like, shape (d,) or scalar
        ε.
    log_tail : array_like, shape (d,) or scalar
        log δ. With ε = 0 and δ = 1 the layer changes nothing.
    """

    def __init__(self, skew: ArrayLike, log_tail: ArrayLike) -> None:
        self.skew, self.log_tail = np.broadcast_arrays(
            *np.atleast_1d(np.asarray(skew, float), np.asarray(log_tail, float))
        )
        self.dimension = len(self.skew)

    @property
    def parameters(self) -> Array:
        """All ε, then all log δ."""
        return np.concatenate([self.skew, self.log_tail])

    def moved(self, parameters: Array) -> SinhArcsinh:
        """The layer with other ε and δ."""
        return SinhArcsinh(*np.split(parameters, 2))

    def forward(self, x: Array) -> Array:
        """sinh(δ (arsinh x + ε))."""
        return np.sinh(np.exp(self.log_tail) * (np.arcsinh(x) + self.skew))

    def _hyperbolic(self, y: Array) -> tuple[Array, Array]:
        """Arsinh(y)/δ, and arsinh x."""
        tail = np.arcsinh(y) * np.exp(-self.log_tail)
        return tail, tail - self.skew

    def back(self, y: Array) -> tuple[Array, Array]:
        """sinh(arsinh(y)/δ − ε), and the logarithm of its derivative."""
        _, u = self._hyperbolic(y)
        return np.sinh(u), (np.log(np.cosh(u)) - self.log_tail - 0.5 * np.log1p(y**2)).sum(1)

    def slopes(self, y: Array, along: Array, weights: Array) -> tuple[Array, Array]:
        """With u = arsinh(y)/δ − ε: x and log |∂x/∂y| change with u by cosh u and tanh u."""
        tail, u = self._hyperbolic(y)
        w = weights[:, None]
        through = along * np.cosh(u) + w * np.tanh(u)
        there = through * np.exp(-self.log_tail) / np.sqrt(1 + y**2) - w * y / (1 + y**2)
        return there, np.concatenate([-through.sum(0), -(through * tail).sum(0) - weights.sum()])


class Bijection(Layer):
    """y = ψ(x) for any smooth map given with its inverse; nothing in it is learned.

    Parameters
    ----------
    forward, back : callable
        ψ and ψ⁻¹, of positions (n, d).
    dimension : int, default 1
        d.
    step : float
        Of the sixth-order differences of ψ⁻¹, in units of y.

    Raises
    ------
    ProblemError
        Where the inverse is none: places whose image is elsewhere than they came from.

    Accuracy
    --------
    Sixth order in the step, or round-off over it: about 1e-11 for functions of order 1 that change over a length of 1; 1e-7 for slopes of
    log-determinants, which are differences of differences.

    Examples
    --------
    The image of N(0, 1) under ψ(x) = −eˣ, at −1:

    >>> import fpk
    >>> from fpk.models.normalizing import NormalizingFlow
    >>> image = NormalizingFlow(fpk.Gaussian(0.0, 1.0), [Bijection(lambda x: -np.exp(x), lambda y: np.log(-y))])
    >>> image.density(np.array([[-1.0]])).round(9)  # 1/√(2π)
    array([0.39894228])
    """

    def __init__(self, forward: Map, back: Map, dimension: int = 1, *, step: float = DERIVATIVE_STEP) -> None:
        self.map, self.inverse, self.dimension, self.step = forward, back, dimension, step

    @property
    def parameters(self) -> Array:
        """None."""
        return np.zeros(0)

    def moved(self, parameters: Array) -> Bijection:
        """The layer itself."""
        return self

    def forward(self, x: Array) -> Array:
        """ψ(x)."""
        return self.map(x)

    def back(self, y: Array) -> tuple[Array, Array]:
        """ψ⁻¹(y), and the logarithm of the determinant of its differences."""
        if y.ndim != 2 or y.shape[1] != self.dimension:
            raise ProblemError(
                f"a map in dimension {self.dimension} takes positions of shape (n, {self.dimension}), got {y.shape}."
            )
        x = self.inverse(y)
        if np.shape(x) != y.shape or np.shape(self.map(x)) != y.shape:
            raise ProblemError(
                f"a map of positions {y.shape} and its inverse keep their shape, got {np.shape(x)} and {np.shape(self.map(x))}."
            )
        if not np.allclose(self.map(x), y, rtol=1e-6, atol=1e-6):
            raise ProblemError(
                f"the inverse of a map leads to places whose image is up to {np.abs(self.map(x) - y).max():.2g} away: "
                "give forward and back that undo each other wherever they are asked."
            )
        return x, np.linalg.slogdet(self._jacobian(y))[1]

    def slopes(self, y: Array, along: Array, weights: Array) -> tuple[Array, Array]:
        """By differences of ψ⁻¹ and of its log-determinant."""
        bent = self._differences(lambda z: np.linalg.slogdet(self._jacobian(z))[1], y)
        return np.einsum("nij,ni->nj", self._jacobian(y), along) + weights[:, None] * bent, np.zeros(0)

    def _jacobian(self, y: Array) -> Array:
        """∂x_i/∂y_j at [n, i, j]."""
        return self._differences(self.inverse, y)

    def _differences(self, function: Map, y: Array) -> Array:
        """∂_j of a function at [n, ..., j]."""
        parts = [
            central_derivative(lambda h, e=e: function(y + h * e), np.zeros(1), self.step)
            for e in np.eye(self.dimension)
        ]
        return np.stack(parts, axis=-1)


class Continuous(Layer):
    """The flow of dx/dt = θᵀ φ(x, t): a data point at t = 0 is at its base point at t = 1.

    Parameters
    ----------
    features : Features
    theta : array, shape (m, d), default 0
    steps : int, default 16
        Of the classical Runge–Kutta method, either way.

    Accuracy
    --------
    Fourth order in the steps; ``forward`` and ``back`` invert each other to that order. Gradients of ∇·v, which only slopes need, are
    sixth-order differences.
    """

    def __init__(self, features: Features, theta: Array | None = None, *, steps: int = 16) -> None:
        self.features, self.steps, self.dimension = features, steps, features.dimension
        shape = (features.count, features.dimension)
        self.theta = np.zeros(shape) if theta is None else np.asarray(theta, float).reshape(shape)

    @property
    def parameters(self) -> Array:
        """The entries of θ."""
        return self.theta.ravel()

    def moved(self, parameters: Array) -> Continuous:
        """The flow with other θ."""
        return Continuous(self.features, parameters, steps=self.steps)

    def velocity(self, x: Array, t: float) -> Array:
        """V(x, t), shape (n, d)."""
        return self.features.combined(self.theta, x, t)

    def forward(self, x: Array) -> Array:
        """From t = 1 to t = 0."""
        return self._followed(x[:, :, None], 1.0, lambda z, t: self.velocity(z[:, :, 0], t)[:, :, None])[:, :, 0]

    def back(self, y: Array) -> tuple[Array, Array]:
        """From t = 0 to t = 1, with ∫ ∇·v."""
        found = self._followed(_under(y[:, :, None]), 0.0, self._rates)
        return found[:, :-1, 0], found[:, -1, 0]

    def slopes(self, y: Array, along: Array, weights: Array) -> tuple[Array, Array]:
        """From the sensitivities of x and ∫∇·v in θ and y at t = 1."""
        (n, d), m = y.shape, self.theta.size
        start = np.concatenate([y[:, :, None], np.zeros((n, d, m)), np.broadcast_to(np.eye(d), (n, d, d))], axis=2)
        found = self._followed(_under(start), 0.0, self._sensitive_rates)[:, :, 1:]
        gained = np.einsum("ni,nij->nj", along, found[:, :-1]) + weights[:, None] * found[:, -1]
        return gained[:, m:], gained[:, :m].sum(0)

    def _followed(self, z: Array, start: float, rates: Any) -> Array:
        """The other end of a solution that is z at the start, 0 or 1."""
        h = (1 - 2 * start) / self.steps
        for k in range(self.steps):
            t, slope, total = start + k * h, 0.0, 0.0
            for share, weight in ((0.0, 1.0), (0.5, 2.0), (0.5, 2.0), (1.0, 1.0)):
                slope = rates(z + share * h * slope, t + share * h)
                total = total + weight * slope
            z = z + h / 6 * total
        return z

    def _rates(self, z: Array, t: float) -> Array:
        """V above ∇·v, shape (n, d + 1, 1)."""
        x = z[:, :-1, 0]
        return np.concatenate([self.velocity(x, t), self._divergence(x, t)[:, None]], axis=1)[:, :, None]

    def _sensitive_rates(self, z: Array, t: float) -> Array:
        """The same beside ∂(v, ∇·v)/∂x times the sensitivities, plus ∂(v, ∇·v)/∂θ."""
        x, sensitive = z[:, :-1, 0], z[:, :-1, 1:]
        phi, (inner, bent) = self.features(x, t), self._inner(x, t)
        jacobian = np.einsum("nji,jk->nki", inner, self.theta)
        carried = np.concatenate([jacobian, bent[:, None]], axis=1) @ sensitive
        own = np.einsum("nj,kl->nkjl", phi, np.eye(self.dimension)).reshape(len(x), self.dimension, -1)
        carried[:, :, : self.theta.size] += np.concatenate([own, inner.reshape(len(x), 1, -1)], axis=1)
        rates = np.concatenate([phi @ self.theta, np.einsum("nkk->n", jacobian)[:, None]], axis=1)
        return np.concatenate([rates[:, :, None], carried], axis=2)

    def _inner(self, x: Array, t: float) -> tuple[Array, Array]:
        """∂φ at x, and ∇(∇·v) by differences, from one call of the features."""
        d, steps = self.dimension, DERIVATIVE_STEP * np.array([-3, -2, -1, 1, 2, 3])
        shifts = np.concatenate([np.zeros((1, d)), (steps[:, None, None] * np.eye(d)).reshape(-1, d)])
        inner = self.features.gradient((x + shifts[:, None]).reshape(-1, d), t).reshape(len(shifts), len(x), -1, d)
        spread = np.einsum("snjk,jk->sn", inner[1:], self.theta).reshape(len(steps), d, len(x))
        return inner[0], np.einsum("s,sdn->nd", WEIGHTS / DERIVATIVE_STEP, spread)

    def _divergence(self, x: Array, t: float) -> Array:
        return np.einsum("njk,jk->n", self.features.gradient(x, t), self.theta)


def _under(z: Array) -> Array:
    """A row of zeros below columns of shape (n, d, q)."""
    return np.concatenate([z, np.zeros((len(z), 1, z.shape[2]))], axis=1)
