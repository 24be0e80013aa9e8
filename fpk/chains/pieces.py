r"""Densities on the line by pieces: a polynomial on each panel, given by its values at Gauss–Legendre nodes.

With nodes u_i and weights ω_i of q-point Gauss–Legendre quadrature on [−1, 1], a panel [a, b] of half width h holds

    p(x) = Σ_m c_m P_m((x − a)/h − 1),     c_m = (m + ½) Σ_i ω_i P_m(u_i) p(x_i),

so that densities, masses h ω_i p(x_i), distribution functions (∫P_m = (P_{m+1} − P_{m−1})/(2m + 1)) and derivatives are arithmetic on
one table. Panels are halved until the last coefficients vanish: where the law is smooth they are wide, where it is narrow they are
narrow, and the error is small everywhere without anybody choosing a grid.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.polynomial.legendre import legder, leggauss, legvander
from numpy.typing import NDArray

from fpk.errors import GridError, NonFinite
from fpk.laws import Array, Law
from fpk.laws.base import identity_projection

Index = NDArray[np.intp]

#: Nodes of a panel.
NODES = 16
U, WEIGHTS = leggauss(NODES)
_TO_SERIES = legvander(U, NODES - 1) * WEIGHTS[:, None] * (np.arange(NODES) + 0.5)
_AT_HALVES = [legvander(0.5 * (U + side), NODES - 1).T for side in (-1, 1)]
_SLOPES = legder(np.eye(NODES))
#: A panel is fine when its last coefficients hold less mass than this (or, of an image, mass times width), or all of it less than NEGLIGIBLE.
RESOLVED, NEGLIGIBLE = 1e-14, 1e-17
#: Times a panel may be halved, and panels a law may have.
DEEPEST, MOST = 40, 20_000
#: Mass that is cut off at either end of a law.
CUT = 1e-15


def nodes(left: Array, right: Array) -> Array:
    """Gauss–Legendre nodes of the panels [left, right], shape (panels, NODES)."""
    half = 0.5 * (right - left)
    return (left + half)[:, None] + half[:, None] * U


def series(values: Array) -> Array:
    """Legendre coefficients of values at the nodes, shape (panels, NODES)."""
    return values @ _TO_SERIES


def remainder(values: Array) -> Array:
    """What the series of values at the nodes leaves out, judged by its last two coefficients: shape (panels,)."""
    return np.abs(values @ _TO_SERIES[:, -2:]).sum(1)


def resolved(
    function: Callable[[Array], Array], edges: Array, *, tolerance: float = RESOLVED, narrowest: float = 0.0
) -> tuple[Array, Array]:
    """Panels fine enough for a function, and its values.

    Parameters
    ----------
    function : callable
        Positions (panels, NODES) ↦ values of that shape.
    edges : array, shape (panels + 1,)
        Where to begin.
    tolerance : float
        Largest integral of the last coefficients of a panel.
    narrowest : float
        Panels of this width are not halved.

    Returns
    -------
    edges : array, shape (P + 1,)
    values : array, shape (P, NODES)

    Raises
    ------
    NonFinite
        If a value is not finite.
    GridError
        If more than ``MOST`` panels are needed.
    """
    left, right = edges[:-1], edges[1:]
    done: list[tuple[Array, Array]] = []
    for depth in range(DEEPEST + 1):
        values = function(nodes(left, right))
        if not np.all(np.isfinite(values)):
            raise NonFinite(f"a density is not finite on [{left[0]:.6g}, {right[-1]:.6g}]: the step that made it is.")
        width = right - left
        fine = (remainder(values) * width <= tolerance) | (width <= narrowest) | (depth == DEEPEST)
        done.append((left[fine], values[fine]))
        left, right = _halved(left[~fine], right[~fine])
        if not len(left):
            break
        _require_room(sum(len(part) for part, _ in done) + len(left))
    starts, table = (np.concatenate(parts) for parts in zip(*done, strict=True))
    order = np.argsort(starts)
    return np.append(starts[order], edges[-1]), table[order]


def _halved(left: Array, right: Array) -> tuple[Array, Array]:
    middle = 0.5 * (left + right)
    return np.stack([left, middle], 1).ravel(), np.stack([middle, right], 1).ravel()


def _require_room(panels: int) -> None:
    if panels > MOST:
        raise GridError(f"a density needs {panels} panels, more than {MOST}: it has features far below its width.")


class PiecewiseLaw:
    """A law on the line whose density is a polynomial on each panel.

    Parameters
    ----------
    edges : array, shape (panels + 1,), increasing
    values : array, shape (panels, NODES)
        The density at the panels' Gauss–Legendre nodes. It is not normalised: what is missing from 1 belongs to the error.
    """

    def __init__(self, edges: Array, values: Array) -> None:
        self.edges, self.values = edges, values

    @classmethod
    def of(cls, law: Law) -> PiecewiseLaw:
        """A one-dimensional law by pieces, between its outermost breakpoints."""
        return cls(
            *resolved(lambda x: np.exp(law.log_density(x.reshape(-1, 1))).reshape(x.shape), law.breakpoints())
        ).trimmed()

    def __repr__(self) -> str:
        return f"PiecewiseLaw({len(self.values)} panels on [{self.edges[0]:.4g}, {self.edges[-1]:.4g}])"

    @property
    def dimension(self) -> int:
        """Dimension, 1."""
        return 1

    @cached_property
    def nodes(self) -> Array:
        """Positions of the nodes, shape (panels, NODES)."""
        return nodes(self.edges[:-1], self.edges[1:])

    @cached_property
    def masses(self) -> Array:
        """Masses of the nodes, shape (panels, NODES): ∫ φ p ≈ Σ masses · φ(nodes)."""
        return self.values * self.weights

    @property
    def weights(self) -> Array:
        """Weights of the nodes, shape (panels, NODES): ∫ φ ≈ Σ weights · φ(nodes)."""
        return WEIGHTS * 0.5 * np.diff(self.edges)[:, None]

    @cached_property
    def cumulative(self) -> Array:
        """The distribution function at the edges, shape (panels + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.masses.sum(1))])

    @cached_property
    def _series(self) -> Array:
        return series(self.values)

    def trimmed(self, cut: float = CUT) -> PiecewiseLaw:
        """The law without the outer panels that hold less than ``cut``."""
        total = self.cumulative[-1]
        keep = np.flatnonzero((self.cumulative[1:] > cut) & (self.cumulative[:-1] < total - cut))
        return PiecewiseLaw(self.edges[keep[0] : keep[-1] + 2], self.values[keep[0] : keep[-1] + 1])

    def within(self, width: float, *, beyond: float) -> PiecewiseLaw:
        """The same density on panels no wider than ``width``, and zero on as many as reach ``beyond`` it."""
        fine, _ = refined(self, lambda x: x, lambda at, _: np.ptp(at, axis=1) > width)
        count = int(np.ceil(beyond / width))
        more = width * np.arange(1, count + 1)
        edges = np.concatenate([fine.edges[0] - more[::-1], fine.edges, fine.edges[-1] + more])
        return PiecewiseLaw(edges, np.pad(fine.values, ((count, count), (0, 0))))

    def halved(self) -> PiecewiseLaw:
        """The same polynomials on twice as many panels."""
        left, _ = _halved(self.edges[:-1], self.edges[1:])
        return PiecewiseLaw(np.append(left, self.edges[-1]), _both_halves(self.values))

    def _local(self, y: Array) -> tuple[Index, Array]:
        """Panel of each point and its place in it, on [−1, 1]."""
        panel = np.clip(np.searchsorted(self.edges, y, side="right") - 1, 0, len(self.values) - 1)
        return panel, 2 * (y - self.edges[panel]) / (self.edges[panel + 1] - self.edges[panel]) - 1

    def density_at(self, y: Array) -> Array:
        """The density at y of shape (n,); 0 outside."""
        panel, u = self._local(np.clip(y, self.edges[0], self.edges[-1]))
        inside = (y >= self.edges[0]) & (y <= self.edges[-1])
        return np.where(inside, np.einsum("nm,nm->n", legvander(u, NODES - 1), self._series[panel]), 0.0)

    def cdf(self, x: Array) -> Array:
        """P(X ≤ x) at x of shape (n,)."""
        x = np.asarray(x, float)
        panel, u = self._local(np.clip(x, self.edges[0], self.edges[-1]))
        half = 0.5 * np.diff(self.edges)[panel]
        part = half * np.einsum("nm,nm->n", _integrals(u), self._series[panel])
        return np.clip(self.cumulative[panel] + part, 0.0, 1.0)

    def quantile(self, levels: Array) -> Array:
        """Points x with P(X ≤ x) = levels (n,), by bisection."""
        lower, upper = np.full(len(levels), self.edges[0]), np.full(len(levels), self.edges[-1])
        for _ in range(60):
            middle = 0.5 * (lower + upper)
            below = self.cdf(middle) < levels
            lower, upper = np.where(below, middle, lower), np.where(below, upper, middle)
        return upper

    def log_density(self, x: Array) -> Array:
        """Log p(x), shape (n,); −∞ outside the panels, and no less than −690 inside."""
        p = self.density_at(x[:, 0])
        inside = (x[:, 0] >= self.edges[0]) & (x[:, 0] <= self.edges[-1])
        return np.where(inside, np.log(np.maximum(p, 1e-300)), -np.inf)

    def score(self, x: Array) -> Array:
        """∂ log p, shape (n, 1); to the relative accuracy of the density, so not far into the tails."""
        panel, u = self._local(np.clip(x[:, 0], self.edges[0], self.edges[-1]))
        slope = np.einsum("nm,nm->n", legvander(u, NODES - 2), (_SLOPES @ self._series.T).T[panel])
        return (2 * slope / np.diff(self.edges)[panel] / np.maximum(self.density_at(x[:, 0]), 1e-300))[:, None]

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions by inverting the distribution function, shape (n, 1)."""
        return self.quantile(rng.random(n) * self.cumulative[-1])[:, None]

    def projected(self, direction: Array) -> PiecewiseLaw:
        """The law itself; only the direction +1 is available."""
        return identity_projection(self, direction)

    def breakpoints(self) -> Array:
        """The edges of the panels."""
        return self.edges


def refined(
    law: PiecewiseLaw, image: Callable[[Array], Array], coarse: Callable[[Array, Array], NDArray[np.bool_]]
) -> tuple[PiecewiseLaw, Array]:
    """The law on panels halved until their images are fine.

    Parameters
    ----------
    law : PiecewiseLaw
    image : callable
        Positions (n,) ↦ (n,).
    coarse : callable
        Images and masses at the nodes, each (panels, NODES), ↦ which panels to halve, (panels,).

    Returns
    -------
    law : PiecewiseLaw
    images : array, shape (panels, NODES)
    """
    left, right, values = law.edges[:-1], law.edges[1:], law.values
    done: list[tuple[Array, Array, Array]] = []
    for depth in range(DEEPEST + 1):
        x = nodes(left, right)
        at = image(x.ravel()).reshape(x.shape)
        wide = coarse(at, values * WEIGHTS * 0.5 * (right - left)[:, None]) & np.bool_(depth < DEEPEST)
        done.append((left[~wide], values[~wide], at[~wide]))
        if not wide.any():
            break
        left, right, values = *_halved(left[wide], right[wide]), _both_halves(values[wide])
        _require_room(sum(len(part[0]) for part in done) + len(left))
    starts, table, images = (np.concatenate(parts) for parts in zip(*done, strict=True))
    order = np.argsort(starts)
    return PiecewiseLaw(np.append(starts[order], law.edges[-1]), table[order]), images[order]


def _both_halves(values: Array) -> Array:
    """Values of the same polynomials at the nodes of the two halves of each panel, (2 panels, NODES)."""
    return np.stack([series(values) @ half for half in _AT_HALVES], 1).reshape(-1, NODES)


def _integrals(u: Array) -> Array:
    """∫_{−1}^u P_m for m < NODES, shape (n, NODES)."""
    basis = legvander(u, NODES)
    odd = 2 * np.arange(1, NODES) + 1
    return np.column_stack([u + 1, (basis[:, 2:] - basis[:, :-2]) / odd])
