r"""Coupled checks: Euler–Maruyama chains with steps h, 2h, 4h and a reference on the same Brownian paths.

With φ₀, φ₁, φ₂ a functional at the ends of the three chains and φ that of the reference, for example of the exact transition, on the same path,

    R = 2 φ₀ − φ₁ − φ,    E R = O(h²) if the chains converge to the reference's law,

and R has a tiny variance: what the paths share cancels. The budget is |E (2 φ₀ − φ₁) − E (2 φ₁ − φ₂)| + 3 standard errors of that difference,
which is O(h²) too. A hundred thousand particles see a noise variance that is .1 % too large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.errors import ComparisonError
from fpk.laws import Array
from fpk.marginals import ROUND_OFF, Estimate
from fpk.panels import Panel
from fpk.particles.ensemble import ParticleMarginals


@dataclass(frozen=True, eq=False)
class CoupledResidual:
    """E R over a panel; compare with :class:`fpk.marginals.Vanishing`.

    Parameters
    ----------
    chains : ParticleMarginals
        Three levels or more of a scheme of weak order 1.
    reference : ParticleMarginals
        On the same noise: same seed, particles, number of noises and fine steps.

    Raises
    ------
    ComparisonError
        If there are too few levels, or the noise is not the same.
    """

    chains: ParticleMarginals
    reference: ParticleMarginals

    def __post_init__(self) -> None:
        if len(self.chains.positions) < 3:
            raise ComparisonError(
                f"a coupled residual needs three levels of steps, got {len(self.chains.positions)}: simulate with levels=3."
            )
        if self.chains.noise_key != self.reference.noise_key:
            raise ComparisonError(
                f"a coupled residual needs one noise, got {self.chains.source} and {self.reference.source}. Use the same seed, particles and "
                "times, and as many fine steps: with levels=3 the chains take four times steps=."
            )

    @property
    def times(self) -> tuple[float, ...]:
        """When positions are known."""
        return self.chains.times

    def samples(self, t: float) -> Array:
        """Positions of the finest chain."""
        return self.chains.samples(t)

    def law(self, t: float) -> Any:
        """The pilot law of the finest chain."""
        return self.chains.law(t)

    def expect(self, panel: Panel) -> Estimate:
        """Means of R with covariance and budget."""
        runs = (*(self.chains.level(level) for level in range(3)), self.reference)
        fine, middle, coarse, exact = (run.values(panel) for run in runs)
        values = 2 * fine - middle - exact
        n = values.shape[1]
        change = 2 * fine - 3 * middle + coarse
        budget = np.abs(change.mean(1)) + 3 * change.std(1, ddof=1) / np.sqrt(n) + ROUND_OFF
        covariance = np.atleast_2d(np.cov(values)) / n
        return Estimate(
            values.mean(1), budget, covariance=covariance, samples=n, source=f"coupled residual of {self.chains.source}"
        )
