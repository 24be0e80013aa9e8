r"""Independence of particles: what no law of a single particle can show.

Reusing noise across particles leaves every marginal right and every error bar wrong. For independent particles the correlations of φ(X^i) with
φ(X^{i+l}) over the particle index vanish at every lag l; of standardised values z they are ρ̂_l = (1/n) Σ_i z_i z_{i+l} (indices wrap around), with
mean −1/(n − 1), variance about 1/n and no correlation between lags. All lags are taken, so noise shared at any distance is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.errors import ComparisonError
from fpk.laws import Array
from fpk.marginals import Estimate
from fpk.panels import Panel


@dataclass(frozen=True, eq=False)
class Correlations:
    """Correlations over the particle index, for each functional of a panel.

    Compare with :class:`fpk.marginals.Vanishing` on the panel of :meth:`panel`; only sources with ``samples(t)`` can be asked.

    Parameters
    ----------
    particles : object with ``samples(t)`` of shape (n, d)
    base : Panel
        One-time functionals φ.
    lags : tuple of int, optional
        Default all of 1 ... n/2, so that noise shared at any distance is found.

    Raises
    ------
    ComparisonError
        If the source has no samples, or fewer than 1000.
    """

    particles: Any
    base: Panel
    lags: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not hasattr(self.particles, "samples"):
            raise ComparisonError("independence is a question to particles: the source has no samples(t).")

    @property
    def panel(self) -> Panel:
        """The lagged functionals, to be passed to ``compare``."""
        block = self.base.smooth[0]
        n = len(self.particles.samples(block.time))
        if n < 1000:
            raise ComparisonError(f"correlations over the particle index need at least 1000 particles, got {n}.")
        lags = tuple(range(1, n // 2 + 1)) if self.lags is None else self.lags
        return Panel(tuple(LagBlock(b, lags) for b in self.base.smooth))

    def expect(self, panel: Panel) -> Estimate:
        """ρ̂_l for every functional and lag, uncorrelated with variance 1/n under independence."""
        values, n = [], 0
        for block in panel.smooth:
            z = block.base.values(self.particles.samples(block.base.time))
            n = z.shape[1]
            z = (z - z.mean(1, keepdims=True)) / z.std(1, keepdims=True)
            spectrum = np.abs(np.fft.rfft(z, axis=1)) ** 2
            values.append((np.fft.irfft(spectrum, n, axis=1)[:, list(block.lags)] / n + 1 / (n - 1)).ravel())
        value = np.concatenate(values)
        source = f"correlations of {getattr(self.particles, 'source', 'particles')}"
        return Estimate(
            value, np.full_like(value, 1e-12), covariance=np.full(len(value), 1 / (n - 1)), samples=n, source=source
        )


@dataclass(frozen=True, eq=False)
class BatchMeans:
    """Variance of the means of batches of consecutive particles over what independent particles give, less 1, for each functional.

    With B batches of m of n particles it is m Var(means)/Var(values) − 1, with mean 0 and variance about 2/(B − 1) under independence: it sums up
    correlations at all lags below m. Compare with :class:`fpk.marginals.Vanishing`.

    Parameters
    ----------
    particles : object with ``samples(t)`` of shape (n, d)
    base : Panel
        One-time functionals φ.
    batches : int, default 256

    Raises
    ------
    ComparisonError
        If a batch would hold fewer than two particles.
    """

    particles: Any
    base: Panel
    batches: int = 256

    def expect(self, panel: Panel) -> Estimate:
        """The ratios less 1; the panel is the one-time panel itself."""
        ratios = np.concatenate([self._ratios(block) for block in panel.smooth])
        variance = np.full(len(ratios), 2 / (self.batches - 1))
        source = f"batch means of {getattr(self.particles, 'source', 'particles')}"
        return Estimate(ratios, np.full_like(ratios, 1e-12), covariance=variance, samples=self.batches, source=source)

    def _ratios(self, block: Any) -> Array:
        values = block.values(self.particles.samples(block.time))
        size = values.shape[1] // self.batches
        if size < 2:
            raise ComparisonError(
                f"{self.batches} batches need at least twice as many particles, got {values.shape[1]}."
            )
        whole = values[:, : size * self.batches]
        means = whole.reshape(len(values), self.batches, size).mean(2)
        return size * means.var(1, ddof=1) / whole.var(1, ddof=1) - 1


@dataclass(frozen=True, eq=False)
class LagBlock:
    """Products φ_k(X^i) φ_k(X^{i+l}) of a one-time block at the lags l."""

    base: Any
    lags: tuple[int, ...]

    @property
    def times(self) -> tuple[float, ...]:
        """The times whose positions the functionals need."""
        return self.base.times

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each functional and lag."""
        return tuple(f"lag {lag} of {name}" for name in self.base.names for lag in self.lags)

    @property
    def frozen(self) -> tuple[Array, ...]:
        """The tables that define the functionals."""
        return (*self.base.frozen, np.array(self.lags))
