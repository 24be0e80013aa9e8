"""Samplers of diffusers with one thing put right: what an accusation says is wrong, and nothing else, is changed."""

from __future__ import annotations

from fractions import Fraction
from types import MethodType
from typing import Any

import numpy as np

from ._configurations import Client
from ._diffusers import discrete, scheduler
from ._libraries import loaded


def to_the_next_label(name: str, **settings: Any) -> Client:
    """DDIM or PNDM whose steps go to the label that comes next: T // n is made that gap at every step."""
    make = scheduler(name, **settings)

    def sampler(model: Any, start: Any, steps: int, rng: np.random.Generator) -> Any:
        chain, x = make(), start
        chain.set_timesteps(steps)
        for t, gap in zip(chain.timesteps, gaps([int(t) for t in chain.timesteps]), strict=True):
            chain.num_inference_steps = Fraction(chain.config.num_train_timesteps, gap)
            x = chain.step(model(x, t), t, x).prev_sample
        return x

    return Client(sampler, discrete(make, order=1 if name.startswith("DDIM") else 2).declared)


def gaps(labels: list[int]) -> list[int]:
    """From each label to the next different one, below the last to −1; a label that comes twice belongs to the step before it first."""
    following = [*labels[1:], -1]
    found = [a - b for a, b in zip(labels, following, strict=True)]
    for k in range(1, len(labels) - 1):
        if found[k] == 0:
            found[k] = found[k - 1]
    return [gap or labels[0] + 1 for gap in found]


def noise_first(**settings: Any) -> Client:
    """PNDM of v-models, each output turned into noise as soon as it is there."""
    released = discrete(scheduler("PNDMScheduler", prediction_type="v_prediction", **settings), order=2)
    own = discrete(scheduler("PNDMScheduler", **settings), order=2).sampler
    declared = released.declared

    def sampler(model: Any, start: Any, steps: int, rng: np.random.Generator) -> Any:
        path, length = declared["schedule"], declared["time"].count

        def noise(x: Any, t: Any) -> Any:
            place = (float(t) + 1) / length
            return path.alpha(place) * model(x, t) + path.sigma(place) * x

        return own(noise, start, steps, rng)

    return Client(sampler, declared)


def matching_levels(**settings: Any) -> Client:
    """The log-linear Euler scheduler with n levels above 0, and labels that belong to them."""

    def make() -> Any:
        chain = scheduler("EulerDiscreteScheduler", interpolation_type="log_linear", **settings)()
        return _changed(chain, "set_timesteps", lambda released: lambda steps: _matched(chain, released, steps))

    return discrete(make, order=1)


def _changed(chain: Any, method: str, change: Any) -> Any:
    setattr(chain, method, change(getattr(chain, method)))
    return chain


def _matched(chain: Any, released: Any, steps: int) -> None:
    import torch

    released(steps)
    chain.sigmas = torch.cat([chain.sigmas[:steps], torch.zeros(1)])
    logs = np.log(np.array(((1 - chain.alphas_cumprod) / chain.alphas_cumprod) ** 0.5))
    labels = [chain._sigma_to_t(np.array(sigma), logs) for sigma in chain.sigmas[:steps].numpy()]
    chain.timesteps = torch.tensor(np.array(labels), dtype=torch.float32)


def without_last_noise(**settings: Any) -> Client:
    """DDPM whose last step returns its mean."""
    make = scheduler("DDPMScheduler", **settings)

    def sampler(model: Any, start: Any, steps: int, rng: np.random.Generator) -> Any:
        import torch

        chain, x = make(), start
        chain.set_timesteps(steps)
        drawn = torch.Generator().manual_seed(int(rng.integers(2**31)))
        for t in chain.timesteps:
            found = chain.step(model(x, t), t, x, generator=drawn)
            x = found.prev_sample
        return found.pred_original_sample

    return Client(sampler, discrete(make, order=None, stochastic=True).declared)


def variance_for_its_logarithm(**settings: Any) -> Client:
    """DDPM with the exponential of what it takes for a variance."""

    def make() -> Any:
        chain = scheduler("DDPMScheduler", **settings)()
        return _changed(chain, "_get_variance", lambda released: lambda *a, **k: released(*a, **k).exp())

    released = discrete(scheduler("DDPMScheduler", **settings), order=None, stochastic=True)
    return Client(discrete(make, order=None, stochastic=True).sampler, released.declared)


def finite_bh1(**settings: Any) -> Client:
    """UniPC that takes the first order's residual, 0, for 0 where it is multiplied by the infinite step to no noise."""

    def make() -> Any:
        chain = scheduler("UniPCMultistepScheduler", **settings)()

        released = type(chain).multistep_uni_p_bh_update

        def update(self: Any, *args: Any, **named: Any) -> Any:
            if float(self.sigmas[self.step_index + 1]) > 0:
                return released(self, *args, **named)
            return self.model_outputs[-1]  # α = 1: the denoised mean

        chain.multistep_uni_p_bh_update = MethodType(update, chain)  # a copy of the scheduler has a copy of its own
        return chain

    return discrete(make, order=2)


def third_order_step(name: str, **settings: Any) -> Any:
    """A scheduler about to take its third step, at any noise levels: (levels, outputs) ↦ where 0 is taken."""
    import torch

    def step(levels: Any, outputs: Any, right: bool) -> float:
        chain = getattr(loaded("diffusers"), name)(solver_order=3, **settings)
        chain.set_timesteps(10)
        chain.sigmas, chain._step_index = torch.tensor(levels), 2
        nothing = torch.zeros(1, 1, dtype=torch.float64)
        held = [torch.full((1, 1), float(o), dtype=torch.float64) for o in outputs]
        noise = {} if name.startswith("EDM") else {"noise": nothing}
        found = float(chain.multistep_dpm_solver_third_order_update(held, sample=nothing, **noise))
        return found + (_missing(chain, levels, outputs) if right else 0.0)

    return step


def _missing(chain: Any, levels: Any, outputs: Any) -> float:
    """What the second difference D lacks: its weight should be ∫ s² of the kernel, and is a half of that (for the SDE, another number)."""
    logs = -np.log(levels)
    h, r0, r1 = logs[3] - logs[2], (logs[2] - logs[1]) / (logs[3] - logs[2]), (logs[1] - logs[0]) / (logs[3] - logs[2])
    m2, m1, m0 = outputs
    second = ((m0 - m1) / r0 - (m1 - m2) / r1) / (r0 + r1)
    algorithm = chain.config.algorithm_type
    alpha = 1.0 if type(chain).__name__.startswith("EDM") else (1 + levels[3] ** 2) ** -0.5
    scale = -alpha * levels[3] if algorithm == "dpmsolver" else alpha
    k = {"dpmsolver": -h, "dpmsolver++": h, "sde-dpmsolver++": 2 * h}[algorithm]
    taken = -((np.exp(-k) - 1 + k) / k**2 - 0.5)
    if algorithm == "dpmsolver":
        return float(scale * second * ((np.exp(h) - 1 - h) / h**2 - 0.5))
    if algorithm == "dpmsolver++":
        return float(scale * second * taken)
    return float(scale * second * (2 * taken - ((1 - np.exp(-k) - k) / k**2 - 0.5)))
