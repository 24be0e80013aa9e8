"""Laws of scipy.stats, formulas of sympy and functions of other array libraries, as people bring them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.errors import ProblemError
from fpk.laws import Gaussian, GaussianMixture, ScipyLaw, as_law

LEVELS = np.array([1e-6, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 1 - 1e-6])
#: Laws and ∂ log p on paper.
SCORES = {
    "gamma": (stats.gamma(2.0), lambda x: 1 / x - 1),
    "gamma far away": (stats.gamma(2.0, loc=1000.0), lambda x: 1 / (x - 1000) - 1),
    "gamma, newer kind": (stats.make_distribution(stats.gamma)(a=2.0), lambda x: 1 / x - 1),
    "beta": (stats.beta(2.0, 3.0), lambda x: 1 / x - 2 / (1 - x)),
    "cauchy": (stats.cauchy(), lambda x: -2 * x / (1 + x**2)),
    "t without variance": (stats.t(2.0), lambda x: -3 * x / (2 + x**2)),
    "narrow gumbel": (stats.gumbel_r(3.0, 0.01), lambda x: (np.exp(-(x - 3) / 0.01) - 1) / 0.01),
    "uniform": (stats.uniform(2.0, 3.0), lambda x: 0 * x),
    "mixture, newer kind": (
        stats.Mixture([stats.Normal(mu=-1.0), stats.Normal(mu=2.0)], weights=[0.5, 0.5]),
        lambda x: GaussianMixture([0.5, 0.5], [-1.0, 2.0], stds=1.0).score(x[:, None])[:, 0],
    ),
}


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_as_accurate_as_stated(name):
    given, score = SCORES[name]
    law = as_law(given)
    assert isinstance(law, ScipyLaw)
    x = law._quantiles(LEVELS)
    error = np.abs(law.score(x[:, None])[:, 0] - score(x)) * law._spread
    assert np.all(error <= 1e-10 + 2e-9 * np.abs(score(x)) * law._spread)


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_finite_wherever_a_particle_may_stray(name):
    law = as_law(SCORES[name][0])
    middle, ends = law._quantiles(np.array([0.5])), np.asarray(law.frozen.support())
    far = np.clip(middle + law._spread * np.array([-10.0, -9.0, 9.0, 10.0]), *ends) + law._spread * np.array(
        [-1, 0, 0, 1]
    )
    assert np.isfinite(law.score(far[:, None])).all()


@pytest.mark.parametrize("name", SCORES)
def test_laws_of_scipy_are_laws(name):
    """Moments and distribution function by quadrature of the density; samples from our generator alone."""
    law = as_law(SCORES[name][0])
    points = law.breakpoints()
    assert np.all(np.diff(points) > 0)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = np.diff(points)[:, None] / 2
    x = points[:-1, None] + half * (1 + nodes)
    masses = (half * weights * np.exp(law.log_density(x.reshape(-1, 1))).reshape(x.shape)).sum(1)
    np.testing.assert_allclose(np.cumsum(masses), law.cdf(points[1:]) - law.cdf(points[:1]), atol=1e-9)
    np.testing.assert_allclose(np.log(law.density(x[:, :1])), law.log_density(x[:, :1]), rtol=1e-9, atol=1e-9)
    first, again = (law.sample(50, np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (50, 1)
    np.testing.assert_array_equal(first, again)
    assert law.mean.shape == (1,)
    assert law.covariance.shape == (1, 1)


def test_samples_follow_the_law():
    """Kolmogorov–Smirnov at level 1e-6 each; of a law shifted by a tenth of its spread 20,000 samples are refuted with power > .99."""
    for name, (given, _) in SCORES.items():
        law = as_law(given)
        found = law.sample(20_000, np.random.default_rng(11))[:, 0]
        assert stats.kstest(found, law.cdf).pvalue > 1e-6, name
        assert stats.kstest(found + 0.1 * law._spread, law.cdf).pvalue < 1e-6, name


@pytest.mark.parametrize("given", [stats.norm(2.0, 0.3), stats.Normal(mu=2.0, sigma=0.3)], ids=["frozen", "newer kind"])
def test_a_normal_law_of_scipy_is_a_gaussian_and_so_has_exact_marginals(given):
    problem = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.0, initial=given)
    assert isinstance(problem.initial, Gaussian)
    np.testing.assert_allclose(problem.initial.covariance, [[0.09]], rtol=1e-15)
    np.testing.assert_allclose(fpk.exact(problem, times=[0.7]).law(0.7).mean, [2 * np.exp(-0.7)], rtol=1e-12)


@pytest.mark.parametrize("shape", [(300,), (2, 300)])
def test_a_kernel_density_estimate_is_a_mixture_of_the_same_density(shape):
    rng = np.random.default_rng(0)
    estimate = stats.gaussian_kde(rng.gamma(2.0, size=shape), weights=rng.random(300))
    law = as_law(estimate)
    assert isinstance(law, GaussianMixture)
    x = rng.gamma(2.0, size=(np.atleast_2d(estimate.dataset).shape[0], 40))
    np.testing.assert_allclose(law.density(x.T), estimate(x), rtol=1e-10)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (stats.poisson(3.0), "poisson is discrete"),
        (stats.Binomial(n=3, p=0.4), "Binomial.*is discrete"),
        (stats.norm([0.0, 1.0], 1.0), r"\(2,\) laws at once"),
        (stats.Normal(mu=[0.0, 1.0]), r"\(2,\) laws at once"),
        (stats.gamma, r"freeze it, as in scipy\.stats\.gamma\(2\.0\)"),
        (stats.multivariate_t([0.0, 0.0]), "In more dimensions scipy's multivariate_normal and gaussian_kde"),
    ],
    ids=["discrete", "discrete, newer kind", "two", "two, newer kind", "not frozen", "another in the plane"],
)
def test_what_is_no_law_on_the_line_is_refused_with_what_to_do(given, said):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ProblemError, match=said):
            as_law(given)


def test_a_law_of_scipy_starts_a_problem_and_both_routes_agree():
    problem = fpk.Problem(fpk.Linear(-1.0), 1.0, initial=stats.gamma(9.0, scale=0.2))
    grid = fpk.solve(problem, fpk.Grid(-5, 9, cells=192), times=[0.5])
    run = fpk.simulate(problem, particles=100_000, steps=32, times=[0.5], seed=0)
    verdict = fpk.compare(grid, run, tolerance=0.1)  # wrong with probability 1e-6, undecided far less
    assert verdict.outcome is fpk.Outcome.CONFIRMED, str(verdict)
