"""Sessions of pytest: what checks may spend, their rows, reports, comparisons and summaries."""

from __future__ import annotations

import asyncio
import json
import math
import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fpk.check_context import Allowance, Checks
from fpk.hypothesis_examples import _telling
from fpk.laws import Gaussian
from fpk.pytest_plugin import Test, _outcome
from fpk.session_reports import LARGEST_SUMMARY, append_summary, finished, markdown
from fpk.sessions import compared, earlier, rows_of
from fpk.testing import assert_residual, assert_same_law

pytest_plugins = ["pytester"]

# Loads all that a check needs: pytest within this process forgets what it imports, and parts of numpy cannot be loaded twice.
assert_residual(np.fft.fft(np.zeros(2)).real, bound=1e-12, tolerance=1e-9)
assert_same_law(np.random.default_rng(0).normal(size=(5000, 1)), Gaussian(0.0, 1.0), tolerance=0.5)

HEAD = """
import unittest
import numpy as np
import pytest
import fpk
from fpk.testing import assert_residual, assert_same_law

def zero(value=0.0, tolerance=1e-3):
    assert_residual(np.array([value]), bound=1e-12, tolerance=tolerance)

def law(seed, n=5000, tolerance=0.5):
    assert_same_law(np.random.default_rng(seed).normal(size=(n, 1)), fpk.Gaussian(0.0, 1.0), tolerance=tolerance)
"""
UNDECIDED = (
    HEAD
    + """
def test_cannot_tell(fpk_seed):
    law(fpk_seed, n=1000, tolerance=0.01)

class TestCase(unittest.TestCase):
    def test_cannot_tell(self):
        law(0, n=1000, tolerance=0.01)
"""
)


