r"""The divergence of a traced velocity: its statements differentiated one by one, forwards.

A trace is a straight line of statements v = a ∘ b. Along it, for each coordinate x_j,

    ∂_j (a ∘ b) = (∂ of ∘ in a) ∂_j a + (∂ of ∘ in b) ∂_j b,

so that ∇·v = Σ_j ∂_j v_j costs d times as many operations as v, shares all elementary functions with it, and has no error but rounding.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from fpk.laws import Array
from fpk.tracing import NotTraceable, Trace, Traced

#: a, f(a) ↦ f'(a).
SLOPES: dict[str, Callable[[Any, Any], Any]] = {
    "exp": lambda a, f: f,
    "log": lambda a, f: 1.0 / a,
    "sin": lambda a, f: a.cos(),
    "cos": lambda a, f: -a.sin(),
    "tan": lambda a, f: 1.0 + f * f,
    "sinh": lambda a, f: a.cosh(),
    "cosh": lambda a, f: a.sinh(),
    "tanh": lambda a, f: 1.0 - f * f,
    "arctan": lambda a, f: 1.0 / (1.0 + a * a),
    "sqrt": lambda a, f: 0.5 / f,
    "floor": lambda a, f: 0.0,
}


def divergence(trace: Trace, velocity: Array) -> Any:
    """∇·v, traced.

    Parameters
    ----------
    trace : Trace
    velocity : array of objects, shape (d,)
        Of the positions x0, x1, ... of the trace.

    Raises
    ------
    NotTraceable
        If a statement calls a compiled function, whose derivative is not known.
    """
    names = [v.name if isinstance(v, Traced) else "" for v in velocity]  # writes what was not written yet
    program = [statement.split(" = ", 1) for statement in trace.statements]
    parsed = [(name, ast.parse(text, mode="eval").body) for name, text in program]
    total: Any = 0.0
    for j, name in enumerate(names):
        slopes: dict[str, Any] = {f"x{j}": 1.0}
        for target, node in parsed:
            slopes[target] = Rule(trace, slopes, target).slope(node)
        total = total + slopes.get(name, 0.0)
    return total


class Rule:
    """The derivative of one statement, given those of its operands.

    Parameters
    ----------
    trace : Trace
    slopes : dict
        Derivatives by name; those of parameters are missing and 0.
    target : str
        What the statement's value is called.
    """

    def __init__(self, trace: Trace, slopes: dict[str, Any], target: str) -> None:
        self.trace, self.slopes = trace, slopes
        self.value = Traced(trace, target)

    def slope(self, node: ast.expr) -> Any:
        """The derivative of a statement's right side."""
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, left, right)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._d(operand)
            case ast.IfExp(test=test, body=body, orelse=other):
                return self._chosen(ast.unparse(test), self._d(body), self._d(other))
            case ast.Compare() | ast.BoolOp():
                return 0.0
            case ast.Call(func=ast.Name(id=name), args=[first, second]) if name in ("min", "max"):
                sign = ">" if name == "max" else "<"
                return self._chosen(
                    f"{ast.unparse(first)} {sign} {ast.unparse(second)}", self._d(first), self._d(second)
                )
            case ast.Call(func=ast.Name(id="abs"), args=[operand]):
                return self._chosen(f"{ast.unparse(operand)} > 0.0", self._d(operand), -self._d(operand))
            case ast.Call(func=ast.Name(id=name), args=[operand]) if name in SLOPES:
                inner = self._d(operand)
                return (
                    SLOPES[name](self._value(operand), self.value) * inner
                    if isinstance(inner, Traced) or inner
                    else 0.0
                )
        raise NotTraceable(f"the derivative of {ast.unparse(node)} is not known: it is taken by differences.")

    def _binary(self, op: ast.operator, left: ast.expr, right: ast.expr) -> Any:
        a, b, da, db = self._value(left), self._value(right), self._d(left), self._d(right)
        match op:
            case ast.Add():
                return da + db
            case ast.Sub():
                return da - db
            case ast.Mult():
                return da * b + a * db
            case ast.Div():
                return (da - self.value * db) / b
            case ast.Pow() if isinstance(db, float) and db == 0.0:
                return b * (self.value / a) * da
            case ast.Pow():
                return self.value * (db * (math.log(a) if isinstance(a, float) else a.log()) + b * da / a)
        raise NotTraceable(f"the derivative of {type(op).__name__} is not known: it is taken by differences.")

    def _chosen(self, test: str, first: Any, second: Any) -> Any:
        """One of two derivatives."""
        if isinstance(first, float) and isinstance(second, float) and first == second:
            return first
        texts = [value.name if isinstance(value, Traced) else repr(value) for value in (first, second)]
        return self.trace.written(f"{texts[0]} if {test} else {texts[1]}")

    def _value(self, node: ast.expr) -> Any:
        return Traced(self.trace, node.id) if isinstance(node, ast.Name) else float(ast.literal_eval(node))

    def _d(self, node: ast.expr) -> Any:
        return self.slopes.get(node.id, 0.0) if isinstance(node, ast.Name) else 0.0
