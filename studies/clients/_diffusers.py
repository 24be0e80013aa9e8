"""Schedulers of diffusers on the contract of black-box samplers: the loop of its pipelines around one scheduler.

Schedulers that hold σ/α in ``sigmas`` and divide by √(1 + σ²) before the model is called keep positions x/α; all others keep x.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np

from fpk.fields import EDM, Index
from fpk.schedules import OTSchedule

from ._configurations import LAW, PARTICLES, Client
from ._libraries import loaded
from ._schedules import Levels, exploding

#: What its prediction types are called here.
KINDS = {"epsilon": "noise", "sample": "denoised", "v_prediction": "v", "flow_prediction": "velocity"}
#: Classes whose positions are x/α.
UNSCALED = (
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "DPMSolverSDEScheduler",
)
#: Classes whose last noise level is the lowest of the training, not 0, whatever is asked.
ENDING_IN_NOISE = ("DEISMultistepScheduler", "SASolverScheduler")
Make = Callable[[], Any]


def scheduler(name: str, **settings: Any) -> Make:
    """Makes a scheduler of a class; samples are not clipped, as laws here are not within [−1, 1]."""

    def make() -> Any:
        cls = getattr(loaded("diffusers"), name)
        unclipped = {"clip_sample": False} if "clip_sample" in inspect.signature(cls.__init__).parameters else {}
        return cls(**unclipped, **settings)

    return make


def prepared(make: Make) -> Callable[[int], Any]:
    """Schedulers whose steps are set; a copy each time, as some take seconds to make."""

    @cache
    def first(steps: int) -> Any:
        chain = make()
        chain.set_timesteps(steps)
        return chain

    return lambda steps: copy.deepcopy(first(steps))


def walked(make: Make, *, unscaled: bool, **options: Any) -> Callable[..., Any]:
    """The loop of its pipelines."""
    fresh = prepared(make)

    def sampler(model: Any, start: Any, steps: int, rng: np.random.Generator) -> Any:
        import torch

        chain = fresh(steps)
        taken = inspect.signature(chain.step).parameters
        seed = int(rng.integers(2**31))
        torch.manual_seed(seed)
        drawn = {"generator": torch.Generator().manual_seed(seed)} if "generator" in taken else {}
        x = start * (1 + chain.sigmas[0] ** 2) ** 0.5 if unscaled else start
        for t in chain.timesteps:
            shown = chain.scale_model_input(x, t) if hasattr(chain, "scale_model_input") else x
            x = chain.step(model(shown, t), t, x, **drawn, **options).prev_sample
        return x

    return sampler


def own_prior(make: Make, steps: int, *, unscaled: bool) -> Callable[..., Any]:
    """Normal numbers times ``init_noise_sigma``, on the scale of the path."""

    def prior(n: int, rng: np.random.Generator) -> Any:
        chain = make()
        chain.set_timesteps(steps)
        size = float(chain.init_noise_sigma) if hasattr(chain, "init_noise_sigma") else 1.0
        if unscaled:
            size /= float(1 + chain.sigmas[0] ** 2) ** 0.5
        return size * rng.standard_normal((n, 1))

    return prior


def levels_visited(make: Make) -> Callable[[int], Any]:
    """Its noise levels σ/α in turn, those that stand for two calls of the model once."""

    @cache
    def times(steps: int) -> Any:
        chain = make()
        chain.set_timesteps(steps)
        return np.array([level for level, _ in groupby(float(s) for s in chain.sigmas)])

    return times


def labels_visited(make: Make) -> Callable[[int], Any]:
    """Its labels in turn, and the last level: −1 for no noise, or the first of the training."""

    @cache
    def times(steps: int) -> Any:
        chain = make()
        chain.set_timesteps(steps)
        last = -1.0 if chain.config.get("set_alpha_to_one", True) else 0.0
        return np.array([*dict.fromkeys(float(t) for t in chain.timesteps), last])

    return times


def discrete(make: Make, *, order: float | None, stochastic: bool = False, **more: Any) -> Client:
    """A scheduler on the discrete path of its ``alphas_cumprod``."""
    chain = make()
    unscaled, length = type(chain).__name__ in UNSCALED, len(chain.alphas_cumprod)
    options = more.pop("options", {})
    held = hasattr(chain, "sigmas")
    noise_left = chain.config.get("final_sigmas_type") == "sigma_min" or not chain.config.get("set_alpha_to_one", True)
    declared = {
        "kind": KINDS[chain.config.prediction_type],
        "schedule": Levels(chain.alphas_cumprod).schedule(),
        "time": Index(length, first=0, start=1 / length),
        "order": order,
        "stochastic": stochastic,
        "times": levels_visited(make) if held else labels_visited(make),
        "visits": "sigma" if held else "label",
        "end": 1 / length if noise_left or type(chain).__name__ in ENDING_IN_NOISE else 0.0,
        "prior": own_prior(make, 100, unscaled=unscaled),
        "law": LAW,
        "library": "torch",
        "particles": PARTICLES,
    }
    return Client(walked(make, unscaled=unscaled, **options), declared | more)


def edm(make: Make, *, order: float | None, **more: Any) -> Client:
    """A scheduler on noise levels with the preconditioning of Karras et al. (2022)."""
    chain = make()
    path = exploding(chain.config.sigma_max, 1e-9)
    declared = {
        "kind": "edm",
        "schedule": path,
        "time": lambda t: 0.25 * float(np.log(path.sigma(t))),
        "scale": EDM(chain.config.sigma_data),
        "order": order,
        "times": levels_visited(make),
        "visits": "sigma",
        "prior": own_prior(make, 100, unscaled=False),
        "law": LAW,
        "library": "torch",
        "particles": PARTICLES,
    }
    return Client(walked(make, unscaled=False), declared | more)


def straight(make: Make, *, order: float | None, **more: Any) -> Client:
    """A scheduler on the straight path, its labels 1000 t."""
    chain = make()
    declared = {
        "kind": "velocity",
        "schedule": OTSchedule(),
        "time": lambda t: chain.config.num_train_timesteps * t,
        "order": order,
        "times": levels_visited(make),
        "visits": "path",
        "prior": own_prior(make, 100, unscaled=False),
        "law": LAW,
        "library": "torch",
        "particles": PARTICLES,
    }
    return Client(walked(make, unscaled=False), declared | more)
