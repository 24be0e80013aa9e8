"""Compilation: the traced arithmetic of a step as one compiled loop over particles.

The loop is a function of fixed signature, so the driver that calls it is compiled once for all problems.
"""

from __future__ import annotations

import types as python_types
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit, types  # type: ignore[import-untyped]

from fpk import instructions
from fpk.instructions import prefer_wide_vectors
from fpk.kept_loops import compiled_text
from fpk.laws import Array
from fpk.particles import elementary
from fpk.tracing import ELEMENTARY, Trace, Traced

_WIDE, _NARROW = types.Array(types.float64, 2, "C"), types.Array(types.float32, 2, "C")
#: advance(states (rows, n), normals (m, n), extras (e, n), parameters): moves the states by one step.
ADVANCE = types.void(_WIDE, _NARROW, _NARROW, types.Array(types.float64, 1, "C"))
#: Products and sums may fuse; nothing is reordered. Only compiled code calls it: a fifth of the compilation would be the wrapper for Python.
ARITHMETIC = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True, "no_cpython_wrapper": True}

#: numpy, with elementary functions that loops over particles vectorise.
NUMPY = python_types.ModuleType("numpy")
vars(NUMPY).update(vars(np) | {name: getattr(elementary, name) for name in ELEMENTARY if hasattr(elementary, name)})


def symbols(trace: Trace, letter: str, count: int) -> Array:
    """Traced entries of an array, shape (1, count)."""
    out = np.empty((1, count), object)
    out[0] = [Traced(trace, f"{letter}{i}") for i in range(count)]
    return out


def source(trace: Trace, outputs: Array, counts: Mapping[str, int]) -> str:
    """The loop, as text; ``counts`` gives the rows of the states ``x``, the normals ``w`` and the extras ``y``. All arithmetic is in doubles."""
    loads = [f"{letter}{i} = 1.0 * {letter}[{i}, i]" for letter, count in counts.items() for i in range(count)]
    results = [value.name if isinstance(value, Traced) else repr(float(value)) for value in outputs]
    stores = [f"x[{i}, i] = {result}" for i, result in enumerate(results)]
    body = "".join(f"        {line}\n" for line in (*loads, *trace.statements, *stores))
    parameters = "".join(f"    p{k} = p[{k}]\n" for k in range(len(trace.columns)))
    return f"def advance(x, w, y, p):\n    prefer_wide_vectors()\n{parameters}    for i in range(x.shape[1]):\n{body}"


def compiled(trace: Trace, outputs: Array, counts: Mapping[str, int]) -> Callable[..., None]:
    """The loop, compiled; one compilation for each text."""
    return _compiled(source(trace, outputs, counts), tuple(trace.functions.items()))


@lru_cache(maxsize=256)
def _compiled(text: str, functions: tuple[tuple[str, Any], ...]) -> Callable[..., None]:
    scope: dict[str, Any] = {name: getattr(NUMPY, name) for name in ELEMENTARY}
    scope |= {"prefer_wide_vectors": prefer_wide_vectors, "__name__": __name__}
    scope |= {name: vectorised(function) for name, function in functions}
    return compiled_text(
        text, "advance", scope, ADVANCE, ARITHMETIC, keep=not functions, modules=(elementary, instructions)
    )


def vectorised(function: Any) -> Any:
    """A user's compiled function, compiled again with elementary functions that loops over particles vectorise."""
    given = function.py_func
    scope = {name: NUMPY if value is np else value for name, value in given.__globals__.items()}
    again = python_types.FunctionType(given.__code__, scope, given.__name__, given.__defaults__, given.__closure__)
    return njit(again, forceinline=True, **ARITHMETIC)
