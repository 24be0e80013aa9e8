"""Conditional laws and scores that solve the Fokker–Planck equation from one point, on grids."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

import fpk
from fpk.fokker_planck.transitions import transition_density
from fpk.laws import Array, central_derivative

from .._systems import DATA
from . import _sinh
from ._matching import FIELDS, POINTS, SCHEDULE, Cloud

LINE = np.array([-1.4, -0.6, 0.1, 0.9, 2.0])
#: A linear equation whose three coefficients change in time, a start, and when it is looked at.
FORCED = fpk.Problem(
    fpk.Linear(lambda t: -0.5 - t, lambda t: 0.8 * np.cos(3 * t)), lambda t: 0.5 + 0.4 * t, initial=DATA
)
START, LATER = 0.7, 0.6
#: When losses are looked at.
INSTANTS = (0.4, 0.8)


class Seen(NamedTuple):
    """Scores and likelihoods at positions for all data points, shapes (n, m, d) and (n, m), their masses, and ∇log p_t."""

    pulls: Array
    likelihood: Array
    prior: Array
    score: Array


@lru_cache(maxsize=4)
def seen_bent(level: int) -> Seen:
    """X = sinh U at LINE, with its transition density; the score is that of a density on a grid."""
    solved = fpk.solve(_sinh.problem(initial=DATA), _sinh.grid(40 * level), times=[0.4])
    y, weights = _sinh.nodes(120 * level)
    pulls = central_derivative(lambda x: np.log(_sinh.density(x, 0.4, y, 0.0)), LINE[:, None], 0.003)
    prior = DATA.density(y[:, None]) * weights
    return Seen(
        pulls[:, :, None], _sinh.density(LINE[:, None], 0.4, y, 0.0), prior, solved.law(0.4).score(LINE[:, None])
    )


@lru_cache(maxsize=4)
def from_start(level: int) -> tuple[fpk.TabulatedLaw, Cloud]:
    """The law at LATER from START, and its masses on the cells."""
    grid = fpk.Grid(-3.0, 3.6, cells=36 * level)
    solved = transition_density(FORCED, grid, start=START, times=[LATER])
    law = solved.law(LATER)
    assert isinstance(law, fpk.TabulatedLaw)
    return law, Cloud(grid.centers[:, None], solved.density(LATER) * grid.widths)


@lru_cache(maxsize=4)
def denoising_losses(level: int) -> Array:
    """E|s(X_t) − ∂log p_{t|0}(X_t|X_0)|² for every field and instant; the data are two points."""
    total, grid = np.zeros((len(FIELDS), len(INSTANTS))), fpk.Grid(-7.0, 7.8, cells=56 * level)
    problem = fpk.noising(SCHEDULE, DATA)
    for start, weight in zip(POINTS.centres[:, 0], POINTS.weights, strict=True):
        solved = transition_density(problem, grid, start=float(start), times=list(INSTANTS))
        x = grid.centers[:, None]
        for k, t in enumerate(INSTANTS):
            score, masses = solved.law(t).score(x), solved.density(t) * grid.widths
            total[:, k] += [weight * masses @ ((s(x) - score) ** 2)[:, 0] for s in FIELDS]
    return total
