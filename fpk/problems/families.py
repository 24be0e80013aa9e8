r"""Families of problems whose law is known, to be drawn from at random: what error bars are tried on.

============== ==========================================================================================================
:func:`linear` dX = (a(t) X + b(t)) dt + g(t) dW from a mixture on the line; the law is a mixture
:func:`bent`   X = T(Y), T(y) = y + ε sin(y + φ), of such a Y: nonlinear drift and noise that depends on x, by Itô's formula
:func:`walled` between reflecting walls, p = ½ (1 + Σ a_k(t) cos kπx), made by J = −∂_t F as in :mod:`fpk.problems.manufactured`
:func:`ringed` the same on a ring, with sines and a circulation
============== ==========================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.coefficients import Linear
from fpk.laws import Array, GaussianMixture, TabulatedLaw
from fpk.problem import Boundary, Problem

#: Modes of :func:`walled` and :func:`ringed`.
MODES = np.arange(1, 4)


@dataclass(frozen=True, eq=False)
class Known:
    """A problem, the interval a grid of it should span, and its densities.

    Parameters
    ----------
    problem : Problem
        With horizon 1.
    lower, upper : float
    density : callable
        (x of shape (n,), t) ↦ p_t(x).
    family : str
    """

    problem: Problem
    lower: float
    upper: float
    density: Callable[[Array, float], Array]
    family: str


def linear(rng: np.random.Generator) -> Known:
    """A linear SDE with coefficients that swing in time, from two Gaussian components."""
    moving = _Moving(rng)
    problem = Problem(Linear(moving.slope, moving.shift), moving.noise, initial=moving.law(0.0), name="linear")
    return Known(problem, *moving.box(), lambda x, t: moving.law(t).density(x[:, None]), "linear")


def bent(rng: np.random.Generator) -> Known:
    """A smooth increasing image of a linear SDE."""
    moving, size, phase = _Moving(rng), rng.uniform(0.1, 0.5), rng.uniform(0, 2 * np.pi)

    def bend(y: Array) -> Array:
        """T, which increases because ε < 1."""
        return y + size * np.sin(y + phase)

    def straight(x: Array) -> Array:
        """T⁻¹, by Newton's method."""
        y = x - size * np.sin(x + phase)
        for _ in range(8):
            y = y - (bend(y) - x) / (1 + size * np.cos(y + phase))
        return y

    def drift(x: Array, t: float) -> Array:
        """T′ (a Y + b) + ½ T″ g²."""
        y = straight(x)
        curved = -0.5 * size * np.sin(y + phase) * moving.noise(t) ** 2
        return (1 + size * np.cos(y + phase)) * (moving.slope(t) * y + moving.shift(t)) + curved

    def diffusion(x: Array, t: float) -> Array:
        """T′ g."""
        return (1 + size * np.cos(straight(x) + phase)) * moving.noise(t)

    def density(x: Array, t: float) -> Array:
        """The density of Y over T′."""
        y = straight(x)
        return moving.law(t).density(y[:, None]) / (1 + size * np.cos(y + phase))

    lower, upper = bend(np.array(moving.box()))
    initial = _tabulated(lambda x: density(x, 0.0), lower, upper)
    return Known(Problem(drift, diffusion, initial=initial, name="bent"), float(lower), float(upper), density, "bent")


def walled(rng: np.random.Generator) -> Known:
    """Cosine modes between reflecting walls; p and D are even about both walls."""
    return _made(rng, "no_flux", cosines=_Swings(rng), sines=None, circulation=0.0)


def ringed(rng: np.random.Generator) -> Known:
    """Cosine and sine modes on a ring, with a constant flux around it."""
    return _made(rng, "periodic", cosines=_Swings(rng), sines=_Swings(rng), circulation=rng.uniform(-1, 1))


FAMILIES = (linear, bent, walled, ringed)


