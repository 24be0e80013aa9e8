r"""Probability laws on R^d: what a process starts from, and what its marginals are.

A law offers ``log_density``, ``density``, ``score`` (∇ log p), ``cdf`` (d = 1), ``sample`` and ``projected``; positions ``x`` have shape
``(n, d)``. Gaussian mixtures

    p(x) = Σ_m w_m N(x; μ_m, Σ_m)

are closed under every affine map with independent Gaussian noise, x ↦ A x + b + N(0, C):

    Σ_m w_m N(A μ_m + b, A Σ_m Aᵀ + C),

hence every linear SDE started from a mixture has an exact law, with an exact score.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpk.errors import NonFinite, ProblemError

Array = NDArray[np.floating[Any]]


@runtime_checkable
class Law(Protocol):
    """What every law can do. Positions have shape (n, d), densities (n,), scores (n, d)."""

    @property
    def dimension(self) -> int:
        """Dimension d of the space."""
        ...

    def log_density(self, x: Array) -> Array:
        """Log p at x, shape (n,)."""
        ...

    def score(self, x: Array) -> Array:
        """∇ log p at x, shape (n, d)."""
        ...

    def cdf(self, x: Array) -> Array:
        """P(X ≤ x) at points x of shape (n,); d = 1 only."""
        ...

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions, shape (n, d)."""
        ...

    def projected(self, direction: Array) -> Law:
        """The one-dimensional law of ⟨direction, X⟩."""
        ...

    def breakpoints(self) -> Array:
        """Points that resolve the law for quadrature, increasing, shape (m,); d = 1 only."""
        ...


