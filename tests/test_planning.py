"""A plan from a pilot: what it asks for settles the comparison, and a quarter of the particles does not."""

from __future__ import annotations

import zlib
from collections import Counter

import numpy as np
import pytest

import fpk
from fpk.comparison import settle
from fpk.errors import ComparisonError
from fpk.planning import Plan, plan_from

DELTA, SPREAD = 0.03, 1.0
K = 4


def drawn(n: int, rng: np.random.Generator) -> fpk.Estimate:
    """An ideal sampled side of the true value 0 with unit covariance."""
    return fpk.Estimate(
        rng.standard_normal(K) * SPREAD / np.sqrt(n), np.full(K, 1e-9), covariance=np.eye(K) / n, samples=n
    )


EXACT = fpk.Estimate(np.zeros(K), np.full(K, 1e-12))


def test_the_planned_number_confirms_and_a_quarter_of_it_never_confirms_falsely() -> None:
    """2,000 repetitions: at least .995 confirmed (true .999 or more, so a miss has probability below 1e-6)."""
    rng = np.random.default_rng(zlib.crc32(b"planned number"))
    pilot = settle(drawn(1000, rng), EXACT, effect=3 * DELTA)
    n = int(np.ceil(1000 * plan_from(pilot).particles))
    outcomes = Counter(settle(drawn(n, rng), EXACT, effect=3 * DELTA).outcome for _ in range(2000))
    assert outcomes[fpk.Outcome.CONFIRMED] >= 0.995 * 2000
    fewer = Counter(settle(drawn(n // 4, rng), EXACT, effect=3 * DELTA).outcome for _ in range(500))
    assert fewer[fpk.Outcome.UNDECIDED] >= 0.9 * 500
    assert fewer[fpk.Outcome.REFUTED] == 0


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
