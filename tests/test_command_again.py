"""The commands about what is stored: diff, rerun, why and store, as somebody at a terminal meets them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fpk import runner, tasks
from fpk.command_line import main
from fpk.store import Store, engine_digest
from fpk.study import REGISTERED

Fpk = Callable[..., Result]


@pytest.fixture
def fpk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fpk]:
    """A command in the folder of the test, in this process, with nothing remembered of files that were edited meanwhile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # an edit within a second is one
    for name in [name for name in os.environ if name.startswith("FPK_")]:
        monkeypatch.delenv(name)

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith("fpk_studies_")]:
            if str(tmp_path) in str(vars(sys.modules[name]).get("__file__")):
                del sys.modules[name]
                REGISTERED.pop(name, None)
        for value in vars(runner).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()

    cached = tasks.code_digest
    monkeypatch.setattr(tasks, "code_digest", lambda f: (cached.__wrapped__ if tmp_path in f.parents else cached)(f))

    def run(*arguments: object) -> Result:
        forget()
        return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)

    yield run
    forget()


@pytest.fixture
def stored(tiny: Path, fpk: Fpk) -> Path:
    """The tiny study, run once at the quick size."""
    assert fpk("run", tiny, "--quick").exit_code == 0
    return tiny


def plain(done: Result, code: int = 0) -> dict[str, Any]:
    """The one JSON object of a command."""
    assert done.exit_code == code, done.output
    found = json.loads(done.stdout)
    assert found["schema"] == "fpk/1"
    return found


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder, by the digest of its bytes."""
    found = (p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def keys(folder: Path) -> dict[str, str]:
    """Keys in a store by variant, of the newest code."""
    store, out = Store(folder / ".fpk"), {}
    for path in sorted((folder / ".fpk" / "records").glob("*/*.npz"), key=lambda p: p.stat().st_mtime_ns):
        found = store.load(path.stem)
        if found is not None:
            out[found[1]["task"]["variant"]] = path.stem
    return out


def calls(tiny: Path) -> list[str]:
    return tiny.with_name("calls.log").read_text().split()


def damage(folder: Path, key: str) -> Path:
    path = Store(folder / ".fpk").path(key)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 3] ^= 1
    path.write_bytes(whole)
    return path


# -- rerun ------------------------------------------------------------------------------------------------------------------


def test_rerun_computes_a_claim_again_and_finds_the_same_bits(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    before = files(tmp_path / ".fpk")
    done = fpk("rerun", "tiny.sum", "--studies", stored)
    assert done.exit_code == 0
    assert "3 of 3 records are bitwise equal" in done.stdout
    assert calls(stored) == ["2.0", "2.1", "-2.0"] * 2, "really computed"
    assert files(tmp_path / ".fpk") == before, "the store is only read"


def test_rerun_of_a_key_or_its_beginning_is_of_that_record_alone(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    key = keys(tmp_path)["two + 5 %"]
    for name in (key, key[:10]):
        (row,) = plain(fpk("rerun", name, "--studies", stored, "--json"))["records"]
        assert (row["key"], row["variant"], row["equal"], row["differences"]) == (key, "two + 5 %", True, [])
    assert calls(stored)[3:] == ["2.1", "2.1"]


def test_several_names_are_each_computed_once(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    found = plain(fpk("rerun", "tiny", keys(tmp_path)["sign"], "tiny.sum", "--studies", stored, "--json"))
    assert len(found["records"]) == len(calls(stored)) - 3 == 3
    assert len(plain(fpk("why", "tiny", keys(tmp_path)["sign"], "--studies", stored, "--json"))["checks"]) == 4


def test_rerun_takes_seed_and_size_from_the_record(tiny: Path, tmp_path: Path, fpk: Fpk) -> None:
    edit(tiny, "1.0 + 1.0 - variant, 0.0", "1.0 + 1.0 - variant, 1e-14 * (seed % 999) + (size.name == 'quick')")
    fpk("run", tiny, "--quick", "--seed", "77")
    (row,) = plain(fpk("rerun", keys(tmp_path)["sign"], "--studies", tiny, "--json"))["records"]
    assert row["equal"]
    assert row["size"] == "quick"
    assert len(plain(fpk("rerun", "tiny.sum", "--studies", tiny, "--json"))["records"]) == 3, "found whatever its seed"


def test_rerun_says_how_far_and_what_changed(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    edit(stored, "1.0 + 1.0 - variant", "1.0 + 1.0 - variant + 3e-12")
    done = fpk("rerun", "tiny.sum", "--variant", "stated", "--studies", stored)
    assert done.exit_code == 1
    assert "first.value: 1 of 2 numbers differ, at most 3e-12 apart" in done.stdout
    assert "changed since it was stored: tiny.py: changed" in done.stdout
    (row,) = plain(fpk("rerun", "tiny.sum", "--variant", "stated", "--studies", stored, "--json"), 1)["records"]
    (found,) = row["differences"]
    assert found["array"] == "first.value"
    evidence, _ = Store(tmp_path / ".fpk").load(row["key"]) or pytest.fail("not stored")
    assert found["largest"] == pytest.approx(3e-12, rel=1e-3)
    assert found["budgets"] == pytest.approx(found["largest"] / evidence.first.bias_bound[0])


def test_rerun_notices_a_single_bit(stored: Path, fpk: Fpk) -> None:
    edit(stored, "1.0 + 1.0 - variant, 0.0", "1.0 + 1.0 - variant, -0.0")
    done = fpk("rerun", "tiny.sum", "--variant", "sign", "--studies", stored)
    assert done.exit_code == 1
    assert "equal numbers in other bits" in done.stdout


def test_rerun_notices_another_number_of_functionals(stored: Path, fpk: Fpk) -> None:
    edit(stored, "1.0 + 1.0 - variant, 0.0]", "1.0 + 1.0 - variant]")
    edit(stored, 'zero_estimate(2), ("1 + 1", "0")', 'zero_estimate(1), ("1 + 1",)')
    found = fpk("rerun", "tiny.sum", "--variant", "sign", "--studies", stored)
    assert found.exit_code == 1
    assert "first.value: not of the same kind or shape" in found.stdout


def test_rerun_of_what_crashes_now_shows_its_error(stored: Path, fpk: Fpk) -> None:
    edit(stored, "    first = ", "    raise RuntimeError('dry')\n    first = ")
    done = fpk("rerun", "tiny.sum", "--variant", "sign", "--studies", stored)
    assert done.exit_code == 4
    assert "RuntimeError: dry" in done.stdout


def test_what_is_not_stored_is_said(tiny: Path, stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    Store(tmp_path / ".fpk").path(keys(tmp_path)["sign"]).unlink()
    done = fpk("rerun", "tiny.sum", "--studies", stored)
    assert done.exit_code == 0
    assert "1 of 3 records of tiny.sum are not stored" in done.stderr
    assert "nothing is stored of tiny.sum" in fpk("rerun", "tiny.sum", "--full", "--studies", tiny).stderr


def test_rerun_of_a_damaged_record_says_so_and_fails(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    path = damage(tmp_path, keys(tmp_path)["sign"])
    done = fpk("rerun", "tiny.sum", "--studies", stored)
    assert done.exit_code == 4
    assert re.search(rf"✗ tiny\.sum · sign .*: damaged\n.*fpk run computes it anew.*{path.name}", done.stdout)
    assert "not stored" not in done.stderr
    assert "2 of 3 records are bitwise equal" in done.stdout


# -- why --------------------------------------------------------------------------------------------------------------------


def test_why_says_that_nothing_changed(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    assert "stored, nothing changed" in fpk("why", "tiny.sum", "--studies", stored).stdout
    (row,) = plain(fpk("why", keys(tmp_path)["sign"][:8], "--studies", stored, "--json"))["checks"]
    assert (row["state"], row["reasons"]) == ("stored", [])


def test_why_before_anything_was_run(tiny: Path, fpk: Fpk) -> None:
    assert "no record of it is stored" in fpk("why", "tiny.sum", "--studies", tiny).stdout


@pytest.mark.parametrize(
    ("old", "new", "reasons"),
    [
        ("1e-12", "2e-12", ["tiny.py: changed"]),
        ('"sign": -2.0})', '"sign": -2.0}, version=3)', ["version: 1 → 3", "tiny.py: changed"]),
        ("def total(", "def summed(", ["study: tiny.total → tiny.summed", "tiny.py: changed"]),
    ],
)
def test_why_names_the_inputs_that_changed(stored: Path, fpk: Fpk, old: str, new: str, reasons: list[str]) -> None:
    edit(stored, old, new)
    found = plain(fpk("why", "tiny.sum", "--studies", stored, "--json"))["checks"]
    assert [(row["state"], row["reasons"]) for row in found] == [("stale", reasons)] * 3


def test_why_names_size_and_seed(stored: Path, fpk: Fpk) -> None:
    for row in plain(fpk("why", "tiny.sum", "--full", "--studies", stored, "--json"))["checks"]:
        assert row["reasons"] == ["size: quick → full"]
    for row in plain(fpk("why", "tiny.sum", "--seed", 5, "--studies", stored, "--json"))["checks"]:
        assert len(row["reasons"]) == 1
        assert row["reasons"][0].startswith("seed: ")


def test_why_names_the_modules_of_the_engine(
    stored: Path, tmp_path: Path, fpk: Fpk, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = tasks.engine_modules()
    monkeypatch.setattr(tasks, "engine_digest", lambda: "another engine")
    changed = true | {"problem.py": "other", "brand_new.py": "new"}
    monkeypatch.setattr(tasks, "engine_modules", lambda: {n: d for n, d in changed.items() if n != "panels.py"})
    told = fpk("why", "tiny.sum", "--studies", stored).stdout
    assert "    engine: brand_new.py (new), panels.py (gone), problem.py\n" in told
    (tmp_path / ".fpk" / "engines" / f"{engine_digest()}.json").unlink()
    assert "engine: changed, in modules that were not kept" in fpk("why", "tiny.sum", "--studies", stored).stdout


def test_why_of_damaged_and_vanished_things(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    every = keys(tmp_path)
    damage(tmp_path, every["sign"])
    states = {
        row["variant"]: row["state"] for row in plain(fpk("why", "tiny.sum", "--studies", stored, "--json"))["checks"]
    }
    assert states == {"stated": "stored", "two + 5 %": "stored", "sign": "damaged"}
    assert "the stored file is damaged" in fpk("why", every["sign"], "--studies", stored).stdout
    stored.write_text(stored.read_text().replace("two + 5 %", "two + 6 %"))
    gone = fpk("why", every["two + 5 %"], "--studies", stored).stdout
    assert "not computed any more" in gone
    assert "two + 6 %" in gone, "near names are told"


# -- diff -------------------------------------------------------------------------------------------------------------------


def test_diff_of_a_report_with_itself_finds_nothing(stored: Path, fpk: Fpk) -> None:
    done = fpk("diff", "reports/latest", "reports/latest")
    assert (done.exit_code, done.stdout) == (0, "nothing changed\n")


@pytest.mark.parametrize("form", ["reports", "verdicts", "stores"])
def test_diff_shows_a_flip_first_and_fails(stored: Path, tmp_path: Path, fpk: Fpk, form: str) -> None:
    edit(stored, "1.0 + 1.0 - variant", "1.0 + 0.9 - variant")
    assert fpk("run", stored, "--quick", "--report", "other", "--store", "second").exit_code == 1
    pair = {
        "reports": ("reports/latest", "other"),
        "verdicts": ("reports/latest/verdicts.json", "other"),
        "stores": (".fpk", "second"),
    }[form]
    done = fpk("diff", *pair, "--studies", stored)
    assert done.exit_code == 1
    summary, flip, *_ = done.stdout.splitlines()
    assert summary.startswith("1 flipped, 1 not as expected")
    assert flip.startswith("✗ tiny.sum · stated: CONFIRMED → REFUTED, not as expected")
    found = plain(fpk("diff", *pair, "--studies", stored, "--json"), 1)
    assert found["exit"] == 1
    assert found["counts"]["bad"] == 1
    assert found["changes"][0]["after"]["verdict"] == "REFUTED"
    assert (found["counts"]["numbers"] > 0) is (form != "verdicts")
    back = fpk("diff", *reversed(pair), "--studies", stored)
    assert back.exit_code == 0, "a flip to what is expected is no failure"


@pytest.mark.parametrize("gone", ["two + 5 %", "sign"])
def test_diff_of_stores_judges_no_claim_without_its_controls(stored: Path, tmp_path: Path, fpk: Fpk, gone: str) -> None:
    """What is left of them would give another tolerance."""
    shutil.copytree(tmp_path / ".fpk", tmp_path / "part")
    Store(tmp_path / "part").path(keys(tmp_path)[gone]).unlink()
    done = fpk("diff", ".fpk", "part", "--studies", stored)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "2 flipped, 2 not as expected",
        "✗ tiny.sum · stated: CONFIRMED → UNDECIDED, not as expected",
        f"✗ tiny.sum · {gone}: REFUTED → MISSING, not as expected",
        "  the store has no record of it: fpk run computes it",
    ]
    found = plain(fpk("diff", ".fpk", "part", "--studies", stored, "--json"), 1)
    (stated,) = (c["after"] for c in found["changes"] if c["variant"] == "stated")
    assert (stated["tolerance"], stated["verdict"]) == (None, "UNDECIDED")
    assert repr(gone) in stated["reason"]
    assert fpk("diff", "part", ".fpk", "--studies", stored).exit_code == 0


@pytest.mark.parametrize("every", [False, True])
def test_diff_of_stores_tells_a_damaged_record_from_one_that_is_not_there(
    stored: Path, tmp_path: Path, fpk: Fpk, every: bool
) -> None:
    shutil.copytree(tmp_path / ".fpk", tmp_path / "whole")
    paths = {name: damage(tmp_path, key) for name, key in keys(tmp_path).items() if every or name == "sign"}
    before = files(tmp_path / ".fpk")
    done = fpk("diff", "whole", ".fpk", "--studies", stored)
    assert done.exit_code == 1
    assert "no record of it" not in done.stdout
    for name, path in paths.items():
        why = f"its record is damaged: fpk run computes it anew (.fpk/{path.relative_to(tmp_path / '.fpk')})"
        assert re.search(
            rf"✗ tiny.sum · {re.escape(name)}: \w+ → MISSING, not as expected\n  {re.escape(why)}", done.stdout
        )
    found = plain(fpk("diff", "whole", ".fpk", "--studies", stored, "--json"), 1)
    errors = [c["after"]["error"] for c in found["changes"] if c["after"]["missing"]]
    assert len(errors) == len(paths)
    assert all("is damaged" in error for error in errors)
    assert files(tmp_path / ".fpk") == before


def test_diff_of_stores_uses_a_whole_record_that_is_younger_than_a_damaged_one(
    stored: Path, tmp_path: Path, fpk: Fpk
) -> None:
    shutil.copytree(tmp_path / ".fpk", tmp_path / "whole")
    before = stored.read_text()
    os.utime(damage(tmp_path, keys(tmp_path)["sign"]), (1e9, 1e9))
    edit(stored, "    first = ", "    again = 1\n    first = ")
    assert fpk("run", stored, "--quick").exit_code == 0
    stored.write_text(before)
    assert "MISSING" not in fpk("diff", "whole", ".fpk", "--studies", stored).stdout


def test_diff_of_stores_compares_one_size_with_itself(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    shutil.copytree(tmp_path / ".fpk", tmp_path / "both")
    fpk("run", stored, "--store", "both")  # the full size, written later
    assert fpk("diff", ".fpk", "both", "--studies", stored, "--quick").stdout == "nothing changed\n"
    found = plain(fpk("diff", ".fpk", "both", "--studies", stored, "--json"))
    assert found["counts"]["inputs"] == 3, "quick is all the one has, full comes first in the other"
    done = fpk("diff", ".fpk", "both", "--studies", stored, "--full")
    assert done.exit_code == 2
    assert "the store .fpk holds nothing" in done.stderr


def test_diff_counts_what_is_too_much_to_list(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    rows = [
        {"id": f"c{k}", "variant": "stated", "case": "", "expected": "CONFIRMED", "verdict": "CONFIRMED"}
        for k in range(50)
    ]
    (tmp_path / "many.json").write_text(json.dumps(rows))
    short = fpk("diff", "many.json", "reports/latest").stdout
    assert "50 vanished; 3 new" in short
    assert "  and 30 more vanished (--all)" in short
    assert fpk("diff", "many.json", "reports/latest", "--all").stdout.count("vanished; was") == 50


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"id": 1}\n', "null\n", '{"id": "a", "verdict": "CONFIRMED"}\n{"id": "b", "ver']
)
def test_diff_names_the_line_that_is_no_row(stored: Path, tmp_path: Path, fpk: Fpk, text: str) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "records.jsonl").write_text(text)
    done = fpk("diff", "reports/latest", "broken")
    assert done.exit_code == 2
    assert "records.jsonl, line " in done.stderr


def test_diff_of_what_is_no_report_says_what_is_needed(tmp_path: Path, fpk: Fpk) -> None:
    done = fpk("diff", ".", ".")
    assert done.exit_code == 2
    assert "records.jsonl or verdicts.json" in done.stderr


# -- store ------------------------------------------------------------------------------------------------------------------


def test_ls_counts_per_study_and_lists_the_records_of_a_claim(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    found = plain(fpk("store", "ls", "--json"))
    (row,) = found["rows"]
    assert (row["study"], row["records"], row["quick"], row["full"]) == ("tiny.total", 3, 3, 0)
    assert found["bytes"] == sum(p.stat().st_size for p in (tmp_path / ".fpk" / "records").glob("*/*.npz"))
    rows = plain(fpk("store", "ls", "tiny", "--json"))["rows"]
    assert {row["variant"]: row["key"] for row in rows} == keys(tmp_path)
    text = fpk("store", "ls", "tiny.sum").stdout
    assert all(key[:12] in text for key in keys(tmp_path).values())
    done = fpk("store", "ls", "tiny.sim")
    assert done.exit_code == 2
    assert "Did you mean tiny.sum?" in done.stderr


def test_ls_of_a_claim_names_damaged_files(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    path = damage(tmp_path, keys(tmp_path)["sign"])
    done = fpk("store", "ls", "tiny.sum")
    assert "1 record damaged, perhaps of tiny.sum" in done.stderr
    assert path.name in done.stderr
    for other in set(keys(tmp_path).values()) - {path.stem}:
        Store(tmp_path / ".fpk").path(other).unlink()
    assert fpk("store", "verify").stdout.endswith(
        "1 record read, 1 of them damaged: fpk run computes them anew, --delete removes them\n"
    )


def test_gc_removes_what_nothing_addresses_and_nothing_else(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    fpk("run", stored)  # the full size
    fpk("run", stored, "--quick", "--seed", "5")  # another seed
    old = set(keys(tmp_path).values()) | {p.stem for p in (tmp_path / ".fpk").glob("records/*/*.npz")}
    assert len(old) == 9
    assert plain(fpk("store", "gc", "--studies", stored, "--json"))["stale"] == []
    edit(stored, "1e-12", "2e-12")
    fpk("run", stored, "--quick")
    (tmp_path / ".fpk" / "records" / "ab").mkdir(exist_ok=True)
    (tmp_path / ".fpk" / "records" / "ab" / "notes.npz").write_text("mine")
    (tmp_path / ".fpk" / "records" / "ab" / "notes.txt").write_text("mine")
    before = files(tmp_path)
    dry = plain(fpk("store", "gc", "--studies", stored, "--json"))
    assert set(dry["stale"]) == old
    assert files(tmp_path) == before, "a dry run removes nothing"
    assert f"{9:,} records that nothing addresses" in fpk("store", "gc", "--studies", stored).stdout
    done = plain(fpk("store", "gc", "--studies", stored, "--delete", "--json"))
    assert set(done["stale"]) == old
    gone = {name for name in before if name not in files(tmp_path)}
    assert gone == {f".fpk/records/{key[:2]}/{key}.npz" for key in old}
    assert done["bytes"] == dry["bytes"] > 0
    assert fpk("run", stored, "--quick").exit_code == 0


def test_gc_keeps_records_of_other_studies_and_damaged_ones(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    other = tmp_path / "elsewhere" / "tiny.py"
    other.parent.mkdir()
    other.write_text(stored.read_text().replace("1e-12", "3e-12"))  # the same claim: other code
    fpk("run", other, "--quick")
    damage(tmp_path, keys(tmp_path)["sign"])
    found = plain(fpk("store", "gc", "--studies", stored, "--delete", "--json"))
    assert (found["used"], found["elsewhere"], found["damaged"], found["stale"]) == (3, 2, 1, [])
    assert len(list((tmp_path / ".fpk").glob("records/*/*.npz"))) == 6


def test_gc_keeps_records_of_studies_that_are_run_by_themselves(tiny: Path, tmp_path: Path, fpk: Fpk) -> None:
    folder = tmp_path / "studies"
    (folder / "examples").mkdir(parents=True)
    tiny = tiny.rename(folder / "tiny.py")
    mine = folder / "examples" / "mine.py"
    mine.write_text(tiny.read_text().replace("tiny.sum", "mine.sum"))
    fpk("run", folder, "--quick")
    fpk("run", mine, "--quick")
    found = plain(fpk("store", "gc", "--studies", folder, "--delete", "--json"))
    assert (found["used"], found["elsewhere"], found["stale"]) == (3, 3, [])
    mine.unlink()
    assert len(plain(fpk("store", "gc", "--studies", folder, "--json"))["stale"]) == 3, (
        "nothing can address these again"
    )


def test_gc_keeps_records_of_studies_whose_library_is_missing(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    edit(stored, "@study(", "@study(cases=(), claim=")
    found = plain(fpk("store", "gc", "--studies", stored, "--delete", "--json"))
    assert (found["used"], found["elsewhere"], found["stale"]) == (0, 3, [])


def test_gc_keeps_what_fpk_mutants_uses(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    from fpk.catalogue import load_catalogue
    from fpk.kill_matrix import mutated, mutated_tasks
    from fpk.mutants import MUTANTS
    from fpk.study import Size

    catalogue = load_catalogue(stored)
    clean = tasks.tasks_of(catalogue, catalogue.studies, size=Size("quick"), root_seed=0)
    light = next(name for name, mutant in MUTANTS.items() if mutant.target.startswith("problem:"))
    (task,) = mutated_tasks(clean, [light])
    assert mutated(task, str(tmp_path / ".fpk")) == ""
    assert plain(fpk("store", "gc", "--studies", stored, "--json"))["used"] == 4
    assert plain(fpk("rerun", task.key, "--studies", stored, "--json"))["records"][0]["equal"]
    assert "for fpk mutants" in fpk("why", task.key, "--studies", stored).stdout
    assert "(planted mistakes)" in fpk("store", "ls").stdout
    edit(stored, "1e-12", "2e-12")
    assert task.key in plain(fpk("store", "gc", "--studies", stored, "--json"))["stale"]


def test_gc_with_studies_that_cannot_be_read_removes_nothing(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    before = files(tmp_path / ".fpk")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "catalogue.py").write_text("1 / 0\n")
    assert fpk("store", "gc", "--delete").exit_code == 2
    assert files(tmp_path / ".fpk") == before


def test_gc_removes_what_killed_runs_have_left_and_says_how_many(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    root = tmp_path / ".fpk"
    names = ("run-0123456789abcdef", "engines/.note.json.part", "records/ab/.key.part", "records/ab/old.host.7.0.part")
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"half")
    young = plain(fpk("store", "gc", "--studies", stored, "--delete", "--json"))
    assert young["left_over"] == [], "somebody on another machine may be at work"
    for name in names:
        os.utime(root / name, (0, 0))
    dry = fpk("store", "gc", "--studies", stored).stdout
    assert "4 files that killed runs have left, would be removed (fpk store gc --delete)\n" in dry
    assert all((root / name).exists() for name in names)
    found = plain(fpk("store", "gc", "--studies", stored, "--delete", "--json"))
    assert sorted(found["left_over"]) == sorted(names)
    assert found["used"] == 3
    assert not any((root / name).exists() for name in names)


def test_the_next_run_removes_what_killed_ones_have_left(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    left = tmp_path / ".fpk" / "run-0123456789abcdef"
    left.write_bytes(b"")
    os.utime(left, (0, 0))
    assert fpk("run", stored, "--quick").exit_code == 0
    assert not left.exists()


def test_gc_forgets_engines_that_no_record_is_of(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    note = tmp_path / ".fpk" / "engines" / f"{'0' * 64}.json"
    note.write_text("{}")
    fpk("store", "gc", "--studies", stored, "--delete")
    assert not note.exists()
    assert note.with_name(f"{engine_digest()}.json").exists()


def test_verify_lists_damaged_records_and_removes_them_only_when_told(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    assert fpk("store", "verify").stdout == "3 records read, all whole\n"
    path = damage(tmp_path, keys(tmp_path)["sign"])
    found = plain(fpk("store", "verify", "--json"), 4)
    assert found["damaged"] == [path.stem]
    assert path.exists()
    assert str(path.relative_to(tmp_path)) in fpk("store", "verify").stdout
    assert fpk("store", "verify", "--delete").exit_code == 0
    assert not path.exists()
    assert plain(fpk("store", "verify", "--json"))["records"] == 2


def test_a_record_that_may_not_be_read_is_not_taken_for_damaged(
    stored: Path, tmp_path: Path, fpk: Fpk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Store(tmp_path / ".fpk").path(keys(tmp_path)["sign"])

    def refused(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Path, *args: Any, **kwargs: Any) -> Any:
            if self.name == path.name:
                raise PermissionError(13, "Permission denied")
            return method(self, *args, **kwargs)

        return call

    for name in ("open", "read_bytes"):
        monkeypatch.setattr(Path, name, refused(getattr(Path, name)))
    done = fpk("store", "verify", "--delete")
    assert done.exit_code == 2
    assert "Permission denied" in done.stderr
    assert path.exists()


def test_records_that_somebody_else_saved_are_listed_and_left_alone(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    store, key = Store(tmp_path / ".fpk"), "ab" * 32
    evidence, _ = store.load(keys(tmp_path)["sign"]) or pytest.fail("not stored")
    store.save(key, evidence, {})
    assert "(not of fpk run)" in fpk("store", "ls").stdout
    assert plain(fpk("store", "verify", "--json"))["records"] == 4
    assert plain(fpk("store", "gc", "--studies", stored, "--delete", "--json"))["elsewhere"] == 1
    assert len(plain(fpk("store", "export", "--to", "out", "--json"))["files"]) == 4
    assert "not computed any more" in fpk("why", key, "--studies", stored).stdout
    done = fpk("rerun", key, "--studies", stored)
    assert done.exit_code == 2
    assert "unknown claim (of the record)" in done.stderr


@pytest.mark.parametrize("how", ["empty", "truncated", "moved", "swapped inputs"])
def test_verify_notices(stored: Path, tmp_path: Path, fpk: Fpk, how: str) -> None:
    store, key = Store(tmp_path / ".fpk"), keys(tmp_path)["stated"]
    path = store.path(key)
    if how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif how == "moved":  # to the address of another record
        path.replace(store.path("ab" * 32)) if store.path("ab" * 32).parent.mkdir(exist_ok=True) is None else None
        key = "ab" * 32
    else:  # a whole file whose inputs are not those of its address
        evidence, provenance = store.load(key) or pytest.fail("not stored")
        store.save(key, evidence, provenance | {"inputs": provenance["inputs"] | {"seed": 1}})
    assert plain(fpk("store", "verify", "--json"), 4)["damaged"] == [key]


def test_exported_records_open_with_json_and_numpy_alone(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    edit(
        stored,
        "np.array([1.0 + 1.0 - variant, 0.0]), 1e-12",
        "np.array([1.0 + 1.0 - variant, 0.0]), np.array([1e-12, np.inf])",
    )
    fpk("run", stored, "--quick", "--store", "infinite")
    for form in ("json", "npz"):
        rows = plain(fpk("store", "export", "--to", "out", "--format", form, "--store", "infinite", "--json"))["files"]
        assert rows == json.loads((tmp_path / "out" / "index.json").read_text())
        assert {row["variant"] for row in rows} == {"stated", "two + 5 %", "sign"}
    code = """
