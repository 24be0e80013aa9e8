r"""How fast expectations change: by one short step of the process itself, and by the right side of an equation for its density.

    lim_{h→0} (E φ(X + h f + √h G ξ) − E φ(X)) / h   =   ∫ φ R p dx,

E by Gauss–Hermite quadrature over ξ and sums over a lattice, which are spectrally accurate for smooth densities that vanish at its ends. The
left side knows of no equation for densities; derivatives on the right are those of the trigonometric interpolant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Evidence

from .._limits import limit

#: Functions φ of positions (n, d); they return (K, n).
Tests = Callable[[Array], Array]
#: Rates of K expectations over a step h.
Rate = Callable[[float], Array]


@dataclass(frozen=True, eq=False)
class Lattice:
    """Equally spaced points on [−half, half)^dimension, with spectral derivatives of what vanishes at the ends."""

    half: float
    count: int
    dimension: int = 1

    @cached_property
    def points(self) -> Array:
        """Shape (n, d)."""
        axis = self.half * (2 * np.arange(self.count) / self.count - 1)
        return np.stack(np.meshgrid(*[axis] * self.dimension, indexing="ij"), axis=-1).reshape(-1, self.dimension)

    @property
    def volume(self) -> float:
        """Of one cell."""
        return (2 * self.half / self.count) ** self.dimension

    def derivative(self, values: Array, axis: int = 0) -> Array:
        """∂/∂x_axis of values of shape (n,)."""
        field = values.reshape((self.count,) * self.dimension)
        waves = 1j * np.pi / self.half * np.fft.rfftfreq(self.count, 1 / self.count)
        waves[-1] = 0.0  # the highest wave has no derivative on the lattice
        shape = [-1 if k == axis else 1 for k in range(self.dimension)]
        moved = np.fft.rfft(field, axis=axis) * waves.reshape(shape)
        return np.fft.irfft(moved, self.count, axis=axis).ravel()

    def divergence(self, field: Array) -> Array:
        """Σ ∂_i F_i of F of shape (n, d), shape (n,)."""
        return sum((self.derivative(field[:, i], i) for i in range(self.dimension)), np.zeros(len(field)))

    def spreading(self, tensor: Array) -> Array:
        """Σ ∂_i ∂_j T_ij of T of shape (n, d, d), shape (n,)."""
        return self.divergence(np.stack([self.divergence(tensor[:, i]) for i in range(self.dimension)], axis=1))

    def integrals(self, tests: Tests, density: Array) -> Array:
        """∫ φ q dx for q of shape (n,), shape (K,)."""
        return tests(self.points) @ density * self.volume


def waves(vectors: Sequence[Sequence[float]]) -> Tests:
    """cos k·x and sin k·x for some wave vectors k."""
    k = np.asarray(vectors, float)
    return lambda x: np.concatenate([np.cos(k @ x.T), np.sin(k @ x.T)])


def wave_names(vectors: Sequence[Sequence[float]]) -> tuple[str, ...]:
    """One name for each function of :func:`waves`."""
    labels = [" ".join(f"{c:g}" for c in k) for k in vectors]
    return tuple(f"d/dt E {name} k·X, k = {label}" for name in ("cos", "sin") for label in labels)


def forward(lattice: Lattice, p: Array, f: Array, M: Array) -> Array:
    """−∇·(f p) + ½ Σ ∂_i ∂_j (M_ij p) from values f (n, d) and M (n, d, d) on the lattice."""
    return -lattice.divergence(f * p[:, None]) + 0.5 * lattice.spreading(M * p[:, None, None])


def one_step(problem: fpk.Problem, lattice: Lattice, tests: Tests, t: float = 0.0, nodes: int = 8) -> Rate:
    """h ↦ (E φ(X + h f + √h G ξ) − E φ(X)) / h for X from the initial law of the problem and its coefficients at t, shape (K,)."""
    x = lattice.points
    mass = problem.initial.density(x) * lattice.volume
    kept = mass > 1e-18
    x, mass = x[kept], mass[kept]
    f, G = np.broadcast_to(problem.drift(x, t), x.shape), matrices(problem, x, t)
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    draws = np.stack(np.meshgrid(*[z] * G.shape[2], indexing="ij"), axis=-1).reshape(-1, G.shape[2])
    weights = np.prod(np.stack(np.meshgrid(*[w / w.sum()] * G.shape[2], indexing="ij"), axis=-1), axis=-1).ravel()
    blows, start = np.einsum("nim,qm->qni", G, draws), tests(x) @ mass

    def rate(h: float) -> Array:
        moved = (x + h * f + h**0.5 * blows).reshape(-1, x.shape[1])
        return (tests(moved).reshape(len(start), len(draws), -1) @ mass @ weights - start) / h

    return rate


def matrices(problem: fpk.Problem, x: Array, t: float) -> Array:
    """G at x as matrices, shape (n, d, m)."""
    g = problem.diffusion(x, t)
    if g.ndim == 3:
        return np.broadcast_to(g, (len(x), *g.shape[1:]))
    return np.broadcast_to(g, x.shape)[:, :, None] * np.eye(x.shape[1])


def bumps(centres: Array, width: float) -> Tests:
    """Mollified δ functions: densities N(centre, width²) of one coordinate."""
    law = fpk.Gaussian(0.0, width)
    return lambda x: law.density((x[:, 0] - centres[:, None]).reshape(-1, 1)).reshape(len(centres), -1)


def two_levels(residual_at: Callable[[int], Array], *, names: Sequence[str], source: str) -> Evidence:
    """An identity: ``residual_at(2)``, with its change from ``residual_at(1)`` as the bound."""
    fine, coarse = residual_at(2), residual_at(1)
    first = fpk.residual(fine, 1.5 * np.abs(fine - coarse) + 1e-10, coarser=coarse, source=source)
    return Evidence(first, zero_estimate(len(fine)), tuple(names))


def on_two_grids(values: Callable[[int], Array], fine: int, coarse: int) -> fpk.Estimate:
    """Expectations ``values(cells)`` on the finer of two grids, with 1.5 times the change from the coarser as their budget."""
    best, before = values(fine), values(coarse)
    return fpk.Estimate(
        best, 1.5 * np.abs(best - before) + 1e-6, coarser=before, source=f"grids of {coarse} and {fine}"
    )


def rate_evidence(rate: Rate, claimed: Array, *, names: Sequence[str], source: str, step: float = 0.04) -> Evidence:
    """An identity: the limit of ``rate(h)`` as h → 0 less what is claimed."""
    found, bound, coarser = limit([rate(step / 2**k) for k in range(4)])
    first = fpk.residual(found - claimed, bound, coarser=coarser - claimed, source=source)
    return Evidence(first, zero_estimate(len(first.value)), tuple(names))
