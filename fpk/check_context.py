"""What surrounds a check: how to run the enclosing test again, and who collects the verdicts. Set by the pytest plugin, empty elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CheckContext:
    """The surroundings of the running test.

    Parameters
    ----------
    rerun : str
        The command that runs this test again, with its seed.
    collect : callable
        Receives every verdict of an assertion, as plain numbers and strings.
    """

    rerun: str
    collect: Callable[[dict[str, Any]], None]


SURROUNDINGS: ContextVar[CheckContext | None] = ContextVar("fpk_surroundings", default=None)
