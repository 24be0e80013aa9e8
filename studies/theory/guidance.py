r"""Guidance by a classifier: what is the score of which law, and what is sampled.

The guided reverse process is solved on the grid. What it should give is known without it: the data law times the classifier, and for S ≠ 1 the weight
of Girsanov's formula (:mod:`fpk.models.classifiers`), an expectation over noising paths by quadrature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

import fpk
from fpk.charts import Chart, Series
from fpk.fields import classifier_guided, exact_field
from fpk.laws import Array, TabulatedLaw
from fpk.marginals import zero_estimate
from fpk.models.classifiers import guided_marginals
from fpk.refinement import RefinedMarginals
from fpk.study import Evidence, Size, evidence, study

from .._systems import constant_law, on_grid
from ._guided import DATA, LOWER, SCHEDULE, TABLE, UPPER, Blurred, classifier, raw_gradient, tilted
from ._guided_claims import CLAIMS as CLAIMS

MODEL = classifier()
PROBLEM, UNGUIDED = fpk.noising(SCHEDULE, DATA), exact_field(DATA, SCHEDULE)
WALLS = fpk.Boundary("no_flux", LOWER, UPPER)
Gradient = Callable[[Array, float], Array]


def _back(
    gradient: Gradient, start: TabulatedLaw, size: Size, *, strength: float = 1.0, noise: float | None = None
) -> RefinedMarginals:
    """The reverse process with the guided score, from ``start``, on the grid."""
    guided = classifier_guided(UNGUIDED, gradient, strength=strength)
    problem = fpk.reverse_time(PROBLEM, guided.score, initial=start, noise=noise)
    if not problem.noiseless:
        problem = fpk.Problem(problem.drift, problem.diffusion, initial=start, boundary=WALLS)
    return on_grid(problem, size, times=[1.0], cells=20, steps=4)


# -- Bayes' rule -------------------------------------------------------------------------------------------------------------

GRADIENTS: dict[str, Gradient] = {
    "stated": MODEL.gradient,
    "no guidance": lambda x, t: 0 * x,
    "gradient sign": lambda x, t: -MODEL.gradient(x, t),
    "½ of the gradient": lambda x, t: 0.5 * MODEL.gradient(x, t),
    "classifier of clean data": raw_gradient,
    "gradient + 5 %": lambda x, t: 1.05 * MODEL.gradient(x, t),
}


@study(
    "S0.E35",
    variants=GRADIENTS,
    cases=("reverse SDE", "flow"),
    applies=lambda variant, case: case == "reverse SDE" or variant in FLOWED,
)
def conditional_score(variant: Gradient, case: str, size: Size, seed: int) -> Evidence:
    solved = _back(variant, tilted(1.0, 1.0), size, noise=0.0 if case == "flow" else None)
    return evidence(solved, constant_law(tilted(0.0, 1.0), time=1.0, source="data given y"))


#: The forms that are tried along the flow too.
FLOWED = ("stated", "no guidance", "classifier of clean data", "gradient + 5 %")


# -- strength ----------------------------------------------------------------------------------------------------------------

STRENGTH = 3.0


@lru_cache(maxsize=2)
def _guided(size: Size) -> RefinedMarginals:
    """What guidance of strength S samples."""
    return _back(MODEL.gradient, tilted(1.0, STRENGTH), size, strength=STRENGTH)


@lru_cache(maxsize=2)
def _sampled(size: Size) -> fpk.LawMarginals:
    """What Girsanov's formula says of it."""
    return guided_marginals(MODEL, strength=STRENGTH, points=TABLE, steps=32 if size.quick else 64)


#: Power of the classifier and factor on log w.
LAWS = {
    "stated": (STRENGTH, 1.0),
    "the conditional law": (1.0, 0.0),
    "the tilted law": (STRENGTH, 0.0),
    "weight inverted": (STRENGTH, -1.0),
    "½ missing in the weight": (STRENGTH, 2.0),
    "weight + 5 %": (STRENGTH, 1.05),
}


def _weighted(power: float, factor: float, size: Size) -> TabulatedLaw:
    """p₀ p(y|x)^power w^factor, w from the law that is sampled."""
    at = TABLE[:, None]
    log = _sampled(size).law(0.0).log_density(at) - tilted(0.0, STRENGTH).log_density(at)
    return tilted(0.0, power, factor * log)


def _chart(size: Size) -> Chart:
    """The law that guidance samples, and what it is taken for."""
    x = np.linspace(-2.0, 4.0, 121)
    drawn = {"p₀ p(y|x)³ w": _sampled(size).density_on(x, 0.0)}
    drawn |= {name: tilted(0.0, S).density(x[:, None]) for name, S in (("p₀ p(y|x)³", STRENGTH), ("p₀(x|y)", 1.0))}
    lines = [Series(name, x, density, kind="reference") for name, density in drawn.items()]
    sampled = Series("guided, on the grid", x, _guided(size).density_on(x, 1.0), kind="line")
    return Chart("What guidance of strength 3 samples", "x", "density", (sampled, *lines))


@study("S0.E36", variants=LAWS)
def guided_law(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    sampled = _sampled(size)
    laws = {1.0: _weighted(*variant, size)}
    claimed = fpk.LawMarginals(laws, (1.0,), accuracy=sampled.accuracy, source="weighted by noising paths")
    found = evidence(_guided(size), claimed, panel=fpk.law_panel({1.0: sampled.law(0.0)}))
    return replace(found, charts=(_chart(size),)) if variant == LAWS["stated"] else found


POINTS = np.array([-1.8, -0.7, 0.2, 0.9, 2.1])
MOMENTS = (0.2, 0.6)


@study("err:S0.E36", variants={"printed": (3.0, 1.0), "corrected": (3.0, 3.0), "degenerate": (1.0, 1.0)})
def score_with_strength(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """s + S ∇log p_t(y|x) against slopes of logarithms of integrals over the data, p_t(x) p_t(y|x)^power."""
    strength, power = variant

    def gap(nodes: int) -> Array:
        guided = classifier(4 * nodes).guided(strength=strength)
        return np.concatenate(
            [guided.score(POINTS[:, None], t)[:, 0] - Blurred(t, nodes).score(POINTS, power) for t in MOMENTS]
        )

    fine, coarse = gap(8 if size.quick else 12), gap(6 if size.quick else 8)
    names = tuple(f"score at {x:g}, t = {t:g}" for t in MOMENTS for x in POINTS)
    first = fpk.residual(
        fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source="guided score less slopes of logarithms"
    )
    return Evidence(first, zero_estimate(len(fine)), names)
