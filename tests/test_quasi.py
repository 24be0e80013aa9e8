"""Randomised quasi-Monte Carlo: unbiased, with honest standard errors far below those of independent particles, on any ladder of steps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.particles.clock import Clock
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.langevin import MALA
from fpk.particles.motion import Motion
from fpk.particles.quasi import SCRAMBLE, Design, bridged, quasi_simulate, scrambled
from fpk.particles.schemes import EulerMaruyama, Heun, PlatenWeak, RungeKutta4

#: Probability that a statistical test here fails on right code.
ALPHA = 1e-6
OU = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.0, initial=fpk.Gaussian(2.0, 0.3))


def chain_moments(steps: int, h: float) -> tuple[float, float]:
    """Mean and variance of X + (−X) h + √h ξ after ``steps`` steps from N(2, .3²)."""
    mean, variance = 2.0, 0.09
    for _ in range(steps):
        mean, variance = (1 - h) * mean, (1 - h) ** 2 * variance + h
    return mean, variance


def by_replicate(run: fpk.particles.ensemble.ParticleMarginals, t: float, power: int = 1) -> np.ndarray:
    """Means of X^power over each replicate, shape (replicates,)."""
    return (run.samples(t)[:, 0] ** power).reshape(run.units, -1).mean(1)


def t_distance(values: np.ndarray, exact: float) -> float:
    """Student's t of independent values against the mean they should have."""
    return abs(values.mean() - exact) / (values.std(ddof=1) / np.sqrt(len(values)))


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 4, 32])
def test_moments_are_those_of_the_chain_with_errors_far_below_independent_particles(steps: int, seed: int) -> None:
    run = quasi_simulate(OU, points=2**12, replicates=32, steps=steps, times=[1.0], seed=seed, levels=1)
    mean, variance = chain_moments(steps, 1 / steps)
    n, limit = run.particles, stats.t.isf(ALPHA / 2, 31)
    for power, exact, spread in (
        (1, mean, variance),
        (2, variance + mean**2, 2 * variance**2 + 4 * variance * mean**2),
    ):
        values = by_replicate(run, 1.0, power)
        assert t_distance(values, exact) < limit
        assert values.std(ddof=1) / np.sqrt(32) < 0.1 * np.sqrt(spread / n), f"no better than sampling, E X^{power}"


@pytest.mark.parametrize("steps", [1, 8])
def test_means_of_smooth_functionals_converge_faster_than_sampling(steps: int, seed: int) -> None:
    """Between N^(−¾) and better over 2⁸ ... 2¹⁴ points, for one step and for a path; sampling errs like N^(−½)."""
    powers = np.arange(8, 15, 2)
    runs = [
        quasi_simulate(OU, points=2**k, replicates=16, steps=steps, times=[1.0], seed=seed, levels=1) for k in powers
    ]
    spreads = [np.tanh(r.samples(1.0)).reshape(16, -1).mean(1).std(ddof=1) for r in runs]
    assert np.polyfit(powers, np.log2(spreads), 1)[0] < -0.75


def test_standard_errors_of_few_replicates_cover_as_students_t_says(seed: int) -> None:
    """120 families of 16 replicates; the number of 95 % intervals that miss is binomial."""
    families = 120
    run = quasi_simulate(OU, points=64, replicates=16 * families, steps=2, times=[1.0], seed=seed, levels=1)
    values = by_replicate(run, 1.0).reshape(families, 16)
    exact = chain_moments(2, 0.5)[0]
    missed = sum(t_distance(v, exact) > stats.t.isf(0.025, 15) for v in values)
    low, high = stats.binom.ppf([ALPHA / 2, 1 - ALPHA / 2], families, 0.05)
    assert low <= missed <= high


def test_expectations_carry_the_covariance_of_replicate_means(seed: int) -> None:
    run = quasi_simulate(OU, points=256, replicates=24, steps=2, times=[0.5, 1.0], seed=seed)
    panel = fpk.law_panel({t: fpk.Gaussian(1.0, 0.8) for t in (0.5, 1.0)})
    found = run.expect(panel)
    values = np.concatenate([b.values(run.samples(b.time)) for b in panel.smooth]).reshape(8, 24, 256).mean(2)
    assert found.samples == 24
    np.testing.assert_allclose(found.value, values.mean(1), atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(values) / 24, rtol=1e-9, atol=1e-16)


# -- points ------------------------------------------------------------------------------------------------------------


