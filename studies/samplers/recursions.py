r"""DDPM and DDIM on normal data: the variance of the finite chain, against a sum and a product that know nothing of its steps.

With P_t = α_t² s² + σ_t² the variance of the path's own marginal, X_0 and Z are regressed on X_t with slopes α_t s²/P_t and σ_t/P_t. A step that
puts α_t' E[X_0 | x] + √(σ_t'² − s_k²) E[Z | x] in place of both, and noise s_k, has the slope

    A_k = (α_t α_t' s² + σ_t √(σ_t'² − s_k²)) / P_t,    V_N = V_0 Π A_k² + Σ_k s_k² Π_{j>k} A_j².

For s_k² = β̃ (DDPM) A_k is the slope of X_t' on X_t, (α_t/α_t') P_t'/P_t, whose products telescope:

    V_N = (P_N α_T / (P_T α_N))² V_0 + Σ_k s_k² (P_N α_{k+1} / (P_{k+1} α_N))².

For s_k = 0 (DDIM, η = 0) with angles tan θ_t = σ_t/(α_t s) it is √(P_t'/P_t) cos(θ_t − θ_t'), so that V_N / P_N = (V_0/P_T) Π cos²(θ_k − θ_{k+1}).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import fpk
from fpk.chains import propagate
from fpk.fields import Field, exact_field
from fpk.laws import Array
from fpk.marginals import Estimate
from fpk.samplers import DDIM, DDPM, Sampler
from fpk.samplers.times import uniform
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._laws import NORMAL, late

C, R = Outcome.CONFIRMED, Outcome.REFUTED
COUNTS = (5, 10, 20, 50, 500)
SCHEDULE = fpk.VPSchedule(0.1, 20.0)
ETA = 0.6
#: Round-off of 500 steps.
ROUNDING = 1e-13
_SPREAD = float(NORMAL.covariance[0, 0]) ** 0.5


def chain_variance(sampler: Sampler, variance: float) -> float:
    """Variance of the propagated chain that starts from a normal law of a given variance."""
    chain: Any = propagate(sampler, initial=fpk.Gaussian(0.0, variance**0.5))
    return float(chain.law(float(sampler.times[-1])).covariance[0, 0])


@cache
def _denoiser(factor: float) -> Field:
    """The exact model of normal data with a factor on their variance."""
    return exact_field(fpk.Gaussian(NORMAL.mean, covariance=factor * NORMAL.covariance), SCHEDULE, kind="denoised")


# -- the other side ----------------------------------------------------------------------------------------------------


def _path(times: Array) -> tuple[Array, Array, Array]:
    """α, σ and P at the times."""
    alpha, sigma = (np.array([f(t) for t in times]) for f in (SCHEDULE.alpha, SCHEDULE.sigma))
    return alpha, sigma, alpha**2 * _SPREAD**2 + sigma**2


def _forward_variances(times: Array) -> Array:
    """Variances of X_t given X_t', from the integral of β between them."""
    B = np.array([SCHEDULE.integrated_beta(t) for t in times])
    return -np.expm1(np.diff(B))


def _posterior_variances(times: Array) -> Array:
    """Variances of X_t' given X_t and X_0: precisions 1/σ_t'² and (α_t/α_t')²/b add up."""
    alpha, sigma, _ = _path(times)
    with np.errstate(divide="ignore"):
        return 1 / (1 / sigma[1:] ** 2 + (alpha[:-1] / alpha[1:]) ** 2 / _forward_variances(times))


def telescoped(times: Array, drawn: Array) -> float:
    """V_N of DDPM from V_0 = P_T, with noise variances ``drawn``."""
    alpha, _, P = _path(times)
    slopes = P[-1] * alpha / (P * alpha[-1])
    return float(slopes[0] ** 2 * P[0] + drawn @ slopes[1:] ** 2)


def _forward(times: Array) -> float:
    b = _forward_variances(times)
    b[-1] = 0.0
    return telescoped(times, b)


def _angles(times: Array) -> float:
    alpha, sigma, P = _path(times)
    theta = np.arctan2(sigma, alpha * _SPREAD)
    return float(P[-1] * np.prod(np.cos(np.diff(theta)) ** 2))


def _slopes(times: Array) -> float:
    alpha, sigma, P = _path(times)
    drawn = ETA**2 * _posterior_variances(times)
    root = np.sqrt(sigma[1:] ** 2 - drawn)
    A = (alpha[:-1] * alpha[1:] * _SPREAD**2 + sigma[:-1] * root) / P[:-1]
    after = np.append(np.cumprod(A[::-1] ** 2)[::-1], 1.0)
    return float(after[0] * P[0] + drawn @ after[1:])


# -- mistakes ----------------------------------------------------------------------------------------------------------


class _OtherVariance(DDPM):
    """β where β̃ is meant, and the other way round."""

    def noise_std(self, k: int) -> float:
        b, posterior = (values(self.times[k : k + 2])[0] for values in (_forward_variances, _posterior_variances))
        last = k == self.steps - 1
        return float(0.0 if last else posterior if self.variance == "forward" else b) ** 0.5


