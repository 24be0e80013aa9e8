"""Frames: rectangles of a sheet with linear axes, for curves that are many and simple; charts with more to them are matplotlib's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from fpk.figures.drawing import tick_text
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
    """

    sheet: Sheet
    left: float
    top: float
    right: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]

    def placed(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Places on the sheet, kept within the frame."""
        across = np.interp(x, self.x, (self.left, self.right))
        return across, np.interp(y, self.y, (self.bottom, self.top))

    def curve(self, x: Array, y: Array, *, colour: str, width: float, dash: str = "", opacity: float = 1.0) -> None:
        """A line through points."""
        self.sheet.curve(*self.placed(x, y), colour=colour, width=width, dash=dash, opacity=opacity)

    def level(self, y: float) -> None:
        """A thin line across at one height."""
        height = float(self.placed(np.zeros(1), np.array([y]))[1][0])
        self.sheet.line(self.left, height, self.right - self.left, 0, colour="rule", width=0.8)

    def left_axis(self, label: str, *, count: int) -> None:
        """The axis at the left with its name and about ``count`` numbers."""
        self.sheet.line(self.left, self.top, 0, self.bottom - self.top, colour="muted", width=0.8)
        for tick in ticks(self.y, count):
            place = float(self.placed(np.zeros(1), np.array([tick]))[1][0])
            self.sheet.text(self.left - 5, place, tick_text(tick), colour="muted", anchor="end")
        self.sheet.text(13, (self.top + self.bottom) / 2, label, anchor="middle", upwards=True)

    def bottom_axis(self, label: str = "", *, count: int = 7) -> None:
        """The axis at the bottom; without a name also without numbers."""
        self.sheet.line(self.left, self.bottom, self.right - self.left, 0, colour="muted", width=0.8)
        if label:
            for tick in ticks(self.x, count):
                place = float(self.placed(np.array([tick]), np.zeros(1))[0][0])
                self.sheet.text(place, self.bottom + 11, tick_text(tick), colour="muted", anchor="middle")
            self.sheet.text((self.left + self.right) / 2, self.bottom + 28, label, anchor="middle")


def ticks(limits: tuple[float, float], count: int) -> list[float]:
    """Round numbers within limits, at most ``count`` + 1 of them."""
    values = MaxNLocator(count).tick_values(*limits)
    slack = 1e-9 * (limits[1] - limits[0])
    return [round(float(v), 12) for v in values if limits[0] - slack <= v <= limits[1] + slack]
