"""The coverage studies count what they say: usages, intervals and covered classes, against closed forms and other libraries."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.catalogue import load_catalogue
from fpk.closed_form import euler_chain
from fpk.comparison import below_zero
from fpk.orders import order_of
from fpk.study import Size
from fpk.verdict import Outcome

CATALOGUE = load_catalogue(Path(fpk.__file__).parents[1] / "studies")
IDS = tuple(
    f"calibration.{name}" for name in ("grid-budget", "proven-bar", "order-interval", "particle-budget", "particle-bar")
)
STUDIES = {id: CATALOGUE.study_of(id) for id in IDS}
PACKAGE = STUDIES["calibration.order-interval"].module.rpartition(".")[0]


def part(name: str) -> Any:
    """A module of the study, as the catalogue imported it."""
    return importlib.import_module(f"{PACKAGE}.{name}")


coverage, rates, grids, sequences, orders, particles, bars = map(
    part, ("_coverage", "_rates", "_grids", "_sequences", "order_coverage", "_particles", "particle_coverage")
)


@pytest.mark.parametrize("id", IDS)
def test_every_case_has_a_control_that_is_to_be_refuted(id: str) -> None:
    study, expected = STUDIES[id], CATALOGUE.claims[id].expected
    assert study.only_when_named
    for case in study.cases:
        found = [expected[v] for v, c in study.checks if c == case]
        assert found.count(Outcome.CONFIRMED) == 1
        assert Outcome.REFUTED in found


# --- what is counted


def test_coverage_counts_problems_whose_usage_is_within_the_scale() -> None:
    found = coverage.Usages(("a", "b"), np.array([0, 1, 0, 1]), np.array([0.2, 0.9, 1.0, 3.0]))
    pooled, first, second = found.limited(1.0, least=0.5, each=(0.5, 0.5))
    assert [(r.rate.events, r.rate.repeats) for r in (pooled, first, second)] == [(3, 4), (2, 2), (1, 2)]
    assert found.limited(0.5, least=0.5)[0].rate.events == 1
    curves = found.chart("", np.array([0.5, 4.0])).series
    assert [(c.name, *c.y) for c in curves] == [("a", 0.5, 1.0), ("b", 0.0, 1.0)]
    oracle = stats.binomtest(1, 2).proportion_ci(0.99, method="exact")
    assert (curves[0].lower[0], curves[0].upper[0]) == pytest.approx((oracle.low, oracle.high), rel=1e-6)


def test_planned_failures_are_confirmed_and_one_more_is_not() -> None:
    # The largest counts by the exact binomial test, for the sizes and limits that the studies state.
    for problems, least, allowed in [
        (20, 0.5, 2),
        (800, 0.97, 10),
        (100, 0.8, 8),
        (3000, 0.97, 62),
        (1000, 0.93, 45),
        (1000, 0.98, 7),
        (10_000, 0.99, 70),
    ]:
        for failures, outcome in ((allowed, Outcome.CONFIRMED), (allowed + 1, Outcome.UNDECIDED)):
            usage = np.where(np.arange(problems) < failures, 2.0, 0.5)
            found = coverage.Usages(("all",), np.zeros(problems, int), usage)
            evidence = rates.within(found.limited(1.0, least=least), "drawn")
            assert below_zero(evidence.first).outcome is outcome
            tail = stats.binom.cdf(failures, problems, 1 - least)
            assert (tail < 1e-3) == (outcome is Outcome.CONFIRMED)


# --- grids


def test_classes_are_the_families_with_both_schemes(seed: int) -> None:
    for number, name in enumerate(grids.CLASSES):
        problem = grids.drawn(number, seed)
        assert name == f"{problem.known.family}, {'default' if problem.scheme is None else 'second order'}"


def test_problems_without_a_bar_do_not_count(seed: int) -> None:
    given = iter([0.5, fpk.errors.GridError("too coarse"), np.nan, 2.0, np.inf, 0.1])

    def rule(problem: Any) -> float:
        answer = next(given)
        if isinstance(answer, Exception):
            raise answer
        return answer

    found = grids.usages(rule, problems=3, pace=8, seed=seed)
    assert found.usage.tolist() == [0.5, 2.0, 0.1]
    assert found.kind.tolist() == [0, 3, 5]


def test_usages_of_grids_are_errors_over_bars(seed: int) -> None:
    problem = grids.drawn(6, seed, pace=8)  # between walls, second order
    (block,) = problem.panel.smooth
    x = np.linspace(-1, 1, 20_001)
    p = problem.known.density(x, problem.time)
    truth = np.trapezoid(np.cos(np.pi * np.arange(1, 5)[:, None] * x) * p, x)
    np.testing.assert_allclose(problem.truth, truth, atol=1e-8)
    answer = problem.level(2).expect(problem.panel)
    assert grids.weighted(problem) == pytest.approx(np.max(np.abs(answer.value - truth) / answer.bias_bound), rel=1e-3)
    three = fpk.refine(problem.level).expect(problem.panel)
    assert grids.refined(problem) == pytest.approx(np.max(np.abs(three.value - truth) / three.bias_bound), rel=1e-3)
    assert block.time == problem.time


# --- orders


def test_sequences_of_one_sign_keep_the_class_and_their_number(seed: int) -> None:
    h, p, e = sequences.one_signed(np.random.default_rng(seed), 5, 1000)
    assert e.shape == (1000, 5)
    assert np.all(e * e[:, :1] > 0)
    # The finest local order is the true one up to a h (1 − ½) / log 2 and smaller terms.
    finest = np.log2(np.abs(e[:, -2] / e[:, -1]))
    assert np.median(np.abs(finest - p)) < 1.5 * h[-1]


def test_slopes_are_those_of_scipy(seed: int) -> None:
    drawn = orders.Sequences(*sequences.one_signed(np.random.default_rng(seed), 6, 20), None, 0.0)
    middle, half = orders.slopes(drawn)
    for k, (p, e) in enumerate(zip(drawn.p, drawn.e, strict=True)):
        fit: Any = stats.linregress(np.log(drawn.h), np.log(np.abs(e)))
        assert middle[k] + p == pytest.approx(fit.slope, rel=1e-10)
        assert half[k] == pytest.approx(stats.t.ppf(0.975, 4) * fit.stderr, rel=1e-8)


@pytest.mark.parametrize("noisy", [False, True])
def test_an_order_too_high_is_confirmed_when_the_judge_says_so(noisy: bool, seed: int) -> None:
    # Claims that are too high by up to 1, so that some are confirmed: the shift of the claim is a shift of the interval.
    rng, count = np.random.default_rng(seed), 8 if noisy else 200
    h, p, e, *noise = sequences.noisy(rng, 5, count, signal=(2, 3)) if noisy else sequences.one_signed(rng, 5, count)
    shifts, seen = np.linspace(0, 1, count), set()
    for k in range(count):
        options = {"standard_errors": noise[0][k]} if noisy else {}
        near = order_of(h, e[k], order=p[k], **options)
        claimed = order_of(h, e[k], order=p[k] + shifts[k], **options)
        moved = near.difference + 1 - shifts[k]
        assert orders.confirms_higher(moved, near.budget)[0] == (claimed.outcome is Outcome.CONFIRMED)
        seen.add(claimed.outcome)
    assert Outcome.CONFIRMED in seen


def test_unknown_intervals_do_not_cover() -> None:
    middle, half = np.array([0.0, 0.1, -0.3, 0.0]), np.array([0.0, 0.1, 0.2, np.inf])
    assert orders.covers(middle, half).tolist() == [True, True, False, False]


# --- particles


def test_the_budget_of_a_step_is_held_against_the_exact_chain(seed: int) -> None:
    # Mean reversion: the chain's mean is b + (x − b)(1 − a h)^n and its variance a geometric sum.
    asked = particles.drawn(0, seed)
    a = -float(fpk.moments.linear_terms(asked.problem, 0.0)[0][0, 0])
    push, g = (
        float(fpk.moments.linear_terms(asked.problem, 0.0)[1][0]),
        float(fpk.moments.linear_terms(asked.problem, 0.0)[2][0, 0]),
    )
    start, values = asked.problem.initial, []
    x = np.linspace(-12, 12, 40_001)
    for n in (2 * asked.steps, asked.steps):
        h, r = asked.time / n, 1 - a * asked.time / n
        mean = push / a + (start.mean[0] - push / a) * r**n
        variance = start.covariance[0, 0] * r ** (2 * n) + g**2 * h * (1 - r ** (2 * n)) / (1 - r**2)
        density = stats.norm.pdf(x, mean, np.sqrt(variance))
        values.append(np.trapezoid(asked.panel.smooth[0].values(x[:, None]) * density, x))
    # The exact expectations of functionals that are orthonormal under the exact law are 0.
    budget = 1.5 * np.abs(values[0] - values[1])
    usage = np.max(np.abs(values[0]) / np.maximum(budget, 0.3 * budget.max()))
    assert particles.without_noise(asked) == pytest.approx(usage, rel=1e-3)


def test_ensembles_are_held_against_noise_and_budget(seed: int) -> None:
    asked = particles.drawn(2, seed)
    run = fpk.simulate(
        asked.problem, particles=particles.PARTICLES, steps=asked.steps, times=[asked.time], seed=asked.seed
    )
    answer = run.expect(asked.panel)
    reach = stats.t.isf(1e-3, particles.PARTICLES - 1) * answer.standard_error + answer.bias_bound
    assert particles.ensembles(asked) == pytest.approx(np.max(np.abs(answer.value) / reach), rel=1e-6)


def test_classes_of_problems_take_turns(seed: int) -> None:
    assert particles.drawn(0, seed).problem.initial.weights.shape == (1,)
    assert particles.drawn(1, seed).problem.schedule is None
    assert particles.drawn(2, seed).problem.schedule is not None
    first, again, other = (particles.drawn(4, s) for s in (seed, seed, seed + 1))
    assert (first.time, first.steps, first.seed) == (again.time, again.steps, again.seed)
    assert first.time != other.time


def test_intervals_of_scrambles_are_student_s(seed: int) -> None:
    asked = particles.drawn(3, seed)
    run = bars.quasi_simulate(
        asked.problem, points=64, replicates=16, steps=4, times=[asked.time], seed=asked.seed, levels=1
    )
    means = run.values(asked.panel)[1]
    chain = euler_chain(asked.problem, steps=4, times=[asked.time]).expect(asked.panel).value[1]
    tested: Any = stats.ttest_1samp(means, chain)
    oracle = abs(tested.statistic) / stats.t.isf(0.025, 15)
    assert bars.scrambles(3, seed) == pytest.approx(oracle, rel=1e-6)


def test_kernel_densities_are_held_against_the_smoothed_law(seed: int) -> None:
    rng = np.random.default_rng([seed, 5])
    variance = rng.uniform(0.05, 1.0)
    point = fpk.Gaussian(0.0, np.sqrt(1 + variance)).sample(1, rng)[0, 0]
    values = stats.norm.pdf(point, rng.standard_normal(1000), np.sqrt(variance))
    batches = np.array_split(values, np.arange(1, 64) * 1000 // 64)
    sizes, mean = np.array([len(batch) for batch in batches]), values.mean()
    error = np.sqrt(64 / 63 * np.sum((np.array([batch.sum() for batch in batches]) - sizes * mean) ** 2)) / 1000
    truth = stats.norm.pdf(point, 0, np.sqrt(1 + variance))
    oracle = abs(mean - truth) / error / stats.t.isf(0.025, 63)
    assert bars.kernels(5, seed) == pytest.approx(oracle, rel=1e-6)


# --- the cheapest study, whole


@pytest.mark.parametrize("variant", ["stated", "log–log t-interval", "one order higher"])
def test_certain_orders_come_out_as_claimed(variant: str, seed: int) -> None:
    study = STUDIES["calibration.order-interval"]
    found = study.compute(study.variants[variant], "5 levels", Size("quick"), seed)
    assert below_zero(found.first).outcome is CATALOGUE.claims[study.claim].expected[variant]
    assert len(found.charts) == (variant == "stated")
