r"""Loops over noise levels σ_0 > ... > σ_n = 0, for models that are told σ and return E[X_0 | x], X = X_0 + σ Z.

Euler            x' = x + (σ' − σ) d,    d = (x − D(x, σ))/σ
Heun             the mean of d at both ends, Euler to σ' = 0
churned Euler    first to σ̂ = (1 + γ) σ by new noise of variance σ̂² − σ²
ancestral Euler  to σ_down, then noise σ_up: σ_up² = σ'² (σ² − σ'²)/σ², σ_down² = σ'² − σ_up²
DPM-Solver++ 2M  x' = (σ'/σ) x + (1 − e^{−h}) D̄,    h = log(σ/σ'), D̄ = D + (D − D_before)/(2r), r = h_before/h
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from fpk.laws import Array
from fpk.schedules import AffineSchedule

from ._examples import Loop, Model

HIGHEST, LOWEST, RHO = 80.0, 0.002, 7.0
#: X_t = X_0 + 80 t Z.
EXPLODING = AffineSchedule(lambda t: 1.0, lambda t: HIGHEST * t)

#: What is declared about a loop of first order.
LEVELS = {
    "kind": "denoised", "schedule": EXPLODING, "time": "sigma", "direction": "t_noise", "scale": "path", "visits": "sigma", "order": 1,
}  # fmt: skip
#: The same of second order, whose errors need more steps to show it.
LEVELS_TWICE = LEVELS | {"order": 2, "counts": (16, 24, 32, 48, 64)}


def spaced(steps: int) -> Array:
    """Levels whose ρ-th roots are even, from the highest to the lowest; one alone is the highest."""
    ramp = np.linspace(0, 1, steps) if steps > 1 else np.zeros(1)
    return (HIGHEST ** (1 / RHO) + ramp * (LOWEST ** (1 / RHO) - HIGHEST ** (1 / RHO))) ** RHO


@cache
def karras(steps: int) -> Array:
    """The same, and 0 behind them."""
    return np.append(spaced(steps), 0.0)


def slope(model: Model, x: Array, level: float) -> Array:
    """D = (x − D(x, σ))/σ."""
    return (x - model(x, level)) / level


@dataclass(frozen=True)
class Levels(Loop):
    """A loop over levels, from noise as wide as the first of them."""

    spacing: Callable[[int], Array] = karras
    width: float = HIGHEST

    def levels(self, steps: int) -> Array:
        """Noise levels."""
        return self.spacing(steps)

    def pair(self, k: int, steps: int) -> tuple[float, float]:
        """The levels of step k."""
        return tuple(float(level) for level in self.levels(steps)[k : k + 2])  # type: ignore[return-value]

    def prior(self, n: int, rng: np.random.Generator) -> Array:
        """Normal noise of the first level."""
        return self.width * rng.standard_normal((n, 1))


@dataclass(frozen=True)
class Euler(Levels):
    """The Euler loop."""

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """One slope."""
        level, after = self.pair(k, steps)
        return x + (after - level) * slope(model, x, level)


def at_the_end(level: float, after: float) -> float:
    """Where the second slope is taken."""
    return after


@dataclass(frozen=True)
class Heun(Levels):
    """The Heun loop; the level of the second slope is exchangeable."""

    second: Callable[[float, float], float] = at_the_end

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """Two slopes, one where the step ends at 0."""
        level, after = self.pair(k, steps)
        first = slope(model, x, level)
        ahead = x + (after - level) * first
        if after == 0:
            return ahead
        return x + (after - level) * (first + slope(model, ahead, self.second(level, after))) / 2


def raised(level: float, higher: float) -> float:
    """What the model is told."""
    return higher


@dataclass(frozen=True)
class Churned(Levels):
    """Euler with new noise before each step below the level 50."""

    noisy = True
    churn: float = 80.0
    told: Callable[[float, float], float] = raised

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """Up, then down."""
        level, after = self.pair(k, steps)
        higher = level * (1 + (min(self.churn / steps, np.sqrt(2) - 1) if level < 50 else 0.0))
        moved = x + np.sqrt(higher**2 - level**2) * z
        return moved + (after - higher) * (moved - model(moved, self.told(level, higher))) / higher


def split(level: float, after: float) -> tuple[float, float]:
    """σ_up and σ_down."""
    up = after * np.sqrt((level**2 - after**2) / level**2)
    return up, np.sqrt(after**2 - up**2)


@dataclass(frozen=True)
class Ancestral(Levels):
    """Ancestral Euler."""

    noisy = True
    split: Callable[[float, float], tuple[float, float]] = split

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """Down, then up."""
        level, after = self.pair(k, steps)
        up, down = self.split(level, after)
        return x + (down - level) * slope(model, x, level) + up * z


def straight(now: Array, before: Array, ratio: float) -> Array:
    """D + (D − D_before)/(2r)."""
    return now + (now - before) / (2 * ratio)


@dataclass(frozen=True)
class Multistep(Levels):
    """DPM-Solver++ 2M: the outputs of two steps extrapolated, but for the first and the last."""

    memoryless = False
    extrapolated: Callable[[Array, Array, float], Array] = straight
    careful: bool = True

    def __call__(self, model: Model, start: Array, steps: int, rng: np.random.Generator) -> Array:
        """The loop with its memory."""
        x, levels, before = start, self.levels(steps), None
        logs = -np.log(np.maximum(levels, 1e-300) if self.careful else levels)
        for k in range(len(levels) - 1):
            output, h = model(x, float(levels[k])), logs[k + 1] - logs[k]
            clean = output
            if before is not None and not (self.careful and levels[k + 1] == 0):
                clean = self.extrapolated(output, before, (logs[k] - logs[k - 1]) / h)
            x, before = levels[k + 1] / levels[k] * x - np.expm1(-h) * clean, output
        return x
