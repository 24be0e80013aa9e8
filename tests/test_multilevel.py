"""Multilevel estimators: unbiased for their finest steps, cheaper than plain Monte Carlo, with budgets that hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

import fpk
from fpk.particles import multilevel
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.multilevel import PILOT, Level, Multilevel, MultilevelEstimate, allocated
from fpk.particles.schemes import EulerMaruyama, Milstein

#: Probability that a statistical test here fails on right code.
ALPHA = 1e-6
OU = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.0, initial=fpk.Gaussian(2.0, 0.3))
GBM = fpk.Problem("0.1*x", "0.4*x", initial=fpk.Gaussian(1.0, 1e-6))
PANEL = fpk.law_panel({1.0: fpk.Gaussian(1.0, 0.8)})


def expected(draw: Any, panel: fpk.Panel = PANEL) -> np.ndarray:
    """E φ_k(draw(Z)) for a normal Z, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    return panel.smooth[0].values(draw(nodes)[:, None]) @ weights / weights.sum()


def of_the_chain(steps: int, panel: fpk.Panel = PANEL) -> np.ndarray:
    """E φ_k at t = 1 of Euler–Maruyama for dX = −X dt + dW from N(2, .3²)."""
    h, mean, variance = 1 / steps, 2.0, 0.09
    for _ in range(steps):
        mean, variance = (1 - h) * mean, (1 - h) ** 2 * variance + h
    return expected(lambda z: mean + variance**0.5 * z, panel)


OF_GBM = expected(lambda z: np.exp(0.1 - 0.08 + 0.4 * z))
OF_OU = expected(lambda z: 2 * np.exp(-1) + (0.09 * np.exp(-2) + 0.5 * (1 - np.exp(-2))) ** 0.5 * z)


# -- expectations ------------------------------------------------------------------------------------------------------


def test_the_telescoping_sum_is_the_expectation_at_the_finest_steps(seed: int) -> None:
    found = Multilevel(OU, times=[1.0], tolerance=2e-3, coarsest=2, levels=5, seed=seed).on(PANEL)
    assert [level.steps for level in found.levels] == [2, 4, 8, 16, 32]
    z = (found.value - of_the_chain(32)) / found.standard_error
    assert np.max(np.abs(z)) < stats.norm.isf(ALPHA / 8)


def test_standard_errors_are_those_of_repeated_estimates(seed: int) -> None:
    """50 seeds: the squares of the standardised errors sum to a χ² variable."""
    panel = fpk.law_panel({1.0: fpk.Gaussian(1.0, 0.8)}, degree=1)
    exact, squares = of_the_chain(8, panel)[0], 0.0
    for s in range(50):
        found = Multilevel(OU, times=[1.0], tolerance=0.02, levels=4, seed=seed + s).on(panel)
        squares += float((found.value[0] - exact) / found.standard_error[0]) ** 2
    low, high = stats.chi2.ppf([ALPHA / 2, 1 - ALPHA / 2], 50)
    assert low < squares < high


@pytest.mark.parametrize("scheme", [EulerMaruyama(), Milstein()], ids=str)
@pytest.mark.parametrize(("problem", "exact"), [(OU, OF_OU), (GBM, OF_GBM)], ids=["additive", "multiplicative"])
def test_budget_and_standard_error_cover_the_exact_expectation(
    problem: fpk.Problem, exact: np.ndarray, scheme: Any, seed: int
) -> None:
    found = Multilevel(problem, times=[1.0], tolerance=3e-3, coarsest=4, levels=4, seed=seed, scheme=scheme).expect(
        PANEL
    )
    assert np.all(np.abs(found.value - exact) <= found.bias_bound + 5 * found.standard_error)
    assert np.all(found.bias_bound < 0.1)


