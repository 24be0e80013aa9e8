"""The command line, as a shell sees it: what goes to which stream, exit codes, interruptions, and a light start."""

from __future__ import annotations

import html
import importlib.util
import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from click.testing import CliRunner, Result

from fpk.command_line import main
from fpk.store import Store, arrays_of

FPK = [sys.executable, "-c", "import sys; sys.argv[0] = 'fpk'; from fpk.command_line import main; main()"]

DOCUMENT = {
    "type": "object",
    "required": ["schema", "claims", "counts", "exit"],
    "properties": {
        "schema": {"const": "fpk/1"},
        "exit": {"enum": [0, 1, 3, 4]},
        "counts": {"type": "object", "required": ["records", "hold"], "additionalProperties": {"type": "integer"}},
        "claims": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "kind", "variant", "case", "expected", "verdict", "holds", "seed", "key", "error"],
                "properties": {
                    "kind": {"enum": ["equality", "identity", "bound", "wording"]},
                    "expected": {"enum": ["CONFIRMED", "REFUTED", "UNDECIDED", None]},
                    "verdict": {"enum": ["CONFIRMED", "REFUTED", "UNDECIDED", None]},
                    "holds": {"type": "boolean"},
                    "seed": {"type": "integer", "minimum": 0},
                    "key": {"type": "string", "pattern": "^([0-9a-f]{64})?$"},
                    "difference": {"type": ["number", "null"]},
                    "budget": {"type": ["number", "null"]},
                    "tolerance": {"type": ["number", "null"]},
                    "mde": {"type": ["number", "null"]},
                },
            },
        },
    },
}


def environment(**changed: str) -> dict[str, str]:
    own = ("FORCE_COLOR", "NO_COLOR", "PYTHONWARNINGS", "COLUMNS", "CI")
    plain = {k: v for k, v in os.environ.items() if k not in own and not k.startswith("FPK_")}
    return plain | {"TERM": "xterm-256color"} | changed


def fpk(folder: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [*FPK, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


def document(done: subprocess.CompletedProcess[str] | Result) -> dict[str, Any]:
    """The one JSON object on stdout, strict and valid."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(done.stdout, parse_constant=refuse)
    jsonschema.validate(found, DOCUMENT)
    assert found["exit"] == (done.exit_code if isinstance(done, Result) else done.returncode)
    return found


def changed(tiny: Path, *pairs: tuple[str, str]) -> Path:
    text = tiny.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    tiny.write_text(text)
    return tiny


def calls(tiny: Path) -> list[str]:
    log = tiny.with_name("calls.log")
    return log.read_text().split() if log.exists() else []


RESIDUAL = 'first = fpk.residual(np.array([1.0 + 1.0 - variant, 0.0]), 1e-12, source="arithmetic")'
COMPUTES = "    with Path(__file__)"

#: What to do to the tiny study so that a run ends with this exit code.
SPOILT = {
    0: (),
    1: (('"stated": 2.0', '"stated": 3.0'),),
    3: ((RESIDUAL, RESIDUAL.replace("1e-12", "1e-12 if variant != 2.0 else np.inf")),),
    4: ((COMPUTES, "    if variant == 2.1:\n        raise RuntimeError('the well is dry')\n" + COMPUTES),),
}


def within(tiny: Path, *arguments: object, **variables: str) -> Result:
    """The command in this process, beside the tiny study: what costs no new interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tiny.parent)
        for name, value in variables.items():
            patch.setenv(name, value)
        found = CliRunner().invoke(main, list(map(str, arguments)))
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


# -- run --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", SPOILT)
def test_json_is_one_valid_object_on_stdout_whatever_the_outcome(tiny: Path, code: int) -> None:
    changed(tiny, *SPOILT[code])
    done = fpk(tiny.parent, "run", tiny, "--quick", "--json")
    assert done.returncode == code, done.stderr
    found = document(done)
    assert [c["variant"] for c in found["claims"]] == ["stated", "two + 5 %", "sign"]
    assert found["counts"]["hold"] == {0: 3, 4: 1}.get(code, 2), "without a control nothing is confirmed"
    assert found["counts"]["records"] == 3


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (0, "✓ 3 of 3 records hold (1 CONFIRMED, 2 REFUTED)"),
        (1, "✗ tiny.sum · stated: REFUTED, expected CONFIRMED"),
        (3, "to settle it: "),
        (4, "✗ tiny.sum · two + 5 %: CRASHED, expected REFUTED\n  RuntimeError: the well is dry"),
    ],
)
def test_the_summary_on_stderr_says_what_does_not_hold(tiny: Path, code: int, shown: str) -> None:
    changed(tiny, *SPOILT[code])
    done = fpk(tiny.parent, "run", tiny, "--quick")
    assert done.returncode == code
    assert done.stdout == ""
    assert shown in done.stderr
    assert "report: reports/latest/index.html" in done.stderr
    assert (tiny.parent / "reports/latest/index.html").exists()


def test_a_study_that_prints_does_not_spoil_the_json(tiny: Path) -> None:
    changed(tiny, (COMPUTES, "    print('half way')\n" + COMPUTES), ("import numpy", "print('hello')\nimport numpy"))
    done = fpk(tiny.parent, "run", tiny, "--json")
    assert document(done)["exit"] == 0
    assert "half way" in done.stderr
    assert "hello" in done.stderr


def test_claims_and_studies_can_be_named(tiny: Path) -> None:
    for name in ("tiny.sum", "tiny.total", "tiny"):
        found = document(fpk(tiny.parent, "run", "--studies", tiny, name, "--json"))
        assert {c["id"] for c in found["claims"]} == {"tiny.sum"}


