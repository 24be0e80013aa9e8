r"""Characteristics in d dimensions, compiled: positions and the logarithm of the volume around them, by classical Runge–Kutta steps.

    ẋ = v(x, t),   d/dt log |∂x_t/∂x_0| = ∇·v(x_t, t),

d + 1 numbers for each point. Velocity and divergence are one compiled function of the position, made from the trace of v; the steps around
it are compiled once for all problems. Points are worked on in tiles that stay in the fastest cache, tiles in threads; what becomes of a
point does not depend on either.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit, types  # type: ignore[import-untyped]

from fpk.fokker_planck.product.divergence import divergence
from fpk.kept_loops import compiled_text
from fpk.laws import Array
from fpk.problem import Problem
from fpk.tracing import ELEMENTARY, Instant, NotTraceable, Trace, Traced

#: Points in a tile.
TILE = 512
#: Every option said, because numba takes over from callers what is not.
PLAIN: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False, "forceinline": False}

_F8 = types.float64
#: slopes(rows (d + 1, n), parameters): replaces positions and log-volumes by their time derivatives.
_SLOPES = types.void(_F8[:, ::1], _F8[::1])


class Tracks:
    """The compiled flow of a problem without noise through given instants.

    Parameters
    ----------
    problem : Problem
        Whose drift can be traced.
    mesh : array, shape (n + 1,)
        Instants of the n steps, increasing for points that move forwards, decreasing for points that are traced back.

    Raises
    ------
    NotTraceable
        If the drift cannot be traced and differentiated.
    """

    def __init__(self, problem: Problem, mesh: Array) -> None:
        self.dimension, self.lengths = problem.dimension, np.diff(mesh)
        instants = np.empty(2 * len(mesh) - 1)
        instants[::2], instants[1::2] = mesh, 0.5 * (mesh[1:] + mesh[:-1])
        trace = Trace(len(instants))
        x = np.array([[Traced(trace, f"x{i}") for i in range(self.dimension)]], object)
        try:
            v = np.broadcast_to(np.asarray(problem.drift(x, Instant(trace, instants)), object), x.shape)[0]
        except (TypeError, AttributeError) as error:  # what Python says of numbers that have no value
            raise NotTraceable(f"the velocity is not plain arithmetic: {error}") from error
        self._slopes = _compiled(source(trace, np.array([*v, divergence(trace, v)], object)))
        self._table = np.ascontiguousarray(trace.table)

    def moved(self, x: Array) -> tuple[Array, Array]:
        """Positions at the last instant of points that are at x of shape (n, d) at the first, and log |∂x_last/∂x_first|, shape (n,)."""
        n, rows = len(x), self.dimension + 1
        tiles = -(-n // TILE)
        state = np.zeros((tiles, rows, TILE))
        padded = np.concatenate([x, np.repeat(x[-1:], tiles * TILE - n, axis=0)])
        state[:, :-1] = np.swapaxes(padded.reshape(tiles, TILE, -1), 1, 2)
        threads = min(os.cpu_count() or 1, tiles)
        pieces = np.linspace(0, tiles, threads + 1).astype(int)

        def piece(k: int) -> None:
            runge_kutta(self._slopes, state[pieces[k] : pieces[k + 1]], self._table, self.lengths)

        with ThreadPoolExecutor(max_workers=threads) as pool:
            list(pool.map(piece, range(threads)))
        ends = np.swapaxes(state, 1, 2).reshape(-1, rows)[:n]
        return ends[:, :-1], ends[:, -1]


def source(trace: Trace, slopes: Array) -> str:
    """The loop over points that replaces their d + 1 rows by their slopes, as text."""
    loads = [f"x{i} = rows[{i}, i]" for i in range(len(slopes) - 1)]
    results = [value.name if isinstance(value, Traced) else repr(float(value)) for value in slopes]
    stores = [f"rows[{i}, i] = {result}" for i, result in enumerate(results)]
    body = "".join(f"        {line}\n" for line in (*loads, *trace.statements, *stores))
    parameters = "".join(f"    p{k} = parameters[{k}]\n" for k in range(len(trace.columns)))
    return f"def slopes(rows, parameters):\n{parameters}    for i in range(rows.shape[1]):\n{body}"


@lru_cache(maxsize=64)
def _compiled(text: str) -> Callable[..., None]:
    """The loop, compiled; one compilation for each text. Products and sums may fuse; nothing is reordered."""
    scope = {name: getattr(np, name) for name in ELEMENTARY} | {"__name__": __name__}
    return compiled_text(text, "slopes", scope, _SLOPES, PLAIN | {"fastmath": {"contract"}})


@njit(types.void(types.FunctionType(_SLOPES), _F8[:, :, ::1], _F8[:, ::1], _F8[::1]), cache=True, **PLAIN)
def runge_kutta(slopes: Any, state: Array, table: Array, lengths: Array) -> None:
    """Move tiles, state of shape (tiles, rows, TILE), through all steps.

    ``slopes`` replaces rows by their time derivatives; the rows 2s, 2s + 1, 2s + 2 of ``table`` are its parameters at the beginning, the
    middle and the end of step s.
    """
    rows, size = state.shape[1], state.shape[2]
    stage, total = np.empty((rows, size)), np.empty((rows, size))
    for tile in range(state.shape[0]):
        at = state[tile]
        for s in range(len(lengths)):
            h = lengths[s]
            for r in range(rows):  # not stage[:] = at, whose message about shapes takes seconds to compile
                for j in range(size):
                    stage[r, j] = total[r, j] = at[r, j]
            for k in range(4):
                slopes(stage, table[2 * s + (k + 1) // 2])
                weight = h / 3 if k == 1 or k == 2 else h / 6
                reach = h if k == 2 else h / 2
                for r in range(rows):
                    for j in range(size):
                        total[r, j] += weight * stage[r, j]
                        stage[r, j] = at[r, j] + reach * stage[r, j]
            for r in range(rows):
                for j in range(size):
                    at[r, j] = total[r, j]
