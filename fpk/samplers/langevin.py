r"""Langevin chains: x ↦ x + κ s(x, t) + √(2κ) z at a fixed time t, for which p_t is nearly invariant.

The step is Euler–Maruyama's for dX = s dτ + √2 dW (:mod:`fpk.particles.langevin` with g = √2). Its own invariant law is wrong by O(κ); a
Metropolis test removes that. Annealed Langevin dynamics goes through the times with M such steps each, a predictor–corrector puts M of them
behind each step of another sampler.

References
----------
Roberts & Tweedie (1996); Song & Ermon (2019), algorithm 1; Song et al. (2021), algorithms 1, 4 and 5.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.errors import SchemeError
from fpk.fields import Field
from fpk.laws import Array, Law, as_law
from fpk.problem import Problem
from fpk.samplers.base import Kernel, Sampler


def langevin_kernel(field: Field, t: float, size: float) -> Kernel:
    """x + κ s(x, t) + √(2κ) z, κ = ``size``."""
    return Kernel(lambda x: x + size * field.score(x, t), (2 * size) ** 0.5)


def langevin_hop(field: Field, *, initial: Any, time: float, duration: float) -> Problem:
    """Langevin dynamics dX = s(X, u) dτ + √2 dW for a while: the naive way from one noise level to the next.

    Parameters
    ----------
    field : Field
    initial : Law
        Where it starts, for example the law of a noisier level.
    time : float
        u, where the score is read: the level that is to be reached.
    duration : float
        h, the horizon of the problem.

    Returns
    -------
    Problem
        Its law at τ = h tends to p_u as h → ∞, at the rate of the spectral gap: between distant modes hardly at all. ``solve`` and
        ``simulate`` take it.

    Raises
    ------
    SchemeError
        For a duration that is not positive.

    Examples
    --------
    >>> import fpk
    >>> from fpk.fields import exact_field
    >>> field = exact_field(fpk.Gaussian(1.0, 0.5), fpk.VPSchedule(1.0))
    >>> hop = langevin_hop(field, initial=fpk.Gaussian(0.0, 1.0), time=0.3, duration=2.0)
    >>> hop.horizon
    2.0
    """
    duration = _positive(duration, "duration of a hop")
    return Problem(lambda x, tau: field.score(x, time), 2**0.5, initial=initial, horizon=duration, name="hop")


class ULA(Sampler):
    """The unadjusted Langevin algorithm: N Langevin steps at one time of the path.

    Parameters
    ----------
    field, dimension
        As for :class:`fpk.samplers.Sampler`.
    size : float
        κ > 0.
    steps : int
        N.
    time : float, default 0
        Where the score is read, the data by default.
    """

    name = "ULA"
    order: float | None = None
    limit = "the law of the path at the time given, as N κ → ∞ and κ → 0: the invariant law is wrong by O(κ)"
    needs = "a field that determines the score at one time"
    noises = 1
    evaluations = 1

    def __init__(self, field: Field, *, size: float, steps: int, time: float = 0.0, dimension: int = 1) -> None:
        # The times of a chain with an invariant law stand still, which those of Sampler.__init__ may not.
        if not (steps >= 1 and steps % 1 == 0):
            raise SchemeError(f"{self.name} needs a whole number of steps ≥ 1, got {steps!r}.")
        self.field, self.dimension, self.time = field, dimension, float(time)
        self.size = _positive(size, f"step size of {self.name}")
        self.times = np.full(int(steps) + 1, self.time)

    @property
    def settings(self) -> str:
        """The size of a step."""
        return f"size {self.size:.12g}"

    @property
    def prior(self) -> Law:
        """N(0, (α² + σ²) I) at the time of the score: any start will do in the limit."""
        from fpk.laws import Gaussian

        scale = np.hypot(self.schedule.alpha(self.time), self.schedule.sigma(self.time))
        return Gaussian(np.zeros(self.dimension), float(scale))

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """One kernel."""
        return (langevin_kernel(self.field, self.time, self.size),)


class MALA(ULA):
    """The Metropolis-adjusted Langevin algorithm: an ULA step y of x is taken with probability min(1, π(y) q(y, x) / (π(x) q(x, y))).

    Parameters
    ----------
    field, size, steps, time, dimension
        As for :class:`ULA`; the field only proposes.
    target : Law
        π, invariant exactly, for any step size and any field.
    """

    name = "MALA"
    limit = "the target, as N → ∞; it is invariant for every size"
    needs = "a field that determines the score at one time, and the density it aims at"
    noises = 2
    evaluations = 3

    def __init__(self, field: Field, *, target: Any, **settings: Any) -> None:
        super().__init__(field, **settings)
        self.target: Law = as_law(target)

    @property
    def gaussian(self) -> bool:
        """False: a refused proposal stays where it was."""
        return False

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """Refused; the proposal is :meth:`proposal`."""
        return Sampler.kernels(self, k)

    @property
    def proposal(self) -> Kernel:
        """q: the step of ULA."""
        return langevin_kernel(self.field, self.time, self.size)

    def log_acceptance(self, x: Array, y: Array) -> Array:
        """Log of the probability to go from x to y once proposed, at most 0; shape (n,)."""
        q, log = self.proposal, self.target.log_density
        return np.minimum(log(y) - log(x) + q.log_density(y, x) - q.log_density(x, y), 0.0)

    def step(self, x: Array, k: int, z: Array) -> Array:
        """Proposals where they are accepted; the first coordinate of the second row of z is turned into a uniform number."""
        from scipy.special import log_ndtr

        q = self.proposal
        y = q.mean(x) + q.std * z[0]
        return np.where((log_ndtr(z[1, :, 0]) < self.log_acceptance(x, y))[:, None], y, x)


class AnnealedLangevin(Sampler):
    """Annealed Langevin dynamics (NCSN): M Langevin steps at each of the times t_1 ... t_N, of sizes ½ ε σ_k²/σ_N².

    Parameters
    ----------
    field, steps, times, dimension
        As for :class:`fpk.samplers.Sampler`; t_N > 0, as σ_N sets the scale.
    inner : int
        M.
    epsilon : float
        ε, twice the size of a step at the last time.
    """

    name = "annealed Langevin"
    order = None
    limit = "the law of the path at t_N, as M ε → ∞ and ε → 0 (for any N); more levels shorten the way"
    needs = "a field that determines the score at t_1 ... t_N"

    def __init__(self, field: Field, *, inner: int, epsilon: float, **settings: Any) -> None:
        super().__init__(field, **settings)
        if not (inner >= 1 and inner % 1 == 0):
            raise SchemeError(f"{self.name} needs a whole number of inner steps ≥ 1, got inner={inner!r}.")
        if not self.schedule.sigma(float(self.times[-1])) > 0:
            raise SchemeError(
                f"{self.name} scales its steps by the last noise level, which is 0 at t={self.times[-1]:g}: end at t_N > 0."
            )
        self.inner, self.epsilon = int(inner), _positive(epsilon, f"epsilon of {self.name}")
        self.noises = self.evaluations = self.inner

    @property
    def settings(self) -> str:
        """Inner steps and their size."""
        return f"{self.inner} inner, epsilon {self.epsilon:.12g}"

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """M equal kernels."""
        t = self.pair(k)[1]
        last = float(self.times[-1])
        size = 0.5 * self.epsilon * (self.schedule.sigma(t) / self.schedule.sigma(last)) ** 2
        return (langevin_kernel(self.field, t, size),) * self.inner


class PredictorCorrector(Sampler):
    """Another sampler's steps, each followed by M Langevin steps of size 2 r² σ_t'².

    Parameters
    ----------
    predictor : Sampler
        Any; field and times are its own.
    corrections : int
        M.
    snr : float
        r, the signal-to-noise ratio of a correction.

    Notes
    -----
    The size of Song et al., 2 (r |z|/|s|)², couples the particles of a batch through the mean norms; here |z|/|s| is σ_t', to which they
    tend. There is no correction at σ = 0.
    """

    name = "predictor–corrector"
    order = None
    limit = "that of the predictor, in steps: of first order where r² falls like 1/N, slower at fixed r, where the bias O(r² σ²) fades with σ"
    needs = "what the predictor needs, and the score at t_1 ... t_N"

    def __init__(self, predictor: Sampler, *, corrections: int = 1, snr: float = 0.16) -> None:
        super().__init__(predictor.field, times=predictor.times, dimension=predictor.dimension)
        if not (corrections >= 1 and corrections % 1 == 0):
            raise SchemeError(f"{self.name} needs a whole number of corrections ≥ 1, got {corrections!r}.")
        self.predictor, self.corrections = predictor, int(corrections)
        self.snr = _positive(snr, f"signal-to-noise ratio of {self.name}")
        self.noises = predictor.noises + self.corrections
        self.evaluations = predictor.evaluations + self.corrections

    @property
    def settings(self) -> str:
        """The predictor, and the corrections."""
        return f"{self.predictor.name} {self.predictor.settings}, {self.corrections} corrections, snr {self.snr:.12g}"

    @property
    def prior(self) -> Law:
        """The predictor's."""
        return self.predictor.prior

    @property
    def gaussian(self) -> bool:
        """Whether the predictor's step is a composition of Gaussian kernels."""
        return self.predictor.gaussian

    def correctors(self, k: int) -> tuple[Kernel, ...]:
        """The Langevin kernels behind step k."""
        t = self.pair(k)[1]
        size = 2 * (self.snr * self.schedule.sigma(t)) ** 2
        return (langevin_kernel(self.field, t, size),) * self.corrections if size else ()

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """The predictor's kernels and the corrections."""
        return self.predictor.kernels(k) + self.correctors(k)

    def step(self, x: Array, k: int, z: Array) -> Array:
        """The predictor's step and the corrections."""
        own = self.predictor.noises
        x = self.predictor.step(x, k, z[:own])
        for kernel, row in zip(self.correctors(k), z[own:], strict=False):
            x = kernel.mean(x) + kernel.std * row
        return x


def _positive(value: float, what: str) -> float:
    if not (np.isfinite(value) and value > 0):
        raise SchemeError(f"the {what} must be a finite number > 0, got {value!r}.")
    return float(value)
