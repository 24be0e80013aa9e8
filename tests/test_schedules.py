import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from fpk.errors import ProblemError
from fpk.schedules import AffineSchedule, OTSchedule, Schedule, SubVPSchedule, VESchedule, VPSchedule

COSINE = AffineSchedule(lambda t: np.cos(0.45 * np.pi * t), lambda t: np.sin(0.45 * np.pi * t))
RECTIFIED = AffineSchedule(lambda t: 1 - 0.9 * t, lambda t: 0.9 * t)
ALL = [
    VPSchedule(0.1, 20.0),
    VPSchedule(2.0),
    SubVPSchedule(0.1, 20.0),
    SubVPSchedule(1.0, 4.0),
    VESchedule(0.01, 5.0),
    COSINE,
    RECTIFIED,
]


@pytest.mark.parametrize("schedule", ALL, ids=lambda s: type(s).__name__)
def test_the_sde_realises_the_stated_law(schedule):
    # ȧ = f a, (σ²)˙ = 2 f σ² + g², solved by scipy from (1, 0).
    path = solve_ivp(
        lambda t, y: [schedule.drift_rate(t) * y[0], 2 * schedule.drift_rate(t) * y[1] + schedule.diffusion(t) ** 2],
        (0.0, 1.0),
        [1.0, 0.0],
        method="DOP853",
        rtol=1e-11,
        atol=1e-14,
        t_eval=np.linspace(0, 1, 9),
    )
    np.testing.assert_allclose(path.y[0], [schedule.alpha(t) for t in path.t], rtol=1e-8)
    # 1e-10 absolute: the derived schedules differentiate numerically, sixth order with step 1e-3.
    np.testing.assert_allclose(path.y[1], [schedule.sigma(t) ** 2 for t in path.t], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("schedule", ALL, ids=lambda s: type(s).__name__)
def test_every_schedule_starts_at_the_data(schedule):
    assert isinstance(schedule, Schedule)
    assert schedule.alpha(0.0) == 1.0
    assert schedule.sigma(0.0) == 0.0


@given(low=st.floats(0, 5), high=st.floats(0, 20), t=st.floats(0, 1))
def test_variance_preserving_keeps_unit_variance_and_integrates_its_rate(low, high, t):
    schedule = VPSchedule(low, high)
    assert schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2 == pytest.approx(1.0, abs=1e-14)
    assert schedule.integrated_beta(t) == pytest.approx(quad(schedule.beta, 0, t)[0], abs=1e-11)


@given(low=st.floats(0, 5), high=st.floats(0, 20), t=st.floats(0, 1))
def test_sub_vp_noise_is_the_square_of_vp_noise_and_never_larger(low, high, t):
    vp, sub = VPSchedule(low, high), SubVPSchedule(low, high)
    assert sub.alpha(t) == vp.alpha(t)
    assert sub.sigma(t) == pytest.approx(vp.sigma(t) ** 2, rel=1e-12, abs=1e-15)
    assert sub.diffusion(t) <= vp.diffusion(t)


def test_the_straight_path_may_leave_noise_at_the_data():
    path = OTSchedule(sigma_min=0.3)
    assert (path.alpha(0.0), path.sigma(0.0), path.alpha(1.0), path.sigma(1.0)) == (1.0, 0.3, 0.0, 1.0)
    slopes = [(of(0.5) - of(0.3)) / 0.2 for of in (path.alpha, path.sigma)]
    assert path.rates(0.4) == pytest.approx(slopes)
    h, t = 1e-5, 0.6  # g² = d(σ²)/dt − 2 (α̇/α) σ²
    squares = (path.sigma(t + h) ** 2 - path.sigma(t - h) ** 2) / (2 * h) + 2 * path.sigma(t) ** 2 / path.alpha(t)
    assert path.diffusion(t) ** 2 == pytest.approx(squares, rel=1e-8)


@pytest.mark.parametrize("left", [-0.1, 1.0, np.nan])
def test_the_noise_that_a_straight_path_leaves_is_below_what_it_begins_with(left):
    with pytest.raises(ProblemError, match="0 ≤ sigma_min < 1"):
        OTSchedule(left)


def test_sigma_is_accurate_at_tiny_times():
    # σ² = 1 − e^{−B} = B − B²/2 to first orders; 1 − exp would lose every digit.
    assert VPSchedule(1.0).sigma(1e-14) == pytest.approx(1e-7, rel=1e-12)


def test_geometric_ve_reaches_the_stated_scale():
    schedule = VESchedule(0.02, 3.0)
    assert schedule.sigma(1.0) == pytest.approx(np.sqrt(3.0**2 - 0.02**2), rel=1e-12)
    assert schedule.alpha(0.7) == 1.0
    assert schedule.drift_rate(0.7) == 0.0


def test_an_affine_pair_gives_the_named_schedule_back():
    vp = VPSchedule(0.5, 3.0)
    derived = AffineSchedule(vp.alpha, vp.sigma)
    for t in (0.0, 5e-4, 0.3, 1.0):
        assert derived.drift_rate(t) == pytest.approx(vp.drift_rate(t), rel=1e-8)
        assert derived.diffusion(t) == pytest.approx(vp.diffusion(t), rel=1e-7)


def test_a_pair_no_noise_can_realise_is_refused_and_says_where():
    shrinking = AffineSchedule(lambda t: 1.0, lambda t: t * (1 - t))
    assert shrinking.diffusion(0.25) > 0
    with pytest.raises(ProblemError, match=r"σ/α decreases at t=0\.75"):
        shrinking.diffusion(0.75)


def test_a_pair_that_loses_the_data_is_refused_where_alpha_vanishes():
    straight = AffineSchedule(lambda t: 1 - t, lambda t: t)
    with pytest.raises(ProblemError, match=r"α must be positive, got 0 at t=1.*horizon"):
        straight.drift_rate(1.0)
    with pytest.raises(ProblemError, match="α must be positive"):
        straight.diffusion(1.0)


@pytest.mark.parametrize("rates", [(-0.1, 1.0), (0.1, -1.0), (np.nan, 1.0)])
@pytest.mark.parametrize("kind", [VPSchedule, SubVPSchedule])
def test_negative_rates_are_refused(kind, rates):
    with pytest.raises(ProblemError, match="must not be negative"):
        kind(*rates)


@pytest.mark.parametrize("scales", [(0.0, 1.0), (2.0, 1.0), (1.0, 1.0), (-1.0, 1.0)])
def test_ve_scales_must_grow_from_a_positive_one(scales):
    with pytest.raises(ProblemError, match="0 < sigma_min < sigma_max"):
        VESchedule(*scales)


def test_no_formula_of_a_schedule_runs_code(monkeypatch):
    monkeypatch.delenv("READ_AS_CODE", raising=False)
    with pytest.raises(ProblemError, match=r"cannot read the alpha .* as a formula"):
        AffineSchedule("__import__('os').environ.update(READ_AS_CODE='yes')", "t")
    assert "READ_AS_CODE" not in os.environ