@pytest.fixture(autouse=True)
def _no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def run(pytester: pytest.Pytester, text: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(test_it=HEAD + text if "import fpk" not in text else text)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", *arguments)


def rows_in(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()]


# -- what may be spent -----------------------------------------------------------------------------------------------------

STEPS = st.lists(st.sampled_from(["check", "check", "example", "assertion at no cost"]), max_size=200)


@example(steps=["check", "check", "example"] * 100, planned=3)
@example(steps=["check"] * 5 + ["check", "example"] * 50, planned=1)
@given(steps=STEPS, planned=st.integers(1, 20))
def test_checks_never_spend_more_than_their_test_may(steps, planned):
    """Every check spends all that it is offered, in any order of examples and checks; the first may be those of fixtures."""
    allowance, spent = Allowance(1e-3, planned), []
    for step in steps:
        if step == "example":
            allowance.begin_example()
        elif step == "check":
            spent.append(allowance.offer)
            assert allowance.spend(allowance.offer)
    assert math.fsum(spent) <= 1e-3 * (1 + 1e-12)


def test_offers_are_the_documented_ones():
    plain = Allowance(1.2e-5)
    assert [offered(plain) for _ in range(3)] == pytest.approx([6e-6, 2e-6, 1e-6])
    given_3 = Allowance(1.2e-5, examples=3)
    offers = []
    for _ in range(7):
        given_3.begin_example()
        offers.append(offered(given_3))
    # a/(M b (b + 1)) for the example, half of it for its first check; lots of three: b = 1, 1, 1, 2, 2, 2, 3
    assert offers == pytest.approx([1e-6] * 3 + [1e-6 / 3] * 3 + [1e-6 / 6])


def test_checks_before_the_first_example_leave_the_rest_to_the_examples():
    allowance = Allowance(1.2e-5, examples=2)
    assert [offered(allowance) for _ in range(2)] == pytest.approx([6e-6, 2e-6])
    allowance.begin_example()
    # a third is left, half of it for the first two examples, half of that for the first check
    assert offered(allowance) == pytest.approx(1.2e-5 / 3 / 4 / 2)


def test_checks_of_several_threads_at_once_are_offered_different_shares():
    """All ask before any has spent, each more than once."""
    allowance, asked = Allowance(1e-3), Barrier(3)

    def check(_):
        first = allowance.offer
        asked.wait(60)
        assert allowance.offer == first
        assert allowance.spend(first)
        return first

    with ThreadPoolExecutor(3) as pool:
        offers = list(pool.map(check, range(3)))
    assert sorted(offers) == pytest.approx([1e-3 / 12, 1e-3 / 6, 1e-3 / 2])
    assert allowance.offer == pytest.approx(1e-3 / 20)


def test_what_is_run_again_has_the_same_offers_and_counts_once():
    checks = Checks(Allowance(1e-6))
    for attempt in (2, 3, 1):
        checks.begin_again()
        for k in range(attempt):
            checks.add(row(verdict="REFUTED" if attempt == 3 else "CONFIRMED", alpha=checks.alpha))
            assert checks.alpha == pytest.approx(1e-6 / ((k + 2) * (k + 3)))
    (kept,) = checks.rows()
    assert kept["spent"] == pytest.approx(1e-6 * (1 - 1 / 4)), "that of the longest attempt"
    assert kept["beyond"] == 0.0
    assert kept["counts"] == {"CONFIRMED": 3, "REFUTED": 3}
    assert kept["verdict"] == "REFUTED"


def test_an_example_that_is_awaited_fails_when_it_is():
    """As those that a plugin runs in an event loop."""
    allowance = Allowance(1e-3)

    async def failing():
        raise AssertionError

    coroutine = _telling(failing, allowance)()
    assert not allowance.repeating
    with pytest.raises(AssertionError):
        asyncio.run(coroutine)
    assert allowance.repeating


def offered(allowance: Allowance) -> float:
    offer = allowance.offer
    allowance.spend(offer)
    return offer


def test_an_example_that_failed_is_repeated_with_the_same_offers():
    allowance = Allowance(1e-6, examples=2)
    for _ in range(3):
        allowance.begin_example()
        offers = [offered(allowance), offered(allowance)]
    allowance.example_failed()
    for _ in range(50):
        allowance.begin_example()
        assert [offered(allowance), offered(allowance)] == offers


def test_a_check_that_spends_more_than_offered_is_noticed():
    checks = Checks(Allowance(1e-6))
    checks.add(row(alpha=0.5e-6))
    checks.add(row(alpha=1e-4))
    (kept,) = checks.rows()
    assert kept["spent"] == pytest.approx(1.005e-4)
    assert kept["beyond"] == pytest.approx(1e-4)


# -- rows ------------------------------------------------------------------------------------------------------------------


def row(**changed) -> dict:
    plain = {"check": "fpk.testing.assert_residual(residual, tolerance=0.1) at /p/test_a.py:7", "verdict": "CONFIRMED"}
    numbers = {"difference": 0.01, "budget": 0.0, "standard_error": 0.0, "tolerance": 0.1, "mde": 0.05, "alpha": 0.0}
    return plain | numbers | {"reason": "as it is", "remedy": "", "suspects": [], "functional": "φ"} | changed


def sent(test: str = "test_a.py::test_it", case: str = "", **changed) -> str:
    checks = Checks()
    checks.add(row(**changed))
    return json.dumps(checks.rows()[0] | {"test": test, "case": case, "rerun": f"pytest {test}"})


def ended(outcome: str = "passed", *rows: str) -> Test:
    return Test(outcome, list(rows) or [sent()])


def session(tests, before=None, **option):
    defaults = {"fpk_seed": "0", "fpk_alpha": None, "fpk_report": None, "fpk_summary": None}
    return finished(tests, before, lambda test: False, SimpleNamespace(**defaults | option))


@given(
    st.permutations(
        [
            row(difference=0.02),
            row(difference=-0.09),
            row(verdict="UNDECIDED", difference=0.08, tolerance=None),
            row(verdict="REFUTED", difference=0.3, check="assert_residual(r, tolerance=0.2) at /p/test_a.py:7"),
            row(verdict="REFUTED", difference=math.nan, mde=math.inf),
        ]
    )
)
def test_a_place_has_one_row_with_its_worst_verdict_whatever_the_order(rows):
    checks = Checks()
    for one in rows:
        checks.add(one)
    (kept,) = checks.rows()
    assert kept["counts"] == {"CONFIRMED": 2, "UNDECIDED": 1, "REFUTED": 2}
    assert (kept["verdict"], kept["difference"], kept["mde"]) == (
        "REFUTED",
        None,
        None,
    )  # infinite numbers are not JSON


def test_rows_have_the_fields_of_records_and_a_name_of_their_own():
    first, second = (sent(check=f"fpk.testing.assert_order(h) at /p/test_a.py:{line}") for line in (30, 4))
    rows = rows_of(
        {"test_a.py::test_it[x-1]": ended("passed", first, sent(case="x-1", test="test_a.py::test_it[x-1]"))}, 3
    )
    assert [r["variant"] for r in rows] == ["assert_residual", "assert_order"]
    assert (rows[0]["id"], rows[0]["case"], rows[0]["seed"]) == ("test_a.py::test_it", "x-1", 3)
    twice = rows_of({"test_a.py::test_it": ended("passed", first, second)}, 0)
    assert [(r["variant"], r["place"]) for r in twice] == [
        ("assert_order", "/p/test_a.py:4"),
        ("assert_order (2)", "/p/test_a.py:30"),
    ]


@pytest.mark.parametrize(
    ("outcome", "verdict", "holds"),
    [
        ("passed", "CONFIRMED", True),
        ("failed", "CONFIRMED", True),
        ("passed", "REFUTED", True),
        ("xfailed", "REFUTED", True),
        ("failed", "REFUTED", False),
        ("undecided", "UNDECIDED", False),
        ("skipped", "UNDECIDED", False),
    ],
)
def test_a_row_holds_if_confirmed_or_if_its_test_wanted_it_so(outcome, verdict, holds):
    (found,) = rows_of({"test_a.py::test_it": ended(outcome, sent(verdict=verdict))}, 0)
    assert found["holds"] is holds
    assert found["expected"] == (verdict if holds else "CONFIRMED")


# -- comparing -------------------------------------------------------------------------------------------------------------


def compare(before, after, *, gone=()):
    return compared(
        rows_of(before, 0), rows_of(after, 0), {test: e.outcome for test, e in after.items()}, lambda test: test in gone
    )


ID = "test_a.py::test_it"


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (ended(), ended(), ""),
        (ended(), ended("failed", sent(verdict="REFUTED")), "flipped"),
        (ended(), ended("skipped", sent(verdict="UNDECIDED")), "flipped"),
        (ended("passed", sent(verdict="REFUTED")), ended(), "flipped"),  # a wrong variant is no longer seen
        (ended("failed", sent(verdict="REFUTED")), ended(), "mended"),
        (ended(), Test("passed"), "vanished"),
        (ended(), Test("skipped"), "vanished"),
        (ended(), Test("failed"), "unseen"),  # red already
        (ended(), ended("passed", sent(mde=0.11)), "blunted"),
        (ended(), ended("passed", sent(mde=math.inf)), "blunted"),
        (ended("passed", sent(mde=0.2)), ended("passed", sent(mde=0.3)), ""),  # was blunt before
        (ended(), ended("passed", sent(tolerance=0.3)), "inputs"),
        (ended(), ended("passed", sent(), sent(check="fpk.testing.assert_order(h) at /p/test_a.py:9")), "new"),
    ],
)
def test_what_differs_is_told_by_its_kind(before, after, found):
    comparison = compare({ID: before}, {ID: after})
    kinds = ("flipped", "vanished", "blunted", "mended", "new", "inputs", "unseen")
    assert [kind for kind in kinds if getattr(comparison, kind)] == ([found] if found else [])
    assert bool(comparison.bad) is (found in ("flipped", "vanished", "blunted"))


