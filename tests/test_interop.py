"""Laws of scipy.stats, formulas of sympy and functions of other array libraries, as people bring them."""

from __future__ import annotations

import sys
import types
import warnings

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.array_libraries import namespace, written_for
from fpk.battery import examine_sampler
from fpk.errors import ProblemError
from fpk.fields import as_field
from fpk.laws import Gaussian, GaussianMixture, ScipyLaw, as_law
from fpk.schedules import OTSchedule

LEVELS = np.array([1e-6, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 1 - 1e-6])


def mixed(x, density, score):
    """The score of the mean of a density and that of N(2, 1)."""
    other = np.exp(-((x - 2) ** 2) / 2) / np.sqrt(2 * np.pi)
    return (density * score + other * (2 - x)) / (density + other)


#: Laws and ∂ log p on paper.
SCORES = {
    "gamma": (stats.gamma(2.0), lambda x: 1 / x - 1),
    "gamma far away": (stats.gamma(2.0, loc=1000.0), lambda x: 1 / (x - 1000) - 1),
    "gamma, newer kind": (stats.make_distribution(stats.gamma)(a=2.0), lambda x: 1 / x - 1),
    "beta": (stats.beta(2.0, 3.0), lambda x: 1 / x - 2 / (1 - x)),
    "cauchy": (stats.cauchy(), lambda x: -2 * x / (1 + x**2)),
    "t without variance": (stats.t(2.0), lambda x: -3 * x / (2 + x**2)),
    "narrow gumbel": (stats.gumbel_r(3.0, 0.01), lambda x: (np.exp(-(x - 3) / 0.01) - 1) / 0.01),
    "uniform": (stats.uniform(2.0, 3.0), lambda x: 0 * x),
    "truncated, newer kind": (stats.truncate(stats.Normal(), lb=-1.0, ub=2.0), lambda x: -x),
    "exponential of a normal": (stats.exp(stats.Normal()), lambda x: -(np.log(x) + 1) / x),
    "mixture, newer kind": (
        stats.Mixture([stats.Logistic(), stats.Normal(mu=2.0)], weights=[0.5, 0.5]),
        lambda x: mixed(x, 0.25 / np.cosh(x / 2) ** 2, -np.tanh(x / 2)),
    ),
}


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_as_accurate_as_stated(name):
    given, score = SCORES[name]
    law = as_law(given)
    assert isinstance(law, ScipyLaw)
    x = law._quantiles(LEVELS)
    error = np.abs(law.score(x[:, None])[:, 0] - score(x)) * law._spread
    assert np.all(error <= 1e-10 + 2e-9 * np.abs(score(x)) * law._spread)


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_finite_wherever_a_particle_may_stray(name):
    law = as_law(SCORES[name][0])
    middle, ends = law._quantiles(np.array([0.5])), np.asarray(law.frozen.support())
    far = np.clip(middle + law._spread * np.array([-10.0, -9.0, 9.0, 10.0]), *ends) + law._spread * np.array(
        [-1, 0, 0, 1]
    )
    assert np.isfinite(law.score(far[:, None])).all()


