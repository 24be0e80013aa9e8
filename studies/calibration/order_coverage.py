r"""Intervals for orders: how often they hold the true order, on error sequences drawn from a wide class (:mod:`_sequences`).

Certain errors keep their sign (others are refused). An interval m ± w *confirms one order too high* when it lies within p + 1 ± ¼, as
:func:`fpk.orders.order_of` would say of the claim p + 1.

Planned for ANY seed, with failures at a true rate q:

=================== ========= ======== ============================ ====================================
size                sequences covered  failures allowed, P(more)    one order too high
=================== ========= ======== ============================ ====================================
full, certain       10,000    ≥ .99    70; 6e-6 at q = .004         none: ≤ 1e-3
quick, certain      1,000     ≥ .98    7; 1e-5 at q = .001          none: ≤ 1e-2
full, α = .05       1,500     ≥ .9     114; 6e-6 at q = .05         none: ≤ 1e-2
full, α = 1e-3      1,500     ≥ .98    14; 6e-7 at q = .002         none: ≤ 1e-2
quick, α = .05      32        ≥ .5     6; 4e-4 at q = .043          –
quick, α = 1e-3     20        ≥ .5     2; 1e-5 at q = .002          –
=================== ========= ======== ============================ ====================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fpk.calibration import Limited
from fpk.charts import Chart, Series
from fpk.laws import Array
from fpk.orders import order_of
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome, Verdict

from ._coverage import rate_of
from ._rates import plotted, within
from ._sequences import noisy, one_signed

C, R = Outcome.CONFIRMED, Outcome.REFUTED
#: Half width of what a claim on an order accepts.
TOLERANCE = 0.25

CLAIMS = (
    Claim(
        "calibration.order-interval",
        "bound",
        "Intervals for orders hold the true one: of certain errors at 5 and 6 levels in 99 % of random sequences (quick: 98 %), of noisy errors "
        "in 90 % at α = .05 and in 98 % at α = .001 (quick: half). Orders one too high are confirmed in at most one of a thousand (noisy and "
        "quick: of a hundred).",
        r"P(|\hat p-p|\le w)\ge0.99,\qquad P([\hat p\pm w]\subset p+1\pm\tfrac14)\le10^{-3}",
        "Oates et al. (2025), section 2; Pawitan (2001), section 3.4",
        {"stated": C, "log–log t-interval": R, "one order higher": R},
        {
            "log–log t-interval": "Student's 95 % interval for the slope of log |e| over log h",
            "one order higher": "the intervals moved by 1",
        },
        "e = C h^p (1 + a h + b h²), a and b of standard deviation 1.5 in units of the coarsest step.",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """How sequences are drawn, and what is claimed of their intervals.

    Parameters
    ----------
    levels : int
    alpha : float
        Of noisy levels; 0: certain ones.
    quick, full : (int, float, float or None)
        Sequences, least coverage, and how often one order too high may be confirmed.
    """

    levels: int
    alpha: float
    quick: tuple[int, float, float | None]
    full: tuple[int, float, float | None]


CASES = {
    "5 levels": Setting(5, 0.0, (1000, 0.98, 0.01), (10_000, 0.99, 1e-3)),
    "6 levels": Setting(6, 0.0, (1000, 0.98, 0.01), (10_000, 0.99, 1e-3)),
    "noisy, α = .05": Setting(5, 0.05, (32, 0.5, None), (1500, 0.9, 0.01)),
    "noisy, α = .001": Setting(5, 1e-3, (20, 0.5, None), (1500, 0.98, 0.01)),
}


@dataclass(frozen=True, eq=False)
class Sequences:
    """Steps (levels,), true orders (n,), errors (n, levels) and their standard errors, if they have any."""

    h: Array
    p: Array
    e: Array
    noise: Array | None
    alpha: float


#: Sequences ↦ middles less the true order, and half widths, (n,) each.
Rule = Callable[[Sequences], tuple[Array, Array]]


def enclosed(drawn: Sequences) -> tuple[Array, Array]:
    """The intervals of :func:`fpk.orders.order_of`."""
    found = [_verdict(drawn, k) for k in range(len(drawn.p))]
    return np.array([v.difference[0] for v in found]), np.array([v.budget[0] for v in found])


def _verdict(drawn: Sequences, k: int) -> Verdict:
    if drawn.noise is None:
        return order_of(drawn.h, drawn.e[k], order=drawn.p[k])
    return order_of(drawn.h, drawn.e[k], order=drawn.p[k], standard_errors=drawn.noise[k], alpha=drawn.alpha)


def higher(drawn: Sequences) -> tuple[Array, Array]:
    """The same intervals, one order higher."""
    middle, half = enclosed(drawn)
    return middle + 1, half


def slopes(drawn: Sequences) -> tuple[Array, Array]:
    """Least-squares slopes of log |e| over log h, and the half widths of their 95 % intervals by Student's t."""
    x, y = np.log(drawn.h) - np.log(drawn.h).mean(), np.log(np.abs(drawn.e))
    slope = y @ x / (x @ x)
    left = y - y.mean(1, keepdims=True) - slope[:, None] * x
    freedom = len(x) - 2
    error = np.sqrt(np.sum(left**2, 1) / freedom / (x @ x))
    return slope - drawn.p, stats.t.isf(0.025, freedom) * error


