"""Densities of ensembles against exact laws, the grid and plain sums: kernels of the problem, budgets of the time step, extrapolation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import linalg, stats

import fpk
from fpk.errors import ProblemError
from fpk.particles.densities import DensityEstimate, marginal_density
from fpk.particles.ensemble import ParticleMarginals
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.quasi import quasi_simulate

ALPHA = 1e-6  # false alarms of each statistical test here

# dX = −X dt + √2 dW from N(2, ½²), and its law at t = 1
SPRING = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(2.0, 0.5))
#: Nonlinear, with noise that depends on the position.
WELL = fpk.Problem("x - x**3", "0.6 + 0.2*cos(x)", initial=fpk.Gaussian(0.3, 0.4))
LAW = stats.norm(2 * np.exp(-1.0), np.sqrt(0.25 * np.exp(-2.0) + 1 - np.exp(-2.0)))
PLACES = np.linspace(-1.2, 2.8, 30)[:, None]


def normal_kernels(points, centres, covariances):
    """Values (n, k) and gradients (n, k, d) of normal densities, each by scipy."""
    laws = [stats.multivariate_normal(m, C) for m, C in zip(centres, covariances, strict=True)]
    pulls = [np.linalg.solve(C, (m - points).T).T for m, C in zip(centres, covariances, strict=True)]
    values = np.array([law.pdf(points) for law in laws])
    return values, values[:, :, None] * np.array(pulls)


def of_spring(run, *, since=0.8, problem=SPRING, **options) -> DensityEstimate:
    return marginal_density(run, problem, points=PLACES, since=since, until=1.0, **options)


def beyond_bars(estimate, *, budget=True):
    """How far densities and scores deviate beyond their budgets, in quantiles that all together exceed with probability ≤ ALPHA."""
    x = estimate.points[:, 0]
    density = np.abs(estimate.value - LAW.pdf(x)) - budget * estimate.step_bias
    score = np.abs(estimate.score[:, 0] - (LAW.mean() - x) / LAW.var()) - budget * estimate.score_step_bias[:, 0]
    worst = max((density / estimate.standard_error).max(), (score / estimate.score_error[:, 0]).max())
    return worst / stats.t(estimate.units - 1).isf(ALPHA / 4 / len(x))


def test_exact_transitions_and_an_exact_kernel_need_no_budget(seed):
    run = fpk.simulate(SPRING, particles=200_000, steps=1, times=[0.8], seed=seed, scheme=ExactTransition())
    found = of_spring(run)
    assert not found.step_bias.any()
    assert not found.score_step_bias.any()
    assert beyond_bars(found) < 1


@pytest.mark.parametrize("wrong", ["drift * 1.05", "noise * 1.05", "none"])
def test_the_kernel_is_that_of_the_problem(seed, wrong):
    run = fpk.simulate(SPRING, particles=400_000, steps=1, times=[0.5], seed=seed, scheme=ExactTransition())
    drift, noise = {"drift * 1.05": ("-1.05*x", 2), "noise * 1.05": ("-x", 2.1), "none": ("-x", 2)}[wrong]
    problem = fpk.Problem(drift, noise**0.5, initial=SPRING.initial)
    assert (beyond_bars(of_spring(run, since=0.5, problem=problem)) < 1) == (wrong == "none")


def test_a_linear_problem_in_two_dimensions_has_the_kernel_of_its_matrix_exponential(rng):
    """The covariance by Van Loan's block matrix."""
    A, b, G, lead = np.array([[-1.0, 2.0], [-0.5, 0.3]]), np.array([0.4, -1.0]), np.array([[0.8, 0.1], [0.0, 0.5]]), 0.4
    problem = fpk.Problem(fpk.Linear(A, b), G, initial=fpk.Gaussian([0.0, 0.0]))
    block = linalg.expm(lead * np.block([[-A, G @ G.T], [np.zeros((2, 2)), A.T]]))
    flow = block[2:, 2:].T
    x, points = rng.normal(size=(50, 2)), rng.normal(size=(5, 2))
    means = x @ flow.T + np.linalg.solve(A, (flow - np.eye(2)) @ b)
    values, slopes = normal_kernels(points, means, [flow @ block[:2, 2:]] * 50)
    found = marginal_density(ensemble(x), problem, points=points, since=0.5, until=0.9)
    np.testing.assert_allclose(found.value, values.mean(0), rtol=1e-9)
    np.testing.assert_allclose(found.score, slopes.mean(0) / values.mean(0)[:, None], rtol=1e-8)


