r"""False alarms of whole comparisons: simulate, solve and ask exact laws, compare with budgets, covariances and the shape test.

Every pair of routes to one law is compared over and over with fresh seeds, at α = .01. With m pairs in all and n repetitions of each, a count
above the quantile of Binomial(n, α) at .01/m contradicts "never above nominal"; over all pairs that happens with probability .01 if every
pair were exactly at nominal. It is much rarer here, because budgets and the Massart bound only ever lower the rate: a pair without budgets has about
.0075, and exceeds its limit (22 of 1,000; 2 of 8) with probability below 1e-5 (1e-4 in the quick size). What a control plants raises the
rate of at least one pair of every problem above .8.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fpk.calibration import Rate, tally
from fpk.charts import Chart, Series
from fpk.laws import Array
from fpk.marginals import ROUND_OFF, Estimate, residual, zero_estimate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._pipelines import PROBLEMS, Pair, Spoil, pairs
from ._rates import plotted

C, R = Outcome.CONFIRMED, Outcome.REFUTED
ALPHA = 1e-2
#: Probability that any pair exceeds its limit, were all exactly at nominal; the number of pairs; tails of the bars that are drawn.
FAMILY, PAIRS = 0.01, 3 * len(PROBLEMS)
SURER, BOLDER = "a quarter of the standard errors", "budgets dropped"
#: Problems with a pair whose bias shows as soon as no budget carries it.
BIASED = (
    "off centre",
    "narrow start",
    "moving coefficients",
    "reversal",
    "variance exploding",
    "geometric",
    "correlated plane",
)


def surer(estimate: Estimate) -> Estimate:
    """The same with a quarter of its standard errors, block by block."""
    if estimate.covariance is None:
        return estimate
    return replace(
        estimate,
        covariance=estimate.covariance / 16,
        block_means=_gathered(estimate.block_means),
        coarse_block_means=_gathered(estimate.coarse_block_means),
    )


def _gathered(means: Array | None) -> Array | None:
    return None if means is None else means.mean(0) + 0.25 * (means - means.mean(0))


def bolder(estimate: Estimate) -> Estimate:
    """The same without any budget but round-off."""
    return replace(
        estimate,
        bias_bound=np.full_like(estimate.bias_bound, ROUND_OFF),
        step_bias=None,
        coarse_block_means=None,
        threshold_bound=np.zeros_like(estimate.threshold_bound),
    )


@study(
    "calibration.pipelines",
    variants={"stated": None, SURER: surer, BOLDER: bolder},
    cases=tuple(PROBLEMS),
    applies=lambda variant, case: variant != BOLDER or case in BIASED,
    only_when_named=True,
    judging=True,
)
def pipelines(variant: Spoil | None, case: str, size: Size, seed: int) -> Evidence:
    """By which part of its limit the count of each pair passes it: −1/2 of an alarm from the next larger count."""
    repeats = 8 if size.quick else 1000
    found, limit = [alarms(pair, repeats, seed + k, variant) for k, pair in enumerate(pairs(case))], most(repeats)
    excess = np.array([(rate.events - limit - 0.5) / limit for rate in found])
    names = tuple(f"{pair.name}: {rate} (at most {limit})" for pair, rate in zip(pairs(case), found, strict=True))
    first = residual(excess, np.zeros(1), proven=True, source=f"false alarms over {repeats:,} repetitions")
    charts = (_chart(case, found),) if variant is None else ()
    return Evidence(first, zero_estimate(len(found)), names, charts=charts)


def alarms(pair: Pair, repeats: int, seed: int, spoil: Spoil | None = None) -> Rate:
    """How often the pair is refuted at α = .01, answers spoilt or not."""
    found = tally(lambda own: pair.verdict(own, alpha=ALPHA, spoil=spoil), repeats=repeats, seed=seed)
    return found.rate(Outcome.REFUTED)


def most(repeats: int) -> int:
    """The family-wise limit of a count: Binomial(repeats, α) is above it with probability at most .01 over the number of pairs."""
    from scipy.stats import binom

    return int(binom.isf(FAMILY / PAIRS, repeats, ALPHA))


def _chart(case: str, found: list[Rate]) -> Chart:
    """The rate of each pair."""
    place = np.arange(float(len(found)))
    nominal = Series("nominal", place, np.full(len(found), ALPHA), kind="reference")
    names = tuple(pair.name for pair in pairs(case))
    return Chart(
        "False alarms", "pair", "rate of REFUTED", (plotted("rate of REFUTED", place, found), nominal), x_names=names
    )


CLAIMS = (
    Claim(
        "calibration.pipelines",
        "bound",
        "Whole comparisons of particles, grids and exact laws, with their own budgets and covariances, give false alarms no more often than nominal.",
        r"\#\{\text{REFUTED}\} \le q_{.01/m}\bigl(\mathrm{Bin}(n, \alpha)\bigr)\ \text{for each of } m \text{ pairs},\quad \alpha = .01",
        "Binomial quantiles, Bonferroni over the pairs",
        {"stated": C, SURER: R, BOLDER: R},
        {
            SURER: "covariances of sampled sides are sixteen times too small",
            BOLDER: "only round-off is left of the budgets of time steps and grids",
        },
        "1,000 particles; laws exact or from a grid.",
    ),
)
