r"""Time reversal of a grid solution: the jump process on the cells, run backwards.

The exponentially fitted flux makes a Markov jump process on the cells, with rates a_i from i to i + 1 and b_i from i + 1 to i, and masses m(t). Run
backwards from m(T) it is again a jump process, with rates at the reverse time τ = T − t

    i → i + 1:  b_i(t) m_{i+1}(t) / m_i(t),        i + 1 → i:  a_i(t) m_i(t) / m_{i+1}(t),

and masses m(T − τ): the flux through each face changes its sign. This is the discrete form of the reverse drift −f + ∂(g²) + g² ∂ log p; it
returns to m(0) whatever the cells, up to the time steps. It cannot see what the cells got wrong on the way forward: hold it against
another route.

References
----------
Anderson (1982); Norris (1997), Markov Chains, theorem 3.7.1, for chains that do not change in time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.errors import GridError, ProblemError, SchemeError
from fpk.fokker_planck.discretisation import Scheme
from fpk.fokker_planck.fluxes import Rates, ScharfetterGummel
from fpk.fokker_planck.solutions import GridMarginals
from fpk.fokker_planck.stepping import ESDIRK4
from fpk.laws import Array
from fpk.marginals import ROUND_OFF
from fpk.problem import checked_steps

#: Smallest mass in a ratio.
FLOOR = 1e-300
#: Masses below this fraction of the largest are round-off.
RESOLVED = 1e-13
#: Forward solutions that are meant to be reversed: the jump process, in fourth-order steps.
JUMPS = Scheme(ScharfetterGummel(), ESDIRK4)


@dataclass(frozen=True, eq=False)
class Reversed:
    """What an estimate calls a reversed solution."""

    forward: Any
    steps: int

    def __str__(self) -> str:
        return f"reversal of {self.forward}, {self.steps} {ESDIRK4.name} steps"


def reversed_on_grid(
    forward: GridMarginals,
    *,
    times: Sequence[float] | None = None,
    steps: int | None = None,
    start: Array | None = None,
) -> GridMarginals:
    """The forward solution run backwards by the reversed jump rates, as a solution in the reverse time τ = T − t.

    Parameters
    ----------
    forward : GridMarginals
        Solved with the Scharfetter–Gummel flux (scheme :data:`JUMPS`), every step stored from 0 to T.
    times : sequence of float, optional
        Reverse times τ in [0, T]; default T alone.
    steps : int, optional
        Steps of the L-stable ESDIRK4; default one for each stored interval.
    start : array, shape (cells,), optional
        Density to start from at τ = 0; default the forward one at T.

    Returns
    -------
    GridMarginals
        Marginals in τ: at τ = T those of the start.

    Raises
    ------
    SchemeError
        For what is no grid solution, another flux, absorbing walls, or steps that are no whole number.
    GridError
        If fewer than two times from 0 on are stored.
    ProblemError
        For times outside [0, T], or a start that is not one finite density for each cell.

    Accuracy
    --------
    From the forward masses themselves, exact in space; in time the fourth order of the steps, of which the first few after τ = T − t near 0 see
    a law that narrows as fast as it once widened. Between stored times ln m is interpolated to fourth order.
    """
    _check(forward)
    plan, T = forward.plan, forward.times[-1]
    times = (T,) if times is None else _checked_times(times, T)
    steps = checked_steps(len(forward.times) - 1 if steps is None else steps, what="a reversal")
    q = _checked_start(forward, start) * forward.grid.center_stretch
    stepper = ESDIRK4.stepper(reversed_rates(forward))
    densities = np.stack([p for _, p in stepper.run(q, times, steps)]) / forward.grid.center_stretch
    floor = forward.floor + ROUND_OFF * steps
    return GridMarginals(forward.grid, times, densities, plan.scheme.order, floor, str(Reversed(plan, steps)))


def _checked_times(times: Sequence[float], T: float) -> tuple[float, ...]:
    if np.ndim(times) != 1 or not len(times) or not all(0 <= t <= T * (1 + 1e-12) for t in times):
        raise ProblemError(
            f"reverse times must be a list of times in [0, {T:g}] (what is stored forward), got {times!r}. Leave them out for {T:g} alone."
        )
    return tuple(sorted({float(t) for t in times}))


def _checked_start(forward: GridMarginals, start: Array | None) -> Array:
    if start is None:
        return forward.densities[-1]
    p = np.asarray(start, float)
    if p.shape != (forward.grid.cells,) or not np.all(np.isfinite(p)):
        raise ProblemError(
            f"start= must be one finite density for each of the {forward.grid.cells} cells, "
            f"got shape {p.shape} with {np.isfinite(p).sum()} finite numbers. Read it at the cell centres, solution.grid.centers."
        )
    return p


def _check(forward: GridMarginals) -> None:
    if not isinstance(forward, GridMarginals):
        raise SchemeError(
            f"a reversal on the grid needs what fpk.solve returns, got {type(forward).__name__}. For others use fpk.reverse_time."
        )
    if isinstance(forward.plan, str) or not isinstance(forward.plan.scheme.flux, ScharfetterGummel):
        raise SchemeError(
            f"only a jump process can be reversed rate by rate, this solution is {forward.source}. "
            "Solve with scheme=fpk.fokker_planck.reversal.JUMPS."
        )
    if forward.plan.problem.boundary.kind == "absorbing":
        raise SchemeError(
            "what absorbing walls removed has no reversal on the grid. Use walls that reflect, or a wider box."
        )
    count, first = len(forward.times), min(forward.times)
    if count < 2 or first != 0.0:
        raise GridError(
            f"a reversal needs the solution at every step from 0 on, stored are {count} times from {first:g}. "
            "Solve with times=numpy.linspace(0, T, steps + 1)."
        )


def reversed_rates(forward: GridMarginals) -> Callable[[float], Rates]:
    """τ ↦ rate matrix of the reversed jump process."""
    masses, slopes = interpolants(forward)
    stored, rates_at = np.array(forward.times), forward.plan.rates_at
    T = float(stored[-1])

    def at(tau: float) -> Rates:
        t = min(max(T - tau, 0.0), T)
        k = min(int(np.searchsorted(stored, t, side="right")) - 1, len(stored) - 2)
        length = stored[k + 1] - stored[k]
        s = (t - stored[k]) / length
        logs = (1 - s) * masses[k] + s * masses[k + 1]
        bend = (1 - s) * slopes[k, 0] - s * slopes[k, 1]
        return _turned(rates_at(t), logs + s * (1 - s) * length * bend)

    return at


def interpolants(forward: GridMarginals) -> tuple[Array, Array]:
    """Ln m at the stored times, shape (times, cells), and for each interval what the slopes ṁ/m at its ends add to the chord, (intervals, 2, cells).

    The slopes are those of the forward equation, ṁ = A(t) m: cubic Hermite interpolation, fourth order. Where a mass is round-off its slope is
    noise, and ln m is interpolated linearly.
    """
    m = forward.densities * forward.grid.center_stretch
    logs = np.log(np.maximum(m, FLOOR))
    rate = np.stack([
        forward.plan.rates_at(t).applied(q) for t, q in zip(forward.times, m, strict=True)
    ])  # fmt: skip
    sound = m > RESOLVED * m.max(axis=1, keepdims=True)
    slope = np.where(sound, rate / np.where(sound, m, 1.0), 0.0)
    chord = np.diff(logs, axis=0) / np.diff(np.array(forward.times))[:, None]
    ends = np.stack([slope[:-1] - chord, slope[1:] - chord], axis=1)
    return logs, np.where((sound[:-1] & sound[1:])[:, None], ends, 0.0)


def _turned(rates: Rates, logs: Array) -> Rates:
    """The rates of the reversed process at masses exp(logs)."""
    down = np.roll(rates.rows[0], -1)  # a_i, from i to i + 1
    back = rates.rows[2]  # b_i, from i + 1 to i
    rise = np.clip(np.roll(logs, -1) - logs, -600.0, 600.0)
    forth, home = back * np.exp(rise), down * np.exp(-rise)
    return Rates(np.stack([np.roll(forth, 1), -forth - np.roll(home, 1), home]), rates.periodic)
