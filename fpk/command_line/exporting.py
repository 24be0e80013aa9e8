"""Copies of stored records that open with numpy or json alone."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fpk.atomic_files import replace_file
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
    replace_file(folder / "index.json", json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
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
        replace_file(path, json.dumps(head | {"words": words, "arrays": plain}, ensure_ascii=False) + "\n")
    else:
        archive = io.BytesIO()
        np.savez(archive, **arrays, words=np.array(json.dumps(head | {"words": words})))  # type: ignore[arg-type] # nothing to pickle
        replace_file(path, archive.getvalue())
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
