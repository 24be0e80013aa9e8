"""Samplers: one class for each chain from noise to data, with its order, its limit and what it needs."""

from fpk.samplers.ancestral import DDIM, DDPM
from fpk.samplers.base import Kernel, Sampler

__all__ = ["DDIM", "DDPM", "Kernel", "Sampler"]
