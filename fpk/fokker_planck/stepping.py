r"""Time stepping of p' = A(t) p, and of its transpose, by diagonally implicit Runge–Kutta methods, all L-stable.

Stage i of a step τ from t solves (I − γτ A(t + c_i τ)) Y_i = p + τ Σ_{j<i} a_ij K_j, with K_i = A_i Y_i = (Y_i − rhs)/(γτ). The methods
are stiffly accurate: the last stage is the step. Steps are linear maps; the transposed map runs the same stages in reverse order, so that
⟨p_t, u_t⟩ is constant for a p stepped forward and a u stepped back, up to round-off.

References
----------
Bank et al. (1985) for TR-BDF2; Kennedy and Carpenter (2003), ARK4(3)6L[2]SA, for ESDIRK4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpk.fokker_planck.fluxes import Rates
from fpk.laws import Array
from fpk.problem import step_plan


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
    def rows(self) -> tuple[Array, ...]:
        """The rows of the table."""
        return tuple(np.array(row, float) for row in self.table)

    @cached_property
    def nodes(self) -> Array:
        """c_i, as fractions of the step."""
        implicit = np.full(len(self.table), self.gamma)
        if self.explicit_first:
            implicit[0] = 0.0
        return np.array([sum(row) for row in self.table]) + implicit

    def stepper(self, rates_at: Callable[[float], Rates], clock: Any = None) -> Stepper:
        """Steps of this method; ``clock`` is not used."""
        return RungeKuttaStepper(rates_at, self)


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
    """(I − c A) factored for repeated solves by LAPACK's band LU."""

    def __init__(self, rates: Rates, c: float) -> None:
        w, rows = rates.width, -c * rates.rows
        rows[w] += 1.0
        self._solve = (periodic_solver if rates.periodic else _banded_solver)(rows)

    def solve(self, p: Array, *, transposed: bool = False) -> Array:
        """(I − c A)⁻¹ p, or (I − c A)⁻ᵀ p."""
        return self._solve(p, transposed)


def _banded_solver(rows: Array) -> Callable[[Array, bool], Array]:
    w, n = len(rows) // 2, rows.shape[1]
    columns = np.zeros((n + 2 * w, 3 * w + 1))  # with w more at each end, for what the rows hold beyond the matrix
    size = columns.itemsize
    inside = np.ndarray(rows.shape, float, columns, offset=3 * w * size, strides=(3 * w * size, (3 * w + 1) * size))
    inside[...] = rows
    return _factored(columns[w : n + w].T, w)


def periodic_solver(rows: Array) -> Callable[[Array, bool], Array]:
    """LU of a matrix that wraps around, real or complex; called with the right side and whether to transpose.

    The ring is pressed flat, its cells taken in turn from both ends: neighbours within w are then neighbours within 2w.
    """
    w, n = len(rows) // 2, rows.shape[1]
    order, back, entries = _pressed(w, n)
    columns = np.zeros((n, 6 * w + 1), rows.dtype)
    np.add.at(columns.reshape(-1), entries, rows.ravel())
    solved = _factored(columns.T, 2 * w)
    return lambda p, transposed: solved(p[order], transposed)[back]


