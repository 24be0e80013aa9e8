import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpk.closed_form import LawMarginals, exact
from fpk.comparison import compare
from fpk.errors import ComparisonError, GridError, ProblemError
from fpk.fokker_planck.discretisation import ACCURATE, EXACT_IN_TIME, MAGNUS, POSITIVE, SECOND_ORDER
from fpk.fokker_planck.solver import solve
from fpk.fokker_planck.transitions import point_start, transition_density
from fpk.grids import Grid
from fpk.laws import Gaussian, GaussianMixture
from fpk.panels import law_panel
from fpk.paths import two_time_panel
from fpk.problem import Boundary, Problem, noising
from fpk.refinement import refine
from fpk.schedules import VPSchedule
from fpk.transformations import with_noise

OU = Problem("-x", 1.0, initial=Gaussian(0.4, 0.4))
START = 0.777


def gaussian(x, mean, variance):
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def distance(grid, times, scheme=None, **options):
    """L¹ distance from the Gaussian transition density, at each time."""
    found = transition_density(OU, grid, start=START, times=times, scheme=scheme, **options)
    laws = [gaussian(grid.centers, START * np.exp(-t), (1 - np.exp(-2 * t)) / 2) for t in times]
    return np.array([np.abs(found.density(t) - p) @ grid.widths for t, p in zip(times, laws, strict=True)])


@pytest.mark.parametrize(
    ("scheme", "bars"),
    [
        (EXACT_IN_TIME, (6e-5, 1e-6, 1e-9)),
        (MAGNUS, (6e-5, 1e-6, 1e-9)),
        (ACCURATE, (6e-5, 3e-5, 5e-9)),
        (SECOND_ORDER, (2e-2, 2e-3, 4e-4)),
        (POSITIVE, (3e-2, 6e-2, 6e-3)),
    ],
    ids=str,
)
def test_the_transition_density_of_an_ornstein_uhlenbeck_process_is_gaussian(scheme, bars):
    # The first time is the earliest that 200 cells allow, D t = 5 h².
    assert np.all(distance(Grid(-5, 5, cells=200), (0.025, 0.1, 1.0), scheme) < bars)


def test_the_density_converges_at_sixth_order():
    coarse, fine = distance(Grid(-5, 5, cells=200), (0.1,)), distance(Grid(-5, 5, cells=400), (0.1,))
    assert np.log2(coarse / fine)[0] == pytest.approx(6, abs=0.3)


def test_cells_may_gather_around_the_start():
    assert np.all(distance(Grid(-5, 5, cells=200, focus=START, breadth=0.5), (0.025, 0.1, 1.0)) < 1e-7)


@pytest.mark.parametrize("cells", [100, 160, 240])
def test_one_transition_density_has_a_budget_that_covers_its_error(cells):
    found = transition_density(OU, Grid(-5, 5, cells=cells), start=START, times=[0.5])
    law = Gaussian(START * np.exp(-0.5), ((1 - np.exp(-1)) / 2) ** 0.5)
    panel = law_panel({0.5: law})
    budgeted, true = found.expect(panel), LawMarginals({0.5: law}, (0.5,)).expect(panel)
    assert np.all(np.abs(budgeted.value - true.value) <= budgeted.bias_bound + true.bias_bound)
    assert np.all(budgeted.bias_bound < 1e-3 * (100 / cells) ** 4)


@pytest.mark.parametrize("kind", ["no_flux", "periodic", "absorbing"])
def test_brownian_motion_between_walls_is_a_sum_of_images(kind):
    problem = Problem(0.0, 0.8, initial=OU.initial, boundary=Boundary(kind, -1.0, 1.0))
    grid, start, t = Grid(-1, 1, cells=100), 0.9, 0.15
    found = transition_density(problem, grid, start=start, times=[t])
    k, x, v = np.arange(-8, 9), grid.centers[:, None], 0.64 * t
    direct, mirrored = gaussian(x, start + 4 * k, v), gaussian(x, 2 - start + 4 * k, v)
    images = {"no_flux": direct + mirrored, "absorbing": direct - mirrored, "periodic": gaussian(x, start + 2 * k, v)}
    np.testing.assert_allclose(found.density(t), images[kind].sum(1), atol=1e-6)


def test_a_refined_transition_density_agrees_with_the_exact_law_and_not_with_a_wrong_one():
    walls = Boundary("no_flux", -5.0, 5.0)

    def refined(noise):
        problem = Problem("-x", noise**0.5, initial=OU.initial, boundary=walls)
        return refine(lambda k: transition_density(problem, Grid(-5, 5, cells=64 * k), start=START, times=[0.5]))

    start = Problem("-x", 1.0, initial=Gaussian(START, 1e-9))
    law = exact(start, times=[0.5])
    assert str(compare(refined(1.0), law, tolerance=1e-3).outcome) == "CONFIRMED"
    assert str(compare(refined(1.02), law, tolerance=1e-3).outcome) == "REFUTED"


