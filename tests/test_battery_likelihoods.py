"""Log-likelihoods and distances of other people: right ones pass, wrong ones are seen and named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.battery.distances import KINDS, examine_distance, known_value, places
from fpk.battery.fields import OFF_CENTRE
from fpk.battery.flows import flow, path_times, quadratic_forms, with_divergence
from fpk.battery.likelihoods import examine_likelihood
from fpk.errors import ComparisonError, UnknownName
from fpk.fields import exact_field
from fpk.laws import Array
from fpk.testing.likelihoods import assert_likelihood
from fpk.verdict import Outcome

VP = fpk.VPSchedule(0.1, 20.0)
PLANE = fpk.GaussianMixture([0.4, 0.6], [[2.2, 0.5], [3.8, -1.0]], stds=[0.6, 0.7])
SPACE = fpk.GaussianMixture([0.4, 0.6], [[2.0, 0.5, 3.0], [3.8, -1.0, 4.0]], stds=[0.6, 0.7])


@pytest.mark.parametrize("law", [OFF_CENTRE, PLANE, SPACE], ids=["line", "plane", "space"])
def test_log_densities_pass_in_any_dimension(law: fpk.GaussianMixture) -> None:
    found = examine_likelihood(law.log_density, law, tolerance=0.05)
    assert found.outcome is Outcome.CONFIRMED
    assert [finding.check for finding in found.findings] == ["log-density", "mass", "mean ratio"]


def test_laws_of_other_libraries_can_be_meant() -> None:
    from scipy import stats

    law = fpk.laws.as_law(stats.norm(3.0, 0.7))
    assert assert_likelihood(lambda x: stats.norm(3.0, 0.7).logpdf(x[:, 0]), law).outcome is Outcome.CONFIRMED


@pytest.mark.parametrize(
    ("wrong", "mistake"),
    [
        (lambda ell, d: ell + 0.5 * d * np.log(2 * np.pi), "½d log 2π left out"),
        (lambda ell, d: ell / np.log(2), "bits for nats"),
        (lambda ell, d: -ell, "negative log-likelihood"),
        (lambda ell, d: ell / d, "mean over the coordinates for their sum"),
        (lambda ell, d: ell + 0.2, "a constant"),
    ],
)
def test_mistakes_of_any_likelihood_are_named(wrong: Callable[[Array, int], Array], mistake: str) -> None:
    found = examine_likelihood(lambda x: wrong(PLANE.log_density(x), 2), PLANE)
    assert found.outcome is Outcome.REFUTED
    assert mistake in [s.mistake for s in found.suspects[:3]]


def along(x: Array, *, sign: float = 1.0, prior: Any = None, steps: int = 64) -> Array:
    """The likelihood of the probability flow, to the exact law at its end."""
    found = flow(exact_field(OFF_CENTRE, VP, kind="velocity"), x, path_times(1.0, steps))
    end = OFF_CENTRE.pushed(VP.alpha(1.0) * np.eye(1), np.zeros(1), VP.sigma(1.0) ** 2 * np.eye(1))
    return (end if prior is None else prior).log_density(found.end) + sign * found.gathered


def test_the_likelihood_of_a_flow_passes_and_its_mistakes_are_named() -> None:
    assert assert_likelihood(along, schedule=VP, error=1e-5).outcome is Outcome.CONFIRMED
    for wrong, mistake in (
        (partial(along, sign=-1.0), "sign of the divergence"),
        (partial(along, sign=0.0), "divergence left out"),
        (partial(along, prior=fpk.Gaussian(0.0)), "N(0, I) for the law where the flow ends"),
    ):
        with pytest.raises(fpk.Refuted, match="1. " + mistake.replace("(", r"\(").replace(")", r"\)")):
            assert_likelihood(wrong, schedule=VP, error=1e-5)


def test_the_way_back_must_cancel_the_way_there() -> None:
    law, factor = fpk.Gaussian(1.0, 2.0), np.log(2.0)
    there = lambda x: ((x - 1) / 2, np.full(len(x), -factor))  # noqa: E731
    back = lambda z: (2 * z + 1, np.full(len(z), factor))  # noqa: E731
    turned = lambda z: (2 * z + 1, np.full(len(z), -factor))  # noqa: E731
    assert examine_likelihood(law.log_density, law, flows=(there, back)).outcome is Outcome.CONFIRMED
    found = examine_likelihood(law.log_density, law, flows=(there, turned))
    assert found.outcome is Outcome.REFUTED
    assert found.suspects[0].mistake == "sign of the determinant on the way back"


def estimated(x: Array, count: int, rng: np.random.Generator, *, summed: bool = False) -> Array:
    """A log-density with noise that probes would leave."""
    noise = rng.normal(size=(count, len(x)))
    return PLANE.log_density(x) + 0.3 * noise.mean(0) + (0.5 * (count - 1) if summed else 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_number_of_probes_must_not_matter(seed: int) -> None:
    right = examine_likelihood(estimated, PLANE, probes=(1, 4), tolerance=0.1, seed=seed)
    wrong = examine_likelihood(partial(estimated, summed=True), PLANE, probes=(1, 4), tolerance=0.1, seed=seed)
    assert right.outcome is Outcome.CONFIRMED
    assert wrong.outcome is Outcome.REFUTED
    with pytest.raises(ComparisonError, match="two numbers"):
        examine_likelihood(estimated, PLANE, probes=(1,))


def test_likelihoods_of_another_shape_or_not_finite_are_refused() -> None:
    with pytest.raises(ComparisonError, match="shape"):
        examine_likelihood(lambda x: x, OFF_CENTRE)
    with pytest.raises(ComparisonError, match="not finite"):
        examine_likelihood(lambda x: np.full(len(x), np.nan), OFF_CENTRE)


def test_a_density_that_vanishes_where_the_law_lives_is_refuted() -> None:
    def cut(x: Array) -> Array:
        return np.where(x[:, 0] > 2.0, OFF_CENTRE.log_density(x), -np.inf)

    assert examine_likelihood(cut, OFF_CENTRE).outcome is Outcome.REFUTED


def test_divergences_of_a_velocity_by_differences_and_probes() -> None:
    velocity, x = exact_field(PLANE, VP, kind="velocity"), PLANE.sample(5, np.random.default_rng(0))
    exact = with_divergence(velocity, x, 0.3)[1]
    probes = np.array([[1.0, 1.0], [1.0, -1.0]])
    assert np.allclose(with_divergence(velocity, x, 0.3, probes)[1], exact, rtol=1e-9)
    assert np.allclose(with_divergence(velocity, x, 0.3, np.repeat(probes[:, None], 5, axis=1))[1], exact, rtol=1e-9)


def test_each_probe_gives_its_quadratic_form_of_the_jacobian(rng: np.random.Generator) -> None:
    """v = (x₀² x₁, t sin x₁), whose Jacobian is known; probes for all places and probes of their own."""
    x, t, z = rng.normal(size=(4, 2)), 0.7, rng.normal(size=(3, 4, 2))
    velocity = lambda x, t: np.stack([x[:, 0] ** 2 * x[:, 1], t * np.sin(x[:, 1])], axis=1)  # noqa: E731
    J = np.array([[[2 * a * b, a**2], [0.0, t * np.cos(b)]] for a, b in x])
    np.testing.assert_allclose(quadratic_forms(velocity, x, t, z), np.einsum("mni,nij,mnj->mn", z, J, z), atol=1e-9)
    np.testing.assert_allclose(
        quadratic_forms(velocity, x, t, z[:, 0]), np.einsum("mi,nij,mj->mn", z[:, 0], J, z[:, 0]), atol=1e-9
    )


@pytest.mark.parametrize("shape", [(2,), (3, 1), (3, 5, 2), (3, 4, 1)])
def test_probes_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ComparisonError, match=r"probes of shape \(m, 2\) or \(m, 4, 2\)"):
        quadratic_forms(lambda x, t: x, np.zeros((4, 2)), 0.0, np.zeros(shape))


# -- distances ---------------------------------------------------------------------------------------------------------


def test_known_values_are_those_of_scipy() -> None:
    from scipy import stats

    for place in places(1):
        given = (place.x[:, 0], place.y[:, 0], place.a, place.b)
        assert np.isclose(known_value("wasserstein", place), stats.wasserstein_distance(*given))
        assert np.isclose(known_value("energy", place), stats.energy_distance(*given) ** 2)


def test_distances_of_scipy_pass_and_wrong_ones_are_named() -> None:
    from scipy import stats

    def wasserstein(x: Array, y: Array, a: Array, b: Array) -> float:
        return float(stats.wasserstein_distance(x[:, 0], y[:, 0], a, b))

    assert examine_distance(wasserstein, "wasserstein").verdict.outcome is Outcome.CONFIRMED
    for wrong, mistake in (
        (lambda x, y, a, b: -wasserstein(x, y, a, b), "sign"),
        (lambda x, y, a, b: float(stats.wasserstein_distance(x[:, 0], y[:, 0])), "weights ignored"),
        (lambda x, y, a, b: 1.5 * wasserstein(x, y, a, b), "a factor"),
        (lambda x, y, a, b: 0.5 * float(stats.energy_distance(x[:, 0], y[:, 0], a, b)) ** 2, "squared difference"),
    ):
        found = examine_distance(wrong, "wasserstein")
        assert found.verdict.outcome is Outcome.REFUTED
        assert found.suspects[0].mistake.startswith(mistake)


def test_every_kind_knows_its_values_in_the_plane_by_directions() -> None:
    angles = (np.arange(2000) + 0.5) * np.pi / 2000
    line = places(2)[3]
    mean = np.mean(
        [
            known_value("wasserstein", type(line)("", line.x @ e[:, None], line.y @ e[:, None], line.a, line.b))
            for e in np.stack([np.cos(angles), np.sin(angles)], axis=1)
        ]
    )
    assert abs(mean - known_value("sliced", line)) < 1e-5
    assert set(KINDS) == {"wasserstein", "sliced", "energy"}
    with pytest.raises(UnknownName):
        examine_distance(lambda x, y, a, b: 0.0, "hausdorff")
    with pytest.raises(ComparisonError, match="not finite"):
        examine_distance(lambda x, y, a, b: np.nan, "energy")
