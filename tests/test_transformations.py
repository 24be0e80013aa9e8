import numpy as np
import pytest

import fpk.transformations as transformations
from fpk.closed_form import LawMarginals, exact
from fpk.comparison import compare
from fpk.errors import ProblemError
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid
from fpk.laws import Gaussian, GaussianMixture
from fpk.problem import Problem, noising
from fpk.refinement import refine
from fpk.schedules import VPSchedule
from fpk.transformations import probability_flow, reverse_time, velocity, with_noise
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


def test_a_matrix_that_may_depend_on_the_position_is_refused_for_lack_of_its_divergence():
    problem = Problem(
        lambda x, t: -x, lambda x, t: np.broadcast_to(np.eye(2), (len(x), 2, 2)), initial=Gaussian([0.0, 0.0])
    )
    with pytest.raises(
        ProblemError, match=r"state-dependent diffusion is implemented for d = 1, this problem has d = 2"
    ):
        velocity(problem, lambda x, t: -x)(np.zeros((2, 2)), 0.0)


def test_state_dependent_noise_in_the_plane_is_refused_with_the_remedy():
    problem = Problem(lambda x, t: -x, lambda x, t: 1 + x**2, initial=Gaussian([0.0, 0.0]))
    with pytest.raises(ProblemError, match=r"state-dependent.*d = 2.*Use a diffusion g\(t\)"):
        velocity(problem, lambda x, t: -x)(np.zeros((3, 2)), 0.0)


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
