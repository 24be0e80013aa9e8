r"""Poisson flow: data in R^N as charges on the plane z = 0 of R^{N+1}, and noise that follows their field lines home.

The field of the charges at height z > 0, with A the area of the unit sphere of R^{N+1},

    E(x, z) = 1/A ∫ (x − y, z) / (|x − y|² + z²)^{(N+1)/2} p(y) dy

is without divergence, so that the lines of dx/dz = E_x/E_z carry the law with density 2 E_z(·, z) from plane to plane: X_z = X_0 + z C with
a multivariate Cauchy variable C, and the data at z = 0. At a large height p is forgotten, X_z ≈ z C: the uniform law on the hemisphere of
radius z, projected from the origin. Lines that start uniformly on a large hemisphere end at the data too.

A Gaussian component N(m, S) has in one dimension, ζ = (x − m + i z)/√(2 S) and w Faddeeva's function, E_x + i E_z = (8πS)^{−1/2} (Im w(ζ) + i
Re w(ζ)). In more the kernel is a mixture of Gaussians over their variances v, r^{−(N+1)} ∝ ∫ v^{−(N+3)/2} e^{−r²/2v} dv, integrated over
log v by the trapezoidal rule.

References
----------
Xu, Liu, Tegmark & Jaakkola (2022), Poisson Flow Generative Models, equations 3, 6 and 10 and theorem 1; Xu et al. (2023), PFGM++, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import exp, lgamma, log, pi
from typing import Any, Protocol, TypeAlias

import numpy as np

from fpk.errors import ProblemError, SchemeError
from fpk.laws import Array, GaussianMixture, Law, ScipyLaw
from fpk.samplers.flows import METHODS, ProbabilityFlow

#: A height above the plane of the charges, or one for each position, shape (n, 1).
Height: TypeAlias = float | Array
#: Spacing of log v, and where the integral over it begins (z²/2v = 745 is e^−745) and ends.
SPACING, LOWEST = 0.3, -7.3
#: Pairs of a position and a charge worked on at once.
PAIRS = 2**20


def sphere_area(dimension: int) -> float:
    """Area of the unit sphere of R^dimension, 2 π^{d/2}/Γ(d/2): 2, 2π, 4π, ..."""
    return exp(log(2) + dimension / 2 * log(pi) - lgamma(dimension / 2))


def coulomb(charges: Array | GaussianMixture, x: Array) -> Array:
    """The field of charges in their own space, 1 in all: E (x − Y)/(A |x − Y|^d), A the unit sphere's area; without the added dimension.

    Parameters
    ----------
    charges : array, shape (m, d), or GaussianMixture
        Equal charges at points, or a law of them.
    x : array, shape (n, d)
        Not at a charge that is a point.

    Returns
    -------
    array, shape (n, d)

    Raises
    ------
    ProblemError
        For places of another dimension.

    Notes
    -----
    Along −E particles gather where its potential is largest, at the median on the line: that is why Poisson flow adds a dimension. A round component
    acts like a point with the charge inside a sphere; others are integrated over variances, E = −½ ∫₀^∞ ∇p_v dv.

    Examples
    --------
    >>> coulomb(GaussianMixture([1.0], [0.0], stds=[1.0]), np.array([[0.0], [50.0]]))  # F(x) − ½
    array([[0. ],
           [0.5]])
    """
    law = isinstance(charges, GaussianMixture)
    if np.ndim(x) != 2 or x.shape[1] != (charges.dimension if law else charges.shape[1]):
        raise ProblemError(
            f"the field of charges is asked at places (n, d) of their own space, got shape {np.shape(x)}."
        )
    if not len(x):
        return np.zeros(x.shape)
    if isinstance(charges, GaussianMixture):
        parts = zip(charges.weights, charges.means, charges.covariances, strict=True)
        return sum(
            (weight * _of_component(x - mean, covariance) for weight, mean, covariance in parts), np.zeros(x.shape)
        )
    d, size = charges.shape[1], max(1, PAIRS // len(charges))

    def field(x: Array) -> Array:
        away = x[:, None, :] - charges
        return np.einsum("nmd,nm->nd", away, (away**2).sum(2) ** (-0.5 * d)) / (len(charges) * sphere_area(d))

    return np.concatenate([field(x[i : i + size]) for i in range(0, len(x), size)])


def _of_component(away: Array, covariance: Array) -> Array:
    """The field of N(0, S) at places (n, d)."""
    from scipy.special import gammainc, gammaln

    d, spreads = away.shape[1], np.linalg.eigvalsh(covariance)
    if spreads[-1] - spreads[0] > 1e-12 * spreads[-1]:
        return _of_long_component(away, covariance)
    q = (away**2).sum(1, keepdims=True) / (2 * spreads[0])
    near = q < 1e-8  # charge inside over volume, where 0/0 would stand
    inside = gammainc(0.5 * d, q) / np.where(near, 1.0, q) ** (0.5 * d)
    at_centre = np.exp(-gammaln(0.5 * d + 1)) * (1 - q * d / (d + 2))
    return away * np.where(near, at_centre, inside) / (sphere_area(d) * (2 * spreads[0]) ** (0.5 * d))


def _of_long_component(away: Array, covariance: Array) -> Array:
    """The same along the principal axes of S: −½ ∫ ∇p_v dv as a sum over log v, of which 1e-16 is left out at both ends."""
    spreads, axes = np.linalg.eigh(covariance)
    d, along = away.shape[1], away @ axes
    furthest = np.log((along**2).sum(1).max() + spreads[-1])
    v = np.exp(np.arange(np.log(spreads[0]) - 37.0, furthest + 74.0 / d, SPACING))
    spread = spreads + v[:, None]
    volume = 0.5 * SPACING * v / np.sqrt(np.prod(2 * pi * spread, axis=1))
    mass = volume[:, None] * np.exp(-0.5 * (1 / spread) @ (along**2).T)
    return ((1 / spread).T @ mass * along.T).T @ axes.T


@dataclass(frozen=True, eq=False)
class PoissonField:
    """The field E of charges on the plane z = 0, and its direction.

    Parameters
    ----------
    data : GaussianMixture, or array of shape (m, N)
        A law, or m equal charges at given points: the empirical field of m samples.

    Notes
    -----
    Heights are numbers, or arrays of shape (n, 1): one for each position.
    """

    data: Any

    @property
    def dimension(self) -> int:
        """N."""
        return self.data.dimension if isinstance(self.data, GaussianMixture) else np.shape(self.data)[1]

    def velocity(self, x: Array, z: Height) -> Array:
        """dx/dz at positions x of shape (n, N) at the height z.

        Raises
        ------
        ProblemError
            At z = 0, but for laws on the line, which have a limit there.
        """
        if isinstance(self.data, GaussianMixture) and self.dimension == 1:
            across, up = _faddeeva(self.data, x, z)
            return across / up
        self._require_height(z)
        if isinstance(self.data, GaussianMixture):
            return _over_variances(self.data, x, z)
        points, size = np.asarray(self.data, float), max(1, PAIRS // len(self.data))
        heights = np.broadcast_to(z, (len(x), 1))
        pieces = (slice(i, i + size) for i in range(0, len(x), size))
        return np.concatenate([_of_points(points, x[piece], heights[piece]) for piece in pieces])

    def vector(self, x: Array, z: Height) -> Array:
        """E at positions x of shape (n, N) at the height z, shape (n, N + 1); its flux through a closed surface is the charge inside.

        Raises
        ------
        ProblemError
            As :meth:`velocity`.
        """
        line = isinstance(self.data, GaussianMixture) and self.dimension == 1
        if not line:
            self._require_height(z)
        if not isinstance(self.data, GaussianMixture):
            flat = np.pad(np.asarray(self.data, float), ((0, 0), (0, 1)))
            return coulomb(flat, np.hstack([x, np.broadcast_to(z, (len(x), 1))]))
        across, up = (_faddeeva if line else _variance_sums)(self.data, x, z)
        return np.hstack([across, up])

    def normalised(self, x: Array, z: Height) -> Array:
        """−√N E/|E|, what is learned: the direction towards the data with the length √N, shape (n, N + 1)."""
        along = np.pad(self.velocity(x, z), ((0, 0), (0, 1)), constant_values=1.0)
        return -(self.dimension**0.5) * along / np.linalg.norm(along, axis=1, keepdims=True)

    def _require_height(self, z: Height) -> None:
        if not np.min(z) > 0:
            raise ProblemError(
                f"this Poisson field is known at heights z > 0, asked at z={np.min(z):g}: end before, or use Euler."
            )


def _faddeeva(law: GaussianMixture, x: Array, z: Height) -> tuple[Array, Array]:
    """E_x and E_z, each of shape (n, 1)."""
    from scipy.special import wofz

    widths = np.sqrt(2 * law.covariances[:, 0, 0])
    w = wofz((x - law.means[:, 0] + 1j * np.asarray(z)) / widths)
    masses = law.weights / (2 * pi**0.5 * widths)
    return (w.imag @ masses)[:, None], (w.real @ masses)[:, None]


def _of_points(points: Array, x: Array, z: Array) -> Array:
    away = x[:, None, :] - points
    squares = (away**2).sum(2) + z**2
    weights = (squares.min(1, keepdims=True) / squares) ** (0.5 * (x.shape[1] + 1))
    return (weights[:, :, None] * away).sum(1) / (z * weights.sum(1, keepdims=True))


def _over_variances(law: GaussianMixture, x: Array, z: Height) -> Array:
    """E_x/E_z."""
    across, up = _variance_sums(law, x, z)
    return across / up


def _variance_sums(law: GaussianMixture, x: Array, z: Height) -> tuple[Array, Array]:
    """E_x = (8π)^{−½} ∫ v^{−½} e^{−z²/2v} (−v∇p_v) d(log v), shape (n, N), and E_z, where z p_v stands for −v∇p_v; p_v has noise of variance v."""
    z = np.asarray(z, float)
    furthest = np.abs(x).max() + np.abs(law.means).max() + z.max() + 1
    logs = np.arange(2 * np.log(z.min()) + LOWEST, 2 * np.log(furthest) + 72 / (law.dimension + 1), SPACING)
    size = max(1, PAIRS // len(logs))
    pieces = [slice(i, i + size) for i in range(0, len(x), size)]
    heights = np.broadcast_to(z, (len(x), 1))
    sums = [_summed(law, x[piece], heights[piece], np.exp(logs)) for piece in pieces]
    across, up = (np.concatenate(part) for part in zip(*sums, strict=True))
    return across, up


def _summed(law: GaussianMixture, x: Array, z: Array, v: Array) -> tuple[Array, Array]:
    """The integrals of :func:`_variance_sums` at n positions, as sums over the variances v; each component along its principal axes."""
    heights = 0.5 * z[:, 0] ** 2 / v[:, None]
    across, up = np.zeros_like(x), np.zeros(len(x))
    for weight, mean, covariance in zip(law.weights, law.means, law.covariances, strict=True):
        spreads, axes = np.linalg.eigh(covariance)
        away, spread = (x - mean) @ axes, spreads + v[:, None]
        volume = weight * SPACING / np.sqrt(8 * pi * v * np.prod(2 * pi * spread, axis=1))
        mass = volume[:, None] * np.exp(-0.5 * (1 / spread) @ (away**2).T - heights)
        across += ((v[:, None] / spread).T @ mass * away.T).T @ axes.T
        up += mass.sum(0)
    return across, z * up[:, None]


class Lines(Protocol):
    """Lines across all heights, of a :class:`PoissonField` or of anything else that has slopes."""

    def velocity(self, x: Array, z: Height) -> Array:
        """dx/dz at positions x of shape (n, N)."""
        ...


def followed(lines: Lines, x: Array, start: Height, end: Height, *, steps: int, method: str = "rk4") -> Array:
    """Where the lines through positions x at the height ``start`` are at the height ``end``, both > 0.

    Heights go from one to the other in constant ratio, each line's own: from a hemisphere down, ``followed(field, s[:, :-1], s[:, -1:], 0.1,
    steps=64)`` with ``s = HemisphereLaw(radius, N).sample(n, rng)``.

    Parameters
    ----------
    lines : PoissonField
        Or other slopes.
    x : array, shape (n, N)
    start, end : float or array of shape (n, 1)
    steps : int
    method : {"euler", "heun", "rk4"}
    """
    ratio = np.log(np.asarray(end, float) / start)

    def velocity(x: Array, s: float) -> Array:
        z = start * np.exp(s * ratio)
        return ratio * z * lines.velocity(x, z)

    for k in range(steps):
        x = METHODS[method].advanced(velocity, x, (k / steps, (k + 1) / steps))
    return x


class HemisphereLaw:
    """The uniform law on the half z > 0 of the sphere of a radius in R^{N+1}.

    Parameters
    ----------
    radius : float
    dimension : int
        N.
    """

    def __init__(self, radius: float, dimension: int) -> None:
        self.radius, self.dimension = float(radius), dimension

    def __repr__(self) -> str:
        return f"HemisphereLaw({self.radius:g}, dimension={self.dimension})"

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions (x, z), shape (n, N + 1)."""
        away = rng.standard_normal((n, self.dimension + 1))
        away[:, -1] = np.abs(away[:, -1])
        return self.radius * away / np.linalg.norm(away, axis=1, keepdims=True)


