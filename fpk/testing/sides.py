"""The two sides of an assertion: laws and samples as marginals, common times, and a panel that fits both."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fpk.closed_form import LawMarginals
from fpk.errors import ComparisonError
from fpk.laws import Array, Law, as_law
from fpk.panels import Panel, law_panel
from fpk.scalars import reals
from fpk.testing.samples import SampleMarginals

#: Slices through all pairs of coordinates are taken up to this dimension; beyond, only neighbours are paired.
PAIRED = 8

Sides = tuple[Any, Any]


def as_marginals(side: Any, time: float, role: str) -> Any:
    """Marginals as they are; a law or samples become marginals at one time."""
    if (
        hasattr(side, "expect") and not hasattr(side, "rvs") and not isinstance(side, type)
    ):  # frozen scipy laws have a method of this name too
        return side
    if not isinstance(side, type) and (isinstance(side, Law) or hasattr(side, "rvs")):
        return LawMarginals({time: as_law(side)}, (time,), source=f"the {role} law")
    if hasattr(side, "__array__"):
        return SampleMarginals(reals(side, f"{role} samples"), time, source=f"{role} samples")
    raise ComparisonError(
        f"the {role} side must be marginals (with expect(panel)), a law, or an array of samples of shape (n, d); got {type(side).__name__}."
    )


def require_one(tolerance: float | None, effect: float | None) -> None:
    """Refuse both, and neither."""
    if (tolerance is None) == (effect is None):
        raise ComparisonError(
            f"give exactly one of tolerance= (how far apart counts as equal) and effect= (what must not be overlooked); "
            f"got tolerance={tolerance}, effect={effect}."
        )


def one_time(sides: Sides, time: float | None) -> float:
    """The time at which two sides are compared: given, or the only one they know; 0 if neither side knows any."""
    if time is not None:
        return float(time)
    known = common_times(sides, least=0)
    if len(known) > 1:
        raise ComparisonError(f"several times are known, {known}: say which is meant with time=.")
    return known[0] if known else 0.0


def common_times(sides: Sides, *, least: int = 1) -> list[float]:
    """The times that both sides know; a side without ``times`` knows all."""
    stated = [side.times for side in sides if hasattr(side, "times")]
    known = sorted(set.intersection(*map(set, stated))) if stated else []
    if len(known) < least or (stated and not known):
        raise ComparisonError(
            f"no common time: the sides know {' and '.join(map(str, stated)) or 'none'}. Ask both routes for the same times=[...]."
        )
    return known


def panel_for(sides: Sides, times: Sequence[float]) -> Panel:
    """Legendre functionals of the law of the side that knows it best, along the axes and, in d > 1, along sums of coordinates.

    Raises
    ------
    ComparisonError
        If no side can tell its law, or samples have another dimension than the law.
    """
    able = [side for side in sides if hasattr(side, "law")]
    if not able:
        raise ComparisonError("neither side can tell its law: give one of them a method law(t), which returns a Law.")
    best = max(able, key=lambda side: getattr(side, "exactness", 0))
    laws = {float(t): _reference(best, t) for t in times}
    d = next(iter(laws.values())).dimension
    for side in sides:
        if isinstance(side, SampleMarginals) and side.positions.shape[1] != d:
            raise ComparisonError(f"{side.source} live in dimension {side.positions.shape[1]}, the other side in {d}.")
    return law_panel(laws, directions=slices(d))


def _reference(side: Any, t: float) -> Law:
    return SampleMarginals(side.samples(t), t).law(t) if hasattr(side, "samples") else side.law(t)


def slices(d: int) -> list[Array]:
    """Directions: the axes, and (e_i + e_j)/√2 for pairs of coordinates, which see their correlation.

    Examples
    --------
    >>> len(slices(1)), len(slices(3)), len(slices(20))
    (1, 6, 40)
    """
    axes = np.eye(d)
    pairs = itertools.combinations(range(d), 2) if d <= PAIRED else ((i, (i + 1) % d) for i in range(d))
    return [*axes, *((axes[i] + axes[j]) / np.sqrt(2) for i, j in pairs)]
