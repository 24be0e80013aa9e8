"""Densities and scores from the last transition kernels of particles: within their error bars of the exact law, and these as wide as they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.particles.densities import DensityEstimate, marginal_density, smoothed_density
from fpk.particles.ensemble import ParticleMarginals
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.quasi import quasi_simulate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED
#: False alarms of the error bars, over all points together.
ALPHA = 1e-6
SINCE, UNTIL = 0.6, 1.0
#: Where densities are drawn, and which of these places are looked at: neighbours say the same again.
DRAWN, ASKED = np.linspace(-1.2, 2.6, 37)[:, None], slice(None, None, 4)
POINTS = DRAWN[ASKED]


def _spring(drift: float = 1.0, variance: float = 1.0) -> fpk.Problem:
    """dX = −X dt + √2 dW from N(2, ½²), with factors on the drift and on the variance of the noise."""
    return fpk.Problem(fpk.Linear(-drift), (2 * variance) ** 0.5, initial=fpk.Gaussian(2.0, 0.5))


SPRING = _spring()
LAW = fpk.exact(SPRING, times=[UNTIL]).law(UNTIL)


class Slip(NamedTuple):
    """Factors on the kernel's drift and noise variance, on the score, and on the budget of the time step."""

    drift: float = 1.0
    variance: float = 1.0
    score: float = 1.0
    budget: float = 1.0


SLIPS = {
    "stated": Slip(),
    "kernel does not move": Slip(drift=0.0),
    "kernel variance halved": Slip(variance=0.5),
    "score sign": Slip(score=-1.0),
    "kernel variance + 5 %": Slip(variance=1.05),
    "score + 5 %": Slip(score=1.05),
    "time step forgotten": Slip(budget=0.0),
}


def _exact(size: Size, seed: int) -> ParticleMarginals:
    scheme = ExactTransition()
    return fpk.simulate(
        SPRING, particles=size.particles(2**18), steps=1, times=[SINCE], seed=seed, scheme=scheme, antithetic=True
    )


def _euler(size: Size, seed: int) -> ParticleMarginals:
    return fpk.simulate(SPRING, particles=size.particles(2**18), steps=8, times=[SINCE], seed=seed)


def _extrapolated(size: Size, seed: int) -> ParticleMarginals:
    return fpk.simulate(SPRING, particles=size.particles(2**18), steps=8, times=[SINCE], seed=seed, levels=3)


def _quasi(size: Size, seed: int) -> ParticleMarginals:
    return quasi_simulate(
        SPRING, points=size.particles(2**12), steps=1, times=[SINCE], seed=seed % 2**32, scheme=ExactTransition()
    )


CASES: dict[str, Callable[[Size, int], ParticleMarginals]] = {
    "antithetic exact transitions": _exact,
    "Euler–Maruyama": _euler,
    "extrapolated Euler–Maruyama": _extrapolated,
    "Sobol points": _quasi,
}


def _excess(found: DensityEstimate, slip: Slip) -> Array:
    """How far densities and scores are from the exact law beyond their budgets, over the largest deviation that is no alarm, less 1."""
    allowed = stats.t(found.units - 1).isf(ALPHA / 4 / len(POINTS))
    density = np.abs(found.value - LAW.density(POINTS)) - slip.budget * found.step_bias
    score = np.abs(slip.score * found.score - LAW.score(POINTS)) - slip.budget * found.score_step_bias
    bars = np.concatenate([found.standard_error, found.score_error[:, 0]])
    return np.maximum(np.concatenate([density, score[:, 0]]), 0) / bars / allowed - 1


@study(
    "particles.density",
    variants=SLIPS,
    cases=tuple(CASES),
    applies=lambda variant, case: variant != "time step forgotten" or case == "Euler–Maruyama",
)
def density(variant: Slip, case: str, size: Size, seed: int) -> Evidence:
    kernel = _spring(variant.drift, variant.variance)
    extrapolated = case.startswith("extrapolated")
    found = marginal_density(
        CASES[case](size, seed), kernel, points=DRAWN, since=SINCE, until=UNTIL, extrapolated=extrapolated
    )
    asked = found[ASKED]
    excess = _excess(asked, variant)
    names = tuple(f"{what}({x:.3g})" for what in ("p", "score") for x in POINTS[:, 0])
    source = f"deviations in quantiles of Student's t, {asked}"
    return Evidence(
        fpk.Estimate(excess, np.zeros(len(excess)), source=source),
        zero_estimate(len(excess)),
        names,
        _curves(found, variant),
    )


def _curves(found: DensityEstimate, slip: Slip) -> dict[str, Array]:
    curves = {"x": DRAWN[:, 0], "t": np.array([UNTIL]), "first": found.value, "second": LAW.density(DRAWN)}
    return curves | {"error": found.standard_error, "budget": slip.budget * found.step_bias}


# -- error bars ---------------------------------------------------------------------------------------------------------

