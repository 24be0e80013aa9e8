"""Particles: reproducible numbers, the Euler chain and its companion against closed forms, walls, matrix noise, and what is refused.

Every statistical test states its false-alarm probability (:data:`ALPHA`) and takes its seed from its own name, so no seed was chosen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.errors import NonFinite, ProblemError, SchemeError
from fpk.particles.engine import SERVED as BLOCK
from fpk.particles.ensemble import ParticleMarginals

#: Probability that one statistical test fails though everything is right.
ALPHA = 1e-6
RATE, NOISE, MEAN, STD = 1.3, 0.8, 1.5, 0.4


def ornstein_uhlenbeck(**given: Any) -> fpk.Problem:
    return fpk.problems.ornstein_uhlenbeck(rate=RATE, diffusion=NOISE, initial=fpk.Gaussian(MEAN, STD), **given)


def euler_pair(steps: int, horizon: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Mean (2,) and covariance (2, 2) of (fine, coarse) after ``steps`` coarse Euler steps of the OU process: both chains are linear."""
    half = horizon / steps / 2
    shrink = np.array([(1 - RATE * half) ** 2, 1 - 2 * RATE * half])
    shares = np.array([[1 - RATE * half, 1.0], [1.0, 1.0]])  # of the two half increments, in fine and coarse
    mean, covariance = np.full(2, MEAN), np.full((2, 2), STD**2)
    for _ in range(steps):
        mean = shrink * mean
        covariance = np.outer(shrink, shrink) * covariance + NOISE**2 * half * shares @ shares.T
    return mean, covariance


def exact_moments(t: float) -> tuple[float, float]:
    law = fpk.exact(ornstein_uhlenbeck(), times=[t]).law(t)
    return float(law.means[0, 0]), float(law.covariances[0, 0, 0])


def normal_limit(count: int) -> float:
    """Two-sided quantile for ``count`` statistics at :data:`ALPHA` together."""
    return float(stats.norm.isf(ALPHA / (2 * count)))


def covariance_scores(x: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """z scores of the sample covariance of Gaussian x, shape (n, d): Var Ŝ_ij = (S_ii S_jj + S_ij²)/(n − 1)."""
    spread = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / (len(x) - 1))
    return (np.cov(x, rowvar=False) - covariance) / spread


def kolmogorov_limit(n: int) -> float:
    """Massart's bound for sup |F_n − F| at :data:`ALPHA`."""
    return float(np.sqrt(np.log(2 / ALPHA) / (2 * n)))


def kolmogorov_distance(x: np.ndarray, cdf: Any) -> float:
    return float(stats.kstest(x, cdf).statistic)


# -- the numbers depend on the seed and on nothing else ------------------------------------------------------------------


def test_numbers_do_not_depend_on_threads(seed: int) -> None:
    one, two = (
        fpk.simulate(ornstein_uhlenbeck(), particles=3 * BLOCK + 5, steps=3, times=[0.2, 1.0], seed=seed, threads=k)
        for k in (1, 2)
    )
    assert np.array_equal(one.fine, two.fine)
    assert np.array_equal(one.coarse, two.coarse)


@pytest.mark.parametrize("short", [2, 100, BLOCK, BLOCK + 1])
def test_a_shorter_ensemble_is_a_prefix_of_a_longer_one(short: int, seed: int) -> None:
    few, many = (
        fpk.simulate(ornstein_uhlenbeck(), particles=n, steps=3, times=[1.0], seed=seed) for n in (short, 2 * BLOCK + 7)
    )
    assert few.particles == short
    assert np.array_equal(few.fine, many.fine[:, :short])
    assert np.array_equal(few.coarse, many.coarse[:, :short])


def test_same_seed_gives_same_numbers_and_another_seed_gives_others(seed: int) -> None:
    first, again, other = (
        fpk.simulate(ornstein_uhlenbeck(), particles=50, steps=2, times=[1.0], seed=s) for s in (seed, seed, seed + 1)
    )
    assert np.array_equal(first.fine, again.fine)
    assert not np.any(first.fine == other.fine)


