"""What surrounds a check: how its test is run again, who collects its verdict, and what it may spend. Set by the pytest plugin, empty elsewhere.

A check *spends* ``alpha``: the probability of refuting something true. A session with a budget A hands it out beforehand, so that nothing depends
on the order of tests or on what other tests find:

* each of the N tests that were collected and not deselected may spend a = A/N, its checks together;
* the j-th check of a test may spend a/(j (j + 1)). As Σ 1/(j (j + 1)) = 1, any number of checks spends at most a. Each thread holds a j of its own
  from when its check asks until that has spent;
* a test that hypothesis runs with up to M examples, state machines included, gives each of them a share of its own: a/(M b (b + 1)) for the examples
  in the b-th lot of M, so the first M have a/(2 M) each and all of them at most a. Within an example the checks share as above. Where fixtures make
  k checks before the first example, a/(k + 1) is left for the examples and takes the place of a;
* once an example has failed, later ones (hypothesis looks for a simpler one, and repeats it) keep the share of the one that failed: the test is
  red already, so nothing is spent any more, and what was refuted is refuted again;
* a test that is run again because it failed has the offers of the first time, and what its attempts spend is counted once: it fails only if all do.

The sums are of upper bounds for probabilities (Boole's inequality), so they hold however the checks depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from threading import Lock, get_ident
from typing import Any

#: An offer and what a check says that it spent are the same number up to rounding.
ROUNDING = 1e-9
#: What a row sums up: the levels of its checks, and how much of that was not offered.
SUMS = ("spent", "beyond")
#: Verdicts, the gravest last.
GRAVEST = ("CONFIRMED", "UNDECIDED", "REFUTED")


class CheckContext:
    """The surroundings of the running test.

    Parameters
    ----------
    rerun : str
        The command that runs this test again, with its seed.
    collect : callable
        Receives every verdict of an assertion, as plain numbers and strings.
    alpha : float or callable, optional
        What the next check may spend if it is not told by its caller, or a function that says so; None: the default of the check.
    """

    def __init__(
        self,
        rerun: str,
        collect: Callable[[dict[str, Any]], None],
        alpha: float | Callable[[], float | None] | None = None,
    ) -> None:
        self.rerun, self.collect, self._alpha = rerun, collect, alpha

    @property
    def alpha(self) -> float | None:
        """What the next check of this thread may spend."""
        return self._alpha() if callable(self._alpha) else self._alpha


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
        self.begin_again()

    def begin_again(self) -> None:
        """The test begins, for the first time or once more: its offers are those of the first time."""
        self._left = self.budget  # for the examples
        self._begun = 0  # examples, this one included
        self._lot: int | None = None  # of the example that failed
        self._forget_checks()

    def _forget_checks(self) -> None:
        self._asked = self._spent = 0  # the largest number that was handed out within the example, and that was spent
        self._numbers: dict[int, int] = {}  # by thread, of checks that have not spent yet

    @property
    def offer(self) -> float:
        """What the next check of this thread may spend."""
        j = self._number()
        return self._share() / (j * (j + 1))

    def _number(self) -> int:
        if get_ident() not in self._numbers:
            self._asked += 1
            self._numbers[get_ident()] = self._asked
        return self._numbers[get_ident()]

    def _share(self) -> float:
        """What the current example may spend; everything, where there are no examples."""
        if not self._begun:
            return self.budget
        b = self._lot or self._current_lot()
        return self._left / (self._planned * b * (b + 1))

    def _current_lot(self) -> int:
        return 1 + (self._begun - 1) // self._planned

    @property
    def repeating(self) -> bool:
        """Whether an example failed, so that nothing is spent any more."""
        return self._lot is not None

    def begin_example(self) -> None:
        """Another example of the same test begins; one that spent nothing does not count."""
        if not self._begun:
            self._left = self.budget / (1 + self._spent)
        if self._spent or not self._begun:
            self._begun += 1
        self._forget_checks()

    def example_failed(self) -> None:
        """The current example failed, and the test with it: what follows only repeats it."""
        self._lot = self._lot or self._current_lot()

    def spend(self, alpha: float) -> bool:
        """Whether a check that was made kept to what it was offered; the next one is offered less."""
        kept = alpha <= self.offer * (1 + ROUNDING)
        self._spent = max(self._spent, self._numbers.pop(get_ident()))
        return kept


class Checks:
    """The checks of one test, one row for each place that makes them, however often it does: under hypothesis, and in loops.

    A row is the worst of its place (refuted before undecided before confirmed, then by what separates the sides in tolerances), with ``counts`` of
    the verdicts and ``spent``, the sum of the levels.

    Parameters
    ----------
    allowance : Allowance, optional
        Where the test has a budget.
    """

    def __init__(self, allowance: Allowance | None = None) -> None:
        self.allowance = allowance
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}
        self._earlier: dict[tuple[str, str], dict[str, float]] = {}  # sums of earlier attempts
        self._lock = Lock()

    @property
    def alpha(self) -> float | None:
        """What the next check of this thread may spend."""
        with self._lock:
            return self.allowance.offer if self.allowance else None

    def begin_again(self) -> None:
        """The test begins, for the first time or once more: what attempts spend is not summed, their verdicts are."""
        self._earlier = {place: self._sums(place) for place in self._rows}
        for row in self._rows.values():
            row |= dict.fromkeys(SUMS, 0.0)
        if self.allowance:
            self.allowance.begin_again()

    def _sums(self, place: tuple[str, str]) -> dict[str, float]:
        """The sums of a place, of the attempt with the largest."""
        earlier = self._earlier.get(place, {})
        return {name: max(self._rows[place][name], earlier.get(name, 0.0)) for name in SUMS}

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a verdict."""
        with self._lock:
            self._add(row)

    def _add(self, row: Mapping[str, Any]) -> None:
        assertion, place = assertion_of(str(row["check"]))
        alpha, verdict = row.get("alpha") or 0.0, str(row["verdict"])
        kept = self.allowance.spend(alpha) if self.allowance and alpha else True
        if self.allowance and self.allowance.repeating:
            alpha = 0.0
        beyond = 0.0 if kept else alpha
        known = self._rows.get((assertion, place))
        if known is None:
            known = {"assertion": assertion, "place": place, "counts": {}, "spent": 0.0, "beyond": 0.0}
        counts = known["counts"] | {verdict: known["counts"].get(verdict, 0) + 1}
        sums = {"counts": counts, "spent": known["spent"] + alpha, "beyond": known["beyond"] + beyond}
        worst = dict(row) if "check" not in known or _severity(row) > _severity(known) else {}
        self._rows[assertion, place] = known | worst | sums

    def rows(self) -> list[dict[str, Any]]:
        """One row for each place, in the order in which they were first reached."""
        return [_finite(row | self._sums(place)) for place, row in self._rows.items()]


