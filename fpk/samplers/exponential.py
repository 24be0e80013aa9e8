r"""Exponential integrators: the part of the probability flow that is linear in x is solved exactly.

In λ = log(α_t/σ_t) the flow is d(x/α)/dλ = −e^{−λ} ε(x, λ), so that over a step of λ by h

    x' = (α'/α) x − (α' σ/α) ∫_0^h e^{−u} ε du.

ε frozen at the start gives DPM-Solver-1, which is DDIM with η = 0; ε at the midpoint of λ gives DPM-Solver-2. The same first-order step for
the reverse SDE is DDPM.

References
----------
Lu et al. (2022), DPM-Solver, equations 3.3 and 3.7 and algorithm 1.
"""

from __future__ import annotations

from typing import Any

from fpk.errors import SchemeError
from fpk.fields import Field
from fpk.laws import Array
from fpk.samplers.base import Kernel, Sampler
from fpk.samplers.times import time_of


class DPMSolver2(Sampler):
    """DPM-Solver-2, single step: ε is read at the middle of the step in λ.

    Parameters
    ----------
    field, times, dimension
        As for :class:`fpk.samplers.Sampler`; α and σ must be positive at all times, as λ is infinite elsewhere.

    Raises
    ------
    SchemeError
        For times at which λ is infinite: end at t_N > 0.
    """

    name = "DPM-Solver-2"
    order = 2.0
    limit = "the law of the path at t_N > 0, in steps"
    needs = "a field that determines the noise for t > t_N"
    noises = 0
    evaluations = 2

    def __init__(self, field: Field, **settings: Any) -> None:
        super().__init__(field, **settings)
        ends = (float(self.times[0]), float(self.times[-1]))
        for t in ends:
            if not (self.schedule.alpha(t) > 0 and self.schedule.sigma(t) > 0):
                raise SchemeError(
                    f"{self.name} steps in log(α/σ), which is infinite at t={t:g}: give times= inside, for example "
                    "log_snr(schedule, steps, end=1e-3)."
                )
        self._middles = [self._middle(k) for k in range(self.steps)]

    def _middle(self, k: int) -> float:
        """The time in the middle of step k in λ, where the noise level σ/α is the geometric mean."""
        t, after = self.pair(k)
        level = (self._level(t) * self._level(after)) ** 0.5
        return time_of(self.schedule, level, start=t, end=after)

    def _level(self, t: float) -> float:
        return self.schedule.sigma(t) / self.schedule.alpha(t)

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """One map."""
        (t, after), middle = self.pair(k), self._middles[k]

        def mean(x: Array) -> Array:
            halfway = self._exponential(x, self.field.noise(x, t), t, middle)
            return self._exponential(x, self.field.noise(halfway, middle), t, after)

        return (Kernel(mean),)

    def _exponential(self, x: Array, noise: Array, t: float, after: float) -> Array:
        """The step from t to ``after`` with ε frozen: (α'/α) (x − (σ − α σ'/α') ε)."""
        alpha = self.schedule.alpha(after)
        return (alpha / self.schedule.alpha(t)) * x - alpha * (self._level(t) - self._level(after)) * noise
