import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf
from scipy.stats import norm

from fpk.errors import SchemeError
from fpk.fokker_planck.discretisation import ACCURATE, MAGNUS, SECOND_ORDER
from fpk.fokker_planck.first_passage import first_passage
from fpk.grids import Grid
from fpk.laws import Gaussian
from fpk.problem import Boundary, Problem

TIMES = np.array([0.1, 0.3, 0.6, 1.0])
MEAN, STD, G = 1.0, 0.15, 1.2


def half_line(drift, noise, far=12.0):
    return Problem(drift, noise, initial=Gaussian(MEAN, STD), boundary=Boundary("absorbing", 0.0, far))


def free_variance():
    return STD**2 + G**2 * TIMES


@pytest.mark.parametrize(
    ("scheme", "bars"),
    [(None, (1e-9, 5e-8)), (ACCURATE, (2e-7, 5e-6)), (MAGNUS, (2e-7, 5e-6)), (SECOND_ORDER, (6e-5, 3e-3))],
    ids=["exact", "ESDIRK4", "Magnus", "TR-BDF2"],
)
def test_brownian_motion_leaves_a_half_line_by_its_mirror_image(scheme, bars):
    v = free_variance()
    found = first_passage(half_line(0.0, G), Grid(0, 12, cells=400), times=TIMES, scheme=scheme)
    np.testing.assert_allclose(found.survival, erf(MEAN / np.sqrt(2 * v)), atol=bars[0])
    density = G**2 * MEAN / v * norm.pdf(MEAN / np.sqrt(v)) / np.sqrt(v)
    np.testing.assert_allclose(found.lower_density, density, atol=bars[1])
    np.testing.assert_allclose(found.lower_cdf, found.cdf, atol=1e-8)
    np.testing.assert_allclose(found.upper_cdf, 0, atol=1e-8)
    assert "first passage" in str(found)


def test_noise_that_grows_is_a_change_of_clock():
    problem = Problem(
        0.0, lambda t: G * (1 + t), initial=Gaussian(MEAN, STD), boundary=Boundary("absorbing", 0.0, 25.0)
    )
    v = STD**2 + G**2 * ((1 + TIMES) ** 3 - 1) / 3
    found = first_passage(problem, Grid(0, 25, cells=800), times=TIMES)
    np.testing.assert_allclose(found.survival, erf(MEAN / np.sqrt(2 * v)), atol=1e-9)
    density = (G * (1 + TIMES)) ** 2 * MEAN / v * norm.pdf(MEAN / np.sqrt(v)) / np.sqrt(v)
    np.testing.assert_allclose(found.density, density, atol=2e-7)
    np.testing.assert_allclose(found.lower_cdf, found.cdf, atol=5e-8)


def test_an_ornstein_uhlenbeck_process_reaches_its_centre_when_a_brownian_motion_does():
    a = 1.3
    v = STD**2 + G**2 * (np.exp(2 * a * TIMES) - 1) / (2 * a)
    found = first_passage(half_line(f"-{a}*x", G, far=7.0), Grid(0, 7, cells=400), times=TIMES)
    np.testing.assert_allclose(found.survival, erf(MEAN / np.sqrt(2 * v)), atol=1e-10)
    density = (G * np.exp(a * TIMES)) ** 2 * MEAN / v * norm.pdf(MEAN / np.sqrt(v)) / np.sqrt(v)
    np.testing.assert_allclose(found.density, density, atol=1e-8)


def theta(mean, std, g, length, t):
    """Survival and both wall fluxes on [0, length] as a series of sines; the start is a Gaussian far inside."""
    n = np.arange(1, 80)[:, None]
    k = n * np.pi / length
    weight = 2 / length * np.sin(k * mean) * np.exp(-(k**2) * (std**2 + g**2 * t) / 2)
    inside = weight * (1 - (-1.0) ** n) / k
    slope = g**2 / 2 * weight * k
    return inside.sum(0), slope.sum(0), -(slope * (-1.0) ** n).sum(0)


@given(mean=st.floats(0.8, 1.2), g=st.floats(0.5, 1.5))
def test_brownian_motion_in_an_interval_is_a_theta_series(mean, g):
    problem = Problem(0.0, g, initial=Gaussian(mean, 0.1), boundary=Boundary("absorbing", 0.0, 2.0))
    found = first_passage(problem, Grid(0, 2, cells=100), times=TIMES)
    survival, lower, upper = theta(mean, 0.1, g, 2.0, TIMES)
    np.testing.assert_allclose(found.survival, survival, atol=1e-8)
    np.testing.assert_allclose(found.lower_density, lower, atol=1e-6)
    np.testing.assert_allclose(found.upper_density, upper, atol=1e-6)
    np.testing.assert_allclose(found.lower_cdf + found.upper_cdf, found.cdf, atol=1e-8)


