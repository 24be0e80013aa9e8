"""Which mistake explains the findings: those a model can undo are tried, those of the noise measured, the others have a signature of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fpk.battery.findings import Finding, Suspect
from fpk.battery.fixes import Discrepancy, discrepancy, fixes
from fpk.battery.noises import noise_suspects, of_size
from fpk.battery.spots import gaps
from fpk.battery.subjects import POINT, Subject
from fpk.fields import Index

#: Findings about the law, and about labels.
LAW = ("law", "limit", "narrow law", "narrow limit", "law in the plane", "limit in the plane")
LABELS = ("labels", "first label", "labels in range")
#: What leaves more than this unexplained is no explanation.
WORTH = 0.9

Seen = dict[str, Finding]


def suspects_of(subject: Subject, findings: Sequence[Finding]) -> list[Suspect]:
    """Suspects, best first; of one mistake only its best."""
    seen = {f.check: f for f in findings if f.refuted}
    found = [suspect for signature in SIGNATURES for suspect in signature(subject, seen)]
    if seen.keys() & {*LAW, *LABELS, "last step"}:
        found += tried(subject, seen)
    elif "single step" in seen:
        found += _single(subject, seen["single step"])
    best: dict[str, Suspect] = {}
    for suspect in sorted(found, key=lambda s: s.distance):
        best.setdefault(suspect.mistake, suspect)
    return [s for s in best.values() if s.distance < WORTH]


# -- mistakes that are tried or measured -------------------------------------------------------------------------------


def tried(subject: Subject, seen: Seen) -> list[Suspect]:
    """Mistakes a model can undo, and mistakes of the noise."""
    steps = max([n for n in subject.counts if n <= subject.tried], default=min(subject.counts))
    spot = subject.ran("spot", steps)
    labels = [call.label for call in spot.calls]
    before = discrepancy(subject, steps)
    metrics = (bool(seen.keys() & set(LAW)), bool(seen.keys() & {*LABELS, "last step"}))
    found = []
    for fix in fixes(subject, labels):
        left = _left(subject, steps, fix, before, metrics)
        found.append(Suspect(fix.mistake, left, f"a model that makes up for it leaves {left:.0%}"))
    if subject.stochastic:
        found += noise_suspects(subject, spot)
    return found + _another_index(subject, steps)


def _single(subject: Subject, finding: Finding) -> list[Suspect]:
    """Mistakes of the noise of single steps."""
    table = np.array([step for step in finding.hints.get("steps", ()) if step.drawn > 0 and step.room > 0])
    if not len(table):
        return []
    return of_size(subject, (table[:, 0], table[:, 1]), table[:, 3], np.sqrt(table[:, 4]))


def _left(subject: Subject, steps: int, fix: Any, before: Discrepancy, metrics: tuple[bool, bool]) -> float:
    try:
        return discrepancy(subject, steps, fix).left(before, metrics)
    except (ArithmeticError, ValueError):  # a declaration that means nothing on this path
        return np.inf


def _another_index(subject: Subject, steps: int) -> list[Suspect]:
    """Is the sampler after its first step where one index less would be?"""
    run = subject.ran("spot", steps)
    if not isinstance(subject.declaration.time, Index) or len(run.calls) < 2:
        return []
    first, second = run.calls[:2]
    found = gaps(subject, run)
    if len(found.times) < 2 or found.size[0] > 0.05:
        return []
    level = [
        subject.declaration.level(max(t, 0.0)) for t in (second.time, first.time - 1 / subject.declaration.time.count)
    ]
    unit = second.spread / np.exp(found.spread[1]) / level[0][1]
    away = [
        abs(np.log(max(second.spread / unit, 1e-12) / sigma)) + abs(second.mean / POINT - alpha) / sigma
        for alpha, sigma in level
    ]
    return [
        Suspect(
            "step to another index", float(away[1] / max(away[0], 1e-12)), "the first step goes to the index before"
        )
    ]


# -- mistakes with a signature -----------------------------------------------------------------------------------------


def _finite(subject: Subject, seen: Seen) -> list[Suspect]:
    return [Suspect("not finite", 0.0, seen["finite"].line)] if "finite" in seen else []


def _times(subject: Subject, seen: Seen) -> list[Suspect]:
    faults = [
        *(seen["times"].hints["faults"] if "times" in seen else []),
        *([seen["calls"].line] if "calls" in seen else []),
    ]
    words = {
        "steps for": "more steps than asked",
        "calls": "more steps than asked",
        "first time": "first time is not the prior's",
        "last time": "last noise level is not 0",
        "does not decrease": "times do not decrease",
    }
    return [Suspect(name, 0.02, fault) for word, name in words.items() for fault in faults[:20] if word in fault]


def _labels(subject: Subject, seen: Seen) -> list[Suspect]:
    found = []
    if "first label" in seen:
        hints = seen["first label"].hints
        if hints["time"] < hints["start"] - 1e-6:
            found.append(Suspect("first time is not the prior's", 0.3, seen["first label"].line))
    for check in ("labels", "first label"):
        if check in seen:
            found.append(Suspect("labels and noise levels out of step", 0.4, seen[check].line))
    return found


def _prior(subject: Subject, seen: Seen) -> list[Suspect]:
    if "prior" not in seen:
        return []
    mean, spread, shape, width = (seen["prior"].hints.get(k, np.nan) for k in ("mean", "spread", "shape", "width"))
    line = seen["prior"].line
    if shape:
        return [Suspect("prior not normal", 0.01, line)]
    standard = abs(mean) < 0.02 and abs(spread - 1) < 0.02
    scaled = abs(np.log(spread / width)) > 0.02
    name = "N(0,1) prior" if standard else "prior scale" if scaled else "prior without the data's mean"
    return [Suspect(name, 0.01, line), *([Suspect("prior scale", 0.5, line)] if standard and scaled else [])]


def _last(subject: Subject, seen: Seen) -> list[Suspect]:
    """What is left of a point tells of the last step, but for samplers that were wrong before."""
    if "last step" not in seen:
        return []
    left, line, early = seen["last step"].hints["left"], seen["last step"].line, 0.25 * ("labels" in seen)
    if subject.stochastic:
        return [Suspect("last noise kept", 0.05 + early, line), Suspect("last noise level is not 0", 0.2 + early, line)]
    skipped = min(abs(np.log(max(left, 1e-12))), 0.5)
    return [
        Suspect("last noise level is not 0", 0.1 + early, line),
        Suspect("last step skipped", 0.15 + early + skipped, line),
    ]


def _order(subject: Subject, seen: Seen) -> list[Suspect]:
    away = bool(seen.keys() & {"law", "narrow law", "law in the plane"})
    return [Suspect("order lost", 0.6 if away else 0.03, seen["order"].line)] if "order" in seen else []


def _others(subject: Subject, seen: Seen) -> list[Suspect]:
    named = {
        "kinds": "kinds converted differently",
        "same twice": "hidden state",
        "labels in range": "label out of range",
    }
    named |= {"any number of steps": "numbers of steps that divide nothing"}
    return [Suspect(name, 0.2, seen[check].line) for check, name in named.items() if check in seen]


SIGNATURES: tuple[Callable[[Subject, Seen], list[Suspect]], ...] = (
    _finite,
    _times,
    _labels,
    _prior,
    _last,
    _order,
    _others,
)
