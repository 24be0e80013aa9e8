import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, linalg, stats

from fpk.closed_form import LawMarginals, exact
from fpk.coefficients import Linear
from fpk.errors import NoClosedForm, ProblemError
from fpk.laws import Gaussian, GaussianMixture
from fpk.panels import law_panel
from fpk.problem import Boundary, Problem, noising
from fpk.schedules import SubVPSchedule, VESchedule, VPSchedule

DATA = GaussianMixture([0.3, 0.7], [-1.0, 1.2], stds=[0.2, 0.5])
X = np.linspace(-4, 4, 33)[:, None]


@given(
    rate=st.floats(0.1, 3),
    centre=st.floats(-2, 2),
    g=st.floats(0.1, 2),
    mean=st.floats(-2, 2),
    std=st.floats(0.1, 2),
    t=st.floats(0.01, 2),
)
def test_an_ou_process_has_the_textbook_law(rate, centre, g, mean, std, t):
    drift = Linear(lambda s: -rate, lambda s: rate * centre)
    law = exact(Problem(drift, g, initial=Gaussian(mean, std), horizon=2.0), times=[t]).law(t)
    decay = np.exp(-rate * t)
    variance = std**2 * decay**2 + g**2 * (1 - decay**2) / (2 * rate)
    np.testing.assert_allclose(law.mean, [centre + decay * (mean - centre)], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(law.covariance, [[variance]], rtol=1e-10)


def test_brownian_motion_from_a_mixture_widens_every_component():
    law = exact(Problem(0.0, 1.5, initial=DATA), times=[0.8]).law(0.8)
    widths = np.sqrt(np.array([0.2, 0.5]) ** 2 + 1.5**2 * 0.8)
    expected = 0.3 * stats.norm.pdf(X[:, 0], -1.0, widths[0]) + 0.7 * stats.norm.pdf(X[:, 0], 1.2, widths[1])
    np.testing.assert_allclose(law.density(X), expected, rtol=1e-10)


@pytest.mark.parametrize("schedule", [VPSchedule(0.1, 20.0), SubVPSchedule(0.1, 20.0), VESchedule(0.01, 3.0)], ids=repr)
def test_the_schedules_law_and_the_moment_equations_agree(schedule):
    stated = noising(schedule, DATA)
    derived = Problem(stated.drift, stated.diffusion, initial=DATA)
    for t in (0.1, 1.0):
        one, two = exact(stated, times=[t]).law(t), exact(derived, times=[t]).law(t)
        # Two independent formulas: (α, σ) of the source against scipy's integral of its SDE.
        np.testing.assert_allclose(one.log_density(X), two.log_density(X), rtol=1e-8, atol=1e-8)


def test_a_rotating_plane_has_the_law_of_matrix_exponentials():
    A, G = np.array([[-0.5, -2.0], [2.0, -0.8]]), np.array([[1.0, 0.0], [0.4, 0.7]])
    start = Gaussian([1.0, -1.0], covariance=[[0.5, 0.2], [0.2, 0.4]])
    problem = Problem(Linear(lambda t: A), lambda t: G[None], initial=start, horizon=2.0)
    law, flow = exact(problem, times=[1.3]).law(1.3), linalg.expm(1.3 * A)
    spread = linalg.solve_continuous_lyapunov(A, -G @ G.T)
    covariance = flow @ (start.covariance - spread) @ flow.T + spread
    np.testing.assert_allclose(law.mean, flow @ [1.0, -1.0], atol=1e-11)
    np.testing.assert_allclose(law.covariance, covariance, atol=1e-11)


def test_formulas_that_are_linear_in_every_coordinate_have_a_closed_form():
    """Against the matrix exponential and an integral of it; the last formula depends on t."""
    drift = ["-x0 - 2*x1", "2*(x0 - x2/4) - x1*(1 - 1/2)", "x1 + sin(t)"]
    A = np.array([[-1.0, -2.0, 0.0], [2.0, -0.5, -0.5], [0.0, 1.0, 0.0]])
    start = Gaussian([1.5, 0.0, -1.0], 0.3)
    law = exact(Problem(drift, 0.8, initial=start), times=[0.7]).law(0.7)
    forced = integrate.quad_vec(lambda s: linalg.expm((0.7 - s) * A)[:, 2] * np.sin(s), 0, 0.7)[0]
    spread = integrate.quad_vec(lambda s: 0.64 * linalg.expm(s * A) @ linalg.expm(s * A).T, 0, 0.7)[0]
    moved = linalg.expm(0.7 * A)
    np.testing.assert_allclose(law.means[0], moved @ start.means[0] + forced, rtol=1e-10)
    np.testing.assert_allclose(law.covariances[0], 0.09 * moved @ moved.T + spread, rtol=1e-10, atol=1e-14)


BENT = ["-x0*x1", "sin(x1)", "-x1/(1 + x0**2)"]
#: Derivatives tell nothing of steps.
STEPS = ["sign(x0)", "Heaviside(x0) - x0", "floor(x0)", "Piecewise((x0, x0 < 5), (x0 + 1, True))", "atan(tan(x0))"]


@pytest.mark.parametrize("formula", BENT + STEPS)
def test_formulas_that_bend_or_have_steps_have_none(formula):
    with pytest.raises(NoClosedForm, match="not known to be linear"):
        exact(Problem(["-x0", formula], 1.0, initial=Gaussian([0.0, 0.0])), times=[1.0])


@pytest.mark.parametrize("formula", STEPS)
def test_formulas_with_steps_have_none_on_the_line(formula):
    with pytest.raises(NoClosedForm, match="not known to be linear"):
        exact(Problem(formula.replace("x0", "x"), 1.0, initial=Gaussian(0.0)), times=[1.0])


@pytest.mark.parametrize(
    ("formula", "slope"), [("Piecewise((x, t < 1), (2*x, True))", 2.0), ("x*sign(t - 2) + 1", -1.0)]
)
def test_steps_in_time_leave_a_drift_linear(formula, slope):
    problem = Problem(formula, 1.0, initial=Gaussian(0.0), horizon=3.0)
    assert problem.drift.linear is not None
    assert problem.drift.linear.slope(1.5) == slope


def test_time_zero_is_the_initial_law_itself():
    marginals = exact(noising(VPSchedule(1.0), DATA), times=[0.0, 1.0])
    assert marginals.law(0.0) is DATA
    assert marginals.times == (0.0, 1.0)


def test_score_and_density_are_those_of_the_law():
    marginals = exact(noising(VPSchedule(1.0), Gaussian(1.0, 0.5)), times=[1.0])
    variance = 0.25 * np.exp(-1) + 1 - np.exp(-1)
    mean = np.exp(-0.5)
    np.testing.assert_allclose(marginals.score(X, 1.0), (mean - X) / variance, rtol=1e-12)
    np.testing.assert_allclose(
        marginals.law(1.0).density(X), stats.norm.pdf(X[:, 0], mean, np.sqrt(variance)), rtol=1e-10
    )


def test_expectations_agree_with_adaptive_quadrature_within_their_budget():
    panel = law_panel({0.5: Gaussian(0.4, 1.1)})
    answer = LawMarginals({0.5: DATA}, (0.5,)).expect(panel)

    def expectation(k):
        return integrate.quad(
            lambda x: DATA.density(np.array([[x]]))[0] * panel.smooth[0].values(np.array([[x]]))[k, 0],
            -7,
            7,
            points=[-1.5, -1.0, -0.5, 1.2],
            epsabs=1e-13,
            epsrel=1e-13,
            limit=200,
        )[0]

    gap = np.abs(answer.value - [expectation(k) for k in range(4)])
    assert np.all(gap <= answer.bias_bound + 1e-11)  # 1e-11: quad's own error for a piecewise quintic
    assert np.all(answer.bias_bound < 1e-8)
    np.testing.assert_allclose(answer.thresholds, DATA.cdf(panel.thresholds[0].points), atol=1e-14)
    assert answer.deterministic


def test_a_law_has_no_expectations_on_its_own_panel():
    answer = LawMarginals(lambda t: DATA, (0.5,)).expect(law_panel({0.5: DATA}))
    assert np.all(np.abs(answer.value) <= answer.bias_bound)


@pytest.mark.parametrize(
    ("drift", "diffusion", "keywords", "message"),
    [
        ("-x**3", 1.0, {}, "drift is not known to be linear"),
        (lambda x, t: -x, 1.0, {}, r"use fpk\.Linear or an expression"),
        ("-x", "1 + x**2", {}, "diffusion depends on x"),
        ("-x", 1.0, {"initial": stats.logistic()}, "initial law is not a Gaussian mixture"),
        ("-x", 1.0, {"boundary": Boundary("no_flux", -0.2, 1.0)}, "no_flux"),
        ("-x", 1.0, {"boundary": Boundary("periodic", -0.2, 1.0)}, "periodic"),
    ],
)
def test_without_a_closed_form_the_missing_assumption_is_named(drift, diffusion, keywords, message):
    problem = Problem(drift, diffusion, **{"initial": Gaussian(0.0, 0.1), **keywords})
    with pytest.raises(NoClosedForm, match=message):
        exact(problem, times=[0.5])


def test_times_outside_the_horizon_are_refused():
    with pytest.raises(ProblemError, match=r"\[0, 1\]"):
        exact(noising(VPSchedule(1.0), DATA), times=[1.5])
