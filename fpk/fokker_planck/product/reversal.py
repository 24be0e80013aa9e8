r"""Time reversal on product grids: the jump process of a positive scheme, run backwards.

A positive scheme is a random walk on the cells with rates a_k(x) from x to x + e_k and b_k(x) from x + e_k to x. Run backwards from p_T it is again
a random walk, with rates at t = T − τ

    x → x + e_k:  b_k(x) p_t(x + e_k) / p_t(x),        x + e_k → x:  a_k(x) p_t(x) / p_t(x + e_k),

the discrete form of the reverse drift −f + ∇·(GGᵀ) + GGᵀ ∇ log p. These rates grow without bound where p_t is small, but nobody has to step through
them: with E the propagator from s to t, p_t = E p_s, Bayes' formula gives the reversed one in closed form,

    q_s = p_s · Eᵀ(q_t / p_t),

which solves the reversed equation exactly, is positive and conserves mass. From q_T = p_T it returns to p_0 whatever the cells; other starts
show how fast a wrong p_T is forgotten. It cannot see what the cells got wrong on the way forward: hold it against another route, a score
field with :func:`fpk.reverse_time`.

References
----------
Anderson (1982); Norris (1997), Markov Chains, theorem 3.7.1, for chains that do not change in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fpk.errors import GridError, ProblemError, SchemeError
from fpk.fokker_planck.product.positive import Jumps, ends
from fpk.fokker_planck.product.solutions import ProductMarginals
from fpk.fokker_planck.stepping import Steps
from fpk.grids import stored_index
from fpk.laws import Array
from fpk.marginals import ROUND_OFF

#: Largest logarithm of a ratio of densities in a rate.
STEEP = 600.0
#: Densities below are taken for empty cells.
EMPTY = 1e-280
#: Agreement of a stored density with one step from the one before.
SAME = 1e-9


def reversed_jumps(jumps: Jumps, p: Array) -> Jumps:
    """The rates of the reversed walk while the forward one has the density p > 0, of the grid's shape."""
    logs = np.log(np.maximum(p, EMPTY))
    up, down = np.zeros_like(jumps.up), np.zeros_like(jumps.down)
    for k, e in enumerate(jumps.offsets):
        here, there = ends(e, p.shape)
        rise = np.clip(logs[there] - logs[here], -STEEP, STEEP)
        up[k][here], down[k][here] = jumps.down[k][here] * np.exp(rise), jumps.up[k][here] * np.exp(-rise)
    return Jumps(jumps.offsets, up, down)


class ReversedSteps(Steps):
    """The reversed propagators between stored times, on the clock τ = T − t.

    Parameters
    ----------
    forward : Steps
        Positive and conservative.
    times : tuple of float
        Increasing, from 0 to T.
    densities : array, shape (len(times), *shape)
        Of the forward process, each one step from the one before.
    """

    def __init__(self, forward: Steps, times: tuple[float, ...], densities: Array) -> None:
        self.forward, self.times, self.densities = forward, times, densities

    def _interval(self, tau: float, step: float) -> tuple[float, Array, Array]:
        """The forward time s where the step ends, p there, and p at t where it begins."""
        t, s = self.times[-1] - tau, self.times[-1] - tau - step
        return s, self.densities[self._place(s)], self.densities[self._place(t)]

    def _place(self, t: float) -> int:
        return stored_index(self.times, t, name="the forward density")

    def advanced(self, p: Array, t: float, step: float) -> Array:
        """The state at τ + step of one that is p at τ."""
        s, earlier, later = self._interval(t, step)
        return earlier * self.forward.returned(_over(p, later), s, step)

    def returned(self, u: Array, t: float, step: float) -> Array:
        """The transpose of :meth:`advanced`."""
        s, earlier, later = self._interval(t, step)
        return _over(self.forward.advanced(u * earlier, s, step), later)

    def scheduled(self, times: tuple[float, ...], steps: int) -> list[tuple[float, list[tuple[float, float]]]]:
        """One step for each stored interval; ``steps`` is not used."""
        instants = [self.times[-1] - t for t in reversed(self.times)]
        legs = [(a, b - a) for a, b in pairwise(instants)]
        ends = [stored_index(instants, tau, name="the reversed density") for tau in times]
        return [(tau, legs[a:b]) for tau, a, b in zip(times, (0, *ends), ends, strict=False)]