def test_tests_that_were_not_selected_tell_nothing_and_those_that_are_gone_do():
    assert compare({ID: ended()}, {}).unseen == 1
    assert [c.id for c in compare({ID: ended()}, {}, gone=[ID]).vanished] == [ID]


def test_a_report_of_something_else_is_no_session(tmp_path):
    (tmp_path / "records.jsonl").write_text('{"id": "S0.E1", "verdict": "CONFIRMED"}\n')
    with pytest.raises(Exception, match="no report of a test session"):
        earlier(str(tmp_path))


# -- writing ---------------------------------------------------------------------------------------------------------------

HOSTILE = 'test_a.py::test_it[</td></details><script>alert(1)</script>|`\n# big\x1b[2J\u202e"]'


def test_hostile_names_are_inert(tmp_path):
    tests = {
        HOSTILE: ended(
            "failed", sent(HOSTILE, verdict="REFUTED", reason="<img src=x onerror=alert(1)>", suspects=["<b>½</b>"])
        )
    }
    session(tests, fpk_report=str(tmp_path), fpk_summary=str(tmp_path / "summary.md"))
    page, summary = ((tmp_path / name).read_text(encoding="utf-8") for name in ("index.html", "summary.md"))
    assert not re.search(r"<script|<img|<b>½|\x1b|\u202e", page)
    outside = re.sub(r"(?<!\\)`pytest[^`\n]*`", "", summary)  # nothing acts within code
    assert not re.search(r"(?<!\\)<script|\n# big|\x1b|\u202e", outside)
    assert {line.count("|") - line.count("\\|") for line in summary.splitlines() if line.startswith("| ≠")} == {11, 10}
    (kept,) = rows_in(tmp_path)
    assert kept["test"] == HOSTILE


