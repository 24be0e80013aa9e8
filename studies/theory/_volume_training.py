r"""Flows trained by maximum likelihood: what they are trained on, which mistakes are made with determinants, and what is held against the outcome.

The trained law is looked at by its distribution function on the line, and by points that pass its layers in the plane: neither knows of
determinants. The entropy of the data is known from differences of the map that made them, or from their density.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

import fpk
from fpk.laws import Array
from fpk.models.features import Features
from fpk.models.layers import Layer
from fpk.models.normalizing import Likeliest, NormalizingFlow, maximum_likelihood

from ._matching import normal_nodes
from ._rates import waves
from ._volume import jacobian


@dataclass(frozen=True, eq=False)
class Slipped(Layer):
    """A layer with a factor on its log-determinant, which may be taken at the wrong end.

    Parameters
    ----------
    layer : Layer
    weight : float
    late : bool
        Whether the determinant is that at x in the place of y.
    """

    layer: Layer
    weight: float
    late: bool = False

    @property
    def dimension(self) -> int:  # type: ignore[override]
        """That of the layer."""
        return self.layer.dimension

    @property
    def parameters(self) -> Array:
        """Those of the layer."""
        return self.layer.parameters

    def moved(self, parameters: Array) -> Slipped:
        """The same slip with other parameters."""
        return Slipped(self.layer.moved(parameters), self.weight, self.late)

    def forward(self, x: Array) -> Array:
        """As the layer."""
        return self.layer.forward(x)

    def back(self, y: Array) -> tuple[Array, Array]:
        """As the layer, with the slip."""
        x, log_det = self.layer.back(y)
        return x, self.weight * (self.layer.back(x)[1] if self.late else log_det)

    def slopes(self, y: Array, along: Array, weights: Array) -> tuple[Array, Array]:
        """Of what the slip makes of the likelihood."""
        return self.layer.slopes(y, along, self.weight * weights)


class Slip(NamedTuple):
    """Factors on the log-determinants of the first layer and of the others, and whether they are taken at the wrong end."""

    first: float = 1.0
    others: float = 1.0
    late: bool = False

    def __call__(self, flow: NormalizingFlow) -> NormalizingFlow:
        """The flow with the slip in its layers."""
        factors = [self.first, *[self.others] * (len(flow.layers) - 1)]
        slipped = [Slipped(layer, w, self.late) for layer, w in zip(flow.layers, factors, strict=True)]
        return NormalizingFlow(flow.base, slipped)


#: Functions of laws in the plane; places of a normal variable, whose images are those where laws on the line are looked at.
ACROSS = waves([[0.7, 0.0], [0.0, 0.7], [0.6, -0.6]])
PLACES = np.array([-1.8, -1.0, -0.4, 0.1, 0.7, 1.5])
TRAINED_NAMES = (*(f"functional {k + 1}" for k in range(6)), "loss less entropy")


class Data(NamedTuple):
    """Weighted rows, the entropy of their law, and its functionals: masses below six places on the line, means of waves in the plane."""

    x: Array
    weights: Array
    entropy: float
    places: Array
    functionals: Array


def imaged(image: Callable[[Array], Array], level: int, dimension: int, spacing: float) -> Data:
    """Normal points under a map, whose determinant is that of its differences."""
    z, w = normal_nodes(level, dimension, spacing)
    z, w = z[w > 1e-11], w[w > 1e-11] / w[w > 1e-11].sum()
    logs = fpk.Gaussian(np.zeros(dimension), 1.0).log_density(z) - np.linalg.slogdet(jacobian(image, z))[1]
    x, entropy = image(z), -float(w @ logs)
    if dimension == 2:
        return Data(x, w, entropy, np.zeros(0), ACROSS(x) @ w)
    places = image(PLACES[:, None])[:, 0]
    return Data(x, w, entropy, places, ndtr(PLACES if places[1] > places[0] else -PLACES))


def weighed(law: fpk.GaussianMixture, lower: float, upper: float, count: int) -> Data:
    """A lattice on the line with the masses of a law."""
    x, places = np.linspace(lower, upper, count)[:, None], np.linspace(-1.4, 2.0, 6)
    w = law.density(x) / law.density(x).sum()
    return Data(x, w, -float(w @ law.log_density(x)), places, law.cdf(places))


def trained(begin: NormalizingFlow, slip: Slip, data: Data, iterations: int) -> Likeliest:
    """What maximum likelihood makes of a flow when there is a slip in its determinants."""
    return maximum_likelihood(slip(begin), data.x, weights=data.weights, slope=1e-6, iterations=iterations)


def missed(found: Likeliest, data: Data) -> Array:
    """Functionals of the trained law less those of the data, and the loss less the entropy."""
    if found.flow.dimension == 1:
        gaps = found.flow.cdf(data.places) - data.functionals
    else:
        z, w = normal_nodes(2, 2, 0.8)
        gaps = ACROSS(found.flow.forward(z)) @ w - data.functionals
    return np.append(gaps, found.loss - data.entropy)


class OnPath(Features):
    """Velocity of the straight path from a mixture on the line at t = 0 to N(0, 1) at t = 1, then x and 1."""

    dimension, count = 1, 3

    def __init__(self, law: fpk.GaussianMixture) -> None:
        self.weights, self.means, self.squares = law.weights, law.means[:, 0], law.covariances[:, 0, 0]

    def _parts(self, x: Array, t: float) -> tuple[Array, Array, Array, Array]:
        """Shares, scores, slopes and values of the velocities of the components, shape (n, m)."""
        spread = (1 - t) ** 2 * self.squares + t**2
        apart = x - (1 - t) * self.means
        logs = np.log(self.weights / np.sqrt(spread)) - 0.5 * apart**2 / spread
        shares = np.exp(logs - logs.max(1, keepdims=True))
        slope = (t - (1 - t) * self.squares) / spread
        return shares / shares.sum(1, keepdims=True), -apart / spread, slope + 0 * x, slope * apart - self.means

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """Σ r_m u_m, x and 1."""
        shares, _, _, u = self._parts(x, t)
        return np.concatenate([(shares * u).sum(1, keepdims=True), x, np.ones_like(x)], axis=1)

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """Σ r_m (u_m′ + u_m (s_m − s)), 1 and 0."""
        shares, scores, slopes, u = self._parts(x, t)
        mean = (shares * scores).sum(1, keepdims=True)
        inner = (shares * (slopes + u * (scores - mean))).sum(1)
        return np.stack([inner, np.ones_like(inner), np.zeros_like(inner)], axis=1)[:, :, None]


class Sine(Features):
    """Sin x, x and 1."""

    dimension, count = 1, 3

    def __call__(self, x: Array, t: float = 0.0) -> Array:
        """Values at x."""
        return np.concatenate([np.sin(x), x, np.ones_like(x)], axis=1)

    def gradient(self, x: Array, t: float = 0.0) -> Array:
        """Their slopes."""
        return np.concatenate([np.cos(x), np.ones_like(x), np.zeros_like(x)], axis=1)[:, :, None]
