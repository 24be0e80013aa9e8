r"""One step with injected noise: is its mean the one that belongs to its variance?

Any noise h(t) leaves the marginals, if the drift is −v + ½ h² s in falling time, with the velocity v of the probability flow and the score s. So a
step over Δ with x' = m(x) + r z must have

    m(x) = x − Δ v(x, t) + ½ r² s(x, t) + O(Δ²),

however much noise it draws: √h for h, a missing ½ or noise without its drift all leave a remainder of the size of Δ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fpk.battery.findings import Finding, small, stated, unexplained
from fpk.battery.recording import ExactModel, given, numbers
from fpk.battery.subjects import Subject, quantiles_of
from fpk.fields import Index, exact_field
from fpk.laws import Array

#: Where in the walk steps are looked at, as shares of their number.
PLACES = (0.1, 0.3, 0.5, 0.7)
#: The largest number of steps, where no schedule has a length of its own.
STEPS = 1024
#: How large a remainder may be, relative to the flow's step, once what short steps explain is taken off.
REMAINDER = 0.08


class Step(NamedTuple):
    """A step between two times: its remainder over Δ v, the noise it draws, and the square of that its drift has room for."""

    before: float
    after: float
    remainder: float
    drawn: float
    room: float


def single_steps(subject: Subject) -> list[Finding]:
    """Do drift and noise of a single step belong together, and is its noise the same everywhere?"""
    if subject.step is None or subject.times is None:
        return []
    counts = _counts(subject)
    try:
        steps = [[_examined(subject, round(q * n), n) for q in PLACES] for n in counts]
    except Exception as error:  # whatever the code under examination raises is a finding
        return [stated("single step", False, f"raised {type(error).__name__}: {error}")]
    table = np.array([[step.remainder for step in row] for row in steps])
    rest = np.array([unexplained(column, counts) for column in table.T])
    line = f"drift and noise of a step differ by {table[-1].max():.2g} of the flow, {rest.max():.2g} of it not for the steps' length"
    return [
        small(
            "single step",
            rest,
            tolerance=REMAINDER,
            line=line,
            names=[f"after {q:.0%} of the steps" for q in PLACES],
            steps=steps[-1],
        )
    ]


def _counts(subject: Subject) -> list[int]:
    """Many steps, as a single one costs nothing: the length of a schedule that has one, a half and a quarter of it."""
    most = subject.declaration.time.count if isinstance(subject.declaration.time, Index) else STEPS
    return [n for n in (most // 4, most // 2, most) if n >= 8] or [most]


def _examined(subject: Subject, k: int, steps: int) -> Step:
    visited = subject.visited(steps)
    assert visited is not None
    t, after = float(visited[k]), float(visited[k + 1])
    law = subject.on_path(subject.law, t)
    x = quantiles_of(law, 33)[:, None]
    below, mean, above = (_stepped(subject, x, k, steps, z) for z in (-1.0, 0.0, 1.0))
    noise, pull = (above - below) / 2, 0.5 * law.score(x)
    flow = (t - after) * exact_field(subject.law, subject.schedule, kind="velocity")(x, t)
    room = float(np.sum(pull * (mean - x + flow)) / np.sum(pull**2))
    rest = mean - x + flow - noise**2 * pull
    return Step(t, after, float(np.sqrt(np.mean(rest**2) / np.mean(flow**2))), float(np.sqrt(np.mean(noise**2))), room)


def _stepped(subject: Subject, x: Array, k: int, steps: int, z: float) -> Array:
    assert subject.step is not None
    model = ExactModel(subject.declaration, subject.law)
    where, drawn = (given(values, subject.library, subject.dtype) for values in (x, np.full_like(x, z)))
    return numbers(subject.step(model, where, k, steps, drawn))
