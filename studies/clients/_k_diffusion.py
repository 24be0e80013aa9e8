"""Samplers of k-diffusion on the contract of black-box samplers: a function of (model, x, sigmas), the model answering the denoised mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.samplers.times import time_of

from ._configurations import LAW, PARTICLES, Client
from ._libraries import loaded
from ._schedules import exploding

#: Noise levels from which and to which sigmas lead, before the step to 0.
HIGHEST, LOWEST = 160.0, 0.01
PATH = exploding(HIGHEST)


def sigmas(steps: int, spacing: str, lowest: float = LOWEST) -> Any:
    """Its own noise levels, the last of them 0."""
    return getattr(loaded("k-diffusion"), f"get_sigmas_{spacing}")(steps, lowest, HIGHEST)


def prior(n: int, rng: np.random.Generator) -> Any:
    """Normal numbers times the highest noise level, as its scripts begin."""
    return HIGHEST * rng.standard_normal((n, 1))


def client(
    name: str, *, order: float | None, stochastic: bool = False, spacing: str = "karras", lowest: float = LOWEST,
    independent: bool = False, **options: Any
) -> Client:  # fmt: skip
    """``sample_<name>`` along sigmas of its own; ``independent`` noise in each step instead of a tree of Brownian increments, which takes minutes."""

    def sampler(model: Any, start: Any, steps: int, rng: np.random.Generator) -> Any:
        import torch

        torch.manual_seed(int(rng.integers(2**31)))
        levels = sigmas(steps, spacing, lowest).to(start.dtype)
        if independent:
            options["noise_sampler"] = lambda a, b: torch.randn_like(start)
        return getattr(loaded("k-diffusion"), f"sample_{name}")(model, start, levels, disable=True, **options)

    declared = _declared(order, stochastic) | {"times": lambda steps: sigmas(steps, spacing, lowest)}
    return Client(sampler, declared)


def fast(*, order: float | None) -> Client:
    """``sample_dpm_fast``, its evaluations of the model counted as steps; it ends at the lowest level."""

    def sampler(model: Any, start: Any, steps: int, rng: np.random.Generator) -> Any:
        return loaded("k-diffusion").sample_dpm_fast(model, start, LOWEST, HIGHEST, steps, disable=True)

    return Client(sampler, _declared(order, False) | {"end": time_of(PATH, LOWEST, start=1.0, end=0.0)})


def _declared(order: float | None, stochastic: bool) -> dict[str, Any]:
    return {
        "kind": "denoised",
        "schedule": PATH,
        "time": "sigma",
        "visits": "sigma",
        "order": order,
        "stochastic": stochastic,
        "prior": prior,
        "law": LAW,
        "library": "torch",
        "particles": PARTICLES,
    }
