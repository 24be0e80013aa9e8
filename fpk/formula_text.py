r"""Formula text: arithmetic as a syntax tree whose cost is known before anything is computed.

Whoever computes with exact numbers as it reads (sympy does) never ends with ``9**9**9**9``. So every text is bounded first: in its length, in its
parts, in how deeply they are nested, in the value of what has no variables, and in the bits of the exact numbers that powers make, where

    bits(a ∘ b) = bits(a) + bits(b),    bits(aⁿ) = |n| bits(a)

bounds the degree of polynomials as well, as a variable counts as one bit. An exponent with variables counts as the product of its numbers.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

#: What is read: characters, parts (numbers, names, operations, calls), parts within parts, bits of the powers, and largest number.
CHARACTERS, PARTS, DEPTH, BITS, LARGEST = 10_000, 500, 50, 10_000, 1e300
#: Characters of a text that messages repeat.
REPEATED = 200

OPERATIONS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
#: Values of functions of numbers; of others nothing is known. Those of loggamma are computed from gamma.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(math, name) for name in (
        "exp", "log", "sqrt", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
        "erf", "erfc", "gamma", "floor", "expm1", "log1p",
    )},
    "ln": math.log, "abs": abs, "Abs": abs, "Max": max, "Min": min, "ceiling": math.ceil, "Mod": operator.mod, "loggamma": math.gamma,
    "Rational": lambda p, q=1.0: p / q, "root": lambda x, n: x ** (1 / n), "sign": lambda x: math.copysign(1.0, x),
}  # fmt: skip
CONSTANTS = {"pi": math.pi, "E": math.e, "I": 1.0}


class Part(NamedTuple):
    """What is known about a part: bits of its exact numbers, product of its numbers above 1, depth, value if it has no variables (NaN: unknown)."""

    bits: float
    scale: float
    depth: int
    value: float | None


def tree(text: str) -> ast.expr:
    """The syntax tree of a text; whether it is arithmetic of known names is for the caller to see.

    Raises
    ------
    ValueError, SyntaxError
        If it is larger than what is read, or no expression; the message is a reason.

    Examples
    --------
    >>> tree("9**9**9**9")
    Traceback (most recent call last):
    ValueError: the number 9 ** 9 ** 9 is beyond 1e+300
    """
    if len(text) > CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters, at most {CHARACTERS:,} are read{_instead()}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's remarks on code, for example on 1if
            found = ast.parse(text, mode="eval").body
            parts = [node for node in ast.walk(found) if isinstance(node, ast.expr)]
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"it is nested too deeply or has too many terms{_instead()}") from error
    if len(parts) > PARTS:
        raise ValueError(f"it has {len(parts):,} parts, at most {PARTS:,} are read{_instead()}")
    known: dict[int, Part] = {}
    for node in reversed(parts):  # parts before what they are parts of
        known[id(node)] = _bounded(node, _part(node, known))
    return found


def quoted(text: Any) -> str:
    """A text as messages repeat it: in quotes, the middle of a long one left out."""
    if isinstance(text, str) and len(text) > REPEATED:
        return f"{text[: REPEATED // 2]!r} ... {text[-REPEATED // 4 :]!r}"
    return repr(text)


def _instead() -> str:
    return "; give what is larger as a function"


def _part(node: ast.expr, known: dict[int, Part]) -> Part:
    inner = [known[id(child)] for child in ast.iter_child_nodes(node) if id(child) in known]
    depth = 1 + max((part.depth for part in inner), default=0)
    bits, scale = sum(part.bits for part in inner), math.prod(part.scale for part in inner)
    value = None if any(part.value is None for part in inner) else math.nan
    match node:
        case ast.Constant(value=bool() | int() | float() as number):
            return _number(node, number)
        case ast.Name(id=name):
            return Part(1, 1, 1, CONSTANTS.get(name))
        case ast.BinOp(op=op):
            left, right = inner
            if isinstance(op, ast.Pow):
                times = _times(right)
                bits, scale = left.bits * times + right.bits, _power(left.scale, times)
            depth = max(left.depth, right.depth + 1)  # sums and products of many terms are not deep
            value = _value(node, OPERATIONS.get(type(op)), inner)
        case ast.UnaryOp(op=op):
            value = _value(node, OPERATIONS.get(type(op)), inner)
        case ast.Call(func=ast.Name(id=name)):
            value, scale = _value(node, FUNCTIONS.get(name), inner[1:]), 1  # the first is the name
    return Part(bits, scale, depth, value)


def _times(exponent: Part) -> float:
    """How many times over an exponent may take the bits of its base."""
    if exponent.value is None:
        return exponent.scale
    return math.inf if math.isnan(exponent.value) else max(1.0, abs(exponent.value))


def _power(scale: float, times: float) -> float:
    try:
        return scale**times
    except OverflowError:
        return math.inf


def _number(node: ast.expr, value: float) -> Part:
    """A number as it stands there; of floats the digits before the point count."""
    try:
        size = abs(float(value))
    except OverflowError:
        raise ValueError(_beyond(node)) from None
    return Part(1 + abs(math.log2(size)) if size else 1, max(1.0, size), 1, size)


def _value(node: ast.expr, function: Callable[..., Any] | None, arguments: list[Part]) -> float | None:
    """The value of a function of numbers: None where one is a variable, NaN where it has none or none is known."""
    values = [part.value for part in arguments]
    if None in values:
        return None
    try:
        found = math.nan if function is None else function(*values)
    except OverflowError:
        raise ValueError(_beyond(node)) from None
    except (
        ValueError,
        TypeError,
        ZeroDivisionError,
    ):  # outside of its domain, or the wrong number of arguments: whoever computes says so
        return math.nan
    return float(abs(found) if isinstance(found, complex) else found)


def _bounded(node: ast.expr, part: Part) -> Part:
    """The part, if it is none too many."""
    if part.depth > DEPTH:
        raise ValueError(f"it is nested {part.depth} deep, at most {DEPTH} are read{_instead()}")
    if part.value is not None and abs(part.value) > LARGEST:
        raise ValueError(_beyond(node))
    if not part.bits <= BITS:
        raise ValueError(f"the powers in {_short(node)} are too high: together they may have {BITS:,} bits{_instead()}")
    return part


def _beyond(node: ast.expr) -> str:
    return f"the number {_short(node)} is beyond {LARGEST:g}"


def _short(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if len(text) <= REPEATED else quoted(text)
