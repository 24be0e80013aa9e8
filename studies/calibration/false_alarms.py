"""False alarms on ideal independent samples: how often a true equality is refuted, against the level that was asked for.

Samples have exactly the law they are held against. Rates that are not too small are counted; the tails are found by importance sampling,
and both ways are held against each other where both can be had. What is planned, so that true claims are confirmed for any seed:

==========================  ===========================================  =======================================================
claim                       quick                                        full
==========================  ===========================================  =======================================================
neyman, 1,000 samples       1e-2: 2,000 alarms counted (standard error   1e7 repetitions, all three levels counted: 1,000 alarms
                            2 %); 1e-3, 1e-4: weighed (3 %)              at 1e-4 (3 %)
whole, 1,000 samples        1e-2, 1e-3: 150 alarms or more (8 %)         1e7 repetitions, three levels: 700 alarms at 1e-4 (4 %)
tails, 1,000 samples        5 % at 1e-4, 8 % at 1e-6                     1 %
tails, 10,000 samples       7 % at 1e-9                                  1.5 %
both ways, 1,000 samples    1e-2: 3,000 alarms counted (1.8 %), 1.4 %    1e-4: 2,500 alarms or more counted (2 %), .5 %
==========================  ===========================================  =======================================================
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpk.calibration import Limited, Rate, WeightedRate
from fpk.charts import Chart, Series
from fpk.difference import Difference
from fpk.marginals import Estimate, zero_estimate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome
from fpk.wording import number_text

from ._ideal import Draws, batches, critical, largest_gap, statistics
from ._rates import plotted, within
from ._tilted import tails

C, R = Outcome.CONFIRMED, Outcome.REFUTED
LEVELS = (1e-2, 1e-3, 1e-4)
LEAST, MOST = 0.8, 1.3


class Rule(NamedTuple):
    """A critical value: fpk's own times a factor, for K functionals or fewer."""

    factor: float = 1.0
    functionals: int = 4

    def limit(self, n: int, level: float) -> float:
        """What S is held against."""
        if self.functionals == 4:
            return self.factor * critical(n, level)
        few = np.zeros(self.functionals)
        sampled = Estimate(few, few, covariance=np.eye(self.functionals) / n, samples=n)
        return self.factor * Difference(sampled, zero_estimate(self.functionals), ()).critical(level)


def _counts(repeats: int, n: int, limits: list[float], seed: int) -> list[Rate]:
    """How often S exceeds each limit."""
    alarms = np.zeros(len(limits), int)
    for found in batches(repeats, n, seed=seed):
        alarms += (statistics(found)[:, None] > np.array(limits)).sum(0)
    return [Rate(int(k), repeats) for k in alarms]


def _band(levels: tuple[float, ...], least: float, most: float) -> Series:
    x = np.array([min(levels), max(levels)])
    return Series(f"claimed, {least:g} to {most:g}", x, np.ones(2), np.full(2, least), np.full(2, most), "reference")


# -- the statistic ---------------------------------------------------------------------------------------------------------


@study(
    "calibration.neyman",
    variants={"stated": Rule(), "critical value − 5 %": Rule(factor=0.95), "three functionals": Rule(functionals=3)},
    only_when_named=True,
    judging=True,
)
def neyman(variant: Rule, case: str, size: Size, seed: int) -> Evidence:
    """Alarms of S over nominal."""
    n, repeats, direct = (1_000, 200_000, 1) if size.quick else (1_000, 10**7, 3)
    limits = [variant.limit(n, level) for level in LEVELS]
    counts = _counts(repeats, n, limits[:direct], seed)
    weighed = _tail_rates(30_000, n, limits[direct:], seed)
    rates = [*counts, *weighed]
    claims = [
        Limited(f"false alarms at {level:g}", rate, at_least=LEAST * level, at_most=MOST * level)
        for level, rate in zip(LEVELS, rates, strict=True)
    ]
    series = [plotted("counted", LEVELS[:direct], counts, nominal=LEVELS[:direct])]
    series += [plotted("importance sampling", LEVELS[direct:], weighed, nominal=LEVELS[direct:])] if weighed else []
    chart = Chart(
        f"False alarms of S, {n:,} samples",
        "nominal level",
        "rate / nominal",
        (*series, _band(LEVELS, LEAST, MOST)),
        log_x=True,
    )
    return within(claims, f"S of {n:,} ideal samples", (chart,) if variant == Rule() else ())


