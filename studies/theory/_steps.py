"""The particles' own steps over all outcomes of the noise: laws of walks by enumeration, expectations over normal noise by quadrature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

import fpk
from fpk.laws import Array
from fpk.particles.motion import Motion
from fpk.particles.schemes import EulerMaruyama, Scheme
from fpk.particles.steps import Step

#: Nodes of quadratures over normal noise: polynomials up to degree 31 are exact.
NODES = 16


def normal(nodes: int = NODES) -> tuple[Array, Array]:
    """Values and chances that stand for N(0, 1)."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    return z, w / w.sum()


@dataclass(frozen=True, eq=False)
class Mover:
    """Steps of a problem in one dimension with given increments of the noise."""

    problem: fpk.Problem
    scheme: Scheme = field(default_factory=EulerMaruyama)

    @cached_property
    def _motion(self) -> Motion:
        return Motion(self.problem, self.scheme)

    def __call__(
        self, x: Array, noise: Array | float, h: float, *, time: float = 0.0, extra: Array | float = 0.0
    ) -> Array:
        """Positions after a step of length h with the increments ``noise``; both broadcast, and so does ``extra``, one normal number for each."""
        x, noise, extra = np.broadcast_arrays(x, noise, extra)
        moved = self._motion.advanced(
            Step(self.problem, time, h), x.reshape(-1, 1), noise.reshape(-1, 1), extra.reshape(-1, 1)
        )
        return np.broadcast_to(moved, (x.size, 1)).reshape(x.shape)

    def over(self, h: float) -> Callable[[Array, Array], Array]:
        """Steps of length h as a function of place and standard normal number."""
        return lambda x, z: self(x, h**0.5 * z, h)


@dataclass(frozen=True)
class Walk:
    """The joint law of a walk's positions at an earlier time and now: nodes of both, and chances of shape (earlier, now)."""

    earlier: Array
    now: Array
    chances: Array

    @classmethod
    def begun(cls) -> Walk:
        """At 0, with 0 as the earlier place."""
        return cls(np.zeros(1), np.zeros(1), np.ones((1, 1)))

    def kept(self) -> Walk:
        """The place now becomes the earlier one."""
        return Walk(self.now, self.now, np.diag(self.chances.sum(0)))

    def stepped(self, mover: Mover, h: float, tosses: Sequence[tuple[float, float]]) -> Walk:
        """One step on, the increment of the noise being √h times a toss; ``tosses`` are values with their chances."""
        ends = np.concatenate([mover(self.now, value * h**0.5, h) for value, _ in tosses])
        chances = np.concatenate([chance * self.chances for _, chance in tosses], axis=1)
        _, first, place = np.unique(np.round(ends, 9), return_index=True, return_inverse=True)
        merged = np.zeros((len(first), len(self.earlier)))
        np.add.at(merged, np.ravel(place), chances.T)
        return Walk(self.earlier, ends[first], merged.T)

    def mean(self, function: Callable[[Array, Array], Array]) -> float:
        """The expectation of a function of both places."""
        return float((function(self.earlier[:, None], self.now) * self.chances).sum())


def walked(mover: Mover, h: float, steps: tuple[int, int], tosses: Sequence[tuple[float, float]]) -> Walk:
    """Some steps, whose end is kept, and then some more."""
    walk = Walk.begun()
    for _ in range(steps[0]):
        walk = walk.stepped(mover, h, tosses)
    walk = walk.kept()
    for _ in range(steps[1]):
        walk = walk.stepped(mover, h, tosses)
    return walk


def mean_square(
    start: float,
    steps: int,
    move: Callable[[Array, Array], Array],
    gain: Callable[[Array, Array, Array], Array],
    less: Callable[[Array], Array],
    *,
    degree: int = 4,
) -> float:
    """E (Σ gain(x_n, x_{n+1}, z_n) − less(x_N))² over x_{n+1} = move(x_n, z_n), z_n ~ N(0, 1), x_0 = start.

    First and second moments of what is still to come, as functions of the place, are taken back step by step: polynomials of degree
    ``degree`` at most where gain and less are polynomials and the step is linear in x.
    """
    z, w = normal()
    x = start + np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    back = np.linalg.inv(np.vander(x - start, degree + 1, increasing=True))
    ends = move(x[:, None], z)
    gained = gain(x[:, None], ends, z)
    # Values at the nodes x ↦ values at the ends, as a matrix: polynomial interpolation.
    reach = np.vander((ends - start).ravel(), degree + 1, increasing=True) @ back
    first, second = -less(x), less(x) ** 2
    for _ in range(steps):
        ahead, squared = (reach @ first).reshape(ends.shape), (reach @ second).reshape(ends.shape)
        first, second = (gained + ahead) @ w, (gained**2 + 2 * gained * ahead + squared) @ w
    return float((back @ second)[0])
