"""Faber exponentials of central differences: against dense exponentials, closed forms, and their own transposes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import fpk
from fpk.fokker_planck.product import explicit
from fpk.fokker_planck.product.central import Central
from fpk.fokker_planck.product.explicit import CentralFaber, Ellipse, Exponential, enclosing, faber_coefficients
from fpk.fokker_planck.product.fields import Fields, fields_at
from fpk.grids import Grid

PLANE = Grid(-4, 4, cells=16) * Grid(-4, 4, cells=14)
SMALL = Grid(-3, 3, cells=10) * Grid(-3, 3, cells=9)
SPACE = Grid(-3, 3, cells=8) ** 3


def spiral(**given):
    """A rotating drift with correlated noises."""
    G = np.linalg.cholesky(2 * np.array([[0.6, 0.3], [0.3, 0.4]]))
    return fpk.Problem(fpk.Linear(np.array([[-1.0, -2], [2, -1]])), G, initial=fpk.Gaussian([1.5, 0.0], 0.6), **given)


def swaying():
    """Coefficients that change in x and t, without any common factor."""
    return fpk.Problem(
        ["-x0 - x1*sin(3*t)", "x0*cos(2*t) - x1"],
        ["0.7 + 0.2*sin(x0)*cos(t)", "0.6 + 0.3*t"],
        initial=fpk.Gaussian([0.5, 0.0], 0.7),
    )


def dense(fields, grid):
    """The matrix of A, column by column: the operator itself is tested elsewhere."""
    operator = Central(fields, grid)
    return np.stack([operator.applied(e.reshape(grid.shape)).ravel() for e in np.eye(grid.cells)], axis=1)


@pytest.mark.parametrize("shape", [(5.0, 0.0), (3.0, 3.0), (1.0, 30.0), (40.0, 12.0)])
def test_faber_series_are_exponentials_in_their_ellipse(shape):
    ellipse = Ellipse(-shape[0], *shape)
    alpha = faber_coefficients(ellipse, 0.7)
    angles = np.linspace(0, 2 * np.pi, 40)
    for size in (1.0, 0.6):
        z = ellipse.centre + size * (shape[0] * np.cos(angles) + 1j * shape[1] * np.sin(angles))
        one, two = np.ones_like(z), (z - ellipse.centre) / ellipse.capacity
        total, previous, kappa = alpha[0] * one + alpha[1] * two, 2 * one, ellipse.flatness
        for a in alpha[2:]:
            previous, two = two, (z - ellipse.centre) / ellipse.capacity * two - kappa * previous
            total = total + a * two
        assert np.allclose(total, np.exp(0.7 * z), rtol=0, atol=2e-12)


def test_chebyshev_and_faber_degrees_grow_like_the_root_of_damping_and_like_frequency():
    damped = [len(faber_coefficients(Ellipse(-a, a, 1e-9), 1.0)) for a in (400.0, 1600.0)]
    waving = [len(faber_coefficients(Ellipse(0.0, 1e-6, b), 1.0)) for b in (400.0, 1600.0)]
    assert damped[1] / damped[0] < 2.1
    assert waving[1] < 1.1 * 1600


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("grid", [SMALL, SPACE], ids=["plane", "space"])
def test_exponentials_are_those_of_dense_matrices(grid, transposed):
    rng = np.random.default_rng(0)
    drift = -grid.points.T.reshape(grid.dimension, *grid.shape) + 0.5 * rng.normal(
        size=(grid.dimension, 1, *[1] * (grid.dimension - 1))
    )
    D = np.array([0.5, 0.2, 0.4] if grid.dimension == 2 else [0.5, 0.2, -0.1, 0.4, 0.1, 0.3])
    fields = Fields(np.ascontiguousarray(drift), D.reshape(-1, *[1] * grid.dimension))
    A, p = dense(fields, grid), rng.random(grid.shape)
    out, _ = Exponential(fields, grid).applied(p, 0.6, transposed=transposed)
    wanted = expm(0.6 * (A.T if transposed else A)) @ p.ravel()
    assert np.allclose(out.ravel(), wanted, rtol=0, atol=1e-11 * np.abs(wanted).max())


def test_ellipses_hold_the_eigenvalues_of_the_operator():
    for problem in (spiral(), swaying()):
        fields = fields_at(problem, SMALL)(0.4)
        found = Exponential(fields, SMALL)
        ellipse = enclosing(found.damping, found.frequency, 1.0)
        z = np.linalg.eigvals(dense(fields, SMALL)) - ellipse.centre
        assert np.all((z.real / ellipse.real) ** 2 + (z.imag / ellipse.imaginary) ** 2 < 1 + 0.5 / ellipse.real)


def test_bounds_include_cross_terms():
    correlated = Fields(np.zeros((2, *SMALL.shape)), np.array([1.0, 0.99, 1.0]).reshape(3, 1, 1))
    damping = Exponential(correlated, SMALL).damping
    assert damping.max() >= 0.98 * -np.linalg.eigvals(dense(correlated, SMALL)).real.min()
    assert damping.min() >= 0


def test_steps_over_time_are_of_fourth_order_and_those_of_steady_coefficients_exact():
    changing, p = (
        CentralFaber().stepper(swaying(), PLANE),
        np.exp(-np.sum(PLANE.points**2, axis=1)).reshape(PLANE.shape),
    )

    def solved(stepper, steps):
        return next(q for _, q in stepper.run(p, (0.8,), steps))

    reference = solved(changing, 128)
    errors = [np.abs(solved(changing, steps) - reference).sum() for steps in (4, 8, 16)]
    assert all(3.7 < np.log2(a / b) < 4.6 for a, b in pairwise(errors))
    steady = CentralFaber().stepper(spiral(), PLANE)
    assert np.allclose(solved(steady, 1), solved(steady, 7), rtol=0, atol=1e-12)


def test_magnus_steps_solve_the_equation_with_changing_coefficients():
    grid, problem = Grid(-4, 4, cells=9) ** 2, swaying()
    at, state = fields_at(problem, grid), np.exp(-np.sum(grid.points**2, axis=1))
    stepper = CentralFaber().stepper(problem, grid)
    found = next(p for _, p in stepper.run(state.reshape(grid.shape), (0.5,), 16))
    solution = solve_ivp(
        lambda t, p: Central(at(t), grid).applied(p.reshape(grid.shape)).ravel(), (0, 0.5), state, rtol=1e-9, atol=1e-11
    )
    assert np.abs(found.ravel() - solution.y[:, -1]).max() < 1e-7


@pytest.mark.parametrize("problem", [spiral(), swaying()], ids=["steady", "changing"])
def test_transposed_steps_keep_pairings(problem):
    stepper, rng = CentralFaber().stepper(problem, PLANE), np.random.default_rng(1)
    p, u = rng.random(PLANE.shape), rng.random(PLANE.shape)
    forward = dict(stepper.run(p, (0.3, 0.7), 5))
    backward = dict(stepper.run_back(u, (0.3, 0.7), 5))
    wanted = float((forward[0.7] * u).sum())
    for value in (float((forward[0.3] * backward[0.3]).sum()), float((p * backward[0.0]).sum())):
        assert abs(value - wanted) < 1e-12 * float((abs(forward[0.7]) * u).sum())


def test_a_step_over_which_averages_lose_their_dissipation_is_halved():
    burst = fpk.Problem(["-x0", "-x1"], "exp(4*t)", initial=fpk.Gaussian([0.0, 0.0], 0.6))
    stepper = CentralFaber().stepper(burst, PLANE)
    assert len(stepper.exponentials(0.0, 0.1)) == 2
    assert len(stepper.exponentials(0.0, 1.0)) > 2
    assert sum(duration for _, duration in stepper.exponentials(0.0, 1.0)) == pytest.approx(1.0)


def test_default_steps_leave_the_error_they_aim_at():
    problem, scheme = swaying(), CentralFaber()
    steps = scheme.steps_for(problem, PLANE, until=1.0)
    stepper, p = scheme.stepper(problem, PLANE), np.exp(problem.initial.log_density(PLANE.points)).reshape(PLANE.shape)
    one, two = (next(q for _, q in stepper.run(p, (1.0,), n)) for n in (steps, 2 * steps))
    assert 1e-10 < np.abs(one - two).sum() * PLANE.volume < explicit.TARGET
    assert scheme.steps_for(spiral(), PLANE, until=1.0) == 1


def test_default_steps_are_found_for_laws_narrower_than_a_pilot_cell():
    narrow = fpk.Problem(["-x0 - x1*sin(3*t)", "x0*cos(2*t) - x1"], 0.5, initial=fpk.Gaussian([0.53, 0.0], 0.06))
    grid = Grid(-3, 3, cells=150) ** 2
    assert 4 < CentralFaber().steps_for(narrow, grid, until=1.0) < 200
    pilot, p = explicit.thinned(grid, np.exp(narrow.initial.log_density(grid.points)).reshape(grid.shape))
    assert pilot.shape == (30, 30)
    assert p.sum() * pilot.volume == pytest.approx(1.0, abs=1e-12)
