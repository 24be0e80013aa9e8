"""The chain forwards and its posteriors: against conditioning of joint Gaussians, moments of SDEs, and recursions by hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpk
from fpk.chains import propagate
from fpk.errors import ProblemError, SchemeError
from fpk.fields import Field, exact_field
from fpk.moments import transition
from fpk.samplers import DDIM, DDPM, VPChain, forward_kernel, posterior
from fpk.samplers.coupling import quantiles
from fpk.schedules import OTSchedule, Schedule

BETAS = (0.05, 0.3, 0.12, 0.4, 0.2)
SCHEDULES: dict[str, Schedule] = {
    "VP": fpk.VPSchedule(0.6, 3.4),
    "VE": fpk.VESchedule(0.2, 2.0),
    "sub-VP": fpk.SubVPSchedule(1.0, 5.0),
    "straight": OTSchedule(),
    "cosine": fpk.AffineSchedule("cos(1.2*t)", "sin(1.2*t)"),
}
DATA = fpk.problems.two_peaks()
named = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


@named
@given(s=st.floats(0.02, 0.8), step=st.floats(0.02, 0.15), eta=st.sampled_from([0.0, 0.4, 1.0]))
def test_posteriors_condition_the_joint_law_of_the_path(schedule: Schedule, s: float, step: float, eta: float) -> None:
    """X_0 of variance 1, X_s, X_t = a X_s + noise: regression of X_s on X_0 and X_t, from their covariance alone."""
    t = s + step
    (a0, a1), (s0, s1) = ([f(u) for u in (s, t)] for f in (schedule.alpha, schedule.sigma))
    ratio = a1 / a0
    joint = np.array(
        [[1, a0, a1], [a0, a0**2 + s0**2, ratio * (a0**2 + s0**2)], [a1, ratio * (a0**2 + s0**2), a1**2 + s1**2]]
    )
    slopes = np.linalg.solve(joint[np.ix_([0, 2], [0, 2])], joint[[0, 2], 1])
    left = joint[1, 1] - slopes @ joint[[0, 2], 1]
    found = posterior(schedule, s, t)
    np.testing.assert_allclose([found.data, found.later, found.std**2], [*slopes, left], rtol=1e-9, atol=1e-11)
    member = posterior(schedule, s, t, eta=eta)  # of the family: the law of X_s given X_0 again
    assert member.std == pytest.approx(eta * found.std, rel=1e-12)
    assert member.data + member.later * a1 == pytest.approx(a0, rel=1e-12)
    assert (member.later * s1) ** 2 + member.std**2 == pytest.approx(s0**2, rel=1e-10)


@pytest.mark.parametrize("name", ["VP", "VE", "sub-VP", "cosine"])
def test_forward_kernels_are_the_transitions_of_the_sde(name: str) -> None:
    schedule, x = SCHEDULES[name], np.array([[1.0], [-2.0]])
    problem = fpk.Problem(fpk.Linear(schedule.drift_rate), schedule.diffusion, initial=DATA)
    for s, t in ((0.0, 0.3), (0.3, 0.35), (0.35, 0.9)):
        found, moved = forward_kernel(schedule, s, t), transition(problem, s, t)
        np.testing.assert_allclose(found.mean(x), x * moved.slope[0, 0], rtol=1e-8)
        assert found.std**2 == pytest.approx(moved.covariance[0, 0], rel=1e-8)


def test_a_list_of_betas_is_the_chain_at_whole_times_and_an_sde_between_them() -> None:
    chain, mean, variance = VPChain(BETAS), 1.0, 0.0
    problem = fpk.noising(chain, DATA, horizon=5)
    for k, beta in enumerate(BETAS):
        kernel = forward_kernel(chain, k, k + 1)
        assert kernel.mean(np.ones((1, 1)))[0, 0] == pytest.approx((1 - beta) ** 0.5, rel=1e-14)
        assert kernel.std == pytest.approx(beta**0.5, rel=1e-13)
        mean, variance = (1 - beta) ** 0.5 * mean, (1 - beta) * variance + beta
        assert chain.alpha(k + 1) == pytest.approx(mean, rel=1e-14)
        assert chain.sigma(k + 1) ** 2 == pytest.approx(variance, rel=1e-14)
        within = transition(problem, k + 0.2, k + 0.9)
        assert within.slope[0, 0] == pytest.approx(chain.alpha(k + 0.9) / chain.alpha(k + 0.2), rel=1e-10)
        assert within.covariance[0, 0] == pytest.approx(forward_kernel(chain, k + 0.2, k + 0.9).std ** 2, rel=1e-10)
    assert fpk.exact(problem, times=[3]).law(3).mean[0] == pytest.approx(
        DATA.mean[0] * np.prod(np.sqrt(1 - np.array(BETAS[:3])))
    )


def test_fields_and_samplers_live_on_a_chain() -> None:
    """The law of an exact model's chain, walked down all its steps from N(0, 1), is near that of the data."""
    chain, data = VPChain(1 - np.exp(-np.linspace(1e-4, 0.12, 200))), fpk.Gaussian(1.0, 0.5)
    field = exact_field(data, chain, kind="noise")
    for sampler in (DDPM(field, times=np.arange(200, -1, -1)), DDIM(field, times=np.arange(200, -1, -2))):
        law: Any = propagate(sampler).law(0.0)
        assert law.mean[0] == pytest.approx(1.0, abs=0.02)
        assert law.covariance[0, 0] == pytest.approx(0.25, abs=0.02)
    assert fpk.noising(chain, data, horizon=200).schedule == VPChain(chain.betas)


