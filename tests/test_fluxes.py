import numpy as np
import pytest
from scipy.integrate import quad

from fpk.errors import SchemeError
from fpk.fokker_planck.fluxes import Rates, ScharfetterGummel, WellBalanced6, bernoulli, check_noise
from fpk.fokker_planck.kernels import MEAN, SLOPE
from fpk.grids import Grid
from fpk.laws import Gaussian
from fpk.problem import OPEN, Boundary, Problem

FLUXES = [ScharfetterGummel(), WellBalanced6()]
KINDS = ["open", "no_flux", "periodic", "absorbing"]


def dense(rates):
    return np.stack([rates.applied(e) for e in np.eye(rates.rows.shape[1])], axis=1)


def problem_on(kind, lower=-2.0, upper=2.0, drift="sin(pi*x/2) + t", diffusion="1 + cos(pi*x/2)/4"):
    boundary = OPEN if kind == "open" else Boundary(kind, lower, upper)
    return Problem(drift, diffusion, initial=Gaussian(0.0, 0.2), boundary=boundary)


def test_bernoulli_is_z_over_expm1_for_any_size():
    z = np.array([-800.0, -30.0, -1e-3, -9e-6, -1e-7, 0.0, 1e-9, 9e-6, 1e-4, 2.0, 300.0, 1e4])
    with np.errstate(over="ignore"):
        expected = np.where(z == 0, 1.0, z / np.where(z == 0, 1.0, np.expm1(z)))
    np.testing.assert_allclose(bernoulli(z), expected, rtol=1e-12, atol=1e-300)


def test_bernoulli_differs_by_z_under_reflection():
    z = np.linspace(-50, 50, 1001)
    np.testing.assert_allclose(bernoulli(-z) - bernoulli(z), z, atol=1e-12)


@pytest.mark.parametrize("power", range(6))
def test_face_stencils_are_exact_for_quintics(power):
    points = np.arange(6) - 2.5
    assert MEAN @ points**power == pytest.approx(1.0 if power == 0 else 0.0, abs=1e-12)
    assert SLOPE @ points**power == pytest.approx(1.0 if power == 1 else 0.0, abs=1e-12)


@pytest.mark.parametrize("kind", ["open", "no_flux", "periodic"])
@pytest.mark.parametrize("flux", FLUXES, ids=lambda f: type(f).__name__)
def test_columns_of_the_rate_matrix_sum_to_zero(flux, kind):
    A = dense(flux.rates(problem_on(kind), Grid(-2, 2, 24))(0.3))
    assert np.abs(A.sum(0)).max() < 1e-11 * np.abs(A).max()


@pytest.mark.parametrize("flux", FLUXES, ids=lambda f: type(f).__name__)
def test_absorbing_walls_only_lose_mass_and_only_near_the_walls(flux):
    A = dense(flux.rates(problem_on("absorbing"), Grid(-2, 2, 24))(0.3))
    sums = A.sum(0)
    assert np.abs(sums[5:-5]).max() < 1e-11 * np.abs(A).max()
    assert sums[0] < 0 > sums[-1]


@pytest.mark.parametrize("speed", [0.0, 1.0, 1e3, -1e6])
@pytest.mark.parametrize("kind", KINDS)
def test_scharfetter_gummel_is_an_m_matrix_for_any_peclet_number(kind, speed):
    problem = problem_on(kind, drift=f"{speed}*cos(pi*x/2)", diffusion=0.1)
    A = dense(ScharfetterGummel().rates(problem, Grid(-2, 2, 16))(0.0))
    off = A - np.diag(np.diag(A))
    assert off.min() >= 0
    assert np.diag(A).max() <= 0


@pytest.mark.parametrize("flux", FLUXES, ids=lambda f: type(f).__name__)
def test_a_gibbs_law_has_no_flux(flux):
    # D = ½ g², Φ = ∫ f/D: p = e^Φ / D, here with D depending on x.
    grid = Grid(-2, 2, 64)
    problem = problem_on("no_flux", drift="-x", diffusion="sqrt(3 + x)")
    x = grid.centers
    gibbs = np.exp(-2 * x + 6 * np.log(3 + x)) / (3 + x)  # ∫ −x / ((3 + x)/2) = −2x + 6 log(3 + x)
    A = flux.rates(problem, grid)(0.0)
    assert np.abs(A.applied(gibbs)).max() < 1e-12 * np.abs(A.rows).max() * gibbs.max()


def test_scharfetter_gummel_becomes_upwind_where_the_noise_vanishes():
    # g(0) = 0: the limit D → 0 of the flux is f p of the upwind cell, not zero.
    problem = Problem(3.0, "sqrt(t)", initial=Gaussian(0.0, 0.2), boundary=Boundary("periodic", -1, 1))
    A = dense(ScharfetterGummel().rates(problem, Grid(-1, 1, 8))(0.0))
    h = 0.25
    np.testing.assert_allclose(A, 3.0 / h * (np.roll(np.eye(8), 1, axis=0) - np.eye(8)), atol=1e-10)


