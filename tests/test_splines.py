"""Splines between the cell centres: sixth order inside, around a ring and up to values stated at walls; and the lookup of stored times."""

import numpy as np
import pytest

from fpk.errors import GridError
from fpk.fokker_planck.splines import quintic, splined
from fpk.grids import Grid, stored_index


def worst(function, cells, *, ends=(0.0, 1.0), **options):
    grid = Grid(*ends, cells=cells)
    x = np.linspace(*ends, 333)
    return np.abs(splined(grid, function(grid.centers), **options)(x) - function(x)).max()


@pytest.mark.parametrize(
    "options", [{"periodic": True}, {"walls": (1.0, 1.0)}, {}], ids=["ring", "stated at walls", "open end"]
)
def test_the_error_is_of_sixth_order_up_to_the_ends(options):
    errors = [worst(lambda x: np.exp(np.sin(2 * np.pi * x)), n, **options) for n in (40, 80)]
    assert np.log2(errors[0] / errors[1]) > 5.5
    assert errors[1] < 2e-6


def test_several_functions_at_once_are_splined_one_by_one():
    grid = Grid(-1, 1, cells=20)
    both = np.stack([np.sin(grid.centers), np.cos(grid.centers)], axis=1)
    x = np.linspace(-0.9, 0.9, 7)
    together = splined(grid, both)(x)
    for k in range(2):
        np.testing.assert_array_equal(together[:, k], splined(grid, both[:, k])(x))


def test_quintics_are_exact_on_the_spline_and_of_lower_degree_through_fewer_points():
    x = np.array([0.0, 0.3, 1.0, 1.1, 2.0, 2.5, 3.1])
    np.testing.assert_allclose(quintic(x, x**5 - x)(1.7), 1.7**5 - 1.7, rtol=1e-12)
    np.testing.assert_allclose(quintic(x[:3], x[:3] ** 2)(0.6), 0.36, rtol=1e-14)


def test_stored_times_are_found_up_to_rounding_and_others_refused_with_what_is_stored():
    assert stored_index((0.0, 0.1 + 0.2, 1.0), 0.3, name="p_t") == 1
    with pytest.raises(GridError, match=r"u was not stored at t=0\.4; stored: \[0\.0, 0\.3\]\. Add it to times="):
        stored_index((0.0, 0.3), 0.4, name="u")
