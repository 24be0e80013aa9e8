r"""Features: maps φ: R^d × [0, T] → R^m with analytic gradients, of which learned fields are linear combinations.

    s_θ(x, t) = θᵀ φ(x, t),   θ ∈ R^{m×d},        ∂_i s_θ,k = Σ_j θ_jk ∂_i φ_j,        ∇·s_θ = Σ_jk θ_jk ∂_k φ_j.

A field that is linear in θ makes every objective of score and flow matching a quadratic form, whose minimiser is a linear system. Features of
x alone ignore t; :class:`Timed` multiplies them by polynomials in t. ``first + second`` has the features of both.

References
----------
Rahimi and Recht (2007) for random Fourier features; de Boor (2001), chapters IX and XII, for splines and their rates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product
from operator import add, mul
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fpk.errors import ProblemError
from fpk.laws import Array


class Features(ABC):
    """A map φ with m components over positions of shape (n, d) and one time."""

    dimension: int
    count: int

    @abstractmethod
    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """φ(x, t), shape (n, m)."""

    @abstractmethod
    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """∂_i φ_j(x, t), shape (n, m, d)."""

    def combined(self, theta: Array, x: Array, t: float) -> Array:
        """φ(x, t) θ for parameters of shape (m, d), shape (n, d)."""
        return self(x, t) @ theta

    def __add__(self, other: Features) -> Joined:
        """The features of both."""
        return Joined(self, other)


class Joined(Features):
    """The features of two maps, the first one's first.

    Raises
    ------
    ProblemError
        If their dimensions differ.
    """

    def __init__(self, first: Features, second: Features) -> None:
        if first.dimension != second.dimension:
            raise ProblemError(
                f"features of one dimension can be joined, got d = {first.dimension} and d = {second.dimension}."
            )
        self.parts = (first, second)
        self.dimension, self.count = first.dimension, first.count + second.count

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """Both values side by side, shape (n, m)."""
        return np.concatenate([part(x, t) for part in self.parts], axis=1)

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """Both gradients side by side, shape (n, m, d)."""
        return np.concatenate([part.gradient(x, t) for part in self.parts], axis=1)


class RadialBasis(Features):
    """Gaussian bumps φ_j(x) = exp(−|x − c_j|² / 2w²).

    Parameters
    ----------
    centres : array_like, shape (m, d) or (m,)
        One-dimensional input means d = 1.
    width : float
        w, in units of x; between one and two spacings of the centres is smooth and still well conditioned.

    Raises
    ------
    ProblemError
        If the width is not positive.
    """

    def __init__(self, centres: ArrayLike, *, width: float) -> None:
        given = np.asarray(centres, float)
        self.centres = given[:, None] if given.ndim == 1 else given
        self.width = _positive(width, "the width of radial basis functions")
        self.count, self.dimension = self.centres.shape

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """The bumps at x, shape (n, m)."""
        along = ((column[:, None] - centres) ** 2 for column, centres in zip(x.T, self.centres.T, strict=True))
        return np.exp(reduce(add, along) * (-0.5 / self.width**2))

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """−(x − c_j)/w² φ_j, shape (n, m, d)."""
        return (self.centres - x[:, None]) / self.width**2 * self(x, t)[:, :, None]


class RandomFourier(Features):
    """Random waves φ_j(x) = √(2/m) cos(⟨ω_j, x⟩ + b_j): for many of them φ(x)ᵀφ(y) → exp(−|x − y|² / 2w²).

    Parameters
    ----------
    count : int
        m.
    dimension : int, default 1
    width : float
        w: frequencies ω_j are drawn from N(0, w⁻² I), phases uniformly.
    seed : int
        Of the draw: the same seed, the same features.

    References
    ----------
    Rahimi and Recht (2007), algorithm 1.
    """

    def __init__(self, count: int, dimension: int = 1, *, width: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        scale = _positive(width, "the width of random Fourier features")
        self.count, self.dimension = count, dimension
        self.frequencies = rng.standard_normal((count, dimension)) / scale
        self.phases = rng.uniform(0, 2 * np.pi, count)

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """The waves at x, shape (n, m)."""
        return np.sqrt(2 / self.count) * np.cos(x @ self.frequencies.T + self.phases)

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """−√(2/m) sin(⟨ω_j, x⟩ + b_j) ω_j, shape (n, m, d)."""
        return -np.sqrt(2 / self.count) * np.sin(x @ self.frequencies.T + self.phases)[:, :, None] * self.frequencies


class Hermite(Features):
    """Products of Hermite polynomials of total degree up to ``degree``, orthonormal under N(mean, std²) in every coordinate.

    φ_k(x) = Π_i He_{k_i}((x_i − μ_i)/s_i) / √(k_i!),  |k| ≤ degree.

    Parameters
    ----------
    degree : int
        Total degree; 0 is the constant, 1 adds the coordinates.
    mean, std : array_like, shape (d,) or scalar
        Of the law they are scaled to.
    """

    def __init__(self, degree: int, *, mean: ArrayLike = 0.0, std: ArrayLike = 1.0) -> None:
        self.mean = np.atleast_1d(np.asarray(mean, float))
        self.std = np.broadcast_to(np.asarray(std, float), self.mean.shape)
        self.degree, self.dimension = degree, len(self.mean)
        powers = product(range(degree + 1), repeat=self.dimension)
        self.powers = np.array(sorted((k for k in powers if sum(k) <= degree), key=lambda k: (sum(k), k)))
        self.count = len(self.powers)

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """The products at x, shape (n, m)."""
        return reduce(mul, self._factors(self._table(x))).T

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """He_k′ = k He_{k−1} in one factor, the others as they are; shape (n, m, d)."""
        table = self._table(x)
        factors, out = self._factors(table), np.empty((len(x), self.count, self.dimension))
        for i, k in enumerate(self.powers.T):
            slope = (np.sqrt(k) / self.std[i])[:, None] * table[np.maximum(k - 1, 0), i]
            out[:, :, i] = reduce(mul, factors[:i] + factors[i + 1 :], slope).T
        return out

    def _table(self, x: Array) -> Array:
        """Normalised polynomials of every degree in every coordinate, (degree + 1, d, n), by their three-term recursion."""
        y = ((x - self.mean) / self.std).T
        table = [np.ones_like(y), y]
        for k in range(1, self.degree):
            table.append((y * table[k] - np.sqrt(k) * table[k - 1]) / np.sqrt(k + 1))
        return np.stack(table[: self.degree + 1])

    def _factors(self, table: Array) -> list[Array]:
        """The factors of every product, one (m, n) for each coordinate."""
        return [table[k, i] for i, k in enumerate(self.powers.T)]


class Splines(Features):
    """B-splines on equal pieces of an interval (d = 1), continued linearly beyond it, as scores of Gaussian tails are.

    Parameters
    ----------
    lower, upper : float
    pieces : int
        Number of intervals between knots, of length h = (upper − lower)/pieces; m = pieces + degree.
    degree : int, default 3
        Of the pieces. Smooth functions are approximated to O(h^{degree + 1}), their derivatives one order less (de Boor 2001, XII.6).

    Raises
    ------
    ProblemError
        If the interval is empty, or there is no piece.
    """

    dimension = 1

    def __init__(self, lower: float, upper: float, *, pieces: int, degree: int = 3) -> None:
        if not (lower < upper and pieces >= 1):
            raise ProblemError(
                f"splines need lower < upper and one piece at least, got [{lower}, {upper}] and {pieces} pieces."
            )
        self.lower, self.upper, self.degree, self.count = lower, upper, degree, pieces + degree
        self.knots = np.linspace(lower, upper, pieces + 1)

    @cached_property
    def _basis(self) -> Any:
        from scipy.interpolate import BSpline

        ends = np.full(self.degree, self.lower), np.full(self.degree, self.upper)
        return BSpline(np.concatenate([ends[0], self.knots, ends[1]]), np.eye(self.count), self.degree)

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """The splines at x, shape (n, m)."""
        inside = np.clip(x[:, 0], self.lower, self.upper)
        return self._basis(inside) + (x - inside[:, None]) * self._basis(inside, 1)

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """Their slopes, constant beyond the interval; shape (n, m, 1)."""
        return self._basis(np.clip(x[:, 0], self.lower, self.upper), 1)[:, :, None]


@dataclass(frozen=True)
class Timed(Features):
    """Features of x times Legendre polynomials in t, orthonormal on [start, end]: φ_j(x) √(2k + 1) P_k(2(t − start)/(end − start) − 1).

    Parameters
    ----------
    base : Features
        Features of x.
    degree : int
        Largest degree in t; m is (degree + 1) times that of ``base``.
    start, end : float
        The times a fit is made for; beyond them the polynomials run away.

    Raises
    ------
    ProblemError
        If start < end does not hold.
    """

    base: Features
    degree: int
    start: float
    end: float

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise ProblemError(f"features in time need start < end, got {self.start} and {self.end}.")

    @property
    def dimension(self) -> int:  # type: ignore[override]
        """Dimension d of the positions."""
        return self.base.dimension

    @property
    def count(self) -> int:  # type: ignore[override]
        """Number m of features."""
        return self.base.count * (self.degree + 1)

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """All products, shape (n, m)."""
        return np.kron(self.clock(t)[None], self.base(x, t))

    def combined(self, theta: Array, x: Array, t: float) -> Array:
        """The same from the features of x alone, with the parameters of this time."""
        now = np.tensordot(self.clock(t), theta.reshape(self.degree + 1, self.base.count, -1), axes=1)
        return self.base.combined(now, x, t)

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """Gradients in x of all products, shape (n, m, d)."""
        return np.concatenate([weight * self.base.gradient(x, t) for weight in self.clock(t)], axis=1)

    def clock(self, t: float) -> Array:
        """The polynomials in t, shape (degree + 1,)."""
        u = 2 * (t - self.start) / (self.end - self.start) - 1
        return np.polynomial.legendre.legvander(u, self.degree)[0] * np.sqrt(2 * np.arange(self.degree + 1) + 1)


def _positive(value: float, what: str) -> float:
    if not (np.isfinite(value) and value > 0):
        raise ProblemError(f"{what} must be a positive number, got {value!r}.")
    return float(value)
