r"""Losses of flow matching for data at a few points: their gradients in parameters a field is not linear in, and the flow of the unsquared loss.

v_θ(x, t) = θ₀ x + θ₁ sin(θ₂ x̃ + θ₃ t) + θ₄,   x̃ = x with its coordinates exchanged,
∇E|v_θ − y|² = 2 E (v_θ − y)·∂_θ v_θ,          ∇E|v_θ − y| = E (v_θ − y)·∂_θ v_θ / |v_θ − y|.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

import fpk
from fpk.fokker_planck.characteristics import pushed
from fpk.laws import Array

from ._flow_curves import STRAIGHT
from ._flow_mixed import Mixed
from ._matching import POINTS
from ._matching_draws import unconditional

#: Times the losses are averaged over, and two sets of parameters.
INSTANTS = (0.2, 0.5, 0.75)
PARAMETERS = (np.array([0.4, 0.9, 1.3, -0.7, 0.2]), np.array([-0.6, 1.5, 0.8, 1.9, -0.4]))


def _slopes(theta: Array, x: Array, t: float) -> tuple[Array, Array]:
    """v_θ, shape (n, d), and its derivatives, shape (5, n, d)."""
    turned = x[:, ::-1]
    wave = theta[2] * turned + theta[3] * t
    sine, cosine = np.sin(wave), theta[1] * np.cos(wave)
    slopes = np.stack([x, sine, turned * cosine, t * cosine, np.ones_like(x)])
    return theta[0] * x + theta[1] * sine + theta[4], slopes


class Drawn(NamedTuple):
    """Places, targets, weights, and whether the norm is squared."""

    x: Array
    target: Array
    weights: Array
    squared: bool = True


def _gradient(theta: Array, drawn: Drawn, t: float) -> Array:
    value, slopes = _slopes(theta, drawn.x, t)
    gap = value - drawn.target
    gap = 2 * gap if drawn.squared else gap / np.sqrt((gap**2).sum(1, keepdims=True))
    return np.einsum("n,nd,knd->k", drawn.weights, gap, slopes)


def gradient_of(draw: Callable[[Mixed, float], Drawn], mixed: Mixed) -> Array:
    """Gradients of the loss at both parameters, averaged over the times."""
    found = [[_gradient(theta, draw(mixed, t), t) for theta in PARAMETERS] for t in INSTANTS]
    return np.mean(found, axis=0).ravel()


# -- what is drawn -----------------------------------------------------------------------------------------------------------


def marginal(mixed: Mixed, t: float) -> Drawn:
    """Places of the mixture, with its velocity."""
    cloud = mixed.at(t).lattice(mixed.level)
    kept = cloud.weights > 1e-18
    x = cloud.x[kept]
    return Drawn(x, mixed.true_velocity(x, t), cloud.weights[kept])


def conditional(mixed: Mixed, t: float) -> Drawn:
    """Data and noise: the place between them and the conditional velocity."""
    pairs = mixed.pairs(t)
    return Drawn(pairs.x, -pairs.target("velocity"), pairs.weights)


def one_point(mixed: Mixed, t: float) -> Drawn:
    """The same for the first data point alone."""
    drawn, count = conditional(mixed, t), len(mixed.base.weights)
    first = len(drawn.x) // count
    return Drawn(drawn.x[:first], drawn.target[:first], drawn.weights[:first] / drawn.weights[:first].sum())


def _other_point(mixed: Mixed, t: float) -> Drawn:
    """A place, and the velocity towards another data point; its mean, which is all the gradient sees."""
    drawn = conditional(mixed, t)
    return drawn._replace(target=mixed.velocity(drawn.x, t, unconditional))


def _scaled(factor: float) -> Callable[[Mixed, float], Drawn]:
    def draw(mixed: Mixed, t: float) -> Drawn:
        drawn = conditional(mixed, t)
        return drawn._replace(target=factor * drawn.target)

    return draw


GRADIENTS: dict[str, Callable[[Mixed, float], Drawn]] = {
    "stated": conditional,
    "one x₁": one_point,
    "norm not squared": lambda mixed, t: conditional(mixed, t)._replace(squared=False),
    "another x₁": _other_point,
    "sign of the target": _scaled(-1.0),
    "t for 1 − t": lambda mixed, t: conditional(mixed, t)._replace(target=conditional(mixed, 1 - t).target),
    "target + 0.5 %": _scaled(1.005),
}

# -- the unsquared loss ------------------------------------------------------------------------------------------------------

#: Where the flow is stopped, and what parts its ends.
STOP, BETWEEN = 0.97, 0.5


def _least(x: Array, t: float, mixed: Mixed, squared: bool) -> Array:
    """The u at x, shape (n, 1), with the least mean of |u − u(x|X₁)|² or |u − u(x|X₁)|, tried on a fine mesh between the two targets."""
    shares = mixed.at(t).posterior(x, mixed.data)
    low, high = (mixed.conditional(x, y, t)[:, 0] for y in mixed.data.x)
    if squared:
        return (shares[:, 0] * low + shares[:, 1] * high)[:, None]
    tried = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, 5)
    losses = shares[:, :1] * np.abs(tried - low[:, None]) + shares[:, 1:] * np.abs(tried - high[:, None])
    return np.take_along_axis(tried, losses.argmin(1)[:, None], axis=1)


@lru_cache(maxsize=16)
def mass_at_two(squared: bool, weight: float, steps: int) -> float:
    """P(the flow of the least loss ends near 2) from N(0, 1), for data at −1 and 2 (of that weight): by the place that parts the ends."""
    base = replace(POINTS, weights=np.array([1 - weight, weight]))
    mixed, lower, upper = Mixed(base, STRAIGHT), -6.0, 6.0
    flow = fpk.Problem(lambda x, t: _least(x, t, mixed, squared), 0.0, initial=fpk.Gaussian(0.0, 1.0))
    for _ in range(4):
        x = np.linspace(lower, upper, 129)
        first = int(np.argmax(pushed(flow, x, (STOP,), steps)[0] > BETWEEN))
        lower, upper = x[first - 1], x[first]
    return float(ndtr(-0.5 * (lower + upper)))
