"""Fields: every kind against Bayes' rule by quadrature, conversions there and back, and what is refused where nothing is determined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import multivariate_normal

import fpk
from fpk.errors import ProblemError
from fpk.fields import KINDS, Field, conversion, empirical_field, exact_field
from fpk.particles.clock import Clock
from fpk.particles.engine import Engine
from fpk.particles.motion import Motion
from fpk.particles.schemes import EulerMaruyama
from fpk.problems import two_peaks
from fpk.schedules import OTSchedule
from fpk.transformations import velocity

SCHEDULES: dict[str, Any] = {
    "VP": fpk.VPSchedule(0.1, 20.0),
    "sub-VP": fpk.SubVPSchedule(0.1, 20.0),
    "VE": fpk.VESchedule(0.01, 5.0),
    "OT": OTSchedule(),
    "cosine": fpk.AffineSchedule(lambda t: np.cos(0.45 * np.pi * t), lambda t: np.sin(0.45 * np.pi * t)),
}
PLANE = fpk.GaussianMixture(
    [0.4, 0.6], [[3.0, -1.0], [-0.5, 2.0]], covariances=[[[0.5, 0.3], [0.3, 0.4]], [[0.09, -0.02], [-0.02, 1.3]]]
)
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
each_kind = pytest.mark.parametrize("kind", KINDS)


def positions(law: fpk.GaussianMixture, schedule: Any, t: float, rng: np.random.Generator, n: int = 60) -> NDArray[Any]:
    return schedule.alpha(t) * law.sample(n, rng) + schedule.sigma(t) * rng.standard_normal((n, law.dimension))


def posterior_means(x: float, alpha: float, sigma: float) -> tuple[float, float]:
    """E[X_0 | x] and E[Z | x] by Bayes' rule: the trapezoidal rule, exact to round-off for smooth densities that vanish at both ends."""
    data = np.linspace(-6.0, 7.0, 40_001)
    noise = (x - alpha * data) / sigma
    logs = np.log(two_peaks().density(data[:, None]) + 1e-300) - 0.5 * noise**2
    weights = np.exp(logs - logs.max())
    return float(weights @ data / weights.sum()), float(weights @ noise / weights.sum())


@each_schedule
@pytest.mark.parametrize("t", [0.15, 0.5, 0.95])
def test_every_kind_is_its_combination_of_the_posterior_means(
    schedule: Any, t: float, rng: np.random.Generator
) -> None:
    x, alpha, sigma = positions(two_peaks(), schedule, t, rng, 12), schedule.alpha(t), schedule.sigma(t)
    data, noise = np.array([posterior_means(value, alpha, sigma) for value in x[:, 0]]).T[:, :, None]
    h = 1e-5
    rates = [(f(t + h) - f(t - h)) / (2 * h) for f in (schedule.alpha, schedule.sigma)]
    expected = {"denoised": data, "noise": noise, "v": alpha * noise - sigma * data, "score": -noise / sigma}
    for kind, values in expected.items():
        np.testing.assert_allclose(exact_field(two_peaks(), schedule, kind=kind)(x, t), values, rtol=1e-9, atol=1e-9)
    flow = rates[0] * data + rates[1] * noise
    np.testing.assert_allclose(exact_field(two_peaks(), schedule, kind="velocity")(x, t), flow, rtol=1e-6, atol=1e-6)


@each_schedule
@pytest.mark.parametrize("law", [two_peaks(), PLANE], ids=["line", "plane"])
def test_score_and_velocity_are_those_of_the_noising_problem(
    schedule: Any, law: fpk.GaussianMixture, rng: np.random.Generator
) -> None:
    problem = fpk.noising(schedule, law, horizon=0.95)
    marginals = fpk.exact(problem, times=[0.95])
    for t in (0.0, 1e-4, 0.3, 0.95):
        x = positions(law, schedule, t, rng)
        score = marginals.law(t).score(x)
        np.testing.assert_allclose(exact_field(problem)(x, t), score, rtol=1e-11, atol=1e-11)
        flow = velocity(problem, marginals.score)(x, t)
        np.testing.assert_allclose(exact_field(problem, kind="velocity")(x, t), flow, rtol=1e-9, atol=1e-9)


