"""Uniform grids: n cells of width h on [lower, upper], with centres x_i = lower + (i + ½)h and faces lower + i h."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpk.errors import GridError


@dataclass(frozen=True)
class Grid:
    """A uniform grid of ``cells`` cells on [``lower``, ``upper``].

    Raises
    ------
    GridError
        If the interval is empty or not finite, or there are fewer than 8 cells.

    Examples
    --------
    >>> Grid(-1, 1, cells=8).spacing
    0.25
    """

    lower: float
    upper: float
    cells: int = 200

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lower) and np.isfinite(self.upper) and self.lower < self.upper):
            raise GridError(f"a grid needs finite lower < upper, got [{self.lower}, {self.upper}].")
        if int(self.cells) != self.cells or self.cells < 8:
            raise GridError(
                f"a grid needs a whole number of at least 8 cells (the widest stencil), got cells={self.cells!r}."
            )

    @property
    def spacing(self) -> float:
        """Cell width h."""
        return (self.upper - self.lower) / self.cells

    @property
    def centers(self) -> NDArray[np.floating[Any]]:
        """Cell centres, shape (cells,)."""
        return self.lower + (np.arange(self.cells) + 0.5) * self.spacing

    @property
    def faces(self) -> NDArray[np.floating[Any]]:
        """Cell faces, shape (cells + 1,)."""
        return self.lower + np.arange(self.cells + 1) * self.spacing
