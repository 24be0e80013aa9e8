# pyright: reportMissingImports=false
"""DDPM with variance_type="fixed_large": the last step adds noise of standard deviation sqrt(1 - alpha_bar_t), unless its label happens to be 0."""

import torch
from diffusers.schedulers import DDPMScheduler

torch.manual_seed(0)
for spacing in ("leading", "trailing"):
    scheduler = DDPMScheduler(variance_type="fixed_large", timestep_spacing=spacing, clip_sample=False)
    scheduler.set_timesteps(10)
    last = scheduler.timesteps[-1]
    end = scheduler.step(torch.zeros(100_000, 1), last, torch.zeros(100_000, 1)).prev_sample
    print(f"{spacing}: last label {int(last)}, standard deviation of the samples given x: {float(end.std()):.3f}")
    if spacing == "trailing":
        expected = float((1 - scheduler.alphas_cumprod[last]) ** 0.5)
        assert abs(end.std() / expected - 1) < 0.01
    else:
        assert end.std() == 0
