import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from fpk.errors import GridError, ProblemError, SchemeError
from fpk.fokker_planck.backward import backward, exit_probability, mean_exit_time, wall_losses, whole
from fpk.fokker_planck.discretisation import ACCURATE, EXACT_IN_TIME, MAGNUS, POSITIVE, SECOND_ORDER, discretised
from fpk.fokker_planck.fluxes import ScharfetterGummel, WellBalanced6
from fpk.grids import Grid
from fpk.laws import Gaussian
from fpk.problem import Boundary, Problem

SCHEMES = {"ESDIRK4": ACCURATE, "exact": EXACT_IN_TIME, "Magnus": MAGNUS, "TR-BDF2": SECOND_ORDER, "Euler": POSITIVE}
KINDS = ("open", "no_flux", "periodic", "absorbing")
START = Gaussian(0.1, 0.2)


def walls(kind, size=2.0):
    return Boundary() if kind == "open" else Boundary(kind, -size, size)


@given(
    name=st.sampled_from(sorted(SCHEMES)),
    kind=st.sampled_from(KINDS),
    speed=st.floats(-8, 8),
    noise=st.floats(0.3, 1.5),
    steps=st.integers(1, 25),
)
def test_masses_times_expectations_do_not_depend_on_time(name, kind, speed, noise, steps):
    scheme = SCHEMES[name]
    pace = 0.0 if scheme is EXACT_IN_TIME else 1.0
    problem = Problem(
        lambda x, t: speed * np.sin(np.pi * x / 2) * (1 + pace * t),
        lambda x, t: noise * (1 + np.cos(np.pi * x / 2) / 3) * (1 + pace * t / 2),
        initial=START,
        boundary=walls(kind),
    )
    grid, times = Grid(-2, 2, cells=48), (0.0, 0.25, 0.9, 1.0)
    plan = discretised(problem, grid, steps=steps, scheme=scheme)
    m = np.stack([q for _, q in plan.forward(plan.start, times)])
    u = backward(problem, grid, payoff=lambda x: np.cos(2 * x) + x, times=times, steps=steps, scheme=scheme).values
    pairings = np.einsum("ti,ti->t", m, u)
    scale = np.einsum("ti,ti->t", np.abs(m), np.abs(u)).max()
    assert np.ptp(pairings) <= 1e-12 * scale


def test_means_and_squares_of_an_ornstein_uhlenbeck_process():
    problem = Problem("-1.3*x", "0.8", initial=START)
    grid, x = Grid(-4, 4, cells=320), np.linspace(-1.5, 1.5, 9)
    decay = np.exp(-1.3 * 0.6)
    mean = backward(problem, grid, payoff=lambda x: x, times=[0.4])
    square = backward(problem, grid, payoff=lambda x: x[:, 0] ** 2, times=[0.4])
    np.testing.assert_allclose(mean.on(x, 0.4), decay * x, atol=1e-9)
    spread = 0.8**2 / 2.6 * (1 - decay**2)
    np.testing.assert_allclose(square.on(x, 0.4), (decay * x) ** 2 + spread, atol=1e-9)
    assert "backward" in str(mean)


@pytest.mark.parametrize(
    ("kind", "wave"), [("no_flux", np.pi), ("periodic", np.pi), ("absorbing", np.pi / 2), ("no_flux", 2 * np.pi)]
)
@pytest.mark.parametrize("scheme", [EXACT_IN_TIME, ACCURATE, MAGNUS], ids=str)
def test_eigenfunctions_between_walls_decay_at_their_rate(kind, wave, scheme):
    problem = Problem(0.0, 0.9, initial=START, boundary=walls(kind, 1.0), horizon=0.5)
    u = backward(
        problem,
        Grid(-1, 1, cells=64),
        payoff=lambda x: np.cos(wave * x),
        times=[0.0],
        until=0.5,
        scheme=scheme,
        steps=60,
    )
    x = np.linspace(-0.95, 0.95, 11)
    np.testing.assert_allclose(u.on(x, 0.0), np.exp(-0.405 * wave**2 * 0.5) * np.cos(wave * x), atol=2e-7)


@pytest.mark.parametrize("scheme", [ACCURATE, MAGNUS], ids=str)
def test_coefficients_that_depend_on_time_are_read_at_the_right_time(scheme):
    # dX = t dt + (1 + t) dW: E[X_T | X_s = x] = x + (T² − s²)/2, Var = ((1 + T)³ − (1 + s)³)/3.
    problem = Problem(lambda t: t, lambda t: 1 + t, initial=START)
    grid, x, s = Grid(-14, 14, cells=280), np.array([-0.5, 0.0, 0.8]), 0.25
    options = {"times": [s], "steps": 60, "scheme": scheme}
    moved = x + (1 - s**2) / 2
    np.testing.assert_allclose(backward(problem, grid, payoff=lambda y: y, **options).on(x, s), moved, atol=1e-7)
    square = backward(problem, grid, payoff=lambda y: y**2, **options).on(x, s)
    np.testing.assert_allclose(square, moved**2 + (8 - (1 + s) ** 3) / 3, atol=1e-5)


