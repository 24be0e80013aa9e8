import numpy as np
import pytest
import sympy

import fpk.transformations as transformations
from fpk.closed_form import LawMarginals, exact
from fpk.comparison import compare
from fpk.errors import ProblemError
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid
from fpk.laws import Gaussian, GaussianMixture
from fpk.particles.clock import Clock
from fpk.particles.engine import Engine
from fpk.particles.motion import Motion
from fpk.particles.schemes import EulerMaruyama
from fpk.particles.simulation import simulate
from fpk.problem import Problem, noising
from fpk.refinement import refine
from fpk.schedules import VPSchedule
from fpk.tracing import traceable
from fpk.transformations import probability_flow, retimed, reverse_time, velocity, with_noise
from fpk.verdict import Outcome

X = np.linspace(-2, 2, 9)[:, None]
T = 0.2
DATA = GaussianMixture([0.3, 0.7], [-1.0, 1.2], stds=[0.6, 0.7])
FORWARD = noising(VPSchedule(1.0, 3.0), DATA, horizon=T)
EXACT = exact(FORWARD, times=[T])
BACKWARD = LawMarginals(lambda tau: EXACT.law(T - tau), (T,), source="exact data law")


def refined(problem, *, cells=80, steps=12):
    # Wide enough for the mutants, which blow the law up.
    return refine(lambda k: solve(problem, Grid(-12, 12, cells * k), times=[T], steps=steps * k))


def test_velocity_of_an_ou_process_is_the_textbook_one():
    ou = Problem("-2*x", 1.5, initial=Gaussian(0.0, 1.0))
    v = velocity(ou, lambda x, t: -x / 0.3)
    np.testing.assert_allclose(v(X, 0.1), -2 * X + 0.5 * 1.5**2 * X / 0.3, rtol=1e-14)


def test_velocity_of_state_dependent_noise_has_the_divergence_term():
    # g = 1 + x²: ½(g²)' + ½ g² s = g g' + ½ g² s
    problem = Problem("-x", "1 + x**2", initial=Gaussian(0.0, 1.0))
    g = 1 + X**2
    np.testing.assert_allclose(
        velocity(problem, lambda x, t: -x)(X, 0.0), -X - g * 2 * X + 0.5 * g**2 * X, rtol=1e-13, atol=1e-13
    )


def test_reverse_drift_is_andersons():
    # −f + ∇·M + M s with M = g², so ∇·M = 2 g g'
    problem = Problem("-x", "1 + x**2", initial=Gaussian(0.0, 1.0))
    back = reverse_time(problem, lambda x, t: -x, initial=Gaussian(0.0, 1.0))
    g = 1 + X**2
    np.testing.assert_allclose(back.drift(X, 0.25), X + 4 * g * X - g**2 * X, rtol=1e-13, atol=1e-12)
    np.testing.assert_allclose(back.diffusion(X, 0.25), g)


def test_reverse_time_evaluates_coefficients_and_score_at_the_forward_time():
    problem = Problem("t*x", lambda t: 1 + t, initial=Gaussian(0.0, 1.0), horizon=2.0)
    back = reverse_time(problem, lambda x, t: np.full_like(x, t), initial=Gaussian(0.0, 1.0))
    t = 2.0 - 0.5
    np.testing.assert_allclose(back.drift(X, 0.5), -t * X + (1 + t) ** 2 * t, rtol=1e-13)
    assert float(back.diffusion(X, 0.5).ravel()[0]) == 1 + t


def test_no_free_noise_is_the_probability_flow_and_g_gives_the_sde_back():
    def score(x, t):
        return np.sin(x) - t

    silent = with_noise(FORWARD, score, noise=0.0)
    assert silent.noiseless
    np.testing.assert_allclose(silent.drift(X, 0.3), probability_flow(FORWARD, score).drift(X, 0.3), rtol=1e-14)
    same = with_noise(FORWARD, score, noise=FORWARD.schedule.diffusion)
    np.testing.assert_allclose(same.drift(X, 0.3), FORWARD.drift(X, 0.3), rtol=1e-13, atol=1e-13)


