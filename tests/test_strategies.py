"""Strategies: what they shrink to, what they promise, how counterexamples read; and four laws of the theory held for all that they draw."""

from __future__ import annotations

import ast
import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from scipy import integrate

import fpk
from fpk import strategies as drawn
from fpk.errors import NoClosedForm, ProblemError

#: What counterexamples are pasted after.
PASTED = "from numpy import array\nfrom fpk import *\nfrom fpk.strategies import *"
PLANE, SPACE = {"min_dimension": 2, "max_dimension": 2}, {"min_dimension": 3, "max_dimension": 3}
ANYWHERE = {"max_dimension": 3}


# -- the simplest ------------------------------------------------------------------------------------------------------


SEARCH = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def simplest(strategy, wanted=lambda _: True):
    return find(strategy, wanted, settings=SEARCH)


def parts(problem):
    """What a problem is, in numbers: drift and noise at three places and two times, start, horizon and walls."""
    x = np.linspace(-0.9, 0.8, 3)[:, None] * np.arange(1, problem.dimension + 1)
    values = [coefficient(x, t) for coefficient in (problem.drift, problem.diffusion) for t in (0.2, 0.7)]
    return [*values, problem.initial.log_density(x), problem.horizon, repr(problem.boundary)]


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(parts(first), parts(second), strict=True))


def ou(dimension=1, rate=1.0):
    start = fpk.Gaussian([0.0] * dimension, 1.0)
    return fpk.Problem(fpk.Linear(-rate), 1.0, initial=start)


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("name", ["problems", "linear_problems", "langevin_problems", "smooth_problems"])
def test_problems_shrink_to_the_ornstein_uhlenbeck_process_of_rate_one(name, dimension):
    problem = simplest(getattr(drawn, name)(min_dimension=dimension, max_dimension=3))
    for got, expected in zip(parts(problem)[:-1], parts(ou(dimension))[:-1], strict=True):
        np.testing.assert_allclose(
            np.broadcast_to(got, np.shape(expected)), expected, rtol=1e-9
        )  # −U' is a difference of U
    assert problem.boundary.kind == "open"
    if name in ("problems", "linear_problems"):
        assert problem.drift.linear is not None


def test_the_others_shrink_to_the_simplest_of_their_kind():
    assert repr(simplest(drawn.gaussians(**ANYWHERE))) == repr(simplest(drawn.mixtures(**ANYWHERE)))
    assert repr(simplest(drawn.gaussians())) == repr(fpk.Gaussian(0.0, 1.0))
    assert simplest(drawn.schedules()) == fpk.VPSchedule(1.0)
    assert simplest(drawn.drifts(**ANYWHERE)) == fpk.Linear(-1.0)
    assert simplest(drawn.diffusions(**ANYWHERE)) == 1.0
    assert simplest(drawn.spd_tensors()).tolist() == [[1.0]]
    assert simplest(drawn.boundaries()) == fpk.Boundary()
    assert simplest(drawn.grids(ou())) == fpk.Grid(-7.0, 7.0, cells=simplest(drawn.grids(ou())).cells)
    noised = simplest(drawn.noising_problems(**ANYWHERE))
    assert noised.schedule == fpk.VPSchedule(1.0)
    assert repr(noised.initial) == repr(fpk.Gaussian(0.0, 1.0))
    walled = simplest(drawn.walled_problems())
    assert (walled.boundary, walled.drift.given) == (fpk.Boundary("no_flux", -1.0, 1.0), drawn.WavyDrift(1.0))


def test_what_only_strong_noise_breaks_shrinks_to_an_ou_process_with_strong_noise():
    problem = simplest(drawn.linear_problems(), lambda p: p.steady and float(p.diffusion.constant) > 1.2)
    assert same(replace(problem, diffusion=1.0), ou())


# -- what is promised --------------------------------------------------------------------------------------------------


def steepness(drift, x, y, t):
    return np.linalg.norm(drift(x, t) - drift(y, t), axis=1) / np.linalg.norm(x - y, axis=1)


LINE = np.linspace(-10, 10, 2001)[:, None]


