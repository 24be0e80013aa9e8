"""Rates as evidence and as drawings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fpk.calibration import Limited, Rate, WeightedRate, held
from fpk.charts import Chart, Series
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Evidence

#: Probability beyond either end of a drawn error bar.
TAIL = 0.005


def within(limits: Sequence[Limited], source: str, charts: tuple[Chart, ...] = ()) -> Evidence:
    """Rates held against their limits, as evidence."""
    first, names = held(limits, source)
    return Evidence(first, zero_estimate(len(names)), names, charts=charts)


def plotted(
    name: str,
    x: Sequence[float] | Array,
    rates: Sequence[Rate | WeightedRate],
    *,
    kind: str = "points",
    nominal: Sequence[float] | Array | float = 1.0,
) -> Series:
    """Rates (over ``nominal`` ones) at x with their limits of 99 %."""
    ends = np.array([(rate.value, rate.lower(TAIL), rate.upper(TAIL)) for rate in rates]).T / np.asarray(nominal)
    return Series(name, np.asarray(x, float), *ends, kind=kind)