@given(place=st.floats(-4.99, 4.99), points=st.sampled_from([2, 4, 8]), periodic=st.booleans())
def test_a_point_start_has_the_moments_of_the_point(place, points, periodic):
    grid = Grid(-5, 5, cells=40)
    inside = not periodic or abs(place) < 3.5  # a monomial does not wrap
    q = point_start(grid, place, points=points, periodic=periodic) * grid.spacing
    assert q.sum() == pytest.approx(1, abs=1e-12)
    for degree in range(1, points if inside else 1):
        assert q @ grid.centers**degree == pytest.approx(place**degree, abs=1e-9 * 5**degree)
    if points == 2 and abs(place) < 4.8:
        assert q.min() >= 0


def test_positive_schemes_stay_positive_from_a_point():
    found = transition_density(OU, Grid(-5, 5, cells=200), start=START, times=[0.03, 0.5], scheme=POSITIVE)
    assert found.minimum >= 0


def test_a_start_that_no_grid_function_can_follow_is_refused():
    with pytest.raises(ProblemError, match="outside the grid"):
        transition_density(OU, Grid(-5, 5, cells=100), start=5.5, times=[1.0])
    with pytest.raises(GridError, match="Ask for times"):
        transition_density(OU, Grid(-5, 5, cells=100), start=0.0, times=[1e-3, 1.0])


# -- two times ---------------------------------------------------------------------------------------------------------

MIXTURE = GaussianMixture([0.3, 0.7], [-1.0, 1.2], stds=[0.2, 0.45])
LINEAR = {"OU": OU, "VP": noising(VPSchedule(0.6, 3.4), MIXTURE)}
TIMES = [0.3, 0.55, 1.0]
BOX = Boundary("no_flux", -6.5, 7.0)


def boxed(problem):
    return Problem(problem.drift, problem.diffusion, initial=problem.initial, boundary=BOX)


@pytest.mark.parametrize("case", LINEAR)
@pytest.mark.parametrize("scheme", [None, ACCURATE, MAGNUS], ids=["default", "ESDIRK4", "Magnus"])
def test_joint_expectations_of_a_grid_are_those_of_the_exact_joint_law(case, scheme):
    law = exact(LINEAR[case], times=TIMES)
    panel = two_time_panel({t: law.law(t) for t in TIMES}, degree=3)
    solution = solve(boxed(LINEAR[case]), Grid(-6.5, 7, cells=320), times=TIMES, steps=100, scheme=scheme)
    found = solution.expect(panel)
    np.testing.assert_allclose(found.value, law.expect(panel).value, atol=2e-7)


def test_two_time_comparisons_see_what_one_time_laws_cannot():
    """Twice the noise with the drift that balances it: every p_t as before, only the joint law differs."""
    problem = LINEAR["VP"]
    law = exact(problem, times=[0.4, 1.0])
    panel = two_time_panel({t: law.law(t) for t in law.times})
    balanced = with_noise(problem, law.score, noise=lambda t: 1.05 * problem.diffusion(np.zeros((1, 1)), t).item())

    def grid(of):
        return refine(lambda k: solve(boxed(of), Grid(-6.5, 7, cells=80 * k), times=[0.4, 1.0], steps=20 * k))

    assert str(compare(law, grid(problem), panel=panel, tolerance=1e-3).outcome) == "CONFIRMED"
    assert str(compare(law, grid(balanced), panel=panel, tolerance=1e-3).outcome) == "REFUTED"
    assert str(compare(law, grid(balanced), tolerance=1e-3).outcome) == "CONFIRMED"


def test_one_time_twice_is_the_expectation_of_the_product():
    law = exact(OU, times=[0.3, 1.0])
    block = two_time_panel({t: law.law(t) for t in (0.3, 1.0)}).smooth[0]
    twice = type(block)(block.first, block.first)
    solution = solve(OU, Grid(-5, 5, cells=200), times=[0.3, 1.0])
    values = block.first.values(solution.grid.centers[:, None])
    direct = np.einsum("ji,ki,i->jk", values, values, solution.density(0.3) * solution.grid.widths)
    np.testing.assert_allclose(solution._expected(twice), direct.ravel(), atol=1e-14)


def test_a_flow_knows_one_time_laws_only():
    problem = Problem("-x", 0, initial=Gaussian(0.4, 0.4))
    laws = {t: Gaussian(0.4 * np.exp(-t), 0.4 * np.exp(-t)) for t in (0.3, 1.0)}
    with pytest.raises(ComparisonError, match="one-time marginals only"):
        solve(problem, Grid(-3, 3, cells=64), times=[0.3, 1.0]).expect(two_time_panel(laws))
