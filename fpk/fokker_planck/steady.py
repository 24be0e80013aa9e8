"""Coefficients that do not depend on time: what a law at rest, and exits without a clock, ask for."""

from __future__ import annotations

import numpy as np

from fpk.errors import SchemeError
from fpk.problem import Problem


def require_steady(problem: Problem, what: str) -> None:
    """Refuse coefficients that depend on t; functions are probed at five times.

    Raises
    ------
    SchemeError
        Naming the coefficient.
    """
    somewhere = problem.initial.sample(16, np.random.default_rng(0))
    probe = np.concatenate([somewhere, np.full((1, problem.dimension), 0.1)])
    for coefficient in (problem.drift, problem.diffusion):
        first = coefficient(probe, 0.0)
        moments = () if coefficient.steady else np.linspace(0.0, problem.horizon, 5)[1:]
        if any(not np.array_equal(coefficient(probe, t), first) for t in moments):
            raise SchemeError(
                f"{what} needs coefficients that do not depend on t; the {coefficient.name} of {problem.name or 'this problem'} does. "
                "Freeze it at one time: lambda x, t: f(x, t0)."
            )
