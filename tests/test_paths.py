"""What one-time marginals cannot see, and the check that does: joint laws, Dynkin's formula, discrete laws, coupling, independence.

Every slip here is shown twice: not refuted by one-time marginals, refuted by the check meant for it. Seeds come from the test's name;
each "not refuted" is right with probability 1 − 1e-6 (repeated noise: 1 − 2e-3, as its error bars are wrong by √2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

import fpk
from fpk.closed_form import euler_chain
from fpk.errors import ComparisonError
from fpk.independence import BatchMeans, Correlations
from fpk.marginals import Vanishing
from fpk.particles import clock, engine
from fpk.paths import dynkin_panel, two_time_panel

REFUTED, CONFIRMED = fpk.Outcome.REFUTED, fpk.Outcome.CONFIRMED
DATA = fpk.problems.two_peaks()


def rotating(rate: float) -> fpk.Problem:
    matrix = np.array([[-1.0, -rate], [rate, -1.0]])
    return fpk.Problem(fpk.Linear(lambda t: matrix), 2**0.5, initial=fpk.Gaussian([0.0, 0.0], 1.0))


def warming(shift: float = 0.0) -> fpk.Problem:
    """dX = −X dt + g(t) dW with a growing g, read ``shift`` too late."""
    return fpk.Problem(fpk.Linear(lambda t: -1.0), lambda t: 0.6 + 1.2 * min(t + shift, 1.0), initial=DATA)


# -- joint laws ---------------------------------------------------------------------------------------------------------------


def test_the_sign_of_a_rotation_is_invisible_at_one_time_and_refuted_at_two(seed: int) -> None:
    exact = fpk.exact(rotating(2.0), times=[0.3, 0.8])
    wrong = fpk.simulate(rotating(-2.0), particles=20_000, steps=24, times=[0.3, 0.8], seed=seed)
    right = fpk.simulate(rotating(2.0), particles=20_000, steps=24, times=[0.3, 0.8], seed=seed + 1)
    assert fpk.compare(wrong, exact, effect=0.5).outcome == CONFIRMED
    panel = two_time_panel({t: exact.law(t) for t in (0.3, 0.8)})
    assert fpk.compare(wrong, exact, panel=panel, effect=0.5).outcome == REFUTED
    assert fpk.compare(right, exact, panel=panel, effect=0.5).outcome == CONFIRMED


def test_dynkin_with_weights_sees_the_sign_of_a_rotation(seed: int) -> None:
    exact = fpk.exact(rotating(2.0), times=[0.5])
    panel = dynkin_panel(rotating(2.0), {0.5: exact.law(0.5)}, degree=1)
    for rate, outcome in ((2.0, CONFIRMED), (-2.0, REFUTED)):
        run = fpk.simulate(rotating(rate), particles=10_000, steps=16, times=[0.5], seed=seed)
        assert fpk.compare(run, Vanishing(), panel=panel, effect=0.5).outcome == outcome


def test_dynkin_holds_for_a_nonlinear_drift_and_not_for_its_double(seed: int) -> None:
    double_well = fpk.problems.double_well(initial=DATA)
    faster = fpk.Problem("2*(x - x**3)", 1.0, initial=DATA)
    run = fpk.simulate(double_well, particles=8_000, steps=24, times=[0.5], seed=seed)
    laws = {0.5: fpk.Gaussian(0.5, 0.9)}
    assert fpk.compare(run, Vanishing(), panel=dynkin_panel(double_well, laws), effect=0.5).outcome == CONFIRMED
    assert fpk.compare(run, Vanishing(), panel=dynkin_panel(faster, laws), effect=0.5).outcome == REFUTED


def test_two_time_expectations_of_the_closed_form_are_those_of_a_bivariate_normal() -> None:
    """Oracle: correlation of an Ornstein–Uhlenbeck process at two times, and 2-D quadrature by the trapezoidal rule."""
    ou = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(0.4, 0.7))
    exact = fpk.exact(ou, times=[0.2, 0.9])
    panel = two_time_panel({t: exact.law(t) for t in (0.2, 0.9)})
    variance = {t: 0.49 * np.exp(-2 * t) + (1 - np.exp(-2 * t)) / 2 for t in (0.2, 0.9)}
    z = np.linspace(-8, 8, 801)
    rho = np.exp(-0.7) * np.sqrt(variance[0.2] / variance[0.9])
    density = np.exp(-(z[:, None] ** 2 - 2 * rho * z[:, None] * z + z**2) / (2 * (1 - rho**2)))
    density /= density.sum()
    x, y = (0.4 * np.exp(-t) + np.sqrt(variance[t]) * z for t in (0.2, 0.9))
    block = panel.smooth[0]
    outer = block.first.values(x[:, None])[:, None, :, None] * block.second.values(y[:, None])[None, :, None, :]
    assert np.allclose(exact.expect(panel).value, (outer * density).sum((2, 3)).ravel(), atol=1e-6)


def test_routes_that_know_one_time_only_say_so() -> None:
    panel = two_time_panel(dict.fromkeys((0.2, 0.4), DATA))
    flow = fpk.solve(fpk.Problem("-x", 0, initial=DATA), fpk.Grid(-5, 6, cells=64), times=[0.2, 0.4])
    with pytest.raises(ComparisonError, match="one-time marginals only"):
        flow.expect(panel)


# -- the law of the discretisation --------------------------------------------------------------------------------------------


def skipping_the_last_step(steps: int, particles: int, seed: int) -> fpk.particles.ensemble.ParticleMarginals:  # type: ignore[name-defined]
    """An ensemble that stops one fine step early and calls it the end."""
    n = 2 * steps
    early = fpk.simulate(warming(), particles=particles, steps=n - 1, times=[1 - 1 / n], seed=seed)
    honest = fpk.simulate(warming(), particles=100, steps=steps, times=[1.0], seed=seed)
    # Every second of its 2(n − 1) half steps: the coarse companion has n − 1 steps of length 1/n.
    return replace(early.level(1), times=(1.0,), scheme=honest.scheme)


def reading_coefficients_late(steps: int, particles: int, seed: int) -> fpk.particles.ensemble.ParticleMarginals:  # type: ignore[name-defined]
    """An ensemble that reads its coefficients at the right end of each step."""
    run = fpk.simulate(warming(0.5 / steps), particles=particles, steps=steps, times=[1.0], seed=seed)
    return run


@pytest.mark.parametrize("slip", [skipping_the_last_step, reading_coefficients_late])
def test_slips_of_one_step_are_invisible_when_steps_are_fine_and_refuted_by_the_discrete_law(slip, seed: int) -> None:
    exact = fpk.exact(warming(), times=[1.0])
    fine = slip(400, 10_000, seed)
    assert fpk.compare(fine, exact, tolerance=0.05).outcome != REFUTED
    assert fpk.compare(fine, exact, effect=0.3).outcome != REFUTED
    chain = euler_chain(warming(), steps=4, times=[1.0])
    verdict = fpk.compare(slip(2, 10_000, seed), chain, effect=0.3)
    assert (verdict.outcome, verdict.method) == (REFUTED, "discrete law")


def test_honest_coarse_steps_agree_with_their_discrete_law_and_not_with_the_exact_one(seed: int) -> None:
    run = fpk.simulate(warming(), particles=40_000, steps=2, times=[1.0], seed=seed)
    chain = fpk.compare(run, euler_chain(warming(), steps=4, times=[1.0]), effect=0.15)
    assert (chain.outcome, chain.method) == (CONFIRMED, "discrete law")
    assert fpk.compare(run, fpk.exact(warming(), times=[1.0]), effect=0.15).outcome != CONFIRMED


def test_the_chain_converges_to_the_exact_law_at_first_order() -> None:
    exact = fpk.exact(warming(), times=[1.0]).law(1.0)
    errors = [
        euler_chain(warming(), steps=n, times=[1.0]).law(1.0).covariance[0, 0] - exact.covariance[0, 0]  # type: ignore[attr-defined]
        for n in (40, 80, 160)
    ]
    assert np.allclose(np.array(errors[:-1]) / errors[1:], 2.0, atol=0.1)


# -- coupling -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("excess", "particles"), [(0.003, 10_000), (0.001, 100_000)])
def test_the_same_noise_shows_what_independent_particles_cannot(excess: float, particles: int, seed: int) -> None:
    def run(factor: float, own: int) -> fpk.Marginals:
        problem = fpk.Problem(fpk.Linear(lambda t: -1.0), (2 * factor) ** 0.5, initial=DATA)
        return fpk.simulate(problem, particles=particles, steps=16, times=[1.0], seed=own)

    panel = fpk.law_panel({1.0: DATA.pushed(np.eye(1) * np.exp(-1), np.zeros(1), np.eye(1) * (1 - np.exp(-2)))})
    coupled = fpk.compare(run(1.0, seed), run(1 + excess, seed), panel=panel, effect=0.3)
    independent = fpk.compare(run(1.0, seed), run(1 + excess, seed + 1), panel=panel, effect=0.3)
    assert (coupled.outcome, coupled.method) == (REFUTED, "coupled")
    assert independent.outcome != REFUTED


# -- independence -------------------------------------------------------------------------------------------------------------


def test_noise_reused_across_particles_leaves_the_marginals_right_and_is_refuted_by_correlations(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 2 * 8192
    exact = fpk.exact(warming(), times=[1.0])
    base = fpk.law_panel({1.0: exact.law(1.0)}, degree=2)
    honest = fpk.simulate(warming(), particles=n, steps=24, times=[1.0], seed=seed)
    monkeypatch.setattr(engine, "particle_numbers", lambda first, count: np.arange(count, dtype=np.uint32) % 8192)
    reused = fpk.simulate(warming(), particles=n, steps=24, times=[1.0], seed=seed)
    assert fpk.compare(reused, exact, effect=0.3).outcome == CONFIRMED
    for run, outcome in ((honest, CONFIRMED), (reused, REFUTED)):
        correlations = Correlations(run, base)
        verdict = fpk.compare(correlations, Vanishing(), panel=correlations.panel, effect=0.3)
        assert verdict.outcome == outcome
    assert "lag 8192" in verdict.names[verdict.worst]


def test_noise_shared_by_neighbours_shows_in_the_variance_of_batch_means(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = fpk.law_panel({1.0: fpk.exact(warming(), times=[1.0]).law(1.0)}, degree=2)
    smooth = fpk.Panel(base.smooth)
    honest = fpk.simulate(warming(), particles=2**16, steps=24, times=[1.0], seed=seed)
    monkeypatch.setattr(clock, "particle_numbers", lambda first, count: np.arange(count, dtype=np.uint32) // 8)
    monkeypatch.setattr(engine, "particle_numbers", clock.particle_numbers)
    shared = fpk.simulate(warming(), particles=2**16, steps=24, times=[1.0], seed=seed)
    for run, outcome in ((honest, CONFIRMED), (shared, REFUTED)):
        assert (
            fpk.compare(BatchMeans(run, base, batches=2048), Vanishing(), panel=smooth, effect=1.0).outcome == outcome
        )


def test_batches_of_one_are_refused() -> None:
    run = fpk.simulate(warming(), particles=300, steps=2, times=[1.0])
    base = fpk.law_panel({1.0: fpk.exact(warming(), times=[1.0]).law(1.0)}, degree=2)
    with pytest.raises(ComparisonError, match="256 batches need at least twice as many particles, got 300"):
        BatchMeans(run, base).expect(base)


def test_correlations_need_enough_particles_and_samples() -> None:
    with pytest.raises(ComparisonError, match="no samples"):
        Correlations(fpk.exact(warming(), times=[1.0]), fpk.law_panel({1.0: DATA}))
    few = fpk.simulate(warming(), particles=10, steps=2, times=[1.0], seed=1)
    with pytest.raises(ComparisonError, match="at least 1000"):
        _ = Correlations(few, fpk.law_panel({1.0: DATA})).panel


# -- one path -----------------------------------------------------------------------------------------------------------------


@dataclass
class Theirs:
    """Somebody else's samples: the whole contract is one method."""

    positions: dict[float, np.ndarray]
    scheme: str | None = None
    noise_key: str | None = None

    def expect(self, panel: fpk.Panel) -> fpk.Estimate:
        values = np.concatenate([b.values(*(self.positions[t] for t in b.times)) for b in panel.smooth])
        means = values[:, : values.shape[1] // 100 * 100].reshape(len(values), 100, -1).mean(2).T
        return fpk.Estimate(
            values.mean(1), np.full(len(values), 1e-12), covariance=np.cov(values) / values.shape[1], samples=values.shape[1],
            block_means=means, noise_key=self.noise_key, scheme=self.scheme, source="theirs",
        )  # fmt: skip


def theirs(rate: float, steps: int, seed: int, *, noise: float = 1.0, **keys: str) -> Theirs:
    """A numpy Euler scheme for the rotating process, at t = .3 and .8 of equal steps."""
    rng, x, kept, t = np.random.default_rng(seed), None, {}, 0.0
    x = rng.standard_normal((20_000, 2))
    matrix = np.array([[-1.0, -rate], [rate, -1.0]])
    for target in (0.3, 0.8):
        count = round(steps * (target - t) / 0.8)
        h = (target - t) / count
        for _ in range(count):
            x = x + h * x @ matrix.T + np.sqrt(2 * noise * h) * rng.standard_normal(x.shape)
        t = target
        kept[t] = x
    return Theirs(kept, **keys)


def test_a_third_party_route_of_ten_lines_joins_every_kind_of_comparison(seed: int) -> None:
    exact = fpk.exact(rotating(2.0), times=[0.3, 0.8])
    laws = {t: exact.law(t) for t in (0.3, 0.8)}
    one, two = fpk.law_panel(laws), two_time_panel(laws)
    fine, wrong = theirs(2.0, 400, seed), theirs(-2.0, 400, seed)
    assert fpk.compare(fine, exact, panel=one, effect=0.3).outcome == CONFIRMED
    assert fpk.compare(wrong, exact, panel=two, effect=0.3).outcome == REFUTED
    chain = euler_chain(rotating(2.0), steps=8, times=[0.3, 0.8])
    coarse = theirs(2.0, 8, seed, scheme=str(chain.scheme))
    assert fpk.compare(coarse, chain, panel=two, effect=0.3).method == "discrete law"
    assert fpk.compare(coarse, chain, panel=two, effect=0.3).outcome == CONFIRMED
    louder = theirs(2.0, 400, seed, noise=1.02, noise_key="ours")
    coupled = fpk.compare(replace(fine, noise_key="ours"), louder, panel=one, effect=0.3)
    assert (coupled.outcome, coupled.method) == (REFUTED, "coupled")
    assert fpk.compare(fine, louder, panel=one, effect=0.3).outcome != REFUTED