def test_every_scrambled_point_is_uniform(seed: int) -> None:
    """What makes each replicate unbiased: the same point over many scrambles, in each coordinate."""
    u = np.stack([scrambled(3, 8, np.random.SeedSequence(seed, spawn_key=(SCRAMBLE, r))) for r in range(1000)])
    assert u.min() > 0
    assert u.max() < 1
    for place in np.ndindex(u.shape[1:]):
        assert stats.kstest(u[(slice(None), *place)], "uniform").pvalue > ALPHA / 24


def test_points_of_one_scramble_fill_every_dyadic_interval_once(seed: int) -> None:
    u = scrambled(5, 64, np.random.SeedSequence(seed))
    np.testing.assert_array_equal(np.sort(np.floor(64 * u), axis=0), np.tile(np.arange(64.0)[:, None], (1, 5)))


def test_replicates_are_uncorrelated(seed: int) -> None:
    run = quasi_simulate(OU, points=64, replicates=400, steps=1, times=[1.0], seed=seed, levels=1)
    values = by_replicate(run, 1.0)
    assert stats.pearsonr(values[:-1], values[1:]).pvalue > ALPHA


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(seed: int) -> None:
    first, again, other = (
        quasi_simulate(OU, points=64, replicates=16, steps=3, times=[0.4, 1.0], seed=s) for s in (seed, seed, seed + 1)
    )
    np.testing.assert_array_equal(first.positions, again.positions)
    assert first.noise_key == again.noise_key != other.noise_key
    assert not np.any(first.fine == other.fine)


def test_fewer_replicates_are_the_first_of_more(seed: int) -> None:
    few, more = (
        quasi_simulate(OU, points=32, replicates=r, steps=2, times=[1.0], seed=seed, levels=1) for r in (16, 20)
    )
    np.testing.assert_array_equal(few.fine, more.fine[:, : 16 * 32])


# -- bridge and levels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 16])
def test_the_bridge_is_a_rotation_led_by_the_whole_increment(steps: int, seed: int) -> None:
    durations = np.random.default_rng(seed).uniform(0.1, 1.0, steps)
    matrix = bridged(np.eye(steps), durations)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(steps), atol=1e-13)
    np.testing.assert_allclose(matrix[:, 0], np.sqrt(durations / durations.sum()), atol=1e-13)


def test_the_second_number_of_a_bridge_moves_the_middle_and_not_the_end() -> None:
    matrix = bridged(np.eye(8), np.ones(8))
    path = np.cumsum(matrix[:, 1])
    assert path[-1] == pytest.approx(0, abs=1e-13)
    assert path[3] == pytest.approx(np.sqrt(2), abs=1e-13)


@pytest.mark.parametrize("law", [OU.initial, fpk.GaussianMixture([0.4, 0.6], [-1.0, 2.0], stds=[0.3, 0.5])], ids=str)
def test_all_numbers_are_turned_by_an_orthogonal_matrix(law: fpk.GaussianMixture) -> None:
    well = fpk.Problem("x - x**3", "0.5 + 0.1*sin(x)", initial=law)
    turn = Design(Motion(well, PlatenWeak()), Clock.even((0.5, 1.0), 6, 2), 64).turn
    assert turn.shape == (13, 13)
    np.testing.assert_allclose(turn @ turn.T, np.eye(13), atol=1e-13)


def test_a_linear_chain_is_moved_by_one_number_for_each_time() -> None:
    """X_n = (1 − h)^n X_0 + Σ (1 − h)^(n−1−k) √h ξ_k: the last time by the first number alone, as far as its standard deviation."""
    h = 1 / 8
    design = Design(Motion(OU, EulerMaruyama()), Clock.even((0.5, 1.0), 8, 1), 64)
    start, noise = design._parts(np.zeros(9, int), design.turn)
    middle, end = design._marched(start, next(noise), 0)[..., 0]
    sizes = [chain_moments(n, h)[1] ** 0.5 for n in (4, 8)]
    np.testing.assert_allclose(np.abs(end - 2 * (1 - h) ** 8), [sizes[1], *np.zeros(8)], atol=1e-12)
    moved = middle - 2 * (1 - h) ** 4
    np.testing.assert_allclose([np.hypot(*moved[:2]), *moved[2:]], [sizes[0], *np.zeros(7)], atol=1e-12)


def test_means_over_a_linear_chain_of_many_steps_have_the_rate_of_one_dimension(seed: int) -> None:
    """N^(−3/2) for bounded smooth functionals; at 2¹² points the spread is about a two-thousandth of that of sampling."""
    run = quasi_simulate(OU, points=2**12, replicates=16, steps=32, times=[0.3, 1.0], seed=seed, levels=1)
    for t, share in ((1.0, 2e-3), (0.3, 2e-2)):  # two numbers matter at the earlier time
        values = np.tanh(run.samples(t)).reshape(16, -1)
        assert values.mean(1).std(ddof=1) < share * values.std() / 2**6


