"""Races: fpk and another route, each at the cheapest setting of a recorded search, timed in pairs; with the controls that every race must lose.

A race asks for two things at once: that the other route takes so many times longer, and that fpk is as accurate as it has to be. Both are
numbers that are to be negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Size
from fpk.verdict import Outcome

from ._baselines import Route
from ._tasks import AnyTask
from ._timing import SLOW, Call, Setting, batch_of, clocked, median_below, paired, searched, table

C, R = Outcome.CONFIRMED, Outcome.REFUTED
ITSELF, MISS, WRONG = "the other route itself", "itself + 5 %", "g² + 1 %"
AGAINST = {"stated": C, ITSELF: R, MISS: R, WRONG: R}
NOTES = {
    ITSELF: "the other route is timed in the place of fpk.solve",
    MISS: "fpk.solve against fpk.solve, claimed to be 5 % faster",
    WRONG: "fast, and 1 % off: it does not reach the accuracy",
}
QUIET = "One process on a quiet machine; CPU time of warm calls, grids and operators assembled anew in each."
SAME = "Measured in the same process"
#: Claims of work and precision: the other routes are made faster by these factors; 1.0 stands for changed places.
EVERYWHERE = {"stated": 0.0, "the other way round": 1.0, "the other routes + 5 %": 0.95}


def against(id: str, words: str, bound: str) -> Claim:
    """The claim of a race."""
    return Claim(id, "bound", words, bound, SAME, AGAINST, NOTES, QUIET)


def fastest_everywhere(id: str, words: str) -> Claim:
    """The claim that no other route is faster at any accuracy."""
    notes = {
        "the other way round": "another route is faster at every accuracy",
        "the other routes + 5 %": "the other routes, 5 % slower than they are, in the place of fpk.solve",
    }
    bound = r"t_{\mathrm{fpk}}(\varepsilon) < t_{\mathrm{other}}(\varepsilon)"
    return Claim(id, "bound", words, bound, SAME, {"stated": C} | dict.fromkeys(notes, R), notes, QUIET)


class Race(NamedTuple):
    """Two routes to a task, the accuracy both must reach, and how much longer the other must take.

    Parameters
    ----------
    task : callable
        Of a factor on g² that is wrong where it is not 1.
    ours, other : Route
    target : float
        L1 error that fpk must reach.
    bar : float
        The other's time over that of fpk.
    lenient : float, optional
        L1 error that the other must reach, where it is not the same.
    """

    task: Callable[[float], AnyTask]
    ours: Route
    other: Route
    target: float
    bar: float
    lenient: float | None = None


@lru_cache(maxsize=32)
def _search(route: Route, task: Callable[[float], AnyTask], target: float) -> list[Setting]:
    """The search of a route, once for all variants."""
    return searched(route, task(1.0), target)


def call_of(route: Route, task: AnyTask, setting: Setting) -> Call:
    """A route at a setting."""
    return lambda: route.solve(task, setting.cells, setting.effort)


def pairs_for(size: Size, call: Call) -> int:
    """About a second of pairs in the quick size, and at least a dozen; half of that where calls are slow."""
    seconds = clocked(call, batch_of(call))[0]
    least = 12 if seconds < SLOW else 6
    return max(least, min(200, int((1.0 if size.quick else 3.0) / max(2 * seconds, 4e-3))))


def race(given: Race, variant: str, size: Size) -> Evidence:
    """The evidence of one variant."""
    right, task = given.task(1.0), given.task(1.01) if variant == WRONG else given.task(1.0)
    theirs = _search(given.other, given.task, given.lenient or given.target)
    mine = _search(given.ours, given.task, given.target)
    other, ours = call_of(given.other, right, theirs[0]), call_of(given.ours, task, mine[0])
    slow, fast, bar = {ITSELF: (other, lambda: other(), given.bar), MISS: (ours, lambda: ours(), 1.05)}.get(
        variant, (other, ours, given.bar)
    )
    ratios = paired(slow, fast, pairs=pairs_for(size, slow) * (3 if variant == MISS else 1))
    error = task.error(given.ours.solve(task, mine[0].cells, mine[0].effort))
    best = theirs[0]
    told = f"{best.route}, {best.cells} cells, effort {best.effort}, against {mine[0].cells} cells,"
    return raced(ratios, bar, error, given.target, table(theirs + mine), told)


def raced(ratios: Array, bar: float, error: float, target: float, curves: dict[str, Array], told: str) -> Evidence:
    """The evidence of logarithms of time ratios and an L1 error."""
    times = ratio_above(ratios, bar, told)
    both = timed_and_accurate(times, error, target, f"{times.source}; L1 error {error:.3g}")
    return Evidence(both, zero_estimate(2), ("time", "error"), curves | {"ratios": np.exp(ratios)})


def ratio_above(ratios: Array, bar: float, told: str) -> fpk.Estimate:
    """The logarithm of the bar over the median ratio, from logarithms of ratios: to be negative."""
    low, middle, high = np.exp(np.quantile(ratios, (0.25, 0.5, 0.75)))
    source = f"{told} takes {middle:.4g} times as long ({low:.4g} to {high:.4g} in half of {len(ratios)} pairs)"
    return median_below(-ratios, -float(np.log(bar)), source=source)


def timed_and_accurate(times: fpk.Estimate, error: float, target: float, source: str) -> fpk.Estimate:
    """Both must be negative: the time less its bar, and the decades of error above the target."""
    assert times.covariance is not None
    value = np.array([times.value[0], np.log10(error / target)])
    return fpk.Estimate(value, np.zeros(2), np.append(times.covariance, 0.0), samples=times.samples, source=source)


def within(
    call: Call, seconds: float, error: float, target: float, *, calls: int, pairs: int, told: str
) -> fpk.Estimate:
    """Whether so many calls stay within a time, and the error within its target; no calls: whether one is 5 % faster than itself."""
    if calls == 0:
        logs, bar = paired(lambda: call(), call, pairs=pairs), -float(np.log(1.05))
    else:
        count = batch_of(call)
        logs, bar = np.log([calls * clocked(call, count)[0] for _ in range(pairs)]), float(np.log(seconds))
    middle = float(np.exp(np.median(logs)))
    spent = f"{1e3 * middle:.4g} ms" if calls else f"{middle:.4g} times itself"
    source = f"{told}: {spent}, L1 error {error:.3g}"
    return timed_and_accurate(median_below(logs, bar, source=source), error, target, source)


def first_within(seconds: Array, bar: float | None, what: str) -> Evidence:
    """First results of processes (n, 3) within a bar; None: not more than 5 % slower than the second."""
    first, second, loaded = np.median(seconds, axis=0)
    source = f"first {what} {first:.3g} s after {loaded:.3g} s of imports, second {1e3 * second:.3g} ms"
    spread = float(np.ptp(seconds[:, 0]) / 2)
    value = np.array([first - (1.05 * second if bar is None else bar)])
    return Evidence(fpk.Estimate(value, np.array([spread]), source=source), zero_estimate(1), (f"first {what}",))


def alike(cells: Sequence[int], seconds: Array, bar: float, what: str) -> Evidence:
    """Whether the largest of some times for each cell is at most so many times the smallest."""
    source = ", ".join(f"{n} cells: {1e9 * s:.3g} ns {what}" for n, s in zip(cells, seconds, strict=True))
    ratio = np.array([float(np.log(seconds.max() / seconds.min() / bar))])
    curves = {"cells": np.array(cells), "seconds_per_cell": seconds}
    return Evidence(fpk.Estimate(ratio, np.array([0.03]), source=source), zero_estimate(1), ("ratio",), curves)


def fastest(settings: list[Setting], accuracies: Sequence[float]) -> Array:
    """CPU seconds of the fastest setting at each accuracy, infinite where none reaches it."""
    return np.array([min([s.seconds for s in settings if s.error <= e], default=np.inf) for e in accuracies])


def compared(ours: list[Setting], others: list[Setting], accuracies: Sequence[float], variant: float) -> Evidence:
    """Logarithms of the time ratio at each accuracy for one of :data:`EVERYWHERE`; the whole table goes with the evidence."""
    theirs, mine = fastest(others, accuracies), fastest(ours, accuracies)
    if variant:
        mine, theirs = theirs / variant, mine if variant == 1.0 else theirs
    value = np.log(mine / theirs)
    source = ", ".join(f"{e:g}: {t / m:.3g} times" for e, m, t in zip(accuracies, mine, theirs, strict=True))
    names = tuple(f"L1 {e:g}" for e in accuracies)
    first = fpk.Estimate(value, np.full(len(value), 0.02), source=source)
    return Evidence(first, zero_estimate(len(value)), names, table(ours + others))
