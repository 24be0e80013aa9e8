"""False alarms and power of whole pipelines: the limits are the binomial's, what is planted is what is said, and pairs are what fpk compares."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import linalg, stats

import fpk
from fpk.closed_form import euler_chain
from fpk.comparison import below_zero, settle
from fpk.difference import BETA
from fpk.marginals import Estimate, zero_estimate
from fpk.study import Size
from fpk.verdict import Outcome, Verdict
from studies.calibration import _pipelines, pipelines, power
from studies.calibration._pipelines import PROBLEMS, Pair, pairs

CONFIRMED, REFUTED, UNDECIDED = Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNDECIDED
QUICK = Size("quick")


def fresh(seed: int, repeats: int) -> list[int]:
    """The seeds of repetitions, as :func:`fpk.calibration.tally` says they are made."""
    return [int(s) for s in np.random.SeedSequence(seed).generate_state(repeats, np.uint64) >> np.uint64(1)]


# -- false alarms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [8, 1000])
def test_a_pair_at_nominal_exceeds_its_limit_with_its_share_of_one_percent(repeats: int) -> None:
    counts = stats.binom.pmf(np.arange(repeats + 1), repeats, 1e-2)
    limit, share = pipelines.most(repeats), 0.01 / 36
    assert counts[limit + 1 :].sum() <= share < counts[limit:].sum()


def test_twelve_problems_have_three_pairs_each() -> None:
    assert len(PROBLEMS) == 12
    assert pipelines.PAIRS == 36
    assert set(pipelines.BIASED) < set(PROBLEMS)


@pytest.mark.parametrize("problem", ["narrow start", "reversal", "rotating plane"])
def test_pairs_are_read_as_their_names_say(problem: str, seed: int) -> None:
    for pair in pairs(problem):
        verdict = pair.verdict(seed, alpha=1e-2)
        same = "discrete law" if "discrete" in pair.name or "seed" in pair.name else "independent"
        assert verdict.method == ("coupled" if "coupled" in pair.name else same)
        assert ("×" in verdict.names[0]) == ("two times" in pair.name)
    assert len({pair.name for pair in pairs(problem)}) == 3


def test_a_count_of_alarms_is_that_of_comparisons_made_by_hand(seed: int) -> None:
    """Four Euler–Maruyama steps against the law of the chain, with standard errors a quarter of what they are."""
    problem = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(2.0, 0.3))
    chain = euler_chain(problem, steps=4, times=[1.0])
    panel = fpk.law_panel({1.0: fpk.exact(problem, times=[1.0]).law(1.0)})
    refuted = 0
    for own in fresh(seed, 12):
        run = fpk.simulate(problem, particles=1000, steps=2, times=[1.0], seed=own).expect(panel)
        surer = replace(run, covariance=np.asarray(run.covariance) / 16)
        refuted += settle(surer, chain.expect(panel), alpha=1e-2).outcome == REFUTED
    found = pipelines.alarms(pairs("off centre")[2], 12, seed, pipelines.surer)
    assert (found.events, found.repeats) == (refuted, 12)
    assert refuted > 3  # 16 χ²₄ exceeds its quantile with probability .92: fails with 3e-8


def always(value: float) -> Pair:
    """A pair whose sides differ by a known number of standard errors, whatever the seed."""
    sampled = Estimate(np.array([value]), np.zeros(1), covariance=np.ones((1, 1)), samples=10**7)
    routes = (_pipelines.Asked(lambda _: sampled), _pipelines.Asked(lambda _: zero_estimate(1)))
    return Pair(f"{value:g} standard errors", fpk.Panel(fpk.law_panel({1.0: fpk.Gaussian(0, 1)}, degree=1).smooth), lambda _: routes)  # fmt: skip


def test_more_alarms_than_the_limit_in_a_single_pair_refute_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    for values, outcome in (((0.0, 1.0, 2.0), CONFIRMED), ((0.0, 9.0, 2.0), REFUTED)):
        monkeypatch.setattr(pipelines, "pairs", lambda case, values=values: tuple(map(always, values)))
        found = pipelines.pipelines(None, "ring", QUICK, 1)
        assert below_zero(found.first).outcome == outcome
        np.testing.assert_array_equal(found.charts[0].series[0].y, [0.0, float(outcome == REFUTED), 0.0])


def test_a_pair_is_determined_by_its_seed(seed: int) -> None:
    pair = pairs("narrow start")[1]
    first, again, other = (pair.verdict(own, alpha=1e-2).difference for own in (seed, seed, seed + 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def sampled(rng: np.random.Generator) -> Estimate:
    """An estimate with everything that can be spoilt."""
    means, coarse = rng.standard_normal((2, 40, 3))
    return Estimate(
        means.mean(0), np.full(3, 0.2), covariance=np.cov(means.T) / 40, samples=40, block_means=means,
        coarse_block_means=coarse, step_bias=np.full(3, 0.1), threshold_bound=np.full(2, 0.1), thresholds=np.full(2, 0.5),
    )  # fmt: skip


def test_standard_errors_are_a_quarter_and_values_and_budgets_what_they_were(rng: np.random.Generator) -> None:
    given = sampled(rng)
    spoilt = pipelines.surer(given)
    assert spoilt.standard_error == pytest.approx(given.standard_error / 4)
    assert spoilt.block_means is not None
    assert given.block_means is not None
    assert np.cov(spoilt.block_means.T) == pytest.approx(np.cov(given.block_means.T) / 16)
    assert spoilt.block_means.mean(0) == pytest.approx(given.value)
    assert spoilt.bias_bound is given.bias_bound
    assert pipelines.surer(zero_estimate(3)).deterministic


def test_no_budget_is_left_but_round_off(rng: np.random.Generator) -> None:
    given = sampled(rng)
    spoilt = pipelines.bolder(given)
    verdicts = [settle(e, zero_estimate(3)) for e in (given, spoilt)]
    assert verdicts[0].budget == pytest.approx(np.full(3, 0.2))
    assert max(verdicts[1].budget.max(), spoilt.threshold_bound.max()) < 1e-14
    assert verdicts[1].standard_error == pytest.approx(verdicts[0].standard_error)


# -- power -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [16, 200, 400, 1000])
def test_the_power_claimed_is_just_within_reach(repeats: int) -> None:
    proven = stats.binomtest(repeats, repeats).proportion_ci(1 - 2 * BETA, method="exact").low
    assert power.within_reach(repeats) == pytest.approx(min(0.95, 0.99 * proven), rel=1e-3)


def verdict(refuted: bool) -> Verdict:
    certain = Estimate(np.array([1.0 if refuted else 0.0]), np.full(1, 1e-3))
    return settle(certain, zero_estimate(1))


@pytest.mark.parametrize("repeats", [16, 200])
@pytest.mark.parametrize(
    ("planted", "clean", "outcome"),
    [(True, False, CONFIRMED), (False, False, REFUTED), (True, True, REFUTED)],
    ids=["all seen", "none seen", "always refuted"],
)
def test_only_a_check_that_sees_and_is_silent_is_confirmed(
    repeats: int, planted: bool, clean: bool, outcome: Outcome
) -> None:
    found = power.sight(lambda _: verdict(planted), lambda _: verdict(clean), repeats=repeats, seed=0)
    decided = below_zero(found.first).outcome
    assert decided == (UNDECIDED if clean and repeats == 16 else outcome)  # 8 of 8 alarms are too few to refute


def test_a_planted_error_is_one_of_the_noise_variance(seed: int) -> None:
    """Oracle: the variance of a linear process, v e^(−2at) + g² (1 − e^(−2at))/(2a)."""
    case = power.drawn(seed)
    left = np.exp(-2 * case.rate * case.time)
    for excess in (0.0, 0.5):
        variance = case.std**2 * left + case.noise**2 * (1 + excess) * (1 - left) / (2 * case.rate)
        law = fpk.exact(case.problem(excess), times=[case.time]).law(case.time)
        assert law.covariance[0, 0] == pytest.approx(variance, rel=1e-9)  # type: ignore[attr-defined]
    assert np.all((np.array(power.RANGES[0]) <= case) & (np.array(case) <= power.RANGES[1]))
    assert case != power.drawn(seed + 1)


def test_grids_of_drawn_problems_hold_the_laws_at_both_ends(seed: int) -> None:
    for own in range(seed, seed + 20):
        case = power.drawn(own)
        grid, law = case.grid(128), fpk.exact(case.problem(), times=[case.time]).law(case.time)
        for p in (case.problem().initial, law):
            assert p.cdf(np.array([grid.lower]))[0] < 1e-14
            assert p.cdf(np.array([grid.upper]))[0] > 1 - 1e-14


def test_a_grid_sees_what_independent_particles_do_not(seed: int) -> None:
    solved = power.Solved()
    assert [solved.verdict(e, seed).outcome == REFUTED for e in (1e-4, 1e-9, 0.0)] == [True, False, False]
    assert solved._replace(cells=0).verdict(1e-4, seed).outcome != REFUTED


def test_coupled_chains_see_what_independent_particles_do_not(seed: int) -> None:
    """Power above .999, false alarms 1e-6."""
    see = partial(power.coupled, particles=10_000, seed=seed)
    assert [see(e).outcome == REFUTED for e in (3e-3, 3e-4, 0.0)] == [True, False, False]
    assert power.independent(3e-3, 10_000, seed).outcome != REFUTED


def test_the_unit_of_the_marked_effect_is_the_change_of_the_functional() -> None:
    """Oracle: d/dε of E φ₂ by quadrature over normal laws whose variance gains ε g² (1 − e^(−2t))/2."""
    left = np.exp(-2 * power.TIME)
    mean, variance = 0.3 * np.exp(-power.TIME), 0.04 * left + (1 - left) / 2
    z = np.linspace(-9, 9, 4001)
    phi = np.sqrt(5) * (1.5 * (2 * stats.norm.cdf(z) - 1) ** 2 - 0.5)
    spread = np.sqrt((variance + 1e-3 * (1 - left) / 2) / variance)
    change = np.trapezoid(phi * (stats.norm.pdf(z / spread) / spread - stats.norm.pdf(z)), z) / 1e-3
    assert power._response() == pytest.approx(change, rel=1e-4)
    assert power._law().law(power.TIME).mean[0] == pytest.approx(mean)  # type: ignore[attr-defined]


def test_a_power_curve_rises_and_marks_what_its_verdicts_claim_to_detect(seed: int) -> None:
    """The smallest error is a tenth of what is detected, the largest beyond it: each exception has probability below 1e-6."""
    chart = power.power_chart(2, seed)
    for name, series in zip(power.ERRORS, chart.series, strict=True):
        assert series.y[0] < series.y[-1] == 1
        assert series.x[0] < chart.marks[f"MDE, {name}"] <= series.x[-1]


def test_the_sign_of_a_rotation_is_in_the_joint_law_only() -> None:
    """Oracle: Cov(X_t, X_s) = e^{A (t − s)} at unit variance."""
    s, t = _pipelines.TURNED
    laws = [fpk.exact(_pipelines.rotation(rate), times=[s, t]) for rate in (2.0, -2.0)]
    for law in laws:
        assert law.law(t).covariance == pytest.approx(np.eye(2), abs=1e-9)  # type: ignore[attr-defined]
    for law, rate in zip(laws, (2.0, -2.0), strict=True):
        assert law.joint is not None
        crossed = law.joint(s, t).covariance[2:, :2]
        assert crossed == pytest.approx(linalg.expm((t - s) * np.array([[-1.0, -rate], [rate, -1.0]])), abs=1e-9)