def test_a_generator_is_a_seed_and_moves_on(seed: int) -> None:
    def twice(rng: np.random.Generator) -> list[np.ndarray]:
        return [fpk.simulate(ornstein_uhlenbeck(), particles=50, steps=2, times=[1.0], seed=rng).fine for _ in range(2)]

    first, second = twice(np.random.default_rng(seed))
    assert not np.any(first == second)
    assert np.array_equal([first, second], twice(np.random.default_rng(seed)))


def test_global_random_state_is_neither_read_nor_moved(seed: int) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    fpk.simulate(ornstein_uhlenbeck(), particles=10, steps=1, times=[1.0], seed=seed)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_particles_of_different_blocks_are_independent(seed: int) -> None:
    run = fpk.simulate(ornstein_uhlenbeck(), particles=2 * BLOCK, steps=2, times=[1.0], seed=seed)
    x = run.samples(1.0)[:, 0]
    correlation = np.corrcoef(x[:BLOCK], x[BLOCK:])[0, 1]
    assert abs(correlation) * np.sqrt(BLOCK) < normal_limit(1)


def test_neighbouring_particles_and_successive_times_carry_fresh_noise(seed: int) -> None:
    """Noise shared by particles, or drawn once for all steps, leaves one-time laws of single particles right."""
    problem = fpk.Problem("0", 1.0, initial=fpk.Gaussian(0.0, 1e-6))
    x = fpk.simulate(problem, particles=BLOCK, steps=4, times=[0.5, 1.0], seed=seed).fine[:, :, 0]
    first, second = x[0], x[1] - x[0]
    pairs = [(first[:-1], first[1:]), (second[:-1], second[1:]), (first, second)]
    scores = [np.corrcoef(a, b)[0, 1] * np.sqrt(len(a)) for a, b in pairs]
    assert np.max(np.abs(scores)) < normal_limit(len(pairs))


# -- the law ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 4, 16])
def test_fine_and_coarse_are_euler_chains_on_the_same_noise(steps: int, seed: int) -> None:
    """Means and the 2 × 2 covariance of (fine, coarse) agree with the exact law of the two chains."""
    run = fpk.simulate(ornstein_uhlenbeck(), particles=200_000, steps=steps, times=[1.0], seed=seed)
    pair = np.stack([run.fine[0, :, 0], run.coarse[0, :, 0]], axis=1)
    mean, covariance = euler_pair(steps)
    limit = normal_limit(2 + 3)
    assert np.max(np.abs(pair.mean(0) - mean) / np.sqrt(np.diag(covariance) / len(pair))) < limit
    assert np.max(np.abs(covariance_scores(pair, covariance))) < limit
    change, spread = pair[:, 1] - pair[:, 0], np.array([-1.0, 1.0])
    expected = spread @ covariance @ spread  # of the difference: tiny, so it is a sharp test of "same noise"
    assert abs(np.var(change) / expected - 1) < limit * np.sqrt(2 / len(pair))


@pytest.mark.parametrize("t", [0.5, 1.0])
def test_mean_and_variance_follow_the_exact_law_up_to_the_known_step_error(t: float, seed: int) -> None:
    steps, n = 64, 100_000
    x = fpk.simulate(ornstein_uhlenbeck(), particles=n, steps=steps, times=[t], seed=seed).samples(t)[:, 0]
    mean, variance = exact_moments(t)
    euler_mean, euler_covariance = euler_pair(steps, t)
    limit = normal_limit(2)
    assert abs(x.mean() - mean) < limit * np.sqrt(variance / n) + abs(euler_mean[0] - mean)
    assert abs(x.var(ddof=1) - variance) < limit * variance * np.sqrt(2 / n) + abs(euler_covariance[0, 0] - variance)


def test_the_initial_law_is_kept_at_time_zero(seed: int) -> None:
    law = fpk.problems.two_peaks()
    problem = fpk.Problem("-x", 1.0, initial=law)
    run = fpk.simulate(problem, particles=20_000, steps=2, times=[0.0, 1.0], seed=seed)
    assert np.array_equal(run.fine[0], run.coarse[0])
    assert kolmogorov_distance(run.samples(0.0)[:, 0], law.cdf) < kolmogorov_limit(20_000)


