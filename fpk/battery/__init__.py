r"""Black-box examinations of samplers, kernels, likelihoods and fields that somebody else wrote.

A *sampler* is any callable

    sampler(model, start, steps, rng) -> positions at the end, shape (n, d)

that walks from noise to data. ``model(x, t)`` is what the code under examination calls its network: the examination supplies it, exact, in the kind,
with the time labels, the direction, the input scale and the array library that were declared. ``start`` (n, d) are positions at the noise end, drawn
from the exact law there; ``rng`` is a :class:`numpy.random.Generator` (libraries with seeds of their own take one from it). Three more callables are
optional, and each makes more checks possible:

==================================== ===================================================================================
``prior(n, rng)``                    the sampler's own start, (n, d)
``times(steps)``                     the times it believes to visit, noise end first (read as ``visits=`` says)
``step(model, x, k, steps, z)``      step k alone, with the normal numbers z of shape (n, d) injected
==================================== ===================================================================================

Declared are ``kind``, ``schedule``, ``time``, ``direction`` and ``scale``, as :func:`fpk.fields.as_field` has them, the ``order`` (or None), and
whether the sampler is ``stochastic``. Every call of the model is recorded: which label came with which positions is evidence.

Kernels, likelihoods, divergences, fields and guidance have examinations of their own.

>>> import fpk
>>> from fpk.battery import examine_sampler, wrapped
>>> from fpk.samplers import DDIM
>>> sampler, declared = wrapped(DDIM, fpk.VPSchedule(0.1, 20.0), kind="noise")
>>> examine_sampler(sampler, **declared).refuted
()
"""

from fpk.battery.declarations import Declaration
from fpk.battery.divergences import examine_divergence
from fpk.battery.examination import Examination, examine_sampler
from fpk.battery.fields import examine_field
from fpk.battery.findings import Finding, Suspect
from fpk.battery.guidance import examine_classifier_guidance, examine_guidance
from fpk.battery.kernels import examine_kernel
from fpk.battery.likelihoods import examine_likelihood
from fpk.battery.ours import wrapped

__all__ = [
    "Declaration",
    "Examination",
    "Finding",
    "Suspect",
    "examine_classifier_guidance",
    "examine_divergence",
    "examine_field",
    "examine_guidance",
    "examine_kernel",
    "examine_likelihood",
    "examine_sampler",
    "wrapped",
]
