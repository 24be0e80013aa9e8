import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import fpk
from fpk.errors import GridError, MassAtEdges, NonFinite, SchemeError
from fpk.fokker_planck.conservative import conservative_flow
from fpk.grids import Grid
from fpk.laws import Gaussian, GaussianMixture
from fpk.orders import order_of
from fpk.problem import OPEN, Boundary, Problem

PEAKS = GaussianMixture([0.4, 0.6], [-0.3, 0.35], stds=[0.05, 0.1])


def cells_of(cdf, grid):
    return np.diff(cdf(grid.faces))


def test_a_linear_flow_gives_the_masses_of_the_moved_gaussian():
    run = conservative_flow(Problem("-2*x + 1", 0, initial=Gaussian(0.4, 0.5)), Grid(-3, 3, 60), times=[0.5], steps=60)
    growth = np.exp(-1.0)
    expected = cells_of(stats.norm(0.4 * growth + 0.5 * (1 - growth), 0.5 * growth).cdf, run.grid)
    np.testing.assert_allclose(run.masses[0], expected, atol=1e-8)


def test_a_nonlinear_flow_gives_the_masses_of_its_closed_form():
    # ẋ = −sin x: tan(x/2) decays like e^{−t}.
    run = conservative_flow(Problem("-sin(x)", 0, initial=Gaussian(0.2, 0.4)), Grid(-2, 2, 80), times=[0.8], steps=80)
    origin = 2 * np.arctan(np.tan(run.grid.faces / 2) * np.exp(0.8))
    np.testing.assert_allclose(run.masses[0], np.diff(stats.norm(0.2, 0.4).cdf(origin)), atol=1e-9)


def test_masses_are_of_fourth_order_in_the_steps():
    problem = Problem("-3*sin(x)*(1 + t)", 0, initial=Gaussian(0.3, 0.5))
    grid = Grid(-3, 3, 40)
    origin = 2 * np.arctan(np.tan(grid.faces / 2) * np.exp(3 * (0.5 + 0.125)))
    exact = np.diff(stats.norm(0.3, 0.5).cdf(origin))
    counts = np.array([8, 16, 32, 64, 128])
    errors = [
        np.abs(conservative_flow(problem, grid, times=[0.5], steps=int(n)).masses[0] - exact).sum() for n in counts
    ]
    assert str(order_of(1 / counts, np.array(errors), order=4, floor=1e-14).outcome) == "CONFIRMED"


@given(
    kind=st.sampled_from(["open", "no_flux", "periodic"]),
    push=st.floats(-3, 3),
    squeeze=st.floats(-8, 8),
    cells=st.integers(8, 60),
    steps=st.integers(1, 20),
)
def test_mass_is_conserved_and_never_negative(kind, push, squeeze, cells, steps):
    boundary = OPEN if kind == "open" else Boundary(kind, -1.0, 1.0)
    problem = Problem(
        lambda x, t: push * (1 + np.cos(np.pi * x)) + squeeze * np.sin(np.pi * x) * (1 + t),
        0,
        initial=PEAKS,
        boundary=boundary,
    )
    grid = Grid(-1, 1, cells) if kind != "open" else Grid(-20, 20, 20 * cells)
    run = conservative_flow(problem, grid, times=[0.0, 0.3, 1.0], steps=steps)
    np.testing.assert_allclose(run.mass, run.mass[0], rtol=0, atol=1e-14)
    assert run.minimum >= 0
    assert run.mass[0] == pytest.approx(1.0, abs=1e-6)


@given(speed=st.floats(-5, 5), cells=st.integers(12, 40))
def test_a_rotation_creates_no_extrema(speed, cells):
    problem = Problem(speed, 0, initial=PEAKS, boundary=Boundary("periodic", -1.0, 1.0))
    run = conservative_flow(problem, Grid(-1, 1, cells), times=[0.0, 1.0])
    climbs = np.diff(np.append(run.masses[1], run.masses[1, 0]))
    signs = np.sign(climbs[np.abs(climbs) > 1e-12])
    assert np.count_nonzero(signs != np.roll(signs, 1)) <= 4  # two peaks, two valleys
    assert run.density(1.0).max() <= PEAKS.density(np.linspace(-1, 1, 2001)[:, None]).max()


def test_a_full_turn_returns_every_mass():
    problem = Problem(2.0, 0, initial=PEAKS, boundary=Boundary("periodic", -1.0, 1.0))
    run = conservative_flow(problem, Grid(-1, 1, 30), times=[0.0, 1.0])
    np.testing.assert_allclose(run.masses[1], run.masses[0], atol=1e-12)


