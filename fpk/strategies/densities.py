r"""Laws with known densities and scores: Gaussians and their mixtures, closed under every linear equation.

p = Σ_m w_m N(μ_m, Σ_m),   |μ_m,i| ≤ reach,   min_std² ≤ λ(Σ_m) ≤ max_std²
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fpk.errors import ProblemError
from fpk.laws import Gaussian, GaussianMixture
from fpk.strategies.ranges import checked_dimensions, checked_positive, checked_range, numbers
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
    return _mixtures(min_dimension, max_dimension, min_components, max_components, reach, (min_std, max_std))


@st.composite
def _mixtures(
    draw: DrawFn, low: int, high: int, fewest: int, most: int, reach: float, stds: tuple[float, float]
) -> GaussianMixture:
    d, count = draw(st.integers(low, high)), draw(st.integers(fewest, most))
    means = [[draw(numbers(-reach, reach)) for _ in range(d)] for _ in range(count)]
    if d > 1 and draw(st.booleans()):
        wide = [_covariance(draw, d, stds) for _ in means]
        return _built(draw, means, "covariance", wide)
    return _built(draw, means, "std", [draw(numbers(*stds)) for _ in means])


def _covariance(draw: DrawFn, d: int, stds: tuple[float, float]) -> list[list[float]]:
    """A covariance with standard deviations in the range, whatever rounding did to its tensor."""
    largest = draw(numbers(*stds))
    tensor = draw(spd_tensors(min_dimension=d, max_dimension=d, condition=(largest / stds[0]) ** 2, scale=1.0))
    return (np.round(largest**2 * tensor, 6)).tolist()


def _built(draw: DrawFn, means: list[list[float]], kind: str, widths: list[Any]) -> GaussianMixture:
    """The law, by a call that hypothesis shows."""
    centres = [mean[0] for mean in means] if len(means[0]) == 1 else means
    if len(means) == 1:
        return draw(st.builds(Gaussian, st.just(centres[0]), **{kind: st.just(widths[0])}))
    return draw(st.builds(GaussianMixture, _weights(len(means)), st.just(centres), **{f"{kind}s": st.just(widths)}))


@st.composite
def _weights(draw: DrawFn, count: int) -> list[float]:
    """Tenths that sum to ten, about equal first."""
    left, tenths = 10, []
    for others in range(count - 1, 0, -1):
        most, even = left - others, left // (others + 1)
        tenths.append(1 + (even - 1 + draw(st.integers(0, most - 1))) % most)
        left -= tenths[-1]
    return [part / 10 for part in (*tenths, left)]
