"""The pytest plugin of fpk: seeds, levels and verdicts of the checks that tests make with :mod:`fpk.testing`.

=========================== ===================================================================================================================
``--fpk-seed=N|random``     root seed (default 0); the fixture ``fpk_seed`` is derived from it and the test's id, so no order of tests changes it
``--fpk-alpha=A``           what the whole session may spend on false alarms, split as :mod:`fpk.check_context` tells (default: 10⁻⁶ a check)
``--fpk-undecided=MODE``    what becomes of a test whose check cannot tell: ``fail`` (default), ``skip``, ``xfail``
``--fpk-report=DIR``        ``index.html``, ``report.md`` and ``records.jsonl`` of the checks that were made
``--fpk-compare=DIR``       fail if a verdict of an earlier report flipped, a check vanished, or one sees less than its tolerance now
``--fpk-summary=FILE``      append a Markdown summary (default: the file named by ``GITHUB_STEP_SUMMARY``, where there is one)
``@pytest.mark.fpk(...)``   ``alpha=`` and ``undecided=`` for one test, class or file
=========================== ===================================================================================================================

Each option can also be set by ``FPK_PYTEST_SEED`` and so on, and in the table ``[tool.fpk.pytest]``. Verdicts travel with the test reports
(``user_properties``), so workers of pytest-xdist and junit files have them. Nothing heavy is imported before a test needs it.
"""

from __future__ import annotations

import functools
import json
import os
import shlex
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from fpk.check_context import SURROUNDINGS, Allowance, CheckContext, Checks
from fpk.hypothesis_examples import has_examples, load_once, planned, told

if TYPE_CHECKING:
    from fpk.sessions import Session

