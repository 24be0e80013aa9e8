"""Densities from particles next to the best histogram and kernel density estimate of an ensemble that took as long.

One particle system, dX = −X dt + √2 dW from N(2, ½²), its density at t = 1 at 400 points, and the L1 error against the exact law. The kernels lead
over the last 0.6 (Euler–Maruyama) or 0.8 (exact transitions). The other route keeps the ensemble at t = 1 itself, sampled by the same engine, and
everything is made easy for it: binning and smoothing take no time, its number of particles is chosen so that sampling them takes longer than both
parts of ours, and bins or bandwidth are the best in hindsight, with the exact density at hand. Where steps err, both routes extrapolate from the
same pair of step lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.particles.densities import marginal_density
from fpk.particles.ensemble import ParticleMarginals
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.quasi import quasi_simulate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._timing import clocked, median_below, paired

C, R = Outcome.CONFIRMED, Outcome.REFUTED
ITSELF, MISS, WRONG, PLAIN = "the other route itself", "itself + 5 %", "kernel variance + 5 %", "without Sobol points"
NOTES = {
    ITSELF: "the best of histogram and kernel density estimate in the place of the transition kernels, on another seed",
    MISS: "the transition kernels against themselves, claimed to err 5 % less",
    WRONG: "noise of a variance 5 % too large in the kernel",
    PLAIN: "independent particles in the place of scrambled Sobol points",
}
LOWER, UPPER, PARTICLES, REPLICATES = -4.0, 5.5, 2**20, 32
#: Steps of the coarser Euler–Maruyama chain in a unit of time; the finer one takes twice as many.
STEPS = 10
#: How much longer the other route may take.
GIFT = 1.15
#: Cells that are put together to bins, and smoothed; factors of their number are candidates for the width of a bin.
CELLS = 10_080
CENTRES = LOWER + (UPPER - LOWER) * (np.arange(CELLS) + 0.5) / CELLS
WIDTHS = [w for w in range(6, 1000) if CELLS % w == 0]
BANDWIDTHS = np.geomspace(0.02, 0.5, 30)


def _spring(variance: float = 1.0) -> fpk.Problem:
    return fpk.Problem("-x", (2 * variance) ** 0.5, initial=fpk.Gaussian(2.0, 0.5))


SPRING = _spring()
LAW = fpk.exact(SPRING, times=[1.0]).law(1.0)
POINTS = np.linspace(LOWER, UPPER, 400)[:, None]


# -- ensembles ----------------------------------------------------------------------------------------------------------


def _euler(until: float, n: int, seed: int) -> ParticleMarginals:
    return fpk.simulate(SPRING, particles=n, steps=round(STEPS * until), times=[until], seed=seed)


def _exact(until: float, n: int, seed: int) -> ParticleMarginals:
    return fpk.simulate(SPRING, particles=n, steps=1, times=[until], seed=seed, scheme=ExactTransition())


def _quasi(until: float, n: int, seed: int) -> ParticleMarginals:
    points = n // REPLICATES
    scheme = ExactTransition()
    return quasi_simulate(
        SPRING, points=points, replicates=REPLICATES, steps=1, times=[until], seed=seed, scheme=scheme
    )


class Race(NamedTuple):
    """How particles are sampled for the kernels, and their lead; how for the other route, how many times larger its error must be.

    ``seeds`` is from how many ensembles that is judged in the quick size.
    """

    ours: Callable[..., ParticleMarginals]
    lead: float
    theirs: Callable[..., ParticleMarginals]
    bar: float
    seeds: int = 32


RACES = {
    "perf.particles.density-euler": Race(_euler, 0.6, _euler, 3.0),
    "perf.particles.density-exact": Race(_exact, 0.8, _exact, 8.0, 96),
    "perf.particles.density-rqmc": Race(_quasi, 0.8, _exact, 1000.0),
}


# -- errors -------------------------------------------------------------------------------------------------------------


def _by_kernels(race: Race, seed: int, variance: float = 1.0) -> Array:
    """The density at the points, extrapolated where steps err."""
    since = 1 - race.lead
    run = race.ours(since, PARTICLES, seed)
    problem = _spring(variance)
    return marginal_density(run, problem, points=POINTS, since=since, until=1.0, extrapolated=not run.exact).value


def _kernel_error(race: Race, seed: int, variance: float = 1.0) -> float:
    away = _by_kernels(race, seed, variance) - LAW.density(POINTS)
    return float(np.abs(away).sum() * (UPPER - LOWER) / len(POINTS))


def shares_of(run: ParticleMarginals) -> Array:
    """The density over fine cells: extrapolated where there are two levels."""
    counts = [np.histogram(x[0, :, 0], bins=CELLS, range=(LOWER, UPPER))[0] for x in run.positions]
    weights = (2.0, -1.0) if len(counts) > 1 else (1.0,)
    return np.dot(weights, counts) * CELLS / (run.particles * (UPPER - LOWER))


def binned(shares: Array, width: int) -> Array:
    """A histogram with bins of ``width`` fine cells, on the fine cells."""
    return np.repeat(shares.reshape(-1, width).mean(1), width)


def smoothed(shares: Array, bandwidth: float) -> Array:
    """A Gaussian kernel density estimate, on the fine cells: the law ends before they do, so that it may wrap around."""
    frequencies = 2 * np.pi * np.fft.rfftfreq(CELLS, (UPPER - LOWER) / CELLS)
    return np.fft.irfft(np.fft.rfft(shares) * np.exp(-0.5 * (frequencies * bandwidth) ** 2), CELLS)


def _hindsight(sample: Callable[..., ParticleMarginals], n: int, seed: int) -> float:
    """The smallest L1 error of all histograms and kernel density estimates of the ensemble at t = 1."""
    shares, exact = shares_of(sample(1.0, n, seed)), LAW.density(CENTRES[:, None])
    found = [smoothed(shares, b) for b in BANDWIDTHS] + [binned(shares, width) for width in WIDTHS]
    return float(min(np.abs(p - exact).mean() for p in found) * (UPPER - LOWER))


@lru_cache(maxsize=4)
def _affordable(claim: str) -> int:
    """Particles of the other route, so that sampling them takes longer than the kernels with their ensemble."""
    race = RACES[claim]
    ours = min(clocked(partial(_by_kernels, race, 0), 1)[0] for _ in range(5))
    theirs = min(clocked(partial(race.theirs, 1.0, PARTICLES, 0), 1)[0] for _ in range(5))
    return int(PARTICLES * GIFT * ours / theirs)


@lru_cache(maxsize=16)
def _errors(claim: str, other: str, seeds: tuple[int, ...]) -> Array:
    """L1 errors of the other route, the kernels or wrong kernels, for each seed."""
    race = RACES[claim]
    if other == ITSELF:
        return np.array([_hindsight(race.theirs, _affordable(claim), seed) for seed in seeds])
    race = race._replace(ours=race.theirs) if other == PLAIN else race
    return np.array([_kernel_error(race, seed, 1.05 if other == WRONG else 1.0) for seed in seeds])


# -- claims -------------------------------------------------------------------------------------------------------------


def _race(claim: str, variant: str, size: Size, seed: int) -> Evidence:
    race = RACES[claim]
    count = race.seeds * (1 if size.quick else 3)
    seeds = tuple(range(seed % 2**20, seed % 2**20 + count))
    ours = _errors(claim, variant, tuple(s + 2**21 for s in seeds) if variant == ITSELF else seeds)
    theirs, bar = (ours, 1.05) if variant == MISS else (_errors(claim, ITSELF, seeds), race.bar)
    spent = paired(
        partial(_by_kernels, race, 0),
        partial(race.theirs, 1.0, _affordable(claim), 0),
        pairs=16,
    )
    return _raced(spent, ours, theirs, bar, _affordable(claim))


def _raced(spent: Array, ours: Array, theirs: Array, bar: float, particles: int) -> Evidence:
    """Both must be negative: the logarithm of the time ratio, and that of the error ratio times the bar."""
    source = (
        f"L1 errors {np.median(ours):.3g} and {np.median(theirs):.3g}, of {particles:,} particles, whose ratio is "
        f"{np.median(theirs / ours):.4g} in the median of {len(ours)} seeds; times in the ratio {np.exp(np.median(-spent)):.3g}"
    )
    time = median_below(spent, 0.0, source=source)
    error = median_below(np.log(ours / theirs), -float(np.log(bar)), source=source)
    assert time.covariance is not None
    assert error.covariance is not None
    both = fpk.Estimate(
        np.append(time.value, error.value), np.zeros(2), np.append(time.covariance, error.covariance), samples=len(ours), source=source
    )  # fmt: skip
    return Evidence(both, zero_estimate(2), ("time", "error"), {"errors": ours, "other_errors": theirs})


def _claim(id: str, how: str, controls: tuple[str, ...]) -> Claim:
    bar = f"{RACES[id].bar:g}"
    return Claim(
        id,
        "bound",
        f"The density from {how} errs at least {bar} times less than the best histogram and kernel density estimate at equal time.",
        rf"\|p_{{\mathrm{{KDE}}}}-p\|_1\ge{bar}\,\|p_{{\mathrm{{kernels}}}}-p\|_1,\qquad t_{{\mathrm{{KDE}}}}\ge t_{{\mathrm{{kernels}}}}",
        "Measured in the same process",
        {"stated": C} | dict.fromkeys(controls, R),
        {name: NOTES[name] for name in controls},
        "A linear SDE in one dimension; CPU time of warm calls on a quiet machine; medians over seeds of L1 errors against the exact law.",
    )


CONTROLS = {
    "perf.particles.density-euler": ("extrapolated Euler–Maruyama ensembles", (ITSELF, MISS, WRONG)),
    "perf.particles.density-exact": ("exact transitions", (ITSELF, MISS, WRONG)),
    "perf.particles.density-rqmc": (
        "exact transitions of scrambled Sobol points, against independent particles,",
        (ITSELF, MISS, WRONG, PLAIN),
    ),
}
CLAIMS = tuple(_claim(id, *told) for id, told in CONTROLS.items())


def _register(claim: str) -> None:
    names = ("stated", *CONTROLS[claim][1])

    @study(claim, variants={name: name for name in names}, only_when_named=True)
    def race(variant: str, case: str, size: Size, seed: int) -> Evidence:
        return _race(claim, variant, size, seed)


for _id in RACES:
    _register(_id)
