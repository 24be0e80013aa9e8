"""Numbers as arguments of functions: a single one that is none is NaN, which no comparison accepts; arrays that are none are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpk.errors import ComparisonError


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


def reals(given: Any, what: str) -> NDArray[np.float64]:
    """An array of real numbers, of any shape; it may be NaN.

    Raises
    ------
    ComparisonError
        If it is something else.
    """
    try:
        found = np.asarray(given)
        if found.dtype.kind in "biuf" or (found.dtype.kind == "O" and found.size):
            return found.astype(float)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ComparisonError(f"{what} must be real numbers, got {repr(given)[:80]}.")
