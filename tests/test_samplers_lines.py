"""What samplers know on the line: quantiles, the monotone coupling, reflow; and the field lines of Poisson flow in one dimension and more."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, kstest, norm

import fpk
from fpk.errors import NonFinite, ProblemError, SchemeError
from fpk.fields import exact_field
from fpk.laws import Array, central_derivative
from fpk.models.features import Hermite
from fpk.models.fits import fit
from fpk.models.objectives import conditional
from fpk.models.points import Pairs
from fpk.samplers import PoissonField, PoissonFlow, ProbabilityFlow, Transported, reflow, reflowed_field, transported
from fpk.samplers.coupling import monotone_map, quantiles, solved_monotone
from fpk.samplers.poisson import CauchyLaw, coulomb, heights
from fpk.schedules import OTSchedule

DATA = fpk.GaussianMixture([0.3, 0.7], [2.2, 3.8], stds=[0.2, 0.5])
PLANE = fpk.GaussianMixture([0.4, 0.6], [[1.0, -1.0], [-2.0, 0.5]], covariances=[[[0.5, 0.2], [0.2, 0.3]], np.eye(2)])


# -- quantiles and couplings -------------------------------------------------------------------------------------------


def test_quantiles_invert_the_distribution_function(rng: np.random.Generator) -> None:
    u = np.concatenate([rng.random(200), [1e-12, 1e-6, 1 - 1e-6]])
    for law in (DATA, fpk.Gaussian(-1.0, 0.01), fpk.problems.double_well_law()):
        np.testing.assert_allclose(law.cdf(quantiles(law, u)), u, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(quantiles(fpk.Gaussian(1.0, 2.0), u), 1 + 2 * norm.ppf(u), rtol=1e-10)


def test_quantiles_between_components_far_apart_are_found() -> None:
    apart = fpk.GaussianMixture([0.5, 0.5], [-30.0, 30.0], stds=[0.1, 0.1])
    u = np.array([0.25, 0.5 - 1e-9, 0.5 + 1e-9, 0.75])
    np.testing.assert_allclose(apart.cdf(quantiles(apart, u)), u, atol=1e-15)


def test_the_monotone_map_between_normal_laws_is_affine(rng: np.random.Generator) -> None:
    x = rng.normal(2.0, 0.5, 300)
    found = monotone_map(fpk.Gaussian(2.0, 0.5), fpk.Gaussian(-1.0, 3.0))(x)
    np.testing.assert_allclose(found, -1 + 6 * (x - 2), atol=1e-9)


def test_a_function_that_is_not_finite_is_not_inverted() -> None:
    with pytest.raises(NonFinite, match="to be inverted"):
        solved_monotone(lambda x: (np.full_like(x, np.nan), x), np.zeros(2), np.zeros(2), np.ones(2))


def test_quantiles_need_the_line() -> None:
    with pytest.raises(ProblemError, match="one-dimensional"):
        quantiles(PLANE, np.array([0.5]))


def test_one_euler_step_of_the_reflowed_field_is_the_coupling(rng: np.random.Generator) -> None:
    x = rng.normal(0, 1, (200, 1))
    sampler = ProbabilityFlow(reflowed_field(DATA), steps=1, method="euler")
    np.testing.assert_allclose(
        sampler.step(x, 0, np.zeros((0, 200, 1)))[:, 0], monotone_map(fpk.Gaussian(0.0, 1.0), DATA)(x[:, 0]), atol=1e-11
    )


def test_reflowed_velocities_are_constant_along_their_lines(rng: np.random.Generator) -> None:
    field, start = reflowed_field(DATA), rng.normal(0, 1, (100, 1))
    v = field(start, 1.0)
    for t in (0.8, 0.3, 0.0):
        np.testing.assert_allclose(field(start - (1 - t) * v, t), v, atol=1e-9)


def test_straightness_of_normal_data_is_an_integral() -> None:
    """Paths are Z_t = s(t) Z_1 with s² = (1 − t)² a² + t²; for Z_1 = ±1, S = ∫ (ṡ − (1 − a))² dt."""
    a = 0.3
    s = lambda t: np.hypot((1 - t) * a, t)  # noqa: E731
    exact, _ = quad(lambda t: ((t - (1 - t) * a**2) / s(t) - (1 - a)) ** 2, 0, 1, epsabs=1e-13)
    field, z = exact_field(fpk.Gaussian(0.0, a), OTSchedule(), kind="velocity"), np.array([[1.0], [-1.0]])
    coarse, fine = (transported(field, z, steps=n) for n in (32, 64))
    np.testing.assert_allclose(fine.straightness, exact, rtol=1e-5)
    assert abs(fine.straightness - exact) < abs(coarse.straightness - exact) / 12  # fourth order, 16 in the limit
    np.testing.assert_allclose([fine.cost, *fine.data[:, 0]], [(1 - a) ** 2, a, -a], rtol=1e-6)


def test_a_reflowed_flow_is_straight(rng: np.random.Generator) -> None:
    assert transported(reflowed_field(DATA), rng.normal(0, 1, (200, 1)), steps=4).straightness < 1e-16
    with pytest.raises(ProblemError, match="even number of steps"):
        transported(reflowed_field(DATA), np.zeros((1, 1)), steps=3)


def test_reflow_in_the_plane_straightens_and_keeps_to_its_bound(rng: np.random.Generator) -> None:
    """Rounds of linear flows, exact for normal laws, each learned from the pairs of the one before; moments are those of the pairs."""
    noise = rng.normal(size=(4000, 2))
    data = rng.normal(size=(4000, 2)) @ np.array([[1.2, 0.9], [0.0, 0.2]])
    start = float(np.mean(np.sum((noise - data) ** 2, 1)))
    found = reflow(Learned, data, noise, rounds=3)
    straightness = [flow.straightness for flow in found]
    assert straightness[0] > 5 * straightness[1]
    assert min(straightness) <= start / 3
    assert all(after.cost <= before.cost * (1 + 1e-6) for before, after in itertools.pairwise(found))
    assert isinstance(found[0], Transported)
    np.testing.assert_array_equal(found[2].data, transported(Learned(found[1].data, noise), noise).data)


def test_one_round_divides_the_cost_of_dependent_pairs() -> None:
    """Complex normal ends, X_0 = c X_1 + noise: everything is a number for each t, and E|X_1 − X_0|² = E|Z_1 − Z_0|² + S + V."""
    c, rest = 0.7 * np.exp(2.0j), np.sqrt(1 - 0.49)
    size = lambda t: abs((1 - t) * c + t) ** 2 + (1 - t) ** 2 * rest**2  # noqa: E731
    along = lambda t: (1 - c) * np.conj((1 - t) * c + t) - (1 - t) * rest**2  # noqa: E731

    class Exact:
        def velocity(self, x: Array, t: float) -> Array:
            moved = along(t) / size(t) * (x[:, 0] + 1j * x[:, 1])
            return np.stack([moved.real, moved.imag], axis=1)

    left, _ = quad(lambda t: abs(1 - c) ** 2 + rest**2 - abs(along(t)) ** 2 / size(t), 0, 1)
    noise = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 0.0]])  # mean square 1 with these weights
    found = transported(Exact(), noise, steps=64, weights=np.array([0.1, 0.2, 0.4, 0.3]))
    assert found.cost + found.straightness + left == pytest.approx(abs(1 - c) ** 2 + rest**2, rel=1e-6)
    assert found.paths.shape == (65, 4, 2)


def test_what_cannot_be_followed_is_refused() -> None:
    straight, places = reflowed_field(DATA), np.zeros((3, 1))
    for field, noise in ((straight, np.zeros(3)), (straight.velocity, places)):
        with pytest.raises(ProblemError, match=r"places of shape \(n, d\) along an object with velocity"):
            transported(field, noise)
    with pytest.raises(ProblemError, match=r"has their shape, got \(3,\)"):
        transported(SimpleNamespace(velocity=lambda x, t: x[:, 0]), places)
    with pytest.raises(NonFinite, match="leave every bound"), np.errstate(over="ignore", invalid="ignore"):
        transported(SimpleNamespace(velocity=lambda x, t: -np.exp(x)), places + 5)
    for charges in (PLANE, np.zeros((4, 2))):
        with pytest.raises(ProblemError, match=r"their own space, got shape \(3, 1\)"):
            coulomb(charges, places)


def test_rounds_weights_and_pairs_that_do_not_fit_are_refused() -> None:
    for weights in (np.full(2, 0.5), np.ones(3)):
        with pytest.raises(ProblemError, match="one weight for each of 3 places"):
            transported(reflowed_field(DATA), np.zeros((3, 1)), weights=weights)
    with pytest.raises(ProblemError, match="at least one round"):
        reflow(Learned, np.zeros((3, 1)), np.zeros((3, 1)), rounds=0)
    with pytest.raises(ProblemError, match=r"\(3, 1\) and \(2, 1\)"):
        reflow(Learned, np.zeros((3, 1)), np.zeros((2, 1)))


class Learned:
    """The flow-matching velocity of pairs, linear in x at every time."""

    def __init__(self, data: Array, noise: Array) -> None:
        self.data, self.noise = data, noise

    def velocity(self, x: Array, t: float) -> Array:
        features = Hermite(1, mean=[0.0, 0.0], std=1.0)
        pairs = Pairs(self.data, self.noise, np.full(len(self.data), 1 / len(self.data)), OTSchedule(), t)
        objective = conditional(features, pairs, kind="velocity")
        return fit(features, objective, kind="velocity", schedule=OTSchedule()).model(x, t)


# -- field lines -------------------------------------------------------------------------------------------------------


def by_quadrature(law: Any, x: float, z: float) -> float:
    """E_x/E_z on the line from its definition."""

    def part(weight: Any) -> float:
        lower, upper = float(law.breakpoints()[0]), float(law.breakpoints()[-1])
        inner = [p for p in (x - z, x, x + z, 2.2, 3.8) if lower < p < upper]
        value: Any = quad(
            lambda y: weight(x - y) / ((x - y) ** 2 + z**2) * law.density(np.array([[y]]))[0], lower, upper,
            points=inner, limit=400, epsabs=1e-13,
        )  # fmt: skip
        return float(value[0])

    return part(lambda away: away) / part(lambda away: z)


@pytest.mark.parametrize(("x", "z"), [(2.0, 0.3), (3.1, 1.0), (-4.0, 2.0), (9.0, 20.0), (2.3, 0.05)])
def test_lines_on_the_line_are_those_of_the_integral(x: float, z: float) -> None:
    assert PoissonField(DATA).velocity(np.array([[x]]), z)[0, 0] == pytest.approx(by_quadrature(DATA, x, z), rel=1e-9)


def test_mixtures_over_variances_give_the_same_lines(rng: np.random.Generator) -> None:
    from fpk.samplers.poisson import _over_variances

    x = rng.normal(2, 2, (40, 1))
    for z in (0.2, 1.0, 15.0):
        np.testing.assert_allclose(
            _over_variances(DATA, x, z), PoissonField(DATA).velocity(x, z), rtol=1e-8, atol=1e-10
        )


@pytest.mark.parametrize("z", [0.7, 4.0])
def test_lines_in_the_plane_are_those_of_many_charges(z: float) -> None:
    """An even grid of charges on each component: a trapezoidal rule, exact to round-off at heights of five spacings."""
    nodes = np.linspace(-8.5, 8.5, 121)
    grid = np.stack([g.ravel() for g in np.meshgrid(nodes, nodes)], 1)
    mass = np.exp(-0.5 * (grid**2).sum(1))
    x = np.array([[0.5, 0.2], [3.0, -2.0], [-2.0, 0.5]])
    across, up = np.zeros_like(x), np.zeros((3, 1))
    for weight, mean, covariance in zip(PLANE.weights, PLANE.means, PLANE.covariances, strict=True):
        away = x[:, None] - (mean + grid @ np.linalg.cholesky(covariance).T)
        cubes = weight * mass / ((away**2).sum(2) + z**2) ** 1.5
        across, up = across + (cubes[:, :, None] * away).sum(1), up + z * cubes.sum(1)[:, None]
    np.testing.assert_allclose(PoissonField(PLANE).velocity(x, z), across / up, rtol=1e-8)


def test_lines_of_charges_are_their_sum_and_point_away_from_one() -> None:
    x = np.array([[1.0, 2.0], [0.0, -1.0]])
    one = np.array([[0.5, 0.5]])
    np.testing.assert_allclose(PoissonField(one).velocity(x, 0.4), (x - one) / 0.4)
    charges = np.array([[0.5, 0.5], [-1.0, 2.0], [3.0, 0.0]])
    away = x[:, None] - charges
    cubes = ((away**2).sum(2) + 0.16) ** -1.5
    wanted = (cubes[:, :, None] * away).sum(1) / (0.4 * cubes.sum(1))[:, None]
    np.testing.assert_allclose(PoissonField(charges).velocity(x, 0.4), wanted, rtol=1e-12)


ROUND_LAW = fpk.GaussianMixture([0.3, 0.7], [[0.5, -1.0, 0.2], [-0.4, 0.6, 1.0]], stds=[0.6, 0.9])


def test_the_field_of_a_law_on_the_line_is_its_distribution_function_less_a_half() -> None:
    x = np.array([[-3.0], [2.2], [2.2 + 1e-6], [3.1], [60.0]])
    np.testing.assert_allclose(coulomb(DATA, x)[:, 0], DATA.cdf(x[:, 0]) - 0.5, atol=1e-14)


def test_the_field_of_round_charges_in_space_encloses_its_charge() -> None:
    """Gauss's law by quadrature over spheres about a component's own centre, and the slope −p/3 of a lone one there."""
    u, w = np.polynomial.legendre.leggauss(24)
    angle = 2 * np.pi * np.arange(48) / 48
    ring = np.sqrt(1 - u**2)[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    sphere = np.concatenate([ring, np.broadcast_to(u[:, None, None], (24, 48, 1))], axis=2).reshape(-1, 3)
    areas = np.repeat(w * 2 * np.pi / 48, 48)
    one = fpk.GaussianMixture([1.0], [[0.1, 0.2, 0.3]], stds=[0.7])
    for radius in (0.4, 1.5):
        flux = radius**2 * (coulomb(one, one.means[0] + radius * sphere) * sphere).sum(1) @ areas
        assert flux == pytest.approx(chi2(3).cdf(radius**2 / 0.49), rel=1e-12)
    flux = 64 * (coulomb(ROUND_LAW, 8 * sphere) * sphere).sum(1) @ areas
    assert flux == pytest.approx(1.0, rel=1e-9)
    near = one.means + 1e-5 * np.eye(3)
    np.testing.assert_allclose(coulomb(one, near), one.density(one.means) / 3 * 1e-5 * np.eye(3), rtol=1e-6, atol=1e-18)


@pytest.mark.parametrize("law", [PLANE, ROUND_LAW], ids=["plane", "space"])
def test_the_field_of_a_law_has_its_density_as_divergence_and_no_curl(
    law: fpk.GaussianMixture, rng: np.random.Generator
) -> None:
    x, d = law.sample(9, rng), law.dimension
    slopes = np.stack(
        [central_derivative(lambda s, e=e: coulomb(law, x + s * e), np.zeros(1), 0.02) for e in np.eye(d)], axis=2
    )
    np.testing.assert_allclose(np.trace(slopes, axis1=1, axis2=2), law.density(x), rtol=1e-7)
    np.testing.assert_allclose(slopes, np.swapaxes(slopes, 1, 2), atol=1e-9)


def test_the_field_of_long_charges_is_that_of_many_points(rng: np.random.Generator) -> None:
    """Sixteen standard errors of a million equal charges, far enough away for a finite variance."""
    x, charges = np.array([[6.0, -3.0], [-1.0, 7.0]]), PLANE.sample(1_000_000, rng)
    np.testing.assert_allclose(coulomb(PLANE, x), coulomb(charges, x), atol=2e-4)


def test_lines_carry_the_data_plus_cauchy_from_plane_to_plane() -> None:
    """The flux through each plane: along lines F_z(x) stays, with F_z of the density z E_z/π."""

    def below(x: float, z: float) -> float:
        y = np.arange(0.0, 8.2, 0.02)
        return float((0.5 + np.arctan((x - y) / z) / np.pi) @ DATA.density(y[:, None]) * 0.02)

    flow = PoissonFlow(PoissonField(DATA), times=heights(100, highest=5.0, lowest=0.2), method="rk4")
    x = np.array([[-20.0], [0.0], [3.0], [4.0], [30.0]])
    start = x
    for k in range(flow.steps):
        x = flow.step(x, k, np.zeros((0, 5, 1)))
    for a, b in zip(start[:, 0], x[:, 0], strict=True):
        assert below(b, 0.2) == pytest.approx(below(a, 5.0), abs=1e-7)


def test_the_prior_is_the_hemisphere_projected(rng: np.random.Generator) -> None:
    """A direction uniform on the hemisphere, followed from the origin to the plane z = 3, α = 1e-9."""
    v = rng.normal(size=(20_000, 3))
    arrived = 3 * v[:, :2] / np.abs(v[:, 2:])
    law = PoissonFlow(PoissonField(PLANE), times=heights(5, highest=3.0, lowest=0.1)).prior
    for direction in (np.array([1.0, 0.0]), np.array([0.6, 0.8])):
        for x in (arrived, law.sample(20_000, rng)):
            result: Any = kstest(x @ direction, law.projected(direction).cdf)
            assert result.pvalue > 1e-9


def test_the_density_of_the_prior_has_mass_one_and_its_score(rng: np.random.Generator) -> None:
    law = CauchyLaw(2.0, 2)
    mass: Any = quad(lambda r: 2 * np.pi * r * law.density(np.array([[r, 0.0]]))[0], 0, np.inf)
    assert mass[0] == pytest.approx(1, abs=1e-9)
    x = rng.normal(0, 3, (20, 2))

    def along(s: Array) -> Array:
        return law.log_density(x + s * np.array([1.0, 0.0]))

    np.testing.assert_allclose(law.score(x)[:, 0], central_derivative(along, np.zeros(1), 1e-3), atol=1e-10)
    line = CauchyLaw(2.0, 1)
    np.testing.assert_allclose(line.cdf(np.array([-2.0, 0.0, 2.0])), [0.25, 0.5, 0.75], atol=1e-14)


def test_lines_end_above_the_charges() -> None:
    with pytest.raises(ProblemError, match="heights z > 0"):
        PoissonField(np.zeros((3, 2))).velocity(np.ones((1, 2)), 0.0)
    with pytest.raises(SchemeError, match="highest > lowest > 0"):
        heights(5, highest=3.0, lowest=0.0)
    with pytest.raises(ProblemError, match="projected"):
        CauchyLaw(1.0, 2).cdf(np.zeros(1))
