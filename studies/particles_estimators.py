"""Estimators that need fewer particles: antithetic pairs, scrambled Sobol points, and levels of steps."""

from __future__ import annotations

from typing import Any

import numpy as np

import fpk
from fpk.closed_form import euler_chain
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.particles.multilevel import Multilevel
from fpk.particles.quasi import quasi_simulate
from fpk.particles.schemes import EulerMaruyama, Milstein, Scheme
from fpk.study import Claim, Evidence, Size, evidence, study
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED
TIMES = (0.25, 0.5, 0.75, 1.0)
STEPS = 16
START = fpk.Gaussian(1.2, 0.5)
#: Batches whose spread gives the errors of variances and of slopes.
BATCHES = 64


def _relaxing(variance: float = 1.0) -> fpk.Problem:
    """A linear process with coefficients that move."""
    drift = fpk.Linear(lambda t: -1.0 - 0.5 * t, lambda t: 0.6)
    return fpk.Problem(drift, lambda t: variance**0.5 * (0.6 + 0.8 * t), initial=START)


def _below(values: Array, source: str) -> Evidence:
    """What must be negative, each functional in so many independent batches (K, batches)."""
    count = values.shape[1]
    covariance = np.atleast_2d(np.cov(values)) / count
    first = fpk.Estimate(values.mean(1), np.zeros(len(values)), covariance=covariance, samples=count, source=source)
    return Evidence(first, zero_estimate(len(values)), tuple(f"value {k}" for k in range(len(values))))


# -- antithetic pairs --------------------------------------------------------------------------------------------------


@study(
    "particles.antithetic",
    variants={
        "stated": 1.0,
        "independent pairs": None,
        "noise of one + 1 %": 1.01,
        "noise of one + 0.0000001 %": 1 + 1e-9,
    },
)
def antithetic_pairs(variant: float | None, case: str, size: Size, seed: int) -> Evidence:
    """Means of pairs less the chain without noise from the same place: the largest of all pairs at each time."""
    settings: dict[str, Any] = {
        "steps": STEPS,
        "times": TIMES,
        "particles": size.particles(2000),
        "seed": seed,
        "levels": 1,
    }
    run = fpk.simulate(_relaxing(), antithetic=True, **settings)
    plus, minus = run.fine[:, 0::2, 0], run.fine[:, 1::2, 0]
    if variant is None:
        minus = np.roll(minus, 1, axis=1)
    elif variant != 1.0:
        minus = fpk.simulate(_relaxing(variant**2), antithetic=True, **settings).fine[:, 1::2, 0]
    still = _without_noise(run.start[0::2, 0])
    gaps = np.abs(0.5 * (plus + minus) - still).max(1)
    names = tuple(f"largest at t={t:g}" for t in TIMES)
    return Evidence(fpk.residual(gaps, 1e-14, proven=True, source="means of antithetic pairs"), zero_estimate(4), names)


