"""Fourier steps on product grids, held against closed forms, matrices of cardinal functions, and scipy's exponential."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import expm_multiply

import fpk
from fpk.errors import SchemeError
from fpk.fokker_planck.product.fields import fields_at
from fpk.fokker_planck.product.spectral import SPECTRAL, Fourier

SPIN = fpk.Problem(
    fpk.Linear(np.array([[-1.0, -2.0], [2.0, -1.0]])),
    np.linalg.cholesky(2 * np.array([[0.6, 0.3], [0.3, 0.4]])),
    initial=fpk.Gaussian([1.5, 0.0], 0.3),
)
BENT = fpk.Problem(
    ["-2*x0 + x1*t", "sin(x0) - x1"],
    [["0.8 + 0.2*cos(x1)", "0.1"], ["0.3*sin(x0)", "0.9"]],
    initial=fpk.Gaussian([0.2, -0.3], 0.5),
)


def off(solution, problem, t):
    exact = fpk.exact(problem, times=[t]).law(t).density(solution.grid.points)
    return np.abs(solution.density(t).ravel() - exact).sum() * solution.grid.volume


def cardinal(axis):
    """First and second derivatives of periodic sinc functions at the cell centres (even numbers of cells), by their closed forms."""
    n, length = axis.cells, axis.upper - axis.lower
    shift = np.arange(n)[:, None] - np.arange(n)
    angle = np.where(shift == 0, 1.0, np.pi * shift / n)
    sign, scale = np.where(shift % 2, -1.0, 1.0), 2 * np.pi / length
    first = np.where(shift == 0, 0.0, 0.5 * sign / np.tan(angle))
    second = np.where(shift == 0, -(n**2) / 12 - 1 / 6, -0.5 * sign / np.sin(angle) ** 2)
    return sparse.csr_array(scale * first), sparse.csr_array(scale**2 * second)


def whole(problem, grid, t):
    """The operator as a matrix, from the cardinal functions."""
    fields, eyes = fields_at(problem, grid)(t), [sparse.eye_array(n) for n in grid.shape]
    (a, aa), (b, bb) = (cardinal(axis) for axis in grid.axes)
    slopes = sparse.kron(a, eyes[1]), sparse.kron(eyes[0], b)
    bends = sparse.kron(aa, eyes[1]), 2 * sparse.kron(a, b), sparse.kron(eyes[0], bb)
    D = [np.broadcast_to(c, grid.shape).ravel() for c in fields.diffusivity]
    drift = sum(s @ sparse.diags_array(f.ravel()) for s, f in zip(slopes, fields.drift, strict=True))
    return sum(s @ sparse.diags_array(c) for s, c in zip(bends, D, strict=True)) - drift


@pytest.mark.parametrize("problem", [SPIN, BENT], ids=["one tensor", "a tensor that varies"])
def test_the_operator_is_that_of_cardinal_functions(problem):
    grid = fpk.Grid(-3, 3, cells=12) * fpk.Grid(-2, 3, cells=10)
    p, A = np.random.default_rng(0).random(grid.shape), whole(problem, grid, 0.3)
    operator = Fourier(fields_at(problem, grid)(0.3), grid)
    np.testing.assert_allclose(operator.applied(p).ravel(), A @ p.ravel(), atol=1e-10)
    np.testing.assert_allclose(operator.applied(p, transposed=True).ravel(), A.T @ p.ravel(), atol=1e-10)


@pytest.mark.parametrize("shape", [(12, 11), (9, 10, 8)], ids=str)
def test_transposes_pair_to_round_off(shape):
    d = len(shape)
    problem = fpk.Problem(
        lambda x, t: np.sin(x[:, ::-1]) - x,
        lambda x, t: np.eye(d) * (1 + 0.2 * np.cos(x))[:, :, None] + 0.1 * np.sin(x[:, :1, None]),
        initial=fpk.Gaussian([0.0] * d, 0.5),
    )
    axes = [fpk.Grid(-3, 3, cells=n) for n in shape]
    grid = axes[0] * axes[1] if d == 2 else axes[0] * axes[1] * axes[2]
    stepper, rng = SPECTRAL.stepper(problem, grid), np.random.default_rng(0)
    p, u = rng.random(shape), rng.random(shape)
    end, begun = stepper.advanced(p, 0.0, 0.1), stepper.returned(u, 0.0, 0.1)
    assert abs((end * u).sum() - (p * begun).sum()) < 1e-12 * abs((end * u).sum())


def test_a_rotating_gaussian_is_met_faster_than_by_any_power_of_the_cells():
    solutions = [fpk.solve(SPIN, fpk.Grid(-6, 6, cells=n) ** 2, times=[1.0], scheme=SPECTRAL) for n in (40, 56, 72)]
    errors = [off(solution, SPIN, 1.0) for solution in solutions]
    assert errors[2] < 1e-8
    assert np.log2(errors[1] / errors[2]) > 20 * np.log2(72 / 56)
    assert abs(solutions[2].mass[0] - 1) < 1e-11


def test_a_tensor_that_varies_is_stepped_as_the_exponential_of_the_matrix():
    grid = fpk.Grid(-3, 3, cells=20) ** 2
    problem = fpk.Problem(["-2*x0 + x1", "sin(x0) - x1"], BENT.diffusion, initial=BENT.initial)
    p = problem.initial.density(grid.points).reshape(grid.shape)
    expected = expm_multiply(0.2 * whole(problem, grid, 0.0), p.ravel())
    np.testing.assert_allclose(SPECTRAL.stepper(problem, grid).advanced(p, 0.0, 0.2).ravel(), expected, atol=1e-10)


def test_coefficients_that_depend_on_time_are_right_without_stated_steps():
    spin = fpk.Linear(lambda t: np.array([[-1.0, -2.0 * t], [2.0, -1.0 - t]]), lambda t: np.array([np.sin(3 * t), 0.2]))
    problem = fpk.Problem(spin, lambda t: 0.8 + 0.3 * t, initial=fpk.Gaussian([0.8, 0.0], 0.5))
    solution = fpk.solve(problem, fpk.Grid(-5, 5, cells=48) ** 2, times=[0.6], scheme=SPECTRAL)
    assert off(solution, problem, 0.6) < 1e-7


def test_three_dimensions_with_a_full_tensor():
    A = np.array([[-1.0, -1.0, 0.2], [1.0, -1.0, 0.0], [0.0, 0.3, -1.0]])
    G = np.array([[0.9, 0.0, 0.0], [0.3, 0.8, 0.0], [-0.2, 0.3, 0.8]])
    problem = fpk.Problem(fpk.Linear(A), G, initial=fpk.Gaussian([0.5, 0.0, -0.3], 0.6))
    solution = fpk.solve(problem, fpk.Grid(-5, 5, cells=36) ** 3, times=[0.2], scheme=SPECTRAL)
    assert off(solution, problem, 0.2) < 1e-7


def test_cells_too_wide_for_the_drift_are_refused():
    steep = fpk.Problem(["x0 - x0**3", "x1 - x1**3"], 0.2, initial=fpk.Gaussian([0.3, 0.0], 0.3))
    with pytest.raises(SchemeError, match="let waves grow"):
        fpk.solve(steep, fpk.Grid(-4, 4, cells=32) ** 2, times=[1.0], scheme=SPECTRAL)


def test_steps_of_coefficients_that_change_are_found() -> None:
    """Sub-VP-like noise: a number of steps by itself, and an error in time below the one in space."""
    noise = fpk.Problem(
        fpk.Linear(lambda t: -0.5 - t), lambda t: 0.6 + t, initial=fpk.Gaussian([0.5, 0.0], covariance=0.2 * np.eye(2))
    )
    grid = fpk.Grid(-5, 5, cells=48) ** 2
    found = fpk.solve(noise, grid, times=[0.5], scheme=SPECTRAL)
    exact = np.exp(fpk.exact(noise, times=[0.5]).law(0.5).log_density(grid.points)).reshape(grid.shape)
    assert np.abs(found.density(0.5) - exact).sum() * grid.volume < 1e-6
