r"""Drifts and diffusions that are smooth, with a Lipschitz constant that is known: linear ones, and the waves of :mod:`fpk.strategies.waves`."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fpk.coefficients import Linear
from fpk.errors import ProblemError
from fpk.laws import Array
from fpk.strategies.ranges import (
    checked_at_least_one,
    checked_dimensions,
    checked_kinds,
    checked_positive,
    numbers,
    of_dimensions,
)
from fpk.strategies.tensors import spd_tensors
from fpk.strategies.waves import Swing, WavyDrift, WavyNoise

#: Kinds of drifts and diffusions, the simplest first.
DRIFTS = ("linear", "wavy")
DIFFUSIONS = ("constant", "matrix", "time", "space")
#: Largest share of its level that a diffusion swings by.
RIPPLE = 0.5


def drifts(
    *,
    min_dimension: int = 1,
    max_dimension: int = 1,
    lipschitz: float = 3.0,
    kinds: Collection[str] = DRIFTS,
    stable: bool = False,
) -> SearchStrategy[Any]:
    """Smooth drifts with a bounded Lipschitz constant in x: for ``Problem(drift, ...)``, or to be called as ``f(x, t)``.

    Parameters
    ----------
    min_dimension, max_dimension : int, default 1 and 1
        The dimensions the drift has to serve. Linear ones in the plane or space may turn, and then serve theirs alone: draw those with equal bounds.
    lipschitz : float, default 3
        ‖f(x, t) − f(y, t)‖ ≤ lipschitz ‖x − y‖.
    kinds : collection of str, default all of "linear", "wavy"
    stable : bool, default False
        Only drifts that pull back from afar.

    Returns
    -------
    SearchStrategy of Linear or WavyDrift
        Shrinks to ``Linear(-1.0)``, dX = −X dt + ..., or to the roundest rate below.

    Raises
    ------
    ProblemError
        For unknown kinds, and bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(drifts(), lambda f: True)(np.array([[2.0]]), 0.0)
    array([[-2.]])
    """
    checked_dimensions(min_dimension, max_dimension)
    checked_positive(lipschitz=lipschitz)
    rates = _rates(lipschitz, stable)
    slopes = rates.map(lambda rate: 0.0 - rate)
    made = {
        "linear": [st.builds(Linear, slopes), st.builds(Linear, slopes, numbers(-1.0, 1.0))],
        "wavy": [_wavy(lipschitz, stable)],
    }
    if max_dimension > 1:
        turning = of_dimensions(min_dimension, max_dimension, lambda d: turning_matrices(d, lipschitz))
        made["linear"].append(st.builds(Linear, turning))
    return st.one_of([strategy for kind in checked_kinds("kinds", kinds, DRIFTS) for strategy in made[kind]])


def _rates(most: float, stable: bool) -> SearchStrategy[float]:
    """Pulling back first, then none, then driving away."""
    signs = [1.0] if stable else [1.0, 0.0, -0.25]
    return st.tuples(numbers(most / 10, most), st.sampled_from(signs)).map(lambda drawn: drawn[0] * drawn[1])


def turning_matrices(d: int, lipschitz: float) -> SearchStrategy[Any]:
    """−(S + A) with S positive definite and A antisymmetric, of a norm in [lipschitz/3, lipschitz]."""
    pulls = spd_tensors(min_dimension=d, max_dimension=d, condition=4.0, scale=1.0)
    turns = st.lists(numbers(-1.0, 1.0), min_size=d - 1, max_size=d - 1)
    return st.tuples(pulls, turns, numbers(lipschitz / 3, lipschitz)).map(_turning)


def _turning(drawn: tuple[Array, list[float], float]) -> Array:
    pull, turns, size = drawn
    turn = np.diag(turns, 1) - np.diag(turns, -1)
    return rounded_below(-(pull + turn) / (1 + np.linalg.norm(turn, 2)), size)


def rounded_below(matrix: Array, size: float) -> Array:
    """The matrix times the size with few digits, and no larger a norm than the size."""
    digits = 4 - math.floor(math.log10(size))
    shares = (np.round(share * size * matrix, digits) + 0.0 for share in (1.0, 0.999, 0.99))
    return next(rounded for rounded in shares if np.linalg.norm(rounded, 2) <= size)


@st.composite
def _wavy(draw: DrawFn, lipschitz: float, stable: bool) -> WavyDrift:
    rate, shift = draw(_rates(lipschitz * 2 / 3, stable)), draw(numbers(-1.0, 1.0))
    return WavyDrift(rate, shift, **draw(waves(lipschitz / 3)))


@st.composite
def waves(draw: DrawFn, steepness: float, *, moving: bool = True) -> dict[str, float]:
    """Height, wave, phase and speed with height · wave at most ``steepness``, and no height above 1; or nothing at all."""
    if not draw(st.sampled_from([False, True, True])):
        return {}
    wave, share = draw(numbers(0.3, 3.0)), draw(numbers(0.1, 1.0))
    phase, speed = draw(numbers(0.0, 6.28)), draw(numbers(0.0, 6.0)) if moving else 0.0
    height = math.floor(1000 * share * min(1.0, steepness / wave)) / 1000
    return {"height": height, "wave": wave, "phase": phase, **({"speed": speed} if moving else {})}


def diffusions(
    *,
    min_dimension: int = 1,
    max_dimension: int = 1,
    low: float = 0.5,
    high: float = 1.5,
    condition: float = 4.0,
    kinds: Collection[str] = DIFFUSIONS,
) -> SearchStrategy[Any]:
    """Diffusions g that never vanish: numbers, matrices G, functions of time, functions of position and time.

    Parameters
    ----------
    min_dimension, max_dimension : int, default 1 and 1
        The dimensions the diffusion has to serve; matrices serve their own alone: draw those with equal bounds.
    low, high : float, default 0.5 and 1.5
        The range of constants and of levels, around which the others swing by at most half; of matrices the singular values are at most ``high``.
    condition : float, default 4
        Largest condition number of D = ½ G Gᵀ.
    kinds : collection of str, default all of "constant", "matrix", "time", "space"
        In one dimension there are no matrices.

    Returns
    -------
    SearchStrategy
        Shrinks to ``1.0``, or to the roundest number in the range.

    Raises
    ------
    ProblemError
        For unknown kinds, matrices alone in one dimension, and bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(diffusions(), lambda g: True)
    1.0
    """
    checked_dimensions(min_dimension, max_dimension)
    if not 0 < low <= high < math.inf:
        raise ProblemError(f"diffusions need 0 < low <= high < inf, got low={low!r} and high={high!r}.")
    checked_at_least_one(condition=condition)
    levels, ripples, speeds = numbers(low, high), numbers(0.0, RIPPLE), numbers(0.0, 6.0)
    made = {
        "constant": [levels],
        "time": [st.builds(Swing, levels, ripples, speeds)],
        "space": [st.builds(WavyNoise, levels, ripples, numbers(0.3, 3.0), speeds)],
        "matrix": [],
    }
    chosen = checked_kinds("kinds", kinds, DIFFUSIONS)
    if max_dimension > 1:
        made["matrix"] = [
            of_dimensions(max(2, min_dimension), max_dimension, lambda d: _matrices(d, (low, high), condition))
        ]
    drawn = [strategy for kind in chosen for strategy in made[kind]]
    if not drawn:
        raise ProblemError(
            f"matrices need two dimensions or more, got kinds={kinds!r} with max_dimension={max_dimension}."
        )
    return st.one_of(drawn)


def _matrices(d: int, levels: tuple[float, float], condition: float) -> SearchStrategy[Any]:
    """Lower triangular factors G with G Gᵀ of the condition number."""
    tensors = spd_tensors(min_dimension=d, max_dimension=d, condition=max(1.0, condition / 1.001), scale=1.0)
    return st.tuples(numbers(*levels), tensors).map(
        lambda drawn: np.round(drawn[0] * np.linalg.cholesky(drawn[1]), 6) + 0.0
    )
