"""Masses carried along characteristics: never below zero, conserved, transposed exactly, second order, sharp where drift is strong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.sparse import dia_array, eye_array, kron
from scipy.sparse.linalg import expm_multiply

import fpk
from fpk.coefficients import Linear
from fpk.fokker_planck.product.carried import CARRIED, LEAST, lessened, shared_out
from fpk.fokker_planck.product.discretisation import discretised
from fpk.grids import ProductGrid

FULL = np.array([[0.6, 0.3], [0.3, 0.4]])
FULL_3D = np.array([[0.6, 0.2, 0.1], [0.2, 0.5, -0.2], [0.1, -0.2, 0.4]])
TILTED = np.array([[-1.0, -4.0, 0.0], [4.0, -1.0, 2.0], [0.0, -2.0, -1.0]])
BOX = fpk.Grid(-2, 2, cells=9) * fpk.Grid(-1, 2, cells=13)


def turning(speed: float) -> np.ndarray:
    return np.array([[-1.0, -speed], [speed, -1.0]])


def linear(A: np.ndarray, D: np.ndarray, mean: list[float], std: float) -> fpk.Problem:
    d = len(mean)
    initial = fpk.Gaussian(mean, covariance=std**2 * np.eye(d))
    return fpk.Problem(Linear(A, np.zeros(d)), np.linalg.cholesky(2 * D), initial=initial)


def winding(t: str) -> fpk.Problem:
    """A strong drift that rotates and a full tensor that varies, both with t where it is asked for."""
    G = [[f"1 + 0.5*sin(x1 + {t})", "0.3*x0"], [f"0.4*cos(x0*x1 + {t})", "0.5"]]
    return fpk.Problem(
        [f"-x0 - 9*x1*(1 + {t})", "9*x0 - sin(x1)"], G, initial=fpk.Gaussian([0.5, 0.0], covariance=0.2 * np.eye(2))
    )


def square(cells: int, side: float = 6.0, d: int = 2) -> ProductGrid:
    return fpk.Grid(-side, side, cells=cells) ** d


def start(problem: fpk.Problem, grid: ProductGrid) -> np.ndarray:
    return np.exp(problem.initial.log_density(grid.points)).reshape(grid.shape)


def solved(problem: fpk.Problem, grid: ProductGrid, t: float, steps: int | None = None) -> np.ndarray:
    count = CARRIED.steps_for(problem, grid, until=t) if steps is None else steps
    return next(CARRIED.stepper(problem, grid).run(start(problem, grid), (t,), count))[1]


def error(p: np.ndarray, A: np.ndarray, D: np.ndarray, mean: list[float], std: float, t: float, grid: ProductGrid):
    """L¹ distance to the Gaussian of a linear equation; its noise is read from one exponential (Van Loan 1978)."""
    d = len(mean)
    blocks = expm(t * np.block([[-A, 2 * D], [np.zeros((d, d)), A.T]]))
    E = blocks[d:, d:].T
    C = E @ blocks[:d, d:] + std**2 * E @ E.T
    z = grid.points - E @ mean
    exact = np.exp(-0.5 * np.einsum("ni,ij,nj->n", z, np.linalg.inv(C), z)) / np.linalg.det(2 * np.pi * C) ** 0.5
    return float(np.abs(p.ravel() - exact).sum()) * grid.volume


def nine_points(A: np.ndarray, D: np.ndarray, p: np.ndarray, t: float, grid: ProductGrid) -> np.ndarray:
    """Central differences with four-point cross terms, exact in time."""
    n, h = grid.shape[0], grid.spacings[0]
    S = dia_array((np.array([[-1.0], [1.0]]).repeat(n, 1) / (2 * h), (-1, 1)), shape=(n, n))
    B = dia_array((np.array([[1.0], [-2.0], [1.0]]).repeat(n, 1) / h**2, (-1, 0, 1)), shape=(n, n))
    one, (f, g) = eye_array(n), A @ grid.points.T
    L = D[0, 0] * kron(B, one) + D[1, 1] * kron(one, B) + 2 * D[0, 1] * kron(S, S)
    for slope, v in ((kron(S, one), f), (kron(one, S), g)):
        L = L - slope @ dia_array((v[None], (0,)), shape=L.shape)
    return expm_multiply(t * L.tocsr(), p.ravel())


@pytest.mark.parametrize("cells", [48, 64])
def test_strong_drift_costs_a_third_of_the_error_of_cross_differences(cells) -> None:
    A, grid = turning(8.0), square(cells)
    problem = linear(A, FULL, [1.5, 0.0], 0.5)
    own = error(solved(problem, grid, 1.0), A, FULL, [1.5, 0.0], 0.5, 1.0, grid)
    rival = error(nine_points(A, FULL, start(problem, grid), 1.0, grid), A, FULL, [1.5, 0.0], 0.5, 1.0, grid)
    assert own < rival / 3


@pytest.mark.parametrize(
    ("A", "D", "mean", "cells", "steps"),
    [(turning(8.0), FULL, [1.5, 0.0], 64, 12), (TILTED, FULL_3D, [0.8, 0.0, 0.0], 20, 4)],
)
def test_densities_converge_at_second_order_in_cells_and_steps_together(A, D, mean, cells, steps) -> None:
    errors, d, t = [], len(mean), 0.5
    for k in (1, 2):
        grid = square(cells * k, 5.0, d)
        p = solved(linear(A, D, mean, 0.6), grid, t, steps * k)
        errors.append(error(p, A, D, mean, 0.6, t, grid))
    assert errors[0] / errors[1] > 3.3


@pytest.mark.parametrize("steps", [1, 5, 30])
def test_no_density_falls_below_zero_and_mass_is_conserved(steps, rng) -> None:
    """From a point, from noise, with steps that are too long and too short, through a tensor that varies."""
    grid = square(24, 3.0)
    for p in (np.eye(1, grid.cells, 500).reshape(grid.shape), rng.random(grid.shape)):
        for _, q in CARRIED.stepper(winding("t"), grid).run(p, (0.1, 0.4), steps):
            assert q.min() >= 0
            assert abs(q.sum() / p.sum() - 1) < 1e-12


def test_the_transposed_steps_are_transposed(rng) -> None:
    stepper, grid = CARRIED.stepper(winding("t"), BOX), BOX
    p, u = rng.random(grid.shape), rng.normal(size=grid.shape)
    forward, back = dict(stepper.run(p, (0.2, 0.5), 8)), dict(stepper.run_back(u, (0.2, 0.5), 8))
    for t, state in (forward | {0.0: p}).items():
        assert abs((state * back[t]).sum() - (forward[0.5] * u).sum()) < 1e-12 * np.abs(forward[0.5] * u).sum()


def test_shares_have_their_place_as_mean_and_what_they_spread_as_covariance(rng) -> None:
    places = np.array([[-1.5, -0.6], [1.5, 1.6]])[rng.integers(0, 2, (BOX.cells, 2)), [0, 1]] * rng.random(
        (BOX.cells, 2)
    )
    shares, spread = shared_out(places, BOX)
    assert shares.min() >= 0
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-15)
    np.testing.assert_allclose(shares.T @ BOX.points, places, atol=1e-14)
    second = np.einsum("ni,nj->nij", BOX.points, BOX.points).reshape(BOX.cells, 4)
    covariance = (shares.T @ second).reshape(-1, 2, 2) - np.einsum("ni,nj->nij", places, places)
    wanted = np.einsum("ni,ij->nij", spread * np.array(BOX.spacings) ** 2, np.eye(2))
    np.testing.assert_allclose(covariance, wanted, atol=1e-14)


def test_masses_carried_out_of_the_box_stay_at_its_edge() -> None:
    shares, spread = shared_out(BOX.points + np.array([10.0, 0.0]), BOX)
    np.testing.assert_allclose((shares @ np.ones(BOX.cells)).reshape(BOX.shape)[-1], BOX.shape[0])
    assert spread[:, 0].max() == 0


@pytest.mark.parametrize(("step", "enough"), [(0.1, True), (0.001, False)])
def test_noise_makes_up_for_the_spread_as_far_as_it_can(step, enough, rng) -> None:
    grid = square(40, 2.0)
    spread, h = rng.random((grid.cells, 2)) / 4, np.array(grid.spacings)
    D = np.array([0.6, 0.3, 0.4]).reshape(3, 1, 1)
    a, b, c = lessened(D, spread, grid, step).reshape(3, -1)
    taken = np.stack([0.6 - a, 0.4 - c], axis=1) * step / h**2
    assert enough == np.allclose(taken, spread, rtol=0, atol=1e-13)
    left = np.stack([np.stack([a, b], -1), np.stack([b, c], -1)], -1)
    ratios = np.linalg.eigvals(np.linalg.inv(FULL) @ left).real
    assert ratios.min() > LEAST
    assert enough or ratios.min() < 2 * LEAST


def test_it_serves_solve_where_densities_have_to_stay_positive() -> None:
    problem, grid = linear(turning(8.0), FULL, [1.0, 0.0], 0.6), square(48, 5.0)
    solution = fpk.solve(problem, grid, times=[0.5], scheme=CARRIED, positive=True)
    assert solution.minimum >= 0
    assert solution.plan.steps == CARRIED.steps_for(problem, grid, until=0.5) < 40
    verdict = fpk.compare(solution, fpk.exact(problem, times=[0.5]), tolerance=0.1)
    assert verdict.outcome is fpk.Outcome.CONFIRMED


def test_constants_go_back_to_themselves() -> None:
    plan = discretised(winding("0"), BOX, until=0.5, steps=6, scheme=CARRIED)
    *_, (_, u) = plan.back(np.ones(BOX.shape), (0.5,))
    np.testing.assert_allclose(u, 1, atol=1e-12)


def test_coefficients_that_depend_on_time_are_followed() -> None:
    """Noise that is the same in all directions does not care how fast the plane turns: both are integrals over time, midpoints exact."""
    problem = fpk.Problem(
        ["-(3 + 6*t)*x1", "(3 + 6*t)*x0"], "sqrt(0.8*(1 + 4*t))", initial=fpk.Gaussian([1.5, 0.0], 0.5)
    )
    grid = square(64)
    p, x = solved(problem, grid, 0.4, 4).ravel() * grid.volume, grid.points
    angle, variance = 3 * 0.4 + 3 * 0.4**2, 0.25 + 0.8 * (0.4 + 2 * 0.4**2)
    mean = p @ x
    np.testing.assert_allclose(mean, 1.5 * np.array([np.cos(angle), np.sin(angle)]), atol=1e-4)
    np.testing.assert_allclose((p[:, None] * (x - mean)).T @ (x - mean), variance * np.eye(2), atol=2e-3)
