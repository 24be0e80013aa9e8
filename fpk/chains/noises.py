r"""Steps whose noise does not simply add: X' = F(X, Z) with F smooth, and proposals that may be refused.

**Smooth F.** The masses of a tensor quadrature over (x, z) sit at the places F(x_j, z_i). They are moved to an even grid by the weights of
Lagrange interpolation, and seen through a window that is the identity up to order 2R:

    p'(y) ≈ Σ_g μ_g W(y − g),    W = N(0, δ²) · Σ_{r<R} (−1)^r He_{2r}(·/δ)/(2^r r!),    Ŵ(ω) = e^{−ρ} Σ_{r<R} ρ^r/r!,  ρ = ½δ²ω²,

so that the error is of order δ^{2R} of the smoothness of p', and no inverse of F is needed: it may fold. δ is halved until the error is small.

**Refusals.** With the target π and the proposal's density q, a Metropolis–Hastings step has

    p'(y) = ∫ p(x)/π(x) min(π(x) q(x, y), π(y) q(y, x)) dx + r(y) p(y),    r(y) = 1 − ∫ min(q(y, x), π(x) q(x, y)/π(y)) dx.

References
----------
Wand & Schucany (1990), equation 2.1 (the window); Greengard & Lee (2004) (masses on an even grid); Metropolis et al. (1953), Hastings (1970).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.polynomial import hermite_e

from fpk.chains.line import REACH, SPAN, Map, Sources, imaged, step_error
from fpk.chains.pieces import NEGLIGIBLE, Index, PiecewiseLaw, resolved
from fpk.laws import Array

#: R, the terms of the window; where it is nothing, in units of δ; points of the even grid per δ.
TERMS, WINDOW, PER_WIDTH = 8, 10.5, 8.0
#: Points of the Lagrange interpolation that moves masses to the grid.
LAGRANGE = 12
#: Masses moved at once.
CHUNK = 8192
_OFFSETS = np.arange(LAGRANGE) - LAGRANGE // 2 + 1
#: Row k: coefficients, in rising powers of t − ½, of the polynomial that is 1 at offset k and 0 at the others (a Vandermonde matrix loses digits).
_WEIGHTS = np.stack(
    [np.poly(np.delete(_OFFSETS, k) - 0.5)[::-1] / np.prod(o - np.delete(_OFFSETS, k)) for k, o in enumerate(_OFFSETS)]
)
#: W/N(0, δ²) as a series in He_k.
_SERIES = np.zeros(2 * TERMS - 1)
_SERIES[::2] = [(-1) ** r / (2**r * factorial(r)) for r in range(TERMS)]
#: First δ as a share of the noise, when to stop halving it, and how often at most.
SHARE, ENOUGH, HALVINGS = 0.25, 1e-8, 1
#: Widest panels of a law that is proposed to, in standard deviations of the proposal.
SPREAD = 1.0

Noise = Callable[[Array, Array], Array]


def blurred(law: PiecewiseLaw, step: Noise) -> tuple[PiecewiseLaw, float]:
    """The law of step(X, Z), Z a standard normal number, and its error in the L¹ norm.

    Parameters
    ----------
    law : PiecewiseLaw
    step : callable
        F, (n,) and (n,) ↦ (n,), smooth in both.

    Accuracy
    --------
    About 1e-9 where F is invertible in z; where it folds, as far as HALVINGS of the window go. The error tells.
    """
    size = noise_size(law, step)
    widths = SHARE * size * 0.5 ** np.arange(HALVINGS + 2)
    near = windowed(gathered(law, step, size, widths[0]), widths[0])
    for width, narrower in pairwise(widths):
        nearer = windowed(gathered(law, step, size, narrower), narrower)
        out = near.law(1e-4 * ENOUGH, narrowest=0.5 * width)
        error = step_error(law, out, nearer)
        if error < ENOUGH:
            break
        near = nearer
    return out.trimmed(), error


class EvenDensity(NamedTuple):
    """A density on an even grid, interpolated between its points."""

    start: float
    spacing: float
    table: Array

    def __call__(self, y: Array) -> Array:
        """The interpolant at y of any shape; 0 outside."""
        cell, weights = _lagrange((y.ravel() - self.start) / self.spacing)
        index = np.clip(cell, LAGRANGE, len(self.table) - 1 - LAGRANGE)
        parts = (self.table[index + k] * row for k, row in zip(_OFFSETS, weights, strict=True))
        return np.where(index == cell, sum(parts), 0.0).reshape(y.shape)

    def law(self, tolerance: float, *, narrowest: float) -> PiecewiseLaw:
        """The same by pieces."""
        upper = self.start + self.spacing * (len(self.table) - 1)
        return PiecewiseLaw(
            *resolved(self, np.linspace(self.start, upper, 17), tolerance=tolerance, narrowest=narrowest)
        )


def windowed(masses: Sources, width: float) -> EvenDensity:
    """Σ_g μ_g W(y − g) for masses on an even grid of ``width``/PER_WIDTH."""
    reach = int(WINDOW * PER_WIDTH) + 2 * LAGRANGE
    z = np.arange(-reach, reach + 1) / PER_WIDTH
    window = np.exp(-0.5 * z * z) * hermite_e.hermeval(z, _SERIES) / (width * np.sqrt(2 * np.pi))
    spacing = width / PER_WIDTH
    return EvenDensity(masses.places[0] - reach * spacing, spacing, np.convolve(masses.masses, window))


def noise_size(law: PiecewiseLaw, step: Noise) -> float:
    """Typical standard deviation of F(x, Z)."""
    z, w = hermite_e.hermegauss(12)
    x, held = law.nodes.ravel(), law.masses.ravel()
    at, w = step(np.repeat(x, len(z)), np.tile(z, len(x))).reshape(len(x), len(z)), w / w.sum()
    return float(held @ np.sqrt(((at - (at @ w)[:, None]) ** 2) @ w) / held.sum())


def gathered(law: PiecewiseLaw, step: Noise, size: float, width: float) -> Sources:
    """The law of step(X, Z) as masses on an even grid of ``width``/PER_WIDTH, for smooth functions of that width; ``size`` is the noise's."""
    fine, _ = imaged(law, lambda x: step(x, np.zeros_like(x)), 0.5 * SPAN * size)
    x, held = fine.nodes.ravel(), fine.masses.ravel()
    z = np.linspace(-REACH, REACH, int(4 * REACH * size / width) + 1)
    normal = np.exp(-0.5 * z * z)
    at = step(np.repeat(x, len(z)), np.tile(z, len(x)))
    return moved(at, np.outer(held, normal / normal.sum()).ravel(), width / PER_WIDTH)


