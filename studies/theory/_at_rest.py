"""Processes at rest: their drifts against the scores of their laws, which come from null vectors of grids and from moment equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fpk
from fpk.fokker_planck.stationary import stationary
from fpk.laws import Array, TabulatedLaw
from fpk.marginals import zero_estimate
from fpk.study import Evidence, Size

CENTRE = np.array([0.4, -0.2])
#: Where scores are looked at: in the plane, and on the line.
PLACES = CENTRE + np.array([[0.9, 0.2], [-0.5, 0.8], [-0.3, -0.9], [0.6, -0.4]])
ON_LINE = np.array([[-1.4], [-0.6], [0.3], [1.1], [1.7]])
#: A symmetric matrix, whose linear force is a gradient, and one that turns besides.
STIFF, TURNING = [[1.5, 0.4], [0.4, 0.8]], [[1.5, 2.4], [-1.6, 0.8]]


def _score_on_line(problem: fpk.Problem, x: Array, size: Size) -> tuple[Array, Array]:
    """∂ log p at x of the law at rest, on a grid and on one of half the cells."""
    ends = (problem.boundary.lower, problem.boundary.upper) if problem.boundary.kind != "open" else (-6.0, 6.0)
    fine, coarse = (stationary(problem, fpk.Grid(*ends, cells=size.cells(c))).law.score(x) for c in (240, 120))
    return fine, coarse


def _score_in_plane(problem: fpk.Problem, x: Array, size: Size) -> tuple[Array, Array]:
    """∇ log p at x of the Gaussian at rest, at two late times of its moment equations."""
    law = fpk.exact(problem, times=[6.0, 12.0])
    return law.law(12.0).score(x), law.law(6.0).score(x)


def _at_rest(problem: fpk.Problem, x: Array, size: Size) -> tuple[Array, Array]:
    """∇ log p at x of the law at rest at two resolutions."""
    return (_score_on_line if problem.dimension == 1 else _score_in_plane)(problem, x, size)


def force(matrix: Any, noise: float) -> fpk.Problem:
    """The linear drift −matrix (x − μ) in the plane."""
    a = np.array(matrix)
    return fpk.Problem(fpk.Linear(-a, a @ CENTRE), noise, initial=fpk.Gaussian(CENTRE, 1.0), horizon=12.0)


def well(noise: float) -> fpk.Problem:
    """Two wells of different depths."""
    return fpk.Problem("x - x**3 + 0.4*cos(2*x)", noise, initial=fpk.Gaussian(0.0, 1.0))


def ring(noise: float) -> fpk.Problem:
    """A force that drives round a ring."""
    law = TabulatedLaw.gibbs(lambda x: 0 * x, 0.0, 2 * np.pi, cells=64)
    return fpk.Problem("0.5 - sin(x)", noise, initial=law, boundary=fpk.Boundary("periodic", 0.0, 2 * np.pi))


def drift_less(problem: fpk.Problem, claimed: Callable[[Array, Array], Array], x: Array, size: Size) -> Evidence:
    """f less what is claimed from x and ∇log p of the law at rest."""
    fine, coarse = ((problem.drift(x, 0.0) - claimed(x, s)).ravel() for s in _at_rest(problem, x, size))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-10, coarser=coarse, source="drift less the score at rest")
    return Evidence(first, zero_estimate(len(fine)), tuple(f"component {i}" for i in range(len(fine))))