def test_all_levels_ride_on_one_brownian_path(seed: int) -> None:
    free = fpk.Problem(0.0, 1.0, initial=fpk.Gaussian(0.0, 0.1))
    run = quasi_simulate(free, points=32, replicates=16, steps=3, times=[0.2, 1.0], seed=seed, levels=3)
    assert run.positions.shape == (3, 2, 512, 1)
    for level in (1, 2):
        np.testing.assert_allclose(run.positions[level], run.fine, atol=1e-13)


def test_the_path_has_the_covariance_of_brownian_motion(seed: int) -> None:
    times = np.array([0.3, 0.7, 1.0])
    free = fpk.Problem(0.0, 1.0, initial=fpk.Gaussian(0.0, 0.5))
    run = quasi_simulate(free, points=2**12, replicates=32, steps=10, times=list(times), seed=seed, levels=1)
    x = run.fine[..., 0].reshape(3, 32, -1)
    products = np.einsum("irn,jrn->ijr", x, x) / x.shape[2]
    exact = 0.25 + np.minimum.outer(times, times)
    for i, j in ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2)):
        assert t_distance(products[i, j], exact[i, j]) < stats.t.isf(ALPHA / 10, 31)


def test_the_time_step_budget_holds_the_error_of_the_steps(seed: int) -> None:
    panel = fpk.law_panel({1.0: fpk.exact(OU, times=[1.0]).law(1.0)})
    found = quasi_simulate(OU, points=2**10, steps=8, times=[1.0], seed=seed).expect(panel)
    exact = fpk.exact(OU, times=[1.0]).expect(panel)
    assert np.all(np.abs(found.value - exact.value) <= found.bias_bound + 7 * found.standard_error)
    assert np.all(found.bias_bound < 0.2)


# -- starts, dimensions, schemes ---------------------------------------------------------------------------------------


def test_a_mixture_starts_with_its_weights_means_and_covariances(seed: int) -> None:
    covariances = [[[0.3, 0.1], [0.1, 0.2]], [[0.5, -0.2], [-0.2, 0.4]], np.eye(2)]
    law = fpk.GaussianMixture([0.2, 0.5, 0.3], [[-9.0, 0.0], [0.0, 3.0], [9.0, 1.0]], covariances=covariances)
    still = fpk.Problem(0.0, 0.0, initial=law)
    x = quasi_simulate(still, points=2**12, steps=1, times=[0.0], seed=seed).samples(0.0)
    chosen = np.digitize(x[:, 0], [-4.5, 4.5])
    np.testing.assert_allclose(
        np.bincount(chosen) / len(x), law.weights, atol=2 / 2**12
    )  # points fill dyadic intervals
    for k in range(3):
        np.testing.assert_allclose(x[chosen == k].mean(0), law.means[k], atol=5e-3)
        np.testing.assert_allclose(np.cov(x[chosen == k].T), covariances[k], atol=1e-2)


def test_correlated_noise_in_two_dimensions_has_its_covariance(seed: int) -> None:
    G = np.array([[1.0, 0.0, 0.4], [0.5, 0.3, 0.0]])
    problem = fpk.Problem(0.0, G, initial=fpk.Gaussian([0.0, 0.0], 0.2))
    run = quasi_simulate(problem, points=2**10, steps=3, times=[1.0], seed=seed, levels=1)
    x = run.samples(1.0).reshape(32, -1, 2)
    products = np.einsum("rni,rnj->ijr", x, x) / x.shape[1]
    exact = 0.04 * np.eye(2) + G @ G.T
    for i, j in ((0, 0), (0, 1), (1, 1)):
        assert t_distance(products[i, j], exact[i, j]) < stats.t.isf(ALPHA / 6, 31)


def test_further_numbers_of_a_scheme_come_from_further_dimensions(seed: int) -> None:
    """Noise that does not commute: E (X¹ X²) = E ∫ X⁰ dW dW = 0 needs signs that are independent of both increments."""
    problem = fpk.Problem(0.0, [["1", "0"], ["0", "x0"]], initial=fpk.Gaussian([1.0, 0.0], 0.1))
    run = quasi_simulate(problem, points=2**10, steps=4, times=[1.0], seed=seed, levels=1, scheme=PlatenWeak())
    x = run.samples(1.0).reshape(32, -1, 2)
    assert t_distance((x[..., 1] ** 2).mean(1), 1.01 + 0.5) < stats.t.isf(ALPHA / 4, 31)
    assert t_distance((x[..., 0] * x[..., 1]).mean(1), 0.0) < stats.t.isf(ALPHA / 4, 31)


