r"""Symmetric positive definite tensors with a bounded condition number.

D = R diag(λ) Rᵀ with λ in [λ_max/κ, λ_max] and R turning by one angle in the plane, by three in space, rounded to four decimals without
leaving the bound. The identity comes first.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fpk.laws import Array
from fpk.strategies.ranges import checked_at_least_one, checked_dimensions, numbers, of_dimensions

DECIMALS = 4


def spd_tensors(
    *, min_dimension: int = 1, max_dimension: int = 3, condition: float = 10.0, scale: float = 2.0
) -> SearchStrategy[Any]:
    """Symmetric positive definite (d, d) arrays: covariances, diffusivities, stiffnesses.

    Parameters
    ----------
    min_dimension, max_dimension : int, default 1 and 3
        The range of d.
    condition : float, default 10
        Largest ratio of eigenvalues, at least 1 (1: multiples of the identity).
    scale : float, default 2
        The largest eigenvalue is in [1/scale, scale]; at least 1.

    Returns
    -------
    SearchStrategy of array, shape (d, d)
        Shrinks to ``array([[1.]])``.

    Raises
    ------
    ProblemError
        For bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(spd_tensors(min_dimension=2), lambda D: True).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    checked_dimensions(min_dimension, max_dimension)
    checked_at_least_one(condition=condition, scale=scale)
    return of_dimensions(min_dimension, max_dimension, lambda d: _tensors(d, condition, scale))


@st.composite
def _tensors(draw: DrawFn, d: int, condition: float, scale: float) -> Array:
    largest = draw(numbers(1 / scale, scale))
    ratios = [draw(numbers(1.0, condition)) for _ in range(d - 1)]
    angles = [draw(numbers(0.0, 3.14)) for _ in range(d * (d - 1) // 2)]
    turn = np.eye(d)
    for angle, (i, j) in zip(angles, itertools.combinations(range(d), 2), strict=True):
        plane = np.eye(d)
        plane[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        turn = turn @ plane
    tensor = turn @ np.diag([largest, *(largest / r for r in ratios)]) @ turn.T
    return _rounded_within((tensor + tensor.T) / 2, condition)


def _rounded_within(tensor: Array, condition: float) -> Array:
    """The tensor with few decimals, drawn towards a multiple of the identity as long as rounding takes it out of the bound."""
    even = np.trace(tensor) / len(tensor) * np.eye(len(tensor))
    for share in np.linspace(0.0, 1.0, 101):
        rounded = np.round((1 - share) * tensor + share * even, DECIMALS) + 0.0
        if np.linalg.cond(rounded) <= condition:
            break
    return rounded
