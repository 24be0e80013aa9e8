"""Grids in the plane against laws known in closed form, and against particles: rotation, noising, noise that depends on the state, reversal."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.linalg import solve_continuous_lyapunov

import fpk
from fpk.fokker_planck.product.discretisation import discretised
from fpk.fokker_planck.product.solutions import ProductMarginals
from fpk.fokker_planck.stationary import stationary
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.panels import Panel
from fpk.particles.schemes import PlatenWeak
from fpk.paths import two_time_panel
from fpk.study import Claim, Evidence, Size, study
from fpk.tracing import traceable
from fpk.verdict import Outcome

from ._planes import (
    GENERAL,
    HALF_YEAR,
    POWERS,
    SCHEMES,
    TENSOR,
    TURNING,
    PowerBlock,
    circulating,
    four_peaks,
    gibbs,
    growing,
    growing_covariance,
    growing_moments,
    rotating,
    slices_of,
    square,
)  # fmt: skip
from ._systems import scaled

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "grid2d.rotating",
        "equality",
        "A rotating Ornstein–Uhlenbeck process with correlated noises has its Gaussian law on the grid, by every scheme.",
        r"dX = AX\,dt + G\,dW \;\Rightarrow\; X_t\sim N\Bigl(e^{tA}m,\; e^{tA}\Sigma e^{tA^T}+\int_0^t e^{sA}GG^Te^{sA^T}ds\Bigr)",
        "Risken (1989), The Fokker–Planck Equation, section 6.5",
        {"stated": C, "rotation sign": R, "cross term dropped": R, "½ on g²": R, "cross term + 1 %": R, "g² + 0.1 %": R},
        {
            "rotation sign": "the rotation goes the other way",
            "cross term dropped": "the grid is told that the noises are independent",
            "½ on g²": "half of the diffusivity",
            "cross term + 1 %": "D₁₂ is 1 % too large (schemes of high order)",
            "g² + 0.1 %": "all of D is 0.1 % too large (default scheme)",
        },
    ),
    Claim(
        "grid2d.joint",
        "equality",
        "From a stationary start no law at one time tells which way a process rotates; its joint laws at two times do, and the grid has them.",
        r"\mathbb E\,\varphi(X_s)\,\psi(X_t)=\int p_s\,\varphi\;e^{(t-s)L}\psi\,dx,\qquad \operatorname{Cov}(X_s,X_t)=\Sigma\,e^{(t-s)A^T}",
        "Risken (1989), The Fokker–Planck Equation, sections 6.5 and 7.2",
        {"stated": C, "degenerate": C, "rotation sign": R, "no rotation": R, "rotation + 1 %": R},
        {
            "degenerate": "one-time functionals, with the other rotation: they agree",
            "rotation sign": "the rotation goes the other way",
            "no rotation": "there is none",
            "rotation + 1 %": "it is 1 % too fast",
        },
    ),
    Claim(
        "grid2d.noising",
        "equality",
        "A mixture noised by a stiff schedule has its exact marginals on the grid, by propagators along the axes and by steps in the plane.",
        r"X_t=\alpha_tX_0+\sigma_tZ,\quad \alpha_t=e^{-\frac12\int_0^t\beta},\quad \sigma_t^2=1-\alpha_t^2,\quad \beta=0.1+19.9\,t",
        "Song et al. (2021), equation 33",
        {"stated": C, "½ missing": R, "½ on g²": R, "g² + 1 %": R},
        {
            "½ missing": "the drift is −βx in the place of −½βx",
            "½ on g²": "half of the diffusivity",
            "g² + 1 %": "the diffusivity is 1 % too large",
        },
    ),
    Claim(
        "grid2d.state-noise",
        "equality",
        "Noise with a full matrix that depends on the state is read in the sense of Itô: correlated geometric Brownian motions have their moments on "
        "the grid, and the law of particles.",
        r"\mathbb E\,X^k_t=\mathbb E\,X^k_0\;\exp\,t\Bigl(k\cdot\mu+\tfrac12k\cdot Ck-\tfrac12k\cdot\operatorname{diag}C\Bigr),\qquad "
        r"dX_i=X_i(\mu_i\,dt+\sigma_i\,dW_i),\; C_{ij}=\sigma_i\sigma_j\rho_{ij}",
        "Kloeden and Platen (1992), section 4.4; Risken (1989), section 3.3",
        {"stated": C, "Stratonovich": R, "divergence dropped": R, "correlation dropped": R, "g² + 2 %": R},
        {
            "Stratonovich": "the drift carries ½ Σ G_kj ∂_k G_ij more",
            "divergence dropped": "∇·(D ∇p) in the place of ∇∇:(D p)",
            "correlation dropped": "the noises are independent",
            "g² + 2 %": "all of D is 2 % too large (closed form)",
        },
    ),
    Claim(
        "grid2d.probability-flow",
        "equality",
        "Followed along characteristics with the exact score, the probability flow of a noised mixture has its exact marginals.",
        r"\dot x=f-\tfrac12g^2\nabla\log p_t \;\Rightarrow\; X_t\sim p_t",
        "Song et al. (2021), section 4.3",
        {"stated": C, "½ missing": R, "½ extra": R, "score + 1 %": R},
        {
            "½ missing": "the score enters with all of g²",
            "½ extra": "with a quarter of it",
            "score + 1 %": "the score is 1 % too large",
        },
    ),
    Claim(
        "grid2d.reverse",
        "equality",
        "Run backwards with the score of the grid, a process with a full matrix returns to its data.",
        r"dY=\bigl(-f+\nabla\cdot(GG^T)+GG^T\nabla\log p\bigr)\,d\tau+G\,d\bar W",
        "Anderson (1982)",
        {"stated": C, "½g²": R, "no score": R, "divergence dropped": R, "score + 5 %": R},
        {
            "½g²": "the score enters with half of GGᵀ",
            "no score": "not at all",
            "divergence dropped": "without ∇·(GGᵀ), where the matrix varies",
            "score + 5 %": "the score is 5 % too large",
        },
    ),
    Claim(
        "grid2d.stationary",
        "equality",
        "Drifts with a solenoidal part have their stationary laws on the grid: a rotation with correlated noises the Gaussian of its Lyapunov "
        "equation, a potential with a circulation along its level lines the Gibbs law.",
        r"A\Sigma+\Sigma A^T+2D=0;\qquad f=-\nabla V+J\nabla V,\; J^T=-J \;\Rightarrow\; \nabla\cdot(J\nabla V\,e^{-V/T})=0,\; p_s\propto e^{-V/T}",
        "Risken (1989), The Fokker–Planck Equation, sections 6.4 and 6.5",
        {"stated": C, "detailed balance": R, "not solenoidal": R, "potential + 1 %": R},
        {
            "detailed balance": "the Gibbs law of the symmetric part of A (linear)",
            "not solenoidal": "J is symmetric (Gibbs)",
            "potential + 1 %": "the law belongs to a potential that is 1 % deeper",
        },
    ),
)  # fmt: skip

#: Factors on the rotation, on D_12 and on GGᵀ.
ROTATING: dict[str, dict[str, float]] = {
    "stated": {}, "rotation sign": {"turn": -1.0}, "cross term dropped": {"cross": 0.0}, "½ on g²": {"noise": 0.5},
    "cross term + 1 %": {"cross": 1.01}, "g² + 0.1 %": {"noise": 1.001},
}  # fmt: skip
#: Cells of the quick size, of the coarsest of three grids for schemes of second order.
ROTATING_CELLS = {"central": 80, "Fourier": 96, "alternating": 32, "positive": 56}
#: Where a control can be seen, or is worth its time.
ASKED = {
    "rotation sign": ("central", "alternating", "positive"), "½ on g²": ("central", "alternating", "positive"),
    "cross term + 1 %": ("central", "Fourier"), "g² + 0.1 %": ("central",),
}  # fmt: skip


def _solved(problem: fpk.Problem, scheme: str, half: float, cells: int, times: list[float]) -> Any:
    """One solution with a scheme of high order, three with one of second."""
    chosen = SCHEMES[scheme]

    def level(k: int) -> ProductMarginals:
        return fpk.solve(problem, square(half, k * cells), times=times, scheme=chosen)

    return level(1) if chosen.order > 2 else fpk.refine(level)


def _held(first: Any, second: Any, panel: Panel) -> Evidence:
    return Evidence(first.expect(panel), second.expect(panel), panel.names, panel=panel.digest)


@study(
    "grid2d.rotating",
    variants=ROTATING,
    cases=GENERAL,
    applies=lambda variant, case: case in ASKED.get(variant, GENERAL),
)
def rotating_law(variant: dict[str, float], case: str, size: Size, seed: int) -> Evidence:
    """On [−6, 6]², from N((1.5, 0), .3² I) to t = 1."""
    exact = fpk.exact(rotating(), times=[1.0])
    solved = _solved(rotating(**variant), case, 6.0, size.cells(ROTATING_CELLS[case]), [1.0])
    return _held(solved, exact, slices_of({1.0: exact.law(1.0)}))


#: Factor on the rotation, and whether one-time functionals are asked.
JOINT = {
    "stated": (1.0, False),
    "degenerate": (-1.0, True),
    "rotation sign": (-1.0, False),
    "no rotation": (0.0, False),
    "rotation + 1 %": (1.01, False),
}
EARLY, LATE = 0.3, 0.8


def _spinning(turn: float) -> fpk.Problem:
    """Stationary at the law it starts from: dX = (−X + 2 turn X^⊥) dt + dW."""
    A = np.array([[-1.0, -2.0 * turn], [2.0 * turn, -1.0]])
    return fpk.Problem(fpk.Linear(A), 1.0, initial=fpk.Gaussian([0.0, 0.0], 0.5**0.5), name="rotation")


@study("grid2d.joint", variants=JOINT)
def joint_laws(variant: tuple[float, bool], case: str, size: Size, seed: int) -> Evidence:
    """Products of functionals at t = .3 and .8, over all pairs of axes."""
    turn, one_time = variant
    exact = fpk.exact(_spinning(1.0), times=[EARLY, LATE])
    laws = {t: exact.law(t) for t in (EARLY, LATE)}
    panel: Panel = slices_of(laws, degree=2) if one_time else two_time_panel(laws)
    solved = fpk.solve(_spinning(turn), square(5.0, size.cells(64)), times=[EARLY, LATE], scheme=SCHEMES["central"])
    return _held(solved, exact, panel)


SCHEDULE = fpk.VPSchedule(0.1, 20.0)
#: Factors on the drift and on the diffusivity.
NOISING = {"stated": (1.0, 1.0), "½ missing": (2.0, 1.0), "½ on g²": (1.0, 0.5), "g² + 1 %": (1.0, 1.01)}


@study("grid2d.noising", variants=NOISING, cases=("separable", "central"))
def noising_laws(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """Four peaks on [−6, 6]², while they merge and when they are gone; the general scheme is named, and is not told that axes are independent."""
    pull, noise = variant
    problem = fpk.noising(SCHEDULE, four_peaks())
    exact = fpk.exact(problem, times=[0.25, 1.0])
    given = fpk.Problem(
        fpk.Linear(lambda t: pull * SCHEDULE.drift_rate(t)),
        lambda t: noise**0.5 * SCHEDULE.diffusion(t),
        initial=problem.initial,
    )
    solved = _solved(given, case, 6.0, size.cells(60), [0.25, 1.0])
    return _held(solved, exact, slices_of({t: exact.law(t) for t in (0.25, 1.0)}))


#: In the drift of the equation that ∇·(D ∇p) belongs to stands ∇·D: ∂_0 D_00 + ∂_1 D_01 = (σ_0² + ½ C_01) x_0.
GROWING: dict[str, dict[str, float]] = {
    "stated": {}, "Stratonovich": {"extra": 0.5}, "divergence dropped": {"extra": 1.0, "cross": 0.5},
    "correlation dropped": {"correlation": 0.0}, "g² + 2 %": {"noise": 1.02},
}  # fmt: skip


@study(
    "grid2d.state-noise",
    variants=GROWING,
    cases=("closed form", "particles"),
    applies=lambda variant, case: case == "closed form" or "%" not in variant,
)
def state_noise(variant: dict[str, float], case: str, size: Size, seed: int) -> Evidence:
    """Five moments, or slices of the law; the controls are in what the grid is given."""
    box = fpk.Grid(0.0, 9.0, cells=size.cells(56)) * fpk.Grid(0.0, 7.0, cells=size.cells(42))
    solved = fpk.solve(growing(**variant), box, times=[HALF_YEAR], scheme=SCHEMES["central"])
    if case == "particles":
        count = size.particles(200_000)
        run = fpk.simulate(growing(), particles=count, steps=4, times=[HALF_YEAR], scheme=PlatenWeak(), seed=seed)
        pilot = fpk.Gaussian(growing_moments()[:2], covariance=growing_covariance())
        return _held(solved, run, slices_of({HALF_YEAR: pilot}))
    panel = Panel((PowerBlock(),))
    exact = fpk.Estimate(growing_moments(), np.full(len(POWERS), 1e-14), proven=True, source="moments in closed form")
    return Evidence(solved.expect(panel), exact, panel.names, panel=panel.digest)


@study(
    "grid2d.probability-flow",
    variants={"stated": 1.0, "½ missing": 2.0, "½ extra": 0.5, "score + 1 %": 1.01},
)
def flow_laws(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Four peaks on [−6, 6]², while they merge."""
    problem = fpk.noising(SCHEDULE, four_peaks())
    exact = fpk.exact(problem, times=[0.05, 0.15])
    flow = fpk.probability_flow(problem, traceable(lambda x, t: variant * exact.score(x, t)))
    solved = fpk.solve(flow, square(6.0, size.cells(76)), times=[0.05, 0.15], steps=size.cells(16))
    return _held(solved, exact, slices_of({t: exact.law(t) for t in (0.05, 0.15)}))


