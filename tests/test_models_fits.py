"""Fits find the minimiser and say how well it is determined; held-out losses cover what they estimate."""

from __future__ import annotations

import numpy as np
import pytest

import fpk
from fpk.errors import ProblemError, UnknownName
from fpk.fields import Field, exact_field
from fpk.laws import Array, central_derivative
from fpk.models import objectives
from fpk.models.features import Features, Hermite, RadialBasis, RandomFourier, Timed
from fpk.models.fits import HeldOut, LinearField, field_error, fit, held_out
from fpk.models.objectives import Quadratic, over_time
from fpk.models.points import drawn, law_points, paired

SCHEDULE = fpk.VPSchedule(0.6, 3.4)
DATA = fpk.problems.two_peaks()
PLANE = fpk.GaussianMixture([0.4, 0.6], [[-0.8, 0.3], [0.9, -0.5]], stds=[0.4, 0.6])
TRUTH = exact_field(DATA, SCHEDULE)


def law_at(t: float) -> fpk.GaussianMixture:
    return DATA.pushed(np.eye(1) * SCHEDULE.alpha(t), np.zeros(1), np.eye(1) * SCHEDULE.sigma(t) ** 2)


def test_divergence_and_jacobian_are_the_slopes_of_the_field(rng: np.random.Generator) -> None:
    features = RandomFourier(20, 2, width=1.0, seed=4)
    model = LinearField(features, rng.standard_normal((20, 2)))
    x = rng.standard_normal((15, 2))
    slopes = np.stack(
        [central_derivative(lambda h, e=e: model(x + h * e, 0.0), np.zeros(1), 1e-3) for e in np.eye(2)], axis=2
    )
    np.testing.assert_allclose(model.jacobian(x, 0.0), slopes, atol=1e-9)
    np.testing.assert_allclose(model.divergence(x, 0.0), slopes[:, 0, 0] + slopes[:, 1, 1], atol=1e-9)


@pytest.mark.parametrize("name", ["conditional", "sliced"])
def test_a_fit_without_ridge_has_no_gradient_left(name: str, rng: np.random.Generator) -> None:
    pairs = drawn(PLANE, SCHEDULE, t=0.4, count=400, rng=rng)
    features = Hermite(2, mean=[0.0, 0.0])
    directions = objectives.rademacher(pairs.points, count=1, rng=rng)
    objective = {
        "conditional": lambda: objectives.conditional(features, pairs),
        "sliced": lambda: objectives.sliced(features, pairs.points, directions),
    }[name]()
    found = fit(features, objective, schedule=SCHEDULE)
    assert np.abs(objective.gradient(found.model.theta)).max() < 1e-12
    worse = found.model.theta + 1e-3 * rng.standard_normal(found.model.theta.shape)
    assert found.loss < objective(worse)


def test_a_regression_is_numpys_least_squares(rng: np.random.Generator) -> None:
    pairs = drawn(DATA, SCHEDULE, t=0.4, count=300, rng=rng)
    features = RadialBasis(np.linspace(-2, 2, 5), width=0.8)
    found = fit(features, objectives.conditional(features, pairs, kind="denoised"), kind="denoised", schedule=SCHEDULE)
    expected = np.linalg.lstsq(features(pairs.x), pairs.x0)[0]
    np.testing.assert_allclose(found.model.theta, expected, rtol=1e-9, atol=1e-10)


def test_a_gaussian_law_has_the_linear_score_a_line_can_learn() -> None:
    law, features = fpk.Gaussian(0.7, 1.3), Hermite(1)
    found = fit(features, objectives.implicit(features, law_points(law)), schedule=SCHEDULE)
    np.testing.assert_allclose(found.model.theta[:, 0], [0.7 / 1.69, -1 / 1.69], rtol=1e-12)


@pytest.mark.parametrize("kind", ["noise", "denoised", "v", "velocity"])
def test_fields_of_every_kind_say_the_same_where_the_features_hold_the_identity(kind: str) -> None:
    t, features = 0.4, RadialBasis(np.linspace(-2, 2, 7), width=0.8) + Hermite(1)
    points = law_points(law_at(t), t=t)
    scores = fit(features, objectives.explicit(features, points, TRUTH), schedule=SCHEDULE)
    target = exact_field(DATA, SCHEDULE, kind=kind)(points.x, t)
    other = fit(features, objectives.regression(features, points, target), kind=kind, schedule=SCHEDULE)
    assert other.field.kind == kind
    assert field_error(other.field, scores.field, points) < 1e-16


def test_condition_and_rank_tell_of_features_that_repeat_themselves() -> None:
    features = Hermite(2) + Hermite(1)
    found = fit(features, objectives.implicit(features, law_points(DATA)), schedule=SCHEDULE)
    once = fit(Hermite(2), objectives.implicit(Hermite(2), law_points(DATA)), schedule=SCHEDULE)
    assert (found.rank, found.condition) == (3, np.inf)
    assert once.rank == 3
    x = np.linspace(-2, 2, 9)[:, None]
    np.testing.assert_allclose(found.model(x, 0.0), once.model(x, 0.0), rtol=1e-10)
    assert "rank 3" in str(found)


def test_a_ridge_is_relative_to_the_diagonal() -> None:
    A, b = np.array([[4.0, 1.0], [1.0, 9.0]]), np.array([[1.0], [2.0]])
    found = fit(Hermite(1), Quadratic(A, b), schedule=SCHEDULE, ridge=0.1)
    np.testing.assert_allclose(found.model.theta, np.linalg.solve(A + 0.1 * np.diag([4.0, 9.0]), b), rtol=1e-14)


