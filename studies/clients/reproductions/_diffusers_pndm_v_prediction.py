# pyright: reportMissingImports=false
"""PNDM combines the outputs of several steps before it turns v into noise: with v_prediction its order falls from two to one."""

import numpy as np
import torch
from diffusers.schedulers import PNDMScheduler

MEAN, STD = 3.0, 0.5  # data N(3, 0.5²)


def error(steps, kind):
    scheduler = PNDMScheduler(skip_prk_steps=True, prediction_type=kind, set_alpha_to_one=True)
    scheduler.set_timesteps(steps)
    bar = scheduler.alphas_cumprod.double()
    first = bar[scheduler.timesteps[0]]
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    x = first**0.5 * MEAN + (first * STD**2 + 1 - first) ** 0.5 * z
    for t in scheduler.timesteps:
        alpha, sigma = bar[t] ** 0.5, (1 - bar[t]) ** 0.5
        noise = sigma * (x - alpha * MEAN) / (alpha**2 * STD**2 + sigma**2)
        output = noise if kind == "epsilon" else (noise - sigma * x) / alpha  # v = alpha eps - sigma x0
        x = scheduler.step(output, t, x).prev_sample
    return float((x - (MEAN + STD * z)).abs().max())


for kind in ("epsilon", "v_prediction"):
    print(kind, [f"{error(n, kind):.1e}" for n in (10, 20, 40, 100)])
assert error(100, "epsilon") < 2e-3
assert np.isclose(error(50, "v_prediction") / error(100, "v_prediction"), 2, rtol=0.1)  # first order
