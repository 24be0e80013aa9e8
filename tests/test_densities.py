"""Densities and scores from particles against exact laws, plain sums and quadrature; their error bars against repetitions."""

import numpy as np
import pytest
from scipy import stats

from fpk.errors import NonFinite, ProblemError
from fpk.particles import kernel_sums
from fpk.particles.densities import DensityEstimate, smoothed_density

ALPHA = 1e-6  # false alarms of each statistical test here

# dX = −X dt + √2 dW from N(2, ½²): the law at t = 1, and the kernel over the last .2
LEAD = 0.2
VARIANCE = np.array([[1 - np.exp(-2 * LEAD)]])
EARLIER = stats.norm(2 * np.exp(-0.8), np.sqrt(0.25 * np.exp(-1.6) + 1 - np.exp(-1.6)))
LAW = stats.norm(2 * np.exp(-1.0), np.sqrt(0.25 * np.exp(-2.0) + 1 - np.exp(-2.0)))


def spring(positions, points, **options) -> DensityEstimate:
    """The estimate at t = 1 from positions at t = .8."""
    return smoothed_density(points[:, None], np.exp(-LEAD) * positions[:, None], VARIANCE, **options)


def score_of(law, x):
    """∇ log of a normal density."""
    return -(x - law.mean()) / law.var()


def deviations(estimate, density, score):
    """In standard errors: of the density (k,), of the score (k, d)."""
    return (estimate.value - density) / estimate.standard_error, (estimate.score - score) / estimate.score_error


def assert_within_bars(estimate, density, score):
    """No deviation beyond the quantile of Student's t that all of them together exceed with probability ≤ ALPHA."""
    away = np.concatenate([part.ravel() for part in deviations(estimate, density, score)])
    assert np.abs(away).max() < stats.t(estimate.units - 1).isf(ALPHA / 2 / len(away))


def normal_scores(deviations, units):
    """What Student's t with units − 1 degrees of freedom makes of deviations, as standard normal numbers."""
    return stats.norm.isf(stats.t(units - 1).sf(deviations))


def spread(away):
    """p-values that columns of standard normal numbers are as wide as they are, two-sided."""
    law, total = stats.chi2(len(away)), (away**2).sum(0)
    return 2 * np.minimum(law.cdf(total), law.sf(total))


# -- the same sums by other means ---------------------------------------------------------------------------------------


def kernels(points, centres, covariances):
    """Values (n, k) and gradients (n, k, d) of normal densities, each by scipy."""
    laws = [stats.multivariate_normal(m, C) for m, C in zip(centres, covariances, strict=True)]
    values = np.array([law.pdf(points).reshape(len(points)) for law in laws])
    pulls = [np.linalg.solve(C, (m - points).T).T for m, C in zip(centres, covariances, strict=True)]
    return values, values[:, :, None] * np.array(pulls)


def matrices(rng, count, d):
    roots = rng.normal(size=(count, d, d))
    return roots @ roots.swapaxes(1, 2) + 0.3 * np.eye(d)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("one", [True, False], ids=["one covariance", "each its own"])
def test_estimates_are_means_of_kernels_and_their_errors_those_of_batches(rng, d, one):
    n, batches = 150, 64
    points, centres = rng.normal(size=(7, d)), rng.normal(size=(n, d))
    covariance = matrices(rng, 1 if one else n, d)
    estimate = smoothed_density(points, centres, covariance[0] if one else covariance)
    values, gradients = kernels(points, centres, np.broadcast_to(covariance, (n, d, d)))
    p, slope = values.mean(0), gradients.mean(0)
    np.testing.assert_allclose(estimate.value, p, rtol=1e-12)
    np.testing.assert_allclose(estimate.score, slope / p[:, None], rtol=1e-10, atol=1e-12)
    assert estimate.units == batches
    firsts = np.arange(batches) * n // batches
    ratio = (gradients - (slope / p[:, None]) * values[:, :, None]) / p[:, None]
    for errors, terms in ((estimate.standard_error, values - p), (estimate.score_error, ratio)):
        squares = np.add.reduceat(terms, firsts) ** 2
        np.testing.assert_allclose(errors, np.sqrt(squares.sum(0) * batches / (batches - 1)) / n, rtol=1e-9)


