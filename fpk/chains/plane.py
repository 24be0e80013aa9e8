r"""Chains of Gaussian kernels in the plane: the density on a tensor grid, one matrix product a step.

    p'(y₁, y₂) = Σ_j w_j N(y₁; m₁(x_j), s²) N(y₂; m₂(x_j), s²) = Σ_j A₁(y₁, j) w_j A₂(y₂, j),

with the trapezoidal rule, which is spectrally accurate for densities that vanish at the edges of their grid. Every law has its own grid, fitted to
where the law is; where images of neighbouring nodes are further apart than the noise is wide, the density is first interpolated (by Fourier series)
to a finer one. Slices of such a law are sums of Gaussians on the line, and are treated as those are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from fpk.chains.line import REACH, SPAN, Sources
from fpk.chains.pieces import CUT, Index, PiecewiseLaw, resolved
from fpk.errors import GridError
from fpk.laws import Array

Map = Callable[[Array], Array]

#: Spacing of the images of nodes, which are integrated, and of a grid, which is interpolated: in units of the noise.
FINE, GRID = 0.4, 0.45
#: Fewest and most nodes along an axis of a grid, and most of one that sources are interpolated to.
FEWEST, MOST, FINEST = 48, 192, 768
#: Nodes with less mass are left out. Sums are taken square by square (side in units of the noise), over so many at once.
NEGLIGIBLE, TILE, CHUNK = 1e-18, 8.0, 16_384
#: Share of the nodes along each axis between which a step is asked again.
_EVERY = 4


@dataclass(frozen=True, eq=False)
class PlaneDensity:
    """A density on a tensor grid.

    Parameters
    ----------
    axes : pair of arrays
        Evenly spaced, (n₁,) and (n₂,).
    values : array, shape (n₁, n₂)
    """

    axes: tuple[Array, Array]
    values: Array

    @property
    def cell(self) -> float:
        """Area of a cell."""
        return float(np.prod([axis[1] - axis[0] for axis in self.axes]))

    @property
    def mass(self) -> float:
        """∫ p."""
        return float(self.values.sum() * self.cell)

    def nodes(self) -> tuple[Array, Array]:
        """Positions (J, 2) and masses (J,) of the nodes that matter."""
        x = np.stack([part.ravel() for part in np.meshgrid(*self.axes, indexing="ij")], axis=1)
        held = self.values.ravel() * self.cell
        keep = np.abs(held) > NEGLIGIBLE
        return x[keep], held[keep]

    def finer(self, factor: int) -> PlaneDensity:
        """The Fourier interpolant on a grid ``factor`` times as fine."""
        if factor == 1:
            return self
        values = self.values
        for axis in range(2):
            values = _padded(values, factor, axis)
        axes = tuple(a[0] + (a[1] - a[0]) / factor * np.arange(factor * len(a)) for a in self.axes)
        return PlaneDensity((axes[0], axes[1]), values)

    def between(self) -> tuple[tuple[Array, Array], Array]:
        """Some points in the middles of cells, and the Fourier interpolant there."""
        fine = self.finer(2)
        first, second = (slice(1, None, 2 * _EVERY),) * 2
        return (fine.axes[0][first], fine.axes[1][second]), fine.values[first, second]


def _padded(values: Array, factor: int, axis: int) -> Array:
    n = values.shape[axis]
    modes = np.fft.rfft(values, axis=axis)
    return np.fft.irfft(modes, factor * n, axis=axis) * factor


@dataclass(frozen=True, eq=False)
class PlaneSources:
    """Gaussians of one width: places (J, 2), masses (J,) and the standard deviation of each coordinate."""

    places: Array
    masses: Array
    std: float

    def density(self, axes: tuple[Array, Array]) -> Array:
        """The sum on a tensor grid, (n₁, n₂)."""
        out = np.zeros((len(axes[0]), len(axes[1])))
        for part in self._tiles():
            places, window = self.places[part], self._window(axes, self.places[part])
            first, second = (
                self._factor(axis[at], places[:, i]) for i, (axis, at) in enumerate(zip(axes, window, strict=True))
            )
            out[window] += (first * self.masses[part]) @ second.T
        return out

    def _tiles(self) -> Iterator[Index]:
        """Numbers of the sources in each square of TILE standard deviations, no more than CHUNK at once."""
        square = np.floor((self.places - self.places.min(0)) / (TILE * self.std)).astype(np.intp)
        key = square @ np.array([square[:, 1].max() + 1, 1])
        order = np.argsort(key, kind="stable")
        for tile in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
            yield from np.array_split(tile, 1 + len(tile) // CHUNK)

    def _window(self, axes: tuple[Array, Array], places: Array) -> tuple[slice, slice]:
        """The part of a grid that Gaussians at these places reach."""
        reach = REACH * self.std
        first, second = (
            slice(*np.searchsorted(axis, [places[:, i].min() - reach, places[:, i].max() + reach]))
            for i, axis in enumerate(axes)
        )
        return first, second

    def _factor(self, axis: Array, places: Array) -> Array:
        z = (axis[:, None] - places) / self.std
        return np.exp(-0.5 * z * z) / (self.std * np.sqrt(2 * np.pi))

    def axes(self) -> tuple[Array, Array]:
        """A grid that holds the sum and resolves its Gaussians, as far as MOST nodes do."""
        first, second = (self._axis(self.places[:, i]) for i in range(2))
        return first, second

    def _axis(self, places: Array) -> Array:
        order = np.argsort(places)
        below = np.cumsum(self.masses[order])
        inside = places[order][(below > CUT) & (below < below[-1] - CUT)]
        lower, upper = inside[0] - REACH * self.std, inside[-1] + REACH * self.std
        count = int(np.clip(np.ceil((upper - lower) / (GRID * self.std)), FEWEST, MOST))
        return np.linspace(lower, upper, count)

    def at(self, x: Array) -> Array:
        """The sum at x of shape (n, 2); (n,)."""
        return self._weights(x) @ self.masses / (2 * np.pi * self.std**2)

    def score(self, x: Array) -> Array:
        """Gradient of the logarithm of the sum, shape (n, 2)."""
        weights = self._weights(x) * self.masses
        return (weights @ self.places / weights.sum(1)[:, None] - x) / self.std**2

    def _weights(self, x: Array) -> Array:
        squares = ((x[:, None] - self.places) ** 2).sum(2)
        return np.exp(-0.5 * squares / self.std**2)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions, shape (n, 2)."""
        chances = np.maximum(self.masses, 0.0)
        chosen = rng.choice(len(chances), size=n, p=chances / chances.sum())
        return self.places[chosen] + self.std * rng.standard_normal((n, 2))

    def along(self, direction: Array) -> PiecewiseLaw:
        """The law of ⟨direction, X⟩."""
        at = self.places @ direction
        order = np.argsort(at)
        line, std = Sources(at[order], self.masses[order]), self.std * float(np.linalg.norm(direction))
        start = line.edges(SPAN * std, REACH * std)
        return PiecewiseLaw(*resolved(lambda y: line.smeared(y, std), start, tolerance=1e-12)).trimmed()


