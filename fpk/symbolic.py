"""Formulas of coefficients: sympy expressions, or their text, in known symbols.

sympy reads text by running it as Python. A text is therefore looked at first: arithmetic, comparisons and the functions in ``FUNCTIONS`` are
handed on, anything else is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from numbers import Number
from typing import Any

import numpy as np

from fpk.errors import ProblemError
from fpk.formula_text import quoted, tree

#: What a formula may call, by its name in sympy.
FUNCTIONS = (
    "exp", "log", "ln", "sqrt", "cbrt", "root", "abs", "Abs", "sign", "Max", "Min", "floor", "ceiling", "Mod", "Rational", "sin", "cos", "tan",
    "cot", "sec", "csc", "sinc", "asin", "acos", "atan", "atan2", "acot", "sinh", "cosh", "tanh", "coth", "sech", "csch", "asinh", "acosh",
    "atanh", "erf", "erfc", "erfi", "erfinv", "erfcinv", "gamma", "loggamma", "besselj", "bessely", "besseli", "besselk", "LambertW",
    "Heaviside", "Piecewise", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not",
)  # fmt: skip
CONSTANTS = ("pi", "E", "I")
#: What reading raises where a text is no formula (errors of sympy are among ValueError).
UNREADABLE = (SyntaxError, TypeError, AttributeError, ValueError, ArithmeticError, NotImplementedError, RecursionError)
#: Simplified is what has no more operations than this, and no higher degree: more may take for ever.
MOST_OPERATIONS, MOST_DEGREES = 20, 10
#: Parts of a derivative that is made use of: that of a product is as long as its square.
MOST_PARTS = 10_000
#: Where a formula is looked at, and when; once far away, where functions like atan(tan(x)) have had their steps.
PLACES, TIMES = (0.29, 0.83, -1.37, 2.11, 40.3), (0.23, 0.71)
#: Functions that numpy has not, by their names in sympy and in scipy.special.
SPECIAL = {
    "erf": "erf", "erfc": "erfc", "erfi": "erfi", "erfinv": "erfinv", "erfcinv": "erfcinv", "gamma": "gamma", "loggamma": "gammaln",
    "polygamma": "polygamma", "besselj": "jv", "bessely": "yv", "besseli": "iv", "besselk": "kv", "LambertW": "lambertw",
}  # fmt: skip
#: Beside calls and numbers.
ARITHMETIC = (
    ast.BinOp, ast.UnaryOp, ast.Compare, ast.Tuple, ast.Name, ast.Load, ast.operator, ast.unaryop, ast.cmpop,
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
    from sympy.core.function import AppliedUndef

    try:
        expression = parsed(text, known)
        undefined = sorted(str(call.func) for call in expression.atoms(AppliedUndef))
        if undefined:
            raise SyntaxError(_no_function(undefined[0]))
    except UNREADABLE as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise ProblemError(
            f"cannot read the {name} {quoted(text)} as a formula: {reason}. Write it in {', '.join(known)}."
        ) from error
    unknown = sorted(s.name for s in expression.free_symbols if s.name not in known)
    if unknown:
        raise ProblemError(
            f"the {name} {quoted(text)} uses the unknown symbols {unknown}; it may use {', '.join(known)}."
        )
    return expression


def number(expression: Any, name: str) -> complex:
    """The value of an expression without symbols.

    Raises
    ------
    ProblemError
        If it has none.
    """
    try:
        return complex(expression)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ProblemError(f"the {name} {quoted(str(expression))} has no value: {error}") from error


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
    nodes = list(ast.walk(tree(text)))
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
    """A function of the symbols' values that evaluates the expression by numpy, and by scipy what numpy has not."""
    import sympy

    special = {call.func.__name__ for call in expression.atoms(sympy.Function)} & SPECIAL.keys()
    return sympy.lambdify(list(symbols), expression, [{name: _special(SPECIAL[name]) for name in special}, "numpy"])


def _special(name: str) -> Callable[..., Any]:
    from scipy import special

    function = getattr(special, name)
    return function if name != "lambertw" else lambda x, branch=0: np.real_if_close(function(x, branch))


@lru_cache(maxsize=1024)
def slope_of(expression: Any, x: Any, t: Any) -> Any | None:
    """The derivative in x, where it can be computed without much ado; those of steps are 0 beside them."""
    import sympy

    slope = sympy.diff(expression, x)
    if next(islice(sympy.preorder_traversal(slope), MOST_PARTS, None), None) is not None:
        return None
    slope = slope.replace(sympy.DiracDelta, lambda *_: sympy.Integer(0))
    return None if _probed(slope, [x], t) is None else slope  # a derivative of floor, for example


