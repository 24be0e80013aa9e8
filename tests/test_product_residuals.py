"""Dual-weighted residuals on product grids: they tell the error of a coarse solution, and a wrong coefficient in the solver."""

from __future__ import annotations

import numpy as np
import pytest

import fpk
from fpk.fokker_planck.product.positive import PositiveScheme
from fpk.fokker_planck.product.residuals import ProductResiduals, _differentiation, _nodes, _weights
from fpk.grids import ProductGrid
from fpk.laws import Array

A = np.array([[-1.0, -2.0], [2.0, -1.0]])
D = np.array([[0.6, 0.3], [0.3, 0.4]])
START = fpk.Gaussian([1.0, 0.0], covariance=0.25 * np.eye(2))
TIME = 0.5


def rotating(noise: float = 1.0, cross: float = 1.0) -> fpk.Problem:
    tensor = noise * D * np.array([[1.0, cross], [cross, 1.0]])
    return fpk.Problem(fpk.Linear(A), np.linalg.cholesky(2 * tensor), initial=START, horizon=TIME)


def functionals(grid: ProductGrid) -> Array:
    x, y = grid.points.T
    return np.stack([np.tanh(x), np.tanh(y), np.exp(-(x**2) - y**2)]).reshape(3, *grid.shape)


def truth(grid: ProductGrid) -> Array:
    """Expectations under the exact Gaussian, by sums over the cells (spectrally accurate)."""
    law = fpk.exact(rotating(), times=[TIME]).law(TIME)
    density = np.exp(law.log_density(grid.points)).reshape(grid.shape)
    return grid.volume * np.sum(functionals(grid) * density, axis=(1, 2))


def residuals(cells: int, given: fpk.Problem) -> ProductResiduals:
    """What the positive scheme makes of the given problem, in the equation of the stated one."""
    grid = fpk.Grid(-5, 5, cells=cells) ** 2
    start = np.exp(START.log_density(grid.points)).reshape(grid.shape)
    return ProductResiduals(PositiveScheme().stepper(given, grid), start, 40, rotating(), grid)


def test_the_correction_is_the_error_and_leaves_one_of_higher_order() -> None:
    left = []
    for cells in (40, 80):
        found = residuals(cells, rotating())
        values, corrections = found.expected(TIME, functionals(found.grid))
        error = truth(found.grid) - values
        left.append(np.abs(error - corrections).max())
        assert left[-1] < 0.15 * np.abs(error).max()
    assert left[0] / left[1] > 2**3.3  # the scheme is of second order


@pytest.mark.parametrize(("noise", "cross"), [(1.02, 1.0), (1.0, 0.9)])
def test_a_wrong_tensor_in_the_solver_is_corrected_for(noise: float, cross: float) -> None:
    """A planted error of some percent is first-order small: what the correction leaves of it is second-order small."""
    wrong, right = (residuals(64, given) for given in (rotating(noise, cross), rotating()))
    phi = functionals(right.grid)
    (values, found), (expected, usual) = wrong.expected(TIME, phi), right.expected(TIME, phi)
    planted = values - expected
    assert np.abs(planted).max() > 2e-3
    np.testing.assert_allclose(usual - found, planted, atol=0.06 * np.abs(planted).max())


def test_nodes_cover_the_time_once() -> None:
    nodes = np.array(_nodes(2.0))
    assert nodes[0] == 0
    assert nodes[-1] == 2
    assert np.all(np.diff(nodes) > 0)


def test_differentiation_is_exact_for_polynomials_of_degree_four() -> None:
    from fpk.fokker_planck.product.residuals import NODES, WEIGHTS

    for k in range(5):
        np.testing.assert_allclose(_differentiation() @ NODES**k, k * NODES ** max(k - 1, 0), atol=1e-13)
    for k in range(8):
        assert WEIGHTS @ NODES**k == pytest.approx((1 + (-1) ** k) / (k + 1), abs=1e-14)


def test_differences_of_u_are_exact_for_polynomials_of_degree_twelve() -> None:
    x = np.arange(-6, 7) / 6
    for order in (1, 2):
        for k in range(13):
            exact = [1.0, 2.0][order - 1] * (k == order)
            assert _weights(order) @ x**k * 6**order == pytest.approx(exact, abs=1e-9)
