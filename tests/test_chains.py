"""Propagated chains on the line: closed forms, quadrature and roots of polynomials as oracles."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

import fpk
from fpk import samplers
from fpk.chains import line_chain, propagate
from fpk.chains.images import ImageLaw
from fpk.chains.line import smeared
from fpk.chains.noises import Proposal, blurred, metropolised
from fpk.chains.pieces import PiecewiseLaw
from fpk.closed_form import LawMarginals
from fpk.errors import ProblemError, SchemeError
from fpk.fields import exact_field
from fpk.laws import Array
from fpk.samplers import Sampler

MIXTURE = fpk.GaussianMixture([0.3, 0.7], [-3.0, 2.0], stds=[0.05, 0.8])
VP = fpk.VPSchedule(0.1, 20.0)
NORMAL = fpk.Gaussian(2.0, 0.3)
FIELD = exact_field(NORMAL, VP)
TIMES = np.linspace(1, 0, 7)
AFFINE: dict[str, Callable[[], Sampler]] = {
    "DDPM": lambda: samplers.DDPM(FIELD, times=TIMES),
    "DDIM": lambda: samplers.DDIM(FIELD, times=TIMES),
    "DDIM, noisy": lambda: samplers.DDIM(FIELD, times=TIMES, eta=0.5),
    "DDPM, 50 steps": lambda: samplers.DDPM(FIELD, steps=50),
    "Euler–Maruyama": lambda: samplers.EulerMaruyama(FIELD, times=TIMES),
    "corrected": lambda: samplers.PredictorCorrector(samplers.DDPM(FIELD, times=TIMES)),
    "annealed": lambda: samplers.AnnealedLangevin(FIELD, inner=3, epsilon=0.01, times=np.linspace(1, 0.02, 6)),
    "RK4": lambda: samplers.ProbabilityFlow(FIELD, times=TIMES, method="rk4"),
}


def gaps(first: fpk.Marginals, second: fpk.Marginals, t: float, reference: fpk.Law) -> tuple[Array, Array]:
    """Differences of smooth expectations and distribution functions, and the budgets of the first."""
    panel = fpk.law_panel({t: reference})
    a, b = first.expect(panel), second.expect(panel)
    return (
        np.abs(np.concatenate([a.value - b.value, a.thresholds - b.thresholds])),
        np.concatenate([a.bias_bound, a.threshold_bound]),
    )


# -- laws by pieces ----------------------------------------------------------------------------------------------------


def test_a_law_by_pieces_is_the_law() -> None:
    law, x = PiecewiseLaw.of(MIXTURE), np.linspace(-6, 7, 997)
    for same in (law, law.halved(), law.within(0.2, beyond=1.0)):
        assert np.abs(same.density_at(x) - MIXTURE.density(x[:, None])).max() < 1e-11
        assert np.abs(same.cdf(x) - MIXTURE.cdf(x)).max() < 1e-13
    assert np.abs(law.score(x[300:700, None]) - MIXTURE.score(x[300:700, None])).max() < 1e-6


def test_quantiles_invert_the_distribution_function(rng: np.random.Generator) -> None:
    u = rng.random(50)
    assert np.abs(MIXTURE.cdf(PiecewiseLaw.of(MIXTURE).quantile(u)) - u).max() < 1e-12


def test_what_a_panel_cannot_hold_is_halved_until_it_can() -> None:
    sharp = fpk.Gaussian(0.123, 1e-4)
    law = PiecewiseLaw.of(fpk.GaussianMixture([0.5, 0.5], [0.123, 0.0], stds=[1e-4, 5.0]))
    assert abs(law.cumulative[-1] - 1) < 1e-13
    wanted = 0.5 * (sharp.cdf(np.array([0.1231])) + ndtr(0.1231 / 5))
    assert np.abs(law.cdf(np.array([0.1231])) - wanted).max() < 1e-13


# -- Gaussian kernels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AFFINE)
def test_budgets_cover_on_affine_chains(name: str) -> None:
    sampler = AFFINE[name]()
    exact, chain = propagate(sampler), line_chain(sampler, initial=sampler.prior)
    t = float(sampler.times[-1])
    assert isinstance(exact, LawMarginals)
    gap, budget = gaps(chain, exact, t, exact.law(t))
    assert np.all(gap <= budget)
    assert budget.max() < 1e-11


@pytest.mark.parametrize("std", [0.02, 0.3, 3.0])
def test_a_kernel_is_its_convolution_where_the_mean_folds(std: float) -> None:
    law, error = smeared(PiecewiseLaw.of(MIXTURE), lambda x: np.sin(2 * x) - 0.3 * x, std)
    assert error < 1e-11

    def integrand(x: float, y: float) -> float:
        z = (y - np.sin(2 * x) + 0.3 * x) / std
        return float(MIXTURE.density(np.array([[x]]))[0] * np.exp(-0.5 * z * z) / (std * np.sqrt(2 * np.pi)))

    edges = np.concatenate([np.arange(-3.6, -2.4, 0.05), np.arange(-2.4, 9, 0.2)])
    for y in (-0.9, 0.0, 0.7):
        wanted = sum(quad(integrand, a, b, args=(y,), epsabs=1e-13, limit=200)[0] for a, b in pairwise(edges))
        assert abs(law.density_at(np.array([y]))[0] - wanted) < 1e-9


def test_a_kernel_two_hundredths_of_a_percent_too_wide_is_seen() -> None:
    sampler = samplers.DDPM(FIELD, times=np.linspace(1, 0.05, 6))
    t, exact = 0.05, propagate(samplers.DDPM(FIELD, times=np.linspace(1, 0.05, 6)))
    wider = fpk.Gaussian(exact.law(t).mean, 1.0002 * exact.law(t).covariance[0, 0] ** 0.5)  # type: ignore[attr-defined]
    gap, budget = gaps(line_chain(sampler, initial=sampler.prior), LawMarginals({t: wider}, (t,)), t, exact.law(t))
    assert gap.max() > 1e5 * budget.max()


# -- maps --------------------------------------------------------------------------------------------------------------


def test_a_folding_map_has_the_distribution_function_of_its_roots() -> None:
    law, y = ImageLaw(PiecewiseLaw.of(fpk.Gaussian(0.0, 1.0)), lambda x: x**3 - x), np.linspace(-3.1, 3.0, 60)

    def below(level: float) -> float:
        roots = np.roots([1, 0, -1, -level])
        real = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
        return (
            float(ndtr(real[0]) + sum(ndtr(b) - ndtr(a) for a, b in (real[1:],)))
            if len(real) == 3
            else float(ndtr(real[0]))
        )

    assert not law.monotone
    assert np.abs(law.cdf(y) - [below(level) for level in y]).max() < 1e-12
    assert law.slack(np.array([-2.0, 2.0])).max() == 0


def test_crossings_on_the_edges_of_panels_are_found() -> None:
    law = ImageLaw(PiecewiseLaw.of(fpk.Gaussian(0.0, 1.0)), lambda x: 2 * x)
    edges = law.base.edges[1:-1]
    assert np.abs(law.cdf(2 * edges) - ndtr(edges)).max() < 1e-13


def test_a_monotone_map_moves_quantiles_and_densities(rng: np.random.Generator) -> None:
    law = ImageLaw(PiecewiseLaw.of(fpk.Gaussian(0.0, 1.0)), np.exp)
    u = np.linspace(-3, 3, 41)
    assert law.monotone
    assert np.abs(law.cdf(np.exp(u)) - ndtr(u)).max() < 1e-13
    density = np.exp(-0.5 * u * u) / np.sqrt(2 * np.pi) / np.exp(u)
    assert np.abs(law.density_at(np.exp(u)) / density - 1).max() < 1e-8
    assert np.all(law.sample(100, rng) > 0)


# -- noise that is no kernel -------------------------------------------------------------------------------------------


def test_noise_inside_a_function_has_the_law_of_the_double_integral() -> None:
    law, error = blurred(PiecewiseLaw.of(fpk.Gaussian(0.5, 0.4)), lambda x, z: 0.8 * x + 0.5 * z + 0.05 * np.sin(z + x))
    assert error < 1e-7
    z, w = np.polynomial.hermite_e.hermegauss(80)
    x = 0.5 + 0.4 * z[:, None]
    at = 0.8 * x + 0.5 * z + 0.05 * np.sin(z + x)
    weights = np.outer(w, w) / w.sum() ** 2
    for omega in (0.5, 1.0, 3.0):
        wanted = (np.cos(omega * at) * weights).sum()
        assert abs((np.cos(omega * law.nodes) * law.masses).sum() - wanted) <= error + 1e-12


def test_noise_inside_a_function_may_fold() -> None:
    law, _ = blurred(PiecewiseLaw.of(fpk.Gaussian(0.0, 1.0)), lambda x, z: x + z + 0.2 * z * z)
    wanted = quad(lambda z: ndtr(1 - z - 0.2 * z * z) * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi), -9, 9)[0]
    assert abs(law.cdf(np.array([1.0]))[0] - wanted) < 1e-8


@pytest.mark.parametrize("corrected", [False, True])
def test_stochastic_heun_on_normal_data_has_the_law_of_its_affine_step(corrected: bool) -> None:
    sampler: Sampler = samplers.StochasticHeun(FIELD, times=TIMES)
    if corrected:
        sampler = samplers.PredictorCorrector(sampler, snr=0.3)
    mean, variance = 0.0, VP.sigma(1.0) ** 2
    still, origin = np.zeros((sampler.noises, 1, 1)), np.zeros((1, 1))
    for k in range(sampler.steps):
        b = sampler.step(origin, k, still)[0, 0]
        a = sampler.step(origin + 1, k, still)[0, 0] - b
        noise = [sampler.step(origin, k, e.reshape(still.shape))[0, 0] - b for e in np.eye(sampler.noises)]
        mean, variance = a * mean + b, a * a * variance + np.sum(np.square(noise))
    law = fpk.Gaussian(mean, variance**0.5)
    gap, budget = gaps(propagate(sampler), LawMarginals({0.0: law}, (0.0,)), 0.0, law)
    assert np.all(gap <= budget)
    assert budget.max() < 1e-6


def test_metropolis_steps_leave_their_target_and_all_mass() -> None:
    target = fpk.GaussianMixture([0.3, 0.7], [-1.0, 2.0], stds=[0.4, 0.8])
    proposal = Proposal(
        lambda x: x + 0.05 * target.score(x[:, None])[:, 0], 0.1**0.5, lambda x: target.log_density(x[:, None])
    )
    law, error = metropolised(PiecewiseLaw.of(target), proposal)
    x = np.linspace(-3, 5, 200)
    assert np.abs(law.density_at(x) - target.density(x[:, None])).max() < 1e-10
    other, wide = metropolised(PiecewiseLaw.of(fpk.Gaussian(1.0, 1.5)), proposal)
    assert abs(other.cumulative[-1] - 1) < 1e-12
    assert error < 1e-10
    assert wide < 1e-3


# -- what propagate chooses, and refuses -------------------------------------------------------------------------------


def test_a_chain_and_its_particles_are_one_discrete_law(seed: int) -> None:
    sampler = samplers.DDPM(exact_field(MIXTURE, VP), times=np.linspace(1, 0.1, 5))
    chain, particles = propagate(sampler), sampler.sample(40_000, seed=seed)
    assert particles.scheme == chain.scheme
    assert fpk.compare(chain, particles, tolerance=0.1).outcome is fpk.Outcome.CONFIRMED
    longer = samplers.DDPM(exact_field(MIXTURE, VP), times=[1, 0.5, 0.1]).sample(40_000, seed=seed)
    assert fpk.compare(chain, longer, tolerance=0.01).outcome is fpk.Outcome.REFUTED


def test_a_chain_knows_the_laws_at_its_own_times_only() -> None:
    chain = propagate(samplers.DDPM(exact_field(MIXTURE, VP), times=[1, 0.5, 0.1]))
    assert chain.times == (0.1, 0.5, 1.0)
    assert chain.law(0.1 + 1e-15).dimension == 1
    with pytest.raises(ProblemError, match=r"no law at t=0.3: .*0.5"):
        chain.law(0.3)


def test_chains_that_are_not_propagated_say_so() -> None:
    cloud = fpk.GaussianMixture([0.5, 0.5], np.eye(3)[:2], stds=[1.0, 1.0])
    with pytest.raises(SchemeError, match=r"in d = 3 is not propagated.*particles"):
        propagate(samplers.DDPM(exact_field(cloud, VP), steps=3, dimension=3))
    plane = fpk.GaussianMixture([0.5, 0.5], np.eye(2), stds=[1.0, 1.0])
    with pytest.raises(SchemeError, match="d = 2 is not propagated"):
        propagate(samplers.StochasticHeun(exact_field(plane, VP), steps=3, dimension=2))


def test_every_sampler_on_the_line_is_propagated() -> None:
    found, waiting = set(), [Sampler]
    while waiting:
        more = [kind for kind in waiting.pop().__subclasses__() if kind.__module__.startswith("fpk.samplers.")]
        waiting, found = waiting + more, found | {kind.__name__ for kind in more}
    from studies.samplers.chains import LINE

    made = {base.__name__ for setting in LINE.values() for base in type(setting.right()).__mro__}
    assert found <= made
