"""The field of charges itself: its flux, its limit at the plane, its lines from any height to any other, and the hemisphere they start on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest

import fpk
from fpk.errors import ProblemError
from fpk.samplers import PoissonField, PoissonFlow
from fpk.samplers.poisson import HemisphereLaw, coulomb, followed, heights, sphere_area

DATA = fpk.GaussianMixture([0.3, 0.7], [2.2, 3.8], stds=[0.2, 0.5])
PLANE = fpk.GaussianMixture([0.4, 0.6], [[1.0, -1.0], [-2.0, 0.5]], covariances=[[[0.5, 0.2], [0.2, 0.3]], np.eye(2)])


def test_areas_of_spheres() -> None:
    found = [sphere_area(d) for d in (1, 2, 3, 4)]
    np.testing.assert_allclose(found, [2, 2 * np.pi, 4 * np.pi, 2 * np.pi**2], rtol=1e-13)


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_the_field_of_one_charge(d: int) -> None:
    x = np.zeros((1, d))
    x[0, 0] = 3.0
    found = coulomb(np.zeros((1, d)), x)
    assert coulomb(np.zeros((1, d)), x[:0]).shape == (0, d)
    assert found[0, 0] == pytest.approx(1 / (sphere_area(d) * 3.0 ** (d - 1)), rel=1e-13)
    assert not found[0, 1:].any()


def test_the_flux_through_a_circle_is_the_charge_inside() -> None:
    charges = np.array([[0.0, 0.0], [1.0, 0.5], [4.0, 0.0]])
    angle = 2 * np.pi * np.arange(200) / 200
    normal = np.stack([np.cos(angle), np.sin(angle)], 1)
    flux = (coulomb(charges, 2 * normal) * normal).sum(1).mean() * 4 * np.pi
    assert flux == pytest.approx(2 / 3, rel=1e-12)


def test_many_charges_are_worked_on_in_pieces(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    charges, x = rng.normal(size=(50, 2)), rng.normal(3, 1, (40, 2))
    field, z = PoissonField(charges), rng.uniform(0.5, 2, (40, 1))
    mixed = PoissonField(PLANE)
    whole = coulomb(charges, x), field.velocity(x, z), mixed.vector(x, z)
    monkeypatch.setattr("fpk.samplers.poisson.PAIRS", 700)
    for a, b in zip(whole, (coulomb(charges, x), field.velocity(x, z), mixed.vector(x, z)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_half_of_the_flux_of_a_law_goes_up() -> None:
    field = PoissonField(DATA)

    def up(x: float) -> float:
        return float(field.vector(np.array([[x]]), 0.7)[0, 1])

    flux: Any = quad(up, -np.inf, np.inf, epsabs=1e-12, limit=400)
    assert flux[0] == pytest.approx(0.5, abs=1e-9)


def test_the_field_of_a_law_is_that_of_many_charges(rng: np.random.Generator) -> None:
    y = PLANE.sample(400_000, rng)
    x = np.array([[0.5, 0.2], [3.0, -2.0]])
    np.testing.assert_allclose(PoissonField(PLANE).vector(x, 2.0), PoissonField(y).vector(x, 2.0), rtol=0.01, atol=1e-4)


@pytest.mark.parametrize("law", [DATA, PLANE])
def test_just_above_the_plane_the_field_is_half_the_density(law: fpk.GaussianMixture, rng: np.random.Generator) -> None:
    x = law.sample(20, rng)
    found = PoissonField(law).vector(x, 1e-5)[:, -1]
    np.testing.assert_allclose(found, 0.5 * law.density(x), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("data", [DATA, PLANE, np.array([[0.0, 1.0], [2.0, 0.5]])])
def test_each_position_may_have_its_height(data: Any, rng: np.random.Generator) -> None:
    field = PoissonField(data)
    x, z = rng.normal(1, 2, (6, field.dimension)), rng.uniform(0.2, 4, (6, 1))
    v, E, learned = field.velocity(x, z), field.vector(x, z), field.normalised(x, z)
    for k in range(6):
        np.testing.assert_allclose(v[k], field.velocity(x[k : k + 1], float(z[k, 0]))[0], rtol=1e-10)
    np.testing.assert_allclose(E[:, :-1] / E[:, -1:], v, rtol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(learned, axis=1), field.dimension**0.5)
    np.testing.assert_allclose(learned * np.linalg.norm(E, axis=1, keepdims=True), -(field.dimension**0.5) * E)


@pytest.mark.parametrize("data", [PLANE, np.zeros((2, 2))])
def test_only_laws_on_the_line_have_a_field_in_the_plane_of_the_charges(data: Any) -> None:
    with pytest.raises(ProblemError, match="heights z > 0"):
        PoissonField(data).vector(np.ones((2, 2)), np.array([[0.5], [0.0]]))


def test_lines_of_one_charge_are_straight(rng: np.random.Generator) -> None:
    x, z = rng.normal(size=(5, 3)), rng.uniform(1, 2, (5, 1))
    found = followed(PoissonField(np.zeros((1, 3))), x, z, 0.1, steps=40)
    np.testing.assert_allclose(found, 0.1 * x / z, rtol=1e-6)


def test_lines_run_back_and_agree_with_the_flow(rng: np.random.Generator) -> None:
    field, x = PoissonField(PLANE), rng.normal(0, 1, (4, 2))
    up = followed(field, x, 0.3, 8.0, steps=60)
    np.testing.assert_allclose(followed(field, up, 8.0, 0.3, steps=60), x, atol=1e-5)
    flow = PoissonFlow(field, times=heights(400, highest=8.0, lowest=0.3), method="rk4")
    for k in range(flow.steps):
        up = flow.step(up, k, np.zeros((0, 4, 2)))
    np.testing.assert_allclose(up, x, atol=1e-5)


def test_a_large_hemisphere_falls_on_the_data(rng: np.random.Generator) -> None:
    """α = 1e-9; the radius leaves .6/π r = .5 %, far below what 2,000 lines see."""
    charges = np.array([[-3.0], [0.0], [2.0]])
    start = HemisphereLaw(400.0, 1).sample(2000, rng)
    np.testing.assert_allclose(np.linalg.norm(start, axis=1), 400)
    assert (start[:, -1] > 0).all()
    x = followed(PoissonField(charges), start[:, :-1], start[:, -1:], 1e-3, steps=200)[:, 0]
    counts = [(np.abs(x - y) < 0.5).sum() for y in charges[:, 0]]
    assert sum(counts) > 1980  # few are still on their way along the plane
    assert max(abs(c - 2000 / 3) for c in counts) < 6.2 * (2000 * 2 / 9) ** 0.5 + 20
    result: Any = kstest(np.arctan2(start[:, 1], start[:, 0]) / np.pi, "uniform")
    assert result.pvalue > 1e-9
