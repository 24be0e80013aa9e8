"""``solve`` in two and three dimensions: against exact laws, particles, one-dimensional solutions, and what it must refuse."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import fpk
from fpk.errors import GridError, MassAtEdges, NonFinite, SchemeError
from fpk.fokker_planck.discretisation import POSITIVE
from fpk.fokker_planck.product.discretisation import (
    ACCURATE,
    CHOICES,
    POSITIVE_CHOICES,
    SEPARABLE,
    ProductScheme,
    discretised,
)
from fpk.grids import Grid
from fpk.particles.exact_transition import ExactTransition
from fpk.paths import two_time_panel

A = np.array([[-1.0, -2.0], [2.0, -1.0]])
G = np.linalg.cholesky(2 * np.array([[0.6, 0.3], [0.3, 0.4]]))


def spiral(A=A, std=0.3, **given):
    """A rotating Ornstein–Uhlenbeck process with correlated noises."""
    return fpk.Problem(fpk.Linear(A), G, initial=fpk.Gaussian([1.5, 0.0], std), **given)


def tumbling():
    """A linear problem in space with a full tensor."""
    B = np.array([[-1.0, -1.5, 0.3], [1.0, -1.2, 0.5], [0.0, -0.7, -0.8]])
    D = np.array([[0.5, 0.2, -0.1], [0.2, 0.4, 0.1], [-0.1, 0.1, 0.3]])
    return fpk.Problem(
        fpk.Linear(B), np.linalg.cholesky(2 * D), initial=fpk.Gaussian([0.6, 0.0, -0.4], 0.6), horizon=0.4
    )


def ring(horizon=1.0):
    """Four peaks on a ring, noised by a stiff schedule."""
    angles = np.pi / 2 * np.arange(4)
    means = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mixture = fpk.GaussianMixture([0.25] * 4, means, covariances=np.array([0.09 * np.eye(2)] * 4))
    return fpk.noising(fpk.VPSchedule(0.1, 20.0), mixture, horizon=horizon)


def l1_error(solution, exact, t):
    grid = solution.grid
    wanted = np.exp(exact.law(t).log_density(grid.points)).reshape(grid.shape)
    return float(np.abs(solution.density(t) - wanted).sum()) * grid.volume


@pytest.fixture(scope="module")
def solved():
    return fpk.solve(spiral(), Grid(-6, 6, cells=96) ** 2, times=[0.5, 1.0])


@pytest.fixture(scope="module")
def exact():
    return fpk.exact(spiral(), times=[0.5, 1.0])


def test_a_rotating_gaussian_is_right_to_a_millionth_on_96_by_96_cells(solved, exact):
    assert l1_error(solved, exact, 1.0) < 1e-6
    assert np.all(np.abs(solved.mass - 1) < 1e-11)
    assert solved.minimum > -1e-7


def test_errors_in_the_plane_fall_with_the_eighth_power_of_the_cell_width(exact):
    errors = [l1_error(fpk.solve(spiral(), Grid(-6, 6, cells=n) ** 2, times=[1.0]), exact, 1.0) for n in (64, 80, 100)]
    orders = [
        np.log(a / b) / np.log(m / n) for (a, b), (n, m) in zip(pairwise(errors), pairwise((64, 80, 100)), strict=True)
    ]
    assert all(7.2 < order < 9 for order in orders)


def test_errors_in_space_fall_with_the_eighth_power_of_the_cell_width():
    problem = tumbling()
    exact = fpk.exact(problem, times=[0.4])
    box = [Grid(-5, 5, cells=n) ** 3 for n in (24, 32)]
    coarse, fine = (l1_error(fpk.solve(problem, grid, times=[0.4]), exact, 0.4) for grid in box)
    assert fine < 1e-3
    assert 6 < np.log(coarse / fine) / np.log(32 / 24) < 10


def test_a_stiff_schedule_needs_no_knowledge_of_its_separability():
    problem, grid = ring(), Grid(-6, 6, cells=64) ** 2
    solution = fpk.solve(problem, grid, times=[0.25, 1.0], scheme=ACCURATE)
    exact = fpk.exact(problem, times=[0.25, 1.0])
    assert all(l1_error(solution, exact, t) < 1e-5 for t in (0.25, 1.0))


def test_expectations_agree_with_the_exact_law_along_axes_and_slanted_directions(solved, exact):
    panel = fpk.law_panel(
        {1.0: exact.law(1.0)}, directions=[np.array(e) for e in ([1.0, 0.0], [0.6, 0.8], [1.0, -2.0])]
    )
    found, wanted = solved.expect(panel), exact.expect(panel)
    error, off = np.abs(found.value - wanted.value), np.abs(found.thresholds - wanted.thresholds)
    assert error.max() < 1e-6
    assert off.max() < 1e-6
    assert np.all(error < found.bias_bound)
    assert np.all(off < found.threshold_bound)


def test_functionals_with_structure_inside_a_cell_are_resolved(solved, exact):
    narrow = fpk.Gaussian([float(exact.law(1.0).mean[0]), 0.0], 0.02)
    panel = fpk.law_panel({1.0: narrow}, directions=[np.array([1.0, 0.0])])
    assert solved.grid.spacings[0] > 6 * 0.02
    assert np.abs(solved.expect(panel).value - exact.expect(panel).value).max() < 1e-5


def test_joint_expectations_agree_with_the_exact_law_and_see_the_sign_of_a_rotation(solved, exact):
    panel = two_time_panel({t: exact.law(t) for t in (0.5, 1.0)})
    found = solved.expect(panel)
    assert np.abs(found.value - exact.expect(panel).value).max() < 1e-6
    turned = fpk.exact(spiral(A=A.T), times=[0.5, 1.0]).expect(panel)
    assert np.abs(found.value - turned.value).max() > 0.1


def test_laws_offer_densities_scores_projections_and_samples(solved, exact):
    law, wanted = solved.law(1.0), exact.law(1.0)
    x = wanted.sample(200, np.random.default_rng(0))
    x = x[wanted.log_density(x) > wanted.log_density(wanted.mean[None]) - 8]
    assert np.allclose(law.log_density(x), wanted.log_density(x), rtol=0, atol=1e-3)
    assert np.allclose(law.score(x), wanted.score(x), rtol=0, atol=1e-2)
    assert np.allclose(solved.density_on(x, 1.0), np.exp(wanted.log_density(x)), rtol=0, atol=1e-6)
    y, direction = np.linspace(-2, 2, 9), np.array([2.0, -1.0])
    assert np.allclose(law.projected(direction).cdf(y), wanted.projected(direction).cdf(y), rtol=0, atol=1e-7)
    drawn = law.sample(4000, np.random.default_rng(1))
    assert np.all(np.abs(drawn.mean(axis=0) - wanted.mean) < 5 * np.sqrt(np.diag(wanted.covariance) / 4000))


def test_scores_between_stored_times_are_splines_in_time():
    times = np.linspace(0.2, 1.0, 9)
    solution = fpk.solve(spiral(std=0.5), Grid(-6, 6, cells=64) ** 2, times=times)
    law = fpk.exact(spiral(std=0.5), times=times).law(0.55)
    x = law.sample(50, np.random.default_rng(2))
    assert np.allclose(solution.score(x, 0.55), law.score(x), rtol=0, atol=0.05)
    with pytest.raises(GridError, match=r"no score at t=0\.1"):
        solution.score(x, 0.1)


def test_comparisons_with_exact_laws_particles_and_refined_grids_are_confirmed(exact):
    refined = fpk.refine(lambda k: fpk.solve(spiral(), Grid(-6, 6, cells=32 * k) ** 2, times=[0.5, 1.0]))
    assert fpk.compare(refined, exact, tolerance=1e-3).outcome is fpk.Outcome.CONFIRMED
    run = fpk.simulate(spiral(), particles=40_000, steps=1, times=[0.5, 1.0], scheme=ExactTransition(), seed=0)
    assert fpk.compare(refined, run, tolerance=0.05).outcome is fpk.Outcome.CONFIRMED


def test_another_rotation_is_refuted(solved):
    assert fpk.compare(solved, fpk.exact(spiral(A=A.T), times=[1.0]), tolerance=0.01).outcome is fpk.Outcome.REFUTED


def test_state_dependent_noise_multiplies_the_mean_as_geometric_brownian_motion_does():
    growth = fpk.Problem(["0.2*x0", "0.1*x1"], ["0.3*x0", "0.2*x1"], initial=fpk.Gaussian([2.0, 3.0], 0.2), horizon=0.5)
    solution = fpk.solve(growth, Grid(0, 9, cells=96) * Grid(0, 9, cells=96), times=[0.5], scheme=ACCURATE)
    mean = solution.density(0.5).ravel() @ solution.grid.points * solution.grid.volume
    second = solution.density(0.5).ravel() @ solution.grid.points**2 * solution.grid.volume
    rates, noise = np.array([0.2, 0.1]), np.array([0.3, 0.2])
    assert np.allclose(mean, np.array([2.0, 3.0]) * np.exp(0.5 * rates), rtol=1e-6)
    wanted = (np.array([2.0, 3.0]) ** 2 + 0.04) * np.exp((2 * rates + noise**2) * 0.5)
    assert np.allclose(second, wanted, rtol=1e-5)


def test_independent_coordinates_are_products_of_one_dimensional_solutions():
    wells = fpk.Problem(["x0 - x0**3", "-x1"], [0.8, 0.7], initial=fpk.Gaussian([0.5, 0.0], 0.4))
    one = fpk.Problem("x - x**3", 0.8, initial=fpk.Gaussian(0.5, 0.4))
    other = fpk.Problem("-x", 0.7, initial=fpk.Gaussian(0.0, 0.4))
    grid = Grid(-3, 3, cells=60)
    product = np.outer(*(fpk.solve(p, grid, times=[1.0]).density(1.0) for p in (one, other)))
    for scheme in (None, ACCURATE):
        found = fpk.solve(wells, grid**2, times=[1.0], scheme=scheme).density(1.0)
        assert np.abs(found - product).sum() * grid.spacing**2 < 1e-5


def test_zero_noise_goes_along_characteristics():
    turning = fpk.Problem(fpk.Linear(np.array([[0.0, -1.0], [1.0, 0.0]])), 0.0, initial=fpk.Gaussian([1.0, 0.0], 0.3))
    solution = fpk.solve(turning, Grid(-3, 3, cells=48) ** 2, times=[0.5])
    assert l1_error(solution, fpk.exact(turning, times=[0.5]), 0.5) < 1e-6


def test_positive_solutions_stay_positive():
    problem = fpk.Problem(fpk.Linear(A), G, initial=fpk.Gaussian([1.5, 0.0], 0.4), horizon=0.2)
    solution = fpk.solve(problem, Grid(-4, 4, cells=32) ** 2, times=[0.2], positive=True)
    assert solution.minimum >= 0


@pytest.mark.parametrize(
    ("problem", "grid", "given", "error", "words"),
    [
        (spiral(), Grid(-6, 6, cells=12) ** 2, {}, GridError, "12 × 12 cells .* narrower than a cell"),
        (
            spiral(),
            Grid(0, 3, cells=40) * Grid(-2, 2, cells=40),
            {},
            MassAtEdges,
            r"\[0, 3\] × \[-2, 2\] is too small",
        ),
        (spiral(), Grid(-6, 6, cells=32) ** 3, {}, SchemeError, "d = 2, the grid 3 axes"),
        (spiral(), Grid(-6, 6, cells=64) ** 2, {"scheme": POSITIVE}, SchemeError, "must be one for product grids"),
        (spiral(), Grid(-6, 6, cells=64) ** 2, {"scheme": ACCURATE, "positive": True}, SchemeError, "can undershoot"),
        (spiral(), Grid(-6, 6, cells=64) ** 2, {"steps": 0}, SchemeError, "steps=0"),
    ],
)
def test_what_cannot_be_solved_is_refused_with_a_reason(problem, grid, given, error, words):
    with pytest.raises(error, match=words):
        fpk.solve(problem, grid, times=[1.0], **given)


def test_coefficients_that_are_not_finite_are_refused_with_their_place():
    singular = fpk.Problem(["sqrt(x0 + 2)", "x0 - x1"], 1.0, initial=fpk.Gaussian([2.0, 0.0], 0.3))
    with pytest.raises(NonFinite, match="drift"):
        fpk.solve(singular, Grid(-4, 4, cells=40) ** 2, times=[0.1])


def test_a_solution_says_what_it_was_computed_with(solved):
    assert solved.source == "grid, Central8 + Faber exponential, 96 × 96 cells, 1 step"


@pytest.mark.parametrize("scheme", [*CHOICES, *POSITIVE_CHOICES], ids=str)
def test_schemes_that_are_chosen_by_themselves_keep_the_protocol(scheme):
    assert isinstance(scheme, ProductScheme)
    assert scheme.order >= 2
    assert not scheme.suits(
        fpk.Problem(["-x0", "-x1"], 0.0, initial=fpk.Gaussian([0.0, 0.0], 1.0)), Grid(-6, 6, cells=32) ** 2
    )


def test_separable_problems_take_propagators_and_others_central_differences():
    wells = fpk.Problem(["x0 - x0**3", "-x1"], [0.8, 0.7], initial=fpk.Gaussian([0.5, 0.0], 0.4))
    chosen = [discretised(p, Grid(-4, 4, cells=32) ** 2, until=1.0).scheme for p in (wells, spiral())]
    assert chosen == [SEPARABLE, ACCURATE]


def random_linear(rng):
    """Rotation, contraction and correlated noises, as they come."""
    drift = rng.normal(size=(2, 2))
    drift -= (np.linalg.eigvals(drift).real.max() + rng.uniform(0.2, 1.5)) * np.eye(2)
    noise = 0.7 * np.eye(2) + 0.3 * rng.normal(size=(2, 2))
    return fpk.Problem(fpk.Linear(drift), noise, initial=fpk.Gaussian(rng.normal(size=2), rng.uniform(0.4, 0.7)))


def test_bars_cover_the_errors_of_random_linear_problems():
    finite = 0
    for seed in range(12):
        problem = random_linear(np.random.default_rng(seed))
        exact = fpk.exact(problem, times=[0.6])
        panel = fpk.law_panel({0.6: exact.law(0.6)})
        found, wanted = fpk.solve(problem, Grid(-8, 8, cells=80) ** 2, times=[0.6]).expect(panel), exact.expect(panel)
        assert np.all(np.abs(found.value - wanted.value) < found.bias_bound)
        assert np.all(np.abs(found.thresholds - wanted.thresholds) < found.threshold_bound)
        finite += bool(np.all(np.isfinite(found.bias_bound)))
    assert finite >= 6  # elsewhere half of the cells cannot hold the law


def test_a_law_that_becomes_narrower_than_the_cells_is_not_taken_for_a_small_box():
    squeezed = fpk.Problem(
        fpk.Linear(-3 * np.eye(2) + np.array([[0.0, 1.0], [0.0, 0.0]])), 0.05, initial=fpk.Gaussian([1.0, 0.0], 0.5)
    )
    with pytest.raises(GridError, match="narrower than the cells"):
        fpk.solve(squeezed, Grid(-4, 4, cells=32) ** 2, times=[1.0])


def test_bars_cover_what_a_tight_box_cuts_off():
    problem, edge = spiral(std=0.5), 4.1
    exact = fpk.exact(problem, times=[1.0])
    solution = fpk.solve(problem, Grid(-edge, edge, cells=64) ** 2, times=[1.0])
    panel = fpk.law_panel({1.0: exact.law(1.0)})
    error = np.abs(solution.expect(panel).value - exact.expect(panel).value)
    assert error.max() > 1e-7
    assert np.all(error < solution.floor)
