r"""Mistakes in the noise of a step, told from a point mass: between two calls of the model, x' = a x + b + s z, and a, s are a regression away.

The spread σ of the one call's label becomes that of the next one's only if

    s² = σ'² − a² σ²,

whatever share of the noise the scheme draws anew: the drift leaves room for just that much. The noise that is drawn instead tells the mistake.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fpk.battery.findings import Suspect
from fpk.battery.recording import Call
from fpk.battery.subjects import Run, Subject
from fpk.fields import Index
from fpk.laws import Array

#: Drawn and wanted noise that differ by less than this, relatively, are the same.
SAME = 0.03
#: Steps between these times of the path are looked at.
INNER = (0.05, 0.98)


class Steps(NamedTuple):
    """For each step between two calls: times, slope a, noise s drawn, and the square of the noise there is room for."""

    before: Array
    after: Array
    slope: Array
    drawn: Array
    room: Array


def measured(subject: Subject, run: Run) -> Steps | None:
    """Every step inside, by regression over the positions kept; None where there are too few."""
    rows = [
        _step(subject, a, b)
        for a, b in zip(run.calls[:-1], run.calls[1:], strict=True)
        if INNER[0] < b.time < a.time <= 1.0
    ]
    table = np.array([row for row in rows if row is not None and np.all(np.isfinite(row))])
    return Steps(*table.T) if len(table) > 2 else None


def _step(subject: Subject, first: Call, second: Call) -> tuple[float, ...] | None:
    x, y = first.positions, second.positions
    if x is None or y is None or x.shape != y.shape or not np.ptp(x[:, 0]) > 0:
        return None
    with np.errstate(all="ignore"):
        slope, shift = np.polyfit(x[:, 0], y[:, 0], 1)
        drawn = float(np.std(y[:, 0] - slope * x[:, 0] - shift))
    (_, sigma), (_, after) = subject.declaration.level(first.time), subject.declaration.level(second.time)
    return first.time, second.time, float(slope), drawn, after**2 - float(slope * sigma) ** 2


def noise_suspects(subject: Subject, run: Run) -> list[Suspect]:
    """Mistakes in what is drawn, by the share of the discrepancy they leave."""
    steps = measured(subject, run)
    if steps is None:
        return []
    if not np.any(steps.drawn > 1e-9):
        shared = np.median(steps.room) > 1e-4
        return (
            [Suspect("noise shared by the batch", 0.05, "all rows move alike, and leave room for noise")]
            if shared
            else []
        )
    crowded = _no_room(subject, steps)
    kept = (steps.room > 0) & (steps.drawn > 1e-12)
    if crowded < 0.3 or kept.sum() < 3:
        return [Suspect("noise without drift", crowded, "the drift goes all the way, and noise is added")]
    return of_size(subject, (steps.before[kept], steps.after[kept]), steps.drawn[kept], np.sqrt(steps.room[kept]))


def of_size(subject: Subject, times: tuple[Array, Array], drawn: Array, wanted: Array) -> list[Suspect]:
    """Mistakes in the size of the noise, from what is drawn and what there is room for in steps between two times each."""
    logs = np.log(drawn / wanted)
    seen = _size(logs)
    if seen < SAME / 3:
        return []
    ratio = float(np.exp(np.median(logs)))
    name, size = "noise too large" if ratio > 1 else "noise too small", f"{ratio:.3g} times what the drift has room for"
    left = {mistake: _size(np.log(drawn / guess)) / seen for mistake, guess in _guesses(subject, times, wanted).items()}
    found = [Suspect(mistake, share) for mistake, share in left.items()]
    return [Suspect(name, 0.05 + _size(logs - np.log(ratio)) / seen, size), *found]


def _guesses(subject: Subject, times: tuple[Array, Array], wanted: Array) -> dict[str, Array]:
    """What would be drawn by mistake."""
    t, after = times
    found = {"variance for its root": wanted**2, "step for its root": wanted * np.sqrt(t - after)}
    if isinstance(subject.declaration.time, Index):
        one = np.array([_forward(subject, now, now - 1 / subject.declaration.time.count) for now in t])
        found["variance of another step"] = np.sqrt(np.maximum(one, 1e-30))
    return found


def _forward(subject: Subject, t: float, after: float) -> float:
    """The variance of the forward transition from ``after`` to t."""
    (alpha, sigma), (other, less) = subject.declaration.level(t), subject.declaration.level(max(after, 0.0))
    return sigma**2 - (alpha / other * less) ** 2


def _no_room(subject: Subject, steps: Steps) -> float:
    """How far the slopes are from σ'/σ, which leaves room for no noise, relative to the noise drawn."""
    after = np.array([subject.declaration.level(t)[1] for t in steps.after])
    return _size(steps.room / np.maximum(steps.drawn**2, 1e-30)) if np.any(steps.drawn > 1e-3 * after) else np.inf


def _size(values: Array) -> float:
    return float(np.sqrt(np.mean(np.minimum(np.abs(values), 10.0) ** 2)))
