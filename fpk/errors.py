"""The exceptions of fpk.

::

    FpkError
     ├── ProblemError      (ValueError)       a problem, law or schedule that is not well posed
     │    └── NonFinite                       a coefficient or state is NaN or infinite: says where
     ├── GridError         (ValueError)       a box or resolution that cannot carry the solution
     │    └── MassAtEdges                     the box is too small for the law
     ├── SchemeError       (ValueError)       a combination of scheme and problem that mathematics forbids
     ├── NoClosedForm      (ValueError)       no exact law is known for the problem
     ├── ComparisonError   (ValueError)       two routes that cannot be compared as asked
     ├── UnknownName       (LookupError)      a study, claim or scheme nobody knows: lists the known ones
     ├── StoreError        (RuntimeError)     the store of results is unreadable or cannot be written
     ├── ClusterError      (RuntimeError)     workers that cannot be reached, or would not compute the same
     ├── Refuted           (AssertionError)   an assertion of fpk.testing is wrong: carries its verdict
     └── Undecided         (AssertionError)   an assertion of fpk.testing could not be settled: carries its verdict

Every message says what was asked, what came, what is allowed and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class FpkError(Exception):
    """Base of everything fpk raises on purpose."""


class ProblemError(FpkError, ValueError):
    """A problem, law or schedule that is not well posed."""


class NonFinite(ProblemError):
    """A coefficient, density or state that is NaN or infinite; ``row`` is the index of the position, where it is known."""

    row: int | None = None


class GridError(FpkError, ValueError):
    """A box or resolution that cannot carry the solution."""


class MassAtEdges(GridError):
    """The box is too small: the law reaches its edges."""


class SchemeError(FpkError, ValueError):
    """A scheme that cannot solve the problem given, with the reason and the remedy."""


class NoClosedForm(FpkError, ValueError):
    """No exact law is known for the problem."""


class ComparisonError(FpkError, ValueError):
    """Two routes that cannot be compared as asked."""


class StoreError(FpkError, RuntimeError):
    """The store of results is unreadable or cannot be written."""


class ClusterError(FpkError, RuntimeError):
    """Workers that cannot be reached, or would not compute the same: says what differs."""


class Refuted(FpkError, AssertionError):
    """An assertion that its check refutes; ``verdict`` has the numbers."""

    verdict: Any = None


class Undecided(FpkError, AssertionError):
    """An assertion that its check could neither confirm nor refute; ``verdict`` has the numbers and what would settle it."""

    verdict: Any = None


#: How many known names a message lists, how many that are near, and how many characters of a name that is too long to be one.
FEW, NEAR, SHOWN = 24, 6, 60


def quoted(name: str) -> str:
    """A name somebody typed, quoted and no longer than a line."""
    return repr(name) if len(name) <= SHOWN else f"{name[:SHOWN]!r}… ({len(name):,} characters)"


class UnknownName(FpkError, LookupError):
    """A name nobody knows; the message tells those that begin so or are close, and the known ones where these are few or none is near.

    Parameters
    ----------
    kind : str
        What was looked for, for example ``"study or claim"``.
    name : str
        The name received.
    known : iterable of str
        The names that exist.
    advice : str, optional
        What to do next, as a sentence.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], advice: str = "") -> None:
        known = sorted(known)
        begun = [each for each in known if name and each.casefold().startswith(name.casefold())]
        close = begun or get_close_matches(name, known, n=3)
        rest = f" ({len(close) - NEAR} more begin so.)" if len(close) > NEAR else ""
        hint = f" Did you mean {' or '.join(close[:NEAR])}?{rest}" if close else ""
        listed = ", ".join(known[:FEW]) + (f" and {len(known) - FEW} more" if len(known) > FEW else "")
        told = "" if close and len(known) > FEW else f" Known: {listed or 'none'}."
        super().__init__(f"unknown {kind} {quoted(name)}.{hint}{told}{advice and f' {advice}'}")
