"""Class B: the size of the noise, posterior variances, noise without the drift that belongs to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fpk.laws import Array

from ._equations import SCORES, ReverseSDE, half_score
from ._examples import Example, Slip
from ._indexed import DDIM, DDPM, INDEXED, all_of_it, louder, one_for_all
from ._levels import LEVELS, Ancestral, Churned, split


def one_index_variance(kept: Array, index: int, after: int) -> float:
    """The variance of a step by one index."""
    return 1 - kept[index] / kept[index - 1]


def no_room(level: float, after: float) -> tuple[float, float]:
    """The noise σ_up, on top of a step that goes all the way."""
    return split(level, after)[0], after


DRAWN, PART, SDE, CHURNED, TWO = DDPM(), DDIM(eta=1.0), ReverseSDE(), Churned(), Ancestral()

EXAMPLES = (
    Example(
        "DDPM over 1,000 indices",
        "B",
        DRAWN,
        INDEXED | {"stochastic": True},
        (
            Slip(
                "variance for its root",
                replace(DRAWN, root=lambda variance: variance),
                ("variance for its root",),
                "the normal numbers are multiplied by the variance",
            ),
            Slip(
                "variance of one index",
                replace(DRAWN, variance=one_index_variance),
                ("variance of another step",),
                "the noise is that of one index, the step goes over many",
            ),
            Slip(
                "one noise for the batch",
                replace(DRAWN, numbers=one_for_all),
                ("noise shared by the batch",),
                "the normal numbers have the shape of one row, and are broadcast to all",
            ),
        ),
    ),
    Example(
        "DDIM with all noise",
        "B",
        PART,
        INDEXED | {"stochastic": True},
        (
            Slip(
                "direction not shortened",
                replace(PART, share=all_of_it),
                ("noise without drift",),
                "the direction keeps √(1 − ᾱ'), although part of that is drawn anew",
            ),
            Slip(
                "noise + 2 %",
                replace(PART, share=louder),
                ("noise too large",),
                "what is drawn is 2 % too large",
            ),
        ),
    ),
    Example(
        "reverse SDE",
        "B",
        SDE,
        SCORES,
        (
            Slip(
                "h for √h",
                replace(SDE, spread=lambda beta, h: np.sqrt(beta) * h),
                ("step for its root",),
                "the normal numbers are multiplied by the step, not by its root",
            ),
            Slip(
                "√2 too much noise",
                replace(SDE, spread=lambda beta, h: np.sqrt(2 * beta * h)),
                ("noise too large",),
                "the factor of Langevin dynamics, √(2h), with the drift of the reverse SDE",
            ),
            Slip(
                "½ on the score",
                replace(SDE, drift=half_score),
                ("half too much on the score term",),
                "the drift of the probability flow, and noise",
            ),
        ),
    ),
    Example(
        "churned Euler",
        "B",
        CHURNED,
        LEVELS | {"stochastic": True},
        (
            Slip(
                "label not raised",
                replace(CHURNED, told=lambda level, higher: level),
                ("labels and noise levels out of step",),
                "noise is added first, and the model is told the level from before",
            ),
        ),
    ),
    Example(
        "ancestral Euler",
        "B",
        TWO,
        LEVELS | {"stochastic": True},
        (
            Slip(
                "noise without its room",
                replace(TWO, split=no_room),
                ("noise without drift",),
                "the step goes all the way to the next level, then noise is added",
            ),
        ),
    ),
)
