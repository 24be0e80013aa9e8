"""Who called an assertion: the place in the caller's own file or notebook, and the command that runs it again where no test runner tells."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from types import FrameType

HERE = os.path.dirname(__file__)


def caller() -> str:
    """File and line of the nearest frame outside these modules, the file as seen from the working directory; the cell, in a notebook."""
    frame = next(_outside())
    cells = frame.f_globals.get("In")
    if isinstance(cells, list) and (
        "ipykernel" in frame.f_code.co_filename or frame.f_code.co_filename.startswith("<")
    ):
        return f"In [{len(cells) - 1}], line {frame.f_lineno}"
    return f"{_seen_from_here(frame.f_code.co_filename)}:{frame.f_lineno}"


def command() -> str:
    """The command of the unittest or script that is running; empty where there is none, as in a notebook."""
    frames = list(_outside())
    return next((text for frame in frames if (text := _unittest(frame))), "") or _script(frames[0])


def _outside() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if os.path.dirname(frame.f_code.co_filename) != HERE:
            yield frame
        frame = frame.f_back


def _seen_from_here(path: str) -> str:
    inside = os.path.isabs(path) and path.startswith(os.getcwd() + os.sep)
    return os.path.relpath(path) if inside else path


def _unittest(frame: FrameType) -> str:
    unittest, case = sys.modules.get("unittest"), frame.f_locals.get("self")
    if unittest is None or not isinstance(case, unittest.TestCase):
        return ""
    name = unittest.TestCase.id(case)
    module, _, test = name.partition(".")
    if not name.replace(".", "").isidentifier():  # made in a function, or without a name: no command leads there
        return ""
    return _of_file(frame, test) if module == "__main__" else f"python -m unittest {name}"


def _script(frame: FrameType) -> str:
    """The command of a script that makes the assertion itself."""
    spec = frame.f_globals.get("__spec__")
    if frame.f_globals.get("__name__") != "__main__":
        return ""
    if spec is not None:
        return shlex.join(["python", "-m", spec.name.removesuffix(".__main__"), *sys.argv[1:]])
    return _of_file(frame, *sys.argv[1:])


def _of_file(frame: FrameType, *arguments: str) -> str:
    path = str(frame.f_globals.get("__file__", ""))
    return shlex.join(["python", _seen_from_here(path), *arguments]) if os.path.isfile(path) else ""
