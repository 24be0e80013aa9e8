import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpk import problems
from fpk.coefficients import Coefficient, GradientDrift
from fpk.errors import ProblemError, SchemeError
from fpk.fokker_planck.discretisation import ACCURATE, EXACT_IN_TIME, SECOND_ORDER
from fpk.fokker_planck.fluxes import ScharfetterGummel, WellBalanced6
from fpk.fokker_planck.solver import solve
from fpk.fokker_planck.stationary import stationary
from fpk.grids import Grid
from fpk.laws import Gaussian
from fpk.problem import Boundary, Problem

START = Gaussian(0.0, 0.4)
FLUXES = pytest.mark.parametrize("flux", [WellBalanced6(), ScharfetterGummel()], ids=lambda f: type(f).__name__)


def gibbs(grid, exponent):
    weights = np.exp(exponent - exponent.max())
    return weights / (weights @ grid.widths)


def dense(rates):
    n = rates.rows.shape[1]
    return np.stack([rates.applied(e) for e in np.eye(n)], axis=1)


@FLUXES
@pytest.mark.parametrize("cells", [100, 200, 400])
@pytest.mark.parametrize(
    "drift", [GradientDrift("x**4/4 - x**2/2"), lambda x, t: x - x**3], ids=["potential", "sampled"]
)
def test_the_double_well_has_its_gibbs_law_to_round_off(flux, cells, drift):
    grid = Grid(-2.6, 2.6, cells=cells)
    found = stationary(Problem(drift, 0.5**0.5, initial=START), grid, flux=flux)
    exact = gibbs(grid, -4 * (grid.centers**4 / 4 - grid.centers**2 / 2))
    assert np.abs(found.density - exact) @ grid.widths < 1e-12
    assert found.residual < 1e-14


@FLUXES
def test_a_stated_potential_is_exact_where_a_sampled_drift_has_a_quadrature_error(flux):
    grid = Grid(-3, 3, cells=32)
    exact = gibbs(grid, -(grid.centers**2 / 4 + np.sin(2 * grid.centers) / 2) / 0.5)
    errors = []
    for drift in (GradientDrift("x**2/4 + sin(2*x)/2"), "-x/2 - cos(2*x)"):
        found = stationary(Problem(drift, 1.0, initial=START), grid, flux=flux)
        errors.append(np.abs(found.density - exact) @ grid.widths)
    assert errors[0] < 1e-12
    assert 10 * errors[0] < errors[1] < 1e-9


def test_state_dependent_noise_has_its_own_gibbs_law():
    grid = Grid(-2, 2, cells=200)
    problem = Problem("-x", "sqrt(1 + x**2/2)", initial=START, boundary=Boundary("no_flux", -2.0, 2.0))
    exact = gibbs(grid, -3 * np.log(1 + grid.centers**2 / 2))
    assert np.abs(stationary(problem, grid).density - exact) @ grid.widths < 1e-11


@FLUXES
def test_eigenvalues_are_those_of_the_dense_matrix(flux):
    problem = Problem("x - x**3", 0.9, initial=START)
    found = stationary(problem, Grid(-3, 3, cells=96), flux=flux)
    exact = np.sort(np.linalg.eigvals(dense(found.rates)).real)[::-1][1:5]
    np.testing.assert_allclose(found.spectrum.real, exact, rtol=1e-9)
    np.testing.assert_allclose(found.spectrum.imag, 0, atol=1e-9)
    assert found.gap == -found.spectrum.real.max()


def test_eigenvalues_around_a_ring_are_complex():
    # Brownian motion with drift c: −n² D ± i n c.
    ring = Boundary("periodic", 0.0, 2 * np.pi)
    problem = Problem(0.8, 1.0, initial=Gaussian(3.0, 0.4), boundary=ring)
    found = stationary(problem, Grid(0, 2 * np.pi, cells=64)).spectrum
    exact = np.array([-0.5 + 0.8j, -0.5 - 0.8j, -2 + 1.6j, -2 - 1.6j])
    np.testing.assert_allclose(sorted(found, key=np.angle), sorted(exact, key=np.angle), atol=1e-6)


@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_the_gap_of_an_ornstein_uhlenbeck_process_is_its_rate(rate):
    problem = problems.ornstein_uhlenbeck(rate=rate, diffusion=rate**0.5, initial=START)
    assert stationary(problem, Grid(-6, 6, cells=512)).gap == pytest.approx(rate, rel=1e-10)


def test_a_rare_passage_over_a_barrier_is_a_small_gap():
    problem = Problem(GradientDrift("x**4/4 - x**2/2"), (2 * 0.02) ** 0.5, initial=START)
    found = stationary(problem, Grid(-1.9, 1.9, cells=256))
    kramers = 2 * np.sqrt(2) / (2 * np.pi) * np.exp(-0.25 / 0.02)  # twice the rate over one barrier
    assert found.gap == pytest.approx(kramers, rel=0.1)


