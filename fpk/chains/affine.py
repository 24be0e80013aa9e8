r"""Affine chains: x' = A_k x + b_k + s_k z from a Gaussian mixture stays one, Σ_m w_m N(A μ_m + b, A Σ_m Aᵀ + s² I), in any dimension."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from fpk.chains.marginals import stop
from fpk.closed_form import LawMarginals
from fpk.laws import Array, GaussianMixture
from fpk.samplers import Kernel, Sampler

#: Departure from an affine map, relative to its values, that counts as round-off.
AFFINE = 1e-11
#: Round-off of one step, relative.
ROUND_OFF = 1e-15


class AffineStep(NamedTuple):
    """A x + b + N(0, s² I)."""

    matrix: Array
    shift: Array
    std: float


def affine_steps(sampler: Sampler, initial: GaussianMixture) -> list[list[AffineStep]] | None:
    """The steps of a sampler all of whose kernels are affine; None for any other.

    Whether a mean is affine is seen at 16 positions about the law, to AFFINE of its largest value there.
    """
    if not sampler.gaussian:
        return None
    probes, table = _probes(initial), []
    for k in range(sampler.steps):
        row = [_affine(kernel, probes) for kernel in sampler.kernels(k)]
        if any(step is None for step in row):
            return None
        table.append([step for step in row if step is not None])
    return table


def affine_chain(sampler: Sampler, initial: GaussianMixture, steps: list[list[AffineStep]]) -> LawMarginals:
    """The laws of an affine chain at all its times."""
    means, covariances = initial.means, initial.covariances
    moments, noise = {float(sampler.times[0]): (means, covariances)}, np.eye(initial.dimension)
    for row, t in zip(steps, sampler.times[1:], strict=True):
        for A, b, std in row:
            means, covariances = means @ A.T + b, A @ covariances @ A.T + std**2 * noise
        moments[float(t)] = means, covariances

    source = f"law of {sampler.name}, {sampler.steps} affine steps"

    @cache
    def law_at(t: float) -> GaussianMixture:
        means, covariances = moments[stop(t, moments, source)]
        return GaussianMixture(initial.weights, means, covariances=covariances)

    return LawMarginals(law_at, tuple(sorted(moments)), ROUND_OFF * len(steps), source, scheme=sampler.scheme)


def _probes(law: GaussianMixture) -> Array:
    """Origin, unit vectors and 16 more positions, none of them special, within four standard deviations."""
    d = law.dimension
    spread = np.sqrt(np.diag(law.covariance))
    more = law.mean + 4 * spread * np.random.default_rng(d).uniform(-1, 1, (16, d))
    return np.concatenate([np.zeros((1, d)), np.eye(d), more])


def _affine(kernel: Kernel, probes: Array) -> AffineStep | None:
    d = probes.shape[1]
    at = kernel.mean(probes)
    shift = at[0]
    matrix = (at[1 : d + 1] - shift).T
    gap = np.abs(probes @ matrix.T + shift - at).max()
    return AffineStep(matrix, shift, kernel.std) if gap <= AFFINE * (1e-300 + np.abs(at).max()) else None
