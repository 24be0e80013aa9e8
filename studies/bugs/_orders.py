"""Class F: solvers that are right in the limit, with less than their order."""

from __future__ import annotations

from dataclasses import replace

from ._examples import Example, Slip
from ._flows import FLOW, FlowHeun, Midpoint
from ._levels import LEVELS_TWICE, Heun, Multistep, straight

TWO_SLOPES, MEMORY, MIDDLE, BOTH = Heun(), Multistep(), Midpoint(), FlowHeun()

EXAMPLES = (
    Example(
        "Heun over noise levels",
        "F",
        TWO_SLOPES,
        LEVELS_TWICE,
        (
            Slip(
                "both slopes at the first level",
                replace(TWO_SLOPES, second=lambda level, after: level),
                ("order lost",),
                "the second slope is read at the position of the next level, with the label of this one",
            ),
        ),
    ),
    Example(
        "DPM-Solver++ of two steps",
        "F",
        MEMORY,
        LEVELS_TWICE,
        (
            Slip(
                "outputs exchanged",
                replace(MEMORY, extrapolated=lambda now, before, ratio: straight(before, now, ratio)),
                ("order lost",),
                "extrapolated from this output to the one before",
            ),
        ),
    ),
    Example(
        "midpoint along a flow",
        "F",
        MIDDLE,
        FLOW | {"order": 2, "counts": (8, 12, 18, 27, 40)},
        (
            Slip(
                "label of the end",
                replace(MIDDLE, second=lambda u, h: u + h),
                ("order lost",),
                "the slope in the middle is read with the label of the end",
            ),
        ),
    ),
    Example(
        "Heun along a flow",
        "F",
        BOTH,
        FLOW | {"order": 2, "counts": (8, 12, 18, 27, 40)},
        (
            Slip(
                "second slope at the old point",
                replace(BOTH, ahead=lambda x, h, slope: x),
                ("order lost",),
                "the second slope has the label of the end and the position of the beginning",
            ),
        ),
    ),
)
