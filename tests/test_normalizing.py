"""Layers are bijections with the volumes and slopes they state; flows are laws; maximum likelihood finds the law that made the data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

import fpk
from fpk.errors import ProblemError
from fpk.laws import Array, central_derivative
from fpk.models.features import Hermite, RadialBasis, RandomFourier
from fpk.models.layers import Affine, Bijection, Continuous, Layer, SinhArcsinh
from fpk.models.normalizing import NormalizingFlow, maximum_likelihood

LINE, PLANE = fpk.Gaussian(0.0, 1.0), fpk.Gaussian([0.0, 0.0], 1.0)
WAVES = Continuous(RandomFourier(5, 2, width=1.0, seed=1), np.random.default_rng(3).normal(size=(5, 2)) / 2, steps=32)
LAYERS: dict[str, Layer] = {
    "affine": Affine([[1.2, 0.4], [-0.3, -0.8]], [0.3, 0.1]),
    "sinh": SinhArcsinh([0.3, -0.2], [-0.2, 0.3]),
    "continuous": WAVES,
}
TWISTED = NormalizingFlow(PLANE, [LAYERS["sinh"], LAYERS["affine"], SinhArcsinh(0.1, [0.2, -0.1])])
SKEWED = NormalizingFlow(LINE, [SinhArcsinh(0.4, -0.3), Affine(-1.5, 0.5)])


def places(count: int = 7) -> Array:
    return np.random.default_rng(0).normal(size=(count, 2))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_undone_by_its_way_back(name: str) -> None:
    layer, x = LAYERS[name], places()
    np.testing.assert_allclose(layer.back(layer.forward(x))[0], x, atol=2e-6 if name == "continuous" else 1e-13)


@pytest.mark.parametrize("name", LAYERS)
def test_the_log_determinant_is_that_of_the_jacobian(name: str) -> None:
    layer, y = LAYERS[name], places()
    moved = [central_derivative(lambda s, e=e: layer.back(y + s * e)[0], np.zeros(1), 5e-3) for e in np.eye(2)]
    np.testing.assert_allclose(
        layer.back(y)[1], np.linalg.slogdet(np.stack(moved, axis=2))[1], atol=1e-6 if name == "continuous" else 1e-10
    )


@pytest.mark.parametrize("name", LAYERS)
def test_slopes_are_those_of_what_comes_back(name: str) -> None:
    layer, y, rng = LAYERS[name], places(), np.random.default_rng(1)
    along, weights = rng.normal(size=(7, 2)), rng.uniform(size=7)

    def total(layer: Layer, y: Array) -> float:
        x, log_det = layer.back(y)
        return float((along * x).sum() + weights @ log_det)

    there, inner = layer.slopes(y, along, weights)
    for k, p in enumerate(np.eye(len(layer.parameters))):
        slope = (
            total(layer.moved(layer.parameters + 1e-5 * p), y) - total(layer.moved(layer.parameters - 1e-5 * p), y)
        ) / 2e-5
        assert inner[k] == pytest.approx(slope, abs=1e-8)
    shift = np.zeros_like(y)
    shift[3, 1] = 1e-5
    assert there[3, 1] == pytest.approx((total(layer, y + shift) - total(layer, y - shift)) / 2e-5, abs=1e-8)


def test_a_layer_is_what_its_parameters_say() -> None:
    for layer in LAYERS.values():
        again = layer.moved(layer.parameters)
        np.testing.assert_array_equal(again.forward(places()), layer.forward(places()))


@pytest.mark.parametrize("name", ["affine", "sinh"])
def test_a_bijection_knows_what_the_layer_of_the_same_map_knows_by_formulas(name: str) -> None:
    layer, y, rng = LAYERS[name], places(), np.random.default_rng(1)
    given = Bijection(layer.forward, lambda y: layer.back(y)[0], 2)
    for found, known in zip(given.back(y), layer.back(y), strict=True):
        np.testing.assert_allclose(found, known, atol=1e-10)
    along, weights = rng.normal(size=(7, 2)), rng.uniform(size=7)
    np.testing.assert_allclose(given.slopes(y, along, weights)[0], layer.slopes(y, along, weights)[0], atol=1e-7)
    assert given.moved(np.zeros(0)) is given
    assert given.slopes(y, along, weights)[1].shape == given.parameters.shape == (0,)


def test_images_under_a_bijection_are_laws_beside_layers_that_learn() -> None:
    """−X for a gamma-like X = e^Z: log-normal, turned over; the affine layer in front of it finds the mean of log data."""
    over = Bijection(lambda x: -np.exp(x), lambda y: np.log(-y))
    image, y = NormalizingFlow(LINE, [over]), -np.array([[0.2], [0.9], [3.0]])
    np.testing.assert_allclose(image.density(y), stats.lognorm(1.0).pdf(-y[:, 0]), rtol=1e-9)
    rows = -np.exp(np.array([[0.5], [1.5]]))
    found = maximum_likelihood(NormalizingFlow(LINE, [Affine(1.0), over]), rows)
    np.testing.assert_allclose(found.flow.layers[0].parameters, [0.5, 1.0], atol=1e-5)


def test_an_inverse_that_is_none_is_refused() -> None:
    wrong = Bijection(lambda x: 2 * x, lambda y: 0.4 * y)
    with pytest.raises(ProblemError, match=r"image is up to 0\.2 away"):
        wrong.back(np.array([[1.0], [0.5]]))
    with pytest.raises(ProblemError, match=r"keep their shape, got \(2,\) and \(2,\)"):
        Bijection(lambda x: x, lambda y: y[:, 0]).back(np.zeros((2, 1)))
    with pytest.raises(ProblemError, match=r"in dimension 2 takes positions of shape \(n, 2\), got \(3, 1\)"):
        Bijection(np.sinh, np.arcsinh, dimension=2).back(np.zeros((3, 1)))


def test_a_continuous_layer_of_a_linear_velocity_is_affine() -> None:
    layer = Continuous(Hermite(1), np.array([[0.4], [-0.7]]), steps=32)
    x = np.array([[-1.0], [0.5], [2.0]])
    z, log_det = layer.back(x)
    np.testing.assert_allclose(log_det, -0.7, atol=1e-12)
    np.testing.assert_allclose(z, np.exp(-0.7) * x + 0.4 * (1 - np.exp(-0.7)) / 0.7, atol=1e-7)


def test_back_is_of_fourth_order() -> None:
    exact = WAVES.back(places())[0]
    errors = [np.abs(Continuous(WAVES.features, WAVES.theta, steps=n).back(places())[0] - exact).max() for n in (4, 8)]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.4)


def test_a_flow_is_a_law() -> None:
    assert quad(lambda x: float(SKEWED.density(np.array([[x]]))[0]), -20, 20, limit=200)[0] == pytest.approx(
        1, abs=1e-9
    )
    x = np.linspace(-3, 3, 9)
    np.testing.assert_allclose(central_derivative(SKEWED.cdf, x, 1e-2), SKEWED.density(x[:, None]), atol=1e-9)
    rows = SKEWED.sample(20_000, np.random.default_rng(0))
    assert np.mean(rows[:, 0] <= 0.3) == pytest.approx(SKEWED.cdf(np.array([0.3]))[0], abs=0.015)
    assert np.all(np.diff(SKEWED.breakpoints()) > 0)
    assert SKEWED.projected(np.array([1.0])) is SKEWED


def test_the_score_is_the_gradient_of_the_log_density() -> None:
    x = places()
    for flow in (TWISTED, NormalizingFlow(PLANE, [WAVES, LAYERS["affine"]])):
        for i, e in enumerate(np.eye(2)):
            slope = central_derivative(lambda s, e=e, flow=flow: flow.log_density(x + s * e), np.zeros(1), 5e-3)
            np.testing.assert_allclose(flow.score(x)[:, i], slope, atol=1e-9)


def test_affine_layers_generate_normal_laws() -> None:
    layer = LAYERS["affine"]
    assert isinstance(layer, Affine)
    normal = fpk.Gaussian(layer.shift, covariance=layer.matrix @ layer.matrix.T)
    np.testing.assert_allclose(
        NormalizingFlow(PLANE, [layer]).log_density(places()), normal.log_density(places()), atol=1e-12
    )


def normal_rows(d: int) -> tuple[Array, Array]:
    """A lattice with the weights of N(0, I)."""
    axis = np.arange(-6, 6.1, 0.4)
    z = np.stack(np.meshgrid(*[axis] * d, indexing="ij"), axis=-1).reshape(-1, d)
    weights = np.exp(-0.5 * (z**2).sum(1))
    return z, weights / weights.sum()


BUMPS = RadialBasis(np.array([[-1.0], [1.0]]), width=0.8) + Hermite(1)
MADE = {
    "discrete": (
        NormalizingFlow(PLANE, [LAYERS["sinh"], LAYERS["affine"]]),
        NormalizingFlow(PLANE, [SinhArcsinh(np.zeros(2), 0.0), Affine(np.diag([1.0, -1.0]))]),
    ),
    "continuous": (
        NormalizingFlow(LINE, [Continuous(BUMPS, np.array([0.6, -0.8, 0.2, 0.3]), steps=8)]),
        NormalizingFlow(LINE, [Continuous(BUMPS, steps=8)]),
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_maximum_likelihood_finds_the_flow_that_made_the_data(kind: str) -> None:
    truth, begin = MADE[kind]
    z, weights = normal_rows(truth.dimension)
    rows = truth.forward(z)
    found = maximum_likelihood(begin, rows, weights=weights)
    assert found.loss == pytest.approx(-float(weights @ truth.log_density(rows)), abs=1e-6)
    assert found.slope < 1e-6
    x = places()[:, : truth.dimension]
    np.testing.assert_allclose(found.flow.density(x), truth.density(x), atol=3e-4)
    assert "parameters: loss" in str(found)


def test_a_likeliest_flow_of_the_wrong_form_is_less_likely_than_the_law_itself() -> None:
    data, x = fpk.problems.two_peaks(), np.linspace(-4, 4, 81)[:, None]
    weights = data.density(x) / data.density(x).sum()
    found = maximum_likelihood(NormalizingFlow(LINE, [Affine(1.0)]), x, weights=weights)
    entropy, mean = -float(weights @ data.log_density(x)), float(weights @ x[:, 0])
    spread = float(weights @ (x[:, 0] - mean) ** 2) ** 0.5
    assert found.loss > entropy + 0.05
    np.testing.assert_allclose(np.abs(found.flow.parameters), [spread, abs(mean)], rtol=1e-6)


def test_parameters_without_a_flow_count_as_infinitely_unlikely() -> None:
    """A search that tries them turns back."""
    flow = NormalizingFlow(LINE, [SinhArcsinh(0.0, 0.0), Affine(1.0)])
    found = maximum_likelihood(flow, np.array([[-300.0], [500.0], [900.0]]))
    assert np.isfinite(found.loss)
    with pytest.raises(ProblemError, match="square invertible"):
        flow.moved(np.full(4, np.nan))


@pytest.mark.parametrize("matrix", [[[1.0, 2.0]], [[1.0, 2.0], [2.0, 4.0]]])
def test_matrices_without_an_inverse_are_refused(matrix: list[list[float]]) -> None:
    with pytest.raises(ProblemError, match="square invertible"):
        Affine(matrix)


def test_layers_of_other_dimensions_are_refused() -> None:
    with pytest.raises(ProblemError, match="dimension 1"):
        NormalizingFlow(LINE, [LAYERS["affine"]])
    with pytest.raises(ProblemError, match="dimension 1"):
        NormalizingFlow(LINE, [])
