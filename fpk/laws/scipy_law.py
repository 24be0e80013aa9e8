"""Laws of ``scipy.stats``, and the way in for every kind of law.

========================================================== ==============================================================
what is given                                              what it becomes
========================================================== ==============================================================
``norm(...)``, ``multivariate_normal(...)``, ``Normal()``  :class:`Gaussian`: the same law with an exact score
``gaussian_kde(data)``, a ``Mixture`` of normal laws       :class:`GaussianMixture`, of a kernel estimate one component for each datum
other frozen continuous laws, ``rv_histogram``             :class:`ScipyLaw`
``make_distribution(...)()``, ``Mixture``, ``truncate``    :class:`ScipyLaw`
========================================================== ==============================================================
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from fpk.errors import ProblemError
from fpk.laws.base import Array, Law, central_derivative, identity_projection
from fpk.laws.gaussian import Gaussian, GaussianMixture
from fpk.shown import Shown

#: Step of differences of log p: in units of the spread, and at most this share of the way to an end of the support.
STEP, SHARE = 1e-3, 0.02
#: Nearer to an end of the support than this, in units of the spread, the score is that at this distance.
NEAREST = 1e-6


class ScipyLaw(Shown):
    """A continuous law of ``scipy.stats`` on the line.

    Parameters
    ----------
    frozen : frozen law, or distribution object of the newer kind
        With its parameters, each a single number.

    Notes
    -----
    Accuracy: density and distribution function are scipy's. The score is a sixth-order difference of ``logpdf`` with a step of a thousandth of
    the spread (the standard deviation; of laws without one, the distance between the quartiles), shorter towards the ends of the support: wrong
    by about 1e-10 of one over the spread where log p is smooth, and by 1e-9 of itself where it diverges at an end like log x. Where p has a kink
    it is meaningless.

    Examples
    --------
    >>> from scipy import stats
    >>> law = as_law(stats.gamma(2.0))
    >>> float(law.score(np.array([[4.0]]))[0, 0].round(9))  # 1/x − 1
    -0.75
    """

    def __init__(self, frozen: Any) -> None:
        self.frozen = frozen
        self._recent = not hasattr(frozen, "ppf")  # the newer kind has other names for quantiles and samples

    def __repr__(self) -> str:
        given = self.frozen
        if not hasattr(given, "dist"):
            return f"ScipyLaw({' '.join(repr(given).split())})"
        parameters = [f"{value:g}" for value in given.args] + [
            f"{name}={value:g}" for name, value in given.kwds.items()
        ]
        return f"ScipyLaw({given.dist.name}({', '.join(parameters)}))"

    @property
    def dimension(self) -> int:
        """Dimension, 1."""
        return 1

    @property
    def mean(self) -> Array:
        """E X, shape (1,); NaN or infinite where there is none."""
        return np.array([float(self.frozen.mean())])

    @property
    def covariance(self) -> Array:
        """Var X, shape (1, 1); NaN or infinite where there is none."""
        return np.array([[float((self.frozen.variance if self._recent else self.frozen.var)())]])

    def log_density(self, x: Array) -> Array:
        """Log p(x), shape (n,)."""
        return np.asarray(self.frozen.logpdf(x[:, 0]), float)

    def density(self, x: Array) -> Array:
        """p(x), shape (n,)."""
        return np.asarray(self.frozen.pdf(x[:, 0]), float)

    @cached_property
    def _spread(self) -> float:
        """The standard deviation, or the distance between the quartiles where there is none."""
        with np.errstate(all="ignore"):
            found = float(np.sqrt(self.covariance[0, 0]))
        return found if np.isfinite(found) and found > 0 else float(np.diff(self._quantiles(np.array([0.25, 0.75])))[0])

    def score(self, x: Array) -> Array:
        """∂ log p by differences, shape (n, 1); beyond the support that at its nearest end."""
        lower, upper = (float(end) for end in self.frozen.support())
        near = NEAREST * self._spread
        x = np.clip(x, lower + near, upper - near)
        step = np.minimum(STEP * self._spread, SHARE * np.minimum(x - lower, upper - x))
        return central_derivative(self.frozen.logpdf, x, step)

    def cdf(self, x: Array) -> Array:
        """P(X ≤ x)."""
        return np.asarray(self.frozen.cdf(x), float)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions, shape (n, 1)."""
        drawn = self.frozen.sample(n, rng=rng) if self._recent else self.frozen.rvs(size=n, random_state=rng)
        return np.asarray(drawn, float)[:, None]

    def projected(self, direction: Array) -> ScipyLaw:
        """The law itself; only the direction +1 is available."""
        return identity_projection(self, direction)

    def _quantiles(self, levels: Array) -> Array:
        return np.asarray((self.frozen.icdf if self._recent else self.frozen.ppf)(levels), float)

    def breakpoints(self) -> Array:
        """Quantiles from 1e-15 to 1 − 1e-15."""
        tails = 10.0 ** np.arange(-15, -1)
        levels = np.concatenate([tails, np.linspace(0.1, 0.9, 41)])
        above = (self.frozen.iccdf if self._recent else self.frozen.isf)(tails)
        return np.unique(np.concatenate([self._quantiles(levels), above]))


