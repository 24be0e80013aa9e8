# pyright: reportMissingImports=false
"""As many steps as the training had: two labels are equal ("linspace"), or all are 0 ("leading")."""

import torch
from diffusers.schedulers import DPMSolverMultistepScheduler, UniPCMultistepScheduler

for cls in (DPMSolverMultistepScheduler, UniPCMultistepScheduler):
    for spacing in ("linspace", "leading"):
        scheduler = cls(timestep_spacing=spacing)
        scheduler.set_timesteps(1000)
        labels, x = scheduler.timesteps, torch.ones(2, 1)
        try:
            for t in labels:
                x = scheduler.step(0.1 * x, t, x).prev_sample
        except (IndexError, AssertionError) as error:
            print(type(error).__name__)
        print(cls.__name__, spacing, "different labels:", len(set(labels.tolist())), "end:", x.ravel())
        assert len(set(labels.tolist())) < 1000
        assert not torch.isfinite(x).all()
