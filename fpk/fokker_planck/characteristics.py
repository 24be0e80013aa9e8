r"""The continuity equation ∂_t p + ∂_x(v p) = 0 along characteristics: for zero noise, where a diffusion scheme degenerates.

    ẋ = v(x, t),   d/dt log p(x_t, t) = −∂_x v(x_t, t).

Expectations follow points of the initial law *forward*: E φ(X_t) = Σ_i p_0(x_i) h φ(X_t(x_i)), however sharp p_t becomes, with mass exactly
conserved. Densities are traced *back*: log p_t(x) = log p_0(x_0) − ∫ ∂_x v. In one dimension the map x_0 ↦ X_t is increasing, so that
F_t(X_t(x_0)) = F_0(x_0) gives the distribution function. Classical fourth-order Runge–Kutta steps both ways.
"""

from __future__ import annotations

import numpy as np

from fpk.errors import NonFinite
from fpk.laws import Array
from fpk.problem import Problem


def pushed(problem: Problem, x: Array, times: tuple[float, ...], steps: int) -> Array:
    """Positions at ``times`` of points that start at x of shape (n,); returns (len(times), n).

    Raises
    ------
    NonFinite
        If a point leaves every bound.
    """
    end, t, y = times[-1] or 1.0, 0.0, x[:, None]
    kept = []
    for target in times:
        count = max(1, round(steps * (target - t) / end)) if target > t else 0
        h = (target - t) / max(count, 1)
        for i in range(count):
            y, _ = _step(problem, y, t + i * h, h, divergence=False)
        t = target
        if not np.all(np.isfinite(y)):
            raise NonFinite(
                f"points of {problem.name or 'the flow'} leave every bound by t={t:g}: a shorter horizon, or more steps."
            )
        kept.append(y[:, 0])
    return np.stack(kept)


def log_densities(problem: Problem, x: Array, times: tuple[float, ...], steps: int) -> list[Array]:
    """Log p_t at the points x of shape (n,), one array for each time.

    Parameters
    ----------
    problem : Problem
        With zero diffusion.
    x : array, shape (n,)
    times : tuple of float, increasing
    steps : int
        Runge–Kutta steps from 0 to the last time; earlier times use the same step.

    Accuracy
    --------
    Fourth order in time; ∂v/∂x exact for expressions, else sixth-order differences.
    """
    end = times[-1] or 1.0
    return [_traced(problem, x[:, None], t, max(1, round(steps * t / end))) for t in times]


def _traced(problem: Problem, x: Array, t: float, steps: int) -> Array:
    log_volume = np.zeros(len(x))
    h = t / steps
    for i in range(steps if t > 0 else 0):
        x, gained = _step(problem, x, t - i * h, -h)
        log_volume -= gained
    if not np.all(np.isfinite(x)):
        raise NonFinite(
            f"characteristics of {problem.name or 'the flow'} leave every bound on the way back from t={t:g}."
        )
    return problem.initial.log_density(x) - log_volume


def moved(problem: Problem, x: Array, t: float, h: float) -> Array:
    """Positions at t + h (h of either sign) of points that are at x of shape (n, 1) at t: one Runge–Kutta step."""
    return _step(problem, x, t, h, divergence=False)[0]


def _step(problem: Problem, x: Array, t: float, h: float, *, divergence: bool = True) -> tuple[Array, Array]:
    """One Runge–Kutta step from t to t + h (h of either sign): the new positions, and ∫ ∂v/∂x over the step."""
    moved, gained = np.zeros_like(x), np.zeros(len(x))
    slope = np.zeros_like(x)
    for weight, reach in ((1 / 6, 0.0), (1 / 3, 0.5), (1 / 3, 0.5), (1 / 6, 1.0)):
        y, when = x + reach * h * slope, max(t + reach * h, 0.0)
        slope = np.broadcast_to(problem.drift(y, when), y.shape)
        moved = moved + weight * slope
        if divergence:
            gained = gained + weight * problem.drift.gradient(y, when)[:, 0]
    return x + h * moved, h * gained
