"""The API reference: a page for every module that programs import from, made of its docstrings by pdoc.

    python -m pip install 'fpk[docs]'
    python -m fpk.reference                 # writes build/reference/index.html

Formulas are Unicode and the search runs in the page, so the pages open offline.
"""

from __future__ import annotations

import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import fpk
from fpk.errors import ProblemError

#: Where the pages go unless told otherwise: a folder that is not kept.
FOLDER = Path("build/reference")
#: Modules that have a page, in the order of reading; packages that say what they offer have one, others one for each public module.
TOPICS = (
    "errors", "problem", "coefficients", "array_libraries", "laws", "schedules", "grids", "problems", "transformations",
    "closed_form", "fokker_planck", "particles", "fields", "models", "samplers", "chains", "panels", "marginals", "paths", "independence",
    "refinement", "comparison", "orders", "verdict", "planning", "remedies", "calibration", "formulas", "testing", "battery", "strategies",
    "study", "charts", "catalogue", "changes", "certificates", "exports",
)  # fmt: skip
#: The line above, below and within a table.
RULE = re.compile(r" *=+(?: +=+)+ *")
#: What pdoc cannot see in classes made by dataclasses and named tuples, without any consequence for the page.
UNSEEN = "Error parsing type annotation"


def write_reference(folder: Path = FOLDER) -> Path:
    """Write the pages of all public modules.

    Parameters
    ----------
    folder : Path, default ``build/reference``
        Made where it does not exist.

    Returns
    -------
    Path
        Of the first page.

    Raises
    ------
    ProblemError
        If pdoc is not installed, or warns: of a docstring it cannot read, or a name that does not exist.

    Examples
    --------
    >>> write_reference()  # doctest: +SKIP
    PosixPath('build/reference/index.html')
    """
    try:
        import pdoc  # pyright: ignore[reportMissingImports]
        import pdoc.render  # pyright: ignore[reportMissingImports]
        import pdoc.render_helpers  # pyright: ignore[reportMissingImports]
        from jinja2 import pass_context
    except ImportError as error:
        raise ProblemError(
            f"the reference needs {error.name}, which is not installed: python -m pip install 'fpk[docs]'."
        ) from error
    pdoc.render.configure(docformat="numpy", footer_text=f"fpk {fpk.__version__}", show_source=False)
    others = (
        f"!(?!(?:{'|'.join(map(re.escape, pages()))})$)"  # pdoc takes all modules of a package but those of a pattern
    )
    plain = pdoc.render_helpers.to_markdown_with_context
    pdoc.render.env.filters["to_markdown"] = pass_context(lambda page, text: plain(page, with_tables(text)))
    with _all_in_place(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", message=UNSEEN)
        pdoc.pdoc("fpk", others, output_directory=folder)
    if told:
        raise ProblemError("\n".join(["the reference has faults:", *(str(warning.message) for warning in told)]))
    return folder / "index.html"


def pages() -> list[str]:
    """Names of the modules that have a page, the package first."""
    found = [f"fpk.{topic}" for topic in TOPICS]
    for name in list(found):
        module = import_module(name)
        if hasattr(module, "__path__") and not hasattr(module, "__all__"):
            inner = pkgutil.walk_packages(module.__path__, f"{name}.")
            found += [part.name for part in inner if "._" not in part.name]
    return ["fpk", *found]


def with_tables(text: str) -> str:
    r"""A docstring with its tables, columns under rules of ``=``, as tables of Markdown: pdoc reads no others.

    Examples
    --------
    >>> print(with_tables("=== ===\na   b\n=== ===\n1   2\n    3\n=== ===").strip())
    | a | b |
    |---|---|
    | 1 | 2 3 |
    """
    out: list[str] = []
    waiting = text.split("\n")
    while waiting:
        line = waiting.pop(0)
        size = _height(line, waiting)
        if size is None:
            out.append(line)
            continue
        out += ["", *_table(line, waiting[:size]), ""]
        waiting = waiting[size + 1 :]
    return "\n".join(out)


def _height(rule: str, lines: list[str]) -> int | None:
    """How many lines of a table there are below its first rule, before the last; None where it is no rule, or nothing closes it."""
    if not RULE.fullmatch(rule):
        return None
    ends = (
        k for k, line in enumerate(lines) if line.strip() == rule.strip() and not "".join(lines[k + 1 : k + 2]).strip()
    )
    return next(ends, None)


def _table(rule: str, lines: list[str]) -> list[str]:
    """The lines of a table of Markdown, its columns as wide as the rule says; a line that begins with nothing goes on with the last."""
    starts = [found.start() for found in re.finditer("=+", rule)]
    named = any(RULE.fullmatch(line) for line in lines)
    rows: list[list[str]] = [] if named else [[""] * len(starts)]
    for line in (line for line in lines if line.strip() and not RULE.fullmatch(line)):
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        if cells[0] or not rows:
            rows.append(cells)
        else:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
    margin = " " * starts[0]
    shown = [f"{margin}| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows]
    return [shown[0], f"{margin}|{'---|' * len(starts)}", *shown[1:]]


@contextmanager
def _all_in_place() -> Iterator[None]:
    """What fpk loads at first use stands in it, and all topics among its names, for programs that look without asking."""
    names, before = dict(vars(fpk)), fpk.__all__
    for name in before:
        setattr(fpk, name, getattr(fpk, name))
    fpk.__all__ = list(dict.fromkeys([*before, *TOPICS]))
    try:
        yield
    finally:
        fpk.__all__ = before
        for name in set(before) - set(names):
            delattr(fpk, name)


if __name__ == "__main__":
    print(write_reference(*map(Path, sys.argv[1:2])))
