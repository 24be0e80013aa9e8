"""Product grids, and what coefficients look like on them."""

from __future__ import annotations

import numpy as np
import pytest

import fpk
from fpk.errors import GridError, SchemeError
from fpk.fokker_planck.product.fields import fields_at, pairs
from fpk.grids import ProductGrid

BOX = fpk.Grid(-1, 1, cells=8) * fpk.Grid(0, 3, cells=12)


def problem(diffusion, drift=("x1", "-x0*x1 + t")) -> fpk.Problem:
    return fpk.Problem(list(drift), diffusion, initial=fpk.Gaussian([0.0, 1.0], covariance=np.eye(2)))


def test_points_run_through_the_last_axis_first() -> None:
    x = BOX.points.reshape(*BOX.shape, 2)
    np.testing.assert_array_equal(x[3, :, 1], BOX.axes[1].centers)
    np.testing.assert_array_equal(x[:, 5, 0], BOX.axes[0].centers)
    assert BOX.cells * BOX.volume == pytest.approx(2 * 3)


def test_products_of_three_and_powers() -> None:
    cube = fpk.Grid(-1, 1, cells=8) ** 3
    assert cube == fpk.Grid(-1, 1, cells=8) * fpk.Grid(-1, 1, cells=8) * fpk.Grid(-1, 1, cells=8)
    assert cube.shape == (8, 8, 8)
    assert (fpk.Grid(-1, 1, cells=32) ** 2).halved().shape == (16, 16)
    assert str(BOX) == "8 × 12"


@pytest.mark.parametrize("axes", [(), (fpk.Grid(0, 1),), (fpk.Grid(0, 1),) * 4, (fpk.Grid(0, 1), 3)])
def test_one_axis_four_axes_and_other_things_are_refused(axes) -> None:
    with pytest.raises(GridError, match="two or three uniform grids"):
        ProductGrid(axes)


def test_stretched_axes_are_refused() -> None:
    with pytest.raises(GridError, match="uniform"):
        fpk.Grid(-1, 1, cells=8, focus=0.0, breadth=0.1) ** 2


def test_fields_are_the_coefficients_at_the_centres() -> None:
    found = fields_at(problem([["1 + x0**2", "x1"], ["0", "2"]]), BOX)(0.5)
    x, y = np.meshgrid(BOX.axes[0].centers, BOX.axes[1].centers, indexing="ij")
    np.testing.assert_allclose(found.drift, [y, -x * y + 0.5], rtol=1e-15)
    expected = {(0, 0): ((1 + x**2) ** 2 + y**2) / 2, (0, 1): y, (1, 1): np.full_like(x, 2.0)}
    for k, pair in enumerate(pairs(2)):
        np.testing.assert_allclose(found.diffusivity[k], expected[pair], rtol=1e-15)
    assert not found.uniform_noise
    assert not found.diagonal


@pytest.mark.parametrize("diffusion", [0.5, ["0.5", "0.5"], 0.5 * np.eye(2), lambda t: 0.5])
def test_noise_that_is_the_same_everywhere_is_stored_once(diffusion) -> None:
    found = fields_at(problem(diffusion), BOX)(0.2)
    assert found.uniform_noise
    assert found.diagonal
    np.testing.assert_allclose(found.diffusivity.ravel(), [0.125, 0.0, 0.125])


def test_fields_of_a_steady_problem_are_read_once() -> None:
    at = fields_at(problem(1.0, ("x1", "-x0")), BOX)
    assert at(0.0) is at(0.7)
    moving = fields_at(problem(1.0), BOX)
    assert moving(0.0) is not moving(0.7)


def test_other_dimensions_are_refused() -> None:
    line = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(0.0, 1.0))
    with pytest.raises(SchemeError, match="d = 1, the grid 2 axes"):
        fields_at(line, BOX)
