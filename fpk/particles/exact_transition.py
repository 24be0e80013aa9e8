r"""The exact transition of a linear SDE, on the Brownian path that drives other schemes.

With X_{t+h} = Φ X_t + m + ξ, ξ ~ N(0, V) and C = Cov(ξ, ΔW) (:mod:`fpk.moments`), the noise is split into what the increment says and the rest,

    ξ = (C/h) ΔW + R z,    R Rᵀ = V − C Cᵀ/h,    z ~ N(0, 1) independent of ΔW,

so exact chains and Euler chains of one seed differ path by path by their discretisation errors alone, up to R z = O(h^{3/2}).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fpk.errors import SchemeError
from fpk.laws import Array
from fpk.moments import transition
from fpk.particles.schemes import Orders, Scheme
from fpk.particles.steps import Step, spread
from fpk.problem import Problem

#: Variance over that of the step below which what the increment does not tell is taken for the error of the moments.
NEGLIGIBLE = 1e-10


class ExactTransition(Scheme):
    """X_t exactly, for steps of any length: linear drift, noise that does not depend on the position, no walls."""

    name = "exact transition"
    general = additive = Orders(np.inf, np.inf)
    requirement = "linear drift, noise independent of the position, no walls"

    def check(self, problem: Problem) -> None:
        """Refuse what is not linear."""
        missing = [
            (
                problem.drift.linear is None,
                "the drift is not known to be linear (use fpk.Linear or a formula linear in x)",
            ),
            (problem.diffusion.state_dependent, "the diffusion depends on x"),
            (problem.boundary.kind != "open", f"the boundary is {problem.boundary.kind}"),
        ]
        reasons = [reason for found, reason in missing if found]
        if reasons:
            raise SchemeError(f"ExactTransition needs a {self.requirement}: {'; '.join(reasons)}. Use EulerMaruyama.")

    def extras(self, problem: Problem) -> int:
        """One for each coordinate: the part of the noise the increment does not tell."""
        return 0 if problem.noiseless else problem.dimension

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step."""
        d, m = x.shape[1], dW.shape[1]
        problem = step.problem
        table = step.known(lambda t, h: _numbers(problem, 0.0 if problem.steady else t, h))
        slope, shift, gain, rest = np.split(table, np.cumsum([d * d, d, d * m]))
        moved = spread(slope.reshape(1, d, d), x) + shift
        if not m:
            return moved
        return moved + spread(gain.reshape(1, d, m), dW) + spread(rest.reshape(1, d, d), extra)


@lru_cache(maxsize=4096)
def _numbers(problem: Problem, t: float, h: float) -> Array:
    """Φ, m, C/h and R of one step, flat."""
    slope, shift, covariance, crossed = transition(problem, t, t + h)
    gain = crossed / h
    values, vectors = np.linalg.eigh(covariance - h * gain @ gain.T)
    rest = vectors * np.sqrt(np.where(values > NEGLIGIBLE * np.trace(covariance), values, 0.0))
    return np.concatenate([slope.ravel(), shift, gain.ravel() if not problem.noiseless else [], rest.ravel()])
