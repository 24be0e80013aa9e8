"""Batches of charges: the normalised field of each, what a model learns of random ones, and the mean over all there are."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from scipy.stats import binom

import fpk
from fpk.laws import Array
from fpk.models.features import RadialBasis
from fpk.models.fits import fit
from fpk.models.objectives import regression
from fpk.models.points import Points
from fpk.samplers import PoissonField
from fpk.samplers.poisson import coulomb

from ._poisson import CHARGES, in_augmented_space

#: Three charges, the batches drawn from them, and the places where they are seen: N = 1 and N = 2.
FEW = {name: np.array([[-1.0, 0.2], [0.3, -0.6], [1.4, 0.5]])[:, :n] for name, n in (("N = 1", 1), ("N = 2", 2))}
SEEN = {
    name: np.array([[0.2, 0.1, 1.0], [-1.6, 0.4, 1.2], [1.0, -0.8, 1.5]])[:, [*range(n), 2]]
    for name, n in (("N = 1", 1), ("N = 2", 2))
}
SIZE = 3


def mean_direction(case: str, batch: int) -> Array:
    """E_B v_B at the places by going through all batches, shape (places, N + 1)."""
    charges, at = FEW[case], SEEN[case]
    fields = [PoissonField(charges[list(drawn)]) for drawn in product(range(len(charges)), repeat=batch)]
    return np.mean([field.normalised(at[:, :-1], at[:, -1:]) for field in fields], axis=0)


def learned(case: str, batches: int, seed: int) -> tuple[Array, Array]:
    """A linear model fitted to random batches, at the places, and the covariance of its values, both flattened."""
    charges, at, N = in_augmented_space(FEW[case]), SEEN[case], FEW[case].shape[1]
    away = at[:, None] - charges
    single = away / np.linalg.norm(away, axis=2, keepdims=True) ** (N + 1)
    members = np.array(list(product(range(len(charges)), repeat=SIZE)))
    E = single[:, members].sum(2)  # (places, batches there are, N + 1)
    v = -(N**0.5) * E / np.linalg.norm(E, axis=2, keepdims=True)
    drawn = np.random.default_rng(seed).multinomial(batches, np.full(len(members), 1 / len(members)))
    features = RadialBasis(at, width=1.0)
    rows = Points(np.repeat(at, len(members), axis=0), np.tile(drawn / batches, len(at)) / len(at))
    objective = regression(features, rows, v.reshape(-1, N + 1))
    model = fit(features, objective, schedule=fpk.VPSchedule(0.1, 20.0)).model
    values = np.swapaxes(v, 0, 1).reshape(len(members), -1)
    return model(at, 0.0).ravel(), np.cov(values, rowvar=False, fweights=drawn) / batches


@lru_cache(maxsize=16)
def bias(batch: int) -> Array:
    """E_B v_B − v for batches from two charges, by the binomial law, flattened."""
    charges, at = CHARGES[:2, :1], SEEN["N = 1"]
    pairs = [np.repeat(charges, [count, batch - count], axis=0) for count in range(batch + 1)]
    units = [PoissonField(drawn).normalised(at[:, :-1], at[:, -1:]) for drawn in pairs]
    mean = np.tensordot(binom.pmf(np.arange(batch + 1), batch, 0.5), np.array(units), axes=1)
    whole = sum(coulomb(y[None], at) for y in in_augmented_space(charges))
    return (mean + whole / np.linalg.norm(whole, axis=1, keepdims=True)).ravel()
