r"""What a density on a product grid says about one direction, and between the cell centres.

The law of ⟨e, X⟩ has the characteristic function of X along e (the *projection theorem*), and midpoint sums give it with spectral accuracy for
a density that the grid resolves:

    c_m = ∫ p(x) e^{−i k_m (⟨e, x⟩ − a)} dx,    k_m = 2π m / L,

for ⟨e, x⟩ between a and a + L in the box. Its density and distribution function are Fourier sums over the waves that the cells carry,
|k e_i| < π/h_i.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fpk.errors import GridError
from fpk.grids import ProductGrid
from fpk.laws import Array, TabulatedLaw

#: Points of a table for each wave, and at least.
PER_WAVE, LEAST = 8, 2048
#: Values this far below the peak, relative to it, are round-off.
ROUNDED = 1e-11


@dataclass(frozen=True, eq=False)
class Slice:
    """The law of ⟨e, X⟩, as Fourier coefficients.

    Parameters
    ----------
    lower, length : float
        a and L.
    modes : complex array, shape (M,)
        c_0 ... c_{M−1}.
    """

    lower: float
    length: float
    modes: Array

    @cached_property
    def _waves(self) -> Array:
        return 2 * np.pi / self.length * np.arange(1, len(self.modes))

    def cdf(self, y: Array) -> Array:
        """P(⟨e, X⟩ ≤ y) at y of shape (n,)."""
        s = np.clip(y - self.lower, 0.0, self.length)
        waves = np.expm1(1j * np.multiply.outer(s, self._waves)) @ (self.modes[1:] / (1j * self._waves))
        return (self.modes[0].real * s + 2 * waves.real) / self.length

    @cached_property
    def table(self) -> tuple[Array, Array]:
        """Equally spaced points from a, without the end a + L, and the density there."""
        count = max(LEAST, PER_WAVE * len(self.modes))
        padded = np.zeros(count // 2 + 1, complex)
        padded[: len(self.modes)] = self.modes
        return self.lower + self.length / count * np.arange(count), np.fft.irfft(padded, count) * count / self.length

    def expected(self, block: Any) -> Array:
        """E φ of a block of functionals of ⟨e, X⟩: sums over the table, which is finer than the cells, shape (K,)."""
        y, density = self.table
        return block.values(y[:, None]) @ density * (self.length / len(y))

    def law(self) -> TabulatedLaw:
        """The law with this density, normalised.

        Raises
        ------
        GridError
            If the density undershoots by more than a percent of its peak.
        """
        y, density = self.table
        logs, reliable = logarithm(density, "the density of a slice")
        return TabulatedLaw(y, logs, support=(self.lower, self.lower + self.length), reliable=reliable)


def logarithm(density: Array, name: str) -> tuple[Array, float]:
    """Log p, cut at the noise, and how far below its maximum the noise is.

    Raises
    ------
    GridError
        Where undershoots leave nothing to rely on.
    """
    top, noise = float(density.max()), max(30 * float(-density.min()), ROUNDED * float(density.max()))
    if noise > 0.1 * top:
        raise GridError(
            f"{name} falls to {density.min():.3g} (peak {top:.3g}): not resolved. Use more cells, or positive=True."
        )
    return np.log(np.maximum(density, noise)), float(np.log(top / noise))


def sliced(grid: ProductGrid, density: Array, direction: Array) -> Slice:
    """The slice of a density of the grid's shape along a direction of shape (d,)."""
    e = np.asarray(direction, float)
    kept = np.flatnonzero(e)
    if not len(kept):
        raise GridError("a slice needs a direction, got zeros. Give one number for each axis, not all of them 0.")
    axes = [grid.axes[i] for i in kept]
    p = density.sum(axis=tuple(i for i in range(grid.dimension) if i not in kept)) * grid.volume
    ends = [sorted((c * axis.lower, c * axis.upper)) for c, axis in zip(e[kept], axes, strict=True)]
    lower, length = sum(a for a, _ in ends), sum(b - a for a, b in ends)
    finest = min(np.pi / (abs(c) * axis.spacing) for c, axis in zip(e[kept], axes, strict=True))
    waves = 2 * np.pi / length * np.arange(int(np.ceil(finest * length / (2 * np.pi) * (1 - 1e-12))))
    phases = [np.exp(-1j * np.multiply.outer(waves, c * axis.centers)) for c, axis in zip(e[kept], axes, strict=True)]
    modes = phases[0] @ p.reshape(len(p), -1)
    for phase in phases[1:]:
        modes = np.einsum("kij,ki->kj", modes.reshape(len(waves), phase.shape[1], -1), phase)
    return Slice(lower, length, modes[:, 0] * np.exp(1j * waves * lower))


def tensor_spline(grid: ProductGrid, values: Array) -> Any:
    """The quintic tensor spline through values at the centres, of the grid's shape; called with positions (n, d) and ``nu`` derivatives."""
    from scipy.interpolate import NdBSpline, make_interp_spline

    knots, coefficients = [], values
    for axis, line in enumerate(grid.axes):
        spline = make_interp_spline(line.centers, coefficients, k=5, axis=axis)
        knots.append(spline.t)
        coefficients = np.moveaxis(spline.c, 0, axis)
    return NdBSpline(tuple(knots), np.ascontiguousarray(coefficients), k=5)
