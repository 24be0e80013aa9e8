r"""A point mass for the data: what is left of it at the end, and whether labels and noise levels agree on the way.

With data at μ, X_t = α_t μ + σ_t Z. Whatever freezes noise or denoised mean along a step solves this case exactly: at every call of the model
its positions have the mean α μ and the spread σ of the label's time, and nothing is left at the end. Other samplers come to it as their steps
get shorter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fpk.battery.findings import Finding, small, stated, unexplained
from fpk.battery.subjects import POINT, WIDTH, Run, Subject
from fpk.fields import Index
from fpk.laws import Array

#: Labels whose σ is below this many widths of the spot say nothing about noise.
CLEAR = 1e3
#: What is left of a point may be this share of the last noise level, where the way to it was exact.
LEFT = 0.02
#: The same where noise is drawn, and the way was not exact.
KEPT_NOISE = 0.5
#: Noise levels may be this far off, relatively: what is exact; and in the limit of short steps.
EXACT, LIMIT = {"float64": 1e-5, "float32": 3e-3}, 0.02
#: Standard errors a largest deviation of many calls may be.
REACH = 6.0


class Gaps(NamedTuple):
    """At each call with noise: the label's time, and the logarithm of spread over σ and mean over α μ (relative to σ)."""

    times: Array
    spread: Array
    mean: Array

    @property
    def size(self) -> Array:
        """The larger of both, for each call."""
        return np.maximum(np.abs(self.spread), np.abs(self.mean))


def gaps(subject: Subject, run: Run) -> Gaps:
    """How far the positions at each call are from those of its label's time."""
    rows = []
    unit = _unit(run, subject)
    for call in run.calls:
        alpha, sigma = subject.declaration.level(call.time)
        if sigma > CLEAR * WIDTH:
            rows.append(
                (call.time, np.log(max(call.spread / unit, 1e-12) / sigma), (call.mean - alpha * POINT) / sigma)
            )
    table = np.array(rows or [(subject.begin, 0.0, 0.0)])
    return Gaps(*np.nan_to_num(table.T, nan=1e3, posinf=1e3, neginf=-1e3))


def _unit(run: Run, subject: Subject) -> float:
    """The spread of the start's normal quantiles: a little below 1, as they are few."""
    return float(np.std(run.start)) / subject.declaration.level(subject.starting(run.steps))[1]


def noise_of(subject: Subject, run: Run) -> float:
    """What sampling alone makes of the largest gap."""
    return REACH / np.sqrt(len(run.start)) if subject.stochastic else EXACT[subject.dtype]


def exact_on_the_way(subject: Subject, run: Run) -> bool:
    """Whether the run solved the point mass exactly, up to its last call."""
    return bool(np.max(gaps(subject, run).size) <= noise_of(subject, run))


def labels(subject: Subject) -> list[Finding]:
    """Do labels and noise levels agree?"""
    runs = [subject.ran("spot", n) for n in subject.counts]
    fine = runs[-1]
    if not fine.calls:
        return [stated("labels", False, f"the model was never called{': ' + fine.error if fine.error else ''}")]
    return [_first_label(subject, fine), _on_the_way(subject, runs)]


def _first_label(subject: Subject, run: Run) -> Finding:
    found = gaps(subject, run)
    t, size = subject.starting(run.steps), float(found.size[0])
    line = f"the first call is told the time {run.calls[0].time:.5g}, the start is that of {t:.5g}"
    tolerance = noise_of(subject, run)
    return small(
        "first label", size, tolerance=tolerance, line=line, time=run.calls[0].time, start=t, label=run.calls[0].label
    )


