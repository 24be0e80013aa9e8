r"""The positive scheme: a random walk on the cells, for any diffusivity tensor, with a density that never falls below zero.

With D = Σ_k λ_k e_k e_kᵀ in units of the cells (:mod:`selling`) and f = Σ_k μ_k e_k, the equation is a sum of one-dimensional ones along the offsets,

    ∂_t p = −Σ_i ∂_i (f_i p) + Σ_ij ∂_i ∂_j (D_ij p) ≈ Σ_k [Δ_{e_k}(λ_k p) − δ_{e_k}(μ_k p)],

each a random walk between the cells x and x + e_k. For D that does not depend on x and D⁻¹f = ∇Φ, exponential fitting (Scharfetter and Gummel)
keeps the Gibbs law e^Φ at rest, exactly for potentials up to degree four:

    x → x + e: λ_k B(−c),   x + e → x: λ_k B(c),   c = Φ(x + e) − Φ(x),   B(z) = z/(e^z − 1).

It acts as if μ_k = λ_k e_k · D⁻¹f and adds about λ c²/12 to the noise, which Gibbs laws need and others suffer from. Elsewhere, differences are
central where this leaves no rate negative, and upwind where not:

    x → x ± e: max(λ_k, |μ_k|/2) ± μ_k/2,   μ_k = ω_k e_k · (Σ_l ω_l e_l e_lᵀ)⁻¹ f,

with ω_k = λ_k, and :data:`SHARE` |f_i| more along each axis: second order where |f_i| h is small against D, and bounded where D has no inverse. No
jump leads out of the box, so that mass is conserved.

Upwind differences spread by |μ_k|/2 − λ_k, and any walk between neighbours that moves so fast does: where rotation is strong, cross differences
that may go negative are more accurate. From N((1.5, 0), .25) by D = [[.6, .3], [.3, .4]] and a drift [[−1, −ω], [ω, −1]] x to t = 1 on [−6, 6]²
the error is 3.9e-2 with ω = 2 and 48² cells (theirs 3.0e-2) and 7.6e-3 with 96² (theirs 7.4e-3), but with ω = 8 it is 4.5e-1 and 1.5e-1 (theirs
9.6e-2 and 2.3e-2). :mod:`carried` is positive and better than both there.

In time p ↦ exp(τA) p = Σ_n w_n (1 + A/q)ⁿ p with q the largest rate at which a cell is left and Poisson weights w_n of mean qτ (*uniformisation*):
sums of non-negative terms only, and no error in time up to :data:`TAIL`. Coefficients that depend on t are those of mid-step: second order.

References
----------
Scharfetter and Gummel (1969); Jensen (1953), for uniformisation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from fpk.fokker_planck.product import _jumps as kernels
from fpk.fokker_planck.product._team import Team
from fpk.fokker_planck.product.fields import Fields, fields_at
from fpk.fokker_planck.product.selling import ROUNDING, Stencil, Whole, in_cells, stencil_of
from fpk.fokker_planck.stepping import Steps
from fpk.grids import ProductGrid, once
from fpk.laws import Array
from fpk.problem import Problem

#: Poisson weight left out of an exponential.
TAIL = 1e-12
#: How much of |f_i|, in units of the cells, is added to the noise along axis i when the drift is shared out among the offsets.
SHARE = 0.05
#: Largest rotation of D⁻¹f, as a part of its gradient, that counts as none: that of rounding and of differences of smooth potentials.
NO_ROTATION = 0.01
#: Added to states, so that the smallest numbers do not become denormal, with which processors are ten times slower.
LEAST = 1e-200
#: Condition of D above which D⁻¹f is not looked at.
MOST_CONDITION = 1e8
#: Steps per cell of the longest axis where coefficients depend on t and no number is stated.
STEPS_PER_CELL = 0.25


@dataclass(frozen=True, eq=False)
class Jumps:
    """Rates of a random walk between pairs of cells x, x + e_k of a grid.

    Parameters
    ----------
    offsets : int array, shape (k, d)
        e_k, the first entry that is not 0 positive.
    up : array, shape (k, *shape)
        Rate from x to x + e_k, stored at x; 0 where x + e_k is outside the box.
    down : array, shape (k, *shape)
        Rate from x + e_k to x, stored at x.
    """

    offsets: Whole
    up: Array
    down: Array

    @once
    def strides(self) -> Whole:
        """Distances of pairs in flattened arrays, shape (k,), all positive."""
        shape = self.up.shape[1:]
        return self.offsets @ np.array([int(np.prod(shape[a + 1 :])) for a in range(len(shape))])

    @once
    def leaving(self) -> Array:
        """Rate at which each cell is left, of the grid's shape."""
        out = np.zeros(self.up.shape[1:])
        flat = out.ravel()
        for s, up, down in zip(self.strides, self.up, self.down, strict=True):
            flat += up.ravel()
            flat[s:] += down.ravel()[:-s]
        return out

    @once
    def fastest(self) -> float:
        """The largest of these rates, and a little more, so that no cell loses more than it has."""
        return float(self.leaving.max()) * (1 + 1e-14) + LEAST

    @once
    def team(self) -> Team:
        """Who works on large grids."""
        return Team(self.leaving.size)

    def evolved(self, p: Array, step: float, *, transposed: bool = False) -> Array:
        """exp(step · A) p, or its transpose, of the grid's shape: mass is conserved, and nothing becomes negative."""
        first, weights = poisson(self.fastest * step, TAIL)
        up, down = (r.reshape(len(r), -1) for r in ((self.down, self.up) if transposed else (self.up, self.down)))
        rates = (self.strides, up, down, self.leaving.ravel())
        start = p.ravel() + LEAST
        y, out = weights[-1] * start, np.empty_like(start)
        scale = 1.0 / self.fastest
        for weight in (*weights[-2::-1], *np.zeros(first)):
            self.team.share(partial(kernels.walk, y, start, weight, scale, rates, out), len(y))
            y, out = out, y
        return y.reshape(p.shape)


