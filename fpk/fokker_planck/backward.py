r"""The backward equation: expectations of a payoff as functions of where the process starts.

    u(x, s) = E[φ(X_t) | X_s = x],    −∂_s u = f ∂_x u + D ∂_x² u,    u(·, t) = φ,

and for absorbing walls only the paths still alive count, u = 0 at the walls. On the grid u is taken back by the transposes of the maps that take
cell masses m forward, so that Σ m_s u(s) = E φ(X_t) does not depend on s, up to round-off, whatever the scheme, the walls and the
coefficients. The transposed fluxes are as accurate for u as the fluxes are for p, mirrors included: reflecting walls continue u evenly,
absorbing ones oddly, which is exact where f is odd and D even about the walls.

Steady exit problems need no time: with the rates r at which cells lose mass through the upper wall, Aᵀ h = −r is f h' + D h'' = 0, h = 0 and 1
at the walls (h odd about its wall values), and Aᵀ m = −1 is the equation of the mean time to leave.

References
----------
Risken (1989), The Fokker–Planck Equation, §4.2 and §8.1; Karlin and Taylor (1981), A Second Course in Stochastic Processes, §15.3 (scale function).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fpk.errors import GridError, SchemeError
from fpk.fokker_planck.discretisation import Discretisation, Scheme, discretised
from fpk.fokker_planck.fluxes import Rates
from fpk.fokker_planck.payoffs import Payoff, checked_interval, read_payoff
from fpk.fokker_planck.splines import quintic, splined
from fpk.fokker_planck.stationary import steady_rates
from fpk.fokker_planck.stepping import Factored
from fpk.grids import Grid, ProductGrid, stored_index
from fpk.laws import Array
from fpk.paths import TwoTimeBlock
from fpk.problem import Problem

if TYPE_CHECKING:
    from fpk.fokker_planck.product.backward import ProductBackwardSolution
    from fpk.fokker_planck.product.discretisation import ProductScheme

#: Cells a grid needs so that no cell loses mass through both walls.
APART = 10
#: Cells next to a wall whose mean exit times are interpolated.
CORRECTED = 10


@dataclass(frozen=True, eq=False)
class BackwardSolution:
    """u(·, s) = E[payoff(X_until) | X_s = ·] at the cell centres of a grid.

    Parameters
    ----------
    grid : Grid
    times : tuple of float
    values : array, shape (len(times), cells)
    until : float
        When the payoff is read.
    plan : Discretisation
        What computed it.
    """

    grid: Grid
    times: tuple[float, ...]
    values: Array
    until: float
    plan: Discretisation

    def at(self, s: float) -> Array:
        """u(·, s) at the cell centres, shape (cells,)."""
        return self.values[stored_index(self.times, s, name="u")]

    def on(self, x: Array, s: float) -> Array:
        """u(x, s) at points x of shape (n,) of the grid, by a quintic spline.

        Raises
        ------
        GridError
            For points outside the grid.
        """
        periodic = self.plan.problem.boundary.kind == "periodic"
        return splined(self.grid, self.at(s), periodic=periodic)(_inside(self.grid, x))

    def __str__(self) -> str:
        """What computed it, in words."""
        return f"backward {self.plan}"


def _inside(grid: Grid, x: Array) -> Array:
    """The points, refused where the grid does not reach them."""
    x = np.asarray(x, float)
    if not np.all((x >= grid.lower) & (x <= grid.upper)):
        raise GridError(
            f"values are known on [{grid.lower:g}, {grid.upper:g}], asked for at x from {x.min():g} to {x.max():g}. "
            "Ask inside, or widen the grid."
        )
    return x


@overload
def backward(  # noqa: D418 (every public function has one here)
    problem: Problem,
    grid: Grid,
    *,
    payoff: Payoff,
    times: Sequence[float],
    until: float | None = None,
    steps: int | None = None,
    scheme: Scheme | None = None,
) -> BackwardSolution:
    """In one dimension."""
    ...


@overload
def backward(  # noqa: D418 (every public function has one here)
    problem: Problem,
    grid: ProductGrid,
    *,
    payoff: Payoff,
    times: Sequence[float],
    until: float | None = None,
    steps: int | None = None,
    scheme: ProductScheme | None = None,
) -> ProductBackwardSolution:
    """In two and three dimensions."""
    ...


def backward(
    problem: Problem,
    grid: Grid | ProductGrid,
    *,
    payoff: Payoff,
    times: Sequence[float],
    until: float | None = None,
    steps: int | None = None,
    scheme: Any = None,
) -> BackwardSolution | ProductBackwardSolution:
    """Solve the backward equation u(x, s) = E[payoff(X_until) | X_s = x]; with absorbing walls, of the paths still inside.

    Parameters
    ----------
    problem : Problem
        Its initial law is not used. What follows is about one dimension; for two and three see
        :func:`fpk.fokker_planck.product.backward.taken_back`.
    grid : Grid or ProductGrid
        As for :func:`fpk.solve`. An open problem is reflected at the ends of the grid: u is right where paths do not reach them.
    payoff : callable
        φ over positions of shape (n, 1); returns (n,) or (n, 1).
    times : sequence of float
        Where u(·, s) is wanted, in [0, until].
    until : float, optional
        When the payoff is read; default the horizon.
    steps, scheme : optional
        As for :func:`fpk.solve`.

    Returns
    -------
    BackwardSolution or ProductBackwardSolution

    Raises
    ------
    ProblemError
        If a time is later than ``until``, or the payoff is not one finite number for each position.
    SchemeError, GridError
        As for :func:`fpk.solve`.

    Accuracy
    --------
    The order of the scheme for smooth payoffs. A payoff that jumps, or is not 0 at an absorbing wall, is resolved to second order
    in the cell width.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(0.0, 1.0))
    >>> u = backward(ou, fpk.Grid(-9, 9, cells=200), payoff=lambda x: x, times=[0.0])
    >>> round(float(u.on(np.array([2.0]), 0.0)[0] * np.e), 6)
    2.0
    """
    if isinstance(grid, ProductGrid):
        from fpk.fokker_planck.product.backward import taken_back

        return taken_back(problem, grid, payoff=payoff, times=times, until=until, steps=steps, scheme=scheme)
    wanted, until = checked_interval(problem, times, until)
    plan = discretised(problem, grid, steps=steps, scheme=scheme)
    u = read_payoff(payoff, grid.centers[:, None])
    path = tuple(sorted({*wanted, until}))
    found = {t: values for t, values in plan.back(u, path) if t in wanted}
    return BackwardSolution(grid, wanted, np.stack([found[t] for t in wanted]), until, plan)


def joint_expectations(plan: Discretisation, block: TwoTimeBlock, q: Array, *, times: tuple[float, ...]) -> Array:
    """E φ_j(X_s) φ_k(X_t) = ∫ p_s φ_j u_k, with u_k = φ_k taken back from t to s; shape (products,).

    Parameters
    ----------
    plan : Discretisation
    block : TwoTimeBlock
    q : array, shape (cells,)
        The solution at s, a density per unit of ξ.
    times : tuple of float
        All times the forward solution was asked for, so that the very steps of that solution are taken back.
    """
    (s, t), x = block.times, plan.grid.centers[:, None]
    path = (*(r for r in times if r < t * (1 - 1e-12)), t)
    steps: Any = plan.steps * t / times[-1] if len(path) > 1 else plan.steps
    earlier, later = block.first.values(x), block.second.values(x)
    if s < t:
        later = np.stack([next(v for r, v in plan.stepper.run_back(u, path, steps) if np.isclose(r, s)) for u in later])
    return np.einsum("ji,ki,i->jk", earlier, later, q * plan.grid.spacing).ravel()


@dataclass(frozen=True, eq=False)
class FromStart:
    """A function of the start x that satisfies a steady backward equation: its values at the cell centres and at both walls."""

    grid: Grid
    values: Array
    walls: tuple[float, float]

    def on(self, x: Array) -> Array:
        """The values at points x of shape (n,) between the walls, by a quintic spline.

        Raises
        ------
        GridError
            For points beyond the walls.
        """
        return splined(self.grid, self.values, walls=self.walls)(_inside(self.grid, x))


def exit_probability(problem: Problem, grid: Grid, *, flux: Any = None) -> FromStart:
    """The probability to leave through the upper of two absorbing walls, as a function of the start.

    Parameters
    ----------
    problem : Problem
        Steady, with absorbing walls; its initial law is not used.
    grid : Grid
        Spans the domain.
    flux : WellBalanced6 (default) or ScharfetterGummel

    Raises
    ------
    SchemeError
        For coefficients that depend on t, or walls that do not absorb.
    GridError
        If the grid does not fit, or has fewer than ten cells.

    Accuracy
    --------
    That of the flux where the drift is odd, and D even, about the walls. Else a derivative of h jumps in the odd continuation about a wall:
    h'' where the drift does not vanish there, which leaves second order with either flux, h'''' where it only vanishes (fourth).
    """
    rates = _leaving(problem, grid, flux)
    losses = wall_losses(rates)[1]
    return FromStart(grid, _solved_transposed(rates, losses), (0.0, 1.0))


def mean_exit_time(problem: Problem, grid: Grid, *, flux: Any = None) -> FromStart:
    """The mean time to leave through either of two absorbing walls, as a function of the start.

    Parameters
    ----------
    problem, grid, flux
        As for :func:`exit_probability`; at least forty cells.

    Raises
    ------
    SchemeError, GridError
        As for :func:`exit_probability`.

    Accuracy
    --------
    Orders as for :func:`exit_probability`. The time spent inside is integrated over x with corrected ends
    (:func:`whole`); the cells next to a wall, where those corrections are, are interpolated.
    """
    rates = _leaving(problem, grid, flux)
    if grid.cells < 4 * CORRECTED:
        raise GridError(f"a mean exit time needs at least {4 * CORRECTED} cells, got {grid.cells}. Use more cells.")
    values = _solved_transposed(rates, whole(grid.cells))
    inside = slice(CORRECTED, -CORRECTED)
    x = np.concatenate([[grid.lower], grid.centers[inside], [grid.upper]])
    return FromStart(grid, quintic(x, np.concatenate([[0.0], values[inside], [0.0]]))(grid.centers), (0.0, 0.0))


def whole(cells: int) -> Array:
    """Weights w with ∫ q dξ = Σ w_i q_i Δξ + O(Δξ⁸) for smooth q that need not vanish at the walls, shape (cells,).

    The midpoint rule with its seven outermost weights corrected so that polynomials of degree six are integrated exactly (Euler–Maclaurin).
    """
    nodes, powers = np.arange(7) + 0.5, np.arange(7)
    # Σ_{j≥0} (j + ½)^k − ∫_0^∞ x^k dx, in the sense of Abel, is −B_{k+1}(½)/(k + 1).
    missing = [0.0, -1 / 24, 0.0, 7 / 960, 0.0, -31 / 8064, 0.0]
    correction = np.linalg.solve(nodes ** powers[:, None], missing)
    weights = np.ones(cells)
    weights[:7] += correction
    weights[-7:] += correction[::-1]
    return weights


def _leaving(problem: Problem, grid: Grid, flux: Any) -> Rates:
    if problem.boundary.kind != "absorbing":
        raise SchemeError(
            f"an exit problem needs absorbing walls, the boundary is {problem.boundary.kind}. "
            f'Pass boundary=fpk.Boundary("absorbing", {grid.lower:g}, {grid.upper:g}).'
        )
    return steady_rates(problem, grid, flux, what="an exit problem")


def wall_losses(rates: Rates) -> tuple[Array, Array]:
    """Rates at which each cell loses mass through the lower and the upper wall, each of shape (cells,)."""
    n = rates.rows.shape[1]
    if n < APART:
        raise GridError(
            f"an exit problem needs at least {APART} cells to tell its walls apart, got {n}. Use more cells."
        )
    lost = -rates.transposed().applied(np.ones(n))
    near_lower, within = np.arange(n) < n // 2, np.minimum(np.arange(n), np.arange(n)[::-1]) < rates.width
    lost = np.where(within, lost, 0.0)  # elsewhere round-off
    return np.where(near_lower, lost, 0.0), np.where(near_lower, 0.0, lost)


def _solved_transposed(rates: Rates, right: Array) -> Array:
    """X of −Aᵀ x = right, refined once."""
    scale = float(np.abs(rates.rows).max()) * 1e9
    solve = Factored(rates, scale)  # I − c A with so large a c that I does not count
    adjoint, x = rates.transposed(), np.zeros_like(right)
    for _ in range(3):
        x = x + scale * solve.solve(right + adjoint.applied(x), transposed=True)
    return x
