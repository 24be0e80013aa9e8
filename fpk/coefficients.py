r"""Drift and diffusion as checked functions of position and time.

A coefficient is a constant, a function ``c(t)``, a function ``c(x, t)`` over positions of shape (n, d), a :class:`Linear` map, or a sympy
expression (or its text) in ``t`` and ``x`` (d = 1) or ``x0, x1, ...`` (d > 1). Whatever it came from, a :class:`Coefficient` is
called as ``c(x, t)``, returns a finite array that broadcasts against (n, d), or (n, d, m) for a matrix, and says where it is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fpk.compiled_functions import of_arrays, required_names
from fpk.errors import FpkError, NonFinite, ProblemError
from fpk.laws import Array, central_derivative
from fpk.scalars import scalar
from fpk.symbolic import coordinates, formula, linear_form, linear_parts, number, numeric, slope_of
from fpk.tracing import Instant, NotTraceable, known, reading, required_traceable

#: Step of numerical x-derivatives of user functions, in units of x; sixth order, so smooth functions lose about 1e-11.
DERIVATIVE_STEP = 2e-3


@dataclass(frozen=True)
class Fixed:
    """A function of t that is one value at all times."""

    value: Any
    steady: ClassVar[bool] = True

    def __call__(self, t: float) -> Any:
        """The value."""
        return self.value

    def __repr__(self) -> str:
        """What was written: ``Linear(slope=-1.0, shift=0.0)``."""
        return repr(self.value)


@dataclass(frozen=True)
class Linear:
    """The drift a(t) x + b(t): ``slope`` a(t) a number or (d, d) matrix, ``shift`` b(t) a number or (d,) vector, or functions of t."""

    slope: Any
    shift: Any = 0.0
    traceable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("slope", "shift"):
            given = getattr(self, name)
            object.__setattr__(self, name, given if callable(given) else Fixed(given))

    @property
    def steady(self) -> bool:
        """Whether a and b are fixed values."""
        return isinstance(self.slope, Fixed) and isinstance(self.shift, Fixed)

    def __call__(self, x: Array, t: float) -> Array:
        """a(t) x + b(t), shape (n, d)."""
        slope, shift = known(self.slope, t), known(self.shift, t)
        return (x @ slope.T if slope.ndim == 2 else slope * x) + shift


@dataclass(frozen=True)
class GradientDrift:
    """The drift −V'(x) + F(x, t) in one dimension; grids then use exact differences of V in place of integrals of the drift.

    Parameters
    ----------
    potential : text or sympy expression in x, or callable
        V; a callable takes and returns an array, entry by entry.
    force : as for a drift, optional
        F; default none. How a drift is split into −V' and F changes nothing but rounding.

    Notes
    -----
    V' is exact for expressions, a sixth-order difference for callables.

    Examples
    --------
    >>> GradientDrift("x**4/4 - x**2/2", force=0.5)(np.array([[2.0]]), 0.0)
    array([[-5.5]])
    """

    potential: Any
    force: Any = None

    def __post_init__(self) -> None:
        if self._formula is None and not callable(self.potential):
            raise ProblemError(
                f"the potential must be a formula in x or a function of x, got {self.potential!r}. For none, pass the force as the drift."
            )

    @cached_property
    def _formula(self) -> Any:
        """V as an expression in the symbol x, with that symbol; None for callables."""
        if not isinstance(self.potential, (str, int, float)) and not hasattr(self.potential, "free_symbols"):
            return None
        import sympy

        x = sympy.Symbol("x", real=True)
        return formula(self.potential, {"x": x}, "potential"), x

    @cached_property
    def _slope(self) -> Coefficient:
        """V' as a function of position."""
        if self._formula is None:
            return Coefficient(lambda x, t: central_derivative(self.potential, x, DERIVATIVE_STEP), 1, "drift")
        expression, x = self._formula
        return Coefficient(expression.diff(x), 1, "drift")

    @cached_property
    def remainder(self) -> Coefficient:
        """F."""
        return Coefficient(0.0 if self.force is None else self.force, 1, "drift")

    @cached_property
    def level(self) -> Callable[[Array], Array]:
        """V on arrays of any shape."""
        if self._formula is None:
            return self.potential
        expression, x = self._formula
        value = numeric((x,), expression)
        return lambda positions: np.broadcast_to(np.asarray(value(positions), float), np.shape(positions))

    @property
    def steady(self) -> bool:
        """Whether F is known not to depend on t."""
        return self.remainder.steady

    @property
    def traceable(self) -> bool:
        """Whether V is a formula and F can be traced."""
        return self._formula is not None and self.remainder.traceable

    def __call__(self, x: Array, t: float) -> Array:
        """−V'(x) + F(x, t), shape (n, 1)."""
        return self.remainder(x, t) - self._slope(x, t)

    def gradient(self, x: Array, t: float) -> Array:
        """−V''(x) + ∂F/∂x, shape (n, 1)."""
        return self.remainder.gradient(x, t) - self._slope.gradient(x, t)


