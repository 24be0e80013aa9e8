r"""Loops over whole timesteps, as for models that were trained with a table of betas.

With ᾱ_0 = 1 and ᾱ_k = Π_{j ≤ k} (1 − β_j), X_k = √ᾱ_k X_0 + √(1 − ᾱ_k) Z; the model is told k − 1. With n steps for T indices the loop goes from
k to k' < k, and the forward transition between them has the variance b = 1 − ᾱ_k/ᾱ_k'.

    DDIM   x' = √ᾱ_k' X0 + √(1 − ᾱ_k' − s²) ε + s z,    s² = η² b (1 − ᾱ_k')/(1 − ᾱ_k)
    DDPM   x' = (x − b ε/√(1 − ᾱ_k))/√(1 − b) + √b z,   without z for k' = 0
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fpk
from fpk.fields import Index
from fpk.laws import Array

from ._examples import Loop, Model

#: Whole numbers, shape (n + 1,).
Indices = NDArray[np.integer[Any]]
T = 1000
VP = fpk.VPSchedule(0.1, 20.0)


def labels(count: int = T) -> Index:
    """Labels 0 ... count − 1 for the indices 1 ... count."""
    return Index(count, first=0, start=1 / count)


#: What is declared about a loop that reads the noise.
INDEXED = {"kind": "noise", "schedule": VP, "time": labels(), "direction": "t_noise", "scale": "path"}


@cache
def table(schedule: Any, count: int = T) -> Array:
    """ᾱ_0 ... ᾱ_count as a cumulated product."""
    exact = np.array([schedule.alpha(k / count) ** 2 for k in range(count + 1)])
    betas = 1 - exact[1:] / exact[:-1]
    return np.concatenate([[1.0], np.cumprod(1 - betas)])


@cache
def strided(steps: int, count: int = T) -> Indices:
    """Count = k_0 > ... > k_n = 0 as even as whole numbers can be."""
    return np.linspace(count, 0, steps + 1).round().astype(int)


# -- what the model says -----------------------------------------------------------------------------------------------

#: Output, positions and ᾱ ↦ X0 and ε.
Reading = Callable[[Array, Array, float], tuple[Array, Array]]


def from_noise(output: Array, x: Array, kept: float) -> tuple[Array, Array]:
    """X0 = (x − √(1 − ᾱ) ε)/√ᾱ."""
    return (x - np.sqrt(1 - kept) * output) / np.sqrt(kept), output


def from_denoised(output: Array, x: Array, kept: float) -> tuple[Array, Array]:
    """Ε = (x − √ᾱ X0)/√(1 − ᾱ)."""
    return output, (x - np.sqrt(kept) * output) / np.sqrt(1 - kept)


def from_v(output: Array, x: Array, kept: float) -> tuple[Array, Array]:
    """X0 = √ᾱ x − √(1 − ᾱ) v, ε = √(1 − ᾱ) x + √ᾱ v."""
    a, s = np.sqrt(kept), np.sqrt(1 - kept)
    return a * x - s * output, s * x + a * output


def from_wrong_v(output: Array, x: Array, kept: float) -> tuple[Array, Array]:
    """The sign of v exchanged."""
    return from_v(-output, x, kept)


# -- loops -------------------------------------------------------------------------------------------------------------


def the_next(k: int, after: int) -> int:
    """The index of the loop."""
    return after


def own_label(k: int) -> int:
    """The model counts from 0."""
    return k - 1


def _posterior(kept: float, before: float, noise: float) -> tuple[float, float]:
    """s² = η² β̃, and what is left for the direction."""
    variance = noise**2 * (1 - kept / before) * (1 - before) / (1 - kept)
    return variance, 1 - before - variance


def all_of_it(kept: float, before: float, noise: float) -> tuple[float, float]:
    """The direction is not shortened by the noise."""
    return _posterior(kept, before, noise)[0], 1 - before


def louder(kept: float, before: float, noise: float) -> tuple[float, float]:
    """Noise that is 2 % too large, the direction as it should be."""
    drawn, along = _posterior(kept, before, noise)
    return 1.02**2 * drawn, along


@dataclass(frozen=True)
class DDIM(Loop):
    """The loop of DDIM with exchangeable indices, tables and reading."""

    indices: Callable[[int], Indices] = strided
    kept: Callable[[], Array] = lambda: table(VP)
    previous: Callable[[int, int], int] = the_next
    label: Callable[[int], int] = own_label
    reading: Reading = from_noise
    eta: float = 0.0
    share: Callable[[float, float, float], tuple[float, float]] = _posterior

    @property
    def noisy(self) -> bool:  # type: ignore[override]
        """Whether anything is drawn."""
        return self.eta > 0

    def levels(self, steps: int) -> Indices:  # type: ignore[override]
        """Indices."""
        return self.indices(steps)

    def times(self, steps: int) -> Array:
        """Times of the path."""
        return self.levels(steps) / (len(self.kept()) - 1)

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """From one index to the next."""
        index, after = (int(i) for i in self.levels(steps)[k : k + 2])
        kept, before = self.kept()[index], self.kept()[self.previous(index, after)]
        clean, noise = self.reading(model(x, self.label(index)), x, kept)
        drawn, along = self.share(kept, before, self.eta)
        return np.sqrt(before) * clean + np.sqrt(along) * noise + np.sqrt(drawn) * z


def forward_variance(kept: Array, index: int, after: int) -> float:
    """B = 1 − ᾱ_k/ᾱ_k'."""
    return 1 - kept[index] / kept[after]


def unless_last(after: int) -> bool:
    """Noise but for the last step."""
    return after > 0


def each_its_own(x: Array, rng: np.random.Generator) -> Array:
    """Normal numbers for every row."""
    return rng.standard_normal(x.shape)


def one_for_all(x: Array, rng: np.random.Generator) -> Array:
    """Those of one row, for all."""
    return np.broadcast_to(rng.standard_normal((1, *x.shape[1:])), x.shape)


@dataclass(frozen=True)
class DDPM(Loop):
    """The loop of DDPM with exchangeable variance and last step."""

    noisy = True
    indices: Callable[[int], Indices] = strided
    kept: Callable[[], Array] = lambda: table(VP)
    variance: Callable[[Array, int, int], float] = forward_variance
    root: Callable[[float], float] = np.sqrt
    draws: Callable[[int], bool] = unless_last
    numbers: Callable[[Array, np.random.Generator], Array] = each_its_own

    def drawn(self, x: Array, rng: np.random.Generator) -> Array:
        """Normal numbers for positions x."""
        return self.numbers(x, rng)

    def levels(self, steps: int) -> Indices:  # type: ignore[override]
        """Indices."""
        return self.indices(steps)

    def times(self, steps: int) -> Array:
        """Times of the path."""
        return self.levels(steps) / (len(self.kept()) - 1)

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """From one index to the next."""
        index, after = (int(i) for i in self.levels(steps)[k : k + 2])
        kept, b = self.kept(), forward_variance(self.kept(), index, after)
        mean = (x - b / np.sqrt(1 - kept[index]) * model(x, index - 1)) / np.sqrt(1 - b)
        return mean + self.root(self.variance(kept, index, after)) * z if self.draws(after) else mean
