"""Propagated chains in the plane, against closed forms and the line."""

from __future__ import annotations

import numpy as np
import pytest

import fpk
from fpk import samplers
from fpk.chains import ChainMarginals, plane_chain, propagate
from fpk.errors import GridError, NoClosedForm, ProblemError
from fpk.fields import exact_field
from fpk.samplers import Sampler

VP = fpk.VPSchedule(0.6, 3.4)
NORMAL = fpk.Gaussian([1.0, -0.5], covariance=np.array([[0.5, 0.2], [0.2, 0.3]]))
FIELD = exact_field(NORMAL, VP)
SLANTED = np.array([0.6, 0.8])
CHAINS: dict[str, Sampler] = {
    "kernels": samplers.DDPM(FIELD, times=np.linspace(1, 0.1, 4), dimension=2),
    "kernels and a map": samplers.DDPM(FIELD, times=np.linspace(1, 0.0, 4), dimension=2),
    "Euler–Maruyama": samplers.EulerMaruyama(FIELD, times=np.linspace(1, 0.1, 4), dimension=2),
}


@pytest.mark.parametrize("name", CHAINS)
def test_budgets_cover_on_affine_chains_in_the_plane(name: str) -> None:
    sampler = CHAINS[name]
    exact, chain = propagate(sampler), plane_chain(sampler, initial=sampler.prior)
    t = float(sampler.times[-1])
    panel = fpk.law_panel({t: exact.law(t)}, directions=[np.array([1.0, 0.0]), SLANTED])
    a, b = chain.expect(panel), exact.expect(panel)
    assert np.all(np.abs(a.value - b.value) <= a.bias_bound)
    assert np.all(np.abs(a.thresholds - b.thresholds) <= a.threshold_bound)
    assert max(a.bias_bound.max(), a.threshold_bound.max()) < 1e-6


def test_coordinates_that_do_not_interact_are_two_chains_on_the_line() -> None:
    line = fpk.GaussianMixture([0.4, 0.6], [-0.8, 1.2], stds=[0.4, 0.5])
    plane = fpk.GaussianMixture(
        [0.4, 0.6], [[-0.8, 0.5], [1.2, 0.5]], covariances=[np.diag([0.16, 0.09]), np.diag([0.25, 0.09])]
    )
    times = [1.0, 0.6, 0.3]
    one = propagate(samplers.EulerMaruyama(exact_field(line, VP), times=times))
    two = propagate(samplers.EulerMaruyama(exact_field(plane, VP), times=times, dimension=2))
    x = np.linspace(-2, 3, 50)
    gap = np.abs(two.law(0.3).projected(np.array([1.0, 0.0])).cdf(x) - one.law(0.3).cdf(x)).max()
    assert isinstance(two, ChainMarginals)
    assert gap <= two.error(0.3) < 1e-9


def test_a_law_in_the_plane_tells_its_density_and_slices(rng: np.random.Generator) -> None:
    sampler = CHAINS["kernels"]
    exact, law = propagate(sampler).law(0.1), plane_chain(sampler, initial=sampler.prior).law(0.1)
    x = exact.sample(20, rng)
    assert np.abs(law.log_density(x) - exact.log_density(x)).max() < 1e-8
    assert np.abs(law.score(x) - exact.score(x)).max() < 1e-7
    assert law.sample(7, rng).shape == (7, 2)
    with pytest.raises(ProblemError, match="projected"):
        law.cdf(x[:, 0])


def test_after_a_map_there_are_slices_but_no_density() -> None:
    sampler = CHAINS["kernels and a map"]
    law = plane_chain(sampler, initial=sampler.prior).law(0.0)
    with pytest.raises(NoClosedForm, match="slices"):
        law.log_density(np.zeros((1, 2)))


def test_noise_too_small_for_a_grid_is_refused() -> None:
    sampler = samplers.ULA(
        exact_field(fpk.GaussianMixture([0.5, 0.5], np.eye(2), stds=[1.0, 1.0]), VP), size=1e-8, steps=1, dimension=2
    )
    with pytest.raises(GridError, match=r"noise of 0\.000141"):
        propagate(sampler)
