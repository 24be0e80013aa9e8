"""Formulas of coefficients: sympy expressions, or their text, in known symbols.

sympy reads text by running it as Python. A text is therefore looked at first: arithmetic, comparisons and the functions in ``FUNCTIONS`` are
handed on, anything else is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from numbers import Number
from typing import Any

from fpk.errors import ProblemError

#: What a formula may call, by its name in sympy.
FUNCTIONS = (
    "exp", "log", "ln", "sqrt", "cbrt", "root", "abs", "Abs", "sign", "Max", "Min", "floor", "ceiling", "Mod", "Rational", "sin", "cos", "tan",
    "cot", "sec", "csc", "sinc", "asin", "acos", "atan", "atan2", "acot", "sinh", "cosh", "tanh", "coth", "sech", "csch", "asinh", "acosh",
    "atanh", "erf", "erfc", "erfi", "erfinv", "erfcinv", "gamma", "loggamma", "besselj", "bessely", "besseli", "besselk", "LambertW",
    "Heaviside", "Piecewise", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not",
)  # fmt: skip
CONSTANTS = ("pi", "E", "I")
#: Beside calls and numbers.
ARITHMETIC = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Tuple, ast.Name, ast.Load, ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip


def coordinates(dimension: int) -> tuple[Any, ...]:
    """The real symbols of the positions, x or x0, x1, ..., and of the time t."""
    import sympy

    names = ["x"] if dimension == 1 else [f"x{i}" for i in range(dimension)]
    return tuple(sympy.Symbol(name, real=True) for name in (*names, "t"))


def formula(text: Any, known: dict[str, Any], name: str) -> Any:
    """The expression, its symbols replaced by the known ones of the same names.

    Raises
    ------
    ProblemError
        If it cannot be read, or uses other symbols or functions.
    """
    import sympy
    from sympy.core.function import AppliedUndef

    try:
        expression = parsed(text, known)
        undefined = sorted(str(call.func) for call in expression.atoms(AppliedUndef))
        if undefined:
            raise SyntaxError(_no_function(undefined[0]))
    except (sympy.SympifyError, SyntaxError, TypeError, AttributeError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise ProblemError(
            f"cannot read the {name} {text!r} as a formula: {reason}. Write it in {', '.join(known)}."
        ) from error
    unknown = sorted(s.name for s in expression.free_symbols if s.name not in known)
    if unknown:
        raise ProblemError(f"the {name} {text!r} uses the unknown symbols {unknown}; it may use {', '.join(known)}.")
    return expression


def parsed(given: Any, known: dict[str, Any]) -> Any:
    """The expression that a text, a number or an expression is, in the known symbols; unknown names are symbols of their own.

    Raises
    ------
    SyntaxError, TypeError, AttributeError, ValueError
        If it is none, or a text with anything but arithmetic of names and ``FUNCTIONS``. Nothing else is run.
    """
    import sympy

    if isinstance(given, str):
        expression = _read(given, tuple(known.items()))
    elif isinstance(given, Number) or hasattr(given, "free_symbols"):
        expression = sympy.sympify(given, strict=True)
    else:
        raise TypeError(f"a {type(given).__name__} is neither a text, a number nor a sympy expression")
    if not isinstance(expression, sympy.Expr):
        raise TypeError("its value is no number")
    if expression.has(sympy.zoo, sympy.nan):
        raise ValueError("it divides by zero")
    symbols: Any = expression.free_symbols
    return expression.subs({s: known[s.name] for s in symbols if s.name in known})


@lru_cache(maxsize=1024)
def _read(text: str, known: tuple[tuple[str, Any], ...]) -> Any:
    import sympy

    plain = " ".join(text.split()).replace("^", "**")
    names = _names(plain)
    own = {name: sympy.Symbol(name) for name in names if name not in FUNCTIONS and name not in CONSTANTS}
    return sympy.sympify(plain, locals={**own, **dict(known)})  # type: ignore[call-overload]


def _names(text: str) -> set[str]:
    """The names in a text that is arithmetic; refuses any other."""
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except (RecursionError, MemoryError) as error:
        raise ValueError("it is nested too deeply") from error
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id=name), keywords=[]):
                if name not in FUNCTIONS:
                    raise SyntaxError(_no_function(name))
            case ast.Constant(value=value) if type(value) in (int, float, bool):
                pass
            case _ if not isinstance(node, ARITHMETIC):
                raise SyntaxError(f"{ast.unparse(node)!r} is no arithmetic")
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _no_function(name: str) -> str:
    close = get_close_matches(name, FUNCTIONS, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{name!r} is none of the functions a formula may use{hint}: {', '.join(FUNCTIONS)}"


@lru_cache(maxsize=1024)
def numeric(symbols: tuple[Any, ...], expression: Any) -> Callable[..., Any]:
    """A function of the symbols' values that evaluates the expression by numpy."""
    import sympy

    return sympy.lambdify(list(symbols), expression, "numpy")


@lru_cache(maxsize=1024)
def simplified(expression: Any) -> Any:
    """The expression as sympy simplifies it."""
    import sympy

    return sympy.simplify(expression)


def linear_form(expressions: Sequence[Any], symbols: Sequence[Any], time: Any) -> Callable[[float], Any] | None:
    """The function t ↦ [A | b], shape (k, d + 1), of k expressions that are A(t) x + b(t) in d symbols; None if one is no polynomial of degree 1."""
    import numpy as np

    polynomials = [expression.as_poly(*symbols) for expression in expressions]
    if any(polynomial is None or polynomial.total_degree() > 1 for polynomial in polynomials):
        return None
    rows = [[numeric((time,), p.coeff_monomial(s)) for s in (*symbols, 1)] for p in polynomials]
    return lambda t: np.array([[float(entry(t)) for entry in row] for row in rows])
