# pyright: reportMissingImports=false
"""sample_dpmpp_3m_sde counts the second difference once, not twice: its step is not exact for quadratic outputs, local errors are O(h³).

The model answers (lambda - lambda_2)² whatever x is, lambda = -log sigma: the exact step from x_2 is known.
"""

import numpy as np
import torch
from k_diffusion import sampling


def local_error(h):
    seen = {}
    levels = torch.tensor(np.exp(-h * np.array([-2.0, -1.0, 0.0, 1.0])))
    end = sampling.sample_dpmpp_3m_sde(
        lambda x, sigma: torch.log(sigma)[:, None] ** 2 + 0 * x,
        torch.zeros(1, 1, dtype=torch.float64), levels, eta=0.0, disable=True, callback=lambda info: seen.update({info["i"]: info["x"]}),
        noise_sampler=lambda a, b: 0.0,
    )  # fmt: skip
    integral = np.exp(h) * (h**2 - 2 * h + 2) - 2  # of exp(u) u² over (0, h)
    exact = np.exp(-h) * (float(seen[2]) + integral)
    return float(end) - exact


errors = [local_error(h) for h in (0.4, 0.2, 0.1, 0.05)]
orders = np.log2(np.divide(errors[:-1], errors[1:]))
print("local errors", np.round(errors, 7), "orders", np.round(orders, 2))
assert abs(orders[-1] - 3) < 0.1
