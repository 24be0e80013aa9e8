r"""Guidance by a classifier, exactly: what it becomes on a noising path, and the law that guidance of any strength samples.

Of a classifier c(x_0) = p(y | x_0) of data Σ_m w_m N(μ_m, Σ_m) the path X_t = α X_0 + σ Z leaves

    h_t(x) = p_t(y | x) = E[c(X_0) | X_t = x] = Σ_m r_m(x) E c(μ_m + K_m (x − α μ_m) + L_m Z),

with the responsibilities r_m of the noised components, C_m = α² Σ_m + σ² I, K_m = α Σ_m C_m⁻¹ and L_m L_mᵀ = Σ_m − α K_m Σ_m.

s + S ∇log h_t is the score of p_t h_t^S, which is not p_0 c^S noised. As h is a martingale of the reverse SDE, whose generator is L,
(∂_τ + L) h^S = ½ S (S − 1) g² |∇log h|² h^S, and by Girsanov's formula the reverse SDE with the guided score, started from p_T h_T^S, ends in

    q_0(x) ∝ p_0(x) c(x)^S w(x),     w(x) = E[exp(−½ S (S − 1) ∫₀ᵀ g² |∇log h_t(X_t)|² dt) | X_0 = x],

over the *forward* process X. Only for S = 1 (and 0), or where ∇log h_t does not depend on x, is w constant.

References
----------
Dhariwal and Nichol (2021), section 4; Chen (2024), equations 35 and 36.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fpk.closed_form import LawMarginals
from fpk.errors import ProblemError
from fpk.fields import Field, classifier_guided, exact_field
from fpk.laws import Array, GaussianMixture, TabulatedLaw
from fpk.models.points import normal_nodes
from fpk.schedules import Schedule

#: Points of the table between which log w is interpolated before the last step: at least so many, and within the narrowest width.
COARSE, PER_WIDTH = 81, 4


@dataclass(frozen=True)
class NoisedClassifier:
    """A classifier of clean data, asked at noised positions.

    Parameters
    ----------
    data : GaussianMixture
        Of any dimension.
    schedule : Schedule
    log_chance : callable
        x_0 ↦ log p(y | x_0), shape (n, d) ↦ (n,); constants that do not depend on x_0 may be left out.
    slope : callable
        x_0 ↦ ∇log p(y | x_0), shape (n, d).
    nodes : int, default 16
        Gauss–Hermite nodes of each coordinate.

    Examples
    --------
    Is x_0 positive? A logistic classifier, and how sure it is once half of the data are noise.

    >>> import fpk
    >>> from scipy.special import expit, log_expit
    >>> y = NoisedClassifier(
    ...     fpk.problems.two_peaks(), fpk.VPSchedule(1.0), lambda x: log_expit(2 * x[:, 0]), lambda x: 2 * expit(-2 * x)
    ... )
    >>> np.exp(y.log_chance_at(np.array([[-1.0], [1.0]]), 0.7)).round(2)
    array([0.2 , 0.88])
    >>> guided = y.guided(strength=3.0)
    """

    data: GaussianMixture
    schedule: Schedule
    log_chance: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    nodes: int = 16

    def log_chance_at(self, x: Array, t: float) -> Array:
        """log p_t(y | x), shape (n,)."""
        return _log_sum(self._seen(x, t)[0])

    def gradient(self, x: Array, t: float) -> Array:
        """∇log p_t(y | x), shape (n, d): what :func:`fpk.fields.classifier_guided` adds to a score."""
        logs, places, gains, pulls = self._seen(x, t)
        shares = np.exp(logs - _log_sum(logs)[:, None, None])  # of component and node, given y too
        slopes = self.slope(places.reshape(-1, x.shape[1])).reshape(places.shape)
        inner = (shares[..., None] * slopes).sum(2)
        return np.einsum("nmi,mij->nj", inner, gains) + (shares.sum(2)[..., None] * pulls).sum(1)

    def guided(self, *, strength: float, kind: str = "score") -> Field:
        """The exact field of the data with ``strength`` times the gradient added to its score."""
        return classifier_guided(exact_field(self.data, self.schedule, kind=kind), self.gradient, strength=strength)

    def tilted(self, t: float, *, strength: float, points: ArrayLike, log_weight: ArrayLike = 0.0) -> TabulatedLaw:
        """The law ∝ p_t h_t^S e^{log_weight} tabulated on points; its score is the guided one, 1 is p_t(x | y).

        Parameters
        ----------
        t : float
        strength : float
            S.
        points : array_like, shape (n,)
            Equally spaced, from end to end of the law; d = 1.
        log_weight : float or array_like, shape (n,)

        Raises
        ------
        ProblemError
            If d > 1.
        """
        x = _line(self.data, points)
        logs = self._given_at(t).noised.log_density(x[:, None]) + strength * self.log_chance_at(x[:, None], t)
        return TabulatedLaw(x, logs + np.asarray(log_weight, float), reliable=np.inf)

    @cached_property
    def _given_at(self) -> Callable[[float], _Given]:
        return lru_cache(maxsize=256)(lambda t: _given(self.data, self.schedule, self.nodes, t))

    def _seen(self, x: Array, t: float) -> tuple[Array, Array, Array, Array]:
        """Of component m and node k: log r_m w_k c (n, m, k), places x_0 (n, m, k, d), gains K_m, and ∇log r_m (n, m, d)."""
        given = self._given_at(t)
        shares = np.maximum(given.noised.responsibilities(x), 1e-300)
        off = x[:, None] - given.noised.means
        middles = self.data.means + np.einsum("mij,nmj->nmi", given.gains, off)
        places = middles[:, :, None] + given.around
        chances = self.log_chance(places.reshape(-1, x.shape[1])).reshape(places.shape[:3])
        pulls = -np.einsum("mij,nmj->nmi", given.precisions, off)
        pulls -= (shares.T[..., None] * pulls).sum(1, keepdims=True)
        return np.log(shares).T[:, :, None] + given.log_weights + chances, places, given.gains, pulls


class _Given(NamedTuple):
    """The noised data at one time, C_m⁻¹, K_m, and nodes L_m z (m, k, d) with the logarithms of their weights."""

    noised: GaussianMixture
    precisions: Array
    gains: Array
    around: Array
    log_weights: Array


def _given(data: GaussianMixture, schedule: Schedule, nodes: int, t: float) -> _Given:
    """X_0 given X_t = x, for any x."""
    alpha, sigma, eye = schedule.alpha(t), schedule.sigma(t), np.eye(data.dimension)
    noised = data.pushed(alpha * eye, np.zeros(len(eye)), sigma**2 * eye)
    precisions = np.linalg.inv(noised.covariances)
    gains = alpha * data.covariances @ precisions
    factors = _roots(sigma**2 * data.covariances @ precisions)  # Σ − α K Σ, without the difference
    z, weights = normal_nodes(nodes, len(eye))
    return _Given(noised, precisions, gains, np.einsum("mij,kj->mki", factors, z), np.log(weights))


def guided_marginals(
    classifier: NoisedClassifier, *, strength: float, points: ArrayLike, end: float = 1.0, steps: int = 32
) -> LawMarginals:
    """The law that guidance really samples, p_0 c^S w at t = 0, from p_T h_T^S at T; on the line.

    Parameters
    ----------
    classifier : NoisedClassifier
    strength : float
        S.
    points : array_like, shape (n,)
        Equally spaced: where laws are tabulated. They have to hold the law of the path at all times.
    end : float, default 1
        T.
    steps : int, default 32
        Of the splitting that averages over noising paths, a multiple of 4; halves and quarters of them give the extrapolation and the accuracy.

    Returns
    -------
    LawMarginals
        ``law(0)`` is q_0, ``law(T)`` the start p_T h_T^S; ``accuracy`` is 3 times the L1 distance of two extrapolations.

    Raises
    ------
    ProblemError
        If d > 1, or for steps that are no multiple of 4.
    """
    if steps < 4 or steps % 4:
        raise ProblemError(f"the steps are halved twice: give a multiple of 4, got {steps}.")
    x = _line(classifier.data, points)
    logs = [log_weights(classifier, strength=strength, points=x, end=end, steps=steps // k) for k in (4, 2, 1)]
    best, doubted = ((4 * b - a) / 3 for a, b in (logs[1:], logs[:2]))
    fine, coarse = (classifier.tilted(0.0, strength=strength, points=x, log_weight=log) for log in (best, doubted))
    apart = np.abs(fine.density(x[:, None]) - coarse.density(x[:, None])).sum() * (x[1] - x[0])
    laws = {0.0: fine, end: classifier.tilted(end, strength=strength, points=x)}
    return LawMarginals(laws, (0.0,), accuracy=3 * float(apart), source=f"Girsanov, guidance of strength {strength:g}")


def log_weights(
    classifier: NoisedClassifier, *, strength: float, points: ArrayLike, end: float = 1.0, steps: int = 32
) -> Array:
    """log w at the points, by splitting: the potential at both ends of a step, the exact transition between them; parameters as above.

    Accuracy
    --------
    Second order in the steps.
    """
    x, h = _line(classifier.data, points), end / steps
    narrowest = np.hypot(
        classifier.schedule.alpha(h) * classifier.data.covariances.min() ** 0.5, classifier.schedule.sigma(h)
    )
    inside = np.linspace(x[0], x[-1], max(COARSE, 1 + round(PER_WIDTH * (x[-1] - x[0]) / narrowest)))
    log = np.zeros_like(inside)
    for k in reversed(range(steps)):
        later = log - 0.5 * h * _rate(classifier, inside, (k + 1) * h, strength)
        at = x if k == 0 else inside
        mean = _averaged(classifier, np.stack([inside, later]), at, (k * h, (k + 1) * h))
        log = np.log(mean) - 0.5 * h * _rate(classifier, at, k * h, strength)
    return log


def _averaged(classifier: NoisedClassifier, table: Array, at: Array, times: tuple[float, float]) -> Array:
    """E[exp(log w)(X_t')] given X_t at the places ``at``, from a table of places and logarithms."""
    from scipy.interpolate import make_interp_spline

    (alpha, later), (sigma, after) = (
        [f(t) for t in times] for f in (classifier.schedule.alpha, classifier.schedule.sigma)
    )
    slope = later / alpha
    z, weights = normal_nodes(classifier.nodes, 1)
    moved = slope * at[:, None] + np.sqrt(max(after**2 - (slope * sigma) ** 2, 0.0)) * z[:, 0]
    return np.exp(make_interp_spline(*table, k=5)(np.clip(moved, table[0, 0], table[0, -1]))) @ weights


def _rate(classifier: NoisedClassifier, x: Array, t: float, power: float) -> Array:
    """½ S (S − 1) g² |∂ log h|²."""
    pull = classifier.gradient(x[:, None], t)[:, 0]
    return 0.5 * power * (power - 1) * classifier.schedule.diffusion(t) ** 2 * pull**2


def _line(data: GaussianMixture, points: ArrayLike) -> Array:
    if data.dimension > 1:
        raise ProblemError(
            f"guided laws are tabulated on the line only, the data have d = {data.dimension}: sample the guided field instead."
        )
    return np.asarray(points, float)


def _roots(covariances: Array) -> Array:
    """Symmetric roots, shape (m, d, d); of zero too."""
    values, axes = np.linalg.eigh(0.5 * (covariances + np.swapaxes(covariances, 1, 2)))
    return (axes * np.sqrt(np.maximum(values, 0.0))[:, None]) @ np.swapaxes(axes, 1, 2)


def _log_sum(logs: Array) -> Any:
    """log Σ exp over all but the first axis."""
    top = logs.max(axis=(1, 2), keepdims=True)
    return np.log(np.exp(logs - top).sum((1, 2))) + top[:, 0, 0]
