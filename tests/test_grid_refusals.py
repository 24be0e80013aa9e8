"""Bad input for the one-dimensional grid: what is refused, with which words, and what is served however bad it looks."""

import numpy as np
import pytest

import fpk
from fpk.errors import GridError, MassAtEdges, NonFinite, ProblemError, SchemeError
from fpk.fokker_planck import discretisation
from fpk.fokker_planck.adaptive import solve_to
from fpk.fokker_planck.backward import backward, exit_probability
from fpk.fokker_planck.boxes import fitted_grid
from fpk.fokker_planck.conservative import conservative_flow
from fpk.fokker_planck.discretisation import ACCURATE, EXACT_IN_TIME, MAGNUS, POSITIVE, Scheme
from fpk.fokker_planck.fluxes import WellBalanced6
from fpk.fokker_planck.reversal import JUMPS, reversed_on_grid
from fpk.fokker_planck.solver import solve
from fpk.fokker_planck.stationary import stationary
from fpk.fokker_planck.transitions import transition_density
from fpk.grids import Grid
from fpk.laws import Gaussian
from fpk.problem import Boundary, Problem

SCHEMES = [value for value in vars(discretisation).values() if isinstance(value, Scheme)]
each_scheme = pytest.mark.parametrize("scheme", SCHEMES, ids=str)
START, BOX = Gaussian(0.0, 0.3), Grid(-3, 3, 64)
WALLS = Boundary("no_flux", -1.0, 1.0)


# -- Péclet numbers ----------------------------------------------------------------------------------------------------


@each_scheme
@pytest.mark.parametrize("speed", [1e2, 1e4, 1e6, 1e8])
def test_any_cell_peclet_number_stays_bounded_and_warns_nothing(scheme, speed):
    # The drift presses everything into one cell: |f| h/D up to 1e7, and a density that no grid function can follow.
    problem = Problem(lambda x, t: -speed * x, 1.0, initial=Gaussian(0.3, 0.15), boundary=WALLS)
    solution = solve(problem, Grid(-1, 1, 40), times=[0.0, 1e-2 / speed, 1.0], steps=10, scheme=scheme)
    # Columns of the rate matrix sum to zero up to ε times its entries.
    entries = 8 * speed / 0.05
    np.testing.assert_allclose(solution.mass, solution.mass[0], rtol=0, atol=1e-12 + np.finfo(float).eps * entries)
    assert np.abs(solution.densities[-1]).max() * 0.05 < 1.0  # less than all of the mass in any one cell
    assert solution.minimum == solution.densities.min()
    assert solution.minimum >= 0 if scheme.positive else solution.minimum > -5


def test_an_undershoot_is_reported_and_the_positive_scheme_has_none():
    problem = Problem("-100*x", 0.1, initial=Gaussian(0.4, 0.15), boundary=WALLS)
    grid = Grid(-1, 1, 40)
    assert solve(problem, grid, times=[0.01]).minimum < -1e-3
    assert solve(problem, grid, times=[0.01], positive=True).minimum >= 0
    with pytest.raises(GridError, match=r"falls to -.*\(peak .*\): not resolved\. Use more cells, or positive=True"):
        solve(problem, grid, times=[0.05]).law(0.05)


# -- noise -------------------------------------------------------------------------------------------------------------


def test_negative_noise_is_refused_with_the_convention():
    with pytest.raises(ProblemError, match=r"diffusion g must not be negative, got -1 at t=0.*diffusivity is ½g²"):
        Problem("-x", -1.0, initial=START)


@each_scheme
def test_noise_that_vanishes_somewhere_is_refused_by_every_scheme(scheme):
    problem = Problem("-x", "abs(x)", initial=START)
    with pytest.raises(
        SchemeError, match=r"diffusion vanishes at x=0: .*degenerate there.*the number 0.*fpk\.simulate"
    ):
        solve(problem, BOX, times=[0.5], scheme=scheme)


def test_noise_that_vanishes_everywhere_but_is_not_the_number_zero_is_refused():
    with pytest.raises(SchemeError, match=r"diffusion vanishes at x=-2\.9.*pass the number 0"):
        solve(Problem("-x", lambda t: 0.0, initial=START), BOX, times=[0.5])


