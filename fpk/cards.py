"""Cards: how a notebook shows a problem, a solution or a verdict.

A card is a title, named values, at most one table and at most one small drawing. It is plain HTML: every text is escaped, there is no
script, nothing is fetched, and all colours are those of the page around it, dark or light.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.svg import Sheet

#: Longest text of a value, and most lines of a table, that a card shows.
LONGEST, MOST = 300, 24
#: Size of a drawing, and how curves are told apart without colours.
WIDTH, HEIGHT, DASHES = 420.0, 130.0, ("", "6 3", "2 3", "9 3 2 3")
_FRAME = (
    "color:inherit;background:transparent;border-left:3px solid currentColor;padding:.1em 0 .1em .8em;max-width:48em"
)
_CELL = "text-align:left;vertical-align:top;background:transparent;color:inherit;padding:.1em .8em .1em 0;border:0"


@dataclass(frozen=True)
class Curve:
    """A line of a card's drawing: a name and points x, y of equal lengths; points that are not finite are left out."""

    name: str
    x: Any
    y: Any


@dataclass(frozen=True)
class Card:
    """What is shown of an object.

    Parameters
    ----------
    title : str
    rows : sequence of (str, object)
        Named values; those that are empty texts or None are left out.
    header, lines : sequences
        Names of a table's columns, and its lines of as many values; beyond two dozen the rest is counted.
    curves : sequence of Curve
        At most four are drawn, over one pair of axes.
    axis : str
        What the horizontal axis is.

    Examples
    --------
    >>> Card("a < b", [("cells", 96)]).html().count("&lt;")
    1
    """

    title: str
    rows: Sequence[tuple[str, Any]] = ()
    header: Sequence[str] = ()
    lines: Sequence[Sequence[Any]] = ()
    curves: Sequence[Curve] = ()
    axis: str = "x"

    def html(self) -> str:
        """One ``div`` element."""
        rows = [(name, worded(value)) for name, value in self.rows if value is not None and not _empty(value)]
        parts = [f"<strong>{html.escape(self.title)}</strong>", _table([], rows), self._lines(), drawn(self)]
        return f'<div style="{_FRAME}">{"".join(parts)}</div>'

    def _lines(self) -> str:
        shown = [[worded(value) for value in line] for line in self.lines[:MOST]]
        more = len(self.lines) - len(shown)
        return _table(self.header, shown) + (f"<div>… and {more} more</div>" if more else "")


def worded(value: Any) -> str:
    """A value in few words: numbers with six digits, long texts cut."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (tuple, list)):
        return _cut(", ".join(worded(part) for part in value))
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _empty(value: Any) -> bool:
    return isinstance(value, (str, tuple, list)) and len(value) == 0


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return ""
    named = "".join(f'<th scope="col" style="{_CELL}">{html.escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{_first(line[0], header)}{''.join(map(_cell, line[1:]))}</tr>" for line in lines)
    head = f"<thead><tr>{named}</tr></thead>" if header else ""
    return f'<table style="color:inherit;font:inherit;border-collapse:collapse;border:0;margin:.3em 0">{head}<tbody>{body}</tbody></table>'


def _first(text: str, header: Sequence[str]) -> str:
    """The first cell of a line names it, where columns have no names."""
    return _cell(text) if header else f'<th scope="row" style="{_CELL}">{html.escape(text)}</th>'


def _cell(text: str) -> str:
    return f'<td style="{_CELL};white-space:pre-wrap">{html.escape(text)}</td>'


def drawn(card: Card) -> str:
    """The drawing of a card's curves, or nothing where there are none."""
    curves = [(c.name, *_finite(np.asarray(c.x, float), np.asarray(c.y, float))) for c in card.curves[: len(DASHES)]]
    curves = [curve for curve in curves if len(curve[1]) > 1]
    if not curves:
        return ""
    across, up = (np.concatenate([curve[k] for curve in curves]) for k in (1, 2))
    left, right, low, high = across.min(), across.max(), min(up.min(), 0.0), up.max()
    sheet, plot, base = Sheet(WIDTH, HEIGHT), WIDTH - 110, HEIGHT - 20
    for k, (name, x, y) in enumerate(curves):
        where = (x - left) / ((right - left) or 1.0) * plot, base - (y - low) / ((high - low) or 1.0) * (base - 6)
        sheet.curve(*where, colour="ink", width=1.4, dash=DASHES[k])
        sheet.line(plot + 10, 12 + 16 * k, 18, 0, colour="ink", width=1.4, dash=DASHES[k])
        sheet.text(plot + 33, 12 + 16 * k, name[:14])
    sheet.line(0, base, plot, 0, colour="ink", width=0.6)
    for x, text, anchor in (
        (0, f"{left:.4g}", "start"),
        (plot / 2, card.axis, "middle"),
        (plot, f"{right:.4g}", "end"),
    ):
        sheet.text(x, base + 10, text, anchor=anchor)
    said = f"{', '.join(name for name, *_ in curves)} over {card.axis} from {left:.4g} to {right:.4g}; from {low:.3g} to {high:.3g}."
    svg = sheet.svg(card.title, said)
    return f'<div style="--ink:currentColor;width:{WIDTH:g}px;max-width:100%">{svg}</div>'


def _finite(x: Any, y: Any) -> tuple[Any, Any]:
    """The points that can be drawn, thinned to some two hundred."""
    kept = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    kept = kept[:: max(1, len(kept) // 200)]
    return x[kept], y[kept]
