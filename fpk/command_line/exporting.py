"""Copies of stored records that open with numpy or json alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fpk.command_line.kept import Kept
from fpk.errors import StoreError
from fpk.store import arrays_of

#: Longest part of a file's name that tells the check; the key after it makes the name unique.
LONGEST = 60


def exported(records: Sequence[Kept], folder: Path, form: str) -> list[dict[str, Any]]:
    """Write one file for each record and ``index.json``; returns the rows of the index.

    Parameters
    ----------
    records : sequence of Kept
    folder : Path
        Made if it does not exist; files of the same names are replaced, others left alone.
    form : str
        ``json`` or ``npz``.

    Raises
    ------
    StoreError
        If a record is damaged, or the folder cannot be written.
    """
    rows = [_written(record, folder, form) for record in records]
    _replace(folder / "index.json", (json.dumps(rows, ensure_ascii=False, indent=1) + "\n").encode())
    return rows


def _written(record: Kept, folder: Path, form: str) -> dict[str, Any]:
    if record.evidence is None:
        raise StoreError(f"{record.path} is damaged and cannot be exported: fpk run computes it again.")
    arrays, words = arrays_of(record.evidence)
    head = {**record.provenance, **record.task, "key": record.key}
    head.pop("task", None)
    path = folder / f"{_slug(record)}.{form}"
    if form == "json":
        plain = {name: _listed(array) for name, array in arrays.items()}
        _replace(path, (json.dumps(head | {"words": words, "arrays": plain}, ensure_ascii=False) + "\n").encode())
    else:
        _replace(path, None, arrays | {"words": np.array(json.dumps(head | {"words": words}))})
    named = {name: record.task.get(name) for name in ("claim", "variant", "case", "size", "seed")}
    return named | {"key": record.key, "file": path.name}


def _slug(record: Kept) -> str:
    """A file's name that is one on every system, whatever the claim is called."""
    return f"{re.sub('[^A-Za-z0-9]+', '-', record.name).strip('-')[:LONGEST]}-{record.key[:16]}".lstrip("-")


def _listed(array: np.ndarray) -> Any:
    """An array as nested lists of numbers; those JSON does not have become texts."""
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        return _spelt(array.tolist())
    return array.tolist()


def _spelt(nested: Any) -> Any:
    if isinstance(nested, list):
        return [_spelt(item) for item in nested]
    return nested if np.isfinite(nested) else str(nested)


def _replace(path: Path, text: bytes | None, arrays: dict[str, np.ndarray] | None = None) -> None:
    """Write a file beside its place and move it there."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            if text is None:
                np.savez(file, **(arrays or {}))  # type: ignore[arg-type] # numbers and one text: nothing to pickle
            else:
                file.write(text)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(
            f"cannot write {path}: {error}. Free some space or choose another folder with --to."
        ) from error
