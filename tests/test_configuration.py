"""Settings: option before variable before file before default, and nothing that is misspelt is ignored."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from fpk.command_line import main
from fpk.command_line.group import where_to_compute
from fpk.configuration import BY_NAME, SETTINGS, WHERE, configured, given, ignored, table_above
from fpk.errors import ProblemError

#: A value of every setting that is not its default: as a file says it, as a variable says it, and what is read.
SAID: dict[str, tuple[str, str, Any]] = {
    "studies": ('"questions"', "questions", "questions"),
    "store": ('"kept"', "kept", "kept"),
    "report": ('"out"', "out", "out"),
    "since": ('"before"', "before", "before"),
    "quick": ("true", "1", True),
    "jobs": ("3", "3", 3),
    "seed": ("7", "7", "7"),
    "alpha": ("1e-9", "1e-9", 1e-9),
    "scheduler": ('"tcp://127.0.0.1:1"', "tcp://127.0.0.1:1", "tcp://127.0.0.1:1"),
    "scheduler-file": ('"s.json"', "s.json", "s.json"),
    "pytest.seed": ('"random"', "random", "random"),
    "pytest.alpha": ("1e-4", "1e-4", 1e-4),
    "pytest.report": ('"checks"', "checks", "checks"),
    "pytest.compare": ('"main"', "main", "main"),
    "pytest.summary": ('"s.md"', "s.md", "s.md"),
    "pytest.undecided": ('"xfail"', "xfail", "xfail"),
}


def project(folder: Path, text: str) -> Path:
    """A folder with this ``pyproject.toml``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def as_table(name: str, text: str) -> str:
    table, _, key = f"tool.fpk.{name}".rpartition(".")
    return f"[{table}]\n{key} = {text}\n"


def test_every_setting_is_tried_here() -> None:
    assert list(SAID) == [setting.name for setting in SETTINGS]


def test_without_anything_every_setting_is_its_default(tmp_path: Path) -> None:
    found = configured(tmp_path, {})
    assert {name: value.value for name, value in found.items()} == {s.name: s.default for s in SETTINGS}
    assert {value.origin for value in found.values()} == {"default"}


@pytest.mark.parametrize("name", SAID)
def test_a_variable_goes_before_the_file_and_the_file_before_the_default(tmp_path: Path, name: str) -> None:
    in_file, in_variable, value = SAID[name]
    folder = project(tmp_path, as_table(name, in_file))
    found = configured(folder, {})[name]
    assert (found.value, found.origin) == (value, str(folder / "pyproject.toml"))
    setting, other = BY_NAME[name], {"pytest.undecided": "skip", "quick": "0"}.get(name, in_variable)
    found = configured(folder, {setting.variable: other})[name]
    assert (found.value, found.origin) == (setting.read(other), setting.variable)
    assert given(name, folder, {}) == value


def test_names_of_options_and_variables_follow_from_the_key() -> None:
    assert (BY_NAME["scheduler-file"].flag, BY_NAME["scheduler-file"].variable) == (
        "--scheduler-file",
        "FPK_SCHEDULER_FILE",
    )
    assert (BY_NAME["pytest.seed"].flag, BY_NAME["pytest.seed"].variable) == ("--fpk-seed", "FPK_PYTEST_SEED")


def test_an_empty_variable_counts_as_absent(tmp_path: Path) -> None:
    assert configured(tmp_path, {"FPK_JOBS": ""})["jobs"].origin == "default"


# -- the file -------------------------------------------------------------------------------------------------------------------


