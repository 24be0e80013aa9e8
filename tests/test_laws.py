import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from fpk.errors import NonFinite, ProblemError
from fpk.laws import Gaussian, GaussianMixture, Law, ScipyLaw, TabulatedLaw, as_law, central_derivative

X = np.linspace(-4, 4, 41)[:, None]
MIXTURE = GaussianMixture([0.3, 0.7], [-1.0, 1.2], stds=[0.2, 0.5])


def mixture_pdf(x):
    return 0.3 * stats.norm.pdf(x, -1.0, 0.2) + 0.7 * stats.norm.pdf(x, 1.2, 0.5)


def mixture_score(x):
    slopes = (
        0.3 * stats.norm.pdf(x, -1.0, 0.2) * (-1.0 - x) / 0.04 + 0.7 * stats.norm.pdf(x, 1.2, 0.5) * (1.2 - x) / 0.25
    )
    return slopes / mixture_pdf(x)


def test_gaussian_takes_a_standard_deviation_not_a_variance():
    np.testing.assert_allclose(
        Gaussian(2.0, 0.3).density(X), stats.norm.pdf(X[:, 0], 2.0, 0.3), rtol=1e-12, atol=1e-300
    )


def test_mixture_density_score_and_distribution_match_scipy():
    np.testing.assert_allclose(MIXTURE.density(X), mixture_pdf(X[:, 0]), rtol=1e-11)
    np.testing.assert_allclose(MIXTURE.score(X)[:, 0], mixture_score(X[:, 0]), rtol=1e-10, atol=1e-10)
    cdf = 0.3 * stats.norm.cdf(X[:, 0], -1.0, 0.2) + 0.7 * stats.norm.cdf(X[:, 0], 1.2, 0.5)
    np.testing.assert_allclose(MIXTURE.cdf(X[:, 0]), cdf, atol=1e-14)


def test_log_density_and_score_survive_where_the_density_underflows():
    far = np.array([[60.0], [-60.0]])
    np.testing.assert_allclose(MIXTURE.log_density(far)[0], np.log(0.7) + stats.norm.logpdf(60.0, 1.2, 0.5), rtol=1e-12)
    np.testing.assert_allclose(MIXTURE.score(far)[:, 0], [(1.2 - 60) / 0.25, (1.2 + 60) / 0.25], rtol=1e-12)


def test_responsibilities_are_bayes_rule_and_sum_to_one_in_the_tails():
    law = GaussianMixture([0.2, 0.5, 0.3], [[-1.0, 0.3], [0.4, 1.0], [2.0, -1.0]], stds=[0.6, 1.1, 0.8])
    x = np.array([[0.0, 0.0], [1.3, -0.4], [-2.0, 1.5]])
    laws = zip(law.weights, law.means, law.covariances, strict=True)
    joint = np.stack([weight * stats.multivariate_normal(mean, cov).pdf(x) for weight, mean, cov in laws])
    np.testing.assert_allclose(law.responsibilities(x), joint / joint.sum(0), rtol=1e-12)
    np.testing.assert_allclose(law.responsibilities(1e4 * x).sum(0), 1.0, rtol=1e-12)


@pytest.mark.parametrize("dimension", [1, 2])
def test_samples_are_a_component_and_its_affine_image_of_normals(dimension, seed):
    rng = np.random.default_rng(seed)
    factors = np.tril(rng.uniform(0.2, 1.0, (3, dimension, dimension)))
    covariances = factors @ factors.swapaxes(1, 2)
    law = GaussianMixture([0.2, 0.5, 0.3], rng.standard_normal((3, dimension)), covariances=covariances)
    again, found = np.random.default_rng(seed), law.sample(1000, np.random.default_rng(seed))
    normal, component = again.standard_normal((1000, dimension)), again.choice(3, size=1000, p=law.weights)
    images = np.stack([law.means[m] + factors[m] @ z for m, z in zip(component, normal, strict=True)])
    np.testing.assert_allclose(found, images, rtol=1e-12, atol=1e-14)


