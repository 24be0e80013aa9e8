r"""Conditional velocities on the straight path and their mixed flux, and another velocity that carries the same densities.

X_t = αX_0 + σZ moves with v(x|y) = α̇y + σ̇(x − αy)/σ given X_0 = y; ∫ v(x|y) p_t(x|y) dP(y) is the flux of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fpk.laws import Array, GaussianMixture, central_derivative
from fpk.schedules import OTSchedule, rates

from ._matching import SETTINGS, Noised, divergence

PATH, NOW = OTSchedule(), 0.45


@dataclass(frozen=True, eq=False)
class Carried:
    """Densities and fluxes of a setting at the time NOW; lattices and steps of differences are those of a level."""

    setting: str
    level: int

    def at(self, t: float) -> Noised:
        """The noised data at t."""
        return replace(SETTINGS[self.setting], alpha=PATH.alpha(t), sigma=PATH.sigma(t))

    @cached_property
    def law(self) -> GaussianMixture:
        """The law of X_t at NOW."""
        return self.at(NOW).law

    def flux(self, x: Array) -> Array:
        """∫ v(x|y) p_t(x|y) dP(y), shape (n, d)."""
        noised, (a, b) = self.at(NOW), rates(PATH, NOW)
        data = noised.data(self.level)
        velocity = a * data.x + b / noised.sigma * (x[:, None] - noised.alpha * data.x)
        return np.einsum("nm,nmd,m->nd", noised.likelihood(x, data.x), velocity, data.weights)

    def velocity(self, x: Array) -> Array:
        """The mean of the conditional velocities given X_t = x."""
        return self.flux(x) / self.law.density(x)[:, None]

    def rate(self, of: Callable[[GaussianMixture], Array]) -> Array:
        """d/dt of a function of the law, at NOW."""
        return central_derivative(lambda h: of(self.at(NOW + float(h[0])).law), np.zeros(1), 0.01 / self.level)

    def spread(self, flux: Callable[[Array], Array], x: Array) -> Array:
        """The divergence of a flux."""
        return divergence(flux, x, 0.02 / self.level).sum(1)

    def other_velocity(self, x: Array) -> Array:
        """On the line −∂_tF/p, the only one that carries p_t; in the plane one of many: the score, turned, is added."""
        if self.law.dimension == 1:
            return -(self.rate(lambda law: law.cdf(x[:, 0])) / self.law.density(x))[:, None]
        score = self.law.score(x)
        return self.velocity(x) + np.stack([-score[:, 1], score[:, 0]], axis=1)
