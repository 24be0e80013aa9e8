"""The particles' schemes: strong and weak orders, as declared, for additive, multiplicative and matrix noise.

All errors are taken path by path, on a ladder of levels. Where noise does not commute there is no solution to hold a path against: strong errors
are then those between neighbouring levels, and weak errors those of E |X_1|², with the Euler chain on the same paths as control variate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import fpk
from fpk.laws import Array
from fpk.particles.ensemble import ParticleMarginals
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.schemes import EulerMaruyama, Heun, Milstein, PlatenWeak, RungeKutta4, Scheme
from fpk.particles.steps import Step
from fpk.rates import strong_errors
from fpk.study import Claim, Evidence, Size, order_evidence, study
from fpk.verdict import Outcome

from ._solved import PLANE_MOMENTS, Crossed, Solved, cubic, fading, hyperbolics, spirals

C, R = Outcome.CONFIRMED, Outcome.REFUTED
TOO_HIGH = "one order too high"
SOLVED = {
    "additive": fading(),
    "multiplicative": hyperbolics(-1.5, 0.4),
    "matrix": spirals(-1 + 1j, (0.4 + 0.1j, -0.1 + 0.2j)),
    "no noise": cubic(),
}
CROSSED = Crossed(np.array([[-1.0, 1.6], [-1.6, -1.0]]), 0.25)
#: For strong errors in additive noise: a solution that is a function of W_1 alone is approximated better than others.
SPRING = fpk.Problem("0.5 - x", 0.7, initial=fpk.Gaussian(1.0, 0.3))
STRONG_CASES = {
    EulerMaruyama: ("additive", "multiplicative", "matrix"),
    Milstein: ("additive", "multiplicative", "matrix"),
    Heun: ("additive", "multiplicative", "matrix", "non-commuting"),
    RungeKutta4: ("no noise",),
}
WEAK_CASES = {
    EulerMaruyama: ("additive", "multiplicative", "matrix"),
    Milstein: ("additive", "multiplicative", "matrix"),
    Heun: ("additive", "multiplicative", "matrix"),
    PlatenWeak: ("additive", "multiplicative", "non-commuting"),
    RungeKutta4: ("no noise",),
}
#: Particles simulated at once.
PART = 2**17
#: Errors of a flow are at least this wrong.
ROUNDING = 1e-15


class Ladder(NamedTuple):
    """Levels on one Brownian path: particles (of the quick size), coarsest steps, and how many levels."""

    particles: int
    steps: int
    levels: int
    antithetic: bool = False

    @property
    def counts(self) -> list[int]:
        """Numbers of steps, most first."""
        return [self.steps << level for level in range(self.levels)][::-1]

    def parts(self, size: Size, seed: int) -> Iterator[Callable[..., ParticleMarginals]]:
        """``fpk.simulate`` for one part of the particles after the other."""
        total = size.particles(self.particles)
        for begin in range(0, total, PART):
            yield partial(
                fpk.simulate,
                particles=min(PART, total - begin),
                first=begin // (1 + self.antithetic),
                times=[1.0],
                seed=seed,
                antithetic=self.antithetic,
            )

    def run(self, simulate: Callable[..., ParticleMarginals], problem: fpk.Problem, scheme: Scheme) -> Any:
        """All levels of a problem."""
        return simulate(problem, steps=self.steps, levels=self.levels, scheme=scheme)

    def finest(
        self, simulate: Callable[..., ParticleMarginals], problem: fpk.Problem, scheme: Scheme | None = None
    ) -> Any:
        """The finest level of a problem, on the same noise."""
        return simulate(problem, steps=self.counts[0], levels=1, scheme=scheme)


STRONG, FLOW = Ladder(2**14, 32, 6), Ladder(2**10, 16, 5)
FIRST, SECOND = Ladder(2**17, 2, 5, antithetic=True), Ladder(2**19, 2, 5, antithetic=True)
CROSSED_STRONG, CROSSED_SECOND = Ladder(2**13, 16, 8), Ladder(2**20, 1, 5, antithetic=True)


def solution(solved: Solved, ladder: Ladder, simulate: Any, start: Array) -> Array:
    """X_1 on the paths of a ladder, shape (n, d)."""
    free = fpk.Problem(0.0, 1.0, initial=fpk.Gaussian(np.zeros(solved.noises), 1.0))
    brownian = ladder.finest(simulate, free)
    return solved.solution(start, brownian.samples(1.0) - brownian.start)


def _distances(case: str, scheme: Scheme, ladder: Ladder, simulate: Any) -> Array:
    """From the levels to the solution, or from each level to the next; shape (levels, n)."""
    if case == "non-commuting":
        x = ladder.run(simulate, CROSSED.problem, scheme).positions[:, 0]
        return np.linalg.norm(x[:-1] - x[1:], axis=-1)
    run = ladder.run(simulate, SPRING if case == "additive" else SOLVED[case].problem, scheme)
    if case == "additive":
        exact = ladder.finest(simulate, SPRING, ExactTransition()).samples(1.0)
    else:
        exact = solution(SOLVED[case], ladder, simulate, run.start)
    return np.linalg.norm(run.positions[:, 0] - exact, axis=-1)


def _deviations(case: str, scheme: Scheme, ladder: Ladder, simulate: Any) -> Array:
    """Numbers whose expectations are the weak errors of the levels, one for each independent unit; shape (levels, units)."""
    if case == "non-commuting":
        run, euler = (ladder.run(simulate, CROSSED.problem, s) for s in (scheme, EulerMaruyama()))
        exact = CROSSED.moments(PLANE_MOMENTS, 1.0)
        known = [np.trace(CROSSED.euler_moments(PLANE_MOMENTS, count) - exact) for count in ladder.counts]
        apart = ((run.positions**2 - euler.positions**2).sum(axis=-1))[:, 0] + np.array(known)[:, None]
    else:
        run = ladder.run(simulate, SOLVED[case].problem, scheme)
        exact = solution(SOLVED[case], ladder, simulate, run.start)
        apart = np.arctan(run.positions[:, 0, :, 0]) - np.arctan(exact[:, 0])
    return apart if run.units is None else apart.reshape(len(apart), run.units, -1).mean(axis=2)


def _ladder(what: str, kind: type[Scheme], case: str) -> Ladder:
    """Errors of second order are small where noise is not, so they need more particles."""
    if case == "no noise":
        return FLOW
    if what == "strong":
        return CROSSED_STRONG if case == "non-commuting" else STRONG
    return {"non-commuting": CROSSED_SECOND, "multiplicative": SECOND}.get(case, FIRST) if kind is PlatenWeak else FIRST


def _errors(what: str, kind: type[Scheme], case: str, size: Size, seed: int) -> fpk.Estimate:
    """The errors of the levels; those of a flow are certain, for its particles."""
    ladder, paths = _ladder(what, kind, case), _distances if what == "strong" else _deviations
    apart = np.concatenate([paths(case, kind(), ladder, part) for part in ladder.parts(size, seed)], axis=1)
    count = apart.shape[1]
    errors, covariance = strong_errors(apart) if what == "strong" else (apart.mean(axis=1), np.cov(apart) / count)
    source = f"{what} errors of {kind.name}, {case}"
    if case == "no noise":
        return fpk.Estimate(errors, np.full(len(errors), ROUNDING), source=source)
    return fpk.Estimate(errors, np.zeros(len(errors)), covariance=covariance, samples=count, source=source)


def _order_study(what: str, kind: type[Scheme], cases: tuple[str, ...]) -> None:
    """Register the study of one scheme's strong or weak orders."""

    def orders(more: float, case: str, size: Size, seed: int) -> Evidence:
        problem = CROSSED.problem if case == "non-commuting" else SOLVED[case].problem
        order = getattr(kind().orders(problem), what) + more
        errors = _errors(what, kind, case, size, seed)
        steps = 1 / np.array(_ladder(what, kind, case).counts[: len(errors.value)])
        return order_evidence(errors, steps, order)

    orders.__name__ = f"{what}_{kind.__name__.lower()}"
    study(claim_id(what, kind), variants={"stated": 0.0, TOO_HIGH: 1.0}, cases=cases)(orders)


