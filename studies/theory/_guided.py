r"""A classifier on a noising path: p(y | x₀) = 1/(1 + e^{−kx₀}), data from a Gaussian mixture, and what guidance with it samples.

The classifier of noised positions, the laws it tilts and the weight of Girsanov's formula are :mod:`fpk.models.classifiers`; :class:`Blurred` has
the same joint law of X_t and y by quadrature over the data, without posteriors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

import fpk
from fpk.laws import Array, GaussianMixture, TabulatedLaw, central_derivative
from fpk.models.classifiers import NoisedClassifier
from fpk.models.points import law_points

SCHEDULE = fpk.VPSchedule(0.6, 3.4)
DATA = GaussianMixture([0.3, 0.7], [-1.2, 1.2], stds=[0.5, 0.7])
#: Slope k of the classifier.
SLOPE = 2.0
LOWER, UPPER = -5.6, 5.9
#: Points between the walls.
TABLE = np.linspace(LOWER, UPPER, 401)


def raw_gradient(x: Array, t: float = 0.0) -> Array:
    """∇log p(y | x₀) of the classifier of clean data, whatever the time."""
    return SLOPE * expit(-SLOPE * x)


def classifier(nodes: int = 16) -> NoisedClassifier:
    """The classifier's view of the noised data."""
    return NoisedClassifier(DATA, SCHEDULE, lambda x: log_expit(SLOPE * x[:, 0]), raw_gradient, nodes=nodes)


def tilted(t: float, power: float, log_weight: Array | float = 0.0) -> TabulatedLaw:
    """The law ∝ p_t(x) p_t(y | x)^power e^log_weight between the walls."""
    return classifier().tilted(t, strength=power, points=TABLE, log_weight=log_weight)


@dataclass(frozen=True)
class Blurred:
    """Joint density of X_t and y.

    Parameters
    ----------
    t : float
    nodes : int
        Of each interval of the data law.
    """

    t: float
    nodes: int

    def log_joint(self, x: Array, power: float) -> Array:
        """log ∫ p_0(x₀) c(x₀)^power N(x; αx₀, σ²) dx₀ up to a constant, shape of x."""
        points = law_points(DATA, nodes=self.nodes)
        gaps = (x[..., None] - SCHEDULE.alpha(self.t) * points.x[:, 0]) / SCHEDULE.sigma(self.t)
        chances = expit(SLOPE * points.x[:, 0]) ** power
        return np.log(np.exp(-0.5 * gaps * gaps) @ (points.weights * chances))

    def score(self, x: Array, power: float) -> Array:
        """Derivative of log p_t(x) p_t(y | x)^power."""

        def log(u: Array) -> Array:
            plain = self.log_joint(u, 0.0)
            return plain + power * (self.log_joint(u, 1.0) - plain)

        return central_derivative(log, x, 0.01)
