"""The routes raced in the plane and in space reach the exact laws, and every race carries its search and its controls; no speed is asserted here."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import expm, solve_continuous_lyapunov

import fpk
from fpk.catalogue import load_catalogue
from fpk.study import Size

CATALOGUE = load_catalogue(Path(fpk.__file__).parents[1] / "studies")
STUDIES = {s.claim: s for s in CATALOGUE.studies if s.claim.startswith(("perf.grid2d.", "perf.grid3d."))}
PACKAGE = STUDIES["perf.grid2d.fourier"].module.rpartition(".")[0]
QUICK = Size("quick")


def part(name: str) -> Any:
    """A module of the study, as the catalogue imported it."""
    return importlib.import_module(f"{PACKAGE}.{name}")


tasks, timing, races, planes, rates, baselines, peers = (
    part(name) for name in ("_tasks", "_timing", "_races", "planes", "plane_rates", "_product_baselines", "_peers")
)


def test_all_of_it_runs_only_when_named() -> None:
    assert len(STUDIES) == 12
    assert all(s.only_when_named for s in STUDIES.values())


# -- tasks --------------------------------------------------------------------------------------------------------------------

A3 = np.array([[-1.0, -1.5, 0.3], [1.0, -1.2, 0.5], [0.0, -0.7, -0.8]])
D3 = np.array([[0.5, 0.2, -0.1], [0.2, 0.4, 0.1], [-0.1, 0.1, 0.3]])
TURN = np.array([[np.cos(np.pi / 6), -np.sin(np.pi / 6)], [np.sin(np.pi / 6), np.cos(np.pi / 6)]])
#: Drift matrix, diffusivity, initial mean and standard deviation, time.
LINEAR: dict[str, tuple[Any, ...]] = {
    "rotation": (np.array([[-1.0, -2.0], [2.0, -1.0]]), np.array([[0.6, 0.3], [0.3, 0.4]]), [1.5, 0.0], 0.3, 1.0),
    "25:1": (-0.5 * np.eye(2), TURN @ np.diag([0.5, 0.02]) @ TURN.T, [1.0, 0.5], 0.3, 1.0),
    "tumbling": (A3, D3, [0.6, 0.0, -0.4], 0.8, 0.4),
}


@pytest.mark.parametrize("name", LINEAR)
def test_exact_laws_of_linear_tasks_solve_the_lyapunov_equation(name: str) -> None:
    A, D, mean, std, t = LINEAR[name]
    rest, move = solve_continuous_lyapunov(A, -2 * D), expm(t * A)
    law = stats.multivariate_normal(move @ mean, rest + move @ (std**2 * np.eye(len(A)) - rest) @ move.T)
    task = tasks.BOX_TASKS[name]()
    np.testing.assert_allclose(task.exact(16).ravel(), law.pdf(task.grid(16).points), rtol=1e-8, atol=1e-14)


def test_the_exact_law_of_the_peaks_is_the_noised_mixture() -> None:
    task = tasks.four_peaks_noised()
    kept = np.exp(-0.5 * (0.1 + 19.9 / 2))
    x, total = task.grid(16).points, np.zeros(256)
    for angle in np.pi / 2 * np.arange(4):
        mean = 2 * kept * np.array([np.cos(angle), np.sin(angle)])
        total += stats.multivariate_normal(mean, (1 - kept**2 * (1 - 0.09)) * np.eye(2)).pdf(x) / 4
    np.testing.assert_allclose(task.exact(16).ravel(), total, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("name", tasks.BOX_TASKS)
def test_a_percent_of_noise_is_seen_in_every_task(name: str) -> None:
    make = tasks.BOX_TASKS[name]
    wide = 0.4 if name == "tumbling" else 1.0
    cells = 24 if name == "tumbling" else 64
    errors = [make(v).error(planes.spectral().solve(make(v), cells, 0)) for v in (1.0, 1.01)]
    assert errors[1] > 2e-3 * wide > 2 * errors[0]


# -- routes -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "task", "cells", "effort", "error"),
    [
        (planes.FOURIER, "rotation", 48, 7, 1e-4),
        (planes.FOURIER, "four peaks", 32, 7, 1e-5),
        (planes.FOURIER, "25:1", 56, 6, 2e-5),
        (planes.FOURIER, "tumbling", 20, 5, 3e-2),
        (baselines.CRANK_NICOLSON, "rotation", 64, 32, 2.5e-2),
        (baselines.CRANK_NICOLSON, "four peaks", 32, 64, 5e-2),
        (baselines.EXPONENTIAL, "rotation", 64, 0, 2.5e-2),
        (baselines.EXPONENTIAL, "four peaks", 32, 0, 5e-2),
        (planes.central(), "four peaks", 32, 0, 1e-4),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)  # fmt: skip
def test_routes_reach_the_exact_law(route: Any, task: str, cells: int, effort: int, error: float) -> None:
    stated = tasks.BOX_TASKS[task]()
    assert stated.error(route.solve(stated, cells, effort)) < error


def test_steps_and_the_exponential_of_nine_points_agree() -> None:
    task = tasks.rotation()
    stepped = baselines.CRANK_NICOLSON.solve(task, 32, 400)
    np.testing.assert_allclose(stepped, baselines.EXPONENTIAL.solve(task, 32, 0), atol=2e-5)


def test_factors_with_pivots_on_the_diagonal_are_those_of_the_matrix() -> None:
    task = tasks.rotation()
    fields = baselines.fields_at(task.problem, task.grid(12))(0.0)
    A, p = baselines.nine_point(fields, task.grid(12)).toarray(), task.start(12).ravel()
    one = np.eye(len(p))
    expected = np.linalg.solve(one - A / 2, p + A @ p / 2)
    np.testing.assert_allclose(baselines.CRANK_NICOLSON.solve(task, 12, 1).ravel(), expected, atol=1e-13)


@pytest.mark.parametrize("route", peers.PLANE_PEERS, ids=lambda route: route.name)
def test_peers_in_the_plane_come_near_the_exact_law(route: Any) -> None:
    assert tasks.rotation().error(route.solve(tasks.rotation(), 48, route.efforts[-1])) < 0.06


# -- races --------------------------------------------------------------------------------------------------------------------

SMALL = races.Race(tasks.rotation, planes.central(36), planes.fourier(36, digits=(4, 5)), 4e-3, 1e-6, 0.02)


@pytest.fixture(scope="module")
def found() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(races, "pairs_for", lambda size, call: 9)
        yield {variant: races.race(SMALL, variant, QUICK) for variant in races.AGAINST}


def test_races_carry_both_searches_and_all_ratios(found: dict[str, Any]) -> None:
    evidence = found["stated"]
    assert evidence.names == ("time", "error")
    assert set(evidence.curves["route"]) == {"Fourier + DOP853", "fpk: central"}
    assert len(evidence.curves["ratios"]) == evidence.first.samples


def test_only_the_wrong_problem_misses_the_accuracy(found: dict[str, Any]) -> None:
    assert [evidence.first.value[1] > 0 for evidence in found.values()] == [False, False, False, True]


def test_nothing_is_faster_than_itself(found: dict[str, Any]) -> None:
    """Generous: other processes share the machine."""
    for variant in (races.ITSELF, races.MISS):
        assert 0.7 < np.median(found[variant].curves["ratios"]) < 1.4


def test_searches_ask_for_the_accuracy_on_finer_cells_too() -> None:
    asked: list[tuple[int, int]] = []

    def solve(task: Any, cells: int, effort: int) -> Any:
        asked.append((cells, effort))
        return task.exact(cells)

    route = part("_baselines").Route("exact", solve, (16,), (3,), steps=True, finer=1.25)
    assert timing.reached(route, tasks.rotation(), 16, 3, 1e-12)
    assert asked == [(16, 3), (20, 3), (16, 6)]


def setting(error: float, seconds: float) -> Any:
    return timing.Setting("made up", 10, 1, error, seconds, seconds)


def test_the_fastest_setting_at_each_accuracy_is_compared() -> None:
    ours, others = [setting(1e-3, 1.0), setting(1e-5, 2.0)], [setting(1e-6, 8.0), setting(1e-3, 3.0)]
    expected = {0.0: [1 / 3, 1 / 4], 1.0: [3, 4], 0.95: [1 / 0.95, 1 / 0.95]}
    for variant, ratios in expected.items():
        value = races.compared(ours, others, (1e-3, 1e-4), variant).first.value
        np.testing.assert_allclose(np.exp(value), ratios, rtol=1e-12)


@pytest.mark.parametrize(("calls", "above"), [(1, False), (1000, True)])
def test_a_number_of_calls_stays_within_its_time(calls: int, above: bool) -> None:
    def call() -> float:
        return float(np.sin(np.linspace(0, 1, 20_000)).sum())

    value = races.within(call, 0.05, 1e-7, 1e-6, calls=calls, pairs=5, told="sines").value
    assert (value[0] > 0) == above
    assert value[1] == pytest.approx(-1.0)


@pytest.mark.parametrize("variant", ["stated", races.WRONG])
def test_alternating_directions_are_held_against_the_same_cells_and_steps(variant: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(planes, "EQUAL", {"48² cells, 80 steps": (48, 80, 1.0)})
    evidence = STUDIES["perf.grid2d.alternating"].compute(variant, "48² cells, 80 steps", QUICK, 0)
    assert (evidence.first.value[1] > 0) == (variant != "stated")


# -- rates --------------------------------------------------------------------------------------------------------------------


def test_the_triad_is_one() -> None:
    a, b, c = np.random.default_rng(1).random((3, 1000))
    rates._triad()(a, b, c, 0.3, (10, 900))
    np.testing.assert_allclose(a[10:900], (b + 0.3 * c)[10:900], rtol=1e-15)


def test_kernels_run_on_every_pass() -> None:
    call, traffic = rates.sweeps(64)
    call()
    rates.stages(64)()
    rates.triads(64)()
    assert 16 < traffic <= 40, "the state twice, and at most three factors"


def test_times_that_differ_by_the_bar_are_told() -> None:
    seconds = np.array([2.0, 1.0, 2.9])
    assert races.alike([1, 2, 3], seconds, 3.0, "each").first.value[0] == pytest.approx(np.log(2.9 / 3))
    assert races.alike([1, 2, 3], seconds, 1.05, "each").first.value[0] > 0


def test_arrays_kept_during_a_solve_are_counted() -> None:
    task = tasks.tumble()
    _, alone, more = [rates.arrays_needed(task, 32, 0.005, more=k) for k in (0, 0, 12)]  # the first one may compile
    assert alone > 5
    assert more - alone == pytest.approx(12, abs=0.1)


def test_a_flow_with_a_percent_too_much_of_the_score_misses_the_law() -> None:
    task = tasks.rotation()
    flow = fpk.probability_flow(task.make(), rates._score(1.01))
    assert task.error(fpk.solve(flow, task.grid(40), times=[1.0]).densities[0]) > 1e-2