def _tail_rates(repeats: int, n: int, limits: list[float], seed: int) -> list[WeightedRate]:
    if not limits:
        return []
    found = tails(repeats, n, limits=limits, seed=seed + 1)
    return [found.beyond(limit) for limit in limits]


# -- the whole verdict -----------------------------------------------------------------------------------------------------


class Verdicts(NamedTuple):
    """Which of R repetitions are refuted at a level: S and the gap at half of it each."""

    share: float = 0.5
    one_by_one: bool = False
    gap: float = 1.0

    def refuted(self, found: Draws, level: float) -> NDArray[np.bool_]:
        """Flags, shape (R,)."""
        by_shape = found.gap > self.gap * largest_gap(found.n, self.share * level)
        if not self.one_by_one:
            return by_shape | (statistics(found) > critical(found.n, self.share * level))
        z = np.abs(found.mean) / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
        return by_shape | (z > _single(found.n, self.share * level)).any(1)


def _single(n: int, level: float) -> float:
    """Two-sided quantile of one mean."""
    sampled = Estimate(np.zeros(1), np.zeros(1), covariance=np.eye(1) / n, samples=n)
    return Difference(sampled, zero_estimate(1), ()).quantile(level / 2)


@study(
    "calibration.whole",
    variants={
        "stated": Verdicts(),
        "level not shared": Verdicts(share=1.0, one_by_one=True),
        "limit of the gap − 30 %": Verdicts(gap=0.7),
    },
    only_when_named=True,
    judging=True,
)
def whole_verdict(variant: Verdicts, case: str, size: Size, seed: int) -> Evidence:
    """Alarms of the whole verdict over nominal."""
    n, repeats = (1_000, 200_000) if size.quick else (1_000, 10**7)
    levels = LEVELS[:2] if size.quick else LEVELS
    alarms = np.zeros(len(levels), int)
    for found in batches(repeats, n, seed=seed, gap=True):
        alarms += [int(variant.refuted(found, level).sum()) for level in levels]
    rates = [Rate(int(k), repeats) for k in alarms]
    claims = [Limited(f"false alarms at {a:g}", rate, at_most=MOST * a) for a, rate in zip(levels, rates, strict=True)]
    chart = Chart(
        f"False alarms of the whole verdict, {n:,} samples",
        "nominal level",
        "rate / nominal",
        (
            plotted("counted", levels, rates, nominal=levels),
            Series("at most", np.array(LEVELS), np.full(len(LEVELS), MOST), kind="reference"),
        ),
        log_x=True,
    )
    return within(claims, f"verdicts on {n:,} ideal samples", (chart,) if variant == Verdicts() else ())


# -- the tails -------------------------------------------------------------------------------------------------------------

#: Levels, the samples of a repetition (weights are too uneven to tell 1e-9 from fewer), and the repetitions of the quick and of the full size.
RARE = {1e-4: (1_000, 5_000, 400_000), 1e-6: (1_000, 25_000, 2_000_000), 1e-9: (10_000, 8_000, 200_000)}
WITHIN_TWO = (0.5, 2.0)
#: Samples of the curves that show how many are enough.
FEW = (250, 500, 1_000, 2_000, 4_000)


@study(
    "calibration.tails",
    variants={
        "stated": Rule(),
        "critical value − 10 %": Rule(factor=0.9),
        "three functionals": Rule(functionals=3),
    },
    only_when_named=True,
    judging=True,
)
def rare_alarms(variant: Rule, case: str, size: Size, seed: int) -> Evidence:
    """Alarms of S beyond levels that cannot be counted; both ways where both can be had."""
    claims = [
        Limited(
            f"false alarms at {number_text(a)}, {RARE[a][0]:,} samples",
            _rare(variant, a, size, seed),
            at_least=WITHIN_TWO[0] * a,
            at_most=WITHIN_TWO[1] * a,
        )
        for a in RARE
    ]
    claims.append(Limited("counted over weighed", _both_ways(variant, size, seed), at_least=0.85, at_most=1.15))
    return within(claims, "tails of S, ideal samples", _tail_charts(size, seed) if variant == Rule() else ())


def _rare(variant: Rule, level: float, size: Size, seed: int) -> WeightedRate:
    """Alarms at one level, by importance sampling."""
    n, quick, full = RARE[level]
    limit = variant.limit(n, level)
    return tails(quick if size.quick else full, n, limits=[limit], seed=seed).beyond(limit)