def test_in_the_long_run_the_start_decides_the_wall():
    problem = Problem(0.0, 1.0, initial=Gaussian(1.3, 0.1), boundary=Boundary("absorbing", 0.0, 2.0), horizon=40.0)
    found = first_passage(problem, Grid(0, 2, cells=80), times=[40.0])
    assert found.upper_cdf[0] == pytest.approx(0.65, abs=1e-8)
    assert found.survival[0] < 1e-12


def test_cumulated_fluxes_agree_with_the_exit_probability():
    """The same problem, once known to be steady and once not."""
    walls = Boundary("absorbing", 0.0, 2.0)
    steady = Problem("sin(pi*x)", 0.9, initial=Gaussian(0.9, 0.12), boundary=walls)
    hidden = Problem(lambda x, t: np.sin(np.pi * x), 0.9, initial=Gaussian(0.9, 0.12), boundary=walls)
    one, other = (first_passage(p, Grid(0, 2, cells=120), times=TIMES, steps=200) for p in (steady, hidden))
    np.testing.assert_allclose(one.survival, other.survival, atol=1e-12)
    np.testing.assert_allclose(one.upper_cdf, other.upper_cdf, atol=2e-7)
    np.testing.assert_allclose(one.lower_cdf, other.lower_cdf, atol=2e-7)


@pytest.mark.parametrize("scheme", [None, SECOND_ORDER], ids=["WellBalanced6", "ScharfetterGummel"])
def test_a_drift_at_the_wall_leaves_second_order(scheme):
    """Reaching 0 with the drift c: the point-start law of Brownian motion with drift, averaged over the start."""
    c = -0.8
    z, w = np.polynomial.hermite_e.hermegauss(60)
    y, w = MEAN + STD * z, w / w.sum()
    roots = G * np.sqrt(TIMES[:, None])
    drifted = norm.cdf((y + c * TIMES[:, None]) / roots)
    survival = (drifted - np.exp(-2 * c * y / G**2) * norm.cdf((-y + c * TIMES[:, None]) / roots)) @ w
    errors = [
        np.abs(first_passage(half_line(c, G), Grid(0, 12, cells=n), times=TIMES, scheme=scheme).survival - survival)
        for n in (200, 400)
    ]
    assert np.log2(errors[0].max() / errors[1].max()) == pytest.approx(2.0, abs=0.1)
    assert errors[1].max() < 2e-4


def test_times_next_to_a_step_do_not_disturb():
    problem = Problem(lambda x, t: 0.0 * x, 1.0, initial=Gaussian(1.0, 0.1), boundary=Boundary("absorbing", 0.0, 2.0))
    asked = [0.0, 0.3, 0.3 + 1e-15, 0.7 * 3 / 7 + 1e-12, 0.7]
    found = first_passage(problem, Grid(0, 2, cells=80), times=asked, steps=70)
    np.testing.assert_allclose(found.lower_cdf[[0, 1, -2]], [0.0, found.lower_cdf[2], found.lower_cdf[1]], atol=1e-9)
    np.testing.assert_allclose(found.lower_cdf + found.upper_cdf, found.cdf, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 3, None])
def test_at_the_start_nothing_has_passed_however_few_the_steps(steps):
    problem = Problem(lambda x, t: 0.0 * x, 1.0, initial=Gaussian(1.0, 0.1), boundary=Boundary("absorbing", 0.0, 2.0))
    for times in ([0.0], [0.0, 0.5]):
        found = first_passage(problem, Grid(0, 2, cells=80), times=times, steps=steps)
        assert found.lower_cdf[0] == found.upper_cdf[0] == 0.0
        assert found.survival[0] == pytest.approx(1.0, abs=1e-9)


def test_only_absorbing_walls_let_anything_pass():
    problem = Problem(0.0, 1.0, initial=Gaussian(1.0, 0.1), boundary=Boundary("no_flux", 0.0, 2.0))
    with pytest.raises(SchemeError, match="absorbing walls"):
        first_passage(problem, Grid(0, 2, cells=40), times=[1.0])