def _over(p: Array, q: Array) -> Array:
    """p/q, 0 in empty cells."""
    held = q > EMPTY
    return np.where(held, p / np.where(held, q, 1.0), 0.0)


def reversed_on_product_grid(
    forward: ProductMarginals, *, times: Sequence[float] | None = None, start: Array | None = None
) -> ProductMarginals:
    """The forward solution run backwards, as a solution in the reverse time τ = T − t.

    Parameters
    ----------
    forward : ProductMarginals
        Solved with ``positive=True``, every step stored from 0 to T (of problems that are steady, any times from 0 on).
    times : sequence of float, optional
        Reverse times τ, each T less a stored time; default T alone.
    start : array of the grid's shape, optional
        Density to start from at τ = 0; default the forward one at T.

    Returns
    -------
    ProductMarginals
        Marginals in τ: at τ = T those of the start, where that was the forward density. Without a budget.

    Raises
    ------
    SchemeError
        For what was not solved by a positive scheme.
    GridError
        If steps are missing between the stored times, or a reverse time was not stored.
    ProblemError
        For a start that is not one density ≥ 0 for each cell.

    Accuracy
    --------
    From p_T back to p_0: round-off. Mass and positivity: to round-off, from every start.

    Examples
    --------
    >>> import fpk
    >>> from fpk.fokker_planck.product.positive import POSITIVE
    >>> spiral = fpk.Problem(["-x0 - x1", "x0 - x1"], 1.0, initial=fpk.Gaussian([1.0, 0.0], 0.5))
    >>> there = fpk.solve(spiral, fpk.Grid(-4, 4, cells=24) ** 2, times=[0.0, 0.5], scheme=POSITIVE)
    >>> back = reversed_on_product_grid(there)
    >>> bool(np.abs(back.density(0.5) - there.density(0.0)).max() < 1e-12)
    True
    """
    _check(forward)
    T, plan = forward.times[-1], forward.plan
    taus = (T,) if times is None else tuple(sorted({float(tau) for tau in times}))
    steps = ReversedSteps(plan.stepper, forward.times, forward.densities)
    densities = [q for _, q in steps.run(_checked_start(forward, start), taus, 1)]
    floor = forward.floor + ROUND_OFF * len(forward.times)
    source = f"reversal of {plan}"
    return ProductMarginals(forward.grid, taus, np.stack(densities), forward.order, floor, source)


def _checked_start(forward: ProductMarginals, start: Array | None) -> Array:
    if start is None:
        return forward.densities[-1]
    p = np.asarray(start, float)
    if p.shape != forward.grid.shape or not (np.all(np.isfinite(p)) and np.all(p >= 0)):
        raise ProblemError(
            f"start= must be one finite density ≥ 0 for each of the {forward.grid} cells, got shape {p.shape} with the least value "
            f"{np.min(p, initial=np.inf):.3g}. Read it at the cell centres, solution.grid.points."
        )
    return p


def _check(forward: Any) -> None:
    plan: Any = getattr(forward, "plan", None)
    if not isinstance(forward, ProductMarginals) or not getattr(getattr(plan, "scheme", None), "positive", False):
        raise SchemeError(
            f"only the jump process of a positive scheme can be reversed, got {getattr(forward, 'source', type(forward).__name__)}. "
            "Solve on a product grid with positive=True; for others use fpk.reverse_time."
        )
    times = forward.times
    if len(times) < 2 or min(times) != 0.0:
        raise GridError(
            f"a reversal needs the solution at every step from 0 on, stored are {len(times)} times from {min(times):g}. "
            "Solve with times=numpy.linspace(0, T, steps + 1)."
        )
    last = forward.densities[-1]
    stepped = plan.stepper.advanced(forward.densities[-2], times[-2], times[-1] - times[-2])
    if np.abs(stepped - last).sum() > SAME * last.sum():
        raise GridError(
            f"a reversal needs the solution at every step, but there are several between t={times[-2]:g} and {times[-1]:g}. "
            f"Solve with times=numpy.linspace(0, T, steps + 1) for steps={plan.steps}."
        )
