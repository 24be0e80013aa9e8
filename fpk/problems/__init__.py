r"""Named problems, each with its exact law where one is known.

===================== =============================== ====================================
``ornstein_uhlenbeck`` dX = −a(X − m) dt + g dW          exact
``double_well``        dX = −(X³ − X) dt + g dW          Gibbs law ∝ exp(−2U/g²), U = x⁴/4 − x²/2
``two_peaks``          initial law: an off-centre mixture with one narrow component
===================== =============================== ====================================

What the grid is tried on has its own modules: :mod:`fpk.problems.manufactured` (problems made from their densities, which
:mod:`fpk.problems.curves` gives by formulas) and :mod:`fpk.problems.families` (problems with known laws, drawn at random).
"""

from __future__ import annotations

from typing import Any

from fpk.coefficients import Linear
from fpk.errors import ProblemError
from fpk.laws import GaussianMixture, TabulatedLaw
from fpk.problem import Problem


def two_peaks() -> GaussianMixture:
    """.3 N(−1, .2²) + .7 N(1.2, .45²): off-centre, with one narrow component, closed under affine paths."""
    return GaussianMixture([0.3, 0.7], [-1.0, 1.2], stds=[0.2, 0.45])


def ornstein_uhlenbeck(
    *, rate: float = 1.0, diffusion: float = 1.0, initial: Any, centre: float = 0.0, horizon: float = 1.0
) -> Problem:
    """dX = −rate (X − centre) dt + diffusion dW; E X_t = centre + e^{−rate t}(E X_0 − centre), stationary variance diffusion²/(2 rate)."""
    if not rate > 0:
        raise ProblemError(f"the Ornstein–Uhlenbeck rate must be positive, got {rate}.")
    drift = Linear(-rate, rate * centre)
    return Problem(drift, diffusion, initial=initial, horizon=horizon, name="Ornstein–Uhlenbeck")


def double_well(*, diffusion: float = 1.0, initial: Any, horizon: float = 1.0) -> Problem:
    """dX = −(X³ − X) dt + diffusion dW, the gradient of U = x⁴/4 − x²/2; its stationary law is :func:`double_well_law`."""
    return Problem("x - x**3", diffusion, initial=initial, horizon=horizon, name="double well")


def double_well_law(diffusion: float = 1.0) -> TabulatedLaw:
    """The Gibbs law ∝ exp(−2U(x)/diffusion²), U = x⁴/4 − x²/2, tabulated on [−6, 6]."""
    return TabulatedLaw.gibbs(lambda x: 2 * (x**4 / 4 - x**2 / 2) / diffusion**2, -6.0, 6.0)
