"""Manufactured solutions solve their problems, and every scheme of the grid has its declared order on them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

import fpk
from fpk.catalogue import load_catalogue
from fpk.errors import ProblemError
from fpk.fokker_planck import discretisation
from fpk.fokker_planck.discretisation import ACCURATE, Scheme
from fpk.fokker_planck.exponentials import time_change
from fpk.grids import Grid
from fpk.laws import Law
from fpk.orders import order_of
from fpk.problem import Boundary
from fpk.problems import manufactured as instances
from fpk.problems.manufactured import manufactured, transported

MAKERS = [
    instances.between_walls,
    instances.pushed_against_walls,
    instances.around_a_ring,
    instances.on_the_line,
    instances.modes_between_walls,
    instances.modes_around_a_ring,
]
MADE = [maker() for maker in MAKERS]
each = pytest.mark.parametrize("made", MADE, ids=lambda m: m.problem.name)
UNIT = Boundary("no_flux", 0.0, 1.0)
WAVE = "1 + cos(pi*x)*exp(-t)/2"


def ends(made):
    walls = made.problem.boundary
    return (-8.0, 8.0) if walls.kind == "open" else (walls.lower, walls.upper)


def test_every_instance_is_tested():
    unit = {
        f.__name__
        for f in vars(instances).values()
        if getattr(f, "__annotations__", None) == {"return": "Manufactured"}
    }
    assert unit == {maker.__name__ for maker in MAKERS}


@each
def test_the_density_solves_the_equation_by_finite_differences_of_the_numbers(made):
    # Sixth-order differences of p, f and D as numbers: none of sympy's derivatives.
    a, b = ends(made)
    x = np.linspace(a + 0.3 * (b - a), b - 0.3 * (b - a), 23)
    h, t = 2e-3 * (b - a), 0.4
    first = np.array([-1, 9, -45, 0, 45, -9, 1]) / 60
    second = np.array([2, -27, 270, -490, 270, -27, 2]) / 180

    def column(coefficient, y):
        return np.broadcast_to(coefficient(y[:, None], t), (len(y), 1))[:, 0]

    def flow(y):
        return column(made.problem.drift, y) * made.density(y, t)

    def spread(y):
        return column(made.problem.diffusion, y) ** 2 / 2 * made.density(y, t)

    k = np.arange(-3, 4)
    rate = sum(c * made.density(x, t + j * 1e-2) for c, j in zip(first, k, strict=True)) / 1e-2
    out = sum(c * flow(x + j * h) for c, j in zip(first, k, strict=True)) / h
    spreading = sum(c * spread(x + j * h) for c, j in zip(second, k, strict=True)) / h**2
    scale = np.abs(rate).max() + np.abs(out).max() + np.abs(spreading).max()
    assert np.abs(rate + out - spreading).max() < 1e-7 * scale
    assert min(np.abs(part).max() for part in (rate, out, spreading)) > 1e-2 * scale  # no term vanishes


@each
def test_the_residual_vanishes_and_that_of_a_misread_problem_does_not(made):
    a, b = ends(made)
    x = np.linspace(a + 0.3 * (b - a), b - 0.3 * (b - a), 23)
    assert max(np.abs(made.residual(x, t)).max() for t in (0.0, 0.5, 1.0)) < 1e-13
    assert np.abs(made.misread(1.01).residual(x, 0.5)).max() > 1e-4


@each
def test_laws_have_mass_one_and_their_distribution_function(made):
    a, b = ends(made)
    for t in (0.0, 0.7):
        law = made.law(t)
        assert isinstance(law, Law)
        middle = 0.4 * a + 0.6 * b
        mass = integrate.quad(lambda x, t=t: float(made.density(np.array([x]), t)[0]), a, middle, epsabs=1e-13)[0]
        assert law.cdf(np.array([a, middle, b])) == pytest.approx([0.0, mass, 1.0], abs=1e-11)
        draws = law.sample(20_000, np.random.default_rng(5))[:, 0]
        assert np.abs(np.sort(law.cdf(draws)) - (np.arange(20_000) + 0.5) / 20_000).max() < 0.02
        x = np.array([[middle]])
        slope = (law.log_density(x + 1e-4) - law.log_density(x - 1e-4)) / 2e-4
        assert law.score(x)[:, 0] == pytest.approx(slope, abs=1e-5)


@each
def test_no_flux_passes_the_walls(made):
    if made.problem.boundary.kind == "no_flux":
        at_walls = np.array([0.0, 1.0])
        symbol = next(s for s in made.flux.free_symbols if s.name == "x")
        time = next(s for s in made.flux.free_symbols if s.name == "t")
        flux = [float(made.flux.subs({symbol: x, time: 0.3})) for x in at_walls]
        assert flux == pytest.approx([0.0, 0.0], abs=1e-15)


@pytest.mark.parametrize("made", MADE[4:], ids=lambda m: m.problem.name)
def test_modes_have_one_clock_and_the_others_have_none(made):
    clock = time_change(made.problem, Grid(0, 1, 32))
    assert clock is not None
    ratio = clock.elapsed(0.0, 1.0) / clock.elapsed(0.0, 0.5)
    assert ratio == pytest.approx(1.5 / 0.625 if made.problem.boundary.kind == "no_flux" else 2.0, rel=1e-11)
    for other in MADE[:4]:
        assert time_change(other.problem, Grid(*ends(other), 64)) is None


@given(
    wave=st.floats(-0.3, 0.3),
    second=st.floats(-0.3, 0.3),
    rate=st.floats(0.1, 3),
    noise=st.floats(0.5, 1.5),
    bend=st.floats(-0.4, 0.4),
)
def test_any_cosines_are_solved_by_the_default_scheme(wave, second, rate, noise, bend):
    made = manufactured(
        f"1 + ({wave!r})*cos(pi*x)*cos({rate!r}*t) + ({second!r})*cos(2*pi*x)*exp(-t)",
        diffusion=f"{noise!r}*(1 + ({bend!r})*cos(pi*x))",
        boundary=UNIT,
    )
    solution = fpk.solve(made.problem, Grid(0, 1, 48), times=[1.0], steps=64)
    np.testing.assert_allclose(solution.density(1.0), made.density(solution.grid.centers, 1.0), atol=2e-5)


def test_a_drift_that_pushes_against_walls_lowers_the_order_to_two():
    made = instances.pushed_against_walls()
    cells = np.array([32, 48, 64, 96, 128])
    errors = []
    for n in cells:
        solution = fpk.solve(made.problem, Grid(0, 1, int(n)), times=[1.0], steps=64, scheme=ACCURATE)
        apart = solution.density(1.0) - made.density(solution.grid.centers, 1.0)
        errors.append(float(np.sqrt(apart**2 @ solution.grid.widths)))
    assert str(order_of(1 / cells, errors, order=2).outcome) == "CONFIRMED"
    assert str(order_of(1 / cells, errors, order=6).outcome) == "REFUTED"


def test_every_scheme_of_the_module_has_a_claim_about_its_order():
    schemes = [name for name, value in vars(discretisation).items() if isinstance(value, Scheme)]
    assert {"ACCURATE", "EXACT_IN_TIME", "MAGNUS", "SECOND_ORDER", "POSITIVE"} <= set(schemes)
    claims = load_catalogue(Path(fpk.__file__).parents[1] / "studies").claims
    assert {f"grid1d.mms-{name.lower().replace('_', '-')}" for name in schemes} <= set(claims)


@pytest.mark.parametrize(
    ("density", "options", "message"),
    [
        ("2 + cos(pi*x)", {}, r"F must run from 0 to 1, it runs from 0 to 2 at t=0.*Divide p by its mass"),
        ("1 + 2*cos(pi*x)", {}, r"must be positive on the whole domain, it is not at x=.*t=0"),
        (WAVE, {"distribution": "x"}, r"not the integral of the density: ∂F/∂x − p = 0\.5 at t=0\. Leave it out"),
        (WAVE, {"circulation": "1 + t"}, r"circulation=t \+ 1 needs a periodic boundary, this one is no_flux"),
        (WAVE, {"boundary": Boundary("absorbing", 0.0, 1.0)}, r"the boundary may be open, no_flux or periodic"),
        ("1 + y", {}, r"unknown symbols \['y'\]; it may use x and t"),
        ("__import__('os').getcwd()", {}, "no arithmetic"),
        ("1 +* x", {}, r"cannot read '1 \+\* x' as a formula"),
    ],
    ids=["mass", "negative", "distribution", "circulation", "absorbing", "symbol", "code", "syntax"],
)
def test_curves_that_are_not_densities_are_refused(density, options, message):
    with pytest.raises(ProblemError, match=message):
        manufactured(density, **({"diffusion": "1", "boundary": UNIT} | options))


def test_a_map_that_turns_back_is_refused():
    with pytest.raises(ProblemError, match=r"must increase in x, but ∂M/∂x = -1 at x=.*linear part larger"):
        transported("x + 2*sin(x)", diffusion="1")


def test_a_transported_gaussian_without_bend_is_the_moving_gaussian():
    made = transported("(x - sin(t))/(1 + t)", diffusion="1")
    x = np.linspace(-3, 3, 7)
    expected = np.exp(-0.5 * ((x - np.sin(0.5)) / 1.5) ** 2) / (1.5 * (2 * np.pi) ** 0.5)
    np.testing.assert_allclose(made.density(x, 0.5), expected, rtol=1e-14)
    # J/p = ẋ of the map: cos t + (x − sin t)/(1 + t); D ∂ log p = −½ (x − sin t)/(1 + t)².
    drift = np.cos(0.5) + (x - np.sin(0.5)) / 1.5 - 0.5 * (x - np.sin(0.5)) / 1.5**2
    np.testing.assert_allclose(made.problem.drift(x[:, None], 0.5)[:, 0], drift, rtol=1e-13, atol=1e-14)
