"""Single instructions for compiled functions, written in LLVM's terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import types  # type: ignore[import-untyped]
from numba.extending import intrinsic  # type: ignore[import-untyped]


def instruction(typed: Callable[..., Any]) -> Callable[..., Any]:
    """A function that compiled code can call, from one of the types of its arguments."""
    return intrinsic(typed)


@instruction
def prefer_wide_vectors(typing: Any) -> Any:
    """Ask for vectors of 512 bits in the function that calls this, where the machine has them; LLVM stops at 256 otherwise.

    The function then stays out of line, because what it asked for would be lost inside another.
    """

    def generated(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        attributes = builder.function.attributes
        attributes.add("noinline")
        set.add(attributes, '"prefer-vector-width"="512"')  # llvmlite knows attributes that are words only
        return context.get_dummy_value()

    return types.void(), generated
