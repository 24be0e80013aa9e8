"""The assertions: what they confirm, refute and leave undecided, what their failure text says, and what they refuse."""

from __future__ import annotations

import json
import pickle
import re
import unittest

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.check_context import SURROUNDINGS, CheckContext
from fpk.errors import ComparisonError, FpkError
from fpk.testing import (
    assert_conserved,
    assert_marginals,
    assert_order,
    assert_positive,
    assert_residual,
    assert_reverse_equivalent,
    assert_same_law,
    assert_stationary,
)
from fpk.testing.failure_text import HEADINGS
from fpk.testing.journeys import reach, roomy_grid
from fpk.testing.sides import slices

CONFIRMED = fpk.Outcome.CONFIRMED
OU = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(1.0, 0.4))
EXACT = fpk.exact(OU, times=[0.5, 1.0])
VP = fpk.noising(fpk.VPSchedule(0.6, 3.4), fpk.problems.two_peaks())
SCORE = fpk.exact(VP, times=[1.0]).score


def normal(seed: int, n: int = 20_000, *, mean: float = 0.0, std: float = 1.0, d: int = 1):
    return np.random.default_rng(seed).normal(mean, std, size=(n, d))


@pytest.fixture
def rows():
    """What a running test is told of the assertions in it."""
    told: list[dict] = []
    token = SURROUNDINGS.set(CheckContext("run it again", told.append))
    yield told
    SURROUNDINGS.reset(token)


# --- marginals


def test_a_refined_grid_has_the_exact_marginals():
    grid = fpk.refine(lambda k: fpk.solve(OU, fpk.Grid(-5, 6, cells=64 * k), times=[0.5, 1.0]))
    verdict = assert_marginals(grid, EXACT, tolerance=1e-3)
    assert verdict.outcome is CONFIRMED
    assert len(verdict.names) == 8
    assert len(assert_marginals(grid, EXACT, tolerance=1e-3, times=[1.0]).names) == 4


def test_another_rate_is_refuted():
    wrong = fpk.exact(fpk.problems.ornstein_uhlenbeck(rate=1.05, initial=fpk.Gaussian(1.0, 0.4)), times=[0.5, 1.0])
    with pytest.raises(fpk.Refuted) as failure:
        assert_marginals(wrong, EXACT, tolerance=1e-3)
    assert failure.value.verdict.outcome is fpk.Outcome.REFUTED


def test_a_grid_too_coarse_to_be_halved_is_undecided_and_told_to_refine():
    grid = fpk.solve(OU, fpk.Grid(-5, 6, cells=22), times=[0.5, 1.0])
    with pytest.raises(fpk.Undecided, match=r"fpk\.refine"):
        assert_marginals(grid, EXACT, tolerance=1e-3)


def test_marginals_without_a_common_time_are_refused():
    with pytest.raises(ComparisonError, match="no common time"):
        assert_marginals(fpk.exact(OU, times=[0.3]), EXACT, tolerance=0.1)


def test_sides_that_know_no_law_are_refused():
    class Mute:
        times = (1.0,)

        def expect(self, panel):
            raise NotImplementedError

    with pytest.raises(ComparisonError, match=r"method law\(t\)"):
        assert_marginals(Mute(), Mute(), tolerance=0.1)


# --- the same law


@pytest.mark.parametrize(
    "expected",
    [
        fpk.Gaussian(0.0, 1.0),
        stats.norm(0, 1),
        normal(1, 100_000),
        fpk.LawMarginals({2.0: fpk.Gaussian(0.0, 1.0)}, (2.0,)),
    ],
    ids=["law", "scipy", "samples", "marginals"],
)
def test_samples_have_the_law_they_were_drawn_from(expected):
    assert assert_same_law(normal(0, 100_000), expected, tolerance=0.05).outcome is CONFIRMED
    assert assert_same_law(expected, normal(2, 100_000), tolerance=0.05).outcome is CONFIRMED


@pytest.mark.parametrize("other", [{"mean": 0.2}, {"std": 1.2}], ids=str)
def test_samples_of_another_law_are_refuted(other):
    for expected in (fpk.Gaussian(0.0, 1.0), normal(1)):
        with pytest.raises(fpk.Refuted):
            assert_same_law(normal(0, **other), expected, tolerance=0.02)


def test_too_few_samples_are_undecided_and_told_how_many_more():
    with pytest.raises(fpk.Undecided, match=r"times as many") as failure:
        assert_same_law(normal(0, 2000), fpk.Gaussian(0.0, 1.0), effect=0.05)
    assert failure.value.verdict.tolerance == pytest.approx(0.05 / 3)


