import numpy as np
import pytest
from scipy import stats

from fpk.errors import GridError, MassAtEdges, NonFinite, ProblemError, SchemeError
from fpk.fokker_planck.discretisation import ACCURATE, POSITIVE, SECOND_ORDER
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid
from fpk.laws import Gaussian, TabulatedLaw
from fpk.panels import law_panel
from fpk.problem import Boundary, Problem

OU = Problem("-x", 1.0, initial=Gaussian(1.0, 0.4), name="OU")
BOX = Grid(-5, 6, 96)
T = 0.7
MEAN, STD = np.exp(-T), np.sqrt(0.16 * np.exp(-2 * T) + 0.5 * (1 - np.exp(-2 * T)))


@pytest.fixture(scope="module")
def solution():
    return solve(OU, BOX, times=np.linspace(0, T, 8))


def test_the_density_is_the_textbook_gaussian(solution):
    np.testing.assert_allclose(solution.density(T), stats.norm.pdf(BOX.centers, MEAN, STD), atol=1e-6)
    assert solution.times[-1] == T
    assert solution.order == 6  # exact in time


def test_the_initial_density_is_the_initial_law(solution):
    np.testing.assert_array_equal(solution.density(0.0), OU.initial.density(BOX.centers[:, None]))
    np.testing.assert_array_equal(solve(OU, BOX, times=[0.0]).density(0.0), solution.density(0.0))


def test_law_distribution_and_score_describe_the_same_density(solution):
    x = np.linspace(-1.0, 2.0, 13)
    np.testing.assert_allclose(solution.law(T).density(x[:, None]), stats.norm.pdf(x, MEAN, STD), atol=1e-5)
    np.testing.assert_allclose(solution.cdf(x, T), stats.norm.cdf(x, MEAN, STD), atol=1e-6)
    t = 0.55  # between stored times
    mean, variance = np.exp(-t), 0.16 * np.exp(-2 * t) + 0.5 * (1 - np.exp(-2 * t))
    np.testing.assert_allclose(solution.score(x[:, None], t)[:, 0], (mean - x) / variance, atol=1e-3)


def test_the_distribution_function_runs_from_zero_to_the_mass(solution):
    assert solution.cdf(np.array([-100.0, 100.0]), T) == pytest.approx([0.0, 1.0], abs=1e-7)


def test_expectations_are_those_of_the_law_within_their_budget(solution):
    panel = law_panel({T: Gaussian(0.0, 1.0)})
    answer = solution.expect(panel)
    dx = 11 / 4000
    x = -5 + dx * (np.arange(4000) + 0.5)
    expected = panel.smooth[0].values(x[:, None]) @ stats.norm.pdf(x, MEAN, STD) * dx
    assert np.all(np.abs(answer.value - expected) <= answer.bias_bound)
    assert answer.bias_bound.max() < 1e-5
    np.testing.assert_allclose(answer.thresholds, stats.norm.cdf(panel.thresholds[0].points, MEAN, STD), atol=1e-6)
    assert np.all(np.isinf(solution.unbudgeted(panel).bias_bound))
    assert answer.deterministic


def test_heat_between_walls_decays_like_its_cosine_series():
    # p = 1 + ½ cos(πx) e^{−π² D t} on [0, 1] with D = ½ g²: even about both walls, so the full order holds.
    x = np.linspace(0, 1, 401)
    start = TabulatedLaw(x, np.log1p(0.5 * np.cos(np.pi * x)), reliable=np.inf)
    for kind, decay in (("no_flux", np.pi**2), ("periodic", None)):
        if kind == "periodic":
            start, decay = TabulatedLaw(x, np.log1p(0.5 * np.cos(2 * np.pi * x)), reliable=np.inf), 4 * np.pi**2
        problem = Problem(0.0, 0.5, initial=start, boundary=Boundary(kind, 0.0, 1.0))
        got = solve(problem, Grid(0, 1, 64), times=[0.4], steps=64).density(0.4)
        centers = (np.arange(64) + 0.5) / 64
        wave = np.cos(np.pi * centers) if kind == "no_flux" else np.cos(2 * np.pi * centers)
        np.testing.assert_allclose(got, 1 + 0.5 * wave * np.exp(-decay * 0.125 * 0.4), atol=2e-8)


def test_heat_between_absorbing_walls_decays_like_its_sine():
    x = np.linspace(0.0, 1.0, 402)[1:-1]
    start = TabulatedLaw(x, np.log(np.sin(np.pi * x)), support=(0.0, 1.0), reliable=np.inf)
    problem = Problem(0.0, 0.5, initial=start, boundary=Boundary("absorbing", 0.0, 1.0))
    solution = solve(problem, Grid(0, 1, 64), times=[0.0, 0.4], steps=64)
    assert solution.mass[1] / solution.mass[0] == pytest.approx(np.exp(-(np.pi**2) * 0.125 * 0.4), abs=1e-6)


def test_a_box_the_law_runs_out_of_is_refused_with_the_remedy():
    with pytest.raises(MassAtEdges, match=r"\[-1, 3\] is too small.*at t=0\.7.*Widen the grid, or state a boundary"):
        solve(OU, Grid(-1, 3, 64), times=[T])


