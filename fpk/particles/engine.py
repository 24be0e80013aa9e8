r"""The engine: an ensemble moved through its steps, compiled or step by step in Python, on noise that depends on addresses alone.

The normal numbers of particle i in step s are a function of (seed, i, s): they do not depend on threads, tiles, or which particles are
simulated together.
Steps whose coefficients can be traced are compiled; others are served, tile by tile, from the same noise. Both give the same numbers up to the
rounding of elementary functions.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpk.errors import NonFinite
from fpk.laws import Array
from fpk.particles.clock import Clock, noise_order, particle_numbers
from fpk.particles.motion import Motion
from fpk.particles.philox import key_of
from fpk.particles.steps import Step
from fpk.paths import DynkinBlock
from fpk.tracing import Trace

#: Particles served at once to functions that are called: enough to hide the interpreter.
SERVED = 8192
#: Initial positions are drawn in pieces of this size, each with its own key.
DRAWN = 8192


@dataclass(frozen=True, eq=False)
class Engine:
    """One ensemble, to be run as often as its paths are needed: the same seed gives the same paths.

    Parameters
    ----------
    motion : Motion
    clock : Clock
    particles, first : int
        How many, and the number of the first.
    seed : int
    threads : int
    sign : float, default 1
        −1 mirrors every increment.
    compiled : bool, default True
        Whether steps are compiled where they can be.
    """

    motion: Motion
    clock: Clock
    particles: int
    first: int
    seed: int
    threads: int
    sign: float = 1.0
    compiled: bool = True

    @cached_property
    def start(self) -> Array:
        """States at t = 0, shape (particles, rows)."""
        pieces = range(self.first // DRAWN, (self.first + self.particles - 1) // DRAWN + 1)
        offset = self.first - pieces[0] * DRAWN
        drawn = np.concatenate([self._drawn(piece) for piece in pieces])
        return self.motion.started(drawn[offset : offset + self.particles])

    def _drawn(self, piece: int) -> Array:
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(self.seed, spawn_key=(piece,))))
        return self.motion.problem.initial.sample(DRAWN, rng)

    @cached_property
    def traced(self) -> tuple[Trace, Array] | None:
        """The step as a trace with its results, for all steps of all levels; None where it cannot be traced."""
        from fpk.particles.compilation import symbols

        times, lengths = (np.concatenate(parts) for parts in zip(*self._levels, strict=True))
        trace = Trace(len(times))
        step = Step(self.motion.problem, times, lengths, trace)
        x, w, y = (symbols(trace, letter, count) for letter, count in self._counts.items())
        try:
            return trace, self.motion.advanced(step, x, step.root * w, y)[0]
        except (TypeError, AttributeError):  # NotTraceable, and what else Python says of numbers that have no value
            return None

    @property
    def _counts(self) -> dict[str, int]:
        return {"x": self.motion.rows, "w": self.motion.increments, "y": self.motion.extras}

    @cached_property
    def _levels(self) -> list[tuple[Array, Array]]:
        return [self.clock.steps(level) for level in range(self.clock.levels)]

    def run(self) -> Array:
        """States at the kept times, shape (levels, times, particles, rows).

        Raises
        ------
        NonFinite
            If a state becomes NaN or infinite: with the particle, its place, and the last good time.
        """
        out = self._driven() if self.compiled and self.traced is not None else self._served([])[0]
        if self.clock.done[0] == 0:
            out[:, 0] = self.start
        self._check(out)
        return out

    def integrals(self, paths: Sequence[DynkinBlock]) -> list[Array]:
        """∫₀ᵗ Lφ ds along the paths of each level, left-point rule, for each block: shape (levels, K, particles)."""
        return self._served(paths)[1]

    def _driven(self) -> Array:
        from fpk.particles.compilation import compiled
        from fpk.particles.driving import TILE, drive
        from fpk.particles.streams import chunk

        assert self.traced is not None
        trace, results = self.traced
        advance, table = compiled(trace, results, self._counts), trace.table
        counts = [len(times) for times, _ in self._levels]
        first = np.cumsum([0, *counts[:-1]])
        tiles = -(-self.particles // TILE)
        start, numbers = (
            _tiled(self.start, tiles, TILE),
            _tiled(particle_numbers(self.first, self.particles)[:, None], tiles, TILE),
        )
        out = np.empty((self.clock.levels, len(self.clock.times), *start.shape))
        order, kept, key = noise_order(self.clock.fine), self.clock.kept, key_of(self.seed)
        m, e, sign = self.motion.increments, self.motion.extras, np.float32(self.sign)
        draws = (m, chunk(m), e, chunk(e))

        def piece(begin: int) -> None:
            drive(
                advance, numbers[:, 0], start, out, begin, min(begin + size, tiles), table, first, order, kept, *draws, *key, sign
            )  # fmt: skip

        size = -(-tiles // (8 * self.threads))
        self._everywhere(piece, range(0, tiles, size))
        return np.swapaxes(out, 3, 4).reshape(*out.shape[:2], -1, self.motion.rows)[:, :, : self.particles]

    def _everywhere(self, work: Any, pieces: Sequence[Any]) -> list[Any]:
        """Work on all pieces, in threads; results in the order of the pieces."""
        if self.threads == 1 or len(pieces) == 1:
            return [work(piece) for piece in pieces]
        with ThreadPoolExecutor(max_workers=min(self.threads, 2 * (os.cpu_count() or 1))) as pool:
            return list(pool.map(work, pieces))

    def _served(self, paths: Sequence[DynkinBlock]) -> tuple[Array, list[Array]]:
        from fpk.particles.serving import Served

        tiles = [Served(self, begin, min(begin + SERVED, self.particles)) for begin in range(0, self.particles, SERVED)]
        done = self._everywhere(lambda tile: tile.run(paths), tiles)
        states = np.concatenate([states for states, _ in done], axis=2)
        return states, [np.concatenate(parts, axis=2) for parts in zip(*(spent for _, spent in done), strict=True)]

    def _check(self, out: Array) -> None:
        d = self.motion.problem.dimension
        bad = (
            ~np.isfinite(out[..., :d]).all(axis=(0, 1, 3)) if not np.isfinite(out[..., :d].sum()) else np.zeros(1, bool)
        )
        if bad.any():
            from fpk.particles.serving import Served

            begin = int(np.argmax(bad))
            Served(self, begin, begin + 1).run([], watched=True)
            where: Any = out[:, :, begin, :d]
            raise NonFinite(
                f"particle {self.first + begin} came to {where[0].tolist()} at the kept times {list(self.clock.times)}. Use more steps."
            )


def _tiled(values: NDArray[Any], tiles: int, size: int) -> NDArray[Any]:
    """Values of shape (n, rows) as contiguous tiles (tiles, rows, size), the last particle repeated to fill the last."""
    missing = tiles * size - len(values)
    if missing:
        values = np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
    return np.ascontiguousarray(np.swapaxes(values.reshape(tiles, size, -1), 1, 2))
