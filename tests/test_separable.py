"""Separable propagators on product grids, held against closed forms, scipy's exponential of the full operator, and one-dimensional solves."""

import numpy as np
import pytest
from scipy import linalg, sparse
from scipy.sparse.linalg import expm_multiply

import fpk
from fpk.errors import SchemeError
from fpk.fokker_planck.product.axes import fourier_derivatives, full, separated
from fpk.fokker_planck.product.matrices import exponential, product
from fpk.fokker_planck.product.separable import Separable

ANGLES = np.arange(4) * np.pi / 2
RING = fpk.GaussianMixture([0.25] * 4, 2 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1), stds=[0.3] * 4)
VP = fpk.noising(fpk.VPSchedule(0.1, 20.0), RING)
WELLS = fpk.Problem(["x0 - x0**3", "x1 - x1**3"], 0.8, initial=fpk.Gaussian([0.3, -0.5], 0.3))
SCHEME = Separable()


def start(problem, grid):
    return np.exp(problem.initial.log_density(grid.points)).reshape(grid.shape)


def solved(problem, grid, times):
    return [p for _, p in SCHEME.stepper(problem, grid).run(start(problem, grid), tuple(times), 1)]


def off(problem, grid, t, p):
    exact = np.exp(fpk.exact(problem, times=[t]).law(t).log_density(grid.points)).reshape(grid.shape)
    return np.abs(p - exact).sum() * grid.volume


def test_a_noised_mixture_is_right_to_what_the_box_cuts_off():
    grid = fpk.Grid(-6, 6, cells=96) ** 2
    early, middle, late = solved(VP, grid, (0.02, 0.25, 1.0))
    assert off(VP, grid, 0.02, early) < 1e-12
    assert off(VP, grid, 0.25, middle) < 1e-9
    assert off(VP, grid, 1.0, late) < 1e-8  # the mass of N(0, I) beyond the box is 4e-9


def test_accuracy_is_spectral_in_the_cells():
    errors = [
        off(VP, grid, 0.1, solved(VP, grid, (0.1,))[0])
        for grid in (fpk.Grid(-6, 6, cells=n) ** 2 for n in (32, 48, 64))
    ]
    assert errors[0] > 1e-4
    assert errors[1] < 1e-2 * errors[0]
    assert errors[2] < 1e-2 * errors[1]


def test_three_dimensions_with_unequal_axes():
    box = fpk.Grid(-6, 6, cells=44) * fpk.Grid(-5, 7, cells=52) * fpk.Grid(-7, 6, cells=48)
    drift = fpk.Linear(np.diag([-1.0, -0.5, -2.0]), np.array([0.2, 0.5, -0.1]))
    problem = fpk.Problem(drift, np.diag([1.0, 0.9, 1.6]), initial=fpk.Gaussian([0.5, 1.0, -0.5], 0.6))
    assert off(problem, box, 0.4, solved(problem, box, (0.4,))[0]) < 1e-10


def test_separable_noise_that_varies_is_the_exponential_of_the_full_operator():
    grid = fpk.Grid(-3, 3, cells=32) * fpk.Grid(-3, 3, cells=24)
    problem = fpk.Problem(
        ["-2*x0", "-x1"],
        [["0.8 + 0.1*cos(x0)", "0"], ["0", "0.7 + 0.1*sin(x1)"]],
        initial=fpk.Gaussian([0.2, -0.3], 0.5),
    )
    parts = []
    for k, axis in enumerate(grid.axes):
        x = axis.centers
        slope, bend = fourier_derivatives(axis)
        D = 0.5 * ((0.8 + 0.1 * np.cos(x)) if k == 0 else (0.7 + 0.1 * np.sin(x))) ** 2
        parts.append(bend * D + slope * ((2.0 if k == 0 else 1.0) * x))
    whole = sparse.kronsum(sparse.csr_array(parts[1]), sparse.csr_array(parts[0]))
    expected = expm_multiply(0.3 * whole, start(problem, grid).ravel()).reshape(grid.shape)
    np.testing.assert_allclose(solved(problem, grid, (0.3,))[0], expected, atol=1e-11)


def test_a_product_of_double_wells_is_a_product_of_one_dimensional_solutions():
    grid = fpk.Grid(-3, 3, cells=64) ** 2
    lines = [
        fpk.solve(fpk.Problem("x - x**3", 0.8, initial=fpk.Gaussian(m, 0.3)), fpk.Grid(-3, 3, cells=192), times=[0.7])
        for m in (0.3, -0.5)
    ]
    first, second = (line.densities[0][1::3] for line in lines)
    (p,) = solved(WELLS, grid, (0.7,))
    assert np.abs(p - np.outer(first, second)).sum() * grid.volume < 1e-6


def test_transposes_keep_every_pairing_to_round_off():
    grid = fpk.Grid(-6, 6, cells=32) * fpk.Grid(-6, 6, cells=40)
    stepper, rng = SCHEME.stepper(VP, grid), np.random.default_rng(0)
    p, u, times = rng.random(grid.shape), rng.random(grid.shape), (0.2, 0.5, 1.0)
    end = [q for _, q in stepper.run(p, times, 1)][-1]
    begun = [v for _, v in stepper.run_back(u, times, 1)][-1]
    assert abs((end * u).sum() - (p * begun).sum()) < 1e-12 * abs((end * u).sum())


def test_mass_is_kept_to_round_off():
    grid = fpk.Grid(-3, 3, cells=64) ** 2
    before = start(WELLS, grid).sum()
    assert all(abs(p.sum() / before - 1) < 1e-11 for p in solved(WELLS, grid, (0.1, 0.5, 1.0)))