@pytest.mark.parametrize("name", SCORES)
def test_laws_of_scipy_are_laws(name):
    """Moments and distribution function by quadrature of the density; samples from our generator alone."""
    law = as_law(SCORES[name][0])
    points = law.breakpoints()
    assert np.all(np.diff(points) > 0)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = np.diff(points)[:, None] / 2
    x = points[:-1, None] + half * (1 + nodes)
    masses = (half * weights * np.exp(law.log_density(x.reshape(-1, 1))).reshape(x.shape)).sum(1)
    np.testing.assert_allclose(np.cumsum(masses), law.cdf(points[1:]) - law.cdf(points[:1]), atol=1e-9)
    np.testing.assert_allclose(np.log(law.density(x[:, :1])), law.log_density(x[:, :1]), rtol=1e-9, atol=1e-9)
    first, again = (law.sample(50, np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (50, 1)
    np.testing.assert_array_equal(first, again)
    assert law.mean.shape == (1,)
    assert law.covariance.shape == (1, 1)


def test_samples_follow_the_law():
    """Kolmogorov–Smirnov at level 1e-6 each; of a law shifted by a tenth of its spread 20,000 samples are refuted with power > .99."""
    for name, (given, _) in SCORES.items():
        law = as_law(given)
        found = law.sample(20_000, np.random.default_rng(11))[:, 0]
        assert stats.kstest(found, law.cdf).pvalue > 1e-6, name
        assert stats.kstest(found + 0.1 * law._spread, law.cdf).pvalue < 1e-6, name


@pytest.mark.parametrize("given", [stats.norm(2.0, 0.3), stats.Normal(mu=2.0, sigma=0.3)], ids=["frozen", "newer kind"])
def test_a_normal_law_of_scipy_is_a_gaussian_and_so_has_exact_marginals(given):
    problem = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.0, initial=given)
    assert isinstance(problem.initial, Gaussian)
    np.testing.assert_allclose(problem.initial.covariance, [[0.09]], rtol=1e-15)
    np.testing.assert_allclose(fpk.exact(problem, times=[0.7]).law(0.7).mean, [2 * np.exp(-0.7)], rtol=1e-12)


def test_a_mixture_of_normal_laws_is_one_of_gaussians():
    law = as_law(stats.Mixture([stats.Normal(mu=-1.0, sigma=0.2), stats.Normal(mu=2.0)], weights=[0.3, 0.7]))
    assert isinstance(law, GaussianMixture)
    same = GaussianMixture([0.3, 0.7], [-1.0, 2.0], stds=[0.2, 1.0])
    x = np.linspace(-3, 5, 9)[:, None]
    np.testing.assert_allclose(law.score(x), same.score(x), rtol=1e-14)


@pytest.mark.parametrize("shape", [(300,), (2, 300)])
def test_a_kernel_density_estimate_is_a_mixture_of_the_same_density(shape):
    rng = np.random.default_rng(0)
    estimate = stats.gaussian_kde(rng.gamma(2.0, size=shape), weights=rng.random(300))
    law = as_law(estimate)
    assert isinstance(law, GaussianMixture)
    x = rng.gamma(2.0, size=(np.atleast_2d(estimate.dataset).shape[0], 40))
    np.testing.assert_allclose(law.density(x.T), estimate(x), rtol=1e-10)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (stats.poisson(3.0), "poisson is discrete"),
        (stats.Binomial(n=3, p=0.4), "Binomial.*is discrete"),
        (stats.norm([0.0, 1.0], 1.0), r"\(2,\) laws at once"),
        (stats.Normal(mu=[0.0, 1.0]), r"\(2,\) laws at once"),
        (stats.gamma, r"freeze it, as in scipy\.stats\.gamma\(2\.0\)"),
        (stats.multivariate_t([0.0, 0.0]), "In more dimensions scipy's multivariate_normal and gaussian_kde"),
    ],
    ids=["discrete", "discrete, newer kind", "two", "two, newer kind", "not frozen", "another in the plane"],
)
def test_what_is_no_law_on_the_line_is_refused_with_what_to_do(given, said):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ProblemError, match=said):
            as_law(given)


def test_a_law_of_scipy_starts_a_problem_and_both_routes_agree():
    problem = fpk.Problem(fpk.Linear(-1.0), 1.0, initial=stats.gamma(9.0, scale=0.2))
    grid = fpk.solve(problem, fpk.Grid(-5, 9, cells=192), times=[0.5])
    run = fpk.simulate(problem, particles=100_000, steps=32, times=[0.5], seed=0)
    verdict = fpk.compare(grid, run, tolerance=0.1)  # wrong with probability 1e-6, undecided far less
    assert verdict.outcome is fpk.Outcome.CONFIRMED, str(verdict)


# -- functions written for other array libraries -----------------------------------------------------------------------------


def library(name):
    """Its namespace, and how a float of it is told from numpy's."""
    pytest.importorskip(name)
    return namespace(name)


LIBRARIES = ["array_api_strict", "torch", "numpy"]


def equation(space):
    """dX = −sin(X) e^{−t} dt + (1 + t) dW, strict about the arrays it is given."""

    def drift(x, t):
        kind = type(space.asarray(0.0))
        assert isinstance(x, kind)
        assert isinstance(t, kind)
        return -space.sin(x) * space.exp(-t)

    return drift, lambda t: space.sqrt((1 + t) ** 2)