@settings(max_examples=60)
@given(drift=drawn.drifts(kinds=["wavy"], lipschitz=2.0))
def test_waves_have_the_lipschitz_constant_they_tell_and_keep_to_the_bound(drift):
    """Secants on a fine line show a wave its steepest place."""
    steepest = max(steepness(drift, LINE[1:], LINE[:-1], t).max() for t in (0.0, 0.37))
    assert 0.999 * steepest <= drift.lipschitz <= 2.0


@pytest.mark.parametrize("lipschitz", [0.3, 3.0])
@given(data=st.data())
def test_drifts_in_any_dimension_keep_their_lipschitz_constant(lipschitz, data):
    d = data.draw(st.integers(1, 3))
    drift = data.draw(drawn.drifts(min_dimension=d, max_dimension=d, lipschitz=lipschitz))
    line = LINE * np.ones(d)
    assert steepness(drift, line[1:], line[:-1], 0.37).max() <= lipschitz * (1 + 1e-9)
    if isinstance(drift, fpk.Linear) and np.ndim(drift.slope(0.0)):
        assert np.linalg.norm(drift.slope(0.0), 2) <= lipschitz


@given(tensor=drawn.spd_tensors(condition=3.0, scale=2.0))
def test_tensors_are_symmetric_positive_and_well_conditioned(tensor):
    values = np.linalg.eigvalsh(tensor)
    assert np.array_equal(tensor, tensor.T)
    assert values[0] > 0
    assert values[-1] <= 3.0 * values[0] * (1 + 1e-12)
    assert 0.5 - 2e-4 <= values[-1] <= 2 + 2e-4


@given(law=drawn.mixtures(max_dimension=3, max_components=10, reach=1.0, min_std=0.5, max_std=0.9))
def test_mixtures_keep_their_bounds(law):
    assert np.abs(law.means).max() <= 1.0
    stds = np.sqrt(np.linalg.eigvalsh(law.covariances))
    assert 0.5 - 1e-3 <= stds.min() <= stds.max() <= 0.9 + 1e-3
    assert law.weights.min() >= 0.1
    x = np.linspace(-1, 1, 5)[:, None] * np.ones(law.dimension)
    step = 1e-5 * np.eye(law.dimension)
    slopes = [(law.log_density(x + h) - law.log_density(x - h)) / 2e-5 for h in step]
    np.testing.assert_allclose(law.score(x), np.transpose(slopes), atol=1e-7)


@given(schedule=drawn.schedules(), s=st.floats(0.0, 1.0), t=st.floats(0.0, 1.0))
def test_schedules_can_be_realised_by_noise(schedule, s, t):
    """σ/α never decreases, and g² is the slope of σ² − 2fσ², by an integral of the stated SDE."""
    low, high = min(s, t), max(s, t)
    assert schedule.sigma(low) / schedule.alpha(low) <= schedule.sigma(high) / schedule.alpha(high) * (1 + 1e-12)
    spread = integrate.quad(lambda u: (schedule.diffusion(u) / schedule.alpha(u)) ** 2, 0, high, epsabs=1e-10)[0]
    assert schedule.sigma(high) ** 2 == pytest.approx(schedule.alpha(high) ** 2 * spread, rel=1e-6, abs=1e-9)


@given(diffusion=drawn.diffusions(max_dimension=1, low=0.4, high=2.0), t=st.floats(0, 1))
def test_diffusions_stay_away_from_zero(diffusion, t):
    problem = fpk.Problem(0.0, diffusion, initial=fpk.Gaussian(0.0, 1.0))
    values = problem.diffusion(np.linspace(-5, 5, 101)[:, None], t)
    assert 0.2 <= np.min(values) <= np.max(values) <= 3.0


# -- problems are solved -----------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(data=st.data())
def test_whatever_is_drawn_can_be_solved_on_the_grid_that_is_drawn_for_it(data):
    problem = data.draw(drawn.problems())
    grid = data.draw(drawn.grids(problem, stretched=True))
    solution = fpk.solve(problem, grid, times=[problem.horizon])
    assert solution.minimum > -1e-4 * np.max(solution.densities)
    if problem.boundary.kind != "absorbing":
        assert solution.mass[0] == pytest.approx(1.0, abs=1e-7)