def covers(middle: Array, half: Array) -> NDArray[np.bool_]:
    """Which intervals are known and hold the true order."""
    return np.isfinite(half) & (np.abs(middle) <= half * (1 + 1e-9))


def confirms_higher(middle: Array, half: Array) -> NDArray[np.bool_]:
    """Which intervals lie within one order too high ± ¼."""
    return np.abs(middle - 1) + half <= TOLERANCE


def _drawn(setting: Setting, count: int, seed: int) -> Sequences:
    rng = np.random.default_rng(seed)
    if setting.alpha:
        return Sequences(*noisy(rng, setting.levels, count), setting.alpha)
    return Sequences(*one_signed(rng, setting.levels, count), None, 0.0)


@study(
    "calibration.order-interval",
    variants={"stated": enclosed, "log–log t-interval": slopes, "one order higher": higher},
    cases=tuple(CASES),
    only_when_named=True,
    applies=lambda variant, case: variant != "log–log t-interval" or not CASES[case].alpha,
    judging=True,
)
def order_interval(variant: Rule, case: str, size: Size, seed: int) -> Evidence:
    """Coverage of intervals, and how often they confirm one order too high."""
    setting = CASES[case]
    count, least, most = setting.quick if size.quick else setting.full
    drawn = _drawn(setting, count, seed)
    middle, half = variant(drawn)
    covered = covers(middle, half)
    limits = [Limited("true order covered", rate_of(covered), at_least=least)]
    if most is not None:
        limits.append(Limited("one order too high confirmed", rate_of(confirms_higher(middle, half)), at_most=most))
    charts = (_chart(drawn, covered, case),) if variant is enclosed else ()
    return within(limits, f"random error sequences, {case}", charts)


def _chart(drawn: Sequences, covered: NDArray[np.bool_], case: str) -> Chart:
    """Coverage by order, next to that of the log–log interval on the same sequences."""
    orders = np.unique(drawn.p)
    ends, nominal = orders[[0, -1]], 1 - (drawn.alpha or 0.05)
    curves = tuple(
        plotted(name, orders, [rate_of(holds[drawn.p == p]) for p in orders])
        for name, holds in (("enclosure", covered), ("log–log t-interval, 95 %", covers(*slopes(drawn))))
    )
    reference = Series(f"{nominal:g}", ends, np.full(2, nominal), kind="reference")
    return Chart(f"Coverage of intervals for orders, {case}", "true order", "share covered", (*curves, reference))
