"""Gaussian laws and their mixtures, in any dimension."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, reduce
from operator import add

import numpy as np
from numpy.typing import ArrayLike

from fpk.errors import ProblemError
from fpk.laws.base import Array, require_one_dimensional
from fpk.shown import Shown
from fpk.tracing import Instant, NotTraceable, maximum


class GaussianMixture(Shown):
    """A finite mixture of Gaussians, Σ_m w_m N(μ_m, Σ_m), in any dimension.

    Parameters
    ----------
    weights : array_like, shape (m,)
        Positive weights, summing to 1 within 1e-12.
    means : array_like, shape (m,) or (m, d)
        Component means; one-dimensional input means d = 1.
    stds : array_like, shape (m,), optional
        Standard deviations of isotropic components (not variances).
    covariances : array_like, shape (m, d, d), optional
        Full covariances; give exactly one of ``stds`` and ``covariances``.

    Raises
    ------
    ProblemError
        If weights are not a probability vector, shapes disagree, or a covariance is not positive definite.

    Examples
    --------
    >>> law = GaussianMixture([0.3, 0.7], [-1.0, 1.2], stds=[0.2, 0.5])
    >>> float(round(law.mean[0], 12))
    0.54
    """

    def __init__(
        self,
        weights: ArrayLike,
        means: ArrayLike,
        *,
        stds: ArrayLike | None = None,
        covariances: ArrayLike | None = None,
    ) -> None:
        self.weights = np.atleast_1d(np.asarray(weights, float))
        means = np.asarray(means, float)
        self.means = means.reshape(-1, 1) if means.ndim < 2 else means
        if (stds is None) == (covariances is None):
            raise ProblemError("a Gaussian mixture needs exactly one of stds= (standard deviations) and covariances=.")
        count, dimension = self.means.shape
        if stds is not None:
            stds = np.asarray(stds, float)
            if stds.shape not in ((), (1,), (count,)):
                raise ProblemError(
                    f"{stds.size} standard deviations but {count} means: give one for each mean, or one number."
                )
            stds = np.broadcast_to(stds, (count,))
            if not np.all(stds > 0):
                raise ProblemError(
                    f"standard deviations must be positive, got {stds.tolist()}; a point mass has no density."
                )
            self.covariances = stds[:, None, None] ** 2 * np.eye(dimension)
        else:
            self.covariances = np.asarray(covariances, float)
            if self.covariances.size != count * dimension**2:
                raise ProblemError(
                    f"covariances have shape {self.covariances.shape}, {count} means in dimension {dimension} need "
                    f"{(count, dimension, dimension)}."
                )
            self.covariances = self.covariances.reshape(count, dimension, dimension)
        self._check()

    def _check(self) -> None:
        if len(self.weights) != len(self.means):
            raise ProblemError(
                f"{len(self.weights)} weights but {len(self.means)} means: give one mean for each weight."
            )
        if not ((self.weights > 0).all() and abs(self.weights.sum() - 1) <= 1e-12):
            raise ProblemError(f"weights must be positive and sum to 1, got {self.weights.tolist()}.")
        if not (np.isfinite(self.means).all() and np.isfinite(self.covariances).all()):
            raise ProblemError(
                f"means and covariances must be finite, got {self.means.tolist()} and {self.covariances.tolist()}."
            )
        self._whitening = _whitening(self.covariances)
        self._precisions = self._whitening.swapaxes(1, 2) @ self._whitening
        self._log_scales = (
            np.log(self.weights)
            + np.log(np.abs(self._whitening.diagonal(axis1=1, axis2=2))).sum(1)
            - 0.5 * self.dimension * np.log(2 * np.pi)
        )

    @classmethod
    def traced(cls, law_at: Callable[[float], object], t: Instant) -> GaussianMixture:
        """The mixture with the traced numbers of the mixtures ``law_at(t)`` at all instants: for its density and score at traced positions.

        Raises
        ------
        NotTraceable
            If there are other laws among them.
        """

        def numbers(time: float) -> Array:
            law = law_at(time)
            if not isinstance(law, GaussianMixture):
                raise NotTraceable(f"the law at t={time:g} is no Gaussian mixture: its score is called, not compiled.")
            return np.concatenate([np.ravel(part) for part in law._tables])

        flat, first = t.numbers(numbers), law_at(float(t.times[0]))
        assert isinstance(first, GaussianMixture)
        shapes = [np.shape(part) for part in first._tables]
        flat = np.split(flat, np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1])
        mixture = object.__new__(GaussianMixture)
        mixture.means, mixture._whitening, mixture._precisions, mixture._log_scales = (
            part.reshape(shape) for part, shape in zip(flat, shapes, strict=True)
        )
        return mixture

    @property
    def _tables(self) -> tuple[Array, ...]:
        """What the density and the score are computed with."""
        return self.means, self._whitening, self._precisions, self._log_scales

    def __repr__(self) -> str:
        return (
            f"GaussianMixture({self.weights.tolist()}, {self.means.tolist()}, covariances={self.covariances.tolist()})"
        )

    @property
    def dimension(self) -> int:
        """Dimension d."""
        return self.means.shape[1]

    @property
    def mean(self) -> Array:
        """E X, shape (d,)."""
        return self.weights @ self.means

    @property
    def covariance(self) -> Array:
        """Cov X, shape (d, d)."""
        centred = self.means - self.mean
        return np.einsum("m,mij->ij", self.weights, self.covariances + centred[:, :, None] * centred[:, None, :])

    def _component_logs(self, x: Array) -> Array:
        """Logarithms of the weighted densities of the components, shape (m, n)."""
        if self.means.shape[1] == 1:
            logs = x[:, 0] - self.means
            logs *= self._whitening[:, :, 0]
            logs *= logs
            logs *= -0.5
            logs += self._log_scales[:, None]
            return logs
        white = [_times(w, mean - x) for w, mean in zip(self._whitening, self.means, strict=True)]
        return np.stack([scale - 0.5 * (z * z).sum(1) for scale, z in zip(self._log_scales, white, strict=True)])

    def log_density(self, x: Array) -> Array:
        """Log p(x), shape (n,); accurate far into the tails (log-sum-exp)."""
        logs = self._component_logs(x)
        if len(logs) == 1:
            return logs[0]
        top = reduce(maximum, logs)
        return top + np.log(np.exp(logs - top).sum(0))

    def density(self, x: Array) -> Array:
        """p(x), shape (n,)."""
        return np.exp(self.log_density(x))

    def score(self, x: Array) -> Array:
        """∇ log p(x) = Σ_m r_m(x) Σ_m⁻¹ (μ_m − x), r_m the responsibilities; shape (n, d)."""
        if len(self.means) == 1:
            return _times(self._precisions[0], self.means[0] - x)
        shares = self._shares(x)
        if self.means.shape[1] == 1:
            pull = reduce(add, shares * (self._precisions[:, :, 0] * (self.means - x[:, 0])))[:, None]
        else:
            pulls = (_times(precision, mean - x) for mean, precision in zip(self.means, self._precisions, strict=True))
            pull = reduce(add, (share[:, None] * own for share, own in zip(shares, pulls, strict=True)))
        return pull * (1.0 / reduce(add, shares))[:, None]

    def _shares(self, x: Array) -> Array:
        """The components' weighted densities as shares of the greatest, shape (m, n)."""
        logs = self._component_logs(x)
        logs -= reduce(maximum, logs)
        return np.exp(logs)

    def responsibilities(self, x: Array) -> Array:
        """r_m(x) = P(component m | X = x), shape (m, n); also of traced positions.

        Accuracy
        --------
        Relative round-off where the logarithms of the components' densities are moderate; sums over m are 1 however far x is in the tails.

        Examples
        --------
        >>> law = GaussianMixture([0.5, 0.5], [-1.0, 1.0], stds=1.0)
        >>> law.responsibilities(np.array([[0.0]]))
        array([[0.5],
               [0.5]])
        """
        shares = self._shares(x)
        shares *= 1.0 / reduce(add, shares)
        return shares

    def cdf(self, x: Array) -> Array:
        """P(X ≤ x) at x of shape (n,); one-dimensional laws only."""
        from scipy.special import ndtr

        require_one_dimensional(self, "cdf")
        standard = (np.asarray(x, float)[None] - self.means) / np.sqrt(self.covariances[:, 0])
        return self.weights @ ndtr(standard)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions, shape (n, d)."""
        normal = rng.standard_normal((n, self.dimension))
        if len(self.weights) == 1:
            return self.means[0] + _times(self._factors[0], normal)
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        if self.dimension == 1:
            scaled = self._factors[:, 0, 0].take(component) * normal[:, 0]
            return (self.means[:, 0].take(component) + scaled)[:, None]
        return self.means[component] + np.einsum("nij,nj->ni", self._factors[component], normal)

    @cached_property
    def _factors(self) -> Array:
        """Lower triangular factors of the covariances."""
        return np.linalg.cholesky(self.covariances)

    def projected(self, direction: Array) -> GaussianMixture:
        """The law of ⟨direction, X⟩, a one-dimensional mixture."""
        row = np.asarray(direction, float)[None]
        return self.pushed(row, np.zeros(1), np.zeros((1, 1)))

    def pushed(self, matrix: Array, shift: Array, noise_covariance: Array) -> GaussianMixture:
        """The law of A X + b + N(0, C): ``matrix`` A (k, d), ``shift`` b (k,), ``noise_covariance`` C (k, k)."""
        return GaussianMixture(
            self.weights,
            self.means @ matrix.T + shift,
            covariances=matrix @ self.covariances @ matrix.T + noise_covariance,
        )

    def breakpoints(self) -> Array:
        """Component means ± 0, 1, ..., 11 standard deviations, increasing; one-dimensional laws only."""
        require_one_dimensional(self, "breakpoints")
        points: Array = self.means + np.sqrt(self.covariances[:, 0]) * np.arange(-11.0, 12.0)
        return np.unique(points)


def _whitening(covariances: Array) -> Array:
    """L⁻¹ of Σ = L Lᵀ, shape (m, d, d); refuses what is no covariance."""
    if covariances.shape[1] == 1 and (covariances > 0).all():
        return 1.0 / np.sqrt(covariances)
    mirrored = np.swapaxes(covariances, 1, 2)
    sizes = np.abs(mirrored)
    if np.any(np.abs(covariances - mirrored) > 1e-9 * sizes + 1e-12 * sizes.max()):
        raise ProblemError(f"covariances must be symmetric, got {covariances.tolist()}.")
    try:
        return np.linalg.inv(np.linalg.cholesky(covariances))
    except np.linalg.LinAlgError:
        raise ProblemError(f"covariances must be positive definite, got {covariances.tolist()}.") from None


def _times(matrix: Array, x: Array) -> Array:
    """A x for rows x of shape (n, d), by sums in a fixed order."""
    if len(matrix) == x.shape[1] == 1:
        return matrix[0, 0] * x
    columns = [reduce(add, (a * x[:, j] for j, a in enumerate(row))) for row in matrix]
    return np.stack(columns, axis=1)


class Gaussian(GaussianMixture):
    """The normal law N(mean, std²), or N(mean, covariance) in d dimensions.

    Parameters
    ----------
    mean : float or array_like, shape (d,)
        The mean.
    std : float, optional
        Standard deviation of every coordinate (default 1).
    covariance : array_like, shape (d, d), optional
        Full covariance, instead of ``std``.

    Examples
    --------
    >>> Gaussian(2.0, 0.3)
    Gaussian(mean=[2.0], covariance=[[0.09]])
    """

    def __init__(self, mean: ArrayLike, std: float | None = None, *, covariance: ArrayLike | None = None) -> None:
        if std is not None and covariance is not None:
            raise ProblemError("give std= or covariance=, not both.")
        means = np.atleast_1d(np.asarray(mean, float))[None]
        if covariance is None:
            super().__init__([1.0], means, stds=[1.0 if std is None else std])
        else:
            super().__init__([1.0], means, covariances=np.atleast_2d(np.asarray(covariance, float))[None])

    def __repr__(self) -> str:
        return f"Gaussian(mean={self.mean.tolist()}, covariance={self.covariance.tolist()})"