@lru_cache(maxsize=1024)
def linear_parts(expression: Any, x: Any, t: Any) -> tuple[Any, Any] | None:
    """The expressions a and b in t of an expression a x + b; None where it is none, or that would take too long to see."""
    import sympy

    slope = slope_of(expression, x, t)
    if slope is not None and x in slope.free_symbols and _same_for_all(_probed(slope, [x], t)):
        slope = _simplified(slope)
    if slope is None or x in slope.free_symbols:
        return None
    shift = expression.subs(x, 0)
    if shift.has(sympy.nan, sympy.zoo, sympy.oo):
        shift = _simplified(expression - slope * x)
    known = [_probed(part, [x], t) for part in (slope, shift)]
    real = all(values is not None and np.isrealobj(values) and np.isfinite(values).all() for values in known)
    whole = real and x not in shift.free_symbols and _adds_up(expression, slope * x + shift, [x], t)
    return (slope, shift) if whole else None


def linear_form(expressions: Sequence[Any], symbols: Sequence[Any], t: Any) -> Callable[[float], Any] | None:
    """The function t ↦ [A | b], shape (k, d + 1), of k expressions that are A(t) x + b(t) in d symbols; None where it cannot be seen at once."""
    import sympy

    slopes = [[sympy.diff(expression, x) for x in symbols] for expression in expressions]
    shifts = [expression.subs(dict.fromkeys(symbols, 0)) for expression in expressions]
    rows = [[*row, shift] for row, shift in zip(slopes, shifts, strict=True)]
    parts = [part for row in rows for part in row]
    odd = any(part.is_real is False or part.has(sympy.nan, sympy.zoo, sympy.oo) for part in parts)
    if odd or any(part.free_symbols - {t} for part in parts):
        return None
    forms = [sum(a * x for a, x in zip(row, symbols, strict=True)) for row in slopes]
    if not all(_adds_up(e, a + b, symbols, t) for e, a, b in zip(expressions, forms, shifts, strict=True)):
        return None
    entries = [[numeric((t,), part) for part in row] for row in rows]
    return lambda time: np.array([[float(entry(time)) for entry in row] for row in entries])


def _adds_up(expression: Any, form: Any, symbols: Sequence[Any], t: Any) -> bool:
    """Whether an expression is the linear form that its derivatives tell: they tell nothing of steps."""
    import sympy

    steps: list[Any] = list(expression.atoms(sympy.sign, sympy.Heaviside, sympy.floor, sympy.ceiling))
    steps += [condition for cases in expression.atoms(sympy.Piecewise) for _, condition in cases.args]
    if any(set(symbols) & step.free_symbols for step in steps):
        return False
    values, rest = (_probed(part, symbols, t) for part in (expression, expression - form))
    if values is None or rest is None:
        return False
    scale = np.abs(values).max(initial=1.0, where=np.isfinite(values))
    with np.errstate(all="ignore"):
        return not np.any(np.abs(rest) > 1e-9 * scale)


def _probed(expression: Any, symbols: Sequence[Any], t: Any) -> Any:
    """Its values at a few times and places, shape (times, places); None where it cannot be computed."""
    places = [np.roll(PLACES, i) for i in range(len(symbols))]
    try:
        value = numeric((*symbols, t), expression)
        with np.errstate(all="ignore"):
            return np.stack([np.broadcast_to(value(*places, moment), len(PLACES)) for moment in TIMES])
    except (NameError, *UNREADABLE):
        return None


def _same_for_all(values: Any) -> bool:
    """Whether a slope looks the same at all places: simplifying may take for ever, and is for those that do."""
    scale = np.abs(values).max(initial=1.0, where=np.isfinite(values))
    with np.errstate(all="ignore"):
        return not np.any(np.abs(values - values[:, :1]) > 1e-6 * scale)


def _simplified(expression: Any) -> Any:
    """The expression as sympy simplifies it, if it is small enough for that."""
    import sympy

    small = sympy.count_ops(expression) <= MOST_OPERATIONS and _degree(expression) <= MOST_DEGREES
    return sympy.simplify(expression) if small else expression


def _degree(expression: Any) -> int:
    """The degree that sympy's polynomials would have, functions counted like their arguments."""
    parts = [_degree(part) for part in expression.args]
    if expression.is_Pow and expression.exp.is_Rational:
        return parts[0] * max(abs(expression.exp.p), expression.exp.q)
    return (sum(parts) if expression.is_Mul else max(parts)) if parts else 1
