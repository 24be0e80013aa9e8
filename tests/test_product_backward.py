"""The backward equation in two and three dimensions: duality for every scheme, closed forms, and what it must refuse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm, solve_continuous_lyapunov

import fpk
from fpk.errors import GridError, NonFinite, ProblemError, SchemeError
from fpk.fokker_planck.backward import backward
from fpk.fokker_planck.product.alternating import ALTERNATING
from fpk.fokker_planck.product.discretisation import ACCURATE, SEPARABLE, discretised
from fpk.fokker_planck.product.positive import POSITIVE
from fpk.fokker_planck.product.spectral import SPECTRAL
from fpk.grids import Grid

A = np.array([[-1.0, -2.0], [2.0, -1.0]])
D = np.array([[0.6, 0.3], [0.3, 0.4]])
B = np.array([[-1.0, -1.5, 0.3], [1.0, -1.2, 0.5], [0.0, -0.7, -0.8]])
G = np.array([[0.8, 0.0, 0.0], [0.2, 0.7, 0.0], [-0.1, 0.2, 0.6]])
START = fpk.Gaussian([0.5, 0.0], 0.6)
PLACES = np.array([[0.0, 0.0], [1.5, 0.0], [-0.7, 1.1], [0.3, -2.0], [-1.234, -0.567]])
BOX = Grid(-7, 7, cells=96) ** 2
SPACE = Grid(-4, 4, cells=40) ** 3


def spiral():
    return fpk.Problem(fpk.Linear(A), np.linalg.cholesky(2 * D), initial=START)


def moving():
    """Every coefficient depends on x and t, with a cross term."""
    noise = [["0.8 + 0.2*sin(x0 + t)", "0.3*cos(x1)"], ["0.1*t", "0.7 + 0.1*cos(x0*x1)"]]
    return fpk.Problem(["-x0 - sin(x1 + t)", "x0*cos(t) - x1"], noise, initial=START)


def apart():
    """Coordinates that move independently, with a clock."""
    return fpk.Problem(["-x0*(1 + t)", "-2*x1*(1 + t)"], "sqrt(1 + t)", initial=START)


def tumbling():
    return fpk.Problem(fpk.Linear(B), G, initial=fpk.Gaussian([0.4, 0.0, -0.2], 0.6))


def linear_moments(A, D, x, s, t):
    """Means, shape (n, d), and covariance of X_t given X_s = x, for constant coefficients."""
    move, rest = expm((t - s) * A), solve_continuous_lyapunov(A, -2 * D)
    return x @ move.T, rest - move @ rest @ move.T


@pytest.mark.parametrize(
    ("problem", "scheme"),
    [
        *[(made, scheme) for made in (spiral, moving) for scheme in (ACCURATE, POSITIVE, ALTERNATING, SPECTRAL)],
        (apart, SEPARABLE),
        *[(tumbling, scheme) for scheme in (ACCURATE, POSITIVE, ALTERNATING)],
    ],
    ids=lambda of: of.__name__ if callable(of) else str(of),
)
def test_densities_times_expectations_do_not_depend_on_time(problem, scheme):
    given, times = problem(), (0.0, 0.1, 0.25, 0.3)
    grid = Grid(-4, 4, cells=28) * Grid(-3.5, 4, cells=24)
    grid = grid if given.dimension == 2 else Grid(-3, 3, cells=14) * Grid(-3, 3, cells=12) * Grid(-3, 3, cells=13)
    plan = discretised(given, grid, until=times[-1], steps=3, scheme=scheme)
    p = np.stack([p for _, p in plan.forward(plan.start, times)])
    payoff = lambda x: np.cos(2 * x[:, 0]) + x[:, 1]  # noqa: E731
    u = backward(given, grid, payoff=payoff, times=times, until=times[-1], steps=3, scheme=scheme).values
    pairings = (p * u).reshape(len(times), -1).sum(axis=1)
    scale = np.abs(p * u).reshape(len(times), -1).sum(axis=1).max()
    assert np.ptp(pairings) <= 1e-12 * scale


@pytest.mark.parametrize("s", [0.2, 0.6])
def test_polynomials_of_a_rotating_process(s):
    mean, covariance = linear_moments(A, D, PLACES, s, 1.0)
    for payoff, exact in (
        (lambda x: x[:, 1], mean[:, 1]),
        (lambda x: x[:, 0] * x[:, 1], mean[:, 0] * mean[:, 1] + covariance[0, 1]),
        (lambda x: x[:, 0] ** 2, mean[:, 0] ** 2 + covariance[0, 0]),
    ):
        u = backward(spiral(), BOX, payoff=payoff, times=[s])
        np.testing.assert_allclose(u.on(PLACES, s), exact, atol=1e-10)


def test_a_gaussian_payoff_stays_gaussian():
    width = np.array([[1.5, 0.3], [0.3, 1.0]])
    mean, covariance = linear_moments(A, D, PLACES, 0.5, 1.0)
    spread = width + covariance
    exact = np.sqrt(np.linalg.det(width) / np.linalg.det(spread))
    exact *= np.exp(-0.5 * np.einsum("ni,ij,nj->n", mean, np.linalg.inv(spread), mean))
    narrow = np.linalg.inv(width)
    u = backward(
        spiral(), BOX, payoff=lambda x: np.exp(-0.5 * np.einsum("ni,ij,nj->n", x, narrow, x)), times=[0.5, 1.0]
    )
    np.testing.assert_allclose(u.on(PLACES, 0.5), exact, atol=1e-8)
    assert "backward grid, Central8" in str(u)


def test_coefficients_that_depend_on_time_are_read_at_the_right_time():
    # dX = (t, 1) dt + (1 + t) (dW_0 + dW_1, dW_1): Cov = ((1 + T)³ − (1 + s)³)/3 [[2, 1], [1, 1]].
    problem = fpk.Problem(["t", "1"], [["1 + t", "1 + t"], ["0", "1 + t"]], initial=START, horizon=0.5)
    x, s = PLACES[:3], 0.2
    u = backward(problem, Grid(-13, 13, cells=80) ** 2, payoff=lambda x: x[:, 0] * x[:, 1], times=[s])
    exact = (x[:, 0] + (0.25 - s**2) / 2) * (x[:, 1] + 0.3) + (1.5**3 - 1.2**3) / 3
    np.testing.assert_allclose(u.on(x, s), exact, atol=1e-6)


def test_a_gaussian_payoff_in_space():
    problem, x = tumbling(), np.array([[0.0, 0.0, 0.0], [0.5, -0.3, 0.2]])
    mean, covariance = linear_moments(B, G @ G.T / 2, x, 0.0, 0.5)
    spread = 1.2 * np.eye(3) + covariance
    exact = np.exp(-0.5 * np.einsum("ni,ij,nj->n", mean, np.linalg.inv(spread), mean))
    exact *= np.sqrt(1.2**3 / np.linalg.det(spread))
    u = backward(problem, SPACE, payoff=lambda x: np.exp(-(x**2).sum(1) / 2.4), times=[0.0], until=0.5)
    np.testing.assert_allclose(u.on(x, 0.0), exact, atol=2e-7)


def test_expectations_given_the_start_average_to_those_of_solve():
    payoff = lambda x: np.sin(x[:, 0]) * x[:, 1]  # noqa: E731
    u = backward(spiral(), BOX, payoff=payoff, times=[0.0])
    p0 = np.exp(START.log_density(BOX.points)).reshape(BOX.shape)
    mean, covariance = expm(A) @ [0.5, 0.0], linear_moments(A, D, PLACES, 0.0, 1.0)[1] + 0.36 * expm(A) @ expm(A).T
    wave = np.exp(-covariance[0, 0] / 2)  # E sin(X) Y = Im E e^{iX} Y
    exact = wave * (mean[1] * np.sin(mean[0]) + covariance[0, 1] * np.cos(mean[0]))
    assert (p0 * u.at(0.0)).sum() * BOX.volume == pytest.approx(exact, abs=1e-9)


def test_values_of_the_positive_scheme_stay_between_those_of_the_payoff():
    payoff = lambda x: (x[:, 0] + x[:, 1] > 0.3).astype(float)  # noqa: E731
    u = backward(moving(), Grid(-4, 4, cells=32) ** 2, payoff=payoff, times=[0.0, 0.7], scheme=POSITIVE, steps=8)
    assert u.values.min() >= 0
    assert u.values.max() <= 1 + 1e-12


def test_what_is_asked_wrongly_is_refused_with_the_remedy():
    small = Grid(-5, 5, cells=24) ** 2
    with pytest.raises(ProblemError, match="Ask for times up to"):
        backward(spiral(), small, payoff=lambda x: x[:, 0], times=[0.9], until=0.5)
    with pytest.raises(
        ProblemError, match=r"one finite number.*576 positions of shape \(576, 2\), got float64 of shape"
    ):
        backward(spiral(), small, payoff=lambda x: x, times=[0.0])
    with pytest.raises(ProblemError, match=r"it is -inf at x=0, 0"):
        backward(spiral(), Grid(-5, 5, cells=25) ** 2, payoff=lambda x: np.log(np.abs(x).sum(1)), times=[0.0])
    u = backward(spiral(), small, payoff=lambda x: x[:, 0], times=[0.0])
    with pytest.raises(GridError, match="Add it to times"):
        u.at(0.3)
    with pytest.raises(GridError, match=r"at x=\(0, 6\). Ask inside, or widen the grid"):
        u.on(np.array([[0.0, 0.0], [0.0, 6.0]]), 0.0)
    with pytest.raises(GridError, match=r"shape \(n, 2\)"):
        u.on(np.array([0.0, 6.0]), 0.0)


def test_what_has_no_backward_equation_on_the_grid_is_refused():
    small, still = Grid(-5, 5, cells=24) ** 2, fpk.Problem(fpk.Linear(A), 0.0, initial=START)
    with pytest.raises(SchemeError, match="no scheme on a product grid suits"):
        backward(still, small, payoff=lambda x: x[:, 0], times=[0.0])
    with pytest.raises(SchemeError, match="d = 2, the grid 3 axes"):
        backward(spiral(), Grid(-5, 5, cells=8) ** 3, payoff=lambda x: x[:, 0], times=[0.0])
    with pytest.raises(NonFinite, match="drift"):
        backward(
            fpk.Problem(["1/(x0 + 5 - 5/24)", "0"], 1.0, initial=START), small, payoff=lambda x: x[:, 0], times=[0.0]
        )