@each_schedule
def test_the_velocity_moves_the_quantiles(schedule: Any) -> None:
    """F_t(q(t)) = u at all t, so q' is the velocity at q: no score, no SDE."""

    def quantile(u: float, t: float) -> float:
        law = two_peaks().pushed(schedule.alpha(t) * np.eye(1), np.zeros(1), schedule.sigma(t) ** 2 * np.eye(1))
        return brentq(lambda x: law.cdf(np.array([x]))[0] - u, -30, 30, xtol=1e-14)

    field, t, h = exact_field(two_peaks(), schedule, kind="velocity"), 0.6, 1e-3
    for u in (0.05, 0.4, 0.9):
        slope = sum(w * quantile(u, t + k * h) for k, w in ((-2, 1), (-1, -8), (1, 8), (2, -1))) / (12 * h)
        assert field(np.array([[quantile(u, t)]]), t)[0, 0] == pytest.approx(slope, rel=1e-6, abs=1e-6)


@settings(max_examples=300)
@given(
    name=st.sampled_from(sorted(SCHEDULES)),
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    t=st.floats(1e-9, 1 - 1e-9),
    x=st.floats(-20, 20),
    value=st.floats(-20, 20),
)
def test_there_and_back_is_round_off_of_the_terms(
    name: str, kinds: tuple[str, str], t: float, x: float, value: float
) -> None:
    """Relative to the terms of the way back: a noise hidden below the last digit of a denoised mean cannot come back."""
    schedule, (kind, other) = SCHEDULES[name], kinds
    place, given = np.array([[x]]), np.array([[value]])
    there = Field(lambda x, t: given, kind, schedule).converted(other)
    back = there.converted(kind)(place, t)[0, 0]
    terms = np.array(conversion(other, kind, schedule=schedule, t=t)) * [there(place, t)[0, 0], x]
    assert abs(back - value) <= 1e-13 * (abs(value) + np.abs(terms).sum())


@each_schedule
@each_kind
@pytest.mark.parametrize("other", KINDS)
def test_there_and_back_keeps_thirteen_digits_of_the_field(
    schedule: Any, kind: str, other: str, rng: np.random.Generator
) -> None:
    for t in np.linspace(0.2, 0.95, 16):
        field, x = exact_field(two_peaks(), schedule, kind=kind), positions(two_peaks(), schedule, t, rng)
        values = field(x, t)
        back = field.converted(other).converted(kind)(x, t)
        scale = np.abs(values).max() + np.abs(x).max() / schedule.sigma(t)
        assert np.abs(back - values).max() <= 1e-13 * scale


@each_schedule
@each_kind
def test_conversions_of_one_exact_field_are_the_other_ones(schedule: Any, kind: str, rng: np.random.Generator) -> None:
    field, t = exact_field(PLANE, schedule, kind=kind), 0.45
    x = positions(PLANE, schedule, t, rng)
    for other in KINDS:
        expected = exact_field(PLANE, schedule, kind=other)(x, t)
        np.testing.assert_allclose(getattr(field, other)(x, t), expected, rtol=1e-12, atol=1e-12)


DETERMINED_WITHOUT_NOISE = {
    "VP": {"score": set(KINDS), "noise": {"denoised", "v"}, "velocity": set(KINDS)},
    "VE": {"score": set(KINDS), "noise": {"denoised", "v"}, "velocity": set(KINDS)},
    "sub-VP": {"score": set(KINDS), "noise": {"denoised", "v", "velocity"}, "velocity": {"noise", "denoised", "v"}},
    "OT": {"score": set(KINDS), "noise": {"denoised", "v", "velocity"}, "velocity": {"noise", "denoised", "v"}},
}


