r"""Panels: frozen sets of functionals φ(X_t) on which two routes are compared.

A law is what its integrals say. For a one-dimensional X and a fixed continuous reference distribution function F, the shifted Legendre
polynomials of U = F(X),

    φ_k(x) = √(2k + 1) P_k(2 F(x) − 1),   k = 1 ... K,

are bounded by √(2k + 1) and orthonormal when X ~ F; their expectations vanish there. F is chosen *once*, before anything is evaluated, and
tabulated: every level and every route uses the same numbers. A wrong F costs power, never correctness. Next to them a panel holds
thresholds x_j, that is the functionals 1{X ≤ x_j}, as a back-stop that sees any shape of difference.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fpk.errors import ComparisonError
from fpk.laws import Array, Law

DEGREE = 4
KNOTS = 2048
THRESHOLDS = 128


@dataclass(frozen=True, eq=False)
class LegendreBlock:
    """φ_k(x) = √(2k+1) P_k(2F(⟨direction, x⟩) − 1), k = 1 ... degree, at one time.

    F is the piecewise-quintic interpolant of ``levels`` at the equally spaced ``knots``, 0 before and 1 after them.
    """

    time: float
    direction: Array
    knots: Array
    levels: Array
    degree: int = DEGREE

    @property
    def times(self) -> tuple[float, ...]:
        """The times whose positions the functionals need."""
        return (self.time,)

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each functional, for messages."""
        where = "" if len(self.direction) == 1 else " along " + np.array2string(self.direction, precision=2)
        return tuple(f"φ{k} at t={self.time:.4g}{where}" for k in range(1, self.degree + 1))

    @cached_property
    def _pieces(self) -> Array:
        """Coefficients of the polynomial between each pair of knots, in spacings from the first of them: shape (6, pairs), highest power first."""
        return _quintic(len(self.knots))(self.levels)

    @property
    def _spacing(self) -> float:
        return (self.knots[-1] - self.knots[0]) / (len(self.knots) - 1)

    def _placed(self, y: Array) -> tuple[Array, NDArray[np.intp]]:
        """How far y, shape (n,), is from the knot before it, in spacings, and which that is."""
        place = np.clip(y, self.knots[0], self.knots[-1])
        place -= self.knots[0]
        place /= self._spacing
        knot = np.minimum(place.astype(np.intp), len(self.knots) - 2)
        place -= knot
        return place, knot

    def reference(self, y: Array) -> Array:
        """F at y of shape (n,)."""
        return np.clip(_horner(*self._placed(y), self._pieces), 0.0, 1.0)

    def values(self, x: Array) -> Array:
        """φ_k at positions x of shape (n, d); returns (degree, n)."""
        return self.values_along(x @ self.direction)

    def values_along(self, y: Array) -> Array:
        """φ_k where ⟨direction, x⟩ is y of shape (n,); returns (degree, n)."""
        values = _legendre(2 * self.reference(y) - 1, self.degree)[1:]
        values *= _scale(self.degree)
        return values

    def derivatives(self, x: Array) -> tuple[Array, Array]:
        """φ_k′ and φ_k″ along the direction at positions x of shape (n, d); each (degree, n), 0 beyond the knots."""
        y = x @ self.direction
        inside = (y > self.knots[0]) & (y < self.knots[-1])
        placed, c, powers = self._placed(y), self._pieces, np.arange(5, 0, -1)[:, None] / self._spacing
        slopes = c[:-1] * powers
        first, second = 2 * _horner(*placed, slopes) * inside, 2 * _horner(*placed, slopes[:-1] * powers[1:]) * inside
        inner, bent = _legendre_slopes(_legendre(2 * np.clip(_horner(*placed, c), 0.0, 1.0) - 1, self.degree))
        scale = _scale(self.degree)
        return scale * inner * first, scale * (bent * first**2 + inner * second)

    @property
    def frozen(self) -> tuple[Array, ...]:
        """The tables that define the functionals."""
        return (np.array([self.time, self.degree]), self.direction, self.knots, self.levels)


