"""Objectives: each is the loss its definition says, and those of one field share their minimisers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import fpk
from fpk.errors import ProblemError
from fpk.fields import exact_field
from fpk.laws import Array
from fpk.models import objectives
from fpk.models.features import Features, Hermite, RadialBasis, Splines, Timed
from fpk.models.fits import LinearField, fit
from fpk.models.objectives import Quadratic, over_time, rademacher
from fpk.models.points import Pairs, Points, drawn, law_points, paired, quadrature_pairs, time_integral

SCHEDULE = fpk.VPSchedule(0.6, 3.4)
LINE = fpk.problems.two_peaks()
PLANE = fpk.GaussianMixture(
    [0.4, 0.6], [[-0.8, 0.3], [0.9, -0.5]], covariances=[[[0.3, 0.1], [0.1, 0.4]], [[0.5, -0.2], [-0.2, 0.3]]]
)
FEATURES: dict[int, Features] = {
    1: RadialBasis(np.linspace(-2, 2, 6), width=0.9) + Hermite(1),
    2: Hermite(3, mean=[0.0, 0.0], std=0.8),
}
TIME = 0.4
#: Quadrature nodes of a law whose score is integrated: responsibilities of mixtures in the plane have poles.
NODES = {1: 12, 2: 100}


def law_at(data: fpk.GaussianMixture, t: float = TIME) -> fpk.GaussianMixture:
    """The law of α X_0 + σ Z."""
    eye = np.eye(data.dimension)
    return data.pushed(SCHEDULE.alpha(t) * eye, np.zeros(data.dimension), SCHEDULE.sigma(t) ** 2 * eye)


def sample(data: fpk.GaussianMixture, rng: np.random.Generator, count: int = 50) -> Pairs:
    return drawn(data, SCHEDULE, t=TIME, count=count, rng=rng)


def plain(loss: Callable[[LinearField, Pairs, Array], Array]) -> Callable[..., float]:
    """The mean of a loss (n,) of single samples, in numpy."""
    return lambda model, pairs, v: float(loss(model, pairs, v).mean())


def _half_square(values: Array) -> Array:
    return 0.5 * (values**2).sum(1)


def _projected_divergence(model: LinearField, pairs: Pairs, v: Array) -> Array:
    return np.einsum("nai,nij,naj->na", v, model.jacobian(pairs.x, TIME), v).mean(1)


DEFINITIONS: dict[str, tuple[Callable[..., Quadratic], Callable[..., float]]] = {
    "denoising": (
        lambda f, p, v: objectives.conditional(f, p),
        plain(lambda s, p, v: _half_square(s(p.x, TIME) + p.z / SCHEDULE.sigma(TIME))),
    ),
    "noise": (
        lambda f, p, v: objectives.conditional(f, p, kind="noise"),
        plain(lambda s, p, v: _half_square(s(p.x, TIME) - p.z)),
    ),
    "denoised": (
        lambda f, p, v: objectives.conditional(f, p, kind="denoised"),
        plain(lambda s, p, v: _half_square(s(p.x, TIME) - p.x0)),
    ),
    "implicit": (
        lambda f, p, v: objectives.implicit(f, p.points),
        plain(lambda s, p, v: _half_square(s(p.x, TIME)) + s.divergence(p.x, TIME)),
    ),
    "Hutchinson": (
        lambda f, p, v: objectives.hutchinson(f, p.points, v),
        plain(lambda s, p, v: _half_square(s(p.x, TIME)) + _projected_divergence(s, p, v)),
    ),
    "sliced": (
        lambda f, p, v: objectives.sliced(f, p.points, v),
        plain(
            lambda s, p, v: (
                0.5 * (np.einsum("nai,ni->na", v, s(p.x, TIME)) ** 2).mean(1) + _projected_divergence(s, p, v)
            )
        ),
    ),
}


@pytest.mark.parametrize("data", [LINE, PLANE], ids=["line", "plane"])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_quadratic_form_is_the_mean_of_the_loss_of_its_definition(
    name: str, data: fpk.GaussianMixture, rng: np.random.Generator
) -> None:
    form, definition = DEFINITIONS[name]
    features, pairs = FEATURES[data.dimension], sample(data, rng)
    directions = rademacher(pairs.points, count=3, rng=rng)
    objective = form(features, pairs, directions)
    for _ in range(2):
        theta = rng.standard_normal((features.count, features.dimension))
        expected = definition(LinearField(features, theta), pairs, directions)
        assert objective(theta) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_gradients_are_the_slopes_of_objectives(name: str, rng: np.random.Generator) -> None:
    pairs = sample(PLANE, rng)
    objective = DEFINITIONS[name][0](FEATURES[2], pairs, rademacher(pairs.points, count=2, rng=rng))
    theta, step = rng.standard_normal((2, FEATURES[2].count, 2))
    slope = (objective(theta + step) - objective(theta - step)) / 2  # exact for a quadratic form
    assert np.sum(objective.gradient(theta) * step) == pytest.approx(slope, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("data", [LINE, PLANE], ids=["line", "plane"])
def test_explicit_denoising_and_implicit_objectives_differ_by_known_constants(data: fpk.GaussianMixture) -> None:
    features, law = FEATURES[data.dimension], law_at(data)
    nodes = {1: {}, 2: {"nodes": 8, "normals": 8}}[data.dimension]
    points = law_points(law, t=TIME, nodes=NODES[data.dimension])
    score = lambda x, t: law.score(x)  # noqa: E731
    explicit = objectives.explicit(features, points, score)
    denoising = objectives.conditional(features, quadrature_pairs(data, SCHEDULE, t=TIME, **nodes))
    implicit = objectives.implicit(features, points)
    fisher = float(points.mean((law.score(points.x) ** 2).sum(1)))
    for theta in np.random.default_rng(0).standard_normal((3, features.count, data.dimension)):
        assert implicit(theta) - explicit(theta) == pytest.approx(-0.5 * fisher, abs=1e-9 * abs(explicit(theta)))
        irreducible = 0.5 * (data.dimension / SCHEDULE.sigma(TIME) ** 2 - fisher)
        assert denoising(theta) - explicit(theta) == pytest.approx(irreducible, abs=1e-9 * abs(explicit(theta)))


def test_sliced_and_hutchinson_are_implicit_in_the_mean_over_all_signs() -> None:
    points = law_points(law_at(PLANE), t=TIME, nodes=6)
    signs = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    every = np.broadcast_to(signs, (len(points.x), 4, 2))
    implicit = objectives.implicit(FEATURES[2], points)
    for form in (objectives.sliced, objectives.hutchinson):
        found = form(FEATURES[2], points, every)
        for theta in np.random.default_rng(1).standard_normal((2, FEATURES[2].count, 2)):
            np.testing.assert_allclose(found.gradient(theta), implicit.gradient(theta), rtol=1e-11, atol=1e-11)


def test_rademacher_directions_are_signs_that_change(rng: np.random.Generator) -> None:
    points = Points(np.zeros((1000, 2)), np.full(1000, 1e-3))
    v = rademacher(points, count=4, rng=rng)
    assert v.shape == (1000, 4, 2)
    assert set(np.unique(v)) == {-1.0, 1.0}
    assert np.abs(v.reshape(-1, 2).T @ v.reshape(-1, 2) / 4000 - np.eye(2)).max() < 6 / np.sqrt(4000)


def test_a_density_with_an_edge_breaks_the_implicit_objective_by_its_boundary_term() -> None:
    """On [0, 1] with density 2x: ∮ p s n = 2 s(1), of a single constant feature 2 θ."""
    edge = fpk.TabulatedLaw(np.linspace(0.05, 1, 400), np.log(np.linspace(0.05, 1, 400)), reliable=np.inf)
    points, one = law_points(edge), Hermite(0)
    explicit = objectives.explicit(one, points, lambda x, t: edge.score(x))
    gap = objectives.implicit(one, points).gradient(np.zeros((1, 1))) - explicit.gradient(np.zeros((1, 1)))
    ends = edge.density(np.array([[0.05], [1.0]]))
    assert gap[0, 0] == pytest.approx(ends[1] - ends[0], rel=1e-6)


def test_the_boundary_term_mends_the_implicit_objective_in_a_rectangle() -> None:
    """Density (1 + x)(2 + y)/9 on [0, 1] × [0, 2]: the linear part is then ∫ φ (∇p)ᵀ dx, integrated with symbols."""
    import sympy as sp

    u, v = sp.symbols("u v")
    p = (1 + u) * (2 + v) / 9
    z, w = (np.array(part) for part in np.polynomial.legendre.leggauss(6))
    x, y = 0.5 * (1 + z), 1 + z
    inside = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    density = lambda at: (1 + at[:, 0]) * (2 + at[:, 1]) / 9  # noqa: E731
    sides = {
        (-1, 0): (0 * y, y, w),
        (1, 0): (0 * y + 1, y, w),
        (0, -1): (x, 0 * x, w / 2),
        (0, 1): (x, 0 * x + 2, w / 2),
    }
    walls = np.concatenate([np.stack([a, b], axis=1) for a, b, _ in sides.values()])
    areas = np.concatenate([lengths for *_, lengths in sides.values()])
    normals = np.repeat(np.array([*sides], float), len(w), axis=0)
    features = Hermite(2, mean=[0.0, 0.0], std=1.0)
    points, edge = Points(inside, np.kron(w / 2, w) * density(inside)), Points(walls, areas * density(walls))
    mended = objectives.implicit(features, points) + objectives.boundary(features, edge, normals)
    known = [sp.Integer(1), v, u, (v**2 - 1) / sp.sqrt(2), u * v, (u**2 - 1) / sp.sqrt(2)]
    at = {u: 0.3, v: 1.7}
    np.testing.assert_allclose(features(np.array([[0.3, 1.7]]))[0], [float(f.subs(at)) for f in known], rtol=1e-12)
    for b, f in zip(mended.b, known, strict=True):
        slopes = [sp.integrate(f * sp.diff(p, along), (u, 0, 1), (v, 0, 2)) for along in (u, v)]
        np.testing.assert_allclose(b, np.array(slopes, float), atol=1e-12)
    assert abs(objectives.implicit(features, points).b - mended.b).max() > 0.1
    with pytest.raises(ProblemError, match="outward unit normal"):
        objectives.boundary(features, edge, 2 * normals)
    with pytest.raises(ProblemError, match="outward unit normal"):
        objectives.boundary(features, edge, normals[:, :1])


def test_quadrature_over_time_of_timed_features_is_the_sum_over_its_times(rng: np.random.Generator) -> None:
    timed = Timed(FEATURES[1], 2, 0.1, 1.0)
    data = LINE.sample(40, rng)

    def objective(features: Features, t: float) -> Quadratic:
        return objectives.conditional(features, paired(data, SCHEDULE, t=t, rng=np.random.default_rng(int(1e6 * t))))

    lifted = over_time(timed, objective, nodes=5, weighting=SCHEDULE.diffusion)
    theta = rng.standard_normal((timed.count, 1))
    plainly = time_integral(lambda t: SCHEDULE.diffusion(t) * objective(timed, t)(theta), start=0.1, end=1.0, nodes=5)
    assert lifted(theta) == pytest.approx(plainly, rel=1e-12)


def test_lifting_keeps_coupled_components(rng: np.random.Generator) -> None:
    pairs = sample(PLANE, rng)
    v = rademacher(pairs.points, count=1, rng=rng)
    timed = Timed(FEATURES[2], 2, 0.1, 1.0)
    direct = objectives.sliced(timed, pairs.points, v)
    lifted = objectives.lifted(objectives.sliced(timed.base, pairs.points, v), timed.clock(TIME))
    theta = rng.standard_normal((timed.count, 2))
    assert lifted(theta) == pytest.approx(direct(theta), rel=1e-11)


def test_sums_and_multiples_of_objectives_are_those_of_their_values(rng: np.random.Generator) -> None:
    pairs = sample(PLANE, rng)
    first = objectives.implicit(FEATURES[2], pairs.points)
    second = objectives.sliced(FEATURES[2], pairs.points, rademacher(pairs.points, count=1, rng=rng))
    theta = rng.standard_normal((FEATURES[2].count, 2))
    assert (first + 3.0 * second)(theta) == pytest.approx(first(theta) + 3 * second(theta), rel=1e-11)
    assert (second + first)(theta) == pytest.approx(first(theta) + second(theta), rel=1e-11)


@pytest.mark.parametrize("kind", ["score", "noise", "denoised", "v", "velocity"])
@pytest.mark.parametrize("data", [LINE, PLANE], ids=["line", "plane"])
def test_conditional_means_of_targets_are_the_exact_field(kind: str, data: fpk.GaussianMixture) -> None:
    """Against any test function of x: E φ(x) y = E φ(x) E[y | x], the latter by quadrature over p_t."""
    nodes = {1: {}, 2: {"nodes": 12, "normals": 12}}[data.dimension]
    pairs = quadrature_pairs(data, SCHEDULE, t=TIME, **nodes)
    points = law_points(law_at(data), t=TIME, nodes=NODES[data.dimension])
    features = FEATURES[data.dimension]
    found = objectives.conditional(features, pairs, kind=kind).b
    truth = objectives.regression(features, points, exact_field(data, SCHEDULE, kind=kind)(points.x, TIME)).b
    np.testing.assert_allclose(found, truth, atol=1e-9)


def test_law_points_integrate_kinks_at_the_edges_they_are_told() -> None:
    law = fpk.Gaussian(0.1, 1.0)
    spline = Splines(-3.0, 3.0, pieces=7, degree=1)
    told = law_points(law, edges=list(spline.knots))
    untold = law_points(law)
    exact = law_points(law, edges=list(np.linspace(-3, 3, 7 * 16 + 1)))
    error = [np.abs(p.mean(spline(p.x)) - exact.mean(spline(exact.x))).max() for p in (told, untold)]
    assert error[0] < 1e-13 < 1e-8 < error[1]


def test_law_points_have_the_moments_of_a_mixture_in_the_plane() -> None:
    points = law_points(PLANE, nodes=4)
    mean = points.mean(points.x)
    np.testing.assert_allclose(mean, PLANE.mean, atol=1e-14)
    centred = points.x - mean
    np.testing.assert_allclose(points.mean(centred[:, :, None] * centred[:, None]), PLANE.covariance, atol=1e-14)


def test_drawn_pairs_are_on_the_path(rng: np.random.Generator) -> None:
    pairs = sample(PLANE, rng, 20_000)
    np.testing.assert_allclose(pairs.x, SCHEDULE.alpha(TIME) * pairs.x0 + SCHEDULE.sigma(TIME) * pairs.z, rtol=1e-15)
    verdict = fpk.compare(
        fpk.testing.samples.SampleMarginals(pairs.x, TIME),
        fpk.LawMarginals({TIME: law_at(PLANE)}, (TIME,)),
        tolerance=0.08,
    )
    assert verdict.outcome == fpk.Outcome.CONFIRMED


def test_what_cannot_be_is_refused_in_words(rng: np.random.Generator) -> None:
    pairs = sample(PLANE, rng)
    with pytest.raises(ProblemError, match="infinite at t=0"):
        paired(pairs.x0, SCHEDULE, t=0.0, rng=rng).target("score")
    with pytest.raises(ProblemError, match=r"directions of shape \(n, k, d\)"):
        objectives.sliced(FEATURES[2], pairs.points, np.ones((50, 2)))
    with pytest.raises(ProblemError, match="more than 3 nodes"):
        over_time(Timed(Hermite(1), 3, 0.1, 1.0), lambda f, t: objectives.conditional(f, pairs), nodes=3)
    with pytest.raises(ProblemError, match="needs a Gaussian mixture"):
        law_points(_Elsewhere())  # type: ignore[arg-type]


class _Elsewhere:
    """A law in the plane that is no mixture."""

    dimension = 2


def test_minimisers_in_the_plane_agree() -> None:
    law = law_at(PLANE)
    points = law_points(law, t=TIME, nodes=NODES[2])
    pairs = quadrature_pairs(PLANE, SCHEDULE, t=TIME, nodes=8, normals=8)
    thetas = [
        fit(FEATURES[2], objective, schedule=SCHEDULE).model.theta
        for objective in (
            objectives.explicit(FEATURES[2], points, lambda x, t: law.score(x)),
            objectives.conditional(FEATURES[2], pairs),
            objectives.implicit(FEATURES[2], points),
        )
    ]
    for theta in thetas[1:]:
        np.testing.assert_allclose(theta, thetas[0], atol=1e-8)
