"""What surrounds a check: how its test is run again, who collects its verdict, and what it may spend. Set by the pytest plugin, empty elsewhere.

A check *spends* ``alpha``: the probability of refuting something true. A session with a budget A hands it out beforehand, so that nothing depends
on the order of tests or on what other tests find:

* each of the N tests that were collected may spend a = A/N, its checks together;
* the j-th check of a test may spend a/(j (j + 1)). As Σ 1/(j (j + 1)) = 1, any number of checks spends at most a;
* a test that hypothesis runs with up to M examples gives each of them a share of its own: a/(M b (b + 1)) for the examples in the b-th lot of M, so
  the first M have a/(2 M) each and all of them at most a. Within an example the checks share as above;
* once an example has failed, later ones (hypothesis looks for a simpler one, and repeats it) keep the share of the one that failed: the test is
  red already, so nothing is spent any more, and what was refuted is refuted again.

The sums are of upper bounds for probabilities (Boole's inequality), so they hold however the checks depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

#: An offer and what a check says that it spent are the same number up to rounding.
ROUNDING = 1e-9


@dataclass
class CheckContext:
    """The surroundings of the running test.

    Parameters
    ----------
    rerun : str
        The command that runs this test again, with its seed.
    collect : callable
        Receives every verdict of an assertion, as plain numbers and strings.
    alpha : float, optional
        What the next check may spend if it is not told by its caller; None: the default of the check.
    """

    rerun: str
    collect: Callable[[dict[str, Any]], None]
    alpha: float | None = None


class Allowance:
    """What one test may spend, handed out check by check.

    Parameters
    ----------
    budget : float, in (0, 1)
        a, what all checks of the test may spend together.
    examples : int, default 1
        M, how many examples the test is planned to be run with; 1 for a test without examples.

    Examples
    --------
    >>> allowance = Allowance(1e-6)
    >>> allowance.offer
    5e-07
    >>> allowance.spend(allowance.offer)
    True
    >>> allowance.offer
    1.6666666666666665e-07
    """

    def __init__(self, budget: float, examples: int = 1) -> None:
        self.budget = budget
        self._planned = examples
        self._begun = 0  # examples
        self._lot: int | None = None  # of the example that failed
        self._checks = 0  # within the example

    @property
    def offer(self) -> float:
        """What the next check may spend."""
        j = self._checks + 1
        return self._share() / (j * (j + 1))

    def _share(self) -> float:
        """What the current example may spend; everything, where there are no examples."""
        if not self._begun:
            return self.budget
        b = self._lot or self._current_lot()
        return self.budget / (self._planned * b * (b + 1))

    def _current_lot(self) -> int:
        return 1 + (self._begun - 1) // self._planned

    def begin_example(self) -> None:
        """Another example of the same test begins."""
        self._begun += 1
        self._checks = 0

    def example_failed(self) -> None:
        """The current example failed, and the test with it: what follows only repeats it."""
        self._lot = self._lot or self._current_lot()

    def spend(self, alpha: float) -> bool:
        """Whether a check that was made kept to what it was offered; the next one is offered less."""
        kept = alpha <= self.offer * (1 + ROUNDING)
        self._checks += 1
        return kept


SURROUNDINGS: ContextVar[CheckContext | None] = ContextVar("fpk_surroundings", default=None)
