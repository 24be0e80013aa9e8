r"""Chains on three states driven by throws of a die, X_k = F_k(X_{k−1}, ξ_k): the law of a path by counting every outcome.

Nothing here multiplies probabilities of transitions; those are read off the law of the path, for any process, with a memory or without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fpk.laws import Array

States = NDArray[np.intp]

STATES, FACES, STEPS = 3, 5, 4
START = np.array([0.5, 0.2, 0.3])


def _rule(k: int, state: States, die: States) -> States:
    """F_k: uneven, and another one in every step."""
    return (state * (1 + (die + k) % 2) + (die * die + k * die + 1) // 3) % STATES


def _recalling(k: int, past: Sequence[States], dice: Sequence[States]) -> States:
    """The first step is a throw that does not look at the start; later ones repeat what was two steps ago."""
    return dice[0] % STATES if k == 0 else past[-2]


#: (k, states so far, throws) ↦ the next state.
PROCESSES: dict[str, Callable[[int, Sequence[States], Sequence[States]], States]] = {
    "Markov": lambda k, past, dice: _rule(k, past[-1], dice[k]),
    "recalling": _recalling,
    "one throw": lambda k, past, dice: _rule(k, past[-1], dice[0]),
    "forced": lambda k, past, dice: (past[-1] + 1) % STATES if k == 0 else _rule(k, past[-1], dice[k]),
}


@lru_cache(maxsize=16)
def path_law(process: str, steps: int = STEPS) -> Array:
    """P(X_0 = i, ..., X_n = j), shape (3, ..., 3), by counting the outcomes of all throws."""
    start, *dice = np.indices((STATES, *(FACES,) * steps), dtype=np.intp).reshape(steps + 1, -1)
    past: list[States] = [start]
    for k in range(steps):
        past.append(PROCESSES[process](k, past, dice))
    law = np.zeros((STATES,) * (steps + 1))
    np.add.at(law, tuple(past), START[start] / FACES**steps)
    return law


def mixed(process: str, share: float) -> Array:
    """The law of a path that is Markov's, or with probability ``share`` that of another process."""
    return (1 - share) * path_law("Markov") + share * path_law(process)


def pair(law: Array, i: int, j: int) -> Array:
    """P(X_i, X_j), shape (3, 3)."""
    return law.sum(axis=tuple(k for k in range(law.ndim) if k not in (i, j)))


def marginal(law: Array, k: int) -> Array:
    """P(X_k), shape (3,)."""
    return law.sum(axis=tuple(m for m in range(law.ndim) if m != k))


def transition(law: Array, i: int, j: int) -> Array:
    """P(X_j | X_i), rows are the states at i < j."""
    both = pair(law, i, j)
    return both / np.maximum(both.sum(1, keepdims=True), 1e-300)


def looking_back(law: Array, i: int, j: int) -> Array:
    """P(X_i | X_j), i < j, with the rows still those of X_i."""
    both = pair(law, i, j)
    return both / np.maximum(both.sum(0, keepdims=True), 1e-300)
