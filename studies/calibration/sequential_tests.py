"""Sequential tests on ideal p-values: what they refute, and what they cost.

The levels of the rule are read off the function itself: the largest p-value that is refuted in an attempt, and the largest one after which
another attempt is made, by bisection. They give the false-alarm probability and the expected cost of exact p-values without any sampling.
Then the function is called on uniform p-values. A rate that is nominal by design cannot be shown to lie below its level; it is held against
the least limit that a nominal rate keeps with probability .999, which is planned from the binomial law: 1.5 times nominal at
1e-5 (2e7 calls of the full size, 200 alarms), 1.14 times at 1e-2 (2e5 calls, 2,000 alarms; quick size: this one alone).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat

import numpy as np
from scipy import stats

from fpk.calibration import Limited, Rate, WeightedRate
from fpk.charts import Chart, Series
from fpk.difference import BETA, normal_quantile
from fpk.sequential import ATTEMPTS, COST, GROWTH, SequentialResult, affordable_attempts, expected_cost, sequential_test
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._rates import within

C, R = Outcome.CONFIRMED, Outcome.REFUTED
LEVEL, LOOSE = 1e-5, 1e-2
#: What bisection may leave of a level.
ROUND_OFF = 1e-9
Attempt = Callable[[int], float]
Test = Callable[[Attempt, float], SequentialResult]


def _stated(attempt: Attempt, alpha: float) -> SequentialResult:
    return sequential_test(attempt, alpha=alpha)


def _undivided(attempt: Attempt, alpha: float) -> SequentialResult:
    """The same with β = α instead of α/k: the level of a rule for kα."""
    attempts = affordable_attempts(alpha)
    return sequential_test(attempt, alpha=attempts * alpha, attempts=attempts)


def _again(attempt: Attempt, alpha: float) -> SequentialResult:
    """Test at α, and again with more samples while the p-value is within the range that is looked at again."""
    attempts = affordable_attempts(alpha)
    gamma, made = (alpha / attempts) ** (1 / attempts), []
    for i in range(attempts):
        made.append(attempt(i))
        if made[-1] <= alpha or made[-1] > gamma + alpha:
            break
    return SequentialResult(made[-1] <= alpha, tuple(made), alpha)


# -- without sampling ------------------------------------------------------------------------------------------------------


def exact_rates(test: Test, alpha: float) -> tuple[float, float]:
    """False-alarm probability and expected cost of a test for exact p-values, from its own levels."""
    alarm, cost, reached, earlier = 0.0, 0.0, 1.0, []
    while reached > 0:
        refuted, open_ = _levels(test, alpha, earlier)
        alarm += reached * refuted
        cost += reached * GROWTH ** len(earlier)
        reached *= open_ - refuted
        earlier.append(0.5 * (open_ + refuted))
    return alarm, cost


def _levels(test: Test, alpha: float, earlier: list[float]) -> tuple[float, float]:
    """The largest p-values that are refuted after the earlier ones, and that are refuted or looked at again."""

    def told(p: float) -> SequentialResult:
        p_values = [*earlier, p, *[1.0] * ATTEMPTS]
        return test(lambda i: p_values[i], alpha)

    here = len(earlier) + 1
    return (
        _largest(lambda p: told(p).refuted and told(p).attempts == here),
        _largest(lambda p: told(p).refuted or told(p).attempts > here),
    )


def _largest(holds: Callable[[float], bool]) -> float:
    """The largest p in [0, 1] for which a property of small ones holds."""
    low, high = 0.0, 1.0
    if holds(high):
        return high
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


# -- counted ---------------------------------------------------------------------------------------------------------------


def counted(test: Test, alpha: float, *, calls: int, seed: int) -> tuple[Rate, WeightedRate]:
    """False alarms, and the cost, of many calls with uniform p-values."""
    stream = _uniform(seed)
    refuted, made = 0, [0] * (ATTEMPTS + 1)
    for _ in range(calls):
        found = test(lambda i: next(stream), alpha)
        refuted += found.refuted
        made[found.attempts] += 1
    return Rate(refuted, calls), _mean_cost(np.array(made))


def _uniform(seed: int) -> Iterator[float]:
    rng = np.random.default_rng(seed)
    return chain.from_iterable(rng.random(2**14).tolist() for _ in repeat(None))


def _mean_cost(made: np.ndarray) -> WeightedRate:
    """From how many tests made 0, 1, ... attempts."""
    costs = (GROWTH ** np.arange(len(made)) - 1) / (GROWTH - 1)
    calls = int(made.sum())
    mean = float(costs @ made / calls)
    return WeightedRate(mean, float(np.sqrt((costs - mean) ** 2 @ made / calls / (calls - 1))), calls)


def kept_by_nominal(calls: int, alpha: float) -> float:
    """The least limit for which a rate of exactly α is confirmed with probability .999 in so many calls."""
    rate = Rate(int(stats.binom.isf(1e-3, calls, alpha)), calls)
    return (rate.value + normal_quantile(BETA) * rate.error + rate.slack(1.0)) * (1 + ROUND_OFF)


@study(
    "calibration.sequential",
    variants={"stated": _stated, "level of every attempt": _undivided, "plain test again": _again},
    only_when_named=True,
    judging=True,
)
def ideal_p_values(variant: Test, case: str, size: Size, seed: int) -> Evidence:
    """Exact rates of the rule at 1e-5, and counted ones."""
    loose, calls = (200_000, 100_000) if size.quick else (2_000_000, 20_000_000)
    alarm, cost = exact_rates(variant, LEVEL)
    often, _ = counted(variant, LOOSE, calls=loose, seed=seed)
    rare, measured = counted(variant, LEVEL, calls=calls, seed=seed + 1)
    claims = [
        Limited("exact false alarms at 1e-05", WeightedRate(alarm, 0.0, calls), at_most=LEVEL * (1 + ROUND_OFF)),
        Limited("exact cost at 1e-05", WeightedRate(cost, 0.0, calls), at_most=COST),
        Limited("false alarms at 0.01", often, at_most=kept_by_nominal(loose, LOOSE)),
        Limited("cost at 1e-05", measured, at_most=COST),
    ]
    if not size.quick:
        claims.append(Limited("false alarms at 1e-05", rare, at_most=kept_by_nominal(calls, LEVEL)))
    return within(claims, "sequential tests of ideal p-values", (_costs(),) if variant is _stated else ())


def _costs() -> Chart:
    levels = np.logspace(-9, -2, 29)
    chosen = np.array([expected_cost(level) for level in levels])
    always = np.array([expected_cost(level, attempts=ATTEMPTS) for level in levels])
    curves = (
        Series("as many attempts as are affordable", levels, chosen, kind="line"),
        Series("always seven attempts", levels, always, kind="line"),
        Series("at most", levels, np.full(len(levels), COST), kind="reference"),
    )
    return Chart(
        "Cost of a true hypothesis", "level", "samples over those of the first attempt", curves, log_x=True, log_y=True
    )


CLAIMS = (
    Claim(
        "calibration.sequential",
        "bound",
        "A sequential test refutes a true hypothesis no more often than its level says, and costs it twice the first samples at most.",
        r"P(\text{refuted}) \le \alpha,\quad \mathbb E\,N \le 2 n_0,\quad \alpha = 10^{-5}",
        "Gandy and Scott (2020), Unit testing for MCMC and other Monte Carlo methods, Algorithm 1",
        {"stated": C, "level of every attempt": R, "plain test again": R},
        {
            "level of every attempt": "the level is not divided among the attempts",
            "plain test again": "a plain test at the full level, again with more samples while the p-value is small",
        },
        "Exact p-values from fresh samples in every attempt.",
    ),
)