def test_every_time_asked_for_is_reached_exactly(seed: int) -> None:
    """Without noise and with f = 1 the positions are a clock."""
    problem = fpk.Problem("1", 0.0, initial=fpk.Gaussian(0.0, 1e-9), horizon=2.0)
    times = [0.1, 0.37, 2.0]
    run = fpk.simulate(problem, particles=4, steps=7, times=times, seed=seed)
    assert run.times == tuple(times)
    assert np.allclose(run.fine[:, :, 0], np.array(times)[:, None], atol=1e-7)
    assert np.allclose(run.coarse[:, :, 0], np.array(times)[:, None], atol=1e-7)


def test_coefficients_are_read_at_the_left_end_of_every_step(seed: int) -> None:
    """For dX = 2t dt the Euler sum is t(t − h), with the step h of each chain, at every time kept."""
    problem = fpk.Problem("2*t", 0.0, initial=fpk.Gaussian(0.0, 1e-9))
    run = fpk.simulate(problem, particles=4, steps=8, times=[0.5, 1.0], seed=seed)
    t = np.array([[0.5], [1.0]])
    assert np.allclose(run.fine[:, :, 0], t * (t - 1 / 16), atol=1e-7)
    assert np.allclose(run.coarse[:, :, 0], t * (t - 1 / 8), atol=1e-7)


# -- the time-step budget ---------------------------------------------------------------------------------------------------