def test_mixture_moments_match_quadrature():
    mean = integrate.quad(lambda x: x * mixture_pdf(x), -8, 8, points=[-1, 1.2], epsabs=1e-13)[0]
    second = integrate.quad(lambda x: x**2 * mixture_pdf(x), -8, 8, points=[-1, 1.2], epsabs=1e-13)[0]
    np.testing.assert_allclose(MIXTURE.mean, [mean], atol=1e-11)
    np.testing.assert_allclose(MIXTURE.covariance, [[second - mean**2]], atol=1e-11)


def test_multivariate_density_matches_scipy():
    mean, covariance = np.array([0.5, -1.0]), np.array([[1.0, 0.6], [0.6, 2.0]])
    x = np.stack(np.meshgrid(np.linspace(-3, 3, 7), np.linspace(-3, 3, 7)), -1).reshape(-1, 2)
    law = Gaussian(mean, covariance=covariance)
    np.testing.assert_allclose(law.density(x), stats.multivariate_normal(mean, covariance).pdf(x), rtol=1e-11)
    np.testing.assert_allclose(law.score(x), -(x - mean) @ np.linalg.inv(covariance), rtol=1e-10, atol=1e-12)


@given(
    mean=st.floats(-3, 3),
    std=st.floats(0.05, 3),
    slope=st.floats(-2, 2),
    shift=st.floats(-2, 2),
    noise=st.floats(0.01, 2),
)
def test_an_affine_map_with_noise_pushes_a_gaussian_to_the_textbook_gaussian(mean, std, slope, shift, noise):
    pushed = Gaussian(mean, std).pushed(np.array([[slope]]), np.array([shift]), np.array([[noise**2]]))
    expected = stats.norm(slope * mean + shift, np.hypot(slope * std, noise))
    np.testing.assert_allclose(pushed.log_density(X), expected.logpdf(X[:, 0]), rtol=1e-9, atol=1e-9)


def test_projection_is_the_law_of_the_inner_product():
    law = GaussianMixture([0.5, 0.5], [[0.0, 1.0], [2.0, -1.0]], covariances=[np.eye(2), [[1.0, 0.5], [0.5, 2.0]]])
    line = law.projected(np.array([0.6, 0.8]))
    parts = stats.norm.pdf(X[:, 0], 0.8, 1.0), stats.norm.pdf(X[:, 0], 0.4, np.sqrt(0.36 + 0.48 + 1.28))
    np.testing.assert_allclose(line.density(X), 0.5 * parts[0] + 0.5 * parts[1], rtol=1e-10)


@pytest.mark.parametrize(
    "law",
    [
        MIXTURE,
        Gaussian(0.3, 1.2),
        ScipyLaw(stats.logistic(0.5, 0.4)),
        TabulatedLaw.gibbs(lambda x: x**4 / 2 - x**2, -4, 4),
    ],
    ids=repr,
)
def test_samples_follow_the_distribution_function(law):
    # One Kolmogorov–Smirnov test per law at alpha = 1e-6, on a seed that was not looked for.
    drawn = law.sample(20_000, np.random.default_rng(20_260_101))
    assert drawn.shape == (20_000, 1)
    assert stats.kstest(drawn[:, 0], law.cdf).pvalue > 1e-6


def test_multivariate_samples_have_the_stated_covariance():
    covariance = np.array([[1.0, -0.7], [-0.7, 2.0]])
    drawn = Gaussian([1.0, 2.0], covariance=covariance).sample(40_000, np.random.default_rng(7))
    whitened = (drawn - [1.0, 2.0]) @ np.linalg.cholesky(np.linalg.inv(covariance))
    # Σ|w|² is χ² with 80,000 degrees of freedom; two-sided, alpha = 1e-6.
    low, high = stats.chi2.ppf([5e-7, 1 - 5e-7], 80_000)
    assert low < (whitened**2).sum() < high
    # alpha = 1e-6 for the cross moment, normal by the central limit theorem (variance 1 / n).
    assert abs((whitened[:, 0] * whitened[:, 1]).mean()) < stats.norm.isf(5e-7) / np.sqrt(40_000)


