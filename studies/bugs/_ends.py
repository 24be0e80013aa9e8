"""Classes C and D: last steps, last noise levels, and where a sampler starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fpk.laws import Array
from fpk.schedules import VPSchedule

from ._equations import SCORES, VE, Corrected
from ._examples import Example, Slip
from ._flows import FLOW, FlowEuler
from ._indexed import DDIM, DDPM, INDEXED, VP, labels, strided, table
from ._levels import HIGHEST, LEVELS, Euler, spaced


def coarse(steps: int) -> Array:
    """Levels down to .2 only."""
    return np.linspace(HIGHEST ** (1 / 7), 0.2 ** (1 / 7), steps + 1) ** 7


def repeated(steps: int) -> Array:
    """The last level twice, in place of 0."""
    levels = spaced(steps)
    return np.append(levels, levels[-1])


DRAWN, CORRECTED, ONE_SLOPE = DDPM(), Corrected(), Euler()

LAST_STEPS = (
    Example(
        "DDPM over 1,000 indices",
        "C",
        DRAWN,
        INDEXED | {"stochastic": True},
        (
            Slip(
                "noise on the last step",
                replace(DRAWN, draws=lambda after: True),
                ("last noise kept",),
                "the step to index 0 adds noise as all others do",
            ),
        ),
    ),
    Example(
        "Euler over noise levels",
        "C",
        ONE_SLOPE,
        LEVELS,
        (
            Slip(
                "last level not 0",
                replace(ONE_SLOPE, spacing=coarse),
                ("last noise level is not 0",),
                "the loop ends at the lowest level, .2, not at 0",
            ),
            Slip(
                "last level repeated",
                replace(ONE_SLOPE, spacing=repeated),
                ("last noise level is not 0",),
                "the last level stands twice, so that the last step goes nowhere",
            ),
        ),
    ),
    Example(
        "predictor and corrector",
        "C",
        CORRECTED,
        SCORES | {"schedule": VE},
        (
            Slip(
                "noise returned",
                replace(CORRECTED, returned=lambda mean, x, last: x),
                ("last noise kept",),
                "the last positions are returned with their noise, not their mean",
            ),
        ),
    ),
)

# -- where it starts ---------------------------------------------------------------------------------------------------

FEW = 100
#: Betas from .0001 to .02, which forget the data within a thousand steps, as a path of a hundred.
BRIEF = VPSchedule(0.01, 2.0)
SHORT = DDIM(indices=lambda steps: strided(min(steps, FEW), FEW), kept=lambda: table(VP, FEW))
FLOWING = FlowEuler()

PRIORS = (
    Example(
        "DDIM over 100 indices",
        "D",
        SHORT,
        INDEXED | {"time": labels(FEW), "order": 1, "counts": (10, 20, 50)},
        (
            Slip(
                "betas of a thousand steps",
                replace(SHORT, kept=lambda: table(BRIEF, FEW)),
                ("N(0,1) prior",),
                "a hundred steps with the betas of a thousand: √ᾱ_T = .6, and the start has forgotten the data",
                {"schedule": BRIEF},
            ),
        ),
    ),
    Example(
        "Euler over noise levels",
        "D",
        ONE_SLOPE,
        LEVELS,
        (
            Slip(
                "start not scaled",
                replace(ONE_SLOPE, width=1.0),
                ("N(0,1) prior",),
                "normal noise of variance 1 where the highest level is 80",
            ),
            Slip(
                "level squared",
                replace(ONE_SLOPE, width=HIGHEST**2),
                ("prior scale",),
                "the start is multiplied by the variance of the first level",
            ),
        ),
    ),
    Example(
        "Euler along a flow",
        "D",
        FLOWING,
        FLOW,
        (
            Slip(
                "uniform noise",
                replace(FLOWING, started=lambda n, rng: rng.random((n, 1))),
                ("prior not normal",),
                "numbers between 0 and 1 where normal ones are meant",
            ),
        ),
    ),
)
EXAMPLES = LAST_STEPS + PRIORS
