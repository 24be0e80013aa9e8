"""Bregman losses: what they are, where their minimum is, and that all have the same one where the features suffice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

import fpk
from fpk.errors import ProblemError
from fpk.fields import exact_field
from fpk.models.bregman import EXPONENTIAL, QUARTIC, SQUARE, BregmanLoss, Potential, bregman_fit
from fpk.models.features import Features, Hermite, RadialBasis
from fpk.models.fits import fit
from fpk.models.objectives import conditional
from fpk.models.points import drawn, quadrature_pairs

POTENTIALS = (SQUARE, EXPONENTIAL, QUARTIC)
SCHEDULE, TIME = fpk.VPSchedule(0.6, 3.4), 0.4
LINE, PLANE = fpk.Gaussian(0.7, 0.5), fpk.Gaussian([0.7, -0.3], covariance=[[0.3, 0.1], [0.1, 0.4]])
BENT: Features = RadialBasis(np.linspace(-2, 2, 5), width=0.9) + Hermite(1)
named = pytest.mark.parametrize("potential", POTENTIALS, ids=lambda p: p.name)


@named
def test_derivatives_are_those_of_the_value(potential: Potential) -> None:
    s, h = np.random.default_rng(0).normal(size=(7, 2)), 1e-6
    for k, e in enumerate(np.eye(2)):
        slope = (potential.value(s + h * e) - potential.value(s - h * e)) / (2 * h)
        np.testing.assert_allclose(potential.gradient(s)[:, k], slope, rtol=1e-7, atol=1e-7)
        bend = (potential.gradient(s + h * e) - potential.gradient(s - h * e)) / (2 * h)
        np.testing.assert_allclose(potential.curvature(s)[:, :, k], bend, rtol=1e-7, atol=1e-7)


@named
def test_a_divergence_is_positive_and_zero_only_where_both_are_the_same(potential: Potential) -> None:
    y, s = np.random.default_rng(1).normal(size=(2, 200, 3))
    assert potential.divergence(y, s).min() > 0
    np.testing.assert_allclose(potential.divergence(y, y), 0, atol=1e-14)


@named
@pytest.mark.parametrize("law", [LINE, PLANE], ids=["line", "plane"])
def test_normal_data_give_every_loss_the_exact_field(potential: Potential, law: fpk.Gaussian) -> None:
    features = Hermite(1) if law.dimension == 1 else Hermite(1, mean=[0.0, 0.0], std=1.0)
    found, _ = bregman_fit(features, quadrature_pairs(law, SCHEDULE, t=TIME, nodes=16, normals=16), potential)
    x = np.random.default_rng(2).normal(size=(20, law.dimension))
    np.testing.assert_allclose(found.field(x, TIME), exact_field(law, SCHEDULE, kind="noise")(x, TIME), atol=1e-9)


@named
def test_the_fit_is_what_a_descent_finds(potential: Potential) -> None:
    pairs = drawn(fpk.problems.two_peaks(), SCHEDULE, t=TIME, count=400, rng=np.random.default_rng(3))
    found, loss = bregman_fit(BENT, pairs, potential, ridge=0.0)
    descended = minimize(
        lambda flat: loss(flat.reshape(-1, 1)),
        np.zeros(BENT.count),
        method="BFGS",
        options={"gtol": 1e-9, "maxiter": 2000},
    )
    assert abs(loss(found.model.theta) - descended.fun) < 1e-9
    assert np.abs(loss.gradient(found.model.theta)).max() < 1e-9


def test_gradients_are_differences_of_the_loss() -> None:
    pairs = drawn(fpk.problems.two_peaks(), SCHEDULE, t=TIME, count=50, rng=np.random.default_rng(4))
    theta, h = 0.3 * np.random.default_rng(5).normal(size=(BENT.count, 1)), 1e-5
    for potential in POTENTIALS:
        loss = BregmanLoss(BENT, pairs.points, pairs.target("noise"), potential)
        steps = np.eye(BENT.count)[:, :, None]
        slopes = [(loss(theta + h * e) - loss(theta - h * e)) / (2 * h) for e in steps]
        np.testing.assert_allclose(loss.gradient(theta)[:, 0], slopes, rtol=1e-6, atol=1e-8)


def test_the_square_is_denoising_score_matching_and_others_are_not_where_features_lack() -> None:
    pairs = drawn(fpk.problems.two_peaks(), SCHEDULE, t=TIME, count=400, rng=np.random.default_rng(6))
    plain = fit(Hermite(1), conditional(Hermite(1), pairs, kind="noise"), kind="noise", schedule=SCHEDULE)
    square, exponential = (bregman_fit(Hermite(1), pairs, p)[0] for p in (SQUARE, EXPONENTIAL))
    np.testing.assert_allclose(square.model.theta, plain.model.theta, atol=1e-12)
    assert np.abs(exponential.model.theta - plain.model.theta).max() > 0.01


def test_what_does_not_settle_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fpk.models.bregman.ROUNDS", 2)
    pairs = drawn(fpk.problems.two_peaks(), SCHEDULE, t=TIME, count=60, rng=np.random.default_rng(7))
    with pytest.raises(ProblemError, match="exponential loss has not settled after 2"):
        bregman_fit(Hermite(1), pairs, EXPONENTIAL)
