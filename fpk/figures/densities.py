r"""Density drawings: both sides at the last time, and below it their difference next to that of the nearest control.

Where a side is particles, the difference is drawn in standard errors s.e., with lines at ±2 and the budget as a band. The axis is that of
asinh(r/2): even up to about two standard errors and logarithmic beyond, so that noise and a control far outside are seen at once. Places
where neither density reaches six standard errors are left out: the errors of few particles are not normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpk.figures.drawing import WIDTH, by_case, tick_text, words
from fpk.figures.frames import Frame
from fpk.laws import Array
from fpk.records import Judged
from fpk.study import near_miss
from fpk.svg import Sheet
from fpk.verdict import Outcome
from fpk.wording import number_text, one_line

#: Points kept of a curve.
CURVE_POINTS = 160
_LEFT, _RIGHT = 0.15 * WIDTH, 0.98 * WIDTH
_FIRST: Any = {"colour": "first", "width": 3.2, "opacity": 0.7}
_SECOND: Any = {"colour": "second", "width": 1.5, "dash": "6 3"}
_LINE: Any = {"colour": "muted", "width": 1.2, "dash": "4 3"}
_CONTROL: Any = {"colour": "control", "width": 1.3, "dash": "1.3 2.2"}
#: Density drawings of one claim, at most.
DENSITIES = 3
#: Standard errors: where lines are drawn, and how many a density needs to be drawn in them.
LINES, RESOLVED = 2.0, 6.0


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
    noisy = _in_errors(stated)
    sheet, time, gap = Sheet(WIDTH, 310 if noisy is None else 344), _time_text(stated), _largest_gap(stated)
    _draw_densities(sheet, stated, control)
    _draw_legend(sheet, stated, control, one_line(case, 40))
    wrong = None if noisy is None or control is None else _in_errors(control)
    if noisy is None:
        _draw_differences(sheet, stated, control, f"x{time}")
    else:
        _draw_deviations(sheet, noisy, wrong, f"x{time}")
    where = f" ({case})" if case else ""
    title = f"{stated.record.id}{where}: densities of both sides{time}"
    told = "" if noisy is None else _told(noisy, wrong, control)
    return sheet.svg(**words(title, f"The densities differ by at most {number_text(gap)}.{told}"))


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
    """The variant to be refuted with the smallest effect: the one that sets the tolerance. Without effects, one that is off by a percentage."""
    controls = [j for j in own if j.record.expected == Outcome.REFUTED and _has_curves(j)]
    return min(controls, key=lambda j: (j.record.effect or np.inf, near_miss(j.record.variant) is None), default=None)


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
    pair = stated.record.pair if stated.record.kind == "equality" else ()
    names = [one_line(name, 50) for name in [*pair, "found", "claimed"][:2]]
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


# -- in standard errors ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Deviations:
    """Places, the difference of the densities there and its budget, both in standard errors, and where they are drawn."""

    x: Array
    value: Array
    budget: Array
    shown: NDArray[np.bool_]

    @property
    def drawn(self) -> Array:
        """Those that are."""
        return self.value[self.shown]

    @property
    def runs(self) -> list[slice]:
        """Stretches of neighbours that are drawn."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.shown, [False]])))
        return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _in_errors(judged: Judged) -> _Deviations | None:
    """The difference of both sides in standard errors; None without them, or where they are nowhere small enough."""
    assert judged.evidence is not None
    curves = judged.evidence.curves
    names = ("x", "first", "second", "error", "budget")
    if {np.size(curves.get(name, ())) for name in names} != {np.size(curves["x"])}:
        return None
    x, first, second, error, budget = (np.ravel(np.asarray(curves[name], float)) for name in names)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, allowed = (first - second) / error, budget / error
        shown = np.isfinite(value) & (np.maximum(first, second) >= RESOLVED * error)
    return _Deviations(x, value, allowed, shown) if np.count_nonzero(shown) > 1 else None


def _told(stated: _Deviations, wrong: _Deviations | None, control: Judged | None) -> str:
    """The lower drawing in words."""
    size, budget, count = np.abs(stated.drawn), stated.budget[stated.shown], len(stated.drawn)
    told = (
        f" In standard errors by at most {number_text(_largest(size))}; at {np.sum(size > LINES)} of {count} places by more than {LINES:g} "
        f"(noise alone: about {0.0455 * count:.0f}), at {np.sum(size > LINES + budget)} by more than that and the budget, which is up to "
        f"{number_text(_largest(budget))}."
    )
    if wrong is None or control is None:
        return told
    return f"{told} With {one_line(control.record.variant, 60)}: by up to {number_text(_largest(wrong.drawn))}."


def _largest(values: Array) -> float:
    return float(np.max(np.abs(values), initial=0.0))


def _raised(value: Any) -> Any:
    """Where a number of standard errors stands on the axis."""
    return np.arcsinh(np.asarray(value, float) / LINES)


def _draw_deviations(sheet: Sheet, stated: _Deviations, wrong: _Deviations | None, label: str) -> None:
    """The band of the budget, lines at ±2, the control and on top of it the stated form."""
    drawn = [one for one in (wrong, stated) if one is not None]
    high = 1.1 * float(_raised(max(1.5 * LINES, *(_largest(one.drawn) for one in drawn))))
    ends = float(stated.x[0]), float(stated.x[-1])
    frame = Frame(sheet, _LEFT, 214, _RIGHT, 301, ends, (-high, high))
    for run in stated.runs:
        band = np.minimum(_raised(stated.budget[run]), high)
        frame.band(stated.x[run], -band, band)
    frame.level(0.0)
    for line in (-LINES, LINES):
        frame.level(float(_raised(line)), **_LINE)
    for one, look in zip(drawn[::-1], ({"colour": "ink", "width": 1.3}, _CONTROL), strict=False):
        for run in one.runs:
            inside = _between(one.x[run], stated.x)
            frame.curve(one.x[run][inside], _raised(one.value[run])[inside], **look)
    _draw_key(sheet)
    frame.left_axis("difference / s.e.", places=_places(high, 87))
    frame.bottom_axis(label)


def _draw_key(sheet: Sheet) -> None:
    """What the lines and the band are, between the drawings."""
    sheet.curve(np.array([_LEFT, _LEFT + 20]), np.full(2, 202.0), **_LINE)
    sheet.text(_LEFT + 26, 202, f"±{LINES:g} standard errors")
    sheet.area(_LEFT + 170, 197, 20, 10, colour="noise", opacity=0.35, edge="muted")
    sheet.text(_LEFT + 196, 202, "budget")


def _places(high: float, tall: float) -> dict[float, str]:
    """Numbers of standard errors to be written at the axis, most telling first, and none on another."""
    chosen: list[float] = []
    for value in (LINES, -LINES, *(sign * 10.0**k for k in range(4, 0, -1) for sign in (1, -1)), 0.0):
        place = float(_raised(value))
        room = min((abs(place - other) for other in chosen), default=np.inf) * tall / (2 * high)
        if abs(place) <= high and room >= 12:
            chosen.append(place)
    return {place: tick_text(float(LINES * np.sinh(place))) for place in chosen}
