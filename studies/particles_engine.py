"""The particle engine: what its noise, its steps and its routes are checked with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit  # type: ignore[import-untyped]

import fpk
from fpk.closed_form import euler_chain
from fpk.marginals import Vanishing, zero_estimate
from fpk.particles.coupling import CoupledResidual
from fpk.particles.ensemble import ParticleMarginals
from fpk.particles.exact_transition import ExactTransition
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._pieces import in_pieces
from ._systems import DATA

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "particles.coupled",
        "equality",
        "On one Brownian path, extrapolated Euler–Maruyama chains agree with exact transitions: 100,000 particles see .1 % of g².",
        r"\mathbb E\bigl[2\varphi(X^{h})-\varphi(X^{2h})-\varphi(X)\bigr]=O(h^2)",
        "Kloeden and Platen (1992), section 15.3; exact transition of a linear SDE",
        {"stated": C, "½ missing on g²": R, "drift + 0.3 %": R, "g² + 0.1 %": R},
        {
            "½ missing on g²": "twice the noise variance",
            "drift + 0.3 %": "the chains' drift is .3 % too strong",
            "g² + 0.1 %": "the chains' noise variance is .1 % too large",
        },
    ),
    Claim(
        "particles.four-steps",
        "equality",
        "Particles that take four steps have the law of the four-step chain: ten thousand show slips of one step, invisible with many steps.",
        r"X_{n+1} = X_n + f(X_n,t_n)\,h + g(t_n)\,\Delta W_n,\quad h=\tfrac14",
        "Recursion of mean and variance for a linear drift",
        {"stated": C, "last step skipped": R, "right end for left end": R, "same noise each step": R, "g² + 3 %": R},
        {
            "g² + 3 %": "the noise variance of a million particles is 3 % too large",
            "last step skipped": "three steps are taken and called four",
            "right end for left end": "g is read at the end of each step",
            "same noise each step": "the first increment serves all four steps",
        },
    ),
    Claim(
        "particles.fresh-noise",
        "equality",
        "No two particles share noise: their functionals have no correlation over the particle index.",
        r"\operatorname{Corr}\bigl(\varphi(X^{i}),\varphi(X^{i+l})\bigr)=0",
        "Definition of a Monte Carlo ensemble",
        {"stated": C, "noise reused across particles": R, "noise reused + 5 %": R},
        {
            "noise reused across particles": "the second half repeats the numbers of the first",
            "noise reused + 5 %": "every twentieth particle repeats its neighbour's numbers",
        },
    ),
    Claim(
        "particles.routes",
        "bound",
        "A formula, a compiled function and a function of arrays are moved to the same places, up to the rounding of elementary functions.",
        r"|X^{\text{compiled}}-X^{\text{called}}|\le10^{-12}(1+|X|)",
        "The same noise for all routes",
        {"stated": C, "other noise": R, "drift + 1e-9": R},
        {"other noise": "the second route has another seed", "drift + 1e-9": "its drift is larger by a billionth"},
    ),
    Claim(
        "particles.bitwise",
        "bound",
        "The bits of a particle depend on the seed and its number, and not on threads, tiles, or the particles simulated with it.",
        r"\#\{i: X^{i}\ne \tilde X^{i}\}=0",
        "Salmon, Moraes, Dror and Shaw (2011): counters in the place of a state",
        {"stated": C, "numbers off by one": R, "one seed more": R},
        {"numbers off by one": "the whole starts one particle late", "one seed more": "the whole has the next seed"},
    ),
)  # fmt: skip


def _warming(drift: float = 1.0, variance: float = 1.0, shift: float = 0.0) -> fpk.Problem:
    """DX = −a (1 + t/2) X dt + g dW with growing noise, g read ``shift`` late."""
    return fpk.Problem(
        fpk.Linear(lambda t: -drift * (1 + 0.5 * t)), lambda t: variance**0.5 * (0.3 + 2.4 * (t + shift)), initial=DATA
    )


#: One problem for every exact chain: its transitions are computed once.
WARMING = _warming()


def _panel(law: Any, degree: int = 4) -> fpk.Panel:
    """Smooth functionals only: thresholds do not gain from coupling."""
    return fpk.Panel(fpk.law_panel({1.0: law}, degree=degree).smooth)


@study(
    "particles.coupled",
    variants={
        "stated": (1.0, 1.0),
        "½ missing on g²": (1.0, 2.0),
        "drift + 0.3 %": (1.003, 1.0),
        "g² + 0.1 %": (1.0, 1.001),
    },
)
def coupled(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    given: dict[str, Any] = {"particles": 100_000, "times": [1.0], "seed": seed}
    chains = fpk.simulate(_warming(*variant), steps=256, levels=3, **given)
    exact = fpk.simulate(WARMING, steps=1024, scheme=ExactTransition(), **given)
    panel = _panel(fpk.exact(WARMING, times=[1.0]).law(1.0), degree=2)
    first = CoupledResidual(chains, exact).expect(panel)
    return Evidence(first, Vanishing().expect(panel), panel.names, {}, panel.digest)


STEPS = 4
FEW = "ten thousand particles"
CROWDS = {FEW: 10_000, "a million": 1_000_000}


@study(
    "particles.four-steps",
    variants={
        "stated": "",
        "last step skipped": "skipped",
        "right end for left end": "late",
        "same noise each step": "same",
        "g² + 3 %": "loud",
    },
    cases=tuple(CROWDS),
    applies=lambda variant, case: variant == "stated" or (variant == "g² + 3 %") == (case != FEW),
)
def four_steps(variant: str, case: str, size: Size, seed: int) -> Evidence:
    particles = CROWDS[case]
    run = _repeated(particles, seed) if variant == "same" else _four(variant, particles, seed)
    chain = euler_chain(_warming(), steps=STEPS, times=[1.0])
    panel = _panel(chain.law(1.0))
    first = replace(run, scheme=str(chain.scheme)).expect(panel)
    return Evidence(first, chain.expect(panel), panel.names, {}, panel.digest)


def _four(variant: str, particles: int, seed: int) -> ParticleMarginals:
    """Particles after four steps, or after three."""
    problem = _warming(variance=1.03 if variant == "loud" else 1.0, shift=1 / STEPS if variant == "late" else 0.0)
    times = [1 - 1 / STEPS, 1.0]
    run = fpk.simulate(problem, particles=particles, steps=STEPS, times=times, seed=seed, levels=1)
    kept = 0 if variant == "skipped" else 1
    return replace(run, times=(1.0,), positions=run.positions[:, kept : kept + 1])


def _repeated(particles: int, seed: int) -> ParticleMarginals:
    """The four-step chain with one increment for all steps."""
    still = fpk.Problem("0", 1.0, initial=DATA)
    run = fpk.simulate(still, particles=particles, steps=STEPS, times=[1 / STEPS, 1.0], seed=seed, levels=1)
    x, increment = run.start, run.fine[0] - run.start
    for n in range(STEPS):
        x = x - (1 + 0.5 * n / STEPS) * x / STEPS + (0.3 + 2.4 * n / STEPS) * increment
    return replace(run, times=(1.0,), positions=x[None, None])


@study("particles.fresh-noise", variants={"stated": 0, "noise reused across particles": 1, "noise reused + 5 %": 20})
def fresh_noise(variant: int, case: str, size: Size, seed: int) -> Evidence:
    from fpk.independence import Correlations

    n = size.particles(2**18)
    given: dict[str, Any] = {"steps": 4, "times": [1.0], "seed": seed}
    problem = _warming()
    run = fpk.simulate(problem, particles=n, **given)
    x = run.fine.copy()
    if variant == 1:
        x[:, n // 2 :] = x[:, : n // 2]
    elif variant:
        x[:, variant - 1 :: variant] = x[:, variant - 2 :: variant][:, : n // variant]
    base = fpk.law_panel({1.0: fpk.exact(problem, times=[1.0]).law(1.0)}, degree=1)
    correlations = Correlations(replace(run, positions=x[None]), base, lags=tuple(2**k for k in range(int(np.log2(n)))))
    panel = correlations.panel
    return Evidence(correlations.expect(panel), Vanishing().expect(panel), panel.names, {}, panel.digest)


@njit
def _bump(x: Any, t: Any) -> Any:
    """A drift with an elementary function, for numbers and for arrays."""
    return -x * np.exp(-x * x) + np.sin(t)


@study("particles.routes", variants={"stated": (0, 0.0), "other noise": (1, 0.0), "drift + 1e-9": (0, 1e-9)})
def routes(variant: tuple[int, float], case: str, size: Size, seed: int) -> Evidence:
    """Formula and compiled function against a function of arrays, with noise that depends on the position."""
    other, more = variant
    given: dict[str, Any] = {"particles": size.particles(20_000), "steps": 20, "times": [0.5, 1.0]}
    noise = "0.4 + 0.1*cos(x)"
    formula = fpk.Problem("-x*exp(-x**2) + sin(t)", noise, initial=DATA)
    compiled = fpk.Problem(_bump, noise, initial=DATA)
    called = fpk.Problem(
        lambda x, t: (1 + more) * (-x * np.exp(-(x**2)) + np.sin(t)), lambda x, t: 0.4 + 0.1 * np.cos(x), initial=DATA
    )
    apart = fpk.simulate(called, seed=seed + other, **given).positions
    gaps = [
        np.abs(fpk.simulate(problem, seed=seed, **given).positions - apart).max() / (1 + np.abs(apart).max())
        for problem in (formula, compiled)
    ]
    first = fpk.Estimate(np.log10(np.maximum(gaps, 1e-17)) + 12.0, np.zeros(2), source="decades above 1e-12")
    return Evidence(first, zero_estimate(2), ("formula", "compiled function"))


PIECES = (10_000, 4096, 1000, 333)


@study("particles.bitwise", variants={"stated": (0, 0), "numbers off by one": (1, 0), "one seed more": (0, 1)})
def bitwise(variant: tuple[int, int], case: str, size: Size, seed: int) -> Evidence:
    """One thread and pieces of several sizes against two threads and one piece."""
    late, more = variant
    given: dict[str, Any] = {"particles": 10_000, "steps": 5, "times": [0.5, 1.0]}
    whole = fpk.simulate(_warming(), seed=seed + more, first=late, threads=2, **given).positions
    differing = np.array(
        [
            np.count_nonzero(in_pieces(_warming(), size=length, seed=seed, threads=1, **given) != whole)
            for length in PIECES
        ]
    )
    first = fpk.Estimate(differing - 0.5, np.zeros(len(PIECES)), source="numbers that differ, less ½")
    return Evidence(first, zero_estimate(len(PIECES)), tuple(f"one thread, pieces of {n:,}" for n in PIECES))
