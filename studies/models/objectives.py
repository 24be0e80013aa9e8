"""Objectives of score and flow matching: one minimiser, one gradient, in the population limit.

Against each stands the regression on the field itself (explicit score matching), made of the law p_t alone; the other side is made of pairs
(x_0, z), or of slopes of the features.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

import fpk
from fpk.fields.kinds import conversion
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.models import objectives
from fpk.models.features import Features, Hermite, RadialBasis
from fpk.models.fits import fit
from fpk.models.objectives import Quadratic
from fpk.models.points import Pairs, Points, law_points, quadrature_pairs
from fpk.schedules import OTSchedule, Schedule, rates
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED
TIME = 0.3
#: Round-off of a minimiser: the condition of its system, about 1e4, times that of the quadrature.
ROUNDING = 1e-9
VP = fpk.VPSchedule(0.6, 3.4)
LINE = fpk.problems.two_peaks()
PLANE = fpk.GaussianMixture(
    [0.4, 0.6], [[-0.8, 0.3], [0.9, -0.5]], covariances=[[[0.3, 0.1], [0.1, 0.4]], [[0.5, -0.2], [-0.2, 0.3]]]
)
#: A normal law cut off at −0.5, where its density is .35: integration by parts leaves a boundary term.
CUT = np.linspace(-0.5, 5.0, 800)
HALF = fpk.TabulatedLaw(CUT, -0.5 * CUT**2, reliable=np.inf)
FEATURES: dict[int, Features] = {
    1: RadialBasis(np.linspace(-1.8, 2.2, 8), width=0.7) + Hermite(1),
    2: Hermite(3, mean=[0.0, 0.0], std=0.9),
}
#: Nodes of the law, and of the data and the noise of pairs; in the plane scores have poles, while pairs meet polynomials alone.
NODES, PAIRS = {1: 12, 2: 160}, {1: {"nodes": 6, "normals": 64}, 2: {"nodes": 6, "normals": 6}}
SIGNS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
KINDS = {"denoising": "score", "noise": "noise", "denoised": "denoised", "v": "v", "flow matching": "velocity"}


class Slip(NamedTuple):
    """What a control changes: a factor on the target (or slopes), −z in place of −z/σ, the law's support."""

    factor: float = 1.0
    lost_sigma: bool = False
    edge: bool = False


@lru_cache(maxsize=8)
def _points(dimension: int) -> Points:
    law = _law(dimension)
    return law_points(law, t=TIME, nodes=NODES[dimension])


def _law(dimension: int) -> fpk.GaussianMixture:
    data = LINE if dimension == 1 else PLANE
    eye = np.eye(dimension)
    return data.pushed(VP.alpha(TIME) * eye, np.zeros(dimension), VP.sigma(TIME) ** 2 * eye)


@lru_cache(maxsize=8)
def _pairs(dimension: int, schedule: Schedule = VP) -> Pairs:
    return quadrature_pairs(LINE if dimension == 1 else PLANE, schedule, t=TIME, **PAIRS[dimension])


def _stated(name: str, points: Points, dimension: int) -> Quadratic:
    """The objective of a name in the population limit."""
    features = FEATURES[dimension]
    if name in KINDS:
        return objectives.conditional(features, _pairs(dimension), kind=KINDS[name])
    if name == "implicit":
        return objectives.implicit(features, points)
    every = np.broadcast_to(SIGNS, (len(points.x), *SIGNS.shape))
    return {"sliced": objectives.sliced, "Hutchinson": objectives.hutchinson}[name](features, points, every)


def _probes(dimension: int) -> tuple[Array, Array]:
    """Positions where fields are read, and parameters where gradients are."""
    rng = np.random.default_rng(8)
    return rng.uniform(-1.2, 1.2, (24, dimension)), rng.standard_normal((2, FEATURES[dimension].count, dimension))


def _apart(found: Quadratic, truth: Quadratic, dimension: int, *, kind: str = "score") -> Array:
    """Scores of both minimisers less each other at the probes, then gradients with respect to the parameters of the score."""
    features, (x, thetas) = FEATURES[dimension], _probes(dimension)
    first = fit(features, found, kind=kind, schedule=VP).field.score(x, TIME)
    second = fit(features, truth, schedule=VP).field.score(x, TIME)
    p, q = conversion("score", kind, schedule=VP, t=TIME)
    gradients = [found.gradient(p * th + q * _identity(dimension)) / p - truth.gradient(th) for th in thetas]
    return np.concatenate([(first - second).ravel(), np.ravel(gradients)])


def _identity(dimension: int) -> Array:
    """The parameters of the field x ↦ x."""
    features, nodes = FEATURES[dimension], np.random.default_rng(0).uniform(-2, 2, (200, dimension))
    return np.linalg.lstsq(features(nodes), nodes)[0]


CASES = (*KINDS, "implicit", *(f"plane, {name}" for name in ("denoising", "implicit", "sliced", "Hutchinson")))


def _applies(variant: str, case: str) -> bool:
    return {"outside": case == "implicit", "σ for σ²": case.endswith("denoising")}.get(variant, True)