@pytest.mark.parametrize(("rate", "outcome"), [(1.0, "CONFIRMED"), (1.3, "REFUTED")])
def test_comparisons_take_it_as_one_side(rate: float, outcome: str, seed: int) -> None:
    problem = fpk.problems.ornstein_uhlenbeck(rate=rate, diffusion=1.0, initial=OU.initial)
    particles = Multilevel(problem, times=[0.5, 1.0], tolerance=4e-3, coarsest=4, levels=6, seed=seed)
    assert str(fpk.compare(particles, fpk.exact(OU, times=[0.5, 1.0]), tolerance=0.05).outcome) == outcome


def test_it_has_the_law_of_its_finest_steps(seed: int) -> None:
    """Against the exact law of that chain no budget of the time step is left, and 3 % on g² are seen."""
    from fpk.closed_form import euler_chain

    chain = euler_chain(OU, steps=32, times=[0.5, 1.0])
    for variance, outcome in ((1.0, "CONFIRMED"), (1.03, "REFUTED")):
        problem = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=variance**0.5, initial=OU.initial)
        particles = Multilevel(problem, times=[0.5, 1.0], tolerance=1.5e-3, coarsest=4, levels=4, seed=seed)
        verdict = fpk.compare(particles, chain, effect=0.04)
        assert (verdict.method, str(verdict.outcome)) == ("discrete law", outcome)


# -- levels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "scheme", "order"),
    [(OU, EulerMaruyama(), 2), (OU, Milstein(), 2), (GBM, EulerMaruyama(), 1), (GBM, Milstein(), 2)],
    ids=["additive", "additive, Milstein", "multiplicative", "multiplicative, Milstein"],
)
def test_variances_of_corrections_fall_with_twice_the_strong_order(
    problem: fpk.Problem, scheme: Any, order: int, seed: int
) -> None:
    estimator = Multilevel(problem, times=[1.0], tolerance=0.05, coarsest=4, levels=6, seed=seed, scheme=scheme)
    found = estimator.on(fpk.law_panel({1.0: fpk.Gaussian(1.0, 0.8)}, degree=1))
    variances = [level.variance[0] for level in found.levels[1:]]
    assert -np.polyfit(range(5), np.log2(variances), 1)[0] == pytest.approx(order, abs=0.3)
    assert scheme.orders(problem).strong == order / 2


def test_the_wanted_standard_error_is_reached_by_every_functional(seed: int) -> None:
    """Up to the error of the pilots' variances, a few per cent."""
    found = Multilevel(OU, times=[1.0], tolerance=3e-3, coarsest=2, levels=6, seed=seed).on(PANEL)
    assert 0.7 * 3e-3 < found.standard_error.max() < 1.1 * 3e-3


def test_the_cost_is_far_below_that_of_plain_particles_with_the_same_error(seed: int) -> None:
    found = Multilevel(OU, times=[1.0], tolerance=5e-3, coarsest=2, levels=8, seed=seed).on(PANEL)
    steps = found.levels[-1].steps
    plain = fpk.simulate(OU, particles=20_000, steps=steps, times=[1.0], seed=seed, levels=1).expect(PANEL)
    needed = 20_000 * (plain.standard_error / found.standard_error).max() ** 2
    assert found.cost < needed * steps / 4
    assert found.cost == sum(level.particles * level.cost for level in found.levels)


def test_the_numbers_of_particles_are_the_cheapest() -> None:
    variances, costs = np.array([1.0, 0.2, 0.05]), np.array([1.0, 3.0, 6.0])
    found = minimize(
        lambda logs: np.log(np.exp(logs) @ costs),
        np.full(3, 14.0),
        constraints={"type": "eq", "fun": lambda logs: np.log(variances @ np.exp(-logs) / 1e-6)},
        options={"ftol": 1e-12},
    )
    np.testing.assert_allclose(allocated(variances, costs, 1e-3), np.exp(found.x), rtol=1e-3)
    assert np.all(allocated(variances, costs, 10.0) == PILOT)


