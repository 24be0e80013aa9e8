r"""What a grid solution gets wrong, told by the equation and not by another solution: residuals of a smooth reconstruction.

Let p̃ be a quintic spline in x through the grid's densities (in t: exact for exponentials, a cubic Hermite interpolant for steps), and u the
backward solution E[φ(X_T) | X_t = x]. For the exact law p,

    E_p φ − E_p̃ φ = ⟨p_0 − p̃_0, u_0⟩ − ∫₀ᵀ ( ⟨∂_t p̃, u⟩ − ⟨J̃, ∂_x u⟩ − [D p̃ ∂_x u] ) dt,    J̃ = (f − D′) p̃ − D ∂_x p̃,        (1)

an identity for any p̃ (the *dual-weighted residual*). With the grid's own u in place of u the error left is a product of two errors (at
absorbing walls, where this u is not quite 0, with [J̃ u] added), so that adding (1) to E_p̃ φ raises the order; and as (1) reads f and D from
the problem, not from the solver, it also shows a solver that solves something else. And since the forward semigroup contracts L¹, a bar that
needs no u at all, for walls that do not absorb:

    ‖p̃_T − p_T‖₁ ≤ ‖p̃_0 − p_0‖₁ + ∫₀ᵀ ( ‖∂_t p̃ + ∂_x J̃‖₁ + |J̃| at no-flux walls ) dt.                                            (2)

Integrals are Gauss–Legendre sums, three points in each cell and each step; (2) is a theorem up to their error.

References
----------
Becker and Rannacher (2001), An optimal control approach to a posteriori error estimation, for (1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from fpk.errors import SchemeError
from fpk.fokker_planck.discretisation import Discretisation
from fpk.fokker_planck.exponentials import Exponential
from fpk.fokker_planck.fluxes import Rates
from fpk.fokker_planck.splines import splined
from fpk.fokker_planck.stepping import DiagonallyImplicit
from fpk.grids import NODES, WEIGHTS, Grid
from fpk.laws import Array, central_derivative
from fpk.problem import Problem

#: Panels in time for exponentials, as fractions of T: finer where p_0 is narrow and where φ is rough.
PANELS = np.array([0, 1 / 256, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 15 / 16, 1.0])
#: Times evaluated at once, to bound memory.
CHUNK = 32


class ColumnRates(Rates):
    """A rate matrix for several states at once, the columns of arrays (n, K)."""

    def applied(self, p: Array) -> Array:
        """A p, shape (n, K)."""
        n, w = len(p), self.width
        around = np.concatenate([p[n - w :], p, p[:w]]) if self.periodic else np.pad(p, ((w, w), (0, 0)))
        return sum((self.rows[k, :, None] * around[k : k + n] for k in range(2 * w + 1)), np.zeros_like(p))

    def transposed(self) -> ColumnRates:
        """Aᵀ."""
        return ColumnRates(*super().transposed())


@dataclass(frozen=True, eq=False)
class Moment:
    """p̃, ∂_t p̃ and u at M times, at the cell centres: shapes (n, M), (n, M), (n, K, M), with the weights of ∫ dt."""

    times: Array
    weights: Array
    p: Array
    rate: Array
    u: Array


@dataclass(frozen=True, eq=False)
class Residuals:
    """Residuals of what ``plan`` computes, in the equation of ``problem`` (another one than the plan's to look for a wrong coefficient).

    Parameters
    ----------
    plan : Discretisation
    problem : Problem
    times : tuple of float
        The stored times of the solution: they decide where its steps end.
    """

    plan: Discretisation
    problem: Problem
    times: tuple[float, ...]

    @property
    def grid(self) -> Grid:
        """The grid of the plan."""
        return self.plan.grid

    @property
    def points(self) -> tuple[Array, Array]:
        """Gauss points of the cells and their weights, each of shape (3 cells,)."""
        return self.grid.cell_nodes

    def splined(self, values: Array) -> Any:
        """The quintic spline through values at the centres, shape (cells, ...)."""
        return splined(self.grid, values, periodic=self.problem.boundary.kind == "periodic")

    def _flux(self, p: Any, x: Array, times: Array) -> tuple[Array, Array]:
        """J̃ and D p̃ at the points x for the spline of (n, M) densities at M times; each of shape (len(x), M)."""
        f, D, slope = (np.stack(c, axis=1) for c in zip(*(self._coefficients(x, t) for t in times), strict=True))
        density = p(x)
        return (f - slope) * density - D * p(x, 1), D * density

    def _coefficients(self, x: Array, t: float) -> tuple[Array, Array, Array]:
        """f, D = ½g² and D′ = g g′ at x of shape (n,)."""
        column, problem = x[:, None], self.problem
        g = problem.diffusion.column(column, t)
        slope = np.broadcast_to(problem.diffusion.gradient(column, t), column.shape)[:, 0]
        return problem.drift.column(column, t), 0.5 * g**2, g * slope

    def correction(self, time: float, functionals: Array) -> Array:
        """The right side of (1) for functionals given at the cell centres, shape (K, n), at one stored time; shape (K,)."""
        x, weights = self.points
        missing = np.exp(self.problem.initial.log_density(x[:, None])) - self.splined(self._start)(x)
        u_start, moments = self._moments(time, functionals)
        total = (weights * missing) @ self.splined(u_start.T)(x)
        for moment in moments:
            total -= self._weighted(moment) @ moment.weights
        return total

    def _weighted(self, moment: Moment) -> Array:
        """⟨∂_t p̃, u⟩ − ⟨J̃, ∂_x u⟩, and at absorbing walls + [J̃ u] − [D p̃ ∂_x u], shape (K, M)."""
        x, weights = self.points
        p, u = self.splined(moment.p), self.splined(moment.u)
        flux, _ = self._flux(p, x, moment.times)
        inside = np.einsum("x,xm,xkm->km", weights, self.splined(moment.rate)(x), u(x))
        inside -= np.einsum("x,xm,xkm->km", weights, flux, u(x, 1))
        if self.problem.boundary.kind == "absorbing":
            walls = np.array([self.grid.lower, self.grid.upper])
            outwards = np.array([-1.0, 1.0])
            flux, held = self._flux(p, walls, moment.times)
            inside += np.einsum("x,xm,xkm->km", outwards, flux, u(walls)) - np.einsum(
                "x,xm,xkm->km", outwards, held, u(walls, 1)
            )
        return inside

    def l1_bar(self, time: float) -> float:
        """The right side of (2) at one stored time, besides the mass outside the grid.

        Raises
        ------
        SchemeError
            For absorbing walls: what a p̃ that is not quite 0 there lets in is not bounded by it.
        """
        if self.problem.boundary.kind == "absorbing":
            raise SchemeError(
                "the L1 bar does not hold at absorbing walls. Use expectations, which come with a budget, or fpk.refine."
            )
        x, weights = self.points
        start = self.splined(self._start)(x)
        bar = float(weights @ np.abs(start - np.exp(self.problem.initial.log_density(x[:, None]))))
        for moment in self._moments(time, np.zeros((1, self.grid.cells)))[1]:
            p = self.splined(moment.p)
            strong = self.splined(moment.rate)(x) + self._divergence(p, x, moment.times)
            bar += float(weights @ np.abs(strong) @ moment.weights)
            if self.problem.boundary.kind in ("no_flux", "open"):
                walls, _ = self._flux(p, np.array([self.grid.lower, self.grid.upper]), moment.times)
                bar += float(np.abs(walls).sum(0) @ moment.weights)
        return bar

    def _divergence(self, p: Any, x: Array, times: Array) -> Array:
        """∂_x J̃ by sixth-order differences of J̃, an operator the solver does not know."""
        step = 0.05 * float(self.grid.widths.min())
        return central_derivative(lambda y: self._flux(p, y, times)[0], x, step)

    @cached_property
    def _start(self) -> Array:
        return self.plan.start / self.grid.center_stretch

    def _moments(self, time: float, functionals: Array) -> tuple[Array, Iterator[Moment]]:
        """u_0, shape (K, n), and the moments over which ∫ dt is taken."""
        exact = isinstance(self.plan.scheme.method, Exponential)
        return self._at_nodes(time, functionals) if exact else self._between_steps(time, functionals)

    def _legs(self, time: float) -> list[tuple[float, float]]:
        """Start and length of every step of the solution up to ``time``."""
        plan = self.plan
        schedule = plan.stepper.scheduled(self.times, plan.steps)
        return [leg for target, legs in schedule if target <= time * (1 + 1e-12) for leg in legs]

    def _rate(self, q: Array, t: float) -> Array:
        """∂_t p = A(t) q, as a density."""
        return self.plan.rates_at(t).applied(q) / self.grid.center_stretch

    def _at_nodes(self, time: float, functionals: Array) -> tuple[Array, Iterator[Moment]]:
        """Gauss nodes of :data:`PANELS`, where exponentials give p and u without error in time."""
        starts, lengths = PANELS[:-1] * time, np.diff(PANELS) * time
        nodes = tuple((starts[:, None] + lengths[:, None] * (1 + NODES) / 2).ravel())
        weights = (lengths[:, None] / 2 * WEIGHTS).ravel()
        stretch = self.grid.center_stretch
        states = [q for _, q in self.plan.forward(self.plan.start, nodes)]
        p = np.stack(states, axis=1) / stretch[:, None]
        rates = np.stack([self._rate(q, t) for t, q in zip(nodes, states, strict=True)], axis=1)
        back = np.stack([[v for _, v in self.plan.back(u, (*nodes, time))] for u in functionals])[
            :, :0:-1
        ]  # (K, 0 and nodes, n)
        u = back[:, 1:].transpose(2, 0, 1)
        return back[:, 0], iter([Moment(np.array(nodes), weights, p, rates, u)])

    def _between_steps(self, time: float, functionals: Array) -> tuple[Array, Iterator[Moment]]:
        """Gauss nodes of every step, with cubic Hermite interpolants of p and u between its ends."""
        legs, stepper = self._legs(time), self.plan.stepper
        states = [self.plan.start]
        for t, step in legs:
            states.append(stepper.advanced(states[-1], t, step))
        u, returned = np.empty((len(legs) + 1, *functionals.shape)), self._returned_together
        u[-1] = functionals
        for i in range(len(legs) - 1, -1, -1):
            u[i] = returned(u[i + 1], *legs[i])
        chunks = range(0, len(legs), CHUNK)
        return u[0], (self._hermite(legs[i : i + CHUNK], states[i:], u[i:]) for i in chunks)

    @cached_property
    def _returned_together(self) -> Callable[[Array, float, float], Array]:
        """One step back of functionals (K, n), for which coefficients are read, and matrices factored, once."""
        method, rates_at = self.plan.scheme.method, self.plan.rates_at
        if isinstance(method, DiagonallyImplicit):
            columns = method.stepper(lambda t: ColumnRates(*rates_at(t)))
            return lambda u, t, step: columns.returned(u.T, t, step).T
        stepper = method.stepper(lru_cache(maxsize=4)(rates_at), self.plan.clock)
        return lambda u, t, step: np.stack([stepper.returned(v, t, step) for v in u])

    def _hermite(self, legs: list[tuple[float, float]], states: list[Array], u: Array) -> Moment:
        s = (1 + NODES) / 2
        one, two, three, four = 2 * s**3 - 3 * s**2 + 1, s**3 - 2 * s**2 + s, 3 * s**2 - 2 * s**3, s**3 - s**2
        slopes = 6 * s**2 - 6 * s, 3 * s**2 - 4 * s + 1, 6 * s - 6 * s**2, 3 * s**2 - 2 * s
        times, weights, p, rate, back = [], [], [], [], []
        end = self.plan.rates_at(legs[0][0])
        for i, (t, step) in enumerate(legs):
            start, end = end, self.plan.rates_at(t + step)
            q = np.stack([states[i], step * start.applied(states[i]), states[i + 1], step * end.applied(states[i + 1])])
            left, right = (ColumnRates(*rates).transposed() for rates in (start, end))
            v = [u[i], -step * left.applied(u[i].T).T, u[i + 1], -step * right.applied(u[i + 1].T).T]
            times.append(t + step * s)
            weights.append(step / 2 * WEIGHTS)
            p.append(np.stack([one, two, three, four], axis=1) @ q)
            rate.append(np.stack(slopes, axis=1) @ q / step)
            back.append(np.einsum("hs,hkn->skn", np.stack([one, two, three, four]), np.stack(v)))
        stretch = self.grid.center_stretch[:, None]
        return Moment(
            np.concatenate(times), np.concatenate(weights),
            np.concatenate(p).T / stretch, np.concatenate(rate).T / stretch, np.concatenate(back).transpose(2, 1, 0),
        )  # fmt: skip
