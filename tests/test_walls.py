"""Walls: reflected, periodic and absorbed particles against series of images, first-passage laws and the grid.

Statistical tests fail with probability :data:`ALPHA` though everything is right; seeds come from the test's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import erf, erfc

import fpk
from fpk.errors import SchemeError
from fpk.fokker_planck.first_passage import first_passage
from fpk.laws import Array
from fpk.particles import walls
from fpk.particles.clock import Clock
from fpk.particles.engine import Engine
from fpk.particles.motion import Motion
from fpk.particles.schemes import EulerMaruyama, Heun, Milstein

ALPHA = 1e-6
#: Where particles start, closely enough that the exact laws of a point hold.
POINT = 1e-9
FAR = 1e3


def problem(
    kind: str = "absorbing",
    *,
    walls: tuple[float, float] = (-1.0, 1.0),
    start: float = 0.2,
    drift: Any = 0.0,
    noise: Any = 1.0,
) -> fpk.Problem:
    return fpk.Problem(
        drift, noise, initial=fpk.Gaussian(start, POINT), horizon=4.0, boundary=fpk.Boundary(kind, *walls)
    )


def absorbed(run: Any, level: int = 0) -> Array:
    return np.sort(run.absorbed[level])


def kolmogorov(times: Array, cdf: Callable[[Array], Array]) -> float:
    """sup |F_n − F| up to the largest finite time, as a fraction of Massart's bound at ALPHA."""
    n, met = len(times), times[np.isfinite(times)]
    ranks, exact = np.arange(len(met)), cdf(met)
    distance = max(np.abs(exact - ranks / n).max(), np.abs(exact - (ranks + 1) / n).max())
    return float(distance / np.sqrt(np.log(2 / ALPHA) / (2 * n)))


def standard_scores(counts: Array, chances: Array, n: int) -> Array:
    return (counts / n - chances) / np.sqrt(chances * (1 - chances) / n)


LIMIT = float(stats.norm.isf(ALPHA / 2))


# -- reflecting and periodic walls -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [0.3, 7.25, 1e4 + 0.25, -0.6, -5.1, -1e5 - 0.4])
def test_any_overshoot_is_folded_and_wrapped_to_its_place(widths: float) -> None:
    """Against a triangle and a saw-tooth wave of period 4 and 2 between −1 and 1."""
    x = np.array([[-1.0 + 2.0 * widths]])
    folded, wrapped = (walls.inside(fpk.Boundary(kind, -1.0, 1.0), x)[0, 0] for kind in ("no_flux", "periodic"))
    triangle = 2 / np.pi * np.arcsin(np.sin(np.pi / 2 * x[0, 0]))
    saw = np.angle(np.exp(1j * np.pi * x[0, 0])) / np.pi
    assert np.isclose(folded, triangle, atol=1e-9)
    assert np.isclose(wrapped, saw, atol=1e-9)


def wave_means(kind: str, t: float, start: float) -> Array:
    """E of the first three waves of walls or ring [−1, 1], which Brownian motion damps without mixing."""
    k = np.pi * np.arange(1, 4) * (0.5 if kind == "no_flux" else 1.0)
    return np.exp(-0.5 * k**2 * t) * np.cos(k * (start + 1))


@pytest.mark.parametrize("kind", ["no_flux", "periodic"])
@pytest.mark.parametrize("steps", [1, 7])
def test_waves_between_walls_and_around_a_ring_decay_as_they_should(kind: str, steps: int, seed: int) -> None:
    """Reflecting and wrapping are exact for Brownian motion, also where one step leads past both walls several times."""
    run = fpk.simulate(problem(kind), particles=60_000, steps=steps, times=[0.1, 4.0], seed=seed)
    for t in run.times:
        k = np.pi * np.arange(1, 4) * (0.5 if kind == "no_flux" else 1.0)
        values = np.cos(k * (run.samples(t) + 1))
        scores = (values.mean(0) - wave_means(kind, t, 0.2)) / (values.std(0) / np.sqrt(len(values)))
        assert np.abs(scores).max() < stats.norm.isf(ALPHA / 24)


# -- absorption: exact laws of Brownian motion -------------------------------------------------------------------------------


def survival(t: Array, start: float) -> Array:
    """P(T > t) of Brownian motion between −1 and 1, from the images of the start (Redner 2001, §2.2)."""
    t = np.asarray(t, float)[..., None]
    k = np.arange(-12, 13)
    place = start + 1 + 4 * k
    total = stats.norm.cdf((2 - place) / np.sqrt(t)) - stats.norm.cdf(-place / np.sqrt(t))
    mirrored = stats.norm.cdf((2 + place) / np.sqrt(t)) - stats.norm.cdf(place / np.sqrt(t))
    return (total - mirrored).sum(-1)