def test_a_second_run_computes_nothing_and_a_fresh_one_everything(tiny: Path) -> None:
    assert [len(calls(tiny)) for _ in range(2) if fpk(tiny.parent, "run", tiny).returncode == 0] == [3, 3]
    fpk(tiny.parent, "run", tiny, "--fresh")
    assert len(calls(tiny)) == 6


def test_a_run_says_how_many_records_came_from_the_store(tiny: Path) -> None:
    assert "came from the store" not in within(tiny, "run", tiny).stderr
    next((tiny.parent / ".fpk").rglob("*.npz")).unlink()
    assert "fpk: 2 of 3 records came from the store" in within(tiny, "run", tiny).stderr
    assert "came from the store" not in within(tiny, "run", tiny, "--fresh").stderr


def test_what_crashes_when_computed_afresh_did_not_come_from_the_store(tiny: Path) -> None:
    dry = tiny.with_name("dry")
    crashes = f"    if variant == 2.1 and Path({str(dry)!r}).exists():\n        raise RuntimeError('the well is dry')\n"
    changed(tiny, (COMPUTES, crashes + COMPUTES))
    assert within(tiny, "run", tiny).exit_code == 0
    dry.touch()
    done = within(tiny, "run", tiny, "--fresh", "--json")
    assert (done.exit_code, document(done)["counts"]["crashed"]) == (4, 1)
    assert "came from the store" not in done.stderr
    page = (tiny.parent / "reports/latest/report.md").read_text()
    assert "CRASHED" in page
    assert "the well is dry" in page
    assert within(tiny, "report", tiny).exit_code == 0, "the stored record is of the same code and inputs"
    next((tiny.parent / ".fpk").rglob("*.npz")).unlink()
    dry.unlink()
    assert "2 of 3 records came from the store" in within(tiny, "run", tiny).stderr


def test_a_report_that_cannot_be_written_is_said_before_anything_is_computed(tiny: Path) -> None:
    (tiny.parent / "file").write_text("")
    done = within(tiny, "run", tiny, "--report", "file/page")
    assert done.exit_code == 2
    assert "file is no folder. Choose another: --report" in done.stderr
    (tiny.parent / "site").mkdir()
    (tiny.parent / "site" / "index.html").write_text("mine")
    done = within(tiny, "run", tiny, "--report", "site")
    assert done.exit_code == 2
    assert "would replace site/index.html, which fpk has not written" in done.stderr
    assert calls(tiny) == []
    missing = within(tiny, "report", tiny, "--store", "other").stderr
    assert f"fpk run --studies {tiny} --store other first" in missing


def test_store_and_report_go_where_they_are_told(tiny: Path) -> None:
    done = fpk(tiny.parent, "run", tiny, "--store", "elsewhere", "--report", "page", "--json")
    assert done.returncode == 0
    assert len(list((tiny.parent / "elsewhere").rglob("*.npz"))) == 3
    assert (tiny.parent / "page" / "index.html").exists()
    assert not (tiny.parent / ".fpk").exists()
    assert not (tiny.parent / "reports").exists()


def test_a_drift_that_becomes_nan_is_reported_with_place_and_time(tiny: Path) -> None:
    body = """
    problem = fpk.Problem(lambda x, t: -x if t < 0.5 else np.nan * x, 1.0, initial=fpk.Gaussian(1.0, 0.5))
    fpk.simulate(problem, particles=9, steps=4, times=[1.0])
"""
    changed(tiny, (COMPUTES, body + COMPUTES))
    done = fpk(tiny.parent, "run", tiny, "--json")
    assert done.returncode == 4
    errors = {c["error"] for c in document(done)["claims"]}
    assert len(errors) == 1
    assert re.match(r"NonFinite: particle 0: the drift is \[nan\] at x=\[-?\d.*\], t=0\.5\.", errors.pop())
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs fpk[dask]")
def test_two_workers_give_the_records_of_one(tiny: Path) -> None:
    serial = document(fpk(tiny.parent, "run", tiny, "--json", "--store", "serial"))
    parallel = document(fpk(tiny.parent, "run", tiny, "--json", "--store", "parallel", "-j", "2"))
    for found in (serial, parallel):
        for record in found["claims"]:
            record.pop("cost_seconds")
    assert serial == parallel


SKIPPED = """
MORE = (Claim("clients.thing", "identity", "A.", "x", "s", {"stated": Outcome.CONFIRMED, "x": Outcome.REFUTED},
              assumptions="thinglib is not installed: skipped. More."),)
CLAIMS += MORE


@study("clients.thing", variants={"stated": 0, "x": 1}, cases=())
def thing(variant, case, size, seed):
    raise AssertionError
"""


def test_a_run_says_in_one_line_what_is_skipped_for_want_of_which_library(tiny: Path) -> None:
    tiny.write_text(tiny.read_text() + SKIPPED)
    done = within(tiny, "run", tiny, "--json")
    assert document(done)["counts"]["hold"] == 3
    lines = [line for line in done.stderr.splitlines() if "skipped" in line]
    assert lines == ["fpk: 1 of 2 claims are skipped: thinglib not installed (clients.thing)."]
    alone = within(tiny, "run", "--studies", tiny, "clients.thing")
    assert alone.exit_code == 2, "a run that examines nothing is not green"
    assert "nothing to compute: 1 of 1 claim is skipped: thinglib not installed" in alone.stderr


