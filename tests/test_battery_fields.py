"""Fields, scores, velocities and divergences of other people: right ones pass, wrong ones are named."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.battery.divergences import examine_divergence
from fpk.battery.fields import OFF_CENTRE, examine_field, examine_static_score
from fpk.errors import ComparisonError
from fpk.fields import EDM, KINDS, Index, exact_field
from fpk.laws import Array
from fpk.schedules import OTSchedule
from fpk.testing.fields import assert_divergence, assert_score, assert_velocity
from fpk.verdict import Outcome

VP = fpk.VPSchedule(0.1, 20.0)
LEVELS = Index(1000, first=0, start=0.001)
PLANE = fpk.GaussianMixture([0.4, 0.6], [[2.2, 0.5], [3.8, -1.0]], stds=[0.4, 0.7])


@pytest.mark.parametrize("schedule", [VP, OTSchedule(), fpk.VESchedule()], ids=["VP", "OT", "VE"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("law", [OFF_CENTRE, PLANE], ids=["line", "plane"])
def test_exact_fields_pass(kind: str, schedule: Any, law: fpk.GaussianMixture) -> None:
    found = examine_field(exact_field(law, schedule, kind=kind), law, schedule, kind=kind)
    assert found.verdict.outcome is Outcome.CONFIRMED
    assert not found.suspects


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("kind", "declared"), list(itertools.permutations(KINDS, 2)))
def test_another_kind_is_named_first(kind: str, declared: str, seed: int) -> None:
    found = examine_field(exact_field(OFF_CENTRE, VP, kind=kind), schedule=VP, kind=declared, seed=seed)
    assert found.verdict.outcome is Outcome.REFUTED
    assert found.suspects[0].mistake == f"kind {kind}"


NOISE = exact_field(OFF_CENTRE, VP, kind="noise")


@pytest.mark.parametrize(
    ("model", "declared", "mistake"),
    [
        (lambda x, t: -NOISE(x, t), {}, "sign"),
        (lambda x, t: 1.1 * NOISE(x, t), {}, "factor"),
        (lambda x, t: VP.sigma(t) * NOISE(x, t), {}, "factor σ"),
        (lambda x, t: NOISE(x, 1 - t), {}, "direction of time"),
        (lambda x, k: NOISE(x, 0.001 * k), {"time": LEVELS}, "time labels one too low"),
        (lambda x, k: NOISE(x, 0.001 * (k + 2)), {"time": LEVELS}, "time labels one too high"),
        (lambda x, t: NOISE(x, t), {"time": "sigma"}, "time in [0, 1] for a noise level"),
        (lambda y, t: NOISE(VP.alpha(t) * y, t), {}, "scale VE"),
        (lambda x, t: -exact_field(OFF_CENTRE, VP, kind="score")(x, t), {}, "kind score, sign"),
    ],
)
def test_declarations_that_are_wrong_are_named(
    model: Callable[[Array, Any], Array], declared: dict[str, Any], mistake: str
) -> None:
    times = (0.1, 0.25, 0.4, 0.6, 0.8)
    found = examine_field(model, schedule=VP, kind="noise", times=times, tolerance=1e-4, **declared)
    assert found.verdict.outcome is Outcome.REFUTED
    assert mistake in [suspect.mistake for suspect in found.suspects[:3]]


def test_the_direction_of_a_velocity_and_its_sign_are_told_apart() -> None:
    flow = exact_field(OFF_CENTRE, OTSchedule(), kind="velocity")
    right, turned = (lambda x, u: -flow(x, 1 - u)), (lambda x, u: flow(x, 1 - u))
    assert_velocity(right, direction="t_data")
    for wrong, mistake in (
        (turned, "sign"),
        (lambda x, u: flow(x, u), "direction of time"),
        (lambda x, u: -flow(x, u), "direction of time, sign"),
    ):
        with pytest.raises(fpk.Refuted, match=rf"1\. {mistake} \("):
            assert_velocity(wrong, direction="t_data")


def test_an_inexact_model_passes_within_its_tolerance_only() -> None:
    model = lambda x, t: 1.01 * NOISE(x, t)  # noqa: E731
    assert examine_field(model, schedule=VP, kind="noise", tolerance=0.02).verdict.outcome is Outcome.CONFIRMED
    assert examine_field(model, schedule=VP, kind="noise", tolerance=0.005).verdict.outcome is Outcome.REFUTED


def test_a_raw_network_is_declared_by_its_scale() -> None:
    v = exact_field(OFF_CENTRE, VP, kind="v")
    found = examine_field(lambda y, t: -v(y, t), schedule=VP, kind="edm", scale=EDM(1.0))
    assert found.verdict.outcome is Outcome.CONFIRMED


def test_models_that_crash_under_other_declarations_are_examined_all_the_same() -> None:
    def table(x: Array, k: Any) -> Array:
        if not 0 <= k <= 999:
            raise IndexError("no such level")
        return -NOISE(x, 0.001 * (k + 1))

    found = examine_field(table, schedule=VP, kind="noise", time=LEVELS)
    assert found.suspects[0].mistake == "sign"


# -- static scores -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [OFF_CENTRE, PLANE, fpk.Gaussian(3.0, 0.5)], ids=["line", "plane", "normal"])
def test_the_score_of_a_law(law: Any) -> None:
    assert assert_score(law.score, law).outcome is Outcome.CONFIRMED
    for wrong, mistake in (
        (lambda x: -law.score(x), "sign"),
        (lambda x: 0.5 * law.score(x), "½"),
        (lambda x: law.density(x)[:, None] * law.score(x), "gradient of the density, not of its logarithm"),
    ):
        assert examine_static_score(wrong, law).suspects[0].mistake == mistake


def test_a_score_of_another_shape_is_refused() -> None:
    with pytest.raises(ComparisonError, match="shape"):
        examine_static_score(lambda x: x[:, 0], OFF_CENTRE)
    with pytest.raises(ComparisonError, match="schedule"):
        assert_score(OFF_CENTRE.score, OFF_CENTRE, kind="noise")
    with pytest.raises(ComparisonError, match="GaussianMixture"):
        assert_score(NOISE, fpk.TabulatedLaw(np.linspace(-1, 1, 50), np.zeros(50)), VP, kind="noise")


# -- divergences -------------------------------------------------------------------------------------------------------

X = np.random.default_rng(3).normal(size=(30, 3))
A = np.array([[1.0, 0.3, 0.0], [0.2, -0.5, 1.0], [0.0, 0.4, 0.8]])


def field(x: Array, t: float = 0.0) -> Array:
    """A smooth field, not a gradient."""
    return (1 + t) * np.sin(x) @ A.T


def jacobian(x: Array, t: float = 0.0) -> Array:
    return (1 + t) * A[None] * np.cos(x)[:, None, :]


def trace(x: Array, t: float = 0.0) -> Array:
    return np.trace(jacobian(x, t), axis1=1, axis2=2)


def test_a_divergence_passes_with_and_without_times() -> None:
    assert_divergence(trace, field, X)
    assert_divergence(trace, field, X, times=(0.0, 0.5))


@pytest.mark.parametrize(
    ("wrong", "mistake"),
    [
        (lambda x: -trace(x), "sign"),
        (lambda x: trace(x) / 3, "mean over the coordinates"),
        (
            lambda x: jacobian(x).sum((1, 2)),
            "sum over all entries of the Jacobian (outputs summed before they are differentiated)",
        ),
        (lambda x: jacobian(x)[:, 0, 0], "first coordinate only"),
        (lambda x: np.full(len(x), trace(x).sum()), "sum over the positions"),
    ],
)
def test_wrong_divergences_are_named(wrong: Callable[[Array], Array], mistake: str) -> None:
    found = examine_divergence(wrong, field, X)
    assert found.verdict.outcome is Outcome.REFUTED
    assert found.suspects[0].mistake == mistake


def test_a_divergence_that_is_slightly_wrong_is_seen() -> None:
    with pytest.raises(fpk.Refuted):
        assert_divergence(lambda x: 1.0001 * trace(x), field, X)


def test_estimators_are_averaged_over_all_probes_of_signs() -> None:
    def estimator(x: Array, z: Array, scale: float = 1.0) -> Array:
        return scale * np.einsum("ni,nij,nj->n", z, jacobian(x), z)

    assert_divergence(estimator, field, X, probes=True)
    found = examine_divergence(lambda x, z: estimator(x, z, 1 / 3), field, X, probes=True)
    assert "probes of variance ⅓ (uniform on [−1, 1])" in [s.mistake for s in found.suspects[:3]]


def test_divergences_of_another_shape_are_refused() -> None:
    with pytest.raises(ComparisonError, match="shape"):
        examine_divergence(lambda x: x, field, X)
    with pytest.raises(ComparisonError, match="points"):
        examine_divergence(trace, field, X[:, 0])
