r"""One short step back: moments of X_{t−h} given X_t = x by Bayes' rule, without any formula for reverse processes.

    p(y | x) ∝ p(y) N(x; y + h f(y), h GGᵀ(y)):   E[y − x | x]/h → reverse drift,   E[(y − x)(y − x)ᵀ | x]/h → GGᵀ(x)   as h → 0.

By Gauss–Hermite quadrature around x, or, for mixtures under linear SDEs, exactly from the joint law of both times.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array, GaussianMixture, Law


@lru_cache(maxsize=8)
def _rule(dimension: int, count: int) -> tuple[Array, Array]:
    """Nodes of the standard normal law in the space, shape (n, d), and logarithms of their weights."""
    z, w = np.polynomial.hermite_e.hermegauss(count)
    nodes = np.stack([axis.ravel() for axis in np.meshgrid(*[z] * dimension, indexing="ij")], axis=1)
    logs = sum(axis.ravel() for axis in np.meshgrid(*[np.log(w)] * dimension, indexing="ij"))
    return nodes, np.asarray(logs)


def _spread(problem: fpk.Problem, x: Array) -> Array:
    """GGᵀ at x of shape (n, d), at t = 0; shape (n, d, d)."""
    D = problem.diffusivity_matrix(x, 0.0)
    return 2 * np.broadcast_to(D, (len(x), *D.shape[1:]))


def by_quadrature(problem: fpk.Problem, law: Law, x: Array, h: float, *, count: int = 16) -> tuple[Array, Array]:
    """First and second moments per unit of time of the step back from x, shapes (n, d) and (n, d, d); coefficients of t = 0."""
    (n, d), (z, logs) = x.shape, _rule(x.shape[1], count)
    ahead = np.einsum("nij,qj->nqi", np.linalg.cholesky(_spread(problem, x)), z)
    y = (x[:, None] + np.sqrt(h) * ahead).reshape(-1, d)
    left = np.repeat(x, len(z), axis=0) - y - h * np.broadcast_to(problem.drift(y, 0.0), y.shape)
    M = _spread(problem, y)
    exponent = np.einsum("ni,ni->n", left, np.linalg.solve(M, left[:, :, None])[:, :, 0]) / h
    log = law.log_density(y) - 0.5 * exponent - 0.5 * np.log(np.linalg.det(M))
    log = log.reshape(n, -1) + logs + 0.5 * (z**2).sum(1)
    weight = np.exp(log - log.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    moved = y.reshape(n, -1, d) - x[:, None]
    return np.einsum("nq,nqi->ni", weight, moved) / h, np.einsum("nq,nqi,nqj->nij", weight, moved, moved) / h


def conditional(joint: GaussianMixture, x: Array) -> tuple[Array, Array]:
    """Mean and second moment about x of the first half of the coordinates given that the second half is x, for x of shape (d,)."""
    d = len(x)
    mean, total, weights = [], [], []
    for w, m, V in zip(joint.weights, joint.means, joint.covariances, strict=True):
        gain = V[:d, d:] @ np.linalg.inv(V[d:, d:])
        mean.append(m[:d] + gain @ (x - m[d:]) - x)
        total.append(V[:d, :d] - gain @ V[d:, :d] + np.outer(mean[-1], mean[-1]))
        weights.append(np.log(w) + fpk.Gaussian(m[d:], covariance=V[d:, d:]).log_density(x[None])[0])
    share = np.exp(np.array(weights) - max(weights))
    share /= share.sum()
    return np.einsum("m,mi->i", share, mean), np.einsum("m,mij->ij", share, total)


def flat(drift: Array, spread: Array) -> Array:
    """Both moments in one row."""
    return np.concatenate([np.ravel(drift), np.ravel(spread)])


def names(points: int, d: int) -> Sequence[str]:
    """Names of the entries of :func:`flat`, for drifts (points, d) and spreads (points, d, d)."""
    drifts = [f"drift {i} at point {k}" for k in range(points) for i in range(d)]
    return [*drifts, *(f"noise {i}{j} at point {k}" for k in range(points) for i in range(d) for j in range(d))]
