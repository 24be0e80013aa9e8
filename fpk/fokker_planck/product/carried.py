r"""A positive scheme for drifts that are strong against the noise: masses of cells are carried along characteristics, and noise does the rest.

A walk between neighbouring cells in continuous time cannot move with velocity f without spreading by |f| h/2 at least, which is what
:mod:`positive` adds where cells are large. One long step can: the mass at x goes to Φ_τ(x) and is shared among the 2^d cells around that place, with
weights that are products of w_i and 1 − w_i along the axes. The mean is right, and the covariance, h_i² w_i (1 − w_i) along each axis, is below h²/4
however far it went. The noise before it is told to leave that out:

    p(t + τ) = e^{τB/2} S e^{τB₋/2} p,    B p = Σ_ij ∂_i ∂_j (D_ij p),    D₋ = D − diag(h_i² w_i (1 − w_i)/τ),

with both exponentials those of :mod:`positive` without drift: central differences along Selling's offsets, exact in time. All three are matrices
without negative entries whose columns sum to one, and are transposed as such.

Steps must not be too *short*: where D₋ would not be a diffusivity, :data:`LEAST` of D is kept and the density spreads too much. With τ above
h²/4 times the norm of D⁻¹ that does not happen, and the scheme is of second order in cells and steps together. No step is too long to be stable.
Where drift is weak, or noise nearly confined to one direction, :mod:`positive` is better: at 25:1 and a drift of −x/2 four times.
For dX = [[−1, −8], [8, −1]] X dt + G dW, D = [[.6, .3], [.3, .4]], from N((1.5, 0), .25) to t = 1 on [−6, 6]², with the steps that it chooses
(L¹ error):

==========  ======  ======  ======
cells       48²     64²     96²
==========  ======  ======  ======
here        2.9e-2  1.4e-2  5.8e-3
nine-point  9.6e-2  5.3e-2  2.3e-2
positive    4.5e-1  3.1e-1  1.5e-1
==========  ======  ======  ======

References
----------
Camilli and Falcone (1995), An approximation scheme for the optimal control of diffusion processes; Strang (1968).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from fpk.fokker_planck.characteristics import moved
from fpk.fokker_planck.product.fields import Fields, fields_at, pairs
from fpk.fokker_planck.product.positive import Jumps, jumps_of
from fpk.fokker_planck.product.selling import ROUNDING, in_cells, reach, stencil_of
from fpk.fokker_planck.stepping import Steps
from fpk.grids import ProductGrid
from fpk.laws import Array
from fpk.problem import Problem

#: Share of D that is kept at least when what sharing out spreads is taken from it.
LEAST = 0.05
#: Runge–Kutta steps that carry a cell over one step.
PARTS = 4
#: The length of default steps in units of h²/4 times the norm of D⁻¹ where that is typical, and the fewest that are taken.
LENGTH, FEWEST = 1.5, 8


def shared_out(places: Array, grid: ProductGrid) -> tuple[Any, Array]:
    """Where masses of cells go that are carried to ``places``, and how much that spreads them.

    Parameters
    ----------
    places : array, shape (cells, d)
        Where the centre of each cell comes to; outside the box it is the nearest cell that counts.
    grid : ProductGrid

    Returns
    -------
    shares : sparse array, shape (cells, cells)
        Columns sum to 1, and no entry is negative.
    spread : array, shape (cells, d)
        w_i (1 − w_i).
    """
    from scipy.sparse import csr_array

    shape = np.array(grid.shape)
    first = np.array([axis.lower + axis.spacing / 2 for axis in grid.axes])
    at = np.clip((places - first) / np.array(grid.spacings), 0.0, shape - 1.0)
    below = np.minimum(at.astype(np.int64), shape - 2)
    w, cells = at - below, np.arange(grid.cells)
    corners = [np.array(corner) for corner in product((0, 1), repeat=grid.dimension)]
    weights = np.stack([np.where(corner, w, 1 - w).prod(axis=1) for corner in corners])
    targets = np.stack([np.ravel_multi_index(tuple((below + corner).T), grid.shape) for corner in corners])
    entries = weights.ravel(), (targets.ravel(), np.tile(cells, len(corners)))
    return csr_array(entries, shape=(grid.cells, grid.cells)), w * (1 - w)


def lessened(diffusivity: Array, spread: Array, grid: ProductGrid, step: float) -> Array:
    """D less what sharing out spreads within the step, or as much of that as leaves :data:`LEAST` of D; shape (d (d + 1)/2, *shape).

    And as leaves neighbours within :func:`reach`, which a D that is nearly singular has not.
    """
    D = in_cells(diffusivity, grid.spacings)
    room = D - np.linalg.eigvalsh(D)[:, -1:, None] / reach(grid) ** 2 * np.eye(grid.dimension)
    taken = spread / step * np.minimum(1.0, (1 - LEAST) * fitting(room, spread / step))[:, None]
    full = np.broadcast_to(diffusivity.reshape(len(diffusivity), -1), (len(diffusivity), grid.cells)).copy()
    for k, (i, j) in enumerate(pairs(grid.dimension)):
        if i == j:
            full[k] -= taken[:, i] * grid.spacings[i] ** 2
    return full.reshape(len(full), *grid.shape)


def fitting(D: Array, diagonal: Array) -> Array:
    """The largest m with D − m · diag ≥ 0, shape (n,), for D of shape (n or 1, d, d); 0 where D is not definite.

    Examples
    --------
    >>> fitting(np.array([[[2.0, 1.0], [1.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]]]), np.ones((2, 2)))
    array([1., 0.])
    """
    definite = np.linalg.eigvalsh(D)[:, 0] > ROUNDING * np.trace(D, axis1=1, axis2=2)
    inverse, root = np.linalg.inv(np.where(definite[:, None, None], D, np.eye(D.shape[1]))), np.sqrt(diagonal)
    largest = np.linalg.eigvalsh(root[:, :, None] * inverse * root[:, None, :])[:, -1]
    return np.where(definite, 1 / np.maximum(largest, np.finfo(float).tiny), 0.0)


class CarriedSteps(Steps):
    """Half of the noise, less what the second part spreads; masses along characteristics; the other half.

    Parameters
    ----------
    problem : Problem
    grid : ProductGrid
    """

    def __init__(self, problem: Problem, grid: ProductGrid) -> None:
        self.problem, self.grid = problem, grid
        self.fields: Callable[[float], Fields] = fields_at(problem, grid)
        self._last: tuple[float, float, tuple[Jumps, Any, Jumps]] | None = None

    def _parts(self, t: float, step: float) -> tuple[Jumps, Any, Jumps]:
        """The three maps of a step, kept while they do not change."""
        last = self._last
        if last is None or abs(last[1] - step) > 1e-13 * step or (last[0] != t and not self.problem.steady):
            self._last = last = t, step, self._made(t, step)
        return last[2]

    def _made(self, t: float, step: float) -> tuple[Jumps, Any, Jumps]:
        places = self.grid.points
        for k in range(PARTS):
            places = moved(self.problem, places, t + step * k / PARTS, step / PARTS)
        shares, spread = shared_out(places, self.grid)
        D = self.fields(t + step / 2).diffusivity
        return self._noise(lessened(D, spread, self.grid, step)), shares, self._noise(D)

    def _noise(self, diffusivity: Array) -> Jumps:
        """Jumps of a diffusivity without drift."""
        still = Fields(np.zeros((self.grid.dimension, *self.grid.shape)), diffusivity)
        return jumps_of(still, stencil_of(diffusivity, self.grid), self.grid)

    def advanced(self, p: Array, t: float, step: float) -> Array:
        """The density at t + step of one that is p at t; not negative where p is not."""
        before, shares, after = self._parts(t, step)
        spread = before.evolved(p, step / 2)
        return after.evolved((shares @ spread.ravel()).reshape(p.shape), step / 2)

    def returned(self, u: Array, t: float, step: float) -> Array:
        """The transpose of :meth:`advanced`; takes its values between the least and the largest of u."""
        before, shares, after = self._parts(t, step)
        mean = after.evolved(u, step / 2, transposed=True)
        return before.evolved((shares.T @ mean.ravel()).reshape(u.shape), step / 2, transposed=True)


@dataclass(frozen=True)
class CarriedScheme:
    """Masses along characteristics between halves of the noise: positive for every tensor, grid and step, and sharp where drift is strong."""

    order: float = 2
    positive: bool = True

    def suits(self, problem: Problem, grid: ProductGrid) -> bool:
        """Any problem with noise."""
        return not problem.noiseless

    def steps_for(self, problem: Problem, grid: ProductGrid, *, until: float) -> int:
        """As many as let the noise make up for what sharing out spreads, in half of the cells; at least :data:`FEWEST`."""
        D = in_cells(fields_at(problem, grid)(until / 2).diffusivity, grid.spacings)
        longest = float(np.median(fitting(D, np.full(D.shape[:2], 0.25))))
        return max(FEWEST, int(until * longest / LENGTH))

    def stepper(self, problem: Problem, grid: ProductGrid) -> Steps:
        """The steps, over densities of the grid's shape."""
        return CarriedSteps(problem, grid)

    def __str__(self) -> str:
        """Space and time."""
        return "masses along characteristics + Selling's stencil"


CARRIED = CarriedScheme()