class CauchyLaw:
    """The multivariate Cauchy law z C on R^N: density ∝ z / (|x|² + z²)^{(N+1)/2}, the hemisphere of radius z projected on the plane it touches.

    Parameters
    ----------
    scale : float
        z > 0.
    dimension : int
    """

    def __init__(self, scale: float, dimension: int) -> None:
        self.scale, self.dimension = float(scale), dimension

    def __repr__(self) -> str:
        return f"CauchyLaw({self.scale:g}, dimension={self.dimension})"

    @cached_property
    def _line(self) -> ScipyLaw:
        """The law of each projection."""
        from scipy.stats import cauchy

        return ScipyLaw(cauchy(scale=self.scale))

    def log_density(self, x: Array) -> Array:
        """Log p at x, shape (n,)."""
        from scipy.special import gammaln

        half = 0.5 * (self.dimension + 1)
        constant = gammaln(half) - half * np.log(np.pi) + np.log(self.scale)
        return constant - half * np.log((x**2).sum(1) + self.scale**2)

    def density(self, x: Array) -> Array:
        """P at x, shape (n,)."""
        return np.exp(self.log_density(x))

    def score(self, x: Array) -> Array:
        """−(N + 1) x / (|x|² + z²), shape (n, N)."""
        return -(self.dimension + 1) * x / ((x**2).sum(1, keepdims=True) + self.scale**2)

    def cdf(self, x: Array) -> Array:
        """½ + arctan(x/z)/π; d = 1."""
        return self.projected(np.ones(self.dimension)).cdf(x) if self.dimension == 1 else self._refused()

    def breakpoints(self) -> Array:
        """Quantiles; d = 1."""
        return self._line.breakpoints() if self.dimension == 1 else self._refused()

    def _refused(self) -> Array:
        raise ProblemError(f"{self!r} has no distribution function of one variable; use projected(direction).")

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """A Gaussian vector over the modulus of an independent normal number, shape (n, N)."""
        return self.scale * rng.standard_normal((n, self.dimension)) / np.abs(rng.standard_normal((n, 1)))

    def projected(self, direction: Array) -> Law:
        """The law of ⟨direction, X⟩, Cauchy with the scale z |direction|."""
        from scipy.stats import cauchy

        return ScipyLaw(cauchy(scale=self.scale * float(np.linalg.norm(direction))))