def functional_means(panel: fpk.Panel, mean: float, variance: float) -> np.ndarray:
    """E φ_k for a Gaussian, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    values = panel.smooth[0].values((mean + np.sqrt(variance) * nodes)[:, None])
    return values @ weights / weights.sum()


@pytest.mark.parametrize("steps", [4, 8, 16])
def test_the_budget_covers_the_true_bias_and_falls_with_the_step(steps: int, seed: int) -> None:
    """The true bias of E φ is known: the Euler chain and the process are both Gaussian with known moments."""
    exact = fpk.exact(ornstein_uhlenbeck(), times=[1.0])
    panel = fpk.law_panel({1.0: exact.law(1.0)})
    mean, covariance = euler_pair(steps)
    truth = functional_means(panel, *exact_moments(1.0))
    bias = np.abs(functional_means(panel, mean[0], covariance[0, 0]) - truth)
    change = np.abs(functional_means(panel, mean[1], covariance[1, 1]) - truth) - bias
    found = fpk.simulate(ornstein_uhlenbeck(), particles=100_000, steps=steps, times=[1.0], seed=seed).expect(panel)
    assert np.all(found.bias_bound >= bias)
    assert found.bias_bound.max() < 3 * bias.max(), "a budget far above the error would confirm nothing"
    assert np.allclose(change[:2], bias[:2], rtol=0.35), "weak order 1: the companion is as far again"


def test_euler_maruyama_has_weak_order_one_in_the_variance() -> None:
    steps = np.array([8, 16, 32, 64])
    errors = np.array([euler_pair(n)[1][0, 0] - exact_moments(1.0)[1] for n in steps])
    orders = np.log2(errors[:-1] / errors[1:])
    assert np.all(np.abs(orders - 1) < 0.1)


def test_the_budget_of_the_distribution_function_covers_its_true_bias(seed: int) -> None:
    exact = fpk.exact(ornstein_uhlenbeck(), times=[1.0])
    panel = fpk.law_panel({1.0: exact.law(1.0)})
    steps, points = 8, panel.thresholds[0].points
    mean, covariance = euler_pair(steps)
    bias = stats.norm.cdf(points, mean[0], np.sqrt(covariance[0, 0])) - exact.law(1.0).cdf(points)
    run = fpk.simulate(ornstein_uhlenbeck(), particles=100_000, steps=steps, times=[1.0], seed=seed)
    assert np.all(run.expect(panel).threshold_bound >= np.abs(bias))


def test_particles_that_cross_a_threshold_both_ways_count_in_its_budget() -> None:
    """As many cross upwards as downwards: the net change is 0, and yet it is known only up to its standard error."""
    fine = np.array([-1.0] * 50 + [1.0] * 50)[None, :, None]
    run = ParticleMarginals((1.0,), np.stack([fine, -fine]), "key")
    panel = fpk.law_panel({1.0: fpk.Gaussian(0.0, 1.0)})
    points = panel.thresholds[0].points
    inner = np.abs(points) < 1
    assert np.allclose(run.expect(panel).threshold_bound[inner], 3 / np.sqrt(100))
    assert not run.expect(panel).threshold_bound[~inner].any()


def test_simulated_and_exact_law_agree_and_a_tenth_more_noise_is_seen(seed: int) -> None:
    exact = fpk.exact(ornstein_uhlenbeck(), times=[1.0])
    right = fpk.simulate(ornstein_uhlenbeck(), particles=200_000, steps=32, times=[1.0], seed=seed)
    louder = fpk.problems.ornstein_uhlenbeck(rate=RATE, diffusion=1.1 * NOISE, initial=fpk.Gaussian(MEAN, STD))
    wrong = fpk.simulate(louder, particles=200_000, steps=32, times=[1.0], seed=seed)
    assert fpk.compare(right, exact, tolerance=0.1).outcome == fpk.Outcome.CONFIRMED
    assert fpk.compare(wrong, exact, effect=0.1).outcome == fpk.Outcome.REFUTED


# -- walls ------------------------------------------------------------------------------------------------------------------


def between_walls(kind: str, drift: str = "0") -> tuple[fpk.Problem, float, float]:
    lower, upper = -0.5, 1.0
    walls = fpk.Boundary(kind, lower, upper)
    initial = fpk.Gaussian(0.4, 0.05)
    return fpk.Problem(drift, 0.9, initial=initial, boundary=walls), lower, upper


def unfolded_cdf(x: np.ndarray, variance: float, centre: float, lower: float, upper: float, kind: str) -> np.ndarray:
    """Distribution function of a Gaussian reflected between walls, or wrapped around them, as a sum over its images."""
    width = upper - lower
    total = np.zeros_like(x)
    for k in range(-8, 9):
        if kind == "periodic":
            images = [(lower + k * width, x + k * width)]
        else:
            images = [
                (lower + 2 * k * width, x + 2 * k * width),
                (2 * lower - x + 2 * k * width, lower + 2 * k * width),
            ]
        total += sum(np.diff(stats.norm.cdf(ends, centre, np.sqrt(variance)), axis=0)[0] for ends in _broadcast(images))
    return total


def _broadcast(images: list[tuple[Any, Any]]) -> list[np.ndarray]:
    return [np.stack(np.broadcast_arrays(a, b)) for a, b in images]


@pytest.mark.parametrize("kind", ["no_flux", "periodic"])
@pytest.mark.parametrize("t", [0.1, 1.0])
def test_brownian_motion_between_walls_has_the_law_of_its_images(kind: str, t: float, seed: int) -> None:
    """Folding and wrapping are exact for Brownian motion, whatever the step."""
    problem, lower, upper = between_walls(kind)
    x = fpk.simulate(problem, particles=50_000, steps=5, times=[t], seed=seed).samples(t)[:, 0]
    assert lower <= x.min()
    assert x.max() <= upper
    variance = 0.05**2 + 0.9**2 * t
    distance = kolmogorov_distance(x, lambda y: unfolded_cdf(y, variance, 0.4, lower, upper, kind))
    assert distance < kolmogorov_limit(len(x))


@pytest.mark.parametrize(("kind", "other"), [("no_flux", "periodic"), ("periodic", "no_flux")])
def test_the_images_tell_reflecting_walls_from_periodic_ones(kind: str, other: str, seed: int) -> None:
    problem, lower, upper = between_walls(kind)
    x = fpk.simulate(problem, particles=50_000, steps=5, times=[0.1], seed=seed).samples(0.1)[:, 0]
    distance = kolmogorov_distance(x, lambda y: unfolded_cdf(y, 0.05**2 + 0.081, 0.4, lower, upper, other))
    assert distance > kolmogorov_limit(len(x))


def test_a_drift_around_the_circle_wraps_the_law(seed: int) -> None:
    problem, lower, upper = between_walls("periodic", drift="4")
    x = fpk.simulate(problem, particles=50_000, steps=5, times=[1.0], seed=seed).samples(1.0)[:, 0]
    distance = kolmogorov_distance(x, lambda y: unfolded_cdf(y, 0.05**2 + 0.81, 4.4, lower, upper, "periodic"))
    assert distance < kolmogorov_limit(len(x))


def test_absorbing_walls_are_refused_where_no_particle_can_meet_them_properly() -> None:
    walls = fpk.Boundary("absorbing", -1.0, 1.0)
    problem = fpk.Problem(["0", "0"], 1.0, initial=fpk.Gaussian([0.0, 0.0], 0.1), boundary=walls)
    with pytest.raises(SchemeError, match=r"absorbing walls are for one-dimensional particles.*d = 2"):
        fpk.simulate(problem, particles=10, steps=2, times=[1.0])


# -- several dimensions -----------------------------------------------------------------------------------------------------

SPREAD = np.array([[0.9, 0.0, 0.4], [-0.5, 0.7, 0.1]])  # G: two coordinates, three noises
PULL = np.array([[-1.0, 0.8], [-0.8, -0.6]])
START = np.array([[0.3, 0.1], [0.1, 0.2]])


def plane_problem() -> fpk.Problem:
    initial = fpk.GaussianMixture([1.0], [[1.0, -0.5]], covariances=[START])
    return fpk.Problem(fpk.Linear(lambda t: PULL), lambda t: SPREAD[None], initial=initial)


def plane_chain(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance after ``steps`` Euler steps to t = 1: V ← (I + hA) V (I + hA)ᵀ + h G Gᵀ."""
    h, mean, covariance = 1 / steps, np.array([1.0, -0.5]), START
    move = np.eye(2) + h * PULL
    for _ in range(steps):
        mean, covariance = move @ mean, move @ covariance @ move.T + h * SPREAD @ SPREAD.T
    return mean, covariance


