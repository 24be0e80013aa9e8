"""Examples: tests that hypothesis runs many times, seen from a test runner.

Hypothesis offers ``inner_test``, the function that it calls once for each example; what wraps it sees where examples begin and whether they fail.
Tests of state machines are made when they are run, by a function of hypothesis, and are wrapped there.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fpk.check_context import SURROUNDINGS, Allowance


def has_examples(item: pytest.Item) -> bool:
    """Whether hypothesis runs a test."""
    test = getattr(item, "obj", None) if isinstance(item, pytest.Function) else None
    return getattr(test, "is_hypothesis_test", False) is True


def planned(item: pytest.Item) -> int:
    """How many examples hypothesis is to try; 1 where there are none."""
    if not has_examples(item):
        return 1
    machine = getattr(getattr(item, "cls", None), "settings", None)
    settings = getattr(getattr(item, "obj", None), "_hypothesis_internal_use_settings", machine)
    return max(1, getattr(settings, "max_examples", 1))


@contextmanager
def told(item: pytest.Item, allowance: Allowance | None) -> Iterator[None]:
    """Tell an allowance where each example of hypothesis begins, and when one fails."""
    if allowance is None or not has_examples(item):
        yield
        return
    handle = getattr(getattr(item, "obj", None), "hypothesis", None)
    with _wrapped(handle, allowance) if hasattr(handle, "inner_test") else _machines(allowance):
        yield


@contextmanager
def _wrapped(handle: Any, allowance: Allowance) -> Iterator[None]:
    inner = handle.inner_test
    handle.inner_test = _telling(inner, allowance)
    try:
        yield
    finally:
        handle.inner_test = inner


@contextmanager
def _machines(allowance: Allowance) -> Iterator[None]:
    """Wrap the tests that are made of state machines meanwhile."""
    from hypothesis import stateful

    make = stateful.get_state_machine_test

    @functools.wraps(make)
    def made(*args: Any, **kwargs: Any) -> Any:
        test: Any = make(*args, **kwargs)
        test.hypothesis.inner_test = _telling(test.hypothesis.inner_test, allowance)
        return test

    stateful.get_state_machine_test = made
    try:
        yield
    finally:
        stateful.get_state_machine_test = make


def _telling(inner: Callable[..., Any], allowance: Allowance) -> Callable[..., Any]:
    """The same function, which tells when it is called and when it, or what it leaves to be awaited, fails."""

    @functools.wraps(inner)
    def told(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        allowance.begin_example()
        with _failures(allowance):
            found = inner(*args, **kwargs)
        return awaited(found) if inspect.isawaitable(found) else found

    async def awaited(found: Awaitable[Any]) -> Any:
        __tracebackhide__ = True
        with _failures(allowance):
            return await found

    return told


@contextmanager
def _failures(allowance: Allowance) -> Iterator[None]:
    __tracebackhide__ = True
    try:
        yield
    except BaseException as error:
        if not type(error).__module__.startswith("hypothesis."):  # an example that hypothesis was told to leave out
            allowance.example_failed()
        raise


@functools.cache
def load_once() -> None:
    """Make a check, so that the first example of hypothesis does not spend its deadline on loading what checks need."""
    import numpy as np

    from fpk.errors import FpkError
    from fpk.laws import Gaussian
    from fpk.testing import assert_same_law

    token = SURROUNDINGS.set(None)
    try:
        assert_same_law(np.linspace(-2, 2, 1000)[:, None], Gaussian(0.0, 1.0), tolerance=9.0)
    except FpkError:
        pass  # what it finds is of no interest
    finally:
        SURROUNDINGS.reset(token)
