"""How fast learned scores get better: in the number of features, and in the number of data."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array
from fpk.models import objectives
from fpk.models.features import Hermite, Splines
from fpk.models.fits import fit
from fpk.models.objectives import Quadratic
from fpk.models.points import drawn, law_points
from fpk.study import Claim, Evidence, Size, order_evidence, study
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED
#: Where splines are fitted, and where data are: late, when the noise of the targets is small.
TIME, LATE = 0.3, 1.0
VP = fpk.VPSchedule(0.6, 3.4)
DATA = fpk.problems.two_peaks()
LAW, LATE_LAW = (DATA.pushed(np.eye(1) * VP.alpha(t), np.zeros(1), np.eye(1) * VP.sigma(t) ** 2) for t in (TIME, LATE))
#: What is added to the order, and a factor on the target.
VARIANTS = {"stated": (0, 1.0), "one order higher": (1, 1.0)}


# -- features ----------------------------------------------------------------------------------------------------------

#: Where the splines live: the law beyond has mass 1e-9.
INTERVAL = (-4.0, 4.5)
#: Of a score error, whose square is integrated.
ROUNDING = 1e-11
PIECES = (96, 120, 144, 176, 208)


@lru_cache(maxsize=64)
def _spline_error(pieces: int, degree: int, factor: float) -> float:
    """Root of E |s − s_θ|², s_θ the implicit minimiser: no score is used to find it."""
    features = Splines(*INTERVAL, pieces=pieces, degree=degree)
    points = law_points(LAW, t=TIME, nodes=8, edges=list(features.knots))
    found = objectives.implicit(features, points)
    model = fit(features, Quadratic(found.A, factor * found.b), schedule=VP).model
    return float(np.sqrt(points.mean((model(points.x, TIME) - LAW.score(points.x))[:, 0] ** 2)))


@study(
    "models.rate-in-features",
    variants=VARIANTS | {"one order lower": (-1, 1.0), "target + 1 %": (0, 1.01)},
    cases=("cubic", "quadratic"),
)
def rate_in_features(variant: tuple[int, float], case: str, size: Size, seed: int) -> Evidence:
    """The error over the spacing of the knots."""
    more, factor = variant
    degree = {"cubic": 3, "quadratic": 2}[case]
    errors = np.array([_spline_error(n, degree, factor) for n in PIECES])
    steps = (INTERVAL[1] - INTERVAL[0]) / np.array(PIECES)
    first = fpk.Estimate(errors, np.full(len(errors), ROUNDING), source=f"score errors of {case} splines")
    return order_evidence(first, steps, degree + 1 + more)


# -- data --------------------------------------------------------------------------------------------------------------

FEATURES = Hermite(2, std=0.9)
#: Sizes of data sets, the number of data drawn for each size, and the most sets: of both, controls have no need of more than a quarter.
SIZES, DRAWN, MOST, CONTROL = (32, 128, 512, 2048, 8192), 2_200_000, 1200, 4


@lru_cache(maxsize=2)
def _population() -> tuple[Quadratic, Array]:
    """Explicit score matching in the limit, and its minimiser."""
    truth = objectives.explicit(FEATURES, law_points(LATE_LAW, t=LATE), lambda x, t: LATE_LAW.score(x))
    return truth, fit(FEATURES, truth, schedule=VP).model.theta


def _excess(case: str, factor: float, count: int, rng: np.random.Generator) -> float:
    """E |s_θ̂ − s_θ*|² of one data set."""
    truth, best = _population()
    pairs = drawn(DATA, VP, t=LATE, count=count, rng=rng)
    denoising = case == "denoising"
    found = objectives.conditional(FEATURES, pairs) if denoising else objectives.implicit(FEATURES, pairs.points)
    apart = fit(FEATURES, Quadratic(found.A, factor * found.b), schedule=VP).model.theta - best
    return float(np.sum(apart * truth.applied(apart)))


@study(
    "models.rate-in-data",
    variants=VARIANTS | {"target + 5 %": (0, 1.05)},
    cases=("denoising", "implicit"),
    applies=lambda variant, case: variant != "target + 5 %" or case == "denoising",
)
def rate_in_data(variant: tuple[int, float], case: str, size: Size, seed: int) -> Evidence:
    """The mean excess over the population minimiser, over 1/n: every size has data sets of its own."""
    more, factor = variant
    rng, share = np.random.default_rng(seed), 1 if variant == VARIANTS["stated"] else CONTROL
    drawings = [min(MOST, size.particles(DRAWN) // n) // share for n in SIZES]
    found = [[_excess(case, factor, n, rng) for _ in range(k)] for n, k in zip(SIZES, drawings, strict=True)]
    variances = [np.var(one, ddof=1) / len(one) for one in found]
    first = fpk.Estimate(
        np.array([np.mean(one) for one in found]),
        np.zeros(len(found)),
        covariance=np.diag(variances),
        samples=min(drawings),
        source=f"excess of the {case} minimiser",
    )
    return order_evidence(first, 1 / np.array(SIZES), 1 + more)


HIGHER = "one more than claimed"
CLAIMS = (
    Claim(
        "models.rate-in-features",
        "order",
        "The score learned with splines of degree k on knots h apart has an error of order k + 1 in the mean square.",
        r"\min_\theta\bigl(\mathbb E\,|s_\theta-\nabla\log p_t|^2\bigr)^{1/2} = O(h^{k+1})",
        "de Boor (2001), theorem XII.6 (of Jackson's type)",
        {"stated": C, "one order higher": R, "one order lower": R, "target + 1 %": R},
        {
            "one order higher": HIGHER,
            "one order lower": "one less than claimed",
            "target + 1 %": "slopes of the features 1 % too large: the error stops to fall",
        },
        "Smooth scores; the splines are fitted to the implicit objective, in the population limit.",
    ),
    Claim(
        "models.rate-in-data",
        "order",
        "From n data, the learned score is away from the population's minimiser by a mean square of order 1/n.",
        r"\mathbb E\,|s_{\hat\theta_n}-s_{\theta^*}|^2 = O(n^{-1})",
        "van der Vaart (1998), theorem 5.21",
        {"stated": C, "one order higher": R, "target + 5 %": R},
        {"one order higher": HIGHER, "target + 5 %": "targets 5 % too large: another minimiser in the limit"},
        "A fixed number of features. (The implicit objective is too noisy at these sizes to see 5 % as a change of order.)",
    ),
)
