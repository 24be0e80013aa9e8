r"""Objectives of score and flow matching, as quadratic forms in the parameters of a field s = θᵀφ that is linear in its features.

    J(θ) = ½ tr θᵀ A θ − tr bᵀ θ + c,        A = E φ φᵀ

============== ============================================= ============================= =================
objective      J                                             b                             c
============== ============================================= ============================= =================
explicit       ½ E |s − ∇log p_t|²                           E φ (∇log p_t)ᵀ               ½ E |∇log p_t|²
conditional    ½ E |s − y|², y = a x_0 + (b/c) z             E φ yᵀ                        ½ E |y|²
implicit       E [½ |s|² + ∇·s]                              −E ∇φ                         0
boundary       −∮ p s · n dS                                 ∮ p φ nᵀ dS                   0, A = 0
Hutchinson     E [½ |s|² + vᵀ(∇s) v]                         −E (∇φ v) vᵀ                  0
sliced         E [½ (v·s)² + vᵀ(∇s) v]                       −E (∇φ v) vᵀ                  0, A ⊗ E v vᵀ
============== ============================================= ============================= =================

The conditional objective has one form for each kind of field: denoising score matching is kind ``score`` (y = −z/σ), noise prediction ``noise``
(y = z), data prediction ``denoised`` (y = x_0), conditional flow matching ``velocity`` (y = α̇ x_0 + σ̇ z).

They share their minimisers: E y given x_t is the field of that kind, and integration by parts,

    E [s · ∇log p] = ∫ s · ∇p dx = ∮ p s · n dS − E ∇·s,

makes explicit and implicit differ by the constant ½ E |∇log p|² **provided the boundary term ∮ p s · n dS vanishes**: the density has to fall to
zero at the edge of its support. Where it does not, ``implicit(...) + boundary(...)`` is right. Sliced and Hutchinson objectives agree with the
implicit one in the mean over v, where E v vᵀ = I.

References
----------
Hyvärinen (2005), theorem 1; Vincent (2011), equation 11 and appendix; Song et al. (2020), equations 7 and 8; Ho et al. (2020), equation 12;
Lipman et al. (2023), theorem 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from fpk.errors import ProblemError
from fpk.laws import Array
from fpk.models.features import Features, Timed
from fpk.models.points import Pairs, Points, time_nodes


@dataclass(frozen=True, eq=False)
class Quadratic:
    """J(θ) = ½ tr θᵀ A θ − tr bᵀ θ + c over parameters θ of shape (m, d).

    Parameters
    ----------
    A : array, shape (m, m) or (m, d, m, d)
        Symmetric; of the second shape where the components of the field are coupled.
    b : array, shape (m, d)
    c : float

    Notes
    -----
    Sums and multiples of objectives are objectives: ``J + K``, ``2.0 * J``.
    """

    A: Array
    b: Array
    c: float = 0.0

    @property
    def coupled(self) -> bool:
        """Whether A mixes the components of the field."""
        return self.A.ndim == 4

    def applied(self, theta: Array) -> Array:
        """A θ, shape (m, d)."""
        return np.tensordot(self.A, theta, axes=2) if self.coupled else self.A @ theta

    def __call__(self, theta: Array) -> float:
        """J(θ)."""
        return float(0.5 * np.sum(theta * self.applied(theta)) - np.sum(self.b * theta) + self.c)

    def gradient(self, theta: Array) -> Array:
        """∇J = A θ − b, shape (m, d)."""
        return self.applied(theta) - self.b

    def __add__(self, other: Quadratic) -> Quadratic:
        """The sum; a plain A is spread over the components where the other one couples them."""
        first, second = (self._spread(), other._spread()) if self.coupled != other.coupled else (self.A, other.A)
        return Quadratic(first + second, self.b + other.b, self.c + other.c)

    def __rmul__(self, factor: float) -> Quadratic:
        """A multiple."""
        return Quadratic(factor * self.A, factor * self.b, factor * self.c)

    def _spread(self) -> Array:
        """A of shape (m, d, m, d)."""
        return self.A if self.coupled else np.einsum("jl,ik->jilk", self.A, np.eye(self.b.shape[1]))


def regression(features: Features, points: Points, target: Array) -> Quadratic:
    """½ E |θᵀφ(x) − y|² for targets y of shape (n, d)."""
    phi = features(points.x, points.t)
    weighted = points.weights[:, None] * phi
    square = float(points.mean((target**2).sum(1)))
    return Quadratic(phi.T @ weighted, weighted.T @ target, 0.5 * square)


def explicit(features: Features, points: Points, score: Callable[[Array, float], Array]) -> Quadratic:
    """Explicit score matching: regression on the score itself, where it is known."""
    return regression(features, points, score(points.x, points.t))


def conditional(features: Features, pairs: Pairs, *, kind: str = "score") -> Quadratic:
    """Regression on the conditional target of a kind: denoising score matching, noise and data prediction, v, flow matching."""
    return regression(features, pairs.points, pairs.target(kind))


def implicit(features: Features, points: Points) -> Quadratic:
    """Implicit score matching E [½|s|² + ∇·s], without the score; where p > 0 at the edge of the support, add :func:`boundary`."""
    phi = features(points.x, points.t)
    slopes = points.mean(features.gradient(points.x, points.t))
    return Quadratic(phi.T @ (points.weights[:, None] * phi), -slopes)


def boundary(features: Features, edge: Points, normals: Array) -> Quadratic:
    r"""What implicit score matching lacks where the density does not vanish at the edge of its support: −∮ p s · n dS.

    Parameters
    ----------
    features : Features
    edge : Points
        Positions on the edge; their weights are p dS, the density times the area they stand for (on the line the density itself), and do not
        sum to 1.
    normals : array, shape (n, d)
        Unit normals that point out of the support.

    Raises
    ------
    ProblemError
        For normals of another shape or length.

    Examples
    --------
    The law e^{−x} on x > 0 has the score −1; without the term the best constant is 0.

    >>> from fpk.models.features import Hermite
    >>> x, w = np.polynomial.laguerre.laggauss(8)
    >>> found = implicit(Hermite(0), Points(x[:, None], w))
    >>> float(found.gradient(np.array([[0.0]]))[0, 0])
    0.0
    >>> found = found + boundary(Hermite(0), Points(np.zeros((1, 1)), np.ones(1)), np.array([[-1.0]]))
    >>> float(round(found.gradient(np.array([[-1.0]]))[0, 0], 12))
    0.0
    """
    if normals.shape != edge.x.shape or not np.allclose((normals**2).sum(1), 1.0):
        raise ProblemError(
            f"one outward unit normal of shape (n, d) is needed for each of the positions {edge.x.shape} on the edge, got shape "
            f"{normals.shape} and lengths {np.unique(np.round(np.linalg.norm(normals, axis=-1), 6))[:3].tolist()}."
        )
    phi = features(edge.x, edge.t)
    return Quadratic(np.zeros((phi.shape[1],) * 2), phi.T @ (edge.weights[:, None] * normals))


def hutchinson(features: Features, points: Points, directions: Array) -> Quadratic:
    """Implicit score matching with the divergence estimated by projections vᵀ(∇s)v (reduced variance: |s|² is not projected).

    Parameters
    ----------
    features : Features
    points : Points
    directions : array, shape (n, k, d)
        k directions v for every position, with E v vᵀ = I: see :func:`rademacher`.
    """
    phi = features(points.x, points.t)
    return Quadratic(phi.T @ (points.weights[:, None] * phi), -_projected_slopes(features, points, directions))


def sliced(features: Features, points: Points, directions: Array) -> Quadratic:
    """Sliced score matching: projections vᵀ(∇s)v and ½(v·s)²; parameters and directions as for :func:`hutchinson`."""
    slopes, phi = _projected_slopes(features, points, directions), features(points.x, points.t)
    spread = np.einsum("nai,nak->nik", directions, directions) / directions.shape[1]
    return Quadratic(np.einsum("n,nj,nl,nik->jilk", points.weights, phi, phi, spread, optimize=True), -slopes)


def _projected_slopes(features: Features, points: Points, directions: Array) -> Array:
    """E (∇φ v) vᵀ, shape (m, d)."""
    if directions.ndim != 3 or directions.shape[::2] != points.x.shape:
        raise ProblemError(
            f"directions of shape (n, k, d) are needed for positions {points.x.shape}, got {directions.shape}: "
            "k directions for every position, for example rademacher(points, count=1, rng=rng)."
        )
    slopes, k = features.gradient(points.x, points.t), directions.shape[1]
    return np.einsum("n,nji,nai,nak->jk", points.weights, slopes, directions, directions, optimize=True) / k


def rademacher(points: Points, *, count: int, rng: np.random.Generator) -> Array:
    """Directions of independent signs, E v vᵀ = I; shape (n, count, d)."""
    return rng.choice([-1.0, 1.0], size=(len(points.x), count, points.x.shape[1]))


def over_time(
    features: Timed,
    objective: Callable[[Features, float], Quadratic],
    *,
    nodes: int = 16,
    weighting: Callable[[float], float] = lambda t: 1.0,
) -> Quadratic:
    """∫ λ(t) J_t dt over the times of the features, by Gauss–Legendre quadrature.

    Parameters
    ----------
    features : Timed
    objective : callable
        (features of x, t) ↦ J_t: what one time contributes.
    nodes : int
        More than the degree of the features in t.
    weighting : callable
        λ(t) ≥ 0. λ = g² makes the objective the bound of :mod:`fpk.models.bounds`, λ = σ² weighs predictions of the noise equally.

    Raises
    ------
    ProblemError
        With too few nodes for a unique minimiser.
    """
    if nodes <= features.degree:
        raise ProblemError(
            f"features of degree {features.degree} in t need more than {features.degree} nodes, got {nodes}."
        )
    return total(
        w * weighting(t) * lifted(objective(features.base, t), features.clock(t))
        for t, w in time_nodes(features.start, features.end, nodes=nodes)
    )


def lifted(objective: Quadratic, clock: Array) -> Quadratic:
    """The objective of parameters θ_k for several functions of time, from that of Σ_k clock_k θ_k: A ↦ clock clockᵀ ⊗ A, b ↦ clock ⊗ b."""
    m, d = objective.b.shape
    rows = m * d if objective.coupled else m
    A = np.kron(np.outer(clock, clock), objective.A.reshape(rows, rows))
    shape = (len(clock) * m, d) * 2 if objective.coupled else A.shape
    return Quadratic(A.reshape(shape), np.kron(clock[:, None], objective.b), objective.c)


def total(objectives: Iterable[Quadratic]) -> Quadratic:
    """The sum of objectives, one at least."""
    first, *others = objectives
    for other in others:
        first = first + other
    return first