class GaussianMixture:
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
        if not (np.all(self.weights > 0) and abs(self.weights.sum() - 1) <= 1e-12):
            raise ProblemError(f"weights must be positive and sum to 1, got {self.weights.tolist()}.")
        if not (np.all(np.isfinite(self.means)) and np.all(np.isfinite(self.covariances))):
            raise ProblemError(
                f"means and covariances must be finite, got {self.means.tolist()} and {self.covariances.tolist()}."
            )
        if not np.allclose(
            self.covariances,
            np.swapaxes(self.covariances, 1, 2),
            rtol=1e-9,
            atol=1e-12 * np.abs(self.covariances).max(),
        ):
            raise ProblemError(f"covariances must be symmetric, got {self.covariances.tolist()}.")
        try:
            factors = np.linalg.cholesky(self.covariances)
        except np.linalg.LinAlgError:
            raise ProblemError(f"covariances must be positive definite, got {self.covariances.tolist()}.") from None
        self._whitening = np.linalg.inv(factors)
        self._precisions = np.swapaxes(self._whitening, 1, 2) @ self._whitening
        self._log_scales = (
            np.log(self.weights)
            + np.log(np.abs(np.diagonal(self._whitening, axis1=1, axis2=2))).sum(1)
            - 0.5 * self.dimension * np.log(2 * np.pi)
        )

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

    def _component_logs(self, x: Array) -> tuple[Array, Array]:
        offsets = x[None] - self.means[:, None, :]
        whitened = np.einsum("mij,mnj->mni", self._whitening, offsets)
        return self._log_scales[:, None] - 0.5 * (whitened**2).sum(-1), offsets

    def log_density(self, x: Array) -> Array:
        """Log p(x), shape (n,); accurate far into the tails (log-sum-exp)."""
        logs, _ = self._component_logs(x)
        top = logs.max(0)
        return top + np.log(np.exp(logs - top).sum(0))

    def density(self, x: Array) -> Array:
        """p(x), shape (n,)."""
        return np.exp(self.log_density(x))

    def score(self, x: Array) -> Array:
        """∇ log p(x) = Σ_m r_m(x) Σ_m⁻¹ (μ_m − x), r_m the responsibilities; shape (n, d)."""
        logs, offsets = self._component_logs(x)
        shares = np.exp(logs - logs.max(0))
        shares /= shares.sum(0)
        return -np.einsum("mn,mij,mnj->ni", shares, self._precisions, offsets)

    def cdf(self, x: Array) -> Array:
        """P(X ≤ x) at x of shape (n,); one-dimensional laws only."""
        from scipy.special import ndtr

        _one_dimensional(self, "cdf")
        standard = (np.asarray(x, float)[None] - self.means) / np.sqrt(self.covariances[:, 0])
        return self.weights @ ndtr(standard)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions, shape (n, d)."""
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        factors = np.linalg.cholesky(self.covariances)
        return self.means[component] + np.einsum(
            "nij,nj->ni", factors[component], rng.standard_normal((n, self.dimension))
        )

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
        _one_dimensional(self, "breakpoints")
        points: Array = self.means + np.sqrt(self.covariances[:, 0]) * np.arange(-11.0, 12.0)
        return np.unique(points)


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


class TabulatedLaw:
    """A one-dimensional law given by its log-density on equally spaced points.

    log p is interpolated by a quintic spline where the table is reliable, and continued as a parabola (a Gaussian tail) beyond, where
    differences of a computed density are noise. The law is normalised on construction.

    Parameters
    ----------
    points : array, shape (n,), increasing and equally spaced
    log_density : array, shape (n,), up to an additive constant
    support : (float, float), optional
        Where the law lives; default: first to last point. The spline is extrapolated between the outermost points and these limits.
    reliable : float, default 25
        Entries this far below the maximum (25: 1.4e-11 of the peak) are replaced by the continuation; ``inf`` trusts all of them.

    Notes
    -----
    Accuracy: sixth order in the spacing for log p, fifth for the score. The CDF integrates the density over each interval by
    six-point Gauss–Legendre quadrature.
    """

    def __init__(
        self,
        points: ArrayLike,
        log_density: ArrayLike,
        *,
        support: tuple[float, float] | None = None,
        reliable: float = 25.0,
    ) -> None:
        from scipy.interpolate import make_interp_spline

        self.points = np.asarray(points, float)
        if len(self.points) < 6 or not np.all(np.diff(self.points) > 0):
            raise ProblemError(
                f"a table needs at least 6 increasing points, got {self.points[:6].tolist()} ({len(self.points)} in all)."
            )
        self.support = support or (float(self.points[0]), float(self.points[-1]))
        logs = continued_log_density(self.points, np.asarray(log_density, float), reliable)
        self._knots = np.unique(np.concatenate([[self.support[0]], self.points, [self.support[1]]]))
        cumulative = self._integrated(make_interp_spline(self.points, logs, k=5))
        self._logs = make_interp_spline(self.points, logs - np.log(cumulative[-1]), k=5)
        self._cumulative = cumulative / cumulative[-1]
        self._distribution = make_interp_spline(self._knots, self._cumulative, k=5)

    @classmethod
    def gibbs(
        cls, potential: Callable[[Array], Array], lower: float, upper: float, *, cells: int = 4000
    ) -> TabulatedLaw:
        """The law ∝ exp(−potential(x)) on [lower, upper], x of shape (n,)."""
        points = np.linspace(lower, upper, cells + 1)
        return cls(points, -np.asarray(potential(points), float), reliable=np.inf)

    def _integrated(self, logs: Callable[[Array], Array]) -> Array:
        nodes, weights = np.polynomial.legendre.leggauss(6)
        half = 0.5 * np.diff(self._knots)
        inner = self._knots[:-1, None] + half[:, None] * (1 + nodes)
        return np.concatenate([[0.0], np.cumsum(half * (np.exp(logs(inner)) @ weights))])

    def __repr__(self) -> str:
        return f"TabulatedLaw({len(self.points)} points on [{self.support[0]:.4g}, {self.support[1]:.4g}])"

    @property
    def dimension(self) -> int:
        """Dimension, 1."""
        return 1

    def log_density(self, x: Array) -> Array:
        """Log p(x), shape (n,); −∞ outside the support."""
        flat = x[:, 0]
        inside = (flat >= self.support[0]) & (flat <= self.support[1])
        return np.where(inside, self._logs(np.clip(flat, *self.support)), -np.inf)

    def density(self, x: Array) -> Array:
        """p(x), shape (n,)."""
        return np.exp(self.log_density(x))

    def score(self, x: Array) -> Array:
        """∂ log p, shape (n, 1); linear beyond the reliable part of the table."""
        return self._logs(np.clip(x, *self.support), 1)

    def cdf(self, x: Array) -> Array:
        """P(X ≤ x) at x of shape (n,)."""
        return np.clip(self._distribution(np.clip(x, *self.support)), 0.0, 1.0)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions by inverting the tabulated distribution function, shape (n, 1)."""
        return np.interp(rng.random(n), self._cumulative, self._knots)[:, None]

    def projected(self, direction: Array) -> TabulatedLaw:
        """The law itself; only the direction +1 is available."""
        return _identity_projection(self, direction)

    def breakpoints(self) -> Array:
        """The support, in about 200 intervals."""
        thinned = np.unique(np.linspace(0, len(self._knots) - 1, 200).astype(int))
        return np.asarray(self._knots[thinned], float)


