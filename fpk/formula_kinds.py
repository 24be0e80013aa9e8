r"""The kinds of formulas that :func:`fpk.check_formula` knows: names, typical mistakes, and what follows from a formula.

Everything happens in one fixed, unfriendly case: the variance-preserving SDE dX = −½βX dt + √β dW with β(t) = .6 + 2.8 t on [0, 1], from the
data law .3 N(−1, .2²) + .7 N(1.2, .45²), with the exact score. There g ≠ 1, g ≠ g², and no symmetry hides a sign.

A *consequence* never uses the right formula. Drifts and velocities are solved on three grids, and the marginals must be those of
X_t = α X_0 + σ Z; a variance is held against the moment equations of the SDE; a conditional score s against Stein's identity
E[s(X) φ(X)] + E φ'(X) = 0 under the law of X_t given X_0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from fpk.closed_form import LawMarginals, exact
from fpk.coefficients import Linear
from fpk.errors import ProblemError
from fpk.expressions import Expression
from fpk.fokker_planck.solutions import GridMarginals
from fpk.fokker_planck.solver import solve
from fpk.formula_text import quoted
from fpk.grids import Grid
from fpk.laws import Array, Gaussian
from fpk.marginals import Estimate
from fpk.panels import law_panel
from fpk.problem import Boundary, Problem, noising
from fpk.problems import two_peaks
from fpk.refinement import refine
from fpk.schedules import VPSchedule

SCHEDULE = VPSchedule(0.6, 3.4)
DATA = two_peaks()
TIMES = (0.25, 0.5, 0.75, 1.0)
LAWS = exact(noising(SCHEDULE, DATA), times=TIMES)
#: Walls far outside the law: a wrong drift then piles its mass up at a wall instead of losing it.
WALLS = Boundary("no_flux", -6.5, 7.0)
#: Of the coarsest of three grids.
CELLS, STEPS = 64, 20
STARTS = (-1.0, 0.5, 2.0)

#: A formula with larger values is not put to work.
LARGEST = 1e60

Pair = tuple[Estimate, Estimate]


@dataclass(frozen=True)
class Kind:
    """What a formula may stand for.

    Parameters
    ----------
    names : tuple of str
        What its text may use.
    right : str
        Only words the counterexample; no verdict looks at it.
    mistakes : mapping from str to str
        What a wrong formula reads like → that formula. All of them must be refuted; the smallest effect sets the tolerance.
    consequence : callable
        (formula, resolution) ↦ what follows from the formula, and the witness it is held against.
    labels : tuple of str
        Names of the functionals.
    """

    names: tuple[str, ...]
    right: str
    mistakes: Mapping[str, str]
    consequence: Callable[[Expression, int], Pair]
    labels: tuple[str, ...]

    def formula(self, text: str) -> Expression:
        """A text in the names of this kind."""
        return Expression(text, self.names)


# --- what the names stand for

QUANTITIES: dict[str, Callable[[Array, float], Any]] = {
    "x": lambda x, t: x,
    "t": lambda x, t: t,
    "f": lambda x, t: SCHEDULE.drift_rate(t) * x,
    "g": lambda x, t: SCHEDULE.diffusion(t),
    "score": LAWS.score,
    "log_p": lambda x, t: LAWS.law(t).log_density(x)[:, None],
    "alpha": lambda x, t: SCHEDULE.alpha(t),
    "sigma": lambda x, t: SCHEDULE.sigma(t),
    "beta": lambda x, t: SCHEDULE.beta(t),
    "B": lambda x, t: SCHEDULE.integrated_beta(t),
}


def evaluated(formula: Expression, x: Array, t: float, **known: float) -> Array:
    """The formula at x of shape (n, 1) and time t; refuses what is not finite."""
    values = known | {name: QUANTITIES[name](x, t) for name in formula.used if name not in known}
    value = formula.finite(values, x, t)
    if np.abs(value).max(initial=0.0) > LARGEST:
        raise ProblemError(
            f"the formula {quoted(formula.text)} is {np.abs(value).max():.3g} at t={t:g}, where x is at most {np.abs(x).max():.3g}: "
            f"beyond {LARGEST:g} nothing can be computed with it."
        )
    return value


# --- consequences: what follows from a formula, and the witness


def _solved(problem: Problem, laws: Mapping[float, Any], resolution: int) -> Pair:
    """The problem on three grids and the laws that should come out."""

    def level(k: int) -> GridMarginals:
        grid = Grid(WALLS.lower, WALLS.upper, cells=CELLS * resolution * k)
        return solve(problem, grid, times=TIMES, steps=STEPS * resolution * k)

    panel = law_panel(laws)
    witness = LawMarginals(laws, TIMES, source="the data law and its noised marginals")
    return refine(level).expect(panel), witness.expect(panel)


def _reversed(formula: Expression, resolution: int) -> Pair:
    problem = Problem(
        lambda x, tau: -evaluated(formula, x, max(1.0 - tau, 0.0)),
        lambda tau: SCHEDULE.diffusion(max(1.0 - tau, 0.0)),
        initial=LAWS.law(1.0),
        boundary=WALLS,
        name=f"the reverse SDE with {formula.text}",
    )
    return _solved(problem, {tau: LAWS.law(1.0 - tau) for tau in TIMES}, resolution)


def _noised(formula: Expression, resolution: int) -> Pair:
    problem = Problem(
        lambda x, t: evaluated(formula, x, t),
        SCHEDULE.diffusion,
        initial=DATA,
        boundary=WALLS,
        name=f"the SDE with drift {formula.text}",
    )
    return _solved(problem, {t: LAWS.law(t) for t in TIMES}, resolution)


def _flowed(formula: Expression, resolution: int) -> Pair:
    # Outside the box the velocity stays what it is at the edge: a wrong one then drives points away, but not to infinity.
    problem = Problem(
        lambda x, t: evaluated(formula, np.clip(x, WALLS.lower, WALLS.upper), t),
        0.0,
        initial=DATA,
        name=f"the flow with velocity {formula.text}",
    )
    return _solved(problem, {t: LAWS.law(t) for t in TIMES}, resolution)


@cache
def _conditional(t: float) -> tuple[float, float]:
    """Φ and V of X_t = Φ X_0 + N(0, V), from the moment equations of the SDE; the schedule's α and σ are not used."""
    start = Gaussian(1.0, 0.5)
    law: Any = exact(Problem(Linear(SCHEDULE.drift_rate), SCHEDULE.diffusion, initial=start), times=[t]).law(t)
    growth = float(law.mean[0])  # the start has mean 1
    return growth, float(law.covariance[0, 0]) - growth**2 * float(start.covariance[0, 0])