def test_matrix_noise_with_correlated_components_has_the_exact_covariance(seed: int) -> None:
    run = fpk.simulate(plane_problem(), particles=200_000, steps=20, times=[1.0], seed=seed)
    mean, covariance = plane_chain(40)
    assert abs(covariance[0, 1]) > 0.1, "the correlation is there to be seen"
    limit = normal_limit(2 + 3)
    assert np.max(np.abs(run.fine[0].mean(0) - mean) / np.sqrt(np.diag(covariance) / 200_000)) < limit
    assert np.max(np.abs(covariance_scores(run.fine[0], covariance))) < limit
    assert np.max(np.abs(covariance_scores(run.coarse[0], plane_chain(20)[1]))) < limit


def test_two_times_of_a_rotating_drift_show_its_sense(seed: int) -> None:
    """E[X₀¹X_t² − X₀²X_t¹] has the sign of the rotation, which no one-time law shows."""
    turn = 2.0

    def circulation(sign: float) -> tuple[float, float]:
        drift = fpk.Linear(lambda t: sign * turn * np.array([[0.0, -1.0], [1.0, 0.0]]))
        initial = fpk.GaussianMixture([1.0], [[0.0, 0.0]], covariances=[np.eye(2)])
        problem = fpk.Problem(drift, 0.3, initial=initial, horizon=0.5)
        a, b = fpk.simulate(problem, particles=20_000, steps=30, times=[0.0, 0.5], seed=seed).fine
        products = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        return float(products.mean()), float(products.std() / np.sqrt(len(products)))

    (left, left_error), (right, right_error) = circulation(+1), circulation(-1)
    assert left > normal_limit(2) * left_error
    assert right < -normal_limit(2) * right_error