def test_a_field_learned_from_data_alone_is_near_the_exact_one(rng: np.random.Generator) -> None:
    """Denoising, from 20,000 data and all times: the error of the score is a few per cent of its size."""
    features = Timed(RadialBasis(np.linspace(-2.6, 3.0, 14), width=0.5) + Hermite(1), 6, 0.1, 1.0)
    data = DATA.sample(20_000, rng)

    def objective(base: Features, t: float) -> Quadratic:
        return objectives.conditional(base, paired(data, SCHEDULE, t=t, rng=rng))

    weighting = lambda t: SCHEDULE.sigma(t) ** 2  # noqa: E731
    found = fit(features, over_time(features, objective, nodes=16, weighting=weighting), schedule=SCHEDULE, ridge=1e-7)
    for t in (0.15, 0.4, 0.9):
        points = law_points(law_at(t), t=t)
        size = float(points.mean(TRUTH(points.x, t)[:, 0] ** 2))
        assert field_error(found.field, TRUTH, points) < 0.03 * size


def shifted(amount: float) -> Field:
    return Field(lambda x, t: TRUTH(x, t) + amount, "score", SCHEDULE)


def test_a_held_out_loss_less_that_of_the_exact_field_is_the_error(rng: np.random.Generator) -> None:
    times, weights = (0.2, 0.8), (0.5, 2.0)
    pairs = [drawn(DATA, SCHEDULE, t=t, count=20_000, rng=rng) for t in times]
    loss = held_out(shifted(0.3), pairs, weights=weights, exact=TRUTH)
    assert abs(loss.mean - 2.5 * 0.09) < 5.5 * loss.standard_error  # α = 4e-8
    raw = held_out(shifted(0.3), pairs, weights=weights)
    assert raw.standard_error > 2 * loss.standard_error
    irreducible = sum(
        w * (1 / SCHEDULE.sigma(t) ** 2 - float(law_points(law_at(t)).mean(law_at(t).score(law_points(law_at(t)).x)[:, 0] ** 2)))
        for t, w in zip(times, weights, strict=True)
    )  # fmt: skip
    assert abs(raw.mean - irreducible - 2.5 * 0.09) < 5.5 * raw.standard_error


def test_losses_can_be_read_in_another_kind(rng: np.random.Generator) -> None:
    pairs = [drawn(DATA, SCHEDULE, t=0.5, count=2000, rng=rng)]
    scores, noises = (held_out(shifted(0.3), pairs, kind=kind, exact=TRUTH) for kind in ("score", "noise"))
    assert noises.mean == pytest.approx(SCHEDULE.sigma(0.5) ** 2 * scores.mean, rel=1e-9)


def test_upper_limits_fall_below_the_error_as_rarely_as_they_say(rng: np.random.Generator) -> None:
    """400 times, α = .05: more than 45 misses have probability below 1e-6 by the binomial law."""
    misses = 0
    for _ in range(400):
        pairs = [drawn(DATA, SCHEDULE, t=0.3, count=1000, rng=rng)]
        loss = held_out(shifted(0.3), pairs, exact=TRUTH, alpha=0.05)
        misses += loss.upper < 0.09
        assert loss.lower < loss.mean < loss.upper
    assert 2 <= misses <= 45


def test_limits_are_students() -> None:
    from scipy.stats import t

    loss = HeldOut(1.0, 0.1, 1000, 0.01)
    assert loss.upper == pytest.approx(1 + 0.1 * t.isf(0.01, 999))
    assert loss.lower == pytest.approx(2 - loss.upper)
    assert "at most 1.23" in str(loss)


def test_field_error_is_the_mean_square_over_the_law() -> None:
    points = law_points(law_at(0.3), t=0.3)
    assert field_error(shifted(0.3), TRUTH, points) == pytest.approx(0.09, rel=1e-12)
    assert field_error(shifted(0.3), TRUTH, points, kind="noise") == pytest.approx(
        0.09 * SCHEDULE.sigma(0.3) ** 2, rel=1e-12
    )


def _of_one_feature(A: Array) -> Quadratic:
    return Quadratic(A, np.zeros((1, 1)))


def test_what_cannot_be_is_refused_in_words(rng: np.random.Generator) -> None:
    one = _of_one_feature(np.eye(1))
    with pytest.raises(ProblemError, match=r"parameters of shape \(1, 1\), the features need \(2, 1\)"):
        fit(Hermite(1), one, schedule=SCHEDULE)
    with pytest.raises(ProblemError, match="ridge must be"):
        fit(Hermite(0), one, schedule=SCHEDULE, ridge=-1.0)
    with pytest.raises(ProblemError, match="not finite"):
        fit(Hermite(0), _of_one_feature(np.full((1, 1), np.nan)), schedule=SCHEDULE)
    with pytest.raises(UnknownName, match="kind"):
        fit(Hermite(0), one, kind="epsilon", schedule=SCHEDULE)
    few = drawn(DATA, SCHEDULE, t=0.3, count=10, rng=rng)
    with pytest.raises(ProblemError, match="1000 independent pairs"):
        held_out(TRUTH, [few])
    with pytest.raises(ProblemError, match="one weight for each time"):
        held_out(TRUTH, [few], weights=[1.0, 2.0])