def test_well_balanced_flux_becomes_central_where_the_noise_vanishes():
    problem = Problem(3.0, "sqrt(t)", initial=Gaussian(0.0, 0.2), boundary=Boundary("periodic", 0, 1))
    grid = Grid(0, 1, 64)
    rate = WellBalanced6().rates(problem, grid)(0.0).applied(np.sin(2 * np.pi * grid.centers))
    np.testing.assert_allclose(rate, -6 * np.pi * np.cos(2 * np.pi * grid.centers), atol=1e-5)


def test_banded_product_is_the_dense_product():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((5, 9))
    for periodic in (False, True):
        matrix = np.zeros((9, 9))
        for k in range(-2, 3):
            for i in range(9):
                if periodic or 0 <= i + k < 9:
                    matrix[i, (i + k) % 9] += rows[2 + k, i]
        p = rng.standard_normal(9)
        np.testing.assert_allclose(Rates(rows, periodic).applied(p), matrix @ p, atol=1e-13)


@pytest.mark.parametrize("diffusion", ["Abs(x)", "x**2", lambda x, t: np.maximum(x, 0.0)])
def test_noise_that_vanishes_somewhere_is_refused_with_the_place_and_the_remedy(diffusion):
    with pytest.raises(SchemeError, match=r"diffusion vanishes at x=.*degenerate.*number 0"):
        check_noise(Problem("-x", diffusion, initial=Gaussian(0.0, 1.0)), Grid(-5, 5, 40))


def test_noise_that_vanishes_at_a_moment_is_allowed():
    check_noise(Problem("-x", "t", initial=Gaussian(0.0, 1.0)), Grid(-5, 5, 40))


def potential_difference(problem, a, b, t):
    def quotient(y):
        at = np.array([[y]])
        return float(problem.drift(at, t)[0, 0] / problem.diffusivity(at, t)[0, 0])

    return quad(quotient, a, b, epsabs=1e-13)[0]


def test_scharfetter_gummel_rates_match_a_twin_written_with_loops_and_quad():
    problem, grid, t = problem_on("no_flux"), Grid(-2, 2, 12), 0.4
    x, h, n = grid.centers, grid.spacing, grid.cells
    D = problem.diffusivity(x[:, None], t)[:, 0]
    A = np.zeros((n, n))
    for i in range(n - 1):
        rise = potential_difference(problem, x[i], x[i + 1], t)
        right = D[i] / h**2 * (-rise) / np.expm1(-rise)
        left = D[i + 1] / h**2 * rise / np.expm1(rise)
        A[i + 1, i] += right
        A[i, i] -= right
        A[i, i + 1] += left
        A[i + 1, i + 1] -= left
    np.testing.assert_allclose(dense(ScharfetterGummel().rates(problem, grid)(t)), A, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("kind", ["no_flux", "absorbing", "periodic"])
def test_well_balanced_rates_match_a_twin_written_with_loops_and_quad(kind):
    # The drift is so weak that s = 1 to the digits compared.
    problem, grid, t = problem_on(kind, drift="sin(pi*x/2)/200 + t/200"), Grid(-2, 2, 24), 0.4
    h, n = grid.spacing, grid.cells
    slope = np.array([-9, 125, -2250, 2250, -125, 9]) / 1920

    def mirrored(i):
        """Cell, sign of p there, and whether the drift is reflected."""
        if kind == "periodic":
            return i % n, 1.0, 1.0
        sign = -1.0 if kind == "absorbing" else 1.0
        if i < 0:
            return -1 - i, sign, -1.0
        return (2 * n - 1 - i, sign, -1.0) if i >= n else (i, 1.0, 1.0)

    half = {(c, side): 0.0 for c in range(n) for side in (0, 1)}
    for c, side in half:
        start = grid.lower + c * h + side * h / 2
        half[c, side] = potential_difference(problem, start, start + h / 2, t)

    def climb(i, side):
        cell, _, parity = mirrored(i)
        return half[cell, side] if parity > 0 else -half[cell, 1 - side]

    def rise(face, cell):
        """Φ(face) − Φ(centre of cell); face j lies left of cell j."""
        if cell >= face:
            return -sum(climb(i, 0) + climb(i, 1) for i in range(face, cell)) - climb(cell, 0)
        return climb(cell, 1) + sum(climb(i, 0) + climb(i, 1) for i in range(cell + 1, face))

    D = problem.diffusivity(grid.centers[:, None], t)[:, 0]
    J = np.zeros((n + 5, n))  # faces −2 ... n + 2
    for row, face in enumerate(range(-2, n + 3)):
        for m in range(6):
            cell, sign, _ = mirrored(face - 3 + m)
            J[row, cell] -= sign * slope[m] / h * D[cell] * np.exp(rise(face, face - 3 + m))
    A = np.zeros((n, n))
    for i in range(n):
        for m in range(6):
            A[i] -= slope[m] / h * J[i + m]
    np.testing.assert_allclose(dense(WellBalanced6().rates(problem, grid)(t)), A, rtol=1e-7, atol=1e-7)
