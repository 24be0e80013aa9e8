r"""``solve`` on product grids: the marginals of a problem in two or three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fpk.errors import GridError, MassAtEdges, NonFinite
from fpk.fokker_planck.product.discretisation import ProductDiscretisation, discretised, named_box
from fpk.fokker_planck.product.solutions import ProductMarginals
from fpk.grids import ProductGrid
from fpk.laws import Array
from fpk.marginals import ROUND_OFF
from fpk.problem import Problem

#: Mass near the edges of a box: more is an error, less goes into the budget. And how near, as a share of the cells along an axis.
EDGE_LIMIT = 1e-3
EDGE_CELLS = 0.02
#: Undershoots beyond this share of the peak are those of a law that the cells do not resolve.
RIPPLES = 1e-6
#: What a functional may make of mass that was lost: √(2k + 1) for the fourth Legendre polynomial.
LARGEST = 3.0


def solved(
    problem: Problem,
    grid: ProductGrid,
    *,
    times: Sequence[float],
    steps: int | None = None,
    scheme: Any = None,
    positive: bool = False,
) -> ProductMarginals:
    """Solve ∂_t p = −Σ ∂_i (f_i p) + Σ ∂_i ∂_j (D_ij p) in a box, with p = 0 outside. :func:`fpk.solve` comes here for product grids.

    Parameters
    ----------
    problem : Problem
        d = 2 or 3, on the whole space; any matrix G(x, t), and a correlation of the noises. Without noise characteristics are followed.
    grid : ProductGrid
        A box that holds the law, and is checked; the law should be two or more cells wide (standard deviation).
    times : sequence of float
        Where p_t is wanted, in [0, horizon].
    steps : int, optional
        Time steps from 0 to the last time. By default the scheme chooses: none are needed where the coefficients are steady, else as many as
        leave an error in time of 1e-8.
    scheme : ProductScheme, optional
        Default: the first of :data:`fpk.fokker_planck.product.discretisation.CHOICES` that suits the problem.
    positive : bool, default False
        Choose a scheme whose densities never fall below zero, at a lower order.

    Returns
    -------
    ProductMarginals
        ``mass``, ``minimum`` and ``density(t)`` besides the contract. Expectations are corrected by their residual where the scheme
        allows it; a solution on half of the cells gives their budgets.

    Raises
    ------
    SchemeError
        For walls, other dimensions than the grid's, or a scheme that cannot keep a promise asked for.
    GridError, MassAtEdges
        If the grid does not hold the initial law, or the law reaches the edges of the box.
    NonFinite
        If a coefficient is not finite, with x and t, or the solution is not.

    Accuracy
    --------
    By default of eighth order in the cell widths for smooth laws (sixth where the coordinates are independent): a rotating
    Gaussian that starts with a standard deviation of 1.6 cells is wrong by 1.4e-5 in L1 later, of 3.2 cells by 7e-8.

    Examples
    --------
    >>> import fpk
    >>> spiral = fpk.Problem(["-x0 - 2*x1", "2*x0 - x1"], 1.0, initial=fpk.Gaussian([1.5, 0.0], 0.5))
    >>> solution = fpk.solve(spiral, fpk.Grid(-5, 5, cells=48) ** 2, times=[1.0])
    >>> solution.density(1.0).shape, bool(abs(solution.mass[0] - 1) < 1e-6)
    ((48, 48), True)
    """
    if problem.noiseless:
        from fpk.fokker_planck.product.flow import flowed

        return flowed(problem, grid, times=times, steps=steps)
    wanted = problem.checked_times(times)
    plan = discretised(problem, grid, until=wanted[-1], steps=steps, scheme=scheme, positive=positive)
    densities = np.stack([p for _, p in plan.forward(plan.start, wanted)])
    floor = LARGEST * (plan.missed + mass_at_edges(plan, wanted, densities)) + ROUND_OFF * max(plan.steps, *grid.shape)

    def halved() -> ProductMarginals:
        return solved(problem, grid.halved(), times=wanted, steps=max(1, plan.steps // 2), scheme=plan.scheme)

    return ProductMarginals(grid, wanted, densities, plan.scheme.order, floor, plan, halved)


def mass_at_edges(plan: ProductDiscretisation, times: tuple[float, ...], densities: Array) -> float:
    """Mass that left the box or is in its outermost 2 % of cells, the most over all times; refuses too much, and densities that are not finite."""
    masses = densities.reshape(len(times), -1).sum(axis=1)
    if not np.all(np.isfinite(masses)):
        name = plan.problem.name or "the problem"
        raise NonFinite(f"the density of {name} is not finite: refine the time steps (steps={plan.steps}).")
    outer = np.abs(masses - plan.start.sum()) + sum(_rims(densities, axis) for axis in range(1, densities.ndim))
    outer *= plan.grid.volume
    worst = int(np.argmax(outer))
    if outer[worst] > EDGE_LIMIT:
        _check_ripples(plan, times[worst], densities[worst])
        raise MassAtEdges(
            f"the box {named_box(plan.grid)} is too small: {outer[worst]:.2g} of the mass sits at its edges, or left, at "
            f"t={times[worst]:g} (allowed {EDGE_LIMIT:g}). Widen the grid."
        )
    return float(outer[worst])


def _check_ripples(plan: ProductDiscretisation, t: float, p: Array) -> None:
    """Refuse a density whose ripples, and not the law, reach the edges."""
    if p.min() < -RIPPLES * p.max():
        raise GridError(
            f"p_t at t={t:g} falls to {p.min():.3g} (peak {p.max():.3g}) and its ripples reach the edges: the law is narrower than the cells "
            f"of {plan.grid}. Use more cells, or positive=True."
        )


def _rims(densities: Array, axis: int) -> Array:
    """|sum| over the outermost cells at both ends of an axis, shape (len(densities),)."""
    rim = max(2, int(EDGE_CELLS * densities.shape[axis]) // 2)
    ends = (np.take(densities, part, axis=axis) for part in (range(rim), range(-rim, 0)))
    return sum((np.abs(end.sum(axis=tuple(range(1, end.ndim)))) for end in ends), np.zeros(len(densities)))
