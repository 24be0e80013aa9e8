"""Atomic files: what stands in a place is whole, what the killed have left is told from what is being written, and errors say what to do."""

from __future__ import annotations

import errno
import json
import os
import platform
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fpk import atomic_files
from fpk.atomic_files import ABANDONED, PART, beside, left_over, mark, replace_file
from fpk.errors import StoreError
from fpk.store import RUN, Store

needs_locks = pytest.mark.skipif(atomic_files.fcntl is None, reason="the system has no such locks")
#: Says that it is at work, and stays so until it is told to end.
PAUSE = "print('ready', flush=True); sys.stdin.readline()"
WRITING = f"""
import os, sys
from pathlib import Path
from fpk.atomic_files import replace_file
def pause(*_):
    {PAUSE}
{{place}} = pause
replace_file(Path(sys.argv[1]), b"half", durable=True)
"""
WORKING = f"""
import sys
from pathlib import Path
from fpk.atomic_files import mark
with mark(Path(sys.argv[1]), "run"):
    {PAUSE}
"""


@contextmanager
def at_work(code: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has come to its pause."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# -- writing ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["ψ\n", b"\x00\r\n", memoryview(b"view")])
def test_a_file_has_the_content_and_nothing_else_is_left(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "made" / "deep" / "file"
    replace_file(path, "before")
    replace_file(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else bytes(content))
    assert files(tmp_path) == ["file"]


def test_a_text_that_utf_8_has_not_is_escaped_as_json_does(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", json.dumps({"name": "\ud800"}, ensure_ascii=False))
    assert json.loads((tmp_path / "file").read_text(encoding="utf-8")) == {"name": "\ud800"}


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["replace", "fdatasync" if hasattr(os, "fdatasync") else "fsync"])
def test_what_was_there_stays_and_no_part_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, fault: BaseException
) -> None:
    path = tmp_path / "file"
    replace_file(path, "whole")

    def fails(*_: Any) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(os, where, fails)
        wanted = StoreError if isinstance(fault, OSError) else KeyboardInterrupt
        with pytest.raises(wanted) as caught:
            replace_file(path, "other", durable=True, advice="Do this")
    if isinstance(fault, OSError):
        assert str(caught.value) == f"cannot write {path}: {fault}. Do this."
    assert path.read_text() == "whole"
    assert files(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["x" * 255, "ψ" * 127])
def test_the_longest_names_that_a_folder_takes_can_be_written(tmp_path: Path, name: str) -> None:
    replace_file(tmp_path / name, "whole")
    assert files(tmp_path) == [name]


def test_a_link_gives_way_to_the_file_and_its_target_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "broken").symlink_to("nowhere")
    for name in ("link", "broken"):
        replace_file(tmp_path / name, "whole")
        assert (tmp_path / name).read_text() == "whole"
    assert (tmp_path / "target").read_text() == "mine"
    assert files(tmp_path) == ["broken", "link", "target"]


@pytest.mark.parametrize("way", ["file", "broken link", "folder"])
def test_what_is_in_the_way_is_named(tmp_path: Path, way: str) -> None:
    path = tmp_path / "way" / "file"
    if way == "file":
        path.parent.write_text("in the way")
    elif way == "broken link":
        path.parent.symlink_to("nowhere")
    else:
        path.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"cannot write .*way/file: .*Free some space or choose another folder"):
        replace_file(path, "whole")
    assert not list(tmp_path.rglob(f"*{PART}"))


def test_who_knows_paths_only_writes_beside_too(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with beside(path) as part:
        part.write_text("whole")
        assert part.parent == tmp_path
        assert not path.exists()
    assert path.read_text() == "whole"

    def fails(part: Path) -> None:
        part.write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), beside(path) as part:
        fails(part)
    assert path.read_text() == "whole"
    assert files(tmp_path) == ["file"]


# -- what is left over --------------------------------------------------------------------------------------------------------


@needs_locks
@pytest.mark.parametrize("place", ["os.fdatasync" if hasattr(os, "fdatasync") else "os.fsync", "os.replace"])
def test_what_a_killed_writer_left_is_known_at_once_and_what_is_being_written_never_taken(
    tmp_path: Path, place: str
) -> None:
    store = Store(tmp_path)
    path = store.path("0" * 64)
    with at_work(WRITING.format(place=place), path) as writer:
        (part,) = path.parent.iterdir()
        os.utime(part, (0, 0))  # a clock that goes wrong proves nothing
        assert store.left_over(remove=True) == []
        writer.kill()
        writer.wait()
    assert store.left_over() == [part]
    assert part.exists()
    assert store.left_over(remove=True) == [part]
    assert not part.exists()


@needs_locks
def test_the_mark_of_a_run_goes_with_it_and_is_known_when_it_was_killed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with at_work(WORKING, tmp_path) as worker:
        (made,) = tmp_path.glob(f"{RUN}-*")
        os.utime(made, (0, 0))
        assert store.left_over(remove=True) == []
        worker.kill()
        worker.wait()
    assert store.left_over(remove=True) == [made]
    with mark(tmp_path, RUN) as made:
        assert made.exists()
    assert files(tmp_path) == []


@needs_locks
def test_who_looks_between_making_and_holding_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first part is removed before it is held; the writer notices, and writes another."""
    hold, seen = atomic_files._hold, []

    def late(file: Any) -> bool:
        seen.append(Path(file.name))
        if len(seen) == 1:
            assert left_over([seen[0]], remove=True) == [seen[0]]
        return hold(file)

    monkeypatch.setattr(atomic_files, "_hold", late)
    replace_file(tmp_path / "file", "whole")
    assert len(seen) == 2
    assert (tmp_path / "file").read_text() == "whole"
    assert files(tmp_path) == ["file"]


@pytest.mark.parametrize("why", ["another machine", "no locks"])
def test_where_locks_do_not_tell_age_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    with mark(tmp_path, RUN) as made:
        if why == "another machine":
            monkeypatch.setattr(platform, "node", lambda: "elsewhere")
        else:
            monkeypatch.setattr(atomic_files, "fcntl", None)
        assert left_over([made]) == []
        young = made.stat().st_mtime
        os.utime(made, (0, young - ABANDONED - 60))
        assert left_over([made]) == [made]
        assert left_over([made], patience=2 * ABANDONED) == []


def test_other_files_are_nobodys_business(tmp_path: Path) -> None:
    store = Store(tmp_path)
    mine = [tmp_path / "notes.part", tmp_path / "records" / "notes.part", tmp_path / "records" / "ab" / "notes.txt"]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        os.utime(path, (0, 0))
    assert store.left_over(remove=True) == []
    assert all(path.exists() for path in mine)
