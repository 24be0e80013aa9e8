"""Flows without noise on product grids: closed forms, sympy's derivatives, and the called route against the compiled one."""

import numba
import numpy as np
import pytest
import sympy
from scipy import linalg

import fpk
from fpk.errors import MassAtEdges, NonFinite, SchemeError
from fpk.fokker_planck.characteristics import divergence, followed, log_density, pushed
from fpk.fokker_planck.product.flow import _rough_mesh, divided, flowed
from fpk.fokker_planck.product.tracks import TILE, Tracks
from fpk.tracing import NotTraceable, greater, maximum, minimum, traceable, where

ANGLES = np.arange(4) * np.pi / 2
RING = fpk.GaussianMixture([0.25] * 4, 2 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1), stds=[0.3] * 4)
VP = fpk.noising(fpk.VPSchedule(0.1, 20.0), RING)
EXACT = fpk.exact(VP, times=[1.0])
FLOW = fpk.probability_flow(VP, EXACT.score)
BOX = fpk.Grid(-6, 6, cells=48) ** 2
SPIN = np.array([[-0.3, -2.0], [1.5, 0.4]])


def exact_density(t, grid):
    return np.exp(EXACT.law(t).log_density(grid.points)).reshape(grid.shape)


def off(run, t):
    return np.abs(run.density(t) - exact_density(t, run.grid)).sum() * run.grid.volume


def test_a_probability_flow_with_the_exact_score_has_the_marginals_of_its_sde():
    run = flowed(FLOW, BOX, times=[0.25, 1.0], steps=72)
    assert off(run, 0.25) < 1e-6
    assert off(run, 1.0) < 1e-6
    assert run.minimum >= 0


def test_left_open_the_steps_are_as_many_as_are_needed():
    assert off(flowed(FLOW, BOX, times=[0.25]), 0.25) < 3e-7


def test_densities_converge_at_the_fourth_order():
    errors = [off(flowed(FLOW, BOX, times=[0.25], steps=n), 0.25) for n in (16, 32)]
    assert 3.5 < np.log2(errors[0] / errors[1]) < 5.5


def test_the_mass_defect_is_at_most_the_error():
    run = flowed(FLOW, BOX, times=[1.0], steps=24)
    assert 0.0 < run.defect[0] <= off(run, 1.0) + 1e-7


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_linear_flow_turns_a_gaussian(dimension):
    A = SPIN if dimension == 2 else np.array([[-0.3, -1.0, 0.2], [1.0, 0.1, 0.0], [0.0, 0.3, -0.2]])
    start = fpk.Gaussian([0.8, -0.3, 0.2][:dimension], 0.4)
    problem = fpk.Problem(fpk.Linear(A), 0.0, initial=start)
    grid = fpk.Grid(-5, 5, cells=24) ** dimension
    E = linalg.expm(0.7 * A)
    expected = np.exp(start.pushed(E, np.zeros(dimension), np.zeros_like(A)).log_density(grid.points))
    np.testing.assert_allclose(flowed(problem, grid, times=[0.7], steps=60).density(0.7).ravel(), expected, atol=1e-6)


def test_expectations_and_joint_expectations_follow_the_points():
    problem = fpk.Problem(fpk.Linear(SPIN), 0.0, initial=fpk.Gaussian([0.8, -0.3], 0.4))
    run = flowed(problem, BOX, times=[0.3, 0.7], steps=80)
    first, second = (run.points(t) for t in run.times)
    np.testing.assert_allclose(run.weights @ second, linalg.expm(0.7 * SPIN) @ [0.8, -0.3], atol=1e-7)
    moment = 0.16 * np.eye(2) + np.outer([0.8, -0.3], [0.8, -0.3])
    crossed = np.einsum("n,ni,nj->ij", run.weights, first, second)
    np.testing.assert_allclose(crossed, linalg.expm(0.3 * SPIN) @ moment @ linalg.expm(0.7 * SPIN).T, atol=1e-7)


