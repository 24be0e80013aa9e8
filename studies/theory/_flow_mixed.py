r"""Mixtures of conditional paths: p_t = Σ q(x₁) N(μ_t(x₁), σ_t² I), their velocity, and what it can be held against.

The clock t runs from noise to data; schedules are read at 1 − t. On the line the velocity is −∂_tF/p, with F the distribution function: no other
carries p_t. In the plane it is the mean of the conditional ones over the data, given the place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fpk.fields import Field, empirical_field
from fpk.laws import Array, GaussianMixture, central_derivative
from fpk.models.points import Pairs
from fpk.schedules import Schedule, rates

from ._flow_curves import STRAIGHT, VE, VP
from ._matching import Cloud, Noised, normal_nodes
from ._matching_draws import bayes

#: Probabilities of the data from the likelihoods (n, m) and the prior (m,).
Weighting = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False)
class Mixed:
    """Data on a path.

    Parameters
    ----------
    base : Noised
        Says where the data are.
    schedule : Schedule
    level : int
        Of the nodes of the data.
    """

    base: Noised
    schedule: Schedule
    level: int = 2

    def at(self, t: float) -> Noised:
        """Noise and data at t."""
        alpha, sigma = self.schedule.alpha(1 - t), self.schedule.sigma(1 - t)
        return replace(self.base, alpha=alpha, sigma=sigma)

    def law(self, t: float) -> GaussianMixture:
        """p_t."""
        return self.at(t).law

    @cached_property
    def data(self) -> Cloud:
        """The points of the data, or nodes."""
        return self.base.data(self.level)

    @cached_property
    def _field(self) -> Field:
        return empirical_field(self.data.x, self.schedule, kind="velocity", weights=self.data.weights)

    def conditional(self, x: Array, y: Array, t: float) -> Array:
        """u(x|y) = (σ̇/σ)(x − μ) + μ̇, shapes broadcast."""
        a, b = rates(self.schedule, 1 - t)
        alpha, sigma = self.schedule.alpha(1 - t), self.schedule.sigma(1 - t)
        return -a * y - b / sigma * (x - alpha * y)

    def velocity(self, x: Array, t: float, weighting: Weighting = bayes) -> Array:
        """The mean of the conditional velocities, shape (n, d): fpk's, or by another weighting than Bayes' rule."""
        if weighting is bayes:
            return -self._field(x, 1 - t)
        alpha, sigma = self.schedule.alpha(1 - t), self.schedule.sigma(1 - t)
        logs = -0.5 * ((x[:, None] - alpha * self.data.x) ** 2).sum(-1) / sigma**2
        shares = weighting(np.exp(logs - logs.max(1, keepdims=True)), self.data.weights)
        return np.einsum("nm,nmd->nd", shares, self.conditional(x[:, None], self.data.x, t))

    def only_velocity(self, x: Array, t: float) -> Array:
        """−∂_tF/p on the line."""
        rate = central_derivative(lambda h: self.law(t + float(h[0])).cdf(x[:, 0]), np.zeros(1), 0.01 / self.level)
        return -(rate / self.law(t).density(x))[:, None]

    def true_velocity(self, x: Array, t: float) -> Array:
        """What the velocity is held against."""
        return self.only_velocity(x, t) if x.shape[1] == 1 else self.velocity(x, t)

    def pairs(self, t: float) -> Pairs:
        """All pairs of data points (``x0``) and nodes of the noise."""
        data, (z, w) = self.data, normal_nodes(self.level, self.base.dimension)
        x1 = np.repeat(data.x, len(z), axis=0)
        return Pairs(x1, np.tile(z, (len(data.x), 1)), np.kron(data.weights, w), self.schedule, 1 - t)


SCHEDULES: dict[str, Schedule] = {"straight": STRAIGHT, "variance preserving": VP, "variance exploding": VE}