def test_state_dependent_matrix_noise_is_applied_particle_by_particle(seed: int) -> None:
    """dX = diag(x) R dW with a rotation R has independent components: E X_i² = x_i² e^t."""
    angle = 0.7
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    initial = fpk.GaussianMixture([1.0], [[1.0, -2.0]], covariances=[1e-8 * np.eye(2)])
    problem = fpk.Problem(lambda x, t: 0 * x, lambda x, t: x[:, :, None] * rotation, initial=initial)
    x = fpk.simulate(problem, particles=50_000, steps=10, times=[1.0], seed=seed).fine[0]
    squares = x**2
    expected = np.array([1.0, 4.0]) * (1 + 1 / 20) ** 20  # of the Euler chain
    assert np.max(np.abs(squares.mean(0) - expected) / (squares.std(0) / np.sqrt(len(x)))) < normal_limit(2)


def test_particles_of_the_plane_answer_a_sliced_panel(seed: int) -> None:
    run = fpk.simulate(plane_problem(), particles=50_000, steps=20, times=[1.0], seed=seed)
    exact = fpk.exact(plane_problem(), times=[1.0])
    verdict = fpk.compare(run, exact, tolerance=0.15)
    assert verdict.outcome == fpk.Outcome.CONFIRMED, str(verdict)


# -- what is refused --------------------------------------------------------------------------------------------------------


def test_an_exploding_drift_names_particle_position_and_time(seed: int) -> None:
    problem = fpk.Problem("x**3", 0.1, initial=fpk.Gaussian(2.0, 0.1))
    with pytest.raises(NonFinite, match=r"particle \d+: the drift is \[inf\] at x=\[.*\], t=0\.\d+.*more steps"):
        fpk.simulate(problem, particles=100, steps=20, times=[1.0], seed=seed)


def test_the_particle_named_is_the_one_that_failed(seed: int) -> None:
    """Only one particle of the second block starts beyond the drift's domain."""
    run = fpk.simulate(ornstein_uhlenbeck(), particles=2 * BLOCK, steps=1, times=[0.0, 1.0], seed=seed)
    start = run.samples(0.0)[:, 0]
    culprit = BLOCK + int(np.argmax(start[BLOCK:]))
    first_block, edge = start[:BLOCK], float(np.partition(start[BLOCK:], -2)[-2:].mean())
    drift = lambda x, t: np.where((x > edge) & ~np.isin(x, first_block), np.nan, 0.0)  # noqa: E731
    problem = fpk.Problem(drift, 0.0, initial=fpk.Gaussian(MEAN, STD))
    with pytest.raises(NonFinite, match=rf"particle {culprit}: the drift is \[nan\].*t=0\b"):
        fpk.simulate(problem, particles=2 * BLOCK, steps=1, times=[1.0], seed=seed)


def test_a_state_that_overflows_is_named_with_the_step_in_which_it_does(seed: int) -> None:
    problem = fpk.Problem(lambda x, t: 1e308 * np.ones_like(x), 0.0, initial=fpk.Gaussian(0.0, 1.0), horizon=4.0)
    with pytest.raises(
        NonFinite, match=r"particle 0 goes from x=.* at t=0, the last good time, to \[inf\] at t=2.*more steps"
    ):
        fpk.simulate(problem, particles=10, steps=1, times=[4.0], seed=seed)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"particles": 1}, "particles=1"),
        ({"particles": 0}, "particles=0"),
        ({"steps": 0}, "steps=0"),
        ({"steps": 2.5}, "steps=2.5"),
        ({"first": -1}, "first=-1"),
        ({"first": 2**32 - 5}, "first=4294967291"),
        ({"levels": 13}, "1 to 12 levels .* levels=13"),
        ({"levels": 0}, "1 to 12 levels .* levels=0"),
        ({"threads": 0}, "1 thread or more, got threads=0"),
        ({"seed": -1}, "seed must be a non-negative integer.*-1"),
        ({"particles": 11, "antithetic": True}, "pairs, got particles=11"),
    ],
)
def test_counts_that_make_no_sense_are_refused_with_their_values(given: dict[str, Any], message: str) -> None:
    with pytest.raises((ProblemError, SchemeError), match=message):
        fpk.simulate(ornstein_uhlenbeck(), **{"particles": 10, "steps": 5, "times": [1.0]} | given)