BACK = 0.2
MATRICES: dict[str, Any] = {
    "varying matrix": [["0.6 + 0.25*cos(x1)", "0.2"], ["0.3*sin(x0)", "0.7"]],
    "constant matrix": np.array([[0.85, 0.2], [0.2, 0.7]]),
}
#: Factor on the score, and whether the divergence is kept.
REVERSING = {
    "stated": (1.0, True), "½g²": (0.5, True), "no score": (0.0, True), "divergence dropped": (1.0, False), "score + 5 %": (1.05, True)
}  # fmt: skip


def _divergence(x: Array) -> Array:
    """∇·(GGᵀ) of the varying matrix."""
    s, c = np.sin(x), np.cos(x)
    return np.stack([-0.075 * s[:, 1] * s[:, 0], 0.3 * (0.6 + 0.25 * c[:, 1]) * c[:, 0]], axis=1)


@lru_cache(maxsize=4)
def _there(matrix: str, cells: int) -> ProductMarginals:
    drift, start = ["-x0 + x1/2", "sin(x0) - x1"], fpk.Gaussian([0.3, -0.2], 0.5)
    problem = fpk.Problem(drift, MATRICES[matrix], initial=start, horizon=BACK)
    return fpk.solve(problem, square(4.0, cells), times=list(np.linspace(0.0, BACK, 6)), scheme=SCHEMES["central"])


