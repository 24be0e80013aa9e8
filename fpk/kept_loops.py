"""Loops written at run time as text, compiled by numba and kept on disk from run to run.

Numba keeps the machine code of a function beside the file the function is read from, and finds it by the function's name. So each text is written
to a file of its own (no module: nothing imports it), and the function is named by a digest of the text and of all that is compiled into it:
two of one name from different runs would be taken for each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import njit  # type: ignore[import-untyped]

from fpk.atomic_files import left_over, parts_in, replace_file
from fpk.errors import StoreError

#: Where texts are kept, next to what numba keeps of fpk itself, and how many.
CACHE, KEPT = Path(__file__).parent / "__pycache__" / "loops", 512


def compiled_text(
    text: str,
    function: str,
    scope: Mapping[str, Any],
    signature: Any,
    options: Mapping[str, Any],
    *,
    keep: bool = True,
    modules: Sequence[ModuleType] = (),
) -> Callable[..., None]:
    """The function that a text defines, compiled for one signature.

    Parameters
    ----------
    text : str
        Defines ``function`` and nothing else.
    function : str
    scope : mapping from str to object
        The names it uses.
    signature : numba signature
    options : mapping from str to object
        Of :func:`numba.njit`.
    keep : bool, default True
        Whether what is compiled may be found again by later runs: not where the scope has functions of users.
    modules : sequence of modules
        Whose functions are compiled into it: their text is part of its name.
    """
    inside = b"".join(Path(str(module.__file__)).read_bytes() for module in modules)
    name = f"{function}_{hashlib.sha256(text.encode() + repr((signature, sorted(options.items()))).encode() + inside).hexdigest()[:24]}"
    text = text.replace(function, name, 1)
    file = kept_source(name, text) if keep else None
    names = dict(scope)
    exec(compile(text, str(file or f"<{function}>"), "exec"), names)
    return njit(signature, cache=file is not None, **options)(names[name])


def kept_source(name: str, text: str) -> Path | None:
    """The file of a text; None where nothing can be written. There are at most :data:`KEPT` such files; the oldest go."""
    try:
        file = CACHE / f"{name}.txt"
        if not file.exists():
            _forget_oldest()
            replace_file(file, text)
        return file
    except (OSError, StoreError):
        return None


def _forget_oldest() -> None:
    """Make room for one more."""
    left_over(parts_in(CACHE), remove=True)
    files = sorted(CACHE.glob("*.txt"), key=lambda file: file.stat().st_mtime)
    for old in files[: max(len(files) - KEPT + 1, 0)]:
        for file in (old, *(CACHE / "__pycache__").glob(f"{old.stem}.*")):
            file.unlink(missing_ok=True)