@pytest.mark.parametrize("name", DETERMINED_WITHOUT_NOISE)
def test_at_the_data_a_kind_is_converted_where_it_is_determined_and_refused_elsewhere(
    name: str, rng: np.random.Generator
) -> None:
    schedule, x = SCHEDULES[name], two_peaks().sample(20, rng)
    determined = DETERMINED_WITHOUT_NOISE[name] | {"denoised": set()}
    for kind, targets in determined.items():
        field = exact_field(two_peaks(), schedule, kind=kind)
        for other in set(KINDS) - {kind}:
            if other in targets:
                expected = exact_field(two_peaks(), schedule, kind=other)(x, 0.0)
                np.testing.assert_allclose(getattr(field, other)(x, 0.0), expected, rtol=1e-13, atol=1e-13)
            else:
                with pytest.raises(fpk.FpkError, match=rf"{kind} does not determine its {other} at t=0, .*σ = 0"):
                    getattr(field, other)(x, 0.0)


def test_where_the_data_are_forgotten_score_and_noise_say_nothing_of_them(rng: np.random.Generator) -> None:
    x = rng.standard_normal((20, 1))
    for kind in ("denoised", "v", "velocity"):
        field = exact_field(two_peaks(), OTSchedule(), kind=kind)
        np.testing.assert_allclose(field.denoised(x, 1.0), np.full_like(x, 0.54), rtol=1e-14)
        np.testing.assert_allclose(field.velocity(x, 1.0), x - 0.54, rtol=1e-13, atol=1e-13)
    for kind in ("score", "noise"):
        with pytest.raises(fpk.FpkError, match=rf"{kind} does not determine its velocity at t=1, where α = 0"):
            exact_field(two_peaks(), OTSchedule(), kind=kind).velocity(x, 1.0)


def test_without_noise_the_denoised_mean_is_the_position_itself(rng: np.random.Generator) -> None:
    x = PLANE.sample(20, rng)
    for schedule in SCHEDULES.values():
        np.testing.assert_allclose(exact_field(PLANE, schedule, kind="denoised")(x, 0.0), x, rtol=1e-13)
        assert not exact_field(PLANE, schedule, kind="noise")(x, 0.0).any()


def test_a_schedule_of_ones_own_needs_no_rates(rng: np.random.Generator) -> None:
    class Own:
        """VP with rate 2, told by α, σ and the SDE alone."""

        def alpha(self, t: float) -> float:
            return float(np.exp(-t))

        def sigma(self, t: float) -> float:
            return float(np.sqrt(-np.expm1(-2 * t)))

        def drift_rate(self, t: float) -> float:
            return -1.0

        def diffusion(self, t: float) -> float:
            return float(np.sqrt(2.0))

    for t in (0.0, 0.4):
        x = positions(two_peaks(), Own(), t, rng)
        expected = exact_field(two_peaks(), fpk.VPSchedule(2.0), kind="velocity")(x, t)
        np.testing.assert_allclose(exact_field(two_peaks(), Own(), kind="velocity")(x, t), expected, rtol=1e-12)


@each_kind
@pytest.mark.parametrize("law", [two_peaks(), PLANE], ids=["line", "plane"])
def test_samplers_of_exact_fields_are_compiled_whatever_their_kind(
    kind: str, law: fpk.GaussianMixture, seed: int
) -> None:
    problem = fpk.noising(fpk.VPSchedule(0.5, 3.0), law)
    field, start = exact_field(problem, kind=kind), fpk.exact(problem, times=[1.0]).law(1.0)
    reverse = fpk.reverse_time(problem, field.score, initial=start)
    flow = fpk.Problem(lambda x, t: -field.velocity(x, t), 0.0, initial=start)
    clock = Clock.even([0.5, 0.9], 18, 1)
    motion = Motion(reverse, EulerMaruyama())
    compiled, called = (Engine(motion, clock, 200, 0, seed, 1, compiled=wanted) for wanted in (True, False))
    assert compiled.traced is not None
    np.testing.assert_allclose(compiled.run(), called.run(), rtol=1e-10, atol=1e-10)
    assert Engine(Motion(flow, EulerMaruyama()), clock, 10, 0, seed, 1).traced is None


