r"""Calibration: how often verdicts come out the way they do, counted over independent repetitions.

With k events in n repetitions the rate is k/n, and the Clopper–Pearson limits at tail probability a are the rates p at which k or more
(k or fewer) events have probability a. A limit for a rate ("at most 1.3 times nominal") is judged like any bound: confirmed when the upper
limit at β lies below it, refuted when the lower limit at α lies above it, whatever the number of events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fpk.difference import ALPHA, BETA, normal_quantile
from fpk.errors import ComparisonError
from fpk.marginals import Estimate
from fpk.verdict import Outcome, Verdict


class Frequency(Protocol):
    """A probability as it was measured: its value, its standard error, and how far normal limits fall short of exact ones."""

    @property
    def repeats(self) -> int:
        """Repetitions behind it."""
        ...

    @property
    def value(self) -> float:
        """The measured probability."""
        ...

    @property
    def error(self) -> float:
        """Its standard error."""
        ...

    def slack(self, sign: float) -> float:
        """What a bound on sign · probability needs beyond normal limits (β upwards, α downwards) so that it is judged exactly."""
        ...


@dataclass(frozen=True)
class Rate:
    """Events in independent repetitions.

    Parameters
    ----------
    events, repeats : int
        k and n, 0 ≤ k ≤ n, n ≥ 1.

    Raises
    ------
    ComparisonError
        For other counts.

    Examples
    --------
    >>> print(Rate(12, 1000))
    12 of 1,000
    >>> [round(limit, 4) for limit in (Rate(12, 1000).lower(1e-3), Rate(12, 1000).upper(1e-3))]
    [0.0041, 0.0268]
    """

    events: int
    repeats: int

    def __post_init__(self) -> None:
        if not 0 <= self.events <= self.repeats or self.repeats < 1:
            raise ComparisonError(
                f"a rate needs 0 ≤ events ≤ repeats and repeats ≥ 1, got {self.events} and {self.repeats}."
            )

    @property
    def value(self) -> float:
        """k/n."""
        return self.events / self.repeats

    @property
    def error(self) -> float:
        """√(p(1 − p)/n) at p = k/n."""
        return float(np.sqrt(self.value * (1 - self.value) / self.repeats))

    def slack(self, sign: float) -> float:
        """How far the exact limits lie beyond the normal ones: at β in the direction of ``sign``, at α in the other."""
        far, near = (self.upper(BETA), self.lower(ALPHA)) if sign > 0 else (self.lower(BETA), self.upper(ALPHA))
        confirming = sign * (far - self.value) - normal_quantile(BETA) * self.error
        refuting = sign * (self.value - near) - normal_quantile(ALPHA) * self.error
        return max(confirming, refuting, 0.0)

    def lower(self, tail: float) -> float:
        """The rate at which as many events or more have probability ``tail``."""
        from scipy.special import betaincinv

        return float(betaincinv(self.events, self.repeats - self.events + 1, tail)) if self.events else 0.0

    def upper(self, tail: float) -> float:
        """The rate at which as few events or fewer have probability ``tail``."""
        from scipy.special import betainccinv

        missed = self.repeats - self.events
        return float(betainccinv(self.events + 1, missed, tail)) if missed else 1.0

    def __str__(self) -> str:
        return f"{self.events:,} of {self.repeats:,}"


@dataclass(frozen=True)
class WeightedRate:
    """A probability from weighted repetitions (importance sampling): the mean of weights that are 0 where the event is not.

    Parameters
    ----------
    value, error : float
    repeats : int
    """

    value: float
    error: float
    repeats: int

    def slack(self, sign: float) -> float:
        """None: the mean of many weights is normal."""
        return 0.0

    def lower(self, tail: float) -> float:
        """The lower end of the normal interval with probability ``tail`` below it, not below 0."""
        return max(self.value - normal_quantile(tail) * self.error, 0.0)

    def upper(self, tail: float) -> float:
        """The upper end."""
        return self.value + normal_quantile(tail) * self.error

    def __str__(self) -> str:
        return f"{self.value:.3g} ± {self.error:.1g}"


def weighted(weights: np.ndarray) -> WeightedRate:
    """The rate that weights of shape (n,) give."""
    n = len(weights)
    return WeightedRate(float(weights.mean()), float(weights.std(ddof=1) / np.sqrt(n)), n)


@dataclass(frozen=True)
class Limited:
    """A frequency and the limits it is claimed to keep.

    Parameters
    ----------
    name : str
    rate : Frequency
    at_least, at_most : float, optional
        As probabilities; one or both.
    """

    name: str
    rate: Frequency
    at_least: float | None = None
    at_most: float | None = None

    @property
    def sides(self) -> list[tuple[str, float, float]]:
        """(name, limit, sign) of each limit; sign · (rate − limit) must be negative."""
        both = ((f"{self.name}, at most", self.at_most, 1.0), (f"{self.name}, at least", self.at_least, -1.0))
        return [(name, limit, sign) for name, limit, sign in both if limit is not None]


def held(limited: Sequence[Limited], source: str) -> tuple[Estimate, tuple[str, ...]]:
    """The evidence of a bound: by which part of each limit a frequency passes it, negative where the limit is kept.

    Parameters
    ----------
    limited : sequence of Limited
        At least one limit in all, every limit above 0.
    source : str
        What was repeated, for people.

    Returns
    -------
    Estimate, names
        K components ± (rate − limit)/limit.

    Raises
    ------
    ComparisonError
        Without any limit, or for a limit that is not positive.
    """
    rows = [(name, one.rate, limit, sign) for one in limited for name, limit, sign in one.sides]
    if not rows or any(limit <= 0 for _, _, limit, _ in rows):
        raise ComparisonError(f"rates are held against limits above 0, got {[row[2] for row in rows]} for {source!r}.")
    value = np.array([sign * (rate.value - limit) / limit for _, rate, limit, sign in rows])
    error = np.array([rate.error / limit for _, rate, limit, _ in rows])
    slack = np.array([rate.slack(sign) / limit for _, rate, limit, sign in rows])
    repeats = min(rate.repeats for _, rate, _, _ in rows)
    estimate = Estimate(value, slack, covariance=error**2, samples=repeats, source=source)
    return estimate, tuple(row[0] for row in rows)


@dataclass(frozen=True)
class Tally:
    """How often each outcome was found.

    Parameters
    ----------
    confirmed, refuted, undecided : int
    """

    confirmed: int
    refuted: int
    undecided: int

    @property
    def repeats(self) -> int:
        """All repetitions."""
        return self.confirmed + self.refuted + self.undecided

    def rate(self, outcome: Outcome) -> Rate:
        """Of one outcome."""
        return Rate(getattr(self, str(outcome).lower()), self.repeats)

    def __str__(self) -> str:
        return ", ".join(f"{name} {self.rate(name)}" for name in Outcome)


def tally(check: Callable[[int], Verdict], *, repeats: int, seed: int) -> Tally:
    """Repeat a check with fresh seeds and count its outcomes.

    Parameters
    ----------
    check : callable
        seed ↦ Verdict, for example ``lambda seed: fpk.compare(exact, fpk.simulate(..., seed=seed), tolerance=0.03)``.
    repeats : int
    seed : int
        The seeds of the repetitions derive from it.

    Returns
    -------
    Tally

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(1.0, 0.5))
    >>> exact = fpk.exact(ou, times=[1.0])
    >>> print(tally(lambda s: fpk.compare(exact, fpk.simulate(ou, particles=1000, steps=8, times=[1.0], seed=s)), repeats=3, seed=0))
    CONFIRMED 0 of 3, REFUTED 0 of 3, UNDECIDED 3 of 3
    """
    seeds = np.random.SeedSequence(seed).generate_state(repeats, np.uint64) >> np.uint64(1)
    found = [check(int(s)).outcome for s in seeds]
    return Tally(*(found.count(name) for name in (Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNDECIDED)))
