"""One ensemble from pieces of consecutive particles: the positions are to have the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np

import fpk
from fpk.laws import Array


def cuts(particles: int, size: int) -> list[tuple[int, int]]:
    """The first particle of each piece and how many it has: ``size`` (2 or more), the last one what is left and never 1 alone."""
    firsts = list(range(0, particles - 1, size))
    return [(a, b - a) for a, b in zip(firsts, [*firsts[1:], particles], strict=True)]


def in_pieces(problem: fpk.Problem, *, particles: int, size: int, **options: Any) -> Array:
    """Positions (levels, times, particles, d) of an ensemble simulated piece by piece; ``options`` go to :func:`fpk.simulate`."""
    return np.concatenate(
        [fpk.simulate(problem, first=a, particles=n, **options).positions for a, n in cuts(particles, size)], axis=2
    )
