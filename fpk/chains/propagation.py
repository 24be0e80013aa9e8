r"""From a sampler to its law: which way a step is propagated.

===================================== ==================================================================
a step                                its law
===================================== ==================================================================
affine kernels, Gaussian mixtures     closed form, any d (:mod:`fpk.chains.affine`)
Gaussian kernels and maps, d = 1      sums of Gaussians on panels, maps of laws (:mod:`fpk.chains.line`)
noise inside a function, d = 1        a window of high order (:mod:`fpk.chains.noises`)
proposals that may be refused, d = 1  both parts of the transition (:mod:`fpk.chains.noises`)
Gaussian kernels, d = 2               sums of Gaussians on a grid (:mod:`fpk.chains.plane`)
===================================== ==================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fpk.chains.affine import affine_chain, affine_steps
from fpk.chains.line import smeared
from fpk.chains.marginals import ChainMarginals, LineState
from fpk.chains.noises import Proposal, blurred, metropolised
from fpk.chains.pieces import PiecewiseLaw
from fpk.chains.plane_states import plane_chain
from fpk.closed_form import LawMarginals
from fpk.counts import counting
from fpk.errors import SchemeError
from fpk.laws import Array, GaussianMixture, Law, as_law
from fpk.samplers import MALA, Kernel, PredictorCorrector, Sampler

#: A step on the line: the state after it.
Stage = Callable[[LineState], LineState]


def propagate(sampler: Sampler, *, initial: Any = None) -> ChainMarginals | LawMarginals:
    """The exact law of a sampler's chain, without Monte Carlo.

    Parameters
    ----------
    sampler : Sampler
    initial : Law, optional
        What the chain starts from; default its prior.

    Returns
    -------
    marginals
        At all times of the chain (of times that stand still: after the last step), with the sampler's ``scheme``.

    Raises
    ------
    SchemeError
        Where no way is known: say, for a map that is not affine in the plane, or in more than two dimensions.

    Accuracy
    --------
    Closed forms round-off; Gaussian kernels on the line about 1e-14 a step; others as their budget tells.

    Examples
    --------
    >>> import fpk
    >>> from fpk.chains import propagate
    >>> from fpk.fields import exact_field
    >>> from fpk.samplers import DDPM
    >>> data = fpk.GaussianMixture([0.4, 0.6], [-1.0, 1.0], stds=[0.3, 0.2])
    >>> chain = propagate(DDPM(exact_field(data, fpk.VPSchedule(0.1, 20.0)), steps=8))
    >>> bool(chain.error(0.0) < 1e-11)
    True
    """
    law = as_law(sampler.prior if initial is None else initial)
    if isinstance(law, GaussianMixture) and (steps := affine_steps(sampler, law)) is not None:
        return affine_chain(sampler, law, steps)
    if law.dimension == 1:
        return line_chain(sampler, initial=law)
    return plane_chain(sampler, initial=law)


def line_chain(sampler: Sampler, *, initial: Law) -> ChainMarginals:
    """The law of a chain on the line by pieces, whatever its steps are."""
    state = LineState(PiecewiseLaw.of(initial))
    states = {float(sampler.times[0]): state}
    for k in range(sampler.steps):
        for stage in stages(sampler, k):
            state = stage(state)
        states[float(sampler.times[k + 1])] = state
    return ChainMarginals(states, sampler.scheme, f"law of {sampler.name}, {counting(sampler.steps, 'step')}")


def stages(sampler: Sampler, k: int) -> list[Stage]:
    """Step k as steps on the line, one after the other.

    Raises
    ------
    SchemeError
        For a step of several normal numbers that is no composition of known ones.
    """
    if isinstance(sampler, MALA):
        return [_refusing(sampler)]
    if sampler.gaussian:
        return [_kernel(kernel) for kernel in sampler.kernels(k)]
    if isinstance(sampler, PredictorCorrector):
        return stages(sampler.predictor, k) + [_kernel(kernel) for kernel in sampler.correctors(k)]
    if sampler.noises > 1:
        raise SchemeError(
            f"a step of {sampler.name} is a function of {sampler.noises} normal numbers: its law is not propagated. Give it kernels(k), "
            "or take particles, sampler.sample(...)."
        )
    return [_noisy(sampler, k)]


def _kernel(kernel: Kernel) -> Stage:
    mean = _on_line(kernel.mean)

    def after(state: LineState) -> LineState:
        if not kernel.std:
            return LineState(state.base, (*state.maps, mean), state.error)
        law, error = smeared(state.base, lambda x: mean(state.image(x)), kernel.std)
        return LineState(law, (), state.error + error)

    return after


def _noisy(sampler: Sampler, k: int) -> Stage:
    """A step that is a function of one normal number, or of none."""

    def step(x: Array, z: Array) -> Array:
        return sampler.step(x[:, None], k, z[None, :, None][: sampler.noises])[:, 0]

    def after(state: LineState) -> LineState:
        probe = state.image(state.base.nodes[len(state.base.nodes) // 2])
        if np.array_equal(step(probe, np.ones_like(probe)), step(probe, np.zeros_like(probe))):
            return LineState(state.base, (*state.maps, lambda x: step(x, np.zeros_like(x))), state.error)
        law, error = blurred(state.base, lambda x, z: step(state.image(x), z))
        return LineState(law, (), state.error + error)

    return after


def _refusing(sampler: MALA) -> Stage:
    kernel = sampler.proposal
    proposal = Proposal(_on_line(kernel.mean), kernel.std, lambda x: sampler.target.log_density(x[:, None]))

    def after(state: LineState) -> LineState:
        law, error = metropolised(state.base, proposal)
        return LineState(law, (), state.error + error)

    return after


def _on_line(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """A function of positions (n, 1) as one of (n,)."""
    return lambda x: function(x[:, None])[:, 0]