@settings(max_examples=4)
@given(data=st.data())
def test_whatever_is_drawn_in_the_plane_can_be_solved_and_known_laws_come_out(data):
    of_any_sort = [drawn.linear_problems, drawn.langevin_problems, drawn.smooth_problems]
    problem = data.draw(st.one_of([problems(lipschitz=1.0, **PLANE) for problems in of_any_sort]))
    grid = data.draw(drawn.grids(problem, finer=1.0, wider=1.0))
    solution = fpk.solve(problem, grid, times=[problem.horizon])
    assert solution.mass[0] == pytest.approx(1.0, abs=1e-6)
    if isinstance(problem.drift.given, fpk.Linear):
        law = fpk.exact(problem, times=[problem.horizon]).law(problem.horizon)
        apart = solution.density(problem.horizon).ravel() - np.exp(law.log_density(grid.points))
        assert np.abs(apart).sum() * grid.volume < 1e-3


@given(data=st.data())
def test_grids_hold_laws_of_any_kind(data):
    law = data.draw(drawn.mixtures(max_dimension=3, max_components=2, min_std=0.8))
    grid = data.draw(drawn.grids(law))
    points = grid.points if law.dimension > 1 else grid.centers[:, None]
    volume = grid.volume if law.dimension > 1 else grid.spacing
    assert np.exp(law.log_density(points)).sum() * volume == pytest.approx(1.0, abs=1e-5)


def test_grids_of_problems_from_elsewhere_are_found_by_cheap_solves_or_refused():
    well = fpk.problems.double_well(initial=fpk.Gaussian(0.0, 0.5))
    assert fpk.solve(well, simplest(drawn.grids(well)), times=[1.0]).mass[0] == pytest.approx(1.0, abs=1e-6)
    plane = fpk.Problem(lambda x, t: -(x**3), 1.0, initial=fpk.Gaussian([0.0, 0.0], 0.5), name="cubic")
    with pytest.raises(ProblemError, match=r"no box is known for 'cubic' in 2 dimensions.*Give a Grid of your own"):
        drawn.grids(plane)
    tabulated = fpk.TabulatedLaw.gibbs(lambda x: x**4, -4.0, 4.0)
    grid = simplest(drawn.grids(tabulated))
    assert np.exp(tabulated.log_density(grid.centers[:, None])).sum() * grid.spacing == pytest.approx(1.0, abs=1e-6)


# -- how counterexamples read ------------------------------------------------------------------------------------------


def shown(strategy, wrong):
    """The value that hypothesis shows for the smallest counterexample, as text, and the value itself."""
    found = []

    @SEARCH
    @given(value=strategy)
    def fails(value):
        found.append(value)
        assert not wrong(value)

    with pytest.raises(AssertionError) as failure:
        fails()
    call = ast.parse("\n".join(failure.value.__notes__).split(":", 1)[1].strip(), mode="eval").body
    assert isinstance(call, ast.Call)
    return ast.unparse(call.keywords[0].value), found[-1]


def pasted(text):
    names: dict[str, object] = {}
    exec(PASTED, names)
    return eval(text, names)


BOTH = {"max_dimension": 2, "horizon": 2.0}
WRONG = {
    "late": (drawn.problems(**BOTH), lambda p: True),
    "schedule": (drawn.problems(**BOTH), lambda p: p.schedule is not None),
    "nonlinear": (drawn.problems(**BOTH), lambda p: p.drift.linear is None),
    "ring": (drawn.problems(), lambda p: p.boundary.kind == "periodic"),
    "mixture": (drawn.linear_problems(**BOTH), lambda p: len(p.initial.weights) > 1),
    "correlated": (drawn.linear_problems(**PLANE), lambda p: abs(p.initial.covariances[0, 0, 1]) > 0.01),
    "turning": (drawn.linear_problems(**PLANE), lambda p: np.ndim(p.drift.linear.slope(0.0)) == 2),
    "matrix": (drawn.linear_problems(**BOTH), lambda p: isinstance(p.diffusion.given, np.ndarray)),
    "affine": (drawn.noising_problems(**BOTH), lambda p: isinstance(p.schedule, fpk.AffineSchedule)),
    "wells": (drawn.langevin_problems(), lambda p: p.drift.split.potential.height > 0.3),
    "quadratic": (drawn.langevin_problems(**SPACE), lambda p: np.any(p.drift.linear.shift(0.0))),
    "wave": (drawn.smooth_problems(**BOTH), lambda p: p.drift.given.height > 0.3),
    "noise": (drawn.smooth_problems(**BOTH), lambda p: isinstance(p.diffusion.given, drawn.WavyNoise)),
}


