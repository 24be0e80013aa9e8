import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpk.fokker_planck.discretisation import ACCURATE, POSITIVE, SECOND_ORDER
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid
from fpk.laws import Gaussian, GaussianMixture, TabulatedLaw
from fpk.problem import OPEN, Boundary, Problem

SCHEMES = [ACCURATE, SECOND_ORDER, POSITIVE]
schemes = st.sampled_from(SCHEMES)


@given(
    scheme=schemes,
    kind=st.sampled_from(["no_flux", "periodic"]),
    speed=st.floats(-20, 20),
    noise=st.floats(0.05, 2),
    modulation=st.floats(0, 0.9),
    steps=st.integers(1, 30),
)
def test_mass_is_conserved_with_no_flux_and_periodic_boundaries(scheme, kind, speed, noise, modulation, steps):
    problem = Problem(
        lambda x, t: speed * np.sin(np.pi * x) * (1 + t) + speed / 3,
        lambda x, t: noise * (1 + modulation * np.cos(np.pi * x)),
        initial=Gaussian(0.1, 0.12),
        boundary=Boundary(kind, -1.0, 1.0),
    )
    mass = solve(problem, Grid(-1, 1, 40), times=[0.0, 0.3, 1.0], steps=steps, scheme=scheme).mass
    # Round-off alone: 30 ε for each of the at most 6 solves of a step.
    np.testing.assert_allclose(mass, mass[0], rtol=0, atol=30 * 2.3e-16 * 6 * (steps + 3) * 10)


@given(scheme=schemes, speed=st.floats(-20, 20), noise=st.floats(0.1, 2))
def test_mass_never_grows_with_absorbing_boundaries(scheme, speed, noise):
    problem = Problem(speed, noise, initial=Gaussian(0.1, 0.12), boundary=Boundary("absorbing", -1.0, 1.0))
    mass = solve(problem, Grid(-1, 1, 60), times=np.linspace(0, 1, 6), steps=40, scheme=scheme).mass
    assert np.all(np.diff(mass) <= 1e-12)


@given(
    kind=st.sampled_from(["no_flux", "periodic", "absorbing"]),
    speed=st.floats(-1e3, 1e3),
    noise=st.floats(1e-3, 3),
    width=st.floats(0.06, 0.2),
    steps=st.integers(1, 12),
    cells=st.integers(40, 64),
)
def test_positive_means_never_below_zero_however_coarse(kind, speed, noise, width, steps, cells):
    problem = Problem(
        lambda x, t: speed * np.sin(np.pi * x),
        lambda x, t: noise * (1.2 + np.cos(np.pi * x)),
        initial=GaussianMixture([0.5, 0.5], [-0.2, 0.25], stds=width),
        boundary=Boundary(kind, -1.0, 1.0),
    )
    solution = solve(problem, Grid(-1, 1, cells), times=[0.01, 1.0], steps=steps, positive=True)
    assert solution.minimum >= 0


@given(
    quartic=st.floats(0.05, 0.5),
    quadratic=st.floats(-1, 1),
    tilt=st.floats(-0.5, 0.5),
    ripple=st.floats(-0.5, 0.5),
    scheme=schemes,
)
def test_gibbs_laws_are_stationary(quartic, quadratic, tilt, ripple, scheme):
    def potential(x):
        return quartic * x**4 + quadratic * x**2 + tilt * x + ripple * np.sin(2 * x)

    def drift(x, t):  # dX = −V' dt + √2 dW
        return -(4 * quartic * x**3 + 2 * quadratic * x + tilt + 2 * ripple * np.cos(2 * x))

    gibbs = TabulatedLaw.gibbs(potential, -6.0, 6.0)
    problem = Problem(drift, 2**0.5, initial=gibbs)
    # Resolved: no exponent of the flux is damped where the law has mass.
    solution = solve(problem, Grid(-5.5, 5.5, 512), times=[0.0, 1.0], steps=10, scheme=scheme)
    moved = np.abs(solution.density(1.0) - solution.density(0.0)).sum() * solution.grid.spacing
    assert moved < 1e-10


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s.method.name)
def test_a_gibbs_law_with_state_dependent_noise_is_stationary(scheme):
    # Itô, g² = 1 + x²/2 and f = −x: p ∝ g^{-2} exp ∫ 2f/g² = (1 + x²/2)^{-3}, between walls.
    x = np.linspace(-2, 2, 801)
    law = TabulatedLaw(x, -3 * np.log(1 + x**2 / 2), reliable=np.inf)
    problem = Problem("-x", "sqrt(1 + x**2/2)", initial=law, boundary=Boundary("no_flux", -2.0, 2.0))
    solution = solve(problem, Grid(-2, 2, 80), times=[0.0, 1.0], steps=20, scheme=scheme)
    assert np.abs(solution.density(1.0) - solution.density(0.0)).max() < 1e-10


