r"""Matching with Bregman divergences: every one of them has the conditional mean as its minimiser, and they differ in what they forgive.

For a convex potential Φ,

    D(y, s) = Φ(y) − Φ(s) − ⟨∇Φ(s), y − s⟩ ≥ 0,

and for a target y with the conditional mean ȳ = E[y | x_t]

    E D(y, s(x_t)) = E D(ȳ, s(x_t)) + E D(y, ȳ):

what can be computed (the loss of the target) and what is wanted (the loss of its mean) differ by a constant, so their gradients are the same. With
Φ = |·|² this is denoising score matching. For a field that is linear in its features, s = θᵀφ, the minimiser solves

    E φ ⊗ ∇²Φ(s) (y − s) = 0,

a regression whose weights are the curvature of Φ where the field is; it is solved again with the new weights until nothing changes.

References
----------
Banerjee, Guo & Wang (2005), theorem 1; LeTolguenec and Biquard, logical and practical loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fpk.errors import ProblemError
from fpk.laws import Array
from fpk.models.features import Features
from fpk.models.fits import Fit, fit
from fpk.models.objectives import Quadratic
from fpk.models.points import Pairs, Points

#: Rounds of weighted regression, and the relative change of the parameters at which they end.
ROUNDS, SETTLED = 200, 1e-12


@dataclass(frozen=True)
class Potential:
    """A strictly convex function on R^d with its derivatives.

    Parameters
    ----------
    name : str
    value, gradient, curvature : callable
        Of arrays s (n, d): Φ(s) (n,), ∇Φ(s) (n, d), ∇²Φ(s) (n, d, d).
    """

    name: str
    value: Callable[[Array], Array]
    gradient: Callable[[Array], Array]
    curvature: Callable[[Array], Array]

    def divergence(self, y: Array, s: Array) -> Array:
        """D(y, s) of rows, shape (n,).

        Examples
        --------
        >>> SQUARE.divergence(np.array([[3.0, 0.0]]), np.array([[1.0, 1.0]]))
        array([5.])
        """
        return self.value(y) - self.value(s) - np.sum(self.gradient(s) * (y - s), axis=1)


def _diagonal(entries: Array) -> Array:
    return entries[:, :, None] * np.eye(entries.shape[1])


def _radial(s: Array) -> Array:
    """∇² |s|⁴ = 4 |s|² + 8 s sᵀ."""
    return 4 * np.sum(s**2, 1)[:, None, None] * np.eye(s.shape[1]) + 8 * s[:, :, None] * s[:, None, :]


#: |s|²: mean squared error.
SQUARE = Potential("square", lambda s: np.sum(s**2, 1), lambda s: 2 * s, lambda s: _diagonal(np.full_like(s, 2.0)))
#: Σ exp(s_k): large predictions weigh more than small ones.
EXPONENTIAL = Potential("exponential", lambda s: np.exp(s).sum(1), np.exp, lambda s: _diagonal(np.exp(s)))
#: |s|² + |s|⁴: mean squared error near 0, and more of it far away.
QUARTIC = Potential(
    "square + fourth power",
    lambda s: np.sum(s**2, 1) + np.sum(s**2, 1) ** 2,
    lambda s: 2 * s + 4 * np.sum(s**2, 1, keepdims=True) * s,
    lambda s: _diagonal(np.full_like(s, 2.0)) + _radial(s),
)


@dataclass(frozen=True, eq=False)
class BregmanLoss:
    """θ ↦ E D(y, θᵀφ(x)) for targets y of shape (n, d).

    Parameters
    ----------
    features : Features
    points : Points
    target : array, shape (n, d)
    potential : Potential

    Examples
    --------
    >>> from fpk.models.features import Hermite
    >>> points = Points(np.array([[0.0], [1.0]]), np.array([0.5, 0.5]))
    >>> loss = BregmanLoss(Hermite(1), points, np.array([[1.0], [1.0]]), EXPONENTIAL)
    >>> round(loss(np.zeros((2, 1))), 12) == round(np.e - 2, 12)
    True
    """

    features: Features
    points: Points
    target: Array
    potential: Potential

    def __call__(self, theta: Array) -> float:
        """The loss of parameters of shape (m, d)."""
        return float(self.points.mean(self.potential.divergence(self.target, self._predicted(theta))))

    def gradient(self, theta: Array) -> Array:
        """Its gradient −E φ ⊗ ∇²Φ(s)(y − s), shape (m, d)."""
        return self.weighted(theta).gradient(theta)

    def weighted(self, theta: Array) -> Quadratic:
        """The regression with weights ∇²Φ(θᵀφ), whose gradient at θ is that of the loss."""
        phi = self.features(self.points.x, self.points.t)
        curvature = self.points.weights[:, None, None] * self.potential.curvature(self._predicted(theta))
        A = np.einsum("nj,nl,nik->jilk", phi, phi, curvature, optimize=True)
        return Quadratic(A, np.einsum("nj,nik,nk->ji", phi, curvature, self.target, optimize=True))

    def _predicted(self, theta: Array) -> Array:
        return self.features(self.points.x, self.points.t) @ theta


def bregman_fit(
    features: Features, pairs: Pairs, potential: Potential, *, kind: str = "noise", ridge: float = 0.0
) -> tuple[Fit, BregmanLoss]:
    """The field of a kind that minimises a Bregman loss of its conditional target.

    Parameters
    ----------
    features : Features
    pairs : Pairs
    potential : Potential
    kind : str, default "noise"
    ridge : float, default 0
        As for :func:`fpk.models.fits.fit`.

    Returns
    -------
    Fit, BregmanLoss
        The last weighted regression, and the loss it minimises.

    Raises
    ------
    ProblemError
        If the parameters do not settle within :data:`ROUNDS` rounds: features that grow, or a potential that is flat or steep where they reach.

    Examples
    --------
    Data N(1, .5²): the exact noise prediction is linear in x, and every potential finds it.

    >>> import fpk
    >>> from fpk.models.features import Hermite
    >>> from fpk.models.points import quadrature_pairs
    >>> pairs = quadrature_pairs(fpk.Gaussian(1.0, 0.5), fpk.VPSchedule(1.0), t=0.5)
    >>> found = [bregman_fit(Hermite(1), pairs, potential)[0].model.theta for potential in (SQUARE, EXPONENTIAL, QUARTIC)]
    >>> float(max(abs(theta - found[0]).max() for theta in found)) < 1e-9
    True
    """
    loss = BregmanLoss(features, pairs.points, pairs.target(kind), potential)
    theta = np.zeros((features.count, features.dimension))
    for _ in range(ROUNDS):
        found = fit(features, loss.weighted(theta), kind=kind, schedule=pairs.schedule, ridge=ridge)
        change = float(np.abs(found.model.theta - theta).max())
        theta = found.model.theta
        if change <= SETTLED * (1 + float(np.abs(theta).max())):
            return found, loss
    raise ProblemError(
        f"the {potential.name} loss has not settled after {ROUNDS} weighted regressions (last change {change:.2g}): "
        "use bounded features, a ridge, or another potential."
    )
