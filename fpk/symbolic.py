"""Formulas of coefficients: sympy expressions, or their text, in known symbols."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fpk.errors import ProblemError


def formula(text: Any, known: dict[str, Any], name: str) -> Any:
    """The expression, its symbols replaced by the known ones of the same names.

    Raises
    ------
    ProblemError
        If it cannot be read, or uses other symbols.
    """
    import sympy

    try:
        expression: Any = _read(text, tuple(known.items())) if isinstance(text, str) else sympy.sympify(text)
        expression = expression.subs({s: known[s.name] for s in expression.free_symbols if s.name in known})
    except (sympy.SympifyError, SyntaxError, TypeError, AttributeError) as error:
        raise ProblemError(
            f"cannot read the {name} {text!r} as a formula: {error}. Write it in {', '.join(known)}."
        ) from error
    unknown = sorted(s.name for s in expression.free_symbols if s.name not in known)
    if unknown:
        raise ProblemError(f"the {name} {text!r} uses the unknown symbols {unknown}; it may use {', '.join(known)}.")
    return expression


@lru_cache(maxsize=1024)
def _read(text: str, known: tuple[tuple[str, Any], ...]) -> Any:
    import sympy

    return sympy.sympify(text, locals=dict(known))  # type: ignore[call-overload]


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
