"""Guidance: combinations against the laws they are the scores of, and tilted laws against quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpk
from fpk.fields import KINDS, Field, classifier_free, classifier_guided, exact_field, observed, tilted
from fpk.particles.clock import Clock
from fpk.particles.engine import Engine
from fpk.particles.motion import Motion
from fpk.particles.schemes import EulerMaruyama
from fpk.problems import two_peaks

VP = fpk.VPSchedule(0.5, 4.0)
PLANE = fpk.GaussianMixture(
    [0.4, 0.6], [[3.0, -1.0], [-0.5, 2.0]], covariances=[[[0.5, 0.3], [0.3, 0.4]], [[0.09, -0.02], [-0.02, 1.3]]]
)
LEFT, RIGHT = fpk.Gaussian(-1.0, 0.2), fpk.Gaussian(1.2, 0.45)


def normal_log(x: Any, mean: Any, variance: Any) -> Any:
    return -0.5 * (x - mean) ** 2 / variance


def normalised(law: fpk.GaussianMixture, logs: Any, points: Any) -> Any:
    """The density ∝ p e^logs at the points, by the trapezoidal rule on them."""
    values = law.density(points[:, None]) * np.exp(logs - logs.max())
    return values / (values.sum() * (points[1] - points[0]))


@given(value=st.floats(-3, 3), gain=st.floats(-2, 2), noise=st.floats(0.2, 2), power=st.floats(0.1, 8))
def test_a_likelihood_to_a_power_times_a_mixture_is_the_mixture_stated(
    value: float, gain: float, noise: float, power: float
) -> None:
    points = np.linspace(-8.0, 9.0, 20_001)
    law = observed(two_peaks(), value, matrix=[[gain]], covariance=[[noise**2]], power=power)
    expected = normalised(two_peaks(), power * normal_log(value, gain * points, noise**2), points)
    np.testing.assert_allclose(law.density(points[:, None]), expected, atol=1e-9 * expected.max())


@given(theta=st.floats(-15, 15))
def test_an_exponential_tilt_is_the_mixture_stated(theta: float) -> None:
    points = np.linspace(-8.0, 9.0, 20_001)
    expected = normalised(two_peaks(), theta * points, points)
    np.testing.assert_allclose(
        tilted(two_peaks(), theta).density(points[:, None]), expected, atol=1e-9 * expected.max()
    )


def test_tilted_laws_in_the_plane_have_the_scores_of_their_products(rng: np.random.Generator) -> None:
    """∇ log(p N^S) = ∇ log p + S Hᵀ R⁻¹ (y − H x), and ratios of densities say the rest."""
    x, theta = PLANE.sample(50, rng), np.array([0.7, -1.9])
    matrix, covariance, value = np.array([[1.0, 2.0]]), np.array([[0.6]]), np.array([1.3])
    law = observed(PLANE, value, matrix=matrix, covariance=covariance, power=2.5)
    slope = 2.5 * (value - x @ matrix.T) @ np.linalg.inv(covariance) @ matrix
    np.testing.assert_allclose(law.score(x), PLANE.score(x) + slope, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(tilted(PLANE, theta).score(x), PLANE.score(x) + theta, rtol=1e-9, atol=1e-9)


def test_a_component_without_weight_is_left_out() -> None:
    law = tilted(two_peaks(), 900.0)
    assert law.weights.tolist() == [1.0]
    assert law.mean[0] == pytest.approx(1.2 + 900 * 0.45**2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_classifier_free_guidance_is_one_law_of_scores_in_every_kind(
    kind: str, other: str, rng: np.random.Generator
) -> None:
    conditional, unconditional = exact_field(RIGHT, VP, kind=kind), exact_field(two_peaks(), VP, kind=other)
    guided, x = classifier_free(conditional, unconditional, weight=2.5), rng.standard_normal((40, 1))
    s_c, s_u = conditional.score(x, 0.4), unconditional.score(x, 0.4)
    np.testing.assert_allclose(guided.score(x, 0.4), s_u + 2.5 * (s_c - s_u), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(guided.score(x, 0.4), (1 + 1.5) * s_c - 1.5 * s_u, rtol=1e-11, atol=1e-11)
    assert guided.kind == kind


def test_weights_zero_and_one_are_the_two_fields(rng: np.random.Generator) -> None:
    x, conditional, unconditional = rng.standard_normal((40, 1)), exact_field(LEFT, VP), exact_field(two_peaks(), VP)
    for weight, expected in ((1.0, conditional), (0.0, unconditional)):
        found = classifier_free(conditional, unconditional, weight=weight)(x, 0.4)
        np.testing.assert_allclose(found, expected(x, 0.4), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_with_strength_one_is_bayes_rule_at_all_times(kind: str, rng: np.random.Generator) -> None:
    """∇ log p_t(right | x) from the components' posterior odds; the guided field is that of the right component alone."""

    def gradient(x: Any, t: float) -> Any:
        a, s2 = VP.alpha(t), VP.sigma(t) ** 2
        left, right = ((-1.0 * a, 0.04 * a**2 + s2, 0.3), (1.2 * a, 0.2025 * a**2 + s2, 0.7))
        logs = [np.log(w / np.sqrt(v)) + normal_log(x, m, v) for m, v, w in (left, right)]
        share_left = 1 / (1 + np.exp(logs[1] - logs[0]))
        return share_left * ((right[0] - x) / right[1] - (left[0] - x) / left[1])

    guided = classifier_guided(exact_field(two_peaks(), VP, kind=kind), gradient, strength=1.0)
    for t in (0.1, 0.5, 1.0):
        x = rng.standard_normal((40, 1))
        expected = exact_field(RIGHT, VP, kind=kind)(x, t)
        np.testing.assert_allclose(guided(x, t), expected, rtol=1e-10, atol=1e-10)


