r"""Effect drawings: how far every record of a claim is from equality, against what its errors explain and what is tolerated.

For every record |d| of its deciding functional on a logarithmic axis, a grey bar for what budget and sampling noise
explain (b + z se), a tick at the smallest effect that is surely seen, and the tolerance δ of the case. Stated forms
belong left of δ, controls right of it. For bounds: enclosures of the quantity that must stay below zero.

There is one such drawing for every claim, so it is written as SVG at once: a tenth of a millisecond for each mark, where matplotlib takes
some forty milliseconds for the sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from fpk.figures.drawing import WIDTH, by_case, decades, tick_text, words
from fpk.records import Judged
from fpk.svg import Sheet
from fpk.verdict import Outcome, Verdict
from fpk.wording import deciding, noise, number_text, one_line, summary, surely_seen

_ROW, _ABOVE, _BELOW = 21.0, 22.0, 42.0
_LEFT, _RIGHT = 0.43 * WIDTH, 0.98 * WIDTH
_LABEL = 24
_DIAMOND, _SQUARE = "m0-5 5 5-5 5-5-5z", "m-4.5-4.5h9v9h-9z"
_MARKS = {
    Outcome.CONFIRMED: ("m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z", "confirmed"),
    Outcome.REFUTED: (_DIAMOND, "refuted"),
    Outcome.UNDECIDED: (_SQUARE, "undecided"),
}
#: From a number to its place across the drawing.
_Scale = Callable[[float], float]


def effect_figure(group: Sequence[Judged]) -> str:
    """How far each variant of a claim is from equality, against what its errors explain and what the tolerance allows.

    Parameters
    ----------
    group : sequence of Judged
        Every record of one claim; at least one.

    Returns
    -------
    str
        An SVG element.
    """
    cases = len(by_case(group))
    rows = len(group) + (cases if cases > 1 else 0)
    sheet = Sheet(WIDTH, _ABOVE + _ROW * rows + _BELOW)
    draw = _draw_bounds if group[0].record.kind == "bound" else _draw_effects
    draw(sheet, group)
    return sheet.svg(**words(f"{group[0].record.id}: effect of each variant", summary(group)))


def _draw_effects(sheet: Sheet, group: Sequence[Judged]) -> None:
    lower, upper = _limits(group)

    def at(value: float) -> float:
        share = np.log(np.clip(np.nan_to_num(value, nan=upper), lower, upper) / lower) / np.log(upper / lower)
        return _LEFT + float(share) * (_RIGHT - _LEFT)

    _draw_axis(
        sheet,
        [(at(tick), tick_text(tick)) for tick in decades(lower, upper)],
        "rule",
        "|difference| of the deciding functional",
    )
    for y, own in _placed_cases(sheet, group):
        for offset, judged in enumerate(own):
            _draw_effect(sheet, y + _ROW * offset, judged, at, (lower, upper))
        tolerance = next((j.record.tolerance for j in own if j.record.tolerance), None)
        if tolerance:
            _draw_limit(sheet, at(tolerance), y - _ROW / 2, _ROW * len(own))
            sheet.text(at(tolerance), y - _ROW / 2 - 4, "δ", colour="confirmed", anchor="middle")


def _limits(group: Sequence[Judged]) -> tuple[float, float]:
    """Limits of the logarithmic axis: everything that is positive and finite, at most 18 decades down."""
    values = [v for j in group for v in _shown_values(j) if np.isfinite(v) and v > 0]
    largest = max(values, default=1.0)
    smallest = max(min(values, default=1e-3), largest * 1e-18)
    return smallest / 4, max(largest, smallest * 10) * 4


def _shown_values(judged: Judged) -> Iterator[float]:
    if judged.verdict is not None:
        k = deciding(judged.verdict)
        yield abs(float(judged.verdict.difference[k]))
        yield float(noise(judged.verdict)[k])
        yield surely_seen(judged.verdict)
        yield judged.verdict.tolerance or np.nan


def _draw_axis(sheet: Sheet, ticks: Sequence[tuple[float, str]], colour: str, label: str) -> None:
    """The axis below the rows with its numbers and name, and a thin line up from every number."""
    bottom = sheet.height - _BELOW
    for x, text in ticks:
        sheet.line(x, _ABOVE, 0, bottom - _ABOVE, colour=colour, width=0.6)
        sheet.text(x, bottom + 11, text, colour="muted", anchor="middle")
    sheet.line(_LEFT, bottom, _RIGHT - _LEFT, 0, colour="muted", width=0.8)
    sheet.text((_LEFT + _RIGHT) / 2, bottom + 29, label, anchor="middle")


def _placed_cases(sheet: Sheet, group: Sequence[Judged]) -> Iterator[tuple[float, list[Judged]]]:
    """Give every record a row and every case a heading; yields the middle of the first row of each case with its records."""
    cases, y = by_case(group), _ABOVE + _ROW / 2
    for case, own in cases.items():
        if len(cases) > 1:
            sheet.text(2, y, one_line(case or "default case", _LABEL), bold=True)
            y += _ROW
        for offset, judged in enumerate(own):
            _label_record(sheet, y + _ROW * offset, judged)
        gap = next((k for k, j in enumerate(own) if not j.record.stated), 0)
        if gap:
            sheet.line(_LEFT, y + _ROW * (gap - 0.5), _RIGHT - _LEFT, 0, colour="rule", width=0.8, dash="1 2")
        yield y, own
        y += _ROW * len(own)


def _label_record(sheet: Sheet, y: float, judged: Judged) -> None:
    record = judged.record
    name = one_line(record.variant, _LABEL)
    name, colour = (name, "ink") if record.holds else (f"✗ {name}", "failed")
    sheet.text(_LEFT - 7, y, name, colour=colour, anchor="end")


def _draw_effect(sheet: Sheet, y: float, judged: Judged, at: _Scale, limits: tuple[float, float]) -> None:
    if judged.verdict is None:
        sheet.text(_LEFT + 4, y, judged.record.found.lower(), colour="failed")
        return
    k = deciding(judged.verdict)
    explained, seen = float(noise(judged.verdict)[k]), surely_seen(judged.verdict)
    sheet.bar(_LEFT, y, at(explained) - _LEFT)
    if not np.isfinite(explained):
        sheet.text(_RIGHT - 3, y, "budget ∞", anchor="end")
    if limits[0] < seen < limits[1]:
        sheet.line(at(seen), y - 0.32 * _ROW, 0, 0.64 * _ROW, colour="muted", width=1.4)
    _mark(sheet, at(abs(float(judged.verdict.difference[k]))), y, judged)


def _mark(sheet: Sheet, x: float, y: float, judged: Judged) -> None:
    assert judged.verdict is not None
    shape, colour = _MARKS[judged.verdict.outcome]
    colour = colour if judged.record.holds else "failed"
    sheet.mark(x, y, shape, colour=colour, filled=judged.record.stated)


def _draw_limit(sheet: Sheet, x: float, y: float, length: float) -> None:
    sheet.line(x, y, 0, length, colour="confirmed", width=1.4, dash="7 3")


def _draw_bounds(sheet: Sheet, group: Sequence[Judged]) -> None:
    """Enclosures d ± (b + z se) of the component closest to violating the bound, on a signed axis around the bound.

    The axis is linear near zero and logarithmic far from it: arsinh of the value by the smallest that is shown.
    """
    known = [v for j in group if j.verdict is not None for v in _enclosure(j.verdict) if np.isfinite(v) and v != 0]
    scale = max((abs(v) for v in known), default=1.0)
    unit = max(min((abs(v) for v in known), default=scale), scale * 1e-6)

    def at(value: float) -> float:
        share = np.arcsinh(np.clip(np.nan_to_num(value, nan=3 * scale), -3 * scale, 3 * scale) / unit) / np.arcsinh(
            3 * scale / unit
        )
        return (_LEFT + _RIGHT) / 2 + float(share) * (_RIGHT - _LEFT) / 2

    _draw_axis(
        sheet,
        [(at(tick), number_text(tick)) for tick in (-scale, 0.0, scale)],
        "rule",
        "quantity that must stay below 0",
    )
    for y, own in _placed_cases(sheet, group):
        for offset, judged in enumerate(own):
            _draw_enclosure(sheet, y + _ROW * offset, judged, at)
    _draw_limit(sheet, at(0.0), _ABOVE, sheet.height - _BELOW - _ABOVE)


def _enclosure(verdict: Verdict) -> tuple[float, float, float]:
    k = deciding(verdict)
    d, slack = float(verdict.difference[k]), float(noise(verdict)[k])
    return d - slack, d, d + slack


def _draw_enclosure(sheet: Sheet, y: float, judged: Judged, at: _Scale) -> None:
    if judged.verdict is None:
        sheet.text(at(0.0), y, f" {judged.record.found.lower()}", colour="failed")
        return
    lower, middle, upper = (at(value) for value in _enclosure(judged.verdict))
    sheet.bar(lower, y, upper - lower)
    _mark(sheet, middle, y, judged)
