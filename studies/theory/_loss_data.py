r"""Data of any dimension k in R^d and what remains of the denoising loss at its minimum.

E|∇log p_t − ∇log p_{t|0}|² is a sum over pairs of data and noise. Fisher's information I(p_t) = E|∇log p_t|² is twice the rate at which entropy grows with the
variance of the noise (de Bruijn), so that no score is needed for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fpk.laws import Array, GaussianMixture, central_derivative

from .._systems import DATA
from ._matching import LATTICE, PLANE, POINTS, Noised, Pairs, normal_nodes, squares
from ._posteriors import hermite

Field = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Data:
    """Σ w_m N(c_m, F_m F_mᵀ).

    Parameters
    ----------
    weights, centres, factors : array, shapes (m,), (m, d), (m, d, k)
        k = 0: points.
    """

    weights: Array
    centres: Array
    factors: Array

    @property
    def dimensions(self) -> tuple[int, int]:
        """K of the data, and d of the space."""
        return self.factors.shape[2], self.centres.shape[1]

    @property
    def covariances(self) -> Array:
        """F Fᵀ, shape (m, d, d)."""
        return self.factors @ np.swapaxes(self.factors, 1, 2)

    def law(self, alpha: float, sigma: float) -> GaussianMixture:
        """The law of αX + σε."""
        eye = np.eye(self.centres.shape[1])
        return GaussianMixture(
            self.weights, alpha * self.centres, covariances=alpha**2 * self.covariances + sigma**2 * eye
        )

    def _normal(self, dimension: int, level: int) -> tuple[Array, Array]:
        """Nodes and masses of N(0, 1); for a single Gaussian, whose score is linear, few are exact."""
        if len(self.weights) > 1:
            return normal_nodes(level, dimension) if dimension else (np.zeros((1, 0)), np.ones(1))
        z, w = hermite(2 + level)
        nodes = np.stack(np.meshgrid(*[z] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)
        return nodes, np.prod(np.meshgrid(*[w] * dimension, indexing="ij"), axis=0).ravel()

    def pairs(self, alpha: float, sigma: float, level: int) -> Pairs:
        """All pairs of nodes of the data and of the noise."""
        k, d = self.dimensions
        (y, v), (z, w) = self._normal(k, level), self._normal(d, level)
        data = (self.centres[:, None] + np.einsum("mdk,nk->mnd", self.factors, y)).reshape(-1, d)
        x0 = np.repeat(data, len(z), axis=0)
        weights = np.kron(np.kron(self.weights, v), w)
        return Pairs(x0, alpha * x0 + sigma * np.tile(z, (len(data), 1)), weights)


def _points(noised: Noised) -> Data:
    return Data(noised.weights, noised.centres, np.zeros((*noised.centres.shape, 0)))


SETS = {
    "two peaks": Data(DATA.weights, DATA.means, np.sqrt(DATA.covariances)),
    "two points": _points(POINTS),
    "three points in the plane": _points(PLANE),
    "normal data": Data(np.ones(1), np.array([[2.0]]), np.array([[[0.5]]])),
    "segment in the plane": Data(np.ones(1), np.array([[0.4, -0.3]]), np.array([[[0.5], [0.8]]])),
    "cloud in the plane": Data(np.ones(1), np.array([[0.4, -0.3]]), np.array([[[0.6, 0.0], [0.4, 0.7]]])),
}


def denoising_loss(data: Data, alpha: float, sigma: float, level: int, field: Field | None = None) -> float:
    """E|s(x_t) − ∇log p_{t|0}(x_t|x_0)|² of a field, or of the score."""
    pairs = data.pairs(alpha, sigma, level)
    values = (field or data.law(alpha, sigma).score)(pairs.x)
    return float(pairs.mean(squares(values - (alpha * pairs.x0 - pairs.x) / sigma**2)))


def _lattice(dimension: int, level: int) -> tuple[Array, float]:
    """A lattice and the volume of its cells."""
    reach, spacing = LATTICE[dimension]
    line = np.arange(-reach, reach, spacing / level)
    x = np.stack(np.meshgrid(*[line] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)
    return x, (spacing / level) ** dimension


def entropy(law: GaussianMixture, level: int) -> float:
    """−E log p."""
    x, volume = _lattice(law.dimension, level)
    logs = law.log_density(x)
    return -float(np.exp(logs) @ logs) * volume


def information(law_at: Callable[[float], GaussianMixture], sigma: float, level: int) -> float:
    """Fisher's information of the law with noise σ, by de Bruijn's identity: twice the slope of the entropy in σ²."""

    def at(h: Array) -> Array:
        return np.array([entropy(law_at((sigma**2 + float(h[0])) ** 0.5), level)])

    return 2 * float(central_derivative(at, np.zeros(1), 0.02 / level)[0])


@lru_cache(maxsize=64)
def information_of(name: str, alpha: float, sigma: float, level: int) -> float:
    """That of one of the SETS."""
    return information(lambda s: SETS[name].law(alpha, s), sigma, level)


def score_square(data: Data, sigma: float, level: int) -> float:
    """E|score|² of X + σε."""
    pairs = data.pairs(1.0, sigma, level)
    return float(pairs.mean(squares(data.law(1.0, sigma).score(pairs.x))))


def transport(data: Data, sigma: float, level: int) -> float:
    """W₂² from the data to the noised data: by quantiles from points on the line, in closed form between Gaussians."""
    law = data.law(1.0, sigma)
    if len(data.weights) == 1:
        root = np.linalg.cholesky(law.covariances[0])
        overlap = np.linalg.norm(data.factors[0].T @ root, "nuc")
        return float(np.trace(data.covariances[0] + law.covariances[0]) - 2 * overlap)
    pairs = data.pairs(1.0, sigma, level)
    below = np.searchsorted(np.cumsum(data.weights)[:-1], law.cdf(pairs.x[:, 0])).astype(int)
    return float(pairs.mean(((pairs.x - data.centres[below]) ** 2).sum(1)))
