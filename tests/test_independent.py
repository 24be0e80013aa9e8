import numpy as np
import pytest
from findiff import Diff
from scipy import integrate, linalg, stats

from fpk.closed_form import exact
from fpk.comparison import compare
from fpk.fokker_planck.discretisation import ACCURATE, POSITIVE, SECOND_ORDER, Scheme
from fpk.fokker_planck.fluxes import ScharfetterGummel, WellBalanced6
from fpk.fokker_planck.solver import solve
from fpk.fokker_planck.stepping import ESDIRK4
from fpk.grids import Grid
from fpk.laws import Gaussian, GaussianMixture
from fpk.marginals import Estimate
from fpk.panels import law_panel
from fpk.problem import OPEN, Boundary, Problem
from fpk.verdict import Outcome

T = 0.5


def fokker_planck_residual(solution, f, g, interior):
    """∂_t p + ∂_x(f p) − ½ ∂_xx(g² p) by findiff, on the inside of the grid and of the stored times."""
    times, x = np.array(solution.times), solution.grid.centers
    p = solution.densities
    tt, xx = np.meshgrid(times, x, indexing="ij")
    ddt = Diff(0, times[1] - times[0], acc=6)
    ddx, dxx = Diff(1, x[1] - x[0], acc=6), Diff(1, x[1] - x[0], acc=6) ** 2
    rest = ddt(p) + ddx(f(xx, tt) * p) - 0.5 * dxx(g(xx, tt) ** 2 * p)
    return np.abs(rest[interior:-interior, 8:-8]).max(), np.abs(ddt(p)).max()


@pytest.mark.parametrize(
    ("f", "g"),
    [
        (lambda x, t: -x, lambda x, t: 1.0 + 0 * x),
        (lambda x, t: x - x**3, lambda x, t: 1.0 + 0.2 * np.sin(x)),
        (lambda x, t: np.sin(x + t), lambda x, t: 1.2 + 0.3 * np.cos(2 * t) + 0 * x),
    ],
    ids=["ou", "double well, state-dependent noise", "moving force"],
)
def test_the_computed_density_solves_the_equation_for_findiff(f, g):
    # Begins at a smooth law, so that the sixth-order differences in time are resolved.
    problem = Problem(f, g, initial=Gaussian(0.2, 0.6), horizon=T)
    sizes = []
    for k in (1, 2):
        times = np.linspace(0, T, 32 * k + 1)
        solution = solve(problem, Grid(-6, 6, 160 * k), times=times, steps=64 * k)
        sizes.append(fokker_planck_residual(solution, f, g, 4 * k))
    assert sizes[1][0] < 1e-4 * sizes[1][1]
    assert sizes[1][0] < sizes[0][0] / 8  # falls like the fourth order of the steps


def test_the_residual_sees_a_wrong_coefficient():
    problem = Problem("-x", 1.01, initial=Gaussian(0.2, 0.6), horizon=T)
    solution = solve(problem, Grid(-6, 6, 320), times=np.linspace(0, T, 65), steps=128)
    size, scale = fokker_planck_residual(solution, lambda x, t: -x, lambda x, t: 1.0 + 0 * x, 8)
    assert size > 1e-3 * scale


def dense(rates):
    n = rates.rows.shape[1]
    matrix, i = np.zeros((n, n)), np.arange(n)
    for k in range(-rates.width, rates.width + 1):
        kept = i if rates.periodic else i[(i + k >= 0) & (i + k < n)]
        matrix[kept, (kept + k) % n] += rates.rows[rates.width + k, kept]
    return matrix


@pytest.mark.parametrize("kind", ["open", "no_flux", "periodic", "absorbing"])
@pytest.mark.parametrize("flux", [ScharfetterGummel(), WellBalanced6()], ids=lambda f: type(f).__name__)
def test_time_stepping_agrees_with_scipy_on_the_dense_matrix(flux, kind):
    boundary = OPEN if kind == "open" else Boundary(kind, -3.0, 3.0)
    problem = Problem("sin(x)*(1 + t)", "1 + t*cos(x)/4", initial=Gaussian(0.2, 0.4), boundary=boundary, horizon=0.3)
    grid = Grid(-3, 3, 40)
    at = flux.rates(problem, grid)
    start = problem.initial.density(grid.centers[:, None])
    path = integrate.solve_ivp(lambda t, p: dense(at(t)) @ p, (0, 0.3), start, method="DOP853", rtol=1e-10, atol=1e-12)
    mine = solve(problem, grid, times=[0.3], steps=200, scheme=Scheme(flux, ESDIRK4)).density(0.3)
    np.testing.assert_allclose(mine, path.y[:, -1], atol=2e-8)


def test_a_constant_generator_agrees_with_the_matrix_exponential():
    problem = Problem("x - x**3", 1.0, initial=Gaussian(0.2, 0.4))
    grid = Grid(-3.5, 3.5, 60)
    A = dense(WellBalanced6().rates(problem, grid)(0.0))
    expected = linalg.expm(0.7 * A) @ problem.initial.density(grid.centers[:, None])
    mine = solve(problem, grid, times=[0.7], steps=400, scheme=ACCURATE).density(0.7)
    np.testing.assert_allclose(mine, expected, atol=1e-8)


