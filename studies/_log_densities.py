r"""Log-densities gathered along flows, with factors in the places where mistakes are made; flows that differ in none of them are followed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

import fpk
from fpk.battery.divergences import signs
from fpk.battery.flows import Flowed, flow
from fpk.fields import exact_field
from fpk.laws import Array
from fpk.marginals import without_luck, zero_estimate
from fpk.schedules import OTSchedule, Schedule
from fpk.study import Evidence

LINE = fpk.GaussianMixture([0.3, 0.7], [2.2, 3.8], stds=[0.3, 0.5])
PLANE = fpk.GaussianMixture(
    [0.4, 0.6], [[2.2, 0.5], [3.8, -1.0]], covariances=[[[0.3, 0.1], [0.1, 0.2]], [[0.4, -0.2], [-0.2, 0.5]]]
)
PATHS: dict[str, Schedule] = {"VP": fpk.VPSchedule(0.6, 3.4), "VE": fpk.VESchedule(0.1, 3.0), "OT": OTSchedule()}


def on_path(law: fpk.GaussianMixture, path: Schedule, t: float) -> fpk.GaussianMixture:
    eye = np.eye(law.dimension)
    return law.pushed(path.alpha(t) * eye, np.zeros(len(eye)), path.sigma(t) ** 2 * eye)


@dataclass(frozen=True)
class Route:
    """How the log-density is gathered: factors of the score in the velocity, of the divergence, and a probe's variance (None: coordinates)."""

    score: float = 1.0
    divergence: float = 1.0
    variance: float | None = None

    def velocity(self, law: fpk.GaussianMixture, path: Schedule) -> Callable[[Array, float], Array]:
        """The velocity with its score multiplied."""
        return _velocity(self.score, law, path)

    def followed(self, law: fpk.GaussianMixture, path: Schedule, x: Array, times: Array) -> Flowed:
        """Through the times."""
        return _followed(self.score, self.variance, law, path, (x.tobytes(), x.shape), tuple(times))

    def log_density(self, law: fpk.GaussianMixture, path: Schedule, x: Array, times: Array) -> Array:
        """What the route takes for the log-density at the first time."""
        found = self.followed(law, path, x, times)
        return on_path(law, path, float(times[-1])).log_density(found.end) + self.divergence * found.gathered


def _velocity(score: float, law: fpk.GaussianMixture, path: Schedule) -> Callable[[Array, float], Array]:
    """The exact velocity; what its score gives is v − f x."""
    exact = exact_field(law, path, kind="velocity")

    def function(x: Array, t: float) -> Array:
        drift = path.drift_rate(t) * x
        return drift + score * (exact(x, t) - drift)

    return exact if score == 1 else function


@lru_cache(maxsize=64)
def _followed(
    score: float,
    variance: float | None,
    law: fpk.GaussianMixture,
    path: Schedule,
    positions: tuple[bytes, tuple[int, ...]],
    times: tuple[float, ...],
) -> Flowed:
    x = np.frombuffer(positions[0]).reshape(positions[1])
    probes = None if variance is None else variance**0.5 * signs(law.dimension)
    return flow(_velocity(score, law, path), x, times, probes=probes)


def between(fine: Array, coarse: Array, names: list[str], source: str) -> Evidence:
    """What should vanish, with the change from half of the steps as its bound, nowhere below a tenth of the largest."""
    first = fpk.residual(fine, without_luck(np.abs(fine - coarse)) + 1e-10, coarser=coarse, source=source)
    return Evidence(first, zero_estimate(len(fine)), tuple(names))
