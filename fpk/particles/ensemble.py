"""An ensemble of particles as marginals: sample means with their covariance and the budget of the time step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fpk.errors import ComparisonError, ProblemError
from fpk.laws import Array, Law, TabulatedLaw
from fpk.marginals import ROUND_OFF, Estimate, panel_step_budget, step_budget
from fpk.panels import Panel, ThresholdBlock
from fpk.particles.histograms import histogram
from fpk.paths import DynkinBlock
from fpk.shown import Shown, Summarised

Replay = Callable[[Sequence[DynkinBlock]], Sequence[Array]]


@dataclass(frozen=True, eq=False, repr=False)
class ParticleMarginals(Summarised, Shown):
    """Positions of an ensemble at some times, on a ladder of time steps Δt, 2Δt, ... on the same Brownian paths.

    Parameters
    ----------
    times : tuple of float
    positions : array, shape (levels, len(times), particles, d)
        The finest level first: it is what is reported; the next one gives the budget of the time step.
    noise_key : str
        Names the noise: equal keys mean the same increments, particle by particle.
    start : array, shape (particles, d)
        Positions at t = 0.
    replay : callable, optional
        Blocks of path functionals ↦ their integrals along the same paths, (levels, K, particles) for each block.
    scheme : str
        The discretisation, by its steps: what :func:`fpk.closed_form.euler_chain` gives the exact law of.
    source : str
    units : int, optional
        Number of independent units of consecutive particles, each unit of the same size; default every particle is one.
    absorbed : array, shape (levels, particles), optional
        Times of absorption, infinite where a particle still lives at the last time.
    exact : bool
        Whether the steps themselves are exact, so that one level needs no budget.
    problem : Problem, optional
        Whose particles they are, where that is known.
    """

    times: tuple[float, ...]
    positions: Array
    noise_key: str
    start: Array = field(default_factory=lambda: np.zeros((0, 1)))
    replay: Replay | None = None
    scheme: str = ""
    source: str = "particles"
    units: int | None = None
    absorbed: Array | None = None
    exact: bool = False
    problem: Any = None
    exactness: ClassVar[int] = 0

    @property
    def particles(self) -> int:
        """Number of particles."""
        return self.positions.shape[2]

    @property
    def dimension(self) -> int:
        """Dimension d."""
        return self.positions.shape[3]

    @property
    def fine(self) -> Array:
        """Positions with the shortest steps, shape (len(times), particles, d)."""
        return self.positions[0]

    @property
    def coarse(self) -> Array:
        """Positions with steps twice as long.

        Raises
        ------
        ComparisonError
            If only one level was simulated.
        """
        if len(self.positions) < 2:
            raise ComparisonError(f"{self.source} has one level of steps; simulate with levels=2 or more.")
        return self.positions[1]

    def level(self, level: int) -> ParticleMarginals:
        """The ensemble with steps 2^level times as long, on the same noise, and those above it."""
        if not 0 <= level < len(self.positions):
            raise ComparisonError(f"level {level} of {len(self.positions)} was asked for; the finest is 0.")
        gone = None if self.absorbed is None else self.absorbed[level:]
        source = f"{self.source}, steps × {2**level}" if level else self.source
        return replace(
            self, positions=self.positions[level:], absorbed=gone, source=source, scheme="", replay=self._lifted(level)
        )

    def _lifted(self, level: int) -> Replay | None:
        replay = self.replay
        return None if replay is None else lambda paths: [spent[level:] for spent in replay(paths)]

    def samples(self, t: float) -> Array:
        """Positions at time t, shape (particles, d)."""
        return self.fine[self._index(t)]

    def alive(self, t: float, *, level: int = 0) -> NDArray[np.bool_]:
        """Which particles are not absorbed by time t, shape (particles,)."""
        return np.ones(self.particles, bool) if self.absorbed is None else self.absorbed[level] > t

    def _index(self, t: float) -> int:
        found = np.flatnonzero(np.isclose(self.times, t, rtol=1e-12, atol=1e-14))
        if not len(found):
            raise ProblemError(f"positions were not kept at t={t:g}; kept: {list(self.times)}. Add it to times=.")
        return int(found[0])

    def law(self, t: float) -> Law:
        """A smooth pilot law (d = 1) from a Gaussian-kernel density of the particles: a reference, not an estimate."""
        return self._pilots[self._index(t)]

    @cached_property
    def _pilots(self) -> list[Law]:
        if self.fine.shape[2] != 1:
            raise ProblemError(
                "particles in d > 1 offer no pilot law; compare with a side that knows its law, or give panel=."
            )
        return [_pilot(x[self.alive(t)][:20_000, 0]) for t, x in zip(self.times, self.fine, strict=True)]

    def histogram(self, edges: Array, t: float) -> tuple[Array, Array]:
        """Density over bins between equally spaced edges, and its standard error, (bins,) each: see :func:`fpk.particles.histograms.histogram`."""
        places = np.where(self.alive(t), self.samples(t)[:, 0], np.inf)
        return histogram(places, edges, units=self.units)

    def expect(self, panel: Panel) -> Estimate:
        """Sample means with covariance, block means and the time-step budget. Functionals of paths replay the same noise."""
        values = [self._of_units(v) for v in self._values(panel, 2)]
        fine, n = values[0], values[0].shape[1]
        step_bias = self._step_bias(values)
        steps = [self._distribution(block) for block in panel.thresholds]
        return Estimate(
            fine.mean(1),
            step_bias + ROUND_OFF,
            covariance=np.atleast_2d(np.cov(fine)) / n,
            samples=n,
            averaged=self.units is not None,
            thresholds=np.concatenate([s[0] for s in steps]) if steps else np.zeros(0),
            threshold_bound=np.concatenate([s[1] for s in steps]) if steps else np.zeros(0),
            block_means=_block_means(fine),
            coarse_block_means=_block_means(values[1]) if len(values) > 1 else None,
            noise_key=self.noise_key,
            step_bias=step_bias,
            scheme=self.scheme or None,
            source=self.source,
        )

    def _step_bias(self, values: Sequence[Array]) -> Array:
        """From the change from twice the step; nothing for exact steps, infinite without a companion."""
        if self.exact:
            return np.zeros(len(values[0]))
        if len(values) == 1:
            return np.full(len(values[0]), np.inf)
        change = values[0] - values[1]
        return panel_step_budget(change.mean(1), change.std(1, ddof=1) / np.sqrt(change.shape[1]))

    def _of_units(self, values: Array) -> Array:
        """Means over the independent units, shape (K, units)."""
        return values if self.units is None else values.reshape(len(values), self.units, -1).mean(2)

    def values(self, panel: Panel) -> Array:
        """The panel's functionals on the finest level, averaged over each independent unit: shape (K, units)."""
        return self._of_units(self._values(panel, 1)[0])

    def _values(self, panel: Panel, levels: int) -> list[Array]:
        """The functionals over the finest levels, each (K, particles)."""
        paths = [b for b in panel.smooth if isinstance(b, DynkinBlock)]
        integrals = iter(self._replayed(paths) if paths else ())
        spent = {id(block): next(integrals) for block in paths}
        return [
            np.concatenate([self._block_values(block, level, spent) for block in panel.smooth])
            for level in range(min(levels, len(self.positions)))
        ]

    def _replayed(self, paths: Sequence[DynkinBlock]) -> Sequence[Array]:
        if self.replay is None:
            raise ComparisonError(
                f"{self.source} kept no paths: functionals of paths need an ensemble made by fpk.simulate."
            )
        return self.replay(paths)

    def _block_values(self, block: Any, level: int, spent: dict[int, Array]) -> Array:
        """The functionals of one block on one level, (K, particles); absorbed particles count as 0."""
        places = [self.positions[level, self._index(t)] for t in block.times]
        if isinstance(block, DynkinBlock):
            if self.absorbed is not None:
                raise ComparisonError(
                    "Dynkin residuals of absorbed particles are not available: their paths end at the walls."
                )
            return block.residuals(self.start, places[0], spent[id(block)][level])
        values = block.values(*places)
        return values if self.absorbed is None else values * self.alive(max(block.times), level=level)

    def _distribution(self, block: ThresholdBlock) -> tuple[Array, Array]:
        """Empirical distribution function at the thresholds and its time-step budget."""
        k, n, points = self._index(block.time), self.particles, block.points
        ends = [
            np.where(self.alive(block.time, level=level), x[k] @ block.direction, np.inf)
            for level, x in enumerate(self.positions[:2])
        ]

        def below(x: Array) -> Array:
            return np.searchsorted(np.sort(x), points, side="right") / n

        value = below(ends[0])
        if self.exact or len(ends) == 1:
            return value, np.full(len(points), 0.0 if self.exact else np.inf)
        crossed = below(np.minimum(*ends)) - below(np.maximum(*ends))  # particles with the point between
        return value, step_budget(value - below(ends[1]), np.sqrt(crossed / n))


def _block_means(values: Array) -> Array | None:
    """Means over up to 256 equal blocks of consecutive particles, shape (B, K); None below 32 blocks of 8."""
    count = min(256, values.shape[1] // 8)
    size = values.shape[1] // max(count, 1)
    return values[:, : count * size].reshape(len(values), count, size).mean(2).T if count >= 32 else None


def _pilot(x: Array) -> TabulatedLaw:
    from scipy.stats import gaussian_kde

    kernel = gaussian_kde(x[:5000])
    reach = 4 * float(x.std())
    points = np.linspace(x.min() - reach, x.max() + reach, 801)
    return TabulatedLaw(points, np.log(np.maximum(kernel(points), 1e-300)))
