r"""Fits: the minimiser of a quadratic objective as a field, its loss on data it has not seen, and its error where the law is known.

The minimiser solves (A + r diag A) θ = b with a stated relative ridge r (0: none). A is scaled to a unit diagonal and decomposed into its
eigenvectors; directions below ``CUT`` of the largest eigenvalue say nothing and are left at 0 (the solution of smallest norm).

A loss on held-out pairs has a part no model can remove. With o the exact field and y the conditional target, E [y | x_t] = o gives

    E |o_θ − y|² = E |o_θ − o|² + E |o − y|²,

so that where o is known, the mean of |o_θ − y|² − |o − y|² over held-out pairs estimates the error itself, with the noise of y nearly gone.

References
----------
Vincent (2011), appendix; Hyvärinen (2005), section 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fpk.errors import ProblemError
from fpk.fields import Field
from fpk.fields.kinds import checked_kind
from fpk.laws import Array
from fpk.models.features import Features
from fpk.models.objectives import Quadratic
from fpk.models.points import Pairs, Points
from fpk.schedules import Schedule

#: Eigenvalues of the scaled A below this share of the largest one are round-off.
CUT = 1e-13
#: Fewest held-out pairs at a time: confidence limits lean on the central limit theorem.
FEWEST = 1000


@dataclass(frozen=True, eq=False)
class LinearField:
    """x, t ↦ θᵀ φ(x, t), shape (n, d).

    Parameters
    ----------
    features : Features
    theta : array, shape (m, d)
    """

    features: Features
    theta: Array

    def __call__(self, x: Array, t: float) -> Array:
        """The field at positions x of shape (n, d)."""
        return self.features.combined(self.theta, x, t)

    def jacobian(self, x: Array, t: float) -> Array:
        """∂_i s_k at [n, k, i], shape (n, d, d)."""
        return np.einsum("nji,jk->nki", self.features.gradient(x, t), self.theta)

    def divergence(self, x: Array, t: float) -> Array:
        """∇·s, shape (n,)."""
        return np.einsum("njk,jk->n", self.features.gradient(x, t), self.theta)


@dataclass(frozen=True, eq=False)
class Fit:
    """A minimiser with what its linear system was like.

    Parameters
    ----------
    model : LinearField
    field : Field
        The model with its kind and schedule declared.
    objective : Quadratic
    ridge : float
        Relative to the diagonal of A.
    condition : float
        Largest over smallest eigenvalue of the scaled, ridged A (infinite where it is singular).
    rank : int
        Directions that were determined, of m (m·d where components are coupled).
    """

    model: LinearField
    field: Field
    objective: Quadratic
    ridge: float
    condition: float
    rank: int

    @property
    def loss(self) -> float:
        """The objective at the minimiser, on what it was fitted to."""
        return self.objective(self.model.theta)

    def __str__(self) -> str:
        """Kind, size, loss and condition."""
        m, d = self.model.theta.shape
        system = f"condition {self.condition:.2g}, rank {self.rank}, ridge {self.ridge:g}"
        return f"{self.field.kind} field of {m} × {d} parameters, loss {self.loss:.6g}, {system}"


def fit(
    features: Features, objective: Quadratic, *, kind: str = "score", schedule: Schedule, ridge: float = 0.0
) -> Fit:
    """The field that minimises a quadratic objective over θ.

    Parameters
    ----------
    features : Features
        Those the objective was made of.
    objective : Quadratic
    kind : str, default "score"
        What the objective makes of the field: that of the conditional objective, ``score`` for the others.
    schedule : Schedule
    ridge : float, default 0
        r ≥ 0: r diag A is added to A. Of noisy data with more features than they determine, 1e-6 to 1e-3.

    Raises
    ------
    ProblemError
        If the objective has another number of parameters than the features, is not finite, or the ridge is negative.

    Accuracy
    --------
    Round-off times the condition, which is reported; with a ridge the minimiser is that of J + ½ r Σ A_jj θ_j².
    """
    checked_kind(kind)
    if objective.b.shape != (features.count, features.dimension):
        raise ProblemError(
            f"the objective has parameters of shape {objective.b.shape}, the features need ({features.count}, {features.dimension}): "
            "make both of the same features."
        )
    if not (np.isfinite(ridge) and ridge >= 0):
        raise ProblemError(f"the ridge must be a number ≥ 0, got {ridge!r}.")
    theta, condition, rank = _minimised(objective, ridge)
    model = LinearField(features, theta)
    return Fit(model, Field(model, kind, schedule), objective, ridge, condition, rank)


def _minimised(objective: Quadratic, ridge: float) -> tuple[Array, float, int]:
    """Minimiser of shape (m, d), condition and rank."""
    size = objective.b.size if objective.coupled else len(objective.b)
    A, b = objective.A.reshape(size, size), objective.b.reshape(size, -1)
    if not (np.all(np.isfinite(A)) and np.all(np.isfinite(b))):
        raise ProblemError("the objective is not finite: look at its features and targets for values that overflow.")
    scale = 1 / np.sqrt(np.maximum(np.diag(A), np.finfo(float).tiny))
    values, axes = np.linalg.eigh(A * np.outer(scale, scale) + ridge * np.eye(size))
    kept = values > CUT * values[-1]
    axes = axes[:, kept]
    theta = scale[:, None] * (axes @ ((axes.T @ (scale[:, None] * b)) / values[kept, None]))
    condition = float(values[-1] / values[0]) if kept.all() else np.inf
    return theta.reshape(objective.b.shape), condition, int(kept.sum())


@dataclass(frozen=True)
class HeldOut:
    """A loss on pairs the fit has not seen, with one-sided confidence limits.

    Parameters
    ----------
    mean, standard_error : float
    samples : int
        Fewest pairs at one time.
    alpha : float
        Probability that ``upper`` is below the expectation, and that ``lower`` is above it, for many pairs.
    """

    mean: float
    standard_error: float
    samples: int
    alpha: float

    @property
    def upper(self) -> float:
        """Upper confidence limit (Student's t)."""
        return self.mean + self._reach

    @property
    def lower(self) -> float:
        """Lower confidence limit (Student's t)."""
        return self.mean - self._reach

    @property
    def _reach(self) -> float:
        from scipy.special import stdtrit

        return float(-stdtrit(self.samples - 1, self.alpha)) * self.standard_error

    def __str__(self) -> str:
        """Mean, standard error and upper limit."""
        return f"{self.mean:.4g} ± {self.standard_error:.2g}, at most {self.upper:.4g} (α = {self.alpha:g}, {self.samples:,} pairs)"


def held_out(
    field: Field,
    pairs: Sequence[Pairs],
    *,
    weights: Sequence[float] | None = None,
    kind: str | None = None,
    exact: Field | None = None,
    alpha: float = 1e-3,
) -> HeldOut:
    """Σ_q λ_q E |o_θ − y|² over independent pairs at several times; less the part no model can remove where the exact field is given.

    Parameters
    ----------
    field : Field
    pairs : sequence of Pairs
        Samples at one time each, that the field was not fitted to.
    weights : sequence of float, optional
        λ_q, one for each time; default 1.
    kind : str, optional
        The kind the loss is read in; default that of the field.
    exact : Field, optional
        Subtracts |o − y|² of the exact field pair by pair: the expectation is then Σ_q λ_q E |o_θ − o|².
    alpha : float, default 1e-3
        Of the confidence limits.

    Raises
    ------
    ProblemError
        With fewer than 1,000 pairs at a time, pairs of unequal weights, or another number of weights than times.
    """
    factors = [1.0] * len(pairs) if weights is None else list(weights)
    if len(factors) != len(pairs) or not pairs:
        raise ProblemError(f"one weight for each time is needed, got {len(factors)} for {len(pairs)} times.")
    mean, variance = 0.0, 0.0
    for factor, held in zip(factors, pairs, strict=True):
        losses = _losses(field, held, kind or field.kind, exact)
        mean += factor * float(losses.mean())
        variance += factor**2 * float(losses.var(ddof=1)) / len(losses)
    return HeldOut(mean, float(np.sqrt(variance)), min(len(held.x) for held in pairs), alpha)


def _losses(field: Field, pairs: Pairs, kind: str, exact: Field | None) -> Array:
    """|o_θ − y|² (less |o − y|²) of every pair, shape (n,)."""
    if len(pairs.x) < FEWEST or np.ptp(pairs.weights) > 0:
        raise ProblemError(
            f"a held-out loss needs {FEWEST} independent pairs of equal weight or more at each time, got {len(pairs.x)}: "
            "draw them with fpk.models.points.drawn."
        )
    y = pairs.target(kind)
    losses = ((field.converted(kind)(pairs.x, pairs.t) - y) ** 2).sum(1)
    return losses if exact is None else losses - ((exact.converted(kind)(pairs.x, pairs.t) - y) ** 2).sum(1)


def field_error(field: Field, exact: Field, points: Points, *, kind: str = "score") -> float:
    """E |o_θ − o|² over points of the law at their time, where the exact field is known: by quadrature, with :func:`fpk.models.points.law_points`."""
    apart = field.converted(kind)(points.x, points.t) - exact.converted(kind)(points.x, points.t)
    return float(points.mean((apart**2).sum(1)))
