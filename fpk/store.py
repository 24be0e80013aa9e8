r"""The store: evidence on disk, addressed by everything it depends on.

One record is one ``.npz`` file under ``.fpk/records/``, named by the SHA-256 of its canonical JSON *address*: study, claim, variant, case, size,
seed, version, and a digest of the syntax trees of the study's file and of fpk's computing modules. A change of either computes anew; a
change of a verdict rule only judges again. Files are written beside their place, flushed and moved there in one step, so a killed
run leaves whole records or none (:mod:`fpk.atomic_files`). Arrays only, no pickle.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from fpk.atomic_files import LONGEST_WORK, PART, left_over, mark, replace_file, writing
from fpk.charts import Chart, Series
from fpk.errors import StoreError
from fpk.marginals import Estimate
from fpk.study import Evidence

#: Modules that cannot change evidence, only what is said about it.
TELLING = {
    "catalogue", "store", "records", "runner", "figures", "reporting", "sections", "svg", "tables", "wording", "command_line", "tour", "diagnosis",
    "mutants", "kill_matrix", "formulas", "formula_kinds", "testing", "pytest_plugin", "check_context", "configuration",
    "cluster", "tasks", "changes", "certificates", "certificate_check", "cards", "exports", "notebook", "reference", "strategies", "compile_ahead",
    "sessions", "session_reports", "hypothesis_examples",
    "junit", "runs", "rendering",
}  # fmt: skip
#: Modules that judge evidence: evidence depends on them only where it counts verdicts.
JUDGING = {
    "comparison",
    "difference",
    "verdict",
    "orders",
    "rates",
    "sequential",
    "planning",
    "calibration",
    "remedies",
}
#: What to do if a store cannot be written.
ELSEWHERE = "Free some space or choose another folder with --store"
#: How the names of the marks begin that runs with workers leave in a store for as long as they go on.
RUN = "run"
#: The arrays of a chart's series, in the order Series takes them.
SERIES_ARRAYS = ("x", "y", "lower", "upper")


class Store:
    """Evidence under a folder.

    Parameters
    ----------
    root : Path
        Usually ``.fpk``; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where the record of a key lives."""
        return self.root / "records" / key[:2] / f"{key}.npz"

    def has(self, key: str) -> bool:
        """Whether something stands in the place of a record.

        Raises
        ------
        StoreError
            If its folder may not be looked into.
        """
        try:
            self.path(key).stat()
        except PermissionError as error:
            raise _unreadable(error) from error
        except OSError:
            return False
        return True

    def load(self, key: str) -> tuple[Evidence, dict[str, Any]] | None:
        """Evidence and provenance of a key; None if absent, or unreadable (it is then computed anew)."""
        if not self.has(key):
            return None
        try:
            arrays = _arrays_in(self.path(key).read_bytes())
            head = json.loads(bytes(arrays.pop("head")).decode())
            if head.pop("digest") != _digest(key, arrays, head):
                return None
            return _evidence_from(arrays, head), head["provenance"]
        except Exception:  # a damaged archive makes zipfile, numpy and json raise almost anything
            return None

    def damaged(self, key: str) -> bool:
        """Whether something stands in the place of a record that is not that record."""
        return self.has(key) and self.load(key) is None

    def save(self, key: str, evidence: Evidence, provenance: Mapping[str, Any]) -> None:
        """Write a record atomically.

        Raises
        ------
        StoreError
            If the folder cannot be written; what was stored before is untouched.
        """
        arrays, head = arrays_of(evidence)
        head["provenance"] = dict(provenance)
        head["digest"] = _digest(key, arrays, head)
        arrays["head"] = np.frombuffer(json.dumps(head, sort_keys=True).encode(), np.uint8)
        path, archive = self.path(key), io.BytesIO()
        with writing(path, ELSEWHERE):
            np.savez(archive, **arrays)  # type: ignore[arg-type] # numbers and booleans only: nothing to pickle, and loading refuses pickles
        replace_file(path, archive.getbuffer(), durable=True, advice=ELSEWHERE)

    def check_writable(self) -> None:
        """Refuse a store that cannot be written, before anything is computed for it.

        Raises
        ------
        StoreError
            If its folder cannot be made, or takes no file.
        """
        with writing(self.root, ELSEWHERE), mark(self.root, RUN):
            return

    def left_over(self, *, remove: bool = False) -> list[Path]:
        """What killed processes have left: files half written, and marks of runs; see :func:`fpk.atomic_files.left_over`."""
        folders = ("records/[0-9a-f][0-9a-f]", "engines")  # the store's own: what else somebody keeps here is theirs
        parts = [part for folder in folders for part in self.root.glob(f"{folder}/*{PART}")]
        marks = [path for path in self.root.glob(f"{RUN}-*") if re.fullmatch(rf"{RUN}-[0-9a-f]{{16}}", path.name)]
        return left_over(parts, remove=remove) + left_over(marks, LONGEST_WORK, remove=remove)

    def keys(self) -> list[str]:
        """All keys stored.

        Raises
        ------
        StoreError
            If a folder may not be looked into.
        """
        records = self.root / "records"
        try:
            places = [place for place in records.iterdir() if place.is_dir()] if records.is_dir() else []
            return sorted(path.stem for place in places for path in place.iterdir() if path.suffix == ".npz")
        except PermissionError as error:
            raise _unreadable(error) from error


def _unreadable(error: OSError) -> StoreError:
    return StoreError(f"{error.filename} cannot be read: {error.strerror}. Its owner can make it readable.")


def address(parts: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of plain parameters."""
    return hashlib.sha256(
        json.dumps(dict(parts), sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()
    ).hexdigest()


@lru_cache(maxsize=1024)
def code_digest(folder: Path) -> str:
    """Digest of the syntax trees below a folder (or of one file): comments and layout do not count."""
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
    state = hashlib.sha256()
    for file in files:
        state.update(file.name.encode() + ast.dump(ast.parse(file.read_bytes())).encode())
    return state.hexdigest()


@lru_cache(maxsize=1)
def engine_modules() -> dict[str, str]:
    """Digest of each of fpk's own computing modules, by its path: those in :data:`TELLING` and :data:`JUDGING` are left out."""
    folder, others = Path(__file__).parent, TELLING | JUDGING
    paths = [file.relative_to(folder) for file in sorted(folder.rglob("*.py"))]
    return {path.as_posix(): code_digest(folder / path) for path in paths if Path(path.parts[0]).stem not in others}


def engine_digest() -> str:
    """Digest of fpk's own computing modules: the address of :func:`engine_modules`."""
    return address(engine_modules())


def judging_digest() -> str:
    """Digest of fpk's judging modules."""
    folder = Path(__file__).parent
    return "".join(code_digest(folder / f"{name}.py") for name in sorted(JUDGING))


def _arrays_in(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` archive, as numpy reads them, in a third of its time: headers repeat from record to record."""
    with ZipFile(io.BytesIO(data)) as archive:
        return {name.removesuffix(".npy"): _array_in(archive.read(name)) for name in archive.namelist()}


def _array_in(data: bytes) -> np.ndarray:
    if data[:8] != b"\x93NUMPY\x01\x00":
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    begin = 10 + int.from_bytes(data[8:10], "little")
    shape, fortran, dtype = _header_in(data[8:begin])
    if dtype.hasobject:
        raise ValueError("records hold numbers only")
    flat = np.frombuffer(data, dtype, offset=begin).copy()
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


@lru_cache(maxsize=4096)
def _header_in(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    return np.lib.format.read_array_header_1_0(io.BytesIO(header))


def arrays_of(evidence: Evidence) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Everything in evidence: its arrays by name (``first.value``, ``curve.x``), and the rest as JSON holds it."""
    arrays: dict[str, np.ndarray] = {f"curve.{name}": np.asarray(curve) for name, curve in evidence.curves.items()}
    plain: dict[str, Any] = {"names": list(evidence.names), "panel": evidence.panel}
    plain["charts"] = [_words_of(chart) for chart in evidence.charts]
    for k, chart in enumerate(evidence.charts):
        for j, one in enumerate(chart.series):
            arrays |= {f"chart.{k}.{j}.{name}": np.asarray(getattr(one, name), float) for name in SERIES_ARRAYS}
    for side in ("first", "second"):
        estimate = getattr(evidence, side)
        plain[side] = {}
        for spec in fields(Estimate):
            value = getattr(estimate, spec.name)
            if isinstance(value, np.ndarray | list | tuple):
                arrays[f"{side}.{spec.name}"] = np.asarray(value)
            else:
                plain[side][spec.name] = value.item() if isinstance(value, np.generic) else value
    return arrays, plain


def _evidence_from(arrays: Mapping[str, np.ndarray], head: Mapping[str, Any]) -> Evidence:
    sides = {}
    for side in ("first", "second"):
        own = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{side}.")}
        sides[side] = replace(Estimate(own["value"], own["bias_bound"]), **(head[side] | own))
    curves = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith("curve.")}
    charts = tuple(_chart_from(arrays, words, f"chart.{k}") for k, words in enumerate(head["charts"]))
    return Evidence(sides["first"], sides["second"], tuple(head["names"]), curves, head["panel"], charts)


def _words_of(chart: Chart) -> dict[str, Any]:
    """Everything of a chart but its arrays, as JSON holds it; marks as pairs, which keep their order."""
    return {
        "title": chart.title, "x_label": chart.x_label, "y_label": chart.y_label, "log_x": bool(chart.log_x), "log_y": bool(chart.log_y),
        "x_names": list(chart.x_names), "marks": [[word, float(x)] for word, x in chart.marks.items()],
        "even_within": float(chart.even_within), "with_controls": bool(chart.with_controls),
        "series": [{"name": one.name, "kind": one.kind} for one in chart.series],
    }  # fmt: skip


def _chart_from(arrays: Mapping[str, np.ndarray], words: Mapping[str, Any], place: str) -> Chart:
    series = tuple(
        Series(own["name"], *(arrays[f"{place}.{j}.{name}"] for name in SERIES_ARRAYS), kind=own["kind"])
        for j, own in enumerate(words["series"])
    )
    changed = {"series": series, "marks": dict(words["marks"]), "x_names": tuple(words["x_names"])}
    return Chart(**(dict(words) | changed))


def _digest(key: str, arrays: Mapping[str, np.ndarray], head: Mapping[str, Any]) -> str:
    """Digest of everything in a record, and of the key it is stored under."""
    state = hashlib.sha256(f"{key}{json.dumps(head, sort_keys=True)}".encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        state.update(f"{name}{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return state.hexdigest()
