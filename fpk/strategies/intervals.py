r"""Problems on an interval: between reflecting or absorbing walls, or around a ring."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fpk.laws import Gaussian
from fpk.problem import Boundary, Problem
from fpk.strategies.domains import BOUNDARIES, boundaries
from fpk.strategies.motions import diffusions, drifts
from fpk.strategies.parts import posed
from fpk.strategies.ranges import checked_kinds, checked_positive, numbers
from fpk.strategies.waves import WavyDrift, WavyNoise


def walled_problems(
    *, kinds: Collection[str] = BOUNDARIES[1:], lipschitz: float = 3.0, horizon: float = 1.0
) -> SearchStrategy[Problem]:
    """dX = f(X, t) dt + g(X, t) dW on an interval, from a Gaussian that is well inside: between reflecting or absorbing walls, or around a ring.

    Parameters
    ----------
    kinds : collection of str, default all of "no_flux", "absorbing", "periodic"
    lipschitz : float, default 3
        Largest Lipschitz constant of the drift in x. Around a ring drift and noise are periodic.
    horizon : float, default 1

    Returns
    -------
    SearchStrategy of Problem
        Shrinks to ``Problem(WavyDrift(1.0), 1.0, ...)`` between the first kind of walls at −1 and 1.

    Raises
    ------
    ProblemError
        For unknown kinds, and bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(walled_problems(), lambda problem: True).boundary
    Boundary(kind='no_flux', lower=-1.0, upper=1.0)
    """
    checked_positive(lipschitz=lipschitz, horizon=horizon)
    chosen = checked_kinds("kinds", kinds, BOUNDARIES[1:])
    rate = min(1.0, lipschitz) if chosen[0] != "periodic" else 0.0
    drift, initial = st.builds(WavyDrift, st.just(rate)), st.builds(Gaussian, st.just(0.0), st.just(0.1))
    walls = st.builds(Boundary, st.just(chosen[0]), st.just(-1.0), st.just(1.0))
    simplest = posed(drift, st.just(1.0), initial, horizon, boundary=walls)
    return simplest | _walled(boundaries(kinds=chosen), lipschitz, horizon)


@st.composite
def _walled(draw: DrawFn, walls: SearchStrategy[Boundary], lipschitz: float, horizon: float) -> Problem:
    boundary = draw(walls)
    if boundary.kind == "periodic":
        drift, diffusion = draw(_around(boundary, lipschitz))
    else:
        drift, diffusion = draw(_between(lipschitz))
    half, middle = (boundary.upper - boundary.lower) / 2, (boundary.upper + boundary.lower) / 2
    mean = round(middle + half * draw(numbers(-0.3, 0.3)), 3)
    std = round(half * draw(numbers(0.6, 1.1)) / 10, 4)
    initial = st.builds(Gaussian, st.just(mean), st.just(std))
    return draw(posed(st.just(drift), st.just(diffusion), initial, horizon, boundary=st.just(boundary)))


@lru_cache(maxsize=64)
def _between(lipschitz: float) -> SearchStrategy[tuple[Any, Any]]:
    return st.tuples(drifts(lipschitz=lipschitz, kinds=["wavy"]), diffusions())


@st.composite
def _around(draw: DrawFn, ring: Boundary, lipschitz: float) -> tuple[Any, Any]:
    """Drift and noise with whole numbers of waves around the ring."""
    once = 2 * math.pi / (ring.upper - ring.lower)
    wave, share = once * draw(st.integers(1, 2)), draw(numbers(0.0, 1.0))
    height = math.floor(1000 * share * min(1.0, lipschitz / wave)) / 1000
    turning = {"wave": wave, "phase": draw(numbers(0.0, 6.28)), "speed": draw(numbers(0.0, 6.0))} if height else {}
    drift = WavyDrift(0.0, draw(numbers(-1.0, 1.0)), height, **turning)
    level, ripple = draw(numbers(0.5, 1.5)), draw(numbers(0.0, 0.5))
    return drift, WavyNoise(level, ripple, once, draw(numbers(0.0, 6.0))) if ripple else level
