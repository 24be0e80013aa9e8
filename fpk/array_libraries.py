"""Functions written for other array libraries: torch, JAX, or any namespace of the array API standard.

fpk calls functions with numpy arrays: positions x (n, d) and a number t. A function that computes with another library is declared, not guessed:

    drift = written_for("torch", lambda x, t: -torch.sin(x) * torch.exp(-t))

is given positions, and the time as an array without axes, as arrays of that library, and its value comes back as numpy's. It can be a drift, a
diffusion, a score, a field, a payoff.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

import numpy as np

from fpk.errors import ProblemError

#: Namespaces of libraries that do not have their array functions in their own.
NAMESPACES = {"jax": "jax.numpy"}


def written_for(library: Any, function: Callable[..., Any], *, dtype: str = "float64") -> Callable[..., Any]:
    """A function of numpy arrays, from one of another library's.

    Parameters
    ----------
    library : str or module
        ``"torch"``, ``"jax"``, any module's name with the functions of the array API standard, or the module.
    function : callable
        Of positions and time, or of time; torch modules too. Numbers are handed over as arrays without axes.
    dtype : str, default ``"float64"``
        What real arguments are converted to, by its name in the library.

    Returns
    -------
    callable
        Of the same parameters; real arrays of any precision come back as float64.

    Raises
    ------
    ProblemError
        If the library is not installed, has no such type, or (JAX, unless told otherwise) replaces it by a shorter one.

    Examples
    --------
    >>> import numpy as np, fpk
    >>> from fpk.array_libraries import written_for
    >>> drift = written_for("numpy", lambda x, t: -np.sin(x) * np.exp(-t))  # "torch" with torch.sin and torch.exp
    >>> fpk.Problem(drift, 1.0, initial=fpk.Gaussian(0.0, 1.0)).drift(np.zeros((2, 1)), 0.5).shape
    (2, 1)
    """
    if not callable(function):
        raise ProblemError(f"written_for needs a function of (x, t) or of t, got {function!r}.")
    space = namespace(library)
    named = getattr(function, "forward", function)  # a module's own call has no parameters to be seen

    @wraps(named)
    def called(*given: Any) -> Any:
        return from_library(function(*(to_library(value, space, dtype) for value in given)))

    return called


def namespace(library: Any) -> Any:
    """The module with the array functions of a library, by its name or itself.

    Raises
    ------
    ProblemError
        If it cannot be imported, or has no ``asarray``.
    """
    try:
        found = import_module(NAMESPACES.get(library, library)) if isinstance(library, str) else library
    except ImportError as error:
        raise ProblemError(
            f"the array library {library!r} cannot be imported ({error}): install it, or name another: {_others(library)}, or any of the "
            "array API standard."
        ) from error
    if not hasattr(found, "asarray"):
        raise ProblemError(
            f"{library!r} is no array library: it has no function asarray. Give its name ('torch', 'jax', 'array_api_strict') or module."
        )
    return found


def _others(library: str) -> str:
    return ", ".join(repr(name) for name in ("numpy", "torch", "jax") if name != library)


def to_library(value: Any, space: Any, dtype: str = "float64") -> Any:
    """Numbers as an array of the namespace ``space``, real ones of the type; a copy, so that nobody's array is written to."""
    values = np.array(value)
    if values.dtype.kind != "f":
        return space.asarray(values)
    kind = getattr(space, dtype, None)
    if kind is None:
        raise ProblemError(f"{space.__name__} has no type {dtype!r}: 'float64' and 'float32' are usual.")
    if space.__name__ == "jax.numpy" and dtype == "float64" and not import_module("jax").config.jax_enable_x64:
        raise ProblemError(
            "JAX computes with float32 unless told otherwise: call jax.config.update('jax_enable_x64', True) first, or say dtype='float32'."
        )
    return space.asarray(values, dtype=kind)


def from_library(value: Any) -> Any:
    """An array of any library as numpy's, from whichever device, without its history of derivatives."""
    for step in ("detach", "cpu"):  # torch's
        value = getattr(value, step, lambda kept=value: kept)()
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        return np.from_dlpack(value.to_device("cpu") if hasattr(value, "to_device") else value)
