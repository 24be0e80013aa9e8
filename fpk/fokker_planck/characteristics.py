r"""The continuity equation ∂_t p + ∇·(v p) = 0 along characteristics: for zero noise, where a diffusion scheme degenerates.

    ẋ = v(x, t),   d/dt log p(x_t, t) = −∇·v(x_t, t).

Expectations follow points of the initial law *forward*: E φ(X_t) = Σ_i p_0(x_i) h φ(X_t(x_i)), however sharp p_t becomes, with mass exactly
conserved. Densities are traced *back*: log p_t(x) = log p_0(x_0) − ∫ ∇·v. In one dimension the map x_0 ↦ X_t is increasing, so that
F_t(X_t(x_0)) = F_0(x_0) gives the distribution function. Classical fourth-order Runge–Kutta steps both ways.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fpk.coefficients import DERIVATIVE_STEP
from fpk.errors import NonFinite
from fpk.laws import Array, central_derivative
from fpk.problem import Problem


def pushed(problem: Problem, x: Array, times: tuple[float, ...], steps: int) -> Array:
    """Positions at ``times`` of points that start at x of shape (n,), or (n, d); returns (len(times), *x.shape).

    Raises
    ------
    NonFinite
        If a point leaves every bound.
    """
    end, t, y = times[-1] or 1.0, 0.0, _rows(x)
    kept = []
    for target in times:
        count = max(1, round(steps * (target - t) / end)) if target > t else 0
        h = (target - t) / max(count, 1)
        for i in range(count):
            y, _ = _step(problem, y, t + i * h, h, volume=False)
        t = target
        if not np.all(np.isfinite(y)):
            raise NonFinite(
                f"points of {problem.name or 'the flow'} leave every bound by t={t:g}: a shorter horizon, or more steps."
            )
        kept.append(y.reshape(x.shape))
    return np.stack(kept)


def log_density(problem: Problem, x: Array, t: float, steps: int) -> Array:
    """Log p_t at the points x of shape (n,), or (n, d); returns shape (n,).

    Parameters
    ----------
    problem : Problem
        With zero diffusion.
    x : array, shape (n,) or (n, d)
    t : float
    steps : int
        Runge–Kutta steps from 0 to t.

    Accuracy
    --------
    Fourth order in time; for ∇·v see :func:`divergence`.
    """
    origin, log_volume = followed(problem, _rows(x), np.linspace(t, 0.0, steps + 1) if t > 0 else np.zeros(1))
    if not np.all(np.isfinite(origin)):
        raise NonFinite(
            f"characteristics of {problem.name or 'the flow'} leave every bound on the way back from t={t:g}."
        )
    return problem.initial.log_density(origin) + log_volume


def _rows(x: Array) -> Array:
    """Positions of shape (n, d)."""
    return x[:, None] if x.ndim == 1 else x


def followed(problem: Problem, x: Array, mesh: Array) -> tuple[Array, Array]:
    """Where points that are at x of shape (n, d) at the first instant of a mesh are at the last, and log |∂x_last/∂x_first|, shape (n,).

    The mesh increases for points that move forward and decreases for points that are traced back.
    """
    log_volume = np.zeros(len(x))
    for t, end in pairwise(mesh):
        x, gained = _step(problem, x, float(t), float(end - t))
        log_volume += gained
    return x, log_volume


def moved(problem: Problem, x: Array, t: float, h: float) -> Array:
    """Positions at t + h (h of either sign) of points that are at x of shape (n, d) at t: one Runge–Kutta step."""
    return _step(problem, x, t, h, volume=False)[0]


def _step(problem: Problem, x: Array, t: float, h: float, *, volume: bool = True) -> tuple[Array, Array]:
    """One Runge–Kutta step from t to t + h (h of either sign): the new positions, and ∫ ∇·v over the step."""
    moved, gained = np.zeros_like(x), np.zeros(len(x))
    slope = np.zeros_like(x)
    for weight, reach in ((1 / 6, 0.0), (1 / 3, 0.5), (1 / 3, 0.5), (1 / 6, 1.0)):
        y, when = x + reach * h * slope, max(t + reach * h, 0.0)
        slope = np.broadcast_to(problem.drift(y, when), y.shape)
        moved = moved + weight * slope
        if volume:
            gained = gained + weight * divergence(problem, y, when)
    return x + h * moved, h * gained


def divergence(problem: Problem, x: Array, t: float) -> Array:
    """∇·v at x of shape (n, d), shape (n,): exact for linear velocities and for expressions in one dimension, else sixth-order differences."""
    drift, d = problem.drift, problem.dimension
    if d == 1:
        return drift.gradient(x, t)[:, 0]
    if drift.linear is not None:
        slope = np.asarray(drift.linear.slope(t), float)
        return np.full(len(x), np.trace(slope) if slope.ndim == 2 else d * float(slope))

    def along(i: int) -> Array:
        def component(y: Array) -> Array:
            moved = x.copy()
            moved[:, i] = y
            return np.broadcast_to(drift(moved, t), x.shape)[:, i]

        return central_derivative(component, x[:, i], DERIVATIVE_STEP)

    return sum((along(i) for i in range(d)), np.zeros(len(x)))
