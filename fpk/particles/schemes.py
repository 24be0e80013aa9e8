r"""Schemes: one step X_n ↦ X_{n+1} of dX = f dt + G dW (Itô), with ΔW the increment of the Brownian motion over the step.

A scheme has strong order p if E|X_N − X(T)| = O(h^p) on the same Brownian path, and weak order p if E φ(X_N) − E φ(X(T)) = O(h^p) for smooth φ.
Every scheme converges to the Itô solution of the problem it is given; one whose arithmetic converges to another calculus converts the drift itself.

Steps are written in arithmetic that can be traced (:mod:`fpk.tracing`): for arrays of positions, or to be compiled.

References
----------
Kloeden & Platen (1992), chapters 10, 11, 14 and 15; Roberts & Tweedie (1996).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fpk.errors import SchemeError
from fpk.laws import Array
from fpk.particles.steps import Step, directions, spread
from fpk.problem import Problem
from fpk.tracing import greater, where


class Orders(NamedTuple):
    """Strong and weak order; None where none is claimed."""

    strong: float | None
    weak: float | None


class Scheme(ABC):
    """One step of a discretisation.

    Attributes
    ----------
    name : str
        What sources and reports call it.
    general, additive : Orders
        Orders for noise that depends on the position, and for noise that does not.
    calculus : str
        The calculus its arithmetic converges to: ``"Itô"`` or ``"Stratonovich"`` (then the drift is converted).
    requirement : str
        What it needs of a problem beside a finite drift and diffusion.
    """

    name: ClassVar[str]
    general: ClassVar[Orders]
    additive: ClassVar[Orders]
    calculus: ClassVar[str] = "Itô"
    requirement: ClassVar[str] = "none"

    def orders(self, problem: Problem) -> Orders:
        """The orders for the noise of a problem."""
        return self.general if problem.diffusion.state_dependent else self.additive

    def extras(self, problem: Problem) -> int:
        """Normal numbers used in a step beside those of the increment."""
        return 0

    def check(self, problem: Problem) -> None:
        """Refuse a problem the scheme cannot solve; here, none.

        Raises
        ------
        SchemeError
        """
        return

    @abstractmethod
    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step.

        Parameters
        ----------
        step : Step
        x : array, shape (n, d)
        dW : array, shape (n, m)
            Increments of the Brownian motion.
        extra : array, shape (n, e)
            Further independent standard normal numbers.
        """

    def __str__(self) -> str:
        return self.name


class EulerMaruyama(Scheme):
    """X + f h + G ΔW."""

    name = "Euler–Maruyama"
    general = Orders(0.5, 1.0)
    additive = Orders(1.0, 1.0)

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step."""
        return x + step.h * step.drift(x) + spread(step.diffusion(x), dW)


class Milstein(Scheme):
    r"""X + f h + G ΔW + ½ Σ_jk (L^j G_k) (ΔW_j ΔW_k − δ_jk h), with L^j G_k from differences of length √h: no derivatives are needed.

    The noise must commute, L^j G_k = L^k G_j: then no Lévy areas arise. Kloeden & Platen, equations 10.3.3 and 11.1.7.
    """

    name = "Milstein"
    general = Orders(1.0, 1.0)
    additive = Orders(1.0, 1.0)
    requirement = "commuting noise"

    def check(self, problem: Problem) -> None:
        """Refuse noise that does not commute, seen at 64 draws of the initial law at three times."""
        x = _probes(problem)
        for t in (0.0, 0.5 * problem.horizon, problem.horizon):
            gap = _commutator(problem, x, t)
            if gap > 1e-5:
                raise SchemeError(
                    f"Milstein needs noise that commutes, L^j G_k = L^k G_j; here they differ by {gap:.3g} of their size at t={t:g}. "
                    "Without Lévy areas the order would be ½: use EulerMaruyama or PlatenWeak."
                )

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step."""
        g = step.diffusion(x)
        moved = x + step.h * step.drift(x) + spread(g, dW)
        if not step.problem.diffusion.state_dependent:
            return moved
        h, root = step.h, step.root
        if g.ndim < 3:  # commuting diagonal noise: g_i depends on x_i alone
            slope = (step.diffusion(x + root * g) - g) / root
            return moved + 0.5 * slope * (dW * dW - h)
        for j, b in enumerate(directions(g, x)):
            slopes = (step.diffusion(x + root * b) - g) / root
            products = dW * dW[:, j : j + 1] - h * (np.arange(dW.shape[1]) == j)
            moved = moved + 0.5 * spread(slopes, products)
        return moved


