r"""Order drawings: errors against step sizes, and below them the orders between neighbouring levels.

Above, |error| on logarithmic axes with bars of 3.09 standard errors where levels have noise, a triangle with the claimed slope, and the floor of
the errors; levels that are within 30 floors are shaded, as they do not count. Below, the slopes between neighbours, the claimed order with its
tolerance as a band, and at the left, where h → 0, the interval that encloses the order. The nearest control is dotted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpk.figures.drawing import WIDTH, by_case, words
from fpk.figures.frames import Frame
from fpk.laws import Array
from fpk.orders import CLEAN
from fpk.rates import local_orders
from fpk.records import Judged
from fpk.svg import Sheet
from fpk.verdict import Outcome
from fpk.wording import NOISE, number_text, one_line

#: Order drawings of one claim, at most.
ORDERS = 3
#: A floor below the smallest error by more than this factor is not drawn.
FAR = 300.0
_LEFT, _RIGHT = 0.17 * WIDTH, 0.98 * WIDTH
_DOT, _RING = "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z", "m0-3.5 3.5 3.5-3.5 3.5-3.5-3.5z"


def order_figures(group: Sequence[Judged]) -> list[str]:
    """Errors against step sizes for the stated form of a claim about an order, one drawing for each case.

    Parameters
    ----------
    group : sequence of Judged
        Every record of one claim.

    Returns
    -------
    list of str
        At most :data:`ORDERS` SVG elements; none for claims of other kinds.
    """
    cases = by_case(group)
    shown = [(own, next((j for j in own if j.record.stated and _levels(j)), None)) for own in cases.values()]
    return [_order_figure(stated, own, named=len(cases) > 1) for own, stated in shown if stated is not None][:ORDERS]


@dataclass(frozen=True)
class _Levels:
    """Steps, coarse to fine, errors and their standard errors; which of them count; the floor; the claimed order."""

    h: Array
    errors: Array
    noise: Array
    counts: NDArray[np.bool_]
    floor: float
    order: float

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Levels that a logarithmic axis can show."""
        return self.errors > 0

    @property
    def orders(self) -> tuple[Array, Array]:
        """Places and slopes between neighbours that count."""
        kept = self.counts & self.shown
        h, errors = self.h[kept], self.errors[kept]
        return (np.sqrt(h[:-1] * h[1:]), local_orders(h, errors)) if len(h) > 1 else (np.zeros(0), np.zeros(0))


def _levels(judged: Judged) -> _Levels | None:
    """The levels of a record of an order; None where there are none to be drawn."""
    if judged.record.kind != "order" or judged.evidence is None or judged.verdict is None:
        return None
    first, h = judged.evidence.first, np.asarray(judged.evidence.second.value, float)
    errors = np.abs(np.asarray(first.value, float))
    if len(h) < 2 or h.shape != errors.shape or not (np.isfinite(errors).all() and (h > 0).all() and errors.any()):
        return None
    noise = np.zeros(len(h)) if first.covariance is None else np.sqrt(np.maximum(np.diag(first.covariance), 0))
    floor, fine = float(np.max(first.bias_bound)), np.argsort(-h)
    errors, noise = errors[fine], noise[fine]
    drowned = np.cumsum(errors <= CLEAN * floor) > 0
    counts = ~drowned if first.covariance is None else np.ones(len(h), bool)
    return _Levels(h[fine], errors, noise, counts, floor, float(judged.evidence.names[0]))


def _order_figure(stated: Judged, own: Sequence[Judged], *, named: bool) -> str:
    levels = _levels(stated)
    assert levels is not None
    control = _nearest_control(own, levels)
    wrong = _levels(control) if control is not None else None
    sheet = Sheet(WIDTH, 340)
    case = one_line(stated.record.case, 52) if named else ""
    _draw_legend(sheet, levels, case, one_line(control.record.variant, 36) if control is not None else "")
    limits = _limits([one for one in (levels, wrong) if one is not None])
    _draw_errors(sheet, levels, wrong, limits)
    _draw_orders(sheet, stated, levels, wrong, limits[0])
    where = f" ({stated.record.case})" if named else ""
    return sheet.svg(**words(f"{stated.record.id}{where}: error against step size", _described(stated, levels)))


def _described(stated: Judged, levels: _Levels) -> str:
    """The drawing in words."""
    ends = [number_text(float(v)) for v in (levels.h[0], levels.h[-1], levels.errors[0], levels.errors[-1])]
    left_out = int((~levels.counts).sum())
    dropped = f" {left_out} of {len(levels.h)} levels are within {CLEAN:g} floors and do not count." if left_out else ""
    slopes = ", ".join(number_text(round(float(p), 2)) for p in levels.orders[1])
    between = f" From level to level the order is {slopes}." if slopes else ""
    return f"From h = {ends[0]} to {ends[1]} the error goes from {ends[2]} to {ends[3]}: {stated.record.reason}{dropped}{between}"


def _nearest_control(own: Sequence[Judged], stated: _Levels) -> Judged | None:
    """The control whose order is closest to the claimed one; where another order is claimed of the same errors there is nothing to draw."""
    controls = [j for j in own if j.record.expected == Outcome.REFUTED and not j.record.stated]
    controls = [j for j in controls if (one := _levels(j)) is not None and one.order == stated.order]
    return min(controls, key=lambda j: abs(j.record.difference or 0.0), default=None)