@pytest.mark.parametrize(
    ("weights", "means", "keywords", "message"),
    [
        ([0.5, 0.6], [0, 1], {"stds": 1.0}, "weights must be positive and sum to 1"),
        ([1.5, -0.5], [0, 1], {"stds": 1.0}, "weights must be positive"),
        ([0.5, np.nan], [0, 1], {"stds": 1.0}, "weights must be positive"),
        ([0.5, 0.5], [0, 1, 2], {"stds": 1.0}, "2 weights but 3 means"),
        ([0.5, 0.5], [0, 1, 2, 3], {"stds": 1.0}, "2 weights but 4 means"),
        ([0.5, 0.5], [0, np.inf], {"stds": 1.0}, "must be finite"),
        ([0.5, 0.5], [0, 1], {}, "exactly one of stds"),
        ([0.5, 0.5], [0, 1], {"stds": 1.0, "covariances": [[[1.0]], [[1.0]]]}, "exactly one of stds"),
        ([0.5, 0.5], [0, 1], {"stds": [1.0, 0.0]}, "a point mass has no density"),
        ([0.5, 0.5], [0, 1], {"stds": [1.0, 1.0, 1.0]}, "3 standard deviations but 2 means"),
        ([0.5, 0.5], [0, 1], {"covariances": [1.0, 2.0, 3.0]}, "covariances have shape"),
        ([0.5, 0.5], [0, 1], {"covariances": [1.0, -1.0]}, "positive definite"),
    ],
)
def test_a_mixture_that_is_not_a_law_is_refused(weights, means, keywords, message):
    with pytest.raises(ProblemError, match=message):
        GaussianMixture(weights, means, **keywords)


def test_a_covariance_must_be_symmetric_positive_definite_and_unambiguous():
    with pytest.raises(ProblemError, match="symmetric"):
        Gaussian([0, 0], covariance=[[1, 0.9], [0, 1]])
    with pytest.raises(ProblemError, match="positive definite"):
        Gaussian([0, 0], covariance=[[1, 2], [2, 1]])
    with pytest.raises(ProblemError, match="std= or covariance="):
        Gaussian(0.0, 1.0, covariance=1.0)


def test_a_distribution_function_in_two_dimensions_is_refused_with_the_remedy():
    with pytest.raises(ProblemError, match=r"one-dimensional.*projected"):
        Gaussian([0.0, 0.0]).cdf(np.zeros(1))


def test_gibbs_law_matches_quadrature_of_the_boltzmann_weight():
    law = TabulatedLaw.gibbs(lambda x: x**4 / 2 - x**2, -4.0, 4.0)
    total = integrate.quad(lambda x: np.exp(x**2 - x**4 / 2), -4, 4, epsabs=1e-13)[0]
    x = np.linspace(-2.5, 2.5, 23)
    np.testing.assert_allclose(law.density(x[:, None]), np.exp(x**2 - x**4 / 2) / total, rtol=1e-10)
    np.testing.assert_allclose(law.score(x[:, None])[:, 0], 2 * x - 2 * x**3, atol=1e-8)
    expected = [integrate.quad(lambda y: np.exp(y**2 - y**4 / 2), -4, b, epsabs=1e-13)[0] / total for b in x]
    np.testing.assert_allclose(law.cdf(x), expected, atol=1e-10)


def test_tabulated_log_density_is_sixth_order_in_the_spacing():
    def worst(n):
        points = np.linspace(-6, 6, n + 1)
        law = TabulatedLaw(points, -np.log(np.cosh(points)), reliable=np.inf)
        x = np.linspace(-3, 3, 501)
        # sech integrates to π on the line; the table stops at ±6.
        return np.abs(law.log_density(x[:, None]) + np.log(np.cosh(x)) + np.log(4 * np.arctan(np.tanh(3.0)))).max()

    errors = np.array([worst(n) for n in (40, 80, 160)])
    assert np.all(np.log2(errors[:-1] / errors[1:]) > 5.5)


