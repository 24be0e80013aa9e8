"""Samplers: their steps against formulas written down from the papers, their contracts, and what they refuse."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.catalogue import load_catalogue
from fpk.errors import NonFinite, ProblemError, SchemeError, UnknownName
from fpk.fields import Field, exact_field
from fpk.laws import Array
from fpk.particles.langevin import MALA as ParticleMALA
from fpk.particles.steps import Step
from fpk.samplers import (
    DDIM,
    DDPM,
    MALA,
    ULA,
    AnnealedLangevin,
    DPMSolver2,
    EulerMaruyama,
    PredictorCorrector,
    ProbabilityFlow,
    Sampler,
    StochasticHeun,
    VPChain,
    langevin_hop,
)
from fpk.samplers.times import checked_times, karras, log_snr, quadratic, uniform
from fpk.schedules import OTSchedule

VP = fpk.VPSchedule(0.6, 3.4)
DATA = fpk.GaussianMixture([0.3, 0.7], [2.2, 3.8], stds=[0.2, 0.5])
SCORE = exact_field(DATA, VP)
TIMES = np.array([1.0, 0.7, 0.25, 0.1])


def some_samplers(field: Field = SCORE, **settings: Any) -> list[Sampler]:
    settings = settings or {"times": TIMES}
    return [
        DDPM(field, **settings),
        DDPM(field, variance="forward", **settings),
        DDIM(field, eta=0.4, **settings),
        DPMSolver2(field, **settings),
        EulerMaruyama(field, **settings),
        StochasticHeun(field, **settings),
        ProbabilityFlow(field, method="rk4", **settings),
        PredictorCorrector(StochasticHeun(field, **settings), corrections=2),
        AnnealedLangevin(field, inner=3, epsilon=0.01, **settings),
        ULA(field, size=0.01, steps=5),
        MALA(field, target=DATA, size=0.05, steps=5),
    ]


named = pytest.mark.parametrize("sampler", some_samplers(), ids=lambda s: f"{s.name} {s.settings}")


# -- the steps of the papers -------------------------------------------------------------------------------------------


@pytest.fixture
def x(rng: np.random.Generator) -> Array:
    return rng.normal(1.0, 1.0, (50, 1))


@pytest.mark.parametrize("variance", ["posterior", "forward"])
def test_ddpm_is_algorithm_2_of_ho_et_al(x: Array, rng: np.random.Generator, variance: str) -> None:
    """X' = (x − β ε/√(1 − ᾱ))/√(1 − β) + √(β or β̃) z, ᾱ a product of 1 − β."""
    beta = np.array([0.02, 0.1, 0.3])
    bar = np.concatenate([[1.0], np.cumprod(1 - beta)])
    noise = Field(lambda x, t: np.sin(x + t), "noise", VPChain(beta))
    sampler, z = DDPM(noise, times=[3, 2, 1, 0], variance=variance), rng.normal(size=(1, 50, 1))
    for k, t in enumerate((3, 2, 1)):
        b = beta[t - 1]
        drawn = b if variance == "forward" else b * (1 - bar[t - 1]) / (1 - bar[t])
        mean = (x - b * np.sin(x + t) / np.sqrt(1 - bar[t])) / np.sqrt(1 - b)
        np.testing.assert_allclose(
            sampler.step(x, k, z), mean + (t > 1) * np.sqrt(drawn) * z[0], rtol=1e-12, atol=1e-13
        )


def test_ddim_is_equation_12_of_song_et_al(x: Array, rng: np.random.Generator) -> None:
    sampler, z = DDIM(SCORE, times=TIMES, eta=0.4), rng.normal(size=(1, 50, 1))
    for k, (t, after) in enumerate(itertools.pairwise(TIMES)):
        a, b = VP.alpha(t) ** 2, VP.alpha(after) ** 2  # their α_t and α_{t−1}
        eps = SCORE.noise(x, t)
        s = 0.4 * np.sqrt((1 - b) / (1 - a)) * np.sqrt(1 - a / b)
        wanted = np.sqrt(b) * (x - np.sqrt(1 - a) * eps) / np.sqrt(a) + np.sqrt(1 - b - s**2) * eps + s * z[0]
        np.testing.assert_allclose(sampler.step(x, k, z), wanted, rtol=1e-12, atol=1e-13)


