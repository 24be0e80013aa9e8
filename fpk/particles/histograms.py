"""Histograms with error bars: what an ensemble of particles shows of a density, to look at and not to compare.

The share of particles in a bin, over its width, is a mean over independent *units* of particles (single ones, antithetic pairs, replicates of a
scrambled sequence), and so is its mean over a batch of units: the spread of batches gives the standard error, whatever the units are.
"""

from __future__ import annotations

import numpy as np

from fpk.laws import Array

#: Batches of units, at most: Student's t with 63 degrees of freedom is close to normal. And at least, for an error bar at all.
BATCHES, FEWEST = 64, 8


def histogram(x: Array, edges: Array, *, units: int | None = None) -> tuple[Array, Array]:
    """The density of particles over bins of one width, and its standard error.

    Parameters
    ----------
    x : array, shape (n,)
        Positions; infinite, or not a number, for particles that are gone: they still count among the n.
    edges : array, shape (bins + 1,)
        Equally spaced.
    units : int, optional
        Number of independent units, consecutive and of equal size; default every particle is one.

    Returns
    -------
    density, standard_error : arrays, shape (bins,)
        In units of 1 / length. The error is at least that of one particle (a bin that none reached is not known to be empty), and
        infinite for fewer than eight units.

    Examples
    --------
    >>> x = np.random.default_rng(0).random(10_000)
    >>> density, error = histogram(x, np.linspace(0.0, 1.0, 5))
    >>> bool(np.all(np.abs(density - 1) < 5 * error)), bool(np.all(error < 0.03))
    (True, True)
    """
    bins, width = len(edges) - 1, (edges[-1] - edges[0]) / (len(edges) - 1)
    place = np.fmax(
        np.fmin((x - edges[0]) / width, bins), -1.0
    )  # bins: right of all of them, also what is not a number
    index = np.floor(place, out=place).astype(np.intp) + 1
    batches = np.array_split(index.reshape(units or len(x), -1), min(BATCHES, units or len(x)))
    counts = np.array([np.bincount(batch.ravel(), minlength=bins + 2)[1:-1] for batch in batches])
    one = 1 / (len(x) * width)
    if len(batches) < FEWEST:
        return counts.sum(0) * one, np.full(bins, np.inf)
    shares = counts / np.array([[batch.size] for batch in batches])
    spread = shares.std(0, ddof=1) / np.sqrt(len(batches)) / width
    return counts.sum(0) * one, np.maximum(spread, one)
