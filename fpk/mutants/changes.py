"""Ways to make a right formula wrong, from which the lists of mutants are built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]
Change = Callable[[Function], Function]


def times(factor: float) -> Change:
    """The result times a factor."""
    return then(lambda result: factor * result)


def then(alter: Callable[[Any], Any]) -> Change:
    """The result, altered."""
    return lambda original: lambda *args, **kwargs: alter(original(*args, **kwargs))


def power(exponent: float) -> Change:
    """The result to a power: 2 where a root was forgotten, ½ where a square was."""
    return then(lambda result: result**exponent)


def parts(*factors: float) -> Change:
    """The parts of a result of several parts, each times its factor."""
    return then(lambda result: tuple(factor * part for factor, part in zip(factors, result, strict=True)))


def instead(function: Function) -> Change:
    """Another formula with the same arguments."""
    return lambda original: function


def late(delay: float) -> Change:
    """A function of time (the last argument) read ``delay`` later."""
    return lambda original: lambda *args: original(*args[:-1], args[-1] + delay)
