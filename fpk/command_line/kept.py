"""What a store holds, record by record, and how a person's words (an id, a key or its beginning) find records in it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fpk.catalogue import Catalogue
from fpk.errors import StoreError, UnknownName, quoted
from fpk.runner import versions
from fpk.store import Store
from fpk.study import Evidence, Size, Study
from fpk.tasks import Task, input_changes, task_of, tasks_of

KEY = re.compile(r"[0-9a-f]{64}")
#: What may be the beginning of a key.
BEGINNING = re.compile(r"[0-9a-f]{6,64}")
#: Longest name that is looked for.
LONGEST = 300


@dataclass(frozen=True)
class Kept:
    """One record as it lies in a store; ``evidence`` is None where it is damaged."""

    key: str
    path: Path
    evidence: Evidence | None
    provenance: Mapping[str, Any]

    @property
    def task(self) -> Mapping[str, Any]:
        """The task as it was stored, without its inputs."""
        return self.provenance.get("task", {})

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The named inputs of the address; empty for records of versions that did not keep them."""
        return self.provenance.get("inputs") or {}

    @property
    def check(self) -> tuple[str, str, str]:
        """Claim, variant and case."""
        return self.task.get("claim", ""), self.task.get("variant", ""), self.task.get("case", "")

    @property
    def name(self) -> str:
        """Claim, variant and case, with the mutant where one was planted, for people."""
        return " · ".join(part for part in (*self.check, self.task.get("mutant", "")) if part)

    @property
    def damaged(self) -> bool:
        """Whether something stands in its place that is not this record."""
        return self.evidence is None and self.path.exists()

    @property
    def bytes(self) -> int:
        """Size of the file; 0 if it is gone meanwhile."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def age(self) -> float:
        """Seconds since it was written."""
        return max(0.0, time.time() - self.path.stat().st_mtime) if self.path.exists() else 0.0


def kept(store: Store, key: str) -> Kept:
    """The record of a whole key.

    Raises
    ------
    StoreError
        If its file may not be read: whether it is damaged is not known then.
    """
    found, path = store.load(key), store.path(key)
    if found is None and path.exists():
        try:
            path.open("rb").close()
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error}. Its owner can make it readable.") from error
    return Kept(key, path, *(found or (None, {})))


def at_address(store: Store, task: Task) -> Kept:
    """What stands at the address of a task; a damaged record, which cannot tell, is of that task."""
    found = kept(store, task.key)
    return replace(found, provenance=task.provenance()) if found.damaged else found


def keys_of(store: Store) -> list[str]:
    """Keys of everything in the store that stands where a record stands; other files are none of ours."""
    return [key for key in store.keys() if KEY.fullmatch(key) and store.path(key).is_file()]  # noqa: SIM118 # not a dict


def everything(store: Store) -> Iterator[Kept]:
    """All records, damaged ones too."""
    return (kept(store, key) for key in keys_of(store))


def key_like(name: str, catalogue: Catalogue | None = None) -> bool:
    """Whether a name is a key or the beginning of one, and no claim is called so.

    Raises
    ------
    StoreError
        If it is empty, or too long to be the name of anything.
    """
    if not name.strip() or len(name) > LONGEST:
        raise StoreError(
            f"{quoted(name)} names no record: give the id of a claim (fpk list) or a key (fpk store ls ID)."
        )
    return BEGINNING.fullmatch(name) is not None and (catalogue is None or name not in catalogue.claims)


def by_key(store: Store, beginning: str) -> Kept:
    """The one record whose key begins so.

    Raises
    ------
    StoreError
        If there is none, or several.
    """
    found = [key for key in keys_of(store) if key.startswith(beginning)]
    if len(found) == 1:
        return kept(store, found[0])
    if found:
        listed = ", ".join(key[: len(beginning) + 6] for key in found[:5])
        raise StoreError(
            f"{len(found)} records in {store.root} have keys that begin with {beginning}: {listed}; give more of it."
        )
    raise StoreError(
        f"no record in {store.root} has a key that begins with {beginning}: fpk store ls ID lists those of a claim."
    )


def chosen_checks(
    catalogue: Catalogue, name: str, variant: str | None = None, case: str | None = None
) -> list[tuple[Study, str, str]]:
    """Study, variant and case of every check of a claim, or of those that the options leave.

    Raises
    ------
    UnknownName
        If nothing is called so; names that are near are told.
    """
    key_like(name)
    studies = catalogue.selected([name])
    if not studies:
        raise StoreError(f"{name} is a remark on wording: nothing is computed for it.")
    checks = [(study, *check) for study in studies for check in study.checks]
    for what, wanted, at in (("variant", variant, 1), ("case", case, 2)):
        if wanted is not None:
            known = {str(check[at]) for check in checks}
            if wanted not in known:
                raise UnknownName(f"{what} of {name}", wanted[:LONGEST], known)
            checks = [check for check in checks if check[at] == wanted]
    return checks


def current(
    catalogue: Catalogue, checks: Sequence[tuple[Study, str, str]], size: str, root_seed: int = 0
) -> list[Task]:
    """The tasks a run of today would compute for some checks."""
    wanted = {(study.claim, variant, case) for study, variant, case in checks}
    studies = list({study.claim: study for study, *_ in checks}.values())
    tasks = tasks_of(catalogue, studies, size=Size(size), root_seed=root_seed)
    return [task for task in tasks if (task.claim, task.variant, task.case) in wanted]


def sizes_of(quick: bool | None) -> tuple[str, ...]:
    """Sizes that are looked at, the first that is stored counts: both, where nobody asked for one."""
    return ("full", "quick") if quick is None else ("quick",) if quick else ("full",)


def again(catalogue: Catalogue, record: Kept) -> Task:
    """The task of a stored record with the code of today: same claim, variant, case, size and seed.

    Raises
    ------
    UnknownName
        If the claim, the variant or the case is no longer there.
    """
    claim, variant, case = record.check
    if claim not in catalogue.claims:
        raise UnknownName("claim (of the record)", claim, catalogue.claims)
    study = catalogue.study_of(claim)
    for what, wanted, known in (("variant", variant, study.variants), ("case", case, study.cases)):
        if wanted not in known:
            raise UnknownName(f"{what} (of the record) of {claim}", wanted, known)
    return task_of(catalogue, study, variant, case, size=Size(record.task["size"]), seed=record.task["seed"])


def newest(records: Sequence[Kept], likeness: Callable[[Kept], Any] = lambda record: 0) -> Kept | None:
    """The record that is most like what is looked for, the youngest of several."""
    return max(records, key=lambda record: (likeness(record), -record.age), default=None)


def older(store: Store, tasks: Sequence[Task], sizes: Sequence[str]) -> dict[tuple[str, str, str], list[Kept]]:
    """Undamaged records of the checks of some tasks, whatever code and seed they come from, without those of mutants."""
    checks = {(task.claim, task.variant, task.case) for task in tasks}
    found: dict[tuple[str, str, str], list[Kept]] = {}
    for record in everything(store):
        if record.check in checks and record.task.get("size") in sizes and "mutant" not in record.task:
            found.setdefault(record.check, []).append(record)
    return found


def changes_since(record: Kept, task: Task, root: Path) -> list[str]:
    """What changed from a record of the store at ``root`` to a task, in words; libraries too, which no address depends on."""
    if record.key == task.key:
        return []
    known = record.inputs or {name: record.task[name] for name in ("claim", "variant", "case", "size", "seed")}
    told = [change.text for change in input_changes(known, task.inputs, root)]
    if not record.inputs:
        told.append("code or version: an older fpk did not keep which")
    now = versions()
    libraries = [f"{n} {v} → {now[n]}" for n, v in record.provenance.get("versions", {}).items() if now.get(n, v) != v]
    return told + ([f"(no part of the address: {', '.join(libraries)})"] if libraries else [])
