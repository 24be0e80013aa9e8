r"""Ancestral samplers: a step draws x' at t' < t from a Gaussian around what the model denoises x to.

With a = α_t/α_t' and b = σ_t² − a² σ_t'² the forward transition is X_t | X_t' ~ N(a X_t', b I), and for every 0 ≤ s ≤ σ_t'

    x' = α_t' X0 + √(σ_t'² − s²) ε + s z,    X0 = E[X_0 | x], ε = (x − α_t X0)/σ_t,

has the marginal p_t' if X_0 were known. s² = η² β̃, β̃ = b σ_t'²/σ_t², is DDIM; η = 1 is the posterior of X_t' given x and X_0, DDPM.

References
----------
Ho, Jain & Abbeel (2020), equations 6, 7 and 11 (there b is β_t); Song, Meng & Ermon (2021), equations 12 and 16.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.errors import SchemeError
from fpk.fields import Field
from fpk.laws import Array
from fpk.samplers.base import Kernel, Sampler


class DDIM(Sampler):
    """Denoising diffusion implicit model: deterministic for ``eta`` = 0, the posterior of DDPM for ``eta`` = 1.

    Parameters
    ----------
    field, steps, times, dimension
        As for :class:`fpk.samplers.Sampler`.
    eta : float, default 0
        In [0, 1]: share of the posterior's standard deviation that is drawn anew.

    Notes
    -----
    First order in steps of σ_t/α_t; for variance-preserving schedules equal steps of t leave an error h log(1/h), those of √t do not.
    """

    name = "DDIM"
    order = 1.0
    limit = "the data law at t_N, in steps"
    needs = "a field that determines E[X_0 | x] for t > t_N"
    evaluations = 1

    def __init__(self, field: Field, *, eta: float = 0.0, **settings: Any) -> None:
        super().__init__(field, **settings)
        if not 0 <= eta <= 1:
            raise SchemeError(f"eta lies between 0 (no noise) and 1 (the posterior's), got {eta!r}.")
        self.eta = eta
        self.noises = int(eta > 0)

    @property
    def settings(self) -> str:
        """The share of noise."""
        return f"eta {self.eta:.12g}"

    def noise_std(self, k: int) -> float:
        """s of step k: η √β̃."""
        return self.eta * _posterior_variance(self, k) ** 0.5

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """One kernel: α_t' X0 + √(σ_t'² − η² β̃) ε, and the noise."""
        t, after = self.pair(k)
        schedule = self.schedule
        kept = schedule.sigma(after) ** 2 - self.eta**2 * _posterior_variance(self, k)
        along = np.sqrt(max(kept, 0.0)) / schedule.sigma(t)
        pull = schedule.alpha(after) - along * schedule.alpha(t)

        def mean(x: Array) -> Array:
            return along * x + pull * self.field.denoised(x, t)

        return (Kernel(mean, self.noise_std(k)),)


class DDPM(DDIM):
    """Denoising diffusion probabilistic model: the posterior's mean, with one of the two variances of Ho et al.

    Parameters
    ----------
    field, steps, times, dimension
        As for :class:`fpk.samplers.Sampler`.
    variance : {"posterior", "forward"}
        β̃ = b σ_t'²/σ_t², or b itself (β_t); the last step to t = 0 has no noise in either.
    """

    name = "DDPM"

    def __init__(self, field: Field, *, variance: str = "posterior", **settings: Any) -> None:
        super().__init__(field, eta=1.0, **settings)
        if variance not in ("posterior", "forward"):
            raise SchemeError(f"the variance of DDPM is 'posterior' (β̃) or 'forward' (β), got {variance!r}.")
        self.variance = variance

    @property
    def settings(self) -> str:
        """The variance."""
        return f"{self.variance} variance"

    def noise_std(self, k: int) -> float:
        """√β̃ or √β."""
        if self.variance == "posterior" or self.pair(k)[1] == 0:
            return super().noise_std(k)
        return _transition_variance(self, k) ** 0.5


def _transition_variance(sampler: Sampler, k: int) -> float:
    """b = σ_t² − (α_t/α_t')² σ_t'²."""
    (t, after), schedule = sampler.pair(k), sampler.schedule
    ratio = schedule.alpha(t) / schedule.alpha(after)
    return schedule.sigma(t) ** 2 - (ratio * schedule.sigma(after)) ** 2


def _posterior_variance(sampler: Sampler, k: int) -> float:
    """β̃ = b σ_t'²/σ_t²."""
    (t, after), schedule = sampler.pair(k), sampler.schedule
    return _transition_variance(sampler, k) * (schedule.sigma(after) / schedule.sigma(t)) ** 2