#: Name of the user property that carries a row of JSON for each check.
PROPERTY = "fpk_verdict"
OPTIONS = {
    "seed": ("N|random", "root seed of the fixture fpk_seed: a whole number ≥ 0 (default 0), or random: drawn once."),
    "alpha": ("A", "probability of a false alarm of the whole session, split over its tests (default: 1e-6 a check)."),
    "undecided": ("fail|skip|xfail", "what becomes of a test whose check cannot tell (default: fail)."),
    "report": ("DIR", "write index.html, report.md and records.jsonl of the checks that were made."),
    "compare": (
        "DIR",
        "fail if verdicts flipped, checks vanished or see less than in the report of an earlier session.",
    ),
    "summary": ("FILE", "append a Markdown summary of the checks (default: $GITHUB_STEP_SUMMARY, if set)."),
}
MARK = "fpk(alpha=..., undecided=...): what the checks of this test may spend together, and what becomes of it if one cannot tell."
#: What an xfail of ours begins with.
UNDECIDED = "UNDECIDED: "
CHECKS, MARKED = pytest.StashKey[Checks](), pytest.StashKey[dict[str, Any]]()
SHARE, PROBLEM, COLLECTED = pytest.StashKey["float | None"](), pytest.StashKey[str](), pytest.StashKey["list[str]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options."""
    group = parser.getgroup("fpk", "fpk: checks of the mathematics of diffusion models")
    for name, (values, text) in OPTIONS.items():
        group.addoption(f"--fpk-{name}", type=functools.partial(_read, name), metavar=values, help=text)


def _read(name: str, text: str) -> Any:
    """The value of an option from what the command line says."""
    from fpk.configuration import BY_NAME

    setting = BY_NAME[f"pytest.{name}"]
    try:
        return setting.read(text)
    except ValueError:
        raise pytest.UsageError(f"{setting.flag} takes {setting.allowed}, got {text!r}.") from None


def pytest_configure(config: pytest.Config) -> None:
    """Settle every option, once: workers are told theirs by the controller."""
    config.addinivalue_line("markers", MARK)
    told = getattr(config, "workerinput", {}).get("fpk")
    if told is not None:
        vars(config.option).update(told)
        return
    from fpk.configuration import configured
    from fpk.errors import FpkError

    try:
        settings = configured()
    except FpkError as error:
        raise pytest.UsageError(str(error)) from None
    for name in OPTIONS:
        if getattr(config.option, f"fpk_{name}") is None:
            setattr(config.option, f"fpk_{name}", settings[f"pytest.{name}"].value)
    if config.option.fpk_seed == "random":
        import secrets

        config.option.fpk_seed = str(secrets.randbits(32))
    config.option.fpk_summary = config.option.fpk_summary or os.environ.get("GITHUB_STEP_SUMMARY")
    for name in ("report", "compare", "summary"):  # tests may change the working directory
        path = getattr(config.option, f"fpk_{name}")
        setattr(config.option, f"fpk_{name}", path and os.path.abspath(path))
    config.pluginmanager.register(Gathering(config), "fpk-gathering")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the options to a worker of pytest-xdist."""
    option = node.config.option
    node.workerinput["fpk"] = {f"fpk_{name}": getattr(option, f"fpk_{name}") for name in OPTIONS}


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name what is not the default."""
    option = config.option
    parts = [f"--fpk-seed={option.fpk_seed}"] if option.fpk_seed != "0" else []
    parts += [f"--fpk-alpha={option.fpk_alpha:g}"] if option.fpk_alpha else []
    parts += [f"--fpk-undecided={option.fpk_undecided}"] if option.fpk_undecided != "fail" else []
    return f"fpk: {' '.join(parts)}" if parts else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Remember every test that exists, deselected or not, where checks may have vanished."""
    if item.config.option.fpk_compare:
        item.config.stash.setdefault(COLLECTED, []).append(_id(item))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells the controller which tests exist."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["fpk_collected"] = session.config.stash.get(COLLECTED, [])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Split the budget of the session over its tests."""
    budgets = [_marked(item).get("alpha") for item in session.items]
    total, taken = session.config.option.fpk_alpha, sum(b for b in budgets if b)
    others = sum(b is None for b in budgets)
    if total is not None and others and taken >= total:
        problem = (
            f"--fpk-alpha={total:g}, but tests marked fpk(alpha=...) take {taken:g} of it and leave nothing for {others} others:"
            " raise the one or lower the others."
        )
        if not hasattr(session.config, "workerinput"):
            raise pytest.UsageError(problem)
        session.config.stash[PROBLEM] = problem  # a worker can only fail its tests
        return
    session.config.stash[SHARE] = None if total is None or not others else (total - taken) / others


def _marked(item: pytest.Item) -> dict[str, Any]:
    """What the markers of a test say, the closest first; ``error`` where one cannot be read."""
    if MARKED not in item.stash:
        item.stash[MARKED] = said = {}
        for mark in item.iter_markers("fpk"):
            if mark.args or mark.kwargs.keys() - {"alpha", "undecided"}:
                said["error"] = f"the marker takes alpha= and undecided=, got {mark}"
            for name, value in mark.kwargs.items() if "error" not in said else ():
                try:
                    said.setdefault(name, _read(name, value))
                except pytest.UsageError as error:
                    said["error"] = str(error).replace(f"--fpk-{name}", f"pytest.mark.fpk({name}=...)")
    return item.stash[MARKED]


def _id(item: pytest.Item) -> str:
    """Its id, without the group that pytest-xdist appends for ``--dist=loadgroup``."""
    groups = sorted({str((*m.args, m.kwargs.get("name", "default"))[0]) for m in item.iter_markers("xdist_group")})
    return item.nodeid.removesuffix(f"@{'_'.join(groups)}") if groups else item.nodeid


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let the assertions of fpk know how this test is run again and what it may spend, and keep their verdicts."""
    share = _marked(item).get("alpha") or item.config.stash.get(SHARE, None)
    checks = item.stash[CHECKS] = Checks(Allowance(share, planned(item)) if share else None)
    if has_examples(item) and "fpk.testing" in sys.modules:
        load_once()
    before = SURROUNDINGS.set(CheckContext(_rerun(item), checks.add, lambda: checks.alpha))
    try:
        with told(item, checks.allowance):
            return (yield)
    finally:
        SURROUNDINGS.reset(before)


def _rerun(item: pytest.Item) -> str:
    """The command that runs this test again, with the same seed and the same level."""
    config = item.config
    share = None if _marked(item).get("alpha") else config.stash.get(SHARE, None)
    level = "" if share is None else f" --fpk-alpha={share!r}"
    return f"pytest {shlex.quote(_from_here(config, _id(item)))} --fpk-seed={config.option.fpk_seed}{level}"


def _from_here(config: pytest.Config, id: str) -> str:
    """An id as it is typed in the folder where pytest was started; ids begin at the root of the project."""
    if config.invocation_params.dir == config.rootpath:
        return id
    file, separator, rest = id.partition("::")
    return os.path.relpath(config.rootpath / file, config.invocation_params.dir).replace(os.sep, "/") + separator + rest


@pytest.fixture
def fpk_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test: derived from the root seed and the test's id, never chosen."""
    from fpk.study import seed_for

    return seed_for(int(request.config.option.fpk_seed), _id(request.node))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse markers that cannot be read; a test that another plugin runs again begins again."""
    if (checks := item.stash.get(CHECKS, None)) is not None:
        checks.begin_again()
    problem = item.config.stash.get(PROBLEM, None) or _marked(item).get("error")
    if problem:
        pytest.fail(f"fpk: {problem}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the rows of the checks on the report, and let a test that could not be decided be skipped or xfail, if so asked."""
    checks = item.stash.get(CHECKS, None)
    if checks is not None:
        told = [(PROPERTY, json.dumps(row, ensure_ascii=False, default=str)) for row in _rows(item, checks)]
        item.user_properties[:] = [p for p in item.user_properties if p[0] != PROPERTY] + told
    report = yield
    mode = _marked(item).get("undecided") or item.config.option.fpk_undecided
    if mode != "fail" and report.failed and call.excinfo and _undecided(call.excinfo.value):
        reason = UNDECIDED + _reason(call.excinfo.value)
        report.outcome = "skipped"
        if mode == "xfail":
            report.wasxfail = reason
        else:
            report.longrepr = (str(item.path), (item.location[1] or 0) + 1, reason)
    return report


def _rows(item: pytest.Item, checks: Checks) -> list[dict[str, Any]]:
    """The rows of a test, with what only the test knows."""
    root = f"{item.config.rootpath}{os.sep}"
    case = getattr(getattr(item, "callspec", None), "id", "")
    told = {"test": _id(item), "rerun": _rerun(item)}
    return [row | {"place": row["place"].removeprefix(root), "case": case} | told for row in checks.rows()]


def _undecided(error: BaseException) -> bool:
    """Whether an error, or every one of a group, says that a check could not tell."""
    known = sys.modules.get("fpk.errors")
    if isinstance(error, BaseExceptionGroup):
        return all(_undecided(one) for one in error.exceptions)
    return known is not None and isinstance(error, known.Undecided)


def _reason(error: BaseException) -> str:
    return str(getattr(getattr(error, "verdict", None), "reason", "") or str(error).partition("\n")[0])


@dataclass
class Test:
    """What is known of one test: how it ended, and its rows as JSON."""

    __test__ = False

    outcome: str = "not run"
    rows: list[str] = field(default_factory=list)


class Gathering:
    """The checks of all tests, on the controller: what is said, written and compared when the session is over."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tests: dict[str, Test] = {}
        self.session: Session | None = None
        compare = config.option.fpk_compare
        self.before = _earlier(compare) if compare else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep outcome and rows of a test; the last of its reports has them all."""
        test = self.tests.setdefault(report.nodeid, Test())
        test.outcome = _outcome(report, test.outcome)
        test.rows = [str(value) for name, value in getattr(report, "user_properties", ()) if name == PROPERTY]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker tells which tests exist."""
        self.config.stash.setdefault(COLLECTED, []).extend(getattr(node, "workeroutput", {}).get("fpk_collected", ()))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compare and write; a flip makes the session fail."""
        asked = self.config.option.fpk_report or self.before is not None
        if self.config.option.collectonly or not (asked or any(test.rows for test in self.tests.values())):
            return
        from fpk.session_reports import finished

        self.session = finished(self.tests, self.before, self._is_gone, self.config.option)
        if not self.session.holds and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _is_gone(self, test: str) -> bool:
        """Whether a test of an earlier session exists no more, as far as this session looked."""
        collected, file = self.config.stash.get(COLLECTED, []), test.partition("::")[0]
        if not (self.config.rootpath / file).exists():
            return True
        chosen = getattr(self.config.option, "lf", False) or any("::" in argument for argument in self.config.args)
        ids = set(collected)
        return not chosen and test not in ids and any(id.partition("::")[0] == file for id in ids)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was found, where a check was made."""
        if self.session is None:
            return
        for style, line in self.session.lines():
            if style == "title":
                terminalreporter.write_sep("=", line)
            else:
                terminalreporter.write_line(line, **({style: True} if style else {}))


def _outcome(report: pytest.TestReport, before: str) -> str:
    """How a test ended, as far as its reports have come."""
    if (
        report.failed or before == "failed" or report.outcome == "rerun"
    ):  # a second attempt that passes does not undo the first
        return "failed"
    if before == "undecided" or (
        report.skipped and _told_undecided(report)
    ):  # also where it is a part of a test that passes
        return "undecided"
    if report.skipped:
        return "xfailed" if hasattr(report, "wasxfail") else "skipped"
    return "passed" if report.passed and report.when == "call" else before


def _told_undecided(report: pytest.TestReport) -> bool:
    """Whether it was skipped or expected to fail because a check could not tell."""
    told = getattr(report, "wasxfail", None) or report.longrepr
    return str(told[2] if isinstance(told, tuple) else told).startswith(UNDECIDED)


def _earlier(folder: str) -> Sequence[dict[str, Any]]:
    """The rows of an earlier session."""
    from fpk.errors import FpkError
    from fpk.sessions import earlier

    try:
        return earlier(folder)
    except FpkError as error:
        raise pytest.UsageError(
            f"--fpk-compare: {error} An earlier session with --fpk-report=DIR writes one."
        ) from None
