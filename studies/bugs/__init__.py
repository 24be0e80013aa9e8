"""Mistakes that samplers, likelihoods and kernels really have, made again beside their correct twins, and whether the battery sees them."""