def test_a_matrix_diffusion_uses_the_full_covariance():
    G = np.array([[1.0, 0.0], [0.8, 0.6]])
    problem = Problem(lambda x, t: -x, lambda t: G[None], initial=Gaussian([0.0, 0.0]))
    x, s = np.array([[1.0, 2.0], [-0.5, 0.3]]), np.array([[0.3, -1.0], [2.0, 0.7]])
    v = velocity(problem, lambda x, t: s)(x, 0.0)
    np.testing.assert_allclose(v, -x - 0.5 * s @ (G @ G.T), rtol=1e-13)


#: A matrix G(x, t) with three noises, and the score of N(0, 1/(1 + x0²/2), ...): neither has any symmetry.
BENT = [["1 + 0.3*x0*x1", "0.2*t", "sin(x1)/3"], ["0.4*x0", "1.2 + cos(x0)/4", "x0*x1/5"]]


def anderson(given, drift, score):
    """v and the reverse drift of a matrix of formulas, in sympy: functions of (x0, x1, t)."""
    x0, x1, _ = names = sympy.symbols("x0 x1 t", real=True)
    known = dict(zip(("x0", "x1", "t"), names, strict=True))
    G = sympy.Matrix([[sympy.sympify(entry, locals=known) for entry in row] for row in given])
    f, s = (sympy.Matrix([sympy.sympify(entry, locals=known) for entry in column]) for column in (drift, score))
    M = G * G.T
    spread = sympy.Matrix([sum(sympy.diff(M[i, j], (x0, x1)[j]) for j in range(2)) for i in range(2)])
    both = f - spread / 2 - M * s / 2, -f + spread + M * s
    return [sympy.lambdify(names, list(v), "numpy") for v in both]


@pytest.mark.parametrize("form", ["formulas", "called"])
def test_a_matrix_that_depends_on_the_position_has_the_divergence_of_its_square(form):
    drift, score = ["-x0 + x1*t", "sin(x0) - x1"], ["-x0*(1 + x1**2)", "-2*x1 + x0"]
    v, back = anderson(BENT, drift, score)
    given = Problem(drift, BENT, initial=Gaussian([0.0, 0.0]))
    G = given.diffusion if form == "formulas" else lambda x, t: given.diffusion(x, t)
    problem = Problem(drift, BENT if form == "formulas" else G, initial=Gaussian([0.0, 0.0]))

    def s(x, t):
        return np.stack([-x[:, 0] * (1 + x[:, 1] ** 2), -2 * x[:, 1] + x[:, 0]], axis=1)

    x = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    np.testing.assert_allclose(velocity(problem, s)(x, 0.4), np.stack(v(*x.T, 0.4), 1), atol=1e-9)
    reverse = reverse_time(problem, s, initial=Gaussian([0.0, 0.0]))
    np.testing.assert_allclose(reverse.drift(x, 0.6), np.stack(back(*x.T, 0.4), 1), atol=1e-9)
    np.testing.assert_allclose(reverse.diffusion(x, 0.6), given.diffusion(x, 0.4), rtol=1e-14)


@pytest.mark.parametrize(
    "noise", [["1 + x1**2", "exp(x0/3)"], "1 + x0*x1/4"], ids=["one for each coordinate", "one for all"]
)
def test_diagonal_noise_in_the_plane_has_its_divergence(noise):
    rows = [noise, noise] if isinstance(noise, str) else noise
    v, _ = anderson([[rows[0], "0"], ["0", rows[1]]], ["-x0", "-x1"], ["-x0", "-x1"])
    problem = Problem(["-x0", "-x1"], noise, initial=Gaussian([0.0, 0.0]))
    x = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    np.testing.assert_allclose(velocity(problem, lambda x, t: -x)(x, 0.0), np.stack(v(*x.T, 0.0), 1), atol=1e-9)


