import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from fpk.errors import FpkError
from fpk.fokker_planck.characteristics import log_density
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid
from fpk.laws import Gaussian
from fpk.problem import Problem

X = np.linspace(-1.5, 1.5, 31)


@given(slope=st.floats(-2, 2), shift=st.floats(-1, 1), t=st.floats(0.05, 1))
def test_a_linear_flow_moves_and_scales_a_gaussian(slope, shift, t):
    problem = Problem(f"({slope!r})*x + ({shift!r})", 0.0, initial=Gaussian(0.3, 0.5))
    growth = np.exp(slope * t)
    moved = shift * t if abs(slope) < 1e-8 else shift * np.expm1(slope * t) / slope
    expected = stats.norm.logpdf(X, 0.3 * growth + moved, 0.5 * growth)
    got = log_density(problem, X, t, 64)
    # Classical Runge–Kutta with 64 steps: (2/64)⁵/120 a step on positions, magnified by the score, at most ~1e3 here.
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_a_nonlinear_flow_has_its_closed_form():
    # ẋ = −sin x: tan(x/2) decays like e^{−t}, and dx_0/dx = sin x_0 / sin x.
    problem = Problem("-sin(x)", 0.0, initial=Gaussian(0.2, 0.4))
    x = X[X != 0]
    origin = 2 * np.arctan(np.tan(x / 2) * np.exp(0.8))
    expected = stats.norm.logpdf(origin, 0.2, 0.4) + np.log(np.sin(origin) / np.sin(x))
    np.testing.assert_allclose(log_density(problem, x, 0.8, 100), expected, atol=1e-7)


def test_a_time_dependent_flow_matches_scipy_backwards():
    problem = Problem(lambda x, t: np.cos(3 * t) * x + np.sin(x), 0.0, initial=Gaussian(0.0, 0.6))

    def back(y):
        def rates(s, state):
            t = 0.9 - s
            return [-(np.cos(3 * t) * state[0] + np.sin(state[0])), np.cos(3 * t) + np.cos(state[0])]

        end = integrate.solve_ivp(rates, (0, 0.9), [y, 0.0], rtol=1e-11, atol=1e-12).y[:, -1]
        return stats.norm.logpdf(end[0], 0.0, 0.6) - end[1]

    got = log_density(problem, X[::5], 0.9, 200)
    np.testing.assert_allclose(got, [back(y) for y in X[::5]], atol=1e-8)


def test_time_zero_is_the_initial_law():
    problem = Problem("-x", 0.0, initial=Gaussian(0.2, 0.4))
    np.testing.assert_array_equal(log_density(problem, X, 0.0, 10), problem.initial.log_density(X[:, None]))


def test_the_mass_defect_measures_the_time_error():
    problem = Problem("-3*sin(x)*(1 + t)", 0.0, initial=Gaussian(0.0, 0.5))
    defects = [abs(solve(problem, Grid(-3, 3, 600), times=[0.5], steps=n).mass[0] - 1) for n in (4, 8, 16)]
    assert defects[0] > 4 * defects[1] > 16 * defects[2]


def test_a_flow_that_explodes_backwards_is_refused():
    with pytest.raises(FpkError, match=r"the drift is \[-?inf\] at x="):
        solve(Problem("x - x**3", 0.0, initial=Gaussian(0.0, 1.0)), Grid(-8, 8, 64), times=[1.0])


def test_expectations_along_a_flow_trace_no_density():
    """Points of x' = −x³ move inwards: they have an expectation, but on the way back from x = ±3 they leave every bound, at t = 1/18."""
    flow = solve(Problem("-x**3", 0.0, initial=Gaussian(0.0, 0.3)), Grid(-3, 3, 96), times=[0.5])
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    start = 0.3 * nodes
    square = weights @ (start**2 / (1 + start**2)) / weights.sum()
    assert flow.positions[0] ** 2 @ flow.weights == pytest.approx(square, abs=1e-8)
    with pytest.raises(FpkError, match=r"leave every bound on the way back|the drift is"):
        _ = flow.densities


def test_densities_of_a_flow_are_traced_once():
    flow = solve(Problem("-x", 0.0, initial=Gaussian(0.5, 0.4)), Grid(-3, 3, 200), times=[0.2, 0.5])
    for t in flow.times:
        exact = Gaussian(0.5 * np.exp(-t), 0.4 * np.exp(-t)).density(flow.grid.centers[:, None])
        np.testing.assert_allclose(flow.density(t), exact, atol=1e-6)
    assert flow.densities is flow.densities
