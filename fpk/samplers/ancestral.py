r"""Ancestral samplers: a step draws x' at t' < t from a Gaussian around what the model denoises x to.

    x' = α_t' X0 + √(σ_t'² − s²) ε + s z,    X0 = E[X_0 | x], ε = (x − α_t X0)/σ_t,

is the posterior of X_t' between X_t = x and X_0 (:mod:`fpk.samplers.forward`) with E[X_0 | x] for X_0, and has the marginal p_t' if X_0 were known.
s² = η² β̃ is DDIM; η = 1 is Bayes' rule, DDPM, whose noise may also be the variance b of the step forwards.

References
----------
Ho, Jain & Abbeel (2020), equations 6, 7 and 11 (there b is β_t); Song, Meng & Ermon (2021), equations 12 and 16.
"""

from __future__ import annotations

from typing import Any

from fpk.errors import SchemeError
from fpk.fields import Field
from fpk.laws import Array
from fpk.samplers.base import Kernel, Sampler
from fpk.samplers.forward import forward_variance, posterior


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
        t, after = self.pair(k)
        return posterior(self.schedule, after, t, eta=self.eta).std

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """One kernel: α_t' X0 + √(σ_t'² − η² β̃) ε, and the noise."""
        t, after = self.pair(k)
        step = posterior(self.schedule, after, t, eta=self.eta)
        return (Kernel(lambda x: step.mean(x, self.field.denoised(x, t)), self.noise_std(k)),)

    def inverted(self, x: Array, k: int) -> Array:
        """Positions at t_k from those at t_{k+1}, by the same rule upwards: x' = α_t (x/α_t' + ε(x, t') (σ_t/α_t − σ_t'/α_t')).

        Undoes the step exactly where ε is the same at both ends, to first order in the step where it is read anew: what encodes data as noise.

        Parameters
        ----------
        x : array, shape (n, d)
        k : int

        Raises
        ------
        SchemeError
            If noise is drawn (``eta`` > 0): a step that forgets cannot be undone.
        """
        if self.eta:
            raise SchemeError(
                f"only steps without noise can be inverted, these draw noise: eta = {self.eta:g}; take eta=0."
            )
        (t, after), schedule = self.pair(k), self.schedule
        scale = schedule.alpha(t) / schedule.alpha(after)
        return scale * x + (schedule.sigma(t) - scale * schedule.sigma(after)) * self.field.noise(x, after)


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
        t, after = self.pair(k)
        return forward_variance(self.schedule, after, t) ** 0.5