@pytest.mark.parametrize("steps", [1, 3])
def test_exact_transitions_reach_a_time_in_any_number_of_steps_without_a_budget(steps: int, seed: int) -> None:
    run = quasi_simulate(OU, points=2**12, steps=steps, times=[1.0], seed=seed, scheme=ExactTransition())
    mean, variance = 2 * np.exp(-1), 0.09 * np.exp(-2) + 0.5 * (1 - np.exp(-2))
    for power, exact in ((1, mean), (2, variance + mean**2)):
        values = by_replicate(run, 1.0, power)
        assert t_distance(values, exact) < stats.t.isf(ALPHA / 4, 31)
        assert values.std(ddof=1) / np.sqrt(32) < 1e-4
    panel = fpk.law_panel({1.0: fpk.Gaussian(mean, variance**0.5)})
    assert np.all(run.expect(panel).bias_bound < 1e-13)


def test_a_scheme_of_second_order_is_driven_by_the_same_points(seed: int) -> None:
    gbm = fpk.Problem("0.3*x", "0.4*x", initial=fpk.Gaussian(1.0, 0.1))
    run = quasi_simulate(gbm, points=2**10, steps=16, times=[1.0], seed=seed, scheme=Heun(), levels=1)
    assert run.samples(1.0).mean() == pytest.approx(np.exp(0.3), abs=2e-3)


def test_a_flow_without_noise_needs_no_points_for_its_steps(seed: int) -> None:
    decay = fpk.Problem("-x", 0.0, initial=fpk.Gaussian(1.0, 0.3))
    run = quasi_simulate(decay, points=64, steps=50, times=[1.0], seed=seed, scheme=RungeKutta4())
    np.testing.assert_allclose(run.samples(1.0), run.start * np.exp(-1), rtol=1e-8)


@pytest.mark.parametrize("kind", ["no_flux", "periodic"])
def test_walls_that_reflect_or_wrap_keep_particles_inside(kind: str, seed: int) -> None:
    walls = fpk.Boundary(kind, -1.0, 1.0)  # type: ignore[arg-type]
    boxed = fpk.Problem(0.0, 1.0, initial=fpk.Gaussian(0.3, 0.1), boundary=walls)
    run = quasi_simulate(boxed, points=64, steps=8, times=[1.0], seed=seed)
    assert np.all(np.abs(run.positions) <= 1)


# -- refusals ----------------------------------------------------------------------------------------------------------

ABSORBING = fpk.Problem(0.0, 1.0, initial=fpk.Gaussian(0.0, 0.1), boundary=fpk.Boundary("absorbing", -1.0, 1.0))
LANGEVIN = fpk.Problem("-x", 2**0.5, initial=fpk.Gaussian(0.0, 1.0))
UNIFORM = fpk.Problem("-x", 1.0, initial=stats.uniform(0, 1))
GOOD = {"steps": 2, "times": [1.0], "points": 64, "replicates": 16}


@pytest.mark.parametrize(
    ("problem", "changed", "says"),
    [
        (ABSORBING, {}, "absorbing walls"),
        (LANGEVIN, {"scheme": MALA(fpk.Gaussian(0.0, 1.0))}, "accept or reject"),
        (UNIFORM, {}, "Gaussian"),
        (OU, {"points": 100}, "powers of two.*got points=100"),
        (OU, {"points": 1}, "got points=1"),
        (OU, {"replicates": 8}, "at least 16 replicates.*got 8"),
        (OU, {"steps": 12_000}, "at most 21201 dimensions.*need 24001"),
        (OU, {"seed": -1}, "non-negative.*got -1"),
        (OU, {"steps": 0}, "steps=0"),
    ],
)
def test_what_sobol_points_do_not_allow_is_refused(problem: fpk.Problem, changed: dict, says: str) -> None:
    with pytest.raises(fpk.errors.SchemeError, match=says):
        quasi_simulate(problem, **(GOOD | changed))


def test_an_explosion_stops_the_run() -> None:
    wild = fpk.Problem("x**3", 1.0, initial=fpk.Gaussian(3.0, 1.0), horizon=10.0)
    with pytest.raises(fpk.errors.NonFinite, match="t="):
        quasi_simulate(wild, points=64, replicates=16, steps=40, times=[10.0])
