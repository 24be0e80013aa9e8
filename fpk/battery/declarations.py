r"""What is declared about a model, inverted: which time of the path a label means, and what an exact model of that declaration answers.

:func:`fpk.fields.as_field` reads value = gain · output + slope · x off a model that is shown y = s_t x and a label; an exact model answers with
output = (value − slope · x)/gain at x = y/s_t, t the time of the label. Labels beyond those declared are answered at the nearest time, and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from fpk.errors import ProblemError
from fpk.fields import EDM, Index
from fpk.fields.adapters import _back
from fpk.fields.inputs import checked_scale, clock, scaling
from fpk.fields.kinds import checked_kind
from fpk.schedules import Schedule

#: Labels this far from those declared, relative, are taken for them: single precision.
SLACK = 2e-6


@dataclass(frozen=True)
class Declaration:
    """How a model is called and what it answers, as :func:`fpk.fields.as_field` has it.

    Parameters
    ----------
    kind : str
    schedule : Schedule
    time, direction, scale

    Raises
    ------
    ProblemError
        For declarations that mean nothing.
    UnknownName
        For an unknown kind.
    """

    kind: str
    schedule: Schedule
    time: Any = "path"
    direction: str = "t_noise"
    scale: Any = "path"

    def __post_init__(self) -> None:
        if self.kind != "edm":
            checked_kind(self.kind)
        if isinstance(self.schedule, type) or not isinstance(self.schedule, Schedule):
            raise ProblemError(
                f"schedule= is a schedule such as fpk.VPSchedule(0.1, 20.0), with alpha, sigma, drift_rate and diffusion of t; got {self.schedule!r}."
            )
        checked_scale(self.scale)
        if self.time is None:
            raise ProblemError(
                "a sampler's model needs to be told the time: declare time='path', 'sigma', an Index or a function."
            )
        if self.kind == "edm" and not isinstance(self.scale, EDM):
            raise ProblemError(f"a model of kind 'edm' has the scale EDM(sigma_data), got {self.scale!r}.")
        clock(self.time, self.schedule, self.direction)

    @cached_property
    def _clock(self) -> Callable[[float], Any]:
        return clock(self.time, self.schedule, self.direction)

    def label(self, t: float) -> float:
        """What a model is given at time t of the path; extrapolated for an index before its first."""
        if isinstance(self.time, Index):
            u = t if self.direction == "t_noise" else 1 - t
            return self.time.first + (u - self.time.start) / (1 - self.time.start) * (self.time.count - 1)
        return float(self._clock(t))

    @property
    def field_kind(self) -> str:
        """The kind of field that is behind the model."""
        return "v" if self.kind == "edm" else self.kind

    def moment(self, label: float) -> tuple[float, bool]:
        """The time of the path that a label means, and whether it is one of those declared."""
        return self._moments(label)

    @cached_property
    def _moments(self) -> Callable[[float], tuple[float, bool]]:
        """Labels that were asked for, shared by all declarations of one clock."""
        try:
            return _moments_of(self.schedule, self.time, self.direction)
        except TypeError:  # a schedule or clock that cannot be hashed
            return lru_cache(maxsize=65536)(self._moment)

    def _moment(self, label: float) -> tuple[float, bool]:
        if self.time == "path" or isinstance(self.time, Index):
            t = self._linear(label)
            return min(max(t, 0.0), 1.0), -SLACK <= t <= 1 + SLACK
        return self._inverted(label)

    def _linear(self, label: float) -> float:
        u = label
        if isinstance(self.time, Index):
            u = self.time.start + (label - self.time.first) / (self.time.count - 1) * (1 - self.time.start)
        return u if self.direction == "t_noise" else 1 - u

    def _inverted(self, label: float) -> tuple[float, bool]:
        """By bisection: every clock is monotone."""
        from scipy.optimize import brentq

        ends = [self._gap(t, label) for t in (0.0, 1.0)]
        size = SLACK * max(1.0, abs(label))
        for t, gap in zip((0.0, 1.0), ends, strict=True):
            if abs(gap) <= size * 1e-6:
                return t, True
        if ends[0] * ends[1] > 0:
            t = 0.0 if abs(ends[0]) < abs(ends[1]) else 1.0
            return t, min(abs(ends[0]), abs(ends[1])) <= size
        root: Any = brentq(lambda t: self._gap(t, label), 0.0, 1.0, xtol=1e-15)
        return float(root), True

    def _gap(self, t: float, label: float) -> float:
        if self.time == "sigma":  # finite where α = 0
            return (self.schedule.sigma(t) - label * self.schedule.alpha(t)) / max(1.0, abs(label))
        return float(self._clock(t)) - label

    def numbers(self, t: float) -> tuple[float, float, float]:
        """S, gain and slope: positions are shown times s, and value = gain · output + slope · x."""
        return self._numbers(t)

    @cached_property
    def _numbers(self) -> Callable[[float], tuple[float, float, float]]:
        return lru_cache(maxsize=65536)(self._computed)

    def _computed(self, t: float) -> tuple[float, float, float]:
        sign = -1.0 if self.direction == "t_data" else 1.0
        size = checked_scale(self.scale)
        return scaling(size, self.schedule, t), *_back(self.kind, size, self.schedule, t, sign)

    def level(self, t: float) -> tuple[float, float]:
        """α and σ."""
        return self.schedule.alpha(t), self.schedule.sigma(t)


@lru_cache(maxsize=64)
def _moments_of(schedule: Any, time: Any, direction: str) -> Callable[[float], tuple[float, bool]]:
    return lru_cache(maxsize=65536)(Declaration("noise", schedule, time, direction)._moment)
