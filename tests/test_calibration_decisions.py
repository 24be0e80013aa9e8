"""The repeated rule is fpk's own, and the repeated samples are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import lsq_linear

import fpk
from fpk.calibration import weighted
from fpk.comparison import below_zero, settle
from fpk.errors import ComparisonError
from fpk.marginals import zero_estimate
from fpk.study import REGISTERED, Size
from fpk.verdict import Outcome
from studies.calibration import decisions
from studies.calibration._decisions import (
    CODES,
    PHI,
    WEIGHTS,
    Repetitions,
    _enclosed,
    counted,
    law,
    outcomes,
    repetitions,
    weighted_repetitions,
)

K = 4
NONE = np.zeros(K)


def settled(found: Repetitions, budget, tolerance, *, bias=0.0, tolerance_mode=False, **levels) -> list:
    """The real rule, one repetition after the other."""
    moved = Repetitions(found.n, found.mean + bias, found.covariance)
    asked = {"tolerance": tolerance} if tolerance_mode else {"effect": 3 * tolerance}
    zero = zero_estimate(len(budget))
    return [settle(moved.estimate(r, budget), zero, **asked, **levels).outcome for r in range(len(found.mean))]


def arbitrary(count: int, n: int, rng: np.random.Generator) -> Repetitions:
    """Covariances from nearly diagonal to nearly singular, means up to some ten standard errors."""
    mixing = 10 ** rng.uniform(-2, 1, (count, 1, 1)) * rng.standard_normal((count, K, K))
    factor = (np.eye(K) + mixing) * 10 ** rng.uniform(-1, 0.3, (count, K, 1))
    covariance = factor @ factor.transpose(0, 2, 1) / n
    steps = rng.standard_normal((count, K)) * 10 ** rng.uniform(-1, 1, (count, 1))
    return Repetitions(n, np.einsum("rij,rj->ri", np.linalg.cholesky(covariance), steps), covariance)


BUDGETS = {
    "none": NONE,
    "equal": np.full(K, 0.02),
    "some": np.array([0.0, 0.03, 0.0, 0.001]),
    "half the tolerance": np.full(K, 0.05),
    "too large": np.array([0.0, 0.051, 0.0, 0.0]),
}


@pytest.mark.parametrize("tolerance_mode", [False, True])
@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
@pytest.mark.parametrize("n", [40, 4000])
def test_repeated_outcomes_are_those_of_settle(n, budget, tolerance_mode, rng):
    settings = {"bias": rng.normal(0, 0.02, K), "tolerance_mode": tolerance_mode, "beta": 1e-2, "alpha": 1e-3}
    tolerance = 0.1 if n == 4000 else 0.6
    for found in (arbitrary(60, n, rng), repetitions(60, n, rng, probabilities=law(2, 0.05))):
        codes = outcomes(found, budget=budget, tolerance=tolerance, **settings)
        assert [CODES[c] for c in codes] == settled(found, budget, tolerance, **settings)


def test_all_three_outcomes_are_among_the_rows_compared(rng):
    found = [repetitions(60, 4000, rng, probabilities=law(2, delta)) for delta in (0.0, 0.07, 0.2)]
    codes = np.concatenate([outcomes(one, budget=NONE, tolerance=0.1) for one in found])
    assert set(codes) == {0, 1, 2}
    assert [CODES[c] for c in codes] == [o for one in found for o in settled(one, NONE, 0.1)]


def test_rows_on_the_edge_are_decided_as_settle_decides_them():
    """Reach equal to the tolerance, S equal to the critical value up to the last bits, no variance, linear relations."""
    n, error, b = 1000, 0.01, np.full(K, 0.004)
    tolerance = 3 / 32  # three times it, and a third of that, are exact
    diagonal = np.broadcast_to(np.eye(K) * error**2, (40, K, K)).copy()
    single = settle(Repetitions(n, np.zeros((1, K)), diagonal[:1]).estimate(0, b), zero_estimate(K), effect=1.0)
    d = np.zeros((40, K))
    d[:20, 1] = np.sqrt(single.threshold) * error + 0.004 + np.arange(-10, 10) * 1e-17
    d[20:, 2] = tolerance - (0.004 + stats.t.isf(1e-3, n - 1) * error) + np.arange(-10, 10) * 1e-17
    singular = np.broadcast_to(np.ones((K, K)) * error**2, (40, K, K))
    still = diagonal.copy()
    still[:, 0, 0] = 0.0
    for covariance in (diagonal, singular, still):
        for tolerance_mode in (False, True):
            found = Repetitions(n, d, covariance)
            codes = outcomes(found, budget=b, tolerance=tolerance, tolerance_mode=tolerance_mode)
            assert [CODES[c] for c in codes] == settled(found, b, tolerance, tolerance_mode=tolerance_mode)


def test_a_single_functional_is_judged_as_settle_judges_it(rng):
    found = repetitions(100, 2000, rng, probabilities=law(1, 0.1)).first(1)
    b = np.array([0.01])
    codes = outcomes(found, budget=b, tolerance=0.15)
    assert [CODES[c] for c in codes] == settled(found, b, 0.15)


def test_too_few_samples_for_a_joint_statistic_are_refused(rng):
    with pytest.raises(ComparisonError, match="5 samples are too few for a joint statistic of 4"):
        outcomes(repetitions(3, 5, rng), budget=NONE, tolerance=1.0)


@pytest.mark.parametrize(("mixing", "width"), [(0.1, 1e-4), (0.5, np.inf), (3.0, np.inf)])
def test_the_statistic_lies_within_its_enclosure_and_nearly_independent_functionals_leave_no_doubt(mixing, width, rng):
    """A sweep of coordinate descent shrinks the error by the square of the largest correlation, .3 in the first case, or more."""
    factor = np.eye(K) + mixing * rng.standard_normal((200, K, K))
    covariance = factor @ factor.transpose(0, 2, 1)
    scale = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    correlation = covariance / (scale[:, :, None] * scale[:, None, :])
    y, edge = 4 * rng.standard_normal((200, K)), np.abs(rng.standard_normal((200, K)))
    lower, upper = _enclosed(np.linalg.inv(correlation), y, np.clip(y, -edge, edge), edge)
    for r in range(200):
        root = np.linalg.cholesky(np.linalg.inv(correlation[r])).T
        S = 2 * lsq_linear(root, root @ y[r], bounds=(-edge[r], edge[r]), method="bvls", tol=1e-14).cost
        assert lower[r] - 1e-9 * (1 + S) <= S <= upper[r] + 1e-9 * (1 + S)
        assert upper[r] - lower[r] <= width * (1 + S)


# --- the samples


def test_functionals_are_orthonormal_on_the_nodes_and_shifted_by_exactly_delta():
    np.testing.assert_allclose(PHI.T @ (WEIGHTS[:, None] * PHI), np.eye(K), atol=1e-14)
    for k in range(1, K + 1):
        p = law(k, -0.3)
        assert p.min() > 0
        np.testing.assert_allclose([p.sum(), *(p @ PHI)], [1, *(-0.3 * (np.arange(1, K + 1) == k))], atol=1e-14)


def test_means_and_covariances_are_those_of_numpy(seed):
    found = repetitions(3, 50, np.random.default_rng(seed))
    counts = np.random.default_rng(seed).multinomial(50, WEIGHTS, size=3)
    for r in range(3):
        samples = np.repeat(PHI, counts[r], axis=0)
        np.testing.assert_allclose(found.mean[r], samples.mean(0), atol=1e-14)
        np.testing.assert_allclose(found.covariance[r], np.cov(samples, rowvar=False) / 50, atol=1e-14)


def test_studentised_means_have_the_law_of_uniform_samples(rng):
    """Kolmogorov–Smirnov of 2,000 repetitions against 2,000 of uniform numbers, for each functional; 4 × 2.5e-7."""
    n = 300
    found = repetitions(2000, n, rng)
    t = found.mean / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    x = rng.uniform(-1, 1, (2000, n))
    phi = np.polynomial.legendre.legvander(x, K)[..., 1:] * np.sqrt(2 * np.arange(1, K + 1) + 1)
    uniform = phi.mean(1) / (phi.std(1, ddof=1) / np.sqrt(n))
    for k in range(K):
        assert stats.ks_2samp(t[:, k], uniform[:, k]).pvalue > 2.5e-7


def test_weighted_repetitions_give_the_rates_that_counting_gives(rng):
    """At β = 1e-2, 20,000 weighted against 100,000 counted; difference within 5.2 standard errors (2e-7)."""
    n, delta = 5000, 0.1
    settings = {"budget": NONE, "tolerance": delta, "beta": 1e-2}
    plain = counted(outcomes(repetitions(100_000, n, rng, probabilities=law(2, delta)), **settings)).rate(CODES[0])
    found = weighted_repetitions(20_000, n, rng, probabilities=law(2, delta), drawn=law(2, delta - 2.3 / np.sqrt(n)))
    rate = weighted(found.weight * (outcomes(found, **settings) == 0))
    assert abs(found.weight.mean() - 1) < 5.2 * found.weight.std() / np.sqrt(len(found.weight))
    assert abs(rate.value - plain.value) < 5.2 * np.hypot(rate.error, plain.error)
    assert rate.error < 0.5 * plain.error * np.sqrt(100_000 / 20_000)


# --- the studies

CLAIMS = [(s.claim, s) for s in REGISTERED[decisions.__name__]]


@pytest.mark.parametrize("study", [s for _, s in CLAIMS], ids=[claim for claim, _ in CLAIMS])
def test_stated_rates_are_within_their_limits_and_every_control_passes_one(study, seed):
    """Ideal samples at the quick size; each stated form is refuted with probability 1e-6 at most."""
    case = study.cases[0]
    for variant, value in study.variants.items():
        if study.applies(variant, case):
            found = study.compute(value, case, Size("quick"), seed)
            outcome = below_zero(found.first).outcome
            assert (outcome is Outcome.REFUTED) == (variant != "stated"), (variant, outcome)
            assert bool(found.charts) == (variant == "stated")


def test_every_control_applies_somewhere():
    for _, study in CLAIMS:
        assert {variant for variant, _ in study.checks} == set(study.variants)
        assert {case for _, case in study.checks} == set(study.cases)


def test_the_simulated_comparison_is_the_one_compare_makes(seed):
    exact = fpk.exact(decisions.SPRING, times=[1.0])
    run = fpk.simulate(decisions.SPRING, particles=500, steps=6, times=[1.0], seed=seed)
    expected = fpk.compare(run, exact, effect=3 * decisions.WIDE)
    found = decisions._spring(500, 6)(seed)
    assert (found.outcome, found.mde) == (expected.outcome, expected.mde)
    np.testing.assert_array_equal(found.difference, expected.difference)
