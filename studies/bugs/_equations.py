r"""Loops that discretise the reverse SDE, for models that are told t and return the score.

    VP    x' = x + (½ β x + β s) h + √(β h) z,                 h = t − t'
    VE    x' = x + (σ² − σ'²) s + √(σ² − σ'²) z,               then M Langevin corrections x + κ s + √(2κ) z, κ = 2 (r σ')²

The last step returns the mean. Times are even in √t for VP, in t for VE, where σ is geometric in t.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

import fpk
from fpk.laws import Array

from ._examples import Loop, Model

VP = fpk.VPSchedule(0.1, 20.0)
VE = fpk.VESchedule(0.01, 100.0)

#: What is declared about them.
SCORES = {"kind": "score", "schedule": VP, "time": "path", "direction": "t_noise", "scale": "path", "stochastic": True}


@cache
def rooted(steps: int) -> Array:
    """Times even in √t."""
    return np.linspace(1.0, 0.0, steps + 1) ** 2


@cache
def even(steps: int) -> Array:
    """Times even in t."""
    return np.linspace(1.0, 0.0, steps + 1)


def whole_score(beta: float, x: Array, score: Array) -> Array:
    """The drift of the reverse SDE, ½ β x + β s."""
    return 0.5 * beta * x + beta * score


def half_score(beta: float, x: Array, score: Array) -> Array:
    """That of the probability flow."""
    return 0.5 * beta * x + 0.5 * beta * score


def against_score(beta: float, x: Array, score: Array) -> Array:
    """The score with the other sign."""
    return 0.5 * beta * x - beta * score


@dataclass(frozen=True)
class ReverseSDE(Loop):
    """Euler–Maruyama for the reverse VP SDE; drift and size of the noise are exchangeable."""

    noisy = True
    drift: Callable[[float, Array, Array], Array] = whole_score
    spread: Callable[[float, float], float] = lambda beta, h: np.sqrt(beta * h)
    score: Callable[[Array, float], Array] = lambda output, t: output

    def levels(self, steps: int) -> Array:
        """Times."""
        return rooted(steps)

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """From t down to t'."""
        t, after = (float(level) for level in self.levels(steps)[k : k + 2])
        beta, h = VP.beta(t), t - after
        mean = x + h * self.drift(beta, x, self.score(model(x, t), t))
        return mean + self.spread(beta, h) * z if after > 0 else mean


def quiet_end(mean: Array, x: Array, last: bool) -> Array:
    """The mean, where the loop ends."""
    return mean if last else x


@dataclass(frozen=True)
class Corrected(Loop):
    """Predictor and corrector for VE; what is returned and the size of a correction are exchangeable."""

    noisy = True
    memoryless = False
    schedule: Any = VE
    returned: Callable[[Array, Array, bool], Array] = quiet_end
    size: Callable[[float, int], float] = lambda sigma, steps: 2 * (sigma * 0.4) ** 2 / steps

    def levels(self, steps: int) -> Array:
        """Times."""
        return even(steps)

    def prior(self, n: int, rng: np.random.Generator) -> Array:
        """Normal noise of the highest level."""
        return self.schedule.sigma(1.0) * rng.standard_normal((n, 1))

    def __call__(self, model: Model, start: Array, steps: int, rng: np.random.Generator) -> Array:
        """The loop, which draws twice a step."""
        x, levels = start, self.levels(steps)
        for t, after in pairwise(levels):
            added = self.schedule.sigma(t) ** 2 - self.schedule.sigma(after) ** 2
            mean = x + added * model(x, t)
            x = self.returned(mean, mean + np.sqrt(added) * rng.standard_normal(x.shape), after == 0)
            if after > 0:
                kappa = self.size(self.schedule.sigma(after), steps)
                x = x + kappa * model(x, after) + np.sqrt(2 * kappa) * rng.standard_normal(x.shape)
        return x
