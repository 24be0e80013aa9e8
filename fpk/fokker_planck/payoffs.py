r"""Payoffs φ of a backward equation u(x, s) = E[φ(X_t) | X_s = x]: read at the points of a grid, and the times they may be asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fpk.errors import ProblemError
from fpk.laws import Array
from fpk.problem import Problem

#: φ over positions of shape (n, d).
Payoff = Callable[[Array], Array]


def read_payoff(payoff: Payoff, points: Array) -> Array:
    """The payoff at points of shape (n, d), shape (n,).

    Raises
    ------
    ProblemError
        If it is not one finite number for each of them.
    """
    if not callable(payoff):
        raise ProblemError(f"payoff must be a function of positions, got {payoff!r}: pass lambda x: x**2, say.")
    with np.errstate(all="ignore"):  # what is not finite is refused here, with its place
        values = np.asarray(payoff(points))
    wanted = f"the payoff must give one finite number for each of the {len(points)} positions of shape {points.shape}"
    if values.size != len(points) or values.dtype.kind not in "biuf":
        raise ProblemError(
            f"{wanted}, got {values.dtype} of shape {values.shape}. Return an array of shape ({len(points)},); complex payoffs in two parts."
        )
    u = values.reshape(len(points)).astype(float)
    if not np.all(np.isfinite(u)):
        at = int(np.argmin(np.isfinite(u)))
        place = ", ".join(f"{c:.4g}" for c in points[at])
        raise ProblemError(f"{wanted}, it is {u[at]} at x={place}. Mend it there, or take another grid.")
    return u


def checked_interval(problem: Problem, times: Sequence[float], until: float | None) -> tuple[tuple[float, ...], float]:
    """The times asked for, increasing, and when the payoff is read.

    Raises
    ------
    ProblemError
        If a time is outside [0, until], or ``until`` outside [0, horizon].
    """
    wanted = problem.checked_times(times)
    (until,) = problem.checked_times([problem.horizon if until is None else float(until)])
    if wanted[-1] > until * (1 + 1e-12):
        raise ProblemError(
            f"u(·, s) = E[payoff(X_t) | X_s] was asked for at s={wanted[-1]:g}, after t = until = {until:g}. Ask for times up to {until:g}."
        )
    return wanted, until
