# pyright: reportMissingImports=false
"""EulerDiscreteScheduler(interpolation_type="log_linear"): n + 2 noise levels for n steps, so the last step does not reach 0, and
the labels are those of other noise levels.
"""

import numpy as np
from diffusers.schedulers import EulerDiscreteScheduler

scheduler = EulerDiscreteScheduler(interpolation_type="log_linear")
scheduler.set_timesteps(10)
levels = np.sqrt((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).numpy()
meant = np.interp(np.log(scheduler.sigmas[:10]), np.log(levels), np.arange(1000))
print("sigmas          ", np.round(scheduler.sigmas.numpy(), 3))
print("labels          ", scheduler.timesteps.numpy())
print("labels of sigmas", np.round(meant))
print("after the last step the noise level is", float(scheduler.sigmas[10]))
assert len(scheduler.sigmas) == 12
assert scheduler.sigmas[10] > 0
assert np.abs(scheduler.timesteps.numpy() - meant).max() > 50
