r"""The kill matrix: which claims notice which wrong formula, and which claims no wrong formula can touch.

For each *form* of a claim that should be confirmed (stated, corrected) and each mutant of the library, the form is computed with the mutant
planted and judged by the claim's own rule, with the tolerance of the clean run:

killed
    REFUTED.
crashed
    The computation refused or failed.
undecided
    UNDECIDED: noticed, not refuted.
survived
    CONFIRMED although the planted function was called and differed.
equivalent
    The function was never called, or never differed, and the numbers are those of the clean run.

A claim that no near-miss can get REFUTED is a *tautology*: its two sides move together.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fpk.catalogue import Catalogue, known_catalogue, loaded_module
from fpk.marginals import zero_estimate
from fpk.mutants import MUTANTS, Mutant, planted, traced
from fpk.mutants.planting import same
from fpk.records import judged
from fpk.runner import Done, computed, run, versions
from fpk.store import Store, address, code_digest
from fpk.study import REGISTERED, Evidence, Size, Study
from fpk.tasks import Task, tasks_of
from fpk.verdict import Outcome

#: Forms of a claim that are computed with mutants; a degenerate form says by design less than its claim.
FORMS = ("stated", "corrected", "inside")
#: Stands in a task for the run that only records which functions are called.
TRACE = "(calls recorded)"
QUICK = Size("quick")
OUTCOMES = ("killed", "crashed", "undecided", "survived", "equivalent")


@dataclass(frozen=True)
class MutatedTask(Task):
    """A form of a claim in one case, to be computed with a mutant planted."""

    mutant: str = TRACE


@dataclass(frozen=True)
class Cell:
    """What one form of a claim, in one case, makes of one mutant."""

    mutant: str
    claim: str
    form: str
    case: str
    outcome: str
    reason: str = ""

    @property
    def check(self) -> str:
        """Claim and case, for people."""
        return f"{self.claim} [{self.case}]" if self.case else self.claim


# -- computing --------------------------------------------------------------------------------------------------------------


def mutated_tasks(clean: Sequence[Task], mutants: Sequence[str]) -> list[MutatedTask]:
    """The forms among clean tasks, each with each mutant; their addresses contain the mutant and the code of all mutants."""
    here = Path(__file__)
    code = [code_digest(here), code_digest(here.with_name("mutants"))]
    plain = [task for task in clean if task.variant in FORMS]
    return [
        MutatedTask(**asdict(replace(t, key=address({"clean": t.key, "mutant": m, "code": code}))), mutant=m)
        for m in mutants
        for t in plain
    ]


def mutated(task: Task, store_root: str, fresh: bool = False) -> str:
    """Compute one task with its mutant planted (unless stored) and store what came out, a crash included; returns an error text."""
    store = Store(Path(store_root))
    if not isinstance(task, MutatedTask):
        return f"{task.check} names no mutant"
    if not fresh and store.load(task.key) is not None:
        return ""
    start = time.perf_counter()
    found, notes = _traced(task) if task.mutant == TRACE else with_mutant(task, MUTANTS[task.mutant])
    notes |= {"cost_seconds": round(time.perf_counter() - start, 3), "versions": versions()}
    store.save(task.key, found, notes | task.provenance())
    return ""


def _traced(task: MutatedTask) -> tuple[Evidence, dict[str, Any]]:
    """The clean computation from imports on, with the names of the mutants whose formula it uses."""
    targets = sorted({mutant.target for mutant in MUTANTS.values()})
    with traced(targets) as calls:
        found, error = _computed(task)
    return found, {"called": [target for target in targets if calls[target].count], "error": error}


def with_mutant(task: MutatedTask, mutant: Mutant) -> tuple[Evidence, dict[str, Any]]:
    """A form's evidence with the mutant planted, and what happened to the mutated function.

    Returns
    -------
    Evidence
        A placeholder after a failure.
    dict
        ``calls``, ``differed`` and ``error`` (empty when all is well).
    """
    with planted(mutant) as calls:
        found, error = _computed(task, calls.forget)
    return found, {"calls": calls.count, "differed": calls.differed, "error": error}


def _computed(task: MutatedTask, ready: Callable[[], None] = lambda: None) -> tuple[Evidence, str]:
    """The form's evidence from a fresh import of its study; after a failure a placeholder and the error."""
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # wrong formulas overflow
        try:
            with imported_anew(known_catalogue(task.studies), task.claim) as study:
                ready()
                return study.compute(study.variants[task.variant], task.case, Size(task.size), task.seed), ""
        except (Exception, SystemExit) as error:
            nothing = zero_estimate(1)
            return Evidence(nothing, nothing, ("nothing",)), f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def imported_anew(catalogue: Catalogue, claim: str) -> Iterator[Study]:
    """The study of a claim from a fresh import of its files, so that nothing computed or cached before or meanwhile is shared."""
    module = catalogue.study_of(claim).module
    package, path = module.partition(".")[0], catalogue.path.resolve()
    held = [_taken(sys.modules, package), _taken(REGISTERED, package)]
    try:
        loaded_module(*((module, path, None) if path.is_file() else (package, path / "__init__.py", [str(path)])))
        importlib.import_module(module)
        yield next(s for s in REGISTERED[module] if s.claim == claim)
    finally:
        for kept, there in zip(held, (sys.modules, REGISTERED), strict=True):
            _taken(there, package)
            there.update(kept)


