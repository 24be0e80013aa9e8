r"""Mistakes that a model can undo: a sampler that misreads its model is right with a model that is wrong in the opposite way.

If a sampler takes v for noise, it reaches the right law once it is given noise; if it tells the model an index too high, once the model reads labels
one lower. So every such mistake is tried by running the sampler under examination itself, and what it leaves of the discrepancies is its
distance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fpk.battery import spots
from fpk.battery.declarations import Declaration
from fpk.battery.subjects import Run, Subject, quantiles_of
from fpk.fields import KINDS, Index
from fpk.laws import Array

#: Kinds of a score's family that others are mistaken for, and gaps larger than this are all alike.
FAR = 3.0
#: Discrepancies of law and labels that are nothing to explain.
SLIGHT = (0.01, 2e-4)
#: Particles of those runs.
FEW = 4000


@dataclass(frozen=True)
class Fix:
    """A model that would make up for a mistake.

    Parameters
    ----------
    mistake : str
    declaration : Declaration, optional
        What the model would be.
    changes : dict
        Of :class:`fpk.battery.recording.ExactModel`.
    """

    mistake: str
    declaration: Declaration | None = None
    changes: dict[str, Any] = field(default_factory=dict)


def fixes(subject: Subject, labels: list[float]) -> Iterator[Fix]:
    """Every mistake that a model can undo; ``labels`` are those the sampler tells it, in their order."""
    own = subject.declaration
    yield from _misread(own)
    yield Fix("sign of the output", changes={"factor": -1.0})
    yield Fix("half missing on the score term", changes={"score_factor": 0.5})
    yield Fix("half too much on the score term", changes={"score_factor": 2.0})
    yield from _timed(subject, labels)
    for scale in ("path", "VP", "VE"):
        if own.kind != "edm" and own.scale != scale:
            yield Fix("input scale", replace(own, scale=scale))


def _misread(own: Declaration) -> Iterator[Fix]:
    if own.kind == "edm":
        return
    for kind in KINDS:
        if kind != own.kind:
            yield Fix(f"kind confused: {own.kind} read as {kind}", replace(own, kind=kind))


def _timed(subject: Subject, labels: list[float]) -> Iterator[Fix]:
    own = subject.declaration
    start, end = (
        own.label(subject.starting(subject.tried)),
        own.label(subject.end) if subject.end or own.time != "sigma" else 0.0,
    )
    mirrored: Callable[[float], float] = lambda label: own.label(1 - own.moment(label)[0])  # noqa: E731
    if own.time != "sigma":
        yield Fix("time direction", changes={"relabelled": mirrored})
        yield Fix("time direction", changes={"relabelled": mirrored, "factor": -1.0})
    if isinstance(own.time, Index):
        count, first = own.time.count, own.time.first
        yield Fix("label t + 1", changes={"relabelled": lambda label: label - 1})
        yield Fix("label t − 1", changes={"relabelled": lambda label: label + 1})
        yield Fix(
            "schedule table off by one", changes={"relabelled": lambda label: own.label((label - first) / (count - 1))}
        )
    for unit in (1000.0, 0.001):
        if own.time != "sigma":
            yield Fix("time unit", changes={"relabelled": lambda label, unit=unit: label * unit})
    walked = list(dict.fromkeys(labels))
    if len(walked) > 3:
        yield Fix("label of the next step", changes={"relabelled": _moved(walked, [start, *walked[:-1]])})
        yield Fix("label of the step before", changes={"relabelled": _moved(walked, [*walked[1:], end])})


def _moved(walked: list[float], to: list[float]) -> Callable[[float], float]:
    table = dict(zip(walked, to, strict=True))
    return lambda label: table.get(label, label)


@dataclass(frozen=True)
class Discrepancy:
    """How far a sampler is from what it should do: at the law's quantiles or expectations, and at the calls of a point mass."""

    law: float
    labels: float

    def left(self, before: Discrepancy, metrics: tuple[bool, bool]) -> float:
        """The share of what was seen before that is still there, by the metrics that count."""
        pairs = ((self.law, before.law, SLIGHT[0]), (self.labels, before.labels, SLIGHT[1]))
        shares = [(after + slight) / (was + slight) for after, was, slight in pairs]
        return float(np.mean([min(share, 9.0) for share, counts in zip(shares, metrics, strict=True) if counts]))


def discrepancy(subject: Subject, steps: int, fix: Fix | None = None) -> Discrepancy:
    """With the exact model, or with one that would make up for a mistake."""
    settings = {} if fix is None else {"declaration": fix.declaration or subject.declaration, "changes": fix.changes}
    spot, law = subject.started("spot", steps), subject.started("law", steps)
    if subject.stochastic:
        law, spot = np.resize(law, (FEW, 1)), spot[:: max(1, len(spot) // FEW)]
    arrived = subject.run(subject.law, law, steps, **settings)
    walked = subject.run(subject.data("spot"), spot, steps, keep=True, **settings)
    return Discrepancy(_away(subject, arrived), _gap(subject, walked))


def _away(subject: Subject, run: Run) -> float:
    if not run.finite:
        return FAR
    target = subject.on_path(subject.law, subject.end)
    wanted = quantiles_of(target, len(run.end))
    x: Array = np.sort(run.end[:, 0]) if subject.stochastic else run.end[:, 0]
    return float(min(FAR, np.sqrt(np.mean((x - wanted) ** 2) / target.covariance[0, 0])))


def _gap(subject: Subject, run: Run) -> float:
    if not run.calls:
        return FAR
    size = np.minimum(spots.gaps(subject, run).size, FAR)
    return float(np.sqrt(np.mean(size**2)))
