r"""Whole paths run backwards: trajectories of an ODE, joint laws at two times, and what was given what came after.

A reversed process has not only the marginals of the process but its path law: for s < t

    E φ(X_s) ψ(X_t) = E ψ(Y_{T−t}) φ(Y_{T−s}),     law(Y_{T−s} | Y_{T−t} = x) = law(X_s | X_t = x) = P(·; s | x; t).

Processes are Markov both ways, so two times are enough. The truth is a joint law of the forward process alone, or Bayes' rule with its kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.integrate import solve_ivp
from scipy.stats import lognorm

import fpk
from fpk.fokker_planck.backward import backward
from fpk.fokker_planck.solutions import GridMarginals
from fpk.laws import Array, GaussianMixture, TabulatedLaw, central_derivative
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Size, evidence, study
from fpk.verdict import Outcome

from .._systems import Score, constant_law, scaled, walled
from ._joint_laws import Known, Member, joint_of_rotation, joint_of_state_noise, joint_on_the_line
from ._reversing import CELLS, EXACT, FENCE, NOISED, SCHEDULE, WAVY, ahead, between

C, R = Outcome.CONFIRMED, Outcome.REFUTED
NOTES = {
    "score sign": "−∇log p in place of ∇log p",
    "½ extra": "½g²∇log p",
    "no score": "−f alone",
    "∂(g²) dropped": "−f + g²∇log p, where g depends on x",
    "score + 2 %": "the score is 2 % too large",
    "noise² + 2 %": "the noise variance is 2 % too large",
}

CLAIMS = (
    Claim(
        "S2.P-ODErev",
        "identity",
        "The equation with the velocity −f, read at 1 − t, runs through every trajectory of Ẋ = f backwards.",
        r"\dot Y=-f(Y,1-t),\;Y_0=X_1 \;\Rightarrow\; Y_t=X_{1-t}",
        "Rakitin, reversed ordinary differential equation",
        {"stated": C, "not reversed": R, "clock not reversed": R, "half the velocity": R, "f + 1 %": R},
        {
            "not reversed": "+f(Y, 1 − t)",
            "clock not reversed": "−f(Y, t)",
            "half the velocity": "−½f(Y, 1 − t)",
            "f + 1 %": "the velocity is 1 % too large",
        },
        assumptions="f smooth, and trajectories that exist on [0, 1].",
    ),
    Claim(
        "S2.P26",
        "equality",
        "The reverse SDE with the noise of the process itself has its path law: joint laws at two times agree, which other noises do not achieve.",
        r"\mathbb E\,\varphi(X_s)\,\psi(X_t)=\mathbb E\,\psi(Y_{T-t})\,\varphi(Y_{T-s}),\qquad dY=\bigl(-f+\tfrac1p\nabla\cdot(GG^{\mathsf T}p)\bigr)d\tau+G\,d\bar W",
        "Rakitin, text after equation 26; Chen (2024), theorem 3; Anderson (1982); Haussmann and Pardoux (1986)",
        {
            "stated": C,
            "no noise": R,
            "half the noise": R,
            "twice the noise": R,
            "forward again": R,
            "score + 2 %": R,
            "free noise² + 2 %": R,
        },
        {
            "no noise": "the probability flow: right marginals",
            "half the noise": "σ = ½g in the reverse family: right marginals",
            "twice the noise": "σ = 2g in the reverse family: right marginals",
            "forward again": "a stationary process not reversed: right marginals, but the wrong sense of rotation",
            "score + 2 %": NOTES["score + 2 %"],
            "free noise² + 2 %": "σ² = 1.02 g² in the reverse family: right marginals",
        },
        assumptions="p > 0 and smooth.",
    ),
    Claim(
        "S4.E62-67",
        "equality",
        "The law of an earlier position y at s, given a later one, solves the Fokker–Planck equation of the reverse process in falling s.",
        r"-\partial_sP(y;s|x;t)=\partial_y\Bigl[\Bigl(f-\frac1p\,\partial_y(g^2p)\Bigr)P\Bigr]+\tfrac12\,\partial_y^2\bigl(g^2P\bigr),\qquad "
        r"P(y;s|x;t)=\frac{P(x;t|y;s)\,p(y,s)}{p(x,t)}",
        "GM (2023), equations 62 to 67; Anderson (1982)",
        {
            "stated": C,
            "score sign": R,
            "no score": R,
            "½ extra": R,
            "∂(g²) dropped": R,
            "score + 2 %": R,
            "noise² + 2 %": R,
        },
        NOTES,
        assumptions="d = 1, p > 0. On the grid the later position is known up to a normal error.",
    ),
)


# -- ordinary differential equations -----------------------------------------------------------------------------------------


def _pulled(x: Array, t: float) -> Array:
    return (1 + t) * (x - x**3)


def _pulled_path(x: Array, t: float) -> Array:
    """Bernoulli's equation: with A = t + t²/2, x e^A / √(1 + x²(e^{2A} − 1))."""
    A = t + t**2 / 2
    return x * np.exp(A) / np.sqrt(1 + x**2 * np.expm1(2 * A))