def _varied(formula: Expression, resolution: int) -> Pair:
    value = np.array([evaluated(formula, np.zeros((1, 1)), t)[0, 0] for t in TIMES])
    known = np.array([_conditional(t)[1] for t in TIMES])
    return _certain(value, 0.0, f"the variance {formula.text}"), _certain(known, 0.0, "moment equations of the SDE")


def _by_stein(formula: Expression, resolution: int) -> Pair:
    """√V E[s φ(Z)] + E φ'(Z) for the normalised Hermite polynomials φ of Z = (X − Φ x₀)/√V: 0 if and only if s is the score."""
    fine, coarse = (np.concatenate([_stein(formula, t, x0, n) for t in TIMES for x0 in STARTS]) for n in (48, 40))
    source = f"Stein's identity with the score {formula.text}"
    return _certain(fine, np.abs(fine - coarse), source), _certain(np.zeros_like(fine), 0.0, "zero")


def _stein(formula: Expression, t: float, x0: float, nodes: int) -> Array:
    growth, variance = _conditional(t)
    z, weights = np.polynomial.hermite_e.hermegauss(nodes)
    scaled = np.sqrt(variance) * evaluated(formula, growth * x0 + np.sqrt(variance) * z[:, None], t, x0=x0)[:, 0]
    hermite = np.stack([np.ones_like(z), z, (z**2 - 1) / np.sqrt(2), (z**3 - 3 * z) / np.sqrt(6)])
    return (hermite @ (weights * scaled)) / weights.sum() + np.array([0.0, 1.0, 0.0, 0.0])  # E φ' = 1 for φ = z


def _certain(value: Array, bound: Array | float, source: str) -> Estimate:
    """Numbers without sampling noise; 1e-10 covers the moment equations (1e-11) and round-off."""
    return Estimate(value, bound + np.full(value.shape, 1e-10), source=source)


# --- the kinds with their mistakes

WITH_SCORE = ("f", "g", "score", "log_p", "x", "t", "alpha", "sigma", "beta", "B")
SCHEDULED = ("t", "alpha", "sigma", "beta", "B", "g")
AT_TIMES = tuple(f"φ{k} at t={t:.4g}" for t in TIMES for k in range(1, 5))

