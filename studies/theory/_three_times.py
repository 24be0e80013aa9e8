r"""Expectations over three times of the noised data law, and what they say about the noise of its reversal."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array
from fpk.schedules import Schedule

from .._systems import DATA
from ._posteriors import hermite

CONSTANT = fpk.VPSchedule(1.2)
PAST, PRESENT, FUTURE = 0.3, 0.5, 0.9


def _functions(x: Array, later: Array) -> Array:
    """1, x, u, sin x and x cos u of a position and a later one."""
    return np.stack([np.ones_like(x), x, later, np.sin(x), x * np.cos(later)])


def parts(at: float, nodes: int) -> Array:
    """Expectations of X_{t−h} − X_t, ∫f dr and ∫g²∇log p dr times the functions of X at the time ``at`` and X_u, shape (3, 5)."""
    exact, rate = fpk.exact(fpk.noising(CONSTANT, DATA), times=[PRESENT]), CONSTANT.beta_min

    def correlated(r: float, value: Callable[[Array, float], Array]) -> Array:
        def product(a: Array, b: Array, c: Array) -> Array:
            own, seen = (a, b) if r < at else (b, a)
            return value(own, r) * _functions(seen, c)

        return expected(CONSTANT, (min(r, at), max(r, at), FUTURE), product, nodes)

    def integrated(value: Callable[[Array, float], Array]) -> Array:
        u, w = np.polynomial.legendre.leggauss(nodes // 4)
        half = 0.5 * (PRESENT - PAST)
        parts = [k * correlated(PAST + half * (1 + v), value) for v, k in zip(u, w, strict=True)]
        return half * np.sum(parts, axis=0)

    moved = correlated(PAST, lambda x, r: x) - correlated(PRESENT, lambda x, r: x)
    drift = integrated(lambda x, r: -0.5 * rate * x)
    return np.stack([moved, drift, integrated(lambda x, r: rate * exact.score(x[:, None], r)[:, 0])])


@lru_cache(maxsize=4)
def levels(at: float) -> tuple[Array, Array]:
    """:func:`parts` on two sets of nodes."""
    return parts(at, 24), parts(at, 16)


def expected(
    schedule: Schedule, times: tuple[float, float, float], function: Callable[..., Array], nodes: int
) -> Array:
    """E function(X_a, X_b, X_c) for a < b < c, the data law noised by the schedule; ``function`` returns (K, n) for positions (n,)."""
    z, w = hermite(nodes)
    noise = np.stack([axis.ravel() for axis in np.meshgrid(z, z, z, indexing="ij")])
    mass = np.einsum("i,j,k->ijk", w, w, w).ravel()
    alphas, sigmas = (np.array([of(t) for t in times]) for of in (schedule.alpha, schedule.sigma))
    total = np.zeros(())
    for weight, mean, spread in zip(DATA.weights, DATA.means[:, 0], DATA.covariances[:, 0, 0], strict=True):
        x = [alphas[0] * mean + (alphas[0] ** 2 * spread + sigmas[0] ** 2) ** 0.5 * noise[0]]
        for k in (1, 2):
            kept = alphas[k] / alphas[k - 1]
            x.append(kept * x[-1] + (sigmas[k] ** 2 - kept**2 * sigmas[k - 1] ** 2) ** 0.5 * noise[k])
        total = total + weight * (function(*x) @ mass)
    return total
