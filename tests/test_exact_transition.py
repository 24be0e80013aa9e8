"""Exact transitions: the law of linear processes after steps of any length, on the Brownian path of other schemes.

Statistical tests fail with probability :data:`ALPHA` though everything is right; seeds come from the test's name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import expm

import fpk
from fpk.errors import SchemeError
from fpk.laws import Array
from fpk.moments import transition
from fpk.particles import exact_transition
from fpk.particles.clock import Clock
from fpk.particles.engine import Engine
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.motion import Motion

ALPHA = 1e-6
EXACT = ExactTransition()
LINE = fpk.Gaussian(1.5, 0.4)
PLANE = fpk.Gaussian([1.0, -0.5], covariance=[[0.3, 0.1], [0.1, 0.2]])
TURN = np.array([[-0.4, 2.0], [-2.0, -0.7]])
SPREAD = np.array([[0.9, 0.0, 0.4], [-0.5, 0.7, 0.1]])


def scores(x: Array, mean: Array, covariance: Array) -> Array:
    """z scores of the sample means and covariances of Gaussian x, shape (n, k)."""
    n, sample = len(x), np.atleast_2d(np.cov(x, rowvar=False))
    means = (x.mean(0) - mean) / np.sqrt(np.diag(covariance) / n)
    spread = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / (n - 1))
    return np.concatenate([means, ((sample - covariance) / spread)[np.triu_indices(len(covariance))]])


def limit(count: int) -> float:
    return float(stats.norm.isf(ALPHA / (2 * count)))


def assert_law(x: Array, mean: Any, covariance: Any) -> None:
    found = scores(x, np.atleast_1d(mean), np.atleast_2d(covariance))
    assert np.abs(found).max() < limit(len(found))


def run_of(problem: fpk.Problem, steps: int, seed: int, times: Any = (1.0,)) -> Array:
    return fpk.simulate(problem, particles=40_000, steps=steps, times=times, seed=seed, scheme=EXACT).fine


# -- laws ---------------------------------------------------------------------------------------------------------------------


def test_an_ornstein_uhlenbeck_process_has_its_law_at_both_times_together(seed: int) -> None:
    """Mean m e^{−at}, Cov(X_s, X_t) = (s₀² e^{−2as} + g²(1 − e^{−2as})/2a) e^{−a(t−s)}."""
    a, g = 1.3, 0.8
    problem = fpk.problems.ornstein_uhlenbeck(rate=a, diffusion=g, initial=LINE)
    for steps in (1, 5):
        x = run_of(problem, steps, seed, (0.3, 1.0))[:, :, 0].T
        t = np.array([0.3, 1.0])
        variances = 0.16 * np.exp(-2 * a * t) + g**2 * -np.expm1(-2 * a * t) / (2 * a)
        crossed = variances[0] * np.exp(-a * 0.7)
        assert_law(x, 1.5 * np.exp(-a * t), np.array([[variances[0], crossed], [crossed, variances[1]]]))


@pytest.mark.parametrize("steps", [1, 3])
def test_coefficients_that_move_have_their_closed_form(steps: int, seed: int) -> None:
    """For a(t) = −1/(1 + t), b = 1, g(t) = 1 + t: Φ = 1/(1 + t), m = (t + t²/2)/(1 + t), V = ((1 + t)⁵ − 1)/(5(1 + t)²)."""
    problem = fpk.Problem(fpk.Linear(lambda t: -1 / (1 + t), 1.0), lambda t: 1 + t, initial=LINE)
    x = run_of(problem, steps, seed)[0]
    assert_law(x, (1.5 + 1.5) / 2, 0.16 / 4 + 31 / 20)


@pytest.mark.parametrize("steps", [1, 4])
def test_a_variance_preserving_process_has_the_law_of_its_schedule(steps: int, seed: int) -> None:
    """X_t = α X_0 + √(1 − α²) Z with α = exp(−½ ∫ β) and ∫ β = β₀ + ½ (β₁ − β₀) at t = 1."""
    problem = fpk.noising(fpk.VPSchedule(0.1, 6.0), LINE)
    x = run_of(problem, steps, seed)[0]
    alpha = np.exp(-0.5 * (0.1 + 0.5 * 5.9))
    assert_law(x, 1.5 * alpha, 0.16 * alpha**2 + 1 - alpha**2)


def turning_moments(t: float) -> tuple[Array, Array, Array]:
    """e^{At}, its shift by b = (1, 2) and the covariance, from one exponential of Van Loan (1978) each."""
    big = np.block([[-TURN, SPREAD @ SPREAD.T], [np.zeros((2, 2)), TURN.T]])
    both = expm(big * t)
    slope = both[2:, 2:].T
    covariance = slope @ both[:2, 2:]
    shift = np.linalg.solve(TURN, (slope - np.eye(2)) @ [1.0, 2.0])
    return slope, shift, covariance


def turning(matrix: Any = SPREAD) -> fpk.Problem:
    return fpk.Problem(fpk.Linear(TURN, np.array([1.0, 2.0])), matrix, initial=PLANE)


@pytest.mark.parametrize("steps", [1, 6])
def test_a_rotation_with_three_correlated_noises_has_its_law_at_two_times(steps: int, seed: int) -> None:
    x = run_of(turning(), steps, seed, (0.4, 1.0))
    start, mean = PLANE.covariance, PLANE.mean
    (early, shift, cov), (late, drift, total) = turning_moments(0.4), turning_moments(1.0)
    first, last = early @ start @ early.T + cov, late @ start @ late.T + total
    across = first @ expm(TURN.T * 0.6)
    joint = np.block([[first, across], [across.T, last]])
    assert abs(across[0, 1] - across[1, 0]) > 0.3, "the sense of the rotation is there to be seen"
    assert_law(np.concatenate(x, axis=1), np.concatenate([early @ mean + shift, late @ mean + drift]), joint)


def test_a_covariance_of_the_noises_counts(seed: int) -> None:
    shared = np.array([[1.0, -0.8], [-0.8, 1.0]])
    problem = fpk.Problem(fpk.Linear(-1.0), 0.7, initial=PLANE, noise_covariance=shared)
    x = run_of(problem, 2, seed)[0]
    shrink = np.exp(-2.0)
    assert_law(x, PLANE.mean * np.exp(-1), shrink * PLANE.covariance + 0.49 * shared * (1 - shrink) / 2)


def test_without_noise_the_exact_flow_is_left() -> None:
    problem = fpk.Problem(fpk.Linear(TURN, np.array([1.0, 2.0])), 0.0, initial=PLANE)
    run = fpk.simulate(problem, particles=50, steps=3, times=[1.0], scheme=EXACT)
    slope, shift, _ = turning_moments(1.0)
    assert np.allclose(run.fine[0], run.start @ slope.T + shift, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("wrong", ["no rest", "slope + 5 %", "rest twice"])
def test_a_wrong_transition_is_seen(wrong: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same check as of the right one, on tables with a planted mistake: slope, shift, gain (1 × 1 each) and rest."""
    right = exact_transition._numbers
    factors = {"no rest": (1, 1, 1, 0), "slope + 5 %": (1.05, 1, 1, 1), "rest twice": (1, 1, 1, 2)}[wrong]
    monkeypatch.setattr(exact_transition, "_numbers", lambda problem, t, h: right(problem, t, h) * np.array(factors))
    problem = fpk.problems.ornstein_uhlenbeck(rate=1.3, diffusion=0.8, initial=LINE)
    x = run_of(problem, 1, seed)[0]
    variance = 0.16 * np.exp(-2.6) + 0.64 * -np.expm1(-2.6) / 2.6
    assert np.abs(scores(x, np.array([1.5 * np.exp(-1.3)]), np.array([[variance]]))).max() > limit(2)


