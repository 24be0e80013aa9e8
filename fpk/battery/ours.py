"""Samplers of :mod:`fpk.samplers` on the contract of black boxes: what a battery that works must pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fpk.fields.field import Field
from fpk.laws import Array
from fpk.samplers.ancestral import DDIM
from fpk.samplers.base import Sampler
from fpk.samplers.times import quadratic
from fpk.schedules import OTSchedule, Schedule, SubVPSchedule


def wrapped(
    cls: type[Sampler],
    schedule: Schedule,
    *,
    kind: str = "score",
    times: Callable[[int], Array] | None = None,
    changed: Callable[[Sampler], Sampler] | None = None,
    **settings: Any,
) -> tuple[Callable[..., Array], dict[str, Any]]:
    """A class of samplers as a black box, with what is to be declared about it.

    Parameters
    ----------
    cls : subclass of Sampler
    schedule : Schedule
    kind : str
        What its model predicts.
    times : callable, optional
        Steps ↦ times; default equal steps where σ is smooth in t, else of √t.
    changed : callable, optional
        Something to be done to the sampler.
    **settings
        Of the class.

    Returns
    -------
    callable, dict
        The sampler, and keywords for :func:`fpk.battery.examine_sampler`.
    """
    clock = times or _smooth(schedule)

    def made(model: Any, steps: int, dimension: int) -> Sampler:
        sampler = cls(
            Field(lambda x, t: model(x, t), kind, schedule), times=clock(steps), dimension=dimension, **settings
        )
        return changed(sampler) if changed else sampler

    def sampler(model: Any, start: Array, steps: int, rng: np.random.Generator) -> Array:
        chain, x = made(model, steps, start.shape[1]), start
        for k in range(steps):
            x = chain.step(x, k, rng.standard_normal((chain.noises, *x.shape)))
        return x

    def step(model: Any, x: Array, k: int, steps: int, z: Array) -> Array:
        return made(model, steps, x.shape[1]).step(x, k, z[None])

    probe = made(lambda x, t: x, 4, 1)
    declared: dict[str, Any] = {
        "kind": kind, "schedule": schedule, "order": probe.order, "stochastic": probe.noises > 0, "times": clock,
        "end": float(clock(4)[-1]), "last_noise": probe.noises > 0 and not isinstance(probe, DDIM),
        "step": step if probe.noises < 2 else None,
    }  # fmt: skip
    return sampler, declared


def _smooth(schedule: Schedule) -> Callable[[int], Array]:
    if isinstance(schedule, (OTSchedule, SubVPSchedule)):
        return lambda steps: np.linspace(1.0, 0.0, steps + 1)
    return quadratic