def poisson(mean: float, tail: float) -> tuple[int, Array]:
    """The first n and the Poisson weights from there on, scaled to sum to 1; those left out were less than ``tail``.

    Examples
    --------
    >>> first, weights = poisson(400.0, 1e-12)
    >>> first, len(weights), round(float(weights @ np.arange(first, first + len(weights))), 6)
    (251, 309, 400.0)
    """
    from scipy.special import gammaln

    size = np.log(1.0 / tail)
    below, above = (2 * mean * size) ** 0.5, size / 3 + (size**2 / 9 + 2 * mean * size) ** 0.5  # Bernstein's bounds
    first, last = max(0, int(mean - below)), int(mean + above) + 1
    n = np.arange(first, last + 1)
    weights = np.exp(n * np.log(mean) - mean - gammaln(n + 1.0)) if mean > 0 else np.where(n, 0.0, 1.0)
    return first, weights / weights.sum()


def jumps_of(fields: Fields, stencil: Stencil, grid: ProductGrid) -> Jumps:
    """The rates of drift and diffusivity: exponentially fitted for the gradient of a potential, as central as they can be otherwise.

    Parameters
    ----------
    fields : Fields
    stencil : Stencil
        That of the diffusivity.
    grid : ProductGrid
    """
    drift = (fields.drift.reshape(grid.dimension, -1).T / grid.spacings).T.reshape(fields.drift.shape)
    if fields.uniform_noise:
        D = in_cells(fields.diffusivity, grid.spacings)[0]
        if np.linalg.cond(D) < MOST_CONDITION:
            gradient = np.tensordot(np.linalg.inv(D), drift, 1)
            slopes = np.stack([np.gradient(g, edge_order=2) for g in gradient])
            if rotation(slopes) < NO_ROTATION:
                return _fitted(gradient, slopes, stencil)
    return _central(drift, _with_axes(stencil))


def _fitted(gradient: Array, slopes: Array, stencil: Stencil) -> Jumps:
    """Exponentially fitted rates; climbs by the trapezoidal rule with its correction by slopes, exact for cubic gradients."""
    shape = gradient.shape[1:]
    up, down = np.zeros((2, len(stencil.offsets), *shape))
    for k, e in enumerate(stencil.offsets):
        here, there = ends(e, shape)
        along, bend = np.tensordot(e, gradient, 1), np.einsum("i,j,ij...->...", e, e, slopes)
        climb = (along[here] + along[there]) / 2 - (bend[there] - bend[here]) / 12
        leave, come = np.full((2, climb.size), stencil.weights[k].item())
        kernels.fit(climb.ravel(), leave, come)
        up[k][here], down[k][here] = leave.reshape(climb.shape), come.reshape(climb.shape)
    return Jumps(stencil.offsets, up, down)


def _central(drift: Array, stencil: Stencil) -> Jumps:
    """Central differences as far as no rate is negative, and upwind ones."""
    shape, count = drift.shape[1:], len(stencil.offsets)
    weights = np.broadcast_to(stencil.weights, (count, *shape))
    shares = weights.copy()
    for f, k in zip(drift, _axes(stencil.offsets), strict=True):
        shares[k] += SHARE * np.abs(f)
    slope = np.empty(drift.shape)
    kernels.share_out(
        drift.reshape(len(drift), -1),
        shares.reshape(count, -1),
        stencil.offsets,
        (ROUNDING, LEAST),
        slope.reshape(len(drift), -1),
    )
    up, down = np.zeros((2, count, *shape))
    for k, e in enumerate(stencil.offsets):
        here, there = ends(e, shape)
        half = shares[k] * np.tensordot(e, slope, 1) / 2
        level = np.maximum(weights[k], np.abs(half))
        up[k][here], down[k][here] = (level + half)[here], (level - half)[there]
    return Jumps(stencil.offsets, up, down)


