r"""Density drawings: both sides at the last time, and below it their difference next to that of the nearest control."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from fpk.figures.drawing import STYLE, as_svg, by_case, plain_ticks, sheet
from fpk.laws import Array
from fpk.records import Judged
from fpk.svg import COLOURS
from fpk.verdict import Outcome
from fpk.wording import number_text, one_line

#: Points kept of a curve; matplotlib then drops those that a straight line replaces.
CURVE_POINTS = 160
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
    with matplotlib.rc_context(STYLE):
        figure, upper = sheet(310)
        lower = figure.add_axes((0.15, 0.14, 0.83, 0.22), facecolor="none")
        upper.set_position((0.15, 0.43, 0.83, 0.34))
        _draw_densities(upper, stated, control, one_line(case, 40))
        exponent = _draw_differences(lower, stated, control)
        time, gap = _time_text(stated), _largest_gap(stated)
        lower.set_xlabel(f"x{time}")
        lower.set_ylabel("difference" if exponent == 0 else f"diff. · 1e{exponent}".replace("-", "−"))
        where = f" ({case})" if case else ""
        title = f"{stated.record.id}{where}: densities of both sides{time}"
        return as_svg(figure, title, f"The densities differ by at most {number_text(gap)}.")


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
    axes.plot(x, np.maximum(first, 0), color=COLOURS["first"], lw=3.2, alpha=0.6, label=one_line(names[0], 50))
    axes.plot(x, np.maximum(second, 0), color=COLOURS["second"], lw=1.5, ls=(0, (4, 2)), label=one_line(names[1], 50))
    if control is not None:
        wrong_x, wrong = _changed_side(control, stated)
        shown = _between(wrong_x, x)
        axes.plot(
            wrong_x[shown],
            np.maximum(wrong[shown], 0),
            color=COLOURS["control"],
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


def _between(x: Array, ends: Array) -> NDArray[np.bool_]:
    """Where x lies between the first and the last of some positions."""
    return (x >= ends[0]) & (x <= ends[-1])


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
        shown = _between(wrong_x, x)
        drawn.insert(0, (wrong_x[shown], (sides[0] - sides[1])[shown], "control", ":", 1.3))
    largest = max(float(np.max(np.abs(d), initial=0)) for _, d, *_ in drawn)
    exponent = int(np.floor(np.log10(largest))) if largest > 0 else 0
    exponent = 0 if -1 <= exponent <= 2 else exponent
    axes.axhline(0, color=COLOURS["rule"], lw=0.8)
    for where, d, colour, style, width in drawn:
        axes.plot(where, d / 10.0**exponent, color=COLOURS[colour], ls=style, lw=width)
    axes.set_xlim(x[0], x[-1])
    axes.yaxis.set_major_locator(MaxNLocator(2))
    plain_ticks(axes)
    return exponent
