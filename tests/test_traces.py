"""Traces of mass and positivity show what their claims say: the stated form within its bound, every control that is drawn beyond it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.catalogue import load_catalogue
from fpk.charts import Chart
from fpk.laws import Array
from fpk.study import Size

STUDIES = {s.claim: s for s in load_catalogue(Path(fpk.__file__).parents[1] / "studies").studies}
traces: Any = importlib.import_module(f"{STUDIES['grid1d.mass'].module.rpartition('.')[0]}._traces")


def chart_of(claim: str, variant: str, case: str) -> Chart:
    study = STUDIES[claim]
    (chart,) = study.compute(study.variants[variant], case, Size("quick"), 0).charts
    return chart


def trace(chart: Chart) -> Array:
    return np.concatenate([one.y for one in chart.measured])


def bound(chart: Chart) -> float:
    return next(float(one.y[0]) for one in chart.series if one.name == "bound")


@pytest.mark.parametrize(("claim", "case"), [("grid1d.mass", "walls"), ("grid1d.mass", "ring")])
def test_mass_is_within_its_bound_and_that_of_controls_is_not(claim: str, case: str) -> None:
    charts = {variant: chart_of(claim, variant, case) for variant in STUDIES[claim].variants}
    allowed = bound(charts["stated"])
    assert trace(charts.pop("stated")).max() <= allowed
    assert all(trace(chart)[-1] > 100 * allowed for chart in charts.values())


@pytest.mark.parametrize("case", ["well", "strong drift"])
def test_least_cells_are_not_below_zero_and_those_of_controls_are(case: str) -> None:
    charts = {variant: chart_of("grid1d.positive", variant, case) for variant in STUDIES["grid1d.positive"].variants}
    assert trace(charts.pop("stated")).min() >= 0
    assert all(trace(chart).min() < -10 * chart.even_within for chart in charts.values())


@pytest.mark.parametrize("case", ["line", "ring"])
def test_cells_between_traced_faces_keep_mass_at_every_time(case: str) -> None:
    assert trace(chart_of("grid1d.conservative-mass", "stated", case)).max() < 1e-14
    assert trace(chart_of("grid1d.conservative-mass", "a cell's mass + 0.0000001 %", case)).min() > 1e-11


def test_what_is_lost_is_drawn_down_to_rounding_and_signs_do_not_matter() -> None:
    chart = traces.kept(np.arange(3.0), {"stated": np.array([0.0, -0.25, 0.5])}, {"bound": 1e-12})
    assert chart.series[0].y.tolist() == [2.0**-53, 0.25, 0.5]
    assert {one.name: float(one.y[0]) for one in chart.series[1:]} == {"rounding": 2.0**-53, "bound": 1e-12}
