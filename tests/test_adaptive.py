import numpy as np
import pytest
from scipy.integrate import solve_ivp

from fpk.coefficients import Linear
from fpk.errors import SchemeError
from fpk.fokker_planck import adaptive
from fpk.fokker_planck.adaptive import solve_to
from fpk.fokker_planck.discretisation import ACCURATE, MAGNUS, POSITIVE, SECOND_ORDER
from fpk.fokker_planck.product.alternating import ALTERNATING
from fpk.fokker_planck.product.central import Central
from fpk.fokker_planck.product.discretisation import ACCURATE as CENTRAL
from fpk.fokker_planck.product.fields import fields_at
from fpk.grids import Grid
from fpk.laws import Gaussian
from fpk.problem import Problem
from fpk.problems.manufactured import around_a_ring, between_walls

MADE = between_walls()
GRID = Grid(0, 1, 32)


@pytest.fixture(scope="module")
def semidiscrete():
    """P' = A(t) p by scipy: what steps alone should reach."""
    rates = ACCURATE.flux.rates(MADE.problem, GRID)
    start = MADE.density(GRID.centers, 0.0)
    run = solve_ivp(
        lambda t, p: rates(t).applied(p), (0, 1), start, "DOP853", rtol=1e-12, atol=1e-13, t_eval=[0.4, 1.0]
    )
    return run.y.T


@pytest.mark.parametrize("scheme", [None, ACCURATE, MAGNUS], ids=str)
@pytest.mark.parametrize("accuracy", [1e-4, 1e-7, 1e-10])
def test_steps_reach_the_semidiscrete_solution(semidiscrete, scheme, accuracy):
    reached = solve_to(MADE.problem, GRID, times=[0.4, 1.0], accuracy=accuracy, scheme=scheme)
    assert (np.abs(reached.solution.densities - semidiscrete) @ GRID.widths).max() < accuracy
    assert reached.error < accuracy
    assert reached.tried[-1] == reached.steps
    assert str(reached.steps) in str(reached)


@pytest.mark.parametrize(("scheme", "order"), [(ACCURATE, 4), (SECOND_ORDER, 2), (POSITIVE, 1)], ids=["4", "2", "1"])
def test_a_hundredth_of_the_error_takes_steps_by_the_order(scheme, order):
    rough, fine = (solve_to(MADE.problem, GRID, times=[1.0], accuracy=a, scheme=scheme).steps for a in (1e-2, 1e-4))
    assert fine / rough <= 2 ** np.ceil(np.log2(100) / order)


def test_a_ring_with_circulation_is_served():
    made = around_a_ring()
    reached = solve_to(made.problem, Grid(0, 1, 96), times=[1.0], accuracy=1e-8)
    np.testing.assert_allclose(reached.solution.density(1.0), made.density(Grid(0, 1, 96).centers, 1.0), atol=1e-6)


def test_what_is_exact_in_time_has_nothing_to_choose():
    reached = solve_to(
        Problem("-x", 1.0, initial=Gaussian(0.3, 0.5)), Grid(-4, 4, 128), times=[0.5, 1.0], accuracy=1e-9
    )
    assert (reached.error, reached.steps, len(reached.tried)) == (0.0, 2, 1)
    assert str(reached).endswith("exact in time, nothing to choose")


@pytest.mark.parametrize("accuracy", [0.0, 1e-13, 1.0, np.nan, "1e-6"])
def test_an_accuracy_must_be_possible(accuracy):
    with pytest.raises(SchemeError, match=r"accuracy must lie in \[1e-12, 0\.1\], got"):
        solve_to(MADE.problem, GRID, times=[1.0], accuracy=accuracy)


def test_an_accuracy_out_of_reach_is_refused_with_the_change_that_is_left(monkeypatch):
    monkeypatch.setattr(adaptive, "MOST", 64)
    with pytest.raises(
        SchemeError, match=r"64 steps still change the densities by .*\(asked 1e-11\).*scheme of higher order"
    ):
        solve_to(MADE.problem, Grid(0, 1, 8), times=[1.0], accuracy=1e-11, scheme=POSITIVE)


TURN = np.array([[-1.0, -2.0], [2.0, -1.0]])
PLANE = Grid(-5, 5, 28) ** 2
SWINGING = Problem(
    Linear(lambda t: TURN * (1 + np.sin(4 * t) / 2)),
    [["1.1 + 0.3*sin(4*t)", "0"], ["0.5", "0.7"]],
    initial=Gaussian([0.6, 0.0], 0.6),
)


@pytest.mark.parametrize("accuracy", [1e-3, 1e-6, 1e-9])
def test_steps_reach_the_semidiscrete_solution_in_the_plane(accuracy):
    fields, start = fields_at(SWINGING, PLANE), SWINGING.initial.density(PLANE.points)

    def rates(t, p):
        return Central(fields(t), PLANE).applied(p.reshape(PLANE.shape)).ravel()

    run = solve_ivp(rates, (0, 0.4), start, "DOP853", rtol=1e-11, atol=1e-12, t_eval=[0.2, 0.4])
    reached = solve_to(SWINGING, PLANE, times=[0.2, 0.4], accuracy=accuracy)
    apart = np.abs(reached.solution.densities.reshape(2, -1) - run.y.T).sum(axis=1) * PLANE.volume
    assert apart.max() < accuracy
    assert reached.error < accuracy
    assert reached.tried[-1] == reached.steps


def test_exponentials_of_steady_coefficients_take_no_steps_in_the_plane_and_alternating_directions_do():
    steady = Problem(Linear(TURN), 1.0, initial=Gaussian([0.6, 0.0], 0.6))
    assert solve_to(steady, PLANE, times=[0.4], accuracy=1e-9, scheme=CENTRAL).steps == 2
    rough, fine = (solve_to(steady, PLANE, times=[0.4], accuracy=a, scheme=ALTERNATING).steps for a in (1e-2, 1e-4))
    assert 4 <= fine / rough <= 16