@pytest.mark.parametrize("name", LIBRARIES)
def test_drifts_of_any_array_library_are_drifts(name):
    drift, diffusion = (written_for(library(name), f) for f in equation(library(name)))
    problem = fpk.Problem(drift, diffusion, initial=fpk.Gaussian(1.0, 0.3))
    plain = fpk.Problem(
        lambda x, t: -np.sin(x) * np.exp(-t), lambda t: np.sqrt((1 + t) ** 2), initial=fpk.Gaussian(1.0, 0.3)
    )
    first, second = (
        fpk.simulate(p, particles=500, steps=8, times=[0.5], seed=4).samples(0.5) for p in (problem, plain)
    )
    np.testing.assert_allclose(first, second, rtol=1e-12)
    first, second = (fpk.solve(p, fpk.Grid(-7, 9, cells=64), times=[0.5]).density(0.5) for p in (problem, plain))
    np.testing.assert_allclose(first, second, atol=1e-13)


@pytest.mark.parametrize("name", LIBRARIES)
def test_fields_of_any_array_library_are_fields(name):
    space, path = library(name), fpk.VPSchedule(0.1, 20.0)
    model = written_for(name, lambda x, t: x * space.exp(-t))
    field = as_field(model, kind="noise", schedule=path, time="path", direction="t_noise", scale="path")
    x = np.linspace(-1, 1, 5)[:, None]
    np.testing.assert_allclose(field.score(x, 0.5), -x * np.exp(-0.5) / path.sigma(0.5), rtol=1e-12)


@pytest.mark.parametrize("name", LIBRARIES)
def test_samplers_of_any_array_library_are_examined(name):
    space = library(name)

    def backwards(model, x, steps, rng):
        for k in range(steps):
            assert isinstance(x, type(space.asarray(0.0)))
            x = x - model(x, 1 - k / steps) / steps
        return x

    found = examine_sampler(
        backwards, kind="velocity", schedule=OTSchedule(), library=name, checks=["law", "order"], order=1
    )
    assert found.outcome is fpk.Outcome.CONFIRMED, str(found)


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_function_may_write_into_what_it_is_given(name):
    space = library(name)

    def careless(x, t):
        x *= 2
        return -x

    x = np.ones((3, 1))
    x.flags.writeable = False  # and arrays that may not be written to can be given
    np.testing.assert_array_equal(written_for(space, careless)(x, 0.0), -2 * np.ones((3, 1)))
    np.testing.assert_array_equal(x, np.ones((3, 1)))


def test_torch_modules_and_derivatives_are_functions_too():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(1, 1).double()

    class Velocity(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x, t):
            return self.layer(x) + t

    def minus_gradient(x, t):
        x.requires_grad_()
        return -torch.autograd.grad((x**4 / 4).sum(), x)[0]

    x = np.linspace(-1, 1, 5)[:, None]
    for given, expected in [
        (Velocity(), layer(torch.tensor(x)).detach().numpy() + 0.5),
        (minus_gradient, -(x**3)),
    ]:
        problem = fpk.Problem(written_for("torch", given), 1.0, initial=fpk.Gaussian(0.0, 1.0))
        np.testing.assert_allclose(problem.drift(x, 0.5), expected, rtol=1e-12)


def test_a_function_of_another_library_is_told_how_it_is_given():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(1, 1)
    with pytest.raises(ProblemError, match=r"written_for\('torch', module\)"):
        fpk.Problem(layer, 1.0, initial=fpk.Gaussian(0.0, 1.0))
    short = written_for("torch", lambda x, t: layer(x))  # float32 parameters, float64 positions
    for drift in (lambda x, t: torch.sin(x), lambda x, t: x.exp(), lambda x, t: layer(torch.zeros(3, 1)), short):
        problem = fpk.Problem(drift, 1.0, initial=fpk.Gaussian(0.0, 1.0))
        with pytest.raises(ProblemError, match=r"drift .*shape \(3, 1\).*written_for\('torch', f\)"):
            problem.drift(np.zeros((3, 1)), 0.5)


