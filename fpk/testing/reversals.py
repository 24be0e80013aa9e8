r"""Known mistakes in reversing a problem in time (d = 1): of

    dY = (−f + ∂(g²) + g² s) dτ + g dW̄,        f, g and the score s read at t = T − τ,

a term with another factor, another term in its place, or another time. Each is a ``reverse(problem, score, initial=law)``, as a user would write it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fpk.laws import Array
from fpk.problem import Problem

Reverse = Callable[..., Problem]


class Terms(NamedTuple):
    """What a reverse drift is made of, at positions and a time: f, g, ∂(g²)/∂x and the score."""

    f: Array
    g: Array
    bend: Array
    s: Array


def right(terms: Terms) -> Array:
    """−f + ∂(g²) + g² s."""
    return -terms.f + terms.bend + terms.g**2 * terms.s


DRIFTS: dict[str, Callable[[Terms], Array]] = {
    "½ too many on g² score (that is the probability flow)": lambda a: -a.f + a.bend + a.g**2 * a.s / 2,
    "sign of the score": lambda a: -a.f + a.bend - a.g**2 * a.s,
    "g for g² before the score": lambda a: -a.f + a.bend + a.g * a.s,
    "score × 2": lambda a: -a.f + a.bend + 2 * a.g**2 * a.s,
    "score missing": lambda a: -a.f + a.bend,
    "g² missing before the score": lambda a: -a.f + a.bend + a.s,
    "sign of the drift f": lambda a: a.f + a.bend + a.g**2 * a.s,
    "drift f missing": lambda a: a.bend + a.g**2 * a.s,
    "drift f × ½": lambda a: -a.f / 2 + a.bend + a.g**2 * a.s,
    "drift f × 2": lambda a: -2 * a.f + a.bend + a.g**2 * a.s,
    "∂(g²)/∂x missing": lambda a: -a.f + a.g**2 * a.s,
    "½ too many on ∂(g²)/∂x": lambda a: -a.f + a.bend / 2 + a.g**2 * a.s,
    "sign of everything (the drift is that in forward time)": lambda a: -right(a),
}
NOISES: dict[str, Callable[[Array], Array]] = {
    "g² × ½ (noise / √2)": lambda g: g / np.sqrt(2),
    "g² × 2 (noise × √2)": lambda g: g * np.sqrt(2),
    "g² for g before dW": np.square,
    "√g for g before dW": np.sqrt,
}
#: What is read at τ instead of T − τ.
TIMES = {
    "time not reversed in f and g": "fg",
    "time not reversed in the drift f": "f",
    "time not reversed in g": "g",
    "time not reversed in the score": "s",
    "time not reversed anywhere": "fgs",
}


def reversal(
    *,
    drift: Callable[[Terms], Array] = right,
    noise: Callable[[Array], Array] = np.array,
    unturned: str = "",
) -> Reverse:
    """A reverse with another drift, noise or time.

    Parameters
    ----------
    drift : callable
        Terms ↦ the drift in τ.
    noise : callable
        g ↦ the factor of dW̄.
    unturned : str
        Which of f, g and s are read at τ.
    """

    def reverse(problem: Problem, score: Callable[[Array, float], Array], *, initial: Any) -> Problem:
        T, g = problem.horizon, problem.diffusion

        def at(tau: float, what: str) -> float:
            return tau if what in unturned else max(T - tau, 0.0)

        def noise_at(x: Array, tau: float) -> Array:
            return np.broadcast_to(g(x, at(tau, "g")), x.shape)

        def terms(x: Array, tau: float) -> Terms:
            value = noise_at(x, tau)
            bend = 2 * value * g.gradient(x, at(tau, "g"))
            return Terms(problem.drift(x, at(tau, "f")), value, bend, score(x, at(tau, "s")))

        anywhere = np.zeros((1, 1))
        diffusion: Any = lambda x, tau: noise(noise_at(x, tau))  # noqa: E731
        if not g.state_dependent:
            diffusion = lambda tau: float(noise(noise_at(anywhere, tau))[0, 0])  # noqa: E731
        return Problem(lambda x, tau: drift(terms(x, tau)), diffusion, initial=initial, horizon=T)

    return reverse


def known(problem: Problem) -> dict[str, Reverse]:
    """The mistakes that change anything for this problem."""
    drifts = {
        name: reversal(drift=drift)
        for name, drift in DRIFTS.items()
        if problem.diffusion.state_dependent or "∂(g²)" not in name
    }
    moving = "" if problem.drift.steady else "f"
    moving += "s" if problem.diffusion.steady else "gs"
    times = {name: reversal(unturned=which) for name, which in TIMES.items() if set(which) <= set(moving)}
    return drifts | {name: reversal(noise=noise) for name, noise in NOISES.items()} | times


def score_times(factor: float) -> Reverse:
    """The score multiplied by a factor."""
    return reversal(drift=lambda a: -a.f + a.bend + factor * a.g**2 * a.s)


def noise_times(factor: float) -> Reverse:
    """The noise of the way back multiplied by a factor."""
    return reversal(noise=lambda g: factor * g)


def drift_times(factor: float) -> Reverse:
    """The forward drift multiplied by a factor, on the way back."""
    return reversal(drift=lambda a: -factor * a.f + a.bend + a.g**2 * a.s)


SIZES = {"score": score_times, "noise": noise_times, "drift f": drift_times}