def test_the_nearest_file_with_a_table_of_ours_decides_and_its_paths_are_its_own(tmp_path: Path) -> None:
    project(tmp_path, "[tool.fpk]\njobs = 2\n")
    project(tmp_path / "a", '[tool.fpk]\nstudies = "questions"\n')
    deep = project(tmp_path / "a" / "b", '[project]\nname = "without-fpk"\n') / "c"
    deep.mkdir()
    found = configured(deep, {})
    assert found["studies"].value == str(tmp_path / "a" / "questions")
    assert found["jobs"].value == 1, "tables of several files are not mixed"
    assert (found["store"].value, found["report"].value) == (
        str(tmp_path / "a" / ".fpk"),
        str(tmp_path / "a" / "reports" / "latest"),
    )
    assert found["store"].origin == f"default, beside {tmp_path / 'a' / 'pyproject.toml'}"
    assert found["since"].value is None
    assert configured(tmp_path / "a", {})["studies"].value == "questions"
    assert configured(tmp_path / "a", {})["store"].value == ".fpk"
    assert table_above(Path("/")) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.fpk]\njob = 2\n", r"pyproject\.toml: unknown key 'job' in \[tool\.fpk\]\. Did you mean jobs.* Known: studies, store"),
        ("[tool.fpk]\nscheduler_file = 's'\n", "Did you mean scheduler-file"),
        ("[tool.fpk.pytest]\njobs = 2\n", r"unknown key 'jobs' in \[tool\.fpk\.pytest\]"),
        ("[tool.fpk]\npytest = 3\n", r"tool\.fpk\.pytest is 3: make it a table"),
        ("[tool]\nfpk = 3\n", r"tool\.fpk is 3: make it a table"),
        ("[tool.fpk]\njobs = '2 or 3'\n", r"tool\.fpk\.jobs is '2 or 3'; allowed is a whole number from 1 to 512"),
        ("[tool.fpk]\njobs = 0\n", "a whole number from 1"),
        ("[tool.fpk]\njobs = true\n", "a whole number from 1"),
        ("[tool.fpk]\njobs = 2.5\n", "a whole number from 1"),
        ("[tool.fpk]\nquick = 1\n", "true or false"),
        ("[tool.fpk]\nalpha = 2\n", "a number from 1e-15 to 0.5"),
        ("[tool.fpk]\nalpha = nan\n", "a number from 1e-15 to 0.5"),
        ("[tool.fpk]\nalpha = false\n", "a number from 1e-15 to 0.5"),
        ("[tool.fpk]\nseed = -1\n", "a whole number ≥ 0 or the word random"),
        ("[tool.fpk]\nseed = '²'\n", "a whole number ≥ 0 or the word random"),
        ("[tool.fpk]\nstore = 3\n", "a path"),
        ("[tool.fpk]\nstore = ''\n", "a path"),
        ('[tool.fpk]\nstore = "a\\u0000b"\n', "a path"),
        ("[tool.fpk]\nstore = ['a']\n", "a path"),
        ("[tool.fpk.pytest]\nundecided = 'pass'\n", "fail, skip or xfail"),
        ("[tool.fpk.pytest]\nundecided = []\n", "fail, skip or xfail"),
        ("[tool.fpk\n", r"cannot read .*pyproject\.toml"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_file_key_and_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ProblemError, match=message):
        configured(project(tmp_path, text), {})


def test_paths_may_begin_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = project(tmp_path, '[tool.fpk]\nstore = "~/kept"\n')
    (folder / "below").mkdir()
    for where in (folder, folder / "below"):
        assert configured(where, {})["store"].value == str(tmp_path / "home" / "kept")


def test_a_working_directory_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ProblemError, match="the working directory is gone"):
        configured(environ={})


def test_folders_that_may_not_be_looked_into_hold_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = os.stat

    def refusing(path: Any, **options: Any) -> os.stat_result:
        if str(path).endswith("pyproject.toml"):
            raise PermissionError(13, "Permission denied", str(path))
        return true(path, **options)

    monkeypatch.setattr(os, "stat", refusing)
    assert configured(tmp_path, {})["jobs"].origin == "default"


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"[tool.fpk]\njobs = \xff\n")
    with pytest.raises(ProblemError, match=r"cannot read .*pyproject\.toml"):
        configured(tmp_path, {})


# -- the environment ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"FPK_JOBS": "two"}, "FPK_JOBS='two'; allowed is a whole number from 1 to 512"),
        ({"FPK_JOBS": "9" * 9999}, "a whole number from 1"),
        ({"FPK_JOB": "2"}, "unknown environment variable FPK_JOB. Did you mean FPK_JOBS?"),
        ({"FPK_QUICK": "perhaps"}, "true or false"),
        ({"FPK_ALPHA": "inf"}, "a number from"),
    ],
)
def test_variables_that_cannot_be_meant_are_refused(tmp_path: Path, variables: dict[str, str], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        configured(tmp_path, variables)


def test_variables_of_somebody_else_are_left_alone_but_can_be_listed(tmp_path: Path) -> None:
    theirs = {"FPK_CUSTOMER_ADDRESS": "x", "FPK_JOBS": "2", "HOME": "/"}
    assert configured(tmp_path, theirs)["jobs"].value == 2
    assert ignored(theirs) == ["FPK_CUSTOMER_ADDRESS"]


@pytest.mark.parametrize(("word", "value"), [("TRUE", True), ("on", True), ("no", False), ("0", False)])
def test_switches_are_words_or_digits(tmp_path: Path, word: str, value: bool) -> None:
    assert configured(tmp_path, {"FPK_QUICK": word})["quick"].value is value


def test_a_setting_that_does_not_exist_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ProblemError, match=r"unknown setting 'sed'\. Did you mean seed"):
        given("sed")


