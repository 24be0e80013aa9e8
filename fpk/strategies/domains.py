r"""Where processes live: boundaries, and grids that hold a law, or the law of a problem until its horizon.

A box holds a problem whose drift is linear plus a bounded wave, |w| ≤ h, if it holds the law of the linear problem with the largest
noise, and beyond it on every side

    h ∫₀ᵀ ‖e^{As}‖ ds,

because two solutions on the same noise are never further apart. Other problems in one dimension are looked at by cheap solves.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fpk.closed_form import euler_chain, exact
from fpk.coefficients import GradientDrift, Linear
from fpk.errors import ProblemError
from fpk.fokker_planck.boxes import fitted_grid
from fpk.grids import Grid, ProductGrid
from fpk.laws import Array, GaussianMixture, Law, as_law
from fpk.problem import Boundary, Problem
from fpk.strategies.ranges import checked_at_least_one, checked_kinds, checked_positive, numbers
from fpk.strategies.waves import WavyDrift, WavyNoise, Wells

#: Kinds of boundaries, the simplest first.
BOUNDARIES = ("open", "no_flux", "absorbing", "periodic")
#: How many standard deviations of every component a grid holds, by dimension: beyond five in space lie 2e-6 of the mass.
HELD = {1: 7.0, 2: 6.0, 3: 5.0}
#: Instants at which the law of a problem is looked at, and steps of the chain that is looked at.
LOOKS, STEPS = 9, 64
#: Cells in the narrowest standard deviation, by dimension.
RESOLVED = {1: 5.0, 2: 3.0, 3: 2.0}


def boundaries(*, kinds: Collection[str] = BOUNDARIES, reach: float = 3.0) -> SearchStrategy[Boundary]:
    """What happens at the ends of the interval that a one-dimensional process lives on.

    Parameters
    ----------
    kinds : collection of str, default all of "open", "no_flux" (reflecting), "absorbing", "periodic"
    reach : float, default 3
        The lower wall is in [−reach, −reach/3], the upper one in [reach/3, reach].

    Returns
    -------
    SearchStrategy of Boundary
        Shrinks to ``Boundary()``, or to the first kind with walls at −1 and 1.

    Raises
    ------
    ProblemError
        For unknown kinds, and a reach that is not positive.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(boundaries(kinds=["no_flux"]), lambda walls: True)
    Boundary(kind='no_flux', lower=-1.0, upper=1.0)
    """
    checked_positive(reach=reach)
    chosen = checked_kinds("kinds", kinds, BOUNDARIES)
    ends = numbers(-reach, -reach / 3), numbers(reach / 3, reach)
    return st.one_of(
        [st.builds(Boundary) if kind == "open" else st.builds(Boundary, st.just(kind), *ends) for kind in chosen]
    )


def grids(
    holding: Any, *, finer: float = 1.5, wider: float = 1.25, stretched: bool = False, max_cells: int = 2_000_000
) -> SearchStrategy[Any]:
    """Grids that hold a law, or the law of a problem from 0 to its horizon, with cells that resolve it.

    Parameters
    ----------
    holding : Law or Problem
        In one, two or three dimensions. Between walls the grid spans the domain.
    finer, wider : float, default 1.5 and 1.25
        Most times more cells in a box, and most times larger a box (its length, area or volume), than it takes.
    stretched : bool, default False
        In one dimension, grids that are finer around a focus too (never around a ring).
    max_cells : int, default 2,000,000
        The most cells in all.

    Returns
    -------
    SearchStrategy of Grid or ProductGrid
        Shrinks to the smallest box with the fewest cells; uniform.

    Raises
    ------
    ProblemError
        If the law is not known well enough to choose a box, or is so narrow that it needs more cells.

    Notes
    -----
    The box reaches seven standard deviations (six in the plane, five in space) beyond the mean of every component, the narrowest of which is five
    cells wide (three, two). Laws and problems of this package are known by their formulas; other problems in one dimension cost some 30 ms,
    for cheap solves.

    Examples
    --------
    >>> from hypothesis import find
    >>> import fpk
    >>> find(grids(fpk.Gaussian(0.0, 1.0)), lambda grid: True)
    Grid(lower=-7.0, upper=7.0, cells=70, focus=None, breadth=None)
    """
    checked_at_least_one(finer=finer, wider=wider)
    box = box_of(holding)
    if box.cells > max_cells:
        raise ProblemError(
            f"{' × '.join(str(n) for n in box.counts)} cells are needed to hold {_named(holding)} and resolve it, more than max_cells={max_cells}. "
            "Use a wider initial law, or smaller bounds in the strategy it came from."
        )
    return _grids(box, finer, wider, stretched, max_cells)


@dataclass(frozen=True)
class Box:
    """What a grid needs at least: ends along each axis, cells along each, and whether the ends may move."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    counts: tuple[int, ...]
    fixed: bool = False
    ring: bool = False

    @property
    def cells(self) -> int:
        """Cells in all."""
        return math.prod(self.counts)


