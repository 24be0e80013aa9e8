r"""Figures: inline SVG for the report, one drawing of the densities and one of the effects for each claim.

Density drawing: both sides at the last time, and below it their difference next to that of the nearest control.

Effect drawing: for every record |d| of its deciding functional on a logarithmic axis, a grey bar for what budget and
sampling noise explain (b + z se), a tick at the smallest effect that is surely seen, and the tolerance δ of the case.
Stated forms belong left of δ, controls right of it.

Text stays text, and colours are CSS variables (``--ink``, ``--first`` ...) with a light default.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fpk.laws import Array
from fpk.records import Judged
from fpk.svg import COLOURS, compacted
from fpk.verdict import Outcome, Verdict
from fpk.wording import deciding, noise, number_text, one_line, summary, surely_seen

#: Points kept of a curve; matplotlib then drops those that a straight line replaces.
CURVE_POINTS = 160
#: Density drawings of one claim, at most.
DENSITIES = 3

_WIDTH = 400
_ROW = 21
_LABEL = 24
_DRAWN = {name: drawn for name, (drawn, _) in COLOURS.items()}
_MARKS = {
    Outcome.CONFIRMED: ("o", "confirmed"),
    Outcome.REFUTED: ("D", "refuted"),
    Outcome.UNDECIDED: ("s", "undecided"),
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fpk",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 11.5,
    "path.simplify_threshold": 0.2,
    "axes.edgecolor": _DRAWN["muted"],
    "axes.labelcolor": _DRAWN["ink"],
    "text.color": _DRAWN["ink"],
    "xtick.labelcolor": _DRAWN["muted"],
    "ytick.labelcolor": _DRAWN["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
}


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
    cases = _by_case(group)
    shown = [(stated, own) for own in cases.values() if (stated := _main_form(own)) is not None]
    return [_density_figure(stated, own, named=len(cases) > 1) for stated, own in shown[:DENSITIES]]


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
    cases = len(_by_case(group))
    rows = len(group) + (cases if cases > 1 else 0)
    with matplotlib.rc_context(_STYLE):
        figure, axes = _sheet(_ROW * rows + 64)
        axes.set_position((0.43, 44 / _height(figure), 0.55, 1 - 64 / _height(figure)))
        draw = _draw_bounds if group[0].record.kind == "bound" else _draw_effects
        draw(axes, group)
        return _as_svg(figure, f"{group[0].record.id}: effect of each variant", summary(group))


def _by_case(group: Sequence[Judged]) -> dict[str, list[Judged]]:
    cases: dict[str, list[Judged]] = {}
    for judged in sorted(group, key=lambda j: not j.record.stated):
        cases.setdefault(judged.record.case, []).append(judged)
    return cases


def _main_form(own: Sequence[Judged]) -> Judged | None:
    """The form to draw: one that must be confirmed before one that must not, and only with curves."""
    drawable = [j for j in own if j.record.stated and _has_curves(j)]
    return min(drawable, key=lambda j: j.record.expected != Outcome.CONFIRMED, default=None)


def _has_curves(judged: Judged) -> bool:
    curves = judged.evidence.curves if judged.evidence is not None else {}
    sizes = {np.size(curves.get(name, ())) for name in ("x", "first", "second")}
    return len(sizes) == 1 and sizes.pop() > 1


# -- densities ---------------------------------------------------------------------------------------------------------


def _density_figure(stated: Judged, own: Sequence[Judged], *, named: bool) -> str:
    control, case = _nearest_control([j for j in own if j is not stated]), stated.record.case if named else ""
    with matplotlib.rc_context(_STYLE):
        figure, upper = _sheet(310)
        lower = figure.add_axes((0.15, 0.14, 0.83, 0.22), facecolor="none")
        upper.set_position((0.15, 0.43, 0.83, 0.34))
        _draw_densities(upper, stated, control, one_line(case, 40))
        exponent = _draw_differences(lower, stated, control)
        time, gap = _time_text(stated), _largest_gap(stated)
        lower.set_xlabel(f"x{time}")
        lower.set_ylabel("difference" if exponent == 0 else f"diff. · 1e{exponent}".replace("-", "−"))
        where = f" ({case})" if case else ""
        title = f"{stated.record.id}{where}: densities of both sides{time}"
        return _as_svg(figure, title, f"The densities differ by at most {number_text(gap)}.")


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


def _draw_densities(axes: Axes, stated: Judged, control: Judged | None, heading: str) -> None:
    x, first, second = _curves(stated)
    names = [*stated.record.pair, "first side", "second side"][:2]
    axes.plot(x, first, color=_DRAWN["first"], lw=3.2, alpha=0.6, label=one_line(names[0], 50))
    axes.plot(x, second, color=_DRAWN["second"], lw=1.5, ls=(0, (4, 2)), label=one_line(names[1], 50))
    if control is not None:
        wrong_x, wrong = _changed_side(control, stated)
        axes.plot(
            wrong_x,
            wrong,
            color=_DRAWN["control"],
            lw=1.3,
            zorder=1,
            ls=":",
            label=f"to be refuted: {one_line(control.record.variant, 36)}",
        )
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(0)
    axes.set_ylabel("density")
    axes.set_xticklabels([])
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.legend(
        title=heading or None, title_fontproperties={"weight": "bold", "size": 11.5}, alignment="left", frameon=False,
        loc="lower left", bbox_to_anchor=(0, 0.98), fontsize=10.5, labelspacing=0.15, borderpad=0, handlelength=1.8,
    )  # fmt: skip


def _changed_side(control: Judged, stated: Judged) -> tuple[Array, Array]:
    """The side of the control that is not the stated form's."""
    x, *sides = _curves(control)
    base, *own = _curves(stated)
    moved = [float(np.max(np.abs(np.interp(x, base, mine) - theirs))) for mine, theirs in zip(own, sides, strict=True)]
    return x, sides[int(np.argmax(moved))]