@pytest.mark.parametrize("name", WRONG)
def test_counterexamples_are_short_and_can_be_pasted(name):
    text, value = shown(*WRONG[name])
    assert same(pasted(text), value)
    assert len(text) < 250
    assert "<" not in text


def test_the_shortest_counterexample_reads_like_a_program():
    assert shown(drawn.problems(), lambda _: True)[0] == "Problem(Linear(-1.0), 1.0, initial=Gaussian(0.0, 1.0))"
    assert shown(drawn.noising_problems(), lambda _: True)[0] == "noising(VPSchedule(1.0), Gaussian(0.0, 1.0))"


def test_shown_grids_tensors_and_schedules_can_be_pasted():
    for strategy in (drawn.grids(ou()), drawn.grids(ou(2)), drawn.schedules(), drawn.boundaries(), drawn.drifts()):
        text, value = shown(strategy, lambda _: True)
        assert pasted(text) == value


def test_written_problems_can_be_pasted_too():
    """In messages of one's own, where repr is all there is."""
    for problem in (ou(), simplest(drawn.walled_problems()), simplest(drawn.langevin_problems())):
        names: dict[str, object] = {}
        exec(f"from numpy import inf\n{PASTED}", names)
        assert same(eval(repr(problem), names), problem)


# -- nonsense, and what is left alone ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: drawn.problems(max_dimension=4), r"1 <= min_dimension <= max_dimension <= 3, got .*max_dimension=4"),
        (lambda: drawn.mixtures(min_dimension=2), "got min_dimension=2 and max_dimension=1"),
        (lambda: drawn.mixtures(min_components=3, max_components=2), "got min_components=3 and max_components=2"),
        (lambda: drawn.gaussians(min_std=0.0), r"0 < min_std <= max_std < inf, got min_std=0.0"),
        (lambda: drawn.gaussians(reach=float("nan")), "reach must be a positive, finite number, got reach=nan"),
        (
            lambda: drawn.spd_tensors(condition=0.5),
            "condition must be a finite number of at least 1, got condition=0.5",
        ),
        (lambda: drawn.schedules(kinds=["vp", "cosine"]), r"one or more of vp, sub-vp, ve, affine, got .*cosine"),
        (lambda: drawn.schedules(max_beta=-1), "max_beta must be a positive, finite number, got max_beta=-1"),
        (lambda: drawn.drifts(lipschitz=0), "lipschitz must be a positive, finite number, got lipschitz=0"),
        (lambda: drawn.drifts(kinds=[]), r"one or more of linear, wavy, got kinds=\[\]"),
        (lambda: drawn.diffusions(low=2.0, high=1.0), "min_level|low"),
        (lambda: drawn.diffusions(kinds=["matrix"]), "matrices need two dimensions or more"),
        (lambda: drawn.boundaries(kinds=["sticky"]), "one or more of open, no_flux, absorbing, periodic, got"),
        (lambda: drawn.boundaries(reach=0), "reach must be a positive"),
        (
            lambda: drawn.linear_problems(horizon=float("inf")),
            "horizon must be a positive, finite number, got horizon=inf",
        ),
        (lambda: drawn.problems(kinds=["no_flux"], min_dimension=2, max_dimension=2), "walls exist in one dimension"),
        (lambda: drawn.walled_problems(kinds=["open"]), "one or more of no_flux, absorbing, periodic, got"),
        (lambda: drawn.grids(ou(), finer=0.5), "finer must be a finite number of at least 1, got finer=0.5"),
        (lambda: drawn.grids(fpk.Gaussian(0.0, 1e-6), max_cells=10), "more than max_cells=10"),
        (lambda: drawn.grids("a law"), "law"),
        (lambda: drawn.numbers(1.0, 0.0), r"low <= high, got low=1.0 and high=0.0"),
    ],
)
def test_nonsense_is_refused_when_the_strategy_is_made(ask, message):
    with pytest.raises(ProblemError, match=message):
        ask()


