"""When a ladder of time steps is where, and whose noise a step and a particle take."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpk.errors import SchemeError
from fpk.laws import Array
from fpk.particles.philox import Word
from fpk.problem import step_plan

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Clock:
    """The steps of a ladder of levels: the coarsest are given, each level below halves those above it.

    Parameters
    ----------
    times : tuple of float
        When states are kept.
    starts, lengths : array, shape (n,)
        The coarsest steps.
    done : tuple of int
        How many of them are done at each of the times.
    levels : int
    name : str
        What the fine steps are: equal names, equal steps.
    """

    times: tuple[float, ...]
    starts: Array
    lengths: Array
    done: tuple[int, ...]
    levels: int
    name: str

    @classmethod
    def even(cls, times: tuple[float, ...], steps: int, levels: int) -> Clock:
        """Steps of one length between the times, ``steps`` to the last of them."""
        plan = step_plan(times, steps)
        origins = (0.0, *times[:-1])
        starts = [origin + np.arange(count) * step for origin, (count, step) in zip(origins, plan, strict=True)]
        lengths = [np.full(count, step) for count, step in plan]
        done = tuple(int(n) for n in np.cumsum([count for count, _ in plan]))
        halved = levels - 1
        name = " ".join(f"{count << halved}×{step / 2**halved:.12g}" for count, step in plan)
        return cls(times, np.concatenate(starts), np.concatenate(lengths), done, levels, name)

    @classmethod
    def meshed(cls, times: tuple[float, ...], mesh: Array, levels: int) -> Clock:
        """Steps between given instants.

        Raises
        ------
        SchemeError
            If they do not rise from 0 through all times to the last.
        """
        rising = mesh.ndim == 1 and len(mesh) > 1 and mesh[0] == 0.0 and np.all(np.diff(mesh) > 0)
        done = [int(np.argmin(np.abs(mesh - t))) for t in times]
        if not rising or done[-1] != len(mesh) - 1 or not np.allclose(mesh[done], times, rtol=1e-12, atol=0):
            raise SchemeError(
                f"the instants of steps= must rise from 0 through every time kept, {list(times)}, and end at the last; got {mesh.tolist()}."
            )
        digest = hashlib.sha256(mesh.tobytes()).hexdigest()[:12]
        return cls(
            times, mesh[:-1], np.diff(mesh), tuple(done), levels, f"{(len(mesh) - 1) << (levels - 1)} uneven {digest}"
        )

    @property
    def fine(self) -> int:
        """Number of fine steps."""
        return len(self.starts) << (self.levels - 1)

    def steps(self, level: int) -> tuple[Array, Array]:
        """Starts and lengths of the steps of a level."""
        parts = 1 << (self.levels - 1 - level)
        lengths = np.repeat(self.lengths / parts, parts)
        return np.repeat(self.starts, parts) + np.tile(np.arange(parts), len(self.starts)) * lengths, lengths

    @property
    def kept(self) -> Integers:
        """For each fine step the slot that is filled after it, or −1."""
        out = np.full(self.fine, -1, np.int64)
        for slot, steps in enumerate(self.done):
            if steps:
                out[(steps << (self.levels - 1)) - 1] = slot
        return out


def particle_numbers(first: int, count: int) -> NDArray[Word]:
    """The numbers that address the noise of consecutive particles."""
    return np.arange(first, first + count, dtype=Word)


def noise_order(steps: int) -> Integers:
    """For each fine step the step whose noise it takes: its own."""
    return np.arange(steps, dtype=np.int64)
