"""Backward passes through a small network, counted: what they cost, and how many of them determine a divergence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fpk.laws import Array, central_derivative


@dataclass
class Counted:
    """A field x ↦ W₂ tanh(W₁ x) on R^d; every multiplication is counted.

    Parameters
    ----------
    first, second : array, shapes (h, d) and (d, h)
    """

    first: Array
    second: Array
    multiplications: int = 0

    def _times(self, a: Array, b: Array) -> Array:
        self.multiplications += max(a.size, b.size)
        return a @ b

    def __call__(self, x: Array) -> Array:
        """The field at x of shape (d,)."""
        return self._times(self.second, np.tanh(self._times(self.first, x)))

    def backward(self, x: Array, v: Array) -> Array:
        """One backward pass: vᵀ ∂s(x), shape (d,)."""
        hidden = np.tanh(self._times(self.first, x))
        sent = self._times(v, self.second)
        self.multiplications += 2 * len(hidden)
        return self._times(sent * (1 - hidden**2), self.first)


def network(dimension: int, width: int, seed: int = 3) -> Counted:
    """With weights of order 1."""
    rng = np.random.default_rng(seed)
    return Counted(rng.standard_normal((width, dimension)), rng.standard_normal((dimension, width)) / width**0.5)


def diagonal(field: Counted, x: Array) -> Array:
    """∂_i s_i by one backward pass for each i."""
    return np.array([field.backward(x, e)[i] for i, e in enumerate(np.eye(len(x)))])


@lru_cache(maxsize=8)
def passes_needed(dimension: int, seed: int = 5) -> int:
    """The least number of backward passes, along random directions, that a divergence is a function of.

    The rows vᵀ∂s of k passes and ∇·s are linear in ∂s. Both are read off the fields x ↦ E_ij tanh x at 0, whose Jacobians E_ij span all; ∇·s is determined once
    it is a combination of the rows' entries.
    """
    zero, eye = np.zeros(dimension), np.eye(dimension)
    directions = np.random.default_rng(seed).standard_normal((dimension, dimension))
    fields = [Counted(eye, entry) for entry in np.eye(dimension**2).reshape(-1, dimension, dimension)]
    rows = np.array([np.concatenate([field.backward(zero, v) for v in directions]) for field in fields])
    divergences = np.array([np.trace(field.second) for field in fields])
    parts = (np.linalg.qr(rows)[0].T @ divergences).reshape(dimension, dimension)  # what each pass adds
    left = float(divergences @ divergences) - np.cumsum((parts**2).sum(1))
    return int(np.argmax(left < 1e-9)) + 1


@lru_cache(maxsize=16)
def costs(dimension: int, level: int) -> tuple[float, float, float]:
    """Passes that a divergence needs, multiplications of a diagonal over those of one pass, and what that diagonal's sum is off."""
    field, x = network(dimension, width=8), np.cos(np.arange(dimension) + 0.5)
    slopes = [central_derivative(lambda h, e=e: field(x + h[0] * e) @ e, np.zeros(1), 0.01 / level) for e in np.eye(dimension)]  # fmt: skip
    field.multiplications = 0
    field.backward(x, x)
    once, field.multiplications = field.multiplications, 0
    off = float(diagonal(field, x).sum()) - float(np.sum(slopes))
    return passes_needed(dimension), field.multiplications / once, off