class Heun(Scheme):
    r"""The trapezoidal predictor–corrector of Stratonovich equations, on the drift f − ½ Σ_k (DG_k) G_k of the Itô problem's Stratonovich form.

    The conversion uses central differences of length √h. Strong order 1 for commuting noise (½ otherwise).
    """

    name = "stochastic Heun"
    general = Orders(1.0, 1.0)
    additive = Orders(1.0, 2.0)
    calculus = "Stratonovich"

    def orders(self, problem: Problem) -> Orders:
        """The orders for the noise of a problem; strong order ½ where the noise does not commute."""
        orders = super().orders(problem)
        if problem.diffusion.state_dependent and _commutator(problem, _probes(problem), 0.0) > 1e-5:
            return Orders(0.5, orders.weak)
        return orders

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step."""
        f, g = _stratonovich_drift(step, x, 0.0), step.diffusion(x)
        y = x + step.h * f + spread(g, dW)
        f_end, g_end = _stratonovich_drift(step, y, 1.0), step.diffusion(y, 1.0)
        return x + 0.5 * step.h * (f + f_end) + 0.5 * (spread(g, dW) + spread(g_end, dW))


class PlatenWeak(Scheme):
    r"""Platen's explicit scheme of weak order 2, for any noise.

    Kloeden & Platen, equation 15.1.3, with the two-point variables V_jk = ±h from the signs of further normal numbers.
    """

    name = "Platen's weak order 2"
    general = Orders(None, 2.0)
    additive = Orders(None, 2.0)

    def extras(self, problem: Problem) -> int:
        """One sign for each pair of noises."""
        m = noises(problem)
        return m * (m - 1) // 2 if problem.diffusion.state_dependent else 0

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step."""
        h, root, f, g = step.h, step.root, step.drift(x), step.diffusion(x)
        ahead = x + h * f
        moved = x + 0.5 * h * (f + step.drift(ahead + spread(g, dW), 1.0))
        if not step.problem.diffusion.state_dependent:
            return moved + 0.5 * (spread(g, dW) + spread(step.diffusion(x, 1.0), dW))
        start, m = directions(g, x), dW.shape[1]
        areas = _two_point(extra, h, m)
        for j, b in enumerate(start):
            w = dW[:, j : j + 1]
            up, down = (directions(step.diffusion(ahead + s * root * b, 1.0), x)[j] for s in (1.0, -1.0))
            moved = moved + 0.25 * ((up + down + 2.0 * b) * w + (up - down) * (w * w - h) / root)
            others = [directions(step.diffusion(x + s * root * b), x) for s in (1.0, -1.0)]
            for k in range(m):
                if k != j:
                    v, (plus, minus) = dW[:, k : k + 1], (o[k] for o in others)
                    moved = moved + 0.25 * (
                        (plus + minus - 2.0 * start[k]) * v + (plus - minus) * (w * v + areas[j][k]) / root
                    )
        return moved


class RungeKutta4(Scheme):
    """The classical fourth-order method, for problems without noise."""

    name = "Runge–Kutta 4"
    general = Orders(4.0, 4.0)
    additive = Orders(4.0, 4.0)
    requirement = "no noise"

    def check(self, problem: Problem) -> None:
        """Refuse noise."""
        if not problem.noiseless:
            raise SchemeError(
                "RungeKutta4 is for problems whose diffusion is the constant 0, for example fpk.probability_flow(...). With noise use "
                "EulerMaruyama, Heun or PlatenWeak."
            )

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step."""
        h = step.h
        k1 = step.drift(x)
        k2 = step.drift(x + 0.5 * h * k1, 0.5)
        k3 = step.drift(x + 0.5 * h * k2, 0.5)
        k4 = step.drift(x + h * k3, 1.0)
        return x + h / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)


def noises(problem: Problem) -> int:
    """Number m of independent Brownian motions of a problem; 0 without noise."""
    if problem.noiseless:
        return 0
    g = problem.diffusion(_probes(problem)[:1], 0.0)
    return g.shape[2] if g.ndim == 3 else problem.dimension


def _probes(problem: Problem) -> Array:
    """64 positions where the law has mass at t = 0, the same at every call."""
    return problem.initial.sample(64, np.random.default_rng(0))


def _stratonovich_drift(step: Step, x: Array, stage: float) -> Array:
    """F − ½ Σ_k (DG_k) G_k at a stage of the step."""
    f = step.drift(x, stage)
    if not step.problem.diffusion.state_dependent:
        return f
    root = step.root
    for k, b in enumerate(directions(step.diffusion(x, stage), x)):
        up, down = (directions(step.diffusion(x + s * root * b, stage), x)[k] for s in (1.0, -1.0))
        f = f - 0.25 * (up - down) / root
    return f


def _two_point(extra: Array, h: Any, m: int) -> list[list[Any]]:
    """V_jk = −V_kj = ±h with equal chances, from the signs of normal numbers."""
    areas: list[list[Any]] = [[-h] * m for _ in range(m)]
    pairs = [(j, k) for j in range(m) for k in range(j)]
    for column, (j, k) in enumerate(pairs):
        sign = where(greater(extra[:, column : column + 1], 0.0), 1.0, -1.0)
        areas[j][k], areas[k][j] = sign * h, -sign * h
    return areas


def _commutator(problem: Problem, x: Array, t: float) -> float:
    """Largest |L^j G_k − L^k G_j| over the largest |L^j G_k|, by central differences."""
    if not problem.diffusion.state_dependent:
        return 0.0
    length = 1e-5 * max(1.0, float(np.abs(x).max()))
    columns = directions(problem.diffusion(x, t), x)

    def along(b: Array) -> list[Array]:
        up, down = (directions(problem.diffusion(x + s * length * b, t), x) for s in (1.0, -1.0))
        return [(a - c) / (2 * length) for a, c in zip(up, down, strict=True)]

    slopes = [along(b) for b in columns]
    size = max(float(np.abs(v).max()) for row in slopes for v in row)
    gaps = [np.abs(slopes[j][k] - slopes[k][j]).max() for j in range(len(slopes)) for k in range(j)]
    return float(max(gaps, default=0.0)) / size if size > 0 else 0.0
