"""Traces of what a grid keeps, step by step: how far the mass is from where it began, and the least value of a cell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fpk.charts import Chart, Series
from fpk.laws import Array

#: Half the distance between 1 and the next number: a sum of masses near 1 can hardly be nearer.
ROUNDING = 2.0**-53
#: Least values up to this are as good as zero: they are drawn together with it.
NOTHING = 1e-18


MASS = "Change of the mass in time", "|change of the mass|"


def kept(times: Array, lost: Mapping[str, Array], bounds: Mapping[str, float], words: tuple[str, str] = MASS) -> Chart:
    """How much of the mass is lost or won by the times, by the name of a line, and bounds for that; ``words`` are title and axis."""
    lines = [Series(name, times, np.maximum(np.abs(values), ROUNDING), kind="line") for name, values in lost.items()]
    held = [_level(times, name, bound) for name, bound in ({"rounding": ROUNDING} | dict(bounds)).items()]
    return Chart(words[0], "t", words[1], (*lines, *held), log_y=True, with_controls=True)


def least(times: Array, values: Array) -> Chart:
    """The least value of a cell at the times: it may not be below zero."""
    line = Series("stated", times, values, kind="line")
    title, bound = "Least value of a cell in time", _level(times, "bound", 0.0)
    return Chart(title, "t", "least value", (line, bound), log_y=True, even_within=NOTHING, with_controls=True)


def _level(times: Array, name: str, value: float) -> Series:
    return Series(name, np.asarray(times, float)[[0, -1]], np.full(2, value), kind="reference")
