r"""Schedules (α, σ) of noising: VP, sub-VP, VE, and affine paths that state α and σ alone.

The affine ones are α = e^{−rt} and σ = s t^q, q = ½ or 1, whose SDE dX = −r X dt + √(d(σ²)/dt + 2rσ²) dW the schedule derives.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fpk.schedules import AffineSchedule, SubVPSchedule, VESchedule, VPSchedule
from fpk.strategies.ranges import checked_kinds, checked_positive, numbers

#: Kinds of schedules, the simplest first.
SCHEDULES = ("vp", "sub-vp", "ve", "affine")


@dataclass(frozen=True)
class Decay:
    """α(t) = e^{−rate t}.

    Parameters
    ----------
    rate : float

    Examples
    --------
    >>> Decay(0.5)(0.0)
    1.0
    """

    rate: float

    def __call__(self, t: float) -> float:
        """α(t)."""
        return math.exp(-self.rate * t)


@dataclass(frozen=True)
class Power:
    """σ(t) = scale t^exponent.

    Parameters
    ----------
    scale, exponent : float
        An exponent of ½ is a Brownian motion, 1 a straight path.

    Examples
    --------
    >>> Power(2.0, 0.5)(0.25)
    1.0
    """

    scale: float
    exponent: float

    def __call__(self, t: float) -> float:
        """σ(t)."""
        return self.scale * t**self.exponent


def schedules(
    *, kinds: Collection[str] = SCHEDULES, max_beta: float = 10.0, max_sigma: float = 3.0
) -> SearchStrategy[Any]:
    """Schedules of noising.

    Parameters
    ----------
    kinds : collection of str, default all of "vp", "sub-vp", "ve", "affine"
    max_beta : float, default 10
        Largest rate β of VP and sub-VP, which is constant or grows linearly from at least a tenth of min(1, max_beta).
    max_sigma : float, default 3
        Largest noise of VE (its smallest is from a hundredth to a third of it) and of affine paths at t = 1.

    Returns
    -------
    SearchStrategy of Schedule
        Shrinks to ``VPSchedule(1.0)``, of the Ornstein–Uhlenbeck process dX = −½X dt + dW that N(0, 1) is stationary for.

    Raises
    ------
    ProblemError
        For unknown kinds, and bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(schedules(), lambda schedule: True), find(schedules(kinds=["ve"]), lambda schedule: True)
    (VPSchedule(beta_min=1.0, beta_max=None), VESchedule(sigma_min=1.0, sigma_max=2.0))
    """
    checked_positive(max_beta=max_beta, max_sigma=max_sigma)
    low = min(1.0, max_beta)
    betas = numbers(low / 10, low)
    made = {
        "vp": st.builds(VPSchedule, betas) | st.builds(VPSchedule, betas, numbers(low, max_beta)),
        "sub-vp": st.builds(SubVPSchedule, betas) | st.builds(SubVPSchedule, betas, numbers(low, max_beta)),
        "ve": st.builds(VESchedule, numbers(max_sigma / 100, max_sigma / 3), numbers(max_sigma / 2, max_sigma)),
        "affine": st.builds(AffineSchedule, st.builds(Decay, numbers(0.0, 1.0)), _powers(max_sigma)),
    }
    return st.one_of([made[kind] for kind in checked_kinds("kinds", kinds, SCHEDULES)])


def _powers(max_sigma: float) -> SearchStrategy[Power]:
    return st.builds(Power, numbers(max_sigma / 10, max_sigma), st.sampled_from([0.5, 1.0]))