def test_a_field_of_a_python_function_is_called_not_compiled(seed: int) -> None:
    problem = fpk.noising(fpk.VPSchedule(0.5, 3.0), two_peaks())
    exact = exact_field(problem, kind="denoised")
    plain = Field(lambda x, t: exact(x, t), "denoised", exact.schedule)
    start = fpk.exact(problem, times=[1.0]).law(1.0)
    first, second = (
        fpk.simulate(
            fpk.reverse_time(problem, field.score, initial=start), particles=100, steps=10, times=[0.8], seed=seed
        )
        for field in (exact, plain)
    )
    np.testing.assert_allclose(first.fine, second.fine, rtol=1e-10, atol=1e-10)


def test_the_bits_of_a_row_do_not_depend_on_the_others(rng: np.random.Generator) -> None:
    field, x = exact_field(PLANE, fpk.VPSchedule(1.0), kind="velocity"), rng.standard_normal((1000, 2))
    np.testing.assert_array_equal(field(x, 0.3)[137:138], field(x[137:138], 0.3))


def test_what_cannot_be_understood_is_refused_with_what_is_allowed() -> None:
    schedule, x = fpk.VPSchedule(1.0), np.zeros((5, 1))
    with pytest.raises(fpk.FpkError, match=r"unknown kind of field 'epsilon'.*denoised, noise, score, v, velocity"):
        Field(np.sin, "epsilon", schedule)
    with pytest.raises(fpk.FpkError, match="unknown kind of field 'x0'"):
        exact_field(two_peaks(), schedule, kind="x0")
    with pytest.raises(fpk.FpkError, match="unknown kind of field 'flow'"):
        exact_field(two_peaks(), schedule).converted("flow")
    with pytest.raises(fpk.FpkError, match=r"score field returned shape \(5,\) for positions of shape \(5, 1\)"):
        Field(lambda x, t: x[:, 0], "score", schedule).noise(x, 0.5)
    with pytest.raises(fpk.FpkError, match=r"needs a schedule: exact_field\(law, schedule\)"):
        exact_field(two_peaks())
    with pytest.raises(fpk.FpkError, match=r"needs a schedule"):
        exact_field(fpk.Problem("-x", 1.0, initial=two_peaks()))
    with pytest.raises(fpk.FpkError, match=r"TabulatedLaw data is not known in closed form: give a GaussianMixture"):
        exact_field(fpk.problems.double_well_law(), schedule)


@pytest.mark.parametrize("dimension", [1, 3])
def test_an_exact_field_says_which_positions_it_needs(dimension: int) -> None:
    plane = fpk.Gaussian([0.0, 1.0], 0.5)
    with pytest.raises(ProblemError, match=rf"shape \(n, 2\), got \(4, {dimension}\)"):
        exact_field(plane, fpk.VPSchedule(1.0))(np.zeros((4, dimension)), 0.5)


# -- data at points ----------------------------------------------------------------------------------------------------

POINTS, SHARES = np.array([[-1.2, 0.4], [0.8, 0.9], [0.5, -1.1]]), np.array([0.2, 0.5, 0.3])
TO_SIGMA_MIN = OTSchedule(sigma_min=0.2)


@pytest.mark.parametrize("schedule", [*SCHEDULES.values(), TO_SIGMA_MIN], ids=[*SCHEDULES, "OT to σ_min"])
@pytest.mark.parametrize("t", [0.2, 0.6, 0.99])
def test_the_field_of_points_is_bayes_rule_over_them(schedule: Any, t: float, rng: np.random.Generator) -> None:
    alpha, sigma, h = schedule.alpha(t), schedule.sigma(t), 1e-5
    x = alpha * POINTS[rng.integers(0, 3, 7)] + 1.5 * sigma * rng.standard_normal((7, 2))
    slopes = [(f(t + h) - f(t - h)) / (2 * h) for f in (schedule.alpha, schedule.sigma)]
    for place in x:
        joint = [
            w * multivariate_normal(alpha * y, sigma**2 * np.eye(2)).pdf(place)
            for y, w in zip(POINTS, SHARES, strict=True)
        ]
        data = np.array(joint) @ POINTS / sum(joint)
        noise = (place - alpha * data) / sigma
        wanted = {
            "denoised": data, "noise": noise, "score": -noise / sigma, "v": alpha * noise - sigma * data,
            "velocity": slopes[0] * data + slopes[1] * noise,
        }  # fmt: skip
        for kind, values in wanted.items():
            found = empirical_field(POINTS, schedule, kind=kind, weights=SHARES)(place[None], t)[0]
            np.testing.assert_allclose(found, values, rtol=1e-6, atol=1e-6, err_msg=kind)


