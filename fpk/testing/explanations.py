"""What may be behind a refuted equality of laws: which mistakes are tried, in which problem, and how what they change is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fpk.closed_form import LawMarginals
from fpk.laws import GaussianMixture
from fpk.marginals import Estimate
from fpk.panels import Panel
from fpk.problem import Problem
from fpk.testing import reversals
from fpk.testing.journeys import cheap, cheaply_returned
from fpk.testing.misreadings import MISREADINGS
from fpk.testing.misreadings import SIZES as SIZES_OF_LAWS
from fpk.testing.mistakes import MISTAKES, SIZES
from fpk.testing.suspects import Lineup

#: Cells over the initial law of a cheap way there and back.
CELLS = 48


def problem_of(side: Any) -> Problem | None:
    """The problem whose marginals these are, where they know it."""
    finest = getattr(side, "finest", side)
    plan = getattr(finest, "plan", None)
    found = getattr(finest, "problem", getattr(plan, "problem", None))
    return found if isinstance(found, Problem) else None


def of_sides(actual: Any, expected: Any, panel: Panel, estimates: tuple[Estimate, Estimate]) -> list[str]:
    """Mistakes that would make the actual side differ from the expected one: planted in the problem of the expected side if that is known, else
    undone in that of the actual side; without any problem, misreadings of the expected law.
    """
    right, given = problem_of(expected), problem_of(actual)
    if right is not None:
        return of_problem(right, panel, estimates, planted=True)
    if given is not None:
        return of_problem(given, panel, estimates, planted=False)
    return _of_law(expected, panel, estimates)


def of_problem(problem: Problem, panel: Panel, estimates: tuple[Estimate, Estimate], *, planted: bool) -> list[str]:
    """Mistakes in a right problem (planted), or those that a wrong one may have (undone)."""

    def answer(changed: Problem | None) -> Estimate | None:
        return None if changed is None else cheap(changed, panel.times).expect(panel)

    lineup = Lineup(*estimates, panel.names, cheap(problem, panel.times).expect(panel), planted)
    return lineup.lines(
        ((m.name, lambda m=m: answer((m.made if planted else m.mended)(problem))) for m in MISTAKES),
        ((s.name, lambda c, s=s: lambda: answer((s.made if planted else s.mended)(problem, c))) for s in SIZES),
    )


def of_reversal(problem: Problem, panel: Panel, estimates: tuple[Estimate, Estimate]) -> list[str]:
    """Mistakes in reversing a right problem with its right score."""
    back = cheaply_returned(problem, cells=CELLS)

    def answer(reverse: Callable[..., Problem]) -> Estimate:
        return back(reverse).unbudgeted(panel)

    lineup = Lineup(*estimates, panel.names, answer(reversals.reversal()))
    return lineup.lines(
        ((name, lambda r=reverse: answer(r)) for name, reverse in reversals.known(problem).items()),
        ((name, lambda c, s=size: lambda: answer(s(c))) for name, size in reversals.SIZES.items()),
    )


def _of_law(expected: Any, panel: Panel, estimates: tuple[Estimate, Estimate]) -> list[str]:
    stated = {t: expected.law(t) for t in panel.times} if isinstance(expected, LawMarginals) else {}
    laws = {t: law for t, law in stated.items() if isinstance(law, GaussianMixture)}
    if not laws or len(laws) < len(stated):
        return []

    def answer(misread: Callable[[GaussianMixture], GaussianMixture | None]) -> Estimate | None:
        found = {t: misread(law) for t, law in laws.items()}
        known = {t: law for t, law in found.items() if law is not None}
        return (
            LawMarginals({t: known.get(t, law) for t, law in laws.items()}, tuple(laws)).expect(panel)
            if known
            else None
        )

    lineup = Lineup(*estimates, panel.names, estimates[1])
    return lineup.lines(
        ((name, lambda m=misread: answer(m)) for name, misread in MISREADINGS.items()),
        ((name, lambda c, s=size: lambda: answer(lambda law: s(law, c))) for name, size in SIZES_OF_LAWS.items()),
    )
