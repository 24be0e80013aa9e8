"""Catalogues: the claims and remarks of a folder of studies, and the studies that answer them."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import sys
import traceback
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from fpk.errors import ProblemError, UnknownName
from fpk.study import REGISTERED, Claim, Remark, Study

#: The subfolder of programs that are run by themselves, each a study of its own or none.
EXAMPLES = "examples"


@dataclass(frozen=True)
class Catalogue:
    """Claims with their studies, from one folder or file."""

    path: Path
    claims: Mapping[str, Claim]
    studies: tuple[Study, ...]
    remarks: tuple[Remark, ...] = ()

    def study_of(self, claim: str) -> Study:
        """The study of a claim."""
        return next(s for s in self.studies if s.claim == claim)

    def selected(self, names: Iterable[str]) -> tuple[Study, ...]:
        """Studies by :attr:`Study.names` (capital or small letters, where only one is meant), in catalogue order; all regular ones without names.

        Raises
        ------
        UnknownName
            Listing the known names.
        """
        names = list(names)
        if not names:
            return tuple(s for s in self.studies if not s.only_when_named)
        meant, known = self._meant(names), self._known()
        for name in names:
            if meant[name] not in known:
                there = os.path.exists(name)
                raise UnknownName("study or claim", name, known, f"It is a path: --studies {name} reads it." * there)
        return tuple(s for s in self.studies if s.names & set(meant.values()))

    def remarked(self, names: Iterable[str]) -> tuple[Remark, ...]:
        """Remarks by :attr:`Remark.names`; all without names."""
        names = set(self._meant(names).values())
        return tuple(remark for remark in self.remarks if not names or remark.names & names)

    def _known(self) -> set[str]:
        return {name for each in (*self.studies, *self.remarks) for name in each.names}

    def _meant(self, names: Iterable[str]) -> dict[str, str]:
        """The known name that is meant by each: itself, or the only one that differs in capital letters alone."""
        known = self._known()
        alike = {name: [k for k in known if k.casefold() == name.casefold()] for name in names}
        return {name: near[0] if len(near) == 1 else name for name, near in alike.items()}


def load_catalogue(path: Path) -> Catalogue:
    """Import the study files of a folder (or one file) and check them against their catalogue.

    Parameters
    ----------
    path : Path
        A folder whose files define studies, one of them (``catalogue.py``) ``CLAIMS``; or one file with both. Files whose names begin with an
        underscore, and those in a subfolder :data:`EXAMPLES`, are not imported.

    Raises
    ------
    UnknownName
        If the path does not exist, or a study names a claim that is not in the catalogue.
    ProblemError
        If a study's variants are not the claim's.
    """
    if not path.exists():
        raise UnknownName(
            "studies folder",
            str(path),
            [p.name for p in Path.cwd().iterdir() if p.is_dir() and (p / "catalogue.py").exists()],
            "Run fpk in the folder that holds it, or say where it is: --studies PATH.",
        )
    if path.is_file() and path.suffix != ".py":
        raise ProblemError(f"{path} is not a Python file: give a folder of studies, or one file.")
    with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to --json
        modules = list(_imported(path.resolve()))
    stated: list[Claim] = [claim for module in modules for claim in getattr(module, "CLAIMS", ())]
    remarks: list[Remark] = [remark for module in modules for remark in getattr(module, "REMARKS", ())]
    claims = {claim.id: claim for claim in stated}
    if not claims:
        raise ProblemError(
            f"{path} has no claims: define CLAIMS = (fpk.study.Claim(...), ...) in its catalogue.py (or in the one file)."
        )
    studies = [s for module in modules for s in REGISTERED.get(module.__name__, ())]
    for what, ids in (
        ("claims or remarks", [c.id for c in (*stated, *remarks)]),
        ("studies of the claim", [s.claim for s in studies]),
    ):
        if twice := [id for id, count in Counter(ids).items() if count > 1]:
            raise ProblemError(f"{path}: two {what} {', '.join(map(repr, twice))}; one is needed.")
    for s in studies:
        if s.claim not in claims:
            raise UnknownName("claim (of a study)", s.claim, claims)
        if set(s.variants) != set(claims[s.claim].expected):
            odd = sorted(set(s.variants) ^ set(claims[s.claim].expected))
            raise ProblemError(f"{s.name}: variants and the catalogue's expectations for {s.claim} differ in {odd}.")
    if missing := [id for id in claims if id not in {s.claim for s in studies}]:
        raise ProblemError(
            f"{path}: no study computes the claim {', '.join(map(repr, missing))}; decorate one with @study."
        )
    order = {id: k for k, id in enumerate(claims)}
    return Catalogue(path, claims, tuple(sorted(studies, key=lambda s: order[s.claim])), tuple(remarks))


@lru_cache(maxsize=8)
def known_catalogue(path: str) -> Catalogue:
    """The catalogue at a path, read once by a process that computes many of its tasks."""
    return load_catalogue(Path(path))


def _imported(path: Path) -> Iterator[ModuleType]:
    """Import a study file, or every study file of a folder, as parts of a package of their own, so that relative imports work."""
    root = _root_of(path)
    package = f"fpk_studies_{zlib.crc32(str(root).encode()):08x}"
    if root.is_file():
        yield loaded_module(f"{package}.{path.stem}", path, None)
        return
    loaded_module(package, root / "__init__.py", [str(root)])
    for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
        if not file.name.startswith("_") and EXAMPLES not in file.relative_to(path).parts[:-1]:
            name = ".".join((package, *file.relative_to(root).with_suffix("").parts))
            with _named_failure(name, file):
                module = sys.modules[name] if name in sys.modules else importlib.import_module(name)
            yield module


def _root_of(path: Path) -> Path:
    """The outermost package around a file or folder; itself where there is none."""
    around = list(itertools.takewhile(lambda folder: (folder / "__init__.py").exists(), path.parents))
    return around[-1] if around else path


@contextlib.contextmanager
def _named_failure(name: str, file: Path) -> Iterator[None]:
    """Say which study file failed to import, and forget what it had registered."""
    try:
        yield
    except Exception as error:
        sys.modules.pop(name, None)
        REGISTERED.pop(name, None)
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise ProblemError(
            f"cannot import the study file {file} ({Path(last.filename).name} line {last.lineno}): {type(error).__name__}: {error}"
        ) from error


def loaded_module(name: str, file: Path, search: list[str] | None) -> ModuleType:
    """Import a file under a name; a package that searches ``search`` where given, of its own making where the file does not exist."""
    if name in sys.modules:
        return sys.modules[name]
    if search is not None and not file.exists():
        module = ModuleType(name)
        module.__path__ = search
        sys.modules[name] = module
        return module
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=search)
    assert spec is not None, file
    assert spec.loader is not None, file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _named_failure(name, file):
        spec.loader.exec_module(module)
    return module