@pytest.mark.parametrize(
    ("declared", "function", "dtype", "said"),
    [
        ("no_such_library", np.sin, "float64", r"'no_such_library' cannot be imported.*install it"),
        ("no_such_library", np.sin, "float64", "or name another: 'numpy', 'torch', 'jax'"),
        ("json", np.sin, "float64", "'json' is no array library"),
        (np, 3.0, "float64", r"function of \(x, t\)"),
        (np, np.sin, "float7", "no type 'float7'"),
    ],
)
def test_a_declaration_that_means_nothing_is_refused(declared, function, dtype, said):
    with pytest.raises(ProblemError, match=said):
        written_for(declared, function, dtype=dtype)(np.zeros((1, 1)))


def test_a_library_that_is_missing_is_not_proposed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ProblemError, match=r"'torch' cannot be imported.*name another: 'numpy', 'jax', or"):
        written_for("torch", np.sin)(np.zeros((1, 1)))


def test_a_library_that_would_shorten_numbers_is_refused(monkeypatch):
    """JAX does, silently; here a stand-in of its two modules."""
    short = types.SimpleNamespace(__name__="jax.numpy", asarray=np.asarray, float64="float32", float32="float32")
    monkeypatch.setitem(sys.modules, "jax.numpy", short)
    jax = types.SimpleNamespace(numpy=short, config=types.SimpleNamespace(jax_enable_x64=False), __path__=[])
    monkeypatch.setitem(sys.modules, "jax", jax)
    with pytest.raises(ProblemError, match="jax_enable_x64"):
        written_for("jax", lambda x, t: x)(np.zeros((1, 1)), 0.0)
    assert written_for("jax", lambda x, t: x, dtype="float32")(np.zeros((1, 1)), 0.0).dtype == np.float32


# -- formulas of sympy -------------------------------------------------------------------------------------------------------


def test_problems_from_sympy_are_those_of_functions_in_any_dimension():
    import sympy

    x0, x1, t = sympy.symbols("x0 x1 t")
    formulas = fpk.Problem([x1, -sympy.sin(x0) - t * x1], [[0, 1], [x0, 2]], initial=fpk.Gaussian([1.0, 0.0], 0.3))
    functions = fpk.Problem(
        lambda x, t: np.stack([x[:, 1], -np.sin(x[:, 0]) - t * x[:, 1]], 1),
        lambda x, t: np.stack(
            [np.stack([0 * x[:, 0], 1 + 0 * x[:, 0]], 1), np.stack([x[:, 0], 2 + 0 * x[:, 0]], 1)], 1
        ),
        initial=fpk.Gaussian([1.0, 0.0], 0.3),
    )
    x = np.random.default_rng(0).normal(size=(7, 2))
    np.testing.assert_allclose(formulas.drift(x, 0.3), functions.drift(x, 0.3), rtol=1e-14)
    np.testing.assert_allclose(formulas.diffusivity_matrix(x, 0.3), functions.diffusivity_matrix(x, 0.3), rtol=1e-14)


@pytest.mark.parametrize("form", [str, lambda text: __import__("sympy").sympify(text)], ids=["text", "sympy"])
def test_schedules_are_formulas_too(form):
    """The pair of VP with the constant rate 2: α = e^{−t}, σ² = 1 − e^{−2t}."""
    stated = fpk.AffineSchedule(form("exp(-t)"), form("sqrt(1 - exp(-2*t))"))
    named = fpk.VPSchedule(2.0)
    for s in (0.0, 0.01, 0.3, 1.0):
        for of in ("alpha", "sigma", "drift_rate", "diffusion"):
            np.testing.assert_allclose(getattr(stated, of)(s), getattr(named, of)(s), atol=1e-9, err_msg=f"{of}({s})")
    assert "exp(-t)" in repr(stated)
    assert stated == fpk.AffineSchedule(form("exp(-t)"), form("sqrt(1 - exp(-2*t))"))


def test_a_schedule_in_another_letter_is_refused():
    with pytest.raises(ProblemError, match=r"alpha .*unknown symbols \['x'\]; it may use t"):
        fpk.AffineSchedule("exp(-x)", "x")


def test_a_constant_sequence_as_schedule_is_refused():
    with pytest.raises(ProblemError, match=r"alpha must be a function of t, or a formula in t; got \[1, 2\]"):
        fpk.AffineSchedule([1, 2], "t")  # pyright: ignore[reportArgumentType]