def test_a_run_says_what_changed_since_an_earlier_report_even_in_its_own_place(tiny: Path) -> None:
    within(tiny, "run", tiny)
    other = tiny.with_name("another.py")  # this process has imported the one
    other.write_text(tiny.read_text())
    done = within(tiny, "run", changed(other, *SPOILT[1]), "--since", "reports/latest")
    assert done.exit_code == 1
    text = (tiny.parent / "reports/latest/report.md").read_text()
    assert re.search(r"(?s)since.*CONFIRMED.*REFUTED", text)


def test_a_folder_without_a_report_is_refused_before_anything_is_computed(tiny: Path) -> None:
    (tiny.parent / "empty").mkdir()
    for since in ("empty", "absent"):
        done = within(tiny, "run", tiny, "--since", since)
        assert done.exit_code == 2
        assert since in done.stderr
        assert "Traceback" not in done.stderr
    assert calls(tiny) == []


def test_a_random_seed_is_told_and_repeats_the_run(tiny: Path) -> None:
    first = within(tiny, "run", tiny, "--seed", "random", "--json")
    told = re.search(r"--seed (\d+)", first.stderr)
    assert told is not None
    again = within(tiny, "run", tiny, "--seed", told[1], "--json")
    assert [c["key"] for c in document(again)["claims"]] == [c["key"] for c in document(first)["claims"]]
    assert len(calls(tiny)) == 3
    assert within(tiny, "report", "--studies", tiny, "--seed", told[1]).exit_code == 0
    assert within(tiny, "report", "--studies", tiny, "--seed", told[1], "--certificate").exit_code == 0
    certificate = json.loads((tiny.parent / "reports/latest/certificates/tiny.sum.json").read_text())
    assert certificate["repeat"] == f"fpk run tiny.sum --studies {tiny} --seed {told[1]}"
    assert (
        f"fpk run tiny.sum --studies {tiny} --seed {told[1]}\n"
        in within(tiny, "explain", "tiny.sum", "--studies", tiny, "--seed", told[1]).stdout
    )
    missing = within(tiny, "report", "tiny.sum", "--studies", tiny, "--quick", "--seed", "5").stderr
    assert "nothing is stored" in missing
    assert f"fpk run tiny.sum --studies {tiny} --quick --seed 5 first" in missing
    assert "give the one that the run told" in within(tiny, "report", "--studies", tiny, "--seed", "random").stderr


@pytest.mark.parametrize(
    ("settings", "variables"),
    [
        (("--quick", "--seed", "7", "--alpha", "1e-9"), {}),
        ((), {"FPK_QUICK": "yes", "FPK_SEED": "7", "FPK_ALPHA": "1e-9"}),
        (("--full", "--seed", "random"), {"FPK_QUICK": "yes"}),
    ],
    ids=["options", "variables", "random"],
)
def test_every_command_of_a_report_pasted_into_a_shell_gives_its_records_bit_for_bit(
    tiny: Path, settings: tuple[str, ...], variables: dict[str, str]
) -> None:
    """In another folder with the study alone, without the variables."""
    changed(
        tiny, ("- variant, 0.0]", "- variant, 0.0]) + 1e-13 * np.random.default_rng(seed).random(2) * (2 - size.quick")
    )
    assert within(tiny, "run", "--studies", tiny.name, *settings, **variables).exit_code == 0
    rows = pasted_rows(tiny.parent)
    page = (tiny.parent / "reports/latest/index.html").read_text()
    commands = {html.unescape(text) for text in re.findall('<code class="command">(.*?)</code>', page)}
    seed = re.search(r"--seed (\d+)", page)
    assert seed is not None
    again = ["--studies", tiny.name, *(seed[1] if word == "random" else word for word in settings)]
    explained = within(tiny, "explain", "tiny.sum", *again, **variables)
    commands |= set(re.findall("rerun    (.*)", explained.stdout))
    assert within(tiny, "report", *again, "--certificate", **variables).exit_code == 0
    certificate = json.loads((tiny.parent / "reports/latest/certificates/tiny.sum.json").read_text())
    commands |= {certificate["repeat"], json.loads((tiny.parent / "reports/latest/run.json").read_text())["command"]}
    assert len(commands) == 2, "of the whole, and of the claim"
    for k, command in enumerate(sorted(commands)):
        folder = tiny.parent / f"pasted {k}"
        folder.mkdir()
        (folder / tiny.name).write_text(tiny.read_text())
        in_a_shell(folder, command)
        assert pasted_rows(folder) == rows


def pasted_rows(folder: Path) -> list[tuple[Any, ...]]:
    """What identifies the records of a report, judged, and the bits of their evidence."""
    store, out = Store(folder / ".fpk"), []
    for line in (folder / "reports/latest/records.jsonl").read_text().splitlines():
        row = json.loads(line)
        found = store.load(row["key"])
        assert found is not None
        bits = {name: array.tobytes() for name, array in arrays_of(found[0])[0].items()}
        names = ("id", "variant", "seed", "size", "key", "verdict", "alpha", "tolerance", "difference")
        out.append((*(row[name] for name in names), bits))
    assert len(out) == 3
    return out