def drifting_cdf(t: Array, distance: float, speed: float, noise: float) -> Array:
    """P(T ≤ t) for Brownian motion that drifts towards one wall: the inverse Gaussian law of Schrödinger (1915)."""
    spread = noise * np.sqrt(t)
    away = np.exp(2 * speed * distance / noise**2)
    return stats.norm.cdf((speed * t - distance) / spread) + away * stats.norm.cdf((-speed * t - distance) / spread)


def test_the_series_of_images_is_that_of_waves() -> None:
    """Two expansions of one survival probability: the oracle itself."""
    t, n = np.array([0.3, 1.0, 3.0]), np.arange(1, 40, 2)
    waves = (4 / (np.pi * n) * np.sin(n * np.pi * 1.2 / 2) * np.exp(-((n * np.pi) ** 2) * t[:, None] / 8)).sum(1)
    assert np.allclose(survival(t, 0.2), waves, atol=1e-12)


@pytest.mark.parametrize("steps", [2, 40])
def test_absorption_times_at_one_wall_are_exact_with_any_step(steps: int, seed: int) -> None:
    """With two steps nearly every crossing is one that only the bridge knows, and its time a draw inside the step."""
    far = problem(walls=(-0.5, FAR))
    run = fpk.simulate(far, particles=40_000, steps=steps, times=[4.0], seed=seed)
    for level in (0, 1):
        assert kolmogorov(absorbed(run, level), lambda t: erfc(0.7 / np.sqrt(2 * t))) < 1
    assert abs(standard_scores(run.alive(4.0).sum(), erf(0.7 / np.sqrt(8)), 40_000)) < LIMIT


@pytest.mark.parametrize(("speed", "noise"), [(0.8, 0.7), (-0.3, 1.5), (6.0, 0.3)])
def test_a_drift_towards_the_wall_gives_the_inverse_gaussian_law_in_one_step(
    speed: float, noise: float, seed: int
) -> None:
    """The bridge does not depend on the drift: one step is exact; at (6, 0.3) it ends many deviations beyond the wall."""
    towards = problem(walls=(-FAR, 0.9), drift=speed, noise=noise)
    run = fpk.simulate(towards, particles=40_000, steps=1, times=[4.0], seed=seed, levels=1)
    assert kolmogorov(absorbed(run), lambda t: drifting_cdf(t, 0.7, speed, noise)) < 1


def test_absorption_times_between_two_walls_follow_the_series(seed: int) -> None:
    run = fpk.simulate(problem(), particles=40_000, steps=40, times=[0.3, 1.0, 4.0], seed=seed)
    assert kolmogorov(absorbed(run), lambda t: 1 - survival(t, 0.2)) < 1
    left = np.array([run.alive(t).sum() for t in run.times])
    assert np.abs(standard_scores(left, survival(np.array(run.times), 0.2), 40_000)).max() < stats.norm.isf(ALPHA / 6)


def test_absorbed_particles_stay_at_the_wall_they_met_as_often_as_gambling_says(seed: int) -> None:
    """P(upper) = (e^{−2μa} − 1) / (e^{−2μ(a+b)} − 1), a above the lower wall and b below the upper one; by then all are absorbed."""
    run = fpk.simulate(problem(drift=0.5), particles=40_000, steps=200, times=[2.0, 4.0], seed=seed)
    gone = ~run.alive(2.0)
    places = run.fine[:, gone, 0]
    assert set(np.unique(places)) == {-1.0, 1.0}
    assert np.array_equal(*places)
    whole = replace(problem(drift=0.5), horizon=16.0)
    x = fpk.simulate(whole, particles=40_000, steps=400, times=[16.0], seed=seed, levels=1).fine[0, :, 0]
    upper = np.expm1(-1.2) / np.expm1(-2.0)
    assert abs(standard_scores((x == 1.0).sum(), upper, 40_000)) < LIMIT


def test_living_particles_are_inside_and_their_times_infinite(seed: int) -> None:
    run = fpk.simulate(problem(), particles=5000, steps=20, times=[0.5, 4.0], seed=seed)
    for t in run.times:
        assert np.all(np.abs(run.samples(t)[run.alive(t)]) < 1)
    assert np.array_equal(run.alive(4.0), np.isinf(run.absorbed[0]))
    assert np.all(run.absorbed[0][~run.alive(0.5)] <= 0.5)
    assert np.all(run.absorbed[0][run.alive(0.5)] > 0.5)


