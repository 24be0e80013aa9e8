r"""Tracing: arithmetic that is written down instead of done, to be compiled.

A step of a scheme is arithmetic in the position x, the noise, and numbers that depend on the time only,

    x ↦ F(x, dW; p),    p = p(t_n),

written once, for arrays. Run on :class:`Traced` numbers instead, the same Python code leaves a list of elementary statements: straight
lines without branches, which a compiler turns into vector instructions. Functions of the time are not traced but called, at the instants of all
steps; their values are the parameters p. A parameter that is 0 in every step leaves no statement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpk.errors import FpkError

Array = NDArray[Any]

#: Elementary functions a trace can hold; numpy calls the method of that name on arrays of objects.
ELEMENTARY = ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "sqrt", "floor")


class NotTraceable(FpkError, TypeError):
    """Something that only numbers can do was asked of a traced one: the code has to be called, not compiled."""


class Trace:
    """The statements and parameters of one piece of arithmetic.

    Parameters
    ----------
    rows : int
        Number of steps, each of which has its own value of every parameter.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.statements: list[str] = []
        self.columns: list[Array] = []
        self.functions: dict[str, Any] = {}
        self._known: dict[bytes, Parameter] = {}
        self._written: dict[str, Traced] = {}

    def written(self, expression: str) -> Traced:
        """The name of an expression's value; the same expression is written once."""
        if expression not in self._written:
            name = f"v{len(self._written)}"
            self.statements.append(f"{name} = {expression}")
            self._written[expression] = Traced(self, name)
        return self._written[expression]

    def parameter(self, column: Array) -> Traced | float:
        """A number known for every step, shape (rows,); 0 throughout is 0."""
        if not np.any(column):
            return 0.0
        key = np.ascontiguousarray(column, float).tobytes()
        return self._known.setdefault(key, Parameter(self, np.asarray(column, float)))

    def parameters(self, table: Array) -> Array:
        """Numbers known for every step, shape (rows, ...), as an array of parameters of shape (...)."""
        out = np.empty(table.shape[1:], object)
        for index in np.ndindex(out.shape):
            out[index] = self.parameter(table[(slice(None), *index)])
        return out

    def placed(self, column: Array) -> str:
        """The name of a parameter that a statement uses."""
        self.columns.append(column)
        return f"p{len(self.columns) - 1}"

    def called(self, function: Any, arguments: str, count: int) -> list[Traced]:
        """The values of a compiled function with one result, or a tuple of ``count``."""
        name = next((n for n, f in self.functions.items() if f is function), f"f{len(self.functions)}")
        self.functions[name] = function
        result = self.written(f"{name}({arguments})")
        return [result] if count == 1 else [self.written(f"{result.name}[{i}]") for i in range(count)]

    @property
    def table(self) -> Array:
        """All parameters, shape (rows, parameters)."""
        return np.stack(self.columns, axis=1) if self.columns else np.zeros((self.rows, 0))


