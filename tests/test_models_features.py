"""Features: their values are the functions their names say, and their gradients are the slopes of these."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline
from scipy.special import eval_hermitenorm, factorial

from fpk.errors import ProblemError
from fpk.laws import central_derivative
from fpk.models.features import Features, Hermite, RadialBasis, RandomFourier, Splines, Timed

ONE = {
    "bumps": RadialBasis([-1.0, 0.0, 1.5], width=0.7),
    "waves": RandomFourier(9, width=0.8, seed=3),
    "Hermite": Hermite(5, mean=0.3, std=1.4),
    "splines": Splines(-2.0, 2.0, pieces=5),
    "joined": RadialBasis([0.0, 1.0], width=1.0) + Hermite(1),
    "timed": Timed(RadialBasis([0.0, 1.0], width=1.0) + Hermite(1), 3, 0.1, 1.0),
}
TWO = {
    "bumps": RadialBasis([[-1.0, 0.0], [1.5, 0.3], [0.0, -2.0]], width=0.7),
    "waves": RandomFourier(9, 2, width=0.8, seed=3),
    "Hermite": Hermite(4, mean=[0.3, -1.0], std=[1.4, 0.6]),
    "timed": Timed(Hermite(2, mean=[0.0, 0.0]), 2, 0.1, 1.0),
}


@pytest.mark.parametrize("features", [*ONE.values(), *TWO.values()], ids=[*ONE, *(f"{name}, plane" for name in TWO)])
def test_gradients_are_the_slopes_of_the_values(features: Features, rng: np.random.Generator) -> None:
    x = rng.uniform(-2.5, 2.5, (40, features.dimension))
    x = x[np.abs(np.abs(x) - 2.0).min(1) > 0.02]  # the slopes of splines bend where they are continued
    assert features(x, 0.4).shape == (len(x), features.count)
    gradient = features.gradient(x, 0.4)
    assert gradient.shape == (len(x), features.count, features.dimension)
    for i, axis in enumerate(np.eye(features.dimension)):
        slope = central_derivative(lambda h, axis=axis: features(x + h * axis, 0.4), np.zeros(1), 1e-3)
        np.testing.assert_allclose(gradient[:, :, i], slope, atol=1e-8)


@pytest.mark.parametrize("features", [*ONE.values(), *TWO.values()])
def test_combinations_are_values_times_parameters(features: Features, rng: np.random.Generator) -> None:
    x, theta = rng.uniform(-2, 2, (10, features.dimension)), rng.standard_normal((features.count, features.dimension))
    np.testing.assert_allclose(features.combined(theta, x, 0.4), features(x, 0.4) @ theta, rtol=1e-12, atol=1e-12)


def test_hermite_features_are_scipys_polynomials_of_the_standardised_coordinates(rng: np.random.Generator) -> None:
    x, features = rng.standard_normal((30, 2)), TWO["Hermite"]
    y = (x - [0.3, -1.0]) / [1.4, 0.6]
    assert isinstance(features, Hermite)
    for j, (k, n) in enumerate(features.powers):
        expected = eval_hermitenorm(k, y[:, 0]) * eval_hermitenorm(n, y[:, 1]) / np.sqrt(factorial(k) * factorial(n))
        np.testing.assert_allclose(features(x)[:, j], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("degree", "dimension", "count"), [(0, 1, 1), (3, 1, 4), (2, 2, 6), (3, 3, 20)])
def test_hermite_features_are_all_products_up_to_the_total_degree(degree: int, dimension: int, count: int) -> None:
    assert Hermite(degree, mean=np.zeros(dimension)).count == count


def test_splines_interpolate_as_scipy_and_go_on_straight() -> None:
    nodes = np.linspace(-2, 2, 8)
    values = np.sin(2 * nodes)
    features = Splines(-2.0, 2.0, pieces=5)
    theta = np.linalg.solve(features(nodes[:, None]), values)
    x = np.array([-1.7, 0.2, 1.9])
    spline = make_interp_spline(nodes, values, t=np.r_[[-2.0] * 3, features.knots, [2.0] * 3], k=3)
    np.testing.assert_allclose(features(x[:, None]) @ theta, spline(x), atol=1e-13)
    np.testing.assert_allclose(features(np.array([[3.5]])) @ theta, spline(2.0) + 1.5 * spline(2.0, 1), atol=1e-12)


def test_many_random_waves_have_the_gaussian_kernel() -> None:
    count, x = 40_000, np.array([[0.0, 0.0], [0.5, -0.3], [1.5, 1.0]])
    phi = RandomFourier(count, 2, width=0.8, seed=1)(x)
    apart = ((x[:, None] - x) ** 2).sum(2)
    # a mean of products within ±2: six standard errors of at most 2/√m, α about 1e-8
    np.testing.assert_allclose(phi @ phi.T, np.exp(-apart / (2 * 0.8**2)), atol=6 * 2 / np.sqrt(count))


def test_the_same_seed_draws_the_same_waves() -> None:
    first, second, third = (RandomFourier(5, 2, width=1.0, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.frequencies, second.frequencies)
    assert not np.array_equal(first.frequencies, third.frequencies)


def test_polynomials_in_time_are_orthonormal_on_their_interval() -> None:
    timed = Timed(Hermite(0), 4, 0.2, 0.9)
    t, w = np.polynomial.legendre.leggauss(8)
    clocks = np.stack([timed.clock(0.55 + 0.35 * u) for u in t])
    np.testing.assert_allclose(clocks.T @ (0.5 * w[:, None] * clocks), np.eye(5), atol=1e-14)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: RadialBasis([0.0], width=0.0), "width of radial basis"),
        (lambda: RandomFourier(3, width=-1.0, seed=0), "width of random Fourier"),
        (lambda: Splines(1.0, 1.0, pieces=3), "lower < upper"),
        (lambda: Timed(Hermite(1), 2, 1.0, 1.0), "start < end"),
        (lambda: Hermite(1) + Hermite(1, mean=[0.0, 0.0]), "d = 1 and d = 2"),
    ],
)
def test_what_cannot_be_is_refused_in_words(build: object, told: str) -> None:
    with pytest.raises(ProblemError, match=told):
        build()  # type: ignore[operator]
