"""Sequential tests: false alarms within the budget, at the cost that is stated; a session's budget is spent once."""

import numpy as np
import pytest
from scipy import stats

from fpk.errors import ComparisonError
from fpk.sequential import ErrorBudget, affordable_attempts, expected_cost, sequential_test

LEVEL = 1e-6


def many_tests(p, alpha):
    """The rule on rows of p-values, (n, k), in arrays: refuted, attempts."""
    attempts = p.shape[1]
    beta, gamma = alpha / attempts, (alpha / attempts) ** (1 / attempts)
    open_, refuted, made = np.ones(len(p), bool), np.zeros(len(p), bool), np.zeros(len(p), int)
    for i in range(attempts):
        made += open_
        refuted |= open_ & (p[:, i] <= beta)
        open_ &= (p[:, i] > beta) & (p[:, i] <= gamma + beta)
        beta /= gamma
    return refuted, made


@pytest.mark.parametrize("alpha", [1e-2, 1e-3])
def test_true_hypotheses_are_refuted_no_more_often_than_alpha(rng, alpha):
    # Exact p-values spend α (1 − tiny); both binomial bounds at level 1e-6.
    count = 1_000_000
    refuted, made = many_tests(rng.random((count, affordable_attempts(alpha))), alpha)
    assert stats.binom.ppf(LEVEL, count, 0.9 * alpha) <= refuted.sum() <= stats.binom.isf(LEVEL, count, alpha)
    cost = (4.0**made - 1) / 3
    assert abs(cost.mean() - expected_cost(alpha)) <= 5 * cost.std() / np.sqrt(count)


def test_the_arrays_above_and_the_function_agree(rng):
    p = rng.random((3000, 7)) ** 3
    refuted, made = many_tests(p, 1e-2)
    for row, wrong, attempts in zip(p, refuted, made, strict=True):
        found = sequential_test(lambda i, row=row: row[i], alpha=1e-2, attempts=7)
        assert (found.refuted, found.attempts) == (wrong, attempts)
        assert found.p_values == tuple(row[:attempts])


@pytest.mark.parametrize("alpha", [0.9, 0.1, 1e-2, 1e-3, 1e-5, 1e-6, 1e-9])
def test_a_true_hypothesis_costs_at_most_twice_the_first_samples(rng, alpha):
    assert expected_cost(alpha) <= 2
    attempts = affordable_attempts(alpha)
    _, made = many_tests(rng.random((100_000, attempts)), alpha)
    cost = (4.0**made - 1) / 3
    assert abs(cost.mean() - expected_cost(alpha)) <= 5 * cost.std() / np.sqrt(100_000)
    assert attempts == 7 or expected_cost(alpha, attempts=attempts + 1) > 2


@pytest.mark.parametrize("alpha", [1e-2, 1e-5, 1e-9])
def test_a_check_that_stays_undecided_makes_the_attempts_it_can_afford(alpha):
    attempts = affordable_attempts(alpha)
    gamma = (alpha / attempts) ** (1 / attempts)
    found = sequential_test(lambda i: gamma * (1 + 1e-12), alpha=alpha)
    assert (found.refuted, found.attempts) == (False, attempts)


def test_the_cost_of_a_given_number_of_attempts_is_that_of_its_levels():
    assert expected_cost(1e-3, attempts=7) == pytest.approx(10.4, abs=0.1)
    assert expected_cost(1e-2, attempts=7) == pytest.approx(39.4, abs=0.5)
    assert expected_cost(1e-2, attempts=1) == 1


def test_a_clear_deviation_is_refuted_at_once_and_a_small_one_with_more_samples(rng):
    assert sequential_test(lambda i: 1e-30, alpha=1e-9).cost == 1
    found = [
        sequential_test(lambda i: float(2 * stats.norm.sf(abs(3.0 * 2**i + rng.standard_normal()))), alpha=1e-6)
        for _ in range(200)
    ]
    assert all(one.refuted or one.p_values[0] > 0.1 for one in found)
    assert max(one.cost for one in found) <= 85


def test_results_read_and_cost_what_was_sampled():
    found = sequential_test(lambda i: [0.02, 0.05, 0.9][i], alpha=1e-6)
    assert (found.refuted, found.attempts, found.cost) == (False, 3, 21)
    assert str(found) == "not refuted at α = 1e-06 after p = 0.02, 0.05, 0.9 (21 times the first samples)"


@pytest.mark.parametrize(("last", "refuted"), [(0.99, True), (1.01, False), (2.0, False)])
def test_the_last_attempt_leaves_nothing_open(last, refuted):
    # Six attempts in the undecided range, then p = last · γ: the last level is γ itself.
    gamma = (1e-2 / 7) ** (1 / 7)
    found = sequential_test(lambda i: last * gamma if i == 6 else 1.001e-2 / 7 * gamma**-i, alpha=1e-2, attempts=7)
    assert (found.attempts, found.refuted) == (7, refuted)


@pytest.mark.parametrize("p", [np.nan, -0.1, 1.1])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(ComparisonError, match=r"attempt 0 must return a p-value in \[0, 1\]"):
        sequential_test(lambda i: p, alpha=1e-6)


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 1.0}, {"alpha": np.nan}, {"alpha": 0.1, "attempts": 0}])
def test_levels_outside_their_range_are_refused(options):
    with pytest.raises(ComparisonError, match="0 < alpha < 1 and attempts ≥ 1"):
        sequential_test(lambda i: 0.5, **options)
    with pytest.raises(ComparisonError, match="0 < alpha < 1 and attempts ≥ 1"):
        expected_cost(**options)


# --- the budget of a session


def test_a_budget_is_handed_out_once_and_never_overspent():
    session = ErrorBudget(1e-3)
    assert session.share("mass", 4e-4) == 4e-4
    assert session.left == pytest.approx(6e-4)
    with pytest.raises(ComparisonError, match=r"'mass' has spent its share 0\.0004"):
        session.share("mass", 1e-6)
    with pytest.raises(ComparisonError, match=r"'drift' asks for 0\.0007 .* 0\.0006 of 0\.001 are left"):
        session.share("drift", 7e-4)
    assert session.share("drift", 6e-4) == 6e-4
    with pytest.raises(ComparisonError, match="are left"):
        session.share("score", 1e-9)


@pytest.mark.parametrize("count", [1, 3, 7, 1000])
def test_equal_shares_use_the_budget_up(count):
    session = ErrorBudget(1e-2)
    shares = session.split(f"check {k}" for k in range(count))
    assert len(set(shares.values())) == 1
    assert sum(shares.values()) == pytest.approx(1e-2)
    assert session.left == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("alpha", [0.0, 1.0, np.nan, -1e-3])
def test_a_budget_is_a_probability(alpha):
    with pytest.raises(ComparisonError, match=r"in \(0, 1\)"):
        ErrorBudget(alpha)


def test_shares_are_positive():
    with pytest.raises(ComparisonError, match="ask for less"):
        ErrorBudget(0.1).share("mass", 0.0)


def test_a_family_of_sequential_tests_keeps_the_session_budget(rng):
    shares = ErrorBudget(0.1).split(map(str, range(10)))
    families, refuted = 20_000, np.zeros(20_000, bool)
    for alpha in shares.values():
        refuted |= many_tests(rng.random((families, affordable_attempts(alpha))), alpha)[0]
    assert refuted.sum() <= stats.binom.isf(LEVEL, families, 0.1)