def test_the_budget_covers_what_the_steps_add_and_is_needed(seed):
    run = fpk.simulate(SPRING, particles=200_000, steps=4, times=[0.8], seed=seed)
    found = of_spring(run)
    assert beyond_bars(found) < 1
    assert beyond_bars(found, budget=False) > 1


def test_extrapolation_takes_the_first_order_of_the_steps_away(seed):
    run = fpk.simulate(SPRING, particles=200_000, steps=4, times=[0.8], seed=seed, levels=3)
    found, plain = of_spring(run, extrapolated=True), of_spring(run)
    assert beyond_bars(found, budget=False) < 1
    assert beyond_bars(plain, budget=False) > 1
    assert found.step_bias.max() < 0.5 * plain.step_bias.max()


def test_what_a_single_level_of_steps_adds_is_unknown(seed):
    run = fpk.simulate(SPRING, particles=6400, steps=8, times=[0.8], seed=seed)
    assert np.isinf(of_spring(run.level(1)).step_bias).all()
    assert np.isinf(of_spring(run.level(1)).score_step_bias).all()
    assert np.isinf(of_spring(run, extrapolated=True).step_bias).all()


@pytest.mark.parametrize("extrapolated", [False, True])
def test_density_and_score_of_a_nonlinear_problem_are_those_of_the_grid(seed, extrapolated):
    """One step of Euler–Maruyama with noise that depends on the position; the companion's step is twice as long."""
    run = fpk.simulate(WELL, particles=100_000, steps=50, times=[0.92, 0.96, 0.98], seed=seed)
    points = np.linspace(-1.2, 1.6, 15)[:, None]
    since = 0.96 if extrapolated else 0.98
    found = marginal_density(run, WELL, points=points, since=since, until=1.0, extrapolated=extrapolated)
    law = fpk.solve(WELL, fpk.Grid(-4, 4, cells=400), times=[1.0]).law(1.0)
    allowed = stats.t(found.units - 1).isf(ALPHA / 60)
    for value, exact, error, bias in (
        (found.value, law.density(points), found.standard_error, found.step_bias),
        (found.score, law.score(points), found.score_error, found.score_step_bias),
    ):
        away = np.abs(value - exact) - (0.0 if extrapolated else bias)
        assert (away / error).max() < allowed


def ensemble(x):
    """Positions at t = ½ as an ensemble of one level."""
    return ParticleMarginals((0.5,), x[None, None], "")


@pytest.mark.parametrize(
    ("diffusion", "root"),
    [
        (0.7, lambda x: 0.7 * np.eye(2)),
        (["1 + x0**2", "0.5"], lambda x: np.diag([1 + x[0] ** 2, 0.5])),
        ([["1", "x0"], ["0", "2"]], lambda x: np.array([[1, x[0]], [0, 2]])),
        (np.array([[1.0, 0.3, 0.2], [0.0, 0.5, 0.1]]), lambda x: np.array([[1.0, 0.3, 0.2], [0.0, 0.5, 0.1]])),
    ],
    ids=["number", "diagonal", "matrix of formulas", "constant matrix"],
)
def test_one_step_has_the_mean_and_covariance_of_its_drift_and_noise(rng, diffusion, root):
    problem = fpk.Problem(["x1 - x0**3", "-x1 + t"], diffusion, initial=fpk.Gaussian([0.0, 0.0]))
    x, points, h = rng.normal(size=(50, 2)), rng.normal(size=(5, 2)), 0.1
    found = marginal_density(ensemble(x), problem, points=points, since=0.5, until=0.6)
    means = x + h * np.stack([x[:, 1] - x[:, 0] ** 3, -x[:, 1] + 0.5], axis=1)
    values, slopes = normal_kernels(points, means, np.array([h * root(at) @ root(at).T for at in x]))
    np.testing.assert_allclose(found.value, values.mean(0), rtol=1e-10)
    np.testing.assert_allclose(found.score, slopes.mean(0) / values.mean(0)[:, None], rtol=1e-8, atol=1e-10)


