"""What an undecided comparison advises settles it, with the stated power, and is hardly a matter of luck."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.comparison import settle
from fpk.difference import Difference
from fpk.marginals import Estimate, panel_step_budget, zero_estimate
from fpk.remedies import figures

CONFIRMED, UNDECIDED = fpk.Outcome.CONFIRMED, fpk.Outcome.UNDECIDED
K, BLOCKS, DELTA, PILOT = 4, 128, 0.03, 1000
EXACT = Estimate(np.zeros(K), np.full(K, 1e-12), source="exact")
EXACT_ONE = zero_estimate(1)
NAMES = [f"φ{k + 1}" for k in range(K)]


def simulated(n: float, bias: float, spread: float, rng: np.random.Generator) -> Estimate:
    """An ideal ensemble whose time step is wrong by ``bias`` in every functional, and its companion with twice the step by twice as much.

    Single samples have unit covariance; what the companion changes in one of them has the standard deviation ``spread``.
    """
    fine = bias + rng.standard_normal((BLOCKS, K)) * np.sqrt(BLOCKS / n)
    coarse = fine + bias + spread * rng.standard_normal((BLOCKS, K)) * np.sqrt(BLOCKS / n)
    change = fine - coarse
    budget = panel_step_budget(change.mean(0), change.std(0, ddof=1) / np.sqrt(BLOCKS))
    return Estimate(
        fine.mean(0), budget, covariance=np.cov(fine, rowvar=False) / BLOCKS, samples=int(n), block_means=fine,
        coarse_block_means=coarse, step_bias=budget, source="particles",
    )  # fmt: skip


def advised(remedy: str) -> tuple[float, float]:
    """Factors on the samples, and on the budget that has to shrink; 1 where nothing is said."""
    samples = re.search(r"about ([\d,]+) times as many samples", remedy)
    budget = re.search(r"about ([\d,]+) times smaller", remedy)
    return tuple(float(found[1].replace(",", "")) if found else 1.0 for found in (samples, budget))  # type: ignore[return-value]


CASES = {
    "no time step": (0.0, 0.0),
    "the budget is noise": (0.0, 0.3),
    "the noise of the change hides the bias": (0.001, 0.3),
    "the budget is bias": (0.004, 0.02),
    "the budget is too large": (0.02, 0.1),
}


@pytest.mark.parametrize("case", CASES)
def test_following_the_advice_settles_the_check_with_the_stated_power(case: str, rng: np.random.Generator) -> None:
    """200 pilots: all are undecided, and .99 of those that follow the advice are confirmed (binomial bound at level 1e-6).

    Nine pilots of ten say the same up to a factor 2, which is what rounding to one figure makes of 1.01 and 2.
    """
    bias, spread = CASES[case]
    factors, outcomes = [], Counter()
    for _ in range(200):
        pilot = settle(simulated(PILOT, bias, spread, rng), EXACT, names=NAMES, tolerance=DELTA)
        assert pilot.outcome is UNDECIDED
        samples, finer = advised(pilot.remedy)
        again = simulated(PILOT * samples, bias / finer, spread, rng)
        outcomes[settle(again, EXACT, tolerance=DELTA).outcome] += 1
        factors.append((samples, finer))
    low, high = np.quantile(factors, [0.05, 0.95], axis=0, method="nearest")
    assert np.all(high <= 2 * low), Counter(factors)
    assert outcomes[CONFIRMED] >= stats.binom.ppf(1e-6, 200, 0.99)


def test_a_quarter_of_what_is_advised_does_not_settle_it(rng: np.random.Generator) -> None:
    """The advice is no more than needed: with its rounding to one figure, a quarter is 1.4 ... 2 times too few."""
    pilots = [simulated(PILOT, 0.0, 0.0, rng) for _ in range(100)]
    factors = [advised(settle(pilot, EXACT, tolerance=DELTA).remedy)[0] for pilot in pilots]
    fewer = [settle(simulated(PILOT * n / 4, 0.0, 0.0, rng), EXACT, tolerance=DELTA).outcome for n in factors]
    assert fewer.count(CONFIRMED) <= 20


@pytest.mark.parametrize("samples", [1e3, 1e6, 1e7])
def test_where_the_budget_is_the_bias_no_number_of_samples_is_advised(samples: float, rng: np.random.Generator) -> None:
    verdict = settle(simulated(samples, 0.012, 0.0, rng), EXACT, names=NAMES, tolerance=DELTA)
    assert verdict.outcome is UNDECIDED
    assert verdict.remedy.startswith("refine first: the budget of particles must become about 4 times smaller in φ")
    assert "(more time steps)" in verdict.remedy
    assert verdict.remedy.endswith("more samples alone cannot settle it.")
    assert ("then take" in verdict.remedy) == (samples < 1e6)


def test_the_side_with_the_large_budget_is_named() -> None:
    noisy = Estimate(np.zeros(1), np.full(1, 1e-4), covariance=np.eye(1) * 1e-8, samples=1000, source="particles")
    grid, fine = (Estimate(np.zeros(1), np.full(1, b), source="grid") for b in (0.0199, 1e-9))
    first = settle(noisy, grid, tolerance=DELTA).remedy
    assert (
        first
        == "refine first: the budget of grid must become about 4 times smaller in value 0; more samples alone cannot settle it."
    )
    unnamed = settle(replace(grid, source=""), fine, tolerance=DELTA).remedy
    assert unnamed == "refine first: the budget of the first side must become about 2 times smaller in value 0."
    assert "the budgets of both sides must become about 4 times smaller" in settle(grid, grid, tolerance=DELTA).remedy


def test_a_difference_that_is_no_luck_is_not_answered_by_more_samples() -> None:
    noisy = Estimate(np.full(1, 0.0295), np.full(1, 1e-6), covariance=np.eye(1) * 1e-6, samples=100_000)
    verdict = settle(noisy, EXACT_ONE, tolerance=DELTA)
    assert verdict.outcome is UNDECIDED
    assert "if twice as many do not settle it, they are not equal" in verdict.remedy


def test_what_is_out_of_reach_is_said_to_be() -> None:
    noisy = Estimate(np.zeros(1), np.zeros(1), covariance=np.eye(1), samples=100_000)
    assert "more than 1e+09 times" in settle(noisy, EXACT_ONE, tolerance=1e-6).remedy


def test_few_replicates_are_planned_with_the_quantiles_that_more_of_them_have() -> None:
    """Student's t with one degree of freedom has the quantile 318; twenty times as many replicates have 3.3."""
    two = Estimate(np.zeros(1), np.zeros(1), covariance=np.eye(1) * 0.005**2, samples=2)
    assert advised(settle(two, EXACT_ONE, tolerance=DELTA).remedy)[0] <= 10