@lru_cache(maxsize=64)
def _pressed(w: int, n: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The order of n cells around a ring pressed flat, its inverse, and where in a band the entries (2w + 1, n) of a matrix then stand."""
    order = np.empty(n, np.intp)
    order[::2], order[1::2] = np.arange((n + 1) // 2), n - 1 - np.arange(n // 2)
    back, i = np.argsort(order), np.arange(n)
    columns = back[np.stack([(i + k) % n for k in range(-w, w + 1)])]
    return order, back, ((6 * w + 1) * columns + 4 * w + back - columns).ravel()


def _factored(band: Array, w: int) -> Callable[[Array, bool], Array]:
    """LU of a band matrix as LAPACK keeps it: entry (i, j) in row 2w + i − j of column j, the rows before the w-th left for fill-in."""
    from scipy.linalg import get_lapack_funcs

    factor, solve = get_lapack_funcs(("gbtrf", "gbtrs"), (band,))
    lu, pivots, _ = factor(band, w, w, overwrite_ab=True)
    return lambda p, transposed: solve(lu, w, w, p, pivots, trans=int(transposed))[0]


class Steps(ABC):
    """Linear maps over steps of time, and their transposes; subclasses say what one step is."""

    @abstractmethod
    def advanced(self, p: Array, t: float, step: float) -> Array:
        """The state at t + step of one that is p at t."""

    @abstractmethod
    def returned(self, u: Array, t: float, step: float) -> Array:
        """The transpose of :meth:`advanced`."""

    def counted(self, steps: int) -> int:
        """How many of the asked steps are taken."""
        return steps

    def scheduled(self, times: tuple[float, ...], steps: int) -> list[tuple[float, list[tuple[float, float]]]]:
        """For each target time the (start, length) of the steps that lead there from the one before."""
        return _schedule(times, self.counted(steps))

    def run(self, p: Array, times: tuple[float, ...], steps: int) -> Iterator[tuple[float, Array]]:
        """Yield (t, p) at each of the increasing ``times``; ``steps`` are shared in proportion to the intervals."""
        for target, legs in self.scheduled(times, steps):
            for t, step in legs:
                p = self.advanced(p, t, step)
            yield target, p

    def run_back(self, u: Array, times: tuple[float, ...], steps: int) -> Iterator[tuple[float, Array]]:
        """Yield (t, u) at each of the ``times`` from the last to the first, and at 0; u is given at the last: the transpose of :meth:`run`."""
        for target, legs in reversed(self.scheduled(times, steps)):
            yield target, u
            for t, step in reversed(legs):
                u = self.returned(u, t, step)
        if times[0] > 0:
            yield 0.0, u


class Stepper(Steps):
    """Steps of p' = A(t) p that keep the rate matrix and its factors while A does not change.

    Parameters
    ----------
    rates_at : callable
        t ↦ rate matrix.
    """

    def __init__(self, rates_at: Callable[[float], Rates]) -> None:
        self.rates_at = rates_at
        self._time: float | None = None
        self._rates: Rates | None = None
        self._factors: dict[Any, Any] = {}

    def rates(self, t: float) -> Rates:
        """A(t); factors are kept while it does not change."""
        if self._rates is None or self._time is None or abs(t - self._time) > 1e-13 * abs(t):
            fresh = self.rates_at(t)
            if self._rates is None or not np.array_equal(fresh.rows, self._rates.rows):
                self._rates, self._factors = fresh, {}
            self._time = t
        return self._rates

    def kept(self, key: Any, made: Callable[[], Any]) -> Any:
        """The factors of the present rates under ``key``, made when missing."""
        if key not in self._factors:
            self._factors = {key: made()}
        return self._factors[key]


def _schedule(times: tuple[float, ...], steps: int) -> list[tuple[float, list[tuple[float, float]]]]:
    """For each target time the (start, length) of the steps that lead there from the one before."""
    if steps == len(times) == 1 and times[0] > 0:
        return [(times[0], [(0.0, times[0])])]
    starts = (0.0, *times[:-1])
    plan = step_plan(times, steps) if times[-1] > 0 else ((0, 0.0),)
    return [
        (target, [(start + (target - start) * (i / count), length) for i in range(count)])
        for start, target, (count, length) in zip(starts, times, plan, strict=True)
    ]


class RungeKuttaStepper(Stepper):
    """Steps of a diagonally implicit method."""

    def __init__(self, rates_at: Callable[[float], Rates], method: DiagonallyImplicit) -> None:
        super().__init__(rates_at)
        self.method = method

    def _factored(self, t: float, c: float) -> Factored:
        rates = self.rates(t)
        return self.kept(c, lambda: Factored(rates, c))

    def advanced(self, p: Array, t: float, step: float) -> Array:
        """The last stage."""
        method, c = self.method, self.method.gamma * step
        slopes, state = np.empty((len(method.table), *p.shape)), p
        for i, (row, node) in enumerate(zip(method.rows, method.nodes, strict=True)):
            if method.explicit_first and i == 0:
                slopes[i] = self.rates(t).applied(p)
                continue
            right = p + step * (row @ slopes[:i])
            state = self._factored(t + node * step, c).solve(right)
            slopes[i] = (state - right) / c
        return state

    def returned(self, u: Array, t: float, step: float) -> Array:
        """The stages in reverse, each transposed."""
        method, c = self.method, self.method.gamma * step
        slopes = [np.zeros_like(u) for _ in method.table]
        start, stage = np.zeros_like(u), u
        for i in range(len(method.table) - 1, -1, -1):
            if method.explicit_first and i == 0:
                return start + self.rates(t).transposed().applied(slopes[0])
            solved = self._factored(t + method.nodes[i] * step, c).solve(stage + slopes[i] / c, transposed=True)
            right = solved - slopes[i] / c
            start, stage = start + right, np.zeros_like(u)
            for j, a in enumerate(method.table[i]):
                slopes[j] = slopes[j] + step * a * right
        return start
