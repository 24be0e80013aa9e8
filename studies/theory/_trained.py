r"""Fields trained on data by least squares over features of fpk.models, and how far what they generate is from the law the data were drawn from.

Noise is predicted on a variance-preserving path, a velocity on the straight one, x_t = α_t x_0 + σ_t z with the data at t = 0:

    min_θ Σ_t E |θᵀφ(x_t, t) − y|²,     y = z   or   y = z − x_0.

Data sets are drawn once for each size, as data sets are: all variants of a check learn from the same one. What is generated has the seed of the
check. Means of the panel's functionals over n generated samples are compared with their exact value 0 in tolerance mode.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

import fpk
from fpk.charts import Chart, Series
from fpk.fields import Field
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.models.features import Features, Hermite, RadialBasis, Timed
from fpk.models.fits import fit
from fpk.models.objectives import Quadratic, conditional, over_time, regression
from fpk.models.points import paired
from fpk.panels import Panel
from fpk.schedules import OTSchedule, Schedule
from fpk.study import Evidence, Size

#: Two laws off the centre, one on the line with a narrow component, one in the plane.
LAWS = {
    "line": fpk.GaussianMixture([0.3, 0.7], [1.2, 3.0], stds=[0.25, 0.5]),
    "plane": fpk.GaussianMixture(
        [0.4, 0.6], [[2.9, 1.6], [1.0, 2.5]], covariances=[[[0.3, 0.1], [0.1, 0.2]], [[0.4, -0.1], [-0.1, 0.5]]]
    ),
}
VP, STRAIGHT = fpk.VPSchedule(0.1, 16.0), OTSchedule()
#: What is drawn of each law, and the seed of that.
DATA, DRAWN = 20_000, 0
#: The interval of the bumps along each axis, their number, and the degree in time.
REACH, BUMPS, DEGREE = (-3.0, 5.0), {"line": 16, "plane": 7}, 7
#: Slices of a law in the plane: both axes and both diagonals.
SLICES = np.array([[1.0, 0.0], [0.0, 1.0], [0.5**0.5, 0.5**0.5], [0.5**0.5, -(0.5**0.5)]])


class Products(Features):
    """All products of a feature of the first coordinate with one of the second: bumps in the plane for the price of bumps on the line."""

    dimension = 2

    def __init__(self, first: Features, second: Features) -> None:
        self.parts, self.count = (first, second), first.count * second.count

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """The products at x, shape (n, m)."""
        first, second = self._factors(x, t)
        return (first[:, :, None] * second[:, None]).reshape(len(x), -1)

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """One factor's slope times the other factor, shape (n, m, 2)."""
        (first, second), slopes = (
            self._factors(x, t),
            [part.gradient(x[:, [i]], t) for i, part in enumerate(self.parts)],
        )
        along = (slopes[0] * second[:, None]).reshape(len(x), -1)
        return np.stack([along, (first[:, :, None] * slopes[1][:, None, :, 0]).reshape(len(x), -1)], axis=2)

    def _factors(self, x: Array, t: float) -> tuple[Array, Array]:
        return self.parts[0](x[:, :1], t), self.parts[1](x[:, 1:], t)


def bumps(case: str) -> Features:
    """Bumps, and the coordinates for what is beyond them."""
    centres = np.linspace(*REACH, BUMPS[case])
    line = RadialBasis(centres, width=1.2 * (centres[1] - centres[0]))
    return line + Hermite(1) if case == "line" else Products(line, line) + Hermite(1, mean=[0.0, 0.0])


def data(case: str, size: Size) -> tuple[Array, np.random.Generator]:
    """The data set, and where further draws for training come from."""
    rng = np.random.default_rng(DRAWN)
    return LAWS[case].sample(size.particles(DATA), rng), rng


class Training(NamedTuple):
    """The kind of field, a factor on the data that enter the path, and whether each target belongs to its place."""

    kind: str
    scale: float = 1.0
    paired: bool = True

    @property
    def schedule(self) -> Schedule:
        """The path of the kind."""
        return STRAIGHT if self.kind == "velocity" else VP


@lru_cache(maxsize=16)
def trained(training: Training, case: str, size: Size) -> Field:
    """The least-squares field of a data set, with fresh noise at each of nine times."""
    (rows, rng), features = data(case, size), Timed(bumps(case), DEGREE, 0.0, 1.0)

    def at(base: Features, t: float) -> Quadratic:
        pairs = paired(training.scale * rows, training.schedule, t=t, rng=rng)
        if training.paired:
            return conditional(base, pairs, kind=training.kind)
        return regression(base, pairs.points, pairs.target(training.kind)[::-1])

    objective = over_time(features, at, nodes=DEGREE + 2)
    return fit(features, objective, kind=training.kind, schedule=training.schedule, ridge=1e-6).field


def at_time(field: Field, clock: Callable[[float], float]) -> Field:
    """A field that reads another time."""
    return Field(lambda x, t: field(x, clock(t)), field.kind, field.schedule)


# -- generated against exact -------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def panel(case: str) -> Panel:
    """Functionals of variance 1 and mean 0 under the exact law."""
    return fpk.law_panel({0.0: LAWS[case]}, directions=None if case == "line" else SLICES)


def apart(case: str, generated: Array, tolerance: float) -> Evidence:
    """|E φ_k| less the tolerance, from both sides, for generated samples of shape (n, d)."""
    values = np.concatenate([block.values(generated) for block in panel(case).smooth])
    mean, covariance, names = values.mean(1), np.cov(values) / len(generated), panel(case).names
    first = fpk.Estimate(
        np.concatenate([mean, -mean]) - tolerance,
        np.full(2 * len(mean), 1e-7),
        covariance=np.kron([[1.0, -1.0], [-1.0, 1.0]], covariance),
        samples=len(generated),
        source=f"{len(generated):,} generated samples: distance from the exact law less {tolerance:g}",
    )
    labels = tuple(f"{sign}{name}" for sign in "+−" for name in names)
    return Evidence(
        first, zero_estimate(len(labels)), labels, panel=panel(case).digest, charts=(chart(case, generated),)
    )


def chart(case: str, generated: Array) -> Chart:
    """The density along the first axis, as generated and exact."""
    law, axis = LAWS[case].projected(SLICES[0, : LAWS[case].dimension]), generated[:, 0]
    edges = np.linspace(-0.5, 5.0, 56)
    x, counts = 0.5 * (edges[1:] + edges[:-1]), np.histogram(axis, edges)[0]
    exact = np.exp(law.log_density(x[:, None]))
    series = (
        Series("generated", x, counts / (len(axis) * (edges[1] - edges[0]))),
        Series("exact", x, exact, kind="reference"),
    )
    return Chart("What was generated, and the law of the data", "first coordinate", "density", series)