def test_pages_and_summaries_stay_below_a_megabyte(tmp_path):
    tests = {f"{ID}[{k}]": ended("failed", sent(f"{ID}[{k}]", case=str(k), verdict="REFUTED")) for k in range(6000)}
    big = session(tests, fpk_report=str(tmp_path))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 1_000_000
    assert "5000 more are in" in page
    assert len(rows_in(tmp_path)) == 6000
    assert LARGEST_SUMMARY * 0.99 < len(markdown(big).encode()) <= LARGEST_SUMMARY < 2**20
    assert re.search(r"\d+ lines more", markdown(big))
    assert markdown(big).rstrip().endswith("</details>") is ("<details>" in markdown(big))
    file = tmp_path / "summary.md"
    file.write_text("x" * 999_000)
    append_summary(big, file)
    assert 999_000 < file.stat().st_size <= LARGEST_SUMMARY
    file.write_text("x" * LARGEST_SUMMARY)
    append_summary(big, file)
    assert file.stat().st_size == LARGEST_SUMMARY


def test_what_cannot_be_written_is_said_and_hides_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    found = session(
        {ID: ended()}, fpk_report=str(tmp_path / "file" / "below"), fpk_summary=str(tmp_path / "summary.md")
    )
    assert not found.holds
    assert any("cannot write" in line for _, line in found.lines())
    assert "1 CONFIRMED" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    unsummed = session({ID: ended()}, fpk_summary=str(tmp_path))
    assert unsummed.holds  # a summary is not worth a red session
    assert any("Is a directory" in line for _, line in unsummed.lines())


def test_a_second_attempt_does_not_undo_a_refutation():
    """As plugins that repeat failed tests report it."""
    first = pytest.TestReport(ID, ("test_a.py", 0, "test_it"), {}, "failed", None, "call")
    first.outcome = "rerun"  # type: ignore[assignment]
    second = pytest.TestReport(ID, ("test_a.py", 0, "test_it"), {}, "passed", None, "call")
    assert _outcome(second, _outcome(first, "not run")) == "failed"