# -- where to compute: one thing that three settings say ------------------------------------------------------------------------

PLACES = {"jobs": 3, "scheduler": "tcp://a:1", "scheduler-file": "s.json"}


def said_in(folder: Path, *names: str) -> Path:
    return project(folder, "[tool.fpk]\n" + "".join(f"{name} = {PLACES[name]!r}\n" for name in names))


@pytest.mark.parametrize("lower", WHERE)
@pytest.mark.parametrize("higher", WHERE)
def test_who_says_where_to_compute_leaves_nothing_of_it_to_a_lower_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lower: str, higher: str
) -> None:
    folder, setting = said_in(tmp_path, lower), BY_NAME[higher]
    other = {"jobs": "4", "scheduler": "tcp://b:2", "scheduler-file": "t.json"}[higher]
    found = configured(folder, {setting.variable: other})
    assert {name: found[name].value for name in WHERE} == {n: BY_NAME[n].default for n in WHERE} | {
        higher: setting.read(other)
    }
    if lower != higher:
        assert found[lower].origin == f"default, as {setting.variable} is set"
    monkeypatch.chdir(folder)
    for command in ("run", "plan"):
        places: list[dict[str, Any]] = []
        monkeypatch.setattr(main.commands[command], "callback", lambda to=places, **_: to.append(where_to_compute()))
        CliRunner().invoke(main, [command, "a", setting.flag, other], catch_exceptions=False)
        told = {name: str(value) for name, value in places[0].items() if value is not None}
        assert told == {higher.replace("-", "_"): other}


@pytest.mark.parametrize("names", [("jobs", "scheduler"), ("scheduler", "scheduler-file"), WHERE], ids=" and ".join)
def test_where_to_compute_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    calls = [BY_NAME[name].variable for name in names]
    with pytest.raises(ProblemError, match=f"^{' and '.join(calls)} each say where to compute: give one of them"):
        configured(tmp_path, {BY_NAME[name].variable: str(PLACES[name]) for name in names})
    with pytest.raises(ProblemError, match=rf"pyproject\.toml: tool\.fpk\.{names[0]} and .* each say where to compute"):
        configured(said_in(tmp_path / "a", *names), {})
    monkeypatch.chdir(tmp_path)
    options = [text for name in names for text in (BY_NAME[name].flag, str(PLACES[name]))]
    for command in ("run", "plan"):
        refused = CliRunner().invoke(main, [command, "a", *options])
        assert refused.exit_code == 2
        assert f"{' and '.join(BY_NAME[name].flag for name in names)} each say where to compute" in refused.output


