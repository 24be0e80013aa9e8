"""Samplers, held against the laws they promise: orders, limits, recursions, propagated chains."""