def test_noise_that_vanishes_at_a_moment_is_served():
    problem = Problem("-x", lambda t: t, initial=START)
    solution = solve(problem, BOX, times=[0.5])
    assert solution.mass[0] == pytest.approx(1.0, abs=1e-9)
    assert solution.plan.scheme == ACCURATE


@each_scheme
def test_zero_noise_goes_along_characteristics_whatever_the_scheme(scheme):
    solution = solve(Problem("-x", 0, initial=START), BOX, times=[0.5], scheme=scheme)
    assert solution.source.startswith("flow, characteristics")


# -- schemes -----------------------------------------------------------------------------------------------------------


def test_one_exponential_is_refused_without_a_clock_with_the_scheme_to_take():
    problem = Problem("-x*(1 + t)", 1.0, initial=START, name="stiffening spring")
    message = r"exponential needs drift and diffusivity that change in time by one common factor.*those of stiffening spring do not.*MAGNUS"
    with pytest.raises(SchemeError, match=message):
        solve(problem, BOX, times=[0.5], scheme=EXACT_IN_TIME)
    for scheme in (MAGNUS, ACCURATE, None):
        assert solve(problem, BOX, times=[0.5], scheme=scheme).mass[0] == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if not s.positive], ids=str)
def test_a_promise_of_positivity_is_refused_by_schemes_that_undershoot(scheme):
    with pytest.raises(SchemeError, match=r"positive=True needs an M-matrix flux.*can undershoot.*drop positive=True"):
        solve(Problem("-x", 1.0, initial=START), BOX, times=[0.5], scheme=scheme, positive=True)


@pytest.mark.parametrize("scheme", ["ACCURATE", 4, fpk.solve])
def test_a_scheme_must_be_a_scheme(scheme):
    with pytest.raises(SchemeError, match=r"scheme must be a Scheme, got .*EXACT_IN_TIME.*or leave it out"):
        solve(Problem("-x", 1.0, initial=START), BOX, times=[0.5], scheme=scheme)


@pytest.mark.parametrize("steps", [0, -1, 2.5, np.nan])
def test_steps_must_be_a_whole_number(steps):
    with pytest.raises(SchemeError, match=r"needs a whole number of steps ≥ 1, got steps="):
        solve(Problem("-x", 1.0, initial=START), BOX, times=[0.5], steps=steps)


# -- grids -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("focus", "breadth"),
    [
        (0.0, None),
        (None, 1.0),
        (0.0, 0.0),
        (0.0, -1.0),
        (np.nan, 1.0),
        (0.0, np.nan),
        (np.inf, 1.0),
        (0.0, np.inf),
        ("0", 1.0),
    ],
)
def test_stretched_grids_need_a_finite_focus_and_a_positive_breadth(focus, breadth):
    with pytest.raises(
        GridError, match=r"needs both a finite focus= and breadth > 0, got focus=.*For a uniform grid give neither"
    ):
        Grid(-1, 1, 64, focus=focus, breadth=breadth)


@pytest.mark.parametrize("cells", [7, 10.5, np.nan, np.inf, "64", None, -64])
def test_cells_are_a_whole_number(cells):
    with pytest.raises(GridError, match=r"whole number of at least 8 cells \(the widest stencil\), got cells="):
        Grid(-1, 1, cells)


@pytest.mark.parametrize("ends", [(np.nan, 1.0), (0.0, np.inf), (1.0, 1.0), (2.0, 1.0), ("0", 1.0)])
def test_ends_are_finite_and_in_order(ends):
    with pytest.raises(GridError, match=r"a grid needs finite lower < upper, got \["):
        Grid(*ends, cells=64)


def test_a_ring_has_no_stretched_grid():
    problem = Problem(1.0, 1.0, initial=Gaussian(0.0, 0.2), boundary=Boundary("periodic", -1.0, 1.0))
    with pytest.raises(GridError, match=r"periodic domain needs a uniform grid.*Leave focus= out"):
        solve(problem, Grid(-1, 1, 64, focus=0.0, breadth=0.5), times=[0.5])


