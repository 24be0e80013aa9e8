r"""Charges that the studies of Poisson flow share, closed surfaces around them, and what is known of their lines without following any.

In one data dimension the lines are those on which the mean angle under which the data are seen is constant,

    ψ(x, z) = E arg(x − Y + i z),    ψ(x, 0⁺) = π P(Y > x),

and in any dimension the flux through a part of the plane z is half the probability that X_0 + z C is there, C a Cauchy variable: half the
data's flux goes up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.special import eval_legendre

import fpk
from fpk.laws import Array, Law
from fpk.samplers.flows import METHODS
from fpk.samplers.poisson import coulomb

from .._systems import DATA

#: A law on the line, one in the plane, and one whose field is turned about an axis.
LINE = DATA
PLANE = fpk.GaussianMixture(
    [0.4, 0.6], [[0.9, -0.4], [-1.0, 0.5]], covariances=[[[0.3, 0.1], [0.1, 0.2]], [[0.4, -0.1], [-0.1, 0.5]]]
)
LAWS = {"N = 1": LINE, "N = 2": PLANE}
ROUND = fpk.Gaussian([0.0, 0.0], 0.8)
#: Four charges; those of N dimensions are the first N columns.
CHARGES = np.array([[0.0, 0.0, 0.1], [0.8, -0.3, 0.2], [-0.5, 0.6, -0.4], [3.6, 0.5, 0.0]])


def in_augmented_space(charges: Array) -> Array:
    """Charges on the plane z = 0 of one dimension more."""
    return np.pad(charges, ((0, 0), (0, 1)))


def powered(charges: Array, x: Array, extra: float) -> Array:
    """Coulomb's field with |x − y|^extra as another factor."""
    parts = [coulomb(y[None], x) * np.linalg.norm(x - y, axis=1, keepdims=True) ** extra for y in charges]
    return np.mean(parts, axis=0)


# -- surfaces ----------------------------------------------------------------------------------------------------------------


def sphere(dimension: int, nodes: int) -> tuple[Array, Array]:
    """Points of the unit sphere of R^dimension, shape (n, d), and weights that sum to its area; d = 1 to 4."""
    if dimension == 1:
        return np.array([[-1.0], [1.0]]), np.ones(2)
    if dimension == 2:
        angle = np.pi * (np.arange(2 * nodes) + 0.5) / nodes
        return np.stack([np.cos(angle), np.sin(angle)], axis=1), np.full(2 * nodes, np.pi / nodes)
    if dimension == 3:
        heights, masses = np.polynomial.legendre.leggauss(nodes)
    else:  # dσ = √(1 − h²) dh dσ' on the sphere of R⁴
        angle = np.pi * np.arange(1, nodes + 1) / (nodes + 1)
        heights, masses = np.cos(angle), np.pi / (nodes + 1) * np.sin(angle) ** 2
    ring, parts = sphere(dimension - 1, nodes)
    radii = np.sqrt(1 - heights**2)
    points = [np.hstack([r * ring, np.full((len(ring), 1), h)]) for r, h in zip(radii, heights, strict=True)]
    return np.concatenate(points), np.outer(masses, parts).ravel()


def upper_half(dimension: int, nodes: int) -> tuple[Array, Array]:
    """Points of the unit hemisphere z > 0 over R^dimension and weights that sum to 1 (its uniform law); N = 1 or 2."""
    u, w = np.polynomial.legendre.leggauss(nodes)
    if dimension == 1:
        angle = np.pi * (1 + u) / 2
        return np.stack([np.cos(angle), np.sin(angle)], axis=1), w / 2
    z = (1 + u) / 2
    ring = sphere(2, nodes)[0]
    points = [np.hstack([np.sqrt(1 - h**2) * ring, np.full((len(ring), 1), h)]) for h in z]
    return np.concatenate(points), np.repeat(w / 2, len(ring)) / len(ring)


# -- what is known of the lines ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def places(law: Law, spacing: float) -> tuple[Array, Array]:
    """A trapezoidal rule for a law on the line."""
    ends = law.breakpoints()
    y = np.arange(ends[0], ends[-1] + spacing, spacing)
    mass = np.exp(law.log_density(y[:, None]))
    return y, mass / mass.sum()


def seen(law: Law, x: Array, z: Array, spacing: float = 0.02) -> Array:
    """ψ at points (x, z), z above five spacings, shape (n,)."""
    y, mass = places(law, spacing)
    return np.arctan2(z[:, None], x[:, None] - y) @ mass


def below(law: Law, x: Array, z: float, spacing: float = 0.02) -> Array:
    """P(X_0 + z C ≤ x), shape (n,); z = 0 or above two spacings."""
    return law.cdf(x) if z == 0 else 1 - seen(law, x, np.full_like(x, z), spacing) / np.pi


def within(x: Array, z: Array, std: float = 0.8) -> Array:
    """P(|X_0 + z C| < |x|) for :data:`ROUND`: a mixture over the variances of the kernel, shape (n,)."""
    log = np.arange(-12.0, 45.0, 0.1)[:, None]
    v = np.exp(log)
    weight = z / np.sqrt(2 * np.pi * v) * np.exp(-0.5 * z**2 / v) * 0.1
    return (weight * -np.expm1(-0.5 * (x**2).sum(1) / (std**2 + v))).sum(0)


def legendre(law: Law, x: Array, z: float, degree: int = 4) -> Array:
    """√(2k + 1) P_k of 2G − 1 at positions x of shape (n,), G the distribution function of X_0 + z C, shape (degree, n): mean 0 under that law."""
    u = 2 * below(law, x, z) - 1
    return np.stack([np.sqrt(2 * k + 1) * eval_legendre(k, u) for k in range(1, degree + 1)])


# -- flows -------------------------------------------------------------------------------------------------------------------


def walked(vector: Callable[[Array], Array], x: Array, duration: float, steps: int) -> Array:
    """x(duration) of dx/dt = vector(x) by the classical Runge–Kutta method, x of shape (n, d)."""
    for _ in range(steps):
        x = METHODS["rk4"].advanced(lambda y, t: vector(y), x, (0.0, duration / steps))
    return x