def test_a_reversible_diffusion_with_a_varying_matrix_has_no_velocity():
    # f = ½∇·M + ½M ∇log π leaves π = N(0, I) at rest, whatever M
    def along(x):
        return np.stack([np.cos(x[:, 1]), np.sin(x[:, 1])], axis=1)

    def G(x, t):
        return np.eye(2) + along(x)[:, :, None] * along(x)[:, None, :]

    def f(x, t):
        e, turned = along(x), np.stack([-np.sin(x[:, 1]), np.cos(x[:, 1])], axis=1)
        M = (
            np.eye(2) + 3 * e[:, :, None] * e[:, None, :]
        )  # (1 + eeᵀ)² and ∂_j(e_i e_j) = e'_i e_1 + e_i e'_1, e' = ∂e/∂x1
        spread = 3 * (turned * e[:, 1:] + e * turned[:, 1:])
        return 0.5 * spread - 0.5 * (M @ x[:, :, None])[:, :, 0]

    problem = Problem(f, G, initial=Gaussian([0.0, 0.0]))
    x = np.random.default_rng(0).uniform(-2, 2, (30, 2))
    np.testing.assert_allclose(velocity(problem, lambda x, t: -x)(x, 0.0), 0.0, atol=1e-9)


def test_a_reversed_problem_with_a_varying_matrix_is_compiled_as_it_is_called():
    @traceable
    def score(x, t):
        return -1.0 * x

    problem = Problem(["-x0", "-x1"], BENT, initial=Gaussian([0.0, 0.0], 0.3))
    back = reverse_time(problem, score, initial=Gaussian([0.0, 0.0], 0.5))
    called = Problem(
        lambda x, t: back.drift(x, t), lambda x, t: back.diffusion(x, t), initial=back.initial, horizon=back.horizon
    )
    first, second = (simulate(p, particles=300, steps=3, times=[0.3], seed=1).samples(0.3) for p in (back, called))
    np.testing.assert_allclose(first, second, atol=1e-9)


# -- other clocks ------------------------------------------------------------------------------------------------------

FALLING, RISING = lambda t: T * (1 - t) ** 2, lambda t: T * (0.2 + 0.8 * t**2)


def test_a_clock_that_runs_back_evenly_is_reverse_time():
    """Also with noise that depends on place and time, and with a matrix."""
    state = Problem("-x", lambda x, t: 1 + 0.3 * t + 0.2 * np.sin(x), initial=Gaussian(0.0, 1.0))
    plane = Problem(lambda x, t: -x, [[1.0, 0.4], [0.0, 0.5]], initial=Gaussian([0.0, 0.0], 1.0))
    for problem, x in ((state, X), (plane, np.array([[0.3, -1.0], [2.0, 0.4]]))):
        score = lambda x, t: -(1 + t) * x  # noqa: E731
        for noise in (None, 0.0, 0.7):
            back = reverse_time(problem, score, initial=problem.initial, noise=noise)
            again = retimed(problem, score, clock=lambda t: 1 - t, initial=problem.initial, noise=noise)
            np.testing.assert_allclose(again.drift(x, 0.3), back.drift(x, 0.3), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(again.diffusion(x, 0.3), back.diffusion(x, 0.3), rtol=1e-10)


def test_a_rising_clock_asks_nothing_of_the_score():
    """dX = k̇ f dt + √k̇ g dW, f and g at k(t)."""
    problem = Problem("t*x", lambda t: 1 + t, initial=Gaussian(0.0, 1.0), horizon=3.0)
    told = retimed(problem, lambda x, t: np.full_like(x, 7.0), clock=lambda t: 3 * t**2, initial=problem.initial)
    np.testing.assert_allclose(told.drift(X, 0.5), 3.0 * 0.75 * X, rtol=1e-10)
    assert float(told.diffusion(X, 0.5)) == pytest.approx(3**0.5 * 1.75)


@pytest.mark.parametrize("noise", [None, 0.0, lambda t: 1.3 - t], ids=["g", "flow", "free"])
@pytest.mark.parametrize("clock", [FALLING, RISING], ids=["falling", "rising"])
def test_with_another_clock_the_laws_are_those_at_its_times(clock, noise):
    told = retimed(FORWARD, EXACT.score, clock=clock, initial=EXACT.law(clock(0.0)), noise=noise)
    law = LawMarginals({0.6: EXACT.law(clock(0.6))}, (0.6,), source="law at k(t)")
    found = refine(lambda k: solve(told, Grid(-6, 6, 80 * k), times=[0.6], steps=12 * k))
    assert compare(found, law, tolerance=2e-3).outcome is Outcome.CONFIRMED


def test_a_clock_is_compiled_as_it_is_called():
    told = retimed(FORWARD, EXACT.score, clock=FALLING, pace=lambda t: -2 * T * (1 - t), initial=EXACT.law(T))
    assert retimed(FORWARD, EXACT.score, clock=FALLING, initial=EXACT.law(T)).drift(X, 0.0) == pytest.approx(
        told.drift(X, 0.0)
    )
    called = Problem(lambda x, t: told.drift(x, t), told.diffusion.given, initial=told.initial)
    clock = Clock.even((0.8,), steps=3, levels=1)
    engines = [Engine(Motion(p, EulerMaruyama()), clock, 300, 0, 1, 1) for p in (told, called)]
    assert [engine.traced is not None for engine in engines] == [True, False]
    np.testing.assert_allclose(*(engine.run() for engine in engines), atol=1e-9)


def test_a_clock_that_leaves_the_problems_time_is_refused():
    for clock in (lambda t: 1.0 - t, lambda t: T * (t - 0.5)):
        with pytest.raises(ProblemError, match=r"between 0 and the problem's horizon 0\.2, got k\(0\)"):
            retimed(FORWARD, EXACT.score, clock=clock, initial=DATA)
    with pytest.raises(ProblemError, match=r"a clock is a function of t, got '1 - t'"):
        retimed(FORWARD, EXACT.score, clock="1 - t", initial=DATA)  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match=r"the pace is k̇, a function of t, got -1\.0"):
        retimed(FORWARD, EXACT.score, clock=FALLING, pace=-1.0, initial=DATA)  # type: ignore[arg-type]