@pytest.mark.parametrize("kind", ["no_flux", "periodic", "absorbing"])
def test_a_grid_that_does_not_span_the_walls_is_refused_with_the_one_that_does(kind):
    problem = Problem(1.0, 1.0, initial=Gaussian(0.0, 0.2), boundary=Boundary(kind, -1.0, 1.0))
    with pytest.raises(
        GridError, match=rf"lives on \[-1, 1\] \({kind}\) but the grid spans \[-3, 3\]; use Grid\(-1, 1, cells=64\)"
    ):
        solve(problem, BOX, times=[0.5])


@pytest.mark.parametrize("stretch", [{}, {"focus": 0.0, "breadth": 1.0}], ids=["uniform", "stretched"])
@each_scheme
def test_mass_that_reaches_the_edges_is_refused_with_time_and_size(scheme, stretch):
    problem = Problem(4.0, 1.0, initial=START)
    message = r"the box \[-3, 3\] is too small: 0\.\d+ of the mass sits at its edges at t=1 \(allowed 0\.001\).*Widen the grid"
    with pytest.raises(MassAtEdges, match=message):
        solve(problem, Grid(-3, 3, 64, **stretch), times=[0.1, 1.0], scheme=scheme)


@pytest.mark.parametrize(
    "law", [Gaussian(0.0, 0.01), Gaussian(9.0, 0.3), Gaussian(0.0, 3.0)], ids=["thin", "out", "wide"]
)
def test_an_initial_law_that_the_grid_does_not_hold_is_refused(law):
    with pytest.raises(
        GridError,
        match=r"64 cells of width 0\.0938 on \[-3, 3\] hold .* of the initial mass.*Use more cells or a wider box",
    ):
        solve(Problem("-x", 1.0, initial=law), BOX, times=[0.5])


# -- numbers that are none ---------------------------------------------------------------------------------------------


@each_scheme
def test_a_drift_that_is_no_number_says_where_and_when(scheme):
    problem = Problem(lambda x, t: np.where(x > 1, np.nan, -x), 1.0, initial=START)
    with pytest.raises(
        NonFinite, match=r"the drift is \[nan\] at x=\[1\.0\d+\], t=.*restrict the domain \(boundary=\)"
    ):
        solve(problem, BOX, times=[0.5], scheme=scheme)


def test_a_diffusion_that_is_no_number_says_where_and_when():
    problem = Problem("-x", lambda x, t: np.where(x > 1, np.nan, 1.0), initial=START)
    with pytest.raises(NonFinite, match=r"the diffusion is \[nan\] at x=\[1\.0\d+\], t=0"):
        solve(problem, BOX, times=[0.5])


def test_a_drift_that_grows_without_bound_says_when():
    with pytest.raises(NonFinite, match=r"the drift is \[inf\] at x=.*, t=0\.25"):
        solve(Problem("1/(t - 0.25)**2", 1.0, initial=START), BOX, times=[0.25], scheme=POSITIVE)


@pytest.mark.parametrize("times", [[np.nan], [-0.1], [1.5], [], 0.5])
def test_times_must_lie_within_the_horizon(times):
    with pytest.raises(ProblemError, match="times must"):
        solve(Problem("-x", 1.0, initial=START), BOX, times=times)


# -- around the forward solve ------------------------------------------------------------------------------------------

SPRING = Problem("-x", 1.0, initial=START)
LEAKY = Problem("-x", 1.0, initial=Gaussian(0.0, 0.1), boundary=Boundary("absorbing", -1.0, 1.0))
SHUT = Grid(-1, 1, 64)
STILL = Problem("-x", 0, initial=START)
PLANE = Problem(lambda x, t: -x, 1.0, initial=Gaussian([0.0, 0.0], 1.0))
POSITIONS = r"one finite number for each of the 64 positions of shape \(64, 1\), "


@pytest.mark.parametrize(
    ("payoff", "message"),
    [
        ("x**2", r"payoff must be a function of positions, got 'x\*\*2'"),
        (1.0, r"payoff must be a function of positions, got 1\.0"),
        (np.log, POSITIONS + r"it is nan at x=-2\.953"),
        (lambda x: np.where(x > 0, np.inf, x), POSITIONS + r"it is inf at x=0\.04688"),
        (lambda x: 1.0, POSITIONS + r"got float64 of shape \(\)"),
        (lambda x: np.exp(1j * x), POSITIONS + r"got complex128 of shape \(64, 1\).*complex payoffs in two parts"),
        (lambda x: np.hstack([x, x]), POSITIONS + r"got float64 of shape \(64, 2\)"),
    ],
)
def test_a_payoff_that_is_none_says_what_came_and_where(payoff, message):
    with pytest.raises(ProblemError, match=message):
        backward(SPRING, BOX, payoff=payoff, times=[0.0])


