# pyright: reportMissingImports=false
"""solver_order=3 with algorithm_type="sde-dpmsolver" (and with "sde-dpmsolver++" of the EDM scheduler): UnboundLocalError in the third step."""

import torch
from diffusers.schedulers import DPMSolverMultistepScheduler, EDMDPMSolverMultistepScheduler

for scheduler in (
    DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver", solver_order=3, final_sigmas_type="sigma_min"),
    EDMDPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++", solver_order=3),
):
    scheduler.set_timesteps(20)
    x, done = torch.ones(2, 1), 0
    try:
        for t in scheduler.timesteps:
            x = scheduler.step(0.1 * x, t, scheduler.scale_model_input(x, t)).prev_sample
            done += 1
    except UnboundLocalError as error:
        print(type(scheduler).__name__, "after", done, "steps:", error)
    assert done == 2
