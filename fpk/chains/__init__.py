"""Propagated chains: the exact law of a discrete sampler, without sampling noise.

``propagate(sampler)`` gives marginals at all of the sampler's times; compared with particles of the same sampler they are one discrete law.
"""

from fpk.chains.marginals import ChainMarginals
from fpk.chains.plane_states import plane_chain
from fpk.chains.propagation import line_chain, propagate

__all__ = ["ChainMarginals", "line_chain", "plane_chain", "propagate"]
