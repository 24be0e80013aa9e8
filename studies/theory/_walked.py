r"""Paths of particles with a few long steps: E e^{i⟨k, X⟩} of the positions at four times, and what the product of the transitions gives for it.

Two Euler steps of dX = −X dt + g dW take x to N(ax, v), a = (1 − h)², v = g²h(1 + (1 − h)²). The integral of the product is done from the last
transition on: ∫ N(x′; ax, v) e^{iκx′} dx′ = e^{iκax − ½κ²v}, which leaves the frequency κ_j = k_j + a κ_{j+1} to the state before.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import fpk
from fpk.laws import Array

from .._systems import DATA

NOISE, TIMES, STEP = 1.1, (0.0, 0.3, 0.6, 0.9), 0.15
KEPT = (1 - STEP) ** 2
VARIANCE = NOISE**2 * STEP * (1 + (1 - STEP) ** 2)
#: Frequencies at the four times.
WAVES = np.array([[-KEPT, 1.0, -KEPT, 1.0], [0.5, -1.0, 1.5, -1.0], [-1.0, 0.0, 0.0, 1.5], [0.0, -1.5, 0.0, 1.5]])
NAMES = tuple(f"{part} e^(i⟨k, X⟩), k = {k.round(2).tolist()}" for part in ("real", "imaginary") for k in WAVES)

#: Exponent that the noise of all transitions leaves, from their frequencies κ, shape (waves, 3).
Damping = Callable[[Array], Array]


def start(k: Array) -> Array:
    """E e^{ikX_0}."""
    means, variances = DATA.means[:, 0], DATA.covariances[:, 0, 0]
    return np.exp(1j * np.outer(k, means) - 0.5 * np.outer(k**2, variances)) @ DATA.weights


def product(damping: Damping) -> Array:
    """The integral of the product of the transitions, real and imaginary parts."""
    left = np.zeros((len(WAVES), 4))
    for j in (3, 2, 1, 0):
        left[:, j] = WAVES[:, j] + (KEPT * left[:, j + 1] if j < 3 else 0.0)
    found = start(left[:, 0]) * np.exp(-damping(left[:, 1:]))
    return np.concatenate([np.real(found), np.imag(found)])


def independent() -> Array:
    """The same of the product of the marginals."""
    found = np.ones(len(WAVES), complex)
    for j, k in enumerate(WAVES.T):
        kept, spread = KEPT**j, VARIANCE * np.sum(KEPT ** (2 * np.arange(j)))
        found *= start(kept * k) * np.exp(-0.5 * k**2 * spread)
    return np.concatenate([np.real(found), np.imag(found)])


def walked(particles: int, seed: int) -> fpk.Estimate:
    """The means over particles, six steps of the solver long."""
    problem = fpk.Problem(fpk.Linear(-1.0), NOISE, initial=DATA)
    run = fpk.simulate(problem, particles=particles, steps=3, times=list(TIMES), seed=seed)
    phase = WAVES @ np.stack([run.samples(t)[:, 0] for t in TIMES])
    values = np.concatenate([np.cos(phase), np.sin(phase)])
    means, covariance = values.mean(1), np.cov(values) / particles
    return fpk.Estimate(means, np.full(len(means), 1e-13), covariance, particles, source=run.source)