class Coefficient:
    """A drift or diffusion in one calling convention.

    Parameters
    ----------
    given : number, callable, Linear, GradientDrift, str or sympy expression (or a sequence of d of the last two)
        What the user wrote.
    dimension : int
        Dimension d of the positions.
    name : str
        ``"drift"`` or ``"diffusion"``, for messages.

    Raises
    ------
    ProblemError
        If it is none of these, or an expression uses unknown symbols.
    NonFinite
        On evaluation, with the first x and t where the value is NaN or infinite.
    """

    def __init__(self, given: Any, dimension: int, name: str) -> None:
        self.given = given
        self.name = name
        self.dimension = dimension
        self.constant: float | None = None
        self.state_dependent = True
        self.steady = False  # whether it is known not to depend on t
        self.traceable = bool(getattr(given, "traceable", False))
        self.linear: Linear | None = None
        self.split: GradientDrift | None = None
        self._gradient: Callable[[Array, float], Array] | None = None
        self._function: Callable[[Array, Any], Any] = self._understood(given)

    def __repr__(self) -> str:
        """What was written, so that the problem can be pasted; functions have no such text."""
        return f"{self.name}(...)" if "<" in repr(self.given) else repr(self.given)

    @property
    def wording(self) -> str:
        """What the user wrote, in one line: formulas as they are, functions by their name."""
        if self.linear is not None and self.linear is self.given:
            return f"Linear({_worded(self.linear.slope)}, {_worded(self.linear.shift)})"
        return _worded(self.given)

    def _understood(self, given: Any) -> Callable[[Array, float], Any]:
        if isinstance(given, Linear):
            self.linear, self.steady = given, given.steady
            return given
        if isinstance(given, GradientDrift):
            return self._understood_gradient(given)
        if isinstance(given, (int, float, np.floating, np.integer)):
            return self._understood_constant(scalar(given))
        if isinstance(given, np.ndarray) and given.ndim == 2:
            return self._understood_matrix(given.astype(float))
        if isinstance(given, str) or hasattr(given, "free_symbols"):
            return self._understood_expressions([given], alone=True)
        if isinstance(given, Sequence):
            return self._understood_expressions(given)
        if callable(given):
            return self._understood_callable(given)
        raise ProblemError(
            f"the {self.name} must be a number, a function of (x, t) or of t, fpk.Linear, or a sympy expression; got {given!r}."
        )

    def _understood_constant(self, value: float) -> Callable[[Array, float], Any]:
        self.constant = value
        self.state_dependent, self.steady, self.traceable = False, True, True
        self.linear = Linear(0.0, value)
        return lambda x, t: value

    def _understood_gradient(self, given: GradientDrift) -> Callable[[Array, float], Any]:
        if self.dimension != 1 or self.name != "drift":
            raise ProblemError(
                f"a GradientDrift is a drift in one dimension, asked for as a {self.name} in dimension {self.dimension}. "
                "Pass a function of (x, t)."
            )
        self.split, self.steady, self._gradient = given, given.steady, given.gradient
        return given

    def _understood_matrix(self, given: Array) -> Callable[[Array, float], Any]:
        if self.name != "diffusion" or len(given) != self.dimension:
            raise ProblemError(
                f"an array of shape {given.shape} was given for the {self.name}; a constant diffusion matrix G has shape "
                f"({self.dimension}, m) for m noises, a constant drift is fpk.Linear(0.0, shift)."
            )
        self.state_dependent, self.steady, self.traceable = False, True, True
        return lambda x, t: given[None]

    def _understood_callable(self, given: Callable[..., Any]) -> Callable[[Array, float], Any]:
        required = required_names(given)
        if len(required) == 2:
            if not hasattr(given, "py_func"):
                return given
            self.traceable = True
            return of_arrays(given, self.dimension, self.name)
        if len(required) == 1 and required[0] != "x":  # f(x) would silently be read as f(t)
            self.state_dependent, self.traceable = False, True
            self.linear = Linear(0.0, given)
            return lambda x, t: given(t)
        raise ProblemError(
            f"the {self.name} must take (x, t), or only (t); this one takes {required}. Fix other arguments with "
            "functools.partial; modules of torch are given as written_for('torch', module) of fpk.array_libraries."
        )

    def _understood_expressions(self, given: Sequence[Any], *, alone: bool = False) -> Callable[[Array, float], Any]:
        *symbols, time = coordinates(self.dimension)
        allowed = {symbol.name: symbol for symbol in (*symbols, time)}
        matrix = all(isinstance(row, Sequence) and not isinstance(row, str) for row in given)
        rows = [[formula(e, allowed, self.name) for e in (row if matrix else [row])] for row in given]
        expressions = [e for row in rows for e in row]
        everywhere = alone and (self.name == "diffusion" or not set(symbols) & expressions[0].free_symbols)
        self._check_expressions(rows, matrix, everywhere)
        lone = self.dimension == 1 and not matrix and not expressions[0].free_symbols
        if lone and (value := number(expressions[0], self.name)).imag == 0:
            return self._understood_constant(value.real)
        self.state_dependent = any(set(symbols) & e.free_symbols for e in expressions)
        self.steady, self.traceable = not any(time in e.free_symbols for e in expressions), True
        columns = [numeric((*symbols, time), e) for e in expressions]
        if self.dimension == 1 and not matrix:
            self._understood_derivative(expressions[0], symbols[0], time)
            return lambda x, t: columns[0](x, reading(t))
        each = expressions * (self.dimension // len(expressions))
        form = linear_form(each, symbols, time) if self.name == "drift" else None
        if form is not None:
            slope, shift = (lambda t: form(t)[:, :-1]), (lambda t: form(t)[:, -1])
            self.linear = Linear(slope(0.0), shift(0.0)) if self.steady else Linear(slope, shift)
        shape = (self.dimension, len(rows[0])) if matrix else (len(rows),)

        def function(x: Array, t: float) -> Array:
            values = [np.broadcast_to(column(*x.T, reading(t)), (len(x),)) for column in columns]
            return np.stack(values, axis=1).reshape(len(x), *shape)

        return function

    def _check_expressions(self, rows: list[list[Any]], matrix: bool, everywhere: bool) -> None:
        """One formula for each coordinate (or one that means all, ``everywhere``), or a matrix of them with d rows of one length for a diffusion."""
        if matrix and (self.name != "diffusion" or len(rows) != self.dimension or len({len(row) for row in rows}) > 1):
            raise ProblemError(
                f"a matrix of formulas with rows of {[len(row) for row in rows]} entries was given for the {self.name} in dimension "
                f"{self.dimension}; only a diffusion is a matrix, with {self.dimension} rows of m formulas, one for each noise."
            )
        if not (matrix or everywhere) and len(rows) != self.dimension:
            raise ProblemError(
                f"{len(rows)} expression{'s' * (len(rows) != 1)} for the {self.name} in dimension {self.dimension}: "
                "give a list with one for each coordinate."
            )

    def _understood_derivative(self, expression: Any, x: Any, t: Any) -> None:
        parts = linear_parts(expression, x, t)
        if (slope := slope_of(expression, x, t) if parts is None else parts[0]) is not None:
            steepness = numeric((x, t), slope)
            self._gradient = lambda points, s: np.broadcast_to(steepness(points, reading(s)), points.shape)
        if parts is not None:
            a, b = (numeric((t,), part) for part in parts)
            self.linear = Linear(lambda s: float(a(s)), lambda s: float(b(s)))
            if self.steady and parts[0].is_real:
                self.linear = Linear(float(a(0.0)), float(b(0.0)))

    def __call__(self, x: Array, t: Any) -> Array:
        """The value at positions x of shape (n, d): broadcasts against (n, d), or (n, d, m) for a matrix."""
        if isinstance(t, Instant):
            return self._traced(x, t)
        if self.constant is not None and math.isfinite(self.constant):
            return np.asarray(self.constant)
        try:
            with np.errstate(all="ignore"):  # what is not finite is refused below, with its place
                value = np.asarray(self._function(x, t))
                if value.dtype.kind not in "biufc":
                    raise TypeError(f"it returned {value.dtype} in place of numbers")
                total = np.add.reduce(value, None)
        except ArithmeticError as error:
            raise NonFinite(f"the {self.name} failed at t={t:g}: {error}.") from error
        except FpkError:
            raise
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ProblemError(
                f"the {self.name} cannot be computed from a numpy array of shape {x.shape} and t={t!r}: {error}. "
                "If it is written for another library: fpk.array_libraries.written_for('torch', f), for its shorter numbers with dtype='float32'."
            ) from error
        if value.dtype != float:
            value = self._real(value, t)
        # the sum is cheaper to look at than every value
        if not math.isfinite(total) and not np.all(np.isfinite(value)):
            self._refuse(value, x, t)
        if value.shape != x.shape:
            self._check_shape(value, x)
        return value

    def _traced(self, x: Array, t: Instant) -> Array:
        """The arithmetic of the coefficient at a position of shape (1, d) and all instants of a trace."""
        required_traceable(self, t, self.name)
        if not self.state_dependent:
            anywhere = np.zeros((1, self.dimension))
            origin = Fixed(self(anywhere, 0.0)) if self.steady else lambda s: self(anywhere, s)
            return known(origin, t)
        try:
            value = np.asarray(self._function(x, t))
        except (TypeError, AttributeError) as error:
            raise NotTraceable(f"the {self.name} is not plain arithmetic: {error}") from error
        self._check_shape(value, x)
        return value

    def _real(self, value: Array, t: float) -> Array:
        if np.iscomplexobj(value):
            raise ProblemError(f"the {self.name} is complex at t={t:g}: it must be real wherever the law has mass.")
        return value.astype(float)

    def column(self, x: Array, t: float) -> Array:
        """The value at positions of shape (n, 1), shape (n,): for d = 1."""
        value = self(x, t)
        return value[:, 0] if value.shape == x.shape else np.broadcast_to(value, x.shape)[:, 0]

    def _refuse(self, value: Array, x: Array, t: float) -> None:
        flat = value if value.ndim != 3 else value.sum((1, 2))[:, None]
        rows = np.broadcast_to(flat, (len(x), max(value.shape[-1:] or (1,))))
        bad = int(np.flatnonzero(~np.isfinite(rows).all(1))[0])
        refusal = NonFinite(
            f"the {self.name} is {rows[bad].tolist()} at x={x[bad].tolist()}, t={t:g}. It must be finite wherever the law has mass: "
            "restrict the domain (boundary=) or mend the function there."
        )
        refusal.row = bad
        raise refusal

    def _check_shape(self, value: Array, x: Array) -> None:
        allowed = value.ndim <= 1 and value.size == 1
        allowed = allowed or (
            value.ndim == 2 and value.shape[0] in (1, len(x)) and value.shape[1] in (1, self.dimension)
        )
        allowed = allowed or (self.name == "diffusion" and value.ndim == 3 and value.shape[1] == self.dimension)
        allowed = allowed or (value.ndim == 1 and value.shape == (self.dimension,) and not self.state_dependent)
        if not allowed:
            raise ProblemError(
                f"the {self.name} returned shape {value.shape} for positions of shape {x.shape}; expected a number"
                + (f", ({len(x)}, {self.dimension})" if self.dimension > 1 else "")
                + f" or ({len(x)}, 1)"
                + (f", or ({len(x)}, {self.dimension}, m) for a matrix." if self.name == "diffusion" else ".")
            )

    def gradient(self, x: Array, t: float) -> Array:
        """∂/∂x for d = 1, shape (n, 1): exact for expressions, sixth-order differences otherwise."""
        if not self.state_dependent:
            return np.zeros_like(x)
        if self._gradient is not None:
            with np.errstate(all="ignore"):
                return self._gradient(x, t)
        return central_derivative(lambda y: np.broadcast_to(self(y, t), y.shape), x, DERIVATIVE_STEP)


def _worded(given: Any) -> str:
    value = given.value if isinstance(given, Fixed) else given
    return str(value.tolist() if isinstance(value, np.ndarray) else getattr(value, "__qualname__", value))
