"""Fields learned by least squares from noised points of data: over pairs, over independent draws, and over several noise levels at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from fpk.laws import Array
from fpk.models import objectives
from fpk.models.features import Features, Hermite, Timed
from fpk.models.fits import Fit, fit
from fpk.models.points import Points

from ._matching import SCHEDULE, SETTINGS, TIME, Noised, Shares, gradient, probes
from ._matching_implicit import pairs_of


def able(noised: Noised) -> Features:
    """Features that can say the score of noised points."""
    return Hermite(1, mean=np.zeros(noised.dimension)) + Shares(noised)


def at_time(case: str, t: float) -> Noised:
    """The noised data of a setting at t."""
    return replace(SETTINGS[case], alpha=SCHEDULE.alpha(t), sigma=SCHEDULE.sigma(t))


@lru_cache(maxsize=16)
def regressed(case: str, kind: str, level: int) -> Fit:
    """Regression on the conditional target of a kind, at TIME."""
    features = able(SETTINGS[case])
    objective = objectives.conditional(features, pairs_of(case, TIME, level), kind=kind)
    return fit(features, objective, kind=kind, schedule=SCHEDULE)


@lru_cache(maxsize=8)
def implicitly(case: str, level: int) -> Fit:
    """Implicit score matching, at TIME."""
    noised = SETTINGS[case]
    features, cloud = able(noised), noised.lattice(level)
    return fit(features, objectives.implicit(features, Points(cloud.x, cloud.weights, TIME)), schedule=SCHEDULE)


def at_probes(noised: Noised, points: Points, target: Array) -> Array:
    """The regression on a target of any kind, where fields are read."""
    features = able(noised)
    found = fit(features, objectives.regression(features, points, target), schedule=SCHEDULE)
    return found.model(probes(noised), TIME)


def together(noised: Noised, level: int) -> Array:
    """Regression on the conditional scores of pairs (X_0, X_t)."""
    pairs = noised.pairs(level)
    return at_probes(noised, Points(pairs.x, pairs.weights, TIME), noised.pull(pairs.x, pairs.x0))


def apart(noised: Noised, level: int) -> Array:
    """The same where X_t is drawn from its law, and X_0 from the data whatever X_t is."""
    cloud, data = noised.lattice(level), noised.data(level)
    x, y = np.repeat(cloud.x, len(data.x), axis=0), np.tile(data.x, (len(cloud.x), 1))
    return at_probes(noised, Points(x, np.kron(cloud.weights, data.weights), TIME), noised.pull(x, y))


# -- several levels ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SharesInTime(Features):
    """The probabilities of the data points given X_t = x, at every t."""

    case: str

    @property
    def dimension(self) -> int:  # type: ignore[override]
        """D."""
        return SETTINGS[self.case].dimension

    @property
    def count(self) -> int:  # type: ignore[override]
        """One less than there are points."""
        return len(SETTINGS[self.case].weights) - 1

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """Shape (n, m)."""
        return Shares(at_time(self.case, t))(x)

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """Shape (n, m, d)."""
        return Shares(at_time(self.case, t)).gradient(x)


#: Times of three noise levels, and the weights of their losses.
TIMES, WEIGHTS = (0.25, 0.5, 1.0), (3.0, 1.0, 0.2)


@lru_cache(maxsize=8)
def over_levels(case: str, level: int) -> Fit:
    """One field for all noise levels, from the weighted sum of their losses."""
    base = Hermite(1, mean=np.zeros(SETTINGS[case].dimension)) + SharesInTime(case)
    features = Timed(base, len(TIMES) - 1, TIMES[0], TIMES[-1])
    parts = [
        weight * objectives.lifted(objectives.conditional(base, pairs_of(case, t, level)), features.clock(t))
        for t, weight in zip(TIMES, WEIGHTS, strict=True)
    ]
    return fit(features, objectives.total(parts), schedule=SCHEDULE)


def level_scores(case: str, level: int) -> Array:
    """The score of every noise level at the probes, (levels, n, d)."""
    laws = [at_time(case, t).law for t in TIMES]
    return np.array([gradient(law.log_density, probes(SETTINGS[case]), 0.02 / level) for law in laws])


def score_of_the_mixture(case: str, level: int) -> Array:
    """The score of the equal mixture of all levels' laws, for each level."""
    laws = [at_time(case, t).law for t in TIMES]
    x = probes(SETTINGS[case])
    slope = gradient(lambda y: np.log(sum(law.density(y) for law in laws)), x, 0.02 / level)
    return np.broadcast_to(slope, (len(TIMES), *slope.shape))


def scaled_scores(factors: Array) -> Callable[[str, int], Array]:
    """The scores times a factor for each level."""
    return lambda case, level: np.asarray(factors)[:, None, None] * level_scores(case, level)


#: What is claimed to be learned at each level, from the setting and the level of a lattice, (levels, n, d).
LEVEL_SCORES: dict[str, Callable[[str, int], Array]] = {
    "stated": level_scores,
    "score sign": scaled_scores(-np.ones(3)),
    "score of the next level": lambda case, level: np.roll(level_scores(case, level), -1, axis=0),
    "score of the mixture": score_of_the_mixture,
    "times σ": scaled_scores(np.array([SCHEDULE.sigma(t) for t in TIMES])),
    "weighted": scaled_scores(np.array(WEIGHTS)),
    "score + 0.5 %": scaled_scores(np.full(3, 1.005)),
}
