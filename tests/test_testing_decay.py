"""Decays: closed forms of Ornstein–Uhlenbeck are confirmed at their rate and refuted at twice it, noise is counted, nonsense is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.errors import ComparisonError
from fpk.testing import assert_decays
from fpk.testing.distances import DISTANCES, distances

RATE, REST = 1.5, 1 / 3  # dX = −λX dt + dW is at rest with variance 1/(2λ)
TIMES = np.array([0.0, 0.2, 0.5, 1.0, 1.6])
LAW = fpk.Gaussian(0.0, covariance=[[REST]])


def spring(mean: float, std: float, *, rate: float = RATE) -> fpk.Problem:
    """The noise goes with the rate, so that the law at rest is the same for all of them."""
    noise = np.sqrt(2 * rate * REST)
    return fpk.problems.ornstein_uhlenbeck(rate=rate, diffusion=noise, initial=fpk.Gaussian(mean, std), horizon=2.0)


def closed_form(distance: str, mean: float, std: float) -> np.ndarray:
    """Distances of N(m e^{−λt}, R + (s² − R) e^{−2λt}) to N(0, R), by hand."""
    m, r = mean * np.exp(-RATE * TIMES), 1 + (std**2 / REST - 1) * np.exp(-2 * RATE * TIMES)
    if distance == "KL":
        return 0.5 * (r - 1 - np.log(r) + m**2 / REST)
    if distance == "Fisher":
        return (1 - 1 / r) ** 2 * r / REST + m**2 / REST**2
    assert np.all(r < 2)
    return np.exp(m**2 / (REST * (2 - r))) / np.sqrt(r * (2 - r)) - 1


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(("mean", "std"), [(1.0, REST**0.5), (0.0, 0.3), (-0.8, 0.7)], ids=["mean", "spread", "both"])
def test_distances_are_those_of_the_closed_form_and_fall_with_twice_the_rate(distance, mean, std):
    exact, known = fpk.exact(spring(mean, std), times=[1.0]), closed_form(distance, mean, std)
    values, bounds = distances(exact, LAW, distance=distance, times=TIMES)
    assert np.all(np.abs(values - known) <= bounds + 1e-12)
    assert np.all(bounds < 1e-6 * known)
    for held in (
        assert_decays(TIMES, known, rate=2 * RATE),
        assert_decays(TIMES, exact, to=LAW, distance=distance, rate=2 * RATE),
    ):
        assert held.outcome is fpk.Outcome.CONFIRMED
        assert held.kind == "bound"


def test_a_grid_has_the_distances_of_the_exact_law_within_its_bounds():
    grid = fpk.solve(spring(1.0, 0.4), fpk.Grid(-5, 5, cells=128), times=TIMES)
    values, bounds = distances(grid, LAW, distance="KL", times=TIMES)
    assert np.all(np.abs(values - closed_form("KL", 1.0, 0.4)) <= bounds)
    assert assert_decays(TIMES, grid, to=LAW, rate=2 * RATE).outcome is fpk.Outcome.CONFIRMED


def test_half_the_rate_is_refuted_and_named():
    planted = fpk.exact(spring(1.0, REST**0.5, rate=RATE / 2), times=[1.0])
    with pytest.raises(fpk.Refuted, match=r"½ of what is claimed: .*λ for 2λ, or a drift × ½") as failure:
        assert_decays(TIMES, planted, to=LAW, rate=2 * RATE)
    assert slowest(failure.value) == pytest.approx(RATE, rel=1e-3)


def slowest(failure: fpk.Refuted) -> float:
    """The rate that the reason tells."""
    return float(failure.verdict.reason.partition("between neighbours is ")[2].partition(",")[0])


@pytest.mark.parametrize("shortfall", [0.015, 0.03])
def test_the_tolerance_is_a_share_of_the_rate(shortfall):
    values = np.exp(-3 * (1 - shortfall) * TIMES)
    if shortfall < 0.02:
        assert assert_decays(TIMES, values, rate=3.0).outcome is fpk.Outcome.CONFIRMED
    else:
        with pytest.raises(fpk.Refuted):
            assert_decays(TIMES, values, rate=3.0)


def test_a_fall_that_is_slow_at_first_needs_a_constant():
    """((1 + t) e^{−t})², as behind a Jordan block, has slope 0 at t = 0."""
    t = np.linspace(0, 6, 25)
    values = (1 + t) ** 2 * np.exp(-2 * t)
    with pytest.raises(fpk.Refuted, match="constant="):
        assert_decays(t, values, rate=1.0)
    C = float(np.max(values * np.exp(t)))
    assert assert_decays(t, values, rate=1.0, constant=1.01 * C).outcome is fpk.Outcome.CONFIRMED
    with pytest.raises(fpk.Refuted):
        assert_decays(t, values, rate=1.0, constant=0.95 * C, tolerance=0.0)


def test_a_rest_that_does_not_decay_is_told_with_its_size():
    t = np.linspace(0, 3, 7)
    with pytest.raises(fpk.Refuted, match=r"slows down, from rate 1\.9\d to 0\.\d+: about 0\.01 does not decay"):
        assert_decays(t, np.exp(-2 * t) + 0.01, rate=2.0)


@pytest.mark.parametrize(
    ("values", "sign"),
    [
        (np.exp(TIMES), "time runs backwards, or the sign of the drift"),
        (np.exp(-3 * TIMES) * np.array([1, 1, 3, 1, 1]), "fall and grow"),
        (np.exp(-0.75 * TIMES), "¼ of what is claimed"),
        (np.exp(-2 * TIMES), "0.667 of what is claimed"),
    ],
    ids=["growing", "both", "quarter", "two thirds"],
)
def test_the_rates_tell_what_they_can(values, sign):
    with pytest.raises(fpk.Refuted, match=sign):
        assert_decays(TIMES, values, rate=3.0)


# --- errors of the values


def test_bounds_leave_open_what_they_hide():
    values = np.exp(-3.0 * TIMES)
    assert assert_decays(TIMES, values, rate=3.0, bounds=1e-6).outcome is fpk.Outcome.CONFIRMED
    with pytest.raises(fpk.Undecided, match="smaller errors"):
        assert_decays(TIMES, values, rate=3.0, bounds=5e-3)
    with pytest.raises(fpk.Refuted):
        assert_decays(TIMES, values, rate=6.0, bounds=5e-3)


def test_values_within_their_errors_are_left_out_and_named():
    t = np.arange(0.0, 6.0)
    values = np.exp(-3 * t)
    verdict = assert_decays(t, values + np.array([0, 0, 0, 0, 2e-4, -1e-4]), rate=2.5, bounds=3e-4)
    assert verdict.reason.endswith("Nothing is seen at t=4, 5, where values are within their errors.")
    with pytest.raises(fpk.Refuted):  # a value that comes back out of its errors is not left out
        assert_decays(t, values + np.array([0, 0, 0, 0, 0, 0.01]), rate=2.5, bounds=3e-4)


def noisy(seed: int, truth: np.ndarray, noise: float) -> np.ndarray:
    return truth + noise * np.random.default_rng(seed).normal(size=truth.shape)


def outcome_of(values, **options) -> str:
    try:
        return str(assert_decays(TIMES, values, **options).outcome)
    except (fpk.Refuted, fpk.Undecided) as failure:
        return str(failure.verdict.outcome)


@pytest.mark.usefixtures("outside")
def test_sampled_values_are_refuted_no_more_often_than_alpha_and_mostly_if_wrong():
    """At equality (the worst case of the claim): at most alpha = .05 of 400, a test of level 1e-6; half the rate: power over .99 of 50."""
    truth, noise = np.exp(-3 * TIMES), 2e-3
    options = {"standard_errors": np.full(5, noise), "tolerance": 0.0, "alpha": 0.05}
    found = [outcome_of(noisy(seed, truth, noise), rate=3.0, **options) for seed in range(400)]
    assert found.count("REFUTED") <= stats.binom.isf(1e-6, 400, 0.05)
    assert [outcome_of(noisy(s, np.sqrt(truth), noise), rate=3.0, **options) for s in range(50)] == ["REFUTED"] * 50


def test_a_value_that_noise_takes_below_zero_is_no_nonsense():
    values = np.exp(-3 * TIMES) - np.array([0, 0, 0, 0, 0.013])  # five standard errors below 0
    assert outcome_of(values, rate=2.0, standard_errors=np.full(5, 1e-3)) == "CONFIRMED"


def test_covariances_of_values_count():
    """Values that share a factor (one bad normalisation) have uncertain sizes and certain ratios."""
    truth = np.exp(-3.3 * TIMES)
    shared = 0.05**2 * np.outer(truth, truth) + np.diag((1e-6 * truth) ** 2)
    assert assert_decays(TIMES, truth, rate=3.0, covariance=shared).outcome is fpk.Outcome.CONFIRMED
    with pytest.raises(fpk.Undecided):
        assert_decays(TIMES, truth, rate=3.0, standard_errors=0.05 * truth)


# --- what is refused


@pytest.mark.parametrize(
    ("times", "values", "options", "complaint"),
    [
        ([0, 1], [1, 0.1, 0.01], {}, "2 finite values are needed, one for each time"),
        ([0, 0], [1, 0.1], {}, "two or more increasing times"),
        ([1], [1], {}, "two or more increasing times"),
        ([0, 1], [1, np.nan], {}, "2 finite values"),
        ([0, 1], [1, -0.5], {}, "what decays is ≥ 0, got -0.5"),
        ([0, 1], [0.01, 0.001], {"bounds": 0.02}, "nothing is left to decay"),
        ([0, 1], [1, 0.1], {"rate": 0.0}, "finite number > 0, got 0.0"),
        ([0, 1], [1, 0.1], {"rate": -1.0}, "a growth is not claimed here"),
        ([0, 1], [1, 0.1], {"tolerance": 1.0}, r"share of the rate in \[0, 1\)"),
        ([0, 1], [1, 0.1], {"constant": 0.5}, "is at least 1, got 0.5"),
        ([0, 1], [1, 0.1], {"bounds": -1.0}, "bounds must be ≥ 0"),
        ([0, 1], [1, 0.1], {"standard_errors": [0.1]}, "2 values need 2 finite standard errors"),
        ([0, 1], [1, 0.1], {"standard_errors": [0.1, 0.1], "covariance": np.eye(2)}, "not both"),
        ([0, 1], [1, 0.1], {"to": LAW}, "to= is for marginals"),
        ([0, 1], [1, 0.1], {"alpha": 2.0}, "alpha must be between 0 and 1"),
        ([0, 1], fpk.exact(spring(1, 0.3), times=[1.0]), {}, "say which with to="),
        ([0, 1], fpk.exact(spring(1, 0.3), times=[1.0]), {"to": LAW, "distance": "L2"}, "KL, chi-square, Fisher"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(times, values, options, complaint):
    with pytest.raises(ComparisonError, match=complaint):
        assert_decays(times, values, **({"rate": 1.0} | options))


def test_particles_have_no_density_and_are_told_what_to_pass():
    run = fpk.simulate(spring(1.0, 0.3), particles=1000, steps=4, times=[0.5, 1.0])
    with pytest.raises(ComparisonError, match="pass them with standard_errors="):
        assert_decays([0.5, 1.0], run, to=LAW, rate=1.0)


def test_a_chi_square_distance_that_is_infinite_is_not_a_number():
    """p of more than twice the variance of q: ∫ p²/q diverges, and the quadrature's ends say so."""
    wide = fpk.LawMarginals({0.0: fpk.Gaussian(0.0, 1.0), 1.0: LAW}, (0.0, 1.0))
    with pytest.raises(ComparisonError, match="at t=0 is infinite, or its integral does not converge"):
        assert_decays([0.0, 1.0], wide, to=LAW, distance="chi-square", rate=1.0)