def test_a_companion_takes_twice_the_lead_of_one_step(rng):
    fine, coarse, points, h = rng.normal(size=(2, 60, 1)), rng.normal(size=(2, 60, 1)), np.array([[0.2]]), 0.05
    problem = fpk.Problem("sin(x)", 0.5, initial=fpk.Gaussian(0.0, 1.0))
    run = ParticleMarginals((0.9, 0.95), np.stack([fine, coarse]), "")
    found = marginal_density(run, problem, points=points, since=0.95, until=1.0, extrapolated=True)

    def step(x, h):
        return stats.norm(x + h * np.sin(x), 0.5 * h**0.5).pdf(points[0, 0]).mean()

    assert found.value[0] == pytest.approx(2 * step(fine[1], h) - step(coarse[0], 2 * h), rel=1e-10)


def test_a_printed_estimate_tells_what_time_steps_add_where_they_do(seed):
    runs = [
        fpk.simulate(SPRING, particles=640, steps=4, times=[0.8], seed=seed, scheme=s)
        for s in (ExactTransition(), None)
    ]
    assert ["time steps add up to" in str(of_spring(run)) for run in runs] == [False, True]


def test_the_budget_is_five_quarters_of_the_change_and_three_of_its_standard_errors(rng):
    fine = rng.normal(size=(64, 1))
    coarse = fine + 0.1 * rng.normal(size=(64, 1))
    run = ParticleMarginals((0.5,), np.stack([fine, coarse])[:, None], "")
    found = marginal_density(run, SPRING, points=np.array([[0.4]]), since=0.5, until=1.0)
    M, C = np.exp(-0.5) * np.stack([fine, coarse])[..., 0], 1 - np.exp(-1.0)  # 64 particles are 64 batches
    p = stats.norm(M, C**0.5).pdf(0.4)
    slope = -(0.4 - M) / C * p
    score = slope.mean(1) / p.mean(1)
    away = (slope - score[:, None] * p) / p.mean(1)[:, None]
    for budget, change, each in (
        (found.step_bias[0], p[0].mean() - p[1].mean(), p[0] - p[1]),
        (found.score_step_bias[0, 0], score[0] - score[1], away[0] - away[1]),
    ):
        assert budget == pytest.approx(1.5 * abs(change) + 3 * each.std(ddof=1) / 8, rel=1e-9)


def test_units_of_an_ensemble_are_those_of_its_error_bars(seed):
    run = fpk.simulate(SPRING, particles=64, steps=4, times=[0.8], seed=seed, antithetic=True)
    assert of_spring(run).units == 32
    quasi = quasi_simulate(
        SPRING, points=2048, replicates=32, steps=1, times=[0.8], seed=seed, scheme=ExactTransition()
    )
    found = of_spring(quasi)
    assert found.units == 32
    assert beyond_bars(found) < 1
    assert found.standard_error.max() < 1e-4  # 65,536 independent particles: 4e-4


@pytest.mark.parametrize(
    ("problem", "times", "error", "says"),
    [
        (SPRING, (0.8, 0.8), ProblemError, "from an earlier to a later time, got since=0.8 and until=0.8"),
        (SPRING, (0.7, 0.8), ProblemError, r"not kept at t=0.7; kept: \[0.8\]"),
        (SPRING, (0.8, 1.2), ProblemError, r"times must lie in \[0, 1\]"),
        (WELL, (0.8, 0.9), ProblemError, r"not kept at t=0.7; kept: \[0.8\]"),
        (replace(WELL, boundary=fpk.Boundary("no_flux", -2, 2)), (0.8, 1.0), ProblemError, "without walls.*no_flux"),
        (fpk.Problem("-x", 0, initial=SPRING.initial), (0.8, 1.0), ProblemError, "noise in every direction"),
    ],
    ids=["no lead", "not kept", "after the horizon", "no companion", "walls", "no noise"],
)
def test_what_has_no_density_from_kernels_is_refused(problem, times, error, says):
    run = fpk.simulate(SPRING, particles=64, steps=4, times=[0.8])
    with pytest.raises(error, match=says):
        marginal_density(run, problem, points=PLACES, since=times[0], until=times[1])


def test_nothing_is_extrapolated_from_one_level():
    run = fpk.simulate(SPRING, particles=64, steps=4, times=[0.8], levels=1)
    with pytest.raises(fpk.FpkError, match="level 1 of 1"):
        of_spring(run, extrapolated=True)