class _Moving:
    """Coefficients that swing in time and the mixtures they make, by quadrature of the moment equations."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rate, self.swing, self.turn = rng.uniform(0.3, 2.0), rng.uniform(0, 0.6), rng.uniform(1, 5)
        self.push, self.strength, self.warming = rng.uniform(-1, 1), rng.uniform(0.4, 1.4), rng.uniform(0, 0.5)
        self.weights = np.array([0.35, 0.65])
        self.means, self.stds = rng.uniform(-1.2, 1.2, 2), rng.uniform(0.25, 0.6, 2)

    def slope(self, t: float) -> float:
        """The drift is a(t) x + b(t): a."""
        return -self.rate * (1 + self.swing * np.sin(self.turn * t))

    def shift(self, t: Any) -> Any:
        """Its b."""
        return self.push * np.cos(self.turn * t)

    def noise(self, t: Any) -> Any:
        """The noise g."""
        return self.strength * (1 + self.warming * np.cos(self.turn * t + 1))

    def law(self, t: float) -> GaussianMixture:
        """Means e^{A} m + ∫ e^{A − A_s} b ds and variances e^{2A} v + ∫ e^{2(A − A_s)} g² ds, by 40 Gauss nodes."""
        nodes, weights = np.polynomial.legendre.leggauss(40)
        s, w = t * (1 + nodes) / 2, t * weights / 2
        left = self._integrated(t) - self._integrated(s)
        decay = np.exp(self._integrated(t))
        means = decay * self.means + w @ (np.exp(left) * self.shift(s))
        variances = decay**2 * self.stds**2 + w @ (np.exp(2 * left) * self.noise(s) ** 2)
        return GaussianMixture(self.weights, means, stds=np.sqrt(variances))

    def _integrated(self, t: Array | float) -> Array:
        return -self.rate * (t + self.swing * (1 - np.cos(self.turn * np.asarray(t))) / self.turn)

    def box(self, widths: float = 7.0) -> tuple[float, float]:
        """Where every component lies within so many standard deviations, at 21 times."""
        laws = [self.law(t) for t in np.linspace(0, 1, 21)]
        stds = [np.sqrt(law.covariances[:, 0, 0]) for law in laws]
        lower = min((law.means[:, 0] - widths * s).min() for law, s in zip(laws, stds, strict=True))
        return float(lower), float(max((law.means[:, 0] + widths * s).max() for law, s in zip(laws, stds, strict=True)))


class _Swings:
    """Three amplitudes that swing in time and stay below 1/4, and their derivatives."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.size = rng.uniform(-0.25, 0.25, 3) / MODES
        self.turn, self.phase = rng.uniform(0.5, 4, 3), rng.uniform(0, 2 * np.pi, 3)

    def __call__(self, t: float) -> Array:
        return self.size * np.cos(self.turn * t + self.phase)

    def rate(self, t: float) -> Array:
        """Derivatives of the amplitudes."""
        return -self.size * self.turn * np.sin(self.turn * t + self.phase)


def _made(rng: np.random.Generator, kind: str, *, cosines: _Swings, sines: _Swings | None, circulation: float) -> Known:
    level, ripple = rng.uniform(0.1, 0.6), rng.uniform(0, 0.5)
    waves = np.pi * MODES  # on [−1, 1] modes of x + 1 and of x differ by signs only

    def amplitudes(t: float, derivative: bool = False) -> tuple[Array, Array]:
        """Of cosines and sines, or their rates."""
        read = (lambda s: s.rate(t)) if derivative else (lambda s: s(t))
        return read(cosines), (read(sines) if sines else np.zeros(3))

    def density(x: Array, t: float) -> Array:
        """The modes on [−1, 1]."""
        a, b = amplitudes(t)
        return 0.5 * (1 + np.cos(np.outer(x, waves)) @ a + np.sin(np.outer(x, waves)) @ b)

    def diffusion(x: Array, t: float) -> Array:
        """Noise, even about both walls."""
        return level * (1 + ripple * np.cos(np.pi * x))

    def drift(x: Array, t: float) -> Array:
        """(J + ∂_x(D p)) / p with J = c − ∂_t F."""
        flat = x[:, 0]
        (a, b), (da, db) = amplitudes(t), amplitudes(t, derivative=True)
        cos, sin = np.cos(np.outer(flat, waves)), np.sin(np.outer(flat, waves))
        swept = 0.5 * (sin @ (da / waves) - cos @ (db / waves))  # ∂_t F up to a constant, which is circulation
        p, slope = density(flat, t), 0.5 * (cos @ (b * waves) - sin @ (a * waves))
        g, dg = diffusion(flat, t), -level * ripple * np.pi * np.sin(np.pi * flat)
        return ((0.3 * circulation - swept + g * dg * p + 0.5 * g**2 * slope) / p)[:, None]

    initial = _tabulated(lambda x: density(x, 0.0), -1.0, 1.0)
    problem = Problem(drift, diffusion, initial=initial, boundary=Boundary(kind, -1.0, 1.0), name=kind)  # type: ignore[arg-type]
    return Known(problem, -1.0, 1.0, density, "walled" if sines is None else "ringed")


def _tabulated(density: Callable[[Array], Array], lower: float, upper: float) -> TabulatedLaw:
    x = np.linspace(lower, upper, 2001)
    return TabulatedLaw(x, np.log(density(x)), reliable=np.inf)