class ScipyLaw:
    """A frozen one-dimensional continuous law of ``scipy.stats``; its score is a numerical derivative of ``logpdf``."""

    def __init__(self, frozen: Any) -> None:
        self.frozen = frozen

    def __repr__(self) -> str:
        return f"ScipyLaw({getattr(getattr(self.frozen, 'dist', None), 'name', self.frozen)})"

    @property
    def dimension(self) -> int:
        """Dimension, 1."""
        return 1

    def log_density(self, x: Array) -> Array:
        """Log p(x), shape (n,)."""
        return np.asarray(self.frozen.logpdf(x[:, 0]), float)

    def density(self, x: Array) -> Array:
        """p(x), shape (n,)."""
        return np.asarray(self.frozen.pdf(x[:, 0]), float)

    def score(self, x: Array) -> Array:
        """∂ log p by sixth-order central differences, step 1e-3 standard deviations; shape (n, 1)."""
        return central_derivative(lambda y: self.frozen.logpdf(y), x, 1e-3 * float(self.frozen.std()))

    def cdf(self, x: Array) -> Array:
        """P(X ≤ x)."""
        return np.asarray(self.frozen.cdf(x), float)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions, shape (n, 1)."""
        return np.asarray(self.frozen.rvs(size=n, random_state=rng), float)[:, None]

    def projected(self, direction: Array) -> ScipyLaw:
        """The law itself; only the direction +1 is available."""
        return _identity_projection(self, direction)

    def breakpoints(self) -> Array:
        """Quantiles from 1e-15 to 1 − 1e-15."""
        tails = 10.0 ** np.arange(-15, -1)
        levels = np.concatenate([tails, np.linspace(0.1, 0.9, 41)])
        return np.unique(np.concatenate([self.frozen.ppf(levels), self.frozen.isf(tails)]))


def as_law(law: Any) -> Law:
    """Accept a law of fpk, a frozen ``scipy.stats`` law, or a frozen multivariate normal.

    Raises
    ------
    ProblemError
        For anything else, with the accepted kinds in the message.
    """
    if isinstance(law, Law):
        return law
    if hasattr(law, "cov_object") and hasattr(law, "mean"):
        return Gaussian(law.mean, covariance=law.cov_object.covariance)
    if all(hasattr(law, name) for name in ("logpdf", "cdf", "rvs", "ppf")):
        return ScipyLaw(law)
    raise ProblemError(
        f"an initial law must be fpk.Gaussian, fpk.GaussianMixture, a frozen continuous scipy.stats law or an object "
        f"with the methods of fpk.laws.Law; got {law!r}."
    )


def _identity_projection(law: Any, direction: Array) -> Any:
    if np.shape(direction) != (1,) or float(direction[0]) != 1.0:
        raise ProblemError(f"{law!r} can only be projected on the direction [1], got {np.asarray(direction).tolist()}.")
    return law


def _one_dimensional(law: Law, what: str) -> None:
    if law.dimension != 1:
        raise ProblemError(
            f"{what} needs a one-dimensional law, this one has d = {law.dimension}; use projected(direction)."
        )


def central_derivative(function: Callable[[Array], Array], x: Array, step: float) -> Array:
    """Sixth-order central difference of ``function`` at ``x`` (any shape), error O(step⁶) + round-off / step."""
    terms = ((45, 1), (-9, 2), (1, 3))
    return np.asarray(sum(c * (function(x + k * step) - function(x - k * step)) for c, k in terms)) / (60 * step)


def continued_log_density(points: Array, logs: Array, reliable: float) -> Array:
    """Log-densities with the unreliable entries, more than ``reliable`` below the maximum, replaced.

    Holes between reliable points are bridged linearly; the ends continue as the parabola of the last six reliable points (a Gaussian
    tail), never rising outwards.
    """
    if not np.any(np.isfinite(logs)):
        raise NonFinite(
            "a log-density without a single finite value: the density is zero or NaN everywhere on the table."
        )
    good = np.flatnonzero(logs > np.nanmax(logs) - reliable)
    out = np.interp(points, points[good], logs[good])
    out[good] = logs[good]
    for edge, inward, beyond in ((good[0], 1, slice(None, good[0])), (good[-1], -1, slice(good[-1] + 1, None))):
        near = np.clip(edge + inward * np.arange(6), 0, len(out) - 1)
        if out[beyond].size and len(good) >= 6:
            outward = np.abs(points - points[edge])
            curvature, slope, _ = np.polyfit(-outward[near], out[near] - out[edge], 2)
            out[beyond] = out[edge] + min(slope, 0.0) * outward[beyond] + min(curvature, 0.0) * outward[beyond] ** 2
    return out