#: Particles of an ensemble whose bars are looked at, and room for the mean square of its deviations, as a factor.
FEW, ROOM = 512, 1.5
BARS_AT = np.array([[-0.4], [0.736], [1.9]])


def _deviations(x: Array, units: int) -> Array:
    """Of density and score, in standard errors, for each of many small ensembles at the earlier time: (ensembles, 2 · points)."""
    decay = np.exp(SINCE - UNTIL)
    covariance = np.array([[1 - decay**2]])
    ensembles = [smoothed_density(BARS_AT, decay * part, covariance, units=units, threads=1) for part in x]
    density = [(e.value, e.standard_error) for e in ensembles]
    score = [(e.score[:, 0], e.score_error[:, 0]) for e in ensembles]
    values, errors = np.moveaxis(np.concatenate([density, score], axis=2), 1, 0)
    return (values - np.append(LAW.density(BARS_AT), LAW.score(BARS_AT))) / errors


@study(
    "particles.density-bars",
    variants={"stated": 1.0, "pairs taken apart": 0.0, "bars + 50 %": 1.5, "bars − 50 %": 0.5},
    cases=("independent particles", "antithetic pairs"),
    applies=lambda variant, case: (
        variant == "stated" or (variant == "pairs taken apart") == (case == "antithetic pairs")
    ),
)
def error_bars(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Logarithms of the mean square of deviations over that of Student's t, both ways, less the room."""
    count, antithetic, scheme = size.particles(1024), case == "antithetic pairs", ExactTransition()
    run = fpk.simulate(
        SPRING, particles=count * FEW, steps=1, times=[SINCE], seed=seed, scheme=scheme, antithetic=antithetic
    )
    x = run.samples(SINCE).reshape(count, FEW, 1)
    if not variant:
        x = np.concatenate([x[:, ::2], x[:, 1::2]], axis=1)
    squares = (_deviations(x, FEW // 2 if antithetic and variant else FEW) / (variant or 1.0)) ** 2
    return _both_ways(squares, f"error bars of {count} ensembles of {FEW} particles")


def _both_ways(squares: Array, source: str) -> Evidence:
    """That means of ``squares`` (ensembles, K) are neither above nor below those of Student's t by more than the room."""
    count, mean = len(squares), squares.mean(0)
    wide = np.log(mean / stats.t(63).var())
    spread = np.cov(squares.T / mean[:, None]) / count
    names = [f"{what}({x:.3g})" for what in ("p", "score") for x in BARS_AT[:, 0]]
    first = fpk.Estimate(
        np.concatenate([wide, -wide]) - np.log(ROOM),
        np.zeros(2 * len(wide)),
        covariance=np.block([[spread, -spread], [-spread, spread]]),
        samples=count,
        source=f"{source}, mean squares of deviations {mean.min():.3g} to {mean.max():.3g}",
    )
    return Evidence(
        first, zero_estimate(2 * len(wide)), tuple(f"{name} {way}" for way in ("narrow", "wide") for name in names)
    )


CLAIMS = (
    Claim(
        "particles.density",
        "bound",
        "Density and score from the last transition kernels of particles are within their error bars of the exact law.",
        r"|\hat p_t(y)-p_t(y)| \le b(y) + t_{\alpha}\,\mathrm{se}(y),\qquad \hat p_t(y)=\tfrac1n\sum_i N(y;\,M(X_i),\,C)",
        "Rao–Blackwell; Gelfand and Smith (1990)",
        {"stated": C} | dict.fromkeys(list(SLIPS)[1:], R),
        {
            "kernel does not move": "the kernel is centred at the particle: its drift is left out",
            "kernel variance halved": "the noise of the kernel has half its variance",
            "kernel variance + 5 %": "the noise of the kernel has 5 % too much variance",
            "score + 5 %": "the score is 5 % too large",
            "time step forgotten": "the budget of the time step is left out",
        },
        f"A linear SDE in one dimension; densities above a tenth of their peak; false alarms with probability {ALPHA:g} over all points.",
    ),
    Claim(
        "particles.density-bars",
        "bound",
        "Standard errors of densities and scores from kernels are right within 22 %, those of antithetic pairs with pairs as units.",
        r"\tfrac23\;\mathrm{E}\,t_{63}^2 \le \mathrm{E}\Bigl(\frac{\hat p-p}{\mathrm{se}}\Bigr)^2 \le \tfrac32\;\mathrm{E}\,t_{63}^2",
        "Batch means; Student (1908)",
        {"stated": C, "pairs taken apart": R, "bars + 50 %": R, "bars − 50 %": R},
        {
            "pairs taken apart": "both particles of a pair are taken for independent, and come to different batches",
            "bars + 50 %": "standard errors 50 % too large",
            "bars − 50 %": "standard errors 50 % too small",
        },
        f"{FEW} particles or more in 64 batches.",
    ),
)
