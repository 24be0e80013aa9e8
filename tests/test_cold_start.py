"""A process with an empty compilation cache solves without a long wait; with a filled one hardly any; help and the plugin cost next to nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import time
import fpk
problem = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.2))
start = time.process_time()
fpk.solve(problem, fpk.Grid(-6, 6, cells=72), times=[1.0])
print(time.process_time() - start)
"""


def first_solve(cache: Path) -> float:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def test_the_first_solve_compiles_quickly_and_the_next_process_finds_it_compiled(tmp_path: Path) -> None:
    """CPU seconds; the bound is twice the three seconds that the study of speed asks for on a quiet machine."""
    cold, cached = first_solve(tmp_path), first_solve(tmp_path)
    assert cold < 6.0
    assert cached < cold / 2


#: Seconds of CPU that help and the plugin may cost above what they cannot do without, and how often that is measured: the least counts.
LIGHT, REPEATS = 0.1, 7
HEAVY = ("scipy", "numba", "matplotlib")
HELP = "import sys; sys.argv = ['fpk', '--help']; import fpk.command_line; fpk.command_line.main(standalone_mode=False)"
#: What is measured: programs, with the one that does nothing but import what is allowed for.
LIGHT_PROGRAMS = {
    "help": ("import numpy", f"import numpy; {HELP}"),
    "plugin": ("import numpy, pytest", "import numpy, pytest; import fpk.pytest_plugin"),
}


def cpu(program: str) -> float:
    """CPU seconds of a process of its own, from its birth on."""
    code = f"{program}\nimport time, sys\nprint(time.process_time(), file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(run.stderr)


@pytest.mark.parametrize("name", LIGHT_PROGRAMS)
def test_help_and_the_plugin_are_light(name: str) -> None:
    bare, program = LIGHT_PROGRAMS[name]
    pairs = [(cpu(bare), cpu(program)) for _ in range(REPEATS)]
    cost = min(own for _, own in pairs) - min(without for without, _ in pairs)
    assert cost <= LIGHT, pairs


@pytest.mark.parametrize("program", [HELP, "import fpk.pytest_plugin"], ids=["help", "plugin"])
def test_help_and_the_plugin_import_nothing_heavy(program: str) -> None:
    code = f"{program}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {module.partition(".")[0] for module in json.loads(run.stderr)} & {*HEAVY}


def test_a_session_without_checks_pays_for_the_settings_alone(tmp_path: Path) -> None:
    """Whole sessions, in which the plugin has nothing to do."""
    (tmp_path / "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
    run = f"import pytest; assert pytest.main([{str(tmp_path)!r}, '-qq', '-p', 'no:cacheprovider', '-p', 'no:hypothesispytest'{{}}]) == 0"
    pairs = [(cpu(run.format(", '-p', 'no:fpk'")), cpu(run.format(""))) for _ in range(3)]
    assert min(own for _, own in pairs) - min(without for without, _ in pairs) <= LIGHT, pairs