@study(
    "grid2d.reverse",
    variants=REVERSING,
    cases=tuple(MATRICES),
    applies=lambda variant, case: variant != "divergence dropped" or case == "varying matrix",
)
def reversed_laws(variant: tuple[float, bool], case: str, size: Size, seed: int) -> Evidence:
    """There in t = .2 and back, both ways on the same cells; the budget is that of the whole journey."""
    share, whole = variant

    def home(cells: int) -> ProductMarginals:
        there = _there(case, cells)
        back = fpk.reverse_time(there.plan.problem, scaled(there.score, share), initial=there.law(BACK))
        if not whole:
            kept = back.drift
            back = replace(back, drift=lambda x, tau: kept(x, tau) - _divergence(x))
        return fpk.solve(back, there.grid, times=[BACK], steps=4, scheme=SCHEMES["central"])

    cells, start = size.cells(56), _there(case, size.cells(56)).plan.problem.initial
    found = replace(home(cells), halved=lambda: home(cells // 2))
    data = fpk.LawMarginals({BACK: start}, (BACK,), source="the data")
    return _held(found, data, slices_of({BACK: start}))


#: Late enough for what is left of the start, e^−t of its mean, to be round-off: at t = 20 the grid shows that it is still off by 2e-9.
LONG = 32.0
POLYNOMIALS = np.array([[1, 0], [0, 1], [2, 0], [1, 1], [0, 2], [4, 0]])


def _moved(symmetric: bool, depth: float, cells: int) -> Array:
    """How far moments move in t = 1 from the Gibbs law of ``depth`` V."""
    problem, grid = circulating(symmetric), fpk.Grid(-3.2, 3.2, cells=cells) * fpk.Grid(-5.0, 5.0, cells=cells)
    p = gibbs(grid.points, depth)
    p = (p / (p.sum() * grid.volume)).reshape(grid.shape)
    plan = discretised(problem, grid, until=1.0, scheme=SCHEMES["central"])
    change = next(q for _, q in plan.forward(p, (1.0,))) - p
    return np.prod(grid.points ** POLYNOMIALS[:, None], axis=2) @ change.ravel() * grid.volume


#: What a box of seven standard deviations cuts off moments.
CUT_OFF = 1e-8
#: Whether the law is that of the symmetric part, whether J is symmetric, and the depth of the potential.
STATIONARY = {
    "stated": (False, False, 1.0), "detailed balance": (True, False, 1.0), "not solenoidal": (False, True, 1.0),
    "potential + 1 %": (False, False, 1.01),
}  # fmt: skip
ONLY = {"detailed balance": ("linear", "at rest"), "not solenoidal": ("Gibbs",)}


#: Covariance of the rotating problem at rest.
SETTLED = solve_continuous_lyapunov(TURNING, -2 * TENSOR)


@lru_cache(maxsize=4)
def _settled(case: str, cells: int) -> tuple[Panel, fpk.Estimate]:
    """Expectations in the null vector of the rotating problem, or in what it comes to by t = 32; the same for every form."""
    grid, time = square(6.0, cells), 0.0 if case == "at rest" else LONG
    panel = slices_of({time: fpk.Gaussian([0.0, 0.0], covariance=SETTLED)})
    if case == "at rest":
        return panel, stationary(rotating(), grid).expect(panel)
    solved = fpk.solve(replace(rotating(), horizon=LONG), grid, times=[LONG], scheme=SCHEMES["central"])
    return panel, solved.expect(panel)


@study(
    "grid2d.stationary",
    variants=STATIONARY,
    cases=("linear", "Gibbs", "at rest"),
    applies=lambda variant, case: case in ONLY.get(variant, (case,)),
)
def stationary_laws(variant: tuple[bool, bool, float], case: str, size: Size, seed: int) -> Evidence:
    """The law at t = 32 on [−6, 6]², the null vector there, or what a sampled Gibbs law moves in t = 1."""
    balanced, symmetric, depth = variant
    if case == "Gibbs":
        coarse, fine = (_moved(symmetric, depth, n) for n in (size.cells(36), size.cells(72)))
        names = tuple(f"change of E x₀^{a} x₁^{b}" for a, b in POLYNOMIALS)
        first = fpk.residual(
            fine, 1.5 * np.abs(fine - coarse).max() + CUT_OFF, coarser=coarse, source="Gibbs law on the grid"
        )
        return Evidence(first, zero_estimate(len(fine)), names)
    law = fpk.Gaussian([0.0, 0.0], covariance=(TENSOR if balanced else SETTLED) / depth)
    time = 0.0 if case == "at rest" else LONG
    wanted = fpk.LawMarginals({time: law}, (time,), source="Gaussian of the Lyapunov equation")
    panel, found = _settled(case, size.cells(66))
    return Evidence(found, wanted.expect(panel), panel.names, panel=panel.digest)
