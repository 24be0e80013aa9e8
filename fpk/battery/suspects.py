"""Which mistake explains the findings: signatures over the checks, and the planted mistakes of a sampler of our own."""

from __future__ import annotations

from collections.abc import Sequence

from fpk.battery.findings import Finding, Suspect
from fpk.battery.subjects import Subject

#: What a refuted check alone points to.
SIGNATURES = {
    "prior": "wrong prior",
    "labels": "label and noise level out of step",
    "labels in range": "label out of range",
    "last step": "noise kept on the last step",
    "finite": "breaks down for a legal number of steps",
    "times": "times of the steps",
    "order": "order lost",
    "kinds": "kinds converted wrongly",
    "same twice": "hidden state or global randomness",
}


def suspects_of(subject: Subject, findings: Sequence[Finding]) -> list[Suspect]:
    """Suspects, best first."""
    refuted = [f.check for f in findings if f.refuted]
    return [
        Suspect(SIGNATURES[name], float(k), f"{name} refuted")
        for k, name in enumerate(n for n in SIGNATURES if n in refuted)
    ]
