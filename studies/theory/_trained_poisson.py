r"""A field of charges learned from minibatches of data, and the lines it has.

At heights z between the lowest and the highest, places x = y + z C (y data, C a Cauchy variable) have the law that the lines carry there. The
target at (x, z) is the direction e_B = E_B/|E_B| of the field of a minibatch B of other data, in two parts that stay bounded and smooth,

    across = e_x,     up = e_z/w(x, z),     w = √((z² + q)/(z² + q + |x − m|²)),     q = s²/(1 + (|x − m|/3s)⁸),

m and s the mean and spread of the data: far from them the field is nearly upright only if z is large. Features are bumps in the direction
(x − m)/√(|x − m|² + z² + s²) times polynomials in log z. The lines dx/dz = across/(w · up) are followed down from the highest plane; from the lowest one
they go straight to z = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import numpy as np

from fpk.errors import ProblemError
from fpk.laws import Array, Law
from fpk.models.features import Features, Hermite, RadialBasis, Timed
from fpk.models.fits import LinearField, fit
from fpk.models.objectives import Quadratic, over_time, regression
from fpk.models.points import Points
from fpk.samplers import PoissonField
from fpk.samplers.poisson import CauchyLaw, Height, followed
from fpk.study import Size

from ._trained import VP, Products, data

#: Heights, the size of a minibatch, how many are seen at each height, and the degree in log z.
LOWEST, HIGHEST = 0.03, 40.0
BATCH, SEEN, DEGREE = 400, 4, 8
BUMPS = {1: 18, 2: 8}


class Around(Features):
    """Bumps in the direction from the middle of the data, at heights e^t; a field in N + 1 components.

    Parameters
    ----------
    rows : array, shape (n, N)
        The data: their mean and spread are the centre and the scale.
    """

    def __init__(self, rows: Array) -> None:
        self.centre, self.scale = rows.mean(0), 1.3 * float(np.sqrt(rows.var(0).mean()))
        N = rows.shape[1]
        centres = np.linspace(-1.0, 1.0, BUMPS[N])
        line = RadialBasis(centres, width=1.2 * (centres[1] - centres[0]))
        self.inner = line + Hermite(1) if N == 1 else Products(line, line) + Hermite(1, mean=[0.0, 0.0])
        self.dimension, self.count = N + 1, self.inner.count

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """The bumps, shape (n, m)."""
        return self.inner((x - self.centre) / np.sqrt(self._squares(x) + np.exp(2 * t) + self.scale**2))

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """Refused: lines are fitted by regression, which asks for values only."""
        raise ProblemError("these bumps have no gradient: fit them by regression, not by an implicit objective.")

    def upright(self, x: Array, z: float) -> Array:
        """The factor w, shape (n, 1)."""
        squares = self._squares(x)
        near = z**2 + self.scale**2 / (1 + (squares / (9 * self.scale**2)) ** 4)
        return np.sqrt(near / (near + squares))

    def _squares(self, x: Array) -> Array:
        return ((x - self.centre) ** 2).sum(1, keepdims=True)


@dataclass(frozen=True, eq=False)
class LearnedLines:
    """The lines of a learned field; with a factor, lines of other slopes."""

    model: LinearField
    base: Around
    factor: float = 1.0

    def velocity(self, x: Array, z: Height) -> Array:
        """dx/dz, shape (n, N)."""
        values = self.model(x, float(np.log(z)))
        up = self.base.upright(x, float(z)) * np.maximum(
            values[:, -1:], 0.02
        )  # what is not upright at all goes nowhere
        return self.factor * values[:, :-1] / up


# -- what is learned ---------------------------------------------------------------------------------------------------

#: A minibatch of charges, places and a height ↦ directions of a field, shape (n, N + 1).
Directions = Callable[[Array, Array, float], Array]


def of_batch(charges: Array, x: Array, z: float) -> Array:
    """The direction of the minibatch's field."""
    return -PoissonField(charges).normalised(x, z) / charges.shape[1] ** 0.5


def of_exponent_N(charges: Array, x: Array, z: float) -> Array:
    """The same with the kernel of N dimensions, (x − y, z)/r^N."""
    away = x[:, None] - charges
    weights = ((away**2).sum(2) + z**2) ** (-0.5 * charges.shape[1])
    return _unit(np.einsum("nm,nmd->nd", weights, away), z * weights.sum(1, keepdims=True))


def of_one_charge(charges: Array, x: Array, z: float) -> Array:
    """The direction from one charge for each place."""
    return _unit(x - charges, np.full((len(x), 1), z))


def _unit(across: Array, up: Array) -> Array:
    field = np.hstack([across, up])
    return field / np.linalg.norm(field, axis=1, keepdims=True)


class Seen(NamedTuple):
    """Places at one height and the two parts of the direction there."""

    places: Array
    target: Array


@lru_cache(maxsize=8)
def learned(directions: Directions, case: str, size: Size) -> LearnedLines:
    """The least-squares field: at each of ten heights some minibatches, each seen from places around the next one."""
    rows, rng = data(case, size)
    base, N = Around(rows), rows.shape[1]
    batches, noise, turn = rows.reshape(-1, BATCH, N), CauchyLaw(1.0, N), count()
    features = Timed(base, DEGREE, float(np.log(LOWEST)), float(np.log(HIGHEST)))

    def seen(z: float) -> Seen:
        k = next(turn)
        x = batches[(k + 1) % len(batches)] + z * noise.sample(BATCH, rng)
        e = directions(batches[k % len(batches)], x, z)
        return Seen(x, np.hstack([e[:, :N], e[:, N:] / base.upright(x, z)]))

    def at(inner: Features, t: float) -> Quadratic:
        parts = [seen(float(np.exp(t))) for _ in range(size.particles(SEEN))]
        x, target = (np.concatenate(part) for part in zip(*parts, strict=True))
        return regression(inner, Points(x, np.full(len(x), 1 / len(x)), t), target)

    model = fit(features, over_time(features, at, nodes=DEGREE + 2), schedule=VP, ridge=1e-7).model
    return LearnedLines(model, base)


def generated(lines: LearnedLines, start: Law, samples: int, steps: int, seed: int) -> Array:
    """Samples of a law around the middle of the data on the highest plane, followed down, shape (n, N)."""
    x = lines.base.centre + start.sample(samples, np.random.default_rng(seed))
    x = followed(lines, x, HIGHEST, LOWEST, steps=steps, method="heun")
    return x - LOWEST * lines.velocity(x, LOWEST)
