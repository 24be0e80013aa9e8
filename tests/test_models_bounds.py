"""Divergences are those of closed forms, and the bound stands where its theorem says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

import fpk
from fpk.errors import ProblemError
from fpk.fields import Field, exact_field
from fpk.models.bounds import (
    KLBound,
    generated_law,
    girsanov,
    girsanov_held_out,
    held_out_pairs,
    kl_divergence,
    model_error,
    total_variation,
)

SCHEDULE = fpk.VPSchedule(0.6, 3.4)
DATA = fpk.problems.two_peaks()
FORWARD = fpk.noising(SCHEDULE, DATA)
TRUTH = exact_field(FORWARD)
END = fpk.exact(FORWARD, times=[1.0]).law(1.0)
GRID = fpk.Grid(-6.5, 7, cells=160)
#: Other data, whose score is an error with equality in the bound.
OTHER = fpk.GaussianMixture([0.35, 0.65], [-0.9, 1.1], stds=[0.25, 0.5])


def gaussian_kl(m: float, s: float, n: float, r: float) -> float:
    return float(np.log(r / s) + (s**2 + (m - n) ** 2) / (2 * r**2) - 0.5)


def wrong(amount: float) -> Field:
    return Field(lambda x, t: TRUTH(x, t) + amount, "score", SCHEDULE)


def test_divergences_of_gaussian_laws_are_their_closed_forms() -> None:
    first, second = fpk.Gaussian(0.3, 0.8), fpk.Gaussian(-0.1, 1.1)
    assert kl_divergence(first, second) == pytest.approx(gaussian_kl(0.3, 0.8, -0.1, 1.1), rel=1e-12)
    plane = [fpk.Gaussian([m, 0.2], covariance=np.diag([s**2, 1.0])) for m, s in ((0.3, 0.8), (-0.1, 1.1))]
    assert kl_divergence(*plane) == pytest.approx(gaussian_kl(0.3, 0.8, -0.1, 1.1), rel=1e-12)
    apart = total_variation(fpk.Gaussian(0.0, 1.0), fpk.Gaussian(0.6, 1.0))
    assert apart == pytest.approx(2 * norm.cdf(0.3) - 1, abs=1e-9)


def test_divergence_is_infinite_where_the_support_is_missed() -> None:
    half = fpk.TabulatedLaw(np.linspace(-0.5, 4, 600), -0.5 * np.linspace(-0.5, 4, 600) ** 2)
    assert kl_divergence(fpk.Gaussian(0.0, 1.0), half) == np.inf
    assert kl_divergence(half, fpk.Gaussian(0.0, 1.0)) == pytest.approx(-np.log(norm.cdf(4) - norm.cdf(-0.5)), rel=1e-9)
    assert total_variation(fpk.Gaussian(0.0, 1.0), half) == pytest.approx(norm.cdf(-0.5) + norm.sf(4), abs=1e-8)


def test_total_variation_of_mixtures_is_the_integral_of_the_gap() -> None:
    x = np.linspace(-7, 7, 2_000_001)[:, None]
    plainly = 0.5 * np.trapezoid(np.abs(DATA.density(x) - OTHER.density(x)), x[:, 0])
    assert total_variation(DATA, OTHER) == pytest.approx(float(plainly), abs=1e-8)


def test_total_variation_of_disjoint_laws_is_one() -> None:
    assert total_variation(fpk.Gaussian(-30.0, 1.0), fpk.Gaussian(30.0, 1.0)) == pytest.approx(1.0, abs=1e-9)


def test_the_exact_score_leaves_only_the_prior() -> None:
    bound = girsanov(FORWARD, TRUTH, prior=fpk.Gaussian(0.1, 1.0))
    assert bound.path < 1e-25
    assert bound.kl == pytest.approx(kl_divergence(END, fpk.Gaussian(0.1, 1.0)), rel=1e-12)
    assert girsanov(FORWARD, TRUTH, prior=END).kl < 1e-20


def test_a_constant_error_costs_half_its_square_times_the_noise() -> None:
    total_noise = 0.6 + 0.5 * (3.4 - 0.6)  # B(1) = ∫ g²
    assert girsanov(FORWARD, wrong(0.2), prior=END).path == pytest.approx(0.5 * 0.04 * total_noise, rel=1e-12)
    later = total_noise - (0.6 * 0.3 + 0.5 * 0.09 * 2.8)
    assert girsanov(FORWARD, wrong(0.2), prior=END, end=0.3).path == pytest.approx(0.5 * 0.04 * later, rel=1e-12)


def test_scores_of_other_data_reach_the_bound() -> None:
    """The generated law is then the other data law, and its divergence the whole bound."""
    other = fpk.noising(SCHEDULE, OTHER)
    prior = fpk.exact(other, times=[1.0]).law(1.0)
    bound = girsanov(FORWARD, exact_field(other), prior=prior, nodes=64)
    assert bound.kl == pytest.approx(kl_divergence(DATA, OTHER), rel=1e-7)


def test_fields_of_other_kinds_have_the_same_bound() -> None:
    same = [girsanov(FORWARD, wrong(0.2).converted(kind), prior=END, end=0.1).kl for kind in ("score", "noise", "v")]
    assert same == pytest.approx([same[0]] * 3, rel=1e-10)


def test_held_out_pairs_bound_from_above(rng: np.random.Generator) -> None:
    pairs = held_out_pairs(FORWARD, end=0.1, count=2000, rng=rng)
    plain = girsanov(FORWARD, wrong(0.2), prior=END, end=0.1)
    found = girsanov_held_out(FORWARD, wrong(0.2), pairs, prior=END, end=0.1, alpha=1e-7)
    assert plain.kl < found.kl < 1.5 * plain.kl
    assert "2,000 held-out pairs at 16 times" in str(found)


def test_the_grid_generates_the_data_with_the_exact_score() -> None:
    for noise in (None, 0.0):
        law = generated_law(FORWARD, TRUTH, prior=END, grid=GRID, noise=noise)
        assert 0 <= kl_divergence(DATA, law) < 1e-6


def test_observed_divergences_stand_beside_the_bound_and_below_it() -> None:
    error = model_error(FORWARD, wrong(0.2), prior=fpk.Gaussian(0.0, 1.0), grid=GRID)
    assert error.kl_sde < error.bound.kl
    assert error.tv_sde < error.bound.total_variation
    assert error.tv_sde < np.sqrt(error.kl_sde / 2)
    assert error.tv_flow < np.sqrt(error.kl_flow / 2)
    lines = str(error).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["", "bound", "reverse SDE", "probability flow"]
    assert f"{error.kl_sde:.4g}" in lines[2]


def test_gaussian_data_with_a_wrong_rate_generate_the_law_of_a_linear_recursion() -> None:
    """Score −κ x of N(0, 1) data under VP: dY = (½ − κ) β Y dτ + √β dW̄, so that the variance relaxes to 1/(2κ − 1)."""
    forward, rate = fpk.noising(fpk.VPSchedule(2.0), fpk.Gaussian(0.0, 1.0)), 1.4
    field = Field(lambda x, t: -rate * x, "score", fpk.VPSchedule(2.0))
    rest = 1 / (2 * rate - 1)
    variance = rest + (1 - rest) * np.exp(-2 * (2 * rate - 1))
    law = generated_law(forward, field, prior=fpk.Gaussian(0.0, 1.0), grid=fpk.Grid(-7, 7, cells=160))
    assert kl_divergence(fpk.Gaussian(0.0, float(np.sqrt(variance))), law) < 1e-7


def test_pinsker_caps_at_one_and_parts_add() -> None:
    bound = KLBound(1.5, 8.5)
    assert (bound.kl, bound.total_variation) == (10.0, 1.0)
    assert KLBound(0.0, 0.02).total_variation == pytest.approx(0.1)


def test_a_problem_without_schedule_is_refused() -> None:
    plain = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(0.0, 1.0))
    with pytest.raises(ProblemError, match="states no schedule"):
        girsanov(plain, TRUTH, prior=END)