def _turned(x: Array, t: float) -> Array:
    across = np.stack([-x[:, 1], x[:, 0]], axis=1)
    return -0.5 * x + np.exp(t) * (1 + 2 * t) * (x**2).sum(1, keepdims=True) * across


def _turned_path(x: Array, t: float) -> Array:
    """A spiral: radius e^{−t/2} |x|, angle |x|²(t + t²)."""
    angle, across = (x**2).sum(1, keepdims=True) * (t + t**2), np.stack([-x[:, 1], x[:, 0]], axis=1)
    return np.exp(-t / 2) * (np.cos(angle) * x + np.sin(angle) * across)


Field = Callable[[Array, float], Array]
#: Fields with their trajectories in closed form, and where these start.
FIELDS: dict[str, tuple[Field, Field, Array]] = {
    "on the line": (_pulled, _pulled_path, np.array([[-1.4], [0.2], [0.8]])),
    "in the plane": (_turned, _turned_path, np.array([[0.9, -0.2], [-0.4, 0.7]])),
}
#: What is done to the field before it is reversed.
FIELD_SLIPS: dict[str, Callable[[Field], Field]] = {
    "stated": lambda f: f,
    "not reversed": lambda f: lambda x, t: -f(x, t),
    "clock not reversed": lambda f: lambda x, t: f(x, 1 - t),
    "half the velocity": lambda f: lambda x, t: 0.5 * f(x, t),
    "f + 1 %": lambda f: lambda x, t: 1.01 * f(x, t),
}


@study("S2.P-ODErev", variants=FIELD_SLIPS, cases=tuple(FIELDS))
def reversed_trajectories(variant: Callable[[Field], Field], case: str, size: Size, seed: int) -> Evidence:
    """The reversed problem by a Runge–Kutta method of order 8, from X_1, against X_{1−t} in closed form."""
    field, path, start = FIELDS[case]
    d = start.shape[1]
    forward = fpk.Problem(variant(field), 0.0, initial=fpk.Gaussian(np.zeros(d), 1.0))
    back = fpk.reverse_time(forward, lambda x, t: 0 * x, initial=forward.initial)
    times = np.array([0.25, 0.6, 1.0])

    def solved(tolerance: float) -> Array:
        slope = lambda tau, y: back.drift(y.reshape(-1, d), tau).ravel()  # noqa: E731
        found = solve_ivp(
            slope, (0, 1), path(start, 1.0).ravel(), "DOP853", t_eval=times, rtol=tolerance, atol=tolerance
        )
        return found.y.T.ravel()

    truth = np.concatenate([path(start, float(1 - tau)).ravel() for tau in times])
    fine, coarse = solved(1e-10), solved(1e-8)
    first = fpk.residual(fine - truth, np.abs(fine - coarse) + 1e-9, source="reversed problem less the trajectory")
    names = [f"Y{i} at τ = {tau:g} from point {k}" for tau in times for k in range(len(start)) for i in range(d)]
    return Evidence(first, zero_estimate(len(truth)), tuple(names))


# -- joint laws --------------------------------------------------------------------------------------------------------------

MEMBERS = {
    "stated": Member(),
    "no noise": Member(0.0),
    "half the noise": Member(0.5),
    "twice the noise": Member(2.0),
    "forward again": Member(again=True),
    "score + 2 %": Member(score=1.02),
    "free noise² + 2 %": Member(1.02**0.5),
}


def _there(case: str, member: str) -> bool:
    """The flow is followed on the line, and only a stationary process can be run again."""
    return case == {"no noise": "two peaks", "forward again": "rotation"}.get(member, case)


JOINT = {
    "two peaks": joint_on_the_line,
    "state-dependent noise": joint_of_state_noise,
    "rotation": joint_of_rotation,
}


