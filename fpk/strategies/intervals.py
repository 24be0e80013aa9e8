r"""Problems on an interval: between reflecting or absorbing walls, or around a ring."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fpk.laws import Gaussian
from fpk.problem import Boundary, Problem
from fpk.strategies.domains import BOUNDARIES, boundaries
from fpk.strategies.motions import WavyDrift, WavyNoise, diffusions, drifts
from fpk.strategies.parts import posed
from fpk.strategies.ranges import checked_kinds, checked_positive, numbers


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
    drift = WavyDrift(min(1.0, lipschitz)) if chosen[0] != "periodic" else WavyDrift(0.0)
    walls = st.builds(Boundary, st.just(chosen[0]), st.just(-1.0), st.just(1.0))
    simplest = posed(
        st.just(drift), st.just(1.0), st.builds(Gaussian, st.just(0.0), st.just(0.1)), horizon, boundary=walls
    )
    return simplest | _walled(boundaries(kinds=chosen), lipschitz, horizon)


@st.composite
def _walled(draw: DrawFn, walls: SearchStrategy[Boundary], lipschitz: float, horizon: float) -> Problem:
    boundary = draw(walls)
    if boundary.kind == "periodic":
        drift, diffusion = _around(draw, boundary, lipschitz)
    else:
        drift, diffusion = drifts(lipschitz=lipschitz, kinds=["wavy"]), diffusions()
    half, middle = (boundary.upper - boundary.lower) / 2, (boundary.upper + boundary.lower) / 2
    initial = st.builds(Gaussian, numbers(middle - 0.3 * half, middle + 0.3 * half), numbers(0.06 * half, 0.11 * half))
    return draw(posed(drift, diffusion, initial, horizon, boundary=st.just(boundary)))


def _around(draw: DrawFn, ring: Boundary, lipschitz: float) -> tuple[SearchStrategy[Any], SearchStrategy[Any]]:
    """Drift and noise with whole numbers of waves around the ring."""
    once = 2 * math.pi / (ring.upper - ring.lower)
    wave = once * draw(st.integers(1, 2))
    given = {
        "shift": numbers(-1.0, 1.0),
        "height": numbers(0.0, min(1.0, lipschitz / wave)),
        "wave": st.just(wave),
        "phase": numbers(0.0, 6.28),
        "speed": numbers(0.0, 6.0),
    }
    swinging = st.builds(WavyNoise, numbers(0.5, 1.5), numbers(0.0, 0.5), st.just(once), numbers(0.0, 6.0))
    return st.builds(WavyDrift, st.just(0.0), **given), numbers(0.5, 1.5) | swinging