def test_a_noisy_gaussian_tail_is_replaced_by_the_right_parabola():
    points = np.linspace(-10, 10, 401)
    logs = stats.norm.logpdf(points)
    spoiled = np.where(np.abs(points) > 7.5, -30.0, logs)
    law = TabulatedLaw(points, spoiled)
    # The parabola is fitted to exact values six points wide and continued over three standard deviations.
    np.testing.assert_allclose(law.log_density(points[:, None]), logs, atol=1e-6)


def test_a_hole_between_two_peaks_does_not_disturb_the_peaks():
    law = GaussianMixture([0.5, 0.5], [-3.0, 3.0], stds=0.3)
    points = np.linspace(-6, 6, 601)
    table = TabulatedLaw(points, np.maximum(law.log_density(points[:, None]), -28.0))
    x = np.array([[-3.3], [-3.0], [2.9], [3.4]])
    np.testing.assert_allclose(table.density(x), law.density(x), rtol=1e-7)
    np.testing.assert_allclose(table.cdf(np.array([0.0])), [0.5], atol=1e-8)


def test_a_tabulated_law_is_nothing_outside_its_support():
    law = TabulatedLaw(np.linspace(0, 1, 21), np.zeros(21))
    assert law.log_density(np.array([[-0.1], [1.1]])).tolist() == [-np.inf, -np.inf]
    assert law.cdf(np.array([-1.0, 2.0])).tolist() == pytest.approx([0.0, 1.0], abs=1e-14)


def test_tables_without_information_are_refused():
    with pytest.raises(NonFinite, match="single finite value"):
        TabulatedLaw(np.linspace(0, 1, 11), np.full(11, np.nan))
    with pytest.raises(ProblemError, match="at least 6 increasing points"):
        TabulatedLaw([0.0, 1.0, 2.0], [0.0, 0.0, 0.0])
    with pytest.raises(ProblemError, match="at least 6 increasing points"):
        TabulatedLaw(np.linspace(1, 0, 11), np.zeros(11))


def test_scipy_laws_are_accepted_as_they_are():
    law = as_law(stats.logistic(0.5, 0.4))
    assert isinstance(law, Law)
    x = X[:, 0]
    np.testing.assert_allclose(law.density(X), stats.logistic.pdf(x, 0.5, 0.4), rtol=1e-12)
    # d/dx log sech²(z/2) / s = −tanh(z / 2) / s
    np.testing.assert_allclose(law.score(X)[:, 0], -np.tanh((x - 0.5) / 0.8) / 0.4, atol=1e-9)
    both = as_law(stats.multivariate_normal([1.0, 2.0], [[1.0, 0.3], [0.3, 1.0]]))
    np.testing.assert_allclose(both.covariance, [[1.0, 0.3], [0.3, 1.0]], atol=1e-12)


@pytest.mark.parametrize("given", [3.0, "normal", np.zeros(3), stats.poisson(3.0)])
def test_what_is_not_a_continuous_law_is_refused_with_what_is(given):
    with pytest.raises(ProblemError, match=r"fpk\.Gaussian.*scipy\.stats"):
        as_law(given)


@pytest.mark.parametrize("law", [as_law(stats.logistic()), TabulatedLaw.gibbs(lambda x: x**2, -4, 4)], ids=repr)
def test_a_line_can_only_be_projected_on_itself(law):
    assert law.projected(np.ones(1)) is law
    with pytest.raises(ProblemError, match=r"direction \[1\]"):
        law.projected(np.array([-1.0]))


def test_central_derivative_is_sixth_order():
    x = np.linspace(-1, 1, 11)
    errors = [np.abs(central_derivative(np.sin, x, h) - np.cos(x)).max() for h in (0.4, 0.2, 0.1)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(6, abs=0.2)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(6, abs=0.1)