def moved(places: Array, masses: Array, spacing: float) -> Sources:
    """Masses moved to multiples of ``spacing``, keeping their moments up to order LAGRANGE − 1 locally."""
    heavy = np.abs(masses) > NEGLIGIBLE
    places, masses = places[heavy] / spacing, masses[heavy]
    lowest = int(np.floor(places.min())) + int(_OFFSETS[0])
    count = int(np.floor(places.max())) + int(_OFFSETS[-1]) - lowest + 1
    table = np.zeros(count)
    for at in range(0, len(places), CHUNK):
        cell, weights = _lagrange(places[at : at + CHUNK])
        held = masses[at : at + CHUNK]
        for k, row in zip(_OFFSETS, weights, strict=True):
            table += np.bincount(cell - lowest + k, held * row, count)
    return Sources((lowest + np.arange(count)) * spacing, table)


def _lagrange(t: Array) -> tuple[Index, Array]:
    """Cells of places in units of the grid, and the weights (LAGRANGE, n) of the points around."""
    cell = np.floor(t)
    powers = np.ones((LAGRANGE, len(t)))
    powers[1:] = t - cell - 0.5
    return cell.astype(np.intp), _WEIGHTS @ np.multiply.accumulate(powers, axis=0)


class Proposal(NamedTuple):
    """A Gaussian proposal mean(x) + std z, and the logarithm of the target's density up to a constant: all of one coordinate (n,) ↦ (n,)."""

    mean: Map
    std: float
    log_target: Map

    def exchange(self, x: Array, y: Array) -> Array:
        """min(q(x, y), π(y) q(y, x)/π(x)) for x (r, 1) or (1, c) against y."""
        forth = -0.5 * ((y - self._mean(x)) / self.std) ** 2
        back = -0.5 * ((x - self._mean(y)) / self.std) ** 2
        log = np.minimum(forth, self._log(y) - self._log(x) + back)
        return np.exp(log) / (self.std * np.sqrt(2 * np.pi))

    def _mean(self, x: Array) -> Array:
        return self.mean(x.ravel()).reshape(x.shape)

    def _log(self, x: Array) -> Array:
        return self.log_target(x.ravel()).reshape(x.shape)


def metropolised(law: PiecewiseLaw, proposal: Proposal) -> tuple[PiecewiseLaw, float]:
    """The law after a proposal that is accepted or refused, and its error in the L¹ norm.

    Accuracy
    --------
    About 1e-7: the acceptance has kinks. Mass is conserved to round-off, as both parts use the same nodes.
    """
    wide = law.within(SPREAD * proposal.std, beyond=REACH * proposal.std)

    def density(part: PiecewiseLaw, y: Array) -> Array:
        x, flat, weights = part.nodes.ravel(), y.ravel(), part.weights.ravel()
        accepted = np.concatenate(
            [proposal.exchange(x[None], some[:, None]) @ (weights * part.values.ravel()) for some in _chunks(flat)]
        )
        left = np.concatenate([proposal.exchange(some[:, None], x[None]) @ weights for some in _chunks(flat)])
        return (accepted + (1 - left) * part.density_at(flat)).reshape(y.shape)

    out = PiecewiseLaw(wide.edges, density(wide, wide.nodes))
    halved = wide.halved()
    return out.trimmed(), step_error(law, out, lambda y: density(halved, y))


def _chunks(y: Array) -> list[Array]:
    return np.array_split(y, 1 + len(y) // 512)
