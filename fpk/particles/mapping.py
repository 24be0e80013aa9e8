"""Mapping: what computes the blocks of an ensemble, this process or whatever a run puts in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

#: Like the built-in :func:`map`: a function and items ↦ the results in the order of the items.
Over = Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]]
#: What computes the blocks; a run with workers puts itself here.
OVER: ContextVar[Over] = ContextVar("over", default=map)
