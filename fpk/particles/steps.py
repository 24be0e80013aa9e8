"""One time step as a scheme sees it: coefficients at stages of the step, for positions of shape (n, d) or traced ones of shape (1, d)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.laws import Array
from fpk.problem import Problem
from fpk.tracing import Instant, Trace


@dataclass(frozen=True)
class Step:
    """The step from t to t + h of one problem.

    Parameters
    ----------
    problem : Problem
    time : float or array
        t; all steps at once, shape (steps,), for a trace.
    length : float or array
        h.
    trace : Trace, optional
        Where arithmetic is written down in place of being done.
    """

    problem: Problem
    time: Any
    length: Any
    trace: Trace | None = None

    def known(self, function: Callable[[float, float], Any]) -> Array:
        """The numbers function(t, h), an array; their traces in a trace."""
        if self.trace is None:
            return np.asarray(function(self.time, self.length), float)
        distinct, places = np.unique(np.stack([self.time, self.length], axis=1), axis=0, return_inverse=True)
        values = np.stack([np.asarray(function(float(t), float(h)), float) for t, h in distinct])
        return self.trace.parameters(values[np.ravel(places)])

    @property
    def h(self) -> Any:
        """The length of the step."""
        return self.known(lambda t, h: h)[()]

    @property
    def root(self) -> Any:
        """√h."""
        return self.known(lambda t, h: h**0.5)[()]

    def at(self, stage: float) -> Any:
        """The time t + stage · h."""
        time = self.time + stage * self.length
        return time if self.trace is None else Instant(self.trace, time)

    def drift(self, x: Array, stage: float = 0.0) -> Array:
        """f(x, t + stage · h), broadcasts against x."""
        return self.problem.drift(x, self.at(stage))

    def diffusion(self, x: Array, stage: float = 0.0) -> Array:
        """g(x, t + stage · h), broadcasts against x, or (n, d, m) for a matrix."""
        return self.problem.diffusion(x, self.at(stage))


def spread(g: Array, dW: Array) -> Any:
    """G dW for noise of shape (n, m)."""
    if dW.shape[1] == 0:
        return 0.0
    if g.ndim < 3:
        return g * dW
    return sum(g[:, :, j] * dW[:, j : j + 1] for j in range(g.shape[2]))


def directions(g: Array, x: Array) -> list[Array]:
    """The vectors G e_j, one for each noise, each broadcasting against x."""
    if g.ndim == 3:
        return [g[:, :, j] for j in range(g.shape[2])]
    full = np.broadcast_to(g, x.shape)
    return [full * axis for axis in np.eye(x.shape[1])]