@pytest.mark.parametrize(
    ("drift", "diffusion"),
    [
        (fpk.Linear(np.array([[-1.0, -2.0], [2.0, -1.0]])), 1.0),
        (fpk.Linear(-1.0), np.array([[1.0, 0.0], [0.5, 1.0]])),
        (["-x0", "-x1 + 0.001*exp(-100*(x0 - 1)**2)"], 1.0),
        (lambda x, t: -x + np.where(t > 0.9, 1e-3, 0.0) * x[:, ::-1], 1.0),
        (["-x0", "-x1"], [["1 + 0.1*cos(x1)", "0"], ["0", "1"]]),
        (fpk.Linear(-1.0), np.array([[1.0, 0.0], [0.0, 0.0]])),
    ],
    ids=[
        "rotation",
        "cross terms",
        "a local coupling",
        "a late coupling",
        "noise of the other coordinate",
        "a silent axis",
    ],
)
def test_coupled_coordinates_are_not_taken_for_separable(drift, diffusion):
    problem = fpk.Problem(drift, diffusion, initial=fpk.Gaussian([0.0, 0.0], 0.5))
    grid = fpk.Grid(-4, 4, cells=32) ** 2
    assert not SCHEME.suits(problem, grid)
    with pytest.raises(SchemeError, match="cross"):
        SCHEME.stepper(problem, grid)


def test_axes_with_clocks_of_their_own_suit():
    problem = fpk.Problem(
        lambda x, t: np.array([-(1 + t), -np.exp(-t)]) * x,
        lambda t: np.diag([(1 + t) ** 0.5, np.exp(-t / 2)])[None],
        initial=fpk.Gaussian([0.5, 0.0], 0.5),
    )
    grid = fpk.Grid(-6, 6, cells=48) ** 2
    assert SCHEME.suits(problem, grid)
    linear = fpk.Problem(
        fpk.Linear(lambda t: np.diag([-(1 + t), -np.exp(-t)])), problem.diffusion, initial=problem.initial
    )
    assert off(linear, grid, 1.0, solved(problem, grid, (1.0,))[0]) < 1e-8


def test_an_axis_without_a_clock_is_refused():
    drift = fpk.Linear(-1.0, lambda t: np.array([np.cos(4 * t), 0.0]))
    problem = fpk.Problem(drift, 1.0, initial=fpk.Gaussian([0.3, -0.2], 0.5))
    grid = fpk.Grid(-5, 5, cells=32) ** 2
    assert not SCHEME.suits(problem, grid)
    with pytest.raises(SchemeError, match="one factor of t for each axis"):
        SCHEME.stepper(problem, grid)


def test_an_unresolved_axis_falls_back_to_the_well_balanced_flux():
    problem = fpk.Problem(["x0 - x0**3", "x1 - x1**3"], 0.2, initial=fpk.Gaussian([0.3, 0.0], 0.3))
    grid = fpk.Grid(-4, 4, cells=64) ** 2  # the cell Péclet number at the edge is 375
    axes = separated(problem, grid)
    assert not axes[0].resolved
    line = np.exp(-(grid.axes[0].centers ** 4 / 4 - grid.axes[0].centers ** 2 / 2) / 0.02)
    gibbs = np.outer(line, line)
    kept = SCHEME.stepper(problem, grid).advanced(gibbs, 0.0, 1.0)
    assert np.abs(kept - gibbs).sum() < 1e-10 * gibbs.sum()


@pytest.mark.parametrize(
    ("drift", "noise", "reach", "cells"), [("x - x**3", 0.2, 2, 64), ("2*x", 0.1, 3, 32)],
    ids=["a Gibbs law that is not kept", "densities that grow"],
)  # fmt: skip
def test_each_of_the_guards_finds_a_fourier_axis_that_is_not_resolved(drift, noise, reach, cells):
    problem = fpk.Problem(
        [drift.replace("x", "x0"), drift.replace("x", "x1")], noise, initial=fpk.Gaussian([0, 0], 0.3)
    )
    (axis, _) = separated(problem, fpk.Grid(-reach, reach, cells=cells) ** 2)
    assert not axis.resolved


def test_axes_that_are_alike_are_computed_once():
    first, second = separated(VP, fpk.Grid(-6, 6, cells=32) ** 2)
    assert first is second
    first, second = separated(VP, fpk.Grid(-6, 6, cells=32) * fpk.Grid(-6, 6, cells=40))
    assert first is not second


def test_old_propagators_make_room():
    (axis, _) = separated(VP, fpk.Grid(-6, 6, cells=1024) ** 2)
    axis.__dict__["generator"] = np.zeros((2, 2))  # what is kept does not depend on what it is
    for t in np.linspace(0.1, 1.0, 10):
        axis.propagator(0.0, t)
    assert len(axis._kept) == 4


@pytest.mark.parametrize("size", [5, 64, 65, 130])
def test_exponentials_and_products_in_blocks(size):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(size, size)), rng.normal(size=(size, size + 3))
    np.testing.assert_allclose(product(a, b), a @ b, atol=1e-12)
    for scale in (1e-3, 0.3, 30.0):
        generator = scale * (a - size * np.eye(size)) / size
        np.testing.assert_allclose(exponential(generator), linalg.expm(generator), atol=1e-13)
    np.testing.assert_array_equal(exponential(np.zeros((size, size))), np.eye(size))


def test_a_banded_matrix_in_full():
    from fpk.fokker_planck.fluxes import Rates

    rng = np.random.default_rng(1)
    rates, p = Rates(rng.random((5, 9)), False), rng.random(9)
    np.testing.assert_allclose(full(rates) @ p, rates.applied(p), rtol=1e-13)