def test_the_stationary_law_is_the_null_vector_of_the_dense_generator():
    problem = Problem("x - x**3 + 1/5", 1.0, initial=Gaussian(0.2, 0.4))
    # Fine enough for no exponent to be damped where the law has mass.
    grid = Grid(-3.5, 3.5, 280)
    x = grid.centers
    gibbs = np.exp(2 * (x**2 / 2 - x**4 / 4 + x / 5))
    for flux in (ScharfetterGummel(), WellBalanced6()):
        null = linalg.null_space(dense(flux.rates(problem, grid)(0.0)), rcond=1e-13)[:, 0]
        np.testing.assert_allclose(null / null.sum(), gibbs / gibbs.sum(), atol=1e-9)


@pytest.mark.parametrize("scheme", [ACCURATE, SECOND_ORDER, POSITIVE], ids=lambda s: s.method.name)
def test_an_explicit_central_twin_in_numpy_tends_to_the_same_law(scheme):
    # Ten lines of numpy: agreement to the twin's own second-order error, which falls with its grid.
    def twin(cells):
        grid = Grid(-5, 5, cells)
        x, h = grid.centers, grid.spacing
        p, f_face = stats.norm.pdf(x, 0.2, 0.5), -np.sin(grid.faces[1:-1])
        steps = int(np.ceil(T / (0.4 * h**2)))
        for _ in range(steps):
            J = f_face * 0.5 * (p[1:] + p[:-1]) - 0.5 * np.diff(p) / h
            p = p - T / steps / h * np.diff(np.concatenate([[0.0], J, [0.0]]))
        return x, p

    problem = Problem("-sin(x)", 1.0, initial=Gaussian(0.2, 0.5), horizon=T)
    gaps = []
    for cells in (50, 100):
        x, p = twin(cells)
        fine = solve(problem, Grid(-5, 5, 200), times=[T], steps=400, scheme=scheme)
        gaps.append(np.abs(np.interp(x, fine.grid.centers, fine.density(T)) - p).max())
    assert gaps[1] < 0.5 * gaps[0]
    assert gaps[1] < 2e-3


def test_scipys_gaussian_is_reached_from_a_scipy_law():
    problem = Problem("-x", 1.0, initial=stats.norm(1.0, 0.4))
    solution = solve(problem, Grid(-5, 6, 160), times=[T])
    law = stats.norm(np.exp(-T), np.sqrt(0.16 * np.exp(-2 * T) + 0.5 * (1 - np.exp(-2 * T))))
    np.testing.assert_allclose(solution.density(T), law.pdf(solution.grid.centers), atol=1e-7)
    x = np.linspace(-1, 2, 7)
    np.testing.assert_allclose(solution.cdf(x, T), law.cdf(x), atol=1e-8)


class Samples:
    """Exact OU samples drawn with numpy alone."""

    times = (T,)

    def __init__(self, rate, noise, n=200_000):
        rng = np.random.default_rng(20_260_108)
        start = np.where(rng.random(n) < 0.3, rng.normal(-1.0, 0.3, n), rng.normal(1.0, 0.5, n))
        decay = np.exp(-rate * T)
        self.x = decay * start + noise * np.sqrt((1 - decay**2) / (2 * rate)) * rng.standard_normal(n)

    def expect(self, panel):
        values = np.concatenate([b.values(self.x[:, None]) for b in panel.smooth])
        below = np.concatenate([b.values(self.x[:, None]).mean(1) for b in panel.thresholds])
        n = len(self.x)
        return Estimate(
            values.mean(1),
            np.zeros(len(values)),
            covariance=np.cov(values) / n,
            samples=n,
            thresholds=below,
            threshold_bound=np.zeros_like(below),
            source="numpy samples",
        )


def test_numpy_samples_confirm_the_closed_form_and_refute_a_wrong_one():
    start = GaussianMixture([0.3, 0.7], [-1.0, 1.0], stds=[0.3, 0.5])
    right = exact(Problem("-2*x", 1.0, initial=start), times=[T])
    # alpha = 1e-6 for the false refutation, beta = 1e-3 for the false confirmation.
    assert compare(right, Samples(2.0, 1.0), tolerance=0.03).outcome is Outcome.CONFIRMED
    for wrong in (Problem("-2*x", 2**0.5, initial=start), Problem("-2.1*x", 1.0, initial=start)):
        assert compare(exact(wrong, times=[T]), Samples(2.0, 1.0), effect=0.03).outcome is Outcome.REFUTED


def test_kolmogorov_smirnov_agrees_that_the_closed_form_fits_the_samples():
    law = exact(Problem("-2*x", 1.0, initial=GaussianMixture([0.3, 0.7], [-1.0, 1.0], stds=[0.3, 0.5])), times=[T]).law(
        T
    )
    assert stats.kstest(Samples(2.0, 1.0, n=50_000).x, law.cdf).pvalue > 1e-6  # alpha = 1e-6


def test_a_panels_thresholds_agree_with_scipys_empirical_distribution():
    x = np.random.default_rng(5).standard_normal(500)
    block = law_panel({T: Gaussian(0.0, 1.0)}).thresholds[0]
    empirical = stats.ecdf(x).cdf.evaluate(block.points)
    np.testing.assert_allclose(block.values(x[:, None]).mean(1), empirical, atol=1e-12)