def test_at_the_data_guidance_with_any_strength_is_the_score_of_the_tilted_law(rng: np.random.Generator) -> None:
    x, seen = two_peaks().sample(40, rng), {"matrix": [[1.0]], "covariance": [[0.3]]}
    guided = classifier_guided(exact_field(two_peaks(), VP), lambda x, t: (0.8 - x) / 0.3, strength=3.0)
    law = observed(two_peaks(), 0.8, power=3.0, **seen)
    np.testing.assert_allclose(guided(x, 0.0), law.score(x), rtol=1e-11, atol=1e-11)


def test_guided_exact_fields_are_compiled_and_guidance_by_python_is_called(seed: int) -> None:
    problem = fpk.noising(VP, two_peaks())
    start, clock = fpk.exact(problem, times=[1.0]).law(1.0), Clock.even([0.9], 9, 1)
    free = classifier_free(exact_field(RIGHT, VP), exact_field(problem), weight=2.0)
    pushed = classifier_guided(exact_field(problem), lambda x, t: -x, strength=2.0)
    for field, wanted in ((free, True), (pushed, False)):
        motion = Motion(fpk.reverse_time(problem, field.score, initial=start), EulerMaruyama())
        engines = [Engine(motion, clock, 100, 0, seed, 1, compiled=compiled) for compiled in (True, False)]
        assert (engines[0].traced is not None) == wanted
        np.testing.assert_allclose(engines[0].run(), engines[1].run(), rtol=1e-11, atol=1e-11)


def test_what_cannot_be_combined_is_refused() -> None:
    field = exact_field(two_peaks(), VP)
    with pytest.raises(fpk.FpkError, match=r"different paths cannot be combined: .*VPSchedule.*VESchedule"):
        classifier_free(field, exact_field(two_peaks(), fpk.VESchedule()), weight=2.0)
    with pytest.raises(fpk.FpkError, match="power of a likelihood must be positive, got 0"):
        observed(two_peaks(), 0.0, matrix=[[1.0]], covariance=[[1.0]], power=0.0)
    with pytest.raises(fpk.FpkError, match=r"1 numbers in dimension 1 needs matrix \(1, 1\).*got \(1, 2\)"):
        observed(two_peaks(), 0.0, matrix=[[1.0, 0.0]], covariance=[[1.0]])
    with pytest.raises(fpk.FpkError, match=r"a tilt in dimension 2 needs a vector of that length, got \(1,\)"):
        tilted(PLANE, 0.3)
    with pytest.raises(fpk.FpkError, match=r"score field returned shape"):
        classifier_free(Field(lambda x, t: x[:1], "score", VP), field, weight=1.0)(np.zeros((3, 1)), 0.5)
