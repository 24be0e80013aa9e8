from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from fpk.closed_form import LawMarginals, exact
from fpk.comparison import below_zero, compare, panel_between, settle, vanishes
from fpk.difference import box_constrained, effect_size
from fpk.errors import ComparisonError
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid
from fpk.laws import Gaussian
from fpk.marginals import Estimate, Marginals, residual, zero_estimate
from fpk.panels import law_panel
from fpk.problem import Problem
from fpk.refinement import refine
from fpk.verdict import Outcome, Verdict

CONFIRMED, REFUTED, UNDECIDED = Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNDECIDED
PANEL = law_panel({1.0: Gaussian(0.0, 1.0)})


def certain(value, bound=0.0, **extra):
    value = np.atleast_1d(np.asarray(value, float))
    return Estimate(value, np.full(value.shape, float(bound)), source="certain", **extra)


def sampled(value, error, n=10_000, bound=0.0, **extra):
    value = np.atleast_1d(np.asarray(value, float))
    covariance = np.diag(np.full(len(value), float(error) ** 2))
    return Estimate(
        value, np.full(value.shape, float(bound)), covariance=covariance, samples=n, source="sampled", **extra
    )


def estimate_of(x, panel=PANEL, *, thresholds=True):
    values = panel.smooth[0].values(x[:, None])
    below = (
        np.searchsorted(np.sort(x), panel.thresholds[0].points, side="right") / len(x) if thresholds else np.zeros(0)
    )
    return Estimate(
        values.mean(1),
        np.zeros(4),
        covariance=np.cov(values) / len(x),
        samples=len(x),
        thresholds=below,
        threshold_bound=np.zeros_like(below),
        source="samples",
    )


EXACT = LawMarginals({1.0: Gaussian(0.0, 1.0)}, (1.0,)).expect(PANEL)


# --- the two error rates


def test_true_equalities_are_refuted_no_more_often_than_alpha():
    # 3000 repetitions at alpha = 1e-2; the bound is the binomial quantile at level 1e-6.
    rng, repetitions, alpha = np.random.default_rng(20_260_102), 3000, 1e-2
    refuted = sum(
        settle(estimate_of(rng.standard_normal(500)), EXACT, alpha=alpha).outcome is REFUTED for _ in range(repetitions)
    )
    assert refuted <= stats.binom.isf(1e-6, repetitions, alpha)
    # Toothless would be as wrong: S alone has size about alpha / 2.
    assert refuted >= stats.binom.ppf(1e-6, repetitions, alpha / 2 * 0.7)


def test_two_sampled_sides_are_refuted_no_more_often_than_alpha():
    rng, repetitions, alpha = np.random.default_rng(20_260_103), 1000, 1e-2
    pairs = (rng.standard_normal((2, 500)) for _ in range(repetitions))
    refuted = sum(settle(*(estimate_of(x) for x in pair), alpha=alpha).outcome is REFUTED for pair in pairs)
    assert refuted <= stats.binom.isf(1e-6, repetitions, alpha)


def test_correlated_functionals_keep_the_false_alarm_rate():
    # The statistic on 4 functionals of covariance C, drawn exactly: S is χ²₄, whatever C.
    rng, repetitions, alpha = np.random.default_rng(20_260_104), 4000, 1e-2
    C = 0.9 * np.ones((4, 4)) + 0.1 * np.eye(4)
    draws = rng.multivariate_normal(np.zeros(4), C, size=repetitions)
    refuted = sum(
        settle(Estimate(d, np.zeros(4), covariance=C, samples=100), certain(np.zeros(4)), alpha=alpha).outcome
        is REFUTED
        for d in draws
    )
    # S is tested at alpha / 2; both binomial bounds at level 1e-6.
    assert stats.binom.ppf(1e-6, repetitions, alpha / 2) <= refuted <= stats.binom.isf(1e-6, repetitions, alpha / 2)


