"""Single numbers, as arguments of functions: whatever is none is NaN, which no comparison accepts."""

from __future__ import annotations

from typing import Any

import numpy as np


def scalar(given: Any) -> float:
    """A real number as a float; NaN for texts, arrays, nothing and what is too large.

    Examples
    --------
    >>> scalar(1), scalar(None), scalar("1"), scalar([1.0]), scalar(10**400)
    (1.0, nan, nan, nan, nan)
    """
    try:
        return np.nan if isinstance(given, (str, bytes)) or np.ndim(given) else float(given)
    except (TypeError, ValueError, OverflowError):
        return np.nan
