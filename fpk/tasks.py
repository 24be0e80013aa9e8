r"""Tasks: one variant of one claim in one case, as plain data with the address of its evidence.

The address is a digest of the task's *inputs*, and these have names: study, claim, variant, case, size, seed and version, the digest of
fpk's computing modules (``engine``), one of every file of the study (``files``), and that of the judging modules (``judging``) where the study
counts verdicts. The inputs are stored with the evidence, so what changed since can be told by name.
"""

from __future__ import annotations

import ast
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from fpk.atomic_files import replace_file
from fpk.catalogue import Catalogue
from fpk.errors import StoreError
from fpk.store import JUDGING, address, code_digest, engine_digest, engine_modules, judging_digest
from fpk.study import Size, Study, seed_for

#: Inputs with a value of their own; the others are digests of code.
PLAIN = ("study", "claim", "variant", "case", "size", "seed", "version")
#: Characters of a digest where people read it.
SHORT = 12
#: Modules that are named one by one before the rest is counted.
FEW = 6


@dataclass(frozen=True)
class Task:
    """One variant of one claim in one case, with everything needed to compute it elsewhere.

    Parameters
    ----------
    studies : str
        Absolute path of the catalogue.
    claim, variant, case, size : str
    seed : int
    key : str
        Address of its evidence in a store.
    inputs : mapping
        Everything the address depends on, by name.
    """

    studies: str
    claim: str
    variant: str
    case: str
    size: str
    seed: int
    key: str
    inputs: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def check(self) -> str:
        """Id of the check: what its seed derives from."""
        return f"{self.claim}/{self.variant}/{self.case}"

    def provenance(self) -> dict[str, Any]:
        """What a record keeps of its task: ``task``, and its ``inputs`` beside it."""
        plain = asdict(self)
        inputs = plain.pop("inputs")
        return {"task": plain, "inputs": inputs}


def tasks_of(catalogue: Catalogue, studies: Sequence[Study], *, size: Size, root_seed: int) -> list[Task]:
    """All tasks of the studies, in order."""
    out = []
    for study in studies:
        code = code_of(study)
        for variant, case in study.checks:
            seed = seed_for(root_seed, f"{study.claim}/{variant}/{case}")
            out.append(_task(catalogue, study, code, variant, case, size, seed))
    return out


def task_of(catalogue: Catalogue, study: Study, variant: str, case: str, *, size: Size, seed: int) -> Task:
    """One task of a study, with a seed of its own instead of the one derived from a root."""
    return _task(catalogue, study, code_of(study), variant, case, size, seed)


def _task(
    catalogue: Catalogue, study: Study, code: Mapping[str, Any], variant: str, case: str, size: Size, seed: int
) -> Task:
    plain = {"study": study.name, "claim": study.claim, "variant": variant, "case": case, "size": size.name}
    inputs: dict[str, Any] = plain | {"seed": seed, "version": study.version} | dict(code)
    key = address_of(inputs)
    return Task(str(catalogue.path.resolve()), study.claim, variant, case, size.name, seed, key, inputs)


def code_of(study: Study) -> dict[str, Any]:
    """The inputs of a study that are code: ``engine``, ``files`` and, where it counts verdicts, ``judging``."""
    files = {name: code_digest(file) for name, file in _files_of(study).items()}
    judging = {"judging": judging_digest()} if study.judging else {}
    return {"engine": engine_digest(), "files": files} | judging


def address_of(inputs: Mapping[str, Any]) -> str:
    """The address that named inputs have: whoever has a record can check that it stands where its inputs say."""
    files = inputs["files"]
    code = [inputs["engine"], *(files[name] for name in sorted(files, key=PurePosixPath))]
    code += [inputs["judging"]] if "judging" in inputs else []
    return address({name: inputs[name] for name in PLAIN} | {"code": code})


