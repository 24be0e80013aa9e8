"""A field with its kind and its schedule declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fpk import tracing
from fpk.errors import ProblemError
from fpk.fields.kinds import checked_kind, conversion
from fpk.laws import Array
from fpk.schedules import Schedule
from fpk.tracing import known, required_traceable


@dataclass(frozen=True)
class Field:
    """A function of (x, t) that is one of the KINDS on the path of a schedule, and thereby all of them.

    Parameters
    ----------
    function : callable
        (x, t) ↦ values; positions and values of shape (n, d), t in the time of the schedule.
    kind : str
        One of ``score``, ``noise``, ``denoised``, ``v`` and ``velocity``.
    schedule : Schedule

    Raises
    ------
    UnknownName
        For another kind.
    ProblemError
        On evaluation: values that have not the shape of the positions, or a kind asked for at a time where it is not determined.

    Notes
    -----
    Where the function can be compiled (:func:`fpk.tracing.traceable`), so can the field, its conversions and what is built on them.

    Examples
    --------
    >>> import numpy as np, fpk
    >>> from fpk.fields import Field
    >>> noise = Field(lambda x, t: np.zeros_like(x), "noise", fpk.VPSchedule(1.0))
    >>> noise.denoised(np.array([[2.0]]), 1.0) * np.exp(-0.5)
    array([[2.]])
    """

    function: Callable[[Array, Any], Array]
    kind: str
    schedule: Schedule
    traceable: ClassVar[bool] = True  # until its function, asked for a trace, refuses

    def __post_init__(self) -> None:
        checked_kind(self.kind)

    def __call__(self, x: Array, t: Any) -> Array:
        """The values at positions x of shape (n, d)."""
        required_traceable(self.function, t, "field")
        values = self.function(x, t)
        if np.shape(values) != x.shape:
            raise ProblemError(
                f"a {self.kind} field returned shape {np.shape(values)} for positions of shape {x.shape}; the same shape is needed."
            )
        return values

    def converted(self, kind: str) -> Field:
        """The field of another kind that says the same."""
        if checked_kind(kind) == self.kind:
            return self

        @tracing.traceable
        def function(x: Array, t: Any) -> Array:
            scale, slope = known(lambda u: conversion(self.kind, kind, schedule=self.schedule, t=u), t)
            values = scale * self(x, t)
            return values if isinstance(slope, float) and slope == 0 else values + slope * x

        return Field(function, kind, self.schedule)

    @tracing.traceable
    def score(self, x: Array, t: Any) -> Array:
        """∇ log p_t(x), shape (n, d)."""
        return self.converted("score")(x, t)

    @tracing.traceable
    def noise(self, x: Array, t: Any) -> Array:
        """E[Z | X_t = x], shape (n, d)."""
        return self.converted("noise")(x, t)

    @tracing.traceable
    def denoised(self, x: Array, t: Any) -> Array:
        """E[X_0 | X_t = x], shape (n, d)."""
        return self.converted("denoised")(x, t)

    @tracing.traceable
    def v(self, x: Array, t: Any) -> Array:
        """α E[Z | X_t = x] − σ E[X_0 | X_t = x], shape (n, d)."""
        return self.converted("v")(x, t)

    @tracing.traceable
    def velocity(self, x: Array, t: Any) -> Array:
        """The velocity α̇ E[X_0 | X_t = x] + σ̇ E[Z | X_t = x] of the probability flow, shape (n, d)."""
        return self.converted("velocity")(x, t)