def test_characteristics_without_an_origin_are_served_where_tracing_densities_refuses():
    problem = Problem("x - x**3", 0, initial=Gaussian(0.0, 1.0))
    with pytest.raises(NonFinite):
        fpk.solve(problem, Grid(-8, 8, 64), times=[1.0])
    run = conservative_flow(problem, Grid(-8, 8, 64), times=[1.0], steps=400)
    # x/√|1 − x²| grows like e^t: x_0² = y² e^{−2} / (1 − y² (1 − e^{−2})) for y² below 1/(1 − e^{−2}), ∞ beyond.
    left = np.maximum(1 + run.grid.faces**2 * np.expm1(-2.0), 1e-300)
    origin = run.grid.faces * np.exp(-1.0) / np.sqrt(left)
    np.testing.assert_allclose(run.masses[0], np.diff(stats.norm.cdf(origin)), atol=1e-6)


def test_what_is_pressed_against_a_wall_stays_in_the_last_cell():
    problem = Problem(1.0, 0, initial=Gaussian(0.5, 0.05), boundary=Boundary("no_flux", 0.0, 1.0))
    run = conservative_flow(problem, Grid(0, 1, 10), times=[1.0])
    np.testing.assert_allclose(run.masses[0], np.eye(10)[-1], atol=1e-12)


def test_absorbing_walls_remove_what_reaches_them():
    problem = Problem(1.0, 0, initial=Gaussian(0.5, 0.05), boundary=Boundary("absorbing", 0.0, 1.0))
    run = conservative_flow(problem, Grid(0, 1, 10), times=[0.25, 0.5, 1.0])
    np.testing.assert_allclose(run.mass, [1.0, 0.5, 0.0], atol=1e-6)


def test_expectations_and_levels_are_those_of_the_law():
    run = conservative_flow(Problem("-x", 0, initial=Gaussian(1.0, 0.5)), Grid(-4, 4, 320), times=[1.0])
    law = Gaussian(np.exp(-1.0), 0.5 * np.exp(-1.0))
    answer = run.expect(fpk.law_panel({1.0: law}))
    expected = fpk.LawMarginals({1.0: law}, (1.0,)).expect(fpk.law_panel({1.0: law}))
    np.testing.assert_allclose(answer.value, expected.value, atol=0.05)
    # Slopes of the cubics are of second order: an error below h³ max|F'''| / 16, with |F'''| < .4/.18³.
    np.testing.assert_allclose(answer.thresholds, expected.thresholds, atol=0.025**3 * 0.4 / 0.18**3 / 16)
    assert np.all(np.isinf(answer.bias_bound))


def test_stretched_cells_hold_the_same_law():
    run = conservative_flow(
        Problem("-x", 0, initial=Gaussian(1.0, 0.5)), Grid(-6, 6, 60, focus=0.3, breadth=0.5), times=[1.0]
    )
    assert run.levels[0, -1] == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(
        run.masses[0], cells_of(stats.norm(np.exp(-1), 0.5 * np.exp(-1)).cdf, run.grid), atol=1e-7
    )


@pytest.mark.parametrize(
    ("problem", "grid", "error", "message"),
    [
        (Problem("-x", 1.0, initial=PEAKS), Grid(-2, 2, 20), SchemeError, r"number 0 as the diffusion.*use fpk\.solve"),
        (Problem(9.0, 0, initial=PEAKS), Grid(-2, 2, 20), MassAtEdges, r"1 of the mass lies outside \[-2, 2\].*Widen"),
        (Problem(lambda x, t: -x, 0, initial=Gaussian([0.0, 0.0])), Grid(-2, 2, 20), SchemeError, "d = 2"),
        (Problem("-sqrt(x + 1)", 0, initial=PEAKS), Grid(-2, 2, 20), NonFinite, r"the drift is \[nan\]"),
        (
            Problem("-x", 0, initial=PEAKS, boundary=Boundary("no_flux", -1.0, 1.0)),
            Grid(-2, 2, 20),
            GridError,
            r"lives on \[-1, 1\]",
        ),
    ],
    ids=["noise", "outside", "plane", "nan", "walls"],
)
def test_what_it_cannot_serve_is_refused_with_the_remedy(problem, grid, error, message):
    with pytest.raises(error, match=message):
        conservative_flow(problem, grid, times=[1.0])


def test_steps_must_be_positive():
    with pytest.raises(SchemeError, match="whole number of steps ≥ 1, got steps=0"):
        conservative_flow(Problem("-x", 0, initial=PEAKS), Grid(-2, 2, 20), times=[1.0], steps=0)
