"""Equations around the forward solve on a grid: backward expectations, joint laws, transitions, first passages, exits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import fpk
from fpk.fokker_planck.backward import backward, exit_probability
from fpk.fokker_planck.discretisation import (
    ACCURATE,
    EXACT_IN_TIME,
    MAGNUS,
    POSITIVE,
    SECOND_ORDER,
    Scheme,
    discretised,
)
from fpk.fokker_planck.first_passage import first_passage
from fpk.fokker_planck.transitions import transition_density
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.paths import two_time_panel
from fpk.refinement import refinement_budget
from fpk.study import Claim, Evidence, Size, evidence, study
from fpk.verdict import Outcome

from ._systems import BOX, DATA, boxed, on_grid, walled

C, R = Outcome.CONFIRMED, Outcome.REFUTED
NOISE = {"½ missing on g²": "the noise variance is doubled", "g² + 2 %": "the noise variance is 2 % too large"}

CLAIMS = (
    Claim(
        "grid1d.duality",
        "bound",
        "On a grid the expectation of a payoff, taken back to any time and paired with the masses there, is one number to 1e-12.",
        r"\Bigl|\sum_i m_i(t)\,u_i(t)-\sum_i m_i(0)\,u_i(0)\Bigr| \le 10^{-12}\sum_i |m_i u_i|,\qquad u(t)=U_{T,t}^{\top}\varphi",
        "Risken (1989), The Fokker–Planck Equation, section 4.2",
        {"stated": C, "not transposed": R, "g² + 1 %": R, "time + 1 %": R},
        {
            "not transposed": "the payoff is taken back by the maps that take masses forward",
            "g² + 1 %": "the noise variance of the backward equation is 1 % too large",
            "time + 1 %": "the masses at t are paired with expectations at 1.01 t",
        },
    ),
    Claim(
        "grid1d.joint",
        "equality",
        "Taking a functional back to the earlier time gives the joint law of two times.",
        r"\mathbb E\,a(X_s)\,b(X_t)=\int p_s(x)\,a(x)\,\mathbb E[b(X_t)\mid X_s=x]\,dx",
        "Risken (1989), The Fokker–Planck Equation, section 4.2",
        {"stated": C, "free noise × 2": R, "drift sign": R, "free noise + 5 %": R},
        {
            "free noise × 2": "twice the noise variance, with the drift that leaves every one-time law as it was",
            "free noise + 5 %": "5 % more noise variance, with the drift that leaves every one-time law as it was",
        },
    ),
    Claim(
        "grid1d.transition",
        "equality",
        "From one point, the Ornstein–Uhlenbeck process is Gaussian.",
        r"p(x,t\mid y)=\mathcal N\bigl(x;\;ye^{-at},\;\tfrac{g^2}{2a}(1-e^{-2at})\bigr)",
        "Uhlenbeck and Ornstein (1930)",
        {"stated": C, "drift sign": R, "½ missing on g²": R, "g² + 2 %": R, "start + 2 %": R},
        NOISE | {"start + 2 %": "the point is 2 % further from the centre"},
    ),
    Claim(
        "grid1d.first-passage-brownian",
        "equality",
        "Brownian motion leaves a half line, or an interval, at the rate at which images of its start reach the walls.",
        r"P(T>t)=\sum_k (-1)^k\,P\bigl(c_k+\sqrt{s^2+g^2t}\,Z\in I\bigr),\qquad -\dot P=\sum_{\text{walls}}\tfrac12 g^2\,|\partial_x p|",
        "Redner (2001), A Guide to First-Passage Processes, sections 2.2 and 3.2",
        {"stated": C, "images dropped": R, "½ missing on g²": R, "g² + 2 %": R},
        NOISE | {"images dropped": "the free law: paths that left and came back are counted"},
    ),
    Claim(
        "grid1d.first-passage-ou",
        "equality",
        "The time at which an Ornstein–Uhlenbeck process first reaches its centre is known in closed form.",
        r"P(T\le t\mid x_0)=\operatorname{erfc}\frac{x_0}{g\sqrt{(e^{2at}-1)/a}}",
        "Göing-Jaeschke and Yor (2003)",
        {"stated": C, "drift sign": R, "½ missing on g²": R, "rate + 2 %": R},
        NOISE | {"rate + 2 %": "the drift is 2 % too strong"},
    ),
    Claim(
        "grid1d.exit",
        "equality",
        "The probability to leave through the upper wall is the scale function.",
        r"h(x)=\int_l^x e^{-\Phi}\Big/\int_l^u e^{-\Phi},\qquad \Phi=\int f/D",
        "Karlin and Taylor (1981), A Second Course in Stochastic Processes, section 15.3",
        {"stated": C, "drift sign": R, "D for g²": R, "drift + 2 %": R},
        {"D for g²": "half the exponent", "drift + 2 %": "the drift is 2 % too strong"},
    ),
)

SCHEMES: dict[str, Scheme] = {
    "one exponential": EXACT_IN_TIME,
    "ESDIRK4": ACCURATE,
    "Magnus": MAGNUS,
    "TR-BDF2": SECOND_ORDER,
    "backward Euler": POSITIVE,
}
#: What is allowed of Σ m u to change, relative to Σ |m u|.
DUAL = 1e-12


def _moving(kind: str, scheme: Scheme, variance: float) -> fpk.Problem:
    """Coefficients that depend on x, and on t where the scheme can follow that."""
    walls = fpk.Boundary() if kind == "open" else fpk.Boundary(kind, -2.0, 2.0)  # type: ignore[arg-type]
    pace = 0.0 if scheme is EXACT_IN_TIME else 1.0
    return fpk.Problem(
        lambda x, t: np.sin(np.pi * x / 2) * (1 + pace * t) + 0.3,
        lambda x, t: variance**0.5 * (1 + np.cos(np.pi * x / 2) / 3) * (1 + pace * t / 2),
        initial=fpk.Gaussian(0.2, 0.25),
        boundary=walls,
        horizon=1.1,
    )


@study(
    "grid1d.duality",
    variants={
        "stated": (1.0, 1.0, True),
        "not transposed": (1.0, 1.0, False),
        "g² + 1 %": (1.01, 1.0, True),
        "time + 1 %": (1.0, 1.01, True),
    },
    cases=tuple(SCHEMES),
)
def duality(variant: tuple[float, float, bool], case: str, size: Size, seed: int) -> Evidence:
    """A time-dependent problem, with every kind of wall."""
    names, excess = [], []
    for kind in ("open", "no_flux", "periodic", "absorbing"):
        pairings = _pairings(kind, SCHEMES[case], size, *variant)
        excess += [abs(p - pairings[0][0]) - DUAL * scale for p, scale in pairings[1:]]
        names += [f"{kind}, t={t:g}" for t in (0.3, 1.0)]
    return Evidence(fpk.residual(np.array(excess), 1e-15, source=case), zero_estimate(len(excess)), tuple(names))


def _pairings(
    kind: str, scheme: Scheme, size: Size, variance: float, late: float, transposed: bool
) -> list[tuple[float, float]]:
    """(Σ m u, Σ |m u|) at 0, .3 and 1."""
    grid, times, steps = fpk.Grid(-2.0, 2.0, cells=size.cells(64)), (0.0, 0.3, 1.0), size.cells(12)
    plan = discretised(_moving(kind, scheme, 1.0), grid, steps=steps, scheme=scheme)
    m = [q * grid.spacing for _, q in plan.forward(plan.start, times)]
    payoff = lambda x: np.cos(1.3 * x) + x / 2  # noqa: E731
    claimed = _moving(kind, scheme, variance)
    if transposed:
        read = [late * t for t in times]
        u = backward(claimed, grid, payoff=payoff, times=read, until=late, steps=steps, scheme=scheme).values
    else:
        ahead = discretised(claimed, grid, steps=steps, scheme=scheme)
        start = payoff(grid.centers)
        u = [q for _, q in ahead.forward(start, (0.0, 0.7, 1.0))][::-1]
    return [(float(a @ b), float(np.abs(a) @ np.abs(b))) for a, b in zip(m, u, strict=True)]


#: Factor on the free noise variance, and on the drift.
JOINT = {"stated": (1.0, 1.0), "free noise × 2": (2.0, 1.0), "drift sign": (1.0, -1.0), "free noise + 5 %": (1.05, 1.0)}
LINEAR = {
    "OU": fpk.noising(fpk.VPSchedule(2.4), fpk.Gaussian(0.8, 0.5)),
    "VP": fpk.noising(fpk.VPSchedule(0.6, 3.4), DATA),
}


@study("grid1d.joint", variants=JOINT, cases=tuple(LINEAR))
def joint_law(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """With a multiple of the noise and the drift that balances it, nothing but the joint law changes."""
    problem, (variance, sign) = LINEAR[case], variant
    drift, diffusion = problem.drift, problem.diffusion
    exact = fpk.exact(problem, times=[0.4, 1.0])
    panel = two_time_panel({t: exact.law(t) for t in exact.times})
    if variance != 1.0:
        noise = lambda t: variance**0.5 * diffusion(np.zeros((1, 1)), t).item()  # noqa: E731
        problem = fpk.with_noise(problem, exact.score, noise=noise)
    if sign < 0:
        problem = replace(problem, drift=lambda x, t: -drift(x, t), schedule=None)
    solved = on_grid(walled(problem), size, times=[0.4, 1.0], cells=56)
    return Evidence(solved.expect(panel), exact.expect(panel), panel.names, {}, panel.digest)


RATE, SPREAD, START = 1.3, 0.9, 0.8


@study(
    "grid1d.transition",
    variants={
        "stated": (1.0, 1.0, 1.0),
        "drift sign": (-1.0, 1.0, 1.0),
        "½ missing on g²": (1.0, 2.0, 1.0),
        "g² + 2 %": (1.0, 1.02, 1.0),
        "start + 2 %": (1.0, 1.0, 1.02),
    },
)
def transition(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    sign, variance, shift = variant
    times = (0.25, 1.0)
    problem = boxed(fpk.Linear(-sign * RATE), variance**0.5 * SPREAD, initial=DATA)

    def level(k: int) -> Any:
        grid = fpk.Grid(*BOX, cells=size.cells(100) * k)
        return transition_density(problem, grid, start=shift * START, times=times)

    laws = {t: fpk.Gaussian(START * np.exp(-RATE * t), _spread(t)) for t in times}
    return evidence(fpk.refine(level), fpk.LawMarginals(laws, times, source="Gaussian transition"))


def _spread(t: float) -> float:
    return float(SPREAD * np.sqrt((1 - np.exp(-2 * RATE * t)) / (2 * RATE)))


def against(
    values: Callable[[int], Array], closed: Array, names: tuple[str, ...], *, order: float, source: str
) -> Evidence:
    """Numbers on three resolutions, with the budget that follows, against a closed form."""
    coarse, middle, fine = (values(k) for k in (1, 2, 4))
    budget = refinement_budget([coarse, middle, fine], order) + 1e-11
    first = fpk.Estimate(fine, budget, coarser=middle, source=source)
    return Evidence(
        first, fpk.Estimate(closed, np.full(len(closed), 1e-13), coarser=closed, source="closed form"), names
    )


TIMES = (0.15, 0.4, 0.8)
NAMES = tuple(f"{what} t={t:g}" for what in ("P(T > t),", "lower density,", "upper density,") for t in TIMES)


def _passage(problem: fpk.Problem, size: Size, cells: int) -> Callable[[int], Array]:
    walls = problem.boundary

    def values(k: int) -> Array:
        grid = fpk.Grid(walls.lower, walls.upper, cells=size.cells(cells) * k)
        left = first_passage(problem, grid, times=TIMES)
        return np.concatenate([left.survival, left.lower_density, left.upper_density])

    return values


def _imaged(lower: float, upper: float, mean: float, std: float, g: float, images: int) -> Array:
    """Survival and wall densities of Brownian motion from N(mean, std²): 2 · images reflections, or the free law for none."""
    from scipy.stats import norm

    out, length = [], upper - lower
    for t in TIMES:
        v = np.sqrt(std**2 + g**2 * t)
        k = np.arange(-images, images + 1)
        centres, signs = (mean + 2 * k * length, 2 * lower - mean + 2 * k * length), (1.0, -1.0 if images else 0.0)
        parts = [
            s * (norm.cdf((upper - c) / v) - norm.cdf((lower - c) / v)) for c, s in zip(centres, signs, strict=True)
        ]
        slopes = [
            sum((s * (c - w) / v**2 * norm.pdf((w - c) / v) / v).sum() for c, s in zip(centres, signs, strict=True))
            for w in (lower, upper)
        ]
        out.append((sum(p.sum() for p in parts), g**2 / 2 * slopes[0], -(g**2) / 2 * slopes[1]))
    return np.array(out).T.ravel()


@study(
    "grid1d.first-passage-brownian",
    variants={
        "stated": (1.0, 8),
        "images dropped": (1.0, 0),
        "½ missing on g²": (2.0, 8),
        "g² + 2 %": (1.02, 8),
    },
    cases=("half line", "interval"),
)
def brownian_first_passage(variant: tuple[float, int], case: str, size: Size, seed: int) -> Evidence:
    """The far wall of the half line is ten standard deviations away."""
    variance, images = variant
    upper, mean, std, cells = (12.0, 1.0, 0.15, 100) if case == "half line" else (2.0, 0.9, 0.1, 40)
    problem = fpk.Problem(
        0.0,
        variance**0.5 * 1.2,
        initial=fpk.Gaussian(mean, std),
        boundary=fpk.Boundary("absorbing", 0.0, upper),
    )
    closed = _imaged(0.0, upper, mean, std, 1.2, images)
    return against(_passage(problem, size, cells), closed, NAMES, order=6, source=f"grid, {case}")


@study(
    "grid1d.first-passage-ou",
    variants={
        "stated": (1.0, 1.0),
        "drift sign": (-1.0, 1.0),
        "½ missing on g²": (1.0, 2.0),
        "rate + 2 %": (1.02, 1.0),
    },
)
def ou_first_passage(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """From N(1, .15²): e^{at} X_t is Brownian motion in the clock (e^{2at} − 1)/(2a), and its first passage that of Brownian motion."""
    from scipy.special import erf

    rate, variance = variant
    walls = fpk.Boundary("absorbing", 0.0, 7.0)
    problem = fpk.Problem(fpk.Linear(-rate * RATE), variance**0.5, initial=fpk.Gaussian(1.0, 0.15), boundary=walls)
    t = np.array(TIMES)
    v = 0.15**2 + (np.exp(2 * RATE * t) - 1) / (2 * RATE)
    density = np.exp(2 * RATE * t) * np.exp(-1 / (2 * v)) / np.sqrt(2 * np.pi * v**3)
    closed = np.concatenate([erf(1 / np.sqrt(2 * v)), density, np.zeros_like(t)])
    return against(_passage(problem, size, 80), closed, NAMES, order=6, source="grid, OU")


#: Drifts on [−2, 2] with their integrals, and the order that walls leave: the second vanishes there.
EXITS = {
    "drift at the walls": ("7/10", lambda x: 0.7 * x, 2.0),
    "none at the walls": ("x*(4 - x**2)/3", lambda x: (2 * x**2 - x**4 / 4) / 3, 4.0),
}


@study(
    "grid1d.exit",
    variants={"stated": (1.0, 1.0), "drift sign": (-1.0, 1.0), "D for g²": (1.0, 0.5), "drift + 2 %": (1.02, 1.0)},
    cases=tuple(EXITS),
)
def exits(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    from scipy.integrate import quad

    (factor, share), (drift, integral, order) = variant, EXITS[case]
    walls = fpk.Boundary("absorbing", -2.0, 2.0)
    problem = fpk.Problem(f"{factor}*({drift})", 1.1, initial=fpk.Gaussian(0.0, 0.2), boundary=walls)
    starts = np.array([-1.4, -0.5, 0.0, 0.6, 1.5])

    def psi(x: float) -> float:
        return float(np.exp(-share * integral(x) / (0.5 * 1.1**2)))

    scale = [quad(psi, -2.0, x, epsabs=1e-14)[0] for x in (*starts, 2.0)]

    def values(k: int) -> Array:
        return exit_probability(problem, fpk.Grid(-2.0, 2.0, cells=size.cells(64) * k)).on(starts)

    names = tuple(f"h({x:g})" for x in starts)
    return against(values, np.array(scale[:-1]) / scale[-1], names, order=order, source=f"grid, {case}")