def test_ddim_with_all_the_noise_is_ddpm_and_with_none_dpm_solver_1(x: Array, rng: np.random.Generator) -> None:
    z = rng.normal(size=(1, 50, 1))
    np.testing.assert_allclose(
        DDIM(SCORE, times=TIMES, eta=1.0).step(x, 1, z), DDPM(SCORE, times=TIMES).step(x, 1, z), rtol=1e-14
    )
    t, after = TIMES[1:3]
    h = np.log(VP.alpha(after) / VP.sigma(after)) - np.log(VP.alpha(t) / VP.sigma(t))
    wanted = VP.alpha(after) / VP.alpha(t) * x - VP.sigma(after) * np.expm1(h) * SCORE.noise(x, t)
    np.testing.assert_allclose(DDIM(SCORE, times=TIMES).step(x, 1, z[:0]), wanted, rtol=1e-12)


def test_dpm_solver_2_is_algorithm_1_of_lu_et_al(x: Array) -> None:
    """With constant β and λ inverted in closed form: e^{−2λ} = e^{B} − 1."""
    schedule = fpk.VPSchedule(2.0)
    field = exact_field(DATA, schedule)

    def level(t: float) -> float:
        return float(np.log(schedule.alpha(t) / schedule.sigma(t)))

    t, after = 0.7, 0.25
    h = level(after) - level(t)
    s = 0.5 * np.log1p(np.exp(-2 * (level(t) + 0.5 * h)))
    u = schedule.alpha(s) / schedule.alpha(t) * x - schedule.sigma(s) * np.expm1(h / 2) * field.noise(x, t)
    wanted = schedule.alpha(after) / schedule.alpha(t) * x - schedule.sigma(after) * np.expm1(h) * field.noise(u, s)
    found = DPMSolver2(field, times=[t, after]).step(x, 0, np.zeros((0, 50, 1)))
    np.testing.assert_allclose(found, wanted, rtol=1e-11)


def test_euler_maruyama_is_that_of_the_reversed_problem(x: Array, rng: np.random.Generator) -> None:
    problem = fpk.noising(VP, DATA)
    reverse = fpk.reverse_time(problem, SCORE.score, initial=DATA)
    z = rng.normal(size=(1, 50, 1))
    h = 0.45
    wanted = x + h * reverse.drift(x, 1 - 0.7) + reverse.diffusion(x, 1 - 0.7) * h**0.5 * z[0]
    np.testing.assert_allclose(EulerMaruyama(SCORE, times=TIMES).step(x, 1, z), wanted, rtol=1e-12)


def test_free_noise_has_the_drift_of_with_noise_and_the_flow_none(x: Array) -> None:
    problem = fpk.noising(VP, DATA)
    reverse = fpk.reverse_time(problem, SCORE.score, initial=DATA, noise=0.7)
    np.testing.assert_allclose(
        EulerMaruyama(SCORE, times=TIMES, noise=0.7).drift(x, 0.4), reverse.drift(x, 0.6), rtol=1e-12
    )
    silent = EulerMaruyama(SCORE, times=TIMES, noise=0.0)
    flow = ProbabilityFlow(SCORE, times=TIMES, method="euler")
    np.testing.assert_allclose(
        silent.step(x, 0, np.ones((1, 50, 1))), flow.step(x, 0, np.zeros((0, 50, 1))), rtol=1e-13
    )


