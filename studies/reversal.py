"""Running the noise backwards: reverse SDEs return the data law, whatever their noise, and only with the right drift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

import fpk
from fpk.fokker_planck.solutions import GridMarginals
from fpk.laws import Array
from fpk.study import Evidence, Size, evidence, study

from ._systems import BOX, DATA, Score, boxed, constant_law, forward_score, on_grid, scaled, walled

SCHEDULE = fpk.VPSchedule(0.6, 3.4)
FORWARD = fpk.noising(SCHEDULE, DATA)
EXACT = fpk.exact(FORWARD, times=[1.0])
END = EXACT.law(1.0)

SCORE_FACTORS = {
    "stated": 1.0,
    "score sign": -1.0,
    "½ extra on g²": 0.5,
    "factor 2 in the score": 2.0,
    "score + 2 %": 1.02,
}

NONLINEAR = boxed("sin(2*x) - x", "1.2 + 0.3*t", initial=DATA, horizon=0.6, name="nonlinear drift")
WAVY_NOISE = boxed(
    "-x", "sqrt((0.4 + 0.5*sin(1.5*x))**2 + 0.2)", initial=DATA, horizon=0.5, name="state-dependent noise"
)
CELLS, STEPS = 66, 14
#: Where there is no noise, or one that does not change: on coarser grids their slips are not told from what the grids leave.
FINER = {"cells": 84, "steps": 15}


def _back_to_data(reverse: fpk.Problem, size: Size, *, cells: int = 66, steps: int = 13) -> Evidence:
    """Solve a reverse problem and hold its end against the data law."""
    horizon = reverse.horizon
    solved = on_grid(walled(reverse), size, times=[horizon], cells=cells, steps=steps)
    return evidence(solved, constant_law(DATA, time=horizon, source="the data law"))


@lru_cache(maxsize=8)
def _returned(size: Size, reverse: Callable[[GridMarginals], fpk.Problem], forward: fpk.Problem) -> Any:
    """Forward on the grid, then back by ``reverse`` with the score of that forward solution, on three levels."""

    def level(k: int) -> GridMarginals:
        ahead = forward_score(forward, size, k, cells=CELLS, steps=STEPS)
        grid = fpk.Grid(*BOX, cells=size.cells(CELLS) * k)
        return fpk.solve(reverse(ahead), grid, times=[forward.horizon], steps=size.cells(STEPS) * k)

    return fpk.refine(level)


@study("S0.E23-26", variants=SCORE_FACTORS | {"no score": 0.0}, cases=("VP", "nonlinear drift"))
def reverse_sde(variant: float, case: str, size: Size, seed: int) -> Evidence:
    if case == "VP":
        back = fpk.reverse_time(FORWARD, scaled(EXACT.score, variant), initial=END)
        return _back_to_data(back, size)

    def reverse(ahead: GridMarginals) -> fpk.Problem:
        return fpk.reverse_time(NONLINEAR, scaled(ahead.score, variant), initial=ahead.law(NONLINEAR.horizon))

    data = constant_law(DATA, time=NONLINEAR.horizon, source="the data law")
    return evidence(_returned(size, reverse, NONLINEAR), data)


@study("S1.E15-16", variants=SCORE_FACTORS, cases=("σ = 0", "σ = ½g", "σ = g", "σ = 2g"))
def reverse_family(variant: float, case: str, size: Size, seed: int) -> Evidence:
    multiple = {"σ = 0": 0.0, "σ = ½g": 0.5, "σ = g": 1.0, "σ = 2g": 2.0}[case]
    noise: Any = (lambda t: multiple * SCHEDULE.diffusion(t)) if multiple else 0.0
    back = fpk.reverse_time(FORWARD, scaled(EXACT.score, variant), initial=END, noise=noise)
    return _back_to_data(back, size, **({} if multiple else FINER))


#: Clock of the reverse process (forward time of τ) that the noise and the score read, and a factor on the score.
CLOCKS: dict[str, tuple[Callable[[float], float], Callable[[float], float], float]] = {
    "stated": (lambda tau: 1 - tau, lambda tau: 1 - tau, 1.0),
    "g(t) for g(1 − t)": (lambda tau: tau, lambda tau: 1 - tau, 1.0),
    "score at t for 1 − t": (lambda tau: 1 - tau, lambda tau: tau, 1.0),
    "score + 2 %": (lambda tau: 1 - tau, lambda tau: 1 - tau, 1.02),
}


@study("S2.E26", variants=CLOCKS)
def reversed_by_composition(variant: Any, case: str, size: Size, seed: int) -> Evidence:
    """SDE → probability flow → reversed flow → SDE again, each step by its own transformation."""
    noise_clock, score_clock, factor = variant
    flow = fpk.probability_flow(FORWARD, EXACT.score)
    back = fpk.reverse_time(flow, EXACT.score, initial=END)
    score: Score = lambda x, tau: factor * EXACT.score(x, score_clock(tau))  # noqa: E731
    noisy = fpk.with_noise(back, score, noise=lambda tau: SCHEDULE.diffusion(noise_clock(tau)))
    noisy = replace(noisy, diffusion=lambda tau: SCHEDULE.diffusion(1 - tau))
    return _back_to_data(noisy, size)


@lru_cache(maxsize=8)
def _reverse_vp(noise: float, beta: float, size: Size) -> Evidence:
    """The reverse VP SDE of constant rate β with the drift ½βx + β s and the given noise."""
    schedule = fpk.VPSchedule(beta)
    horizon = 2.0 / beta
    forward = fpk.noising(schedule, DATA, horizon=horizon)
    exact = fpk.exact(forward, times=[horizon])
    back = replace(fpk.reverse_time(forward, exact.score, initial=exact.law(horizon)), diffusion=noise)
    return _back_to_data(back, size, **FINER)


BETA = 3.0


@study(
    "S3.REV",
    variants={
        "stated": BETA**0.5,
        "½β": 0.5 * BETA**0.5,
        "√(2β)": (2 * BETA) ** 0.5,
        "noise² + 2 %": (1.02 * BETA) ** 0.5,
    },
)
def reverse_vp_noise(variant: float, case: str, size: Size, seed: int) -> Evidence:
    return _reverse_vp(variant, BETA, size)


@study("err:S3.REV", variants={"printed": (BETA, BETA), "corrected": (BETA**0.5, BETA), "degenerate": (1.0, 1.0)})
def reverse_vp_noise_printed(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    return _reverse_vp(*variant, size)


@cache
def _with_divergence(share: float, factor: float = 1.0) -> Callable[[GridMarginals], fpk.Problem]:
    """Reverse of the state-dependent noise problem with ``share`` of ∂(g²) in its drift."""

    def reverse(ahead: GridMarginals) -> fpk.Problem:
        back = fpk.reverse_time(WAVY_NOISE, scaled(ahead.score, factor), initial=ahead.law(WAVY_NOISE.horizon))

        def drift(x: Array, tau: float) -> Array:
            g = WAVY_NOISE.diffusion
            return back.drift(x, tau) - (1 - share) * 2 * g(x, 0.0) * g.gradient(x, 0.0)

        return back if share == 1.0 else replace(back, drift=drift)

    return reverse


WAVY_DATA = constant_law(DATA, time=WAVY_NOISE.horizon, source="the data law")


@study(
    "S4.E68",
    variants={
        "stated": _with_divergence(1.0),
        "∂(g²) dropped": _with_divergence(0.0),
        "½ on ∂(g²)": _with_divergence(0.5),
        "score sign": _with_divergence(1.0, -1.0),
        "score + 2 %": _with_divergence(1.0, 1.02),
    },
)
def reverse_state_dependent(
    variant: Callable[[GridMarginals], fpk.Problem], case: str, size: Size, seed: int
) -> Evidence:
    return evidence(_returned(size, variant, WAVY_NOISE), WAVY_DATA)


@study(
    "err:S0.E26",
    variants={"printed": _with_divergence(0.0), "corrected": _with_divergence(1.0), "degenerate": None},
)
def reverse_without_divergence(
    variant: Callable[[GridMarginals], fpk.Problem] | None, case: str, size: Size, seed: int
) -> Evidence:
    """The printed drift lacks ∂(g²); for noise that does not depend on x (degenerate) it is right."""
    if variant is not None:
        return evidence(_returned(size, variant, WAVY_NOISE), WAVY_DATA)
    back = fpk.reverse_time(FORWARD, EXACT.score, initial=END)
    return _back_to_data(back, size)


def _log_density(x: Array, t: float) -> Array:
    return EXACT.law(t).log_density(x)[:, None]


@study("err:S0.E27", variants={"printed": _log_density, "corrected": EXACT.score})
def reverse_with_log_density(variant: Score, case: str, size: Size, seed: int) -> Evidence:
    back = fpk.reverse_time(FORWARD, variant, initial=END)
    return _back_to_data(back, size)