def test_no_seed_is_ever_drawn():
    for file in Path(drawn.__file__).parent.glob("*.py"):
        names = {
            getattr(node, "attr", getattr(node, "id", getattr(node, "arg", None)))
            for node in ast.walk(ast.parse(file.read_text()))
        }
        assert not names & {"seed", "random", "randoms", "default_rng", "random_module", "sample"}, file.name


def test_importing_fpk_does_not_import_hypothesis():
    code = "import sys, fpk, fpk.problem, fpk.testing; assert 'hypothesis' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# -- theory, for all that is drawn -------------------------------------------------------------------------------------


@given(data=st.data())
def test_the_grid_and_the_stated_law_of_a_noising_problem_agree(data):
    """The grid knows f and g of the schedule, the closed form α and σ."""
    problem = data.draw(drawn.noising_problems())
    grid = data.draw(drawn.grids(problem))
    found, stated = fpk.solve(problem, grid, times=[0.3, 1.0]), fpk.exact(problem, times=[0.3, 1.0])
    for t in found.times:
        assert np.abs(found.density(t) - stated.density_on(grid.centers, t)) @ grid.widths < 1e-4


@settings(max_examples=12)
@given(data=st.data())
def test_time_reversed_noising_comes_back_to_the_data(data):
    """Anderson's drift −f + g² ∇ log p, with the score of the closed form; the law at τ = T is that of the data again."""
    problem = data.draw(drawn.noising_problems(schedule=drawn.schedules(max_beta=4.0)))
    grid = data.draw(drawn.grids(problem))
    forward = fpk.exact(problem, times=[1.0])
    back = fpk.reverse_time(problem, forward.score, initial=forward.law(1.0))
    found = fpk.solve(back, grid, times=[1.0]).density(1.0)
    assert np.abs(found - problem.initial.density(grid.centers[:, None])) @ grid.widths < 1e-3


@given(data=st.data())
def test_mass_stays_between_reflecting_walls_and_around_rings_and_only_leaves_through_absorbing_ones(data):
    problem = data.draw(drawn.walled_problems())
    mass = fpk.solve(problem, data.draw(drawn.grids(problem)), times=[0.0, 0.2, 0.6, 1.0]).mass
    if problem.boundary.kind == "absorbing":
        assert np.all(np.diff(mass) <= 1e-12)
    else:
        np.testing.assert_allclose(mass, mass[0], rtol=0, atol=1e-11)


@given(data=st.data())
def test_the_gibbs_law_is_left_as_it_is_and_others_come_closer_to_it(data):
    """In L1, which no Markov evolution lets grow."""
    problem = data.draw(drawn.langevin_problems())
    law = drawn.gibbs_law(problem)
    assert float(law.cdf(np.array([1e3]))[0]) == pytest.approx(1.0)
    grid = fpk.Grid(*(float(end) for end in law.breakpoints()[[0, -1]]), cells=400)
    rest = fpk.solve(replace(problem, initial=law), grid, times=[0.0, 1.0])
    assert np.abs(rest.density(1.0) - rest.density(0.0)) @ grid.widths < 1e-9
    box = data.draw(drawn.grids(problem))
    moved = fpk.solve(problem, box, times=[0.0, 0.5, 1.0])
    gibbs = law.density(box.centers[:, None])
    apart = [np.abs(moved.density(t) - gibbs) @ box.widths for t in moved.times]
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(apart))


@given(problem=drawn.langevin_problems(min_dimension=2, max_dimension=3))
def test_gibbs_laws_in_the_plane_and_in_space_solve_lyapunovs_equation(problem):
    law, K = drawn.gibbs_law(problem), -np.asarray(problem.drift.linear.slope(0.0))
    np.testing.assert_allclose(
        K @ law.covariance + law.covariance @ K.T, problem.diffusion.constant**2 * np.eye(len(K)), atol=1e-9
    )
    np.testing.assert_allclose(problem.drift(law.mean[None], 0.0), 0.0, atol=1e-12)


def test_a_gibbs_law_of_something_else_is_refused():
    with pytest.raises(NoClosedForm, match=r"this drift is 'sin\(x\)' with 1.0"):
        drawn.gibbs_law(fpk.Problem("sin(x)", 1.0, initial=fpk.Gaussian(0.0, 1.0)))