@lru_cache(maxsize=8)
def _quintic(knots: int) -> Callable[[Array], Array]:
    """From values at equally spaced knots to the pieces of their interpolant (twice not-a-knot at each end): a linear map, set up once.

    On six splines of which every sixth coefficient is 1 one sees, in each piece, what each of the six coefficients that reach it contributes.
    """
    from scipy.interpolate import BSpline
    from scipy.sparse.linalg import splu

    places = np.arange(float(knots))
    t = np.concatenate([np.zeros(6), places[3:-3], np.full(6, places[-1])])
    solved = splu(BSpline.design_matrix(places, t, 5).tocsc()).solve
    last = np.searchsorted(t[:knots], places[:-1], side="right") - 1
    reaching = last - (last - np.arange(6)[:, None]) % 6
    combs = [BSpline(t, np.arange(knots) % 6 == k, 5) for k in range(6)]
    shares = np.array([[comb(places[:-1], nu) / math.factorial(nu) for comb in combs] for nu in range(5, -1, -1)])
    return lambda values: np.einsum("pkn,kn->pn", shares, solved(values)[reaching])


def _horner(h: Array, piece: NDArray[np.intp], coefficients: Array) -> Array:
    """Polynomials in h, shape (n,), with the coefficients of their ``piece``, shape (powers, pieces), highest first."""
    value = coefficients[0][piece]
    for row in coefficients[1:]:
        value *= h
        value += row[piece]
    return value


def _legendre(u: Array, degree: int) -> Array:
    """P_k(u), k = 0 ... degree, by their recurrence; shape (degree + 1, n)."""
    P = np.empty((degree + 1, len(u)))
    P[0], P[1:2] = 1.0, u
    for k in range(1, degree):
        np.multiply(((2 * k + 1) / (k + 1)) * u, P[k], out=P[k + 1])
        P[k + 1] -= (k / (k + 1)) * P[k - 1]
    return P


def _legendre_slopes(P: Array) -> tuple[Array, Array]:
    """P_k′ and P_k″, k = 1 ... degree, each of shape (degree, n): (P_{k+1} − P_{k−1})′ = (2k + 1) P_k."""
    first, second = [np.zeros_like(P[0]), np.ones_like(P[0])], [np.zeros_like(P[0])] * 2
    for k in range(1, len(P) - 1):
        first.append(first[k - 1] + (2 * k + 1) * P[k])
        second.append(second[k - 1] + (2 * k + 1) * first[k])
    return np.stack(first[1:]), np.stack(second[1:])


def _scale(degree: int) -> Array:
    """√(2k + 1), shape (degree, 1): P_k of a uniform number on (−1, 1) times this has mean square 1."""
    return np.sqrt(2.0 * np.arange(1, degree + 1) + 1)[:, None]


@dataclass(frozen=True, eq=False)
class ThresholdBlock:
    """1{⟨direction, x⟩ ≤ points_j} at one time: the distribution function at the points."""

    time: float
    direction: Array
    points: Array

    @property
    def times(self) -> tuple[float, ...]:
        """The times whose positions the functionals need."""
        return (self.time,)

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each functional."""
        return tuple(f"P(X ≤ {p:.4g}) at t={self.time:.4g}" for p in self.points)

    def values(self, x: Array) -> Array:
        """The indicators at positions x of shape (n, d); returns (len(points), n)."""
        return (x @ self.direction <= self.points[:, None]).astype(float)

    @property
    def frozen(self) -> tuple[Array, ...]:
        """The tables that define the functionals."""
        return (np.array([self.time]), self.direction, self.points)


@runtime_checkable
class Block(Protocol):
    """K functionals of positions at some times (or, with more methods, of paths)."""

    @property
    def times(self) -> tuple[float, ...]:
        """The times whose positions the functionals need."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each functional."""
        ...

    @property
    def frozen(self) -> tuple[Array, ...]:
        """The tables that define the functionals."""
        ...


