r"""The chain that ancestral samplers walk back: forward steps of any length, posteriors between two ends, and schedules given by lists of β.

With a = α_t/α_s and b = σ_t² − a² σ_s², s < t, the path X_t = α_t X_0 + σ_t Z is the Markov chain

    X_t | X_s ~ N(a X_s, b I),        X_s | X_t, X_0 ~ N(α_s X_0 + (a σ_s²/σ_t²)(X_t − α_t X_0), b σ_s²/σ_t² I),

at times of any distance: nothing is approximated. Every law N(α_s X_0 + √(σ_s² − v) (X_t − α_t X_0)/σ_t, v), 0 ≤ v ≤ σ_s², has the same marginals
given X_0; v = η² b σ_s²/σ_t² is the family of DDIM, whose member η = 1 is the posterior above.

References
----------
Ho, Jain & Abbeel (2020), equations 2, 4, 6 and 7; Song, Meng & Ermon (2021), equations 7 and 16.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fpk.errors import ProblemError, SchemeError
from fpk.laws import Array
from fpk.samplers.base import Kernel
from fpk.schedules import Schedule, VariancePreserving
from fpk.shown import Shown

#: So many β are told one by one.
LISTED = 8
#: How far sums of steps may lead beyond a chain's ends, in its length.
BEYOND = 1e-9


def forward_kernel(schedule: Schedule, s: float, t: float) -> Kernel:
    """X_t given X_s, s ≤ t, as a Gaussian kernel x ↦ a x + √b z.

    Parameters
    ----------
    schedule : Schedule
    s, t : float

    Raises
    ------
    SchemeError
        For t < s.

    Examples
    --------
    >>> import fpk
    >>> step = forward_kernel(fpk.VPSchedule(1.0), 0.0, np.log(4))
    >>> step.mean(np.array([[2.0]])), round(step.std**2, 12)
    (array([[1.]]), 0.75)
    """
    if t < s:
        raise SchemeError(
            f"the chain runs from s to a later t, got s={s:g} and t={t:g}: what is before is a posterior."
        )
    if not schedule.alpha(s):
        raise SchemeError(f"nothing of the data is left at s={s:g}: a later state does not follow from that one alone.")
    ratio = schedule.alpha(t) / schedule.alpha(s)
    return Kernel(lambda x: ratio * x, forward_variance(schedule, s, t) ** 0.5)


def forward_variance(schedule: Schedule, s: float, t: float) -> float:
    """b = σ_t² − (α_t/α_s)² σ_s², at least 0."""
    ratio = schedule.alpha(t) / schedule.alpha(s)
    return max(schedule.sigma(t) ** 2 - (ratio * schedule.sigma(s)) ** 2, 0.0)


def posterior_variance(schedule: Schedule, s: float, t: float) -> float:
    """β̃ = b σ_s²/σ_t²: what is drawn anew between the two ends."""
    return forward_variance(schedule, s, t) * (schedule.sigma(s) / schedule.sigma(t)) ** 2


class Posterior(NamedTuple):
    """X_s given X_t and X_0: later · X_t + data · X_0 + std · z."""

    later: float
    data: float
    std: float

    def mean(self, x_t: Array, x_0: Array) -> Array:
        """Of positions of any shapes that broadcast."""
        return self.later * x_t + self.data * x_0


def posterior(schedule: Schedule, s: float, t: float, *, eta: float = 1.0) -> Posterior:
    """The member η of the family of posteriors at s between X_0 and X_t; exact however far apart s and t are.

    Parameters
    ----------
    schedule : Schedule
    s, t : float
        s < t.
    eta : float, default 1
        In [0, 1]: 1 is Bayes' rule, the step of DDPM; 0 draws nothing, DDIM.

    Raises
    ------
    SchemeError
        For t ≤ s, or another η.

    Examples
    --------
    >>> import fpk
    >>> found = posterior(fpk.VPSchedule(1.0), np.log(2), np.log(4))
    >>> [round(value**2, 6) for value in found]
    [0.222222, 0.222222, 0.333333]
    """
    if not s < t:
        raise SchemeError(f"a posterior is asked between 0 and t at an earlier s, got s={s:g} and t={t:g}.")
    if not 0 <= eta <= 1:
        raise SchemeError(f"eta lies between 0 (nothing drawn anew) and 1 (Bayes' rule), got {eta!r}.")
    drawn = eta**2 * posterior_variance(schedule, s, t)
    along = max(schedule.sigma(s) ** 2 - drawn, 0.0) ** 0.5 / schedule.sigma(t)
    return Posterior(along, schedule.alpha(s) - along * schedule.alpha(t), drawn**0.5)


@dataclass(frozen=True, repr=False)
class VPChain(VariancePreserving, Shown):
    """The chain X_{k+1} = √(1 − β_k) X_k + √β_k ε as a schedule, its time the number of steps taken.

    At whole times it is the chain to round-off. Between them it is the variance-preserving SDE of the rate −log(1 − β_k), constant in each step:
    ᾱ_k = ∏_{j<k} (1 − β_j) = e^{−B(k)}. Samplers walk it with ``times=[N, N − 1, ..., 0]`` or any part of these.

    Parameters
    ----------
    betas : sequence of float, shape (N,)
        β_0 ... β_{N−1} in (0, 1).

    Raises
    ------
    ProblemError
        For β that are none; on evaluation, for times outside [0, N].

    References
    ----------
    Ho, Jain & Abbeel (2020), equation 2; Rakitin, equation 8.

    Examples
    --------
    >>> import fpk
    >>> chain = VPChain(np.linspace(1e-4, 0.02, 1000))
    >>> round(chain.alpha(1000) ** 2, 9)
    4.0358e-05
    >>> chain
    VPChain(1000 β, 0.0001 ... 0.02)
    >>> problem = fpk.noising(chain, fpk.Gaussian(2.0, 0.5), horizon=1000)
    """

    betas: ArrayLike

    def __post_init__(self) -> None:
        try:
            betas = np.asarray(self.betas, float)
        except (TypeError, ValueError) as error:
            raise ProblemError(f"a chain needs a list of β in (0, 1), got {self.betas!r}.") from error
        if betas.ndim != 1 or not len(betas) or not np.all((betas > 0) & (betas < 1)):
            raise ProblemError(
                f"a chain needs a list of β in (0, 1), got {np.ravel(betas)[:6].tolist()} of shape {betas.shape}."
            )
        object.__setattr__(self, "betas", tuple(betas.tolist()))

    def __repr__(self) -> str:
        betas = np.asarray(self.betas)
        listed = betas.tolist() if len(betas) <= LISTED else f"{len(betas)} β, {betas[0]:g} ... {betas[-1]:g}"
        return f"VPChain({listed})"

    @property
    def steps(self) -> int:
        """N."""
        return len(self._integrals) - 1

    @cached_property
    def _integrals(self) -> Array:
        """B at whole times, shape (N + 1,)."""
        return np.concatenate([[0.0], np.cumsum(-np.log1p(-np.asarray(self.betas)))])

    def integrated_beta(self, t: float) -> float:
        """B(t) = −log ᾱ."""
        if not -BEYOND <= t / self.steps <= 1 + BEYOND:
            raise ProblemError(f"the time of a chain of {self.steps} steps lies in [0, {self.steps}], got t={t:g}.")
        return float(np.interp(t, np.arange(self.steps + 1.0), self._integrals))

    def beta(self, t: float) -> float:
        """The rate −log(1 − β_k) of the step k ≤ t < k + 1."""
        self.integrated_beta(t)  # refuses what is no time of the chain
        k = min(max(int(np.floor(t)), 0), self.steps - 1)
        return float(self._integrals[k + 1] - self._integrals[k])