def short_inputs(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Version and code of a task for people, flat: ``{"version": "1", "engine": "41c0...", "forward.py": "9ab2..."}``.

    Examples
    --------
    >>> short_inputs({"version": 2, "engine": "0123456789abcdef", "files": {"one.py": "fedcba9876543210"}})
    {'version': '2', 'engine': '0123456789ab', 'one.py': 'fedcba987654'}
    """
    if not inputs:
        return {}
    plain = {name: inputs[name] for name in ("version", "engine", "judging") if name in inputs} | inputs["files"]
    return {name: str(value)[:SHORT] for name, value in plain.items()}


# -- what changed -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InputChange:
    """One input that is not what it was; ``before`` or ``after`` is None where there is none, ``modules`` tells parts that changed."""

    name: str
    before: str | None
    after: str | None
    modules: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """In words, for example ``engine: problem.py, laws/base.py``."""
        if self.name in ("engine", "judging"):
            what = "engine" if self.name == "engine" else "rules of judging"
            rest = len(self.modules) - FEW
            few = ", ".join(self.modules[:FEW]) + (f" and {rest} more" if rest > 0 else "")
            return f"{what}: {few or 'changed, in modules that were not kept'}"
        if self.name in PLAIN:
            return f"{self.name}: {self.before} → {self.after}"
        return f"{self.name}: {'is new' if self.before is None else 'is no longer imported' if self.after is None else 'changed'}"


def input_changes(before: Mapping[str, Any], after: Mapping[str, Any], root: Path) -> list[InputChange]:
    """Which inputs differ, from stored inputs to those of today.

    Parameters
    ----------
    before, after : mapping
        Inputs as :attr:`Task.inputs` has them; ``before`` may be a part of them, and only that part is compared.
    root : Path
        Of the store ``before`` comes from: it knows the modules of its engines.
    """
    plain = [
        InputChange(name, str(before[name]), str(after.get(name)))
        for name in PLAIN
        if name in before and before[name] != after.get(name)
    ]
    if "engine" in before and before["engine"] != after["engine"]:
        modules = _engine_changes(kept_engine(root, before["engine"]))
        plain.append(InputChange("engine", before["engine"], after["engine"], modules))
    if "files" in before:
        plain += [InputChange(*change) for change in _different(before["files"], after["files"])]
    one, other = before.get("judging"), after.get("judging")
    if "engine" in before and one != other:
        plain.append(InputChange("judging", one, other, _judging_changes(one or "", other or "")))
    return plain


def _different(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    names = sorted({*before, *after}, key=PurePosixPath)
    return [(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)]


def _engine_changes(kept: Mapping[str, str] | None) -> tuple[str, ...]:
    """Modules that are not those of a kept engine; nothing where that is not known."""
    if kept is None:
        return ()
    found = _different(kept, engine_modules())
    return tuple(f"{n}{' (new)' if b is None else ' (gone)' if a is None else ''}" for n, b, a in found)


def _judging_changes(before: str, after: str) -> tuple[str, ...]:
    """Modules of judging that changed, from the digests that :func:`fpk.store.judging_digest` strings together."""
    names, width = sorted(JUDGING), len(address({}))
    if not len(before) == len(after) == width * len(names):
        return ()
    spans = [slice(k * width, (k + 1) * width) for k in range(len(names))]
    return tuple(f"{name}.py" for name, span in zip(names, spans, strict=True) if before[span] != after[span])


# -- code -------------------------------------------------------------------------------------------------------------------


def _files_of(study: Study) -> dict[str, Path]:
    """The study's file and every file it imports from its folder, directly or not, by their names below that folder."""
    own = Path(sys.modules[study.module].__file__ or "")
    found, todo = set(), {own}
    while todo:
        file = todo.pop()
        found.add(file)
        todo |= _imported_beside(file) - found
    root = own.parents[study.module.count(".") - 1]
    return {file.relative_to(root).as_posix(): file for file in sorted(found)}


def _imported_beside(file: Path) -> set[Path]:
    """Files of the relative imports in a file."""
    return _imports_in(file, file.read_bytes())


@lru_cache(maxsize=1024)
def _imports_in(file: Path, text: bytes) -> set[Path]:
    beside = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [base, *(base / alias.name for alias in node.names)]
            beside |= {path for name in names for path in (name.with_suffix(".py"), name / "__init__.py")}
    return {path for path in beside if path.is_file()}


def keep_engine(root: Path) -> None:
    """Keep the digests of the computing modules in a store, once for each engine: a later change can then be told by module.

    Nothing else depends on this note, so a folder that cannot be written is no error here.
    """
    path = _engine_path(root, engine_digest())
    if not path.exists():
        with contextlib.suppress(StoreError):
            replace_file(path, json.dumps(engine_modules(), indent=0, sort_keys=True))


def kept_engine(root: Path, digest: str) -> dict[str, str] | None:
    """The digests of the computing modules of an engine, from the note in a store; None where there is none that can be read."""
    try:
        found = json.loads(_engine_path(root, digest).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and address(found) == digest else None


def _engine_path(root: Path, digest: str) -> Path:
    return root / "engines" / f"{digest}.json"
