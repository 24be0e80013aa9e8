"""Charts hold numbers that fit together, and say so when they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fpk.charts import Chart, Series
from fpk.errors import ProblemError

THREE, FOUR, NONE = np.arange(3.0), np.arange(4.0), np.zeros(0)


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": THREE, "y": FOUR},
        {"x": THREE, "y": THREE, "lower": THREE},
        {"x": THREE, "y": THREE, "lower": FOUR, "upper": FOUR},
        {"x": np.eye(2), "y": np.eye(2)},
    ],
)
def test_series_of_unequal_lengths_are_refused_by_name(arrays: dict[str, Any]) -> None:
    with pytest.raises(ProblemError, match=r"'rate'.*\(\d"):
        Series("rate", **arrays)


def test_empty_series_and_plain_lists_are_allowed() -> None:
    assert Series("none", NONE, NONE).kind == "points"
    listed: Any = [1.0, 2.0]
    assert Series("listed", listed, listed, listed, listed, kind="line").y == listed


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(ProblemError, match="points, line, reference"):
        Series("rate", THREE, THREE, kind="bars")


def test_a_chart_without_series_and_categories_on_a_logarithmic_axis_are_refused() -> None:
    with pytest.raises(ProblemError, match="no series"):
        Chart("Power", "x", "y", ())
    with pytest.raises(ProblemError, match="log_x"):
        Chart("Coverage", "", "y", (Series("rate", THREE, THREE),), log_x=True, x_names=("a", "b", "c"))
