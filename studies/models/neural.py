"""A small network, trained by each of its objectives: the law of its flow, and the bound of its score. Needs torch; runs only when named."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.fields import Field
from fpk.laws import Law
from fpk.marginals import Estimate, zero_estimate
from fpk.models.bounds import generated_law, girsanov, kl_divergence
from fpk.schedules import OTSchedule
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED
VP, OT = fpk.VPSchedule(0.6, 6.0), OTSchedule()
DATA = fpk.problems.two_peaks()
#: The network's law may be this far from the data's, in functionals of variance 1.
TOLERANCE = 0.05
#: Where flows of noise predictions end: the score is not determined by the noise at t = 0.
END = 0.02
TRAINED: dict[str, dict[str, Any]] = {
    "noise": {"schedule": VP, "steps": 1500, "rate": 1.5e-2},
    "velocity": {"schedule": OT, "steps": 1500, "rate": 1e-2},
    "likelihood": {"schedule": OT, "steps": 400, "batch": 192, "width": 32, "rate": 6e-3},
}


@lru_cache(maxsize=8)
def _trained(objective: str, share: float, quick: bool) -> Field:
    """The network after a share of its steps."""
    from fpk.models.neural import train

    settings = dict(TRAINED[objective])
    settings["steps"] = max(1, round(share * settings["steps"] * (1 if quick else 3)))
    return train(DATA, objective=objective, seed=0, **settings)


@dataclass(frozen=True)
class Change:
    """What is done to a trained field: the share of its training, its factor, and a shift in time."""

    share: float = 1.0
    factor: float = 1.0
    late: float = 0.0

    def field(self, objective: str, quick: bool) -> Field:
        """The field with the change."""
        field = _trained(objective, self.share, quick)
        return Field(lambda x, t: self.factor * field(x, min(t + self.late, 1.0)), field.kind, field.schedule)


def _generated(field: Field, objective: str, cells: int) -> tuple[Any, float, Law]:
    """The flow of the field from its prior on a grid, its clock at the end, and the law it should reach."""
    end = END if objective == "noise" else 0.0
    prior = _noised(VP, 1.0) if objective == "noise" else fpk.Gaussian(0.0, 1.0)
    flow = fpk.Problem(lambda x, tau: -field.velocity(x, max(1 - tau, end)), 0.0, initial=prior)
    grid = fpk.Grid(-5.0, 5.0, cells=cells)

    def solved(k: int) -> Any:
        return fpk.solve(flow, fpk.Grid(-5.0, 5.0, cells=grid.cells * k), times=[1 - end], steps=20 * k)

    return fpk.refine(solved), 1 - end, _noised(field.schedule, end)


def _noised(schedule: Any, t: float) -> fpk.GaussianMixture:
    return DATA.pushed(schedule.alpha(t) * np.eye(1), np.zeros(1), schedule.sigma(t) ** 2 * np.eye(1))


@study(
    "models.neural",
    variants={
        "stated": Change(),
        "sign": Change(factor=-1.0),
        "trained for a hundredth of the steps": Change(share=0.01),
        "half the field": Change(factor=0.5),
        "field + 5 %": Change(factor=1.05),
    },
    cases=tuple(TRAINED),
    only_when_named=True,
)
def law_of_the_flow(variant: Change, case: str, size: Size, seed: int) -> Evidence:
    """Expectations under the flow's law less those under the data's, and the other way round, less the tolerance."""
    flow, clock, target = _generated(variant.field(case, size.quick), case, size.cells(64))
    panel = fpk.law_panel({clock: target})
    found, wanted = flow.expect(panel), fpk.LawMarginals({clock: target}, (clock,)).expect(panel)
    distance, bound = np.abs(found.value - wanted.value), found.bias_bound + wanted.bias_bound
    first = Estimate(distance - TOLERANCE, bound, source=f"distance of the law from the data's less {TOLERANCE:g}")
    return Evidence(first, zero_estimate(len(bound)), panel.names)


@study(
    "models.neural-bound",
    variants={"stated": (1.0, 0.0), "a quarter of the bound": (0.25, 0.0), "bound − 5 %": (0.95, 0.0)},
    only_when_named=True,
)
def bound_of_the_score(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """KL of the reverse SDE's law from the data's, less the bound."""
    raise NotImplementedError