def test_an_admissible_bias_does_not_raise_the_false_alarm_rate():
    rng, repetitions, alpha, bound = np.random.default_rng(20_260_105), 2000, 1e-2, 0.05
    draws = 0.01 * rng.standard_normal((repetitions, 3)) + bound * np.array([1, -1, 0.5])
    refuted = sum(
        settle(sampled(d, 0.01, bound=bound), certain(np.zeros(3)), alpha=alpha).outcome is REFUTED for d in draws
    )
    assert refuted <= stats.binom.isf(1e-6, repetitions, alpha / 2)


def test_the_minimum_detectable_effect_is_detected():
    # Power .99 at the stated effect, with the bias working against detection; binomial bound at level 1e-6.
    rng, repetitions, bound = np.random.default_rng(20_260_106), 500, 0.004
    mde = settle(sampled(np.zeros(4), 0.01, bound=bound), certain(np.zeros(4))).mde
    truth = np.array([mde - bound, 0, 0, 0])
    draws = truth + 0.01 * rng.standard_normal((repetitions, 4))
    found = sum(settle(sampled(d, 0.01, bound=bound), certain(np.zeros(4))).outcome is REFUTED for d in draws)
    assert found >= stats.binom.ppf(1e-6, repetitions, 0.99)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda z: z + 0.03,
        lambda z: 1.02 * z,
        lambda z: z + 0.02 * (z**2 - 1),
        lambda z: np.where(np.abs(z) < 0.05, 0.0, z),
    ],
    ids=["mean", "width", "skewness", "atom"],
)
def test_planted_effects_are_refuted(wrong):
    x = wrong(np.random.default_rng(1).standard_normal(400_000))
    verdict = settle(estimate_of(x), EXACT, effect=0.01)
    assert verdict.outcome is REFUTED, str(verdict)


def test_an_effect_the_smooth_functionals_cannot_see_is_refuted_by_the_distribution_function():
    # A shift of quantiles that oscillates too fast for polynomials of degree 4, and fades towards both ends.
    u = (np.arange(200_000) + 0.5) / 200_000
    combed = np.clip(u + 0.013 * np.sin(24 * np.pi * u) * np.sin(np.pi * u) ** 2, 1e-9, 1 - 1e-9)
    verdict = settle(estimate_of(stats.norm.ppf(combed)), EXACT)
    assert verdict.outcome is REFUTED
    assert "distribution functions differ" in verdict.reason


# --- deterministic sides


def test_a_difference_beyond_ten_budgets_that_stays_is_refuted():
    verdict = settle(certain(0.1, 1e-4, coarser=np.array([0.1])), certain(0.0, 1e-4), effect=0.3)
    assert verdict.outcome is REFUTED
    assert "does not shrink under refinement" in verdict.reason
    assert verdict.statistic == pytest.approx(500)


def test_a_difference_that_halves_under_refinement_is_not_refuted():
    shrinking = certain(0.1, 1e-4, coarser=np.array([0.25]))
    assert settle(shrinking, certain(0.0, 1e-4), effect=0.03).outcome is UNDECIDED


def test_a_difference_within_ten_estimated_budgets_is_not_refuted():
    assert settle(certain(9e-4, 1e-4), certain(0.0), effect=0.1).outcome is CONFIRMED


def test_a_proven_budget_needs_no_safety_factor():
    proven = certain(2e-4, 1e-4, proven=True)
    assert settle(proven, zero_estimate(1), effect=0.1).outcome is REFUTED
    assert settle(certain(2e-4, 1e-4), zero_estimate(1), effect=0.1).outcome is CONFIRMED


def test_a_refuted_difference_smaller_than_the_tolerance_says_so():
    verdict = settle(certain(0.01, 1e-5), certain(0.0), effect=0.9)
    assert verdict.outcome is REFUTED
    assert "Detected, within tolerance" in verdict.reason


def test_budgets_of_exactly_zero_are_no_crash():
    assert settle(certain(0.0), certain(0.0), tolerance=0.1).outcome is CONFIRMED
    assert settle(certain(0.1), certain(0.0), tolerance=0.01).outcome is REFUTED


# --- every way of being undecided