def in_a_shell(folder: Path, command: str) -> None:
    """What somebody pastes, where ``fpk`` is this one."""
    script = folder / "bin" / "fpk"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {shlex.join(FPK)} "$@"\n')
    script.chmod(0o755)
    path = {"PATH": f"{script.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=environment() | path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_level_of_a_run_is_that_of_its_records_and_its_report(tiny: Path) -> None:
    ran = document(within(tiny, "run", tiny, "--alpha", "1e-9", "--json"))
    assert {c["alpha"] for c in ran["claims"]} == {1e-9}
    again = document(within(tiny, "report", "--studies", tiny, "--json", FPK_ALPHA="1e-9"))
    assert {c["alpha"] for c in again["claims"]} == {1e-9}


def test_a_cluster_that_does_not_answer_is_named(tiny: Path) -> None:
    (tiny.parent / "nobody.json").write_text("{")
    for option in (("--scheduler", "nonsense://here"), ("--scheduler-file", "nobody.json")):
        done = within(tiny, "run", tiny, *option)
        assert done.exit_code == 2, done.stderr
        assert option[1] in done.stderr
        assert "Traceback" not in done.stderr
    assert calls(tiny) == []
    here = within(tiny, "run", tiny, "-j", "1", FPK_SCHEDULER="nonsense://here")
    assert here.exit_code == 0, "what the command line says of where to compute goes before settings"


# -- certificates -----------------------------------------------------------------------------------------------------------


def test_certificates_stand_beside_the_report_and_are_checked_by_their_own_script(tiny: Path) -> None:
    within(tiny, "run", tiny)
    before = (tiny.parent / "reports/latest/index.html").stat().st_mtime_ns
    done = within(tiny, "report", "tiny.sum", "--studies", tiny, "--certificate")
    assert done.exit_code == 0, done.stderr
    assert "1 certificate in reports/latest/certificates" in done.stderr
    assert "check with: python reports/latest/certificates/certificate_check.py" in done.stderr
    assert (tiny.parent / "reports/latest/index.html").stat().st_mtime_ns == before, "the report is left alone"
    folder = tiny.parent / "reports/latest/certificates"
    (folder / "old.json").write_bytes((folder / "tiny.sum.json").read_bytes())
    assert "(1 from before removed)" in within(tiny, "report", tiny, "--certificate").stderr
    for command in ([folder / "certificate_check.py"], ["-m", "fpk.certificates", folder / "tiny.sum.json"]):
        checked = subprocess.run(
            [sys.executable, *map(str, command)], env=environment(), capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stderr
        assert "tiny.sum.json: all verdicts follow from the numbers (1 CONFIRMED, 2 REFUTED; " in checked.stdout


# -- completion -------------------------------------------------------------------------------------------------------------


def test_shells_complete_commands_and_the_ids_of_the_last_report(tmp_path: Path) -> None:
    script = fpk(tmp_path, "completion", SHELL="/bin/zsh").stdout
    assert script.startswith("#compdef fpk")
    assert "_FPK_COMPLETE=fish_complete" in fpk(tmp_path, "completion", "fish").stdout
    unknown = fpk(tmp_path, "completion", SHELL="/bin/tcsh")
    assert unknown.returncode == 2
    assert "bash, zsh, fish" in unknown.stderr
    asked = {"_FPK_COMPLETE": "bash_complete", "COMP_CWORD": "2", "COMP_WORDS": "fpk explain S0"}
    assert fpk(tmp_path, **asked).stdout.strip() == "", "without a report there is nothing to offer"
    (tmp_path / "verdicts.json").write_text('[{"id": "S0.E12"}, {"id": "S0.E12"}, {"id": "S1.E1"}]')
    assert fpk(tmp_path, **asked, FPK_REPORT=".").stdout.split() == ["plain,S0.E12"]


# -- usage errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "explain"])
def test_an_unknown_claim_lists_the_known_ones(tiny: Path, command: str) -> None:
    done = fpk(tiny.parent, command, "--studies", tiny, "tiny.some")
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.search(
        r"fpk: unknown study or claim 'tiny\.some'\. Did you mean tiny\.sum.*Known: tiny.*tiny\.sum", done.stderr
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "list", "report"])
def test_a_missing_studies_folder_is_explained(tmp_path: Path, command: str) -> None:
    (tmp_path / "questions").mkdir()
    (tmp_path / "questions" / "catalogue.py").write_text("CLAIMS = ()\n")
    done = fpk(tmp_path, command)
    assert done.returncode == 2
    assert "fpk: unknown studies folder 'studies'" in done.stderr
    assert "questions" in done.stderr, "the folder that looks like studies is offered"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--seed", "-3"], "whole number"),
        (["run", "--seed", "²"], "whole number"),
        (["run", "--seed", "9" * 5000], "whole number"),
        (["run", "--alpha", "2"], "alpha"),
        (["run", "-j", "0"], "jobs"),
        (["run", "--nonsense"], "--nonsense"),
        (["walk"], "walk"),
        (["report"], "nothing is stored"),
    ],
)
def test_wrong_usage_exits_with_two_and_says_why(tiny: Path, arguments: list[str], message: str) -> None:
    arguments = [*arguments, "--studies", str(tiny)] if arguments != ["walk"] else arguments
    done = fpk(tiny.parent, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_study_file_with_an_error_is_named_with_its_line(tiny: Path) -> None:
    tiny.write_text("import numpy\n\nnonsense\n")
    done = fpk(tiny.parent, "run", tiny)
    assert done.returncode == 2
    assert re.search(r"cannot import the study file .*tiny\.py \(tiny\.py line 3\): NameError", done.stderr)


def test_a_path_that_is_no_python_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# notes\n")
    done = fpk(tmp_path, "run", "notes.md")
    assert done.returncode == 2
    assert "notes.md is not a Python file" in done.stderr


@pytest.mark.parametrize("text", ["", "CLAIMS = ()\n"])
def test_studies_without_claims_are_refused_because_they_cannot_fail(tmp_path: Path, text: str) -> None:
    (tmp_path / "empty.py").write_text(text)
    done = fpk(tmp_path, "run", "empty.py")
    assert done.returncode == 2
    assert "has no claims" in done.stderr


def test_a_store_that_cannot_be_written_is_named(tiny: Path) -> None:
    (tiny.parent / ".fpk").write_text("in the way")
    done = within(tiny, "run", tiny)
    assert done.exit_code == 2
    assert re.search(r"fpk: cannot write .*\.fpk: .*--store", done.stderr)
    assert calls(tiny) == [], "said before anything is computed"


# -- looking ----------------------------------------------------------------------------------------------------------------


def test_list_shows_every_claim_with_its_study_for_people_and_machines(tiny: Path) -> None:
    shown = fpk(tiny.parent, "list", "--studies", tiny)
    assert shown.returncode == 0
    assert all(text in shown.stdout for text in ("tiny.sum", "identity", "tiny.total", "One and one are two."))
    listed = json.loads(fpk(tiny.parent, "list", "--studies", tiny, "--json").stdout)
    assert listed == {
        "schema": "fpk/1",
        "claims": [
            {
                "id": "tiny.sum",
                "kind": "identity",
                "study": "tiny.total",
                "only_when_named": False,
                "variants": ["stated", "two + 5 %", "sign"],
                "statement": "One and one are two.",
            }
        ],
    }
    assert calls(tiny) == []


def test_list_tells_which_claims_run_only_when_named(tiny: Path) -> None:
    assert "only when named" not in fpk(tiny.parent, "list", "--studies", tiny).stdout
    changed(tiny, ('@study("tiny.sum", ', '@study("tiny.sum", only_when_named=True, '))
    assert "tiny.total   only when named" in fpk(tiny.parent, "list", "--studies", tiny).stdout


REMARK = """from fpk.study import Remark

REMARKS = (Remark("err:tiny.text", "One <and> one.", "A sum is meant.", "arithmetic, text"),)
"""


def test_what_a_pipe_cannot_take_is_spelt(tiny: Path) -> None:
    changed(tiny, ("One and one are two.", "One − one → ½."))
    done = CliRunner(charset="cp1252").invoke(main, ["list", "--studies", str(tiny)])
    assert done.exit_code == 0
    assert r"One \u2212 one \u2192 ½." in done.stdout


def test_remarks_are_records_without_a_verdict_that_hold(tiny: Path) -> None:
    changed(tiny, ("import numpy as np", f"import numpy as np\n{REMARK}"))
    ran = fpk(tiny.parent, "run", tiny, "--json")
    found = document(ran)
    remark = next(row for row in found["claims"] if row["id"] == "err:tiny.text")
    assert (remark["variant"], remark["expected"], remark["verdict"], remark["holds"]) == ("wording", None, None, True)
    assert found["exit"] == ran.returncode == 0
    assert found["counts"] == {"records": 4, "hold": 4, "CONFIRMED": 1, "REFUTED": 2, "wording": 1}
    assert "1 wording" in ran.stderr
    page = (tiny.parent / "reports/latest/index.html").read_text()
    assert "One &lt;and&gt; one." in page
    assert "A sum is meant." in (tiny.parent / "reports/latest/report.md").read_text()
    assert "err:tiny.text" in fpk(tiny.parent, "list", "--studies", tiny).stdout
    told = fpk(tiny.parent, "explain", "err:tiny.text", "--studies", tiny).stdout
    assert all(text in told for text in ("wording", "One <and> one.", "A sum is meant.", "arithmetic, text"))
    alone = document(fpk(tiny.parent, "run", tiny, "err:tiny.text", "--json"))
    assert [row["id"] for row in alone["claims"]] == ["err:tiny.text"]
    assert within(tiny, "report", "err:tiny.text", "--studies", tiny).exit_code == 0, "nothing has to be stored for it"


CHART = """Chart("Powers", "k", "2^k", (Series("powers", np.arange(40.0), 2.0 ** np.arange(40), kind="line"),), log_y=True)"""


def test_explain_prints_a_few_points_of_the_stated_forms_charts(tiny: Path) -> None:
    changed(
        tiny,
        ("import numpy as np", "import numpy as np\nfrom fpk.charts import Chart, Series"),
        ('("1 + 1", "0"))', f'("1 + 1", "0"), charts=({CHART},))'),
    )
    fpk(tiny.parent, "run", tiny)
    lines = fpk(tiny.parent, "explain", "tiny.sum", "--studies", tiny).stdout.splitlines()
    assert sum("Powers" in line for line in lines) == 1, "controls have none"
    rows = [line.split() for line in lines if line.startswith("    powers")]
    assert rows[0] == ["powers", "0", "1"]
    assert rows[-1] == ["powers", "39", "5.5e11"]
    assert 10 <= len(rows) <= 16


def test_explain_tells_formula_source_controls_and_stored_verdicts(tiny: Path) -> None:
    before = fpk(tiny.parent, "explain", "tiny.sum", "--studies", tiny)
    assert before.returncode == 0
    assert before.stdout.count("not run yet") == 3
    assert all(text in before.stdout for text in ("1+1=2", "arithmetic", "sign — minus two", "fpk run tiny.sum"))
    fpk(tiny.parent, "run", tiny)
    after = fpk(tiny.parent, "explain", "tiny.sum", "--studies", tiny)
    assert "CONFIRMED (expected CONFIRMED)" in after.stdout
    assert after.stdout.count("REFUTED (expected REFUTED)") == 2
    found = document(fpk(tiny.parent, "explain", "tiny.sum", "--studies", tiny, "--json"))
    assert len(found["claims"]) == 3
    assert len(calls(tiny)) == 3, "explaining computes nothing"


def test_report_writes_the_page_again_without_computing(tiny: Path) -> None:
    fpk(tiny.parent, "run", tiny, "--quick")
    done = fpk(tiny.parent, "report", "--studies", tiny, "--quick", "--json", "--report", "again")
    assert document(done)["counts"]["hold"] == 3
    assert (tiny.parent / "again" / "index.html").exists()
    assert len(calls(tiny)) == 3


@pytest.fixture
def gappy(tiny: Path) -> Callable[[str, str], Path]:
    """The tiny study in two cases, run, and a way to lose or damage the record of a variant in the case b."""
    changed(tiny, ('"sign": -2.0}', '"sign": -2.0}, cases=("a", "b")'))
    within(tiny, "run", tiny)
    records = json.loads(within(tiny, "report", "--studies", tiny, "--json").stdout)["claims"]
    keys = {r["variant"]: r["key"] for r in records if r["case"] == "b"}

    def spoilt(variant: str, how: str) -> Path:
        path = tiny.parent / ".fpk" / "records" / keys[variant][:2] / f"{keys[variant]}.npz"
        if how == "lost":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-9])
        return path

    return spoilt


