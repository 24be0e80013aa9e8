"""Dual-weighted residuals and the proven bar, against modes and moments in closed form."""

from dataclasses import replace

import numpy as np
import pytest

from fpk.errors import SchemeError
from fpk.fokker_planck.discretisation import ACCURATE, MAGNUS, SECOND_ORDER
from fpk.fokker_planck.residuals import Residuals
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid
from fpk.laws import Gaussian
from fpk.problem import Boundary, Problem

D, TIME, STARTS = 0.1, 0.6, (0.45, 0.07)
#: What decays at the rate D k² of its wave number under each boundary, on [0, 1].
MODES = {
    "no_flux": lambda x: np.cos(np.pi * x),
    "absorbing": lambda x: np.sin(np.pi * x),
    "periodic": lambda x: np.sin(2 * np.pi * x),
}
schemes = pytest.mark.parametrize("scheme", [None, ACCURATE, SECOND_ORDER], ids=str)


def told(solution, problem, function):
    """∫ p̃ φ by Gauss sums and what the residual adds to it."""
    residuals, time = Residuals(solution.plan, problem, solution.times), solution.times[-1]
    x, weights = residuals.points
    plain = float(weights @ (residuals.splined(solution.density(time))(x) * function(x)))
    return plain, float(residuals.correction(time, function(solution.grid.centers)[None])[0])


def mode(kind):
    """A Brownian motion on [0, 1], the function that decays, and its exact expectation at the end."""
    problem = Problem(0.0, (2 * D) ** 0.5, initial=Gaussian(*STARTS), boundary=Boundary(kind, 0.0, 1.0))
    fine = np.linspace(0, 1, 20001)
    start = np.trapezoid(problem.initial.density(fine[:, None]) * MODES[kind](fine), fine)
    rate = D * (2 * np.pi if kind == "periodic" else np.pi) ** 2
    return problem, MODES[kind], start * np.exp(-rate * TIME)


@pytest.mark.parametrize("kind", MODES)
@schemes
def test_the_residual_tells_the_error_of_a_mode_under_every_boundary(kind, scheme):
    problem, function, exact = mode(kind)
    solution = solve(problem, Grid(0, 1, cells=48), times=[TIME], steps=24, scheme=scheme)
    plain, correction = told(solution, problem, function)
    assert abs(exact - plain - correction) < 0.05 * abs(exact - plain) + 1e-12


@pytest.mark.parametrize("scheme", [ACCURATE, SECOND_ORDER], ids=str)
def test_the_residual_tells_the_error_of_moments_of_a_swinging_spring(scheme):
    problem = Problem("sin(3*t) - x", 1.0, initial=Gaussian(0.5, 0.4))
    mean = 0.5 * np.exp(-1) + (np.sin(3) - 3 * np.cos(3) + 3 * np.exp(-1)) / 10
    variance = 0.16 * np.exp(-2) + (1 - np.exp(-2)) / 2
    solution = solve(problem, Grid(-5, 5, cells=40), times=[1.0], steps=10, scheme=scheme)
    plain, correction = told(solution, problem, lambda x: x**2)
    assert abs(mean**2 + variance - plain - correction) < 0.05 * abs(mean**2 + variance - plain)


def test_a_wrong_coefficient_of_the_solver_is_seen_without_a_second_solver():
    stated, function, exact = mode("no_flux")
    given = replace(stated, diffusion=(2 * D * 1.001) ** 0.5)
    solution = solve(given, Grid(0, 1, cells=128), times=[TIME])
    plain, correction = told(solution, stated, function)
    effect = exact * 0.001 * D * np.pi**2 * TIME  # to first order
    assert correction == pytest.approx(effect, rel=2e-3)
    assert plain + correction == pytest.approx(exact, abs=2e-3 * effect)


@pytest.mark.parametrize("kind", ["no_flux", "periodic"])
@schemes
def test_the_proven_bar_bounds_the_distance_from_the_sum_over_images_and_falls(kind, scheme):
    problem, bars = mode(kind)[0], []
    for cells in (16, 32, 64):
        solution = solve(problem, Grid(0, 1, cells=cells), times=[TIME], steps=cells // 2, scheme=scheme)
        residuals = Residuals(solution.plan, problem, solution.times)
        x, weights = residuals.points
        turns, spread = np.arange(-6, 7)[:, None], STARTS[1] ** 2 + 2 * D * TIME
        centres = [STARTS[0] + turns] if kind == "periodic" else [STARTS[0] + 2 * turns, 2 * turns - STARTS[0]]
        exact = sum(np.exp(-((x - c) ** 2) / (2 * spread)).sum(0) for c in centres) / (2 * np.pi * spread) ** 0.5
        bars.append(residuals.l1_bar(TIME) + solution.floor)
        assert weights @ np.abs(residuals.splined(solution.density(TIME))(x) - exact) < bars[-1]
    assert bars[0] > 3 * bars[1] > 9 * bars[2]


def test_the_proven_bar_is_refused_at_absorbing_walls():
    problem = mode("absorbing")[0]
    solution = solve(problem, Grid(0, 1, cells=32), times=[TIME])
    with pytest.raises(SchemeError, match="does not hold at absorbing walls"):
        Residuals(solution.plan, problem, solution.times).l1_bar(TIME)


@pytest.mark.parametrize("kind", ["no_flux", "periodic"])
@pytest.mark.parametrize("scheme", [ACCURATE, SECOND_ORDER, MAGNUS], ids=str)
def test_functionals_are_corrected_together_as_one_by_one_and_coefficients_are_read_once_for_all(kind, scheme):
    reads = []

    def drift(x, t):
        reads.append(t)
        return np.sin(2 * np.pi * x) * np.cos(5 * t)

    problem = replace(mode(kind)[0], drift=drift)
    solution = solve(problem, Grid(0, 1, cells=32), times=[0.2, TIME], steps=6, scheme=scheme)
    residuals = Residuals(solution.plan, problem, solution.times)
    functionals = np.stack([np.cos(2 * np.pi * k * solution.grid.centers) for k in range(1, 5)])
    counts = []
    for asked in (functionals[:1], functionals):
        reads.clear()
        together = residuals.correction(TIME, asked)
        counts.append(len(reads))
    alone = [residuals.correction(TIME, phi[None])[0] for phi in functionals]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-15 + 1e-13 * np.abs(together).max())
    assert counts[0] == counts[1]