class _NoisyEnd(DDPM):
    """√β of noise in the last step."""

    def noise_std(self, k: int) -> float:
        if k < self.steps - 1:
            return super().noise_std(k)
        return float(_forward_variances(self.times)[-1]) ** 0.5


class _WrongSign(DDIM):
    """√(σ_t'² + η² β̃) in front of ε."""

    def kernels(self, k: int) -> Any:
        drawn = self.noise_std(k)
        t, after = self.pair(k)
        sigma, alpha = self.schedule.sigma, self.schedule.alpha
        along = (sigma(after) ** 2 + drawn**2) ** 0.5 / sigma(t)
        kernel = super().kernels(k)[0]
        return (
            type(kernel)(
                lambda x: along * x + (alpha(after) - along * alpha(t)) * self.field.denoised(x, t), kernel.std
            ),
        )


class _Louder(DDIM):
    """β or β̃ 0.1 % too large."""

    def noise_std(self, k: int) -> float:
        return 1.001**0.5 * super().noise_std(k)


class _LouderDDPM(_Louder, DDPM):
    """The same of DDPM."""


class _Late(DDIM):
    """The field reads the time of the next step."""

    def __init__(self, field: Any, **settings: Any) -> None:
        super().__init__(field, **settings)
        self.field = late(self.field, self.times)


class _LateDDPM(_Late, DDPM):
    """The same of DDPM."""


class _Wider(DDIM):
    """The field believes in data of 0.1 % more variance."""

    def __init__(self, field: Any, **settings: Any) -> None:
        super().__init__(_denoiser(1.001), **settings)


class _WiderDDPM(_Wider, DDPM):
    """The same of DDPM."""


#: Settings of the sampler, and the other side's answer.
CASES: dict[str, tuple[dict[str, Any], Callable[[Array], float]]] = {
    "DDPM, β̃": ({"variance": "posterior"}, lambda t: telescoped(t, _posterior_variances(t))),
    "DDPM, β": ({"variance": "forward"}, _forward),
    "DDIM, η = 0": ({"eta": 0.0}, _angles),
    f"DDIM, η = {ETA}": ({"eta": ETA}, _slopes),
}
#: Which class makes each mistake, for DDPM and for DDIM; None where a case cannot make it.
MISTAKES: dict[str, tuple[type[DDPM] | None, type[DDIM] | None]] = {
    "stated": (DDPM, DDIM),
    "β for β̃": (_OtherVariance, None),
    "noise in the last step": (_NoisyEnd, None),
    "sign of η²": (None, _WrongSign),
    "times off by one step": (_LateDDPM, _Late),
    "β + 0.1 %": (_LouderDDPM, _Louder),
    "data variance + 0.1 %": (_WiderDDPM, _Wider),
}


def _applies(variant: str, case: str) -> bool:
    silent = case == "DDIM, η = 0" and variant in ("β + 0.1 %", "sign of η²")
    return MISTAKES[variant][not case.startswith("DDPM")] is not None and not silent


@study("samplers.ddpm-variance", variants=MISTAKES, cases=tuple(CASES), applies=_applies)
def variances(variant: tuple[type[DDPM] | None, type[DDIM] | None], case: str, size: Size, seed: int) -> Evidence:
    """Variances of the propagated chains of 5 to 500 equal steps."""
    settings, answer = CASES[case]
    kind: Any = variant[not case.startswith("DDPM")]
    chains = [kind(_denoiser(1.0), times=uniform(n), **settings) for n in COUNTS]
    found = np.array([chain_variance(chain, _path(chain.times[:1])[2][0]) for chain in chains])
    wanted = np.array([answer(uniform(n)) for n in COUNTS])
    first, second = (
        Estimate(values, np.full(len(COUNTS), ROUNDING), coarser=values, source=source)
        for values, source in ((found, "propagated chains"), (wanted, "closed form"))
    )
    return Evidence(first, second, tuple(f"variance after {n} steps" for n in COUNTS))


CLAIMS = (
    Claim(
        "samplers.ddpm-variance",
        "equality",
        "With the exact model of normal data, DDPM and DDIM of N steps have variances that are sums and products known in closed form.",
        r"V_N = V_0\prod_k A_k^2 + \sum_k s_k^2\prod_{j>k}A_j^2,\quad"
        r" A_k = \frac{\alpha_t\alpha_{t'}s^2+\sigma_t\sqrt{\sigma_{t'}^2-s_k^2}}{\alpha_t^2s^2+\sigma_t^2}",
        "Ho, Jain and Abbeel (2020), equation 7; Song, Meng and Ermon (2021), equation 12",
        {"stated": C} | {name: R for name in MISTAKES if name != "stated"},
        {
            "β for β̃": "the other of the two variances of DDPM",
            "noise in the last step": "√β of noise in the step to t = 0",
            "sign of η²": "σ_t'² + η² β̃ for σ_t'² − η² β̃",
            "times off by one step": "the model reads the time of the next step",
            "β + 0.1 %": "the variance of the noise is 0.1 % too large",
            "data variance + 0.1 %": "the model has learned data of 0.1 % more variance",
        },
    ),
)
