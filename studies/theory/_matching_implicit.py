"""The parts of explicit, denoising and implicit losses: of fields, by differences, and of features, by the objectives that are fitted."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fpk.laws import Array
from fpk.models import objectives
from fpk.models.features import Hermite
from fpk.models.objectives import Quadratic
from fpk.models.points import Pairs, Points

from ._matching import FIELDS, SCHEDULE, SETTINGS, TIME, divergence, normal_nodes, squares
from ._matching_losses import as_points, half_line

IN_THE_PLANE = Hermite(3, mean=[0.0, 0.0], std=0.9)
#: Parameters of three fields, for ten features in the plane.
THETAS = np.cos(np.arange(60.0) ** 2).reshape(3, 10, 2)


class Parts(NamedTuple):
    """½E|s − ∇log p|², ½E|s|² and E ∇·s of every field, shape (3,), and ½E|∇log p|²."""

    explicit: Array
    square: Array
    divergence: Array
    constant: float


@lru_cache(maxsize=16)
def parts(case: str, edge: bool, level: int) -> Parts:
    """Of a law in a setting, or on x > 0 with or without an edge."""
    points, score = _situation(case, edge, level)
    rows = _of_features(points, score) if case.startswith("features") else _of_fields(points, score, level)
    explicit, square, slopes = np.array(rows).T
    return Parts(explicit, square, slopes, 0.5 * float(points.mean(squares(score))))


def _situation(case: str, edge: bool, level: int) -> tuple[Points, Array]:
    """Positions with their masses, and the score there."""
    if case == "half-line":
        return half_line(0 if edge else 2, level)
    noised = SETTINGS["two clouds in the plane" if "plane" in case else case]
    points = as_points(noised.lattice(level))
    return points, noised.law.score(points.x)


def _of_fields(points: Points, score: Array, level: int) -> list[list[float]]:
    rows = []
    for s in FIELDS:
        values, x = s(points.x), points.x
        means = (0.5 * squares(values - score), 0.5 * squares(values), divergence(s, x, 0.05 / level).sum(1))
        rows.append([float(points.mean(v)) for v in means])
    return rows


def _of_features(points: Points, score: Array) -> list[list[float]]:
    features = IN_THE_PLANE
    explicit = objectives.explicit(features, points, lambda x, t: score)
    implicit = objectives.implicit(features, points)
    square, slopes = Quadratic(implicit.A, 0 * implicit.b), Quadratic(0 * implicit.A, implicit.b)
    return [[explicit(theta), square(theta), slopes(theta)] for theta in THETAS]


class Objectives(NamedTuple):
    """Of features in the plane and three noised points: explicit, denoising and implicit."""

    explicit: Quadratic
    denoising: Quadratic
    implicit: Quadratic


@lru_cache(maxsize=8)
def objectives_at(level: int, factor: float = 1.0) -> Objectives:
    """With the target of the denoising one times a factor."""
    noised, features = SETTINGS["three points in the plane"], IN_THE_PLANE
    points = as_points(noised.lattice(level))
    pairs = pairs_of("three points in the plane", TIME, level)
    return Objectives(
        objectives.explicit(features, points, lambda x, t: noised.law.score(x)),
        objectives.regression(features, pairs.points, factor * pairs.target("score")),
        objectives.implicit(features, points),
    )


def pairs_of(case: str, t: float, level: int) -> Pairs:
    """All pairs of points of the data and nodes of the noise, for the objectives of :mod:`fpk.models`."""
    noised = SETTINGS[case]
    data, (z, w) = noised.data(level), normal_nodes(level, noised.dimension)
    x0 = np.repeat(data.x, len(z), axis=0)
    return Pairs(x0, np.tile(z, (len(data.x), 1)), np.kron(data.weights, w), SCHEDULE, t)