def test_particles_that_start_outside_are_absorbed_at_time_zero(seed: int) -> None:
    outside = replace(problem(), initial=fpk.Gaussian(1.0, 0.5))
    run = fpk.simulate(outside, particles=5000, steps=4, times=[0.0, 1.0], seed=seed)
    out = np.abs(run.start[:, 0]) >= 1
    assert 0.4 < out.mean() < 0.6
    assert np.array_equal(run.absorbed[0] == 0.0, out)
    assert np.array_equal(run.alive(0.0), ~out)
    assert np.array_equal(run.samples(1.0)[out], run.start[out])


# -- without the correction --------------------------------------------------------------------------------------------------


def ends_only(boundary: fpk.Boundary, x: Array, y: Array, variance: Array, extra: Array) -> Any:
    """Walls are met only where a step ends beyond them."""
    lower = y < boundary.lower
    beyond = np.where(lower, boundary.lower - y, y - boundary.upper)
    wall = np.where(lower, boundary.lower, boundary.upper)
    return beyond > 0, np.abs(x - wall), np.abs(beyond), wall


def middle(before: Array, beyond: Array, variance: Array, extra: Array) -> Array:
    """The time of a crossing is the middle of its step."""
    return 0.5 + 0 * before


def swapped(before: Array, beyond: Array, variance: Array, extra: Array) -> Array:
    """The place of the crossing seen from the other end of the step."""
    return 1 - PLACE(before, beyond, variance, extra)


PLACE = walls._place


@pytest.mark.parametrize(("name", "wrong"), [("_met", ends_only), ("_place", middle), ("_place", swapped)])
def test_without_the_bridge_or_its_time_the_law_is_refused(
    name: str, wrong: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walls, name, wrong)
    served = problem(walls=(-0.5, FAR), drift=lambda x, t: 0.0 * x)
    run = fpk.simulate(served, particles=40_000, steps=8, times=[4.0], seed=seed)
    assert kolmogorov(absorbed(run), lambda t: erfc(0.7 / np.sqrt(2 * t))) > 1


# -- other equations: the grid ------------------------------------------------------------------------------------------------


def grid_survival(of: fpk.Problem, t: float) -> float:
    """P(T > t) from grids of 200 and 400 cells, whose errors are of second order where the drift pushes against the walls."""
    boxes = (fpk.Grid(of.boundary.lower, of.boundary.upper, cells=cells) for cells in (200, 400))
    coarse, fine = (float(first_passage(of, box, times=[t]).survival[0]) for box in boxes)
    assert abs(fine - coarse) < 1e-4
    return fine + (fine - coarse) / 3


LEAVING = fpk.Problem("-2*x", 1.0, initial=fpk.Gaussian(0.4, 0.1), boundary=fpk.Boundary("absorbing", -1.0, 1.0))


def survival_order(of: fpk.Problem, particles: int, seed: int) -> tuple[float, float]:
    """Order of the error of the survival from 32 to 8 steps on the same paths, with its standard error (delta method)."""
    run = fpk.simulate(of, particles=particles, steps=8, times=[1.0], seed=seed, levels=3)
    left = np.array([run.alive(1.0, level=level) for level in range(3)], float)
    errors = left.mean(1) - grid_survival(LEAVING, 1.0)
    covariance = np.cov(left) / particles
    slope = np.array([-1 / errors[0], 0.0, 1 / errors[2]]) / np.log(4)
    return float(np.log(abs(errors[2] / errors[0])) / np.log(4)), float(np.sqrt(slope @ covariance @ slope))


def test_the_survival_of_a_relaxing_process_has_weak_order_one(seed: int) -> None:
    order, error = survival_order(LEAVING, 400_000, seed)
    assert error * LIMIT < 0.2, "sharp enough to tell 1 from ½"
    assert abs(order - 1) < 0.2 + LIMIT * error


def test_the_survival_of_short_steps_is_that_of_the_grid(seed: int) -> None:
    """Extrapolated with order one from steps of 1/256 and 1/128; what the same does with the level above is the allowance."""
    run = fpk.simulate(LEAVING, particles=100_000, steps=64, times=[1.0], seed=seed, levels=3)
    left = np.array([run.alive(1.0, level=level) for level in range(3)], float)
    limit, before = 2 * left[0] - left[1], 2 * left[1] - left[2]
    allowed = LIMIT * limit.std() + abs(limit - before).std()
    assert abs(limit.mean() - grid_survival(LEAVING, 1.0)) < allowed / np.sqrt(len(limit)) + abs(
        (limit - before).mean()
    )


def test_without_the_bridge_survival_has_order_one_half(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walls, "_met", ends_only)
    order, error = survival_order(replace(LEAVING, drift=lambda x, t: -2.0 * x), 50_000, seed)
    assert order + LIMIT * error < 0.8