def _on_the_way(subject: Subject, runs: list[Run]) -> Finding:
    found = gaps(subject, runs[-1])
    worst, tolerance = float(np.max(found.size)), noise_of(subject, runs[-1])
    hints = {"gaps": found, "worst": worst}
    if worst <= tolerance:
        line = f"noise levels are those of the labels at all {len(found.times)} calls, to {max(worst, 1e-16):.1g}"
        return small("labels", worst, tolerance=tolerance, line=line, **hints)
    shift = _shifted(subject, runs[-1])
    if shift:
        line = f"noise levels are those of labels {'lower' if shift < 0 else 'higher'} by one at every call"
        return small("labels", worst, tolerance=tolerance, line=line, shift=shift, **hints)
    walked = [run for run in runs if run.calls]
    middles = [_middle(gaps(subject, run)) for run in walked]
    rest = unexplained(middles, [run.steps for run in walked])
    line = f"noise levels are {middles[-1]:.2g} off those of the labels at the median call, {rest:.2g} of it not for the steps' length"
    return small("labels", rest, tolerance=LIMIT + (tolerance if subject.stochastic else 0.0), line=line, **hints)


def _shifted(subject: Subject, run: Run) -> int:
    """−1 or 1 if the way is exact for a model that takes labels for those one lower or higher, else 0.

    Where noise is drawn, exact is a matter of its size: DDPM with the forward variance is then as good as a label higher.
    """
    if subject.stochastic or not isinstance(subject.declaration.time, Index) or not run.finite:
        return 0
    for shift in (-1, 1):
        changes = {"relabelled": lambda label, shift=shift: label + shift}
        other = subject.run(subject.data("spot"), run.start, run.steps, keep=True, changes=changes)
        if other.calls and np.max(gaps(subject, other).size) <= noise_of(subject, other):
            return shift
    return 0


def _middle(found: Gaps) -> float:
    """The gap at the median call, of spread or mean, away from both ends of time."""
    inside = (found.times > 0.1) & (found.times < 0.95)
    parts = [np.abs(part[inside]) for part in (found.spread, found.mean)]
    return max((float(np.median(part)) for part in parts if len(part)), default=0.0)


def leftover(subject: Subject) -> list[Finding]:
    """What is left of a point mass at the end, in units of the last noise level the model was shown."""
    runs = [subject.ran("spot", n) for n in sorted(subject.counts)[-2:]]
    fine = runs[-1]
    levels = [subject.declaration.level(call.time)[1] for call in fine.calls]
    if not fine.calls or min(levels) < CLEAR * WIDTH:
        return []  # a model that is asked at the very end amplifies the width of the spot
    spread, exact = _left(subject, fine), exact_on_the_way(subject, fine)
    left, last = spread / min(levels), min(levels)
    line = f"of a point mass {spread:.2g} is left at the end; the last noise level was {last:.2g}"
    hints = {"left": left, "last": last, "exact": exact}
    if exact:
        return [small("last step", left, tolerance=LEFT, line=line, **hints)]
    if subject.stochastic:
        advice = (
            line + ": leave out the noise of the last step, or declare last_noise=True if the scheme has it"
            if left > KEPT_NOISE
            else line
        )
        return [] if subject.last_noise else [small("last step", left, tolerance=KEPT_NOISE, line=advice, **hints)]
    rest = unexplained([_left(subject, run) for run in runs], [run.steps for run in runs], order=0.5)
    return [
        small("last step", rest, tolerance=1e-3, line=f"{line}, {rest:.2g} of it not for the steps' length", **hints)
    ]


def _left(subject: Subject, run: Run) -> float:
    """Root-mean-square distance from where the point would be, less the noise that the law at the end has itself."""
    if not run.finite:
        return np.inf
    (alpha, sigma), (first, spread) = (subject.declaration.level(t) for t in (subject.end, subject.starting(run.steps)))
    away = run.end[:, 0] - alpha * POINT
    if subject.stochastic:
        sampled = 1 + REACH * np.sqrt(2 / len(away))  # what chance makes of a variance
        return float(np.sqrt(max(0.0, np.mean(away**2) - sigma**2 * sampled)))
    return float(np.sqrt(np.mean((away - sigma / spread * (run.start[:, 0] - first * POINT)) ** 2)))
