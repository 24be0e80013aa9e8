r"""Random walks, the Brownian motion they tend to, and where that ends.

A walk x_{n+1} = x_n + w_n with fair w_n = ±δ has E x_n = 0 and E x_m x_n = δ² min(m, n). With n = t/δt and δ²/δt = σ² held fixed its increments
tend to those of σW: independent, and N(0, σ² Δt) over a time Δt. Laws of walks are enumerated, with the particles' own step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from .._limits import limit_evidence
from .._systems import DATA
from ._steps import Mover, Walk, walked

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S4.E3-6",
        "identity",
        "A walk of N independent fair steps ±δ has mean 0 and variance δ²N.",
        r"x_N=\sum_{i=1}^N w_i,\ w_i=\pm\delta \;\Rightarrow\; \mathbb E x_N=0,\quad \mathrm{Var}\,x_N=\delta^2N",
        "GM (2023), equations 3 to 6",
        {"stated": C, "δ for δ²": R, "one coin for all": R, "one step fewer": R, "δ² + 0.1 %": R},
        {
            "δ for δ²": "the variance δN",
            "one coin for all": "the variance δ²N²",
            "one step fewer": "the variance δ²(N − 1)",
            "δ² + 0.1 %": "the variance is 0.1 % too large",
        },
        assumptions="the steps are independent.",
    ),
    Claim(
        "S4.E7-10",
        "identity",
        "The walk at two times has the correlation of the shorter one, and the increment between them the variance of the steps between.",
        r"N_1>N_2:\quad \mathbb E[x_{N_1}x_{N_2}]=\delta^2N_2,\qquad \mathrm{Var}[x_{N_1}-x_{N_2}]=\delta^2(N_1-N_2)",
        "GM (2023), equations 7 to 10",
        {"stated": C, "the longer one": R, "N₁ + N₂": R, "δ for δ²": R, "δ² + 0.1 %": R},
        {
            "the longer one": "the correlation δ²N₁",
            "N₁ + N₂": "the increment as if the walks were independent",
            "δ for δ²": "δ in the place of δ² in both",
            "δ² + 0.1 %": "δ² is 0.1 % too large in both",
        },
    ),
    Claim(
        "S4.E11-17",
        "identity",
        "With δ²/δt = σ² held fixed the increments of the walk become independent Gaussians of variance σ² Δt, whatever the law of one step.",
        r"\delta^2/\delta t=\sigma^2,\ \delta t\to0:\quad \mathbb E\,e^{i(k_1\Delta x_1+k_2\Delta x_2)}\to e^{-\frac12\sigma^2(k_1^2\Delta t_1+k_2^2\Delta t_2)}",
        "GM (2023), equations 11 to 17",
        {
            "stated": C,
            "δ/δt fixed": R,
            "σ for σ²": R,
            "½ missing": R,
            "Δt² for Δt": R,
            "increments share noise": R,
            "σ² + 1 %": R,
        },
        {
            "δ/δt fixed": "steps δ = σδt, which come to a standstill",
            "σ for σ²": "the variance σΔt",
            "½ missing": "twice the variance",
            "Δt² for Δt": "the variance σ²Δt²",
            "increments share noise": "the second increment goes on with the noise of the first",
            "σ² + 1 %": "the variance is 1 % too large",
        },
        assumptions="steps of finite variance.",
    ),
    Claim(
        "S2.T-RW",
        "identity",
        "The increments of the walk with steps ±1 are independent, of mean 0 and variance 1, each with the law of the first.",
        r"\mathbb E\,e^{i\sum_n k_n(S_{n+1}-S_n)}=\prod_n\cos k_n,\qquad \mathbb E(S_{n+1}-S_n)=0,\quad \mathbb E(S_{n+1}-S_n)^2=1",
        "Rakitin, random walk",
        {"stated": C, "positions for increments": R, "neighbours alike": R, "Gaussian steps": R, "variance + 0.1 %": R},
        {
            "positions for increments": "Sₙ in the place of Sₙ₊₁ − Sₙ",
            "neighbours alike": "every second increment repeats the one before",
            "Gaussian steps": "exp(−½kₙ²) in the place of cos kₙ",
            "variance + 0.1 %": "increments of variance 1.001",
        },
    ),
    Claim(
        "S2.D1",
        "equality",
        "Brownian motion starts at 0 and has independent increments N(0, (t − s)I): its quadratic variation is t, and |ΔW|/Δt grows like Δt^(−1/2).",
        r"W_0=0,\quad W_t-W_s\sim\mathcal N(0,(t-s)I)\ \text{independent},\quad \mathbb E W_sW_t^{\mathsf T}=\min(s,t)I",
        "Rakitin, definition of the Wiener process",
        {"stated": C, "pulled back": R, "(t − s)² for t − s": R, "root missing": R, "steps alike": R, "g² + 5 %": R},
        {
            "pulled back": "particles with the drift −x/2, whose increments are not independent",
            "(t − s)² for t − s": "increments of variance (t − s)²",
            "root missing": "|ΔW|/Δt without growth",
            "steps alike": "each increment goes half way with the one before",
            "g² + 5 %": "particles whose noise variance is 5 % too large",
        },
    ),
)

# -- walks -------------------------------------------------------------------------------------------------------------------

FAIR = ((1.0, 0.5), (-1.0, 0.5))
#: Laws of one step, of mean 0 and variance 1: values with their chances.
TOSSES = {"fair coins": FAIR, "skewed steps": ((2**0.5, 1 / 3), (-(0.5**0.5), 2 / 3))}
LENGTH = 0.7


@lru_cache(maxsize=8)
def _coins(early: int, late: int) -> Walk:
    """The walk with steps ±δ at both numbers of steps."""
    return walked(Mover(fpk.Problem(0.0, LENGTH, initial=DATA)), 1.0, (early, late - early), FAIR)


@study(
    "S4.E3-6",
    variants={
        "stated": lambda n: LENGTH**2 * n,
        "δ for δ²": lambda n: LENGTH * n,
        "one coin for all": lambda n: LENGTH**2 * n**2,
        "one step fewer": lambda n: LENGTH**2 * (n - 1),
        "δ² + 0.1 %": lambda n: 1.001 * LENGTH**2 * n,
    },
)
def moments_of_a_walk(variant: Callable[[int], float], case: str, size: Size, seed: int) -> Evidence:
    counts = (2, 7, 30)
    walks = [_coins(0, n) for n in counts]
    values = [w.mean(lambda _, x: x) for w in walks]
    values += [w.mean(lambda _, x: x**2) - variant(n) for w, n in zip(walks, counts, strict=True)]
    names = tuple(f"{what}, N = {n}" for what in ("mean", "variance") for n in counts)
    return Evidence(fpk.residual(np.array(values), 1e-12, proven=True, source="enumeration"), zero_estimate(6), names)


@study(
    "S4.E7-10",
    variants={
        "stated": lambda late, early: (LENGTH**2 * early, LENGTH**2 * (late - early)),
        "the longer one": lambda late, early: (LENGTH**2 * late, LENGTH**2 * (late - early)),
        "N₁ + N₂": lambda late, early: (LENGTH**2 * early, LENGTH**2 * (late + early)),
        "δ for δ²": lambda late, early: (LENGTH * early, LENGTH * (late - early)),
        "δ² + 0.1 %": lambda late, early: (1.001 * LENGTH**2 * early, 1.001 * LENGTH**2 * (late - early)),
    },
)
def walk_at_two_times(variant: Callable[[int, int], tuple[float, float]], case: str, size: Size, seed: int) -> Evidence:
    pairs = ((30, 20), (30, 5), (9, 8))
    values = []
    for late, early in pairs:
        walk, (shared, between) = _coins(early, late), variant(late, early)
        values += [walk.mean(lambda y, x: x * y) - shared, walk.mean(lambda y, x: (x - y) ** 2) - between]
    names = tuple(f"{what}, {a} and {b} steps" for a, b in pairs for what in ("E x x", "variance of the increment"))
    return Evidence(fpk.residual(np.array(values), 1e-12, proven=True, source="enumeration"), zero_estimate(6), names)


SIGMA, SPANS = 1.3, (0.5, 0.3)
WAVES = np.array([[0.4, 0.2], [1.0, 0.5], [1.5, -1.0], [0.3, 1.6]])


@lru_cache(maxsize=16)
def _waves(case: str, standstill: bool, h: float) -> Array:
    """E cos(k₁Δx₁ + k₂Δx₂) over both spans for the walk with steps of time h."""
    mover = Mover(fpk.Problem(0.0, SIGMA * (h**0.5 if standstill else 1.0), initial=DATA))
    walk = walked(mover, h, (round(SPANS[0] / h), round(SPANS[1] / h)), TOSSES[case])
    return np.array([walk.mean(lambda y, x, k=k: np.cos(k[0] * y + k[1] * (x - y))) for k in WAVES])


def _gaussian_increments(variance: Callable[[float], float], shared: bool = False) -> Array:
    """The same for increments of some variance over each span, independent or with one noise for both."""
    spreads = np.array([variance(span) for span in SPANS])
    squares = (WAVES @ spreads**0.5) ** 2 if shared else WAVES**2 @ spreads
    return np.exp(-0.5 * squares)


#: Characteristic functions that are claimed, and whether the walk comes to a standstill.
LIMITS = {
    "stated": (_gaussian_increments(lambda t: SIGMA**2 * t), False),
    "δ/δt fixed": (_gaussian_increments(lambda t: SIGMA**2 * t), True),
    "σ for σ²": (_gaussian_increments(lambda t: SIGMA * t), False),
    "½ missing": (_gaussian_increments(lambda t: 2 * SIGMA**2 * t), False),
    "Δt² for Δt": (_gaussian_increments(lambda t: SIGMA**2 * t**2), False),
    "increments share noise": (_gaussian_increments(lambda t: SIGMA**2 * t, shared=True), False),
    "σ² + 1 %": (_gaussian_increments(lambda t: 1.01 * SIGMA**2 * t), False),
}


@study("S4.E11-17", variants=LIMITS, cases=tuple(TOSSES))
def donsker(variant: tuple[Array, bool], case: str, size: Size, seed: int) -> Evidence:
    claimed, standstill = variant
    return limit_evidence(
        lambda h: _waves(case, standstill, h),
        claimed,
        step=0.1 if size.quick else 0.05,
        names=tuple(f"k = ({a:g}, {b:g})" for a, b in WAVES),
        source="enumerated walks as their steps tend to 0",
    )


#: What is taken for the increments, the characteristic function of one, and their variance.
INCREMENTS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array], float]] = {
    "stated": (lambda S: np.diff(S, axis=1), np.cos, 1.0),
    "positions for increments": (lambda S: S[:, 1:], np.cos, 1.0),
    "neighbours alike": (lambda S: np.repeat(np.diff(S, axis=1)[:, ::2], 2, axis=1), np.cos, 1.0),
    "Gaussian steps": (lambda S: np.diff(S, axis=1), lambda k: np.exp(-0.5 * k**2), 1.0),
    "variance + 0.1 %": (lambda S: np.diff(S, axis=1), np.cos, 1.001),
}


@study("S2.T-RW", variants=INCREMENTS)
def independent_steps(
    variant: tuple[Callable[[Array], Array], Callable[[Array], Array], float], case: str, size: Size, seed: int
) -> Evidence:
    """All 256 walks of eight steps."""
    taken, wave, variance = variant
    mover, paths = Mover(fpk.Problem(0.0, 1.0, initial=DATA)), np.zeros((1, 1))
    for _ in range(8):
        paths = np.concatenate([np.column_stack([paths, mover(paths[:, -1], toss, 1.0)]) for toss in (1.0, -1.0)])
    steps, k = taken(paths), np.random.default_rng(seed).uniform(0.2, 1.2, size=(5, 8))
    joint = np.exp(1j * steps @ k.T).mean(0) - np.prod(wave(k), axis=1)
    values = np.concatenate([joint.real, joint.imag, steps.mean(0), (steps**2).mean(0) - variance])
    names = tuple(f"{part}, k {j}" for part in ("real", "imaginary") for j in range(1, 6))
    names += tuple(f"{what}, n = {n}" for what in ("mean", "variance") for n in range(1, 9))
    first = fpk.residual(values, 1e-13, proven=True, source="enumeration of 256 walks")
    return Evidence(first, zero_estimate(len(values)), names)


# -- Brownian motion ---------------------------------------------------------------------------------------------------------

#: Steps of the path, and directions of the characteristic functional: increments over four quarters, two coordinates.
STEPS = 16
DIRECTIONS = np.array(
    [[1.0, 0.5, -0.8, 1.2, 0.4, -1.0, 0.9, 0.6], [1.0, 1.0, 1.0, 1.0, 0, 0, 0, 0], [1.5, -1.5, 0, 0, 1.0, 1.0, 0, 0]]
)
FUNCTIONALS = (
    "E W¹_½W¹_1",
    "E W¹_½W²_1",
    "quadratic variation",
    "E ΔW_iΔW_{i+1}/h",
    "√h E|ΔW/h|",
    "E ΔW⁴/3h²",
    "wave 1",
    "wave 2",
    "wave 3",
)


def _functionals(W: Array) -> Array:
    """The functionals, one row each, of paths of shape (STEPS + 1, n, 2)."""
    h, middle = 1 / STEPS, W[STEPS // 2]
    dW = np.diff(W, axis=0)
    squares = dW**2
    quarters = np.diff(W[:: STEPS // 4], axis=0).transpose(1, 2, 0).reshape(W.shape[1], 8)
    return np.stack(
        [
            (middle * W[-1]).mean(1),
            (middle * W[-1][:, ::-1]).mean(1),
            squares.sum(0).mean(1),
            (dW[1:] * dW[:-1]).mean((0, 2)) / h,
            np.abs(dW).mean((0, 2)) / h**0.5,
            (squares**2).mean((0, 2)) / (3 * h**2),
            *np.cos(quarters @ DIRECTIONS.T).T,
        ]
    )


def _of_brownian_motion(power: float, root: float) -> Array:
    """Their claimed expectations, increments over Δt having the variance Δt^power and |ΔW/Δt| growing like Δt^(−root)."""
    h = 1 / STEPS
    waves = np.exp(-0.5 * (DIRECTIONS**2).sum(1) * 0.25**power)
    step = h ** (power - 1)
    return np.array([0.5**power, 0.0, step, 0.0, (2 / np.pi * step) ** 0.5 * h ** (0.5 - root), step**2, *waves])


def _alike(W: Array) -> Array:
    """Each increment becomes .8 of itself and .6 of the one before."""
    dW = np.diff(W, axis=0)
    return np.concatenate([W[:1], np.cumsum(0.8 * dW + 0.6 * np.roll(dW, 1, axis=0), axis=0)])


#: Drift rate and noise variance of the particles, a change of their paths, and the claimed powers.
PATHS: dict[str, tuple[float, float, bool, float, float]] = {
    "stated": (0.0, 1.0, False, 1.0, 0.5),
    "pulled back": (-0.5, 1.0, False, 1.0, 0.5),
    "(t − s)² for t − s": (0.0, 1.0, False, 2.0, 0.5),
    "root missing": (0.0, 1.0, False, 1.0, 0.0),
    "steps alike": (0.0, 1.0, True, 1.0, 0.5),
    "g² + 5 %": (0.0, 1.05, False, 1.0, 0.5),
}


@study("S2.D1", variants=PATHS)
def wiener(variant: tuple[float, float, bool, float, float], case: str, size: Size, seed: int) -> Evidence:
    """The particles' paths less their start, against the numbers that follow from the definition."""
    rate, variance, alike, power, root = variant
    problem = fpk.Problem(fpk.Linear(rate), variance**0.5, initial=fpk.Gaussian(np.zeros(2), 0.5))
    times = [k / STEPS for k in range(1, STEPS + 1)]
    run = fpk.simulate(problem, particles=size.particles(2**15), steps=STEPS, times=times, seed=seed, levels=1)
    W = np.concatenate([np.zeros((1, run.particles, 2)), run.fine - run.start])
    found = _functionals(_alike(W) if alike else W)
    first = fpk.Estimate(
        found.mean(1), np.full(len(found), 1e-13), covariance=np.cov(found) / run.particles, samples=run.particles, source=run.source,
    )  # fmt: skip
    claimed = _of_brownian_motion(power, root)
    return Evidence(first, fpk.Estimate(claimed, 0 * claimed, proven=True, source="definition"), FUNCTIONALS)