def one_time(block: Any, source: str) -> Any:
    """The block itself, if it asks for one-time marginals only: it has one ``time``, and ``values`` of positions.

    Raises
    ------
    ComparisonError
        For functionals of joint laws or paths, which ``source`` does not know.
    """
    if hasattr(block, "time") and hasattr(block, "values"):
        return block
    raise ComparisonError(
        f"{source} knows one-time marginals only, the panel asks for {block.names[0]!r}. Use particles, or the exact law of a linear SDE."
    )


@dataclass(frozen=True, eq=False)
class Panel:
    """Frozen functionals: smooth ones that decide, and thresholds as the back-stop.

    Parameters
    ----------
    smooth : tuple of blocks
        Their expectations enter the covariance-aware statistic.
    thresholds : tuple of :class:`ThresholdBlock`
        Their expectations enter the Kolmogorov–Smirnov back-stop; may be empty.
    """

    smooth: tuple[Any, ...]
    thresholds: tuple[ThresholdBlock, ...] = ()

    @property
    def blocks(self) -> tuple[Any, ...]:
        """All blocks, smooth ones first."""
        return (*self.smooth, *self.thresholds)

    @property
    def times(self) -> tuple[float, ...]:
        """Every time a route must know, increasing."""
        return tuple(sorted({t for block in self.blocks for t in block.times}))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the smooth functionals."""
        return tuple(name for block in self.smooth for name in block.names)

    @property
    def digest(self) -> str:
        """SHA-256 over the frozen tables: equal digests mean the same functionals."""
        state = hashlib.sha256()
        for block in self.blocks:
            state.update(type(block).__name__.encode())
            for table in block.frozen:
                state.update(np.ascontiguousarray(table, dtype=float).tobytes())
        return state.hexdigest()


def law_panel(laws: Mapping[float, Law], *, degree: int = DEGREE, directions: Sequence[Array] | None = None) -> Panel:
    """The panel whose references are the given laws, one for each time.

    Parameters
    ----------
    laws : mapping from time to law
        The deterministic side's finest laws, or pilots.
    degree : int, default 4
        Number K of functionals for each time and direction.
    directions : sequence of arrays of shape (d,), optional
        Fixed slices; default the coordinate axes.

    Returns
    -------
    Panel
        Frozen: later solutions are asked the same functionals, whatever their laws.

    Raises
    ------
    ComparisonError
        If there is no law.

    Examples
    --------
    >>> import fpk
    >>> fpk.law_panel({0.5: fpk.Gaussian(0.0, 1.0)}, degree=2).names
    ('φ1 at t=0.5', 'φ2 at t=0.5')
    """
    if not laws:
        raise ComparisonError("a panel needs at least one time with a reference law.")
    smooth, thresholds = [], []
    for time, law in laws.items():
        axes = directions if directions is not None else np.eye(law.dimension)
        for direction in np.asarray(axes, float):
            sliced = law.projected(direction)
            knots, levels = _tabulated(sliced)
            smooth.append(LegendreBlock(float(time), direction, knots, levels, degree))
            thresholds.append(ThresholdBlock(float(time), direction, _quantiles(knots, levels)))
    return Panel(tuple(smooth), tuple(thresholds))


def _tabulated(law: Law) -> tuple[Array, Array]:
    points = law.breakpoints()
    knots = np.linspace(points[0], points[-1], KNOTS + 1)
    return knots, np.clip(law.cdf(knots), 0.0, 1.0)


def _quantiles(knots: Array, levels: Array) -> Array:
    wanted = (np.arange(THRESHOLDS) + 0.5) / THRESHOLDS
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(levels)) > 0])
    return np.interp(wanted, levels[rising], knots[rising])


def integrals(panel: Panel, values: Callable[[Any], Array]) -> tuple[Array, Array]:
    """Apply ``values`` (block → expectations) to every block: smooth expectations and threshold ones, each concatenated."""
    smooth = np.concatenate([values(block) for block in panel.smooth])
    thresholds = np.concatenate([values(block) for block in panel.thresholds]) if panel.thresholds else np.zeros(0)
    return smooth, thresholds
