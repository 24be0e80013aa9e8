"""How much of its error bar a grid's error uses, on problems drawn at random; the class of a problem is its family with its scheme."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import TypeAlias

import numpy as np

import fpk
from fpk.errors import GridError
from fpk.problems.families import FAMILIES

from .._budgets import SCHEMES, Drawn, drawn
from ._coverage import Usages

#: Families times schemes, in the order in which problems take turns.
CLASSES = tuple(f"{family.__name__}, {name}" for name in ("default", "second order") for family in FAMILIES)
assert len(CLASSES) == len(FAMILIES) * len(SCHEMES)
#: A problem ↦ how much of its error bar its error uses.
Rule: TypeAlias = Callable[[Drawn], float]


def refined(problem: Drawn) -> float:
    """Usage of the budget of three resolutions."""
    answer = fpk.refine(problem.level).expect(problem.panel)
    return float(np.max(np.abs(problem.truth - answer.value) / answer.bias_bound))


def weighted(problem: Drawn) -> float:
    """Usage of the budget that comes with one solution; not a number where half of its cells cannot hold the law."""
    answer = problem.level(2).expect(problem.panel)
    usage = float(np.max(np.abs(problem.truth - answer.value) / answer.bias_bound))
    return usage if np.all(np.isfinite(answer.bias_bound)) else np.nan


def proven(problem: Drawn) -> float:
    """Usage of the proven bar of the density in L¹."""
    distance, bar = problem.l1_error(problem.level(1))
    return distance / bar


def usages(rule: Rule, *, problems: int, pace: int, seed: int) -> Usages:
    """The first ``problems`` random problems that a rule gives a bar for; the others are refused by the solver and say nothing."""
    kinds, found = zip(*islice(_answered(rule, pace, seed), problems), strict=True)
    return Usages(CLASSES, np.array(kinds), np.array(found))


def _answered(rule: Rule, pace: int, seed: int) -> Iterator[tuple[int, float]]:
    for number in count():
        try:
            usage = rule(drawn(number, seed, pace=pace))
        except GridError:  # so few cells do not hold the initial law
            continue
        if np.isfinite(usage):
            yield number % len(CLASSES), usage
