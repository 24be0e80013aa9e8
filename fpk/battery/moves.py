r"""One step of a Markov chain with its noise, and Langevin steps with one mistake each.

y = x + a s(x) + b z is proposed, s the score, and taken with probability min(1, π(y) q(y, x)/(π(x) q(x, y))). Right are a = hP, b = √(2hP), and q
the density of that very proposal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.errors import ComparisonError
from fpk.laws import Array, Law

NOISES = ("rng", "normal", "normal and uniform")
#: Halvings that find where a decision turns, to 1e-8.
HALVINGS = 26


@dataclass(frozen=True)
class Move:
    """A step by what it takes: a generator, normal numbers, or those and uniform ones; or a proposal with its acceptance.

    Parameters
    ----------
    kernel : callable
    noise : str
        One of NOISES; of no meaning with ``log_acceptance``.
    log_acceptance : callable, optional
    """

    kernel: Callable[..., Any]
    noise: str = "normal"
    log_acceptance: Callable[[Array, Array], Array] | None = None

    def __post_init__(self) -> None:
        if self.noise not in NOISES:
            raise ComparisonError(f"noise={self.noise!r} is none of {', '.join(map(repr, NOISES))}.")

    @property
    def injected(self) -> bool:
        """Whether the noise can be chosen."""
        return self.noise != "rng" or self.log_acceptance is not None

    def branches(self, x: Array, z: Array) -> list[tuple[Array, Array]]:
        """Where a step may lead and with which probabilities, for given normal numbers."""
        if self.log_acceptance is not None:
            y = np.asarray(self.kernel(x, z), float)
            taken = np.exp(np.minimum(self.log_acceptance(x, y), 0.0))
            return [(y, taken), (x, 1 - taken)]
        if self.noise == "normal":
            return [(np.asarray(self.kernel(x, z), float), np.ones(len(x)))]
        return self._decided(x, z)

    def _decided(self, x: Array, z: Array) -> list[tuple[Array, Array]]:
        """Both ends of the uniform number, and where between them the decision turns."""
        low, high = np.full(len(x), 1e-15), np.full(len(x), 1 - 1e-15)
        first, last = (np.asarray(self.kernel(x, z, u), float) for u in (low, high))
        differ = np.flatnonzero(np.any(first != last, axis=1))
        share = np.ones(len(x))
        if len(differ):
            share[differ] = self._turn(x[differ], z[differ], first[differ])
        return [(first, share), (last, 1 - share)]

    def _turn(self, x: Array, z: Array, first: Array) -> Array:
        low, high = np.zeros(len(x)), np.ones(len(x))
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            before = np.all(np.asarray(self.kernel(x, z, middle), float) == first, axis=1)
            low, high = np.where(before, middle, low), np.where(before, high, middle)
        return 0.5 * (low + high)

    def drawn(self, x: Array, rng: np.random.Generator) -> Array:
        """One step from each position."""
        if not self.injected:
            return np.asarray(self.kernel(x, rng), float)
        z, u = rng.standard_normal(x.shape), rng.random(len(x))
        if self.log_acceptance is not None:
            y = np.asarray(self.kernel(x, z), float)
            return np.where((np.log(u) < self.log_acceptance(x, y))[:, None], y, x)
        given = (z,) if self.noise == "normal" else (z, u)
        return np.asarray(self.kernel(x, *given), float)


@dataclass(frozen=True)
class Langevin:
    """x + a s(x) + b z for a law with score s, and what may be made of its acceptance."""

    target: Law
    a: float
    b: float

    def propose(self, x: Array, z: Array) -> Array:
        """The proposal."""
        return x + self.a * self.target.score(x) + self.b * z

    def log_density(self, x: Array, y: Array) -> Array:
        """log q(x, y), up to a constant."""
        return -0.5 * np.sum((y - x - self.a * self.target.score(x)) ** 2, axis=1) / self.b**2

    def odds(self, x: Array, y: Array) -> Array:
        """log π(y)/π(x)."""
        return self.target.log_density(y) - self.target.log_density(x)

    def correction(self, x: Array, y: Array) -> Array:
        """log q(y, x)/q(x, y)."""
        return self.log_density(y, x) - self.log_density(x, y)


def langevin_mistakes(target: Law, h: float, P: float = 1.0, *, gradient: bool = True) -> dict[str, Move]:
    """Steps with one mistake each, by name; the right one, adjusted, has the empty name. Without a gradient: random walks."""
    right = Langevin(target, h * P * gradient, (2 * h * P) ** 0.5)
    moves = {"": _adjusted(right, right), "accept step missing": Move(right.propose)}
    for name, (a, b) in _coefficients(h, P).items():
        if gradient or a == h * P:
            step = Langevin(target, a * gradient, b)
            moves[name] = Move(step.propose)
            moves[f"{name}, in an adjusted step"] = _adjusted(step, right)
    return moves | (_acceptances(right) if gradient else {"acceptance ratio reversed": _adjusted(right, right, -1.0)})


def _adjusted(step: Langevin, q: Langevin, odds: float = 1.0, correction: float = 1.0) -> Move:
    """A proposal with the acceptance that belongs to the density q, its two parts to some power."""
    return Move(step.propose, log_acceptance=lambda x, y: odds * step.odds(x, y) + correction * q.correction(x, y))


def _acceptances(right: Langevin) -> dict[str, Move]:
    """The right proposal with wrong acceptances."""

    def logarithm_left_out(x: Array, y: Array) -> Array:
        return np.log(np.clip(right.odds(x, y) + right.correction(x, y), 1e-300, 1.0))

    return {
        "acceptance ratio reversed": _adjusted(right, right, -1.0, -1.0),
        "density ratio reversed in the acceptance": _adjusted(right, right, -1.0, 1.0),
        "proposal densities left out of the acceptance": _adjusted(right, right, 1.0, 0.0),
        "proposal densities exchanged in the acceptance": _adjusted(right, right, 1.0, -1.0),
        "density left out of the acceptance": _adjusted(right, right, 0.0, 1.0),
        "uniform number compared with the log ratio": Move(right.propose, log_acceptance=logarithm_left_out),
    }


def _coefficients(h: float, P: float) -> dict[str, tuple[float, float]]:
    """Wrong pairs (a, b)."""
    a, b = h * P, (2 * h * P) ** 0.5
    pairs = {
        "half the drift": (0.5 * a, b),
        "twice the drift": (2 * a, b),
        "sign of the drift": (-a, b),
        "drift left out": (0.0, b),
        "noise 2h for √(2h)": (a, 2 * h * P),
        "√2 missing on the noise": (a, b / 2**0.5),
        "√2 too much on the noise": (a, b * 2**0.5),
        "noise h for √(2h), inside the step factor": (a, h * P),
        "noise √2 h for √(2h), inside the step factor": (a, 2**0.5 * h * P),
        "noise h √(2h), inside the step factor": (a, h * b),
    }
    if P != 1:
        pairs |= {
            "preconditioner on the noise only": (h, b),
            "preconditioner on the drift only": (a, (2 * h) ** 0.5),
            "preconditioner for its root on the noise": (a, P * (2 * h) ** 0.5),
        }
    return pairs
