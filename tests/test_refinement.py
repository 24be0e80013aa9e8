from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpk.closed_form import exact
from fpk.errors import ComparisonError
from fpk.fokker_planck.discretisation import ACCURATE, POSITIVE, SECOND_ORDER
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid
from fpk.laws import Gaussian, GaussianMixture
from fpk.marginals import Estimate
from fpk.panels import law_panel
from fpk.problem import Problem
from fpk.refinement import refine, refinement_budget

signed = st.floats(0.1, 10).flatmap(lambda a: st.sampled_from([a, -a]))


@given(limit=st.floats(-5, 5), constant=signed, order=st.sampled_from([1, 2, 4]))
def test_the_budget_covers_an_asymptotic_error_and_is_not_wasteful(limit, constant, order):
    values = [np.array([limit + constant * h**order]) for h in (0.1, 0.05, 0.025)]
    error = abs(values[-1][0] - limit)
    budget = refinement_budget(values, order)[0]
    assert (
        error <= budget <= (1.5 if order <= 2 else 5) * error + 1e-12
    )  # DOUBT of a change that is 240 times the error


@given(limit=st.floats(-5, 5), constant=signed, extra=st.floats(-4, 4), order=st.sampled_from([1, 2, 4]))
def test_the_budget_covers_errors_with_a_second_term(limit, constant, extra, order):
    # Relative second term up to 4h at h = .1 ... .025: not yet asymptotic.
    def value(h):
        return np.array([limit + constant * h**order * (1 + extra * h)])

    values = [value(h) for h in (0.1, 0.05, 0.025)]
    assert abs(values[-1][0] - limit) <= refinement_budget(values, order)[0] + 1e-14


@given(constant=signed, order=st.sampled_from([1, 2, 4]), power=st.sampled_from([0, 1, 4]))
def test_the_budget_covers_errors_that_alternate_even_without_falling(constant, order, power):
    values = [np.array([constant * s * h**power]) for s, h in ((1, 0.1), (-1, 0.05), (1, 0.025))]
    assert abs(values[-1][0]) <= refinement_budget(values, order)[0]


@given(constant=signed)
def test_a_slower_convergence_than_declared_is_covered(constant):
    # Declared fourth order, in truth first: 3 |e21| / (2^q − 1) with the observed q = 1.
    values = [np.array([constant * h]) for h in (0.1, 0.05, 0.025)]
    budget = refinement_budget(values, 4)[0]
    assert budget == pytest.approx(3 * abs(constant) * 0.025, rel=1e-9)


def test_a_change_that_appears_only_at_the_last_level_is_not_taken_for_convergence():
    budget = refinement_budget([np.array([1.0]), np.array([1.0]), np.array([1.1])], 4)[0]
    assert budget >= 0.1


def test_no_change_at_all_needs_no_budget():
    np.testing.assert_array_equal(refinement_budget([np.ones(3)] * 3, 4), np.zeros(3))
    assert refinement_budget([np.zeros(0)] * 3, 4).shape == (0,)


def test_one_functional_that_happens_not_to_change_shares_the_doubt_of_the_others():
    values = [np.array([1 + h**2, 2.0]) for h in (0.4, 0.2, 0.1)]
    budget = refinement_budget(values, 2)
    assert budget[1] == pytest.approx(0.1 * budget[0])


@pytest.mark.parametrize("levels", [(1, 2), (1, 2, 3), (1, 3, 9), (4, 2, 1), ()])
def test_levels_that_are_not_three_of_ratio_two_are_refused(levels):
    with pytest.raises(ComparisonError, match=r"three or more levels of ratio 2, for example \(1, 2, 4\)"):
        refine(lambda k: None, levels=levels)


@dataclass
class Sampled:
    times: tuple = (1.0,)

    def expect(self, panel):
        return Estimate(np.zeros(4), np.zeros(4))


def test_a_route_without_an_order_cannot_be_refined():
    with pytest.raises(ComparisonError, match=r"states its order and floor.*got Sampled"):
        refine(lambda k: Sampled())


OU = Problem("-x", 1.0, initial=GaussianMixture([0.4, 0.6], [-0.5, 1.0], stds=[0.5, 0.4]))
TRUTH = exact(OU, times=[0.5])
# References that are not the solution's own law, so that every functional has an expectation and an error.
PANEL = law_panel({0.5: Gaussian(0.3, 0.9)})


@pytest.mark.parametrize("scheme", [ACCURATE, SECOND_ORDER, POSITIVE], ids=lambda s: s.method.name)
@pytest.mark.parametrize("base", [32, 48, 64])
def test_the_budget_of_a_refined_grid_covers_its_true_error(scheme, base):
    refined = refine(lambda k: solve(OU, Grid(-5, 5, base * k), times=[0.5], steps=base * k // 4, scheme=scheme))
    answer, truth = refined.expect(PANEL), TRUTH.expect(PANEL)
    assert np.all(np.abs(answer.value - truth.value) <= answer.bias_bound + truth.bias_bound)
    gap = np.abs(answer.thresholds - truth.thresholds)
    assert np.all(gap <= answer.threshold_bound + truth.threshold_bound)
    assert np.all(np.isfinite(answer.bias_bound))


def test_a_refined_route_answers_with_its_finest_level_and_remembers_the_coarser():
    refined = refine(lambda k: solve(OU, Grid(-5, 5, 32 * k), times=[0.5], steps=8 * k))
    values = [level.unbudgeted(PANEL).value for level in refined.levels]
    answer = refined.expect(PANEL)
    np.testing.assert_array_equal(answer.value, values[2])
    np.testing.assert_array_equal(answer.coarser, values[1])
    assert refined.order == 6
    assert refined.times == (0.5,)
    assert refined.law(0.5) is refined.finest.law(0.5)
