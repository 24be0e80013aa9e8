"""Grids in the plane against laws known in closed form, and against particles: rotation, noising, noise that depends on the state, reversal."""

from __future__ import annotations

from typing import Any

import numpy as np

import fpk
from fpk.fokker_planck.product.solutions import ProductMarginals
from fpk.panels import Panel
from fpk.paths import two_time_panel
from fpk.study import Claim, Evidence, Size, evidence, study
from fpk.verdict import Outcome

from ._planes import GENERAL, SCHEMES, four_peaks, rotating, slices_of, square

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
)  # fmt: skip

#: Factors on the rotation, on D_12 and on GGᵀ.
ROTATING: dict[str, dict[str, float]] = {
    "stated": {}, "rotation sign": {"turn": -1.0}, "cross term dropped": {"cross": 0.0}, "½ on g²": {"noise": 0.5},
    "cross term + 1 %": {"cross": 1.01}, "g² + 0.1 %": {"noise": 1.001},
}  # fmt: skip
#: Cells of the quick size, of the coarsest of three grids for schemes of second order.
ROTATING_CELLS = {"central": 112, "Fourier": 96, "alternating": 32, "positive": 40}
NEAR = {"cross term + 1 %": ("central", "Fourier"), "g² + 0.1 %": ("central",)}


def _solved(problem: fpk.Problem, scheme: str, half: float, cells: int, times: list[float]) -> Any:
    """One solution with a scheme of high order, three with one of second."""
    chosen = SCHEMES[scheme]

    def level(k: int) -> ProductMarginals:
        return fpk.solve(problem, square(half, k * cells), times=times, scheme=chosen)

    return level(1) if chosen.order > 2 else fpk.refine(level)


@study(
    "grid2d.rotating",
    variants=ROTATING,
    cases=GENERAL,
    applies=lambda variant, case: case in NEAR.get(variant, GENERAL),
)
def rotating_law(variant: dict[str, float], case: str, size: Size, seed: int) -> Evidence:
    """On [−6, 6]², from N((1.5, 0), .3² I) to t = 1."""
    exact = fpk.exact(rotating(), times=[1.0])
    solved = _solved(rotating(**variant), case, 6.0, size.cells(ROTATING_CELLS[case]), [1.0])
    return evidence(solved, exact, panel=slices_of({1.0: exact.law(1.0)}))


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
    return Evidence(solved.expect(panel), exact.expect(panel), panel.names, panel=panel.digest)


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
    solved = _solved(given, case, 6.0, size.cells(80), [0.25, 1.0])
    return evidence(solved, exact, panel=slices_of({t: exact.law(t) for t in (0.25, 1.0)}))