@pytest.mark.parametrize("offset", [0.0, -50.0])
@pytest.mark.parametrize("half", [6.0, 0.4], ids=["points beyond the particles", "particles beyond the points"])
def test_boxes_with_moments_give_the_sum_of_all_kernels(rng, offset, half):
    std, n = 0.3, 20_000
    centres = offset + rng.normal(size=n)
    points = offset + np.linspace(-half, half, 97)
    z = (points - centres[:, None]) / std
    weights = np.exp(-0.5 * z**2) / (std * np.sqrt(2 * np.pi))
    estimate = smoothed_density(points[:, None], centres[:, None], np.array([[std**2]]), units=8)
    peak = 1 / (std * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(estimate.value, weights.mean(0), rtol=0, atol=1e-14 * peak)
    slope = (-z * weights / std).mean(0)
    np.testing.assert_allclose(estimate.score[:, 0] * estimate.value, slope, rtol=0, atol=1e-14 * peak / std)


def test_boxes_and_single_kernels_have_the_same_error_bars(rng):
    centres, points = rng.normal(size=(20_000, 1)), np.linspace(-3, 3, 31)[:, None]
    fast = smoothed_density(points, centres, np.array([[0.09]]), units=16)
    plain = smoothed_density(points, centres, np.full((20_000, 1), 0.09), units=16)
    np.testing.assert_allclose(fast.standard_error, plain.standard_error, rtol=1e-9)
    np.testing.assert_allclose(fast.score_error, plain.score_error, rtol=1e-9)


def test_the_number_of_threads_changes_no_bit(rng):
    points, centres = np.linspace(-3, 3, 150)[:, None], rng.normal(size=(30_000, 1))
    for covariance in (np.array([[0.2]]), np.full((30_000, 1), 0.2)):
        runs = [smoothed_density(points, centres, covariance, threads=threads) for threads in (1, 2, 3)]
        for name in ("value", "standard_error", "score", "score_error"):
            assert len({getattr(run, name).tobytes() for run in runs}) == 1


# -- exact laws ---------------------------------------------------------------------------------------------------------


def test_density_and_score_of_a_spring_are_within_their_error_bars(rng):
    points = np.linspace(-2, 3.5, 60)
    estimate = spring(EARLIER.rvs(200_000, random_state=rng), points)
    assert estimate.resolved.all()
    assert_within_bars(estimate, LAW.pdf(points), score_of(LAW, points)[:, None])
    assert estimate.standard_error.max() < 2e-3 * LAW.pdf(LAW.mean())


@pytest.mark.parametrize("wrong", ["score of the other time", "kernel of another lead"])
def test_a_wrong_law_is_outside_the_error_bars(rng, wrong):
    points = np.linspace(-2, 3.5, 60)
    positions = EARLIER.rvs(200_000, random_state=rng)
    factor = 1.1 if wrong.startswith("kernel") else 1.0
    estimate = smoothed_density(points[:, None], np.exp(-LEAD) * positions[:, None], factor * VARIANCE)
    score = score_of(EARLIER if wrong.startswith("score") else LAW, points)[:, None]
    with pytest.raises(AssertionError):
        assert_within_bars(estimate, LAW.pdf(points), score)


def test_deviations_from_the_exact_law_follow_student_over_repetitions(rng):
    points, repetitions = np.linspace(-0.8, 2.2, 5), 600
    found = []
    for _ in range(repetitions):
        estimate = spring(EARLIER.rvs(10_000, random_state=rng), points)
        away = deviations(estimate, LAW.pdf(points), score_of(LAW, points)[:, None])
        found.append(normal_scores(np.concatenate([away[0], away[1][:, 0]]), estimate.units))
    away = np.array(found)
    assert spread(away).min() > ALPHA / 20
    assert np.abs(away.mean(0)).max() * np.sqrt(repetitions) < stats.norm.isf(ALPHA / 40)


def test_a_correlated_linear_law_in_two_dimensions_is_within_its_error_bars(rng):
    mean, S = np.array([1.0, -0.5]), np.array([[0.5, 0.2], [0.2, 0.4]])
    flow, shift, C = np.array([[0.8, 0.3], [-0.2, 0.7]]), np.array([0.1, 0.3]), np.array([[0.4, -0.15], [-0.15, 0.3]])
    centres = rng.multivariate_normal(mean, S, 40_000) @ flow.T + shift
    centre, covariance = flow @ mean + shift, flow @ S @ flow.T + C
    points = rng.multivariate_normal(centre, covariance, 40)
    estimate = smoothed_density(points, centres, C)
    density = stats.multivariate_normal(centre, covariance).pdf(points)
    assert_within_bars(estimate, density, np.linalg.solve(covariance, (centre - points).T).T)


def test_one_euler_step_with_multiplicative_noise_is_within_its_error_bars(rng):
    """Against the convolution of the law before the step with the kernels, by the trapezoidal rule."""
    h, points = 0.1, np.linspace(-1.5, 2.0, 30)

    def step(x):
        return x - h * np.sin(x), (0.6 + 0.3 * np.cos(x)) ** 2 * h

    centres, variances = step(rng.normal(0.2, 0.8, size=60_000))
    estimate = smoothed_density(points[:, None], centres[:, None], variances[:, None])
    x = np.linspace(-8, 8, 4001)
    M, C = step(x)
    joint = stats.norm(M, np.sqrt(C)).pdf(points[:, None]) * stats.norm(0.2, 0.8).pdf(x) * (x[1] - x[0])
    density, slope = joint.sum(1), (-(points[:, None] - M) / C * joint).sum(1)
    assert_within_bars(estimate, density, (slope / density)[:, None])


# -- units --------------------------------------------------------------------------------------------------------------


def antithetic(rng, pairs, apart):
    """Positions x, 2 mean − x: every pair together, or all firsts before all seconds."""
    x = EARLIER.rvs(pairs, random_state=rng)
    both = np.stack([x, 2 * EARLIER.mean() - x], axis=0 if apart else 1)
    return both.ravel()


@pytest.mark.parametrize("apart", [False, True], ids=["units are pairs", "pairs taken for independent particles"])
def test_antithetic_pairs_have_true_error_bars_as_units_only(rng, apart):
    points = np.array([LAW.mean(), LAW.mean() + 2.0])
    found = []
    for _ in range(400):
        estimate = spring(antithetic(rng, 1024, apart), points, units=2048 if apart else 1024)
        found.append(normal_scores(deviations(estimate, LAW.pdf(points), 0.0)[0], estimate.units))
    assert (spread(np.array(found)).min() > ALPHA / 2) is not apart


def sobol(seed, replicates, m):
    """Positions from independently scrambled Sobol sequences of 2^m points, one replicate after the other."""
    rngs = np.random.default_rng(seed).spawn(replicates)
    return EARLIER.ppf(np.concatenate([stats.qmc.Sobol(1, rng=rng).random_base2(m)[:, 0] for rng in rngs]))


def test_scrambled_sequences_converge_faster_than_their_number_and_know_it(seed):
    points, errors = np.linspace(-2, 3.5, 40), []
    for m in (8, 12):
        estimate = spring(sobol(seed, 32, m), points, units=32)
        assert estimate.units == 32
        assert_within_bars(estimate, LAW.pdf(points), score_of(LAW, points)[:, None])
        errors.append(estimate.standard_error)
    assert np.median(errors[0] / errors[1]) > 16  # n^−1 would give 16, independent particles 4


# -- edges --------------------------------------------------------------------------------------------------------------


def test_where_no_particle_reaches_there_is_no_score_and_no_trust(rng):
    for covariance in (np.array([[0.04]]), np.full((20_000, 1), 0.04)):
        estimate = smoothed_density(np.array([[0.0], [40.0]]), rng.normal(size=(20_000, 1)), covariance)
        assert estimate.resolved.tolist() == [True, False]
        assert estimate.value[1] == pytest.approx(0, abs=1e-14)
        assert not estimate.score_error[1, 0] < 1e3


def test_particles_far_away_do_not_make_the_boxes_many(rng):
    centres = rng.normal(size=(20_000, 1))
    centres[:2] = [[1e9], [-1e9]]
    points = np.zeros((1, 1))
    assert kernel_sums._boxes(points, centres, np.ones((1, 1, 1))).count == 35  # 17 standard deviations of the kernel
    estimate = smoothed_density(points, centres, np.eye(1))
    assert estimate.value[0] == pytest.approx(stats.norm.pdf(centres[2:, 0]).sum() / 20_000, rel=1e-12)


def test_a_printed_estimate_tells_its_size_and_its_errors(rng):
    text = str(spring(EARLIER.rvs(6400, random_state=rng), np.linspace(-1, 2, 11)))
    assert "11 points from 64 independent units" in text
    assert "11 points resolved" in text


SINGULAR = np.array([[1.0, 1.0], [1.0, 1.0]])


@pytest.mark.parametrize(
    ("points", "centres", "covariance", "units", "says"),
    [
        (np.zeros(3), np.zeros((9, 1)), np.eye(1), None, r"points must have shape \(k, d\), got \(3,\)"),
        (np.zeros((3, 1)), np.zeros((0, 1)), np.eye(1), None, r"centres must have shape \(n, d\), got \(0, 1\)"),
        (np.zeros((3, 1)), np.zeros((9, 2)), np.eye(2), None, r"one dimension, got shapes \(3, 1\) and \(9, 2\)"),
        (np.zeros((3, 2)), np.zeros((9, 2)), np.ones((9, 1)), None, r"\(2, 2\), \(9, 2, 2\), got \(9, 1\)"),
        (np.zeros((3, 1)), np.zeros((9, 1)), np.zeros((1, 1)), None, "noise in every direction.*longer lead"),
        (np.zeros((3, 1)), np.zeros((9, 1)), np.r_[np.ones(8), -1.0][:, None], None, "not positive definite"),
        (np.zeros((3, 2)), np.zeros((9, 2)), SINGULAR, None, "not positive definite"),
        (np.zeros((3, 2)), np.zeros((9, 2)), SINGULAR + 1e-14 * np.eye(2), None, "not positive definite"),
        (np.zeros((3, 2)), np.zeros((9, 2)), np.array([[1.0, 0.5], [0.4, 1.0]]), None, "symmetric"),
        (np.zeros((3, 1)), np.zeros((7, 1)), np.eye(1), None, "at least 8 independent units, got 7"),
        (np.zeros((3, 1)), np.zeros((30, 1)), np.eye(1), 8, "30 particles do not make 8 units"),
    ],
)
def test_what_makes_no_density_is_refused(points, centres, covariance, units, says):
    with pytest.raises(ProblemError, match=says):
        smoothed_density(points, centres, covariance, units=units)


def test_a_position_that_is_not_finite_is_named():
    centres = np.zeros((20, 1))
    centres[13] = np.nan
    with pytest.raises(NonFinite, match=r"centres must be finite, got \[nan\] in row 13 of 20"):
        smoothed_density(np.zeros((1, 1)), centres, np.eye(1))