# -- on the path of other schemes ----------------------------------------------------------------------------------------------


def test_the_increment_and_the_rest_carry_all_noise() -> None:
    """V = C Cᵀ/h + R Rᵀ, for noises of which there are more and fewer than coordinates."""
    for matrix in (SPREAD, SPREAD[:, :1], SPREAD[:, :2]):
        problem, h = turning(matrix), 0.3
        _, _, gain, rest = np.split(exact_transition._numbers(problem, 0.0, h), np.cumsum([4, 2, 2 * matrix.shape[1]]))
        gain, rest = gain.reshape(2, -1), rest.reshape(2, 2)
        told = h * gain @ gain.T
        assert np.allclose(told + rest @ rest.T, transition(problem, 0.0, h).covariance, atol=1e-10)
        assert np.all(np.linalg.eigvalsh(told) <= np.linalg.eigvalsh(told + rest @ rest.T) + 1e-12)


@pytest.mark.parametrize("problem", [fpk.Problem("0.5 - x", 0.7, initial=LINE), turning()], ids=["line", "plane"])
def test_euler_chains_stay_near_the_exact_chain_of_their_path(problem: fpk.Problem, seed: int) -> None:
    """Strong order 1 for additive noise: the RMS distance halves with the step and is far below that of independent paths."""
    distances = []
    for steps in (16, 32, 64):
        settings: Any = {"particles": 4000, "steps": steps, "times": [1.0], "levels": 1}
        euler = fpk.simulate(problem, seed=seed, **settings).fine[0]
        exact, other = (fpk.simulate(problem, seed=s, scheme=EXACT, **settings).fine[0] for s in (seed, seed + 1))
        distances.append(np.sqrt(((euler - exact) ** 2).sum(1).mean()))
        assert distances[-1] < 0.12 * np.sqrt(((euler - other) ** 2).sum(1).mean())
    orders = np.log2(np.array(distances[:-1]) / distances[1:])
    assert np.all(np.abs(orders - 1) < 0.2)


