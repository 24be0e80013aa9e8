"""An ensemble of particles as marginals: sample means with their covariance and the budget of the time step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fpk.errors import ComparisonError, ProblemError
from fpk.laws import Array, Law, TabulatedLaw
from fpk.marginals import ROUND_OFF, Estimate
from fpk.panels import Panel, ThresholdBlock
from fpk.paths import DynkinBlock

Replay = Callable[[Sequence[DynkinBlock]], Iterator[tuple[Array, Array]]]


@dataclass(frozen=True, eq=False)
class ParticleMarginals:
    """Positions of an ensemble at some times, from steps Δt and (the companion) 2Δt.

    Parameters
    ----------
    times : tuple of float
    fine, coarse : array, shape (len(times), particles, d)
    noise_key : str
        Names the noise: equal keys mean the same increments, particle by particle.
    start : array, shape (particles, d)
        Positions at t = 0.
    replay : callable, optional
        Blocks of path functionals ↦ their integrals along the same paths, fine and coarse, for each block.
    scheme : str
        The discretisation, by its steps: what :func:`fpk.closed_form.euler_chain` gives the exact law of.
    source : str
    """

    times: tuple[float, ...]
    fine: Array
    coarse: Array
    noise_key: str
    start: Array = field(default_factory=lambda: np.zeros((0, 1)))
    replay: Replay | None = None
    scheme: str = ""
    source: str = "particles"
    exactness: ClassVar[int] = 0

    @property
    def particles(self) -> int:
        """Number of particles."""
        return self.fine.shape[1]

    def samples(self, t: float) -> Array:
        """Positions at time t, shape (particles, d)."""
        return self.fine[self._index(t)]

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
        return [_pilot(x[:20_000, 0]) for x in self.fine]

    def density_on(self, x: Array, t: float) -> Array:
        """A histogram of 120 bins over the range of x, read at x of shape (n,): to look at, not to compare."""
        counts, edges = np.histogram(self.samples(t)[:, 0], bins=120, range=(x[0], x[-1]))
        return np.interp(x, 0.5 * (edges[1:] + edges[:-1]), counts / (self.particles * (edges[1] - edges[0])))

    def expect(self, panel: Panel) -> Estimate:
        """Sample means with covariance, block means and the time-step budget. Functionals of paths replay the same noise."""
        paths = [b for b in panel.smooth if isinstance(b, DynkinBlock)]
        integrals = self._replayed(paths) if paths else iter(())
        pairs = [self._values(block, integrals) for block in panel.smooth]
        fine, coarse = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
        n, change = self.particles, fine - coarse
        step_bias = 1.25 * np.abs(change.mean(1)) + 3 * change.std(1, ddof=1) / np.sqrt(n)
        steps = [self._distribution(block) for block in panel.thresholds]
        return Estimate(
            fine.mean(1),
            step_bias + ROUND_OFF,
            covariance=np.atleast_2d(np.cov(fine)) / n,
            samples=n,
            thresholds=np.concatenate([s[0] for s in steps]) if steps else np.zeros(0),
            threshold_bound=np.concatenate([s[1] for s in steps]) if steps else np.zeros(0),
            block_means=_block_means(fine),
            coarse_block_means=_block_means(coarse),
            noise_key=self.noise_key,
            step_bias=step_bias,
            scheme=self.scheme or None,
            source=self.source,
        )

    def _replayed(self, paths: Sequence[DynkinBlock]) -> Iterator[tuple[Array, Array]]:
        if self.replay is None:
            raise ComparisonError(
                f"{self.source} kept no paths: functionals of paths need an ensemble made by fpk.simulate."
            )
        return self.replay(paths)

    def _values(self, block: Any, integrals: Iterator[tuple[Array, Array]]) -> tuple[Array, Array]:
        """The functionals of one block over the fine and the coarse ensemble, each (K, particles)."""
        if isinstance(block, DynkinBlock):
            k, spent = self._index(block.time), next(integrals)
            ends = (self.fine[k], self.coarse[k])
            fine, coarse = (block.residuals(self.start, end, used) for end, used in zip(ends, spent, strict=True))
            return fine, coarse
        at = [self._index(t) for t in block.times]
        return block.values(*(self.fine[k] for k in at)), block.values(*(self.coarse[k] for k in at))

    def _distribution(self, block: ThresholdBlock) -> tuple[Array, Array]:
        """Empirical distribution function at the thresholds and its time-step budget."""
        k, n, points = self._index(block.time), self.particles, block.points
        fine, coarse = self.fine[k] @ block.direction, self.coarse[k] @ block.direction

        def below(x: Array) -> Array:
            return np.searchsorted(np.sort(x), points, side="right") / n

        value = below(fine)
        crossed = below(np.minimum(fine, coarse)) - below(np.maximum(fine, coarse))  # particles with the point between
        return value, 1.25 * np.abs(value - below(coarse)) + 3 * np.sqrt(crossed / n)


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
