r"""Formulas as people write them: arithmetic and a few functions of given names, read without running any code.

``f - g**2*score``, ``f - g^2 score/2`` with an explicit ``*``, and ``−½*β*x`` are understood: ^ is a power, Greek letters stand for their names.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fpk.errors import NonFinite, ProblemError
from fpk.formula_text import quoted, tree
from fpk.laws import Array

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "expm1": np.expm1, "log1p": np.log1p,
}  # fmt: skip
OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide, ast.Pow: np.power,
    ast.USub: np.negative, ast.UAdd: np.positive,
}  # fmt: skip
SPELLINGS = {
    "^": "**", "²": "**2", "−": "-", "·": "*", "√": "sqrt", "α": "alpha", "β": "beta", "σ": "sigma", "τ": "tau", "π": "pi",
}  # fmt: skip


class Expression:
    """A formula in given names.

    Parameters
    ----------
    text : str
    names : tuple of str
        What it may use, besides ``pi`` and the functions exp, log, sqrt, abs, sin, ...

    Raises
    ------
    ProblemError
        If it cannot be read or uses something else: the message lists what is allowed.

    Examples
    --------
    >>> formula = Expression("f - g^2*score/2", ("f", "g", "score"))
    >>> float(formula({"f": 1.0, "g": 2.0, "score": 3.0}))
    -5.0
    """

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self.text, self.names = text, names
        self._tree = self._parsed()
        self._check(self._tree)
        found = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)}
        self.used = tuple(name for name in names if name in found)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def _parsed(self) -> ast.expr:
        if not isinstance(self.text, str) or not self.text.strip():
            raise ProblemError(f"a formula is needed as text, got {self.text!r}. {self._allowed()}")
        plain = re.sub(r"½\s*\*?", "(1/2)*", self.text)
        for sign, spelled in SPELLINGS.items():
            plain = plain.replace(sign, spelled)
        try:
            return tree(plain.strip())
        except (SyntaxError, ValueError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise ProblemError(f"cannot read {quoted(self.text)} as a formula: {reason}. {self._allowed()}") from error

    def _allowed(self) -> str:
        return (
            f"It may use {', '.join(self.names)}, numbers, pi, + - * / **, brackets and {', '.join(FUNCTIONS)}; "
            "write products with *, for example g**2*score."
        )

    def _check(self, node: ast.expr) -> None:
        """Refuse every construct that is not arithmetic of the allowed names."""
        match node:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                self._check(left)
                self._check(right)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
                self._check(operand)
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
                self._check(argument)
            case ast.Constant(value=value) if type(value) in (int, float):
                pass
            case ast.Name(id=name) if name in self.names or name == "pi":
                pass
            case ast.Name(id=name):
                raise ProblemError(f"the formula {quoted(self.text)} uses the unknown name {name!r}. {self._allowed()}")
            case _:
                raise ProblemError(
                    f"the formula {quoted(self.text)} contains {quoted(ast.unparse(node))}, which is not arithmetic. {self._allowed()}"
                )

    def __call__(self, values: Mapping[str, Any]) -> Array:
        """The value, given those of the names; numpy broadcasting applies. It may be NaN or infinite."""
        with np.errstate(all="ignore"):  # whoever knows where it was evaluated says so
            return np.asarray(self._value(self._tree, values), float)

    def _value(self, node: Any, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return OPERATORS[type(op)](self._value(left, values), self._value(right, values))
            case ast.UnaryOp(op=op, operand=operand):
                return OPERATORS[type(op)](self._value(operand, values))
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                return FUNCTIONS[name](self._value(argument, values))
            case ast.Name(id=name):
                return np.pi if name == "pi" else values[name]
        return np.float64(node.value)

    def finite(self, values: Mapping[str, Any], x: Array, t: float) -> Array:
        """The value with the shape of x (n, d).

        Raises
        ------
        NonFinite
            Saying at which x and t.
        """
        value = np.broadcast_to(self(values), x.shape)
        bad = np.flatnonzero(~np.isfinite(value).all(-1))
        if len(bad):
            where = x[bad[0]].tolist()
            raise NonFinite(
                f"the formula {quoted(self.text)} is {value[bad[0]].tolist()} at x={where}, t={t:g}: it must be finite there. "
                "Mind divisions by zero, roots and logarithms; σ vanishes at t=0."
            )
        return value