@study(
    "models.minimisers",
    variants={
        "stated": Slip(),
        "outside": Slip(edge=True),
        "target sign": Slip(-1.0),
        "divergence halved": Slip(0.5),
        "σ for σ²": Slip(lost_sigma=True),
        "target + 0.1 %": Slip(1.001),
    },
    cases=CASES,
    applies=_applies,
)
def minimisers(variant: Slip, case: str, size: Size, seed: int) -> Evidence:
    """Minimisers and gradients against those of the regression on the score itself."""
    dimension, name = (2 if case.startswith("plane") else 1), case.rpartition(", ")[2]
    law = HALF if variant.edge else _law(dimension)
    points = law_points(HALF, t=TIME) if variant.edge else _points(dimension)
    found = _stated(name, points, dimension)
    factor = variant.factor * (VP.sigma(TIME) if variant.lost_sigma else 1.0)
    truth = objectives.explicit(FEATURES[dimension], points, lambda x, t: law.score(x))
    kind = KINDS.get(name, "score")
    apart = _apart(Quadratic(found.A, factor * found.b), truth, dimension, kind=kind)
    return _residual(apart, f"{name} less explicit")


def _residual(apart: Array, source: str) -> Evidence:
    names = tuple(f"value {k}" for k in range(len(apart)))
    return Evidence(fpk.residual(apart, ROUNDING, source=source), zero_estimate(len(apart)), names)


# -- flow matching -----------------------------------------------------------------------------------------------------

PATHS: dict[str, tuple[Schedule, int]] = {
    "VP": (VP, 1),
    "straight": (OTSchedule(), 1),
    "straight, plane": (OTSchedule(), 2),
}


class Target(NamedTuple):
    """The conditional velocity as multiples of α̇ x_0 and σ̇ z, or with σ in place of σ̇."""

    data: float = 1.0
    noise: float = 1.0
    sigma: bool = False


@study(
    "models.flow-matching",
    variants={
        "stated": Target(),
        "noise sign": Target(noise=-1.0),
        "towards the data": Target(-1.0, -1.0),
        "σ for σ̇": Target(sigma=True),
        "target + 0.1 %": Target(1.001, 1.001),
    },
    cases=tuple(PATHS),
)
def flow_matching(variant: Target, case: str, size: Size, seed: int) -> Evidence:
    """Conditional flow matching against the regression on f x − ½ g² ∇log p_t."""
    schedule, dimension = PATHS[case]
    features, data = FEATURES[dimension], LINE if dimension == 1 else PLANE
    forward = fpk.noising(schedule, data, horizon=0.9)
    exact = fpk.exact(forward, times=[TIME])
    points, pairs = law_points(exact.law(TIME), t=TIME, nodes=NODES[dimension]), _pairs(dimension, schedule)
    velocity = fpk.probability_flow(forward, exact.score).drift(points.x, TIME)
    a, b = rates(schedule, TIME)
    target = variant.data * a * pairs.x0 + variant.noise * (schedule.sigma(TIME) if variant.sigma else b) * pairs.z
    found = objectives.regression(features, pairs.points, target)
    return _residual(
        _apart(found, objectives.regression(features, points, velocity), dimension), "flow matching less velocity"
    )


CLAIMS = (
    Claim(
        "models.minimisers",
        "identity",
        "Conditional, implicit, sliced and Hutchinson objectives have the minimiser and the gradient of regression on the score.",
        r"\nabla_\theta\tfrac12\mathbb E\|s_\theta-\nabla\log p_t\|^2"
        r"=\nabla_\theta\tfrac12\mathbb E\|s_\theta+z/\sigma\|^2"
        r"=\nabla_\theta\mathbb E\bigl[\tfrac12\|s_\theta\|^2+\nabla\!\cdot s_\theta\bigr]",
        "Hyvärinen (2005), theorem 1; Vincent (2011), equation 11; Song et al. (2020), theorem 1",
        {"stated": C, "outside": R, "target sign": R, "divergence halved": R, "σ for σ²": R, "target + 0.1 %": R},
        {
            "outside": "the law ends where its density does not vanish: the boundary term is left",
            "target sign": "the target (or the slopes of the features) with the other sign",
            "divergence halved": "half the slopes, or half the target",
            "σ for σ²": "−(x − αx₀)/σ as target of denoising",
            "target + 0.1 %": "a target, or a divergence, that is 0.1 % too large",
        },
        "The density vanishes at the edge of its support.",
    ),
    Claim(
        "models.flow-matching",
        "identity",
        "Conditional flow matching has the marginal velocity as its minimiser.",
        r"\mathbb E\bigl[\dot\alpha_t X_0+\dot\sigma_t Z\mid X_t=x\bigr] = f(t)\,x-\tfrac12 g(t)^2\,\nabla\log p_t(x)",
        "Lipman et al. (2023), theorem 2; Song et al. (2021), equation 13",
        {"stated": C, "noise sign": R, "towards the data": R, "σ for σ̇": R, "target + 0.1 %": R},
        {
            "noise sign": "α̇x₀ − σ̇z",
            "towards the data": "the velocity of the path from noise to data",
            "σ for σ̇": "α̇x₀ + σz",
            "target + 0.1 %": "a target that is 0.1 % too large",
        },
    ),
)
