"""The conditional velocities of the figures of Lipman et al. (2023), equations 17, 19, 21 and 41, and what may go wrong in them."""

from __future__ import annotations

import numpy as np

from fpk.laws import Array
from fpk.schedules import rates

from ._flow_curves import LEFT, SLIPS, VE, VP, Velocity


def _slipping(velocity: Velocity, others: dict[str, Velocity]) -> dict[str, Velocity]:
    """A velocity with the slips that all share, and others of its own."""
    return {name: slip(velocity) for name, slip in SLIPS.items()} | others


def _ve(x: Array, x1: Array, t: float) -> Array:
    return -rates(VE, 1 - t)[1] / VE.sigma(1 - t) * (x - x1)


EXPLODING = _slipping(_ve, {"not divided by σ": lambda x, x1, t: -rates(VE, 1 - t)[1] * (x - x1)})


def _by_alpha(x: Array, x1: Array, t: float) -> Array:
    """α′ (α x − x₁)/(1 − α²) at 1 − t."""
    a, slope = VP.alpha(1 - t), rates(VP, 1 - t)[0]
    return slope / (1 - a**2) * (a * x - x1)


def _by_integral(x: Array, x1: Array, t: float) -> Array:
    """−½T′ (e^{−T} x − e^{−T/2} x₁)/(1 − e^{−T}) at 1 − t."""
    T, slope = VP.integrated_beta(1 - t), VP.beta(1 - t)
    return -0.5 * slope * (np.exp(-T) * x - np.exp(-0.5 * T) * x1) / (1 - np.exp(-T))


def _by_spread(x: Array, x1: Array, t: float) -> Array:
    """(σ̇/σ)(x − μ) + μ̇."""
    a, s = rates(VP, 1 - t)
    return -s / VP.sigma(1 - t) * (x - VP.alpha(1 - t) * x1) - a * x1


FORMS = {"by α′": _by_alpha, "by T′": _by_integral, "by μ̇ and σ̇": _by_spread}


def _ot(x: Array, x1: Array, t: float) -> Array:
    return (x1 - (1 - LEFT) * x) / (1 - (1 - LEFT) * t)


#: "t for 1 − t" and the exchange are other paths' slips.
TRANSPORT: dict[str, Velocity] = {
    "stated": _ot,
    "sign": SLIPS["sign"](_ot),
    "½ extra": SLIPS["½ extra"](_ot),
    "velocity + 0.5 %": SLIPS["velocity + 0.5 %"](_ot),
    "σ_min above dropped": lambda x, x1, t: (x1 - x) / (1 - (1 - LEFT) * t),
    "σ_min below dropped": lambda x, x1, t: (x1 - (1 - LEFT) * x) / (1 - t),
    "not divided": lambda x, x1, t: x1 - (1 - LEFT) * x,
}


#: Factors on ½T′, on the conditional score and on y; what T is in the score.
FLOWED: dict[str, tuple[float, float, float, float]] = {
    "stated": (1.0, 1.0, 1.0, 1.0),
    "½ missing": (2.0, 1.0, 1.0, 1.0),
    "score sign": (1.0, -1.0, 1.0, 1.0),
    "drift dropped": (1.0, 1.0, 0.0, 1.0),
    "½T for T": (1.0, 1.0, 1.0, 0.5),
    "score + 0.5 %": (1.0, 1.005, 1.0, 1.0),
}


def flowing(factors: tuple[float, float, float, float]) -> Velocity:
    """½T′ ((y − e^{−T/2} y₀)/(1 − e^{−T}) − y), the clock from data to noise."""
    all_, score, own, power = factors

    def velocity(y: Array, y0: Array, t: float) -> Array:
        T = power * VP.integrated_beta(t)
        pushed = (y - np.exp(-0.5 * T) * y0) / (1 - np.exp(-T))
        return all_ * 0.5 * VP.beta(t) * (score * pushed - own * y)

    return velocity
