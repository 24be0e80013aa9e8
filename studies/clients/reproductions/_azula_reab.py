# pyright: reportMissingImports=false
"""REABSampler: its docstring has sqrt(1 + exp(2s)), its code sqrt(alpha_s² + sigma_t²), t for s: first order, whatever order is asked."""

import torch
from azula.denoise import GaussianDenoiser
from azula.linalg.covariance import IsotropicCovariance
from azula.noise import VPSchedule
from azula.sample import REABSampler, xEABSampler

MEAN, VARIANCE = torch.tensor([3.0], dtype=torch.float64), torch.tensor(0.25, dtype=torch.float64)
schedule = VPSchedule(alpha_min=1e-2, sigma_min=1e-2)
denoiser = GaussianDenoiser(MEAN, IsotropicCovariance(VARIANCE), schedule)


def error(cls, steps):
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    (a, s), (b, r) = (schedule(torch.tensor(t, dtype=torch.float64)) for t in (1.0, 0.0))
    start = a * MEAN + (a**2 * VARIANCE + s**2) ** 0.5 * z
    end = cls(denoiser, order=2, steps=steps, silent=True, dtype=torch.float64)(start)
    return float((end - (b * MEAN + (b**2 * VARIANCE + r**2) ** 0.5 * z)).abs().max())


for cls in (xEABSampler, REABSampler):
    print(cls.__name__, [f"{error(cls, n):.1e}" for n in (32, 64, 128, 256)])
assert error(xEABSampler, 128) / error(xEABSampler, 256) > 3
assert 1.5 < error(REABSampler, 128) / error(REABSampler, 256) < 2.5