def test_mutants_say_that_a_cluster_is_not_for_them(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They change everything in the process that computes them, and the workers of a cluster may compute for others."""
    monkeypatch.chdir(said_in(tiny.parent, "scheduler"))
    asked = ["mutants", "tiny.sum", "½ missing on g²", "--studies", str(tiny)]
    told = CliRunner().invoke(main, asked).stderr.splitlines()[0]
    assert re.fullmatch(
        r"fpk: scheduler \(.*pyproject.toml\) is not used: mutants are planted in processes of this machine only, .*",
        told,
    )
    assert "is not used" not in CliRunner().invoke(main, [*asked, "-j", "1"]).stderr


# -- on the command line --------------------------------------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What ``fpk run`` was called with, in place of a run."""
    seen: dict[str, Any] = {}
    command = main.commands["run"]
    monkeypatch.setattr(command, "callback", lambda **arguments: seen.update(arguments))
    return seen


def test_an_option_goes_before_a_variable_and_a_variable_before_the_file(
    told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(tmp_path, '[tool.fpk]\njobs = 2\nalpha = 1e-3\nquick = true\nstore = "kept"\n'))
    monkeypatch.setenv("FPK_ALPHA", "1e-4")
    monkeypatch.setenv("FPK_REPORT", "elsewhere")
    CliRunner().invoke(main, ["run", "-j", "5"], catch_exceptions=False)
    assert (told["jobs"], told["alpha"], told["quick"], told["seed"]) == (5, 1e-4, True, "0")
    assert (told["store"], told["folder"]) == (Path("kept"), Path("elsewhere"))
    CliRunner().invoke(main, ["run", "--full"], catch_exceptions=False)
    assert told["quick"] is False, "what a file switches on can be switched off"


def test_every_setting_of_the_table_has_an_option_and_the_same_default() -> None:
    options = {flag: p for p in main.commands["run"].params for flag in p.opts}
    for setting in SETTINGS:
        if "." not in setting.name:
            assert options[setting.flag].default == setting.default


def test_no_command_has_an_option_of_a_setting_with_a_default_of_its_own() -> None:
    """None: the command finds out for itself where nothing is set."""
    flags = {s.flag: s for s in SETTINGS if "." not in s.name}
    for name, command in main.commands.items():
        for option in command.params:
            for flag in set(option.opts) & set(flags):
                if (name, flag) != ("mutants", "--quick"):
                    assert option.default in (flags[flag].default, None), f"fpk {name} {flag}"


def test_help_is_given_whatever_the_settings_are_and_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(tmp_path, "[tool.fpk]\njobs = 4\n"))
    assert "[default: 4; 1<=x<=512]" in " ".join(CliRunner().invoke(main, ["run", "--help"]).output.split())
    project(tmp_path, "[tool.fpk]\njobs = 'all'\n")
    assert CliRunner().invoke(main, ["run", "--help"]).exit_code == 0
    refused = CliRunner().invoke(main, ["run"])
    assert refused.exit_code == 2
    assert "tool.fpk.jobs is 'all'" in refused.output


def test_settings_reach_the_commands_of_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    inner = click.Command(
        "inner", callback=lambda store: seen.append(store), params=[click.Option(["--store"], default=".fpk")]
    )
    monkeypatch.setitem(main.commands, "outer", click.Group("outer", commands={"inner": inner}))
    monkeypatch.chdir(project(tmp_path, '[tool.fpk]\nstore = "kept"\n'))
    CliRunner().invoke(main, ["outer", "inner"], catch_exceptions=False)
    assert seen == ["kept"]


def test_doctor_tells_where_each_value_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project(tmp_path, '[tool.fpk]\nstore = "kept"\n[tool.fpk.pytest]\nundecided = "skip"\n'))
    monkeypatch.setenv("FPK_JOBS", "2")
    monkeypatch.setenv("FPK_CUSTOMER_ADDRESS", "x")
    monkeypatch.setattr("fpk.tour._first_result", lambda: "CONFIRMED")
    lines = [line.split() for line in CliRunner().invoke(main, ["doctor"], catch_exceptions=False).output.splitlines()]
    assert ["jobs", "2", "FPK_JOBS"] in lines
    assert ["store", "kept", "pyproject.toml"] in lines
    assert ["seed", "0", "default"] in lines
    assert ["pytest.undecided", "skip", "pyproject.toml"] in lines
    assert ["FPK_CUSTOMER_ADDRESS", "x", "means", "nothing", "to", "fpk"] in lines


# -- cost -----------------------------------------------------------------------------------------------------------------------

READING = """
import sys, time
import fpk.configuration
begun = time.process_time()
fpk.configuration.configured()
print(time.process_time() - begun, *(m for m in ("numpy", "click", "tomllib", "scipy") if m in sys.modules))
"""


@pytest.mark.parametrize(
    ("text", "imported"), [('[project]\nname = "a"\n', []), ("[tool.fpk]\njobs = 2\n", ["tomllib"])]
)
def test_reading_costs_little_and_a_parser_only_where_there_is_something_to_parse(
    tmp_path: Path, text: str, imported: list[str]
) -> None:
    folder = project(tmp_path, text)
    done = [
        subprocess.run([sys.executable, "-c", READING], cwd=folder, capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    assert all(one.stdout.split()[1:] == imported for one in done)
    assert min(float(one.stdout.split()[0]) for one in done) < 0.03