def as_law(law: Any) -> Law:
    """Accept a law of fpk, or one of ``scipy.stats`` as in the table above.

    Raises
    ------
    ProblemError
        For anything else, with the accepted kinds in the message: discrete laws, several at once, other laws in more dimensions.
    """
    if isinstance(law, Law):
        return law
    if hasattr(law, "cov_object") and hasattr(law, "mean"):
        return Gaussian(law.mean, covariance=law.cov_object.covariance)
    if all(hasattr(law, name) for name in ("dataset", "weights", "covariance", "resample")):
        return _of_kernels(law)
    if hasattr(law, "logpmf") and not hasattr(law, "logpdf"):
        raise _discrete(law)
    if all(hasattr(law, name) for name in ("logpdf", "cdf", "support")):
        return _on_the_line(law)
    raise ProblemError(
        f"an initial law must be fpk.Gaussian, fpk.GaussianMixture, a frozen continuous scipy.stats law or an object "
        f"with the methods of fpk.laws.Law; got {law!r}. In more dimensions scipy's multivariate_normal and gaussian_kde are understood."
    )


def _of_kernels(estimate: Any) -> GaussianMixture:
    """The kernel density estimate of scipy: a mixture, one component at each datum of some weight."""
    kept = estimate.weights > 0
    weights, places = estimate.weights[kept], estimate.dataset.T[kept]
    covariances = np.broadcast_to(estimate.covariance, (len(places), *estimate.covariance.shape))
    return GaussianMixture(weights / weights.sum(), places, covariances=covariances)


def _on_the_line(law: Any) -> Law:
    try:
        shape = np.shape(law.cdf(0.0))
    except TypeError as error:
        raise ProblemError(
            f"the law {getattr(law, 'name', law)!r} of scipy.stats needs its parameters ({error}): freeze it, as in scipy.stats.gamma(2.0)."
        ) from error
    if shape:
        raise ProblemError(f"{law!r} is {shape} laws at once: give one, with a single number for each parameter.")
    if np.isposinf(law.logpdf(law.median())):  # what the newer kind says where a point has some weight
        raise _discrete(law)
    if _is_normal(law):
        return Gaussian(float(law.mean()), _deviation(law))
    parts = getattr(law, "components", ())
    if parts and all(map(_is_normal, parts)):
        means = [float(part.mean()) for part in parts]
        return GaussianMixture(np.asarray(law.weights, float), means, stds=[_deviation(part) for part in parts])
    return ScipyLaw(law)


def _is_normal(law: Any) -> bool:
    name = getattr(getattr(law, "dist", None), "name", type(law).__name__)
    return name in ("norm", "Normal", "StandardNormal")


def _deviation(law: Any) -> float:
    return float(law.std() if hasattr(law, "std") else law.standard_deviation())


def _discrete(law: Any) -> ProblemError:
    name = getattr(getattr(law, "dist", None), "name", None) or repr(law)
    return ProblemError(
        f"the law {name} is discrete: it has no density. Accepted are fpk.Gaussian, fpk.GaussianMixture, a frozen continuous scipy.stats law; "
        "for points of some weight, a fpk.GaussianMixture of narrow components."
    )
