r"""Laws with known densities and scores: Gaussians and their mixtures, closed under every linear equation.

p = Σ_m w_m N(μ_m, Σ_m),   |μ_m,i| ≤ reach,   min_std² ≤ λ(Σ_m) ≤ max_std²
"""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fpk.errors import ProblemError
from fpk.laws import Array, Gaussian, GaussianMixture
from fpk.strategies.ranges import checked_dimensions, checked_positive, checked_range, numbers, of_dimensions
from fpk.strategies.tensors import spd_tensors


def gaussians(
    *,
    min_dimension: int = 1,
    max_dimension: int = 1,
    reach: float = 2.0,
    min_std: float = 0.25,
    max_std: float = 2.0,
) -> SearchStrategy[Gaussian]:
    """Gaussian laws; in two and three dimensions also with full covariances.

    Parameters
    ----------
    min_dimension, max_dimension : int, default 1 and 1
        The range of d, at most 3.
    reach : float, default 2
        Largest absolute value of a coordinate of the mean.
    min_std, max_std : float, default 0.25 and 2
        The range of the standard deviation in any direction: the condition number of a covariance is at most (max_std/min_std)².

    Returns
    -------
    SearchStrategy of Gaussian
        Shrinks to ``Gaussian(0.0, 1.0)``.

    Raises
    ------
    ProblemError
        For bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(gaussians(), lambda law: True)
    Gaussian(mean=[0.0], covariance=[[1.0]])
    """
    return mixtures(  # type: ignore[return-value]
        min_dimension=min_dimension,
        max_dimension=max_dimension,
        max_components=1,
        reach=reach,
        min_std=min_std,
        max_std=max_std,
    )


def mixtures(
    *,
    min_dimension: int = 1,
    max_dimension: int = 1,
    min_components: int = 1,
    max_components: int = 3,
    reach: float = 2.0,
    min_std: float = 0.25,
    max_std: float = 2.0,
) -> SearchStrategy[GaussianMixture]:
    """Gaussian mixtures, whose ``density``, ``score`` and ``cdf`` are known; a single component is a ``Gaussian``.

    Parameters
    ----------
    min_dimension, max_dimension, reach, min_std, max_std
        As for :func:`gaussians`, of each component.
    min_components, max_components : int, default 1 and 3
        How many; weights are tenths, so at most 10.

    Returns
    -------
    SearchStrategy of GaussianMixture
        Shrinks to ``Gaussian(0.0, 1.0)``, and to fewer components.

    Raises
    ------
    ProblemError
        For bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(mixtures(), lambda law: len(law.weights) == 2)
    GaussianMixture([0.5, 0.5], [[0.0], [0.0]], covariances=[[[1.0]], [[1.0]]])
    """
    checked_dimensions(min_dimension, max_dimension)
    checked_positive(reach=reach)
    checked_range("std", min_std, max_std)
    if not 1 <= min_components <= max_components <= 10:
        raise ProblemError(
            "components need 1 <= min_components <= max_components <= 10, "
            f"got min_components={min_components!r} and max_components={max_components!r}."
        )
    counts = range(min_components, max_components + 1)
    stds = (min_std, max_std)
    return of_dimensions(
        min_dimension,
        max_dimension,
        lambda d: st.one_of([law for count in counts for law in _of_components(d, count, reach, stds)]),
    )


def _of_components(d: int, count: int, reach: float, stds: tuple[float, float]) -> list[SearchStrategy[Any]]:
    """Laws with round components, and in more dimensions with components of any shape."""
    places = numbers(-reach, reach)
    means = places if d == 1 else st.lists(places, min_size=d, max_size=d)
    widths = numbers(*stds)
    shapes = st.tuples(
        spd_tensors(min_dimension=d, max_dimension=d, condition=(stds[1] / stds[0]) ** 2, scale=1.0), widths
    )
    covariances = shapes.map(partial(_covariance, stds[0]))
    if count == 1:
        return [st.builds(Gaussian, means, widths), *([st.builds(Gaussian, means, covariance=covariances)] * (d > 1))]

    def each(part: SearchStrategy[Any]) -> SearchStrategy[Any]:
        return st.lists(part, min_size=count, max_size=count)

    round_ones = st.builds(GaussianMixture, _weights(count), each(means), stds=each(widths))
    any_shape = st.builds(GaussianMixture, _weights(count), each(means), covariances=each(covariances))
    return [round_ones, *([any_shape] * (d > 1))]


def _covariance(least: float, drawn: tuple[Array, float]) -> list[list[float]]:
    """The tensor with a width as its largest standard deviation, or the smallest width with which none is below the least."""
    tensor, width = drawn
    wide = max(width**2, least**2 / float(np.linalg.eigvalsh(tensor)[0]))
    return np.round(wide * tensor, 4).tolist()


def _weights(count: int) -> SearchStrategy[list[float]]:
    """Tenths that sum to ten, about equal first: the places of count − 1 cuts between ten of them."""
    even = tuple(round(10 * i / count) for i in range(1, count))
    cuts = sorted(itertools.combinations(range(1, 10), count - 1), key=lambda places: math.dist(places, even))
    return st.sampled_from([[part / 10 for part in np.diff([0, *places, 10]).tolist()] for places in cuts])
