"""How objects are told to people: in one line, and as the cards of notebooks.

What is shown says nothing about what is computed, and may change without it: so it stands in :mod:`fpk.notebook`, which knows every class
and is loaded when a notebook asks.
"""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from typing import Any

#: Times that a line names, at most.
NAMED = 4


class Summarised:
    """What holds arrays or functions, and is told in one line: by what computed it, and its times."""

    def __str__(self) -> str:
        source, times = (getattr(self, name) for name in ("source", "times"))
        named = ", ".join(f"{t:g}" for t in times[:NAMED])
        return f"{source}; t = {named}" + (f" ... {times[-1]:g} ({len(times)} times)" if len(times) > NAMED else "")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"


class Shown:
    """What has a card in notebooks."""

    def _repr_html_(self) -> str:
        return import_module("fpk.notebook").html_of(self)


def written(one: Any, *, plain: int = 0) -> str:
    """A dataclass as it would be written: the first ``plain`` fields by their place, of the others those that differ from their defaults."""
    values = [(f, getattr(one, f.name)) for f in fields(one) if f.init]
    first = [repr(value) for _, value in values[:plain]]
    rest = [f"{f.name}={value!r}" for f, value in values[plain:] if value is not f.default and value != f.default]
    return f"{type(one).__name__}({', '.join([*first, *rest])})"