def test_stochastic_heun_without_noise_is_heun(x: Array) -> None:
    silent = StochasticHeun(SCORE, times=TIMES, noise=0.0)
    flow = ProbabilityFlow(SCORE, times=TIMES, method="heun")
    np.testing.assert_allclose(
        silent.step(x, 0, np.ones((1, 50, 1))), flow.step(x, 0, np.zeros((0, 50, 1))), rtol=1e-13
    )


@pytest.mark.parametrize("method", ["euler", "heun", "rk4"])
def test_runge_kutta_methods_integrate_polynomials_of_their_degree(method: str) -> None:
    """dx/dt = p t^{p−1} without x is a quadrature, exact up to the order's degree; dx/dt = x is a truncated exponential."""
    order = {"euler": 1, "heun": 2, "rk4": 4}[method]
    for p in range(1, order + 1):
        ramp = Field(lambda x, t, p=p: np.full_like(x, p * t ** (p - 1)), "velocity", OTSchedule())
        x = ProbabilityFlow(ramp, times=[0.9, 0.2], method=method).step(np.ones((1, 1)), 0, np.zeros((0, 1, 1)))
        assert x[0, 0] == pytest.approx(1 + 0.2**p - 0.9**p, abs=1e-14)
    growth = Field(lambda x, t: x, "velocity", OTSchedule())
    x = ProbabilityFlow(growth, times=[0.9, 0.2], method=method).step(np.ones((1, 1)), 0, np.zeros((0, 1, 1)))
    series = np.cumsum([(-0.7) ** p / np.prod(np.arange(1.0, p + 1)) for p in range(order + 1)])
    assert x[0, 0] == pytest.approx(series[-1], abs=1e-14)


def test_flow_matching_by_euler_is_ddim_on_the_straight_path(x: Array) -> None:
    field, none = exact_field(DATA, OTSchedule(), kind="velocity"), np.zeros((0, 50, 1))
    flow, ddim = ProbabilityFlow(field, times=TIMES, method="euler"), DDIM(field, times=TIMES)
    for k in range(3):
        np.testing.assert_allclose(flow.step(x, k, none), ddim.step(x, k, none), rtol=1e-12)


def test_langevin_steps_have_the_sizes_of_song_and_ermon(x: Array, rng: np.random.Generator) -> None:
    sampler = AnnealedLangevin(SCORE, times=TIMES, inner=2, epsilon=0.01)
    z = rng.normal(size=(2, 50, 1))
    size = 0.01 * VP.sigma(0.25) ** 2 / VP.sigma(0.1) ** 2
    y = x
    for row in z:
        y = y + 0.5 * size * SCORE.score(y, 0.25) + size**0.5 * row
    np.testing.assert_allclose(sampler.step(x, 1, z), y, rtol=1e-12)


@pytest.mark.parametrize("h", [0.1, 1.0])
def test_a_hop_of_langevin_dynamics_relaxes_as_ornstein_uhlenbeck_does(h: float) -> None:
    """For normal data the score is linear: mean and variance are those of dX = −(X − m)/v dτ + √2 dW."""
    m, v = VP.alpha(0.4), VP.alpha(0.4) ** 2 * 0.25 + VP.sigma(0.4) ** 2
    hop = langevin_hop(exact_field(fpk.Gaussian(1.0, 0.5), VP), initial=fpk.Gaussian(-0.5, 1.2), time=0.4, duration=h)
    mean, variance = m + (-0.5 - m) * np.exp(-h / v), v + (1.44 - v) * np.exp(-2 * h / v)
    grid = fpk.Grid(-9, 9, cells=160)
    density = fpk.solve(hop, grid, times=[h]).density(h)
    expected = fpk.Gaussian(mean, variance**0.5).density(grid.centers[:, None])
    assert np.abs(density - expected) @ grid.widths < 1e-5
    with pytest.raises(SchemeError, match="duration of a hop must be a finite number > 0, got -1"):
        langevin_hop(SCORE, initial=DATA, time=0.4, duration=-1.0)