def test_a_law_that_becomes_narrower_than_the_cells_is_summed_over_points():
    problem = fpk.Problem(fpk.Linear(-6.0), 0.0, initial=fpk.Gaussian([0.8, -0.3], 0.4))
    run = flowed(problem, fpk.Grid(-3, 3, cells=40) ** 2, times=[0.3], steps=80)
    assert run.defect[0] > 1e-2
    law = problem.initial.pushed(np.exp(-6 * 0.3) * np.eye(2), np.zeros(2), np.zeros((2, 2)))
    exact = fpk.LawMarginals({0.3: law}, (0.3,)).expect(panel := fpk.panels.law_panel({0.3: law}))
    np.testing.assert_allclose(run.unbudgeted(panel).value, exact.value, atol=1e-6)


def test_a_flow_is_confirmed_by_exact_laws_on_panels_and_the_wrong_velocity_refuted():
    spiral = fpk.Problem(fpk.Linear(SPIN), np.array([[0.9, 0.0], [0.4, 0.7]]), initial=fpk.Gaussian([0.8, -0.3], 0.4))
    exact, grid = fpk.exact(spiral, times=[0.4]), fpk.Grid(-5, 5, cells=48) ** 2

    def verdict(scale):
        flow = fpk.probability_flow(spiral, lambda x, t: scale * exact.score(x, t))
        return fpk.compare(fpk.solve(flow, grid, times=[0.4], steps=24), exact, tolerance=1e-4)

    assert verdict(1.0).outcome is fpk.Outcome.CONFIRMED, str(verdict(1.0))
    assert verdict(1.02).outcome is fpk.Outcome.REFUTED, str(verdict(1.02))


FORMULAS = (
    ["x0*x1/(2 + x1**2) - exp(-x0)/3", "sin(x0)*cosh(x1)/5 + t*tanh(x1)"],
    ["log(3 + x0**2 + x1)*sqrt(4 + x1)", "atan(x0 - x1**3/7) - tan(x1/9) + sinh(x0)/4"],
    ["(2 + x0/3)**x1 + abs(x0 - 0.1)", "3**(x1/2) + cos(x0*x1) - (x0 + 2)**2.3"],
)


@pytest.mark.parametrize("given", FORMULAS, ids=["quotients", "roots", "powers"])
def test_divergences_of_compiled_velocities_are_those_of_sympy(given):
    x0, x1, t = sympy.symbols("x0 x1 t", real=True)
    v = [sympy.sympify(text, locals={"x0": x0, "x1": x1, "t": t}) for text in given]
    expected = sympy.lambdify([x0, x1, t], sympy.diff(v[0], x0) + sympy.diff(v[1], x1), "numpy")
    problem = fpk.Problem(given, 0.0, initial=fpk.Gaussian([0.0, 0.0], 0.3))
    x = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    h = 1e-3  # a short step gains h ∇·v at its middle, up to O(h³)
    end, gained = Tracks(problem, np.array([0.5, 0.5 + h])).moved(x)
    middle = 0.5 * (x + end)
    np.testing.assert_allclose(gained / h, expected(*middle.T, 0.5 + h / 2), rtol=2e-5, atol=2e-5)


def test_divergences_of_choices_are_those_of_what_is_chosen():
    @traceable
    def velocity(x, t):
        a, b = x[:, 0], x[:, 1]
        one = maximum(a, 2 * b) + minimum(a * a, 0.25)
        return np.stack([one, where(greater(a, b), a * b, 3 * b)], axis=1)

    problem = fpk.Problem(velocity, 0.0, initial=fpk.Gaussian([0.0, 0.0], 0.3))
    x = np.array([[0.8, 0.1], [0.2, 0.6], [0.3, -0.7], [-0.9, -0.2]])
    a, b = x.T
    expected = (a > 2 * b) + 2 * a * (a * a < 0.25) + np.where(a > b, a, 3.0)
    gained = Tracks(problem, np.array([0.0, 1e-9])).moved(x)[1]
    np.testing.assert_allclose(gained / 1e-9, expected, atol=1e-7)


