r"""Planning: how much work settles a comparison, from a pilot.

With tolerance δ, budget b and standard error se, a true equality has |d| ≤ b + 4 se in every functional but for one repetition in some
thousands, whatever the sign of the bias. It is confirmed when |d| + z_β se + b ≤ δ, hence with probability .999 or more when

    (z_β + 4) se ≤ δ − 2b.

Particles go as (δ − 2b)⁻² and, with Euler–Maruyama, steps as 1/b: their product is least at b = δ/6, which is what is planned for. Without
sampling b ≤ δ/3 is planned, and the budget of a grid falls with the order of its scheme. The other way round, work beyond that is not needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fpk.difference import BETA, normal_quantile
from fpk.errors import ComparisonError
from fpk.remedies import CERTAIN_SHARE, SAMPLED_SHARE
from fpk.verdict import Verdict

#: Order a grid's budget is assumed to fall with (the default scheme under joint refinement).
GRID_ORDER = 4
#: Standard errors a true equality's difference may reach.
SPREAD = 4.0


@dataclass(frozen=True)
class Plan:
    """What a pilot says about the work needed, as factors on the pilot's own.

    Parameters
    ----------
    particles : float
        Factor on the number of particles; 0 without sampling.
    steps : float
        Factor on the time steps of a simulation; 0 without sampling.
    cells : float
        Factor on cells and steps of a grid; 0 when a side is sampled.
    """

    particles: float
    steps: float
    cells: float

    @property
    def enough(self) -> bool:
        """Whether the pilot itself would do."""
        return max(self.particles, self.steps, self.cells) <= 1.0

    def __str__(self) -> str:
        if self.enough:
            spare = max(self.particles, self.steps, self.cells)
            return f"enough: the limiting resource is used to {100 * spare:.0f} %"
        named = (("particles", self.particles), ("steps", self.steps), ("cells and steps", self.cells))
        return ", ".join(f"{factor:.2g} × the {name}" for name, factor in named if factor > 1)


def plan_from(pilot: Verdict, *, beta: float = BETA) -> Plan:
    """The plan that follows from the verdict of a pilot.

    Parameters
    ----------
    pilot : Verdict
        Of the same comparison at a smaller size, with a tolerance.
    beta : float
        Probability of confirming a difference as large as the tolerance.

    Raises
    ------
    ComparisonError
        If the pilot had no tolerance, or no budget at all (an unrefined grid).

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(1.0, 0.5))
    >>> run = fpk.simulate(ou, particles=2000, steps=8, times=[1.0], seed=0)
    >>> plan = plan_from(fpk.compare(run, fpk.exact(ou, times=[1.0]), effect=0.1))
    >>> plan.particles > 10
    True
    """
    delta, budget = pilot.tolerance, float(np.max(pilot.budget))
    if not delta:
        raise ComparisonError(f"a plan needs a tolerance, the pilot had {delta!r}: compare with tolerance= or effect=.")
    if not np.isfinite(budget):
        raise ComparisonError("the pilot has no error budget: wrap the grid in fpk.refine(lambda k: ...).")
    noise = float(np.max(pilot.standard_error))
    if noise == 0:
        return Plan(0.0, 0.0, (budget / (CERTAIN_SHARE * delta)) ** (1 / GRID_ORDER))
    room = delta - 2 * min(budget, SAMPLED_SHARE * delta)
    return Plan(((SPREAD + normal_quantile(beta)) * noise / room) ** 2, budget / (SAMPLED_SHARE * delta), 0.0)
