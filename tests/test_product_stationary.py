"""Stationary laws in two and three dimensions: closed forms of laws, currents and spectra, and what must be refused."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov

import fpk
from fpk.errors import GridError, MassAtEdges, SchemeError
from fpk.fokker_planck.product.alternating import ALTERNATING
from fpk.fokker_planck.product.discretisation import ACCURATE
from fpk.fokker_planck.product.positive import POSITIVE
from fpk.fokker_planck.product.spectral import SPECTRAL
from fpk.fokker_planck.stationary import stationary
from fpk.grids import Grid
from fpk.panels import law_panel
from fpk.paths import two_time_panel

A = np.array([[-1.0, -2.0], [2.0, -1.0]])
D = np.array([[0.6, 0.3], [0.3, 0.4]])
START = fpk.Gaussian([1.5, 0.0], 0.3)
REST = solve_continuous_lyapunov(A, -2 * D)


def spiral(A=A, D=D):
    return fpk.Problem(fpk.Linear(A), np.linalg.cholesky(2 * D), initial=START)


def gaussian(covariance, grid):
    law = fpk.Gaussian(np.zeros(grid.dimension), covariance=covariance)
    return np.exp(law.log_density(grid.points)).reshape(grid.shape)


def gibbs(V, grid):
    """e^{−V}, normalised on the grid."""
    weights = np.exp(-V(grid.points.T)).reshape(grid.shape)
    return weights / (weights.sum() * grid.volume)


def l1(found, exact):
    return float(np.abs(found.density - exact).sum()) * found.grid.volume


@pytest.fixture(scope="module")
def rotating():
    return stationary(spiral(), Grid(-6, 6, cells=96) ** 2)


def test_a_rotating_drift_rests_in_the_gaussian_of_the_lyapunov_equation(rotating):
    assert l1(rotating, gaussian(REST, rotating.grid)) < 1e-6
    assert rotating.density.sum() * rotating.grid.volume == pytest.approx(1, abs=1e-13)
    assert rotating.minimum > -1e-13


def test_its_spectrum_is_made_of_the_eigenvalues_of_the_drift(rotating):
    np.testing.assert_allclose(
        np.sort_complex(rotating.spectrum), [-2 - 4j, -2 + 4j, -1 - 2j, -1 + 2j], rtol=0, atol=1e-8
    )
    assert rotating.gap == pytest.approx(1, abs=1e-9)


def test_its_current_goes_round_at_the_known_velocity(rotating):
    grid = rotating.grid
    velocity = (A + D @ np.linalg.inv(REST)) @ grid.points.T
    exact = velocity.reshape(2, *grid.shape) * gaussian(REST, grid)
    assert np.abs(exact).max() > 0.1
    np.testing.assert_allclose(rotating.current, exact, atol=1e-6)


def test_errors_fall_with_the_eighth_power_of_the_cell_width():
    errors = []
    for n in (48, 72):
        grid = Grid(-6, 6, cells=n) ** 2
        errors.append(l1(stationary(spiral(), grid), gaussian(REST, grid)))
    assert 7 < np.log(errors[0] / errors[1]) / np.log(72 / 48) < 9


def test_fast_rotations_are_not_mistaken_for_slow_ones():
    turning = spiral(np.array([[-1.0, -30.0], [30.0, -1.0]]), 0.5 * np.eye(2))
    found = stationary(turning, Grid(-4, 4, cells=32) ** 2)
    np.testing.assert_allclose(np.sort(np.abs(found.spectrum.imag)), [30, 30, 60, 60], rtol=1e-3)


WELL = "x0**4/4 - x0**2/2 + x1**2/2 + x0*x1/3"
SLOPE = ("(x0**3 - x0 + x1/3)", "(x1 + x0/3)")


def well(x):
    return x[0] ** 4 / 4 - x[0] ** 2 / 2 + x[1] ** 2 / 2 + x[0] * x[1] / 3


def slope(x):
    return np.stack([x[0] ** 3 - x[0] + x[1] / 3, x[1] + x[0] / 3])


def test_a_solenoidal_part_leaves_the_gibbs_law_alone_and_carries_the_current():
    # f = −(D − S) ∇V with S = s [[0, 1], [−1, 0]]: p = e^{−V} and J = S ∇V p.
    a, b = SLOPE
    drift = [f"-0.8*{a} + (1.5 - 0.2)*{b}", f"(-1.5 - 0.2)*{a} - 0.6*{b}"]
    noise = np.linalg.cholesky(2 * np.array([[0.8, 0.2], [0.2, 0.6]]))
    grid = Grid(-3.6, 3.6, cells=72) * Grid(-6, 6, cells=72)
    found = stationary(fpk.Problem(drift, noise, initial=START), grid)
    exact = gibbs(well, grid)
    assert l1(found, exact) < 1e-6
    x, y = slope(grid.points.T)
    np.testing.assert_allclose(found.current, np.stack([1.5 * y, -1.5 * x]).reshape(2, *grid.shape) * exact, atol=5e-6)


def test_a_tensor_that_depends_on_x_adds_its_divergence():
    # D = [[d, c], [c, 1]], d = 1 + sin²(x0)/2, c = cos(x1)/4; f = −D ∇V + ∇·D leaves e^{−V} alone, and has no current.
    a, b, d, c = *SLOPE, "(1 + sin(x0)**2/2)", "(cos(x1)/4)"
    drift = [f"-{d}*{a} - {c}*{b} + sin(x0)*cos(x0) - sin(x1)/4", f"-{c}*{a} - {b}"]
    noise = [[f"sqrt(2*({d} - {c}**2))", f"sqrt(2)*{c}"], ["0", "sqrt(2)"]]
    grid = Grid(-3.6, 3.6, cells=56) * Grid(-6.2, 6.2, cells=56)
    found = stationary(fpk.Problem(drift, noise, initial=START), grid)
    assert l1(found, gibbs(well, grid)) < 1e-5
    assert np.abs(found.current).max() < 1e-4


def test_noise_on_velocities_alone_gives_the_law_of_positions_too():
    langevin = fpk.Problem(["x1", "-x0**3 - x1"], [[0, 0], [0, 2**0.5]], initial=START)
    grid = Grid(-3.6, 3.6, cells=56) * Grid(-6, 6, cells=56)
    found = stationary(langevin, grid)
    exact = gibbs(lambda x: x[0] ** 4 / 4 + x[1] ** 2 / 2, grid)
    assert l1(found, exact) < 1e-5


def test_in_space():
    B = np.array([[-1.0, -1.5, 0.3], [1.0, -1.2, 0.5], [0.0, -0.7, -0.8]])
    C = np.array([[0.5, 0.2, 0.1], [0.2, 0.6, 0.1], [0.1, 0.1, 0.5]])
    rest, grid = solve_continuous_lyapunov(B, -2 * C), Grid(-4, 4, cells=24) ** 3
    tumbling = fpk.Problem(fpk.Linear(B), np.linalg.cholesky(2 * C), initial=fpk.Gaussian(np.zeros(3), 0.5))
    found = stationary(tumbling, grid)
    assert l1(found, gaussian(rest, grid)) < 1e-3
    assert found.gap == pytest.approx(-np.linalg.eigvals(B).real.max(), rel=1e-4)
    current = ((B + C @ np.linalg.inv(rest)) @ grid.points.T).reshape(3, *grid.shape) * gaussian(rest, grid)
    assert np.abs(found.current - current).max() < 1e-2 * np.abs(current).max()


def test_barriers_make_the_gap_of_one_dimension():
    cold = fpk.Problem(["x0 - x0**3", "-x1"], 0.1**0.5, initial=START)
    line = fpk.Problem("x - x**3", 0.1**0.5, initial=fpk.Gaussian(0.0, 0.3))
    found = stationary(cold, Grid(-1.9, 1.9, cells=80) * Grid(-1.5, 1.5, cells=48), scheme=ACCURATE)
    exact = stationary(line, Grid(-2, 2, cells=256)).gap
    assert exact < 0.005
    assert found.gap == pytest.approx(exact, rel=1e-4)
    assert found.density[:40].sum() == pytest.approx(found.density[40:].sum(), rel=1e-4)


def test_fourier_differences_agree():
    grid, scheme = Grid(-5.5, 5.5, cells=44) ** 2, cast(Any, SPECTRAL)
    assert l1(stationary(spiral(), grid, scheme=scheme), gaussian(REST, grid)) < 1e-8


def test_separable_problems_rest_in_products():
    found = stationary(fpk.Problem(["-x0", "-2*x1"], 1.0, initial=START), Grid(-5, 5, cells=64) ** 2)
    assert "separable" in str(found)
    assert l1(found, gaussian(np.diag([0.5, 0.25]), found.grid)) < 1e-11


def test_laws_of_the_positive_scheme_are_positive_everywhere_and_of_second_order():
    errors = []
    for n in (32, 64):
        grid = Grid(-6, 6, cells=n) ** 2
        found = stationary(spiral(), grid, scheme=POSITIVE)
        assert found.minimum >= 0
        errors.append(l1(found, gaussian(REST, grid)))
    assert errors[1] < 1e-2
    assert errors[0] / errors[1] > 3.3


def test_the_positive_scheme_keeps_gibbs_laws_to_round_off():
    drift, grid = -np.eye(2) - D, Grid(-6, 6, cells=32) ** 2
    found = stationary(spiral(drift), grid, scheme=POSITIVE)
    assert l1(found, gaussian(solve_continuous_lyapunov(drift, -2 * D), grid)) < 1e-12


def test_late_solutions_settle_in_it():
    late = fpk.Problem(fpk.Linear(A), np.linalg.cholesky(2 * D), initial=fpk.Gaussian([1.5, 0.0], 0.6), horizon=16.0)
    grid = Grid(-6, 6, cells=48) ** 2
    solution, rest = fpk.solve(late, grid, times=[1.0, 16.0]), stationary(spiral(), grid).density
    early, end = (np.abs(solution.density(t) - rest).sum() * grid.volume for t in (1.0, 16.0))
    assert early > 0.1
    assert end < 1e-6


@pytest.fixture(scope="module")
def exact():
    start = fpk.Gaussian([0.0, 0.0], covariance=REST)
    return fpk.exact(fpk.Problem(fpk.Linear(A), np.linalg.cholesky(2 * D), initial=start), times=[0.3, 0.7])


def test_expectations_come_with_a_budget_that_covers(rotating, exact):
    panel = law_panel({t: exact.law(t) for t in (0.3, 0.7)})
    found, wanted = rotating.expect(panel), exact.expect(panel)
    assert np.all(np.abs(found.value - wanted.value) <= found.bias_bound)
    assert np.all(np.abs(found.thresholds - wanted.thresholds) <= found.threshold_bound)
    assert found.bias_bound.max() < 1e-3
    assert str(fpk.compare(exact, rotating, tolerance=0.01)).startswith("CONFIRMED")


def test_the_budget_knows_of_the_mass_that_leaks_from_a_narrow_box(exact):
    panel, grid = law_panel({0.3: exact.law(0.3)}), Grid(-4, 4, cells=96) ** 2
    found, wanted = stationary(spiral(), grid).expect(panel), exact.expect(panel)
    errors = np.abs(found.value - wanted.value)
    assert np.all(errors <= found.bias_bound)
    assert errors.max() > 5e-6
    assert np.abs(found.value - np.asarray(found.coarser)).max() < errors.max() / 3


def test_joint_laws_of_the_process_at_rest_tell_which_way_it_turns(rotating, exact):
    panel = two_time_panel({t: exact.law(t) for t in (0.3, 0.7)})
    wanted = exact.expect(panel).value
    assert np.abs(rotating.expect(panel).value - wanted).max() < 1e-6
    assert np.abs(stationary(spiral(A.T), Grid(-6, 6, cells=48) ** 2).expect(panel).value - wanted).max() > 0.1


def test_samples_of_the_law_have_its_covariance(rotating):
    x = rotating.law.sample(20_000, np.random.default_rng(3))
    np.testing.assert_allclose(np.cov(x.T), REST, atol=0.05)


# -- refusals ----------------------------------------------------------------------------------------------------------

SMALL = Grid(-6, 6, cells=32) ** 2


@pytest.mark.parametrize("scheme", [None, ACCURATE, POSITIVE], ids=["default", "differences", "positive"])
@pytest.mark.parametrize("drift", [0.0, ["x0", "x1"], ["-x0", "0"]], ids=["none", "outwards", "one axis"])
def test_what_nothing_confines_is_refused(drift, scheme):
    with pytest.raises(MassAtEdges, match="give the process a drift that confines it"):
        stationary(fpk.Problem(drift, 1.0, initial=START), SMALL, scheme=scheme)


def test_wells_from_which_the_process_escapes_for_ever_are_refused():
    escaping = fpk.Problem(["-x0 + x0**3/4", "-x1"], 0.6**0.5, initial=START)
    with pytest.raises(MassAtEdges, match=r"leaves at the rate 0\.0"):
        stationary(escaping, Grid(-3.5, 3.5, cells=64) * Grid(-3.5, 3.5, cells=48), scheme=ACCURATE)


def test_boxes_that_are_too_small_and_cells_that_are_too_wide_are_refused():
    with pytest.raises(MassAtEdges, match="Widen the grid"):
        stationary(spiral(), Grid(-2, 2, cells=24) ** 2)
    with pytest.raises(GridError, match="waves grow"):
        stationary(spiral(), Grid(-15, 15, cells=16) ** 2)


def test_parts_that_exchange_nothing_have_no_law_of_their_own():
    frozen = fpk.Problem(["20*(x0 - x0**3)", "-x1"], [[0.5, 0], [0, 0.5]], initial=START)
    with pytest.raises(GridError, match="more than one law at rest"):
        stationary(frozen, Grid(-1.6, 1.6, cells=48) * Grid(-2, 2, cells=24), scheme=POSITIVE)


def test_what_has_no_stationary_law_is_refused_with_the_remedy():
    with pytest.raises(SchemeError, match="do not depend on t; the drift"):
        stationary(fpk.Problem(lambda x, t: -x * (1 + t), 1.0, initial=START), SMALL)
    with pytest.raises(SchemeError, match="no scheme on a product grid suits"):
        stationary(fpk.Problem(fpk.Linear(A), 0.0, initial=START), SMALL)
    with pytest.raises(SchemeError, match="needs exponential steps; those of central differences"):
        stationary(spiral(), SMALL, scheme=ALTERNATING)
    with pytest.raises(SchemeError, match="product grids take scheme="):
        stationary(spiral(), SMALL, flux="upwind")  # type: ignore[call-overload]
    with pytest.raises(SchemeError, match="one dimension takes flux="):
        stationary(fpk.Problem("-x", 1.0, initial=fpk.Gaussian(0.0, 1.0)), Grid(-5, 5, cells=64), scheme=POSITIVE)  # type: ignore[call-overload]
