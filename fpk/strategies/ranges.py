r"""Numbers as people write them, and the bounds of what is drawn.

Hypothesis draws floats of seventeen digits; a counterexample is read and pasted by people. :func:`numbers` keeps about three digits of the
range, its ends included, and shrinks towards 0, then towards 1 and other whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import lru_cache, partial
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fpk.errors import ProblemError

#: Dimensions that grids exist in.
MOST_DIMENSIONS = 3
Drawn = TypeVar("Drawn")


@lru_cache(maxsize=1024)
def numbers(low: float, high: float) -> SearchStrategy[float]:
    """Floats in [low, high] with few digits.

    Raises
    ------
    ProblemError
        If the range is empty or not finite.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(numbers(0.3, 5.0), lambda a: True), find(numbers(-5.0, 5.0), lambda a: a != 0)
    (1.0, 1.0)
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ProblemError(f"numbers need finite low <= high, got low={low!r} and high={high!r}.")
    digits = 0 if low == high else max(0, 2 - math.floor(math.log10(high - low)))
    fine = 10.0 ** (digits + 1)
    first, last = math.ceil(low * fine - 1e-9) / fine, math.floor(high * fine + 1e-9) / fine  # ends with few digits too
    low, high = (first, last) if low <= first < last <= high else (low, high)
    return st.floats(low, high).map(partial(_rounded, digits, low, high))


def _rounded(digits: int, low: float, high: float, x: float) -> float:
    return float(min(max(round(x, digits), low), high)) + 0.0  # never −0.0


def of_dimensions(low: int, high: int, make: Callable[[int], SearchStrategy[Drawn]]) -> SearchStrategy[Drawn]:
    """What ``make`` makes for each of the dimensions, the lowest first; made once, as making strategies costs more than drawing from them."""
    made = {d: make(d) for d in range(low, high + 1)}
    return made[low] if low == high else st.integers(low, high).flatmap(made.__getitem__)


def checked_range(name: str, low: float, high: float, *, least: float = 0.0) -> None:
    """Refuse a range of positive numbers that is empty, not finite, or not above ``least``.

    Raises
    ------
    ProblemError
        With the names ``min_<name>`` and ``max_<name>``.
    """
    numeric = all(isinstance(value, (int, float)) and math.isfinite(value) for value in (low, high))
    if not (numeric and least < low <= high):
        raise ProblemError(
            f"min_{name} and max_{name} need {least:g} < min_{name} <= max_{name} < inf, got min_{name}={low!r} and max_{name}={high!r}."
        )


def checked_positive(**given: Any) -> None:
    """Refuse numbers that are not positive and finite.

    Raises
    ------
    ProblemError
        With the first of them.
    """
    for name, value in given.items():
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
            raise ProblemError(
                f"{name} must be a positive, finite number, got {name}={value!r}. Leave it out for the default."
            )


def checked_at_least_one(**given: Any) -> None:
    """Refuse numbers that are not finite, or below 1.

    Raises
    ------
    ProblemError
        With the first of them.
    """
    for name, value in given.items():
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 1):
            raise ProblemError(f"{name} must be a finite number of at least 1, got {name}={value!r}.")


def checked_dimensions(low: int, high: int) -> None:
    """Refuse dimensions outside 1 ... 3, or in the wrong order.

    Raises
    ------
    ProblemError
        With both.
    """
    if not (isinstance(low, int) and isinstance(high, int) and 1 <= low <= high <= MOST_DIMENSIONS):
        raise ProblemError(
            f"dimensions need whole numbers 1 <= min_dimension <= max_dimension <= {MOST_DIMENSIONS}, "
            f"got min_dimension={low!r} and max_dimension={high!r}."
        )


def checked_kinds(name: str, given: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    """The kinds, in the order in which they are known: the simplest first.

    Raises
    ------
    ProblemError
        For none, or one nobody knows.
    """
    chosen = (given,) if isinstance(given, str) else tuple(given)
    if not chosen or set(chosen) - set(known):
        raise ProblemError(f"{name} must be one or more of {', '.join(known)}, got {name}={given!r}.")
    return tuple(kind for kind in known if kind in chosen)
