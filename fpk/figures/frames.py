"""Frames: rectangles of a sheet with axes, for curves that are many and simple; charts with more to them are matplotlib's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from fpk.figures.drawing import decades, tick_text
from fpk.laws import Array
from fpk.svg import Sheet


@dataclass(frozen=True)
class Frame:
    """The rectangle from (left, top) to (right, bottom) of a sheet, for x and y within limits.

    Parameters
    ----------
    sheet : Sheet
    left, top, right, bottom : float
        In units of the sheet.
    x, y : pair of float
        Limits, lower before upper.
    log_x, log_y : bool, default False
        Logarithmic axes; limits are then above 0.
    """

    sheet: Sheet
    left: float
    top: float
    right: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool = False
    log_y: bool = False

    def placed(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Places on the sheet, kept within the frame."""
        across = _share(x, self.x, log=self.log_x)
        up = _share(y, self.y, log=self.log_y)
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)

    def across(self, x: float) -> float:
        """The place of one x."""
        return float(self.placed(np.array([x]), np.array([self.y[0]]))[0][0])

    def up(self, y: float) -> float:
        """The place of one y."""
        return float(self.placed(np.array([self.x[0]]), np.array([y]))[1][0])

    def curve(self, x: Array, y: Array, *, colour: str, width: float, dash: str = "", opacity: float = 1.0) -> None:
        """A line through points."""
        self.sheet.curve(*self.placed(x, y), colour=colour, width=width, dash=dash, opacity=opacity)

    def level(self, y: float, *, colour: str = "rule", width: float = 0.8, dash: str = "") -> None:
        """A line across at one height."""
        self.sheet.line(self.left, self.up(y), self.right - self.left, 0, colour=colour, width=width, dash=dash)

    def shade(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """A grey rectangle between two x and two y, kept within the frame; outlined, as grey alone is faint."""
        (left, right), (bottom, top) = self.placed(np.array(x), np.array(y))
        self.sheet.area(left, top, right - left, bottom - top, colour="noise", opacity=0.35, edge="muted")

    def band(self, x: Array, lower: Array, upper: Array) -> None:
        """Grey between two curves, outlined as :meth:`shade` is."""
        across, up = self.placed(np.concatenate([x, x[::-1]]), np.concatenate([lower, upper[::-1]]))
        self.sheet.patch(across, up, colour="noise", opacity=0.35, edge="muted")

    def left_axis(self, label: str, *, count: int = 3, places: Mapping[float, str] | None = None) -> None:
        """The axis at the left with its name and about ``count`` numbers, or these words at these places."""
        self.sheet.line(self.left, self.top, 0, self.bottom - self.top, colour="muted", width=0.8)
        told = (
            {tick: tick_text(tick) for tick in self._ticks(self.y, count, log=self.log_y)} if places is None else places
        )
        for tick, word in told.items():
            self.sheet.text(self.left - 5, self.up(tick), word, colour="muted", anchor="end")
        self.sheet.text(13, (self.top + self.bottom) / 2, label, anchor="middle", upwards=True)

    def bottom_axis(self, label: str = "", *, count: int = 7) -> None:
        """The axis at the bottom; without a name also without numbers."""
        self.sheet.line(self.left, self.bottom, self.right - self.left, 0, colour="muted", width=0.8)
        if label:
            for tick in self._ticks(self.x, count, log=self.log_x):
                self.sheet.text(self.across(tick), self.bottom + 11, tick_text(tick), colour="muted", anchor="middle")
            self.sheet.text((self.left + self.right) / 2, self.bottom + 28, label, anchor="middle")

    @staticmethod
    def _ticks(limits: tuple[float, float], count: int, *, log: bool) -> list[float]:
        return decades(*limits) if log else ticks(limits, count)


def _share(values: Array, limits: tuple[float, float], *, log: bool) -> Array:
    """Where values lie between two limits, 0 to 1."""
    if log:
        values, limits = np.log(np.clip(values, *limits)), (float(np.log(limits[0])), float(np.log(limits[1])))
    return np.interp(values, limits, (0.0, 1.0))


def ticks(limits: tuple[float, float], count: int) -> list[float]:
    """Round numbers within limits, at most ``count`` + 1 of them."""
    values = MaxNLocator(count).tick_values(*limits)
    slack = 1e-9 * (limits[1] - limits[0])
    return [round(float(v), 12) for v in values if limits[0] - slack <= v <= limits[1] + slack]
