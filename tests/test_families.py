"""Families of problems with known laws: their densities solve the equation, by differences that know nothing of how they were made."""

import numpy as np
import pytest

from fpk.laws.base import central_derivative
from fpk.problems.families import FAMILIES

X_STEP, T_STEP = 2e-3, 2e-3
#: Sixth-order central differences.
OFFSETS, FIRST = np.arange(-3, 4), np.array([-1, 9, -45, 0, 45, -9, 1]) / 60

each = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)


def flux(known, x, t):
    def held(y):
        return known.problem.diffusivity(y[:, None], t)[:, 0] * known.density(y, t)

    drift = np.broadcast_to(known.problem.drift(x[:, None], t), (len(x), 1))[:, 0]
    return drift * known.density(x, t) - central_derivative(held, x, X_STEP)


@each
@pytest.mark.parametrize("seed", range(3))
def test_densities_solve_the_fokker_planck_equation(family, seed):
    known = family(np.random.default_rng(seed))
    middle, half = (known.lower + known.upper) / 2, (known.upper - known.lower) / 2
    x = middle + half * np.linspace(-0.97, 0.97, 61)
    for t in (0.2, 0.7):
        rate = sum(c * known.density(x, t + k * T_STEP) for k, c in zip(OFFSETS, FIRST / T_STEP, strict=True))
        spread = central_derivative(lambda y, t=t: flux(known, y, t), x, X_STEP)
        np.testing.assert_allclose(rate, -spread, atol=1e-7 * max(1.0, np.abs(rate).max()))


@each
@pytest.mark.parametrize("seed", range(3))
def test_mass_is_one_and_the_initial_law_is_the_density_at_time_zero(family, seed):
    known = family(np.random.default_rng(seed))
    x = known.lower + (known.upper - known.lower) * (np.arange(4000) + 0.5) / 4000
    for t in (0.0, 0.5, 1.0):
        assert known.density(x, t).mean() * (known.upper - known.lower) == pytest.approx(1.0, abs=1e-9)
    initial = np.exp(known.problem.initial.log_density(x[:, None]))
    np.testing.assert_allclose(initial, known.density(x, 0.0), atol=1e-9 * initial.max())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", FAMILIES[2:], ids=lambda family: family.__name__)
def test_no_flux_leaves_through_walls_and_the_same_flux_passes_both_ends_of_a_ring(family, seed):
    known = family(np.random.default_rng(seed))
    lower, upper = (flux(known, np.array([end]), 0.4)[0] for end in (-1.0, 1.0))
    assert lower == pytest.approx(upper, abs=1e-9)
    if known.problem.boundary.kind == "no_flux":
        assert lower == pytest.approx(0.0, abs=1e-9)
