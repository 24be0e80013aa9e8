r"""The kinds of fields, and the arithmetic between them.

With X0 = E[X_0 | x] and ε = E[Z | x], every kind is o = a X0 + (b/c) ε:

========= ==== ===== ==== =========================================
kind      a    b     c    o
========= ==== ===== ==== =========================================
noise     0    1     1    ε
denoised  1    0     1    X0
v         −σ   α     1    α ε − σ X0
score     0    −1    σ    ∇ log p_t = −ε/σ
velocity  α̇    σ̇     1    α̇ X0 + σ̇ ε, of the probability flow
========= ==== ===== ==== =========================================

where the velocity is read as (α̇, σσ̇, σ) at times where σ̇ is infinite but ½ d(σ²)/dt = σσ̇ is not. Together with x = α X0 + σ ε, the output of one kind
makes two linear equations for X0 and ε. By Cramer's rule, the output o' of another kind is

    o' = (c Δ'/(c' Δ)) o + ((c/c') a b' − a' b)/Δ x,    Δ = c a σ − b α,

in which c and c' are only divided by each other: nothing is lost where both vanish.

References
----------
Salimans and Ho (2022), section 4 and appendix D (v); Song et al. (2021), equation 13; Lipman et al. (2023), theorem 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fpk.errors import ProblemError, UnknownName
from fpk.schedules import Schedule, rates

KINDS = ("score", "noise", "denoised", "v", "velocity")


@dataclass(frozen=True)
class Combination:
    """o = a X0 + (b/c) ε with c = σ where ``over_sigma``, else 1."""

    a: float
    b: float
    over_sigma: bool = False

    def determinant(self, alpha: float, sigma: float) -> float:
        """Δ = c a σ − b α."""
        return (sigma if self.over_sigma else 1.0) * self.a * sigma - self.b * alpha


def checked_kind(kind: str) -> str:
    """The kind, refused if it is none of KINDS."""
    if kind not in KINDS:
        raise UnknownName("kind of field", kind, KINDS)
    return kind


def combination(kind: str, schedule: Schedule, t: float) -> Combination:
    """The row of the table for a kind at time t."""
    if kind == "v":
        return Combination(-schedule.sigma(t), schedule.alpha(t))
    if kind == "velocity":
        return _velocity(schedule, t)
    return {
        "noise": Combination(0.0, 1.0),
        "denoised": Combination(1.0, 0.0),
        "score": Combination(0.0, -1.0, over_sigma=True),
    }[checked_kind(kind)]


def _velocity(schedule: Schedule, t: float) -> Combination:
    alpha_rate, sigma_rate = rates(schedule, t)
    if np.isfinite(sigma_rate):
        return Combination(alpha_rate, sigma_rate)
    return Combination(alpha_rate, 0.5 * schedule.diffusion(t) ** 2, over_sigma=True)  # σσ̇ = ½g² where σ = 0


def conversion(source: str, target: str, *, schedule: Schedule, t: float) -> tuple[float, float]:
    """The numbers (p, q) of target = p · source + q x at time t.

    Parameters
    ----------
    source, target : str
        Of KINDS.
    schedule : Schedule
    t : float

    Raises
    ------
    ProblemError
        Where the source does not determine the target: a score or velocity from a denoised mean at σ = 0, a denoised mean from a score
        at α = 0.

    Accuracy
    --------
    Round-off of the two terms p · source and q x.
    """
    known, wanted = combination(source, schedule, t), combination(target, schedule, t)
    if source == target:
        return 1.0, 0.0
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    determinant = known.determinant(alpha, sigma)
    if determinant == 0 or (wanted.over_sigma and not known.over_sigma and sigma == 0):
        raise ProblemError(
            f"the field's {source} does not determine its {target} at t={t:g}, where α = {alpha:g} and σ = {sigma:g}: "
            "end before that time, or use a field of a kind that is determined there."
        )
    ratio = 1.0 if known.over_sigma == wanted.over_sigma else sigma if known.over_sigma else 1.0 / sigma
    scale = ratio * wanted.determinant(alpha, sigma) / determinant
    return scale, (ratio * known.a * wanted.b - wanted.a * known.b) / determinant