def test_corrections_follow_the_predictor_at_its_new_time(x: Array, rng: np.random.Generator) -> None:
    predictor = StochasticHeun(SCORE, times=TIMES)
    sampler, z = PredictorCorrector(predictor, snr=0.2), rng.normal(size=(2, 50, 1))
    y = predictor.step(x, 0, z[:1])
    size = 2 * (0.2 * VP.sigma(0.7)) ** 2
    np.testing.assert_allclose(
        sampler.step(x, 0, z), y + size * SCORE.score(y, 0.7) + (2 * size) ** 0.5 * z[1], rtol=1e-12
    )


def test_there_is_no_correction_where_there_is_no_noise(x: Array, rng: np.random.Generator) -> None:
    predictor = EulerMaruyama(SCORE, steps=4)
    z = rng.normal(size=(2, 50, 1))
    np.testing.assert_array_equal(PredictorCorrector(predictor).step(x, 3, z), predictor.step(x, 3, z[:1]))


def test_mala_accepts_as_the_scheme_of_particles_does(x: Array, rng: np.random.Generator) -> None:
    """The same proposals and the same exponential variable: ½(z₁² + z₂²) there, −log Φ(z) here."""
    from scipy.stats import norm

    size, z = 0.15, rng.normal(size=(3, 50, 1))
    langevin = fpk.Problem(lambda x, t: DATA.score(x), 2**0.5, initial=DATA)
    scheme = ParticleMALA(DATA)
    extra = z[1:, :, 0].T
    wanted = scheme.advanced(Step(langevin, 0.0, size), x, size**0.5 * z[0], extra)
    uniform_number = norm.ppf(np.exp(-0.5 * (extra**2).sum(1)))[:, None]
    found = MALA(SCORE, target=DATA, size=size, steps=1).step(x, 0, np.stack([z[0], uniform_number]))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert 0 < np.mean(found == x) < 1  # some stay, some go


# -- the contract ------------------------------------------------------------------------------------------------------


@named
def test_a_sampler_says_what_it_is(sampler: Sampler) -> None:
    for words in (sampler.name, sampler.limit, sampler.needs):
        assert isinstance(words, str)
        assert words
    assert sampler.order is None or sampler.order >= 1
    assert sampler.scheme.startswith(sampler.name)


@named
def test_evaluations_are_counted_as_declared(sampler: Sampler) -> None:
    calls = []

    def counted(x: Array, t: float) -> Array:
        calls.append(t)
        return SCORE.score(x, t)

    field = Field(counted, "score", VP)
    twin = next(s for s in some_samplers(field) if s.scheme == sampler.scheme)
    twin.step(np.zeros((2, 1)), 0, np.zeros((twin.noises, 2, 1)))
    assert len(calls) == sampler.evaluations


@named
def test_kernels_are_the_step(sampler: Sampler, rng: np.random.Generator) -> None:
    x, z = rng.normal(2, 1, (7, 1)), rng.normal(size=(sampler.noises, 7, 1))
    if not sampler.gaussian:
        with pytest.raises(SchemeError, match="no composition of Gaussian kernels"):
            sampler.kernels(0)
        return
    y, rows = x, iter(z)
    for kernel in sampler.kernels(1):
        y = kernel.mean(y) + (kernel.std * next(rows) if kernel.std else 0.0)
    np.testing.assert_allclose(sampler.step(x, 1, z), y, rtol=1e-14)


@named
def test_particles_do_not_depend_on_how_many_there_are(sampler: Sampler, seed: int) -> None:
    many = sampler.sample(9000, seed=seed).fine[0]
    np.testing.assert_array_equal(sampler.sample(100, seed=seed).fine[0], many[:100])
    np.testing.assert_array_equal(sampler.sample(8300, seed=seed).fine[0], many[:8300])


