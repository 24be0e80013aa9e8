# pyright: reportMissingImports=false
"""sample_dpmpp_2m_sde and sample_dpmpp_3m_sde with one step: UnboundLocalError after the denoising step."""

import torch
from k_diffusion import sampling

levels = sampling.get_sigmas_karras(1, 0.01, 80.0)
for name in ("sample_dpmpp_2m", "sample_dpmpp_2m_sde", "sample_dpmpp_3m_sde"):
    try:
        end = getattr(sampling, name)(lambda x, sigma: 0 * x, 80 * torch.randn(2, 1), levels, disable=True)
        print(name, "ends at", end.ravel())
        assert name == "sample_dpmpp_2m"
    except UnboundLocalError as error:
        print(name, error)
        assert name != "sample_dpmpp_2m"
