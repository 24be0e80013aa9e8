"""Compilation: the traced arithmetic of a step as one compiled loop over particles.

The loop is a function of fixed signature, so the driver that calls it is compiled once for all problems.
"""

from __future__ import annotations

import hashlib
import os
import sys
import types as python_types
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, types  # type: ignore[import-untyped]

from fpk.instructions import prefer_wide_vectors
from fpk.laws import Array
from fpk.particles import elementary
from fpk.tracing import ELEMENTARY, Trace, Traced

_WIDE, _NARROW = types.Array(types.float64, 2, "C"), types.Array(types.float32, 2, "C")
#: advance(states (rows, n), normals (m, n), extras (e, n), parameters): moves the states by one step.
ADVANCE = types.void(_WIDE, _NARROW, _NARROW, types.Array(types.float64, 1, "C"))
#: Products and sums may fuse; nothing is reordered.
ARITHMETIC = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}

#: Where loops are kept from run to run, next to what numba keeps of fpk itself, and how many.
CACHE, KEPT = Path(__file__).parent / "__pycache__" / "steps", 512

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
    name = f"advance_{hashlib.sha256(text.encode() + _compiled_in()).hexdigest()[:24]}"
    text = text.replace("advance", name, 1)
    file = None if functions else kept_source(name, text)
    exec(compile(text, str(file or "<one step of a scheme>"), "exec"), scope)
    return njit(ADVANCE, cache=file is not None, **ARITHMETIC)(scope[name])


def kept_source(name: str, text: str) -> Path | None:
    """A file with the text (no module: nothing imports it), beside which numba keeps what it compiles; None where nothing can be written.

    The name tells the text and all that is compiled into it; the function has it too, as numba finds machine code by the names of functions,
    and two of one name from different runs would be taken for each other. There are at most :data:`KEPT` such files; the oldest go.
    """
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        file = CACHE / f"{name}.txt"
        if not file.exists():
            _forget_oldest()
            part = file.with_suffix(f".{os.getpid()}")
            part.write_text(text, encoding="utf-8")
            os.replace(part, file)
        return file
    except OSError:
        return None


@lru_cache(maxsize=1)
def _compiled_in() -> bytes:
    modules = (__name__, elementary.__name__, prefer_wide_vectors.__module__)
    return b"".join(Path(str(sys.modules[name].__file__)).read_bytes() for name in modules)


def _forget_oldest() -> None:
    """Make room for one more."""
    files = sorted(CACHE.glob("*.txt"), key=lambda file: file.stat().st_mtime)
    for old in files[: max(len(files) - KEPT + 1, 0)]:
        for file in (old, *(CACHE / "__pycache__").glob(f"{old.stem}.*")):
            file.unlink(missing_ok=True)


def vectorised(function: Any) -> Any:
    """A user's compiled function, compiled again with elementary functions that loops over particles vectorise."""
    given = function.py_func
    scope = {name: NUMPY if value is np else value for name, value in given.__globals__.items()}
    again = python_types.FunctionType(given.__code__, scope, given.__name__, given.__defaults__, given.__closure__)
    return njit(again, forceinline=True, **ARITHMETIC)