def well(x, t):
    return x - x**3


@given(shift=st.floats(-50, 50), scheme=schemes)
def test_a_shifted_problem_has_the_shifted_solution(shift, scheme):
    def moved(x, t):
        return well(x - shift, t)

    here = solve(Problem(well, 1.0, initial=Gaussian(0.3, 0.4)), Grid(-4, 4, 64), times=[0.5], steps=12, scheme=scheme)
    grid = Grid(-4 + shift, 4 + shift, 64)
    there = solve(Problem(moved, 1.0, initial=Gaussian(0.3 + shift, 0.4)), grid, times=[0.5], steps=12, scheme=scheme)
    # x − shift loses |shift| ε of x, magnified by the slope of the drift and the steps.
    np.testing.assert_allclose(there.density(0.5), here.density(0.5), atol=1e-10)


@given(scale=st.floats(0.01, 100), scheme=schemes)
def test_a_scaled_problem_has_the_scaled_solution(scale, scheme):
    def stretched(x, t):
        return scale * well(x / scale, t)

    here = solve(Problem(well, 1.0, initial=Gaussian(0.3, 0.4)), Grid(-4, 4, 64), times=[0.5], steps=12, scheme=scheme)
    problem = Problem(stretched, scale, initial=Gaussian(0.3 * scale, 0.4 * scale))
    there = solve(problem, Grid(-4 * scale, 4 * scale, 64), times=[0.5], steps=12, scheme=scheme)
    np.testing.assert_allclose(scale * there.density(0.5), here.density(0.5), atol=1e-11)


@given(speed=st.floats(0.1, 10), scheme=schemes)
def test_a_faster_clock_only_relabels_time(speed, scheme):
    here = solve(Problem(well, 1.0, initial=Gaussian(0.3, 0.4)), Grid(-4, 4, 64), times=[0.5], steps=12, scheme=scheme)
    problem = Problem(lambda x, t: speed * well(x, t), speed**0.5, initial=Gaussian(0.3, 0.4), horizon=0.5 / speed)
    there = solve(problem, Grid(-4, 4, 64), times=[0.5 / speed], steps=12, scheme=scheme)
    np.testing.assert_allclose(there.density(0.5 / speed), here.density(0.5), atol=1e-11)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s.method.name)
@pytest.mark.parametrize("kind", ["open", "no_flux", "absorbing", "periodic"])
def test_a_mirrored_problem_has_the_mirrored_solution(scheme, kind):
    boundary = OPEN if kind == "open" else Boundary(kind, -5.0, 5.0)

    def solved(sign):
        problem = Problem(
            lambda x, t: sign * np.sin(sign * x) - 0.3 * sign,
            lambda x, t: 1 + 0.3 * np.sin(sign * x),
            initial=GaussianMixture([0.4, 0.6], [-0.5 * sign, 0.6 * sign], stds=[0.3, 0.4]),
            boundary=boundary,
            horizon=0.3,
        )
        return solve(problem, Grid(-5, 5, 64), times=[0.3], steps=12, scheme=scheme).density(0.3)

    np.testing.assert_allclose(solved(-1)[::-1], solved(1), atol=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s.method.name)
def test_the_solution_is_linear_in_the_initial_law(scheme):
    def solved(law):
        problem = Problem(well, "1 + x**2/10", initial=law)
        return solve(problem, Grid(-4, 4, 80), times=[0.4], steps=12, scheme=scheme).density(0.4)

    mixture = GaussianMixture([0.3, 0.7], [-0.5, 0.8], stds=[0.3, 0.4])
    parts = 0.3 * solved(Gaussian(-0.5, 0.3)) + 0.7 * solved(Gaussian(0.8, 0.4))
    np.testing.assert_allclose(solved(mixture), parts, atol=1e-12)
