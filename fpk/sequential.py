r"""Sequential tests: an error budget spent once, however often a check may ask for more samples.

A test at a tiny level needs many samples only where the answer is close. With k attempts, each with four times the samples of the one before,
β = α/k and γ = β^(1/k), one attempt's p-value says

    p ≤ β        refuted;
    p > γ + β    stop, not refuted;
    otherwise    β ← β/γ and new samples.

Attempt i is reached with probability at most γ^(i−1) and refutes with α/(k γ^(i−1)) of these: false alarms are at most α in all.
At the last attempt β = γ. The expected cost under the null is Σ (4γ)^i samples of the first attempt. With seven attempts this is 1.2 at
α = 10⁻⁹ and 1.7 at 10⁻⁶, but 2.4 at 10⁻⁵ and 10 at 10⁻³; so as many attempts are made, up to seven, as cost two at most: 7 at 10⁻⁶,
6 at 10⁻⁵, 4 at 10⁻³, 3 at 10⁻².

References
----------
Gandy & Scott (2020), Unit testing for MCMC and other Monte Carlo methods, Algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from fpk.errors import ComparisonError

#: Attempts at most, the factor in samples from one to the next, and what a true hypothesis may cost on average.
ATTEMPTS, GROWTH, COST = 7, 4, 2.0


@dataclass(frozen=True)
class SequentialResult:
    """What a sequential test found.

    Parameters
    ----------
    refuted : bool
    p_values : tuple of float
        One for each attempt made.
    alpha : float
        Probability of refuting a true hypothesis, over all attempts.
    """

    refuted: bool
    p_values: tuple[float, ...]
    alpha: float

    @property
    def attempts(self) -> int:
        """How many attempts were made."""
        return len(self.p_values)

    @property
    def cost(self) -> int:
        """Samples used, in units of the first attempt's: 1, 5, 21, ..."""
        return (GROWTH**self.attempts - 1) // (GROWTH - 1)

    def __str__(self) -> str:
        shown = ", ".join(f"{p:.3g}" for p in self.p_values)
        return f"{'refuted' if self.refuted else 'not refuted'} at α = {self.alpha:g} after p = {shown} ({self.cost} times the first samples)"


def sequential_test(attempt: Callable[[int], float], *, alpha: float, attempts: int | None = None) -> SequentialResult:
    """Test a hypothesis at level α with as few samples as it takes.

    Parameters
    ----------
    attempt : callable
        i ↦ p-value of the i-th attempt, i = 0, 1, ..., from 4^i n_0 *fresh* samples: seeds must depend on i.
    alpha : float
        Probability of refuting a true hypothesis, over all attempts. At most this if P(p ≤ u) ≤ u for every u.
    attempts : int, optional
        k, at most. 1: an ordinary test. Default :func:`affordable_attempts`.

    Raises
    ------
    ComparisonError
        If α is not in (0, 1), k < 1, or a p-value is not in [0, 1].

    Examples
    --------
    >>> str(sequential_test(lambda i: 0.5, alpha=1e-6))
    'not refuted at α = 1e-06 after p = 0.5 (1 times the first samples)'
    >>> sequential_test(lambda i: [0.02, 1e-12][i], alpha=1e-6).refuted
    True
    """
    attempts = affordable_attempts(alpha) if attempts is None else attempts
    beta, gamma = _first_levels(alpha, attempts)
    p_values: list[float] = []
    for i in range(attempts):
        p = float(attempt(i))
        if not 0 <= p <= 1:
            raise ComparisonError(
                f"attempt {i} must return a p-value in [0, 1], got {p!r}: check the statistic for NaN."
            )
        p_values.append(p)
        if p <= beta:
            return SequentialResult(True, tuple(p_values), alpha)
        if p > gamma + beta:
            break
        beta /= gamma
    return SequentialResult(False, tuple(p_values), alpha)


@lru_cache
def affordable_attempts(alpha: float) -> int:
    """The most attempts, up to seven, whose expected cost under the null is at most twice the samples of the first.

    Raises
    ------
    ComparisonError
        If α is not in (0, 1).

    Examples
    --------
    >>> [affordable_attempts(alpha) for alpha in (1e-9, 1e-6, 1e-5, 1e-3, 1e-2)]
    [7, 7, 6, 4, 3]
    """
    return max(k for k in range(1, ATTEMPTS + 1) if expected_cost(alpha, attempts=k) <= COST)


def expected_cost(alpha: float, *, attempts: int | None = None) -> float:
    """Expected samples under the null, in units of the first attempt's: Σ_{i<k} (4γ)^i for exact p-values.

    Raises
    ------
    ComparisonError
        If α is not in (0, 1), or k < 1.

    Examples
    --------
    >>> [round(expected_cost(alpha), 1) for alpha in (1e-9, 1e-6, 1e-5)]
    [1.2, 1.7, 1.8]
    >>> round(expected_cost(1e-5, attempts=7), 1)
    2.4
    """
    attempts = affordable_attempts(alpha) if attempts is None else attempts
    gamma = _first_levels(alpha, attempts)[1]
    return sum((GROWTH * gamma) ** i for i in range(attempts))


def _first_levels(alpha: float, attempts: int) -> tuple[float, float]:
    """β of the first attempt, and γ."""
    if not 0 < alpha < 1 or attempts < 1:
        raise ComparisonError(
            f"a sequential test needs 0 < alpha < 1 and attempts ≥ 1, got {alpha!r} and {attempts!r}."
        )
    beta = alpha / attempts
    return beta, beta ** (1 / attempts)


@dataclass
class ErrorBudget:
    """A family-wise error budget: shares of α for named checks, never more than there is.

    By Bonferroni's inequality, checks that each use their share refute any true hypothesis with probability at most α in all.

    Parameters
    ----------
    alpha : float
        For the whole session.

    Raises
    ------
    ComparisonError
        If α is not in (0, 1).

    Examples
    --------
    >>> session = ErrorBudget(1e-3)
    >>> session.share("mass", 4e-4)
    0.0004
    >>> {name: round(alpha, 9) for name, alpha in session.split(["drift", "score"]).items()}
    {'drift': 0.0003, 'score': 0.0003}
    """

    alpha: float
    shares: dict[str, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ComparisonError(f"an error budget must be in (0, 1), got {self.alpha!r}.")

    @property
    def left(self) -> float:
        """What is not handed out yet."""
        return max(0.0, self.alpha - math.fsum(self.shares.values()))

    def share(self, name: str, alpha: float) -> float:
        """Hand out α to a check, once.

        Raises
        ------
        ComparisonError
            If the check has its share already, or more is asked for than is left.
        """
        if name in self.shares:
            raise ComparisonError(
                f"{name!r} has spent its share {self.shares[name]:g} of the error budget already: a second look needs a name and a share of its own, "
                "or sequential_test from the start."
            )
        if not 0 < alpha <= self.left + 1e-12 * self.alpha:
            raise ComparisonError(
                f"{name!r} asks for {alpha!r} of the error budget, {self.left:.3g} of {self.alpha:g} are left: ask for less (> 0)."
            )
        self.shares[name] = alpha
        return alpha

    def split(self, names: Iterable[str]) -> dict[str, float]:
        """Hand out all that is left in equal shares.

        Raises
        ------
        ComparisonError
            As for :meth:`share`.
        """
        names = list(names)
        each = self.left / max(1, len(names))
        return {name: self.share(name, each) for name in names}