def assertion_of(check: str) -> tuple[str, str]:
    """Name and place of a check.

    Examples
    --------
    >>> assertion_of("fpk.testing.assert_residual(residual, tolerance=0.1) at test_a.py:3")
    ('assert_residual', 'test_a.py:3')
    >>> assertion_of("assert_sampler: order")
    ('assert_sampler: order', '')
    """
    head, separator, place = check.rpartition(" at ")
    is_placed = separator and place.rpartition(":")[2].isdigit()
    name = (head if is_placed else check).partition("(")[0].removeprefix("fpk.testing.")
    return name.strip(), place if is_placed else ""


def _severity(row: Mapping[str, Any]) -> tuple[int, float]:
    """Verdict first, then what may separate the two sides, in tolerances."""
    parts = [row.get(name) or 0.0 for name in ("difference", "budget", "standard_error")]
    size = abs(parts[0]) + parts[1] + 3 * parts[2]
    ratio = size / (row.get("tolerance") or 1.0)
    return GRAVEST.index(row["verdict"]), math.inf if math.isnan(ratio) else ratio


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """Without infinite numbers, which JSON has not."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


class Surroundings:
    """Where the surroundings of the running test are found, by checks in any thread: a process runs one test at a time."""

    def __init__(self) -> None:
        self._now: CheckContext | None = None

    def get(self) -> CheckContext | None:
        """Those of now; None outside of tests."""
        return self._now

    def set(self, context: CheckContext | None) -> CheckContext | None:
        """Others from now on; returns those before, for :meth:`reset`."""
        before, self._now = self._now, context
        return before

    def reset(self, before: CheckContext | None) -> None:
        """Those before again."""
        self._now = before


SURROUNDINGS = Surroundings()