def test_correlation_is_seen_though_every_coordinate_has_the_same_law():
    related = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]], size=20_000)
    with pytest.raises(fpk.Refuted, match=re.escape("[0.71 0.71]")):
        assert_same_law(related, normal(1, d=2), tolerance=0.05)
    assert assert_same_law(normal(2, 100_000, d=2), fpk.Gaussian([0, 0], 1.0), tolerance=0.05).outcome is CONFIRMED


def test_a_difference_of_shape_only_refutes_in_theory_mode():
    """Rounding to a lattice leaves the smooth functionals almost alone, but puts steps into the distribution function."""
    x = normal(0, 100_000)
    lattice = np.round(x / 0.25) * 0.25
    with pytest.raises(fpk.Refuted, match="distribution functions differ"):
        assert_same_law(lattice, fpk.Gaussian(0.0, np.sqrt(1 + 0.25**2 / 12)), effect=0.5)


@pytest.mark.usefixtures("outside")
def test_two_samples_of_one_law_are_refuted_no_more_often_than_alpha():
    """The pilot comes from one of the two samples; that must not spoil the level."""
    alpha, runs = 0.1, 100
    rng = np.random.default_rng(0)
    refuted = 0
    for _ in range(runs):
        try:
            assert_same_law(rng.normal(size=(1000, 1)), rng.normal(size=(1000, 1)), tolerance=1e-9, alpha=alpha)
        except fpk.Refuted:
            refuted += 1
        except fpk.Undecided:
            pass
    assert refuted <= stats.binom.isf(1e-6, runs, alpha)