def _both_ways(variant: Rule, size: Size, seed: int) -> WeightedRate:
    """The counted rate over the one of importance sampling, at 1e-2 (quick) or 1e-4."""
    n, level, repeats, tilted = (1_000, 1e-2, 300_000, 20_000) if size.quick else (1_000, 1e-4, 25_000_000, 400_000)
    limit = variant.limit(n, level)
    direct = _counts(repeats, n, [limit], seed + 2)[0]
    weighed = tails(tilted, n, limits=[limit], seed=seed + 3).beyond(limit)
    ratio = direct.value / weighed.value
    return WeightedRate(
        ratio, ratio * float(np.hypot(direct.error / direct.value, weighed.error / weighed.value)), tilted
    )


def _tail_charts(size: Size, seed: int) -> tuple[Chart, ...]:
    (n, quick, full), levels = RARE[1e-9], tuple(10.0**-k for k in range(3, 10))
    found = tails(quick // 2 if size.quick else full, n, limits=[critical(n, a) for a in RARE], seed=seed)
    rates = [found.beyond(critical(n, level)) for level in levels]
    curve = plotted("importance sampling", levels, rates, nominal=levels)
    deep = Chart(
        f"Tails of S, {n:,} samples", "nominal level", "rate / nominal", (curve, _band(levels, *WITHIN_TWO)), log_x=True
    )
    few = [_by_samples(level, 2_000 if size.quick else 40_000, seed) for level in (1e-4, 1e-6)]
    band = _band(FEW, *WITHIN_TWO)
    return deep, Chart("How many samples are enough", "samples", "rate / nominal", (*few, band), log_x=True, log_y=True)


def _by_samples(level: float, repeats: int, seed: int) -> Series:
    """Alarms over nominal at one level against the number of samples."""
    rates = [tails(repeats, n, limits=[critical(n, level)], seed=seed + n).beyond(critical(n, level)) for n in FEW]
    return plotted(f"level {number_text(level)}", FEW, rates, nominal=level)


CLAIMS = (
    Claim(
        "calibration.neyman",
        "bound",
        "The quadratic statistic of a panel refutes a true equality as often as its level says, within −20 % and +30 %, from 1,000 samples on.",
        r"0.8 \le P(S > c_\alpha)/\alpha \le 1.3,\quad \alpha = 10^{-2}, 10^{-3}, 10^{-4}",
        "Neyman (1937); Hotelling (1931)",
        {"stated": C, "critical value − 5 %": R, "three functionals": R},
        {
            "critical value − 5 %": "S is held against 95 % of its critical value",
            "three functionals": "the critical value is that of three functionals, S has four",
        },
        "Independent samples, an exact continuous reference, four functionals.",
    ),
    Claim(
        "calibration.whole",
        "bound",
        "The whole verdict refutes a true equality at most 1.3 times as often as its level says, from 1,000 samples on.",
        r"P(S > c_{\alpha/2} \ \text{or}\ \max_j|F_n - F|(x_j) > \epsilon_{\alpha/2}) \le 1.3\,\alpha",
        "Massart (1990), corollary 1; Bonferroni's inequality",
        {"stated": C, "level not shared": R, "limit of the gap − 30 %": R},
        {
            "level not shared": "every functional and the distribution function are tested one by one, each at the full level",
            "limit of the gap − 30 %": "the distribution functions may differ by 70 % of their limit only",
        },
        "Independent samples, an exact continuous reference, four functionals, 128 thresholds.",
    ),
    Claim(
        "calibration.tails",
        "bound",
        "Far out, at 1e-6 from 1,000 samples on and at 1e-9 from 10,000, the statistic refutes a true equality within a factor two of nominal.",
        r"\tfrac12 \le P(S > c_\alpha)/\alpha \le 2,\quad \alpha = 10^{-4}, 10^{-6}, 10^{-9}",
        "Veach and Guibas (1995), balance heuristic; Coxeter (1973), the 600-cell",
        {"stated": C, "critical value − 10 %": R, "three functionals": R},
        {
            "critical value − 10 %": "S is held against 90 % of its critical value",
            "three functionals": "the critical value is that of three functionals, S has four",
        },
        "Independent samples, an exact continuous reference, four functionals. Counted alarms and weighed ones agree within 15 % at 1,000 samples.",
    ),
)
