r"""Error bars of the grid: how often they hold on random problems of known law.

A problem is drawn from one of four families with one of two schemes (:mod:`fpk.problems.families`): eight classes in turn. A bar covers a
problem when it covers all four functionals of its panel at once (the proven bar: the density in L¹), that is when its *usage*, the largest error
over bar, is at most 1; the bar times s covers when the usage is at most s.

Planned for ANY seed, with failures at a true rate q:

=================== ========= ================== =========================================
size                problems  covered            failures allowed, P(more) at q
=================== ========= ================== =========================================
full                800       ≥ .97              10; 8e-6 at q = .0025
full, each class    100       ≥ .8               8; 2e-4 at q = .02
quick               20        ≥ .5               2; 1e-4 at q = .0045
=================== ========= ================== =========================================

Quick problems take eight cells of the coarsest level for a time step, full ones three: their errors in time are larger.
"""

from __future__ import annotations

import numpy as np

from fpk.charts import Chart
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._coverage import Usages
from ._grids import CLASSES, Rule, proven, refined, usages, weighted
from ._rates import within

C, R = Outcome.CONFIRMED, Outcome.REFUTED
BUDGETS: dict[str, Rule] = {"one solution": weighted, "three resolutions": refined}
#: Problems, cells for a time step, and the smallest coverage of all problems.
QUICK, FULL = (20, 8, 0.5), (800, 3, 0.97)
#: Smallest coverage of every class in the full size.
EACH = 0.8
#: What the drawn curves scale the bar by.
SCALES = np.geomspace(1e-3, 1, 13)

CLAIMS = (
    Claim(
        "calibration.grid-budget",
        "bound",
        "The budgets of a grid, of one solution and of three resolutions, cover the true errors of all functionals in 97 % of random "
        "problems, and in 80 % of every class (quick: half of all, which is what 20 problems can show).",
        r"P(|e_k|\le b_k\;\forall k)\ge0.97",
        "Becker and Rannacher (2001); Roache (1998)",
        {"stated": C, "budget dropped": R},
        {"budget dropped": "the solution is taken as exact"},
    ),
    Claim(
        "calibration.proven-bar",
        "bound",
        "The proven bar of the density in L¹ holds in 97 % of random problems (quick: in half, which is what 20 can show); by theory in all.",
        r"P(\|\tilde p_T-p_T\|_1\le b)\ge0.97",
        "Contraction of the forward semigroup in L¹",
        {"stated": C, "bar / 1000": R},
        {"bar / 1000": "a thousandth of the bar"},
    ),
)  # fmt: skip


def _evidence(rule: Rule, factor: float, size: Size, seed: int, what: str) -> Evidence:
    """Coverage by ``factor`` bars: of all problems, and in the full size of every class."""
    problems, pace, least = QUICK if size.quick else FULL
    found = usages(rule, problems=problems, pace=pace, seed=seed)
    limits = found.limited(factor, least=least, each=() if size.quick else [EACH] * len(CLASSES))
    return within(limits, what, _charts(found, what) if factor == 1.0 else ())


def _charts(found: Usages, what: str) -> tuple[Chart, ...]:
    """One chart for each scheme."""
    half = len(CLASSES) // 2
    titles = (f"Coverage of {what}, {name}" for name in ("default scheme", "second order"))
    members = (range(half), range(half, 2 * half))
    return tuple(found.chart(title, SCALES, which) for title, which in zip(titles, members, strict=True))


@study(
    "calibration.grid-budget",
    variants={"stated": 1.0, "budget dropped": 0.0},
    cases=tuple(BUDGETS),
    only_when_named=True,
    judging=True,
)
def grid_budget(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Coverage of both budgets."""
    return _evidence(BUDGETS[case], variant, size, seed, f"the budget of {case}")


@study(
    "calibration.proven-bar",
    variants={"stated": 1.0, "bar / 1000": 1e-3},
    only_when_named=True,
    judging=True,
)
def proven_bar(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Coverage of the L¹ bar."""
    return _evidence(proven, variant, size, seed, "the proven L¹ bar")