KINDS = {
    "reverse_drift": Kind(
        WITH_SCORE,
        "f - g**2*score",
        {
            "½ too many on g² (that is the velocity of the probability flow)": "f - g**2*score/2",
            "wrong sign of the score": "f + g**2*score",
            "g for g²": "f - g*score",
            "factor 2 in the score": "f - 2*g**2*score",
            "the score term is missing": "f",
            "the score is missing as a factor of g²": "f - g**2",
            "log p for ∇ log p": "f - g**2*log_p",
            "g² missing as a factor of the score": "f - score",
            "σ² for g²": "f - sigma**2*score",
            "wrong sign of f": "-f - g**2*score",
            "wrong sign throughout: this is the drift in the reversed time τ = T − t": "-f + g**2*score",
            "the drift f is missing": "-g**2*score",
            "score + 2 %": "f - 1.02*g**2*score",
        },
        _reversed,
        tuple(name.replace("t=", "τ=") for name in AT_TIMES),
    ),
    "velocity": Kind(
        WITH_SCORE,
        "f - g**2*score/2",
        {
            "½ missing on g² (that is the drift of the reverse SDE)": "f - g**2*score",
            "wrong sign of the score": "f + g**2*score/2",
            "g for g²": "f - g*score/2",
            "½ twice": "f - g**2*score/4",
            "the score term is missing": "f",
            "the score is missing as a factor of ½g²": "f - g**2/2",
            "log p for ∇ log p": "f - g**2*log_p/2",
            "g² missing as a factor of the score": "f - score/2",
            "σ² for g²": "f - sigma**2*score/2",
            "wrong sign of f": "-f - g**2*score/2",
            "wrong sign throughout: this is the velocity in the reversed time τ = T − t": "-f + g**2*score/2",
            "the drift f is missing": "-g**2*score/2",
            "score + 2 %": "f - 1.02*g**2*score/2",
        },
        _flowed,
        AT_TIMES,
    ),
    "drift": Kind(
        ("x", *SCHEDULED),
        "-beta*x/2",
        {
            "½ missing on β": "-beta*x",
            "wrong sign": "beta*x/2",
            "√β for β": "-sqrt(beta)*x/2",
            "½ twice": "-beta*x/4",
            "x is missing": "-beta/2",
            "β is missing": "-x/2",
            "B = ∫β for β": "-B*x/2",
            "no drift (that is a variance-exploding SDE)": "0",
            "β + 2 %": "-1.02*beta*x/2",
        },
        _noised,
        AT_TIMES,
    ),
    "variance": Kind(
        SCHEDULED,
        "1 - alpha**2",
        {
            "a root is left: this is the standard deviation": "sqrt(1 - alpha**2)",
            "α for α²": "1 - alpha",
            "α⁴ for α²": "1 - alpha**4",
            "a square too many (that is the sub-VP variance)": "(1 - alpha**2)**2",
            "wrong sign of α²": "1 + alpha**2",
            "this is α², the variance kept from the data": "alpha**2",
            "½ too many": "(1 - alpha**2)/2",
            "β for ∫β": "1 - exp(-beta)",
            "β t for ∫β": "1 - exp(-beta*t)",
            "∫β itself, the variance without the pull of the drift": "B",
            "σ² + 2 %": "1.02*(1 - alpha**2)",
        },
        _varied,
        tuple(f"Var[X_t | X_0] at t={t:.4g}" for t in TIMES),
    ),
    "score": Kind(
        ("x", "x0", *SCHEDULED),
        "-(x - alpha*x0)/sigma**2",
        {
            "σ for σ² (that is −ε, the noise with its sign turned)": "-(x - alpha*x0)/sigma",
            "wrong sign": "(x - alpha*x0)/sigma**2",
            "α is missing on x0": "-(x - x0)/sigma**2",
            "α² for α": "-(x - alpha**2*x0)/sigma**2",
            "½ too many": "-(x - alpha*x0)/(2*sigma**2)",
            "factor 2": "-2*(x - alpha*x0)/sigma**2",
            "x0 is missing": "-x/sigma**2",
            "σ² is missing": "-(x - alpha*x0)",
            "log p for ∇ log p": "-(x - alpha*x0)**2/(2*sigma**2) - log(sigma*sqrt(2*pi))",
            "score + 2 %": "-1.02*(x - alpha*x0)/sigma**2",
        },
        _by_stein,
        tuple(f"Stein with φ{k} at t={t:.4g}, x0={x0:g}" for t in TIMES for x0 in STARTS for k in range(4)),
    ),
}  # fmt: skip
