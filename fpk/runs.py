r"""Runs: reports that lie side by side, for an index: what each found, and which verdicts flipped from one to the next.

What a run found is in its ``verdicts.json``; when and how it was made, in ``run.json``. A baseline may have the first alone: then the date of the
file is taken for the run's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fpk.changes import ROWS, Row, found, holds, read_records
from fpk.errors import StoreError
from fpk.records import SCHEMA, WORDING

#: The files of a report that say when and how it was made, and what it found.
FACTS, VERDICTS = "run.json", "verdicts.json"
#: What every page of fpk has among its first bytes, and how many these are.
PAGE, NEAR = " · fpk</title>".encode(), 4000
#: Reports of an index, the newest ones.
MOST = 30
#: Verdicts of more bytes than this are not read.
LARGEST = 20_000_000
#: Files a run is read in, the best first.
_READABLE = ("index.html", "report.md", VERDICTS)


@dataclass(frozen=True)
class Flip:
    """A verdict that was another one before: the check, the run that had it last, both verdicts, whether the new one is the expected."""

    check: str
    run: str
    before: str
    after: str
    holds: bool


@dataclass(frozen=True)
class Run:
    """One report among others.

    Parameters
    ----------
    name : str
        Of its folder.
    written : str
        Year, month, day, hour and minute (UTC).
    size : str
        quick or full; empty where it is not known.
    command : str
    link : str
        Its page, from a folder beside it.
    counts : mapping from verdict to int
    records, held : int
        How many, and how many hold.
    flips : tuple of Flip
        Verdicts that were others in the last run before that had the same check.
    """

    name: str
    written: str
    size: str
    command: str
    link: str
    counts: dict[str, int]
    records: int
    held: int
    flips: tuple[Flip, ...]


def facts(command: str, size: str, seconds: float, counts: dict[str, int]) -> dict[str, Any]:
    """What ``run.json`` says."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "schema": SCHEMA, "written": now, "command": command, "size": size, "seconds": round(seconds, 3), "counts": counts,
    }  # fmt: skip


def is_page(path: Path) -> bool:
    """Whether a file is a page that fpk wrote."""
    try:
        with path.open("rb") as file:
            return not path.is_symlink() and PAGE in file.read(NEAR)
    except OSError:
        return False


def check_own(folder: Path) -> None:
    """Refuse to replace files that no report of fpk's has written.

    Raises
    ------
    StoreError
        Naming the first of them.
    """
    pages = [folder / name for name in ("index.html", "runs.html")]
    others = [folder / name for name in (*ROWS, "report.md", "junit.xml", FACTS)]
    foreign = [page for page in pages if page.exists() and not is_page(page)]
    if not any(map(is_page, pages)) and not _has_records(folder):
        foreign += [path for path in others if path.exists()]
    if foreign:
        raise StoreError(
            f"a report in {folder} would replace {foreign[0]}, which fpk has not written. Choose another folder: --report."
        )


def _has_records(folder: Path) -> bool:
    try:
        return _facts(folder)["schema"] == SCHEMA
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _is_of_records(folder)


def _is_of_records(folder: Path) -> bool:
    try:
        read_records(folder)
    except StoreError:
        return False
    return True


def runs_beside(folder: Path, *, now: tuple[Mapping[str, Any], Sequence[Row]] | None = None) -> list[Run]:
    """The reports in the folder that holds a report, newest first, each held against those before it.

    Parameters
    ----------
    folder : Path
        Of a report.
    now : facts and rows, optional
        What its ``run.json`` and ``verdicts.json`` are going to say; default what they say.

    Returns
    -------
    list of Run
        At most :data:`MOST`; what cannot be read is left out.
    """
    here = folder.resolve()
    try:
        told = {place: _told(place) for place in here.parent.iterdir() if _readable(place)}
    except OSError:
        return []
    if now is not None:
        told[here] = _in_words(now[0])
    known = sorted(told, key=lambda place: (told[place]["written"], place.name))
    known = [place for place in known if not place.name.startswith(".")]
    out: list[Run] = []
    last: dict[tuple[str, ...], tuple[str, Row]] = {}
    for place in known[-MOST:]:
        try:
            found_there = now[1] if now is not None and place == here else read_records(place / VERDICTS)
        except StoreError:
            continue
        rows = [row for row in found_there if row.get("variant") != WORDING]
        own = {tuple(str(row.get(name) or "") for name in ("id", "variant", "case")): row for row in rows}
        run = _run(place, told[place], rows, tuple(_flips(last, own)))
        # The page of the report that is being written comes last.
        out.append(replace(run, link="index.html") if place == here else run)
        last |= {check: (place.name, row) for check, row in own.items()}
    return out[::-1]


def _flips(last: Mapping[tuple[str, ...], tuple[str, Row]], own: Mapping[tuple[str, ...], Row]) -> Iterator[Flip]:
    """What is not expected first."""
    for check, row in sorted(own.items(), key=lambda item: holds(item[1])):
        if check in last and found(last[check][1]) != found(row):
            yield Flip(" · ".join(filter(None, check)), last[check][0], found(last[check][1]), found(row), holds(row))


def _readable(place: Path) -> bool:
    try:
        return (place / VERDICTS).is_file() and (place / VERDICTS).stat().st_size <= LARGEST
    except OSError:
        return False


def _facts(folder: Path) -> Any:
    return json.loads((folder / FACTS).read_text(encoding="utf-8"))


def _told(place: Path) -> dict[str, str]:
    """When and how a run was made, as texts; from the date of its files where it does not say."""
    try:
        return _in_words(_facts(place))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        when = datetime.fromtimestamp((place / VERDICTS).stat().st_mtime, UTC)
        return {"size": "", "command": "", "written": _moment(when)}


def _in_words(said: Any) -> dict[str, str]:
    told = {name: said[name] for name in ("size", "command") if isinstance(said[name], str)}
    return {"size": "", "command": ""} | told | {"written": _moment(datetime.fromisoformat(said["written"]))}


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _run(place: Path, told: Mapping[str, str], rows: Sequence[Row], flips: tuple[Flip, ...]) -> Run:
    file = next((name for name in _READABLE if (place / name).is_file()), "")
    link, counts = f"../{quote(place.name)}/{file}", dict(Counter(map(found, rows)))
    held = sum(holds(row) for row in rows)
    return Run(place.name, told["written"][:16], told["size"], told["command"], link, counts, len(rows), held, flips)
