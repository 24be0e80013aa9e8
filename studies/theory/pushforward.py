r"""Images of densities under maps and flows, and when there is a flow.

    p_Y(y) = p_X(ψ⁻¹(y)) |det ∂ψ⁻¹(y)|,   det ∂φ_t = exp ∫_0^t ∇·v,   log det(I + εA) = ε Tr A + O(ε²),   φ_{0→s+t} = φ_{s→s+t} ∘ φ_{0→s}.

The truth is means over points that were moved, maps in closed form, differences of maps, distribution functions, and the length of solutions' lives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

import fpk
from fpk.fokker_planck.characteristics import divergence, followed, moved, pushed
from fpk.laws import Array, central_derivative
from fpk.marginals import zero_estimate
from fpk.models.layers import Affine, Bijection
from fpk.models.normalizing import NormalizingFlow
from fpk.models.points import law_points
from fpk.study import Evidence, Size, order_evidence, study

from .._limits import limit_evidence
from .._systems import DATA
from ._motions import MOTIONS, PLANE_DATA, PLANE_PLACES, WHERE
from ._rates import Lattice, Tests, two_levels, waves
from ._volume import LINE, SINE, TURNING, Map, jacobian, squared, turned
from ._volume_charts import image_chart
from ._volume_claims import PUSHFORWARD
from ._volume_lives import Posed, linear, lives, square, tame

CLAIMS = PUSHFORWARD

# -- change of variables -----------------------------------------------------------------------------------------------


class Image(NamedTuple):
    """A map ψ and its inverse, the law of X, and the half width and number of points of a lattice for Y."""

    forward: Map
    back: Map
    law: fpk.GaussianMixture
    half: float
    count: int
    tests: Tests


def _swirled(x: Array) -> Array:
    y = turned(x, 1.2 * np.exp(-squared(x)[:, 0] / 2))
    return np.stack([y[:, 0], 1.2 * np.sinh(0.6 * y[:, 1])], axis=1)


def _unswirled(y: Array) -> Array:
    x = np.stack([y[:, 0], np.arcsinh(y[:, 1] / 1.2) / 0.6], axis=1)
    return turned(x, -1.2 * np.exp(-squared(x)[:, 0] / 2))


ALONG, ACROSS = waves([[0.6], [1.4]]), waves([[0.8, 0.0], [0.0, 0.8], [0.7, -0.7]])
IMAGES = {
    "the line turned over": Image(
        lambda x: 0.4 - np.sinh(0.7 * x), lambda y: np.arcsinh(0.4 - y) / 0.7, DATA, 12.0, 250, ALONG
    ),
    "shear, turned over": Image(
        lambda x: np.stack([0.5 * np.sin(x[:, 1]) - 1.2 * x[:, 0], 0.8 * x[:, 1]], axis=1),
        lambda y: np.stack([(0.5 * np.sin(y[:, 1] / 0.8) - y[:, 0]) / 1.2, y[:, 1] / 0.8], axis=1),
        PLANE_DATA,
        5.5,
        48,
        ACROSS,
    ),
    "swirl": Image(_swirled, _unswirled, PLANE_DATA, 6.0, 72, ACROSS),
    "flow": Image(lambda x: SINE.image(x, 0.6), lambda y: SINE.origin(y, 0.6), DATA, 7.0, 150, ALONG),
}

#: The density of the image from ψ and the places y.
Claimed = Callable[[Image, Array], Array]


def _weighed(weight: Callable[[Array], Array]) -> Claimed:
    """p_X(ψ⁻¹y) times a function of det ∂ψ⁻¹(y)."""
    return lambda image, y: image.law.density(image.back(y)) * weight(np.linalg.det(jacobian(image.back, y)))


def _by_fpk(scale: float = 1.0) -> Claimed:
    """The law of the image as fpk has it, with a factor on its density."""

    def density(image: Image, y: Array) -> Array:
        bijection = Bijection(image.forward, image.back, y.shape[1], step=4e-3)
        return scale * NormalizingFlow(image.law, [bijection]).density(y)

    return density


DENSITIES: dict[str, Claimed] = {
    "stated": _by_fpk(),
    "absolute value dropped": _weighed(lambda det: det),
    "det ∂ψ at the origin": _weighed(lambda det: 1 / np.abs(det)),
    "determinant dropped": _weighed(np.ones_like),
    "ψ for its inverse": lambda image, y: (
        image.law.density(image.forward(y)) * np.abs(np.linalg.det(jacobian(image.back, y)))
    ),
    "det + 1 %": _by_fpk(1.01),
}


def _image_evidence(claimed: Claimed, image: Image, size: Size) -> Evidence:
    """Means over the density that is claimed less means over moved points."""

    def gap(level: int) -> Array:
        lattice = Lattice(image.half, size.cells(image.count) * level // 2, image.law.dimension)
        points = law_points(image.law, t=0.0, nodes=10 + 6 * level)
        p = claimed(image, lattice.points)
        return image.tests(lattice.points) @ p * lattice.volume - points.mean(image.tests(image.forward(points.x)).T)

    count = len(image.tests(np.zeros((1, image.law.dimension)))) // 2
    names = tuple(f"E {name} k·Y, wave {k + 1}" for name in ("cos", "sin") for k in range(count))
    return two_levels(gap, names=names, source="means over the claimed density less means over moved points")


@study(
    "S1.E65-66",
    variants=DENSITIES,
    cases=("the line turned over", "shear, turned over", "swirl"),
    applies=lambda variant, case: variant != "absolute value dropped" or case != "swirl",
)
def change_of_variables(variant: Claimed, case: str, size: Size, seed: int) -> Evidence:
    image = IMAGES[case]
    found = _image_evidence(variant, image, size)
    if image.law.dimension > 1:
        return found
    return replace(found, charts=(image_chart(lambda y: variant(image, y), image.back, image.law),))


@study(
    "err:S1.E65-66",
    variants={
        "printed": ("absolute value dropped", "the line turned over"),
        "corrected": ("stated", "the line turned over"),
        "degenerate": ("absolute value dropped", "flow"),
    },
)
def absolute_value(variant: tuple[str, str], case: str, size: Size, seed: int) -> Evidence:
    return _image_evidence(DENSITIES[variant[0]], IMAGES[variant[1]], size)


# -- volumes of flows --------------------------------------------------------------------------------------------------

#: Until when flows are followed; weights of ∫∇·v and of t ∇·v at the start.
UNTIL = 0.5
VOLUMES = {
    "stated": (1.0, 0.0),
    "sign": (-1.0, 0.0),
    "divergence dropped": (0.0, 0.0),
    "½ extra": (0.5, 0.0),
    "at the start only": (0.0, UNTIL),
    "div + 1 %": (1.01, 0.0),
}


@lru_cache(maxsize=8)
def _grown(case: str, steps: int) -> tuple[Array, Array, Array]:
    """Determinants of the map by differences of positions, the integral of the divergence, and the divergence at the start."""
    problem, x = MOTIONS[case], WHERE[case]
    slope = jacobian(lambda y: pushed(problem, y, (UNTIL,), steps)[0], x)
    volume = followed(problem, x, np.linspace(0.0, UNTIL, steps + 1))[1]
    return np.linalg.det(slope), volume, divergence(problem, x, 0.0)


@study("S1.T65", variants=VOLUMES, cases=tuple(MOTIONS))
def flow_volume(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """Determinants over what is claimed, less 1: a determinant that is not positive cannot pass."""
    through, at_start = variant

    def excess(level: int) -> Array:
        found, volume, spread = _grown(case, size.cells(12) * level)
        return found * np.exp(-through * volume - at_start * spread) - 1

    names = tuple(f"x = {place.tolist()}" for place in WHERE[case])
    return two_levels(excess, names=names, source=f"determinants of the flow, {case}")


# -- one step ----------------------------------------------------------------------------------------------------------

SLOPE, SHIFT = np.array([[0.6, 0.9], [-0.4, -1.1]]), np.array([0.3, -0.2])
EPSILONS = 2.0 ** -np.arange(8, 14)


def _on_the_line(x: Array, y: Array, h: float) -> tuple[Array, Array]:
    """log p_0 at x and log p_1 at y, p_1 the slope of the distribution function of X + h f(X)."""
    drift = MOTIONS["d = 1"].drift

    def below(y: Array) -> Array:
        z = y
        for _ in range(12):
            z = y - h * drift(z, 0.0)
        return DATA.cdf(z[:, 0])

    slope = central_derivative(lambda s: below(y + s), np.zeros(1), 4e-3)
    return DATA.log_density(x), np.log(slope)


def _in_the_plane(x: Array, y: Array, h: float) -> tuple[Array, Array]:
    """The same for the linear field: its image is a mixture with other means and covariances."""
    image = PLANE_DATA.pushed(np.eye(2) + h * SLOPE, h * SHIFT, np.zeros((2, 2)))
    return PLANE_DATA.log_density(x), image.log_density(y)


class Step(NamedTuple):
    """Order, weight of the trace, and whether the point moves."""

    order: float = 2.0
    trace: float = 1.0
    moved: float = 1.0


@study(
    "S4.E106-110",
    variants={
        "stated": Step(),
        "order 1": Step(order=1.0),
        "order 3": Step(order=3.0),
        "sign": Step(trace=-1.0),
        "trace dropped": Step(trace=0.0),
        "point not moved": Step(moved=0.0),
        "½ extra": Step(trace=0.5),
        "trace + 1 %": Step(trace=1.01),
    },
    cases=("on the line", "in the plane"),
)
def one_step(variant: Step, case: str, size: Size, seed: int) -> Evidence:
    line = case == "on the line"
    x, densities = (WHERE["d = 1"], _on_the_line) if line else (PLANE_PLACES, _in_the_plane)
    f = MOTIONS["d = 1"].drift(x, 0.0) if line else x @ SLOPE.T + SHIFT
    trace = 2 * np.cos(2 * x[:, 0]) - 0.5 if line else np.trace(SLOPE)

    def error(h: float) -> float:
        before, after = densities(x, x + h * variant.moved * f, h)
        return float(np.sqrt(np.mean((after - before + h * variant.trace * trace) ** 2)))

    errors, source = [error(h) for h in EPSILONS], f"errors of one step, {case}"
    return order_evidence(errors, EPSILONS, variant.order, floor=1e-12, source=source)


#: Numbers made of a matrix, from arrays of shape (d, d).
TRACES: dict[str, Callable[[Array], float]] = {
    "stated": lambda A: float(np.trace(A)),
    "sign": lambda A: -float(np.trace(A)),
    "all entries": lambda A: float(A.sum()),
    "det A": lambda A: float(np.linalg.det(A)),
    "product of the diagonal": lambda A: float(np.prod(np.diag(A))),
    "trace + 0.5 %": lambda A: 1.005 * float(np.trace(A)),
}


@lru_cache(maxsize=2)
def _matrices(d: int) -> list[Array]:
    rng = np.random.default_rng(d)
    return [rng.integers(-9, 10, (d, d)) / 4 + np.eye(d) for _ in range(3)]


@lru_cache(maxsize=1)
def _expanded() -> Any:
    """Slopes of det(I + εA) and of its logarithm at ε = 0 for a matrix of symbols, as a function of its entries."""
    import sympy

    e, A = sympy.Symbol("e"), sympy.Matrix(3, 3, sympy.symbols("a:9"))
    det: Any = (sympy.eye(3) + e * A).det(method="berkowitz")
    slopes = [det.diff(e).subs(e, 0), (det.diff(e) / det).subs(e, 0)]
    return sympy.lambdify(A.flat(), slopes)


def _symbols(trace: Callable[[Array], float]) -> Evidence:
    """Exact slopes less what is claimed, at matrices of quarters, which have no round-off."""
    gaps = np.array([np.subtract(_expanded()(*A.ravel()), trace(A)) for A in _matrices(3)]).ravel()
    names = tuple(f"{name}, matrix {k + 1}" for k in range(3) for name in ("det", "log det"))
    first = fpk.residual(gaps, 1e-13, proven=True, source="slopes of a determinant of symbols")
    return Evidence(first, zero_estimate(len(gaps)), names)


@study("S4.E108-109", variants=TRACES, cases=("d = 2", "d = 5", "symbols"))
def expanded_determinant(variant: Callable[[Array], float], case: str, size: Size, seed: int) -> Evidence:
    """Determinants by elimination, and logarithms as a layer of a normalizing flow has them, as ε → 0."""
    if case == "symbols":
        return _symbols(variant)
    d = int(case[-1])

    def slopes(h: float) -> Array:
        grown = [np.eye(d) + h * A for A in _matrices(d)]
        logs = [-Affine(B).back(np.zeros((1, d)))[1][0] for B in grown]
        return np.array([*((np.linalg.det(B) - 1) / h for B in grown), *(log / h for log in logs)])

    names = tuple(f"{name}, matrix {k + 1}" for name in ("det", "log det") for k in range(3))
    claimed = np.array([variant(A) for A in _matrices(d)] * 2)
    step = 0.01 if size.quick else 0.005
    return limit_evidence(slopes, claimed, step=step, names=names, source="determinants of I + εA")


# -- flows -------------------------------------------------------------------------------------------------------------

HALT, AFTER = 0.4, 0.5
MOVING = {"line": LINE, "turning plane": TURNING}


def _leg(problem: fpk.Problem, x: Array, start: float, end: float, steps: int) -> Array:
    h = (end - start) / steps
    for k in range(steps):
        x = moved(problem, x, start + k * h, h)
    return x


#: The legs of the way, in order, and the factor on the velocity.
LEGS = {
    "stated": (((0.0, HALT), (HALT, HALT + AFTER)), 1.0),
    "clock started again": (((0.0, HALT), (0.0, AFTER)), 1.0),
    "legs exchanged": (((HALT, HALT + AFTER), (0.0, HALT)), 1.0),
    "first leg dropped": (((HALT, HALT + AFTER),), 1.0),
    "sign": (((0.0, HALT), (HALT, HALT + AFTER)), -1.0),
    "v + 0.5 %": (((0.0, HALT), (HALT, HALT + AFTER)), 1.005),
}


@study("S1.E63-64", variants=LEGS, cases=tuple(MOVING))
def two_legs(variant: tuple[tuple[tuple[float, float], ...], float], case: str, size: Size, seed: int) -> Evidence:
    """Positions after both legs less those of the map in closed form, and the rate of that map less the velocity where the legs end."""
    (legs, factor), motion = variant, MOVING[case]
    problem, end = motion.changed(factor), HALT + AFTER
    there = motion.image(motion.places, end)

    def gap(level: int) -> Array:
        x = motion.places
        for start, stop in legs:
            x = _leg(problem, x, start, stop, size.cells(8) * level)
        rate = central_derivative(lambda t: motion.image(motion.places, float(t[0])), np.array([end]), 0.02 / level)
        return np.concatenate([(x - there).ravel(), (rate - factor * motion.velocity(x, end)).ravel()])

    names = tuple(f"{what}, {k + 1}" for what in ("position", "rate") for k in range(there.size))
    return two_levels(gap, names=names, source=f"two legs of a flow, {case}")


# -- whether there is a flow -------------------------------------------------------------------------------------------


@study(
    "S3.T-Cod",
    variants={
        "stated": Posed(tame, (-3.0, 2.0), linear),
        "smooth alone": Posed(square, (-3.0, 2.0), linear),
        "growth x³": Posed(lambda x, t: x**3, (-3.0, 2.0), linear),
        "growth alone": Posed(tame, (-3.0, 2.0), lambda x, t: np.sqrt(np.abs(x))),
        "smooth alone, life − 2 %": Posed(square, (-3.0, 1 / 0.98), linear),
    },
)
def existence(variant: Posed, case: str, size: Size, seed: int) -> Evidence:
    return lives(variant, size)


@study(
    "err:S3.T-Cod",
    variants={
        "inside": Posed(lambda x, t: x**2 / (1 + np.abs(x)), (0.5, 2.0), linear),
        "outside": Posed(square, (0.5, 2.0), linear),
    },
)
def smooth_alone(variant: Posed, case: str, size: Size, seed: int) -> Evidence:
    return lives(variant, size)
