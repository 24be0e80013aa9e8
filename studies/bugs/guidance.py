r"""Class I: what is made of two outputs of a model, or of an output and the gradient of a classifier; and two conventions that are one.

Held against the fields of tilted and posterior laws in closed form (:mod:`fpk.battery.guidance`). A record is the relative distance to those; a slip
counts with what it is away only if the battery names it among the first three suspects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fpk.battery.guidance import examine_classifier_guidance, examine_guidance
from fpk.laws import Array
from fpk.marginals import residual, zero_estimate
from fpk.schedules import VPSchedule
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._battery import FIRST

C, R = Outcome.CONFIRMED, Outcome.REFUTED
PATH = VPSchedule(0.1, 20.0)


class Form(NamedTuple):
    """A combination, and by which name the battery may call what is wrong with it; near misses need none."""

    combined: Callable[..., Array]
    mistake: str = ""


def evidence_of(found: Any, form: Form) -> Evidence:
    """Relative distances; nothing where a mistake was not named."""
    named = [suspect.mistake for suspect in found.suspects[:FIRST]]
    seen = found.verdict.difference * (not form.mistake or form.mistake in named)
    said = f"; suspects: {', '.join(named)}" if named else ""
    values = residual(np.asarray(seen), found.verdict.budget, source=f"distance to the law in closed form{said}")
    return Evidence(values, zero_estimate(len(seen)), found.verdict.names)


TWO_OUTPUTS = {
    "stated": Form(lambda c, u, s: u + s * (c - u)),
    "weights swapped": Form(lambda c, u, s: s * u + (1 - s) * c, "weights of the two outputs swapped"),
    "the other convention": Form(lambda c, u, s: (1 + s) * c - s * u, "the other convention of the scale"),
    "difference not taken": Form(lambda c, u, s: u + s * c, "difference not taken"),
    "scale + 1 %": Form(lambda c, u, s: u + 1.01 * s * (c - u)),
}
#: Scales at which they are combined: 1 is the conditional output.
SCALES = {"scale .7": 0.7, "scale 2½": 2.5, "scale 7½": 7.5}


@study("bugs.I", variants=TWO_OUTPUTS, cases=tuple(SCALES), judging=True)
def combined_outputs(form: Form, case: str, size: Size, seed: int) -> Evidence:
    """Two scores combined at t = 0, and the score of the tilted law."""
    return evidence_of(examine_guidance(form.combined, scale=SCALES[case], seed=seed), form)


ONE_OUTPUT = {
    "stated": Form(lambda e, g, t: e - PATH.sigma(t) * g),
    "σ left out": Form(lambda e, g, t: e - g, "factor σ of the gradient missing"),
    "gradient added": Form(lambda e, g, t: e + PATH.sigma(t) * g, "sign of the gradient"),
    "gradient + 1 %": Form(lambda e, g, t: e - 1.01 * PATH.sigma(t) * g),
}


@study("bugs.I.classifier", variants=ONE_OUTPUT, judging=True)
def moved_output(form: Form, case: str, size: Size, seed: int) -> Evidence:
    """The noise moved by the gradient of a classifier, and the noise of the posterior law."""
    return evidence_of(examine_classifier_guidance(form.combined, kind="noise", schedule=PATH, seed=seed), form)


CONVENTIONS = {
    "stated": Form(lambda c, u, w: (1 + w) * c - w * u),
    "scale for weight": Form(lambda c, u, w: u + w * (c - u), "the other convention of the scale"),
    "weight + 1 %": Form(lambda c, u, w: (1 + 1.01 * w) * c - 1.01 * w * u),
}


@study("bugs.K.guidance", variants=CONVENTIONS, cases=("weight ½", "weight 3"), judging=True)
def other_convention(form: Form, case: str, size: Size, seed: int) -> Evidence:
    """The convention of weights, held against the tilted law of power 1 + w."""
    weight = {"weight ½": 0.5, "weight 3": 3.0}[case]
    return evidence_of(examine_guidance(form.combined, scale=weight, convention="weight", seed=seed), form)


CLAIMS = (
    Claim(
        "bugs.I",
        "identity",
        "At t = 0, u + s (c − u) of the unconditional and the conditional score is the score of p(x) p(y|x)^s.",
        r"u+s\,(c-u) = \nabla\log\bigl(p(x)\,p(y\mid x)^s\bigr)",
        "Ho and Salimans (2022), equation 6",
        dict.fromkeys(TWO_OUTPUTS, R) | {"stated": C},
        {
            "weights swapped": "s u + (1 − s) c",
            "the other convention": "(1 + s) c − s u, whose s is smaller by 1",
            "difference not taken": "u + s c",
            "scale + 1 %": "the scale is 1 % too large",
        },
    ),
    Claim(
        "bugs.I.classifier",
        "identity",
        "Moved by −σ ∇ log p(y|x) at the noised position, the unconditional noise becomes that of the posterior.",
        r"\hat\varepsilon(x,t) - \sigma_t\,\nabla_x\log p_t(y\mid x) = \mathbb E[Z\mid X_t=x,\,y]",
        "Dhariwal and Nichol (2021), equation 14",
        dict.fromkeys(ONE_OUTPUT, R) | {"stated": C},
        {
            "σ left out": "the gradient is subtracted without its factor",
            "gradient added": "the gradient enters with the other sign",
            "gradient + 1 %": "the gradient is 1 % too large",
        },
    ),
    Claim(
        "bugs.K.guidance",
        "identity",
        "(1 + w) c − w u is the same guidance with s = 1 + w: the score of p(x) p(y|x)^(1+w).",
        r"(1+w)\,c-w\,u = u+(1+w)(c-u) = \nabla\log\bigl(p(x)\,p(y\mid x)^{1+w}\bigr)",
        "Ho and Salimans (2022), equation 6",
        dict.fromkeys(CONVENTIONS, R) | {"stated": C},
        {
            "scale for weight": "u + w (c − u), as if the two numbers were one",
            "weight + 1 %": "the weight is 1 % too large",
        },
    ),
)
