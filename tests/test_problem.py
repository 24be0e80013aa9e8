import numpy as np
import pytest
from scipy import stats

from fpk.coefficients import Coefficient
from fpk.errors import NonFinite, ProblemError
from fpk.laws import Gaussian
from fpk.problem import Boundary, Problem, noising
from fpk.schedules import VPSchedule

START = Gaussian(1.0, 0.5)
X = np.array([[-1.0], [0.5], [2.0]])


def test_diffusivity_is_half_the_square_of_the_diffusion():
    np.testing.assert_allclose(Problem("-x", "1 + x**2", initial=START).diffusivity(X, 0.0), 0.5 * (1 + X**2) ** 2)
    np.testing.assert_allclose(Problem("-x", 3.0, initial=START).diffusivity(X, 0.0), np.full((3, 1), 4.5))


def test_a_negative_diffusion_is_refused():
    with pytest.raises(ProblemError, match=r"diffusion g must not be negative, got -1 at t=0.*diffusivity is ½g²"):
        Problem("-x", -1.0, initial=START)
    with pytest.raises(ProblemError, match=r"must not be negative, got -0\.5 at t=1"):
        Problem("-x", lambda t: 0.5 - t, initial=START)


def test_a_drift_that_is_nan_says_x_and_t():
    problem = Problem(lambda x, t: np.where(x > 1, np.nan, -x), 1.0, initial=START)
    with pytest.raises(NonFinite, match=r"the drift is \[nan\] at x=\[2\.0\], t=0\.3"):
        problem.drift(X, 0.3)


def test_a_diffusion_that_is_nan_is_refused_at_once():
    with pytest.raises(NonFinite, match=r"the diffusion is \[nan\]"):
        Problem("-x", lambda x, t: np.full_like(x, np.nan), initial=START)


@pytest.mark.parametrize("horizon", [0.0, -1.0, np.inf, np.nan])
def test_a_horizon_must_be_positive_and_finite(horizon):
    with pytest.raises(ProblemError, match="horizon must be positive and finite"):
        Problem("-x", 1.0, initial=START, horizon=horizon)


def test_unknown_symbols_are_refused_when_the_problem_is_written():
    with pytest.raises(ProblemError, match=r"the drift '-theta\*x' uses the unknown symbols \['theta'\]"):
        Problem("-theta*x", 1.0, initial=START)


@pytest.mark.parametrize("times", [[-0.1], [0.5, 2.0001], [np.nan], [np.inf]])
def test_times_outside_the_horizon_are_refused(times):
    with pytest.raises(ProblemError, match=r"times must lie in \[0, 2\]"):
        Problem("-x", 1.0, initial=START, horizon=2.0).checked_times(times)


def test_times_are_sorted_once_and_never_empty():
    problem = Problem("-x", 1.0, initial=START, horizon=2.0)
    assert problem.checked_times(np.array([2.0, 0.0, 2.0])) == (0.0, 2.0)
    with pytest.raises(ProblemError, match="a list of at least one time"):
        problem.checked_times([])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sticky", 0.0, 1.0), "unknown boundary 'sticky'; one of open, no_flux, periodic, absorbing"),
        (("open", 0.0, 1.0), "open boundary has no walls"),
        (("no_flux",), "no_flux boundary needs finite lower < upper"),
        (("periodic", 1.0, 0.0), "periodic boundary needs finite lower < upper"),
        (("absorbing", 0.0, np.inf), "absorbing boundary needs finite lower < upper"),
        (("no_flux", np.nan, 1.0), "needs finite lower < upper"),
    ],
)
def test_walls_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ProblemError, match=message):
        Boundary(*arguments)


def test_only_the_number_zero_makes_a_problem_noiseless():
    assert Problem("-x", 0.0, initial=START).noiseless
    assert not Problem("-x", "t", initial=START).noiseless


def test_the_dimension_is_the_initial_laws_and_scipy_laws_are_welcome():
    assert Problem("-x", 1.0, initial=stats.norm(0, 1)).dimension == 1
    assert Problem(lambda x, t: -x, 1.0, initial=Gaussian([0.0, 0.0])).dimension == 2
    with pytest.raises(ProblemError, match="an initial law must be"):
        Problem("-x", 1.0, initial=0.0)


def test_a_matrix_diffusion_has_no_diagonal_diffusivity():
    problem = Problem(
        lambda x, t: -x, lambda x, t: np.broadcast_to(np.eye(2), (len(x), 2, 2)), initial=Gaussian([0.0, 0.0])
    )
    with pytest.raises(ProblemError, match=r"matrix diffusion.*diffusivity_matrix"):
        problem.diffusivity(np.zeros((3, 2)), 0.0)


def test_coefficients_of_one_problem_can_be_given_to_another():
    first = Problem("-x", "2", initial=START)
    second = Problem(first.drift, first.diffusion, initial=START)
    assert isinstance(second.drift, Coefficient)
    np.testing.assert_array_equal(second.drift(X, 0.0), -X)


def test_noising_is_the_sde_of_the_schedule():
    schedule = VPSchedule(0.1, 20.0)
    problem = noising(schedule, START)
    beta = 0.1 + 0.3 * 19.9
    np.testing.assert_allclose(problem.drift(X, 0.3), -0.5 * beta * X, rtol=1e-14)
    np.testing.assert_allclose(problem.diffusivity(X, 0.3), np.full((3, 1), 0.5 * beta), rtol=1e-14)
    assert problem.schedule is schedule
    assert problem.name == "VPSchedule"


def test_a_problem_is_written_without_what_is_left_at_its_default():
    start = Gaussian(1.0, 0.5)
    told = "Problem('-x', 0.8, initial=Gaussian(mean=[1.0], covariance=[[0.25]]))"
    assert repr(Problem("-x", 0.8, initial=start)) == told
    walls = Boundary("no_flux", -1.0, 3.0)
    more = repr(Problem("-x", 0.8, initial=start, horizon=2.0, boundary=walls, name="mine"))
    assert more == told[:-1] + ", horizon=2.0, boundary=Boundary(kind='no_flux', lower=-1.0, upper=3.0), name='mine')"
