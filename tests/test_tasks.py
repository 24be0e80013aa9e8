"""Tasks: what the address of a record depends on, by name, and that the names are kept with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fpk import tasks as tasks_module
from fpk.catalogue import load_catalogue
from fpk.runner import run
from fpk.store import Store, engine_digest
from fpk.study import Size, seed_for
from fpk.tasks import Task, address_of, engine_modules, keep_engine, kept_engine, short_inputs, task_of, tasks_of


def tasks_in(path: Path, size: str = "quick", root_seed: int = 0) -> list[Task]:
    catalogue = load_catalogue(path)
    return tasks_of(catalogue, catalogue.studies, size=Size(size), root_seed=root_seed)


def test_tasks_are_all_variants_in_all_cases_with_derived_seeds(tiny: Path) -> None:
    tiny.write_text(tiny.read_text().replace('"sign": -2.0}', '"sign": -2.0}, cases=("a", "b")'))
    tasks = tasks_in(tiny, root_seed=7)
    assert [task.check for task in tasks] == [
        f"tiny.sum/{v}/{c}" for c in "ab" for v in ("stated", "two + 5 %", "sign")
    ]
    assert [task.seed for task in tasks] == [seed_for(7, task.check) for task in tasks]
    assert len({task.key for task in tasks}) == len(tasks)


def test_size_and_root_seed_have_addresses_of_their_own(tiny: Path) -> None:
    keys = [{t.key for t in tasks_in(tiny, **given)} for given in ({}, {"size": "full"}, {"root_seed": 1})]  # type: ignore[arg-type]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]


def test_only_a_study_that_counts_verdicts_depends_on_how_verdicts_are_reached(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = load_catalogue(tiny)
    plain = catalogue.studies[0]

    def found() -> list[Task]:
        both = [plain, replace(plain, judging=True)]
        return [tasks_of(catalogue, [s], size=Size("quick"), root_seed=0)[0] for s in both]

    before = found()
    monkeypatch.setattr(tasks_module, "judging_digest", lambda: "another rule")
    after = found()
    assert before[0].key == after[0].key
    assert before[1].key != after[1].key
    assert "judging" not in after[0].inputs
    assert after[1].inputs["judging"] == "another rule"


FOLDER = {
    "catalogue.py": """
from fpk.study import Claim
from fpk.verdict import Outcome
CLAIMS = (Claim("one", "identity", "", "", "", {"stated": Outcome.CONFIRMED, "wrong": Outcome.REFUTED}),)
""",
    "question.py": """
import numpy as np
import fpk
from fpk.marginals import zero_estimate
from fpk.study import Evidence, study
from . import beside
from ._shared import BOUND

@study("one", variants={"stated": 0.0, "wrong": 1.0})
def question(variant, case, size, seed):
    return Evidence(fpk.residual(np.array([variant]), BOUND * beside.FACTOR), zero_estimate(1), ("r",))
