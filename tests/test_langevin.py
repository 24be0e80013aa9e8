"""Langevin chains: the adjusted one leaves its law unchanged whatever the step, the unadjusted one does not, by a known amount.

Statistical tests fail with probability :data:`ALPHA` though everything is right; seeds come from the test's name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.errors import SchemeError
from fpk.laws import Array
from fpk.particles.clock import Clock
from fpk.particles.engine import Engine
from fpk.particles.langevin import MALA
from fpk.particles.motion import Motion
from fpk.particles.schemes import EulerMaruyama
from fpk.particles.steps import Step
from fpk.tracing import greater, where

ALPHA = 1e-6
PEAKS = fpk.GaussianMixture([0.35, 0.65], [-1.0, 1.2], stds=[0.5, 0.7])
NORMAL = fpk.Gaussian(0.3, 0.8)
PLANE = fpk.GaussianMixture(
    [0.4, 0.6], [[-0.5, 0.3], [0.6, -0.2]], covariances=[[[0.5, 0.2], [0.2, 0.4]], [[0.3, -0.1], [-0.1, 0.6]]]
)
PARTICLES = 40_000


def langevin(law: fpk.GaussianMixture, *, g: float = 1.2, start: Any = None, horizon: float = 20.0) -> fpk.Problem:
    """dX = ½g² ∇log π dt + g dW, from π."""
    static = fpk.LawMarginals(lambda t: law, (1.0,))
    free = fpk.Problem(fpk.Linear(0.0), 0.0, initial=start or law, horizon=horizon)
    return fpk.with_noise(free, static.score, noise=g)


def after(problem: fpk.Problem, scheme: Any, steps: int, seed: int, particles: int = PARTICLES) -> Array:
    times = [problem.horizon]
    return fpk.simulate(
        problem, particles=particles, steps=steps, times=times, seed=seed, scheme=scheme, levels=1
    ).fine[0]


def kolmogorov(x: Array, law: Any) -> float:
    """sup |F_n − F| as a fraction of Massart's bound at ALPHA."""
    bound = np.sqrt(np.log(2 / ALPHA) / (2 * len(x)))
    return float(stats.kstest(x, law.cdf).statistic / bound)


# -- invariance ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("h", [0.1, 0.8, 3.0])
def test_the_adjusted_chain_leaves_a_mixture_unchanged_at_any_step(h: float, seed: int) -> None:
    x = after(langevin(PEAKS, horizon=20 * h), MALA(PEAKS), 20, seed)
    assert kolmogorov(x[:, 0], PEAKS) < 1


def test_most_proposals_are_accepted_at_short_steps_and_few_at_long_ones(seed: int) -> None:
    moved = []
    for h in (0.02, 0.5, 20.0):
        run = fpk.simulate(
            langevin(PEAKS, horizon=h), particles=5000, steps=1, times=[h], seed=seed, scheme=MALA(PEAKS), levels=1
        )
        moved.append(np.mean(run.fine[0] != run.start))
    assert moved[0] > 0.99
    assert 0.5 < moved[1] < 0.95
    assert moved[2] < 0.3


def test_the_adjusted_chain_leaves_a_law_of_the_plane_unchanged_in_every_direction(seed: int) -> None:
    x = after(langevin(PLANE, horizon=10.0), MALA(PLANE), 20, seed)
    for direction in np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.6, -0.8]]):
        assert kolmogorov(x @ direction, PLANE.projected(direction)) < 1


def test_the_adjusted_chain_finds_its_law_from_elsewhere(seed: int) -> None:
    """Every step keeps at least a fixed share of the mass of π, so 150 steps forget the start."""
    x = after(langevin(NORMAL, start=fpk.Gaussian(2.0, 0.2), horizon=90.0), MALA(NORMAL), 150, seed)
    assert kolmogorov(x[:, 0], NORMAL) < 1


def test_a_target_given_as_a_function_gives_the_same_chain(seed: int) -> None:
    """Its logarithm only matters up to a constant."""
    problem = langevin(NORMAL, horizon=4.0)
    known, called = MALA(NORMAL), MALA(lambda x: -((x[:, 0] - 0.3) ** 2) / (2 * 0.64) + 7.0)
    first, second = (after(problem, scheme, 10, seed, 5000) for scheme in (known, called))
    same = np.isclose(first, second, rtol=0, atol=1e-12)
    assert np.count_nonzero(~same) <= 1, "only decisions within rounding may differ: about 1e-12 of 5e4"


