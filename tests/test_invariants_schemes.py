"""Properties of the schemes of the grid that need no solution: conservation, positivity, equilibrium, changes of units and clocks, agreement."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.linalg import expm

import fpk
from fpk.fokker_planck import discretisation
from fpk.fokker_planck.discretisation import ACCURATE, EXACT_IN_TIME, MAGNUS, POSITIVE, SECOND_ORDER, Scheme
from fpk.fokker_planck.exponentials import time_change
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid
from fpk.laws import Gaussian, GaussianMixture, TabulatedLaw
from fpk.problem import Boundary, Problem
from fpk.problems.manufactured import modes_around_a_ring

SCHEMES = [value for value in vars(discretisation).values() if isinstance(value, Scheme)]
ANY_CLOCK = [scheme for scheme in SCHEMES if scheme is not EXACT_IN_TIME]
schemes = st.sampled_from(SCHEMES)
stretches = st.none() | st.tuples(st.floats(-1, 1), st.floats(0.2, 2))


def grid_on(lower, upper, cells, stretch):
    if stretch is None:
        return Grid(lower, upper, cells)
    middle, half = (lower + upper) / 2, (upper - lower) / 2
    return Grid(lower, upper, cells, focus=middle + half * stretch[0], breadth=half * stretch[1])


def one_clock(f, g, c):
    """F = c(t) f(x) and D = c(t) D(x)."""
    return lambda x, t: c(t) * f(x), lambda x, t: c(t) ** 0.5 * g(x)


def test_every_scheme_of_the_module_is_among_them():
    assert SCHEMES == [ACCURATE, EXACT_IN_TIME, MAGNUS, SECOND_ORDER, POSITIVE]


# -- mass and sign -----------------------------------------------------------------------------------------------------


@given(
    scheme=schemes,
    kind=st.sampled_from(["no_flux", "periodic"]),
    stretch=stretches,
    speed=st.floats(-20, 20),
    noise=st.floats(0.1, 2),
    wave=st.floats(0, 0.9),
    cells=st.integers(24, 64),
    steps=st.integers(1, 30),
)
def test_mass_does_not_drift(scheme, kind, stretch, speed, noise, wave, cells, steps):
    grid = grid_on(-1.0, 1.0, cells, None if kind == "periodic" else stretch)
    drift, diffusion = one_clock(
        lambda x: speed * np.sin(np.pi * x) + speed / 3,
        lambda x: noise * (1 + wave * np.cos(np.pi * x)),
        lambda t: 1 + t,
    )
    start = Gaussian(0.1, 0.2)
    assume(abs(float(start.density(grid.centers[:, None]) @ grid.widths) - 1) < 1e-3)
    problem = Problem(drift, diffusion, initial=start, boundary=Boundary(kind, -1.0, 1.0))
    mass = solve(problem, grid, times=[0.0, 0.3, 1.0], steps=steps, scheme=scheme).mass
    # Columns of the rate matrix sum to zero up to ε times its entries, which act for the time ∫(1 + t) dt.
    entries = 1.5 * 8 * ((noise * (1 + wave)) ** 2 / grid.widths.min() ** 2 + abs(speed) / grid.widths.min())
    np.testing.assert_allclose(mass, mass[0], rtol=0, atol=1e-12 + np.finfo(float).eps * entries)


@given(
    kind=st.sampled_from(["no_flux", "absorbing"]),
    stretch=stretches,
    speed=st.floats(-1e3, 1e3),
    noise=st.floats(1e-2, 3),
    cells=st.integers(32, 64),
    steps=st.integers(1, 12),
)
def test_the_positive_scheme_stays_positive_on_stretched_grids(kind, stretch, speed, noise, cells, steps):
    grid = grid_on(-1.0, 1.0, cells, stretch)
    start = GaussianMixture([0.5, 0.5], [-0.2, 0.25], stds=0.15)
    assume(abs(float(start.density(grid.centers[:, None]) @ grid.widths) - 1) < 1e-3)
    problem = Problem(
        lambda x, t: speed * np.sin(np.pi * x) * (1 + t),
        lambda x, t: noise * (1.2 + np.cos(np.pi * x + t)),
        initial=start,
        boundary=Boundary(kind, -1.0, 1.0),
    )
    assert solve(problem, grid, times=[0.01, 1.0], steps=steps, positive=True).minimum >= 0


# -- equilibrium -------------------------------------------------------------------------------------------------------


@given(
    scheme=schemes,
    quartic=st.floats(0.05, 0.3),
    quadratic=st.floats(-1, 0.5),
    tilt=st.floats(-0.5, 0.5),
    cells=st.integers(40, 80),
)
def test_gibbs_laws_are_stationary_on_coarse_grids(scheme, quartic, quadratic, tilt, cells):
    # The drift is a cubic: three Gauss nodes integrate it exactly over a half cell, however wide.
    # Between walls at ±2 no rise of the potential over half a stencil exceeds 5: weights are followed, not faded.
    def potential(x):
        return quartic * x**4 + quadratic * x**2 + tilt * x

    def drift(x, t):
        return -(4 * quartic * x**3 + 2 * quadratic * x + tilt)

    walls = Boundary("no_flux", -2.0, 2.0)
    problem = Problem(drift, 2**0.5, initial=TabulatedLaw.gibbs(potential, -2.0, 2.0), boundary=walls)
    grid = Grid(-2.0, 2.0, cells)
    solution = solve(problem, grid, times=[0.0, 1.0], steps=10, scheme=scheme)
    assert np.abs(solution.density(1.0) - solution.density(0.0)) @ grid.widths < 1e-10


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_gibbs_laws_are_stationary_on_stretched_grids(scheme):
    problem = Problem("-x", 2**0.5, initial=Gaussian(0.0, 1.0))
    grid = Grid(-8, 8, 128, focus=0.4, breadth=1.5)
    solution = solve(problem, grid, times=[0.0, 1.0], steps=10, scheme=scheme)
    assert np.abs(solution.density(1.0) - solution.density(0.0)) @ grid.widths < 1e-10


# -- units and clocks --------------------------------------------------------------------------------------------------


def well(x):
    return x - x**3


def solved(scheme, *, shift=0.0, scale=1.0, speed=1.0, stretch=None, steps=12):
    """The double well at its time ½, in other units: x ↦ shift + scale x, t ↦ t / speed."""
    drift, diffusion = one_clock(
        lambda x: scale * well((x - shift) / scale), lambda x: scale, lambda t: speed * (1 + speed * t)
    )
    problem = Problem(drift, diffusion, initial=Gaussian(shift + 0.3 * scale, 0.4 * scale), horizon=0.5 / speed)
    grid = grid_on(shift - 4 * scale, shift + 4 * scale, 64, stretch)
    return scale * solve(problem, grid, times=[0.5 / speed], steps=steps, scheme=scheme).densities[0]


@given(scheme=schemes, shift=st.floats(-50, 50), stretch=stretches)
def test_a_shift_moves_the_solution(scheme, shift, stretch):
    # x − shift loses |shift| ε of x, magnified by the slope of the drift and the steps.
    np.testing.assert_allclose(
        solved(scheme, shift=shift, stretch=stretch), solved(scheme, stretch=stretch), rtol=0, atol=1e-10
    )


@given(scheme=schemes, scale=st.floats(0.01, 100), stretch=stretches)
def test_a_scale_stretches_the_solution(scheme, scale, stretch):
    np.testing.assert_allclose(
        solved(scheme, scale=scale, stretch=stretch), solved(scheme, stretch=stretch), rtol=0, atol=1e-11
    )


@given(scheme=schemes, speed=st.floats(0.1, 10), stretch=stretches)
def test_a_faster_clock_relabels_the_solution(scheme, speed, stretch):
    np.testing.assert_allclose(
        solved(scheme, speed=speed, stretch=stretch), solved(scheme, stretch=stretch), rtol=0, atol=1e-11
    )


@pytest.mark.parametrize(
    "grid", [Grid(-4, 4, 160), Grid(-4, 4, 160, focus=0.2, breadth=2.0)], ids=["uniform", "stretched"]
)
def test_one_exponential_ignores_how_many_steps_are_asked_for(grid):
    problem = Problem(lambda x, t: -(1 + t) * x, lambda t: (1 + t) ** 0.5, initial=Gaussian(0.5, 0.6))
    few, many = (solve(problem, grid, times=[1.0], steps=n, scheme=EXACT_IN_TIME).densities for n in (1, 50))
    np.testing.assert_array_equal(few, many)


# -- agreement ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stretch", [None, (0.05, 0.6)], ids=["uniform", "stretched"])
@pytest.mark.parametrize("clock", ["one", "none"])
def test_all_schemes_agree_within_their_bars(clock, stretch):
    swing = 0.0 if clock == "one" else 0.5
    problem = Problem(
        lambda x, t: (1 + t) * (np.sin(2 * x) - x) + swing * np.cos(3 * t),
        lambda x, t: (1 + t) ** 0.5 * (0.9 + 0.1 * np.cos(x)),
        initial=Gaussian(0.5, 0.5),
    )
    panel = fpk.law_panel({1.0: Gaussian(0.3, 0.8)})
    answers = {}
    for scheme in SCHEMES if clock == "one" else ANY_CLOCK:
        refined = fpk.refine(
            lambda k, s=scheme: solve(problem, grid_on(-6.0, 6.0, 64 * k, stretch), times=[1.0], steps=24 * k, scheme=s)
        )
        answers[str(scheme)] = refined.expect(panel)
    for (first, a), (second, b) in itertools.combinations(answers.items(), 2):
        assert np.all(np.abs(a.value - b.value) <= a.bias_bound + b.bias_bound), f"{first} and {second}"
        assert max(a.bias_bound.max(), b.bias_bound.max()) < 0.1


@pytest.mark.parametrize("stretch", [None, (0.05, 0.6)], ids=["uniform", "stretched"])
def test_the_exponential_is_the_limit_of_fine_steps(stretch):
    fine, exact = (solved(scheme, stretch=stretch, steps=400) for scheme in (ACCURATE, EXACT_IN_TIME))
    assert np.abs(fine - exact).max() < 1e-10


@given(turn=st.floats(-3, 3), steps=st.integers(12, 24))
def test_a_circulating_ring_takes_pade_steps_to_the_dense_exponential(turn, steps):
    problem = Problem(
        lambda x, t: turn + 0.2 * np.sin(2 * np.pi * x),
        lambda x, t: 0.4 * (1 + 0.2 * np.cos(2 * np.pi * x)),
        initial=GaussianMixture([0.5, 0.5], [0.35, 0.6], stds=0.08),
        boundary=Boundary("periodic", 0.0, 1.0),
    )
    grid = Grid(0, 1, 40)
    rates = EXACT_IN_TIME.flux.rates(problem, grid)(0.0)
    A = np.stack([rates.applied(column) for column in np.eye(40)], axis=1)
    run = solve(problem, grid, times=[0.0, 1.0], steps=steps, scheme=EXACT_IN_TIME)
    assert not rates.equilibrium
    np.testing.assert_allclose(run.density(1.0), expm(A) @ run.density(0.0), atol=1e-8)
    assert f"{steps} steps" in run.source


def test_circulation_is_solved_to_the_manufactured_density():
    made = modes_around_a_ring()
    run = solve(made.problem, Grid(0, 1, 128), times=[0.5, 1.0], steps=16)
    assert run.plan.scheme == EXACT_IN_TIME
    for t in (0.5, 1.0):
        np.testing.assert_allclose(run.density(t), made.density(run.grid.centers, t), atol=2e-9)


# -- clocks ------------------------------------------------------------------------------------------------------------

DATA = fpk.problems.two_peaks()
LINE = Grid(-6, 6, 96)


@given(low=st.floats(0.05, 1), rise=st.floats(0, 8), a=st.floats(0, 0.4), b=st.floats(0.6, 1))
def test_the_clock_of_vp_is_the_integral_of_beta(low, rise, a, b):
    clock = time_change(fpk.noising(fpk.VPSchedule(low, low + rise), DATA), LINE)
    assert clock is not None

    def integral(t):
        return low * t + rise * t**2 / 2

    ratio = clock.elapsed(a, b) / clock.elapsed(0.0, 1.0)
    assert ratio == pytest.approx((integral(b) - integral(a)) / integral(1.0), rel=1e-9)


def test_the_clock_of_ve_is_its_variance():
    clock = time_change(fpk.noising(fpk.VESchedule(0.1, 3.0), DATA), LINE)
    assert clock is not None

    def variance(t):
        return 0.1**2 * (3.0 / 0.1) ** (2 * t)

    ratio = clock.elapsed(0.2, 0.5) / clock.elapsed(0.0, 1.0)
    assert ratio == pytest.approx((variance(0.5) - variance(0.2)) / (variance(1.0) - variance(0.0)), rel=1e-9)


def test_sub_vp_and_reversed_problems_have_no_clock():
    assert time_change(fpk.noising(fpk.SubVPSchedule(0.3, 4.0), DATA), LINE) is None
    forward = fpk.noising(fpk.VPSchedule(0.3, 4.0), DATA)
    reverse = fpk.reverse_time(forward, fpk.exact(forward, times=[1.0]).score, initial=Gaussian(0.0, 1.0))
    assert time_change(reverse, LINE) is None


def test_a_steady_problem_keeps_its_own_clock():
    clock = time_change(Problem("-x", 1.0, initial=Gaussian(0.0, 1.0)), LINE)
    assert clock is not None
    assert clock.elapsed(0.25, 0.75) == 0.5


def test_without_a_scheme_the_default_follows_the_clock():
    vp, sub = (fpk.noising(s, DATA) for s in (fpk.VPSchedule(0.3, 4.0), fpk.SubVPSchedule(0.3, 4.0)))
    assert solve(vp, LINE, times=[1.0]).plan.scheme == EXACT_IN_TIME
    noisy = Problem(sub.drift, lambda t: 0.2 + 0.8 * t, initial=DATA)  # the noise of sub-VP itself vanishes at 0
    assert solve(noisy, LINE, times=[1.0]).plan.scheme == ACCURATE
