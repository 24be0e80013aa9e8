r"""The monotone coupling of two laws on the line: x ↦ T(x) = F_0⁻¹(F_1(x)).

In one dimension characteristics never cross, so the exact flow from p_1 to p_0 *is* T: whatever solves the probability flow takes the quantile u of
one law to the quantile u of the other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fpk.errors import NonFinite
from fpk.laws import Array, Law
from fpk.laws.base import require_one_dimensional

#: Safeguarded Newton steps at most: bisection alone would be done by then. A Newton step this short, relative, was the last: the next is its square.
ROUNDS, NEARLY = 200, 1e-9


def quantiles(law: Law, levels: Array) -> Array:
    """F⁻¹ at levels in (0, 1), shape (n,).

    Accuracy
    --------
    F is inverted to round-off; where the law is nearly empty, or 1 − u is of the size of round-off, that is less for its inverse.

    Raises
    ------
    ProblemError
        If d > 1.
    """
    require_one_dimensional(law, "a quantile")
    points = law.breakpoints()
    table = np.maximum.accumulate(law.cdf(points))
    place = np.clip(np.searchsorted(table, levels), 1, len(points) - 1)
    return solved_monotone(
        lambda x: (law.cdf(x), np.exp(law.log_density(x[:, None]))), levels, points[place - 1], points[place]
    )


def monotone_map(source: Law, target: Law) -> Callable[[Array], Array]:
    """T = F_target⁻¹ ∘ F_source, for positions of shape (n,)."""
    return lambda x: quantiles(target, source.cdf(x))


def solved_monotone(
    function: Callable[[Array], tuple[Array, Array]], values: Array, lower: Array, upper: Array
) -> Array:
    """The x between ``lower`` and ``upper`` at which an increasing function takes given values, all of shape (n,).

    Parameters
    ----------
    function : callable
        x ↦ (f(x), f'(x)).
    values, lower, upper : array, shape (n,)

    Raises
    ------
    NonFinite
        If the function is not finite.
    """
    lower, upper = (np.array(np.broadcast_to(end, values.shape), float) for end in (lower, upper))
    x = 0.5 * (lower + upper)
    for _ in range(ROUNDS):
        f, slope = function(x)
        if not np.all(np.isfinite(f)):
            raise NonFinite(f"a function to be inverted is not finite at x={x[~np.isfinite(f)][:3].tolist()}.")
        upper, lower = np.where(f >= values, x, upper), np.where(f < values, x, lower)
        newton = x - (f - values) / np.where(slope > 0, slope, np.inf)
        inside = (newton >= lower) & (newton <= upper) & (slope > 0)
        following = np.where(inside, newton, 0.5 * (lower + upper))
        scale = 1 + np.abs(x)
        done = (inside & (np.abs(newton - x) <= NEARLY * scale)) | (upper - lower <= 4e-16 * scale)
        x = following
        if np.all(done):
            break
    return x
