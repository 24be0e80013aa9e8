"""A plan from a pilot: what it asks for settles the comparison, and a quarter of the particles does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

import fpk
from fpk.comparison import settle
from fpk.errors import ComparisonError
from fpk.marginals import zero_estimate
from fpk.planning import SAMPLED_SHARE, Plan, plan_from

DELTA, SPREAD = 0.03, 1.0
K = 4


def drawn(n: int, rng: np.random.Generator) -> fpk.Estimate:
    """An ideal sampled side of the true value 0 with unit covariance."""
    return fpk.Estimate(
        rng.standard_normal(K) * SPREAD / np.sqrt(n), np.full(K, 1e-9), covariance=np.eye(K) / n, samples=n
    )


EXACT = fpk.Estimate(np.zeros(K), np.full(K, 1e-12))


def test_the_planned_number_confirms_and_a_quarter_of_it_never_confirms_falsely(rng: np.random.Generator) -> None:
    """2,000 repetitions: at least .995 confirmed (true .999 or more, so a miss has probability below 1e-6)."""
    pilot = settle(drawn(1000, rng), EXACT, effect=3 * DELTA)
    n = int(np.ceil(1000 * plan_from(pilot).particles))
    outcomes = Counter(settle(drawn(n, rng), EXACT, effect=3 * DELTA).outcome for _ in range(2000))
    assert outcomes[fpk.Outcome.CONFIRMED] >= 0.995 * 2000
    fewer = Counter(settle(drawn(n // 4, rng), EXACT, effect=3 * DELTA).outcome for _ in range(500))
    assert fewer[fpk.Outcome.UNDECIDED] >= 0.9 * 500
    assert fewer[fpk.Outcome.REFUTED] == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_planned_from_a_pilot_with_a_large_budget_confirms_whatever_the_bias(
    sign: int, rng: np.random.Generator
) -> None:
    """1,000 repetitions with the whole budget as bias: 1e-4 fail, so 6 or more have probability below 1e-6."""
    pilot = drawn(1000, rng)
    plan = plan_from(settle(replace(pilot, bias_bound=np.full(K, DELTA / 3)), EXACT, effect=3 * DELTA))
    assert plan.steps == pytest.approx(2.0)
    n, budget = int(np.ceil(1000 * plan.particles)), np.full(K, DELTA / 3 / plan.steps)
    found = Counter(
        settle(replace(one, value=one.value + sign * budget, bias_bound=budget), EXACT, effect=3 * DELTA).outcome
        for one in (drawn(n, rng) for _ in range(1000))
    )
    assert found[fpk.Outcome.CONFIRMED] >= 0.995 * 1000


@pytest.mark.parametrize("share", [0.0, 0.05, 1 / 6, 0.3])
def test_particles_leave_room_for_a_bias_of_either_sign_and_steps_take_the_budget_to_a_sixth(share: float) -> None:
    b, error = share * DELTA, 0.01
    pilot = fpk.Estimate(np.zeros(K), np.full(K, b), covariance=np.eye(K) * error**2, samples=1000)
    plan = plan_from(settle(pilot, zero_estimate(K), effect=3 * DELTA))
    assert plan.steps == pytest.approx(6 * share)
    assert plan.particles == pytest.approx(((4 + norm.isf(1e-3)) * error / (DELTA - 2 * min(b, DELTA / 6))) ** 2)


def test_a_budget_of_a_sixth_of_the_tolerance_needs_the_fewest_particles_times_steps() -> None:
    b = np.linspace(0.01, 0.49, 4801)
    assert b[np.argmin(1 / (b * (1 - 2 * b) ** 2))] == pytest.approx(SAMPLED_SHARE, abs=1e-4)


def test_a_grid_plan_asks_for_the_resolution_that_brings_the_budget_to_a_third() -> None:
    pilot = settle(fpk.Estimate(np.zeros(K), np.full(K, 0.16 * DELTA / 3 * 100)), EXACT, effect=3 * DELTA)
    assert plan_from(pilot).cells == pytest.approx(2.0)
    assert "2 × the cells and steps" in str(plan_from(pilot))


def test_a_pilot_that_would_do_says_so() -> None:
    pilot = settle(fpk.Estimate(np.zeros(K), np.full(K, DELTA / 300)), EXACT, effect=3 * DELTA)
    assert plan_from(pilot).enough
    assert str(Plan(0.5, 0.2, 0.0)) == "enough: the limiting resource is used to 50 %"


def test_a_pilot_without_tolerance_or_budget_is_refused() -> None:
    with pytest.raises(ComparisonError, match="needs a tolerance"):
        plan_from(settle(EXACT, EXACT))
    unrefined = fpk.Estimate(np.zeros(K), np.full(K, np.inf))
    with pytest.raises(ComparisonError, match="no error budget"):
        plan_from(settle(unrefined, EXACT, effect=1.0))
