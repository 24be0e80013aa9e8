"""Fields learned by least squares over features that can say the answer, for data at a few points."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fpk.laws import Array
from fpk.models import objectives
from fpk.models.features import Features, Hermite
from fpk.models.fits import fit
from fpk.models.points import Points

from ._matching import SCHEDULE, SETTINGS, Noised, Shares, gradient, probes
from ._matching_draws import bayes, draws
from ._matching_losses import as_points


def _able(noised: Noised) -> Features:
    """Features that can say the score, and the mean of the data, of noised points."""
    return Hermite(1, mean=np.zeros(noised.dimension)) + Shares(noised)


def _regression(noised: Noised, points: Points, target: Array) -> Array:
    """The least-squares field at the probes."""
    features = _able(noised)
    found = fit(features, objectives.regression(features, points, target), schedule=SCHEDULE)
    return found.field(probes(noised), 0.0)


class Learned(NamedTuple):
    """A lattice, the gradient of log p on it by differences, and the field at the probes."""

    points: Points
    slope: Array
    field: Array


@lru_cache(maxsize=8)
def learned_score(case: str, level: int) -> Learned:
    """Explicit score matching."""
    noised = SETTINGS[case]
    points, features = as_points(noised.lattice(level)), _able(noised)
    slope = gradient(noised.law.log_density, points.x, 0.02 / level)
    found = fit(features, objectives.explicit(features, points, lambda x, t: slope), schedule=SCHEDULE)
    return Learned(points, slope, found.field(probes(noised), 0.0))


def learned_target(case: str, target: Callable[[Array, Array], Array], level: int) -> Array:
    """The regression on target(X_t, X_0) over all pairs, at the probes."""
    noised = SETTINGS[case]
    pairs = noised.pairs(level)
    return _regression(noised, Points(pairs.x, pairs.weights), target(pairs.x, pairs.x0))


@lru_cache(maxsize=8)
def predicted(case: str, level: int) -> tuple[Array, Array, Array]:
    """Least squares of X_0 and of E[X_0|X_t] over functions of X_t, and the likelihood, where they are read."""
    seen = draws(case, level)
    targets = seen.x0, bayes(seen.likelihood, seen.data.weights) @ seen.data.x
    if case == "three states":
        design, root = np.eye(3)[(seen.x[:, 0] - 0.5).astype(int)], np.sqrt(seen.weights)[:, None]
        first, second = (np.linalg.lstsq(root * design, root * y)[0] for y in targets)
        return first, second, seen.likelihood[:3]
    noised, points = SETTINGS[case], Points(seen.x, seen.weights)
    first, second = (_regression(noised, points, y) for y in targets)
    return first, second, noised.likelihood(probes(noised), seen.data.x)
