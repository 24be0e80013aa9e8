"""Distances between neighbouring noise levels of two atoms, by quadrature."""

from __future__ import annotations

import numpy as np

from fpk.laws import GaussianMixture
from fpk.models.points import law_points
from fpk.samplers.coupling import quantiles

from ._annealed import PLACES, WEIGHTS, blurred


def entropy(first: GaussianMixture, second: GaussianMixture, nodes: int) -> float:
    """KL(first | second)."""
    points = law_points(first, nodes=nodes)
    return float(points.weights @ (first.log_density(points.x) - second.log_density(points.x)))


def quantile_distance(sigma: float, nodes: int) -> float:
    """W₂ between the noised atoms and the atoms: the lowest .35 of the mass go to −1, the rest to 2."""
    law = blurred(sigma)
    cut = _quantile(law, WEIGHTS[0])
    u, w = np.polynomial.legendre.leggauss(nodes)
    square = 0.0
    for (a, b), place in zip(((-12 * sigma + PLACES[0], cut), (cut, PLACES[1] + 12 * sigma)), PLACES, strict=True):
        edges = np.linspace(a, b, 13)
        half = 0.5 * np.diff(edges)[:, None]
        x = (edges[:-1, None] + half * (1 + u)).ravel()
        square += float((half * w).ravel() @ (law.density(x[:, None]) * (x - place) ** 2))
    return square**0.5


def _quantile(law: GaussianMixture, level: float) -> float:
    return float(quantiles(law, np.array([level]))[0])
