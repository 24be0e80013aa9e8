"""Coverage as it is drawn: the share of problems an error bar covers, with exact limits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fpk.calibration import Rate
from fpk.charts import Series
from fpk.laws import Array

#: Probability beyond either end of a drawn error bar.
TAIL = 0.005


def rate_of(events: NDArray[np.bool_]) -> Rate:
    """The rate of True among events of shape (n,)."""
    return Rate(int(np.count_nonzero(events)), len(events))


def series(name: str, x: Sequence[float] | Array, rates: Sequence[Rate]) -> Series:
    """Rates over x with their exact limits, as points."""
    values, lower, upper = np.array([(rate.value, rate.lower(TAIL), rate.upper(TAIL)) for rate in rates]).T
    return Series(name, np.asarray(x, float), values, lower, upper)
