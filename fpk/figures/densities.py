r"""Density drawings: both sides at the last time, and below it their difference next to that of the nearest control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpk.figures.drawing import WIDTH, by_case, words
from fpk.figures.frames import Frame
from fpk.laws import Array
from fpk.records import Judged
from fpk.svg import Sheet
from fpk.verdict import Outcome
from fpk.wording import number_text, one_line

#: Points kept of a curve.
CURVE_POINTS = 160
_LEFT, _RIGHT = 0.15 * WIDTH, 0.98 * WIDTH
_FIRST: Any = {"colour": "first", "width": 3.2, "opacity": 0.7}
_SECOND: Any = {"colour": "second", "width": 1.5, "dash": "6 3"}
_CONTROL: Any = {"colour": "control", "width": 1.3, "dash": "1.3 2.2"}
#: Density drawings of one claim, at most.
DENSITIES = 3


def density_figures(group: Sequence[Judged]) -> list[str]:
    """Densities of the stated form of a claim, one drawing for each case with curves.

    Parameters
    ----------
    group : sequence of Judged
        Every record of one claim.

    Returns
    -------
    list of str
        At most :data:`DENSITIES` SVG elements.
    """
    cases = by_case(group)
    shown = [(stated, own) for own in cases.values() if (stated := _main_form(own)) is not None]
    return [_density_figure(stated, own, named=len(cases) > 1) for stated, own in shown[:DENSITIES]]


def _main_form(own: Sequence[Judged]) -> Judged | None:
    """The form to draw: one that must be confirmed before one that must not, and only with curves."""
    drawable = [j for j in own if j.record.stated and _has_curves(j)]
    return min(drawable, key=lambda j: j.record.expected != Outcome.CONFIRMED, default=None)


def _has_curves(judged: Judged) -> bool:
    curves = judged.evidence.curves if judged.evidence is not None else {}
    sizes = {np.size(curves.get(name, ())) for name in ("x", "first", "second")}
    return len(sizes) == 1 and sizes.pop() > 1


def _density_figure(stated: Judged, own: Sequence[Judged], *, named: bool) -> str:
    control, case = _nearest_control([j for j in own if j is not stated]), stated.record.case if named else ""
    sheet, time, gap = Sheet(WIDTH, 310), _time_text(stated), _largest_gap(stated)
    _draw_densities(sheet, stated, control)
    _draw_legend(sheet, stated, control, one_line(case, 40))
    _draw_differences(sheet, stated, control, f"x{time}")
    where = f" ({case})" if case else ""
    title = f"{stated.record.id}{where}: densities of both sides{time}"
    return sheet.svg(**words(title, f"The densities differ by at most {number_text(gap)}."))


def _time_text(judged: Judged) -> str:
    curves = judged.evidence.curves if judged.evidence is not None else {}
    return f" at t = {float(np.ravel(curves['t'])[0]):.4g}" if np.size(curves.get("t", ())) else ""


def _largest_gap(judged: Judged) -> float:
    _, first, second = _curves(judged)
    return float(np.max(np.abs(first - second)))


def _curves(judged: Judged) -> tuple[Array, Array, Array]:
    """Positions and both densities, thinned to what the drawing can show; values that are not finite become zero."""
    assert judged.evidence is not None
    curves = [np.ravel(np.asarray(judged.evidence.curves[name], float)) for name in ("x", "first", "second")]
    kept = np.unique(np.linspace(0, len(curves[0]) - 1, CURVE_POINTS).astype(int))
    x, first, second = (np.nan_to_num(curve[kept], nan=0.0, posinf=0.0, neginf=0.0) for curve in curves)
    return x, first, second


def _nearest_control(own: Sequence[Judged]) -> Judged | None:
    """The variant to be refuted with the smallest effect: the one that sets the tolerance."""
    controls = [j for j in own if j.record.expected == Outcome.REFUTED and _has_curves(j)]
    return min(controls, key=lambda j: j.record.effect or np.inf, default=None)


def _draw_densities(sheet: Sheet, stated: Judged, control: Judged | None) -> None:
    x, first, second = _curves(stated)
    curves = [(x, first, _FIRST), (x, second, _SECOND)]
    if control is not None:
        wrong_x, wrong = _changed_side(control, stated)
        shown = _between(wrong_x, x)
        curves.insert(0, (wrong_x[shown], wrong[shown], _CONTROL))
    top = max(float(np.max(y, initial=0)) for _, y, _ in curves) or 1.0
    frame = Frame(sheet, _LEFT, 71, _RIGHT, 177, (float(x[0]), float(x[-1])), (0.0, 1.05 * top))
    for at, y, look in curves:
        frame.curve(at, np.maximum(y, 0), **look)
    frame.left_axis("density", count=3)
    frame.bottom_axis()


def _draw_legend(sheet: Sheet, stated: Judged, control: Judged | None, heading: str) -> None:
    """Names of the curves above them, and the case."""
    names = [one_line(name, 50) for name in [*stated.record.pair, "first side", "second side"][:2]]
    rows = list(zip(names, (_FIRST, _SECOND), strict=True))
    if control is not None:
        rows.append((f"to be refuted: {one_line(control.record.variant, 36)}", _CONTROL))
    top = 63 - 14 * len(rows)
    if heading:
        sheet.text(_LEFT, top, heading, bold=True)
    for row, (name, look) in enumerate(rows, 1):
        sheet.curve(np.array([_LEFT, _LEFT + 20]), np.full(2, top + 14.0 * row), **look)
        sheet.text(_LEFT + 26, top + 14 * row, name)


def _between(x: Array, ends: Array) -> NDArray[np.bool_]:
    """Where x lies between the first and the last of some positions."""
    return (x >= ends[0]) & (x <= ends[-1])


def _changed_side(control: Judged, stated: Judged) -> tuple[Array, Array]:
    """The side of the control that is not the stated form's."""
    x, *sides = _curves(control)
    base, *own = _curves(stated)
    moved = [float(np.max(np.abs(np.interp(x, base, mine) - theirs))) for mine, theirs in zip(own, sides, strict=True)]
    return x, sides[int(np.argmax(moved))]


def _draw_differences(sheet: Sheet, stated: Judged, control: Judged | None, label: str) -> None:
    """First minus second, in a power of ten that the axis names."""
    x, first, second = _curves(stated)
    drawn: list[tuple[Array, Array, Any]] = [(x, first - second, {"colour": "ink", "width": 1.3})]
    if control is not None:
        wrong_x, *sides = _curves(control)
        shown = _between(wrong_x, x)
        drawn.insert(0, (wrong_x[shown], (sides[0] - sides[1])[shown], _CONTROL))
    largest = max(float(np.max(np.abs(d), initial=0)) for _, d, _ in drawn)
    exponent = int(np.floor(np.log10(largest))) if largest > 0 else 0
    exponent = 0 if -1 <= exponent <= 2 else exponent
    scaled = [(at, d / 10.0**exponent, look) for at, d, look in drawn]
    ends = [float(end(d, initial=0)) for end in (np.min, np.max) for _, d, _ in scaled]
    room = 0.05 * ((max(ends) - min(ends)) or 1.0)
    frame = Frame(sheet, _LEFT, 198, _RIGHT, 267, (float(x[0]), float(x[-1])), (min(ends) - room, max(ends) + room))
    frame.level(0.0)
    for at, d, look in scaled:
        frame.curve(at, d, **look)
    frame.left_axis("difference" if exponent == 0 else f"diff. · 1e{exponent}".replace("-", "−"), count=2)
    frame.bottom_axis(label)
