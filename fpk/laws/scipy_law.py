"""Laws of ``scipy.stats``, and the way in for every kind of law."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.errors import ProblemError
from fpk.laws.base import Array, Law, central_derivative, identity_projection
from fpk.laws.gaussian import Gaussian


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
        return identity_projection(self, direction)

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
