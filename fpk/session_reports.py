"""Reports of sessions: the checks of a pytest session as a page, as Markdown, as JSON lines, and as a summary that code hosts show."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fpk.atomic_files import replace_file
from fpk.errors import StoreError
from fpk.rendering import SYMBOLS, markdown_text, rendered
from fpk.sessions import SENTENCE, Ended, Row, Session, at, compared, many, rows_of, told_change, worse
from fpk.wording import number_text, one_line

#: Bytes of a summary: what code hosts take for one step (2²⁰), and a little air.
LARGEST_SUMMARY = 1_000_000
#: Rows and failures that a page shows: it stays below a megabyte.
MOST_ROWS, MOST_FAILING = 1000, 200
HEADINGS = ("verdict", "test", "check", "times", "difference", "budget", "standard error", "tolerance", "sees")


def finished(
    tests: Mapping[str, Ended], before: Sequence[Row] | None, is_gone: Callable[[str], bool], option: Any
) -> Session:
    """The session, compared and written as its options say; what cannot be written is told and does not hide the rest.

    Parameters
    ----------
    tests : mapping from id to Ended
    before : sequence of dict, optional
        Rows of an earlier session.
    is_gone : callable
        Whether a test exists no more.
    option : namespace
        ``fpk_seed``, ``fpk_alpha``, ``fpk_report``, ``fpk_summary``.
    """
    rows = rows_of(tests, int(option.fpk_seed))
    ran = {id: ended.outcome for id, ended in tests.items()}
    comparison = None if before is None else compared(before, rows, ran, is_gone)
    session = Session(rows, len({row["test"] for row in rows}), option.fpk_alpha, comparison)
    report = _tried(write_report, session, option.fpk_report)
    summary = _tried(append_summary, session, option.fpk_summary if rows else None)
    return replace(session, trouble=tuple(f"fpk: {why}" for why in (report, summary) if why), unwritten=bool(report))


def _tried(write: Callable[[Session, Path], None], session: Session, target: str | None) -> str:
    """Why something could not be written; empty if it was, or was not asked for."""
    try:
        if target:
            write(session, Path(target))
    except (StoreError, OSError) as error:
        return str(error)
    return ""


def write_report(session: Session, folder: Path) -> None:
    """Write ``records.jsonl``, ``report.md`` and ``index.html``.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    lines = [json.dumps(row, ensure_ascii=False) for row in session.rows]
    replace_file(folder / "records.jsonl", "".join(f"{line}\n" for line in lines))
    replace_file(folder / "report.md", markdown(session))
    context = {"session": session, "title": title(session), "change": told_change}
    context |= {"most_rows": MOST_ROWS, "most_failing": MOST_FAILING}
    replace_file(folder / "index.html", rendered("session.html", context))


def append_summary(session: Session, file: Path) -> None:
    """Append the session as Markdown to a file that code hosts show, and stay below what they take."""
    room = LARGEST_SUMMARY - (file.stat().st_size if file.exists() else 0)
    text = markdown(session, room)
    if text:
        with file.open("a", encoding="utf-8") as out:
            out.write(text)


def title(session: Session) -> str:
    """What a person wants to know first."""
    compared = session.comparison
    parts = [f"{len(session.failing)} of {many(len(session.rows), 'check')} not confirmed"] if session.failing else []
    parts += [f"{worse(compared)} than before"] if compared and compared.bad else []
    return ", ".join(parts) or f"{many(len(session.rows), 'check')}: nothing against them"


def markdown(session: Session, room: int = LARGEST_SUMMARY) -> str:
    """The session as Markdown, not more than so many bytes: what does not hold and what changed first, then all checks as far as there is room."""
    mark = "✗" if session.failing or not session.holds else "✓"
    parts = [f"### {mark} fpk: {title(session)}\n\n{_cell(session.counted)}; {_cell(session.spent)}.\n\n"]
    if session.failing:
        rows = [f"{_table_row(row)} `{_code(row['rerun'])}` |\n" for row in session.failing]
        parts += [*_table((*HEADINGS, "run it again")), *rows, "\n"]
    if session.comparison:
        lists = [(name, getattr(session.comparison, name)) for name in ("flipped", "vanished", "blunted", "mended")]
        parts += [f"- **{name}** {_cell(told_change(change))}\n" for name, found in lists for change in found]
        parts += [*(f"- {_cell(line)}\n" for line in session.comparison.lines()), "\n"]
    if session.rows:
        parts += ["<details><summary>All checks</summary>\n\n", *_table(HEADINGS)]
        parts += [f"{_table_row(row)}\n" for row in session.rows]
    return _within(parts, "\n</details>\n" if session.rows else "", room)


def _table(headings: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}\n"]


def _table_row(row: Row) -> str:
    numbers = [number_text(row.get(name)) for name in ("difference", "budget", "standard_error", "tolerance", "mde")]
    cells = [row["test"], f"{row['variant']}{at(row)}", str(sum(row["counts"].values())), *numbers]
    return f"| {SYMBOLS[row['verdict']]} {row['verdict']} | " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    return str(markdown_text(one_line(text, SENTENCE)))


def _code(text: str) -> str:
    """A command between backticks in a table."""
    return one_line(text, SENTENCE).replace("`", "'").replace("|", "\\|")


def _within(parts: Sequence[str], end: str, room: int) -> str:
    """As many parts as there is room for, with a word about those left out."""
    out, left = [], room - len(end.encode()) - 100
    for k, part in enumerate(parts):
        left -= len(part.encode())
        if left < 0:
            return "".join(out) + f"\n... and {len(parts) - k} lines more: there is no room.\n" + end if out else ""
        out.append(part)
    return "".join(out) + end
