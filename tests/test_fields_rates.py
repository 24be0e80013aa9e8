"""Rates of schedules: α̇ and σ̇ against differences of α and σ, at both ends of the horizon too, and the straight path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import fpk
from fpk.errors import ProblemError
from fpk.schedules import OTSchedule, Schedule, rates

NAMED: dict[str, Any] = {
    "VP": fpk.VPSchedule(0.1, 20.0),
    "VP from rest": fpk.VPSchedule(0.0, 5.0),
    "sub-VP": fpk.SubVPSchedule(0.3, 4.0),
    "VE": fpk.VESchedule(0.01, 5.0),
    "OT": OTSchedule(),
    "cosine": fpk.AffineSchedule(lambda t: np.cos(0.45 * np.pi * t), lambda t: np.sin(0.45 * np.pi * t)),
}


class Bare:
    """The α, σ, f and g of another schedule, without rates."""

    def __init__(self, other: Any) -> None:
        self.alpha, self.sigma, self.drift_rate, self.diffusion = (
            other.alpha, other.sigma, other.drift_rate, other.diffusion,
        )  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
@given(t=st.floats(0.02, 0.95))
def test_rates_are_the_slopes(name: str, t: float) -> None:
    schedule, h = NAMED[name], 1e-3 * t
    slopes = [
        sum(w * f(t + k * h) for k, w in ((-2, 1), (-1, -8), (1, 8), (2, -1))) / (12 * h)
        for f in (schedule.alpha, schedule.sigma)
    ]
    assert rates(schedule, t) == pytest.approx(slopes, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("name", NAMED)
def test_rates_follow_from_the_sde_where_none_are_stated(name: str) -> None:
    for t in (1e-3, 0.3, 0.9):
        assert rates(Bare(NAMED[name]), t) == pytest.approx(rates(NAMED[name], t), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("VP", np.inf),
        ("VE", np.inf),
        ("sub-VP", 0.3),
        ("OT", 1.0),
        ("cosine", 0.45 * np.pi),
        ("VP from rest", 2.5**0.5),
    ],
)
def test_at_the_data_the_noise_grows_at_its_limit(name: str, expected: float) -> None:
    assert rates(NAMED[name], 0.0)[1] == pytest.approx(expected, rel=1e-9)


def test_a_root_given_by_a_function_starts_at_infinite_speed_and_what_cannot_be_told_is_nan() -> None:
    vp = fpk.VPSchedule(1.0)
    assert rates(fpk.AffineSchedule(vp.alpha, vp.sigma), 0.0)[1] == np.inf
    assert np.isnan(rates(Bare(OTSchedule()), 0.0)[1])
    assert rates(Bare(vp), 0.0) == (-0.5, np.inf)


def test_the_straight_path_is_a_schedule_whose_sde_has_its_law() -> None:
    straight = OTSchedule()
    assert isinstance(straight, Schedule)
    path = solve_ivp(
        lambda t, y: [straight.drift_rate(t) * y[0], 2 * straight.drift_rate(t) * y[1] + straight.diffusion(t) ** 2],
        (0.0, 0.9),
        [1.0, 0.0],
        rtol=1e-11,
        atol=1e-14,
        t_eval=[0.0, 0.3, 0.9],
    )
    np.testing.assert_allclose(path.y, [1 - path.t, path.t**2], rtol=1e-8, atol=1e-12)
    assert (straight.alpha(1.0), straight.sigma(1.0), rates(straight, 1.0)) == (0.0, 1.0, (-1.0, 1.0))


def test_no_sde_reaches_the_end_of_the_straight_path() -> None:
    for coefficient in (OTSchedule().drift_rate, OTSchedule().diffusion):
        with pytest.raises(ProblemError, match=r"reaches the end t = 1 .* asked at t=1: .*horizon="):
            coefficient(1.0)
