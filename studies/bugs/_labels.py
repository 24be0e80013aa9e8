"""Class A: schedules off by one, labels and noise levels out of step, strides that do not divide."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from fpk.laws import Array
from fpk.schedules import AffineSchedule, OTSchedule

from ._examples import Example, Slip
from ._flows import ShiftedEuler, shifted
from ._indexed import DDIM, VP, Indices, T, labels, strided

# -- strides -----------------------------------------------------------------------------------------------------------


def floored(steps: int, count: int = T) -> Indices:
    """Every ⌊count/steps⌋-th index: more of them than asked for where the count is not divided."""
    return np.append(np.arange(count, 0, -(count // steps)), 0)


def too_low(steps: int, count: int = T) -> Indices:
    """As many indices as asked for, ⌊count/steps⌋ apart from the bottom up: the first of them is not the noisiest."""
    return np.arange(0, steps + 1)[::-1] * (count // steps)


STRIDED = DDIM()
INDEXED = {"kind": "noise", "schedule": VP, "time": labels(), "direction": "t_noise", "scale": "path", "order": 1}
STRIDES = Example(
    "DDIM over 1,000 indices",
    "A",
    STRIDED,
    INDEXED,
    (
        Slip(
            "the index before",
            replace(STRIDED, previous=lambda k, after: max(k - 1, 0)),
            ("step shifted",),
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
            ("steps asked are not steps run",),
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


def _cosine(t: float | Array) -> Array:
    return np.cos((np.asarray(t) + 0.008) / 1.008 * np.pi / 2) / np.cos(0.008 / 1.008 * np.pi / 2)


COSINE = AffineSchedule(
    lambda t: 0.999 * float(_cosine(t)) + 0.001, lambda t: float(np.sqrt(1 - (0.999 * _cosine(t) + 0.001) ** 2))
)


@cache
def cosine_table() -> Array:
    """ᾱ at k/T, k = 0 ... T."""
    return np.array([COSINE.alpha(t) ** 2 for t in np.linspace(0, 1, FEW + 1)])


@cache
def stretched_table() -> Array:
    """The same from T points of the interval in place of T + 1: every level after the first one is too high."""
    return np.append(1.0, [COSINE.alpha(t) ** 2 for t in np.linspace(0, 1, FEW)])


COSINE_LOOP = DDIM(indices=lambda steps: strided(min(steps, FEW), FEW), kept=cosine_table)
TABLES = Example(
    "DDIM over 50 indices, cosine table",
    "A",
    COSINE_LOOP,
    INDEXED | {"schedule": COSINE, "time": labels(FEW), "order": 1, "counts": (5, 10, 25, 50)},
    (
        Slip(
            "table on T points",
            replace(COSINE_LOOP, kept=stretched_table),
            ("label t + 1", "schedule table off by one"),
            "the levels are those of T points of the interval, not of T + 1: label and level differ by up to one index",
        ),
    ),
)

# -- shifts ------------------------------------------------------------------------------------------------------------

SHIFTED = ShiftedEuler()
SHIFTS = Example(
    "Euler over shifted levels",
    "A",
    SHIFTED,
    {
        "kind": "velocity",
        "schedule": OTSchedule(),
        "time": lambda t: 1000.0 * t,
        "direction": "t_noise",
        "scale": "path",
        "order": 1,
    },
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