@named
def test_samples_follow_their_steps_on_normal_numbers(sampler: Sampler, seed: int) -> None:
    """Kolmogorov–Smirnov of sampled positions against those of steps on numpy's normal numbers, α = 1e-9."""
    from scipy.stats import ks_2samp

    rng, n = np.random.default_rng(seed), 4000
    x = DATA.sample(n, rng)
    for k in range(sampler.steps):
        x = sampler.step(x, k, rng.normal(size=(sampler.noises, n, 1)))
    run = sampler.sample(n, seed=seed, initial=DATA)
    result: Any = ks_2samp(run.fine[0, :, 0], x[:, 0])
    assert result.pvalue > 1e-9


@named
def test_schemes_name_settings_and_times(sampler: Sampler) -> None:
    schemes = {s.scheme for s in some_samplers()}
    assert len(schemes) == len(some_samplers())
    if not isinstance(sampler, ULA):
        moved = [s for s in some_samplers(times=TIMES * 0.99) if s.name == sampler.name]
        assert sampler.scheme not in {s.scheme for s in moved}


def test_normal_numbers_of_steps_and_particles_are_independent(seed: int) -> None:
    """Means and correlations of increments of a walk with d = 2 over three steps, α = 1e-9."""
    seen = []

    class Walk(EulerMaruyama):
        def step(self, x: Array, k: int, z: Array) -> Array:
            seen.append(z.copy())
            return x

    walk = Walk(SCORE, times=TIMES, dimension=2)
    n = 8192
    walk.sample(n, seed=seed)
    rows = np.concatenate([z[0].T for z in seen])
    assert rows.shape == (6, n)
    limit = 6.5 / n**0.5
    assert np.all(np.abs(rows.mean(1)) < limit)
    assert np.all(np.abs(np.corrcoef(rows) - np.eye(6)) < limit)


def test_an_exact_model_leads_back_to_the_data_in_two_dimensions(seed: int) -> None:
    data = fpk.GaussianMixture([0.4, 0.6], [[3.0, -1.0], [1.0, 1.0]], stds=[0.3, 0.6])
    sampler = ProbabilityFlow(exact_field(data, VP), times=quadratic(24), dimension=2)
    start = data.pushed(VP.alpha(1.0) * np.eye(2), np.zeros(2), VP.sigma(1.0) ** 2 * np.eye(2))
    run = sampler.sample(100_000, seed=seed, initial=start)
    verdict = fpk.compare(run, fpk.LawMarginals(lambda t: data, (0.0,)), tolerance=0.05)
    assert verdict.outcome is fpk.Outcome.CONFIRMED, verdict


def test_the_prior_is_the_noise_of_the_first_time() -> None:
    sampler = DDPM(Field(lambda x, t: -x, "score", VP), times=TIMES, dimension=3)
    np.testing.assert_allclose(sampler.prior.covariance, VP.sigma(1.0) ** 2 * np.eye(3))  # type: ignore[attr-defined]
    assert sampler.sample(10, seed=0).fine.shape == (1, 10, 3)


def test_no_sampler_divides_by_the_noise_at_zero(x: Array) -> None:
    denoiser = exact_field(DATA, VP, kind="denoised")
    for sampler in (DDPM(denoiser, steps=3), DDPM(denoiser, steps=3, variance="forward"), DDIM(denoiser, steps=3)):
        last = sampler.step(x, 2, np.ones((sampler.noises, 50, 1)))
        np.testing.assert_allclose(last, denoiser(x, 1 / 3), rtol=1e-13)


# -- times -------------------------------------------------------------------------------------------------------------


def test_times_are_even_in_what_they_say() -> None:
    np.testing.assert_allclose(np.diff(uniform(5, start=2.0, end=0.5)), -0.3)
    np.testing.assert_allclose(np.diff(quadratic(5) ** 0.5), -0.2)
    level = [np.log(VP.alpha(t) / VP.sigma(t)) for t in log_snr(VP, 6, end=1e-3)]
    np.testing.assert_allclose(np.diff(level), (level[-1] - level[0]) / 6, rtol=1e-10)
    *inner, last = karras(VP, 6, end=1e-3, rho=5.0)
    roots = [(VP.sigma(t) / VP.alpha(t)) ** 0.2 for t in inner]
    np.testing.assert_allclose(np.diff(roots), (roots[-1] - roots[0]) / 5, rtol=1e-10)
    assert last == 0