def _taken(there: Any, package: str) -> dict[str, Any]:
    """Take a package's entries, and those of its modules, out of a mapping."""
    names = [name for name in there if name == package or name.startswith(f"{package}.")]
    return {name: there.pop(name) for name in names}


# -- judging ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KillMatrix:
    """What became of every mutant in every claim.

    Parameters
    ----------
    cells : tuple of Cell
        Only pairs in which the mutated function is called at all; the others are equivalent.
    mutants : tuple of Mutant
    claims : tuple of str
        Claims with a form that the clean run confirms.
    unusable : mapping from check to str
        Forms that the clean run does not confirm, which therefore can kill nothing.
    """

    cells: tuple[Cell, ...]
    mutants: tuple[Mutant, ...]
    claims: tuple[str, ...]
    unusable: Mapping[str, str]

    def of(self, mutant: str) -> list[Cell]:
        """The cells of a mutant."""
        return [cell for cell in self.cells if cell.mutant == mutant]

    def fate(self, mutant: str) -> str:
        """The best outcome any claim achieves; ``unreached`` where no claim calls the formula at all."""
        found = {cell.outcome for cell in self.of(mutant)}
        return next((outcome for outcome in OUTCOMES if outcome in found), "unreached")

    @property
    def tautologies(self) -> tuple[str, ...]:
        """Claims that no near-miss of a library formula refutes."""
        near = {mutant.name for mutant in self.mutants if mutant.near}
        flipped = {cell.claim for cell in self.cells if cell.mutant in near and cell.outcome == "killed"}
        return tuple(claim for claim in self.claims if claim not in flipped)

    @property
    def holes(self) -> tuple[Mutant, ...]:
        """Mutants that change a claim's computation, are killed by none, and have no excuse."""
        return tuple(m for m in self.mutants if self.fate(m.name) in ("undecided", "survived") and not m.excuse)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        rows = [
            {"name": m.name, "target": m.target, "subject": m.subject, "near": m.near, "fate": self.fate(m.name),
             "excuse": m.excuse, "checks": {o: [c.check for c in self.of(m.name) if c.outcome == o] for o in OUTCOMES}}
            for m in self.mutants
        ]  # fmt: skip
        return {
            "schema": "fpk/1",
            "mutants": rows,
            "claims": list(self.claims),
            "tautologies": list(self.tautologies),
            "holes": [m.name for m in self.holes],
            "unusable": dict(self.unusable),
            "cells": [asdict(cell) for cell in self.cells],
        }


