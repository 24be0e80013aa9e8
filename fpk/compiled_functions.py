"""Functions compiled by numba as coefficients: of x[0], ..., x[d − 1] and t, with a tuple of d results (plain numbers for d = 1)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from fpk.errors import ProblemError
from fpk.tracing import Array, Instant, reading


def of_arrays(given: Any, dimension: int, name: str) -> Callable[[Array, Any], Any]:
    """The function for positions of shape (n, d), or traced ones of shape (1, d)."""

    def function(x: Array, t: Any) -> Any:
        if isinstance(t, Instant):
            _check(given, dimension, name)
            names = [entry.name for entry in x[0]]
            place = names[0] if dimension == 1 else f"({', '.join(names)})"
            return np.array([t.trace.called(given, f"{place}, {reading(t)}", dimension)], object)
        value = given(x if dimension == 1 else x.T, t)
        return value if dimension == 1 else np.stack([np.broadcast_to(v, len(x)) for v in value], axis=1)

    return function


def _check(given: Any, dimension: int, name: str) -> None:
    """Refuse what does not answer d numbers with d numbers, before it is compiled into anything."""
    from numba.core.errors import NumbaError  # type: ignore[import-untyped]

    asked = "a number" if dimension == 1 else f"a tuple of {dimension} numbers"
    try:
        answer = given(0.5 if dimension == 1 else (0.5,) * dimension, 0.5)
    except (NumbaError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise ProblemError(f"the compiled {name} must take (x, t) with x as {asked}: {reason}") from error
    if np.shape(answer) != (() if dimension == 1 else (dimension,)):
        raise ProblemError(f"the compiled {name} must return {asked} for x as {asked}, it returned {answer!r}.")


def required_names(function: Callable[..., Any]) -> list[str]:
    """Names of the positional arguments without a default; none where Python does not know them."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in given if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