@st.composite
def _grids(draw: DrawFn, box: Box, finer: float, wider: float, stretched: bool, most: int) -> Grid | ProductGrid:
    larger = 1.0 if box.fixed else draw(numbers(1.0, wider))
    more = draw(numbers(1.0, finer))
    if box.cells * larger * more > most:
        larger, more = 1.0, 1.0
    share, more = (times ** (1 / len(box.counts)) for times in (larger, more))
    axes = []
    for low, high, count in zip(box.lower, box.upper, box.counts, strict=True):
        extra = (share - 1) * (high - low) / 2
        ends = (low, high) if share == 1 else (_outward(low - extra, -1), _outward(high + extra, 1))
        axes.append(
            draw(st.builds(Grid, *(st.just(end) for end in ends), cells=st.just(math.ceil(count * share * more))))
        )
    if len(axes) > 1:
        return draw(st.builds(ProductGrid, st.just(tuple(axes))))
    if stretched and not box.ring and draw(st.booleans()):
        return draw(_stretched(axes[0]))
    return axes[0]


@st.composite
def _stretched(draw: DrawFn, grid: Grid) -> Grid:
    """As many more cells as the widest ones need to be no wider than those of the uniform grid."""
    width = grid.upper - grid.lower
    focus = round(grid.lower + width * draw(numbers(0.25, 0.75)), 3)
    breadth = round(width * draw(numbers(0.25, 1.0)), 3)
    tried = replace(grid, focus=focus, breadth=breadth)
    cells = math.ceil(grid.cells * tried.widths.max() / grid.spacing * 1.05)
    given = {"cells": cells, "focus": focus, "breadth": breadth}
    ends = st.just(grid.lower), st.just(grid.upper)
    return draw(st.builds(Grid, *ends, **{name: st.just(value) for name, value in given.items()}))


def _outward(end: float, sign: int) -> float:
    """The end at a decimal of its size, away from the middle."""
    unit = 10.0 ** (math.floor(math.log10(abs(end))) - 1) if end else 1.0
    return float(f"{sign * math.ceil(sign * end / unit - 1e-9) * unit:.6g}") + 0.0


def box_of(holding: Any) -> Box:
    """The smallest box for a law or a problem, and the cells it takes.

    Raises
    ------
    ProblemError
        If it is neither, or not known well enough.
    """
    if not isinstance(holding, Problem):
        law = as_law(holding)
        return _boxed(*_ends(law), _narrowest(law), law.dimension)
    walls = holding.boundary
    if walls.kind != "open":
        ends = np.array([walls.lower]), np.array([walls.upper])
        box = _boxed(*ends, min(_narrowest(holding.initial), (walls.upper - walls.lower) / 12), 1)
        return replace(box, lower=(walls.lower,), upper=(walls.upper,), fixed=True, ring=walls.kind == "periodic")
    bounds = linear_bounds(holding)
    if bounds is None:
        return _looked_at(holding)
    ends = [_ends(law) for law in _laws_along(bounds.outer)]
    lower, upper = np.min([low for low, _ in ends], axis=0), np.max([high for _, high in ends], axis=0)
    narrowest = min(_narrowest(law) for law in _laws_along(bounds.inner))
    return _boxed(lower - bounds.slack, upper + bounds.slack, narrowest, holding.dimension)


def _laws_along(problem: Problem) -> list[GaussianMixture]:
    """Laws of a linear problem from 0 to its horizon, to some percent."""
    times = [float(t) for t in np.linspace(0.0, problem.horizon, LOOKS)]
    scheduled = problem.schedule is not None
    marginals = exact(problem, times=times) if scheduled else euler_chain(problem, steps=STEPS, times=times)
    return [problem.initial, *(marginals.law(t) for t in times[1:])]  # type: ignore[list-item]