@each_kind
def test_the_field_of_points_is_the_limit_of_narrow_components(kind: str, rng: np.random.Generator) -> None:
    x, narrow = rng.normal(0.0, 3.0, (50, 2)), fpk.GaussianMixture(SHARES, POINTS, stds=[1e-7] * 3)
    path = fpk.SubVPSchedule(0.1, 20.0)
    np.testing.assert_allclose(
        empirical_field(POINTS, path, kind=kind, weights=SHARES)(x, 0.3),
        exact_field(narrow, path, kind=kind)(x, 0.3),
        rtol=1e-7,
    )


def test_points_of_one_path_follow_the_velocity_of_its_data_point() -> None:
    """d/dt (α x₁ + σ z) at where that is; far from all points the nearest one is all there is."""
    x1, z, t, h = np.array([[1.3, -0.8]]), np.array([[0.4, -2.0]]), 0.35, 1e-5
    path = TO_SIGMA_MIN
    at = lambda s: path.alpha(s) * x1 + path.sigma(s) * z  # noqa: E731
    found = empirical_field(x1, path, kind="velocity")(at(t), t)
    assert empirical_field(x1, path, kind="velocity")(at(t)[:0], t).shape == at(t)[:0].shape
    np.testing.assert_allclose(found, (at(t + h) - at(t - h)) / (2 * h), atol=1e-9)
    far = empirical_field([-1.0, 2.0], fpk.VPSchedule(1.0), kind="denoised")
    np.testing.assert_allclose(far(np.array([[-1e3], [1e3]]), 0.5), [[-1.0], [2.0]])


def test_points_are_worked_on_in_pieces_of_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    from fpk.fields import exact

    field, x = empirical_field(rng.normal(size=(40, 2)), OTSchedule()), rng.normal(size=(30, 2))
    whole = field(x, 0.4)
    monkeypatch.setattr(exact, "PAIRS", 100)
    np.testing.assert_allclose(field(x, 0.4), whole, rtol=1e-13)


def test_points_without_noise_or_of_other_shapes_are_refused() -> None:
    field = empirical_field([[1.0, 2.0]], OTSchedule())
    with pytest.raises(ProblemError, match="asked at t=0 where σ = 0"):
        field(np.zeros((1, 2)), 0.0)
    with pytest.raises(ProblemError, match=r"positions of shape \(n, 2\), got \(1, 1\)"):
        field(np.zeros((1, 1)), 0.5)
    for points in (np.zeros((0, 2)), [[np.nan]], np.zeros((2, 2, 2)), 3.0):
        with pytest.raises(ProblemError, match="points are a finite array"):
            empirical_field(points, OTSchedule())
    for weights in ([0.5, 0.6], [1.5, -0.5], [1.0], [[0.5, 0.5]]):
        with pytest.raises(ProblemError, match="2 points need as many weights"):
            empirical_field([0.0, 1.0], OTSchedule(), weights=weights)


def test_with_noise_left_at_the_data_the_field_is_that_of_blurred_data(rng: np.random.Generator) -> None:
    blurred = PLANE.pushed(np.eye(2), np.zeros(2), 0.2**2 * np.eye(2))
    x = rng.normal(size=(20, 2))
    np.testing.assert_allclose(exact_field(PLANE, TO_SIGMA_MIN)(x, 0.0), blurred.score(x), rtol=1e-12)
    with pytest.raises(ProblemError, match=r"noise of standard deviation 0\.2 there: follow its velocity"):
        fpk.noising(TO_SIGMA_MIN, PLANE)