def test_pairs_are_not_taken_for_particles_with_the_same_noise() -> None:
    """As many antithetic particles as plain ones take half as many numbers: their blocks must not be paired."""
    given: dict[str, Any] = {"particles": 10, "steps": 2, "times": [1.0], "seed": 1}
    plain, pairs = (fpk.simulate(ornstein_uhlenbeck(), antithetic=a, **given) for a in (False, True))
    assert plain.noise_key != pairs.noise_key


def test_a_time_that_was_not_kept_is_refused_with_those_kept() -> None:
    run = fpk.simulate(ornstein_uhlenbeck(), particles=10, steps=1, times=[0.5, 1.0])
    with pytest.raises(ProblemError, match=r"t=0\.7; kept: \[0\.5, 1\.0\]"):
        run.samples(0.7)


def test_several_dimensions_offer_no_pilot_law() -> None:
    run = fpk.simulate(plane_problem(), particles=50, steps=1, times=[1.0])
    with pytest.raises(ProblemError, match="panel="):
        run.law(1.0)


# -- what the particles answer ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answered() -> tuple[ParticleMarginals, fpk.Panel, fpk.Estimate]:
    run = fpk.simulate(ornstein_uhlenbeck(), particles=40 * BLOCK + 3, steps=4, times=[0.5, 1.0], seed=5)
    exact = fpk.exact(ornstein_uhlenbeck(), times=[0.5, 1.0])
    panel = fpk.law_panel({t: exact.law(t) for t in (0.5, 1.0)})
    return run, panel, run.expect(panel)


def values_of(run: ParticleMarginals, panel: fpk.Panel, side: str) -> np.ndarray:
    """φ_k of every particle without fpk: Legendre polynomials by their coefficients, the known normal distribution function."""
    rows = []
    for k, t in enumerate(panel.times):
        mean, variance = exact_moments(t)
        u = 2 * stats.norm.cdf(getattr(run, side)[k, :, 0], mean, np.sqrt(variance)) - 1
        rows += [np.sqrt(2 * n + 1) * np.polynomial.legendre.legval(u, np.eye(5)[n]) for n in range(1, 5)]
    return np.array(rows)


def test_expectations_and_covariance_are_those_of_a_numpy_twin(answered: Any) -> None:
    run, panel, estimate = answered
    twin = values_of(run, panel, "fine")
    assert np.allclose(estimate.value, twin.mean(1), atol=1e-7)
    assert np.allclose(estimate.covariance * run.particles, np.cov(twin), atol=1e-5)
    assert estimate.samples == run.particles
    assert not estimate.deterministic


def test_the_bias_bound_is_that_of_a_numpy_twin(answered: Any) -> None:
    run, panel, estimate = answered
    change = values_of(run, panel, "fine") - values_of(run, panel, "coarse")
    twin = 1.5 * np.abs(change.mean(1)) + 3 * change.std(1, ddof=1) / np.sqrt(run.particles)
    assert np.allclose(estimate.bias_bound, twin, atol=1e-7)


def test_thresholds_are_the_empirical_distribution_function(answered: Any) -> None:
    run, panel, estimate = answered
    twin = np.concatenate(
        [(run.fine[k, :, 0, None] <= block.points).mean(0) for k, block in enumerate(panel.thresholds)]
    )
    assert np.allclose(estimate.thresholds, twin, atol=1e-12)


def test_block_means_are_means_over_whole_blocks_and_give_the_same_covariance(answered: Any) -> None:
    run, panel, estimate = answered
    size = run.particles // 256
    assert estimate.block_means.shape == estimate.coarse_block_means.shape == (256, 8)
    for side, means in (("fine", estimate.block_means), ("coarse", estimate.coarse_block_means)):
        assert np.allclose(means[7], values_of(run, panel, side)[:, 7 * size : 8 * size].mean(1), atol=1e-7)
    ratio = np.diag(np.cov(estimate.block_means, rowvar=False)) * size / np.diag(np.cov(values_of(run, panel, "fine")))
    assert np.all(ratio < stats.chi2.isf(ALPHA / 16, 255) / 255)
    assert np.all(ratio > stats.chi2.ppf(ALPHA / 16, 255) / 255)


