import numpy as np
import pytest
from scipy import stats
from scipy.interpolate import make_interp_spline
from scipy.special import eval_legendre

from fpk.errors import ComparisonError
from fpk.laws import Gaussian, GaussianMixture, TabulatedLaw
from fpk.panels import LegendreBlock, Panel, ThresholdBlock, law_panel

LAW = GaussianMixture([0.3, 0.7], [-1.0, 1.2], stds=[0.2, 0.5])


def quantile_points(law, n=20_000):
    # Midpoint quantiles turn ∫ φ dF into a midpoint rule in u.
    x = np.linspace(-8, 8, 400_001)
    return np.interp((np.arange(n) + 0.5) / n, law.cdf(x), x)[:, None]


@pytest.mark.parametrize("law", [LAW, Gaussian(3.0, 0.1), TabulatedLaw.gibbs(lambda x: x**4, -4, 4)], ids=repr)
def test_the_functionals_are_orthonormal_under_their_reference(law):
    values = law_panel({0.5: law}).smooth[0].values(quantile_points(law))
    np.testing.assert_allclose(values.mean(1), np.zeros(4), atol=1e-5)
    np.testing.assert_allclose(values @ values.T / values.shape[1], np.eye(4), atol=1e-4)


def test_the_functionals_are_the_stated_legendre_polynomials():
    x = np.linspace(-3, 3, 31)
    values = law_panel({0.0: Gaussian(0.0, 1.0)}, degree=6).smooth[0].values(x[:, None])
    u = 2 * stats.norm.cdf(x) - 1
    expected = [np.sqrt(2 * k + 1) * eval_legendre(k, u) for k in range(1, 7)]
    np.testing.assert_allclose(values, expected, atol=1e-9)


def test_the_functionals_are_bounded_however_far_out():
    values = law_panel({0.0: LAW}).smooth[0].values(np.array([[-1e6], [-20.0], [20.0], [1e6]]))
    np.testing.assert_allclose(np.abs(values), np.sqrt(2 * np.arange(1, 5) + 1)[:, None] * np.ones(4), rtol=1e-9)


def test_thresholds_are_quantiles_of_the_reference_and_count_like_a_distribution_function():
    block = law_panel({0.5: LAW}).thresholds[0]
    np.testing.assert_allclose(LAW.cdf(block.points), (np.arange(128) + 0.5) / 128, atol=1e-4)
    x = LAW.sample(500, np.random.default_rng(0))
    np.testing.assert_array_equal(block.values(x).mean(1), [np.mean(x[:, 0] <= p) for p in block.points])


def test_slices_see_the_projection_only():
    direction = np.array([0.6, 0.8])
    panel = law_panel({0.5: Gaussian([1.0, -1.0])}, directions=[direction])
    assert len(panel.names) == 4
    x = np.array([[0.3, 0.4], [0.3 + 0.8, 0.4 - 0.6]])  # they differ by a vector orthogonal to the direction
    values = panel.smooth[0].values(x)
    np.testing.assert_allclose(values[:, 0], values[:, 1], atol=1e-12)
    np.testing.assert_allclose(values[0, 0], np.sqrt(3) * (2 * stats.norm.cdf(0.5 - (0.6 - 0.8)) - 1), atol=1e-9)


def test_the_default_slices_are_the_coordinate_axes_at_every_time():
    panel = law_panel({0.5: Gaussian([0.0, 0.0]), 0.25: Gaussian([1.0, 1.0])})
    assert panel.times == (0.25, 0.5)
    assert len(panel.smooth) == len(panel.thresholds) == 4
    assert len(panel.names) == len(set(panel.names)) == 16


def test_equal_digests_mean_equal_functionals():
    assert law_panel({0.5: LAW}).digest == law_panel({0.5: LAW}).digest
    others = [law_panel({0.6: LAW}), law_panel({0.5: Gaussian(0.0)}), law_panel({0.5: LAW}, degree=3)]
    digests = {law_panel({0.5: LAW}).digest, *(p.digest for p in others)}
    assert len(digests) == 4


def test_a_panel_of_nothing_is_refused():
    with pytest.raises(ComparisonError, match="at least one time"):
        law_panel({})


def test_a_panel_without_thresholds_is_a_panel():
    block = law_panel({0.5: LAW}).smooth[0]
    panel = Panel((block,))
    assert panel.blocks == (block,)
    assert panel.times == (0.5,)
    assert isinstance(block, LegendreBlock)
    assert ThresholdBlock(0.5, np.ones(1), np.zeros(2)).names == ("P(X ≤ 0) at t=0.5",) * 2


@pytest.mark.parametrize("count", [12, 2049])
def test_the_reference_is_scipys_quintic_interpolant_with_its_derivatives(count):
    rng = np.random.default_rng(0)
    knots, levels = np.linspace(-2.0, 5.0, count), np.sort(rng.random(count))
    block, spline = LegendreBlock(0.0, np.ones(1), knots, levels, degree=1), make_interp_spline(knots, levels, k=5)
    y = np.concatenate([knots, rng.uniform(-2, 5, 4000)])
    np.testing.assert_allclose(block.reference(y), np.clip(spline(y), 0, 1), rtol=0, atol=1e-13)
    y = y[np.abs(y - 1.5) < 3.4999]  # at the ends the functionals stop
    for found, nu in zip(block.derivatives(y[:, None]), (1, 2), strict=True):
        expected = 2 * np.sqrt(3) * spline(y, nu)
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-11 * np.abs(expected).max())