def sources(law: PlaneDensity, mean: Map, std: float, *, finer: int = 1) -> PlaneSources:
    """Nodes so dense that neighbours' images are FINE standard deviations apart, ``finer`` times denser still.

    Raises
    ------
    GridError
        If more than FINEST nodes along an axis are needed.
    """
    apart = _stretch(law, mean) / (FINE * std)
    factor = finer * int(np.ceil(max(apart, 1.0)))
    if factor * max(len(a) for a in law.axes) > FINEST * finer:
        raise GridError(
            f"noise of {std:.3g} needs {factor} times the nodes of a grid of {[len(a) for a in law.axes]} in the plane, which is beyond "
            f"{FINEST}: take fewer steps, or end before the noise is that small."
        )
    x, held = law.finer(factor).nodes()
    return PlaneSources(mean(x), held, std)


def _stretch(law: PlaneDensity, mean: Map) -> float:
    """Largest distance of the images of two neighbours that hold any mass."""
    shape = law.values.shape
    x = np.stack([part.ravel() for part in np.meshgrid(*law.axes, indexing="ij")], axis=1)
    at = mean(x).reshape(*shape, 2)
    heavy = np.abs(law.values) * law.cell > 1e-14
    gaps = (
        np.abs(np.diff(at, axis=0)).max(2)[heavy[:-1] & heavy[1:]],
        np.abs(np.diff(at, axis=1)).max(2)[heavy[:, :-1] & heavy[:, 1:]],
    )
    return float(max(gap.max(initial=0.0) for gap in gaps))


def smeared(law: PlaneDensity, mean: Map, std: float) -> tuple[PlaneDensity, PlaneSources, float]:
    """The law of mean(X) + std Z on its own grid, the Gaussians it is made of, and its error in the L¹ norm."""
    near = sources(law, mean, std)
    axes = near.axes()
    out = PlaneDensity(axes, near.density(axes))
    return out, near, _step_error(law, out, sources(law, mean, std, finer=2))


def _step_error(before: PlaneDensity, after: PlaneDensity, nearer: PlaneSources) -> float:
    """∫ |after − nearer| from some middles of cells, the change of the whole mass, and what is cut off."""
    axes, values = after.between()
    gap = np.abs(values - nearer.density(axes)).mean() * after.cell * after.values.size
    return float(2 * gap) + abs(after.mass - before.mass) + 8 * CUT
