"""Classifier guidance: the noised classifier against Bayes' rule in closed form, the law it samples against linear equations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import expit, log_expit

import fpk
from fpk.errors import ProblemError
from fpk.fields import exact_field, observed
from fpk.laws import Array
from fpk.models.classifiers import NoisedClassifier, guided_marginals, log_weights
from fpk.models.points import law_points
from fpk.schedules import Schedule

SCHEDULES: dict[str, Schedule] = {
    "VP": fpk.VPSchedule(0.6, 3.4),
    "VE": fpk.VESchedule(0.2, 1.5),
    "sub-VP": fpk.SubVPSchedule(1.0),
}
PLANE = fpk.GaussianMixture(
    [0.4, 0.6], [[1.0, -1.0], [-0.5, 0.8]], covariances=[[[0.5, 0.3], [0.3, 0.4]], [[0.19, -0.02], [-0.02, 0.6]]]
)
H, R, SEEN = np.array([[1.0, 0.5]]), 0.7, 0.4
POINTS = np.linspace(-6.0, 6.5, 401)


def seen_in_the_plane(schedule: Schedule) -> NoisedClassifier:
    """y = Hx₀ + N(0, R) for a classifier."""
    return NoisedClassifier(
        PLANE,
        schedule,
        lambda x: -0.5 * ((SEEN - x @ H.T) ** 2)[:, 0] / R,
        lambda x: (SEEN - x @ H.T) / R * H,
        nodes=40,
    )


def logistic(data: fpk.GaussianMixture, schedule: Schedule, *, nodes: int = 16) -> NoisedClassifier:
    return NoisedClassifier(data, schedule, lambda x: log_expit(2 * x[:, 0]), lambda x: 2 * expit(-2 * x), nodes=nodes)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("t", [0.0, 0.03, 0.4, 1.0])
def test_gradients_are_the_scores_of_the_data_given_an_observation_less_those_without(
    name: str, t: float, rng: np.random.Generator
) -> None:
    schedule, x = SCHEDULES[name], rng.standard_normal((20, 2))
    given = observed(PLANE, SEEN, matrix=H, covariance=[[R]])
    expected = exact_field(given, schedule)(x, t) - exact_field(PLANE, schedule)(x, t)
    np.testing.assert_allclose(seen_in_the_plane(schedule).gradient(x, t), expected, atol=1e-8)
    guided = seen_in_the_plane(schedule).guided(strength=1.0, kind="denoised" if t else "score")
    if t:
        np.testing.assert_allclose(guided.score(x, t), exact_field(given, schedule)(x, t), atol=1e-7)


@pytest.mark.parametrize("t", [0.05, 0.5])
def test_chances_are_those_of_bayes_rule_over_the_data(t: float) -> None:
    data, schedule, x = fpk.problems.two_peaks(), SCHEDULES["VP"], np.array([-1.5, -0.2, 0.7, 2.0])
    nodes = law_points(data, nodes=24)
    likely = np.exp(-0.5 * ((x[:, None] - schedule.alpha(t) * nodes.x[:, 0]) / schedule.sigma(t)) ** 2) * nodes.weights
    expected = likely @ expit(2 * nodes.x[:, 0]) / likely.sum(1)
    np.testing.assert_allclose(np.exp(logistic(data, schedule).log_chance_at(x[:, None], t)), expected, rtol=1e-8)


def test_a_chance_that_underflows_keeps_its_gradient() -> None:
    schedule, data = SCHEDULES["VP"], fpk.Gaussian(0.0, 1.0)
    sharp = NoisedClassifier(data, schedule, lambda x: 900.0 * (x[:, 0] - 2), lambda x: np.full_like(x, 900.0), nodes=8)
    assert sharp.gradient(np.array([[-3.0]]), 0.5)[0, 0] == pytest.approx(900 * schedule.alpha(0.5), rel=1e-12)


def linear_guidance(schedule: Schedule, strength: float) -> tuple[float, float]:
    """Mean and variance of the guided reverse SDE for data N(.3, .8²) and y = x₀ + N(0, .5²) = 1, by their equations."""
    (m, v), (n, u) = (0.3, 0.64), (1.0, 0.25)
    w = 1 / (1 / v + 1 / u)
    mean = w * (m / v + n / u)

    def score(t: float) -> tuple[float, float]:
        """Slope and intercept of s + S ∇log h, ∇log h the difference of two linear scores."""
        a, s = schedule.alpha(t), schedule.sigma(t)
        plain, given = a**2 * v + s**2, a**2 * w + s**2
        return (
            -(1 - strength) / plain - strength / given,
            (1 - strength) * a * m / plain + strength * a * mean / given,
        )

    def rates(tau: float, state: Array) -> list[float]:
        t = 1 - tau
        f, square = schedule.drift_rate(t), schedule.diffusion(t) ** 2
        slope, shift = score(t)
        a, b = -f + square * slope, square * shift
        return [a * state[0] + b, 2 * a * state[1] + square]

    slope, shift = score(1.0)
    end = solve_ivp(rates, (0, 1), [-shift / slope, -1 / slope], rtol=1e-11, atol=1e-13, method="DOP853").y[:, -1]
    return float(end[0]), float(end[1])


@pytest.mark.parametrize("strength", [0.5, 1.0, 3.0])
def test_the_sampled_law_is_that_of_the_linear_equations(strength: float) -> None:
    schedule = SCHEDULES["VP"]
    classifier = NoisedClassifier(
        fpk.Gaussian(0.3, 0.8), schedule, lambda x: -0.5 * ((1.0 - x[:, 0]) / 0.5) ** 2, lambda x: (1.0 - x) / 0.25
    )
    found = guided_marginals(classifier, strength=strength, points=POINTS)
    mean, variance = linear_guidance(schedule, strength)
    expected = fpk.Gaussian(mean, variance**0.5).density(POINTS[:, None])
    off = float(np.abs(found.density_on(POINTS, 0.0) - expected).sum() * (POINTS[1] - POINTS[0]))
    assert off < found.accuracy + 1e-9
    assert found.accuracy < 3e-3
    tilted = observed(fpk.Gaussian(0.3, 0.8), 1.0, matrix=[[1.0]], covariance=[[0.25]], power=strength)
    if strength == 3.0:
        assert abs(mean - tilted.mean[0]) > 0.01  # it is not p₀ c³


def test_points_far_out_cost_no_accuracy() -> None:
    """The table in between has places wherever the law is narrow, however wide the box."""
    data = fpk.GaussianMixture([0.4, 0.6], [-1.0, 1.2], stds=[0.2, 0.5])
    classifier = logistic(data, SCHEDULES["VP"])
    near, far = (guided_marginals(classifier, strength=3.0, points=np.linspace(-w, w, 50 * w + 1)) for w in (6, 60))
    x = np.linspace(-4.0, 4.0, 401)
    off = float(np.abs(near.density_on(x, 0.0) - far.density_on(x, 0.0)).sum() * (x[1] - x[0]))
    assert off < 1e-4 < far.accuracy


def test_strength_one_is_bayes_rule_and_weights_of_the_splitting_are_of_second_order() -> None:
    data, x = fpk.GaussianMixture([0.3, 0.7], [-1.2, 1.2], stds=[0.5, 0.7]), np.linspace(-1.5, 2.5, 9)
    classifier = logistic(data, SCHEDULES["VP"])
    sampled = guided_marginals(classifier, strength=1.0, points=POINTS, steps=4)
    density = data.density(x[:, None]) * expit(2 * x)
    np.testing.assert_allclose(np.diff(np.log(sampled.density_on(x, 0.0))), np.diff(np.log(density)), atol=1e-6)
    logs = [log_weights(classifier, strength=3.0, points=POINTS, steps=n) for n in (8, 16, 32)]
    apart = [np.abs(a - b)[np.abs(POINTS) < 2].max() for a, b in zip(logs[1:], logs, strict=False)]
    assert 3.4 < apart[0] / apart[1] < 4.6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: guided_marginals(c, strength=2.0, points=POINTS), "on the line only"),
        (lambda c: c.tilted(0.5, strength=2.0, points=POINTS), "on the line only"),
        (lambda c: guided_marginals(c, strength=2.0, points=POINTS, steps=6), "multiple of 4, got 6"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call: Callable[[NoisedClassifier], object], words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        call(seen_in_the_plane(SCHEDULES["VP"]))
