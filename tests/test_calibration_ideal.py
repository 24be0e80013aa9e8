"""Ideal samples in compiled code are the samples, statistics and verdicts they stand for; tails come out right where they are known."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special, stats

import fpk
from fpk.catalogue import load_catalogue
from fpk.comparison import below_zero, settle
from fpk.difference import box_constrained
from fpk.marginals import Estimate
from fpk.panels import _quantiles, _tabulated
from fpk.sequential import affordable_attempts, expected_cost

CATALOGUE = load_catalogue(Path(fpk.__file__).parents[1] / "studies")
PACKAGE = CATALOGUE.study_of("calibration.neyman").module.rpartition(".")[0]
ideal, tilted, alarms, sequential = (
    importlib.import_module(f"{PACKAGE}.{name}") for name in ("_ideal", "_tilted", "false_alarms", "sequential_tests")
)
GOLDEN, WORD, LONG = 0x9E3779B97F4A7C15, 2**32 - 1, 2**64 - 1
K = 4


def mixed(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & LONG
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & LONG
    return z ^ (z >> 31)


def rotated(x: int, k: int) -> int:
    return (x << k | x >> (32 - k)) & WORD


def words(seed: int, repeat: int, count: int) -> np.ndarray:
    """SplitMix64 and xoshiro128++ in Python's own integers."""
    key = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]) + 2 * repeat * GOLDEN
    low, high = mixed((key + GOLDEN) & LONG), mixed((key + 2 * GOLDEN) & LONG)
    s, out = [low & WORD, low >> 32, high & WORD, high >> 32], []
    for _ in range(count):
        out.append((rotated((s[0] + s[3]) & WORD, 7) + s[0]) & WORD)
        t = s[1] << 9 & WORD
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotated(s[3], 11)
    return np.array(out)


def uniforms(words: np.ndarray) -> np.ndarray:
    return ((words >> 8) + 0.5) / 2**24


def functionals(u: np.ndarray) -> np.ndarray:
    return np.stack([np.sqrt(2 * k + 1) * special.eval_legendre(k, 2 * u - 1) for k in range(1, K + 1)])


def largest_gap(u: np.ndarray) -> float:
    thresholds = (np.arange(128) + 0.5) / 128
    return float(np.abs((u <= thresholds[:, None]).mean(1) - thresholds).max())


@pytest.mark.parametrize("n", [5, 256, 700])
def test_means_covariances_and_gaps_are_those_of_the_samples(seed: int, n: int) -> None:
    found = ideal.draws(100, n, seed=seed, gap=True)
    for r in (0, 63, 64, 99):
        u = uniforms(words(seed, r, n))
        phi = functionals(u)
        np.testing.assert_allclose(found.mean[r], phi.mean(1), atol=1e-6)
        np.testing.assert_allclose(found.covariance[r], np.cov(phi) / n, rtol=1e-5, atol=2e-6 / n)
        assert found.gap[r] == pytest.approx(largest_gap(u), abs=1e-12)