def kill_matrix(
    catalogue: Catalogue,
    chosen: Sequence[Study],
    store: Store,
    *,
    mutants: Sequence[Mutant] = tuple(MUTANTS.values()),
    size: Size = QUICK,
    root_seed: int = 0,
    jobs: int = 1,
    advance: Callable[[str, int], None] = lambda check, left: None,
) -> KillMatrix:
    """Compute and judge all forms with all mutants, going on where an earlier run stopped.

    Parameters
    ----------
    catalogue : Catalogue
    chosen : sequence of Study
    store : Store
        Holds the clean evidence and, under addresses of their own, the mutated ones.
    mutants : sequence of Mutant, default all
    size : Size, default quick
    root_seed : int, default 0
        The forms keep the seeds of the clean run.
    jobs : int, default 1
        Worker processes.
    advance : callable
        Told the check that was finished, and how many are left of this stage.
    """
    clean = tasks_of(catalogue, chosen, size=size, root_seed=root_seed)
    before = _finished(clean, store, jobs, advance)
    judge = _Judge(catalogue, before)
    usable = [task for task in clean if task.variant in FORMS and judge.usable(task)]
    traces = _finished(mutated_tasks(usable, [TRACE]), store, jobs, advance, mutated)
    called = {done.task.check: done.provenance.get("called", ()) for done in traces}
    todo = mutated_tasks(usable, [m.name for m in mutants])
    todo = [task for task in todo if MUTANTS[task.mutant].target in called[task.check]]
    cells = [judge.cell(done) for done in _finished(todo, store, jobs, advance, mutated)]
    rank = {m.name: k for k, m in enumerate(mutants)}
    cells = sorted(cells, key=lambda cell: (rank[cell.mutant], judge.order[cell.claim], cell.case))
    claims = dict.fromkeys(task.claim for task in usable)
    return KillMatrix(tuple(cells), tuple(mutants), tuple(claims), judge.unusable)


def _finished(
    tasks: Sequence[Task],
    store: Store,
    jobs: int,
    advance: Callable[[str, int], None],
    compute: Callable[[Task, str, bool], str] = computed,
) -> list[Done]:
    found = []
    with contextlib.closing(run(tasks, store, jobs=jobs if len(tasks) > 1 else 1, compute=compute)) as running:
        for done in running:
            found.append(done)
            advance(f"{done.task.check} · {getattr(done.task, 'mutant', '')}".rstrip(" ·"), len(tasks) - len(found))
    return found


class _Judge:
    """Judges mutated forms among the clean variants of their claim and case, so that tolerance and rule are those of the clean run."""

    def __init__(self, catalogue: Catalogue, clean: Sequence[Done]) -> None:
        self.catalogue = catalogue
        self.order = {id: k for k, id in enumerate(catalogue.claims)}
        self.groups: dict[tuple[str, str], list[Done]] = {}
        for done in clean:
            self.groups.setdefault((done.task.claim, done.task.case), []).append(done)
        self.clean = {done.task.check: done for done in clean}
        self.unusable = {
            r.id + (f" [{r.case}]" if r.case else ""): r.error or f"{r.verdict}: {r.reason}"
            for r in (j.record for j in judged(catalogue, clean))
            if r.variant in FORMS and r.expected == Outcome.CONFIRMED and not r.holds
        }

    def usable(self, task: Task) -> bool:
        """Whether the clean run confirms this form, as it should."""
        expected = self.catalogue.claims[task.claim].expected[task.variant] == Outcome.CONFIRMED
        return expected and task.claim + (f" [{task.case}]" if task.case else "") not in self.unusable

    def cell(self, done: Done) -> Cell:
        """The cell of a mutated form."""
        task = done.task
        assert isinstance(task, MutatedTask), task
        outcome, reason = self._outcome(done)
        return Cell(task.mutant, task.claim, task.variant, task.case, outcome, reason)

    def _outcome(self, done: Done) -> tuple[str, str]:
        if error := done.error or done.provenance.get("error", ""):
            return "crashed", error
        if _unchanged(done.evidence, self.clean[done.task.check].evidence):
            if done.provenance["differed"]:
                return "survived", "the formula gives other values, the claim's numbers do not change"
            return "equivalent", "the formula is not called" if not done.provenance[
                "calls"
            ] else "the values do not differ"
        group = [done if d.task.check == done.task.check else d for d in self.groups[done.task.claim, done.task.case]]
        record = next(j.record for j in judged(self.catalogue, group) if j.record.variant == done.task.variant)
        names = {Outcome.REFUTED: "killed", Outcome.CONFIRMED: "survived", Outcome.UNDECIDED: "undecided"}
        return (names[Outcome(record.verdict)], record.reason) if record.verdict else ("crashed", record.error)


def _unchanged(found: Evidence | None, clean: Evidence | None) -> bool:
    """Whether both sides carry the same numbers, bit for bit."""
    if found is None or clean is None or found.names != clean.names:
        return False
    return all(same(getattr(found, side), getattr(clean, side)) for side in ("first", "second"))
