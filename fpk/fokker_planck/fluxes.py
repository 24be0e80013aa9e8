r"""Fluxes: the spatial half of the solver, as rate matrices A with p' = A p.

With Φ(x) = ∫ f/D and the local weight u = D p e^{−Φ}, the flux is J = −e^{Φ} ∂_x u: a Gibbs law has constant u and hence no flux at all,
whatever the grid. More generally, for any number s,

    J = −e^{sΦ} ∂_x (D p e^{−sΦ}) + (1 − s) f p.                                              (1)

Only *differences* of Φ over a stencil appear, integrated by Gauss–Legendre quadrature of f/D, so nothing overflows: s is lowered from
1 towards 0 where the cell Péclet number |f| h / D would make the exponentials large, down to D = 0.

References
----------
Scharfetter and Gummel (1969); Chang and Cooper (1970).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fpk.errors import SchemeError
from fpk.grids import Grid
from fpk.laws import Array
from fpk.problem import Problem

#: Sixth-order staggered first derivative and interpolation at a face, from the three cells on each side.
SLOPE = np.array([-9.0, 125.0, -2250.0, 2250.0, -125.0, 9.0]) / 1920.0
MEAN = np.array([3.0, -25.0, 150.0, 150.0, -25.0, 3.0]) / 256.0
GHOSTS = 5
NODES, WEIGHTS = np.polynomial.legendre.leggauss(3)


@dataclass(frozen=True)
class Rates:
    """A banded rate matrix: ``rows[width + k, i]`` is A[i, i + k]; periodic matrices wrap around.

    Conservation: the columns of A sum to zero with no-flux and periodic boundaries.
    """

    rows: Array
    periodic: bool

    @property
    def width(self) -> int:
        """Half bandwidth."""
        return len(self.rows) // 2

    def applied(self, p: Array) -> Array:
        """A p, shape (n,)."""
        out, w = np.zeros_like(p), self.width
        for k in range(-w, w + 1):
            shifted = np.roll(p, -k)
            if not self.periodic and k:
                shifted[slice(-k, None) if k > 0 else slice(None, -k)] = 0.0
            out += self.rows[w + k] * shifted
        return out


@dataclass(frozen=True)
class WellBalanced6:
    """Sixth-order well-balanced flux: exact on Gibbs laws, conservative; may undershoot zero where the density is not resolved."""

    order: int = 6
    positive: bool = False

    def rates(self, problem: Problem, grid: Grid) -> Callable[[float], Rates]:
        """t ↦ rate matrix of half bandwidth 5."""
        sampled = _Sampled(problem, grid)

        def at(t: float) -> Rates:
            f, D, climb = sampled(t)
            h = grid.spacing
            potential = np.concatenate([[0.0], np.cumsum(climb)])
            faces = np.arange(grid.cells + 5)  # faces −2 ... n + 2 of the extended grid
            taps = faces[:, None] + np.arange(6)
            rise = potential[2 * (faces + 3), None] - potential[2 * taps + 1]
            s = _damping(np.abs(rise).max(1))[:, None]
            weights = -SLOPE * D[taps] * np.exp(s * np.where(s > 0, rise, 0.0)) / h + (1 - s) * MEAN * f[taps]
            return _folded(_divergence(weights, grid.cells, h), problem.boundary.kind)

        return at


@dataclass(frozen=True)
class ScharfetterGummel:
    """Second-order exponentially fitted flux: an M-matrix, positive for every grid, exact on Gibbs laws of locally linear Φ."""

    order: int = 2
    positive: bool = True

    def rates(self, problem: Problem, grid: Grid) -> Callable[[float], Rates]:
        """t ↦ tridiagonal rate matrix."""
        sampled = _Sampled(problem, grid)

        def at(t: float) -> Rates:
            _, D, climb = sampled(t)
            n, h = grid.cells, grid.spacing
            left = np.arange(GHOSTS - 1, n + GHOSTS)  # cell to the left of each face of the grid
            rise = climb[2 * left + 1] + climb[2 * left + 2]
            outflow, inflow = bernoulli(-rise) * D[left] / h**2, bernoulli(rise) * D[left + 1] / h**2
            rows = np.zeros((2 * GHOSTS + 1, n))
            rows[GHOSTS - 1], rows[GHOSTS + 1] = outflow[:-1], inflow[1:]
            rows[GHOSTS] = -outflow[1:] - inflow[:-1]
            folded = _folded(rows, problem.boundary.kind)
            return Rates(folded.rows[GHOSTS - 1 : GHOSTS + 2], folded.periodic)

        return at


def bernoulli(z: Array) -> Array:
    """B(z) = z / (e^z − 1), accurate to round-off through z = 0 and for any size of z."""
    small = np.abs(z) < 1e-5
    safe = np.where(small, 1.0, np.minimum(z, 700.0))
    return np.where(small, 1 - z / 2 + z**2 / 12, np.where(z > 700.0, 0.0, safe / np.expm1(safe)))


class _Sampled:
    """f and D at the cell centres and ∫ f/D over the half cells, five ghost cells beyond each end included."""

    def __init__(self, problem: Problem, grid: Grid) -> None:
        self.problem, self.kind = problem, problem.boundary.kind
        h, centers = grid.spacing, grid.centers
        starts = np.stack([centers - h / 2, centers], axis=1).ravel()
        nodes = starts[:, None] + h / 4 * (1 + NODES)
        # Centres and nodes in one array: user functions are called once for each matrix.
        self.points = np.concatenate([centers, nodes.ravel()])[:, None]
        self.cells, self.h = grid.cells, h

    def __call__(self, t: float) -> tuple[Array, Array, Array]:
        n, x = self.cells, self.points
        f = np.broadcast_to(self.problem.drift(x, t), x.shape)[:, 0]
        floor = np.finfo(float).tiny ** 0.5  # where D = 0 at a moment, f/D · D must still be f
        D = np.maximum(self.problem.diffusivity(x, t)[:, 0], floor)
        climb = self.h / 4 * ((f[n:] / D[n:]).reshape(-1, len(NODES)) @ WEIGHTS)
        return self._extended(f[:n], 1, odd=True), self._extended(D[:n], 1), self._extended(climb, 2, odd=True)

    def _extended(self, values: Array, per_cell: int, *, odd: bool = False) -> Array:
        """Continue by reflection at walls (the drift is odd there) or by wrapping around."""
        n = GHOSTS * per_cell
        if self.kind == "periodic":
            return np.concatenate([values[-n:], values, values[:n]])
        sign = -1.0 if odd else 1.0
        return np.concatenate([sign * values[:n][::-1], values, sign * values[-n:][::-1]])


def _damping(steepest: Array) -> Array:
    """s of equation (1): 1 while the exponents over a stencil stay below 1, 0 where the noise vanishes.

    With s ∝ 1/steepest the exponents s Φ would stay at their limit, however fine the grid; the square makes them, and the error of
    their differences, fall on both sides of the limit.
    """
    with np.errstate(divide="ignore"):
        return np.where(steepest > 1e5, 0.0, np.minimum(1.0, 1.0 / steepest**2))


def _divergence(weights: Array, cells: int, h: float) -> Array:
    """Rows of −∂_x J from the face weights: sixth-order staggered differences, which telescope."""
    rows = np.zeros((2 * GHOSTS + 1, cells))
    for m in range(6):
        rows[m : m + 6] -= SLOPE[m] / h * weights[m : m + cells].T
    return rows


def _folded(rows: Array, kind: str) -> Rates:
    """Replace ghost columns: mirrored at no-flux walls, mirrored with a minus sign at absorbing ones, kept when periodic."""
    if kind == "periodic":
        return Rates(rows, True)
    n, w = rows.shape[1], GHOSTS
    sign = -1.0 if kind == "absorbing" else 1.0
    for i in range(w):
        for k in range(-w, -i):
            rows[w - 1 - k - 2 * i, i] += sign * rows[w + k, i]
            rows[w + 1 + k + 2 * i, n - 1 - i] += sign * rows[w - k, n - 1 - i]
            rows[w + k, i] = rows[w - k, n - 1 - i] = 0.0
    return Rates(rows, False)


def check_noise(problem: Problem, grid: Grid) -> None:
    """Refuse noise that vanishes somewhere for all times: the Fokker–Planck equation degenerates there.

    Raises
    ------
    SchemeError
        With the place, and the remedy.
    """
    x = np.sort(np.concatenate([grid.centers, grid.faces[1:-1]]))[:, None]
    D = np.max([problem.diffusivity(x, t)[:, 0] for t in np.linspace(0, problem.horizon, 5)], axis=0)
    if np.any(D <= 0):
        raise SchemeError(
            f"the diffusion vanishes at x={float(x[int(np.argmin(D)), 0]):.4g}: the Fokker–Planck equation is degenerate there. "
            "For an ordinary differential equation pass the number 0 as the diffusion (solved along characteristics), else use fpk.simulate."
        )
