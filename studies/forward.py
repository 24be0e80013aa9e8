"""The forward SDEs of diffusion models have the laws that are claimed for them: VP, VE, sub-VP."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.schedules import Schedule
from fpk.study import Evidence, Size, evidence, study

from ._systems import BOX, DATA, WALLS, boxed, on_grid

VP = fpk.VPSchedule(0.2, 3.8)
SUB_VP = fpk.SubVPSchedule(0.2, 3.8)
VE = fpk.VESchedule(0.8, 2.0)
FAR_WALLS = fpk.Boundary("no_flux", -14.0, 14.0)
TIMES = [0.5, 1.0]

#: What a variant makes of the drift rate f and the diffusion g of dX = f X dt + g dW.
Change = Callable[[float, float], tuple[float, float]]
STATED: Change = lambda f, g: (f, g)  # noqa: E731
NOISE_SLIPS: dict[str, Change] = {
    "stated": STATED,
    "g² for g": lambda f, g: (f, g**2),
    "½ missing on g²": lambda f, g: (f, g * 2**0.5),
    "g² + 2 %": lambda f, g: (f, g * 1.02**0.5),
    "g² + 30 %": lambda f, g: (f, g * 1.3**0.5),
}
DRIFT_SLIPS: dict[str, Change] = {
    "½ missing in the drift": lambda f, g: (2 * f, g),
    "drift sign": lambda f, g: (-f, g),
}


def _fits(variant: str, case: str) -> bool:
    """The finest controls of the grid are beyond the particles: each route gets those it can resolve."""
    return variant not in (("g² + 30 %",) if case == "grid" else ("g² + 2 %", "g² for g"))


def _changed(schedule: Schedule, change: Change) -> tuple[fpk.Linear, Callable[[float], float]]:
    """Drift and diffusion of the schedule's SDE, as the variant writes them."""
    drift = fpk.Linear(lambda t: change(schedule.drift_rate(t), schedule.diffusion(t))[0])
    return drift, lambda t: change(schedule.drift_rate(t), schedule.diffusion(t))[1]


def _law_of_sde(schedule: Schedule, change: Change, case: str, size: Size, seed: int) -> Evidence:
    """Hold the SDE, solved or simulated, against the law α_t X_0 + σ_t Z the schedule claims."""
    times = TIMES if case == "grid" else TIMES[:1]
    claimed = fpk.exact(fpk.noising(schedule, DATA), times=times)
    drift, noise = _changed(schedule, change)
    if case == "grid":
        walls, cells = (FAR_WALLS, 120) if schedule is VE else (WALLS, 72)
        problem = boxed(drift, noise, initial=DATA, walls=walls)
        return evidence(on_grid(problem, size, times=TIMES, cells=cells), claimed)
    problem = fpk.Problem(drift, noise, initial=DATA)
    steps = 192 if size.quick else 384
    return evidence(
        fpk.simulate(problem, particles=size.particles(240_000), steps=steps, times=times, seed=seed), claimed
    )


@study("S0.E19", variants=NOISE_SLIPS | DRIFT_SLIPS | {"starved": None}, cases=("grid", "particles"), applies=_fits)
def vp_law(variant: Change | None, case: str, size: Size, seed: int) -> Evidence:
    if variant is None:
        return _starved(case, seed)
    return _law_of_sde(VP, variant, case, size, seed)


def _starved(case: str, seed: int) -> Evidence:
    """The stated claim with too little work to know: a grid whose half cannot hold the data law, a thousand particles."""
    times = TIMES if case == "grid" else TIMES[:1]
    claimed = fpk.exact(fpk.noising(VP, DATA), times=times)
    drift, noise = _changed(VP, STATED)
    if case == "grid":
        return evidence(fpk.solve(boxed(drift, noise, initial=DATA), fpk.Grid(*BOX, cells=64), times=TIMES), claimed)
    problem = fpk.Problem(drift, noise, initial=DATA)
    return evidence(fpk.simulate(problem, particles=1000, steps=40, times=times, seed=seed), claimed)


@study("S0.E20", variants=NOISE_SLIPS, cases=("grid", "particles"), applies=_fits)
def ve_law(variant: Change, case: str, size: Size, seed: int) -> Evidence:
    return _law_of_sde(VE, variant, case, size, seed)


@study("S0.E21-22", variants=NOISE_SLIPS | DRIFT_SLIPS, cases=("grid", "particles"), applies=_fits)
def sub_vp_law(variant: Change, case: str, size: Size, seed: int) -> Evidence:
    return _law_of_sde(SUB_VP, variant, case, size, seed)


@study("err:S0.E21", variants={"printed": True, "corrected": False})
def sub_vp_drift_without_x(variant: bool, case: str, size: Size, seed: int) -> Evidence:
    """The printed drift is −½β, without x."""
    drift = fpk.Linear(lambda t: 0.0, SUB_VP.drift_rate) if variant else fpk.Linear(SUB_VP.drift_rate)
    solved = on_grid(boxed(drift, SUB_VP.diffusion, initial=DATA), size, times=TIMES)
    return evidence(solved, fpk.exact(fpk.noising(SUB_VP, DATA), times=TIMES))


#: B = ∫β at which variances are compared, and the factor the VP variance gets.
VARIANCE_BOUNDS = {
    "stated": (1.0, 1.0),
    "the other way round": (-1.0, 1.0),
    "smaller by 3 % everywhere": (1.0, 0.97),
}


@study("S0.T22", variants=VARIANCE_BOUNDS)
def sub_vp_variance_is_smaller(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """Variances from the moment equations of the two SDEs; no stated σ is used."""
    sign, factor = variant
    times = np.linspace(0.05, 1.0, 12 if size.quick else 40)
    vp, sub = (_variances(kind, tuple(times)) for kind in (fpk.VPSchedule, fpk.SubVPSchedule))
    first = fpk.residual(sign * (sub - factor * vp), 1e-9, source="sub-VP minus VP variance")
    return Evidence(first, zero_estimate(len(times)), tuple(f"B = {6 * t:.3g}" for t in times))


@cache
def _variances(kind: Callable[[float], Schedule], times: tuple[float, ...]) -> Array:
    """With the constant rate 6, from the variance ¼."""
    schedule = kind(6.0)
    problem = fpk.Problem(fpk.Linear(schedule.drift_rate), schedule.diffusion, initial=fpk.Gaussian(0.0, 0.5))
    moments = fpk.exact(problem, times=list(times))
    return np.array([moments.law(t).projected(np.ones(1)).covariance[0, 0] for t in times])
