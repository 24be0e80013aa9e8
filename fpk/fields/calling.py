"""Calling models of other libraries: arrays in, checked float64 arrays out, and no trace left in the model or its library.

=================== ======================== ==========================================================
model               takes (unless declared)  what is seen to
=================== ======================== ==========================================================
torch.nn.Module     (n, d) and times (n,)    the dtype of its parameters, no gradients, evaluation mode, every mode restored
``model.predict``   columns [x, t]           one-dimensional predictions become (n, 1) (scikit-learn's regressors)
other callables     (n, d) and a number      whatever numpy can read (JAX arrays, lists)
=================== ======================== ==========================================================
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fpk.errors import NonFinite, ProblemError
from fpk.laws import Array

#: How a model can take its time.
FORMS = ("scalar", "vector", "column")
#: Positions (n, d) and a time, or None ↦ what the model returns.
Call = Callable[[Array, Any], Any]


def caller(model: Any, form: str | None) -> Call:
    """The model as a function of positions and one time, which it is given in the declared form.

    Raises
    ------
    ProblemError
        If the form is unknown, or the object cannot be called.
    """
    if form is not None and form not in FORMS:
        raise ProblemError(f"time_as={form!r} is none of {', '.join(map(repr, FORMS))}.")
    torch = sys.modules.get("torch")  # nobody has a module of a library that was never imported
    if torch is not None and isinstance(model, torch.nn.Module):
        return _module(model, form or "vector", torch)
    if hasattr(model, "predict"):
        return _regressor(model)
    if callable(model):
        return lambda x, t: model(x) if t is None else model(x, _formed(t, len(x), form or "scalar"))
    raise ProblemError(
        f"a model is a torch module, an object with predict, or a function of (x, t); got {type(model).__name__}."
    )


def _formed(t: Any, n: int, form: str) -> Any:
    return t if form == "scalar" else np.full((n,) if form == "vector" else (n, 1), t)


def _regressor(model: Any) -> Call:
    """Columns [x, t]; a library's (n,) for one output is (n, 1)."""

    def call(x: Array, t: Any) -> Array:
        values = np.asarray(model.predict(x if t is None else np.column_stack([x, np.full(len(x), t)])))
        return values[:, None] if values.ndim == 1 else values

    return call


def _module(model: Any, form: str, torch: Any) -> Call:
    def call(x: Array, t: Any) -> Array:
        like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(0))
        given = [torch.tensor(x, dtype=like.dtype, device=like.device)]
        if t is not None:
            dtype = torch.long if isinstance(t, int) else like.dtype
            given.append(torch.tensor(_formed(t, len(x), form), dtype=dtype, device=like.device))
        with torch.no_grad(), _evaluating(model):
            values = model(*given)
        if not isinstance(values, torch.Tensor):
            raise ProblemError(
                f"the module returned {type(values).__name__}, not a tensor: give a module or function that takes the part that is meant."
            )
        return values.to("cpu", torch.float64).numpy()

    return call


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode; afterwards every part has its own mode again."""
    training = [part for part in model.modules() if part.training]
    if training:
        model.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def checked(values: Any, x: Array, t: float) -> Array:
    """The values as float64 of the shape of x.

    Raises
    ------
    ProblemError
        If they are no real numbers, or of another shape.
    NonFinite
        With the first row that is not finite.
    """
    found = np.asarray(values)
    if found.dtype.kind in "cOSUb":
        raise ProblemError(f"the model returned {type(values).__name__} of {found.dtype}; real numbers are needed.")
    if found.shape != x.shape:
        hint = " Return values[:, None]." if found.shape == (len(x),) and x.shape[1] == 1 else ""
        raise ProblemError(
            f"the model returned shape {found.shape} for positions of shape {x.shape}; the same is needed.{hint}"
        )
    found = found.astype(float)
    if not np.isfinite(found.sum()) and not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found).all(1))[0])
        raise NonFinite(
            f"the model returned {found[row].tolist()} at x={x[row].tolist()} (of its own scale), t={t:g} of the path."
        )
    return found
