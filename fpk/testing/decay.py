r"""The assertion that something falls at least exponentially.

Values V are claimed to satisfy, for s < t among the times,

    V(t) ≤ e^{−r (t − s)} V(s),

the integrated form of V' ≤ −r V. It is linear in V, so bounds and covariances of values go through exactly and no logarithm of a small noisy
number is taken. Rates down to (1 − tolerance) r count as r: where theory has an equality nothing could be confirmed otherwise. Pairs of neighbours
are looked at, and of the first time with each. Where a value and what it may be are both smaller than their errors nothing can be seen: such
pairs are left out, and the verdict's reason says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fpk.comparison import below_zero
from fpk.difference import BETA, MANY, normal_quantile
from fpk.errors import ComparisonError
from fpk.laws import Array, Law
from fpk.marginals import ROUND_OFF, Estimate
from fpk.scalars import reals, scalar
from fpk.testing.distances import distances
from fpk.testing.failure_text import call_text, held, spent
from fpk.verdict import Outcome, Verdict
from fpk.wording import number_text

#: Rates that differ by less than this share of one another are one rate.
STEADY = 0.1
#: Values further below 0 than errors are with this probability are no distances.
IMPOSSIBLE = 1e-9
REMEDIES = {
    Outcome.CONFIRMED: "",
    Outcome.REFUTED: "look for a factor in the drift, or claim the rate that was found; if it holds only up to a constant, say so with constant=.",
    Outcome.UNDECIDED: "smaller errors of the values, times further apart, or a larger tolerance=.",
}


def assert_decays(
    times: Sequence[float] | Array,
    values: Any,
    *,
    rate: float,
    to: Law | None = None,
    distance: str = "KL",
    constant: float | None = None,
    bounds: float | Sequence[float] | Array | None = None,
    standard_errors: Sequence[float] | Array | None = None,
    covariance: Array | None = None,
    tolerance: float = 0.02,
    alpha: float | None = None,
) -> Verdict:
    """Values, or the distances of marginals to a law, fall at least exponentially.

    Parameters
    ----------
    times : array, shape (n,)
        Two or more, increasing.
    values : array, shape (n,), or Marginals
        V ≥ 0 at the times. Marginals (exact or of a grid) need ``to``: then V is their distance to that law, with bounds of its own.
    rate : float
        r > 0, in units of 1/time. A squared distance falls with twice the rate of the distance.
    to : Law, optional
        The law that is approached.
    distance : str, default "KL"
        ``"KL"``, ``"chi-square"`` or ``"Fisher"`` (:mod:`fpk.testing.distances`).
    constant : float, optional
        C ≥ 1: only V(t) ≤ C e^{−r (t − t₀)} V(t₀) is claimed, as where a drift has no symmetry (hypocoercivity). Default: V falls with the rate
        at all times.
    bounds : float or array, shape (n,), optional
        How wrong each value may be; default round-off of the largest.
    standard_errors, covariance : array, shape (n,) or (n, n), optional
        Of sampled values that are independent of each other, or not.
    tolerance : float, default .02
        Relative: rates down to (1 − tolerance) · rate count as the rate.
    alpha : float, optional
        Probability of refuting a true decay; default 10⁻⁶, or what the running test may spend.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted, Undecided
        With a table of pairs of times: the share of V(s) that is left at t, and the most that may be.
    ComparisonError
        If times, values or errors make no sense, or all values are within their own errors.

    Examples
    --------
    >>> import numpy as np
    >>> import fpk
    >>> spring = fpk.problems.ornstein_uhlenbeck(rate=1.5, diffusion=1.0, initial=fpk.Gaussian(2.0, 0.3), horizon=2.0)
    >>> exact, rest = fpk.exact(spring, times=[2.0]), fpk.Gaussian(0.0, covariance=[[1 / 3]])
    >>> print(fpk.testing.assert_decays([0, 0.5, 1, 2], exact, to=rest, rate=2 * 1.5).outcome)
    CONFIRMED
    >>> t = np.linspace(0, 2, 5)
    >>> print(fpk.testing.assert_decays(t, np.exp(-3 * t), rate=3.0, bounds=1e-6).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    alpha, series = spent(alpha), _series(times, values, to, distance, bounds, standard_errors, covariance)
    _check_claim(rate, tolerance, constant)
    pairs = _pairs(series, (1 - tolerance) * rate, constant)
    verdict = below_zero(pairs.excess, names=pairs.names, alpha=alpha)
    slack = f"at least {number_text((1 - tolerance) * rate)}" + (f", C = {constant:g}" if constant else "")
    verdict = replace(
        verdict,
        pair=(series.source, f"decay with rate {number_text(rate)} ({slack})"),
        tolerance=tolerance,
        reason=verdict.reason + _found(series) + pairs.note,
        remedy=REMEDIES[verdict.outcome],
    )
    given = {"to": to, "distance": distance if to is not None else None, "constant": constant}
    check = call_text("assert_decays", "times", "values", rate=rate, **given, tolerance=tolerance, alpha=alpha)
    return held(verdict, pairs.left, pairs.allowed, check, suspects=lambda: _suspects(series, rate, constant))


@dataclass(frozen=True)
class Series:
    """Values at times with bounds (n,) and, for sampled ones, their covariance (n, n)."""

    t: Array
    v: Array
    bound: Array
    covariance: Array | None
    source: str

    @property
    def doubt(self) -> Array:
        """How large a value may be that is 0."""
        return self.reach(BETA)

    def reach(self, tail: float) -> Array:
        """What an error exceeds with this probability."""
        noise = 0.0 if self.covariance is None else np.sqrt(np.diag(self.covariance))
        return self.bound + normal_quantile(tail) * noise

    @property
    def rates(self) -> Array:
        """Rates between neighbours whose values are clear of their errors; NaN elsewhere."""
        clear = self.v > 2 * self.doubt
        with np.errstate(all="ignore"):
            rates = -np.diff(np.log(self.v)) / np.diff(self.t)
        return np.where(clear[1:] & clear[:-1], rates, np.nan)


@dataclass(frozen=True)
class Pairs:
    """Pairs of times s < t: what is left of V(s) at t, what may be, and by how much it is more."""

    left: Array
    allowed: Array
    excess: Estimate
    names: tuple[str, ...]
    note: str


def _series(
    times: Any, values: Any, to: Law | None, distance: str, bounds: Any, standard_errors: Any, covariance: Any
) -> Series:
    """The values with their errors, refused where they make no sense."""
    t = reals(times, "times")
    if t.ndim != 1 or len(t) < 2 or not np.all(np.isfinite(t)) or not np.all(np.diff(t) > 0):
        raise ComparisonError(f"a decay needs two or more increasing times, got {np.asarray(times).tolist()}.")
    source, own = "values", 0.0
    if hasattr(values, "expect"):
        if to is None:
            raise ComparisonError("marginals fall towards a law: say which with to=, for example their law at rest.")
        source = f"{distance} distance of {getattr(values, 'source', type(values).__name__)} to {to!r}"
        values, own = distances(values, to, distance=distance, times=[float(s) for s in t])
    elif to is not None:
        raise ComparisonError("to= is for marginals; plain values are distances already: leave it out.")
    v = reals(values, "values")
    if v.shape != t.shape or not np.all(np.isfinite(v)):
        raise ComparisonError(
            f"{len(t)} finite values are needed, one for each time, got {v.tolist()} of shape {v.shape}."
        )
    bound = np.broadcast_to(np.asarray(0.0 if bounds is None else bounds, float), t.shape) + own
    bound = bound + ROUND_OFF * np.abs(v).max()
    series = Series(t, v, bound, _covariance(len(t), standard_errors, covariance), source)
    if not np.all(bound >= 0):
        raise ComparisonError(f"bounds must be ≥ 0, got {np.asarray(bounds).tolist()}.")
    least = v + series.reach(IMPOSSIBLE)
    if np.any(least < 0):
        k = int(np.argmin(least))
        raise ComparisonError(
            f"what decays is ≥ 0, got {v[k]:.4g} at t={t[k]:g}, beyond its error: pass sizes or squares."
        )
    if v[0] <= series.doubt[0]:
        raise ComparisonError(
            f"the first value, {v[0]:.4g} at t={t[0]:g}, is within its own error {series.doubt[0]:.2g}: nothing is left to decay. "
            "Start earlier, further away, or with smaller errors."
        )
    return series


def _covariance(n: int, standard_errors: Any, covariance: Any) -> Array | None:
    if standard_errors is not None and covariance is not None:
        raise ComparisonError("give standard_errors= (independent values) or covariance=, not both.")
    if standard_errors is None and covariance is None:
        return None
    C = np.asarray(covariance, float) if standard_errors is None else np.diag(np.asarray(standard_errors, float) ** 2)
    if C.shape != (n, n) or not np.all(np.isfinite(C)) or np.any(np.diag(C) < 0) or not np.allclose(C, C.T):
        raise ComparisonError(
            f"{n} values need {n} finite standard errors or a symmetric covariance of shape {(n, n)}, got shape {C.shape}."
        )
    return C


def _check_claim(rate: float, tolerance: float, constant: float | None) -> None:
    if not 0 < scalar(rate) < np.inf:
        raise ComparisonError(
            f"the rate of a decay is a finite number > 0, got {rate!r}; a growth is not claimed here."
        )
    if not 0 <= scalar(tolerance) < 1:
        raise ComparisonError(f"the tolerance is a share of the rate in [0, 1), got {tolerance!r}.")
    if constant is not None and not 1 <= scalar(constant) < np.inf:
        raise ComparisonError(f"the constant C in V(t) ≤ C e^(−rate (t − t₀)) V(t₀) is at least 1, got {constant!r}.")


def _pairs(series: Series, rate: float, constant: float | None) -> Pairs:
    """Pairs of neighbours and of the first time with each, V(t) − e^{−rate (t − s)} V(s) in units of V(s); those that are all error left out."""
    n = len(series.t)
    chosen = {(0, k) for k in range(1, n)} | (set() if constant else {(k - 1, k) for k in range(1, n)})
    s, t = np.array(sorted(chosen, key=lambda pair: (pair[1], -pair[0]))).T
    share = (constant or 1.0) * np.exp(-rate * (series.t[t] - series.t[s]))
    unseen = (series.v[t] <= series.doubt[t]) & (share * series.v[s] <= series.doubt[t] + share * series.doubt[s])
    s, t, share = s[~unseen], t[~unseen], share[~unseen]
    unit = np.maximum(series.v[s], series.doubt[s])
    A = np.zeros((len(s), n))
    A[np.arange(len(s)), t] = 1 / unit
    A[np.arange(len(s)), s] = -share / unit
    C = None if series.covariance is None else A @ series.covariance @ A.T
    excess = Estimate(
        A @ series.v,
        np.abs(A) @ series.bound,
        covariance=C,
        samples=None if C is None else MANY + 1,
        source=series.source,
    )
    names = tuple(f"share left since {series.t[a]:.4g} at t={series.t[b]:.4g}" for a, b in zip(s, t, strict=True))
    gone = sorted({f"{series.t[k]:.4g}" for k in range(1, n) if k not in set(t)}, key=float)
    note = f" Nothing is seen at t={', '.join(gone)}, where values are within their errors." if gone else ""
    return Pairs(series.v[t] / unit, share * series.v[s] / unit, excess, names, note)


def _found(series: Series) -> str:
    """The slowest rate between neighbours, in words."""
    rates = series.rates
    if np.all(np.isnan(rates)):
        return ""
    k = int(np.nanargmin(rates))
    return f" The slowest rate between neighbours is {number_text(float(rates[k]))}, from t={series.t[k]:.4g} to {series.t[k + 1]:.4g}."


def _suspects(series: Series, rate: float, constant: float | None) -> list[str]:
    """What the rates that were found tell about the mistake."""
    rates = series.rates[~np.isnan(series.rates)]
    if not len(rates):
        return []
    middle, spread = float(np.median(rates)), float(np.ptp(rates))
    if np.all(rates < 0):
        return [
            f"the values grow throughout, with rate {number_text(-middle)}: time runs backwards, or the sign of the drift is wrong"
        ]
    if np.any(rates < 0):
        growth = number_text(-float(rates.min()))
        return [
            f"values fall and grow (rate {growth}): a decay up to a constant only (constant=), or more noise than was stated"
        ]
    if spread <= STEADY * middle:
        return [f"a steady rate of {number_text(middle)}, {_ratio(middle / rate)}"]
    if rates[-1] < 0.5 * rates[0] and np.all(np.diff(rates) <= STEADY * rates[:-1]):
        return [
            f"the fall slows down, from rate {number_text(float(rates[0]))} to {number_text(float(rates[-1]))}: about "
            f"{number_text(_rest(series))} does not decay (another limit law, or an error of the scheme)"
        ]
    if constant is None and rates[-1] > rates[0]:
        return ["the fall is slow at first: true with a constant, not at all times (constant=)"]
    return []


def _ratio(ratio: float) -> str:
    """A ratio of rates, and what has such a ratio."""
    if abs(ratio - 0.5) <= 0.03:
        return "½ of what is claimed: the rate of a distance where its square was meant, λ for 2λ, or a drift × ½"
    if abs(ratio - 0.25) <= 0.015:
        return "¼ of what is claimed: two factors ½"
    return f"{number_text(ratio)} of what is claimed"


def _rest(series: Series) -> float:
    """The constant that the last three values tend to, if they do so geometrically."""
    a, b, c = series.v[-3:] if len(series.v) > 2 else (series.v[0], *series.v)
    fall = (a - b) - (b - c)
    return float(c - (b - c) ** 2 / fall) if fall > 0 and a > b > c else float(c)
