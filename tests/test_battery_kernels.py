"""Markov kernels of other people: what leaves its target unchanged passes, what does not is seen and named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.battery.kernels import defect_order, examine_kernel
from fpk.battery.matrices import grid_kernel
from fpk.battery.moves import Langevin, Move, langevin_mistakes
from fpk.errors import ComparisonError
from fpk.laws import Array
from fpk.testing.kernels import assert_kernel_stationary
from fpk.verdict import Outcome

LINE = fpk.GaussianMixture([0.3, 0.7], [2.2, 3.8], stds=[0.3, 0.5])
PLANE = fpk.GaussianMixture([0.4, 0.6], [[2.2, 0.5], [3.8, -1.0]], stds=[0.6, 0.7])
H = 0.1


def mala(x: Array, z: Array, u: Array, *, law: Any = LINE, sign: float = 1.0) -> Array:
    step = Langevin(law, H, (2 * H) ** 0.5)
    y = step.propose(x, z)
    return np.where((np.log(u) < sign * (step.odds(x, y) + step.correction(x, y)))[:, None], y, x)


def drawn(x: Array, rng: np.random.Generator, **options: Any) -> Array:
    return mala(x, rng.standard_normal(x.shape), rng.random(len(x)), **options)


def autoregression(x: Array, z: Array, *, slope: float = 0.6) -> Array:
    """Leaves N(3, 1) unchanged, reversibly."""
    return 3.0 + slope * (x - 3.0) + np.sqrt(1 - slope**2) * z


def test_a_kernel_passes_however_its_noise_comes() -> None:
    step = Langevin(LINE, H, (2 * H) ** 0.5)
    odds = lambda x, y: step.odds(x, y) + step.correction(x, y)  # noqa: E731
    found = [
        examine_kernel(mala, LINE, noise="normal and uniform"),
        examine_kernel(step.propose, LINE, log_acceptance=odds, log_proposal=step.log_density),
        examine_kernel(drawn, LINE, draws=200_000, tolerance=0.1),
    ]
    assert [examination.outcome for examination in found] == [Outcome.CONFIRMED] * 3
    assert np.allclose(found[0].kernel.matrix, found[1].kernel.matrix, atol=1e-7)
    assert np.allclose(found[0].kernel.matrix, found[2].kernel.matrix, atol=0.01)
    assert found[1].findings[-1].check == "balance at points"


def test_a_linear_kernel_has_the_matrix_that_is_known() -> None:
    """Uniforms U = F(X): M_11 = 12 Cov(F(X), F(Y)) = (6/π) arcsin(r/2) for a normal pair of correlation r."""
    seen = grid_kernel(Move(autoregression), fpk.Gaussian(3.0, 1.0))
    assert abs(seen.matrix[1, 1] - 6 / np.pi * np.arcsin(0.3)) < 1e-6
    assert np.abs(seen.matrix[0, 1:]).max() < 1e-6
    assert seen.distance < 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_draws_do_not_accuse_a_right_kernel(seed: int) -> None:
    found = examine_kernel(drawn, LINE, seed=seed, draws=100_000, tolerance=0.2)
    assert not any(finding.refuted for finding in found.findings)


def test_draws_are_added_until_the_tolerance_can_be_told() -> None:
    found = examine_kernel(partial(drawn, law=PLANE), PLANE, draws=100_000, tolerance=0.12)
    assert found.outcome is Outcome.CONFIRMED
    assert (found.kernel.defect.samples or 0) > 100_000


@pytest.mark.parametrize("seed", range(2))
def test_a_reversed_ratio_is_seen_in_draws_of_the_plane(seed: int) -> None:
    found = examine_kernel(partial(drawn, law=PLANE, sign=-1.0), PLANE, step=H, seed=seed, draws=120_000)
    assert found.outcome is Outcome.REFUTED
    assert "acceptance ratio reversed" in [s.mistake for s in found.suspects[:3]]


@pytest.mark.parametrize("h", [0.03, 0.1, 0.3])
@pytest.mark.parametrize(
    "mistake", ["accept step missing", "half the drift", "noise 2h for √(2h)", "acceptance ratio reversed"]
)
def test_langevin_mistakes_are_seen_and_named(mistake: str, h: float) -> None:
    move = langevin_mistakes(LINE, h)[mistake]
    found = examine_kernel(move.kernel, LINE, noise=move.noise, log_acceptance=move.log_acceptance, step=h)
    assert found.outcome is Outcome.REFUTED
    assert mistake in [s.mistake for s in found.suspects[:3]]


def test_a_reversed_ratio_that_mean_and_variance_of_20000_draws_do_not_show() -> None:
    """Chains that start in the target and walk 300 steps with the ratio upside down."""
    h, rng = 0.01, np.random.default_rng(0)
    step = Langevin(LINE, h, (2 * h) ** 0.5)

    def wrong(x: Array, z: Array, u: Array) -> Array:
        y = step.propose(x, z)
        return np.where((np.log(u) < -(step.odds(x, y) + step.correction(x, y)))[:, None], y, x)

    x = LINE.sample(20_000, rng)
    for _ in range(300):
        x = wrong(x, rng.standard_normal(x.shape), rng.random(len(x)))
    mean, spread = float(LINE.mean[0]), float(LINE.covariance[0, 0])
    fourth = np.mean((LINE.sample(400_000, rng) - mean) ** 4)
    assert abs(x.mean() - mean) < 4 * np.sqrt(spread / len(x))
    assert abs(x.var() - spread) < 4 * np.sqrt((fourth - spread**2) / len(x))
    assert examine_kernel(wrong, LINE, noise="normal and uniform").outcome is Outcome.REFUTED


@pytest.mark.parametrize("size", [0.02, 0.2])
def test_our_own_metropolis_sampler_passes_for_any_size_and_our_unadjusted_one_for_none(size: float) -> None:
    from scipy.special import ndtri

    from fpk.fields import exact_field
    from fpk.samplers import MALA, ULA

    settings: dict[str, Any] = {"size": size, "steps": 1}
    field = exact_field(LINE, fpk.VPSchedule(1.0))
    adjusted, unadjusted = MALA(field, target=LINE, **settings), ULA(field, **settings)

    def step(x: Array, z: Array, u: Array) -> Array:
        return adjusted.step(x, 0, np.stack([z, ndtri(u)[:, None]]))

    assert_kernel_stationary(step, LINE, noise="normal and uniform")
    found = examine_kernel(lambda x, z: unadjusted.step(x, 0, z[None]), LINE, noise="normal", step=size)
    assert found.outcome is Outcome.REFUTED
    assert found.suspects[0].mistake == "accept step missing"


def test_an_irreversible_kernel_is_stationary_and_says_so() -> None:
    """Two independent coordinates, one of which is turned around: N(0, I) stays, detailed balance does not hold."""
    law = fpk.Gaussian([0.0, 0.0])

    def turning(x: Array, rng: np.random.Generator) -> Array:
        turned = np.stack([x[:, 1], -x[:, 0]], axis=1)
        return 0.8 * turned + 0.6 * rng.standard_normal(x.shape)

    assert (
        assert_kernel_stationary(turning, law, reversible=False, draws=100_000, tolerance=0.1).outcome
        is Outcome.CONFIRMED
    )


def test_the_order_of_the_defect_tells_unadjusted_steps_from_slips() -> None:
    sizes = [0.04 / 2**k for k in range(5)]

    def kernels(h: float, mistake: str) -> Callable[..., Array]:
        return langevin_mistakes(LINE, h)[mistake].kernel

    for mistake, outcome in (
        ("accept step missing", Outcome.CONFIRMED),
        ("half the drift", Outcome.REFUTED),
        ("noise 2h for √(2h)", Outcome.REFUTED),
    ):
        assert defect_order(partial(kernels, mistake=mistake), LINE, sizes).outcome is outcome
    with pytest.raises(ComparisonError, match="inject"):
        defect_order(partial(kernels, mistake="half the drift"), LINE, sizes, noise="rng")


def test_the_assertion_names_the_mistake() -> None:
    with pytest.raises(fpk.Refuted, match="accept step missing") as caught:
        assert_kernel_stationary(lambda x, z: x + H * LINE.score(x) + (2 * H) ** 0.5 * z, LINE, noise="normal", step=H)
    assert "detailed balance" in str(caught.value)


def test_a_kernel_that_stands_still_is_refused() -> None:
    found = examine_kernel(lambda x, z: x, LINE, noise="normal")
    assert found.outcome is Outcome.REFUTED
    assert found.findings[0].check == "moves"


def test_kernels_that_return_something_else_are_refused() -> None:
    with pytest.raises(ComparisonError, match="shape"):
        examine_kernel(lambda x, rng: x[:, 0], LINE)
    with pytest.raises(ComparisonError, match="not finite"):
        examine_kernel(lambda x, z: x * np.nan, LINE, noise="normal")
    with pytest.raises(ComparisonError, match="noise"):
        examine_kernel(mala, LINE, noise="gaussian")
