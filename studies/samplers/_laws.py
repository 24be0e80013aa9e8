r"""Laws and mistakes that the studies of samplers share: where chains start, where they should end, and what may go wrong between.

Deterministic chains on the line are followed from the quantiles of the exact law they start from: as characteristics never cross, the quantile
u must arrive at the quantile u. The laws of the others are propagated. Neither has any sampling error.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

import fpk
from fpk.chains import propagate
from fpk.fields import Field, exact_field
from fpk.laws import Array, GaussianMixture, Law
from fpk.marginals import Estimate
from fpk.panels import Panel
from fpk.samplers import Sampler
from fpk.samplers.coupling import quantiles
from fpk.schedules import OTSchedule, Schedule

#: Off-centre (mean 3.3), of variance .74, with a narrow component.
MIXTURE = GaussianMixture([0.3, 0.7], [2.2, 3.8], stds=[0.2, 0.5])
NORMAL = fpk.Gaussian(3.0, 0.6)
VP, SUB_VP, VE, OT = fpk.VPSchedule(0.6, 3.4), fpk.SubVPSchedule(0.6, 3.4), fpk.VESchedule(0.1, 3.0), OTSchedule()


def on_path(data: GaussianMixture, schedule: Schedule, t: float) -> GaussianMixture:
    """The law of α_t X_0 + σ_t Z."""
    return data.pushed(np.array([[schedule.alpha(t)]]), np.zeros(1), np.array([[schedule.sigma(t) ** 2]]))


def scaled(field: Field, factor: float) -> Field:
    """A field with all its values multiplied."""
    return field if factor == 1 else Field(lambda x, t: factor * field(x, t), field.kind, field.schedule)


@cache
def model(data: GaussianMixture, schedule: Schedule, factor: float = 1.0) -> Field:
    """The exact field, of a kind that is known at both ends: score, or velocity on the straight path."""
    return scaled(exact_field(data, schedule, kind="velocity" if schedule is OT else "score"), factor)


def late(field: Field, times: Array) -> Field:
    """A field that reads the time of the next step."""
    return Field(lambda x, t: field(x, later(times, t)), field.kind, field.schedule)


def later(times: Array, t: float) -> float:
    """The time one step further down, between times too."""
    rising = times[::-1]
    return float(np.interp(t, rising, np.concatenate([rising[:1], rising[:-1]])))


def louder(sampler: Sampler, factor: float) -> Sampler:
    """The sampler with its normal numbers multiplied."""
    if factor == 1:
        return sampler
    kind = type(sampler)

    def kernels(self: Any, k: int) -> Any:
        return tuple(replace(kernel, std=factor * kernel.std) for kernel in kind.kernels(self, k))

    def step(self: Any, x: Array, k: int, z: Array) -> Array:
        return kind.step(self, x, k, factor * z)

    changed = copy(sampler)
    changed.__class__ = type(kind.__name__, (kind,), {"kernels": kernels} if sampler.gaussian else {"step": step})
    return changed


def levels(count: int) -> Array:
    """The middles of equal intervals of (0, 1), shape (count,)."""
    return (np.arange(count) + 0.5) / count


def followed(sampler: Sampler, x: Array) -> Array:
    """Where a deterministic chain takes positions (n,)."""
    x = x[:, None]
    for k in range(sampler.steps):
        x = sampler.step(x, k, np.zeros((0, *x.shape)))
    return x[:, 0]


def answered(sampler: Sampler, start: Callable[[Array], Array] | Law, panel: Panel, count: int) -> Estimate:
    """Expectations of a sampler's law: over quantiles if it is deterministic, else propagated.

    Parameters
    ----------
    sampler : Sampler
    start : callable or Law
        The law to start from, or its quantile function.
    panel : Panel
    count : int
        Quantiles.
    """
    if sampler.noises:
        assert not callable(start)
        route = propagate(sampler, initial=start) if sampler.gaussian else Backward(sampler, start)
        return route.expect(panel)
    x = followed(sampler, start(levels(count)) if callable(start) else quantiles(start, levels(count)))[:, None]
    values = np.concatenate([block.values(x).mean(1) for block in panel.smooth])
    return Estimate(values, np.full(len(values), 10 / count**2), source=f"{sampler.name}, {count} quantiles")


#: Where expectations given a place are tabulated, and nodes of the rule for the normal number of a step.
LINE, NODES = np.linspace(-4.0, 9.0, 451), 24


class Backward:
    """Expectations of a sampler with one normal number a step, u_k(x) = E u_{k+1}(F_k(x, Z)), from the end: splines in x, Gauss–Hermite in Z."""

    def __init__(self, sampler: Sampler, start: Law) -> None:
        self.sampler, self.start = sampler, start

    def expect(self, panel: Panel) -> Estimate:
        """With the change from two thirds of the nodes as the budget."""
        values, coarse = (self._expected(panel, nodes) for nodes in (NODES, 2 * NODES // 3))
        return Estimate(values, np.abs(values - coarse) + 1e-5, source=f"{self.sampler.name}, backwards")

    def _expected(self, panel: Panel, nodes: int) -> Array:
        from scipy.interpolate import make_interp_spline

        table = np.concatenate([block.values(LINE[:, None]) for block in panel.smooth]).T
        z, weights = np.polynomial.hermite_e.hermegauss(nodes)
        x, z = np.repeat(LINE, nodes)[:, None], np.tile(z, len(LINE))[None, :, None]
        for k in reversed(range(self.sampler.steps)):
            places = np.clip(self.sampler.step(x, k, z)[:, 0], LINE[0], LINE[-1])
            after = make_interp_spline(LINE, table, k=5)(places).reshape(len(LINE), nodes, -1)
            table = np.einsum("n,inj->ij", weights / weights.sum(), after)
        mass = np.exp(self.start.log_density(LINE[:, None])) * (LINE[1] - LINE[0])
        return mass @ table
