r"""Rectified flow: the straight path X_t = (1 − t) X_0 + t X_1 between data X_0 and noise X_1, and its repetition (reflow).

For independent ends its velocity E[X_1 − X_0 | X_t] is that of flow matching on the straight schedule: any
:class:`~fpk.samplers.flows.ProbabilityFlow` on :class:`~fpk.schedules.OTSchedule` samples it. The flow couples each X_1 with the place it
arrives at. Straight paths between *these* pairs are the second rectified flow. On the line the coupling is monotone, X_0 = T(X_1), lines
never cross, and with x = (1 − t) T(x_1) + t x_1

    v(x, t) = x_1 − T(x_1)

is constant along each: one Euler step is exact. How far a flow is from that is its straightness

    S = ∫ E |dZ_t/dt − (Z_1 − Z_0)|² dt = ∫ E |dZ_t/dt|² dt − E |Z_1 − Z_0|²,

zero for straight paths at constant speed. Reflow pays for it with the cost of the coupling:
of K rounds one has S ≤ E |X_1 − X_0|² / K.

References
----------
Liu, Gong & Liu (2023), Flow Straight and Fast, equations 1 and 2 and theorems 3.6 and 3.7.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.errors import ProblemError
from fpk.fields import Field
from fpk.laws import Array, Gaussian, Law, as_law
from fpk.laws.base import require_one_dimensional
from fpk.samplers.coupling import monotone_map, solved_monotone
from fpk.samplers.flows import METHODS
from fpk.schedules import OTSchedule

#: Noise is looked for within these limits; |x_1| > 8.2 has a distribution function of 1 in floating point.
REACH = 8.0


def reflowed_field(data: Any) -> Field:
    """The velocity of the second rectified flow between data on the line and N(0, 1), exact.

    Parameters
    ----------
    data : Law
        d = 1.

    Returns
    -------
    Field
        Of kind ``velocity`` on the straight schedule. Beyond the images of ±8 the velocity is that of the outermost line.

    Accuracy
    --------
    As F is known in floating point: 1e-12 in the middle, 1e-6 where the normal tail is 1e-10.

    Raises
    ------
    ProblemError
        If d > 1.
    """
    law, noise = as_law(data), Gaussian(0.0, 1.0)
    require_one_dimensional(law, "the exact coupling")
    coupled = monotone_map(noise, law)

    def function(x: Array, t: float) -> Array:
        origin = _origin(coupled, noise, law, x[:, 0], t)
        return (origin - coupled(origin))[:, None]

    return Field(function, "velocity", OTSchedule())


def _origin(coupled: Any, noise: Law, law: Law, x: Array, t: float) -> Array:
    """The noise x_1 whose line is at x at time t."""

    def line(start: Array) -> tuple[Array, Array]:
        end = coupled(start)
        stretch = np.exp(noise.log_density(start[:, None]) - law.log_density(end[:, None]))
        return (1 - t) * end + t * start, (1 - t) * stretch + t

    if t == 1:
        return np.clip(x, -REACH, REACH)
    return solved_monotone(line, x, np.full_like(x, -REACH), np.full_like(x, REACH))


@dataclass(frozen=True, eq=False)
class Transported:
    """Noise, where a flow takes it, and what the paths between cost.

    Parameters
    ----------
    noise, data : array, shape (n, d)
        Z_1 and Z_0: the pairs of the next rectified flow.
    straightness : float
        S, the mean over the pairs.
    cost : float
        E |Z_1 − Z_0|².
    """

    noise: Array
    data: Array
    straightness: float
    cost: float


def transported(field: Any, noise: Array, *, steps: int = 32) -> Transported:
    """Follow a flow from noise at t = 1 to data at t = 0, and measure its straightness.

    Parameters
    ----------
    field : Field, or object with ``velocity(x, t)``
    noise : array, shape (n, d)
    steps : int, default 32
        Steps of the classical Runge–Kutta method, an even number: S is integrated by Simpson's rule over them.

    Returns
    -------
    Transported
        To learn the next flow from the pairs: ``fpk.models.points.Pairs(found.data, found.noise, weights, OTSchedule(), t)``.

    Raises
    ------
    ProblemError
        If ``steps`` is odd or below 2.

    Accuracy
    --------
    Fourth order in 1/steps, beside the error of the mean over n pairs.

    Examples
    --------
    >>> from fpk.fields import exact_field
    >>> from fpk.laws import GaussianMixture
    >>> law, z = GaussianMixture([0.5, 0.5], [-1.0, 1.0], stds=0.3), np.random.default_rng(0).normal(size=(1000, 1))
    >>> first, second = (transported(field, z) for field in (exact_field(law, OTSchedule(), kind="velocity"), reflowed_field(law)))
    >>> second.straightness < 1e-8 < 0.05 < first.straightness
    True
    """
    if steps < 2 or steps % 2:
        raise ProblemError(f"Simpson's rule needs an even number of steps ≥ 2, got {steps!r}.")
    times, paths = np.linspace(1.0, 0.0, steps + 1), [np.asarray(noise, float)]
    for pair in itertools.pairwise(times):
        paths.append(METHODS["rk4"].advanced(field.velocity, paths[-1], pair))
    displaced = paths[0] - paths[-1]
    off = [np.mean(np.sum((field.velocity(x, t) - displaced) ** 2, 1)) for x, t in zip(paths, times, strict=True)]
    simpson = np.where(np.arange(steps + 1) % 2, 4.0, 2.0)
    simpson[[0, -1]] = 1.0
    cost = float(np.mean(np.sum(displaced**2, 1)))
    return Transported(paths[0], paths[-1], float(simpson @ off / simpson.sum()), cost)
