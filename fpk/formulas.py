r"""``check_formula``: a verdict on a formula that somebody wrote down.

================= ===================================================================================================================
``reverse_drift`` drift of the reverse SDE written in forward time (``f - g**2*score``); solved from p_T back to the data
``velocity``      velocity of the probability flow (``f - g**2*score/2``); points of the data law follow it
``drift``         drift of the forward SDE in x and beta (``-beta*x/2``); solved from the data
``variance``      variance of X_t given X_0 (``1 - alpha**2``); held against the moment equations of the SDE, so that ``sigma**2`` says something
``score``         ∇ log p(x_t | x_0) of X_t given X_0 = x0 (``-(x - alpha*x0)/sigma**2``); held against Stein's identity under that law
================= ===================================================================================================================

The formula is put to work in the case of :mod:`fpk.formula_kinds`. The verdict never looks at the right formula, which only serves to word a
counterexample; the tolerance is a third of the smallest effect in the kind's list of mistakes, which ends with an error of 2 %.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from fpk.comparison import settle
from fpk.difference import effect_size
from fpk.errors import UnknownName
from fpk.expressions import Expression
from fpk.formula_kinds import KINDS, QUANTITIES, STARTS, TIMES, Kind, Pair, evaluated
from fpk.laws import Array
from fpk.marginals import Estimate
from fpk.verdict import Outcome, Verdict

#: Where formulas are held against each other point by point, and where counterexamples are looked for.
POINTS, PLACES = np.linspace(-3.0, 4.0, 29)[:, None], np.array([-1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0])[:, None]
MOMENTS = (0.25, 0.5, 0.75)


def check_formula(text: str, *, kind: str) -> Verdict:
    """The verdict on a formula, with the likely mistake and a counterexample if it is wrong.

    Parameters
    ----------
    text : str
        In the names f, g, score, log_p, x, t, alpha, sigma, beta, B (= ∫β) and x0, as far as the kind offers them: ``drift`` has no f
        and ``variance`` and ``score`` no score, as that would be begging the question. Greek letters, ² and ½ are understood.
    kind : str
        ``reverse_drift``, ``velocity``, ``drift``, ``variance`` or ``score``: see :mod:`fpk.formulas`.

    Returns
    -------
    Verdict
        Never raised. Its reason tells what a refuted formula reads like, and a point where it fails.

    Raises
    ------
    ProblemError
        If the text is not a formula in the allowed names, or is not finite where it is needed.
    UnknownName
        For an unknown kind.

    Notes
    -----
    Equivalent spellings get the same verdict, as only values count. The first call of a kind computes its wrong variants as well.

    Examples
    --------
    >>> print(check_formula("1 - exp(-B)", kind="variance").outcome)
    CONFIRMED
    >>> print(check_formula("sqrt(1 - alpha^2)", kind="variance").reason.split("Reads like: ")[1])
    a root is left: this is the standard deviation. At t = 0.25 (alpha = 0.88803) it gives 0.459786, right is 0.211403.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownName("kind of formula", str(kind), KINDS)
    asked = KINDS[kind]
    formula = asked.formula(text)
    effect = min(_effects(kind).values())
    consequence, verdict = _judged(asked, formula, effect)
    if verdict.outcome is Outcome.CONFIRMED:
        return replace(verdict, reason=f"{verdict.reason} {_strength(kind)}")
    return replace(verdict, reason=f"{verdict.reason} {_diagnosis(kind, formula, consequence)}".strip())


def _judged(asked: Kind, formula: Expression, effect: float) -> tuple[Estimate, Verdict]:
    """Solve and settle, once more on grids twice as fine if the first ones cannot tell."""
    for resolution in (1, 2):
        with np.errstate(all="ignore"):  # wrong formulas may blow up
            consequence, witness = asked.consequence(formula, resolution)
        verdict = settle(consequence, witness, names=asked.labels, effect=effect)
        if verdict.outcome is not Outcome.UNDECIDED:
            break
    return consequence, verdict


@cache
def _mistaken(kind: str) -> dict[str, Pair]:
    """What follows from every listed mistake."""
    asked = KINDS[kind]
    return {mistake: asked.consequence(asked.formula(text), 1) for mistake, text in asked.mistakes.items()}


def _effects(kind: str) -> dict[str, float]:
    return {mistake: effect_size(*pair) for mistake, pair in _mistaken(kind).items()}


def _strength(kind: str) -> str:
    effects = _effects(kind)
    smallest = min(effects, key=effects.__getitem__)
    return f"{len(effects)} wrong variants are told apart by it, the least by {effects[smallest]:.3g} ({smallest})."


def _diagnosis(kind: str, formula: Expression, consequence: Estimate) -> str:
    return " ".join(filter(None, (_mistake(kind, formula, consequence), _counterexample(KINDS[kind], formula))))


def _mistake(kind: str, formula: Expression, consequence: Estimate) -> str:
    """The mistake with the same values; else the one whose consequence is nearest, if it is much nearer than the truth."""
    asked = KINDS[kind]
    for mistake, text in asked.mistakes.items():
        if _same(asked, formula, asked.formula(text)):
            return f"Reads like: {mistake}."
    pairs = _mistaken(kind)
    away = {mistake: float(np.linalg.norm(consequence.value - wrong.value)) for mistake, (wrong, _) in pairs.items()}
    nearest = min(away, key=away.__getitem__)
    wrong_by = float(np.linalg.norm(consequence.value - pairs[nearest][1].value))
    return f"Not a listed mistake, but acts much like: {nearest}." if away[nearest] < 0.25 * wrong_by else ""


def _table(asked: Kind, formula: Expression, x: Array, times: tuple[float, ...]) -> Array:
    """Values at all points, times and (for the conditional score) starts."""
    starts = [{"x0": x0} for x0 in STARTS] if "x0" in asked.names else [{}]
    return np.stack([[evaluated(formula, x, t, **start)[:, 0] for t in times] for start in starts])


def _same(asked: Kind, first: Expression, second: Expression) -> bool:
    a, b = (_table(asked, formula, POINTS, TIMES) for formula in (first, second))
    return bool(np.max(np.abs(a - b)) <= 1e-9 * np.max(np.abs(b)))


def _counterexample(asked: Kind, formula: Expression) -> str:
    """The place where the formula is furthest from right, with the ingredients to check it by hand."""
    right = asked.formula(asked.right)
    given, wanted = (_table(asked, each, PLACES, MOMENTS) for each in (formula, right))
    gap = np.abs(given - wanted)
    if gap.max() <= 1e-9 * np.abs(wanted).max():
        return ""
    at = np.unravel_index(np.argmax(gap), gap.shape)
    x, t = PLACES[at[2]], MOMENTS[at[1]]
    place = {"x": float(x[0])} if "x" in asked.names else {}
    place |= {"x0": STARTS[at[0]]} if "x0" in asked.names else {}
    needed = [n for n in asked.names if n in {*formula.used, *right.used} - {"x", "x0", "t"}]
    ingredients = [f"{n} = {float(np.ravel(QUANTITIES[n](x[None], t))[0]):.6g}" for n in needed]
    where = ", ".join([f"{name} = {value:g}" for name, value in (place | {"t": t}).items()])
    known = f" ({', '.join(ingredients)})" if ingredients else ""
    return f"At {where}{known} it gives {given[at]:.6g}, right is {wanted[at]:.6g}."
