"""My torch score network: it predicts noise, so say so, and hold what it generates against the data.

You learn that nothing about a model is guessed, and that an error of a field becomes an error of a law. Needs torch.
"""

import torch

import fpk
from fpk.chains import propagate
from fpk.fields import as_field
from fpk.samplers import DDIM

path, data = fpk.VPSchedule(0.1, 12.0), fpk.Gaussian(1.0, 0.5)


class Noise(torch.nn.Module):
    """E[Z | x] of N(1, ½²) data, in closed form; ``wrong`` scales it. In its place: your trained network."""

    def __init__(self, wrong=1.0):
        super().__init__()
        self.wrong = torch.nn.Parameter(torch.tensor(wrong, dtype=torch.float64))

    def forward(self, x, t):
        """Positions (n, d) and times (n,) ↦ noise (n, d)."""
        integral = 0.1 * t + 0.5 * t**2 * (12.0 - 0.1)
        alpha, variance = torch.exp(-0.5 * integral)[:, None], -torch.expm1(-integral)[:, None]
        return self.wrong * torch.sqrt(variance) * (x - alpha) / (variance + 0.25 * alpha**2)


declared = {"kind": "noise", "schedule": path, "time": "path", "direction": "t_noise", "scale": "path"}
for wrong in (1.0, 1.05):
    field = as_field(Noise(wrong), **declared)
    chain = propagate(DDIM(field, steps=100))
    exact = fpk.LawMarginals({0.0: data}, (0.0,), source="the data")
    print(f"noise × {wrong:g}:", fpk.compare(chain, exact, tolerance=0.05).outcome)
