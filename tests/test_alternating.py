"""Alternating directions: eliminations and operators against scipy, second order in space and time, exact transposes, any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

import fpk
from fpk.coefficients import Linear
from fpk.fokker_planck.product import _lines as kernels
from fpk.fokker_planck.product._team import spans
from fpk.fokker_planck.product.alternating import (
    ALTERNATING,
    LIMITS,
    AlternatingSteps,
    Operator,
    lines_of,
    operator_of,
)
from fpk.fokker_planck.product.fields import Fields, fields_at
from fpk.grids import ProductGrid

ROTATING = np.array([[-1.0, -2.0], [2.0, -1.0]])
FULL = np.array([[0.6, 0.3], [0.3, 0.4]])
TILTED = np.array([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.5], [0.0, -0.5, -1.0]])
FULL_3D = np.array([[0.6, 0.2, 0.1], [0.2, 0.5, -0.2], [0.1, -0.2, 0.4]])
PLANE = fpk.Grid(-2, 2, cells=9) * fpk.Grid(-1, 2, cells=13)
SPACE = fpk.Grid(-2, 2, cells=8) * fpk.Grid(-1, 2, cells=9) * fpk.Grid(-1, 1, cells=10)


def linear(A: np.ndarray, D: np.ndarray, mean: list[float], std: float) -> fpk.Problem:
    d = len(mean)
    initial = fpk.Gaussian(mean, covariance=std**2 * np.eye(d))
    return fpk.Problem(Linear(A, np.zeros(d)), np.linalg.cholesky(2 * D), initial=initial)


def winding(d: int, t: str = "0") -> fpk.Problem:
    """Drift and tensor that vary in space, and with t where it is asked for."""
    drift = ["-x0 - 2*x1", "2*x0 - sin(x1)", "x0 - x2"][:d]
    G = [[f"1 + 0.5*sin(x1 + {t})", "0.3*x0", "0"], [f"0.4*cos(x0*x1 + {t})", "0.8", "0.1"], ["0.2", "0", "1 + 0.1*x0"]]
    return fpk.Problem(
        drift, [row[:d] for row in G[:d]], initial=fpk.Gaussian([0.5, 0.0, 0.0][:d], covariance=0.2 * np.eye(d))
    )


def steps(problem: fpk.Problem, grid: ProductGrid) -> AlternatingSteps:
    return AlternatingSteps(fields_at(problem, grid), grid, steady=problem.steady)


def start(problem: fpk.Problem, grid: ProductGrid) -> np.ndarray:
    return np.exp(problem.initial.log_density(grid.points)).reshape(grid.shape)


def solved(problem: fpk.Problem, grid: ProductGrid, t: float, count: int) -> np.ndarray:
    return next(steps(problem, grid).run(start(problem, grid), (t,), count))[1]


def exact_density(
    A: np.ndarray, D: np.ndarray, mean: list[float], std: float, t: float, grid: ProductGrid
) -> np.ndarray:
    """The Gaussian of a linear equation; its noise is read from one exponential (Van Loan 1978)."""
    d = len(mean)
    blocks = expm(t * np.block([[-A, 2 * D], [np.zeros((d, d)), A.T]]))
    E = blocks[d:, d:].T
    C = E @ blocks[:d, d:] + std**2 * E @ E.T
    z = grid.points - E @ mean
    weight = np.exp(-0.5 * np.einsum("ni,ij,nj->n", z, np.linalg.inv(C), z))
    return (weight / np.linalg.det(2 * np.pi * C) ** 0.5).reshape(grid.shape)


def one_axis(fields: Any, grid: ProductGrid, axis: int) -> np.ndarray:
    """−δ(f p) + δ²(D p) along an axis between walls, from fluxes at the faces, as a full matrix."""
    cells = np.arange(grid.cells).reshape(grid.shape)
    first, last = (np.moveaxis(cells, axis, 0)[cut].ravel() for cut in (slice(None, -1), slice(1, None)))
    h, diagonal = grid.spacings[axis], {2: (0, 2), 3: (0, 3, 5)}[grid.dimension][axis]
    f = fields.drift[axis].ravel()
    D = np.broadcast_to(fields.diffusivity[diagonal], grid.shape).ravel()
    A = np.zeros((grid.cells, grid.cells))
    for cell, flux in ((first, f / 2 + D / h), (last, f / 2 - D / h)):
        A[first, cell] -= flux[cell] / h
        A[last, cell] += flux[cell] / h
    return A


def crossed(fields: Any, grid: ProductGrid) -> np.ndarray:
    """The four-point cross differences of cells that are not at the edge of their plane."""
    A = np.zeros((*grid.shape, *grid.shape))
    for k, (i, j) in {2: {1: (0, 1)}, 3: {1: (0, 1), 2: (0, 2), 4: (1, 2)}}[grid.dimension].items():
        D = np.broadcast_to(fields.diffusivity[k], grid.shape)
        for x in np.ndindex(grid.shape):
            if all(0 < x[a] < grid.shape[a] - 1 for a in (i, j)):
                for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                    y = list(x)
                    y[i] += a
                    y[j] += b
                    A[(*y, *x)] += a * b * 2 * D[x] / (4 * grid.spacings[i] * grid.spacings[j])
    return A.reshape(grid.cells, grid.cells)


def applied(operator: Operator, kernel: Any, p: np.ndarray) -> np.ndarray:
    """2 p − 3 A p, or with the transpose, in two pieces."""
    m, n = operator.margin, p.size
    room, out = np.pad(p, m), np.zeros(n + 2 * m)
    for span in ((m, m + n // 3), (m + n // 3, m + n)):
        kernel(room, (2.0, -3.0), operator.rates, operator.strides, operator.pairs, span, out)
    return out[m:-m]


@pytest.mark.parametrize("grid", [PLANE, SPACE])
def test_the_operator_is_central_differences_with_four_point_cross_terms(grid, rng) -> None:
    fields, p = fields_at(winding(grid.dimension), grid)(0.0), rng.normal(size=grid.cells)
    A = sum(one_axis(fields, grid, axis) for axis in range(grid.dimension)) + crossed(fields, grid)
    operator = operator_of(fields, grid)
    np.testing.assert_allclose(applied(operator, kernels.apply, p), 2 * p - 3 * A @ p, atol=1e-11)
    np.testing.assert_allclose(applied(operator, kernels.apply_transposed, p), 2 * p - 3 * A.T @ p, atol=1e-11)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("grid", [PLANE, SPACE])
def test_eliminations_solve_along_each_axis(grid, transposed, rng) -> None:
    fields, r = fields_at(winding(grid.dimension), grid)(0.0), rng.normal(size=grid.cells)
    middle, last = lines_of(operator_of(fields, grid), 0.7)
    for axis, lines in enumerate((*reversed(middle), last)):
        A, x = np.eye(grid.cells) - 0.7 * one_axis(fields, grid, axis), r.copy()
        for span in spans(lines.count, 3):
            lines.solve(x, span, transposed=transposed)
        np.testing.assert_allclose((A.T if transposed else A) @ x, r, atol=1e-12)


@pytest.mark.parametrize(("grid", "courant", "which"), [(PLANE, 2.9, 0), (PLANE, 9.0, 1), (SPACE, 1.9, 0)])
def test_a_step_is_that_of_hundsdorfer_and_verwer(grid, courant, which, rng) -> None:
    """Their stages as they are printed, for a steady operator, with dense matrices."""
    fields, p = fields_at(winding(grid.dimension), grid)(0.0), rng.random(grid.cells)
    tau = courant / max(np.abs(f).max() / h for f, h in zip(fields.drift, grid.spacings, strict=True))
    parts = [one_axis(fields, grid, axis) for axis in range(grid.dimension)]
    A, theta, one = sum(parts) + crossed(fields, grid), LIMITS[grid.dimension][which][1], np.eye(grid.cells)
    y = y_0 = p + tau * A @ p
    for part in reversed(parts):
        y = np.linalg.solve(one - theta * tau * part, y - theta * tau * part @ p)
    z = y_0 + tau / 2 * (A @ y - A @ p)
    for part in reversed(parts):
        z = np.linalg.solve(one - theta * tau * part, z - theta * tau * part @ y)
    found = steps(winding(grid.dimension), grid).advanced(p.reshape(grid.shape), 0.0, tau)
    np.testing.assert_allclose(found.ravel(), z, atol=1e-11)


@pytest.mark.parametrize(("d", "cells", "strength"), [(2, 32, 1.0), (2, 32, 30.0), (3, 16, 1.0), (3, 16, 30.0)])
@pytest.mark.parametrize("courant", [1.0, 2.9, 9.0, 40.0])
def test_drift_does_not_make_steps_unstable(d, cells, strength, courant) -> None:
    """200 steps with a drift against which noise is weak, or not; walls pile mass up in layers that wiggle, but nothing grows."""
    A, D = {2: (ROTATING, FULL), 3: (TILTED, FULL_3D)}[d]
    problem, grid = linear(strength * A, D, [1.5, 0.0, 0.0][:d], 0.6), fpk.Grid(-6, 6, cells=cells) ** d
    stepper, p = steps(problem, grid), start(problem, grid)
    tau, count = courant / operator_of(stepper.fields(0.0), grid).speed, 200 if courant < 20 else 30
    ((_, p),) = stepper.run(p, (tau * count,), count)
    assert np.abs(p).sum() * grid.volume < 20


def test_steps_that_are_divided_for_stability_are_counted(rng) -> None:
    """25 cells in a step are three steps of a third; forward, back, and in what the solution calls itself."""
    problem, p = linear(30 * ROTATING, FULL, [1.5, 0.0], 0.6), rng.random((16, 16))
    grid = fpk.Grid(-6, 6, cells=16) ** 2
    stepper, u = steps(problem, grid), rng.normal(size=p.shape)
    tau = 25.0 / operator_of(stepper.fields(0.0), grid).speed
    assert stepper.counted(2) == 2
    ((_, found),) = stepper.run(p, (2 * tau,), 2)
    assert stepper.counted(2) == 6
    np.testing.assert_array_equal(found, next(stepper.run(p, (2 * tau,), 6))[1])
    np.testing.assert_array_equal(found, stepper.advanced(stepper.advanced(p, 0.0, tau), tau, tau))
    assert stepper.counted(6) == 6
    *_, (_, back) = stepper.run_back(u, (2 * tau,), 2)
    assert abs((found * u).sum() - (p * back).sum()) < 1e-12 * np.abs(found * u).sum()
    problem = linear(ROTATING, FULL, [1.5, 0.0], 0.8)
    solution = fpk.solve(problem, fpk.Grid(-7, 7, cells=64) ** 2, times=[1.0], steps=3, scheme=ALTERNATING)
    assert solution.source.endswith(f"cells, {solution.plan.stepper.counted(3)} steps")
    assert solution.plan.stepper.counted(3) > 3


def test_steps_that_shorten_when_the_drift_grows_are_divided_where_it_is_strong() -> None:
    stepper = steps(winding(2, "t"), PLANE)
    stepper.fields = lambda t, at=stepper.fields: Fields(at(t).drift * (1 + 50 * t), at(t).diffusivity)
    early, late = stepper.scheduled((0.5, 1.0), 4)
    assert len(early[1]) < len(late[1]) == 2 * round(0.25 / late[1][0][1])
    for t, step in (*early[1], *late[1]):
        assert operator_of(stepper.fields(t + step / 2), PLANE).speed * step < LIMITS[2][-1][0]


@pytest.mark.parametrize("grid", [PLANE, SPACE])
def test_the_transposed_steps_are_transposed(grid, rng) -> None:
    stepper = steps(winding(grid.dimension, "t"), grid)
    p, u = rng.random(grid.shape), rng.normal(size=grid.shape)
    forward, back = dict(stepper.run(p, (0.2, 0.5), 8)), dict(stepper.run_back(u, (0.2, 0.5), 8))
    for t, state in (forward | {0.0: p}).items():
        assert abs((state * back[t]).sum() - (forward[0.5] * u).sum()) < 1e-12 * np.abs(forward[0.5] * u).sum()


@pytest.mark.parametrize("grid", [PLANE, SPACE])
def test_mass_is_conserved(grid, rng) -> None:
    p = rng.random(grid.shape)
    ((_, q),) = steps(winding(grid.dimension, "t"), grid).run(p, (1.0,), 50)
    assert abs(q.sum() / p.sum() - 1) < 1e-12


@pytest.mark.parametrize("grid", [fpk.Grid(-2, 2, cells=37) * fpk.Grid(-2, 2, cells=21), SPACE])
def test_the_same_bits_for_any_number_of_threads(grid, rng) -> None:
    p, found = rng.random(grid.shape), []
    for threads in (1, 2, 3):
        stepper = steps(winding(grid.dimension), grid)
        stepper.team.threads = threads
        found += [(stepper.advanced(p, 0.0, 0.1), stepper.returned(p, 0.0, 0.1))]
    for forward, back in found[1:]:
        np.testing.assert_array_equal(forward, found[0][0])
        np.testing.assert_array_equal(back, found[0][1])


@pytest.mark.parametrize(("cells", "A", "D", "mean"), [
    (48, ROTATING, FULL, [1.5, 0.0]),
    (20, TILTED, FULL_3D, [0.8, 0.0, 0.0]),
])  # fmt: skip
def test_densities_converge_at_second_order_in_space_and_time_together(cells, A, D, mean) -> None:
    problem, errors, d = linear(A, D, mean, 0.6), [], len(mean)
    for k in (1, 2):
        grid = fpk.Grid(-5, 5, cells=cells * k) ** d
        p = solved(problem, grid, 0.5, 8 * k)
        errors.append(np.abs(p - exact_density(A, D, mean, 0.6, 0.5, grid)).sum() * grid.volume)
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize(("d", "t"), [(2, "0"), (2, "t"), (3, "t")])
def test_steps_are_of_second_order_for_tensors_that_vary_in_space_and_time(d, t) -> None:
    problem, grid = winding(d, t), fpk.Grid(-3, 3, cells=16) ** d
    runs = [solved(problem, grid, 0.5, count) for count in (16, 32, 256)]
    errors = [np.abs(p - runs[-1]).sum() for p in runs[:2]]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(
    ("cells", "D"), [(64, FULL), (64, [[1.0, 0.95], [0.95, 1.0]]), (16, FULL_3D), (16, 0.05 * np.eye(3) + 0.95)]
)
def test_long_steps_are_stable_without_drift(cells, D, rng) -> None:
    """τ D/h² from 1 to 10⁵, from noise: nothing grows, with correlations of 95 % too."""
    d = len(D)
    grid, p = fpk.Grid(-2, 2, cells=cells) ** d, rng.normal(size=(cells,) * d)
    stepper = steps(linear(np.zeros((d, d)), np.array(D), [0.0] * d, 1.0), grid)
    for tau in (1e-2, 1.0, 100.0):
        q = p
        for _ in range(30):
            q = stepper.advanced(q, 0.0, tau)
        assert np.linalg.norm(q) <= np.linalg.norm(p)


def test_undershoots_happen_where_a_law_is_not_resolved_and_are_not_hidden() -> None:
    grid = fpk.Grid(-6, 6, cells=32) ** 2
    p = solved(linear(ROTATING, FULL, [1.5, 0.0], 0.3), grid, 1.0, 20)
    assert p.min() < -1e-4
    assert not ALTERNATING.positive


@pytest.mark.parametrize("t", ["0", "t"])
def test_steps_chosen_by_themselves_leave_less_error_than_the_cells(t) -> None:
    grid = fpk.Grid(-6, 6, cells=48) ** 2
    problem = fpk.Problem(
        [f"-x0 - 2*(1 + {t})*x1", f"2*(1 + {t})*x0 - x1"],
        np.linalg.cholesky(2 * FULL),
        initial=fpk.Gaussian([1.5, 0.0], covariance=0.3 * np.eye(2)),
    )
    count = ALTERNATING.steps_for(problem, grid, until=1.0)
    coarse, fine = (solved(problem, grid, 1.0, n) for n in (count, 8 * count))
    spatial = solved(problem, fpk.Grid(-6, 6, cells=144) ** 2, 1.0, 8 * count)[1::3, 1::3]  # the same centres
    assert np.abs(coarse - fine).sum() < 0.2 * np.abs(fine - spatial).sum()