def _looked_at(problem: Problem) -> Box:
    """The box of a problem in one dimension that nothing is known about, by cheap solves."""
    if problem.dimension > 1 or problem.noiseless:
        raise ProblemError(
            f"no box is known for {_named(problem)} in {problem.dimension} dimensions: its drift is not linear nor a WavyDrift, its initial law no "
            "Gaussian mixture, or it has no noise. Give a Grid of your own."
        )
    fitted = fitted_grid(problem, times=[problem.horizon], accuracy=1e-4).grid
    return Box((fitted.lower,), (fitted.upper,), (fitted.cells,))


def _named(holding: Any) -> str:
    return repr(getattr(holding, "name", "") or type(holding).__name__)


def _boxed(lower: Array, upper: Array, narrowest: float, d: int) -> Box:
    ends = [(_outward(float(low), -1), _outward(float(high), 1)) for low, high in zip(lower, upper, strict=True)]
    counts = tuple(max(16, math.ceil((high - low) * RESOLVED[d] / narrowest)) for low, high in ends)
    return Box(tuple(low for low, _ in ends), tuple(high for _, high in ends), counts)


def _ends(law: Law) -> tuple[Array, Array]:
    """Corners that hold the law."""
    if isinstance(law, GaussianMixture):
        spread = HELD[law.dimension] * np.sqrt(np.diagonal(law.covariances, axis1=1, axis2=2))
        return (law.means - spread).min(0), (law.means + spread).max(0)
    if law.dimension != 1:
        raise ProblemError(
            f"no box is known for {law!r} in dimension {law.dimension}: give a Gaussian mixture, or a Grid of your own."
        )
    points = law.breakpoints()
    levels = law.cdf(points)
    held = points[(levels > 1e-12) & (levels < 1 - 1e-12)]
    return held[:1], held[-1:]


def _narrowest(law: Law) -> float:
    """The smallest standard deviation in any direction of any component; of other laws the narrowest half of the mass."""
    if isinstance(law, GaussianMixture):
        return float(np.sqrt(np.linalg.eigvalsh(law.covariances).min()))
    points = law.breakpoints()
    steep = np.diff(law.cdf(points)).max() / np.diff(points).min()
    return 0.4 / float(steep)


@dataclass(frozen=True)
class LinearBounds:
    """Linear problems on both sides of another.

    Parameters
    ----------
    outer : Problem
        With the largest noise; the other is never further away than ``slack``.
    slack : float
    inner : Problem
        With the strongest pull and the smallest noise: no wider anywhere.
    """

    outer: Problem
    slack: float
    inner: Problem


def linear_bounds(problem: Problem) -> LinearBounds | None:
    """Linear problems that bound a problem on the whole space; None where none are known."""
    drift, noise = problem.drift.given, problem.diffusion.given
    if isinstance(drift, GradientDrift) and isinstance(drift.potential, Wells) and drift.force is None:
        drift = drift.potential.drift
    if not isinstance(problem.initial, GaussianMixture):
        return None
    if isinstance(noise, WavyNoise):
        least, most = (noise.level * (1 + sign * abs(noise.ripple)) for sign in (-1, 1))
    elif problem.diffusion.state_dependent:
        return None
    else:
        least = most = noise
    if problem.drift.linear is not None:
        given = problem.drift.linear
        return LinearBounds(_with(problem, given, most), 0.0, _with(problem, given, least))
    if not isinstance(drift, WavyDrift):
        return None
    growth = -drift.rate * problem.horizon
    lasting = problem.horizon * (math.expm1(growth) / growth if growth else 1.0)
    slack = abs(drift.height) * math.sqrt(problem.dimension) * lasting
    strongest = Linear(-drift.rate - abs(drift.height * drift.wave))
    return LinearBounds(_with(problem, drift.linear, most), slack, _with(problem, strongest, least))


def _with(problem: Problem, drift: Any, noise: Any) -> Problem:
    """The problem itself where both are its own, so that its schedule is kept."""
    if drift is problem.drift.linear and noise is problem.diffusion.given:
        return problem
    return replace(problem, drift=drift, diffusion=noise, schedule=None)
