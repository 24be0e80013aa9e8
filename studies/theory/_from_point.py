"""The law of sinh U from one point, by its density and by the solver: at some places at the end, and on nodes at times between."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

import fpk
from fpk.fokker_planck.discretisation import MAGNUS
from fpk.fokker_planck.transitions import TransitionDensities, transition_density
from fpk.laws import Array

from . import _sinh

START, BETWEEN, END = 0.7, (0.2, 0.5), 0.8
PLACES = np.array([-1.2, -0.3, 0.4, 1.1, 2.5])


class FromPoint(NamedTuple):
    """Densities at :data:`PLACES` at the end, and on nodes, with their weights, at each time between."""

    direct: Array
    nodes: Array
    weights: Array
    between: tuple[Array, ...]


def by_density(cells: int, power: float) -> FromPoint:
    """By the density; ``power`` as there."""
    z, w = _sinh.nodes(2 * cells)

    def at(x: Array, t: float) -> Array:
        return _sinh.density(x, t, np.array(START), 0.0, power=power)

    return FromPoint(at(PLACES, END), z, w, tuple(at(z, m) for m in BETWEEN))


def by_solver(cells: int, power: float) -> FromPoint:
    """By the equation on a grid, which knows no memory."""
    run = _kept(cells)
    between = tuple(run.density(m) for m in BETWEEN)
    return FromPoint(run.density_on(PLACES, END), run.grid.centers, run.grid.widths, between)


@lru_cache(maxsize=4)
def _kept(cells: int) -> TransitionDensities:
    return solved(_sinh.problem(initial=fpk.Gaussian(START, 0.1)), START, cells, (*BETWEEN, END))


def solved(problem: fpk.Problem, start: float, cells: int, times: tuple[float, ...]) -> TransitionDensities:
    """The law from a point by the solver; Magnus steps are cheap where the clock moves."""
    return transition_density(problem, _sinh.grid(cells), start=start, times=times, scheme=MAGNUS)