def test_samples_of_a_shifted_law_are_the_candidates_kept(seed: int) -> None:
    n, k, delta = 300, 2, -0.3
    found = ideal.draws(65, n, seed=seed, shift=(k, delta), gap=True)
    for r in (0, 64):
        both = words(seed, r, 4 * n)
        u, coin = uniforms(both[::2]), (both[1::2] + 0.5) / 2**32
        density = 1 + delta * functionals(u)[k - 1]
        kept = u[coin < density / (1 + abs(delta) * np.sqrt(2 * k + 1))][:n]
        np.testing.assert_allclose(found.mean[r], functionals(kept).mean(1), atol=1e-6)
        assert found.gap[r] == pytest.approx(largest_gap(kept), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_a_shift_is_the_expectation_of_its_functional(seed: int, k: int) -> None:
    """Means over all samples, five and a half standard errors (α = 4e-8 each)."""
    found = ideal.draws(2_000, 500, seed=seed, shift=(k, 0.2))
    expected = np.where(np.arange(1, K + 1) == k, 0.2, 0.0)
    assert np.all(np.abs(found.mean.mean(0) - expected) < 5.5 * found.mean.std(0) / np.sqrt(2_000))


def test_a_repetition_does_not_depend_on_its_batch(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"seed": seed, "shift": (3, 0.1), "gap": True}
    at_once = ideal.draws(300, 100, **settings)
    monkeypatch.setattr(ideal, "BATCH", 130)
    monkeypatch.setattr(ideal, "THREADS", 1)
    parts = list(ideal.batches(300, 100, **settings))
    assert [len(part.gap) for part in parts] == [130, 130, 40]
    np.testing.assert_array_equal(np.concatenate([part.sums for part in parts], axis=1), at_once.sums)
    np.testing.assert_array_equal(np.concatenate([part.gap for part in parts]), at_once.gap)


@pytest.mark.parametrize("n", [6, 40, 1000])
def test_the_statistic_is_the_one_of_verdicts(seed: int, n: int) -> None:
    """Six samples leave covariances that are nearly singular, with directions that are given more variance than they have."""
    found = ideal.draws(300, n, seed=seed)
    oracle = [box_constrained(m, C, np.zeros(K)) for m, C in zip(found.mean[:300], found.covariance[:300], strict=True)]
    np.testing.assert_allclose(ideal.statistics(found), oracle, rtol=1e-9)


def verdict_on(u: np.ndarray, alpha: float) -> bool:
    """What settle says of samples whose exact law is a Gaussian one, on the panel of that law."""
    law = fpk.Gaussian(0.0, 1.0)
    panel = fpk.law_panel({0.0: law})
    x = law.quantile(u)[:, None] if hasattr(law, "quantile") else special.ndtri(u)[:, None]
    phi, flags = panel.smooth[0].values(x), panel.thresholds[0].values(x)
    sampled = Estimate(
        phi.mean(1), np.zeros(K), covariance=np.cov(phi) / len(u), samples=len(u), thresholds=flags.mean(1), threshold_bound=np.zeros(128)
    )  # fmt: skip
    levels = special.ndtr(_quantiles(*_tabulated(law)))
    exact = Estimate(np.zeros(K), np.zeros(K), thresholds=levels, threshold_bound=np.zeros(128))
    return settle(sampled, exact, alpha=alpha).outcome == fpk.Outcome.REFUTED


def test_whole_verdicts_are_those_of_settle_on_real_samples(seed: int) -> None:
    n, alpha, repeats = 60, 0.5, 60
    found = ideal.draws(repeats, n, seed=seed, gap=True)
    refuted = alarms.Verdicts().refuted(found, alpha)
    assert list(refuted) == [verdict_on(uniforms(words(seed, r, n)), alpha) for r in range(repeats)]
    by_statistic = ideal.statistics(found) > ideal.critical(n, alpha / 2)
    assert np.any(refuted & ~by_statistic)
    assert 0 < by_statistic.sum() < refuted.sum() < repeats


def test_limits_are_those_of_hotelling_and_massart() -> None:
    for n, level in ((100, 1e-2), (5_000, 1e-6)):
        assert ideal.critical(n, level) >= stats.f.isf(level, K, n - K) * K * (n - 1) / (n - K) * (1 - 1e-12)
        assert ideal.largest_gap(n, level) == pytest.approx(np.sqrt(np.log(2 / level) / (2 * n)), rel=1e-12)


# -- tails


def test_the_tilts_are_the_600_cell() -> None:
    v = tilted.vertices()
    assert v.shape == (120, 4)
    products = np.unique((v @ v.T).round(9))
    golden = (1 + 5**0.5) / 2
    np.testing.assert_allclose(
        products, [-1, -golden / 2, -0.5, -0.5 / golden, 0, 0.5 / golden, 0.5, golden / 2, 1], atol=1e-8
    )


def test_the_normalisation_of_a_tilt_is_its_integral() -> None:
    tilts = np.array([[0.3, -0.2, 0.1, 0.4], [0.0, 0.0, 0.0, 0.0]])
    oracle = [
        np.log(integrate.quad(lambda u, t=t: np.exp(t @ functionals(np.array([u]))[:, 0]), 0, 1)[0]) for t in tilts
    ]
    np.testing.assert_allclose(tilted.log_partition(tilts), oracle, atol=1e-12)


@pytest.mark.parametrize("n", [30, 1000])
def test_weights_of_importance_sampling_have_mean_one(seed: int, n: int) -> None:
    """Within five and a half standard errors (α = 4e-8), with tilts near the middle, so that all of the law is met."""
    found = tilted.tails(20_000, n, limits=[1.0, 6.0], seed=seed)
    everything = found.beyond(-1.0)
    assert abs(everything.value - 1) < 5.5 * everything.error
    assert everything.error < 0.02


def test_tails_are_those_that_numpy_counts(seed: int, rng: np.random.Generator) -> None:
    """P(S > c) beyond the 1e-2 of χ² for 50 samples, where it is far above nominal: five and a half standard errors (α = 4e-8)."""
    n, limit, repeats = 50, float(stats.chi2.isf(1e-2, K)), 40_000
    phi = functionals(rng.random((repeats, n)))
    mean = phi.mean(2).T
    spread = phi - phi.mean(2, keepdims=True)
    C = np.einsum("irs,jrs->rij", spread, spread) / (n * (n - 1))
    S = np.einsum("ri,ri->r", mean, np.linalg.solve(C, mean[:, :, None])[:, :, 0])
    counted = fpk.calibration.Rate(int(np.count_nonzero(limit < S)), repeats)
    weighed = tilted.tails(20_000, n, limits=[limit], seed=seed).beyond(limit)
    assert abs(counted.value - weighed.value) < 5.5 * np.hypot(counted.error, weighed.error)
    assert weighed.error < 0.05 * weighed.value


def test_importance_sampling_reaches_far_beyond_what_can_be_counted(seed: int) -> None:
    """With 20,000 samples S is nearly χ²: at 1e-9 the tail is known within 8 % from 4,000 repetitions."""
    rate = tilted.tails(4_000, 20_000, limits=[48.0], seed=seed).beyond(stats.chi2.isf(1e-9, K))
    assert rate.error < 0.08 * rate.value
    assert 0.5e-9 < rate.value < 4e-9


# -- sequential tests


@pytest.mark.parametrize("alpha", [1e-5, 1e-2])
def test_levels_read_off_the_function_spend_alpha_and_cost_what_is_stated(alpha: float) -> None:
    alarm, cost = sequential.exact_rates(sequential._stated, alpha)
    assert alarm == pytest.approx(alpha, rel=1e-10)
    assert cost == pytest.approx(expected_cost(alpha), rel=1e-10)


def test_levels_of_wrong_rules_are_read_off_too() -> None:
    attempts = affordable_attempts(1e-5)
    gamma = (1e-5 / attempts) ** (1 / attempts)
    assert sequential.exact_rates(sequential._undivided, 1e-5)[0] == pytest.approx(attempts * 1e-5, rel=1e-10)
    repeated = 1e-5 * sum(gamma**i for i in range(attempts))
    assert sequential.exact_rates(sequential._again, 1e-5)[0] == pytest.approx(repeated, rel=1e-10)


def test_counts_of_calls_agree_with_the_exact_rates(seed: int) -> None:
    """Binomial limits at 1e-6, and five and a half standard errors of the mean cost."""
    rate, cost = sequential.counted(sequential._stated, 0.05, calls=100_000, seed=seed)
    assert stats.binom.ppf(1e-6, 100_000, 0.05) <= rate.events <= stats.binom.isf(1e-6, 100_000, 0.05)
    assert abs(cost.value - expected_cost(0.05)) < 5.5 * cost.error


@pytest.mark.parametrize(("calls", "alpha"), [(200_000, 1e-2), (20_000_000, 1e-5)])
def test_a_nominal_rate_keeps_the_planned_limit_and_a_larger_one_does_not(calls: int, alpha: float) -> None:
    limit = sequential.kept_by_nominal(calls, alpha)
    events = np.arange(int(3 * calls * alpha))
    confirmed = [
        below_zero(fpk.calibration.held([fpk.calibration.Limited("", fpk.calibration.Rate(int(k), calls), at_most=limit)], "")[0]).outcome
        == fpk.Outcome.CONFIRMED
        for k in events
    ]  # fmt: skip
    assert 0.999 <= stats.binom.pmf(events, calls, alpha) @ confirmed <= 0.9998
    assert stats.binom.pmf(events, calls, limit) @ confirmed < 2e-3