import json, sys, glob
import numpy as np
for name in sorted(glob.glob("out/*sign*")):
    if name.endswith(".json"):
        found = json.load(open(name))
        head, arrays = found, {k: np.array(v, float) for k, v in found["arrays"].items()}
    else:
        arrays = dict(np.load(name))
        head = json.loads(str(arrays.pop("words")))
    assert head["claim"] == "tiny.sum" and head["variant"] == "sign" and head["words"]["names"] == ["1 + 1", "0"]
    assert arrays["first.value"].tolist() == [4.0, 0.0] and arrays["first.bias_bound"].tolist()[1] == np.inf
    assert head["inputs"]["version"] == 1
assert not [m for m in sys.modules if m.startswith("fpk")]
print(len(glob.glob("out/*sign*")))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"


def test_export_of_one_claim_or_key(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    key = keys(tmp_path)["stated"]
    assert [row["key"] for row in plain(fpk("store", "export", key[:9], "--to", "one", "--json"))["files"]] == [key]
    assert len(plain(fpk("store", "export", "tiny", key, "--to", "all", "--json"))["files"]) == 3
    assert (
        np.asarray(json.loads(next((tmp_path / "one").glob("tiny*.json")).read_text())["arrays"]["first.value"]).size
        == 2
    )


def test_export_into_a_file_says_so(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    (tmp_path / "out").write_text("mine")
    for form in ("json", "npz"):
        done = fpk("store", "export", "--to", "out/here", "--format", form)
        assert done.exit_code == 2
        assert "cannot write out/here/" in done.stderr
    assert (tmp_path / "out").read_text() == "mine"


def test_export_that_cannot_be_written_says_so(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.json").mkdir()
    done = fpk("store", "export", "--to", "out")
    assert done.exit_code == 2
    assert "cannot write out/index.json" in done.stderr
    assert not list((tmp_path / "out").glob("*.part"))


# -- hostile names ----------------------------------------------------------------------------------------------------------

HOSTILE = [
    "../x",
    "../../../../etc/passwd",
    "/etc/passwd",
    "",
    " ",
    "a" * 100_000,
    "0" * 65,
    "\x1b[31m",
    "<script>",
    "-",
    "*",
    "..",
    ".",
]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name[:12]))
def test_hostile_names_are_refused_and_touch_nothing(stored: Path, tmp_path: Path, fpk: Fpk, name: str) -> None:
    before = files(tmp_path)
    for command in (["rerun"], ["why"], ["store", "ls"], ["store", "export", "--to", "out"]):
        options = ["--studies", stored] if command[0] in ("rerun", "why") else []
        done = fpk(*command, *options, "--", name)
        assert done.exit_code == 2, (command, done.output)
        assert done.stderr.startswith("fpk: ")
        assert len(done.stderr) < 1000
        assert "\x1b" not in done.stderr
    assert files(tmp_path) == before


def test_hostile_claims_are_exported_inside_the_folder(tiny: Path, tmp_path: Path, fpk: Fpk) -> None:
    edit(tiny, '"tiny.sum"', '"../../../<script>/\\u202e" + "long" * 90')
    assert fpk("run", tiny, "--quick").exit_code == 0
    before = set(files(tmp_path))
    assert fpk("store", "export", "--to", "out").exit_code == 0
    new = set(files(tmp_path)) - before
    assert len(new) == 4
    assert all(Path(name).parent == Path("out") for name in new)
    assert all(len(Path(name).name) < 100 and Path(name).name.isascii() for name in new)


def test_keys_that_several_records_begin_with_are_not_guessed(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    place = Store(tmp_path / ".fpk")
    for key in ("ab" * 32, "ab" * 31 + "cd"):
        place.path(key).parent.mkdir(exist_ok=True)
        place.path(key).write_bytes(b"")
    done = fpk("why", "ababab", "--studies", stored)
    assert done.exit_code == 2
    assert "2 records in .fpk have keys that begin with ababab" in done.stderr


# -- list -------------------------------------------------------------------------------------------------------------------


def test_list_and_report_take_a_path_as_run_does(stored: Path, fpk: Fpk) -> None:
    assert "tiny.sum" in fpk("list", stored).stdout
    assert fpk("report", stored, "tiny.sum", "--quick").exit_code == 0


def test_list_names_what_is_asked_for(tiny: Path, fpk: Fpk) -> None:
    edit(
        tiny,
        "\n\n@study(",
        """
CLAIMS += (Claim("other.sum", "identity", "Two and two.", "", "", {"stated": Outcome.CONFIRMED, "five": Outcome.REFUTED}),)


@study("other.sum", variants={"stated": 0.0, "five": 1.0})
def other(variant, case, size, seed):
    return Evidence(fpk.residual(np.array([variant]), 1e-9), zero_estimate(1), ("r",))


@study(""",
    )
    listed = {
        name: fpk("list", *name.split(), "--studies", tiny, "--json") for name in ("", "other", "other.sum tiny.total")
    }
    ids = {name: [row["id"] for row in plain(done)["claims"]] for name, done in listed.items()}
    assert ids == {
        "": ["tiny.sum", "other.sum"],
        "other": ["other.sum"],
        "other.sum tiny.total": ["tiny.sum", "other.sum"],
    }
    assert "Did you mean" in fpk("list", "othr.sum", "--studies", tiny).stderr


def test_json_goes_to_stdout_alone(stored: Path, tmp_path: Path, fpk: Fpk) -> None:
    edit(stored, "    first = ", "    print('half way')\n    first = ")
    done = fpk("rerun", "tiny.sum", "--studies", stored, "--json")
    assert plain(done)["records"]
    assert "half way" in done.stderr
