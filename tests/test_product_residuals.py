"""Dual-weighted residuals on product grids: they tell the error of a coarse solution, and a wrong coefficient in the solver; budgets made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.errors import SchemeError
from fpk.fokker_planck.product.alternating import ALTERNATING
from fpk.fokker_planck.product.discretisation import ACCURATE, SEPARABLE, discretised
from fpk.fokker_planck.product.positive import POSITIVE
from fpk.fokker_planck.product.residuals import ProductResiduals
from fpk.fokker_planck.product.spectral import SPECTRAL
from fpk.grids import ProductGrid
from fpk.laws import Array
from fpk.paths import two_time_panel

A = np.array([[-1.0, -2.0], [2.0, -1.0]])
D = np.array([[0.6, 0.3], [0.3, 0.4]])
START = fpk.Gaussian([1.0, 0.0], covariance=0.25 * np.eye(2))
EARLY, TIME = 0.2, 0.5


def rotating(noise: float = 1.0, cross: float = 1.0) -> fpk.Problem:
    tensor = noise * D * np.array([[1.0, cross], [cross, 1.0]])
    return fpk.Problem(fpk.Linear(A), np.linalg.cholesky(2 * tensor), initial=START, horizon=TIME)


def swinging() -> fpk.Problem:
    """Rotation and noise that change in time, and do not commute."""
    drift = fpk.Linear(lambda t: A * (1 + np.sin(4 * t) / 2))
    return fpk.Problem(drift, [["1.1 + 0.3*sin(4*t)", "0"], ["0.5", "0.7"]], initial=START, horizon=TIME)


def functionals(grid: ProductGrid) -> Array:
    x, y = grid.points.T
    return np.stack([np.tanh(x), np.tanh(y), np.exp(-(x**2) - y**2)]).reshape(3, *grid.shape)


def truth(problem: fpk.Problem, grid: ProductGrid, t: float = TIME) -> Array:
    """Expectations under the exact Gaussian, by sums over the cells (spectrally accurate)."""
    law = fpk.exact(problem, times=[t]).law(t)
    return expected(np.exp(law.log_density(grid.points)).reshape(grid.shape), grid)


def expected(density: Array, grid: ProductGrid) -> Array:
    return grid.volume * np.sum(functionals(grid) * density, axis=(1, 2))


def told(
    given: fpk.Problem, cells: int, scheme: Any, stated: fpk.Problem | None = None
) -> tuple[Array, Array, ProductGrid]:
    """What a scheme makes of the given problem, and its correction in the equation of the stated one; both as expectations at the two times."""
    grid = fpk.Grid(-6, 6, cells=cells) ** 2
    plan = discretised(given, grid, until=TIME, scheme=scheme, steps=None if scheme is ACCURATE else cells // 3)
    densities = [p for _, p in plan.forward(plan.start, (EARLY, TIME))]
    corrections = ProductResiduals(plan, stated or given, (EARLY, TIME)).corrections()
    values, added = (np.array([expected(p, grid) for p in of]) for of in (densities, corrections))
    return values, added, grid


@pytest.mark.parametrize(
    ("problem", "scheme", "left", "gain"),
    [
        (rotating(), POSITIVE, 0.15, 1.5**3.3),
        (swinging(), POSITIVE, 0.15, 1.5**3.3),
        (rotating(), ALTERNATING, 0.15, 1.5**3.3),
        (swinging(), ALTERNATING, 0.15, 1.5**3.3),
        (rotating(), ACCURATE, 0.05, 1.5**9),
        (swinging(), ACCURATE, 0.05, 1.5**3.3),  # errors of steps stay
    ],
)  # fmt: skip
def test_the_correction_is_the_error_at_every_stored_time_and_leaves_one_of_higher_order(
    problem, scheme, left, gain
) -> None:
    found = []
    for cells in (48, 72):
        values, added, grid = told(problem, cells, scheme)
        error = np.array([truth(problem, grid, t) for t in (EARLY, TIME)]) - values
        found.append(np.abs(error - added).max())
        assert found[-1] < left * np.abs(error).max()
    assert found[0] / found[1] > gain


@pytest.mark.parametrize(("noise", "cross"), [(1.02, 1.0), (1.0, 0.9)])
@pytest.mark.parametrize("scheme", [POSITIVE, ACCURATE], ids=str)
def test_a_wrong_tensor_in_the_solver_is_corrected_for(noise: float, cross: float, scheme: Any) -> None:
    """A planted error of some percent is first-order small: what the correction leaves of it is second-order small."""
    (values, found, _), (wanted, usual, _) = (
        told(given, 64, scheme, rotating()) for given in (rotating(noise, cross), rotating())
    )
    planted = (values - wanted)[1]
    assert np.abs(planted).max() > 2e-3
    np.testing.assert_allclose((usual - found)[1], planted, atol=0.06 * np.abs(planted).max())


def test_there_is_nothing_to_correct_at_the_start() -> None:
    plan = discretised(rotating(), fpk.Grid(-5, 5, cells=40) ** 2, until=TIME)
    found = ProductResiduals(plan, rotating(), (0.0, TIME)).corrections()
    assert not np.any(found[0])
    assert np.any(found[1])


@pytest.mark.parametrize("scheme", [SPECTRAL, SEPARABLE], ids=str)
def test_spectral_schemes_are_refused(scheme) -> None:
    apart = fpk.Problem(["-x0", "-2*x1"], 1.0, initial=START)
    plan = discretised(apart, fpk.Grid(-5, 5, cells=40) ** 2, until=TIME, scheme=scheme)
    with pytest.raises(SchemeError, match="no better than those of"):
        ProductResiduals(plan, apart, (TIME,))


# -- budgets -----------------------------------------------------------------------------------------------------------


def changed(solution: Any, panel: fpk.Panel) -> Array:
    """1.5 times the change from half of the cells, the most over the panel."""
    return 1.5 * np.abs(solution.unbudgeted(panel).value - solution.halved().unbudgeted(panel).value).max()


@pytest.mark.parametrize(
    ("problem", "scheme", "times"),
    [(rotating(), ACCURATE, 50), (swinging(), ACCURATE, 2), (rotating(), POSITIVE, 3), (swinging(), ALTERNATING, 3)],
    ids=["exponential", "Magnus", "positive", "alternating"],
)
def test_budgets_of_one_solution_cover_and_are_many_times_sharper_than_the_change(problem, scheme, times) -> None:
    exact = fpk.exact(problem, times=[EARLY, TIME])
    panel = fpk.law_panel({t: exact.law(t) for t in (EARLY, TIME)})
    solution = fpk.solve(problem, fpk.Grid(-5, 5, cells=64) ** 2, times=[EARLY, TIME], scheme=scheme)
    found, wanted = solution.expect(panel), exact.expect(panel)
    assert np.all(np.abs(found.value - wanted.value) <= found.bias_bound)
    assert np.all(np.abs(found.thresholds - wanted.thresholds) <= found.threshold_bound)
    assert found.bias_bound.max() < changed(solution, panel) / times
    assert np.abs(found.value - wanted.value).max() < np.abs(solution.unbudgeted(panel).value - wanted.value).max() / 5


def test_budgets_cover_long_after_the_law_has_settled() -> None:
    late = replace(rotating(), horizon=12.0)
    exact = fpk.exact(late, times=[12.0])
    panel = fpk.law_panel({12.0: exact.law(12.0)})
    solution = fpk.solve(late, fpk.Grid(-6, 6, cells=64) ** 2, times=[12.0], scheme=ACCURATE)
    found, wanted = solution.expect(panel), exact.expect(panel).value
    assert np.all(np.abs(found.value - wanted) <= found.bias_bound)
    assert np.abs(found.value - wanted).max() < np.abs(solution.unbudgeted(panel).value - wanted).max() / 10


def test_joint_expectations_keep_the_budget_of_their_change() -> None:
    exact = fpk.exact(rotating(), times=[EARLY, TIME])
    panel = two_time_panel({t: exact.law(t) for t in (EARLY, TIME)})
    solution = fpk.solve(rotating(), fpk.Grid(-5, 5, cells=48) ** 2, times=[EARLY, TIME], scheme=ACCURATE)
    found = solution.expect(panel)
    np.testing.assert_array_equal(found.value, solution.unbudgeted(panel).value)
    assert found.bias_bound.max() == pytest.approx(changed(solution, panel) + solution.floor, rel=1e-9)
    assert np.all(np.abs(found.value - exact.expect(panel).value) <= found.bias_bound)


def test_what_half_of_the_cells_say_of_another_problem_counts_in_full() -> None:
    # As where a score from the grid is part of the problem: its error is none of the residual.
    solution = fpk.solve(rotating(), fpk.Grid(-5, 5, cells=64) ** 2, times=[TIME], scheme=ACCURATE)
    other = replace(
        solution,
        halved=lambda: fpk.solve(rotating(1.05), fpk.Grid(-5, 5, cells=32) ** 2, times=[TIME], scheme=ACCURATE),
    )
    panel = fpk.law_panel({TIME: fpk.exact(rotating(), times=[TIME]).law(TIME)})
    found = other.expect(panel)
    np.testing.assert_array_equal(found.value, solution.unbudgeted(panel).value)
    assert found.bias_bound.max() == pytest.approx(changed(other, panel) + other.floor, rel=1e-9)


def test_steps_that_are_not_halved_are_not_trusted() -> None:
    panel = fpk.law_panel({TIME: fpk.exact(swinging(), times=[TIME]).law(TIME)})
    solution = fpk.solve(swinging(), fpk.Grid(-5, 5, cells=64) ** 2, times=[TIME], scheme=POSITIVE, steps=1)
    np.testing.assert_array_equal(solution.expect(panel).value, solution.unbudgeted(panel).value)