def test_levels_of_exact_chains_have_one_law_and_nearly_one_path(seed: int) -> None:
    problem = fpk.problems.ornstein_uhlenbeck(rate=1.3, diffusion=0.8, initial=LINE)
    run = fpk.simulate(problem, particles=20_000, steps=8, times=[1.0], seed=seed, scheme=EXACT, levels=2)
    variance = 0.16 * np.exp(-2.6) + 0.64 * -np.expm1(-2.6) / 2.6
    for x in run.positions[:, 0]:
        assert_law(x, 1.5 * np.exp(-1.3), variance)
    apart = (run.fine - run.coarse).std()
    rest = exact_transition._numbers(problem, 0.0, 1 / 8)[-1]
    assert 0.5 * rest < apart < 4 * np.sqrt(8) * rest


def test_exact_chains_have_one_level_and_no_budget_of_their_steps(seed: int) -> None:
    problem = fpk.problems.ornstein_uhlenbeck(rate=1.3, diffusion=0.8, initial=LINE)
    run = fpk.simulate(problem, particles=200_000, steps=1, times=[1.0], seed=seed, scheme=EXACT)
    exact = fpk.exact(problem, times=[1.0])
    assert run.positions.shape[0] == 1
    assert fpk.compare(run, exact, tolerance=0.03).outcome == fpk.Outcome.CONFIRMED
    assert run.expect(fpk.law_panel({1.0: exact.law(1.0)})).bias_bound.max() < 1e-13


COMPILED = {
    "line": lambda: fpk.Problem("0.5 - x*(1 + t)", lambda t: 1 + t, initial=LINE),
    "plane": turning,
    "no noise": lambda: fpk.Problem(fpk.Linear(TURN), 0.0, initial=PLANE),
}


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_and_served_chains_are_the_same(name: str) -> None:
    motion, clock = Motion(COMPILED[name](), EXACT), Clock.even((0.5, 1.0), 4, 2)
    first, second = (Engine(motion, clock, 300, 7, 5, 1, compiled=wanted) for wanted in (True, False))
    assert first.traced is not None
    assert np.allclose(first.run(), second.run(), rtol=1e-12, atol=1e-12)


# -- what is refused -----------------------------------------------------------------------------------------------------------

REFUSED = {
    "not known to be linear": fpk.Problem("-x**3", 1.0, initial=LINE),
    "linear": fpk.Problem(lambda x, t: -x, 1.0, initial=LINE),
    "depends on x": fpk.Problem("-x", "1 + x/9", initial=LINE),
    "boundary is no_flux": fpk.Problem("-x", 1.0, initial=LINE, boundary=fpk.Boundary("no_flux", -9.0, 9.0)),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_not_linear_is_refused_with_its_reason(reason: str) -> None:
    with pytest.raises(SchemeError, match=reason):
        fpk.simulate(REFUSED[reason], particles=4, steps=1, times=[1.0], scheme=EXACT)