def test_the_called_route_and_the_compiled_one_agree():
    mesh, x = np.linspace(0.6, 0.1, 9), np.random.default_rng(0).uniform(-2, 2, (60, 2))
    called = fpk.Problem(lambda x, t: FLOW.drift(x, t), 0.0, initial=RING)
    with pytest.raises(NotTraceable):
        Tracks(called, mesh)
    for ours, theirs in zip(Tracks(FLOW, mesh).moved(x), followed(called, x, mesh), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_a_users_compiled_velocity_is_called():
    @numba.njit
    def swirl(x, t):
        return -x[1] * (1 + x[0] ** 2), x[0]

    problem = fpk.Problem(swirl, 0.0, initial=fpk.Gaussian([0.2, 0.0], 0.2))
    same = fpk.Problem(["-x1*(1 + x0**2)", "x0"], 0.0, initial=problem.initial)
    grid = fpk.Grid(-2, 2, cells=24) ** 2
    first, second = (flowed(p, grid, times=[0.4], steps=20).densities for p in (problem, same))
    np.testing.assert_allclose(first, second, atol=1e-8)


def test_a_point_moves_the_same_wherever_it_stands_among_others():
    tracks, x = Tracks(FLOW, np.linspace(0.5, 0.0, 5)), BOX.points
    ends, volumes = tracks.moved(x)
    some = slice(TILE - 5, 2 * TILE + 7)
    again = tracks.moved(x[some])
    np.testing.assert_array_equal(ends[some], again[0])
    np.testing.assert_array_equal(volumes[some], again[1])


def test_rough_steps_are_short_where_a_narrow_law_widens():
    narrow = fpk.noising(fpk.VESchedule(0.01, 5.0), fpk.Gaussian([1.0, 0.0], 0.01))
    mesh = _rough_mesh(fpk.probability_flow(narrow, fpk.exact(narrow, times=[1.0]).score), (1.0,))
    assert np.diff(mesh)[0] < 0.3 * np.diff(mesh).max()


def test_a_divided_mesh_keeps_its_instants():
    mesh = np.array([0.0, 0.1, 0.5])
    np.testing.assert_allclose(divided(mesh, 2), [0.0, 0.05, 0.1, 0.3, 0.5])


def test_divergences_in_several_dimensions_by_form_and_by_differences():
    x = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    linear = fpk.Problem(fpk.Linear(SPIN), 0.0, initial=fpk.Gaussian([0.0, 0.0], 1.0))
    np.testing.assert_allclose(divergence(linear, x, 0.0), np.full(20, 0.1), rtol=1e-14)
    bent = fpk.Problem(lambda x, t: np.sin(x) * x[:, ::-1], 0.0, initial=linear.initial)
    np.testing.assert_allclose(
        divergence(bent, x, 0.0), np.cos(x[:, 0]) * x[:, 1] + np.cos(x[:, 1]) * x[:, 0], atol=1e-10
    )


def test_points_and_densities_of_the_called_route_take_positions_as_rows():
    problem = fpk.Problem(fpk.Linear(SPIN), 0.0, initial=fpk.Gaussian([0.8, -0.3], 0.4))
    x = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    E = linalg.expm(0.5 * SPIN)
    np.testing.assert_allclose(pushed(problem, x, (0.5,), 50)[0], x @ E.T, atol=1e-7)
    expected = problem.initial.pushed(E, np.zeros(2), np.zeros((2, 2))).log_density(x)
    np.testing.assert_allclose(log_density(problem, x, 0.5, 50), expected, atol=1e-5)


def test_noise_is_refused():
    with pytest.raises(SchemeError, match=r"use fpk\.solve"):
        flowed(VP, BOX, times=[1.0])


def test_a_box_that_loses_the_law_is_refused():
    away = fpk.Problem(fpk.Linear(0.0, np.array([5.0, 0.0])), 0.0, initial=fpk.Gaussian([0.0, 0.0], 0.4))
    with pytest.raises(MassAtEdges, match=r"of the mass is outside at t=1"):
        flowed(away, fpk.Grid(-3, 3, cells=24) ** 2, times=[1.0], steps=10)


def test_points_that_come_from_nowhere_are_refused():
    problem = fpk.Problem(["-x0**3", "-x1"], 0.0, initial=fpk.Gaussian([0.0, 0.0], 1.0))
    with pytest.raises(NonFinite, match="on its way to t=0"):
        flowed(problem, fpk.Grid(-6, 6, cells=24) ** 2, times=[1.0], steps=10)


def test_time_zero_is_the_initial_law():
    run = flowed(FLOW, BOX, times=[0.0])
    np.testing.assert_array_equal(run.densities[0].ravel(), np.exp(RING.log_density(BOX.points)))