""",
    "_shared.py": "BOUND = 1e-12\n",
    "beside.py": "from .deep.well import FACTOR\n",
    "deep/well.py": "FACTOR = 1.0\n",
    "apart.py": "UNUSED = 1\n",
}


def folder_tasks(folder: Path, changed: dict[str, str]) -> list[Task]:
    for name, text in (FOLDER | changed).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tasks_in(folder)


def changed_inputs(one: Task, other: Task) -> set[str]:
    flat = [{name: v for name, v in t.inputs.items() if name != "files"} | t.inputs["files"] for t in (one, other)]
    return {name for name in flat[0].keys() | flat[1].keys() if flat[0].get(name) != flat[1].get(name)}


@pytest.mark.parametrize(
    ("file", "changed", "inputs"),
    [
        ("question.py", FOLDER["question.py"].replace("np.array([variant])", "np.array([2 * variant])"), {"question.py"}),
        ("question.py", FOLDER["question.py"].replace("1.0})", "1.0}, version=2)"), {"question.py", "version"}),
        ("_shared.py", "BOUND = 1e-9\n", {"_shared.py"}),
        ("beside.py", "from .deep.well import FACTOR\nFACTOR *= 2\n", {"beside.py"}),
        ("beside.py", "FACTOR = 1.0\n", {"beside.py", "deep/well.py"}),
        ("deep/well.py", "FACTOR = 3.0\n", {"deep/well.py"}),
        ("question.py", "# a remark\n" + FOLDER["question.py"].replace("variant, case", "variant,  case"), set()),
        ("apart.py", "UNUSED = 2\n", set()),
        ("catalogue.py", FOLDER["catalogue.py"].replace('"identity", ""', '"identity", "In other words."'), set()),
    ],
)  # fmt: skip
def test_the_address_follows_the_study_and_what_it_imports_and_says_which(
    tmp_path: Path, file: str, changed: str, inputs: set[str]
) -> None:
    before = folder_tasks(tmp_path / "before", {})
    after = folder_tasks(tmp_path / "after", {file: changed})
    assert [changed_inputs(*pair) for pair in zip(before, after, strict=True)] == [inputs] * 2
    assert all((one.key != other.key) is bool(inputs) for one, other in zip(before, after, strict=True))


def test_a_file_and_its_folder_give_the_same_inputs(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    (folder / "__init__.py").parent.mkdir()
    (folder / "__init__.py").write_text('"""A package."""\n')
    claims = FOLDER["catalogue.py"].replace("\nfrom", "\nimport fpk\nfrom", 1)
    whole = folder_tasks(folder, {"question.py": claims + FOLDER["question.py"], "catalogue.py": ""})
    alone = tasks_in(folder / "question.py")
    assert [t.inputs for t in alone] == [t.inputs for t in whole]
    assert set(whole[0].inputs["files"]) == {"__init__.py", "question.py", "_shared.py", "beside.py", "deep/well.py"}


def test_each_study_has_the_files_it_imports_and_no_others(tmp_path: Path) -> None:
    second = FOLDER["catalogue.py"].replace(
        "CLAIMS = (",
        "CLAIMS = (Claim('two', 'identity', '', '', '', {'stated': Outcome.CONFIRMED, 'wrong': Outcome.REFUTED}), ",
    )
    alone = (
        FOLDER["question.py"]
        .replace('"one"', '"two"')
        .replace("from . import beside\n", "")
        .replace(" * beside.FACTOR", "")
    )
    tasks = folder_tasks(tmp_path, {"catalogue.py": second, "second.py": alone})
    found = {task.claim: set(task.inputs["files"]) for task in tasks}
    assert found == {
        "two": {"second.py", "_shared.py"},
        "one": {"question.py", "_shared.py", "beside.py", "deep/well.py"},
    }


def test_a_decorated_study_function_is_addressed_by_its_file(tmp_path: Path) -> None:
    """functools.lru_cache and the like have no code object of their own."""
    text = (
        FOLDER["question.py"]
        .replace("\n@study", "\nimport functools\n\n@study")
        .replace("\ndef question", "\n@functools.lru_cache\ndef question")
    )
    assert len(folder_tasks(tmp_path, {"question.py": text})) == 2


@pytest.mark.parametrize(
    "name", ["study", "claim", "variant", "case", "size", "seed", "version", "engine", "files", "judging"]
)
def test_every_named_input_changes_the_address(tiny: Path, name: str) -> None:
    inputs = dict(tasks_in(tiny)[0].inputs)
    other = inputs | {name: {"tiny.py": "other"} if name == "files" else "other"}
    assert address_of(other) != address_of(inputs)


def test_a_record_keeps_the_inputs_its_address_is_made_of(tiny: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for done in run(tasks_in(tiny), store):
        kept = done.provenance["inputs"]
        assert kept == done.task.inputs
        assert address_of(json.loads(json.dumps(kept, sort_keys=True))) == done.task.key
        assert "inputs" not in done.provenance["task"]


def test_a_task_can_have_a_seed_of_its_own(tiny: Path) -> None:
    catalogue = load_catalogue(tiny)
    own = task_of(catalogue, catalogue.studies[0], "sign", "", size=Size("quick"), seed=5)
    assert (own.seed, own.inputs["seed"]) == (5, 5)
    assert own.key not in {t.key for t in tasks_in(tiny)}


def test_inputs_for_people_are_flat_and_short() -> None:
    assert short_inputs({}) == {}
    digest = "0123456789abcdef" * 4
    found = short_inputs(
        {"claim": "c", "seed": 3, "version": 1, "engine": digest, "judging": digest, "files": {"a.py": digest}}
    )
    assert found == {"version": "1", "engine": digest[:12], "judging": digest[:12], "a.py": digest[:12]}


# -- the engine's note ------------------------------------------------------------------------------------------------------


def test_a_store_keeps_which_modules_its_engine_was_made_of(tiny: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    list(run(tasks_in(tiny), Store(root)))
    kept = kept_engine(root, engine_digest()) or {}
    assert kept == engine_modules()
    assert {"particles/engine.py", "problem.py"} <= set(kept)
    assert not {"reporting.py", "comparison.py", "command_line/run.py"} & set(kept), "these compute no evidence"


@pytest.mark.parametrize("text", ["", "[1]", "{", "\x00", "{}", '{"problem.py": "another"}'])
def test_a_damaged_note_counts_as_none(tmp_path: Path, text: str) -> None:
    keep_engine(tmp_path)
    (note,) = (tmp_path / "engines").iterdir()
    note.write_text(text)
    assert kept_engine(tmp_path, engine_digest()) is None


def test_a_note_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "engines").write_text("in the way")
    keep_engine(tmp_path)
    assert kept_engine(tmp_path, engine_digest()) is None
