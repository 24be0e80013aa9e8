r"""One step of a chain on the line: the density of X' from the density of X.

A Gaussian kernel gives

    p'(y) = ∫ p(x) N(y; m(x), s²) dx ≈ Σ_j w_j N(y; m(x_j), s²),

with nodes x_j so close that their images m(x_j) resolve the width s; m need be neither monotone nor invertible. The panels of p' are found by
asking this sum (:func:`fpk.chains.pieces.resolved`). Maps (s = 0) are kept as maps of the law before them until a kernel with noise, or
somebody who asks for an expectation, comes along.

A Markov kernel contracts the L¹ norm, so the errors of the steps add up and never grow: |p̃_N − p_N|₁ ≤ Σ_k |p̃_{k+1} − K_k p̃_k|₁. Each of the
terms is measured, between the nodes and with twice the sources, and summed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import legvander
from numpy.typing import NDArray

from fpk.chains.pieces import CUT, NEGLIGIBLE, NODES, RESOLVED, PiecewiseLaw, refined, remainder, resolved, series
from fpk.laws import Array

#: Standard deviations that the images of one panel of sources may span, and beyond which a kernel is nothing.
SPAN, REACH = 3.0, 8.3
#: Places of a panel at which a step is asked again, between the nodes.
_CHECKS = np.array([-0.97, -0.31, 0.38, 0.93])
_AT_CHECKS = legvander(_CHECKS, NODES - 1).T

Map = Callable[[Array], Array]


@dataclass(frozen=True)
class Sources:
    """Masses at increasing places: what the density after a step is a sum over."""

    places: Array
    masses: Array

    @classmethod
    def of(cls, law: PiecewiseLaw, images: Array) -> Sources:
        """The nodes of a law at their images (panels, NODES)."""
        order = np.argsort(images, axis=None, kind="stable")
        return cls(images.ravel()[order], law.masses.ravel()[order])

    def summed(self, y: Array, window: Map, *, reach: float) -> Array:
        """Σ_j masses_j window(y − places_j) at rows of increasing points (panels, q), the window vanishing beyond ``reach``."""
        first = np.searchsorted(self.places, y[:, 0] - reach)
        last = np.searchsorted(self.places, y[:, -1] + reach)
        out = np.empty_like(y)
        for row, a, b, into in zip(y, first, last, out, strict=True):
            into[:] = window(row[:, None] - self.places[a:b]) @ self.masses[a:b]
        return out

    def smeared(self, y: Array, std: float) -> Array:
        """Σ_j masses_j N(y; places_j, std²)."""
        scale = -0.5 / std**2
        return self.summed(y, lambda gap: np.exp(scale * gap * gap), reach=REACH * std) / (std * np.sqrt(2 * np.pi))

    def edges(self, width: float, beyond: float) -> Array:
        """Panels of about ``width`` to begin with, between the outermost places and ``beyond`` them."""
        lower, upper = self.places[0] - beyond, self.places[-1] + beyond
        return np.linspace(lower, upper, int(np.clip((upper - lower) / width, 8, 32)) + 1)


def imaged(law: PiecewiseLaw, image: Map, width: float) -> tuple[PiecewiseLaw, Array]:
    """Panels whose images span no more than ``width``, and the images (panels, NODES)."""

    def coarse(at: Array, masses: Array) -> NDArray[np.bool_]:
        held = np.abs(masses).sum(1)
        return ((np.ptp(at, axis=1) > width) | (remainder(at) * held > RESOLVED * width)) & (held > NEGLIGIBLE)

    return refined(law, image, coarse)


def smeared(law: PiecewiseLaw, mean: Map, std: float) -> tuple[PiecewiseLaw, float]:
    """The law of mean(X) + std Z, and its error in the L¹ norm.

    Parameters
    ----------
    law : PiecewiseLaw
    mean : callable
        (n,) ↦ (n,).
    std : float
        Positive.

    Accuracy
    --------
    About 1e-14 where the panels resolve the law.
    """
    fine, images = imaged(law, mean, SPAN * std)
    near, nearer = Sources.of(fine, images), Sources.of(*imaged(fine, mean, 0.5 * SPAN * std))
    out = PiecewiseLaw(*resolved(lambda y: near.smeared(y, std), near.edges(SPAN * std, REACH * std)))
    return out.trimmed(), step_error(law, out, lambda y: nearer.smeared(y, std))


def step_error(before: PiecewiseLaw, after: PiecewiseLaw, density: Map) -> float:
    """∫ |after − density| and what is cut off: twice the mean gap between the nodes of each panel, and the change of the whole mass."""
    left, right = after.edges[:-1], after.edges[1:]
    half = 0.5 * (right - left)
    gap = np.abs(series(after.values) @ _AT_CHECKS - density((left + half)[:, None] + half[:, None] * _CHECKS))
    return float(2 * gap.mean(1) @ (right - left)) + abs(after.cumulative[-1] - before.cumulative[-1]) + 4 * CUT