class PoissonFlow(ProbabilityFlow):
    """The backward ODE of Poisson flow, with the height z for the time.

    Parameters
    ----------
    field : PoissonField
    times : array_like, shape (N + 1,)
        Heights, from z_max down to a small height, for example of :func:`heights`.
    method : {"euler", "heun", "rk4"}

    Notes
    -----
    The prior is the hemisphere's projection on the plane z = z_max; the exact law there is the data plus z_max C. For a start on a hemisphere
    see :func:`followed`.
    """

    name = "Poisson flow"
    limit = "the data law plus z_N C, as steps and z_max → ∞: the prior is wrong by O(1/z_max)"
    needs = "the field of the data's charges, E_x/E_z"

    def __init__(self, field: PoissonField, *, times: Any, method: str = "heun") -> None:
        super().__init__(field, method=method, times=times, dimension=field.dimension)

    @property
    def prior(self) -> Law:
        """z_max C."""
        return CauchyLaw(float(self.times[0]), self.dimension)


def heights(steps: int, *, highest: float, lowest: float) -> Array:
    """Heights in constant ratio from ``highest`` to ``lowest`` > 0, shape (steps + 1,).

    Lines far from the data turn towards them only at heights like the mass beyond them: equal steps to z = 0 miss that, and are of first order
    whatever the method.
    """
    if not (highest > lowest > 0):
        raise SchemeError(f"heights need highest > lowest > 0, got {highest!r} and {lowest!r}.")
    return np.geomspace(highest, lowest, steps + 1)
