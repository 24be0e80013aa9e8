r"""First passage: when, and through which wall, a process leaves an interval.

    S(t) = P(T > t) = ∫ p_t,    T the first time at a wall,    −Ṡ = k_− + k_+,    k_± = ±J at the walls = ∓D ∂_x p,

for absorbing walls, where p_t = 0. The survival S is the integral of the grid solution with corrected ends, the densities k_± of T are one-sided
derivatives at the walls. Where nothing depends on t the mass that left through the upper wall by t needs no integral over time:

    P(T ≤ t, upper) = E h(X_0) − E[h(X_t); T > t],

with the exit probability h. Else k_± are integrated along splines through every step.

References
----------
Redner (2001), A Guide to First-Passage Processes, §1.5 and §3.2; Cox and Miller (1965), The Theory of Stochastic Processes, §5.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fpk.errors import SchemeError
from fpk.fokker_planck.backward import exit_probability, whole
from fpk.fokker_planck.discretisation import Discretisation, Scheme, discretised
from fpk.fokker_planck.splines import quintic
from fpk.grids import Grid
from fpk.laws import Array
from fpk.problem import Problem

#: Times closer than this fraction of the mean step count as one for a spline.
CLOSE = 1e-3


@dataclass(frozen=True, eq=False)
class FirstPassage:
    """The law of the first time at a wall, at the asked times; every array has the shape (len(times),).

    Parameters
    ----------
    times : tuple of float
    survival : array
        P(T > t).
    lower_cdf, upper_cdf : array
        P(T ≤ t, through this wall).
    lower_density, upper_density : array
        Their derivatives: the flux out of each wall.
    plan : Discretisation
        What computed it.
    """

    times: tuple[float, ...]
    survival: Array
    lower_cdf: Array
    upper_cdf: Array
    lower_density: Array
    upper_density: Array
    plan: Discretisation

    @property
    def cdf(self) -> Array:
        """P(T ≤ t), through either wall."""
        return 1.0 - self.survival

    @property
    def density(self) -> Array:
        """The density of T."""
        return self.lower_density + self.upper_density

    def __str__(self) -> str:
        """What computed it, in words."""
        return f"first passage, {self.plan}"


def first_passage(
    problem: Problem, grid: Grid, *, times: Sequence[float], steps: int | None = None, scheme: Scheme | None = None
) -> FirstPassage:
    """The law of the time at which a process between two absorbing walls leaves, from its initial law.

    Parameters
    ----------
    problem : Problem
        With absorbing walls. For a half line put the other wall where no path comes; a stretched grid makes that cheap.
    grid : Grid
        Spans the domain.
    times : sequence of float
        In [0, horizon].
    steps, scheme : optional
        As for :func:`fpk.solve`. With coefficients that depend on t the cumulated flux through each wall is of sixth order in the step.

    Raises
    ------
    SchemeError
        For walls that do not absorb.
    GridError
        If the grid does not fit, or does not hold the initial mass.

    Accuracy
    --------
    The order of the flux where the drift is odd, and D even, about the walls. Where the drift does not vanish at a wall the odd continuation
    of p has a jump in its second derivative, and survival and densities are of second order in the cell width with either flux.

    Examples
    --------
    >>> import fpk
    >>> walls = fpk.Boundary("absorbing", -1.0, 1.0)
    >>> problem = fpk.Problem(0.0, 1.0, initial=fpk.Gaussian(0.0, 0.1), boundary=walls)
    >>> left = first_passage(problem, fpk.Grid(-1, 1, cells=100), times=[0.5, 1.0])
    >>> left.cdf.round(4).tolist(), (left.upper_cdf / left.cdf).round(4).tolist()
    ([0.3228, 0.6338], [0.5, 0.5])
    """
    if problem.boundary.kind != "absorbing":
        raise SchemeError(
            f"a first passage needs absorbing walls, the boundary is {problem.boundary.kind}. "
            f'Pass boundary=fpk.Boundary("absorbing", {grid.lower:g}, {grid.upper:g}).'
        )
    plan = discretised(problem, grid, steps=steps, scheme=scheme)
    asked = problem.checked_times(times)
    path = asked if problem.steady else _every_step(asked, plan.steps)
    states = np.stack([q for _, q in plan.forward(plan.start, path)])
    kept = np.searchsorted(path, asked)
    survival = states @ whole(grid.cells) * grid.spacing
    lower, upper = _wall_fluxes(plan, path, states)
    if problem.steady:
        up = _left_upwards(plan, states, survival)
        down = survival_at_start(plan) - survival - up
    else:
        down, up = (_cumulated(path, flux) for flux in (lower, upper))
    S, below, above, out_low, out_high = (x[kept] for x in (survival, down, up, lower, upper))
    return FirstPassage(asked, S, below, above, out_low, out_high, plan)


def survival_at_start(plan: Discretisation) -> float:
    """∫ p_0 over the grid: 1 less the initial mass that lies beyond the walls."""
    return float(plan.start @ whole(plan.grid.cells)) * plan.grid.spacing


def _left_upwards(plan: Discretisation, states: Array, survival: Array) -> Array:
    """P(T ≤ t, upper) = E h(X_0) − E[h(X_t); T > t]."""
    h = exit_probability(plan.problem, plan.grid, flux=plan.scheme.flux).values
    weights = whole(plan.grid.cells) * h * plan.grid.spacing
    return plan.start @ weights - states @ weights


def _every_step(times: tuple[float, ...], steps: int) -> tuple[float, ...]:
    """The asked times with 0 and ``steps`` equal parts of the longest of them."""
    return tuple(sorted({0.0, *times, *(times[-1] * np.arange(steps + 1) / steps).tolist()}))


def _cumulated(path: tuple[float, ...], flux: Array) -> Array:
    """∫_0^t of a flux given along the path, by a quintic spline through those of its times that are well apart."""
    t = np.array(path)
    kept = [0]
    for i in range(1, len(t)):
        if t[i] - t[kept[-1]] > CLOSE * t[-1] / len(t):
            kept.append(i)
    if len(kept) == 1:
        return np.zeros_like(t)
    return quintic(t[kept], flux[kept]).antiderivative()(t)


def _wall_fluxes(plan: Discretisation, path: tuple[float, ...], states: Array) -> tuple[Array, Array]:
    """D |∂_x p| at the lower and the upper wall, each of shape (len(path),), from p = 0 there and seven cells."""
    nodes, powers = np.arange(7) + 0.5, np.arange(1, 8)
    slope = np.linalg.solve(nodes ** powers[:, None], np.eye(7)[0]) / plan.grid.spacing
    stretch = plan.grid.face_stretch[[0, -1]]
    walls = np.array([[plan.grid.lower], [plan.grid.upper]])
    D = np.array([plan.problem.diffusivity(walls, t)[:, 0] for t in path])
    lower, upper = states[:, :7] @ slope, states[:, :-8:-1] @ slope
    return D[:, 0] * lower / stretch[0] ** 2, D[:, 1] * upper / stretch[1] ** 2