@pytest.mark.parametrize("variant", ["stated", "two + 5 %", "sign"])
@pytest.mark.parametrize("how", ["lost", "damaged"])
def test_a_claim_that_lacks_a_record_holds_in_no_part_of_a_report(
    tiny: Path, gappy: Callable[[str, str], Path], variant: str, how: str
) -> None:
    path = gappy(variant, how)
    done = within(tiny, "report", "--studies", tiny, "--json")
    assert done.exit_code == 4
    found = json.loads(done.stdout)
    assert (found["exit"], found["counts"]["records"], found["counts"]["missing"]) == (4, 6, 1)
    own = {(c["variant"], c["case"]): c for c in found["claims"]}
    assert (own[variant, "b"]["verdict"], own[variant, "b"]["holds"]) == (None, False)
    assert own["stated", "a"]["verdict"] == "CONFIRMED"
    if variant != "stated":
        assert own["stated", "b"]["verdict"] == "UNDECIDED"
        assert repr(variant) in own["stated", "b"]["reason"]
    why = (
        "the store has no record of it"
        if how == "lost"
        else f"its record is damaged: fpk run computes it anew (.fpk/{path.relative_to(tiny.parent / '.fpk')})"
    )
    assert f"✗ tiny.sum · {variant} · b: MISSING, expected" in done.stderr
    assert why in done.stderr
    report = tiny.parent / "reports/latest"
    page = (report / "index.html").read_text()
    assert '<h1 class="bad">' in page
    assert re.search(
        r'<tr class="fails">\s*<th scope="row"><a href="#tiny.sum"><span class="bad" aria-label="does not hold:"', page
    )
    row = re.search(r'<td data-label="Verdict">(.*?)</td>', page)
    assert row is not None
    assert '<span class="badge missing">MISSING</span>' in row[1]
    assert 'aria-label="holds"' not in page
    assert html.unescape(page).count(why) >= 2, "where it fails and in the table of its records"
    text = (report / "report.md").read_text()
    assert text.startswith(f"# {found['counts']['hold']} of 6 records hold: 1 missing")
    assert "✓" not in text
    assert "| ✗ tiny.sum | One and one are two. |" in text
    assert "∅ MISSING" in text
    suite = ElementTree.fromstring((report / "junit.xml").read_text())
    assert suite.attrib["errors"] == "1"
    (error,) = suite.iter("error")
    assert error.attrib["type"] == "MISSING"
    assert within(tiny, "run", tiny).exit_code == 0
    assert within(tiny, "report", "--studies", tiny).exit_code == 0, "a run repairs it"


