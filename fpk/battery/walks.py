"""How the sampler walks: times, labels, counts of steps and of calls, its own prior, kinds of models, and finiteness."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.battery.findings import Finding, sampled, small, stated
from fpk.battery.recording import numbers
from fpk.battery.subjects import Subject, between_counts
from fpk.counts import counting
from fpk.errors import FpkError
from fpk.marginals import ROUND_OFF, Estimate
from fpk.panels import law_panel

#: Below this many steps methods may start themselves in another way.
FEW = 8
#: Legal numbers of steps that anything should survive.
SWEEP = (1, 2, 3, 5, 7, 13)


def finiteness(subject: Subject) -> list[Finding]:
    """Does every number of steps end with finite positions, in both precisions?"""
    longest = max(subject.counts)
    counts = [
        n for n in (*SWEEP, *subject.counts, *between_counts(subject.counts, subject.declaration)) if n <= longest
    ]
    runs = [subject.ran("law", n) for n in sorted({*counts, *subject.extra})]
    single = [
        subject.run(subject.law, run.start, run.steps, dtype="float32") for run in runs[:: max(1, len(runs) // 4)]
    ]
    broken = [
        f"{counting(run.steps, 'step')}{' of float32' if run in single else ''} ({run.error or 'not finite'})"
        for run in (*runs, *single)
        if not run.finite
    ]
    line = (
        f"{len(runs)} numbers of steps from {runs[0].steps} to {runs[-1].steps}"
        if not broken
        else "breaks down with " + "; ".join(broken[:4])
    )
    return [stated("finite", not broken, line, broken=broken)]


def identities(subject: Subject) -> list[Finding]:
    """Times decrease, begin at the prior's and end at the data's, and are as many as asked for; the same run twice is the same."""
    fine = max(subject.counts)
    found = [_same_twice(subject), _labels_known(subject, fine)]
    if subject.times is None:
        return found
    faults = [
        fault
        for n in (*subject.counts, *between_counts(subject.counts, subject.declaration))
        for fault in _faults(subject, n)
    ]
    line = (
        f"decrease from {subject.begin:g} to {subject.end:g} in as many steps as asked"
        if not faults
        else "; ".join(faults[:3])
    )
    return [*found, stated("times", not faults, line, faults=faults)]


def _faults(subject: Subject, steps: int) -> list[str]:
    try:
        t = subject.visited(steps)
    except FpkError as error:
        return [f"with {counting(steps, 'step')}: {error}"]
    assert t is not None
    said = []
    if len(t) != steps + 1:
        said.append(f"{counting(len(t) - 1, 'step')} for {steps} asked")
    if np.any(np.diff(t) >= 0):
        said.append(f"with {counting(steps, 'step')}, time {int(np.argmax(np.diff(t) >= 0)) + 1} does not decrease")
    if abs(t[0] - subject.begin) > 1e-6:
        said.append(f"with {counting(steps, 'step')} the first time is {t[0]:.6g}, the prior's is {subject.begin:g}")
    if abs(t[-1] - subject.end) > 1e-6:
        said.append(f"with {counting(steps, 'step')} the last time is {t[-1]:.3g}, not {subject.end:g}")
    return said


def _same_twice(subject: Subject) -> Finding:
    n = subject.counts[0]
    first = subject.ran("law", n)
    again = subject.run(subject.law, first.start, n)
    same = bool(np.array_equal(first.end, again.end, equal_nan=True))
    labels = [call.label for call in first.calls] == [call.label for call in again.calls]
    return stated(
        "same twice",
        same and labels,
        "the same start and generator, the same end" if same and labels else "a second run differs",
    )


def _labels_known(subject: Subject, steps: int) -> Finding:
    strange = [call.label for call in subject.ran("law", steps).calls if not call.known]
    line = "every label is one of those declared" if not strange else f"label {strange[0]:g} is none of those declared"
    return stated("labels in range", not strange, line, strange=strange)


def calls(subject: Subject) -> list[Finding]:
    """Are as many steps run as are asked for: is the number of calls the same function a · steps + b for all of them?"""
    asked = [n for n in (*subject.counts, *between_counts(subject.counts, subject.declaration)) if n >= FEW]
    made = {n: len(subject.ran("law", n).calls) for n in sorted(asked) if subject.ran("law", n).finite}
    swept = [n for n in subject.counts if n in made]
    if len(swept) < 3:
        return []
    rate = round((made[swept[-1]] - made[swept[0]]) / (swept[-1] - swept[0]))
    offset = made[swept[-1]] - rate * swept[-1]
    odd = {n: made[n] for n in made if made[n] != rate * n + offset}
    if rate < 1 or sum(n in odd for n in swept) > 1:
        return []  # adaptive: no such function
    law = f"{rate} × steps {offset:+d}" if offset else f"{rate} × steps"
    line = (
        f"{law} calls of the model"
        if not odd
        else f"{law} calls, but " + ", ".join(f"{m} with {n}" for n, m in odd.items())
    )
    return [stated("calls", not odd, line, odd=odd, rate=rate, offset=offset)]


def prior(subject: Subject) -> list[Finding]:
    """Is the sampler's own start the law its first step is made for?"""
    if subject.prior is None:
        return []
    n = 2 * subject.particles
    rng = np.random.default_rng([subject.seed, 11])
    t = subject.starting(max(subject.counts))
    law = subject.on_path(subject.law, t)
    try:
        x = numbers(subject.prior(n, rng)).reshape(n, -1)[:, :1]
    except Exception as error:
        return [stated("prior", False, f"raised {type(error).__name__}: {error}")]
    panel = law_panel({t: law})
    values = np.concatenate([block.values(x) for block in panel.smooth])
    found = Estimate(
        values.mean(1),
        np.full(len(values), ROUND_OFF),
        covariance=np.atleast_2d(np.cov(values)) / n,
        samples=n,
        source="its own prior",
    )
    scale = float(np.sqrt(law.covariance[0, 0]))
    line = f"mean {x.mean():.3g}, spread {x.std():.3g}; exact at the start: {law.mean[0]:.3g}, {scale:.3g}"
    hints: dict[str, Any] = {"mean": float(x.mean()), "spread": float(x.std()), "width": scale}
    kurtosis = float(np.mean(((x - x.mean()) / x.std()) ** 4) - 3)
    shape = kurtosis if abs(kurtosis) > max(0.05, 5 * np.sqrt(24 / n)) else 0.0
    return [
        sampled("prior", found, tolerance=subject.tolerance / 2, line=line, alpha=subject.alpha, shape=shape, **hints)
    ]


def kinds(subject: Subject) -> list[Finding]:
    """Do models of several kinds of one law give the same?"""
    if not subject.kinds:
        return []
    from dataclasses import replace

    n = subject.counts[len(subject.counts) // 2]
    first, gaps = subject.ran("law", n), {}
    for kind, sampler in subject.kinds.items():
        other = subject.run(
            subject.law, first.start, n, sampler=sampler, declaration=replace(subject.declaration, kind=kind)
        )
        gaps[kind] = float(np.max(np.abs(other.end - first.end))) if other.finite else np.inf
    line = ", ".join(f"{kind} {gap:.1g}" for kind, gap in gaps.items()) + f" apart from {subject.declaration.kind}"
    tolerance = 1e-6 if subject.dtype == "float64" else 1e-2
    return [small("kinds", np.array(list(gaps.values())), tolerance=tolerance, line=line, names=tuple(gaps), gaps=gaps)]
