r"""Chains of DDPM, DDIM and what lies between: their laws given x₀, in continuous time, and the first-order difference of their variances.

With u = μ/λ, w = log u, normal data of variance s², P = λ²s² + μ², and N equal steps of w over a length W, the variances are wrong by

    DDIM: −(W/N) P_N ∫ (us/(s² + u²))² dw,     DDPM: −(W/N) ∫ 4λ²s²μ²/P (P_N λ/(P λ_N))² dw

to first order: the angle arctan(u/s) that each step turns, and the variance of x₀ given x_t that each step leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.chains import propagate
from fpk.charts import Chart, Series
from fpk.fields import Field, exact_field
from fpk.laws import Array
from fpk.samplers import DDIM, DDPM, Kernel
from fpk.samplers.times import log_snr

from .._systems import DATA
from ._chain_laws import PATH, SCHEDULE

NORMAL, SPREAD = fpk.Gaussian(2.0, 0.5), 0.25
PATH_OF_NORMAL = fpk.exact(fpk.noising(SCHEDULE, NORMAL), times=[1.0])
#: Where chains end.
LAST = 0.15
STARTED = 0.8
KNOWN = Field(lambda x, t: np.full_like(x, STARTED), "denoised", SCHEDULE)
#: Shares of noise.
ETAS = (0.0, 0.5, 1.0)


class Slipped(DDIM):
    """What is drawn has a factor; ``whole``: nothing is taken from ε for it."""

    def __init__(self, field: Field, *, drawn: float = 1.0, whole: bool = False, **settings: Any) -> None:
        super().__init__(field, **settings)
        self.drawn, self.whole = drawn, whole

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """One kernel."""
        (kernel,) = super().kernels(k)
        mean = DDIM(self.field, times=self.times).kernels(k)[0].mean if self.whole else kernel.mean
        return (Kernel(mean, self.drawn**0.5 * kernel.std),)


@lru_cache(maxsize=16)
def even(steps: int) -> Array:
    """Equal steps of log(μ/λ)."""
    return log_snr(SCHEDULE, steps, end=LAST)


# -- given x₀ ----------------------------------------------------------------------------------------------------------------


def given_start(t: float) -> fpk.Gaussian:
    """The law of x_t given x₀."""
    return fpk.Gaussian(SCHEDULE.alpha(t) * STARTED, SCHEDULE.sigma(t))


def moments_of(laws: Sequence[Any]) -> Array:
    """Means and variances."""
    return np.array([value for law in laws for value in (law.mean[0], law.covariance[0, 0])])


def moments_given(sampler: DDIM) -> Array:
    """Means and variances of a chain that is told x₀, after each step."""
    chain: Any = propagate(sampler, initial=given_start(float(sampler.times[0])))
    return moments_of([chain.law(float(t)) for t in sampler.times[1:]])


# -- with E[x₀|x] ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _panel() -> fpk.Panel:
    return fpk.law_panel({LAST: PATH.law(LAST)})


def _read(marginals: Any, peaks: bool) -> tuple[float, ...]:
    """Mean and variance at the end, or expectations of the panel where the data have two peaks."""
    values = marginals.expect(_panel()).value if peaks else moments_of([marginals.law(LAST)])
    return tuple(values.tolist())


@lru_cache(maxsize=256)
def chain(peaks: bool, steps: int, eta: float, drawn: float = 1.0) -> tuple[float, ...]:
    """What is read off a chain of the exact model, from the law at t = 1."""
    data, path = (DATA, PATH) if peaks else (NORMAL, PATH_OF_NORMAL)
    sampler = Slipped(exact_field(data, SCHEDULE, kind="denoised"), times=even(steps), eta=eta, drawn=drawn)
    return _read(propagate(sampler, initial=path.law(1.0)), peaks)


def on_the_path(peaks: bool) -> tuple[float, ...]:
    """The same of the path's own law."""
    return _read(PATH if peaks else PATH_OF_NORMAL, peaks)


def readings(peaks: bool) -> tuple[str, ...]:
    """What is read."""
    return _panel().names if peaks else ("mean", "variance")


# -- the constants -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def constants() -> tuple[float, float]:
    """First-order errors of the variances of DDIM and DDPM times N, from the integrals."""
    top, bottom = ((np.exp(SCHEDULE.integrated_beta(t)) - 1) ** 0.5 for t in (1.0, LAST))
    z, weights = np.polynomial.legendre.leggauss(40)
    length = np.log(top / bottom)
    u = bottom * np.exp(0.5 * length * (1 + z))
    scale: Callable[[Any], Any] = lambda u: 1 / (1 + u**2)  # noqa: E731
    P: Callable[[Any], Any] = lambda u: (SPREAD + u**2) * scale(u)  # noqa: E731
    turned = P(bottom) * u**2 * SPREAD / (SPREAD + u**2) ** 2
    left = 4 * SPREAD * (u * scale(u)) ** 2 / P(u) * (P(bottom) / P(u)) ** 2 * scale(u) / scale(bottom)
    ddim, ddpm = (-(length**2) * 0.5 * float(weights @ part) for part in (turned, left))
    return ddim, ddpm


def missing() -> Chart:
    """Errors of the variances of DDPM and DDIM over the number of steps, and what the constants say."""
    counts, exact, series = (6, 12, 24, 48), on_the_path(False)[1], []
    x = np.array(counts, float)
    for name, eta, constant in zip(("DDIM", "DDPM"), (0.0, 1.0), constants(), strict=True):
        errors = np.array([exact - chain(False, n, eta)[1] for n in counts])
        series += [Series(name, x, errors), Series(f"{-constant:.3g}/N", x, -constant / x, kind="line")]
    return Chart("Variance that is missing after N steps", "steps N", "missing", tuple(series), log_x=True, log_y=True)


def apart(steps: int) -> Array:
    """DDPM less DDIM: mean and variance for normal data, expectations of the panel for two peaks."""
    return np.concatenate([np.subtract(chain(peaks, steps, 1.0), chain(peaks, steps, 0.0)) for peaks in (False, True)])


def apart_given(steps: int) -> Array:
    """DDPM less DDIM given x₀: means and variances after each step."""
    ddpm, ddim = (moments_given(kind(KNOWN, times=even(steps))) for kind in (DDPM, DDIM))
    return ddpm - ddim