@study("S2.P26", variants=MEMBERS, cases=tuple(JOINT), applies=lambda variant, case: _there(case, variant))
def joint_laws_reversed(variant: Member, case: str, size: Size, seed: int) -> Evidence:
    return JOINT[case](variant, size)


# -- what was, given what came after -----------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """What is changed in the reverse process: factors on the score and the noise variance, and how much of ∂(g²) is kept."""

    score: float = 1.0
    noise: float = 1.0
    share: float = 1.0


RULES = {
    "stated": Rule(),
    "score sign": Rule(-1.0),
    "no score": Rule(0.0),
    "½ extra": Rule(0.5),
    "∂(g²) dropped": Rule(share=0.0),
    "score + 2 %": Rule(1.02),
    "noise² + 2 %": Rule(noise=1.02),
}


def _ruled(problem: fpk.Problem, score: Score, initial: Any, rule: Rule) -> fpk.Problem:
    """The problem reversed by the rule."""
    back = fpk.reverse_time(problem, scaled(score, rule.score), initial=initial)
    g, T = problem.diffusion, problem.horizon
    given, noise = back.drift, back.diffusion
    if rule.share < 1:
        back = replace(back, drift=lambda x, tau: given(x, tau) - 2 * g(x, T - tau) * g.gradient(x, T - tau))
    if rule.noise != 1:
        back = replace(back, diffusion=lambda x, tau: rule.noise**0.5 * noise(x, tau))
    return back


#: What is known of the later position: it is PLACE up to a normal error.
PLACE, ERROR = 0.4, 0.35


def _observed(law: GaussianMixture, gain: float, variance: float) -> GaussianMixture:
    """The law of X given that gain · X + N(0, variance + ERROR²) is PLACE, by Bayes' rule for each component; d = 1."""
    m, V, noise = law.means[:, 0], law.covariances[:, 0, 0], variance + ERROR**2
    total = gain**2 * V + noise
    weight = law.weights * np.exp(-0.5 * (PLACE - gain * m) ** 2 / total) / np.sqrt(total)
    mean = m + gain * V / total * (PLACE - gain * m)
    return GaussianMixture(weight / weight.sum(), mean, stds=np.sqrt(V * noise / total))


