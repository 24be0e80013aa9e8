"""The routes of the work-precision study reach the exact law, and its clock tells a tenth from nothing; no speed is asserted here."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.catalogue import load_catalogue
from fpk.study import Size

ROOT = Path(fpk.__file__).parents[1]
CATALOGUE = load_catalogue(ROOT / "studies")
STUDIES = [s for s in CATALOGUE.studies if s.claim.startswith("perf.grid1d.")]
PACKAGE = STUDIES[0].module.rpartition(".")[0]


def part(name: str) -> Any:
    """A module of the study, as the catalogue imported it."""
    return importlib.import_module(f"{PACKAGE}.{name}")


baselines, tasks, timing = part("_baselines"), part("_tasks"), part("_timing")


def test_all_of_it_runs_only_when_named() -> None:
    assert len(STUDIES) == 7
    assert all(s.only_when_named for s in STUDIES)
    assert not [s for s in CATALOGUE.selected([]) if s.claim.startswith("perf.")]


def test_the_exact_law_of_the_relaxation_is_the_textbook_one() -> None:
    x = np.linspace(-3, 4, 50)
    textbook = stats.norm.pdf(x, np.exp(-1), np.sqrt(1 + (0.04 - 1) * np.exp(-2)))
    np.testing.assert_allclose(tasks.relaxation().exact(x), textbook, rtol=1e-12)


def test_the_exact_law_of_the_double_well_integrates_to_one_and_has_the_slope_of_its_drift() -> None:
    task, x, h = tasks.double_well(), np.linspace(-1.5, 1.5, 7), 1e-5
    fine = np.linspace(-3, 3, 20001)
    assert np.trapezoid(task.exact(fine), fine) == pytest.approx(1.0, abs=1e-10)
    slope = (np.log(task.exact(x + h)) - np.log(task.exact(x - h))) / (2 * h)
    np.testing.assert_allclose(task.diffusivity * slope, x - x**3, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "cells", "effort", "error"),
    [
        ("SAME_OPERATOR", 96, 300, 1e-6),
        ("SECOND_ORDER", 800, 100, 3e-5),
        ("FOURIER", 72, 7, 1e-7),
    ],
)
def test_baselines_reach_the_exact_law(name: str, cells: int, effort: int, error: float) -> None:
    task = tasks.relaxation()
    assert task.error(getattr(baselines, name).solve(task, cells, effort)) < error


@pytest.mark.parametrize("route", baselines.OTHERS[3:], ids=lambda route: route.name)
def test_other_routes_on_the_same_operator_agree_with_its_exponential(route: Any) -> None:
    task = tasks.relaxation()
    np.testing.assert_allclose(route.solve(task, 72, 9), baselines.OURS.solve(task, 72, 0), atol=2e-8)


@pytest.mark.parametrize("route", part("_peers").PEERS, ids=lambda route: route.name)
def test_peers_come_near_the_exact_law(route: Any) -> None:
    task = tasks.relaxation()
    assert task.error(route.solve(task, 200, 100)) < 0.02


def test_a_median_below_its_bar_knows_its_spread() -> None:
    values = np.random.default_rng(5).normal(1.0, 0.1, 4001)
    found = timing.median_below(values, 0.9, source="")
    assert found.covariance is not None
    assert found.value[0] == pytest.approx(0.1, abs=5 * 0.1 * (np.pi / 2 / 4001) ** 0.5)
    assert found.covariance[0] ** 0.5 == pytest.approx(0.1 * (np.pi / 2 / 4001) ** 0.5, rel=0.1)


def test_accuracy_by_cancellation_is_not_reached() -> None:
    """With 2400 cells and 300 steps, errors of 1.6e-6 in space and of 9e-7 in time have opposite signs."""
    task = tasks.relaxation()
    assert task.error(baselines.SECOND_ORDER.solve(task, 2400, 300)) < 1e-6
    assert not timing.reached(baselines.SECOND_ORDER, task, 2400, 300, 1e-6)


def test_a_search_that_finds_nothing_says_what_to_do() -> None:
    route = baselines.Route("Fourier", baselines.fourier, (16,), (3,))
    with pytest.raises(fpk.FpkError, match="widen its search"):
        timing.searched(route, tasks.relaxation(), 1e-9)


def test_twice_the_work_takes_twice_the_time() -> None:
    """Generous: other processes share the machine."""

    def once() -> float:
        return float(np.sin(np.linspace(0, 1, 20_000)).sum())

    ratios = np.exp(timing.paired(lambda: (once(), once()), once, pairs=15))
    assert 1.5 < np.median(ratios) < 2.7


def test_a_race_carries_its_search_and_both_figures() -> None:
    study = next(s for s in STUDIES if s.claim == "perf.grid1d.nine-digits")
    found = study.compute(study.variants["stated"], "", Size("quick"), 0)
    assert found.names == ("time", "error")
    assert found.first.value[1] < 0, "the accuracy does not depend on the machine"


def test_a_table_has_one_row_for_each_setting() -> None:
    rows = [timing.Setting("a", 72, 0, 1e-7, 1e-4, 2e-4), timing.Setting("b", 56, 9, 1e-6, 1e-3, 1e-3)]
    table = timing.table(rows)
    assert list(table["route"]) == ["a", "b"]
    np.testing.assert_array_equal(table["cpu_seconds"], [1e-4, 1e-3])
    assert {len(column) for column in table.values()} == {2}