@pytest.mark.parametrize("times", [[0.0, 1.0], [1.0, 0.5, 0.5], [1.0, -0.1], [1.0], [1.0, np.nan], [[1.0, 0.0]]])
def test_times_that_do_not_walk_down_are_refused(times: Any) -> None:
    with pytest.raises(SchemeError, match="times"):
        checked_times(times)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: DDPM(SCORE), "exactly one of steps="),
        (lambda: DDPM(SCORE, steps=3, times=TIMES), "exactly one"),
        (lambda: DDPM(SCORE, steps=0), "steps ≥ 1, got steps=0"),
        (lambda: DDPM(SCORE, steps=3, variance="big"), "'posterior' (β̃) or 'forward' (β), got 'big'"),
        (lambda: DDIM(SCORE, steps=3, eta=1.5), "eta lies between 0"),
        (lambda: DPMSolver2(SCORE, steps=3), "infinite at t=0: give times= inside"),
        (lambda: DPMSolver2(exact_field(DATA, OTSchedule()), times=[1.0, 0.5]), "infinite at t=1"),
        (lambda: AnnealedLangevin(SCORE, steps=3, inner=2, epsilon=0.1), "end at t_N > 0"),
        (lambda: AnnealedLangevin(SCORE, times=TIMES, inner=0, epsilon=0.1), "inner=0"),
        (lambda: ULA(SCORE, size=-1.0, steps=3), "size of ULA must be a finite number > 0, got -1.0"),
        (lambda: ULA(SCORE, size=0.1, steps=0), "steps ≥ 1, got 0"),
        (lambda: PredictorCorrector(DDPM(SCORE, steps=3), corrections=0), "corrections ≥ 1, got 0"),
        (lambda: log_snr(VP, 5, end=0.0), "no last noise level at t = 0: give end > 0"),
        (lambda: karras(VP, 1, end=0.1), "2 or more steps"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_words(call: Any, words: str) -> None:
    with pytest.raises(SchemeError, match=re.escape(words)):
        call()


def test_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="euler, heun, rk4"):
        ProbabilityFlow(SCORE, steps=2, method="hein")


def test_a_field_that_determines_nothing_at_the_end_is_named(x: Array) -> None:
    noise = exact_field(DATA, VP, kind="noise")
    with pytest.raises(ProblemError, match="does not determine its velocity at t=0"):
        ProbabilityFlow(noise, steps=3, method="heun").step(x, 2, np.zeros((0, 50, 1)))
    ProbabilityFlow(noise, steps=3, method="euler").step(x, 2, np.zeros((0, 50, 1)))


def test_a_particle_that_is_lost_is_named() -> None:
    broken = Field(lambda x, t: np.where(x > 1, np.nan, x), "score", VP)
    with pytest.raises(NonFinite, match=r"particle \d+ came to"):
        EulerMaruyama(broken, steps=2).sample(1000, seed=0)


# -- claims ------------------------------------------------------------------------------------------------------------


def test_every_sampler_has_its_claims() -> None:
    """Orders and limits in the catalogue, or invariance; new classes are found by themselves."""
    claims = load_catalogue(Path(__file__).parent.parent / "studies").claims
    waiting, found = [Sampler], []
    while waiting:
        below = [kind for kind in waiting.pop().__subclasses__() if kind.__module__.startswith("fpk.samplers")]
        waiting, found = waiting + below, found + below
    assert len(found) >= 10
    for kind in found:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", kind.__name__).lower()
        wanted = {"samplers.invariant-mala"} if kind is MALA else {f"samplers.order-{name}", f"samplers.limit-{name}"}
        assert wanted <= set(claims), f"{kind.__name__} has no case in studies/samplers/_cases.py"