@pytest.mark.parametrize(
    ("actual", "expected", "complaint"),
    [
        (normal(0)[:, 0], fpk.Gaussian(0.0, 1.0), r"reshape\(-1, 1\)"),
        (normal(0, 999), fpk.Gaussian(0.0, 1.0), "n ≥ 1000"),
        (np.where(np.arange(2000)[:, None] == 7, np.nan, 0.5), fpk.Gaussian(0.0, 1.0), "1 of 2000 positions are not finite, the first is row 7"),
        (normal(0, d=2), fpk.Gaussian(0.0, 1.0), "dimension 2, the other side in 1"),
        (normal(0), "a law", "must be marginals .* got str"),
        (np.ones((2000, 1)), normal(0), "coordinate 0 does not vary"),
        (EXACT, fpk.Gaussian(0.0, 1.0), r"several times are known, \[0.5, 1.0\]"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(actual, expected, complaint):
    with pytest.raises(ComparisonError, match=complaint):
        assert_same_law(actual, expected, tolerance=0.1)


def test_a_time_chooses_the_marginal():
    assert assert_same_law(EXACT, EXACT.law(0.5), tolerance=1e-6, time=0.5).outcome is CONFIRMED
    with pytest.raises(fpk.Refuted):
        assert_same_law(EXACT, EXACT.law(0.5), tolerance=1e-6, time=1.0)


@pytest.mark.parametrize("given", [{}, {"tolerance": 0.1, "effect": 0.1}], ids=["neither", "both"])
def test_exactly_one_of_tolerance_and_effect_is_needed(given):
    with pytest.raises(ComparisonError, match="exactly one of tolerance="):
        assert_same_law(normal(0), normal(1), **given)
    with pytest.raises(ComparisonError, match="exactly one of tolerance="):
        assert_residual(np.zeros(1), bound=1e-9, **given)


@pytest.mark.parametrize("d", [1, 2, 5, 8, 9, 30])
def test_slices_are_unit_vectors_and_connect_all_coordinates(d):
    found = np.array(slices(d))
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert np.array_equal(found[:d], np.eye(d))
    assert len(found) == (d * (d + 1) // 2 if d <= 8 else 2 * d)


# --- over time, and there and back


def test_the_gibbs_law_is_stationary_and_its_neighbour_is_not():
    well = fpk.problems.double_well(diffusion=0.8, initial=fpk.Gaussian(0.0, 1.0), horizon=0.5)
    assert assert_stationary(well, fpk.problems.double_well_law(0.8)).outcome is CONFIRMED
    with pytest.raises(fpk.Refuted):
        assert_stationary(well, fpk.problems.double_well_law(0.85))


def test_a_rotating_problem_keeps_its_normal_law():
    rotating = fpk.Problem(
        fpk.Linear(lambda t: np.array([[-1.0, 2.0], [-2.0, -1.0]])),
        2**0.5,
        initial=fpk.Gaussian([3, 3], 1.0),
        horizon=0.5,
    )
    assert assert_stationary(rotating, fpk.Gaussian([0, 0], 1.0), steps=50).outcome is CONFIRMED
    with pytest.raises(fpk.Refuted, match="seed=3"):
        assert_stationary(rotating, fpk.Gaussian([0.3, 0], 1.0), particles=20_000, steps=20, seed=3)


def test_there_and_back_again():
    assert assert_reverse_equivalent(VP, score=SCORE).outcome is CONFIRMED
    nonlinear = fpk.Problem("sin(2*x) - x", "1", initial=fpk.Gaussian(0.5, 0.4), horizon=0.3)
    assert assert_reverse_equivalent(nonlinear).outcome is CONFIRMED


@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.5, 1.05])
def test_a_wrong_score_does_not_lead_back(factor):
    with pytest.raises(fpk.Refuted):
        assert_reverse_equivalent(VP, score=lambda x, t: factor * SCORE(x, t))


def test_a_wrong_reverse_does_not_lead_back():
    def forgetful(problem: fpk.Problem, score, *, initial):
        """The forward drift kept, the score forgotten."""
        T = problem.horizon
        return fpk.Problem(
            lambda x, tau: -problem.drift(x, T - tau),
            lambda tau: problem.diffusion(np.zeros((1, 1)), T - tau),
            initial=initial,
        )

    with pytest.raises(fpk.Refuted):
        assert_reverse_equivalent(VP, reverse=forgetful)


def test_a_reverse_that_returns_no_problem_is_refused_in_words():
    with pytest.raises(ComparisonError, match=r"must return the reversed fpk\.Problem, got None"):
        assert_reverse_equivalent(VP, reverse=lambda *given, **more: None)  # pyright: ignore[reportArgumentType]


def test_boxes_are_wide_enough_for_a_law_that_spreads():
    spreading = fpk.Problem("x", "2", initial=fpk.Gaussian(0.0, 0.5), horizon=1.0)
    grid = roomy_grid(spreading, 48)
    assert grid.upper > 6 * np.sqrt(0.25 * np.e**2 + 2 * (np.e**2 - 1))
    assert grid.upper - grid.lower > 2 * (reach(spreading.initial)[1] - reach(spreading.initial)[0])


def test_a_law_that_explodes_is_refused():
    exploding = fpk.Problem("40*x", "2", initial=fpk.Gaussian(0.0, 0.5), horizon=1.0)
    with pytest.raises(fpk.errors.GridError, match="shorter horizon"):
        roomy_grid(exploding, 8)


# --- numbers


def test_orders_are_confirmed_and_one_too_high_is_refuted():
    h = 0.5 ** np.arange(6)
    errors = -2 * h**2 + 0.7 * h**3
    assert assert_order(h, errors, order=2).outcome is CONFIRMED
    with pytest.raises(fpk.Refuted, match=r"order +1\.99 +3 +−1\.01 "):
        assert_order(h, errors, order=3)


def test_few_levels_leave_an_order_undecided():
    with pytest.raises(fpk.Undecided):
        assert_order([1.0, 0.5], [1.0, 0.25], order=2)


def test_mass_is_conserved_between_walls_and_not_with_absorption():
    walled, leaking = (
        fpk.Problem("0", "1", initial=fpk.Gaussian(0.5, 0.1), boundary=fpk.Boundary(kind, 0.0, 1.0), horizon=0.2)
        for kind in ("no_flux", "absorbing")
    )
    grid = fpk.Grid(0.0, 1.0, cells=96)
    assert assert_conserved(fpk.solve(walled, grid, times=[0.1, 0.2])).outcome is CONFIRMED
    with pytest.raises(fpk.Refuted, match=r"mass +0\.\d+ +1 .*t=0\.2"):
        assert_conserved(fpk.solve(leaking, grid, times=[0.1, 0.2]))


def test_refined_marginals_are_judged_by_their_finest_level():
    grid = fpk.refine(lambda k: fpk.solve(OU, fpk.Grid(-5, 6, cells=64 * k), times=[1.0]))
    assert assert_conserved(grid).outcome is CONFIRMED
    assert assert_positive(grid, tolerance=1e-9).outcome is CONFIRMED


def test_positive_schemes_are_positive_and_undershoots_are_found():
    narrow = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(1.0, 0.1))
    grid = fpk.Grid(-6, 6, cells=128)
    assert assert_positive(fpk.solve(narrow, grid, times=[0.01], positive=True)).outcome is CONFIRMED
    solution = fpk.solve(narrow, grid, times=[0.01])
    assert solution.minimum < 0
    with pytest.raises(fpk.Refuted):
        assert_positive(solution, tolerance=-0.5 * solution.minimum / solution.densities.max())


@pytest.mark.parametrize("check", [assert_conserved, assert_positive])
def test_what_is_no_grid_solution_is_refused(check):
    with pytest.raises(ComparisonError, match=r"a grid solution with (mass|densities)"):
        check(EXACT)


def test_residuals_vanish_within_their_bound():
    x = np.linspace(0, 1, 9)
    assert assert_residual(np.sin(x) ** 2 + np.cos(x) ** 2 - 1, bound=1e-15, effect=1e-12).outcome is CONFIRMED
    assert assert_residual(fpk.residual(0 * x, np.full(9, 1e-9)), tolerance=1e-6).outcome is CONFIRMED
    with pytest.raises(fpk.Refuted, match=r"(?m)^mass +0\.01 .* t=1$"):
        assert_residual(np.array([0.0, 0.01]), bound=1e-9, tolerance=1e-6, names=("mass at t=0", "mass at t=1"))
    with pytest.raises(fpk.Undecided, match="refine first"):
        assert_residual(np.array([1e-7]), bound=1e-6, tolerance=1e-6)
    with pytest.raises(ComparisonError, match="need bound="):
        assert_residual(x, tolerance=1e-6)


# --- failures


def failure(**options) -> fpk.Refuted:
    with pytest.raises(fpk.Refuted) as caught:
        assert_same_law(normal(0, mean=0.5), fpk.Gaussian(0.0, 1.0), **({"tolerance": 0.02} | options))
    return caught.value


def test_a_failure_is_an_assertion_error_of_fpk_that_carries_its_verdict():
    found = failure()
    assert isinstance(found, AssertionError)
    assert isinstance(found, FpkError)
    assert isinstance(found.verdict, fpk.Verdict)
    assert str(pickle.loads(pickle.dumps(found)).verdict) == str(found.verdict)


def test_the_failure_text_is_a_table_with_the_numbers_of_the_verdict():
    found = failure()
    lines = str(found).splitlines()
    assert re.split(r"  +", lines[2]) == list(HEADINGS)
    rows = [re.split(r"  +", line) for line in lines[3:7]]
    assert [row[0] for row in rows] == ["φ1", "φ2", "φ3", "φ4"] or len(rows) == 4
    values = [[float(cell.replace("−", "-")) for cell in row[1:6]] for row in rows]
    for (obtained, expected, difference, *_), row in zip(values, rows, strict=True):
        assert obtained - expected == pytest.approx(difference, rel=0.02)
        assert row[-1] == "t=0"
    sizes = [abs(value[2]) for value in values]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == pytest.approx(np.abs(found.verdict.difference).max(), rel=0.01)


@pytest.mark.parametrize(
    "fact", ["actual", "expected", "tolerance", "smallest effect seen", "reason", "remedy", "rerun"]
)
def test_the_failure_text_tells(fact):
    assert re.search(rf"(?m)^{fact}  +\S", str(failure()))


def test_inside_pytest_the_failure_text_gives_the_command(request):
    assert f"pytest {request.node.nodeid} --fpk-seed={request.config.option.fpk_seed}" in str(failure())


@pytest.mark.usefixtures("outside")
def test_elsewhere_the_failure_text_gives_the_call_with_its_level_and_place():
    text = str(failure(alpha=1e-7))
    assert re.search(
        r"(?m)^rerun +fpk\.testing\.assert_same_law\(actual, expected, tolerance=0\.02, alpha=1e-07\) at .*test_testing\.py:\d+$",
        text,
    )


def test_long_panels_show_the_worst_rows():
    with pytest.raises(fpk.Refuted, match=r"\.\.\. and 4 more, closer together"):
        assert_same_law(normal(0, mean=0.5, d=2), fpk.Gaussian([0, 0], 1.0), tolerance=0.02)


def test_assertions_work_in_unittest():
    class Case(unittest.TestCase):
        def test_wrong(self):
            assert_residual(np.ones(1), bound=1e-9, tolerance=1e-6)

    outcome = unittest.TestResult()
    Case("test_wrong").run(outcome)
    assert len(outcome.failures) == 1
    assert not outcome.errors


def test_verdicts_are_collected_from_confirmed_assertions_too(rows):
    assert_residual(np.zeros(1), bound=1e-9, tolerance=1e-6)
    failure()
    assert [row["verdict"] for row in rows] == ["CONFIRMED", "REFUTED"]
    assert [row["alpha"] for row in rows] == [0.0, 1e-6]  # where nothing is sampled, nothing is spent
    assert all(
        set(row) >= {"check", "pair", "difference", "budget", "standard_error", "tolerance", "mde"} for row in rows
    )
    assert [type(value) for value in rows[0].values()] == [
        type(value) for value in json.loads(json.dumps(rows[0])).values()
    ]
