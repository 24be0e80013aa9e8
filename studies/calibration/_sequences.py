r"""Sequences of errors whose order is known, to be drawn from at random.

e(h) = C h^p (1 + a h + b h²) at h = 1, r^−1, r^−2, ..., with a, b ~ N(0, 1.5²): a wide class, whose coarse levels are often not asymptotic.
"""

from __future__ import annotations

import numpy as np

from fpk.laws import Array

#: Standard deviation of a and b.
CORRECTION = 1.5


def sequences(rng: np.random.Generator, levels: int, count: int, *, ratio: float = 2.0) -> tuple[Array, Array, Array]:
    """Steps (levels,), orders ½, 1, ..., 4 (count,) and errors (count, levels); C of either sign over 8 decades."""
    h = ratio ** -np.arange(float(levels))
    p = rng.choice(np.arange(1, 9) / 2, count)
    a, b = CORRECTION * rng.standard_normal((2, count, 1))
    C = rng.choice([-1, 1], (count, 1)) * 10 ** rng.uniform(-4, 4, (count, 1))
    return h, p, C * h ** p[:, None] * (1 + a * h + b * h**2)


def one_signed(rng: np.random.Generator, levels: int, count: int) -> tuple[Array, Array, Array]:
    """:func:`sequences` whose errors keep their sign: certain errors that do not are refused, and enclose nothing."""
    h, p, e = sequences(rng, levels, 2 * count + 100)  # more than three quarters keep it
    kept = np.flatnonzero((np.sign(e) == np.sign(e[:, :1])).all(1))[:count]
    return h, p[kept], e[kept]


def noisy(
    rng: np.random.Generator, levels: int, count: int, *, signal: tuple[float, float] = (1, 3)
) -> tuple[Array, Array, Array, Array]:
    """Steps, orders ½ to 2, errors and standard errors; the finest true error is 10^signal of them."""
    h, _, _ = sequences(rng, levels, count)
    p, (a, b) = rng.choice([0.5, 1, 1.5, 2], count), CORRECTION * rng.standard_normal((2, count, 1))
    noise = h[-1] ** p[:, None] / 10 ** rng.uniform(*signal, (count, 1)) * np.ones(levels)
    return h, p, h ** p[:, None] * (1 + a * h + b * h**2) + noise * rng.standard_normal(noise.shape), noise