def test_nothing_asked_is_undecided():
    verdict = settle(certain(0.0, 1e-6), certain(0.0, 1e-6))
    assert verdict.outcome is UNDECIDED
    assert verdict.remedy == "give tolerance= or effect=."


def test_an_infinite_budget_is_undecided_with_the_remedy():
    for other in (certain(0.0), sampled(0.0, 1e-3)):
        verdict = settle(certain(5.0, np.inf), other, tolerance=0.1)
        assert verdict.outcome is UNDECIDED
        assert "fpk.refine" in verdict.remedy


def test_a_budget_above_half_the_tolerance_is_undecided_with_the_factor():
    verdict = settle(certain(0.0, 0.06), certain(0.0), tolerance=0.1)
    assert verdict.outcome is UNDECIDED
    assert verdict.remedy == "refine first: the budget of certain must become about 2 times smaller in value 0."


def test_too_few_samples_are_undecided_with_the_number_that_would_do():
    verdict = settle(sampled(0.0, 0.05), certain(0.0), tolerance=0.1)
    assert verdict.outcome is UNDECIDED
    needed = float(verdict.remedy.removeprefix("about ").split()[0])
    again = settle(sampled(0.0, 0.05 / np.sqrt(needed)), certain(0.0), tolerance=0.1)
    assert again.outcome is CONFIRMED


def test_a_difference_near_the_tolerance_is_undecided_even_without_noise():
    verdict = settle(certain(0.0999, 1e-3), certain(0.0, 1e-3), tolerance=0.1)
    assert verdict.outcome is UNDECIDED
    assert "larger tolerance" in verdict.remedy


def test_an_erratum_that_the_budget_does_not_explain_is_undecided():
    close = certain(5e-4, 1e-4)
    assert settle(close, certain(0.0), effect=0.3).outcome is CONFIRMED
    verdict = settle(close, certain(0.0), effect=0.3, agreement=3.0)
    assert verdict.outcome is UNDECIDED
    assert "not explained by its budget" in verdict.reason


def test_the_effect_is_three_times_the_tolerance():
    assert settle(certain(0.0), certain(0.0), effect=0.03).tolerance == pytest.approx(0.01)
    assert settle(certain(0.0), certain(0.0), tolerance=0.03).tolerance == 0.03


# --- tolerance mode


@given(share=st.floats(-1, 1), tolerance=st.floats(1e-3, 1), bound=st.floats(1e-9, 1e-3))
def test_tolerance_mode_never_refutes_a_deterministic_difference_within_tolerance(share, tolerance, bound):
    assert settle(certain(share * tolerance, bound), certain(0.0), tolerance=tolerance).outcome is not REFUTED


@given(share=st.floats(-1, 1), tolerance=st.floats(1e-3, 1), error=st.floats(1e-7, 1e-2))
def test_tolerance_mode_never_refutes_a_sampled_difference_within_tolerance(share, tolerance, error):
    d = share * tolerance * np.array([1, -1, 0.5])
    assert settle(sampled(d, error), certain(np.zeros(3)), tolerance=tolerance).outcome is not REFUTED


def test_tolerance_mode_does_not_let_the_distribution_function_refute():
    x = 1.02 * np.random.default_rng(1).standard_normal(400_000)
    assert settle(estimate_of(x), EXACT).outcome is REFUTED
    assert settle(estimate_of(x), EXACT, tolerance=0.1).outcome is CONFIRMED


def test_tolerance_mode_refutes_beyond_the_tolerance():
    assert settle(certain(0.2, 1e-4), certain(0.0), tolerance=0.1).outcome is REFUTED
    assert settle(sampled(0.2, 1e-3), certain(0.0), tolerance=0.1).outcome is REFUTED


@pytest.mark.parametrize("given_", [-0.1, np.nan, np.inf])
def test_a_tolerance_must_be_a_finite_number(given_):
    with pytest.raises(ComparisonError, match="finite number ≥ 0"):
        settle(certain(0.0), certain(0.0), tolerance=given_)


