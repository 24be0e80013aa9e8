"""What the numbers of a refuted order, residual or mass tell about the mistake. Nothing is computed but from the numbers themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.laws import Array
from fpk.marginals import Estimate
from fpk.verdict import Verdict
from fpk.wording import number_text

#: How close a found order is to the one of a sign, and how equal equal numbers are.
CLOSE, EQUAL = 0.12, 1e-3
#: Errors have stopped to fall where their last local order is below this share of the first.
STOPPED = 0.25


def of_order(steps: Any, errors: Any, found: float, claimed: float) -> list[str]:
    """What an order that was found in place of the claimed one is the order of.

    Parameters
    ----------
    steps, errors : array, shape (n,)
    found, claimed : float

    Examples
    --------
    >>> of_order([1, 0.5, 0.25], [1, 0.71, 0.5], 0.5, 1.0)[0]
    'order ½ in place of 1: the noise limits the step, as where the term ½ g g′ (ΔW² − h) is missing'
    """
    h, e = (np.asarray(a, float) for a in (steps, errors))
    e = e[np.argsort(-h)]

    def near(order: float) -> bool:
        return abs(found - order) <= CLOSE

    if _stops(np.sort(h)[::-1], np.abs(e)):
        return [
            f"errors fall at first and stop at about {number_text(float(e[-1]))}: a floor, or another limit than the reference"
        ]
    if near(0):
        return [
            f"errors do not fall: about {number_text(float(e[-1]))} is left, so the limit is another one (a term, a factor, the reference itself)"
        ]
    if found < 0:
        return ["errors grow: round-off, or a sum of steps that is not divided by their number"]
    if claimed and near(2 * claimed):
        return [
            f"twice the order claimed: errors look squared (mean squares where their roots are meant), or order {found:.2g} is reached"
        ]
    if near(0.5) and claimed >= 1:
        return [
            f"order ½ in place of {claimed:g}: the noise limits the step, as where the term ½ g g′ (ΔW² − h) is missing"
        ]
    if near(1) and claimed >= 2:
        return [
            f"order 1 in place of {claimed:g}: one term is first order, such as a coefficient read at the wrong end of a step, a first or last "
            "step of lower order, or data with a kink"
        ]
    if near(claimed - 1):
        return [
            "one order is lost: a single step or boundary of lower order, or a sum of n local errors that was meant as one"
        ]
    if near(claimed / 2):
        return ["half of the order claimed: roots of errors in place of errors, or steps that were squared"]
    return []


def _stops(h: Array, e: Array) -> bool:
    """Whether errors at falling steps fall at first only."""
    if len(e) < 3 or not np.all(e > 0):
        return False
    local = np.diff(np.log(e)) / np.diff(np.log(h))
    return bool(local[0] > CLOSE and local[-1] < STOPPED * local[0])


def of_residual(verdict: Verdict, residual: Estimate) -> list[str]:
    """Which components of a residual are off, and whether they share a value or a sign.

    Parameters
    ----------
    verdict : Verdict
    residual : Estimate
    """
    values = np.asarray(residual.value, float)
    scale = np.maximum(verdict.tolerance or 0.0, verdict.budget + 3 * verdict.standard_error)
    off = np.abs(values) > scale
    count, total = int(off.sum()), len(values)
    if total < 2 or not count:
        return []
    if count < total / 3:
        shown = ", ".join(verdict.names[int(k)] for k in np.flatnonzero(off)[:3])
        return [f"{count} of {total} components are off: {shown}{', ...' if count > 3 else ''}"]
    wrong = values[off]
    if float(np.ptp(wrong)) <= EQUAL * abs(float(wrong.mean())) + 2 * float(scale.min()):
        return [f"a constant: {count} of {total} components are off by {number_text(float(wrong.mean()))}"]
    if residual.coarser is not None and np.all(np.abs(values[off]) <= 0.6 * np.abs(residual.coarser[off])):
        factor = float(np.median(np.abs(residual.coarser[off] / wrong)))
        return [
            f"not a mistake but the resolution: the residual is {number_text(factor)} times smaller than one level coarser"
        ]
    if np.all(wrong > 0) or np.all(wrong < 0):
        return [f"a term of one sign: {count} of {total} components are {'positive' if wrong[0] > 0 else 'negative'}"]
    return []


def of_mass(grid: Any, tolerance: float) -> list[str]:
    """Where mass went.

    Parameters
    ----------
    grid : grid solution
    tolerance : float
    """
    boundary = getattr(getattr(getattr(grid, "plan", None), "problem", None), "boundary", None)
    mass: Array = np.asarray(grid.mass, float)
    if getattr(boundary, "kind", "") == "absorbing":
        return [
            "the walls absorb: mass leaves through them, as it should (fpk.fokker_planck.first_passage tells how much)"
        ]
    if np.any(mass > 1 + tolerance):
        return [
            "mass is gained: a source, a flux that is counted twice, or densities multiplied by other widths than the cells'"
        ]
    if len(mass) > 1 and np.all(np.diff(mass) < 0):
        return [
            "mass is lost all the time: a flux through the ends of the box, or an equation without its divergence form"
        ]
    return []
