"""The positive scheme: never below zero, conservative, transposed exactly, second order, better than cross differences where noise is directed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.sparse import diags_array, eye_array, kron
from scipy.sparse.linalg import expm_multiply

import fpk
from fpk.coefficients import Linear
from fpk.fokker_planck.product.fields import fields_at
from fpk.fokker_planck.product.positive import LEAST, POSITIVE, Jumps, PositiveSteps, poisson, rotation
from fpk.grids import ProductGrid

ROTATING = np.array([[-1.0, -2.0], [2.0, -1.0]])
FULL = np.array([[0.6, 0.3], [0.3, 0.4]])


def directed() -> np.ndarray:
    """diag(1, 1/25), turned by 30 degrees."""
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turn = np.array([[c, -s], [s, c]])
    return turn @ np.diag([1.0, 0.04]) @ turn.T


def linear(A: np.ndarray, D: np.ndarray, mean: list[float], std: float) -> fpk.Problem:
    d = len(mean)
    initial = fpk.Gaussian(mean, covariance=std**2 * np.eye(d))
    return fpk.Problem(Linear(A, np.zeros(d)), np.linalg.cholesky(2 * D), initial=initial)


def exact_density(A: np.ndarray, D: np.ndarray, mean: list[float], std: float, t: float, grid: ProductGrid):
    """The Gaussian of a linear equation; its noise is read from one exponential (Van Loan 1978)."""
    d = len(mean)
    blocks = expm(t * np.block([[-A, 2 * D], [np.zeros((d, d)), A.T]]))
    E = blocks[d:, d:].T
    C = E @ blocks[:d, d:] + std**2 * E @ E.T
    z = grid.points - E @ mean
    weight = np.exp(-0.5 * np.einsum("ni,ij,nj->n", z, np.linalg.inv(C), z))
    return (weight / np.linalg.det(2 * np.pi * C) ** 0.5).reshape(grid.shape)


def steps(problem: fpk.Problem, grid: ProductGrid) -> PositiveSteps:
    return PositiveSteps(fields_at(problem, grid), grid, steady=problem.steady)


def start(problem: fpk.Problem, grid: ProductGrid) -> np.ndarray:
    return np.exp(problem.initial.log_density(grid.points)).reshape(grid.shape)


def solved(problem: fpk.Problem, grid: ProductGrid, t: float) -> np.ndarray:
    return POSITIVE.stepper(problem, grid).advanced(start(problem, grid), 0.0, t)


def square(cells: int, side: float = 6.0) -> ProductGrid:
    return fpk.Grid(-side, side, cells=cells) ** 2


def winding(t: str = "0") -> fpk.Problem:
    """A drift that rotates and a full tensor that varies, both with t where it is asked for."""
    G = [[f"1 + 0.5*sin(x1 + {t})", "0.3*x0"], [f"0.4*cos(x0*x1 + {t})", "0.5"]]
    return fpk.Problem(
        ["-x0 - 2*x1", "2*x0 - sin(x1)"], G, initial=fpk.Gaussian([0.5, 0.0], covariance=0.05 * np.eye(2))
    )


def matrix_of(jumps: Jumps) -> np.ndarray:
    """The rate matrix, pair by pair."""
    shape = jumps.up.shape[1:]
    A = np.zeros((*shape, *shape))
    for k, e in enumerate(jumps.offsets):
        for x in np.ndindex(shape):
            y = tuple((x + e).tolist())
            if all(0 <= a < n for a, n in zip(y, shape, strict=True)):
                for here, there, rate in ((x, y, jumps.up[k][x]), (y, x, jumps.down[k][x])):
                    A[there + here] += rate
                    A[here + here] -= rate
            else:
                assert jumps.up[k][x] == jumps.down[k][x] == 0
    return A.reshape(np.prod(shape), -1)


def test_a_step_is_the_matrix_exponential_of_the_rates(rng) -> None:
    grid = fpk.Grid(-1, 1, cells=10) * fpk.Grid(-1, 1.5, cells=12)
    jumps = steps(winding(), grid).jumps(0.0)
    A, p = matrix_of(jumps), rng.random(grid.shape)
    assert A.sum(axis=0) == pytest.approx(0, abs=1e-10)
    assert (A - np.diag(np.diag(A))).min() >= 0
    for step in (0.0, 0.01, 0.3):
        np.testing.assert_allclose(jumps.evolved(p, step).ravel(), expm(step * A) @ p.ravel(), atol=1e-11)
        back = jumps.evolved(p, step, transposed=True)
        np.testing.assert_allclose(back.ravel(), expm(step * A).T @ p.ravel(), atol=1e-11)


@pytest.mark.parametrize("problem", [winding(), winding("t"), linear(50 * ROTATING, directed(), [1.0, 0.0], 0.2)])
def test_no_step_falls_below_zero_and_mass_stays(problem) -> None:
    stepper, p = POSITIVE.stepper(problem, square(40, 3.0)), start(problem, square(40, 3.0))
    p[np.hypot(*square(40, 3.0).points.T).reshape(p.shape) > 1] = 0.0
    mass = p.sum()
    for k in range(60):
        p = stepper.advanced(p, k / 60, 1 / 60)
        assert p.min() >= 0
    assert abs(p.sum() / mass - 1) < 1e-12


def test_the_transposed_steps_are_transposed(rng) -> None:
    problem, grid = winding("t"), square(24, 3.0)
    stepper = POSITIVE.stepper(problem, grid)
    p, u = rng.random(grid.shape), rng.normal(size=grid.shape)
    forward = dict(stepper.run(p, (0.2, 0.5), 8))
    back = dict(stepper.run_back(u, (0.2, 0.5), 8))
    sizes = np.abs(forward[0.5] * u).sum()
    for t, state in (forward | {0.0: p}).items():
        assert abs((state * back[t]).sum() - (forward[0.5] * u).sum()) < 1e-12 * sizes


def test_expectations_back_in_time_stay_between_the_extremes_of_the_payoff(rng) -> None:
    u = rng.normal(size=(24, 24))
    for step in (0.001, 1.0):
        back = POSITIVE.stepper(winding(), square(24, 3.0)).returned(u, 0.0, step)
        assert u.min() <= back.min() <= back.max() <= u.max()
    ones = POSITIVE.stepper(winding(), square(24, 3.0)).returned(np.ones((24, 24)), 0.0, 1.0)
    np.testing.assert_allclose(ones, 1.0, atol=1e-12)


def gradient_drift(slopes: list[str]) -> list[str]:
    """D ∇Φ of the two derivatives of Φ."""
    return [f"{row[0]}*({slopes[0]}) + {row[1]}*({slopes[1]})" for row in FULL.tolist()]


@pytest.mark.parametrize(
    ("slopes", "potential"),
    [
        (["-2*x0 - 0.7*x1", "-0.7*x0 - x1"], lambda x, y: -(x**2) - 0.7 * x * y - 0.5 * y**2),
        (["x0 - x0**3", "-x1 - x1**3"], lambda x, y: x**2 / 2 - x**4 / 4 - y**2 / 2 - y**4 / 4),
    ],
)
def test_gibbs_laws_of_potentials_up_to_degree_four_stay_at_rest_in_a_box_that_cuts_them(slopes, potential) -> None:
    initial = fpk.Gaussian([0.0, 0.0], covariance=np.eye(2))
    problem = fpk.Problem(gradient_drift(slopes), np.linalg.cholesky(2 * FULL), initial=initial)
    grid = fpk.Grid(-2, 2.5, cells=40) * fpk.Grid(-2, 2, cells=48)
    p = np.exp(potential(*grid.points.T)).reshape(grid.shape)
    moved = POSITIVE.stepper(problem, grid).advanced(p, 0.0, 1.0)
    assert np.abs(moved - p)[3:-3, 3:-3].max() < 2e-3 * p.max()
    wide = fpk.Grid(-6, 6, cells=60) ** 2
    p = np.exp(potential(*wide.points.T)).reshape(wide.shape)
    moved = POSITIVE.stepper(problem, wide).advanced(p, 0.0, 1.0)
    np.testing.assert_allclose(moved, p, rtol=1e-9, atol=1e-12 * p.max())


def test_gibbs_laws_of_other_potentials_stay_to_second_order() -> None:
    initial = fpk.Gaussian([0.0, 0.0], covariance=np.eye(2))
    problem = fpk.Problem(gradient_drift(["2*sin(2*x0) - x0", "-x1"]), np.linalg.cholesky(2 * FULL), initial=initial)
    errors = []
    for cells in (24, 48):
        grid = square(cells, 5.0)
        x, y = grid.points.T
        p = np.exp(-np.cos(2 * x) - x**2 / 2 - y**2 / 2).reshape(grid.shape)
        moved = POSITIVE.stepper(problem, grid).advanced(p / p.sum(), 0.0, 2.0)
        errors.append(np.abs(moved - p / p.sum()).sum())
    assert errors[1] < 2e-3
    assert errors[0] / errors[1] > 3.5


@pytest.mark.parametrize(("A", "D"), [(ROTATING, FULL), (-np.eye(2), directed())])
def test_densities_converge_at_second_order(A, D) -> None:
    errors = []
    for cells in (48, 96):
        grid = square(cells, 5.0)
        p = solved(linear(A, D, [1.5, 0.0], 0.3), grid, 0.5)
        errors.append(np.abs(p - exact_density(A, D, [1.5, 0.0], 0.3, 0.5, grid)).sum() * grid.volume)
    assert 3.5 < errors[0] / errors[1] < 6.5
    assert errors[1] < 0.016


def test_the_generator_is_consistent_at_second_order_where_the_tensor_varies() -> None:
    """The transposed rates applied to a smooth function, against f · ∇u + D : ∇∇u by hand."""
    errors = []
    for cells in (40, 80, 160):
        grid = square(cells, 2.0)
        jumps, (x, y) = steps(winding(), grid).jumps(0.0), grid.points.T.reshape(2, cells, cells)
        u = np.sin(x + 2 * y)
        g = np.stack([[1 + 0.5 * np.sin(y), 0.3 * x], [0.4 * np.cos(x * y), 0.5 + 0 * x]])
        D = 0.5 * np.einsum("imxy,jmxy->ijxy", g, g)
        expected = (-x - 2 * y + 2 * (2 * x - np.sin(y))) * np.cos(x + 2 * y)
        expected -= (D[0, 0] + 4 * D[0, 1] + 4 * D[1, 1]) * u
        tiny = 1e-7 / jumps.fastest
        found = (jumps.evolved(u, tiny, transposed=True) - u) / tiny  # to 1e-9 of A u
        inner = np.hypot(x, y) < 1.2
        errors.append(np.abs(found - expected)[inner].max())
    assert errors[1] / errors[2] > 3
    assert errors[2] < 0.05


def nine_point(D: np.ndarray, A: np.ndarray, grid: ProductGrid) -> Any:
    """Second-order central differences with the four-point cross term."""
    (n, m), (h, k) = grid.shape, grid.spacings
    diags: Any = diags_array
    slope = [diags([-np.ones(c - 1), np.ones(c - 1)], offsets=[-1, 1]) / (2 * w) for c, w in ((n, h), (m, k))]
    bend = [
        diags([np.ones(c - 1), -2 * np.ones(c), np.ones(c - 1)], offsets=[-1, 0, 1]) / w**2 for c, w in ((n, h), (m, k))
    ]
    f = grid.points @ A.T
    return (
        D[0, 0] * kron(bend[0], eye_array(m)) + D[1, 1] * kron(eye_array(n), bend[1]) + 2 * D[0, 1] * kron(*slope)
        - kron(slope[0], eye_array(m)) @ diags(f[:, 0]) - kron(eye_array(n), slope[1]) @ diags(f[:, 1])
    ).tocsc()  # fmt: skip


@pytest.mark.parametrize("A", [np.zeros((2, 2)), -np.eye(2)])
def test_noise_25_times_stronger_one_way_is_followed_better_than_by_nine_points_which_go_negative(A) -> None:
    grid, D = square(64, 5.0), directed()
    exact = exact_density(A, D, [1.0, 0.5], 0.3, 0.5, grid)
    problem = linear(A, D, [1.0, 0.5], 0.3)
    p = solved(problem, grid, 0.5)
    other = expm_multiply(0.5 * nine_point(D, A, grid), start(problem, grid).ravel()).reshape(grid.shape)
    ours, theirs = (np.abs(q - exact).sum() * grid.volume for q in (p, other))
    assert other.min() < -1e-3 * other.max()
    assert p.min() >= 0
    assert ours < 0.3 * theirs


def test_what_stands_still_for_a_while_stays_where_it_is() -> None:
    """Noise and drift that begin at t = ½."""
    problem = fpk.Problem(
        ["-x0*Max(t - 0.5, 0)", "0"],
        [["Max(t - 0.5, 0)", "0"], ["0", "Max(t - 0.5, 0)"]],
        initial=fpk.Gaussian([1.0, 0.0], covariance=np.eye(2)),
    )
    grid = square(24)
    p = start(problem, grid)
    np.testing.assert_array_equal(POSITIVE.stepper(problem, grid).advanced(p, 0.0, 0.25), p)


def test_noise_in_one_variable_only_is_enough() -> None:
    """dX = V dt, dV = −V dt + √2 dW: no noise along x, where the drift is upwinded."""
    A, D = np.array([[0.0, 1.0], [0.0, -1.0]]), np.diag([0.0, 1.0])
    problem = fpk.Problem(
        Linear(A, np.zeros(2)),
        np.array([[0.0], [2**0.5]]),
        initial=fpk.Gaussian([0.0, 1.0], covariance=0.09 * np.eye(2)),
    )
    means = []
    for cells in (48, 96):
        grid = square(cells, 6.0)
        p = solved(problem, grid, 1.0)
        assert p.min() >= 0
        means.append(grid.points.T @ p.ravel() * grid.volume)
    np.testing.assert_allclose(means[1], expm(A) @ [0.0, 1.0], atol=0.01)
    assert D[0, 0] == 0


def test_coefficients_that_depend_on_time_are_followed_at_second_order() -> None:
    problem = fpk.Problem(
        ["-x0 - 2*sin(5*t)*x1", "2*x0 - x1"],
        [["1 + 0.5*t", "0"], ["t", "1"]],
        initial=fpk.Gaussian([1.0, 0.0], covariance=0.1 * np.eye(2)),
    )
    grid = square(32, 4.0)
    stepper = POSITIVE.stepper(problem, grid)
    runs = [next(stepper.run(start(problem, grid), (1.0,), steps))[1] for steps in (8, 16, 256)]
    errors = [np.abs(p - runs[-1]).sum() * grid.volume for p in runs[:2]]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_steady_coefficients_take_one_step_without_an_error_in_time() -> None:
    problem, grid = winding(), square(32, 3.0)
    stepper, p = POSITIVE.stepper(problem, grid), start(problem, grid)
    assert stepper.counted(100) == 1
    halves = stepper.advanced(stepper.advanced(p, 0.0, 0.5), 0.5, 0.5)
    np.testing.assert_allclose(stepper.advanced(p, 0.0, 1.0), halves, atol=1e-11 * p.max())


def test_space_of_three_dimensions_converges_at_second_order() -> None:
    A = np.array([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.5], [0.0, -0.5, -1.0]])
    D = np.array([[0.6, 0.2, 0.1], [0.2, 0.5, -0.2], [0.1, -0.2, 0.4]])
    errors = []
    for cells in (16, 32):
        grid = fpk.Grid(-4, 4, cells=cells) ** 3
        p = solved(linear(A, D, [0.8, 0.0, 0.0], 0.6), grid, 0.2)
        assert p.min() >= 0
        errors.append(np.abs(p - exact_density(A, D, [0.8, 0.0, 0.0], 0.6, 0.2, grid)).sum() * grid.volume)
    assert errors[0] / errors[1] > 3.2


def test_denormal_numbers_do_not_arise_where_a_narrow_law_spreads() -> None:
    grid = square(64)
    p = np.exp(-0.5 * (grid.points**2).sum(1) / 0.01).reshape(grid.shape)
    assert p.min() == 0
    moved = POSITIVE.stepper(linear(-np.eye(2), FULL, [0.0, 0.0], 0.1), grid).advanced(p, 0.0, 0.01)
    assert moved.min() > LEAST * 1e-100


def test_the_same_bits_for_any_number_of_threads(rng) -> None:
    grid, found = fpk.Grid(-2, 2, cells=37) * fpk.Grid(-2, 2, cells=61), []
    p = rng.random(grid.shape)
    for threads in (1, 2, 3):
        jumps = steps(winding(), grid).jumps(0.0)
        jumps.team.threads = threads
        found.append((jumps.evolved(p, 0.1), jumps.evolved(p, 0.1, transposed=True)))
    for forward, back in found[1:]:
        np.testing.assert_array_equal(forward, found[0][0])
        np.testing.assert_array_equal(back, found[0][1])


@pytest.mark.parametrize("mean", [0.0, 0.3, 40.0, 1e5])
def test_poisson_weights_have_their_mean_and_variance(mean) -> None:
    first, weights = poisson(mean, 1e-12)
    n = np.arange(first, first + len(weights))
    assert weights.sum() == pytest.approx(1, abs=1e-13)
    assert weights @ n == pytest.approx(mean, rel=1e-9)
    assert weights @ (n - mean) ** 2 == pytest.approx(mean, rel=1e-7)


def test_rotation_tells_gradients_from_other_fields() -> None:
    drift = fields_at(linear(ROTATING, FULL, [0.0, 0.0], 1.0), square(16))(0.0).drift
    slopes = np.stack([np.gradient(f) for f in drift])
    assert rotation(slopes) == pytest.approx(2 / 5**0.5)  # the antisymmetric part of [[−1, −2], [2, −1]]
