r"""Langevin chains for a density π: dX = ½g² ∇log π dt + g dW leaves π unchanged; its Euler–Maruyama chain (ULA) does not, by O(h).

The Metropolis-adjusted chain (MALA) takes that step x ↦ y as a proposal with density q and accepts it with probability
min(1, π(y) q(y, x) / (π(x) q(x, y))), which leaves π unchanged for every h.

References
----------
Roberts & Tweedie (1996), Bernoulli 2(4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fpk.errors import SchemeError
from fpk.laws import Array, GaussianMixture, Law, central_derivative
from fpk.particles.schemes import Orders, Scheme
from fpk.particles.steps import Step
from fpk.problem import Problem
from fpk.tracing import Instant, NotTraceable, greater, where


class MALA(Scheme):
    """The Metropolis-adjusted Langevin chain of a density.

    Parameters
    ----------
    target : Law or callable
        π, or its logarithm up to a constant as a function of positions (n, d) ↦ (n,). Gaussian mixtures are compiled.

    Notes
    -----
    As a discretisation of the Langevin equation no order is claimed; π is invariant exactly.
    """

    name = "MALA"
    general = additive = Orders(None, None)
    requirement = "drift ½g² ∇log π with one constant g > 0"

    def __init__(self, target: Law | Callable[[Array], Array]) -> None:
        self.target = target
        self._log: Callable[[Array], Array] = target.log_density if isinstance(target, Law) else target

    def log_density(self, step: Step, x: Array) -> Array:
        """Log π, shape (n, 1)."""
        at = step.at(0.0)
        if not isinstance(at, Instant):
            return np.asarray(self._log(x))[:, None]
        if not isinstance(self.target, GaussianMixture):
            raise NotTraceable("a density that is no Gaussian mixture is called, not compiled.")
        return GaussianMixture.traced(lambda t: self.target, at).log_density(x)[:, None]  # type: ignore[return-value, arg-type]

    def check(self, problem: Problem) -> None:
        """Refuse a drift that is not ½g² ∇log π, seen at 16 draws of the initial law and three times, to 1e-4."""
        g = problem.diffusion.constant
        if not g or problem.boundary.kind != "open":
            raise SchemeError(
                f"MALA needs a {self.requirement} and no walls; got diffusion {problem.diffusion!r}, boundary {problem.boundary.kind}."
            )
        x = problem.initial.sample(16, np.random.default_rng(0))
        pull = 0.5 * g**2 * _gradient(self._log, x)
        for t in (0.0, 0.5 * problem.horizon, problem.horizon):
            gap = np.abs(problem.drift(x, t) - pull).max()
            if gap > 1e-4 * (1 + np.abs(pull).max()):
                raise SchemeError(
                    f"MALA needs a {self.requirement}; the drift of this problem differs from it by {gap:.3g} at t={t:g}."
                )

    def extras(self, problem: Problem) -> int:
        """Two, for the exponential variable that decides."""
        return 2

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step."""
        g, h = step.diffusion(x), step.h
        noise = g * dW
        y = x + h * step.drift(x) + noise
        back = x - y - h * step.drift(y)
        gain = self.log_density(step, y) - self.log_density(step, x)
        gain = gain - (_square(back) - _square(noise)) / (2.0 * h * g**2)
        accepted = greater(gain + _square(0.5**0.5 * extra), 0.0)  # ½(z₁² + z₂²) is exponential
        return where(accepted, y, x)


def _square(x: Array) -> Any:
    """|x|², shape (n, 1)."""
    return sum(x[:, i : i + 1] * x[:, i : i + 1] for i in range(x.shape[1]))


def _gradient(log_density: Callable[[Array], Array], x: Array) -> Array:
    """Central differences of sixth order, one coordinate at a time."""
    axes = np.eye(x.shape[1])
    columns = [
        central_derivative(lambda s, e=e: np.asarray(log_density(x + s * e)), np.zeros((len(x), 1)), 1e-3) for e in axes
    ]
    return np.stack(columns, axis=1)
