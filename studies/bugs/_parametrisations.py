"""Class E: what the model's output is, its sign, and which way the time runs."""

from __future__ import annotations

from dataclasses import replace

from ._equations import SCORES, ReverseSDE, against_score
from ._equations import VP as PATH
from ._examples import Example, Slip
from ._flows import FLOW, FlowEuler, reversed_label
from ._indexed import DDIM, INDEXED, from_denoised, from_noise, from_v, from_wrong_v

CLEAN, TURNED, SDE, FLOWING = DDIM(reading=from_denoised), DDIM(reading=from_v), ReverseSDE(), FlowEuler()

EXAMPLES = (
    Example(
        "DDIM from E[X₀ | x]",
        "E",
        CLEAN,
        INDEXED | {"kind": "denoised", "order": 1},
        (
            Slip(
                "X₀ read as noise",
                replace(CLEAN, reading=from_noise),
                ("kind confused: denoised read as noise",),
                "the model returns E[X₀ | x], the loop takes it for the noise",
            ),
        ),
    ),
    Example(
        "DDIM from v",
        "E",
        TURNED,
        INDEXED | {"kind": "v", "order": 1},
        (
            Slip(
                "v with the other sign",
                replace(TURNED, reading=from_wrong_v),
                ("sign of the output",),
                "X₀ = √ᾱ x + √(1 − ᾱ) v",
            ),
            Slip(
                "v read as noise",
                replace(TURNED, reading=from_noise),
                ("kind confused: v read as noise",),
                "the model returns v, the loop takes it for the noise",
            ),
        ),
    ),
    Example(
        "reverse SDE",
        "E",
        SDE,
        SCORES,
        (
            Slip(
                "score subtracted",
                replace(SDE, drift=against_score),
                ("sign of the output",),
                "the drift has the score with the other sign",
            ),
            Slip(
                "score read as noise",
                replace(SDE, score=lambda output, t: -output / PATH.sigma(t)),
                ("kind confused: score read as noise",),
                "the output is divided by −σ, although it is a score already",
            ),
        ),
    ),
    Example(
        "Euler along a flow",
        "E",
        FLOWING,
        FLOW,
        (
            Slip(
                "time reversed",
                replace(FLOWING, label=reversed_label),
                ("time direction",),
                "the model is told 1 − u",
            ),
            Slip(
                "time and sign reversed",
                replace(FLOWING, label=reversed_label, sign=-1.0),
                ("time direction",),
                "the model is told 1 − u, and its output subtracted: right for the other direction of time only",
            ),
        ),
    ),
)
