r"""Log-densities along a flow: the change of variables x ↦ z by dx/dt = v(x, t), written down once, to hold other people's likelihoods against.

    log p_0(x) = log p_T(z) + ∫_0^T (∇·v)(x_t, t) dt,   x_0 = x,  z = x_T.

The divergence is taken by sixth-order differences, coordinate by coordinate or along probes: zᵀ J z for each probe, whose mean is the trace where
the coordinates of the probe are uncorrelated with variance 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.laws import Array, Law, central_derivative

#: Step of the differences.
STEP = 1e-2
Velocity = Callable[[Array, float], Array]


@dataclass(frozen=True)
class Flowed:
    """Where a flow ended, and what it gathered.

    Parameters
    ----------
    end : array, shape (n, d)
    gathered : array, shape (n,)
        ∫ ∇·v dt along the way: the logarithm of the determinant of ∂end/∂start.
    """

    end: Array
    gathered: Array

    def log_density(self, law: Law) -> Array:
        """Log-density at the start, from the law at the end, shape (n,)."""
        return law.log_density(self.end) + self.gathered


def divergence(velocity: Velocity, x: Array, t: float, probes: Array | None = None) -> Array:
    """∇·v at positions (n, d), or the mean of zᵀ J z over probes z of shape (m, d) or (m, n, d)."""
    if probes is None:
        axes = np.eye(x.shape[1])
        return np.sum([_along(velocity, x, t, e)[:, k] for k, e in enumerate(axes)], axis=0)
    return np.mean([(np.broadcast_to(z, x.shape) * _along(velocity, x, t, z)).sum(1) for z in probes], axis=0)


def _along(velocity: Velocity, x: Array, t: float, direction: Array) -> Array:
    return central_derivative(lambda s: velocity(x + s * direction, t), np.zeros((1, 1)), STEP)


def flow(velocity: Velocity, x: Array, times: Sequence[float] | Array, *, probes: Array | None = None) -> Flowed:
    """Follow a velocity through the times with steps of Runge–Kutta's method of order 4, and gather its divergence.

    Parameters
    ----------
    velocity : callable
        (x, t) ↦ (n, d).
    x : array, shape (n, d)
    times : sequence of float
        Rising or falling.
    probes : array, shape (m, d) or (m, n, d), optional
        The same all along the way.

    Examples
    --------
    >>> shrunk = flow(lambda x, t: -x, np.ones((1, 2)), np.linspace(0, 1, 33))
    >>> print(np.round(shrunk.end * np.e, 6), np.round(shrunk.gathered, 6))
    [[1. 1.]] [-2.]
    """
    x, gathered = np.array(x, float), np.zeros(len(x))

    def rate(y: Array, t: float) -> tuple[Array, Array]:
        return velocity(y, t), divergence(velocity, y, t, probes)

    for t, after in itertools.pairwise(times):
        h = float(after - t)
        stages: list[tuple[Array, Array]] = [rate(x, t)]
        for share in (0.5, 0.5, 1.0):
            stages.append(rate(x + share * h * stages[-1][0], t + share * h))
        moved, spread = (sum(w * s[k] for w, s in zip((1, 2, 2, 1), stages, strict=True)) for k in (0, 1))
        x, gathered = x + h / 6 * moved, gathered + h / 6 * spread
    return Flowed(x, gathered)


def path_times(end: float = 1.0, steps: int = 96) -> Array:
    """From 0 to the end, denser towards 0, where flows of narrow laws bend most."""
    u: Any = np.linspace(0, 1, steps + 1)
    return end * u**1.5
