r"""Rectified flow: the straight path X_t = (1 − t) X_0 + t X_1 between data X_0 and noise X_1, and its repetition (reflow).

For independent ends its velocity E[X_1 − X_0 | X_t] is that of flow matching on the straight schedule: any
:class:`~fpk.samplers.flows.ProbabilityFlow` on :class:`~fpk.schedules.OTSchedule` samples it. The flow couples each X_1 with the place it
arrives at. Straight paths between *these* pairs are the second rectified flow. On the line the coupling is monotone, X_0 = T(X_1), lines
never cross, and with x = (1 − t) T(x_1) + t x_1

    v(x, t) = x_1 − T(x_1)

is constant along each: one Euler step is exact. How far a flow is from that is its straightness

    S = ∫ E |dZ_t/dt − (Z_1 − Z_0)|² dt = ∫ E |dZ_t/dt|² dt − E |Z_1 − Z_0|²,

zero for straight paths at constant speed. Reflow pays for it with the cost of the coupling: a round with the exact velocity has

    E |X_1 − X_0|² = E |Z_1 − Z_0|² + S + ∫ E |X_1 − X_0 − v(X_t, t)|² dt,

so that of K rounds one has S ≤ E |X_1 − X_0|² / K.

References
----------
Liu, Gong & Liu (2023), Flow Straight and Fast, equations 1 and 2 and theorems 3.6 and 3.7.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.errors import NonFinite, ProblemError
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
    paths : array, shape (steps + 1, n, d)
        Z_t at equally spaced times from 1 down to 0.
    straightness : float
        S, the mean over the pairs.
    cost : float
        E |Z_1 − Z_0|².
    """

    paths: Array
    straightness: float
    cost: float

    @property
    def noise(self) -> Array:
        """Z_1, shape (n, d)."""
        return self.paths[0]

    @property
    def data(self) -> Array:
        """Z_0, shape (n, d): with the noise the pairs of the next rectified flow."""
        return self.paths[-1]


def transported(field: Any, noise: Array, *, steps: int = 32, weights: Array | None = None) -> Transported:
    """Follow a flow from noise at t = 1 to data at t = 0, and measure its straightness.

    Parameters
    ----------
    field : Field, or object with ``velocity(x, t)``
    noise : array, shape (n, d)
    steps : int, default 32
        Steps of the classical Runge–Kutta method, an even number: S is integrated by Simpson's rule over them.
    weights : array, shape (n,), optional
        Of the noise, summing to 1, for example of quadrature nodes; default equal.

    Returns
    -------
    Transported
        To learn the next flow from the pairs see :func:`reflow`.

    Raises
    ------
    ProblemError
        If ``steps`` is odd or below 2, there are not as many weights as places, or the field has no velocity of their shape.
    NonFinite
        If a path leaves every bound.

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
    velocity, mass = _velocity_of(field, paths[0]), _shares(weights, len(paths[0]))
    for pair in itertools.pairwise(times):
        paths.append(METHODS["rk4"].advanced(velocity, paths[-1], pair))
    displaced = paths[0] - paths[-1]
    if not np.all(np.isfinite(displaced)):
        raise NonFinite(
            "paths of a flow leave every bound on the way from t=1 to t=0: look at its velocity, or take more steps."
        )
    off = [mass @ np.sum((velocity(x, t) - displaced) ** 2, 1) for x, t in zip(paths, times, strict=True)]
    simpson = np.where(np.arange(steps + 1) % 2, 4.0, 2.0)
    simpson[[0, -1]] = 1.0
    cost = float(mass @ np.sum(displaced**2, 1))
    return Transported(np.stack(paths), float(simpson @ off / simpson.sum()), cost)


def _velocity_of(field: Any, noise: Array) -> Callable[[Array, float], Array]:
    """The velocity of a field, refused where it or the noise is not what can be followed."""
    if noise.ndim != 2 or not hasattr(field, "velocity"):
        raise ProblemError(
            f"a flow takes places of shape (n, d) along an object with velocity(x, t), got shape {noise.shape} and {field!r}: "
            "fpk.fields.Field(function, 'velocity', OTSchedule()) makes a field of a function."
        )
    if (shape := np.shape(field.velocity(noise, 1.0))) != noise.shape:
        raise ProblemError(f"a velocity at places {noise.shape} has their shape, got {shape}.")
    return field.velocity


def _shares(weights: Array | None, count: int) -> Array:
    """Weights of the places."""
    found = np.full(count, 1 / max(count, 1)) if weights is None else np.asarray(weights, float)
    if found.shape != (count,) or not abs(found.sum() - 1) < 1e-9:
        raise ProblemError(
            f"one weight for each of {count} places is needed, summing to 1; got shape {found.shape} and the sum {found.sum():g}."
        )
    return found


def reflow(
    learn: Callable[[Array, Array], Any],
    data: Array,
    noise: Array,
    *,
    rounds: int = 2,
    steps: int = 32,
    weights: Array | None = None,
) -> tuple[Transported, ...]:
    """Rectify a coupling again and again: learn the velocity of straight paths between the pairs, follow it from the noise, take where that led.

    Parameters
    ----------
    learn : callable
        (data, noise) ↦ a field with ``velocity(x, t)``: E[X_1 − X_0 | X_t = x] of the pairs, or what can be learned of it. Row i of
        the data goes with row i of the noise.
    data, noise : array, shape (n, d)
        X_0 and X_1, the coupling to begin with: independent draws, or nodes of a quadrature of the joint law.
    rounds : int, default 2
        How many flows; the bound S ≤ E |X_1 − X_0|² / rounds holds for one of them at least.
    steps, weights
        As for :func:`transported`.

    Returns
    -------
    tuple of Transported
        One for each round.

    Raises
    ------
    ProblemError
        If there are no rounds, or not as many data as noise.

    Examples
    --------
    Straight lines from each x_1 to x_0 = 2 x_1 need no second round:

    >>> from types import SimpleNamespace
    >>> def learn(data, noise):  # x = (2 (1 − t) + t) x_1, all of it known from the slope of the pairs
    ...     slope = (data / noise).mean()
    ...     return SimpleNamespace(velocity=lambda x, t: (1 - slope) * x / (slope * (1 - t) + t))
    >>> z = np.random.default_rng(0).normal(size=(100, 1))
    >>> [flow.straightness < 1e-24 for flow in reflow(learn, 2 * z, z)]
    [True, True]
    """
    if rounds < 1:
        raise ProblemError(f"at least one round is needed, got rounds={rounds!r}.")
    if np.shape(data) != np.shape(noise):
        raise ProblemError(f"each data point needs its noise: got shapes {np.shape(data)} and {np.shape(noise)}.")
    found: list[Transported] = []
    for _ in range(rounds):
        found.append(transported(learn(data, noise), noise, steps=steps, weights=weights))
        data = found[-1].data
    return tuple(found)