def _draw_differences(axes: Axes, stated: Judged, control: Judged | None) -> int:
    """Draw first minus second; returns the power of ten the axis is scaled by."""
    x, first, second = _curves(stated)
    drawn = [(x, first - second, "ink", "-", 1.3)]
    if control is not None:
        wrong_x, *sides = _curves(control)
        drawn.insert(0, (wrong_x, sides[0] - sides[1], "control", ":", 1.3))
    largest = max(float(np.max(np.abs(d))) for _, d, *_ in drawn)
    exponent = int(np.floor(np.log10(largest))) if largest > 0 else 0
    exponent = 0 if -1 <= exponent <= 2 else exponent
    axes.axhline(0, color=_DRAWN["rule"], lw=0.8)
    for where, d, colour, style, width in drawn:
        axes.plot(where, d / 10.0**exponent, color=_DRAWN[colour], ls=style, lw=width)
    axes.set_xlim(x[0], x[-1])
    axes.yaxis.set_major_locator(MaxNLocator(2))
    _plain_ticks(axes)
    return exponent


# -- effects -----------------------------------------------------------------------------------------------------------


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
    _decade_ticks(axes, lower, upper)
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
    cases, y = _by_case(group), 0
    for case, own in cases.items():
        if len(cases) > 1:
            heading = one_line(case or "default case", _LABEL)
            axes.text(-0.77, y, heading, transform=axes.get_yaxis_transform(), va="center", weight="bold")
            y += 1
        for offset, judged in enumerate(own):
            _label_record(axes, y + offset, judged)
        gap = next((k for k, j in enumerate(own) if not j.record.stated), 0)
        if gap:
            axes.axhline(y + gap - 0.5, color=_DRAWN["rule"], lw=0.8, ls=(0, (1, 2)))
        yield y, own
        y += len(own)
    axes.set_ylim(y - 0.4, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _label_record(axes: Axes, y: int, judged: Judged) -> None:
    record = judged.record
    name = one_line(record.variant, _LABEL)
    name, colour = (name, "ink") if record.holds else (f"✗ {name}", "failed")
    axes.text(-0.03, y, name, transform=axes.get_yaxis_transform(), ha="right", va="center", color=_DRAWN[colour])


def _draw_effect(axes: Axes, y: int, judged: Judged, lower: float, upper: float) -> None:
    if judged.verdict is None:
        axes.text(lower * 1.2, y, "crashed", color=_DRAWN["failed"], va="center")
        return
    k = deciding(judged.verdict)
    explained, seen = float(noise(judged.verdict)[k]), surely_seen(judged.verdict)
    axes.plot([lower, min(explained, upper)], [y, y], color=_DRAWN["noise"], lw=7, solid_capstyle="butt")
    if not np.isfinite(explained):
        axes.text(upper, y, "budget ∞ ", color=_DRAWN["ink"], va="center", ha="right")
    if np.isfinite(seen) and seen > lower:
        axes.plot([seen, seen], [y - 0.32, y + 0.32], color=_DRAWN["muted"], lw=1.4)
    _mark(axes, max(abs(float(judged.verdict.difference[k])), lower), y, judged)


def _mark(axes: Axes, x: float, y: int, judged: Judged) -> None:
    assert judged.verdict is not None
    shape, colour = _MARKS[judged.verdict.outcome]
    colour = colour if judged.record.holds else "failed"
    face = _DRAWN[colour] if judged.record.stated else "none"
    axes.plot([x], [y], marker=shape, ms=7, mfc=face, mec=_DRAWN[colour], mew=1.6, ls="none", clip_on=False, zorder=5)


def _draw_tolerance(axes: Axes, top: float, rows: int, tolerance: float, lower: float) -> None:
    axes.plot([tolerance, tolerance], [top, top + rows], color=_DRAWN["confirmed"], lw=1.4, ls=(0, (5, 2)))
    axes.text(tolerance, top + 0.02, "δ", color=_DRAWN["confirmed"], ha="center", va="bottom", fontsize=10)


def _decade_ticks(axes: Axes, lower: float, upper: float) -> None:
    first, last = int(np.ceil(np.log10(lower))), int(np.floor(np.log10(upper)))
    step = max(1, int(np.ceil((last - first) / 4)))
    powers = range(first, last + 1, step)
    axes.set_xticks([10.0**p for p in powers], [number_text(10.0**p) for p in powers])
    axes.minorticks_off()
    axes.grid(axis="x", color=_DRAWN["rule"], lw=0.6)
    axes.set_axisbelow(True)


def _draw_bounds(axes: Axes, group: Sequence[Judged]) -> None:
    """Enclosures d ± (b + z se) of the component closest to violating the bound, on a signed axis around the bound."""
    known = [v for j in group if j.verdict is not None for v in _enclosure(j.verdict) if np.isfinite(v) and v != 0]
    scale = max((abs(v) for v in known), default=1.0)
    axes.set_xscale("symlog", linthresh=max(min((abs(v) for v in known), default=scale), scale * 1e-6))
    axes.set_xlim(-3 * scale, 3 * scale)
    for y, own in _placed_cases(axes, group):
        for offset, judged in enumerate(own):
            _draw_enclosure(axes, y + offset, judged, 3 * scale)
    axes.axvline(0, color=_DRAWN["confirmed"], lw=1.4, ls=(0, (5, 2)))
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
        axes.text(0, y, " crashed", color=_DRAWN["failed"], va="center")
        return
    lower, middle, upper = np.clip(_enclosure(judged.verdict), -edge, edge)
    axes.plot([lower, upper], [y, y], color=_DRAWN["noise"], lw=7, solid_capstyle="butt")
    _mark(axes, float(middle), y, judged)


# -- from matplotlib to a page -----------------------------------------------------------------------------------------


def _sheet(height: float) -> tuple[Figure, Axes]:
    """A transparent figure, 72 units to the inch so that its lengths are the page's."""
    figure = Figure(figsize=(_WIDTH / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.patch.set_visible(False)
    return figure, axes


def _height(figure: Figure) -> float:
    return 72 * float(figure.get_figheight())


def _plain_ticks(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: number_text(round(value, 12)))


def _as_svg(figure: Figure, title: str, description: str) -> str:
    with warnings.catch_warnings():
        # Text is written as text: a glyph missing from the font that measures it will come from the reader's.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        for axes in figure.axes:
            axes.tick_params(length=0)
        FigureCanvasSVG(figure).print_svg(
            out := StringIO(), metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    return compacted(out.getvalue(), title=one_line(title, 200), description=one_line(description, 400))