def _limits(drawn: Sequence[_Levels]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of both axes, a little beyond the levels."""
    h = np.concatenate([one.h for one in drawn])
    errors = np.concatenate([one.errors[one.shown] for one in drawn])
    near = [one.floor for one in drawn if one.floor > errors.min() / FAR]
    errors = np.append(errors, near)
    return (float(h.min() / 1.6), float(h.max() * 1.25)), (float(errors.min() / 2.5), float(errors.max() * 2.5))


def _draw_legend(sheet: Sheet, levels: _Levels, case: str, control: str) -> None:
    """What marks and shades mean, above the axes, and the case."""
    if case:
        sheet.text(_LEFT, 8, case, bold=True)
    rows = [("first", _DOT, True, f"|error|, triangle of slope {levels.order:g}")]
    rows += [("control", _RING, False, f"to be refuted: {control}")] if control else []
    for k, (colour, shape, filled, name) in enumerate(rows):
        sheet.mark(_LEFT + 10, 22 + 14 * k, shape, colour=colour, filled=filled)
        sheet.text(_LEFT + 26, 22 + 14 * k, name)


def _draw_errors(sheet: Sheet, levels: _Levels, wrong: _Levels | None, limits: tuple[tuple[float, float], ...]) -> None:
    frame = Frame(sheet, _LEFT, 48, _RIGHT, 196, limits[0], limits[1], log_x=True, log_y=True)
    if not levels.counts.all():
        dropped = levels.h[~levels.counts]
        frame.shade((limits[0][0], float(dropped.max()) * 1.1), limits[1])
        sheet.text(frame.left + 4, frame.top + 8, "within the floor", colour="muted")
    if levels.floor > limits[1][0]:
        frame.level(levels.floor, colour="muted", width=1.2, dash="4 3")
        sheet.text(_RIGHT, frame.up(levels.floor) - 7, "floor", colour="muted", anchor="end")
    _draw_triangle(frame, levels)
    if wrong is not None:
        _draw_levels(frame, wrong, "control", _RING, filled=False)
    _draw_levels(frame, levels, "first", _DOT, filled=True)
    frame.left_axis("|error|", count=4)
    frame.bottom_axis()


def _draw_levels(frame: Frame, levels: _Levels, colour: str, shape: str, *, filled: bool) -> None:
    """A line through the levels, a mark for each, bars of noise."""
    h, errors, noise = (values[levels.shown] for values in (levels.h, levels.errors, levels.noise))
    frame.curve(h, errors, colour=colour, width=1.4, dash="" if filled else "1.3 2.2")
    for x, y, bar in zip(h, errors, NOISE * noise, strict=True):
        place = frame.across(float(x))
        if bar > 0:
            ends = [frame.up(max(float(end), frame.y[0])) for end in (y - bar, y + bar)]
            frame.sheet.line(place, ends[0], 0, ends[1] - ends[0], colour=colour, width=1.4)
        frame.sheet.mark(place, frame.up(float(y)), shape, colour=colour, filled=filled)


def _draw_triangle(frame: Frame, levels: _Levels) -> None:
    """The claimed slope: below the coarsest levels that count, a step along h and one along the errors."""
    h, errors = (values[levels.counts & levels.shown] for values in (levels.h, levels.errors))
    if len(h) < 2:
        return
    left, right = float(h[min(2, len(h) - 1)]), float(h[0])
    high = float(errors[0]) / 3
    low = high * (left / right) ** levels.order
    if min(low, high) > frame.y[0]:
        frame.curve(np.array([left, right, right, left]), np.array([low, high, low, low]), colour="muted", width=1.2)


def _draw_orders(sheet: Sheet, stated: Judged, levels: _Levels, wrong: _Levels | None, x: tuple[float, float]) -> None:
    """Local orders, the claimed one with its tolerance, and the interval at h → 0."""
    assert stated.verdict is not None
    tolerance = stated.verdict.tolerance or 0.0
    middle, half = levels.order + float(stated.verdict.difference[0]), float(stated.verdict.budget[0])
    ends = [middle - half, middle + half] if np.isfinite(half) else []
    places, slopes = levels.orders
    values = [*slopes, *ends, levels.order - 1.3 * tolerance, levels.order + 1.3 * tolerance]
    room = 0.08 * (max(values) - min(values)) or 1.0
    frame = Frame(sheet, _LEFT, 214, _RIGHT, 297, x, (float(min(values) - room), float(max(values) + room)), log_x=True)
    frame.shade(x, (levels.order - tolerance, levels.order + tolerance))
    frame.level(levels.order, colour="muted", dash="7 3", width=1.2)
    if wrong is not None:
        _draw_slopes(frame, *wrong.orders, "control", _RING, filled=False)
    _draw_slopes(frame, places, slopes, "first", _DOT, filled=True)
    if ends:
        low, high = (frame.up(end) for end in ends)
        sheet.line(_LEFT + 4, low, 0, min(high - low, -1.0), colour="ink", width=3.2)
    frame.left_axis("local order", count=3)
    frame.bottom_axis("step size h; bar at the left: h → 0")


def _draw_slopes(frame: Frame, places: Array, slopes: Array, colour: str, shape: str, *, filled: bool) -> None:
    inside = (slopes >= frame.y[0]) & (slopes <= frame.y[1])
    for x, p in zip(places[inside], slopes[inside], strict=True):
        frame.sheet.mark(frame.across(float(x)), frame.up(float(p)), shape, colour=colour, filled=filled)
