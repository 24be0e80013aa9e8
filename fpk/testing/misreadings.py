"""Known mistakes in stating a law: what a Gaussian mixture becomes when its parameters are misread. Nothing is known of other laws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fpk.laws import Array, GaussianMixture

Misreading = Callable[[GaussianMixture], "GaussianMixture | None"]


def _with_means(change: Callable[[Array], Array]) -> Misreading:
    def misread(law: GaussianMixture) -> GaussianMixture | None:
        means = change(law.means)
        return (
            None if np.allclose(means, law.means) else GaussianMixture(law.weights, means, covariances=law.covariances)
        )

    return misread


def _with_covariances(change: Callable[[Array], Array]) -> Misreading:
    def misread(law: GaussianMixture) -> GaussianMixture | None:
        covariances = np.array([change(c) for c in law.covariances])
        same = np.allclose(covariances, law.covariances)
        return None if same else GaussianMixture(law.weights, law.means, covariances=covariances)

    return misread


def _power(exponent: float) -> Misreading:
    """The covariance taken to a power: 2 where a variance was read as a standard deviation, ½ the other way round."""

    def change(covariance: Array) -> Array:
        values, vectors = np.linalg.eigh(covariance)
        return (vectors * values**exponent) @ vectors.T

    return _with_covariances(change)


def _weighted_equally(law: GaussianMixture) -> GaussianMixture | None:
    count = len(law.weights)
    equal = np.full(count, 1 / count)
    return None if np.allclose(law.weights, equal) else GaussianMixture(equal, law.means, covariances=law.covariances)


def _weighted_backwards(law: GaussianMixture) -> GaussianMixture | None:
    turned = law.weights[::-1]
    return None if np.allclose(law.weights, turned) else GaussianMixture(turned, law.means, covariances=law.covariances)


def spread_times(law: GaussianMixture, factor: float) -> GaussianMixture:
    """All standard deviations multiplied by a factor."""
    return GaussianMixture(law.weights, law.means, covariances=factor**2 * law.covariances)


def mean_times(law: GaussianMixture, factor: float) -> GaussianMixture:
    """All means multiplied by a factor."""
    return GaussianMixture(law.weights, factor * law.means, covariances=law.covariances)


MISREADINGS: dict[str, Misreading] = {
    "mean missing": _with_means(np.zeros_like),
    "sign of the mean": _with_means(np.negative),
    "variance × ½ (std / √2)": _with_covariances(lambda c: c / 2),
    "variance × 2 (std × √2)": _with_covariances(lambda c: 2 * c),
    "variance given for the std": _power(2.0),
    "std given for the variance": _power(0.5),
    "weights equal": _weighted_equally,
    "weights in another order": _weighted_backwards,
    "covariances between coordinates missing": _with_covariances(lambda c: np.diag(np.diag(c))),
    "sign of the covariances between coordinates": _with_covariances(lambda c: 2 * np.diag(np.diag(c)) - c),
    "mean × ½": _with_means(lambda m: m / 2),
    "mean × 2": _with_means(lambda m: 2 * m),
}
SIZES = {"std": spread_times, "mean": mean_times}
