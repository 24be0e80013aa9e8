r"""Functionals of paths: what one-time marginals cannot see.

Two processes can share every p_t and still differ: a drift J/p with ∇·J = 0 may be added, noise may be reused. Joint laws and Dynkin's
formula see that.

* **Two times**: φ_j(X_s) φ_k(X_t) for Legendre functionals φ of slices at two times.
* **Dynkin**: R = φ(X_t) − φ(X_0) − ∫₀ᵗ (Lφ)(X_s, s) ds is a martingale for the generator L φ = f·∇φ + D:∇²φ of the process, so E R = 0 and
  E ψ(X_0) R = 0. With the generator of the *claimed* process and paths of the real one, the residual says whether the dynamics is right, whatever
  the law; the weights ψ(X_0) see what E R alone cannot, a drift that leaves the law unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fpk.errors import ComparisonError
from fpk.laws import Array, Law
from fpk.panels import LegendreBlock, Panel, law_panel
from fpk.problem import Problem


@dataclass(frozen=True, eq=False)
class TwoTimeBlock:
    """All products φ_j(X_s) φ_k(X_t) of the functionals of two one-time blocks."""

    first: LegendreBlock
    second: LegendreBlock

    @property
    def times(self) -> tuple[float, ...]:
        """(s, t)."""
        return (self.first.time, self.second.time)

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each product."""
        return tuple(f"{a} × {b}" for a in self.first.names for b in self.second.names)

    @property
    def frozen(self) -> tuple[Array, ...]:
        """The tables that define the functionals."""
        return (*self.first.frozen, *self.second.frozen)

    def values(self, earlier: Array, later: Array) -> Array:
        """The products at paired positions of shape (n, d); returns (K, n)."""
        a, b = self.first.values(earlier), self.second.values(later)
        return (a[:, None] * b[None]).reshape(-1, a.shape[1])


@dataclass(frozen=True, eq=False)
class DynkinBlock:
    """R_k and ψ_j(X_0) R_k, R_k = φ_k(X_t) − φ_k(X_0) − ∫₀ᵗ (L φ_k)(X_s, s) ds, for the generator L of ``problem``.

    Parameters
    ----------
    block : LegendreBlock
        The functions φ_k, at the time t.
    weights : tuple of LegendreBlock
        The functions ψ_j, of the position at t = 0; may be empty.
    problem : Problem
        The process whose generator is claimed; diagonal noise.
    """

    block: LegendreBlock
    problem: Problem
    weights: tuple[LegendreBlock, ...] = ()

    @property
    def times(self) -> tuple[float, ...]:
        """(t,): the path up to t is needed, not only positions."""
        return self.block.times

    @property
    def time(self) -> float:
        """The end t of the path."""
        return self.block.time

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each R_k, then for each ψ_j R_k."""
        plain = tuple(f"Dynkin residual of {name}" for name in self.block.names)
        return plain + tuple(f"{psi} at the start × {name}" for w in self.weights for psi in w.names for name in plain)

    @property
    def frozen(self) -> tuple[Array, ...]:
        """The tables that define the functions (the generator is named by the problem)."""
        return tuple(table for b in (self.block, *self.weights) for table in b.frozen)

    def residuals(self, start: Array, end: Array, integral: Array) -> Array:
        """R_k and ψ_j(X_0) R_k from the ends of the paths and ∫ Lφ_k ds of shape (degree, n)."""
        plain = self.block.values(end) - self.block.values(start) - integral
        return np.concatenate([plain, *(psi * plain for w in self.weights for psi in w.values(start))])

    def integrand(self, x: Array, t: float) -> Array:
        """(L φ_k)(x, t) = ⟨e, f⟩ φ_k′ + Σ_i D_ii e_i² φ_k″ along the direction e of the block, shape (degree, n)."""
        slope, curvature = self.block.derivatives(x)
        along = np.broadcast_to(self.problem.drift(x, t), x.shape) @ self.block.direction
        spread = self.problem.diffusivity(x, t) @ self.block.direction**2
        return along * slope + spread * curvature


def two_time_panel(laws: Mapping[float, Law], *, degree: int = 2) -> Panel:
    """Products of slices at consecutive pairs of times, over all pairs of axes.

    Parameters
    ----------
    laws : mapping from time to law
        References, at two times or more.
    degree : int, default 2
        Functionals for each time and axis.

    Raises
    ------
    ComparisonError
        For fewer than two times.
    """
    if len(laws) < 2:
        raise ComparisonError(f"a two-time panel needs laws at two times or more, got {sorted(laws)}.")
    single = law_panel(laws, degree=degree).smooth
    at: dict[float, list[LegendreBlock]] = {}
    for block in single:
        at.setdefault(block.time, []).append(block)
    times = sorted(at)
    return Panel(tuple(TwoTimeBlock(a, b) for s, t in _pairs(times) for a in at[s] for b in at[t]))


def _pairs(times: Sequence[float]) -> list[tuple[float, float]]:
    return list(pairwise(times))


def dynkin_panel(problem: Problem, laws: Mapping[float, Law], *, degree: int = 2) -> Panel:
    """Dynkin residuals under the generator of ``problem``, plain and weighted by the start; compare with :class:`fpk.marginals.Vanishing`.

    Parameters
    ----------
    problem : Problem
        The process that is claimed; its initial law gives the weights.
    laws : mapping from time to law
        References of the functions φ.
    degree : int, default 2
    """
    weights = law_panel({0.0: problem.initial}, degree=1).smooth
    return Panel(tuple(DynkinBlock(block, problem, weights) for block in law_panel(laws, degree=degree).smooth))