# -- the unadjusted chain --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("h", [0.1, 0.4, 0.8])
def test_the_unadjusted_chain_of_a_normal_law_has_its_own_variance(h: float, seed: int) -> None:
    """With q = g²h/2s² the chain x ↦ (1 − q) x + g√h z has the variance s²/(1 − q/2): off by O(h)."""
    q = 1.2**2 * h / (2 * 0.64)
    variance = 0.64 / (1 - q / 2)
    chain = fpk.Gaussian(0.3, np.sqrt(variance))
    x = after(langevin(NORMAL, start=chain, horizon=20 * h), EulerMaruyama(), 20, seed)[:, 0]
    assert kolmogorov(x, chain) < 1
    assert abs(x.var(ddof=1) / variance - 1) < stats.norm.isf(ALPHA / 2) * np.sqrt(2 / len(x))
    if h > 0.1:
        assert kolmogorov(x, NORMAL) > 1


def test_the_unadjusted_chain_leaves_a_mixture(seed: int) -> None:
    x = after(langevin(PEAKS, horizon=16.0), EulerMaruyama(), 20, seed)
    assert kolmogorov(x[:, 0], PEAKS) > 1


class WithoutProposals(MALA):
    """Accepts by the ratio of the target's densities alone."""

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        y = x + step.h * step.drift(x) + step.diffusion(x) * dW
        gain = self.log_density(step, y) - self.log_density(step, x)
        return where(greater(gain + 0.5 * (extra**2).sum(1)[:, None], 0.0), y, x)


def test_an_acceptance_without_the_proposals_densities_is_seen(seed: int) -> None:
    x = after(langevin(PEAKS, horizon=16.0), WithoutProposals(PEAKS), 20, seed)
    assert kolmogorov(x[:, 0], PEAKS) > 1


def test_one_chain_is_reversible(seed: int) -> None:
    """Detailed balance: from π, (X_0, X_1) and (X_1, X_0) have one law, so E[u(X_0) v(X_1)] is symmetric."""
    problem = langevin(PEAKS, horizon=0.5)
    run = fpk.simulate(problem, particles=100_000, steps=1, times=[0.5], seed=seed, scheme=MALA(PEAKS), levels=1)
    a, b = run.start[:, 0], run.fine[0, :, 0]
    for u, v in ((np.sin, np.tanh), (np.cos, np.tanh), (np.square, np.cos)):
        apart = u(a) * v(b) - u(b) * v(a)
        assert abs(apart.mean()) < stats.norm.isf(ALPHA / 6) * apart.std() / np.sqrt(len(apart))


# -- compiled, and refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [NORMAL, PEAKS, PLANE], ids=["normal", "mixture", "plane"])
def test_compiled_and_served_chains_decide_alike(law: fpk.GaussianMixture) -> None:
    motion, clock = Motion(langevin(law, horizon=6.0), MALA(law)), Clock.even((6.0,), 10, 1)
    first, second = (Engine(motion, clock, 10_000, 0, 4, 1, compiled=wanted) for wanted in (True, False))
    assert first.traced is not None
    apart = np.abs(first.run() - second.run()).max(-1)
    assert np.count_nonzero(apart > 1e-11) <= 1, "only decisions within rounding may differ: about 1e-12 of 1e5"


def test_a_density_that_is_a_function_is_called() -> None:
    target = MALA(lambda x: NORMAL.log_density(x))
    clock = Clock.even((1.0,), 2, 1)
    assert Engine(Motion(langevin(NORMAL), target), clock, 10, 0, 4, 1).traced is None


REFUSED = {
    "differs": replace(langevin(NORMAL), drift="-x"),
    "differs from it by .* at t=10": replace(langevin(NORMAL), drift="(0.3 - x)/0.64*0.72*(1 + t)"),
    "one constant g": replace(langevin(NORMAL), diffusion=lambda t: 1.2 + t),
    "no walls": replace(langevin(NORMAL), boundary=fpk.Boundary("no_flux", -5.0, 5.0)),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_problem_that_is_no_langevin_equation_of_the_target_is_refused(reason: str) -> None:
    with pytest.raises(SchemeError, match=f"{reason}"):
        fpk.simulate(REFUSED[reason], particles=4, steps=1, times=[1.0], scheme=MALA(NORMAL))


def test_noise_that_vanishes_is_refused() -> None:
    still = fpk.Problem("0", 0.0, initial=NORMAL)
    with pytest.raises(SchemeError, match="g > 0"):
        fpk.simulate(still, particles=4, steps=1, times=[1.0], scheme=MALA(NORMAL))
