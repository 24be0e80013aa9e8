r"""What all drawings share: their size, style and ticks, and the way from matplotlib to a page."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import StringIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fpk.records import Judged
from fpk.svg import COLOURS, FONT_SIZE, compacted
from fpk.wording import number_text, one_line

#: Width of every drawing, in its own units; the page scales it.
WIDTH = 400
#: Settings of matplotlib while a drawing is made.
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fpk",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": FONT_SIZE,
    "path.simplify_threshold": 0.2,
    "lines.solid_capstyle": "butt",
    "axes.axisbelow": True,
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["ink"],
    "text.color": COLOURS["ink"],
    "xtick.labelcolor": COLOURS["muted"],
    "ytick.labelcolor": COLOURS["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def by_case(group: Sequence[Judged]) -> dict[str, list[Judged]]:
    """The records of a claim by case, stated forms before controls."""
    cases: dict[str, list[Judged]] = {}
    for judged in sorted(group, key=lambda j: not j.record.stated):
        cases.setdefault(judged.record.case, []).append(judged)
    return cases


def sheet(height: float) -> tuple[Figure, Axes]:
    """A transparent figure, 72 units to the inch so that its lengths are the page's."""
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.patch.set_visible(False)
    return figure, axes


def tick_text(value: float) -> str:
    """A number at a tick: as the page writes it, and thousands in full."""
    return f"{value:,.0f}".replace("-", "−") if 1e3 <= abs(value) < 1e5 and value % 1 == 0 else number_text(value)


def as_svg(figure: Figure, title: str, description: str) -> str:
    """The figure for a page. Lines are not clipped: whoever draws keeps them within the axes."""
    for line in figure.findobj(Line2D):
        line.set_clip_on(False)
    with warnings.catch_warnings():
        # Text is written as text: a glyph missing from the font that measures it will come from the reader's.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        for axes in figure.axes:
            axes.tick_params(length=0)
        FigureCanvasSVG(figure).print_svg(
            out := StringIO(), metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    return compacted(out.getvalue(), **words(title, description))


def words(title: str, description: str) -> dict[str, str]:
    """Title and description of a drawing, each one line."""
    return {"title": one_line(title, 200), "description": one_line(description, 600)}


def decades(lower: float, upper: float) -> list[float]:
    """Ticks of a logarithmic axis: at most five decades; 1, 2, 5 or even steps where there is not even one of them."""
    first, last = int(np.ceil(np.log10(lower))), int(np.floor(np.log10(upper)))
    step = max(1, int(np.ceil((last - first) / 4)))
    ticks = [10.0**p for p in range(first, last + 1, step)]
    if len(ticks) < 2:
        ticks = [m * 10.0**p for p in range(first - 1, last + 1) for m in (1, 2, 5) if lower <= m * 10.0**p <= upper]
    if len(ticks) < 2:
        ticks = [float(tick) for tick in MaxNLocator(4).tick_values(lower, upper) if lower <= tick <= upper]
    return ticks


def _both_sides(lower: float, upper: float, even: float) -> list[float]:
    """Zero and at most three decades to each of its sides, none in the quarter that is next to it."""
    sides = [(sign, size) for sign, size in ((-1.0, -lower), (1.0, upper)) if size >= 100 * even]
    found = [sign * tick for sign, size in sides for tick in decades(even * (size / even) ** 0.25, size)[::-1][::2]]
    return sorted([0.0, *found])


def decade_ticks(axis: Axis, lower: float, upper: float, *, even: float = 0.0) -> None:
    """The decades at a logarithmic axis of matplotlib's; on both sides of zero where it is even around it."""
    ticks = _both_sides(lower, upper, even) if even else decades(lower, upper)
    axis.set_ticks(ticks, labels=[tick_text(tick) for tick in ticks])
    axis.set_ticks([], minor=True)
