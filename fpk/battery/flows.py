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

from fpk.errors import ComparisonError
from fpk.laws import Array, Law

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


#: Offsets and weights of the sixth-order difference.
OFFSETS = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
WEIGHTS = np.array([-1.0, 9.0, -45.0, 45.0, -9.0, 1.0]) / 60


def with_divergence(velocity: Velocity, x: Array, t: float, probes: Array | None = None) -> tuple[Array, Array]:
    """v and ∇·v at positions (n, d), from one call; with probes z of shape (m, d) or (m, n, d) the mean of zᵀ J z over them.

    Examples
    --------
    >>> with_divergence(lambda x, t: x**3, np.array([[1.0, 2.0]]), 0.0)[1].round(9)
    array([15.])
    """
    values, along = _along(velocity, x, t, np.eye(x.shape[1]) if probes is None else probes, STEP)
    return values, along.sum(0) if probes is None else along.mean(0)


def quadratic_forms(velocity: Velocity, x: Array, t: float, probes: Array, *, step: float = STEP) -> Array:
    """Hutchinson's zᵀ J z, J = ∂v/∂x, for each probe, whose mean is ∇·v where E z zᵀ = I.

    Parameters
    ----------
    velocity : callable
        (x, t) ↦ (n, d).
    x : array, shape (n, d)
    t : float
    probes : array, shape (m, d) or (m, n, d)
        The same for all positions, or of each position's own.
    step : float
        Of the sixth-order differences along a probe, as a share of its length.

    Returns
    -------
    array, shape (m, n)

    Examples
    --------
    >>> quadratic_forms(lambda x, t: x[:, ::-1] ** 2, np.array([[1.0, 2.0]]), 0.0, np.array([[1.0, 1.0], [1.0, -1.0]])).round(9)
    array([[ 6.],
           [-6.]])
    """
    return _along(velocity, x, t, probes, step)[1]


def _along(velocity: Velocity, x: Array, t: float, directions: Array, step: float) -> tuple[Array, Array]:
    """v at positions (n, d), and zᵀ J z for each direction, shape (m, n), from one call."""
    z, d = np.asarray(directions, float), x.shape[1]
    if z.ndim not in (2, 3) or z.shape[-1] != d or (z.ndim == 3 and z.shape[1] != len(x)):
        raise ComparisonError(
            f"probes of shape (m, {d}) or (m, {len(x)}, {d}) go with positions {x.shape}, got {z.shape}."
        )
    steps = np.broadcast_to(z[:, None, :] if z.ndim == 2 else z, (len(z), *x.shape))
    moved = x + step * OFFSETS[:, None, None, None] * steps  # (6, m, n, d)
    values = velocity(np.concatenate([x, moved.reshape(-1, d)]), t)
    slopes = np.einsum("o,omnd->mnd", WEIGHTS / step, values[len(x) :].reshape(moved.shape))
    return values[: len(x)], np.einsum("mnd,mnd->mn", steps, slopes)


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

    for t, after in itertools.pairwise(times):
        h = float(after - t)
        stages: list[tuple[Array, Array]] = [with_divergence(velocity, x, t, probes)]
        for share in (0.5, 0.5, 1.0):
            stages.append(with_divergence(velocity, x + share * h * stages[-1][0], t + share * h, probes))
        moved, spread = (sum(w * s[k] for w, s in zip((1, 2, 2, 1), stages, strict=True)) for k in (0, 1))
        x, gathered = x + h / 6 * moved, gathered + h / 6 * spread
    return Flowed(x, gathered)


def path_times(end: float = 1.0, steps: int = 96) -> Array:
    """From 0 to the end, denser towards 0, where flows of narrow laws bend most."""
    u: Any = np.linspace(0, 1, steps + 1)
    return end * u**1.5