def test_the_parts_of_a_budget_are_no_less_than_the_budget(rng: np.random.Generator) -> None:
    for _ in range(50):
        one = simulated(PILOT, 10 ** rng.uniform(-4, -1), rng.uniform(0, 1), rng)
        other = replace(one, value=one.value + 0.1, block_means=one.block_means + 0.1)  # type: ignore[operator]
        coupled = (replace(one, noise_key="same"), replace(other, noise_key="same"))
        for pair in ((one, EXACT), (one, simulated(PILOT, 0.01, 0.1, rng)), coupled):
            evidence = Difference(*pair, names=())
            lasting, passing = evidence.budget_parts
            assert np.all(lasting >= 0)
            assert np.all(lasting + passing >= evidence.b * (1 - 1e-12))


def test_laws_of_one_scheme_have_no_budget_that_passes(rng: np.random.Generator) -> None:
    one = replace(simulated(PILOT, 0.01, 0.1, rng), scheme="the same")
    lasting, passing = Difference(one, replace(one, noise_key=None), names=()).budget_parts
    assert not passing.any()
    assert np.all(lasting < 1e-12)


def test_numbers_of_one_figure() -> None:
    found = [next(figures(x)) for x in (0.1, 1, 1.0000001, 9.5, 10, 11, 99, 101, 6e8)]
    assert found == [1, 1, 2, 10, 10, 20, 100, 200, 6e8]


def test_particles_that_follow_the_advice_are_confirmed() -> None:
    """Ten seeds of a real simulation; each is confirmed with probability .99, so 4 or more that are not have probability 2e-6."""
    spring = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.0, initial=fpk.Gaussian(2.0, 0.3))
    exact, outcomes, factors = fpk.exact(spring, times=[0.7]), [], []
    for seed in range(10):
        pilot = fpk.simulate(spring, particles=1000, steps=8, times=[0.7], seed=seed)
        samples, finer = advised(fpk.compare(exact, pilot, tolerance=0.06).remedy)
        n, steps = round(1000 * samples), round(8 * finer)  # Euler's budget goes as 1/steps
        again = fpk.simulate(spring, particles=n, steps=steps, times=[0.7], seed=100 + seed)
        outcomes.append(fpk.compare(exact, again, tolerance=0.06).outcome)
        factors.append((samples, finer))
    assert outcomes.count(CONFIRMED) >= 7, Counter(zip(factors, outcomes, strict=True))
    assert np.all(np.max(factors, axis=0) <= 2 * np.min(factors, axis=0)), Counter(factors)
