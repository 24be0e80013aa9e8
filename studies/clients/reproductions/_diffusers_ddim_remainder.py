# pyright: reportMissingImports=false
"""DDIM steps from t to t − T // n, but its next label is t − T/n: where n does not divide T, noise is left at every step."""

import numpy as np
import torch
from diffusers.schedulers import DDIMScheduler

MEAN, STD = 3.0, 0.5  # data N(3, 0.5²): the exact noise prediction is affine


def arrived(steps, spacing):
    scheduler = DDIMScheduler(timestep_spacing=spacing, clip_sample=False)
    scheduler.set_timesteps(steps)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    for t in scheduler.timesteps:
        bar = scheduler.alphas_cumprod[t].double()
        noise = (1 - bar) ** 0.5 * (x - bar**0.5 * MEAN) / (bar * STD**2 + 1 - bar)
        x = scheduler.step(noise, t, x).prev_sample
    return round(float(x[4]), 3), round(float(x[-1] - x[0]) / 4, 3)


for spacing in ("leading", "trailing", "linspace"):
    print(spacing, "mean and std:", {n: arrived(n, spacing) for n in (100, 200, 250, 400)})
assert np.allclose(arrived(250, "trailing"), (MEAN, STD), atol=0.02)
assert arrived(400, "trailing")[0] < 0.9 * MEAN
assert arrived(400, "linspace")[0] < 0.9 * MEAN
