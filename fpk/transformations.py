r"""Problems made from a problem and a score: probability flow, free noise, reverse time.

With M = g gᵀ and the score s = ∇ log p_t, the probability flux of dX = f dt + g dW is J = p v with the velocity

    v = f − ½ ∇·M − ½ M s.                                                                       (1)

Everything else follows by adding, to ±v, a noise Σ = h hᵀ together with the drift that leaves p_t unchanged:

    same marginals, free noise      dX = (v + ½ ∇·Σ + ½ Σ s) dt + h dW             (h = 0: probability flow, h = g: the SDE itself)
    reverse time τ = T − t          dY = (−v + ½ ∇·Σ + ½ Σ s) dτ + h dW̄           (h = g: drift −f + ∇·M + M s)
    any clock r = k(t)              dX = (k̇ v + |k̇| (½ ∇·Σ + ½ Σ s)) dt + √|k̇| h dW   (coefficients at r; k̇ = −1: reverse time)

The score is a callable ``s(x, t)`` over (n, d) positions in the *forward* time of the problem it belongs to.

References
----------
Anderson (1982); Song et al. (2021), equations 6 and 13; Chen (2024), equations 23 to 26 and 39 to 41; Wei (2024), equations 1, 15 and 16.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from fpk.coefficients import DERIVATIVE_STEP, Coefficient
from fpk.errors import ProblemError
from fpk.laws import Array, central_derivative
from fpk.problem import Problem
from fpk.tracing import clocked, known, required_traceable, traceable

Score = Callable[[Array, float], Array]
Clock = Callable[[float], float]


def velocity(problem: Problem, score: Score) -> Callable[[Array, float], Array]:
    """The probability-flow velocity v = f − ½∇·M − ½M s of equation (1), as a function of (x, t).

    Accuracy
    --------
    ∇·M is exact for expressions in d = 1 and for noise that does not depend on x, else by sixth-order differences (error about 1e-11).
    """
    return traceable(lambda x, t: _velocity(problem, _valued(score, x, t), x, t))


def _valued(score: Score, x: Array, t: float) -> Array:
    """The score at (x, t); traced only if it was written for it."""
    required_traceable(score, t, "score")
    return score(x, t)


def _velocity(problem: Problem, s: Array, x: Array, t: float) -> Array:
    """Equation (1), s the score at x."""
    return problem.drift(x, t) - _noise_drift(problem.diffusion, s, x, t)


def probability_flow(problem: Problem, score: Score) -> Problem:
    """The ordinary differential equation dX = v dt with the same marginals as ``problem``.

    Parameters
    ----------
    problem : Problem
    score : callable
        s(x, t) = ∇ log p_t(x), shape (n, d).

    Returns
    -------
    Problem
        With the drift v and no noise.

    Examples
    --------
    >>> import fpk
    >>> spring = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(1.0, 0.5))
    >>> flow = fpk.probability_flow(spring, fpk.exact(spring, times=[1.0]).score)
    >>> flow.drift(np.array([[2.0]]), 0.0)  # −x + ½ (x − 1)/0.25
    array([[0.]])
    """
    return _derived(problem, velocity(problem, score), 0.0, name=f"probability flow of {problem.name or 'the problem'}")


def with_noise(problem: Problem, score: Score, *, noise: Any) -> Problem:
    """The SDE with the same marginals as ``problem`` and diffusion ``noise``: dX = (v + ½∇·Σ + ½Σ s) dt + h dW.

    Parameters
    ----------
    problem : Problem
    score : callable
        s(x, t) = ∇ log p_t(x), shape (n, d).
    noise : number, callable or expression
        The free diffusion h ≥ 0, in the time of ``problem``. h = 0 is the probability flow, h = g gives ``problem`` back.

    Returns
    -------
    Problem

    Examples
    --------
    >>> import fpk
    >>> spring = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(1.0, 0.5))
    >>> same = fpk.with_noise(spring, fpk.exact(spring, times=[1.0]).score, noise=1.0)
    >>> same.drift(np.array([[2.0]]), 0.5)
    array([[-2.]])
    """
    h = Coefficient(noise, problem.dimension, "diffusion")

    @traceable
    def drift(x: Array, t: float) -> Array:
        s = _valued(score, x, t)
        return _velocity(problem, s, x, t) + _noise_drift(h, s, x, t)

    return _derived(problem, drift, h, name=f"{problem.name or 'the problem'} with free noise")


def reverse_time(problem: Problem, score: Score, *, initial: Any, noise: Any = None) -> Problem:
    """The problem run backwards: from p_T at τ = 0 to p_0 at τ = T, with marginals p_{T−τ}.

    Parameters
    ----------
    problem : Problem
    score : callable
        s(x, t) = ∇ log p_t(x) in the forward time of ``problem``, shape (n, d).
    initial : Law
        The law p_T the reverse process starts from.
    noise : number, callable or expression, optional
        Diffusion h of the reverse process, in *forward* time; default g (then the path laws agree too), 0 is the reversed
        probability flow.

    Returns
    -------
    Problem
        In its own time τ = T − t, which runs forward.

    Examples
    --------
    >>> import fpk
    >>> spring = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(1.0, 0.5))
    >>> law = fpk.exact(spring, times=[1.0])
    >>> back = fpk.reverse_time(spring, law.score, initial=law.law(1.0))
    >>> back.drift(np.array([[2.0]]), 1.0)  # x + g² s = x − (x − 1)/0.25 at τ = T, t = 0
    array([[-2.]])
    """
    T = problem.horizon
    h = problem.diffusion if noise is None else Coefficient(noise, problem.dimension, "diffusion")

    @traceable
    def drift(x: Array, tau: float) -> Array:
        t = clocked(lambda tau: _forward(T, tau), tau)
        s = _valued(score, x, t)
        return -_velocity(problem, s, x, t) + _noise_drift(h, s, x, t)

    return _derived(
        problem, drift, _reversed_noise(h, T), initial=initial, name=f"{problem.name or 'the problem'} reversed"
    )


def retimed(
    problem: Problem,
    score: Score,
    *,
    clock: Clock,
    pace: Clock | None = None,
    initial: Any,
    noise: Any = None,
    horizon: float = 1.0,
) -> Problem:
    """The problem read with another clock r = k(t): its law at t is p_{k(t)}, forwards where k rises, backwards where it falls.

    Parameters
    ----------
    problem : Problem
    score : callable
        s(x, r) = ∇ log p_r(x) in the time of ``problem``, shape (n, d). A rising clock with the noise g needs no true one: it cancels.
    clock : callable
        k(t) for 0 ≤ t ≤ ``horizon``, with values between 0 and the horizon of ``problem``.
    pace : callable, optional
        k̇(t); default sixth-order differences of the clock, which is then asked for up to .003 beyond both ends.
    initial : Law
        p_{k(0)}, where the new process starts.
    noise : number, callable or expression, optional
        Diffusion h in the time of ``problem``; default g, 0 is the flow dX = k̇ v dt.
    horizon : float, default 1
        Of the new problem.

    Returns
    -------
    Problem
        In the time t, with the noise √|k̇| h.

    Raises
    ------
    ProblemError
        If the clock leaves the time of ``problem``, or the pace is no function.

    References
    ----------
    LeTolguenec and Biquard, equations 14 to 16.

    Examples
    --------
    >>> import fpk
    >>> spring = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(1.0, 0.5))
    >>> law = fpk.exact(spring, times=[1.0])
    >>> back = retimed(spring, law.score, clock=lambda t: (1 - t) ** 2, initial=law.law(1.0))
    >>> round(float(back.diffusion(np.zeros((1, 1)), 0.5)), 9)  # √|k̇| = 1
    1.0
    """
    h = problem.diffusion if noise is None else Coefficient(noise, problem.dimension, "diffusion")
    _require_within(clock, horizon, problem.horizon)
    rate = _slope_of(clock) if pace is None else _function_of_time(pace)

    def read(t: float) -> float:
        return min(max(clock(t), 0.0), problem.horizon)

    @traceable
    def drift(x: Array, t: Any) -> Array:
        r = clocked(read, t)
        s = _valued(score, x, r)
        return known(rate, t) * _velocity(problem, s, x, r) + known(lambda u: abs(rate(u)), t) * _noise_drift(
            h, s, x, r
        )

    @traceable
    def diffusion(x: Array, t: Any) -> Array:
        return known(lambda u: abs(rate(u)) ** 0.5, t) * h(x, clocked(read, t))

    given: Any = diffusion if h.state_dependent else lambda t: diffusion(np.zeros((1, h.dimension)), t)
    return Problem(
        drift,
        0.0 if h.constant == 0.0 else given,
        initial=initial,
        horizon=horizon,
        boundary=problem.boundary,
        name=f"{problem.name or 'the problem'} with another clock",
    )


def _function_of_time(pace: Clock) -> Clock:
    if not callable(pace):
        raise ProblemError(f"the pace is k̇, a function of t, got {pace!r}: leave it out to have it from the clock.")
    return pace


def _slope_of(clock: Clock) -> Clock:
    """k̇ by differences."""
    return lambda t: float(central_derivative(lambda u: np.array([clock(t + u[0])]), np.zeros(1), DERIVATIVE_STEP)[0])


def _require_within(clock: Clock, until: float, horizon: float) -> None:
    """Refuse a clock that leaves [0, horizon] before ``until``."""
    if not callable(clock):
        raise ProblemError(f"a clock is a function of t, got {clock!r}: for example lambda t: (1 - t)**2.")
    for t in np.linspace(0.0, until, 33).tolist():
        if not -1e-9 <= clock(t) <= horizon * (1 + 1e-9):
            raise ProblemError(
                f"a clock stays between 0 and the problem's horizon {horizon:g}, got k({t:g}) = {clock(t):g}: "
                "scale it, or give the problem a longer horizon."
            )


def _noise_drift(diffusion: Coefficient, s: Array, x: Array, t: float) -> Array | float:
    """½∇·Σ + ½Σ s, the drift that balances the spreading by noise Σ = h hᵀ; s is the score at x."""
    if diffusion.constant == 0.0:
        return 0.0
    h = diffusion(x, t)
    if h.ndim == 3:
        spread = h @ (np.swapaxes(h, 1, 2) @ s[:, :, None])
        return 0.5 * spread[:, :, 0] + _half_divergence(diffusion, x, t)
    if diffusion.dimension == 1:
        divergence = h * diffusion.gradient(x, t) if diffusion.state_dependent else 0.0
        return divergence + 0.5 * h**2 * s
    return 0.5 * h**2 * s + _half_divergence(diffusion, x, t)


def _half_divergence(diffusion: Coefficient, x: Array, t: float) -> Array | float:
    """½∇·Σ at x, with the components ½ Σ_j ∂_j Σ_ij: differences of the columns of Σ along their own coordinates."""
    if not diffusion.state_dependent:
        return 0.0

    def along(j: int) -> Array:
        axis = np.eye(diffusion.dimension)[j]
        return central_derivative(
            lambda shift: _column(diffusion, x + shift * axis, t, j), np.zeros(1), DERIVATIVE_STEP
        )

    return reduce(add, (0.5 * along(j) for j in range(diffusion.dimension)))


def _column(diffusion: Coefficient, x: Array, t: float, j: int) -> Array:
    """Column j of Σ at x, shape (n, d)."""
    h = diffusion(x, t)
    if h.ndim == 3:
        return (h @ np.swapaxes(h, 1, 2)[:, :, j : j + 1])[:, :, 0]
    return np.broadcast_to(h, x.shape)[:, j : j + 1] ** 2 * np.eye(diffusion.dimension)[j]


def _reversed_noise(h: Coefficient, T: float) -> Any:
    if h.constant is not None:
        return h.constant
    if h.state_dependent:
        return traceable(lambda x, tau: h(x, clocked(lambda tau: _forward(T, tau), tau)))
    anywhere = np.zeros((1, h.dimension))
    return lambda tau: h(anywhere, _forward(T, tau))


def _forward(T: float, tau: float) -> float:
    return min(max(T - tau, 0.0), T)


def _derived(problem: Problem, drift: Any, diffusion: Any, *, name: str, initial: Any = None) -> Problem:
    return Problem(
        drift,
        diffusion,
        initial=problem.initial if initial is None else initial,
        horizon=problem.horizon,
        boundary=problem.boundary,
        name=name,
    )