def _given_later(rule: Rule, size: Size) -> Evidence:
    """Noising of two peaks: Bayes' rule in closed form."""
    back = _ruled(NOISED, EXACT.score, _observed(EXACT.law(1.0), 1.0, 0.0), rule)
    truth = {}
    for s in (0.6, 0.2):
        gain = SCHEDULE.alpha(1.0) / SCHEDULE.alpha(s)
        truth[1 - s] = _observed(EXACT.law(s), gain, SCHEDULE.sigma(1.0) ** 2 - gain**2 * SCHEDULE.sigma(s) ** 2)
    claimed = fpk.LawMarginals(truth, tuple(truth), source="Bayes' rule with the forward kernel")

    def level(k: int) -> GridMarginals:
        cells = size.cells(CELLS) * k // 4
        return fpk.solve(walled(back, FENCE), between(cells), times=list(truth), steps=cells // 6)

    return evidence(fpk.refine(level), claimed)


def _seen(x: Array) -> Array:
    return np.exp(-0.5 * ((x - PLACE) / ERROR) ** 2)


#: When the earlier position is asked for.
EARLY = 0.1


def _bayes_law(cells: int) -> TabulatedLaw:
    """The earlier law ∝ u p_s by Bayes' rule, with the backward solution u(y, s) = E[seen(X_T) | X_s = y]."""
    there = ahead(cells)
    u = backward(WAVY, there.grid, payoff=lambda x: _seen(x[:, 0]), times=[EARLY], steps=cells // 6).at(EARLY)
    return TabulatedLaw(there.grid.centers, np.log(np.maximum(u * there.density(EARLY), 1e-300)))


def _on_two_grids(expected: Callable[[int], Array], size: Size, source: str) -> fpk.Estimate:
    """Expectations as a function of the cells, with 1.5 times their change from half of the cells as the budget."""
    cells = size.cells(CELLS)
    fine, rough = expected(cells), expected(cells // 2)
    return fpk.Estimate(fine, 1.5 * np.abs(fine - rough) + 1e-9, coarser=rough, source=source)


@lru_cache(maxsize=2)
def _bayes(size: Size) -> Known:
    time = WAVY.horizon - EARLY
    panel = fpk.law_panel({time: _bayes_law(size.cells(CELLS))})

    def expected(cells: int) -> Array:
        return constant_law(_bayes_law(cells), time=time, source="").expect(panel).value

    return panel, _on_two_grids(expected, size, "Bayes' rule on the grid")


def _given_later_on_grids(rule: Rule, size: Size) -> Evidence:
    """State-dependent noise: the reverse process from what was seen, against Bayes' rule."""
    panel, known = _bayes(size)

    def expected(cells: int) -> Array:
        there = ahead(cells)
        x = there.grid.centers
        start = TabulatedLaw(x, there.law(WAVY.horizon).log_density(x[:, None]) + np.log(_seen(x) + 1e-300))
        back = _ruled(WAVY, there.score, start, rule)
        solved = fpk.solve(back, there.grid, times=[WAVY.horizon - EARLY], steps=cells // 6)
        return solved.unbudgeted(panel).value

    found = _on_two_grids(expected, size, "reverse process on the grid")
    return Evidence(found, known, panel.names, panel=panel.digest)


GROWTH, SWING = 0.3, 0.5
LOGARITHM = GaussianMixture([0.4, 0.6], [-0.3, 0.4], stds=[0.2, 0.3])
GEOMETRIC = fpk.Problem(f"{GROWTH}*x", f"{SWING}*x", initial=lognorm(0.5), name="geometric Brownian motion")


def _logarithm(s: float) -> GaussianMixture:
    """The law of log X_s."""
    return LOGARITHM.pushed(np.eye(1), np.full(1, (GROWTH - SWING**2 / 2) * s), np.full((1, 1), SWING**2 * s))


def _earlier(y: Array, s: float) -> Array:
    """P(y; s | 1.4; 1) of geometric Brownian motion, up to the factor p(1.4, 1), by Bayes' rule; y of shape (n, 1)."""
    left = np.log(1.4 / y[:, 0]) - (GROWTH - SWING**2 / 2) * (1 - s)
    kernel = np.exp(-0.5 * left**2 / (SWING**2 * (1 - s))) / np.sqrt(1 - s)
    return kernel * _logarithm(s).density(np.log(y)) / y[:, 0]


def _equation(rule: Rule, size: Size) -> Evidence:
    """∂_s P + ∂_y(b P) + ½ ∂_y²(g² P) with b = −(reverse drift), at six points, by differences of sixth order."""
    score: Score = lambda y, s: (_logarithm(s).score(np.log(y)) - 1) / y  # noqa: E731
    back = _ruled(GEOMETRIC, score, GEOMETRIC.initial, rule)
    y, step = np.array([[0.7], [1.1], [1.6]]), np.zeros(1)

    def residual(s: float, h: float) -> Array:
        flux: Callable[[Array], Array] = lambda z: -back.drift(z, 1 - s)[:, 0] * _earlier(z, s)  # noqa: E731
        spread: Callable[[Array], Array] = lambda z: back.diffusion(z, 1 - s)[:, 0] ** 2 * _earlier(z, s)  # noqa: E731
        slope: Callable[[Array], Array] = lambda u: central_derivative(lambda v: spread(y + u + v), step, h)  # noqa: E731
        return (
            central_derivative(lambda u: _earlier(y, s + float(u[0])), step, h)
            + central_derivative(lambda u: flux(y + u), step, h)
            + 0.5 * central_derivative(slope, step, h)
        )

    fine, coarse = (np.concatenate([residual(s, h) for s in (0.3, 0.6)]) for h in (0.01, 0.02))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-10, coarser=coarse, source="equation of P by differences")
    return Evidence(first, zero_estimate(6), tuple(f"y = {a:g}, s = {s:g}" for s in (0.3, 0.6) for a in y[:, 0]))


#: Controls that say nothing new in a case, or nothing at all.
GROSS = {"two peaks": ("∂(g²) dropped",), "state-dependent noise": ("no score", "½ extra"), "equation": ()}
GIVEN = {"two peaks": _given_later, "state-dependent noise": _given_later_on_grids, "equation": _equation}


@study(
    "S4.E62-67",
    variants=RULES,
    cases=tuple(GIVEN),
    applies=lambda variant, case: variant not in GROSS[case],
)
def earlier_given_later(variant: Rule, case: str, size: Size, seed: int) -> Evidence:
    return GIVEN[case](variant, size)
