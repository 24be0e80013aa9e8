"""When a ladder of time steps is where, and whose noise a step and a particle take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpk.laws import Array
from fpk.particles.philox import Word

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Clock:
    """The steps of a ladder of levels: level l takes steps of 2^l fine ones.

    Parameters
    ----------
    times : tuple of float
        When states are kept.
    plan : tuple of (int, float)
        For each interval between them the number and length of the coarsest steps.
    levels : int
    """

    times: tuple[float, ...]
    plan: tuple[tuple[int, float], ...]
    levels: int

    @property
    def fine(self) -> int:
        """Number of fine steps."""
        return sum(count for count, _ in self.plan) << (self.levels - 1)

    def steps(self, level: int) -> tuple[Array, Array]:
        """Starts and lengths of the steps of a level."""
        parts = 1 << (self.levels - 1 - level)
        starts = (0.0, *self.times[:-1])
        begins: list[Array] = [np.zeros(0)]
        lengths: list[Array] = [np.zeros(0)]
        for origin, (count, step) in zip(starts, self.plan, strict=True):
            h = step / parts
            begins.append(origin + np.arange(count * parts) * h)
            lengths.append(np.full(count * parts, h))
        return np.concatenate(begins), np.concatenate(lengths)

    @property
    def kept(self) -> Integers:
        """For each fine step the slot that is filled after it, or −1."""
        out, done = np.full(self.fine, -1, np.int64), 0
        for slot, (count, _) in enumerate(self.plan):
            done += count << (self.levels - 1)
            if count:
                out[done - 1] = slot
        return out


def particle_numbers(first: int, count: int) -> NDArray[Word]:
    """The numbers that address the noise of consecutive particles."""
    return np.arange(first, first + count, dtype=Word)


def noise_order(steps: int) -> Integers:
    """For each fine step the step whose noise it takes: its own."""
    return np.arange(steps, dtype=np.int64)
