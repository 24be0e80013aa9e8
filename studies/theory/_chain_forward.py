r"""The chain forwards: its steps and its laws, claimed and found.

Claims are slopes and variances from ᾱ, products of 1 − β, limits. Found are transitions of the SDE, densities propagated as functions, recursions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.chains import propagate
from fpk.chains.line import smeared
from fpk.chains.pieces import PiecewiseLaw
from fpk.fields import exact_field
from fpk.laws import Array, GaussianMixture
from fpk.marginals import Estimate
from fpk.moments import transition
from fpk.samplers import Kernel, Sampler, VPChain, forward_kernel

from .._limits import limit
from .._systems import DATA
from ._chain_laws import LATER, NOW, ROUNDING, SCHEDULE, SDE, STARTS, moved, share

STEPS = ((0.0, 0.3), (0.3, 0.55), (0.55, 1.0))
#: Slope and variance of a step, as claimed, from ᾱ where it begins and where it ends.
CLAIMED: dict[str, Callable[[float, float], tuple[float, float]]] = {
    "stated": lambda a, b: ((b / a) ** 0.5, 1 - b / a),
    "ᾱ for α": lambda a, b: (b**0.5, 1 - b),
    "√ missing on α": lambda a, b: (b / a, 1 - b / a),
    "√ missing on 1 − α": lambda a, b: ((b / a) ** 0.5, (1 - b / a) ** 2),
    "ratio inverted": lambda a, b: ((a / b) ** 0.5, 1 - a / b),
    "∫β + 0.1 %": lambda a, b: ((b / a) ** 0.5005, 1 - (b / a) ** 1.001),
}
#: Another schedule that preserves the variance, λ² + μ² = 1, its SDE, and the chain of β as a schedule.
COSINE = fpk.AffineSchedule("cos(1.2*t)", "sin(1.2*t)")
COSINE_SDE = fpk.Problem(fpk.Linear(COSINE.drift_rate), COSINE.diffusion, initial=DATA)


@lru_cache(maxsize=16)
def cosine_moved(s: float, t: float) -> tuple[float, float]:
    """Slope and variance of X_t given X_s on it, integrated from the SDE."""
    found = transition(COSINE_SDE, s, t)
    return float(found.slope[0, 0]), float(found.covariance[0, 0])


def stepped(s: float, t: float) -> tuple[float, float]:
    """Slope and variance of a step of fpk's chain."""
    step = forward_kernel(SCHEDULE, s, t)
    return float(step.mean(np.ones((1, 1)))[0, 0]), step.std**2


#: Slope and variance of a step from s to t, and λ.
ROUTES: dict[str, tuple[Callable[[float, float], tuple[float, float]], Callable[[float], float]]] = {
    "linear rate": (moved, SCHEDULE.alpha),
    "cosine": (cosine_moved, COSINE.alpha),
    "a step of fpk": (stepped, SCHEDULE.alpha),
}


#: Mean (a factor on where it starts) and variance from the share.
NORMALS: dict[str, Callable[[float], tuple[float, float]]] = {
    "stated": lambda a: (a**0.5, 1 - a),
    "√ missing": lambda a: (a, 1 - a),
    "deviation for variance": lambda a: (a**0.5, (1 - a) ** 0.5),
    "noises not damped": lambda a: (a**0.5, sum(1 - share(s, t) for s, t in FOUR)),
    "α + 0.2 %": lambda a: ((1.002 * a) ** 0.5, 1 - 1.002 * a),
}
FOUR = ((0.0, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, NOW))
PLACES = np.array([-0.6, 0.2, 0.9])
#: All pairs of a start and a place.
FROM_TO = np.stack([np.repeat(STARTS, len(PLACES)), np.tile(PLACES, len(STARTS))])


@lru_cache(maxsize=1)
def many_steps() -> Array:
    """Densities at PLACES of the chain after four steps from each start, propagated as functions."""
    return np.concatenate([_composed(float(start)) for start in STARTS])


def _composed(start: float) -> Array:
    first = forward_kernel(SCHEDULE, *FOUR[0])
    law, error = PiecewiseLaw.of(fpk.Gaussian(float(first.mean(np.full((1, 1), start))[0, 0]), first.std)), 0.0
    for ends in FOUR[1:]:
        step = forward_kernel(SCHEDULE, *ends)
        law, more = smeared(law, lambda x, step=step: step.mean(x[:, None])[:, 0], step.std)
        error += more
    assert error < ROUNDING
    return np.exp(law.log_density(PLACES[:, None]))


@lru_cache(maxsize=1)
def one_step() -> Array:
    """Densities at PLACES of X_t given X_s, from the joint law of the SDE."""
    joint: Any = fpk.exact(SDE, times=[LATER]).joint
    pair, marginal = joint(NOW, LATER), fpk.exact(SDE, times=[NOW]).law(NOW)
    return np.exp(pair.log_density(FROM_TO.T) - marginal.log_density(FROM_TO[0][:, None]))


ROOT: Callable[[float], float] = lambda beta: (1 - beta) ** 0.5  # noqa: E731


