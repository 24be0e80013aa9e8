r"""Moments of linear SDEs.

For dX = (a(t) X + b(t)) dt + G(t) dW the law of X_t given X_s = x is N(Φ x + m, V), with

    ∂_t Φ = a Φ,   ∂_t m = a m + b,   ∂_t V = a V + V aᵀ + G Gᵀ,   Φ = I, m = 0, V = 0 at t = s,

and the noise part has the covariance C with the Brownian increment W_t − W_s, ∂_t C = a C + G.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fpk.laws import Array
from fpk.problem import Problem


class Transition(NamedTuple):
    """X_t = Φ X_s + m + noise, the noise N(0, V) with covariance C with the increment of the Brownian motion."""

    slope: Array
    shift: Array
    covariance: Array
    with_increment: Array


def linear_terms(problem: Problem, t: float) -> tuple[Array, Array, Array]:
    """a(t) as a matrix (d, d), b(t) as a vector (d,), G(t) as a matrix (d, m)."""
    d, linear = problem.dimension, problem.drift.linear
    a = np.asarray(linear.slope(t), float)
    g = problem.diffusion(np.zeros((1, d)), t)
    spread = g[0] if g.ndim == 3 else np.diag(np.broadcast_to(np.ravel(g), (d,)))
    return (a if a.ndim == 2 else a * np.eye(d)), np.broadcast_to(np.asarray(linear.shift(t), float), (d,)), spread


def transition(problem: Problem, s: float, t: float) -> Transition:
    """The transition of a problem with linear drift and diffusion independent of x, from s to t.

    Accuracy
    --------
    An eighth-order Runge–Kutta method, relative error about 1e-12.
    """
    from scipy.integrate import solve_ivp

    d, m = linear_terms(problem, s)[2].shape
    sizes = np.cumsum([d * d, d, d * d])

    def rates(time: float, state: Array) -> Array:
        slope, shift, covariance, crossed = np.split(state, sizes)
        a, b, g = linear_terms(problem, time)
        spreading = a @ covariance.reshape(d, d)
        return np.concatenate(
            [
                (a @ slope.reshape(d, d)).ravel(),
                a @ shift + b,
                (spreading + spreading.T + g @ g.T).ravel(),
                (a @ crossed.reshape(d, m) + g).ravel(),
            ]
        )

    start = np.concatenate([np.eye(d).ravel(), np.zeros(d + d * d + d * m)])
    end = solve_ivp(rates, (s, t), start, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1] if t > s else start
    slope, shift, covariance, crossed = np.split(end, sizes)
    return Transition(slope.reshape(d, d), shift, covariance.reshape(d, d), crossed.reshape(d, m))