def test_what_is_asked_wrongly_is_refused_with_the_remedy():
    problem, grid = Problem("-x", 1.0, initial=START), Grid(-4, 4, cells=64)
    with pytest.raises(ProblemError, match="Ask for times up to"):
        backward(problem, grid, payoff=lambda x: x, times=[0.9], until=0.5)
    with pytest.raises(ProblemError, match="one finite number"):
        backward(problem, grid, payoff=lambda x: 1.0, times=[0.0])
    u = backward(problem, grid, payoff=lambda x: x, times=[0.0])
    with pytest.raises(GridError, match="Add it to times"):
        u.at(0.3)
    with pytest.raises(GridError, match="widen the grid"):
        u.on(np.array([5.0]), 0.0)


# -- exits -------------------------------------------------------------------------------------------------------------

ABSORBING = walls("absorbing")
PLACES = np.array([-1.7, -0.6, 0.0, 0.9, 1.8])


def scale_function(integral, D, x):
    """∫ exp(−∫f/D) by adaptive quadrature, normalised on [−2, 2]."""
    parts = [quad(lambda y: np.exp(-integral(y) / D), -2, b, epsabs=1e-13)[0] for b in (*x, 2.0)]
    return np.array(parts[:-1]) / parts[-1]


@pytest.mark.parametrize("flux", [WellBalanced6(), ScharfetterGummel()], ids=lambda f: type(f).__name__)
def test_without_drift_the_exit_probability_is_linear(flux):
    problem = Problem(0.0, 1.0, initial=START, boundary=ABSORBING)
    h = exit_probability(problem, Grid(-2, 2, cells=100), flux=flux)
    np.testing.assert_allclose(h.on(PLACES), (PLACES + 2) / 4, atol=1e-11)


@pytest.mark.parametrize(
    ("drift", "integral", "order"),
    [
        (0.7, lambda x: 0.7 * x, 2.0),
        ("-x", lambda x: -(x**2) / 2, 2.0),
        ("x*(4 - x**2)/3", lambda x: (2 * x**2 - x**4 / 4) / 3, 4.0),
    ],
)
def test_the_exit_probability_is_the_scale_function_at_the_documented_order(drift, integral, order):
    problem = Problem(drift, 1.0, initial=START, boundary=ABSORBING)
    exact = scale_function(integral, 0.5, PLACES)
    errors = [np.abs(exit_probability(problem, Grid(-2, 2, cells=n)).on(PLACES) - exact).max() for n in (200, 400)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)
    assert errors[1] < (2e-4 if order == 2 else 1e-9)


def test_mean_exit_times():
    still = Problem(0.0, 1.0, initial=START, boundary=ABSORBING)
    np.testing.assert_allclose(mean_exit_time(still, Grid(-2, 2, cells=100)).on(PLACES), 4 - PLACES**2, atol=3e-8)
    pushed = Problem(0.7, 1.0, initial=START, boundary=ABSORBING)  # optional stopping: .7 E T = E X_T − x
    exact = (4 * scale_function(lambda x: 0.7 * x, 0.5, PLACES) - 2 - PLACES) / 0.7
    found = [mean_exit_time(pushed, Grid(-2, 2, cells=n)).on(PLACES) for n in (200, 400)]
    errors = [np.abs(f - exact).max() for f in found]
    assert errors[1] < 1e-4
    assert errors[0] / errors[1] > 3.0


def test_mean_exit_time_where_the_drift_vanishes_at_the_walls():
    problem = Problem("x*(4 - x**2)/3", 1.0, initial=START, boundary=ABSORBING)

    def psi(y):
        return np.exp(-2 * (2 * y**2 - y**4 / 4) / 3)

    # m' = −2 ψ(x) ∫_0^x 1/ψ by symmetry, m(2) = 0.
    exact = quad(lambda x: 2 * psi(x) * quad(lambda y: 1 / psi(y), 0, x)[0], 0.3, 2)[0]
    assert mean_exit_time(problem, Grid(-2, 2, cells=160)).on(np.array([0.3]))[0] == pytest.approx(exact, abs=2e-7)


def test_exit_problems_need_steady_coefficients_and_absorbing_walls():
    with pytest.raises(SchemeError, match="absorbing walls"):
        exit_probability(Problem(0.0, 1.0, initial=START, boundary=walls("no_flux")), Grid(-2, 2, cells=40))
    with pytest.raises(SchemeError, match="Freeze"):
        exit_probability(Problem("t*x", 1.0, initial=START, boundary=ABSORBING), Grid(-2, 2, cells=40))
    with pytest.raises(GridError, match="tell its walls apart"):
        exit_probability(Problem(0.0, 1.0, initial=START, boundary=ABSORBING), Grid(-2, 2, cells=8))
    with pytest.raises(GridError, match="at least 40 cells"):
        mean_exit_time(Problem(0.0, 1.0, initial=START, boundary=ABSORBING), Grid(-2, 2, cells=30))


def test_walls_lose_what_cells_lose():
    problem = Problem("0.3 - x", "1 + x**2/9", initial=START, boundary=ABSORBING)
    rates = WellBalanced6().rates(problem, Grid(-2, 2, cells=40))(0.0)
    lower, upper = wall_losses(rates)
    m = np.exp(-(np.linspace(-2, 2, 40) ** 2))
    assert (lower + upper) @ m == pytest.approx(-rates.applied(m).sum(), rel=1e-9)
    assert not lower[20:].any()
    assert not upper[:20].any()


@given(degree=st.integers(0, 6), cells=st.integers(14, 60))
def test_corrected_weights_integrate_polynomials_of_degree_six(degree, cells):
    x = (np.arange(cells) + 0.5) / cells
    assert whole(cells) @ x**degree / cells == pytest.approx(1 / (degree + 1), rel=1e-13)
