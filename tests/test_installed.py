"""The package as others get it: a wheel, installed into an environment of its own, beside a tiny project that only has a test."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MISTAKE = "0.5 * "
PROJECT = f'''
import fpk
from fpk.testing import assert_reverse_equivalent

def reverse(problem, score, *, initial):
    """dY = (Y + g² score(Y, T - τ)) dτ + g dW, for dX = -X dt + g dW with g = 0.8."""
    T = problem.horizon
    return fpk.Problem(lambda y, tau: y + {MISTAKE}0.64 * score(y, T - tau), 0.8, initial=initial, horizon=T)

def test_back_to_the_data():
    problem = fpk.Problem("-x", 0.8, initial=fpk.Gaussian(1.0, 0.4), horizon=0.5)
    assert_reverse_equivalent(problem, reverse=reverse)
'''


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command without any variable that could lead to another installation."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PYTHONPATH", "GITHUB_", "FPK_", "COV_"))
    }
    return subprocess.run([*map(str, command)], cwd=cwd, env=kept, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel, and everything else from the environment of this test."""
    folder = tmp_path_factory.mktemp("installed")
    isolation = [] if importlib.util.find_spec("hatchling") is None else ["--no-build-isolation"]
    built = run(sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", *isolation, "-q", "-w", folder, cwd=folder)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("fpk-*.whl")
    made = run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    assert made.returncode == 0, made.stderr
    own = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = ("-m", "pip", "--python", own, "install", "-q", "--no-deps", "--no-index", wheel)
    installed = run(sys.executable, *install, cwd=folder)
    assert installed.returncode == 0, installed.stderr
    purelib = Path(run(own, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).stdout.strip())
    others = folder / "dependencies"  # not those of this package: the plugin must be found by what the wheel says
    others.mkdir()
    for entry in {path for name in ("purelib", "platlib") for path in Path(sysconfig.get_path(name)).iterdir()}:
        if "fpk" not in entry.name:
            (others / entry.name).symlink_to(entry)
    (purelib / "dependencies.pth").write_text(f"{others}\n")
    return own


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "test_reverse.py").write_text(PROJECT, encoding="utf-8")
    return folder


def test_the_package_is_the_wheel_s(python: Path, project: Path) -> None:
    done = run(python, "-c", "import fpk; print(fpk.__file__)", cwd=project)
    assert Path(done.stdout.strip()).parent.parent == Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=project).stdout.strip()
    )
    assert ROOT not in Path(done.stdout.strip()).parents


def test_a_half_is_caught_named_and_caught_again_and_what_is_right_passes(python: Path, project: Path) -> None:
    """The rerun line is executed as it is printed, with ``python -m`` for the script that the environment has not."""
    first = run(python, "-m", "pytest", cwd=project)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "assert_reverse_equivalent" in first.stdout
    assert re.search(r"functional +obtained +expected +difference +budget +standard error", first.stdout)
    assert re.search(r"E +suspect +.*½ too many on g² score", first.stdout)
    assert re.search(r"^fpk: 1 check in 1 test: 1 REFUTED", first.stdout, re.M)

    rerun = re.search(r"E +rerun +(pytest .*)$", first.stdout, re.M)
    assert rerun is not None, first.stdout
    again = run(python, "-m", *shlex.split(rerun[1]), cwd=project)
    assert again.returncode == 1, again.stdout + again.stderr
    assert told(again.stdout) == told(first.stdout)

    file = project / "test_reverse.py"
    file.write_text(PROJECT.replace(MISTAKE, ""), encoding="utf-8")
    right = run(python, "-m", "pytest", cwd=project)
    assert right.returncode == 0, right.stdout + right.stderr
    assert "fpk: 1 check in 1 test: 1 CONFIRMED" in right.stdout


def told(output: str) -> list[str]:
    """The failure text, with all its numbers."""
    return re.findall(r"^E +(.*)$", output, re.M)