class Traced:
    """A number of a trace: arithmetic with it is written down."""

    __slots__ = ("_name", "trace")

    def __init__(self, trace: Trace, name: str) -> None:
        self.trace, self._name = trace, name

    @property
    def name(self) -> str:
        """What statements call it."""
        return self._name

    def __repr__(self) -> str:
        return self.name

    def _with(self, symbol: str, other: Any, *, swapped: bool = False) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        first, second = self.name, _text(self.trace, other)
        return self.trace.written(f"{second} {symbol} {first}" if swapped else f"{first} {symbol} {second}")

    def __add__(self, other: Any) -> Any:
        return self if _is(other, 0.0) else self._with("+", other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self if _is(other, 0.0) else self._with("-", other)

    def __rsub__(self, other: Any) -> Any:
        return -self if _is(other, 0.0) else self._with("-", other, swapped=True)

    def __mul__(self, other: Any) -> Any:
        if _is(other, 0.0):
            return 0.0
        if isinstance(other, Parameter):
            return other * self
        return self if _is(other, 1.0) else self._with("*", other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._with("/", other)

    def __rtruediv__(self, other: Any) -> Any:
        return 0.0 if _is(other, 0.0) else self._with("/", other, swapped=True)

    def __neg__(self) -> Traced | float:
        return self.trace.written(f"-{self.name}")

    def __abs__(self) -> Traced | float:
        return self.trace.written(f"abs({self.name})")

    def __pow__(self, power: Any) -> Any:
        """Whole powers by products, halves by a square root, the rest as ``**``."""
        if not isinstance(power, (int, float, np.integer, np.floating)) or float(power) % 0.5 or abs(power) > 64:
            return self._with("**", power)
        if power < 0:
            return 1.0 / self**-power
        if power % 1:
            return _root(self) * self ** int(power) if power > 1 else _root(self)
        if power == 0:
            return 1.0
        half = self ** (int(power) // 2)
        square = half * half
        return square * self if power % 2 else square

    def __rpow__(self, base: Any) -> Any:
        return self._with("**", base, swapped=True)

    def __bool__(self) -> bool:
        raise NotTraceable("a decision depends on a traced number: this code branches, so it is called, not compiled.")

    def _compared(self, other: Any) -> Any:
        """Nothing: the identity of names must not be read as equality of numbers."""
        raise NotTraceable("a traced number is compared: this code branches, so it is called, not compiled.")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _compared

    def __float__(self) -> float:
        raise NotTraceable("a traced number has no value: this code needs numbers, so it is called, not compiled.")


class Parameter(Traced):
    """A number known for every step: arithmetic among such numbers and constants is done at once, in the place of every particle's."""

    __slots__ = ("column",)

    def __init__(self, trace: Trace, column: Array) -> None:
        super().__init__(trace, "")
        self.column = column

    @property
    def name(self) -> str:
        """What statements call it; given when one does."""
        self._name = self._name or self.trace.placed(self.column)
        return self._name

    def _with(self, symbol: str, other: Any, *, swapped: bool = False) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        value = other.column if isinstance(other, Parameter) else other
        if isinstance(value, Traced):
            return super()._with(symbol, other, swapped=swapped)
        first, second = (value, self.column) if swapped else (self.column, value)
        with np.errstate(all="ignore"):  # what is not finite is found by the particles that use it
            return self.trace.parameter(ARITHMETIC[symbol](first, second))

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Multiple):
            return (self * other.factor) * other.base
        if isinstance(other, Traced) and not isinstance(other, Parameter):
            return Multiple(self, other)
        return self._with("*", other)

    __rmul__ = __mul__

    def __neg__(self) -> Traced | float:
        return self.trace.parameter(-self.column)

    def __abs__(self) -> Traced | float:
        return self.trace.parameter(np.abs(self.column))


class Multiple(Traced):
    """A parameter times a number of a particle: further parameters and constants multiply the parameter."""

    __slots__ = ("base", "factor")

    def __init__(self, factor: Parameter, base: Traced) -> None:
        super().__init__(base.trace, "")
        self.factor, self.base = factor, base

    @property
    def name(self) -> str:
        """What statements call it; written when one does."""
        self._name = self._name or self.trace.written(f"{self.factor.name} * {self.base.name}").name
        return self._name

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, (int, float, np.integer, np.floating, Parameter)):
            return (self.factor * other) * self.base
        return super().__mul__(other)

    __rmul__ = __mul__

    def __neg__(self) -> Traced | float:
        return (-self.factor) * self.base


#: What the symbols of statements mean for parameters.
ARITHMETIC = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power}


def _elementary(name: str) -> Callable[[Traced], Any]:
    def written(self: Traced) -> Any:
        if isinstance(self, Parameter):
            with np.errstate(all="ignore"):
                return self.trace.parameter(getattr(np, name)(self.column))
        return self.trace.written(f"{name}({self.name})")

    return written


