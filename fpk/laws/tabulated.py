"""One-dimensional laws given by a table of their log-density."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from fpk.errors import NonFinite, ProblemError
from fpk.laws.base import Array, identity_projection
from fpk.shown import Shown


class TabulatedLaw(Shown):
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
        return identity_projection(self, direction)

    def breakpoints(self) -> Array:
        """The support, in about 200 intervals."""
        thinned = np.unique(np.linspace(0, len(self._knots) - 1, 200).astype(int))
        return np.asarray(self._knots[thinned], float)


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
