r"""The exact field of a data law on a path.

For data Σ_m w_m N(μ_m, Σ_m) the law at time t is the mixture of N(α μ_m, C_m), C_m = α² Σ_m + σ² I, and both conditional means are its
responsibilities r_m(x) times affine maps. So is every kind: with o = a X0 + (b/c) ε and ε = −σ ∇ log p_t,

    o(x) = Σ_m r_m(x) [a μ_m + (α a Σ_m + (σ b/c) I) C_m⁻¹ (x − α μ_m)],

which divides neither by α nor by σ: score and velocity are exact at t = 0, denoised mean and velocity where α = 0.

Data at points x_m, Σ_m = 0, have no density, but a field wherever σ > 0: the mean, given the place, of the *conditional* fields of single points

    o(x|x_m) = a x_m + (b/c) (x − α x_m)/σ,

of which the velocity (α̇ − σ̇α/σ) x_m + (σ̇/σ) x and the score (α x_m − x)/σ² are what flow and score matching regress on.

References
----------
Lipman et al. (2023), equations 8 and 15 and theorem 3; Liu, Gong and Liu (2023), equation 2.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from operator import add
from typing import Any

import numpy as np

from fpk.errors import NoClosedForm, ProblemError
from fpk.fields.field import Field
from fpk.fields.kinds import checked_kind, combination
from fpk.laws import Array, GaussianMixture
from fpk.problem import Problem
from fpk.schedules import Schedule
from fpk.tracing import Instant, known, traceable

#: Pairs of a place and a point worked on at once.
PAIRS = 2**20


def exact_field(data: Any, schedule: Schedule | None = None, *, kind: str = "score") -> Field:
    """The field a perfect model of the data would have.

    Parameters
    ----------
    data : GaussianMixture or Problem
        The law at t = 0, or a problem that starts from it (:func:`fpk.noising`).
    schedule : Schedule, optional
        May be omitted for a problem that states its own.
    kind : str
        One of KINDS; conversion gives the others, but a kind asked for here is exact also where conversion is not determined.

    Raises
    ------
    NoClosedForm
        If the data are no Gaussian mixture.
    ProblemError
        If there is no schedule; on evaluation, for positions of another dimension.

    Accuracy
    --------
    Round-off, far into the tails too. The result can be compiled.

    Examples
    --------
    >>> import numpy as np, fpk
    >>> from fpk.fields import exact_field
    >>> exact_field(fpk.Gaussian(2.0, 0.5), fpk.VPSchedule(1.0), kind="denoised")(np.array([[1.0]]), 0.0)
    array([[1.]])
    """
    checked_kind(kind)
    law = data.initial if isinstance(data, Problem) else data
    path = schedule or (data.schedule if isinstance(data, Problem) else None)
    if path is None:
        raise ProblemError("an exact field needs a schedule: exact_field(law, schedule), or a problem that states one.")
    if not isinstance(law, GaussianMixture):
        raise NoClosedForm(
            f"the exact field of {type(law).__name__} data is not known in closed form: give a GaussianMixture, or "
            "use the score of a grid solution."
        )

    @lru_cache(maxsize=4096)
    def law_at(t: float) -> GaussianMixture:
        return _noised(law, path, t)

    @lru_cache(maxsize=4096)
    def maps_at(t: float) -> Array:
        return _affine_maps(law, kind, path, t)

    @traceable
    def function(x: Array, t: Any) -> Array:
        if x.shape[1] != law.dimension:
            raise ProblemError(
                f"the exact field of data in dimension {law.dimension} needs positions of shape (n, {law.dimension}), got {x.shape}."
            )
        mixture = GaussianMixture.traced(law_at, t) if isinstance(t, Instant) else law_at(t)
        return _averaged(mixture.responsibilities(x), known(maps_at, t), x)

    return Field(function, kind, path)


def empirical_field(points: Any, schedule: Schedule, *, kind: str = "score", weights: Any = None) -> Field:
    """The field of data at finitely many points: of one point the conditional field, of a data set what a model that knows it by heart would say.

    Parameters
    ----------
    points : array_like, shape (m, d) or (m,)
        One-dimensional input means d = 1.
    schedule : Schedule
    kind : str
        One of KINDS.
    weights : array_like, shape (m,), optional
        Of the points, summing to 1; default equal.

    Raises
    ------
    ProblemError
        For points or weights of other shapes or values; on evaluation where σ = 0, and for positions of another dimension.

    Accuracy
    --------
    Round-off, for places far from all points too. The cost of a call is (places) × (points).

    Examples
    --------
    >>> import numpy as np
    >>> from fpk.fields import empirical_field
    >>> from fpk.schedules import OTSchedule
    >>> towards = empirical_field([[2.0, 0.0]], OTSchedule(), kind="velocity")  # (x − x₁)/t, as t falls to 0
    >>> towards(np.array([[1.0, 1.0]]), 0.5)
    array([[-2.,  2.]])
    """
    checked_kind(kind)
    data, shares = _weighted(points, weights)

    def function(x: Array, t: float) -> Array:
        if x.shape[1] != data.shape[1]:
            raise ProblemError(
                f"points in dimension {data.shape[1]} need positions of shape (n, {data.shape[1]}), got {x.shape}."
            )
        alpha, sigma, row = schedule.alpha(t), schedule.sigma(t), combination(kind, schedule, t)
        if not sigma > 0:
            raise ProblemError(
                f"points without noise have no field, asked at t={t:g} where σ = 0: end before, or give a law with a density."
            )
        noise = (row.b / sigma if row.over_sigma else row.b) / sigma
        size = max(1, PAIRS // len(data))
        means = [
            _given_place(x[i : i + size], alpha * data, sigma, shares) @ data for i in range(0, max(len(x), 1), size)
        ]
        return (row.a - alpha * noise) * np.concatenate(means) + noise * x

    return Field(function, kind, schedule)


def _weighted(points: Any, weights: Any) -> tuple[Array, Array]:
    """Points (m, d) and their weights, without those of weight 0."""
    given = np.asarray(points, float)
    data = given[:, None] if given.ndim == 1 else given
    if data.ndim != 2 or not data.size or not np.all(np.isfinite(data)):
        raise ProblemError(f"points are a finite array of shape (m, d) with m ≥ 1, got shape {given.shape}.")
    shares = np.full(len(data), 1 / len(data)) if weights is None else np.asarray(weights, float)
    if shares.shape != (len(data),) or not np.all(shares >= 0) or not abs(shares.sum() - 1) < 1e-9:
        raise ProblemError(f"{len(data)} points need as many weights ≥ 0 that sum to 1, got {shares.tolist()}.")
    return data[shares > 0], shares[shares > 0]


def _given_place(x: Array, centres: Array, sigma: float, weights: Array) -> Array:
    """P(X_0 = x_m | X_t = x), shape (n, m)."""
    logs = -0.5 * ((x[:, None] - centres) ** 2).sum(2) / sigma**2
    shares = weights * np.exp(logs - logs.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def _noised(law: GaussianMixture, schedule: Schedule, t: float) -> GaussianMixture:
    """The law of α X_0 + σ Z."""
    eye = np.eye(law.dimension)
    return law.pushed(schedule.alpha(t) * eye, np.zeros(law.dimension), schedule.sigma(t) ** 2 * eye)


def _affine_maps(law: GaussianMixture, kind: str, schedule: Schedule, t: float) -> Array:
    """[A_m | a_m] of the components' maps A_m x + a_m, shape (m, d, d + 1)."""
    alpha, sigma, row = schedule.alpha(t), schedule.sigma(t), combination(kind, schedule, t)
    eye, weight = np.eye(law.dimension), row.b if row.over_sigma else sigma * row.b
    gains = (alpha * row.a * law.covariances + weight * eye) @ np.linalg.inv(
        alpha**2 * law.covariances + sigma**2 * eye
    )
    shifts = row.a * law.means - alpha * np.einsum("mij,mj->mi", gains, law.means)
    return np.concatenate([gains, shifts[:, :, None]], axis=2)


def _averaged(shares: Array, maps: Array, x: Array) -> Array:
    """Σ_m r_m (A_m x + a_m), from the responsibilities r_m, shape (m, n)."""
    if x.shape[1] == 1:
        return reduce(add, shares * (maps[:, 0, :1] * x[:, 0] + maps[:, 0, 1:]))[:, None]
    return reduce(add, (share[:, None] * _affine(part, x) for share, part in zip(shares, maps, strict=True)))


def _affine(part: Array, x: Array) -> Array:
    """A x + a for rows x of shape (n, d), by sums in a fixed order: the bits of a row do not depend on the others."""
    return reduce(add, (part[:, j] * x[:, j : j + 1] for j in range(x.shape[1]))) + part[:, -1]
