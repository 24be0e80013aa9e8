r"""Langevin chains of two noised atoms as transition matrices: no sampling, whatever the steps.

One step at noise level σ is x ↦ x + γ s_σ(x) + √(2γ) z, the kernel of fpk's Langevin samplers. On equally spaced points, close enough for the kernel and for the law, the trapezoidal
rule is exact to round-off:

    p'(y) = h Σ_j N(y; x_j + γ s(x_j), 2γ) p(x_j).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

import fpk
from fpk.fields import Field, exact_field
from fpk.laws import Array, Gaussian, GaussianMixture
from fpk.samplers import AnnealedLangevin, Kernel
from fpk.samplers.langevin import langevin_kernel

#: Two atoms, .35 at −1 and .65 at 2.
WEIGHTS, PLACES = (0.35, 0.65), (-1.0, 2.0)
#: The path on which time is the noise level, and the exact score on it.
PATH = fpk.AffineSchedule("1", "t")
ATOMS = exact_field(GaussianMixture(WEIGHTS, PLACES, stds=1e-9), PATH)
#: Standard deviations that the points reach beyond the atoms.
REACH = 6.0


def blurred(sigma: float) -> GaussianMixture:
    """The law of the atoms with noise N(0, σ²)."""
    return GaussianMixture(WEIGHTS, PLACES, stds=sigma)


class Level(NamedTuple):
    """Steps at one noise level: σ, the size γ of a step, how many, and factors on score and noise variance."""

    sigma: float
    size: float
    steps: int
    score: float = 1.0
    noise: float = 1.0

    @property
    def spacing(self) -> float:
        """Of points: a fraction of the width of kernel and law together."""
        slope, variance = 1 - self.score * self.size / self.sigma**2, 2 * self.noise * self.size
        return float((slope**2 / variance + 1 / self.sigma**2) ** -0.5)

    @property
    def step(self) -> Kernel:
        """One step."""
        kernel = langevin_kernel(_pushed(self.score), self.sigma, self.size)
        return Kernel(kernel.mean, self.noise**0.5 * kernel.std)


@lru_cache(maxsize=8)
def _pushed(factor: float) -> Field:
    """The score times a factor."""
    return Field(lambda x, t: factor * ATOMS(x, t), "score", PATH)


def levels_of(sampler: AnnealedLangevin, *, score: float = 1.0, noise: float = 1.0) -> tuple[Level, ...]:
    """What the sampler does at each of its noise levels, with factors on score and noise variance."""
    walked = [(sampler.pair(k)[1], sampler.kernels(k)) for k in range(sampler.steps)]
    return tuple(Level(sigma, 0.5 * steps[0].std ** 2, len(steps), score, noise) for sigma, steps in walked)


@dataclass(frozen=True)
class Masses:
    """A law by masses at equally spaced points."""

    points: Array
    masses: Array

    def weight(self, sigma: float) -> float:
        """Mean responsibility of the right atom: its weight, if this is the law of the atoms with noise σ."""
        return self.mean_over(blurred(sigma).responsibilities(self.points[:, None])[1])

    def mean_over(self, weight: Array) -> float:
        """Σ masses · weight."""
        return float(self.masses @ weight)


def between(sigma: float, spacing: float) -> Array:
    """Equally spaced points that hold the atoms with noise σ."""
    lower, upper = PLACES[0] - REACH * sigma, PLACES[1] + REACH * sigma
    return np.linspace(lower, upper, int(np.ceil((upper - lower) / spacing)) + 1)


def points_of(level: Level, fineness: float) -> Array:
    """Points that hold the law of a level."""
    wider = max(1.0, level.noise / abs(level.score)) ** 0.5
    return between(wider * level.sigma, fineness * level.spacing)


def kernel(level: Level, source: Array, target: Array) -> Array:
    """Masses at the points ``target`` from one mass at each point of ``source``, after one step."""
    step = level.step
    mean, variance = step.mean(source[:, None])[:, 0], step.std**2
    gaps = np.subtract(target[:, None], mean)
    return np.exp(-0.5 / variance * gaps * gaps) * ((target[1] - target[0]) / np.sqrt(2 * np.pi * variance))


def started(std: float, points: Array) -> Masses:
    """N(0, std²) on the points."""
    return Masses(points, Gaussian(0.0, std).density(points[:, None]) * (points[1] - points[0]))


def annealed(levels: Sequence[Level], *, start: float, fineness: float) -> Masses:
    """The law after the steps of all levels, from N(0, start²)."""
    law = started(start, between(start, fineness * levels[0].spacing))
    for level in levels:
        points = points_of(level, fineness)
        masses = kernel(level, law.points, points) @ law.masses
        within = kernel(level, points, points)
        for _ in range(level.steps - 1):
            masses = within @ masses
        law = Masses(points, masses)
    return law


def settled(level: Level, *, doublings: int, fineness: float) -> Masses:
    """The law after 2^doublings steps at one level, from N(0, 1)."""
    points = points_of(level, fineness)
    matrix = kernel(level, points, points)
    for _ in range(doublings):
        matrix = np.einsum("ij,jk->ik", matrix, matrix)  # too small to be worth the threads of a matrix product
    return Masses(points, matrix @ started(1.0, points).masses)