def _with_axes(stencil: Stencil) -> Stencil:
    """The stencil with an offset along each axis, weightless where D has none there."""
    present = {tuple(e) for e in stencil.offsets.tolist()}
    missing = [e for e in np.eye(stencil.offsets.shape[1], dtype=int).tolist() if tuple(e) not in present]
    if not missing:
        return stencil
    none = np.zeros((len(missing), *stencil.weights.shape[1:]))
    return Stencil(np.concatenate([stencil.offsets, np.array(missing)]), np.concatenate([stencil.weights, none]))


def _axes(offsets: Whole) -> list[int]:
    """Places of the offsets along the axes."""
    return [int(np.flatnonzero((offsets == e).all(axis=1))[0]) for e in np.eye(offsets.shape[1], dtype=int)]


def ends(offset: Whole, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The cells x with x + e in the box, and the cells x + e; no cells if e is longer than the box."""
    here = tuple(slice(min(max(-e, 0), n), max(n - max(e, 0), 0)) for e, n in zip(offset, shape, strict=True))
    return here, tuple(slice(cut.start + e, cut.stop + e) for e, cut in zip(offset, here, strict=True))


def rotation(slopes: Array) -> float:
    """½ ‖∂_i g_j − ∂_j g_i‖ over ‖∂_i g_j‖ of a field's slopes (d, d, *shape): 0 for the gradient of a potential.

    Examples
    --------
    >>> rotation(np.array([[2.0, 1.0], [1.0, 0.0]])), rotation(np.array([[0.0, -1.0], [1.0, 0.0]]))
    (0.0, 1.0)
    """
    size = float(np.linalg.norm(slopes))
    return float(np.linalg.norm(slopes - slopes.swapaxes(0, 1))) / (2 * size) if size else 0.0


class PositiveSteps(Steps):
    """Uniformised exponentials of the jump rates in the middle of each step.

    Parameters
    ----------
    fields : callable
        t ↦ coefficients on the grid.
    grid : ProductGrid
    steady : bool
        Whether the coefficients do not depend on t: then one step is enough for each interval, and its rates are kept.
    """

    def __init__(self, fields: Callable[[float], Fields], grid: ProductGrid, *, steady: bool) -> None:
        self.fields, self.grid, self.steady = fields, grid, steady
        self._noise: Array | None = None
        self._stencil: Stencil | None = None
        self._last: tuple[float, Jumps] | None = None

    def counted(self, steps: int) -> int:
        """One step for each interval where the coefficients are steady: it is exact."""
        return 1 if self.steady else steps

    def jumps(self, t: float) -> Jumps:
        """The rates at t."""
        if self._last is None or (self._last[0] != t and not self.steady):
            fields = self.fields(t)
            self._last = t, jumps_of(fields, self._decomposed(fields.diffusivity), self.grid)
        return self._last[1]

    def _decomposed(self, diffusivity: Array) -> Stencil:
        if self._stencil is None or self._noise is None or not np.array_equal(diffusivity, self._noise):
            self._noise, self._stencil = diffusivity, stencil_of(diffusivity, self.grid)
        return self._stencil

    def advanced(self, p: Array, t: float, step: float) -> Array:
        """The density at t + step of one that is p at t; not negative where p is not."""
        return self.jumps(t + step / 2).evolved(p, step)

    def returned(self, u: Array, t: float, step: float) -> Array:
        """The transpose of :meth:`advanced`; takes its values between the least and the largest of u."""
        return self.jumps(t + step / 2).evolved(u, step, transposed=True)


@dataclass(frozen=True)
class PositiveScheme:
    """Selling's stencil with exponentially fitted rates, and uniformised exponentials in time: positive for every tensor, grid and step."""

    order: float = 2
    positive: bool = True

    def suits(self, problem: Problem, grid: ProductGrid) -> bool:
        """Any problem with noise."""
        return not problem.noiseless

    def steps_for(self, problem: Problem, grid: ProductGrid, *, until: float) -> int:
        """A quarter of the cells of the longest axis; at least 20, as in one dimension."""
        return max(20, int(STEPS_PER_CELL * max(grid.shape)))

    def stepper(self, problem: Problem, grid: ProductGrid) -> Steps:
        """The steps, over densities of the grid's shape."""
        return PositiveSteps(fields_at(problem, grid), grid, steady=problem.steady)

    def __str__(self) -> str:
        """Space and time."""
        return "Selling's stencil + uniformisation"


POSITIVE = PositiveScheme()