@pytest.mark.parametrize("scheme", [EulerMaruyama(), Milstein(), Heun()])
def test_noise_that_depends_on_the_position_is_absorbed_as_the_grid_says(scheme: Any, seed: int) -> None:
    loud = replace(LEAVING, drift="-x/2", diffusion="1 + x/2")
    run = fpk.simulate(loud, particles=100_000, steps=64, times=[1.0], seed=seed, scheme=scheme)
    fine, coarse = (run.alive(1.0, level=level).astype(float) for level in (0, 1))
    bias = abs(fine.mean() - coarse.mean()) + 3 * np.std(fine - coarse) / np.sqrt(len(fine))
    exact = grid_survival(loud, 1.0)
    assert bias < 0.01
    assert abs(fine.mean() - exact) < LIMIT * fine.std() / np.sqrt(len(fine)) + 2 * bias


def test_what_is_left_of_the_law_agrees_with_the_grid(seed: int) -> None:
    """Absorbed particles count as 0 in expectations, as their mass is missing on the grid."""
    run = fpk.simulate(LEAVING, particles=200_000, steps=32, times=[0.5], seed=seed)
    solved = fpk.solve(LEAVING, fpk.Grid(-1, 1, cells=200), times=[0.5])
    panel = fpk.law_panel({0.5: fpk.Gaussian(0.0, 0.4)})
    assert fpk.compare(run, solved, panel=panel, tolerance=0.05).outcome == fpk.Outcome.CONFIRMED
    louder = fpk.simulate(replace(LEAVING, diffusion=1.1), particles=200_000, steps=32, times=[0.5], seed=seed)
    assert fpk.compare(louder, solved, panel=panel, effect=0.05).outcome == fpk.Outcome.REFUTED


# -- what particles do at places where they are no more ------------------------------------------------------------------------


def test_coefficients_are_not_asked_beyond_the_walls(seed: int) -> None:
    """√(1 − x²) is no number there; absorbed particles wait at the wall."""
    edge = replace(LEAVING, diffusion=lambda x, t: np.sqrt(1 - x**2) + 0.5)
    run = fpk.simulate(edge, particles=2000, steps=10, times=[1.0], seed=seed)
    assert 0.1 < run.alive(1.0).mean() < 0.9
    formula = fpk.simulate(
        replace(LEAVING, diffusion="sqrt(1 - x**2) + 0.5"), particles=2000, steps=10, times=[1.0], seed=seed
    )
    assert np.array_equal(run.alive(1.0), formula.alive(1.0))


def test_where_noise_vanishes_a_drift_crosses_in_a_straight_line(seed: int) -> None:
    """From .2 with speed 3 to the wall at 1: after 4/15; noise begins later."""
    pushed = problem(drift=3.0, noise=lambda t: max(t - 0.5, 0.0))
    for seen in (pushed, replace(pushed, drift=lambda x, t: 3.0 + 0 * x)):
        run = fpk.simulate(seen, particles=50, steps=3, times=[1.0], seed=seed)
        assert np.allclose(run.absorbed, 4 / 15, atol=1e-7)


def test_compiled_and_served_particles_are_absorbed_alike() -> None:
    motion, clock = Motion(LEAVING, Milstein()), Clock.even((0.5, 1.0), 20, 2)
    first, second = (Engine(motion, clock, 20_000, 0, 9, 1, compiled=wanted).run() for wanted in (True, False))
    gone = np.isfinite(first[..., 1])
    differing = np.count_nonzero(gone != np.isfinite(second[..., 1]))
    assert differing <= 2, "only decisions within rounding may differ: about 1e-12 of all"
    both = gone & np.isfinite(second[..., 1])
    assert np.allclose(first[both], second[both], rtol=0, atol=1e-12)


def test_antithetic_pairs_and_threads_change_no_absorption(seed: int) -> None:
    one, two = (fpk.simulate(LEAVING, particles=20_000, steps=4, times=[1.0], seed=seed, threads=k) for k in (1, 2))
    assert one.absorbed is not None
    assert two.absorbed is not None
    assert np.array_equal(one.absorbed, two.absorbed)
    pairs = fpk.simulate(LEAVING, particles=20_000, steps=4, times=[1.0], seed=seed, antithetic=True, levels=1)
    assert pairs.absorbed is not None
    single = fpk.simulate(LEAVING, particles=10_000, steps=4, times=[1.0], seed=seed, levels=1)
    assert single.absorbed is not None
    assert np.array_equal(pairs.absorbed[0, 0::2], single.absorbed[0])


def test_walls_that_absorb_need_one_noise_in_one_dimension() -> None:
    for noise in (np.array([[1.0, 0.5]]), 0.0):
        with pytest.raises(SchemeError, match="absorbing walls"):
            fpk.simulate(problem(noise=noise), particles=4, steps=2, times=[1.0])
