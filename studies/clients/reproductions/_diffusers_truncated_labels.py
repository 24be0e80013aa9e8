# pyright: reportMissingImports=false
"""Labels of exponential and beta noise levels are cut off to whole numbers, not rounded (karras levels are): up to one too low."""

import numpy as np
from diffusers.schedulers import DPMSolverMultistepScheduler

for option in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"):
    scheduler = DPMSolverMultistepScheduler(**{option: True})
    scheduler.set_timesteps(20)
    levels = np.sqrt((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).numpy()
    meant = np.interp(np.log(scheduler.sigmas[:-1]), np.log(levels), np.arange(1000))
    off = scheduler.timesteps.numpy() - meant
    print(
        f"{option}: label minus that of the noise level, mean {off.mean():.2f}, from {off.min():.2f} to {off.max():.2f}"
    )
    assert (off.min() < -0.6) == (option != "use_karras_sigmas")
