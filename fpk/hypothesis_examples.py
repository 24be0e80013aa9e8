"""Examples: tests that hypothesis runs many times, seen from a test runner.

Hypothesis offers ``inner_test``, the function that it calls once for each example; what wraps it sees where examples begin and whether they fail.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fpk.check_context import SURROUNDINGS, CheckContext, Checks


def given(item: pytest.Item) -> Any:
    """What hypothesis offers about a test that it runs; None for other tests."""
    test = getattr(item, "obj", None) if isinstance(item, pytest.Function) else None
    return getattr(test, "hypothesis", None) if getattr(test, "is_hypothesis_test", False) is True else None


def planned(item: pytest.Item) -> int:
    """How many examples hypothesis is to try; 1 where there are none."""
    settings = getattr(getattr(item, "obj", None), "_hypothesis_internal_use_settings", None)
    return max(1, getattr(settings, "max_examples", 1)) if given(item) else 1


@contextmanager
def told(item: pytest.Item, checks: Checks, context: CheckContext) -> Iterator[None]:
    """Tell an allowance where each example of hypothesis begins, and when one fails."""
    handle, allowance = given(item), checks.allowance
    inner = getattr(handle, "inner_test", None)
    if inner is None or allowance is None:
        yield
        return

    @functools.wraps(inner)
    def told(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        allowance.begin_example()
        context.alpha = checks.alpha
        try:
            return inner(*args, **kwargs)
        except BaseException as error:
            if not type(error).__module__.startswith("hypothesis."):  # an example that hypothesis was told to leave out
                allowance.example_failed()
            raise

    handle.inner_test = told
    try:
        yield
    finally:
        handle.inner_test = inner


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
