r"""Chart drawings: points with error bars, curves with bands, and what they are held against.

Every series has a colour, a shape and a dash of its own, so that none is told by colour alone. What no logarithmic axis can show (zero
events) stands as an open mark on its lower edge. Words for marks and the legend stand above the axes, never on the data.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation, Transform

from fpk.charts import Chart, Series
from fpk.figures.drawing import STYLE, WIDTH, as_svg, by_case, decade_ticks, sheet, tick_text
from fpk.laws import Array
from fpk.records import Judged
from fpk.svg import COLOURS
from fpk.tables import charts_of
from fpk.verdict import Outcome
from fpk.wording import number_text, one_line

_COLOURS = ("first", "second", "confirmed", "control", "ink", "undecided", "refuted")
_SHAPES = ("o", "D", "s", "^", "v", "X", "P")
#: Of controls, which share one colour.
_DOTS = ((0, (1, 1.5)), (0, (1, 3.5)), (0, (4, 1.5, 1, 1.5)))
_DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 3)))
#: Lines of at most so many points show them.
_FEW = 16
_LINE, _SMALL = 14.5, 10.5
_LEFT, _RIGHT, _BOTTOM, _PLOT, _ROW = 58, 8, 42, 200, 24


def chart_figures(group: Sequence[Judged]) -> list[str]:
    """The charts that the stated forms of a claim hand over, case by case.

    Parameters
    ----------
    group : sequence of Judged
        Every record of one claim.

    Returns
    -------
    list of str
        SVG elements.
    """
    cases = by_case(group)
    return [
        _chart_figure(chart, f"{judged.record.id}, {_origin(judged)}", judged.record.case if len(cases) > 1 else "")
        for own in cases.values()
        for judged, chart in charts_of(own)
    ]


def _origin(judged: Judged) -> str:
    return ", ".join(part for part in (judged.record.variant, judged.record.case) if part)


def described(chart: Chart) -> str:
    """A chart in words: its axes, and for every series where it goes."""
    parts = [f"{chart.y_label or 'value'} against {chart.x_label or 'class'}."]
    for one in chart.series:
        if one.kind == "reference" and len(one.y) and np.ptp(one.y) == 0:
            parts.append(f"{one.name}: {number_text(float(one.y[0]))} throughout.")
            continue
        ranges = f"{_range(one.y)}, x {_range(one.x)}" if not chart.x_names else _range(one.y)
        parts.append(f"{one.name}: {len(one.x)} {'points' if one.kind == 'points' else 'places'}, {ranges}.")
    return " ".join([*parts, *(f"{word} at {number_text(x)}." for word, x in chart.marks.items())])


def _range(values: Array) -> str:
    known = np.asarray(values, float)[np.isfinite(values)]
    return f"{number_text(known.min())} to {number_text(known.max())}" if len(known) else "nothing"


# -- layout ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """Lines of text above the axes, and the sides of the axes, in units of the drawing."""

    heading: list[str]
    legend_rows: int
    mark_rows: int
    left: float
    plot: float

    @property
    def above(self) -> float:
        return _LINE * (len(self.heading) + self.legend_rows + self.mark_rows) + 12

    @property
    def height(self) -> float:
        return self.above + self.plot + _BOTTOM

    def rectangle(self) -> tuple[float, float, float, float]:
        """Position of the axes as parts of the figure."""
        width = (WIDTH - self.left - _RIGHT) / WIDTH
        return self.left / WIDTH, _BOTTOM / self.height, width, self.plot / self.height


def _chart_figure(chart: Chart, where: str, case: str) -> str:
    names = [one_line(one.name, 56) for one in chart.series]
    case = "" if case in chart.title else case
    columns = 2 if len(names) > 2 and max(map(len, names)) <= 24 else 1
    heading = [*textwrap.wrap(one_line(chart.title, 160), 54), *([one_line(case, 60)] if case else [])]
    categories = len(chart.x_names)
    layout = _Layout(
        heading,
        legend_rows=-(-len(names) // columns),
        mark_rows=_mark_rows(chart),
        left=min(6.6 * max(map(len, map(_category, chart.x_names))) + 10, 0.45 * WIDTH) if categories else _left(chart),
        plot=_ROW * categories if categories else _PLOT,
    )
    with matplotlib.rc_context(STYLE):
        figure, axes = sheet(layout.height)
        axes.set_position(layout.rectangle())
        _draw_heading(axes, heading, bool(case), layout.height)
        (_draw_categories if categories else _draw_plane)(axes, chart)
        _draw_legend(axes, names, columns, layout)
        return as_svg(figure, f"{where}: {chart.title}", described(chart))


def _draw_heading(axes: Axes, lines: Sequence[str], last_is_case: bool, tall: float) -> None:
    """Title in bold, and below it the case."""
    for k, text in enumerate(lines):
        case = last_is_case and k == len(lines) - 1
        y = 1 - (k + 0.8) * _LINE / tall
        axes.figure.text(0, y, text, weight="normal" if case else "bold", color=COLOURS["muted" if case else "ink"])


def _draw_legend(axes: Axes, names: Sequence[str], columns: int, layout: _Layout) -> None:
    top = 1 - (_LINE * len(layout.heading) + 3) / layout.height
    handles = {handle.get_label(): handle for handle in axes.get_legend_handles_labels()[0]}
    axes.figure.legend(
        [handles[str(k)] for k in range(len(names))], names, ncols=columns, frameon=False, fontsize=_SMALL, loc="upper left",
        bbox_to_anchor=(0, top), borderaxespad=0, borderpad=0, labelspacing=0.15, handlelength=2.4, columnspacing=1.2,
    )  # fmt: skip


def _category(name: str) -> str:
    return one_line(name, 28)


# -- axes --------------------------------------------------------------------------------------------------------------


def _draw_plane(axes: Axes, chart: Chart) -> None:
    """Two axes of numbers."""
    x_limits, y_limits = _x_limits(chart), _y_limits(chart)
    axes.set(xlabel=one_line(chart.x_label, 60), ylabel=textwrap.fill(one_line(chart.y_label, 60), 34))
    _scale(axes, "x", x_limits, log=chart.log_x, count=6)
    _scale(axes, "y", y_limits, log=chart.log_y, count=5, even=chart.even_within)
    axes.grid(axis="y", color=COLOURS["rule"], lw=0.6)
    for word, x, row, place in _placed_marks(chart):
        axes.axvline(x, color=COLOURS["muted"], lw=1.2, ls=(0, (3, 2)))
        up = ScaledTranslation(0, (3 + row * _LINE) / 72, axes.figure.dpi_scale_trans)
        axes.text((place - _left(chart)) / _inner(chart), 1, word, fontsize=_SMALL, transform=axes.transAxes + up)
    for one, look, dodge in _dressed(chart):
        aside = ScaledTranslation(dodge / 72, 0, axes.figure.dpi_scale_trans)
        _draw(axes, _Drawn(one, look, y_limits, axes.transData + aside))


def _draw_categories(axes: Axes, chart: Chart) -> None:
    """One row for each category, top to bottom, and y to the right."""
    limits, names = _y_limits(chart), chart.x_names
    axes.set(ylim=(len(names) - 0.5, -0.5), xlabel=one_line(chart.y_label, 60))
    _scale(axes, "x", limits, log=chart.log_y, count=5, even=chart.even_within)
    axes.set_yticks(range(len(names)), [_category(name) for name in names])
    axes.tick_params(axis="y", labelcolor=COLOURS["ink"])
    axes.grid(axis="x", color=COLOURS["rule"], lw=0.6)
    for one, look, dodge in _dressed(chart):
        below = ScaledTranslation(0, -dodge / 72, axes.figure.dpi_scale_trans)
        _draw(axes, _Drawn(one, look, limits, axes.transData + below, upright=False))


def _scale(axes: Axes, name: str, limits: tuple[float, float], *, log: bool, count: int, even: float = 0.0) -> None:
    """Limits, scale and ticks of the axis ``x`` or ``y``; logarithmic on both sides of zero if evenly drawn around it."""
    both = {"linthresh": even, "linscale": 0.5} if log and even else {}
    (axes.set_xscale if name == "x" else axes.set_yscale)("symlog" if both else "log" if log else "linear", **both)
    axes.set(**{f"{name}lim": limits})
    axis = axes.xaxis if name == "x" else axes.yaxis
    if log:
        decade_ticks(axis, *limits, even=even)
    else:
        axis.set_major_locator(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(lambda value, _: tick_text(round(value, 12)))


def _left(chart: Chart) -> float:
    """Where the axes begin: signs of both kinds make the numbers at their side wider."""
    return _LEFT + (13 if chart.even_within else 0)


def _inner(chart: Chart) -> float:
    return WIDTH - _left(chart) - _RIGHT


def _x_limits(chart: Chart) -> tuple[float, float]:
    return _limits([*(one.x for one in chart.series), np.array(list(chart.marks.values()), float)], chart.log_x)


def _y_limits(chart: Chart) -> tuple[float, float]:
    """Limits that hold every value and bar; bars that reach far down a logarithmic axis are cut a decade below the values."""
    y = [np.asarray(one.y, float) for one in chart.series]
    bars = [np.asarray(bar, float) for one in chart.series for bar in (one.lower, one.upper)]
    if chart.log_y and chart.even_within:
        ends = [v for own in (*y, *bars) for v in own[np.isfinite(own)]]
        least, most, even = min(ends, default=0.0), max(ends, default=0.0), chart.even_within
        return float(min(2 * least, -even)), float(max(2 * most, even))
    if chart.log_y:
        lowest = min((v.min() for own in (*y, *bars[1::2]) if len(v := own[own > 0])), default=0.1)
        bars = [bar[bar > lowest / 10] for bar in bars]
    return _limits([*y, *bars], chart.log_y)


def _limits(arrays: Sequence[Array], log: bool) -> tuple[float, float]:
    values = np.concatenate([np.asarray(values, float) for values in arrays])
    values = values[np.isfinite(values)]
    known = np.log10(values[values > 0]) if log else values
    lower, upper = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    margin = max(0.06 * (upper - lower), 0.05 if log else 0.02 * abs(upper), 1e-300) if upper > lower else 0.5
    lower, upper = lower - margin, upper + margin
    return (10.0**lower, 10.0**upper) if log else (float(lower), float(upper))


def _mark_rows(chart: Chart) -> int:
    return 1 + max((row for _, _, row, _ in _placed_marks(chart)), default=-1)


def _placed_marks(chart: Chart) -> Iterator[tuple[str, float, int, float]]:
    """Word, x, row above the axes and left edge of every mark, so that no two words meet."""
    limits, ends = _x_limits(chart), dict[int, float]()
    change = np.log10 if chart.log_x else np.asarray
    for word, x in sorted(chart.marks.items(), key=lambda item: item[1]):
        part = np.interp(change(x), change(limits), (0, 1))
        text, width = one_line(word, 40), 5.8 * min(len(word), 40)
        left = float(np.clip(_left(chart) + part * _inner(chart) - width / 2, 0, WIDTH - width))
        row = next(k for k in range(len(chart.marks)) if ends.get(k, -1.0) < left)
        ends[row] = left + width + 8
        yield text, x, row, left


# -- series ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Look:
    """How a series is told from the others."""

    label: str
    colour: str
    shape: str
    dash: object


@dataclass(frozen=True)
class _Drawn:
    """A series on its way to the axes: values kept within the limits, x and y exchanged unless upright."""

    series: Series
    look: _Look
    limits: tuple[float, float]
    transform: Transform
    upright: bool = True

    def placed(self, x: Array, y: Array) -> tuple[Array, Array]:
        y = np.clip(np.asarray(y, float), *self.limits)
        return (np.asarray(x, float), y) if self.upright else (y, np.asarray(x, float))


def _dressed(chart: Chart) -> Iterator[tuple[Series, _Look, float]]:
    """Every series with its look, and by how much it steps aside where points would cover each other."""
    own = [one for one in chart.series if one.kind in ("points", "line")]
    beside = own if chart.x_names else [one for one in own if one.kind == "points"]
    places = np.concatenate([np.asarray(one.x, float) for one in beside]) if beside else np.zeros(0)
    crowded = len(np.unique(places)) < len(places)
    room = 16 if chart.x_names else 30
    step = min(5.0, room / max(len(beside), 1)) if crowded else 0.0
    quiet = dotted = 0
    for k, one in enumerate(chart.series):
        if one.kind == "reference":
            yield one, _Look(str(k), "muted", "", _DASHES[1 + quiet % 5]), 0.0
            quiet += 1
        elif one.kind == "control":
            yield one, _Look(str(k), "control", _SHAPES[-1 - dotted % 7], _DOTS[dotted % 3]), 0.0
            dotted += 1
        else:
            j = own.index(one)
            look = _Look(str(k), _colour(one.name, j), _SHAPES[j % 7], _DASHES[j % 7])
            yield one, look, step * (beside.index(one) - (len(beside) - 1) / 2) if one in beside else 0.0


def _colour(name: str, j: int) -> str:
    """That of the badge for a series named by a verdict, else the j-th."""
    word = name.partition(" ")[0]
    return word.lower() if word in list(Outcome) else _COLOURS[j % 7]


def _draw(axes: Axes, drawn: _Drawn) -> None:
    if drawn.series.kind == "reference":
        _draw_reference(axes, drawn)
    elif drawn.series.kind in ("line", "control") and drawn.upright:
        _draw_line(axes, drawn)
    else:
        _draw_points(axes, drawn)


def _draw_reference(axes: Axes, drawn: _Drawn) -> None:
    """A quiet line; from edge to edge where it is constant."""
    one = drawn.series
    edges = np.array(axes.get_xlim() if drawn.upright else axes.get_ylim())
    x, y, *band = (np.asarray(values, float) for values in (one.x, one.y, one.lower, one.upper))
    if len(y) and np.ptp(y) == 0:
        x, y, *band = edges, y[[0, -1]], *(ends[[0, -1]] for ends in band if len(ends))
    colour = COLOURS[drawn.look.colour]
    axes.plot(*drawn.placed(x, y), color=colour, lw=1.2, ls=drawn.look.dash, label=drawn.look.label, zorder=1.5)
    _fill(axes, drawn, x, band, "noise", 0.35)


def _draw_line(axes: Axes, drawn: _Drawn) -> None:
    one, look = drawn.series, drawn.look
    shape = look.shape if len(one.x) <= _FEW else ""
    axes.plot(
        *drawn.placed(one.x, one.y),
        color=COLOURS[look.colour],
        lw=1.6,
        ls=look.dash,
        marker=shape,
        ms=4.5,
        label=look.label,
    )
    _fill(axes, drawn, one.x, (one.lower, one.upper), look.colour, 0.18)


def _fill(axes: Axes, drawn: _Drawn, x: Array, band: Sequence[Array], colour: str, strength: float) -> None:
    """A band between its two ends, if there is one."""
    if len(band) == 2 and len(band[0]):
        lower, upper = (np.clip(np.asarray(ends, float), *drawn.limits) for ends in band)
        fill = axes.fill_between if drawn.upright else axes.fill_betweenx
        edge = COLOURS["muted" if colour == "noise" else colour]  # the band alone is faint
        fill(x, lower, upper, facecolor=(COLOURS[colour], strength), edgecolor=edge, lw=0.6, zorder=1, clip_on=False)


def _draw_points(axes: Axes, drawn: _Drawn) -> None:
    """Marks with error bars; open ones at the edge for values that the axis cannot show."""
    one, look, colour = drawn.series, drawn.look, COLOURS[drawn.look.colour]
    x, y, gap = np.asarray(one.x, float), np.asarray(one.y, float), np.full(len(one.x), np.nan)
    if len(one.lower):
        bars = np.ravel(np.column_stack([one.lower, one.upper, gap]).astype(float))
        axes.plot(*drawn.placed(np.repeat(x, 3), bars), color=colour, lw=1.4, transform=drawn.transform)
    style = {"color": colour, "marker": look.shape, "ms": 6.0, "ls": "none", "transform": drawn.transform}
    shown = y >= drawn.limits[0]
    axes.plot(*drawn.placed(x[shown], y[shown]), **style, label=look.label)
    if not shown.all():
        axes.plot(*drawn.placed(x[~shown], y[~shown]), **style, mfc="none", mew=1.3)
