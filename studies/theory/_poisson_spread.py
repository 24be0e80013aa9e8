"""Charges spread over heights, so that their density is smooth: field, potential, and the differences of both at a few places."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array
from fpk.samplers import PoissonField

from ._poisson import LAWS

#: Standard deviation of the charges in height, and places (x, z), or (x₁, x₂, z).
DEPTH = 0.4
SPREAD_AT = {
    "N = 1": np.array([[0.9, 0.1], [-0.8, -0.2], [1.5, 0.4], [0.2, 0.3]]),
    "N = 2": np.array([[0.9, -0.2, 0.1], [-0.7, 0.4, 0.3], [0.1, 0.3, -0.2]]),
}


def spread_charges(case: str) -> fpk.GaussianMixture:
    """The law with heights spread by :data:`DEPTH`, on R^{N+1}."""
    law = LAWS[case]
    noise = np.zeros((law.dimension + 1,) * 2)
    noise[-1, -1] = DEPTH**2
    return law.pushed(np.eye(law.dimension + 1, law.dimension), np.zeros(law.dimension + 1), noise)


def _spread_field(case: str, at: Array, nodes: int) -> Array:
    """E at places of shape (n, N + 1): the field of the plane, convolved in height; across it is even in z, up it is odd."""
    u, w = np.polynomial.legendre.leggauss(nodes)
    top = 10 * DEPTH
    heights, masses = top * (1 + u) / 2, w * top / 2
    blur = fpk.Gaussian(0.0, DEPTH)
    near, mirrored = (
        blur.density((at[:, -1:] + side * heights).reshape(-1, 1)).reshape(len(at), -1) for side in (-1, 1)
    )
    x, z = np.repeat(at[:, :-1], nodes, axis=0), np.tile(heights, len(at))[:, None]
    E = PoissonField(LAWS[case]).vector(x, z).reshape(len(at), nodes, -1)
    across = np.einsum("nq,nqd->nd", (near + mirrored) * masses, E[:, :, :-1])
    return np.hstack([across, ((near - mirrored) * masses * E[:, :, -1]).sum(1, keepdims=True)])


def _potential(case: str, at: Array, spacing: float) -> Array:
    """½ ∫₀^∞ (ρ_v(x) − ρ_v(0)) dv, which exists in the plane too."""
    charges, origin = spread_charges(case), np.zeros((1, at.shape[1]))
    eye, total = np.eye(at.shape[1]), np.zeros(len(at))
    for v in np.exp(np.arange(-20.0, 24.0, spacing)):
        noised = charges.pushed(eye, origin[0], v * eye)
        total += 0.5 * spacing * v * (noised.density(at) - noised.density(origin))
    return total


def _stencil(at: Array, step: float) -> Array:
    """Places up to three steps to both sides along each axis, shape (d, 7, n, d)."""
    shifts = step * np.arange(-3, 4)
    return at + shifts[:, None, None] * np.eye(at.shape[1])[:, None, None, :]


@lru_cache(maxsize=8)
def at_stencil(case: str, level: int) -> tuple[Array, Array, Array, Array]:
    """E, ∂_i E_j, −∇φ and −∇²φ at the places, by differences of sixth order."""
    at, step = SPREAD_AT[case], 0.07 / level
    places = _stencil(at, step)
    E = _spread_field(case, places.reshape(-1, at.shape[1]), 10 + 10 * level).reshape(places.shape)
    phi = _potential(case, places.reshape(-1, at.shape[1]), 0.6 / level).reshape(places.shape[:-1])
    first = np.array([-1, 9, -45, 0, 45, -9, 1]) / (60 * step)
    second = np.array([2, -27, 270, -490, 270, -27, 2]) / (180 * step**2)
    slopes = np.einsum("s,isnj->nij", first, E)
    return E[0, 3], slopes, -np.einsum("s,isn->ni", first, phi), -np.einsum("s,isn->n", second, phi)
