r"""The continuity equation ∂_t p + ∂_x(v p) = 0 along characteristics: for zero noise, where a diffusion scheme degenerates.

    ẋ = v(x, t),   d/dt log p(x_t, t) = −∂_x v(x_t, t).

Each grid point is traced back to t = 0 by the classical fourth-order Runge–Kutta method, with the divergence integrated along the way, so
that log p_t(x) = log p_0(x_0) − ∫ ∂_x v. Mass is not conserved by construction: its defect is a free measure of the error.
"""

from __future__ import annotations

import numpy as np

from fpk.errors import NonFinite
from fpk.laws import Array
from fpk.problem import Problem


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
        x, gained = _step_back(problem, x, t - i * h, h)
        log_volume += gained
    if not np.all(np.isfinite(x)):
        raise NonFinite(f"characteristics of {problem.name or 'the flow'} leave every bound on the way back from t={t:g}.")
    return problem.initial.log_density(x) - log_volume


def _step_back(problem: Problem, x: Array, t: float, h: float) -> tuple[Array, Array]:
    """One Runge–Kutta step from t to t − h: the earlier positions, and ∫ ∂v/∂x over the step."""
    position, divergence = np.zeros_like(x), np.zeros(len(x))
    slope = np.zeros_like(x)
    for weight, reach in ((1 / 6, 0.0), (1 / 3, 0.5), (1 / 3, 0.5), (1 / 6, 1.0)):
        y, when = x - reach * h * slope, max(t - reach * h, 0.0)
        slope = np.broadcast_to(problem.drift(y, when), y.shape)
        position = position + weight * slope
        divergence = divergence + weight * problem.drift.gradient(y, when)[:, 0]
    return x - h * position, h * divergence
