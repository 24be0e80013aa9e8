"""Gradient ascent on log p, and the maxima and curvatures it is held against, which come from the density without its score."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from fpk.laws import Array, Law


def maximum(law: Law, start: Array) -> Array:
    """The maximum of the density next to ``start``, without derivatives."""
    options = {"xatol": 1e-10, "fatol": 1e-15}
    return minimize(lambda x: -law.log_density(x[None])[0], start, method="Nelder-Mead", options=options).x


def curvatures(law: Law, x: Array, h: float = 2e-3) -> Array:
    """The eigenvalues of −∇²log p at x, increasing, by differences of log p."""
    shifts = h * np.eye(len(x))
    around = lambda *signed: sum(s * law.log_density((x + d)[None])[0] for s, d in signed)  # noqa: E731
    bent = [[around((1, a + b), (-1, a - b), (-1, b - a), (1, -a - b)) / (4 * h**2) for a in shifts] for b in shifts]
    return np.linalg.eigvalsh(-np.array(bent))


def climbed(law: Law, start: Array, step: float, count: int) -> tuple[Array, float]:
    """Where an ascent ends, and by how much its last increments above 1e-7 shrank."""
    x, before, shrinking = start[None], 1.0, 1.0
    for _ in range(count):
        move = step * law.score(x)
        length = float(np.linalg.norm(move))
        shrinking, before = length / before if length > 1e-7 else shrinking, length
        x = x + move
    return x[0], shrinking
