r"""The exact field of a data law on a path.

For data Σ_m w_m N(μ_m, Σ_m) the law at time t is the mixture of N(α μ_m, C_m), C_m = α² Σ_m + σ² I, and both conditional means are its
responsibilities r_m(x) times affine maps. So is every kind: with o = a X0 + (b/c) ε and ε = −σ ∇ log p_t,

    o(x) = Σ_m r_m(x) [a μ_m + (α a Σ_m + (σ b/c) I) C_m⁻¹ (x − α μ_m)],

which divides neither by α nor by σ: score and velocity are exact at t = 0, denoised mean and velocity where α = 0.
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
