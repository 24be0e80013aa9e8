"""One law, many processes: the family with free noise and the probability flow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import fpk
from fpk.study import Evidence, Size, evidence, study

from ._systems import DATA, on_grid, scaled, walled

SCHEDULE = fpk.VPSchedule(0.6, 3.4)
VE = fpk.VESchedule(0.8, 1.6)
TIMES = [0.5, 1.0]
FORWARD = {"VP": fpk.noising(SCHEDULE, DATA), "VE": fpk.noising(VE, DATA)}
EXACT = {name: fpk.exact(problem, times=TIMES) for name, problem in FORWARD.items()}

#: Free noise σ as a multiple of g.
NOISE = {"σ = 0": 0.0, "σ = ½g": 0.5, "σ = g": 1.0, "σ = 2g": 2.0}

#: What multiplies the score in the drift, and the variance of the noise that is really used.
SLIPS = {
    "stated": (1.0, 1.0),
    "score sign": (-1.0, 1.0),
    "½ missing": (2.0, 1.0),
    "½ extra": (0.5, 1.0),
    "score + 2 %": (1.02, 1.0),
    "σ² + 2 %": (1.0, 1.02),
}


def _noise(multiple: float) -> Any:
    return 0.0 if multiple == 0 else lambda t: multiple * SCHEDULE.diffusion(t)


def _differs(variant: str, case: str) -> bool:
    """At σ = g the score cancels from the drift; at σ = 0 there is no noise to change."""
    if variant == "stated":
        return True
    return variant == "σ² + 2 %" if case == "σ = g" else not (variant == "σ² + 2 %" and case == "σ = 0")


@study("S1.E1", variants=SLIPS, cases=tuple(NOISE), applies=_differs)
def free_noise(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    in_drift, in_variance = variant
    exact = EXACT["VP"]
    family = fpk.with_noise(FORWARD["VP"], scaled(exact.score, in_drift), noise=_noise(NOISE[case]))
    family = replace(family, diffusion=_noise(NOISE[case] * in_variance**0.5))
    return evidence(on_grid(walled(family), size, times=TIMES), exact)


@study(
    "S0.E40-41",
    variants={name: factor for name, (factor, variance) in SLIPS.items() if variance == 1.0},
    cases=tuple(FORWARD),
)
def probability_flow(variant: float, case: str, size: Size, seed: int) -> Evidence:
    flow = fpk.probability_flow(FORWARD[case], scaled(EXACT[case].score, variant))
    return evidence(on_grid(flow, size, times=TIMES), EXACT[case])