def test_inverted_steps_undo_steps_of_one_noise_exactly() -> None:
    x, eps = np.linspace(-2, 2, 9)[:, None], np.cos(np.arange(9.0))[:, None]
    for schedule in SCHEDULES.values():
        sampler = DDIM(Field(lambda x, t: eps, "noise", schedule), times=[0.9, 0.5, 0.2, 0.0])
        for k in range(3):
            back = sampler.inverted(sampler.step(x, k, np.zeros((0, 9, 1))), k)
            np.testing.assert_allclose(back, x, rtol=1e-12, atol=1e-13)


def test_inversion_encodes_data_as_the_quantiles_of_the_noised_law() -> None:
    schedule, levels = fpk.VPSchedule(0.6, 3.4), np.array([0.1, 0.4, 0.8])
    law, errors = fpk.exact(fpk.noising(schedule, DATA), times=[1.0]).law(1.0), []
    for steps in (100, 200):
        sampler, x = DDIM(exact_field(DATA, schedule, kind="noise"), steps=steps), quantiles(DATA, levels)[:, None]
        for k in reversed(range(steps)):
            x = sampler.inverted(x, k)
        errors.append(np.abs(x[:, 0] - quantiles(law, levels)).max())
    assert errors[1] < 0.03
    assert 1.6 < errors[0] / errors[1] < 2.4


@pytest.mark.parametrize(
    ("error", "call", "words"),
    [
        (SchemeError, lambda: forward_kernel(OTSchedule(), 0.5, 0.4), "from s to a later t"),
        (SchemeError, lambda: posterior(OTSchedule(), 0.5, 0.5), "at an earlier s, got s=0.5 and t=0.5"),
        (SchemeError, lambda: posterior(OTSchedule(), 0.4, 0.5, eta=2.0), "got 2.0"),
        (ProblemError, lambda: VPChain([0.1, 1.2]), "β in (0, 1), got [0.1, 1.2]"),
        (ProblemError, lambda: VPChain([]), "β in (0, 1)"),
        (ProblemError, lambda: VPChain([0.1]).alpha(2.0), "lies in [0, 1], got t=2"),
        (ProblemError, lambda: VPChain([0.1]).drift_rate(2.0), "lies in [0, 1], got t=2"),
        (ProblemError, lambda: VPChain([0.1]).diffusion(-1.0), "lies in [0, 1], got t=-1"),
        (ProblemError, lambda: VPChain("abc"), "got 'abc'"),
        (SchemeError, lambda: forward_kernel(OTSchedule(), 1.0, 1.0), "nothing of the data is left at s=1"),
        (
            SchemeError,
            lambda: DDPM(exact_field(DATA, OTSchedule()), steps=2).inverted(np.zeros((1, 1)), 0),
            "only steps without noise can be inverted",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_words(error: type[Exception], call: Any, words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call()
