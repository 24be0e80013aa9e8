r"""Effect drawings: how far every record of a claim is from equality, against what its errors explain and what is tolerated.

For every record |d| of its deciding functional on a logarithmic axis, a grey bar for what budget and sampling noise
explain (b + z se), a tick at the smallest effect that is surely seen, and the tolerance δ of the case. Stated forms
belong left of δ, controls right of it. For bounds: enclosures of the quantity that must stay below zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from fpk.figures.drawing import STYLE, as_svg, by_case, decade_ticks, height, sheet
from fpk.records import Judged
from fpk.svg import COLOURS
from fpk.verdict import Outcome, Verdict
from fpk.wording import deciding, noise, number_text, one_line, summary, surely_seen

_ROW = 21
_LABEL = 24
_MARKS = {
    Outcome.CONFIRMED: ("o", "confirmed"),
    Outcome.REFUTED: ("D", "refuted"),
    Outcome.UNDECIDED: ("s", "undecided"),
}


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
    with matplotlib.rc_context(STYLE):
        figure, axes = sheet(_ROW * rows + 64)
        axes.set_position((0.43, 44 / height(figure), 0.55, 1 - 64 / height(figure)))
        draw = _draw_bounds if group[0].record.kind == "bound" else _draw_effects
        draw(axes, group)
        return as_svg(figure, f"{group[0].record.id}: effect of each variant", summary(group))


def _draw_effects(axes: Axes, group: Sequence[Judged]) -> None:
    lower, upper = _limits(group)
    axes.set_xscale("log")
    axes.set_xlim(lower, upper)
    for y, own in _placed_cases(axes, group):
        for offset, judged in enumerate(own):
            _draw_effect(axes, y + offset, judged, lower, upper)
        tolerance = next((j.record.tolerance for j in own if j.record.tolerance), None)
        if tolerance:
            _draw_tolerance(axes, y - 0.5, len(own), tolerance, lower)
    decade_ticks(axes.xaxis, lower, upper)
    for tick in axes.get_xticks():
        axes.axvline(float(tick), color=COLOURS["rule"], lw=0.6, zorder=0.5)
    axes.set_xlabel("|difference| of the deciding functional")


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


def _placed_cases(axes: Axes, group: Sequence[Judged]) -> Iterator[tuple[int, list[Judged]]]:
    """Give every record a row and every case a heading; yields the first row of each case with its records."""
    cases, y = by_case(group), 0
    for case, own in cases.items():
        if len(cases) > 1:
            heading = one_line(case or "default case", _LABEL)
            axes.text(-0.77, y, heading, transform=axes.get_yaxis_transform(), va="center", weight="bold")
            y += 1
        for offset, judged in enumerate(own):
            _label_record(axes, y + offset, judged)
        gap = next((k for k, j in enumerate(own) if not j.record.stated), 0)
        if gap:
            axes.axhline(y + gap - 0.5, color=COLOURS["rule"], lw=0.8, ls=(0, (1, 2)))
        yield y, own
        y += len(own)
    axes.set_ylim(y - 0.4, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _label_record(axes: Axes, y: int, judged: Judged) -> None:
    record = judged.record
    name = one_line(record.variant, _LABEL)
    name, colour = (name, "ink") if record.holds else (f"✗ {name}", "failed")
    axes.text(-0.03, y, name, transform=axes.get_yaxis_transform(), ha="right", va="center", color=COLOURS[colour])


def _draw_effect(axes: Axes, y: int, judged: Judged, lower: float, upper: float) -> None:
    if judged.verdict is None:
        axes.text(lower * 1.2, y, "crashed", color=COLOURS["failed"], va="center")
        return
    k = deciding(judged.verdict)
    explained, seen = float(noise(judged.verdict)[k]), surely_seen(judged.verdict)
    axes.plot([lower, np.clip(explained, lower, upper)], [y, y], color=COLOURS["noise"], lw=7, zorder=1.5)
    if not np.isfinite(explained):
        axes.text(upper, y, "budget ∞ ", color=COLOURS["ink"], va="center", ha="right")
    if lower < seen < upper:
        axes.plot([seen, seen], [y - 0.32, y + 0.32], color=COLOURS["muted"], lw=1.4)
    _mark(axes, max(abs(float(judged.verdict.difference[k])), lower), y, judged)


def _mark(axes: Axes, x: float, y: int, judged: Judged) -> None:
    assert judged.verdict is not None
    shape, colour = _MARKS[judged.verdict.outcome]
    colour = colour if judged.record.holds else "failed"
    face = COLOURS[colour] if judged.record.stated else "none"
    axes.plot([x], [y], marker=shape, ms=7, mfc=face, mec=COLOURS[colour], mew=1.6, ls="none", zorder=5)


def _draw_tolerance(axes: Axes, top: float, rows: int, tolerance: float, lower: float) -> None:
    axes.plot([tolerance, tolerance], [top, top + rows], color=COLOURS["confirmed"], lw=1.4, ls=(0, (5, 2)))
    axes.text(tolerance, top + 0.02, "δ", color=COLOURS["confirmed"], ha="center", va="bottom", fontsize=10)


def _draw_bounds(axes: Axes, group: Sequence[Judged]) -> None:
    """Enclosures d ± (b + z se) of the component closest to violating the bound, on a signed axis around the bound."""
    known = [v for j in group if j.verdict is not None for v in _enclosure(j.verdict) if np.isfinite(v) and v != 0]
    scale = max((abs(v) for v in known), default=1.0)
    axes.set_xscale("symlog", linthresh=max(min((abs(v) for v in known), default=scale), scale * 1e-6))
    axes.set_xlim(-3 * scale, 3 * scale)
    for y, own in _placed_cases(axes, group):
        for offset, judged in enumerate(own):
            _draw_enclosure(axes, y + offset, judged, 3 * scale)
    axes.axvline(0, color=COLOURS["confirmed"], lw=1.4, ls=(0, (5, 2)))
    ticks = [-scale, 0.0, scale]
    axes.set_xticks(ticks, [number_text(t) for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel("quantity that must stay below 0")


def _enclosure(verdict: Verdict) -> tuple[float, float, float]:
    k = deciding(verdict)
    d, slack = float(verdict.difference[k]), float(noise(verdict)[k])
    return d - slack, d, d + slack


def _draw_enclosure(axes: Axes, y: int, judged: Judged, edge: float) -> None:
    if judged.verdict is None:
        axes.text(0, y, " crashed", color=COLOURS["failed"], va="center")
        return
    lower, middle, upper = np.clip(_enclosure(judged.verdict), -edge, edge)
    axes.plot([lower, upper], [y, y], color=COLOURS["noise"], lw=7, zorder=1.5)
    _mark(axes, float(middle), y, judged)
