import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import fpk
from fpk.errors import GridError, SchemeError
from fpk.fokker_planck.boxes import FittedGrid, fitted_grid
from fpk.fokker_planck.solver import solve
from fpk.laws import Gaussian
from fpk.problem import Boundary, Problem
from fpk.problems.manufactured import around_a_ring, between_walls


def l1(fitted, problem, t, density):
    run = solve(problem, fitted.grid, times=[t], steps=fitted.steps)
    x = fitted.grid.centers
    return float(np.abs(run.density(t) - density(x)) @ fitted.grid.widths)


@given(
    rate=st.floats(-0.5, 3),
    push=st.floats(-4, 4),
    noise=st.floats(0.2, 2),
    start=st.floats(-3, 3),
    width=st.floats(0.1, 1),
    accuracy=st.sampled_from([1e-3, 1e-4]),
)
def test_linear_problems_reach_what_is_asked(rate, push, noise, start, width, accuracy):
    problem = Problem(fpk.Linear(-rate, push), noise, initial=Gaussian(start, width))
    fitted = fitted_grid(problem, times=[1.0], accuracy=accuracy)
    decay = np.exp(-rate)
    moved = push if abs(rate) < 1e-6 else -push * np.expm1(-rate) / rate
    spread = 1.0 if abs(rate) < 1e-6 else -np.expm1(-2 * rate) / (2 * rate)
    law = stats.norm(start * decay + moved, (width**2 * decay**2 + noise**2 * spread) ** 0.5)
    assert l1(fitted, problem, 1.0, law.pdf) < accuracy
    assert law.cdf(fitted.grid.lower) + law.sf(fitted.grid.upper) < 1e-10
    assert fitted.error < accuracy


@pytest.mark.parametrize(
    "schedule",
    [fpk.VPSchedule(0.1, 20.0), fpk.VESchedule(0.05, 3.0)],
    ids=["variance-preserving", "variance-exploding"],
)
def test_noising_problems_reach_what_is_asked(schedule):
    problem = fpk.noising(schedule, fpk.problems.two_peaks())
    fitted = fitted_grid(problem, times=[0.3, 1.0])
    for t in (0.3, 1.0):
        a, s = schedule.alpha(t), schedule.sigma(t)

        def density(x, a=a, s=s):
            parts = ((0.3, -1.0, 0.2), (0.7, 1.2, 0.45))
            return sum(w * stats.norm.pdf(x, a * m, np.hypot(a * d, s)) for w, m, d in parts)

        assert l1(fitted, problem, t, density) < 1e-6


@pytest.mark.parametrize("made", [between_walls(), around_a_ring()], ids=["walls", "ring"])
def test_walls_are_the_box(made):
    fitted = fitted_grid(made.problem, times=[1.0])
    assert (fitted.grid.lower, fitted.grid.upper, fitted.outside) == (0.0, 1.0, 0.0)
    assert l1(fitted, made.problem, 1.0, lambda x: made.density(x, 1.0)) < 1e-6
    assert "between its walls" in str(fitted)


def test_a_smaller_error_takes_more_cells_and_a_smaller_rest_a_wider_box():
    problem = fpk.problems.double_well(initial=Gaussian(0.3, 0.3))
    rough, fine = (fitted_grid(problem, times=[1.0], accuracy=a) for a in (1e-3, 1e-8))
    assert rough.grid.cells < fine.grid.cells
    near, far = (fitted_grid(problem, times=[1.0], outside=o, accuracy=1e-4) for o in (1e-4, 1e-12))
    assert far.grid.lower < near.grid.lower < near.grid.upper < far.grid.upper
    assert far.outside < near.outside < 1e-4


def test_the_box_follows_a_law_that_travels_and_not_where_it_never_goes():
    problem = Problem(lambda x, t: 20 * np.sin(2 * np.pi * t), 0.5, initial=Gaussian(0.0, 0.3))
    fitted = fitted_grid(problem, times=[1.0], accuracy=1e-4)  # back at 0, after a way to 20/π
    assert fitted.grid.upper > 20 / np.pi + 1
    assert -6 < fitted.grid.lower < -2


def test_the_text_says_what_was_chosen():
    fitted = fitted_grid(Problem("-x", 1.0, initial=Gaussian(1.0, 0.4)), times=[1.0], accuracy=1e-4)
    assert isinstance(fitted, FittedGrid)
    for part in (
        f"{fitted.grid.cells} cells",
        f"{fitted.steps} steps",
        "L1 error about",
        "mass outside about",
        "cheap solves",
    ):
        assert part in str(fitted)


def test_an_initial_law_with_heavy_tails_is_refused_with_the_remedy():
    with pytest.raises(
        GridError, match=r"16384 cells on .* do not hold the initial mass: .*focus=, breadth=\), or a smoother"
    ):
        fitted_grid(Problem("-x", 1.0, initial=stats.t(2)), times=[0.5])


def test_an_initial_law_that_jumps_is_refused_with_the_change_that_is_left():
    with pytest.raises(GridError, match=r"still change by .* \(asked 1e-12\).*larger accuracy="):
        fitted_grid(Problem("-x", 1.0, initial=stats.uniform(-1, 2)), times=[1e-4], accuracy=1e-12)


def test_a_law_that_spreads_without_end_is_refused_with_the_remedy():
    with pytest.raises(
        GridError, match=r"do not hold the initial mass: .*too narrow for cells of one width in a box that wide"
    ):
        fitted_grid(Problem("12*x", 1.0, initial=Gaussian(0.0, 0.3)), times=[1.0])


def test_problems_without_noise_need_no_box():
    with pytest.raises(SchemeError, match=r"without noise needs no fitted grid.*Pass fpk\.solve a grid"):
        fitted_grid(Problem("-x", 0, initial=Gaussian(0.0, 1.0)), times=[1.0])


@pytest.mark.parametrize("wrong", [{"outside": 0.0}, {"accuracy": 0.5}, {"accuracy": np.nan}])
def test_what_is_asked_must_be_possible(wrong):
    with pytest.raises(GridError, match=rf"{next(iter(wrong))} must lie between 1e-14 and 1e-2, got"):
        fitted_grid(Problem("-x", 1.0, initial=Gaussian(0.0, 1.0)), times=[1.0], **wrong)


def test_walls_refuse_a_first_law_they_do_not_hold():
    problem = Problem("-x", 1.0, initial=Gaussian(0.0, 1.0), boundary=Boundary("no_flux", -1.0, 1.0))
    with pytest.raises(GridError):
        fitted_grid(problem, times=[1.0])
