"""Assertions that two laws are equal: of two routes, of samples, over time, and there and back again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fpk.closed_form import LawMarginals
from fpk.comparison import answer, settle
from fpk.difference import ALPHA
from fpk.errors import ComparisonError
from fpk.laws import Array, Law, as_law
from fpk.marginals import Estimate, Marginals
from fpk.panels import Panel
from fpk.problem import Problem
from fpk.testing.explanations import of_problem, of_reversal, of_sides
from fpk.testing.failure_text import call_text, held, spent
from fpk.testing.journeys import Journey, returned, started_at
from fpk.testing.sides import as_marginals, common_times, one_time, panel_for, require_one
from fpk.testing.suspects import farthest
from fpk.transformations import reverse_time
from fpk.verdict import Outcome, Verdict

#: Resolutions of a grid that are tried until it can tell.
RESOLUTIONS = (1, 2, 4)


def assert_marginals(
    actual: Marginals,
    expected: Marginals,
    *,
    tolerance: float,
    times: Sequence[float] | None = None,
    alpha: float | None = None,
) -> Verdict:
    """Two routes have the same marginals.

    Parameters
    ----------
    actual, expected : Marginals
        Exact laws, refined grids, particles, or any object with ``expect(panel)``.
    tolerance : float
        How far expectations may differ.
    times : sequence of float, optional
        Where to compare; default: all times both sides know.
    alpha : float, optional
        Probability of refuting a true equality; default 10⁻⁶, or what the running test may spend.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted, Undecided
        With a table of the functionals.
    ComparisonError
        If there is no common time, or no side can tell its law.

    Examples
    --------
    >>> import fpk
    >>> problem = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(1.0, 0.4))
    >>> grid = fpk.refine(lambda k: fpk.solve(problem, fpk.Grid(-5, 5, cells=64 * k), times=[0.5]))
    >>> print(fpk.testing.assert_marginals(grid, fpk.exact(problem, times=[0.5]), tolerance=0.01).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    sides = (actual, expected)
    panel = panel_for(sides, common_times(sides) if times is None else times)
    alpha = spent(alpha)
    check = call_text("assert_marginals", "actual", "expected", tolerance=tolerance, times=times, alpha=alpha)
    return _told(_compared(sides, panel, alpha, tolerance), check, lambda found: of_sides(*sides, panel, found))


def assert_same_law(
    actual: Any,
    expected: Any,
    *,
    tolerance: float | None = None,
    effect: float | None = None,
    time: float | None = None,
    alpha: float | None = None,
) -> Verdict:
    """Two laws are the same, given as marginals, laws or independent samples.

    Parameters
    ----------
    actual, expected : Marginals, Law, frozen scipy.stats law, or array of samples of shape (n, d)
        At least 1,000 samples. In d > 1 the coordinates and the sums of pairs of them are compared (of neighbours only for d > 8).
    tolerance : float, optional
        How far expectations may differ.
    effect : float, optional
        Instead: the smallest effect that must not be overlooked; then any significant difference refutes, also one of shape.
    time : float, optional
        Which marginal is meant, where a side knows several.
    alpha : float, optional
        Probability of refuting a true equality; default 10⁻⁶, or what the running test may spend.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted, Undecided
        With a table of the functionals.
    ComparisonError
        If a side is none of these, dimensions differ, or not exactly one of ``tolerance`` and ``effect`` is given.

    Examples
    --------
    >>> import numpy as np
    >>> import fpk
    >>> samples = np.random.default_rng(0).normal(2.0, 0.5, size=(100_000, 1))
    >>> print(fpk.testing.assert_same_law(samples, fpk.Gaussian(2.0, 0.5), tolerance=0.05).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    require_one(tolerance, effect)
    when = one_time((actual, expected), time)
    sides = (as_marginals(actual, when, "actual"), as_marginals(expected, when, "expected"))
    alpha = spent(alpha)
    options = {"tolerance": tolerance, "effect": effect, "time": time, "alpha": alpha}
    check = call_text("assert_same_law", "actual", "expected", **options)
    panel = panel_for(sides, [when])
    return _told(_compared(sides, panel, alpha, tolerance, effect), check, lambda found: of_sides(*sides, panel, found))


def assert_stationary(
    problem: Problem,
    law: Law,
    *,
    tolerance: float | None = None,
    cells: int = 48,
    particles: int | None = None,
    steps: int = 100,
    seed: int = 0,
    alpha: float | None = None,
) -> Verdict:
    """A problem started from the law has the same law at its horizon.

    Parameters
    ----------
    problem : Problem
        Its own initial law is not used.
    law : Law
        The law that should not change.
    tolerance : float, optional
        How far expectations may move; default .01 on a grid and .05 for particles.
    cells : int, default 48
        d = 1: cells of the coarsest of three grids, doubled up to twice if they cannot tell.
    particles : int, optional
        Simulate this many instead of solving; default in d > 1: 100,000.
    steps, seed : int
        Of the simulation.
    alpha : float, optional
        Probability of refuting a stationary law; default 10⁻⁶, or what the running test may spend.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted, Undecided
        With a table of the functionals.

    Examples
    --------
    >>> import fpk
    >>> well = fpk.problems.double_well(diffusion=0.8, initial=fpk.Gaussian(0.0, 1.0), horizon=0.5)
    >>> print(fpk.testing.assert_stationary(well, fpk.problems.double_well_law(0.8)).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    T = _problem(problem).horizon
    if particles is None and problem.dimension > 1:
        particles = 100_000
    delta = tolerance if tolerance is not None else 0.01 if particles is None else 0.05
    target = LawMarginals({T: as_law(law)}, (T,), source="the law it started from")
    shown = {"cells": cells} if particles is None else {"particles": particles, "steps": steps, "seed": seed}
    alpha = spent(alpha)
    check = call_text("assert_stationary", "problem", "law", tolerance=delta, **shown, alpha=alpha)
    start = replace(problem, initial=law)
    journey = started_at(start, cells=cells, particles=particles, steps=steps, seed=seed)
    found = _arrived(journey, target, alpha, delta)
    return _told(found, check, lambda estimates: of_problem(start, found.panel, estimates, planted=False))


def assert_reverse_equivalent(
    problem: Problem,
    *,
    score: Callable[[Array, float], Array] | None = None,
    reverse: Callable[..., Problem] = reverse_time,
    tolerance: float = 0.01,
    cells: int = 48,
) -> Verdict:
    """Running a one-dimensional problem forward, and then its reverse, returns the initial law.

    Parameters
    ----------
    problem : Problem
        d = 1. It is solved on a box wide enough for its law, forward with every step kept, and then back.
    score : callable, optional
        s(x, t) to reverse with, shape (n, 1); default: the score of the forward solution.
    reverse : callable, default :func:`fpk.reverse_time`
        Your own ``reverse(problem, score, initial=law)``: the problem in the time τ = T − t.
    tolerance : float, default .01
    cells : int, default 48
        Cells of the coarsest of three grids over the initial law, doubled up to twice if they cannot tell.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted, Undecided
        With a table of the functionals.

    Examples
    --------
    >>> import fpk
    >>> problem = fpk.Problem("sin(2*x) - x", "1", initial=fpk.Gaussian(0.5, 0.4), horizon=0.5)
    >>> print(fpk.testing.assert_reverse_equivalent(problem).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    T = _problem(problem).horizon
    target = LawMarginals({T: problem.initial}, (T,), source="the initial law")
    check = call_text("assert_reverse_equivalent", "problem", tolerance=tolerance, cells=cells)
    found = _arrived(returned(problem, score, reverse, cells=cells), target, ALPHA, tolerance)
    return _told(found, check, lambda estimates: of_reversal(problem, found.panel, estimates))


def _problem(given: Problem) -> Problem:
    if not isinstance(given, Problem):
        raise ComparisonError(
            f"a problem is needed, for example fpk.Problem('-x', 1.0, initial=...); got {repr(given)[:80]}."
        )
    return given


class Compared(NamedTuple):
    """Two sides held against each other on a panel."""

    verdict: Verdict
    sides: tuple[Any, Any]
    panel: Panel
    estimates: tuple[Estimate, Estimate]


def _compared(
    sides: tuple[Any, Any], panel: Panel, alpha: float, tolerance: float | None, effect: float | None = None
) -> Compared:
    """The verdict on two marginals, with what it was reached from."""
    first, second = (answer(side, panel) for side in sides)
    verdict = settle(first, second, names=panel.names, tolerance=tolerance, effect=effect, alpha=alpha)
    return Compared(verdict, sides, panel, (first, second))


def _arrived(journey: Journey, target: LawMarginals, alpha: float, tolerance: float) -> Compared:
    """The end of a journey held against its target, at the first resolution that can tell."""
    panel = panel_for((target, target), target.times)

    def at(resolution: int) -> Compared:
        return _compared((journey(resolution), target), panel, alpha, tolerance)

    found = at(RESOLUTIONS[0])
    for resolution in RESOLUTIONS[1:]:
        if found.verdict.outcome is not Outcome.UNDECIDED or np.any(found.verdict.standard_error > 0):
            break
        found = at(resolution)
    return found


def _told(found: Compared, check: str, suspects: Callable[[tuple[Estimate, Estimate]], list[str]]) -> Verdict:
    """The end of the assertion; where the sides are furthest apart and what may be behind it are looked for if it is refuted."""
    __tracebackhide__ = True
    first, second = found.estimates
    return held(
        found.verdict, first.value, second.value, check,
        place=lambda: farthest(*found.sides, found.panel, found.estimates), suspects=lambda: suspects(found.estimates),
    )  # fmt: skip
