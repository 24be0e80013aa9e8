# pyright: reportMissingImports=false
"""DDPM with variance_type="fixed_large_log": the logarithm of the variance is taken for the variance; its root is NaN."""

import torch
from diffusers.schedulers import DDPMScheduler

scheduler = DDPMScheduler(variance_type="fixed_large_log")
scheduler.set_timesteps(10)
t = scheduler.timesteps[0]
x = scheduler.step(torch.zeros(4, 1), t, torch.ones(4, 1)).prev_sample
print("the 'variance':", float(scheduler._get_variance(t)), "positions:", x.ravel())
assert torch.isnan(x).all()
