r"""Atomic files: written beside their place and moved there in one step, so that whoever is killed leaves a whole file or none.

What a process has not moved yet, and a mark that says it is at work, it holds with a lock that the system lets go when the process is gone. So
what the killed have left is known from what is being written, without clocks and process numbers, which lie or are given to others. Where
there are no such locks, or another machine wrote, age decides.
"""

from __future__ import annotations

import os
import platform
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from fpk.errors import StoreError

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None

#: How the name of what is being written ends.
PART = ".part"
#: Seconds after which a half-written file is nobody's where locks cannot tell: writing takes milliseconds.
ABANDONED = 3600.0
#: The same of the mark of somebody who is at work: no run takes a month.
LONGEST_WORK = 30 * 86400.0
#: Characters of a file's name that the name of its part begins with.
SHOWN = 40
#: Names tried before something else must be wrong.
TRIES = 100
ROOM = "Free some space or choose another folder"


def replace_file(path: Path, content: str | bytes | memoryview, *, durable: bool = False, advice: str = ROOM) -> None:
    r"""Write a file (a text as UTF-8, as it is) beside its place and move it there in one step.

    Parameters
    ----------
    path : Path
        Its folder is made if it does not exist.
    content : str or bytes-like
        A lone surrogate in a text, which UTF-8 has not, becomes its escape as in JSON: ``\ud800``.
    durable : bool, default False
        Bring the bytes to the disk before they are moved: then a power failure leaves a whole file or none, too.
    advice : str
        What to do if it cannot be written, a sentence without its full stop.

    Raises
    ------
    StoreError
        If the folder cannot be written; what was there before is untouched, and no part is left.
    """
    with writing(path, advice), _waiting(path, content, durable):
        return


def replace_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write several files of a folder, by their names in it, and move them when all are written, the first of them last.

    A full disk leaves those from before.

    Raises
    ------
    StoreError
        As for :func:`replace_file`.
    """
    with writing(folder), ExitStack() as stack:
        for name, content in files.items():
            with writing(folder / name):
                stack.enter_context(_waiting(folder / name, content, durable=False))


@contextmanager
def _waiting(path: Path, content: str | bytes | memoryview, durable: bool) -> Iterator[None]:
    """The content beside its place, moved there at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part, file = _held_file(lambda tag: _part_of(path, tag))
    with file, moved(part, path):  # held until it is in its place
        file.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
        file.flush()
        if durable:
            _flush(file.fileno())
        if fcntl is None:  # systems without these locks do not move what is open
            file.close()
        yield


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A place for somebody else to write the file, who knows paths only; moved where it belongs at the end, unless there is an error."""
    part = _part_of(path, _tag())
    with moved(part, path):
        yield part


@contextmanager
def moved(part: Path, path: Path) -> Iterator[None]:
    """Move the part to its place at the end; remove it after an error, whatever that is."""
    try:
        yield
        os.replace(part, path)
    except BaseException:
        discard(part)
        raise


@contextmanager
def writing(path: Path, advice: str = ROOM) -> Iterator[None]:
    """Errors of the system as a StoreError that says what could not be written, why, and what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}. {advice}.") from error


@contextmanager
def mark(folder: Path, kind: str) -> Iterator[Path]:
    """A file in a folder that says somebody is at work, for as long as they are.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    kind : str
        How its name begins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, file = _held_file(lambda tag: folder / f"{kind}-{tag}")
    with file:
        if fcntl is None:  # systems without these locks do not remove what is open
            file.close()
        try:
            yield path
        finally:
            discard(path)


def parts_in(folder: Path) -> list[Path]:
    """What stands beside the files of a folder in names of parts; a folder that is not there has none."""
    return [path for path in folder.glob(f".*{PART}") if re.search(rf"\.[0-9a-f]{{16}}{re.escape(PART)}$", path.name)]


def left_over(paths: Iterable[Path], patience: float = ABANDONED, *, remove: bool = False) -> list[Path]:
    """Those of some parts or marks whose writers are gone.

    Parameters
    ----------
    paths : iterable of Path
    patience : float
        Seconds after which the others, of which that cannot be known, count as left over too.
    remove : bool, default False
        Remove them; those that cannot be removed are left out.
    """
    return [path for path in paths if _is_left_over(path, patience, remove)]


def discard(path: Path) -> bool:
    """Remove a file if that is possible; whether it is gone."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # not a folder, or not ours: what is said about the write itself matters more
        return False
    return True


def _tag() -> str:
    """Sixteen digits of a name that nobody else has: eight for this machine, eight drawn."""
    return f"{_here()}{os.urandom(4).hex()}"


def _here() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _part_of(path: Path, tag: str) -> Path:
    return path.with_name(f".{path.name[:SHOWN]}.{tag}{PART}")


def _held_file(named: Callable[[str], Path]) -> tuple[Path, BinaryIO]:
    """A new file under a name with a tag, held until it is closed."""
    for _ in range(TRIES):
        path = named(_tag())
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        if _hold(file):
            return path, file
        file.close()
        discard(path)
    raise FileExistsError(f"every name of {TRIES} was taken")


def _hold(file: BinaryIO) -> bool:
    """Lock a new file; False if somebody who looks for left-over files was faster, and has it or has removed it."""
    return fcntl is None or (_is_held(file) is not True and _is_there(file))


def _is_there(file: BinaryIO) -> bool:
    """Whether a file that is open still has its name: some file systems keep removed ones under another."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(file.name))
    except OSError:
        return False


def _is_left_over(path: Path, patience: float, remove: bool) -> bool:
    with _asked(path) as held:  # removed while it cannot be held by who has just made it
        gone = _age(path) > patience if held is None else not held
        return gone and (not remove or discard(path))


@contextmanager
def _asked(path: Path) -> Iterator[bool | None]:
    """Whether a process holds a file; None where this machine cannot know. If none does, none can until the end."""
    own = re.search(rf"[.-]{_here()}[0-9a-f]{{8}}(?:{re.escape(PART)})?$", path.name)
    try:
        file = path.open("r+b") if own and fcntl is not None else None
    except OSError:
        file = None
    if file is None:
        yield None
        return
    with file:
        yield _is_held(file)


def _is_held(file: BinaryIO) -> bool | None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[union-attr]
    except BlockingIOError:
        return True
    except OSError:  # no locks on this file system
        return None
    return False


def _age(path: Path) -> float:
    """Seconds since a file was written; 0 if it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _flush(descriptor: int) -> None:
    """Bring a file's bytes to the disk; not when it was last touched, where the system tells these apart."""
    getattr(os, "fdatasync", os.fsync)(descriptor)
