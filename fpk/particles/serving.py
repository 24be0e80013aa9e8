"""Particles moved step by step in Python: for coefficients that are called, for integrals along paths, as the twin of the compiled driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpk.errors import NonFinite
from fpk.laws import Array
from fpk.particles.clock import noise_order, particle_numbers
from fpk.particles.philox import Word, key_of
from fpk.particles.steps import Step
from fpk.particles.streams import INCREMENTS, chunk, draw
from fpk.paths import DynkinBlock


class Source:
    """Normal numbers of a tile in one stream, ``count`` for each step."""

    def __init__(self, numbers: NDArray[Word], count: int, stream: int, seed: int) -> None:
        self.numbers, self.count, self.stream, self.key = numbers, count, stream, key_of(seed)
        self.piece, self.per = -1, chunk(count)
        self.room = np.empty((max(self.per * count, 4), len(numbers)), np.float32)

    def at(self, step: int) -> Array:
        """The numbers of a step, shape (n, count)."""
        if self.count and step // self.per != self.piece:
            self.piece = step // self.per
            draw(self.room, self.numbers, self.piece, self.per * self.count // 4, self.stream, *self.key)
        row = (step % self.per) * self.count
        return self.room[row : row + self.count].T


class Served:
    """One tile of an engine's particles.

    Parameters
    ----------
    engine : Engine
    begin, end : int
        Which of its particles.
    """

    def __init__(self, engine: Any, begin: int, end: int) -> None:
        self.engine, self.begin, self.end = engine, begin, end
        numbers = particle_numbers(engine.first, engine.particles)[begin:end]
        motion, levels = engine.motion, engine.clock.levels
        self.increments = Source(numbers, motion.increments, INCREMENTS, engine.seed)
        self.further = [Source(numbers, motion.extras, 1 + level, engine.seed) for level in range(levels)]

    def run(self, paths: Sequence[DynkinBlock], *, watched: bool = False) -> tuple[Array, list[Array]]:
        """States (levels, times, n, rows), and for each functional of paths its integrals (levels, K, n).

        Raises
        ------
        NonFinite
            If a state becomes NaN or infinite; with ``watched`` in the step where it happens.
        """
        engine, size = self.engine, self.end - self.begin
        states = [engine.start[self.begin : self.end]] * engine.clock.levels
        out = np.empty((len(states), len(engine.clock.times), size, engine.motion.rows))
        spent: list[Array] = [np.zeros((len(states), p.block.degree, size)) for p in paths]
        kept, order = engine.clock.kept, noise_order(engine.clock.fine)
        sums = np.zeros((len(states), size, engine.motion.increments), np.float32)
        for s in range(engine.clock.fine):
            fresh = self.increments.at(int(order[s]))
            for level in range(len(states)):
                share = np.float32(engine.sign) * np.float32(0.5 ** (0.5 * level)) * fresh
                sums[level] = share if s % (1 << level) == 0 else sums[level] + share
                if (s + 1) % (1 << level) == 0:
                    states[level] = self._moved(states[level], level, s >> level, sums[level], paths, spent, watched)
            if kept[s] >= 0:
                out[:, kept[s]] = states
        return out, spent

    def _moved(
        self, state: Array, level: int, k: int, total: Array, paths: Any, spent: list[Array], watched: bool
    ) -> Array:
        times, lengths = self.engine._levels[level]
        t, h = float(times[k]), float(lengths[k])
        motion, d = self.engine.motion, self.engine.motion.problem.dimension
        for path, integral in zip(paths, spent, strict=True):
            if t < path.time * (1 - 1e-12):
                integral[level] += h * path.integrand(state[:, :d], t)
        dW = total.astype(float) * h**0.5
        try:
            with np.errstate(all="ignore"):  # what explodes is refused with its place
                moved = motion.advanced(Step(motion.problem, t, h), state, dW, self.further[level].at(k).astype(float))
        except NonFinite as error:
            raise self._named(error, state, t) from error
        if watched and not np.isfinite(moved[:, :d]).all():
            raise self._lost(state[0, :d], moved[0, :d], t, t + h)
        return moved

    def _named(self, error: NonFinite, state: Array, t: float) -> NonFinite:
        """The refusal of a coefficient with the particle that met it."""
        who = "" if error.row is None else f"particle {self.engine.first + self.begin + error.row}: "
        return NonFinite(
            f"{who}{error} The last good time is t={t:g}. If the drift makes particles explode, more steps help."
        )

    def _lost(self, before: Array, after: Array, t: float, end: float) -> NonFinite:
        return NonFinite(
            f"particle {self.engine.first + self.begin} goes from x={before.tolist()} at t={t:g}, the last good time, to "
            f"{after.tolist()} at t={end:g}: the step is too long for this drift, or it explodes. Use more steps."
        )
