# pyright: reportMissingImports=false
"""UniPC with its default final_sigmas_type="zero" and solver_type="bh1", or predict_x0=False: infinity times 0 in the last step."""

import torch
from diffusers.schedulers import UniPCMultistepScheduler

for settings in ({}, {"solver_type": "bh1"}, {"predict_x0": False}):
    scheduler = UniPCMultistepScheduler(**settings)
    scheduler.set_timesteps(10)
    x = torch.ones(2, 1)
    for t in scheduler.timesteps:
        x = scheduler.step(0.1 * x, t, x).prev_sample
    print(settings, x.ravel())
    assert bool(torch.isfinite(x).all()) == (not settings)
