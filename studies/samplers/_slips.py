"""Slips of the kind that are made in loops: a sampler whose chain is not the one its scheme names."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from fpk.laws import Array
from fpk.samplers import Sampler


def last_step_skipped(sampler: Sampler) -> Sampler:
    """Where it is after N − 1 steps is called the end."""
    return _stepping(sampler, lambda x, k, z: x if k == sampler.steps - 1 else sampler.step(x, k, z))


def noise_repeated(sampler: Sampler) -> Sampler:
    """The normal numbers of the first step, in every step."""
    first: dict[str, Array] = {}

    def step(x: Array, k: int, z: Array) -> Array:
        if k == 0:
            first["z"] = z
        return sampler.step(x, k, first["z"])

    return _stepping(sampler, step)


def _stepping(sampler: Sampler, step: Callable[[Array, int, Array], Array]) -> Sampler:
    kind: Any = type(sampler)
    changed = copy(sampler)
    changed.__class__ = type(kind.__name__, (kind,), {"step": lambda self, x, k, z: step(x, k, z)})
    return changed
