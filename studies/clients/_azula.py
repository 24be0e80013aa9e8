"""Samplers of azula on the contract of black-box samplers: an object with a denoiser, which has a schedule and answers E[X | x_t]."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.schedules import AffineSchedule

from ._configurations import LAW, PARTICLES, Client
from ._libraries import loaded, part

#: Signal left where the noise ends, and noise left where the data are: its schedules stop at both.
LEAST = {"alpha_min": 1e-3, "sigma_min": 1e-2}
HIGHEST = 160.0
#: The time at which the path of ours has the noise that is left; before it the noise falls to 0 in a straight line.
END = 0.01


def schedule(name: str) -> Any:
    """A schedule of its own."""
    settings = {"sigma_min": LEAST["sigma_min"], "sigma_max": HIGHEST} if name == "VESchedule" else LEAST
    return getattr(part("azula.noise"), name)(**settings)


def own_time(t: float) -> float:
    """Its time for ours, which begins without noise."""
    return (t - END) / (1 - END)


def path(own: Any) -> AffineSchedule:
    """The same as a schedule of ours, continued to no noise at all."""
    import torch

    def level(t: float, which: int) -> float:
        return float(own(torch.tensor(max(own_time(t), 0.0), dtype=torch.float64))[which])

    return AffineSchedule(lambda t: level(t, 0), lambda t: level(t, 1) * min(t / END, 1.0))


def denoiser(model: Any, own: Any) -> Any:
    """What its samplers are given."""
    denoise = part("azula.denoise")

    class Exact(denoise.Denoiser):
        schedule = own

        def forward(self, x_t: Any, t: Any, **kwargs: Any) -> Any:
            return denoise.DiracPosterior(mean=model(x_t, t))

    return Exact()


def client(
    name: str, spacing: str, *, order: float | None, stochastic: bool = False, sampler_class: Any = None, **options: Any
) -> Client:
    """A sampler with equal steps of time along one of its schedules."""
    own = schedule(spacing)

    def made(model: Any, steps: int) -> Any:
        import torch

        cls = sampler_class or getattr(loaded("azula"), name)
        return cls(denoiser(model, own), steps=steps, silent=True, dtype=torch.float64, **options)

    def sampler(model: Any, start: Any, steps: int, rng: np.random.Generator) -> Any:
        import torch

        torch.manual_seed(int(rng.integers(2**31)))
        return made(model, steps)(start)

    def prior(n: int, rng: np.random.Generator) -> Any:
        import torch

        torch.manual_seed(int(rng.integers(2**31)))
        return made(lambda x, t: x, 4).init((n, 1))

    declared = {
        "kind": "denoised",
        "schedule": path(own),
        "time": own_time,
        "end": END,
        "visits": "label",
        "order": order,
        "stochastic": stochastic,
        "times": lambda steps: made(lambda x, t: x, steps).timesteps,
        "prior": prior,
        "law": LAW,
        "library": "torch",
        "particles": PARTICLES,
    }
    return Client(sampler, declared)