@pytest.mark.parametrize("law", [Gaussian(0.0, 0.01), Gaussian(40.0, 0.5)], ids=["narrow", "outside"])
def test_an_initial_law_the_grid_cannot_hold_is_refused_with_the_remedy(law):
    with pytest.raises(
        GridError, match=r"of the initial mass: the initial law is narrower than a cell, or lies outside"
    ):
        solve(Problem("-x", 1.0, initial=law), BOX, times=[T])


def test_a_grid_must_span_the_walls():
    walled = Problem("-x", 1.0, initial=Gaussian(0.0, 0.2), boundary=Boundary("no_flux", -2.0, 2.0))
    with pytest.raises(
        GridError, match=r"lives on \[-2, 2\] \(no_flux\) but the grid spans \[-5, 6\]; use Grid\(-2, 2"
    ):
        solve(walled, BOX, times=[0.5])


def test_degenerate_noise_is_refused_with_the_remedy():
    with pytest.raises(SchemeError, match=r"diffusion vanishes at x=0.*number 0 as the diffusion"):
        solve(Problem("-x", "x**2", initial=Gaussian(0.0, 1.0)), Grid(-6, 6, 64), times=[0.5])


@pytest.mark.parametrize("scheme", [ACCURATE, SECOND_ORDER])
def test_positivity_is_not_promised_by_a_scheme_that_cannot_keep_it(scheme):
    with pytest.raises(SchemeError, match=r"positive=True needs an M-matrix flux with backward Euler.*can undershoot"):
        solve(OU, BOX, times=[T], scheme=scheme, positive=True)
    assert solve(OU, BOX, times=[T], scheme=POSITIVE, positive=True).minimum >= 0


@pytest.mark.parametrize("times", [[1.5], [-0.1], []])
def test_times_outside_the_horizon_are_refused(times):
    with pytest.raises(ProblemError, match="times"):
        solve(OU, BOX, times=times)


def test_times_that_were_not_stored_are_refused_with_the_stored_ones(solution):
    with pytest.raises(GridError, match=r"not stored at t=0\.123; stored: \[0\.0, 0\.1.*Add it to times"):
        solution.density(0.123)


@pytest.mark.parametrize("steps", [0, -3])
def test_steps_must_be_positive(steps):
    with pytest.raises(SchemeError, match="steps ≥ 1"):
        solve(OU, BOX, times=[T], steps=steps)


def test_a_score_needs_several_times():
    with pytest.raises(GridError, match="stored times reach from"):
        solve(OU, BOX, times=[T]).score(np.zeros((1, 1)), T)


def test_two_dimensions_are_refused_with_the_other_routes():
    plane = Problem(lambda x, t: -x, 1.0, initial=Gaussian([0.0, 0.0]))
    with pytest.raises(SchemeError, match=r"d = 2.*fpk\.exact or fpk\.simulate"):
        solve(plane, BOX, times=[T])


def test_a_drift_that_is_not_finite_on_the_grid_says_where():
    with pytest.raises(NonFinite, match=r"the drift is \[nan\] at x=\[-4\.9.*t=0"):
        solve(Problem("-sqrt(x + 4)", 1.0, initial=Gaussian(1.0, 0.4)), BOX, times=[T])


@pytest.mark.parametrize("kind", ["no_flux", "periodic"])
def test_noiseless_mass_that_crosses_a_wall_is_refused(kind):
    problem = Problem(1.0, 0.0, initial=Gaussian(0.5, 0.05), boundary=Boundary(kind, 0.0, 1.0))
    with pytest.raises(
        MassAtEdges, match=r"mass leaves \[0, 1\] by t=1: without noise, characteristics cross every wall"
    ):
        solve(problem, Grid(0, 1, 64), times=[1.0])
    assert solve(problem, Grid(0, 1, 64), times=[0.1]).mass[0] == pytest.approx(1.0, abs=1e-9)


def test_an_undershoot_is_reported_not_hidden():
    coarse = solve(Problem("-x", 0.1, initial=Gaussian(1.0, 0.4)), Grid(-5, 6, 48), times=[1.0], steps=8)
    assert coarse.minimum < 0
    assert coarse.minimum == coarse.densities.min()


@pytest.mark.parametrize(
    ("lower", "upper", "cells"), [(1.0, 1.0, 64), (0.0, np.inf, 64), (0.0, 1.0, 7), (0.0, 1.0, 10.5)]
)
def test_a_grid_without_room_is_refused(lower, upper, cells):
    with pytest.raises(GridError, match="a grid needs"):
        Grid(lower, upper, cells)


def test_centres_and_faces_interleave():
    grid = Grid(-1, 1, 8)
    assert grid.faces[0] == -1
    assert grid.faces[-1] == 1
    np.testing.assert_allclose(grid.centers, 0.5 * (grid.faces[1:] + grid.faces[:-1]))


@pytest.mark.parametrize("cells", [200, 400])
def test_an_early_time_that_gets_a_single_step_has_a_budget_for_it(cells):
    """Cells this large for so weak a noise take Padé steps, shared among the intervals by their lengths."""
    wells = Problem("x - x**3", 2**0.5, initial=Gaussian(1.2, 0.3), horizon=60)
    exact = solve(wells, Grid(-5, 5, cells=800), times=[1.0])
    panel = law_panel({1.0: exact.law(1.0)})
    found, true = solve(wells, Grid(-5, 5, cells=cells), times=[1.0, 1.5, 60.0]).expect(panel), exact.expect(panel)
    assert np.all(np.abs(found.value - true.value) <= found.bias_bound + true.bias_bound)