def test_every_ensemble_has_a_seed_of_its_own(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    seeds: list[int] = []
    simulate = multilevel.simulate

    def recorded(*args: Any, **settings: Any) -> Any:
        seeds.append(settings["seed"])
        return simulate(*args, **settings)

    monkeypatch.setattr(multilevel, "simulate", recorded)
    Multilevel(OU, times=[1.0], tolerance=0.1, levels=4, seed=seed).on(PANEL)
    assert len(set(seeds)) == len(seeds) == 8


def test_batches_do_not_change_an_estimate(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    estimator = Multilevel(OU, times=[1.0], tolerance=0.05, levels=3, seed=seed)
    whole = estimator.expect(PANEL)
    monkeypatch.setattr(multilevel, "BATCH", 700)
    parts = estimator.expect(PANEL)
    np.testing.assert_allclose(parts.value, whole.value, rtol=1e-12)
    np.testing.assert_allclose(parts.covariance, whole.covariance, rtol=1e-9)


def test_the_same_seed_gives_the_same_bits(seed: int) -> None:
    first, again, other = (
        Multilevel(OU, times=[1.0], tolerance=0.05, levels=3, seed=s).expect(PANEL) for s in (seed, seed, seed + 1)
    )
    np.testing.assert_array_equal(first.value, again.value)
    assert np.all(first.value != other.value)


def by_hand(means: list[float]) -> MultilevelEstimate:
    """Levels with these means and negligible noise."""
    levels = [Level(2**k, 1.0, 100, np.array([m]), np.array([[1e-30]])) for k, m in enumerate(means)]
    return MultilevelEstimate(tuple(levels), 1.0, "", "by hand")


@pytest.mark.parametrize(
    ("means", "budget"), [([9.0, 0.4, 0.2], 0.3), ([9.0, 0.4, 0.0], 0.3), ([9.0, 0.4], 0.6), ([9.0, 0.1, 0.3], 0.45)]
)
def test_a_last_correction_that_vanishes_by_chance_does_not_void_the_budget(means: list[float], budget: float) -> None:
    assert by_hand(means).step_bias[0] == pytest.approx(budget)


def test_the_samples_behind_an_estimate_are_those_of_the_level_with_fewest(seed: int) -> None:
    found = Multilevel(OU, times=[1.0], tolerance=5e-3, coarsest=2, levels=4, seed=seed).on(PANEL)
    assert found.estimate.samples == min(level.particles for level in found.levels)
    np.testing.assert_allclose(
        found.covariance, np.sum([level.covariance / level.particles for level in found.levels], axis=0)
    )


def test_the_table_tells_steps_particles_and_variances_of_every_level(seed: int) -> None:
    found = Multilevel(OU, times=[1.0], tolerance=0.05, levels=3, seed=seed).on(PANEL)
    rows = str(found).splitlines()
    assert [int(row.split()[0]) for row in rows[1:4]] == [1, 2, 4]
    assert [int(row.split()[1].replace(",", "")) for row in rows[1:4]] == [level.particles for level in found.levels]
    assert "particle steps" in rows[-1]


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"times": [0.3, 1.0]}, "multiples of the coarsest step, 0.5"),
        ({"times": [0.5, 1.0], "coarsest": 1}, "multiples of the coarsest step, 1"),
        ({"levels": 1}, "2 to 12 levels, got levels=1"),
        ({"levels": 13}, "2 to 12 levels, got levels=13"),
        ({"tolerance": 0.0}, "positive; got 0.0"),
        ({"tolerance": float("nan")}, "positive; got nan"),
        ({"coarsest": 0}, "steps=0"),
        ({"scheme": ExactTransition()}, "exact transition declares no finite weak order"),
    ],
)
def test_what_does_not_telescope_is_refused(changed: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {"times": [1.0], "tolerance": 0.1, "coarsest": 2, "levels": 3}
    with pytest.raises(fpk.errors.SchemeError, match=says):
        Multilevel(OU, **(good | changed))
