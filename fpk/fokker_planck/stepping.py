r"""Time stepping of p' = A(t) p by diagonally implicit Runge–Kutta methods, all L-stable.

Stage i of a step τ from t solves (I − γτ A(t + c_i τ)) Y_i = p + τ Σ_{j<i} a_ij K_j, with K_i = A_i Y_i = (Y_i − rhs)/(γτ). The methods
are stiffly accurate: the last stage is the step.

References
----------
Bank et al. (1985) for TR-BDF2; Kennedy and Carpenter (2003), ARK4(3)6L[2]SA, for ESDIRK4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fpk.fokker_planck.fluxes import Rates
from fpk.laws import Array


@dataclass(frozen=True)
class DiagonallyImplicit:
    """A stiffly accurate diagonally implicit Runge–Kutta method with one diagonal value γ.

    Parameters
    ----------
    name : str
    order : int
        Order for smooth solutions.
    gamma : float
        The diagonal; a first row of zeros is an explicit first stage.
    table : tuple of tuples
        Strictly lower part, row by row (row i has i entries).
    positive : bool
        Whether the step keeps every non-negative vector non-negative for an M-matrix.
    """

    name: str
    order: int
    gamma: float
    table: tuple[tuple[float, ...], ...]
    positive: bool = False

    @cached_property
    def explicit_first(self) -> bool:
        """Whether the first stage is the state itself."""
        return len(self.table) > 1

    @cached_property
    def nodes(self) -> Array:
        """c_i, as fractions of the step."""
        implicit = np.full(len(self.table), self.gamma)
        if self.explicit_first:
            implicit[0] = 0.0
        return np.array([sum(row) for row in self.table]) + implicit


BACKWARD_EULER = DiagonallyImplicit("backward Euler", 1, 1.0, ((),), positive=True)
_R2 = 2**0.5
TR_BDF2 = DiagonallyImplicit("TR-BDF2", 2, 1 - _R2 / 2, ((), (1 - _R2 / 2,), (_R2 / 4, _R2 / 4)))
ESDIRK4 = DiagonallyImplicit(
    "ESDIRK4",
    4,
    0.25,
    (
        (),
        (1 / 4,),
        (8611 / 62500, -1743 / 31250),
        (5012029 / 34652500, -654441 / 2922500, 174375 / 388108),
        (15267082809 / 155376265600, -71443401 / 120774400, 730878875 / 902184768, 2285395 / 8070912),
        (82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211),
    ),
)


class Factored:
    """(I − c A) factored for repeated solves: LAPACK band LU, or sparse LU when the matrix wraps around."""

    def __init__(self, rates: Rates, c: float) -> None:
        w, rows = rates.width, -c * rates.rows
        rows[w] += 1.0
        self._solve = _periodic_solver(rows) if rates.periodic else _banded_solver(rows)

    def solve(self, p: Array) -> Array:
        """(I − c A)⁻¹ p."""
        return self._solve(p)


def _banded_solver(rows: Array) -> Callable[[Array], Array]:
    from scipy.linalg.lapack import dgbtrf, dgbtrs  # type: ignore[attr-defined]

    w, n = len(rows) // 2, rows.shape[1]
    band = np.zeros((3 * w + 1, n), order="F")
    for k in range(-w, w + 1):
        columns = slice(max(k, 0), n + min(k, 0))
        band[2 * w - k, columns] = rows[w + k, max(-k, 0) : n - max(k, 0)]
    lu, pivots, _ = dgbtrf(band, w, w, overwrite_ab=True)
    return lambda p: dgbtrs(lu, w, w, p, pivots)[0]


def _periodic_solver(rows: Array) -> Callable[[Array], Array]:
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    w, n = len(rows) // 2, rows.shape[1]
    i = np.arange(n)
    columns = np.concatenate([(i + k) % n for k in range(-w, w + 1)])
    matrix: Any = coo_array((rows.ravel(), (np.tile(i, 2 * w + 1), columns)), shape=(n, n))
    return splu(matrix.tocsc()).solve


class Stepper:
    """Advances p' = A(t) p, reusing matrices and factors while A does not change.

    Parameters
    ----------
    rates_at : callable
        t ↦ rate matrix.
    method : DiagonallyImplicit
    """

    def __init__(self, rates_at: Callable[[float], Rates], method: DiagonallyImplicit) -> None:
        self.rates_at, self.method = rates_at, method
        self._time: float | None = None
        self._rates: Rates | None = None
        self._factor: tuple[float, Factored] | None = None
        self._slope: Array | None = None

    def _rates_at(self, t: float) -> Rates:
        if self._rates is None or t != self._time:
            fresh = self.rates_at(t)
            if self._rates is None or not np.array_equal(fresh.rows, self._rates.rows):
                self._rates, self._factor = fresh, None
            self._time = t
        return self._rates

    def _factored(self, t: float, c: float) -> Factored:
        rates = self._rates_at(t)
        if self._factor is None or self._factor[0] != c:
            self._factor = (c, Factored(rates, c))
        return self._factor[1]

    def advanced(self, p: Array, t: float, step: float) -> Array:
        """The state at t + step."""
        method, c = self.method, self.method.gamma * step
        slopes: list[Array] = []
        state = p
        for row, node in zip(method.table, method.nodes, strict=True):
            if method.explicit_first and not slopes:
                slopes.append(self._rates_at(t).applied(p) if self._slope is None else self._slope)
                continue
            right = p + step * sum((a * k for a, k in zip(row, slopes, strict=True) if a), np.zeros_like(p))
            state = self._factored(t + node * step, c).solve(right)
            slopes.append((state - right) / c)
        self._slope = slopes[-1] if method.explicit_first else None
        return state

    def run(self, p: Array, times: tuple[float, ...], steps: int) -> Iterator[tuple[float, Array]]:
        """Yield (t, p) at each of the increasing ``times``; ``steps`` are shared in proportion to the intervals."""
        t, end = 0.0, times[-1]
        self._slope = None  # the last stage of an earlier run is not the slope of this p
        for target in times:
            count = max(1, round(steps * (target - t) / end)) if target > t else 0
            start = t
            for i in range(count):
                t = start + (target - start) * (i / count)
                p = self.advanced(p, t, (target - start) / count)
            t = target
            yield t, p
