"""Class J: legal numbers of steps for which nothing finite comes out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from fpk.laws import Array

from ._examples import Example, Model, Slip
from ._indexed import DDIM, INDEXED, VP, Indices, T, table
from ._levels import HIGHEST, LEVELS, LOWEST, Euler, Multistep


def by_division(steps: int) -> Array:
    """The same levels with their ramp as k/(n − 1), 0/0 for one step."""
    with np.errstate(invalid="ignore"):
        ramp = np.arange(steps) / np.float64(steps - 1)
    high, low = HIGHEST ** (1 / 7), LOWEST ** (1 / 7)
    return np.append((high + ramp * (low - high)) ** 7, 0.0)


def log_ratio(index: Indices) -> Array:
    """Log √((1 − ᾱ)/ᾱ) at indices from 1."""
    kept = table(VP)[index]
    return 0.5 * np.log((1 - kept) / kept)


@cache
def even_logs(steps: int) -> Indices:
    """Indices whose log-ratios are nearly even, as whole numbers, each once, and 0."""
    every = np.arange(1, T + 1)
    wanted = np.linspace(log_ratio(np.array([T]))[0], log_ratio(np.array([1]))[0], steps)
    return np.interp(wanted, log_ratio(every), every).round().astype(int)


def each_once(steps: int) -> Indices:
    """Without repetitions: where steps crowd at the last indices they take each of them once."""
    return np.append(np.maximum(even_logs(steps), np.arange(steps, 0, -1)), 0)


def repeated(steps: int) -> Indices:
    """With repetitions, where many steps crowd at the last indices."""
    return np.append(even_logs(steps), 0)


class TwoStep(DDIM):
    """DPM-Solver++ 2M over indices: divides by the length of the step before."""

    memoryless = False

    def __call__(self, model: Model, start: Array, steps: int, rng: np.random.Generator) -> Array:
        """The loop with its memory."""
        x, indices, before = start, self.levels(steps), None
        for k in range(len(indices) - 1):
            index, after = int(indices[k]), int(indices[k + 1])
            kept = self.kept()[[index, after]]
            clean, _ = self.reading(model(x, index - 1), x, kept[0])
            used = clean
            if before is not None and after > 0:
                logs = log_ratio(indices[k - 1 : k + 2])
                used = clean + (clean - before) * (logs[1] - logs[2]) / (2 * (logs[0] - logs[1]))
            shrunk = np.sqrt((1 - kept[1]) / (1 - kept[0]))
            x = shrunk * x + (np.sqrt(kept[1]) - shrunk * np.sqrt(kept[0])) * used
            before = clean
        return x


def to_zero(steps: int) -> Indices:
    """Indices down to 0, at which the loop calls the model once more."""
    return np.append(np.linspace(T, 0, steps + 1).round().astype(int), 0)


def _from_zero(output: Array, x: Array, kept: float) -> tuple[Array, Array]:
    """X0 first, and from that the noise again: 0/0 at ᾱ = 1."""
    clean = (x - np.sqrt(1 - kept) * output) / np.sqrt(kept)
    with np.errstate(invalid="ignore"):
        return clean, (x - np.sqrt(kept) * clean) / np.sqrt(1 - kept)


ONE_STEP, MEMORY, LOGS, PLAIN = Euler(), Multistep(), TwoStep(indices=each_once), DDIM()

EXAMPLES = (
    Example(
        "Euler over noise levels",
        "J",
        ONE_STEP,
        LEVELS,
        (
            Slip(
                "ramp over n − 1",
                replace(ONE_STEP, spacing=by_division),
                ("not finite",),
                "k/(n − 1) is 0/0 for a single step",
            ),
        ),
    ),
    Example(
        "DPM-Solver++ of two steps",
        "J",
        MEMORY,
        LEVELS | {"order": None},
        (
            Slip(
                "logarithm of the last level",
                replace(MEMORY, careful=False),
                ("not finite",),
                "the last step goes to σ = 0, whose logarithm is taken",
            ),
        ),
    ),
    Example(
        "two steps over whole indices",
        "J",
        LOGS,
        INDEXED | {"extra": (100,)},
        (
            Slip(
                "repeated indices",
                replace(LOGS, indices=repeated),
                ("not finite",),
                "indices that coincide after rounding are kept: the step before has length 0",
            ),
        ),
    ),
    Example(
        "DDIM over 1,000 indices",
        "J",
        PLAIN,
        INDEXED | {"order": 1},
        (
            Slip(
                "a step from 0 to 0",
                replace(PLAIN, indices=to_zero, reading=_from_zero),
                ("not finite",),
                "the loop goes on at ᾱ = 1, where the noise is 0/0",
            ),
        ),
    ),
)