def test_a_case_of_which_nothing_is_stored_is_missing_where_others_are_stored(tiny: Path) -> None:
    changed(tiny, ('"sign": -2.0}', '"sign": -2.0}, cases=("a", "b")'))
    stop = tiny.with_name("stop")
    stops = f"    if case == 'b' and Path({str(stop)!r}).exists():\n        raise KeyboardInterrupt\n"
    changed(tiny, (COMPUTES, stops + COMPUTES))
    stop.touch()
    assert within(tiny, "run", tiny).exit_code == 130
    done = within(tiny, "report", "--studies", tiny, "--json")
    assert done.exit_code == 4
    assert json.loads(done.stdout)["counts"] == {"records": 6, "hold": 3, "CONFIRMED": 1, "REFUTED": 2, "missing": 3}


@pytest.fixture
def several(tiny: Path) -> Path:
    """The tiny study with two more claims, of which the first and the tiny one are run."""
    text = tiny.read_text()
    tiny.write_text(
        text.replace(
            "CLAIMS = (",
            "CLAIMS = (*(Claim(id, 'identity', '', '', '', {'stated': Outcome.CONFIRMED, 'x': Outcome.REFUTED}) for id in ('more.one', 'more.two')),",
        )
        + """

for id in ("more.one", "more.two"):
    study(id, variants={"stated": 2.0, "x": 3.0})(total)
"""
    )
    within(tiny, "run", tiny, "tiny.sum", "more.one")
    return tiny