def _without_noise(x: Array) -> Array:
    """The chain of the mean at TIMES, shape (times, n)."""
    h, out = 1 / STEPS, []
    for k in range(STEPS):
        x = x + h * ((-1.0 - 0.5 * k * h) * x + 0.6)
        if (k + 1) % (STEPS // len(TIMES)) == 0:
            out.append(x)
    return np.stack(out)


MONOTONE = {"tanh": np.tanh, "cubic": lambda x: x + x**3 / 3, "step": lambda x: np.sign(x - 0.4)}


@study(
    "particles.antithetic-variance",
    variants={
        "stated": (MONOTONE, 0.75),
        "even functionals": ({"x²": np.square, "cos": np.cos}, 0.75),
        "a hundredth": (MONOTONE, 0.01),
    },
)
def antithetic_variance(variant: tuple[dict[str, Any], float], case: str, size: Size, seed: int) -> Evidence:
    """Variance of the mean of a pair over that of two independent particles, less the claimed share, in a double well."""
    functionals, share = variant
    well = fpk.Problem("x - x**3", 1.0, initial=fpk.Gaussian(0.0, 0.1))
    n = size.particles(2**16)
    x = fpk.simulate(well, particles=n, steps=20, times=[1.0], seed=seed, levels=1, antithetic=True).samples(1.0)
    ratios = [_pair_ratio(f(x[:, 0]).reshape(BATCHES, -1, 2)) - share for f in functionals.values()]
    return _below(np.stack(ratios), f"antithetic variance less {share:g} of the independent one")


def _pair_ratio(values: Array) -> Array:
    """2 Var(mean of a pair) / Var of values (batches, pairs, 2), for each batch."""
    return 2 * values.mean(2).var(1, ddof=1) / values.reshape(len(values), -1).var(1, ddof=1)


# -- scrambled Sobol points --------------------------------------------------------------------------------------------


@study(
    "particles.rqmc",
    variants={"stated": 1.0, "½ missing on g²": 2.0, "g² + 5 %": 1.05, "g² + 1 %": 1.01},
)
def sobol_points(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """256 scrambles against the exact law of the chain."""
    run = quasi_simulate(
        _relaxing(variant), points=size.particles(2**10), replicates=256, steps=4, times=[0.5, 1.0], seed=seed, levels=1
    )
    chain = euler_chain(_relaxing(), steps=4, times=[0.5, 1.0])
    return evidence(run, chain, panel=fpk.law_panel({t: chain.law(t) for t in chain.times}, degree=2))


#: Points of the smallest and of the largest ensembles.
FEW, MANY = 2**8, 2**14
SMOOTH = {"x": lambda x: x, "x²": np.square, "tanh": np.tanh}


@study(
    "particles.rqmc-rate",
    variants={"stated": (True, 0.75), "independent points": (False, 0.75), "N^(−2)": (True, 2.0)},
)
def sobol_rate(variant: tuple[bool, float], case: str, size: Size, seed: int) -> Evidence:
    """Slope of log error over log N, plus the claimed rate: an independent one from each batch of scrambles."""
    sobol, rate = variant
    errors = [_errors(sobol, n, seed + k) for k, n in enumerate((FEW, MANY))]
    slopes = np.log(errors[1] / errors[0]) / np.log(MANY / FEW)
    return _below(slopes + rate, f"slope of the errors plus {rate:g}")


def _errors(sobol: bool, n: int, seed: int) -> Array:
    """Spreads of means over n points, (functionals, batches of 8 scrambles)."""
    batches = BATCHES // 4
    settings: dict[str, Any] = {"steps": 4, "times": [1.0], "seed": seed, "levels": 1}
    if sobol:
        run = quasi_simulate(_relaxing(), points=n, replicates=8 * batches, **settings)
    else:
        run = fpk.simulate(_relaxing(), particles=8 * batches * n, **settings)
    x = run.samples(1.0)[:, 0]
    means = np.stack([f(x).reshape(batches, 8, n).mean(2) for f in SMOOTH.values()])
    return means.std(2, ddof=1)


# -- levels of steps ---------------------------------------------------------------------------------------------------


@study(
    "particles.multilevel",
    variants={"stated": 1.0, "½ missing on g²": 2.0, "g² + 5 %": 1.05},
)
def telescoping_sum(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """All levels together against the exact law of the finest chain."""
    tolerance = 1e-3 if size.quick else 5e-4
    particles = Multilevel(_relaxing(variant), times=[1.0], tolerance=tolerance, coarsest=4, levels=4, seed=seed)
    chain = euler_chain(_relaxing(), steps=particles.finest, times=[1.0])
    return evidence(particles, chain, panel=fpk.law_panel({1.0: chain.law(1.0)}, degree=2))


GROWING = fpk.Problem("0.1*x", "0.4*x", initial=fpk.Gaussian(1.0, 0.1))
PAIRS: dict[str, tuple[fpk.Problem, Scheme]] = {
    "additive": (_relaxing(), EulerMaruyama()),
    "multiplicative": (GROWING, EulerMaruyama()),
    "multiplicative, Milstein": (GROWING, Milstein()),
}
LEVELS = 6


@study(
    "particles.multilevel-variance",
    variants={
        "stated": (0.0, True),
        "one order too high": (1.0, True),
        "one order too low": (-1.0, True),
        "uncoupled": (0.0, False),
    },
    cases=tuple(PAIRS),
)
def variance_decay(variant: tuple[float, bool], case: str, size: Size, seed: int) -> Evidence:
    """Slope of log₂ Var[φ_l − φ_{l−1}] over l, within ¼ of minus twice the strong order: an independent one from each batch."""
    more, coupled = variant
    problem, scheme = PAIRS[case]
    n = size.particles(2**15)
    run = fpk.simulate(problem, particles=n, steps=8, times=[1.0], seed=seed, levels=LEVELS, scheme=scheme)
    y = np.tanh(run.positions[:, 0, :, 0]).reshape(LEVELS, BATCHES, -1)
    coarser = y[1:] if coupled else np.roll(y[1:], 1, axis=2)
    variances = (y[:-1] - coarser).var(2, ddof=1)  # finest first
    rising = np.polyfit(np.arange(LEVELS - 1), np.log2(variances), 1)[0]
    order = 2 * (scheme.orders(problem).strong or 0.0) + more
    return _below(np.stack([rising - order - 0.25, order - 0.25 - rising]), f"decay of variances against {order:g} ± ¼")


PERCENT = {"½ missing on g²": "noise variance doubled", "g² + 5 %": "noise variance 5 % too large"}
CLAIMS = (
    Claim(
        "particles.antithetic",
        "identity",
        "Particles with opposite increments from one place have, in a linear problem, the mean of the chain without noise.",
        r"\tfrac12(X_n^{+}+X_n^{-}) = x_n,\quad x_{n+1} = x_n + (a_n x_n + b_n)h",
        "Glasserman (2004), Monte Carlo Methods in Financial Engineering, section 4.2",
        {"stated": C, "independent pairs": R, "noise of one + 1 %": R, "noise of one + 0.0000001 %": R},
        {
            "independent pairs": "each particle is paired with the partner of its neighbour",
            "noise of one + 1 %": "one of the two has increments 1 % too large",
            "noise of one + 0.0000001 %": "one of the two has increments 1e-9 too large",
        },
    ),
    Claim(
        "particles.antithetic-variance",
        "bound",
        "A pair of opposite increments has less than ¾ of the variance of two independent particles, for monotone functionals in a double well.",
        r"2\,\mathrm{Var}\,\tfrac12[\varphi(X^+)+\varphi(X^-)] < \tfrac34\,\mathrm{Var}\,\varphi(X)",
        "Glasserman (2004), section 4.2",
        {"stated": C, "even functionals": R, "a hundredth": R},
        {"even functionals": "both partners say the same", "a hundredth": "a hundredth of the variance is claimed"},
        "Start in the middle of the well.",
    ),
    Claim(
        "particles.rqmc",
        "equality",
        "Particles on scrambled Sobol points have the law of the chain.",
        r"\mathbb E\,\frac1N\sum_i \varphi(X(u_i)) = \mathbb E\,\varphi(X)",
        "Owen (1997)",
        {"stated": C, "½ missing on g²": R, "g² + 5 %": R, "g² + 1 %": R},
        PERCENT | {"g² + 1 %": "noise variance 1 % too large"},
    ),
    Claim(
        "particles.rqmc-rate",
        "bound",
        "Means of smooth functionals over N scrambled Sobol points err less than N^(−3/4).",
        r"\frac{\log e_{N'}-\log e_N}{\log N'-\log N} < -\tfrac34",
        "Owen (1997); Caflisch, Morokoff and Owen (1997)",
        {"stated": C, "independent points": R, "N^(−2)": R},
        {"independent points": "pseudo-random particles: N^(−1/2)", "N^(−2)": "a rate beyond what scrambling can give"},
    ),
    Claim(
        "particles.multilevel",
        "equality",
        "The telescoping sum over levels of steps has the expectations of its finest chain.",
        r"\mathbb E\,\varphi_L = \mathbb E\,\varphi_0 + \sum_{l=1}^{L}\mathbb E\,[\varphi_l-\varphi_{l-1}]",
        "Giles (2008), equation 2.1",
        {"stated": C, "½ missing on g²": R, "g² + 5 %": R},
        PERCENT,
    ),
    Claim(
        "particles.multilevel-variance",
        "bound",
        "Variances of the corrections fall like the step to twice the strong order of the scheme, within a quarter.",
        r"\mathrm{Var}[\varphi_l-\varphi_{l-1}] = O(2^{-2pl})",
        "Giles (2008), theorem 3.1",
        {"stated": C, "one order too high": R, "one order too low": R, "uncoupled": R},
        {
            "one order too high": "one more than twice the declared strong order",
            "one order too low": "one less",
            "uncoupled": "the coarse path of another particle",
        },
        "Smooth functionals.",
    ),
)