# -- pytest within pytest --------------------------------------------------------------------------------------------------


def test_a_session_without_checks_is_silent_and_writes_no_summary(pytester, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    result = run(pytester, "def test_nothing(): pass")
    assert "fpk:" not in result.stdout.str()
    assert not (pytester.path / "summary.md").exists()


def test_one_line_counts_and_code_hosts_get_a_summary(pytester, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    (pytester.path / "summary.md").write_text("# Before\n")
    result = run(pytester, "def test_zero():\n    for _ in range(3): zero()\n    law(0)")
    result.stdout.fnmatch_lines(["fpk: 2 checks in 1 test: 2 CONFIRMED; chance of a false alarm at most 1e−6"])
    text = (pytester.path / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("# Before\n### ✓ fpk: 2 checks: nothing against them")


def test_examples_of_hypothesis_are_one_row_with_the_worst(pytester):
    text = """
from hypothesis import HealthCheck, given, settings, strategies as st

@settings(max_examples=20, database=None, derandomize=True)
@given(st.integers(0, 100))
def test_given(n):
    zero(0.0 if n < 50 else n / 1e6)
    law(n)

@settings(max_examples=30, database=None, derandomize=True)
@given(st.integers(0, 100))
def test_wrong(n):
    zero(0.0 if n < 50 else n)
"""
    result = run(pytester, text, "--fpk-report=out", "--fpk-alpha=1e-4")
    result.assert_outcomes(passed=1, failed=1)
    rows = {(r["id"], r["variant"]): r for r in rows_in(pytester.path / "out")}
    right, sampled, wrong = (
        rows[f"test_it.py::{key[0]}", key[1]]
        for key in (
            ("test_given", "assert_residual"),
            ("test_given", "assert_same_law"),
            ("test_wrong", "assert_residual"),
        )
    )
    assert right["counts"] == {"CONFIRMED": 20}
    # Half of the session's budget for one of two tests, half of that for the planned examples, half of that for the first check of each.
    assert sampled["spent"] == pytest.approx(1e-4 / 8)
    assert wrong["counts"]["REFUTED"] > 1
    assert wrong["difference"] > 90


MACHINE = """
from hypothesis import settings
from fpk.check_context import SURROUNDINGS
from hypothesis.stateful import RuleBasedStateMachine, rule

@pytest.fixture(autouse=True)
def _checked_before():
    law(1)

class Machine(RuleBasedStateMachine):
    made = []

    @rule()
    def step(self):
        Machine.made.append(1)
        law(2)
        if FAILS and len(Machine.made) > 4:
            with open("offers.txt", "a") as file:
                print(SURROUNDINGS.get().alpha, file=file)
            law(3, tolerance=1e-9)

Machine.TestCase.settings = settings(max_examples=4, stateful_step_count=3, derandomize=True, database=None, deadline=None)
TestMachine = Machine.TestCase
"""


def test_examples_of_state_machines_share_as_those_of_functions(pytester):
    """The fixture spends a half, its examples half of what is left: four of them with three checks each."""
    result = run(pytester, "FAILS = False" + MACHINE, "--fpk-report=out", "--fpk-alpha=1e-4")
    result.assert_outcomes(passed=1)
    (found,) = rows_in(pytester.path / "out")
    assert found["counts"] == {"CONFIRMED": 1 + 4 * 3}
    assert found["spent"] == pytest.approx(1e-4 * (1 / 2 + 1 / 4 * (1 - 1 / 4)))
    assert found["beyond"] == 0.0


def test_a_state_machine_that_fails_is_repeated_with_the_same_offers(pytester):
    result = run(pytester, "FAILS = True" + MACHINE, "--fpk-report=out", "--fpk-alpha=1e-4")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Undecided: *"])
    (found,) = rows_in(pytester.path / "out")
    assert found["spent"] < 1e-4
    assert found["beyond"] == 0.0
    _, *later = (pytester.path / "offers.txt").read_text().split()
    assert len(later) > 1
    assert set(later) == {str(1e-4 / 2 / (4 * 2) / (2 * 3))}, "the second check of an example of the first lot"


def test_checks_in_threads_are_checks_of_their_test(pytester):
    text = """
from concurrent.futures import ThreadPoolExecutor

def test_threads():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(law, range(4)))
"""
    run(pytester, text, "--fpk-report=out", "--fpk-alpha=1e-4").assert_outcomes(passed=1)
    (found,) = rows_in(pytester.path / "out")
    assert found["counts"] == {"CONFIRMED": 4}
    assert found["spent"] == pytest.approx(1e-4 * (1 - 1 / 5))
    assert found["beyond"] == 0.0


AGAIN = """
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(3):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        again = attempt < 2 and any(r.failed for r in reports)
        for report in reports:
            if again and report.failed:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
        if not again:
            break
    return True
"""


@pytest.mark.parametrize("mends", [False, True], ids=["fails again", "passes at last"])
def test_a_test_that_is_run_again_draws_the_same_and_its_budget_counts_once(pytester, mends):
    """As plugins that repeat failed tests do it."""
    text = f"""
TIMES = []

def test_sampled(fpk_seed):
    law(fpk_seed)
    TIMES.append(1)
    zero(0.0 if {mends} and len(TIMES) == 3 else 1.0)
"""
    pytester.makeconftest(AGAIN)
    result = run(pytester, text, "--fpk-report=out", "--fpk-alpha=1e-4")
    assert result.ret == (0 if mends else 1)
    sampled, wrong = sorted(rows_in(pytester.path / "out"), key=lambda r: r["variant"], reverse=True)
    assert sampled["spent"] == pytest.approx(1e-4 / 2)
    assert (sampled["beyond"], sampled["counts"]) == (0.0, {"CONFIRMED": 3})
    assert wrong["counts"] == ({"REFUTED": 2, "CONFIRMED": 1} if mends else {"REFUTED": 3})
    assert (wrong["verdict"], wrong["holds"]) == ("REFUTED", False)


def test_what_checks_need_is_loaded_before_the_first_example(pytester):
    """Else the first example spends its deadline on it, and hypothesis calls the test unreliable."""
    text = """
import sys
from hypothesis import given, strategies as st
import fpk.testing

def test_plain():
    assert "scipy.stats" not in sys.modules

@given(st.just(0))
def test_given(n):
    assert "scipy.stats" in sys.modules
"""
    pytester.makepyfile(test_it=text)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist").assert_outcomes(passed=2)


def test_the_budget_is_split_over_tests_and_what_runs_again_has_the_same_share(pytester):
    text = """
@pytest.mark.parametrize("n", [1, 2, 3])
def test_many(n, fpk_seed):
    for _ in range(n):
        law(fpk_seed)

@pytest.mark.fpk(alpha=4e-5)
def test_marked(fpk_seed): law(fpk_seed)

def test_fails(): zero(1.0)
"""
    result = run(pytester, text, "--fpk-report=out", "--fpk-alpha=1e-4")
    rows = {r["test"].partition("::")[2]: r for r in rows_in(pytester.path / "out")}
    share = (1e-4 - 4e-5) / 4
    spent = {name: r["spent"] for name, r in rows.items()}
    expected = {f"test_many[{n}]": share * (1 - 1 / (n + 1)) for n in (1, 2, 3)} | {
        "test_marked": 2e-5,
        "test_fails": 0.0,
    }
    assert spent == pytest.approx(expected)
    assert sum(r["beyond"] for r in rows.values()) == 0.0
    rerun = re.search(r"rerun +pytest (.*)", result.stdout.str())
    assert rerun is not None
    again = run(pytester, text, *shlex.split(rerun[1]), "--fpk-report=again")
    again.assert_outcomes(failed=1)
    one = run(pytester, text, *shlex.split(rows["test_many[3]"]["rerun"])[1:], "--fpk-report=again")
    one.assert_outcomes(passed=1)
    assert rows_in(pytester.path / "again")[0]["spent"] == pytest.approx(spent["test_many[3]"], rel=1e-12)


def test_a_budget_that_leaves_nothing_is_refused(pytester):
    text = "@pytest.mark.fpk(alpha=1e-3)\ndef test_marked(): zero()\ndef test_other(): zero()"
    result = run(pytester, text, "--fpk-alpha=1e-3")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*tests marked fpk(alpha=...) take 0.001 of it and leave nothing for 1 others*"])


@pytest.mark.parametrize(("mode", "kind"), [("fail", "failed"), ("skip", "skipped"), ("xfail", "xfailed")])
def test_what_cannot_be_told_ends_as_asked(pytester, mode, kind):
    result = run(pytester, UNDECIDED, f"--fpk-undecided={mode}", "-rsx")
    result.assert_outcomes(**{kind: 2})
    assert result.ret == (1 if mode == "fail" else 0)
    result.stdout.fnmatch_lines(["UNDECIDED test_it.py::test_cannot_tell assert_same_law at test_it.py:*"])
    if mode != "fail":
        result.stdout.fnmatch_lines([f"{kind.upper()[:5]}*UNDECIDED: *"])


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="the fixture subtests is of pytest 9")
def test_a_part_that_could_not_be_told_was_not_wanted_so(pytester):
    """The whole test passes, and its part is skipped."""
    text = "def test_parts(subtests):\n    with subtests.test(part=1):\n        law(0, n=1000, tolerance=0.01)"
    result = run(pytester, text, "--fpk-undecided=skip", "--fpk-report=out")
    assert result.ret == 0
    assert [(r["verdict"], r["holds"]) for r in rows_in(pytester.path / "out")] == [("UNDECIDED", False)]


def test_markers_and_settings_say_the_same_as_options(pytester, monkeypatch):
    marked = UNDECIDED.replace(
        "def test_cannot_tell(fpk_seed)", "@pytest.mark.fpk(undecided='skip')\ndef test_cannot_tell(fpk_seed)"
    )
    run(pytester, marked, "--strict-markers").assert_outcomes(skipped=1, failed=1)
    pytester.makepyprojecttoml("[tool.fpk.pytest]\nundecided = 'xfail'\nreport = 'out'\n")
    run(pytester, marked).assert_outcomes(skipped=1, xfailed=1)
    assert len(rows_in(pytester.path / "out")) == 2
    monkeypatch.setenv("FPK_PYTEST_UNDECIDED", "fail")
    run(pytester, marked).assert_outcomes(skipped=1, failed=1)


@pytest.mark.parametrize("mark", ["undecided='maybe'", "alpha=2", "alpha='x'", "level=1e-3", "1e-3"])
def test_markers_that_cannot_be_read_are_refused(pytester, mark):
    result = run(pytester, f"@pytest.mark.fpk({mark})\ndef test_marked(): pass\ndef test_other(): pass")
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(
        ["fpk: *pytest.mark.fpk(*takes*"]
        if "=" in mark and "level" not in mark
        else ["fpk: the marker takes alpha= and undecided=*"]
    )


BEFORE = """
import pathlib
WRONG = pathlib.Path(__file__).with_name("wrong").exists()

def test_one():
    zero()
    if not WRONG: assert_residual(np.zeros(1), bound=1e-12, tolerance=1e-3)

def test_two(fpk_seed): law(fpk_seed, n=1000 if WRONG else 50_000, tolerance=0.1)
"""


def test_an_earlier_report_is_held_against_the_session(pytester):
    run(pytester, BEFORE, "--fpk-report=out").assert_outcomes(passed=2)
    same = run(pytester, BEFORE, "--fpk-compare=out", "--fpk-report=out")
    assert same.ret == 0
    assert "vanished" not in same.stdout.str()
    (pytester.path / "wrong").touch()
    worse = run(pytester, BEFORE, "--fpk-compare=out", "--fpk-undecided=skip")
    worse.assert_outcomes(passed=1, skipped=1)
    assert worse.ret == pytest.ExitCode.TESTS_FAILED
    worse.stdout.fnmatch_lines(
        [
            "flipped   test_it.py::test_two assert_same_law: CONFIRMED → UNDECIDED*",
            "vanished  test_it.py::test_one assert_residual (2)*",
        ]
    )
    worse.stdout.fnmatch_lines(["fpk: the session fails: 2 checks are worse than in the earlier report"])
    few = run(pytester, BEFORE, "--fpk-compare=out", "--fpk-undecided=skip", "-k", "nothing_like_this")
    few.stdout.fnmatch_lines(["*3 of the earlier checks were not run"])
    assert few.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    (pytester.path / "wrong").unlink()
    renamed = run(pytester, BEFORE.replace("test_one", "test_new"), "--fpk-compare=out")
    assert renamed.ret == pytest.ExitCode.TESTS_FAILED
    renamed.stdout.fnmatch_lines(["vanished  test_it.py::test_one assert_residual*"])
    chosen = run(pytester, BEFORE.replace("test_one", "test_new"), "--fpk-compare=out", "test_it.py::test_two")
    assert chosen.ret == 0


def test_a_report_that_is_not_there_is_refused_before_any_test(pytester):
    result = run(pytester, "def test_zero(): zero()", "--fpk-compare=nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--fpk-compare: *nowhere holds no report*"])


ORDERS = """
@pytest.mark.parametrize("n", range(4))
def test_many(n, fpk_seed):
    law(fpk_seed)

def test_wrong(fpk_seed):
    zero(fpk_seed % 1000 + 1.0)
"""
REVERSED = "def pytest_collection_modifyitems(items): items.reverse()"


def test_no_order_and_no_worker_changes_the_rows(pytester):
    """Reversed as a plugin that shuffles does it; two workers get the tests in any order."""
    pytester.makepyfile(test_it=HEAD + ORDERS)
    plain = ("-p", "no:cacheprovider", "--fpk-alpha=1e-5")
    pytester.runpytest_inprocess(*plain, "-p", "no:xdist", "--fpk-report=straight").assert_outcomes(passed=4, failed=1)
    pytester.makeconftest(REVERSED)
    pytester.runpytest_inprocess(*plain, "-p", "no:xdist", "--fpk-report=reversed").assert_outcomes(passed=4, failed=1)
    two = pytester.runpytest_subprocess(*plain, "-n", "2", "--fpk-report=two", "--fpk-compare=straight")
    two.assert_outcomes(passed=4, failed=1)
    two.stdout.fnmatch_lines(
        ["fpk: 5 checks in 5 tests: 4 CONFIRMED, 1 REFUTED; chance of a false alarm at most 4e−6 (budget 1e−5)"]
    )
    texts = [
        (pytester.path / name / "records.jsonl").read_text(encoding="utf-8") for name in ("straight", "reversed", "two")
    ]
    assert all(one == other for one, other in pairwise(texts))
    assert len(texts[0].splitlines()) == 5


def test_only_the_last_failures_or_the_first_are_run_without_harm(pytester):
    text = "def test_a(): zero(1.0)\ndef test_b(): zero()\ndef test_c(): zero()"
    pytester.makepyfile(test_it=HEAD + text)
    pytester.runpytest_inprocess("-p", "no:xdist", "--fpk-report=out").assert_outcomes(failed=1, passed=2)
    stopped = pytester.runpytest_inprocess("-p", "no:xdist", "-x", "--fpk-compare=out")
    last = pytester.runpytest_inprocess("-p", "no:xdist", "--lf", "--fpk-compare=out")
    for result in (stopped, last):
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*2 of the earlier checks were not run"])
        assert "vanished" not in result.stdout.str()