def test_claims_of_which_nothing_is_stored_are_named_and_not_in_the_report(several: Path) -> None:
    tiny = several
    done = within(tiny, "report", "--studies", tiny, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["left_out"] == ["more.two"]
    assert "not stored, so left out: more.two (" in done.stderr
    for name in ("index.html", "report.md"):
        assert (
            "Not in this report, as nothing is stored of it: more.two."
            in (tiny.parent / "reports/latest" / name).read_text()
        )


@pytest.mark.parametrize(
    "names",
    [("tiny.sum", "more.one", "more.two"), ("more",), ("MORE.TWO", "tiny.sum"), ("tiny",), ("tiny.total",), ()],
    ids=["ids", "beginning", "capitals", "module", "study", "file"],
)
def test_claims_that_are_named_and_of_which_nothing_is_stored_are_missing(
    several: Path, names: tuple[str, ...]
) -> None:
    done = within(several, "report", several, *names, "--json")
    assert done.exit_code == 4, done.stderr
    found = json.loads(done.stdout)
    assert (found["exit"], found["counts"]["missing"], found["left_out"]) == (4, 2, [])
    assert "left out" not in done.stderr
    for variant in ("stated", "x"):
        assert f"✗ more.two · {variant}: MISSING, expected" in done.stderr
    rows = json.loads((several.parent / "reports/latest/verdicts.json").read_text())
    assert [(r["variant"], r["verdict"], r["missing"]) for r in rows if r["id"] == "more.two"] == [
        ("stated", None, True),
        ("x", None, True),
    ]
    assert all(r["verdict"] == r["expected"] for r in rows if r["id"] != "more.two"), "the others are as they were"
    text = (several.parent / "reports/latest/report.md").read_text()
    assert "| ✗ more.two |" in text
    assert "Not in this report" not in text


def test_where_nothing_at_all_is_stored_of_what_is_named_no_report_is_written(several: Path) -> None:
    done = within(several, "report", several, "more.two")
    assert done.exit_code == 2
    assert (
        f"nothing is stored in .fpk for this code, size and seed: fpk run more.two --studies {several}" in done.stderr
    )


def test_explain_gives_the_records_that_a_claim_lacks(several: Path) -> None:
    done = within(several, "explain", "more.two", "--studies", several, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["counts"] == {"records": 2, "hold": 0, "missing": 2}
    assert within(several, "explain", "more", "--studies", several).stdout.count("not run yet") == 2


def test_a_report_of_what_cannot_be_computed_here_is_refused_as_its_run_is(tiny: Path) -> None:
    tiny.write_text(tiny.read_text() + SKIPPED)
    within(tiny, "run", tiny)
    for command in ("run", "report"):
        done = within(tiny, command, tiny, "clients.thing")
        assert done.exit_code == 2, done.stderr
        assert "nothing to compute: 1 of 1 claim is skipped" in done.stderr
        assert "1 of 2 claims are skipped" in within(tiny, command, tiny, "tiny.sum", "clients.thing").stderr


def test_explain_says_what_is_damaged_and_what_that_makes_of_the_others(tiny: Path) -> None:
    within(tiny, "run", tiny)
    records = json.loads(within(tiny, "report", "--studies", tiny, "--json").stdout)["claims"]
    key = next(r["key"] for r in records if r["variant"] == "sign")
    path = tiny.parent / ".fpk" / "records" / key[:2] / f"{key}.npz"
    path.write_bytes(path.read_bytes()[:-9])
    told = within(tiny, "explain", "tiny.sum", "--studies", tiny).stdout
    assert re.search(rf"sign — minus two\n    expected REFUTED; damaged: fpk run computes it anew .*{key}", told)
    assert "UNDECIDED (expected CONFIRMED)" in told
    assert re.search(
        "tolerance –.*\n    the tolerance follows from the controls, and there is no evidence of 'sign'[.]\n", told
    )
    assert "not run yet" not in told


def test_explain_says_when_only_the_other_size_is_stored(tiny: Path) -> None:
    within(tiny, "run", tiny, "--quick")
    told = within(tiny, "explain", "tiny.sum", "--studies", tiny).stdout
    assert "stored   at the quick size: fpk explain tiny.sum --quick\n" in told
    assert "stored   at" not in within(tiny, "explain", "tiny.sum", "--studies", tiny, "--quick").stdout


def test_the_demonstration_confirms_refutes_and_leaves_undecided(tmp_path: Path) -> None:
    done = fpk(tmp_path, "demo")
    assert done.returncode == 0, done.stderr
    places = [done.stdout.index(f"\n{word}: ") for word in ("CONFIRMED", "REFUTED", "UNDECIDED")]
    assert places == sorted(places)
    assert "to settle it" in done.stdout


def test_doctor_gets_a_right_first_result_and_names_what_is_missing(tmp_path: Path) -> None:
    done = fpk(tmp_path, "doctor", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["schema"], found["first result"], found["well"]) == ("fpk/1", "CONFIRMED", True)
    assert {"python", "fpk", "numpy", "scipy", "numba"} <= set(found["versions"])
    assert {"fpk from", "platform", "processors", "threads", "numba cache"} <= set(found["machine"])
    assert all({"version", "for", "install"} == set(part) for part in found["optional"].values())
    assert set(found["settings"]) >= {"studies", "store", "jobs", "pytest.undecided"}
    assert {part["origin"] for part in found["settings"].values()} == {"default"}
    assert not list(tmp_path.iterdir()), "an examination leaves nothing behind"


BROKEN = """
import sys
from fpk.command_line import main
import fpk.comparison
fpk.comparison.settle = lambda *a, **k: 1 / 0
sys.argv[1:] = ["doctor", "--json"]
main()
"""


def test_doctor_reports_what_stops_the_first_result_and_exits_with_four(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout)["first result"] == "ZeroDivisionError: division by zero"
    assert "Traceback" not in done.stderr


# -- a light start ----------------------------------------------------------------------------------------------------------

HEAVY = ("scipy", "numba", "sympy", "matplotlib", "findiff", "jinja2", "distributed", "hypothesis", "pytest")
HELP = "import fpk.command_line\ntry:\n    fpk.command_line.main(['--help'])\nexcept SystemExit:\n    pass"


@pytest.mark.parametrize("action", ["import fpk", HELP], ids=["import fpk", "fpk --help"])
def test_a_start_imports_nothing_heavy_and_costs_a_tenth_of_a_second(action: str) -> None:
    code = (
        "import sys, time\nimport numpy\nbegun = time.process_time()\n"
        f"{action}\n"
        f"print(time.process_time() - begun, *[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    costs = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True
        )
        cost, *imported = done.stderr.split()
        assert imported == []
        costs.append(float(cost))
    assert min(costs) <= 0.1


def test_help_names_every_command(tmp_path: Path) -> None:
    done = fpk(tmp_path, "--help")
    assert done.returncode == 0
    for command in main.commands:
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)
    assert fpk(tmp_path, "run", "-h").returncode == 0


LONG = "x" * 5000


PLACES = [
    (command, option) for command in ("list", "explain", "report", "run") for option in ("", "--studies", "--store")
]


@pytest.mark.parametrize(("command", "option"), PLACES)
def test_what_is_too_long_for_a_name_is_told_in_a_line(tiny: Path, command: str, option: str) -> None:
    elsewhere = [] if option == "--studies" else ["--studies", tiny]
    done = within(tiny, command, *(["tiny.sum", option] if option else []), LONG, *elsewhere)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    is_read = command != "list" or option != "--store"
    assert done.exit_code == (2 if is_read else 0), done.output
    assert max(map(len, done.stderr.splitlines()), default=0) < 300


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&- <&-"])
def test_a_caller_who_does_not_listen_gets_the_exit_code(tiny: Path, closed: str) -> None:
    command = ["bash", "-c", f'exec "$@" {closed}', "bash", *FPK, "run", str(tiny), "--json"]
    assert (
        subprocess.run(command, cwd=tiny.parent, env=environment(), timeout=60, stdout=subprocess.DEVNULL).returncode
        == 0
    )
    assert (tiny.parent / "reports" / "latest" / "index.html").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no file that is always full")
def test_an_output_that_is_full_is_told_and_is_no_verdict(tiny: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*FPK, "run", str(tiny), "--json"],
            cwd=tiny.parent,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert "fpk: cannot write what there is to tell: No space left on device." in done.stderr
    assert "Traceback" not in done.stderr


# -- interruptions ----------------------------------------------------------------------------------------------------------

SLOW = "    if variant == -2.0 and Path(__file__).with_name('slow').exists():\n        import time\n        time.sleep(60)\n"


def started(tiny: Path, *arguments: str) -> subprocess.Popen[str]:
    """A run that has computed two variants and sleeps in the third."""
    changed(tiny, ("    first = ", SLOW + "    first = "))
    tiny.with_name("slow").touch()
    process = subprocess.Popen(
        [*FPK, "run", str(tiny), *arguments],
        cwd=tiny.parent,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite started in the background ignores it
    )
    deadline = time.monotonic() + 30
    while len(calls(tiny)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(calls(tiny)) == 3, process.communicate()
    return process


def test_an_interrupted_run_exits_with_130_and_goes_on_later(tiny: Path) -> None:
    process = started(tiny, "--json")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out == ""
    assert "interrupted after 2 of 3" in err
    assert "Traceback" not in err
    tiny.with_name("slow").unlink()
    assert document(fpk(tiny.parent, "run", tiny, "--json"))["exit"] == 0
    assert calls(tiny) == ["2.0", "2.1", "-2.0", "-2.0"]


def test_a_killed_run_keeps_what_was_finished(tiny: Path) -> None:
    process = started(tiny)
    process.kill()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert not [p for p in (tiny.parent / ".fpk").rglob("*") if p.is_file() and p.suffix not in (".npz", ".json")]
    tiny.with_name("slow").unlink()
    assert document(fpk(tiny.parent, "run", tiny, "--json"))["exit"] == 0
    assert calls(tiny) == ["2.0", "2.1", "-2.0", "-2.0"]


def test_an_interrupt_while_studies_are_read_exits_with_130(tiny: Path) -> None:
    tiny.write_text("raise KeyboardInterrupt\n")
    done = fpk(tiny.parent, "run", tiny)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


# -- colours ----------------------------------------------------------------------------------------------------------------

COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")


HIDDEN = "\x1b[?25l"


def on_a_terminal(folder: Path, *arguments: object, **variables: str) -> str:
    """What a terminal on stderr receives."""
    screen, keyboard = pty.openpty()
    with subprocess.Popen(
        [*FPK, *map(str, arguments)],
        cwd=folder,
        env=environment(**variables),
        stdout=subprocess.DEVNULL,
        stderr=keyboard,
    ) as process:
        os.close(keyboard)
        received = bytearray()
        while select.select([screen], [], [], 30)[0]:
            try:
                chunk = os.read(screen, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            received += chunk
    os.close(screen)
    assert process.returncode == 0
    return received.decode(errors="replace")


def test_a_terminal_gets_colours_and_a_pipe_none(tiny: Path) -> None:
    shown = on_a_terminal(tiny.parent, "run", tiny)
    assert COLOUR.search(shown)
    assert HIDDEN in shown, "a progress bar hides the cursor"
    done = fpk(tiny.parent, "run", tiny)
    assert "\x1b" not in done.stdout + done.stderr


def test_in_ci_no_progress_bar_fills_the_log(tiny: Path) -> None:
    shown = on_a_terminal(tiny.parent, "run", tiny, CI="true")
    assert "3 of 3 records hold" in shown
    assert "\r" not in shown.replace("\r\n", "")
    assert HIDDEN not in shown


def test_no_color_is_respected_on_a_terminal(tiny: Path) -> None:
    shown = on_a_terminal(tiny.parent, "run", tiny, NO_COLOR="1")
    assert "3 of 3 records hold" in shown
    assert not COLOUR.search(shown)