def test_tolerance_and_effect_exclude_each_other():
    with pytest.raises(ComparisonError, match=r"tolerance=.*or effect=.*not both"):
        settle(certain(0.0), certain(0.0), tolerance=0.1, effect=0.1)


# --- the statistic

corner = st.lists(st.floats(-3, 3), min_size=3, max_size=3)


@given(
    d=corner,
    b=st.lists(st.floats(0, 2), min_size=3, max_size=3),
    mixing=st.lists(st.floats(-1, 1), min_size=9, max_size=9),
)
def test_the_box_constrained_minimum_matches_scipy(d, b, mixing):
    d, b, L = np.array(d), np.array(b), np.array(mixing).reshape(3, 3) + 2 * np.eye(3)
    C = L @ L.T
    P = np.linalg.inv(C)
    found = optimize.minimize(
        lambda e: (d - e) @ P @ (d - e),
        np.clip(d, -b, b),
        jac=lambda e: -2 * P @ (d - e),
        bounds=list(zip(-b, b, strict=True)),
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-11, "maxiter": 5000},
    )
    assert box_constrained(d, C, b) == pytest.approx(found.fun, rel=1e-6, abs=1e-8)


def test_a_budget_that_covers_the_difference_leaves_nothing():
    C = np.array([[1.0, 0.5], [0.5, 1.0]])
    assert box_constrained(np.array([0.3, -0.2]), C, np.array([0.3, 0.2])) == pytest.approx(0.0, abs=1e-12)
    assert box_constrained(np.array([0.3, -0.2]), C, np.array([np.inf, np.inf])) == 0.0


def test_an_infinite_budget_on_one_functional_drops_exactly_that_one():
    C = np.array([[1.0, 0.5], [0.5, 1.0]])
    left = box_constrained(np.array([2.0, 9.0]), C, np.array([0.0, np.inf]))
    assert left == pytest.approx(4.0, rel=1e-6)  # d₀² / C₀₀


def test_no_covariance_at_all_leaves_an_exact_comparison():
    C = np.zeros((2, 2))
    assert box_constrained(np.zeros(2), C, np.zeros(2)) == 0.0
    assert box_constrained(np.array([1e-3, 0.0]), C, np.zeros(2)) > 1e20


# --- coupled sides


