r"""Class K: what looks wrong and is right, each beside the "correction" that was asked for.

pre-scaled input   the loop moves x, the model is shown x/√(1 + σ²) and returns ε: then x' = x + (σ' − σ) ε, without any sign or scale
negative steps     with h = t' − t < 0 the reverse drift is −½ β x − β s, and the noise √(−h β)
two coefficients   the posterior's mean is √ᾱ' b/(1 − ᾱ) X0 + √(1 − b) (1 − ᾱ')/(1 − ᾱ) x, which is not DDIM's and need not be
backwards          a velocity that grows towards the noise is followed with the label 1 − u *and* subtracted
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fpk.laws import Array

from ._equations import SCORES, VP, rooted
from ._examples import Example, Loop, Model, Slip
from ._flows import BACKWARDS as TOWARDS_NOISE
from ._flows import FlowEuler, reversed_label
from ._indexed import DDPM, INDEXED, forward_variance, from_noise
from ._levels import LEVELS, Euler


def unit_scale(level: float) -> float:
    """What makes variance 1 of variance 1 + σ²."""
    return 1 / np.sqrt(1 + level**2)


@dataclass(frozen=True)
class PreScaled(Euler):
    """Euler in the noise, with an input that is scaled before the call; sign and scale are exchangeable."""

    sign: float = 1.0
    shown: Callable[[float], float] = unit_scale

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """One slope."""
        level, after = self.pair(k, steps)
        return x + self.sign * (after - level) * model(self.shown(level) * x, level)


def reverse_drift(beta: float, x: Array, score: Array) -> Array:
    """F − g² s of the forward SDE, for steps of negative length."""
    return -0.5 * beta * x - beta * score


@dataclass(frozen=True)
class Negative(Loop):
    """Euler–Maruyama with steps of negative length; the drift is exchangeable."""

    noisy = True
    drift: Callable[[float, Array, Array], Array] = reverse_drift

    def levels(self, steps: int) -> Array:
        """Times."""
        return rooted(steps)

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """From t to t' < t."""
        t, after = (float(level) for level in self.levels(steps)[k : k + 2])
        h = after - t
        mean = x + self.drift(VP.beta(t), x, model(x, t)) * h
        return mean + np.sqrt(-h * VP.beta(t)) * z if after > 0 else mean


def posterior_weights(kept: float, before: float) -> tuple[float, float]:
    """Of X0 and x in the posterior's mean."""
    b = 1 - kept / before
    return np.sqrt(before) * b / (1 - kept), np.sqrt(1 - b) * (1 - before) / (1 - kept)


def posterior_variance(kept: Array, index: int, after: int) -> float:
    """Β̃ = b (1 − ᾱ')/(1 − ᾱ)."""
    return forward_variance(kept, index, after) * (1 - kept[after]) / (1 - kept[index])


@dataclass(frozen=True)
class TwoCoefficients(DDPM):
    """DDPM through X0."""

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """From one index to the next."""
        index, after = (int(i) for i in self.levels(steps)[k : k + 2])
        kept = self.kept()
        clean, _ = from_noise(model(x, index - 1), x, kept[index])
        first, second = posterior_weights(kept[index], kept[after])
        return first * clean + second * x + self.root(posterior_variance(kept, index, after)) * z


SCALED, DOWN, TWO = PreScaled(), Negative(), TwoCoefficients()
BACKWARDS = FlowEuler(label=reversed_label, sign=-1.0)

EXAMPLES = (
    Example(
        "pre-scaled input",
        "K",
        SCALED,
        LEVELS | {"kind": "noise", "scale": "VP"},
        (
            Slip(
                "minus before the noise",
                replace(SCALED, sign=-1.0),
                ("sign of the output",),
                "a minus that seems to be missing: but σ' − σ is negative already",
            ),
            Slip(
                "input not scaled",
                replace(SCALED, shown=lambda level: 1.0),
                ("input scale",),
                "the factor before the call seems one too many: but the model was trained on unit variance",
            ),
        ),
    ),
    Example(
        "steps of negative length",
        "K",
        DOWN,
        SCORES,
        (
            Slip(
                "score added",
                replace(DOWN, drift=lambda beta, x, score: -0.5 * beta * x + beta * score),
                ("sign of the output",),
                "the score with the sign that it has in the drift of a reversed clock, where steps are positive",
            ),
        ),
    ),
    Example(
        "DDPM with two coefficients",
        "K",
        TWO,
        INDEXED | {"stochastic": True},
        (
            Slip(
                "variance for its root",
                replace(TWO, root=lambda variance: variance),
                ("variance for its root",),
                "the noise multiplied by the posterior's variance, as it is printed beside the mean",
            ),
        ),
    ),
    Example(
        "backwards along a flow",
        "K",
        BACKWARDS,
        TOWARDS_NOISE,
        (
            Slip(
                "velocity added",
                replace(BACKWARDS, sign=1.0),
                ("sign of the output",),
                "the output added, the label left as it is",
            ),
        ),
    ),
)
