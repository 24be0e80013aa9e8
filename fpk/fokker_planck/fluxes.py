r"""Fluxes: the spatial half of the solver, as rate matrices A with q' = A q.

With Φ(x) = ∫ f/D, the flux is, for any number s,

    J = f p − ∂_x(D p) = −e^{sΦ} ∂_x (D p e^{−sΦ}) + (1 − s) f p.

For s = 1 the bracket is constant for a Gibbs law p ∝ e^Φ / D; for s = 0 differences of smooth p are best. s falls smoothly from 1 to 0 where Φ
climbs by more than about a unit over a stencil (cell Péclet number |f| h/D above .3); then those multiples of the fourth and fifth
differences of p are subtracted, smallest in size, that leave the local Gibbs weights without flux. They are of sixth order for
smooth p, so that Gibbs laws are stationary to round-off on any grid; for D → 0 they are upwind. Only *differences* of Φ over a
stencil appear, integrated by Gauss–Legendre quadrature of f/D (exactly, for a drift that states its potential), so nothing overflows.

On a stretched grid the unknown is q = p x'(ξ), and J = f̃ q − ∂_ξ(D̃ q)/x' with f̃ = f/x', D̃ = D/x'.

References
----------
Scharfetter and Gummel (1969); Chang and Cooper (1970).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fpk.errors import SchemeError
from fpk.fokker_planck import kernels
from fpk.grids import NODES, Grid
from fpk.laws import Array
from fpk.problem import Problem

#: Sign of the mirror image of the density beyond a wall; 0: no mirror.
MIRROR = {"open": 1, "no_flux": 1, "absorbing": -1, "periodic": 0}
GHOSTS = kernels.GHOSTS
#: Least diffusivity: where D = 0 at a moment, f/D · D must still be f.
FLOOR = float(np.finfo(float).tiny ** 0.5)


class Rates(NamedTuple):
    """A banded rate matrix: ``rows[width + k, i]`` is A[i, i + k]; periodic matrices wrap around.

    Conservation: the columns of A sum to zero with no-flux and periodic boundaries. ``equilibrium`` holds the climbs of Φ over the half cells
    and D at the centres, where the spectrum is real; A is then nearly symmetric in the norm √(Σ q²/π), π = e^Φ/D.
    """

    rows: Array
    periodic: bool
    equilibrium: tuple[Array, Array] | None = None

    @property
    def width(self) -> int:
        """Half bandwidth."""
        return len(self.rows) // 2

    def applied(self, p: Array) -> Array:
        """A p, shape (n,)."""
        out = np.empty(len(p))
        kernels.banded_product(self.rows, np.ascontiguousarray(p, float), self.periodic, out)
        return out

    def transposed(self) -> Rates:
        """Aᵀ, the generator of the backward equation."""
        w = self.width
        rows = np.stack([np.roll(self.rows[w - k], -k) for k in range(-w, w + 1)])
        return Rates(rows, self.periodic, self.equilibrium)


@dataclass(frozen=True)
class WellBalanced6:
    """Sixth-order well-balanced flux: exact on Gibbs laws, conservative; may undershoot zero where the density is not resolved.

    Second order where the drift does not vanish at a wall that the law reaches: mirror images of p have a kink there.
    """

    order: int = 6
    positive: bool = False

    def rates(self, problem: Problem, grid: Grid) -> Callable[[float], Rates]:
        """t ↦ rate matrix of half bandwidth 5."""
        sampled = Sampled(problem, grid)
        return lambda t: _assembled(*sampled(t), grid.face_stretch, grid.spacing, problem.boundary.kind)


@dataclass(frozen=True)
class ScharfetterGummel:
    """Second-order exponentially fitted flux: an M-matrix, positive for every grid, exact on Gibbs laws."""

    order: int = 2
    positive: bool = True

    def rates(self, problem: Problem, grid: Grid) -> Callable[[float], Rates]:
        """t ↦ tridiagonal rate matrix."""
        sampled = Sampled(problem, grid)
        kind = problem.boundary.kind
        gain = 1.0 / (grid.spacing**2 * grid.face_stretch)

        def at(t: float) -> Rates:
            _, D, climb = sampled(t)
            sides = 1 if kind == "periodic" else -1  # a wall mirrors the cell, with the opposite climb
            last, first = (climb[-1], climb[0]) if sides > 0 else (-climb[0], -climb[-1])
            rise = np.concatenate([[last + climb[0]], climb[1:-1:2] + climb[2::2], [climb[-1] + first]])
            centre, D = D, np.concatenate([D[-1:], D, D[:1]] if sides > 0 else [D[:1], D, D[-1:]])
            outflow, inflow = bernoulli(-rise) * D[:-1] * gain, bernoulli(rise) * D[1:] * gain
            rows = np.stack([outflow[:-1], -outflow[1:] - inflow[:-1], inflow[1:]])
            return _folded(rows, kind, None if kind == "periodic" else (climb, centre))

        return at


def bernoulli(z: Array) -> Array:
    """B(z) = z / (e^z − 1), accurate to round-off through z = 0 and for any size of z."""
    small = np.abs(z) < 1e-5
    safe = np.where(small, 1.0, np.minimum(z, 700.0))
    return np.where(small, 1 - z / 2 + z**2 / 12, np.where(z > 700.0, 0.0, safe / np.expm1(safe)))


class Sampled:
    """f̃ and D̃ at the cell centres, shape (n,), and ∫ f/D over the half cells, shape (2n,), as functions of t."""

    def __init__(self, problem: Problem, grid: Grid) -> None:
        self.problem, self.grid, self.points = problem, grid, grid.samples
        split = problem.drift.split if problem.diffusion.constant else None
        self.force = self.fall = None  # of the potential, over each half cell
        if split is not None:
            ends = grid.position(np.arange(2 * grid.cells + 1) / 2)
            self.force, self.fall = split.remainder, -np.diff(split.level(ends))

    def __call__(self, t: float) -> tuple[Array, Array, Array]:
        """The three arrays at t."""
        n, x = self.grid.cells, self.points
        f = self.problem.drift.column(x, t)
        pull = f[n:] if self.force is None else self.force.column(x[n:], t)
        if self.problem.diffusion.constant is None:
            D = np.maximum(self.problem.diffusivity(x, t)[:, 0], FLOOR)
            climb = self._over_half_cells(pull / D[n:])
        else:
            D = self.problem.diffusivity(x[:n], t)[:, 0]
            climb = self._over_half_cells(pull)
            climb = (climb if self.fall is None else climb + self.fall) / D[0]
        if self.grid.uniform:
            return f[:n], D[:n], climb
        stretch = self.grid.center_stretch
        return f[:n] / stretch, D[:n] / stretch, climb

    def _over_half_cells(self, values: Array) -> Array:
        """Integrals over the half cells of what has ``values`` at their nodes, shape (6n,) to (2n,)."""
        values, weights = values.reshape(-1, len(NODES)), self.grid.half_cell_weights
        return values @ weights[0] if len(weights) == 1 else np.einsum("ij,ij->i", values, weights)


def _assembled(f: Array, D: Array, climb: Array, stretch: Array, spacing: float, kind: str) -> Rates:
    """The rate matrix of the well-balanced flux from sampled coefficients."""
    rows = np.zeros((2 * GHOSTS + 1, len(f)))
    real = kernels.well_balanced(f, D, climb, stretch, spacing, MIRROR[kind], rows)
    return Rates(rows, kind == "periodic", (climb, D) if real else None)


def _folded(rows: Array, kind: str, equilibrium: tuple[Array, Array] | None = None) -> Rates:
    """Replace ghost columns: mirrored at no-flux walls, mirrored with a minus sign at absorbing ones, kept when periodic."""
    if kind != "periodic":
        kernels.fold(rows, float(MIRROR[kind]))
    return Rates(rows, kind == "periodic", equilibrium)


def check_noise(problem: Problem, grid: Grid) -> None:
    """Refuse noise that vanishes somewhere for all times: the Fokker–Planck equation degenerates there.

    Raises
    ------
    SchemeError
        With the place, and the remedy.
    """
    if (problem.diffusion.constant or 0.0) > 0.0:
        return
    steady, everywhere = problem.diffusion.steady, not problem.diffusion.state_dependent
    x = grid.centers[:1, None] if everywhere else np.sort(np.concatenate([grid.centers, grid.faces[1:-1]]))[:, None]
    moments = (0.0,) if steady else np.linspace(0, problem.horizon, 5)
    D = np.max([problem.diffusivity(x, t)[:, 0] for t in moments], axis=0)
    if np.any(D <= 0):
        raise SchemeError(
            f"the diffusion vanishes at x={float(x[int(np.argmin(D)), 0]):.4g}: the Fokker–Planck equation is degenerate there. "
            "For an ordinary differential equation pass the number 0 as the diffusion (solved along characteristics), else use fpk.simulate."
        )
