r"""Poisson flow: data in R^N as charges on the plane z = 0 of R^{N+1}, and noise that follows their field lines home.

The field of the charges at height z > 0 (up to a constant)

    E(x, z) = ∫ (x − y, z) / (|x − y|² + z²)^{(N+1)/2} p(y) dy

is without divergence, so that the lines of dx/dz = E_x/E_z carry the law with density ∝ E_z(·, z) from plane to plane: X_z = X_0 + z C with
a multivariate Cauchy variable C, and the data at z = 0. At a large height p is forgotten, X_z ≈ z C: the uniform law on the hemisphere of
radius z, projected from the origin.

A Gaussian component N(m, S) has in one dimension, ζ = (x − m + i z)/√(2 S) and w Faddeeva's function, E_x + i E_z ∝ S^{−1/2} (Im w(ζ) + i
Re w(ζ)). In more the kernel is a mixture of Gaussians over their variances v, r^{−(N+1)} ∝ ∫ v^{−(N+3)/2} e^{−r²/2v} dv, integrated over
log v by the trapezoidal rule.

References
----------
Xu, Liu, Tegmark & Jaakkola (2022), Poisson Flow Generative Models, equations 3, 6 and 10 and theorem 1; Xu et al. (2023), PFGM++, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fpk.errors import ProblemError, SchemeError
from fpk.laws import Array, GaussianMixture, Law, ScipyLaw
from fpk.samplers.flows import ProbabilityFlow

#: Spacing of log v, and where the integral over it begins (z²/2v = 745 is e^−745) and ends.
SPACING, LOWEST = 0.2, -7.3
#: Pairs of a position and a charge worked on at once.
PAIRS = 2**20


@dataclass(frozen=True, eq=False)
class PoissonField:
    """The direction E_x/E_z of the field of charges.

    Parameters
    ----------
    data : GaussianMixture, or array of shape (m, N)
        A law, or m equal charges at given points.
    """

    data: Any

    @property
    def dimension(self) -> int:
        """N."""
        return self.data.dimension if isinstance(self.data, GaussianMixture) else np.shape(self.data)[1]

    def velocity(self, x: Array, z: float) -> Array:
        """dx/dz at positions x of shape (n, N) in the plane of height z.

        Raises
        ------
        ProblemError
            At z = 0, but for laws on the line, which have a limit there.
        """
        if isinstance(self.data, GaussianMixture) and self.dimension == 1:
            return _faddeeva(self.data, x, z)
        if not z > 0:
            raise ProblemError(
                f"this Poisson field is known at heights z > 0, asked at z={z:g}: end before, or use Euler."
            )
        if isinstance(self.data, GaussianMixture):
            return _over_variances(self.data, x, z)
        points, size = np.asarray(self.data, float), max(1, PAIRS // len(self.data))
        return np.concatenate([_of_points(points, x[i : i + size], z) for i in range(0, len(x), size)])


def _faddeeva(law: GaussianMixture, x: Array, z: float) -> Array:
    from scipy.special import wofz

    widths = np.sqrt(2 * law.covariances[:, 0])
    w = wofz((x[:, 0] - law.means + 1j * z) / widths)
    across, up = ((law.weights[:, None] / widths) * part for part in (w.imag, w.real))
    return (across.sum(0) / up.sum(0))[:, None]


def _of_points(points: Array, x: Array, z: float) -> Array:
    away = x[:, None, :] - points
    squares = (away**2).sum(2) + z**2
    weights = (squares.min(1, keepdims=True) / squares) ** (0.5 * (x.shape[1] + 1))
    return (weights[:, :, None] * away).sum(1) / (z * weights.sum(1))[:, None]


def _over_variances(law: GaussianMixture, x: Array, z: float) -> Array:
    """E_x/E_z = ∫ v^{−1/2} e^{−z²/2v} (−∇p_v) v d(log v) / (z ∫ v^{−1/2} e^{−z²/2v} p_v d(log v)), p_v the law with noise of variance v."""
    d = law.dimension
    top = 2 * np.log(np.abs(x).max() + np.abs(law.means).max() + z + 1) + 72 / (d + 1)
    across, up = np.zeros_like(x), np.zeros((len(x), 1))
    for log in np.arange(2 * np.log(z) + LOWEST, top, SPACING):
        v = np.exp(log)
        noised = law.pushed(np.eye(d), np.zeros(d), v * np.eye(d))
        weight = (v**-0.5 * np.exp(-0.5 * z**2 / v)) * noised.density(x)[:, None]
        across -= (v * weight) * noised.score(x)
        up += weight
    return across / (z * up)


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
    The prior is the hemisphere's projection on the plane z = z_max; the exact law there is the data plus z_max C.
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