def blocked(values, key):
    """(K, n) functional values with common noise, as an estimate with 64 blocks."""
    K, n = values.shape
    return Estimate(
        values.mean(1),
        np.zeros(K),
        covariance=np.atleast_2d(np.cov(values)) / n,
        samples=n,
        block_means=values.reshape(K, 64, n // 64).mean(2).T,
        noise_key=key,
    )


def test_equal_noise_keys_use_the_covariance_of_the_difference():
    z = np.random.default_rng(3).standard_normal((2, 64_000))
    shifted = z + 0.002 + 0.02 * np.random.default_rng(4).standard_normal((2, 64_000))
    together = settle(blocked(z, "same"), blocked(shifted, "same"))
    apart = settle(blocked(z, "one"), blocked(shifted, "two"))
    assert together.outcome is REFUTED
    assert apart.outcome is UNDECIDED
    # Block means of the difference: standard error .02 / √n; 64 blocks estimate it within a factor 2 (χ²₆₃ at 1e-9).
    np.testing.assert_allclose(together.standard_error, 0.02 / np.sqrt(64_000), rtol=0.6)
    np.testing.assert_allclose(apart.standard_error, np.sqrt(2 / 64_000), rtol=0.05)


def test_few_blocks_are_charged_by_hotelling():
    # T² with 6 blocks and 3 functionals, exact at any level: the χ² quantile would be exceeded most of the time.
    rng, repetitions, alpha = np.random.default_rng(20_260_107), 2000, 0.2
    same = {"covariance": np.eye(3) / 6, "samples": 6, "noise_key": "k"}
    still = Estimate(np.zeros(3), np.zeros(3), block_means=np.zeros((6, 3)), **same)
    draws = rng.standard_normal((repetitions, 6, 3))
    sides = (Estimate(blocks.mean(0), np.zeros(3), block_means=blocks, **same) for blocks in draws)
    refuted = sum(settle(side, still, alpha=alpha).outcome is REFUTED for side in sides)
    # S is tested at alpha / 2; both binomial bounds at level 1e-6.
    assert stats.binom.ppf(1e-6, repetitions, alpha / 2) <= refuted <= stats.binom.isf(1e-6, repetitions, alpha / 2)


def test_a_run_compared_with_itself_agrees():
    side = blocked(np.random.default_rng(3).standard_normal((2, 6400)), "same")
    assert settle(side, side, tolerance=0.01).outcome is CONFIRMED


def test_fewer_blocks_than_functionals_are_refused():
    few = Estimate(
        np.zeros(3), np.zeros(3), covariance=np.eye(3), samples=9, block_means=np.zeros((3, 3)), noise_key="k"
    )
    with pytest.raises(ComparisonError, match="more than 3 block means for 3 functionals, got 3"):
        settle(few, few)


# --- identities and bounds


def test_a_residual_within_rounding_vanishes_and_another_does_not():
    assert vanishes(residual([1e-16, -3e-16], 0.0), effect=1e-6).outcome is CONFIRMED
    assert vanishes(residual([1e-16, 1e-3], 1e-9), effect=1e-2).outcome is REFUTED
    assert vanishes(residual([1e-16], 1e-9), effect=1e-2).kind == "identity"


def test_a_one_sided_bound_has_three_outcomes():
    assert below_zero(certain([-1.0, -0.5], 0.1)).outcome is CONFIRMED
    assert below_zero(certain([-1.0, 0.5], 0.1)).outcome is REFUTED
    assert below_zero(certain([-1.0, 0.05], 0.1)).outcome is UNDECIDED
    assert below_zero(sampled([-1.0], 0.01)).outcome is CONFIRMED
    assert below_zero(sampled([-0.01], 0.01)).outcome is UNDECIDED
    assert below_zero(sampled([1.0], 0.01)).outcome is REFUTED


def test_the_size_of_an_effect_is_a_lower_limit():
    assert effect_size(certain([0.5, 0.1], 0.1), certain([0.0, 0.0])) == pytest.approx(0.4)
    assert effect_size(sampled(0.5, 0.1), certain(0.0)) == pytest.approx(0.2)
    assert effect_size(certain(0.1, np.inf), certain(0.0)) == 0.0


# --- estimates


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((np.zeros(2), np.zeros(3)), {}, r"one shape \(K,\), got \(2,\) and \(3,\)"),
        ((np.zeros((2, 2)), np.zeros((2, 2))), {}, "one shape"),
        ((np.array([np.nan]), np.zeros(1)), {}, "finite values"),
        ((np.array([np.inf]), np.zeros(1)), {}, "finite values"),
        ((np.zeros(1), np.array([np.nan])), {}, "bounds ≥ 0"),
        ((np.zeros(1), np.array([-1.0])), {}, "bounds ≥ 0"),
        ((np.zeros(1), np.zeros(1)), {"covariance": np.eye(1)}, "how many samples="),
        ((np.zeros(1), np.zeros(1)), {"covariance": np.array([[np.nan]]), "samples": 3}, "covariance.*finite"),
    ],
)
def test_an_estimate_that_says_nothing_is_refused(arguments, keywords, message):
    # A NaN would otherwise pass every "is it too large?" and be confirmed.
    with pytest.raises(ComparisonError, match=message):
        Estimate(*arguments, **keywords)


def test_sides_that_answered_different_panels_are_refused():
    with pytest.raises(ComparisonError, match=r"different panels: \(2,\) values from 'certain', \(3,\)"):
        settle(certain(np.zeros(2)), certain(np.zeros(3)))


# --- compare

OU = Problem("-x", 1.0, initial=Gaussian(1.0, 0.4), name="OU")
TRUTH = exact(OU, times=[0.5])