def test_few_particles_offer_no_block_means(seed: int) -> None:
    run = fpk.simulate(ornstein_uhlenbeck(), particles=250, steps=1, times=[1.0], seed=seed)
    assert run.expect(fpk.law_panel({1.0: fpk.Gaussian(0.5, 0.5)})).block_means is None


def test_noise_keys_are_equal_exactly_for_equal_seed_and_size() -> None:
    def key(*, particles: int = 20, steps: int = 2, times: tuple[float, ...] = (1.0,), seed: int = 3) -> str:
        run = fpk.simulate(ornstein_uhlenbeck(), particles=particles, steps=steps, times=times, seed=seed)
        return run.noise_key

    others = [key(seed=4), key(particles=21), key(steps=3), key(times=(0.5, 1.0))]
    assert key() == key()
    assert len({key(), *others}) == 1 + len(others)


def test_the_same_noise_makes_a_small_change_of_the_drift_visible(seed: int) -> None:
    """Coupled by their noise key, two runs show a change that independent ones of this size cannot."""

    def run(rate: float, own: int) -> ParticleMarginals:
        problem = fpk.problems.ornstein_uhlenbeck(rate=rate, diffusion=NOISE, initial=fpk.Gaussian(MEAN, STD))
        return fpk.simulate(problem, particles=40 * BLOCK, steps=16, times=[1.0], seed=own)

    panel = fpk.law_panel({1.0: fpk.exact(ornstein_uhlenbeck(), times=[1.0]).law(1.0)})
    base = run(RATE, seed)
    coupled = fpk.compare(base, run(1.001 * RATE, seed), effect=0.1, panel=panel)
    independent = fpk.compare(base, run(1.001 * RATE, seed + 1), effect=0.1, panel=panel)
    assert coupled.standard_error.max() < 0.05 * independent.standard_error.max()


def test_a_pilot_law_is_close_to_the_law(seed: int) -> None:
    run = fpk.simulate(ornstein_uhlenbeck(), particles=20_000, steps=32, times=[1.0], seed=seed)
    law, x = fpk.exact(ornstein_uhlenbeck(), times=[1.0]).law(1.0), np.linspace(-1, 2, 50)
    assert np.max(np.abs(run.law(1.0).cdf(x) - law.cdf(x))) < 0.05


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"scheme": "Milstein"}, r"scheme=Milstein\(\), got 'Milstein'.*EulerMaruyama.*RungeKutta4"),
        ({"scheme": fpk.particles.schemes.Milstein}, "got <class"),
        ({"particles": "10"}, "particles as a whole number, got particles='10'"),
        ({"particles": 10.5}, "got particles=10.5"),
        ({"particles": float("nan")}, "got particles=nan"),
        ({"levels": "2"}, "got levels='2'"),
        ({"threads": None}, "got threads=None"),
        ({"seed": "a"}, "non-negative integer or a numpy.random.Generator, got 'a'"),
        ({"seed": 1.5}, "got 1.5"),
        ({"seed": None}, "got None"),
    ],
)
def test_settings_that_mean_nothing_are_refused_in_words(declared: dict[str, Any], told: str) -> None:
    problem = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(0.0, 1.0))
    with pytest.raises((ProblemError, SchemeError), match=told):
        fpk.simulate(problem, **{"particles": 10, "steps": 2, "times": [1.0], **declared})


def test_whole_numbers_may_be_written_as_floats() -> None:
    problem = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(0.0, 1.0))
    runs = [fpk.simulate(problem, particles=n, steps=2, times=[1.0], seed=3) for n in (1e3, np.int64(1000), 1000)]  # type: ignore[arg-type]
    assert runs[0].source == runs[1].source == runs[2].source
    for run in runs[1:]:
        np.testing.assert_array_equal(run.samples(1.0), runs[0].samples(1.0))