for _name in ELEMENTARY:
    setattr(Traced, _name, _elementary(_name))


Traced.__floor__ = _elementary("floor")  # type: ignore[attr-defined]  # what numpy asks of objects
_root = _elementary("sqrt")


def _is(value: Any, number: float) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and value == number


def _text(trace: Trace, value: Any) -> str:
    """What statements call a value: constants but halves are parameters, so that steps that differ in them are compiled once."""
    if isinstance(value, Traced):
        return value.name
    value = float(value)
    if not math.isfinite(value):
        raise NotTraceable(f"the constant {value} has no place in compiled arithmetic.")
    if (2 * value) % 1:
        return trace.parameter(np.full(trace.rows, value)).name  # type: ignore[union-attr]
    return f"({value!r})" if value < 0 else repr(value)


class Instant:
    """The times t_n of all steps of a trace, standing where a time is expected."""

    def __init__(self, trace: Trace, times: Array) -> None:
        self.trace, self.times = trace, times

    def mapped(self, clock: Callable[[float], float]) -> Instant:
        """The instants of another clock."""
        return Instant(self.trace, np.array([clock(t) for t in self.times]))

    def numbers(self, function: Callable[[float], Any]) -> Array:
        """The values of a function of the time, an array of objects of the function's shape."""
        distinct, places = np.unique(self.times, return_inverse=True)
        if getattr(function, "steady", False):
            distinct, places = distinct[:1], np.zeros_like(places)
        return self.trace.parameters(np.stack([np.asarray(function(float(t)), float) for t in distinct])[places])


def known(function: Callable[[float], Any], t: Any) -> Array:
    """The numbers function(t), or their traces where t stands for all instants of a trace."""
    return t.numbers(function) if isinstance(t, Instant) else np.asarray(function(t), float)


def reading(t: Any) -> Any:
    """The time itself as a number, traced at an instant of a trace."""
    return t.numbers(float)[()] if isinstance(t, Instant) else t


def clocked(clock: Callable[[float], float], t: Any) -> Any:
    """clock(t), at an instant of a trace too."""
    return t.mapped(clock) if isinstance(t, Instant) else clock(t)


def traceable(function: Any) -> Any:
    """Mark a function of (x, t) as arithmetic in x whose functions of t go through :func:`known`."""
    function.traceable = True
    return function


def required_traceable(function: Any, t: Any, what: str) -> None:
    """Refuse to trace what was not written for it.

    Raises
    ------
    NotTraceable
        If t is an instant of a trace and the function is not marked.
    """
    if isinstance(t, Instant) and not getattr(function, "traceable", False):
        raise NotTraceable(f"the {what} is a Python function: it is called, not compiled.")


def _each(name: str, text: Callable[..., str]) -> Callable[..., Any]:
    """The numpy function of that name, which writes ``text`` for traced entries."""

    def one(*values: Any) -> Any:
        trace = next((v.trace for v in values if isinstance(v, Traced)), None)
        return getattr(np, name)(*values) if trace is None else trace.written(text(*(_text(trace, v) for v in values)))

    plain, entrywise = getattr(np, name), None

    def function(*values: Any) -> Any:
        nonlocal entrywise
        if not any(isinstance(v, Traced) or np.asarray(v).dtype == object for v in values):
            return plain(*values)
        entrywise = entrywise or np.frompyfunc(one, len(values), 1)
        return entrywise(*values)

    function.__doc__ = f"numpy's ``{name}``, of traced numbers too."
    return function


minimum = _each("minimum", lambda a, b: f"min({a}, {b})")
maximum = _each("maximum", lambda a, b: f"max({a}, {b})")
where = _each("where", lambda chosen, a, b: f"{a} if {chosen} else {b}")
greater = _each("greater", lambda a, b: f"{a} > {b}")
logical_and = _each("logical_and", lambda a, b: f"{a} and {b}")