def grid(problem=OU, base=48):
    return refine(lambda k: solve(problem, Grid(-5, 5, base * k), times=[0.5], steps=base * k // 4))


def test_a_refined_grid_and_the_exact_law_are_confirmed_equal():
    verdict = compare(grid(), TRUTH, effect=1e-3)
    assert verdict.outcome is CONFIRMED, str(verdict)
    assert "closed form of OU" in str(verdict)


@pytest.mark.parametrize(
    ("drift", "diffusion"), [("-1.005*x", 1.0), ("-x", 1.005), ("-x + 0.005", 1.0), ("-x/2", 1.0), ("-x", "2**0.5")]
)
def test_a_wrong_coefficient_in_the_solver_is_refuted(drift, diffusion):
    verdict = compare(grid(Problem(drift, diffusion, initial=Gaussian(1.0, 0.4))), TRUTH, effect=1e-3)
    assert verdict.outcome is REFUTED, str(verdict)


def test_a_grid_too_coarse_to_be_halved_is_undecided_and_told_to_refine():
    verdict = compare(solve(OU, Grid(-5, 5, 24), times=[0.5]), TRUTH, effect=0.1)
    assert verdict.outcome is UNDECIDED
    assert "fpk.refine" in verdict.remedy


class TextbookOu:
    """Somebody else's route: it knows nothing of fpk but the panel it is asked and the Estimate it answers with."""

    times = (0.5,)

    def expect(self, panel):
        x = np.linspace(-5, 5, 20_001)
        mean, variance = np.exp(-0.5), 0.16 * np.exp(-1.0) + 0.5 * (1 - np.exp(-1.0))
        mass = stats.norm.pdf(x, mean, np.sqrt(variance)) * (x[1] - x[0])
        value = np.concatenate([block.values(x[:, None]) @ mass for block in panel.smooth])
        return Estimate(value, np.full_like(value, 1e-8), source="textbook")


def test_a_foreign_route_of_ten_lines_joins_the_comparison():
    assert isinstance(TextbookOu(), Marginals)
    for other in (TRUTH, grid()):
        verdict = compare(TextbookOu(), other, effect=1e-3)
        assert verdict.outcome is CONFIRMED, str(verdict)
        assert verdict.pair[0] == "textbook"
    wrong = exact(Problem("-x", 1.01, initial=Gaussian(1.0, 0.4)), times=[0.5])
    assert compare(TextbookOu(), wrong, effect=1e-3).outcome is REFUTED


@dataclass
class Mute:
    times: tuple = (0.5,)

    def expect(self, panel):
        return certain(np.zeros(len(panel.names)), 1.0)


def test_a_panel_is_needed_where_no_side_knows_its_law():
    with pytest.raises(ComparisonError, match=r"neither side can tell its law.*give panel="):
        compare(Mute(), Mute())
    assert isinstance(compare(Mute(), Mute(), panel=PANEL), Verdict)


def test_sides_without_a_common_time_are_refused_with_their_times():
    with pytest.raises(ComparisonError, match=r"no common time: the first side knows \(0\.5,\), the second \(0\.25,\)"):
        compare(TRUTH, exact(OU, times=[0.25]))


def test_the_reference_comes_from_the_side_that_knows_its_law_best():
    rough = solve(OU, Grid(-5, 5, 64), times=[0.5])
    expected = law_panel({0.5: TRUTH.law(0.5)}).digest
    assert panel_between(rough, TRUTH).digest == panel_between(TRUTH, rough).digest == expected


def test_a_verdict_is_the_same_from_both_sides():
    one, two = compare(grid(), TRUTH, effect=1e-3), compare(TRUTH, grid(), effect=1e-3)
    assert one.outcome is two.outcome
    np.testing.assert_array_equal(one.difference, -two.difference)


def test_a_verdict_reads_and_serialises():
    import json

    verdict = compare(grid(), TRUTH, effect=1e-3)
    plain = json.loads(json.dumps(verdict.as_dict()))
    assert plain["verdict"] == "CONFIRMED"
    assert plain["functional"] == verdict.names[verdict.worst]
    assert "smallest effect this comparison is sure to see" in str(verdict)
    assert verdict._repr_html_().startswith("<div")
