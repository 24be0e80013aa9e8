"""The pytest plugin, by running pytest inside pytest."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from fpk.study import seed_for
from fpk.testing import assert_residual

pytest_plugins = ["pytester"]

# Loads all that a check needs: pytest within this process forgets what it imports, and parts of numpy cannot be loaded twice.
assert_residual(np.fft.fft(np.zeros(2)).real, bound=1e-12, tolerance=1e-9)

SEEDS = """
import pathlib

def record(request, fpk_seed):
    with pathlib.Path(request.config.rootpath, "seeds.txt").open("a") as out:
        out.write(f"{request.node.name} {fpk_seed} {request.config.option.fpk_seed}\\n")

def test_one(request, fpk_seed):
    record(request, fpk_seed)

def test_two(request, fpk_seed):
    record(request, fpk_seed)
"""

CHECKS = """
import unittest
import numpy as np
from fpk.testing import assert_residual

def test_right():
    assert_residual(np.zeros(2), bound=1e-12, tolerance=1e-9)

def test_wrong(fpk_seed):
    assert_residual(np.array([0.5, 0.0]), bound=1e-12, tolerance=1e-9)

class TestCase(unittest.TestCase):
    def test_wrong(self):
        assert_residual(np.array([0.5, 0.0]), bound=1e-12, tolerance=1e-9)
"""

CONFTEST = """
import json, pathlib

def pytest_runtest_logreport(report):
    if report.when == "call":
        with pathlib.Path(__file__).with_name("properties.jsonl").open("a") as out:
            out.write(json.dumps([report.nodeid, report.user_properties]) + "\\n")
"""


def seeds(pytester: pytest.Pytester, *arguments: str) -> dict[str, tuple[int, str]]:
    """Test name ↦ its seed and the root seed."""
    path = pytester.path / "seeds.txt"
    path.unlink(missing_ok=True)
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", *arguments).assert_outcomes(passed=2)
    rows = [line.split() for line in path.read_text().splitlines()]
    return {name: (int(seed), root) for name, seed, root in rows}


def test_each_test_has_a_seed_of_its_own_that_follows_from_root_and_id(pytester):
    pytester.makepyfile(test_seeds=SEEDS)
    assert seeds(pytester) == {name: (seed_for(0, f"test_seeds.py::{name}"), "0") for name in ("test_one", "test_two")}
    assert seeds(pytester, "--fpk-seed=5")["test_one"] == (seed_for(5, "test_seeds.py::test_one"), "5")


def test_a_random_root_is_drawn_once_and_shared_with_the_workers(pytester):
    pytester.makepyfile(test_seeds=SEEDS)
    pytester.makeini("[pytest]\naddopts = -n 2 --dist=each\n")
    path = pytester.path / "seeds.txt"
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--fpk-seed=random")
    result.assert_outcomes(passed=4)
    roots = {line.split()[2] for line in path.read_text().splitlines()}
    assert len(roots) == 1, roots
    root = roots.pop()
    assert root.isdigit()
    result.stdout.fnmatch_lines([f"fpk: --fpk-seed={root}"])


def test_two_random_runs_differ(pytester):
    pytester.makepyfile(test_seeds=SEEDS)
    first, second = (seeds(pytester, "--fpk-seed=random")["test_one"] for _ in range(2))
    assert first != second


def test_the_failure_text_says_how_to_run_the_test_again_and_that_works(pytester):
    pytester.makepyfile(test_checks=CHECKS)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--fpk-seed=7")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["E*rerun*pytest test_checks.py::test_wrong --fpk-seed=7"])
    result.stdout.fnmatch_lines(["E*functional*obtained*expected*difference*budget*standard error*where"])
    command = re.search(r"rerun\s+pytest (test_checks.py::test_wrong --fpk-seed=7)", result.stdout.str())
    assert command is not None
    again = pytester.runpytest_inprocess("-p", "no:cacheprovider", *command[1].split())
    again.assert_outcomes(failed=1)


def test_unittest_cases_are_told_as_well(pytester):
    pytester.makepyfile(test_checks=CHECKS)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "TestCase")
    result.stdout.fnmatch_lines(["E*rerun*pytest test_checks.py::TestCase::test_wrong --fpk-seed=0"])


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "worker"])
def test_verdicts_are_kept_with_the_test(pytester, workers):
    pytester.makepyfile(test_checks=CHECKS)
    pytester.makeconftest(CONFTEST)
    run = pytester.runpytest_subprocess if workers else pytester.runpytest_inprocess
    run("-p", "no:cacheprovider", *workers)
    rows = [json.loads(line) for line in (pytester.path / "properties.jsonl").read_text().splitlines()]
    if workers:  # the controller's conftest hears of every report too
        rows = list({row[0]: row for row in rows}.values())
    outcomes = {
        nodeid.partition("::")[2]: [json.loads(kept)["verdict"] for name, kept in kept_all if name == "fpk_verdict"]
        for nodeid, kept_all in rows
    }
    assert outcomes == {"test_right": ["CONFIRMED"], "test_wrong": ["REFUTED"], "TestCase::test_wrong": ["REFUTED"]}


@pytest.mark.parametrize("seed", ["-1", "1.5", "today", ""])
def test_other_seeds_are_refused(pytester, seed):
    result = pytester.runpytest_inprocess("-p", "no:xdist", f"--fpk-seed={seed}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--fpk-seed takes a whole number*or the word random, got*"])


def test_the_default_seed_is_not_announced(pytester):
    pytester.makepyfile(test_seeds=SEEDS)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert "--fpk-seed" not in result.stdout.str()


def test_the_plugin_is_registered_by_the_installation():
    from importlib.metadata import entry_points

    assert "fpk.pytest_plugin" in {point.value for point in entry_points(group="pytest11", name="fpk")}


def test_nothing_heavy_is_imported_with_the_plugin():
    code = (
        "import sys, fpk.pytest_plugin\n"
        "heavy = {'numpy', 'scipy', 'numba', 'matplotlib', 'sympy', 'hypothesis', 'jinja2', 'click', 'rich'} & set(sys.modules)\n"
        "own = {m for m in sys.modules if m.startswith('fpk.')} - {'fpk.pytest_plugin', 'fpk.check_context', 'fpk.hypothesis_examples'}\n"
        "assert not heavy and not own, (heavy, own)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
