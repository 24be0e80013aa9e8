r"""Grids: n cells on [lower, upper], uniform, or finer around a focus; products of uniform ones in two and three dimensions.

A stretched grid is a uniform one in another coordinate ξ: x = c + a sinh u, u growing linearly from the lower to the upper end. Cell i has
the centre x(ξ_i), the width w_i = x'(ξ_i) Δξ, and a density q = p x' per unit of ξ; whatever converges at some order for smooth functions
of ξ converges at that order on the stretched grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fpk.errors import GridError

NODES, WEIGHTS = np.polynomial.legendre.leggauss(3)
#: The nodes in the first half of a cell of width 1.
HALF_CELL = (1 + NODES) / 4
Value = TypeVar("Value")


def stored_index(times: Sequence[float], t: float, *, name: str) -> int:
    """The place of t among stored times.

    Raises
    ------
    GridError
        If t is not among them, with what is.
    """
    found = np.flatnonzero(np.isclose(times, t, rtol=1e-12, atol=1e-14))
    if not len(found):
        raise GridError(
            f"{name} was not stored at t={t:g}; stored: {[round(s, 6) for s in times[:12]]}. Add it to times=."
        )
    return int(found[0])


class once(cached_property[Value], Generic[Value]):
    """A cached property without the lock that functools takes before Python 3.12: a solve on a small grid would wait for it most."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """The value, computed at the first call."""
        if instance is None:
            return self
        value = instance.__dict__[self.attrname] = self.func(instance)
        return value


@dataclass(frozen=True)
class Grid:
    """A grid of ``cells`` cells on [``lower``, ``upper``].

    Parameters
    ----------
    lower, upper : float
    cells : int, default 200
    focus : float, optional
        c, where the cells are smallest; default a uniform grid.
    breadth : float, optional
        a, the distance from the focus over which they stay about as small; further out widths grow like |x − c|. Goes with ``focus``.

    Raises
    ------
    GridError
        If the interval is empty or not finite, there are fewer than 8 cells, or the stretching is not understood.

    Examples
    --------
    >>> Grid(-1, 1, cells=8).spacing
    0.25
    >>> Grid(-8, 8, cells=64, focus=0.0, breadth=0.5).widths.min().round(3)
    np.float64(0.054)
    """

    lower: float
    upper: float
    cells: int = 200
    focus: float | None = None
    breadth: float | None = None

    def __post_init__(self) -> None:
        numbers = all(isinstance(end, (int, float, np.number)) for end in (self.lower, self.upper))
        if not (numbers and math.isfinite(self.lower) and math.isfinite(self.upper) and self.lower < self.upper):
            raise GridError(f"a grid needs finite lower < upper, got [{self.lower}, {self.upper}].")
        whole = isinstance(self.cells, (int, float, np.number)) and math.isfinite(self.cells) and self.cells % 1 == 0
        if not whole or self.cells < 8:
            raise GridError(
                f"a grid needs a whole number of at least 8 cells (the widest stencil), got cells={self.cells!r}."
            )
        given = [value for value in (self.focus, self.breadth) if value is not None]
        finite = all(isinstance(value, (int, float, np.number)) and math.isfinite(value) for value in given)
        if len(given) == 1 or not finite or (given and not given[1] > 0):
            raise GridError(
                f"a stretched grid needs both a finite focus= and breadth > 0, got focus={self.focus}, breadth={self.breadth}. "
                "For a uniform grid give neither."
            )

    def __mul__(self, other: Grid | ProductGrid) -> ProductGrid:
        """The product of two grids: a box of cells."""
        return ProductGrid((self, *(other.axes if isinstance(other, ProductGrid) else (other,))))

    def __pow__(self, dimension: int) -> ProductGrid:
        """The product of a grid with itself."""
        return ProductGrid((self,) * dimension)

    @property
    def uniform(self) -> bool:
        """Whether all cells have one width."""
        return self.focus is None

    @once
    def spacing(self) -> float:
        """Δξ, the step of the coordinate in which the cells are equal: the cell width h of a uniform grid."""
        if self.uniform:
            return (self.upper - self.lower) / self.cells
        first, last = self._ends
        return (last - first) / self.cells

    @property
    def _ends(self) -> tuple[float, float]:
        """u = asinh((x − c)/a) at both ends."""
        return tuple(float(np.arcsinh((x - self.focus) / self.breadth)) for x in (self.lower, self.upper))  # type: ignore[operator, return-value]

    def position(self, index: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """x after ``index`` (not necessarily whole) cells from the lower end."""
        if self.uniform:
            return self.lower + index * self.spacing
        return self.focus + self.breadth * np.sinh(self._ends[0] + index * self.spacing)  # type: ignore[operator]

    def stretch(self, x: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """dx/dξ at x: 1 on a uniform grid."""
        return np.ones(x.shape) if self.uniform else np.hypot(x - self.focus, self.breadth)  # type: ignore[arg-type]

    @once
    def centers(self) -> NDArray[np.floating[Any]]:
        """Cell centres, shape (cells,)."""
        return self.position(np.arange(self.cells) + 0.5)

    @once
    def faces(self) -> NDArray[np.floating[Any]]:
        """Cell faces, shape (cells + 1,)."""
        return self.position(np.arange(self.cells + 1.0))

    @once
    def widths(self) -> NDArray[np.floating[Any]]:
        """Quadrature weights x'(ξ_i) Δξ of the centres, shape (cells,): spectrally accurate for functions that vanish at both ends."""
        return self.spacing * self.center_stretch

    @once
    def center_stretch(self) -> NDArray[np.floating[Any]]:
        """dx/dξ at the centres, shape (cells,)."""
        return self.stretch(self.centers)

    @once
    def face_stretch(self) -> NDArray[np.floating[Any]]:
        """dx/dξ at the faces, shape (cells + 1,)."""
        return self.stretch(self.faces)

    @once
    def half_cell_nodes(self) -> NDArray[np.floating[Any]]:
        """Three Gauss–Legendre nodes in each half cell, in order, shape (2 cells, 3)."""
        return self.position(np.arange(0, self.cells, 0.5)[:, None] + HALF_CELL)

    @once
    def half_cell_weights(self) -> NDArray[np.floating[Any]]:
        """Weights of these nodes for ∫ dx over each half cell, shape (2 cells, 3), or (1, 3) where all are alike."""
        weights = self.spacing / 4 * WEIGHTS[None]
        return weights if self.uniform else weights * self.stretch(self.half_cell_nodes)

    @once
    def cell_nodes(self) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
        """Three Gauss–Legendre nodes in each cell and weights for ∫ dx, each of shape (3 cells,)."""
        half, middle = np.diff(self.faces) / 2, (self.faces[1:] + self.faces[:-1]) / 2
        return (middle[:, None] + half[:, None] * NODES).ravel(), (half[:, None] * WEIGHTS).ravel()

    @once
    def samples(self) -> NDArray[np.floating[Any]]:
        """Centres and half-cell nodes in one column, shape (7 cells, 1): where a scheme reads the coefficients, in one call."""
        return np.concatenate([self.centers, self.half_cell_nodes.ravel()])[:, None]


