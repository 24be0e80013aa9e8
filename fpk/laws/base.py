"""What every law can do, and the small pieces the laws share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fpk.errors import ProblemError

Array = NDArray[np.floating[Any]]


@runtime_checkable
class Law(Protocol):
    """What every law can do. Positions have shape (n, d), densities (n,), scores (n, d)."""

    @property
    def dimension(self) -> int:
        """Dimension d of the space."""
        ...

    def log_density(self, x: Array) -> Array:
        """Log p at x, shape (n,)."""
        ...

    def score(self, x: Array) -> Array:
        """∇ log p at x, shape (n, d)."""
        ...

    def cdf(self, x: Array) -> Array:
        """P(X ≤ x) at points x of shape (n,); d = 1 only."""
        ...

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions, shape (n, d)."""
        ...

    def projected(self, direction: Array) -> Law:
        """The one-dimensional law of ⟨direction, X⟩."""
        ...

    def breakpoints(self) -> Array:
        """Points that resolve the law for quadrature, increasing, shape (m,); d = 1 only."""
        ...


def identity_projection(law: Any, direction: Array) -> Any:
    """The law itself, for laws that can only be projected on the direction [1]."""
    if np.shape(direction) != (1,) or float(direction[0]) != 1.0:
        raise ProblemError(f"{law!r} can only be projected on the direction [1], got {np.asarray(direction).tolist()}.")
    return law


def require_one_dimensional(law: Law, what: str) -> None:
    """Refuse laws with d > 1."""
    if law.dimension != 1:
        raise ProblemError(
            f"{what} needs a one-dimensional law, this one has d = {law.dimension}; use projected(direction)."
        )


def central_derivative(function: Callable[[Array], Array], x: Array, step: float | Array) -> Array:
    """Sixth-order central difference of ``function`` at ``x`` (any shape), its step one or one for each entry, error O(step⁶) + round-off / step."""
    terms = ((45, 1), (-9, 2), (1, 3))
    return np.asarray(sum(c * (function(x + k * step) - function(x - k * step)) for c, k in terms)) / (60 * step)
