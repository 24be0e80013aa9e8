r"""Curves of densities given by formulas: p(x, t) and its distribution function F(x, t) as sympy expressions in real x and t."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fpk.errors import ProblemError
from fpk.laws import Array
from fpk.laws.base import identity_projection
from fpk.symbolic import parsed

#: Where the mass on the line is looked for, and how many points are probed.
FAR, PROBES = 40.0, 401


@dataclass(frozen=True, eq=False)
class CurveLaw:
    """The law at time t of a curve of densities given by formulas.

    Parameters
    ----------
    curve : Curve
    t : float
    support : (float, float)
        Where it lives, or outside of which its mass is below 1e-15.
    """

    curve: Curve
    t: float
    support: tuple[float, float]
    dimension: int = 1

    def log_density(self, x: Array) -> Array:
        """Log p at x of shape (n, 1), shape (n,); −∞ outside the support of a law between walls."""
        flat = x[:, 0]
        if not np.isfinite(self.curve.lower):
            return self.curve.log_density(flat, self.t)
        inside = (flat >= self.support[0]) & (flat <= self.support[1])
        return np.where(inside, self.curve.log_density(np.clip(flat, *self.support), self.t), -np.inf)

    def density(self, x: Array) -> Array:
        """p at x of shape (n, 1), shape (n,)."""
        return np.exp(self.log_density(x))

    def score(self, x: Array) -> Array:
        """∂ log p at x, shape (n, 1)."""
        return self.curve.score(x, self.t)

    def cdf(self, x: Array) -> Array:
        """P(X ≤ x) at x of shape (n,)."""
        return np.clip(self.curve.distribution(np.clip(x, *self.support), self.t), 0.0, 1.0)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions by inverting a fine table of F, shape (n, 1)."""
        return np.interp(rng.random(n), *self._inverse)[:, None]

    @cached_property
    def _inverse(self) -> tuple[Array, Array]:
        x = np.linspace(*self.support, 4001)
        return np.maximum.accumulate(self.cdf(x)), x

    def projected(self, direction: Array) -> CurveLaw:
        """The law itself; only the direction +1 is available."""
        return identity_projection(self, direction)

    def breakpoints(self) -> Array:
        """The support in 200 intervals."""
        return np.linspace(*self.support, 201)


@dataclass(frozen=True, eq=False)
class Curve:
    """Densities p(x, t) by their logarithm and their distribution function, sympy expressions in real x and t.

    Parameters
    ----------
    log_p, F : sympy expressions
    lower, upper : float
        The ends of the domain, infinite on the line.
    """

    log_p: Any
    F: Any
    lower: float = -np.inf
    upper: float = np.inf

    @cached_property
    def _functions(self) -> tuple[Any, Any, Any]:
        import sympy

        x, t = symbols()
        return tuple(
            sympy.lambdify([x, t], e, ["scipy", "numpy"]) for e in (self.log_p, sympy.diff(self.log_p, x), self.F)
        )  # type: ignore[return-value]

    def log_density(self, x: Array, t: float) -> Array:
        """Log p at x of any shape."""
        return np.broadcast_to(self._functions[0](x, t), x.shape)

    def score(self, x: Array, t: float) -> Array:
        """∂ log p at x of any shape."""
        return np.broadcast_to(self._functions[1](x, t), x.shape)

    def distribution(self, x: Array, t: float) -> Array:
        """F at x of any shape."""
        return np.broadcast_to(self._functions[2](x, t), x.shape)

    def law(self, t: float) -> CurveLaw:
        """The law at t."""
        return CurveLaw(self, float(t), self._support(t))

    def _support(self, t: float) -> tuple[float, float]:
        if np.isfinite(self.lower):
            return (self.lower, self.upper)
        x = np.linspace(-FAR, FAR, 8 * PROBES)
        held = np.flatnonzero(self.log_density(x, t) > -40.0)
        return (float(x[max(held[0] - 1, 0)]), float(x[min(held[-1] + 1, len(x) - 1)]))


def symbols() -> tuple[Any, Any]:
    """x and t, real."""
    import sympy

    return sympy.Symbol("x", real=True), sympy.Symbol("t", real=True)


def read(given: Any) -> Any:
    """A formula in x and t, from text, a number or an expression with symbols of these names."""
    import sympy

    known: Any = {s.name: s for s in symbols()}
    try:
        expression = parsed(given, known)
    except (sympy.SympifyError, SyntaxError, TypeError, AttributeError, ValueError) as error:
        raise ProblemError(f"cannot read {given!r} as a formula: {error}. Write it in x and t.") from error
    unknown = sorted(s.name for s in expression.free_symbols if s.name not in known)
    if unknown:
        raise ProblemError(f"the formula {given!r} uses the unknown symbols {unknown}; it may use x and t.")
    return expression


def as_function(expression: Any) -> Callable[[Array, float], Array]:
    """The expression as a coefficient: a problem would simplify the derivative of an expression, for seconds."""
    import sympy

    compiled = sympy.lambdify(symbols(), expression, ["scipy", "numpy"], cse=True)

    def value(x: Array, t: float) -> Array:
        return compiled(x, t)

    return value