def claim_id(what: str, kind: type[Scheme]) -> str:
    """("weak", EulerMaruyama) ↦ particles.weak-euler-maruyama."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", "-", kind.__name__).lower()
    return f"particles.{what}-{name}"


def _strong_claim(kind: type[Scheme]) -> Claim:
    return Claim(
        claim_id("strong", kind),
        "order",
        f"Paths of the scheme {kind.name} converge to the Itô solution with the declared strong order.",
        r"\bigl(\mathbb E|X_h-X_1|^2\bigr)^{1/2} = O(h^{p})",
        "Kloeden and Platen (1992), chapters 10 and 11",
        {"stated": C, TOO_HIGH: R},
        {TOO_HIGH: "one more than the scheme declares"},
    )


def _weak_claim(kind: type[Scheme]) -> Claim:
    return Claim(
        claim_id("weak", kind),
        "order",
        f"Expectations over particles of the scheme {kind.name} converge to those of the Itô solution with the declared weak order.",
        r"\mathbb E\,\varphi(X_h)-\mathbb E\,\varphi(X_1) = O(h^{p})",
        "Kloeden and Platen (1992), chapters 14 and 15",
        {"stated": C, TOO_HIGH: R},
        {TOO_HIGH: "one more than the scheme declares"},
    )


for _kind, _cases in STRONG_CASES.items():
    _order_study("strong", _kind, _cases)
for _kind, _cases in WEAK_CASES.items():
    _order_study("weak", _kind, _cases)

# -- one step ----------------------------------------------------------------------------------------------------------

#: Signs of the two-point variables, and what their mean position is: that without areas.
SIGNS, NO_AREAS = ((1.0,), (-1.0,)), ((1.0, -1.0),)
STRONGLY_CROSSED = Crossed(np.array([[-0.3, 0.4], [-0.4, -0.3]]), 0.6)


@study(
    "particles.one-step-platen",
    variants={"stated": (0.0, SIGNS), TOO_HIGH: (1.0, SIGNS), "areas left out": (0.0, NO_AREAS)},
)
def one_step(variant: tuple[float, tuple[tuple[float, ...], ...]], case: str, size: Size, seed: int) -> Evidence:
    """Distance of E X_h X_hᵀ to that of the equation after one step from a point, integrated over the noise of the step."""
    more, signs = variant
    lengths, place = 2.0 ** -np.arange(3, 9), np.array([1.0, 0.5])

    def error(h: float) -> float:
        moments = np.mean([_moments_of_a_step(place, h, together) for together in signs], axis=0)
        return float(np.linalg.norm(moments - STRONGLY_CROSSED.moments(np.outer(place, place), h)))

    order = (PlatenWeak.general.weak or 0) + 1 + more
    return order_evidence([error(h) for h in lengths], lengths, order, floor=ROUNDING, source="moments after one step")


def _moments_of_a_step(place: Array, h: float, signs: tuple[float, ...]) -> Array:
    """E X_h X_hᵀ of the mean position over some signs, by a Gauss–Hermite rule for the two increments."""
    z, weights = np.polynomial.hermite_e.hermegauss(8)
    dW = h**0.5 * np.stack(np.meshgrid(z, z), axis=-1).reshape(-1, 2)
    start, step = np.tile(place, (len(dW), 1)), Step(STRONGLY_CROSSED.problem, 0.0, h)
    x = np.mean([PlatenWeak().advanced(step, start, dW, np.full((len(dW), 1), sign)) for sign in signs], axis=0)
    return np.einsum("n,ni,nj->ij", np.outer(weights, weights).ravel() / weights.sum() ** 2, x, x)


CLAIMS = (
    *map(_strong_claim, STRONG_CASES),
    *map(_weak_claim, WEAK_CASES),
    Claim(
        "particles.one-step-platen",
        "order",
        "One step of Platen's scheme has second moments that are wrong by one order more than its weak order, in noise that does not commute.",
        r"\mathbb E X_hX_h^{\mathsf T} - e^{hL}(xx^{\mathsf T}) = O(h^{p+1})",
        "Kloeden and Platen (1992), equation 15.1.3",
        {"stated": C, TOO_HIGH: R, "areas left out": R},
        {TOO_HIGH: "one more than the scheme declares", "areas left out": "the two-point variables are left out"},
    ),
)
