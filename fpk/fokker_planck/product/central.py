r"""Central differences of eighth order for the Fokker–Planck operator in the plane and in space, and for its transpose.

    A p = Σ_i S_i ( −f_i p + 2 Σ_{j>i} S_j (D_ij p) ) + Σ_i δ_i (D_ii p),      Aᵀ u = Σ_i f_i S_i u + 2 Σ_{i<j} D_ij S_i S_j u + Σ_i D_ii δ_i u,

    S u = Σ_k c_k (u_{+k} − u_{−k}) / h,    δ u = Σ_k d_k (u_{+k} − 2 u + u_{−k}) / h²,    k = 1 ... 4.

Outside the box p = 0, so that mass changes by what crosses the edges and by nothing else. A cross derivative is one first difference of another,
hence its symbol never exceeds the geometric mean of those of δ_i and δ_j: the discrete diffusion dissipates wherever D ≥ 0.

Kernels compute whole stages y ← a v + s A p + m p + b y: grids are larger than caches, and reading them is what takes time. Rows (in space:
planes) enter in order, leave what others need of them in rings, and four or five rows later the stage of a row is complete. Each number
depends on its neighbours only: rows may be shared among threads as one likes, with the same result.

States are *framed*: :data:`REACH` cells of zeros around the box.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from fpk.fokker_planck.product import plane_kernels, space_kernels
from fpk.fokker_planck.product.differences import FIRST, REACH, ROUND, SECOND
from fpk.fokker_planck.product.fields import Fields, pairs
from fpk.grids import ProductGrid
from fpk.laws import Array

#: Threads that share the rows of a stage, and cells from which on they do.
THREADS, SHARED = 2, 40_000


def aligned(shape: tuple[int, ...]) -> Array:
    """Zeros, in rows whose first cell behind the frame is where a vector of 512 bits begins (if rows are a multiple of eight long)."""
    raw = np.zeros(prod(shape) + 8)
    skipped = -(raw.__array_interface__["data"][0] // 8 + REACH) % 8
    return raw[skipped : skipped + prod(shape)].reshape(shape)


def blank(shape: tuple[int, ...]) -> Array:
    """A framed state of zeros for a grid of this shape."""
    return aligned(tuple(n + 2 * REACH for n in shape))


def framed(values: Array) -> Array:
    """The values inside a frame of zeros, shape (n + 2 REACH, ...)."""
    state = blank(values.shape)
    unframed(state)[...] = values
    return state


def unframed(state: Array) -> Array:
    """The values inside the frame, a view."""
    return state[(slice(REACH, -REACH),) * state.ndim]


def symbols(angles: Array) -> tuple[Array, Array]:
    """σ and ς, with S e^{iθj} = iσ e^{iθj} and δ e^{iθj} = −ς e^{iθj} for h = 1, at angles θ of shape (n,)."""
    phases = np.multiply.outer(angles, np.arange(1, REACH + 1))
    return 2 * np.sin(phases) @ np.array(FIRST), 2 * (1 - np.cos(phases)) @ np.array(SECOND)


@dataclass(frozen=True, eq=False)
class Central:
    """A and Aᵀ for the fields of one time.

    Parameters
    ----------
    fields : Fields
    grid : ProductGrid
    """

    fields: Fields
    grid: ProductGrid

    @cached_property
    def _weights(self) -> Array:
        """Inverse cell widths of each term, in the order of the kernels; with 2 for cross terms."""
        a, b, *c = (1 / h for h in reversed(self.grid.spacings))
        inner = [a * a, a, 2 * a * b, b]
        return np.array([*inner, b * b] if not c else [*inner, 2 * a * c[0], c[0], b * b, 2 * b * c[0], c[0] ** 2])

    @cached_property
    def _tensor(self) -> Array:
        """D for each of the weights that has one, 1 for those of drifts."""
        D = dict(zip(pairs(self.grid.dimension), self.fields.diffusivity.reshape(-1), strict=True))
        if self.grid.dimension == 2:
            return np.array([D[1, 1], 1.0, D[0, 1], 1.0, D[0, 0]])
        return np.array([D[2, 2], 1.0, D[1, 2], 1.0, D[0, 2], 1.0, D[1, 1], D[0, 1], D[0, 0]])

    @cached_property
    def _forward(self) -> tuple[Any, Array, Array]:
        """Kernel, weights and D of A."""
        kernels = plane_kernels if self.grid.dimension == 2 else space_kernels
        if self.fields.uniform_noise:
            return kernels.uniform_stage, self._weights * self._tensor, self.fields.diffusivity
        return kernels.varying_stage, self._weights, self.fields.diffusivity

    @cached_property
    def _backward(self) -> tuple[Any, Array, Array]:
        """Kernel, weights and D of Aᵀ."""
        kernels = plane_kernels if self.grid.dimension == 2 else space_kernels
        D, last = self.fields.diffusivity, self.grid.shape[-1]
        rows = np.ascontiguousarray(np.broadcast_to(D, (*D.shape[:-1], last))) if self.fields.uniform_noise else D
        return kernels.transposed_stage, self._weights, rows

    def staged(self, room: Room, p: Array, mix: Array, v: Array, y: Array, *, transposed: bool = False) -> None:
        """In place y ← a v + s A p + m p + b y for framed p, v and y, with mix = (a, s, m, b); v may be p, y may not."""
        kernel, weights, D = self._backward if transposed else self._forward
        p, v, y = (state.reshape(len(state), -1) for state in (p, v, y))
        room.shared(lambda scratch, a, b: kernel(p, self.fields.drift, D, weights, mix, v, y, *scratch, a, b))

    def applied(self, p: Array, *, transposed: bool = False) -> Array:
        """A p, or Aᵀ p, of the grid's shape."""
        state = framed(p)
        out = np.zeros_like(state)
        with Room(self.grid, varying=not self.fields.uniform_noise) as room:
            self.staged(room, state, np.array([0.0, 1.0, 0.0, 0.0]), state, out, transposed=transposed)
        return unframed(out).copy()


class Room:
    """Rings for the kernels, one set for each thread, and the threads; a context.

    Parameters
    ----------
    grid : ProductGrid
    varying : bool
        Whether D depends on x.
    """

    def __init__(self, grid: ProductGrid, *, varying: bool) -> None:
        self.rows = grid.shape[0]
        self.threads = THREADS if grid.cells >= SHARED else 1
        plane, row = prod(n + 2 * REACH for n in grid.shape[1:]), grid.shape[-1] + 2 * REACH
        rings = 3 + varying if grid.dimension == 3 else 2 + varying
        self._scratch = [(aligned((rings, ROUND, plane)), aligned((2 * ROUND + 4, row))) for _ in range(self.threads)]
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None

    def shared(self, work: Callable[[tuple[Array, Array], int, int], None]) -> None:
        """Call ``work(scratch, start, stop)`` on equal shares of the rows, in threads."""
        if self._pool is None:
            work(self._scratch[0], 0, self.rows)
            return
        cuts = [k * self.rows // self.threads // 2 * 2 for k in range(self.threads)]  # rows are completed in pairs
        list(self._pool.map(work, self._scratch, cuts, [*cuts[1:], self.rows]))

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
