"""What a re-created mistake consists of: a correct sampler, what is declared about it, and the same sampler with one piece exchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fpk.laws import Array

#: Positions (n, d) and the label of a noise level ↦ what the model returns, (n, d).
Model = Callable[[Array, Any], Array]


class Loop(ABC):
    """A sampler as a user writes it: some levels, and a step from each to the next. Subclasses are dataclasses of exchangeable pieces.

    Positions start at the first level. A step that draws nothing leaves ``z`` alone.
    """

    noisy = False
    #: Whether a step depends on nothing but where it starts.
    memoryless = True

    @abstractmethod
    def levels(self, steps: int) -> Array:
        """What the loop walks through, first and last included."""

    def step(self, model: Model, x: Array, k: int, steps: int, z: Array) -> Array:
        """Positions after step k; loops that remember earlier steps walk as a whole and have none."""
        raise TypeError(f"{type(self).__name__} has no single step: call it.")

    def __call__(self, model: Model, start: Array, steps: int, rng: np.random.Generator) -> Array:
        """Positions at the end."""
        x = start
        for k in range(len(self.levels(steps)) - 1):
            x = self.step(model, x, k, steps, self.drawn(x, rng) if self.noisy else np.zeros_like(x))
        return x

    def drawn(self, x: Array, rng: np.random.Generator) -> Array:
        """Normal numbers for positions x."""
        return rng.standard_normal(x.shape)

    def times(self, steps: int) -> Array:
        """The levels as the model's user names them."""
        return self.levels(steps)

    def prior(self, n: int, rng: np.random.Generator) -> Array:
        """Where the loop starts on its own."""
        return rng.standard_normal((n, 1))


@dataclass(frozen=True)
class Slip:
    """A mistake in one piece of a loop.

    Parameters
    ----------
    name : str
        What the code does.
    loop : Loop
    mistakes : tuple of str
        Names by which the battery may call it.
    note : str
        What it should do.
    declared : mapping
        What is declared differently from the twin, where the slip is one of those that take the declaration along.
    """

    name: str
    loop: Any
    mistakes: tuple[str, ...]
    note: str
    declared: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """A correct loop and its slips.

    Parameters
    ----------
    name : str
    family : str
        Class of mistakes, a letter.
    twin : Loop
    declared : mapping
        Keywords of :func:`fpk.battery.examine_sampler`.
    slips : tuple of Slip
    """

    name: str
    family: str
    twin: Any
    declared: Mapping[str, Any]
    slips: tuple[Slip, ...]