@given(force=st.floats(-2, 2), height=st.floats(-1, 1))
def test_a_current_around_a_ring_is_that_of_the_quadrature_formula(force, height):
    ring, D = Boundary("periodic", 0.0, 2 * np.pi), 0.5
    drift = GradientDrift(lambda x: height * np.cos(x), force=force)
    found = stationary(Problem(drift, 1.0, initial=Gaussian(3.0, 0.4), boundary=ring), Grid(0, 2 * np.pi, cells=160))
    nodes, weights = np.polynomial.legendre.leggauss(60)
    y, w = np.pi * (1 + nodes), np.pi * weights
    x = found.grid.centers[:, None]
    shape = np.exp((height * (np.cos(x + y) - np.cos(x)) - force * y) / D) @ w
    total = shape.mean() * 2 * np.pi
    np.testing.assert_allclose(found.density, shape / total, atol=1e-7)
    current = D * (1 - np.exp(-force * 2 * np.pi / D)) / total
    assert found.circulation == pytest.approx(current, abs=1e-7)


def test_a_solution_settles_in_the_stationary_law():
    problem = Problem("x - x**3", 1.0, initial=START, horizon=60.0)
    grid = Grid(-3.5, 3.5, cells=128)
    late = solve(problem, grid, times=[60.0]).density(60.0)
    assert np.abs(late - stationary(problem, grid).density) @ grid.widths < 1e-10


def test_the_law_of_a_stationary_law():
    law = stationary(problems.double_well(initial=START), Grid(-4, 4, cells=200)).law
    x = np.linspace(-1.5, 1.5, 7)
    np.testing.assert_allclose(law.cdf(x), problems.double_well_law().cdf(x), atol=1e-8)


def test_what_has_no_stationary_law_is_refused():
    with pytest.raises(SchemeError, match="everything leaves"):
        stationary(Problem(0.0, 1.0, initial=START, boundary=Boundary("absorbing", -2.0, 2.0)), Grid(-2, 2, cells=40))
    with pytest.raises(SchemeError, match="do not depend on t; the drift"):
        stationary(Problem(lambda x, t: -x * (1 + t), 1.0, initial=START), Grid(-4, 4, cells=40))


# -- drifts that state a potential -------------------------------------------------------------------------------------


@pytest.mark.parametrize("potential", ["x**4/4 - x**2/2", lambda x: x**4 / 4 - x**2 / 2], ids=["text", "function"])
def test_a_gradient_drift_is_the_derivative_and_the_force(potential):
    drift = Coefficient(GradientDrift(potential, force="sin(t)*x"), 1, "drift")
    x = np.array([[-1.5], [0.2], [2.0]])
    np.testing.assert_allclose(drift(x, 0.7), x - x**3 + np.sin(0.7) * x, atol=1e-9)
    np.testing.assert_allclose(drift.gradient(x, 0.7), 1 - 3 * x**2 + np.sin(0.7), atol=1e-6)
    assert not drift.steady
    assert Coefficient(GradientDrift(potential), 1, "drift").steady


def test_a_gradient_drift_is_a_drift_in_one_dimension():
    with pytest.raises(ProblemError, match="one dimension"):
        Coefficient(GradientDrift("x**2"), 1, "diffusion")
    with pytest.raises(ProblemError, match="unknown symbols"):
        GradientDrift("y**2")
    with pytest.raises(ProblemError, match="pass the force as the drift"):
        GradientDrift(None, "x")


polynomials = st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=4)


@given(
    moved=polynomials,
    scheme=st.sampled_from([EXACT_IN_TIME, ACCURATE, SECOND_ORDER]),
    focus=st.sampled_from([None, 0.2]),
)
def test_moving_a_polynomial_between_potential_and_force_changes_nothing(moved, scheme, focus):
    a, b, c, d = moved
    shift, slope = f"{a}*x + {b}*x**2 + {c}*x**3 + {d}*x**4", f"{a} + 2*{b}*x + 3*{c}*x**2 + 4*{d}*x**3"
    walls = Boundary("no_flux", -2.5, 2.5)
    grid = Grid(-2.5, 2.5, cells=64, focus=focus, breadth=None if focus is None else 1.5)

    def solved(potential, force):
        problem = Problem(GradientDrift(potential, force), 0.9, initial=Gaussian(0.2, 0.3), boundary=walls)
        return solve(problem, grid, times=[0.6], steps=16, scheme=scheme).density(0.6)

    plain = solved("x**4/4 - x**2/2", None)
    split = solved(f"x**4/4 - x**2/2 + {shift}", slope)
    assert np.abs(plain - split) @ grid.widths < 1e-12
