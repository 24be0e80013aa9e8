r"""Guidance by a classifier: what is the score of which law, and what is sampled.

The guided reverse process is solved on the grid. What it should give is known without it: the data law times the classifier, and for S ≠ 1 the weight
of Girsanov's formula (:mod:`_guided`), an expectation over noising paths by quadrature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

import fpk
from fpk.charts import Chart, Series
from fpk.laws import Array, TabulatedLaw
from fpk.marginals import zero_estimate
from fpk.refinement import RefinedMarginals
from fpk.study import Evidence, Size, evidence, study

from .._systems import constant_law, on_grid
from ._guided import LOWER, UPPER, Blurred, Classified
from ._guided_claims import CLAIMS as CLAIMS

MODEL = Classified()
WALLS = fpk.Boundary("no_flux", LOWER, UPPER)
Pull = Callable[[Array, float], Array]


def _back(pull: Pull, start: TabulatedLaw, size: Size, *, noise: float | None = None) -> RefinedMarginals:
    """The reverse process with the score and a pull, from ``start``, on the grid."""

    def score(x: Array, t: float) -> Array:
        return MODEL.field.score(x, t) + pull(x[:, 0], t)[:, None]

    problem = fpk.reverse_time(MODEL.problem, score, initial=start, noise=noise)
    if not problem.noiseless:
        problem = fpk.Problem(problem.drift, problem.diffusion, initial=start, boundary=WALLS)
    return on_grid(problem, size, times=[1.0], cells=20, steps=4)


# -- Bayes' rule -------------------------------------------------------------------------------------------------------------

PULLS: dict[str, Pull] = {
    "stated": MODEL.pull,
    "no guidance": lambda x, t: 0 * x,
    "gradient sign": lambda x, t: -MODEL.pull(x, t),
    "½ of the gradient": lambda x, t: 0.5 * MODEL.pull(x, t),
    "classifier of clean data": MODEL.raw_pull,
    "gradient + 5 %": lambda x, t: 1.05 * MODEL.pull(x, t),
}


@study(
    "S0.E35",
    variants=PULLS,
    cases=("reverse SDE", "flow"),
    applies=lambda variant, case: case == "reverse SDE" or variant in FLOWED,
)
def conditional_score(variant: Pull, case: str, size: Size, seed: int) -> Evidence:
    solved = _back(variant, MODEL.conditional(1.0), size, noise=0.0 if case == "flow" else None)
    return evidence(solved, constant_law(MODEL.conditional(0.0), time=1.0, source="data given y"))


#: The forms that are tried along the flow too.
FLOWED = ("stated", "no guidance", "classifier of clean data", "gradient + 5 %")


# -- strength ----------------------------------------------------------------------------------------------------------------

STRENGTH = 3.0


@lru_cache(maxsize=2)
def _guided(size: Size) -> RefinedMarginals:
    """What guidance of strength S samples."""
    return _back(lambda x, t: STRENGTH * MODEL.pull(x, t), MODEL.tilted(1.0, STRENGTH), size)


@lru_cache(maxsize=2)
def _weights(size: Size) -> tuple[Array, Array]:
    """log w extrapolated from two step lengths, and from two twice as long."""
    finest = 32 if size.quick else 64
    logs = [MODEL.log_weight(STRENGTH, finest // k) for k in (4, 2, 1)]
    return (4 * logs[2] - logs[1]) / 3, (4 * logs[1] - logs[0]) / 3


#: Power of the classifier and factor on log w.
LAWS = {
    "stated": (STRENGTH, 1.0),
    "the conditional law": (1.0, 0.0),
    "the tilted law": (STRENGTH, 0.0),
    "weight inverted": (STRENGTH, -1.0),
    "½ missing in the weight": (STRENGTH, 2.0),
    "weight + 5 %": (STRENGTH, 1.05),
}


def _weighted(power: float, factor: float, log: Array) -> TabulatedLaw:
    return MODEL.tilted(0.0, power, factor * log)


def _chart(size: Size, weighted: TabulatedLaw) -> Chart:
    """The law that guidance samples, and what it is taken for."""
    x = np.linspace(-2.0, 4.0, 121)
    drawn = {"p₀ p(y|x)³ w": weighted, "p₀ p(y|x)³": _weighted(STRENGTH, 0.0, 0 * MODEL.table)}
    drawn["p₀(x|y)"] = MODEL.conditional(0.0)
    lines = [Series(name, x, law.density(x[:, None]), kind="reference") for name, law in drawn.items()]
    sampled = Series("guided, on the grid", x, _guided(size).density_on(x, 1.0), kind="line")
    return Chart("What guidance of strength 3 samples", "x", "density", (sampled, *lines))


@study("S0.E36", variants=LAWS)
def guided_law(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    fine, coarse = _weights(size)
    stated, doubted = _weighted(STRENGTH, 1.0, fine), _weighted(STRENGTH, 1.0, coarse)
    x = MODEL.table
    accuracy = 3 * float(np.abs(stated.density(x[:, None]) - doubted.density(x[:, None])).sum() * (x[1] - x[0]))
    claimed = fpk.LawMarginals(
        {1.0: _weighted(*variant, fine)}, (1.0,), accuracy=accuracy, source="weighted by noising paths"
    )
    found = evidence(_guided(size), claimed, panel=fpk.law_panel({1.0: stated}))
    return replace(found, charts=(_chart(size, stated),)) if variant == LAWS["stated"] else found


POINTS = np.array([-1.8, -0.7, 0.2, 0.9, 2.1])
MOMENTS = (0.2, 0.6)


@study("err:S0.E36", variants={"printed": (3.0, 1.0), "corrected": (3.0, 3.0), "degenerate": (1.0, 1.0)})
def score_with_strength(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """s + S ∇log p_t(y|x) against slopes of logarithms of integrals over the data, p_t(x) p_t(y|x)^power."""
    strength, power = variant

    def gap(nodes: int) -> Array:
        model = Classified(nodes=4 * nodes)
        claimed = [model.field.score(POINTS[:, None], t)[:, 0] + strength * model.pull(POINTS, t) for t in MOMENTS]
        return np.concatenate(
            [s - Blurred(MODEL, t, nodes).score(POINTS, power) for s, t in zip(claimed, MOMENTS, strict=True)]
        )

    fine, coarse = gap(8 if size.quick else 12), gap(6 if size.quick else 8)
    names = tuple(f"score at {x:g}, t = {t:g}" for t in MOMENTS for x in POINTS)
    first = fpk.residual(
        fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source="guided score less slopes of logarithms"
    )
    return Evidence(first, zero_estimate(len(fine)), names)