@dataclass(frozen=True)
class ProductGrid:
    """A box of equal cells, the product of two or three uniform grids: ``Grid(-6, 6, cells=128) * Grid(-4, 4, cells=96)``.

    Arrays over it have the shape of the grid, the first axis first; positions are rows (N, d) in the same order.

    Parameters
    ----------
    axes : tuple of Grid
        Two or three, uniform.

    Raises
    ------
    GridError
        For other numbers of axes, or a stretched one.

    Examples
    --------
    >>> box = Grid(-1, 1, cells=8) * Grid(0, 3, cells=12)
    >>> box.shape, box.points.shape, box.volume
    ((8, 12), (96, 2), 0.0625)
    """

    axes: tuple[Grid, ...]

    def __post_init__(self) -> None:
        if len(self.axes) not in (2, 3) or not all(isinstance(axis, Grid) and axis.uniform for axis in self.axes):
            raise GridError(
                f"a product grid needs two or three uniform grids, got {self.axes}. For one dimension use the Grid itself; "
                "stretched grids exist in one dimension only."
            )

    def __mul__(self, other: Grid) -> ProductGrid:
        """One more axis."""
        return ProductGrid((*self.axes, other))

    def __str__(self) -> str:
        """The numbers of cells."""
        return " × ".join(str(n) for n in self.shape)

    @property
    def dimension(self) -> int:
        """Dimension d."""
        return len(self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(axis.cells for axis in self.axes)

    @property
    def cells(self) -> int:
        """All cells."""
        return math.prod(self.shape)

    @property
    def spacings(self) -> tuple[float, ...]:
        """Cell widths along the axes."""
        return tuple(axis.spacing for axis in self.axes)

    @property
    def volume(self) -> float:
        """Volume of a cell."""
        return math.prod(self.spacings)

    @once
    def points(self) -> NDArray[np.floating[Any]]:
        """Cell centres, shape (cells, d)."""
        return np.stack(np.meshgrid(*(axis.centers for axis in self.axes), indexing="ij"), axis=-1).reshape(
            -1, self.dimension
        )

    def halved(self) -> ProductGrid:
        """Half the cells along every axis."""
        return ProductGrid(tuple(Grid(a.lower, a.upper, cells=a.cells // 2) for a in self.axes))
