"""The model an examination supplies: exact for a law, answering as declared, in the library it is called from, and keeping every call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from fpk.array_libraries import from_library, namespace, to_library
from fpk.battery.declarations import Declaration
from fpk.fields import conversion, exact_field
from fpk.fields.field import Field
from fpk.laws import Array, GaussianMixture

#: Rows of positions kept with a call.
KEPT = 4096


@dataclass(frozen=True)
class Call:
    """One call of the model.

    Parameters
    ----------
    label : float
        What it was told (of rows with several labels, the first).
    time : float
        The time of the path that means.
    known : bool
        Whether the label is one of those declared.
    positions : array, shape (n, d), or None
        Where, on the path's own scale; None where positions are not kept.
    mean, spread : float
        Of the first coordinate of the positions; NaN where they are not kept.
    uniform : bool
        Whether all rows had one label.
    """

    label: float
    time: float
    known: bool
    positions: Array | None
    mean: float = np.nan
    spread: float = np.nan
    uniform: bool = True


@dataclass(eq=False)
class ExactModel:
    """What a perfect network would answer.

    Parameters
    ----------
    declaration : Declaration
    law : GaussianMixture
        The data.
    keep : bool
        Whether the calls keep positions (of at most :data:`KEPT` rows), their mean and their spread.
    relabelled, score_factor, factor
        A model that is wrong on purpose: as if told another label, with its score, or with its output multiplied.
    """

    declaration: Declaration
    law: GaussianMixture
    keep: bool = False
    relabelled: Callable[[float], float] | None = None
    score_factor: float = 1.0
    factor: float = 1.0
    calls: list[Call] = field(default_factory=list)

    @cached_property
    def _field(self) -> Field:
        return _exact(self.law, self.declaration.schedule, self.declaration.field_kind)

    def __call__(self, x: Any, t: Any, *_: Any, **__: Any) -> Any:
        """The answer to positions x, of any shape (n, ...), and a label or one label for each row; more arguments are ignored."""
        y, labels = numbers(x), np.ravel(numbers(t))
        flat = y.reshape(len(y), -1)
        if labels.size == 1 or np.all(labels == labels[0]):
            values = self._answered(flat, float(labels[0]), uniform=True)
        else:
            values = np.empty_like(flat)
            for label in np.unique(labels):
                rows = labels == label
                values[rows] = self._answered(flat[rows], float(label), uniform=False)
        return like(x, values.reshape(y.shape))

    def _answered(self, y: Array, label: float, *, uniform: bool) -> Array:
        t, known = self.declaration.moment(label)
        if self.relabelled is not None:
            t, known = self.declaration.moment(self.relabelled(label))
        s, gain, slope = self.declaration.numbers(t)
        x = y / s
        self.calls.append(self._kept(Call(label, t, known, None, uniform=uniform), x))
        with np.errstate(all="ignore"):
            values = self._values(x, t)
            return self.factor * (values - slope * x) / gain

    def _values(self, x: Array, t: float) -> Array:
        if self.score_factor == 1:
            return self._field(x, t)
        kind, schedule = self.declaration.field_kind, self.declaration.schedule
        scaled = self.score_factor * self._scores(x, t)
        p, q = conversion("score", kind, schedule=schedule, t=max(t, 1e-9))
        return p * scaled + q * x

    @cached_property
    def _scores(self) -> Field:
        return _exact(self.law, self.declaration.schedule, "score")

    def _kept(self, call: Call, x: Array) -> Call:
        if not self.keep:
            return call
        with np.errstate(all="ignore"):
            mean, spread = float(np.mean(x[:, 0])), float(np.std(x[:, 0]))
        return replace(call, positions=x[:KEPT].copy(), mean=mean, spread=spread)


@lru_cache(maxsize=64)
def _known(law: Any, schedule: Any, kind: str) -> Field:
    return exact_field(law, schedule, kind=kind)


def _exact(law: GaussianMixture, schedule: Any, kind: str) -> Field:
    """The exact field, kept with its tables: the laws of examinations are few."""
    try:
        return _known(law, schedule, kind)
    except TypeError:  # a schedule that cannot be hashed
        return exact_field(law, schedule, kind=kind)


def numbers(values: Any) -> Array:
    """Any array as float64 of numpy."""
    return np.asarray(from_library(values), float)


def like(example: Any, values: Array) -> Any:
    """Values in the library, type and place of the example."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(example, torch.Tensor):
        return torch.as_tensor(values, dtype=example.dtype, device=example.device)
    if isinstance(example, (np.ndarray, np.generic)):
        return values.astype(example.dtype) if np.issubdtype(example.dtype, np.floating) else values
    if hasattr(example, "__array_namespace__"):
        return example.__array_namespace__().asarray(values, dtype=example.dtype)
    return values


def given(values: Array, library: str, dtype: str = "float64") -> Any:
    """Positions as an array of a library."""
    return to_library(values, namespace(library), dtype)


@contextmanager
def alone(library: str) -> Iterator[None]:
    """One thread for torch, which wins nothing from more on arrays this small, and as many as before afterwards."""
    if library != "torch":
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
