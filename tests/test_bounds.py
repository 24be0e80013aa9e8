"""One-sided bounds: below zero, increasing, decreasing."""

import numpy as np
import pytest
from scipy import stats

from fpk.comparison import below_zero, monotone
from fpk.errors import ComparisonError
from fpk.marginals import Estimate
from fpk.verdict import Outcome

CONFIRMED, REFUTED, UNDECIDED = Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNDECIDED


def certain(values, bound=0.0):
    values = np.asarray(values, float)
    return Estimate(values, np.full(values.shape, bound), source="entropy")


def sampled(values, covariance, bound=0.0):
    values = np.asarray(values, float)
    return Estimate(values, np.full(values.shape, bound), covariance=covariance, samples=1000, source="sampled entropy")


def test_a_rising_sequence_increases_and_does_not_decrease():
    values = certain([0.0, 0.1, 0.5], 1e-3)
    assert monotone(values).outcome is CONFIRMED
    assert monotone(values, increasing=False).outcome is REFUTED
    assert monotone(certain([0.5, 0.1, 0.0], 1e-3), increasing=False).outcome is CONFIRMED


def test_a_step_within_both_budgets_is_undecided():
    # Each value may be off by .06: the step of .1 by .12.
    assert monotone(certain([0.0, 0.1], 0.06)).outcome is UNDECIDED
    assert monotone(certain([0.0, 0.1], 0.04)).outcome is CONFIRMED


def test_one_step_back_refutes_and_is_named():
    verdict = monotone(certain([0.0, 0.3, 0.2, 0.9], 1e-3))
    assert verdict.outcome is REFUTED
    assert (verdict.kind, verdict.names[verdict.worst], verdict.names) == (
        "bound", "value 1 to 2", ("value 0 to 1", "value 1 to 2", "value 2 to 3"),
    )  # fmt: skip
    assert verdict.pair[0] == "decrease of entropy"


def test_noise_common_to_all_values_does_not_count():
    shared = np.ones((3, 3)) + 1e-6 * np.eye(3)
    assert monotone(sampled([0.0, 0.1, 0.2], shared)).outcome is CONFIRMED
    assert monotone(sampled([0.0, 0.1, 0.2], np.diag(np.diag(shared)))).outcome is UNDECIDED


def test_constants_are_refuted_no_more_often_than_alpha(rng):
    # The edge of the hypothesis, four correlated values; binomial bounds at level 1e-6.
    repetitions, alpha = 4000, 1e-2
    C = 0.5 * np.ones((4, 4)) + 0.5 * np.eye(4)
    draws = rng.multivariate_normal(np.zeros(4), C, size=repetitions)
    found = [monotone(sampled(d, C), alpha=alpha).outcome for d in draws]
    assert found.count(REFUTED) <= stats.binom.isf(1e-6, repetitions, alpha)
    assert found.count(CONFIRMED) <= stats.binom.isf(1e-6, repetitions, 1e-3)


def test_a_single_value_is_not_monotone():
    with pytest.raises(ComparisonError, match="two values or more, got 1"):
        monotone(certain([1.0]))


def test_a_quantity_at_zero_is_refuted_no_more_often_than_alpha(rng):
    repetitions, alpha = 4000, 1e-2
    draws = rng.standard_normal((repetitions, 3))
    found = [below_zero(sampled(d, np.eye(3)), alpha=alpha).outcome for d in draws]
    assert found.count(REFUTED) <= stats.binom.isf(1e-6, repetitions, alpha)
