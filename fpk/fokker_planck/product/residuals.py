r"""What a solution on a product grid gets wrong, told by the equation: dual-weighted residuals.

Let p̃ be a smooth function of x and t near the exact law p, and u(x, t) = E[φ(X_T) | X_t = x]. As ∂_t u + L u = 0 and u_T = φ,

    E_p φ − E_p̃ φ = ⟨p_0 − p̃_0, u_0⟩ − ∫₀ᵀ ( ⟨∂_t p̃, u⟩ − ⟨p̃, L u⟩ ) dt,    L u = f · ∇u + D : ∇∇u,        (1)

for any p̃. With the grid's own backward solution in place of u the error left is a product of two errors. p̃ interpolates the grid's densities: in
space as a trigonometric polynomial, whose integrals against smooth functions are sums over the cells; in time as polynomials of degree four
between Gauss–Lobatto nodes of panels that are finer near both ends. L u is taken by differences of twelfth order from the problem's own
coefficients, so that (1) also shows a solver that solves something else. As p̃_0 = p_0 at the cell centres, the first term vanishes.

References
----------
Becker and Rannacher (2001), An optimal control approach to a posteriori error estimation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fpk.fokker_planck.stepping import Steps
from fpk.grids import ProductGrid
from fpk.laws import Array
from fpk.problem import Problem

#: Panels in time as fractions of T: finer where p_0 is narrow and where φ is rough.
PANELS = np.array([0, 1 / 256, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 15 / 16, 1.0])
#: Gauss–Lobatto nodes on [−1, 1], and their weights.
NODES = np.array([-1.0, -np.sqrt(3 / 7), 0.0, np.sqrt(3 / 7), 1.0])
WEIGHTS = np.array([1 / 10, 49 / 90, 32 / 45, 49 / 90, 1 / 10])
#: Order of the differences of u.
ACCURACY = 12


@dataclass(frozen=True, eq=False)
class ProductResiduals:
    """Residuals of what a stepper computes, in the equation of ``problem`` (another one to look for a wrong coefficient).

    Parameters
    ----------
    stepper : Steps
    start : array, shape of the grid
        p_0 at the cell centres.
    steps : int
        From 0 to the time asked for; every panel takes at least four.
    problem : Problem
    grid : ProductGrid
    """

    stepper: Steps
    start: Array
    steps: int
    problem: Problem
    grid: ProductGrid

    def expected(self, time: float, functionals: Array) -> tuple[Array, Array]:
        """Expectations at one time as the grid gives them, and their corrections, the right side of (1).

        Parameters
        ----------
        time : float
            T > 0.
        functionals : array, shape (K, *shape)
            φ_k at the cell centres.

        Returns
        -------
        values, corrections : arrays, shape (K,)
        """
        nodes = _nodes(time)
        densities = np.stack([self.start, *(p for _, p in self.stepper.run(self.start, nodes[1:], self.steps))])
        found = [self._correction(densities, nodes, phi) for phi in functionals]
        axes = tuple(range(1, functionals.ndim))
        return self.grid.volume * np.sum(functionals * densities[-1], axis=axes), np.array(found)

    def _correction(self, densities: Array, nodes: tuple[float, ...], functional: Array) -> float:
        total = 0.0
        back = self._panels_back(nodes, functional)
        for first in range(len(nodes) - len(NODES), -1, 1 - len(NODES)):
            u, span = next(back), slice(first, first + len(NODES))
            p, times = densities[span], nodes[span]
            half = (times[-1] - times[0]) / 2
            rate = np.tensordot(_differentiation() / half, p, axes=1)
            inside = [np.sum(rate[i] * u[i]) - np.sum(p[i] * self._generator(u[i], t)) for i, t in enumerate(times)]
            total -= half * float(WEIGHTS @ np.array(inside))
        return self.grid.volume * total

    def _panels_back(self, nodes: tuple[float, ...], functional: Array) -> Iterator[Array]:
        """u at the nodes of each panel, the last panel first."""
        panel: list[Array] = []
        for _, u in self.stepper.run_back(functional, nodes[1:], self.steps):
            panel.insert(0, u)
            if len(panel) == len(NODES):
                yield np.stack(panel)
                panel = [u]

    def _generator(self, u: Array, t: float) -> Array:
        """L u = f · ∇u + D : ∇∇u at the cell centres."""
        d, x = self.grid.dimension, self.grid.points
        f = np.broadcast_to(self.problem.drift(x, t), x.shape).T.reshape(d, *self.grid.shape)
        D = self.problem.diffusivity_matrix(x, t)
        D = D.transpose(1, 2, 0).reshape(d, d, *(self.grid.shape if len(D) > 1 else (1,) * d))
        out = np.zeros_like(u)
        for i in range(d):
            slope = self._derivative(u, i, 1)
            out += f[i] * slope + D[i, i] * self._derivative(u, i, 2)
            for j in range(i + 1, d):
                if np.any(D[i, j]):
                    out += 2 * D[i, j] * self._derivative(slope, j, 1)
        return out

    def _derivative(self, u: Array, axis: int, order: int) -> Array:
        from scipy.ndimage import correlate1d

        return correlate1d(u, _weights(order), axis=axis, mode="nearest") / self.grid.spacings[axis] ** order


def _nodes(time: float) -> tuple[float, ...]:
    """Every node of every panel of [0, T], once."""
    starts, halves = PANELS[:-1] * time, np.diff(PANELS) * time / 2
    inner = starts[:, None] + halves[:, None] * (1 + NODES[:-1])
    return (*inner.ravel().tolist(), time)


@lru_cache(maxsize=1)
def _differentiation() -> Array:
    """The matrix that differentiates polynomials of degree four at :data:`NODES`."""
    powers = np.vander(NODES, increasing=True)
    slopes = np.zeros_like(powers)
    slopes[:, 1:] = powers[:, :-1] * np.arange(1, len(NODES))
    return slopes @ np.linalg.inv(powers)


@lru_cache(maxsize=2)
def _weights(order: int) -> Array:
    """Central difference weights, by a library the solver does not use."""
    import findiff

    return np.array(findiff.coefficients(deriv=order, acc=ACCURACY)["center"]["coefficients"], float)
