"""A configuration of somebody's sampler: how it is made, and what is declared about it to the examination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from fpk import GaussianMixture
from fpk.battery import Examination, examine_sampler

#: Off-centre, smooth: differences of order show with few steps.
LAW = GaussianMixture([0.4, 0.6], [2.0, 4.5], stds=[0.8, 1.1])
#: Particles of stochastic samplers.
PARTICLES = 20_000


class Client(NamedTuple):
    """The sampler on the contract of :mod:`fpk.battery`, and keywords of its examination."""

    sampler: Callable[..., Any]
    declared: dict[str, Any]


#: The checks of an examination, by what they are about.
GROUPS = {
    "finiteness": ("finite",),
    "identities": ("same twice", "labels in range", "times", "calls", "first label", "labels", "last step"),
    "prior": ("prior",),
    "law": ("law", "limit", "narrow law", "narrow limit", "law in the plane", "limit in the plane"),
    "order": ("order", "any number of steps"),
}


@dataclass(frozen=True)
class Configuration:
    """One legal configuration of one sampler of one library.

    Parameters
    ----------
    name : str
        Class and options.
    make : callable
        () ↦ Client; imports the library.
    stochastic : bool
        Whether it draws noise, so that there is no order.
    """

    name: str
    make: Callable[[], Client]
    stochastic: bool = False


@lru_cache(maxsize=256)
def examined(configuration: Configuration) -> Examination:
    """Every check; what the diagnosis needs besides is not kept."""
    client = configuration.make()
    found = examine_sampler(client.sampler, **client.declared)
    return replace(found, findings=tuple(replace(f, hints={}) for f in found.findings))
