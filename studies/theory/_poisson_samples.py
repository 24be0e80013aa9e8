"""Samples as charges: the field of each block of samples at a few places, in units of the field of their law."""

from __future__ import annotations

import numpy as np

import fpk
from fpk.laws import Array
from fpk.samplers import PoissonField
from fpk.samplers.poisson import coulomb
from fpk.study import Evidence, Size

from ._poisson import LAWS, in_augmented_space

PLACES = {
    "N = 1": np.array([[0.5, 2.0], [-1.5, 2.5], [3.0, 3.0]]),
    "N = 2": np.array([[0.6, -0.3, 2.0], [-1.8, 0.5, 2.5], [0.0, 2.5, 3.0]]),
}
BLOCK = 200


def whole(case: str) -> Array:
    """The field of the law over its length, shape (places, N + 1)."""
    E = _field(case)
    return E / _lengths(E)


def _field(case: str) -> Array:
    at = PLACES[case]
    return PoissonField(LAWS[case]).vector(at[:, :-1], at[:, -1:])


def _lengths(E: Array) -> Array:
    return np.linalg.norm(E, axis=-1, keepdims=True)


def sampled(case: str, size: Size, seed: int) -> Array:
    """The empirical field over the length of the law's, for each block of samples, shape (blocks, places, N + 1)."""
    at, blocks = PLACES[case], size.particles(400)
    charges = LAWS[case].sample(blocks * BLOCK, np.random.default_rng(seed))
    fields = [coulomb(in_augmented_space(part), at) for part in np.split(charges, blocks)]
    return np.array(fields) / _lengths(_field(case))


def directed(blocks: Array) -> Array:
    """Pseudo-values of the direction of the mean over all blocks: what leaving one out changes."""
    count = len(blocks)
    mean, without = blocks.mean(0), (blocks.sum(0) - blocks) / (count - 1)
    return count * mean / _lengths(mean) - (count - 1) * without / _lengths(without)


def against_whole(case: str, blocks: Array) -> Evidence:
    """The mean of independent blocks against the law's field."""
    flat = blocks.reshape(len(blocks), -1)
    first = fpk.Estimate(
        flat.mean(0), np.full(flat.shape[1], 1e-9), covariance=np.cov(flat, rowvar=False) / len(flat), samples=len(flat),
        averaged=True, source=f"{len(blocks)} blocks of {BLOCK} samples",
    )  # fmt: skip
    claimed = fpk.Estimate(whole(case).ravel(), np.full(flat.shape[1], 1e-9), source="field of the law")
    names = tuple(f"E{i}/|E| at {x.tolist()}" for x in PLACES[case] for i in range(len(x)))
    return Evidence(first, claimed, names)