def test_negative_free_noise_is_refused():
    with pytest.raises(ProblemError, match="must not be negative"):
        with_noise(FORWARD, EXACT.score, noise=-1.0)


def made(name):
    if name == "probability flow":
        return probability_flow(FORWARD, EXACT.score), EXACT
    if name == "free noise":
        return with_noise(FORWARD, EXACT.score, noise=0.8), EXACT
    if name == "reverse SDE":
        return reverse_time(FORWARD, EXACT.score, initial=EXACT.law(T)), BACKWARD
    return reverse_time(FORWARD, EXACT.score, initial=EXACT.law(T), noise=0.0), BACKWARD


ROUTES = ["probability flow", "free noise", "reverse SDE", "reverse flow"]


@pytest.mark.parametrize("name", ROUTES)
def test_every_transformation_keeps_the_marginals(name):
    problem, truth = made(name)
    verdict = compare(refined(problem), truth, effect=0.01)
    assert verdict.outcome is Outcome.CONFIRMED, str(verdict)


def with_score_flipped(diffusion, s, x, t):
    return ORIGINAL(diffusion, -s, x, t)


def with_half_dropped(diffusion, s, x, t):
    return 2 * ORIGINAL(diffusion, s, x, t)


def with_g_for_g_squared(diffusion, s, x, t):
    return 0.0 if diffusion.constant == 0.0 else 0.5 * diffusion(x, t) * s


def with_a_score_wrong_by_three_percent(diffusion, s, x, t):
    return ORIGINAL(diffusion, 1.03 * s, x, t)


ORIGINAL = transformations._noise_drift
MUTANTS = [with_score_flipped, with_half_dropped, with_g_for_g_squared, with_a_score_wrong_by_three_percent]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.__name__)
@pytest.mark.parametrize("name", ["probability flow", "reverse SDE"])
def test_a_planted_slip_is_refuted(name, mutant, monkeypatch):
    monkeypatch.setattr(transformations, "_noise_drift", mutant)
    problem, truth = made(name)
    verdict = compare(refined(problem), truth, effect=0.01)
    assert verdict.outcome is Outcome.REFUTED, str(verdict)
