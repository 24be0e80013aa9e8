# pyright: reportMissingImports=false
"""The third-order multistep update of DPM-Solver counts the second difference once, not twice. For x0(lambda) = (lambda - lambda_s)² the exact
step from x = 0 is known; local errors should be O(h⁴), and are O(h³): O(h²) for sde-dpmsolver++, where the ½ has the wrong sign too.
"""

import numpy as np
import torch
from diffusers.schedulers import DPMSolverMultistepScheduler


def local_error(algorithm, h):
    scheduler = DPMSolverMultistepScheduler(algorithm_type=algorithm, solver_order=3)
    scheduler.set_timesteps(10)
    places = np.array([-2 * h, -h, 0.0, h])
    scheduler.sigmas, scheduler._step_index = torch.tensor(np.exp(-places)), 2
    outputs = [torch.full((1, 1), p**2) for p in places[:3]]
    nothing, r = torch.zeros(1, 1), 2 if algorithm.startswith("sde") else 1
    found = scheduler.multistep_dpm_solver_third_order_update(outputs, sample=nothing, noise=nothing)
    integral = np.exp(r * h) * (h**2 - 2 * h / r + 2 / r**2) - 2 / r**2  # of r exp(r u) u² over (0, h)
    return float(found) - integral * np.exp(-(r - 1) * h) / np.sqrt(1 + np.exp(2 * h))


for algorithm in ("dpmsolver++", "sde-dpmsolver++"):
    errors = [local_error(algorithm, h) for h in (0.4, 0.2, 0.1, 0.05)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    print(algorithm, "local errors", np.round(errors, 7), "orders", np.round(orders, 2))
    assert abs(orders[-1] - (2 if algorithm.startswith("sde") else 3)) < 0.1
