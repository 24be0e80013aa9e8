"""Class A: schedules off by one, labels and noise levels out of step, strides that do not divide."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from fpk.laws import Array
from fpk.schedules import AffineSchedule

from ._examples import Example, Slip
from ._flows import BACKWARDS, ShiftedEuler, shifted
from ._indexed import DDIM, INDEXED, Indices, T, labels, strided

# -- strides -----------------------------------------------------------------------------------------------------------


def floored(steps: int, count: int = T) -> Indices:
    """Every ⌊count/steps⌋-th index: more of them than asked for where the count is not divided."""
    return np.append(np.arange(count, 0, -(count // steps)), 0)


def too_low(steps: int, count: int = T) -> Indices:
    """As many indices as asked for, ⌊count/steps⌋ apart from the bottom up: the first of them is not the noisiest."""
    return np.arange(0, steps + 1)[::-1] * (count // steps)


STRIDED = DDIM()
STRIDES = Example(
    "DDIM over 1,000 indices",
    "A",
    STRIDED,
    INDEXED | {"order": 1},
    (
        Slip(
            "the index before",
            replace(STRIDED, previous=lambda k, after: max(k - 1, 0)),
            ("step to another index",),
            "the next noise level is that of k − 1, not of the next index of the loop",
        ),
        Slip(
            "labels one too high",
            replace(STRIDED, label=lambda k: k),
            ("label t + 1",),
            "the model counts from 0 and is told the index from 1",
        ),
        Slip(
            "steps rounded down",
            replace(STRIDED, indices=floored),
            ("more steps than asked",),
            "indices ⌊T/n⌋ apart: more steps than asked for where n does not divide T",
        ),
        Slip(
            "strides from below",
            replace(STRIDED, indices=too_low),
            ("first time is not the prior's",),
            "indices ⌊T/n⌋ apart from 0 up: the first of them is below T where n does not divide it",
        ),
    ),
)

# -- tables ------------------------------------------------------------------------------------------------------------

FEW = 50


def cosine(t: float) -> float:
    """α: a cosine from 1 down to .02."""
    return 0.02 + 0.98 * float(np.cos((t + 0.008) / 1.008 * np.pi / 2) / np.cos(0.008 / 1.008 * np.pi / 2))


COSINE = AffineSchedule(cosine, lambda t: float(np.sqrt(max(1 - cosine(t) ** 2, 0.0))))


@cache
def cosine_table(points: int = FEW + 1) -> Array:
    """ᾱ at points of [0, 1], both ends included."""
    return np.array([cosine(t) ** 2 for t in np.linspace(0, 1, points)])


COSINE_LOOP = DDIM(indices=lambda steps: strided(min(steps, FEW), FEW), kept=cosine_table)
TABLES = Example(
    "DDIM over 50 indices, cosine table",
    "A",
    COSINE_LOOP,
    INDEXED | {"schedule": COSINE, "time": labels(FEW), "order": 1, "counts": (6, 12, 24, 48)},
    (
        Slip(
            "table on T points",
            replace(
                COSINE_LOOP,
                kept=lambda: cosine_table(FEW),
                indices=lambda steps: strided(min(steps, FEW - 1), FEW - 1),
            ),
            ("schedule table off by one", "label t − 1"),
            "T points of the interval make T − 1 levels, not T: label and level differ by up to one index",
        ),
    ),
)

# -- shifts ------------------------------------------------------------------------------------------------------------

SHIFTED = ShiftedEuler()
SHIFTS = Example(
    "Euler over shifted levels",
    "A",
    SHIFTED,
    BACKWARDS | {"time": lambda t: 1000.0 * t},
    (
        Slip(
            "shifted twice",
            replace(SHIFTED, again=shifted),
            ("labels and noise levels out of step",),
            "the levels that the step uses are shifted again, those that the model is told are not",
        ),
    ),
)

EXAMPLES = (STRIDES, TABLES, SHIFTS)