class Forward(Sampler):
    """The chain x ↦ keep(β) x + draw(β) ε of given β; its time counts the steps that are left.

    Parameters
    ----------
    betas : sequence of float
    keep, draw : callable
    """

    name, noises = "forward chain", 1

    def __init__(
        self,
        betas: Sequence[float],
        *,
        keep: Callable[[float], float] = ROOT,
        draw: Callable[[float], float] = lambda beta: beta**0.5,
    ) -> None:
        super().__init__(exact_field(DATA, SCHEDULE), times=np.arange(len(betas), -1.0, -1.0))
        self.betas, self.keep, self.draw = betas, keep, draw

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """One kernel."""
        factor, std = self.keep(self.betas[k]), self.draw(self.betas[k])
        return (Kernel(lambda x: factor * x, std),)


def shares_of(betas: Sequence[float]) -> tuple[Array, Array]:
    """α_t and σ_t, t = 0 ... N, of the chain, from its propagated means and variances."""
    chain: Any = propagate(Forward(betas), initial=fpk.Gaussian(1.0, 0.5))
    laws = [chain.law(float(t)) for t in range(len(betas), -1, -1)]
    alpha = np.array([law.mean[0] for law in laws])
    return alpha, np.sqrt(np.maximum([law.covariance[0, 0] for law in laws] - 0.25 * alpha**2, 0))


BETAS = (0.05, 0.3, 0.12, 0.4, 0.2)
#: α and σ at the step t from the list of β.
PRODUCTS: dict[str, Callable[[int], tuple[float, float]]] = {
    "stated": lambda t: pythagoras(_product(BETAS[:t])),
    "s = 1 ... t": lambda t: pythagoras(_product(BETAS[1 : t + 1])),
    "one factor fewer": lambda t: pythagoras(_product(BETAS[: t - 1])),
    "√ missing": lambda t: pythagoras(_product(BETAS[:t]) ** 2),
    "σ = 1 − α": lambda t: (_product(BETAS[:t]) ** 0.5, 1 - _product(BETAS[:t]) ** 0.5),
    "β + 1 %": lambda t: pythagoras(_product(tuple(1.01 * beta for beta in BETAS[:t]))),
}


def _product(betas: Sequence[float]) -> float:
    """∏(1 − β)."""
    return float(np.prod(1 - np.array(betas)))


def pythagoras(squared: float) -> tuple[float, float]:
    """α and σ from α²."""
    return squared**0.5, (1 - squared) ** 0.5


def noised(alpha: float, sigma: float) -> GaussianMixture:
    return DATA.pushed(np.array([[alpha]]), np.zeros(1), np.array([[sigma**2]]))


STAYS, ENDLESS, FINITE = "N(0, 1) stays", "Σβ = ∞", "Σβ < ∞"
#: α, σ of the law that is claimed in each case; None where the form says the same as the stated one there.
LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "stated": {STAYS: (0.0, 1.0), ENDLESS: (0.0, 1.0), FINITE: (0.5**0.5, 0.5**0.5)},
    "√ missing": {STAYS: (0.0, 1.0)},
    "Euler step": {STAYS: (0.0, 1.0)},
    "start not forgotten": {ENDLESS: (0.5**0.5, 0.5**0.5)},
    "start forgotten": {FINITE: (0.0, 1.0)},
    "variance + 1 %": {STAYS: (0.0, 1.01**0.5), ENDLESS: (0.0, 1.01**0.5)},
    "α + 1 %": {FINITE: (1.01 * 0.5**0.5, (1 - 0.5 * 1.01**2) ** 0.5)},
}
WRONG: dict[str, dict[str, Any]] = {"√ missing": {"draw": lambda b: b}, "Euler step": {"keep": lambda b: 1 - b / 2}}


@lru_cache(maxsize=1)
def along_the_sde() -> list[tuple[float, float]]:
    """α and σ after each step from the SDE of fpk's chain of β, integrated."""
    problem, found = fpk.noising(VPChain(BETAS), DATA, horizon=len(BETAS)), [(1.0, 0.0)]
    for k in range(len(BETAS)):
        step, (alpha, sigma) = transition(problem, k, k + 1 - 1e-12), found[-1]  # the rate jumps at k + 1
        slope = float(step.slope[0, 0])
        found.append((slope * alpha, float(slope**2 * sigma**2 + step.covariance[0, 0]) ** 0.5))
    return found


def late_law(betas: Array) -> GaussianMixture:
    """The law of the chain from the data, by the recursion of its factor and its variance."""
    factor, spread = 1.0, 0.0
    for beta in betas.tolist():
        factor, spread = (1 - beta) ** 0.5 * factor, (1 - beta) * spread + beta
    return noised(factor, spread**0.5)


@lru_cache(maxsize=2)
def in_the_end(case: str) -> tuple[Estimate, fpk.Panel]:
    """Limits of the chain's expectations; they expand in α_t ~ 1/√t where the sum diverges, in 1/t where it does not."""
    ratio, power, reference = (4, 1, noised(0.0, 1.0)) if case == ENDLESS else (2, 2, noised(0.5**0.5, 0.5**0.5))
    panel = fpk.law_panel({0.0: reference})
    counts = [256 * ratio**k for k in range(4)] if case == ENDLESS else [64 * ratio**k for k in range(4)]
    laws = [late_law(1 / (np.arange(n) + 2.0) ** power) for n in counts]
    values = [fpk.LawMarginals({0.0: law}, (0.0,)).expect(panel).value for law in laws]
    value, bound, coarser = limit(values)
    return Estimate(value, bound, coarser=coarser, source="the chain as t → ∞"), panel