@pytest.mark.parametrize("x", [[3.5], [np.nan], [-9.0, 0.0]])
def test_functions_of_the_start_are_not_continued_beyond_the_grid(x):
    u = backward(SPRING, BOX, payoff=lambda x: x, times=[0.0])
    with pytest.raises(GridError, match=r"values are known on \[-3, 3\], asked for at x from"):
        u.on(np.array(x), 0.0)
    with pytest.raises(GridError, match=r"values are known on \[-1, 1\], asked for at x from"):
        exit_probability(LEAKY, SHUT).on(np.array(x))


@pytest.mark.parametrize("flux", ["upwind", WellBalanced6, 6])
def test_a_flux_must_be_a_flux(flux):
    for route, problem, grid in ((stationary, SPRING, BOX), (exit_probability, LEAKY, SHUT)):
        with pytest.raises(
            SchemeError, match=r"flux must be WellBalanced6\(\) or ScharfetterGummel\(\).*got .*Leave it out"
        ):
            route(problem, grid, flux=flux)


@pytest.mark.parametrize("start", ["0", [0.0, 1.0], np.array([0.0, 1.0]), None])
def test_a_transition_has_one_start(start):
    with pytest.raises(ProblemError, match="the start must be one number, got"):
        transition_density(SPRING, BOX, start=start, times=[0.5])


def _ahead():
    return solve(SPRING, BOX, times=list(np.linspace(0, 1, 11)), scheme=JUMPS)


@pytest.mark.parametrize("times", [0.5, [], [2.0], [-0.1], [np.nan]])
def test_reverse_times_lie_in_what_is_stored(times):
    with pytest.raises(ProblemError, match=r"reverse times must be a list of times in \[0, 1\].*got .*Leave them out"):
        reversed_on_grid(_ahead(), times=times)


@pytest.mark.parametrize("start", [np.ones(3), np.full(64, np.nan), 1.0])
def test_a_reversal_starts_from_one_finite_density_per_cell(start):
    with pytest.raises(ProblemError, match=r"start= must be one finite density for each of the 64 cells, got shape"):
        reversed_on_grid(_ahead(), start=start)


@pytest.mark.parametrize("steps", [0, -1, 2.5, np.nan, "4"])
def test_reversals_and_flows_take_whole_steps(steps):
    with pytest.raises(SchemeError, match=r"a reversal needs a whole number of steps ≥ 1, got steps="):
        reversed_on_grid(_ahead(), steps=steps)
    with pytest.raises(SchemeError, match=r"a flow needs a whole number of steps ≥ 1, got steps="):
        conservative_flow(STILL, BOX, times=[0.5], steps=steps)


def test_only_grid_solutions_are_reversed_on_the_grid():
    with pytest.raises(SchemeError, match=r"needs what fpk\.solve returns, got LawMarginals.*fpk\.reverse_time"):
        reversed_on_grid(fpk.exact(SPRING, times=[1.0]))


def test_what_has_two_dimensions_is_sent_elsewhere():
    for refused in (
        lambda: solve(PLANE, BOX, times=[0.5]),
        lambda: backward(PLANE, BOX, payoff=lambda x: x, times=[0.5]),
        lambda: transition_density(PLANE, BOX, start=0.0, times=[0.5]),
        lambda: stationary(PLANE, BOX),
        lambda: fitted_grid(PLANE, times=[0.5]),
        lambda: solve_to(PLANE, BOX, times=[0.5], accuracy=1e-6),
    ):
        with pytest.raises(SchemeError, match=r"one-dimensional, this problem has d = 2\. Use .*fpk\.simulate"):
            refused()


@pytest.mark.parametrize("asked", [0, 1.0, "1e-6", np.nan])
def test_fitted_grids_refuse_accuracies_that_are_none(asked):
    for name in ("accuracy", "outside"):
        with pytest.raises(GridError, match=rf"{name} must lie between 1e-14 and 1e-2, got .*Leave it out"):
            fitted_grid(SPRING, times=[0.5], **{name: asked})
